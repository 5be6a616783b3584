//! The redb database of a store: opened, written, and closed and opened again where redb stops answering.
//!
//! redb refuses everything after the medium has refused it once (it says "previous I/O error"), a lack of space
//! included. So the engine closes it then and opens it again from the medium, which brings back the last commit.
//!
//! Invariants:
//! - While a transaction writes, the database isn't closed: the writer holds `slot` for reading.
//! - The published view is the last commit that is on stable storage, and `recent` ends with it.
//! - With a ledger, the rows, the revision and the sealed sum change in one transaction.
//! - Growth on a full medium, where there are no blocks for it, is given back before the next commit but for what was written there.
//! - Locks are taken in the order `ledger`, `slot`, `published`.
//!
//! It deliberately does not queue batches: the group above hands over those that share a transaction.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use ::redb::{Builder, Database, StorageBackend};

use super::super::{Batch, Change, Changes, Commit, CommitError, Ledger, StoreError, Syncs};
use super::ledger::{LedgerError, LedgerState};
use super::medium::Medium;
use super::open::OpenError;
use super::recent::Recent;
use super::rows::{Answers, THIS_FORMAT, View, apply_all, identify, initialise, write_ledger};
use super::syncs::Clock;
use super::trouble::{Trouble, guarded, is_full};
use crate::id::Revision;

/// Bytes of pages that redb keeps in memory: a store of usual size fits whole, and its own default (1 GiB) would let a
/// large one take more than a daemon should. What does not fit is in the system's cache.
const CACHE: usize = 32 << 20;

/// The same where everything is read once: room for the pages that lead to the others.
const PASSING_CACHE: usize = 8 << 20;

/// How long after a failed reopening the next one is tried, so that a medium that is gone does not get a full check
/// for each request.
const PAUSE: Duration = Duration::from_millis(100);

/// So much may be put where rows are taken away on a full medium, in bytes: with the pages that lead to it, well within what a medium
/// keeps to spare for that.
const REPLACED: usize = 128 << 10;

/// What was found that can't be used.
#[derive(Debug)]
pub(super) enum Refusal {
    NotAStore,
    Format(u8),
    Damaged(String),
    Io(io::Error),
}

impl Refusal {
    /// As an error of the system.
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            Self::NotAStore | Self::Format(_) => io::ErrorKind::InvalidData.into(),
            Self::Damaged(what) => io::Error::new(io::ErrorKind::InvalidData, what),
        }
    }

    /// Says which file it is about.
    pub(super) fn about(self, path: &Path) -> OpenError {
        let path = path.to_path_buf();
        match self {
            Self::NotAStore => OpenError::NotAStore { path },
            Self::Format(format) => OpenError::Format { path, format },
            Self::Damaged(what) => OpenError::Damaged { path, what },
            Self::Io(source) => OpenError::Io { path, source },
        }
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoSpace => Self::Io(io::ErrorKind::StorageFull.into()),
            Trouble::Medium(text) | Trouble::Refused(text) => Self::Io(io::Error::other(text)),
            Trouble::Damaged(text) => Self::Damaged(text),
        }
    }
}

pub(super) struct Engine {
    medium: Arc<dyn Medium>,
    signals: Arc<Signals>,
    ledger: Mutex<Lent>,
    slot: RwLock<Slot>,
    published: RwLock<Published>,
}

/// Whether the store keeps a ledger, and what it is kept with.
struct Lent {
    kept: bool,
    by: Option<Arc<dyn Ledger>>,
    /// Whether anything is to be committed at all.
    writes: bool,
}

struct Slot {
    database: Option<Database>,
    /// One more with each opening.
    generation: u64,
    /// Why there is no database, and when opening may be tried again; never where the store is closed.
    failed: Option<(Trouble, Option<Instant>)>,
}

struct Published {
    view: Arc<View>,
    recent: Recent,
}

/// A transaction that was not completed.
struct Failed {
    trouble: Trouble,
    generation: u64,
    /// Where redb had been asked to commit: the revision that it was to reach, and the answers that are right if it
    /// got there.
    reached: Option<(Revision, Answers)>,
}

impl Engine {
    /// Makes a store on an empty medium.
    pub(super) fn create(medium: Arc<dyn Medium>) -> Result<Self, Refusal> {
        let signals = Arc::new(Signals::new());
        let database = open_database(medium.clone(), &signals, How::Plain)?;
        guarded(|| initialise(&database))?;
        let view = guarded(|| View::of(&database, 0))?;
        Ok(Self::over(medium, database, signals, view))
    }

