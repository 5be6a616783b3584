//! Extended attributes: notes, the settable ones of keyfs, and those that are only read.

mod edit;
mod facts;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Case;
use crate::alike::{alike, in_keyfs, program, reference};
use crate::fixture::{Mount, is_installed, run};

pub const CASES: &[Case] = &[
    ("notes", notes),
    ("names_of_notes", names_of_notes),
    ("who_sets_and_reads_notes", who_sets_and_reads_notes),
    ("notes_have_a_limit", notes_have_a_limit),
    ("notes_stay_with_their_entry", notes_stay_with_their_entry),
    ("groups_are_replaced", edit::groups_are_replaced),
    ("groups_are_named", edit::groups_are_named),
    ("unclear_groups_change_nothing", edit::unclear_groups_change_nothing),
    ("who_sets_groups", edit::who_sets_groups),
    ("what_is_set_before_the_first_flush_belongs_to_the_creation", edit::before_the_first_flush),
    ("removal_by_attribute", edit::removal_by_attribute),
    ("who_removes_by_attribute", edit::who_removes_by_attribute),
    ("removal_of_what_is_no_key", edit::removal_of_what_is_no_key),
    ("a_commit_on_condition", a_commit_on_condition),
    ("a_condition_is_the_threads_that_writes", a_condition_is_the_threads_that_writes),
    ("counters_with_a_condition_lose_nothing", counters_with_a_condition_lose_nothing),
    ("an_expiry_is_set_and_taken_off", an_expiry_is_set_and_taken_off),
    ("facts_are_for_everybody_and_for_reading", facts::facts_are_for_everybody_and_for_reading),
    ("facts_follow_what_happens", facts::facts_follow_what_happens),
    ("why_says_what_opening_does", facts::why_says_what_opening_does),
    ("why_names_the_rule", facts::why_names_the_rule),
    ("what_is_listed", what_is_listed),
    ("other_namespaces", other_namespaces),
    ("copies_keep_attributes", copies_keep_attributes),
    ("control_files_have_none", control_files_have_none),
];

const TREES: [&str; 2] = ["dev/variables", "dev/secrets"];

/// Short names for what has to do with attributes.
const ATTRIBUTES: &str = r#"
# Ids that the machine has no names for, or what is told would be those.
ALICE, BOB, CAROL, PAYMENTS, OPS, ANALYSTS = 20011, 20012, 20013, 20111, 20112, 20113
def setx(path, name, value, flags=0):
    os.setxattr(path, name, value if isinstance(value, bytes) else value.encode(), flags)
def getx(path, name):
    return os.getxattr(path, name)
def text(path, name):
    return os.getxattr(path, name).decode()
def listed(path):
    return sorted(os.listxattr(path))
def fact(path, name):
    return text(path, f"system.keyfs.{name}")
GROUPS, REMOVE, EXPIRES, IF_VERSION = (f"user.keyfs.{name}" for name in ("groups", "remove", "expires", "if-version"))
CREATE_ONLY, REPLACE_ONLY = os.XATTR_CREATE, os.XATTR_REPLACE
def owned(path, uid, gid, bits):
    os.chown(path, uid, gid), os.chmod(path, bits)
"#;

#[track_caller]
fn attributes_alike(text: &str) {
    alike(&format!("{ATTRIBUTES}{text}"));
}

/// In a directory of variables and in one of secrets.
#[track_caller]
fn attributes_in_keyfs(mount: &Mount, text: &str) {
    for tree in TREES {
        in_keyfs(mount, &format!("{tree}/d"), &format!("{ATTRIBUTES}{text}"));
    }
}

