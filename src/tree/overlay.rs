//! What is not in the store: entries that were created and not committed yet, and the files that are open.
//!
//! Invariants:
//! - A created entry has its name here until it is in the store under that name: whoever looks here first and there
//!   second misses none. It leaves only under its own lock.
//! - Locks are taken in this order: an open file's state, a pending entry's state, this table. None is held while a
//!   lock before it is taken.
//!
//! It deliberately survives nothing: what was never flushed is gone with the daemon, as a file system's cache is.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::open::OpenFile;
use super::row::Node;
use crate::access::Kind;
use crate::id::NodeId;
use crate::key::Name;

/// An entry that `open(O_CREAT)` made and no flush has committed yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) id: NodeId,
    state: Mutex<PendingState>,
}

#[derive(Debug)]
pub(super) struct PendingState {
    /// The node as it will be committed. Its `removed` says that its name was taken away before.
    pub(super) node: Node,
    /// Whether it is in the store now, where all that follows is done.
    pub(super) committed: bool,
}

impl Pending {
    pub(super) fn state(&self) -> MutexGuard<'_, PendingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Tables {
    pending: HashMap<NodeId, Arc<Pending>>,
    names: HashMap<NodeId, BTreeMap<Name, NodeId>>,
    open: HashMap<NodeId, Vec<Arc<OpenFile>>>,
    departed: HashMap<NodeId, Node>,
    departures: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Overlay(Mutex<Tables>);

/// What a namespace has done since it was mounted, and has open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Decisions on secrets that let somebody in.
    pub granted: u64,
    /// Decisions on secrets that kept somebody out.
    pub denied: u64,
    /// Commits.
    pub commits: u64,
    /// Files that are open.
    pub open_files: u64,
}

impl Overlay {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a new entry its name, unless another new one has it.
    pub(super) fn create(&self, id: NodeId, node: Node) -> Option<Arc<Pending>> {
        let (parent, name) = (node.parent, node.name.clone()?);
        let mut tables = self.tables();
        let names = tables.names.entry(parent).or_default();
        if names.contains_key(&name) {
            return None;
        }
        names.insert(name, id);
        let pending = Arc::new(Pending { id, state: Mutex::new(PendingState { node, committed: false }) });
        tables.pending.insert(id, Arc::clone(&pending));
        Some(pending)
    }

    /// The new entry of that name.
    pub(super) fn named(&self, parent: NodeId, name: &Name) -> Option<Arc<Pending>> {
        let tables = self.tables();
        let id = tables.names.get(&parent)?.get(name)?;
        tables.pending.get(id).map(Arc::clone)
    }

    /// The new entry of that id, also one whose name was taken away while it is open.
    pub(super) fn pending(&self, id: NodeId) -> Option<Arc<Pending>> {
        self.tables().pending.get(&id).map(Arc::clone)
    }

    /// The new entries of a directory.
    pub(super) fn names(&self, parent: NodeId) -> Vec<(Name, NodeId)> {
        let tables = self.tables();
        let names = tables.names.get(&parent);
        names.into_iter().flatten().map(|(name, id)| (name.clone(), *id)).collect()
    }

    /// Takes the name away; the entry stays known by its id.
    pub(super) fn unname(&self, id: NodeId, node: &Node) {
        let mut tables = self.tables();
        if let (Some(name), Some(names)) = (&node.name, tables.names.get_mut(&node.parent)) {
            // Once taken away, the name may be another new entry's by now.
            if names.get(name) == Some(&id) {
                names.remove(name);
            }
            if names.is_empty() {
                tables.names.remove(&node.parent);
            }
        }
    }

    /// Forgets an entry that is in the store now, or that nobody has open any longer.
    pub(super) fn forget(&self, id: NodeId, node: &Node) {
        self.unname(id, node);
        self.tables().pending.remove(&id);
    }

    /// Keeps nodes that the store forgets for those who know them still: a file for who has it open, a directory until the
    /// kernel forgets it too, since it is not told which directories are open.
    pub(super) fn depart(&self, nodes: &[(NodeId, Node)]) {
        if nodes.is_empty() {
            return;
        }
        let mut tables = self.tables();
        tables.departures += 1;
        for (id, node) in nodes {
            if node.kind == Kind::Directory || tables.open.contains_key(id) {
                tables.departed.insert(*id, node.clone());
            }
        }
    }

    /// How often nodes were departing: whoever opens one that it saw before this moved on looks again.
    pub(super) fn departures(&self) -> u64 {
        self.tables().departures
    }

    /// Nobody knows the node any longer.
    pub(super) fn forgotten(&self, id: NodeId) {
        let mut tables = self.tables();
        if !tables.open.contains_key(&id) {
            tables.departed.remove(&id);
        }
    }

    /// A node that is in the store no longer, while somebody knows it.
    pub(super) fn departed(&self, id: NodeId) -> Option<Node> {
        self.tables().departed.get(&id).cloned()
    }

    pub(super) fn opened(&self, file: &Arc<OpenFile>) {
        self.tables().open.entry(file.node()).or_default().push(Arc::clone(file));
    }

    /// Whether that was the last open file of its node.
    pub(super) fn closed(&self, file: &Arc<OpenFile>) -> bool {
        let mut tables = self.tables();
        let Some(files) = tables.open.get_mut(&file.node()) else { return true };
        files.retain(|other| !Arc::ptr_eq(other, file));
        let last = files.is_empty();
        if last {
            tables.open.remove(&file.node());
            tables.departed.remove(&file.node());
        }
        last
    }

    /// The open files of a node, in the order in which they were opened.
    pub(super) fn open(&self, node: NodeId) -> Vec<Arc<OpenFile>> {
        self.tables().open.get(&node).cloned().unwrap_or_default()
    }

    pub(super) fn open_files(&self) -> u64 {
        self.tables().open.values().map(|files| files.len() as u64).sum()
    }
}
