//! Renaming: rename(2) and renameat2(2) of files and directories, over nothing, over something, in exchange, and by whom.

mod together;
mod who;

use std::fs;

use crate::Case;
use crate::alike::{alike, in_keyfs};
use crate::fixture::Mount;
use crate::stat::EFFECT;

pub const CASES: &[Case] = &[
    ("each_kind_onto_each", each_kind_onto_each),
    ("into_itself", into_itself),
    ("flags", flags),
    ("exchange", exchange),
    ("exchange_keeps_each_ones_versions", exchange_keeps_each_ones_versions),
    ("times_and_links", times_and_links),
    ("over_an_open_file", over_an_open_file),
    ("what_the_kernel_asks_of_directories", who::what_the_kernel_asks_of_directories),
    ("sticky_directories", who::sticky_directories),
    ("who_renames_below_a_trees_root", who::who_renames_below_a_trees_root),
    ("who_is_replaced_below_a_trees_root", who::who_is_replaced_below_a_trees_root),
    ("who_exchanges_below_a_trees_root", who::who_exchanges_below_a_trees_root),
    ("the_roots_owner_renames_what_is_there", who::the_roots_owner_renames_what_is_there),
    ("a_secret_below_a_trees_root_is_its_editors", who::a_secret_below_a_trees_root_is_its_editors),
    ("a_directory_with_much_below_moves_in_one_commit", a_directory_with_much_below_moves_in_one_commit),
    ("a_deep_directory_moved_deeper", a_deep_directory_moved_deeper),
    ("saved_as_editors_do", saved_as_editors_do),
    ("readers_find_the_old_one_or_the_new_one", together::readers_find_the_old_one_or_the_new_one),
    ("two_that_would_make_a_circle", together::two_that_would_make_a_circle),
    ("it_survives_a_remount", it_survives_a_remount),
];

/// What stands below the working directory: contents of files, and how many links a directory has.
const TREE: &str = r#"
def tree(top="."):
    found = {}
    for above, directories, files in os.walk(top):
        for name in directories:
            found[os.path.join(above, name)] = os.stat(os.path.join(above, name)).st_nlink
        for name in files:
            found[os.path.join(above, name)] = get(os.path.join(above, name))
    return dict(sorted(found.items()))
"#;

#[track_caller]
fn alike_with_tree(text: &str) {
    alike(&format!("{TREE}{text}"));
}

fn each_kind_onto_each() {
    alike_with_tree(
        r#"
def make(kind, path):
    if kind == "file":
        put(path, path.encode())
    elif kind != "missing":
        os.mkdir(path)
        if kind == "full":
            put(path + "/key", b"1"), os.mkdir(path + "/below")

def wanted(source, target, flags):
    if source == "missing":
        return "ENOENT"
    if flags == NOREPLACE:
        return None if target == "missing" else "EEXIST"
    if flags == EXCHANGE:
        return "ENOENT" if target == "missing" else None
    if target == "missing" or (source, target) == ("file", "file"):
        return None
    if source == "file":
        return "EISDIR"
    return {"file": "ENOTDIR", "full": "ENOTEMPTY", "empty": None}[target]

KINDS = ("missing", "file", "empty", "full")
for flags in (0, NOREPLACE, EXCHANGE):
    for place, from_, to in (("here", "source", "target"), ("beside", "one/source", "two/target"), ("down", "source", "one/target"), ("up", "one/two/source", "target")):
        for source in KINDS:
            for target in KINDS:
                top = f"{flags}-{place}-{source}-{target}"
                os.mkdir(top), os.chdir(top)
                os.makedirs("one/two"), os.mkdir("two")
                make(source, from_), make(target, to)
                before = tree()
                expect(top, wanted(source, target, flags), rename, from_, to, flags)
                if wanted(source, target, flags):
                    expect("nothing changed", before, tree)
                else:
                    show("what is there", tree)
                os.chdir("..")
"#,
    );
}

