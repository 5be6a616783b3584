//! Where the mount is, and which environment is meant.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::{Mount, ROOT};
use crate::{Cases, command, fails, run, succeeds};

pub const CASES: Cases = &[
    ("the_environment_is_named_in_four_ways", the_environment_is_named_in_four_ways),
    ("a_mount_of_one_environment_is_known", a_mount_of_one_environment_is_known),
    ("a_bind_mount_of_an_environment_is_known", a_bind_mount_of_an_environment_is_known),
    ("what_is_no_mount_is_not_written_to", what_is_no_mount_is_not_written_to),
    ("a_mount_is_found_by_the_kernels_table", a_mount_is_found_by_the_kernels_table),
    ("a_dead_mount_is_told", a_dead_mount_is_told),
];

fn the_environment_is_named_in_four_ways() {
    let mount = Mount::new();
    for environment in ["dev", "pre", "prod"] {
        mount.put(&format!("{environment}/variables/which"), environment);
    }
    let get = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = command(&mount, &ROOT, &[&["kv", "get", "which"], arguments].concat());
        command.envs(variables.iter().copied());
        String::from_utf8(succeeds(command.output().unwrap())).unwrap()
    };
    let (keyfs, platform) = (("KEYFS_ENV", "pre"), ("DATATAILR_JOB_ENVIRONMENT", "prod"));
    assert_eq!(get(&[], &[]), "dev");
    assert_eq!(get(&[platform], &[]), "prod");
    assert_eq!(get(&[keyfs, platform], &[]), "pre");
    assert_eq!(get(&[keyfs, platform], &["-e", "prod"]), "prod");
    assert_eq!(get(&[("KEYFS_ENV", ""), platform], &[]), "prod");
    fails(
        &run(&mount, &ROOT, &["kv", "get", "which", "-e", "qa"]),
        3,
        &["no environment qa", "dev, pre, prod", "mkdir"],
    );
    fails(&run(&mount, &ROOT, &["kv", "get", "which", "-e", ".keyfs"]), 2, &["'.keyfs' is no environment"]);
}

fn a_mount_of_one_environment_is_known() {
    let mount = Mount::with(&["--env", "prod"]);
    succeeds(run(&mount, &ROOT, &["kv", "put", "-s", "db/password", "one"]));
    assert_eq!(mount.get("secrets/db/password"), b"one");
    succeeds(run(&mount, &ROOT, &["kv", "put", "-s", "db/password", "two", "-e", "prod"]));
    assert_eq!(succeeds(run(&mount, &ROOT, &["kv", "get", "-s", "db/password"])), b"two");
    assert_eq!(succeeds(run(&mount, &ROOT, &["kv", "get", "-s", "db/password", "--version", "1"])), b"one");
    fails(
        &run(&mount, &ROOT, &["kv", "get", "-s", "db/password", "-e", "dev"]),
        3,
        &["shows the environment prod alone"],
    );
    fails(&run(&mount, &ROOT, &["kv", "get", "nothing"]), 3, &["no variable nothing in prod"]);
}

/// A bind mount that goes with this.
pub struct Part(PathBuf);