fn notes() {
    attributes_alike(
        r#"
put("k", b"1"), os.mkdir("d")
handle = os.open("k", RDWR)
for path in "k", "d", handle:
    expect("none yet", "ENODATA", getx, path, "user.note")
    expect("none listed", [], listed, path)
    expect("none to replace", "ENODATA", setx, path, "user.note", b"x", REPLACE_ONLY)
    expect("none to remove", "ENODATA", os.removexattr, path, "user.note")
    expect("made", None, setx, path, "user.note", b"one", CREATE_ONLY)
    expect("read", b"one", getx, path, "user.note")
    expect("not made twice", "EEXIST", setx, path, "user.note", b"two", CREATE_ONLY)
    expect("replaced", None, setx, path, "user.note", b"three", REPLACE_ONLY)
    expect("both can't be", "EEXIST", setx, path, "user.note", b"four", CREATE_ONLY | REPLACE_ONLY)
    expect("nor here", "ENODATA", setx, path, "user.none", b"four", CREATE_ONLY | REPLACE_ONLY)
    expect("unknown flag", "EINVAL", setx, path, "user.note", b"four", 8)
    expect("read", b"three", getx, path, "user.note")
    expect("shorter", (None, b"3"), lambda: (setx(path, "user.note", b"3"), getx(path, "user.note")))
    expect("empty", (None, b""), lambda: (setx(path, "user.empty", b""), getx(path, "user.empty")))
    every = bytes(range(256)) * 4
    expect("any bytes", (None, every), lambda: (setx(path, "user.bytes", every), getx(path, "user.bytes")))
    expect("listed", ["user.bytes", "user.empty", "user.note"], listed, path)
    expect("removed", None, os.removexattr, path, "user.note")
    expect("gone", "ENODATA", getx, path, "user.note")
    expect("the others stay", ["user.bytes", "user.empty"], listed, path)
    for name in "user.bytes", "user.empty":
        os.removexattr(path, name)
    expect("empty again", [], listed, path)
os.close(handle)
expect("the value is what it was", b"1", get, "k")
expect("of none", "ENOENT", setx, "none", "user.note", b"1")
# A buffer that is too small, and one that only asks how much there is.
setx("k", "user.note", b"0123456789")
def raw(call, *arguments):
    came = call(*arguments)
    if came < 0:
        raise OSError(ctypes.get_errno(), "")
    return came
buffer = ctypes.create_string_buffer(16)
expect("how much", 10, raw, libc.getxattr, b"k", b"user.note", None, 0)
expect("enough", 10, raw, libc.getxattr, b"k", b"user.note", buffer, 10)
expect("too little", "ERANGE", raw, libc.getxattr, b"k", b"user.note", buffer, 9)
expect("how much of a list", 10, raw, libc.listxattr, b"k", None, 0)
expect("enough for it", 10, raw, libc.listxattr, b"k", buffer, 16)
expect("too little for it", "ERANGE", raw, libc.listxattr, b"k", buffer, 9)
expect("of a link", 10, raw, libc.lgetxattr, b"k", b"user.note", None, 0)
# The time of change moves, that of modification does not.
before = os.stat("k")
wait_for("the clock", lambda: (setx("k", "user.note", b"1"), os.stat("k").st_ctime_ns > before.st_ctime_ns)[1])
expect("modified", True, lambda: os.stat("k").st_mtime_ns == before.st_mtime_ns)
show("the programs", sh, "setfattr -n user.a -v text k; setfattr -n user.b -v 0x00ff k; getfattr -d k; setfattr -x user.a k; getfattr -d -e hex k")
"#,
    );
}

fn names_of_notes() {
    attributes_alike(
        r#"
put("k", b"1")
for name in [b"user.a", b"user.\xff\xfe", b"user. ", b"user.a.b.c", b"user.user.a", b"user.a/b", b"user.A", "user.é".encode(), b"user.keyfs",
             b"user.keyfs-more", b"user.line\nbreak", b"user." + b"n" * 250]:
    expect(repr(name)[:30], (None, b"1"), lambda: (setx("k", name, b"1"), getx("k", name)))
show("listed", listed, "k")
expect("case", "ENODATA", getx, "k", "user.KEYFS")
for call in (lambda name: setx("k", name, b"1")), (lambda name: getx("k", name)), (lambda name: os.removexattr("k", name)):
    expect("too long", "ERANGE", call, b"user." + b"n" * 251)
    expect("no name", "EINVAL", call, b"user.")
    show("nothing at all", call, b"")
"#,
    );
}

