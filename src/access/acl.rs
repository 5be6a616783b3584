//! The access control list, and its two encodings: the kernel's extended attribute and the store's bytes.
//!
//! Invariants: an [`Acl`] is valid as acl(5) says: the three entries that a mode has are there by construction, a mask
//! is there whenever a named entry is, and no user or group is named twice or is the id -1. Named entries are sorted by
//! id, so that equal lists have equal bytes. There are at most [`MAX_ENTRIES`].
//!
//! It deliberately decides nothing: who is let in is [`check`](super::check)'s and [`gate`](super::gate)'s to say.

use super::{Mode, Rights};
use crate::id::{Gid, Uid};

/// How many entries a list may have, the three to four that aren't named included. Linux asks a FUSE file system for an
/// attribute of 4,096 bytes at most (a page); it lets nobody in by a list that is longer.
pub const MAX_ENTRIES: usize = (4096 - 4) / 8;

/// The version of the attribute's layout, `POSIX_ACL_XATTR_VERSION`.
const VERSION: u32 = 2;
/// `ACL_UNDEFINED_ID`: what entries without a name have as their id; no user and no group.
const UNDEFINED: u32 = u32::MAX;

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// In the store's bytes, the mask of a list that has none.
const NO_MASK: u8 = 0xff;

/// What is wrong with an access control list.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AclError {
    /// The bytes end early, or go on after the end.
    #[error("the access control list is cut off or has bytes to spare")]
    Length,
    /// The attribute's layout is not version 2.
    #[error("the access control list has layout version {0}, where only version 2 is known")]
    Version(u32),
    /// There are more than [`MAX_ENTRIES`].
    #[error("the access control list has {0} entries, more than the limit of {MAX_ENTRIES}")]
    TooManyEntries(usize),
    /// A kind of entry that acl(5) doesn't have.
    #[error("the access control list has an entry of an unknown kind, {0:#x}")]
    UnknownTag(u16),
    /// Bits beyond read, write and execute.
    #[error("the access control list grants unknown rights, {0:#x}")]
    UnknownRights(u16),
    /// Entries aren't grouped in the order owner, users, owning group, groups, mask, other; or one of those that must
    /// be there once is there twice.
    #[error("the entries of the access control list are out of order, or one is there twice")]
    Order,
    /// The owner, the owning group or other is missing.
    #[error("the access control list lacks an entry for the owner, the owning group or other")]
    Missing,
    /// Named entries take a mask.
    #[error("the access control list names users or groups, but has no mask")]
    NoMask,
    /// The id -1, which is no user and no group.
    #[error("the access control list names the id 4294967295, which is no user or group")]
    UndefinedId,
    /// One user, two entries.
    #[error("the access control list names user {0} twice")]
    DuplicateUser(Uid),
    /// One group, two entries.
    #[error("the access control list names group {0} twice")]
    DuplicateGroup(Gid),
    /// A user entry never grants a secret's value, so it is refused rather than kept without effect.
    #[error("the entry of user {0} can't be set on a secret, which is readable to groups only: grant a group instead")]
    NamedUserOnSecret(Uid),
    /// The store's bytes are not the form in which this would have been written.
    #[error("the stored permissions are not in their canonical form")]
    NotCanonical,
}

/// An access control list as in acl(5) and POSIX 1003.1e draft 17.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Acl {
    user_obj: Rights,
    users: Vec<(Uid, Rights)>,
    group_obj: Rights,
    groups: Vec<(Gid, Rights)>,
    mask: Option<Rights>,
    other: Rights,
}

impl Acl {
    /// The list of three entries that says what the mode says.
    pub const fn from_mode(mode: Mode) -> Acl {
        Acl {
            user_obj: mode.owner(),
            users: Vec::new(),
            group_obj: mode.group(),
            groups: Vec::new(),
            mask: None,
            other: mode.other(),
        }
    }

