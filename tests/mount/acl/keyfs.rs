//! What keyfs has of its own: limits, what a secret refuses, the gate; and that ACLs stay.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output};

use super::ACLS;
use crate::alike::{in_keyfs, program, reference};
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, OPS, PAYMENTS, ROOT, User, is_installed, run};

#[track_caller]
fn acls_in_keyfs(mount: &Mount, below: &str, text: &str) -> String {
    in_keyfs(mount, below, &format!("{ACLS}{text}"))
}

fn setfacl(arguments: &[&str], path: &Path) -> Output {
    Command::new("setfacl").args(arguments).arg(path).output().unwrap()
}

#[track_caller]
fn is_invalid(output: &Output) {
    assert!(!output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Invalid argument"), "{output:?}");
}

/// The ACL as `getfacl` shows it, on one line.
fn getfacl(path: &Path) -> String {
    let text = run(Command::new("getfacl").args(["-cpnE"]).arg(path));
    text.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

pub(super) fn an_entry_for_one_twice() {
    // Linux takes this and asks the first; here it is no ACL (acl_valid(3)), and what is set is sorted.
    let mount = Mount::new();
    let text = r#"
put("k", b"1", mode=0o640), os.mkdir("d")
before = state("k")
for twice in "u::rw g::r g:20102:r g:20102:rw m::rw o::-", "u::rw g::r g:20102:r g:20102:r m::rw o::-":
    expect("access", "EINVAL", set_acl, "k", twice)
    expect("default", "EINVAL", set_acl, "d", twice, DEFAULT)
expect("as before", before, state, "k")
expect("no default", "ENODATA", acl, "d", DEFAULT)
expect("in any order", None, set_acl, "k", "u::rw g::r g:20103:r g:7:w g:20102:rw m::rw o::-")
expect("sorted", "u::rw g::r g:7:w g:20102:rw g:20103:r m::rw o::-", acl, "k")
"#;
    for below in ["dev/variables/d", "dev/secrets/d"] {
        acls_in_keyfs(&mount, below, text);
    }
}

pub(super) fn as_many_entries_as_there_may_be() {
    let mut mount = Mount::new();
    // Three entries that a mode has, a mask, and named groups up to what the kernel takes: a list of one page.
    let text = r#"
def many(named):
    return " ".join(["u::rw", "g::r", *(f"g:{40000 + number}:r" for number in range(named)), "m::r", "o::-"])
"#;
    let set = r#"
put("k", b"1", mode=0o640), os.mkdir("d")
for path, kind in ("k", ACCESS), ("d", ACCESS), ("d", DEFAULT):
    expect("as many as there may be", None, set_acl, path, many(507), kind)
    expect("read back", many(507), acl, path, kind)
    for more in 508, 8000:
        found = outcome(set_acl, path, many(more), kind)
        expect("more", True, lambda: found in ("EINVAL", "E2BIG", "ENOSPC"))
        expect("as before", many(507), acl, path, kind)
put("d/k", b"1"), set_acl("d", "u::rwx g::x o::x")
expect("inherited", many(507), acl, "d/k")
# The other way to set groups ends there too, or the kernel would let in nobody.
os.setxattr("k", "user.keyfs.groups", ",".join(f"{40000 + number}:r" for number in range(507)).encode())
before = acl("k")
for more in 508, 2000:
    text = ",".join(f"{40000 + number}:rw" for number in range(more)).encode()
    expect("more groups", "EINVAL", os.setxattr, "k", "user.keyfs.groups", text)
    expect("as before", before, acl, "k")
"#;
    let read = r#"
for path in "k", "d/k":
    for group in 40000, 40250, 40506:
        expect(f"{path} for {group}", b"1", by, BOB, [BOB, group], get, path)
    expect(f"{path} for none of them", "EACCES", by, BOB, [BOB, 40507], get, path)
"#;
    for below in ["dev/variables/many", "dev/secrets/many"] {
        acls_in_keyfs(&mount, below, &format!("{text}{set}{read}"));
    }
    mount.restart();
    for below in ["dev/variables/many", "dev/secrets/many"] {
        acls_in_keyfs(&mount, below, &format!("{text}{read}"));
    }
}

pub(super) fn a_secret_has_no_user_entry() {
    let mount = Mount::new();
    let text = r#"
put("k", b"1", mode=0o640), os.chown("k", 0, PAYMENTS)
def attempts():
    for text in "u::rw u:20002:r g::r m::r o::-", "u::rw u:20002:- g::r g:20102:r m::r o::-", "u::rw u:0:rw g::- m::rw o::-":
        expect("refused", "EINVAL", set_acl, "k", text)
before = state("k")
attempts()
expect("as before", before, state, "k")
set_acl("k", "u::rw g::r g:20102:rw m::rw o::-")
before = state("k")
attempts()
expect("as before", before, state, "k")
# Neither while it is being made.
handle = os.open("new", RDWR | CREAT | EXCL, 0o640)
expect("of a new one", "EINVAL", set_acl, "new", "u::rw u:20002:r g::r m::r o::-")
os.write(handle, b"1"), os.close(handle)
expect("nothing came of it", ("ENODATA", "0o640"), lambda: (outcome(acl, "new"), mode("new")))
# Bits for others are dropped from an ACL as they are from a mode.
set_acl("k", "u::rw g::r g:20102:rw m::rw o::rwx")
expect("dropped", "u::rw g::r g:20102:rw m::rw o::-", acl, "k")
set_acl("k", "u::rw g::r o::rw")
expect("dropped", "0o640", mode, "k")
# A directory of secrets holds names, so its entries for users count.
os.mkdir("d", 0o700), put("d/k", b"1", mode=0o640), os.chown("d/k", 0, PAYMENTS)
expect("closed", "EACCES", by, BOB, [BOB, PAYMENTS], get, "d/k")
set_acl("d", "u::rwx u:20002:x g::- m::x o::-")
expect("open to a user", b"1", by, BOB, [BOB, PAYMENTS], get, "d/k")
expect("who is in the group", "EACCES", by, BOB, [BOB], get, "d/k")
"#;
    acls_in_keyfs(&mount, "prod/secrets/d", text);
    let key = mount.path("prod/secrets/d/k");
    for entry in [format!("u:{BOB}:r"), format!("u:{BOB}:-"), "u:root:rw".to_owned()] {
        is_invalid(&setfacl(&["-m", &entry], &key));
    }
    // `setfacl` sets all of an ACL or nothing of it.
    is_invalid(&setfacl(&["-m", &format!("g:{ANALYSTS}:rw,u:{BOB}:r")], &key));
    assert_eq!(getfacl(&key), "user::rw- group::r-- other::---");
}

pub(super) fn no_secret_inherits_a_user_entry() {
    let mut mount = Mount::new();
    let text = r#"
os.mkdir("d"), os.chmod("d", 0o777)
def made(label, wanted):
    ways = {"open": lambda path: opened(path, WRONLY | CREAT | EXCL, 0o666), "mknod": lambda path: os.mknod(path, 0o666),
            "written": lambda path: put(path, b"1")}
    for way, make in ways.items():
        path = f"d/{way}"
        by(ALICE, [PAYMENTS], make, path)
        expect(f"{label} by {way}", wanted, lambda: (mode(path), outcome(acl, path)))
        # The user who is named reads nothing by that, in or out of a group that is not.
        expect("the user", "EACCES", by, BOB, [BOB], get, path)
        expect("in another group", "EACCES", by, BOB, [ANALYSTS], get, path)
        os.unlink(path)
set_acl("d", "u::rwx u:20002:rwx g::rx m::rwx o::rx", DEFAULT)
expect("a directory keeps it", "u::rwx u:20002:rwx g::rx m::rwx o::rx", acl, "d", DEFAULT)
made("with users alone", ("0o640", "ENODATA"))
set_acl("d", "u::rwx u:20002:rw g::r g:20102:rw m::rw o::r", DEFAULT)
made("with groups as well", ("0o660", "u::rw g::r g:20102:rw m::rw o::-"))
# The mask goes with the users where it has nothing left to mask, and is never wider than it was.
set_acl("d", "u::rwx u:20002:rwx g::rwx m::r o::-", DEFAULT)
made("narrow mask", ("0o640", "ENODATA"))
# Directories hand it on, and it means what it means there.
set_acl("d", "u::rwx u:20002:rx g::- m::rx o::-", DEFAULT)
by(ALICE, [ALICE], os.makedirs, "d/a/b"), by(ALICE, [ALICE], put, "d/a/b/k", b"1")
expect("the user enters", ["k"], by, BOB, [BOB], names, "d/a/b")
expect("and reads nothing", "EACCES", by, BOB, [BOB], get, "d/a/b/k")
expect("secrets have none", ("0o600", "ENODATA"), lambda: (mode("d/a/b/k"), outcome(acl, "d/a/b/k")))
"#;
    acls_in_keyfs(&mount, "prod/secrets/d", text);
    mount.restart();
    assert_eq!(getfacl(&mount.path("prod/secrets/d/d/a/b/k")), "user::rw- group::--- other::---");
}

pub(super) fn named_groups_open_the_gate() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put("prod/secrets/db/k", "s3cret");
    mount.own("prod/secrets/db/k", ALICE, PAYMENTS, 0o600);
    let key = mount.path("prod/secrets/db/k");
    let (ops, analyst) = (User(BOB, BOB, &[OPS]), User(BOB, ANALYSTS, &[]));
    let set = |entries: &str| assert!(setfacl(&["-m", entries], &key).status.success(), "{entries}");
    ops.is_refused(&key, "Permission denied");
    set(&format!("g:{OPS}:r"));
    ops.reads(&key, "s3cret");
    User(0, 0, &[OPS]).reads(&key, "s3cret");
    analyst.is_refused(&key, "Permission denied");
    ROOT.is_refused(&key, "Permission denied");
    set(&format!("g:{ANALYSTS}:rw,g:{OPS}:w"));
    analyst.reads(&key, "s3cret");
    ops.is_refused(&key, "Permission denied");
    User(0, 0, &[OPS]).is_refused(&key, "Permission denied");
    set(&format!("g:{OPS}:r,m::-"));
    for user in [ops, analyst, User(0, 0, &[OPS]), User(0, ANALYSTS, &[])] {
        user.is_refused(&key, "Permission denied");
    }
    set("m::r");
    ops.reads(&key, "s3cret");
    assert!(!analyst.sh(&format!("echo x > {}", key.display())).status.success());
    // An entry for the owning group itself counts like its own.
    set(&format!("g::-,g:{PAYMENTS}:r,m::r"));
    User(BOB, BOB, &[PAYMENTS]).reads(&key, "s3cret");
    assert!(setfacl(&["-b"], &key).status.success());
    for user in [ops, analyst, User(BOB, BOB, &[PAYMENTS]), User(0, 0, &[OPS])] {
        user.is_refused(&key, "Permission denied");
    }
}

pub(super) fn copies_keep_acls() {
    let mount = Mount::new();
    let outside = reference(&mount, "outside");
    let text = r#"
os.mkdir("from", 0o750), put("from/k", b"1", mode=0o640), os.chown("from/k", ALICE, PAYMENTS), os.mkdir("from/d", 0o770)
put("from/plain", b"2", mode=0o600)
set_acl("from/k", "u::rw g::r g:20102:rw g:20103:x m::rw o::-")
set_acl("from/d", "u::rwx g::rx g:20102:rwx m::rwx o::-"), set_acl("from/d", "u::rwx g::- g:20103:rx m::rx o::-", DEFAULT)
put("from/d/k", b"3")
"#;
    let list = r#"
def tree(top):
    paths = sorted(os.path.relpath(os.path.join(root, name), top) for root, below, files in os.walk(top) for name in below + files)
    return [(path, state(f"{top}/{path}")) for path in paths]
for path, found in tree(sys.argv[1]):
    print(path, found)
"#;
    let listed = |directory: &Path| program(directory, &format!("{ACLS}{list}"), &[directory.to_str().unwrap()]);
    program(&outside, &format!("{ACLS}{text}"), &[]);
    let wanted = listed(&outside.join("from"));
    assert!(wanted.contains("g:20102:rw g:20103:x m::rw"), "{wanted}");
    let mut copiers = vec![vec!["cp", "-a"]];
    if is_installed("rsync") {
        copiers.push(vec!["rsync", "-aA", "--numeric-ids"]);
        copiers.push(vec!["rsync", "-aAX", "--numeric-ids", "--inplace"]);
    }
    for (number, copier) in copiers.iter().enumerate() {
        // Into each tree, from one to the other, and out again.
        let mut from = outside.join("from");
        for below in ["dev/variables", "dev/secrets", "prod/secrets", "prod/variables", "out"] {
            let to = if below == "out" { outside.join("out") } else { mount.path(below) }.join(format!("copy{number}"));
            fs::create_dir_all(&to).unwrap();
            // root copies what its groups let it read.
            let mut command = User(0, 0, &[PAYMENTS, OPS]).command(copier[0]);
            run(command.args(&copier[1..]).arg(format!("{}/.", from.display())).arg(&to));
            assert_eq!(listed(&to), wanted, "{copier:?} to {below}");
            from = to;
        }
    }
    // With an entry for a user the copy among secrets has none, and is no wider than it was.
    let wide = outside.join("wide");
    fs::write(&wide, "1").unwrap();
    run(Command::new("setfacl").args(["-m", &format!("u:{BOB}:rw,g::-,o::r")]).arg(&wide));
    let copy = mount.path("prod/secrets/wide");
    is_invalid(&Command::new("cp").arg("-a").arg(&wide).arg(&copy).output().unwrap());
    User(BOB, BOB, &[]).is_refused(&copy, "Permission denied");
    assert!(!getfacl(&copy).contains(&format!("user:{BOB}")), "{}", getfacl(&copy));
    assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o007, 0);
    // What getfacl says can be set again.
    let saved = run(Command::new("getfacl").args(["-R", "from"]).current_dir(&outside));
    let blank = mount.path("dev/secrets/copy0");
    run(Command::new("setfacl").args(["-R", "-b", "-k"]).arg(&blank));
    assert_ne!(listed(&blank), wanted);
    fs::write(outside.join("saved"), saved.replace("# file: from", "# file: copy0")).unwrap();
    run(Command::new("setfacl")
        .arg(format!("--restore={}", outside.join("saved").display()))
        .current_dir(mount.path("dev/secrets")));
    assert_eq!(listed(&blank), wanted);
}

