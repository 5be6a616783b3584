//! The payload keys of records that were opened before: to read a header, and to derive its keys, takes most of the time that a
//! short secret takes.
//!
//! Invariants:
//! - A key is given out only for the very header that it came out of, byte for byte, which was authenticated then.
//! - Keys are in locked memory, and of a number that does not grow.
//!
//! It deliberately keeps nothing of a payload: each reading decrypts it anew, under a grant of its own.

use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use super::memory::SecretBytes;
use super::record::Payload;
use super::{KEY_BYTES, SealError};
use crate::id::{NodeId, Version};

/// How many keys are kept at the most: 32 KiB of locked memory, and of headers about 0.5 MB.
pub(super) const KEPT: usize = 1024;

/// A record of a version of a node.
type Place = (NodeId, Version);

/// See the module.
pub(super) struct PayloadKeys(Mutex<Table>);

struct Table {
    /// One for each slot.
    keys: SecretBytes,
    slots: Vec<Option<Slot>>,
}

struct Slot {
    place: Place,
    /// The age file up to its payload.
    header: Vec<u8>,
}

/// Which slot a record has. Node ids are random; of two that share one, the later takes it.
fn index((node, version): Place) -> usize {
    (node.0.wrapping_add(version.0) % KEPT as u64) as usize
}

fn key(slot: usize) -> std::ops::Range<usize> {
    slot * KEY_BYTES..(slot + 1) * KEY_BYTES
}

impl PayloadKeys {
    pub(super) fn new() -> Result<PayloadKeys, SealError> {
        let keys = SecretBytes::zeroed(KEPT * KEY_BYTES)?;
        Ok(PayloadKeys(Mutex::new(Table { keys, slots: (0..KEPT).map(|_| None).collect() })))
    }

    /// The key for a record, if the record has the header that it was kept for.
    pub(super) fn get(&self, place: Place, record: &[u8]) -> Option<Payload> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = index(place);
        let kept = table.slots.get(slot)?.as_ref()?;
        if kept.place != place || !record.starts_with(&kept.header) {
            return None;
        }
        let key = Zeroizing::new(table.keys.get(key(slot))?.try_into().ok()?);
        Some(Payload { start: kept.header.len(), key })
    }

    /// Keeps the key of a record that was opened.
    pub(super) fn keep(&self, place: Place, record: &[u8], payload: &Payload) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = index(place);
        let Table { keys, slots } = &mut *table;
        if let (Some(kept), Some(place_of_key), Some(header)) =
            (slots.get_mut(slot), keys.get_mut(key(slot)), record.get(..payload.start))
        {
            place_of_key.copy_from_slice(payload.key.as_slice());
            *kept = Some(Slot { place, header: header.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(number: u64, start: usize) -> Payload {
        Payload { start, key: Zeroizing::new([number as u8 ^ (number >> 8) as u8; KEY_BYTES]) }
    }

    #[test]
    fn each_record_has_its_own_key_until_another_takes_its_slot() {
        let keys = PayloadKeys::new().unwrap();
        let record = |number: u64| format!("header {number:05}, payload").into_bytes();
        let place = |number: u64| (NodeId(77_777), Version(number));
        let header = "header 00000".len();
        let all = 0..KEPT as u64;
        all.clone().for_each(|number| keys.keep(place(number), &record(number), &payload(number, header)));
        for number in all {
            let found = keys.get(place(number), &record(number)).unwrap();
            assert_eq!((found.start, found.key), (header, payload(number, header).key), "{number}");
            // Another's record in its place, and its own in another's.
            assert!(keys.get(place(number), &record(number + 1)).is_none());
            assert!(keys.get(place(number + KEPT as u64), &record(number)).is_none());
            assert!(keys.get((NodeId(77_778), Version(number)), &record(number)).is_none());
        }
        keys.keep(place(KEPT as u64), &record(0), &payload(9, header));
        assert!(keys.get(place(0), &record(0)).is_none(), "its slot is another's now");
        assert_eq!(keys.get(place(KEPT as u64), &record(0)).unwrap().key, payload(9, header).key);
    }
}
