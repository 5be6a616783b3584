//! The roots of trees, which are open to all, and what a secret has of modes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use crate::alike::in_keyfs;
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, OPS, PAYMENTS, ROOT, User, run};
use crate::peer::Peer;

pub(super) fn a_secret_has_nothing_for_others() {
    let mut mount = Mount::new();
    let text = r#"
os.umask(0)
def made(how, bits):
    {"open": lambda: opened("k", WRONLY | CREAT | EXCL, bits), "mknod": lambda: os.mknod("k", bits)}[how]()
    found = permissions("k")
    os.unlink("k")
    return found
for how in "open", "mknod":
    for bits in 0o777, 0o666, 0o007, 0o604, 0o641, 0o4755, 0o1777:
        expect(f"{how} {bits:o}", (oct(bits & ~7), ALICE, ALICE), by, ALICE, [ALICE], made, how, bits)
put("k", b"1", mode=0o666)
def changed(bits):
    os.chmod("k", bits)
    return mode("k")
def by_descriptor(bits):
    os.chmod("k", 0o600)
    handle = os.open("k", RDWR)
    os.fchmod(handle, bits)
    found = oct(stat.S_IMODE(os.fstat(handle).st_mode))
    os.close(handle)
    return found
def before_the_first_flush(bits):
    handle = os.open("new", RDWR | CREAT | EXCL, 0o600)
    os.fchmod(handle, bits)
    found = [mode("new")]
    os.write(handle, b"1")
    os.close(handle)
    found.append(mode("new"))
    os.unlink("new")
    return found
for bits in 0o777, 0o644, 0o606, 0o006, 0o1777, 0o4711:
    expect(f"chmod {bits:o}", oct(bits & ~7), changed, bits)
    expect(f"fchmod {bits:o}", oct(bits & ~7), by_descriptor, bits)
    expect(f"of a new one {bits:o}", [oct(bits & ~7)] * 2, before_the_first_flush, bits)
# A directory's bits for others mean what they mean everywhere.
os.mkdir("d", 0o755)
expect("directory", "0o755", mode, "d")
os.chmod("d", 0o1777)
expect("directory", "0o1777", mode, "d")
put("last", b"1", mode=0o666), os.chown("last", ALICE, PAYMENTS), os.chmod("last", 0o664)
"#;
    in_keyfs(&mount, "dev/secrets/d", text);
    // Nor does the kernel believe otherwise, here or after the next mount.
    for _ in 0..2 {
        let last = mount.path("dev/secrets/d/last");
        assert_eq!(fs::metadata(&last).unwrap().mode() & 0o7777, 0o660);
        User(BOB, BOB, &[PAYMENTS]).reads(&last, "1");
        User(BOB, BOB, &[OPS]).is_refused(&last, "Permission denied");
        mount.restart();
    }
}

pub(super) fn a_trees_root_is_open_to_all() {
    let mount = Mount::new();
    let text = r#"
for uid, groups in (ALICE, [ALICE]), (BOB, [BOB, OPS]), (0, [0]):
    name = f"of{uid}"
    expect("file", None, by, uid, groups, put, name, b"1")
    expect("directory", None, by, uid, groups, os.mkdir, f"{name}.d")
    expect("node", None, by, uid, groups, os.mknod, f"{name}.n")
    expect("its creator's", (uid, groups[0]), lambda: permissions(name)[1:])
    expect("its creator's", (uid, groups[0]), lambda: permissions(f"{name}.d")[1:])
# The directory below is its maker's alone.
expect("within it", None, by, ALICE, [ALICE], put, f"of{ALICE}.d/k", b"1")
expect("not another", "EACCES", by, BOB, [BOB], put, f"of{ALICE}.d/l", b"1")
expect("nor its removal", "EACCES", by, BOB, [BOB], os.unlink, f"of{ALICE}.d/k")
# A group's writers write as they do elsewhere, with and without O_CREAT.
os.chown(f"of{ALICE}", ALICE, PAYMENTS), os.chmod(f"of{ALICE}", 0o660)
expect("by the group", None, by, BOB, [BOB, PAYMENTS], put, f"of{ALICE}", b"2")
expect("not by others", "EACCES", by, BOB, [BOB], put, f"of{ALICE}", b"3")
expect("nor made anew", "EEXIST", by, BOB, [BOB], opened, f"of{ALICE}", WRONLY | CREAT | EXCL)
"#;
    for tree in ["dev/variables", "dev/secrets"] {
        in_keyfs(&mount, tree, text);
    }
}

