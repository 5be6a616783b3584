//! Tampering: whatever somebody without the store's key does to its file, a mount is refused, or what it shows is right, or an
//! error with an audit record; never a wrong value, never a panic, never a wait without end.
//!
//! In this process for all of it, and by the real daemon for a few of each kind. `rows` has what is done to single rows.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use keyfs::id::{NodeId, Version};
use keyfs::key::Tree;
use keyfs::seal::Fingerprint;
use keyfs::store::redb::{LedgerState, Medium, OpenError, RedbStore};
use keyfs::store::{Store, Usage};
use keyfs::tree::{Error, NewStore, Parts, RenameMode, unlock, verify};

use crate::Case;
use crate::scale::{Random, either, is_long, seed};
use crate::tree::{Who, World, begin, draw, identities, name};

mod daemon;
mod rows;

pub const CASES: &[Case] = &[
    ("a_byte_flipped_anywhere_in_a_closed_store", a_byte_flipped_anywhere_in_a_closed_store),
    ("a_byte_flipped_anywhere_in_a_store_that_was_not_closed", a_byte_flipped_anywhere_in_a_store_that_was_not_closed),
    ("a_file_cut_short_or_made_longer", a_file_cut_short_or_made_longer),
    ("a_whole_older_file_is_what_it_was", a_whole_older_file_is_what_it_was),
    ("rows_of_a_kind_in_each_others_place", rows::rows_of_a_kind_in_each_others_place),
    ("rows_put_back_to_what_they_were", rows::rows_put_back_to_what_they_were),
    ("rows_taken_away_or_under_another_name", rows::rows_taken_away_or_under_another_name),
    ("records_sealed_by_who_has_the_public_key", rows::records_sealed_by_who_has_the_public_key),
];

pub const MOUNTED: &[Case] = daemon::CASES;

/// A store's file in memory.
#[derive(Debug, Default)]
pub struct Bytes(pub Mutex<Vec<u8>>);

impl Medium for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock().unwrap();
        let end = offset.checked_add(out.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes.get(offset as usize..end as usize).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap();
        let end = offset as usize + data.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset as usize..end].copy_from_slice(data);
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn usage(&self) -> io::Result<Usage> {
        Ok(Usage::default())
    }
}

/// What every key and every version of one has as its value.
pub type Values = BTreeMap<(String, u64), Vec<u8>>;

/// Version 0 stands for the present one.
pub fn values(world: &World) -> Result<Values, (String, Error)> {
    let mut found = Values::new();
    for path in PATHS {
        let of = |version: u64, value: Result<Vec<u8>, Error>| match value {
            Ok(value) => Ok(Some(((path.to_string(), version), value))),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err((path.to_string(), error)),
        };
        found.extend(of(0, world.get(path))?);
        for version in 1..=4 {
            found.extend(of(version, past(world, path, version))?);
        }
    }
    Ok(found)
}

pub const PATHS: [&str; 6] = [
    "dev/secrets/a",
    "dev/secrets/d/b",
    "dev/secrets/gone",
    "dev/variables/v",
    "dev/variables/large",
    "prod/secrets/a",
];

fn past(world: &World, path: &str, version: u64) -> Result<Vec<u8>, Error> {
    let parts: Vec<&str> = path.split('/').collect();
    let environment = world.ns.environment(&name(parts[0]))?;
    let root = world.ns.tree_root(environment, Tree::parse(parts[1]).unwrap())?;
    let names: Vec<_> = parts[2..].iter().map(|part| name(part)).collect();
    let file = world.ns.open_version(&Who, root, &names, Version(version))?;
    let value = world.ns.read(&Who, &file, 0, u32::MAX, <[u8]>::to_vec);
    world.ns.release(&file);
    value
}

