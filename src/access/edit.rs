//! What a change of permissions leaves: by chmod(2), by an ACL, and by the text of `user.keyfs.groups`.
//!
//! Invariants: no change gives a secret rights for other or an entry for a user. A change by a caller that isn't known
//! to be in the owning group, unless it is root, takes set-group-id away (chmod(2)). Text that grants anything unclear
//! is an error that quotes it.
//!
//! It deliberately doesn't ask whether the caller may change anything, and resolves no names: whoever calls brings the
//! resolver.

use super::acl::MAX_ENTRIES;
use super::{Acl, AclError, Caller, Mode, Permissions, Rights};
use crate::id::Gid;
use std::collections::BTreeMap;

/// The permissions after a chmod(2) by the caller; a secret's bits for other are dropped. With an ACL the group bits
/// move the mask.
pub fn chmod(permissions: &Permissions, mode: Mode, caller: &Caller<'_>, secret_file: bool) -> Permissions {
    let mut changed = permissions.clone();
    changed.chmod(if secret_file { mode.with_other(Rights::NONE) } else { mode });
    without_foreign_setgid(changed, caller)
}

/// The permissions after the caller sets the access ACL.
///
/// # Errors
///
/// As [`check_acl`].
pub fn set_access_acl(
    permissions: &Permissions,
    acl: &Acl,
    caller: &Caller<'_>,
    secret_file: bool,
) -> Result<Permissions, AclError> {
    let mut changed = permissions.clone();
    changed.set_access_acl(check_acl(acl, secret_file)?);
    Ok(without_foreign_setgid(changed, caller))
}

/// The access ACL as the entry may have it: on a secret without rights for other.
///
/// # Errors
///
/// [`AclError::NamedUserOnSecret`]: a user entry never grants a secret's value.
pub fn check_acl(acl: &Acl, secret_file: bool) -> Result<Acl, AclError> {
    match acl.users() {
        _ if !secret_file => Ok(acl.clone()),
        [] => Acl::new(acl.user_obj(), vec![], acl.group_obj(), acl.groups().to_vec(), acl.mask(), Rights::NONE),
        [(user, _), ..] => Err(AclError::NamedUserOnSecret(*user)),
    }
}

/// These permissions without set-group-id, unless the caller is root or known to be in the owning group: Linux clears
/// the bit when anybody else changes a mode or an ACL (chmod(2)). The caller's supplementary groups should be known.
#[must_use]
pub fn without_foreign_setgid(mut permissions: Permissions, caller: &Caller<'_>) -> Permissions {
    if !caller.root() && !caller.is_in(permissions.group) {
        permissions.mode = permissions.mode.without(Mode::SETGID);
    }
    permissions
}

/// The permissions after the caller wrote the value. As Linux does for whoever lacks CAP_FSETID, set-user-id goes, and so
/// does set-group-id where the group may execute the entry or the caller isn't known to be in it.
#[must_use]
pub fn written(permissions: &Permissions, caller: &Caller<'_>) -> Permissions {
    let mut changed = permissions.clone();
    if !caller.root() {
        changed.mode = changed.mode.without(Mode::SETUID);
        if changed.mode.group().contains(Rights::EXECUTE) || !caller.is_in(changed.group) {
            changed.mode = changed.mode.without(Mode::SETGID);
        }
    }
    changed
}

/// What the text of `user.keyfs.groups` says: groups and the rights of each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GroupPermissions(BTreeMap<Gid, Rights>);

impl GroupPermissions {
    /// The groups in increasing order and their rights.
    pub fn iter(&self) -> impl Iterator<Item = (Gid, Rights)> {
        self.0.iter().map(|(group, rights)| (*group, *rights))
    }

    /// The rights given to one group.
    pub fn get(&self, group: Gid) -> Option<Rights> {
        self.0.get(&group).copied()
    }
}

