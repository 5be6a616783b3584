//! The format of records against an implementation of its own, what does not open, and what memory holds afterwards.

use std::io::Write;

use age::secrecy::ExposeSecret;
use chacha20poly1305::aead::rand_core::RngCore;

use super::*;
use crate::access::{Caller, Mode, gate};
use crate::id::{Gid, Uid};

const CANARY: &[u8] = b"canary-3f1c";
const NODE: NodeId = NodeId(0x1234_5678);

fn permissions() -> Permissions {
    Permissions::new(Uid(1), Gid(10), Mode::from_bits(0o640))
}

fn binding() -> Binding {
    Binding::new(NODE, Version(3), &permissions())
}

fn grant(node: NodeId) -> Grant {
    let groups = [Gid(10)];
    let caller = Caller { uid: Uid(7), gid: Gid(70), supplementary: Some(&groups) };
    gate::read(&permissions(), &caller, node).unwrap()
}

/// A store key of fixed bytes, and a store of a fixed id.
fn fixed_key() -> StoreKey {
    StoreKey(SecretBytes::copy_of(&[0x42; 32]).unwrap())
}

const STORE: StoreId = StoreId([7; 16]);

fn seal() -> (Seal, age::x25519::Identity) {
    let identity = age::x25519::Identity::generate();
    (Seal::new(STORE, &fixed_key(), vec![identity.to_public()]).unwrap(), identity)
}

