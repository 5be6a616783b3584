//! Changes in the making: entries that are staged in a transaction, until all of it is committed in one step.
//!
//! Invariants:
//! - What is staged is nowhere to be seen but in its transaction, and changes nothing until that is committed.
//! - Only the user who began a transaction stages in it and commits it.
//! - A secret's staged value is in locked memory, and is read back only by whom the gate lets in.
//! - What a user stages takes a bounded share of memory, and is dropped once nobody touches it for a while.
//! - The table's lock is held for looks and copies alone: neither the store nor a process is asked under it.
//!
//! It deliberately survives nothing: what was not committed is gone with the daemon.

mod commit;
mod stage;
mod value;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::commit::Committed;
pub use self::stage::Reader;
use self::value::Staging as StagedValue;
use super::attributes::notes_bytes;
use super::create::new_node;
use super::row::{Node, Place, Times};
use super::view::View;
use super::{Actor, Attributes, Error, Facts, Namespace};
use crate::access::gate::{self, Explanation};
use crate::access::{Kind, Mode, Permissions};
use crate::audit::Address;
use crate::clock::Timestamp;
use crate::id::{NodeId, Uid, Version};
use crate::key::{Environment, Name, Tree};

/// So many transactions a user may have at the same time.
const TRANSACTIONS: usize = 16;

/// So many names there may be in a transaction: with the rows that each takes, as many as a store takes in one batch.
const NAMES: u64 = 16_000;

/// So many directories they may be in, each counted for each name: a commit looks at all of them, while the kernel lets nobody
/// else rename.
const STEPS: u64 = 16 * NAMES;

/// So many bytes the values and notes of a transaction may be, for the same reason; and so much memory everything that a user
/// has staged may take.
const BYTES: u64 = 32 << 20;
const MEMORY: u64 = 128 << 20;

/// What a staged secret takes at the least: a page that is locked.
const PAGE: u64 = 4096;

/// What a name takes in memory without its notes, ACLs and value.
const NAME: u64 = 1024;

/// A transaction of more names than this takes a while to commit, so that only a few such are committed at a time.
const LARGE: usize = 64;
const LARGE_AT_ONCE: usize = 4;

/// The mode of a transaction's directory, nobody else's business, and of the directories in it that stand for others: what may be
/// done in those is asked when it is committed.
const PRIVATE: Mode = Mode::from_bits(0o700);

/// Why the last commit failed: a file in the transaction.
const ERROR: &str = ".error";

/// A staged entry, or a transaction: a number that is used once while the daemon runs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StagedId(pub u64);

/// The entry that stood under a name when that was staged.
#[derive(Clone)]
struct Real {
    id: NodeId,
    node: Node,
}

struct Staged {
    transaction: StagedId,
    parent: StagedId,
    /// In how many directories it is.
    depth: u64,
    /// As it is to be. Its `parent` means nothing.
    node: Node,
    children: BTreeMap<Name, StagedId>,
    /// What it changes, or stands for.
    real: Option<Real>,
    value: StagedValue,
    /// When the value was last modified, where somebody said so.
    modified: Option<Timestamp>,
    /// The version that it is to replace; 0 for none.
    if_version: Option<Version>,
    /// Whether it is to be removed.
    removal: bool,
}

/// What something that is staged takes.
#[derive(Clone, Copy, Default)]
struct Share {
    names: u64,
    /// Directories that it is in.
    steps: u64,
    /// Bytes of values and notes, which become rows.
    bytes: u64,
    /// Memory for these and for ACLs.
    memory: u64,
}

struct Transaction {
    name: Name,
    owner: Uid,
    /// The environment that it is of, in a mount of one: its entries begin with the trees then.
    only: Option<Environment>,
    touched: Timestamp,
    share: Share,
    /// Whether it is being committed: nothing is staged in it then.
    busy: bool,
}

#[derive(Default)]
struct Tables {
    last: u64,
    names: BTreeMap<Name, StagedId>,
    transactions: HashMap<StagedId, Transaction>,
    entries: HashMap<StagedId, Staged>,
}