fn who_sets_and_reads_notes() {
    attributes_alike(
        r#"
put("k", b"1"), os.mkdir("d"), os.mkdir("sticky")
member, outsider, owner = (BOB, [BOB, PAYMENTS]), (CAROL, [CAROL, OPS]), (ALICE, [ALICE, PAYMENTS])
for path in "k", "d", "sticky":
    for bits in 0o600, 0o640, 0o620, 0o660, 0o060, 0o000:
        owned(path, ALICE, PAYMENTS, bits | (0o1000 if path == "sticky" else 0))
        setx(path, "user.note", b"roots")
        for name, who in ("owner", owner), ("member", member), ("outsider", outsider), ("root", (0, [0])):
            label = f"{path} {bits:o} {name}"
            show(f"{label} sets", by, *who, setx, path, "user.note", b"1")
            show(f"{label} reads", by, *who, getx, path, "user.note")
            show(f"{label} lists", by, *who, listed, path)
            show(f"{label} removes", by, *who, os.removexattr, path, "user.note")
            show(f"{label} makes", by, *who, setx, path, f"user.{name}", b"1")
        for name in listed(path):
            os.removexattr(path, name)
# Where nobody searches, nobody lists.
os.mkdir("closed", 0o700), put("closed/k", b"1")
expect("not reached", "EACCES", by, *member, listed, "closed/k")
"#,
    );
    // The gate is about values: on a secret the kernel's word is enough for a note.
    let mount = Mount::new();
    let text = r#"
put("k", b"1"), owned("k", ALICE, PAYMENTS, 0o620)
expect("a writer sets it", None, by, BOB, [PAYMENTS], setx, "k", "user.note", b"rotated")
expect("and reads none", "EACCES", by, BOB, [PAYMENTS], getx, "k", "user.note")
expect("the owner reads it in no group", b"rotated", by, ALICE, [ALICE], getx, "k", "user.note")
expect("root reads it in no group", b"rotated", getx, "k", "user.note")
"#;
    attributes_in_keyfs(&mount, text);
}

fn notes_have_a_limit() {
    let mut mount = Mount::new();
    let text = r#"
put("k", b"1"), os.mkdir("d")
for path in "k", "d":
    large = os.urandom(64000)
    expect("large", (None, large), lambda: (setx(path, "user.large", large), getx(path, "user.large")))
    expect("no room for another", "ENOSPC", setx, path, "user.other", bytes(2000))
    expect("none for a larger one", "ENOSPC", setx, path, "user.large", bytes(65536))
    expect("more than the kernel takes", "E2BIG", setx, path, "user.large", bytes(65537))
    expect("as it was", (large, ["user.large"]), lambda: (getx(path, "user.large"), listed(path)))
    expect("room for a small one", None, setx, path, "user.other", bytes(500))
    os.removexattr(path, "user.large"), os.removexattr(path, "user.other")
    # Many, until there is no room: all of them are listed all the same.
    made = []
    while True:
        name = f"user.{len(made):03}" + "n" * 200
        if (came := outcome(setx, path, name, b"")) is not None:
            break
        made.append(name)
    expect("full", "ENOSPC", lambda: came)
    expect("many", True, lambda: 300 < len(made))
    # What else is listed has its room too.
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I" + "HHI" * 5, 2, 1, 6, 2**32 - 1, 4, 4, 2**32 - 1, 8, 4, OPS, 16, 4, 2**32 - 1, 32, 0, 2**32 - 1))
    if path == "k":
        setx(path, EXPIRES, "2199-01-01T00:00:00Z")
    expect("all listed", made, lambda: [name for name in listed(path) if name in made])
    os.removexattr(path, made[0])
    expect("room again", None, setx, path, made[0], b"")
"#;
    attributes_in_keyfs(&mount, text);
    mount.restart();
    let again = r#"
for path in "k", "d":
    expect("still there", True, lambda: len(listed(path)) > 300)
expect("the value too", b"1", get, "k")
"#;
    attributes_in_keyfs(&mount, again);
}

