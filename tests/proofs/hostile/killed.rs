//! Callers that die by SIGKILL inside an operation, many times in each kind of one.

use super::{MEMBER, Mount, PAYMENTS, User, open_directory, program, unharmed};
use crate::scale::{either, seed};

/// Each child repeats one operation without an end; its parent kills it after a moment that is drawn, and looks.
const KILLED: &str = r#"
import random
seed, rounds = map(int, sys.argv[1:])
lots = random.Random(seed)
# Who is killed closes what it had open: what it had emptied is then empty, and what it had written in pieces is so many of them.
WHOLE = {b"a" * 1000 * pieces for pieces in range(10)} | {b"b" * 9000, b"start"}

def written(path, value):
    put(path, value, mode=0o660)

def in_pieces():
    handle = os.open("k", WRONLY | TRUNC)
    for _ in range(9):
        os.write(handle, b"a" * 1000)
    os.close(handle)

def mapped():
    handle = os.open("k", RDONLY)
    length = os.fstat(handle).st_size
    mmap.mmap(handle, length, mmap.MAP_PRIVATE, mmap.PROT_READ)[:length]
    os.close(handle)

def passed_on():
    one, other = socket.socketpair()
    handle = os.open("k", RDWR)
    socket.send_fds(one, [b"x"], [handle])
    os.close(handle)
    one.close(), other.close()

KINDS = {
    "open": lambda: os.close(os.open("k", RDONLY)),
    "read": lambda: get("k"),
    "write": lambda: written("k", b"a" * 9000),
    "write in pieces": in_pieces,
    "other": lambda: written("k", b"b" * 9000),
    "append": lambda: put("log", b"line\n", WRONLY | CREAT | APPEND),
    "fsync": lambda: (h := os.open("k", RDWR), os.pwrite(h, b"b" * 9000, 0), os.fsync(h), os.close(h)),
    "create": lambda: (put("new", b"whole", WRONLY | CREAT | EXCL), os.unlink("new")),
    "truncate": lambda: (os.truncate("cut", 3), os.truncate("cut", 5)),
    "mkdir": lambda: (os.mkdir("d"), os.rmdir("d")),
    "rename": lambda: (os.rename("one", "two"), os.rename("two", "one")),
    "exchange": lambda: rename("blue", "green", EXCHANGE),
    "chmod": lambda: (os.chmod("k", 0o640), os.chmod("k", 0o660)),
    "attribute": lambda: (os.setxattr("k", "user.note", b"1"), os.removexattr("k", "user.note")),
    "groups": lambda: os.setxattr("k", "user.keyfs.groups", b"20101:rw,20102:r"),
    "list": lambda: [os.stat(name) for name in os.listdir(".")],
    "map": mapped,
    "history": lambda: get(HISTORY),
    "lock": lambda: (h := os.open("k", RDWR), fcntl.lockf(h, fcntl.LOCK_EX), os.close(h)),
    "pass on": passed_on,
    "program": lambda: run("cat", "k"),
}
HISTORY = f"../../../.keyfs/history/dev/{os.path.basename(os.path.dirname(os.getcwd()))}/killed/k/1"

def victim(work):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"!")
        while True:
            # What another one left may be in the way.
            outcome(work)
    os.read(reader, 1), os.close(reader), os.close(writer)
    return child

def look(kind):
    value = outcome(get, "k")
    if value not in WHOLE:
        expect(f"after {kind}", "a whole value", lambda: value if isinstance(value, str) else (len(value), set(value)))
    for name, values in {"new": (b"whole", b"", "ENOENT"), "cut": (b"sta", b"sta\0\0", b"start"), "one": (b"1", "ENOENT"), "two": (b"1", "ENOENT")}.items():
        expect(name, True, lambda: outcome(get, name) in values) if outcome(get, name) not in values else None
    if outcome(os.rename, "two", "one") not in (None, "ENOENT") or outcome(get, "one") != b"1":
        expect(f"'one' after {kind}", b"1", get, "one")
    if {outcome(get, "blue/k"), outcome(get, "green/k")} != {b"blue", b"green"}:
        expect(f"both directories after {kind}", True, lambda: False)
    lines = outcome(get, "log")
    if lines.replace(b"line\n", b""):
        expect("the log", "whole lines", lambda: lines[-20:])
    outcome(os.unlink, "new"), outcome(os.rmdir, "d"), os.chmod("k", 0o660)

put("k", b"start"), put("cut", b"start"), put("one", b"1"), put("log", b""), os.chmod("k", 0o660)
for name in ("blue", "green"):
    os.mkdir(name), put(f"{name}/k", name.encode())
for kind in KINDS:
    for round in range(rounds):
        child = victim(KINDS[kind])
        time.sleep(lots.random() * 0.004)
        os.kill(child, signal.SIGKILL)
        # A request that nobody answers would keep the process from ending.
        ended = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(ended) or os.WTERMSIG(ended) != signal.SIGKILL:
            expect(f"{kind} in a loop", "killed", lambda: ended)
    look(kind)
"#;

pub fn callers_that_are_killed() {
    let seed = seed();
    println!("seed {seed}");
    for tree in ["secrets", "variables"] {
        let mount = Mount::new();
        let below = format!("dev/{tree}/killed");
        open_directory(&mount, &below);
        let rounds = either(12, 400).to_string();
        program(User(20_001, PAYMENTS, &[]), &mount.path(&below), KILLED, &[&seed.to_string(), &rounds]);
        unharmed(&mount);
    }
}

/// Many that are killed between `open(O_CREAT)` and their first flush, or with a file that is not stored, and what a daemon
/// that begins anew finds.
pub fn what_a_killed_creator_leaves() {
    let mut mount = Mount::new();
    open_directory(&mount, "dev/secrets/d");
    let text = r#"
for number in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        handle = os.open(f"k{number % 7}", WRONLY | CREAT, 0o660)
        number % 3 and os.write(handle, b"whole")
        number % 5 == 0 and os.setxattr(f"k{number % 7}", "user.note", b"1")
        number % 4 == 0 and os.rename(f"k{number % 7}", f"m{number % 7}")
        number % 6 == 0 and os.unlink(f"m{number % 7}") if number % 4 == 0 else None
        os.kill(os.getpid(), signal.SIGKILL)
    ended = os.waitpid(child, 0)[1]
    expect(f"{number}", signal.SIGKILL, lambda: os.WTERMSIG(ended)) if not os.WIFSIGNALED(ended) else None
wait_for("all to be closed", lambda: all(outcome(get, name) in (b"", b"whole") for name in names()))
print([(name, get(name)) for name in names()])
"#;
    let count = either(60, 2000).to_string();
    program(MEMBER, &mount.path("dev/secrets/d"), text, &[&count]);
    unharmed(&mount);
    // What a closed descriptor committed is stored; the kernel closes those of who is killed as any other.
    let list = "print([(name, get(name)) for name in names()])";
    let before = program(MEMBER, &mount.path("dev/secrets/d"), list, &[]);
    mount.restart();
    assert_eq!(program(MEMBER, &mount.path("dev/secrets/d"), list, &[]), before);
    unharmed(&mount);
}
