//! Whatever fails, a store that is opened again has all that was answered.

use super::*;

pub(crate) type Model = BTreeMap<Key, Vec<u8>>;

fn contents(store: &RedbStore) -> Model {
    rows(&*store.snapshot().unwrap()).into_iter().map(|(key, row)| (key, row.value)).collect()
}

pub(crate) fn random_batch(numbers: &mut Numbers, model: &Model) -> (Batch, Model) {
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