fn notes_stay_with_their_entry() {
    attributes_alike(
        r#"
put("k", b"1"), os.mkdir("d"), setx("k", "user.note", b"k's"), setx("d", "user.note", b"d's")
put("k", b"2")
expect("written", b"k's", getx, "k", "user.note")
os.rename("k", "d/moved"), os.rename("d", "e")
expect("moved", (b"k's", b"d's"), lambda: (getx("e/moved", "user.note"), getx("e", "user.note")))
os.chmod("e/moved", 0o600), os.chown("e/moved", 0, 0)
expect("changed", b"k's", getx, "e/moved", "user.note")
put("k", b"new")
expect("a new one has none", [], listed, "k")
os.rename("k", "e/moved")
expect("replaced by one without", [], listed, "e/moved")
setx("e/moved", "user.note", b"once"), os.unlink("e/moved"), put("e/moved", b"1")
expect("made anew", [], listed, "e/moved")
# As long as it is open.
setx("e/moved", "user.note", b"open")
handle = os.open("e/moved", RDWR)
os.unlink("e/moved")
expect("without a name", b"open", getx, handle, "user.note")
os.close(handle)
"#,
    );
    let mut mount = Mount::new();
    attributes_in_keyfs(
        &mount,
        r#"put("k", b"1"), setx("k", "user.note", b"\0kept\xff"), setx(".", "user.note", b"here")"#,
    );
    mount.restart();
    let text = r#"
expect("after the next mount", (b"\0kept\xff", b"here"), lambda: (getx("k", "user.note"), getx(".", "user.note")))
expect("a note makes no version", "1", fact, "k", "version")
"#;
    attributes_in_keyfs(&mount, text);
}

fn a_commit_on_condition() {
    let mount = Mount::new();
    let text = r#"
def store(value, version, flags=WRONLY | TRUNC, path="k"):
    handle = os.open(path, flags, 0o600)
    try:
        setx(path, IF_VERSION, str(version))
        os.write(handle, value)
    finally:
        os.close(handle)
# 0 is for what is not there yet.
expect("a new one", None, store, b"one", 0, WRONLY | CREAT | EXCL)
expect("version", ("1", b"one"), lambda: (fact("k", "version"), get("k")))
expect("no new one", "ESTALE", store, b"other", 0)
expect("a new one of a version", "ESTALE", store, b"other", 1, WRONLY | CREAT | EXCL, "l")
# It was never committed, and goes with its last descriptor.
wait_for("its end", lambda: outcome(fact, "l", "version") == "ENOENT")
expect("the current one", None, store, b"two", 1)
for stale in 0, 1, 3, 2**63:
    expect(f"{stale}", "ESTALE", store, b"three", stale)
    expect("is what it was", ("2", b"two"), lambda: (fact("k", "version"), get("k")))
expect("even where nothing would change", "ESTALE", store, b"two", 1)
expect("appending too", "ESTALE", store, b"more", 1, WRONLY | APPEND)
expect("appended", (None, b"twomore"), lambda: (store(b"more", 2, WRONLY | APPEND), get("k")))
# Somebody commits between: what comes later is refused, whole.
handle = os.open("k", RDWR)
setx(handle, IF_VERSION, "3")
os.pwrite(handle, b"mine", 0)
elsewhere(put, "k", b"theirs")
expect("at fsync", "ESTALE", os.fsync, handle)
expect("at close", "ESTALE", os.close, handle)
expect("theirs stays", (b"theirs", "4"), lambda: (get("k"), fact("k", "version")))
# It may be tried again on the same descriptor, once it is known what is there.
handle = os.open("k", RDWR)
setx(handle, IF_VERSION, "1")
os.pwrite(handle, b"MINE..", 0)
expect("at fsync", "ESTALE", os.fsync, handle)
setx(handle, IF_VERSION, fact("k", "version"))
expect("again", None, os.fsync, handle)
# The condition was for one commit.
os.pwrite(handle, b"again.", 0)
elsewhere(put, "k", b"theirs")
expect("no condition any more", None, os.close, handle)
expect("the last one wins", (b"again.", "7"), lambda: (get("k"), fact("k", "version")))
# Of an entry that somebody else committed first.
one, other = os.open("new", WRONLY | CREAT | EXCL, 0o600), None
setx("new", IF_VERSION, "0")
elsewhere(put, "new", b"theirs", WRONLY)
os.write(one, b"mine")
expect("another was first", "ESTALE", os.close, one)
expect("theirs", b"theirs", get, "new")
# A text that is no number, and what it is not for.
handle = os.open("k", WRONLY)
for wrong in "", "one", "-1", "1.0", "99999999999999999999", b"\xff":
    expect(f"{wrong!r}", "EINVAL", setx, "k", IF_VERSION, wrong)
expect("it is not read", "ENODATA", getx, "k", IF_VERSION)
expect("nor listed", [], listed, "k")
expect("nor taken off", "ENODATA", os.removexattr, "k", IF_VERSION)
os.close(handle)
"#;
    attributes_in_keyfs(&mount, text);
}

