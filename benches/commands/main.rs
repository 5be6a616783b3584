//! What `dt` costs as a whole process, beside the programs that do the same work, in one run.
//!
//! `cargo bench --bench commands` prints for each the median time of a process from its start to its end, and the ratio to the
//! others, beside what is to be reached. The rounds take turns, so that a machine that slows down slows all of them down. What isn't
//! installed is left out, and said. It needs root and /dev/fuse.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]

#[path = "../filesystem/million.rs"]
#[allow(dead_code)] // what the other benchmark needs beyond this
mod million;
mod others;
#[path = "../filesystem/server.rs"]
#[allow(dead_code)]
mod server;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use server::Server;

const ROUNDS: usize = 31;

/// How many keys are listed.
const LISTED: usize = 100_000;

/// How many are imported, and how many single puts stand for as many.
const IMPORTED: usize = 10_000;
const PUT: usize = 300;

/// What each of them hands out.
const SECRET: &str = "correct horse battery staple, and then some: sixty-four bytes!!!";

/// Set in the process that has a place of its own for the machine's keys.
const INSIDE: &str = "KEYFS_BENCH_INSIDE";

/// A program and its arguments, which is run as a process of its own.
pub struct Work {
    name: String,
    command: Command,
    /// What it prints.
    prints: Option<String>,
}

impl Work {
    pub fn new(name: &str, command: Command) -> Work {
        Work { name: name.into(), command, prints: None }
    }

    /// The same, and what it prints is looked at.
    pub fn printing(self, text: &str) -> Work {
        Work { prints: Some(text.into()), ..self }
    }

    /// Runs it to its end; seconds.
    fn once(&mut self) -> f64 {
        self.command.stdin(Stdio::null()).stderr(Stdio::piped());
        let begun = Instant::now();
        let output = self.command.output().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let taken = begun.elapsed().as_secs_f64();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {} {stderr}", self.name, output.status);
        if let Some(text) = &self.prints {
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), text, "{}", self.name);
        }
        taken
    }
}

fn main() {
    if !nix::unistd::geteuid().is_root() || !Path::new("/dev/fuse").exists() {
        eprintln!("the benchmark needs root and /dev/fuse; nothing was measured");
        return;
    }
    if std::env::var_os(INSIDE).is_none() {
        // systemd-creds makes a key for the machine where there is none. That is to be gone afterwards.
        let script = "mount -t tmpfs tmpfs /var/lib/systemd 2> /dev/null; exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
        let error = command.arg(std::env::current_exe().unwrap()).env(INSIDE, "1").exec();
        panic!("unshare: {error}");
    }
    let home = tempfile::tempdir().unwrap();
    println!(
        "{} processors; medians of {ROUNDS} rounds, whole processes, in milliseconds",
        std::thread::available_parallelism().unwrap()
    );
    reading(home.path());
    listing(home.path());
    storing(home.path());
}

/// `dt` on a mount.
fn dt(mount: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dt"));
    command.args(arguments).env("KEYFS_MOUNT", mount).env_remove("KEYFS_ENV");
    command.env_remove("DATATAILR_JOB_ENVIRONMENT");
    command
}

fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

fn mounted(home: &Path, name: &str) -> (Server, std::path::PathBuf) {
    let home = home.join(name);
    fs::create_dir_all(&home).unwrap();
    let mount = home.join("keys");
    (Server::keyfs(&home.join("store.redb"), &home.join("identity"), &mount), mount)
}

/// One value.
fn reading(home: &Path) {
    let (_server, mount) = mounted(home, "reading");
    for tree in ["variables", "secrets"] {
        let directory = mount.join("dev").join(tree).join("bench");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("key"), SECRET).unwrap();
    }
    let cat = |tree: &str| {
        let path = mount.join("dev").join(tree).join("bench/key");
        Work::new(&format!("cat, of the {tree}"), program("cat", &[path.to_str().unwrap()])).printing(SECRET)
    };
    let get =
        |arguments: &[&str]| Work::new(&format!("dt {}", arguments.join(" ")), dt(&mount, arguments)).printing(SECRET);
    let variable = compare(vec![get(&["kv", "get", "bench/key"]), cat("variables")]);
    at_most(&variable, 1, 2.0);
    let mut works = vec![get(&["kv", "get", "-s", "bench/key"]), cat("secrets")];
    let mut reach = vec![2.0];
    let (_agent, others) = others::all(home, SECRET);
    for (work, times) in others {
        works.push(work);
        reach.push(times);
    }
    let secret = compare(works);
    at_most(&secret, 1, 2.0);
    for (at, times) in reach.iter().enumerate().skip(1) {
        at_least(&secret, at + 1, *times);
    }
}

