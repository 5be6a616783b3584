//! Rows in memory: what every other store must do, in the fewest lines. Tests compare the others with it.
//!
//! Invariants:
//! - A snapshot is the map of its revision, never changed after that: a commit copies the map where a snapshot holds it.
//! - Every commit is remembered: [`Changes::Compacted`] is the answer only for a revision that isn't there yet.
//!
//! It deliberately keeps nothing on a medium, and does not economise.

use std::collections::{BTreeMap, btree_map};
use std::ops::{Bound, Range};
use std::sync::{Arc, PoisonError, RwLock};

use super::{
    Batch, Change, Changes, Commit, CommitError, Condition, Key, Limits, Page, Row, Snapshot, Store, StoreError, Usage,
};
use crate::id::Revision;

/// What a local store takes in one batch. It bounds the memory that one commit may need; nothing in a backend on this
/// machine asks for less.
pub(super) const LIMITS: Limits = Limits { conditions: 1 << 16, changes: 1 << 16, bytes: 64 << 20 };

type Rows = BTreeMap<Key, Row>;

/// A store that lives as long as the process.
#[derive(Default)]
pub struct MemoryStore {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    rows: Arc<Rows>,
    /// The n-th is revision n+1.
    commits: Vec<Commit>,
}

struct MemorySnapshot {
    revision: Revision,
    rows: Arc<Rows>,
}

impl MemoryStore {
    /// A store without rows, at revision 0.
    pub fn new() -> Self {
        Self::default()
    }
}

impl State {
    fn revision(&self) -> Revision {
        Revision(self.commits.len() as u64)
    }

    fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::At(key, revision) => self.rows.get(key).is_some_and(|row| row.revision == *revision),
            Condition::Absent(key) => !self.rows.contains_key(key),
            Condition::Present(key) => self.rows.contains_key(key),
            Condition::RangeEmpty(from, to) => within(&self.rows, from, to).next().is_none(),
        }
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(MemorySnapshot { revision: state.revision(), rows: state.rows.clone() }))
    }

    fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        admit(&batch)?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if !batch.conditions.iter().all(|condition| state.holds(condition)) {
            return Err(CommitError::Conflict);
        }
        let revision = Revision(state.revision().0 + 1);
        let mut commit = Commit { revision, written: Vec::new(), deleted: Vec::new() };
        let rows = Arc::make_mut(&mut state.rows);
        for change in batch.changes {
            match change {
                Change::Put(key, value) => {
                    rows.insert(key.clone(), Row { revision, value });
                    commit.written.push(key);
                }
                Change::Delete(key) => commit.deleted.extend(rows.remove(&key).map(|_| key)),
                Change::DeleteRange(from, to) => {
                    let gone: Vec<Key> = within(rows, &from, &to).map(|(key, _)| key.clone()).collect();
                    gone.iter().for_each(|key| drop(rows.remove(key)));
                    commit.deleted.extend(gone);
                }
            }
        }
        commit.written.sort_unstable();
        commit.deleted.sort_unstable();
        state.commits.push(commit);
        Ok(revision)
    }

    fn changes(&self, since: Revision) -> Result<Changes, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let after = usize::try_from(since.0).ok().and_then(|since| state.commits.get(since..));
        Ok(after.map_or(Changes::Compacted, |commits| Changes::Commits(commits.to_vec())))
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn usage(&self) -> Result<Usage, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let size = state.rows.iter().map(|(key, row)| (key.len() + row.value.len()) as u64).sum();
        let free = u64::MAX - size;
        Ok(Usage { size, total: u64::MAX, free, unused: free })
    }
}

impl Snapshot for MemorySnapshot {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows.get(key).cloned())
    }

    fn scan(&self, range: Range<&[u8]>, page: Page) -> Result<Vec<(Key, Row)>, StoreError> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        for (key, row) in within(&self.rows, range.start, range.end) {
            if found.len() >= page.rows || (bytes >= page.bytes && !found.is_empty()) {
                break;
            }
            bytes += key.len() + row.value.len();
            found.push((key.clone(), row.clone()));
        }
        Ok(found)
    }
}

/// The rows from the first key, included, to the second, excluded; none where these are not in order.
fn within<'a>(rows: &'a Rows, from: &[u8], to: &[u8]) -> btree_map::Range<'a, Key, Row> {
    // The map's own `range` answers bounds that are not in order by a panic.
    rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to.max(from))))
}

/// What can be said of a batch without looking at the rows: it is within the limits, and no two changes meet.
///
/// A deleted range meets every key between its ends, whether there is such a row or not: so the answer depends on
/// nothing but the batch.
pub(super) fn admit(batch: &Batch) -> Result<(), CommitError> {
    let bytes: usize = batch.conditions.iter().map(condition_bytes).chain(batch.changes.iter().map(change_bytes)).sum();
    if batch.conditions.len() > LIMITS.conditions || batch.changes.len() > LIMITS.changes || bytes > LIMITS.bytes {
        return Err(CommitError::TooLarge);
    }
    // A single key has no end.
    let mut spans: Vec<(&Key, Option<&Key>)> = batch
        .changes
        .iter()
        .map(|change| match change {
            Change::Put(key, _) | Change::Delete(key) => (key, None),
            Change::DeleteRange(from, to) => (from, Some(to)),
        })
        .filter(|(from, to)| to.is_none_or(|to| *from < to))
        .collect();
    spans.sort_unstable();
    // In order of their beginnings, the first two that meet are neighbours.
    let meet = spans.windows(2).any(|pair| match pair {
        [(key, None), (next, _)] => key == next,
        [(_, Some(to)), (next, _)] => next < to,
        _ => false,
    });
    if meet { Err(CommitError::Invalid) } else { Ok(()) }
}

fn condition_bytes(condition: &Condition) -> usize {
    match condition {
        Condition::At(key, _) | Condition::Absent(key) | Condition::Present(key) => key.len(),
        Condition::RangeEmpty(from, to) => from.len() + to.len(),
    }
}

/// Bytes of a change's keys and value.
pub(super) fn change_bytes(change: &Change) -> usize {
    match change {
        Change::Put(key, value) => key.len() + value.len(),
        Change::Delete(key) => key.len(),
        Change::DeleteRange(from, to) => from.len() + to.len(),
    }
}
