//! The second gate: a secret is decrypted only for a group that its permissions let read.
//!
//! > One of the calling process's groups must match the entry's group permissions: a group that is granted read, mask
//! > included; or, where the owner class has read, the owning group, for a process that also has the owner's uid.
//!
//! It stands behind the kernel's own check ([`check`]), never in its place.
//!
//! Invariants: being the owner alone, root, or a named user makes up for no group. A [`Grant`] comes into being here
//! only, is for one entry, and can't be copied, so whoever has one has been through here for it.
//!
//! It deliberately has no exception for root, and no way to ask for more than one entry at once. It doesn't know
//! versions: which permissions a version had is its caller's to find.

use super::check::{self, Class, Refusal};
use super::{Caller, Kind, Permissions, Rights};
use crate::id::{Gid, NodeId, Uid};
use std::fmt;

/// How many groups a message lists at most.
const LISTED: usize = 8;

/// What a grant was given for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Purpose {
    /// To hand the current value to the caller.
    Read,
    /// To hand an earlier value to the caller.
    History,
    /// For the daemon to seal the value anew, or to merge it with what is written, with nobody seeing it.
    Carry,
}

/// The rule by which a group lets a process read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Rule {
    /// The owning group is granted read.
    OwningGroup(Gid),
    /// A group with an entry of its own is granted read.
    NamedGroup(Gid),
    /// The owner is granted read, and the process is the owner's and in the owning group.
    OwnerWithOwningGroup {
        /// The owner.
        owner: Uid,
        /// The owning group.
        group: Gid,
    },
}

/// Leave to decrypt the value of one secret, once: it can't be copied, and opening a value takes it.
///
/// Only the gate makes one, so code that opens a value without having asked does not compile:
///
/// ```compile_fail,E0061
/// # use keyfs::seal::{Binding, Seal};
/// fn read(seal: &Seal, binding: &Binding, record: &[u8]) {
///     let _ = seal.open(binding, record);
/// }
/// ```
///
/// ```compile_fail,E0451
/// # use keyfs::access::gate::{Grant, Purpose};
/// # use keyfs::id::NodeId;
/// let grant = Grant { node: NodeId(7), purpose: Purpose::Read, rule: None };
/// ```
///
/// ```compile_fail,E0599
/// # use keyfs::access::gate::Grant;
/// fn twice(grant: Grant) -> (Grant, Grant) {
///     (grant.clone(), grant)
/// }
/// ```
///
/// ```
/// # use keyfs::access::gate::Grant;
/// # use keyfs::seal::{Binding, Opened, Seal, SealError};
/// fn read(seal: &Seal, grant: Grant, binding: &Binding, record: &[u8]) -> Result<Opened, SealError> {
///     seal.open(grant, binding, record)
/// }
/// ```
#[derive(Debug)]
#[must_use = "a grant that isn't used was asked for needlessly, or the value was opened without it"]
pub struct Grant {
    node: NodeId,
    purpose: Purpose,
    rule: Option<Rule>,
}

impl Grant {
    /// The entry whose value may be decrypted.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// What for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The rule that let the caller in; `None` for [`Purpose::Carry`], where nobody is let in.
    pub fn rule(&self) -> Option<Rule> {
        self.rule
    }
}

/// Why a secret isn't decrypted for a process.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Denial {
    /// What is missing.
    pub reason: Reason,
    /// Whether it is the permissions of the earlier version that keep the process out, rather than the entry's current
    /// ones.
    pub past: bool,
}

/// What is missing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The process is in none of the groups that would let it in.
    NoGroup {
        /// Those groups, the owning group first; never empty.
        needed: Vec<Gid>,
    },
    /// No group is granted read, only the owner is, and the process isn't the owner's.
    OwnerOnly {
        /// The owner.
        owner: Uid,
        /// The owning group, which the owner's process must be in.
        group: Gid,
    },
    /// Neither a group nor the owner is granted read.
    NoGroupMayRead,
    /// The process's primary group doesn't let it in and its supplementary groups aren't known.
    GroupsUnknown {
        /// The groups that would let it in, the owning group first; never empty.
        needed: Vec<Gid>,
    },
}