/// A store with something of everything in it, and what it was on the way.
pub struct Sample {
    pub new: NewStore,
    /// The file once it was closed.
    pub closed: Vec<u8>,
    /// The file while it was open, after the last commit.
    pub crashed: Vec<u8>,
    /// The file when it was closed earlier.
    pub older: Vec<Vec<u8>>,
    /// What it held then, after each operation; the last is what it holds.
    pub held: Vec<Values>,
}

impl Sample {
    pub fn fingerprint(&self) -> Fingerprint {
        self.new.key.fingerprint(self.new.id)
    }

    pub fn new() -> Sample {
        type Work = fn(&World) -> Result<(), Error>;
        let work: [Work; 14] = [
            |world| world.put("dev/secrets/a", b"first of a"),
            |world| world.put("dev/variables/v", b"first of v"),
            |world| world.put("prod/secrets/a", b"first of a in prod"),
            |world| world.mkdir("dev/secrets/d"),
            |world| world.put("dev/secrets/d/b", b"first of b"),
            |world| world.put("dev/secrets/a", b"second of a"),
            |world| world.put("dev/variables/v", b"second of v"),
            |world| world.put("dev/secrets/gone", b"first of gone"),
            |world| world.put("dev/variables/large", &vec![b'l'; 9000]),
            |world| world.rm("dev/secrets/gone"),
            |world| world.put("dev/secrets/new", b"second of b"),
            |world| world.mv("dev/secrets/new", "dev/secrets/d/b", RenameMode::Replace),
            |world| world.chmod("dev/secrets/a", 0o600),
            |world| world.put("dev/secrets/a", b"third of a"),
        ];
        let (new, medium) = (draw(), Arc::new(Bytes::default()));
        let store = RedbStore::create_on(medium.clone(), Path::new("sample")).unwrap();
        store.start_ledger(new.seal.clone()).unwrap();
        begin(&store, &new);
        let fingerprint = new.key.fingerprint(new.id);
        let (mut held, mut older, mut store) = (Vec::new(), Vec::new(), Some(store));
        let mut crashed = Vec::new();
        for (number, work) in work.into_iter().enumerate() {
            let open = Arc::new(store.take().unwrap_or_else(|| {
                older.push(medium.0.lock().unwrap().clone());
                let store = RedbStore::open_on(medium.clone(), Path::new("sample")).unwrap();
                assert_eq!(store.attach_ledger(new.seal.clone()).unwrap(), LedgerState::Attached);
                store
            }));
            let world = World::over(open.clone(), &fingerprint);
            work(&world).unwrap();
            held.push(values(&world).unwrap());
            crashed.clone_from(&medium.0.lock().unwrap());
            drop(world);
            // Closed after every third.
            if number % 3 != 2 {
                store = Arc::into_inner(open);
            }
        }
        drop(store);
        let closed = medium.0.lock().unwrap().clone();
        assert_eq!(held.last().unwrap().len(), 15, "{:?}", held.last().unwrap().keys());
        Sample { new, closed, crashed, older, held }
    }
}

/// What came of a mount.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was refused.
    Refused,
    /// All of it was right.
    Right,
    /// Some of it was an error, with a record.
    Errors,
}

/// Mounts what is there, in this process, and compares what it shows with what may be shown.
#[track_caller]
pub fn attempt(bytes: Vec<u8>, fingerprint: &Fingerprint, allowed: &[Values], what: &str) -> Outcome {
    let medium = Arc::new(Bytes(Mutex::new(bytes.clone())));
    let opened = RedbStore::try_out_on(medium.clone(), Path::new("sample"));
    let unchanged = || assert!(*medium.0.lock().unwrap() == bytes, "{what}: refused, and yet altered");
    let mut tried = match opened {
        Ok(tried) => tried,
        Err(error) => {
            assert!(!matches!(error, OpenError::InUse { .. } | OpenError::Missing { .. }), "{what}: {error}");
            unchanged();
            return Outcome::Refused;
        }
    };
    let unlocked = unlock(tried.store(), identities(), fingerprint);
    let agrees = unlocked.as_ref().is_ok_and(|parts| {
        tried.store().attach_ledger(parts.seal.clone()).is_ok_and(|state| state == LedgerState::Attached)
    });
    if tried.check().is_err() || !agrees {
        unchanged();
        return Outcome::Refused;
    }
    drop(unlocked);
    let Ok(store) = tried.keep() else { return Outcome::Refused };
    look(Arc::new(store), fingerprint, allowed, what)
}

