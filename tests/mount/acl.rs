//! ACLs and default ACLs, as on the machine's own file systems, and what a secret refuses of them.

mod keyfs;

use crate::Case;
use crate::alike::{alike, alike_in_variables};

pub const CASES: &[Case] = &[
    ("named_groups_decide", named_groups_decide),
    ("named_users_decide", named_users_decide),
    ("acls_of_directories_decide", acls_of_directories_decide),
    ("the_mask", the_mask),
    ("chmod_moves_the_mask", chmod_moves_the_mask),
    ("defaults_are_inherited", defaults_are_inherited),
    ("defaults_with_users_and_others", defaults_with_users_and_others),
    ("defaults_that_a_mode_can_say", defaults_that_a_mode_can_say),
    ("acls_are_removed", acls_are_removed),
    ("what_a_mode_can_say_is_a_mode", what_a_mode_can_say_is_a_mode),
    ("malformed_acls_change_nothing", malformed_acls_change_nothing),
    ("who_may_set_an_acl", who_may_set_an_acl),
    ("set_group_id_and_acls", set_group_id_and_acls),
    ("chown_keeps_the_acl", chown_keeps_the_acl),
    ("changes_count_at_once", changes_count_at_once),
    ("an_entry_for_one_twice", keyfs::an_entry_for_one_twice),
    ("as_many_entries_as_there_may_be", keyfs::as_many_entries_as_there_may_be),
    ("a_secret_has_no_user_entry", keyfs::a_secret_has_no_user_entry),
    ("no_secret_inherits_a_user_entry", keyfs::no_secret_inherits_a_user_entry),
    ("named_groups_open_the_gate", keyfs::named_groups_open_the_gate),
    ("copies_keep_acls", keyfs::copies_keep_acls),
    ("acls_outlive_the_mount", keyfs::acls_outlive_the_mount),
    ("trees_and_environments_have_acls", keyfs::trees_and_environments_have_acls),
];

/// ACLs as text, `u::rw g:20101:r m::r o::-`, to and from what the kernel takes.
const ACLS: &str = r#"
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
TAGS = {"u:": 1, "u": 2, "g:": 4, "g": 8, "m:": 16, "o:": 32}
def blob(text, version=2):
    found = struct.pack("<I", version)
    for entry in text.split():
        tag, who, rights = entry.split(":")
        number = sum({"r": 4, "w": 2, "x": 1, "-": 0}[letter] for letter in rights)
        found += struct.pack("<HHI", TAGS[tag if who else tag + ":"], number, int(who) if who else 0xffffffff)
    return found
def shown(value):
    tags, entries = {number: tag for tag, number in TAGS.items()}, []
    for tag, rights, who in struct.iter_unpack("<HHI", value[4:]):
        letters = "".join(letter for bit, letter in ((4, "r"), (2, "w"), (1, "x")) if rights & bit) or "-"
        entries.append(f"{tags[tag][0]}:{who if tags[tag] in ('u', 'g') else ''}:{letters}")
    return " ".join(entries)
def set_acl(path, text, kind=ACCESS):
    os.setxattr(path, kind, blob(text))
def acl(path, kind=ACCESS):
    return shown(os.getxattr(path, kind))
def state(path):
    return permissions(path), outcome(acl, path), outcome(acl, path, DEFAULT), names_of(path)
def names_of(path):
    return [name for name in sorted(os.listxattr(path)) if name.startswith("system.")]
def setfacl(*arguments):
    return run("setfacl", *arguments)
def getfacl(*paths):
    return run("getfacl", "-cpn", *paths)
"#;

#[track_caller]
fn acls_alike(text: &str) {
    alike(&format!("{ACLS}{text}"));
}

#[track_caller]
fn acls_alike_in_variables(text: &str) {
    alike_in_variables(&format!("{ACLS}{text}"));
}

