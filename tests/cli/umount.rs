//! `keyfs umount`.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::Case;
use crate::fixture::{run, wait_for};
use crate::kit::{Kit, daemon, fails, has_ended, keyfs};

pub const CASES: &[Case] = &[
    ("it_returns_when_the_store_is_closed", it_returns_when_the_store_is_closed),
    ("a_mount_in_use_stays", a_mount_in_use_stays),
    ("lazily_it_ends_with_the_last_file", lazily_it_ends_with_the_last_file),
    ("another_namespace_that_has_it_is_named", another_namespace_that_has_it_is_named),
    ("what_is_not_mounted_is_said_to_be", what_is_not_mounted_is_said_to_be),
    ("a_daemon_that_is_gone_leaves_nothing_in_the_way", a_daemon_that_is_gone_leaves_nothing_in_the_way),
];

fn it_returns_when_the_store_is_closed() {
    let kit = Kit::with_store();
    for _ in 0..5 {
        kit.mounts(&[]);
        let pid = daemon(&kit.path("keys"));
        kit.unmounts();
        assert!(has_ended(pid));
        assert!(fs::read_dir(kit.path("keys")).unwrap().next().is_none());
    }
}

fn a_mount_in_use_stays() {
    let kit = Kit::with_store();
    kit.mounts(&[]);
    let mut held = fs::File::open(kit.path("keys/prod/variables/k")).unwrap();
    let place = kit.path("keys");
    fails(&keyfs(&["umount", place.to_str().unwrap()]), 1, &[place.to_str().unwrap(), "open", "--lazy"]);
    let mut text = String::new();
    held.read_to_string(&mut text).unwrap();
    assert_eq!(text, "kept");
    assert!(kit.path("keys/prod").is_dir());
    drop(held);
    // The kernel tells the daemon of the close a moment later.
    wait_for("the end of what kept it", || keyfs(&["umount", place.to_str().unwrap()]).status.success());
}

fn another_namespace_that_has_it_is_named() {
    let kit = Kit::with_store();
    kit.mounts(&[]);
    let (pid, place) = (daemon(&kit.path("keys")), kit.path("keys"));
    // As a container has it that was started meanwhile.
    let mut other = Command::new("unshare");
    other.args(["--mount", "--propagation", "private", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut other = other.spawn().expect("unshare");
    // It answers once it is there.
    let mut input = other.stdin.take().expect("a pipe");
    input.write_all(b"x").unwrap();
    other.stdout.take().expect("a pipe").read_exact(&mut [0]).unwrap();
    let output = keyfs(&["umount", place.to_str().unwrap()]);
    let still = !has_ended(pid);
    drop(input);
    other.wait().expect("its end");
    fails(&output, 1, &[place.to_str().unwrap(), &format!("process {}", other.id()), "still has it"]);
    assert!(still);
    wait_for("the daemon's end", || has_ended(pid));
}

fn lazily_it_ends_with_the_last_file() {
    let kit = Kit::with_store();
    kit.mounts(&[]);
    let pid = daemon(&kit.path("keys"));
    let mut held = fs::File::open(kit.path("keys/prod/variables/k")).unwrap();
    let output = keyfs(&["umount", "--lazy", kit.path("keys").to_str().unwrap()]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(!kit.path("keys/prod").exists());
    let mut text = String::new();
    held.read_to_string(&mut text).unwrap();
    assert_eq!(text, "kept");
    assert!(!has_ended(pid));
    drop(held);
    wait_for("the daemon's end", || has_ended(pid));
    kit.mounts(&[]);
}

fn what_is_not_mounted_is_said_to_be() {
    let kit = Kit::empty();
    fails(&keyfs(&["umount", kit.path("keys").to_str().unwrap()]), 10, &["no keyfs is mounted"]);
    fails(&keyfs(&["umount", kit.path("none").to_str().unwrap()]), 10, &["no keyfs is mounted"]);
    // What others mounted is theirs.
    fails(&keyfs(&["umount", "--lazy", "/proc"]), 10, &["no keyfs is mounted"]);
    run(Command::new("mount").args(["-t", "tmpfs", "keyfs-test"]).arg(kit.path("keys")));
    fails(&keyfs(&["umount", kit.path("keys").to_str().unwrap()]), 10, &["no keyfs is mounted"]);
    run(Command::new("umount").arg(kit.path("keys")));
    // A directory of the mount is not the mount.
    let kit = Kit::with_store();
    kit.mounts(&[]);
    fails(&keyfs(&["umount", kit.path("keys/prod").to_str().unwrap()]), 10, &["no keyfs is mounted"]);
}

fn a_daemon_that_is_gone_leaves_nothing_in_the_way() {
    let kit = Kit::with_store();
    for arguments in [&["umount"][..], &["umount", "--lazy"]] {
        kit.mounts(&[]);
        let pid = daemon(&kit.path("keys"));
        run(Command::new("kill").args(["-s", "KILL", &pid.to_string()]));
        wait_for("the daemon's end", || has_ended(pid));
        let output = keyfs(&[arguments, &[kit.path("keys").to_str().unwrap()]].concat());
        assert!(output.status.success(), "{output:?}");
        assert!(fs::read_dir(kit.path("keys")).unwrap().next().is_none());
    }
}