/// Many names.
fn listing(home: &Path) {
    let home = home.join("listing");
    fs::create_dir(&home).unwrap();
    let (store, identity, mount) = (home.join("store.redb"), home.join("identity"), home.join("keys"));
    million::build(&store, &identity, LISTED);
    let _server = Server::keyfs(&store, &identity, &mount);
    let tree = mount.join("prod/variables");
    let ls = Work::new(&format!("dt kv ls, of {LISTED} keys"), dt(&mount, &["kv", "ls", "-e", "prod"]));
    let find = Work::new("find -type f", program("find", &[tree.to_str().unwrap(), "-type", "f"]));
    at_most(&compare(vec![ls, find]), 1, 2.0);
}

/// Many values.
fn storing(home: &Path) {
    let (_server, mount) = mounted(home, "storing");
    let value = |key: usize| format!("the value of key {key}");
    let lines: Vec<_> = (0..IMPORTED).map(|key| format!("service-{}/key-{key}: {}\n", key % 100, value(key))).collect();
    let file = home.join("keys.yaml");
    fs::write(&file, lines.concat()).unwrap();
    let (mut imports, mut puts) = (Vec::new(), Vec::new());
    // In turns, each below a directory of its own: all of these keys are new.
    for round in 0..5 {
        let below = format!("imported-{round}");
        let import = ["kv", "import", file.to_str().unwrap(), "--yes", "--json", "--prefix", &below];
        imports.push(Work::new("dt kv import", dt(&mount, &import)).once());
        let begun = Instant::now();
        for key in (0..IMPORTED).step_by(IMPORTED / PUT).take(PUT) {
            let name = format!("single-{round}/service-{}/key-{key}", key % 100);
            Work::new("dt kv put", dt(&mount, &["kv", "put", &name, &value(key)])).once();
        }
        puts.push(begun.elapsed().as_secs_f64() / PUT as f64);
    }
    let (import, put) = (median(imports), median(puts));
    println!("{:<44} {:>9.0}", format!("dt kv import, of {IMPORTED} new keys"), import * 1e3);
    println!("{:<44} {:>9.2}", format!("dt kv put, of one new key ({PUT} were timed)"), put * 1e3);
    let ratio = put * IMPORTED as f64 / import;
    println!("  import, as many times as fast as {IMPORTED} puts: {ratio:.0} (20 to reach)");
}

/// Times works in turns; their names and medians in seconds.
fn compare(mut works: Vec<Work>) -> Vec<(String, f64)> {
    let mut samples = vec![Vec::new(); works.len()];
    for round in 0..=ROUNDS {
        for (work, samples) in works.iter_mut().zip(&mut samples) {
            let taken = work.once();
            // The first round warms up.
            if round > 0 {
                samples.push(taken);
            }
        }
    }
    let medians: Vec<_> = works.into_iter().map(|work| work.name).zip(samples.into_iter().map(median)).collect();
    for (name, seconds) in &medians {
        println!("{name:<44} {:>9.2}", seconds * 1e3);
    }
    medians
}

fn at_most(measured: &[(String, f64)], other: usize, times: f64) {
    let ratio = measured[0].1 / measured[other].1;
    println!("  {} beside {}: {ratio:.2} times as long (at most {times} to reach)", measured[0].0, measured[other].0);
}

fn at_least(measured: &[(String, f64)], other: usize, times: f64) {
    let ratio = measured[other].1 / measured[0].1;
    println!("  {} beside {}: {ratio:.1} times as fast ({times} to reach)", measured[0].0, measured[other].0);
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
