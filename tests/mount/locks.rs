//! Locks: flock(2), fcntl(2) and lock files, which are the kernel's, and what they keep apart.

use std::process::Command;

use crate::Case;
use crate::alike::{alike, in_keyfs};
use crate::fixture::{ALICE, BOB, Mount, OPS, PAYMENTS, User, is_installed, run, wait_for};
use crate::peer::Peer;

pub const CASES: &[Case] = &[
    ("flock_between_processes", flock_between_processes),
    ("flock_is_of_the_open_file", flock_is_of_the_open_file),
    ("flock_waits", flock_waits),
    ("ranges", ranges),
    ("ranges_are_the_processs", ranges_are_the_processs),
    ("ranges_wait", ranges_wait),
    ("ranges_of_open_files", ranges_of_open_files),
    ("locks_end_with_their_process", locks_end_with_their_process),
    ("lock_files", lock_files),
    ("what_is_counted_under_a_lock_is_right", what_is_counted_under_a_lock_is_right),
    ("flock_of_the_shell", flock_of_the_shell),
    ("a_lock_stores_nothing", a_lock_stores_nothing),
    ("locks_of_who_writes_and_does_not_read", locks_of_who_writes_and_does_not_read),
];

/// Another process that does what it is told, and stays as it is in between; and locks by short names.
const OTHERS: &str = r#"
class Other:
    "A copy of this process as it is now, until this one ends."
    ends = []
    def __init__(self):
        (self.answers, answer), (question, self.questions) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            # Others are to see the end of this process, and not of its copies.
            for end in [self.questions, self.answers, *Other.ends]:
                os.close(end)
            try:
                for line in os.fdopen(question):
                    try:
                        found = outcome(eval, line, globals())
                    except Exception as error:
                        found = repr(error)
                    os.write(answer, (repr(found) + "\n").encode())
            finally:
                os._exit(0)
        os.close(answer), os.close(question)
        self.lines = os.fdopen(self.answers)
        Other.ends += [self.questions, self.answers]
    def begin(self, text):
        os.write(self.questions, (text + "\n").encode())
    def ended(self):
        return ast.literal_eval(self.lines.readline())
    def ask(self, text):
        self.begin(text)
        return self.ended()
    def close(self, kill=False):
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        Other.ends = [end for end in Other.ends if end not in (self.questions, self.answers)]
        os.close(self.questions)
        os.waitpid(self.pid, 0)
        self.lines.close()

SHARED, EXCLUSIVE, NOW, UNLOCK = fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_NB, fcntl.LOCK_UN
READ, WRITE, NONE = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
OFD_GET, OFD_SET, OFD_WAIT = 36, 37, 38

def lock(handle, kind, start=0, length=0, how=fcntl.F_SETLK, whence=os.SEEK_SET):
    "fcntl(2) of a range; of F_GETLK, who is in the way: kind, start, length and whether it is a process."
    told = fcntl.fcntl(handle, how, struct.pack("hhqqi4x", kind, whence, start, length, 0))
    if how in (fcntl.F_GETLK, OFD_GET):
        kind, _, start, length, pid = struct.unpack("hhqqi4x", told)
        return {READ: "read", WRITE: "write", NONE: None}[kind] and ({READ: "read", WRITE: "write"}[kind], start, length, pid > 0)

def waits(pid):
    "Whether a process waits for a lock."
    with open(f"/proc/{pid}/wchan") as file:
        where = file.read()
    with open("/proc/locks") as file:
        return any("->" in line and f" {pid} " in line for line in file) or "lock" in where or "setlk" in where
"#;

#[track_caller]
fn alike_with_others(text: &str) {
    alike(&format!("{OTHERS}{text}"));
}

