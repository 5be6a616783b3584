//! Earlier versions: of keys that are there, and of keys that were removed.
//!
//! Invariant: an earlier version is readable to those alone whom both the entry's present permissions and the version's
//! own let read: who takes over a name gains nothing of what was there before, and who was revoked loses the past too.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::open::OpenFile;
use super::row::{self, Before, Node, Place, key};
use super::view::{DEEPEST, Located, Stored, View};
use super::{Actor, Draft, Error, Namespace, caller, permits};
use crate::access::{Caller, Kind, Rights, check, gate};
use crate::clock::Timestamp;
use crate::id::{NodeId, Uid, Version};
use crate::key::{Name, NameError, Tree};

/// A version that is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PastVersion {
    /// Its number.
    pub version: Version,
    /// Whose commit made it.
    pub by: Uid,
    /// When.
    pub at: Timestamp,
    /// Its length in bytes.
    pub size: u64,
}

/// What stands under a path of the history.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Past {
    /// The versions of the key of that path, oldest first.
    pub versions: Vec<PastVersion>,
    /// The names that go on from there, of entries and of what was removed.
    pub names: BTreeSet<Name>,
}

impl Namespace {
    /// The root of a tree of an environment.
    pub fn tree_root(&self, environment: NodeId, tree: Tree) -> Result<NodeId, Error> {
        let name = Name::parse(tree.as_str().as_bytes())?;
        Ok(self.view()?.entry(environment, &name)?.ok_or(Error::NotFound)?.content.node)
    }

    /// What the history has under a path of a tree; nothing is an error, except for the tree's root. Directories that are
    /// there are asked whether the caller may search them and, to list names, read them.
    pub fn past(&self, actor: &dyn Actor, root: NodeId, path: &[Name]) -> Result<Past, Error> {
        let view = self.view()?;
        let mut past = Past::default();
        let present = self.walk(actor, &view, root, path)?;
        match &present {
            Some((id, node)) if node.kind == Kind::Directory => {
                if !check::allows(&node.permissions, &caller(actor), Rights::READ, Kind::Directory) {
                    return Ok(past);
                }
                past.names.extend(view.entries(*id)?.into_iter().map(|(name, _)| name));
            }
            _ => past.versions = self.kept(actor, &view, root, path, present.as_ref())?,
        }
        let (from, to) = below(root, path);
        let prefix = from.len();
        view.scan(from.as_slice()..to.as_slice(), |key, _| {
            let rest = key.get(prefix..).unwrap_or_default();
            let first = rest.split(|&byte| byte == b'/').next().unwrap_or_default();
            past.names.extend(Name::parse(first).ok());
            Ok(())
        })?;
        if past.versions.is_empty() && past.names.is_empty() && !path.is_empty() && present.is_none() {
            return Err(Error::NotFound);
        }
        Ok(past)
    }

    /// That the history has something under a path, as [`past`](Namespace::past) tells it; without a look at all of it.
    pub fn is_past(&self, actor: &dyn Actor, root: NodeId, path: &[Name]) -> Result<(), Error> {
        let view = self.view()?;
        if path.is_empty() || self.walk(actor, &view, root, path)?.is_some() {
            return Ok(());
        }
        let (from, to) = below(root, path);
        let is_there =
            !self.kept(actor, &view, root, path, None)?.is_empty() || view.has_any(from.as_slice()..to.as_slice())?;
        if is_there { Ok(()) } else { Err(Error::NotFound) }
    }

    /// The versions of the key of a path, oldest first, as [`past`](Namespace::past) has them; without a look at what goes on from
    /// there. None where there is no such key.
    pub fn past_versions(&self, actor: &dyn Actor, root: NodeId, path: &[Name]) -> Result<Vec<PastVersion>, Error> {
        let view = self.view()?;
        let present = self.walk(actor, &view, root, path)?;
        self.kept(actor, &view, root, path, present.as_ref())
    }

