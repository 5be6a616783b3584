//! `dt` on a real mount: the platform's commands, as several users, into pipes and on terminals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]
#![allow(dead_code)] // the fixture is shared with the tests on a mount

#[path = "../mount/accounts.rs"]
mod accounts;
mod cases;
mod client;
#[path = "../mount/fixture.rs"]
mod fixture;
#[path = "../mount/harness.rs"]
mod harness;
mod imports;
mod leftovers;
mod places;
mod secrets;
mod values;

use std::process::{Command, Output, Stdio};

use fixture::{Mount, User};
use harness::{Case, Family};
use libtest_mimic::{Arguments, Failed, Trial};

/// The program under test, where every user reaches it.
pub fn dt() -> std::path::PathBuf {
    accounts::home("bin").join("dt")
}

const FAMILIES: &[Family] = &[
    Family::mounting("values", values::CASES),
    Family::mounting("secrets", secrets::CASES),
    Family::mounting("places", places::CASES),
    Family::mounting("imports", imports::CASES),
    Family::mounting("leftovers", leftovers::CASES),
    Family::mounting("client", client::CASES).with(client::TOOLS),
];

fn main() {
    harness::announce(FAMILIES);
    let arguments = Arguments::from_args();
    let missing = fixture::missing().is_some();
    if !missing && !arguments.list {
        accounts::enter();
        accounts::reachable(env!("CARGO_BIN_EXE_dt").as_ref());
        client::prepare();
    }
    let mut trials = harness::trials(FAMILIES);
    for file in cases::files() {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let trial = Trial::test(format!("cases::{name}"), move || cases::check(&file).map_err(Failed::from));
        trials.push(trial.with_ignored_flag(missing));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// What every command runs with.
pub fn environment(command: &mut Command, mount: &Mount) {
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", accounts::home("bin").display())).env("KEYFS_MOUNT", mount.root());
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("TERM", "dumb").env("NO_COLOR", "1");
    command.env_remove("KEYFS_ENV").env_remove("DATATAILR_JOB_ENVIRONMENT").env_remove("RUST_LOG");
}

/// `dt` as somebody.
pub fn command(mount: &Mount, user: &User<'_>, arguments: &[&str]) -> Command {
    let mut command = user.command(dt().to_str().expect("a path"));
    command.args(arguments);
    environment(&mut command, mount);
    command
}

/// Runs `dt` as somebody, with this on stdin.
pub fn run_with(mount: &Mount, user: &User<'_>, arguments: &[&str], stdin: &[u8]) -> Output {
    use std::io::Write;
    let mut command = command(mount, user, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("dt");
    let _ = child.stdin.take().expect("a pipe").write_all(stdin);
    child.wait_with_output().expect("dt ends")
}

/// Runs `dt` as somebody, with nothing on stdin.
pub fn run(mount: &Mount, user: &User<'_>, arguments: &[&str]) -> Output {
    run_with(mount, user, arguments, b"")
}

/// That it succeeded; what it printed.
#[track_caller]
pub fn succeeds(output: Output) -> Vec<u8> {
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// That it failed with this code, printed nothing, and said all of these in one line.
#[track_caller]
pub fn fails(output: &Output, code: i32, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("dt: ") && !stderr.contains("Error") && !stderr.contains("Some("), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "'{word}' is not in: {stderr}");
    }
}

/// For modules of cases.
pub type Cases = &'static [Case];
