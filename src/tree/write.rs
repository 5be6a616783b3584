//! Writing: into the open file first, and from there into the store as one new version.
//!
//! Invariants:
//! - A commit replaces the value as a whole, or adds a whole run of appended bytes to the value that is current then.
//! - A commit of what is there already changes nothing, if whoever makes it may know that.
//! - A file that says that its flush failed is not committed behind its caller's back later.

use std::sync::Arc;

use super::open::{OpenFile, Progress, Spoiled, State};
use super::row::{Current, Held, Node, SMALL, Small, Value, key};
use super::view::{Located, View};
use super::{Actor, Draft, Error, Namespace, caller, with_groups};
use crate::access::{Kind, Mode, edit, gate};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::id::{NodeId, Version};
use crate::key::Name;
use crate::seal::Binding;
use crate::seal::memory::{MemoryError, SecretBytes};

/// Why a file is flushed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Occasion {
    /// A descriptor of it was closed; others may be open.
    Close,
    /// Somebody insists.
    Sync,
}

/// A value on its way into a version.
pub(super) enum Content<'a> {
    /// The whole value.
    Whole(&'a [u8]),
    /// The whole value, which is stored also where it is the one that is there: whoever stores it may not know it.
    Unseen(&'a [u8]),
    /// What is to stand behind the value that is current.
    Appended(&'a [u8]),
}

impl Namespace {
    /// Puts `data` at `offset`, or at the end of a file that is only appended to. Bytes between the old end and the offset
    /// are zero.
    pub fn write(&self, file: &OpenFile, offset: u64, data: &[u8]) -> Result<(), Error> {
        if !file.mode().write {
            return Err(Error::BadHandle);
        }
        if data.is_empty() {
            return Ok(());
        }
        let mut state = file.state();
        let offset = if file.mode().append { state.size() } else { offset };
        let Some(end) = offset.checked_add(data.len() as u64).filter(|end| *end <= self.limits.value) else {
            state.spoiled = Some(Spoiled::TooLarge);
            state.progress = Progress::Written;
            return Err(Error::ValueTooLarge(self.limits.value));
        };
        // Until it is done: a write that finds no memory is no part of a value.
        let before = state.spoiled;
        state.spoiled = Some(Spoiled::NoMemory);
        state.progress = Progress::Written;
        if state.appending {
            state.appended.append(data)?;
        } else {
            let (start, end) = (offset as usize, end as usize);
            if end > state.content.len() {
                state.content.resize(end)?;
            }
            if let Some(place) = state.content.get_mut(start..end) {
                place.copy_from_slice(data);
            }
        }
        state.spoiled = before;
        state.modified = None;
        Ok(())
    }

    /// Gives the value of an open file another length; what is added is zero.
    pub fn truncate(&self, file: &OpenFile, length: u64) -> Result<(), Error> {
        if !file.mode().write {
            return Err(Error::BadHandle);
        }
        let mut state = file.state();
        if length > self.limits.value {
            state.spoiled = Some(Spoiled::TooLarge);
            state.progress = Progress::Written;
            return Err(Error::ValueTooLarge(self.limits.value));
        }
        if state.appending {
            if !state.loaded {
                self.load(file, &mut state)?;
            }
            let State { content, appended, .. } = &mut *state;
            content.append(appended)?;
            appended.truncate(0);
            state.appending = false;
        }
        state.content.resize(length as usize)?;
        state.carries &= length > 0;
        state.spoiled = None;
        state.progress = Progress::Written;
        state.modified = None;
        Ok(())
    }

    /// Sets the length of a value that the caller has not open, as one commit.
    pub fn truncate_closed(&self, actor: &dyn Actor, id: NodeId, length: u64) -> Result<(), Error> {
        if length > self.limits.value {
            return Err(Error::ValueTooLarge(self.limits.value));
        }
        self.settle(actor, id)?;
        self.change(actor, |view, draft| {
            let stored = view.node(id)?;
            if stored.content.kind == Kind::Directory {
                return Err(Error::IsADirectory);
            }
            // The versions of what was removed end where its successor's begin.
            if stored.content.removed {
                return Err(Error::Gone);
            }
            let (current, value) = view.current_value(id, &stored.content)?;
            let mut content = self.opened(view, id, &stored.content, current.own, value, None)?;
            content.resize(length as usize)?;
            self.replace_value(actor, view, draft, id, stored.revision, stored.content, &Content::Whole(&content), None)
        })?;
        Ok(())
    }

    /// Has an open file begin anew with the value that is there now.
    fn load(&self, file: &OpenFile, state: &mut State) -> Result<(), Error> {
        let view = self.view()?;
        let id = file.node();
        let node = self.known_node(&view, id)?;
        state.content = if node.value.is_none() {
            SecretBytes::new()
        } else {
            let (current, value) = view.current_value(id, &node)?;
            self.opened(&view, id, &node, current.own, value, None)?
        };
        state.version = node.version();
        state.own = node.value.as_ref().map(|current| current.own);
        state.under = file.is_secret().then_some(node.permissions);
        state.carries = true;
        state.loaded = true;
        Ok(())
    }

    /// A descriptor of the file was closed. What was written becomes the value, unless it is another process that wrote it
    /// and has it open still; what was only emptied does when its own process closes its last descriptor, since a shell
    /// closes one right after it has made another.
    pub fn flush(&self, actor: &dyn Actor, file: &Arc<OpenFile>) -> Result<(), Error> {
        file.closes();
        self.commit_file(actor, file, Occasion::Close)
    }

    /// What was written becomes the value now.
    pub fn sync(&self, actor: &dyn Actor, file: &Arc<OpenFile>) -> Result<(), Error> {
        self.commit_file(actor, file, Occasion::Sync)
    }

    /// The last descriptor and the last mapping of the file are gone. What is returned is the name of a new entry that goes with
    /// it, since it could not be stored.
    pub fn release(&self, file: &Arc<OpenFile>) -> Option<(NodeId, Name)> {
        let unfinished = || {
            let state = file.state();
            state.progress != Progress::Nothing && !state.failed
        };
        if file.may_have_to_commit()
            && unfinished()
            && let Err(error) = self.commit_file(&file.opener(), file, Occasion::Sync)
        {
            log::error!("what was written to node {} after its last flush is lost: {error}", file.node());
        }
        let last = self.overlay.closed(file);
        let pending = file.pending.as_ref().filter(|_| last)?;
        let state = pending.state();
        if state.committed || !self.overlay.open(pending.id).is_empty() {
            return None;
        }
        self.overlay.forget(pending.id, &state.node);
        Some((state.node.parent, state.node.name.clone()?)).filter(|_| !state.node.removed)
    }

    /// Commits what the process itself has written to open files of the node, before something else is done to its entry.
    /// What others are in the middle of writing stays theirs to flush: a new entry of theirs is committed as the empty one
    /// that everybody sees.
    pub(super) fn settle(&self, actor: &dyn Actor, id: NodeId) -> Result<(), Error> {
        let files = self.overlay.open(id);
        for file in files.iter().filter(|file| actor.shares_process_with(file.thread())) {
            self.commit_file(actor, file, Occasion::Sync)?;
        }
        if let Some(pending) = self.overlay.pending(id) {
            let mut entry = pending.state();
            if !entry.committed && !entry.node.removed {
                let modified = Some(entry.node.modified);
                match files.first() {
                    Some(file) => self.commit_creation(&file.opener(), id, &entry.node, &[], modified)?,
                    None => self.commit_creation(actor, id, &entry.node, &[], modified)?,
                };
                entry.committed = true;
                self.overlay.forget(id, &entry.node);
            }
        }
        Ok(())
    }

    fn commit_file(&self, actor: &dyn Actor, file: &Arc<OpenFile>, occasion: Occasion) -> Result<(), Error> {
        // A file that was opened to read alone has something to commit where opening it made or emptied the entry.
        let mut state = file.state();
        if occasion == Occasion::Close
            && state.progress == Progress::Written
            && actor.has_open_elsewhere(file.writer(), file.node())
        {
            // A process that was started in the middle of a write closes what it inherits; the writer is yet to.
            return Ok(());
        }
        if let Some(spoiled) = state.spoiled {
            state.failed = true;
            return Err(match spoiled {
                Spoiled::TooLarge => Error::ValueTooLarge(self.limits.value),
                Spoiled::NoMemory => MemoryError.into(),
            });
        }
        match state.progress {
            Progress::Nothing => return Ok(()),
            Progress::Emptied if occasion == Occasion::Close => {
                // The kernel does not say which descriptor is the last one.
                if !actor.shares_process_with(file.thread()) || actor.has_open(file.node()) {
                    return Ok(());
                }
            }
            Progress::Emptied | Progress::Written => {}
        }
        match self.commit_state(actor, file, &mut state) {
            Ok(()) => {
                state.progress = Progress::Nothing;
                state.failed = false;
                Ok(())
            }
            Err(error) => {
                state.failed = true;
                Err(error)
            }
        }
    }

    fn commit_state(&self, actor: &dyn Actor, file: &Arc<OpenFile>, state: &mut State) -> Result<(), Error> {
        if file.is_secret() {
            self.audit.ready()?;
        }
        if let Some(pending) = &file.pending {
            let mut entry = pending.state();
            if entry.committed && state.progress == Progress::Emptied && state.if_version.is_none() {
                // What it began as was nothing already, and somebody else has stored something since.
                return Ok(());
            }
            if !entry.committed {
                if entry.node.removed {
                    // Its name was taken away before anything was committed: it lives as long as it is open.
                    return Ok(());
                }
                if state.if_version.is_some_and(|version| version.0 != 0) {
                    return Err(Error::Stale);
                }
                let mut whole = SecretBytes::with_capacity(state.content.len() + state.appended.len())?;
                whole.append(&state.content)?;
                whole.append(&state.appended)?;
                let created = self.commit_creation(actor, pending.id, &entry.node, &whole, state.modified);
                // Where an answer was lost, the entry may be there by now; it is this one then, and goes on as such.
                let ours = || Ok::<_, Error>(self.view()?.find(pending.id)?.is_some());
                if created.is_ok() || (matches!(created, Err(Error::Exists)) && ours()?) {
                    entry.committed = true;
                    self.overlay.forget(pending.id, &entry.node);
                }
                match created {
                    Err(Error::Exists) if entry.committed => {}
                    Err(error) => return Err(error),
                    Ok(current) => {
                        state.content = whole;
                        state.appended.truncate(0);
                        state.under = Some(entry.node.permissions.clone()).filter(|_| file.is_secret());
                        self.committed(file, state, &current);
                        return Ok(());
                    }
                }
            }
        }
        let id = file.node();
        let (expected, modified) = (state.if_version, state.modified);
        let (carried, began) = (state.under.as_ref().filter(|_| state.carries && !state.appending), state.own);
        // Only of what somebody opened itself is it known that it chose what stands in it.
        let foreign = file.is_foreign();
        let own = !file.is_secret() || (!foreign && file.is_opened_by(actor));
        let committed = {
            let content = match (state.appending, own) {
                (true, _) => Content::Appended(&state.appended),
                (false, true) => Content::Whole(&state.content),
                (false, false) => Content::Unseen(&state.content),
            };
            self.change(actor, |view, draft| {
                // What was removed may be gone with its last version.
                let Some(stored) = view.find(id)?.filter(|stored| !stored.content.removed) else { return Ok(None) };
                let Some(current) = &stored.content.value else { return Err(Error::Gone) };
                if expected.is_some_and(|expected| expected != current.version()) {
                    return Err(Error::Stale);
                }
                let permissions = stored.content.permissions.clone();
                // An earlier value is not to come back, in parts or whole, by somebody whom it was kept from, for others whom it
                // was kept from.
                if let Some(then) = carried.filter(|then| **then != permissions && began != Some(current.own)) {
                    let reads = || with_groups(actor, |caller| gate::read(then, caller, id).map(drop)).is_ok();
                    if foreign || !reads() {
                        return Err(Error::Stale);
                    }
                }
                let (revision, node) = (stored.revision, stored.content);
                let replaced = self.replace_value(actor, view, draft, id, revision, node, &content, modified);
                replaced.map(|current| Some((current, permissions)))
            })?
        };
        if let Some((current, permissions)) = committed {
            state.under = Some(permissions).filter(|_| file.is_secret());
            if state.appending && !state.appended.is_empty() {
                // What was appended is in the value now, and must not be again, whatever follows.
                state.appended.truncate(0);
                state.loaded = false;
            }
            self.committed(file, state, &current);
            if !state.loaded && file.mode().read {
                // What it reads from now on is what is there, with its own lines in it.
                self.load(file, state)?;
                state.forget_decision();
            }
        }
        Ok(())
    }

    /// What a commit leaves of an open file's state.
    fn committed(&self, file: &OpenFile, state: &mut State, current: &Current) {
        state.version = Some(current.version());
        state.own = Some(current.own);
        state.if_version = None;
        state.modified = None;
        state.length = current.size();
        // A file that is appended to and began with nothing adds to what is there from now on, like any other.
        state.appending = file.mode().append;
        if state.appending && !file.mode().read {
            state.content.truncate(0);
            state.loaded = false;
            state.carries = false;
        }
    }

    /// Drafts the next version of a value. The same value again drafts nothing.
    #[allow(clippy::too_many_arguments)] // one row in its parts, as the caller has just read it
    pub(super) fn replace_value(
        &self,
        actor: &dyn Actor,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        id: NodeId,
        revision: crate::id::Revision,
        mut node: Node,
        content: &Content<'_>,
        modified: Option<Timestamp>,
    ) -> Result<Current, Error> {
        let current = node.value.clone().ok_or(Error::IsADirectory)?;
        let mut merged = SecretBytes::new();
        let bytes: &[u8] = match content {
            Content::Whole(bytes) => {
                // Whoever writes takes the set-id bits away, also by writing what is there.
                let same_length = bytes.len() as u64 == current.size() && !end_set_id(&mut node.clone(), actor);
                if same_length && self.may_compare(actor, id, &node, bytes) {
                    let (_, value) = view.current_value(id, &node)?;
                    if *self.opened(view, id, &node, current.own, value, None)? == **bytes {
                        return Ok(current);
                    }
                }
                bytes
            }
            Content::Unseen(bytes) => bytes,
            Content::Appended([]) => return Ok(current),
            Content::Appended(bytes) => {
                let (_, value) = view.current_value(id, &node)?;
                merged = self.opened(view, id, &node, current.own, value, None)?;
                if (merged.len() + bytes.len()) as u64 > self.limits.value {
                    return Err(Error::ValueTooLarge(self.limits.value));
                }
                merged.append(bytes)?;
                &merged
            }
        };
        // What stands in the node's row makes room for the next, unless no earlier version is kept.
        if let Held::Here(small) = &current.held
            && self.settings.versions > 1
        {
            draft.put(key::value(id, current.own), small.apart(&node.permissions).encode());
        }
        draft.permissions_changed |= end_set_id(&mut node, actor);
        let now = self.clock.now();
        let own = current.own + 1;
        let held = self.draft_value(actor, draft, id, &node, own, bytes, now)?;
        let next = Current { own, held, ..current };
        drop(merged);
        let spot = view.spot(id, &node)?;
        draft.record(Event::Put, spot, Some(next.version()));
        node.value = Some(next.clone());
        node.modified = modified.unwrap_or(now);
        node.changed = now;
        draft.at(key::node(id), revision);
        draft.put(key::node(id), node.encode());
        self.prune(view, draft, id, &node, next.version())?;
        Ok(next)
    }

    /// Whether somebody may learn that a value is the one that is there already, which a store that makes no version tells:
    /// who may not read a secret could ask for it byte by byte.
    fn may_compare(&self, actor: &dyn Actor, id: NodeId, node: &Node, bytes: &[u8]) -> bool {
        // How long a secret is everybody may know.
        !node.place.is_secret()
            || bytes.is_empty()
            || with_groups(actor, |caller| gate::read(&node.permissions, caller, id).map(drop)).is_ok()
    }

    /// Drafts the value that comes after a node's present one, and says where it stands: in the node's row, which is yet to
    /// be drafted, or in a row of its own.
    #[allow(clippy::too_many_arguments)] // one version in its parts, as the caller has just learnt them
    pub(super) fn draft_value(
        &self,
        actor: &dyn Actor,
        draft: &mut Draft<'_>,
        id: NodeId,
        node: &Node,
        own: u64,
        bytes: &[u8],
        at: Timestamp,
    ) -> Result<Held, Error> {
        let (by, by_group, sealed) = (actor.uid(), actor.gid(), node.place.is_secret());
        // Once a value had a row of its own, the next ones have too: if they hadn't, the row of the node, put back alone, would
        // agree with that of the value that it names, and no later one would be there to give it away.
        let follows_apart = node.value.as_ref().is_some_and(|value| matches!(value.held, Held::Apart(_)));
        if !sealed && !follows_apart && bytes.len() <= SMALL {
            return Ok(Held::Here(Small { by, by_group, at, content: bytes.to_vec() }));
        }
        let content = if sealed {
            self.seal.seal(&Binding::new(id, Version(own), &node.permissions), bytes)?
        } else {
            bytes.to_vec()
        };
        let (size, permissions) = (bytes.len() as u64, node.permissions.clone());
        draft.put(key::value(id, own), Value { sealed, by, by_group, at, size, permissions, content }.encode());
        Ok(Held::Apart(size))
    }

    /// Takes away the version that a new one pushes out of the history.
    pub(super) fn prune(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        id: NodeId,
        node: &Node,
        newest: Version,
    ) -> Result<(), Error> {
        let Some(oldest) = newest.0.checked_sub(self.settings.versions.into()).filter(|version| *version > 0) else {
            return Ok(());
        };
        let Some(pushed_out) = view.locate(id, node, Version(oldest))? else { return Ok(()) };
        draft_pushed_out(draft, id, pushed_out);
        Ok(())
    }
}

/// Takes a version away that is no longer kept. A removed node whose last version it is was nobody's history but `id`'s: it goes
/// too. Whether it does.
pub(super) fn draft_pushed_out(draft: &mut Draft<'_>, id: NodeId, version: Located<'_>) -> bool {
    let Located { id: holder, node, own } = version;
    draft.delete(key::value(holder, own));
    let last = holder != id && node.value.as_ref().is_none_or(|value| value.own == own);
    if last {
        draft.delete(key::node(holder));
        draft.departing.push((holder, node.into_owned()));
    }
    last
}

/// Takes set-user-id and set-group-id from what somebody wrote; whether there was any. The caller's groups are asked for
/// only then.
pub(super) fn end_set_id(node: &mut Node, actor: &dyn Actor) -> bool {
    let set_id = node.permissions.mode.contains(Mode::SETUID) || node.permissions.mode.contains(Mode::SETGID);
    if !set_id {
        return false;
    }
    let written = edit::written(&node.permissions, &caller(actor));
    let changed = written != node.permissions;
    node.permissions = written;
    changed
}