fn flock_between_processes() {
    alike_with_others(
        r#"
put("k", b"value"), os.mkdir("d")
for name, flags in (("k", RDONLY), ("k", WRONLY), ("k", RDWR), ("d", RDONLY)):
    other = Other()
    mine = os.open(name, flags)
    theirs = f"os.open({name!r}, {flags})"
    expect("opened", None, other.ask, f"globals().update(theirs={theirs})")
    expect("shared", None, fcntl.flock, mine, SHARED)
    expect("and shared", None, other.ask, "fcntl.flock(theirs, SHARED | NOW)")
    expect("not exclusive", "EAGAIN", fcntl.flock, mine, EXCLUSIVE | NOW)
    expect("let go", None, other.ask, "fcntl.flock(theirs, UNLOCK)")
    expect("exclusive", None, fcntl.flock, mine, EXCLUSIVE | NOW)
    expect("not shared", "EAGAIN", other.ask, "fcntl.flock(theirs, SHARED | NOW)")
    expect("nor exclusive", "EAGAIN", other.ask, "fcntl.flock(theirs, EXCLUSIVE | NOW)")
    expect("only shared", None, fcntl.flock, mine, SHARED | NOW)
    expect("now it is shared", None, other.ask, "fcntl.flock(theirs, SHARED | NOW)")
    expect("closed", None, other.ask, "os.close(theirs)")
    expect("free for one", None, fcntl.flock, mine, EXCLUSIVE | NOW)
    expect("twice the same", None, fcntl.flock, mine, EXCLUSIVE | NOW)
    os.close(mine)
    expect("free", None, other.ask, f"fcntl.flock({theirs}, EXCLUSIVE | NOW)")
    other.close()
expect("nothing is kept from who does not ask", b"value", lambda: (fcntl.flock(os.open("k", RDONLY), EXCLUSIVE | NOW), elsewhere(put, "k", b"value"), elsewhere(get, "k"))[2])
"#,
    );
}

fn flock_is_of_the_open_file() {
    alike_with_others(
        r#"
put("k", b"1"), put("other", b"2")
one, two = os.open("k", RDWR), os.open("k", RDWR)
expect("one", None, fcntl.flock, one, EXCLUSIVE | NOW)
expect("the same process by another", "EAGAIN", fcntl.flock, two, EXCLUSIVE | NOW)
expect("another file", None, lambda: fcntl.flock(os.open("other", RDONLY), EXCLUSIVE | NOW))
copy = os.dup(one)
expect("a copy of it", None, fcntl.flock, copy, EXCLUSIVE | NOW)
os.close(one)
expect("held by the copy", "EAGAIN", fcntl.flock, two, SHARED | NOW)
other = Other()
os.close(copy)
expect("held by the child", "EAGAIN", fcntl.flock, two, SHARED | NOW)
expect("which has it", None, other.ask, "fcntl.flock(copy, EXCLUSIVE | NOW)")
other.close()
expect("until it ends", None, fcntl.flock, two, EXCLUSIVE | NOW)
# It is of the file, not of its name.
os.rename("k", "renamed")
expect("renamed", "EAGAIN", lambda: fcntl.flock(os.open("renamed", RDONLY), SHARED | NOW))
put("new", b"3")
os.rename("new", "renamed")
expect("replaced", None, lambda: fcntl.flock(os.open("renamed", RDONLY), EXCLUSIVE | NOW))
os.unlink("renamed")
expect("removed", None, fcntl.flock, two, UNLOCK)
# Written meanwhile, it is still the same file.
put("k", b"1")
holder = os.open("k", RDONLY)
fcntl.flock(holder, EXCLUSIVE)
put("k", b"another"), os.chmod("k", 0o600), os.truncate("k", 2)
expect("written", "EAGAIN", lambda: fcntl.flock(os.open("k", RDWR), EXCLUSIVE | NOW))
os.close(holder)
expect("let go", None, lambda: fcntl.flock(os.open("k", RDWR), EXCLUSIVE | NOW))
# What is open and not committed yet.
new = os.open("fresh", WRONLY | CREAT | EXCL, 0o600)
os.write(new, b"half")
fcntl.flock(new, EXCLUSIVE)
expect("a new one", "EAGAIN", lambda: fcntl.flock(os.open("fresh", RDONLY), EXCLUSIVE | NOW))
os.fsync(new)
expect("once it is committed", "EAGAIN", lambda: fcntl.flock(os.open("fresh", RDONLY), EXCLUSIVE | NOW))
os.close(new)
expect("free", None, lambda: fcntl.flock(os.open("fresh", RDONLY), EXCLUSIVE | NOW))
"#,
    );
}

