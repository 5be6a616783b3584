//! Reading many keys for a file: those that begin with a prefix, each with its value.
//!
//! Invariant: nothing is left out in silence. What may not be listed or read ends it, or is told.

use super::room::Room;
use super::value::{Value, read};
use super::{Entry, Error, Scope, list};
use crate::key::{KeyPath, Tree};

/// Keys with their values, in the order of the keys.
#[derive(Default)]
pub struct Export {
    /// What was read.
    pub values: Vec<(KeyPath, Value)>,
    /// What was left out: keys that may not be read or have expired, and directories that may not be listed.
    pub left_out: Vec<String>,
}

/// What to do with more than is exported at a time.
const INSTEAD: &str = "export one directory at a time; `dt kv export` writes all of them";

/// Reads the keys that begin with one of these, or all where there are none. `readable` has those left out that may not be
/// read. `bounded` is for who answers others: it reads as much as one commit takes, and no more.
///
/// # Errors
///
/// That one can't be listed or read, or that they are too much.
pub fn export(scope: &Scope, tree: Tree, prefixes: &[String], readable: bool, bounded: bool) -> Result<Export, Error> {
    let all = [String::new()];
    let prefixes = if prefixes.is_empty() { &all } else { prefixes };
    let (mut keys, mut export) = (Vec::new(), Export::default());
    for prefix in prefixes {
        let listing = list::keys(scope, tree, prefix)?;
        if let Some(closed) = listing.closed.first().filter(|_| !readable) {
            return Err(Error::Closed(scope.tree(tree).join(closed)));
        }
        keys.extend(listing.keys);
        export.left_out.extend(listing.closed);
    }
    keys.sort_unstable();
    keys.dedup();
    let room = Room::new("export", format!("{} keys of {scope}", keys.len()), INSTEAD);
    for key in keys {
        let entry = scope.entry(tree, &key)?;
        match read(&entry) {
            Ok(value) => {
                if bounded {
                    room.take(&value)?;
                }
                export.values.push((parsed(&entry)?, value));
            }
            Err(Error::Denied { .. } | Error::Expired(_)) if readable => export.left_out.push(key),
            // It has gone since it was listed.
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    export.left_out.sort_unstable();
    export.left_out.dedup();
    Ok(export)
}

fn parsed(entry: &Entry) -> Result<KeyPath, Error> {
    let key = entry.key();
    KeyPath::parse(&key).map_err(|reason| Error::Key { key, reason })
}

/// The keys as they are called below a directory, which all of them are in; of an empty one, as they are.
///
/// # Errors
///
/// That one is elsewhere.
pub fn within(directory: &str, export: Export) -> Result<Export, Error> {
    let directory = directory.trim_end_matches('/');
    if directory.is_empty() {
        return Ok(export);
    }
    let mut values = Vec::with_capacity(export.values.len());
    for (key, value) in export.values {
        let text = key.to_string();
        let inner = text.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
        let inner = KeyPath::parse(inner).map_err(|reason| Error::Key { key: text.clone(), reason })?;
        values.push((inner, value));
    }
    Ok(Export { values, ..export })
}
