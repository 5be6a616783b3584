//! What every store must do, on each of them; then what the one in a file must do besides.

// Clippy's exceptions for tests don't reach the functions that tests share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyfs::id::Revision;
use keyfs::store::fault::{Fault, FaultStore, FaultyMedium};
use keyfs::store::memory::MemoryStore;
use keyfs::store::redb::{FileMedium, LedgerError, LedgerState, Medium, OpenError, RedbStore};
use keyfs::store::{
    Batch, Change, Changes, Commit, CommitError, Condition, Key, Ledger, Page, Row, Snapshot, Store, StoreError,
};

mod damage;
mod faults;
mod file;
mod ledger;

const ALL: Page = Page { rows: usize::MAX, bytes: usize::MAX };

fn key(name: &str) -> Key {
    name.as_bytes().to_vec()
}

fn put(name: &str, value: &str) -> Change {
    Change::Put(key(name), value.as_bytes().to_vec())
}

fn delete(name: &str) -> Change {
    Change::Delete(key(name))
}

fn delete_range(from: &str, to: &str) -> Change {
    Change::DeleteRange(key(from), key(to))
}

fn changing(changes: impl IntoIterator<Item = Change>) -> Batch {
    Batch { conditions: Vec::new(), changes: changes.into_iter().collect() }
}

fn provided(condition: Condition, change: Change) -> Batch {
    Batch { conditions: vec![condition], changes: vec![change] }
}

fn rows(snapshot: &dyn Snapshot) -> Vec<(Key, Row)> {
    snapshot.scan(b""..&[0xff; 64], ALL).unwrap()
}

fn names(store: &dyn Store) -> Vec<String> {
    rows(&*store.snapshot().unwrap()).into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
}

fn value(store: &dyn Store, name: &str) -> Option<String> {
    store.snapshot().unwrap().get(name.as_bytes()).unwrap().map(|row| String::from_utf8(row.value).unwrap())
}

/// Numbers that are as good as random and the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

mod contract {
    use super::*;

    pub(crate) fn a_store_begins_empty_at_revision_zero(store: &dyn Store) {
        let snapshot = store.snapshot().unwrap();
        assert_eq!(snapshot.revision(), Revision(0));
        assert_eq!(snapshot.get(b"a").unwrap(), None);
        assert!(rows(&*snapshot).is_empty());
        assert_eq!(store.changes(Revision(0)).unwrap(), Changes::Commits(Vec::new()));
    }

    pub(crate) fn each_row_knows_the_commit_that_wrote_it(store: &dyn Store) {
        assert_eq!(store.commit(changing([put("a", "1"), put("b", "1")])).unwrap(), Revision(1));
        assert_eq!(store.commit(changing([put("b", "2"), put("", "empty key"), put("c", "")])).unwrap(), Revision(2));
        let row = |revision, value: &str| Row { revision: Revision(revision), value: value.into() };
        let expected = vec![
            (key(""), row(2, "empty key")),
            (key("a"), row(1, "1")),
            (key("b"), row(2, "2")),
            (key("c"), row(2, "")),
        ];
        assert_eq!(rows(&*store.snapshot().unwrap()), expected);
        assert_eq!(store.commit(Batch::default()).unwrap(), Revision(3));
    }

    pub(crate) fn conditions_hold_or_refuse(store: &dyn Store) {
        let first = store.commit(changing([put("a", "1"), put("c", "1")])).unwrap();
        let other = Revision(first.0 + 7);
        let range = |from: &str, to: &str| Condition::RangeEmpty(key(from), key(to));
        let holding = [
            Condition::At(key("a"), first),
            Condition::Absent(key("b")),
            Condition::Present(key("a")),
            range("aa", "c"),
            range("d", "e"),
            range("c", "a"),
            range("a", "a"),
        ];
        let failing = [
            Condition::At(key("a"), other),
            Condition::At(key("b"), first),
            Condition::Absent(key("a")),
            Condition::Present(key("b")),
            range("a", "b"),
            range("", "d"),
            range("b", "cc"),
        ];
        let mut last = first;
        for condition in holding.iter().cloned() {
            last = store.commit(provided(condition, put("z", "taken"))).unwrap();
        }
        for condition in failing {
            for conditions in [vec![condition.clone()], [&holding[..], &[condition]].concat()] {
                let refused = store.commit(Batch { conditions, changes: vec![put("z", "refused"), delete("a")] });
                assert!(matches!(refused, Err(CommitError::Conflict)), "{refused:?}");
            }
        }
        assert_eq!(value(store, "z").as_deref(), Some("taken"));
        assert_eq!(value(store, "a").as_deref(), Some("1"));
        assert_eq!(store.snapshot().unwrap().revision(), last);
        assert_eq!(store.changes(last).unwrap(), Changes::Commits(Vec::new()));
    }