    /// The versions of a key that is there, or of one that was removed.
    fn kept(
        &self,
        actor: &dyn Actor,
        view: &View<'_>,
        root: NodeId,
        path: &[Name],
        present: Option<&(NodeId, Node)>,
    ) -> Result<Vec<PastVersion>, Error> {
        match present {
            Some((_, node)) if node.kind == Kind::Directory => Ok(Vec::new()),
            Some((id, node)) => versions(view, *id, node),
            None => match self.removed(actor, view, root, path) {
                Ok(Some((id, node))) => versions(view, id, &node),
                // Names below are listed all the same.
                Ok(None) | Err(Error::Denied(_) | Error::Gate(_)) => Ok(Vec::new()),
                Err(error) => Err(error),
            },
        }
    }

    /// Has the history of a path lead to a node that is no entry any longer. Where it leads to another, as after a directory
    /// was moved to where one was removed, nothing would lead there again: that goes, with its versions.
    pub(super) fn draft_history(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        root: NodeId,
        path: &[Name],
        id: NodeId,
    ) -> Result<(), Error> {
        let (row, found) = (key::history(root, path), view.history(root, path)?);
        draft.unchanged(row.clone(), found.as_ref().map(|found| found.revision));
        draft.put(row, row::encode_history(id));
        let mut before = found.map(|found| found.content).filter(|before| *before != id);
        while let Some(gone) = before {
            let Some(Stored { content: node, .. }) = view.find(gone)? else { break };
            draft.delete(key::node(gone));
            draft.delete_versions(gone);
            before = match node.value.as_ref().and_then(|value| value.before) {
                // Numbers only fall along the chain; what does not was not written by us.
                Some(Before { node: previous, last }) => {
                    let newest = view.find(previous)?.and_then(|older| older.content.version());
                    newest.is_some_and(|newest| newest <= last).then_some(previous)
                }
                None => None,
            };
            draft.departing.push((gone, node));
        }
        Ok(())
    }

    /// The entry of a path, as far as there is one; the environment and each directory on the way let the caller search them.
    fn walk(
        &self,
        actor: &dyn Actor,
        view: &View<'_>,
        root: NodeId,
        path: &[Name],
    ) -> Result<Option<(NodeId, Node)>, Error> {
        let mut id = root;
        let mut node = view.directory(root)?.content;
        may_search(actor, &view.directory(node.parent)?.content)?;
        for name in path {
            if node.kind == Kind::File {
                return Ok(None);
            }
            may_search(actor, &node)?;
            let Some(entry) = view.entry(id, name)? else { return Ok(None) };
            node = view.entry_node(id, name, &entry)?.content;
            id = entry.content.node;
        }
        Ok(Some((id, node)))
    }

    /// The key of a path whose entry was removed.
    fn removed(
        &self,
        actor: &dyn Actor,
        view: &View<'_>,
        root: NodeId,
        path: &[Name],
    ) -> Result<Option<(NodeId, Node)>, Error> {
        let Some(found) = view.history(root, path)? else { return Ok(None) };
        let Some(Stored { content: node, .. }) = view.find(found.content)? else { return Ok(None) };
        self.may_look_back(actor, view, root, found.content, &node)?;
        Ok(Some((found.content, node)))
    }

    /// Whether somebody may reach a node that is no entry any longer. The directories that it was in protect it still, wherever
    /// they are by now; where one of them is gone, what is left is for the node's owner, the superuser, and who may read and
    /// write the node.
    fn may_look_back(
        &self,
        actor: &dyn Actor,
        view: &View<'_>,
        root: NodeId,
        id: NodeId,
        node: &Node,
    ) -> Result<(), Error> {
        let mut above = node.parent;
        for _ in 0..DEEPEST {
            if above == root {
                return Ok(());
            }
            let Some(Stored { content: directory, .. }) = view.find(above)? else {
                if [node.permissions.owner, Uid::ROOT].contains(&actor.uid()) {
                    return Ok(());
                }
                // What everybody might have written the directory may have kept from everybody.
                let want = Rights::READ.union(Rights::WRITE);
                if check::decide(&node.permissions, &caller(actor), want, node.kind) == Ok(check::Class::Other) {
                    return Err(Error::Denied("a directory that it was in is gone, and with it whom it let in"));
                }
                return self.may_edit(actor, id, node);
            };
            may_search(actor, &directory)?;
            above = directory.parent;
        }
        Err(NameError::TooLong.into())
    }

