//! The stream of changes, `.keyfs/events`: followed by reading and by polling, by whoever may list what it names.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Case;
use crate::fixture::{ALICE, BOB, Mount, PAYMENTS, ROOT, User, errno, run, wait_for};

pub const CASES: &[Case] = &[
    ("a_change_is_a_line", a_change_is_a_line),
    ("a_reader_waits_for_the_next_one", a_reader_waits_for_the_next_one),
    ("many_who_wait_hold_up_nobody", many_who_wait_hold_up_nobody),
    ("a_reader_that_waits_can_be_ended", a_reader_that_waits_can_be_ended),
    ("it_can_be_polled", it_can_be_polled),
    ("everybody_sees_what_they_may_list", everybody_sees_what_they_may_list),
    ("it_goes_on_from_a_cursor", it_goes_on_from_a_cursor),
    ("a_commit_of_many_is_told_whole", a_commit_of_many_is_told_whole),
    ("one_environment_has_its_own", one_environment_has_its_own),
    ("no_value_is_in_it", no_value_is_in_it),
    ("what_is_behind_much_that_is_hidden_is_told", what_is_behind_much_that_is_hidden_is_told),
    ("a_user_has_so_many_streams", a_user_has_so_many_streams),
    ("the_daemon_ends_while_somebody_waits", the_daemon_ends_while_somebody_waits),
];

const BOBS: User<'static> = User(BOB, BOB, &[]);

/// Somebody who follows, ended with the test.
struct Follower {
    child: Child,
    lines: std::sync::mpsc::Receiver<Value>,
}

impl Follower {
    fn new(mount: &Mount, user: User<'_>, name: &str) -> Follower {
        let mut command = user.command("cat");
        command.arg(mount.path(".keyfs").join(name)).stdout(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().expect("cat");
        let (sender, lines) = std::sync::mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).expect("JSON"));
            }
        });
        let follower = Follower { child, lines };
        // It has the file open once it waits.
        let waits = || {
            let syscall = std::fs::read_to_string(format!("/proc/{}/syscall", follower.child.id())).unwrap_or_default();
            syscall.starts_with("0 ")
        };
        wait_for("a reader that waits", waits);
        follower
    }

    fn next(&self) -> Value {
        self.lines.recv_timeout(Duration::from_secs(30)).expect("a line")
    }

    /// Kind and key of the next line.
    fn told(&self) -> String {
        let line = self.next();
        format!("{} {}", line["kind"].as_str().expect("a kind"), line["key"].as_str().unwrap_or("?"))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn a_change_is_a_line() {
    let mount = Mount::new();
    let follower = Follower::new(&mount, ROOT, "events");
    mount.mkdir("dev/variables/a");
    mount.put("dev/variables/a/k", "1");
    let script = "cd dev; mv variables/a/k variables/l; setfattr -n user.keyfs.groups -v 20101:r variables/l
        setfattr -n user.keyfs.expires -v 2099-01-01T00:00:00Z variables/l; rm variables/l; mkdir ../stage; rmdir ../stage";
    assert!(ROOT.sh(&format!("cd {} && {script}", mount.root().display())).status.success());
    let line = follower.next();
    let fields: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["cursor", "time", "env", "tree", "key", "version", "kind", "uid"]);
    assert_eq!((&line["kind"], &line["version"], &line["uid"]), (&"mkdir".into(), &Value::Null, &0.into()));
    let line = follower.next();
    assert_eq!((&line["env"], &line["tree"], &line["key"]), (&"dev".into(), &"variables".into(), &"a/k".into()));
    assert_eq!((&line["kind"], &line["version"], &line["uid"]), (&"put".into(), &1.into(), &0.into()));
    let line = follower.next();
    assert_eq!((&line["kind"], &line["key"], &line["to"]), (&"rename".into(), &"a/k".into(), &"l".into()));
    assert_eq!(follower.told(), "permission l");
    assert_eq!(follower.told(), "attribute l");
    assert_eq!(follower.told(), "remove l");
    let line = follower.next();
    assert_eq!((&line["kind"], &line["env"], &line["tree"]), (&"mkdir".into(), &"stage".into(), &Value::Null));
    assert_eq!(follower.told(), "remove ");
}

