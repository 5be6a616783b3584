//! Owner, mode, ACLs, times, and the attributes that are ours.
//!
//! Invariants:
//! - A version's permissions move with its entry's while it is the present one: a secret is sealed anew, since its record
//!   names them.
//! - An entry that is not committed yet takes changes in memory; they belong to its creation.

use std::collections::BTreeMap;
use std::fmt;

use super::row::{Held, Node, Times, key};
use super::view::{Stored, View};
use super::{Actor, Draft, Error, Namespace, caller};
use crate::access::acl::Acl;
use crate::access::edit::{self, GroupPermissions};
use crate::access::gate::{self, Explanation};
use crate::access::{Kind, Mode, Permissions};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::id::{Gid, NodeId, Uid, Version};
use crate::key::{Name, NameError};
use crate::seal::Binding;

/// The names and contents of an entry's notes together, in bytes, less what the names of all that isn't a note take in a
/// list: Linux has no list of more than 64 KiB.
pub(super) const NOTES_BYTES: usize = (64 << 10) - 128;

/// What a note takes besides its name and content: `user.` before the name in a list, and a zero byte behind it.
const NOTE_BYTES: usize = 6;

/// A time to be set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SetTime {
    /// The present.
    Now,
    /// This.
    To(Timestamp),
}

/// What is to be set of an entry's attributes; the rest stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// The mode.
    pub mode: Option<Mode>,
    /// The owner.
    pub owner: Option<Uid>,
    /// The owning group.
    pub group: Option<Gid>,
    /// The time of last access.
    pub accessed: Option<SetTime>,
    /// The time of last modification.
    pub modified: Option<SetTime>,
}

/// How a note may be set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Note {
    /// Made or replaced.
    Set,
    /// Made only (`XATTR_CREATE`).
    Create,
    /// Replaced only (`XATTR_REPLACE`).
    Replace,
    /// Both of these, which is neither.
    CreateAndReplace,
}

/// What `system.keyfs.*` tells of an entry.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The version of its present value; `None` for a directory and for a file that is not committed yet.
    pub version: Option<Version>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last modified.
    pub modified: Timestamp,
    /// Who made its present value.
    pub modified_by: Option<Uid>,
    /// When opening it begins to fail.
    pub expires: Option<Timestamp>,
    /// Its permissions.
    pub permissions: Permissions,
}

