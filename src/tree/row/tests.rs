//! Every row form comes back as it was, and what was cut or changed is an error.

use std::collections::BTreeMap;

use super::*;
use crate::access::acl::Acl;
use crate::access::{Mode, Rights};
use crate::id::Version;
use crate::key::{Name, Tree};

fn permissions() -> Permissions {
    let mut permissions = Permissions::new(Uid(1), Gid(2), Mode::from_bits(0o640));
    let groups = vec![(Gid(3), Rights::READ)];
    permissions
        .set_access_acl(Acl::new(Rights::ALL, vec![], Rights::NONE, groups, Some(Rights::READ), Rights::NONE).unwrap());
    permissions
}

fn file() -> Node {
    Node {
        kind: Kind::File,
        place: Place::In(Tree::Secrets, NodeId(0x10)),
        parent: NodeId(0x11),
        name: Name::parse(b"pw").ok(),
        removed: false,
        permissions: Permissions::new(Uid(1), Gid(2), Mode::from_bits(0o640)),
        accessed: Timestamp(1),
        modified: Timestamp(2),
        changed: Timestamp(3),
        created: Timestamp(-1),
        expires: Some(Timestamp(5)),
        notes: BTreeMap::from([(b"a".to_vec(), b"xy".to_vec()), (b"b".to_vec(), vec![])]),
        directories: 0,
        value: Some(Current { own: 2, before: before(), held: Held::Apart(6) }),
    }
}

fn before() -> Option<Before> {
    Some(Before { node: NodeId(0x12), last: Version(7) })
}

/// A file with as little as one can have: its times are one, and its value is its owner's and as old as its modification.
fn small() -> Node {
    let at = Timestamp(2);
    let small = Small { by: Uid(1), by_group: Gid(2), at, content: b"abc".to_vec() };
    Node {
        place: Place::In(Tree::Variables, NodeId(0x10)),
        accessed: at,
        modified: at,
        changed: at,
        created: at,
        expires: None,
        notes: BTreeMap::new(),
        value: Some(Current { own: 1, before: None, held: Held::Here(small) }),
        ..file()
    }
}

/// The same, with all that a value in its node's row can have besides.
fn small_of_another() -> Node {
    let small = Small { by: Uid(1), by_group: Gid(3), at: Timestamp(9), content: vec![] };
    Node {
        modified: Timestamp(3),
        changed: Timestamp(3),
        value: Some(Current { own: 2, before: before(), held: Held::Here(small) }),
        ..self::small()
    }
}

fn directory() -> Node {
    Node {
        kind: Kind::Directory,
        place: Place::In(Tree::Variables, NodeId(0x10)),
        expires: None,
        notes: BTreeMap::new(),
        directories: 4,
        value: None,
        permissions: Permissions { default: Some(Acl::from_mode(Mode::from_bits(0o750))), ..permissions() },
        ..file()
    }
}