fn a_reader_waits_for_the_next_one() {
    let mount = Mount::new();
    // Through a pipe to a shell's loop, line by line, as scripts do.
    let script = format!(
        "cd {} && exec 3< .keyfs/events && echo open && while read -r line <&3; do echo \"$line\"; case $line in *last*) exit;; esac; done",
        mount.root().display()
    );
    let mut child = ROOT.command("sh").arg("-c").arg(script).stdout(Stdio::piped()).spawn().expect("sh");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("open"));
    for name in ["one", "two", "last"] {
        mount.put(&format!("dev/variables/{name}"), "x");
        assert!(lines.next().is_some_and(|line| line.contains(&format!("\"key\":\"{name}\""))), "{name}");
    }
    assert!(child.wait().expect("the shell ends").success());
}

fn many_who_wait_hold_up_nobody() {
    let mount = Mount::new();
    // More than the daemon has threads.
    let followers: Vec<Follower> = (0..40).map(|_| Follower::new(&mount, ROOT, "events")).collect();
    mount.put("dev/variables/k", "1");
    assert_eq!(mount.get("dev/variables/k"), b"1");
    for follower in &followers {
        assert_eq!(follower.told(), "put k");
    }
}

fn a_reader_that_waits_can_be_ended() {
    let mount = Mount::new();
    // Who starts the tests in the background has them ignore SIGINT.
    for signal in ["USR1", "TERM", "KILL"] {
        let mut follower = Follower::new(&mount, ROOT, "events");
        run(Command::new("kill").args(["-s", signal]).arg(follower.child.id().to_string()));
        wait_for("its end", || follower.child.try_wait().expect("wait").is_some());
    }
    // One that handles its signal goes on, and so does one that was stopped.
    let program = r#"
import os, signal, sys
seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
handle = os.open(sys.argv[1], os.O_RDONLY)
print("open", flush=True)
line = os.read(handle, 4096)
print(len(seen), line.decode(), flush=True)
"#;
    let path = mount.path(".keyfs/events");
    let mut child =
        ROOT.python_command(program, &[path.to_str().unwrap()]).stdout(Stdio::piped()).spawn().expect("python3");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("open"));
    let id = child.id().to_string();
    let state = |wanted: char| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(wanted))
    };
    for signal in ["USR1", "USR1", "STOP"] {
        run(Command::new("kill").args(["-s", signal, &id]));
        wait_for("the signal's end", || {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let pending = |name: &str| {
                status.lines().any(|line| line.starts_with(name) && line.trim_end().ends_with("0000000000000000"))
            };
            pending("SigPnd:") && pending("ShdPnd:")
        });
    }
    wait_for("a stopped process", || state('T'));
    run(Command::new("kill").args(["-s", "CONT", &id]));
    mount.put("dev/variables/k", "1");
    let line = lines.next().expect("a line");
    assert!(line.starts_with("2 {\"cursor\"") && line.contains("\"kind\":\"put\""), "{line}");
    assert!(child.wait().expect("its end").success());
}

