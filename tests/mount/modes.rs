//! Owners, groups and modes: who may change them, and what new entries get.

mod roots;

use crate::Case;
use crate::alike::{alike, alike_in_variables};

pub const CASES: &[Case] = &[
    ("who_may_chmod", who_may_chmod),
    ("every_mode", every_mode),
    ("who_may_chown", who_may_chown),
    ("a_new_owner_or_group_ends_set_id", a_new_owner_or_group_ends_set_id),
    ("writing_ends_set_id", writing_ends_set_id),
    ("set_group_id_is_for_members", set_group_id_is_for_members),
    ("modes_at_creation", modes_at_creation),
    ("modes_at_creation_for_others", modes_at_creation_for_others),
    ("set_group_id_directories", set_group_id_directories),
    ("sticky_directories", sticky_directories),
    ("sticky_directories_and_moves", sticky_directories_and_moves),
    ("directories_of_others", directories_of_others),
    ("the_way_down_is_searched", the_way_down_is_searched),
    ("the_first_class_decides", the_first_class_decides),
    ("readers_and_writers", readers_and_writers),
    ("access_is_the_kernels", access_is_the_kernels),
    ("a_secret_has_nothing_for_others", roots::a_secret_has_nothing_for_others),
    ("a_trees_root_is_open_to_all", roots::a_trees_root_is_open_to_all),
    ("who_removes_right_below_a_trees_root", roots::who_removes_right_below_a_trees_root),
    ("who_replaces_right_below_a_trees_root", roots::who_replaces_right_below_a_trees_root),
    ("the_owner_of_a_trees_root", roots::the_owner_of_a_trees_root),
    ("an_environment_for_a_team", roots::an_environment_for_a_team),
];

fn who_may_chmod() {
    alike(
        r#"
put("k", b"1"), os.mkdir("d")
for name in "k", "d":
    os.chown(name, ALICE, PAYMENTS), os.chmod(name, 0o640 if name == "k" else 0o750)
    for uid, groups, wanted in [(ALICE, [ALICE], None), (ALICE, [BOB], None), (ALICE, [ALICE, PAYMENTS], None),
                                (BOB, [BOB], "EPERM"), (BOB, [PAYMENTS], "EPERM"), (BOB, [BOB, PAYMENTS, OPS], "EPERM"),
                                (BOB, [0], "EPERM"), (0, [0], None), (0, [OPS], None)]:
        os.chmod(name, 0o700)
        expect(f"{name} by {uid} in {groups}", wanted, by, uid, groups, os.chmod, name, 0o750)
        expect("and it is", (0o750 if wanted is None else 0o700, ALICE, PAYMENTS),
               lambda: (stat.S_IMODE(os.stat(name).st_mode), os.stat(name).st_uid, os.stat(name).st_gid))
    # A group that may write the entry may still not change it.
    os.chmod(name, 0o770)
    expect("a writer", "EPERM", by, BOB, [PAYMENTS], os.chmod, name, 0o700)
# By a descriptor, whatever it was opened for.
os.chmod("k", 0o660)
def by_descriptor(flags, new):
    handle = os.open("k", flags)
    try:
        os.fchmod(handle, new)
    finally:
        os.close(handle)
expect("the owner's", None, by, ALICE, [ALICE, PAYMENTS], by_descriptor, RDONLY, 0o640)
expect("it counts", "0o640", mode, "k")
expect("another's", "EPERM", by, BOB, [PAYMENTS], by_descriptor, RDONLY, 0o660)
# The owner's class is not asked for that: who took everything away can give it back.
os.chmod("k", 0o000)
expect("nothing", "EACCES", by, ALICE, [ALICE, PAYMENTS], get, "k")
expect("given back", None, by, ALICE, [ALICE, PAYMENTS], os.chmod, "k", 0o600)
expect("nothing there", "ENOENT", os.chmod, "none", 0o600)
# To reach it takes search on the way.
os.mkdir("closed"), put("closed/k", b"1"), os.chown("closed/k", ALICE, ALICE), os.chmod("closed", 0o700)
expect("not to be reached", "EACCES", by, ALICE, [ALICE], os.chmod, "closed/k", 0o600)
# The time of change moves, that of modification does not.
before = os.stat("k")
wait_for("the clock", lambda: (os.chmod("k", 0o600), os.stat("k").st_ctime_ns > before.st_ctime_ns)[1])
expect("modified", True, lambda: os.stat("k").st_mtime_ns == before.st_mtime_ns)
"#,
    );
}