    /// Opens a version to read it.
    pub fn open_version(
        &self,
        actor: &dyn Actor,
        root: NodeId,
        path: &[Name],
        version: Version,
    ) -> Result<Arc<OpenFile>, Error> {
        let lease = self.lease(actor);
        let view = self.view()?;
        let (id, node) = match self.walk(actor, &view, root, path)? {
            Some((id, node)) => (id, node),
            None => self.removed(actor, &view, root, path)?.ok_or(Error::NotFound)?,
        };
        if node.kind == Kind::Directory {
            return Err(Error::IsADirectory);
        }
        // The present permissions decide on every version, so they are believed only where the present value agrees.
        view.current_value(id, &node)?;
        let Located { id: holder, node: held, own } = view.locate(id, &node, version)?.ok_or(Error::NotFound)?;
        let value = view.value(holder, &held, own)?.ok_or(Error::NotFound)?;
        if holder != id {
            // Whose name was taken over, perhaps in a directory made anew.
            self.may_look_back(actor, &view, root, holder, &held)?;
        }
        if node.expires.is_some_and(|expires| expires <= self.clock.now()) {
            return Err(Error::Expired);
        }
        let allowed = [&node.permissions, &value.permissions];
        if !allowed.iter().all(|permissions| check::allows(permissions, &caller(actor), Rights::READ, Kind::File)) {
            return Err(Error::Denied(
                "the entry's permissions, or those that this version had, don't let the process read",
            ));
        }
        let secret = matches!(node.place, Place::In(Tree::Secrets, _));
        let then = value.permissions.clone();
        let grant = if secret {
            // The grant is for the node whose record is opened; the permissions asked are the key's present ones too.
            let question = |caller: &Caller<'_>| gate::history(&node.permissions, &then, caller, holder);
            Some(self.ask(actor, || view.address(id, &node).ok(), Some(version), question)?)
        } else {
            None
        };
        let content = self.opened(&view, holder, &node, own, value, grant)?;
        Ok(self.open_past(actor, id, secret, version, then, content, lease))
    }
}

/// Between which rows those are that lead to what was removed below a path.
fn below(root: NodeId, path: &[Name]) -> (Vec<u8>, Vec<u8>) {
    let (mut from, mut to) = (key::history(root, path), key::history(root, path));
    from.push(b'/');
    // What comes next.
    to.push(b'0');
    (from, to)
}

pub(super) fn may_search(actor: &dyn Actor, directory: &Node) -> Result<(), Error> {
    if permits(actor, &directory.permissions, Rights::EXECUTE, Kind::Directory) {
        Ok(())
    } else {
        Err(Error::Denied("a directory above does not let the process search it"))
    }
}

/// The versions of a key that are still kept, oldest first.
fn versions(view: &View<'_>, id: NodeId, node: &Node) -> Result<Vec<PastVersion>, Error> {
    let mut found = Vec::new();
    let Some(newest) = node.version() else { return Ok(found) };
    let mut number = newest.0;
    while number > 0 {
        let Some(located) = view.locate(id, node, Version(number))? else { break };
        let Some(value) = view.value(located.id, &located.node, located.own)? else { break };
        found.push(PastVersion { version: Version(number), by: value.by, at: value.at, size: value.size });
        number -= 1;
    }
    found.reverse();
    Ok(found)
}
