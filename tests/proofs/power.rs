//! Power loss: whatever of what was not synced reaches the disk, in whatever order and cut at whatever sector, the store opens
//! with every acknowledged commit, the one in flight whole or not at all, and a namespace in which nothing is wrong.
//!
//! A medium in memory notes each write, change of length and sync. The file that a power loss leaves at a point of these notes is
//! what had been synced by then, and of the rest nothing, all, some writes, some writes in another order, or some sectors. Each such
//! file is opened as a mount opens it, compared with the rows that the store had at that revision, and looked at by what `keyfs
//! check` uses.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use keyfs::id::Revision;
use keyfs::seal::Fingerprint;
use keyfs::store::redb::{LedgerState, Medium, RedbStore};
use keyfs::store::{Batch, Changes, CommitError, Key, Limits, Page, Row, Snapshot, Store, StoreError, Usage};
use keyfs::tree::{Parts, RenameMode, unlock, verify};

use crate::Case;
use crate::scale::{Random, either, seed};
use crate::tree::{World, begin, draw, identities};

pub const CASES: &[Case] = &[
    ("whatever_reaches_the_disk_the_namespace_is_whole", whatever_reaches_the_disk_the_namespace_is_whole),
    ("a_power_loss_while_one_is_recovered_from_is_another", a_power_loss_while_one_is_recovered_from_is_another),
];

/// A disk writes so many bytes at once.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Step {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

/// Bytes, and all that was done to them.
#[derive(Debug, Default)]
struct Noted(Mutex<(Vec<u8>, Vec<Step>)>);

impl Noted {
    fn with(bytes: Vec<u8>) -> Noted {
        Noted(Mutex::new((bytes, Vec::new())))
    }

    fn steps(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    fn do_step(&self, step: Step) {
        let mut noted = self.0.lock().unwrap();
        apply(&mut noted.0, &step);
        noted.1.push(step);
    }
}

fn apply(bytes: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write(offset, data) => write(bytes, *offset as usize, data),
        Step::SetLen(len) => bytes.resize(*len as usize, 0),
        Step::Sync => {}
    }
}

fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

impl Medium for Noted {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().0.len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let noted = self.0.lock().unwrap();
        let there = noted.0.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.do_step(Step::Write(offset, data.to_vec()));
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.do_step(Step::SetLen(len));
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        self.do_step(Step::Sync);
        Ok(())
    }
    fn usage(&self) -> io::Result<Usage> {
        Ok(Usage::default())
    }
}

/// What the rows were at each revision, and after how many steps of the medium it was acknowledged.
#[derive(Default)]
struct Acknowledged {
    rows: BTreeMap<Revision, u64>,
    after: BTreeMap<Revision, usize>,
}

/// A store that notes what it acknowledges.
struct Witnessed {
    store: RedbStore,
    medium: Arc<Noted>,
    seen: Arc<Mutex<Acknowledged>>,
}

impl Store for Witnessed {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.store.snapshot()
    }
    fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        let revision = self.store.commit(batch)?;
        let mut seen = self.seen.lock().unwrap();
        seen.after.insert(revision, self.medium.steps());
        seen.rows.insert(revision, digest(&self.store));
        Ok(revision)
    }
    fn changes(&self, since: Revision) -> Result<Changes, StoreError> {
        self.store.changes(since)
    }
    fn limits(&self) -> Limits {
        self.store.limits()
    }
    fn usage(&self) -> Result<Usage, StoreError> {
        self.store.usage()
    }
}

/// All rows in one number.
fn digest(store: &RedbStore) -> u64 {
    let all = Page { rows: usize::MAX, bytes: usize::MAX };
    let range: Range<&[u8]> = b""..&[0xff; 64];
    let rows: Vec<(Key, Row)> = store.snapshot().unwrap().scan(range, all).unwrap();
    let mut hasher = DefaultHasher::new();
    rows.iter().for_each(|(key, row)| (key, row.revision.0, &row.value).hash(&mut hasher));
    hasher.finish()
}

/// What happened to a store, and what it promised.
struct Course {
    /// What was on the disk to begin with.
    base: Vec<u8>,
    steps: Vec<Step>,
    /// Power is lost after that many steps at the earliest.
    from: usize,
    seen: Acknowledged,
    fingerprint: Fingerprint,
}

