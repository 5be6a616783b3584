//! The daemon: what ends it, what it keeps then, whom it serves, and what it does where there is no room.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::Case;
use crate::fixture::{ALICE, KEYFS, Mount, PAYMENTS, ROOT, User, errno, is_installed, run, wait_for};
use crate::medium::Medium;
use crate::peer::Peer;

pub const CASES: &[Case] = &[
    ("it_ends_in_order_with_writers_at_work", it_ends_in_order_with_writers_at_work),
    ("it_ends_in_order_while_files_are_closed", it_ends_in_order_while_files_are_closed),
    ("killed_under_writers_it_loses_nothing", killed_under_writers_it_loses_nothing),
    ("a_mount_that_was_killed_is_mounted_again", a_mount_that_was_killed_is_mounted_again),
    ("it_ends_when_somebody_unmounts", it_ends_when_somebody_unmounts),
    ("a_full_disk_refuses_and_goes_on", a_full_disk_refuses_and_goes_on),
    ("a_file_that_exec_closes_is_stored", a_file_that_exec_closes_is_stored),
    ("many_processes_begin_while_files_are_open", many_processes_begin_while_files_are_open),
    ("it_sleeps_while_nobody_asks", it_sleeps_while_nobody_asks),
    ("its_memory_is_closed", its_memory_is_closed),
    ("a_user_mounts_for_himself", a_user_mounts_for_himself),
];

const SIGNALS: [&str; 2] = ["TERM", "INT"];

/// Stores one value after the other in a key of its own, adds a line to a key that all share, and puts each number on record
/// once both were answered.
const WRITER: &str = r#"
import os, sys
path, shared, record, name = sys.argv[1:5]
record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
def store(path, flags, value):
    fd = os.open(path, os.O_WRONLY | flags)
    try:
        os.write(fd, value)
    finally:
        os.close(fd)
number = 0
while True:
    number += 1
    store(path, os.O_CREAT | os.O_TRUNC, f'{number} '.encode() * 300)
    store(shared, os.O_APPEND, f'{name}:{number}\n'.encode())
    os.write(record, f'{number}\n'.encode())
"#;

struct Writers {
    processes: Vec<Child>,
    round: usize,
}

const COUNT: usize = 8;

impl Writers {
    fn key(number: usize) -> String {
        let tree = if number.is_multiple_of(2) { "secrets" } else { "variables" };
        format!("prod/{tree}/key{number}")
    }

    fn record(&self, mount: &Mount, number: usize) -> PathBuf {
        mount.home().join(format!("record{}-{number}", self.round))
    }

    fn start(mount: &Mount, round: usize) -> Writers {
        let mut writers = Writers { processes: Vec::new(), round };
        mount.put("prod/variables/shared", "");
        for number in 0..COUNT {
            let mut command = ROOT.command("python3");
            command.env("PATH", "/usr/local/bin:/usr/bin:/bin").arg("-c").arg(WRITER);
            command.arg(mount.path(&Writers::key(number))).arg(mount.path("prod/variables/shared"));
            command.arg(writers.record(mount, number)).arg(number.to_string());
            writers.processes.push(command.stderr(Stdio::null()).spawn().unwrap());
        }
        wait_for("writers at work", || (0..COUNT).all(|number| writers.acknowledged(mount, number) >= 5));
        writers
    }

    /// The last number that a writer was told was stored.
    fn acknowledged(&self, mount: &Mount, number: usize) -> u64 {
        let text = fs::read_to_string(self.record(mount, number)).unwrap_or_default();
        text.lines().last().and_then(|line| line.parse().ok()).unwrap_or(0)
    }

    /// Waits until they have noticed that there is no mount.
    fn wait(&mut self) {
        for process in &mut self.processes {
            assert!(!process.wait().unwrap().success());
        }
    }

