//! Open files: what each reads, what was written to it and not flushed, and who was let in by the gate.
//!
//! Invariants:
//! - A file reads the version that it was opened on, or what was written through it: never a mixture that nobody wrote.
//! - A secret's bytes are given out only under a decision of the gate on the process that asks, taken with the entry's
//!   permissions as they are.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::overlay::Pending;
use super::row::{Node, Value};
use super::view::View;
use super::{Actor, Error, Namespace, with_groups};
use crate::access::gate::{self, Denial, Grant, Rule};
use crate::access::{Caller, Kind, Permissions};
use crate::audit::{Address, Event, Process, Record};
use crate::clock::Timestamp;
use crate::id::{Gid, NodeId, Revision, Uid, Version};
use crate::seal::Binding;
use crate::seal::memory::SecretBytes;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OpenMode {
    /// To read.
    pub read: bool,
    /// To write.
    pub write: bool,
    /// To write at the end alone.
    pub append: bool,
    /// To begin with nothing.
    pub truncate: bool,
}

/// What was done to an open file since its last commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    Nothing,
    /// It was opened to begin with nothing, or created, and nothing was written yet.
    Emptied,
    Written,
}

/// The last decision of the gate on a reader of this file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Lease {
    thread: u32,
    uid: Uid,
    gid: Gid,
    epoch: u64,
    since: Instant,
}

/// Why what was written is not all of what was to be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Spoiled {
    TooLarge,
    NoMemory,
}

pub(super) struct State {
    /// What reads get, but for what was appended.
    pub(super) content: SecretBytes,
    /// Whether `content` is there. A file that is only appended to never needs it.
    pub(super) loaded: bool,
    /// What was written to the end and not committed.
    pub(super) appended: SecretBytes,
    /// The length of what is not loaded.
    pub(super) length: u64,
    /// Whether a commit adds `appended` to the value that is current then, instead of replacing it.
    pub(super) appending: bool,
    /// The version that `content` began as; `None` where it began as nothing.
    pub(super) version: Option<Version>,
    /// The same as the node counts, whose numbers don't change when it takes over a name.
    pub(super) own: Option<u64>,
    pub(super) progress: Progress,
    /// Whether the last flush told its caller that it failed.
    pub(super) failed: bool,
    /// Whether bytes of `content` came out of the store, instead of from whoever writes.
    pub(super) carries: bool,
    /// The permissions that a secret's `content` was stored under: they count with the present ones once it is an earlier
    /// version's.
    pub(super) under: Option<Permissions>,
    /// The commit is to fail unless this is the version that it replaces.
    pub(super) if_version: Option<Version>,
    /// The time of modification that was set since the last write: the commit's own, as it is where a write is at once.
    pub(super) modified: Option<Timestamp>,
    /// A write failed, for lack of room or of memory: what stands here is only a part of what was to be the value.
    pub(super) spoiled: Option<Spoiled>,
    lease: Option<Lease>,
}

/// Where an open file's value comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    /// The store, as of a revision.
    Present(Revision),
    /// An entry that is not in the store yet, and that another opening has made.
    New,
    /// The same, which this opening makes.
    Made,
    /// The history.
    Past,
}

/// A file that somebody has open.
pub struct OpenFile {
    node: NodeId,
    secret: bool,
    mode: OpenMode,
    opener: Process,
    thread: u32,
    /// The thread that wrote last; 0 where it is not known.
    writer: AtomicU32,
    /// Whether another process than its opener's has written to it.
    foreign: AtomicBool,
    /// Whether a descriptor of it was closed and nothing was written to it since: it may be on its way out.
    closing: AtomicBool,
    /// Whether its end was waited for in vain: it is mapped, or held by somebody else.
    lingering: AtomicBool,
    origin: Origin,
    pub(super) pending: Option<Arc<Pending>>,
    state: Mutex<State>,
}

impl OpenFile {
    /// The node that it is of.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// What it was opened for.
    pub fn mode(&self) -> OpenMode {
        self.mode
    }

    /// Whether there can be anything to commit. It needs no lock, which the last reader may hold still as it ends its answer.
    pub(super) fn may_have_to_commit(&self) -> bool {
        self.mode.write || self.mode.truncate || self.pending.is_some()
    }

