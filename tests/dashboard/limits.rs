//! What one call may be about: no more values than one commit takes, each key once.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Cases;
use crate::fixture::{Mount, ROOT};
use crate::http::Dashboard;

pub const CASES: Cases = &[
    ("values_are_held_to_what_a_commit_takes", values_are_held_to_what_a_commit_takes),
    ("each_key_is_named_once", each_key_is_named_once),
    ("thousands_go_in_one_step", thousands_go_in_one_step),
];

const MIB: usize = 1 << 20;

/// The most memory that a process ever had, in bytes.
fn peak(process: u32) -> usize {
    let status = std::fs::read_to_string(PathBuf::from(format!("/proc/{process}/status"))).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn values_are_held_to_what_a_commit_takes() {
    let mount = Mount::new();
    let many: Vec<_> = (0..120).map(|n| format!("many/{n:03}")).collect();
    mount.mkdir("dev/variables/many");
    mount.mkdir("pre/variables/many");
    for (at, key) in many.iter().enumerate() {
        mount.put(&format!("dev/variables/{key}"), vec![b'a' + (at % 26) as u8; MIB]);
        mount.put(&format!("pre/variables/{key}"), "other");
        if at >= 60 {
            std::fs::remove_file(mount.path(&format!("dev/variables/{key}"))).unwrap();
        }
    }
    let (there, gone) = many.split_at(60);
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    session.get("/api/about").is_good();
    let before = peak(dashboard.pid());
    // Of what is compared, the values of one key for each thread are held at a time.
    let comparing = json!({"tree": "variables", "environments": ["dev", "pre"], "keys": there, "values": true});
    let compared = session.post("/api/compare", &comparing).is_good();
    assert_eq!(
        (&compared["items"][59]["differs"], &compared["items"][59]["cells"][0]["cut"]),
        (&json!(true), &json!(true))
    );
    let most = peak(dashboard.pid()) - before;
    assert!(most < 24 * MIB, "{most} bytes");
    let copying = |keys: &[String], replace: bool| json!({"tree": "variables", "from": "dev", "to": "pre", "keys": keys, "replace": replace, "preview": true});
    let restoring = |keys: &[String]| -> Value {
        let keys: Vec<_> = keys.iter().map(|key| json!({"key": key})).collect();
        json!({"environment": "dev", "tree": "variables", "keys": keys})
    };
    let refused = [
        (session.post("/api/copy", &copying(there, true)), "can't copy 60 keys from dev to pre: ", "fewer at a time"),
        (
            session.post("/api/restore", &restoring(gone)),
            "can't bring back 60 keys in dev: ",
            "restore fewer at a time",
        ),
        (
            session.get("/api/export?environment=dev&format=json&prefix=many/"),
            "can't export 60 keys of dev: ",
            "one directory at a time",
        ),
    ];
    for (answer, what, instead) in refused {
        let error = answer.is_refused(413, "too-large");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(what) && message.contains("32 MiB") && message.contains(instead), "{message}");
    }
    // The values of one commit, and what a thread has in its hand.
    let most = peak(dashboard.pid()) - before;
    assert!(most < 48 * MIB, "{most} bytes");
    // What isn't stored isn't counted, nor how long the values are that are replaced.
    let kept = session.post("/api/copy", &copying(there, false)).is_good();
    assert_eq!(kept["plan"]["kept"].as_array().unwrap().len(), 60);
    let back =
        json!({"tree": "variables", "from": "pre", "to": "dev", "keys": there, "replace": true, "preview": true});
    let plan = session.post("/api/copy", &back).is_good()["plan"].clone();
    assert_eq!((&plan["changed"][0]["after"], plan["changed"].as_array().unwrap().len()), (&json!("other"), 60));
    assert_eq!(plan["changed"][0]["before"], json!(format!("{}…", "a".repeat(200))));
    // A part is done.
    assert_eq!(session.post("/api/restore", &restoring(&gone[..20])).is_good(), json!({"restored": 20}));
}

