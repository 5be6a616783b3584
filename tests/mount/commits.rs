//! Commits: what becomes a version and when, what others see meanwhile, and what is there after a crash.

use std::fs;
use std::process::Command;

use crate::Case;
use crate::alike::in_keyfs;
use crate::fixture::{Mount, errno, run};

pub const CASES: &[Case] = &[
    ("a_reader_keeps_what_it_opened", a_reader_keeps_what_it_opened),
    ("the_writer_sees_its_own_size", the_writer_sees_its_own_size),
    ("the_last_flush_wins", the_last_flush_wins),
    ("flushes_and_syncs_commit", flushes_and_syncs_commit),
    ("synchronous_writes_commit", synchronous_writes_commit),
    ("what_was_closed_or_synced_survives_a_kill", what_was_closed_or_synced_survives_a_kill),
    ("the_limit_keeps_the_old_value", the_limit_keeps_the_old_value),
    ("a_mebibyte_by_default", a_mebibyte_by_default),
    ("eight_appenders_lose_no_line", eight_appenders_lose_no_line),
    ("readers_see_whole_values", readers_see_whole_values),
    ("a_writer_of_what_was_replaced_closes", a_writer_of_what_was_replaced_closes),
    ("nobody_sees_a_size_in_between", nobody_sees_a_size_in_between),
    ("a_redirection_is_never_seen_empty", a_redirection_is_never_seen_empty),
];

fn a_reader_keeps_what_it_opened() {
    let mount = Mount::new();
    let text = r#"
put("k", b"one")
first = os.open("k", RDONLY)
put("k", b"second")
second = os.open("k", RDONLY)
put("k", b"3")
expect("first", b"one", os.pread, first, 100, 0)
expect("second", b"second", os.pread, second, 100, 0)
expect("present", b"3", get, "k")
# A request for attributes names the thread and no descriptor, so it is told of the last one that it opened.
expect("its own size", (6, 6), lambda: (os.fstat(first).st_size, os.fstat(second).st_size))
expect("others' size", 1, elsewhere, size, "k")
os.unlink("k")
expect("first, removed", b"one", os.pread, first, 100, 0)
os.close(first)
expect("second, removed", b"second", os.pread, second, 100, 0)
# Reading in small parts while it is replaced gives one version.
put("k", b"a" * 1000)
reader = os.open("k", RDONLY)
parts = []
for step in range(10):
    parts.append(os.read(reader, 100))
    put("k", bytes([98 + step]) * 1000)
expect("in parts", b"a" * 1000, lambda: b"".join(parts))
"#;
    in_keyfs(&mount, "dev/variables/r", text);
    in_keyfs(&mount, "dev/secrets/r", text);
}

fn the_writer_sees_its_own_size() {
    let mount = Mount::new();
    let text = r#"
put("k", b"committed")
writer = os.open("k", RDWR)
os.pwrite(writer, b"longer than it was", 0)
own = lambda: (os.fstat(writer).st_size, size("k"))
expect("own size", (18, 18), own)
expect("others' size", 9, elsewhere, size, "k")
expect("others' value", b"committed", elsewhere, get, "k")
os.fsync(writer)
expect("flushed", (18, 18), own)
expect("others', flushed", (18, b"longer than it was"), elsewhere, lambda: (size("k"), get("k")))
os.ftruncate(writer, 2)
expect("truncated", (2, 2), own)
expect("others', not flushed", 18, elsewhere, size, "k")
os.close(writer)
expect("closed", 2, elsewhere, size, "k")
# A writer that truncates is alone in seeing it.
writer = os.open("k", WRONLY | TRUNC)
expect("emptied", 0, lambda: os.fstat(writer).st_size)
expect("others'", (2, b"lo"), elsewhere, lambda: (size("k"), get("k")))
os.write(writer, b"new value")
expect("written", 9, lambda: os.fstat(writer).st_size)
expect("others', still", (2, b"lo"), elsewhere, lambda: (size("k"), get("k")))
os.close(writer)
expect("others', closed", (9, b"new value"), elsewhere, lambda: (size("k"), get("k")))
# A new entry is there at once, empty.
writer = os.open("new", WRONLY | CREAT | EXCL, 0o644)
expect("listed", True, elsewhere, lambda: "new" in names())
expect("there", (0, b""), elsewhere, lambda: (size("new"), get("new")))
os.write(writer, b"value")
expect("its own", 5, lambda: os.fstat(writer).st_size)
expect("others", (0, b""), elsewhere, lambda: (size("new"), get("new")))
os.close(writer)
expect("whole", (5, b"value"), elsewhere, lambda: (size("new"), get("new")))
# What appends sees what is there and what it adds.
writer = os.open("k", WRONLY | APPEND)
os.write(writer, b"!")
expect("appended", 10, lambda: os.fstat(writer).st_size)
expect("others', appended", 9, elsewhere, size, "k")
os.close(writer)
expect("all", 10, elsewhere, size, "k")
"#;
    in_keyfs(&mount, "dev/variables/s", text);
    in_keyfs(&mount, "dev/secrets/s", text);
}

