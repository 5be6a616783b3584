//! One consistent look at the rows, each checked before it is believed.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::addresses::Addresses;
use super::row::{self, Current, Entry, Held, Malformed, Node, Place, Times, Value, key};
use super::{Error, Namespace};
use crate::access::{Acl, Kind, Permissions};
use crate::audit::Address;
use crate::id::{NodeId, Revision, Version};
use crate::key::{Environment, Name, NameError};
use crate::store::{Page, Snapshot};

/// No longer chain of parents is followed: a key has at most 4,095 bytes, so at most 2,048 names, and three directories
/// stand above it. Only a directory that is deep itself reaches further once it is moved below another.
pub(super) const DEEPEST: usize = 4096;

/// A row's content, and the commit that wrote it.
#[derive(Clone, Debug)]
pub(super) struct Stored<T> {
    pub(super) revision: Revision,
    pub(super) content: T,
}

/// One of a node's versions.
pub(super) struct Located<'n> {
    /// The node whose own version it is.
    pub(super) id: NodeId,
    pub(super) node: Cow<'n, Node>,
    /// Its number there.
    pub(super) own: u64,
}

/// Where an entry stands, for those who are told of what happens to it.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) address: Address,
    /// The permissions of the directories above it, the nearest first; shared with those of other changes there.
    pub(super) above: Arc<[Permissions]>,
}

impl Spot {
    /// What it takes in memory where it shares nothing.
    pub(super) fn weight(&self) -> usize {
        let entries = |acl: &Acl| size_of::<(u32, u32)>() * (acl.users().len() + acl.groups().len());
        let lists = |permissions: &Permissions| {
            [&permissions.acl, &permissions.default].into_iter().flatten().map(entries).sum::<usize>()
        };
        let above = self.above.iter().map(|permissions| size_of::<Permissions>() + lists(permissions));
        self.address.key.len() + above.sum::<usize>()
    }
}

/// The rows as of one commit.
pub(super) struct View<'a> {
    namespace: &'a Namespace,
    snapshot: Box<dyn Snapshot + 'a>,
    /// Those as of its commit, if it shows that and nothing else.
    addresses: Option<&'a Addresses>,
}

impl Namespace {
    pub(super) fn view(&self) -> Result<View<'_>, Error> {
        Ok(View { namespace: self, snapshot: self.store.snapshot()?, addresses: Some(&self.addresses) })
    }

    /// Rows that are not those of the store alone.
    pub(super) fn view_of<'a>(&'a self, snapshot: Box<dyn Snapshot + 'a>) -> View<'a> {
        View { namespace: self, snapshot, addresses: None }
    }
}