fn each_key_is_named_once() {
    let mount = Mount::new();
    for key in ["dev/variables/a", "dev/variables/b", "dev/variables/gone", "pre/variables/b"] {
        mount.put(key, "x");
    }
    std::fs::remove_file(mount.path("dev/variables/gone")).unwrap();
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    let twice = |keys: Value| json!({"environment": "dev", "tree": "variables", "keys": keys});
    let copying = |preview: bool| json!({"tree": "variables", "from": "dev", "to": "pre", "keys": ["a", "b", "a"], "replace": true, "preview": preview, "versions": {"a": [1, 0]}});
    let a = json!({"key": "a", "version": 1});
    let refused = [
        ("/api/remove", twice(json!([a, {"key": "b", "version": 1}, a])), "'a'"),
        ("/api/restore", twice(json!([{"key": "gone"}, {"key": "gone", "version": 1}])), "'gone'"),
        ("/api/copy", copying(true), "'a'"),
        ("/api/copy", copying(false), "'a'"),
    ];
    for (path, body, key) in refused {
        let error = session.post(path, &body).is_refused(422, "invalid");
        let message = error["message"].as_str().unwrap();
        assert!(error["field"] == "key" && message.starts_with(key) && message.contains("twice"), "{path}: {error}");
    }
    assert!(mount.path("dev/variables/a").exists() && !mount.path("pre/variables/a").exists());
    assert!(!mount.path("dev/variables/gone").exists());
    // Whoever only looks is told as often as is asked.
    let details = session.post("/api/details", &twice(json!(["a", "a"]))).is_good();
    assert_eq!((details["items"].as_array().unwrap().len(), &details["items"][0]), (2, &details["items"][1]));
    let comparing = json!({"tree": "variables", "environments": ["dev", "pre"], "keys": ["b", "b"]});
    let compared = session.post("/api/compare", &comparing).is_good();
    assert_eq!((&compared["items"][0]["differs"], &compared["items"][0]), (&json!(false), &compared["items"][1]));
    // An environment that is named twice is one.
    let making =
        json!({"environments": ["dev", "dev"], "tree": "variables", "key": "new", "create": true, "value": "x"});
    assert_eq!(session.post("/api/put", &making).is_good()["stored"], json!([{"environment": "dev", "version": 1}]));
}

fn thousands_go_in_one_step() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    let text: String = (0..3000).map(|n| format!("KEY_{n:04}={n}\n")).collect();
    let mut import =
        json!({"environment": "dev", "tree": "variables", "text": text, "directory": "many", "preview": true});
    let preview = session.post("/api/import", &import).is_good();
    import["preview"] = json!(false);
    import["digest"] = preview["digest"].clone();
    assert_eq!(session.post("/api/import", &import).is_good()["stored"], 3000);
    mount.put("dev/variables/stays", "x");
    // As the page does it: what is there is looked up, shown, and all of it goes by one call.
    let below = session.get("/api/below?environment=dev&tree=variables&prefix=many").is_good();
    let mut removal = json!({"environment": "dev", "tree": "variables", "keys": below["keys"]});
    let mut stream = session.stream("/api/events");
    assert_eq!(stream.next().unwrap()["kind"], "ready");
    mount.put("dev/variables/many/KEY_2999", "meanwhile");
    session.post("/api/remove", &removal).is_refused(409, "conflict");
    assert_eq!(std::fs::read_dir(mount.path("dev/variables/many")).unwrap().count(), 3000);
    removal["keys"][2999]["version"] = json!(2);
    let removed = session.post("/api/remove", &removal).is_good();
    assert_eq!(removed["removed"].as_array().unwrap().len(), 3000);
    assert!(!mount.path("dev/variables/many").exists() && mount.path("dev/variables/stays").exists());
    // One commit: the cursors of its events differ by their place in it alone.
    let events = std::iter::from_fn(|| stream.next()).filter(|line| line["what"] == "remove").take(3000);
    let commits: std::collections::BTreeSet<_> = events.map(|line| line["cursor"].as_u64().unwrap() >> 16).collect();
    assert_eq!(commits.len(), 1, "{commits:?}");
    let undo = json!({"environment": "dev", "tree": "variables", "keys": removed["removed"]});
    assert_eq!(session.post("/api/restore", &undo).is_good(), json!({"restored": 3000}));
    assert_eq!(mount.get("dev/variables/many/KEY_2999"), b"meanwhile");
    assert_eq!(mount.get("dev/variables/many/KEY_0042"), b"42");
}
