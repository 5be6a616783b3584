//! Directories: listing them whatever happens meanwhile, large and deep ones, links, and what is closed to whom.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::Case;
use crate::alike::{alike, in_keyfs};
use crate::fixture::{Mount, run};

pub const CASES: &[Case] = &[
    ("an_empty_directory", an_empty_directory),
    ("what_a_listing_tells", what_a_listing_tells),
    ("dots_of_each_level", dots_of_each_level),
    ("places_in_a_listing", places_in_a_listing),
    ("a_listing_in_small_parts_while_entries_come_and_go", a_listing_in_small_parts_while_entries_come_and_go),
    ("python_lists_while_entries_come_and_go", python_lists_while_entries_come_and_go),
    ("listed_by_many_while_entries_come_and_go", listed_by_many_while_entries_come_and_go),
    ("kept_by_the_kernel", kept_by_the_kernel),
    ("removed_while_it_is_listed", removed_while_it_is_listed),
    ("three_thousand_removed", three_thousand_removed),
    ("two_hundred_levels", two_hundred_levels),
    ("made_and_removed_at_once", made_and_removed_at_once),
    ("who_lists_and_who_enters", who_lists_and_who_enters),
    ("a_hundred_thousand_entries", a_hundred_thousand_entries),
];

/// getdents64(2) with a buffer of any size, and the C library's directory streams.
const LISTING: &str = r#"
import platform
GETDENTS64 = {"x86_64": 217, "aarch64": 61}[platform.machine()]
KINDS = {4: "directory", 8: "file"}

def getdents(handle, size):
    "Some entries from where the descriptor stands: name, number, kind and the place behind it."
    buffer = ctypes.create_string_buffer(size)
    length = libc.syscall(GETDENTS64, handle, buffer, size)
    if length < 0:
        raise OSError(ctypes.get_errno(), "getdents64")
    found, start = [], 0
    while start < length:
        number, place, whole, kind = struct.unpack_from("=QqHB", buffer.raw, start)
        name = buffer.raw[start + 19:start + whole].split(b"\0")[0]
        found.append((os.fsdecode(name), number, KINDS.get(kind, kind), place))
        start += whole
    return found

def everything(path, size=32768):
    handle = os.open(path, RDONLY | os.O_DIRECTORY)
    found = []
    while part := getdents(handle, size):
        found += part
    os.close(handle)
    return found

class Entry(ctypes.Structure):
    _fields_ = [("number", ctypes.c_uint64), ("place", ctypes.c_int64), ("length", ctypes.c_ushort), ("kind", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Entry)
libc.telldir.restype = ctypes.c_long
libc.readdir.argtypes = libc.telldir.argtypes = libc.rewinddir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]

def following(stream):
    "The next name of a stream; None at its end."
    ctypes.set_errno(0)
    entry = libc.readdir(stream)
    if not entry and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), "readdir")
    return os.fsdecode(entry.contents.name) if entry else None

def rest(stream):
    found = []
    while (name := following(stream)) is not None:
        found.append(name)
    return found
"#;

#[track_caller]
fn alike_listing(text: &str) {
    alike(&format!("{LISTING}{text}"));
}

fn an_empty_directory() {
    alike_listing(
        r#"
os.mkdir("d")
expect("nothing", [], names, "d")
expect("two dots", [".", ".."], lambda: sorted(name for name, *_ in everything("d")))
expect("ls", (0, ""), run, "ls", "d")
expect("ls -a", (0, ".\n..\n"), run, "ls", "-a", "d")
expect("ls -f", (0, "2\n"), sh, "ls -f d | wc -l")
expect("find", (0, "d\n"), run, "find", "d", "-empty")
expect("again empty", [], lambda: (put("d/k", b"1"), os.unlink("d/k"), names("d"))[2])
expect("and again", [], lambda: (os.mkdir("d/e"), os.rmdir("d/e"), names("d"))[2])
handle = os.open("d", RDONLY)
expect("no room for one", "EINVAL", getdents, handle, 8)
expect("not written to", "EISDIR", opened, "d", WRONLY)
expect("not a value", "EISDIR", os.read, handle, 10)
expect("removed", None, os.rmdir, "d")
expect("nothing there", [], lambda: os.listdir(handle))
expect("nor to come", "ENOENT", lambda: os.mkdir("e", dir_fd=handle))
"#,
    );
}

