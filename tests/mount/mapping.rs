//! mmap(2) and execve(2): values in the page cache, who gets them there, and that nothing of a secret stays.

mod programs;

use std::process::Command;

use crate::Case;
use crate::alike::{alike, in_keyfs};
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, OPS, PAYMENTS, ROOT, User, run, wait_for};
use crate::peer::Peer;

pub const CASES: &[Case] = &[
    ("a_mapping_reads_as_read_does", a_mapping_reads_as_read_does),
    ("copies_on_write_stay_private", copies_on_write_stay_private),
    ("empty_files_and_ends", empty_files_and_ends),
    ("what_a_descriptor_lets_map", what_a_descriptor_lets_map),
    ("a_mapping_outlives_descriptor_and_name", a_mapping_outlives_descriptor_and_name),
    ("shared_mappings", shared_mappings),
    ("written_through_a_mapping", written_through_a_mapping),
    ("a_new_mapping_shows_the_new_value", a_new_mapping_shows_the_new_value),
    ("a_page_is_of_one_version", a_page_is_of_one_version),
    ("who_cannot_read_cannot_map", who_cannot_read_cannot_map),
    ("a_revoked_group_loses_its_mapping", a_revoked_group_loses_its_mapping),
    ("a_mapping_is_worth_what_its_holder_is", a_mapping_is_worth_what_its_holder_is),
    ("nothing_stays_in_the_page_cache", nothing_stays_in_the_page_cache),
    ("a_program_held_as_a_value_runs", programs::a_program_held_as_a_value_runs),
    ("a_program_held_as_a_secret_runs_for_its_group", programs::a_program_held_as_a_secret_runs_for_its_group),
];

/// mmap(2) as it is, also beyond the end of a file; and what comes of touching it, in a child that it may end.
const MAPS: &str = r#"
PAGE = mmap.PAGESIZE
PRIVATE, SHARED, CAN_READ, CAN_WRITE, CAN_RUN = mmap.MAP_PRIVATE, mmap.MAP_SHARED, 1, 2, 4
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.msync.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]

