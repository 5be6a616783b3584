//! Rows that were changed behind the daemon's back: an error each, or what was there before, never a wrong value.

use super::*;
use crate::store::{Batch, Change, Key, Page, Store};
use std::collections::BTreeMap;

type Rows = BTreeMap<Key, Vec<u8>>;

fn rows(world: &World) -> Rows {
    let page = Page { rows: 10_000, bytes: usize::MAX };
    let rows = world.store.snapshot().unwrap().scan(&b""[..]..&b"\xff"[..], page).unwrap();
    rows.into_iter().map(|(key, row)| (key, row.value)).collect()
}

fn set(world: &World, key: &Key, value: Option<&Vec<u8>>) {
    let change = match value {
        Some(value) => Change::Put(key.clone(), value.clone()),
        None => Change::Delete(key.clone()),
    };
    world.store.commit(Batch { conditions: vec![], changes: vec![change] }).unwrap();
}

/// The values that the two secrets have, as their owner reads them; what can't be read is `None`.
fn seen(world: &World) -> [Option<Vec<u8>>; 2] {
    ["dev/secrets/a", "dev/secrets/b"].map(|path| world.get(&owner(), path).ok())
}

fn owner() -> Who {
    Who::new(1, 10, &[])
}

fn two() -> World {
    let world = World::new();
    world.put(&owner(), "dev/secrets/a", b"value of a").unwrap();
    world.put(&owner(), "dev/secrets/b", b"value of b").unwrap();
    world
}

fn right_or_refused(world: &World, what: &str) {
    let [a, b] = seen(world);
    assert!(a.is_none_or(|value| value == b"value of a"), "{what}");
    assert!(b.is_none_or(|value| value == b"value of b"), "{what}");
    let _ = world.ns.list(world.ns.environment(&name("dev")).unwrap_or(NodeId::ROOT));
    let _ = (world.ns.count(), world.ns.created());
}

#[test]
fn flipped_swapped_and_deleted_rows_show_no_wrong_value() {
    let world = two();
    let before = rows(&world);
    for (key, value) in &before {
        let shown = key.escape_ascii().to_string();
        for place in (0..value.len()).step_by(7).chain([value.len() - 1]) {
            let mut flipped = value.clone();
            flipped[place] ^= 1 << (place % 8);
            set(&world, key, Some(&flipped));
            right_or_refused(&world, &shown);
        }
        for (other, its) in &before {
            if other != key && other.first() == key.first() {
                set(&world, key, Some(its));
                right_or_refused(&world, &shown);
            }
        }
        set(&world, key, None);
        right_or_refused(&world, &shown);
        set(&world, key, Some(&value[..value.len() / 2].to_vec()));
        right_or_refused(&world, &shown);
        set(&world, key, Some(value));
    }
    assert!(seen(&world).iter().all(Option::is_some));
    assert!(world.paper.take().iter().any(|line| line.starts_with("tampered")));
}

/// Puts each single row back to what it was before `change`, and shows the tree to `look`.
fn replay(world: &World, change: impl FnOnce(), mut look: impl FnMut(&str)) {
    let before = rows(world);
    change();
    let after = rows(world);
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).cloned().collect();
    let mut tried = 0;
    for key in keys.iter().filter(|key| before.get(*key) != after.get(*key)) {
        set(world, key, before.get(key));
        look(&key.escape_ascii().to_string());
        set(world, key, after.get(key));
        tried += 1;
    }
    assert!(tried > 1);
}

#[test]
fn one_row_put_back_gives_nobody_what_was_revoked() {
    let world = two();
    let member = Who::new(2, 20, &[10]);
    assert_eq!(world.get(&member, "dev/secrets/a").unwrap(), b"value of a");
    let revoke = || world.chmod(&owner(), "dev/secrets/a", 0o600).unwrap();
    replay(&world, revoke, |row| {
        assert!(world.get(&member, "dev/secrets/a").is_err(), "{row}");
        assert!(world.old(&member, "dev/secrets/a", 1).is_err(), "{row}");
    });
}

#[test]
fn one_row_put_back_gives_no_older_value() {
    let world = two();
    let write = || world.put(&owner(), "dev/secrets/a", b"newer").unwrap();
    replay(&world, write, |row| {
        assert!(
            world.get(&owner(), "dev/secrets/a").is_ok_and(|value| value == b"newer") || row.starts_with(['v', 'n'])
        );
        assert!(world.get(&owner(), "dev/secrets/a").is_err() || !row.starts_with(['v', 'n']), "{row}");
    });
}

