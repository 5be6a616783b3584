//! New entries: directories, files, and environments with their two trees.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::draw_id;
use super::open::{OpenFile, OpenMode, Remembered};
use super::row::{self, Before, Current, Entry, Node, Place, key};
use super::view::{Spot, Stored, View};
use super::write::end_set_id;
use super::{Actor, Attributes, DIRECTORY_MODE, Draft, Error, Namespace, TREE_ROOT_MODE, caller, creator};
use crate::access::{Kind, Mode, Permissions, Rights, check, create};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::id::{NodeId, Uid};
use crate::key::{Environment, KeyPath, Name, NameError, Tree};

impl Namespace {
    /// Makes an environment for whom the root belongs to, as `--create` does; it has the mode of the default ones.
    pub fn make_environment(&self, environment: &Environment) -> Result<NodeId, Error> {
        let owner = self.permissions(NodeId::ROOT)?;
        let actor = Remembered::nobody_waiting(owner.owner, owner.group);
        let none = Mode::from_bits(0);
        Ok(self.make_directory(&actor, NodeId::ROOT, environment.name(), DIRECTORY_MODE, none)?.node)
    }

    /// Makes a directory; right below the root, an environment with its two trees.
    pub fn make_directory(
        &self,
        actor: &dyn Actor,
        parent: NodeId,
        name: &Name,
        mode: Mode,
        umask: Mode,
    ) -> Result<Attributes, Error> {
        if self.overlay.named(parent, name).is_some() {
            return Err(Error::Exists);
        }
        let id = draw_id()?;
        let trees = Tree::ALL.map(|tree| draw_id().map(|id| (tree, id)));
        let node = self.change(actor, |view, draft| {
            let above = view.directory(parent)?;
            if view.entry(parent, name)?.is_some() {
                return Err(Error::Exists);
            }
            let now = self.clock.now();
            let node = match above.content.place {
                Place::Root => {
                    Environment::new(name.clone())?;
                    let permissions = create::new_entry(
                        &above.content.permissions,
                        &creator(actor, &above.content.permissions),
                        mode,
                        umask,
                        Kind::Directory,
                        false,
                    );
                    let mut environment = new_node(Kind::Directory, Place::Environment, parent, name, permissions, now);
                    environment.directories = 2;
                    for tree in &trees {
                        let (tree, root) = *tree.as_ref().map_err(|error| Error::Store(error.to_string()))?;
                        draft_tree(draft, &environment.permissions, id, tree, root, now)?;
                    }
                    environment
                }
                Place::Environment => {
                    return Err(Error::NotPermitted("an environment has its two trees, and nothing beside them"));
                }
                place @ Place::In(..) => {
                    self.check_length(view, parent, &above.content, name)?;
                    let above = &above.content.permissions;
                    let permissions = create::new_entry(
                        above,
                        &creator(actor, above),
                        mode,
                        umask,
                        Kind::Directory,
                        place.is_secret(),
                    );
                    new_node(Kind::Directory, place, parent, name, permissions, now)
                }
            };
            self.draft_directory(view, draft, id, above, &node)?;
            Ok(node)
        })?;
        let times = row::Times { modified: node.modified, changed: node.changed };
        Ok(Attributes::of(id, &node, times))
    }

    /// Drafts a directory that is new, in the one above it.
    pub(super) fn draft_directory(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        id: NodeId,
        mut above: Stored<Node>,
        node: &Node,
    ) -> Result<(), Error> {
        let name = node.name.as_ref().ok_or(Error::NotFound)?;
        // The parent counts its directories, so two made at once in one directory do conflict.
        above.content.directories = above.content.directories.saturating_add(1);
        draft.at(key::node(node.parent), above.revision);
        draft.put(key::node(node.parent), above.content.encode());
        draft_entry(draft, id, node);
        draft.touch(node.parent, node.created);
        draft.touch(id, node.created);
        let spot = self.spot_below(view, node.parent, &above.content, name, node)?;
        draft.record(Event::MakeDirectory, spot, None);
        Ok(())
    }

    /// Makes an empty file, committed at once (`mknod(2)`).
    pub fn make_file(
        &self,
        actor: &dyn Actor,
        parent: NodeId,
        name: &Name,
        mode: Mode,
        umask: Mode,
    ) -> Result<Attributes, Error> {
        if self.overlay.named(parent, name).is_some() {
            return Err(Error::Exists);
        }
        let (id, node) = self.draft_file(actor, parent, name, mode, umask)?;
        self.commit_creation(actor, id, &node, &[], None)?;
        self.plain_attributes(id)
    }

