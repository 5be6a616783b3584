//! A mount of one environment, and a part of a mount.

use std::process::Command;

use serde_json::json;

use crate::Cases;
use crate::fixture::{Mount, ROOT, run};
use crate::http::{CANARY, Dashboard, command};

pub const CASES: Cases = &[("one_environment_alone", one_environment_alone), ("a_part_of_a_mount", a_part_of_a_mount)];

fn one_environment_alone() {
    let mount = Mount::with(&["--env", "prod"]);
    mount.put("secrets/password", CANARY);
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    let about = session.get("/api/about").is_good();
    assert_eq!(about["environments"], json!([{"name": "prod", "protected": true}]));
    let keys = session.get("/api/keys?environment=prod&tree=secrets").is_good();
    assert_eq!(keys["keys"], json!(["password"]));
    assert_eq!(
        session.get("/api/keys?environment=dev&tree=secrets").is_refused(422, "invalid")["field"],
        "environment"
    );
    let mut stream = session.stream("/api/events");
    assert_eq!(stream.next().unwrap()["kind"], "ready");
    let body = json!({"environments": ["prod"], "tree": "variables", "key": "app/url", "create": true, "value": "x"});
    session.post("/api/put", &body).is_good();
    assert_eq!(stream.next().unwrap()["environment"], "prod");
    let history = session.get("/api/history?environment=prod&tree=secrets&key=password").is_good();
    assert_eq!(history["present"], 1);
    let removal = json!({"environment": "prod", "tree": "secrets", "keys": [{"key": "password", "version": 1}]});
    session.post("/api/remove", &removal).is_good();
    let removed = session.get("/api/removed?environment=prod&tree=secrets").is_good();
    assert_eq!(removed["items"][0]["key"], "password");
    let entry = session.get("/api/entry?environment=prod&tree=variables&key=app/url").is_good();
    let mut shell = Command::new("bash");
    let path = format!("{}:/usr/bin:/bin", crate::dt().parent().unwrap().display());
    shell.arg("-c").arg(entry["command"].as_str().unwrap()).env("PATH", path).env("KEYFS_MOUNT", mount.root());
    assert_eq!(run(&mut shell), "x");
}

/// A directory on which a part of the mount is shown; it goes when this does.
struct Part(std::path::PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn a_part_of_a_mount() {
    let mount = Mount::with(&["--value-limit", "5000"]);
    mount.put("dev/secrets/password", CANARY);
    mount.put("dev/variables/key", "one");
    let part = Part(mount.home().join("part"));
    std::fs::create_dir(&part.0).unwrap();
    run(Command::new("mount").arg("--bind").arg(mount.path("dev")).arg(&part.0));
    let mut start = command(&mount, &ROOT, &[]);
    start.env("KEYFS_MOUNT", &part.0);
    let dashboard = Dashboard::of(&mount, start);
    let session = dashboard.log_in();
    let about = session.get("/api/about").is_good();
    assert_eq!(about["environments"], json!([{"name": "dev", "protected": false}]));
    assert_eq!(about["value_limit"], 5000);
    assert_eq!(session.get("/api/keys?environment=dev&tree=variables").is_good()["keys"], json!(["key"]));
    let entry = |tree: &str, key: &str| session.get(&format!("/api/entry?environment=dev&tree={tree}&key={key}"));
    assert_eq!(entry("variables", "key").is_good()["value"], "one");
    // One key at a time is made, edited and removed there too.
    let put = |body: serde_json::Value| session.post("/api/put", &body);
    let groups = json!({"groups": [{"name": "payments", "rights": "r"}]});
    put(json!({"environments": ["dev"], "tree": "secrets", "key": "db/new", "create": true, "value": CANARY, "permissions": groups})).is_good();
    put(json!({"environments": ["dev"], "tree": "secrets", "key": "db/new", "create": true, "value": CANARY}))
        .is_refused(409, "exists");
    crate::keys::IN_PAYMENTS.reads(&mount.path("dev/secrets/db/new"), CANARY);
    let seen = entry("variables", "key").is_good();
    let edit = json!({"environments": ["dev"], "tree": "variables", "key": "key", "create": false, "versions": {"dev": 1},
        "value": "two", "permissions": groups, "base_permissions": seen["permissions"], "expires": "2031-01-01T00:00:00Z"});
    assert_eq!(put(edit.clone()).is_good()["stored"][0]["version"], 2);
    let error = put(edit.clone()).is_refused(409, "conflict");
    assert_eq!(error["current"]["permissions"]["groups"], json!([{"name": "payments", "rights": "r"}]));
    let mut late = edit.clone();
    late["base_permissions"] = error["current"]["permissions"].clone();
    put(late).is_refused(409, "conflict");
    let keep = json!({"environments": ["dev"], "tree": "variables", "key": "key", "create": false, "versions": {"dev": 2},
        "expires": null, "permissions": {"others": "r"}});
    put(keep).is_good();
    let seen = entry("variables", "key").is_good();
    assert_eq!((&seen["value"], &seen["version"], &seen["expires"]), (&json!("two"), &json!(2), &json!(null)));
    assert_eq!((&seen["permissions"]["others"], &seen["permissions"]["groups"]), (&json!("r"), &json!([])));
    let removal =
        |version: u64| json!({"environment": "dev", "tree": "variables", "keys": [{"key": "key", "version": version}]});
    session.post("/api/remove", &removal(1)).is_refused(409, "conflict");
    session.post("/api/remove", &removal(2)).is_good();
    assert!(!mount.path("dev/variables/key").exists());
    // What needs `.keyfs` says so.
    let import = json!({"environment": "dev", "tree": "variables", "text": "a=1\nb=2", "preview": true});
    let mut preview = session.post("/api/import", &import).is_good();
    let mut store = import.clone();
    store["preview"] = json!(false);
    store["digest"] = preview["digest"].take();
    for answer in [
        session.get("/api/history?environment=dev&tree=secrets&key=password"),
        session.get("/api/removed?environment=dev&tree=secrets"),
        session.get("/api/events"),
        session.post("/api/import", &store),
    ] {
        let error = answer.is_refused(502, "system");
        assert!(error["message"].as_str().unwrap().contains(".keyfs is out of reach"), "{error}");
    }
}
