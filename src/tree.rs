//! The namespace: entries, values and their versions, as conditions and changes of rows.
//!
//! Invariants:
//! - An operation is one commit, or nothing: its conditions name every row that its decision rests on, and where one
//!   of them has moved the whole decision is taken again.
//! - No value of a secret leaves this layer but to a caller whom the gate let in, with the decision on record.
//! - A key is a file or a directory; it has one parent; no directory is its own ancestor.
//! - A version is written once. What a reader opened stays what it reads.
//! - No lock is held across a write to the medium but those of the one entry that is written.
//!
//! It deliberately leaves plain POSIX permission to the kernel, which checks it before a request arrives
//! (`default_permissions`), except where the kernel can't know: the group gate, the trees' roots, history and the control
//! attributes. It knows ids, never names of users and groups, and nothing of FUSE.

mod addresses;
mod attributes;
mod change;
mod count;
mod create;
mod error;
mod events;
mod history;
mod lookup;
mod open;
mod overlay;
mod remove;
mod rename;
pub mod row;
mod setup;
mod staging;
mod verify;
mod view;
mod write;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

pub use self::attributes::{Alteration, Change as AttributeChange, Facts, Note, SetTime};
pub use self::count::Count;
pub use self::error::Error;
pub use self::events::{Batch as EventBatch, Cursor, Shown};
pub use self::history::{Past, PastVersion};
pub use self::lookup::{Attributes, Listed};
pub use self::open::{OpenFile, OpenMode};
pub use self::overlay::Totals;
pub use self::rename::RenameMode;
pub use self::setup::{NewStore, Parts, SetupError, create as create_store, format, unlock};
pub use self::staging::{Committed, Reader, StagedId};
pub use self::verify::{Finding, Severity, Verified, verify};
use crate::access::check::{self, Class, Refusal};
use crate::access::gate::{Denial, Reason};
use crate::access::{Caller, Kind, Mode, Permissions, Rights};
use crate::audit::{Address, Audit, Event, Process, Record};
use crate::clock::Clock;
use crate::id::{Gid, NodeId, Revision, Uid, Version};
use crate::seal::Seal;
use crate::store::Store;
use change::Draft;
use overlay::Overlay;
use row::Settings;

/// The process on whose behalf something is done.
///
/// What takes a look at the process is asked for only when it decides something.
pub trait Actor {
    /// Its filesystem uid.
    fn uid(&self) -> Uid;
    /// Its filesystem gid.
    fn gid(&self) -> Gid;
    /// The thread that is waiting for the answer; 0 where it is not known.
    fn thread(&self) -> u32;
    /// Its supplementary groups; `None` where they can't be learnt, which lets nobody in.
    fn supplementary(&self) -> Option<&[Gid]>;
    /// What the audit log says of it.
    fn process(&self) -> Process;
    /// Whether it may do what permissions keep the superuser from as well: whether that has its capabilities. Where the kernel was
    /// asked, it has looked.
    fn overrides(&self) -> bool {
        self.uid() == Uid::ROOT
    }
    /// Whether it is of the same process as another thread.
    fn shares_process_with(&self, thread: u32) -> bool;
    /// Whether its process has a descriptor of this node open to write.
    fn has_open(&self, node: NodeId) -> bool;
    /// Whether `thread` is of another process, and that has a descriptor of this node open to write. Where that can't be
    /// learnt it has not.
    fn has_open_elsewhere(&self, _thread: u32, _node: NodeId) -> bool {
        false
    }
    /// How many descriptors of this node its process has; `None` where that can't be learnt.
    fn descriptors(&self, _node: NodeId) -> Option<usize> {
        None
    }
}

