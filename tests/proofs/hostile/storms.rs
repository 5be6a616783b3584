//! Many at once: renames that would make cycles, and everything else.

use super::{Mount, PAYMENTS, User, open_directory, program, unharmed};
use crate::scale::{either, seed};

/// Moves directories below each other, exchanges them, makes and removes some, in many processes of several users.
const STORM: &str = r#"
import random
seed, processes, rounds = map(int, sys.argv[1:])
DIRECTORIES, KEYS = [f"d{number}" for number in range(6)], [f"k{number}" for number in range(24)]
REFUSALS = {"EINVAL", "ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR", "EISDIR", "EAGAIN", "EPERM", "EACCES", "ELOOP"}

def place(lots, depth=3):
    return "/".join(lots.choice(DIRECTORIES) for _ in range(lots.randrange(1, depth + 1)))

def storm(lots):
    moved = 0
    for _ in range(rounds):
        one, other = place(lots), place(lots)
        kind = lots.randrange(10)
        if kind < 5:
            came = outcome(os.rename, one, other + "/" + lots.choice(DIRECTORIES))
        elif kind < 8:
            came = outcome(rename, one, other, EXCHANGE)
        elif kind == 8:
            came = outcome(os.rename, one + "/" + lots.choice(KEYS), other + "/" + lots.choice(KEYS) + "-")
            came = came if came != "ENOENT" else None
        else:
            came = outcome(rename, one, other, NOREPLACE)
        if came is None:
            moved += 1
        elif came not in REFUSALS:
            print(f"{one} and {other}: {came}", file=sys.stderr, flush=True)
            os._exit(99)
    os._exit(1 if moved else 0)

for name in DIRECTORIES:
    os.mkdir(name), os.chmod(name, 0o777), os.mkdir(f"{name}/{name}x"), os.chmod(f"{name}/{name}x", 0o777)
for number, key in enumerate(KEYS):
    put(f"{DIRECTORIES[number % 6]}/{key}", key.encode())
    os.chmod(f"{DIRECTORIES[number % 6]}/{key}", 0o660)
children = []
for number in range(processes):
    child = os.fork()
    if child == 0:
        uid = (0, ALICE, BOB)[number % 3]
        os.setgroups([PAYMENTS]), os.setresgid(uid, uid, uid), os.setresuid(uid, uid, uid)
        storm(random.Random(seed + number))
    children.append(child)
ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
expect("nothing else happened", True, lambda: set(ended) <= {0, 1})
expect("somebody moved something", True, lambda: 1 in ended)
"#;