impl Part {
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn of(source: &Path, place: PathBuf) -> Part {
        fs::create_dir(&place).expect("mkdir");
        crate::fixture::run(Command::new("mount").arg("--bind").arg(source).arg(&place));
        Part(place)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn a_bind_mount_of_an_environment_is_known() {
    let mount = Mount::new();
    let part = Part::of(&mount.path("prod"), mount.home().join("part"));
    let dt = |arguments: &[&str]| {
        let mut command = command(&mount, &ROOT, arguments);
        command.env("KEYFS_MOUNT", &part.0).output().unwrap()
    };
    succeeds(dt(&["kv", "put", "-s", "db/password", "one", "-g", "ops:r"]));
    assert_eq!(mount.get("prod/secrets/db/password"), b"one");
    assert_eq!(succeeds(dt(&["kv", "get", "-s", "db/password", "-e", "prod"])), b"one");
    assert_eq!(succeeds(dt(&["kv", "ls", "-s"])), b"db/password\n");
    succeeds(dt(&["kv", "put", "-s", "db/password", "two", "-g", "payments:r,ops:-"]));
    assert_eq!(succeeds(dt(&["kv", "acls", "-s", "-j", "db/password"])), b"{\"read\":[-20101],\"write\":[]}\n");
    fails(&dt(&["kv", "put", "-s", "db/password", "three", "-g", "ops:r", "--if-version", "1"]), 6, &["at version 2"]);
    assert_eq!(succeeds(dt(&["kv", "acls", "-s", "-j", "db/password"])), b"{\"read\":[-20101],\"write\":[]}\n");
    fails(&dt(&["kv", "put", "-s", "db/password", "four", "--create-only"]), 6, &["exists already"]);
    assert_eq!(mount.get("prod/secrets/db/password"), b"two");
    let names = fs::read_dir(mount.path("prod/secrets/db")).unwrap().count();
    assert_eq!(names, 1, "something is left beside the key");
    fails(&dt(&["kv", "get", "-s", "db/password", "-e", "dev"]), 3, &["shows the environment prod alone"]);
    fails(&dt(&["kv", "history", "-s", "db/password"]), 1, &[".keyfs is out of reach", "KEYFS_MOUNT"]);
    succeeds(dt(&["kv", "rm", "-s", "db/password"]));
    assert!(!mount.path("prod/secrets/db").exists());
}

fn what_is_no_mount_is_not_written_to() {
    let mount = Mount::new();
    let plain = mount.home().join("plain");
    fs::create_dir_all(plain.join("dev/secrets")).unwrap();
    fs::create_dir_all(plain.join("dev/variables")).unwrap();
    for place in [plain.clone(), mount.home().join("missing")] {
        for arguments in [&["kv", "put", "-s", "key", "value"][..], &["kv", "ls"], &["kv", "get", "key"]] {
            let output = command(&mount, &ROOT, arguments).env("KEYFS_MOUNT", &place).output().unwrap();
            let place = place.to_str().unwrap();
            fails(&output, 5, &["no keyfs is mounted at", place, "keyfs mount --create", "KEYFS_MOUNT"]);
        }
    }
    assert_eq!(fs::read_dir(plain.join("dev/secrets")).unwrap().count(), 0);
}

fn a_mount_is_found_by_the_kernels_table() {
    // In a table of their own: other tests have mounts at the same time.
    let mount = Mount::new();
    mount.put("dev/variables/key", "value");
    let script = r#"
        grep ' fuse.keyfs ' /proc/self/mountinfo | cut -d' ' -f5 | while read -r place; do
            [ "$place" = "$1" ] || umount -l "$place"
        done
        unset KEYFS_MOUNT
        echo "one: $("$0" kv get key 2>&1)"
        mkdir "$2/other" && mount --bind "$1" "$2/other"
        echo "two: $("$0" kv get key 2>&1)"
        umount "$2/other" "$1"
        echo "none: $("$0" kv get key 2>&1)"
    "#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    command.arg(crate::dt()).arg(mount.root()).arg(mount.home());
    crate::environment(&mut command, &mount);
    let output = command.output().expect("unshare");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = text.lines().collect();
    let place = mount.root();
    assert_eq!(lines[0], "one: value", "{output:?}");
    assert!(lines[1].starts_with("two: dt: keyfs is mounted at "), "{text}");
    assert!(lines[1].contains(place.to_str().unwrap()) && lines[1].contains("other: set KEYFS_MOUNT"), "{text}");
    assert!(lines[2].starts_with("none: dt: no keyfs is mounted at /keys: `keyfs mount --create /keys`"), "{text}");
}

fn a_dead_mount_is_told() {
    let mut mount = Mount::new();
    mount.end("KILL");
    for arguments in [&["kv", "put", "key", "value"][..], &["kv", "ls"], &["kv", "get", "key"]] {
        fails(&run(&mount, &ROOT, arguments), 5, &["the daemon of the mount at", "keyfs mount"]);
    }
}