fn into_itself() {
    alike_with_tree(
        r#"
os.makedirs("d/e/f"), put("d/key", b"1"), put("key", b"2"), os.mkdir("other"), put("other/key", b"3")
before = tree()
for flags in (0, NOREPLACE, EXCHANGE):
    for below in ("d/new", "d/e/new", "d/e/f/new"):
        expect(f"{flags} into {below}", "EINVAL" if flags != EXCHANGE else "ENOENT", rename, "d", below, flags)
    for below in ("d/e", "d/e/f", "d/key"):
        show(f"{flags} onto {below}", rename, "d", below, flags)
    for below in ("d/e", "d/e/f", "d/key"):
        show(f"{flags} {below} onto d", rename, below, "d", flags)
expect("in exchange with what is in it", "EINVAL", rename, "d", "d/e/f", EXCHANGE)
expect("in exchange with what it is in", "EINVAL", rename, "d/e/f", "d", EXCHANGE)
expect("onto what it is in", "ENOTEMPTY", rename, "d/e", "d", 0)
expect("nothing changed", before, tree)
# Onto itself: nothing happens, and nothing is lost.
for name in ("key", "d", "d/e/f"):
    expect("onto itself", None, rename, name, name, 0)
    expect("in exchange with itself", None, rename, name, name, EXCHANGE)
    expect("unless it is there", "EEXIST", rename, name, name, NOREPLACE)
expect("by another way", None, rename, "d/key", "d/../d/e/../key", 0)
expect("still nothing", before, tree)
# What is only named alike is not the same.
os.mkdir("d/d"), os.mkdir("d/other"), os.mkdir("d/other/d")
expect("of the same name", None, rename, "d/other/d", "other/d", 0)
expect("upwards", None, rename, "d/e/f", "f", 0)
expect("below where it was", None, rename, "d/e", "f/e", 0)
expect("what it was in below it", None, rename, "d", "f/e/d", 0)
show("now", tree)
"#,
    );
}

fn flags() {
    alike_with_tree(
        r#"
put("a", b"a"), put("b", b"b"), os.mkdir("d")
before = tree()
for flags in (NOREPLACE | EXCHANGE, WHITEOUT | EXCHANGE, 7, 8, 8 | NOREPLACE, 1 << 16, 1 << 31, 0xffffffff & ~7):
    for source, target in (("a", "b"), ("a", "new"), ("d", "new"), ("missing", "b")):
        expect(f"{flags:#x} {source} {target}", "EINVAL", rename, source, target, flags)
expect("nothing changed", before, tree)
expect("unless it is there", "EEXIST", rename, "a", "b", NOREPLACE)
expect("unless it is there, a directory", "EEXIST", rename, "d", "b", NOREPLACE)
expect("it is not", None, rename, "a", "c", NOREPLACE)
expect("nor is this", None, rename, "d", "e", NOREPLACE)
expect("nothing to exchange with", "ENOENT", rename, "c", "a", EXCHANGE)
expect("nothing to exchange", "ENOENT", rename, "a", "c", EXCHANGE)
show("now", tree)
# Of many that want one name, one gets it.
children = []
for number in range(8):
    put(f"candidate{number}", b"%d" % number)
    child = os.fork()
    if child == 0:
        os._exit(0 if outcome(rename, f"candidate{number}", "chosen", NOREPLACE) is None else 1)
    children.append(child)
expect("one of eight", 1, lambda: sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 for child in children))
expect("it and seven", 8, lambda: len([name for name in names() if name.startswith(("candidate", "chosen"))]))
"#,
    );
    // One more flag is known to other file systems.
    let mount = Mount::new();
    for below in ["dev/variables/w", "dev/secrets/w"] {
        in_keyfs(
            &mount,
            below,
            r#"
put("a", b"a"), put("b", b"b")
for flags in (WHITEOUT, WHITEOUT | NOREPLACE):
    expect("with a whiteout", "EINVAL", rename, "a", "c", flags)
expect("over one with a whiteout", "EINVAL", rename, "a", "b", WHITEOUT)
expect("nothing changed", (["a", "b"], b"a", b"b"), lambda: (names(), get("a"), get("b")))
"#,
        );
    }
}