/// What is wrong with a text of group permissions.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GroupsError {
    /// A part between commas is not a group and its rights.
    #[error("'{0}' is not a group and its rights: write group:rights, as in analysts:r,ops:rw")]
    Item(String),
    /// No group has this name.
    #[error("there is no group '{0}': use the name of a group on this machine, or its numeric id")]
    UnknownGroup(String),
    /// A number that can't be a group id.
    #[error("'{0}' is not a group id: those are from 0 to 4294967294")]
    Id(String),
    /// Rights of other letters, or of one letter twice.
    #[error("'{rights}' are not rights for group '{group}': write any of r, w and x, or - for none")]
    Rights {
        /// The group, as written.
        group: String,
        /// The rights, as written.
        rights: String,
    },
    /// One group, two parts; perhaps once by name and once by id.
    #[error("group '{group}' (id {id}) is there twice: give each group once")]
    Duplicate {
        /// The group as written the second time.
        group: String,
        /// Its id.
        id: Gid,
    },
    /// More groups than an ACL has entries.
    #[error("these are more groups than an access control list can hold, which is {MAX_ENTRIES} entries")]
    TooMany,
}

/// Reads a text such as `analysts:r,1002:rw`. Whitespace around groups, rights and commas doesn't count; a blank text
/// means no groups. What is all digits is an id and never looked up; anything else is a name for `resolve`. Rights are
/// any of the letters r, w and x, each once at most, and `-`, which stands for none: `rw`, `rw-`, `-`.
///
/// # Errors
///
/// The first thing that is wrong, quoted.
pub fn parse_groups(text: &str, resolve: &dyn Fn(&str) -> Option<Gid>) -> Result<GroupPermissions, GroupsError> {
    let mut groups = BTreeMap::new();
    if text.trim().is_empty() {
        return Ok(GroupPermissions(groups));
    }
    for item in text.split(',') {
        let (group, rights) = item.split_once(':').ok_or_else(|| GroupsError::Item(quotable(item)))?;
        let (group, rights) = (group.trim(), rights.trim());
        if group.is_empty() || rights.is_empty() {
            return Err(GroupsError::Item(quotable(item)));
        }
        let bad_rights = || GroupsError::Rights { group: quotable(group), rights: quotable(rights) };
        let rights = parse_rights(rights).ok_or_else(bad_rights)?;
        let id = if is_number(group) {
            let id = group.parse().ok().filter(|id| *id != u32::MAX);
            Gid(id.ok_or_else(|| GroupsError::Id(quotable(group)))?)
        } else {
            resolve(group).ok_or_else(|| GroupsError::UnknownGroup(quotable(group)))?
        };
        if groups.insert(id, rights).is_some() {
            return Err(GroupsError::Duplicate { group: quotable(group), id });
        }
        if groups.len() > MAX_ENTRIES {
            return Err(GroupsError::TooMany);
        }
    }
    Ok(GroupPermissions(groups))
}

/// Replaces all group permissions. The owning group gets what is listed for it, else nothing; the other listed groups
/// become the named ones. Owner and other stay, and so do named users, with the rights in force for them: the mask is
/// made anew as wide as all of these need, so that each has just what it is given. What a mode can say alone becomes a
/// mode alone.
///
/// # Errors
///
/// [`AclError::TooManyEntries`].
pub fn apply_groups(permissions: &Permissions, groups: &GroupPermissions) -> Result<Permissions, AclError> {
    let old = permissions.access_acl();
    let in_force = |rights: Rights| rights & permissions.mode.group();
    let users: Vec<_> = old.users().iter().map(|(user, rights)| (*user, in_force(*rights))).collect();
    let group_obj = groups.get(permissions.group).unwrap_or(Rights::NONE);
    let named: Vec<_> = groups.iter().filter(|(group, _)| *group != permissions.group).collect();
    let rights = users.iter().map(|(_, rights)| *rights).chain(named.iter().map(|(_, rights)| *rights));
    let mask = rights.reduce(Rights::union).map(|named| named | group_obj);

    let mut changed = permissions.clone();
    changed.set_access_acl(Acl::new(old.user_obj(), users, group_obj, named, mask, old.other())?);
    Ok(changed)
}

/// The group permissions as text that [`parse_groups`] reads: what is in force, mask included, for the owning group
/// where it has any right, and for each named group. A group whose name can't stand in the text is written as its id.
pub fn format_groups(permissions: &Permissions, name_of: &dyn Fn(Gid) -> String) -> String {
    let owning = permissions.group_rights() | permissions.named_group(permissions.group).unwrap_or_default();
    let owning = (permissions.group, owning);
    let named = permissions.named_groups().filter(|(group, _)| *group != permissions.group);
    let item = |(group, rights): (Gid, Rights)| {
        let name = name_of(group);
        let clear = !name.is_empty() && !is_number(&name) && !name.contains([',', ':']) && name.trim() == name;
        if clear { format!("{name}:{rights}") } else { format!("{group}:{rights}") }
    };
    let items = Some(owning).filter(|(_, rights)| !rights.is_empty()).into_iter().chain(named);
    items.map(item).collect::<Vec<_>>().join(",")
}