/// Who may disturb an entry of alice's and of the group payments, right below the root of a tree, as its mode says; the
/// last ones are the attributes of the case.
const DISTURBERS: &str = r#"
OWNER, MEMBER, OUTSIDER, SUPERUSER = (ALICE, [ALICE]), (BOB, [BOB, PAYMENTS]), (BOB, [BOB, OPS]), (0, [0])
CASES = [
    (0o600, OWNER, None), (0o600, MEMBER, "EPERM"), (0o600, OUTSIDER, "EPERM"), (0o600, SUPERUSER, None),
    (0o640, MEMBER, "EPERM"), (0o620, MEMBER, "EPERM"), (0o660, MEMBER, None), (0o660, OUTSIDER, "EPERM"),
    # The owner may, whatever the mode says.
    (0o000, OWNER, None), (0o000, MEMBER, "EPERM"), (0o000, SUPERUSER, None), (0o060, MEMBER, None),
    # Whose class is the owner's is no member.
    (0o070, (ALICE, [ALICE, PAYMENTS]), None),
]
def made(name, bits, directory=False):
    if not os.path.exists(name):
        os.mkdir(name) if directory else put(name, b"1")
    os.chown(name, ALICE, PAYMENTS), os.chmod(name, bits)
"#;

pub(super) fn who_removes_right_below_a_trees_root() {
    let mount = Mount::new();
    let text = r#"
for bits, who, wanted in CASES:
    made("k", bits), made("d", bits, True)
    expect(f"unlink of {bits:o} by {who}", wanted, by, *who, os.unlink, "k")
    expect(f"rmdir of {bits:o} by {who}", wanted, by, *who, os.rmdir, "d")
    expect("there", wanted is not None, os.path.exists, "k")
    made("k", bits), made("d", bits, True)
    for name in "k", "d":
        expect(f"rename of {name} {bits:o} by {who}", wanted, by, *who, os.rename, name, "moved")
        if wanted is None:
            os.rename("moved", name)
# A directory is searched too before it counts as read; to be let in it is enough to read and write.
made("d", 0o760, True)
expect("reads and writes", None, by, *MEMBER, os.rmdir, "d")
# Out of the root into one's own directory, and the other way round.
by(BOB, [BOB], os.mkdir, "bobs"), by(BOB, [BOB], put, "bobs/k", b"1")
made("k", 0o640)
expect("taken away", "EPERM", by, *MEMBER, os.rename, "k", "bobs/taken")
expect("brought", None, by, BOB, [BOB], os.rename, "bobs/k", "brought")
expect("taken back", None, by, BOB, [BOB], os.rename, "brought", "bobs/k")
# Below a directory the kernel's rules stand alone.
by(BOB, [BOB], os.mkdir, "open"), os.chmod("open", 0o777)
by(ALICE, [ALICE], put, "open/k", b"1")
expect("by anybody", None, by, CAROL, [CAROL], os.unlink, "open/k")
"#;
    for tree in ["dev/variables", "dev/secrets"] {
        in_keyfs(&mount, tree, &format!("{DISTURBERS}{text}"));
    }
    // An entry that nobody has flushed yet is its owner's as well.
    let key = mount.path("prod/secrets/lock");
    let mut alice = Peer::new(User(ALICE, ALICE, &[]));
    alice.is(&format!("fd = open('{}', O_WRONLY | O_CREAT | O_EXCL, 0o600); fd > 0", key.display()), "done");
    let mut bob = Peer::new(User(BOB, BOB, &[]));
    bob.is(&format!("unlink('{}')", key.display()), "EPERM");
    bob.is(&format!("rename('{0}', '{0}2')", key.display()), "EPERM");
    bob.is(&format!("open('{}', O_WRONLY | O_CREAT)", key.display()), "EACCES");
    alice.is("write(fd, b'mine'), close(fd)", "(4, None)");
    User(ALICE, ALICE, &[]).reads(&key, "mine");
    bob.is(&format!("unlink('{}')", key.display()), "EPERM");
    alice.is(&format!("unlink('{}')", key.display()), "None");
}

