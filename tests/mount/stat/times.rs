//! Times: which of them something moves, who sets them to what, and that they stay.

use super::EFFECT;
use crate::alike::{alike, in_keyfs};
use crate::fixture::{BOB, Mount, User, wait_for};

#[track_caller]
fn alike_with_effect(text: &str) {
    alike(&format!("{EFFECT}{text}"));
}

pub fn times_of_a_file() {
    alike_with_effect(
        r#"
put("k", b"value"), os.mkdir("d"), put("d/k", b"value")
def written(flags, value=b"another", path="k"):
    return lambda: put(path, value, flags)
both, change, none = [("mc", 1)], [("c", 1)], [("", 1)]
expect("written", both, effect, written(WRONLY), "k")
expect("written anew", both, effect, written(WRONLY | TRUNC, b"anew"), "k")
expect("written anew as it may be made", both, effect, written(WRONLY | CREAT | TRUNC, b"again"), "k")
expect("appended to", both, effect, written(WRONLY | APPEND, b"!"), "k")
expect("emptied", both, effect, lambda: opened("k", WRONLY | TRUNC), "k")
put("k", b"0123456789")
expect("cut", both, effect, lambda: os.truncate("k", 5), "k")
expect("made longer", both, effect, lambda: os.truncate("k", 7), "k")
handle = os.open("k", RDWR)
expect("cut by a descriptor", both, effect, lambda: (os.ftruncate(handle, 3), os.fsync(handle)), "k")
expect("written and synced", both, effect, lambda: (os.pwrite(handle, b"synced", 0), os.fsync(handle)), "k")
expect("synced", none, effect, lambda: os.fsync(handle), "k")
expect("nothing written", none, effect, lambda: os.write(handle, b""), "k")
expect("closed", none, effect, lambda: os.close(handle), "k")
expect("opened to write, and not written", none, effect, lambda: opened("k", RDWR), "k")
expect("opened as it may be made", none, effect, lambda: opened("k", WRONLY | CREAT), "k")
expect("opened to append, and not", none, effect, lambda: opened("k", WRONLY | APPEND), "k")
expect("looked at", none, effect, lambda: (os.stat("k"), os.access("k", os.R_OK), os.listxattr("k")), "k")
expect("its mode", change, effect, lambda: os.chmod("k", 0o640), "k")
expect("the mode that it has", change, effect, lambda: os.chmod("k", 0o640), "k")
expect("its owner", change, effect, lambda: os.chown("k", ALICE, BOB), "k")
expect("its group", change, effect, lambda: os.chown("k", 0, 0), "k")
expect("a note", change, effect, lambda: os.setxattr("k", "user.note", b"1"), "k")
expect("no note", change, effect, lambda: os.removexattr("k", "user.note"), "k")
expect("its times", both, effect, lambda: os.utime("k"), "k")
expect("its times, earlier", change, effect, lambda: os.utime("k", (1, 1)), "k")
expect("its name", change, effect, lambda: os.rename("k", "renamed"), ("k", "renamed"))
expect("refused", none, effect, lambda: outcome(os.mkdir, "renamed"), "renamed")
expect("refused to another", none, effect, lambda: outcome(by, CAROL, [CAROL], os.chmod, "renamed", 0o777), "renamed")
expect("another name in its directory", none, effect, lambda: put("beside", b"1"), "renamed")
# Until something is written, what is new was modified when it was made, also if that is stored later.
handle = os.open("new", WRONLY | CREAT | EXCL)
expect("made, and closed", none, effect, lambda: os.close(handle), "new")
handle = os.open("newer", WRONLY | CREAT | EXCL)
expect("made, written and closed", both, effect, lambda: (os.write(handle, b"1"), os.close(handle)), "newer")
# The last name of what is open.
handle = os.open("renamed", RDWR)
expect("its last name", [("c", 0)], effect, lambda: os.unlink("renamed"), handle)
os.close(handle)
handle = os.open("d/k", RDONLY)
put("other", b"1")
expect("what takes its name", [("c", 0), ("c", 1)], effect, lambda: os.rename("other", "d/k"), handle, ("other", "d/k"))
# What moves with the directory above is not touched.
expect("the directory above", [("", 1)], effect, lambda: os.rename("d", "e"), ("d/k", "e/k"))
"#,
    );
}