/// All transactions.
#[derive(Default)]
pub(super) struct Transactions {
    tables: Mutex<Tables>,
    /// How many large ones are being committed.
    large: AtomicUsize,
}

impl Transactions {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Staged {
    /// A directory that stands for one that is there. Whose that is matters to what is made in it, not to who stages that.
    fn standing(transaction: StagedId, parent: StagedId, real: Real, permissions: Permissions) -> Staged {
        let node = Node { permissions, ..real.node.clone() };
        Staged::new(transaction, parent, node, Some(real))
    }

    fn new(transaction: StagedId, parent: StagedId, node: Node, real: Option<Real>) -> Staged {
        Staged {
            transaction,
            parent,
            depth: 0,
            node,
            children: BTreeMap::new(),
            real,
            value: StagedValue::Kept,
            modified: None,
            if_version: None,
            removal: false,
        }
    }

    /// Whether it stands in its transaction from the beginning: an environment or one of its trees.
    fn is_fixed(&self) -> bool {
        self.real.as_ref().is_some_and(|real| match self.node.place {
            Place::In(_, root) => root == real.id,
            Place::Root | Place::Environment => true,
        })
    }

    /// What stands in every transaction, or says why its commit failed, takes nothing of what there may be.
    fn share(&self) -> Share {
        if self.is_fixed() || self.node.place == Place::Root {
            return Share::default();
        }
        let nodes = || [Some(&self.node), self.real.as_ref().map(|real| &real.node)].into_iter().flatten();
        let acls = nodes().flat_map(|node| [&node.permissions.acl, &node.permissions.default]).flatten();
        let acls: usize = acls.map(|acl| acl.users().len() + acl.groups().len()).sum();
        let notes: usize = nodes().map(|node| notes_bytes(&node.notes)).sum();
        let value = self.value.len();
        let held = if self.is_secret() { value.next_multiple_of(PAGE) } else { value };
        let bytes = value + notes_bytes(&self.node.notes) as u64;
        Share { names: 1, steps: self.depth, bytes, memory: NAME + held + notes as u64 + 16 * acls as u64 }
    }

    fn is_secret(&self) -> bool {
        self.node.kind == Kind::File && self.node.place.is_secret()
    }
}

impl Tables {
    fn entry(&self, id: StagedId) -> Result<&Staged, Error> {
        self.entries.get(&id).ok_or(Error::Gone)
    }

    fn entry_mut(&mut self, id: StagedId) -> Result<&mut Staged, Error> {
        self.entries.get_mut(&id).ok_or(Error::Gone)
    }

    /// Insists that somebody may stage in the transaction of an entry, which is touched by that.
    fn touch(&mut self, actor: &dyn Actor, id: StagedId, now: Timestamp) -> Result<&mut Transaction, Error> {
        let transaction = self.entry(id)?.transaction;
        let transaction = self.transactions.get_mut(&transaction).ok_or(Error::Gone)?;
        if transaction.owner != actor.uid() {
            return Err(Error::Denied("the transaction is another user's"));
        }
        if transaction.busy {
            return Err(Error::Busy);
        }
        transaction.touched = now;
        Ok(transaction)
    }

    /// Makes a change of an entry. Where more is staged then than may be, it is undone.
    fn revise(
        &mut self,
        id: StagedId,
        change: impl FnOnce(&mut Staged) -> Result<(), Error>,
        undo: impl FnOnce(&mut Staged),
    ) -> Result<(), Error> {
        let entry = self.entry_mut(id)?;
        let (transaction, before) = (entry.transaction, entry.share());
        let changed = change(entry);
        let after = entry.share();
        let spent = self.spend(transaction, before, after);
        if spent.is_err() {
            let entry = self.entry_mut(id)?;
            undo(entry);
            let after = entry.share();
            // It takes no more than before.
            self.spend(transaction, before, after)?;
        }
        spent.and(changed)
    }