fn every_mode() {
    let text = r#"
put("k", b"1"), os.mkdir("d"), os.chown("k", ALICE, PAYMENTS), os.chown("d", ALICE, PAYMENTS)
others = int(OTHERS)
for bits in [*range(0, 0o1000, 0o25), 0o1640, 0o2640, 0o2650, 0o4640, 0o4700, 0o6770, 0o7777, 0o7000]:
    bits &= ~(0 if others else 7)
    for name in "k", "d":
        for uid, groups in (0, [0]), (ALICE, [PAYMENTS]), (ALICE, [ALICE]):
            outcome(by, uid, groups, os.chmod, name, bits)
            show(f"{bits:o} for {name} by {uid} in {groups}", mode, name)
# What chmod(1) makes of words.
os.chmod("k", 0o640)
for words in "u+x", "g=u", "g-w", "+t", "u+s,g+s", "a-s", "g=o", "u=rw,g=r,o=", "-t":
    show(words, run, "chmod", words, "k")
    show("it is", mode, "k")
"#;
    alike(&text.replace("OTHERS", "'0'"));
    alike_in_variables(&text.replace("OTHERS", "'1'"));
}

fn who_may_chown() {
    alike(
        r#"
put("k", b"1"), os.mkdir("d")
def reset(name):
    os.chown(name, ALICE, ALICE), os.chmod(name, 0o770)
def owners(name):
    return os.stat(name).st_uid, os.stat(name).st_gid
for name in "k", "d":
    for uid, groups, to, wanted in [
        # A group that the owner is in, first or among the others.
        (ALICE, [ALICE, PAYMENTS], (-1, PAYMENTS), None),
        (ALICE, [PAYMENTS], (-1, PAYMENTS), None),
        (ALICE, [ALICE, PAYMENTS], (ALICE, PAYMENTS), None),
        (ALICE, [PAYMENTS, OPS], (-1, ALICE), None),
        (ALICE, [ALICE], (ALICE, -1), None),
        # One that it is not in, or another owner.
        (ALICE, [ALICE, PAYMENTS], (-1, OPS), "EPERM"),
        (ALICE, [ALICE], (-1, 0), "EPERM"),
        (ALICE, [ALICE], (BOB, -1), "EPERM"),
        (ALICE, [ALICE, PAYMENTS], (BOB, PAYMENTS), "EPERM"),
        # Somebody else, whose groups are no help.
        (BOB, [BOB, ALICE, PAYMENTS], (-1, PAYMENTS), "EPERM"),
        (BOB, [ALICE], (BOB, -1), "EPERM"),
        (BOB, [ALICE], (-1, ALICE), "EPERM"),
        # The superuser.
        (0, [0], (BOB, OPS), None),
        (0, [OPS], (-1, ANALYSTS), None),
        (0, [0], (CAROL, -1), None),
    ]:
        reset(name)
        expect(f"{name} by {uid} in {groups} to {to}", wanted, by, uid, groups, os.chown, name, *to)
        found = (ALICE if wanted or to[0] == -1 else to[0], ALICE if wanted or to[1] == -1 else to[1])
        expect("belongs to", found, owners, name)
    reset(name)
    show("nothing to change, by nobody", by, BOB, [BOB], os.chown, name, -1, -1)
# What is given away is the new owner's to change, and the old one's no more.
reset("k")
os.chown("k", BOB, PAYMENTS)
expect("the old owner", "EPERM", by, ALICE, [ALICE], os.chmod, "k", 0o600)
expect("the new owner", None, by, BOB, [BOB], os.chmod, "k", 0o640)
expect("its group", b"1", by, CAROL, [CAROL, PAYMENTS], get, "k")
expect("another group", "EACCES", by, CAROL, [CAROL, OPS], get, "k")
# By a descriptor, and by the program.
handle = os.open("k", WRONLY)
expect("by descriptor", None, os.fchown, handle, -1, OPS)
expect("another group now", b"1", by, CAROL, [CAROL, OPS], get, "k")
os.close(handle)
show("chgrp", run, "chgrp", str(ANALYSTS), "k")
show("chown", run, "chown", f"{ALICE}:{PAYMENTS}", "k", "d")
expect("both", [(ALICE, PAYMENTS)] * 2, lambda: [owners(name) for name in ("k", "d")])
show("chgrp by a stranger", by, BOB, [BOB], run, "chgrp", str(BOB), "k")
show("recursive", run, "chown", "-R", f"{BOB}:{OPS}", ".")
expect("all", [(BOB, OPS)] * 2, lambda: [owners(name) for name in ("k", "d")])
"#,
    );
}