/// Who asks in the tables below: each with one supplementary group, and some with none.
const ASKERS: &str = r#"
ASKERS = [(0, [0]), (ALICE, [ALICE, PAYMENTS]), (ALICE, [ALICE, OPS]), (BOB, [BOB]), (BOB, [BOB, PAYMENTS]), (BOB, [BOB, OPS]),
          (BOB, [OPS]), (BOB, [PAYMENTS, OPS]), (CAROL, [CAROL, ANALYSTS]), (CAROL, [CAROL])]
def decided(path):
    for uid, groups in ASKERS:
        read = outcome(by, uid, groups, get, path)
        print(uid, groups, read, outcome(by, uid, groups, put, path, b"1", WRONLY), outcome(by, uid, groups, opened, path, RDWR),
              by(uid, groups, lambda: [os.access(path, how) for how in (os.R_OK, os.W_OK, os.X_OK)]))
"#;

fn named_groups_decide() {
    // The owner and root are in the owning group where they read, or a secret would not be as another file.
    acls_alike(&format!(
        "{ASKERS}{}",
        r#"
ASKERS[0] = (0, [PAYMENTS])
del ASKERS[2]
put("k", b"1"), os.chown("k", ALICE, PAYMENTS)
for text in [
    "u::rw g::r g:20102:r m::r o::-",
    "u::rw g::r g:20102:rw m::rw o::-",
    "u::rw g::r g:20102:rw m::r o::-",
    "u::rw g::rw g:20102:r m::rw o::-",
    "u::r g::rw g:20102:w g:20103:r m::rw o::-",
    # One of the groups must grant all that is wanted.
    "u::rw g::r g:20102:w m::rw o::-",
    "u::rw g::r g:20102:- m::rw o::-",
    "u::rw g::r g:20102:- g:20103:rwx m::rwx o::-",
    # The owning group named once more.
    "u::rw g::r g:20101:rw m::rw o::-",
    "u::rw g::rw g:20102:rwx m::rw o::-",
]:
    set_acl("k", text)
    expect("as it was set", text, acl, "k")
    decided("k")
"#
    ));
}

fn named_users_decide() {
    acls_alike_in_variables(&format!(
        "{ASKERS}{}",
        r#"
put("k", b"1"), os.chown("k", ALICE, PAYMENTS)
for text in [
    "u::rw u:20002:r g::- m::r o::-",
    "u::rw u:20002:rw u:20003:- g::rw m::rw o::r",
    # A user's own entry ends the search, also where a group would grant more.
    "u::rw u:20002:- g::rw g:20102:rwx m::rwx o::rwx",
    "u::rw u:20002:rw g::r m::r o::rw",
    "u::rw u:20002:r g::r g:20102:rw m::- o::r",
    # An entry for the owner is none for who owns it, and one for root does not bind it.
    "u::r u:20001:rw g::- m::rw o::-",
    "u::rw u:0:- g::- m::rw o::-",
    # Others are asked where no entry matches; a group that matches keeps its members out of them.
    "u::rw g::- g:20102:- m::- o::rw",
    "u::rw g::- g:20102:- m::rwx o::rw",
    "u::rwx u:20002:rwx g::rx g:20102:rx m::rwx o::x",
]:
    set_acl("k", text)
    expect("as it was set", text, acl, "k")
    decided("k")
"#
    ));
}

