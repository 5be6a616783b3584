//! Rows: whatever bytes a decoder takes are the very ones that encoding gives, and a name that a key of an entry yields is the
//! one that the key was made of.

use keyfs::access::Permissions;
use keyfs::id::NodeId;
use keyfs::tree::row::{self, Entry, Format, Held, Malformed, Node, SMALL, Settings, Times, Value, key};

/// See the module.
pub fn run(input: &[u8]) {
    returns(input, Node::decode(input), Node::encode);
    returns(input, Times::decode(input), Times::encode);
    returns(input, Value::decode(input), Value::encode);
    returns(input, Entry::decode(input), Entry::encode);
    returns(input, Format::decode(input), Format::encode);
    returns(input, Settings::decode(input), Settings::encode);
    returns(input, row::decode_history(input), |node| row::encode_history(*node));
    returns(input, row::decode_bytes(input), |bytes| row::encode_bytes(bytes));
    returns(input, Permissions::decode(input).map_err(|_| Malformed), |permissions| {
        let mut bytes = Vec::new();
        permissions.encode(&mut bytes);
        bytes
    });
    if let Ok(node) = Node::decode(input) {
        sound(&node);
    }
    if let Some(name) = key::entry_name(input) {
        let parent = input[2..10].try_into().map(u64::from_be_bytes).expect("a name stands behind an id");
        let made = key::entry(NodeId(parent), &name);
        assert_eq!(made[2..10], input[2..10], "the directory's id");
        assert_eq!(made[11..], input[11..], "the name");
        let (from, to) = key::entries(NodeId(parent));
        assert!(from < made && made < to, "the range of a directory's names has each of them");
    }
}

fn returns<T>(input: &[u8], decoded: Result<T, Malformed>, encode: impl Fn(&T) -> Vec<u8>) {
    if let Ok(decoded) = decoded {
        assert_eq!(encode(&decoded), input, "what is read was written just so");
    }
}

/// What the tree's own code takes for granted of a node that was decoded.
fn sound(node: &Node) {
    if let Some(current) = &node.value {
        assert!(current.own > 0 && current.version().0 > 0, "versions begin at 1");
        assert!(current.version().0 >= current.own, "a history that goes before adds to its numbers");
        if let Some(before) = current.before {
            assert!(before.node != NodeId(0) && before.last.0 > 0, "no node and no version is 0");
        }
        if let Held::Here(small) = &current.held {
            assert!(small.content.len() <= SMALL && !node.place.is_secret(), "what stands here is small and plain");
            assert_eq!(small.apart(&node.permissions).size, current.size());
        }
    }
    if let Some(name) = &node.name {
        assert!(!name.as_bytes().is_empty() && name.as_bytes().len() <= 255);
    }
}