/// Asks for the current value of a secret. The primary group is asked first.
///
/// # Errors
///
/// The [`Denial`]. [`Reason::GroupsUnknown`] is the one that may change when the caller's supplementary groups are
/// learned; where no group can make a difference, the answer is one of the others even if they aren't known.
pub fn read(permissions: &Permissions, caller: &Caller<'_>, node: NodeId) -> Result<Grant, Denial> {
    let rule = let_in(permissions, caller).map_err(|reason| Denial { reason, past: false })?;
    Ok(Grant { node, purpose: Purpose::Read, rule: Some(rule) })
}

/// Asks for an earlier value of a secret: both the entry's current permissions and those that the version had (`then`)
/// must let the caller in. The grant carries the current rule.
///
/// # Errors
///
/// As for [`read`], first by the current permissions.
pub fn history(current: &Permissions, then: &Permissions, caller: &Caller<'_>, node: NodeId) -> Result<Grant, Denial> {
    let rule = let_in(current, caller).map_err(|reason| Denial { reason, past: false })?;
    let_in(then, caller).map_err(|reason| Denial { reason, past: true })?;
    Ok(Grant { node, purpose: Purpose::History, rule: Some(rule) })
}

/// A grant for the daemon's own use, when a value must be sealed anew or merged without anybody seeing it: an append, a
/// partial write, a change of permissions.
///
/// **Invariant:** what it opens goes into a new sealed record of the same entry, or is dropped by a check that it opens, and goes
/// nowhere else: not to a caller, not to a reader's handle, not into another entry.
pub(crate) fn carry(node: NodeId) -> Grant {
    Grant { node, purpose: Purpose::Carry, rule: None }
}

fn let_in(permissions: &Permissions, caller: &Caller<'_>) -> Result<Rule, Reason> {
    if let Some(rule) = caller.known_groups().find_map(|gid| rule_for(permissions, caller.uid, gid)) {
        return Ok(rule);
    }
    let (owner, group) = (permissions.owner, permissions.group);
    let owner_reads = permissions.mode.owner().contains(Rights::READ);
    let mut needed = granted(permissions, Rights::READ);
    if owner_reads && caller.uid == owner && !needed.contains(&group) {
        needed.insert(0, group);
    }
    Err(match (needed.is_empty(), caller.supplementary) {
        (false, Some(_)) => Reason::NoGroup { needed },
        (false, None) => Reason::GroupsUnknown { needed },
        (true, _) if owner_reads => Reason::OwnerOnly { owner, group },
        (true, _) => Reason::NoGroupMayRead,
    })
}

/// The rule by which being in `gid` lets a process of `uid` read.
fn rule_for(permissions: &Permissions, uid: Uid, gid: Gid) -> Option<Rule> {
    let owning = gid == permissions.group;
    if owning && permissions.group_rights().contains(Rights::READ) {
        return Some(Rule::OwningGroup(gid));
    }
    if permissions.named_group(gid).is_some_and(|rights| rights.contains(Rights::READ)) {
        return Some(Rule::NamedGroup(gid));
    }
    let owner = uid == permissions.owner && permissions.mode.owner().contains(Rights::READ);
    (owning && owner).then_some(Rule::OwnerWithOwningGroup { owner: uid, group: gid })
}

/// The groups that are granted all of `want`, mask included, the owning group first.
fn granted(permissions: &Permissions, want: Rights) -> Vec<Gid> {
    let owning = permissions.group_rights().contains(want).then_some(permissions.group);
    let named = permissions.named_groups().filter(|(gid, rights)| rights.contains(want) && Some(*gid) != owning);
    owning.into_iter().chain(named.map(|(gid, _)| gid)).collect()
}