fn acls_of_directories_decide() {
    // A secret's directory is as any other, named users included.
    acls_alike(
        r#"
os.mkdir("d"), put("d/k", b"1"), os.chown("d/k", 0, OPS), os.chmod("d/k", 0o660), os.chown("d", ALICE, PAYMENTS)
ways = {"list": lambda: names("d"), "look up": lambda: size("d/k"), "read": lambda: get("d/k"),
        "add": lambda: (put("d/new", b"1"), os.unlink("d/new")), "mkdir": lambda: (os.mkdir("d/e"), os.rmdir("d/e")),
        "rename": lambda: (os.rename("d/k", "d/l"), os.rename("d/l", "d/k")), "search": lambda: os.access("d", os.X_OK)}
for text in [
    "u::rwx u:20002:rx g::- m::rx o::-",
    "u::rwx u:20002:x g::rwx g:20103:rwx m::rwx o::-",
    "u::rwx u:20002:rwx g::- g:20103:r m::rx o::x",
    "u::rwx g::- g:20102:rwx g:20103:x m::rwx o::r",
    "u::rwx u:20002:- g::- g:20102:rwx m::rwx o::rwx",
]:
    set_acl("d", text)
    for uid, groups in (BOB, [BOB, OPS]), (CAROL, [CAROL, OPS]), (CAROL, [CAROL, ANALYSTS]), (CAROL, [OPS, PAYMENTS]):
        for way, work in ways.items():
            show(f"{text}, {way} by {uid} in {groups}", by, uid, groups, work)
"#,
    );
}

fn the_mask() {
    acls_alike(
        r#"
put("k", b"1", mode=0o640), os.chown("k", 0, PAYMENTS)
# Made as wide as the entries are, unless it is given or to be left.
for arguments in ["-m", f"g:{OPS}:rw"], ["-m", f"g:{ANALYSTS}:rx"], ["-m", "m::r"], ["-m", f"g:{OPS}:rwx"], ["-n", "-m", f"g:{OPS}:w"], \
        ["-m", "m::-"], ["-m", "g::rwx"], ["-x", f"g:{OPS}"], ["-m", f"g:{OPS}:rw,m::w"], ["--mask", "-m", "m::x"], ["-x", "m"], \
        ["-m", "u::rwx"], ["-m", "u::r,g::r,o::-"], ["-x", f"g:{OPS},g:{ANALYSTS}"], ["-x", "m"], ["-m", f"g:{OPS}:-"]:
    show(f"setfacl {arguments}", setfacl, *arguments, "k")
    show("mode", mode, "k")
    show("acl", acl, "k")
    show("getfacl", getfacl, "k")
# The mode's group bits are the mask, and stat shows them.
set_acl("k", "u::rw g::rwx g:20102:rwx m::r o::-")
expect("shown", "0o640", mode, "k")
show("ls", lambda: sh("ls -l k")[1].split()[0])
# A mask does not bind the owner, and with a mask of nothing no group has anything.
set_acl("k", "u::rw g::rw g:20102:rw m::- o::-")
for groups in [BOB, PAYMENTS], [BOB, OPS], [OPS]:
    expect("masked", "EACCES", by, BOB, groups, get, "k")
expect("the owner in the group", b"1", by, 0, [PAYMENTS], get, "k")
"#,
    );
}

fn chmod_moves_the_mask() {
    acls_alike(
        r#"
put("k", b"1"), os.mkdir("d"), os.chown("k", ALICE, PAYMENTS), os.chown("d", ALICE, PAYMENTS)
for name in "k", "d":
    set_acl(name, "u::rwx g::rx g:20102:rwx g:20103:r m::rwx o::-")
    for bits in 0o600, 0o640, 0o670, 0o700, 0o010, 0o770:
        os.chmod(name, bits)
        show(f"{name} {bits:o}", acl, name)
        show("shown", mode, name)
        # What the mask hides stays, for a wider one.
        expect("entries stay", True, lambda: "g::rx g:20102:rwx g:20103:r" in acl(name))
os.chmod("k", 0o600)
expect("closed", "EACCES", by, BOB, [BOB, OPS], get, "k")
expect("to the owning group too", "EACCES", by, BOB, [BOB, PAYMENTS], get, "k")
os.chmod("k", 0o640)
expect("opened", b"1", by, BOB, [BOB, OPS], get, "k")
expect("to read alone", "EACCES", by, BOB, [BOB, OPS], put, "k", b"2", WRONLY)
os.chmod("k", 0o660)
expect("and to write", None, by, BOB, [BOB, OPS], put, "k", b"1", WRONLY)
expect("not the others", "EACCES", by, BOB, [BOB, ANALYSTS], put, "k", b"2", WRONLY)
for words in "g-w", "g+w", "g=", "g=u", "u=r":
    show(words, run, "chmod", words, "k")
    show("is", state, "k")
"#,
    );
}

