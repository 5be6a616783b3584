//! Making, editing and removing keys: in one commit, as they were seen, or not at all.

use std::path::Path;

use serde_json::{Value, json};

use crate::Cases;
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, OPS, PAYMENTS, ROOT, User, run};
use crate::http::{CANARY, Dashboard, Session};
use crate::keys::{IN_ANALYSTS, IN_PAYMENTS};

pub const CASES: Cases = &[
    ("a_new_key_has_its_permissions_at_once", a_new_key_has_its_permissions_at_once),
    ("several_environments_or_none", several_environments_or_none),
    ("a_secret_is_written_and_not_read", a_secret_is_written_and_not_read),
    ("an_edit_is_of_what_was_seen", an_edit_is_of_what_was_seen),
    ("value_permissions_and_expiry_in_one_commit", value_permissions_and_expiry_in_one_commit),
    ("permissions_are_exactly_these", permissions_are_exactly_these),
    ("who_may_not_changes_nothing", who_may_not_changes_nothing),
    ("wrong_input_is_told_by_its_field", wrong_input_is_told_by_its_field),
    ("of_several_writers_one_wins", of_several_writers_one_wins),
    ("all_are_removed_or_none", all_are_removed_or_none),
    ("an_undone_removal_opens_nothing", an_undone_removal_opens_nothing),
    ("a_removal_is_undone", a_removal_is_undone),
];

/// The body that makes a variable of dev.
pub fn making(key: &str, value: &str) -> Value {
    json!({ "environments": ["dev"], "tree": "variables", "key": key, "create": true, "value": value })
}

pub fn entry(session: &Session<'_>, tree: &str, key: &str) -> Value {
    session.get(&format!("/api/entry?environment=dev&tree={tree}&key={key}")).is_good()
}

fn acl(path: &Path) -> String {
    let text = run(ROOT.command("getfacl").args(["-pc"]).arg(path));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Everything of a mount that a change could touch: names, values, attributes.
fn state(mount: &Mount) -> String {
    let script = "cd \"$0\" && find . -not -name .keyfs -printf '%p %M %U %G %T@\\n' | sort && getfattr -R -d -m - . 2>/dev/null | sort && grep -r '' */variables | sort";
    run(User(0, 0, &[PAYMENTS, ANALYSTS, OPS]).command("sh").arg("-c").arg(script).arg(mount.root()))
}

/// That a call is refused, and that it has changed nothing.
#[track_caller]
fn refused(mount: &Mount, session: &Session<'_>, path: &str, body: &Value, status: u16, code: &str) -> Value {
    let before = state(mount);
    let error = session.post(path, body).is_refused(status, code);
    assert_eq!(state(mount), before);
    error
}

fn a_new_key_has_its_permissions_at_once() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let body = json!({
        "environments": ["dev"], "tree": "variables", "key": "app/db/host", "create": true, "value": "db1", "newline": true,
        "expires": "2031-01-01T00:00:00+01:00",
        "permissions": {"users": [{"name": "bob", "rights": "r"}], "groups": [{"name": "payments", "rights": "rw"}], "others": ""},
    });
    assert_eq!(session.post("/api/put", &body).is_good(), json!({"stored": [{"environment": "dev", "version": 1}]}));
    assert_eq!(mount.get("dev/variables/app/db/host"), b"db1\n");
    let path = mount.path("dev/variables/app/db/host");
    assert_eq!(acl(&path), "user::rw- user:bob:r-- group::--- group:payments:rw- mask::rw- other::---");
    let seen = entry(&session, "variables", "app/db/host");
    assert_eq!((&seen["expires"], &seen["modified_by"]), (&json!("2030-12-31T23:00:00Z"), &json!("alice")));
    // Without anybody named it is its maker's.
    let body = json!({"environments": ["dev"], "tree": "variables", "key": "own", "create": true, "value": ""});
    session.post("/api/put", &body).is_good();
    assert_eq!(acl(&mount.path("dev/variables/own")), "user::rw- group::--- other::---");
    // One that is there is refused, with what it is.
    let error = refused(&mount, &session, "/api/put", &body, 409, "exists");
    assert_eq!((&error["field"], &error["current"]["version"]), (&json!("key"), &json!(1)));
}

