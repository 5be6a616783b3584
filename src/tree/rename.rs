//! Renaming, within one tree: over nothing, over what is there, or in exchange for it.
//!
//! Invariants:
//! - A file that takes a name takes up the history of that name; what it had itself comes after it.
//! - A directory that changes its parent insists on the shape of the tree above it, so that two moves at once can't make a
//!   circle.

use super::overlay::Pending;
use super::row::{Before, Entry, Node, Place, Times, key};
use super::view::{Stored, View};
use super::write::draft_pushed_out;
use super::{Actor, Draft, Error, Namespace, is_tree_root, row};
use crate::access::Kind;
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::id::{NodeId, Version};
use crate::key::{KeyPath, Name};

/// What becomes of an entry that has the new name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RenameMode {
    /// It is replaced.
    Replace,
    /// It is in the way (`RENAME_NOREPLACE`).
    Keep,
    /// It gets the old name (`RENAME_EXCHANGE`).
    Exchange,
}

/// An entry in its directory.
struct Seat<'n> {
    parent: NodeId,
    name: &'n Name,
    entry: Stored<Entry>,
    node: Stored<Node>,
}

impl Seat<'_> {
    fn id(&self) -> NodeId {
        self.entry.content.node
    }

    fn is_directory(&self) -> bool {
        self.node.content.kind == Kind::Directory
    }
}

/// The directories that a rename changes: one, or two.
struct Parents {
    from: (NodeId, Stored<Node>),
    to: Option<(NodeId, Stored<Node>)>,
}

impl Parents {
    fn read(view: &View<'_>, from: NodeId, to: NodeId) -> Result<Parents, Error> {
        let source = (from, view.directory(from)?);
        let target = if from == to { None } else { Some((to, view.directory(to)?)) };
        let parents = Parents { from: source, to: target };
        match (parents.from.1.content.place, parents.to().content.place) {
            (Place::In(_, one), Place::In(_, other)) if one == other => Ok(parents),
            (Place::In(..), Place::In(..)) => Err(Error::CrossTree),
            _ => Err(Error::NotPermitted("environments and their trees keep their names")),
        }
    }

    fn to(&self) -> &Stored<Node> {
        self.to.as_ref().map_or(&self.from.1, |(_, node)| node)
    }

    /// Moves the counts of directories.
    fn count(&mut self, from: i32, to: i32) {
        let add = |node: &mut Node, by| node.directories = node.directories.saturating_add_signed(by);
        match &mut self.to {
            Some((_, node)) => {
                add(&mut self.from.1.content, from);
                add(&mut node.content, to);
            }
            None => add(&mut self.from.1.content, from + to),
        }
    }

    fn draft(&self, draft: &mut Draft<'_>, now: Timestamp, counted: bool) {
        for (id, node) in std::iter::once(&self.from).chain(&self.to) {
            draft.at(key::node(*id), node.revision);
            if counted {
                draft.put(key::node(*id), node.content.encode());
            }
            draft.touch(*id, now);
        }
    }
}

impl Namespace {
    /// Gives an entry another name, in this directory or another of the same tree (`renameat2(2)`).
    pub fn rename(
        &self,
        actor: &dyn Actor,
        from: (NodeId, &Name),
        to: (NodeId, &Name),
        mode: RenameMode,
    ) -> Result<(), Error> {
        self.commit_before_move(actor, from)?;
        if let Some(pending) = self.overlay.named(to.0, to.1) {
            if mode == RenameMode::Keep {
                return Err(Error::Exists);
            }
            self.may_settle(actor, to.0, &pending)?;
            self.settle(actor, pending.id)?;
        }
        self.change(actor, |view, draft| {
            let parents = Parents::read(view, from.0, to.0)?;
            let source = self.seat(actor, view, from, &parents.from.1.content)?.ok_or(Error::NotFound)?;
            let target = self.seat(actor, view, to, &parents.to().content)?;
            if target.as_ref().is_some_and(|target| target.id() == source.id()) {
                return if mode == RenameMode::Keep { Err(Error::Exists) } else { Ok(()) };
            }
            let mut path = view.path(to.0, &parents.to().content)?;
            path.push(to.1.clone());
            KeyPath::new(path)?;
            if source.is_directory() && view.is_within(to.0, source.id())? {
                return Err(Error::IntoItself);
            }
            match (mode, target) {
                (RenameMode::Keep, Some(_)) => Err(Error::Exists),
                (RenameMode::Exchange, None) => Err(Error::NotFound),
                (RenameMode::Exchange, Some(target)) => self.exchange(view, draft, parents, source, target),
                (RenameMode::Replace | RenameMode::Keep, target) => {
                    self.take_over(view, draft, parents, source, to, target)
                }
            }
        })
    }