pub fn times_of_a_new_one() {
    alike_with_effect(
        r#"
def made(work, path):
    "Whether each time of what is made lies between before and after."
    tick()
    put("clock/now", b"")
    before = os.stat("clock/now").st_mtime_ns
    os.unlink("clock/now")
    work()
    put("clock/now", b"")
    after = os.stat("clock/now").st_mtime_ns
    os.unlink("clock/now")
    found = os.stat(path)
    times = (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)
    return all(before <= time <= after for time in times) or [(time - before, after - time) for time in times]

expect("written", True, made, lambda: put("a", b"1"), "a")
expect("opened", True, made, lambda: opened("b", RDONLY | CREAT), "b")
expect("made", True, made, lambda: os.mknod("c"), "c")
expect("directory", True, made, lambda: os.mkdir("d"), "d")
expect("touched", True, made, lambda: run("touch", "e"), "e")
expect("copied", True, made, lambda: run("cp", "a", "f"), "f")
os.utime("a", (1, 1))
expect("overwritten", True, lambda: made(lambda: put("g", b"1"), "g") and os.stat("a").st_mtime == 1)
"#,
    );
}

pub fn times_of_a_directory() {
    alike_with_effect(
        r#"
os.mkdir("d"), os.mkdir("d/below"), put("d/k", b"1"), os.mkdir("e")
def both(links):
    return [("mc", links)]
expect("a file in it", both(3), effect, lambda: opened("d/new", WRONLY | CREAT), "d")
expect("made by mknod", both(3), effect, lambda: os.mknod("d/node"), "d")
expect("removed", both(3), effect, lambda: os.unlink("d/node"), "d")
expect("a directory in it", both(4), effect, lambda: os.mkdir("d/another"), "d")
expect("removed", both(3), effect, lambda: os.rmdir("d/another"), "d")
expect("a file written", [("", 3), ("mc", 1)], effect, lambda: put("d/k", b"2"), "d", "d/k")
expect("a file's mode", [("", 3)], effect, lambda: os.chmod("d/k", 0o600), "d")
expect("a file cut", [("", 3)], effect, lambda: os.truncate("d/k", 0), "d")
expect("something further below", [("", 3), ("mc", 2)], effect, lambda: put("d/below/k", b"1"), "d", "d/below")
expect("what can't be made", [("", 3)], effect, lambda: (outcome(os.mkdir, "d/k"), outcome(os.rmdir, "d/below"), outcome(os.unlink, "d/none")), "d")
expect("listed", [("", 3)], effect, lambda: os.listdir("d"), "d")
expect("its mode", [("c", 3)], effect, lambda: os.chmod("d", 0o700), "d")
expect("its owner", [("c", 3)], effect, lambda: os.chown("d", ALICE, BOB), "d")
expect("its note", [("c", 3)], effect, lambda: os.setxattr("d", "user.note", b"1"), "d")
expect("its times", [("mc", 3)], effect, lambda: os.utime("d"), "d")
expect("its times, earlier", [("c", 3)], effect, lambda: os.utime("d", (1, 1)), "d")
expect("its own name", [("mc", 5), ("c", 3)], effect, lambda: os.rename("d", "f"), ".", ("d", "f"))
expect("and then something in it", both(3), effect, lambda: put("f/last", b"1"), "f")
# What was set stays through what leaves it alone.
os.utime("f", (5, 6))
os.chmod("f", 0o755), put("f/k", b"3"), os.rename("f", "g")
expect("still as it was set", (5, 6), lambda: (os.stat("g").st_atime, os.stat("g").st_mtime))
os.unlink("g/k")
expect("until something goes", True, lambda: os.stat("g").st_mtime > 6)
# A directory that is open and removed.
directory = os.open("e", RDONLY)
expect("removed while it is open", [("c", 0)], effect, lambda: os.rmdir("e"), directory)
"#,
    );
}