fn flock_waits() {
    alike_with_others(
        r#"
put("k", b"")
others = [Other() for _ in range(3)]
mine = os.open("k", RDWR)
fcntl.flock(mine, EXCLUSIVE)
for other in others:
    other.ask("globals().update(theirs=os.open('k', RDWR))")
    other.begin("fcntl.flock(theirs, EXCLUSIVE)")
wait_for("them to wait", lambda: all(waits(other.pid) for other in others))
put("order", b"")
fcntl.flock(mine, UNLOCK)
# One after the other comes to have it, and nobody beside it.
waiting = list(others)
import select
for turn in range(3):
    ready = select.select([other.answers for other in waiting], [], [], 30)[0]
    expect("one at a time", 1, lambda: len(ready))
    first = next(other for other in waiting if other.answers == ready[0])
    expect("has it", None, first.ended)
    expect("nobody else", "EAGAIN", fcntl.flock, mine, SHARED | NOW)
    waiting.remove(first)
    if turn % 2:
        expect("lets go", None, first.ask, "os.close(theirs)")
    first.close(kill=True)
expect("free again", None, fcntl.flock, mine, EXCLUSIVE | NOW)
# A signal ends the wait.
other = Other()
other.ask("[signal.signal(signal.SIGUSR1, lambda *_: (_ for _ in ()).throw(InterruptedError(errno.EINTR, 'told'))), None][1]")
other.ask("globals().update(theirs=os.open('k', RDWR))")
other.begin("fcntl.flock(theirs, EXCLUSIVE)")
wait_for("it to wait", lambda: waits(other.pid))
os.kill(other.pid, signal.SIGUSR1)
expect("interrupted", "EINTR", other.ended)
other.close()
"#,
    );
}

fn ranges() {
    alike_with_others(
        r#"
put("k", b"0123456789" * 10)
other = Other()
mine = os.open("k", RDWR)
other.ask("globals().update(theirs=os.open('k', RDWR), reading=os.open('k', RDONLY), writing=os.open('k', WRONLY))")
ask = other.ask
expect("a part", None, lock, mine, WRITE, 10, 10)
expect("the same part", "EAGAIN", ask, "lock(theirs, WRITE, 10, 10)")
expect("to read", "EAGAIN", ask, "lock(theirs, READ, 10, 10)")
for start, length in ((0, 11), (19, 1), (15, 2), (0, 0), (5, 100)):
    expect(f"{length} from {start}", "EAGAIN", ask, f"lock(theirs, READ, {start}, {length})")
for start, length in ((0, 10), (20, 0), (20, 1), (1000, 5)):
    expect(f"{length} from {start}", None, ask, f"lock(theirs, WRITE, {start}, {length})")
expect("who is in the way", ("write", 10, 10, True), ask, "lock(theirs, WRITE, 0, 0, fcntl.F_GETLK)")
expect("nobody", None, ask, "lock(theirs, WRITE, 0, 5, fcntl.F_GETLK)")
expect("and of mine", ("write", 20, 0, True), lock, mine, READ, 20, 0, fcntl.F_GETLK)
expect("all of theirs", None, ask, "lock(theirs, NONE)")
# In the middle of a lock there can be a hole.
expect("let go in the middle", None, lock, mine, NONE, 13, 3)
expect("the middle", None, ask, "lock(theirs, WRITE, 13, 3)")
expect("before it", "EAGAIN", ask, "lock(theirs, WRITE, 12, 1)")
expect("behind it", "EAGAIN", ask, "lock(theirs, WRITE, 16, 1)")
expect("not over theirs", "EAGAIN", lock, mine, WRITE, 10, 10)
expect("theirs goes", None, ask, "lock(theirs, NONE, 13, 3)")
# To read, together.
expect("all, to read", None, lock, mine, READ)
expect("they too", None, ask, "lock(reading, READ, 0, 50)")
expect("not to write", "EAGAIN", lock, mine, WRITE, 49, 1)
expect("behind it", None, lock, mine, WRITE, 50, 0)
expect("not to write either", "EAGAIN", ask, "lock(theirs, WRITE, 0, 1)")
# A descriptor locks what it is open for.
expect("a reader to write", "EBADF", ask, "lock(reading, WRITE, 0, 1)")
expect("a writer to read", "EBADF", ask, "lock(writing, READ, 0, 1)")
expect("let go", None, lock, mine, NONE)
expect("a writer to write", None, ask, "lock(writing, WRITE, 60, 1)")
expect("and theirs", None, ask, "lock(theirs, NONE)")
# From the end and from where it stands, and wrong ones.
expect("from the end", None, lock, mine, WRITE, -10, 10, fcntl.F_SETLK, os.SEEK_END)
expect("it is there", ("write", 90, 10, True), ask, "lock(theirs, WRITE, 80, 0, fcntl.F_GETLK)")
os.lseek(mine, 30, os.SEEK_SET)
expect("from here backward", None, lock, mine, WRITE, 0, -5, fcntl.F_SETLK, os.SEEK_CUR)
expect("it is there", ("write", 25, 5, True), ask, "lock(theirs, WRITE, 20, 20, fcntl.F_GETLK)")
expect("before the start", "EINVAL", lock, mine, WRITE, -1, 1)
expect("of no kind", "EINVAL", lock, mine, 77, 0, 1)
expect("of nothing open", "EBADF", lock, 999, WRITE)
expect("by lockf", "EAGAIN", ask, "fcntl.lockf(theirs, EXCLUSIVE | NOW, 5, 25)")
# They and flock know nothing of each other.
expect("flock beside them", None, ask, "fcntl.flock(theirs, EXCLUSIVE | NOW)")
other.close()
"#,
    );
}

