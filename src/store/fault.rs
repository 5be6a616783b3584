//! Stores and media that fail when they are told to, for tests of those above and below.
//!
//! Invariants:
//! - Without a plan, they do what they wrap does.
//! - A commit that fails beforehand has changed nothing; one that answers unknown has been made.
//! - Once a medium has begun to fail, it takes nothing more until it is healed.
//!
//! It deliberately does not lose what was written and not synced: no medium here has a cache of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::redb::Medium;
use super::{Batch, Changes, CommitError, Key, Limits, Page, Row, Snapshot, Store, StoreError, Usage};
use crate::id::Revision;

/// How a planned commit fails.
#[derive(Debug)]
pub enum Fault {
    /// With this error, and nothing is changed.
    Before(CommitError),
    /// It is made, and answered with [`CommitError::Unknown`].
    After,
}

/// A store that fails when it is told to.
pub struct FaultStore<S> {
    inner: S,
    commits: AtomicU64,
    plan: Mutex<BTreeMap<u64, Fault>>,
    reads: Arc<Reads>,
}

/// Which reads fail.
struct Reads {
    all: AtomicBool,
    /// How many are made before one fails; [`u64::MAX`] where none is to.
    before: AtomicU64,
}

impl Reads {
    fn check(&self) -> Result<(), StoreError> {
        let next =
            |before: u64| if before == u64::MAX { None } else { Some(before.checked_sub(1).unwrap_or(u64::MAX)) };
        let fails = self.before.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next) == Ok(0);
        if fails || self.all.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable("as planned".into()))
        } else {
            Ok(())
        }
    }
}

impl<S: Store> FaultStore<S> {
    /// Wraps a store, with nothing planned.
    pub fn new(inner: S) -> Self {
        let reads = Reads { all: AtomicBool::new(false), before: AtomicU64::new(u64::MAX) };
        Self { inner, commits: AtomicU64::new(0), plan: Mutex::default(), reads: Arc::new(reads) }
    }

    /// Plans that the `n`-th commit from now fails, 0 being the next. A batch that is refused counts.
    pub fn fail_commit(&self, n: u64, fault: Fault) {
        let at = self.commits.load(Ordering::SeqCst) + n;
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).insert(at, fault);
    }

    /// Makes every read fail with [`StoreError::Unavailable`] from now on, those of snapshots at hand included, or no
    /// longer.
    pub fn fail_reads(&self, fail: bool) {
        self.reads.all.store(fail, Ordering::SeqCst);
    }

    /// Plans that the `n`-th read from now fails with [`StoreError::Unavailable`], 0 being the next, and no other.
    pub fn fail_read(&self, n: u64) {
        self.reads.before.store(n, Ordering::SeqCst);
    }

    /// Plans no such read any longer. Whether it was to come still.
    pub fn spare_read(&self) -> bool {
        self.reads.before.swap(u64::MAX, Ordering::SeqCst) != u64::MAX
    }

    /// The store that is wrapped.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Store> Store for FaultStore<S> {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.reads.check()?;
        Ok(Box::new(FaultSnapshot { inner: self.inner.snapshot()?, reads: self.reads.clone() }))
    }

    fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        let n = self.commits.fetch_add(1, Ordering::SeqCst);
        let fault = self.plan.lock().unwrap_or_else(PoisonError::into_inner).remove(&n);
        match fault {
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::After) => {
                self.inner.commit(batch)?;
                Err(CommitError::Unknown("as planned".into()))
            }
            None => self.inner.commit(batch),
        }
    }

    fn changes(&self, since: Revision) -> Result<Changes, StoreError> {
        self.reads.check()?;
        self.inner.changes(since)
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn usage(&self) -> Result<Usage, StoreError> {
        self.reads.check()?;
        self.inner.usage()
    }
}

struct FaultSnapshot {
    inner: Box<dyn Snapshot>,
    reads: Arc<Reads>,
}

impl Snapshot for FaultSnapshot {
    fn revision(&self) -> Revision {
        self.inner.revision()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.reads.check()?;
        self.inner.get(key)
    }

    fn scan(&self, range: Range<&[u8]>, page: Page) -> Result<Vec<(Key, Row)>, StoreError> {
        self.reads.check()?;
        self.inner.scan(range, page)
    }
}

