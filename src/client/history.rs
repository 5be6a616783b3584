//! The versions of a key that are kept, also of one that was removed.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::value::{Value, read_file};
use super::{Entry, Error, facts};
use crate::clock::Timestamp;
use crate::id::Uid;
use crate::names;

/// One version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Past {
    /// Its number.
    pub version: u64,
    /// Its length in bytes.
    pub size: u64,
    /// When it was stored.
    pub stored: Timestamp,
    /// The same, RFC 3339, in whole seconds.
    pub modified: String,
    /// Who stored it.
    pub modified_by: String,
}

fn place(entry: &Entry) -> Result<PathBuf, Error> {
    Ok(entry.scope().control("the history", "history")?.join(entry.tree().as_str()).join(entry.key()))
}

/// The versions that are kept, the oldest first.
///
/// # Errors
///
/// That there never was such a key, or that the caller may not look.
pub fn versions(entry: &Entry) -> Result<Vec<Past>, Error> {
    let place = place(entry)?;
    let failed = |error: io::Error| Error::of(entry, "look up", &error);
    let mut versions = Vec::new();
    for file in std::fs::read_dir(&place).map_err(failed)? {
        let file = file.map_err(failed)?;
        let Some(version) = file.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A key of that name may be below a directory; a version is a file.
        let Ok(metadata) = file.metadata().and_then(|found| found.is_file().then_some(found).ok_or_else(not_one))
        else {
            continue;
        };
        versions.push(Past {
            version,
            size: metadata.len(),
            stored: metadata.modified().map_err(failed)?.into(),
            modified: facts::time(metadata.mtime()),
            modified_by: names::user_name(Uid(metadata.uid())),
        });
    }
    if versions.is_empty() {
        return Err(Error::missing(entry));
    }
    versions.sort_by_key(|past| past.version);
    Ok(versions)
}

fn not_one() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// The value of a version.
///
/// # Errors
///
/// That there is no such version, or that it may not be read.
pub fn read(entry: &Entry, version: u64) -> Result<Value, Error> {
    let path = place(entry)?.join(version.to_string());
    match read_file(&path) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            let kept: Vec<_> = versions(entry)?.iter().map(|past| past.version.to_string()).collect();
            Err(Error::NoVersion { entry: Box::new(entry.clone()), version, known: kept.join(", ") })
        }
        outcome => outcome.map_err(|error| Error::of(entry, "read", &error)),
    }
}

/// The present version, or of a key that was removed the last one.
///
/// # Errors
///
/// As for [`versions`].
pub fn last(entry: &Entry) -> Result<u64, Error> {
    Ok(versions(entry)?.last().map_or(0, |past| past.version))
}