    /// That each value is whole, and no older than what was acknowledged.
    fn check(&self, mount: &Mount) {
        let shared = String::from_utf8(mount.get("prod/variables/shared")).unwrap();
        for number in 0..COUNT {
            let last = self.acknowledged(mount, number);
            let value = String::from_utf8(mount.get(&Writers::key(number))).unwrap();
            let stored: u64 = value.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(value, format!("{stored} ").repeat(300));
            assert!(
                stored == last || stored == last + 1,
                "writer {number}: {stored} is stored, {last} was acknowledged"
            );
            let lines: Vec<u64> =
                shared.lines().filter_map(|line| line.strip_prefix(&format!("{number}:"))?.parse().ok()).collect();
            assert!(
                lines.len() as u64 == last || lines.len() as u64 == last + 1,
                "writer {number}: {} of {last}",
                lines.len()
            );
            assert!(lines.iter().copied().eq(1..=lines.len() as u64), "writer {number}: {lines:?}");
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn it_ends_in_order_with_writers_at_work() {
    let mut mount = Mount::new();
    for (round, signal) in SIGNALS.into_iter().enumerate() {
        let mut writers = Writers::start(&mount, round);
        let status = mount.end(signal);
        assert!(status.success(), "{signal}: {status}: {}", mount.logged());
        writers.wait();
        assert!(fs::read_dir(mount.root()).unwrap().next().is_none(), "the mount point is empty again");
        mount.start();
        writers.check(&mount);
    }
}

/// The kernel doesn't wait for the end of what was closed: requests are on their way as the mount goes.
fn it_ends_in_order_while_files_are_closed() {
    let mut mount = Mount::new();
    mount.put("dev/variables/k", "value");
    let script = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000)); \
                  files = [os.open(sys.argv[1], os.O_RDONLY) for _ in range(4000)]; os._exit(0)";
    for _ in 0..8 {
        run(Command::new("python3").args(["-c", script]).arg(mount.path("dev/variables/k")));
        mount.restart();
    }
    assert_eq!(mount.get("dev/variables/k"), b"value");
}

fn killed_under_writers_it_loses_nothing() {
    let mut mount = Mount::new();
    for round in 0..3 {
        let mut writers = Writers::start(&mount, round);
        mount.end("KILL");
        writers.wait();
        mount.start();
        writers.check(&mount);
    }
}

fn a_mount_that_was_killed_is_mounted_again() {
    let mut mount = Mount::new();
    mount.put("prod/variables/k", "x");
    // Once with nobody there, once with the root in the kernel's memory and a file held open.
    mount.end("KILL");
    assert_eq!(errno(fs::read(mount.path("prod/variables/k"))), libc::ENOTCONN);
    mount.start();
    assert_eq!(mount.get("prod/variables/k"), b"x");
    let mut held = fs::File::open(mount.path("prod/variables/k")).unwrap();
    mount.root().metadata().unwrap();
    mount.end("KILL");
    mount.start();
    assert_eq!(mount.get("prod/variables/k"), b"x");
    let mut text = String::new();
    assert_eq!(errno(held.read_to_string(&mut text)), libc::ENOTCONN);
}

/// Whether a process is gone, or waits for nothing but its parent's notice.
fn has_ended(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.contains("State:\tZ")
}

fn it_ends_when_somebody_unmounts() {
    let mut mount = Mount::new();
    mount.put("prod/variables/k", "x");
    let pid = mount.pid().to_string();
    run(Command::new("umount").arg(mount.root()));
    wait_for("the daemon's end", || has_ended(&pid));
    assert!(mount.end("TERM").success());
    mount.start();
    assert_eq!(mount.get("prod/variables/k"), b"x");
    // Out of sight with a file open, it serves that file until it is closed.
    let mut held = fs::File::open(mount.path("prod/variables/k")).unwrap();
    let pid = mount.pid().to_string();
    run(Command::new("umount").arg("-l").arg(mount.root()));
    let mut text = String::new();
    held.read_to_string(&mut text).unwrap();
    assert_eq!(text, "x");
    assert!(Path::new(&format!("/proc/{pid}/exe")).exists());
    drop(held);
    wait_for("the daemon's end", || has_ended(&pid));
    assert!(mount.end("TERM").success());
}

/// Writes a value and hears whether it was stored.
fn store(path: &Path, value: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(value)?;
    file.sync_all()
}

fn a_full_disk_refuses_and_goes_on() {
    let medium = Medium::on_disk(24 << 20);
    let mut mount = Mount::new();
    assert!(mount.end("TERM").success());
    // The store alone is on the small disk.
    fs::copy(mount.store(), medium.path("store.redb")).unwrap();
    fs::remove_file(mount.store()).unwrap();
    std::os::unix::fs::symlink(medium.path("store.redb"), mount.store()).unwrap();
    mount.start();
    for key in ["prod/secrets/kept", "prod/variables/kept"] {
        mount.put(key, format!("before {key}"));
    }
    medium.fill();
    let value = vec![b'v'; 64 << 10];
    let refused = |tree: &str| {
        let begun = Instant::now();
        for number in 0.. {
            match store(&mount.path(&format!("prod/{tree}/filler{number}")), &value) {
                Ok(()) => assert!(begun.elapsed() < Duration::from_secs(60), "it never fills up"),
                Err(error) => return error.raw_os_error(),
            }
        }
        None
    };
    for key in ["prod/secrets/kept", "prod/variables/kept"] {
        // A refused commit may leave a few pages free for a later one, until none are left.
        let mut before = format!("before {key}").into_bytes();
        loop {
            assert_eq!(refused("secrets"), Some(libc::ENOSPC));
            assert_eq!(refused("variables"), Some(libc::ENOSPC));
            match store(&mount.path(key), &value) {
                Ok(()) => before.clone_from(&value),
                Err(error) => break assert_eq!(error.raw_os_error(), Some(libc::ENOSPC)),
            }
            assert_eq!(mount.get(key), before);
            store(&mount.path(key), b"small").map(|()| before = b"small".into()).unwrap_or_default();
        }
        assert_eq!(mount.get(key), before);
        // By the one who closes, too.
        let mut peer = Peer::new(ROOT);
        peer.is(
            &format!("fd = open('{}', O_WRONLY | O_TRUNC); write(fd, b'v' * 999999)", mount.path(key).display()),
            "done",
        );
        peer.is("close(fd)", "ENOSPC");
        assert_eq!(mount.get(key), before);
    }
    // What only looks is served, and says how it stands.
    run(Command::new("ls").arg("-lR").arg(mount.root()));
    run(Command::new(KEYFS).arg("status").arg(mount.root()));
    medium.empty();
    for key in ["prod/secrets/kept", "prod/variables/kept"] {
        store(&mount.path(key), &value).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(mount.get(key), value);
    }
    mount.restart();
    for key in ["prod/secrets/kept", "prod/variables/kept"] {
        assert_eq!(mount.get(key), value);
    }
}

fn a_file_that_exec_closes_is_stored() {
    let mount = Mount::new();
    // The descriptor is closed within execve(2), and what was written is stored from there.
    let program = "import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.write(fd, b'stored by exec')
os.execv('/bin/true', ['true'])";
    for key in ["prod/secrets/k", "prod/variables/k"] {
        let output = ROOT.python(program, &[mount.path(key).to_str().unwrap()]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(mount.get(key), b"stored by exec");
        let put = mount.audit().into_iter().rfind(|line| line["event"] == "put").unwrap();
        assert!(put["exe"].as_str().unwrap().contains("python"), "{put}");
    }
}

fn many_processes_begin_while_files_are_open() {
    let mount = Mount::new();
    // Each begins with the descriptors of all that is being written, and closes them at once.
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let mount = &mount;
            scope.spawn(move || {
                for round in 0..25 {
                    let tree = if round % 2 == 0 { "secrets" } else { "variables" };
                    let path = mount.path(&format!("prod/{tree}/k{thread}"));
                    let mut file = fs::File::create(&path).unwrap();
                    file.write_all(format!("{round}").as_bytes()).unwrap();
                    assert!(Command::new("true").status().unwrap().success());
                    // What they close is not what was being written: nobody sees a part of it.
                    let seen = fs::read_to_string(&path).unwrap();
                    assert!(seen.is_empty() || seen.ends_with(" and on"), "{seen}");
                    file.write_all(b" and on").unwrap();
                    file.sync_all().unwrap();
                    drop(file);
                    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{round} and on"));
                }
            });
        }
    });
}

