//! Versions of a key, going back, and keys that were removed.

use serde_json::{Value, json};

use crate::Cases;
use crate::change::entry;
use crate::fixture::{Mount, PAYMENTS, ROOT, run};
use crate::http::{CANARY, Dashboard};
use crate::keys::{IN_ANALYSTS, IN_PAYMENTS};

pub const CASES: Cases = &[
    ("a_variable_goes_back", a_variable_goes_back),
    ("a_secret_goes_back_unseen", a_secret_goes_back_unseen),
    ("removed_keys_are_listed_and_come_back", removed_keys_are_listed_and_come_back),
    ("what_others_removed_is_theirs", what_others_removed_is_theirs),
];

fn a_variable_goes_back() {
    let mount = Mount::new();
    for value in [&b"one\n"[..], b"two", b"\xff"] {
        mount.put("dev/variables/key", value);
    }
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    let history = session.get("/api/history?environment=dev&tree=variables&key=key").is_good();
    assert_eq!(history["present"], 3);
    let versions: Vec<_> = history["versions"].as_array().unwrap().iter().map(|past| past["version"].clone()).collect();
    assert_eq!(versions, [3, 2, 1]);
    assert_eq!((&history["versions"][2]["size"], &history["versions"][2]["modified_by"]), (&json!(4), &json!("root")));
    let version = |n: u64| session.get(&format!("/api/version?environment=dev&tree=variables&key=key&version={n}"));
    let first = version(1).is_good();
    assert_eq!((&first["value"], &first["newline"], &first["kind"]), (&json!("one"), &json!(true), &json!("text")));
    assert_eq!((&version(3).is_good()["base64"], &version(3).is_good()["kind"]), (&json!("/w=="), &json!("binary")));
    version(9).is_refused(404, "missing");
    let back = |version: u64, now: u64| json!({"environment": "dev", "tree": "variables", "key": "key", "version": version, "if_version": now});
    let error = session.post("/api/rollback", &back(1, 2)).is_refused(409, "conflict");
    assert_eq!(error["current"]["version"], 3);
    session.post("/api/rollback", &back(9, 3)).is_refused(404, "missing");
    assert_eq!(mount.get("dev/variables/key"), b"\xff");
    assert_eq!(session.post("/api/rollback", &back(1, 3)).is_good(), json!({"version": 4}));
    assert_eq!(mount.get("dev/variables/key"), b"one\n");
}

fn a_secret_goes_back_unseen() {
    let mount = Mount::new();
    mount.put("dev/secrets/key", format!("{CANARY}-1"));
    mount.own("dev/secrets/key", 0, PAYMENTS, 0o660);
    mount.put("dev/secrets/key", format!("{CANARY}-2"));
    let back = json!({"environment": "dev", "tree": "secrets", "key": "key", "version": 1, "if_version": 2});
    let asked = "/api/version?environment=dev&tree=secrets&key=key&version=1";
    let history = "/api/history?environment=dev&tree=secrets&key=key";
    let dashboard = Dashboard::start(&mount, &IN_ANALYSTS);
    let session = dashboard.log_in();
    session.get(asked).is_refused(403, "denied");
    session.post("/api/rollback", &back).is_refused(403, "denied");
    assert_eq!(session.get(history).is_good()["present"], 2);
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let error = session.get(asked).is_refused(403, "denied");
    assert!(error["message"].as_str().unwrap().contains("`dt kv get -s -e dev --version 1 key`"), "{error}");
    session.post("/api/rollback", &back).is_good();
    IN_PAYMENTS.reads(&mount.path("dev/secrets/key"), format!("{CANARY}-1"));
    assert_eq!(entry(&session, "secrets", "key")["modified_by"], "alice");
}

fn names(items: &Value) -> Vec<(String, u64)> {
    let items = items["items"].as_array().unwrap();
    items.iter().map(|item| (item["key"].as_str().unwrap().to_owned(), item["version"].as_u64().unwrap())).collect()
}

fn removed_keys_are_listed_and_come_back() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/app/db");
    for key in ["app/db/host", "app/db/port", "app/url", "top", "stays", "7"] {
        mount.put(&format!("dev/variables/{key}"), "one");
    }
    mount.put("dev/variables/top", "two");
    for key in ["app/db/host", "app/db/port", "top", "7"] {
        std::fs::remove_file(mount.path(&format!("dev/variables/{key}"))).unwrap();
    }
    std::fs::remove_dir(mount.path("dev/variables/app/db")).unwrap();
    // What was a key is a directory now, and what was removed came back.
    mount.mkdir("dev/variables/top");
    mount.put("dev/variables/top/1", "below");
    mount.put("dev/variables/app/back", "one");
    std::fs::remove_file(mount.path("dev/variables/app/back")).unwrap();
    mount.put("dev/variables/app/back", "two");
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    let list = || session.get("/api/removed?environment=dev&tree=variables").is_good();
    let removed = list();
    let expected = [("7", 1), ("app/db/host", 1), ("app/db/port", 1)];
    assert_eq!(names(&removed), expected.map(|(key, version)| (key.to_owned(), version)));
    assert_eq!(removed["items"][0]["modified_by"], "root");
    let restore =
        |keys: Value| session.post("/api/restore", &json!({"environment": "dev", "tree": "variables", "keys": keys}));
    // One that can't be keeps the others from coming back.
    restore(json!([{"key": "app/db/host"}, {"key": "top"}])).is_refused(404, "missing");
    restore(json!([{"key": "app/db/host"}, {"key": "app/url"}])).is_refused(409, "exists");
    assert!(!mount.path("dev/variables/app/db").exists());
    restore(json!([{"key": "never"}])).is_refused(404, "missing");
    let good = json!([{"key": "app/db/host", "version": 1, "permissions": {"others": "r"}}, {"key": "7"}]);
    assert_eq!(restore(good).is_good(), json!({"restored": 2}));
    assert_eq!(
        (mount.get("dev/variables/app/db/host"), mount.get("dev/variables/7")),
        (b"one".to_vec(), b"one".to_vec())
    );
    assert_eq!(names(&list()), [("app/db/port".to_owned(), 1)]);
    let mode = run(ROOT.command("stat").args(["-c", "%a"]).arg(mount.path("dev/variables/app/db/host")));
    assert_eq!(mode.trim(), "604");
}

fn what_others_removed_is_theirs() {
    let mount = Mount::new();
    mount.mkdir("dev/secrets/closed");
    for key in ["closed/key", "open"] {
        mount.put(&format!("dev/secrets/{key}"), CANARY);
        std::fs::remove_file(mount.path(&format!("dev/secrets/{key}"))).unwrap();
    }
    mount.own("dev/secrets/closed", 0, 0, 0o700);
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    assert_eq!(names(&session.get("/api/removed?environment=dev&tree=secrets").is_good()), [("open".to_owned(), 1)]);
    for key in ["open", "closed/key"] {
        let body = json!({"environment": "dev", "tree": "secrets", "keys": [{"key": key, "version": 1}]});
        session.post("/api/restore", &body).is_refused(403, "denied");
        assert!(!mount.path(&format!("dev/secrets/{key}")).exists());
    }
}
