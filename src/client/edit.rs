//! Changing who may do what with a key.
//!
//! Invariant: a change is one attribute that is set, so one commit.

use std::io;
use std::path::Path;

use rustix::fs::{XattrFlags, setxattr};

use super::permissions::{ACL, Change, How, read};
use super::{Entry, Error};
use crate::access::Permissions;

/// What is tried, for messages.
pub(super) const CHANGING: &str = "change the permissions of";

/// The attribute by which those change group permissions who may read and write.
const GROUPS: &str = "user.keyfs.groups";

/// Changes the permissions of a key that is there.
///
/// # Errors
///
/// That it isn't there, or that the caller may not.
pub fn change(entry: &Entry, change: &Change, how: How) -> Result<(), Error> {
    let path = entry.path();
    let failed = |error: io::Error| Error::of(entry, CHANGING, &error);
    let before = permissions(entry)?;
    let after = change.apply(&before, how)?;
    write(&path, &before, &after).map_err(failed)
}

/// The permissions of a key.
///
/// # Errors
///
/// That it isn't there.
pub fn permissions(entry: &Entry) -> Result<Permissions, Error> {
    let path = entry.path();
    if path.is_dir() {
        return Err(Error::IsDirectory(Box::new(entry.clone())));
    }
    read(&path).map_err(|error| Error::of(entry, "look up", &error))
}

/// Sets the permissions: the owner by the list, as on any file system; others by the group permissions alone, where nothing
/// else is changed.
pub(super) fn write(path: &Path, before: &Permissions, after: &Permissions) -> io::Result<()> {
    match setxattr(path, ACL, &after.access_acl().to_xattr(), XattrFlags::empty()) {
        Err(rustix::io::Errno::PERM) if same_beside_groups(before, after) => {
            setxattr(path, GROUPS, text(after).as_bytes(), XattrFlags::empty())?;
            Ok(())
        }
        outcome => Ok(outcome?),
    }
}

fn same_beside_groups(before: &Permissions, after: &Permissions) -> bool {
    let (one, other) = (before.access_acl(), after.access_acl());
    let users = |permissions: &Permissions| {
        let acl = permissions.access_acl();
        acl.users().iter().map(|(user, _)| (*user, permissions.named_user(*user))).collect::<Vec<_>>()
    };
    one.user_obj() == other.user_obj() && one.other() == other.other() && users(before) == users(after)
}

/// All group permissions, by ids.
pub(super) fn text(permissions: &Permissions) -> String {
    let owning = std::iter::once((permissions.group, permissions.group_rights()));
    let named = permissions.named_groups();
    owning.chain(named).map(|(group, rights)| format!("{group}:{rights}")).collect::<Vec<_>>().join(",")
}
