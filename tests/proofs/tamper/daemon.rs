//! A few of each kind by the real program: refused with its exit code and a line in the audit log, or right.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::Case;
use crate::fixture::{KEYFS, Mount, ROOT, run};
use crate::scale::{Random, either, seed};

pub const CASES: &[Case] = &[
    ("bytes_flipped_in_a_store_that_is_mounted_next", bytes_flipped_in_a_store_that_is_mounted_next),
    ("rows_edited_in_a_store_that_is_mounted_next", rows_edited_in_a_store_that_is_mounted_next),
    ("pages_spoilt_beneath_a_daemon", pages_spoilt_beneath_a_daemon),
];

const ROWS: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("keyfs.rows");

/// A closed store, an older copy of it, and the mount that it goes to.
struct Closed {
    mount: Mount,
    older: Vec<u8>,
    now: Vec<u8>,
}

const SECRET: &str = "prod/secrets/password";
const VARIABLE: &str = "prod/variables/limit";

impl Closed {
    fn new() -> Closed {
        let mut mount = Mount::new();
        let mut state = |value: &str| {
            mount.put(SECRET, format!("secret {value}"));
            mount.put(VARIABLE, format!("limit {value}"));
            assert!(mount.end("TERM").success());
            fs::read(mount.store()).unwrap()
        };
        let older = state("one");
        mount.start();
        let mut state = |value: &str| {
            mount.put(SECRET, format!("secret {value}"));
            mount.put(VARIABLE, format!("limit {value}"));
            assert!(mount.end("TERM").success());
            fs::read(mount.store()).unwrap()
        };
        let now = state("two");
        Closed { mount, older, now }
    }

    fn records(&self) -> usize {
        self.mount.audit().iter().filter(|line| line["event"] == "tampered").count()
    }

    fn mounts(&self) -> Output {
        let mut command = Command::new(KEYFS);
        command.args(["mount", "--background", "--store"]).arg(self.mount.store());
        command.arg("--identity").arg(self.mount.identity()).arg(self.mount.root());
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Mounts these bytes. Whether they were refused; otherwise both values are the ones of `value`, or an error with a record.
    #[track_caller]
    fn refuses(&self, bytes: &[u8], value: &str, what: &str) -> bool {
        fs::write(self.mount.store(), bytes).unwrap();
        let (records, output) = (self.records(), self.mounts());
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            assert!(matches!(output.status.code(), Some(4 | 6 | 7)), "{what}: {output:?}");
            assert!(stderr.lines().count() == 1 && stderr.starts_with("keyfs: "), "{what}: {stderr}");
            assert!(fs::read(self.mount.store()).unwrap() == bytes, "{what}: refused, and yet altered");
            return true;
        }
        for (key, of) in [(SECRET, "secret"), (VARIABLE, "limit")] {
            let read = ROOT.cat(&self.mount.path(key));
            match read.status.success() {
                // Root is in its own group, and the secret is that group's.
                true => assert_eq!(read.stdout, format!("{of} {value}").as_bytes(), "{what}: {key}"),
                false => assert!(self.records() > records, "{what}: {key}: {read:?}, and no record"),
            }
        }
        run(Command::new(KEYFS).arg("umount").arg(self.mount.root()));
        false
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        // A daemon in the background that a failed test left.
        let _ = Command::new("umount").arg("-l").arg(self.mount.root()).stderr(Stdio::null()).status();
    }
}

fn bytes_flipped_in_a_store_that_is_mounted_next() {
    let closed = Closed::new();
    assert!(!closed.refuses(&closed.now, "two", "untouched"));
    // Nothing in a file tells that there has been a later one.
    assert!(!closed.refuses(&closed.older, "one", "an older file"));
    let mut random = Random(seed());
    let mut refused = 0;
    for _ in 0..either(25, 1000) {
        let (place, bit) = (random.below(closed.now.len()), random.below(8));
        let mut bytes = closed.now.clone();
        bytes[place] ^= 1 << bit;
        refused += usize::from(closed.refuses(&bytes, "two", &format!("bit {bit} of byte {place}")));
    }
    println!("{refused} of {} flipped bits refused by the daemon", either(25, 1000));
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn rows(path: &Path) -> Rows {
    use redb::{ReadableDatabase, ReadableTable};
    let database = redb::Database::open(path).unwrap();
    let table = database.begin_read().unwrap().open_table(ROWS).unwrap();
    let all = table.iter().unwrap();
    all.map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).unwrap()).collect()
}

fn edited(path: &Path, bytes: &[u8], work: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>)) -> Vec<u8> {
    fs::write(path, bytes).unwrap();
    let database = redb::Database::open(path).unwrap();
    let writing = database.begin_write().unwrap();
    work(&mut writing.open_table(ROWS).unwrap());
    writing.commit().unwrap();
    drop(database);
    fs::read(path).unwrap()
}

