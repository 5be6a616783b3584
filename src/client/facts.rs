//! What the mount tells of a key without its value: version, times, who stored it.
//!
//! It deliberately needs no permission but to look the name up, as for any file's attributes.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Entry, Error};
use crate::clock::Timestamp;

/// What is known of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// The value's length in bytes.
    pub size: u64,
    /// The present version; `None` for a file that isn't stored yet.
    pub version: Option<u64>,
    /// When that was stored, RFC 3339.
    pub modified: String,
    /// Who stored it.
    pub modified_by: Option<String>,
    /// When it expires, RFC 3339.
    pub expires: Option<String>,
}

impl Facts {
    /// Of a key that is there.
    ///
    /// # Errors
    ///
    /// That it isn't there, or can't be looked up.
    pub fn of(entry: &Entry) -> Result<Facts, Error> {
        let path = entry.path();
        let failed = |error: io::Error| Error::of(entry, "look up", &error);
        let metadata = path.symlink_metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::IsDirectory(Box::new(entry.clone())));
        }
        let fact = |name: &str| attribute(&path, name).map_err(failed);
        Ok(Facts {
            size: metadata.len(),
            version: fact("system.keyfs.version")?.and_then(|text| text.parse().ok()),
            modified: time(metadata.mtime()),
            modified_by: fact("system.keyfs.modified_by")?,
            expires: fact("system.keyfs.expires")?,
        })
    }

    /// As people read it: `12 bytes, version 3, by alice at 2027-01-31T12:00:00Z`.
    pub fn summary(&self) -> String {
        let bytes = if self.size == 1 { "1 byte".to_owned() } else { format!("{} bytes", self.size) };
        let version = self.version.map_or_else(|| "not stored yet".to_owned(), |version| format!("version {version}"));
        let by = self.modified_by.as_ref().map(|name| format!(" by {name}")).unwrap_or_default();
        let expires = self.expires.as_ref().map(|time| format!(", expires {time}")).unwrap_or_default();
        format!("{bytes}, {version},{by} at {}{expires}", self.modified)
    }
}

/// A moment as text, to the second.
pub(super) fn time(seconds: i64) -> String {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let moment = if seconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    Timestamp::from(moment.unwrap_or(SystemTime::UNIX_EPOCH)).to_string()
}

/// An attribute as text; `None` where the file has none of this name.
///
/// # Errors
///
/// That the file can't be looked up.
pub fn attribute(path: &Path, name: &str) -> io::Result<Option<String>> {
    Ok(attribute_bytes(path, name)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// An attribute's bytes; `None` where the file has none of this name.
pub(super) fn attribute_bytes(path: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; 512];
    loop {
        match rustix::fs::getxattr(path, name, &mut bytes) {
            Ok(length) => {
                bytes.truncate(length);
                return Ok(Some(bytes));
            }
            Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => return Ok(None),
            // The longest that the kernel hands out is 64 KiB.
            Err(rustix::io::Errno::RANGE) if bytes.len() < 65_536 => bytes.resize(65_536, 0),
            Err(error) => return Err(error.into()),
        }
    }
}
