//! Which keys there are.
//!
//! Invariant: a name is looked at no further than the listing of its directory tells; what an entry is, is in there too.

use std::fs;
use std::io;
use std::path::Path;

use super::spread::spread;
use super::{Error, Scope};
use crate::key::{Name, Tree};

/// The keys that begin with a prefix, and what stood in the way of a full answer.
#[derive(Debug, Default)]
pub struct Listing {
    /// The keys in the order of their bytes.
    pub keys: Vec<String>,
    /// Directories that may not be listed, in the order of their bytes.
    pub closed: Vec<String>,
}

/// The keys of every depth whose text begins with `prefix`, also in the middle of a name.
///
/// # Errors
///
/// That the tree can't be listed.
pub fn keys(scope: &Scope, tree: Tree, prefix: &str) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    let (above, beginning) = prefix.rsplit_once('/').map_or(("", prefix), |(above, name)| (above, name));
    // What can't be a key begins none, and leads out of the tree.
    let deep = prefix.contains('/');
    if deep && above.split('/').any(|name| Name::parse(name.as_bytes()).is_err()) {
        return Ok(listing);
    }
    let root = scope.tree(tree);
    let start = if above.is_empty() { String::new() } else { format!("{above}/") };
    let mut waiting = Vec::new();
    let outcome = list(&root, &start, beginning, &mut listing.keys, &mut waiting);
    match outcome.as_ref().map_err(io::Error::raw_os_error) {
        Err(Some(libc::ENOENT | libc::ENOTDIR)) if !start.is_empty() => return Ok(listing),
        _ => note(outcome, &root, &start, &mut listing.closed)?,
    }
    while !waiting.is_empty() {
        let mut below = Vec::new();
        for found in spread(&waiting, |directory| Level::of(&root, directory))? {
            listing.keys.extend(found.keys);
            listing.closed.extend(found.closed);
            below.extend(found.directories);
        }
        waiting = below;
    }
    listing.keys.sort_unstable();
    listing.closed.sort_unstable();
    Ok(listing)
}

/// The keys and directories of one level whose text begins with `prefix`; directories end with a slash.
///
/// # Errors
///
/// That the directory can't be listed.
pub fn level(scope: &Scope, tree: Tree, prefix: &str) -> Result<Vec<String>, Error> {
    let (above, beginning) = prefix.rsplit_once('/').map_or(("", prefix), |(above, name)| (above, name));
    if prefix.contains('/') && above.split('/').any(|name| Name::parse(name.as_bytes()).is_err()) {
        return Ok(Vec::new());
    }
    let root = scope.tree(tree);
    let start = if above.is_empty() { String::new() } else { format!("{above}/") };
    let (mut names, mut directories) = (Vec::new(), Vec::new());
    let outcome = list(&root, &start, beginning, &mut names, &mut directories);
    outcome.map_err(|error| Error::system("list", &root.join(above), &error))?;
    names.append(&mut directories);
    names.sort_unstable();
    Ok(names)
}

/// What is in one directory.
struct Level {
    keys: Vec<String>,
    directories: Vec<String>,
    closed: Vec<String>,
}

impl Level {
    fn of(root: &Path, directory: &str) -> Result<Level, Error> {
        let (mut keys, mut directories, mut closed) = (Vec::new(), Vec::new(), Vec::new());
        let outcome = list(root, directory, "", &mut keys, &mut directories);
        note(outcome, root, directory, &mut closed)?;
        Ok(Level { keys, directories, closed })
    }
}

/// Adds the keys of one directory and the directories in it. `directory` is empty or ends with a slash.
fn list(
    root: &Path,
    directory: &str,
    beginning: &str,
    keys: &mut Vec<String>,
    waiting: &mut Vec<String>,
) -> io::Result<()> {
    for entry in fs::read_dir(root.join(directory))? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(beginning)) else { continue };
        let mut key = String::with_capacity(directory.len() + name.len() + 1);
        key.push_str(directory);
        key.push_str(name);
        if entry.file_type()?.is_dir() {
            key.push('/');
            waiting.push(key);
        } else {
            keys.push(key);
        }
    }
    Ok(())
}

/// A directory that is closed to the caller hides what is in it, one that has gone meanwhile has nothing; anything else is a
/// failure of the whole.
fn note(outcome: io::Result<()>, root: &Path, directory: &str, closed: &mut Vec<String>) -> Result<(), Error> {
    let Err(error) = outcome else { return Ok(()) };
    match error.raw_os_error() {
        Some(libc::EACCES) => closed.push(directory.to_owned()),
        Some(libc::ENOENT | libc::ENOTDIR) => {}
        _ => return Err(Error::system("list", &root.join(directory), &error)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::entry::Control;
    use super::*;

    #[test]
    fn a_prefix_is_text() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("variables");
        for key in ["app/db/host", "app/db/port", "app/dbx", "app-x", "b", "app.d/z"] {
            let path = root.join(key);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let scope = Scope::new(place.path().into(), place.path().into(), None, Control::Single);
        let all = |prefix| keys(&scope, Tree::Variables, prefix).unwrap().keys;
        assert_eq!(all(""), ["app-x", "app.d/z", "app/db/host", "app/db/port", "app/dbx", "b"]);
        assert_eq!(all("app"), ["app-x", "app.d/z", "app/db/host", "app/db/port", "app/dbx"]);
        assert_eq!(all("app/"), ["app/db/host", "app/db/port", "app/dbx"]);
        assert_eq!(all("app/db"), ["app/db/host", "app/db/port", "app/dbx"]);
        assert_eq!(all("app/db/p"), ["app/db/port"]);
        assert_eq!(all("b"), ["b"]);
        for none in ["nothing/below", "b/c", "../variables/b", "app//db", "/app", "x"] {
            assert!(all(none).is_empty(), "{none}");
        }
    }
}