/// One more operation on the namespace, of any kind.
fn operate(random: &mut Random, world: &World) {
    let tree = random.pick(&["dev/secrets", "dev/variables"]);
    let mut path = || {
        let names: Vec<_> = (0..random.pick(&[1, 1, 2, 3])).map(|_| random.pick(&["a", "b", "c"])).collect();
        format!("{tree}/{}", names.join("/"))
    };
    let (one, other) = (path(), path());
    let how = random.pick(&[RenameMode::Replace, RenameMode::Replace, RenameMode::Exchange]);
    // What is in the way of it is an answer as good as any.
    let _ = match random.below(14) {
        0..5 => world.put(&one, &vec![b'x'; random.pick(&[0, 1, 40, 300, 5_000, 40_000])]),
        5..7 => world.mkdir(&one),
        7..10 => world.mv(&one, &other, how),
        10 => world.rm(&one),
        11 => world.rmdir(&one),
        12 => world.chmod(&one, random.pick(&[0o600, 0o640, 0o755])),
        _ => world.note(&one, &vec![b'n'; random.pick(&[1, 3000])]),
    };
}

/// Some operations, with the store closed and opened in between.
fn course(random: &mut Random, operations: usize) -> Course {
    let (medium, seen) = (Arc::new(Noted::default()), Arc::new(Mutex::new(Acknowledged::default())));
    let new = draw();
    let fingerprint = new.key.fingerprint(new.id);
    let store = RedbStore::create_on(medium.clone(), Path::new("power")).unwrap();
    store.start_ledger(new.seal.clone()).unwrap();
    let mut witnessed = Arc::new(Witnessed { store, medium: medium.clone(), seen: seen.clone() });
    begin(&*witnessed, &new);
    let from = medium.steps();
    for part in 0..3 {
        if part > 0 {
            drop(witnessed);
            let store = RedbStore::open_on(medium.clone(), Path::new("power")).unwrap();
            assert_eq!(store.attach_ledger(new.seal.clone()).unwrap(), LedgerState::Attached);
            witnessed = Arc::new(Witnessed { store, medium: medium.clone(), seen: seen.clone() });
        }
        let world = World::over(witnessed.clone(), &fingerprint);
        (0..operations / 3).for_each(|_| operate(random, &world));
    }
    drop(witnessed);
    let steps = std::mem::take(&mut medium.0.lock().unwrap().1);
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    Course { base: Vec::new(), steps, from, seen, fingerprint }
}

/// What of `pending` reached the disk, on top of what was synced.
fn left(random: &mut Random, synced: &[u8], pending: &[Step]) -> Vec<u8> {
    let mut bytes = synced.to_vec();
    let kept = random.pick(&[1_usize, 2, 4, 8, 15]);
    let chosen = |random: &mut Random| random.below(16) < kept;
    match random.below(8) {
        0 => {}
        1 => pending.iter().for_each(|step| apply(&mut bytes, step)),
        // Some of them.
        2..4 => pending.iter().filter(|_| chosen(random)).for_each(|step| apply(&mut bytes, step)),
        // Some of them, in another order.
        4 => {
            let mut order: Vec<usize> = (0..pending.len()).filter(|_| chosen(random)).collect();
            (1..order.len()).rev().for_each(|place| order.swap(place, random.below(place + 1)));
            order.into_iter().for_each(|place| apply(&mut bytes, &pending[place]));
        }
        // All but the end of the last one.
        5 => {
            let whole = pending.len().saturating_sub(1);
            pending[..whole].iter().for_each(|step| apply(&mut bytes, step));
            if let Some(Step::Write(offset, data)) = pending.last() {
                let sectors = random.below(data.len() / SECTOR + 1) * SECTOR;
                write(&mut bytes, *offset as usize, &data[..sectors.min(data.len())]);
            }
        }
        // Some sectors of each.
        _ => {
            for step in pending {
                match step {
                    Step::Write(offset, data) => {
                        // Sectors are the disk's, wherever a write begins.
                        let mut at = 0;
                        while at < data.len() {
                            let end = (SECTOR - (*offset as usize + at) % SECTOR + at).min(data.len());
                            if chosen(random) {
                                write(&mut bytes, *offset as usize + at, &data[at..end]);
                            }
                            at = end;
                        }
                    }
                    step if chosen(random) => apply(&mut bytes, step),
                    _ => {}
                }
            }
        }
    }
    bytes
}