fn a_new_owner_or_group_ends_set_id() {
    alike(
        r#"
put("k", b"1"), os.mkdir("d")
for name in "k", "d":
    for bits in 0o6750, 0o6770, 0o6740, 0o2760, 0o4700, 0o2710, 0o6000:
        for uid, groups, to in [(0, [0], (-1, OPS)), (0, [0], (BOB, -1)), (0, [0], (ALICE, PAYMENTS)),
                                (ALICE, [ALICE, PAYMENTS, OPS], (-1, OPS)), (ALICE, [ALICE, PAYMENTS], (-1, ALICE)),
                                (ALICE, [ALICE, PAYMENTS], (ALICE, -1))]:
            os.chown(name, ALICE, PAYMENTS), os.chmod(name, bits)
            show(f"{name} {bits:o} by {uid} to {to}", by, uid, groups, os.chown, name, *to)
            show("leaves", permissions, name)
# A refusal leaves all as it was.
os.chown("k", ALICE, PAYMENTS), os.chmod("k", 0o6750)
expect("refused", "EPERM", by, ALICE, [ALICE], os.chown, "k", -1, OPS)
expect("left", ("0o6750", ALICE, PAYMENTS), permissions, "k")
"#,
    );
}

fn writing_ends_set_id() {
    alike(
        r#"
def written(flags):
    return lambda: put("k", b"new", flags)
def cut():
    handle = os.open("k", RDWR)
    try:
        os.ftruncate(handle, 1)
    finally:
        os.close(handle)
ways = {
    "write": written(WRONLY),
    "truncate and write": written(WRONLY | TRUNC),
    "append": written(WRONLY | APPEND),
    "by name": lambda: os.truncate("k", 1),
    "by descriptor": cut,
    "truncate": lambda: opened("k", WRONLY | TRUNC),
    "read": lambda: get("k"),
    "open": lambda: opened("k", RDWR),
}
put("k", b"old"), os.chown("k", ALICE, PAYMENTS)
for bits in 0o6770, 0o6760, 0o4770, 0o2770, 0o2760, 0o1660:
    for uid, groups in (0, [0, PAYMENTS]), (ALICE, [ALICE, PAYMENTS]), (BOB, [BOB, PAYMENTS]), (BOB, [PAYMENTS]):
        for way, work in ways.items():
            os.chmod("k", 0o600)
            put("k", b"old")
            os.chmod("k", bits)
            show(f"{bits:o}, {way} by {uid} in {groups}", by, uid, groups, work)
            show("leaves", mode, "k")
# What is made with such a mode keeps it only as long as it is empty.
def made(bits, value):
    handle = os.open("new", WRONLY | CREAT | EXCL, bits)
    try:
        if value:
            os.write(handle, value)
    finally:
        os.close(handle)
for bits in 0o6770, 0o6760, 0o2710:
    for uid, groups in (0, [0]), (ALICE, [ALICE]):
        for value in b"", b"1":
            by(uid, groups, made, bits, value)
            show(f"made {bits:o} by {uid} with {value}", mode, "new")
            os.unlink("new")
"#,
    );
}

