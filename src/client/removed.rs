//! The keys that were removed, and of which versions are kept.
//!
//! It deliberately leaves out what couldn't come back as things are: a key whose name is a directory now, and those below a name
//! that is a key now.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::spread::spread;
use super::{Error, Scope, facts, list};
use crate::id::Uid;
use crate::key::Tree;

/// A key that was removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Removed {
    /// The key.
    pub key: String,
    /// Its last version.
    pub version: u64,
    /// When that was stored, RFC 3339, in whole seconds.
    pub modified: String,
    /// Who stored it.
    pub modified_by: Uid,
}

/// The keys that were removed, in the order of their bytes, as far as the caller may know of them.
///
/// # Errors
///
/// That `.keyfs` is out of reach, or that the tree or its history can't be listed.
pub fn removed(scope: &Scope, tree: Tree) -> Result<Vec<Removed>, Error> {
    let history = scope.control("the history", "history")?.join(tree.as_str());
    let present: HashSet<String> = list::keys(scope, tree, "")?.keys.into_iter().collect();
    let mut found = Vec::new();
    let mut level = vec![String::new()];
    while !level.is_empty() {
        let looked = spread(&level, |path| look(&history, path))?;
        level = Vec::new();
        for Place { removed, below } in looked {
            found.extend(removed);
            level.extend(below.into_iter().filter(|path| !present.contains(path)));
        }
    }
    // A key may have come back since its tree was listed, or be where the caller couldn't list it.
    let root = scope.tree(tree);
    found.retain(|one| root.join(&one.key).symlink_metadata().is_err_and(|error| is_absent(&error)));
    found.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    Ok(found)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR))
}

/// What the history has under a name: a key's versions, and further names.
#[derive(Default)]
struct Place {
    removed: Option<Removed>,
    below: Vec<String>,
}

/// Looks at one name; an empty one is the tree's root. What the caller may not look at is left out.
fn look(history: &Path, path: &str) -> Result<Place, Error> {
    let directory = history.join(path);
    match read(&directory, path) {
        Err(error) if is_absent(&error) || error.raw_os_error() == Some(libc::EACCES) => Ok(Place::default()),
        place => place.map_err(|error| Error::system("list", &directory, &error)),
    }
}

fn read(directory: &PathBuf, path: &str) -> io::Result<Place> {
    let (mut place, mut last) = (Place::default(), None);
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if entry.file_type()?.is_dir() {
            place.below.push(if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") });
        } else if let Ok(version) = name.parse::<u64>() {
            last = last.max(Some(version));
        }
    }
    let Some(version) = last else { return Ok(place) };
    let file = directory.join(version.to_string()).symlink_metadata()?;
    place.removed = Some(Removed {
        key: path.to_owned(),
        version,
        modified: facts::time(file.mtime()),
        modified_by: Uid(file.uid()),
    });
    Ok(place)
}