fn ranges_are_the_processs() {
    alike_with_others(
        r#"
put("k", b"value")
one, two = os.open("k", RDWR), os.open("k", RDWR)
other = Other()
other.ask("globals().update(theirs=os.open('k', RDWR))")
expect("by one", None, lock, one, WRITE, 0, 10)
expect("by the other of the same process", None, lock, two, WRITE, 5, 10)
expect("both are one", ("write", 0, 15, True), other.ask, "lock(theirs, WRITE, 0, 0, fcntl.F_GETLK)")
# Any descriptor of it that the process closes takes all of them away.
opened("k", RDONLY)
expect("gone", None, other.ask, "lock(theirs, WRITE, 0, 0, fcntl.F_GETLK)")
expect("again", None, lock, one, WRITE, 0, 10)
os.close(os.dup(one))
expect("gone by a copy too", None, other.ask, "lock(theirs, WRITE)")
expect("theirs", "EAGAIN", lock, one, READ, 3, 1)
# What another process closes is not one of its own.
expect("let go", None, other.ask, "lock(theirs, NONE)")
expect("mine", None, lock, one, WRITE)
expect("closed by the child", None, other.ask, "os.close(one)")
expect("held", "EAGAIN", other.ask, "lock(theirs, WRITE)")
# A child has none of its parent's.
child = Other()
expect("a child", "EAGAIN", child.ask, "lock(one, WRITE)")
expect("nor lets it go", None, child.ask, "lock(one, NONE)")
expect("held", "EAGAIN", other.ask, "lock(theirs, WRITE)")
child.close()
expect("held still", "EAGAIN", other.ask, "lock(theirs, WRITE)")
expect("replaced, and a file of its own", None, lambda: (put("new", b"1"), os.rename("new", "k"), other.ask("lock(os.open('k', RDWR), WRITE)"))[2])
other.close()
"#,
    );
}