/// Makes a file by each of the calls, and a directory, and shows what they got.
const MADE: &str = r#"
def made(above, bits, work=None):
    ways = {"open": lambda path: opened(path, WRONLY | CREAT | EXCL, bits), "mknod": lambda path: os.mknod(path, bits),
            "mkdir": lambda path: os.mkdir(path, bits), "written": lambda path: put(path, b"1", WRONLY | CREAT, bits)}
    for way, make in ways.items():
        path = f"{above}/{way}"
        by(BOB, [BOB, PAYMENTS], make, path)
        show(f"{way} {bits:o}", state, path)
        os.rmdir(path) if way == "mkdir" else os.unlink(path)
"#;

fn defaults_are_inherited() {
    acls_alike(&format!(
        "{MADE}{}",
        r#"
os.mkdir("d"), os.chmod("d", 0o777)
for text in ["u::rwx g::rx g:20102:rwx m::rwx o::-", "u::rw g::- g:20102:r g:20103:rw m::r o::-", "u::rwx g::rwx m::rx o::-",
             "u::- g::- g:20101:rwx m::rwx o::-"]:
    set_acl("d", text, DEFAULT)
    # The umask does not count, the mode asked for does.
    for mask in 0o077, 0o000, 0o027:
        os.umask(mask)
        for bits in 0o666, 0o777, 0o640, 0o600, 0o000, 0o7750:
            made("d", bits)
    expect("the directory's own is as it was", "ENODATA", acl, "d")
# Handed down to the last.
set_acl("d", "u::rwx g::rwx g:20102:rwx m::rwx o::-", DEFAULT)
os.umask(0o077)
by(BOB, [BOB], os.makedirs, "d/a/b/c")
by(BOB, [BOB], put, "d/a/b/c/k", b"1")
for path in "d/a", "d/a/b/c", "d/a/b/c/k":
    show(path, state, path)
expect("so that the group reads", b"1", by, CAROL, [CAROL, OPS], get, "d/a/b/c/k")
expect("and writes", None, by, CAROL, [CAROL, OPS], put, "d/a/b/c/k", b"2")
expect("and another does not", "EACCES", by, CAROL, [CAROL, ANALYSTS], get, "d/a/b/c/k")
# A later change is not for what is there already.
set_acl("d/a", "u::rwx g::- o::-", DEFAULT)
by(BOB, [BOB], os.mkdir, "d/a/new")
for path in "d/a", "d/a/b", "d/a/new":
    show(path, state, path)
# With a set-group-id directory.
os.chown("d", 0, PAYMENTS), os.chmod("d", 0o2777)
for bits in 0o2770, 0o660:
    made("d", bits)
# What is moved in keeps what it has.
put("outside", b"1", mode=0o600), os.rename("outside", "d/inside")
show("moved in", state, "d/inside")
# The programs.
show("getfacl", getfacl, "d")
for arguments in ["-d", "-m", f"g:{ANALYSTS}:rX"], ["-m", f"d:g:{OPS}:r"], ["-d", "-x", f"g:{OPS}"], ["-d", "-m", "m::r"]:
    show(f"setfacl {arguments}", setfacl, *arguments, "d")
    show("is", state, "d")
show("recursive", setfacl, "-R", "-m", f"g:{OPS}:rX,d:g:{OPS}:rX", "d")
for path in "d", "d/a", "d/a/b/c", "d/a/b/c/k", "d/inside":
    show(path, state, path)
"#
    ));
}