    /// Checks every page of what a medium holds, repairs what a crash left, and closes it.
    pub(super) fn check(medium: Arc<dyn Medium>) -> Result<(), Refusal> {
        let database = open_database(medium, &Arc::new(Signals::new()), How::Checked)?;
        guarded(|| Ok(database.close()?))?;
        Ok(())
    }

    /// Opens what a medium holds without a check of its pages, to read it. What was not closed in order is an error.
    pub(super) fn look(medium: Arc<dyn Medium>) -> Result<Self, Refusal> {
        let signals = Arc::new(Signals::new());
        let database = open_database(medium.clone(), &signals, How::Closed)?;
        let identified = guarded(|| {
            let format = identify(&database)?;
            Ok((format, View::of(&database, 0)))
        });
        let refusal = match identified {
            Ok((Some(THIS_FORMAT), Ok(view))) => {
                let engine = Self::over(medium, database, signals, view);
                engine.lent().writes = false;
                return Ok(engine);
            }
            Ok((Some(THIS_FORMAT), Err(trouble))) | Err(trouble) => trouble.into(),
            Ok((Some(other), _)) => Refusal::Format(other),
            Ok((None, _)) => Refusal::NotAStore,
        };
        leave(database);
        Err(refusal)
    }

    /// Opens what was checked.
    pub(super) fn keep(medium: Arc<dyn Medium>) -> Result<Self, Refusal> {
        let signals = Arc::new(Signals::new());
        let database = open_database(medium.clone(), &signals, How::Plain)?;
        let view = guarded(|| View::of(&database, 0))?;
        Ok(Self::over(medium, database, signals, view))
    }

    /// Writes all that a view shows into an empty medium, in order, and closes it.
    pub(super) fn pack(view: &View, medium: Arc<dyn Medium>) -> Result<(), Refusal> {
        let mut database = open_database(medium.clone(), &Arc::new(Signals::new()), How::Plain)?;
        guarded(|| {
            let txn = database.begin_write()?;
            view.copy_to(&txn)?;
            txn.commit()?;
            // What the one transaction left free.
            database.compact()?;
            Ok(database.close()?)
        })?;
        medium.sync().map_err(Refusal::Io)?;
        medium.release();
        Ok(())
    }

    /// Takes over the ledger that is attached to another engine, if both show the same commit.
    pub(super) fn take_ledger(&self, other: &Engine) {
        let by = other.lent().by.clone();
        let (here, there) = (self.view(), other.view());
        if by.is_some() && (here.revision, &here.ledger) == (there.revision, &there.ledger) {
            self.lent().by = by;
        }
    }

    fn over(medium: Arc<dyn Medium>, database: Database, signals: Arc<Signals>, view: View) -> Self {
        let lent = Lent { kept: view.ledger.as_ref().is_none_or(|ledger| !ledger.is_empty()), by: None, writes: true };
        Self {
            medium,
            signals,
            ledger: Mutex::new(lent),
            slot: RwLock::new(Slot { database: Some(database), generation: 0, failed: None }),
            published: RwLock::new(Published { recent: Recent::after(view.revision), view: Arc::new(view) }),
        }
    }

    pub(super) fn medium(&self) -> &dyn Medium {
        &*self.medium
    }

    pub(super) fn syncs(&self) -> Syncs {
        self.signals.syncs.told()
    }

    pub(super) fn view(&self) -> Arc<View> {
        self.published().view.clone()
    }

    pub(super) fn changes(&self, since: Revision) -> Changes {
        let published = self.published();
        published.recent.since(since, published.view.revision)
    }

    /// Commits batches in one transaction, each with a revision of its own, and says what became of each.
    pub(super) fn settle(&self, batches: &[&Batch]) -> Answers {
        if self.medium.fill().is_ok() {
            self.signals.solid.store(u64::MAX, Ordering::SeqCst);
            self.signals.loose.store(false, Ordering::SeqCst);
        }
        let (generation, failed) = {
            let slot = self.slot();
            (slot.generation, slot.failed.is_some())
        };
        if failed {
            // Where it doesn't come back, the attempt says why.
            let _ = self.revive(generation);
        } else if self.signals.loose.load(Ordering::SeqCst) {
            self.tighten();
        }
        match self.attempt(batches) {
            Ok(answers) => answers,
            Err(failed) => self.recover(batches, failed),
        }
    }