    /// Counts what an entry takes instead of what it took before, unless that is more than there may be.
    fn spend(&mut self, transaction: StagedId, before: Share, after: Share) -> Result<(), Error> {
        let all = self.transactions.get(&transaction).ok_or(Error::Gone)?;
        let of_user = self.transactions.values().filter(|other| other.owner == all.owner);
        let memory = of_user.map(|other| other.share.memory).sum();
        let beyond = |part: fn(&Share) -> u64, all: u64, limit: u64| {
            let (before, after) = (part(&before), part(&after));
            after > before && all + (after - before) > limit
        };
        let quota = if beyond(|share| share.names, all.share.names, NAMES) {
            Some("a transaction has at most 16,000 names")
        } else if beyond(|share| share.steps, all.share.steps, STEPS) {
            Some("the names of a transaction are in at most 256,000 directories, each counted for each name")
        } else if beyond(|share| share.bytes, all.share.bytes, BYTES) || beyond(|share| share.memory, memory, MEMORY) {
            Some("a transaction takes at most 32 MiB, and all of a user's 128 MiB of memory")
        } else {
            None
        };
        if let Some(quota) = quota {
            return Err(Error::Quota(quota));
        }
        if let Some(Transaction { share, .. }) = self.transactions.get_mut(&transaction) {
            let moved = |all: u64, part: fn(&Share) -> u64| (all + part(&after)).saturating_sub(part(&before));
            *share = Share {
                names: moved(share.names, |share| share.names),
                steps: moved(share.steps, |share| share.steps),
                bytes: moved(share.bytes, |share| share.bytes),
                memory: moved(share.memory, |share| share.memory),
            };
        }
        Ok(())
    }

    fn insert(&mut self, mut entry: Staged) -> Result<StagedId, Error> {
        let name = entry.node.name.clone().ok_or(Error::NotFound)?;
        let above = self.entry(entry.parent)?;
        if above.children.contains_key(&name) {
            return Err(Error::Exists);
        }
        entry.depth = above.depth + 1;
        self.spend(entry.transaction, Share::default(), entry.share())?;
        self.last += 1;
        let id = StagedId(self.last);
        self.entry_mut(entry.parent)?.children.insert(name, id);
        self.entries.insert(id, entry);
        Ok(id)
    }

    /// Takes an entry away with all that is in it.
    fn remove(&mut self, id: StagedId) -> Option<Staged> {
        let removed = self.entries.remove(&id)?;
        let mut below: Vec<StagedId> = removed.children.values().copied().collect();
        while let Some(id) = below.pop() {
            below.extend(self.entries.remove(&id).into_iter().flat_map(|entry| entry.children.into_values()));
        }
        if let (Some(name), Some(above)) = (&removed.node.name, self.entries.get_mut(&removed.parent)) {
            above.children.remove(name);
        }
        Some(removed)
    }

    fn drop_transaction(&mut self, id: StagedId) {
        if let Some(transaction) = self.transactions.remove(&id) {
            self.names.remove(&transaction.name);
        }
        self.remove(id);
    }