#[test]
fn one_row_put_back_gives_no_older_variable() {
    let large = vec![b'l'; row::SMALL + 1];
    let values = [b"s".to_vec(), large.clone(), b"t".to_vec(), large, b"u".to_vec()];
    let path = "dev/variables/v";
    // Small after small, and each way from small to large and back; also a state of more versions ago than are kept.
    for (from, writes) in [(0, 1), (1, 1), (2, 1), (3, 1), (0, 2), (0, 12), (1, 12)] {
        for same in [false, true] {
            let world = World::new();
            let value =
                |number: usize| if same { format!("small {number}").into_bytes() } else { values[number % 5].clone() };
            (0..=from).for_each(|number| world.put(&owner(), path, &value(number)).unwrap());
            let write =
                || (from + 1..=from + writes).for_each(|number| world.put(&owner(), path, &value(number)).unwrap());
            replay(&world, write, |row| {
                match world.get(&owner(), path) {
                    Ok(shown) => assert_eq!(shown, value(from + writes), "{from} {writes} {row}"),
                    Err(error) => assert!(matches!(error, Error::Tampered(_)), "{error}"),
                }
                assert!(world.get(&owner(), path).is_err() || !row.starts_with('n'), "{from} {writes} {row}");
            });
        }
    }
}

#[test]
fn a_small_value_put_back_beside_its_row_is_neither_read_nor_written_on() {
    let (world, path) = (World::new(), "dev/variables/v");
    world.put(&owner(), path, b"first").unwrap();
    let id = world.at(path).unwrap().node;
    let key = row::key::node(id);
    let before = rows(&world).remove(&key).unwrap();
    world.put(&owner(), path, b"second").unwrap();
    set(&world, &key, Some(&before));
    refused!(world.get(&owner(), path), Error::Tampered(_));
    refused!(world.old(&owner(), path, 1), Error::Tampered(_));
    refused!(world.chmod(&owner(), path, 0o600), Error::Tampered(_));
    refused!(world.ns.truncate_closed(&owner(), id, 1), Error::Tampered(_));
    let file = world.ns.open(&owner(), id, APPEND).unwrap();
    world.ns.write(&file, 0, b"more").unwrap();
    refused!(world.close(&owner(), &file), Error::Tampered(_));
    assert!(world.findings().iter().any(|found| found.contains("in one of its own too")));
}

#[test]
fn one_row_put_back_brings_no_entry_back() {
    let world = two();
    let remove = || {
        world.rm(&owner(), "dev/secrets/a").unwrap();
    };
    replay(&world, remove, |row| assert!(world.get(&owner(), "dev/secrets/a").is_err(), "{row}"));
    let world = two();
    let rename = || world.mv(&owner(), "dev/secrets/b", "dev/secrets/a", RenameMode::Replace).unwrap();
    replay(&world, rename, |row| {
        assert!(
            world.get(&owner(), "dev/secrets/a").is_ok_and(|value| value == b"value of b")
                || row.starts_with(['d', 'n'])
        );
        assert!(
            world.get(&owner(), "dev/secrets/a").is_ok_and(|value| value != b"value of a")
                || world.get(&owner(), "dev/secrets/a").is_err()
        );
        assert!(world.get(&owner(), "dev/secrets/b").is_err(), "{row}");
    });
}

#[test]
fn a_store_with_a_changed_first_row_is_not_unlocked() {
    let world = World::new();
    let fingerprint = |text: &str| text.parse().unwrap();
    let wrong: crate::seal::Fingerprint = fingerprint(&"0".repeat(32));
    let refusal = unlock(world.store.clone(), identities(), &wrong).unwrap_err();
    assert!(matches!(refusal, SetupError::Seal(crate::seal::SealError::WrongFingerprint)), "{refusal}");
    // A slot for the same identity with another key, as anybody can make one.
    let other = NewStore::draw(identities()).unwrap();
    let slot = other.key.to_slot(&identities().recipients()).unwrap();
    let mut value = row::encode_bytes(&slot);
    other.seal.authenticate(&row::key::slot(0), &mut value);
    let before = rows(&world);
    set(&world, &row::key::slot(0), Some(&value));
    assert!(unlock(world.store.clone(), identities(), &wrong).is_err());
    set(&world, &row::key::slot(0), before.get(&row::key::slot(0)));

    let store_key = {
        let content = before[&row::key::slot(0)].split_last_chunk::<16>().unwrap().0;
        let slot = row::decode_bytes(content).unwrap();
        crate::seal::StoreKey::from_slots(std::iter::once(slot), identities()).unwrap()
    };
    let right = store_key.fingerprint(world.seal.store());
    unlock(world.store.clone(), identities(), &right).unwrap();
    for (key, value) in before.iter().filter(|(key, _)| key.starts_with(b"meta/")) {
        for place in 0..value.len() {
            let mut flipped = value.clone();
            flipped[place] ^= 0x10;
            set(&world, key, Some(&flipped));
            assert!(unlock(world.store.clone(), identities(), &right).is_err(), "{} {place}", key.escape_ascii());
        }
        set(&world, key, None);
        assert!(unlock(world.store.clone(), identities(), &right).is_err());
        set(&world, key, Some(value));
    }
    unlock(world.store.clone(), identities(), &right).unwrap();
}