fn root() -> Node {
    Node { place: Place::Root, name: None, parent: NodeId::ROOT, ..directory() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The example has these bytes, comes back as it was, and nothing that is cut, extended or of another format does.
/// `open_ended` rows hold what another format delimits.
fn check<T: PartialEq + std::fmt::Debug>(
    example: &T,
    encoded: Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, Malformed>,
    encode: impl Fn(&T) -> Vec<u8>,
    open_from: Option<usize>,
    wanted: &str,
) {
    assert_eq!(hex(&encoded), wanted.replace(' ', ""));
    assert_eq!(decode(&encoded).as_ref(), Ok(example));
    for length in 0..open_from.unwrap_or(encoded.len()) {
        assert_eq!(decode(&encoded[..length]), Err(Malformed), "cut to {length}");
    }
    let extended = [&encoded[..], &[0]].concat();
    assert_eq!(decode(&extended).is_ok(), open_from.is_some());
    for format in (0..=255).filter(|format| *format != FORMAT) {
        let mut other = encoded.clone();
        other[0] = format;
        assert_eq!(decode(&other), Err(Malformed));
    }
    // Whatever is read was written just so.
    for place in 0..encoded.len() {
        for byte in 0..=255 {
            let mut other = encoded.clone();
            other[place] = byte;
            if let Ok(read) = decode(&other) {
                assert_eq!(hex(&encode(&read)), hex(&other), "byte {place}");
            }
        }
    }
}

#[test]
fn nodes() {
    let wanted = "01 01 03 3e 0000000000000010 0000000000000011 02 7077 \
        000b 00000001 00000002 01a0 00 \
        ffffffffffffffff 0000000000000001 0000000000000002 0000000000000003 0000000000000005 \
        0002 01 61 00000002 7879 01 62 00000000 \
        05 0000000000000002 0000000000000012 0000000000000007 0000000000000006";
    check(&file(), file().encode(), Node::decode, Node::encode, None, wanted);
    let wanted = "01 00 02 0e 0000000000000010 0000000000000011 02 7077 \
        0020 00000001 00000002 01e0 03 07000004 0000 0001 00000003 04 070500ff 0000 0000 \
        ffffffffffffffff 0000000000000001 0000000000000002 0000000000000003 00000004";
    check(&directory(), directory().encode(), Node::decode, Node::encode, None, wanted);
    for node in [
        root(),
        Node { place: Place::Environment, ..directory() },
        Node { removed: true, ..file() },
        Node { value: None, ..file() },
        Node { value: Some(Current { own: 1, before: None, held: Held::Apart(0) }), ..file() },
    ] {
        assert_eq!(Node::decode(&node.encode()), Ok(node));
    }
}

#[test]
fn nodes_with_their_values() {
    let wanted = "01 01 02 00 0000000000000010 0000000000000011 02 7077 000b 00000001 00000002 01a0 00 \
        0000000000000002 03 0000000000000001 616263";
    let encoded = small().encode();
    let head = encoded.len() - 3;
    check(&small(), encoded, Node::decode, Node::encode, Some(head), wanted);
    let wanted = "01 01 02 04 0000000000000010 0000000000000011 02 7077 000b 00000001 00000002 01a0 00 \
        0000000000000002 0000000000000003 \
        1f 0000000000000002 0000000000000012 0000000000000007 0000000000000009 00000001 00000003";
    let encoded = small_of_another().encode();
    let head = encoded.len();
    check(&small_of_another(), encoded, Node::decode, Node::encode, Some(head), wanted);
}

#[test]
fn a_value_in_a_nodes_row_is_small_and_no_secrets() {
    let with = |place: Place, length: usize| {
        let mut node = Node { place, ..small() };
        let Some(Current { held: Held::Here(small), .. }) = &mut node.value else { unreachable!() };
        small.content = vec![b'x'; length];
        node
    };
    let [variables, secrets] = [Tree::Variables, Tree::Secrets].map(|tree| Place::In(tree, NodeId(0x10)));
    assert_eq!(Node::decode(&with(variables, SMALL).encode()), Ok(with(variables, SMALL)));
    assert_eq!(Node::decode(&with(variables, SMALL + 1).encode()), Err(Malformed));
    assert_eq!(Node::decode(&with(secrets, 3).encode()), Err(Malformed));
}

#[test]
fn what_is_as_usual_is_not_said() {
    // Right after the permissions stand the times: when it was made, then what differs.
    let (plain, created) = (small().encode(), small().created.0.to_be_bytes());
    let at = plain.len() - 3 - 8 - 1;
    for (bit, place) in [(2, at), (4, at), (8, at)] {
        let mut said = plain.clone();
        said.splice(place..place, created);
        said[3] |= bit;
        assert_eq!(Node::decode(&said), Err(Malformed), "time {bit}");
    }
    let mut notes = plain.clone();
    notes.splice(at..at, [0, 0]);
    notes[3] |= 32;
    assert_eq!(Node::decode(&notes), Err(Malformed), "no notes");
    for (bit, said) in [(8, &created[..]), (16, &[0, 0, 0, 1, 0, 0, 0, 2])] {
        let mut value = plain.clone();
        value.splice(at + 9..at + 9, said.iter().copied());
        value[at] |= bit;
        assert_eq!(Node::decode(&value), Err(Malformed), "a value's {bit}");
    }
}

#[test]
fn a_node_without_a_first_version_or_with_too_many_is_none() {
    for (own, base) in [(0, 3), (1, 0), (1, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX)] {
        let before = Some(Before { node: NodeId(0x12), last: Version(base) });
        let value = Some(Current { own, before, held: Held::Apart(0) });
        assert_eq!(Node::decode(&Node { value, ..file() }.encode()), Err(Malformed));
    }
    for own in [0, u64::MAX] {
        let value = Some(Current { own, before: None, held: Held::Apart(0) });
        assert_eq!(Node::decode(&Node { value, ..file() }.encode()), Err(Malformed));
    }
}

#[test]
fn times() {
    let times = Times { modified: Timestamp(1), changed: Timestamp(-2) };
    check(&times, times.encode(), Times::decode, Times::encode, None, "01 0000000000000001 fffffffffffffffe");
}

#[test]
fn values() {
    let value = Value {
        sealed: true,
        by: Uid(1),
        by_group: Gid(2),
        at: Timestamp(3),
        size: 4,
        permissions: Permissions::new(Uid(1), Gid(2), Mode::from_bits(0o640)),
        content: b"abc".to_vec(),
    };
    let wanted = "01 01 00000001 00000002 0000000000000003 0000000000000004 000b 00000001 00000002 01a0 00 616263";
    let encoded = value.encode();
    let head = encoded.len() - 3;
    check(&value, encoded, Value::decode, Value::encode, Some(head), wanted);
}

#[test]
fn entries() {
    let entry = Entry { kind: Kind::File, node: NodeId(0x10) };
    check(&entry, entry.encode(), Entry::decode, Entry::encode, None, "01 01 0000000000000010");
}

#[test]
fn formats_settings_history_and_bytes() {
    let format = Format { store: StoreId([7; 16]), created: Timestamp(9) };
    let wanted = "01 07070707070707070707070707070707 0000000000000009";
    check(&format, format.encode(), Format::decode, Format::encode, None, wanted);
    let settings = Settings { versions: 10 };
    check(&settings, settings.encode(), Settings::decode, Settings::encode, None, "01 0000000a");
    assert_eq!(Settings::decode(&Settings { versions: 0 }.encode()), Err(Malformed));
    let node = NodeId(0x10);
    check(&node, encode_history(node), decode_history, |node| encode_history(*node), None, "01 0000000000000010");
    let bytes = b"abc".to_vec();
    let read = |content: &[u8]| decode_bytes(content).map(<[u8]>::to_vec);
    check(&bytes, encode_bytes(&bytes), read, |bytes| encode_bytes(bytes), Some(1), "01 616263");
}

#[test]
fn names_of_rows() {
    let (id, name) = (NodeId(0x0102), Name::parse(b"pw").unwrap());
    assert_eq!(key::node(id), b"n/\0\0\0\0\0\0\x01\x02");
    assert_eq!(key::times(id), b"t/\0\0\0\0\0\0\x01\x02");
    assert_eq!(key::entry(id, &name), b"d/\0\0\0\0\0\0\x01\x02/pw");
    assert_eq!(key::entry_name(&key::entry(id, &name)), Some(name.clone()));
    assert_eq!(key::value(id, 3), b"v/\0\0\0\0\0\0\x01\x02/\0\0\0\0\0\0\0\x03");
    assert_eq!(key::history(id, &[name.clone(), name.clone()]), b"h/\0\0\0\0\0\0\x01\x02/pw/pw");
    assert_eq!(key::slot(1), b"meta/slot/\0\0\0\x01");
    let (from, to) = key::entries(id);
    assert!(from < key::entry(id, &name) && key::entry(id, &name) < to && to < key::entry(NodeId(0x0103), &name));
    let (from, to) = key::slots();
    assert!(from <= key::slot(0) && key::slot(u32::MAX) < to);
    for short in [&b""[..], b"d/", b"d/\0\0\0\0\0\0\x01\x02/"] {
        assert_eq!(key::entry_name(short), None);
    }
}