fn a_condition_is_the_threads_that_writes() {
    let mount = Mount::new();
    let text = r#"
import threading
put("k", b"1")
def by_a_thread(work):
    came = []
    thread = threading.Thread(target=lambda: came.append(outcome(work)))
    thread.start(), thread.join()
    return came[0]
condition = lambda: setx("k", IF_VERSION, "9")
expect("not open", "EINVAL", condition)
reader = os.open("k", RDONLY)
expect("open to read", "EINVAL", condition)
writer = os.open("k", WRONLY)
expect("by another thread", "EINVAL", by_a_thread, condition)
expect("by another process", "EINVAL", elsewhere, condition)
os.write(writer, b"2")
expect("so it is unconditional", None, os.close, writer)
# Closing is done before the kernel has told of it.
wait_for("the end of the handle", lambda: outcome(condition) == "EINVAL")
os.close(reader)
# Of several descriptors the one that was opened last is meant, and the others are not.
first, last = os.open("k", WRONLY), os.open("k", WRONLY)
condition()
os.write(first, b"first"), os.write(last, b"last")
expect("the first", None, os.close, first)
expect("the last", "ESTALE", os.close, last)
expect("came", b"first", get, "k")
# Each thread's is its own.
def conditional():
    handle = os.open("k", WRONLY)
    condition()
    os.write(handle, b"thread")
    os.close(handle)
writer = os.open("k", WRONLY)
expect("a thread's", "ESTALE", by_a_thread, conditional)
os.write(writer, b"main!")
expect("is not the others'", None, os.close, writer)
expect("came", b"main!", get, "k")
# It takes what writing takes.
owned("k", ALICE, PAYMENTS, 0o640)
expect("by a reader", "EACCES", by, BOB, [PAYMENTS], condition)
# A writer that reads nothing may say what it replaces.
owned("k", ALICE, PAYMENTS, 0o620)
def rotated(version):
    handle = os.open("k", WRONLY | TRUNC)
    setx("k", IF_VERSION, version)
    os.write(handle, b"rotated")
    os.close(handle)
expect("by a writer", None, by, BOB, [PAYMENTS], rotated, fact("k", "version"))
expect("once", "ESTALE", by, BOB, [PAYMENTS], rotated, "1")
"#;
    attributes_in_keyfs(&mount, text);
}