    /// Has redb give back the end of the file that it has not used, as it does when it is closed. On a full medium there are no blocks
    /// there, and redb would rather use it than free pages that have some: one commit after the other would be refused.
    fn tighten(&self) {
        // A second time, for what was free and held back by those who read.
        for _ in 0..2 {
            let generation = self.slot().generation;
            if let Err(trouble) = self.revive(generation) {
                log::debug!("the store could not be opened again: {}", StoreError::from(trouble));
                return;
            }
        }
        self.signals.loose.store(false, Ordering::SeqCst);
    }

    fn attempt(&self, batches: &[&Batch]) -> Result<Answers, Failed> {
        let lent = self.lent();
        let slot = self.slot();
        let failed = |trouble| Failed { trouble, generation: slot.generation, reached: None };
        let Some(database) = &slot.database else {
            let trouble = slot.failed.as_ref().map(|(trouble, _)| trouble.clone());
            return Err(failed(trouble.unwrap_or_else(closed)));
        };
        if !lent.writes {
            return Err(failed(Trouble::Refused("it is open to be looked at".into())));
        }
        if lent.kept && lent.by.is_none() {
            return Err(failed(Trouble::Refused("its ledger has not been attached".into())));
        }
        self.signals.stretch.store(may_stretch(batches), Ordering::SeqCst);
        let mut answers = Answers::new();
        let mut reaching = None;
        let done = guarded(|| {
            let txn = database.begin_write()?;
            let commits = apply_all(&txn, batches, lent.by.as_deref(), &mut answers)?;
            let Some(last) = commits.last() else { return Ok(txn.abort()?) };
            reaching = Some(last.revision);
            txn.commit()?;
            self.publish(View::of(database, slot.generation)?, commits);
            Ok(())
        });
        self.signals.stretch.store(true, Ordering::SeqCst);
        match done {
            Ok(()) => Ok(answers),
            Err(trouble) => {
                let trouble = self.explain(trouble);
                Err(Failed { trouble, generation: slot.generation, reached: reaching.map(|last| (last, answers)) })
            }
        }
    }

    /// Brings the database back after a failed transaction, and finds out what became of its batches.
    fn recover(&self, batches: &[&Batch], failed: Failed) -> Answers {
        let Failed { trouble, generation, reached } = failed;
        if matches!(trouble, Trouble::Refused(_)) {
            return batches.iter().map(|_| Err(trouble.clone().into())).collect();
        }
        let revived = self.revive(generation);
        match (reached, revived) {
            (Some((last, answers)), Ok(_)) if self.view().revision >= last => return answers,
            (Some((_, answers)), Err(trouble)) => {
                let text = StoreError::from(trouble).to_string();
                let lost = |answer: Result<Revision, CommitError>| match answer {
                    Ok(_) => Err(CommitError::Unknown(text.clone())),
                    Err(_) => Err(CommitError::Unavailable(text.clone())),
                };
                return answers.into_iter().map(lost).collect();
            }
            _ => {}
        }
        if !matches!(trouble, Trouble::NoSpace) || batches.len() <= 1 {
            return batches.iter().map(|_| Err(trouble.clone().into())).collect();
        }
        // One batch too many must not take the others with it. Once one alone finds no room, only those that take
        // rows away are still tried: each failure costs a reopening.
        let mut full = false;
        let alone = |batch: &&Batch| {
            if full && !may_stretch(&[*batch]) {
                return Err(CommitError::NoSpace);
            }
            let answer = self.settle(&[*batch]).pop().unwrap_or(Err(CommitError::NoSpace));
            full |= matches!(answer, Err(CommitError::NoSpace));
            answer
        };
        batches.iter().map(alone).collect()
    }

