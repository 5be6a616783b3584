//! Which keys there are and what is shown of each: values of all kinds, what the caller may not see, secrets.

use serde_json::{Value, json};

use crate::Cases;
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, PAYMENTS, ROOT, User, run};
use crate::http::{CANARY, Dashboard, Session};

pub const CASES: Cases = &[
    ("what_there_is_to_choose_from", what_there_is_to_choose_from),
    ("names_are_listed_whatever_they_hold", names_are_listed_whatever_they_hold),
    ("closed_directories_are_told", closed_directories_are_told),
    ("values_of_all_kinds", values_of_all_kinds),
    ("secrets_have_no_value", secrets_have_no_value),
    ("permissions_are_told", permissions_are_told),
    ("questions_that_make_no_sense", questions_that_make_no_sense),
];

pub const IN_PAYMENTS: User<'static> = User(ALICE, ALICE, &[PAYMENTS]);
pub const IN_ANALYSTS: User<'static> = User(BOB, BOB, &[ANALYSTS]);

fn details(session: &Session<'_>, tree: &str, keys: &[&str]) -> Vec<Value> {
    let body = json!({ "environment": "dev", "tree": tree, "keys": keys });
    let items = session.post("/api/details", &body).is_good()["items"].clone();
    items.as_array().expect("a list").clone()
}

fn what_there_is_to_choose_from() {
    let mount = Mount::with(&["--value-limit", "4096"]);
    mount.mkdir("qa");
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let about = session.get("/api/about").is_good();
    assert_eq!(about["user"], json!({"name": "alice", "uid": ALICE, "groups": ["alice", "payments"]}));
    let environment = |name: &str| json!({"name": name, "protected": name == "prod"});
    assert_eq!(about["environments"], json!(["dev", "pre", "prod", "qa"].map(environment)));
    assert_eq!((&about["value_limit"], &about["mount"]), (&json!(4096), &json!(mount.root())));
    assert!(about["fields"].as_array().unwrap().contains(&json!({"name": "modified", "kind": "time"})), "{about}");
    let accounts = session.get("/api/accounts").is_good();
    assert!(accounts["users"].as_array().unwrap().contains(&json!({"name": "bob", "id": BOB})));
    let groups = accounts["groups"].as_array().unwrap();
    let payments = json!({"name": "payments", "id": PAYMENTS, "members": ["alice"], "system": false});
    assert!(groups.contains(&payments), "{accounts}");
    // By the account's own line.
    assert!(groups.contains(&json!({"name": "bob", "id": BOB, "members": ["bob"], "system": false})), "{accounts}");
}

fn names_are_listed_whatever_they_hold() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/<b>");
    let odd =
        ["<b>/<img src=x onerror=alert(1)>", "a b\t\"c\"\\ 'd'\n\u{1b}[2J\u{7f}\u{202e}ü", "-f", "$(id);`id`&%20?#+"];
    for key in odd {
        mount.put(&format!("dev/variables/{key}"), key);
    }
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let listed = session.get("/api/keys?environment=dev&tree=variables").is_good();
    let mut sorted = odd;
    sorted.sort_unstable();
    assert_eq!(listed, json!({"keys": sorted, "closed": []}));
    for (key, item) in odd.iter().zip(details(&session, "variables", &odd)) {
        assert_eq!((&item["key"], &item["value"]), (&json!(key), &json!(key)));
        // What is to be pasted into a shell does what it says, there.
        let command = item["command"].as_str().unwrap();
        let mut shell = IN_PAYMENTS.command("bash");
        let path = format!("{}:/usr/bin:/bin", crate::dt().parent().unwrap().display());
        shell.arg("-c").arg(command).env("PATH", path).env("KEYFS_MOUNT", mount.root()).env("LC_ALL", "C.UTF-8");
        assert_eq!(run(&mut shell), *key, "{command}");
    }
    let below = session.get("/api/below?environment=dev&tree=variables&prefix=%3Cb%3E").is_good();
    assert_eq!(below, json!({"keys": [{"key": odd[0], "version": 1}], "closed": []}));
}

