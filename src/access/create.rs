//! What permissions a new entry gets.
//!
//! Invariants: a new entry is its creator's, and never has more than was asked for; a new secret has nothing for other
//! and no named users, whatever its directory's default ACL says.
//!
//! It deliberately doesn't ask whether the caller may create anything there.

use super::{Caller, Kind, Mode, Permissions, Rights};

/// The permissions of a new entry, as Linux gives them on ext4 (acl(5), "OBJECT CREATION AND DEFAULT ACLs"; mkdir(2);
/// inode(7)).
///
/// - The owner is the caller; so is the group, but that a set-group-id directory gives its own, and gives
///   subdirectories the bit.
/// - With a default ACL in the parent, that is the new entry's ACL, less what `requested` doesn't have, and `umask`
///   doesn't count; subdirectories also get it as their default. Without one it is `requested` less `umask`.
/// - A directory takes no set-user-id or set-group-id bit from `requested`. A group-executable file loses set-group-id
///   where a set-group-id directory gives it a group that the caller, unless root, isn't known to be in.
/// - With `secret`, a file gets nothing for other and no named users; a directory is as any other.
pub fn new_entry(
    parent: &Permissions,
    caller: &Caller<'_>,
    requested: Mode,
    umask: Mode,
    kind: Kind,
    secret: bool,
) -> Permissions {
    let gives_group = parent.mode.contains(Mode::SETGID);
    let group = if gives_group { parent.group } else { caller.gid };
    let foreign = gives_group && !caller.root() && !caller.is_in(group);
    let mode = match kind {
        Kind::Directory if gives_group => requested.without(Mode::SETUID).with(Mode::SETGID),
        Kind::Directory => requested.without(Mode::SETUID).without(Mode::SETGID),
        Kind::File if foreign && requested.group().contains(Rights::EXECUTE) => requested.without(Mode::SETGID),
        Kind::File => requested,
    };

    let mut new = Permissions::new(caller.uid, group, mode);
    match &parent.default {
        Some(default) => new.set_access_acl(default.clone().inherited(mode)),
        None => new.mode = mode.without(umask),
    }
    match kind {
        Kind::Directory => new.default = parent.default.clone(),
        Kind::File if secret => new.set_access_acl(new.access_acl().for_secret()),
        Kind::File => {}
    }
    new
}
