//! What one call may be about: no more values than one commit takes, each key once.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Cases;
use crate::fixture::{Mount, ROOT};
use crate::http::Dashboard;

pub const CASES: Cases = &[("values_are_held_to_what_a_commit_takes", values_are_held_to_what_a_commit_takes)];

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