/// How often the daemon's threads have slept, in all.
fn sleeps(mount: &Mount) -> u64 {
    let threads = fs::read_dir(format!("/proc/{}/task", mount.pid())).unwrap();
    let slept = |thread: fs::DirEntry| -> u64 {
        let status = fs::read_to_string(thread.path().join("status")).unwrap();
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap().trim().parse().unwrap()
    };
    threads.map(|thread| slept(thread.unwrap())).sum()
}

fn it_sleeps_while_nobody_asks() {
    let mount = Mount::new();
    mount.put("dev/variables/k", "value");
    wait_for("what was begun to end", || {
        let before = sleeps(&mount);
        std::thread::sleep(Duration::from_millis(200));
        sleeps(&mount) == before
    });
    // Among a hundred of these, a laptop and a hypervisor would notice.
    let before = sleeps(&mount);
    std::thread::sleep(Duration::from_secs(1));
    let woken = sleeps(&mount) - before;
    assert!(woken <= 2, "woken {woken} times in a second");
    assert_eq!(mount.get("dev/variables/k"), b"value");
}

fn its_memory_is_closed() {
    let mount = Mount::new();
    mount.put("prod/secrets/k", "x");
    let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", mount.pid())).unwrap();
    let status = read("status");
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    let kilobytes: u64 = locked.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes > 0, "{status}");
    let limits = read("limits");
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{limits}");
}