fn exchange() {
    alike_with_tree(
        r#"
def numbers(*paths):
    return [os.stat(path).st_ino for path in paths]

def exchanged(label, one, other):
    one_was, other_was = numbers(one, other)
    expect(label, None, rename, one, other, EXCHANGE)
    expect("each has the other's place", True, lambda: numbers(one, other) == [other_was, one_was])
    show("what is there", tree)

put("a", b"a"), put("b", b"longer than a"), os.makedirs("d/e"), put("d/e/key", b"inner"), os.mkdir("empty")
exchanged("files", "a", "b")
exchanged("directories", "d", "empty")
exchanged("a file and a directory", "a", "empty")
exchanged("and back", "empty", "a")
exchanged("a directory and a file in another", "d", "empty/e/key")
exchanged("and back", "d", "empty/e/key")
os.mkdir("other"), put("other/key", b"other"), os.makedirs("other/deep/deeper")
exchanged("files of two directories", "empty/e/key", "other/key")
exchanged("directories of two directories", "empty/e", "other/deep")
exchanged("one with what is in its sibling", "empty", "other/deep")
exchanged("an empty and a full one", "d", "other")
# Both handles stay with what they were of.
one, other = os.open("a", RDWR), os.open("b", RDONLY)
exchanged("open files", "a", "b")
expect("still its own", (b"longer than a", b"a"), lambda: (os.pread(one, 100, 0), os.pread(other, 100, 0)))
os.pwrite(one, b"W", 0)
os.close(one)
expect("written to its new name", b"Wonger than a", get, "b")
# What nobody has closed yet is exchanged too.
new = os.open("new", WRONLY | CREAT | EXCL, 0o600)
os.write(new, b"new")
expect("with a new one", None, rename, "a", "new", EXCHANGE)
os.close(new)
expect("both", (b"new", b"a"), lambda: (get("a"), get("new")))
# Once more, and each is where it was.
before = tree()
for _ in range(6):
    rename("empty", "other", EXCHANGE)
expect("an even number of times", before, tree)
"#,
    );
}

fn exchange_keeps_each_ones_versions() {
    let mut mount = Mount::new();
    let text = r#"
def version(path):
    return int(os.getxattr(path, "system.keyfs.version"))
put("a", b"1"), put("b", b"x")
for value in (b"2", b"3"):
    put("a", value)
rename("a", "b", EXCHANGE)
expect("each with its value", (b"x", b"3"), lambda: (get("a"), get("b")))
expect("each with its version", (1, 3), lambda: (version("a"), version("b")))
put("b", b"4"), put("a", b"y")
expect("and on from there", (2, 4), lambda: (version("a"), version("b")))
"#;
    for tree in ["dev/variables/x", "dev/secrets/x"] {
        in_keyfs(&mount, tree, text);
    }
    let check = |mount: &Mount| {
        for tree in ["dev/variables/x", "dev/secrets/x"] {
            for (version, value) in [(1, "1"), (2, "2"), (3, "3"), (4, "4")] {
                assert_eq!(mount.get(&format!(".keyfs/history/{tree}/b/{version}")), value.as_bytes());
            }
            for (version, value) in [(1, "x"), (2, "y")] {
                assert_eq!(mount.get(&format!(".keyfs/history/{tree}/a/{version}")), value.as_bytes());
            }
        }
    };
    check(&mount);
    mount.restart();
    check(&mount);
}