fn what_a_listing_tells() {
    alike_listing(
        r#"
put("k", b"1"), os.mkdir("d"), put("d/below", b"2"), os.mknod("node"), put(".hidden", b"3"), os.mkdir(".d")
for name in ("with space", "é", "n" * 255, "-", "~", "+"):
    put(name, b"4")
found = {name: (number, kind) for name, number, kind, _ in everything(".")}
show("kinds", lambda: sorted((name, kind) for name, (_, kind) in found.items()))
expect("each number is that of stat", [], lambda: [name for name in found if name != ".." and found[name][0] != os.lstat(name).st_ino])
expect("above too", True, lambda: found[".."][0] == os.stat("..").st_ino)
expect("of Python", [], lambda: [entry.name for entry in os.scandir() if entry.inode() != entry.stat().st_ino or entry.is_dir() != stat.S_ISDIR(entry.stat().st_mode)])
expect("a place of its own for each", True, lambda: len({place for *_, place in everything(".")}) == len(found))
# What is open and not committed yet is listed as it will be.
handle = os.open("new", WRONLY | CREAT | EXCL, 0o600)
os.write(handle, b"new")
new = [entry for entry in everything(".") if entry[0] == "new"]
expect("listed", (1, "file", True), lambda: (len(new), new[0][2], new[0][1] == os.fstat(handle).st_ino))
os.close(handle)
expect("the same", True, lambda: [entry[1] for entry in everything(".") if entry[0] == "new"] == [new[0][1]] == [os.stat("new").st_ino])
os.unlink("new")
expect("and no longer", [], lambda: [entry for entry in everything(".") if entry[0] == "new"])
for size in (280, 300, 500, 1000, 4096):
    expect(f"in parts of {size} bytes", sorted(found), lambda: sorted(name for name, *_ in everything(".", size)))
expect("ls", (0, "+\n-\nd\nk\n" + "n" * 255 + "\nnode\nwith space\n~\né\n"), run, "env", "LC_ALL=C", "ls")
expect("ls -F", True, lambda: "d/\n" in run("ls", "-F")[1])
expect("ls -i", True, lambda: f"{os.stat('k').st_ino} k\n" in run("ls", "-i")[1].replace("  ", " "))
show("find", sh, "find . -type d | sort; find . -type f | sort | wc -l")
"#,
    );
}

fn dots_of_each_level() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/d/e");
    // Each directory says which one is above it, as `..` finds it: `pwd -P` and `find` go by it.
    let text = r#"
above = None
here = os.path.abspath("../../../..")
for name in ("dev", "variables", "d", "e"):
    here = os.path.join(here, name)
    found = {name: (number, kind) for name, number, kind, _ in everything(here) if name in (".", "..")}
    expect(f"{name}: itself", (True, "directory"), lambda: (found["."][0] == os.stat(here).st_ino, found["."][1]))
    expect(f"{name}: above", (True, "directory"), lambda: (found[".."][0] == os.stat(here + "/..").st_ino == os.stat(os.path.dirname(here)).st_ino, found[".."][1]))
os.mkdir("../f")
os.rename("../e", "../f/e")
found = {name: number for name, number, *_ in everything(".")}
expect("moved", True, lambda: found[".."] == os.stat("../../f").st_ino == os.stat("..").st_ino)
top = {name: number for name, number, *_ in everything("../../../../..")}
expect("the root", (1, 1), lambda: (top["."], top[".."]))
"#;
    in_keyfs(&mount, "dev/variables/d/e", &format!("{LISTING}{text}"));
}