/// Asks `question` with the primary group alone, and again with the supplementary ones if those could matter.
fn with_groups<T>(actor: &dyn Actor, question: impl Fn(&Caller<'_>) -> Result<T, Denial>) -> Result<T, Denial> {
    let primary = Caller { uid: actor.uid(), gid: actor.gid(), supplementary: None };
    match question(&primary) {
        Err(Denial { reason: Reason::GroupsUnknown { .. }, .. }) => {
            question(&Caller { supplementary: actor.supplementary(), ..primary })
        }
        answer => answer,
    }
}

/// Whether permission bits and ACL allow this. The supplementary groups are asked for only where they matter.
fn permits(actor: &dyn Actor, permissions: &Permissions, want: Rights, kind: Kind) -> bool {
    let primary = Caller { uid: actor.uid(), gid: actor.gid(), supplementary: None };
    match check::decide(permissions, &primary, want, kind) {
        Ok(Class::Root) => actor.overrides() || is_let_in(permissions, &caller(actor), want, kind),
        Ok(_) => true,
        Err(Refusal::GroupsUnknown) => is_let_in(permissions, &caller(actor), want, kind),
        Err(_) => false,
    }
}

/// Whether a class lets the caller in, without its being root.
fn is_let_in(permissions: &Permissions, caller: &Caller<'_>, want: Rights, kind: Kind) -> bool {
    check::decide(permissions, caller, want, kind).is_ok_and(|class| class != Class::Root)
}

/// The caller with all its groups, as far as they are known: one that they keep out is not to come in as anybody else.
fn caller(actor: &dyn Actor) -> Caller<'_> {
    Caller { uid: actor.uid(), gid: actor.gid(), supplementary: actor.supplementary() }
}

/// Who makes an entry in a directory with these permissions. Their groups matter only where the directory gives its own.
fn creator<'a>(actor: &'a dyn Actor, directory: &Permissions) -> Caller<'a> {
    if directory.mode.contains(Mode::SETGID) {
        caller(actor)
    } else {
        Caller { uid: actor.uid(), gid: actor.gid(), supplementary: None }
    }
}

/// What of a namespace may be set anew at each mount.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest value, in bytes.
    pub value: u64,
    /// How long a decision of the gate holds for the thread that it was taken on, while permissions don't change. A
    /// process that drops its groups and runs another program takes longer.
    pub lease: Duration,
    /// How long a transaction stays that nobody touches.
    pub transaction: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { value: 1 << 20, lease: Duration::from_micros(500), transaction: Duration::from_secs(600) }
    }
}

/// The entries of one store.
pub struct Namespace {
    store: Arc<dyn Store>,
    seal: Arc<Seal>,
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    limits: Limits,
    events: events::Events,
    overlay: Overlay,
    transactions: staging::Transactions,
    waiting: lookup::Waiting,
    addresses: addresses::Addresses,
    /// Held by everybody who commits, and alone by whoever has met conflict after conflict.
    patience: RwLock<()>,
    /// Moved on whenever somebody's permission to read may have changed.
    epoch: AtomicU64,
    granted: AtomicU64,
    denied: AtomicU64,
    commits: AtomicU64,
}

impl Namespace {
    /// The entries of an unlocked store.
    pub fn new(parts: Parts, audit: Arc<Audit>, clock: Arc<dyn Clock>, limits: Limits) -> Namespace {
        let revision = parts.store.snapshot().map_or(Revision(0), |snapshot| snapshot.revision());
        Namespace {
            store: parts.store,
            seal: parts.seal,
            audit,
            clock,
            settings: parts.settings,
            limits,
            events: events::Events::after(revision),
            overlay: Overlay::default(),
            transactions: staging::Transactions::default(),
            waiting: lookup::Waiting::default(),
            addresses: addresses::Addresses::default(),
            patience: RwLock::new(()),
            epoch: AtomicU64::new(1),
            granted: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            commits: AtomicU64::new(0),
        }
    }

    /// The store below.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The audit log.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// What was decided and committed since the start.
    pub fn totals(&self) -> Totals {
        Totals {
            granted: self.granted.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            open_files: self.overlay.open_files(),
        }
    }

    /// The limits of this mount.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn permissions_changed(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Puts what was found to be damaged on record, and makes an error of it.
    fn tampered(&self, what: String, address: Option<Address>, version: Option<Version>) -> Error {
        log::error!("the store is damaged: {what}");
        self.audit.note(&Record {
            time: self.clock.now(),
            event: Event::Tampered { what: what.clone() },
            address,
            version,
            process: None,
        });
        Error::Tampered(what)
    }
}

impl std::fmt::Debug for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Namespace({})", self.seal.store())
    }
}

/// The mode of what a store has from the beginning, and of each environment's directory.
const DIRECTORY_MODE: Mode = Mode::from_bits(0o755);

/// The mode of a tree's root: anyone may add, and the daemon keeps deletion restricted.
const TREE_ROOT_MODE: Mode = Mode::from_bits(0o777);

/// Whether a node is a tree's root.
fn is_tree_root(id: NodeId, node: &row::Node) -> bool {
    node.kind == Kind::Directory && matches!(node.place, row::Place::In(_, root) if root == id)
}

#[cfg(test)]
mod tests;