pub fn reading_moves_no_time() {
    let mount = Mount::new();
    let text = r#"
put("k", b"value"), os.mkdir("d"), put("d/k", b"1")
for path in ("k", "d"):
    os.utime(path, (7, 9))
was = os.stat("k"), os.stat("d")
get("k"), elsewhere(get, "k"), os.listdir("d"), run("cat", "k"), run("ls", "-l", "d")
handle = os.open("k", RDONLY)
mmap.mmap(handle, 5, mmap.MAP_PRIVATE, mmap.PROT_READ)[:]
os.close(handle)
expect("a file", (7, 9, True), lambda: (os.stat("k").st_atime, os.stat("k").st_mtime, os.stat("k").st_ctime_ns == was[0].st_ctime_ns))
expect("a directory", (7, 9, True), lambda: (os.stat("d").st_atime, os.stat("d").st_mtime, os.stat("d").st_ctime_ns == was[1].st_ctime_ns))
"#;
    in_keyfs(&mount, "dev/variables/r", text);
    in_keyfs(&mount, "dev/secrets/r", text);
}

/// utimensat(2) with all that it can be given.
const SET_TIMES: &str = r#"
NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2
class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]

def set_times(path, accessed, modified, flags=0):
    "Each is seconds and nanoseconds, NOW or OMIT; or both are None."
    pair = lambda time: (0, time) if isinstance(time, int) else time
    times = None if accessed is None else (Timespec * 2)(pair(accessed), pair(modified))
    done = libc.futimens(path, times) if isinstance(path, int) else libc.utimensat(-100, os.fsencode(path), times, flags)
    if done != 0:
        raise OSError(ctypes.get_errno(), "utimensat")

def times(path):
    found = os.fstat(path) if isinstance(path, int) else os.stat(path)
    return found.st_atime_ns, found.st_mtime_ns
"#;

pub fn times_that_are_set() {
    alike_with_effect(&format!(
        "{SET_TIMES}{}",
        r#"
put("k", b"value"), os.mkdir("d")
for path in ("k", "d"):
    set_times(path, (1000, 123456789), (2000, 987654321))
    expect("to the nanosecond", (1000_123456789, 2000_987654321), times, path)
    set_times(path, OMIT, (3000, 1))
    expect("one alone", (1000_123456789, 3000_000000001), times, path)
    set_times(path, (4000, 999999999), OMIT)
    expect("the other alone", (4000_999999999, 3000_000000001), times, path)
    links = os.stat(path).st_nlink
    expect("neither", [("", links)], effect, lambda: set_times(path, OMIT, OMIT), path)
    expect("neither moved", (4000_999999999, 3000_000000001), times, path)
    expect("one now", [("mc", links)], effect, lambda: set_times(path, OMIT, NOW), path)
    expect("and not the other", 4000_999999999, lambda: times(path)[0])
    expect("the other now", [("c", links)], effect, lambda: set_times(path, NOW, OMIT), path)
    expect("now", True, lambda: times(path)[0] > times(path)[1] > 10 ** 18)
    set_times(path, (5, 5), (6, 6))
    expect("both now", [("mc", links)], effect, lambda: set_times(path, NOW, NOW), path)
    expect("the same", True, lambda: times(path)[0] == times(path)[1])
    set_times(path, (5, 5), (6, 6))
    expect("without saying", [("mc", links)], effect, lambda: set_times(path, None, None), path)
    expect("the same", True, lambda: times(path)[0] == times(path)[1])
    handle = os.open(path, RDONLY)
    set_times(handle, (7, 7), (8, 8))
    expect("by a descriptor", (7_000000007, 8_000000008), times, handle)
    os.close(handle)
    expect("and so by its name", (7_000000007, 8_000000008), times, path)
    expect("no such nanosecond", "EINVAL", set_times, path, (1, 1_000_000_000), (1, 1))
    expect("nor this", "EINVAL", set_times, path, (1, 1), (1, -1))
    expect("nothing of it", (7_000000007, 8_000000008), times, path)
    expect("seconds alone", (9_000000000, 10_000000000), lambda: (os.utime(path, (9, 10)), times(path))[1])
expect("of none", "ENOENT", set_times, "none", None, None)
expect("to others the same", (9_000000000, 10_000000000), elsewhere, times, "k")
# A new value has a new time; a new mode has not.
put("k", b"another")
expect("written", True, lambda: times("k")[1] > 10 ** 18)
set_times("k", (1, 1), (2, 2))
os.chmod("k", 0o600), os.rename("k", "l"), os.chown("l", ALICE, ALICE)
expect("kept", (1_000000001, 2_000000002), times, "l")
show("touch", sh, "touch -d '2001-02-03 04:05:06.789012345 UTC' l && TZ=UTC0 stat -c '%x %y' l")
show("touch -m", sh, "touch -m -d '2011-02-03 04:05:06.7 UTC' l && TZ=UTC0 stat -c '%x %y' l")
show("touch -r", sh, "touch -r l m && TZ=UTC0 stat -c '%y' m")
show("newer", sh, "touch n && find . -newer l -name n && test n -nt l && echo yes")
"#
    ));
}