    /// The thread that opened it.
    pub fn thread(&self) -> u32 {
        self.thread
    }

    /// Notes who is about to write.
    pub fn written_by(&self, actor: &dyn Actor) {
        self.writer.store(actor.thread(), Ordering::Relaxed);
        self.closing.store(false, Ordering::Relaxed);
        if self.secret && !self.is_opened_by(actor) {
            self.foreign.store(true, Ordering::Release);
        }
    }

    /// Notes that a descriptor of it was closed.
    pub(super) fn closes(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Whether this thread opened it to write, and has not closed it since it wrote.
    pub(super) fn is_being_written_by(&self, thread: u32) -> bool {
        self.mode.write && self.thread == thread && !self.closing.load(Ordering::Relaxed)
    }

    /// Notes that its end was waited for in vain.
    pub(super) fn lingers(&self) {
        self.lingering.store(true, Ordering::Relaxed);
    }

    /// Whether its end need not be waited for.
    pub(super) fn is_lingering(&self) -> bool {
        self.lingering.load(Ordering::Relaxed)
    }

    /// Whether somebody else than who opened it has written to it: what its opener may read says nothing of what stands in
    /// it then, whoever commits it.
    pub(super) fn is_foreign(&self) -> bool {
        self.foreign.load(Ordering::Acquire)
    }

    /// The thread that wrote last; 0 where it is not known.
    pub(super) fn writer(&self) -> u32 {
        self.writer.load(Ordering::Relaxed)
    }

    /// The version that it reads, for a file that was opened to read alone.
    pub fn version(&self) -> Option<Version> {
        self.state().version
    }

    /// Whether somebody is of the process that opened it, as it was then.
    pub(super) fn is_opened_by(&self, actor: &dyn Actor) -> bool {
        (self.opener.uid, self.opener.gid) == (actor.uid(), actor.gid()) && actor.shares_process_with(self.thread)
    }

    /// Who opened it, for what happens when nobody waits any longer.
    pub(super) fn opener(&self) -> Remembered {
        Remembered { process: self.opener.clone(), thread: self.thread }
    }

    /// Whether it is behind the group gate.
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether opening it made the entry.
    pub fn made_entry(&self) -> bool {
        self.origin == Origin::Made
    }

    /// How long the value is as this file sees it, in bytes.
    pub fn size(&self) -> u64 {
        self.state().size()
    }

    /// Whether a listing's answer for `version` is what this file's owner would see too.
    pub(super) fn agrees_with(&self, version: Option<Version>) -> bool {
        self.origin == Origin::Past || (!self.mode.write && self.state().version == version)
    }

    /// Whoever sets the time of modification means what was written until then, also where it is stored later.
    pub(super) fn modified_at(&self, time: Option<Timestamp>) {
        let mut state = self.state();
        if state.progress != Progress::Nothing {
            state.modified = time;
        }
    }

    /// Commits with the next flush only if `version` is what is replaced.
    pub(super) fn expect_version(&self, version: Version) {
        self.state().if_version = Some(version);
    }
}

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenFile({} {:?})", self.node, self.mode)
    }
}

/// Somebody who is not waiting for an answer.
pub(super) struct Remembered {
    process: Process,
    thread: u32,
}

impl Remembered {
    /// The daemon itself, in somebody's name.
    pub(super) fn nobody_waiting(uid: Uid, gid: Gid) -> Remembered {
        Remembered { process: Process { pid: std::process::id(), uid, gid, executable: None }, thread: 0 }
    }
}

impl Actor for Remembered {
    fn uid(&self) -> Uid {
        self.process.uid
    }
    fn gid(&self) -> Gid {
        self.process.gid
    }
    fn thread(&self) -> u32 {
        self.thread
    }
    fn supplementary(&self) -> Option<&[Gid]> {
        None
    }
    fn process(&self) -> Process {
        self.process.clone()
    }
    fn shares_process_with(&self, thread: u32) -> bool {
        thread == self.thread
    }
    fn has_open(&self, _: NodeId) -> bool {
        false
    }
}

