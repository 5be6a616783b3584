//! `keyfs status`.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::Case;
use crate::fixture::{KEYFS, run, wait_for};
use crate::kit::{Kit, daemon, fails, has_ended, keyfs};

pub const CASES: &[Case] = &[
    ("of_a_mount_in_words", of_a_mount_in_words),
    ("of_a_mount_in_json", of_a_mount_in_json),
    ("of_all_mounts", of_all_mounts),
    ("where_nothing_is_mounted", where_nothing_is_mounted),
    ("of_a_daemon_that_is_gone", of_a_daemon_that_is_gone),
];

fn of_a_mount_in_words() {
    let kit = Kit::with_store();
    kit.mounts(&[]);
    let output = keyfs(&["status", kit.path("keys").to_str().unwrap()]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let pid = daemon(&kit.path("keys")).to_string();
    for word in [
        kit.path("keys").to_str().unwrap(),
        kit.path("store.redb").to_str().unwrap(),
        &pid,
        "prod     1 variables, 0 secrets",
    ] {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
}

fn of_a_mount_in_json() {
    let kit = Kit::with_store();
    kit.mounts(&[]);
    let output = keyfs(&["status", "--json", kit.path("keys").to_str().unwrap()]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["mount"], kit.path("keys").to_str().unwrap());
    assert_eq!(status["pid"], daemon(&kit.path("keys")));
    assert_eq!(status["keys"]["prod"]["variables"], 1);
    // It is the mount's own file.
    let own: Value = serde_json::from_slice(&fs::read(kit.path("keys/.keyfs/status")).unwrap()).unwrap();
    assert_eq!((&own["store"]["id"], &own["version"]), (&status["store"]["id"], &status["version"]));
}

/// `keyfs status` where no mounts are seen but those of some kits.
fn alone_with(kits: &[&Kit], arguments: &str) -> Output {
    let keep: String = kits.iter().map(|kit| format!("{}|", kit.path("keys").display())).collect();
    let script = format!(
        "awk '/ - fuse.keyfs / {{ print $5 }}' /proc/self/mountinfo | while read place; do
            case \"{keep}\" in *\"$place|\"*) ;; *) umount -l \"$place\" 2>/dev/null ;; esac
        done; exec {KEYFS} status {arguments}"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]).env_remove("RUST_LOG");
    command.output().unwrap()
}

fn of_all_mounts() {
    let (first, second) = (Kit::with_store(), Kit::with_store());
    first.mounts(&[]);
    second.mounts(&["--env", "prod"]);
    let output = alone_with(&[&first, &second], "");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for kit in [&first, &second] {
        assert!(text.contains(kit.path("keys").to_str().unwrap()), "{text}");
    }
    let output = alone_with(&[&first, &second], "--json");
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!((&all[0]["environment"], &all[1]["environment"]), (&Value::Null, &"prod".into()));
}

fn where_nothing_is_mounted() {
    fails(&alone_with(&[], ""), 10, &["no keyfs is mounted", "keyfs mount"]);
    let output = alone_with(&[], "--json");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"[]\n");
    let kit = Kit::empty();
    for place in [kit.path("keys"), kit.path("none"), "/".into()] {
        fails(&keyfs(&["status", place.to_str().unwrap()]), 10, &["no keyfs is mounted"]);
        fails(&keyfs(&["status", "--json", place.to_str().unwrap()]), 10, &["no keyfs is mounted"]);
    }
}

fn of_a_daemon_that_is_gone() {
    let (kit, other) = (Kit::with_store(), Kit::with_store());
    kit.mounts(&[]);
    other.mounts(&[]);
    let pid = daemon(&kit.path("keys"));
    run(Command::new("kill").args(["-s", "KILL", &pid.to_string()]));
    wait_for("the daemon's end", || has_ended(pid));
    let place = kit.path("keys");
    fails(&keyfs(&["status", place.to_str().unwrap()]), 10, &[place.to_str().unwrap(), "gone", "keyfs umount"]);
    // It does not hide the others.
    let output = alone_with(&[&kit, &other], "");
    assert!(String::from_utf8_lossy(&output.stdout).contains(other.path("keys").to_str().unwrap()), "{output:?}");
    fails(&output, 10, &["gone"]);
}