pub fn times_that_are_set_while_it_is_written() {
    alike(&format!(
        "{SET_TIMES}{}",
        r#"
def write(path, flags, *steps):
    "Writes, sets times and closes in the order that is asked for, as copying programs do."
    handle = os.open(path, flags, 0o644)
    try:
        for step in steps:
            if step == "write":
                os.write(handle, b"another value")
            elif step == "sync":
                os.fsync(handle)
            elif step == "by name":
                set_times(path, (1000, 5), (2000, 6))
            else:
                set_times(handle, (1000, 5), (2000, 6))
    finally:
        os.close(handle)
    return times(path), get(path)

SET = (1000_000000005, 2000_000000006)
for how in ("by descriptor", "by name"):
    expect(f"new, {how}", (SET, b"another value"), write, f"new {how}", WRONLY | CREAT | EXCL, "write", how)
    put("k", b"old")
    expect(f"emptied, {how}", (SET, b"another value"), write, "k", WRONLY | TRUNC, "write", how)
    put("k", b"old")
    expect(f"over it, {how}", (SET, b"another value"), write, "k", WRONLY, "write", how)
    put("k", b"old ")
    expect(f"appended, {how}", (SET, b"old another value"), write, "k", WRONLY | APPEND, "write", how)
    put("k", b"old")
    expect(f"synced, {how}", (SET, b"another value"), write, "k", WRONLY, "write", "sync", how)
    put("k", b"old")
    expect(f"set first, {how}", True, lambda: write("k", WRONLY, how, "write")[0][1] > 10 ** 18)
    expect(f"only set, {how}", (SET, b"another value"), write, "k", WRONLY, how)
# Programs that copy with the time.
put("source", b"copied"), set_times("source", (1000, 5), (2000, 6)), os.chmod("source", 0o640)
for target in ("fresh", "k"):
    expect(f"cp -p to {target}", ((0, ""), 2000_000000006, "0o640", b"copied"), lambda: (run("cp", "-p", "source", target), times(target)[1], mode(target), get(target)))
put("k", b"old")
expect("install -p", ((0, ""), 2000_000000006), lambda: (run("install", "-p", "source", "k"), times("k")[1]))
expect("tar", ((0, ""), 2000, b"copied"), lambda: (sh("mkdir -p out && tar cf - source | tar xf - -C out"), int(os.stat("out/source").st_mtime), get("out/source")))
expect("tar over it", ((0, ""), 2000, b"copied"), lambda: (put("out/source", b"old"), sh("tar cf - source | tar xf - --overwrite -C out"), int(os.stat("out/source").st_mtime), get("out/source"))[1:])
"#
    ));
}