fn the_last_flush_wins() {
    let mount = Mount::new();
    let text = r#"
put("k", b"0")
one, two = os.open("k", WRONLY | TRUNC), os.open("k", WRONLY | TRUNC)
os.write(two, b"second, and longer")
os.write(one, b"first")
os.close(two)
expect("two", b"second, and longer", get, "k")
os.close(one)
expect("one, whole", b"first", get, "k")
# Writers of parts: each has the value that it opened.
put("k", b"........")
one, two = os.open("k", RDWR), os.open("k", RDWR)
os.pwrite(one, b"11", 0)
os.pwrite(two, b"22", 6)
os.close(one)
os.close(two)
expect("no mixture", b"......22", get, "k")
expect("one version each", b"6", os.getxattr, "k", "system.keyfs.version")
"#;
    in_keyfs(&mount, "dev/variables/w", text);
    in_keyfs(&mount, "dev/secrets/w", text);
}

fn flushes_and_syncs_commit() {
    let mount = Mount::new();
    let text = r#"
def version(path="k"):
    return int(os.getxattr(path, "system.keyfs.version"))
put("k", b"one")
expect("made", 1, version)
put("k", b"one")
expect("the same value", 1, version)
handle = os.open("k", RDWR)
for part in (b"1", b"2", b"3"):
    os.write(handle, part)
expect("not yet", (1, b"one"), elsewhere, lambda: (version(), get("k")))
os.fsync(handle)
expect("synced", (2, b"123"), elsewhere, lambda: (version(), get("k")))
os.fsync(handle), os.fdatasync(handle)
expect("nothing more", 2, version)
os.write(handle, b"4")
os.fdatasync(handle)
expect("synced again", (3, b"1234"), elsewhere, lambda: (version(), get("k")))
os.write(handle, b"5")
os.close(os.dup(handle))
expect("a descriptor closed", (4, b"12345"), elsewhere, lambda: (version(), get("k")))
os.close(handle)
expect("nothing to add", 4, version)
handle = os.open("k", RDONLY)
expect("sync of a reader", None, os.fsync, handle)
os.close(handle)
directory = os.open(".", RDONLY)
expect("sync of a directory", None, os.fsync, directory)
expect("sync of all", 0, libc.syncfs, directory)
# A writer that ends without closing has written all the same.
child = os.fork()
if child == 0:
    handle = os.open("k", WRONLY | TRUNC)
    os.write(handle, b"last words")
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
wait_for("the killed writer's value", lambda: get("k") == b"last words")
expect("one version", 5, version)
"#;
    in_keyfs(&mount, "dev/variables/f", text);
    in_keyfs(&mount, "dev/secrets/f", text);
}

fn synchronous_writes_commit() {
    let mut mount = Mount::new();
    let text = r#"
put("k", b"old")
for flag, name in ((os.O_SYNC, "sync"), (os.O_DSYNC, "dsync")):
    handle = os.open("k", WRONLY | TRUNC | flag)
    os.write(handle, name.encode())
    expect(f"{name}: there before it is closed", name.encode(), elsewhere, get, "k")
    os.close(handle)
handle = os.open("killed", WRONLY | CREAT | os.O_DSYNC, 0o600)
os.write(handle, b"durable")
print("written", flush=True)
"#;
    in_keyfs(&mount, "dev/variables/s", text);
    in_keyfs(&mount, "dev/secrets/s", text);
    mount.restart();
    assert_eq!(mount.get("dev/variables/s/killed"), b"durable");
}

