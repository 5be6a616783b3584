//! Extended attributes: ACLs, the control attributes, and people's own.
//!
//! Invariants:
//! - `user.*` may be set by who may write the entry, which the kernel has asked; what takes more is asked by `tree`.
//! - `system.keyfs.*` is for reading alone and never names a value. It is not listed, or copying tools would try to set it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::Adapter;
use super::inode::Inode;
use crate::access::acl::Acl;
use crate::access::{Permissions, edit};
use crate::clock::Timestamp;
use crate::id::{NodeId, Version};
use crate::names;
use crate::tree::{Actor, Alteration, Error, Facts, Note, StagedId};

/// An attribute, by its name.
enum Attribute<'n> {
    AccessAcl,
    DefaultAcl,
    Groups,
    Remove,
    Expires,
    IfVersion,
    Note(&'n [u8]),
    Fact(&'n str),
    /// A note without a name.
    Nameless,
    /// A name of ours that means nothing.
    Unknown,
    /// Somebody else's, such as `security.selinux`.
    Foreign,
}

const NAMELESS: Error = Error::Invalid("an attribute has a name behind `user.`");

fn parse(name: &OsStr) -> Attribute<'_> {
    match name.as_bytes() {
        b"system.posix_acl_access" => Attribute::AccessAcl,
        b"system.posix_acl_default" => Attribute::DefaultAcl,
        b"user.keyfs.groups" => Attribute::Groups,
        b"user.keyfs.remove" => Attribute::Remove,
        b"user.keyfs.expires" => Attribute::Expires,
        b"user.keyfs.if-version" => Attribute::IfVersion,
        b"user." => Attribute::Nameless,
        name => {
            if let Some(fact) = name.strip_prefix(b"system.keyfs.") {
                std::str::from_utf8(fact).map_or(Attribute::Unknown, Attribute::Fact)
            } else if name.starts_with(b"user.keyfs.") {
                Attribute::Unknown
            } else {
                name.strip_prefix(b"user.").map_or(Attribute::Foreign, Attribute::Note)
            }
        }
    }
}

fn text(value: &[u8]) -> Result<&str, Error> {
    let text = std::str::from_utf8(value).map_err(|_| Error::Invalid("the attribute's value is not UTF-8 text"))?;
    Ok(text.trim_end_matches(['\n', '\0']))
}

/// What setting or removing an attribute asks for.
pub(super) enum Wish<'w> {
    Alter(Alteration<'w>),
    Remove,
    IfVersion(Version),
}