fn times_and_links() {
    alike(&format!(
        "{EFFECT}{}",
        r#"
os.makedirs("one/below"), os.makedirs("two/below"), os.mkdir("three")
put("one/key", b"1"), put("one/other", b"2"), put("two/key", b"3")
expect("a file in its directory", [("mc", 3), ("c", 1), ("", 3)],
       effect, lambda: os.rename("one/key", "one/renamed"), "one", ("one/key", "one/renamed"), "two")
expect("a file to another", [("mc", 3), ("mc", 3), ("c", 1)],
       effect, lambda: os.rename("one/renamed", "two/moved"), "one", "two", ("one/renamed", "two/moved"))
expect("a file over another's", [("mc", 3), ("mc", 3), ("c", 1)],
       effect, lambda: os.rename("one/other", "two/key"), "one", "two", ("one/other", "two/key"))
expect("a directory in its directory", [("mc", 3), ("c", 2)],
       effect, lambda: os.rename("one/below", "one/renamed"), "one", ("one/below", "one/renamed"))
expect("a directory to another", [("mc", 2), ("mc", 4), ("c", 2)],
       effect, lambda: os.rename("one/renamed", "two/moved-directory"), "one", "two", ("one/renamed", "two/moved-directory"))
expect("a directory over an empty one", [("mc", 3), ("c", 2)],
       effect, lambda: os.rename("two/moved-directory", "two/below"), "two", ("two/moved-directory", "two/below"))
os.mkdir("one/empty")
expect("a directory over another's", [("mc", 2), ("mc", 3), ("c", 2)],
       effect, lambda: os.rename("two/below", "one/empty"), "two", "one", ("two/below", "one/empty"))
expect("files exchanged", [("mc", 2), ("c", 1), ("c", 1)],
       effect, lambda: rename("two/key", "two/moved", EXCHANGE), "two", ("two/key", "two/moved"), ("two/moved", "two/key"))
expect("a directory and a file exchanged", [("mc", 2), ("mc", 3), ("c", 2), ("c", 1)],
       effect, lambda: rename("one/empty", "two/key", EXCHANGE), "one", "two", ("one/empty", "two/key"), ("two/key", "one/empty"))
os.makedirs("three/x/z")
expect("directories exchanged", [("mc", 3), ("mc", 3), ("c", 3), ("c", 2)],
       effect, lambda: rename("three/x", "two/key", EXCHANGE), "three", "two", ("three/x", "two/key"), ("two/key", "three/x"))
expect("onto itself", [("", 3), ("", 1)], effect, lambda: os.rename("two/moved", "two/moved"), "two", "two/moved")
expect("refused", "ENOTDIR", effect, lambda: os.rename("three/x", "two/moved"), "two")
expect("untouched by it", [("", 3), ("", 3)], effect, lambda: outcome(os.rename, "three/x", "two/moved") and None, "three", "two")
# What is replaced loses its name, and tells so.
put("victim", b"v"), put("new", b"n")
handle = os.open("victim", RDONLY)
was = os.fstat(handle)
tick()
os.rename("new", "victim")
expect("the victim", (0, True, True), lambda: (os.fstat(handle).st_nlink, os.fstat(handle).st_ctime_ns > was.st_ctime_ns, os.fstat(handle).st_mtime_ns == was.st_mtime_ns))
os.mkdir("empty"), os.mkdir("comes")
directory = os.open("empty", RDONLY)
os.rename("comes", "empty")
expect("the victim, a directory", 0, lambda: os.fstat(directory).st_nlink)
"#
    ));
}