fn counters_with_a_condition_lose_nothing() {
    let mount = Mount::new();
    let text = r#"
put("k", b"0")
def count(times):
    retried = 0
    while times:
        version, value = fact("k", "version"), int(get("k"))
        handle = os.open("k", WRONLY | TRUNC)
        setx("k", IF_VERSION, version)
        os.write(handle, b"%d" % (value + 1))
        if (came := outcome(os.close, handle)) is None:
            times -= 1
        elif came == "ESTALE":
            retried += 1
        else:
            sys.exit(f"close: {came}")
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        count(15)
        os._exit(0)
    children.append(child)
expect("all end well", [0] * 4, lambda: [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
expect("counted", (b"60", "61"), lambda: (get("k"), fact("k", "version")))
"#;
    attributes_in_keyfs(&mount, text);
}

fn an_expiry_is_set_and_taken_off() {
    let mount = Mount::new();
    let text = r#"
put("k", b"1"), os.mkdir("e")
expect("none", ("ENODATA", "ENODATA"), lambda: (outcome(getx, "k", EXPIRES), outcome(fact, "k", "expires")))
expect("none to take off", "ENODATA", os.removexattr, "k", EXPIRES)
import datetime
def moment(said):
    return datetime.datetime.fromisoformat(said.replace("Z", "+00:00")).astimezone(datetime.timezone.utc).isoformat()
for said, meant in [("2199-12-31T23:59:59Z", "2199-12-31T23:59:59+00:00"), ("2199-01-01T01:00:00+01:00", "2199-01-01T00:00:00+00:00"),
                    ("2198-12-31T19:30:00-05:30", "2199-01-01T01:00:00+00:00"), ("2199-06-01T12:00:00.5Z", "2199-06-01T12:00:00.500000+00:00"),
                    ("2199-02-28T00:00:00Z\n", "2199-02-28T00:00:00+00:00")]:
    expect(said, None, setx, "k", EXPIRES, said)
    for name in EXPIRES, "system.keyfs.expires":
        expect(f"{said} is told", meant, lambda: moment(text("k", name)[:26].rstrip("Z") + "+00:00" if len(text("k", name)) > 26 else text("k", name)))
    expect("in UTC", "Z", lambda: text("k", EXPIRES)[-1])
    expect("readable", b"1", get, "k")
# What it is told as can be set again.
said = text("k", EXPIRES)
expect("again", (None, said), lambda: (setx("k", EXPIRES, said), text("k", EXPIRES)))
for wrong in "", "tomorrow", "2199-13-01T00:00:00Z", "2199-02-30T00:00:00Z", "2199-01-01", "2199-01-01T25:00:00Z", "2199-01-01T00:00:00", "4102444800", b"\xff":
    expect(f"{wrong!r}", "EINVAL", setx, "k", EXPIRES, wrong)
expect("as it was", said, text, "k", EXPIRES)
expect("of a directory", "EINVAL", setx, "e", EXPIRES, said)
expect("nor there", ("ENODATA", []), lambda: (outcome(getx, "e", EXPIRES), listed("e")))
# Past: it does not open to read, and says so to whoever asks.
setx("k", EXPIRES, "2020-01-01T00:00:00Z")
expect("read", "EKEYEXPIRED", get, "k")
expect("both", "EKEYEXPIRED", opened, "k", RDWR)
expect("told", "2020-01-01T00:00:00", lambda: fact("k", "expires")[:19])
expect("stat", 1, size, "k")
expect("written", None, put, "k", b"2", WRONLY | TRUNC)
expect("renamed", None, os.rename, "k", "l")
expect("read", "EKEYEXPIRED", get, "l")
expect("taken off", None, os.removexattr, "l", EXPIRES)
expect("read again", b"2", get, "l")
# Who may write may say until when.
owned("l", ALICE, PAYMENTS, 0o620)
expect("by a writer", None, by, BOB, [PAYMENTS], setx, "l", EXPIRES, said)
expect("not read by it", "EACCES", by, BOB, [PAYMENTS], getx, "l", EXPIRES)
expect("but here", said, by, BOB, [PAYMENTS], fact, "l", "expires")
os.chmod("l", 0o640)
expect("not by a reader", ("EACCES", "EACCES"), by, BOB, [PAYMENTS], lambda: (outcome(setx, "l", EXPIRES, said), outcome(os.removexattr, "l", EXPIRES)))
"#;
    attributes_in_keyfs(&mount, text);
}

fn what_is_listed() {
    let mount = Mount::new();
    let text = r#"
put("k", b"1"), os.mkdir("e")
expect("nothing", ([], []), lambda: (listed("k"), listed("e")))
setx("k", EXPIRES, "2199-01-01T00:00:00Z"), setx("k", "user.note", b"1"), setx("k", GROUPS, "0:rw,20112:r")
run("setfacl", "-m", "g:20112:rx,d:g:20112:rx", "e"), setx("e", "user.note", b"1")
expect("of a key", ["system.posix_acl_access", "user.keyfs.expires", "user.note"], listed, "k")
expect("of a directory", ["system.posix_acl_access", "system.posix_acl_default", "user.note"], listed, "e")
# All that is listed can be read, and set again to what it is.
for path in "k", "e":
    for name in listed(path):
        expect(f"{name} of {path}", None, lambda: setx(path, name, getx(path, name)))
expect("groups that a mode can say are not", (None, ["user.keyfs.expires", "user.note"]), lambda: (setx("k", GROUPS, "0:r"), listed("k")))
show("getfattr", sh, "getfattr -d k e; getfattr -d -m - k e")
"#;
    attributes_in_keyfs(&mount, text);
}

fn other_namespaces() {
    let mount = Mount::new();
    let text = r#"
put("k", b"1"), os.mkdir("e"), owned("k", ALICE, ALICE, 0o600)
for path in "k", "e":
    for name in "trusted.a", "security.a", "system.a", "system.nfs4_acl", "other.a", "plain":
        expect(f"{name} set", "EPERM", setx, path, name, b"1")
        expect(f"{name} read", "ENODATA", getx, path, name)
        removed = outcome(os.removexattr, path, name)
        expect(f"{name} removed", True, lambda: removed in ("ENODATA", "EPERM"))
    for name in "trusted.a", "security.a":
        expect(f"{name} set by its owner", "EPERM", by, ALICE, [ALICE], setx, path, name, b"1")
        expect(f"{name} read by its owner", "ENODATA", by, ALICE, [ALICE], getx, path, name)
    expect("nothing listed", [], listed, path)
"#;
    attributes_in_keyfs(&mount, text);
}

fn copies_keep_attributes() {
    let mount = Mount::new();
    let outside = reference(&mount, "outside");
    let text = r#"
os.makedirs("from/e"), put("from/k", b"1", mode=0o640), put("from/e/plain", b"2", mode=0o600)
setx("from/k", "user.note", bytes(range(256))), setx("from/k", "user.empty", b""), setx("from/k", EXPIRES, "2199-01-01T00:00:00Z")
setx("from", "user.top", b"top"), setx("from/e", "user.note", b"directory")
"#;
    let list = r#"
for root, below, files in sorted(os.walk(sys.argv[1])):
    for path in [root, *(f"{root}/{name}" for name in sorted(files))]:
        print(os.path.relpath(path, sys.argv[1]), [(name, getx(path, name)[:20]) for name in listed(path)])
"#;
    let listed = |directory: &Path| program(directory, &format!("{ATTRIBUTES}{list}"), &[directory.to_str().unwrap()]);
    program(&outside, &format!("{ATTRIBUTES}{text}"), &[]);
    let wanted = listed(&outside.join("from"));
    assert!(wanted.contains("user.empty") && wanted.contains("2199"), "{wanted}");
    let mut copiers = vec![vec!["cp", "-a"]];
    if is_installed("rsync") {
        copiers.push(vec!["rsync", "-aX"]);
    }
    for (number, copier) in copiers.iter().enumerate() {
        let mut from = outside.join("from");
        for below in ["dev/variables", "dev/secrets", "prod/secrets", "prod/variables", "out"] {
            let to = if below == "out" { outside.join("out") } else { mount.path(below) }.join(format!("copy{number}"));
            fs::create_dir_all(&to).unwrap();
            run(Command::new(copier[0]).args(&copier[1..]).arg(format!("{}/.", from.display())).arg(&to));
            assert_eq!(listed(&to), wanted, "{copier:?} to {below}");
            from = to;
        }
    }
    // What getfattr says can be set again.
    let saved =
        run(Command::new("getfattr").args(["-R", "-d", "-m", "-", "copy0"]).current_dir(mount.path("dev/secrets")));
    for tree in TREES {
        let blank = mount.path(tree).join("blank");
        run(Command::new("cp").args(["-r"]).arg(outside.join("from")).arg(&blank));
        assert_ne!(listed(&blank), wanted);
        fs::write(outside.join("saved"), saved.replace("# file: copy0", "# file: blank")).unwrap();
        let restore = format!("--restore={}", outside.join("saved").display());
        run(Command::new("setfattr").arg(restore).current_dir(mount.path(tree)));
        assert_eq!(listed(&blank), wanted);
    }
}

fn control_files_have_none() {
    let mount = Mount::new();
    mount.put("dev/secrets/k", "1");
    let text = r#"
for path in ".keyfs", ".keyfs/status", ".keyfs/history", ".keyfs/history/dev/secrets/k", ".keyfs/history/dev/secrets/k/1":
    expect(f"listed of {path}", [], listed, path)
    for name in "user.note", "user.keyfs.groups", "system.keyfs.version", "system.posix_acl_access":
        expect(f"{name} of {path}", "ENODATA", getx, path, name)
    for name in "user.note", "user.keyfs.remove", "user.keyfs.groups", "system.keyfs.version":
        found = outcome(setx, path, name, b"1")
        expect(f"{name} set", True, lambda: found in ("EPERM", "EACCES"))
        found = outcome(os.removexattr, path, name)
        expect(f"{name} removed", True, lambda: found in ("EPERM", "EACCES"))
"#;
    program(&mount.root(), &format!("{ATTRIBUTES}{text}"), &[]);
    assert_eq!(mount.get(".keyfs/history/dev/secrets/k/1"), b"1");
}