/// Compares what a store that is unlocked shows with what may be shown.
#[track_caller]
pub fn look(store: Arc<dyn Store>, fingerprint: &Fingerprint, allowed: &[Values], what: &str) -> Outcome {
    let Ok(parts) = unlock(store, identities(), fingerprint) else { return Outcome::Refused };
    let rows = Parts { store: parts.store.clone(), seal: parts.seal.clone(), settings: parts.settings };
    let world = World::of(parts);
    let found = values(&world);
    // Whatever else is asked for, too.
    let _ = (world.ns.list(NodeId::ROOT), world.ns.count(), world.ns.created());
    let _ = verify(&rows, &mut |_| {});
    match found {
        Ok(found) => {
            let wrong = || {
                let now = allowed.last().cloned().unwrap_or_default();
                let differs = |key: &&(String, u64)| found.get(*key) != now.get(*key);
                let keys: std::collections::BTreeSet<_> =
                    found.keys().chain(now.keys()).filter(differs).cloned().collect();
                format!("{keys:?}")
            };
            assert!(allowed.contains(&found), "{what}: wrong in {}", wrong());
            Outcome::Right
        }
        Err((path, error)) => {
            assert!(world.paper.tampered() > 0, "{what}: {path}: {error}, and no record");
            Outcome::Errors
        }
    }
}

/// Panics that the store catches are not shown.
fn show_no_guarded_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let show = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !keyfs::store::redb::is_guarded() {
                show(panic);
            }
        }));
    });
}

