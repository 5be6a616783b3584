//! What keyfs costs beside a bare FUSE file system that keeps its files in a map, and beside tmpfs, in one run.
//!
//! `cargo bench` prints, for each work, the median time of one operation on each of the three, and keyfs's as a multiple of
//! the bare one's. The rounds take turns, so that a machine that slows down slows all of them down. It needs root and /dev/fuse.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]

mod floor;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A group that this process has as a supplementary one.
const GROUP: u32 = 20_101;
const VALUE: &[u8] = b"correct horse battery staple, and then some: sixty-four bytes!!!";
const ROUNDS: usize = 15;

/// A file system under test, and where in it things are.
struct Target {
    name: &'static str,
    variable: PathBuf,
    secret: PathBuf,
    directory: PathBuf,
}

/// A server that is ended when the benchmark is.
struct Server(Child, PathBuf);

impl Server {
    fn start(command: &mut Command, mount: &Path) -> Server {
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("the server starts");
        let stdout = child.stdout.take().unwrap();
        let ready = BufReader::new(stdout).lines().map_while(Result::ok).any(|line| line.contains("mounted"));
        assert!(ready, "{command:?} does not mount");
        Server(child, mount.into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.1).status();
        let _ = self.0.wait();
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, directory] = arguments.as_slice()
        && flag == "--serve-floor"
    {
        floor::serve(Path::new(directory));
        return;
    }
    if !nix::unistd::geteuid().is_root() || !Path::new("/dev/fuse").exists() {
        eprintln!("the benchmark needs root and /dev/fuse; nothing was measured");
        return;
    }
    let group = nix::unistd::Gid::from_raw(GROUP);
    nix::unistd::setgroups(&[group]).expect("setgroups");

    let home = tempfile::tempdir().unwrap();
    let shared = tempfile::tempdir_in("/dev/shm").unwrap();
    let (keys, bare) = (home.path().join("keys"), home.path().join("bare"));
    fs::create_dir(&bare).unwrap();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_keyfs"));
    daemon.args(["mount", "--create"]).arg(&keys);
    daemon.arg("--store").arg(home.path().join("store.redb")).arg("--identity").arg(home.path().join("identity"));
    let _keyfs = Server::start(&mut daemon, &keys);
    let mut floor = Command::new(std::env::current_exe().unwrap());
    let _floor = Server::start(floor.arg("--serve-floor").arg(&bare), &bare);

    let target = |name, root: &Path, variables: &str, secrets: &str| {
        let directory = root.join(variables);
        fs::create_dir_all(&directory).unwrap();
        let target =
            Target { name, variable: directory.join("key"), secret: root.join(secrets).join("password"), directory };
        fs::create_dir_all(root.join(secrets)).unwrap();
        fs::write(&target.variable, VALUE).unwrap();
        fs::write(&target.secret, VALUE).unwrap();
        if name != "bare" {
            chown(&target.secret, None, Some(GROUP)).unwrap();
            fs::set_permissions(&target.secret, fs::Permissions::from_mode(0o640)).unwrap();
        }
        target
    };
    let targets = [
        target("keyfs", &keys, "dev/variables/bench", "dev/secrets/bench"),
        target("bare", &bare, "", ""),
        target("tmpfs", shared.path(), "", ""),
    ];

    println!(
        "{} processors; median of {ROUNDS} rounds, in microseconds",
        std::thread::available_parallelism().unwrap()
    );
    println!("{:<44} {:>9} {:>9} {:>9} {:>12}", "work", "keyfs", "bare", "tmpfs", "keyfs/bare");
    row(&targets, "stat of a known key", 2_000, |target| {
        fs::metadata(&target.variable).unwrap();
    });
    row(&targets, "variable: open, one read, close", 500, |target| read_once(&target.variable));
    row(&targets, "secret, supplementary group: the same", 500, |target| read_once(&target.secret));
    row(&targets, "variable: read to the end", 500, |target| {
        fs::read(&target.variable).unwrap();
    });
    row(&targets, "secret: read to the end", 500, |target| {
        fs::read(&target.secret).unwrap();
    });
    let mut serial = 0_u64;
    row(&targets, "put: create, write, close (durable in keyfs)", 60, |target| {
        serial += 1;
        put(&target.directory.join(format!("new-{serial}")), serial);
    });
    row(&targets, "put: overwrite (durable in keyfs)", 60, |target| {
        serial += 1;
        put(&target.variable, serial);
    });
    for writers in [1, 16] {
        let per_second = |target: &Target| throughput(target, writers, Duration::from_millis(700));
        let [keyfs, bare, tmpfs] = [0, 1, 2].map(|place| per_second(&targets[place]));
        println!("{:<44} {keyfs:>9.0} {bare:>9.0} {tmpfs:>9.0} per second", format!("puts by {writers} writers"));
    }
}

fn read_once(path: &Path) {
    let mut buffer = [0; 4096];
    let read = File::open(path).unwrap().read(&mut buffer).unwrap();
    assert_eq!(&buffer[..read], VALUE);
}

fn put(path: &Path, serial: u64) {
    let mut file = File::create(path).unwrap();
    file.write_all(format!("{serial:064}").as_bytes()).unwrap();
}

/// Times one operation on each target, in turns, and prints the medians.
fn row(targets: &[Target; 3], work: &str, times: u32, mut operation: impl FnMut(&Target)) {
    let mut samples = [const { Vec::new() }; 3];
    for round in 0..=ROUNDS {
        for (target, samples) in targets.iter().zip(&mut samples) {
            let begun = Instant::now();
            for _ in 0..times {
                operation(target);
            }
            // The first round warms up.
            if round > 0 {
                samples.push(begun.elapsed() / times);
            }
        }
    }
    let medians = samples.map(|mut samples: Vec<Duration>| {
        samples.sort();
        samples[samples.len() / 2].as_secs_f64() * 1e6
    });
    debug_assert_eq!(targets[0].name, "keyfs");
    let [keyfs, bare, tmpfs] = medians;
    println!("{work:<44} {keyfs:>9.1} {bare:>9.1} {tmpfs:>9.1} {:>12.2}", keyfs / bare);
}

/// Puts per second by so many threads, each on keys of its own.
fn throughput(target: &Target, writers: usize, time: Duration) -> f64 {
    let begun = Instant::now();
    let done: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers)
            .map(|writer| {
                let path = target.directory.join(format!("writer-{writer}"));
                scope.spawn(move || {
                    let mut done = 0;
                    while begun.elapsed() < time {
                        put(&path, done);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    done as f64 / begun.elapsed().as_secs_f64()
}