/// Which rule lets a process read and write an entry, or keeps it out: `Ok` says what lets it in, `Err` what it lacks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// As in `group 1001 (named group entry)`, or `needs one of groups 1001, 1002`.
    pub read: Result<String, String>,
    /// Likewise.
    pub write: Result<String, String>,
}

/// Two lines, as in `read: yes, group 1001 (named group entry)`.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |right, answer: &Result<String, String>| match answer {
            Ok(because) => writeln!(f, "{right}: yes, {because}"),
            Err(because) => writeln!(f, "{right}: no, {because}"),
        };
        line("read", &self.read)?;
        line("write", &self.write)
    }
}

/// Explains what the caller may do with the entry's value, by both gates where it is a secret. Ids only; a caller whose
/// supplementary groups aren't known is told so.
pub fn explain(permissions: &Permissions, caller: &Caller<'_>, is_secret: bool) -> Explanation {
    let by_class = |want| {
        // Root's rights to read and write are the same for files and directories.
        let answer = check::decide(permissions, caller, want, Kind::File);
        answer.map(|class| class.to_string()).map_err(|refusal| refused(permissions, refusal, want))
    };
    let read = match is_secret {
        false => by_class(Rights::READ),
        true => let_in(permissions, caller)
            .map_err(|reason| reason.to_string())
            .and_then(|rule| by_class(Rights::READ).map(|_| rule.to_string())),
    };
    Explanation { read, write: by_class(Rights::WRITE) }
}

fn refused(permissions: &Permissions, refusal: Refusal, want: Rights) -> String {
    let right = if want == Rights::READ { "read" } else { "write" };
    let needed = || match granted(permissions, want) {
        groups if groups.is_empty() => format!("no group is granted {right}"),
        groups => format!("needs {}", Groups(&groups)),
    };
    match refusal {
        Refusal::Owner => format!("user {} is the owner, who is not granted {right}", permissions.owner),
        Refusal::NamedUser => format!("the entry or mask for the process's user does not grant {right}"),
        Refusal::Groups => format!("the process's groups are not granted {right}: {}", needed()),
        Refusal::Other | Refusal::NotExecutable => needed(),
        Refusal::GroupsUnknown => format!("the process's supplementary groups are not known: {}", needed()),
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Class::Owner(uid) => write!(f, "user {uid} (owner)"),
            Class::NamedUser(uid) => write!(f, "user {uid} (named user entry)"),
            Class::OwningGroup(gid) => write!(f, "group {gid} (owning group)"),
            Class::NamedGroup(gid) => write!(f, "group {gid} (named group entry)"),
            Class::Other => f.write_str("everybody (other)"),
            Class::Root => f.write_str("root"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::OwningGroup(gid) => write!(f, "group {gid} (owning group)"),
            Rule::NamedGroup(gid) => write!(f, "group {gid} (named group entry)"),
            Rule::OwnerWithOwningGroup { owner, group } => {
                write!(f, "user {owner} with group {group} (owner in the owning group)")
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NoGroup { needed } => write!(f, "needs {}", Groups(needed)),
            Reason::OwnerOnly { owner, group } => {
                write!(f, "no group is granted read, only user {owner} as a member of group {group}")
            }
            Reason::NoGroupMayRead => f.write_str("no group is granted read"),
            Reason::GroupsUnknown { needed } => {
                write!(f, "the process's supplementary groups are not known: needs {}", Groups(needed))
            }
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)?;
        if self.past { f.write_str(" (by the permissions that this version had)") } else { Ok(()) }
    }
}

/// `group 1001`, or `one of groups 1001, 1002 and 5 more`.
struct Groups<'a>(&'a [Gid]);

