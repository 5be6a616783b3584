//! Names of users and groups, resolved through NSS for the edges: the mount's attributes and the commands. Between them
//! there are ids alone.
//!
//! It deliberately keeps nothing: each look asks anew, so that a change of the accounts is seen.

use nix::unistd::{Gid as NixGid, Group, Uid as NixUid, User};

use crate::id::{Gid, Uid};

/// The id of a group; `None` where no group has the name, or nobody can tell.
pub fn group_id(name: &str) -> Option<Gid> {
    Group::from_name(name).ok().flatten().map(|group| Gid(group.gid.as_raw()))
}

/// A group's name, or its number where it has none.
pub fn group_name(id: Gid) -> String {
    Group::from_gid(NixGid::from_raw(id.0)).ok().flatten().map_or_else(|| id.to_string(), |group| group.name)
}

/// A user's name, or its number where it has none.
pub fn user_name(id: Uid) -> String {
    User::from_uid(NixUid::from_raw(id.0)).ok().flatten().map_or_else(|| id.to_string(), |user| user.name)
}

/// The id of a user; `None` where no user has the name, or nobody can tell.
pub fn user_id(name: &str) -> Option<Uid> {
    User::from_name(name).ok().flatten().map(|user| Uid(user.uid.as_raw()))
}

/// The group that is this user's alone: its primary one, of the same name, with nobody else in it.
pub fn private_group(id: Uid) -> Option<Gid> {
    let user = User::from_uid(NixUid::from_raw(id.0)).ok().flatten()?;
    let group = Group::from_gid(user.gid).ok().flatten()?;
    let alone = group.name == user.name && group.mem.iter().all(|member| *member == user.name);
    alone.then_some(Gid(group.gid.as_raw()))
}
