//! Records, key slots and row tags: what was changed in any way does not open, and what was not does.
//!
//! The first byte chooses: an input as it is, or changes of a genuine record, which alone gets behind the header's MAC.

use std::sync::OnceLock;

use keyfs::access::gate::{self, Grant};
use keyfs::access::{Caller, Mode, Permissions};
use keyfs::id::{Gid, NodeId, StoreId, Uid, Version};
use keyfs::seal::identity::Identities;
use keyfs::seal::{Binding, Seal, SealError, StoreKey};

use super::input::Input;

const NODE: NodeId = NodeId(7);
const ROW: &[u8] = b"n/\0\0\0\0\0\0\0\x07";

struct World {
    identities: Identities,
    seal: Seal,
    binding: Binding,
    value: Vec<u8>,
    record: Vec<u8>,
    /// The record without the stanza that takes the store's key, as anybody can make it for the public recipients.
    slot: Vec<u8>,
    row: Vec<u8>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let identities = Identities::create(&directory.path().join("identity")).expect("an identity");
        let key = StoreKey::generate().expect("a key");
        let seal = Seal::new(StoreId([1; 16]), &key, identities.recipients()).expect("keys");
        let binding = Binding::new(NODE, Version(3), &permissions());
        let value = b"a value of more than one block of any cipher, and not of a whole number of them".to_vec();
        let record = seal.seal(&binding, &value).expect("a record");
        let slot = key.to_slot(&identities.recipients()).expect("a slot");
        let mut row = b"what a row holds".to_vec();
        seal.authenticate(ROW, &mut row);
        World { identities, seal, binding, value, record, slot, row }
    })
}

fn permissions() -> Permissions {
    Permissions::new(Uid(7), Gid(8), Mode::from_bits(0o640))
}

fn grant() -> Grant {
    let caller = Caller { uid: Uid(9), gid: Gid(8), supplementary: Some(&[]) };
    gate::read(&permissions(), &caller, NODE).expect("the owning group reads")
}

/// See the module.
pub fn run(input: &[u8]) {
    let world = world();
    let mut choices = Input(input);
    let Some(choice) = choices.byte() else { return };
    match choice % 4 {
        0 => {
            opens(choices.0, None);
            unlocks(choices.0, false);
        }
        1 => {
            let record = changed(&world.record, &mut choices);
            opens(&record, (record == world.record).then_some(&world.value));
        }
        2 => {
            let slot = changed(&world.slot, &mut choices);
            opens(&slot, None);
            unlocks(&slot, slot == world.slot);
        }
        _ => {
            let mut row = changed(&world.row, &mut choices);
            let genuine = row == world.row;
            assert_eq!(world.seal.verify(ROW, &mut row).is_ok(), genuine);
            let mut elsewhere = world.row.clone();
            assert!(world.seal.verify(choices.0, &mut elsewhere).is_err() || choices.0 == ROW);
        }
    }
}

/// That a record shows this, or nothing.
fn opens(record: &[u8], value: Option<&Vec<u8>>) {
    let world = world();
    match world.seal.open(grant(), &world.binding, record) {
        Ok(opened) => assert_eq!(Some(opened.value()), value.map(Vec::as_slice)),
        Err(SealError::Tampered(_)) => assert!(value.is_none(), "a genuine record opens"),
        Err(error) => panic!("{error}"),
    }
    let elsewhere = Binding::new(NODE, Version(4), &permissions());
    assert!(world.seal.open(grant(), &elsewhere, record).is_err(), "a record of another version");
}

fn unlocks(slot: &[u8], genuine: bool) {
    match StoreKey::from_slots(std::iter::once(slot), &world().identities) {
        Ok(_) => assert!(genuine),
        Err(SealError::WrongIdentity) => assert!(!genuine),
        Err(error) => panic!("{error}"),
    }
}

/// A copy in which some bytes are changed, put in, taken out, cut off or doubled.
fn changed(whole: &[u8], choices: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..8 {
        let (Some(how), Some(at)) = (choices.byte(), choices.word()) else { break };
        let at = at as usize % (bytes.len() + 1);
        match (how % 6, bytes.get_mut(at)) {
            (0, Some(byte)) => *byte ^= how | 1,
            (1, Some(_)) => drop(bytes.remove(at)),
            (2, _) => bytes.truncate(at),
            (3, _) => bytes.splice(at..at, choices.piece().unwrap_or_default().iter().copied()).for_each(drop),
            (4, Some(_)) => bytes.extend_from_within(at..),
            (5, Some(_)) => bytes.rotate_left(at),
            _ => {}
        }
    }
    bytes
}
