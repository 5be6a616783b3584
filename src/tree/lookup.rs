//! Names and attributes: everything that may be known of an entry without its value.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::open::OpenFile;
use super::row::{Current, Node, Times};
use super::view::{Stored, View};
use super::{Actor, Error, Namespace};
use crate::access::{Kind, Permissions};
use crate::audit::Address;
use crate::clock::Timestamp;
use crate::id::{NodeId, Version};
use crate::key::{Name, Tree};

/// How long the end of a closed file is waited for, and how long until it is looked for again.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
const WAIT: Duration = Duration::from_micros(500);

/// How many requests wait for that at the same time. It leaves some of the daemon's sixteen threads to others, whatever somebody opens
/// and maps; nearly always the end comes at once, so that so many never wait by chance.
const WAITING: usize = 12;

/// Those who wait for the end of a closed file.
#[derive(Default)]
pub(super) struct Waiting(AtomicUsize);

/// One of them.
pub(super) struct Turn<'a>(&'a AtomicUsize);

impl Waiting {
    /// A turn to wait, unless as many as may have one.
    pub(super) fn begin(&self) -> Option<Turn<'_>> {
        let more = |waiting: usize| (waiting < WAITING).then_some(waiting + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Turn(&self.0))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What `stat(2)` tells of an entry, and a little more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attributes {
    /// The node.
    pub node: NodeId,
    /// Directory or file.
    pub kind: Kind,
    /// Whether its value is behind the group gate.
    pub secret: bool,
    /// Owner, group, mode and ACLs.
    pub permissions: Permissions,
    /// The value's length in bytes; 0 for a directory.
    pub size: u64,
    /// For a directory 2 and one for each directory in it; for a file 1, and 0 once it has no name.
    pub links: u32,
    /// As in `stat(2)`. Reading does not move it.
    pub accessed: Timestamp,
    /// As in `stat(2)`.
    pub modified: Timestamp,
    /// As in `stat(2)`.
    pub changed: Timestamp,
    /// When the node was made.
    pub created: Timestamp,
    /// Whether the answer stays true until somebody changes the entry through the mount. It does not while a file is
    /// open for writing, or holds an older version.
    pub lasting: bool,
}

/// One line of a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The name.
    pub name: Name,
    /// What it names.
    pub node: NodeId,
    /// Directory or file.
    pub kind: Kind,
}

impl Attributes {
    pub(super) fn of(id: NodeId, node: &Node, times: Times) -> Attributes {
        let links = match (node.kind, node.removed) {
            (_, true) => 0,
            (Kind::Directory, false) => node.directories.saturating_add(2),
            (Kind::File, false) => 1,
        };
        Attributes {
            node: id,
            kind: node.kind,
            secret: node.kind == Kind::File && node.place.is_secret(),
            permissions: node.permissions.clone(),
            size: node.value.as_ref().map_or(0, Current::size),
            links,
            accessed: node.accessed,
            modified: times.modified,
            changed: times.changed,
            created: node.created,
            lasting: true,
        }
    }
}

impl Namespace {
    /// The node of an environment, for a mount that shows nothing else.
    pub fn environment(&self, name: &Name) -> Result<NodeId, Error> {
        let entry = self.view()?.entry(NodeId::ROOT, name)?.ok_or(Error::NotFound)?;
        Ok(entry.content.node)
    }

    /// The names of the environments.
    pub fn environments(&self) -> Result<Vec<Name>, Error> {
        Ok(self.view()?.entries(NodeId::ROOT)?.into_iter().map(|(name, _)| name).collect())
    }

    /// What a directory's name stands for.
    pub fn lookup(&self, parent: NodeId, name: &Name) -> Result<Attributes, Error> {
        if let Some(pending) = self.overlay.named(parent, name) {
            let state = pending.state();
            if !state.committed {
                return Ok(self.pending_attributes(pending.id, &state.node));
            }
        }
        let view = self.view()?;
        let entry = view.entry(parent, name)?.ok_or(Error::NotFound)?;
        let node = view.entry_node(parent, name, &entry)?.content;
        self.stored_attributes(&view, entry.content.node, &node)
    }

    /// The attributes of a node, also of one whose entry was removed while somebody knows it. A process that has the file
    /// open with another length, because of a version that is not the present one or of unflushed writes, is told that: a
    /// thread of what it writes itself, else of the longest, since who reads no more than it was told must not cut a value.
    pub fn attributes(&self, actor: &dyn Actor, id: NodeId) -> Result<Attributes, Error> {
        let mut attributes = self.plain_attributes(id)?;
        if attributes.kind == Kind::File && !attributes.lasting {
            let open = self.open_by(actor, id);
            let written = open.iter().rev().find(|file| file.is_being_written_by(actor.thread()));
            if let Some(file) = written.or_else(|| open.iter().max_by_key(|file| file.size())) {
                attributes.size = file.size();
            }
        }
        Ok(attributes)
    }