fn closed_directories_are_told() {
    let mount = Mount::new();
    for (directory, mode) in [("open", 0o755), ("closed", 0o700), ("dark", 0o711), ("shown", 0o744)] {
        mount.mkdir(&format!("dev/variables/{directory}"));
        mount.put(&format!("dev/variables/{directory}/key"), "value");
        mount.own(&format!("dev/variables/{directory}"), 0, 0, mode);
    }
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let listed = session.get("/api/keys?environment=dev&tree=variables").is_good();
    assert_eq!(listed, json!({"keys": ["open/key", "shown/key"], "closed": ["closed/", "dark/"]}));
    let entry = |key: &str| session.get(&format!("/api/entry?environment=dev&tree=variables&key={key}"));
    assert_eq!(entry("dark/key").is_good()["value"], "value");
    entry("closed/key").is_refused(403, "denied");
    let items = details(&session, "variables", &["closed/key", "open/key", "shown/key"]);
    let closed = |key: &str| json!({"key": key, "gone": true, "closed": true});
    assert_eq!(
        (&items[0], &items[1]["value"], &items[2]),
        (&closed("closed/key"), &json!("value"), &closed("shown/key"))
    );
    let sorted = json!({"environment": "dev", "tree": "variables", "sort": "-size"});
    assert_eq!(session.post("/api/select", &sorted).is_good()["keys"], json!(["open/key", "shown/key"]));
}

fn values_of_all_kinds() {
    let mount = Mount::new();
    let long = "ü".repeat(600_000);
    let values: &[(&str, &[u8])] = &[
        ("line", b"one\n"),
        ("bare", b"one"),
        ("lines", b"one\r\ntwo\n\n"),
        ("empty", b""),
        ("binary", b"\xff\xfe\n"),
        ("nul", b"a\0b"),
        ("long", &long.as_bytes()[..1_048_576]),
        ("mine", b"x"),
        ("late", b"x"),
    ];
    for (key, value) in values {
        mount.put(&format!("dev/variables/{key}"), value);
    }
    mount.own("dev/variables/mine", 0, 0, 0o600);
    run(ROOT
        .command("setfattr")
        .args(["-n", "user.keyfs.expires", "-v", "2020-01-01T00:00:00Z"])
        .arg(mount.path("dev/variables/late")));
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let keys: Vec<_> = values.iter().map(|(key, _)| *key).chain(["gone"]).collect();
    let items = details(&session, "variables", &keys);
    let shown =
        |item: &Value| (item["kind"].clone(), item["value"].clone(), item["newline"].clone(), item["cut"].clone());
    let text = |value: &str, newline: bool| (json!("text"), json!(value), json!(newline), json!(false));
    let none = |kind: &str| (json!(kind), json!(null), json!(false), json!(false));
    assert_eq!(shown(&items[0]), text("one", true));
    assert_eq!(shown(&items[1]), text("one", false));
    assert_eq!(shown(&items[2]), text("one\r\ntwo\n", true));
    assert_eq!(shown(&items[3]), text("", false));
    assert_eq!(shown(&items[4]), none("binary"));
    assert_eq!(shown(&items[5]), none("binary"));
    assert_eq!(shown(&items[6]), (json!("text"), json!("ü".repeat(200)), json!(false), json!(true)));
    assert_eq!(shown(&items[7]), none("denied"));
    assert_eq!(shown(&items[8]), none("expired"));
    assert_eq!((&items[8]["expires"], &items[0]["expires"]), (&json!("2020-01-01T00:00:00Z"), &json!(null)));
    assert_eq!(items[9], json!({"key": "gone", "gone": true}));
    assert_eq!(
        (&items[6]["size"], &items[0]["version"], &items[0]["modified_by"]),
        (&json!(1_048_576), &json!(1), &json!("root"))
    );
    let entry = |key: &str| session.get(&format!("/api/entry?environment=dev&tree=variables&key={key}")).is_good();
    assert_eq!(entry("long")["value"], long[..1_048_576]);
    assert_eq!((&entry("binary")["base64"], &entry("binary")["value"]), (&json!("//4K"), &json!(null)));
    assert_eq!(entry("mine")["kind"], "denied");
    assert_eq!(entry("mine")["why"]["read"], json!({"allowed": false, "rule": "no group is granted read"}));
}

