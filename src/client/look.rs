//! What stands under many names, with few looks: a directory of which several names are asked for is listed.
//!
//! It deliberately reads no value.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use super::{Entry, Error};

/// Of how many names on a directory is listed rather than each looked up: a listing takes longer, and the kernel keeps it.
const LISTED: usize = 16;

/// What a name stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Nothing.
    Absent,
    /// Nothing, and nothing can be: what stands above it is a key.
    BelowKey,
    /// A key.
    Key,
    /// A directory of keys.
    Directory,
}

/// What these keys of one directory are, in their order.
///
/// # Errors
///
/// That they can't be looked up.
pub(super) fn kinds(directory: &Path, keys: &[&Entry]) -> Result<Vec<Kind>, Error> {
    if keys.len() >= LISTED
        && let Ok(listed) = list(directory)
    {
        let kind = |entry: &&Entry| {
            let path = entry.path();
            let name = path.file_name().unwrap_or_default();
            listed.get(name).copied().unwrap_or(Kind::Absent)
        };
        return Ok(keys.iter().map(kind).collect());
    }
    keys.iter().map(|entry| kind(entry)).collect()
}

/// The names of a directory. What fails is to be found out anew, name by name: a directory that may be searched need not be
/// one that may be listed.
fn list(directory: &Path) -> io::Result<HashMap<std::ffi::OsString, Kind>> {
    let name = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name(), of(entry.file_type()?)))
    };
    fs::read_dir(directory)?.map(name).collect()
}

fn of(kind: fs::FileType) -> Kind {
    if kind.is_dir() { Kind::Directory } else { Kind::Key }
}

/// What one key is.
fn kind(entry: &Entry) -> Result<Kind, Error> {
    match entry.path().symlink_metadata() {
        Ok(found) => Ok(of(found.file_type())),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOENT) => Ok(Kind::Absent),
            Some(libc::ENOTDIR) => Ok(Kind::BelowKey),
            _ => Err(Error::of(entry, "look up", &error)),
        },
    }
}