impl Namespace {
    /// Opens a file. The kernel has asked the permission bits; here the gate is asked.
    pub fn open(&self, actor: &dyn Actor, id: NodeId, mode: OpenMode) -> Result<Arc<OpenFile>, Error> {
        if let Some(pending) = self.overlay.pending(id) {
            let state = pending.state();
            if !state.committed {
                let node = state.node.clone();
                drop(state);
                return self.open_pending(actor, &node, pending, mode);
            }
        }
        let lease = self.lease(actor);
        let departures = self.overlay.departures();
        let view = self.view()?;
        let node = view.node(id)?.content;
        if node.kind == Kind::Directory {
            return Err(Error::IsADirectory);
        }
        // What was looked up just before it was replaced is still read, whole, so that no reader fails in a storm of
        // renames. To be written it must be looked up again, and what was removed is gone.
        if node.removed && (mode.write || mode.truncate || !replaced(&view, id, &node)?) {
            return Err(Error::Gone);
        }
        let current = node.value.as_ref().ok_or(Error::Gone)?;
        if mode.read && node.expires.is_some_and(|expires| expires <= self.clock.now()) {
            return Err(Error::Expired);
        }
        let version = Some(current.version());
        let secret = node.place.is_secret();
        let mut state = State::empty(mode, version);
        state.own = Some(current.own);
        state.length = current.size();
        let mut grant = None;
        if secret && mode.read {
            grant = Some(self.ask(
                actor,
                || view.address(id, &node).ok(),
                version,
                |caller| gate::read(&node.permissions, caller, id),
            )?);
            state.lease = Some(lease);
        }
        if mode.truncate {
            state.loaded = true;
            state.progress = Progress::Emptied;
        } else if mode.read || !mode.append {
            let (_, value) = view.current_value(id, &node)?;
            state.carries = true;
            state.under = secret.then(|| node.permissions.clone());
            state.content = self.opened(&view, id, &node, current.own, value, grant)?;
            state.loaded = true;
        }
        let file = self.enter(actor, id, secret, mode, None, Origin::Present(view.revision()), state);
        // Its last version may have been pruned before it was known to be open; then it is looked up again.
        if departures != self.overlay.departures()
            && let Err(error) = self.plain_attributes(id)
        {
            self.overlay.closed(&file);
            return Err(error);
        }
        Ok(file)
    }

    /// Whether another value may have come since a file was opened. What was told of the entry meanwhile, to be kept, took no
    /// account of this file, and must be taken back.
    pub fn is_behind(&self, file: &OpenFile) -> bool {
        let Ok(view) = self.view() else { return true };
        if file.origin == Origin::Past || file.origin == Origin::Present(view.revision()) {
            return false;
        }
        !view.find(file.node).is_ok_and(|node| node.and_then(|node| node.content.version()) == file.version())
    }

    fn open_pending(
        &self,
        actor: &dyn Actor,
        node: &Node,
        pending: Arc<Pending>,
        mode: OpenMode,
    ) -> Result<Arc<OpenFile>, Error> {
        let id = pending.id;
        if mode.read && node.expires.is_some_and(|expires| expires <= self.clock.now()) {
            return Err(Error::Expired);
        }
        let mut state = State::empty(mode, None);
        state.loaded = true;
        if mode.truncate {
            state.progress = Progress::Emptied;
        }
        if node.place.is_secret() && mode.read {
            let view = self.view()?;
            let lease = self.lease(actor);
            // There is no value to open yet: what the grant would be for is what comes to be written.
            drop(self.ask(
                actor,
                || view.address(id, node).ok(),
                None,
                |caller| gate::read(&node.permissions, caller, id),
            )?);
            state.lease = Some(lease);
        }
        // Whoever closes it as the last one forgets it under this lock, and not once it is open again.
        let entry = Arc::clone(&pending);
        let entry = entry.state();
        if !entry.committed && self.overlay.pending(id).is_none() {
            return Err(Error::Gone);
        }
        Ok(self.enter(actor, id, node.place.is_secret(), mode, Some(pending), Origin::New, state))
    }

