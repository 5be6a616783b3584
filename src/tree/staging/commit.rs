//! Committing a transaction: every change that is staged in it in one step, each checked as if it were made alone.
//!
//! Invariants:
//! - All of it is committed, or nothing. Each change is decided on what those before it leave, and all conditions together are
//!   those of one batch.
//! - What the kernel asks of a change that somebody makes through the mount is asked here: that they may search every directory on
//!   the way, write the one that gains or loses a name, write the file that gets a value, own what gets other permissions.
//! - An entry that is not what it was when it was staged is not changed on the strength of what was seen then.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::attributes::{EXPIRES, note_name};
use super::super::change::draw_id;
use super::super::events::KEPT_BYTES;
use super::super::history::may_search;
use super::super::row::{Entry, Node, Place, key};
use super::super::view::{Stored, View};
use super::super::write::Content;
use super::super::{Actor, Draft, Error, Namespace, permits};
use super::value::{Bytes, Staging};
use super::{ERROR, LARGE, LARGE_AT_ONCE, Staged, StagedId, Tables, Transaction, Transactions, path};
use crate::access::{Kind, Mode, Permissions, Rights};
use crate::audit::Event;
use crate::id::{NodeId, Version};
use crate::key::Name;
use crate::store::composed::Composed;

/// What the kernel is to be told of a commit.
#[derive(Debug, Default)]
pub struct Committed {
    /// Names that are there now, in their directories.
    pub made: Vec<(NodeId, Name)>,
    /// Entries that have another value or other attributes.
    pub changed: Vec<NodeId>,
    /// Names that are gone, in their directories, and of which entries they were.
    pub removed: Vec<(NodeId, Name, NodeId)>,
}

/// The entries of a transaction while it is committed.
struct Frozen {
    root: StagedId,
    entries: HashMap<StagedId, Staged>,
    /// Every entry behind the one above it.
    order: Vec<StagedId>,
}

/// The entries of a transaction that is being committed. Where it is not committed in the end, by a panic too, they are put back.
struct Taken<'t> {
    transactions: &'t Transactions,
    frozen: Frozen,
}

impl Deref for Taken<'_> {
    type Target = Frozen;

    fn deref(&self) -> &Frozen {
        &self.frozen
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut tables = self.transactions.tables();
        if let Some(Transaction { busy, .. }) = tables.transactions.get_mut(&self.frozen.root) {
            *busy = false;
            tables.entries.extend(self.frozen.entries.drain());
        }
    }
}

/// A turn to commit. Large ones would have all of the daemon's threads, and others none.
struct Turn<'t>(Option<&'t AtomicUsize>);

