//! A damaged file is an error at most.

use super::ledger::ledger;
use super::*;

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