fn places_in_a_listing() {
    alike_listing(
        r#"
os.mkdir("d")
ALL = sorted([".", ".."] + [f"key-{number:03}" for number in range(150)])
for name in ALL[2:]:
    os.mknod("d/" + name)
stream = libc.opendir(b"d")
places, order = [], []
while True:
    place = libc.telldir(stream)
    name = following(stream)
    if name is None:
        break
    places.append(place), order.append(name)
expect("all of it", ALL, sorted, order)
expect("the end stays the end", (None, None), lambda: (following(stream), following(stream)))
# To any place and on from there, in any order.
import random
random.seed(3)
shuffled = list(range(len(order)))
random.shuffle(shuffled)
for index in [0, len(order) - 1, *shuffled]:
    libc.seekdir(stream, places[index])
    if (libc.telldir(stream), following(stream)) != (places[index], order[index]):
        sys.exit(f"at place {index} there is something else")
libc.seekdir(stream, places[40])
expect("and all that follows", True, lambda: rest(stream) == order[40:])
# From the start: what was made since is there, what was removed is not.
os.mknod("d/made"), os.unlink("d/key-007"), os.rename("d/key-008", "d/renamed")
libc.rewinddir(stream)
expect("anew", sorted(set(ALL) - {"key-007", "key-008"} | {"made", "renamed"}), lambda: sorted(rest(stream)))
libc.closedir(stream)
# A place stays what it is while others come and go.
stream = libc.opendir(b"d")
first = [following(stream) for _ in range(50)]
place = libc.telldir(stream)
others = rest(stream)
for name in [name for name in first if name.startswith("key")][:20]:
    os.unlink("d/" + name)
for number in range(20):
    os.mknod(f"d/late-{number}")
libc.seekdir(stream, place)
expect("what was to follow", True, lambda: [name for name in rest(stream) if not name.startswith("late")] == others)
libc.closedir(stream)
# By the descriptor itself.
handle = os.open("d", RDONLY)
begin = [name for name, *_ in getdents(handle, 32768)]
os.lseek(handle, 0, os.SEEK_SET)
expect("from the start", True, lambda: [name for name, *_ in getdents(handle, 32768)] == begin)
os.lseek(handle, 0, os.SEEK_SET)
some = getdents(handle, 200)
middle = os.lseek(handle, 0, os.SEEK_CUR)
on = getdents(handle, 32768)
os.lseek(handle, middle, os.SEEK_SET)
expect("from the middle", True, lambda: getdents(handle, 32768) == on)
other = os.open("d", RDONLY)
os.lseek(other, middle, os.SEEK_SET)
expect("two descriptors, each with its place", True, lambda: ([name for name, *_ in getdents(handle, 32768)], [name for name, *_ in everything("d")][:1]) == ([], begin[:1]))
"#,
    );
}

fn a_listing_in_small_parts_while_entries_come_and_go() {
    alike_listing(
        r#"
os.mkdir("d")
STAY = sorted(f"stay-{number:03}" for number in range(120))
for number, name in enumerate(STAY):
    os.mknod("d/" + name)
    os.mknod(f"d/{'agmtz'[number % 5]}-goes-{number:03}")
going = sorted(name for name in os.listdir("d") if "goes" in name)
# One that comes before all others in whatever order, and one that comes after them, each time.
handle = os.open("d", RDONLY)
found, step = [], 0
while part := getdents(handle, 96):
    found += [name for name, *_ in part]
    os.mknod(f"d/{'0amtz'[step % 5]}-comes-{step:03}")
    if going:
        os.unlink("d/" + going.pop(0 if step % 2 else -1))
    if step % 7 == 0:
        os.rename(f"d/{'0amtz'[step % 5]}-comes-{step:03}", f"d/renamed-{step:03}")
    if step % 11 == 0:
        os.mkdir(f"d/directory-{step:03}")
    step += 1
os.close(handle)
expect("many parts", True, lambda: step > 50)
expect("what stays is listed once", True, lambda: sorted(name for name in found if name.startswith("stay")) == STAY)
expect("and the dots", [".", ".."], lambda: sorted(name for name in found if name in (".", "..")))
expect("nothing is listed twice", [], lambda: sorted({name for name in found if found.count(name) > 1}))
"#,
    );
}

fn python_lists_while_entries_come_and_go() {
    alike(
        r#"
STAY = [f"stay-{number:04}" for number in range(600)]
os.mkdir("d")
for name in STAY:
    os.mknod("d/" + name)
found = []
for step, entry in enumerate(os.scandir("d")):
    found.append(entry.name)
    if step < 200:
        os.mknod(f"d/comes-{step}")
        if step % 2:
            os.unlink(f"d/comes-{step - 1}")
expect("scandir", True, lambda: sorted(name for name in found if name.startswith("stay")) == STAY)
# Each that is found is renamed, as tools that tidy up do: nothing is missed, and nothing is met without end.
met = 0
for entry in os.scandir("d"):
    met += 1
    os.rename(entry.path, f"d/x-{met:04}-{entry.name[-40:]}")
expect("each met at least once, and not for ever", True, lambda: 700 <= met <= 2000)
expect("none is lost", 700, lambda: len(os.listdir("d")))
"#,
    );
}