fn ranges_wait() {
    alike_with_others(
        r#"
put("k", b"value")
other = Other()
mine = os.open("k", RDWR)
other.ask("globals().update(theirs=os.open('k', RDWR))")
lock(mine, WRITE, 0, 1)
other.begin("lock(theirs, WRITE, 0, 2, fcntl.F_SETLKW)")
wait_for("it to wait", lambda: waits(other.pid))
lock(mine, NONE)
expect("it comes to have it", None, other.ended)
expect("not mine", "EAGAIN", lock, mine, WRITE, 1, 1)
# Two that would wait for each other for ever: one of them is told.
expect("one", None, lock, mine, WRITE, 10, 1)
other.begin("lock(theirs, WRITE, 10, 1, fcntl.F_SETLKW)")
wait_for("it to wait", lambda: waits(other.pid))
expect("the other", errno.errorcode[errno.EDEADLK], lock, mine, WRITE, 0, 1, fcntl.F_SETLKW)
lock(mine, NONE)
expect("goes on", None, other.ended)
# A process that ends lets go of all.
other.close(kill=True)
expect("free", None, lock, mine, WRITE)
"#,
    );
}

fn ranges_of_open_files() {
    alike_with_others(
        r#"
put("k", b"value")
other = Other()
one, two = os.open("k", RDWR), os.open("k", RDWR)
other.ask("globals().update(theirs=os.open('k', RDWR))")
expect("by one", None, lock, one, WRITE, 0, 10, OFD_SET)
expect("the other of the same process", "EAGAIN", lock, two, WRITE, 5, 1, OFD_SET)
expect("beside it", None, lock, two, WRITE, 10, 5, OFD_SET)
expect("of another process", "EAGAIN", other.ask, "lock(theirs, READ, 0, 1, OFD_SET)")
expect("nor as a process", "EAGAIN", other.ask, "lock(theirs, READ, 0, 1)")
expect("who is in the way", ("write", 0, 10, False), lock, two, WRITE, 0, 0, OFD_GET)
# Closing another descriptor of it lets nothing go.
opened("k", RDWR)
expect("held", "EAGAIN", other.ask, "lock(theirs, WRITE, 0, 1, OFD_SET)")
copy = os.dup(one)
os.close(one)
expect("held by its copy", "EAGAIN", other.ask, "lock(theirs, WRITE, 0, 1, OFD_SET)")
child = Other()
os.close(copy)
expect("held by the child", "EAGAIN", other.ask, "lock(theirs, WRITE, 0, 1, OFD_SET)")
child.close()
expect("free", None, other.ask, "lock(theirs, WRITE, 0, 10, OFD_SET)")
third = os.open("k", RDWR)
waiter = Other()
waiter.begin("lock(third, READ, 0, 1, OFD_WAIT)")
wait_for("it to wait", lambda: waits(waiter.pid))
expect("let go", None, other.ask, "lock(theirs, NONE, 0, 0, OFD_SET)")
expect("it comes to have it", None, waiter.ended)
waiter.close(), other.close()
"#,
    );
}

fn locks_end_with_their_process() {
    alike_with_others(
        r#"
put("k", b"value")
for how, held in (("fcntl.flock(theirs, EXCLUSIVE)", lambda handle: fcntl.flock(handle, SHARED | NOW)),
                  ("lock(theirs, WRITE)", lambda handle: lock(handle, READ)),
                  ("lock(theirs, WRITE, 0, 0, OFD_SET)", lambda handle: lock(handle, READ, 0, 0, OFD_SET))):
    for kill in (False, True):
        other = Other()
        other.ask("globals().update(theirs=os.open('k', RDWR))")
        expect(how, None, other.ask, how)
        mine = os.open("k", RDWR)
        expect("held", "EAGAIN", held, mine)
        # Whatever it has written and not flushed.
        other.ask("os.pwrite(theirs, b'V', 0)")
        other.close(kill)
        expect("free", None, held, mine)
        os.close(mine)
wait_for("what the last one wrote", lambda: get("k") == b"Value")
# So it is when it becomes another program that does not have the file.
other = Other()
other.ask("globals().update(theirs=os.open('k', RDWR))")
other.ask("lock(theirs, WRITE)")
other.begin("os.execv('/bin/sh', ['sh', '-c', 'read line'])")
mine = os.open("k", RDWR)
wait_for("the other program", lambda: outcome(lock, mine, WRITE) is None)
other.close(kill=True)
"#,
    );
}