/// Has `act` do what setting an attribute asks for.
pub(super) fn setting(
    name: &OsStr,
    value: &[u8],
    flags: i32,
    act: impl FnOnce(Wish<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    match parse(name) {
        Attribute::AccessAcl => act(Wish::Alter(Alteration::AccessAcl(Some(&Acl::from_xattr(value)?)))),
        Attribute::DefaultAcl => act(Wish::Alter(Alteration::DefaultAcl(Some(&Acl::from_xattr(value)?)))),
        Attribute::Groups => {
            let groups = edit::parse_groups(text(value)?, &names::group_id).map_err(|error| {
                log::info!("user.keyfs.groups: {error}");
                Error::Invalid("the text of user.keyfs.groups is wrong; the daemon's log says where")
            })?;
            act(Wish::Alter(Alteration::Groups(&groups)))
        }
        Attribute::Remove => act(Wish::Remove),
        Attribute::Expires => {
            let expires = Timestamp::parse(text(value)?);
            let wrong = Error::Invalid("user.keyfs.expires takes RFC 3339, as 2027-01-31T12:00:00Z");
            act(Wish::Alter(Alteration::Expires(Some(expires.ok_or(wrong)?))))
        }
        Attribute::IfVersion => {
            let version = text(value)?.parse().map_err(|_| Error::Invalid("user.keyfs.if-version takes a number"))?;
            act(Wish::IfVersion(Version(version)))
        }
        Attribute::Note(name) => {
            let how = match flags {
                libc::XATTR_CREATE => Note::Create,
                libc::XATTR_REPLACE => Note::Replace,
                0 => Note::Set,
                _ => Note::CreateAndReplace,
            };
            act(Wish::Alter(Alteration::Note(name, value, how)))
        }
        Attribute::Fact(_) => Err(Error::NotPermitted("system.keyfs.* is for reading alone")),
        Attribute::Nameless => Err(NAMELESS),
        Attribute::Unknown => Err(Error::Invalid("there is no such keyfs attribute")),
        Attribute::Foreign => Err(Error::NotPermitted("only user.* and ACLs may be set")),
    }
}

/// What removing an attribute asks for.
pub(super) fn removing(name: &OsStr) -> Result<Alteration<'_>, Error> {
    match parse(name) {
        Attribute::AccessAcl => Ok(Alteration::AccessAcl(None)),
        Attribute::DefaultAcl => Ok(Alteration::DefaultAcl(None)),
        Attribute::Expires => Ok(Alteration::Expires(None)),
        Attribute::Note(name) => Ok(Alteration::NoNote(name)),
        Attribute::Fact(_) => Err(Error::NotPermitted("system.keyfs.* is for reading alone")),
        Attribute::Nameless => Err(NAMELESS),
        Attribute::Groups => Err(Error::NotPermitted("set user.keyfs.groups to an empty text instead")),
        Attribute::Remove | Attribute::IfVersion | Attribute::Unknown | Attribute::Foreign => Err(Error::NoAttribute),
    }
}

impl Adapter {
    pub(super) fn set_attribute(
        &self,
        actor: &dyn Actor,
        id: NodeId,
        name: &OsStr,
        value: &[u8],
        flags: i32,
    ) -> Result<(), Error> {
        let number = self.root.number(Inode::Node(id));
        setting(name, value, flags, |wish| match wish {
            Wish::Alter(alteration) => self.alter(actor, id, alteration),
            Wish::Remove => {
                let (parent, name) = self.namespace.remove_by_editor(actor, id)?;
                self.invalidator.attributes(number);
                let parent = self.root.number(Inode::Node(parent));
                self.invalidator.name(parent, OsString::from_vec(name.as_bytes().to_vec()), number);
                Ok(())
            }
            Wish::IfVersion(version) => self.namespace.expect_version(actor, id, version),
        })
    }

    pub(super) fn remove_attribute(&self, actor: &dyn Actor, id: NodeId, name: &OsStr) -> Result<(), Error> {
        self.alter(actor, id, removing(name)?)?;
        self.invalidator.attributes(self.root.number(Inode::Node(id)));
        Ok(())
    }

    fn alter(&self, actor: &dyn Actor, id: NodeId, alteration: Alteration<'_>) -> Result<(), Error> {
        self.namespace.alter(actor, id, alteration)?;
        let number = self.root.number(Inode::Node(id));
        match alteration {
            // Of what it sets itself the kernel knows.
            Alteration::AccessAcl(_) => self.invalidator.permissions(number),
            Alteration::DefaultAcl(_) | Alteration::Set(_) => {}
            Alteration::Groups(_) => {
                self.invalidator.attributes(number);
                self.invalidator.permissions(number);
            }
            Alteration::Expires(_) | Alteration::Note(..) | Alteration::NoNote(_) => {
                self.invalidator.attributes(number);
            }
        }
        Ok(())
    }

    pub(super) fn attribute(&self, actor: &dyn Actor, id: NodeId, name: &OsStr) -> Result<Vec<u8>, Error> {
        match parse(name) {
            Attribute::Expires => expiry(&self.namespace.facts(id)?),
            Attribute::Note(name) => self.namespace.note(id, name),
            Attribute::Fact("why") => Ok(self.namespace.explain(actor, id)?.to_string().into_bytes()),
            Attribute::Fact("value_limit") => Ok(self.namespace.limits().value.to_string().into_bytes()),
            Attribute::Fact(name) => fact(&self.namespace.facts(id)?, name),
            Attribute::Nameless => Err(NAMELESS),
            attribute => of_permissions(attribute, &self.namespace.permissions(id)?),
        }
    }