impl<'a> View<'a> {
    /// A row's content without its tag.
    pub(super) fn read<T>(
        &self,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<Stored<T>>, Error> {
        match self.snapshot.get(key)? {
            None => Ok(None),
            Some(mut row) => {
                self.namespace.seal.verify(key, &mut row.value).map_err(|error| self.damaged(key, error))?;
                let content = decode(&row.value).map_err(|Malformed| self.damaged(key, "its content is malformed"))?;
                Ok(Some(Stored { revision: row.revision, content }))
            }
        }
    }

    /// The rows themselves.
    pub(super) fn snapshot(&self) -> &dyn Snapshot {
        &*self.snapshot
    }

    /// What it is as of.
    pub(super) fn revision(&self) -> Revision {
        self.snapshot.revision()
    }

    fn damaged(&self, key: &[u8], why: impl std::fmt::Display) -> Error {
        self.namespace.tampered(format!("row {}: {why}", key.escape_ascii()), None, None)
    }

    /// A node, also one whose entry was removed; `None` once its history is gone too.
    pub(super) fn find(&self, id: NodeId) -> Result<Option<Stored<Node>>, Error> {
        self.read(&key::node(id), Node::decode)
    }

    /// A node that is known to have existed.
    pub(super) fn node(&self, id: NodeId) -> Result<Stored<Node>, Error> {
        self.find(id)?.ok_or(Error::Gone)
    }

    /// A directory that still has an entry.
    pub(super) fn directory(&self, id: NodeId) -> Result<Stored<Node>, Error> {
        let node = self.node(id)?;
        match node.content.kind {
            _ if node.content.removed => Err(Error::NotFound),
            Kind::Directory => Ok(node),
            Kind::File => Err(Error::NotADirectory),
        }
    }

    pub(super) fn entry(&self, parent: NodeId, name: &Name) -> Result<Option<Stored<Entry>>, Error> {
        self.read(&key::entry(parent, name), Entry::decode)
    }

    /// The node that an entry names, which must be there, and must say so itself: an entry that was put back to an earlier
    /// state names a node that is elsewhere by now, or removed.
    pub(super) fn entry_node(&self, parent: NodeId, name: &Name, entry: &Stored<Entry>) -> Result<Stored<Node>, Error> {
        let Entry { kind, node: id } = entry.content;
        let missing = || self.damaged(&key::node(id), "a directory names it, and it is missing");
        let node = self.find(id)?.ok_or_else(missing)?;
        let Node { removed, kind: is, parent: within, name: called, .. } = &node.content;
        if *removed || *is != kind || *within != parent || called.as_ref() != Some(name) {
            return Err(self.damaged(&key::entry(parent, name), "it names a node that does not stand there"));
        }
        Ok(node)
    }

    pub(super) fn times(&self, directory: NodeId, node: &Node) -> Result<Times, Error> {
        let times = self.read(&key::times(directory), Times::decode)?;
        Ok(times.map_or(Times { modified: node.modified, changed: node.changed }, |times| times.content))
    }

    /// One of a node's own versions, wherever it stands; `None` where it is not kept.
    pub(super) fn value(&self, id: NodeId, node: &Node, own: u64) -> Result<Option<Value>, Error> {
        let current = node.value.as_ref().filter(|current| current.own == own);
        if let Some(Current { held: Held::Here(small), .. }) = current {
            // A node's row that was put back to an earlier state is whole in itself, and the rows of versions alone give it away:
            // what stood in it then has moved to one since, or has been pruned while a later one is there. This is the second
            // look at the store that reading a small value takes. Where one version is kept, only the ledger knows.
            if self.has_version_from(id, own)? {
                return Err(self.damaged(&key::node(id), "its value is an earlier version, or stands elsewhere too"));
            }
            return Ok(Some(small.apart(&node.permissions)));
        }
        Ok(self.read(&key::value(id, own), Value::decode)?.map(|value| value.content))
    }

    /// Whether one of a node's own versions has a row of its own that has this number or a later one.
    fn has_version_from(&self, id: NodeId, own: u64) -> Result<bool, Error> {
        let (from, to) = (key::value(id, own), key::value(id, u64::MAX));
        Ok(!self.snapshot.scan(from.as_slice()..to.as_slice(), Page { rows: 1, bytes: 0 })?.is_empty())
    }

    /// The present value of a file, which must be there, and agree with its node: of the two rows, one that was put back to
    /// an earlier state gives itself away.
    pub(super) fn current_value<'n>(&self, id: NodeId, node: &'n Node) -> Result<(&'n Current, Value), Error> {
        let current = node.value.as_ref().ok_or(Error::Gone)?;
        let missing = || self.damaged(&key::value(id, current.own), "it is the present value, and it is missing");
        let value = self.value(id, node, current.own)?.ok_or_else(missing)?;
        if let Held::Apart(size) = current.held {
            if self.has_version_from(id, current.own.saturating_add(1))? {
                return Err(self.damaged(&key::node(id), "there is a later version than it names"));
            }
            // A version's permissions move with its entry's while it is the present one.
            if value.permissions != node.permissions || value.size != size {
                return Err(self.damaged(&key::node(id), "its present value was stored under other permissions"));
            }
        }
        Ok((current, value))
    }

