//! Who may rename: what the kernel asks of directories, and what the daemon asks right below a tree's root.

use std::process::Command;

use crate::alike::{alike, in_keyfs};
use crate::fixture::{ALICE, BOB, Mount, OPS, PAYMENTS, ROOT, User, run};

pub fn what_the_kernel_asks_of_directories() {
    alike(
        r#"
def directory(name, owner, mode):
    os.mkdir(name), put(name + "/key", name.encode()), os.mkdir(name + "/d")
    os.chown(name, owner, owner), os.chmod(name, mode)
    for below in (name + "/key", name + "/d"):
        os.chown(below, owner, owner)

directory("alices", ALICE, 0o755)
directory("bobs", BOB, 0o755)
directory("open", ALICE, 0o777)
directory("shared", ALICE, 0o775), os.chown("shared", ALICE, PAYMENTS)
directory("closed", ALICE, 0o770), os.chown("closed", ALICE, OPS)
directory("unsearchable", ALICE, 0o766)
def alice(source, target, flags=0):
    return by(ALICE, [ALICE, PAYMENTS], rename, source, target, flags)
def bob(source, target, flags=0, groups=(BOB, PAYMENTS)):
    return by(BOB, list(groups), rename, source, target, flags)
expect("from what is not his", "EACCES", bob, "alices/key", "bobs/new")
expect("to what is not his", "EACCES", bob, "bobs/key", "alices/new")
expect("within what is not his", "EACCES", bob, "alices/key", "alices/new")
expect("in exchange", "EACCES", bob, "bobs/key", "alices/key", EXCHANGE)
expect("over it", "EACCES", bob, "bobs/key", "alices/key")
expect("unless it is there", "EEXIST", bob, "bobs/key", "alices/key", NOREPLACE)
expect("what is hers in what is everybody's", None, bob, "open/key", "bobs/hers")
expect("and back over nothing", None, bob, "bobs/hers", "open/key")
expect("over what is hers there", None, bob, "bobs/key", "open/key")
expect("by the group", None, bob, "shared/key", "shared/renamed")
expect("without the group", "EACCES", bob, "shared/renamed", "shared/key", 0, [BOB, OPS])
expect("into a closed one", "EACCES", bob, "shared/renamed", "closed/new")
expect("out of a closed one", "EACCES", bob, "closed/key", "bobs/new")
expect("into it with its group", None, bob, "shared/renamed", "closed/new", 0, [BOB, OPS, PAYMENTS])
expect("written but not searched", "EACCES", bob, "unsearchable/key", "unsearchable/new")
expect("what is missing in a closed one", "EACCES", bob, "closed/missing", "bobs/new")
expect("what is missing in one not his", "ENOENT", bob, "alices/missing", "bobs/new")
# To give a directory another parent, it must itself be written to.
expect("a directory in its place", None, bob, "open/d", "open/e")
expect("a directory to another place", "EACCES", bob, "open/e", "bobs/e")
expect("its owner may", None, alice, "open/e", "alices/e")
expect("or whom it lets write", None, lambda: (os.chmod("alices/e", 0o777), os.rename("alices/e", "open/e"), bob("open/e", "bobs/e"))[2])
expect("over a directory of hers", None, lambda: (os.mkdir("open/f"), os.chown("open/f", ALICE, ALICE), os.mkdir("bobs/f"), os.chown("bobs/f", BOB, BOB), bob("bobs/f", "open/f"))[4])
# Neither the entry's mode nor its owner counts.
put("open/locked", b"x"), os.chmod("open/locked", 0), os.chown("open/locked", ALICE, ALICE)
expect("an entry without a mode", None, bob, "open/locked", "bobs/locked")
expect("the superuser", None, rename, "closed/new", "unsearchable/new", 0)
show("now", lambda: {name: names(name) for name in names()})
"#,
    );
}