/// A change of an entry's attributes, by whoever may make it.
#[derive(Clone, Copy, Debug)]
pub enum Alteration<'a> {
    /// Owner, mode and times. Who may is the kernel's to say.
    Set(Change),
    /// The access ACL, or none.
    AccessAcl(Option<&'a Acl>),
    /// The default ACL of a directory, or none.
    DefaultAcl(Option<&'a Acl>),
    /// All group permissions anew, for whoever may read and write the entry.
    Groups(&'a GroupPermissions),
    /// The moment past which opening fails, or none.
    Expires(Option<Timestamp>),
    /// A note (`user.*`), whose name is given without `user.`.
    Note(&'a [u8], &'a [u8], Note),
    /// No such note any longer.
    NoNote(&'a [u8]),
}

impl Alteration<'_> {
    /// What the audit log calls it where it is no change of permissions.
    fn attribute(&self) -> Option<String> {
        match self {
            Alteration::Set(_) | Alteration::AccessAcl(_) | Alteration::DefaultAcl(_) | Alteration::Groups(_) => None,
            Alteration::Expires(_) => Some(EXPIRES.into()),
            Alteration::Note(name, ..) | Alteration::NoNote(name) => Some(note_name(name)),
        }
    }
}

impl Namespace {
    /// Makes one change of an entry's attributes, in one commit.
    pub fn alter(&self, actor: &dyn Actor, id: NodeId, alteration: Alteration<'_>) -> Result<(), Error> {
        if let Alteration::Set(Change { modified: Some(time), .. }) = alteration {
            let time = match time {
                SetTime::Now => None,
                SetTime::To(time) => Some(time),
            };
            self.overlay.open(id).iter().for_each(|file| file.modified_at(time));
        }
        if let Some(pending) = self.overlay.pending(id) {
            let mut state = pending.state();
            if !state.committed {
                let node = self.altered(actor, id, &state.node, alteration)?;
                if state.node.permissions != node.permissions {
                    self.permissions_changed();
                }
                state.node = node;
                return Ok(());
            }
        }
        self.change(actor, |view, draft| {
            let mut before = view.node(id)?;
            if before.content.kind == Kind::Directory {
                before.content.modified = view.times(id, &before.content)?.modified;
            }
            let node = self.altered(actor, id, &before.content, alteration)?;
            if node.permissions == before.content.permissions
                && let Some(name) = alteration.attribute()
            {
                draft.record(Event::Attribute { name }, view.spot(id, &node)?, None);
            }
            self.draft_node(view, draft, id, before, &node)
        })
    }

    /// What a node is after a change of its attributes.
    pub(super) fn altered(
        &self,
        actor: &dyn Actor,
        id: NodeId,
        before: &Node,
        alteration: Alteration<'_>,
    ) -> Result<Node, Error> {
        let mut node = before.clone();
        let now = self.clock.now();
        match alteration {
            Alteration::Set(change) => set(actor, &mut node, change, now),
            Alteration::AccessAcl(Some(acl)) => {
                let secret = is_secret_file(&node);
                node.permissions = edit::set_access_acl(&node.permissions, acl, &caller(actor), secret)?;
            }
            // The mode keeps the mask's bits, as on ext4.
            Alteration::AccessAcl(None) => node.permissions.acl = None,
            Alteration::DefaultAcl(Some(_)) if node.kind == Kind::File => {
                return Err(Error::Denied("only a directory has a default ACL"));
            }
            Alteration::DefaultAcl(acl) => node.permissions.default = acl.cloned(),
            Alteration::Groups(groups) => {
                self.may_edit(actor, id, &node)?;
                node.permissions = edit::apply_groups(&node.permissions, groups)?;
            }
            Alteration::Expires(expires) => {
                if node.kind == Kind::Directory {
                    return Err(Error::Invalid("a directory does not expire; set it on the keys"));
                }
                if expires.is_none() && node.expires.is_none() {
                    return Err(Error::NoAttribute);
                }
                node.expires = expires;
            }
            Alteration::Note(name, value, how) => set_note(&mut node, name, value, how)?,
            Alteration::NoNote(name) => drop(node.notes.remove(name).ok_or(Error::NoAttribute)?),
        }
        node.changed = now;
        Ok(node)
    }

    /// Has the next commit of the file that the calling thread has open for writing fail unless it replaces `version`;
    /// 0 stands for an entry that is not committed yet.
    pub fn expect_version(&self, actor: &dyn Actor, id: NodeId, version: Version) -> Result<(), Error> {
        let files = self.overlay.open(id);
        // Thread 0 is any thread that is not known.
        if actor.thread() == 0 {
            return Err(Error::Invalid("the calling thread is not known"));
        }
        let own = files.iter().rev().find(|file| file.thread() == actor.thread() && file.mode().write);
        let file = own.ok_or(Error::Invalid("this thread has not opened the entry for writing"))?;
        file.expect_version(version);
        Ok(())
    }

    /// A note's value.
    pub fn note(&self, id: NodeId, name: &[u8]) -> Result<Vec<u8>, Error> {
        let view = self.view()?;
        self.known_node(&view, id)?.notes.remove(name).ok_or(Error::NoAttribute)
    }

    /// The names of an entry's notes, without `user.`.
    pub fn notes(&self, id: NodeId) -> Result<Vec<Vec<u8>>, Error> {
        let view = self.view()?;
        Ok(self.known_node(&view, id)?.notes.into_keys().collect())
    }

    /// An entry's permissions.
    pub fn permissions(&self, id: NodeId) -> Result<Permissions, Error> {
        let view = self.view()?;
        Ok(self.known_node(&view, id)?.permissions)
    }

    /// What anybody may know who may look the name up.
    pub fn facts(&self, id: NodeId) -> Result<Facts, Error> {
        let view = self.view()?;
        let node = self.known_node(&view, id)?;
        let value = match &node.value {
            Some(current) => view.value(id, &node, current.own)?,
            None => None,
        };
        let times = match node.kind {
            Kind::Directory => view.times(id, &node)?,
            Kind::File => Times { modified: node.modified, changed: node.changed },
        };
        Ok(Facts {
            version: node.version(),
            created: node.created,
            modified: times.modified,
            modified_by: value.map(|value| value.by),
            expires: node.expires,
            permissions: node.permissions,
        })
    }

    /// Which rule lets a process read and write an entry, or keeps it out.
    pub fn explain(&self, actor: &dyn Actor, id: NodeId) -> Result<Explanation, Error> {
        let view = self.view()?;
        let node = self.known_node(&view, id)?;
        Ok(gate::explain(&node.permissions, &caller(actor), is_secret_file(&node)))
    }

    /// Drafts what a node is now instead of what it was.
    pub(super) fn draft_node(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        id: NodeId,
        before: Stored<Node>,
        node: &Node,
    ) -> Result<(), Error> {
        if node.kind == Kind::Directory {
            draft.put(key::times(id), Times { modified: node.modified, changed: node.changed }.encode());
        }
        if node.permissions != before.content.permissions {
            self.draft_permissions(view, draft, id, &before.content, node)?;
        }
        draft.at(key::node(id), before.revision);
        draft.put(key::node(id), node.encode());
        Ok(())
    }

    /// The present version gets the permissions that its entry gets.
    fn draft_permissions(
        &self,
        view: &View<'_>,
        draft: &mut Draft<'_>,
        id: NodeId,
        before: &Node,
        after: &Node,
    ) -> Result<(), Error> {
        if before.value.is_some() {
            let (current, mut value) = view.current_value(id, before)?;
            if value.sealed {
                let content = self.opened(view, id, before, current.own, value.clone(), None)?;
                let binding = Binding::new(id, Version(current.own), &after.permissions);
                value.content = self.seal.seal(&binding, &content)?;
            }
            // In the node's row it has the node's permissions.
            if let Held::Apart(_) = current.held {
                value.permissions = after.permissions.clone();
                draft.put(key::value(id, current.own), value.encode());
            }
        }
        draft.permissions_changed = true;
        let now = Summary(&after.permissions).to_string();
        draft.record(Event::Permission { now }, view.spot(id, after)?, after.version());
        Ok(())
    }
}

/// What the audit log calls an expiry.
pub(super) const EXPIRES: &str = "user.keyfs.expires";

/// What it calls a note.
pub(super) fn note_name(name: &[u8]) -> String {
    format!("user.{}", String::from_utf8_lossy(name))
}

/// What notes take of [`NOTES_BYTES`].
pub(super) fn notes_bytes(notes: &BTreeMap<Vec<u8>, Vec<u8>>) -> usize {
    notes.iter().map(|(name, value)| NOTE_BYTES + name.len() + value.len()).sum()
}

/// Sets owner, mode and times.
fn set(actor: &dyn Actor, node: &mut Node, change: Change, now: Timestamp) {
    let mut permissions = node.permissions.clone();
    let mut mode = change.mode;
    let given_away = change.owner.is_some() || change.group.is_some();
    if given_away && node.kind == Kind::File && permissions.mode.contains(Mode::SETGID) {
        // Of a file that changes hands the kernel takes set-group-id itself, but on FUSE only where the group may execute.
        permissions = edit::without_foreign_setgid(permissions, &caller(actor));
        if !permissions.mode.contains(Mode::SETGID) {
            mode = mode.map(|mode| mode.without(Mode::SETGID));
        }
    }
    permissions.owner = change.owner.unwrap_or(permissions.owner);
    permissions.group = change.group.unwrap_or(permissions.group);
    if let Some(mode) = mode {
        permissions = edit::chmod(&permissions, mode, &caller(actor), is_secret_file(node));
    }
    node.permissions = permissions;
    let resolve = |time: SetTime| match time {
        SetTime::Now => now,
        SetTime::To(time) => time,
    };
    node.accessed = change.accessed.map_or(node.accessed, resolve);
    node.modified = change.modified.map_or(node.modified, resolve);
}

fn set_note(node: &mut Node, name: &[u8], value: &[u8], how: Note) -> Result<(), Error> {
    if name.is_empty() || name.len() > Name::MAX_BYTES {
        return Err(NameError::TooLong.into());
    }
    match (how, node.notes.contains_key(name)) {
        (Note::Create | Note::CreateAndReplace, true) => return Err(Error::AttributeExists),
        (Note::Replace | Note::CreateAndReplace, false) => return Err(Error::NoAttribute),
        _ => {}
    }
    node.notes.insert(name.to_vec(), value.to_vec());
    if notes_bytes(&node.notes) > NOTES_BYTES { Err(Error::AttributesFull) } else { Ok(()) }
}

pub(super) fn is_secret_file(node: &Node) -> bool {
    node.kind == Kind::File && node.place.is_secret()
}

/// Permissions on one line: `owner 0, group 1001, mode 0640, groups 1002:r`.
struct Summary<'p>(&'p Permissions);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Permissions { owner, group, mode, .. } = self.0;
        write!(f, "owner {owner}, group {group}, mode {mode}")?;
        for (place, (group, rights)) in self.0.named_groups().enumerate() {
            write!(f, "{}{group}:{rights}", if place == 0 { ", groups " } else { "," })?;
        }
        Ok(())
    }
}