    /// Makes a file and opens it (`open(2)` with `O_CREAT`). It is there at once, empty, and is committed with its first
    /// flush.
    pub fn create(
        &self,
        actor: &dyn Actor,
        parent: NodeId,
        name: &Name,
        permissions: (Mode, Mode),
        mode: OpenMode,
        exclusive: bool,
    ) -> Result<(Attributes, Arc<OpenFile>), Error> {
        let existing = match self.lookup(parent, name) {
            Ok(existing) => Some(existing),
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        };
        if let Some(existing) = existing {
            return self.open_existing(actor, &existing, mode, exclusive);
        }
        let (requested, umask) = permissions;
        let (id, node) = self.draft_file(actor, parent, name, requested, umask)?;
        let secret = node.place.is_secret();
        let Some(pending) = self.overlay.create(id, node) else {
            let existing = self.lookup(parent, name)?;
            return self.open_existing(actor, &existing, mode, exclusive);
        };
        // Another new entry of that name may have gone to the store since it was looked for there. From here on none does,
        // since the name is this one's.
        let taken = self.view().and_then(|view| Ok(view.entry(parent, name)?.is_some()));
        if !matches!(taken, Ok(false)) {
            self.overlay.forget(id, &pending.state().node);
            taken?;
            let existing = self.lookup(parent, name)?;
            return self.open_existing(actor, &existing, mode, exclusive);
        }
        let file = self.open_created(actor, pending, secret, mode);
        self.with_attributes(file)
    }

    /// An open file with its attributes; where these can't be had, it is not left open for nobody.
    fn with_attributes(&self, file: Arc<OpenFile>) -> Result<(Attributes, Arc<OpenFile>), Error> {
        match self.plain_attributes(file.node()) {
            Ok(attributes) => Ok((attributes, file)),
            Err(error) => {
                self.overlay.closed(&file);
                Err(error)
            }
        }
    }

    /// The kernel believed that there was no such name, so it asked no permission of what stands there.
    fn open_existing(
        &self,
        actor: &dyn Actor,
        existing: &Attributes,
        mode: OpenMode,
        exclusive: bool,
    ) -> Result<(Attributes, Arc<OpenFile>), Error> {
        if exclusive {
            return Err(Error::Exists);
        }
        if existing.kind == Kind::Directory {
            return Err(Error::IsADirectory);
        }
        let mut want = Rights::NONE;
        if mode.read {
            want = want.union(Rights::READ);
        }
        if mode.write || mode.truncate {
            want = want.union(Rights::WRITE);
        }
        if !check::allows(&existing.permissions, &caller(actor), want, Kind::File) {
            return Err(Error::Denied("the entry was made by somebody else at the same moment"));
        }
        let file = self.open(actor, existing.node, mode)?;
        self.with_attributes(file)
    }

    /// A file's node as it would be made now.
    fn draft_file(
        &self,
        actor: &dyn Actor,
        parent: NodeId,
        name: &Name,
        mode: Mode,
        umask: Mode,
    ) -> Result<(NodeId, Node), Error> {
        let view = self.view()?;
        let above = view.directory(parent)?.content;
        let Place::In(..) = above.place else {
            return Err(Error::NotPermitted("keys stand in an environment's `variables` and `secrets`"));
        };
        self.check_length(&view, parent, &above, name)?;
        let secret = above.place.is_secret();
        let permissions =
            create::new_entry(&above.permissions, &creator(actor, &above.permissions), mode, umask, Kind::File, secret);
        Ok((draw_id()?, new_node(Kind::File, above.place, parent, name, permissions, self.clock.now())))
    }

    /// Commits a file that was made before, with its first value, modified at the present unless it says when.
    pub(super) fn commit_creation(
        &self,
        actor: &dyn Actor,
        id: NodeId,
        node: &Node,
        content: &[u8],
        modified: Option<Timestamp>,
    ) -> Result<Current, Error> {
        self.change(actor, |view, draft| self.draft_creation(actor, view, draft, id, node, content, modified))
    }

    /// Drafts a file that is new, with its first value.
    #[allow(clippy::too_many_arguments)] // one entry in its parts, as the caller has them
    pub(super) fn draft_creation(
        &self,
        actor: &dyn Actor,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        id: NodeId,
        node: &Node,
        content: &[u8],
        modified: Option<Timestamp>,
    ) -> Result<Current, Error> {
        let name = node.name.as_ref().ok_or(Error::NotFound)?;
        let above = view.directory(node.parent)?;
        if view.entry(node.parent, name)?.is_some() {
            return Err(Error::Exists);
        }
        let now = self.clock.now();
        let before = self.continue_history(view, draft, node)?;
        let mut made = node.clone();
        if !content.is_empty() {
            draft.permissions_changed |= end_set_id(&mut made, actor);
        }
        let held = self.draft_value(actor, draft, id, &made, 1, content, now)?;
        let current = Current { own: 1, before, held };
        made.value = Some(current.clone());
        // What nobody wrote to since it was made was last modified then.
        let written = if content.is_empty() { node.modified } else { now };
        made.modified = modified.unwrap_or(written);
        made.changed = if content.is_empty() { node.changed } else { now };
        draft.at(key::node(node.parent), above.revision);
        draft_entry(draft, id, &made);
        draft.touch(node.parent, now);
        let spot = self.spot_below(view, node.parent, &above.content, name, &made)?;
        draft.record(Event::Put, spot, Some(current.version()));
        self.prune(view, draft, id, &made, current.version())?;
        Ok(current)
    }

