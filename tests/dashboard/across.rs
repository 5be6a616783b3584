//! Keys in several environments: whether they differ, and copying them.

use serde_json::{Value, json};

use crate::Cases;
use crate::fixture::{Mount, PAYMENTS, ROOT, User};
use crate::http::{CANARY, Dashboard};
use crate::keys::{IN_ANALYSTS, IN_PAYMENTS};

pub const CASES: Cases = &[
    ("variables_are_compared", variables_are_compared),
    ("secrets_are_compared_for_who_reads_them", secrets_are_compared_for_who_reads_them),
    ("no_secret_is_opened_unasked", no_secret_is_opened_unasked),
    ("what_is_closed_is_told", what_is_closed_is_told),
    ("variables_are_copied_as_shown", variables_are_copied_as_shown),
    ("secrets_are_copied_unseen", secrets_are_copied_unseen),
];

fn variables_are_compared() {
    let mount = Mount::new();
    for (path, value) in [("dev", "one\n"), ("pre", "one"), ("prod", "two")] {
        mount.put(&format!("{path}/variables/key"), value);
    }
    mount.put("dev/variables/alone", "x");
    mount.put("dev/variables/binary", b"\xff");
    mount.put("pre/variables/binary", b"\xff\n");
    mount.mkdir("pre/variables/alone");
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let compare = |environments: &[&str], keys: &[&str], values: bool| {
        let body = json!({"tree": "variables", "environments": environments, "keys": keys, "values": values});
        session.post("/api/compare", &body).is_good()["items"].clone()
    };
    let items = compare(&["dev", "pre", "prod"], &["key", "alone", "binary", "none"], true);
    let differs: Vec<_> = items.as_array().unwrap().iter().map(|item| item["differs"].clone()).collect();
    assert_eq!(differs, [json!(true), json!(null), json!(false), json!(null)]);
    let cell = |item: usize, at: usize| &items[item]["cells"][at];
    assert_eq!((&cell(0, 0)["value"], &cell(0, 0)["newline"]), (&json!("one"), &json!(true)));
    assert_eq!((&cell(0, 2)["value"], &cell(0, 2)["version"]), (&json!("two"), &json!(1)));
    assert_eq!(cell(1, 1), &json!({"environment": "pre", "state": "missing"}));
    assert_eq!(cell(2, 0)["kind"], "binary");
    assert_eq!(compare(&["dev", "pre"], &["key"], false)[0]["differs"], false);
    assert_eq!(compare(&["dev", "pre"], &["key"], false)[0]["cells"][0]["value"], json!(null));
    let body = json!({"tree": "variables", "environments": ["dev", "qa"], "keys": ["key"]});
    assert_eq!(session.post("/api/compare", &body).is_refused(422, "invalid")["field"], "environment");
}

fn secrets_are_compared_for_who_reads_them() {
    let mount = Mount::new();
    for (path, value, mode) in [("dev", "", 0o640), ("pre", "\n", 0o640), ("prod", "-else", 0o600)] {
        mount.put(&format!("{path}/secrets/key"), format!("{CANARY}{value}"));
        mount.own(&format!("{path}/secrets/key"), 0, PAYMENTS, mode);
    }
    let differs = |user: &User<'_>, environments: &[&str]| {
        let dashboard = Dashboard::start(&mount, user);
        let body = json!({"tree": "secrets", "environments": environments, "keys": ["key"], "values": true});
        let item = dashboard.log_in().post("/api/compare", &body).is_good()["items"][0].clone();
        let cells = item["cells"].as_array().unwrap();
        assert!(cells.iter().all(|cell| cell["value"].is_null() && cell["kind"] == "secret"), "{item}");
        item["differs"].clone()
    };
    assert_eq!(differs(&IN_PAYMENTS, &["dev", "pre"]), json!(false));
    assert_eq!(differs(&IN_PAYMENTS, &["dev", "pre", "prod"]), json!(null));
    assert_eq!(differs(&IN_ANALYSTS, &["dev", "pre"]), json!(null));
    assert_eq!(differs(&User(0, 0, &[PAYMENTS]), &["dev", "pre", "prod"]), json!(true));
}

/// What a list of secrets shows takes no decision on one: who looks at it leaves no trace of having read anything.
fn no_secret_is_opened_unasked() {
    let mount = Mount::new();
    for (path, group) in [("dev", PAYMENTS), ("pre", 0)] {
        mount.put(&format!("{path}/secrets/key"), CANARY);
        mount.own(&format!("{path}/secrets/key"), 0, group, 0o640);
    }
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let decisions = || {
        mount.audit().iter().filter(|record| ["granted", "denied"].contains(&record["event"].as_str().unwrap())).count()
    };
    let before = decisions();
    let mut body = json!({"tree": "secrets", "environments": ["dev", "pre"], "keys": ["key"], "secrets": false});
    let item = session.post("/api/compare", &body).is_good()["items"][0].clone();
    assert_eq!(
        (&item["differs"], &item["cells"][0]["kind"], &item["cells"][1]["kind"]),
        (&json!(null), &json!("secret"), &json!("denied"))
    );
    assert_eq!(decisions(), before);
    body["secrets"] = json!(true);
    session.post("/api/compare", &body).is_good();
    assert!(decisions() > before);
}