fn set_group_id_is_for_members() {
    alike(
        r#"
put("k", b"1"), os.mkdir("d"), os.chown("k", ALICE, PAYMENTS), os.chown("d", ALICE, PAYMENTS)
for name in "k", "d":
    for uid, groups, kept in [(ALICE, [ALICE], False), (ALICE, [OPS, ANALYSTS], False), (ALICE, [ALICE, OPS, PAYMENTS], True),
                              (ALICE, [PAYMENTS], True), (0, [0], True), (0, [OPS], True)]:
        os.chmod(name, 0o700)
        expect(f"set {name} by {uid} in {groups}", None, by, uid, groups, os.chmod, name, 0o2770)
        expect("kept", "0o2770" if kept else "0o770", mode, name)
        # One that was there goes with the next change by somebody who isn't in the group.
        os.chmod(name, 0o2770)
        by(uid, groups, os.chmod, name, 0o2750)
        expect("still there", "0o2750" if kept else "0o750", mode, name)
"#,
    );
}

fn modes_at_creation() {
    // Modes with nothing for others, so that a secret's are as a variable's.
    alike(
        r#"
def made(how, name, bits):
    {"open": lambda: opened(name, WRONLY | CREAT | EXCL, bits), "mkdir": lambda: os.mkdir(name, bits),
     "mknod": lambda: os.mknod(name, stat.S_IFREG | bits)}[how]()
    return permissions(name)
number = 0
for how in "open", "mkdir", "mknod":
    for mask in 0o007, 0o027, 0o077, 0o777, 0o137:
        os.umask(mask)
        for bits in 0o777, 0o666, 0o640, 0o600, 0o000, 0o4750, 0o2750, 0o1770, 0o7770:
            for uid, groups in (0, [0]), (ALICE, [ALICE, PAYMENTS]), (BOB, [PAYMENTS, BOB]):
                number += 1
                show(f"{how} {bits:o} less {mask:o} by {uid}", by, uid, groups, made, how, f"n{number}", bits)
os.umask(0o027)
# The creator has what it opened for, whatever the mode says; nobody later has.
def created(bits):
    handle = os.open("own", RDWR | CREAT | EXCL, bits)
    try:
        return os.write(handle, b"mine")
    finally:
        os.close(handle)
for bits in 0o000, 0o400, 0o200:
    expect("created", 4, by, ALICE, [ALICE], created, bits)
    show("read", by, ALICE, [ALICE], get, "own")
    show("written", by, ALICE, [ALICE], put, "own", b"x", WRONLY)
    show("both", by, ALICE, [ALICE], opened, "own", RDWR)
    os.unlink("own")
# A mode is for creation alone.
put("k", b"1", mode=0o600)
put("k", b"2", mode=0o660)
expect("as it was", "0o600", mode, "k")
"#,
    );
}

fn modes_at_creation_for_others() {
    alike_in_variables(
        r#"
number = 0
for mask in 0o000, 0o002, 0o022, 0o077, 0o345:
    os.umask(mask)
    for bits in 0o777, 0o666, 0o644, 0o707, 0o004, 0o7777:
        for how in (lambda name: opened(name, WRONLY | CREAT, bits)), (lambda name: os.mkdir(name, bits)), (lambda name: os.mknod(name, bits)):
            number += 1
            show(f"{bits:o} less {mask:o}", lambda: (by(BOB, [BOB, OPS], how, f"n{number}"), permissions(f"n{number}"))[1])
# The creator reads by the descriptor that made it, which for a secret is the gate's to say.
def created(bits):
    handle = os.open("own", RDWR | CREAT | EXCL, bits)
    os.write(handle, b"mine")
    found = os.pread(handle, 9, 0)
    os.close(handle), os.unlink("own")
    return found
for bits in 0o000, 0o200:
    expect(f"read by its creator, {bits:o}", b"mine", by, ALICE, [ALICE], created, bits)
os.umask(0o022)
for words in "touch t", "mkdir m", "mkdir -m 1777 s", "mkdir -p a/b/c", "install -m 2755 /dev/null i", "install -d -m 700 i.d", "cp t c":
    show(words, sh, words)
show("modes", lambda: [(name, permissions(name)) for name in names()])
"#,
    );
}

