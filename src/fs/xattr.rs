//! Extended attributes: ACLs, the control attributes, and people's own.
//!
//! Invariants:
//! - `user.*` may be set by who may write the entry, which the kernel has asked; what takes more is asked by `tree`.
//! - `system.keyfs.*` is for reading alone and never names a value. It is not listed, or copying tools would try to set it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::inode::Inode;
use super::{Adapter, names};
use crate::access::acl::Acl;
use crate::access::edit;
use crate::clock::Timestamp;
use crate::id::{NodeId, Version};
use crate::tree::{Actor, Error, Note};

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
        match parse(name) {
            Attribute::AccessAcl => {
                self.namespace.set_acl(actor, id, false, Some(&Acl::from_xattr(value)?))?;
                self.invalidator.permissions(number);
            }
            Attribute::DefaultAcl => self.namespace.set_acl(actor, id, true, Some(&Acl::from_xattr(value)?))?,
            Attribute::Groups => {
                let groups = edit::parse_groups(text(value)?, &names::group_id).map_err(|error| {
                    log::info!("user.keyfs.groups: {error}");
                    Error::Invalid("the text of user.keyfs.groups is wrong; the daemon's log says where")
                })?;
                self.namespace.set_groups(actor, id, &groups)?;
                self.invalidator.attributes(number);
                self.invalidator.permissions(number);
            }
            Attribute::Remove => {
                let (parent, name) = self.namespace.remove_by_editor(actor, id)?;
                self.invalidator.attributes(number);
                let parent = self.root.number(Inode::Node(parent));
                self.invalidator.name(parent, OsString::from_vec(name.as_bytes().to_vec()), number);
            }
            Attribute::Expires => {
                let expires = Timestamp::parse(text(value)?);
                let expires =
                    expires.ok_or(Error::Invalid("user.keyfs.expires takes RFC 3339, as 2027-01-31T12:00:00Z"))?;
                self.namespace.set_expiry(actor, id, Some(expires))?;
                self.invalidator.attributes(number);
            }
            Attribute::IfVersion => {
                let version =
                    text(value)?.parse().map_err(|_| Error::Invalid("user.keyfs.if-version takes a number"))?;
                self.namespace.expect_version(actor, id, Version(version))?;
            }
            Attribute::Note(name) => {
                let how = match flags {
                    libc::XATTR_CREATE => Note::Create,
                    libc::XATTR_REPLACE => Note::Replace,
                    0 => Note::Set,
                    _ => Note::CreateAndReplace,
                };
                self.namespace.set_note(actor, id, name, value, how)?;
                self.invalidator.attributes(number);
            }
            Attribute::Fact(_) => return Err(Error::NotPermitted("system.keyfs.* is for reading alone")),
            Attribute::Nameless => return Err(NAMELESS),
            Attribute::Unknown => return Err(Error::Invalid("there is no such keyfs attribute")),
            Attribute::Foreign => return Err(Error::NotPermitted("only user.* and ACLs may be set")),
        }
        Ok(())
    }

    pub(super) fn remove_attribute(&self, actor: &dyn Actor, id: NodeId, name: &OsStr) -> Result<(), Error> {
        let number = self.root.number(Inode::Node(id));
        match parse(name) {
            Attribute::AccessAcl => {
                self.namespace.set_acl(actor, id, false, None)?;
                self.invalidator.permissions(number);
            }
            Attribute::DefaultAcl => self.namespace.set_acl(actor, id, true, None)?,
            Attribute::Expires => self.namespace.set_expiry(actor, id, None)?,
            Attribute::Note(name) => self.namespace.remove_note(actor, id, name)?,
            Attribute::Fact(_) => return Err(Error::NotPermitted("system.keyfs.* is for reading alone")),
            Attribute::Nameless => return Err(NAMELESS),
            Attribute::Groups => return Err(Error::NotPermitted("set user.keyfs.groups to an empty text instead")),
            Attribute::Remove | Attribute::IfVersion | Attribute::Unknown | Attribute::Foreign => {
                return Err(Error::NoAttribute);
            }
        }
        self.invalidator.attributes(number);
        Ok(())
    }

    pub(super) fn attribute(&self, actor: &dyn Actor, id: NodeId, name: &OsStr) -> Result<Vec<u8>, Error> {
        match parse(name) {
            Attribute::AccessAcl => {
                let permissions = self.namespace.permissions(id)?;
                permissions.acl.as_ref().map(|_| permissions.access_acl().to_xattr()).ok_or(Error::NoAttribute)
            }
            Attribute::DefaultAcl => {
                self.namespace.permissions(id)?.default.map(|acl| acl.to_xattr()).ok_or(Error::NoAttribute)
            }
            Attribute::Groups => {
                Ok(edit::format_groups(&self.namespace.permissions(id)?, &names::group_name).into_bytes())
            }
            Attribute::Expires => {
                let expires = self.namespace.facts(id)?.expires.ok_or(Error::NoAttribute)?;
                Ok(expires.to_string().into_bytes())
            }
            Attribute::Note(name) => self.namespace.note(id, name),
            Attribute::Fact(fact) => self.fact(actor, id, fact),
            Attribute::Nameless => Err(NAMELESS),
            Attribute::Remove | Attribute::IfVersion | Attribute::Unknown | Attribute::Foreign => {
                Err(Error::NoAttribute)
            }
        }
    }

    fn fact(&self, actor: &dyn Actor, id: NodeId, fact: &str) -> Result<Vec<u8>, Error> {
        if fact == "why" {
            return Ok(self.namespace.explain(actor, id)?.to_string().into_bytes());
        }
        let facts = self.namespace.facts(id)?;
        let text = match fact {
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

    /// The names of all attributes that a copy can set again, each with a zero byte behind it.
    pub(super) fn attribute_names(&self, id: NodeId) -> Result<Vec<u8>, Error> {
        let mut list = Vec::new();
        let mut add = |name: &[u8]| {
            list.extend_from_slice(name);
            list.push(0);
        };
        let facts = self.namespace.facts(id)?;
        if facts.permissions.acl.is_some() {
            add(b"system.posix_acl_access");
        }
        if facts.permissions.default.is_some() {
            add(b"system.posix_acl_default");
        }
        if facts.expires.is_some() {
            add(b"user.keyfs.expires");
        }
        for name in self.namespace.notes(id)? {
            add(&[b"user.", name.as_slice()].concat());
        }
        Ok(list)
    }
}