/// Does all of `work` on two threads, and how many of each outcome there were; one that takes a minute is a wait without end.
pub fn all<T: Sync>(work: &[T], each: impl Fn(&T) -> Outcome + Sync) -> BTreeMap<String, usize> {
    show_no_guarded_panics();
    let (next, counts) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let busy: [Mutex<Option<(usize, Instant)>>; 2] = [const { Mutex::new(None) }; 2];
    let left = AtomicUsize::new(busy.len());
    std::thread::scope(|scope| {
        for slot in &busy {
            scope.spawn(|| {
                /// Counted down also by a thread that fails.
                struct Ended<'a>(&'a AtomicUsize);
                impl Drop for Ended<'_> {
                    fn drop(&mut self) {
                        self.0.fetch_sub(1, Ordering::SeqCst);
                    }
                }
                let _ended = Ended(&left);
                loop {
                    let place = next.fetch_add(1, Ordering::SeqCst);
                    let Some(item) = work.get(place) else { break };
                    *slot.lock().unwrap() = Some((place, Instant::now()));
                    let outcome = each(item);
                    *counts.lock().unwrap().entry(format!("{outcome:?}")).or_default() += 1;
                }
                *slot.lock().unwrap() = None;
            });
        }
        while left.load(Ordering::SeqCst) > 0 {
            for slot in &busy {
                if let Ok(Some((place, since))) = slot.lock().map(|slot| *slot)
                    && since.elapsed() > Duration::from_secs(60)
                {
                    eprintln!("number {place} does not end");
                    std::process::exit(101);
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    counts.into_inner().unwrap()
}

/// Every place of a file, or every so many-th from a random one on; and another bit each time.
fn places(length: usize, apart: usize) -> Vec<(usize, u8)> {
    let mut random = Random(seed());
    let step = either(apart, 1);
    let first = if is_long() { 0 } else { random.below(step) };
    (first..length).step_by(step).map(|place| (place, 1 << random.below(8))).collect()
}

fn flipped(bytes: &[u8], (place, bits): (usize, u8)) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[place] ^= bits;
    bytes
}

fn a_byte_flipped_anywhere_in_a_closed_store() {
    let sample = Sample::new();
    let allowed = &sample.held[sample.held.len() - 1..];
    let fingerprint = sample.fingerprint();
    assert_eq!(attempt(sample.closed.clone(), &fingerprint, allowed, "untouched"), Outcome::Right);
    let places = places(sample.closed.len(), 67);
    let counts = all(&places, |place| {
        attempt(
            flipped(&sample.closed, *place),
            &fingerprint,
            allowed,
            &format!("bits {:08b} of byte {}", place.1, place.0),
        )
    });
    println!("{} of {} bytes flipped in a closed store: {counts:?}", places.len(), sample.closed.len());
    assert!(counts.contains_key("Refused") && counts.contains_key("Right"));
}

fn a_byte_flipped_anywhere_in_a_store_that_was_not_closed() {
    let sample = Sample::new();
    // What only the last commit wrote can't be told from a commit that the power went away in.
    let allowed = &sample.held[sample.held.len() - 2..];
    let fingerprint = sample.fingerprint();
    let now = &allowed[1..];
    assert_eq!(attempt(sample.crashed.clone(), &fingerprint, now, "untouched"), Outcome::Right);
    let places = places(sample.crashed.len(), 131);
    let counts = all(&places, |place| {
        attempt(
            flipped(&sample.crashed, *place),
            &fingerprint,
            allowed,
            &format!("bits {:08b} of byte {}", place.1, place.0),
        )
    });
    println!("{} of {} bytes flipped in one that was not: {counts:?}", places.len(), sample.crashed.len());
    assert!(counts.contains_key("Refused") && counts.contains_key("Right"));
}

fn a_file_cut_short_or_made_longer() {
    let sample = Sample::new();
    let (bytes, fingerprint) = (&sample.closed, sample.fingerprint());
    let allowed = &sample.held[sample.held.len() - 1..];
    let mut random = Random(seed());
    let pages = (0..bytes.len()).step_by(4096).flat_map(|page| [page, page + 1, (page + 4096).min(bytes.len()) - 1]);
    let chance = (0..either(100, 4000)).map(|_| random.below(bytes.len()));
    let lengths: Vec<usize> = pages.chain(chance).filter(|length| *length < bytes.len()).collect();
    let counts = all(&lengths, |length| {
        attempt(bytes[..*length].to_vec(), &fingerprint, allowed, &format!("{length} of {} bytes", bytes.len()))
    });
    println!("{} lengths of {}: {counts:?}", lengths.len(), bytes.len());
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["Refused"]);
    let more: Vec<(usize, u8)> =
        [1, 511, 4096, 8192, 100_000, 1 << 20].into_iter().flat_map(|more| [(more, 0), (more, 0xab)]).collect();
    let counts = all(&more, |(more, with)| {
        let longer = [bytes.as_slice(), &vec![*with; *more]].concat();
        attempt(longer, &fingerprint, allowed, &format!("{more} bytes more"))
    });
    println!("made longer: {counts:?}");
}

fn a_whole_older_file_is_what_it_was() {
    // Nothing in a file tells that there has been a later one: the threat model says so.
    let sample = Sample::new();
    assert!(sample.older.len() >= 4);
    for (number, older) in sample.older.iter().enumerate() {
        let then = &sample.held[number * 3 + 2..=number * 3 + 2];
        assert_eq!(attempt(older.clone(), &sample.fingerprint(), then, "an older file"), Outcome::Right);
        // With another key it is nobody's.
        let other = draw();
        let other = attempt(older.clone(), &other.key.fingerprint(other.id), then, "another key");
        assert_eq!(other, Outcome::Refused);
    }
}
