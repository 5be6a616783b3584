//! Who may do what: owners, modes, POSIX ACLs, and the gate in front of secrets, as pure functions.
//!
//! Permissions mean what they mean on ext4, as described in acl(5) and in POSIX 1003.1e draft 17: [`acl`] is the list
//! and its encodings, [`check`] the algorithm that decides a request, [`create`] what a new entry gets, [`edit`] what a
//! change of permissions leaves. [`gate`] is what keyfs adds: a secret is decrypted for a group, never for an owner or
//! root alone.
//!
//! Invariants:
//! - Where an entry has an ACL, the owner, mask and other rights in force are those of its mode, whose group bits are
//!   the mask; every answer reads them from there. The ACL adds the owning group's own rights and the named entries.
//! - What isn't known is no reason to let anybody in: where a caller's supplementary groups are unknown, a yes is one
//!   that holds whatever they are.
//! - A [`gate::Grant`] is made in [`gate`] and nowhere else.
//!
//! It deliberately does no I/O, reads no clock and no environment, and knows no names: who calls, and what a group is
//! called, is learned by the layers above. It doesn't decide who owns an entry or may remove it.

pub mod acl;
pub mod check;
pub mod create;
pub mod edit;
pub mod gate;
#[cfg(test)]
mod tests;

use crate::id::{Gid, Uid};
pub use acl::{Acl, AclError};
use std::fmt;
use std::ops::{BitAnd, BitOr};

/// Read, write and execute: what one class or one ACL entry grants.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Rights(u8);

impl Rights {
    /// No right.
    pub const NONE: Rights = Rights(0);
    /// Execute; on a directory, to look names up.
    pub const EXECUTE: Rights = Rights(1);
    /// Write; on a directory, to add and remove names.
    pub const WRITE: Rights = Rights(2);
    /// Read; on a directory, to list names.
    pub const READ: Rights = Rights(4);
    /// All three.
    pub const ALL: Rights = Rights(7);

    /// The rights in the lowest three bits, as in an octal digit of a mode: 4 is read, 2 write, 1 execute. Higher bits
    /// are ignored.
    pub const fn from_bits(bits: u8) -> Rights {
        Rights(bits & 7)
    }

    /// The rights as an octal digit.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `other` is in these rights.
    pub const fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in either.
    pub const fn union(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// What is in both.
    pub const fn intersection(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    /// Whether no right is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Rights {
    type Output = Rights;

    fn bitor(self, other: Rights) -> Rights {
        self.union(other)
    }
}

impl BitAnd for Rights {
    type Output = Rights;

    fn bitand(self, other: Rights) -> Rights {
        self.intersection(other)
    }
}

/// `rw`, `r`, `rwx`, or `-` for no right.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.pad("-");
        }
        let letters = [(Rights::READ, "r"), (Rights::WRITE, "w"), (Rights::EXECUTE, "x")];
        letters.iter().filter(|(right, _)| self.contains(*right)).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// The twelve permission bits of a file, `07777`, as in chmod(2).
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct Mode(u16);

impl Mode {
    /// Set-user-id, `04000`.
    pub const SETUID: Mode = Mode(0o4000);
    /// Set-group-id, `02000`; on a directory, new entries get its group.
    pub const SETGID: Mode = Mode(0o2000);
    /// Restricted deletion, `01000`.
    pub const STICKY: Mode = Mode(0o1000);

    /// The permission bits of `bits`; the file type and whatever else is there is ignored.
    pub const fn from_bits(bits: u32) -> Mode {
        Mode((bits & 0o7777) as u16)
    }

    /// The mode that grants these rights, without the three special bits.
    pub const fn new(owner: Rights, group: Rights, other: Rights) -> Mode {
        Mode((owner.0 as u16) << 6 | (group.0 as u16) << 3 | other.0 as u16)
    }

    /// The bits, `07777` at most.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// What the owner class has.
    pub const fn owner(self) -> Rights {
        Rights::from_bits((self.0 >> 6 & 7) as u8)
    }