fn what_was_closed_or_synced_survives_a_kill() {
    let mut mount = Mount::new();
    for tree in ["dev/variables", "dev/secrets"] {
        mount.put(&format!("{tree}/closed"), "closed");
        mount.put(&format!("{tree}/unflushed"), "old");
        let file = fs::File::create(mount.path(&format!("{tree}/synced"))).unwrap();
        std::io::Write::write_all(&mut &file, b"synced").unwrap();
        file.sync_all().unwrap();
        let other = fs::File::options().write(true).open(mount.path(&format!("{tree}/unflushed"))).unwrap();
        std::io::Write::write_all(&mut &other, b"newer").unwrap();
        mount.mkdir(&format!("{tree}/made/below"));
        mount.put(&format!("{tree}/moved"), "moved");
        fs::rename(mount.path(&format!("{tree}/moved")), mount.path(&format!("{tree}/made/moved"))).unwrap();
        mount.put(&format!("{tree}/gone"), "gone");
        fs::remove_file(mount.path(&format!("{tree}/gone"))).unwrap();
        mount.own(&format!("{tree}/closed"), 7, 0, 0o640);
        std::mem::forget((file, other));
    }
    mount.end("KILL");
    mount.start();
    for tree in ["dev/variables", "dev/secrets"] {
        assert_eq!(mount.get(&format!("{tree}/closed")), b"closed");
        assert_eq!(mount.get(&format!("{tree}/synced")), b"synced");
        assert_eq!(mount.get(&format!("{tree}/unflushed")), b"old");
        assert_eq!(mount.get(&format!("{tree}/made/moved")), b"moved");
        assert!(mount.path(&format!("{tree}/made/below")).is_dir());
        assert_eq!(errno(fs::metadata(mount.path(&format!("{tree}/gone")))), libc::ENOENT);
        let found = fs::metadata(mount.path(&format!("{tree}/closed"))).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!((found.uid(), found.mode() & 0o7777), (7, 0o640));
    }
}

fn the_limit_keeps_the_old_value() {
    let mount = Mount::with(&["--value-limit", "4096"]);
    let text = r#"
def version():
    return int(os.getxattr("k", "system.keyfs.version"))
put("k", b"old")
put("full", b"f" * 4096)
expect("as much as there may be", 4096, size, "full")

def beyond(flags, *writes):
    handle = os.open("k", flags)
    try:
        for data, offset in writes:
            outcome = os.pwrite(handle, data, offset) if offset is not None else os.write(handle, data)
        return outcome
    finally:
        try:
            os.close(handle)
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise

expect("at once", "EFBIG", beyond, WRONLY | TRUNC, (b"x" * 4097, None))
expect("in parts", "EFBIG", beyond, WRONLY | TRUNC, (b"x" * 4096, None), (b"y", None))
expect("far behind", "EFBIG", beyond, RDWR, (b"x", 4096))
expect("appended", "EFBIG", beyond, WRONLY | APPEND, (b"x" * 4094, None))
expect("by path", "EFBIG", os.truncate, "k", 4097)
def longer():
    handle = os.open("k", RDWR)
    try:
        os.ftruncate(handle, 5000)
    finally:
        os.close(handle)
expect("by descriptor", "EFBIG", longer)
expect("old", (b"old", 1), lambda: (get("k"), version()))
# A copy that does not fit says so, and the old value stays.
expect("cp", True, lambda: (lambda done: done[0] != 0 and "File too large" in done[1])(sh("head -c 5000 /dev/zero > /dev/shm/.keyfs-$$; cp /dev/shm/.keyfs-$$ k; code=$?; rm /dev/shm/.keyfs-$$; exit $code")))
expect("still old", (b"old", 1), lambda: (get("k"), version()))
expect("yes", True, lambda: "File too large" in sh("LC_ALL=C head -c 9000 /dev/zero > k")[1])
expect("and still", (b"old", 1), lambda: (get("k"), version()))
# Appenders that together pass it: the last one is told when it commits.
one, two = os.open("full", WRONLY | APPEND), os.open("k", WRONLY | APPEND)
expect("no room", "EFBIG", os.write, one, b"x")
outcome(os.close, one)
os.write(two, b"y" * 4000)
put("k", b"z" * 200)
expect("no room any longer", "EFBIG", os.fsync, two)
expect("said again", "EFBIG", os.close, two)
expect("the other's", b"z" * 200, get, "k")
expect("full", b"f" * 4096, get, "full")
# A writer may think again.
handle = os.open("k", RDWR)
expect("too much", "EFBIG", os.pwrite, handle, b"x" * 5000, 0)
os.ftruncate(handle, 0)
os.pwrite(handle, b"fits", 0)
expect("fits", None, os.close, handle)
expect("new", b"fits", get, "k")
# A new entry that is too large is not made of a part of it.
handle = os.open("new", WRONLY | CREAT | EXCL, 0o600)
expect("new, too much", "EFBIG", os.write, handle, b"x" * 4097)
show("closed", os.close, handle)
expect("nothing of it", True, lambda: outcome(size, "new") in ("ENOENT", 0))
"#;
    in_keyfs(&mount, "dev/variables/l", text);
    in_keyfs(&mount, "dev/secrets/l", text);
}

