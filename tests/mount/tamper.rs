//! A store that was changed while nobody watched: refused, or served where it is whole, and never a wrong value. And what is in
//! it that other programs can open.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use keyfs::seal::TAG_BYTES;
use keyfs::store::redb::RedbStore;
use keyfs::store::{Page, Store};
use keyfs::tree::row::Value;

use crate::Case;
use crate::fixture::{KEYFS, Mount, ROOT, is_installed, run};

pub const CASES: &[Case] = &[
    ("a_byte_changed_anywhere_gives_no_wrong_value", a_byte_changed_anywhere_gives_no_wrong_value),
    ("a_truncated_store_is_refused", a_truncated_store_is_refused),
    ("rows_changed_behind_the_daemon_are_noticed", rows_changed_behind_the_daemon_are_noticed),
    ("another_store_in_its_place_is_refused", another_store_in_its_place_is_refused),
    ("age_opens_a_record_with_no_keyfs_at_hand", age_opens_a_record_with_no_keyfs_at_hand),
];

/// The values of the store that is worked on.
const VALUES: [(&str, &str); 4] = [
    ("prod/secrets/db/password", "s3cret"),
    ("prod/secrets/token", "t0ken"),
    ("prod/variables/limit", "5"),
    ("dev/variables/limit", "50"),
];

/// A store that was closed in order, and a copy of its bytes.
struct Closed {
    mount: Mount,
    pristine: Vec<u8>,
}

impl Closed {
    fn new() -> Closed {
        let mut mount = Mount::new();
        mount.mkdir("prod/secrets/db");
        for (key, value) in VALUES {
            mount.put(key, "first");
            mount.put(key, value);
        }
        assert!(mount.end("TERM").success());
        let pristine = fs::read(mount.store()).unwrap();
        Closed { mount, pristine }
    }

    /// Mounts what is there now, if it is to be mounted.
    fn attempt(&self) -> Output {
        let mut command = Command::new(KEYFS);
        command.args(["mount", "--background", "--store"]).arg(self.mount.store());
        command.arg("--identity").arg(self.mount.identity()).arg(self.mount.root());
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// That the store as it is now is refused as damaged or as none, or gives right values and errors alone.
    #[track_caller]
    fn gives_nothing_wrong(&self, what: &str) -> bool {
        let before = fs::read(self.mount.store()).unwrap();
        let outcome = self.attempt();
        let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
        if !outcome.status.success() {
            let code = outcome.status.code();
            assert!(matches!(code, Some(4 | 6 | 7)), "{what}: {code:?} {stderr}");
            assert_eq!(stderr.lines().filter(|line| line.starts_with("keyfs: ")).count(), 1, "{what}: {stderr}");
            assert!(!stderr.contains("panicked"), "{what}: {stderr}");
            assert!(fs::read(self.mount.store()).unwrap() == before, "{what}: a refused store was changed");
            return false;
        }
        for (key, value) in VALUES {
            let read = ROOT.cat(&self.mount.path(key));
            if read.status.success() {
                assert_eq!(read.stdout, value.as_bytes(), "{what}: {key}");
            } else {
                let stderr = String::from_utf8_lossy(&read.stderr).into_owned();
                assert!(stderr.contains("Input/output error"), "{what}: {key}: {stderr}");
            }
        }
        run(Command::new(KEYFS).arg("umount").arg(self.mount.root()));
        true
    }

    fn restore(&self) {
        fs::write(self.mount.store(), &self.pristine).unwrap();
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        // A daemon in the background that a failed test left.
        let _ = Command::new("umount").arg("-l").arg(self.mount.root()).stderr(Stdio::null()).status();
    }
}

fn a_byte_changed_anywhere_gives_no_wrong_value() {
    let closed = Closed::new();
    assert!(closed.gives_nothing_wrong("untouched"));
    closed.restore();
    let length = closed.pristine.len();
    // Spread over the file, the first bytes more closely, and within what rows hold.
    let mut places: Vec<usize> = (0..12).map(|part| part * length / 12 + part * 37 % 4096).collect();
    places.extend([0, 9, 64, 300, length - 1]);
    for sought in [b"age-encryption.org/v1".as_slice(), b"keyfs.local/1", b"password", b"meta/format"] {
        places.extend(closed.pristine.windows(sought.len()).position(|window| window == sought));
    }
    for place in places {
        let place = place.min(length - 1);
        let store = File::options().write(true).open(closed.mount.store()).unwrap();
        store.write_all_at(&[closed.pristine[place] ^ 0x10], place as u64).unwrap();
        drop(store);
        closed.gives_nothing_wrong(&format!("byte {place} of {length}"));
        closed.restore();
    }
    assert!(closed.gives_nothing_wrong("restored"));
}

fn a_truncated_store_is_refused() {
    let closed = Closed::new();
    let length = closed.pristine.len();
    for left in [0, 1, 100, 4096, length / 2, length - 4096, length - 1] {
        fs::write(closed.mount.store(), &closed.pristine[..left]).unwrap();
        assert!(!closed.gives_nothing_wrong(&format!("{left} of {length} bytes")));
    }
    // Grown by what is not its own, it is refused or whole.
    fs::write(closed.mount.store(), [closed.pristine.as_slice(), &[0xab; 4096]].concat()).unwrap();
    closed.gives_nothing_wrong("4096 bytes more");
    closed.restore();
    assert!(closed.gives_nothing_wrong("restored"));
}

/// The rows as the file holds them, beneath everything that keyfs checks.
const ROWS: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("keyfs.rows");

/// What somebody does who can write the store's file and has no key.
fn edit(path: &Path, work: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>)) {
    let database = redb::Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    work(&mut transaction.open_table(ROWS).unwrap());
    transaction.commit().unwrap();
}

