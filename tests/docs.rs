//! The examples of the documentation, run as they stand: each ```console block in a fresh mount, its output compared with
//! what the page shows.
//!
//! A line that begins with `$ ` is a command, `> ` goes on with the one before it, and the rest is what both outputs of the
//! command show together. `…` stands for any text within a line, a line of `…` alone for any number of lines. Commands run in
//! one shell for each block, at the mount's root, as root in no other group. `as USER COMMAND…` runs a command as somebody
//! else; the users and groups are those of `accounts`. Where a page says
//! `/tmp/keys` or `/var/lib/keyfs`, the real places of the mount and of its store are used.
//!
//! It deliberately leaves the blocks of other languages alone, as ```sh: those are for reading.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]

#[path = "mount/accounts.rs"]
#[allow(dead_code)] // what the tests of programs need beyond this
mod accounts;
#[path = "mount/fixture.rs"]
#[allow(dead_code)] // what the tests on a mount need beyond this
mod fixture;
#[path = "mount/harness.rs"]
#[allow(dead_code)]
mod harness;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use fixture::Mount;
use libtest_mimic::{Arguments, Failed, Trial};

/// The pages whose examples are run.
const PAGES: &[&str] = &["README.md", "docs/semantics.md", "docs/permissions.md", "docs/operations.md", "docs/dt.md"];

/// Where the pages have the mount, and the store.
const PLACE: &str = "/tmp/keys";
const HOME: &str = "/var/lib/keyfs";

fn main() {
    let arguments = Arguments::from_args();
    let missing = fixture::missing().or_else(|| {
        let absent = ["unshare", "bash"].into_iter().find(|tool| !fixture::is_installed(tool));
        absent.map(|tool| format!("{tool} missing"))
    });
    if let Some(missing) = &missing {
        eprintln!("the documentation's examples are not run: {missing}");
        harness::refuse(true);
    } else if !arguments.list {
        accounts::enter();
        accounts::reachable(Path::new(env!("CARGO_BIN_EXE_dt")));
    }
    let mut trials = Vec::new();
    for page in PAGES {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).expect("a page");
        for block in blocks(&text) {
            let name = format!("{page}:{}", block.line);
            let trial = Trial::test(name, move || check(&block));
            trials.push(trial.with_ignored_flag(missing.is_some()));
        }
    }
    assert!(trials.len() > PAGES.len(), "the pages have no examples");
    libtest_mimic::run(&arguments, trials).exit();
}

/// One example.
struct Block {
    line: usize,
    steps: Vec<Step>,
}

struct Step {
    command: String,
    shown: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        if !inside {
            if line.trim_end() == "```console" {
                inside = true;
                blocks.push(Block { line: number + 1, steps: Vec::new() });
            }
            continue;
        }
        let steps = &mut blocks.last_mut().expect("a block").steps;
        if line.starts_with("```") {
            inside = false;
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.into(), shown: Vec::new() });
        } else {
            let step = steps.last_mut().unwrap_or_else(|| panic!("line {}: output before a command", number + 1));
            match line.strip_prefix("> ").filter(|_| step.shown.is_empty()) {
                Some(more) => step.command.extend(["\n", more]),
                None => step.shown.push(line.into()),
            }
        }
    }
    assert!(!inside, "a block has no end");
    blocks
}

/// Runs a block, and compares what it shows.
fn check(block: &Block) -> Result<(), Failed> {
    let mount = Mount::new();
    let (place, home) = (mount.root(), mount.home());
    let (place, home) = (place.to_str().expect("a path of text"), home.to_str().expect("a path of text"));
    let marker = format!("@@{}@@", std::process::id());
    let mut script = String::from(
        "exec 2>&1\numask 022\n\
         as() { local user=$1; shift; setpriv --reuid=\"$user\" --regid=\"$user\" --init-groups -- \"$@\"; }\n",
    );
    for step in &block.steps {
        // What comes before the marker is the command's, and one newline ours.
        let command = step.command.replace(PLACE, place).replace(HOME, home);
        script.push_str(&format!("{command}\nprintf '\\n{marker}\\n'\n"));
    }
    let mut shell = Command::new("setpriv");
    shell.args(["--reuid=0", "--regid=0", "--clear-groups", "--", "bash", "--norc", "-c", &script, "bash"]);
    shell.current_dir(mount.root()).stdin(Stdio::null()).env_remove("RUST_LOG");
    shell.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("KEYFS_MOUNT", place);
    let program = Path::new(fixture::KEYFS).parent().expect("a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    let everybodys = accounts::home("bin");
    shell.env("PATH", format!("{}:{}:{path}", everybodys.display(), program.display()));
    shell.env_remove("KEYFS_ENV").env_remove("DATATAILR_JOB_ENVIRONMENT");
    let output = shell.output().expect("bash");
    let shown = String::from_utf8_lossy(&output.stdout).replace(place, PLACE).replace(home, HOME);
    let end = format!("\n{marker}\n");
    let mut parts = shown.split(&end);
    let mut wrong = String::new();
    for step in &block.steps {
        let lines: Vec<String> = parts.next().unwrap_or_default().lines().map(without_line_number).collect();
        if !matches(&step.shown, &lines) {
            wrong.push_str(&format!("$ {}\n{}\n", step.command, lines.join("\n")));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("these show something else:\n{wrong}").into()) }
}

/// The shell's own messages without the number of the script's line, as at a prompt.
fn without_line_number(line: &str) -> String {
    let plain = || {
        let (number, message) = line.strip_prefix("bash: line ")?.split_once(": ")?;
        number.parse::<u32>().ok().map(|_| format!("bash: {message}"))
    };
    plain().unwrap_or_else(|| line.into())
}

fn matches(patterns: &[String], lines: &[String]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => (0..=lines.len()).any(|skip| matches(rest, &lines[skip..])),
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, others)| matches_line(first, line) && matches(rest, others))
        }
    }
}

fn matches_line(pattern: &str, line: &str) -> bool {
    match pattern.split_once('…') {
        None => pattern == line,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|line| {
            line.char_indices().map(|(at, _)| at).chain([line.len()]).any(|at| matches_line(rest, &line[at..]))
        }),
    }
}