pub fn sticky_directories() {
    alike(
        r#"
os.mkdir("tmp"), os.chmod("tmp", 0o1777)
os.mkdir("alices"), os.chown("alices", ALICE, ALICE), os.chmod("alices", 0o1777)
os.mkdir("bobs"), os.chown("bobs", BOB, BOB)
def own(path, owner):
    os.chown(path, owner, owner)
def fill(top):
    for name, owner in (("a", ALICE), ("b", BOB), ("c", CAROL)):
        put(f"{top}/{name}", name.encode()), own(f"{top}/{name}", owner)
        os.mkdir(f"{top}/d{name}"), own(f"{top}/d{name}", owner), os.chmod(f"{top}/d{name}", 0o777)
fill("tmp"), fill("alices")
put("bobs/k", b"k"), own("bobs/k", BOB)
def bob(source, target, flags=0):
    return by(BOB, [BOB], rename, source, target, flags)
def alice(source, target, flags=0):
    return by(ALICE, [ALICE], rename, source, target, flags)
expect("what is his", None, bob, "tmp/b", "tmp/b2")
expect("what is hers", "EPERM", bob, "tmp/a", "tmp/a2")
expect("over what is hers", "EPERM", bob, "tmp/b2", "tmp/a")
expect("from elsewhere over what is hers", "EPERM", bob, "bobs/k", "tmp/a")
expect("away", "EPERM", bob, "tmp/a", "bobs/a")
expect("his away", None, bob, "tmp/b2", "bobs/b")
expect("and back", None, bob, "bobs/b", "tmp/b")
expect("in exchange for hers", "EPERM", bob, "tmp/b", "tmp/a", EXCHANGE)
expect("hers for his", "EPERM", bob, "tmp/a", "tmp/b", EXCHANGE)
expect("his for his", None, bob, "bobs/k", "tmp/b", EXCHANGE)
expect("directories too", "EPERM", bob, "tmp/da", "tmp/new")
expect("his directory over hers", "EPERM", bob, "tmp/db", "tmp/da")
expect("his directory", None, bob, "tmp/db", "tmp/new")
expect("in exchange for her directory", "EPERM", bob, "tmp/new", "tmp/da", EXCHANGE)
# Whom the directory belongs to may do all of it.
expect("hers, in hers", None, alice, "alices/a", "alices/a2")
expect("anybody's, in hers", None, alice, "alices/b", "alices/b2")
expect("over anybody's, in hers", None, alice, "alices/a2", "alices/c")
expect("but others not", "EPERM", bob, "alices/c", "alices/new")
expect("the superuser", None, rename, "tmp/a", "alices/c", 0)
# Whoever may read and write it is a stranger here all the same.
put("tmp/wide", b"w"), own("tmp/wide", CAROL), os.chmod("tmp/wide", 0o666)
expect("readable and writable", "EPERM", bob, "tmp/wide", "tmp/wider")
show("now", lambda: {name: names(name) for name in names()})
"#,
    );
}

/// Somebody who makes entries, somebody in a group with them, and somebody who is not.
const PEOPLE: &str = r#"
def alice(work, *arguments):
    return by(ALICE, [ALICE, PAYMENTS], work, *arguments)
def bob(work, *arguments):
    return by(BOB, [BOB, PAYMENTS], work, *arguments)
def carol(work, *arguments):
    return by(CAROL, [CAROL, OPS], work, *arguments)
def make(name, owner, group, mode, value=b"value"):
    put(name, value), os.chown(name, owner, group), os.chmod(name, mode)
def make_directory(name, owner, group, mode):
    os.mkdir(name), os.chown(name, owner, group), os.chmod(name, mode)
"#;

/// Runs a program at the root of one of the trees.
#[track_caller]
fn at_the_root(mount: &Mount, tree: &str, text: &str) {
    in_keyfs(mount, tree, &format!("{PEOPLE}{text}"));
}