/// Every entry once, each count right, each way up leading down again.
const WALK: &str = r#"
seen, found = set(), {}
def walk(directory, above):
    "By descriptors, since a cycle has no end."
    handle = os.open(directory, RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
    own = os.fstat(handle)
    if own.st_ino in seen:
        sys.exit(f"{directory} is there twice")
    seen.add(own.st_ino)
    if os.stat("..", dir_fd=handle).st_ino != os.fstat(above).st_ino:
        sys.exit(f"{directory} leads up elsewhere")
    below = 0
    for name in os.listdir(handle):
        entry = os.stat(name, dir_fd=handle, follow_symlinks=False)
        if stat.S_ISDIR(entry.st_mode):
            below += 1
            walk(name, handle)
        else:
            if entry.st_ino in seen or entry.st_nlink != 1:
                sys.exit(f"{name} is there twice")
            seen.add(entry.st_ino)
            reader = os.open(name, RDONLY, dir_fd=handle)
            found.setdefault(whole(reader).decode(), []).append(name)
            os.close(reader)
    if os.stat(".", dir_fd=handle).st_nlink != 2 + below:
        sys.exit(f"{directory} has {below} directories and {os.stat('.', dir_fd=handle).st_nlink} links")
    os.close(handle)

top = os.open("..", RDONLY | os.O_DIRECTORY)
walk(os.path.basename(os.getcwd()), top)
# What was renamed over is gone; nothing else is, and nothing is there twice.
expect("each key once", [], lambda: [key for key, places in found.items() if len(places) > 1])
expect("the inner directories", 13, lambda: sum(1 for _ in os.walk(".")))
print(sorted(found.items()), len(seen))
"#;

pub fn a_storm_of_renames() {
    let seed = seed();
    println!("seed {seed}");
    for tree in ["secrets", "variables"] {
        let mut mount = Mount::new();
        let below = format!("dev/{tree}/storm");
        open_directory(&mount, &below);
        // Keys are made by somebody in the group, so that secrets can be read when it is over.
        let who = User(0, PAYMENTS, &[]);
        let counts = [seed.to_string(), either(8, 24).to_string(), either(150, 4000).to_string()];
        program(who, &mount.path(&below), STORM, &[&counts[0], &counts[1], &counts[2]]);
        let before = program(who, &mount.path(&below), WALK, &[]);
        unharmed(&mount);
        mount.restart();
        assert_eq!(
            program(who, &mount.path(&below), WALK, &[]),
            before,
            "the store has another tree than the mount had"
        );
    }
}

/// Operations of all kinds on few names by 64 threads in two processes.
const THREADS: &str = r#"
import random, threading
seed, seconds = int(sys.argv[1]), float(sys.argv[2])
# ESTALE: the kernel looks a name up once more where what it stood for is gone, and then others may have replaced it again.
REFUSALS = {"ESTALE", "ENOENT", "EEXIST", "EAGAIN", "ENOTEMPTY", "EINVAL", "EISDIR", "ENOTDIR", "ENODATA"}
KEYS, DIRECTORIES = [f"k{number}" for number in range(6)], [f"d{number}" for number in range(3)]
wrong, counts, guard = [], {}, threading.Lock()

def path(lots):
    return (lots.choice(DIRECTORIES) + "/" if lots.randrange(2) else "") + lots.choice(KEYS)

def value(lots):
    return bytes([97 + lots.randrange(26)]) * lots.choice((1, 40, 4096, 5000, 70_000))

def write_in_place(name, lots):
    handle = os.open(name, RDWR)
    try:
        os.pwrite(handle, value(lots), lots.randrange(100))
        if lots.randrange(2):
            os.fsync(handle)
        if lots.randrange(2):
            os.ftruncate(handle, lots.randrange(5000))
    finally:
        os.close(handle)

def mapped(name):
    handle = os.open(name, RDONLY)
    try:
        length = os.fstat(handle).st_size
        if length:
            mmap.mmap(handle, length, mmap.MAP_PRIVATE, mmap.PROT_READ).close()
    except ValueError:
        # Python asks for the size itself, which follows what other threads of the process have open.
        pass
    finally:
        os.close(handle)

def locked(name):
    handle = os.open(name, RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(handle, b"locked")
    except BlockingIOError:
        pass
    finally:
        os.close(handle)

def duplicated(name, lots):
    handle = os.open(name, WRONLY | CREAT | TRUNC, 0o660)
    twin = os.dup(handle)
    os.write(handle, value(lots)), os.close(handle), os.write(twin, b"!"), os.close(twin)

def one(lots):
    name = path(lots)
    kind = lots.randrange(20)
    if kind < 4:
        return put(name, value(lots), mode=0o660)
    if kind < 8:
        return get(name)
    return (
        lambda: put(name, b"+" * 40, WRONLY | CREAT | APPEND, 0o660),
        lambda: write_in_place(name, lots),
        lambda: os.rename(name, path(lots)),
        lambda: rename(name, path(lots), EXCHANGE),
        lambda: os.unlink(name),
        lambda: os.truncate(name, lots.randrange(5000)),
        lambda: os.chmod(name, lots.choice((0o660, 0o640, 0o600))),
        lambda: os.setxattr(name, "user.note", value(lots)[:200]),
        lambda: [os.stat(found) for found in os.listdir(".")],
        lambda: (mapped(name), locked(name)),
        lambda: duplicated(name, lots),
        lambda: (os.mkdir(name + "-d"), os.rmdir(name + "-d")),
    )[kind - 8]()

def work(number):
    lots = random.Random(seed + number)
    mine = {}
    try:
        # On a machine that is busy a few operations may take all of the time.
        while (time.monotonic() < end or sum(mine.values()) < 5) and not wrong:
            came = outcome(one, lots)
            came = came if isinstance(came, str) else "done"
            mine[came] = mine.get(came, 0) + 1
            if came != "done" and came not in REFUSALS:
                wrong.append(came)
    except BaseException as error:
        wrong.append(repr(error))
    with guard:
        for came, count in mine.items():
            counts[came] = counts.get(came, 0) + count

for name in DIRECTORIES:
    if not os.path.isdir(name):
        outcome(os.mkdir, name)
end = time.monotonic() + seconds
threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
expect("nothing unexpected came", [], lambda: wrong[:3])
expect("much was done", True, lambda: counts.get("done", 0) > sum(counts.values()) / 3)
print(counts)
"#;

pub fn sixty_four_threads() {
    let seed = seed();
    println!("seed {seed}");
    for tree in ["secrets", "variables"] {
        let mut mount = Mount::new();
        let below = format!("dev/{tree}/threads");
        open_directory(&mount, &below);
        let (directory, time) = (mount.path(&below), either("2", "180"));
        let run = |number: u64| {
            let seed = seed.wrapping_add(1000 * number).to_string();
            program(User(0, PAYMENTS, &[]), &directory, THREADS, &[&seed, time])
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| run(1));
            println!("{}", run(0));
            println!("{}", other.join().expect("the other process"));
        });
        unharmed(&mount);
        mount.restart();
        program(
            User(0, PAYMENTS, &[]),
            &mount.path(&below),
            "[get(name) for name in names() if os.path.isfile(name)]",
            &[],
        );
        unharmed(&mount);
    }
}
