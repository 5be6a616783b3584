//! What keyfs costs beside a bare FUSE file system that keeps its files in a map, and beside tmpfs, in one run.
//!
//! `cargo bench --bench filesystem` prints, for each work, the median time of one operation on each of the three, and keyfs's as a multiple of
//! the bare one's, beside what is to be reached. The rounds take turns, so that a machine that slows down slows all of them down.
//! Then what the parts of a read take in the daemon; `-- --picture FILE` draws them. `--
//! --million` has a store of very many keys instead. It needs root and /dev/fuse.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]

mod floor;
mod million;
mod parts;
mod picture;
mod scale;
mod server;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use server::Server;

/// A group that this process has as a supplementary one.
const GROUP: u32 = 20_101;
const VALUE: &[u8] = b"correct horse battery staple, and then some: sixty-four bytes!!!";
const ROUNDS: usize = 15;

/// How many keys are listed.
const LISTED: usize = 10_000;

/// A file system under test, and where in it things are.
struct Target {
    variable: PathBuf,
    secret: PathBuf,
    directory: PathBuf,
    /// With [`LISTED`] keys.
    many: PathBuf,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, directory] = arguments.as_slice()
        && flag == "--serve-floor"
    {
        floor::serve(Path::new(directory));
        return;
    }
    let mut rest = arguments.iter().skip_while(|argument| *argument != "--picture").skip(1);
    let picture = rest.next().map(PathBuf::from);
    if !nix::unistd::geteuid().is_root() || !Path::new("/dev/fuse").exists() {
        eprintln!("the benchmark needs root and /dev/fuse; nothing was measured");
        return;
    }
    let group = nix::unistd::Gid::from_raw(GROUP);
    nix::unistd::setgroups(&[group]).expect("setgroups");

    let home = tempfile::tempdir().unwrap();
    if arguments.iter().any(|argument| argument == "--million") {
        return scale::measure(home.path());
    }
    let shared = tempfile::tempdir_in("/dev/shm").unwrap();
    let (keys, bare) = (home.path().join("keys"), home.path().join("bare"));
    fs::create_dir(&bare).unwrap();
    let _keyfs = Server::keyfs(&home.path().join("store.redb"), &home.path().join("identity"), &keys);
    let mut floor = Command::new(std::env::current_exe().unwrap());
    let _floor = Server::start(floor.arg("--serve-floor").arg(&bare), &bare);

    // A path of as many names for each: it is looked up name by name.
    let targets = [keys.as_path(), bare.as_path(), shared.path()].map(Target::prepare);
    chown(&targets[0].secret, None, Some(GROUP)).unwrap();
    fs::set_permissions(&targets[0].secret, fs::Permissions::from_mode(0o640)).unwrap();

    println!(
        "{} processors; medians of {ROUNDS} rounds, in microseconds",
        std::thread::available_parallelism().unwrap()
    );
    println!("{:<48} {:>9} {:>9} {:>9} {:>11} {:>9}", "work", "keyfs", "bare", "tmpfs", "keyfs/bare", "to reach");
    row(&targets, "stat of a known key", "1.1", 2_000, |target| {
        fs::metadata(&target.variable).unwrap();
    });
    let [variable, bare, _] =
        row(&targets, "variable: open, one read, close", "0.65", 500, |target| read_once(&target.variable));
    let [secret, ..] =
        row(&targets, "secret by a supplementary group: the same", "0.85", 500, |target| read_once(&target.secret));
    row(&targets, "variable: read to the end", "1.0", 500, |target| {
        read_to_end(&target.variable);
    });
    row(&targets, "secret: read to the end", "1.2", 500, |target| {
        read_to_end(&target.secret);
    });
    row(&targets, "ls -l of 10,000 keys, warm", "1.2", 1, |target| {
        let entries = fs::read_dir(&target.many).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        assert!(entries.count() >= LISTED);
    });
    puts(&targets, home.path());
    readers(&targets[0]);
    let parts = parts::measure();
    if let Some(picture) = picture {
        picture::draw(&picture, [bare, variable, secret], &parts);
    }
}

impl Target {
    /// Makes what is to be worked on.
    fn prepare(root: &Path) -> Target {
        let (variables, secrets) = (&root.join("dev/variables"), &root.join("dev/secrets"));
        let below = |root: &Path, name: &str| {
            let directory = root.join(name);
            fs::create_dir_all(&directory).unwrap();
            directory
        };
        let (directory, many) = (below(variables, "bench"), below(variables, "many"));
        let (variable, secret) = (directory.join("key"), below(secrets, "bench").join("password"));
        fs::write(&variable, VALUE).unwrap();
        fs::write(&secret, VALUE).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..16 {
                let many = &many;
                scope.spawn(move || {
                    (writer..LISTED).step_by(16).for_each(|key| put(&many.join(format!("key-{key:05}")), 0));
                });
            }
        });
        Target { variable, secret, directory, many }
    }
}