    pub(crate) fn conditions_are_about_the_state_before_the_batch(store: &dyn Store) {
        store.commit(provided(Condition::Absent(key("a")), put("a", "1"))).unwrap();
        let replaced = Batch { conditions: vec![Condition::Present(key("a"))], changes: vec![delete("a")] };
        store.commit(replaced.clone()).unwrap();
        assert!(matches!(store.commit(replaced), Err(CommitError::Conflict)));
    }

    pub(crate) fn deletions_take_what_is_there(store: &dyn Store) {
        store.commit(changing(["a", "b", "ba", "c", "d"].map(|name| put(name, name)))).unwrap();
        let last = store
            .commit(changing([
                delete_range("b", "c"),
                delete("d"),
                delete("none"),
                delete_range("x", "y"),
                put("e", ""),
            ]))
            .unwrap();
        assert_eq!(names(store), ["a", "c", "e"]);
        let Changes::Commits(commits) = store.changes(Revision(last.0 - 1)).unwrap() else { panic!("remembered") };
        let expected = Commit { revision: last, written: vec![key("e")], deleted: vec![key("b"), key("ba"), key("d")] };
        assert_eq!(commits, [expected]);
        store.commit(changing([delete_range("c", "a"), delete_range("a", "a")])).unwrap();
        assert_eq!(names(store), ["a", "c", "e"]);
        store.commit(changing([delete_range("", "zz")])).unwrap();
        assert!(names(store).is_empty());
    }

    pub(crate) fn scans_are_ordered_and_paged(store: &dyn Store) {
        let written: Vec<Key> = (0..500_u32).map(|n| [&[n as u8 % 7][..], &n.to_be_bytes()].concat()).collect();
        store.commit(changing(written.iter().map(|key| Change::Put(key.clone(), vec![0; 10])))).unwrap();
        let mut expected = written;
        expected.sort();
        let snapshot = store.snapshot().unwrap();
        for (rows, bytes, most) in [(1, usize::MAX, 1), (7, usize::MAX, 7), (100, 31, 3), (100, 30, 2), (100, 0, 1)] {
            let (mut from, mut seen) = (Key::new(), Vec::new());
            loop {
                let page = snapshot.scan(&from..&[7], Page { rows, bytes }).unwrap();
                assert!(page.len() <= most);
                let Some((last, _)) = page.last() else { break };
                assert!(page.len() == most || *last == expected[499]);
                from = [last, &[0][..]].concat();
                seen.extend(page.into_iter().map(|(key, _)| key));
            }
            assert_eq!(seen, expected);
        }
        assert!(snapshot.scan(b""..&[7], Page { rows: 0, bytes: 9 }).unwrap().is_empty());
        let backwards: std::ops::Range<&[u8]> = &[5]..&[2];
        assert!(snapshot.scan(backwards, ALL).unwrap().is_empty());
        let middle = snapshot.scan(&[2]..&[3], ALL).unwrap();
        assert_eq!(middle.len(), expected.iter().filter(|key| key[0] == 2).count());
    }

    pub(crate) fn a_snapshot_stays_as_it_was(store: &dyn Store) {
        let first = store.commit(changing([put("a", "old"), put("b", "old")])).unwrap();
        let snapshot = store.snapshot().unwrap();
        for n in 0..50 {
            store.commit(changing([put("a", &n.to_string()), put(&n.to_string(), "")])).unwrap();
        }
        store.commit(changing([delete("b")])).unwrap();
        assert_eq!(snapshot.revision(), first);
        assert_eq!(snapshot.get(b"a").unwrap().unwrap().value, b"old");
        assert_eq!(rows(&*snapshot).len(), 2);
        assert_eq!(value(store, "a").as_deref(), Some("49"));
    }

