//! What somebody does to single rows who has no key: in the file, where the next mount refuses it, and beneath a daemon that
//! runs, where what doesn't fit together is an error and nothing else than what a key once had is ever shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use age::x25519::Recipient;
use keyfs::seal::TAG_BYTES;
use keyfs::store::memory::MemoryStore;
use keyfs::store::redb::Medium;
use keyfs::store::{Batch, Change, Key, Store};
use keyfs::tree::row::Value;

use super::{Bytes, Outcome, Sample, Values, all, attempt, look};
use crate::scale::{Random, either, seed};
use crate::tree::identities;

/// Rows as the tables have them: with the revision in front, and the tag behind.
type Rows = BTreeMap<Key, Vec<u8>>;

/// The two tables of a file.
#[derive(Clone, Eq, PartialEq)]
struct Tables {
    rows: Rows,
    about: BTreeMap<String, Vec<u8>>,
}

const ROWS: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("keyfs.rows");
const ABOUT: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("keyfs.about");

/// A file in memory, as redb wants it.
#[derive(Debug)]
struct Backend(Arc<Bytes>);

impl redb::StorageBackend for Backend {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.write(offset, data)
    }
}

impl Tables {
    fn of(bytes: &[u8]) -> Tables {
        use redb::{ReadableDatabase, ReadableTable};
        let file = Arc::new(Bytes(Mutex::new(bytes.to_vec())));
        let database = redb::Builder::new().create_with_backend(Backend(file)).unwrap();
        let reading = database.begin_read().unwrap();
        let (rows, about) = (reading.open_table(ROWS).unwrap(), reading.open_table(ABOUT).unwrap());
        let (rows, about) = (rows.iter().unwrap(), about.iter().unwrap());
        Tables {
            rows: rows
                .map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).unwrap())
                .collect(),
            about: about
                .map(|fact| fact.map(|(key, value)| (key.value().to_owned(), value.value().to_vec())).unwrap())
                .collect(),
        }
    }

    /// A file that holds this.
    fn file(&self) -> Vec<u8> {
        let file = Arc::new(Bytes::default());
        let database = redb::Builder::new().create_with_backend(Backend(file.clone())).unwrap();
        let writing = database.begin_write().unwrap();
        {
            let (mut rows, mut about) = (writing.open_table(ROWS).unwrap(), writing.open_table(ABOUT).unwrap());
            for (key, value) in &self.rows {
                rows.insert(key.as_slice(), value.as_slice()).unwrap();
            }
            for (key, value) in &self.about {
                about.insert(key.as_str(), value.as_slice()).unwrap();
            }
        }
        writing.commit().unwrap();
        drop(database);
        file.0.lock().unwrap().clone()
    }

    /// The rows beneath a daemon that runs: nobody compares the ledger.
    fn beneath(&self) -> Arc<MemoryStore> {
        let store = MemoryStore::new();
        let rows = self.rows.iter().map(|(key, value)| Change::Put(key.clone(), value[8..].to_vec()));
        store.commit(Batch { conditions: Vec::new(), changes: rows.collect() }).unwrap();
        Arc::new(store)
    }

    fn kinds(&self) -> BTreeSet<u8> {
        self.rows.keys().map(|key| key[0]).collect()
    }

    fn of_kind(&self, kind: u8) -> Vec<&Key> {
        self.rows.keys().filter(|key| key[0] == kind).collect()
    }
}

struct Attack<'s> {
    sample: &'s Sample,
    now: Tables,
    /// What may be shown beneath a daemon that runs.
    allowed: Vec<Values>,
}

