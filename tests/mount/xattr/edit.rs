//! `user.keyfs.groups` and `user.keyfs.remove`: for who may read and write an entry.

use std::fs;
use std::process::Command;

use super::{ATTRIBUTES, TREES, attributes_in_keyfs};
use crate::alike::in_keyfs;
use crate::fixture::{ALICE, BOB, Mount, OPS, PAYMENTS, User, run};
use crate::peer::Peer;

pub(super) fn groups_are_replaced() {
    let mut mount = Mount::new();
    let text = r#"
put("k", b"1"), owned("k", ALICE, PAYMENTS, 0o660)
editor = (BOB, [BOB, PAYMENTS, OPS, ANALYSTS])
def rights():
    found = {}
    for group in PAYMENTS, OPS, ANALYSTS:
        read, write = (outcome(by, CAROL, [CAROL, group], opened, "k", flags) is None for flags in (RDONLY, WRONLY))
        found[group] = ("r" if read else "") + ("w" if write else "") or "-"
    return found
# What is set, what is in force, what it reads back as: the owning group first, the others by their ids.
for value, wanted, back in [
    ("20113:r,20112:rw", ["-", "rw", "r"], "20112:rw,20113:r"),
    ("20111:rw", ["rw", "-", "-"], "20111:rw"),
    ("20111:r,20113:w,20112:rw", ["r", "rw", "w"], "20111:r,20112:rw,20113:w"),
    (" 20113 : wr ,\t20111:rw\n", ["rw", "-", "rw"], "20111:rw,20113:rw"),
    ("20112:-,20111:rw", ["rw", "-", "-"], "20111:rw,20112:-"),
    ("20113:rw", ["-", "-", "rw"], "20113:rw"),
]:
    expect(f"set {value!r}", None, by, *editor, setx, "k", GROUPS, value)
    expect("in force", dict(zip((PAYMENTS, OPS, ANALYSTS), wanted)), rights)
    for name in GROUPS, "system.keyfs.groups":
        expect("read back", back, by, *editor, text, "k", name)
    expect("owner and owning group are what they were", (ALICE, PAYMENTS), lambda: permissions("k")[1:])
# What was read back sets the same.
expect("again", None, by, *editor, setx, "k", GROUPS, fact("k", "groups"))
expect("as before", "20113:rw", fact, "k", "groups")
# The mask counts in what is told.
os.chmod("k", 0o640)
expect("masked", "20113:r", fact, "k", "groups")
os.chmod("k", 0o660)
# None at all: the owner's own is left, and nobody edits it this way any more.
expect("none", None, by, *editor, setx, "k", GROUPS, "")
expect("nobody", {PAYMENTS: "-", OPS: "-", ANALYSTS: "-"}, rights)
expect("told", ("", "0o600"), lambda: (fact("k", "groups"), mode("k")))
expect("the editor no more", "EACCES", by, *editor, setx, "k", GROUPS, "20111:rw")
expect("by its owner in the group", None, by, ALICE, [PAYMENTS], setx, "k", GROUPS, "20111:r")
expect("told", ("20111:r", "0o640"), lambda: (fact("k", "groups"), mode("k")))
# It can't be taken off, only emptied.
expect("removed", "EPERM", by, ALICE, [PAYMENTS], os.removexattr, "k", GROUPS)
# On directories.
os.mkdir("e"), owned("e", ALICE, PAYMENTS, 0o770)
expect("a directory's", None, by, BOB, [PAYMENTS], setx, "e", GROUPS, "20111:rwx,20112:rx")
expect("told", "20111:rwx,20112:rx", fact, "e", "groups")
expect("in force", [], by, CAROL, [OPS], names, "e")
expect("no more than that", "EACCES", by, CAROL, [OPS], put, "e/k", b"1")
"#;
    attributes_in_keyfs(&mount, text);
    // Users that a variable's ACL names keep what they have; no secret has any.
    let users = r#"
put("u", b"1"), owned("u", ALICE, PAYMENTS, 0o660)
run("setfacl", "-m", "u:20012:rw,g:20112:rwx,m::rw,o::r", "u")
expect("set", None, by, CAROL, [PAYMENTS], setx, "u", GROUPS, "20113:r")
expect("the user", (None, None), by, BOB, [BOB], lambda: (opened("u", RDWR), None) and (None, None))
show("acl", run, "getfacl", "-cpnE", "u")
expect("others", None, by, CAROL, [CAROL], opened, "u", RDONLY)
expect("the group that was", "EACCES", by, CAROL, [OPS], opened, "u", WRONLY)
"#;
    in_keyfs(&mount, "dev/variables/d", &format!("{ATTRIBUTES}{users}"));
    mount.restart();
    attributes_in_keyfs(&mount, r#"expect("after the next mount", "20111:r", fact, "k", "groups")"#);
}

pub(super) fn groups_are_named() {
    let mount = Mount::new();
    // Two groups that every Debian has.
    let text = r#"
import grp
one, other = grp.getgrgid(1).gr_name, grp.getgrgid(2).gr_name
put("k", b"1"), owned("k", 0, 0, 0o660)
expect("by name", None, setx, "k", GROUPS, f"root:rw,{one}:r,{other}:w,20112:rw")
expect("told by name, or by id where there is none", f"root:rw,{one}:r,{other}:w,20112:rw", fact, "k", "groups")
expect("reads", b"1", by, BOB, [BOB, 1], get, "k")
expect("does not", "EACCES", by, BOB, [BOB, 2], get, "k")
expect("one group by name and id", "EINVAL", setx, "k", GROUPS, f"root:rw,{one}:r,1:rw")
expect("as it was", b"1", by, BOB, [BOB, 1], get, "k")
"#;
    attributes_in_keyfs(&mount, text);
}

pub(super) fn unclear_groups_change_nothing() {
    let mount = Mount::new();
    let text = r#"
put("k", b"1"), owned("k", ALICE, PAYMENTS, 0o660), os.mkdir("e"), owned("e", ALICE, PAYMENTS, 0o770)
setx("e", GROUPS, "20111:rwx,20112:rx")
by(ALICE, [PAYMENTS], setx, "k", GROUPS, "20111:rw,20112:r")
editor = (BOB, [PAYMENTS])
before = [(path, permissions(path), fact(path, "groups"), listed(path)) for path in ("k", "e")]
for wrong in ["20111", "20111:", ":rw", "20111:rw,", ",20111:rw", "20111:q", "20111:RW", "20111:rr", "20111:r:w", "20111=rw", "20111:6",
              "no-such-group-here:r", "-1:r", "4294967295:r", "99999999999:r", "20112:r,20112:rw", "20111:rw;20112:r", "g:20111:rw",
              "20111:rw 20112:r", b"20111:rw\xff", b"20111:rw\0,20112:r"]:
    for path in "k", "e":
        expect(f"{wrong!r} on {path}", "EINVAL", by, *editor, setx, path, GROUPS, wrong)
expect("nothing changed", before, lambda: [(path, permissions(path), fact(path, "groups"), listed(path)) for path in ("k", "e")])
expect("nor for the group", b"1", by, CAROL, [OPS], get, "k")
# An unclear name beside it is no note either.
for name in "user.keyfs.group", "user.keyfs.", "user.keyfs.Groups", "user.keyfs.version":
    expect(name, "EINVAL", by, *editor, setx, "k", name, "20111:rw")
    expect(f"{name} read", "ENODATA", by, *editor, getx, "k", name)
    expect(f"{name} removed", "ENODATA", by, *editor, os.removexattr, "k", name)
"#;
    attributes_in_keyfs(&mount, text);
}

pub(super) fn who_sets_groups() {
    let mount = Mount::new();
    let text = r#"
secret = "/secrets/" in os.getcwd()
put("k", b"1")
def entry(bits, groups):
    owned("k", ALICE, PAYMENTS, bits)
    run("setfacl", "-b", "k"), os.chmod("k", bits)
    if groups:
        run("setfacl", "-m", groups, "k")
owner, owner_in_it, member, named = (ALICE, [ALICE]), (ALICE, [ALICE, PAYMENTS]), (BOB, [BOB, PAYMENTS]), (CAROL, [OPS])
root, root_in_it = (0, [0]), (0, [0, PAYMENTS])
gate = "EACCES" if secret else None
for bits, groups, who, wanted in [
    (0o660, "", member, None), (0o660, "", owner, gate), (0o660, "", owner_in_it, None), (0o660, "", named, "EACCES"),
    # The owner alone has it where the group has nothing, as a member of it.
    (0o600, "", owner, gate), (0o600, "", owner_in_it, None), (0o600, "", member, "EACCES"),
    # To read alone, or to write alone, is not enough.
    (0o640, "", member, "EACCES"), (0o620, "", member, "EACCES"), (0o460, "", owner_in_it, "EACCES"), (0o260, "", owner_in_it, "EACCES"),
    # Root writes and, of secrets, reads with a group.
    (0o660, "", root, gate), (0o660, "", root_in_it, None), (0o600, "", root_in_it, gate),
    # One of a process's groups must grant both, as for opening to read and write.
    (0o640, "g:20112:rw", named, None), (0o640, "g:20112:r", named, "EACCES"), (0o640, "g:20112:w", named, "EACCES"),
    (0o640, "g:20112:rw,m::r", named, "EACCES"), (0o660, "g:20112:rw,m::r", member, "EACCES"),
]:
    entry(bits, groups)
    before = outcome(fact, "k", "groups")
    expect(f"{bits:o} {groups} by {who}", wanted, by, *who, setx, "k", GROUPS, "20113:r")
    expect("came of it", "20113:r" if wanted is None else before, fact, "k", "groups")
    # Whoever may set it could have opened it.
    entry(bits, groups)
    expect("as opening says", wanted, by, *who, opened, "k", RDWR)
"#;
    attributes_in_keyfs(&mount, text);
}

pub(super) fn before_the_first_flush() {
    let mount = Mount::new();
    let text = r#"
os.umask(0o007)
def created():
    handle = os.open("k", RDWR | CREAT | EXCL, 0o660)
    setx("k", GROUPS, "20111:rw,20112:r")
    setx("k", "user.note", b"first")
    setx("k", EXPIRES, "2199-01-01T00:00:00Z")
    # It is there, and it is nobody's else from here on.
    seen = [outcome(fact, "k", "version"), fact("k", "groups"), listed("k")]
    os.write(handle, b"value")
    os.close(handle)
    return seen
expect("set", ["ENODATA", "20111:rw,20112:r", ["system.posix_acl_access", "user.keyfs.expires", "user.note"]], by, ALICE, [PAYMENTS], created)
expect("one commit", "1", fact, "k", "version")
expect("with its groups", ("20111:rw,20112:r", b"value"), lambda: (fact("k", "groups"), by(CAROL, [OPS], get, "k")))
expect("and its attributes", (b"first", "2199-01-01T00:00:00Z"), lambda: (getx("k", "user.note"), fact("k", "expires")[:19] + "Z"))
expect("not for others", "EACCES", by, CAROL, [ANALYSTS], get, "k")
"#;
    attributes_in_keyfs(&mount, text);

    // Others see it at once, as narrow as it is; the groups come into force with the attribute.
    for tree in TREES {
        let key = mount.path(tree).join("new");
        let (mut maker, mut other) = (Peer::new(User(ALICE, ALICE, &[PAYMENTS])), Peer::new(User(BOB, BOB, &[OPS])));
        maker.is(&format!("umask(0o077); fd = open('{}', O_WRONLY | O_CREAT | O_EXCL, 0o666)", key.display()), "done");
        other.is(&format!("open('{}', O_RDONLY)", key.display()), "EACCES");
        maker.is(&format!("chown('{0}', -1, {PAYMENTS}); chmod('{0}', 0o660)", key.display()), "done");
        other.is(&format!("open('{}', O_RDONLY)", key.display()), "EACCES");
        maker.is(&format!("setxattr('{}', 'user.keyfs.groups', b'{PAYMENTS}:rw,{OPS}:r')", key.display()), "None");
        other.is(&format!("early = open('{}', O_RDONLY)", key.display()), "done");
        maker.is("write(fd, b'value'), close(fd)", "(5, None)");
        other.is(&format!("fd = open('{}', O_RDONLY); read(fd, 9)", key.display()), "done");
        other.is("pread(fd, 9, 0)", "b'value'");
        assert!(mount.path(&format!(".keyfs/history/{tree}/new/1")).exists());
        assert!(!mount.path(&format!(".keyfs/history/{tree}/new/2")).exists());
    }
    // Who can't be told from the text's mistake leaves nothing set.
    let key = mount.path("dev/secrets/wrong");
    let mut maker = Peer::new(User(ALICE, ALICE, &[]));
    maker.is(&format!("fd = open('{}', O_WRONLY | O_CREAT | O_EXCL, 0o600)", key.display()), "done");
    maker.is(&format!("setxattr('{}', 'user.keyfs.groups', b'nobodies:r')", key.display()), "EINVAL");
    maker.is("write(fd, b'1'), close(fd)", "(1, None)");
    maker.is(&format!("getxattr('{}', 'system.keyfs.groups')", key.display()), "b''");
}

pub(super) fn removal_by_attribute() {
    let mount = Mount::new();
    let text = r#"
# At once, whatever the value is, and its name is free again.
for number in range(30):
    put("k", b"%d" % number), os.mkdir("e")
    expect("file", None, setx, "k", REMOVE, [b"1", b"", b"yes"][number % 3])
    expect("directory", None, setx, "e", REMOVE, b"1")
    expect("gone", ("ENOENT", "ENOENT"), lambda: (outcome(os.stat, "k"), outcome(os.stat, "e")))
    expect("not listed", [], names)
    expect("made anew", None, opened, "k", WRONLY | CREAT | EXCL)
    expect("empty", b"", get, "k")
    expect("made anew", None, os.mkdir, "e")
    os.unlink("k"), os.rmdir("e")
expect("of none", "ENOENT", setx, "k", REMOVE, b"1")
os.makedirs("e/f"), put("e/k", b"1")
expect("a full directory", "ENOTEMPTY", setx, "e", REMOVE, b"1")
expect("a directory with one", (None, "ENOTEMPTY"), lambda: (setx("e/k", REMOVE, b"1"), outcome(setx, "e", REMOVE, b"1")))
expect("emptied", (None, None), lambda: (setx("e/f", REMOVE, b"1"), setx("e", REMOVE, b"1")))
# By a descriptor, which goes on as after unlink.
put("k", b"open")
handle = os.open("k", RDWR)
expect("by descriptor", None, setx, handle, REMOVE, b"1")
# Whoever has it open may be told of what is open for a moment; everybody else looks the name up.
expect("no name", (1, ""), sh, "test -e k")
wait_for("the name to go", lambda: outcome(os.stat, "k") == "ENOENT")
expect("no links", 0, lambda: os.fstat(handle).st_nlink)
expect("still read", b"open", os.read, handle, 9)
os.pwrite(handle, b"never", 0)
put("k", b"another")
os.close(handle)
expect("another", b"another", get, "k")
# One that was never committed.
handle = os.open("new", WRONLY | CREAT | EXCL, 0o600)
os.write(handle, b"1")
expect("uncommitted", None, setx, "new", REMOVE, b"1")
expect("gone", (1, ""), sh, "test -e new")
os.close(handle)
expect("stays gone", ["k"], names)
# It is not there to be read, and there is nothing to take off.
expect("read", "ENODATA", getx, "k", REMOVE)
expect("taken off", "ENODATA", os.removexattr, "k", REMOVE)
expect("still there", b"another", get, "k")
"#;
    attributes_in_keyfs(&mount, text);
    // Its versions stay in the history of its key.
    mount.put("dev/secrets/gone", "past");
    run(Command::new("setfattr").args(["-n", "user.keyfs.remove", "-v", "1"]).arg(mount.path("dev/secrets/gone")));
    assert_eq!(mount.get(".keyfs/history/dev/secrets/gone/1"), b"past");
}

pub(super) fn who_removes_by_attribute() {
    let mount = Mount::new();
    let text = r#"
secret = "/secrets/" in os.getcwd()
owner_in_it, owner, member = (ALICE, [ALICE, PAYMENTS]), (ALICE, [ALICE]), (BOB, [BOB, PAYMENTS])
outsider, root, root_in_it = (BOB, [BOB, OPS]), (0, [0]), (0, [PAYMENTS])
# In a directory that nobody but root may write, and nobody else may list.
os.mkdir("closed", 0o711)
for bits, who, wanted in [(0o660, member, None), (0o640, member, "EACCES"), (0o620, member, "EACCES"), (0o660, outsider, "EACCES"),
                          (0o600, owner_in_it, None), (0o600, owner, "EACCES" if secret else None), (0o400, owner_in_it, "EACCES"),
                          (0o660, root, "EACCES" if secret else None), (0o660, root_in_it, None)]:
    put("closed/k", b"1"), owned("closed/k", ALICE, PAYMENTS, bits)
    expect(f"{bits:o} by {who}", wanted, by, *who, setx, "closed/k", REMOVE, b"1")
    expect("there", wanted is not None, os.path.exists, "closed/k")
# A directory holds no value, so no gate is asked; it takes read and write on itself.
for bits, who, wanted in [(0o770, member, None), (0o760, member, None), (0o750, member, "EACCES"), (0o730, member, "EACCES"),
                          (0o770, outsider, "EACCES"), (0o700, owner, None), (0o700, root, None)]:
    if not os.path.exists("closed/e"):
        os.mkdir("closed/e")
    owned("closed/e", ALICE, PAYMENTS, bits)
    expect(f"directory {bits:o} by {who}", wanted, by, *who, setx, "closed/e", REMOVE, b"1")
    expect("there", wanted is not None, os.path.exists, "closed/e")
put("closed/k", b"1"), owned("closed/k", ALICE, PAYMENTS, 0o660), os.chmod("closed", 0o700)
expect("not to be reached", "EACCES", by, *member, setx, "closed/k", REMOVE, b"1")
"#;
    attributes_in_keyfs(&mount, text);
}

pub(super) fn removal_of_what_is_no_key() {
    let mount = Mount::new();
    let remove = |below: &str| {
        Command::new("setfattr").args(["-n", "user.keyfs.remove", "-v", "1"]).arg(mount.path(below)).output().unwrap()
    };
    for below in ["dev/variables", "dev/secrets", "", ".keyfs", ".keyfs/status"] {
        let refused = remove(below);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("Operation not permitted"), "{below}: {refused:?}");
    }
    mount.put("pre/secrets/k", "1");
    let refused = remove("pre");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not empty"), "{refused:?}");
    // An environment goes as by `rmdir`, for who may do that.
    let refused = User(ALICE, ALICE, &[])
        .command("setfattr")
        .args(["-n", "user.keyfs.remove", "-v", "1"])
        .arg(mount.path("pre"))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Permission denied"), "{refused:?}");
    assert_eq!(mount.get("pre/secrets/k"), b"1");
    fs::remove_file(mount.path("pre/secrets/k")).unwrap();
    assert!(remove("pre").status.success());
    assert!(!mount.path("pre").exists());
}