class Map:
    def __init__(self, handle, length, flags=PRIVATE, can=CAN_READ, offset=0):
        self.at, self.length = libc.mmap(None, length, can, flags, handle, offset), length
        if self.at == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "mmap")
    def read(self, start=0, length=None):
        return ctypes.string_at(self.at + start, self.length - start if length is None else length)
    def write(self, start, data):
        ctypes.memmove(self.at + start, data, len(data))
    def sync(self):
        if libc.msync(self.at, self.length, 4) != 0:
            raise OSError(ctypes.get_errno(), "msync")
    def cached(self):
        "How many of its pages are in memory."
        pages = ctypes.create_string_buffer(-(-self.length // PAGE))
        if libc.mincore(self.at, self.length, pages) != 0:
            raise OSError(ctypes.get_errno(), "mincore")
        return sum(page & 1 for page in pages.raw)
    def close(self):
        libc.munmap(self.at, self.length)

def can_map(*arguments, **named):
    Map(*arguments, **named).close()

def in_child(work):
    "What it comes to, or the signal that ends it."
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, repr(outcome(work)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    answer = whole(reader)
    os.close(reader)
    status = os.waitpid(child, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else ast.literal_eval(answer.decode())
"#;

#[track_caller]
fn alike_with_maps(text: &str) {
    alike(&format!("{MAPS}{text}"));
}

fn in_both_trees(mount: &Mount, text: &str) {
    for tree in ["dev/variables/m", "dev/secrets/m"] {
        in_keyfs(mount, tree, &format!("{MAPS}{text}"));
    }
}

fn a_mapping_reads_as_read_does() {
    alike_with_maps(
        r#"
import random
random.seed(5)
for length in (1, 100, PAGE - 1, PAGE, PAGE + 1, 70000, 300001):
    value = random.randbytes(length)
    put("k", value)
    for flags in (RDONLY, RDWR):
        handle = os.open("k", flags)
        whole_map = Map(handle, length)
        expect(f"{length}", True, lambda: whole_map.read() == value == os.pread(handle, length, 0))
        for _ in range(20):
            start = random.randrange(length)
            if whole_map.read(start, min(500, length - start)) != value[start:start + 500]:
                sys.exit(f"{start}: something else is mapped")
        whole_map.close(), os.close(handle)
# Pages in any order, each at its place.
value = b"".join(b"%08d" % place for place in range(40000))
put("k", value)
handle = os.open("k", RDONLY)
places = list(range(0, len(value) - PAGE, PAGE))
random.shuffle(places)
for place in places:
    part = Map(handle, PAGE, offset=place)
    if part.read() != value[place:place + PAGE]:
        sys.exit(f"at {place} something else is mapped")
    part.close()
expect("not at half a page", "EINVAL", can_map, handle, 10, offset=100)
# As Python, and programs that search, do it.
with open("k", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as found:
    expect("found", value.index(b"00031234"), found.find, b"00031234")
    expect("its size", len(value), found.size)
import re
with open("k", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as found:
    expect("matched", b"00012345", lambda: re.search(b"0001234[5-9]", found).group())
show("cmp", sh, "cp k copy && cmp k copy && echo same")
# Several at once, in several processes.
maps = [Map(handle, len(value)) for _ in range(3)]
expect("all the same", True, lambda: all(one.read() == value for one in maps))
expect("in a child", True, in_child, lambda: all(one.read() == value for one in maps))
expect("in another process", True, elsewhere, lambda: Map(os.open("k", RDONLY), len(value)).read() == value)
"#,
    );
}

fn copies_on_write_stay_private() {
    alike_with_maps(
        r#"
value = b"v" * (3 * PAGE)
put("k", value)
for flags in (RDONLY, RDWR):
    handle = os.open("k", flags)
    one, two = Map(handle, len(value), PRIVATE, CAN_READ | CAN_WRITE), Map(handle, len(value), PRIVATE, CAN_READ | CAN_WRITE)
    one.write(0, b"mine"), one.write(PAGE + 5, b"too")
    two.write(0, b"other")
    expect("its own", (b"minevv", b"vtoov"), lambda: (one.read(0, 6), one.read(PAGE + 4, 5)))
    expect("the other's", (b"otherv", b"vvvvv"), lambda: (two.read(0, 6), two.read(PAGE + 4, 5)))
    expect("the file's", True, lambda: os.pread(handle, len(value), 0) == value)
    expect("a child's", (b"minev", b"child"), in_child, lambda: (one.read(0, 5), one.write(0, b"child"), one.read(0, 5))[::2])
    expect("not from the child", b"minev", one.read, 0, 5)
    one.sync()
    one.close(), two.close(), os.close(handle)
    expect("nothing was stored", True, lambda: get("k") == value and elsewhere(get, "k") == value)
# What was written to stays as it is, whatever becomes of the file.
handle = os.open("k", RDONLY)
copy = Map(handle, len(value), PRIVATE, CAN_READ | CAN_WRITE)
copy.write(0, b"kept")
put("new", b"n" * len(value))
os.rename("new", "k")
expect("kept", b"keptv", copy.read, 0, 5)
"#,
    );
}

fn empty_files_and_ends() {
    alike_with_maps(
        r#"
put("empty", b""), put("short", b"short"), put("page", b"p" * PAGE), put("two", b"t" * (PAGE + 7))
handle = os.open("empty", RDONLY)
expect("no length", "EINVAL", can_map, handle, 0)
empty = Map(handle, PAGE)
expect("nothing there", "SIGBUS", in_child, lambda: empty.read(0, 1))
short = Map(os.open("short", RDONLY), 3 * PAGE)
expect("what is there", b"short", in_child, lambda: short.read(0, 5))
expect("the rest of its page", True, in_child, lambda: short.read(5, PAGE - 5) == bytes(PAGE - 5))
expect("the page behind it", "SIGBUS", in_child, lambda: short.read(PAGE, 1))
expect("the one behind that", "SIGBUS", in_child, lambda: short.read(2 * PAGE, 1))
page = Map(os.open("page", RDONLY), 2 * PAGE)
expect("a whole page", True, in_child, lambda: page.read(0, PAGE) == b"p" * PAGE)
expect("behind it", "SIGBUS", in_child, lambda: page.read(PAGE, 1))
two = Map(os.open("two", RDONLY), 2 * PAGE)
expect("the end of the second", (b"t" * 7, True), in_child, lambda: (two.read(PAGE, 7), two.read(PAGE + 7) == bytes(PAGE - 7)))
behind = Map(os.open("short", RDONLY), PAGE, offset=4 * PAGE)
expect("far behind", "SIGBUS", in_child, lambda: behind.read(0, 1))
# Copied into a read or a write, it is an error instead of a signal.
expect("as what is written", "EFAULT", in_child, lambda: os.pwritev(os.open("out", WRONLY | CREAT), [(ctypes.c_char * 10).from_address(page.at + PAGE)], 0))
# What stands behind the end of the last page is nobody's, and is not stored.
both = os.open("short", RDWR)
private = Map(both, PAGE, PRIVATE, CAN_READ | CAN_WRITE)
private.write(5, b" tail")
os.close(both)
expect("as it was", b"short", get, "short")
"#,
    );
}

fn what_a_descriptor_lets_map() {
    alike_with_maps(
        r#"
put("k", b"value"), os.mkdir("d")
reading, writing, both, place = os.open("k", RDONLY), os.open("k", WRONLY), os.open("k", RDWR), os.open("k", os.O_PATH)
appending, appending_both = os.open("k", WRONLY | APPEND), os.open("k", RDWR | APPEND)
for name, handle, answers in (
    ("reading", reading, (None, None, None)), ("writing", writing, ("EACCES", "EACCES", "EACCES")), ("both", both, (None, None, None)),
    ("appending", appending, ("EACCES", "EACCES", "EACCES")), ("place", place, ("EBADF", "EBADF", "EBADF")),
    ("appending_both", appending_both, (None, None, None)), ("a directory", os.open("d", RDONLY), ("ENODEV", "ENODEV", "ENODEV"))):
    for can, wanted in zip((CAN_READ, CAN_READ | CAN_WRITE, CAN_READ | CAN_RUN), answers):
        expect(f"{name}, privately, {can}", wanted, can_map, handle, 5, PRIVATE, can)
expect("a reader, to write to the file", "EACCES", can_map, reading, 5, SHARED, CAN_READ | CAN_WRITE)
expect("a writer, to write to the file", "EACCES", can_map, writing, 5, SHARED, CAN_WRITE)
expect("nothing open", "EBADF", can_map, 999, 5)
private = Map(reading, 5)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
expect("made writable, privately", 0, libc.mprotect, private.at, PAGE, CAN_READ | CAN_WRITE)
private.write(0, b"V")
expect("only there", (b"Value", b"value"), lambda: (private.read(), get("k")))
"#,
    );
}

fn a_mapping_outlives_descriptor_and_name() {
    alike_with_maps(
        r#"
value = bytes(range(256)) * 200
for how in ("closed", "removed", "renamed", "replaced"):
    put("k", value)
    handle = os.open("k", RDONLY)
    found = Map(handle, len(value))
    first = found.read(0, 10)
    if how == "removed":
        os.unlink("k")
    elif how == "renamed":
        os.rename("k", "elsewhere")
    elif how == "replaced":
        put("new", b"n" * 50000), os.rename("new", "k")
    os.close(handle)
    # Pages that were never touched come still.
    expect(how, True, lambda: found.read() == value and first == value[:10])
    expect(f"{how}, in a child", True, in_child, lambda: found.read() == value)
    found.close()
    outcome(os.unlink, "k")
"#,
    );
}

/// Whether the kernel lets files that are read directly be mapped in a shared way.
fn shares() -> bool {
    let release = run(Command::new("uname").arg("-r"));
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(6))
}

fn shared_mappings() {
    if !shares() {
        let mount = Mount::new();
        let text = r#"
put("k", b"value")
for can in (CAN_READ, CAN_READ | CAN_WRITE):
    expect("no device for it", "ENODEV", can_map, os.open("k", RDWR), 5, SHARED, can)
expect("privately", b"value", lambda: Map(os.open("k", RDONLY), 5).read())
"#;
        in_both_trees(&mount, text);
        return;
    }
    alike_with_maps(
        r#"
value = b"0123456789" * 2000
put("k", value)
reader = Map(os.open("k", RDONLY), len(value), SHARED)
expect("read", True, lambda: reader.read() == value)
handle = os.open("k", RDWR)
writer = Map(handle, len(value), SHARED, CAN_READ | CAN_WRITE)
writer.write(0, b"MAPPED"), writer.write(15000, b"MAPPED TOO")
expect("by its descriptor", (b"MAPPED6789", b"MAPPED TOO"), lambda: (os.pread(handle, 10, 0), os.pread(handle, 10, 15000)))
expect("by another mapping of it", b"MAPPED6789", lambda: Map(handle, len(value), SHARED).read(0, 10))
expect("by a child", b"MAPPED6789", in_child, lambda: writer.read(0, 10))
expect("from a child", (None, b"CHILD"), lambda: (in_child(lambda: writer.write(100, b"CHILD")), writer.read(100, 5)))
writer.close(), os.close(handle)
expected = bytearray(value)
expected[0:6], expected[15000:15010], expected[100:105] = b"MAPPED", b"MAPPED TOO", b"CHILD"
expect("stored", True, lambda: get("k") == bytes(expected))
# Written both ways, each counts.
handle = os.open("k", RDWR)
writer = Map(handle, len(value), SHARED, CAN_READ | CAN_WRITE)
writer.write(0, b"one"), os.pwrite(handle, b"two", 10)
expect("seen in the mapping", (b"one", b"two"), lambda: (writer.read(0, 3), writer.read(10, 3)))
writer.write(20, b"three")
expect("and by the descriptor", b"one", lambda: os.pread(handle, 25, 0)[:3])
writer.sync(), writer.close(), os.close(handle)
expect("all of it", (b"one", b"two", b"three"), lambda: (lambda found: (found[:3], found[10:13], found[20:25]))(get("k")))
# Nothing grows by it.
put("short", b"short")
handle = os.open("short", RDWR)
writer = Map(handle, PAGE, SHARED, CAN_READ | CAN_WRITE)
writer.write(0, b"SHORT and longer")
writer.close(), os.close(handle)
expect("no longer than it was", b"SHORT", get, "short")
"#,
    );
}

fn written_through_a_mapping() {
    if !shares() {
        return;
    }
    let mut mount = Mount::new();
    let text = r#"
version = lambda: int(os.getxattr("k", "system.keyfs.version"))
def mapped():
    handle = os.open("k", RDWR)
    return handle, Map(handle, 5, SHARED, CAN_READ | CAN_WRITE)
put("k", b"value")
# `msync` and `fsync` store it, and so does the close that follows.
handle, writer = mapped()
writer.write(0, b"SYNCD"), writer.sync(), os.fsync(handle)
expect("synced", (b"SYNCD", 2), elsewhere, lambda: (get("k"), version()))
writer.write(0, b"CLOSD"), os.close(handle)
expect("closed", (b"CLOSD", 3), lambda: (get("k"), version()))
writer.close()
# Without a descriptor, the end of the mapping does.
handle, writer = mapped()
os.close(handle)
writer.write(0, b"AFTER"), writer.close()
wait_for("what was written after it was closed", lambda: get("k") == b"AFTER")
expect("one version", 4, version)
# The end of the process is the end of its mappings.
def last_words():
    handle, writer = mapped()
    writer.write(0, b"ENDED")
in_child(last_words)
wait_for("what was written at the end", lambda: get("k") == b"ENDED")
# Looked at only, it stores nothing.
handle, writer = mapped()
writer.read(), writer.sync(), writer.close(), os.close(handle)
expect("no version", 5, version)
"#;
    in_both_trees(&mount, text);
    mount.restart();
    for tree in ["dev/variables/m", "dev/secrets/m"] {
        assert_eq!(mount.get(&format!("{tree}/k")), b"ENDED");
    }
}

fn a_new_mapping_shows_the_new_value() {
    let mount = Mount::new();
    let text = r#"
def mapped(length):
    handle = os.open("k", RDONLY)
    try:
        return Map(handle, length)
    finally:
        os.close(handle)
LETTERS = b"abcdefgh"
for step, letter in enumerate(LETTERS):
    value = bytes([letter]) * (2 * PAGE + step)
    if step % 3 == 0:
        put("k", value)
    elif step % 3 == 1:
        put("new", value), os.rename("new", "k")
    else:
        elsewhere(put, "k", value)
    found = mapped(len(value))
    expect("the new one", True, lambda: found.read() == value)
    if step % 2:
        found.close()
# With an old one beside it that is not looked at.
put("k", b"old" * PAGE)
old = mapped(3 * PAGE)
old.read()
put("k", b"new" * PAGE)
wait_for("a new mapping to show it", lambda: mapped(3 * PAGE).read() == b"new" * PAGE)
expect("and so on", True, lambda: mapped(3 * PAGE).read() == b"new" * PAGE)
"#;
    in_both_trees(&mount, text);
}

fn a_page_is_of_one_version() {
    let mount = Mount::new();
    // The page cache is one for all descriptors of a file, so that a mapping can meet pages which another of another version
    // brought in; each is whole. `read` shows its own.
    let text = r#"
put("k", b"1" * (8 * PAGE))
old = os.open("k", RDONLY)
was = Map(old, 8 * PAGE)
libc.madvise(ctypes.c_void_p(was.at), ctypes.c_size_t(8 * PAGE), 1)
expect("the first page", b"1", was.read, 0, 1)
put("k", b"2" * (8 * PAGE))
new = os.open("k", RDONLY)
now = Map(new, 8 * PAGE)
wait_for("the new value", lambda: now.read() == b"2" * (8 * PAGE))
expect("read", (b"1", b"2"), lambda: (os.pread(old, 1, 4 * PAGE), os.pread(new, 1, 4 * PAGE)))
wholes = (b"1" * PAGE, b"2" * PAGE)
expect("whole pages", True, lambda: all(was.read(page * PAGE, PAGE) in wholes for page in range(8)))
# Once the other is gone, it is its own again.
now.close(), os.close(new)
wait_for("its own value", lambda: was.read() == b"1" * (8 * PAGE))
"#;
    in_both_trees(&mount, text);
}

const KEY: &str = "prod/secrets/db/password";
const VALUE: &str = "s3cret-s3cret";

fn with_secret() -> Mount {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put(KEY, VALUE);
    mount.own(KEY, 0, PAYMENTS, 0o660);
    mount
}

/// Opens and maps in one line; the mapping is kept as `seen`.
fn map(mount: &Mount, flags: &str) -> String {
    format!(
        "fd = open('{}', {flags}); seen = mmap.mmap(fd, 13, mmap.MAP_PRIVATE, mmap.PROT_READ)",
        mount.path(KEY).display()
    )
}

/// A map that is touched in a child: its first letter as a number, or the signal.
const TOUCH: &str = "forked(lambda: seen[0])";

fn who_cannot_read_cannot_map() {
    let mount = with_secret();
    run(Command::new("setfacl").arg("-m").arg(format!("g:{OPS}:w")).arg(mount.path(KEY)));
    for user in [ROOT, User(BOB, BOB, &[]), User(BOB, BOB, &[ANALYSTS]), User(BOB, BOB, &[OPS]), User(0, 0, &[OPS])] {
        let mut peer = Peer::new(user);
        peer.is(&map(&mount, "O_RDONLY"), "EACCES");
        peer.is(&map(&mount, "O_RDWR"), "EACCES");
    }
    // Whoever may write only has a descriptor that can't be mapped in any way.
    for user in [User(BOB, BOB, &[OPS]), User(0, 0, &[OPS])] {
        let mut peer = Peer::new(user);
        peer.is(&map(&mount, "O_WRONLY"), "EACCES");
        peer.is("mmap.mmap(fd, 13, mmap.MAP_SHARED, mmap.PROT_WRITE)", "EACCES");
        peer.is("mmap.mmap(fd, 13, mmap.MAP_PRIVATE, mmap.PROT_WRITE)", "EACCES");
        // Nor by way of what stands for it.
        peer.is("open(f'/proc/self/fd/{fd}', O_RDONLY)", "EACCES");
    }
    for user in [User(ALICE, ALICE, &[PAYMENTS]), User(ALICE, PAYMENTS, &[]), User(0, 0, &[PAYMENTS])] {
        let mut peer = Peer::new(user);
        peer.is(&map(&mount, "O_RDONLY"), "done");
        peer.is("seen[:13]", "b's3cret-s3cret'");
        peer.is(TOUCH, "115");
    }
    // The mapping is on record like any other reading.
    let granted = |pid: u64| {
        mount.audit().iter().filter(|line| line["event"] == "granted" && line["pid"].as_u64() == Some(pid)).count()
    };
    let mut peer = Peer::new(User(ALICE, ALICE, &[PAYMENTS]));
    peer.is(&map(&mount, "O_RDONLY"), "done");
    peer.is("seen[:13]", "b's3cret-s3cret'");
    let pid = peer.ask("getpid()").parse().expect("a process id");
    assert!(granted(pid) >= 1, "{:?}", mount.audit().last());
}

fn a_revoked_group_loses_its_mapping() {
    let mount = with_secret();
    let mut peer = Peer::new(User(ALICE, ALICE, &[PAYMENTS]));
    for round in 0..3 {
        peer.is(&map(&mount, "O_RDONLY"), "done");
        peer.is(TOUCH, "115");
        if round > 0 {
            peer.is("seen[:13]", "b's3cret-s3cret'");
        }
        match round {
            0 => mount.own(KEY, 0, OPS, 0o660),
            1 => mount.own(KEY, 0, PAYMENTS, 0o600),
            _ => drop(run(Command::new("setfacl").args(["-m", "m::-"]).arg(mount.path(KEY)))),
        }
        peer.is("pread(fd, 1, 0)", "EACCES");
        // The pages are dropped in the background, what was mapped goes with them, and a new mapping has nothing.
        wait_for("the pages to be dropped", || peer.ask(TOUCH) == "'SIGBUS'");
        peer.is("again = mmap.mmap(fd, 13, mmap.MAP_PRIVATE, mmap.PROT_READ)", "done");
        peer.is("forked(lambda: again[0])", "'SIGBUS'");
        peer.is(&map(&mount, "O_RDONLY"), "EACCES");
        run(Command::new("setfacl").arg("-b").arg(mount.path(KEY)));
        mount.own(KEY, 0, PAYMENTS, 0o660);
        // Who is let in again maps on, with what it had.
        peer.is(TOUCH, "115");
        peer.is("again.close(), seen.close(), close(fd)", "(None, None, None)");
    }
    // Of a copy that it wrote to itself nobody can take anything away: it is its own memory.
    peer.is(
        &format!(
            "fd = open('{}', O_RDONLY); own = mmap.mmap(fd, 13, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)",
            mount.path(KEY).display()
        ),
        "done",
    );
    peer.is("own[0] = 83; own[:13]", "done");
    mount.own(KEY, 0, OPS, 0o660);
    peer.is("pread(fd, 1, 0)", "EACCES");
    peer.is("own[0]", "83");
}

fn a_mapping_is_worth_what_its_holder_is() {
    let mount = with_secret();
    let (mut one, mut other) = (Peer::new(User(ALICE, ALICE, &[PAYMENTS])), Peer::new(User(BOB, BOB, &[OPS])));
    one.is(&map(&mount, "O_RDONLY"), "done");
    one.is(TOUCH, "115");
    // Revoked, while somebody else is let in, who maps it too and looks at it.
    mount.own(KEY, 0, OPS, 0o660);
    wait_for("the pages to be dropped", || one.ask(TOUCH) == "'SIGBUS'");
    other.is(&map(&mount, "O_RDONLY"), "done");
    other.is("seen[:13]", "b's3cret-s3cret'");
    one.is("pread(fd, 1, 0)", "EACCES");
    // While that lasts the pages are there for both, which the threat model says; then for nobody.
    other.is("seen.close(), close(fd)", "(None, None)");
    wait_for("the pages to be dropped", || one.ask(TOUCH) == "'SIGBUS'");
}

fn nothing_stays_in_the_page_cache() {
    let mount = Mount::new();
    let text = r#"
LENGTH = 10 * PAGE
os.setgroups([0, PAYMENTS, ANALYSTS])
put("k", b"s" * LENGTH)

def cached():
    "The pages that are in the cache, whoever brought them there: a mapping that is not touched brings none."
    with open("k", "rb", buffering=0) as file:
        found = Map(file.fileno(), LENGTH)
        try:
            return found.cached()
        finally:
            found.close()

expect("written", 0, cached)
get("k"), elsewhere(get, "k"), run("cat", "k"), run("cp", "k", "copy"), run("cmp", "k", "copy")
expect("read", 0, cached)
null = os.open("/dev/null", WRONLY)
source = os.open("k", RDONLY)
reader, writer = os.pipe()
sent, spliced = outcome(os.sendfile, null, source, 0, LENGTH), outcome(os.splice, source, writer, 4096)
os.close(source)
print("sent and spliced:", sent, spliced)
wait_for("the pages to go", lambda: cached() == 0)
# Mapped and looked at, it is there; with the last mapping it goes.
handle = os.open("k", RDONLY)
found = Map(handle, LENGTH)
found.read()
expect("mapped", 10, found.cached)
os.close(handle)
expect("closed and mapped", 10, found.cached)
found.close()
wait_for("it to go", lambda: cached() == 0)
# So it does when its process ends, however it does.
for how in ("exit", "kill"):
    child = os.fork()
    if child == 0:
        found = Map(os.open("k", RDONLY), LENGTH)
        found.read()
        os.kill(os.getpid(), signal.SIGKILL) if how == "kill" else os._exit(0)
    os.waitpid(child, 0)
    wait_for(f"it to go after {how}", lambda: cached() == 0)
# With a change of its permissions it goes while it is mapped.
handle = os.open("k", RDONLY)
found = Map(handle, LENGTH)
for change in (lambda: os.chmod("k", 0o640), lambda: os.chown("k", 0, PAYMENTS), lambda: os.chown("k", 0, 0), lambda: run("setfacl", "-m", "g:20103:r", "k"),
               lambda: run("setfacl", "-b", "k"), lambda: os.setxattr("k", "user.keyfs.groups", b"0:rw")):
    found.read()
    expect("mapped", 10, found.cached)
    change()
    wait_for("it to go", lambda: found.cached() == 0)
found.close(), os.close(handle)
# And with a new value.
handle = os.open("k", RDONLY)
found = Map(handle, LENGTH)
found.read()
elsewhere(put, "k", b"n" * LENGTH)
wait_for("the old value to go", lambda: found.cached() == 0)
found.close(), os.close(handle)
wait_for("all of it to go", lambda: cached() == 0)
"#;
    in_both_trees(&mount, text);
}
