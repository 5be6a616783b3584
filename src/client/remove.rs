//! Removing a key.

use std::io;

use rustix::fs::{XattrFlags, setxattr};

use super::put::is_inherited;
use super::{Entry, Error};

/// The attribute by which those remove a key who may read and write it.
pub(super) const REMOVE: &str = "user.keyfs.remove";

/// Removes a key, by its directory or else as somebody who may edit it, and then the directories above it that are left
/// empty, as far as the caller may.
///
/// # Errors
///
/// That it isn't there, or that the caller may not.
pub fn remove(entry: &Entry) -> Result<(), Error> {
    let path = entry.path();
    match std::fs::remove_file(&path) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => {
            let edited = setxattr(&path, REMOVE, b"1", XattrFlags::empty());
            // Who may not edit it either is told what the first attempt lacked.
            edited.map_err(|second| match second {
                rustix::io::Errno::NOENT => Error::missing(entry),
                _ => Error::of(entry, "remove", &error),
            })?;
        }
        Err(error) if error.raw_os_error() == Some(libc::EISDIR) => {
            return Err(Error::IsDirectory(Box::new(entry.clone())));
        }
        outcome => outcome.map_err(|error: io::Error| Error::of(entry, "remove", &error))?,
    }
    clear(entry);
    Ok(())
}

/// Removes the directories above a key that are empty, as far as the caller may.
pub(super) fn clear(entry: &Entry) {
    for directory in entry.directories().iter().skip(1).rev() {
        if std::fs::remove_dir(directory).is_err() {
            break;
        }
    }
}

/// The same of those that are as new ones would be: nothing would bring back who is let into another.
pub(super) fn clear_inherited(entry: &Entry) {
    for pair in entry.directories().windows(2).rev() {
        let [above, directory] = pair else { continue };
        if !is_inherited(above, directory).unwrap_or(false) || std::fs::remove_dir(directory).is_err() {
            break;
        }
    }
}