impl fmt::Display for Groups<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.len() == 1 { "group " } else { "one of groups " })?;
        for (at, gid) in self.0.iter().take(LISTED).enumerate() {
            write!(f, "{}{gid}", if at == 0 { "" } else { ", " })?;
        }
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::acl;
    use super::super::{Mode, Permissions};
    use super::*;

    fn entry(text: &str) -> Permissions {
        let mut permissions = Permissions::new(Uid(10), Gid(20), Mode::default());
        permissions.set_access_acl(acl(text));
        permissions
    }

    fn caller(uid: u32, supplementary: Option<&[Gid]>) -> Caller<'_> {
        Caller { uid: Uid(uid), gid: Gid(30), supplementary }
    }

    #[test]
    fn explanations_are_short_lines() {
        let says = |text: &str, uid, groups: Option<&[Gid]>, secret, read: &str, write: &str| {
            let lines = explain(&entry(text), &caller(uid, groups), secret).to_string();
            assert_eq!(lines, format!("read: {read}\nwrite: {write}\n"));
        };
        let named = "u::rw-,g::---,g:1001:r--,g:1002:rw-,m::rw-,o::---";
        let write = "no, the process's groups are not granted write: needs group 1002";
        says(named, 5, Some(&[Gid(1001)]), true, "yes, group 1001 (named group entry)", write);
        says(named, 5, Some(&[]), true, "no, needs one of groups 1001, 1002", "no, needs group 1002");
        says(named, 0, Some(&[]), true, "no, needs one of groups 1001, 1002", "yes, root");
        let read = "no, the process's supplementary groups are not known: needs one of groups 1001, 1002";
        says(named, 5, None, true, read, "no, the process's supplementary groups are not known: needs group 1002");
        let private = "u::rw-,g::---,o::---";
        let read = "yes, user 10 with group 20 (owner in the owning group)";
        says(private, 10, Some(&[Gid(20)]), true, read, "yes, user 10 (owner)");
        says(private, 10, Some(&[]), true, "no, needs group 20", "yes, user 10 (owner)");
        let read = "no, no group is granted read, only user 10 as a member of group 20";
        says(private, 5, Some(&[]), true, read, "no, no group is granted write");
        let write = "no, user 10 is the owner, who is not granted write";
        says("u::---,g::---,o::---", 10, Some(&[]), true, "no, no group is granted read", write);
        // The gate would let the owner's group in, but the kernel asks the owner class first.
        let read = "no, user 10 is the owner, who is not granted read";
        says("u::-w-,g::r--,o::---", 10, Some(&[Gid(20)]), true, read, "yes, user 10 (owner)");
        let write = "no, the entry or mask for the process's user does not grant write";
        let user = "u::rw-,u:5:r--,g::---,m::rw-,o::r--";
        says(user, 5, Some(&[]), false, "yes, user 5 (named user entry)", write);
        says("u::rw-,g::rw-,o::r--", 5, Some(&[]), false, "yes, everybody (other)", "no, needs group 20");
    }

    #[test]
    fn many_groups_are_not_all_listed() {
        let needed = (1..=11).map(Gid).collect();
        let denial = Denial { reason: Reason::NoGroup { needed }, past: true };
        let text = "needs one of groups 1, 2, 3, 4, 5, 6, 7, 8 and 3 more (by the permissions that this version had)";
        assert_eq!(denial.to_string(), text);
    }

    #[test]
    fn the_primary_group_alone_can_be_enough() {
        let permissions = entry("u::rw-,g::---,g:30:r--,m::r--,o::---");
        let grant = read(&permissions, &caller(5, None), NodeId(9)).unwrap();
        assert_eq!(grant.rule(), Some(Rule::NamedGroup(Gid(30))));
        let masked = entry("u::rw-,g::---,g:30:r--,m::-w-,o::---");
        assert!(read(&masked, &caller(5, None), NodeId(9)).is_err());
    }

    #[test]
    fn what_is_carried_is_nobodys() {
        let grant = carry(NodeId(9));
        assert_eq!((grant.node(), grant.purpose(), grant.rule()), (NodeId(9), Purpose::Carry, None));
    }
}