pub(super) fn acls_outlive_the_mount() {
    let mut mount = Mount::new();
    let set = r#"
put("k", b"1", mode=0o640), os.mkdir("d", 0o750), os.chown("k", ALICE, PAYMENTS)
set_acl("k", "u::rw g::r g:20102:rw g:20103:x m::r o::-")
set_acl("d", "u::rwx u:20002:rx g::- m::rx o::-"), set_acl("d", "u::rwx u:20003:r g::rx g:20102:rwx m::rwx o::x", DEFAULT)
"#;
    let show = r#"
show("k", state, "k"), show("d", state, "d")
expect("for the group", b"1", by, BOB, [BOB, OPS], get, "k")
expect("not to write", "EACCES", by, BOB, [BOB, OPS], put, "k", b"2", WRONLY)
expect("for the user", [], by, BOB, [BOB], names, "d")
# A chmod finds again what the mask hid.
os.chmod("k", 0o660)
expect("as the mask lets", None, by, BOB, [BOB, OPS], put, "k", b"1", WRONLY)
os.chmod("k", 0o640)
"#;
    for below in ["dev/variables/d", "dev/secrets/d"] {
        acls_in_keyfs(&mount, below, set);
    }
    for signal in ["TERM", "KILL"] {
        let before = ["dev/variables/d", "dev/secrets/d"].map(|below| acls_in_keyfs(&mount, below, show));
        assert!(before[0].contains("g:20103:x m::r"), "{}", before[0]);
        mount.end(signal);
        mount.start();
        let after = ["dev/variables/d", "dev/secrets/d"].map(|below| acls_in_keyfs(&mount, below, show));
        assert_eq!(before, after);
    }
}