fn several_environments_or_none() {
    let mount = Mount::new();
    mount.put("pre/variables/key", "there");
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let body = |environments: &[&str], key: &str| json!({"environments": environments, "tree": "variables", "key": key, "create": true, "value": "new"});
    refused(&mount, &session, "/api/put", &body(&["dev", "pre", "qa"], "other"), 422, "invalid");
    refused(&mount, &session, "/api/put", &body(&["dev", "pre"], "key"), 409, "exists");
    // Nobody but root adds keys in prod from now on: the others would take it.
    mount.own("prod/variables", 0, 0, 0o755);
    refused(&mount, &session, "/api/put", &body(&["dev", "pre", "prod"], "other"), 403, "denied");
    let stored = session.post("/api/put", &body(&["pre", "dev"], "other")).is_good();
    assert_eq!(stored, json!({"stored": [{"environment": "dev", "version": 1}, {"environment": "pre", "version": 1}]}));
    assert!(!mount.path("prod/variables/other").exists());
    // An edit of both, each at its version.
    mount.put("pre/variables/other", "elsewhere");
    let mut edit = json!({"environments": ["dev", "pre"], "tree": "variables", "key": "other", "create": false, "value": "newer",
        "versions": {"dev": 1, "pre": 1}});
    refused(&mount, &session, "/api/put", &edit, 409, "conflict");
    edit["versions"]["pre"] = json!(2);
    session.post("/api/put", &edit).is_good();
    assert_eq!(
        (mount.get("dev/variables/other"), mount.get("pre/variables/other")),
        (b"newer".to_vec(), b"newer".to_vec())
    );
}

fn a_secret_is_written_and_not_read() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let put = |body: Value| session.post("/api/put", &body);
    let body = json!({"environments": ["dev"], "tree": "secrets", "key": "db/password", "create": true, "value": CANARY,
        "permissions": {"groups": [{"name": "payments", "rights": "r"}]}});
    put(body.clone()).is_good();
    put(body).is_refused(409, "exists");
    IN_PAYMENTS.reads(&mount.path("dev/secrets/db/password"), CANARY);
    IN_ANALYSTS.is_refused(&mount.path("dev/secrets/db/password"), "denied");
    // A user stands for the group that is that user's alone.
    let body = json!({"environments": ["dev"], "tree": "secrets", "key": "db/password", "create": false, "versions": {"dev": 1},
        "permissions": {"users": [{"name": "bob", "rights": "r"}], "groups": [{"name": "payments", "rights": "rw"}]}});
    put(body).is_good();
    IN_ANALYSTS.reads(&mount.path("dev/secrets/db/password"), CANARY);
    let seen = entry(&session, "secrets", "db/password");
    assert_eq!(
        seen["permissions"]["groups"],
        json!([{"name": "bob", "rights": "r"}, {"name": "payments", "rights": "rw"}])
    );
    for (permissions, words) in [
        (json!({"others": "r"}), "never open to everybody"),
        (json!({"users": [{"name": "nobody", "rights": "r"}]}), "no group of its own"),
    ] {
        let body = json!({"environments": ["dev"], "tree": "secrets", "key": "db/password", "create": false, "value": CANARY,
            "permissions": permissions});
        let error = refused(&mount, &session, "/api/put", &body, 422, "invalid");
        assert_eq!(error["field"], "permissions");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
}

