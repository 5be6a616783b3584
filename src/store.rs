//! Ordered rows with atomic compare-and-commit: key bytes → value bytes, and nothing more is known of them here.
//!
//! Invariants:
//! - Every commit has one global, increasing [`Revision`]; each row knows the revision that last wrote it.
//! - A commit happens whole or not at all; a refused one moves nothing, not even the revision.
//! - A commit that was answered is on stable storage.
//! - A snapshot shows one revision, however long it is kept.
//!
//! It deliberately does not interpret rows, know keys or speak of permission; the types of a backend stay inside its
//! own file, so that another engine can take its place.

pub mod composed;
pub mod fault;
pub mod memory;
pub mod redb;

use std::ops::Range;
use std::time::Duration;

use thiserror::Error;

use crate::id::Revision;

/// A row's name. Rows are ordered by it, byte by byte.
pub type Key = Vec<u8>;

/// A row as a snapshot shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// The commit that last wrote it.
    pub revision: Revision,
    /// What it holds.
    pub value: Vec<u8>,
}

/// Rows that can be read together, as of one revision.
pub trait Snapshot {
    /// The last commit that this snapshot shows.
    fn revision(&self) -> Revision;

    /// One row, or `None` where there is none of that name.
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError>;

    /// The rows of `range` in ascending order, at most `page.rows` of them and no further than the row with which
    /// keys and values together reach `page.bytes`. At least one row is given where there is one, however large.
    fn scan(&self, range: Range<&[u8]>, page: Page) -> Result<Vec<(Key, Row)>, StoreError>;
}

/// How much one [`Snapshot::scan`] may return. What follows begins at the last key that was returned, with a zero byte
/// added to it.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// At most so many rows.
    pub rows: usize,
    /// No further row once so many bytes are reached.
    pub bytes: usize,
}

/// What must hold for a batch to be committed. Conditions are about the state before the batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Condition {
    /// The row exists and was last written by this commit.
    At(Key, Revision),
    /// There is no such row.
    Absent(Key),
    /// There is such a row.
    Present(Key),
    /// There is no row from the first key, included, to the second, excluded.
    RangeEmpty(Key, Key),
}

/// One change. No row is named by two changes of a batch, a deleted range counting for each row in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Makes the row, or replaces it.
    Put(Key, Vec<u8>),
    /// Takes the row away; where there is none, nothing.
    Delete(Key),
    /// Takes away every row from the first key, included, to the second, excluded.
    DeleteRange(Key, Key),
}

/// Conditions and changes that are committed together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// All of these must hold.
    pub conditions: Vec<Condition>,
    /// All of these are made.
    pub changes: Vec<Change>,
}

/// What a backend can take in one batch.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Conditions in one batch.
    pub conditions: usize,
    /// Changes in one batch.
    pub changes: usize,
    /// Bytes of all keys and values in one batch.
    pub bytes: usize,
}

/// What a backend occupies and what is left.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Bytes that the store takes on its medium.
    pub size: u64,
    /// Bytes of the medium, in all.
    pub total: u64,
    /// Bytes of the medium that the store may still take.
    pub free: u64,
    /// Bytes of the medium that nobody has taken; more than `free` where some are reserved.
    pub unused: u64,
}

/// How often a backend had its medium write all to stable storage, and how long that took: whoever writes waits for it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Syncs {
    /// How often.
    pub count: u64,
    /// How long, in all.
    pub time: Duration,
    /// How long at the most.
    pub slowest: Duration,
}

/// The rows that a commit wrote or took away.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Commit {
    /// Its number.
    pub revision: Revision,
    /// The rows that it wrote, in the order of their keys.
    pub written: Vec<Key>,
    /// The rows that it took away, in the order of their keys.
    pub deleted: Vec<Key>,
}

/// What happened since a revision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Changes {
    /// Every commit after the one that was asked about, in order.
    Commits(Vec<Commit>),
    /// The store no longer remembers back that far: start over from a snapshot.
    Compacted,
}

/// Where rows are kept.
///
/// All of it may be called from many threads at once. Batches that arrive together may share one write to the medium,
/// each with a revision of its own.
pub trait Store: Send + Sync {
    /// The rows as they are now. Every commit that was answered before the call is in it.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Makes the changes of a batch if its conditions hold, and answers when that is on stable storage.
    fn commit(&self, batch: Batch) -> Result<Revision, CommitError>;

    /// What was committed after `since`.
    fn changes(&self, since: Revision) -> Result<Changes, StoreError>;

    /// What one batch may hold.
    fn limits(&self) -> Limits;

    /// What the store takes, and what room there is.
    fn usage(&self) -> Result<Usage, StoreError>;

    /// The syncs of its medium since it was opened; none where it has no medium.
    fn syncs(&self) -> Syncs {
        Syncs::default()
    }
}

/// Why rows could not be read.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The medium does not answer, now or at all.
    #[error("the store can't be read: {0}")]
    Unavailable(String),
    /// The rows can't be read as of this snapshot's moment any longer: a new snapshot can be.
    #[error("the store was opened anew, and has gone on since this was read")]
    Superseded,
    /// The medium answers with something that a store does not write.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

/// Why a batch was not committed.
#[derive(Debug, Error)]
pub enum CommitError {
    /// A condition does not hold: nothing was changed.
    #[error("a row has changed in the meantime")]
    Conflict,
    /// The batch names a row twice: nothing was changed.
    #[error("a batch names one row twice")]
    Invalid,
    /// The batch is beyond the [`Limits`]: nothing was changed.
    #[error("a batch is larger than the store takes")]
    TooLarge,
    /// The medium is full: nothing was changed.
    #[error("no space is left for the store")]
    NoSpace,
    /// The medium does not answer: nothing was changed.
    #[error("the store can't be written: {0}")]
    Unavailable(String),
    /// The answer was lost: the batch may have been committed or not.
    #[error("it is not known whether the store took the change: {0}")]
    Unknown(String),
}

/// See [`Ledger::digester`].
pub type Digester<'a> = Box<dyn FnMut(&[u8], Revision, &[u8]) -> [u8; 32] + 'a>;

/// Keyed digests by which a backend that lives in one file notices rows that were taken back to an earlier state while
/// nobody watched. The store holds no key: whoever does lends it these two functions.
pub trait Ledger: Send + Sync {
    /// A keyed digest of one row, with the revision that wrote it.
    fn digest(&self, key: &[u8], revision: Revision, value: &[u8]) -> [u8; 32];

    /// The same for very many rows, one after the other.
    fn digester(&self) -> Digester<'_> {
        Box::new(|key, revision, value| self.digest(key, revision, value))
    }

    /// A keyed tag over the sum of all rows' digests, modulo 2^256, as of a revision.
    fn seal(&self, revision: Revision, sum: &[u8; 32]) -> [u8; 32];
}
