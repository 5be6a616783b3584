//! The number of a process or thread that is gone, and that another one has now: what was known of the one says nothing of the
//! other.
//!
//! A daemon and its callers are in a pid namespace of their own, where the number of the next process can be set.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::{PRELUDE, succeed};
use crate::fixture::KEYFS;
use crate::scale::either;

const PROGRAM: &str = r#"
import threading
keyfs, home, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
key, others, met = f"{home}/keys/prod/secrets/d/k", 0, 0

def next_is(pid):
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(pid - 1))

def begin(groups, work):
    "A process of ALICE, who owns the key: the kernel lets her in, and the gate if she is in the group."
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.setgroups(groups), os.setresgid(ALICE, ALICE, ALICE), os.setresuid(ALICE, ALICE, ALICE)
            code = work()
        finally:
            os._exit(code)
    return child

def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def reads():
    "0 where the value is read, 1 where it is refused."
    return {b"value": 0, "EACCES": 1}.get(outcome(get, key), 2)

def again(pid, groups, work):
    "What a process of that number comes to; `None` where another one was quicker to get it."
    global others, met
    next_is(pid)
    child = begin(groups, work)
    came = ended(child)
    if child != pid:
        others += 1
        return None
    met += 1
    return came

def check(label, wanted, found):
    if found not in (None, wanted):
        expect(label, wanted, lambda: found)

def one_after_the_other(round):
    "In the group, out of it, in it, always of one number and with the same ids."
    member = begin([PAYMENTS], lambda: reads() or reads() or reads())
    check("a member", 0, ended(member))
    check("a stranger of its number", 1, again(member, [], reads))
    check("a member of that number", 0, again(member, [PAYMENTS], reads))
    check("somebody in another group", 1, again(member, [OPS], lambda: reads() and reads()))

def through_a_descriptor(round):
    "The same, by a descriptor that the first one opened and read from until its end."
    one, other = socket.socketpair()
    def member():
        handle = os.open(key, RDONLY)
        socket.send_fds(one, [b"x"], [handle])
        return 0 if [os.pread(handle, 9, 0) for _ in range(3)] == [b"value"] * 3 else 2
    opener = begin([PAYMENTS], member)
    check("who opens it", 0, ended(opener))
    handle = socket.recv_fds(other, 1, 1)[1][0]
    def pread():
        return {b"value": 0, "EACCES": 1}.get(outcome(os.pread, handle, 9, 0), 2)
    check("a stranger of its number by its descriptor", 1, again(opener, [], pread))
    check("a member", 0, again(opener, [PAYMENTS], pread))
    os.close(handle), one.close(), other.close()

def a_threads_number(round):
    "A thread of a process that lives on ends, and its number becomes a process."
    reader, writer = os.pipe()
    stop, go = os.pipe()
    def member():
        numbers = []
        def work():
            numbers.append(threading.get_native_id())
            numbers.append(reads())
        thread = threading.Thread(target=work)
        thread.start(), thread.join()
        # The kernel takes a moment to let go of the number.
        wait_for("the thread's end", lambda: not os.path.exists(f"/proc/self/task/{numbers[0]}"))
        os.write(writer, struct.pack("ii", *numbers))
        os.read(stop, 1)
        return reads()
    child = begin([PAYMENTS], member)
    number, read = struct.unpack("ii", os.read(reader, 8))
    check("the thread", 0, read)
    check("a stranger of the thread's number", 1, again(number, [], reads))
    os.write(go, b"!")
    check("the process meanwhile", 0, ended(child))
    [os.close(end) for end in (reader, writer, stop, go)]

def a_process_of_many_numbers(round):
    "Strangers take every number near that of a member that reads meanwhile."
    def member():
        return max(reads() for _ in range(20))
    children = [(begin(groups, work), wanted) for _ in range(4) for groups, work, wanted in (([PAYMENTS], member, 0), ([], reads, 1))]
    for child, wanted in children:
        check("somebody among others", wanted, ended(child))

with open(f"{home}/daemon.log", "w") as log:
    arguments = [keyfs, "mount", "--create", "--store", f"{home}/store.redb", "--identity", f"{home}/identity", f"{home}/keys"]
    daemon = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
try:
    if not any(line.startswith(b"keyfs: mounted") for line in daemon.stdout):
        sys.exit("not mounted")
    os.mkdir(os.path.dirname(key)), put(key, b"value"), os.chown(key, ALICE, PAYMENTS), os.chmod(key, 0o640)
    for round in range(rounds):
        for way in (one_after_the_other, through_a_descriptor, a_threads_number, a_process_of_many_numbers):
            way(round)
    expect("numbers were taken again", True, lambda: met > others and met >= rounds)
    print(f"{met} processes had a number that another one had before, {others} another one")
finally:
    daemon.send_signal(signal.SIGTERM)
    print("the daemon ended with", daemon.wait())
"#;

pub fn a_number_that_is_taken_again() {
    let home = tempfile::Builder::new().prefix("keyfs-test-").tempdir().expect("a temporary directory");
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).expect("chmod");
    // Its end is the end of all that it began, and the mount is in a mount namespace that ends with it.
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "/usr/bin/python3", "-I", "-S", "-c"]);
    command.arg(format!("{PRELUDE}\n{PROGRAM}\nsys.exit(failures > 0)\n")).arg(KEYFS).arg(home.path());
    let said = succeed({
        command.arg(either("40", "2000")).stdin(Stdio::null());
        command
    });
    println!("{said}");
    assert!(said.contains("the daemon ended with 0"), "{said}");
    let log = std::fs::read_to_string(home.path().join("daemon.log")).expect("the daemon's log");
    assert!(!log.contains("ERROR") && !log.contains("panic"), "{log}");
}