fn listed_by_many_while_entries_come_and_go() {
    let mount = Mount::new();
    let text = r#"
def begin(work, *arguments):
    child = os.fork()
    if child == 0:
        try:
            work(*arguments)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return child

os.mkdir("d"), os.mkdir("e")
STAY = sorted(f"stay-{number:03}" for number in range(80))
for name in STAY:
    os.mknod("d/" + name)

def watch(size):
    while not os.path.exists("stop"):
        found = [name for name, *_ in everything("d", size)]
        if sorted(name for name in found if name.startswith("stay")) != STAY:
            sys.exit(f"listed {len(found)}: {sorted(set(STAY) - set(found))} were missing")
        if len(set(found)) != len(found):
            sys.exit("something was listed twice")

def come_and_go(letter):
    for step in range(40):
        path = f"d/{letter}-{step}"
        put(path, b"1") if step % 2 else os.mknod(path)
        os.rename(path, f"e/{letter}")
        os.rename(f"e/{letter}", path + "-back")
        if step % 3:
            os.unlink(path + "-back")

readers = [begin(watch, size) for size in (120, 2000, 32768)]
writers = [begin(come_and_go, letter) for letter in "amz"]
expect("writers", [0] * 3, lambda: [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in writers])
put("stop", b"")
expect("readers", [0] * 3, lambda: [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in readers])
expect("what is left", True, lambda: len(names("d")) == 80 + 3 * 14)
"#;
    let text = format!("{LISTING}{text}");
    in_keyfs(&mount, "dev/variables/l", &text);
    in_keyfs(&mount, "dev/secrets/l", &text);
}

fn kept_by_the_kernel() {
    let mount = Mount::new();
    let text = r#"
import time
def asked():
    "How many requests for a part of a listing the daemon has had."
    lines = get("../../../.keyfs/metrics").decode().splitlines()
    return int(next(line.split()[1] for line in lines if 'duration_seconds_count{operation="readdir"}' in line))

def comes_to(wanted):
    "What the daemon tells the kernel by itself takes a moment."
    until = time.monotonic() + 30
    while names("d") != wanted and time.monotonic() < until:
        pass
    return names("d") == wanted

os.mkdir("d")
ALL = sorted(f"key-{number:04}" for number in range(1000))
for name in ALL:
    os.mknod("d/" + name)
def again():
    expect("what is there", True, lambda: names("d") == ALL)
    before = asked()
    expect("the same", True, lambda: names("d") == ALL and len(list(os.scandir("d"))) == len(ALL))
    return asked() - before
expect("nothing is asked for what is known", 0, again)
put("d/new", b"1")
expect("a new one", True, lambda: names("d") == ALL + ["new"])
os.rename("d/new", "d/newer")
expect("another name", True, lambda: names("d") == ALL + ["newer"])
os.unlink("d/newer")
expect("gone", 0, again)
# What the kernel does not know of by itself: an attribute that removes, and an entry that could not be stored.
put("d/new", b"1")
expect("there", True, lambda: names("d") == ALL + ["new"])
expect("by an attribute", None, os.setxattr, "d/new", "user.keyfs.remove", b"")
expect("away", True, lambda: comes_to(ALL))
handle = os.open("d/new", WRONLY | CREAT | EXCL)
os.setxattr("d/new", "user.keyfs.if-version", b"5")
os.write(handle, b"1")
expect("before it is closed", True, lambda: names("d") == ALL + ["new"])
expect("not stored", "ESTALE", os.close, handle)
expect("not there", True, lambda: comes_to(ALL))
# The kernel may be told to drop a listing once more after the name is gone from it.
def kept():
    until = time.monotonic() + 30
    while again() != 0 and time.monotonic() < until:
        pass
    return again() == 0
expect("kept again", True, kept)
# Another directory stands above it now.
os.mkdir("e"), os.rename("d", "e/d")
expect("the one above", True, lambda: {name: number for name, number, *_ in everything("e/d")}[".."] == os.stat("e").st_ino)
"#;
    let text = format!("{LISTING}{text}");
    in_keyfs(&mount, "dev/variables/l", &text);
    in_keyfs(&mount, "dev/secrets/l", &text);
}