fn an_edit_is_of_what_was_seen() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    for (tree, value) in [("variables", "one"), ("secrets", CANARY)] {
        let made = json!({"environments": ["dev"], "tree": tree, "key": "key", "create": true, "value": value,
            "permissions": {"groups": [{"name": "ops", "rights": "rw"}]}});
        session.post("/api/put", &made).is_good();
        let seen = entry(&session, tree, "key");
        let in_ops = User(BOB, BOB, &[OPS]);
        let path = mount.path(&format!("dev/{tree}/key"));
        let base = seen["permissions"].clone();
        let edit = json!({"environments": ["dev"], "tree": tree, "key": "key", "create": false, "versions": {"dev": 1},
            "value": format!("{value}-mine"), "base_permissions": base});
        // Somebody stores another value.
        assert!(in_ops.sh(&format!("echo {value}-theirs > {}", path.display())).status.success());
        let error = refused(&mount, &session, "/api/put", &edit, 409, "conflict");
        let current = &error["current"];
        assert_eq!((&current["version"], &current["modified_by"]), (&json!(2), &json!("bob")));
        let shown = if tree == "variables" { json!("one-theirs") } else { json!(null) };
        assert_eq!(current["value"], shown);
        // Somebody gives it other permissions.
        let mut edit = edit;
        edit["versions"]["dev"] = json!(2);
        run(ROOT.command("setfacl").args(["-m", "g:analysts:r"]).arg(&path));
        let error = refused(&mount, &session, "/api/put", &edit, 409, "conflict");
        assert!(error["current"]["permissions"]["groups"].to_string().contains("analysts"), "{error}");
        edit["base_permissions"] = error["current"]["permissions"].clone();
        // Somebody lets it expire, which is the same moment however it is written.
        edit["base_expires"] = seen["expires"].clone();
        edit["expires"] = json!("2032-01-01T00:00:00Z");
        run(ROOT.command("setfattr").args(["-n", "user.keyfs.expires", "-v", "2031-01-01T00:00:00Z"]).arg(&path));
        let error = refused(&mount, &session, "/api/put", &edit, 409, "conflict");
        assert_eq!(error["current"]["expires"], "2031-01-01T00:00:00Z");
        edit["base_expires"] = json!("2031-01-01T01:00:00+01:00");
        assert_eq!(session.post("/api/put", &edit).is_good()["stored"][0]["version"], 3);
        assert_eq!(entry(&session, tree, "key")["expires"], "2032-01-01T00:00:00Z");
        // It is gone.
        mount_remove(&path);
        refused(&mount, &session, "/api/put", &edit, 404, "missing");
        assert!(!path.exists());
    }
}

fn mount_remove(path: &Path) {
    std::fs::remove_file(path).expect("rm");
}

fn value_permissions_and_expiry_in_one_commit() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    session.post("/api/put", &making("key", "one")).is_good();
    let mut stream = session.stream("/api/events");
    assert_eq!(stream.next().unwrap()["kind"], "ready");
    let edit = json!({"environments": ["dev"], "tree": "variables", "key": "key", "create": false, "versions": {"dev": 1},
        "value": "two", "expires": "2031-01-01T00:00:00Z", "permissions": {"groups": [{"name": "payments", "rights": "r"}]}});
    session.post("/api/put", &edit).is_good();
    let edit = json!({"environments": ["dev"], "tree": "variables", "key": "key", "create": false, "versions": {"dev": 2},
        "expires": null});
    session.post("/api/put", &edit).is_good();
    session.post("/api/put", &making("last", "")).is_good();
    let mut lines = Vec::new();
    loop {
        let line = stream.next().expect("a line");
        if line["key"] == "last" {
            break;
        }
        lines.push(line);
    }
    let commit = |line: &Value| line["cursor"].as_u64().unwrap() >> 16;
    let whats: Vec<_> = lines.iter().map(|line| (line["what"].as_str().unwrap(), commit(line))).collect();
    let first = whats[0].1;
    let of_first: Vec<_> = whats.iter().filter(|(_, at)| *at == first).map(|(what, _)| *what).collect();
    assert!(of_first.contains(&"put") && of_first.contains(&"permission"), "{lines:?}");
    let seen = entry(&session, "variables", "key");
    assert_eq!((&seen["version"], &seen["value"], &seen["expires"]), (&json!(2), &json!("two"), &json!(null)));
    assert_eq!(seen["permissions"]["groups"], json!([{"name": "payments", "rights": "r"}]));
}