    /// A staged entry as people name it.
    fn address(&self, id: StagedId) -> Option<Address> {
        let entry = self.entries.get(&id)?;
        let Place::In(tree, _) = entry.node.place else { return None };
        let mut names = path(&self.entries, id).into_iter();
        let environment = match &self.transactions.get(&entry.transaction)?.only {
            Some(only) => Some(only.clone()),
            None => names.next().and_then(|name| Environment::new(name.clone()).ok()),
        };
        // Behind the tree begins the key.
        let key = names.skip(1).map(Name::as_str).collect::<Vec<_>>().join("/");
        Some(Address { environment, tree: Some(tree), key })
    }
}

/// The names from a transaction downwards to one of its entries.
fn path(entries: &HashMap<StagedId, Staged>, mut id: StagedId) -> Vec<&Name> {
    let mut names = Vec::new();
    while let Some(entry) = entries.get(&id).filter(|entry| entry.transaction != id) {
        names.extend(&entry.node.name);
        id = entry.parent;
    }
    names.reverse();
    names
}

impl Namespace {
    /// Begins a transaction, of all environments or of one alone. Its trees stand in it from the beginning, as what they are.
    pub fn begin(&self, actor: &dyn Actor, name: &Name, only: Option<NodeId>) -> Result<(StagedId, Attributes), Error> {
        let view = self.view()?;
        let now = self.clock.now();
        let mut environments = Vec::new();
        match only {
            Some(id) => environments.push((id, view.directory(id)?.content)),
            None => {
                for (_, entry) in view.entries(NodeId::ROOT)? {
                    environments.push((entry.node, view.directory(entry.node)?.content));
                }
            }
        }
        let permissions = Permissions::new(actor.uid(), actor.gid(), PRIVATE);
        let root = new_node(Kind::Directory, Place::Root, NodeId::ROOT, name, permissions.clone(), now);
        let mut tables = self.transactions.tables();
        let own = tables.transactions.values().filter(|transaction| transaction.owner == actor.uid()).count();
        if own >= TRANSACTIONS {
            return Err(Error::Quota("a user has at most 16 transactions at a time; remove or commit one"));
        }
        if tables.names.contains_key(name) {
            return Err(Error::Exists);
        }
        tables.last += 1;
        let id = StagedId(tables.last);
        tables.entries.insert(id, Staged::new(id, id, root, None));
        tables.names.insert(name.clone(), id);
        let (owner, share) = (actor.uid(), Share::default());
        let shown = environments.first().filter(|_| only.is_some()).and_then(|(_, node)| node.name.clone());
        let only_of = shown.and_then(|name| Environment::new(name).ok());
        let transaction = Transaction { name: name.clone(), owner, only: only_of, touched: now, share, busy: false };
        tables.transactions.insert(id, transaction);
        for (environment, node) in environments {
            let real = Real { id: environment, node };
            let above = match only {
                Some(_) => id,
                None => tables.insert(Staged::standing(id, id, real, permissions.clone()))?,
            };
            for tree in Tree::ALL {
                let Some(entry) = view.entry(environment, &Name::parse(tree.as_str().as_bytes())?)? else { continue };
                let real = Real { id: entry.content.node, node: view.directory(entry.content.node)?.content };
                tables.insert(Staged::standing(id, above, real, permissions.clone()))?;
            }
        }
        Ok((id, attributes(tables.entry(id)?)))
    }

    /// The transactions that somebody may see: their own, or all for the superuser.
    pub fn begun(&self, actor: &dyn Actor) -> Vec<(Name, StagedId)> {
        let tables = self.transactions.tables();
        let visible = |transaction: &Transaction| [transaction.owner, Uid::ROOT].contains(&actor.uid());
        let shown = tables.transactions.iter().filter(|(_, transaction)| visible(transaction));
        shown.map(|(id, transaction)| (transaction.name.clone(), *id)).collect()
    }

    /// How many transactions there are.
    pub fn transactions(&self) -> usize {
        self.transactions.tables().transactions.len()
    }

    /// The transaction of a name.
    pub fn transaction(&self, name: &Name) -> Result<(StagedId, Attributes), Error> {
        let tables = self.transactions.tables();
        let id = *tables.names.get(name).ok_or(Error::NotFound)?;
        Ok((id, attributes(tables.entry(id)?)))
    }

    /// Drops a transaction in which nothing is staged.
    pub fn end(&self, name: &Name) -> Result<(), Error> {
        let mut tables = self.transactions.tables();
        let id = *tables.names.get(name).ok_or(Error::NotFound)?;
        let transaction = tables.transactions.get(&id).ok_or(Error::NotFound)?;
        if transaction.busy {
            return Err(Error::Busy);
        }
        if transaction.share.names > 0 {
            return Err(Error::NotEmpty);
        }
        tables.drop_transaction(id);
        Ok(())
    }

    /// Drops the transactions that nobody has touched for as long as the limit says.
    pub fn drop_abandoned(&self) {
        let now = self.clock.now();
        let limit = i64::try_from(self.limits.transaction.as_nanos()).unwrap_or(i64::MAX);
        let mut tables = self.transactions.tables();
        let abandoned =
            |transaction: &Transaction| !transaction.busy && now.0.saturating_sub(transaction.touched.0) > limit;
        let old: Vec<StagedId> =
            tables.transactions.iter().filter(|(_, transaction)| abandoned(transaction)).map(|(id, _)| *id).collect();
        for id in old {
            log::info!("a transaction was abandoned, and is dropped");
            tables.drop_transaction(id);
        }
    }