    /// The file that `create` gives to whoever made the entry.
    pub(super) fn open_created(
        &self,
        actor: &dyn Actor,
        pending: Arc<Pending>,
        secret: bool,
        mode: OpenMode,
    ) -> Arc<OpenFile> {
        let mut state = State::empty(mode, None);
        state.loaded = true;
        state.progress = Progress::Emptied;
        self.enter(actor, pending.id, secret, mode, Some(pending), Origin::Made, state)
    }

    /// The file of an earlier version, read only.
    #[allow(clippy::too_many_arguments)] // the parts of one struct, as `open_version` has just learnt them
    pub(super) fn open_past(
        &self,
        actor: &dyn Actor,
        id: NodeId,
        secret: bool,
        version: Version,
        permissions: Permissions,
        content: SecretBytes,
        lease: Lease,
    ) -> Arc<OpenFile> {
        let mode = OpenMode { read: true, ..OpenMode::default() };
        let mut state = State::empty(mode, Some(version));
        state.content = content;
        state.loaded = true;
        state.under = Some(permissions);
        state.lease = Some(lease);
        self.enter(actor, id, secret, mode, None, Origin::Past, state)
    }

    #[allow(clippy::too_many_arguments)] // the parts of one struct, which nobody else puts together
    fn enter(
        &self,
        actor: &dyn Actor,
        node: NodeId,
        secret: bool,
        mode: OpenMode,
        pending: Option<Arc<Pending>>,
        origin: Origin,
        state: State,
    ) -> Arc<OpenFile> {
        let opener = Process { pid: actor.thread(), uid: actor.uid(), gid: actor.gid(), executable: None };
        let state = Mutex::new(state);
        let file = Arc::new(OpenFile {
            node,
            secret,
            mode,
            opener,
            thread: actor.thread(),
            writer: AtomicU32::new(0),
            foreign: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            lingering: AtomicBool::new(false),
            origin,
            pending,
            state,
        });
        self.overlay.opened(&file);
        file
    }

    /// The bytes of a value. A secret is opened by the grant, or for the daemon's own use where there is none.
    pub(super) fn opened(
        &self,
        view: &View<'_>,
        id: NodeId,
        node: &Node,
        own: u64,
        value: Value,
        grant: Option<Grant>,
    ) -> Result<SecretBytes, Error> {
        let secret = node.place.is_secret();
        let version = Version(own);
        let spoiled = |what: String| {
            let address = view.address(id, node).ok();
            self.tampered(what, address, node.version())
        };
        if value.sealed != secret {
            return Err(spoiled(format!("version {own} of node {id} is of the other tree's kind")));
        }
        let content = if secret {
            let binding = Binding::new(id, version, &value.permissions);
            let grant = grant.unwrap_or_else(|| gate::carry(id));
            match self.seal.open(grant, &binding, &value.content) {
                Ok(opened) => opened.into_value(),
                Err(crate::seal::SealError::Memory(error)) => return Err(error.into()),
                Err(error) => return Err(spoiled(format!("version {own} of node {id}: {error}"))),
            }
        } else {
            SecretBytes::copy_of(&value.content)?
        };
        if content.len() as u64 != value.size {
            return Err(spoiled(format!("version {own} of node {id} has another length than its row says")));
        }
        Ok(content)
    }