    /// Closes the database and opens it again, unless that has been done since the generation that failed. Whether it was
    /// done here.
    pub(super) fn revive(&self, generation: u64) -> Result<bool, Trouble> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        match &slot.failed {
            None if slot.generation != generation => return Ok(false),
            Some((trouble, None)) => return Err(trouble.clone()),
            Some((trouble, Some(when))) if Instant::now() < *when => return Err(trouble.clone()),
            _ => {}
        }
        if let Some(database) = slot.database.take() {
            close_database(database);
        }
        // After a failed sync, pages in the system's cache may be newer than those on the medium and never get there.
        self.medium.forget();
        let next = slot.generation + 1;
        self.signals.full.store(false, Ordering::SeqCst);
        let opened = open_database(self.medium.clone(), &self.signals, How::Plain)
            .and_then(|database| Ok((guarded(|| View::of(&database, next))?, database)));
        match opened {
            Ok((view, database)) => {
                *slot = Slot { database: Some(database), generation: next, failed: None };
                self.publish(view, Vec::new());
                Ok(true)
            }
            Err(trouble) => {
                slot.failed = Some((trouble.clone(), Some(Instant::now() + PAUSE)));
                Err(trouble)
            }
        }
    }

    /// Makes a view the one that is shown. Where the commits don't lead to it, nothing is remembered of what did.
    fn publish(&self, view: View, commits: Vec<Commit>) {
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        let reached = commits.last().map_or(published.view.revision, |commit| commit.revision);
        commits.into_iter().for_each(|commit| published.recent.push(commit));
        if view.revision != reached {
            published.recent = Recent::after(view.revision);
        }
        published.view = Arc::new(view);
    }

    /// Compares the rows with the stored ledger, and keeps it from now on if they agree.
    pub(super) fn attach_ledger(&self, by: Arc<dyn Ledger>) -> Result<LedgerState, Trouble> {
        let mut lent = self.lent();
        // No commit can come in between: each one takes `ledger` first.
        let view = self.view();
        match &view.ledger {
            None => return Ok(LedgerState::Tampered),
            Some(stored) if stored.is_empty() => return Ok(LedgerState::Absent),
            Some(stored) => {
                let sum = guarded(|| view.sum(&*by))?;
                if *stored != sum.sealed(&*by, view.revision) {
                    return Ok(LedgerState::Tampered);
                }
            }
        }
        (lent.kept, lent.by) = (true, Some(by));
        Ok(LedgerState::Attached)
    }

    /// Begins a ledger over the rows as they are; where one is attached, in its place.
    pub(super) fn start_ledger(&self, by: Arc<dyn Ledger>) -> Result<(), LedgerError> {
        let mut lent = self.lent();
        if !lent.writes || (lent.kept && lent.by.is_none()) {
            return Err(LedgerError::Kept);
        }
        let mut committing = false;
        let (generation, done) = {
            let slot = self.slot();
            let done = guarded(|| {
                let database = slot.database.as_ref().ok_or_else(closed)?;
                let view = View::of(database, slot.generation)?;
                let stored = view.sum(&*by)?.sealed(&*by, view.revision);
                let txn = database.begin_write()?;
                write_ledger(&txn, &stored)?;
                committing = true;
                txn.commit()?;
                self.publish(View::of(database, slot.generation)?, Vec::new());
                Ok(())
            });
            (slot.generation, done.map_err(|trouble| self.explain(trouble)))
        };
        if let Err(trouble) = done {
            let revived = self.revive(generation);
            if !committing {
                return Err(CommitError::from(trouble).into());
            }
            revived.map_err(|trouble| CommitError::Unknown(StoreError::from(trouble).to_string()))?;
            // What the medium holds now decides.
            let view = self.view();
            let there = guarded(|| Ok(view.sum(&*by)?.sealed(&*by, view.revision))).map_err(CommitError::from)?;
            if view.ledger.as_ref() != Some(&there) {
                return Err(CommitError::from(trouble).into());
            }
        }
        (lent.kept, lent.by) = (true, Some(by));
        Ok(())
    }

    /// redb may speak of an earlier error where that was a lack of space.
    fn explain(&self, trouble: Trouble) -> Trouble {
        let full = self.signals.full.load(Ordering::SeqCst);
        if full && matches!(trouble, Trouble::Medium(_)) { Trouble::NoSpace } else { trouble }
    }

    /// Closes the database for good. Snapshots that are still held can't read what they have not read.
    pub(super) fn close(&self) {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        slot.failed = Some((closed(), None));
        if let Some(database) = slot.database.take() {
            close_database(database);
        }
        self.medium.release();
    }

    /// The same for what may be damaged.
    pub(super) fn abandon(&self) {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        slot.failed = Some((closed(), None));
        if let Some(database) = slot.database.take() {
            leave(database);
        }
        self.medium.release();
    }

    fn lent(&self) -> MutexGuard<'_, Lent> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self) -> RwLockReadGuard<'_, Slot> {
        self.slot.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn published(&self) -> RwLockReadGuard<'_, Published> {
        self.published.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Trouble {
    Trouble::Refused("it is closed".into())
}

/// Whether batches take rows away, each of them, and put little in their place, and so may use what is kept to spare for that.
fn may_stretch(batches: &[&Batch]) -> bool {
    let takes = |batch: &&Batch| batch.changes.iter().any(|change| !matches!(change, Change::Put(..)));
    let put = |change: &Change| if let Change::Put(_, value) = change { value.len() } else { 0 };
    let bytes = batches.iter().flat_map(|batch| &batch.changes).map(put).sum::<usize>();
    batches.iter().all(takes) && bytes <= REPLACED
}

/// What redb's storage and the engine tell each other past redb.
#[derive(Debug)]
struct Signals {
    /// Whether a failure was a lack of room.
    full: AtomicBool,
    /// Whether growth may go on where there is no room: for what takes rows away, and for repairs.
    stretch: AtomicBool,
    /// Whether it did, or something was refused since it was to be written where it had.
    loose: AtomicBool,
    /// Where the medium has been stretched: the length up to which all else may be written without a look at the room there.
    solid: AtomicU64,
    syncs: Clock,
}

impl Signals {
    fn new() -> Self {
        let (full, stretch, solid) = (AtomicBool::new(false), AtomicBool::new(true), AtomicU64::new(u64::MAX));
        Self { full, stretch, loose: AtomicBool::new(false), solid, syncs: Clock::default() }
    }
}

/// What redb asks of its storage, passed on. Locks are not among it: the medium holds its own.
#[derive(Debug)]
struct Storage {
    medium: Arc<dyn Medium>,
    signals: Arc<Signals>,
}

impl Storage {
    fn noticing<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if done.as_ref().is_err_and(is_full) {
            self.signals.full.store(true, Ordering::SeqCst);
        }
        done
    }
}