fn parse_rights(text: &str) -> Option<Rights> {
    text.chars().try_fold(Rights::NONE, |sum, letter| {
        let right = match letter {
            'r' => Rights::READ,
            'w' => Rights::WRITE,
            'x' => Rights::EXECUTE,
            '-' => return Some(sum),
            _ => return None,
        };
        (!sum.contains(right)).then_some(sum | right)
    })
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The text as an error message can quote it: on one line and not endless.
fn quotable(text: &str) -> String {
    let shown = text.trim().chars().map(|c| if c.is_control() { '?' } else { c });
    let mut quoted: String = shown.clone().take(64).collect();
    if shown.count() > 64 {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Random, acl};
    use super::*;
    use crate::id::Uid;

    fn resolve(name: &str) -> Option<Gid> {
        [("analysts", 1001), ("ops", 1002), ("payments", 20)]
            .iter()
            .find(|known| known.0 == name)
            .map(|known| Gid(known.1))
    }

    fn name_of(group: Gid) -> String {
        ["analysts", "ops", "payments"].into_iter().find(|name| resolve(name) == Some(group)).unwrap_or("7").to_owned()
    }

    fn parse(text: &str) -> Result<GroupPermissions, GroupsError> {
        parse_groups(text, &resolve)
    }

    fn entry(text: &str) -> Permissions {
        let mut permissions = Permissions::new(Uid(10), Gid(20), Mode::default());
        permissions.set_access_acl(acl(text));
        permissions
    }

    #[test]
    fn text_is_read() {
        let groups =
            |text| parse(text).unwrap().iter().map(|(group, rights)| (group.0, rights.bits())).collect::<Vec<_>>();
        assert_eq!(groups("analysts:r,ops:rw"), [(1001, 4), (1002, 6)]);
        assert_eq!(groups(" ops : wr ,\t1001:r-- , 7:-,0:rwx\n"), [(0, 7), (7, 0), (1001, 4), (1002, 6)]);
        assert_eq!(groups(""), []);
        assert_eq!(groups(" \n"), []);
    }

    #[test]
    fn text_that_is_unclear_is_quoted() {
        let says = |text, message: &str| assert_eq!(parse(text).unwrap_err().to_string(), message);
        let form = "is not a group and its rights: write group:rights, as in analysts:r,ops:rw";
        says("analysts", &format!("'analysts' {form}"));
        says("analysts:r,", &format!("'' {form}"));
        says("analysts:", &format!("'analysts:' {form}"));
        says(" :rw", &format!("':rw' {form}"));
        says("nobodies:r", "there is no group 'nobodies': use the name of a group on this machine, or its numeric id");
        says("-1:r", "there is no group '-1': use the name of a group on this machine, or its numeric id");
        says("4294967295:r", "'4294967295' is not a group id: those are from 0 to 4294967294");
        says("99999999999:r", "'99999999999' is not a group id: those are from 0 to 4294967294");
        let form = "for group 'ops': write any of r, w and x, or - for none";
        says("analysts:r,ops:rq", &format!("'rq' are not rights {form}"));
        says("ops:R", &format!("'R' are not rights {form}"));
        says("ops:rr", &format!("'rr' are not rights {form}"));
        says("ops:r:w", &format!("'r:w' are not rights {form}"));
        says("ops:r,1002:rw", "group '1002' (id 1002) is there twice: give each group once");
        says("a\nb", "'a?b' is not a group and its rights: write group:rights, as in analysts:r,ops:rw");
        assert!(parse(&"x".repeat(500)).unwrap_err().to_string().contains(&format!("'{}…'", "x".repeat(64))));
        assert!(parse(&"x".repeat(64)).unwrap_err().to_string().contains(&format!("'{}'", "x".repeat(64))));
        let many: Vec<_> = (0..=MAX_ENTRIES).map(|id| format!("{id}:r")).collect();
        assert_eq!(parse(&many.join(",")), Err(GroupsError::TooMany));
        assert!(parse(&many[1..].join(",")).is_ok());
    }

    #[test]
    fn groups_replace_groups() {
        let apply = |before: &str, text| apply_groups(&entry(before), &parse(text).unwrap()).unwrap();
        assert_eq!(
            apply("u::rw-,g::r--,o::---", "analysts:r,ops:rw"),
            entry("u::rw-,g::---,g:1001:r--,g:1002:rw-,m::rw-,o::---")
        );
        assert_eq!(apply("u::rw-,g::r--,o::---", "payments:rw"), entry("u::rw-,g::rw-,o::---"));
        assert_eq!(apply("u::rw-,g::rw-,g:5:r--,m::r--,o::r--", ""), entry("u::rw-,g::---,o::r--"));
        assert_eq!(apply("u::rw-,g::rw-,g:5:r--,m::---,o::---", "5:r"), entry("u::rw-,g::---,g:5:r--,m::r--,o::---"));
        // A named user has afterwards what the mask let it have before, no more and no less.
        assert_eq!(
            apply("u::rw-,u:9:rw-,g::r--,m::r--,o::---", "ops:w"),
            entry("u::rw-,u:9:r--,g::---,g:1002:-w-,m::rw-,o::---")
        );
        // The special bits stay.
        let mut special = entry("u::rw-,g::r--,o::---");
        special.mode = special.mode.with(Mode::SETGID);
        assert_eq!(apply_groups(&special, &parse("ops:r").unwrap()).unwrap().mode, Mode::from_bits(0o2640));
    }

    #[test]
    fn who_writes_a_value_ends_set_id() {
        let caller = |uid, groups| Caller { uid: Uid(uid), gid: Gid(30), supplementary: Some(groups) };
        let after = |mode, uid, groups| {
            let entry = Permissions::new(Uid(10), Gid(20), Mode::from_bits(mode));
            written(&entry, &caller(uid, groups)).mode
        };
        for (mode, uid, groups, left) in [
            (0o7770, 0, &[][..], 0o7770),
            (0o7770, 10, &[Gid(20)], 0o1770),
            (0o7760, 10, &[Gid(20)], 0o3760),
            (0o7760, 10, &[], 0o1760),
            (0o0660, 10, &[], 0o0660),
        ] {
            assert_eq!(after(mode, uid, groups), Mode::from_bits(left), "{mode:o} by {uid} in {groups:?}");
        }
    }

    #[test]
    fn a_list_too_long_is_refused() {
        let users = (0..500).map(|id| (Uid(id), Rights::READ)).collect();
        let mut full = entry("u::rw-,g::---,o::---");
        full.set_access_acl(
            Acl::new(Rights::ALL, users, Rights::NONE, vec![], Some(Rights::READ), Rights::NONE).unwrap(),
        );
        let groups: Vec<_> = (3000..3008).map(|id| format!("{id}:r")).collect();
        let groups = parse(&groups.join(",")).unwrap();
        assert_eq!(apply_groups(&full, &groups), Err(AclError::TooManyEntries(512)));
    }

    #[test]
    fn text_says_what_is_in_force_and_can_be_set_back() {
        let format = |text: &str| format_groups(&entry(text), &name_of);
        assert_eq!(format("u::rw-,g::r--,g:1002:rw-,m::rw-,o::---"), "payments:r,ops:rw");
        assert_eq!(format("u::rw-,g::rw-,g:1002:rwx,g:7:-w-,m::r--,o::---"), "payments:r,7:-,ops:r");
        assert_eq!(format("u::rw-,g::---,o::r--"), "");
        assert_eq!(format_groups(&entry("u::rw-,g::r--,g:5:r--,m::r--,o::---"), &|_| "a,b:rw".to_owned()), "20:r,5:r");
        let mut random = Random(3);
        for _ in 0..2000 {
            let before = random.permissions();
            let text = format_groups(&before, &|group| group.to_string());
            let after = apply_groups(&before, &parse(&text).unwrap()).unwrap();
            // An entry that names the owning group becomes the owning group's own.
            let own = before.group_rights() | before.named_group(before.group).unwrap_or_default();
            let named = before.named_groups().filter(|(group, _)| *group != before.group);
            assert_eq!(after.group_rights(), own, "{before:?}");
            assert!(after.named_groups().eq(named), "{before:?}");
            for (user, _) in before.access_acl().users() {
                assert_eq!(after.named_user(*user), before.named_user(*user), "{before:?}");
            }
            assert_eq!(format_groups(&after, &|group| group.to_string()), text);
        }
    }
}