    /// The group bits: what the owning group has, or the mask where the entry has an ACL.
    pub const fn group(self) -> Rights {
        Rights::from_bits((self.0 >> 3 & 7) as u8)
    }

    /// What everybody else has.
    pub const fn other(self) -> Rights {
        Rights::from_bits((self.0 & 7) as u8)
    }

    /// This mode with other rights for the owner.
    #[must_use]
    pub const fn with_owner(self, rights: Rights) -> Mode {
        Mode(self.0 & !0o700 | (rights.0 as u16) << 6)
    }

    /// This mode with other group bits.
    #[must_use]
    pub const fn with_group(self, rights: Rights) -> Mode {
        Mode(self.0 & !0o070 | (rights.0 as u16) << 3)
    }

    /// This mode with other rights for everybody else.
    #[must_use]
    pub const fn with_other(self, rights: Rights) -> Mode {
        Mode(self.0 & !0o007 | rights.0 as u16)
    }

    /// Whether all bits of `other` are set, as in `mode.contains(Mode::SETGID)`.
    pub const fn contains(self, other: Mode) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of either.
    #[must_use]
    pub const fn with(self, other: Mode) -> Mode {
        Mode(self.0 | other.0)
    }

    /// The bits that aren't in `other`: what a umask leaves.
    #[must_use]
    pub const fn without(self, other: Mode) -> Mode {
        Mode(self.0 & !other.0)
    }
}

/// In octal with four digits: `0640`.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mode({self})")
    }
}

/// What an entry is, as far as permissions care.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// Has names in it.
    Directory,
    /// Has a value.
    File,
}

/// The process that asks, as the kernel names it in a request.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Its file-system user id.
    pub uid: Uid,
    /// Its file-system group id.
    pub gid: Gid,
    /// Its supplementary groups, in any order; `None` where they aren't (yet) known.
    pub supplementary: Option<&'a [Gid]>,
}

impl Caller<'_> {
    /// Whether this is the superuser: user id 0, whom the kernel takes to have CAP_DAC_OVERRIDE and CAP_FSETID.
    pub fn root(&self) -> bool {
        self.uid == Uid::ROOT
    }

    /// Whether the caller is known to be in the group. With unknown supplementary groups only the primary one counts.
    pub fn is_in(&self, group: Gid) -> bool {
        self.known_groups().any(|gid| gid == group)
    }

    /// The primary group, then those supplementary ones that are known.
    pub fn known_groups(&self) -> impl Iterator<Item = Gid> {
        std::iter::once(self.gid).chain(self.supplementary.unwrap_or_default().iter().copied())
    }
}

/// All that decides who may do what with one entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Permissions {
    /// The owner.
    pub owner: Uid,
    /// The owning group.
    pub group: Gid,
    /// The permission bits. Where there is an ACL, the group bits are its mask.
    pub mode: Mode,
    /// The access ACL where it is more than the mode: only with named entries or a mask.
    pub acl: Option<Acl>,
    /// On a directory, the default ACL that new entries get.
    pub default: Option<Acl>,
}

impl Permissions {
    /// Permissions that are a mode alone.
    pub const fn new(owner: Uid, group: Gid, mode: Mode) -> Permissions {
        Permissions { owner, group, mode, acl: None, default: None }
    }

    /// The whole access ACL; one of three entries where the mode says all.
    pub fn access_acl(&self) -> Acl {
        match self.extended() {
            Some(acl) => acl.clone().with_mode(self.mode),
            None => Acl::from_mode(self.mode),
        }
    }

    /// Replaces the access ACL: the mode's bits for owner, group (the mask where there is one) and other follow it, and
    /// what a mode can say alone is kept as a mode alone, as on ext4. The three special bits stay as they are; see
    /// [`edit::set_access_acl`] for a change that a caller asks for.
    pub fn set_access_acl(&mut self, acl: Acl) {
        self.mode = self.mode.with_owner(acl.user_obj()).with_group(acl.group_class()).with_other(acl.other());
        self.acl = acl.is_extended().then_some(acl);
    }

