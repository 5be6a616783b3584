//! The project's own examples, compiled and run: as somebody in the group, as somebody who isn't, and with keys missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, PAYMENTS, ROOT, User, run};
use crate::{Case, Tool};

pub const TOOLS: &[Tool] = &[
    ("sh", "dash"),
    ("python3", "python3"),
    ("cc", "gcc"),
    ("node", "nodejs"),
    ("rustc", "rustc"),
    ("getfattr", "attr"),
];

pub const CASES: &[Case] = &[
    ("shell", shell),
    ("python", python),
    ("c", c),
    ("node", node),
    ("rust", rust),
    ("each_has_its_own", each_has_its_own),
];

const MEMBER: User<'static> = User(ALICE, ALICE, &[PAYMENTS]);
const STRANGER: User<'static> = User(BOB, BOB, &[ANALYSTS]);

fn source(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(below)
}

/// A copy of an example where every user can run it.
fn copied(mount: &Mount, below: &str) -> String {
    let name = below.replace('/', "-");
    let copy = mount.home().join(name);
    std::fs::copy(source(below), &copy).expect("an example");
    copy.to_str().expect("a path of text").to_owned()
}

fn built(mount: &Mount, compiler: &mut Command) -> String {
    let program = mount.home().join("job");
    run(compiler.arg("-o").arg(&program));
    program.to_str().expect("a path of text").to_owned()
}

fn shell() {
    check(&|mount| vec!["sh".into(), copied(mount, "shell/job.sh")]);
    check(&|mount| vec!["bash".into(), copied(mount, "shell/job.sh")]);
}

fn python() {
    check(&|mount| vec!["python3".into(), copied(mount, "python/job.py")]);
}

fn c() {
    let strict = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"];
    check(&|mount| vec![built(mount, Command::new("cc").args(strict).arg(source("c/job.c")))]);
}

fn node() {
    check(&|mount| vec!["node".into(), copied(mount, "node/job.js")]);
}

fn rust() {
    let options = ["--edition=2024", "-Dwarnings"];
    check(&|mount| vec![built(mount, Command::new("rustc").args(options).arg(source("rust/main.rs")))]);
}

/// The command line of an example, which it has to be copied or compiled for.
type Prepare<'p> = &'p dyn Fn(&Mount) -> Vec<String>;

struct Job<'m> {
    mount: &'m Mount,
    line: Vec<String>,
}

impl Job<'_> {
    fn run(&self, user: User<'_>, environment: Option<&str>) -> Output {
        self.run_at(user, &self.mount.root(), environment)
    }

    fn run_at(&self, user: User<'_>, mount: &Path, environment: Option<&str>) -> Output {
        let mut command = user.command(&self.line[0]);
        // The system's own interpreters: those in somebody's home are not for every user.
        command.args(&self.line[1..]).env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        command.env("KEYFS_MOUNT", mount).env_remove("KEYFS_ENV").current_dir("/");
        if let Some(environment) = environment {
            command.env("KEYFS_ENV", environment);
        }
        command.output().expect("the example starts")
    }

    #[track_caller]
    fn says(&self, user: User<'_>, environment: Option<&str>, host: &str, bytes: usize, last_run: &str) {
        let output = self.run(user, environment);
        let expected = format!("host: {host}\npassword: {bytes} bytes\nlast run: {last_run}\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

/// That it failed with one line that has all of these in it; the line.
#[track_caller]
fn fails(output: &Output, words: &[&str]) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "'{word}' is not in: {stderr}");
    }
    assert!(!stderr.contains("s3cret"), "the secret is shown");
    stderr.trim_end().to_owned()
}

fn check(prepare: Prepare<'_>) {
    let mut mount = Mount::new();
    let line = prepare(&mount);
    in_all_environments(&Job { mount: &mount, line: line.clone() });
    assert!(mount.end("TERM").success());
    mount.set_arguments(&["--env", "prod"]);
    mount.start();
    in_one_environment(&Job { mount: &mount, line });
}

fn in_all_environments(job: &Job<'_>) {
    let mount = job.mount;
    let path = |key: &str| mount.path(key).to_str().expect("a path of text").to_owned();
    let secret = path("prod/secrets/db/password");
    // Nothing is there yet; it says where to put it, and has written nothing.
    fails(&job.run(MEMBER, Some("prod")), &["db/password is missing", &secret]);
    fails(&job.run(MEMBER, None), &["db/password is missing", &path("dev/secrets/db/password")]);
    assert!(!mount.path("prod/variables/jobs").exists());
    fails(&job.run(MEMBER, Some("none")), &["there are no keys in", &path("none"), "KEYFS_ENV"]);
    fails(
        &job.run_at(MEMBER, Path::new("/nonexistent"), None),
        &["there are no keys in /nonexistent/dev", "KEYFS_MOUNT"],
    );

    // One newline is the editor's, and a second one the value's.
    mount.mkdir("prod/secrets/db");
    mount.put("prod/secrets/db/password", "s3cret\n");
    mount.own("prod/secrets/db/password", 0, PAYMENTS, 0o640);
    job.says(MEMBER, Some("prod"), "localhost", 6, "never");
    let last_run = String::from_utf8(mount.get("prod/variables/jobs/last_run")).unwrap();
    assert!(last_run.ends_with('\n') && last_run.trim_end().parse::<u64>().is_ok(), "{last_run}");
    mount.put("prod/secrets/db/password", "s3cret\n\n");
    mount.mkdir("prod/variables/db");
    mount.put("prod/variables/db/host", "db.internal");
    job.says(MEMBER, Some("prod"), "db.internal", 7, last_run.trim_end());

    // Refused, it names a command that says why.
    for user in [ROOT, STRANGER] {
        let message = fails(&job.run(user, Some("prod")), &["db/password is not for this process", &secret]);
        let command = message.split_once("to see why: ").expect("a command").1;
        let why = user.sh(command);
        assert!(String::from_utf8_lossy(&why.stdout).contains(&format!("needs group {PAYMENTS}")), "{why:?}");
    }
    // A member who reads all of it, and may not write where another did first.
    let output = job.run(User(BOB, BOB, &[PAYMENTS]), Some("prod"));
    fails(&output, &["jobs/last_run can't be written", &path("prod/variables/jobs/last_run"), "ermission denied"]);
    // An error of another kind is told as it is.
    run(Command::new("setfattr").args(["-n", "user.keyfs.expires", "-v", "2020-01-01T00:00:00Z", &secret]));
    fails(&job.run(MEMBER, Some("prod")), &["db/password can't be read", &secret]);
    run(Command::new("setfattr").args(["-x", "user.keyfs.expires", &secret]));
}

fn in_one_environment(job: &Job<'_>) {
    let last_run = String::from_utf8(job.mount.get("variables/jobs/last_run")).unwrap();
    // There is nothing to choose from here.
    job.says(MEMBER, Some("dev"), "db.internal", 7, last_run.trim_end());
    let secret = job.mount.path("secrets/db/password");
    std::fs::remove_file(&secret).unwrap();
    fails(&job.run(MEMBER, None), &["db/password is missing", secret.to_str().unwrap()]);
}

fn each_has_its_own() {
    // The page names every folder, and how to run what is in it.
    let page = std::fs::read_to_string(source("README.md")).unwrap();
    let mut folders: Vec<_> = std::fs::read_dir(source("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    for folder in folders {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let named = [format!("examples/{name}/"), format!("--example {name}")];
        assert!(named.iter().any(|way| page.contains(way)), "{name} is not in examples/README.md");
    }
}
