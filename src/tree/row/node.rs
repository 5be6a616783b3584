//! A node's row: an entry with its permissions, times and attributes, and its value where that is small and plain.
//!
//! Invariants:
//! - What is absent, or as it usually is, takes no bytes; given all the same, it is an error. So a node has one encoding.
//! - No value of a secret stands here.

use std::collections::BTreeMap;

use super::{Malformed, Reader, Value, Writer, kind_code, kind_of};
use crate::access::{Kind, Permissions};
use crate::clock::Timestamp;
use crate::id::{Gid, NodeId, Uid, Version};
use crate::key::{Name, Tree};

/// Where in the namespace a node stands. It never changes, since nothing moves between trees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// The directory that holds the environments.
    Root,
    /// An environment.
    Environment,
    /// In a tree, or the root of one; the id is the tree root's.
    In(Tree, NodeId),
}

impl Place {
    /// Whether a value here is sealed.
    pub fn is_secret(self) -> bool {
        matches!(self, Place::In(Tree::Secrets, _))
    }
}

/// A node: everything about an entry, and its value where that is small and plain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Node {
    /// Directory or file.
    pub kind: Kind,
    /// Its place in the namespace.
    pub place: Place,
    /// The directory that it is, or was last, an entry of. The root is its own.
    pub parent: NodeId,
    /// Its name there; empty for the root alone.
    pub name: Option<Name>,
    /// Whether its entry was removed or replaced: it is then kept for its history.
    pub removed: bool,
    /// Owner, group, mode and ACLs.
    pub permissions: Permissions,
    /// Times as `stat(2)` has them. A directory's modification and change are in its times row.
    pub accessed: Timestamp,
    /// See above.
    pub modified: Timestamp,
    /// See above.
    pub changed: Timestamp,
    /// When the node was made.
    pub created: Timestamp,
    /// Past this, opening fails.
    pub expires: Option<Timestamp>,
    /// Free-form attributes, by name without `user.`.
    pub notes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// For a directory: how many directories it holds.
    pub directories: u32,
    /// For a file: its value. `None` until its first commit.
    pub value: Option<Current>,
}

impl Node {
    /// The version of its value as people see it; `None` for a directory, and for a file until its first commit.
    pub fn version(&self) -> Option<Version> {
        self.value.as_ref().map(Current::version)
    }
}

/// The longest value that stands in its node's row, in bytes. Numbers, names and addresses are shorter; and since every look
/// at an entry's attributes reads that row, and every change of them writes it, it has to stay a small one.
pub const SMALL: usize = 256;

/// A file's present value, and where its history goes on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Current {
    /// The value's number among this node's own, from 1.
    pub own: u64,
    /// The node whose history this one continues.
    pub before: Option<Before>,
    /// Where the value stands.
    pub held: Held,
}

/// The node whose history another one continues.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Before {
    /// It.
    pub node: NodeId,
    /// Its last version as people see it.
    pub last: Version,
}

/// Where a present value stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Held {
    /// In its node's row: a variable of at most [`SMALL`] bytes.
    Here(Small),
    /// In a row of its own, as secrets, larger values and what comes after these do; it has so many bytes.
    Apart(u64),
}

/// A value in its node's row, whose permissions are the node's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Small {
    /// Whose commit made it.
    pub by: Uid,
    /// That user's group then.
    pub by_group: Gid,
    /// When.
    pub at: Timestamp,
    /// The bytes.
    pub content: Vec<u8>,
}

impl Current {
    /// The version as people see it.
    pub fn version(&self) -> Version {
        Version(self.base() + self.own)
    }

    /// The last version of the node whose history this one continues; 0 where it continues none.
    pub fn base(&self) -> u64 {
        self.before.map_or(0, |before| before.last.0)
    }

    /// The value's length in bytes.
    pub fn size(&self) -> u64 {
        match &self.held {
            Held::Here(small) => small.content.len() as u64,
            Held::Apart(size) => *size,
        }
    }
}

impl Small {
    /// The value as it would stand in a row of its own, while its entry has these permissions.
    pub fn apart(&self, permissions: &Permissions) -> Value {
        let Small { by, by_group, at, content } = self.clone();
        let size = content.len() as u64;
        Value { sealed: false, by, by_group, at, size, permissions: permissions.clone(), content }
    }
}