fn open(seal: &Seal, record: &[u8]) -> Result<Vec<u8>, SealError> {
    seal.open(grant(NODE), &binding(), record).map(|opened| opened.value().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn values_of_every_length_come_back() {
    let (seal, identity) = seal();
    // The line stands in the first chunk too, so lengths around it are met as well.
    let line = binding().line(STORE).len();
    let chunk = 64 << 10;
    for length in
        [0, 1, chunk - line - 1, chunk - line, chunk - line + 1, chunk - 1, chunk, chunk + 1, 2 * chunk - line, 1 << 20]
    {
        let mut value = vec![0; length];
        chacha20poly1305::aead::OsRng.fill_bytes(&mut value);
        let record = seal.seal(&binding(), &value).unwrap();
        let opened = seal.open(grant(NODE), &binding(), &record).unwrap();
        assert_eq!(opened.value(), value);
        assert_eq!(&opened.into_value()[..], value);
        // age alone, by the store's own identity.
        let plaintext = age::decrypt(&identity, &record).unwrap();
        assert_eq!(plaintext, [binding().line(STORE).as_bytes(), &value].concat());
    }
}

#[test]
fn the_age_command_opens_a_record() {
    let (seal, identity) = seal();
    let directory = tempfile::tempdir().unwrap();
    let (key, record) = (directory.path().join("identity"), directory.path().join("record"));
    std::fs::write(&key, identity.to_string().expose_secret()).unwrap();
    std::fs::write(&record, seal.seal(&binding(), CANARY).unwrap()).unwrap();
    let run = std::process::Command::new("age").args(["-d", "-i"]).args([&key, &record]).output();
    let output = match run {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return println!("age is not installed: not tried");
        }
        run => run.unwrap(),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let wanted = format!("keyfs/1 {STORE} {NODE} 3 {}\n", Fingerprint(binding().permissions));
    assert_eq!(output.stdout, [wanted.as_bytes(), CANARY].concat());
}

/// An age file of the same plaintext to these recipients, as anybody can make one with the age crate.
fn by_hand(recipients: &[&dyn age::Recipient]) -> Vec<u8> {
    let encryptor = age::Encryptor::with_recipients(recipients.iter().copied()).unwrap();
    let mut record = Vec::new();
    let mut writer = encryptor.wrap_output(&mut record).unwrap();
    writer.write_all(binding().line(STORE).as_bytes()).unwrap();
    writer.write_all(CANARY).unwrap();
    writer.finish().unwrap();
    record
}

#[test]
fn only_our_stanza_first_and_once_opens() {
    let (seal, identity) = seal();
    let public = identity.to_public();
    assert_eq!(open(&seal, &by_hand(&[&*seal.stanza, &public])).unwrap(), CANARY);
    assert_eq!(open(&seal, &by_hand(&[&*seal.stanza])).unwrap(), CANARY);
    assert!(open(&seal, &by_hand(&[&public])).is_err(), "anybody has the public key");
    assert!(open(&seal, &by_hand(&[&public, &*seal.stanza])).is_err());
    assert!(open(&seal, &by_hand(&[&*seal.stanza, &*seal.stanza])).is_err());
    assert!(open(&seal, &by_hand(&[&*seal.stanza, &public, &*seal.stanza])).is_err());
    let other = record::LocalKey::new(SecretBytes::copy_of(&[9; 32]).unwrap());
    assert!(open(&seal, &by_hand(&[&other, &public])).is_err());
    assert!(open(&seal, &by_hand(&[&other, &*seal.stanza])).is_err());
    assert!(open(&seal, b"").is_err());
    assert!(open(&seal, b"age-encryption.org/v1\n").is_err());
}

#[test]
fn no_changed_record_opens() {
    let (seal, _) = seal();
    for (value, known) in [(CANARY, false), (CANARY, true), (b"", false), (b"", true)] {
        let record = seal.seal(&binding(), value).unwrap();
        // Its key is at hand from then on.
        if known {
            open(&seal, &record).unwrap();
        }
        for place in 0..record.len() {
            for bit in 0..8 {
                let mut changed = record.clone();
                changed[place] ^= 1 << bit;
                assert!(open(&seal, &changed).is_err(), "byte {place}, bit {bit}");
            }
        }
        for length in 0..record.len() {
            assert!(open(&seal, &record[..length]).is_err(), "cut to {length}");
        }
        assert!(open(&seal, &[&record[..], b"x"].concat()).is_err());
        assert!(open(&seal, &[&record[..], &record[..]].concat()).is_err());
    }
    // Chunks can't be left out or put in another order.
    let chunk = (64 << 10) + 16;
    let record = seal.seal(&binding(), &vec![1; 256 << 10]).unwrap();
    open(&seal, &record).unwrap();
    let start = record.len() - (record.len() - 300) / chunk * chunk;
    for cut in [record.len() - chunk, record.len() - 2 * chunk] {
        assert!(open(&seal, &record[..cut]).is_err());
    }
    let mut swapped = record.clone();
    let (front, back) = swapped[start..].split_at_mut(chunk);
    front[..chunk].swap_with_slice(&mut back[..chunk]);
    assert!(open(&seal, &swapped).is_err());
}

#[test]
fn a_key_that_is_at_hand_opens_its_own_record_alone() {
    let (seal, _) = seal();
    let [one, other] = [CANARY, b"another"].map(|value| seal.seal(&binding(), value).unwrap());
    for _ in 0..2 {
        assert_eq!(open(&seal, &one).unwrap(), CANARY);
        assert_eq!(open(&seal, &one).unwrap(), CANARY);
        assert_eq!(open(&seal, &other).unwrap(), b"another");
    }
    // The header of one with the payload of the other.
    let start = |record: &[u8]| record.len() - (binding().line(STORE).len() + 16);
    let (header, payload) = (&one[..start(&one) - CANARY.len()], &other[start(&other) - b"another".len()..]);
    assert!(open(&seal, &[header, payload].concat()).is_err());
    // Places that share a slot.
    let slots = keys::KEPT as u64;
    for version in [3, 3 + slots, 3 + 2 * slots, 3] {
        let binding = Binding::new(NODE, Version(version), &permissions());
        let value = version.to_string();
        let record = seal.seal(&binding, value.as_bytes()).unwrap();
        for _ in 0..2 {
            assert_eq!(seal.open(grant(NODE), &binding, &record).unwrap().value(), value.as_bytes());
        }
        assert!(open(&seal, &record).is_err() || version == 3);
    }
    assert_eq!(open(&seal, &one).unwrap(), CANARY);
}

#[test]
fn a_record_opens_for_its_own_place_alone() {
    let (seal, _) = seal();
    let record = seal.seal(&binding(), CANARY).unwrap();
    let wider = Permissions { mode: Mode::from_bits(0o660), ..permissions() };
    for (node, version, permissions) in
        [(NodeId(9), Version(3), permissions()), (NODE, Version(4), permissions()), (NODE, Version(3), wider)]
    {
        let other = Binding::new(node, version, &permissions);
        assert!(matches!(seal.open(grant(node), &other, &record), Err(SealError::Tampered(_))));
    }
    assert!(matches!(seal.open(grant(NodeId(9)), &binding(), &record), Err(SealError::Tampered(_))));
    let elsewhere = Seal::new(StoreId([8; 16]), &fixed_key(), vec![]).unwrap();
    assert!(open(&elsewhere, &record).is_err());
    let rekeyed = Seal::new(STORE, &StoreKey::generate().unwrap(), vec![]).unwrap();
    assert!(open(&rekeyed, &record).is_err());
    // A binding whose line begins another's is another.
    let longer = Binding { version: Version(31), ..binding() };
    let short = Binding { version: Version(3), ..binding() };
    assert!(seal.open(grant(NODE), &short, &seal.seal(&longer, CANARY).unwrap()).is_err());
}

#[test]
fn a_row_carries_its_own_tag() {
    let (seal, _) = seal();
    let (key, content) = (b"n/key".as_slice(), b"content");
    let mut row = content.to_vec();
    seal.authenticate(key, &mut row);
    assert_eq!(row.len(), content.len() + TAG_BYTES);
    let verify = |key: &[u8], row: &[u8]| {
        let mut row = row.to_vec();
        seal.verify(key, &mut row).map(|()| row)
    };
    assert_eq!(verify(key, &row).unwrap(), content);
    for place in 0..row.len() {
        for bit in 0..8 {
            let mut changed = row.clone();
            changed[place] ^= 1 << bit;
            assert!(verify(key, &changed).is_err());
        }
    }
    (0..row.len()).for_each(|length| assert!(verify(key, &row[..length]).is_err()));
    assert!(verify(b"n/other", &row).is_err());
    // Where the key ends and the value begins is part of it.
    assert!(verify(b"n/keyc", &row[1..]).is_err());
    let mut empty = Vec::new();
    seal.authenticate(key, &mut empty);
    assert_eq!(verify(key, &empty).unwrap(), b"");
}

#[test]
fn rows_of_every_length_are_authenticated_to_their_end() {
    let (seal, _) = seal();
    let key = b"v/key".as_slice();
    // Around the length up to which a row is hashed in one go, too.
    for length in (0..64).chain(960..1100).chain([5000]) {
        let content: Vec<u8> = (0..length).map(|place| place as u8).collect();
        let mut row = content.clone();
        seal.authenticate(key, &mut row);
        // As docs/format.md has it.
        let mut plain = blake3::Hasher::new_keyed(seal.tag_key[..].try_into().unwrap());
        for part in [key, &content] {
            plain.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        assert_eq!(row[length..], plain.finalize().as_bytes()[..TAG_BYTES], "{length} bytes");
        for place in length.saturating_sub(70)..length {
            let mut changed = row.clone();
            changed[place] ^= 1;
            assert!(seal.verify(key, &mut changed).is_err(), "byte {place} of {length}");
        }
        let ledger: &dyn Ledger = &seal;
        let revision = Revision(7);
        assert_eq!(ledger.digester()(key, revision, &content), ledger.digest(key, revision, &content));
    }
}

#[test]
fn slots_open_for_their_identities() {
    let directory = tempfile::tempdir().unwrap();
    let one = Identities::create(&directory.path().join("one")).unwrap();
    let other = Identities::create(&directory.path().join("other")).unwrap();
    let key = StoreKey::generate().unwrap();
    let slot = key.to_slot(&one.recipients()).unwrap();
    let opened = StoreKey::from_slots([b"junk".as_slice(), &slot].into_iter(), &one).unwrap();
    assert_eq!(opened.fingerprint(STORE), key.fingerprint(STORE));
    assert_ne!(key.fingerprint(StoreId([8; 16])), key.fingerprint(STORE));
    let refused =
        |slots: &[&[u8]], identities: &Identities| StoreKey::from_slots(slots.iter().copied(), identities).unwrap_err();
    assert!(matches!(refused(&[&slot], &other), SealError::WrongIdentity));
    assert!(matches!(refused(&[], &one), SealError::WrongIdentity));
    // A slot that holds something else than a key.
    let recipient = &one.recipients()[0];
    let odd = record::encrypt(&[recipient], &[&[1; 31]]).unwrap();
    assert!(matches!(refused(&[&odd], &one), SealError::WrongIdentity));
    let both = key.to_slot(&[one.recipients(), other.recipients()].concat()).unwrap();
    assert_eq!(
        StoreKey::from_slots([&both[..]].into_iter(), &other).unwrap().fingerprint(STORE),
        key.fingerprint(STORE)
    );
}

#[test]
fn nothing_shows_a_secret() {
    let (seal, identity) = seal();
    let key = StoreKey(SecretBytes::copy_of(&[CANARY, CANARY, CANARY].concat()[..32]).unwrap());
    let opened = seal.open(grant(NODE), &binding(), &seal.seal(&binding(), CANARY).unwrap()).unwrap();
    let texts = [
        format!("{key:?}"),
        format!("{seal:?}"),
        format!("{opened:?}"),
        format!("{:?}", opened.into_value()),
        format!("{:?}", grant(NODE)),
        format!("{:?}", binding()),
        format!("{:?} {}", SealError::WrongIdentity, SealError::WrongFingerprint),
    ];
    let bytes = format!("{:?}", &CANARY[..4]);
    for text in &texts {
        assert!(
            !text.contains("canary") && !text.contains(&bytes[1..bytes.len() - 1]) && !text.contains(&hex(b"can")),
            "{text}"
        );
        assert!(!text.contains("AGE-SECRET") && !text.contains(identity.to_string().expose_secret()), "{text}");
        assert!(!text.contains(&hex(&[0x42; 4])) && !text.contains("66, 66, 66"), "{text}");
    }
}

/// These values are part of the format: a store that was written with others can't be read.
#[test]
fn derived_values_are_what_they_always_were() {
    let (seal, _) = seal();
    assert_eq!(fixed_key().fingerprint(STORE).to_string(), "3694a498aa4b9a8b555cdf594209cb01");
    assert_eq!(hex(&seal.tag(b"n/key", b"content")), "8091089ab1a8d1f62d8f3a068d8ebdf3");
    assert_eq!(
        hex(&Ledger::digest(&seal, b"n/key", Revision(5), b"content")),
        "312492928ebd2c502104e8231e1dc0fc142494f00e935497546d2f1cd0882343"
    );
    assert_eq!(
        hex(&Ledger::seal(&seal, Revision(5), &[1; 32])),
        "e79a2ea0edba1eba37fe7d7044e0f432126d7058ba4e1e656b2834728fc720c0"
    );
    assert_eq!(
        binding().line(STORE),
        "keyfs/1 07070707070707070707070707070707 0000000012345678 3 0abbf2d42fb112cc0ca49a56cfebacd7\n"
    );
    // A stanza of that time still opens.
    let args = vec!["000102030405060708090a0b0c0d0e0f".to_owned()];
    let file_key = age_core::format::FileKey::init_with_mut(|key| key.copy_from_slice(&[5; 16]));
    let mut body = [0; 32];
    decode_hex("c893c2c606e2f8cc9a888d128e197c44f084adbb0258f09c441e2a70e86360fb", &mut body).unwrap();
    let stanza = age_core::format::Stanza { tag: "keyfs.local/1".into(), args, body: body.to_vec() };
    let unwrapped = age::Identity::unwrap_stanza(&*seal.stanza, &stanza).unwrap().unwrap();
    assert_eq!(unwrapped.expose_secret(), file_key.expose_secret());
}

/// A whole record of that time still opens.
#[test]
fn a_record_of_the_first_release_opens() {
    let (seal, _) = seal();
    assert_eq!(open(&seal, include_bytes!("tests/record.age")).unwrap(), CANARY);
}

#[test]
fn fingerprints_are_text() {
    let text = "00112233445566778899aabbccddeeff";
    assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), text);
    for wrong in [
        "",
        "0",
        &text[1..],
        &format!("{text}0"),
        &text.to_uppercase(),
        &text.replace('0', "g"),
        "é0112233445566778899aabbccddeef",
    ] {
        assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
    }
}
