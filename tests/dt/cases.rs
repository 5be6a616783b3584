//! Command lines and what they show, as data: each file under `cases/` in a mount of its own.
//!
//! ```text
//! # A line for the reader.
//! $ dt kv get config/retries          runs in a shell, its outputs in pipes
//! % dt kv get config/retries          runs on a terminal, which shows both outputs
//! < a line of stdin
//! 5                                   a line of stdout
//! 2| dt: …                            a line of stderr
//! ? 3                                 the exit code, where it isn't 0
//! ```
//!
//! `…` stands for any text within a line. `as USER COMMAND` runs a command as somebody else; the users and groups are those
//! of `accounts`. `/tmp/keys` stands for the mount.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fixture::Mount;

const PLACE: &str = "/tmp/keys";

/// The files, by name.
pub fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dt/cases");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).expect("cases").map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[derive(Default)]
struct Step {
    line: usize,
    command: String,
    terminal: bool,
    stdin: String,
    stdout: Vec<String>,
    stderr: Vec<String>,
    code: i32,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let begins = |mark: &str| line.strip_prefix(mark);
        if let Some(command) = begins("$ ").or(begins("% ")) {
            let terminal = line.starts_with('%');
            steps.push(Step { line: number + 1, command: command.into(), terminal, ..Step::default() });
            continue;
        }
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let step = steps.last_mut().unwrap_or_else(|| panic!("line {}: no command yet", number + 1));
        if let Some(text) = begins("< ") {
            step.stdin.extend([text, "\n"]);
        } else if let Some(text) = begins("2| ") {
            step.stderr.push(text.into());
        } else if let Some(code) = begins("? ") {
            step.code = code.parse().expect("an exit code");
        } else {
            step.stdout.push(line.into());
        }
    }
    steps
}

/// Runs a file.
pub fn check(file: &Path) -> Result<(), String> {
    let mount = Mount::new();
    let text = std::fs::read_to_string(file).expect("a case");
    let mut wrong = String::new();
    for step in steps(&text) {
        let (code, stdout, stderr) = run(&mount, &step);
        let expected = (step.code, &step.stdout, &step.stderr);
        if code != step.code || !matches(&step.stdout, &stdout) || !matches(&step.stderr, &stderr) {
            wrong.push_str(&format!(
                "{}:{}: {}\n  expected {expected:?}\n  found    {:?}\n",
                file.display(),
                step.line,
                step.command,
                (code, &stdout, &stderr)
            ));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn run(mount: &Mount, step: &Step) -> (i32, Vec<String>, Vec<String>) {
    let place = mount.root();
    let place = place.to_str().expect("a path");
    let script = format!(
        "umask 022; as() {{ local user=$1; shift; setpriv --reuid=\"$user\" --regid=\"$user\" --init-groups -- \"$@\"; }}\n{}",
        step.command.replace(PLACE, place)
    );
    let mut command = Command::new("setpriv");
    command.args(["--reuid=0", "--regid=0", "--clear-groups", "--"]);
    if step.terminal {
        command.arg("python3").arg(terminal()).arg("--");
    }
    command.args(["bash", "--norc", "-c", &script, "bash"]).current_dir(mount.home());
    crate::environment(&mut command, mount);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("bash");
    let _ = child.stdin.take().expect("a pipe").write_all(step.stdin.as_bytes());
    let output = child.wait_with_output().expect("bash ends");
    let lines = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).replace(place, PLACE);
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    (output.status.code().unwrap_or(-1), lines(&output.stdout), lines(&output.stderr))
}

/// The program that runs another on a terminal.
pub fn terminal() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dt/terminal.py")
}

fn matches(patterns: &[String], lines: &[String]) -> bool {
    patterns.len() == lines.len() && patterns.iter().zip(lines).all(|(pattern, line)| matches_line(pattern, line))
}

fn matches_line(pattern: &str, line: &str) -> bool {
    match pattern.split_once('…') {
        None => pattern == line,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|line| {
            line.char_indices().map(|(at, _)| at).chain([line.len()]).any(|at| matches_line(rest, &line[at..]))
        }),
    }
}
