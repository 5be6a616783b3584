//! `mount -t keyfs` and lines of `/etc/fstab`, through `mount-scripts/mount.keyfs`.

use std::fs;
use std::process::{Command, Output, Stdio};

use crate::Case;
use crate::fixture::KEYFS;
use crate::kit::{Kit, fails, keyfs};

pub const CASES: &[Case] = &[
    ("by_its_type", by_its_type),
    ("by_a_line_of_fstab", by_a_line_of_fstab),
    ("it_passes_each_option_on", it_passes_each_option_on),
    ("what_it_does_not_know_is_refused", what_it_does_not_know_is_refused),
    ("what_fails_is_said_in_a_line", what_fails_is_said_in_a_line),
];

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mount-scripts/mount.keyfs");

/// The helper as mount(8) calls it, with the program under test first in the path.
fn helper(kit: &Kit, arguments: &[&str]) -> Output {
    let program = std::path::Path::new(KEYFS).parent().expect("a directory");
    let mut command = Command::new(SCRIPT);
    command.arg(kit.path("store.redb")).arg(kit.path("keys")).args(arguments).stdin(Stdio::null());
    command.env("PATH", format!("{}:/usr/bin:/bin", program.display())).env_remove("RUST_LOG").output().expect("sh")
}

/// Runs a script where the helper is installed: in a mount namespace of its own, where /sbin has nothing else. What it
/// mounts goes with it.
fn where_it_is_installed(kit: &Kit, script: &str) -> Output {
    let installed = kit.path("sbin");
    fs::create_dir_all(&installed).expect("mkdir");
    fs::copy(SCRIPT, installed.join("mount.keyfs")).expect("the helper");
    // mount(8) hands its helpers no PATH.
    std::os::unix::fs::symlink(KEYFS, installed.join("keyfs")).expect("the program");
    let script = format!(
        "trap 'umount -l \"${{home}}keys\" 2>/dev/null || :' EXIT\n\
         mount --bind \"${{home}}sbin\" \"$(realpath /sbin)\"\n{script}"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-euc", &script]).stdin(Stdio::null());
    command.env("home", kit.path("")).env_remove("RUST_LOG").output().expect("unshare")
}

fn by_its_type() {
    let kit = Kit::with_store();
    let output = where_it_is_installed(
        &kit,
        r#"mount -t keyfs -o identity="${home}identity" "${home}store.redb" "${home}keys"
        cat "${home}keys/prod/variables/k"
        umount "${home}keys"
        test ! -e "${home}keys/prod""#,
    );
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "kept", "{output:?}");
}

fn by_a_line_of_fstab() {
    let kit = Kit::with_store();
    let line = format!(
        "{0}store.redb {0}keys keyfs env=prod,identity={0}identity,noauto,nofail,x-systemd.after=local-fs.target 0 0\n",
        kit.path("").display()
    );
    fs::write(kit.path("fstab"), line).unwrap();
    let output = where_it_is_installed(
        &kit,
        r#"mount -T "${home}fstab" "${home}keys"
        cat "${home}keys/variables/k"
        umount "${home}keys""#,
    );
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "kept", "{output:?}");
}

fn it_passes_each_option_on() {
    let kit = Kit::empty();
    let options = format!(
        "rw,create,env=lab,allow_other,value_limit=100,identity={0}/identity,audit={0}/audit,log={0}/log",
        kit.path("").display().to_string().trim_end_matches('/')
    );
    let output = helper(&kit, &["-v", "-n", "-o", &options]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("mounted"), "with -v it says what it did: {output:?}");
    assert!(kit.path("keys/variables").is_dir());
    assert!(kit.path("audit").is_file() && kit.path("log").is_file());
    assert!(fs::write(kit.path("keys/variables/k"), [b'x'; 101]).is_err());
    kit.unmounts();
    let known = fs::read_to_string(kit.path("identity.stores")).unwrap();
    let fingerprint = known.split_whitespace().last().unwrap();
    fs::remove_file(kit.path("identity.stores")).unwrap();
    let identity = format!("identity={}", kit.path("identity").display());
    assert_eq!(helper(&kit, &["-o", &identity]).status.code(), Some(32));
    let output = helper(&kit, &["-o", &identity, "-o", &format!("fingerprint={fingerprint}")]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    kit.unmounts();
    // Not in earnest: nothing is mounted.
    assert!(helper(&kit, &["-f", "-o", &identity]).status.success());
    assert!(fs::read_dir(kit.path("keys")).unwrap().next().is_none());
}

#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(code), 1), "{output:?}");
    for word in words {
        assert!(stderr.contains(word), "'{word}' is not in: {stderr}");
    }
}

fn what_it_does_not_know_is_refused() {
    let kit = Kit::with_store();
    for option in ["ro", "colour=blue", "environment=prod", "-create"] {
        refused(&helper(&kit, &["-o", option]), 1, &["mount.keyfs:", option, "not known"]);
    }
    // mount(8) says -s where what is not known is to be passed over.
    let identity = format!("colour=blue,identity={}", kit.path("identity").display());
    assert!(helper(&kit, &["-s", "-o", &identity]).status.success());
    kit.unmounts();
    let output = Command::new(SCRIPT).arg("keyfs").output().unwrap();
    refused(&output, 1, &["usage"]);
}

fn what_fails_is_said_in_a_line() {
    let kit = Kit::with_store();
    let none = format!("identity={}", kit.path("none").display());
    let output = helper(&kit, &["-o", &none]);
    assert_eq!(output.status.code(), Some(32));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((stderr.lines().count(), stderr.contains("no such identity")), (1, true), "{stderr}");
    fails(&keyfs(&["status", kit.path("keys").to_str().unwrap()]), 10, &["no keyfs"]);
}