fn it_can_be_polled() {
    let mount = Mount::new();
    mount.put("dev/variables/k", "1");
    let program = r#"
import errno, os, select, sys, threading, time
os.chdir(sys.argv[1])
stream = os.open(".keyfs/events", os.O_RDONLY | os.O_NONBLOCK)
def refused(work):
    try: return work()
    except OSError as error: return errno.errorcode[error.errno]
assert refused(lambda: os.read(stream, 100)) == "EAGAIN"
assert refused(lambda: os.lseek(stream, 0, 0)) == "ESPIPE"
assert refused(lambda: os.open(".keyfs/events", os.O_WRONLY)) == "EACCES"
for kind in select.poll, select.epoll:
    poll = kind()
    poll.register(stream, select.POLLIN)
    assert poll.poll(0) == []
    threading.Timer(0.1, lambda: open("dev/variables/k", "a").write("x")).start()
    begun = time.monotonic()
    assert poll.poll(30) == [(stream, select.POLLIN)] if kind is select.epoll else poll.poll(30000) == [(stream, select.POLLIN)]
    # What is there is there for the next look too, until it is read.
    assert poll.poll(0) == [(stream, select.POLLIN)]
    # In pieces, of a line that is longer than what is asked for.
    line = b""
    while not line.endswith(b"\n"): line += os.read(stream, 10)
    assert b'"kind":"put"' in line and line.count(b"\n") == 1, line
    assert poll.poll(0) == []
# Any other file is ready.
plain = os.open("dev/variables/k", os.O_RDWR)
poll = select.poll(); poll.register(plain)
assert poll.poll(0) == [(plain, select.POLLIN | select.POLLOUT)], poll.poll(0)
print("fine")
"#;
    let output = ROOT.python(program, &[mount.root().to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "fine\n", "{}", String::from_utf8_lossy(&output.stderr));
}

fn everybody_sees_what_they_may_list() {
    let mount = Mount::new();
    mount.mkdir("dev/secrets/team");
    mount.own("dev/secrets/team", ALICE, PAYMENTS, 0o750);
    let member = Follower::new(&mount, User(ALICE, ALICE, &[PAYMENTS]), "events");
    let stranger = Follower::new(&mount, BOBS, "events");
    mount.put("dev/secrets/team/k", "1");
    mount.put("dev/secrets/all", "1");
    assert_eq!([member.told(), member.told()], ["put team/k", "put all"]);
    assert_eq!(stranger.told(), "put all");
    // By polling neither.
    let program = r#"
import os, select, sys, subprocess
stream = os.open(sys.argv[1], os.O_RDONLY)
poll = select.poll(); poll.register(stream, select.POLLIN)
print("ready", flush=True)
sys.stdin.readline()
print(poll.poll(200), flush=True)
"#;
    let mut child = BOBS
        .python_command(program, &[mount.path(".keyfs/events").to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("ready"));
    mount.put("dev/secrets/team/k", "2");
    drop(child.stdin.take());
    assert_eq!(lines.next().as_deref(), Some("[]"));
    child.wait().expect("its end");
}

fn it_goes_on_from_a_cursor() {
    let mut mount = Mount::new();
    let follower = Follower::new(&mount, ROOT, "events");
    for number in 0..5 {
        mount.put(&format!("dev/variables/k{number}"), "x");
    }
    let cursors: Vec<u64> = (0..5).map(|_| follower.next()["cursor"].as_u64().expect("a number")).collect();
    drop(follower);
    let follower = Follower::new(&mount, ROOT, &format!("events@{}", cursors[2]));
    assert_eq!([follower.told(), follower.told()], ["put k3", "put k4"]);
    drop(follower);
    let start = Follower::new(&mount, ROOT, "events@0");
    assert_eq!([start.told(), start.told()], ["lost ?", "put k0"]);
    drop(start);
    for name in ["events@", "events@x", "events@-1", "events@99999999999999999999", "events@ 1", "event"] {
        assert_eq!(errno(std::fs::metadata(mount.path(".keyfs").join(name))), libc::ENOENT, "{name}");
    }
    // A daemon that began later knows of nothing before; but that nothing happened since the last commit it does.
    mount.restart();
    let later = Follower::new(&mount, ROOT, &format!("events@{}", cursors[4]));
    mount.put("dev/variables/k5", "x");
    assert_eq!(later.told(), "put k5");
    let missed = Follower::new(&mount, ROOT, &format!("events@{}", cursors[3]));
    assert_eq!([missed.told(), missed.told()], ["lost ?", "put k5"]);
}

fn a_commit_of_many_is_told_whole() {
    let mount = Mount::new();
    let follower = Follower::new(&mount, ROOT, "events");
    let script = "cd .keyfs/transactions && mkdir t && for n in 1 2 3 4 5; do echo $n > t/dev/variables/k$n; done && mv t ../commit/";
    assert!(ROOT.sh(&format!("cd {} && {script}", mount.root().display())).status.success());
    let lines: Vec<Value> = (0..5).map(|_| follower.next()).collect();
    let commit = |line: &Value| line["cursor"].as_u64().expect("a number") >> 16;
    assert!(lines.iter().all(|line| commit(line) == commit(&lines[0]) && line["kind"] == "put"), "{lines:?}");
}

fn one_environment_has_its_own() {
    let mut mount = Mount::new();
    mount.put("prod/variables/before", "x");
    mount.end("TERM");
    mount.set_arguments(&["--env", "dev"]);
    mount.start();
    let follower = Follower::new(&mount, ROOT, "events");
    mount.put("variables/k", "x");
    let line = follower.next();
    assert_eq!((&line["env"], &line["key"]), (&"dev".into(), &"k".into()));
}

fn no_value_is_in_it() {
    let mount = Mount::new();
    let follower = Follower::new(&mount, ROOT, "events");
    for tree in ["variables", "secrets"] {
        mount.put(&format!("dev/{tree}/k"), "canary-in-a-value");
        let line = follower.next().to_string();
        assert!(line.contains("put") && !line.contains("canary"), "{line}");
    }
}

fn the_daemon_ends_while_somebody_waits() {
    let mut mount = Mount::new();
    let mut follower = Follower::new(&mount, ROOT, "events");
    let begun = Instant::now();
    assert!(mount.end("TERM").success(), "{}", mount.logged());
    wait_for("the reader's end", || follower.child.try_wait().expect("wait").is_some());
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// More than is looked at for one request.
fn what_is_behind_much_that_is_hidden_is_told() {
    let mount = Mount::new();
    let hide = r#"
import os, sys
os.chdir(sys.argv[1])
os.mkdir("dev/variables/closed", 0o700)
base = ".keyfs/transactions/t"
os.mkdir(base), os.mkdir(f"{base}/dev/variables/closed")
for number in range(10_000): os.close(os.open(f"{base}/dev/variables/closed/{number}", os.O_CREAT | os.O_WRONLY))
os.rename(base, ".keyfs/commit/t")
open("dev/variables/shown", "w").write("1")
"#;
    let root = mount.root();
    let root = root.to_str().unwrap();
    let output = ROOT.python(hide, &[root]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let follow = r#"
import json, os, select, sys
os.chdir(sys.argv[1])
def lines(text): return [(line["kind"], line.get("key")) for line in map(json.loads, text.decode().splitlines())]
expected = [("lost", None), ("mkdir", "closed"), ("put", "shown")]
for flags in 0, os.O_NONBLOCK:
    for polls in False, True:
        stream, seen = os.open(".keyfs/events@1", os.O_RDONLY | flags), []
        poll = select.poll(); poll.register(stream, select.POLLIN)
        while len(seen) < 3:
            if polls: assert poll.poll(30_000)
            try: seen += lines(os.read(stream, 65536))
            except BlockingIOError:
                # It is told only where there is no more; of a poll, which may be wrong, not even that is known.
                assert polls and flags, seen
        assert seen == expected, seen
        assert poll.poll(0) == []
        os.close(stream)
print("fine")
"#;
    let output = BOBS.python(follow, &[root]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "fine\n", "{}", String::from_utf8_lossy(&output.stderr));
}

fn a_user_has_so_many_streams() {
    let mount = Mount::new();
    let program = r#"
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000))
streams = []
try:
    while True: streams.append(os.open(sys.argv[1], os.O_RDONLY))
except OSError as error: print(len(streams), error.errno)
os.close(streams.pop())
while True:
    try: streams.append(os.open(sys.argv[1], os.O_RDONLY)); break
    except OSError: pass
print("again", flush=True)
sys.stdin.read()
"#;
    let path = mount.path(".keyfs/events");
    let path = path.to_str().unwrap();
    let mut hoarder =
        BOBS.python_command(program, &[path]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(hoarder.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(said.next(), Some(format!("512 {}", libc::EDQUOT)));
    assert_eq!(said.next().as_deref(), Some("again"));
    // Others have theirs.
    drop(Follower::new(&mount, ROOT, "events"));
    drop(hoarder.stdin.take());
    hoarder.wait().unwrap();
    let there = || std::fs::File::open(path).map(drop);
    (0..600).try_for_each(|_| there()).unwrap();
}
