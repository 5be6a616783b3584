//! Whose groups count, where everything else about a caller stays the same: its number, its ids, its program, its descriptors.
//!
//! The callers here have CAP_DAC_READ_SEARCH, so that the kernel's own check of permission bits stands in nobody's way: what
//! keeps them out is the gate alone, and it must go by the groups of this very moment and thread. CAP_SETGID lets them change
//! those as often as they like.

use std::process::Command;

use super::{BOB, Mount, PAYMENTS, PRELUDE, User, secret, succeed, unharmed};
use crate::fixture::{ALICE, OPS};
use crate::scale::either;

/// What the programs of this file begin with.
const GROUPS: &str = r#"
import platform, threading
key, rounds = sys.argv[1], int(sys.argv[2])
SETGROUPS = {"x86_64": 116, "aarch64": 159}[platform.machine()]

def groups(*wanted):
    "Sets this thread's groups alone, by the system call itself."
    ids = (ctypes.c_uint32 * max(1, len(wanted)))(*wanted)
    if libc.syscall(SETGROUPS, len(wanted), ids) != 0:
        sys.exit(f"setgroups: {errno.errorcode[ctypes.get_errno()]}")

def reads():
    return outcome(get, key)

def check(label, wanted, found):
    if found != wanted:
        expect(label, wanted, lambda: found)
"#;

/// A program by somebody with these ids who may set his groups and whom the kernel lets read all; the daemon asks for a group.
fn with_capabilities(user: User<'_>, mount: &Mount, text: &str, arguments: &[&str]) -> Command {
    let User(uid, gid, groups) = user;
    let capabilities = "+setgid,+dac_read_search";
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}"));
    match groups {
        [] => command.arg("--clear-groups"),
        groups => command.arg(format!("--groups={}", groups.iter().map(u32::to_string).collect::<Vec<_>>().join(","))),
    };
    command.args([
        "--inh-caps",
        capabilities,
        "--ambient-caps",
        capabilities,
        "--",
        "/usr/bin/python3",
        "-I",
        "-S",
        "-c",
    ]);
    command.arg(format!("{PRELUDE}{GROUPS}{text}\nsys.exit(failures > 0)\n")).args(arguments);
    command.current_dir(mount.root()).stdin(std::process::Stdio::null());
    command
}

/// The same as root, who is let in by the kernel without being told so.
fn callers() -> [User<'static>; 2] {
    [User(ALICE, ALICE, &[PAYMENTS]), User(0, 0, &[PAYMENTS])]
}

fn key(mount: &Mount) -> String {
    mount.mkdir("prod/secrets/d");
    secret(mount, "prod/secrets/d/k", "value");
    mount.path("prod/secrets/d/k").to_str().expect("text").to_owned()
}

pub fn groups_that_come_and_go() {
    let mount = Mount::new();
    let key = key(&mount);
    let text = r#"
for round in range(rounds):
    groups(PAYMENTS)
    check(f"{round}: in the group", b"value", reads())
    held = os.open(key, RDONLY)
    check(f"{round}: by descriptor", b"value", os.pread(held, 9, 0))
    # At once: no open may go by what the one before it was told.
    groups()
    check(f"{round}: out of it", "EACCES", reads())
    groups(OPS, ANALYSTS)
    check(f"{round}: in others", "EACCES", reads())
    check(f"{round}: to read and write", "EACCES", outcome(opened, key, RDWR))
    # A descriptor's last decision may hold for half a millisecond.
    begun = time.monotonic()
    while outcome(os.pread, held, 9, 0) == b"value":
        if time.monotonic() - begun > 5:
            sys.exit("the descriptor still reads")
    check(f"{round}: by descriptor", "EACCES", outcome(os.pread, held, 9, 0))
    os.close(held)
    os.setegid(PAYMENTS)
    check(f"{round}: as the primary group", b"value", reads())
    os.setegid(ALICE if os.getuid() else 0)
    check(f"{round}: no longer", "EACCES", reads())
"#;
    for user in callers() {
        succeed(with_capabilities(user, &mount, text, &[&key, either("120", "20000")]));
    }
    unharmed(&mount);
}