pub(super) fn who_replaces_right_below_a_trees_root() {
    let mount = Mount::new();
    let text = r#"
for bits, who, wanted in CASES:
    made("k", bits)
    by(*who, put, "own", b"2")
    expect(f"replacing {bits:o} by {who}", wanted, by, *who, os.rename, "own", "k")
    expect("there is", who[0] if wanted is None else ALICE, lambda: os.stat("k").st_uid)
    made("k", bits)
    if wanted is None:
        by(*who, put, "own", b"2")
    expect("unless it is there", "EEXIST", by, *who, rename, "own", "k", NOREPLACE)
    expect(f"exchanging {bits:o} by {who}", wanted, by, *who, rename, "own", "k", EXCHANGE)
    os.unlink("own"), os.unlink("k")
# From within a directory of one's own.
by(BOB, [BOB], os.mkdir, "bobs"), by(BOB, [BOB], put, "bobs/k", b"2")
made("k", 0o640)
expect("over it", "EPERM", by, BOB, [BOB], os.rename, "bobs/k", "k")
expect("exchanged", "EPERM", by, BOB, [BOB], rename, "bobs/k", "k", EXCHANGE)
os.chmod("k", 0o660)
expect("by an editor", None, by, *MEMBER, os.rename, "bobs/k", "k")
# A directory over a directory.
made("d", 0o750, True)
by(BOB, [BOB], os.mkdir, "bobs/d")
expect("over a directory", "EPERM", by, BOB, [BOB, PAYMENTS], os.rename, "bobs/d", "d")
os.chmod("d", 0o770)
expect("over it as a writer", None, by, BOB, [BOB, PAYMENTS], os.rename, "bobs/d", "d")
"#;
    for tree in ["dev/variables", "dev/secrets"] {
        in_keyfs(&mount, tree, &format!("{DISTURBERS}{text}"));
    }
    // With a secret the gate is asked as well: the kernel's word for an owner or a capability is none there. An editor in
    // a named group passes both.
    mount.put("prod/secrets/k", "1");
    mount.own("prod/secrets/k", ALICE, PAYMENTS, 0o600);
    let key = mount.path("prod/secrets/k");
    run(Command::new("setfacl").args(["-m", &format!("g:{OPS}:rw,g:{ANALYSTS}:r")]).arg(&key));
    let refused = User(BOB, BOB, &[ANALYSTS]).command("rm").arg("-f").arg(&key).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Operation not permitted"), "{refused:?}");
    run(User(BOB, BOB, &[OPS]).command("mv").arg(&key).arg(mount.path("prod/secrets/moved")));
    run(User(BOB, BOB, &[OPS]).command("rm").arg("-f").arg(mount.path("prod/secrets/moved")));
    assert!(!mount.path("prod/secrets/moved").exists());
}

pub(super) fn the_owner_of_a_trees_root() {
    let mount = Mount::new();
    let (owner, other) = (User(ALICE, ALICE, &[]), User(BOB, BOB, &[OPS]));
    for tree in ["prod/variables", "prod/secrets"] {
        mount.own(tree, ALICE, ALICE, 0o777);
        assert!(
            other.sh(&format!("umask 077; cd {}; echo 1 > k; mkdir d", mount.path(tree).display())).status.success()
        );
        // The root's owner tidies it up and reads nothing.
        owner.is_refused(&mount.path(tree).join("k"), "Permission denied");
        run(owner.command("mv").arg(mount.path(tree).join("k")).arg(mount.path(tree).join("l")));
        run(owner.command("rm").arg("-f").arg(mount.path(tree).join("l")));
        run(owner.command("rmdir").arg(mount.path(tree).join("d")));
        assert_eq!(fs::read_dir(mount.path(tree)).unwrap().count(), 0);
        // Whose it is no more tidies it up no more.
        mount.own(tree, 0, 0, 0o777);
        assert!(other.sh(&format!("cd {}; echo 1 > k", mount.path(tree).display())).status.success());
        assert!(!owner.command("rm").arg("-f").arg(mount.path(tree).join("k")).output().unwrap().status.success());
        // And the mode of a root counts as anywhere.
        mount.own(tree, 0, PAYMENTS, 0o750);
        let made = User(BOB, PAYMENTS, &[]).sh(&format!("echo 1 > {}", mount.path(tree).join("new").display()));
        assert!(!made.status.success());
        let removed = other.command("rm").arg("-f").arg(mount.path(tree).join("k")).output().unwrap();
        assert!(String::from_utf8_lossy(&removed.stderr).contains("Permission denied"), "{removed:?}");
    }
}

