//! The first gate: whether a mode and an ACL allow a request, by the algorithm of acl(5) and POSIX 1003.1e draft 17.
//!
//! The kernel asks the same for every request through the mount; this is for what it can't ask: staged changes, control
//! files, and the answer to "why".
//!
//! Invariants: the first class that a caller falls in decides, in the order owner, named user, groups, other; among
//! matching group entries one must grant all that is wanted. With unknown supplementary groups the answer is yes only
//! if it is yes whatever they are, so a group that is kept out never comes in as "other".
//!
//! Where the mask is empty, this is stricter than Linux, which then doesn't look at the ACL and gives named users and
//! named groups what other has (seen on ext4 under Linux 6.18); here they are kept out, as the standard says.
//!
//! It deliberately knows nothing of secrets; [`gate`](super::gate) stands behind it.

use super::{Caller, Kind, Permissions, Rights};
use crate::id::{Gid, Uid};

/// What lets a caller in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// It is the owner.
    Owner(Uid),
    /// An entry names it.
    NamedUser(Uid),
    /// It is in the owning group.
    OwningGroup(Gid),
    /// It is in a group that an entry names.
    NamedGroup(Gid),
    /// Everybody is let in; with unknown groups: everybody, whatever their groups.
    Other,
    /// No class of it would, but it is root.
    Root,
}

/// What keeps a caller out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// It is the owner, who lacks the right; neither groups nor other count for the owner.
    Owner,
    /// The entry that names it lacks the right, or the mask does.
    NamedUser,
    /// No matching group entry grants it, mask included.
    Groups,
    /// It falls in no class but other, which lacks the right.
    Other,
    /// The answer hangs on supplementary groups that aren't known.
    GroupsUnknown,
    /// Root may execute a file only where someone may.
    NotExecutable,
}

/// Whether the caller may do all of `want`. Where its supplementary groups are unknown, `false` means that they must be
/// learned to know.
///
/// Root is let in as by CAP_DAC_OVERRIDE (capabilities(7)): always to read, write and look names up, to execute a file
/// only where the mode has some execute bit.
pub fn allows(permissions: &Permissions, caller: &Caller<'_>, want: Rights, kind: Kind) -> bool {
    decide(permissions, caller, want, kind).is_ok()
}

/// As [`allows`], with the reason.
///
/// # Errors
///
/// What keeps the caller out.
pub fn decide(permissions: &Permissions, caller: &Caller<'_>, want: Rights, kind: Kind) -> Result<Class, Refusal> {
    by_class(permissions, caller, want).or_else(|refusal| {
        let mode = permissions.mode;
        let executable = !(mode.owner() | mode.group() | mode.other()).intersection(Rights::EXECUTE).is_empty();
        match caller.root() {
            false => Err(refusal),
            true if kind == Kind::Directory || executable || !want.contains(Rights::EXECUTE) => Ok(Class::Root),
            true => Err(Refusal::NotExecutable),
        }
    })
}

fn by_class(permissions: &Permissions, caller: &Caller<'_>, want: Rights) -> Result<Class, Refusal> {
    let judge = |rights: Rights, class, refusal| if rights.contains(want) { Ok(class) } else { Err(refusal) };
    let mode = permissions.mode;
    if caller.uid == permissions.owner {
        return judge(mode.owner(), Class::Owner(caller.uid), Refusal::Owner);
    }
    if let Some(rights) = permissions.named_user(caller.uid) {
        return judge(rights, Class::NamedUser(caller.uid), Refusal::NamedUser);
    }

    let mut matched = false;
    for gid in caller.known_groups() {
        if gid == permissions.group {
            matched = true;
            if permissions.group_rights().contains(want) {
                return Ok(Class::OwningGroup(gid));
            }
        }
        if let Some(rights) = permissions.named_group(gid) {
            matched = true;
            if rights.contains(want) {
                return Ok(Class::NamedGroup(gid));
            }
        }
    }
    if caller.supplementary.is_some() {
        return if matched { Err(Refusal::Groups) } else { judge(mode.other(), Class::Other, Refusal::Other) };
    }
    // A group that the caller may be in keeps it out of other, unless an entry of that group grants as much.
    let grants = |gid| {
        gid == permissions.group && permissions.group_rights().contains(want)
            || permissions.named_group(gid).is_some_and(|rights| rights.contains(want))
    };
    let whatever = grants(permissions.group) && permissions.named_groups().all(|(gid, _)| grants(gid));
    let class = if matched || !whatever { Err(Refusal::GroupsUnknown) } else { Ok(Class::Other) };
    class.and_then(|class| judge(mode.other(), class, Refusal::GroupsUnknown))
}