pub fn who_renames_below_a_trees_root() {
    let mount = Mount::new();
    let text = r#"
make("private", ALICE, ALICE, 0o600)
make("readable", ALICE, PAYMENTS, 0o640)
make("writable", ALICE, PAYMENTS, 0o620)
make("edited", ALICE, PAYMENTS, 0o660)
make("roots", 0, 0, 0o600)
make_directory("open", 0, 0, 0o777)
# Its owner, and nobody else.
for name in ("private", "readable", "writable", "edited"):
    expect(f"{name}: its owner", None, alice, rename, name, name + "2", 0)
    expect(f"{name}: its owner, away", None, alice, rename, name + "2", "open/" + name, 0)
    expect(f"{name}: its owner, back", None, alice, rename, "open/" + name, name, NOREPLACE)
for name in ("private", "readable", "writable"):
    for flags in (0, NOREPLACE):
        expect(f"{name}: a member", "EPERM", bob, rename, name, "new", flags)
        expect(f"{name}: a member, away", "EPERM", bob, rename, name, "open/new", flags)
    expect(f"{name}: a stranger", "EPERM", carol, rename, name, "new", 0)
expect("edited: a stranger", "EPERM", carol, rename, "edited", "new", 0)
expect("root's", "EPERM", alice, rename, "roots", "new", 0)
# Who may read and write it edits it.
expect("edited: a member", None, bob, rename, "edited", "edited2", 0)
expect("edited: a member, away", None, bob, rename, "edited2", "open/edited", 0)
expect("it is still hers", ALICE, lambda: os.stat("open/edited").st_uid)
expect("edited: back", None, bob, rename, "open/edited", "edited", 0)
# A directory's readers and writers by its own mode.
make_directory("hers", ALICE, PAYMENTS, 0o750)
make_directory("theirs", ALICE, PAYMENTS, 0o770)
make_directory("full", ALICE, PAYMENTS, 0o700)
put("full/key", b"1")
expect("a directory, a member", "EPERM", bob, rename, "hers", "new", 0)
expect("a directory, a stranger", "EPERM", carol, rename, "theirs", "new", 0)
expect("a full directory", "EPERM", bob, rename, "full", "new", 0)
expect("a directory, its owner", None, alice, rename, "full", "full2", 0)
expect("a directory, an editor", None, bob, rename, "theirs", "theirs2", 0)
# Deeper down it is the directory's permission alone.
make("open/private", ALICE, ALICE, 0o600)
expect("deeper down", None, carol, rename, "open/private", "open/taken", 0)
expect("and up, once it is there", "EPERM", lambda: (carol(rename, "open/taken", "taken", 0), bob(rename, "taken", "mine", 0))[1])
expect("the superuser", None, rename, "taken", "private2", 0)
expect("what is there", ["edited", "full2", "hers", "open", "private", "private2", "readable", "roots", "theirs2", "writable"], names)
"#;
    for tree in ["dev/variables", "dev/secrets"] {
        at_the_root(&mount, tree, text);
    }
    // What everybody may read and write, everybody may rename; a secret is never that.
    let text = r#"
make("wide", ALICE, ALICE, 0o666)
expect("everybody's", None, carol, rename, "wide", "wider", 0)
"#;
    at_the_root(&mount, "pre/variables", text);
    at_the_root(&mount, "pre/secrets", &text.replace("None", "\"EPERM\""));
}

pub fn who_is_replaced_below_a_trees_root() {
    let mount = Mount::new();
    let text = r#"
make("private", ALICE, ALICE, 0o600), make("readable", ALICE, PAYMENTS, 0o640), make("writable", ALICE, PAYMENTS, 0o620)
make("edited", ALICE, PAYMENTS, 0o660), make_directory("empty", ALICE, ALICE, 0o700), make_directory("theirs", ALICE, PAYMENTS, 0o770)
make_directory("open", 0, 0, 0o777)
for name in ("private", "readable", "writable"):
    for mine, made in (("mine", make), ("open/mine", make)):
        made(mine, BOB, BOB, 0o600, b"bob's")
        expect(f"{name}: replaced by {mine}", "EPERM", bob, rename, mine, name, 0)
        expect(f"{name}: exchanged for {mine}", "EPERM", bob, rename, mine, name, EXCHANGE)
        expect(f"{name}: unless it is there", "EEXIST", bob, rename, mine, name, NOREPLACE)
        expect("his stays where it was", BOB, lambda: os.stat(mine).st_uid)
    expect(f"{name} stays hers", (ALICE, 5), lambda: (os.stat(name).st_uid, size(name)))
make_directory("mine-too", BOB, BOB, 0o700)
expect("a directory of hers", "EPERM", bob, rename, "mine-too", "empty", 0)
expect("a stranger over the edited", "EPERM", lambda: (make("carols", CAROL, CAROL, 0o600), carol(rename, "carols", "edited", 0))[1])
expect("an editor over the edited", None, bob, rename, "mine", "edited", 0)
expect("which is his now", (BOB, BOB, 5), lambda: (os.stat("edited").st_uid, os.stat("edited").st_gid, size("edited")))
expect("so that she may not", "EPERM", lambda: (make("hers", ALICE, ALICE, 0o600), alice(rename, "hers", "edited", 0))[1])
expect("a directory over one that he may read and write", None, bob, rename, "mine-too", "theirs", 0)
expect("the superuser", None, lambda: (make("roots", 0, 0, 0o600), rename("roots", "private", 0))[1])
expect("owned by root", 0, lambda: os.stat("private").st_uid)
"#;
    for tree in ["dev/variables", "dev/secrets"] {
        at_the_root(&mount, tree, text);
    }
}