fn secrets_have_no_value() {
    let mount = Mount::new();
    mount.put("dev/secrets/password", format!("{CANARY}\n"));
    mount.own("dev/secrets/password", 0, PAYMENTS, 0o640);
    for user in [IN_PAYMENTS, IN_ANALYSTS] {
        let dashboard = Dashboard::start(&mount, &user);
        let session = dashboard.log_in();
        let entry = session.get("/api/entry?environment=dev&tree=secrets&key=password").is_good();
        let item = &details(&session, "secrets", &["password"])[0];
        for shown in [&entry, item] {
            assert_eq!((&shown["kind"], &shown["value"], shown.get("base64")), (&json!("secret"), &json!(null), None));
            assert_eq!(shown["command"], "dt kv get -s -e dev password");
        }
        let is_in = user.0 == ALICE;
        assert_eq!(entry["why"]["read"]["allowed"], is_in, "{entry}");
        let rule = if is_in { "group payments (owning group)" } else { "needs group payments" };
        assert_eq!(entry["why"]["read"]["rule"], rule);
        // Nothing was decrypted for that.
        assert!(
            mount.audit().iter().all(|record| record["event"] != "granted" && record["event"] != "denied"),
            "{:?}",
            mount.audit()
        );
    }
}

fn permissions_are_told() {
    let mount = Mount::new();
    mount.put("dev/variables/key", "value");
    run(ROOT
        .command("setfacl")
        .args(["-m", "u:bob:rw,g:payments:r,g:ops:-,o::-"])
        .arg(mount.path("dev/variables/key")));
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let item = &details(&dashboard.log_in(), "variables", &["key"])[0];
    let named = |name: &str, rights: &str| json!({"name": name, "rights": rights});
    let groups = [named("ops", ""), named("payments", "r"), named("root", "r")];
    let permissions =
        json!({"owner": named("root", "rw"), "users": [named("bob", "rw")], "groups": groups, "others": ""});
    assert_eq!(item["permissions"], permissions);
}

fn questions_that_make_no_sense() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let field = |answer: Value| answer["field"].clone();
    let keys = |query: &str| session.get(&format!("/api/keys{query}"));
    for query in ["", "?environment=dev", "?environment=dev&tree=secret", "?environment=dev&tree=secrets&x=1"] {
        keys(query).is_refused(400, "malformed");
    }
    assert_eq!(field(keys("?environment=qa&tree=secrets").is_refused(422, "invalid")), "environment");
    assert_eq!(field(keys("?environment=..&tree=secrets").is_refused(422, "invalid")), "environment");
    let entry = |key: &str| session.get(&format!("/api/entry?environment=dev&tree=variables&key={key}"));
    for key in ["", "/a", "a/", "..%2Fsecrets%2Fa", "a%00b", "a%2F%2Fb"] {
        assert_eq!(field(entry(key).is_refused(422, "invalid")), "key", "{key}");
    }
    entry("none").is_refused(404, "missing");
    let many: Vec<_> = (0..501).map(|n| n.to_string()).collect();
    session
        .post("/api/details", &json!({"environment": "dev", "tree": "secrets", "keys": many}))
        .is_refused(400, "malformed");
    for (body, at) in [
        (json!({"environment": "dev", "tree": "secrets", "keys": [CANARY, 1]}), "keys[1]"),
        (json!({"environment": "dev", "tree": CANARY, "keys": []}), "tree"),
        (json!({"environment": {"name": CANARY}, "tree": "secrets", "keys": []}), "environment"),
        (json!({"environment": CANARY, "tree": "secrets", "keys": [], "more": CANARY}), "more"),
        (json!({"environment": CANARY}), "one too few"),
        (json!([CANARY]), "no object"),
    ] {
        let error = session.post("/api/details", &body).is_refused(400, "malformed");
        assert!(error["message"].as_str().unwrap().contains(at), "{error}");
    }
}
