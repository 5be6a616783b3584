//! Disks that fill up and disks that break, beneath the store and beneath the audit log: the right errno, the old value kept,
//! nothing half-written, readers unharmed, and service resumes by itself.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failing::{Failing, Fault};
use crate::fixture::{Mount, wait_for};
use crate::harness::{Case, Tool};
use crate::medium::Medium;
use crate::scale::{Random, either, seed};
use crate::values::{errno, get, number, put, value};

pub const CASES: &[Case] = &[
    ("a_store_fills_up_in_the_middle_of_commits", a_store_fills_up_in_the_middle_of_commits),
    ("an_audit_log_fills_up_under_readers_and_writers", an_audit_log_fills_up_under_readers_and_writers),
    ("a_disk_that_cannot_be_read", a_disk_that_cannot_be_read),
    ("a_disk_that_cannot_be_written_or_synced", a_disk_that_cannot_be_written_or_synced),
];
pub const TOOLS: &[Tool] = &[("mkfs.ext4", "e2fsprogs")];

/// A store that was moved to another place, where its mount finds it.
fn moved(place: impl FnOnce(&std::path::Path) -> std::path::PathBuf) -> Mount {
    let mut mount = Mount::new();
    assert!(mount.end("TERM").success());
    let there = place(&mount.store());
    if mount.store().exists() {
        fs::copy(mount.store(), &there).expect("the store");
        fs::remove_file(mount.store()).expect("the store");
    }
    std::os::unix::fs::symlink(there, mount.store()).expect("a link");
    mount.start();
    mount
}

/// A key with one writer: the last number that was acknowledged, and the last one that was tried.
struct Kept {
    name: String,
    acknowledged: AtomicU64,
    tried: AtomicU64,
}

impl Kept {
    fn new(name: String) -> Kept {
        Kept { name, acknowledged: AtomicU64::new(0), tried: AtomicU64::new(0) }
    }

    /// Stores the next value; the errno, or 0.
    fn put(&self, mount: &Mount, size: usize) -> i32 {
        let next = self.tried.fetch_add(1, Ordering::SeqCst) + 1;
        let stored = put(&mount.path(&self.name), &value(&self.name, next, size));
        if stored.is_ok() {
            self.acknowledged.store(next, Ordering::SeqCst);
        }
        errno(&stored)
    }

    /// That what is read is whole, and neither older than what was acknowledged before nor newer than what was tried.
    fn read(&self, mount: &Mount) -> std::io::Result<u64> {
        let before = self.acknowledged.load(Ordering::SeqCst);
        let bytes = get(&mount.path(&self.name))?;
        let found = number(&self.name, &bytes).unwrap_or_else(|torn| panic!("torn: {torn}"));
        let tried = self.tried.load(Ordering::SeqCst);
        assert!((before..=tried).contains(&found), "{}: {found} is not in {before}..={tried}", self.name);
        Ok(found)
    }

    /// That it is what was acknowledged last: what was refused changed nothing.
    fn is_as_acknowledged(&self, mount: &Mount) {
        let found = self.read(mount).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        assert_eq!(found, self.acknowledged.load(Ordering::SeqCst), "{}", self.name);
    }
}

fn some_kept(mount: &Mount, count: usize) -> Vec<Kept> {
    let tree = |n: usize| if n.is_multiple_of(2) { "variables" } else { "secrets" };
    let kept: Vec<_> = (0..count).map(|n| Kept::new(format!("prod/{}/k{n}", tree(n)))).collect();
    kept.iter().for_each(|key| assert_eq!(key.put(mount, 5000), 0, "{}", key.name));
    kept
}