fn set_group_id_directories() {
    alike(
        r#"
os.umask(0o007)
os.mkdir("team"), os.chown("team", ALICE, PAYMENTS), os.chmod("team", 0o2770)
member, outsider = (BOB, [BOB, PAYMENTS]), (CAROL, [CAROL, OPS])
by(*member, put, "team/file", b"1")
by(*member, os.mkdir, "team/below")
by(*member, os.mknod, "team/node")
expect("a file has its group", ("0o660", BOB, PAYMENTS), permissions, "team/file")
expect("so has mknod's", (BOB, PAYMENTS), lambda: permissions("team/node")[1:])
expect("a directory has the bit too", ("0o2770", BOB, PAYMENTS), permissions, "team/below")
by(*member, os.makedirs, "team/below/a/b/c")
by(*member, put, "team/below/a/b/c/file", b"1")
expect("and so on", ("0o2770", BOB, PAYMENTS), permissions, "team/below/a/b/c")
expect("to the last", ("0o660", BOB, PAYMENTS), permissions, "team/below/a/b/c/file")
expect("for the team", b"1", by, ALICE, [ALICE, PAYMENTS], get, "team/below/a/b/c/file")
expect("not for others", "EACCES", by, *outsider, get, "team/below/a/b/c/file")
# The creator's primary group does not count there, the superuser's neither.
put("team/root", b"1")
expect("root's", (0, PAYMENTS), lambda: permissions("team/root")[1:])
# A bit that is asked for in somebody else's group.
os.chmod("team", 0o2777)
for bits in 0o2770, 0o2760, 0o2710, 0o6770:
    for uid, groups in member, outsider, (0, [0]), (CAROL, [PAYMENTS]):
        show(f"file {bits:o} by {uid}", by, uid, groups, opened, "team/new", WRONLY | CREAT | EXCL, bits)
        show("is", permissions, "team/new")
        os.unlink("team/new")
        show(f"node {bits:o} by {uid}", by, uid, groups, os.mknod, "team/new", bits)
        show("is", permissions, "team/new")
        os.unlink("team/new")
        show(f"directory {bits:o} by {uid}", by, uid, groups, os.mkdir, "team/new", bits)
        show("is", permissions, "team/new")
        os.rmdir("team/new")
# What is moved in stays what it was; what is moved out too.
put("outside", b"1", mode=0o600), os.mkdir("dir")
os.rename("outside", "team/inside"), os.rename("dir", "team/dir"), os.rename("team/below", "below")
expect("moved in", ("0o600", 0, 0), permissions, "team/inside")
show("directory moved in", permissions, "team/dir")
expect("moved out", ("0o2770", BOB, PAYMENTS), permissions, "below")
# The bit goes where it is taken, and what is made after that is its creator's.
os.chmod("team", 0o777)
by(*member, put, "team/later", b"1"), by(*member, os.mkdir, "team/later.d")
expect("later", ("0o660", BOB, BOB), permissions, "team/later")
expect("later", ("0o770", BOB, BOB), permissions, "team/later.d")
# chmod(1) leaves a directory's bit alone unless it is named.
os.chmod("below", 0o2770)
show("numeric", sh, "chmod 750 below; stat -c %a below; chmod 00750 below; stat -c %a below; chmod g+s below; stat -c %a below")
"#,
    );
}