impl Turn<'_> {
    fn take(transactions: &Transactions, entries: usize) -> Result<Turn<'_>, Error> {
        let turn = Turn((entries > LARGE).then_some(&transactions.large));
        match turn.0 {
            Some(large) if large.fetch_add(1, Ordering::AcqRel) >= LARGE_AT_ONCE => Err(Error::Busy),
            _ => Ok(turn),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(large) = self.0 {
            large.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// What a name stands for.
type Found = (Stored<Entry>, Stored<Node>);

/// What has been drafted of a transaction so far.
struct Walk<'w, 'd> {
    actor: &'w dyn Actor,
    /// What is to be recorded and told; the changes themselves are composed.
    draft: &'w mut Draft<'d>,
    composed: Composed<'w>,
    /// Which entries staged directories are, also those that are new.
    real: HashMap<StagedId, NodeId>,
    done: Committed,
}

impl Namespace {
    /// Commits what is staged in a transaction, which is gone then. Where that fails nothing is changed, and the transaction
    /// says why in a file.
    pub fn commit_transaction(&self, actor: &dyn Actor, name: &Name) -> Result<Committed, Error> {
        let frozen = {
            let mut tables = self.transactions.tables();
            let root = *tables.names.get(name).ok_or(Error::NotFound)?;
            tables.touch(actor, root, self.clock.now())?.busy = true;
            Taken { transactions: &self.transactions, frozen: tables.freeze(root) }
        };
        let mut failed = None;
        let committed = Turn::take(&self.transactions, frozen.order.len()).and_then(|_turn| {
            self.change(actor, |view, draft| self.draft_transaction(actor, view, draft, &frozen, &mut failed))
        });
        let (root, place) = (frozen.root, failed.and_then(|id| frozen.place(id)));
        if committed.is_ok() {
            self.transactions.tables().drop_transaction(root);
        }
        drop(frozen);
        if let Err(error) = &committed {
            let text = match place {
                Some(place) => format!("{place}: {error}\n"),
                None => format!("{error}\n"),
            };
            self.transactions.tables().explain_failure(root, text, self.clock.now())?;
        }
        committed.map_err(as_conflict)
    }

    fn draft_transaction(
        &self,
        actor: &dyn Actor,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        frozen: &Frozen,
        failed: &mut Option<StagedId>,
    ) -> Result<Committed, Error> {
        let composed = Composed::new(view.snapshot());
        let mut walk = Walk { actor, draft, composed, real: HashMap::new(), done: Committed::default() };
        let mut step = |walk: &mut Walk<'_, '_>, id: StagedId, removals: bool| {
            let Some(entry) = frozen.entries.get(&id) else { return Ok(()) };
            let drafted = if removals && entry.removal {
                self.draft_removal_of(walk, entry)
            } else if !removals && !entry.removal {
                self.draft_staged(walk, id, entry)
            } else if !removals && entry.node.kind == Kind::Directory {
                self.draft_way(walk, id, entry)
            } else {
                Ok(())
            };
            drafted.inspect_err(|_| *failed = Some(id))
        };
        for id in &frozen.order {
            step(&mut walk, *id, false)?;
        }
        // What is in a directory goes before it.
        for id in frozen.order.iter().rev() {
            step(&mut walk, *id, true)?;
        }
        let Walk { draft, composed, done, .. } = walk;
        draft.set_batch(composed.into_batch());
        Ok(done)
    }

    /// Drafts one change on top of those before it.
    fn step<T>(
        &self,
        walk: &mut Walk<'_, '_>,
        decide: impl FnOnce(&View<'_>, &mut Draft<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut part = Draft::new(&self.seal);
        let decided = decide(&self.view_of(Box::new(&walk.composed)), &mut part)?;
        walk.composed.add(walk.draft.absorb(part))?;
        // Each knows the permissions of all directories above it.
        if walk.draft.weight() > KEPT_BYTES {
            return Err(Error::Quota("the changes are below too many directories with long ACLs for one step"));
        }
        Ok(decided)
    }

    /// A directory that is to be removed is on the way to what is to be removed in it.
    fn draft_way(&self, walk: &mut Walk<'_, '_>, id: StagedId, entry: &Staged) -> Result<(), Error> {
        let actor = walk.actor;
        let (parent, name) = (walk.above(entry)?, entry.name()?);
        let found = self.step(walk, |view, part| self.found(actor, view, part, parent, name))?;
        let (found, node) = found.ok_or(Error::NotFound)?;
        if node.content.kind == Kind::File {
            return Err(Error::NotADirectory);
        }
        walk.real.insert(id, found.content.node);
        Ok(())
    }

    fn draft_staged(&self, walk: &mut Walk<'_, '_>, id: StagedId, entry: &Staged) -> Result<(), Error> {
        let actor = walk.actor;
        let Some(real) = entry.real.as_ref().filter(|_| entry.is_fixed()) else {
            return self.draft_entry_of(walk, id, entry);
        };
        // Environments and their trees are what they were, or gone. They are in every transaction, and asked for what is in them alone.
        if real.node.place == Place::Environment || entry.children.is_empty() {
            return Ok(());
        }
        self.step(walk, |view, part| {
            let environment = view.directory(real.id)?.content.parent;
            let above = may_pass(actor, view, part, environment)?.content.parent;
            // Of a mount of one environment, the directory above it is no part.
            if entry.parent == entry.transaction { Ok(()) } else { may_pass(actor, view, part, above).map(drop) }
        })?;
        walk.real.insert(id, real.id);
        Ok(())
    }

    fn draft_entry_of(&self, walk: &mut Walk<'_, '_>, id: StagedId, entry: &Staged) -> Result<(), Error> {
        let actor = walk.actor;
        let (parent, name) = (walk.above(entry)?, entry.name()?);
        let found = self.step(walk, |view, part| self.found(actor, view, part, parent, name))?;
        let Some((found, node)) = found else {
            if entry.real.is_some() {
                return Err(Error::NotFound);
            }
            let made = self.draft_new(walk, parent, entry)?;
            walk.real.insert(id, made);
            walk.done.made.push((parent, name.clone()));
            return Ok(());
        };
        let (kind, at) = (node.content.kind, found.content.node);
        match (entry.node.kind, kind) {
            (Kind::Directory, Kind::Directory) => {
                walk.real.insert(id, at);
                // As `mkdir -p` has it, one that was made meanwhile will do, where it is as this was to be. In another's, what is
                // staged would be theirs to do with as they like.
                let same = match &entry.real {
                    Some(real) => real.id == at,
                    None => node.content.permissions == entry.node.permissions,
                };
                return if same { Ok(()) } else { Err(Error::Exists) };
            }
            (Kind::File, Kind::File) if entry.real.is_none() => return Err(Error::Exists),
            (Kind::File, Kind::File) => {
                entry.is_for(at, &node.content)?;
                self.draft_value_of(walk, at, entry)?;
            }
            (Kind::Directory, Kind::File) => return Err(Error::NotADirectory),
            (Kind::File, Kind::Directory) => return Err(Error::IsADirectory),
        }
        self.draft_attributes_of(walk, at, entry)
    }

    /// A name's entry and node, in a directory that the caller may search.
    fn found(
        &self,
        actor: &dyn Actor,
        view: &View<'_>,
        part: &mut Draft<'_>,
        parent: NodeId,
        name: &Name,
    ) -> Result<Option<Found>, Error> {
        may_pass(actor, view, part, parent)?;
        let Some(entry) = view.entry(parent, name)? else { return Ok(None) };
        let node = view.entry_node(parent, name, &entry)?;
        Ok(Some((entry, node)))
    }

    fn draft_new(&self, walk: &mut Walk<'_, '_>, parent: NodeId, entry: &Staged) -> Result<NodeId, Error> {
        let actor = walk.actor;
        let name = entry.name()?;
        entry.is_at(None)?;
        // Somebody has made it, and not flushed it yet.
        if self.overlay.named(parent, name).is_some() {
            return Err(Error::Exists);
        }
        let id = draw_id()?;
        self.step(walk, |view, part| {
            let above = view.directory(parent)?;
            may_change(actor, &above.content.permissions)?;
            self.check_length(view, parent, &above.content, name)?;
            let node = Node { parent, ..entry.node.clone() };
            match entry.node.kind {
                Kind::Directory => self.draft_directory(view, part, id, above, &node),
                Kind::File => {
                    let value = entry.value.bytes();
                    self.draft_creation(actor, view, part, id, &node, value, entry.modified).map(drop)
                }
            }
        })?;
        Ok(id)
    }

    /// Drafts the value of a file that is there already.
    fn draft_value_of(&self, walk: &mut Walk<'_, '_>, id: NodeId, entry: &Staged) -> Result<(), Error> {
        let actor = walk.actor;
        let changed = self.step(walk, |view, part| {
            let Stored { revision, content: node } = view.node(id)?;
            let current = entry.is_at(node.version())?;
            let content = match &entry.value {
                Staging::Kept => {
                    // Something else of it may change on the strength of its version.
                    part.at(key::node(id), revision);
                    return Ok(false);
                }
                Staging::Whole(bytes) => Content::Whole(bytes),
                Staging::Appended(bytes) => Content::Appended(bytes),
            };
            if !permits(actor, &node.permissions, Rights::WRITE, Kind::File) {
                return Err(Error::Denied("the entry's permissions don't let the process write it"));
            }
            let next = self.replace_value(actor, view, part, id, revision, node, &content, entry.modified)?;
            Ok(next.version() != current)
        })?;
        if changed {
            walk.done.changed.push(id);
        }
        Ok(())
    }

    /// Drafts the permissions, notes and expiry of an entry that is there already, where others are staged than it had.
    fn draft_attributes_of(&self, walk: &mut Walk<'_, '_>, id: NodeId, entry: &Staged) -> Result<(), Error> {
        let actor = walk.actor;
        let Some(real) = &entry.real else { return Ok(()) };
        let (staged, was) = (&entry.node, &real.node);
        let permissions = staged.permissions != was.permissions;
        let others = staged.notes != was.notes || staged.expires != was.expires;
        if !permissions && !others {
            return Ok(());
        }
        self.step(walk, |view, part| {
            let before = view.node(id)?;
            let mut node = before.content.clone();
            if permissions {
                if node.permissions != was.permissions {
                    return Err(Error::Stale);
                }
                self.may_set(actor, id, &node)?;
                node.permissions = staged.permissions.clone();
            }
            if others {
                if (&node.notes, node.expires) != (&was.notes, was.expires) {
                    return Err(Error::Stale);
                }
                if !permits(actor, &before.content.permissions, Rights::WRITE, node.kind) {
                    return Err(Error::Denied("the entry's permissions don't let the process write it"));
                }
                (node.notes, node.expires) = (staged.notes.clone(), staged.expires);
                let name = changed_attributes(was, staged);
                part.record(Event::Attribute { name }, view.spot(id, &node)?, None);
            }
            node.changed = self.clock.now();
            self.draft_node(view, part, id, before, &node)
        })?;
        walk.done.changed.push(id);
        Ok(())
    }

    /// Whether somebody may give an entry other permissions: its owner, the superuser, and whoever may read and write it.
    fn may_set(&self, actor: &dyn Actor, id: NodeId, node: &Node) -> Result<(), Error> {
        if actor.uid() == node.permissions.owner || actor.overrides() {
            return Ok(());
        }
        self.may_edit_alone(actor, id, node)
    }

    /// Whether somebody may edit an entry, the kernel not having been asked.
    fn may_edit_alone(&self, actor: &dyn Actor, id: NodeId, node: &Node) -> Result<(), Error> {
        if !permits(actor, &node.permissions, Rights::READ.union(Rights::WRITE), node.kind) {
            return Err(Error::Denied("this takes permission to read and to write the entry"));
        }
        self.may_edit(actor, id, node)
    }

    fn draft_removal_of(&self, walk: &mut Walk<'_, '_>, entry: &Staged) -> Result<(), Error> {
        let actor = walk.actor;
        let (parent, name) = (walk.above(entry)?, entry.name()?);
        let removed = self.step(walk, |view, part| {
            let above = may_pass(actor, view, part, parent)?;
            let (found, node) = self.found(actor, view, part, parent, name)?.ok_or(Error::NotFound)?;
            let id = found.content.node;
            entry.is_at(node.content.version())?;
            self.may_remove(actor, parent, &above.content, id, &node.content)?;
            match (entry.node.kind, node.content.kind) {
                (Kind::File, Kind::File) => self.draft_removal(view, part, (parent, name), found, node)?,
                (Kind::Directory, Kind::Directory) => {
                    self.draft_directory_removal(view, part, (parent, name), above, found, node)?;
                }
                (Kind::File, Kind::Directory) => return Err(Error::IsADirectory),
                (Kind::Directory, Kind::File) => return Err(Error::NotADirectory),
            }
            Ok(id)
        })?;
        walk.done.removed.push((parent, name.clone(), removed));
        Ok(())
    }

    /// Whether somebody may remove an entry, by its name as `rm` does or by the entry itself as its editors do.
    fn may_remove(
        &self,
        actor: &dyn Actor,
        parent: NodeId,
        above: &Node,
        id: NodeId,
        node: &Node,
    ) -> Result<(), Error> {
        let owners = [node.permissions.owner, above.permissions.owner];
        let owns = owners.contains(&actor.uid()) || actor.overrides();
        let sticky = above.permissions.mode.contains(Mode::STICKY) && !owns;
        let by_name = may_change(actor, &above.permissions).is_ok() && !sticky;
        if by_name && self.may_disturb(actor, parent, above, id, node).is_ok() {
            return Ok(());
        }
        self.may_edit_alone(actor, id, node)
    }
}

/// What is told of one entry is not to be taken for something about the transaction itself.
fn as_conflict(error: Error) -> Error {
    match error {
        Error::NotFound
        | Error::Gone
        | Error::Exists
        | Error::NotADirectory
        | Error::IsADirectory
        | Error::NotEmpty
        | Error::Stale => Error::Conflict(error.to_string()),
        error => error,
    }
}

/// A directory that somebody may search, of which the decision rests.
fn may_pass(
    actor: &dyn Actor,
    view: &View<'_>,
    part: &mut Draft<'_>,
    directory: NodeId,
) -> Result<Stored<Node>, Error> {
    let node = view.directory(directory)?;
    part.at(key::node(directory), node.revision);
    may_search(actor, &node.content)?;
    Ok(node)
}

/// Whether somebody may add names to a directory and take them away.
fn may_change(actor: &dyn Actor, directory: &Permissions) -> Result<(), Error> {
    if permits(actor, directory, Rights::WRITE.union(Rights::EXECUTE), Kind::Directory) {
        Ok(())
    } else {
        Err(Error::Denied("the directory's permissions don't let the process change what is in it"))
    }
}

/// What the audit log calls the attributes of which others are staged than there were: one record for all of an entry, which may
/// have thousands.
fn changed_attributes(was: &Node, staged: &Node) -> String {
    const NAMED: usize = 8;
    let names: BTreeSet<&Vec<u8>> = was.notes.keys().chain(staged.notes.keys()).collect();
    let changed = names.into_iter().filter(|name| was.notes.get(*name) != staged.notes.get(*name));
    let expires = (was.expires != staged.expires).then(|| EXPIRES.to_owned());
    let mut names: Vec<String> = expires.into_iter().chain(changed.map(|name| note_name(name))).collect();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &rest
}

impl Walk<'_, '_> {
    /// The directory that an entry is in.
    fn above(&self, entry: &Staged) -> Result<NodeId, Error> {
        self.real.get(&entry.parent).copied().ok_or(Error::NotFound)
    }
}

impl Staged {
    /// Whether a file is the one that this stands for, with the permissions that it had: what is stored is for those who could read
    /// it then.
    fn is_for(&self, id: NodeId, node: &Node) -> Result<(), Error> {
        match &self.real {
            Some(real) if real.id != id => {
                Err(Error::Conflict("another entry has the name now; unlink it here and stage it anew".into()))
            }
            Some(real) if real.node.permissions != node.permissions => {
                Err(Error::Conflict("the entry has other permissions now; unlink it here and stage it anew".into()))
            }
            _ => Ok(()),
        }
    }

    /// The present version, 0 for none, which must be the one that the commit insists on.
    fn is_at(&self, version: Option<Version>) -> Result<Version, Error> {
        let version = version.unwrap_or(Version(0));
        if self.if_version.is_some_and(|expected| expected != version) { Err(Error::Stale) } else { Ok(version) }
    }

    fn name(&self) -> Result<&Name, Error> {
        self.node.name.as_ref().ok_or(Error::NotFound)
    }
}

impl Frozen {
    /// An entry as people name it.
    fn place(&self, id: StagedId) -> Option<String> {
        let names: Vec<&str> = path(&self.entries, id).into_iter().map(Name::as_str).collect();
        Some(names.join("/")).filter(|place| !place.is_empty())
    }
}

impl Tables {
    /// Takes all entries of a transaction out, for as long as they are committed.
    fn freeze(&mut self, root: StagedId) -> Frozen {
        let (mut entries, mut order, mut next) = (HashMap::new(), Vec::new(), vec![root]);
        while let Some(id) = next.pop() {
            let Some(entry) = self.entries.remove(&id) else { continue };
            // What a commit failed for before is no change.
            if id != root && !(entry.parent == root && entry.node.kind == Kind::File) {
                order.push(id);
            }
            next.extend(entry.children.values());
            entries.insert(id, entry);
        }
        Frozen { root, entries, order }
    }

    /// Says in a file of the transaction why its commit failed.
    fn explain_failure(&mut self, root: StagedId, text: String, now: crate::clock::Timestamp) -> Result<(), Error> {
        let name = Name::parse(ERROR.as_bytes())?;
        let above = self.entry(root)?.node.clone();
        if let Some(before) = self.entry(root)?.children.get(&name).copied() {
            self.remove(before);
        }
        let permissions = Permissions::new(above.permissions.owner, above.permissions.group, Mode::from_bits(0o400));
        let node = super::new_node(Kind::File, above.place, NodeId::ROOT, &name, permissions, now);
        let mut entry = Staged::new(root, root, node, None);
        entry.value = Staging::Whole(Bytes::Plain(text.into_bytes()));
        self.insert(entry).map(drop)
    }
}