fn removed_while_it_is_listed() {
    alike_listing(
        r#"
for size in (100, 1000, 32768):
    os.mkdir("d")
    for number in range(200):
        os.mknod(f"d/key-{number}") if number % 4 else os.mkdir(f"d/key-{number}")
    handle, removed = os.open("d", RDONLY), 0
    while part := getdents(handle, size):
        for name, _, kind, _ in part:
            if name not in (".", ".."):
                os.rmdir("d/" + name) if kind == "directory" else os.unlink("d/" + name)
                removed += 1
    expect(f"each was met, {size}", 200, lambda: removed)
    expect("nothing is left", [], names, "d")
    expect("and it can go", None, os.rmdir, "d")
    expect("while it is listed", [], lambda: getdents(handle, 100) if outcome(getdents, handle, 100) != "ENOENT" else [])
    os.close(handle)
import shutil
os.makedirs("top/a/b/c"), os.makedirs("top/d")
for path in ("top/k", "top/a/k", "top/a/b/k", "top/a/b/c/k", "top/d/k"):
    put(path, b"1")
expect("rmtree", None, shutil.rmtree, "top")
expect("rm -r of one that is not there", 1, lambda: run("rm", "-r", "top")[0])
show("what is left", names)
"#,
    );
}

/// Makes `COUNT` keys in `d` from several processes at once: the kernel makes one entry of a directory at a time, but their
/// commits, when they are closed, share one write to the medium.
const FILL: &str = r#"
def fill(count, processes=16):
    children = []
    for first in range(processes):
        child = os.fork()
        if child == 0:
            for number in range(first, count, processes):
                put(f"d/key-{number:06}", b"%d" % number, WRONLY | CREAT | EXCL)
            os._exit(0)
        children.append(child)
    expect("made", [0] * processes, lambda: [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"#;

fn three_thousand_removed() {
    let mut mount = Mount::new();
    let text = r#"
os.mkdir("d")
fill(3000)
os.mkdir("d/below"), put("d/below/key", b"1")
expect("all", 3001, lambda: len(names("d")))
expect("removed", (0, ""), run, "rm", "-r", "d")
expect("gone", (["k"] if os.path.exists("k") else [], "ENOENT"), lambda: (names(), outcome(os.stat, "d/key-000001")))
"#;
    in_keyfs(&mount, "dev/variables/r", &format!("{FILL}{text}"));
    in_keyfs(&mount, "dev/secrets/r", &format!("{FILL}{}", text.replace("3000", "600").replace("3001", "601")));
    mount.restart();
    for tree in ["dev/variables/r", "dev/secrets/r"] {
        assert_eq!(fs::read_dir(mount.path(tree)).unwrap().count(), 0);
        fs::remove_dir(mount.path(tree)).unwrap();
    }
    let status: serde_json::Value = serde_json::from_slice(&mount.get(".keyfs/status")).unwrap();
    assert_eq!(status["keys"]["dev"], serde_json::json!({ "secrets": 0, "variables": 0 }));
}

fn two_hundred_levels() {
    alike(
        r#"
deep = "/".join(f"d{level}" for level in range(200))
expect("mkdir -p", (0, ""), run, "mkdir", "-p", deep)
expect("again", (0, ""), run, "mkdir", "-p", deep)
put(deep + "/key", b"at the bottom")
expect("read", b"at the bottom", get, deep + "/key")
expect("each with one below", {3}, lambda: {os.stat("/".join(f"d{level}" for level in range(last))).st_nlink for last in range(1, 200)})
expect("the last", 2, lambda: os.stat(deep).st_nlink)
expect("and back up", True, lambda: os.stat(deep + "/.." * 200).st_ino == os.stat(".").st_ino)
expect("from within", os.getcwd() == os.path.realpath(deep + "/.." * 200), lambda: True)
expect("found", (0, "202\n"), sh, "find . | wc -l")
os.rename("d0/d1/d2", "moved")
expect("moved", b"at the bottom", get, "moved/" + "/".join(f"d{level}" for level in range(3, 200)) + "/key")
expect("du", 0, lambda: run("du", "-s", ".")[0])
expect("copied", (0, ""), run, "cp", "-r", "moved", "copy")
expect("alike", (0, ""), run, "diff", "-r", "moved", "copy")
expect("removed", (0, ""), run, "rm", "-r", "moved", "copy", "d0")
expect("nothing left", [], names)
"#,
    );
}

fn made_and_removed_at_once() {
    alike(
        r#"
def begin(work):
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(99)
    return child
def ended(children):
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

# Of many that make one name, one does.
for round in range(10):
    children = [begin(lambda: 0 if outcome(os.mkdir, f"lock{round}") is None else 1) for _ in range(6)]
    if sorted(ended(children)) != [0] + [1] * 5:
        sys.exit("it was not one that made it")
expect("mkdir is a lock", 10, lambda: len(names()))
# `mkdir -p` of one tree by many at once.
expect("mkdir -p", [0] * 6, lambda: ended([begin(lambda: run("mkdir", "-p", "a/b/c/d/e")[0]) for _ in range(6)]))
expect("makedirs", [0] * 6, lambda: ended([begin(lambda: os.makedirs("f/g/h/i", exist_ok=True) or 0) for _ in range(6)]))
# A directory that some fill and others remove is one or the other.
def fill():
    made = 0
    for step in range(60):
        outcome(os.mkdir, "d")
        found = outcome(opened, f"d/{os.getpid()}", WRONLY | CREAT)
        if found is None:
            made += 1
            if not os.path.exists(f"d/{os.getpid()}"):
                return 3
            os.unlink(f"d/{os.getpid()}")
        elif found != "ENOENT":
            print(found, file=sys.stderr, flush=True)
            return 2
    return 0 if made else 4
def remove():
    for step in range(120):
        found = outcome(os.rmdir, "d")
        if found not in (None, "ENOTEMPTY", "ENOENT"):
            print(found, file=sys.stderr, flush=True)
            return 2
    return 0
expect("filled and removed", [0] * 4, lambda: ended([begin(fill), begin(fill), begin(remove), begin(remove)]))
expect("nothing in it", True, lambda: outcome(os.listdir, "d") in ([], "ENOENT"))
outcome(os.rmdir, "d")
show("what is there", names)
# The count of directories is right after many came and went at once.
os.mkdir("count")
def come_and_go(name):
    for step in range(15):
        os.mkdir(f"count/{name}-{step}")
        os.rename(f"count/{name}-{step}", f"count/{name}-{step}-moved")
        if step % 3:
            os.rmdir(f"count/{name}-{step}-moved")
    return 0
expect("come and go", [0] * 4, lambda: ended([begin(lambda name=name: come_and_go(name)) for name in "abcd"]))
expect("counted", (20, 22), lambda: (len(names("count")), os.stat("count").st_nlink))
"#,
    );
}

fn who_lists_and_who_enters() {
    alike_listing(
        r#"
for name in ("open", "unlisted", "unsearchable", "closed", "groups"):
    os.mkdir(name), put(name + "/key", b"1"), os.chmod(name + "/key", 0o640), os.chown(name + "/key", 0, PAYMENTS), os.mkdir(name + "/below")
os.chmod("open", 0o755), os.chmod("unlisted", 0o711), os.chmod("unsearchable", 0o744), os.chmod("closed", 0o700)
os.chmod("groups", 0o750), os.chown("groups", 0, PAYMENTS)
LISTED, DENIED = ["below", "key"], "EACCES"
def bob(work, *arguments):
    return outcome(by, BOB, [BOB], work, *arguments)
def member(work, *arguments):
    return outcome(by, BOB, [BOB, PAYMENTS], work, *arguments)
for who, name, listed, entered in (
    (bob, "open", LISTED, None), (bob, "unlisted", DENIED, None), (bob, "unsearchable", LISTED, DENIED), (bob, "closed", DENIED, DENIED),
    (bob, "groups", DENIED, DENIED), (member, "groups", LISTED, None), (member, "closed", DENIED, DENIED), (member, "unlisted", DENIED, None)):
    expect(f"{who.__name__} lists {name}", listed, who, names, name)
    expect(f"{who.__name__} enters {name}", entered, who, os.chdir, name)
    expect(f"{who.__name__} sees what is in {name}", entered, who, lambda: os.stat(name + "/below").st_nlink - 2 or None)
    expect(f"{who.__name__} sees what is not in {name}", entered or "ENOENT", who, lambda: os.stat(name + "/none").st_size)
    expect(f"{who.__name__} goes through {name}", entered, who, lambda: os.listdir(name + "/below") or None)
    expect(f"{who.__name__} makes nothing in {name}", DENIED, who, os.mkdir, name + "/new")
    expect(f"{who.__name__} removes nothing in {name}", DENIED, who, os.rmdir, name + "/below")
expect("the member reads", b"1", member, get, "unlisted/key")
expect("the superuser", [LISTED] * 5, lambda: [names(name) for name in ("open", "unlisted", "unsearchable", "closed", "groups")])
# Of a directory that was opened before, the names are still shown: it was asked for when it was opened.
handle = os.open("open", RDONLY)
os.chmod("open", 0o700)
def drop_and_list():
    os.setgroups([]), os.setresgid(BOB, BOB, BOB), os.setresuid(BOB, BOB, BOB)
    return sorted(os.listdir(handle)), outcome(os.stat, "key", dir_fd=handle)
expect("opened before", (LISTED, DENIED), elsewhere, drop_and_list)
expect("ls -l of names alone", True, lambda: "cannot access" in by(BOB, [BOB], lambda: run("env", "LC_ALL=C", "ls", "-l", "unsearchable")[1]))
"#,
    );
}

fn a_hundred_thousand_entries() {
    const COUNT: usize = 100_000;
    let mut mount = Mount::new();
    let directory = mount.path("dev/variables/many/d");
    in_keyfs(&mount, "dev/variables/many", &format!("{FILL}os.mkdir(\"d\")\nfill({COUNT})\n"));
    let check = r#"
COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100000
ALL = [f"key-{number:06}" for number in range(COUNT)]
expect("each once", True, lambda: names("d") == ALL)
expect("in small parts", True, lambda: sorted(name for name, *_ in everything("d", 700)) == sorted([".", ".."] + ALL))
expect("ls -f", (0, f"{COUNT + 2}\n"), sh, "ls -f d | wc -l")
expect("with what stat tells", COUNT, lambda: sum(entry.stat().st_size == len(str(int(entry.name[4:]))) for entry in os.scandir("d")))
for number in (0, 1, COUNT // 2, COUNT - 1):
    expect("one of them", b"%d" % number, get, f"d/key-{number:06}")
expect("none of them", "ENOENT", os.stat, "d/key-1")
expect("links", 2, lambda: os.stat("d").st_nlink)
"#;
    let check = format!("{LISTING}{check}");
    in_keyfs(&mount, "dev/variables/many", &check);
    mount.restart();
    // The first of all is one name, which needs no listing.
    assert_eq!(mount.get("dev/variables/many/d/key-054321"), b"54321");
    in_keyfs(&mount, "dev/variables/many", &check);
    // It is a directory like any other: it moves, and entries come and go.
    let moved = mount.path("dev/variables/many/e");
    fs::rename(&directory, &moved).unwrap();
    assert_eq!(fs::read_dir(&moved).unwrap().count(), COUNT);
    fs::write(moved.join("new"), "1").unwrap();
    fs::remove_file(moved.join("key-000000")).unwrap();
    fs::rename(moved.join("key-000001"), moved.join("key-000000")).unwrap();
    assert_eq!(errno_of_rmdir(&moved), libc::ENOTEMPTY);
    assert_eq!(
        run(Command::new("sh").arg("-c").arg("ls -f | grep -c key-").current_dir(&moved)),
        format!("{}\n", COUNT - 1)
    );
    assert_eq!(fs::metadata(&moved).unwrap().nlink(), 2);
}

fn errno_of_rmdir(path: &std::path::Path) -> i32 {
    crate::fixture::errno(fs::remove_dir(path))
}