fn over_an_open_file() {
    alike(
        r#"
put("k", b"old value")
reader, both, place = os.open("k", RDONLY), os.open("k", RDWR), os.open("k", os.O_PATH)
for round in range(3):
    put("new", b"new value %d" % round)
    os.rename("new", "k")
expect("each keeps it", (b"old value", b"old value"), lambda: (os.pread(reader, 100, 0), os.pread(both, 100, 0)))
expect("and its length", (9, 9, 9), lambda: (os.fstat(reader).st_size, os.fstat(both).st_size, os.fstat(place).st_size))
expect("no link is left", (0, 0, 0), lambda: (os.fstat(reader).st_nlink, os.fstat(both).st_nlink, os.fstat(place).st_nlink))
os.pwrite(both, b"OLD", 0)
expect("written to, too", b"OLD value", os.pread, both, 100, 0)
os.close(both), os.close(reader), os.close(place)
expect("and the new one stays", b"new value 2", get, "k")
# The name of what is open is free, and what takes it is something else.
put("a", b"first")
reader = os.open("a", RDONLY)
os.rename("a", "b"), put("a", b"second"), os.rename("b", "c")
expect("by the handle", b"first", os.pread, reader, 100, 0)
expect("by their names", (b"second", b"first"), lambda: (get("a"), get("c")))
expect("one and the same", True, lambda: os.fstat(reader).st_ino == os.stat("c").st_ino != os.stat("a").st_ino)
os.close(reader)
# An open directory is still the same where it is moved or exchanged.
os.makedirs("d/e"), put("d/key", b"1"), os.mkdir("f")
directory = os.open("d", RDONLY)
os.rename("d", "f/g")
expect("its names", ["e", "key"], lambda: sorted(os.listdir(directory)))
handle = os.open("new", WRONLY | CREAT, 0o644, dir_fd=directory)
os.write(handle, b"made in it"), os.close(handle)
expect("where it is", b"made in it", get, "f/g/new")
expect("what is above it", True, lambda: os.stat("..", dir_fd=directory).st_ino == os.stat("f").st_ino)
os.mkdir("h")
rename("f", "h", EXCHANGE)
expect("with what is above", b"made in it", get, "h/g/new")
# A process that works in it goes along.
child = os.fork()
if child == 0:
    os.chdir("h/g")
    os.rename("../../h", "../../i")
    os.mkdir("../beside")
    os._exit(0 if get("new") == b"made in it" and get("../../i/g/key") == b"1" else 1)
expect("a process in it", 0, lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
expect("beside it", ["beside", "g"], names, "i")
"#,
    );
}

fn a_directory_with_much_below_moves_in_one_commit() {
    let mut mount = Mount::new();
    let commits = |mount: &Mount| {
        let text = String::from_utf8(mount.get(".keyfs/metrics")).unwrap();
        let line = text.lines().find(|line| line.starts_with("keyfs_commits_total ")).unwrap();
        line.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
    };
    for tree in ["dev/variables", "dev/secrets"] {
        in_keyfs(
            &mount,
            &format!("{tree}/m"),
            r#"
os.mkdir("from"), os.mkdir("to")
for a in range(8):
    os.makedirs(f"from/d/{a}/deep/deeper")
    for b in range(40):
        os.mknod(f"from/d/{a}/{b}", 0o600)
    put(f"from/d/{a}/deep/deeper/key", b"%d" % a)
"#,
        );
        let before = commits(&mount);
        fs::rename(mount.path(&format!("{tree}/m/from/d")), mount.path(&format!("{tree}/m/to/moved"))).unwrap();
        assert_eq!(commits(&mount), before + 1);
    }
    let check = r#"
expect("gone", [], names, "from")
expect("moved", sorted(map(str, range(8))), names, "to/moved")
for a in range(8):
    expect("below", sorted([*map(str, range(40)), "deep"]), names, f"to/moved/{a}")
    expect("deep below", b"%d" % a, get, f"to/moved/{a}/deep/deeper/key")
expect("where it was", "ENOENT", os.stat, "from/d/0/deep")
"#;
    for tree in ["dev/variables", "dev/secrets"] {
        in_keyfs(&mount, &format!("{tree}/m"), check);
    }
    mount.restart();
    for tree in ["dev/variables", "dev/secrets"] {
        in_keyfs(&mount, &format!("{tree}/m"), check);
    }
}

fn a_deep_directory_moved_deeper() {
    let mut mount = Mount::new();
    // A key has 4,095 bytes at the most, below its tree. To look below each directory would take as long as there is
    // below it, so only the name that is given is counted; what comes to lie deeper stays, and can be moved back.
    let common = r#"
def put_at(directory, name, value, flags=WRONLY | CREAT | TRUNC):
    handle = os.open(name, flags, 0o600, dir_fd=directory)
    os.write(handle, value)
    os.close(handle)

def get_at(directory, name):
    handle = os.open(name, RDONLY, dir_fd=directory)
    try:
        return whole(handle)
    finally:
        os.close(handle)

def move(source, target, flags=0):
    "Between two directories that are open, each with a name."
    call = libc.renameat2(source[0], os.fsencode(source[1]), target[0], os.fsencode(target[1]), flags)
    if call != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

# 16 names of 250 bytes with their slashes are 4,016 bytes, so 79 are left for the last.
long, short = [f"{place:02}" + "l" * 248 for place in range(16)], [f"{place:02}" + "s" * 248 for place in range(6)]
"#;
    let make = r#"
deep = descend(long, True)
below = descend(short, True)
put_at(below, "key", b"moved along"), put_at(below, "other", b"to be removed"), os.mkdir("empty", dir_fd=below)
top = os.open(".", RDONLY)
expect("a name that is too long itself", "ENAMETOOLONG", move, (top, short[0]), (deep, "n" * 80))
expect("in its length", None, move, (top, short[0]), (deep, "n" * 79))
expect("shorter", None, move, (deep, "n" * 79), (deep, "moved"))
expect("not where it was", "ENOENT", os.stat, short[0])
"#;
    let check = r#"
deep = descend(long)
moved = os.open("moved", RDONLY, dir_fd=deep)
bottom = descend(short[1:], here=f"/proc/self/fd/{moved}")
expect("listed", ["empty", "key", "other"], lambda: sorted(os.listdir(bottom)))
expect("read", b"moved along", get_at, bottom, "key")
expect("its size", 11, lambda: os.stat("key", dir_fd=bottom).st_size)
"#;
    let go_on = r#"
expect("written", None, put_at, bottom, "key", b"written too")
expect("read", b"written too", get_at, bottom, "key")
expect("appended", None, put_at, bottom, "key", b"!", WRONLY | APPEND)
expect("nothing is added there", "ENAMETOOLONG", put_at, bottom, "new", b"x")
expect("no directory either", "ENAMETOOLONG", os.mkdir, "new", dir_fd=bottom)
expect("nor renamed there", "ENAMETOOLONG", move, (bottom, "key"), (bottom, "renamed"))
expect("its mode", None, os.chmod, "key", 0o640, dir_fd=bottom)
expect("removed", None, os.unlink, "other", dir_fd=bottom)
expect("a directory removed", None, os.rmdir, "empty", dir_fd=bottom)
expect("an entry moved out", None, move, (bottom, "key"), (os.open(".", RDONLY), "key"))
expect("moved out", b"written too!", get, "key")
expect("and a directory", None, move, (descend(short[1:-2], here=f"/proc/self/fd/{moved}"), short[-2]), (os.open(".", RDONLY), "out"))
expect("moved out", [short[-1]], names, "out")
expect("all of it", None, move, (deep, "moved"), (os.open(".", RDONLY), "back"))
expect("is there", [short[1]], names, "back")
"#;
    for tree in ["dev/variables", "dev/secrets"] {
        in_keyfs(&mount, tree, &format!("{common}{make}{check}"));
    }
    mount.restart();
    for tree in ["dev/variables", "dev/secrets"] {
        in_keyfs(&mount, tree, &format!("{common}{check}{go_on}"));
    }
}

fn saved_as_editors_do() {
    let mut mount = Mount::new();
    let text = r#"
def version():
    return int(os.getxattr("k", "system.keyfs.version"))
put("k", b"1")
for number in range(2, 6):
    put(".k.swp", b"half"), put(".k.swp", b"%d" % number)
    os.rename(".k.swp", "k")
    expect("saved", b"%d" % number, get, "k")
found = version()
put("k", b"in place")
expect("one more", found + 1, version)
# Exclusively made, as `mktemp` and most libraries do, with the mode kept.
os.chmod("k", 0o640)
handle = os.open(".tmp", WRONLY | CREAT | EXCL, 0o600)
os.write(handle, b"whole")
os.fchmod(handle, 0o640)
os.fsync(handle), os.close(handle)
os.replace(".tmp", "k")
expect("one more for one value", (found + 2, "0o640"), lambda: (version(), mode("k")))
import shutil
# With a backup of what was there, as a copy.
shutil.copy2("k", "k~")
put("k", b"after the copy")
expect("one more", found + 3, version)
expect("the copy", b"whole", get, "k~")
expect("sed -i", (0, ""), sh, "sed -i s/after/following/ k")
expect("one more", (found + 4, b"following the copy"), lambda: (version(), get("k")))
expect("nothing beside them", ["k", "k~"], names)
print("version", version())
"#;
    let mut last = Vec::new();
    for tree in ["dev/variables/e", "dev/secrets/e"] {
        let found = in_keyfs(&mount, tree, text);
        last.push(found.lines().last().unwrap().strip_prefix("version ").unwrap().parse::<u64>().unwrap());
    }
    let check = |mount: &Mount| {
        for (tree, last) in ["dev/variables/e", "dev/secrets/e"].iter().zip(&last) {
            let past = |back: u64| mount.get(&format!(".keyfs/history/{tree}/k/{}", last - back));
            assert_eq!(past(0), b"following the copy");
            assert_eq!(past(1), b"after the copy");
            assert_eq!(past(2), b"whole");
            assert_eq!(past(3), b"in place");
            assert_eq!(past(4), b"5");
        }
    };
    check(&mount);
    mount.restart();
    check(&mount);
}

fn it_survives_a_remount() {
    let mut mount = Mount::new();
    let make = r#"
put("a", b"a"), os.rename("a", "b")
put("c", b"c"), put("d", b"d"), os.rename("c", "d")
put("e", b"e"), put("f", b"f"), rename("e", "f", EXCHANGE)
os.makedirs("one/below"), put("one/below/key", b"1"), os.makedirs("two/below"), put("two/key", b"2")
os.rename("one/below", "two/moved"), rename("one", "two", EXCHANGE), os.rename("one/below", "below")
os.mkdir("full"), put("full/key", b"3"), os.mkdir("empty"), os.rename("full", "empty")
handle = os.open("new", WRONLY | CREAT, 0o600)
os.write(handle, b"unflushed"), os.rename("new", "renamed"), os.close(handle)
"#;
    let check = r#"
def numbers():
    return sorted((os.path.join(above, name), os.stat(os.path.join(above, name)).st_ino, os.stat(os.path.join(above, name)).st_nlink)
                  for above, directories, files in os.walk(".") for name in directories + files)
expect("names", ["b", "below", "d", "e", "empty", "f", "one", "renamed", "two"], names)
expect("values", (b"a", b"c", b"f", b"e", b"unflushed"), lambda: tuple(map(get, ("b", "d", "e", "f", "renamed"))))
expect("directories", (["key", "moved"], [], ["key"], []), lambda: (names("one"), names("two"), names("one/moved"), names("below")))
expect("what is in them", (b"2", b"1", b"3"), lambda: (get("one/key"), get("one/moved/key"), get("empty/key")))
for entry in numbers():
    print(entry)
"#;
    let mut before = Vec::new();
    for tree in ["dev/variables/r", "dev/secrets/r"] {
        in_keyfs(&mount, tree, make);
        before.push(in_keyfs(&mount, tree, check));
    }
    mount.restart();
    for (tree, before) in ["dev/variables/r", "dev/secrets/r"].iter().zip(&before) {
        assert_eq!(&in_keyfs(&mount, tree, check), before);
    }
    assert!(!mount.end("KILL").success());
    mount.start();
    for (tree, before) in ["dev/variables/r", "dev/secrets/r"].iter().zip(&before) {
        assert_eq!(&in_keyfs(&mount, tree, check), before);
    }
}