    /// Replaces the mode. With an ACL the group bits move the mask, as on ext4: the owning group's own rights and those
    /// of named entries stay in the ACL, for a later change of the mask. See [`edit::chmod`] for one that a caller asks
    /// for.
    pub fn chmod(&mut self, mode: Mode) {
        self.mode = mode;
        self.acl = self.acl.take().filter(Acl::is_extended).map(|acl| acl.with_mode(mode));
    }

    /// What the owning group has, mask included.
    pub fn group_rights(&self) -> Rights {
        let own = self.extended().map_or(Rights::ALL, Acl::group_obj);
        own & self.mode.group()
    }

    /// What the named entry of this group grants, mask included; `None` without such an entry.
    pub fn named_group(&self, group: Gid) -> Option<Rights> {
        self.extended()?.group(group).map(|rights| rights & self.mode.group())
    }

    /// What the named entry of this user grants, mask included; `None` without such an entry.
    pub fn named_user(&self, user: Uid) -> Option<Rights> {
        self.extended()?.user(user).map(|rights| rights & self.mode.group())
    }

    /// The named groups in increasing order and what each has, mask included.
    pub fn named_groups(&self) -> impl Iterator<Item = (Gid, Rights)> {
        let groups = self.extended().map(Acl::groups).unwrap_or_default();
        groups.iter().map(|(group, rights)| (*group, *rights & self.mode.group()))
    }

    /// Appends the canonical form, which [`decode`](Permissions::decode) reads. Integers are big-endian.
    ///
    /// ```text
    /// 0   4  owner
    /// 4   4  owning group
    /// 8   2  mode, at most 07777
    /// 10  1  1: an access ACL follows; 2: a default ACL follows; 3: both, in this order; 0: none
    /// 11     the ACLs, see Acl::encode. The access ACL has a mask, and its owner, mask and other rights are the mode's
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) {
        let access = self.extended().map(|_| self.access_acl());
        out.extend_from_slice(&self.owner.0.to_be_bytes());
        out.extend_from_slice(&self.group.0.to_be_bytes());
        out.extend_from_slice(&self.mode.0.to_be_bytes());
        out.push(u8::from(access.is_some()) | u8::from(self.default.is_some()) << 1);
        access.iter().chain(&self.default).for_each(|acl| acl.encode(out));
    }

    /// Reads what [`encode`](Permissions::encode) wrote.
    ///
    /// # Errors
    ///
    /// Whatever `encode` can't have written: bytes too few or too many, unknown bits, and each form that is not the
    /// canonical one of what it says.
    pub fn decode(bytes: &[u8]) -> Result<Permissions, AclError> {
        let (owner, rest) = bytes.split_first_chunk().ok_or(AclError::Length)?;
        let (group, rest) = rest.split_first_chunk().ok_or(AclError::Length)?;
        let (mode, rest) = rest.split_first_chunk().ok_or(AclError::Length)?;
        let (&which, mut rest) = rest.split_first().ok_or(AclError::Length)?;
        let mode = Mode(u16::from_be_bytes(*mode));
        if mode.0 > 0o7777 || which > 3 {
            return Err(AclError::NotCanonical);
        }
        let mut next = |present: bool| -> Result<Option<Acl>, AclError> {
            if !present {
                return Ok(None);
            }
            let (acl, after) = Acl::decode_first(rest)?;
            rest = after;
            Ok(Some(acl))
        };
        let (acl, default) = (next(which & 1 != 0)?, next(which & 2 != 0)?);
        if !rest.is_empty() {
            return Err(AclError::Length);
        }
        let agrees = |acl: &Acl| acl.is_extended() && acl.clone().with_mode(mode) == *acl;
        if !acl.as_ref().is_none_or(agrees) {
            return Err(AclError::NotCanonical);
        }
        let (owner, group) = (Uid(u32::from_be_bytes(*owner)), Gid(u32::from_be_bytes(*group)));
        Ok(Permissions { owner, group, mode, acl, default })
    }

    fn extended(&self) -> Option<&Acl> {
        self.acl.as_ref().filter(|acl| acl.is_extended())
    }
}