    /// A list with these entries, the named ones in any order.
    ///
    /// # Errors
    ///
    /// [`AclError::NoMask`], [`AclError::UndefinedId`], [`AclError::DuplicateUser`], [`AclError::DuplicateGroup`] or
    /// [`AclError::TooManyEntries`].
    pub fn new(
        user_obj: Rights,
        mut users: Vec<(Uid, Rights)>,
        group_obj: Rights,
        mut groups: Vec<(Gid, Rights)>,
        mask: Option<Rights>,
        other: Rights,
    ) -> Result<Acl, AclError> {
        users.sort_unstable();
        groups.sort_unstable();
        if let Some(user) = repeated(&users) {
            return Err(AclError::DuplicateUser(user));
        }
        if let Some(group) = repeated(&groups) {
            return Err(AclError::DuplicateGroup(group));
        }
        let undefined_user = users.last().is_some_and(|(user, _)| user.0 == UNDEFINED);
        if undefined_user || groups.last().is_some_and(|(group, _)| group.0 == UNDEFINED) {
            return Err(AclError::UndefinedId);
        }
        if mask.is_none() && !(users.is_empty() && groups.is_empty()) {
            return Err(AclError::NoMask);
        }
        let acl = Acl { user_obj, users, group_obj, groups, mask, other };
        if acl.entries() > MAX_ENTRIES {
            return Err(AclError::TooManyEntries(acl.entries()));
        }
        Ok(acl)
    }

    /// What the owner has.
    pub const fn user_obj(&self) -> Rights {
        self.user_obj
    }

    /// The named users and their rights before the mask, in increasing order.
    pub fn users(&self) -> &[(Uid, Rights)] {
        &self.users
    }

    /// What the owning group has before the mask.
    pub const fn group_obj(&self) -> Rights {
        self.group_obj
    }

    /// The named groups and their rights before the mask, in increasing order.
    pub fn groups(&self) -> &[(Gid, Rights)] {
        &self.groups
    }

    /// The most that named entries and the owning group can have.
    pub const fn mask(&self) -> Option<Rights> {
        self.mask
    }

    /// What everybody else has.
    pub const fn other(&self) -> Rights {
        self.other
    }

    /// What the named entry of this user says, before the mask.
    pub fn user(&self, user: Uid) -> Option<Rights> {
        lookup(&self.users, user)
    }

    /// What the named entry of this group says, before the mask.
    pub fn group(&self, group: Gid) -> Option<Rights> {
        lookup(&self.groups, group)
    }

    /// How many entries there are.
    pub fn entries(&self) -> usize {
        3 + usize::from(self.mask.is_some()) + self.users.len() + self.groups.len()
    }

    /// Whether the list says more than a mode can: it has a mask, as every list with named entries does.
    pub const fn is_extended(&self) -> bool {
        self.mask.is_some()
    }

    /// The mode's group bits for this list: the mask, or the owning group's rights without one.
    pub fn group_class(&self) -> Rights {
        self.mask.unwrap_or(self.group_obj)
    }

    /// The mode that says the same, if one does (`posix_acl_equiv_mode` in Linux): a list with a mask is never a mode
    /// alone.
    pub fn equivalent_mode(&self) -> Option<Mode> {
        (!self.is_extended()).then(|| Mode::new(self.user_obj, self.group_obj, self.other))
    }