pub fn who_exchanges_below_a_trees_root() {
    let mount = Mount::new();
    let text = r#"
make("alices", ALICE, PAYMENTS, 0o640), make("bobs", BOB, BOB, 0o600), make("carols", CAROL, OPS, 0o600)
make("edited", CAROL, PAYMENTS, 0o660)
make_directory("open", 0, 0, 0o777)
make("open/carols", CAROL, CAROL, 0o600)
expect("his for hers", "EPERM", bob, rename, "bobs", "alices", EXCHANGE)
expect("hers for his", "EPERM", bob, rename, "alices", "bobs", EXCHANGE)
expect("neither is his", "EPERM", bob, rename, "alices", "carols", EXCHANGE)
expect("hers for one deeper down", "EPERM", bob, rename, "open/carols", "alices", EXCHANGE)
expect("each is where it was", (ALICE, BOB, CAROL, CAROL), lambda: tuple(os.stat(name).st_uid for name in ("alices", "bobs", "carols", "open/carols")))
expect("his for one that he edits", None, bob, rename, "bobs", "edited", EXCHANGE)
expect("exchanged", (CAROL, BOB), lambda: (os.stat("bobs").st_uid, os.stat("edited").st_uid))
expect("his for one deeper down", None, bob, rename, "edited", "open/carols", EXCHANGE)
expect("exchanged", (CAROL, BOB), lambda: (os.stat("edited").st_uid, os.stat("open/carols").st_uid))
expect("the superuser", None, rename, "alices", "carols", EXCHANGE)
"#;
    for tree in ["dev/variables", "dev/secrets"] {
        at_the_root(&mount, tree, text);
    }
}

pub fn the_roots_owner_renames_what_is_there() {
    let mut mount = Mount::new();
    let text = r#"
os.chown(".", CAROL, CAROL)
make("alices", ALICE, ALICE, 0o600), make("bobs", BOB, BOB, 0o600), make("roots", 0, 0, 0o600)
make_directory("d", ALICE, ALICE, 0o700)
expect("renamed", None, carol, rename, "alices", "renamed", 0)
expect("replaced", None, carol, rename, "renamed", "bobs", 0)
expect("exchanged", None, carol, rename, "roots", "bobs", EXCHANGE)
expect("a directory", None, carol, rename, "d", "e", 0)
expect("but others not", "EPERM", bob, rename, "roots", "new", 0)
# Being let rename it is not to be let read it.
expect("not read", "EACCES", carol, get, "roots")
os.chown(".", 0, 0)
expect("no longer", "EPERM", carol, rename, "roots", "new", 0)
expect("nor this", "EPERM", carol, rename, "e", "new", 0)
"#;
    for tree in ["dev/variables", "dev/secrets"] {
        at_the_root(&mount, tree, text);
    }
    mount.restart();
    for tree in ["dev/variables", "dev/secrets"] {
        at_the_root(&mount, tree, "expect(\"there\", [\"bobs\", \"e\", \"roots\"], names)");
    }
}

pub fn a_secret_below_a_trees_root_is_its_editors() {
    let mount = Mount::new();
    let token = mount.path("prod/secrets/token");
    let moved = |user: User<'_>, from: &str, to: &str| {
        let (from, to) = (mount.path(from), mount.path(to));
        let output = user.command("mv").arg("-T").arg(from).arg(to).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    mount.put("prod/secrets/token", "one");
    mount.own("prod/secrets/token", 0, 0, 0o600);
    run(Command::new("setfacl").args(["-m", &format!("g:{PAYMENTS}:rw,g:{OPS}:w")]).arg(&token));
    let (editor, job) = (User(ALICE, ALICE, &[PAYMENTS]), User(BOB, BOB, &[OPS]));
    // Writing it is not enough to take its name away, or to put something else under it.
    let (done, why) = moved(job, "prod/secrets/token", "prod/secrets/mine");
    assert!(!done && why.contains("Operation not permitted"), "{why}");
    assert!(job.sh(&format!("umask 077; echo bad > {}", mount.path("prod/secrets/bad").display())).status.success());
    let (done, why) = moved(job, "prod/secrets/bad", "prod/secrets/token");
    assert!(!done && why.contains("Operation not permitted"), "{why}");
    editor.reads(&token, "one");
    // Who may read and write it saves as an editor does: the new one beside it, then over it.
    let new = mount.path("prod/secrets/token.new");
    let script = format!("umask 077; printf two > {0} && mv -T {0} {1}", new.display(), token.display());
    let saved = editor.sh(&script);
    assert!(saved.status.success(), "{saved:?}");
    editor.reads(&token, "two");
    // The new one is hers alone, and what was before stays closed to whom it was closed.
    job.is_refused(&token, "Permission denied");
    ROOT.is_refused(&token, "Permission denied");
    assert!(moved(editor, "prod/secrets/token", "prod/secrets/renamed").0);
    assert!(moved(ROOT, "prod/secrets/renamed", "prod/secrets/token").0);
    // Root moves it and reads it no more for that.
    ROOT.is_refused(&token, "Permission denied");
    editor.reads(&token, "two");
}
