//! The ledger notices every change that was made behind the store's back.

use super::faults::{Model, random_batch};
use super::*;

/// A ledger whose digests anyone could make: enough to see that they are compared.
pub(crate) struct PlainLedger(u8);

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

pub(crate) type RawRows<'txn> = redb::Table<'txn, &'static [u8], &'static [u8]>;
pub(crate) type RawAbout<'txn> = redb::Table<'txn, &'static str, &'static [u8]>;

/// Changes the tables behind the store's back.
pub(crate) fn edit(path: &Path, work: impl FnOnce(&mut RawRows<'_>, &mut RawAbout<'_>)) {
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

pub(crate) fn ledger() -> Arc<PlainLedger> {
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

/// Its bytes, and those of the file as a crash would leave it: while the store is open.
fn closed_and_crashed() -> (Place, Vec<u8>, Vec<u8>) {
    let place = Place::new();
    with_ledger(&place);
    let store = place.open();
    assert_eq!(store.attach_ledger(ledger()).unwrap(), LedgerState::Attached);
    store.commit(changing([put("e", "5")])).unwrap();
    let crashed = fs::read(place.path()).unwrap();
    drop(store);
    let closed = fs::read(place.path()).unwrap();
    (place, closed, crashed)
}

#[test]
fn what_is_tried_out_changes_nothing_until_it_is_kept() {
    let (place, closed, crashed) = closed_and_crashed();
    for bytes in [closed, crashed] {
        fs::write(place.path(), &bytes).unwrap();
        let mut tried = RedbStore::try_out(&place.path()).unwrap();
        let store = tried.store();
        assert_eq!(value(&*store, "e").as_deref(), Some("5"));
        assert_eq!(store.attach_ledger(ledger()).unwrap(), LedgerState::Attached);
        assert!(matches!(store.commit(changing([put("a", "x")])), Err(CommitError::Unavailable(_))));
        assert!(matches!(error(RedbStore::open(&place.path())), OpenError::InUse { .. }));
        tried.check().unwrap();
        drop((tried, store));
        assert_eq!(fs::read(place.path()).unwrap(), bytes);
        // The ledger that was compared stays attached.
        let tried = RedbStore::try_out(&place.path()).unwrap();
        assert_eq!(tried.store().attach_ledger(ledger()).unwrap(), LedgerState::Attached);
        let store = tried.keep().unwrap();
        store.commit(changing([put("a", "x")])).unwrap();
        drop(store);
        assert_eq!(place.open().attach_ledger(ledger()).unwrap(), LedgerState::Attached);
        // One that was not is not.
        let tried = RedbStore::try_out(&place.path()).unwrap();
        assert_eq!(tried.store().attach_ledger(Arc::new(PlainLedger(2))).unwrap(), LedgerState::Tampered);
        assert!(tried.keep().unwrap().commit(changing([put("a", "x")])).is_err());
    }
}

#[test]
fn what_is_not_whole_is_not_kept_whatever_it_showed() {
    let (place, closed, _) = closed_and_crashed();
    // Two bytes of a row's value, wherever copies of it stand.
    let at: Vec<_> = closed.windows(6).enumerate().filter(|(_, six)| six == b"ledger").map(|(at, _)| at).collect();
    assert!(!at.is_empty());
    let mut damaged = closed.clone();
    at.iter().for_each(|at| damaged[*at] ^= 1);
    fs::write(place.path(), &damaged).unwrap();
    if let Ok(mut tried) = RedbStore::try_out(&place.path()) {
        let _ = tried.store().attach_ledger(ledger());
        assert!(matches!(tried.check(), Err(OpenError::Damaged { .. })));
        assert!(matches!(tried.check(), Err(OpenError::Damaged { .. })));
        assert!(matches!(error(tried.keep()), OpenError::Damaged { .. }));
    }
    assert_eq!(fs::read(place.path()).unwrap(), damaged);
}

#[test]
fn a_sum_of_many_rows_counts_each_once() {
    let place = Place::new();
    let store = place.create();
    store.start_ledger(ledger()).unwrap();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for round in 0..12 {
        let large = |n: u64| if n.is_multiple_of(97) { 300_000 } else { n as usize % 90 };
        let put = |n: u64| Change::Put(n.to_be_bytes().to_vec(), vec![round; large(n)]);
        let names: std::collections::BTreeSet<u64> = (0..700).map(|_| numbers.next(1 << 40)).collect();
        store.commit(changing(names.into_iter().map(put))).unwrap();
    }
    drop(store);
    for _ in 0..20 {
        assert_eq!(place.open().attach_ledger(ledger()).unwrap(), LedgerState::Attached);
    }
}