fn a_store_fills_up_in_the_middle_of_commits() {
    let medium = Medium::on_disk(64 << 20);
    let mut mount = moved(|_| medium.path("store.redb"));
    let kept = some_kept(&mount, 8);
    let (stop, full) = (AtomicBool::new(false), AtomicU64::new(0));
    let seed = seed();
    println!("seed {seed}");
    std::thread::scope(|scope| {
        let (mount, medium, stop, full) = (&mount, &medium, &stop, &full);
        for (own, key) in kept.iter().enumerate() {
            scope.spawn(move || {
                let mut random = Random(seed.wrapping_add(own as u64));
                while !stop.load(Ordering::SeqCst) {
                    match key.put(mount, 100 + random.below(120_000)) {
                        0 => {}
                        libc::ENOSPC => drop(full.fetch_add(1, Ordering::SeqCst)),
                        other => panic!("{}: errno {other}\n{}", key.name, mount.logged()),
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    for key in &kept {
                        key.read(mount).expect("a reader of a full disk");
                    }
                }
            });
        }
        let ended = Stopping(stop);
        for _ in 0..either(2, 40) {
            let before = full.load(Ordering::SeqCst);
            medium.fill();
            // What is free within the store's file is used up by keys of the test's own, until nobody finds room.
            let mut fillers = 0;
            wait_for("commits without room", || {
                let name = format!("prod/variables/filler{fillers}");
                match errno(&put(&mount.path(&name), &value(&name, 0, 500_000))) {
                    0 => fillers += 1,
                    libc::ENOSPC => drop(full.fetch_add(1, Ordering::SeqCst)),
                    other => panic!("errno {other}"),
                }
                full.load(Ordering::SeqCst) >= before + 16
            });
            medium.empty();
            let stored = |key: &Kept| key.acknowledged.load(Ordering::SeqCst);
            let then: Vec<_> = kept.iter().map(stored).collect();
            wait_for("commits of everybody", || kept.iter().zip(&then).all(|(key, then)| stored(key) > *then));
            // Ten small versions push a large one out of the history.
            let small = |name: &String| {
                (0..11).for_each(|n| wait_for("room again", || put(&mount.path(name), &[n]).is_ok()));
            };
            (0..fillers).map(|n| format!("prod/variables/filler{n}")).for_each(|name| small(&name));
        }
        drop(ended);
    });
    medium.fill();
    println!("{} refusals", full.load(Ordering::SeqCst));
    kept.iter().for_each(|key| key.is_as_acknowledged(&mount));
    // On the full disk: what takes away works, what looks works.
    assert!(fs::read_dir(mount.path("prod/variables")).expect("ls").count() >= 4);
    fs::remove_file(mount.path(&kept[0].name)).expect("rm on a full disk");
    medium.empty();
    mount.restart();
    kept[1..].iter().for_each(|key| key.is_as_acknowledged(&mount));
    // A refused commit left no record of a value that is not there, and none is missing.
    for key in &kept[1..] {
        let puts = mount.audit().iter().filter(|line| line["event"] == "put" && is_of(line, &key.name)).count();
        let version = xattr::version(&mount, &key.name);
        assert_eq!(puts as u64, version, "{}", key.name);
    }
}

/// Ends what waits for it, also where the test fails.
struct Stopping<'s>(&'s AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn is_of(line: &Value, name: &str) -> bool {
    let part = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
    format!("{}/{}/{}", part("env"), part("tree"), part("key")) == name
}

mod xattr {
    use std::process::Command;

    use crate::fixture::{Mount, run};

    /// The current version of a key.
    pub fn version(mount: &Mount, name: &str) -> u64 {
        let mut command = Command::new("getfattr");
        command.args(["--absolute-names", "--only-values", "-n", "system.keyfs.version"]).arg(mount.path(name));
        run(&mut command).trim().parse().expect("a number")
    }
}

/// The lines of a log that may have been cut where it had no room.
fn lines(log: &std::path::Path) -> Vec<Value> {
    let text = fs::read(log).expect("the audit log");
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn an_audit_log_fills_up_under_readers_and_writers() {
    let medium = Medium::on_disk(4 << 20);
    let log = medium.path("audit.jsonl");
    let mount = Mount::with(&["--audit", log.to_str().expect("text")]);
    let kept = some_kept(&mount, 4);
    let (stop, refused) = (AtomicBool::new(false), AtomicU64::new(0));
    let granted: Vec<_> = kept.iter().map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        let (mount, medium, stop, refused, granted) = (&mount, &medium, &stop, &refused, &granted);
        for (key, granted) in kept.iter().zip(granted).filter(|(key, _)| key.name.contains("secrets")) {
            for reader in 0..3 {
                scope.spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        // One of them writes too; a change takes a log that can be written.
                        let done = if reader == 0 { errno_put(key, mount) } else { errno_read(key, mount, granted) };
                        match done {
                            0 => {}
                            libc::EIO => drop(refused.fetch_add(1, Ordering::SeqCst)),
                            other => panic!("{}: errno {other}", key.name),
                        }
                    }
                });
            }
        }
        let ended = Stopping(stop);
        for _ in 0..either(3, 30) {
            medium.fill();
            let before = refused.load(Ordering::SeqCst);
            wait_for("refusals", || refused.load(Ordering::SeqCst) >= before + 50);
            // Variables don't need the log at once.
            let variable = &kept[0];
            assert_eq!(variable.put(mount, 300), 0);
            variable.is_as_acknowledged(mount);
            medium.empty();
            let sum = || granted.iter().map(|count| count.load(Ordering::SeqCst)).sum::<u64>();
            let then = sum();
            wait_for("grants after the log has room", || sum() > then + 20);
        }
        drop(ended);
    });
    let refused = refused.load(Ordering::SeqCst);
    kept.iter().for_each(|key| key.is_as_acknowledged(&mount));
    let lines = lines(&log);
    for (key, granted) in kept.iter().zip(&granted) {
        let own = |event: &str| lines.iter().filter(|line| line["event"] == event && is_of(line, &key.name)).count();
        // Whatever was handed out is on record before. What was recorded and then not read to its end may be more.
        let (recorded, handed_out) = (own("granted") as u64, granted.load(Ordering::SeqCst));
        assert!(recorded >= handed_out, "{}: {handed_out} were handed out, {recorded} are on record", key.name);
        assert_eq!(own("put") as u64, xattr::version(&mount, &key.name), "{}", key.name);
    }
    println!("refused {refused}, recorded {}", lines.len());
}