pub(super) fn trees_and_environments_have_acls() {
    let mount = Mount::new();
    let (bob, alice) = (User(BOB, BOB, &[]), User(ALICE, ALICE, &[]));
    for below in ["", "prod", "prod/secrets", "prod/variables"] {
        let path = mount.path(below);
        assert!(setfacl(&["-m", &format!("u:{BOB}:-,g:{OPS}:rx")], &path).status.success(), "{below}");
        assert!(!bob.command("ls").arg(&path).output().unwrap().status.success(), "{below}");
        assert!(alice.command("ls").arg(&path).output().unwrap().status.success(), "{below}");
        // The owner's and root's alone.
        assert!(!alice.command("setfacl").args(["-m", "o::-"]).arg(&path).output().unwrap().status.success());
        assert!(setfacl(&["-b"], &path).status.success());
        assert!(bob.command("ls").arg(&path).output().unwrap().status.success(), "{below}");
    }
    // What is made right below has a tree's default.
    assert!(
        setfacl(&["-d", "-m", &format!("u::rwx,g::-,g:{OPS}:rw,o::-")], &mount.path("prod/secrets")).status.success()
    );
    assert!(alice.sh(&format!("umask 077; echo 1 > {}", mount.path("prod/secrets/k").display())).status.success());
    User(BOB, BOB, &[OPS]).reads(&mount.path("prod/secrets/k"), "1\n");
    // Control files have none.
    for below in [".keyfs", ".keyfs/status"] {
        let refused = setfacl(&["-m", &format!("u:{BOB}:rw")], &mount.path(below));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("Operation not permitted"), "{refused:?}");
    }
}