    pub(super) fn history(&self, root: NodeId, path: &[Name]) -> Result<Option<Stored<NodeId>>, Error> {
        self.read(&key::history(root, path), row::decode_history)
    }

    pub(super) fn topology(&self) -> Result<Option<Revision>, Error> {
        Ok(self.read(key::TOPOLOGY, |_| Ok(()))?.map(|row| row.revision))
    }

    /// Whether a directory has no entry.
    pub(super) fn is_empty(&self, directory: NodeId) -> Result<bool, Error> {
        let (from, to) = key::entries(directory);
        Ok(self.snapshot.scan(from.as_slice()..to.as_slice(), Page { rows: 1, bytes: usize::MAX })?.is_empty())
    }

    /// Every entry of a directory, in the order of names.
    pub(super) fn entries(&self, directory: NodeId) -> Result<Vec<(Name, Entry)>, Error> {
        let (from, to) = key::entries(directory);
        let mut found = Vec::new();
        self.scan(from.as_slice()..to.as_slice(), |key, content| {
            let name = key::entry_name(key).ok_or_else(|| self.damaged(key, "its name is malformed"))?;
            let entry = Entry::decode(content).map_err(|Malformed| self.damaged(key, "its content is malformed"))?;
            found.push((name, entry));
            Ok(())
        })?;
        Ok(found)
    }

    /// Shows every row of a range, without its tag.
    pub(super) fn scan(
        &self,
        range: Range<&[u8]>,
        mut show: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut from = range.start.to_vec();
        loop {
            let rows = self.snapshot.scan(from.as_slice()..range.end, Page { rows: 4096, bytes: 1 << 20 })?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            from = last.clone();
            from.push(0);
            for (key, mut row) in rows {
                self.namespace.seal.verify(&key, &mut row.value).map_err(|error| self.damaged(&key, error))?;
                show(&key, &row.value)?;
            }
        }
    }

    /// Whether a range has a row.
    pub(super) fn has_any(&self, range: Range<&[u8]>) -> Result<bool, Error> {
        let row = self.snapshot.scan(range, Page { rows: 1, bytes: 1 })?.into_iter().next();
        let Some((key, mut row)) = row else { return Ok(false) };
        self.namespace.seal.verify(&key, &mut row.value).map_err(|error| self.damaged(&key, error))?;
        Ok(true)
    }

    /// The directory above, whose row must be there.
    fn parent(&self, node: &Node) -> Result<Stored<Node>, Error> {
        let missing = || self.damaged(&key::node(node.parent), "an entry names it as its directory, and it is missing");
        self.find(node.parent)?.ok_or_else(missing)
    }

    /// A node's names from its tree's root downwards: none for the root itself.
    pub(super) fn path(&self, id: NodeId, node: &Node) -> Result<Vec<Name>, Error> {
        Ok(self.climb(id, node, &mut |_| ())?.1)
    }

    /// A node as people name it. What was removed has the name that it had last.
    pub(super) fn address(&self, id: NodeId, node: &Node) -> Result<Address, Error> {
        match &node.name {
            Some(name) if matches!(node.place, Place::In(_, root) if root != id) => {
                Ok(self.directory_address(node)?.below(name))
            }
            _ => self.climbed_address(id, node),
        }
    }

    /// That of the directory that a node is in.
    fn directory_address(&self, node: &Node) -> Result<Arc<Address>, Error> {
        let (revision, directory) = (self.revision(), node.parent);
        if let Some(known) = self.addresses.and_then(|addresses| addresses.get(revision, directory)) {
            return Ok(known);
        }
        let address = Arc::new(self.climbed_address(directory, &self.parent(node)?.content)?);
        if let Some(addresses) = self.addresses {
            addresses.keep(revision, directory, address.clone());
        }
        Ok(address)
    }

    fn climbed_address(&self, id: NodeId, node: &Node) -> Result<Address, Error> {
        let (environment, names) = self.climb(id, node, &mut |_| ())?;
        Ok(Self::address_of(node, environment, &names))
    }