impl<'s> Attack<'s> {
    fn on(sample: &'s Sample) -> Attack<'s> {
        let now = Tables::of(&sample.closed);
        assert_eq!(attempt(now.file(), &sample.fingerprint(), &sample.held[13..], "made anew"), Outcome::Right);
        Attack { sample, now, allowed: sample.held[13..].to_vec() }
    }

    /// That a file with these tables is refused, and the daemon shows nothing wrong while they are beneath it.
    fn is_noticed(&self, tables: &Tables, what: &str) -> Outcome {
        let (fingerprint, held) = (self.sample.fingerprint(), &self.sample.held[13..]);
        assert!(*tables != self.now, "{what}: nothing was done");
        assert_eq!(attempt(tables.file(), &fingerprint, held, what), Outcome::Refused, "{what}: mounted");
        look(tables.beneath(), &fingerprint, &self.allowed, what)
    }
}

/// Some of `all`, or all in the long form.
fn sampled<T>(mut all: Vec<T>, short: usize) -> Vec<T> {
    let (wanted, mut random) = (either(short, usize::MAX), Random(seed()));
    while all.len() > wanted {
        all.swap_remove(random.below(all.len()));
    }
    all
}

pub fn rows_of_a_kind_in_each_others_place() {
    let sample = Sample::new();
    let attack = Attack::on(&sample);
    let mut pairs = Vec::new();
    for kind in attack.now.kinds() {
        let keys = attack.now.of_kind(kind);
        for (place, one) in keys.iter().enumerate() {
            pairs.extend(keys[place + 1..].iter().map(|other| (*one, *other)));
        }
    }
    let total = pairs.len();
    let pairs = sampled(pairs, 150);
    let counts = all(&pairs, |(one, other)| {
        let mut tables = attack.now.clone();
        let (a, b) = (attack.now.rows[*one].clone(), attack.now.rows[*other].clone());
        tables.rows.insert(one.to_vec(), b);
        tables.rows.insert(other.to_vec(), a);
        attack.is_noticed(&tables, &format!("{} and {} swapped", one.escape_ascii(), other.escape_ascii()))
    });
    println!("{} of {total} pairs of rows swapped, beneath a daemon: {counts:?}", pairs.len());
}

pub fn rows_put_back_to_what_they_were() {
    let sample = Sample::new();
    let mut attack = Attack::on(&sample);
    // One row put back: nothing that any key had, but what it has now. More than one may make an earlier state of a key
    // whole; then it shows what it once had, until the next mount.
    let mut works: Vec<(usize, BTreeSet<Key>, bool)> = Vec::new();
    let older: Vec<Tables> = sample.older.iter().map(|bytes| Tables::of(bytes)).collect();
    let mut random = Random(seed());
    for (number, then) in older.iter().enumerate() {
        let keys: BTreeSet<&Key> = then.rows.keys().chain(attack.now.rows.keys()).collect();
        let other: Vec<Key> =
            keys.into_iter().filter(|key| then.rows.get(*key) != attack.now.rows.get(*key)).cloned().collect();
        for (place, one) in other.iter().enumerate() {
            works.push((number, BTreeSet::from([one.clone()]), false));
            works.extend(
                other[place + 1..].iter().map(|two| (number, BTreeSet::from([one.clone(), two.clone()]), false)),
            );
        }
        for _ in 0..either(20, 1000) {
            let some: BTreeSet<_> = other.iter().filter(|_| random.below(2) == 0).cloned().collect();
            // With the older ledger and revision, too.
            works.push((number, some, random.below(2) == 0));
        }
    }
    let total = works.len();
    let works = sampled(works, 250);
    attack.allowed.clear();
    let counts = all(&works, |(number, keys, ledger)| {
        let (then, mut tables) = (&older[*number], attack.now.clone());
        for key in keys {
            match then.rows.get(key) {
                Some(value) => drop(tables.rows.insert(key.clone(), value.clone())),
                None => drop(tables.rows.remove(key)),
            }
        }
        if *ledger {
            tables.about.clone_from(&then.about);
        }
        let shown: Vec<_> = keys.iter().map(|key| key.escape_ascii().to_string()).collect();
        let what = format!("rows of state {number} put back: {}, ledger {ledger}", shown.join(", "));
        if tables == attack.now || tables == *then {
            return Outcome::Right;
        }
        let fingerprint = sample.fingerprint();
        assert_eq!(attempt(tables.file(), &fingerprint, &[], &what), Outcome::Refused, "{what}: mounted");
        beneath(&sample, &tables, keys.len() == 1, &what)
    });
    println!("{} of {total} rows, pairs and sets of rows put back, beneath a daemon: {counts:?}", works.len());
}

/// What a daemon shows of rows that are put back beneath it: of one, what is there now; of more, what the very key had once.
fn beneath(sample: &Sample, tables: &Tables, one: bool, what: &str) -> Outcome {
    let Ok(parts) = keyfs::tree::unlock(tables.beneath(), identities(), &sample.fingerprint()) else {
        return Outcome::Refused;
    };
    let world = crate::tree::World::of(parts);
    let mut outcome = Outcome::Right;
    let now = sample.held.last().unwrap();
    for path in super::PATHS {
        match world.get(path) {
            Ok(value) => {
                let is = |held: &Values| held.get(&(path.to_string(), 0)) == Some(&value);
                assert!(sample.held.iter().any(is), "{what}: {path} shows {value:?}");
                assert!(!one || is(now), "{what}: {path} shows {value:?}, which it had once");
            }
            Err(keyfs::tree::Error::NotFound) => {}
            Err(error) => {
                assert!(world.paper.tampered() > 0, "{what}: {path}: {error}, and no record");
                outcome = Outcome::Errors;
            }
        }
    }
    outcome
}

pub fn rows_taken_away_or_under_another_name() {
    let sample = Sample::new();
    let attack = Attack::on(&sample);
    let keys: Vec<&Key> = attack.now.rows.keys().collect();
    let mut works: Vec<(Key, Option<Key>)> = keys.iter().map(|key| (key.to_vec(), None)).collect();
    for key in &keys {
        // Under the name of another of its kind, and under one that nobody has.
        works.extend(
            attack
                .now
                .of_kind(key[0])
                .into_iter()
                .filter(|other| *other != *key)
                .map(|other| (key.to_vec(), Some(other.clone()))),
        );
        let mut unused = key.to_vec();
        *unused.last_mut().unwrap() ^= 0x40;
        works.push((key.to_vec(), Some(unused)));
    }
    let total = works.len();
    let works = sampled(works, 150);
    let fingerprint = sample.fingerprint();
    let counts = all(&works, |(key, to)| {
        let mut tables = attack.now.clone();
        let what = match to {
            Some(to) => {
                tables.rows.insert(to.clone(), attack.now.rows[key].clone());
                format!("{} under the name {}", key.escape_ascii(), to.escape_ascii())
            }
            None => {
                tables.rows.remove(key);
                format!("{} taken away", key.escape_ascii())
            }
        };
        assert_eq!(attempt(tables.file(), &fingerprint, &[], &what), Outcome::Refused, "{what}: mounted");
        // A name or an earlier version that is gone is not found; a value that is shown is the key's present one.
        beneath(&sample, &tables, true, &what)
    });
    println!("{} of {total} rows taken away or copied, beneath a daemon: {counts:?}", works.len());
}

/// An age file to the public recipients, as anybody can make one.
fn sealed_by_anybody(plaintext: &[u8]) -> Vec<u8> {
    let recipients = identities().recipients();
    let recipients = recipients.iter().map(|recipient: &Recipient| recipient as &dyn age::Recipient);
    let mut file = Vec::new();
    let mut writer = age::Encryptor::with_recipients(recipients).unwrap().wrap_output(&mut file).unwrap();
    std::io::Write::write_all(&mut writer, plaintext).unwrap();
    writer.finish().unwrap();
    file
}

pub fn records_sealed_by_who_has_the_public_key() {
    let sample = Sample::new();
    let attack = Attack::on(&sample);
    let mut works: Vec<(Key, &str, bool)> = Vec::new();
    for key in attack.now.of_kind(b'v') {
        for plaintext in ["forged", "with the line of its place"] {
            // With the tag that stood there; and with a right one, as if the tag's key were known too: the record alone is
            // enough then.
            works.extend([false, true].map(|tagged| (key.clone(), plaintext, tagged)));
        }
    }
    let counts = all(&works, |(key, plaintext, tagged)| {
        let stored = &attack.now.rows[key];
        let (content, tag) = stored[8..].split_at(stored.len() - 8 - TAG_BYTES);
        let mut value = Value::decode(content).unwrap();
        if !value.sealed {
            return Outcome::Right;
        }
        let (node, own) = (&key[2..10], u64::from_be_bytes(key[11..].try_into().unwrap()));
        let mut permissions = Vec::new();
        value.permissions.encode(&mut permissions);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let digest = hex(&blake3::hash(&permissions).as_bytes()[..16]);
        let line = format!("keyfs/1 {} {} {own} {digest}\n", sample.new.id, hex(node));
        // As long as what it stands in for, so that nothing but the record gives it away.
        let forged = vec![b'f'; value.size as usize];
        let forged = if *plaintext == "forged" { forged } else { [line.as_bytes(), &forged].concat() };
        value.content = sealed_by_anybody(&forged);
        let mut row = value.encode();
        if *tagged {
            sample.new.seal.authenticate(key, &mut row);
        } else {
            row.extend_from_slice(tag);
        }
        let mut tables = attack.now.clone();
        tables.rows.insert(key.clone(), [&stored[..8], &row].concat());
        let what = format!("{}: {plaintext}, tagged {tagged}", key.escape_ascii());
        let outcome = attack.is_noticed(&tables, &what);
        assert_eq!(outcome, Outcome::Errors, "{what}: shown");
        outcome
    });
    println!("{} records sealed by anybody, beneath a daemon: {counts:?}", works.len());
    assert!(counts["Errors"] >= 20);
}
