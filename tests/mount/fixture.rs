//! A store of its own for each test, mounted by the real program, and processes of other users.
//!
//! Everything a test leaves is cleaned up when its [`Mount`] goes, also when the test fails: the daemon is ended by its id, the
//! mount detached, the directory removed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The program under test.
pub const KEYFS: &str = env!("CARGO_BIN_EXE_keyfs");

/// Ids that no account need have.
pub const ALICE: u32 = 20_001;
pub const BOB: u32 = 20_002;
pub const PAYMENTS: u32 = 20_101;
pub const OPS: u32 = 20_102;
pub const ANALYSTS: u32 = 20_103;

/// What the tests of this file need and the machine lacks; `None` where they can run.
pub fn missing() -> Option<String> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !Path::new("/dev/fuse").exists() {
        return Some("/dev/fuse is missing (`modprobe fuse`)".into());
    }
    if !root {
        return Some("processes of several users take root".into());
    }
    let tools = ["setpriv", "setfacl", "getfacl", "setfattr", "getfattr", "python3", "fusermount3"];
    let absent: Vec<_> = tools.iter().filter(|tool| !is_installed(tool)).copied().collect();
    if absent.is_empty() {
        None
    } else {
        let packages = "util-linux acl attr python3 fuse3";
        Some(format!("{} missing (Debian's packages: {packages})", absent.join(", ")))
    }
}

pub fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(tool).exists())
}

/// Waits until `condition` holds; `what` says what was waited for in vain.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A mounted store.
pub struct Mount {
    home: TempDir,
    daemon: Option<Child>,
    arguments: Vec<String>,
}

impl Mount {
    /// A new store, all of its environments.
    pub fn new() -> Mount {
        Mount::with(&[])
    }

    /// A new store, mounted with further arguments.
    pub fn with(arguments: &[&str]) -> Mount {
        let home = tempfile::Builder::new().prefix("keyfs-test-").tempdir().expect("a temporary directory");
        // Other users reach the mount through it.
        fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let mut mount = Mount { home, daemon: None, arguments };
        mount.start();
        mount
    }

    /// The command that mounts this store.
    pub fn command(&self) -> Command {
        let mut command = Command::new(KEYFS);
        command.arg("mount").arg("--create").args(&self.arguments);
        command.arg("--store").arg(self.store()).arg("--identity").arg(self.identity()).arg(self.root());
        command.stdin(Stdio::null());
        command
    }

    /// The further arguments of the next start.
    pub fn set_arguments(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(ToString::to_string).collect();
    }

    /// Starts the daemon and waits until the mount answers.
    pub fn start(&mut self) {
        self.start_logging(None);
    }

    /// The same, with everything in the daemon's log that this filter of RUST_LOG lets through.
    pub fn start_logging(&mut self, filter: Option<&str>) {
        let log = fs::File::options().append(true).create(true).open(self.log()).expect("the daemon's log");
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(log);
        if let Some(filter) = filter.or(std::env::var_os("RUST_LOG").is_none().then_some("keyfs=info,warn")) {
            command.env("RUST_LOG", filter);
        }
        let mut daemon = command.spawn().expect("the daemon starts");
        let stdout = daemon.stdout.take().expect("a pipe");
        let answered =
            BufReader::new(stdout).lines().map_while(Result::ok).any(|line| line.starts_with("keyfs: mounted "));
        self.daemon = Some(daemon);
        assert!(answered, "not mounted: {}", fs::read_to_string(self.log()).unwrap_or_default());
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("a daemon").id()
    }

    /// Ends the daemon with a signal and waits for its end.
    pub fn end(&mut self, signal: &str) -> std::process::ExitStatus {
        let mut daemon = self.daemon.take().expect("a daemon");
        run(Command::new("kill").arg("-s").arg(signal).arg(daemon.id().to_string()));
        daemon.wait().expect("the daemon ends")
    }

    /// Unmounts, and mounts the same store again.
    pub fn restart(&mut self) {
        assert!(self.end("TERM").success(), "{}", self.logged());
        self.start();
    }

    pub fn root(&self) -> PathBuf {
        self.home.path().join("keys")
    }