fn a_mebibyte_by_default() {
    let mount = Mount::new();
    let text = r#"
value = os.urandom(1 << 20)
put("k", value)
expect("a mebibyte", True, lambda: get("k") == value)
expect("a byte more", "EFBIG", lambda: put("k", value + b"x") if os.stat("k") else None)
handle = os.open("k", WRONLY | APPEND)
expect("a byte behind it", "EFBIG", os.write, handle, b"x")
outcome(os.close, handle)
handle = os.open("k", WRONLY | TRUNC)
for start in range(0, 1 << 20, 4096):
    os.write(handle, value[start:start + 4096])
os.close(handle)
expect("in parts", True, lambda: get("k") == value)
"#;
    in_keyfs(&mount, "dev/variables/m", text);
    in_keyfs(&mount, "dev/secrets/m", text);
}

fn eight_appenders_lose_no_line() {
    let mount = Mount::new();
    let text = r#"
EIGHT, LINES = 8, 40

def append_each(writer):
    for line in range(LINES):
        put("log", f"{writer} {line}\n".encode(), WRONLY | APPEND | CREAT)

def append_and_sync(writer):
    handle = os.open("log", WRONLY | APPEND | CREAT, 0o666)
    for line in range(LINES):
        os.write(handle, f"{writer} {line}\n".encode())
        if line % 5 == 4:
            os.fsync(handle)
    os.close(handle)

def append_at_once(writer):
    with open("log", "a") as file:
        for line in range(LINES):
            file.write(f"{writer} {line}\n")

for how in (append_each, append_and_sync, append_at_once):
    outcome(os.unlink, "log")
    children = []
    for writer in range(EIGHT):
        child = os.fork()
        if child == 0:
            try:
                how(writer)
                os._exit(0)
            except BaseException as error:
                print(how.__name__, writer, error, file=sys.stderr, flush=True)
                os._exit(1)
        children.append(child)
    expect(how.__name__, [0] * EIGHT, lambda: [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
    found = get("log").decode().splitlines()
    expect("all of them", sorted(f"{w} {l}" for w in range(EIGHT) for l in range(LINES)), lambda: sorted(found))
    for writer in range(EIGHT):
        expect("in order", list(range(LINES)), lambda: [int(l.split()[1]) for l in found if l.split()[0] == str(writer)])
"#;
    in_keyfs(&mount, "dev/variables/a", text);
    in_keyfs(&mount, "dev/secrets/a", text);
    // The same from shells.
    let script =
        "for writer in 1 2 3 4 5 6 7 8; do (for line in 1 2 3 4 5; do echo $writer $line >> shells; done) & done; wait";
    run(Command::new("sh").arg("-c").arg(script).current_dir(mount.path("dev/variables/a")));
    let text = String::from_utf8(mount.get("dev/variables/a/shells")).unwrap();
    assert_eq!(text.lines().collect::<std::collections::BTreeSet<_>>().len(), 40, "{text}");
}

/// Readers of a value that is always one letter, many times, in several lengths.
const NO_MIXTURE: &str = r#"
def begin(work):
    child = os.fork()
    if child == 0:
        try:
            os._exit(work() or 0)
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
    return child

def watch():
    while not os.path.exists("stop"):
        value = get("k")
        if not value or value.strip(value[:1]) or len(value) not in LENGTHS:
            print(f"read {len(value)} bytes of {sorted(set(value))}", file=sys.stderr, flush=True)
            return 1
        found = os.stat("k").st_size
        if found not in LENGTHS:
            print(f"a size of {found}", file=sys.stderr, flush=True)
            return 1

LENGTHS = (1, 100, 5000, 70000)
"#;

fn readers_see_whole_values() {
    let mount = Mount::new();
    let text = r#"
def overwrite(letters):
    end = time.monotonic() + 0.7
    step = 0
    while time.monotonic() < end:
        put("k", letters[step % 2] * LENGTHS[step % 4], WRONLY | TRUNC)
        step += 1

def in_parts(letters):
    end = time.monotonic() + 0.7
    step = 0
    while time.monotonic() < end:
        handle = os.open("k", WRONLY | TRUNC)
        for part in range(5):
            os.write(handle, letters[step % 2] * (LENGTHS[2 + step % 2] // 5))
        os.close(handle)
        step += 1

def replace(letters):
    end = time.monotonic() + 0.7
    step = 0
    while time.monotonic() < end:
        put(f"new-{letters[0]}", letters[step % 2] * LENGTHS[step % 4])
        os.rename(f"new-{letters[0]}", "k")
        step += 1

for ways in ((overwrite, in_parts), (replace, replace), (overwrite, replace)):
    put("k", b"x")
    outcome(os.unlink, "stop")
    readers = [begin(watch) for _ in range(3)]
    writers = [begin(lambda: way(letters)) for way, letters in zip(ways, ((b"a", b"b"), (b"c", b"d")))]
    expect("written", [0, 0], lambda: [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in writers])
    put("stop", b"")
    expect("read", [0] * 3, lambda: [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in readers])
"#;
    let text = format!("{NO_MIXTURE}{text}");
    std::thread::scope(|scope| {
        for tree in ["dev/variables/t", "dev/secrets/t"] {
            let (mount, text) = (&mount, &text);
            scope.spawn(move || in_keyfs(mount, tree, text));
        }
    });
}

fn a_writer_of_what_was_replaced_closes() {
    let mount = Mount::new();
    // As on any file system: what it writes is gone with its last descriptor, however many have taken the name since.
    let text = r#"
for times in (1, 9, 12, 25):
    put("k", b"old")
    writer = os.open("k", RDWR)
    for step in range(times):
        put("new", b"%d" % step), os.rename("new", "k")
    os.pwrite(writer, b"late", 0)
    expect(f"replaced {times} times", (b"late", None), lambda: (os.pread(writer, 9, 0), os.close(writer)))
    expect("what is there", b"%d" % (times - 1), get, "k")
"#;
    in_keyfs(&mount, "dev/variables/r", text);
    in_keyfs(&mount, "dev/secrets/r", text);
}

fn nobody_sees_a_size_in_between() {
    let mount = Mount::new();
    let text = r#"
put("k", b"x")
def measure():
    while not os.path.exists("stop"):
        for _ in range(100):
            if (found := os.stat("k").st_size) != 1:
                print(f"a size of {found}", file=sys.stderr, flush=True)
                return 1
readers = [begin(measure) for _ in range(3)]
for step in range(600):
    put("k", b"ab"[step % 2:][:1], WRONLY | TRUNC)
put("stop", b"")
expect("read", [0] * 3, lambda: [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in readers])
"#;
    let text = format!("{NO_MIXTURE}{text}");
    in_keyfs(&mount, "dev/variables/t", &text);
    in_keyfs(&mount, "dev/secrets/t", &text);
}

fn a_redirection_is_never_seen_empty() {
    let mount = Mount::new();
    let text = r#"
put("k", b"x")
readers = [begin(watch) for _ in range(2)]
for step in range(60):
    letter = "ab"[step % 2]
    sh(f"printf {letter} > k") if step % 3 else run("bash", "-c", f"printf {letter} > k")
sh("for i in 1 2 3 4 5 6 7 8 9 10; do /bin/echo -n c > k; /bin/echo -n d > k; done")
put("stop", b"")
expect("read", [0] * 2, lambda: [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in readers])
"#;
    let text = format!("{NO_MIXTURE}{text}");
    in_keyfs(&mount, "dev/variables/t", &text);
    in_keyfs(&mount, "dev/secrets/t", &text);
}