/// What can still be written beyond a [`FaultyMedium::limit`] once the medium was stretched.
const SPARE: u64 = 1 << 20;
const PAGE: u64 = 4096;

/// The pages of a stretch that begin beyond the room.
fn pages_beyond(room: u64, from: u64, to: u64) -> Range<u64> {
    (from / PAGE).max(room.div_ceil(PAGE))..to.div_ceil(PAGE)
}

/// A medium that fails when it is told to. The write at which it begins is torn: half of it is done.
#[derive(Debug)]
pub struct FaultyMedium<M> {
    inner: M,
    state: Mutex<Faults>,
}

#[derive(Debug)]
struct Faults {
    /// Writes, changes of length and syncs that still work.
    left: u64,
    /// Whether one has failed.
    begun: bool,
    /// What the system says after that.
    errno: i32,
    /// The length that it may not exceed.
    room: u64,
    /// The pages beyond that which were written all the same.
    spent: BTreeSet<u64>,
}

impl<M: Medium> FaultyMedium<M> {
    /// Wraps a medium that does not fail yet.
    pub fn new(inner: M) -> Self {
        Self {
            inner,
            state: Mutex::new(Faults {
                left: u64::MAX,
                begun: false,
                errno: 0,
                room: u64::MAX,
                spent: BTreeSet::new(),
            }),
        }
    }

    /// Lets `n` more writes, changes of length or syncs work; those after that fail with `errno`.
    pub fn fail_after(&self, n: u64, errno: i32) {
        self.with(|faults| (faults.left, faults.begun, faults.errno) = (n, false, errno));
    }

    /// Refuses to grow beyond `len` bytes, as a full file system does, with the room to spare that a medium keeps.
    pub fn limit(&self, len: u64) {
        self.with(|faults| faults.room = len);
    }

    /// Takes back what was planned.
    pub fn heal(&self) {
        self.with(|faults| (faults.left, faults.room) = (u64::MAX, u64::MAX));
    }

    /// The medium that is wrapped.
    pub fn inner(&self) -> &M {
        &self.inner
    }

    fn with<T>(&self, work: impl FnOnce(&mut Faults) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts one operation; `torn` is done at the one where failing begins.
    fn count(&self, torn: impl FnOnce()) -> io::Result<()> {
        self.with(|faults| match faults.left {
            u64::MAX => Ok(()),
            0 => {
                if !std::mem::replace(&mut faults.begun, true) {
                    torn();
                }
                Err(io::Error::from_raw_os_error(faults.errno))
            }
            left => {
                faults.left = left - 1;
                Ok(())
            }
        })
    }
}

impl<M: Medium> Medium for FaultyMedium<M> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.count(|| drop(self.inner.write(offset, data.get(..data.len() / 2).unwrap_or_default())))?;
        let end = offset + data.len() as u64;
        let room = self.with(|faults| faults.room);
        if end > room.saturating_add(SPARE) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.with(|faults| faults.spent.extend(pages_beyond(room, offset, end)));
        self.inner.write(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.count(|| {})?;
        if len > self.with(|faults| faults.room).max(self.len()?) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.with(|faults| faults.spent.retain(|page| page * PAGE < len));
        self.inner.set_len(len)
    }

    fn stretch(&self, len: u64) -> io::Result<()> {
        self.count(|| {})?;
        self.inner.stretch(len)
    }

    fn has_room(&self, offset: u64, len: u64) -> io::Result<bool> {
        let there = |faults: &mut Faults| {
            pages_beyond(faults.room, offset, offset + len).all(|page| faults.spent.contains(&page))
        };
        Ok(self.with(there))
    }

    fn fill(&self) -> io::Result<()> {
        if self.len()? > self.with(|faults| faults.room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inner.fill()
    }

    fn sync(&self) -> io::Result<()> {
        self.count(|| {})?;
        self.inner.sync()
    }

    fn usage(&self) -> io::Result<Usage> {
        self.inner.usage()
    }

    fn forget(&self) {
        self.inner.forget();
    }

    fn release(&self) {
        self.inner.release();
    }
}
