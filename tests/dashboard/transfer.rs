//! Import with its preview, and export.

use serde_json::{Value, json};

use crate::Cases;
use crate::fixture::{Mount, ROOT};
use crate::http::{CANARY, Dashboard};
use crate::keys::{IN_ANALYSTS, IN_PAYMENTS};

pub const CASES: Cases = &[
    ("an_import_is_previewed_and_stored", an_import_is_previewed_and_stored),
    ("an_import_is_all_or_nothing", an_import_is_all_or_nothing),
    ("secrets_are_imported_unseen", secrets_are_imported_unseen),
    ("texts_that_can_t_be_read", texts_that_can_t_be_read),
    ("a_large_import", a_large_import),
    ("variables_are_exported", variables_are_exported),
];

/// A preview's body as the one that stores.
fn agreed(body: &Value, preview: &Value) -> Value {
    let mut body = body.clone();
    body["preview"] = json!(false);
    body["digest"] = preview["digest"].clone();
    body
}

fn an_import_is_previewed_and_stored() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/app/db");
    mount.put("dev/variables/app/db/host", "old");
    mount.put("dev/variables/app/url", "x");
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    let text = "# a comment\nDB__HOST=new\nURL=x\nPORT=1\n";
    let body = json!({"environment": "dev", "tree": "variables", "text": text, "directory": "app", "double_underscore": true,
        "case": "lower", "permissions": {"groups": [{"name": "payments", "rights": "r"}]}, "preview": true});
    let preview = session.post("/api/import", &body).is_good();
    assert_eq!(preview["format"], "dotenv");
    let plan = json!({"added": [{"key": "app/port", "value": "1"}],
        "changed": [{"key": "app/db/host", "before": "old", "after": "new"}], "same": ["app/url"], "invalid": []});
    assert_eq!((&preview["plan"], &preview["stored"]), (&plan, &json!(null)));
    assert!(!mount.path("dev/variables/app/port").exists());
    // What is there now isn't what was looked at.
    mount.put("dev/variables/app/db/host", "newer");
    let error = session.post("/api/import", &agreed(&body, &preview)).is_refused(409, "conflict");
    assert_eq!(error["current"]["plan"]["changed"][0]["before"], "newer");
    assert!(!mount.path("dev/variables/app/port").exists());
    let stored = session.post("/api/import", &agreed(&body, &error["current"])).is_good();
    assert_eq!(stored["stored"], 2);
    assert_eq!(mount.get("dev/variables/app/db/host"), b"new");
    IN_PAYMENTS.reads(&mount.path("dev/variables/app/port"), "1");
    IN_ANALYSTS.is_refused(&mount.path("dev/variables/app/port"), "denied");
}