    /// This list after a chmod(2): the group bits replace the mask, or the owning group's rights where there is none.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Acl {
        self.user_obj = mode.owner();
        self.other = mode.other();
        match &mut self.mask {
            Some(mask) => *mask = mode.group(),
            None => self.group_obj = mode.group(),
        }
        self
    }

    /// This default list as the access list of a new entry that was asked for with this mode (`posix_acl_create` in
    /// Linux): owner, other, and the mask or else the owning group get nothing that the mode doesn't have.
    #[must_use]
    pub fn inherited(self, requested: Mode) -> Acl {
        let Acl { user_obj, other, .. } = self;
        let group = self.group_class() & requested.group();
        self.with_mode(Mode::new(user_obj & requested.owner(), group, other & requested.other()))
    }

    /// This list as a secret may have it: no named users, nothing for other. Where users alone were named it becomes a
    /// plain mode, with the rights that the mask left the owning group.
    #[must_use]
    pub fn for_secret(mut self) -> Acl {
        let named = !self.users.is_empty();
        self.users.clear();
        self.other = Rights::NONE;
        if named && self.groups.is_empty() {
            self.group_obj = self.group_obj & self.mask.unwrap_or(Rights::ALL);
            self.mask = None;
        }
        self
    }

    /// Reads the value of `system.posix_acl_access` or `system.posix_acl_default`, little-endian: the version (4 bytes,
    /// 2), then for each entry its tag (2), its rights (2) and its id (4).
    ///
    /// As `posix_acl_valid` in Linux, entries must be in the order of their tags. Beyond that a user or group must not
    /// be named twice (acl_valid(3)); within one tag any order is accepted. The id of an entry without a name is
    /// ignored.
    ///
    /// # Errors
    ///
    /// Every variant but those that are about secrets and the store. An attribute with no entries, by which Linux means
    /// that there is no list, is [`AclError::Missing`].
    pub fn from_xattr(bytes: &[u8]) -> Result<Acl, AclError> {
        let (version, rest) = bytes.split_first_chunk().ok_or(AclError::Length)?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(AclError::Version(version));
        }
        let (entries, []) = rest.as_chunks::<8>() else { return Err(AclError::Length) };
        if entries.len() > MAX_ENTRIES {
            return Err(AclError::TooManyEntries(entries.len()));
        }

        let (mut user_obj, mut group_obj, mut mask, mut other) = (None, None, None, None);
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        let mut last = 0;
        for &[tag0, tag1, rights0, rights1, id @ ..] in entries {
            let (tag, id) = (u16::from_le_bytes([tag0, tag1]), u32::from_le_bytes(id));
            let rights = u16::from_le_bytes([rights0, rights1]);
            let rights = u8::try_from(rights).ok().and_then(known).ok_or(AclError::UnknownRights(rights))?;
            // The tags' numbers rise in the order that entries must have.
            if tag < last {
                return Err(AclError::Order);
            }
            last = tag;
            let once = match tag {
                USER_OBJ => &mut user_obj,
                GROUP_OBJ => &mut group_obj,
                MASK => &mut mask,
                OTHER => &mut other,
                USER => {
                    users.push((Uid(id), rights));
                    continue;
                }
                GROUP => {
                    groups.push((Gid(id), rights));
                    continue;
                }
                unknown => return Err(AclError::UnknownTag(unknown)),
            };
            if once.replace(rights).is_some() {
                return Err(AclError::Order);
            }
        }
        let (Some(user_obj), Some(group_obj), Some(other)) = (user_obj, group_obj, other) else {
            return Err(AclError::Missing);
        };
        Acl::new(user_obj, users, group_obj, groups, mask, other)
    }

    /// The value of `system.posix_acl_access` or `system.posix_acl_default` for this list.
    pub fn to_xattr(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + 8 * self.entries());
        out.extend_from_slice(&VERSION.to_le_bytes());
        let mut entry = |tag: u16, rights: Rights, id: u32| {
            out.extend_from_slice(&tag.to_le_bytes());
            out.extend_from_slice(&u16::from(rights.bits()).to_le_bytes());
            out.extend_from_slice(&id.to_le_bytes());
        };
        entry(USER_OBJ, self.user_obj, UNDEFINED);
        self.users.iter().for_each(|(user, rights)| entry(USER, *rights, user.0));
        entry(GROUP_OBJ, self.group_obj, UNDEFINED);
        self.groups.iter().for_each(|(group, rights)| entry(GROUP, *rights, group.0));
        if let Some(mask) = self.mask {
            entry(MASK, mask, UNDEFINED);
        }
        entry(OTHER, self.other, UNDEFINED);
        out
    }

    /// Appends the store's form, which [`decode`](Acl::decode) reads. Integers are big-endian, rights are one byte from
    /// 0 to 7.
    ///
    /// ```text
    /// 0  1  rights of the owner
    /// 1  1  rights of the owning group
    /// 2  1  rights of other
    /// 3  1  mask, or 0xff for none
    /// 4  2  u, the number of named users
    /// 6  2  g, the number of named groups
    /// 8  5u named users, by increasing id: id (4), rights (1)
    ///    5g named groups, likewise
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mask = self.mask.map_or(NO_MASK, Rights::bits);
        out.extend_from_slice(&[self.user_obj.bits(), self.group_obj.bits(), self.other.bits(), mask]);
        // Neither number is above MAX_ENTRIES.
        out.extend_from_slice(&(self.users.len() as u16).to_be_bytes());
        out.extend_from_slice(&(self.groups.len() as u16).to_be_bytes());
        let users = self.users.iter().map(|(user, rights)| (user.0, rights));
        for (id, rights) in users.chain(self.groups.iter().map(|(group, rights)| (group.0, rights))) {
            out.extend_from_slice(&id.to_be_bytes());
            out.push(rights.bits());
        }
    }

    /// Reads what [`encode`](Acl::encode) wrote.
    ///
    /// # Errors
    ///
    /// Whatever `encode` can't have written; [`AclError::NotCanonical`] for what says something valid in another form.
    pub fn decode(bytes: &[u8]) -> Result<Acl, AclError> {
        match Acl::decode_first(bytes)? {
            (acl, []) => Ok(acl),
            _ => Err(AclError::Length),
        }
    }

    /// Reads one list and returns the bytes after it.
    pub(super) fn decode_first(bytes: &[u8]) -> Result<(Acl, &[u8]), AclError> {
        let (&[user_obj, group_obj, other, mask, u0, u1, g0, g1], rest) =
            bytes.split_first_chunk().ok_or(AclError::Length)?;
        let (users, rest) = decode_named(rest, u16::from_be_bytes([u0, u1]), Uid)?;
        let (groups, rest) = decode_named(rest, u16::from_be_bytes([g0, g1]), Gid)?;
        let mask = if mask == NO_MASK { None } else { Some(decode_rights(mask)?) };
        let (user_obj, group_obj, other) = (decode_rights(user_obj)?, decode_rights(group_obj)?, decode_rights(other)?);
        Ok((Acl::new(user_obj, users, group_obj, groups, mask, other)?, rest))
    }
}