fn rows(path: &Path, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    use redb::{ReadableDatabase, ReadableTable};
    let database = redb::Database::open(path).unwrap();
    let table = database.begin_read().unwrap().open_table(ROWS).unwrap();
    let all = table
        .iter()
        .unwrap()
        .map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).unwrap());
    all.filter(|(key, _)| key.starts_with(prefix)).collect()
}

fn rows_changed_behind_the_daemon_are_noticed() {
    let closed = Closed::new();
    let store = closed.mount.store();
    let audit = || closed.mount.audit().iter().filter(|line| line["event"] == "tampered").count();
    // To be opened and closed so is no damage by itself.
    edit(&store, |_| {});
    assert!(closed.gives_nothing_wrong("opened by redb"));
    closed.restore();
    let values = rows(&store, b"v/");
    assert!(values.len() >= 6, "{}", values.len());
    let small = rows(&store, b"n/").into_iter().find(|(_, row)| row[..row.len() - TAG_BYTES].ends_with(b"50")).unwrap();
    let (first, second) = (values[0].clone(), values[1].clone());
    type Edit = Box<dyn FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>)>;
    let edits: Vec<(&str, Edit)> = vec![
        ("a value row with one bit changed", {
            let (key, mut value) = first.clone();
            let middle = value.len() / 2;
            value[middle] ^= 1;
            Box::new(move |table| drop(table.insert(key.as_slice(), value.as_slice()).unwrap()))
        }),
        ("a value in its node's row with one bit changed", {
            let (key, mut row) = small;
            let last = row.len() - TAG_BYTES - 1;
            row[last] ^= 1;
            Box::new(move |table| drop(table.insert(key.as_slice(), row.as_slice()).unwrap()))
        }),
        ("two value rows that changed places", {
            let (first, second) = (first.clone(), second.clone());
            Box::new(move |table| {
                table.insert(first.0.as_slice(), second.1.as_slice()).unwrap();
                table.insert(second.0.as_slice(), first.1.as_slice()).unwrap();
            })
        }),
        ("a value row that is gone", {
            let key = first.0.clone();
            Box::new(move |table| drop(table.remove(key.as_slice()).unwrap()))
        }),
        (
            "a row more",
            Box::new(|table| drop(table.insert(b"v/xxxxxxxx/yyyyyyyy".as_slice(), b"forged".as_slice()).unwrap())),
        ),
        ("the settings gone", Box::new(|table| drop(table.remove(b"meta/settings".as_slice()).unwrap()))),
    ];
    for (number, (what, work)) in edits.into_iter().enumerate() {
        edit(&store, work);
        let served = closed.gives_nothing_wrong(what);
        assert!(!served, "{what}: mounted");
        assert_eq!(audit(), number + 1, "{what}: on record");
        closed.restore();
    }
    // One row put back to what it was a version ago, with a tag that was right then.
    let mut mount = Mount::new();
    mount.put("prod/variables/limit", "5");
    assert!(mount.end("TERM").success());
    let before = rows(&mount.store(), b"n/");
    mount.start();
    mount.put("prod/variables/limit", "6");
    assert!(mount.end("TERM").success());
    edit(&mount.store(), |table| {
        for (key, value) in &before {
            table.insert(key.as_slice(), value.as_slice()).unwrap();
        }
    });
    let refused = mount.command().output().unwrap();
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
}

fn another_store_in_its_place_is_refused() {
    let (closed, other) = (Closed::new(), Closed::new());
    fs::write(closed.mount.store(), &other.pristine).unwrap();
    let refused = closed.attempt();
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("fingerprint"), "{refused:?}");
    // With its own key slot too, made for our identity by who has only its public half, the key is another.
    closed.restore();
    assert!(closed.gives_nothing_wrong("restored"));
}

/// The sealed records of a store that nobody has open.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let store = RedbStore::open(path).unwrap();
    let page = Page { rows: 1000, bytes: 1 << 24 };
    let rows = store.snapshot().unwrap().scan(b"v/".as_slice()..b"v0".as_slice(), page).unwrap();
    let value = |row: Vec<u8>| Value::decode(&row[..row.len() - TAG_BYTES]).unwrap();
    rows.into_iter().map(|(_, row)| value(row.value)).filter(|value| value.sealed).map(|value| value.content).collect()
}

fn age_opens_a_record_with_no_keyfs_at_hand() {
    if !is_installed("age") {
        eprintln!("age is not installed: nothing to open a record with");
        return;
    }
    let mut mount = Mount::new();
    mount.put("prod/secrets/k", "s3cret of the first version");
    let long = "0123456789abcdef".repeat(10_000);
    mount.put("prod/secrets/long", &long);
    mount.put("prod/secrets/empty", "");
    assert!(mount.end("TERM").success());
    let (records, file): (_, PathBuf) = (records(&mount.store()), mount.home().join("record.age"));
    let mut opened = Vec::new();
    for record in &records {
        assert!(record.starts_with(b"age-encryption.org/v1\n"));
        fs::write(&file, record).unwrap();
        let output = Command::new("age").arg("-d").arg("-i").arg(mount.identity()).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        opened.push(output.stdout);
    }
    // In front of the value stands what the record is bound to.
    for value in ["s3cret of the first version", &long] {
        assert_eq!(opened.iter().filter(|text| text.ends_with(value.as_bytes())).count(), 1);
    }
    assert!(opened.len() >= 3, "{}", opened.len());
    // Another identity opens none.
    let other = mount.home().join("other");
    run(Command::new("age-keygen").arg("-o").arg(&other));
    let output = Command::new("age").arg("-d").arg("-i").arg(&other).arg(&file).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
}
