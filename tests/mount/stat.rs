//! stat(2), statfs(2) and utimensat(2): sizes, times, links, numbers and space.

mod times;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::Case;
use crate::alike::{alike, in_keyfs};
use crate::fixture::{ALICE, BOB, Mount, OPS, PAYMENTS, ROOT, User, run};
use crate::medium::Medium;

pub const CASES: &[Case] = &[
    ("sizes", sizes),
    ("blocks", blocks),
    ("times_of_a_file", times::times_of_a_file),
    ("times_of_a_new_one", times::times_of_a_new_one),
    ("times_of_a_directory", times::times_of_a_directory),
    ("reading_moves_no_time", times::reading_moves_no_time),
    ("times_that_are_set", times::times_that_are_set),
    ("times_that_are_set_while_it_is_written", times::times_that_are_set_while_it_is_written),
    ("who_sets_times", times::who_sets_times),
    ("times_long_ago_and_far_ahead", times::times_long_ago_and_far_ahead),
    ("times_that_no_clock_shows_harm_nobody", times::times_that_no_clock_shows_harm_nobody),
    ("times_survive", times::times_survive),
    ("links", links),
    ("numbers", numbers),
    ("numbers_survive", numbers_survive),
    ("a_secret_is_seen_without_being_read", a_secret_is_seen_without_being_read),
    ("names_are_hidden_by_a_directory", names_are_hidden_by_a_directory),
    ("the_root_of_the_mount", the_root_of_the_mount),
    ("birth", birth),
    ("what_is_known_of_a_new_one", what_is_known_of_a_new_one),
    ("what_statfs_tells", what_statfs_tells),
    ("space_is_that_of_the_stores_medium", space_is_that_of_the_stores_medium),
];

/// Which times something moves.
pub const EFFECT: &str = r#"
os.mkdir("clock")

def tick():
    "Waits until the file system's clock shows another time."
    now = time.time_ns()
    def later():
        os.utime("clock")
        return os.stat("clock").st_mtime_ns > now
    wait_for("the clock", later)

def effect(work, *pairs):
    "Which times of each entry moved, under its old and its new name, and its links."
    def look(pair, place):
        name = pair[place] if isinstance(pair, tuple) else pair
        return os.fstat(name) if isinstance(name, int) else os.lstat(name)
    was = [look(pair, 0) for pair in pairs]
    tick()
    try:
        work()
    except OSError as error:
        return errno.errorcode[error.errno]
    now = [look(pair, 1) for pair in pairs]
    def moved(old, new):
        if old.st_ino != new.st_ino:
            return "another"
        times = (("m", "st_mtime_ns"), ("c", "st_ctime_ns"))
        return "".join(letter for letter, time in times if getattr(old, time) < getattr(new, time)), new.st_nlink
    return [moved(old, new) for old, new in zip(was, now)]
"#;

fn sizes() {
    alike(
        r#"
def told(path, handle=None):
    found = os.stat(path) if handle is None else os.fstat(handle)
    return found.st_size, stat.S_ISREG(found.st_mode), found.st_rdev

for length in (0, 1, 511, 512, 513, 4095, 4096, 4097, 65536, 200001):
    put("k", b"x" * length)
    expect(f"{length}", (length, True, 0), told, "k")
    expect(f"{length}, as others see it", (length, True, 0), elsewhere, told, "k")
handle = os.open("k", RDONLY)
expect("by a descriptor", (200001, True, 0), told, None, handle)
expect("its end", 200001, os.lseek, handle, 0, os.SEEK_END)
os.close(handle)
os.truncate("k", 7)
expect("cut", (7, True, 0), told, "k")
put("k", b"more", WRONLY | APPEND)
expect("longer", (11, True, 0), told, "k")
put("k", b"x", WRONLY | TRUNC)
expect("anew", (1, True, 0), told, "k")
put("new", b"yy")
os.rename("new", "k")
expect("replaced", (2, True, 0), told, "k")
expect("missing", "ENOENT", os.stat, "missing")
expect("below it", "ENOTDIR", os.stat, "k/below")
expect("as a directory", "ENOTDIR", os.stat, "k/")
os.mkdir("d")
expect("a directory", True, lambda: stat.S_ISDIR(os.stat("d").st_mode) and stat.S_ISDIR(os.stat("d/").st_mode) and stat.S_ISDIR(os.stat("d/.").st_mode))
expect("without following", True, lambda: os.lstat("k") == os.stat("k"))
expect("relative to a directory", 2, lambda: os.stat("k", dir_fd=os.open(".", RDONLY)).st_size)
expect("on one device", True, lambda: len({os.stat(path).st_dev for path in (".", "..", "k", "d")}) == 1)
show("stat", sh, "stat -c '%s %h %F' k")
show("wc", sh, "wc -c < k")
show("find", sh, "find . -type f -size -3c")
"#,
    );
}