fn defaults_with_users_and_others() {
    acls_alike_in_variables(&format!(
        "{MADE}{}",
        r#"
os.mkdir("d"), os.chmod("d", 0o777)
for text in ["u::rwx u:20003:rw g::rx m::rwx o::rx", "u::rwx u:20001:rwx u:20003:r g::r g:20102:rw m::rw o::rw", "u::rw g::r m::rw o::rwx"]:
    set_acl("d", text, DEFAULT)
    for mask in 0o077, 0o000:
        os.umask(mask)
        for bits in 0o666, 0o777, 0o644, 0o600, 0o006:
            made("d", bits)
by(BOB, [BOB], put, "d/k", b"1")
expect("others read", b"1", by, CAROL, [CAROL], get, "d/k")
show("touch, mkdir, cp", sh, "cd d; umask 077; touch t; mkdir e; cp k c; cp -r e f; install -m 640 k i; getfacl -cpn *")
"#
    ));
}

fn defaults_that_a_mode_can_say() {
    acls_alike(&format!(
        "{MADE}{}",
        r#"
os.mkdir("d"), os.chmod("d", 0o777)
for text in "u::rwx g::rwx o::-", "u::rw g::- o::-", "u::r g::rx o::-":
    set_acl("d", text, DEFAULT)
    expect("kept as it is", text, acl, "d", DEFAULT)
    os.umask(0o077)
    for bits in 0o666, 0o777, 0o600:
        made("d", bits)
# With it gone, the umask counts again.
os.removexattr("d", DEFAULT)
made("d", 0o660)
"#
    ));
}

fn acls_are_removed() {
    acls_alike(
        r#"
put("k", b"1", mode=0o640), os.mkdir("d", 0o750)
def reset():
    set_acl("k", "u::rw g::r g:20102:rw g:20103:x m::rw o::-")
    set_acl("d", "u::rwx g::rx g:20102:rwx m::rwx o::-"), set_acl("d", "u::rwx g::rx g:20102:rwx m::rwx o::-", DEFAULT)
for arguments in ["-b"], ["-k"], ["-b", "-n"], ["-x", f"g:{OPS}"], ["-x", f"d:g:{OPS}"], ["-b", "-m", f"g:{ANALYSTS}:r"], \
        ["--set", "u::rw,g::r,o::-"], ["--set", f"u::rw,g::r,g:{OPS}:x,o::-"], ["-bk"], ["-R", "-b"], ["-x", f"g:{PAYMENTS}"]:
    reset()
    for path in "k", "d":
        show(f"setfacl {arguments} {path}", setfacl, *arguments, path)
        show("is", state, path)
# The attribute taken away: the mask's bits stay in the mode.
reset()
for path, kind in ("k", ACCESS), ("d", ACCESS), ("d", DEFAULT):
    expect("there", True, lambda: kind in os.listxattr(path))
    expect("removed", None, os.removexattr, path, kind)
    show("is", state, path)
    show("once more", os.removexattr, path, kind)
# An ACL of nothing is none.
for nothing in b"", blob(""):
    reset()
    show("set to nothing", os.setxattr, "d", DEFAULT, nothing)
    show("set to nothing", os.setxattr, "k", ACCESS, nothing)
    show("is", lambda: (state("d"), state("k")))
show("default of a file", os.removexattr, "k", DEFAULT)
show("asked for", os.getxattr, "k", DEFAULT)
"#,
    );
}

fn what_a_mode_can_say_is_a_mode() {
    acls_alike(
        r#"
put("k", b"1", mode=0o600), os.mkdir("d", 0o700)
for path in "k", "d":
    for text in "u::rw g::r o::-", "u::rwx g::rwx o::-", "u::- g::- o::-", "u::r g::w o::-":
        expect("set", None, set_acl, path, text)
        expect("no attribute is left", ("ENODATA", []), lambda: (outcome(acl, path), names_of(path)))
        show("a mode", mode, path)
        show("getfacl", getfacl, path)
    # A mask is what a mode can't say.
    set_acl(path, "u::rw g::rw m::r o::-")
    show("kept", state, path)
    set_acl(path, "u::rw g::rw o::-")
    show("away", state, path)
# The special bits stay.
os.chmod("k", 0o7640)
set_acl("k", "u::rw g::r g:20102:r m::r o::-")
show("special bits", mode, "k")
set_acl("k", "u::rw g::- o::-")
show("special bits", mode, "k")
"#,
    );
}