    pub(crate) fn a_row_named_twice_is_invalid(store: &dyn Store) {
        store.commit(changing([put("a", "1")])).unwrap();
        let twice = [
            vec![put("a", "2"), put("a", "3")],
            vec![put("a", "2"), put("b", ""), delete("a")],
            vec![delete_range("a", "c"), put("b", "")],
            vec![put("a", "2"), delete_range("a", "c")],
            vec![delete_range("a", "c"), delete_range("b", "d")],
            vec![delete_range("a", "d"), put("z", ""), delete_range("b", "c")],
        ];
        for changes in twice {
            assert!(matches!(store.commit(changing(changes.clone())), Err(CommitError::Invalid)), "{changes:?}");
        }
        assert_eq!(store.snapshot().unwrap().revision(), Revision(1));
        assert_eq!(value(store, "a").as_deref(), Some("1"));
        let side_by_side = [delete_range("a", "c"), put("c", ""), put("cc", ""), delete_range("d", "e"), put("e", "")];
        store.commit(changing(side_by_side)).unwrap();
    }

    pub(crate) fn what_is_beyond_the_limits_is_refused(store: &dyn Store) {
        let limits = store.limits();
        let many = |count: usize| (0..count as u32).map(|n| Change::Put(n.to_be_bytes().to_vec(), Vec::new()));
        let beyond = [
            changing(many(limits.changes + 1)),
            changing([Change::Put(key("a"), vec![0; limits.bytes])]),
            Batch { conditions: vec![Condition::Absent(key("a")); limits.conditions + 1], changes: vec![put("a", "")] },
        ];
        for batch in beyond {
            assert!(matches!(store.commit(batch), Err(CommitError::TooLarge)));
        }
        assert_eq!(store.snapshot().unwrap().revision(), Revision(0));
        store.commit(changing([Change::Put(key("a"), vec![7; limits.bytes - 1])])).unwrap();
        assert_eq!(store.snapshot().unwrap().get(b"a").unwrap().unwrap().value.len(), limits.bytes - 1);
        let page = store.snapshot().unwrap().scan(b""..b"z", Page { rows: 9, bytes: 1 }).unwrap();
        assert_eq!(page.len(), 1);
    }