fn blocks() {
    let mount = Mount::new();
    let text = r#"
for length in (0, 1, 512, 513, 4096, 100000):
    put("k", b"x" * length)
    expect(f"{length}", (-(-length // 512), 4096), lambda: (os.stat("k").st_blocks, os.stat("k").st_blksize))
os.truncate("k", 600)
expect("cut", 2, lambda: os.stat("k").st_blocks)
os.mkdir("d"), put("d/one", b"x" * 1024), put("d/two", b"x" * 2048)
expect("du", (0, "3072\td\n"), run, "du", "-sB1", "d")
expect("du of what is seen", (0, "3072\td\n"), run, "du", "-sb", "d")
"#;
    in_keyfs(&mount, "dev/variables/b", text);
    in_keyfs(&mount, "dev/secrets/b", text);
}

fn links() {
    alike(
        r#"
def links(path):
    return os.stat(path).st_nlink
put("k", b"1"), os.mkdir("d")
expect("a file", 1, links, "k")
expect("an empty directory", 2, links, "d")
put("d/k", b"1")
expect("a file in it", 2, links, "d")
for number in range(3):
    os.mkdir(f"d/{number}")
    expect("a directory in it", 3 + number, links, "d")
expect("further below", (5, 3), lambda: (os.mkdir("d/0/deep"), links("d"), links("d/0"))[1:])
expect("one less", 4, lambda: (os.rmdir("d/1"), links("d"))[1])
expect("moved within", 4, lambda: (os.rename("d/2", "d/3"), links("d"))[1])
expect("moved away", (3, 3), lambda: (os.mkdir("e"), os.rename("d/3", "e/3"), links("d"), links("e"))[2:])
expect("exchanged for a file", (2, 3), lambda: (put("e/k", b"1"), rename("d/0", "e/k", EXCHANGE), links("d"), links("e") - 1)[2:])
handle, directory = os.open("k", RDONLY), os.open("e", RDONLY)
os.unlink("k"), sh("rm -r e")
expect("removed while they are open", (0, 0), lambda: (os.fstat(handle).st_nlink, os.fstat(directory).st_nlink))
show("what find sees", sh, "find . -type d -links 2 | sort")
"#,
    );
}

fn numbers() {
    alike(
        r#"
def number(path):
    return os.stat(path).st_ino
for name in ("a", "b", "c"):
    put(name, name.encode())
os.makedirs("d/e"), put("d/k", b"1")
everything = ["a", "b", "c", "d", "d/e", "d/k", ".", ".."]
expect("all different", len(everything), lambda: len({number(path) for path in everything}))
before = {path: number(path) for path in everything}
put("a", b"another value"), put("b", b"x", WRONLY | TRUNC), os.truncate("c", 0), os.chmod("a", 0o600), os.utime("b", (1, 1))
expect("the same through all that", True, lambda: before == {path: number(path) for path in everything})
os.rename("a", "d/a")
expect("under another name", True, lambda: number("d/a") == before["a"])
os.rename("d", "f")
expect("with what is above", True, lambda: (number("f/k"), number("f/a")) == (before["d/k"], before["a"]))
put("new", b"1")
new = number("new")
os.rename("new", "b")
expect("what replaces it has its own", True, lambda: number("b") == new != before["b"])
handle = os.open("b", RDONLY)
expect("by a descriptor", True, lambda: os.fstat(handle).st_ino == new)
expect("by others", True, lambda: elsewhere(number, "b") == new)
os.unlink("b"), put("b", b"1")
expect("what is made anew is another", True, lambda: number("b") != os.fstat(handle).st_ino)
expect("never zero", True, lambda: all(number(path) > 0 for path in ("b", "c", "f", ".")))
expect("the same by each way", 1, lambda: len({number(path) for path in ("f/k", "f/../f/k", "f/e/../k", "./f/k")}))
expect("the directory above", True, lambda: (number("f/.."), number("f/e/..")) == (number("."), number("f")))
"#,
    );
}

fn numbers_survive() {
    let mut mount = Mount::new();
    let make = r#"
put("a", b"1"), put("b", b"2"), os.rename("a", "b"), os.makedirs("d/e"), put("d/e/k", b"3"), os.rename("d", "f")
"#;
    let numbers = |mount: &Mount| {
        let found = run(Command::new("find").arg(mount.root()).args(["-printf", "%i %P\n"]));
        let mut lines: Vec<_> = found.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for tree in ["dev/variables/n", "dev/secrets/n", "prod/secrets/n"] {
        in_keyfs(&mount, tree, make);
    }
    let before = numbers(&mount);
    let distinct: std::collections::BTreeSet<_> = before.iter().map(|line| line.split(' ').next()).collect();
    assert_eq!(distinct.len(), before.len());
    assert!(before.len() > 15);
    for signal in ["TERM", "KILL"] {
        mount.end(signal);
        mount.start();
        assert_eq!(numbers(&mount), before);
    }
    // A number that is gone does not come back for something else.
    let gone = fs::metadata(mount.path("dev/variables/n/b")).unwrap().ino();
    fs::remove_file(mount.path("dev/variables/n/b")).unwrap();
    mount.restart();
    for number in 0..20 {
        mount.put(&format!("dev/variables/n/new{number}"), "1");
    }
    mount.put("dev/variables/n/b", "1");
    assert!(!numbers(&mount).iter().any(|line| line.starts_with(&format!("{gone} "))));
}

fn a_secret_is_seen_without_being_read() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put("prod/secrets/db/password", "s3cret");
    mount.own("prod/secrets/db/password", ALICE, PAYMENTS, 0o600);
    let key = mount.path("prod/secrets/db/password");
    let found = fs::metadata(&key).unwrap();
    let decisions = |mount: &Mount| {
        mount.audit().iter().filter(|line| line["event"] == "granted" || line["event"] == "denied").count()
    };
    let before = decisions(&mount);
    for user in [ROOT, User(BOB, BOB, &[]), User(BOB, BOB, &[OPS]), User(ALICE, ALICE, &[]), User(ALICE, PAYMENTS, &[])]
    {
        let told = run(user.command("stat").args(["-c", "%s %u %g %a %h %i %Y"]).arg(&key));
        assert_eq!(told, format!("6 {ALICE} {PAYMENTS} 600 1 {} {}\n", found.ino(), found.mtime()));
    }
    assert_eq!(decisions(&mount), before, "to look at it is no decision");
    User(BOB, BOB, &[]).is_refused(&key, "Permission denied");
    assert!(decisions(&mount) >= before);
    // The size is that of the value, and not of what is stored for it.
    mount.put("prod/secrets/db/password", "x".repeat(3000));
    assert_eq!(run(User(BOB, BOB, &[]).command("stat").args(["-c", "%s"]).arg(&key)), "3000\n");
}

fn names_are_hidden_by_a_directory() {
    alike(
        r#"
os.mkdir("d"), put("d/k", b"1"), os.mkdir("d/e"), put("d/e/k", b"2")
def bob(work, *arguments):
    return by(BOB, [BOB], work, *arguments)
size_of = lambda path: os.stat(path).st_size
expect("open", (1, 1), lambda: (bob(size_of, "d/k"), bob(size_of, "d/e/k")))
os.chmod("d", 0o744)
expect("without execute", ("EACCES", "EACCES", "EACCES"), lambda: tuple(outcome(bob, size_of, path) for path in ("d/k", "d/e/k", "d/none")))
expect("the directory itself", True, bob, lambda: os.stat("d").st_nlink == 3)
os.chmod("d", 0o711)
expect("without read", (1, 1, "ENOENT"), lambda: tuple(outcome(bob, size_of, path) for path in ("d/k", "d/e/k", "d/none")))
os.chmod("d", 0o700)
expect("for nobody else", ("EACCES", "EACCES"), lambda: tuple(outcome(bob, size_of, path) for path in ("d/k", "d/none")))
expect("its owner", 1, size_of, "d/k")
os.chown("d", BOB, BOB)
expect("whoever it belongs to", 1, bob, size_of, "d/k")
os.chown("d", 0, PAYMENTS), os.chmod("d", 0o710)
expect("its group", 1, by, BOB, [BOB, PAYMENTS], size_of, "d/e/k")
expect("others", "EACCES", bob, size_of, "d/e/k")
"#,
    );
}

/// statx(2) of a path: what was told, by name.
const STATX: &str = r#"
def statx(path, flags=0):
    buffer = ctypes.create_string_buffer(256)
    if libc.statx(-100, os.fsencode(path), flags, 0xfff, buffer) != 0:
        raise OSError(ctypes.get_errno(), "statx")
    mask, _, attributes, links, uid, gid, mode, _, number, size, blocks, known = struct.unpack_from("=IIQIIIHHQQQQ", buffer, 0)
    def moment(place):
        seconds, nanoseconds = struct.unpack_from("=qI", buffer, place)
        return seconds * 10**9 + nanoseconds
    return dict(
        mask=mask, attributes=attributes, known=known, links=links, mode=mode, number=number, size=size,
        born=moment(80), changed=moment(96), modified=moment(112),
    )
BASIC, BORN, MOUNT_ROOT = 0x7ff, 0x800, 0x2000
"#;

fn the_root_of_the_mount() {
    let mut mount = Mount::new();
    let root = fs::metadata(mount.root()).unwrap();
    assert_eq!((root.mode(), root.uid(), root.nlink(), root.ino()), (0o40755, 0, 5, 1));
    assert!(root.dev() != fs::metadata(mount.home()).unwrap().dev());
    assert_eq!(fs::metadata(mount.path("dev/secrets")).unwrap().dev(), root.dev());
    let text = r#"
top = os.path.abspath("../../..")
found = statx(top)
expect("basic", BASIC, lambda: found["mask"] & BASIC)
expect("the root of a mount", (True, True), lambda: (bool(found["known"] & MOUNT_ROOT), bool(found["attributes"] & MOUNT_ROOT)))
expect("and nothing below it", (False, False), lambda: tuple(bool(statx(path)["attributes"] & MOUNT_ROOT) for path in (top + "/dev", ".")))
expect("as stat tells it", (1, 0o40755, 5), lambda: (found["number"], found["mode"], found["links"]))
expect("a mount point", (True, False), lambda: (os.path.ismount(top), os.path.ismount(top + "/dev")))
put("k", b"value")
for flags in (0, 0x2000, 0x4000):
    expect(f"synchronised or not ({flags:#x})", (5, 1, 0o100644), lambda: (lambda told: (told["size"], told["links"], told["mode"] | 0o4))(statx("k", flags)))
"#;
    in_keyfs(&mount, "dev/variables/x", &format!("{STATX}{text}"));
    // It changes with its environments, and they stay what they are.
    let before = root.mtime_nsec() + root.mtime() * 1_000_000_000;
    fs::create_dir(mount.path("qa")).unwrap();
    let root = fs::metadata(mount.root()).unwrap();
    assert!(root.mtime_nsec() + root.mtime() * 1_000_000_000 > before);
    assert_eq!(root.nlink(), 6);
    mount.own("", ALICE, PAYMENTS, 0o750);
    let told = |mount: &Mount| run(Command::new("stat").args(["-c", "%a %u %g %h %i %y %z"]).arg(mount.root()));
    let before = told(&mount);
    assert!(before.starts_with(&format!("750 {ALICE} {PAYMENTS} 6 1 ")), "{before}");
    mount.restart();
    assert_eq!(told(&mount), before);
}

fn birth() {
    let mount = Mount::new();
    // Where the kernel hands it on, it is when the entry was made, whatever was done to it since.
    let text = r#"
def born(path):
    found = statx(path)
    return found["born"] if found["mask"] & BORN else None
before = time.time_ns()
put("k", b"1")
after = time.time_ns()
first = born("k")
expect("between", True, lambda: first is None or before - 10**9 <= first <= after + 10**9)
put("k", b"2"), os.chmod("k", 0o600), os.utime("k", (1, 1)), os.rename("k", "l")
expect("it stays", first, born, "l")
"#;
    in_keyfs(&mount, "dev/variables/b", &format!("{STATX}{text}"));
    in_keyfs(&mount, "dev/secrets/b", &format!("{STATX}{text}"));
}

fn what_statfs_tells() {
    let mount = Mount::new();
    mount.put("dev/secrets/k", "x");
    mount.own("dev/secrets/k", ALICE, ALICE, 0o600);
    for below in ["", "dev", "dev/variables", "dev/secrets/k"] {
        let told =
            |path: &std::path::Path, format: &str| run(Command::new("stat").args(["-f", "-c", format]).arg(path));
        let path = mount.path(below);
        // FUSE's number, the longest name, blocks of 4 KiB, and no limit of files.
        assert_eq!(told(&path, "%t %l %S %s %c %d"), "65735546 255 4096 4096 0 0\n");
    }
}

fn space_is_that_of_the_stores_medium() {
    let medium = Medium::in_memory(64 << 20);
    let mut mount = Mount::new();
    assert!(mount.end("TERM").success());
    fs::copy(mount.store(), medium.path("store.redb")).unwrap();
    fs::remove_file(mount.store()).unwrap();
    std::os::unix::fs::symlink(medium.path("store.redb"), mount.store()).unwrap();
    mount.start();
    let bytes = |path: &std::path::Path| {
        let told = run(Command::new("df").args(["-B1", "--output=size,avail"]).arg(path));
        let line = told
            .lines()
            .nth(1)
            .unwrap()
            .split_whitespace()
            .map(|word| word.parse::<u64>().unwrap())
            .collect::<Vec<_>>();
        (line[0], line[1])
    };
    let same = |mount: &Mount| {
        let (below, shown) = (bytes(&medium.path("")), bytes(&mount.root()));
        assert_eq!(shown, below);
        shown
    };
    let (size, empty) = same(&mount);
    assert_eq!(size, 64 << 20);
    fs::write(medium.path("other"), vec![1; 10 << 20]).unwrap();
    let (_, less) = same(&mount);
    assert_eq!(empty - less, 10 << 20);
    fs::remove_file(medium.path("other")).unwrap();
    mount.put("dev/variables/large", vec![7; 1 << 20]);
    same(&mount);
    medium.fill();
    assert_eq!(same(&mount).1, 0);
    // For everybody who reaches the mount, whatever there is room for.
    let told = User(BOB, BOB, &[]).sh(&format!("df -B1 --output=avail {} | tail -1", mount.root().display()));
    assert_eq!(String::from_utf8_lossy(&told.stdout).trim(), "0", "{told:?}");
    medium.empty();
    same(&mount);
}

fn what_is_known_of_a_new_one() {
    let mount = Mount::new();
    let text = r#"
SYNCHRONISED = 0x2000
def asked():
    "How often the daemon was asked for attributes."
    lines = get("../../../.keyfs/metrics").decode().splitlines()
    return int(next(line.split()[1] for line in lines if 'duration_seconds_count{operation="getattr"}' in line))

before = asked()
for number in range(200):
    handle = os.open(f"asked-{number}", WRONLY | CREAT)
    os.fstat(handle), os.close(handle)
# Once for the directory, of which the kernel forgets all with each new name, and not for what is new.
expect("asked", True, lambda: asked() - before < 2 * 200)

def differing(make):
    "Where the kernel, which need not ask for a moment, tells something else than the daemon."
    def differs(number):
        path = f"{make.__name__}-{number}"
        make(path)
        return statx(path) != statx(path, SYNCHRONISED)
    return [number for number in range(200) if differs(number)]

def empty(path):
    opened(path, WRONLY | CREAT)
def written(path):
    put(path, b"value")
def altered(path):
    empty(path), os.chmod(path, 0o604), os.utime(path, (1, 2)), put(path, b"another")
def held(path):
    "By another name, while whoever made it has it open."
    handle = os.open(path, WRONLY | CREAT)
    os.write(handle, b"12345"), os.stat(path), os.write(handle, b"6789"), os.rename(path, path + "!"), os.rename(path + "!", path)
    handles.append(handle)
handles = []
for make in (empty, written, altered, held):
    expect(make.__name__, [], differing, make)
"#;
    in_keyfs(&mount, "dev/variables/n", &format!("{STATX}{text}"));
    in_keyfs(&mount, "dev/secrets/n", &format!("{STATX}{text}"));
}