fn malformed_acls_change_nothing() {
    acls_alike(
        r#"
put("k", b"1", mode=0o640), os.mkdir("d", 0o750)
good = "u::rw g::r g:20102:rw m::rw o::-"
set_acl("k", good), set_acl("d", good), set_acl("d", good, DEFAULT)
before = state("k"), state("d")
entry = lambda tag, rights, who=0xffffffff: struct.pack("<HHI", tag, rights, who)
base = blob("u::rw g::r o::-")
bad = {
    "a part of a header": b"\2\0",
    "a byte too many": blob(good) + b"\0",
    "cut off": blob(good)[:-1],
    "a part of an entry": blob(good)[:-4],
    "version 1": blob(good, 1),
    "version 3": blob(good, 3),
    "no owner": blob("g::r o::-"),
    "no group": blob("u::rw o::-"),
    "no other": blob("u::rw g::r"),
    "names without a mask": blob("u::rw g::r g:20102:r o::-"),
    "two owners": blob("u::rw u::r g::r o::-"),
    "two masks": blob("u::rw g::r g:20102:r m::r m::r o::-"),
    "two others": blob("u::rw g::r o::- o::r"),
    "out of order": blob("g::r u::rw o::-"),
    "mask before groups": blob("u::rw g::r m::r g:20102:r o::-"),
    "groups before the owning one": blob("u::rw g:20102:r g::r m::r o::-"),
    "unknown tag": base + entry(64, 4),
    "tag 0": base + entry(0, 4),
    "unknown rights": blob("u::rw") + entry(4, 8) + blob("o::-")[4:],
    "more unknown rights": blob("u::rw") + entry(4, 0x104) + blob("o::-")[4:],
    "nobody's id": blob("u::rw g::r") + entry(8, 4) + blob("m::r o::-")[4:],
    "text": b"u::rw,g::r,o::-",
}
for what, value in bad.items():
    for path, kind in ("k", ACCESS), ("d", ACCESS), ("d", DEFAULT):
        label = f"{what}, {kind} of {path}"
        found = outcome(os.setxattr, path, kind, value)
        show(label, lambda: found)
        expect("refused", True, lambda: found in ("EINVAL", "ENOTSUP", "EOPNOTSUPP"))
        expect("nothing changed", before, lambda: (state("k"), state("d")))
# A file has none for what is made in it.
expect("default of a file", "EACCES", set_acl, "k", good, DEFAULT)
expect("even one that a mode can say", "EACCES", set_acl, "k", "u::rw g::r o::-", DEFAULT)
show("by the program", setfacl, "-d", "-m", "g::r", "k")
expect("nothing changed", before, lambda: (state("k"), state("d")))
show("of nothing", set_acl, "none", good)
# Whether it is there counts for these no more than elsewhere.
for flag in os.XATTR_CREATE, os.XATTR_REPLACE:
    show("flag", os.setxattr, "k", ACCESS, blob(good), flag)
    show("state", state, "k")
"#,
    );
}