/// What is stored: in keyfs durable, so that the bare one and one commit of a database of the same kind are its floor together.
fn puts(targets: &[Target; 3], home: &Path) {
    let commit = durable_commit(home);
    println!("one durable commit of a bare redb, of 100 bytes: {:.1}", commit * 1e6);
    let mut serial = 0_u64;
    let mut put_one = |work: &str, path: &dyn Fn(&Target, u64) -> PathBuf| {
        let [keyfs, bare, _] = row(targets, work, "", 60, |target| {
            serial += 1;
            put(&path(target, serial), serial);
        });
        let ratio = keyfs / (bare + commit * 1e6);
        println!(
            "{:<48} {:>9} {:>9} {:>9} {ratio:>11.2} {:>9}",
            "  beside the bare one and a commit", "", "", "", "1.3"
        );
    };
    put_one("put: create, write, close", &|target, serial| target.directory.join(format!("new-{serial}")));
    put_one("put: overwrite", &|target, _| target.variable.clone());
    // In turns, as the rows above.
    let mut rates = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        for (rates, writers) in rates.iter_mut().zip([1, 16]) {
            rates.push(throughput(writers, Duration::from_millis(300), |writer, done| {
                put(&targets[0].directory.join(format!("writer-{writer}")), done);
            }));
        }
    }
    let [one, sixteen] = rates.map(median);
    println!(
        "puts per second by 1 writer {one:.0}, by 16 {sixteen:.0}: {:.2} times as many, 6 to reach",
        sixteen / one
    );
}

fn readers(keyfs: &Target) {
    for (kind, path) in [("variables", &keyfs.variable), ("secrets", &keyfs.secret)] {
        let mut rates = [const { Vec::new() }; 2];
        for _ in 0..ROUNDS {
            for (rates, readers) in rates.iter_mut().zip([1, 8]) {
                rates.push(throughput(readers, Duration::from_millis(200), |_, _| drop(read_to_end(path))));
            }
        }
        let [one, eight] = rates.map(median);
        let times = eight / one;
        println!(
            "{kind} read per second by 1 reader {one:.0}, by 8 {eight:.0}: {times:.2} times as many, 1.6 to reach"
        );
    }
}

/// Seconds that one durable commit takes.
fn durable_commit(home: &Path) -> f64 {
    const TABLE: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("rows");
    let database = redb::Database::create(home.join("bare.redb")).unwrap();
    let mut samples = Vec::new();
    for key in 0..400 {
        let begun = Instant::now();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(TABLE).unwrap().insert(key, [7; 100].as_slice()).unwrap();
        transaction.commit().unwrap();
        samples.push(begun.elapsed().as_secs_f64());
    }
    median(samples)
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn read_once(path: &Path) {
    let mut buffer = [0; 4096];
    let read = File::open(path).unwrap().read(&mut buffer).unwrap();
    assert_eq!(&buffer[..read], VALUE);
}

fn read_to_end(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

fn put(path: &Path, serial: u64) {
    let mut file = File::create(path).unwrap();
    file.write_all(format!("{serial:064}").as_bytes()).unwrap();
}

/// Times one operation on each target, in turns, and prints the medians.
fn row(targets: &[Target; 3], work: &str, reach: &str, times: u32, mut operation: impl FnMut(&Target)) -> [f64; 3] {
    let mut samples = [const { Vec::new() }; 3];
    for round in 0..=ROUNDS {
        for (target, samples) in targets.iter().zip(&mut samples) {
            let begun = Instant::now();
            for _ in 0..times {
                operation(target);
            }
            // The first round warms up.
            if round > 0 {
                samples.push((begun.elapsed() / times).as_secs_f64() * 1e6);
            }
        }
    }
    let medians = samples.map(median);
    let [keyfs, bare, tmpfs] = medians;
    println!("{work:<48} {keyfs:>9.1} {bare:>9.1} {tmpfs:>9.1} {:>11.2} {reach:>9}", keyfs / bare);
    medians
}

/// How often so many threads do a work in a second; it is told which of them it is for, and how often that has done it.
fn throughput(threads: usize, time: Duration, work: impl Fn(usize, u64) + Sync) -> f64 {
    let begun = Instant::now();
    let work = &work;
    let done: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let mut done = 0;
                    while begun.elapsed() < time {
                        work(thread, done);
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