fn lock_files() {
    alike_with_others(
        r#"
# By a file that only one can make.
others = [Other() for _ in range(4)]
def race(text):
    for other in others:
        other.begin(text)
    return sorted(map(str, (other.ended() for other in others)))
for round in range(10):
    expect("one makes it", ["EEXIST"] * 3 + ["None"], race, "opened('k.lock', WRONLY | CREAT | EXCL)")
    expect("one removes it", ["ENOENT"] * 3 + ["None"], race, "os.unlink('k.lock')")
    expect("one makes the directory", ["EEXIST"] * 3 + ["None"], race, "os.mkdir('k.lock')")
    expect("one removes the directory", ["ENOENT"] * 3 + ["None"], race, "os.rmdir('k.lock')")
# With who holds it, written before anybody sees it.
for other in others:
    other.ask("put(f'mine-{os.getpid()}', str(os.getpid()).encode())")
expect("one gives it the name", ["EEXIST"] * 3 + ["None"], race, "rename(f'mine-{os.getpid()}', 'k.pid', NOREPLACE)")
expect("and is named in it", True, lambda: int(get("k.pid")) in [other.pid for other in others])
# A pid file that is locked as long as its process lives.
holder = Other()
expect("held", None, holder.ask, "globals().update(pid=os.open('daemon.pid', RDWR | CREAT, 0o644)) or fcntl.flock(pid, EXCLUSIVE | NOW) or os.ftruncate(pid, 0) or os.pwrite(pid, b'%d' % os.getpid(), 0) and os.fsync(pid)")
expect("named", True, lambda: int(get("daemon.pid")) == holder.pid)
expect("nobody else", ["EAGAIN"] * 4, race, "fcntl.flock(os.open('daemon.pid', RDWR), EXCLUSIVE | NOW)")
holder.close(kill=True)
expect("stale, and so to be had", None, others[0].ask, "fcntl.flock(os.open('daemon.pid', RDWR), EXCLUSIVE | NOW)")
for other in others:
    other.close()
"#,
    );
}