fn what_is_closed_is_told() {
    let mount = Mount::new();
    for environment in ["dev", "pre"] {
        mount.mkdir(&format!("{environment}/variables/app"));
        mount.put(&format!("{environment}/variables/app/key"), "x");
    }
    mount.own("pre/variables/app", 0, 0, 0o700);
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let body = json!({"tree": "variables", "environments": ["dev", "pre"], "keys": ["app/key"], "values": true});
    let item = dashboard.log_in().post("/api/compare", &body).is_good()["items"][0].clone();
    assert_eq!(
        (&item["differs"], &item["cells"][1]),
        (&json!(null), &json!({"environment": "pre", "state": "closed"}))
    );
}

/// A preview's body as the one that stores.
fn agreed(mut body: Value, preview: &Value) -> Value {
    body["preview"] = json!(false);
    body["versions"] = preview["versions"].clone();
    body
}

fn variables_are_copied_as_shown() {
    let mount = Mount::new();
    for (key, value) in [("app/new", "1"), ("app/other", "dev"), ("app/same", "s"), ("closed", "x")] {
        mount.mkdir("dev/variables/app");
        mount.put(&format!("dev/variables/{key}"), value);
    }
    mount.mkdir("pre/variables/app");
    mount.own("pre/variables/app", 20_001, 20_001, 0o755);
    for (key, value) in [("app/other", "pre"), ("app/same", "s")] {
        IN_PAYMENTS.sh(&format!("printf {value} > {}", mount.path(&format!("pre/variables/{key}")).display()));
    }
    mount.own("dev/variables/closed", 0, 0, 0o600);
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let copy = |body: &Value| session.post("/api/copy", body);
    let keys = ["app/new", "app/other", "app/same", "closed", "none", "app"];
    let body = json!({"tree": "variables", "from": "dev", "to": "pre", "keys": keys, "replace": true, "preview": true});
    let preview = copy(&body).is_good();
    let plan = &preview["plan"];
    assert_eq!(plan["added"], json!([{"key": "app/new", "value": "1"}]));
    assert_eq!(plan["changed"], json!([{"key": "app/other", "before": "pre", "after": "dev"}]));
    assert_eq!((&plan["same"], &plan["kept"], &preview["stored"]), (&json!(["app/same"]), &json!([]), &json!(null)));
    let refused: Vec<_> = plan["refused"].as_array().unwrap().iter().map(|one| one["key"].clone()).collect();
    assert_eq!(refused, ["closed", "none", "app"]);
    assert_eq!(preview["versions"], json!({"app/new": [1, 0], "app/other": [1, 1]}));
    let mut keep = body.clone();
    keep["replace"] = json!(false);
    assert_eq!(copy(&keep).is_good()["plan"]["kept"], json!(["app/other", "app/same"]));
    // Somebody stores something else meanwhile, here and there.
    for path in ["dev/variables/app/other", "pre/variables/app/other"] {
        mount.put(path, "newer");
        let error = copy(&agreed(body.clone(), &preview)).is_refused(409, "conflict");
        assert!(error["current"]["plan"]["added"].is_array(), "{error}");
        assert!(!mount.path("pre/variables/app/new").exists());
    }
    copy(&agreed(body.clone(), &json!({}))).is_refused(409, "conflict");
    mount.put("dev/variables/app/other", "newest");
    let preview = copy(&body).is_good();
    assert_eq!(copy(&agreed(body.clone(), &preview)).is_good()["stored"], 2);
    assert_eq!(
        (mount.get("pre/variables/app/new"), mount.get("pre/variables/app/other")),
        (b"1".to_vec(), b"newest".to_vec())
    );
    assert!(!mount.path("prod/variables/app").exists());
    let mut same = body;
    same["to"] = json!("dev");
    assert_eq!(copy(&same).is_refused(422, "invalid")["field"], "environment");
}

fn secrets_are_copied_unseen() {
    let mount = Mount::new();
    mount.put("dev/secrets/key", format!("{CANARY}-dev"));
    mount.own("dev/secrets/key", 0, PAYMENTS, 0o640);
    let body =
        json!({"tree": "secrets", "from": "dev", "to": "prod", "keys": ["key"], "replace": true, "preview": true});
    let dashboard = Dashboard::start(&mount, &IN_ANALYSTS);
    let session = dashboard.log_in();
    let preview = session.post("/api/copy", &body).is_good();
    assert_eq!(preview["plan"]["refused"][0]["key"], "key");
    assert_eq!(session.post("/api/copy", &agreed(body.clone(), &preview)).is_good()["stored"], 0);
    assert!(!mount.path("prod/secrets/key").exists());
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let preview = session.post("/api/copy", &body).is_good();
    assert_eq!(preview["plan"]["added"], json!([{"key": "key"}]));
    assert_eq!(session.post("/api/copy", &agreed(body.clone(), &preview)).is_good()["stored"], 1);
    // A copy is its maker's, as a new key is.
    User(20_001, 20_001, &[]).reads(&mount.path("prod/secrets/key"), format!("{CANARY}-dev"));
    ROOT.is_refused(&mount.path("prod/secrets/key"), "denied");
    assert_eq!(session.post("/api/copy", &body).is_good()["plan"]["same"], json!(["key"]));
}
