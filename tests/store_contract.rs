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

#[test]
fn a_new_file_is_its_owners_alone() {
    let place = Place::new();
    drop(place.create());
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o7777, 0o600);
    let before = fs::read(place.path()).unwrap();
    assert!(matches!(error(RedbStore::create(&place.path())), OpenError::Exists { .. }));
    assert_eq!(fs::read(place.path()).unwrap(), before);
    let nowhere = place.directory.path().join("none/store");
    assert!(matches!(error(RedbStore::create(&nowhere)), OpenError::Missing { .. }));
    assert!(matches!(error(RedbStore::open(&nowhere)), OpenError::Missing { .. }));
}

#[test]
fn a_store_in_use_says_by_whom() {
    let place = Place::new();
    let store = place.create();
    let snapshot = store.snapshot().unwrap();
    let OpenError::InUse { pid, .. } = error(RedbStore::open(&place.path())) else { panic!("it is in use") };
    assert!(pid.is_none_or(|pid| pid == std::process::id()));
    if fs::read_to_string("/proc/locks").is_ok_and(|locks| locks.contains("FLOCK")) {
        assert_eq!(pid, Some(std::process::id()));
    }
    drop(store);
    // A snapshot that outlives its store does not keep the file.
    let store = place.open();
    store.commit(changing([put("a", "1")])).unwrap();
    assert!(matches!(snapshot.get(b"a"), Err(StoreError::Unavailable(_)) | Ok(None)));
}

#[test]
fn what_is_not_a_store_is_left_as_it_is() {
    let place = Place::new();
    let foreign = place.directory.path().join("foreign");
    let txn_file = redb::Database::create(&foreign).unwrap();
    drop(txn_file);
    let cases: [(&str, Vec<u8>); 4] = [
        ("empty", Vec::new()),
        ("text", b"port = 80\n".to_vec()),
        ("magic alone", b"redb\x1a\x0a\xa9\x0d\x0a".to_vec()),
        ("another database", fs::read(&foreign).unwrap()),
    ];
    for (name, content) in cases {
        fs::write(place.path(), &content).unwrap();
        let error = error(RedbStore::open(&place.path()));
        let expected = match name {
            "magic alone" => matches!(error, OpenError::Damaged { .. }),
            _ => matches!(error, OpenError::NotAStore { .. }),
        };
        assert!(expected, "{name}: {error:?}");
        assert_eq!(fs::read(place.path()).unwrap(), content, "{name}");
    }
    assert!(matches!(error(RedbStore::open(place.directory.path())), OpenError::NotAStore { .. }));
}

#[test]
fn a_later_format_is_refused() {
    let place = Place::new();
    drop(place.create());
    edit(&place.path(), |_, about| {
        about.insert("format", [9].as_slice()).unwrap();
    });
    assert!(matches!(error(RedbStore::open(&place.path())), OpenError::Format { format: 9, .. }));
}

#[test]
fn what_was_before_the_process_is_forgotten() {
    let place = Place::new();
    let store = place.create();
    for n in 0..3 {
        store.commit(changing([put("a", &n.to_string())])).unwrap();
    }
    drop(store);
    let store = place.open();
    assert_eq!(store.changes(Revision(3)).unwrap(), Changes::Commits(Vec::new()));
    assert_eq!(store.changes(Revision(2)).unwrap(), Changes::Compacted);
    assert_eq!(store.commit(changing([put("a", "")])).unwrap(), Revision(4));
    let Changes::Commits(commits) = store.changes(Revision(3)).unwrap() else { panic!("remembered") };
    assert_eq!(commits.len(), 1);
}

#[test]
fn what_a_crash_leaves_is_opened_whole() {
    let place = Place::new();
    let store = place.create();
    for n in 0..50 {
        store.commit(changing([put(&n.to_string(), "kept")])).unwrap();
    }
    let left = place.directory.path().join("left");
    fs::copy(place.path(), &left).unwrap();
    let opened = RedbStore::open(&left).unwrap();
    assert_eq!(names(&opened), names(&store));
    opened.commit(changing([put("more", "")])).unwrap();
}