fn rows_edited_in_a_store_that_is_mounted_next() {
    let closed = Closed::new();
    let scratch = closed.mount.home().join("scratch.redb");
    let all = |bytes: &[u8]| {
        fs::write(&scratch, bytes).unwrap();
        rows(&scratch)
    };
    let (now, older) = (all(&closed.now), all(&closed.older));
    let values: Vec<_> = now.iter().filter(|(key, _)| key.starts_with(b"v/")).collect();
    let changed: Vec<_> = older.iter().filter(|row| !now.contains(row)).collect();
    assert!(values.len() == 3 && changed.len() >= 2);
    let put = |rows: Vec<(Vec<u8>, Vec<u8>)>| {
        edited(&scratch, &closed.now, |table| {
            rows.iter().for_each(|(key, value)| drop(table.insert(key.as_slice(), value.as_slice()).unwrap()));
        })
    };
    let (first, second) = (values[0].clone(), values[1].clone());
    let mut attacks = vec![
        ("two versions swapped", put(vec![(first.0.clone(), second.1.clone()), (second.0.clone(), first.1.clone())])),
        ("a version under another name", put(vec![([first.0.as_slice(), b"x"].concat(), first.1.clone())])),
        ("all rows that changed put back", put(changed.iter().map(|row| (*row).clone()).collect())),
        ("a row taken away", edited(&scratch, &closed.now, |table| drop(table.remove(first.0.as_slice()).unwrap()))),
    ];
    for row in &changed {
        attacks.push(("a row put back", put(vec![(*row).clone()])));
    }
    for (number, (what, bytes)) in attacks.iter().enumerate() {
        assert!(closed.refuses(bytes, "two", what), "{what}: mounted");
        assert_eq!(closed.records(), number + 1, "{what}: on record");
    }
}

/// What a page of the file is spoilt with, beneath a daemon that has it open.
fn spoil(bytes: &mut [u8], random: &mut Random) {
    const PAGE: usize = 4096;
    let pages = bytes.len() / PAGE;
    for _ in 0..random.pick(&[1, 3, 30, 300]) {
        // The first page is where all begins, and is hit often enough among few.
        let at = random.below(pages) * PAGE;
        match random.below(4) {
            0 => bytes[at..at + PAGE].fill_with(|| random.next() as u8),
            1 => bytes[at..at + PAGE].fill(0),
            2 => bytes[at + random.below(64)] = random.next() as u8,
            _ => {
                let other = random.below(pages) * PAGE;
                bytes.copy_within(other..other + PAGE, at);
            }
        }
    }
}

fn pages_spoilt_beneath_a_daemon() {
    let seed = seed();
    let mut random = Random(seed);
    let (mut right, mut failed) = (0, 0);
    for round in 0..either(6, 150) {
        let mut mount = Mount::new();
        let keys = random.pick(&[10, 100, 400]);
        let length = random.pick(&[20, 300, 6000]);
        let value = |key: usize| format!("value {key};").repeat(length / 10);
        let path = |key: usize| format!("dev/{}/k{key}", if key.is_multiple_of(2) { "variables" } else { "secrets" });
        for key in 0..keys {
            mount.put(&path(key), value(key));
        }
        // What it has read itself it may have at hand still.
        if random.below(3) > 0 {
            mount.restart();
        }
        let mut bytes = fs::read(mount.store()).unwrap();
        spoil(&mut bytes, &mut random);
        let file = fs::File::options().write(true).open(mount.store()).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
        for _ in 0..60 {
            let key = random.below(keys);
            let what = format!("KEYFS_PROOFS_SEED={seed}, round {round}, {}", path(key));
            let done = match random.below(2) {
                0 => fs::read(mount.path(&path(key))).map(|read| assert!(read == value(key).into_bytes(), "{what}")),
                _ => fs::write(mount.path(&path(key)), value(key)),
            };
            match done {
                Ok(()) => right += 1,
                // What a page showed no longer, nobody misses before the next mount adds the rows up.
                Err(error) => {
                    assert!(matches!(error.raw_os_error(), Some(libc::EIO | libc::ENOENT)), "{what}: {error}");
                    failed += 1;
                }
            }
        }
        let status = mount.end("TERM");
        assert!(status.code().is_some(), "KEYFS_PROOFS_SEED={seed}, round {round}: {status}, {}", mount.logged());
    }
    println!("{right} values right, {failed} errors, of pages spoilt beneath a daemon (seed {seed})");
    // With its debug assertions redb reads a small file whole as it opens it, and meets none of the pages again.
    assert!(right > 0 && (failed > 0 || cfg!(debug_assertions)));
}