fn permissions_are_exactly_these() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    session.post("/api/put", &making("key", "one")).is_good();
    let path = mount.path("dev/variables/key");
    run(ROOT.command("setfacl").args(["-m", "g:ops:rw,u:bob:-,g:analysts:rw,o::r,m::r"]).arg(&path));
    let seen = entry(&session, "variables", "key");
    // What is as it was shown is left as it is, the mask included.
    let before = acl(&path);
    let mut edit = json!({"environments": ["dev"], "tree": "variables", "key": "key", "create": false, "value": "two",
        "permissions": seen["permissions"], "base_permissions": seen["permissions"]});
    session.post("/api/put", &edit).is_good();
    assert_eq!(acl(&path), before);
    edit["permissions"]["groups"] = json!([{"name": "payments", "rights": "rw"}, {"name": "alice", "rights": "r"}]);
    edit["permissions"]["others"] = json!("");
    session.post("/api/put", &edit).is_good();
    assert_eq!(acl(&path), "user::rw- user:bob:--- group::r-- group:payments:rw- mask::rw- other::---");
    // Whoever reads and writes it may give it to other groups, and not to others.
    let dashboard = Dashboard::start(&mount, &User(BOB, ANALYSTS, &[OPS]));
    mount.put("dev/variables/theirs", "x");
    run(ROOT.command("setfacl").args(["-m", "g:ops:rw,o::-"]).arg(mount.path("dev/variables/theirs")));
    let session = dashboard.log_in();
    let mut edit = json!({"environments": ["dev"], "tree": "variables", "key": "theirs", "create": false,
        "permissions": {"groups": [{"name": "ops", "rights": "rw"}, {"name": "payments", "rights": "r"}]}});
    session.post("/api/put", &edit).is_good();
    assert_eq!(
        acl(&mount.path("dev/variables/theirs")),
        "user::rw- group::--- group:payments:r-- group:ops:rw- mask::rw- other::---"
    );
    edit["permissions"]["others"] = json!("r");
    refused(&mount, &session, "/api/put", &edit, 403, "denied");
}