    /// The attributes of a staged entry.
    pub fn staged(&self, id: StagedId) -> Result<Attributes, Error> {
        Ok(attributes(self.transactions.tables().entry(id)?))
    }

    /// What a staged directory's name stands for.
    pub fn staged_lookup(&self, parent: StagedId, name: &Name) -> Result<(StagedId, Attributes), Error> {
        let tables = self.transactions.tables();
        let id = *tables.entry(parent)?.children.get(name).ok_or(Error::NotFound)?;
        Ok((id, attributes(tables.entry(id)?)))
    }

    /// The names in a staged directory.
    pub fn staged_list(&self, id: StagedId) -> Result<Vec<(Name, StagedId, Kind)>, Error> {
        let tables = self.transactions.tables();
        let entry = tables.entry(id)?;
        if entry.node.kind == Kind::File {
            return Err(Error::NotADirectory);
        }
        let kind = |id: &StagedId| tables.entries.get(id).map_or(Kind::File, |entry| entry.node.kind);
        Ok(entry.children.iter().map(|(name, id)| (name.clone(), *id, kind(id))).collect())
    }

    /// The directory above a staged one; `None` for a transaction.
    pub fn staged_above(&self, id: StagedId) -> Result<Option<StagedId>, Error> {
        let tables = self.transactions.tables();
        let entry = tables.entry(id)?;
        Ok((entry.transaction != id).then_some(entry.parent))
    }

    /// What anybody may know of a staged entry who may look its name up.
    pub fn staged_facts(&self, id: StagedId) -> Result<Facts, Error> {
        let tables = self.transactions.tables();
        let Staged { node, real, .. } = tables.entry(id)?;
        Ok(Facts {
            version: real.as_ref().and_then(|real| real.node.version()),
            created: node.created,
            modified: node.modified,
            modified_by: None,
            expires: node.expires,
            permissions: node.permissions.clone(),
        })
    }

    /// Whether a staged entry is to be removed, and which version its commit insists on.
    pub fn staged_marks(&self, id: StagedId) -> Result<(bool, Option<Version>), Error> {
        let tables = self.transactions.tables();
        let entry = tables.entry(id)?;
        Ok((entry.removal, entry.if_version))
    }

    /// The notes of a staged entry, by their names without `user.`.
    pub fn staged_notes(&self, id: StagedId) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Error> {
        Ok(self.transactions.tables().entry(id)?.node.notes.clone())
    }

    /// Which rule lets a process read and write a staged entry, or keeps it out.
    pub fn explain_staged(&self, actor: &dyn Actor, id: StagedId) -> Result<Explanation, Error> {
        let (permissions, secret) = {
            let tables = self.transactions.tables();
            let entry = tables.entry(id)?;
            (entry.node.permissions.clone(), entry.is_secret())
        };
        Ok(gate::explain(&permissions, &super::caller(actor), secret))
    }
}

/// A value that is cut for lack of room is not to be committed as if it were whole.
fn without_value(entry: &mut Staged) {
    entry.value = StagedValue::Kept;
}

fn attributes(entry: &Staged) -> Attributes {
    let Node { modified, changed, .. } = entry.node;
    let id = entry.real.as_ref().map_or(NodeId::ROOT, |real| real.id);
    let below = entry.children.len() as u32;
    let links = if entry.node.kind == Kind::Directory { below.saturating_add(2) } else { 1 };
    let times = Times { modified, changed };
    let size = entry.value.len();
    Attributes { size, links, lasting: false, ..Attributes::of(id, &entry.node, times) }
}

/// The entry of a name in the directory that a staged one stands for, if somebody may search that, and the permissions of that.
fn look(view: &View<'_>, actor: &dyn Actor, parent: NodeId, name: &Name) -> Result<(Option<Real>, Permissions), Error> {
    let above = view.directory(parent)?.content;
    super::history::may_search(actor, &above)?;
    let real = match view.entry(parent, name)? {
        Some(entry) => Some(Real { id: entry.content.node, node: view.entry_node(parent, name, &entry)?.content }),
        None => None,
    };
    Ok((real, above.permissions))
}