    /// Takes up the history of a key that was removed here before.
    pub(super) fn continue_history(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        node: &Node,
    ) -> Result<Option<Before>, Error> {
        let Place::In(_, root) = node.place else { return Ok(None) };
        let (Some(name), above) = (&node.name, view.node(node.parent)?.content) else { return Ok(None) };
        let mut path = view.path(node.parent, &above)?;
        path.push(name.clone());
        let (found, history) = (view.history(root, &path)?, key::history(root, &path));
        draft.unchanged(history.clone(), found.as_ref().map(|found| found.revision));
        let Some(Stored { content: node, .. }) = found else { return Ok(None) };
        draft.delete(history);
        let last = view.find(node)?.and_then(|stored| stored.content.version());
        Ok(last.map(|last| Before { node, last }))
    }

    pub(super) fn check_length(&self, view: &View<'_>, parent: NodeId, above: &Node, name: &Name) -> Result<(), Error> {
        let mut path = view.path(parent, above)?;
        path.push(name.clone());
        KeyPath::new(path).map(drop).map_err(|error: NameError| error.into())
    }

    /// Where an entry is to stand that is not in the store yet.
    pub(super) fn spot_below(
        &self,
        view: &View<'_>,
        parent: NodeId,
        above: &Node,
        name: &Name,
        node: &Node,
    ) -> Result<Spot, Error> {
        let mut spot = view.spot(parent, above)?;
        spot.above = std::iter::once(&above.permissions).chain(&*spot.above).cloned().collect();
        match node.place {
            Place::Environment => spot.address.environment = Environment::new(name.clone()).ok(),
            Place::Root | Place::In(..) => spot.address = spot.address.below(name),
        }
        Ok(spot)
    }
}

/// A node that was made just now.
pub(super) fn new_node(
    kind: Kind,
    place: Place,
    parent: NodeId,
    name: &Name,
    permissions: Permissions,
    now: Timestamp,
) -> Node {
    Node {
        kind,
        place,
        parent,
        name: Some(name.clone()),
        removed: false,
        permissions,
        accessed: now,
        modified: now,
        changed: now,
        created: now,
        expires: None,
        notes: BTreeMap::new(),
        directories: 0,
        value: None,
    }
}

/// Drafts a node that is new, and its entry.
pub(super) fn draft_entry(draft: &mut Draft<'_>, id: NodeId, node: &Node) {
    draft.absent(key::node(id));
    draft.put(key::node(id), node.encode());
    if let Some(name) = &node.name {
        let entry = key::entry(node.parent, name);
        draft.absent(entry.clone());
        draft.put(entry, Entry { kind: node.kind, node: id }.encode());
    }
}

/// Drafts the root of one of an environment's trees, which belongs to whom the environment belongs to.
fn draft_tree(
    draft: &mut Draft<'_>,
    environment: &Permissions,
    parent: NodeId,
    tree: Tree,
    root: NodeId,
    now: Timestamp,
) -> Result<(), Error> {
    let name = Name::parse(tree.as_str().as_bytes())?;
    let permissions = Permissions::new(environment.owner, environment.group, TREE_ROOT_MODE);
    draft_entry(draft, root, &new_node(Kind::Directory, Place::In(tree, root), parent, &name, permissions, now));
    draft.touch(root, now);
    Ok(())
}

/// Drafts what a new store holds: the root, and the environments with their trees, all of them `owner`'s.
pub(super) fn draft_namespace(
    draft: &mut Draft<'_>,
    owner: Uid,
    group: crate::id::Gid,
    now: Timestamp,
    mut new_id: impl FnMut() -> Result<NodeId, Error>,
) -> Result<(), Error> {
    let permissions = Permissions::new(owner, group, DIRECTORY_MODE);
    for name in Environment::DEFAULT {
        let (id, name) = (new_id()?, Name::parse(name.as_bytes())?);
        let mut node = new_node(Kind::Directory, Place::Environment, NodeId::ROOT, &name, permissions.clone(), now);
        node.directories = 2;
        for tree in Tree::ALL {
            draft_tree(draft, &permissions, id, tree, new_id()?, now)?;
        }
        draft_entry(draft, id, &node);
        draft.touch(id, now);
    }
    let root = Node {
        name: None,
        directories: Environment::DEFAULT.len() as u32,
        ..new_node(Kind::Directory, Place::Root, NodeId::ROOT, &Name::parse(b"root")?, permissions, now)
    };
    draft_entry(draft, NodeId::ROOT, &root);
    draft.touch(NodeId::ROOT, now);
    Ok(())
}