    pub(crate) fn changes_come_in_order(store: &dyn Store) {
        for n in 1..=5 {
            store.commit(changing([put("b", ""), put(&n.to_string(), ""), put("a", "")])).unwrap();
        }
        let Changes::Commits(commits) = store.changes(Revision(2)).unwrap() else { panic!("remembered") };
        assert_eq!(commits.iter().map(|commit| commit.revision.0).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(commits[0].written, [key("3"), key("a"), key("b")]);
        assert_eq!(store.changes(Revision(5)).unwrap(), Changes::Commits(Vec::new()));
        assert_eq!(store.changes(Revision(6)).unwrap(), Changes::Compacted);
    }

    pub(crate) fn many_threads_each_get_a_revision_of_their_own(store: &dyn Store) {
        let (threads, each) = (16, 20);
        let mut revisions: Vec<u64> = std::thread::scope(|scope| {
            let work = |thread| {
                move || {
                    let commit = |n| {
                        let name = format!("{thread}/{n}");
                        let revision = store.commit(provided(Condition::Absent(key(&name)), put(&name, "")));
                        let revision = revision.unwrap();
                        // What was answered is in every later snapshot, and its changes are told.
                        assert!(store.snapshot().unwrap().revision() >= revision);
                        assert!(matches!(store.changes(revision).unwrap(), Changes::Commits(_)));
                        revision.0
                    };
                    (0..each).map(commit).collect::<Vec<_>>()
                }
            };
            let running: Vec<_> = (0..threads).map(|thread| scope.spawn(work(thread))).collect();
            running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        revisions.sort();
        assert_eq!(revisions, (1..=threads * each).collect::<Vec<_>>());
        assert_eq!(names(store).len() as u64, threads * each);
        for (name, row) in rows(&*store.snapshot().unwrap()) {
            let Changes::Commits(commits) = store.changes(Revision(row.revision.0 - 1)).unwrap() else {
                panic!("remembered")
            };
            assert_eq!(commits[0].written, [name]);
        }
    }

    pub(crate) fn of_two_that_exclude_each_other_one_is_taken(store: &dyn Store) {
        for round in 0..20 {
            let name = round.to_string();
            let taken = std::thread::scope(|scope| {
                let racing: Vec<_> = (0..8)
                    .map(|_| scope.spawn(|| store.commit(provided(Condition::Absent(key(&name)), put(&name, "")))))
                    .collect();
                racing.into_iter().filter(|_| true).map(|thread| thread.join().unwrap()).filter(Result::is_ok).count()
            });
            assert_eq!(taken, 1);
        }
        assert_eq!(store.snapshot().unwrap().revision(), Revision(20));
    }

    pub(crate) fn it_says_what_it_takes(store: &dyn Store) {
        store.commit(changing([Change::Put(key("a"), vec![1; 100_000])])).unwrap();
        let usage = store.usage().unwrap();
        assert!(usage.size >= 100_000 && usage.size + usage.free <= usage.total);
    }
}

macro_rules! contract {
    ($($case:ident)*) => {
        mod in_memory {
            $(#[test] fn $case() { super::contract::$case(&super::MemoryStore::new()); })*
        }
        mod with_faults {
            $(#[test] fn $case() { super::contract::$case(&super::FaultStore::new(super::MemoryStore::new())); })*
        }
        mod in_a_file {
            $(#[test] fn $case() {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("store");
                let store = super::RedbStore::create(&path).unwrap();
                super::contract::$case(&store);
                // All of it lasts.
                let before = super::rows(&*super::Store::snapshot(&store).unwrap());
                drop(store);
                let store = super::RedbStore::open(&path).unwrap();
                assert_eq!(super::rows(&*super::Store::snapshot(&store).unwrap()), before);
            })*
        }
    };
}

contract! {
    a_store_begins_empty_at_revision_zero
    each_row_knows_the_commit_that_wrote_it
    conditions_hold_or_refuse
    conditions_are_about_the_state_before_the_batch
    deletions_take_what_is_there
    scans_are_ordered_and_paged
    a_snapshot_stays_as_it_was
    a_row_named_twice_is_invalid
    what_is_beyond_the_limits_is_refused
    changes_come_in_order
    many_threads_each_get_a_revision_of_their_own
    of_two_that_exclude_each_other_one_is_taken
    it_says_what_it_takes
}

#[test]
fn planned_faults_happen_once() {
    let store = FaultStore::new(MemoryStore::new());
    store.fail_commit(1, Fault::Before(CommitError::NoSpace));
    store.fail_commit(2, Fault::After);
    assert!(store.commit(changing([put("a", "1")])).is_ok());
    assert!(matches!(store.commit(changing([put("a", "2")])), Err(CommitError::NoSpace)));
    assert_eq!(value(&store, "a").as_deref(), Some("1"));
    assert!(matches!(store.commit(changing([put("a", "3")])), Err(CommitError::Unknown(_))));
    assert_eq!(value(&store, "a").as_deref(), Some("3"));
    assert_eq!(store.commit(changing([put("a", "4")])).unwrap(), Revision(3));
    let snapshot = store.snapshot().unwrap();
    store.fail_reads(true);
    assert!(matches!(snapshot.get(b"a"), Err(StoreError::Unavailable(_))));
    assert!(store.snapshot().is_err() && store.changes(Revision(0)).is_err());
    store.fail_reads(false);
    assert_eq!(snapshot.get(b"a").unwrap().unwrap().value, b"4");
}

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    fn create(&self) -> RedbStore {
        RedbStore::create(&self.path()).unwrap()
    }

    fn open(&self) -> RedbStore {
        RedbStore::open(&self.path()).unwrap()
    }

    /// A new store on a file that can be made to fail.
    fn create_faulty(&self) -> (RedbStore, Arc<FaultyMedium<FileMedium>>) {
        let medium = Arc::new(FaultyMedium::new(FileMedium::create(&self.path()).unwrap()));
        (RedbStore::create_on(medium.clone(), &self.path()).unwrap(), medium)
    }
}

fn error(opened: Result<RedbStore, OpenError>) -> OpenError {
    match opened {
        Ok(_) => panic!("it was opened"),
        Err(error) => {
            assert!(!error.to_string().contains('\n'));
            error
        }
    }
}