fn sticky_directories() {
    alike(
        r#"
os.mkdir("shared"), os.chown("shared", ALICE, PAYMENTS), os.chmod("shared", 0o1777)
def made():
    for name in "k", "l":
        if not os.path.exists(f"shared/{name}"):
            put(f"shared/{name}", b"1")
        os.chown(f"shared/{name}", BOB, OPS), os.chmod(f"shared/{name}", 0o660)
    if not os.path.exists("shared/d"):
        os.mkdir("shared/d")
    os.chown("shared/d", BOB, OPS), os.chmod("shared/d", 0o770)
who = {"the entry's owner": (BOB, [BOB], None), "the directory's owner": (ALICE, [ALICE], None), "root": (0, [0], None),
       "a stranger": (CAROL, [CAROL], "EPERM"), "a writer of the entry": (CAROL, [OPS], "EPERM"),
       "the directory's group": (CAROL, [CAROL, PAYMENTS], "EPERM")}
for name, (uid, groups, wanted) in who.items():
    made()
    expect(f"unlink by {name}", wanted, by, uid, groups, os.unlink, "shared/k")
    made()
    expect(f"rmdir by {name}", wanted, by, uid, groups, os.rmdir, "shared/d")
    made()
    expect(f"rename by {name}", wanted, by, uid, groups, os.rename, "shared/k", "shared/renamed")
    made()
    expect(f"rename over another by {name}", wanted, by, uid, groups, os.rename, "shared/k", "shared/l")
    made()
    expect(f"exchange by {name}", wanted, by, uid, groups, rename, "shared/k", "shared/d", EXCHANGE)
    if os.path.exists("shared/renamed"):
        os.unlink("shared/renamed")
    if wanted is None and os.path.isdir("shared/k"):
        rename("shared/k", "shared/d", EXCHANGE)
# To write is another thing.
made()
expect("written", None, by, CAROL, [OPS], put, "shared/k", b"2", WRONLY)
expect("not written", "EACCES", by, CAROL, [CAROL], put, "shared/k", b"2", WRONLY)
# Without the bit, who may write the directory may remove.
os.chmod("shared", 0o777)
expect("unlink by anybody", None, by, CAROL, [CAROL], os.unlink, "shared/k")
expect("rmdir by anybody", None, by, CAROL, [CAROL], os.rmdir, "shared/d")
"#,
    );
}

fn sticky_directories_and_moves() {
    alike(
        r#"
os.mkdir("shared"), os.chmod("shared", 0o1777), os.mkdir("open"), os.chmod("open", 0o777)
by(BOB, [BOB], put, "shared/bobs", b"bob's")
by(CAROL, [CAROL], put, "shared/carols", b"carol's"), by(CAROL, [CAROL], put, "open/carols", b"open")
expect("out of it", "EPERM", by, CAROL, [CAROL], os.rename, "shared/bobs", "open/bobs")
expect("over another's", "EPERM", by, CAROL, [CAROL], os.rename, "open/carols", "shared/bobs")
expect("over another's, within", "EPERM", by, CAROL, [CAROL], os.rename, "shared/carols", "shared/bobs")
expect("into it", None, by, CAROL, [CAROL], os.rename, "open/carols", "shared/new")
expect("exchanged with another's", "EPERM", by, CAROL, [CAROL], rename, "shared/new", "shared/bobs", EXCHANGE)
expect("over one's own", None, by, CAROL, [CAROL], os.rename, "shared/new", "shared/carols")
expect("out of it, one's own", None, by, CAROL, [CAROL], os.rename, "shared/carols", "open/carols")
expect("another's, out of an open one", None, by, BOB, [BOB], os.rename, "open/carols", "open/moved")
expect("bob's are there", ["bobs"], names, "shared")
# A directory of one's own does not help within another's.
by(BOB, [BOB], os.mkdir, "shared/bobs.d", 0o777)
os.chmod("shared/bobs.d", 0o777)
by(CAROL, [CAROL], put, "shared/bobs.d/carols", b"1")
expect("in an open one below", None, by, BOB, [BOB], os.unlink, "shared/bobs.d/carols")
os.chmod("shared/bobs.d", 0o1777)
by(CAROL, [CAROL], put, "shared/bobs.d/carols", b"1")
expect("its owner", None, by, BOB, [BOB], os.unlink, "shared/bobs.d/carols")
"#,
    );
}