    /// A path of the mount, such as `prod/secrets/db/password`.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root().join(below)
    }

    /// A directory for the test's own files, outside the mount.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn store(&self) -> PathBuf {
        self.home.path().join("store.redb")
    }

    pub fn identity(&self) -> PathBuf {
        self.home.path().join("identity")
    }

    pub fn log(&self) -> PathBuf {
        self.home.path().join("daemon.log")
    }

    pub fn logged(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The audit log's lines.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.home.path().join("store.audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// Makes directories, as `mkdir -p` does.
    pub fn mkdir(&self, below: &str) {
        fs::create_dir_all(self.path(below)).unwrap_or_else(|error| panic!("mkdir {below}: {error}"));
    }

    /// Writes a key as the test's own user, root.
    pub fn put(&self, below: &str, value: impl AsRef<[u8]>) {
        fs::write(self.path(below), value).unwrap_or_else(|error| panic!("write {below}: {error}"));
    }

    /// Reads a key as the test's own user, root.
    pub fn get(&self, below: &str) -> Vec<u8> {
        fs::read(self.path(below)).unwrap_or_else(|error| panic!("read {below}: {error}"))
    }

    /// Sets owner, group and mode.
    pub fn own(&self, below: &str, owner: u32, group: u32, mode: u32) {
        let path = self.path(below);
        std::os::unix::fs::chown(&path, Some(owner), Some(group)).expect("chown");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("chmod");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            // By its own id, and it is ours until it is waited for.
            let _ = Command::new("kill").arg("-s").arg("TERM").arg(daemon.id().to_string()).status();
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(15) && matches!(daemon.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        // What a killed daemon leaves is stale; where nothing is mounted this fails, and should.
        let _ = Command::new("umount").arg("-l").arg(self.root()).stderr(Stdio::null()).status();
    }
}

/// A user to run commands as: a uid, a gid and supplementary groups.
#[derive(Clone, Copy)]
pub struct User<'g>(pub u32, pub u32, pub &'g [u32]);

/// The superuser, in no group but its own.
pub const ROOT: User<'static> = User(0, 0, &[]);

impl User<'_> {
    /// A command that runs as this user.
    pub fn command(&self, program: &str) -> Command {
        let User(uid, gid, groups) = self;
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}"));
        if groups.is_empty() {
            command.arg("--clear-groups");
        } else {
            let groups = groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            command.arg(format!("--groups={groups}"));
        }
        command.arg("--").arg(program).stdin(Stdio::null());
        command
    }

    /// Runs a shell command as this user.
    pub fn sh(&self, script: &str) -> Output {
        self.command("sh").arg("-c").arg(script).output().expect("a shell")
    }

    /// Reads a file as this user with `cat`.
    pub fn cat(&self, path: &Path) -> Output {
        self.command("cat").arg(path).output().expect("cat")
    }

    /// Runs a Python program as this user; `sys.argv[1:]` are the arguments.
    pub fn python(&self, program: &str, arguments: &[&str]) -> Output {
        self.python_command(program, arguments).output().expect("python3")
    }

    /// The command that does.
    pub fn python_command(&self, program: &str, arguments: &[&str]) -> Command {
        // The system's own: one in somebody's home is not for every user.
        let mut command = self.command("python3");
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").arg("-c").arg(program).args(arguments);
        command
    }

    /// That reading a file gives this.
    #[track_caller]
    pub fn reads(&self, path: &Path, value: impl AsRef<[u8]>) {
        let output = self.cat(path);
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, value.as_ref());
    }

    /// That reading a file is refused with this errno's text, and shows nothing.
    #[track_caller]
    pub fn is_refused(&self, path: &Path, why: &str) {
        let output = self.cat(path);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{} was read: {:?}", path.display(), output.stdout);
        assert!(stderr.contains(why), "{stderr}");
        assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    }
}

/// Runs a command that must succeed; its output.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// The errno of a failed operation.
#[track_caller]
pub fn errno<T>(outcome: std::io::Result<T>) -> i32 {
    match outcome {
        Ok(_) => panic!("it succeeded"),
        Err(error) => error.raw_os_error().expect("an errno"),
    }
}