fn who_may_set_an_acl() {
    acls_alike(
        r#"
put("k", b"1"), os.mkdir("d"), os.chown("k", ALICE, PAYMENTS), os.chown("d", ALICE, PAYMENTS)
set_acl("k", "u::rw g::rw g:20102:rw m::rw o::-"), set_acl("d", "u::rwx g::rwx g:20102:rwx m::rwx o::-")
good = "u::rwx g::- g:20103:rwx m::rwx o::-"
def attempts(path, kind):
    return outcome(set_acl, path, good, kind), outcome(os.removexattr, path, kind)
for path, kind in ("k", ACCESS), ("d", ACCESS), ("d", DEFAULT):
    for uid, groups in (BOB, [BOB, PAYMENTS]), (BOB, [OPS]), (CAROL, [CAROL]), (BOB, [0]):
        expect(f"{kind} of {path} by {uid} in {groups}", ("EPERM", "EPERM"), by, uid, groups, attempts, path, kind)
    for uid, groups in (ALICE, [ALICE]), (0, [0]), (0, [OPS]):
        expect(f"{kind} of {path} by {uid} in {groups}", (None, None), by, uid, groups, attempts, path, kind)
# Whoever reaches an entry may know its ACL.
os.chmod("k", 0o000)
set_acl("k", "u::- g::- g:20102:- m::- o::-")
expect("read by anybody", "u::- g::- g:20102:- m::- o::-", by, CAROL, [CAROL], acl, "k")
os.rename("k", "d/k"), os.chmod("d", 0o700)
expect("not where nobody searches", "EACCES", by, CAROL, [CAROL], acl, "d/k")
"#,
    );
}

fn set_group_id_and_acls() {
    acls_alike(
        r#"
put("k", b"1"), os.mkdir("d"), os.chown("k", ALICE, PAYMENTS), os.chown("d", ALICE, PAYMENTS)
for path in "k", "d":
    for uid, groups in (ALICE, [ALICE]), (ALICE, [ALICE, PAYMENTS]), (ALICE, [PAYMENTS]), (0, [0]):
        for text in "u::rwx g::rx g:20102:rx m::rx o::-", "u::rw g::r o::-":
            for kind in (ACCESS, DEFAULT)[:1 + (path == "d")]:
                os.chmod(path, 0o6770)
                by(uid, groups, set_acl, path, text, kind)
                show(f"{kind} of {path} by {uid} in {groups}", mode, path)
                os.chmod(path, 0o6770)
                show("removed", by, uid, groups, os.removexattr, path, kind)
                show("is", mode, path)
"#,
    );
}

fn chown_keeps_the_acl() {
    acls_alike(
        r#"
put("k", b"1"), os.chown("k", ALICE, PAYMENTS)
set_acl("k", "u::rw g::r g:20102:rw m::rw o::-")
os.chown("k", BOB, ANALYSTS)
show("of others", state, "k")
expect("the new group", b"1", by, CAROL, [CAROL, ANALYSTS], get, "k")
expect("the old group", "EACCES", by, CAROL, [CAROL, PAYMENTS], get, "k")
expect("the named one", b"1", by, CAROL, [CAROL, OPS], get, "k")
# The group that was named owns it now: both of its entries count.
os.chown("k", BOB, OPS)
show("of the named one", state, "k")
expect("as the named one", None, by, CAROL, [CAROL, OPS], put, "k", b"2", WRONLY)
"#,
    );
}

fn changes_count_at_once() {
    acls_alike(
        r#"
put("k", b"1"), os.chown("k", ALICE, PAYMENTS)
member = (BOB, [BOB, OPS])
for _ in range(40):
    set_acl("k", "u::rw g::r g:20102:r m::r o::-")
    expect("granted", b"1", by, *member, get, "k")
    set_acl("k", "u::rw g::r g:20102:- m::r o::-")
    expect("taken", "EACCES", by, *member, get, "k")
    os.chmod("k", 0o640), set_acl("k", "u::rw g::r g:20102:rw m::rw o::-"), os.chmod("k", 0o620)
    expect("masked", "EACCES", by, *member, get, "k")
    expect("written", None, by, *member, put, "k", b"1", WRONLY)
    os.removexattr("k", ACCESS)
    expect("removed", "EACCES", by, *member, put, "k", b"1", WRONLY)
"#,
    );
}