type Named<Id> = Vec<(Id, Rights)>;

fn decode_named<Id: Ord>(bytes: &[u8], count: u16, id: fn(u32) -> Id) -> Result<(Named<Id>, &[u8]), AclError> {
    let (named, rest) = bytes.split_at_checked(5 * usize::from(count)).ok_or(AclError::Length)?;
    let (named, _) = named.as_chunks::<5>();
    let entry = |&[a, b, c, d, rights]: &[u8; 5]| Ok((id(u32::from_be_bytes([a, b, c, d])), decode_rights(rights)?));
    let named = named.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    if !named.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err(AclError::NotCanonical);
    }
    Ok((named, rest))
}

fn decode_rights(byte: u8) -> Result<Rights, AclError> {
    known(byte).ok_or(AclError::UnknownRights(byte.into()))
}

fn known(bits: u8) -> Option<Rights> {
    (bits <= 7).then(|| Rights::from_bits(bits))
}

fn repeated<Id: Copy + PartialEq>(sorted: &[(Id, Rights)]) -> Option<Id> {
    sorted.iter().zip(sorted.iter().skip(1)).find(|((a, _), (b, _))| a == b).map(|((id, _), _)| *id)
}

fn lookup<Id: Copy + Ord>(sorted: &[(Id, Rights)], id: Id) -> Option<Rights> {
    let found = sorted.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    sorted.get(found).map(|(_, rights)| *rights)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Random, acl};
    use super::super::{Mode, Permissions};
    use super::*;

    /// The attribute of `u::rw-,u:1001:r--,g::r--,g:2001:rw-,m::rw-,o::---`, as ext4 under Linux gives it.
    const FROM_LINUX: [u8; 52] = [
        2, 0, 0, 0, //
        0x01, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, //
        0x02, 0, 4, 0, 0xe9, 0x03, 0, 0, //
        0x04, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, //
        0x08, 0, 6, 0, 0xd1, 0x07, 0, 0, //
        0x10, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, //
        0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, //
    ];

    /// Tag, rights, id.
    type Entry = (u16, u16, u32);
    /// Reads one form and writes it again.
    type Again = fn(&[u8]) -> Option<Vec<u8>>;

    fn xattr(entries: &[Entry]) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (tag, rights, id) in entries {
            bytes.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    fn encoded(acl: &Acl) -> Vec<u8> {
        let mut bytes = vec![];
        acl.encode(&mut bytes);
        bytes
    }

    #[test]
    fn the_attribute_is_the_one_that_linux_writes() {
        let list = acl("u::rw-,u:1001:r--,g::r--,g:2001:rw-,m::rw-,o::---");
        assert_eq!(list.to_xattr(), FROM_LINUX);
        assert_eq!(Acl::from_xattr(&FROM_LINUX), Ok(list));
    }

    #[test]
    fn the_stored_form_is_the_documented_one() {
        let list = acl("u::rw-,u:1001:r--,g::r--,g:2001:rw-,m::rwx,o::--x");
        assert_eq!(encoded(&list), [6, 4, 1, 7, 0, 1, 0, 1, 0, 0, 3, 0xe9, 4, 0, 0, 7, 0xd1, 6]);
        assert_eq!(encoded(&acl("u::rw-,g::r--,o::---")), [6, 4, 0, 0xff, 0, 0, 0, 0]);
        let mut permissions = Permissions::new(Uid(1), Gid(2), Mode::from_bits(0o2640));
        permissions.default = Some(acl("u::rw-,g::r--,o::---"));
        let mut bytes = vec![];
        permissions.encode(&mut bytes);
        assert_eq!(bytes, [0, 0, 0, 1, 0, 0, 0, 2, 0o2640u16.to_be_bytes()[0], 0xa0, 2, 6, 4, 0, 0xff, 0, 0, 0, 0]);
    }

    #[test]
    fn every_list_comes_back_from_both_forms() {
        let mut random = Random(1);
        for _ in 0..4000 {
            let (list, permissions) = (random.acl(), random.permissions());
            assert_eq!(Acl::from_xattr(&list.to_xattr()).as_ref(), Ok(&list));
            assert_eq!(Acl::decode(&encoded(&list)).as_ref(), Ok(&list));
            let mut bytes = vec![];
            permissions.encode(&mut bytes);
            assert_eq!(Permissions::decode(&bytes), Ok(permissions));
            let minimal = list.users().is_empty() && list.groups().is_empty() && list.mask().is_none();
            assert_eq!(list.equivalent_mode().is_some(), minimal);
            assert!(list.equivalent_mode().is_none_or(|mode| Acl::from_mode(mode) == list));
        }
    }

    #[test]
    fn what_was_cut_or_changed_is_an_error_or_the_canonical_form_of_something_else() {
        let mut random = Random(2);
        for _ in 0..150 {
            let (list, permissions) = (random.acl(), random.permissions());
            let mut whole = vec![];
            permissions.encode(&mut whole);
            let forms: [(Vec<u8>, Again); 3] = [
                (list.to_xattr(), |bytes| Acl::from_xattr(bytes).ok().map(|_| bytes.to_vec())),
                (encoded(&list), |bytes| Acl::decode(bytes).ok().map(|list| encoded(&list))),
                (whole, |bytes| {
                    let mut again = vec![];
                    Permissions::decode(bytes).ok()?.encode(&mut again);
                    Some(again)
                }),
            ];
            for (bytes, again) in forms {
                (0..bytes.len()).for_each(|end| assert_eq!(again(&bytes[..end]), None, "{bytes:?} {end}"));
                assert_eq!(again(&[&bytes[..], &[0]].concat()), None);
                for at in 0..bytes.len() {
                    for bits in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                        let mut changed = bytes.clone();
                        changed[at] ^= bits;
                        assert!(again(&changed).is_none_or(|again| again == changed), "{changed:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn only_valid_lists_are_read() {
        const NONE: u32 = UNDEFINED;
        let [owner, group, other] = [(USER_OBJ, 6, NONE), (GROUP_OBJ, 4, NONE), (OTHER, 0, NONE)];
        let (user, named, mask) = ((USER, 4, 7), (GROUP, 4, 8), (MASK, 6, NONE));
        let cases: [(&[Entry], AclError); 18] = [
            (&[], AclError::Missing),
            (&[group, other], AclError::Missing),
            (&[owner, other], AclError::Missing),
            (&[owner, group], AclError::Missing),
            (&[owner, group, mask], AclError::Missing),
            (&[owner, owner, group, other], AclError::Order),
            (&[owner, group, group, other], AclError::Order),
            (&[owner, group, other, other], AclError::Order),
            (&[owner, group, mask, mask, other], AclError::Order),
            (&[owner, other, group], AclError::Order),
            (&[user, owner, group, mask, other], AclError::Order),
            (&[owner, group, user, mask, other], AclError::Order),
            (&[owner, user, group, other], AclError::NoMask),
            (&[owner, group, named, other], AclError::NoMask),
            (&[owner, group, (GROUP, 4, NONE), mask, other], AclError::UndefinedId),
            (&[owner, user, (USER, 2, 9), (USER, 2, 7), group, mask, other], AclError::DuplicateUser(Uid(7))),
            (&[owner, group, (3, 4, 8), mask, other], AclError::Order),
            (&[owner, group, (0x40, 4, 8)], AclError::UnknownTag(0x40)),
        ];
        for (entries, error) in cases {
            assert_eq!(Acl::from_xattr(&xattr(entries)), Err(error), "{entries:?}");
        }
        assert_eq!(Acl::from_xattr(&xattr(&[(USER_OBJ, 8, NONE)])), Err(AclError::UnknownRights(8)));
        assert_eq!(Acl::from_xattr(&xattr(&[(USER_OBJ, 0x106, NONE)])), Err(AclError::UnknownRights(0x106)));
        assert_eq!(Acl::from_xattr(&[1, 0, 0, 0]), Err(AclError::Version(1)));
        let duplicate = [owner, group, named, named, mask, other];
        assert_eq!(Acl::from_xattr(&xattr(&duplicate)), Err(AclError::DuplicateGroup(Gid(8))));
        // Within one tag any order will do, and the ids of unnamed entries don't count.
        let unsorted = xattr(&[(USER_OBJ, 6, 5), (USER, 4, 9), user, group, mask, other]);
        assert_eq!(Acl::from_xattr(&unsorted).unwrap(), acl("u::rw-,u:7:r--,u:9:r--,g::r--,m::rw-,o::---"));
    }

    #[test]
    fn the_stored_form_has_one_spelling() {
        let list = |named: &[u8], users: u8, groups: u8| [&[6, 4, 0, 7, 0, users, 0, groups], named].concat();
        assert!(Acl::decode(&list(&[0, 0, 0, 1, 4, 0, 0, 0, 2, 4], 2, 0)).is_ok());
        assert_eq!(Acl::decode(&list(&[0, 0, 0, 2, 4, 0, 0, 0, 1, 4], 2, 0)), Err(AclError::NotCanonical));
        assert_eq!(Acl::decode(&list(&[0, 0, 0, 2, 4, 0, 0, 0, 2, 4], 0, 2)), Err(AclError::NotCanonical));
        assert_eq!(Acl::decode(&[6, 4, 0, 8, 0, 0, 0, 0]), Err(AclError::UnknownRights(8)));
        // An access list that a mode could say, one that differs from its mode, and bits that no mode has.
        let head = |mode: u16, which| [&[0, 0, 0, 1, 0, 0, 0, 2][..], &mode.to_be_bytes(), &[which]].concat();
        let minimal = [6, 4, 0, 0xff, 0, 0, 0, 0];
        assert_eq!(Permissions::decode(&[&head(0o640, 1)[..], &minimal].concat()), Err(AclError::NotCanonical));
        assert!(Permissions::decode(&[&head(0o670, 1)[..], &list(&[], 0, 0)].concat()).is_ok());
        assert_eq!(Permissions::decode(&[&head(0o660, 1)[..], &list(&[], 0, 0)].concat()), Err(AclError::NotCanonical));
        assert_eq!(Permissions::decode(&head(0o10640, 0)), Err(AclError::NotCanonical));
        assert_eq!(Permissions::decode(&head(0o640, 4)), Err(AclError::NotCanonical));
    }

    #[test]
    fn there_is_a_limit() {
        let groups = |count: u32| (0..count).map(|id| (Gid(id), Rights::READ)).collect();
        let list = |count| Acl::new(Rights::ALL, vec![], Rights::NONE, groups(count), Some(Rights::ALL), Rights::NONE);
        let most = list(507).unwrap();
        assert_eq!(Acl::from_xattr(&most.to_xattr()), Ok(most.clone()));
        assert_eq!(Acl::decode(&encoded(&most)), Ok(most));
        assert_eq!(list(508), Err(AclError::TooManyEntries(512)));
        // A page, which is what Linux asks for.
        assert!(list(507).unwrap().to_xattr().len() <= 4096);
        let many = vec![(GROUP, 4, 8); 5000];
        assert_eq!(Acl::from_xattr(&xattr(&many)), Err(AclError::TooManyEntries(5000)));
    }
}