    pub(super) fn staged_attribute(&self, actor: &dyn Actor, id: StagedId, name: &OsStr) -> Result<Vec<u8>, Error> {
        match parse(name) {
            Attribute::Expires => expiry(&self.namespace.staged_facts(id)?),
            Attribute::Note(name) => self.namespace.staged_notes(id)?.remove(name).ok_or(Error::NoAttribute),
            Attribute::Fact("why") => Ok(self.namespace.explain_staged(actor, id)?.to_string().into_bytes()),
            Attribute::Fact(name) => fact(&self.namespace.staged_facts(id)?, name),
            Attribute::Nameless => Err(NAMELESS),
            // What is staged by these can be looked at.
            Attribute::Remove => match self.namespace.staged_marks(id)? {
                (true, _) => Ok(b"1".to_vec()),
                (false, _) => Err(Error::NoAttribute),
            },
            Attribute::IfVersion => {
                let (_, version) = self.namespace.staged_marks(id)?;
                Ok(version.ok_or(Error::NoAttribute)?.to_string().into_bytes())
            }
            attribute => of_permissions(attribute, &self.namespace.staged_facts(id)?.permissions),
        }
    }

    /// The names of all attributes that a copy can set again, each with a zero byte behind it.
    pub(super) fn attribute_names(&self, id: NodeId) -> Result<Vec<u8>, Error> {
        Ok(list(&self.namespace.facts(id)?, self.namespace.notes(id)?))
    }

    pub(super) fn staged_attribute_names(&self, id: StagedId) -> Result<Vec<u8>, Error> {
        let notes = self.namespace.staged_notes(id)?.into_keys().collect();
        Ok(list(&self.namespace.staged_facts(id)?, notes))
    }
}

/// The attributes that permissions show as.
fn of_permissions(attribute: Attribute<'_>, permissions: &Permissions) -> Result<Vec<u8>, Error> {
    match attribute {
        Attribute::AccessAcl => {
            permissions.acl.as_ref().map(|_| permissions.access_acl().to_xattr()).ok_or(Error::NoAttribute)
        }
        Attribute::DefaultAcl => permissions.default.as_ref().map(Acl::to_xattr).ok_or(Error::NoAttribute),
        Attribute::Groups => Ok(edit::format_groups(permissions, &names::group_name).into_bytes()),
        _ => Err(Error::NoAttribute),
    }
}

fn expiry(facts: &Facts) -> Result<Vec<u8>, Error> {
    Ok(facts.expires.ok_or(Error::NoAttribute)?.to_string().into_bytes())
}

fn fact(facts: &Facts, name: &str) -> Result<Vec<u8>, Error> {
    let text = match name {
        "version" => facts.version.map(|version| version.to_string()),
        "created" => Some(facts.created.to_string()),
        "modified" => Some(facts.modified.to_string()),
        "modified_by" => facts.modified_by.map(names::user_name),
        "groups" => Some(edit::format_groups(&facts.permissions, &names::group_name)),
        "expires" => facts.expires.map(|time| time.to_string()),
        _ => None,
    };
    text.map(String::into_bytes).ok_or(Error::NoAttribute)
}

fn list(facts: &Facts, notes: Vec<Vec<u8>>) -> Vec<u8> {
    let mut list = Vec::new();
    let mut add = |name: &[u8]| {
        list.extend_from_slice(name);
        list.push(0);
    };
    if facts.permissions.acl.is_some() {
        add(b"system.posix_acl_access");
    }
    if facts.permissions.default.is_some() {
        add(b"system.posix_acl_default");
    }
    if facts.expires.is_some() {
        add(b"user.keyfs.expires");
    }
    for name in notes {
        add(&[b"user.", name.as_slice()].concat());
    }
    list
}
