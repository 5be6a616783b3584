//! Several batches as one: each is decided on what those before it leave, and all are committed together.
//!
//! Invariants:
//! - Read as a snapshot, it shows the rows below it with the changes of the batches that were added so far.
//! - The one batch holds a condition for every row below that one of them rests on. So it commits exactly where they would have
//!   been committed one after the other with nothing in between.
//!
//! It deliberately commits nothing itself, and asks no limits: the store does.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};

use super::{Batch, Change, Condition, Key, Page, Row, Snapshot, StoreError};
use crate::id::Revision;

/// What a row that is only in the making says of its commit: no commit has this number.
const IN_THE_MAKING: Revision = Revision(u64::MAX);

/// See the module.
pub struct Composed<'a> {
    below: &'a dyn Snapshot,
    /// The rows that the batches change: what they hold then, or that they are gone.
    rows: BTreeMap<Key, Option<Vec<u8>>>,
    conditions: Vec<Condition>,
    /// What there is a condition for, so that a thousand entries of a directory name it once.
    named: BTreeSet<Key>,
}

impl<'a> Composed<'a> {
    /// No batches yet, on top of these rows.
    pub fn new(below: &'a dyn Snapshot) -> Composed<'a> {
        Composed { below, rows: BTreeMap::new(), conditions: Vec::new(), named: BTreeSet::new() }
    }

    /// Adds a batch that was decided on what this shows.
    pub fn add(&mut self, batch: Batch) -> Result<(), StoreError> {
        for condition in batch.conditions {
            match condition {
                Condition::At(ref key, _) | Condition::Absent(ref key) | Condition::Present(ref key) => {
                    // Of a row that one of the batches writes there is a condition already, where it was decided on.
                    if !self.rows.contains_key(key) && self.named.insert(key.clone()) {
                        self.conditions.push(condition);
                    }
                }
                Condition::RangeEmpty(from, to) => self.insist_on_nothing_else(from, to)?,
            }
        }
        for change in batch.changes {
            match change {
                Change::Put(key, value) => drop(self.rows.insert(key, Some(value))),
                Change::Delete(key) => drop(self.rows.insert(key, None)),
                Change::DeleteRange(from, to) => {
                    for key in self.keys(&from, &to)? {
                        self.rows.insert(key, None);
                    }
                }
            }
        }
        Ok(())
    }

    /// All of it, to be committed.
    pub fn into_batch(self) -> Batch {
        let change = |(key, value)| match value {
            Some(value) => Change::Put(key, value),
            None => Change::Delete(key),
        };
        Batch { conditions: self.conditions, changes: self.rows.into_iter().map(change).collect() }
    }

    /// A range that is empty by now may hold rows below that a batch took away: then what lies between these is to be empty. Of
    /// the rows themselves whoever took them away has said which he saw.
    fn insist_on_nothing_else(&mut self, from: Key, to: Key) -> Result<(), StoreError> {
        let mut start = from;
        for key in scan_all(self.below, &start, &to)? {
            if start < key {
                self.conditions.push(Condition::RangeEmpty(start, key.clone()));
            }
            start = successor(key);
        }
        if start < to {
            self.conditions.push(Condition::RangeEmpty(start, to));
        }
        Ok(())
    }

    /// The keys of a range that there are rows of.
    fn keys(&self, from: &[u8], to: &[u8]) -> Result<Vec<Key>, StoreError> {
        let mut keys: BTreeSet<Key> = scan_all(self.below, from, to)?.into_iter().collect();
        for (key, value) in self.changed(from, to) {
            if value.is_some() {
                keys.insert(key.clone());
            } else {
                keys.remove(key);
            }
        }
        Ok(keys.into_iter().collect())
    }

    fn changed(&self, from: &[u8], to: &[u8]) -> impl Iterator<Item = (&Key, &Option<Vec<u8>>)> {
        // The map's own `range` answers bounds that are not in order by a panic.
        self.rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to.max(from))))
    }
}

impl Snapshot for &Composed<'_> {
    fn revision(&self) -> Revision {
        self.below.revision()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        match self.rows.get(key) {
            Some(value) => Ok(value.clone().map(|value| Row { revision: IN_THE_MAKING, value })),
            None => self.below.get(key),
        }
    }

    fn scan(&self, range: Range<&[u8]>, page: Page) -> Result<Vec<(Key, Row)>, StoreError> {
        let mut from = range.start.to_vec();
        loop {
            let below = self.below.scan(from.as_slice()..range.end, page)?;
            // What stands behind the last row of a page below is on the next one.
            let Some((last, _)) = below.last() else { return Ok(self.merged(below, &from, range.end, page)) };
            let next = successor(last.clone());
            let merged = self.merged(below, &from, &next, page);
            if !merged.is_empty() {
                return Ok(merged);
            }
            from = next;
        }
    }
}

impl Composed<'_> {
    /// Rows from below with the changes of their range made, no more than a page holds.
    fn merged(&self, below: Vec<(Key, Row)>, from: &[u8], to: &[u8], page: Page) -> Vec<(Key, Row)> {
        let mut rows: BTreeMap<Key, Row> = below.into_iter().collect();
        for (key, value) in self.changed(from, to) {
            match value {
                Some(value) => drop(rows.insert(key.clone(), Row { revision: IN_THE_MAKING, value: value.clone() })),
                None => drop(rows.remove(key)),
            }
        }
        let mut bytes = 0;
        let fits = |(place, (key, row)): &(usize, (Key, Row))| {
            let fits = *place < page.rows && (*place == 0 || bytes < page.bytes);
            bytes += key.len() + row.value.len();
            fits
        };
        rows.into_iter().enumerate().take_while(fits).map(|(_, row)| row).collect()
    }
}

