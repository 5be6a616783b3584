//! Removing entries, and who may.

use super::row::{Place, key};
use super::view::{Stored, View};
use super::{Actor, Draft, Error, Namespace, caller, is_tree_root, row, with_groups};
use crate::access::check::{self, Class};
use crate::access::{Kind, Rights, gate};
use crate::audit::Event;
use crate::id::NodeId;
use crate::key::{Name, Tree};

impl Namespace {
    /// Takes a file's name away (`unlink(2)`). Its versions stay in the history of its key.
    pub fn remove_file(&self, actor: &dyn Actor, parent: NodeId, name: &Name) -> Result<NodeId, Error> {
        if let Some(pending) = self.overlay.named(parent, name) {
            let mut state = pending.state();
            if !state.committed {
                let view = self.view()?;
                let above = view.directory(parent)?.content;
                self.may_disturb(actor, parent, &above, pending.id, &state.node)?;
                self.overlay.unname(pending.id, &state.node);
                state.node.removed = true;
                return Ok(pending.id);
            }
        }
        self.change(actor, |view, draft| {
            let above = view.directory(parent)?;
            let entry = view.entry(parent, name)?.ok_or(Error::NotFound)?;
            let node = view.entry_node(parent, name, &entry)?;
            if node.content.kind == Kind::Directory {
                return Err(Error::IsADirectory);
            }
            let id = entry.content.node;
            self.may_disturb(actor, parent, &above.content, id, &node.content)?;
            if is_tree_root(parent, &above.content) {
                // Its owner was asked for.
                draft.at(key::node(parent), above.revision);
            }
            self.draft_removal(view, draft, (parent, name), entry, node)?;
            Ok(id)
        })
    }

    /// Drafts that a file has its name no longer.
    pub(super) fn draft_removal(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        (parent, name): (NodeId, &Name),
        entry: Stored<row::Entry>,
        node: Stored<row::Node>,
    ) -> Result<(), Error> {
        draft.at(key::entry(parent, name), entry.revision);
        draft.delete(key::entry(parent, name));
        self.retire(view, draft, entry.content.node, node, true)?;
        draft.touch(parent, self.clock.now());
        Ok(())
    }

    /// Takes an empty directory away (`rmdir(2)`); right below the root, an environment whose two trees are empty.
    pub fn remove_directory(&self, actor: &dyn Actor, parent: NodeId, name: &Name) -> Result<NodeId, Error> {
        self.remove_this_directory(actor, parent, name, None)
    }

    /// The same, if it is this one still.
    fn remove_this_directory(
        &self,
        actor: &dyn Actor,
        parent: NodeId,
        name: &Name,
        this: Option<NodeId>,
    ) -> Result<NodeId, Error> {
        if self.overlay.named(parent, name).is_some() {
            return Err(Error::NotADirectory);
        }
        self.change(actor, |view, draft| {
            let above = view.directory(parent)?;
            let entry = view.entry(parent, name)?.ok_or(Error::NotFound)?;
            let node = view.entry_node(parent, name, &entry)?;
            let id = entry.content.node;
            if this.is_some_and(|this| this != id) {
                return Err(Error::Gone);
            }
            if node.content.kind == Kind::File {
                return Err(Error::NotADirectory);
            }
            if is_tree_root(id, &node.content) {
                return Err(Error::NotPermitted("a tree goes with its environment; remove that"));
            }
            self.may_disturb(actor, parent, &above.content, id, &node.content)?;
            self.draft_directory_removal(view, draft, (parent, name), above, entry, node)?;
            Ok(id)
        })
    }

    /// Drafts that an empty directory is gone.
    pub(super) fn draft_directory_removal(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        (parent, name): (NodeId, &Name),
        mut above: Stored<row::Node>,
        entry: Stored<row::Entry>,
        node: Stored<row::Node>,
    ) -> Result<(), Error> {
        let id = entry.content.node;
        draft.record(Event::Remove, view.spot(id, &node.content)?, None);
        match node.content.place {
            Place::Root => return Err(Error::NotPermitted("the root stays")),
            Place::Environment => self.draft_trees_gone(view, draft, id)?,
            Place::In(..) => self.draft_empty(view, draft, id)?,
        }
        draft.at(key::entry(parent, name), entry.revision);
        draft.delete(key::entry(parent, name));
        draft.delete_directory(id, node, self.clock.now());
        above.content.directories = above.content.directories.saturating_sub(1);
        draft.at(key::node(parent), above.revision);
        draft.put(key::node(parent), above.content.encode());
        draft.touch(parent, self.clock.now());
        Ok(())
    }

    /// Insists that a directory has no entry, in the store or new.
    pub(super) fn draft_empty(&self, view: &View<'_>, draft: &mut Draft<'_>, directory: NodeId) -> Result<(), Error> {
        if !self.overlay.names(directory).is_empty() || !view.is_empty(directory)? {
            return Err(Error::NotEmpty);
        }
        draft.empty(directory);
        Ok(())
    }