pub fn threads_with_other_groups() {
    let mount = Mount::new();
    let key = key(&mount);
    let text = r#"
# Four threads of one process, two of them in the group, at the same time, with descriptors that they share.
wrong, held = [], [os.open(key, RDONLY) for _ in range(2)]
begin = threading.Barrier(4)

def work(member):
    groups(*([PAYMENTS] if member else [OPS]))
    wanted = b"value" if member else "EACCES"
    begin.wait()
    for round in range(rounds):
        for way in (reads, lambda: outcome(os.pread, held[round % 2], 9, 0)):
            found = way()
            if found != wanted:
                wrong.append((member, round, found))
                return

groups(PAYMENTS)
threads = [threading.Thread(target=work, args=(number % 2 == 0,)) for number in range(4)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
expect("each thread's own groups counted", [], lambda: wrong)
# A thread begins with the groups of the one that began it, and keeps them when that one has others.
def later():
    go.wait()
    found.append(reads())
for first, then, wanted in (((PAYMENTS,), (), b"value"), ((), (PAYMENTS,), "EACCES")):
    for round in range(rounds // 10):
        go, found = threading.Event(), []
        groups(*first)
        thread = threading.Thread(target=later)
        thread.start()
        groups(*then)
        own = reads()
        go.set(), thread.join()
        check("the thread's", [wanted], found)
        check("the one's that began it", "EACCES" if wanted == b"value" else b"value", own)
"#;
    for user in callers() {
        succeed(with_capabilities(user, &mount, text, &[&key, either("300", "50000")]));
    }
    unharmed(&mount);
}

pub fn programs_that_start_without_groups() {
    let mount = Mount::new();
    let key = key(&mount);
    // One process, one number: it reads, and becomes another program that has the group no longer, and reads again.
    let text = r#"
for round in range(rounds):
    for drops, wanted in ((["--clear-groups"], 1), ([f"--groups={OPS}"], 1), (["--keep-groups"], 0)):
        child = os.fork()
        if child == 0:
            groups(PAYMENTS)
            if reads() != b"value":
                os._exit(99)
            os.dup2(os.open(os.devnull, WRONLY), 1), os.dup2(1, 2)
            os.execvp("setpriv", ["setpriv", *drops, "--", "cat", key])
        check(f"after {drops}", wanted, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;
    for user in callers() {
        succeed(with_capabilities(user, &mount, text, &[&key, either("15", "1000")]));
    }
    unharmed(&mount);
}

pub fn callers_in_every_namespace() {
    let mount = Mount::new();
    let key = key(&mount);
    let cat = ["cat", key.as_str()];
    let fork = ["--pid", "--fork", "--kill-child"];
    let ways: &[&[&str]] = &[
        &[],
        &["--mount"],
        &["--mount", "--mount-proc", "--pid", "--fork", "--kill-child"],
        &fork,
        &["--net", "--ipc", "--uts", "--cgroup", "--time"],
        &["--user", "--map-root-user"],
        &["--user", "--map-current-user"],
        &["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
        &["--user"],
        &[
            "--user",
            "--map-root-user",
            "--net",
            "--ipc",
            "--uts",
            "--mount",
            "--cgroup",
            "--pid",
            "--fork",
            "--kill-child",
        ],
    ];
    // One in another.
    for first in ways {
        for second in ways {
            let nested = |user: User<'_>| {
                let mut command = user.command("unshare");
                command.args(*first).arg("unshare").args(*second).args(cat);
                command.output().expect("unshare")
            };
            let (member, other) = (nested(User(ALICE, ALICE, &[PAYMENTS])), nested(User(BOB, BOB, &[OPS])));
            let (root, both) = (nested(User(0, 0, &[])), nested(User(0, 0, &[PAYMENTS])));
            for refused in [&other, &root] {
                assert!(refused.stdout.is_empty() && !refused.status.success(), "{first:?} {second:?}: {refused:?}");
            }
            for served in [&member, &both] {
                let stderr = String::from_utf8_lossy(&served.stderr);
                // An ordinary user may not make some namespaces, and some not within others.
                let made = !stderr.contains("unshare: ");
                assert!(!made || served.stdout == b"value", "{first:?} {second:?}: {served:?}");
            }
            assert_eq!(both.stdout == b"value", !String::from_utf8_lossy(&both.stderr).contains("unshare: "));
        }
    }
    dropped_within(&mount, &key);
    unharmed(&mount);
}

/// In a user namespace that has ids of its own, somebody sets groups as root there does: these count, under the numbers that
/// the daemon knows them by.
fn dropped_within(mount: &Mount, key: &str) {
    let text = r#"
def within(groups_from, work):
    "Does something in a new user namespace, as root there. Its groups from 0 on are those from this number on here."
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        libc.unshare(0x10000000)  # CLONE_NEWUSER
        os.write(ready[1], b"!"), os.read(go[0], 1)
        os.setresgid(0, 0, 0), os.setresuid(0, 0, 0)
        work()
        sys.stderr.flush()
        os._exit(failures > 0)
    os.read(ready[0], 1)
    for file, first in (("uid_map", 0), ("gid_map", groups_from)):
        with open(f"/proc/{child}/{file}", "w") as map:
            map.write(f"0 {first} 65536")
    os.write(go[1], b"!")
    expect("in a user namespace", 0, lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

def drops():
    for round in range(rounds):
        groups(PAYMENTS)
        check("in the group", b"value", reads())
        groups()
        check("out of it", "EACCES", reads())

def mistaken():
    # The group of that number there is another one here.
    groups(PAYMENTS)
    check("in a group of the same number there", "EACCES", reads())

within(0, drops)
within(100_000, mistaken)
"#;
    let mut python = User(0, 0, &[PAYMENTS]).command("/usr/bin/python3");
    let text = format!("{PRELUDE}{GROUPS}{text}\nsys.exit(failures > 0)\n");
    python.args(["-I", "-S", "-c", &text, key, either("30", "5000")]).current_dir(mount.root());
    succeed(python);
}