/// The first key behind one.
fn successor(mut key: Key) -> Key {
    key.push(0);
    key
}

/// The keys of all rows of a range.
fn scan_all(snapshot: &dyn Snapshot, from: &[u8], to: &[u8]) -> Result<Vec<Key>, StoreError> {
    let (mut keys, mut start) = (Vec::new(), from.to_vec());
    loop {
        let rows = snapshot.scan(start.as_slice()..to, Page { rows: 1024, bytes: 1 << 20 })?;
        let Some((last, _)) = rows.last() else { return Ok(keys) };
        start = successor(last.clone());
        keys.extend(rows.into_iter().map(|(key, _)| key));
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryStore;
    use super::super::{CommitError, Store};
    use super::*;

    fn key(number: u8) -> Key {
        vec![b'k', number]
    }

    fn store(rows: &[u8]) -> MemoryStore {
        let store = MemoryStore::new();
        let changes = rows.iter().map(|number| Change::Put(key(*number), vec![*number])).collect();
        store.commit(Batch { conditions: vec![], changes }).unwrap();
        store
    }

    fn all(snapshot: &dyn Snapshot, page: Page) -> Vec<(Key, Vec<u8>)> {
        let (mut rows, mut start) = (Vec::new(), key(0));
        loop {
            let found = snapshot.scan(start.as_slice()..key(255).as_slice(), page).unwrap();
            let Some((last, _)) = found.last() else { return rows };
            start = successor(last.clone());
            rows.extend(found.into_iter().map(|(key, row)| (key, row.value)));
        }
    }

    /// A deterministic stream of numbers (xorshift).
    fn numbers(mut state: u64) -> impl FnMut(u64) -> u64 {
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        }
    }

    #[test]
    fn one_commit_leaves_what_one_after_the_other_would() {
        for seed in 1..200 {
            let mut draw = numbers(seed * 7919);
            let rows: Vec<u8> = (1..20).filter(|_| draw(2) == 0).collect();
            let (together, apart) = (store(&rows), store(&rows));
            let below = together.snapshot().unwrap();
            let mut composed = Composed::new(&*below);
            for _ in 0..draw(12) {
                let change = match draw(4) {
                    0 | 1 => Change::Put(key(draw(20) as u8 + 1), vec![draw(250) as u8]),
                    2 => Change::Delete(key(draw(20) as u8 + 1)),
                    _ => Change::DeleteRange(key(draw(20) as u8), key(draw(20) as u8)),
                };
                let batch = Batch { conditions: vec![], changes: vec![change] };
                composed.add(batch.clone()).unwrap();
                apart.commit(batch).unwrap();
                let now = apart.snapshot().unwrap();
                for page in [Page { rows: 1, bytes: 1 << 20 }, Page { rows: 3, bytes: 1 }, Page { rows: 99, bytes: 9 }]
                {
                    assert_eq!(all(&&composed, page), all(&*now, page), "seed {seed}");
                }
                for number in 0..22 {
                    let value = |snapshot: &dyn Snapshot| snapshot.get(&key(number)).unwrap().map(|row| row.value);
                    assert_eq!(value(&&composed), value(&*now), "seed {seed}");
                }
            }
            let batch = composed.into_batch();
            together.commit(batch).unwrap();
            let page = Page { rows: 99, bytes: 1 << 20 };
            let (one, other) = (together.snapshot().unwrap(), apart.snapshot().unwrap());
            assert_eq!(all(&*one, page), all(&*other, page), "seed {seed}");
        }
    }

    #[test]
    fn what_a_batch_wrote_is_no_condition_of_the_next() {
        let store = store(&[1]);
        let below = store.snapshot().unwrap();
        let mut composed = Composed::new(&*below);
        let seen = below.get(&key(1)).unwrap().unwrap().revision;
        let first = Batch {
            conditions: vec![Condition::At(key(1), seen), Condition::Absent(key(2))],
            changes: vec![Change::Put(key(1), vec![10]), Change::Put(key(2), vec![20])],
        };
        composed.add(first).unwrap();
        let made = (&composed).get(&key(2)).unwrap().unwrap().revision;
        let second = Batch {
            conditions: vec![Condition::At(key(2), made), Condition::Present(key(1))],
            changes: vec![Change::Delete(key(2))],
        };
        composed.add(second).unwrap();
        let batch = composed.into_batch();
        assert_eq!(batch.conditions, [Condition::At(key(1), seen), Condition::Absent(key(2))]);
        store.commit(batch).unwrap();
    }

    #[test]
    fn a_range_that_a_batch_emptied_is_to_hold_nothing_else() {
        // (the row that somebody else makes meanwhile, whether that is in the way)
        for (other, conflicts) in [(None, false), (Some(2), true), (Some(4), true), (Some(9), true), (Some(20), false)]
        {
            let store = store(&[3, 5]);
            let below = store.snapshot().unwrap();
            let mut composed = Composed::new(&*below);
            let changes = vec![Change::Delete(key(3)), Change::Delete(key(5))];
            composed.add(Batch { conditions: vec![], changes }).unwrap();
            let empty = Condition::RangeEmpty(key(1), key(10));
            composed.add(Batch { conditions: vec![empty], changes: vec![Change::Put(key(30), vec![1])] }).unwrap();
            if let Some(number) = other {
                let changes = vec![Change::Put(key(number), vec![0])];
                store.commit(Batch { conditions: vec![], changes }).unwrap();
            }
            let committed = store.commit(composed.into_batch());
            assert_eq!(matches!(committed, Err(CommitError::Conflict)), conflicts, "{other:?}: {committed:?}");
        }
    }
}