pub(super) fn an_environment_for_a_team() {
    let mut mount = Mount::new();
    let paths = ["prod", "prod/secrets", "prod/variables"].map(|below| mount.path(below));
    run(Command::new("chgrp").arg(PAYMENTS.to_string()).args(&paths));
    run(Command::new("chmod").arg("2770").args(&paths[1..]));
    run(Command::new("setfacl").args(["-d", "-m", "u::rwx,g::rwX,o::-"]).args(&paths[1..]));

    let (alice, bob) = (User(ALICE, ALICE, &[PAYMENTS]), User(BOB, PAYMENTS, &[BOB]));
    let stranger = User(BOB, BOB, &[OPS]);
    let text = r#"
# Whoever makes it and with whatever umask, it is the team's.
for uid, groups, mask in (ALICE, [ALICE, PAYMENTS], 0o077), (BOB, [PAYMENTS], 0o022), (CAROL, [CAROL, OPS, PAYMENTS], 0o777):
    os.umask(mask)
    by(uid, groups, os.makedirs, f"of{uid}/below")
    by(uid, groups, put, f"of{uid}/below/k", b"1"), by(uid, groups, put, f"k{uid}", b"1")
    expect("directories", ("0o2770", uid, PAYMENTS), permissions, f"of{uid}/below")
    expect("keys", ("0o660", uid, PAYMENTS), permissions, f"of{uid}/below/k")
    expect("at its root too", ("0o660", uid, PAYMENTS), permissions, f"k{uid}")
    # Each of the team goes on with it.
    member = (ALICE, [ALICE, PAYMENTS])
    expect("changed", None, by, *member, put, f"of{uid}/below/k", b"2")
    expect("read", b"2", by, *member, get, f"of{uid}/below/k")
    expect("removed", None, by, *member, os.unlink, f"of{uid}/below/k")
    expect("removed at the root", None, by, *member, os.unlink, f"k{uid}")
    expect("made private", None, by, uid, groups, opened, f"private{uid}", WRONLY | CREAT, 0o600)
    expect("for the creator", "0o600", mode, f"private{uid}")
by(ALICE, [ALICE, PAYMENTS], put, "token", b"1")
for label, work in {"list": names, "look up": lambda: size("token"), "read": lambda: get("token"),
                    "write": lambda: put("token", b"2", WRONLY), "add": lambda: put("x", b"2"),
                    "mkdir": lambda: os.mkdir("x"), "remove": lambda: os.unlink("token"),
                    "rename": lambda: os.rename("token", "x"), "replace": lambda: os.rename("x", "token")}.items():
    expect(f"{label} by a stranger", "EACCES", by, BOB, [BOB, OPS], work)
"#;
    for tree in ["prod/variables", "prod/secrets"] {
        in_keyfs(&mount, tree, text);
    }
    mount.restart();
    for tree in ["prod/variables", "prod/secrets"] {
        let token = mount.path(tree).join("token");
        alice.reads(&token, "1");
        bob.reads(&token, "1");
        stranger.is_refused(&token, "Permission denied");
        // The team reads, and root alone adds.
        fs::set_permissions(mount.path(tree), fs::Permissions::from_mode(0o2750)).unwrap();
        assert!(!alice.sh(&format!("echo 1 > {}", mount.path(tree).join("new").display())).status.success());
        assert!(ROOT.sh(&format!("echo 1 > {}", mount.path(tree).join("roots").display())).status.success());
        alice.reads(&token, "1");
        // The group comes with the directory, also to root.
        bob.reads(&mount.path(tree).join("roots"), "1\n");
    }
    // The names of the trees are seen by whoever sees the environment.
    assert!(stranger.command("ls").arg(&paths[0]).output().unwrap().status.success());
    fs::set_permissions(&paths[0], fs::Permissions::from_mode(0o750)).unwrap();
    assert!(!stranger.command("ls").arg(&paths[0]).output().unwrap().status.success());
    assert!(run(alice.command("ls").arg(&paths[0])).contains("secrets"));
    bob.reads(&mount.path("prod/secrets/token"), "1");
    // Another environment is as it was.
    assert!(stranger.sh(&format!("echo 1 > {}", mount.path("dev/secrets/k").display())).status.success());
}