fn errno_put(key: &Kept, mount: &Mount) -> i32 {
    key.put(mount, 400)
}

fn errno_read(key: &Kept, mount: &Mount, granted: &AtomicU64) -> i32 {
    let read = key.read(mount);
    granted.fetch_add(u64::from(read.is_ok()), Ordering::SeqCst);
    errno(&read)
}

fn a_disk_that_cannot_be_read() {
    let mut failing = None;
    let mut mount = moved(|store| failing.insert(Failing::over(store)).file());
    let failing = failing.expect("a file system");
    // More than the daemon keeps in memory, so that reading reaches the disk.
    let kept: Vec<_> = (0..110).map(|n| Kept::new(format!("prod/variables/k{n}"))).collect();
    kept.iter().for_each(|key| assert_eq!(key.put(&mount, 1 << 20), 0));
    mount.restart();
    for round in 0..either(4, 40) {
        let before = failing.failed();
        failing.fail(Fault::Reads, round * 7);
        let begun = Instant::now();
        while failing.failed() == before {
            for key in &kept {
                match errno(&key.read(&mount)) {
                    0 | libc::EIO => {}
                    other => panic!("{}: errno {other}", key.name),
                }
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "all of it is in memory");
        }
        // Nothing is taken for what it is not: it is a refusal, no absence and no other value.
        for key in kept.iter().step_by(9) {
            assert!(matches!(errno(&key.read(&mount)), 0 | libc::EIO), "{}", key.name);
            assert!(matches!(errno(&fs::metadata(mount.path(&key.name))), 0 | libc::EIO), "{}", key.name);
        }
        failing.heal();
        resumes(&mount, &kept[round % kept.len()]);
        kept.iter().step_by(5).for_each(|key| key.is_as_acknowledged(&mount));
    }
    mount.restart();
    kept.iter().for_each(|key| key.is_as_acknowledged(&mount));
    assert!(mount.audit().iter().all(|line| line["event"] != "tampered"), "an I/O error is no tampering");
}

/// That it is stored and read again without anybody doing anything.
fn resumes(mount: &Mount, key: &Kept) {
    wait_for("service to resume", || key.read(mount).is_ok() && key.put(mount, 2000) == 0);
    key.is_as_acknowledged(mount);
}

fn a_disk_that_cannot_be_written_or_synced() {
    let mut failing = None;
    let mut mount = moved(|store| failing.insert(Failing::over(store)).file());
    let failing = failing.expect("a file system");
    let kept = some_kept(&mount, 6);
    let seed = seed();
    let mut random = Random(seed);
    let mut refusals = 0;
    for round in 0..either(12, 300) {
        let fault = random.pick(&[Fault::Writes, Fault::Syncs]);
        failing.fail(fault, random.below(60));
        let refused = |key: &Kept| match key.put(&mount, 200 + round * 17 % 9000) {
            0 => false,
            libc::EIO => true,
            other => panic!("seed {seed}: errno {other} by {fault:?}"),
        };
        wait_for("a commit that fails", || {
            let key = random.pick(&kept.iter().collect::<Vec<_>>());
            refused(key)
        });
        refusals += 1;
        // While it lasts, a value is whole or refused.
        kept.iter().for_each(|key| assert!(matches!(errno(&key.read(&mount)), 0 | libc::EIO), "{}", key.name));
        failing.heal();
        for key in &kept {
            // What was answered with EIO may have been stored or not, and from now on is one of both for good.
            wait_for("service to resume", || key.read(&mount).is_ok());
            let found = key.read(&mount).expect("a value");
            key.acknowledged.store(found, Ordering::SeqCst);
        }
        if round % 8 == 0 {
            mount.restart();
        }
        kept.iter().for_each(|key| key.is_as_acknowledged(&mount));
        resumes(&mount, random.pick(&kept.iter().collect::<Vec<_>>()));
    }
    println!("{refusals} refusals, {} failed calls (seed {seed})", failing.failed());
    assert!(mount.audit().iter().all(|line| line["event"] != "tampered"), "an I/O error is no tampering");
}