    fn draft_trees_gone(&self, view: &View<'_>, draft: &mut Draft<'_>, environment: NodeId) -> Result<(), Error> {
        for tree in Tree::ALL {
            let name = Name::parse(tree.as_str().as_bytes())?;
            let Some(entry) = view.entry(environment, &name)? else { continue };
            let root = view.entry_node(environment, &name, &entry)?;
            let id = entry.content.node;
            self.draft_empty(view, draft, id)?;
            draft.at(key::entry(environment, &name), entry.revision);
            draft.delete(key::entry(environment, &name));
            draft.delete_directory(id, root, self.clock.now());
        }
        Ok(())
    }

    /// Marks a file's node as removed. Its versions are found again under its key, or, where it was replaced, through the
    /// node that took its place.
    pub(super) fn retire(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        id: NodeId,
        node: Stored<row::Node>,
        own_history: bool,
    ) -> Result<(), Error> {
        let Stored { revision, content: mut node } = node;
        if own_history {
            draft.record(Event::Remove, view.spot(id, &node)?, node.version());
            if let Place::In(_, root) = node.place {
                self.draft_history(view, draft, root, &view.path(id, &node)?, id)?;
            }
        }
        node.removed = true;
        node.changed = self.clock.now();
        draft.at(key::node(id), revision);
        draft.put(key::node(id), node.encode());
        Ok(())
    }

    /// Removes an entry by its node, for whoever may read and write it (`user.keyfs.remove`). Tells where it was.
    pub fn remove_by_editor(&self, actor: &dyn Actor, id: NodeId) -> Result<(NodeId, Name), Error> {
        if let Some(pending) = self.overlay.pending(id) {
            let mut state = pending.state();
            if !state.committed {
                let name = state.node.name.clone().filter(|_| !state.node.removed).ok_or(Error::Gone)?;
                self.may_edit(actor, id, &state.node)?;
                self.overlay.unname(id, &state.node);
                state.node.removed = true;
                return Ok((state.node.parent, name));
            }
        }
        let node = self.view()?.node(id)?.content;
        self.may_edit(actor, id, &node)?;
        let name = node.name.clone().ok_or(Error::NotPermitted("the root stays"))?;
        match (node.removed, node.kind) {
            (true, _) => Err(Error::Gone),
            (false, Kind::File) => self.remove_file_as_editor(actor, id),
            (false, Kind::Directory) => {
                self.remove_this_directory(actor, node.parent, &name, Some(id))?;
                Ok((node.parent, name))
            }
        }
    }

    fn remove_file_as_editor(&self, actor: &dyn Actor, id: NodeId) -> Result<(NodeId, Name), Error> {
        self.change(actor, |view, draft| {
            let node = view.node(id)?;
            let name = node.content.name.clone().ok_or(Error::Gone)?;
            let parent = node.content.parent;
            let entry = view.entry(parent, &name)?.filter(|entry| entry.content.node == id).ok_or(Error::Gone)?;
            self.may_edit(actor, id, &node.content)?;
            self.draft_removal(view, draft, (parent, &name), entry, node)?;
            Ok((parent, name))
        })
    }

    /// Whether somebody may read and write an entry, both gates asked: whoever may, may also change its permissions and
    /// remove it.
    pub(super) fn may_edit(&self, actor: &dyn Actor, id: NodeId, node: &row::Node) -> Result<(), Error> {
        let want = Rights::READ.union(Rights::WRITE);
        match check::decide(&node.permissions, &caller(actor), want, node.kind) {
            Err(_) => return Err(Error::Denied("this takes permission to read and to write the entry")),
            // A directory that everybody may write, as a tree's root, is not everybody's to close or to remove.
            Ok(Class::Other) if node.kind == Kind::Directory => {
                return Err(Error::NotPermitted("on a directory this takes its owner, or a group of it"));
            }
            Ok(_) => {}
        }
        if node.kind == Kind::File && node.place.is_secret() {
            drop(with_groups(actor, |caller| gate::read(&node.permissions, caller, id))?);
        }
        Ok(())
    }

    /// Right below a tree's root, where anyone may add, an entry is removed, renamed or replaced only by its owner, the
    /// root's owner, the superuser, or who may read and write it. Elsewhere the kernel has asked the directory.
    pub(super) fn may_disturb(
        &self,
        actor: &dyn Actor,
        parent: NodeId,
        above: &row::Node,
        id: NodeId,
        node: &row::Node,
    ) -> Result<(), Error> {
        let owners = [node.permissions.owner, above.permissions.owner, crate::id::Uid::ROOT];
        if !is_tree_root(parent, above) || owners.contains(&actor.uid()) {
            return Ok(());
        }
        self.may_edit(actor, id, node).map_err(|error| match error {
            Error::Denied(_) | Error::Gate(_) => Error::NotPermitted(
                "right below a tree's root this is for the entry's owner and for who may read and write it",
            ),
            error => error,
        })
    }
}
