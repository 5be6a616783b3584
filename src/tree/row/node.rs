//! A node's row: an entry with its permissions, times and attributes.

use std::collections::BTreeMap;

use super::{Malformed, Reader, Writer, flag, kind_code, kind_of};
use crate::access::{Kind, Permissions};
use crate::clock::Timestamp;
use crate::id::{NodeId, Version};
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

/// A node: everything about an entry but its value.
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

/// A file's present value, and where its history goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Current {
    /// The value's number among this node's own, from 1.
    pub own: u64,
    /// The last version of the node whose history this one continues; 0 where it continues none.
    pub base: u64,
    /// That node.
    pub previous: Option<NodeId>,
    /// The value's length in bytes.
    pub size: u64,
}

impl Current {
    /// The version as people see it.
    pub fn version(&self) -> Version {
        Version(self.base + self.own)
    }
}

impl Node {
    /// The content of the node's row.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = Writer::new();
        row.byte(kind_code(self.kind));
        let (place, root) = match self.place {
            Place::Root => (0, NodeId(0)),
            Place::Environment => (1, NodeId(0)),
            Place::In(Tree::Variables, root) => (2, root),
            Place::In(Tree::Secrets, root) => (3, root),
        };
        row.byte(place);
        row.long(root.0);
        row.byte(self.removed.into());
        row.long(self.parent.0);
        let name = self.name.as_ref().map_or(&b""[..], Name::as_bytes);
        row.byte(name.len() as u8);
        row.0.extend_from_slice(name);
        row.permissions(&self.permissions);
        for time in [self.accessed, self.modified, self.changed, self.created] {
            row.time(time);
        }
        row.byte(self.expires.is_some().into());
        if let Some(expires) = self.expires {
            row.time(expires);
        }
        row.short(self.notes.len());
        for (name, value) in &self.notes {
            row.byte(name.len() as u8);
            row.0.extend_from_slice(name);
            row.word(value.len() as u32);
            row.0.extend_from_slice(value);
        }
        match self.kind {
            Kind::Directory => row.word(self.directories),
            Kind::File => {
                row.byte(self.value.is_some().into());
                if let Some(value) = &self.value {
                    row.long(value.own);
                    row.long(value.base);
                    row.long(value.previous.map_or(0, |id| id.0));
                    row.long(value.size);
                }
            }
        }
        row.0
    }

    /// The node of a row's content.
    pub fn decode(content: &[u8]) -> Result<Node, Malformed> {
        let mut row = Reader::new(content)?;
        let kind = kind_of(row.byte()?)?;
        let place = match (row.byte()?, row.node()?) {
            (0, NodeId(0)) => Place::Root,
            (1, NodeId(0)) => Place::Environment,
            (2, root) => Place::In(Tree::Variables, root),
            (3, root) => Place::In(Tree::Secrets, root),
            _ => return Err(Malformed),
        };
        let removed = flag(row.byte()?)?;
        let parent = row.node()?;
        let length = row.byte()?;
        let name = match row.take(length.into())? {
            b"" => None,
            name => Some(Name::parse(name).map_err(|_| Malformed)?),
        };
        let permissions = row.permissions()?;
        let (accessed, modified, changed, created) = (row.time()?, row.time()?, row.time()?, row.time()?);
        let expires = if flag(row.byte()?)? { Some(row.time()?) } else { None };
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
        let mut directories = 0;
        let mut value = None;
        match kind {
            Kind::Directory => directories = row.word()?,
            Kind::File => {
                if flag(row.byte()?)? {
                    let (own, base) = (row.long()?, row.long()?);
                    let previous = Some(row.node()?).filter(|id| id.0 != 0);
                    // Versions begin at 1, and their number is the sum of the two.
                    if own == 0 || base.checked_add(own).is_none_or(|version| version == u64::MAX) {
                        return Err(Malformed);
                    }
                    value = Some(Current { own, base, previous, size: row.long()? });
                }
            }
        }
        row.end()?;
        Ok(Node {
            kind,
            place,
            parent,
            name,
            removed,
            permissions,
            accessed,
            modified,
            changed,
            created,
            expires,
            notes,
            directories,
            value,
        })
    }
}