pub fn who_sets_times() {
    alike(&format!(
        "{SET_TIMES}{}",
        r#"
put("k", b"value"), os.chown("k", ALICE, PAYMENTS), os.chmod("k", 0o660)
os.mkdir("d"), os.chown("d", ALICE, PAYMENTS), os.chmod("d", 0o770)
put("read", b"value"), os.chown("read", ALICE, PAYMENTS), os.chmod("read", 0o640)
put("none", b"value"), os.chown("none", ALICE, PAYMENTS), os.chmod("none", 0o000)
WAYS = {"without saying": (None, None), "both now": (NOW, NOW), "to a time": ((1, 1), (2, 2)), "one to a time": (OMIT, (3, 3)),
        "one now": (NOW, OMIT), "one now, one to a time": (NOW, (4, 4)), "neither": (OMIT, OMIT)}
PEOPLE = {"its owner": (ALICE, [ALICE]), "a writer": (BOB, [BOB, PAYMENTS]), "a stranger": (CAROL, [CAROL])}
ANSWER = {
    ("its owner", "k"): dict.fromkeys(WAYS),
    ("its owner", "none"): dict.fromkeys(WAYS),
    ("a writer", "k"): {"without saying": None, "both now": None, "to a time": "EPERM", "one to a time": "EPERM",
                        "one now": "EPERM", "one now, one to a time": "EPERM", "neither": None},
    ("a writer", "read"): {"without saying": "EACCES", "both now": "EACCES", "to a time": "EPERM", "one to a time": "EPERM",
                           "one now": "EPERM", "one now, one to a time": "EPERM", "neither": None},
}
ANSWER["its owner", "d"] = ANSWER["its owner", "read"] = ANSWER["its owner", "k"]
ANSWER["a writer", "d"] = ANSWER["a writer", "k"]
for entry in ("k", "d", "read", "none"):
    ANSWER["a stranger", entry] = ANSWER["a writer", "read"]
ANSWER["a writer", "none"] = ANSWER["a writer", "read"]
for person, (uid, groups) in PEOPLE.items():
    for entry in ("k", "d", "read", "none"):
        for way, (accessed, modified) in WAYS.items():
            set_times(entry, (50, 50), (60, 60))
            wanted = ANSWER[person, entry][way]
            expect(f"{person}, {entry}, {way}", wanted, by, uid, groups, set_times, entry, accessed, modified)
            if wanted or way == "neither":
                expect("nothing moved", (50_000000050, 60_000000060), times, entry)
            else:
                expect("moved", False, lambda: times(entry) == (50_000000050, 60_000000060))
expect("the superuser", (1_000000001, 2_000000002), lambda: (set_times("none", (1, 1), (2, 2)), times("none"))[1])
"#
    ));
}

pub fn times_long_ago_and_far_ahead() {
    let mut mount = Mount::new();
    // A time is kept as nanoseconds around 1970 in 64 bits; what lies beyond becomes the nearest that can be kept.
    let text = r#"
LAST = (1 << 63) - 1
DAY = 24 * 60 * 60
KEPT = [0, 1, -1, 1_500_000_000, -1_500_000_000, 10**9, -10**9, 999_999_999, -999_999_999, -DAY * 10**9 - 1,
        (1 << 31) * 10**9 + 7, -(1 << 31) * 10**9 - 7, (1 << 32) * 10**9 + 1, (1 << 33) * 10**9 + 1,
        -9_000_000_000 * 10**9 + 5, 9_000_000_000 * 10**9 + 5, LAST, -LAST]
BEYOND = [(9_300_000_000, 1, LAST), (1 << 40, 0, LAST), (253402300799, 999999999, LAST),
          (-9_300_000_000, 1, -LAST), (-(1 << 40), 0, -LAST), (-62135596800, 5, -LAST)]
for path in ("k", "d"):
    for place, time in enumerate(KEPT):
        set_times(f"{path}{place}", divmod(time, 10**9), divmod(time, 10**9)) if setting else None
        expect(f"{path} {time}", (time, time), times, f"{path}{place}")
        expect(f"{path} {time}, as others see it", (time, time), elsewhere, times, f"{path}{place}")
    for place, (seconds, nanoseconds, kept) in enumerate(BEYOND):
        set_times(f"{path}-{place}", (seconds, nanoseconds), (seconds, nanoseconds)) if setting else None
        expect(f"{path} {seconds}.{nanoseconds}", (kept, kept), times, f"{path}-{place}")
expect("ls", (0, "1931-05-06 07:08:09.000000001 k-ls\n"), sh, "TZ=UTC0 ls --time-style='+%Y-%m-%d %H:%M:%S.%N' -l k-ls | cut -d' ' -f6-")
"#;
    let make = r#"
for place in [*range(18), *range(-5, 1)]:
    put(f"k{place}", b"1"), os.mkdir(f"d{place}")
put("k-ls", b"1")
run("touch", "-d", "1931-05-06 07:08:09.000000001 UTC", "k-ls")
"#;
    let make = make.replace("*range(-5, 1)", "*(f\"-{place}\" for place in range(6))");
    for tree in ["dev/variables/t", "dev/secrets/t"] {
        in_keyfs(&mount, tree, &format!("{SET_TIMES}{make}setting = True\n{text}"));
    }
    mount.restart();
    for tree in ["dev/variables/t", "dev/secrets/t"] {
        in_keyfs(&mount, tree, &format!("{SET_TIMES}setting = False\n{text}"));
    }
}

