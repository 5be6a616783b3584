//! What the store in a file owes beside the contract: whose the file is, what is refused, and what a full medium changes.

use super::ledger::edit;
use super::*;

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
        Err(error) => assert!(matches!(error, StoreError::Superseded), "{error:?}"),
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
fn what_is_freed_on_a_full_medium_is_used_again() {
    let place = Place::new();
    let (store, medium) = place.create_faulty();
    medium.limit(4 << 20);
    let mut counts = Vec::new();
    for _ in 0..4 {
        let taken = fill(&store, 10_000);
        // Some of these are written beyond the end that the file had, where there are few blocks.
        let (first, others) = taken.split_at(taken.len() / 2);
        let replaced =
            |name: &String| changing([delete(name), Change::Put(key(&format!("{name} again")), vec![7; 30_000])]);
        others.iter().for_each(|name| drop(store.commit(replaced(name))));
        for name in first {
            store.commit(changing([delete(name)])).unwrap();
        }
        fill(&store, 10_000);
        let bytes: usize = rows(&*store.snapshot().unwrap()).iter().map(|(_, row)| row.value.len()).sum();
        counts.push((taken.len(), bytes));
        store.commit(changing([delete_range("fill/", "fill0")])).unwrap();
    }
    assert!(counts.iter().all(|(_, bytes)| *bytes >= 1 << 20), "{counts:?}");
}

#[test]
fn rows_that_are_replaced_by_large_ones_do_not_use_what_is_kept_for_removals() {
    let place = Place::new();
    let (store, medium) = place.create_faulty();
    medium.limit(1 << 20);
    let taken = fill(&store, 10_000);
    let replaced = |bytes: usize| changing([delete(&taken[0]), Change::Put(key("large"), vec![0; bytes])]);
    assert!(matches!(store.commit(replaced(500_000)), Err(CommitError::NoSpace)));
    assert!(medium.len().unwrap() <= 1 << 20, "{} bytes", medium.len().unwrap());
    store.commit(replaced(100)).unwrap();
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
fn who_reads_while_others_find_no_room_reads_on() {
    let place = Place::new();
    let (store, medium) = place.create_faulty();
    // So many rows that reading all of them takes longer than to be refused.
    let rows_there = 2000;
    store.commit(changing((0..rows_there).map(|n| put(&format!("row {n}"), &"v".repeat(200))))).unwrap();
    medium.limit(1 << 20);
    let refused = std::sync::atomic::AtomicU32::new(0);
    let (store, refused) = (&store, &refused);
    let count = || refused.load(std::sync::atomic::Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Each has the database closed and opened again.
            for _ in 0..60 {
                let large = store.commit(changing([Change::Put(key("large"), vec![0; 4 << 20])]));
                assert!(matches!(large, Err(CommitError::NoSpace)), "{large:?}");
                refused.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        });
        for _ in 0..4 {
            scope.spawn(move || {
                while count() < 60 {
                    // The store goes no further, so that a snapshot is never too old.
                    assert_eq!(rows(&*store.snapshot().unwrap()).len(), rows_there);
                }
            });
        }
    });
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