/// Opens what is left as a mount does, and compares it with what was promised. The medium, with what the opening did to it.
fn open(bytes: Vec<u8>, course: &Course, at: usize) -> (Arc<Noted>, RedbStore, Parts) {
    let medium = Arc::new(Noted::with(bytes));
    let tried = RedbStore::try_out_on(medium.clone(), Path::new("power")).expect("it opens");
    let parts = unlock(tried.store(), identities(), &course.fingerprint).expect("it is unlocked");
    let ledger = tried.store().attach_ledger(parts.seal.clone()).expect("its rows are read");
    assert_eq!(ledger, LedgerState::Attached, "its ledger");
    let store = tried.keep().expect("its pages are whole");

    let promised = course.seen.after.iter().filter(|(_, after)| **after <= at).map(|(revision, _)| *revision).max();
    let next = course.seen.after.iter().filter(|(_, after)| **after > at).map(|(revision, _)| *revision).min();
    let revision = store.snapshot().unwrap().revision();
    assert!(Some(revision) >= promised, "{promised:?} was acknowledged, and {revision:?} is there");
    assert!(Some(revision) == promised || Some(revision) == next, "{revision:?} was never begun");
    assert_eq!(digest(&store), course.seen.rows[&revision], "{revision:?} is there in part");
    let mut findings = Vec::new();
    let seen = verify(&parts, &mut |finding| findings.push(finding.to_string())).unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
    assert!(seen.rows > 30);
    (medium, store, parts)
}

/// Loses power at every point of a course, some times at each.
fn lose_power(random: &mut Random, course: &Course, times: usize, mut look: impl FnMut(&mut Random, Vec<u8>, usize)) {
    let (mut synced, mut since) = (course.base.clone(), 0);
    for at in 0..=course.steps.len() {
        if at > 0 && matches!(course.steps[at - 1], Step::Sync) {
            course.steps[since..at].iter().for_each(|step| apply(&mut synced, step));
            since = at;
        }
        if at >= course.from {
            for _ in 0..times {
                let bytes = left(random, &synced, &course.steps[since..at]);
                look(random, bytes, at);
            }
        }
    }
}

/// Names the seed of a round that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("KEYFS_PROOFS_SEED={} sees it again", self.0);
        }
    }
}

/// Rounds on two threads until so many states were looked at.
fn rounds(states: usize, round: impl Fn(u64) -> usize + Sync) {
    let (first, done, next) = (seed(), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) < states {
                    let seed = first.wrapping_add(next.fetch_add(1, Ordering::Relaxed) as u64);
                    let _named = Seed(seed);
                    done.fetch_add(round(seed), Ordering::Relaxed);
                }
            });
        }
    });
    println!("{} states that a power loss leaves", done.load(Ordering::Relaxed));
}

fn whatever_reaches_the_disk_the_namespace_is_whole() {
    rounds(either(3_000, 120_000), |seed| {
        let mut random = Random(seed);
        let course = course(&mut random, 30);
        let mut states = 0;
        lose_power(&mut random, &course, either(1, 2), |_, bytes, at| {
            open(bytes, &course, at);
            states += 1;
        });
        states
    });
}

fn a_power_loss_while_one_is_recovered_from_is_another() {
    rounds(either(600, 30_000), |seed| {
        let mut random = Random(seed ^ 0x5eed);
        let first = course(&mut random, 12);
        let mut states = 0;
        lose_power(&mut random, &first, 1, |random, bytes, at| {
            if random.below(12) > 0 {
                return;
            }
            // It is opened, goes on, and the power is lost anywhere from the first look on.
            let (medium, store, _) = open(bytes.clone(), &first, at);
            let revision = store.snapshot().unwrap().revision();
            let mut seen = Acknowledged::default();
            seen.after.insert(revision, 0);
            seen.rows.insert(revision, digest(&store));
            let seen = Arc::new(Mutex::new(seen));
            let witnessed = Arc::new(Witnessed { store, medium: medium.clone(), seen: seen.clone() });
            let world = World::over(witnessed, &first.fingerprint);
            (0..3).for_each(|_| operate(random, &world));
            drop(world);
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            let steps = std::mem::take(&mut medium.0.lock().unwrap().1);
            let second = Course { base: bytes, steps, from: 0, seen, fingerprint: first.fingerprint };
            lose_power(random, &second, 1, |_, bytes, at| {
                open(bytes, &second, at);
                states += 1;
            });
        });
        states
    });
}