/// Bits that say which parts of a row follow, since what is absent or as usual takes no bytes.
#[derive(Clone, Copy)]
struct Parts(u8);

impl Parts {
    // Of a node.
    const REMOVED: u8 = 1;
    const ACCESSED: u8 = 2;
    const MODIFIED: u8 = 4;
    const CHANGED: u8 = 8;
    const EXPIRES: u8 = 16;
    const NOTES: u8 = 32;
    const OF_NODE: u8 = 63;
    // Of a file's value.
    const VALUE: u8 = 1;
    const HERE: u8 = 2;
    const BEFORE: u8 = 4;
    const AT: u8 = 8;
    const BY: u8 = 16;
    const OF_VALUE: u8 = 31;

    fn of(parts: &[(u8, bool)]) -> Parts {
        Parts(parts.iter().filter(|(_, given)| *given).fold(0, |bits, (bit, _)| bits | bit))
    }

    /// That there are no others than `known`.
    fn among(self, known: u8) -> Result<Parts, Malformed> {
        if self.0 & !known == 0 { Ok(self) } else { Err(Malformed) }
    }

    fn has(self, part: u8) -> bool {
        self.0 & part != 0
    }
}

impl Node {
    /// The content of the node's row.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = Writer::new();
        row.byte(kind_code(self.kind));
        let (place, root) = match self.place {
            Place::Root => (0, None),
            Place::Environment => (1, None),
            Place::In(Tree::Variables, root) => (2, Some(root)),
            Place::In(Tree::Secrets, root) => (3, Some(root)),
        };
        row.byte(place);
        let parts = Parts::of(&[
            (Parts::REMOVED, self.removed),
            (Parts::ACCESSED, self.accessed != self.created),
            (Parts::MODIFIED, self.modified != self.created),
            (Parts::CHANGED, self.changed != self.modified),
            (Parts::EXPIRES, self.expires.is_some()),
            (Parts::NOTES, !self.notes.is_empty()),
        ]);
        row.byte(parts.0);
        if let Some(root) = root {
            row.long(root.0);
        }
        row.long(self.parent.0);
        let name = self.name.as_ref().map_or(&b""[..], Name::as_bytes);
        row.byte(name.len() as u8);
        row.0.extend_from_slice(name);
        row.permissions(&self.permissions);
        row.time(self.created);
        row.time_unless(self.accessed, self.created);
        row.time_unless(self.modified, self.created);
        row.time_unless(self.changed, self.modified);
        if let Some(expires) = self.expires {
            row.time(expires);
        }
        if !self.notes.is_empty() {
            row.short(self.notes.len());
        }
        for (name, value) in &self.notes {
            row.byte(name.len() as u8);
            row.0.extend_from_slice(name);
            row.word(value.len() as u32);
            row.0.extend_from_slice(value);
        }
        match self.kind {
            Kind::Directory => row.word(self.directories),
            Kind::File => self.encode_value(&mut row),
        }
        row.0
    }

    /// The last part of a file's row.
    fn encode_value(&self, row: &mut Writer) {
        let Some(current) = &self.value else { return row.byte(0) };
        let Permissions { owner, group, .. } = self.permissions;
        let small = match &current.held {
            Held::Here(small) => Some(small),
            Held::Apart(_) => None,
        };
        let parts = Parts::of(&[
            (Parts::VALUE, true),
            (Parts::HERE, small.is_some()),
            (Parts::BEFORE, current.before.is_some()),
            (Parts::AT, small.is_some_and(|small| small.at != self.modified)),
            (Parts::BY, small.is_some_and(|small| (small.by, small.by_group) != (owner, group))),
        ]);
        row.byte(parts.0);
        row.long(current.own);
        if let Some(before) = current.before {
            row.long(before.node.0);
            row.long(before.last.0);
        }
        match &current.held {
            Held::Apart(size) => row.long(*size),
            Held::Here(small) => {
                row.time_unless(small.at, self.modified);
                if parts.has(Parts::BY) {
                    row.word(small.by.0);
                    row.word(small.by_group.0);
                }
                row.0.extend_from_slice(&small.content);
            }
        }
    }

    /// The node of a row's content.
    pub fn decode(content: &[u8]) -> Result<Node, Malformed> {
        let mut row = Reader::new(content)?;
        let kind = kind_of(row.byte()?)?;
        let place = row.byte()?;
        let parts = Parts(row.byte()?).among(Parts::OF_NODE)?;
        let place = match place {
            0 => Place::Root,
            1 => Place::Environment,
            2 => Place::In(Tree::Variables, row.node()?),
            3 => Place::In(Tree::Secrets, row.node()?),
            _ => return Err(Malformed),
        };
        let parent = row.node()?;
        let length = row.byte()?;
        let name = match row.take(length.into())? {
            b"" => None,
            name => Some(Name::parse(name).map_err(|_| Malformed)?),
        };
        let permissions = row.permissions()?;
        let created = row.time()?;
        let accessed = row.time_unless(parts.has(Parts::ACCESSED), created)?;
        let modified = row.time_unless(parts.has(Parts::MODIFIED), created)?;
        let changed = row.time_unless(parts.has(Parts::CHANGED), modified)?;
        let expires = if parts.has(Parts::EXPIRES) { Some(row.time()?) } else { None };
        let notes = if parts.has(Parts::NOTES) { decode_notes(&mut row)? } else { BTreeMap::new() };
        let mut node = Node {
            kind,
            place,
            parent,
            name,
            removed: parts.has(Parts::REMOVED),
            permissions,
            accessed,
            modified,
            changed,
            created,
            expires,
            notes,
            directories: 0,
            value: None,
        };
        match kind {
            Kind::Directory => {
                node.directories = row.word()?;
                row.end()?;
            }
            Kind::File => node.value = node.decode_value(row)?,
        }
        Ok(node)
    }

    fn decode_value(&self, mut row: Reader<'_>) -> Result<Option<Current>, Malformed> {
        let parts = Parts(row.byte()?).among(Parts::OF_VALUE)?;
        if !parts.has(Parts::VALUE) {
            return if parts.0 == 0 { row.end().map(|()| None) } else { Err(Malformed) };
        }
        let own = row.long()?;
        let before = if parts.has(Parts::BEFORE) {
            Some(Before { node: row.node()?, last: Version(row.long()?) })
        } else {
            None
        };
        // Versions begin at 1, and their number is the sum of the two.
        let base = before.map_or(0, |before| before.last.0);
        if own == 0 || base.checked_add(own).is_none_or(|version| version == u64::MAX) {
            return Err(Malformed);
        }
        // Nothing is before a history but a node that has a version.
        if before.is_some_and(|before| before.node.0 == 0 || before.last.0 == 0) {
            return Err(Malformed);
        }
        let held = if parts.has(Parts::HERE) {
            let at = row.time_unless(parts.has(Parts::AT), self.modified)?;
            let owner = (self.permissions.owner, self.permissions.group);
            let by = if parts.has(Parts::BY) { (Uid(row.word()?), Gid(row.word()?)) } else { owner };
            let content = row.rest();
            if (parts.has(Parts::BY) && by == owner) || content.len() > SMALL || self.place.is_secret() {
                return Err(Malformed);
            }
            Held::Here(Small { by: by.0, by_group: by.1, at, content: content.to_vec() })
        } else {
            let size = row.long()?;
            row.end()?;
            if parts.has(Parts::AT) || parts.has(Parts::BY) {
                return Err(Malformed);
            }
            Held::Apart(size)
        };
        Ok(Some(Current { own, before, held }))
    }
}

fn decode_notes(row: &mut Reader<'_>) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Malformed> {
    let mut notes = BTreeMap::new();
    for _ in 0..row.short()? {
        let length = row.byte()?;
        let name = row.take(length.into())?.to_vec();
        let length = row.word()?;
        let value = row.take(length as usize)?.to_vec();
        if notes.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(Malformed);
        }
        notes.insert(name, value);
    }
    if notes.is_empty() { Err(Malformed) } else { Ok(notes) }
}