/// A user without any rights, who is on every machine.
const NOBODY: User<'static> = User(65534, 65534, &[]);

/// A home for that user, with the program in it, and a mount namespace in which he may use /dev/fuse, as on most machines.
struct Home(tempfile::TempDir, Child);

impl Home {
    fn new() -> Home {
        let home = tempfile::Builder::new().prefix("keyfs-test-").tempdir().unwrap();
        // The program may be where only its builder can read it.
        fs::copy(KEYFS, home.path().join("keyfs")).unwrap();
        fs::set_permissions(home.path().join("keyfs"), PermissionsExt::from_mode(0o755)).unwrap();
        fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(home.path(), Some(NOBODY.0), Some(NOBODY.1)).unwrap();
        let device = home.path().join("fuse");
        run(Command::new("mknod").args(["-m", "666"]).arg(&device).args(["c", "10", "229"]));
        let script = format!("mount --bind {} /dev/fuse && echo ready && read end", device.display());
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = [0; 6];
        holder.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"ready\n");
        Home(home, holder)
    }

    /// A command of a user in that namespace.
    fn by(&self, user: User<'_>, program: &str) -> Command {
        let inner = user.command(program);
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.1.id().to_string()]).arg(inner.get_program()).args(inner.get_args());
        command.stdin(Stdio::null());
        command
    }

    fn cat(&self, user: User<'_>, path: &Path) -> Output {
        self.by(user, "cat").arg(path).output().unwrap()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    /// What the user runs; the place is always the same.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.by(NOBODY, self.path("keyfs").to_str().unwrap());
        let keys = self.path("keys");
        command.args(arguments).arg(keys).env("HOME", self.0.path());
        command.env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
        command
    }

    fn keyfs(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn daemon(&self) -> String {
        let status: serde_json::Value =
            serde_json::from_slice(&self.cat(NOBODY, &self.path("keys/.keyfs/status")).stdout).unwrap();
        status["pid"].to_string()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Without the mount a daemon ends, and without its last process the namespace.
        let _ = self.by(ROOT, "umount").arg("-l").arg(self.path("keys")).stderr(Stdio::null()).status();
        drop(self.1.stdin.take());
        let _ = self.1.wait();
    }
}