    /// What the process itself wrote to an open file and did not flush moves with it, so it is committed first.
    fn commit_before_move(&self, actor: &dyn Actor, from: (NodeId, &Name)) -> Result<(), Error> {
        let id = match self.overlay.named(from.0, from.1) {
            Some(pending) => {
                self.may_settle(actor, from.0, &pending)?;
                Some(pending.id)
            }
            None => self.view()?.entry(from.0, from.1)?.map(|entry| entry.content.node),
        };
        id.map_or(Ok(()), |id| self.settle(actor, id))
    }

    /// Whether a new entry is the caller's to move, before anything is committed for that.
    fn may_settle(&self, actor: &dyn Actor, parent: NodeId, pending: &Pending) -> Result<(), Error> {
        let node = pending.state().node.clone();
        let above = self.view()?.directory(parent)?.content;
        self.may_disturb(actor, parent, &above, pending.id, &node)
    }

    fn seat<'n>(
        &self,
        actor: &dyn Actor,
        view: &View<'_>,
        (parent, name): (NodeId, &'n Name),
        above: &Node,
    ) -> Result<Option<Seat<'n>>, Error> {
        let Some(entry) = view.entry(parent, name)? else { return Ok(None) };
        let node = view.entry_node(parent, name, &entry)?;
        let id = entry.content.node;
        if is_tree_root(id, &node.content) {
            return Err(Error::NotPermitted("environments and their trees keep their names"));
        }
        self.may_disturb(actor, parent, above, id, &node.content)?;
        Ok(Some(Seat { parent, name, entry, node }))
    }

    fn exchange(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        mut parents: Parents,
        source: Seat<'_>,
        target: Seat<'_>,
    ) -> Result<(), Error> {
        if target.is_directory() && view.is_within(source.parent, target.id())? {
            return Err(Error::IntoItself);
        }
        let other = view.spot(target.id(), &target.node.content)?;
        let spot = view.spot(source.id(), &source.node.content)?;
        draft.record_both(Event::Exchange { with: other.address.clone() }, spot, other, None);
        let (gone, come) = (i32::from(source.is_directory()), i32::from(target.is_directory()));
        parents.count(come - gone, gone - come);
        let moved_directory = parents.to.is_some() && (source.is_directory() || target.is_directory());
        let now = self.clock.now();
        parents.draft(draft, now, moved_directory);
        self.draft_topology(view, draft, moved_directory)?;
        for (seat, place) in [(&source, &target), (&target, &source)] {
            draft.at(key::entry(seat.parent, seat.name), seat.entry.revision);
            draft.put(key::entry(place.parent, place.name), seat.entry.content.encode());
            let mut node = seat.node.content.clone();
            node.parent = place.parent;
            node.name = Some(place.name.clone());
            node.changed = now;
            draft.at(key::node(seat.id()), seat.node.revision);
            draft.put(key::node(seat.id()), node.encode());
            self.draft_changed(view, draft, seat, now)?;
        }
        Ok(())
    }

    fn take_over(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        mut parents: Parents,
        source: Seat<'_>,
        (to, name): (NodeId, &Name),
        target: Option<Seat<'_>>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let old = view.spot(source.id(), &source.node.content)?;
        let old_path = view.path(source.id(), &source.node.content)?;
        let mut node = source.node.content.clone();
        node.parent = to;
        node.name = Some(name.clone());
        node.changed = now;
        let new = self.spot_below(view, to, &parents.to().content, name, &node)?;
        draft.record_both(Event::Rename { to: new.address.clone() }, old, new, node.version());

        draft.at(key::entry(source.parent, source.name), source.entry.revision);
        draft.delete(key::entry(source.parent, source.name));
        draft.at(key::node(source.id()), source.node.revision);
        let seat = key::entry(to, name);
        draft.unchanged(seat.clone(), target.as_ref().map(|target| target.entry.revision));
        draft.put(seat, source.entry.content.encode());

        let own_past = node.value.as_ref().and_then(|value| value.before).map(|before| before.node);
        let mut replaced = 0;
        let mut followed = None;
        match target {
            Some(target) if target.is_directory() => {
                if !source.is_directory() {
                    return Err(Error::IsADirectory);
                }
                self.draft_empty(view, draft, target.id())?;
                draft.delete_directory(target.id(), target.node, now);
                replaced = 1;
            }
            Some(_) if source.is_directory() => return Err(Error::NotADirectory),
            Some(target) => {
                followed = Some(target.id());
                if let (Some(value), Some(last)) = (&mut node.value, target.node.content.version()) {
                    value.before = Some(Before { node: target.id(), last });
                }
                let kept = self.prune_chain(view, draft, source.id(), &node, target.id())?;
                if kept {
                    self.retire(view, draft, target.id(), target.node, false)?;
                } else {
                    let gone = Node { removed: true, ..target.node.content.clone() };
                    draft.departing.push((target.id(), gone));
                    draft.at(key::node(target.id()), target.node.revision);
                }
            }
            None => {
                if node.value.is_some()
                    && let Some(before) = self.continue_history(view, draft, &node)?
                    && let Some(value) = &mut node.value
                {
                    value.before = Some(before);
                    followed = Some(before.node).filter(|followed| Some(*followed) != own_past);
                    if followed.is_some() {
                        self.prune_chain(view, draft, source.id(), &node, NodeId(0))?;
                    }
                }
            }
        }
        // The history that it leaves for another stays where it was.
        if let (Some(_), Some(past), Place::In(_, root)) = (followed, own_past, node.place)
            && view.find(past)?.is_some()
        {
            self.draft_history(view, draft, root, &old_path, past)?;
        }
        let moved = i32::from(source.is_directory());
        parents.count(-moved, moved - replaced);
        let moved_directory = source.is_directory() && parents.to.is_some();
        parents.draft(draft, now, moved_directory || replaced > 0);
        self.draft_topology(view, draft, moved_directory)?;
        self.draft_changed(view, draft, &source, now)?;
        draft.put(key::node(source.id()), node.encode());
        Ok(())
    }

    /// A directory's times stand in a row of their own, which others write without asking.
    fn draft_changed(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        seat: &Seat<'_>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if seat.is_directory() {
            let row = key::times(seat.id());
            let seen = view.read(&row, Times::decode)?;
            let modified = seen.as_ref().map_or(seat.node.content.modified, |times| times.content.modified);
            draft.unchanged(row.clone(), seen.map(|times| times.revision));
            draft.put(row, Times { modified, changed: now }.encode());
        }
        Ok(())
    }

    /// Takes away the versions that those of `node` push out of the history that it takes up. Whether `victim`, which is
    /// still in the tree, keeps any version.
    fn prune_chain(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        id: NodeId,
        node: &Node,
        victim: NodeId,
    ) -> Result<bool, Error> {
        let Some(value) = &node.value else { return Ok(true) };
        let kept = u64::from(self.settings.versions);
        let oldest_kept = (value.version().0 + 1).saturating_sub(kept);
        let mut victim_kept = true;
        // Before, the chain held at most `kept` versions up to `base`.
        for version in (value.base() + 1).saturating_sub(kept).max(1)..oldest_kept.min(value.base() + 1) {
            let Some(pushed_out) = view.locate(id, node, Version(version))? else { continue };
            let holder = pushed_out.id;
            if draft_pushed_out(draft, id, pushed_out) {
                victim_kept &= holder != victim;
            }
        }
        Ok(victim_kept)
    }

    /// A directory that changes its parent was seen outside itself by a walk up the tree: nobody else may move one meanwhile.
    fn draft_topology(&self, view: &View<'_>, draft: &mut Draft<'_>, moved: bool) -> Result<(), Error> {
        if moved {
            draft.unchanged(key::TOPOLOGY.to_vec(), view.topology()?);
            draft.put(key::TOPOLOGY.to_vec(), row::encode_bytes(&[]));
        }
        Ok(())
    }
}