fn who_may_not_changes_nothing() {
    let mount = Mount::new();
    mount.put("dev/secrets/password", CANARY);
    // Bob's group writes, and doesn't read.
    run(ROOT
        .command("setfacl")
        .args(["-m", "g:payments:rw,g:analysts:w,g::-"])
        .arg(mount.path("dev/secrets/password")));
    mount.put("dev/variables/key", "one");
    let edit = |tree: &str, key: &str, more: Value| {
        let mut body = json!({"environments": ["dev"], "tree": tree, "key": key, "create": false});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let dashboard = Dashboard::start(&mount, &IN_ANALYSTS);
    let session = dashboard.log_in();
    let permissions = json!({"permissions": {"groups": [{"name": "analysts", "rights": "rw"}]}});
    refused(&mount, &session, "/api/put", &edit("secrets", "password", permissions.clone()), 403, "denied");
    refused(&mount, &session, "/api/put", &edit("variables", "key", permissions), 403, "denied");
    refused(&mount, &session, "/api/put", &edit("variables", "key", json!({"value": "two"})), 403, "denied");
    let removal =
        |tree: &str, key: &str| json!({"environment": "dev", "tree": tree, "keys": [{"key": key, "version": 1}]});
    refused(&mount, &session, "/api/remove", &removal("secrets", "password"), 403, "denied");
    refused(&mount, &session, "/api/remove", &removal("variables", "key"), 403, "denied");
    // A rotation stores what it can't read.
    session
        .post("/api/put", &edit("secrets", "password", json!({"value": format!("{CANARY}-2"), "versions": {"dev": 1}})))
        .is_good();
    IN_PAYMENTS.reads(&mount.path("dev/secrets/password"), format!("{CANARY}-2"));
    // In a directory that somebody else has.
    mount.mkdir("dev/variables/app");
    let body = json!({"environments": ["dev"], "tree": "variables", "key": "app/key", "create": true, "value": "x"});
    let error = refused(&mount, &session, "/api/put", &body, 403, "denied");
    assert!(error["message"].as_str().unwrap().contains("needs write in the directory"), "{error}");
}

fn wrong_input_is_told_by_its_field() {
    let mount = Mount::with(&["--value-limit", "1000"]);
    mount.mkdir("dev/variables/app");
    mount.put("dev/variables/app/key", "x");
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    let good = json!({"environments": ["dev"], "tree": "variables", "key": "new", "create": true, "value": CANARY});
    let cases: &[(&str, Value, &str)] = &[
        ("key", json!("a//b"), "key"),
        ("key", json!(""), "key"),
        ("key", json!("app"), "key"),
        ("key", json!("app/key/below"), "key"),
        ("key", json!("x".repeat(256)), "key"),
        ("environments", json!([]), "environment"),
        ("environments", json!(["qa"]), "environment"),
        ("environments", json!([".keyfs"]), "environment"),
        ("value", json!("x".repeat(1001)), "value"),
        ("value", json!(null), "value"),
        ("expires", json!("tomorrow"), "expires"),
        ("expires", json!("2031-01-01"), "expires"),
        ("permissions", json!({"groups": [{"name": "no such group", "rights": "r"}]}), "permissions"),
        ("permissions", json!({"users": [{"name": "no such user", "rights": "r"}]}), "permissions"),
        ("permissions", json!({"groups": [{"name": "ops", "rights": "x"}]}), "permissions"),
        ("permissions", json!({"others": "everything"}), "permissions"),
    ];
    for (name, value, field) in cases {
        let mut body = good.clone();
        body[name] = value.clone();
        let error = refused(&mount, &session, "/api/put", &body, 422, "invalid");
        assert_eq!(&error["field"], field, "{name} = {value}: {error}");
    }
    for (name, value) in
        [("value", json!([CANARY])), ("base64", json!("x")), ("create", json!("yes")), ("tree", json!("x"))]
    {
        let mut body = good.clone();
        body[name] = value;
        refused(&mount, &session, "/api/put", &body, 400, "malformed");
    }
    let mut body = good.clone();
    body.as_object_mut().unwrap().remove("value");
    body["base64"] = json!("not base64!");
    refused(&mount, &session, "/api/put", &body, 400, "malformed");
    body["base64"] = json!("/wD/");
    session.post("/api/put", &body).is_good();
    assert_eq!(mount.get("dev/variables/new"), b"\xff\x00\xff");
    assert!(!dashboard.logged().contains(CANARY));
}

fn of_several_writers_one_wins() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    session.post("/api/put", &making("key", "none")).is_good();
    for version in 1..6_u64 {
        let outcomes: Vec<u16> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let session = &session;
                    scope.spawn(move || {
                        let edit = json!({"environments": ["dev"], "tree": "variables", "key": "key", "create": false,
                            "versions": {"dev": version}, "value": format!("{version}-{writer}"),
                            "permissions": {"groups": [{"name": "ops", "rights": "r"}], "others": if version % 2 == 0 { "r" } else { "" }}});
                        session.post("/api/put", &edit).status
                    })
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|status| **status == 200).count(), 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|status| [200, 409].contains(status)), "{outcomes:?}");
        assert_eq!(entry(&session, "variables", "key")["version"], version + 1);
    }
}