    /// The same, with the permissions of the directories above it.
    pub(super) fn spot(&self, id: NodeId, node: &Node) -> Result<Spot, Error> {
        let mut above = Vec::new();
        let (environment, names) = self.climb(id, node, &mut |directory| above.push(directory.permissions.clone()))?;
        // What is in an environment is reached through that alone, where nothing else is mounted.
        if node.place != Place::Environment {
            above.pop();
        }
        Ok(Spot { address: Self::address_of(node, environment, &names), above: above.into() })
    }

    fn address_of(node: &Node, environment: Option<Environment>, names: &[Name]) -> Address {
        let tree = match node.place {
            Place::In(tree, _) => Some(tree),
            Place::Root | Place::Environment => None,
        };
        let key = names.iter().map(Name::as_str).collect::<Vec<_>>().join("/");
        Address { environment, tree, key }
    }

    /// A node's environment and names, showing each directory on the way up, from the nearest to the root.
    fn climb(
        &self,
        id: NodeId,
        node: &Node,
        show: &mut dyn FnMut(&Node),
    ) -> Result<(Option<Environment>, Vec<Name>), Error> {
        let mut names = Vec::new();
        let mut passed = Vec::new();
        let mut id = id;
        let mut node = node.clone();
        for _ in 0..DEEPEST {
            passed.push(id);
            match node.place {
                Place::Root => return Ok((None, names)),
                Place::Environment => {
                    show(&self.parent(&node)?.content);
                    let environment = node.name.and_then(|name| Environment::new(name).ok());
                    names.reverse();
                    return Ok((environment, names));
                }
                Place::In(_, root) if root == id => {}
                Place::In(..) => names.extend(node.name.clone()),
            }
            let above = self.parent(&node)?.content;
            show(&above);
            id = node.parent;
            node = above;
        }
        Err(self.endless(id, passed))
    }

    /// What is wrong with a chain of parents that is longer than any key: it goes round, or directories that are deep
    /// themselves were moved below each other.
    fn endless(&self, id: NodeId, mut passed: Vec<NodeId>) -> Error {
        let length = passed.len();
        passed.sort_unstable();
        passed.dedup();
        if passed.len() < length {
            self.damaged(&key::node(id), "its directories form a circle")
        } else {
            NameError::TooLong.into()
        }
    }

    /// Whether `ancestor` is `id` or one of the directories above it.
    pub(super) fn is_within(&self, id: NodeId, ancestor: NodeId) -> Result<bool, Error> {
        let mut id = id;
        let mut passed = Vec::new();
        for _ in 0..DEEPEST {
            passed.push(id);
            if id == ancestor {
                return Ok(true);
            }
            let node = self.node(id)?.content;
            if node.place == Place::Root {
                return Ok(false);
            }
            id = node.parent;
        }
        Err(self.endless(id, passed))
    }

    /// Which of a node's versions has this number, along the chain of nodes whose history it continues.
    pub(super) fn locate<'n>(
        &self,
        id: NodeId,
        node: &'n Node,
        version: Version,
    ) -> Result<Option<Located<'n>>, Error> {
        let (mut id, mut node) = (id, Cow::Borrowed(node));
        if node.version().is_none_or(|newest| version > newest) {
            return Ok(None);
        }
        loop {
            let Some(current) = &node.value else { return Ok(None) };
            if let Some(own) = version.0.checked_sub(current.base()).filter(|own| *own > 0) {
                return Ok(Some(Located { id, node, own }));
            }
            let Some(before) = current.before else { return Ok(None) };
            let Some(Stored { content: older, .. }) = self.find(before.node)? else { return Ok(None) };
            // Numbers only fall along the chain; what does not was not written by us.
            if older.version().is_some_and(|newest| newest > before.last) {
                let what = "its versions do not end where its successor's begin";
                return Err(self.damaged(&key::node(before.node), what));
            }
            (id, node) = (before.node, Cow::Owned(older));
        }
    }
}