/// Commits until there is no room; the names that were taken.
fn fill(store: &RedbStore, value: usize) -> Vec<String> {
    for n in 0..10_000 {
        match store.commit(changing([Change::Put(key(&format!("fill/{n:05}")), vec![7; value])])) {
            Ok(_) => {}
            Err(CommitError::NoSpace) => return (0..n).map(|n| format!("fill/{n:05}")).collect(),
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("it never got full")
}

#[test]
fn a_full_medium_changes_nothing_and_commits_go_on_with_room() {
    let place = Place::new();
    let (store, medium) = place.create_faulty();
    store.commit(changing([put("a", "1")])).unwrap();
    medium.limit(1 << 20);
    let held = store.snapshot().unwrap();
    let taken = fill(&store, 10_000);
    assert!(!taken.is_empty() && medium.len().unwrap() <= 1 << 20);
    let none = store.commit(changing([put("b", "")]));
    assert!(matches!(none, Ok(_) | Err(CommitError::NoSpace)));
    store.commit(changing([delete("b")])).unwrap();
    let full = store.snapshot().unwrap();
    assert_eq!(names(&store), [&[String::from("a")][..], &taken].concat());
    // One that is kept over the reopening reads on; one of an older revision says that it can't, or is still right.
    assert!(matches!(store.commit(changing([Change::Put(key("b"), vec![0; 500_000])])), Err(CommitError::NoSpace)));
    assert_eq!(full.get(b"a").unwrap().unwrap().value, b"1");
    assert_eq!(rows(&*full).len(), taken.len() + 1);
    match held.get(taken[0].as_bytes()) {
        Ok(row) => assert_eq!(row, None),
        Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}"),
    }
    // What is deleted makes room.
    store.commit(changing([delete_range("fill/", "fill0")])).unwrap();
    store.commit(changing([put("c", "3")])).unwrap();
    store.commit(changing([Change::Put(key("b"), vec![0; 100_000])])).unwrap();
    medium.heal();
    store.commit(changing([Change::Put(key("d"), vec![0; 3_000_000])])).unwrap();
    drop(store);
    assert_eq!(names(&place.open()), ["a", "b", "c", "d"]);
}

#[test]
fn rows_can_be_taken_from_a_full_store_one_by_one() {
    let place = Place::new();
    let (store, medium) = place.create_faulty();
    medium.limit(400_000);
    let taken = fill(&store, 1000);
    assert!(taken.len() > 50);
    let mut tried = 0;
    for (n, name) in taken.iter().enumerate() {
        store.commit(changing([delete(name)])).unwrap();
        // What is freed is soon used again, though not what is kept to spare.
        if n == taken.len() / 2 {
            tried = (0..20).filter(|n| store.commit(changing([put(&format!("new/{n}"), "")])).is_ok()).count();
        }
    }
    assert_eq!(tried, 20);
    assert_eq!(names(&store).len(), tried);
    drop(store);
    let store = place.open();
    store.commit(changing([put("a", "")])).unwrap();
}

#[test]
fn one_batch_too_large_for_the_room_does_not_take_the_others_with_it() {
    let place = Place::new();
    let (store, medium) = place.create_faulty();
    medium.limit(1 << 20);
    let (store, medium) = (&store, &medium);
    std::thread::scope(|scope| {
        let small = |n: u32| move || store.commit(changing([put(&n.to_string(), "small")])).map(|_| ());
        let large = || store.commit(changing([Change::Put(key("large"), vec![0; 4 << 20])]));
        let mut racing = Vec::new();
        for n in 0..24 {
            racing.push(scope.spawn(small(n)));
            scope.spawn(move || assert!(matches!(large(), Err(CommitError::NoSpace))));
        }
        for small in racing {
            // A small one after the first that found no room may be refused with it, untried.
            assert!(matches!(small.join().unwrap(), Ok(()) | Err(CommitError::NoSpace)));
        }
    });
    assert_eq!(value(store, "large"), None);
    medium.heal();
    store.commit(changing([put("after", "")])).unwrap();
}

#[test]
fn a_file_system_that_is_full_is_no_space() {
    // Needs a file system of its own: only where one may be mounted.
    use nix::mount::{MsFlags, mount, umount};
    let directory = tempfile::tempdir().unwrap();
    if mount(Some("none"), directory.path(), Some("tmpfs"), MsFlags::empty(), Some("size=2m")).is_err() {
        return;
    }
    let path = directory.path().join("store");
    let outcome = std::panic::catch_unwind(|| {
        let store = RedbStore::create(&path).unwrap();
        store.commit(changing([put("a", "1")])).unwrap();
        let taken = fill(&store, 20_000);
        assert_eq!(names(&store).len(), taken.len() + 1);
        let usage = store.usage().unwrap();
        assert!(usage.total == 2 << 20 && usage.size + usage.free <= usage.total);
        store.commit(changing([delete_range("fill/", "fill0")])).unwrap();
        store.commit(changing([put("b", "2")])).unwrap();
        drop(store);
        assert_eq!(names(&RedbStore::open(&path).unwrap()), ["a", "b"]);
    });
    umount(directory.path()).unwrap();
    outcome.unwrap();
}

type Model = BTreeMap<Key, Vec<u8>>;

fn contents(store: &RedbStore) -> Model {
    rows(&*store.snapshot().unwrap()).into_iter().map(|(key, row)| (key, row.value)).collect()
}

fn random_batch(numbers: &mut Numbers, model: &Model) -> (Batch, Model) {
    let (mut batch, mut after) = (Batch::default(), model.clone());
    for group in 0..1 + numbers.next(4) {
        let name = |n: u64| format!("{group}/{n:02}").into_bytes();
        let n = numbers.next(20);
        match numbers.next(5) {
            0 => {
                let to = n + numbers.next(5);
                after.retain(|key, _| *key < name(n) || *key >= name(to));
                batch.changes.push(Change::DeleteRange(name(n), name(to)));
            }
            1 => {
                after.remove(&name(n));
                batch.changes.push(Change::Delete(name(n)));
            }
            _ => {
                let value = vec![numbers.next(256) as u8; numbers.next(9000) as usize];
                after.insert(name(n), value.clone());
                batch.changes.push(Change::Put(name(n), value));
            }
        }
    }
    (batch, after)
}

#[test]
fn whatever_fails_a_reopened_store_has_all_that_was_answered() {
    // Most of the time is waiting for the next attempt at reopening.
    std::thread::scope(|scope| {
        for first in 0..4 {
            scope.spawn(move || (first..40).step_by(4).for_each(fails_and_comes_back));
        }
    });
}

fn fails_and_comes_back(seed: u64) {
    let errno = if seed.is_multiple_of(3) { libc::ENOSPC } else { libc::EIO };
    let mut numbers = Numbers((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let place = Place::new();
    let (store, medium) = place.create_faulty();
    let mut model = Model::new();
    // Without and with faults in turn, on the one store, healed in between.
    for _ in 0..3 {
        medium.fail_after(numbers.next(150), errno);
        let mut possible = None;
        for _ in 0..40 {
            let (batch, after) = random_batch(&mut numbers, &model);
            match store.commit(batch) {
                Ok(_) => model = after,
                Err(CommitError::Unknown(_)) => {
                    possible = Some(after);
                    break;
                }
                Err(CommitError::NoSpace) => assert_eq!(errno, libc::ENOSPC),
                Err(CommitError::Unavailable(_)) => break,
                Err(error) => panic!("{error:?}"),
            }
        }
        medium.heal();
        // Reopening is tried again after a pause.
        let until = Instant::now() + Duration::from_secs(5);
        let revision = loop {
            match store.commit(Batch::default()) {
                Ok(revision) => break revision,
                Err(error) => assert!(Instant::now() < until, "{error:?}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let now = contents(&store);
        assert!(now == model || Some(&now) == possible.as_ref(), "seed {seed}");
        assert_eq!(store.snapshot().unwrap().revision(), revision);
        model = now;
    }
    medium.fail_after(numbers.next(60), errno);
    let mut possible = model.clone();
    for _ in 0..40 {
        let (batch, after) = random_batch(&mut numbers, &model);
        match store.commit(batch) {
            Ok(_) => (model, possible) = (after.clone(), after),
            Err(CommitError::Unknown(_)) => {
                possible = after;
                break;
            }
            Err(_) => break,
        }
    }
    drop(store);
    let now = contents(&place.open());
    assert!(now == model || now == possible, "seed {seed}");
}

/// A ledger whose digests anyone could make: enough to see that they are compared.
struct PlainLedger(u8);

impl Ledger for PlainLedger {
    fn digest(&self, key: &[u8], revision: Revision, value: &[u8]) -> [u8; 32] {
        let len = (key.len() as u64).to_be_bytes();
        self.mix([&len, key, &revision.0.to_be_bytes(), value].concat())
    }

    fn seal(&self, revision: Revision, sum: &[u8; 32]) -> [u8; 32] {
        self.mix([&revision.0.to_be_bytes()[..], sum].concat())
    }
}

impl PlainLedger {
    fn mix(&self, data: Vec<u8>) -> [u8; 32] {
        let mut state = [u64::from(self.0) + 1; 4];
        for (at, byte) in data.iter().enumerate() {
            let word = &mut state[at % 4];
            *word = (*word ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
            state[(at + 1) % 4] ^= state[at % 4];
        }
        std::array::from_fn(|at| state[at / 8].to_be_bytes()[at % 8])
    }
}

type RawRows<'txn> = redb::Table<'txn, &'static [u8], &'static [u8]>;
type RawAbout<'txn> = redb::Table<'txn, &'static str, &'static [u8]>;

/// Changes the tables behind the store's back.
fn edit(path: &Path, work: impl FnOnce(&mut RawRows<'_>, &mut RawAbout<'_>)) {
    let database = redb::Database::create(path).unwrap();
    let txn = database.begin_write().unwrap();
    {
        let mut rows = txn.open_table(redb::TableDefinition::new("keyfs.rows")).unwrap();
        let mut about = txn.open_table(redb::TableDefinition::new("keyfs.about")).unwrap();
        work(&mut rows, &mut about);
    }
    txn.commit().unwrap();
}

fn raw_row(rows: &RawRows<'_>, name: &str) -> Vec<u8> {
    use redb::ReadableTable;
    rows.get(name.as_bytes()).unwrap().unwrap().value().to_vec()
}

fn raw_about(about: &RawAbout<'_>, name: &str) -> Vec<u8> {
    use redb::ReadableTable;
    about.get(name).unwrap().unwrap().value().to_vec()
}

fn ledger() -> Arc<PlainLedger> {
    Arc::new(PlainLedger(1))
}

/// A store with a ledger and a few rows; each key was written more than once.
fn with_ledger(place: &Place) {
    let store = place.create();
    store.commit(changing([put("before", "the ledger"), put("a", "0")])).unwrap();
    assert_eq!(store.attach_ledger(ledger()).unwrap(), LedgerState::Absent);
    store.start_ledger(ledger()).unwrap();
    for n in 1..=3 {
        store.commit(changing([put("a", &n.to_string()), put("b", &n.to_string()), put("gone", "")])).unwrap();
    }
    store.commit(changing([delete("gone"), put("c", "1"), put("d", "1"), delete_range("c/", "c0")])).unwrap();
    store.commit(changing([delete_range("d", "e"), delete("none")])).unwrap();
}

#[test]
fn a_ledger_is_kept_over_reopening() {
    let place = Place::new();
    with_ledger(&place);
    let store = place.open();
    // Without it, nothing is committed: the sum would be left behind.
    assert!(matches!(store.commit(changing([put("a", "x")])), Err(CommitError::Unavailable(_))));
    assert!(matches!(store.start_ledger(ledger()), Err(LedgerError::Kept)));
    assert_eq!(store.attach_ledger(Arc::new(PlainLedger(2))).unwrap(), LedgerState::Tampered);
    assert_eq!(store.attach_ledger(ledger()).unwrap(), LedgerState::Attached);
    store.commit(changing([put("a", "x")])).unwrap();
    // Another one in its place.
    store.start_ledger(Arc::new(PlainLedger(3))).unwrap();
    store.commit(changing([delete("a")])).unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(store.attach_ledger(ledger()).unwrap(), LedgerState::Tampered);
    assert_eq!(store.attach_ledger(Arc::new(PlainLedger(3))).unwrap(), LedgerState::Attached);
}

#[test]
fn a_ledger_notices_every_edit() {
    type Edit = fn(&mut RawRows<'_>, &mut RawAbout<'_>, &Old);
    struct Old {
        a: Vec<u8>,
        ledger: Vec<u8>,
        revision: Vec<u8>,
    }
    let edits: [(&str, Edit); 9] = [
        ("a row's earlier value", |rows, _, old| drop(rows.insert(b"a".as_slice(), old.a.as_slice()).unwrap())),
        ("a row less", |rows, _, _| drop(rows.remove(b"c".as_slice()).unwrap())),
        ("a row more", |rows, _, old| drop(rows.insert(b"z".as_slice(), old.a.as_slice()).unwrap())),
        ("two rows in each other's place", |rows, _, _| {
            let (a, b) = (raw_row(rows, "a"), raw_row(rows, "c"));
            rows.insert(b"a".as_slice(), b.as_slice()).unwrap();
            rows.insert(b"c".as_slice(), a.as_slice()).unwrap();
        }),
        ("another revision of a row", |rows, _, _| {
            let mut row = raw_row(rows, "b");
            row[7] ^= 1;
            rows.insert(b"b".as_slice(), row.as_slice()).unwrap();
        }),
        ("the ledger's earlier state", |_, about, old| drop(about.insert("ledger", old.ledger.as_slice()).unwrap())),
        ("the revision's and the ledger's", |_, about, old| {
            about.insert("ledger", old.ledger.as_slice()).unwrap();
            about.insert("revision", old.revision.as_slice()).unwrap();
        }),
        ("the revision's alone", |_, about, old| drop(about.insert("revision", old.revision.as_slice()).unwrap())),
        ("no ledger", |_, about, _| drop(about.remove("ledger").unwrap())),
    ];
    for (name, work) in edits {
        let place = Place::new();
        with_ledger(&place);
        let mut old = None;
        edit(&place.path(), |rows, about| {
            old = Some(Old {
                a: raw_row(rows, "a"),
                ledger: raw_about(about, "ledger"),
                revision: raw_about(about, "revision"),
            });
        });
        let store = place.open();
        assert_eq!(store.attach_ledger(ledger()).unwrap(), LedgerState::Attached, "{name}");
        store.commit(changing([put("a", "later")])).unwrap();
        drop(store);
        edit(&place.path(), |rows, about| work(rows, about, old.as_ref().unwrap()));
        let store = place.open();
        let before = rows(&*store.snapshot().unwrap());
        assert_eq!(store.attach_ledger(ledger()).unwrap(), LedgerState::Tampered, "{name}");
        assert!(store.commit(changing([put("a", "x")])).is_err(), "{name}");
        assert_eq!(rows(&*store.snapshot().unwrap()), before);
    }
}

#[test]
fn a_ledger_survives_faults() {
    for seed in 1..=20_u64 {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let place = Place::new();
        let (store, medium) = place.create_faulty();
        store.start_ledger(ledger()).unwrap();
        medium.fail_after(numbers.next(100), libc::ENOSPC);
        let mut model = Model::new();
        for _ in 0..40 {
            let (batch, after) = random_batch(&mut numbers, &model);
            if store.commit(batch).is_ok() {
                model = after;
            }
        }
        drop(store);
        assert_eq!(place.open().attach_ledger(ledger()).unwrap(), LedgerState::Attached);
    }
}

/// Does everything to a store; nothing is expected but that it ends.
fn exercise(path: &Path) -> bool {
    let Ok(store) = RedbStore::open(path) else { return false };
    if let Ok(snapshot) = store.snapshot() {
        let _ = snapshot.scan(b""..&[0xff; 9], ALL);
        let _ = snapshot.get(b"key/0100");
    }
    let _ = store.commit(changing([put("key/0100", "new"), delete_range("key/0200", "key/0300")]));
    let _ = store.commit(changing([Change::Put(key("large"), vec![3; 200_000])]));
    let _ = store.attach_ledger(ledger());
    true
}

fn damaged_sample() -> (Place, Vec<u8>) {
    let place = Place::new();
    let store = place.create();
    for part in 0..10 {
        let put = |n: u32| put(&format!("key/{:04}", part * 100 + n), &"value".repeat(n as usize));
        store.commit(changing((0..100).map(put))).unwrap();
    }
    drop(store);
    let whole = fs::read(place.path()).unwrap();
    (place, whole)
}

#[test]
fn a_damaged_file_is_an_error_at_most() {
    let (place, whole) = damaged_sample();
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    // The header byte by byte, then places all over.
    let places = (0..320).step_by(3).chain((0..200).map(|_| numbers.next(whole.len() as u64) as usize));
    for (n, at) in places.collect::<Vec<_>>().into_iter().enumerate() {
        let mut bytes = whole.clone();
        bytes[at] ^= [0x01, 0x80, 0xff][n % 3];
        fs::write(place.path(), &bytes).unwrap();
        if !exercise(&place.path()) {
            assert_eq!(fs::read(place.path()).unwrap(), bytes, "refused, and yet altered: {at}");
        }
    }
}

#[test]
fn a_file_that_was_cut_short_is_refused_as_it_is() {
    let (place, whole) = damaged_sample();
    for len in [1, 9, 100, 319, 4095, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        fs::write(place.path(), &whole[..len]).unwrap();
        let error = error(RedbStore::open(&place.path()));
        assert!(matches!(error, OpenError::Damaged { .. } | OpenError::NotAStore { .. }), "{len}: {error:?}");
        assert_eq!(fs::read(place.path()).unwrap(), &whole[..len], "{len}");
    }
}

#[test]
fn a_file_that_is_damaged_while_it_is_open_ends_no_thread() {
    let (place, whole) = damaged_sample();
    for kind in 0..3 {
        fs::write(place.path(), &whole).unwrap();
        let store = place.open();
        let snapshot = store.snapshot().unwrap();
        match kind {
            0 => fs::write(place.path(), vec![0xff; whole.len()]).unwrap(),
            1 => fs::write(place.path(), vec![0; whole.len()]).unwrap(),
            _ => fs::write(place.path(), &whole[..4096]).unwrap(),
        }
        for _ in 0..3 {
            let _ = snapshot.scan(b""..&[0xff; 9], ALL);
            let _ = store.commit(changing([put("key/0500", "new")]));
            let _ = store.commit(changing([delete_range("key/", "key0")]));
            let _ = store.snapshot().map(|snapshot| snapshot.get(b"key/0001"));
        }
        drop(store);
    }
}