fn a_user_mounts_for_himself() {
    let home = Home::new();
    let mounted = home.keyfs(&["mount", "--create", "--background"]);
    assert!(mounted.status.success(), "{mounted:?}");
    for made in [
        ".local/share/keyfs/store.redb",
        ".config/keyfs/identity",
        ".config/keyfs/identity.stores",
        ".local/share/keyfs/store.log",
    ] {
        assert!(home.path(made).is_file(), "{made}");
        assert_eq!(home.path(made).metadata().unwrap().permissions().mode() & 0o077, 0, "{made}");
    }
    let table = String::from_utf8(home.cat(ROOT, Path::new("/proc/self/mountinfo")).stdout).unwrap();
    let line = table.lines().find(|line| line.contains(home.path("keys").to_str().unwrap())).unwrap();
    assert!(line.contains(" - fuse.keyfs ") && !line.contains("allow_other"), "{line}");
    let key = home.path("keys/prod/secrets/k");
    let wrote =
        home.by(NOBODY, "sh").args(["-c", &format!("umask 077; echo mine > {}", key.display())]).output().unwrap();
    assert!(wrote.status.success(), "{wrote:?}");
    assert_eq!(home.cat(NOBODY, &key).stdout, b"mine\n");
    // Nobody else is let in, root included: the kernel itself keeps them out.
    for user in [ROOT, User(0, 0, &[NOBODY.1]), User(ALICE, ALICE, &[PAYMENTS])] {
        let refused = home.cat(user, &key);
        assert!(refused.stdout.is_empty(), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("Permission denied"), "{refused:?}");
    }
    // To mount there again is refused, and says why.
    let again = home.keyfs(&["mount"]);
    assert_eq!(again.status.code(), Some(8), "{again:?}");
    // What is in the daemon's memory is not for its own user's other processes.
    let pid = home.daemon();
    for name in ["environ", "mem", "maps"] {
        let output = NOBODY.cat(Path::new(&format!("/proc/{pid}/{name}")));
        assert!(!output.status.success() && output.stdout.is_empty(), "{name}");
    }
    if is_installed("gcore") {
        let output = home.by(NOBODY, "gcore").arg("-o").arg(home.path("core")).arg(&pid).output().unwrap();
        assert!(!output.status.success());
        let written = fs::read_dir(home.path(""))
            .unwrap()
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("core"));
        assert!(!written, "{output:?}");
    }
    let told = home.keyfs(&["status"]);
    assert!(
        told.status.success() && String::from_utf8_lossy(&told.stdout).contains("prod     0 variables, 1 secrets"),
        "{told:?}"
    );
    // Killed, it is cleared away and mounted again by its user.
    run(Command::new("kill").args(["-s", "KILL", &pid]));
    wait_for("the daemon's end", || has_ended(&pid));
    let again = home.keyfs(&["mount", "--background"]);
    assert!(again.status.success() && String::from_utf8_lossy(&again.stdout).contains("cleared"), "{again:?}");
    assert_eq!(home.cat(NOBODY, &key).stdout, b"mine\n");
    let pid = home.daemon();
    let gone = home.keyfs(&["umount"]);
    assert!(gone.status.success(), "{gone:?}");
    assert!(has_ended(&pid));
    assert!(!key.exists());
    // To let others in takes the administrator's leave.
    if !fs::read_to_string("/etc/fuse.conf").unwrap_or_default().lines().any(|line| line.trim() == "user_allow_other") {
        let refused = home.keyfs(&["mount", "--allow-other"]);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert_eq!(String::from_utf8_lossy(&refused.stderr).lines().count(), 1, "{refused:?}");
    }
    // Without the helper there is no way, and it says what to install.
    let program = home.path("keyfs");
    let mut without = home.by(NOBODY, "env");
    without.args(["PATH=/nonexistent", program.to_str().unwrap(), "mount"]);
    let refused = without.arg(home.path("keys")).env("HOME", home.path("")).output().unwrap();
    assert_eq!(refused.status.code(), Some(9), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("fuse3"), "{refused:?}");
}