    /// Asks the gate, and puts its decision on record before anybody can act on it.
    pub(super) fn ask(
        &self,
        actor: &dyn Actor,
        address: impl FnOnce() -> Option<Address>,
        version: Option<Version>,
        question: impl Fn(&Caller<'_>) -> Result<Grant, Denial>,
    ) -> Result<Grant, Error> {
        let answer = with_groups(actor, question);
        let event = match &answer {
            Ok(grant) => match grant.rule() {
                Some(rule) => Event::Granted { rule: rule.to_string(), group: matched_group(rule) },
                None => Event::Denied { reason: "no rule".into() },
            },
            Err(denial) => Event::Denied { reason: denial.to_string() },
        };
        let counter = if answer.is_ok() { &self.granted } else { &self.denied };
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let record =
            Record { time: self.clock.now(), event, address: address(), version, process: Some(actor.process()) };
        match (self.audit.decide(&record), answer) {
            (Ok(()), answer) => Ok(answer?),
            (Err(_), Err(denial)) => Err(denial.into()),
            (Err(error), Ok(_)) => {
                log::error!("{error}; a secret is refused");
                Err(error.into())
            }
        }
    }

    /// To be taken before the decision that it stands for, so that no change in between goes unnoticed.
    pub(super) fn lease(&self, actor: &dyn Actor) -> Lease {
        let (thread, uid, gid) = (actor.thread(), actor.uid(), actor.gid());
        Lease { thread, uid, gid, epoch: self.epoch(), since: Instant::now() }
    }

    /// Shows `show` what `file` holds from `offset` on, at most `size` bytes.
    pub fn read<T>(
        &self,
        actor: &dyn Actor,
        file: &OpenFile,
        offset: u64,
        size: u32,
        show: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, Error> {
        if !file.mode.read {
            return Err(Error::BadHandle);
        }
        let mut state = file.state();
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let length = state.content.len() + state.appended.len();
        // The end of a value shows nothing of it.
        if offset >= length || size == 0 {
            return Ok(show(&[]));
        }
        if file.secret {
            self.renew(actor, file, &mut state)?;
        }
        let end = offset.saturating_add(size as usize).min(length);
        if end <= state.content.len() {
            Ok(show(state.content.get(offset..end).unwrap_or_default()))
        } else {
            let mut whole = SecretBytes::with_capacity(length)?;
            whole.append(&state.content)?;
            whole.append(&state.appended)?;
            Ok(show(whole.get(offset..end).unwrap_or_default()))
        }
    }

    /// Takes the gate's decision again unless the last one was on this very reader, just now, and under the permissions
    /// that still hold.
    fn renew(&self, actor: &dyn Actor, file: &OpenFile, state: &mut State) -> Result<(), Error> {
        let now = self.lease(actor);
        let last = state.lease;
        let same_reader = last.is_some_and(|last| (last.thread, last.uid, last.gid) == (now.thread, now.uid, now.gid));
        if same_reader
            && let Some(last) = last
            && last.epoch == now.epoch
            && now.since.duration_since(last.since) <= self.limits.lease
        {
            return Ok(());
        }
        let view = self.view()?;
        let node = self.known_node(&view, file.node)?;
        let present = state.own.is_some() && state.own == node.value.as_ref().map(|value| value.own);
        let earlier = state.under.as_ref().filter(|_| !present);
        let question = |caller: &Caller<'_>| match earlier {
            Some(then) => gate::history(&node.permissions, then, caller, file.node),
            None => gate::read(&node.permissions, caller, file.node),
        };
        // The same reader under the same answer is no new decision; everything else goes on record.
        if !same_reader || with_groups(actor, question).is_err() {
            state.lease = None;
            drop(self.ask(actor, || view.address(file.node, &node).ok(), state.version, question)?);
        }
        state.lease = Some(now);
        Ok(())
    }
}

/// Whether the name of a node names another one now.
fn replaced(view: &View<'_>, id: NodeId, node: &Node) -> Result<bool, Error> {
    let Some(name) = &node.name else { return Ok(false) };
    Ok(view.entry(node.parent, name)?.is_some_and(|entry| entry.content.node != id))
}

fn matched_group(rule: Rule) -> Gid {
    match rule {
        Rule::OwningGroup(group) | Rule::NamedGroup(group) | Rule::OwnerWithOwningGroup { group, .. } => group,
    }
}

impl State {
    /// How long the value is, with what was appended.
    pub(super) fn size(&self) -> u64 {
        let base = if self.loaded { self.content.len() as u64 } else { self.length };
        base + self.appended.len() as u64
    }

    /// Whoever read what stood here before asks anew for what stands here now.
    pub(super) fn forget_decision(&mut self) {
        self.lease = None;
    }

    fn empty(mode: OpenMode, version: Option<Version>) -> State {
        State {
            content: SecretBytes::new(),
            loaded: false,
            appended: SecretBytes::new(),
            length: 0,
            appending: mode.append && !mode.truncate,
            version,
            own: None,
            carries: false,
            progress: Progress::Nothing,
            failed: false,
            if_version: None,
            modified: None,
            spoiled: None,
            under: None,
            lease: None,
        }
    }
}
