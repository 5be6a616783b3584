//! The names of rows.
//!
//! Invariant: what belongs to one node, and what stands in one directory, stands together and in the order of its numbers or
//! names.

use crate::id::NodeId;
use crate::key::Name;
use crate::store::Key;

/// What is true of the store.
pub const FORMAT: &[u8] = b"meta/format";
/// To whom secrets are sealed.
pub const RECIPIENTS: &[u8] = b"meta/recipients";
/// Settings.
pub const SETTINGS: &[u8] = b"meta/settings";
/// Written by each move of a directory to another parent.
pub const TOPOLOGY: &[u8] = b"topo";

/// The store key for the identities of one slot.
pub fn slot(number: u32) -> Key {
    [b"meta/slot/".as_slice(), &number.to_be_bytes()].concat()
}

/// The first key and the one past the last of all slots.
pub fn slots() -> (Key, Key) {
    (b"meta/slot/".to_vec(), b"meta/slot0".to_vec())
}

fn numbered(prefix: u8, id: NodeId) -> Key {
    let mut key = Vec::with_capacity(40);
    key.extend_from_slice(&[prefix, b'/']);
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

/// A node.
pub fn node(id: NodeId) -> Key {
    numbered(b'n', id)
}

/// A directory's times.
pub fn times(id: NodeId) -> Key {
    numbered(b't', id)
}

/// A name in a directory.
pub fn entry(parent: NodeId, name: &Name) -> Key {
    let mut key = numbered(b'd', parent);
    key.push(b'/');
    key.extend_from_slice(name.as_bytes());
    key
}

/// The first key and the one past the last of a directory's names.
pub fn entries(parent: NodeId) -> (Key, Key) {
    let mut from = numbered(b'd', parent);
    let mut to = from.clone();
    from.push(b'/');
    to.push(b'0');
    (from, to)
}

/// The name in the key of an entry.
pub fn entry_name(key: &[u8]) -> Option<Name> {
    Name::parse(key.get(11..)?).ok()
}

/// One of a node's own versions.
pub fn value(id: NodeId, own: u64) -> Key {
    let mut key = numbered(b'v', id);
    key.push(b'/');
    key.extend_from_slice(&own.to_be_bytes());
    key
}

/// Where the history of the last node of that path is found once its entry is gone: the names, from the tree's root
/// downwards, each with a `/` before it.
pub fn history(root: NodeId, path: &[Name]) -> Key {
    let mut key = numbered(b'h', root);
    for name in path {
        key.push(b'/');
        key.extend_from_slice(name.as_bytes());
    }
    key
}