fn all_are_removed_or_none() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/app/db");
    for key in ["app/db/host", "app/db/port", "app/url"] {
        mount.put(&format!("dev/variables/{key}"), "x");
    }
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    let below = session.get("/api/below?environment=dev&tree=variables&prefix=app/db").is_good();
    let mut body = json!({"environment": "dev", "tree": "variables", "keys": below["keys"]});
    assert_eq!(body["keys"].as_array().unwrap().len(), 2);
    mount.put("dev/variables/app/db/port", "y");
    let error = refused(&mount, &session, "/api/remove", &body, 409, "conflict");
    assert_eq!(error["current"]["key"], "app/db/port");
    body["keys"][1]["version"] = json!(2);
    let removed = session.post("/api/remove", &body).is_good();
    assert_eq!(removed["removed"].as_array().unwrap().len(), 2);
    // Empty directories go with their last key.
    assert!(!mount.path("dev/variables/app/db").exists() && mount.path("dev/variables/app/url").exists());
    refused(&mount, &session, "/api/remove", &body, 404, "missing");
}

fn a_removal_is_undone() {
    let mount = Mount::new();
    mount.put("dev/secrets/a", CANARY);
    mount.put("dev/secrets/b", format!("{CANARY}-b"));
    for (key, acl) in [("a", "g:payments:rw"), ("b", "g:payments:rw,g:ops:r")] {
        run(ROOT.command("setfacl").args(["-m", acl]).arg(mount.path(&format!("dev/secrets/{key}"))));
    }
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let keys = json!([{"key": "a", "version": 1}, {"key": "b", "version": 1}]);
    let removed =
        session.post("/api/remove", &json!({"environment": "dev", "tree": "secrets", "keys": keys})).is_good();
    assert!(!mount.path("dev/secrets/a").exists());
    // What an answer has is what the undoing takes.
    let undo = json!({"environment": "dev", "tree": "secrets", "keys": removed["removed"]});
    assert_eq!(session.post("/api/restore", &undo).is_good(), json!({"restored": 2}));
    IN_PAYMENTS.reads(&mount.path("dev/secrets/a"), CANARY);
    User(BOB, BOB, &[OPS]).reads(&mount.path("dev/secrets/b"), format!("{CANARY}-b"));
    let owner = run(ROOT.command("stat").args(["-c", "%u"]).arg(mount.path("dev/secrets/b")));
    assert_eq!(owner.trim(), ALICE.to_string());
    let error = refused(&mount, &session, "/api/restore", &undo, 409, "exists");
    assert_eq!(error["current"]["value"], json!(null));
}

fn an_undone_removal_opens_nothing() {
    let mount = Mount::new();
    mount.mkdir("dev/secrets/closed");
    run(ROOT.command("chmod").arg("700").arg(mount.path("dev/secrets/closed")));
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    let expires = "2031-01-01T00:00:00Z";
    for key in ["closed/key", "usual/key"] {
        let body = json!({"environments": ["dev"], "tree": "secrets", "key": key, "create": true, "value": CANARY, "expires": expires});
        session.post("/api/put", &body).is_good();
    }
    let keys = json!([{"key": "closed/key", "version": 1}, {"key": "usual/key", "version": 1}]);
    let removed =
        session.post("/api/remove", &json!({"environment": "dev", "tree": "secrets", "keys": keys})).is_good();
    // A directory that is as any new one goes with its last key; what closes another is in nothing that could be undone.
    assert!(!mount.path("dev/secrets/usual").exists());
    let undo = json!({"environment": "dev", "tree": "secrets", "keys": removed["removed"]});
    session.post("/api/restore", &undo).is_good();
    let mode = run(ROOT.command("stat").args(["-c", "%a"]).arg(mount.path("dev/secrets/closed")));
    assert_eq!(mode.trim(), "700");
    for key in ["closed/key", "usual/key"] {
        let entry = session.get(&format!("/api/entry?environment=dev&tree=secrets&key={key}")).is_good();
        assert_eq!(entry["expires"], expires);
    }
}
