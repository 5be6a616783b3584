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

/// What a node's permissions become.
type Edit<'e> = dyn Fn(&Node) -> Result<Permissions, Error> + 'e;

impl Namespace {
    /// Changes owner, mode and times in one commit. Who may is the kernel's to say.
    pub fn set_attributes(&self, actor: &dyn Actor, id: NodeId, change: Change) -> Result<(), Error> {
        let edit = |node: &Node| {
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
            Ok(permissions)
        };
        if let Some(time) = change.modified {
            let time = match time {
                SetTime::Now => None,
                SetTime::To(time) => Some(time),
            };
            self.overlay.open(id).iter().for_each(|file| file.modified_at(time));
        }
        self.alter(actor, id, &edit, None, |node, now| {
            let resolve = |time: SetTime| match time {
                SetTime::Now => now,
                SetTime::To(time) => time,
            };
            node.accessed = change.accessed.map_or(node.accessed, resolve);
            node.modified = change.modified.map_or(node.modified, resolve);
            Ok(())
        })
    }

    /// Sets or removes the access ACL or, on a directory, the default ACL.
    pub fn set_acl(&self, actor: &dyn Actor, id: NodeId, default: bool, acl: Option<&Acl>) -> Result<(), Error> {
        let edit = |node: &Node| match (default, acl) {
            (false, Some(acl)) => {
                Ok(edit::set_access_acl(&node.permissions, acl, &caller(actor), is_secret_file(node))?)
            }
            // The mode keeps the mask's bits, as on ext4.
            (false, None) => Ok(Permissions { acl: None, ..node.permissions.clone() }),
            (true, Some(_)) if node.kind == Kind::File => Err(Error::Denied("only a directory has a default ACL")),
            (true, acl) => Ok(Permissions { default: acl.cloned(), ..node.permissions.clone() }),
        };
        self.alter(actor, id, &edit, None, |_, _| Ok(()))
    }

    /// Replaces all group permissions, for whoever may read and write the entry.
    pub fn set_groups(&self, actor: &dyn Actor, id: NodeId, groups: &GroupPermissions) -> Result<(), Error> {
        let edit = |node: &Node| {
            self.may_edit(actor, id, node)?;
            Ok(edit::apply_groups(&node.permissions, groups)?)
        };
        self.alter(actor, id, &edit, None, |_, _| Ok(()))
    }

    /// Sets or removes the moment past which opening fails.
    pub fn set_expiry(&self, actor: &dyn Actor, id: NodeId, expires: Option<Timestamp>) -> Result<(), Error> {
        self.alter(actor, id, &same_permissions, Some("user.keyfs.expires"), |node, _| {
            if node.kind == Kind::Directory {
                return Err(Error::Invalid("a directory does not expire; set it on the keys"));
            }
            if expires.is_none() && node.expires.is_none() {
                return Err(Error::NoAttribute);
            }
            node.expires = expires;
            Ok(())
        })
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

    /// Sets a note (`user.*`), whose name is given without `user.`.
    pub fn set_note(&self, actor: &dyn Actor, id: NodeId, name: &[u8], value: &[u8], how: Note) -> Result<(), Error> {
        let shown = format!("user.{}", String::from_utf8_lossy(name));
        if name.is_empty() || name.len() > Name::MAX_BYTES {
            return Err(NameError::TooLong.into());
        }
        self.alter(actor, id, &same_permissions, Some(&shown), |node, _| {
            match (how, node.notes.contains_key(name)) {
                (Note::Create | Note::CreateAndReplace, true) => return Err(Error::AttributeExists),
                (Note::Replace | Note::CreateAndReplace, false) => return Err(Error::NoAttribute),
                _ => {}
            }
            node.notes.insert(name.to_vec(), value.to_vec());
            if notes_bytes(&node.notes) > NOTES_BYTES { Err(Error::AttributesFull) } else { Ok(()) }
        })
    }

    /// Removes a note.
    pub fn remove_note(&self, actor: &dyn Actor, id: NodeId, name: &[u8]) -> Result<(), Error> {
        let shown = format!("user.{}", String::from_utf8_lossy(name));
        self.alter(actor, id, &same_permissions, Some(&shown), |node, _| {
            node.notes.remove(name).map(drop).ok_or(Error::NoAttribute)
        })
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

    /// Changes a node in place: its permissions by `edit`, the rest by `set`. `attribute` is what the audit log calls a
    /// change that is not one of permissions.
    fn alter(
        &self,
        actor: &dyn Actor,
        id: NodeId,
        edit: &Edit<'_>,
        attribute: Option<&str>,
        set: impl Fn(&mut Node, Timestamp) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let Some(pending) = self.overlay.pending(id) {
            let mut state = pending.state();
            if !state.committed {
                let mut node = state.node.clone();
                let now = self.clock.now();
                node.permissions = edit(&node)?;
                set(&mut node, now)?;
                node.changed = now;
                if state.node.permissions != node.permissions {
                    self.permissions_changed();
                }
                state.node = node;
                return Ok(());
            }
        }
        self.change(actor, |view, draft| {
            let before = view.node(id)?;
            let now = self.clock.now();
            let mut node = before.content.clone();
            if node.kind == Kind::Directory {
                let times = view.times(id, &node)?;
                node.modified = times.modified;
            }
            node.permissions = edit(&node)?;
            set(&mut node, now)?;
            node.changed = now;
            if node.permissions == before.content.permissions
                && let Some(name) = attribute
            {
                draft.record(Event::Attribute { name: name.to_owned() }, view.address(id, &node)?, None);
            }
            self.draft_node(view, draft, id, before, &node)
        })
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
        draft.record(Event::Permission { now }, view.address(id, after)?, after.version());
        Ok(())
    }
}

/// What notes take of [`NOTES_BYTES`].
pub(super) fn notes_bytes(notes: &BTreeMap<Vec<u8>, Vec<u8>>) -> usize {
    notes.iter().map(|(name, value)| NOTE_BYTES + name.len() + value.len()).sum()
}

fn same_permissions(node: &Node) -> Result<Permissions, Error> {
    Ok(node.permissions.clone())
}

fn is_secret_file(node: &Node) -> bool {
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