fn directories_of_others() {
    alike(
        r#"
os.mkdir("d"), os.mkdir("d/sub"), put("d/k", b"1"), os.chown("d/k", ALICE, OPS), os.chmod("d/k", 0o660), os.chmod("d/sub", 0o770)
os.chown("d/sub", ALICE, OPS)
def within():
    os.chdir("d")
    return names()
work = {
    "list": lambda: names("d"),
    "list with kinds": lambda: sorted((entry.name, entry.is_dir()) for entry in os.scandir("d")),
    "walk": lambda: sorted(root for root, _, _ in os.walk("d")),
    "look up": lambda: size("d/k"),
    "look up what is not there": lambda: size("d/none"),
    "read": lambda: get("d/k"),
    "write": lambda: put("d/k", b"1", WRONLY),
    "enter": within,
    "list below": lambda: names("d/sub"),
    "stat": lambda: stat.S_ISDIR(os.stat("d").st_mode),
    "open": lambda: opened("d", RDONLY | os.O_DIRECTORY),
    "place": lambda: opened("d", os.O_PATH),
    "make": lambda: put("d/new", b"1"),
    "make over": lambda: opened("d/k", WRONLY | CREAT | EXCL),
    "mkdir": lambda: os.mkdir("d/new.d"),
    "mknod": lambda: os.mknod("d/new.n"),
    "rename": lambda: os.rename("d/k", "d/moved"),
    "rename back": lambda: os.rename("d/moved", "d/k"),
    "remove": lambda: os.unlink("d/new"),
    "rmdir": lambda: os.rmdir("d/new.d"),
    "remove what is not there": lambda: os.unlink("d/none"),
    "remove the directory": lambda: os.rmdir("d"),
    "set its mode": lambda: os.chmod("d", 0o777),
    "set its times": lambda: os.utime("d"),
    "set its times to": lambda: os.utime("d", (1, 1)),
}
for bits in range(8):
    for shift, uid, groups in (6, ALICE, [ALICE, OPS]), (3, BOB, [BOB, PAYMENTS, OPS]), (0, CAROL, [CAROL, OPS]):
        os.chown("d", ALICE, PAYMENTS), os.chmod("d", bits << shift)
        for name, what in work.items():
            if name == "set its mode" and uid == ALICE:
                continue
            show(f"{bits} for {uid}: {name}", by, uid, groups, what)
        os.chmod("d", 0o700)
        for left in "new", "new.n", "new.d", "moved":
            if os.path.isdir(f"d/{left}"):
                os.rmdir(f"d/{left}")
            elif left == "moved" and os.path.exists("d/moved"):
                os.rename("d/moved", "d/k")
            elif os.path.exists(f"d/{left}"):
                os.unlink(f"d/{left}")
expect("nothing is lost", ["k", "sub"], names, "d")
"#,
    );
}

fn the_way_down_is_searched() {
    alike(
        r#"
os.makedirs("a/b/c"), put("a/b/c/k", b"1"), os.chown("a/b/c/k", 0, PAYMENTS), os.chmod("a/b/c/k", 0o640)
for name in "a", "a/b", "a/b/c":
    os.chmod(name, 0o711)
member = (ALICE, [ALICE, PAYMENTS])
expect("search all the way", b"1", by, *member, get, "a/b/c/k")
for name in "a", "a/b", "a/b/c":
    os.chmod(name, 0o766)
    expect(f"not through {name}", "EACCES", by, *member, get, "a/b/c/k")
    expect("nor told of", "EACCES", by, *member, size, "a/b/c/k")
    os.chmod(name, 0o701)
    expect(f"through {name} again", b"1", by, *member, get, "a/b/c/k")
# For a group.
os.chmod("a/b", 0o710), os.chown("a/b", 0, OPS)
expect("not in it", "EACCES", by, *member, get, "a/b/c/k")
expect("in it", b"1", by, ALICE, [ALICE, PAYMENTS, OPS], get, "a/b/c/k")
# What is held open goes on; what is opened relative to a directory takes that one alone.
def relative():
    here = os.open("a/b/c", os.O_PATH)
    by_now = os.open("a/b/c/k", RDONLY)
    wait_for("the door to close", lambda: outcome(size, "a/b/c/k") == "EACCES")
    return os.read(by_now, 9), whole(os.open("k", RDONLY, dir_fd=here)), outcome(os.open, "../c/k", RDONLY, dir_fd=here)
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    os.setgroups([PAYMENTS, OPS]), os.setresgid(ALICE, ALICE, ALICE), os.setresuid(ALICE, ALICE, ALICE)
    os.write(writer, b"ready")
    os.write(writer, repr(outcome(relative)).encode())
    os._exit(0)
os.read(reader, 5)
wait_for("it to open", lambda: len(os.listdir(f"/proc/{child}/fd")) > len(os.listdir("/proc/self/fd")))
os.chmod("a/b", 0o700)
os.close(writer)
show("held", whole, reader)
os.waitpid(child, 0)
"#,
    );
}