fn what_is_counted_under_a_lock_is_right() {
    alike_with_others(
        r#"
# The value is opened while the lock is held: an open file reads the version that it was opened on.
def add(path="count"):
    put(path, b"%d" % (int(get(path)) + 1))
def by_flock():
    handle = os.open("lock", RDWR | CREAT, 0o644)
    fcntl.flock(handle, EXCLUSIVE)
    add()
    os.close(handle)
def by_flock_of_itself():
    handle = os.open("count", RDONLY)
    fcntl.flock(handle, EXCLUSIVE)
    add()
    os.close(handle)
def by_range():
    handle = os.open("lock", RDWR | CREAT, 0o644)
    lock(handle, WRITE, 0, 1, fcntl.F_SETLKW)
    add()
    os.close(handle)
def by_open_file():
    handle = os.open("lock", RDWR | CREAT, 0o644)
    lock(handle, WRITE, 0, 1, OFD_WAIT)
    add()
    os.close(handle)
def by_existence():
    while outcome(opened, "lock.only", WRONLY | CREAT | EXCL) == "EEXIST":
        time.sleep(0.001)
    add()
    os.unlink("lock.only")
def by_directory():
    while outcome(os.mkdir, "lock.d") == "EEXIST":
        time.sleep(0.001)
    add()
    os.rmdir("lock.d")
for way in (by_flock, by_flock_of_itself, by_range, by_open_file, by_existence, by_directory):
    put("count", b"0")
    children = []
    for _ in range(5):
        child = os.fork()
        if child == 0:
            try:
                for step in range(12):
                    way()
                os._exit(0)
            except BaseException as error:
                print(way.__name__, repr(error), file=sys.stderr, flush=True)
                os._exit(1)
        children.append(child)
    expect(way.__name__, [0] * 5, lambda: [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
    expect("counted", b"60", get, "count")
"#,
    );
}

fn flock_of_the_shell() {
    if !is_installed("flock") {
        return;
    }
    let mount = Mount::new();
    for tree in ["dev/variables", "dev/secrets"] {
        let directory = mount.path(tree);
        mount.put(&format!("{tree}/count"), "0\n");
        let script = "for writer in 1 2 3 4 5; do (for step in 1 2 3 4 5 6; do \
            flock count sh -c 'read n < count; echo $((n + 1)) > count'; done) & done; wait; cat count";
        assert_eq!(run(Command::new("sh").arg("-c").arg(script).current_dir(&directory)), "30\n");
        let script = "exec 9> lock; flock -n 9 && flock -n lock echo taken twice; echo $?";
        assert_eq!(run(Command::new("sh").arg("-c").arg(script).current_dir(&directory)), "1\n");
    }
}

fn a_lock_stores_nothing() {
    let mount = Mount::new();
    let text = r#"
put("k", b"value")
version = lambda: int(os.getxattr("k", "system.keyfs.version"))
was = os.stat("k")
handle = os.open("k", RDWR)
fcntl.flock(handle, EXCLUSIVE), lock(handle, WRITE, 0, 1), lock(handle, READ, 2, 1, OFD_SET)
expect("others read and write on", b"another", lambda: (elsewhere(put, "k", b"another"), elsewhere(get, "k"))[1])
expect("one version more, of theirs", 2, version)
os.close(handle)
expect("none of the lock's", (2, b"another"), lambda: (version(), get("k")))
lock_only = os.open("l", RDWR | CREAT, 0o600)
fcntl.flock(lock_only, EXCLUSIVE)
expect("a lock file is there at once", True, elsewhere, os.path.exists, "l")
os.close(lock_only)
expect("empty", 0, size, "l")
"#;
    in_keyfs(&mount, "dev/variables/l", &format!("{OTHERS}{text}"));
    in_keyfs(&mount, "dev/secrets/l", &format!("{OTHERS}{text}"));
}

fn locks_of_who_writes_and_does_not_read() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put("prod/secrets/db/token", "s3cret");
    mount.own("prod/secrets/db/token", 0, PAYMENTS, 0o640);
    let key = mount.path("prod/secrets/db/token");
    run(Command::new("setfacl").arg("-m").arg(format!("g:{OPS}:w")).arg(&key));
    let (mut job, mut reader) = (Peer::new(User(BOB, BOB, &[OPS])), Peer::new(User(ALICE, ALICE, &[PAYMENTS])));
    let mut stranger = Peer::new(User(BOB, BOB, &[]));
    let open = |flags: &str| format!("fd = open('{}', {flags})", key.display());
    stranger.is(&open("O_RDONLY"), "EACCES");
    stranger.is(&open("O_WRONLY"), "EACCES");
    job.is(&open("O_RDONLY"), "EACCES");
    job.is(&open("O_WRONLY"), "done");
    reader.is(&open("O_WRONLY"), "EACCES");
    reader.is(&open("O_RDONLY"), "done");
    // One locks what the other does not read, and the other way round.
    job.is("fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)", "None");
    reader.is("fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)", "EAGAIN");
    job.is("fcntl.flock(fd, fcntl.LOCK_UN)", "None");
    reader.is("fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)", "None");
    job.is("fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)", "EAGAIN");
    job.is("fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10)", "None");
    job.is("fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, 10)", "EBADF");
    reader.is("fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, 10)", "EAGAIN");
    reader.is("fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10)", "EBADF");
    // A lock is no permission.
    job.is("pread(fd, 10, 0)", "EBADF");
    job.is("ftruncate(fd, 0); pwrite(fd, b'rotated', 0); close(fd)", "done");
    job.is(&open("O_RDONLY"), "EACCES");
    reader.is("close(fd)", "None");
    reader.is(&open("O_RDONLY"), "done");
    reader.is("read(fd, 10)", "b'rotated'");
    // Nor does the loss of one take a lock away from whom has it open.
    reader.is("fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)", "None");
    mount.own("prod/secrets/db/token", 0, 0, 0o600);
    reader.is("pread(fd, 10, 0)", "EACCES");
    job.is(&open("O_WRONLY"), "EACCES");
    let mut root = Peer::new(crate::fixture::ROOT);
    root.is(&open("O_RDWR"), "done");
    root.is("fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)", "EAGAIN");
    drop(reader);
    wait_for("the lock to be let go", || root.ask("fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)") == "None");
}