pub fn times_that_no_clock_shows_harm_nobody() {
    let mount = Mount::new();
    mount.put("dev/variables/k", "x");
    mount.own("dev/variables/k", BOB, BOB, 0o600);
    let text = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for seconds in (-(1 << 63), 1 - (1 << 63), (1 << 63) - 1):
    for nanoseconds in (0, 1, 999999999):
        times = (ctypes.c_long * 4)(seconds, nanoseconds, seconds, nanoseconds)
        if libc.utimensat(-100, os.fsencode(sys.argv[1]), times, 0) != 0:
            sys.exit(os.strerror(ctypes.get_errno()))
        # Another process may have set another one since, which is at one of the two ends too.
        if abs(os.stat(sys.argv[1]).st_mtime_ns) != (1 << 63) - 1:
            sys.exit("it is not the nearest time that can be kept")
"#;
    // Anybody may set the times of what is theirs. As many try it as requests are answered at once, and more.
    let mut tries = Vec::new();
    for _ in 0..20 {
        let mut command = User(BOB, BOB, &[]).command(crate::alike::python());
        tries.push(command.arg("-c").arg(text).arg(mount.path("dev/variables/k")).spawn().expect("python3"));
    }
    for mut attempt in tries {
        wait_for("an answer", || attempt.try_wait().unwrap().is_some());
        assert!(attempt.wait().unwrap().success());
    }
    assert_eq!(mount.get("dev/variables/k"), b"x");
}

pub fn times_survive() {
    let mut mount = Mount::new();
    let make = r#"
put("plain", b"1"), put("set", b"2"), os.utime("set", ns=(1000_123456789, 2000_987654321))
os.mkdir("d"), put("d/k", b"3"), os.mkdir("set-directory"), put("set-directory/k", b"4")
os.utime("set-directory", ns=(3000_123456789, 4000_987654321))
put("changed", b"5"), os.chmod("changed", 0o600)
os.mkdir("from"), put("from/k", b"6"), os.rename("from", "moved"), os.rename("moved/k", "k")
put("old", b"7"), put("new", b"8"), os.rename("new", "old"), os.unlink("d/k")
os.mknod("node"), opened("empty", RDONLY | CREAT)
"#;
    let check = r#"
for above, directories, files in sorted(os.walk(".")):
    for name in [".", *sorted(directories + files)]:
        found = os.lstat(os.path.join(above, name))
        print(os.path.join(above, name), found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns, found.st_nlink, found.st_size, oct(found.st_mode), found.st_uid)
"#;
    let trees = ["dev/variables/s", "dev/secrets/s"];
    let mut before = Vec::new();
    for tree in trees {
        in_keyfs(&mount, tree, make);
        before.push(in_keyfs(&mount, tree, check));
        assert!(before.concat().contains("./set 1000123456789 2000987654321"), "{before:?}");
    }
    mount.restart();
    for (tree, before) in trees.iter().zip(&before) {
        assert_eq!(&in_keyfs(&mount, tree, check), before);
    }
    mount.end("KILL");
    mount.start();
    for (tree, before) in trees.iter().zip(&before) {
        assert_eq!(&in_keyfs(&mount, tree, check), before);
    }
}
