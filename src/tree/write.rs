//! Writing: into the open file first, and from there into the store as one new version.
//!
//! Invariants:
//! - A commit replaces the value as a whole, or adds a whole run of appended bytes to the value that is current then.
//! - A commit of what is there already changes nothing.
//! - A file that says that its flush failed is not committed behind its caller's back later.

use std::sync::Arc;

use super::open::{OpenFile, Progress, State};
use super::row::{Current, Node, Value, key};
use super::view::View;
use super::{Actor, Draft, Error, Namespace};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::id::{NodeId, Version};
use crate::seal::Binding;
use crate::seal::memory::SecretBytes;

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
        let mut state = file.state();
        let limit = self.limits.value;
        let too_large = || Error::ValueTooLarge(limit);
        if state.appending {
            let length = if state.loaded { state.content.len() as u64 } else { state.length };
            if length + (state.appended.len() + data.len()) as u64 > limit {
                return Err(too_large());
            }
            state.appended.append(data)?;
        } else {
            let offset = if file.mode().append { state.content.len() as u64 } else { offset };
            let end = offset.checked_add(data.len() as u64).filter(|end| *end <= limit).ok_or_else(too_large)?;
            let (start, end) = (offset as usize, end as usize);
            if end > state.content.len() {
                state.content.resize(end)?;
            }
            if let Some(place) = state.content.get_mut(start..end) {
                place.copy_from_slice(data);
            }
        }
        state.progress = Progress::Written;
        Ok(())
    }

    /// Gives the value of an open file another length; what is added is zero.
    pub fn truncate(&self, file: &OpenFile, length: u64) -> Result<(), Error> {
        if !file.mode().write {
            return Err(Error::BadHandle);
        }
        if length > self.limits.value {
            return Err(Error::ValueTooLarge(self.limits.value));
        }
        let mut state = file.state();
        if state.appending {
            if !state.loaded {
                state.content = self.present_content(file.node())?;
                state.loaded = true;
            }
            let State { content, appended, .. } = &mut *state;
            content.append(appended)?;
            appended.truncate(0);
            state.appending = false;
        }
        state.content.resize(length as usize)?;
        state.progress = Progress::Written;
        Ok(())
    }

    /// Sets the length of a value that the caller has not open, as one commit.
    pub fn truncate_closed(&self, actor: &dyn Actor, id: NodeId, length: u64) -> Result<(), Error> {
        if length > self.limits.value {
            return Err(Error::ValueTooLarge(self.limits.value));
        }
        if self.overlay.pending(id).is_some() {
            // Committed first, as the empty value that it is, by those who have it open.
            self.settle(id)?;
        }
        self.change(actor, |view, draft| {
            let stored = view.node(id)?;
            let current = stored.content.value.ok_or(Error::IsADirectory)?;
            let value = view.current_value(id, &current)?.content;
            let mut content = self.opened(view, id, &stored.content, current.own, value, None)?;
            content.resize(length as usize)?;
            self.replace_value(actor, view, draft, id, stored.revision, stored.content, &Content::Whole(&content))
        })?;
        Ok(())
    }

    fn present_content(&self, id: NodeId) -> Result<SecretBytes, Error> {
        let view = self.view()?;
        let node = self.known_node(&view, id)?;
        let Some(current) = node.value else { return Ok(SecretBytes::new()) };
        let value = view.current_value(id, &current)?.content;
        self.opened(&view, id, &node, current.own, value, None)
    }

    /// A descriptor of the file was closed. What was written becomes the value; what was only emptied does when its own
    /// process closes its last descriptor, since a shell closes one right after it has made another.
    pub fn flush(&self, actor: &dyn Actor, file: &Arc<OpenFile>) -> Result<(), Error> {
        self.commit_file(actor, file, Occasion::Close)
    }

    /// What was written becomes the value now.
    pub fn sync(&self, actor: &dyn Actor, file: &Arc<OpenFile>) -> Result<(), Error> {
        self.commit_file(actor, file, Occasion::Sync)
    }

    /// The last descriptor and the last mapping of the file are gone.
    pub fn release(&self, file: &Arc<OpenFile>) {
        let unfinished = {
            let state = file.state();
            state.progress != Progress::Nothing && !state.failed
        };
        if unfinished && let Err(error) = self.commit_file(&file.opener(), file, Occasion::Sync) {
            log::error!("what was written to node {} after its last flush is lost: {error}", file.node());
        }
        let last = self.overlay.closed(file);
        if let Some(pending) = file.pending.as_ref().filter(|_| last) {
            let state = pending.state();
            if !state.committed {
                self.overlay.forget(pending.id, &state.node);
            }
        }
    }

    /// Commits what open files of the node hold, before something else is done to its entry.
    pub(super) fn settle(&self, id: NodeId) -> Result<(), Error> {
        for file in self.overlay.open(id) {
            self.commit_file(&file.opener(), &file, Occasion::Sync)?;
        }
        Ok(())
    }

    fn commit_file(&self, actor: &dyn Actor, file: &Arc<OpenFile>, occasion: Occasion) -> Result<(), Error> {
        if !file.mode().write {
            return Ok(());
        }
        let mut state = file.state();
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
            if !entry.committed {
                if entry.node.removed {
                    // Its name was taken away before anything was committed: it lives as long as it is open.
                    return Ok(());
                }
                if state.if_version.is_some_and(|version| version.0 != 0) {
                    return Err(Error::Stale);
                }
                let State { content, appended, .. } = state;
                content.append(appended)?;
                appended.truncate(0);
                let current = self.commit_creation(actor, pending.id, &entry.node, content)?;
                entry.committed = true;
                self.overlay.forget(pending.id, &entry.node);
                state.version = Some(current.version());
                state.if_version = None;
                return Ok(());
            }
        }
        let id = file.node();
        let expected = state.if_version;
        let committed = {
            let content =
                if state.appending { Content::Appended(&state.appended) } else { Content::Whole(&state.content) };
            self.change(actor, |view, draft| {
                let stored = view.node(id)?;
                let Some(current) = stored.content.value else { return Err(Error::Gone) };
                if stored.content.removed {
                    return Ok(None);
                }
                if expected.is_some_and(|expected| expected != current.version()) {
                    return Err(Error::Stale);
                }
                let (revision, node) = (stored.revision, stored.content);
                self.replace_value(actor, view, draft, id, revision, node, &content).map(Some)
            })?
        };
        if let Some(current) = committed {
            state.version = Some(current.version());
            state.if_version = None;
            if state.appending {
                // What it reads from now on is what is there, with its own lines in it.
                if file.mode().read {
                    state.content = self.present_content(id)?;
                }
                state.length = current.size;
                state.appended.truncate(0);
            }
        }
        Ok(())
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
    ) -> Result<Current, Error> {
        let current = node.value.ok_or(Error::IsADirectory)?;
        let mut merged = SecretBytes::new();
        let bytes: &[u8] = match content {
            Content::Whole(bytes) => {
                if bytes.len() as u64 == current.size {
                    let value = view.current_value(id, &current)?.content;
                    if *self.opened(view, id, &node, current.own, value, None)? == **bytes {
                        return Ok(current);
                    }
                }
                bytes
            }
            Content::Appended([]) => return Ok(current),
            Content::Appended(bytes) => {
                let value = view.current_value(id, &current)?.content;
                merged = self.opened(view, id, &node, current.own, value, None)?;
                if (merged.len() + bytes.len()) as u64 > self.limits.value {
                    return Err(Error::ValueTooLarge(self.limits.value));
                }
                merged.append(bytes)?;
                &merged
            }
        };
        let now = self.clock.now();
        let next = Current { own: current.own + 1, size: bytes.len() as u64, ..current };
        draft.put(key::value(id, next.own), self.encode_value(actor, id, &node, next.own, bytes, now)?);
        drop(merged);
        let address = view.address(id, &node)?;
        draft.record(Event::Put, address, Some(next.version()));
        node.value = Some(next);
        node.modified = now;
        node.changed = now;
        draft.at(key::node(id), revision);
        draft.put(key::node(id), node.encode());
        self.prune(view, draft, id, &node, next.version())?;
        Ok(next)
    }

    /// The row of a version.
    pub(super) fn encode_value(
        &self,
        actor: &dyn Actor,
        id: NodeId,
        node: &Node,
        own: u64,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Vec<u8>, Error> {
        let sealed = node.place.is_secret();
        let content = if sealed {
            self.seal.seal(&Binding::new(id, Version(own), &node.permissions), bytes)?
        } else {
            bytes.to_vec()
        };
        let (by, by_group, size) = (actor.uid(), actor.gid(), bytes.len() as u64);
        Ok(Value { sealed, by, by_group, at: now, size, permissions: node.permissions.clone(), content }.encode())
    }

    /// Takes away the version that a new one pushes out of the history.
    fn prune(
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
        let Some((holder, own)) = view.locate(id, node, Version(oldest))? else { return Ok(()) };
        draft.delete(key::value(holder, own));
        if holder != id {
            // A node whose last version goes is nobody's history any longer.
            let last = view.find(holder)?.and_then(|node| node.content.value).is_none_or(|value| value.own == own);
            if last {
                draft.delete(key::node(holder));
            }
        }
        Ok(())
    }
}