    /// The files of a node that the actor's process has open. The kernel tells of the end of one after close(2) has returned, and
    /// other requests can overtake that: where it makes a difference it is waited for. A mapping keeps a file open without a
    /// descriptor, and is waited for once.
    fn open_by(&self, actor: &dyn Actor, id: NodeId) -> Vec<Arc<OpenFile>> {
        let own = || {
            let mut open = self.overlay.open(id);
            open.retain(|file| actor.shares_process_with(file.thread()));
            open
        };
        let differ = |open: &[Arc<OpenFile>]| {
            open.windows(2).any(|pair| matches!(pair, [one, other] if one.size() != other.size()))
        };
        let mut open = own();
        if !differ(&open) {
            return open;
        }
        let Some(_turn) = self.waiting.begin() else { return open };
        let until = Instant::now() + LONGEST_WAIT;
        while Instant::now() < until {
            let passing = open.iter().filter(|file| !file.is_lingering()).count();
            if !differ(&open) || actor.descriptors(id).is_none_or(|held| held >= passing) {
                return open;
            }
            std::thread::sleep(WAIT);
            open = own();
        }
        // The one that is meant is the one that was opened last, or there is no telling.
        open.iter().rev().skip(1).for_each(|file| file.lingers());
        open
    }

    pub(super) fn plain_attributes(&self, id: NodeId) -> Result<Attributes, Error> {
        if let Some(pending) = self.overlay.pending(id) {
            let state = pending.state();
            if !state.committed {
                return Ok(self.pending_attributes(id, &state.node));
            }
        }
        let look = || {
            let view = self.view()?;
            let node = self.latest_node(&view, id)?;
            self.stored_attributes(&view, id, &node)
        };
        // Also what was changed by now ends with this, and must not be taken for refused.
        let mut found = look();
        for _ in 0..8 {
            match found {
                Err(Error::Superseded) => found = look(),
                found => return found,
            }
        }
        found
    }

    fn pending_attributes(&self, id: NodeId, node: &Node) -> Attributes {
        let times = Times { modified: node.modified, changed: node.changed };
        Attributes { lasting: false, ..Attributes::of(id, node, times) }
    }

    pub(super) fn stored_attributes(&self, view: &View<'_>, id: NodeId, node: &Node) -> Result<Attributes, Error> {
        match node.kind {
            Kind::Directory => Ok(Attributes::of(id, node, view.times(id, node)?)),
            Kind::File => {
                let times = Times { modified: node.modified, changed: node.changed };
                let version = node.version();
                let mut lasting = self.overlay.open(id).iter().all(|file| file.agrees_with(version));
                // A writer may have stored and left between the view and this: then nobody takes back what is told here.
                lasting = lasting && self.is_present(view, id, version);
                Ok(Attributes { lasting, ..Attributes::of(id, node, times) })
            }
        }
    }

    /// Whether a file's version in a view is the present one still.
    fn is_present(&self, view: &View<'_>, id: NodeId, version: Option<Version>) -> bool {
        let Ok(now) = self.view() else { return false };
        let same = |node: Stored<Node>| node.content.version() == version;
        now.revision() == view.revision() || now.find(id).is_ok_and(|node| node.is_some_and(same))
    }

    /// A directory's entries in the order of their names, those not committed yet included.
    pub fn list(&self, directory: NodeId) -> Result<Vec<Listed>, Error> {
        // The overlay first: what leaves it in between is in the store by then.
        let new = self.overlay.names(directory);
        let view = self.view()?;
        view.directory(directory)?;
        let stored = view.entries(directory)?;
        let mut listed: Vec<Listed> =
            stored.into_iter().map(|(name, entry)| Listed { name, node: entry.node, kind: entry.kind }).collect();
        for (name, node) in new {
            if let Err(place) = listed.binary_search_by(|entry| entry.name.cmp(&name)) {
                listed.insert(place, Listed { name, node, kind: Kind::File });
            }
        }
        Ok(listed)
    }

    /// The directory that an entry is in; the root is in itself.
    pub fn above(&self, id: NodeId) -> Result<NodeId, Error> {
        let view = self.view()?;
        Ok(self.known_node(&view, id)?.parent)
    }

    /// The kernel knows a node no longer, and so nobody does.
    pub fn forget(&self, id: NodeId) {
        self.overlay.forgotten(id);
    }

    /// An entry as people name it.
    pub fn address(&self, id: NodeId) -> Result<Address, Error> {
        let view = self.view()?;
        let node = self.known_node(&view, id)?;
        view.address(id, &node)
    }

    /// A node from the store or, while it is not there yet, from the overlay.
    pub(super) fn known_node(&self, view: &View<'_>, id: NodeId) -> Result<Node, Error> {
        if let Some(pending) = self.overlay.pending(id) {
            let state = pending.state();
            if !state.committed {
                return Ok(state.node.clone());
            }
        }
        // The view may be from before the commit that took the entry out of the overlay just now.
        match view.find(id)? {
            Some(node) => Ok(node.content),
            None => self.latest_node(&self.view()?, id),
        }
    }

    /// A node from the store or, where that forgot it while somebody knows it still, as it was then.
    fn latest_node(&self, view: &View<'_>, id: NodeId) -> Result<Node, Error> {
        match view.find(id)? {
            Some(node) => Ok(node.content),
            None => self.overlay.departed(id).ok_or(Error::Gone),
        }
    }

    /// The version of a file's present value; `None` while it has none.
    pub fn version(&self, id: NodeId) -> Result<Option<Version>, Error> {
        let view = self.view()?;
        Ok(self.known_node(&view, id)?.version())
    }

    /// The tree that a node is in; `None` above the trees.
    pub fn tree_of(&self, id: NodeId) -> Result<Option<Tree>, Error> {
        let view = self.view()?;
        Ok(match self.known_node(&view, id)?.place {
            super::row::Place::In(tree, _) => Some(tree),
            super::row::Place::Root | super::row::Place::Environment => None,
        })
    }
}