fn the_first_class_decides() {
    alike_in_variables(
        r#"
put("k", b"1"), os.chown("k", ALICE, PAYMENTS)
for bits in 0o077, 0o707, 0o407, 0o047, 0o704, 0o444, 0o222, 0o640, 0o604, 0o000:
    os.chmod("k", bits)
    for uid, groups in (ALICE, [ALICE]), (ALICE, [PAYMENTS]), (BOB, [PAYMENTS]), (BOB, [BOB, PAYMENTS]), (CAROL, [CAROL]), (0, [0]):
        show(f"{bits:o} read by {uid} in {groups}", by, uid, groups, get, "k")
        show(f"{bits:o} written by {uid} in {groups}", by, uid, groups, put, "k", b"1", WRONLY)
"#,
    );
}

fn readers_and_writers() {
    alike(
        r#"
put("k", b"first"), os.chown("k", 0, PAYMENTS)
member, outsider = (BOB, [BOB, PAYMENTS]), (BOB, [BOB, OPS])
ways = {
    "read": lambda: get("k"),
    "read and write": lambda: opened("k", RDWR),
    "write": lambda: put("k", b"other", WRONLY),
    "empty and write": lambda: put("k", b"again", WRONLY | TRUNC),
    "read and empty": lambda: opened("k", RDONLY | TRUNC),
    "append": lambda: put("k", b"+", WRONLY | APPEND),
    "truncate": lambda: os.truncate("k", 5),
    "create over": lambda: put("k", b"other", WRONLY | CREAT),
    "stat": lambda: size("k"),
    "set times": lambda: os.utime("k"),
    "set times to": lambda: os.utime("k", (1, 1)),
}
for bits in 0o600, 0o640, 0o620, 0o660:
    os.chmod("k", bits)
    for who, name in (member, "member"), (outsider, "outsider"):
        for way, work in ways.items():
            show(f"{bits:o}, {name}: {way}", by, *who, work)
# What a writer wrote that reads nothing of it.
os.chmod("k", 0o620)
expect("stored", None, by, *member, put, "k", b"rotated", WRONLY | TRUNC)
expect("not read back", "EACCES", by, *member, get, "k")
expect("by no descriptor", "EBADF", by, *member, lambda: os.read(os.open("k", WRONLY), 9))
expect("for those who may", b"rotated", by, 0, [0, PAYMENTS], get, "k")
"#,
    );
}

fn access_is_the_kernels() {
    alike(
        r#"
put("k", b"1"), os.mkdir("d"), os.chown("k", ALICE, PAYMENTS), os.chown("d", ALICE, PAYMENTS)
checks = [("there", os.F_OK), ("read", os.R_OK), ("write", os.W_OK), ("run", os.X_OK), ("all", os.R_OK | os.W_OK | os.X_OK)]
def asked(name):
    return [(what, os.access(name, how)) for what, how in checks]
def for_real():
    # The real ids count, not those in force.
    os.setresuid(CAROL, ALICE, ALICE)
    return os.access("k", os.R_OK), os.access("k", os.R_OK, effective_ids=True)
for bits in 0o700, 0o640, 0o660, 0o070, 0o010, 0o000, 0o500, 0o120:
    for name in "k", "d":
        os.chmod(name, bits)
        for uid, groups in (0, [0]), (ALICE, [ALICE]), (BOB, [BOB, PAYMENTS]), (CAROL, [CAROL]):
            show(f"{name} {bits:o} by {uid}", by, uid, groups, asked, name)
os.chmod("k", 0o600)
expect("real ids", (False, True), by, 0, [0], for_real)
expect("what is not there", False, os.access, "none", os.F_OK)
show("test(1)", sh, "test -r k && test -w k && ! test -x k && test -d d && test -O k; echo $?")
"#,
    );
}