fn an_import_is_all_or_nothing() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/closed");
    mount.put("dev/variables/key", "x");
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let import = |body: &Value| session.post("/api/import", body);
    let body = json!({"environment": "dev", "tree": "variables", "format": "json", "preview": true,
        "text": r#"{"good": "1", "key": {"below": "2"}, "none": null, "a//b": "3"}"#});
    let preview = import(&body).is_good();
    let invalid: Vec<_> = preview["plan"]["invalid"].as_array().unwrap().iter().map(|one| one["key"].clone()).collect();
    assert_eq!(invalid, ["none", "a//b", "key/below"]);
    let error = import(&agreed(&body, &preview)).is_refused(422, "invalid");
    assert_eq!(error["field"], "text");
    assert!(!mount.path("dev/variables/good").exists());
    // What can't be stored is left out where the user says so.
    let mut some = agreed(&body, &preview);
    some["leave_out_invalid"] = json!(true);
    assert_eq!(import(&some).is_good()["stored"], 1);
    assert_eq!((mount.get("dev/variables/good"), mount.get("dev/variables/key")), (b"1".to_vec(), b"x".to_vec()));
    std::fs::remove_file(mount.path("dev/variables/good")).unwrap();
    // One that may not be stored.
    let body = json!({"environment": "dev", "tree": "variables", "format": "json", "preview": true,
        "text": r#"{"good": "1", "closed/key": "2"}"#});
    let preview = import(&body).is_good();
    import(&agreed(&body, &preview)).is_refused(403, "denied");
    assert!(!mount.path("dev/variables/good").exists());
}

fn secrets_are_imported_unseen() {
    let mount = Mount::new();
    mount.put("dev/secrets/password", CANARY);
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    let body = json!({"environment": "dev", "tree": "secrets", "preview": true,
        "text": format!("password: {CANARY}\ntoken: {CANARY}-2\nnone: null\n")});
    let preview = session.post("/api/import", &body).is_good();
    assert_eq!(preview["format"], "yaml");
    assert_eq!(
        (&preview["plan"]["added"], &preview["plan"]["changed"]),
        (&json!([{"key": "token"}]), &json!([{"key": "password"}]))
    );
    let mut good = body;
    good["text"] = json!(format!("{{\"password\": \"{CANARY}-1\", \"token\": \"{CANARY}-2\"}}"));
    let preview = session.post("/api/import", &good).is_good();
    let digest = preview["digest"].clone();
    assert_eq!(session.post("/api/import", &agreed(&good, &preview)).is_good()["stored"], 2);
    assert_eq!(mount.get("dev/secrets/password"), format!("{CANARY}-1").as_bytes());
    // The digest tells nothing of a value.
    let mut other = good.clone();
    other["environment"] = json!("pre");
    other["text"] = json!("{\"password\": \"a\", \"token\": \"b\"}");
    let one = session.post("/api/import", &other).is_good()["digest"].clone();
    other["text"] = json!("{\"password\": \"c\", \"token\": \"d\"}");
    assert_eq!(session.post("/api/import", &other).is_good()["digest"], one);
    assert_ne!(digest, one);
}

fn texts_that_can_t_be_read() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    for (format, text, words) in [
        ("json", format!("{{\"password\": {CANARY}}}"), "json: line 1"),
        ("json", format!("[\"{CANARY}\"]"), "json: line 1"),
        ("yaml", format!("a: 1\nb: [{CANARY}"), "yaml: line"),
        ("dotenv", format!("A=1\nB=\"{CANARY}"), "dotenv: line 2"),
    ] {
        let body = json!({"environment": "dev", "tree": "secrets", "format": format, "text": text, "preview": true});
        let error = session.post("/api/import", &body).is_refused(422, "invalid");
        assert_eq!(error["field"], "text");
        assert_eq!(error["current"]["column"], error["column"]);
        assert!(
            error["current"]["line"].is_u64()
                && error["column"].is_u64()
                && error["message"].as_str().unwrap().contains(words),
            "{error}"
        );
    }
    let body = json!({"environment": "dev", "tree": "secrets", "format": "toml", "text": CANARY, "preview": true});
    session.post("/api/import", &body).is_refused(400, "malformed");
}

fn a_large_import() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    let text: String = (0..2000).map(|n| format!("KEY_{n}={}\n", "v".repeat(1500))).collect();
    let body = json!({"environment": "dev", "tree": "variables", "text": text, "directory": "many", "preview": true});
    let preview = session.post("/api/import", &body).is_good();
    assert_eq!(session.post("/api/import", &agreed(&body, &preview)).is_good()["stored"], 2000);
    let text: String = (0..16_001).map(|n| format!("KEY_{n}=v\n")).collect();
    let body = json!({"environment": "dev", "tree": "variables", "text": text, "preview": true});
    let preview = session.post("/api/import", &body).is_good();
    let error = session.post("/api/import", &agreed(&body, &preview)).is_refused(413, "too-large");
    assert!(error["message"].as_str().unwrap().contains("16,000"), "{error}");
    assert!(!mount.path("dev/variables/KEY_0").exists());
}

fn variables_are_exported() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/app/db");
    for (key, value) in [("app/db/host", "a b"), ("app/port", "1"), ("binary", "x\0y"), ("closed", "c"), ("url", "u\n")]
    {
        mount.put(&format!("dev/variables/{key}"), value);
    }
    mount.own("dev/variables/closed", 0, 0, 0o600);
    mount.put("dev/secrets/app", CANARY);
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let export = |query: &str| session.get(&format!("/api/export?environment=dev&format={query}"));
    let all = export("dotenv&prefix=").is_good();
    assert_eq!(all["left_out"], json!(["binary", "closed"]));
    let text = all["text"].as_str().unwrap();
    assert!(text.contains("app__db__host=") && text.contains("app__port=1\n"), "{text}");
    let some = export("json&prefix=app/").is_good();
    let read: Value = serde_json::from_str(some["text"].as_str().unwrap()).unwrap();
    assert_eq!(read, json!({"app": {"db": {"host": "a b"}, "port": "1"}}));
    assert_eq!(export("yaml").is_good()["left_out"], json!(["closed"]));
    export("toml").is_refused(400, "malformed");
    // What was exported is what an import reads.
    let body =
        json!({"environment": "pre", "tree": "variables", "text": text, "double_underscore": true, "preview": true});
    let added = session.post("/api/import", &body).is_good()["plan"]["added"].clone();
    assert_eq!(added.as_array().unwrap().len(), 3);
}