impl StorageBackend for Storage {
    fn len(&self) -> io::Result<u64> {
        self.medium.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.medium.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let done = match self.medium.set_len(len) {
            Err(error) if is_full(&error) && self.signals.stretch.load(Ordering::SeqCst) => {
                self.signals.solid.fetch_min(self.medium.len()?, Ordering::SeqCst);
                self.signals.loose.store(true, Ordering::SeqCst);
                return self.noticing(self.medium.stretch(len));
            }
            done => done,
        };
        if done.is_ok() && len <= self.signals.solid.load(Ordering::SeqCst) {
            self.signals.solid.store(u64::MAX, Ordering::SeqCst);
        }
        self.noticing(done)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.noticing(self.signals.syncs.time(|| self.medium.sync()))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let len = data.len() as u64;
        let beyond = offset + len > self.signals.solid.load(Ordering::SeqCst);
        // redb takes whichever page is free, also where the medium was stretched.
        if beyond && !self.signals.stretch.load(Ordering::SeqCst) && !self.medium.has_room(offset, len)? {
            self.signals.loose.store(true, Ordering::SeqCst);
            return self.noticing(Err(io::ErrorKind::StorageFull.into()));
        }
        self.noticing(self.medium.write(offset, data))
    }
}

/// How a database is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum How {
    /// What was not closed in order is repaired.
    Plain,
    /// The same, and every page is read.
    Checked,
    /// What was not closed in order is an error, and little is kept in memory.
    Closed,
}

/// Opens the database on a medium, making one where that is empty.
fn open_database(medium: Arc<dyn Medium>, signals: &Arc<Signals>, how: How) -> Result<Database, Trouble> {
    let storage = Storage { medium, signals: signals.clone() };
    let mut builder = Builder::new();
    builder.set_cache_size(if how == How::Plain { CACHE } else { PASSING_CACHE });
    builder.set_check_integrity_on_open(how == How::Checked);
    if how == How::Closed {
        builder.set_repair_callback(|repair| repair.abort());
    }
    guarded(|| Ok(builder.create_with_backend(storage)?))
}

/// Closes a database. Where that fails, the next opening repairs what it left: every commit is on the medium already.
fn close_database(database: Database) {
    let _ = guarded(|| Ok(database.close()?));
}

/// Lets go of a database that may be damaged, and that nothing was written to, without closing it: redb commits once more
/// as it closes, and where pages make no sense it panics within a destructor, which ends the process. What it has in memory
/// is lost, of which there is little, once: whoever met such a file ends.
fn leave(database: Database) {
    std::mem::forget(database);
}
