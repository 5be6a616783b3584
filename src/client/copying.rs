//! Copying keys to another environment: what that would change, and then all of it in one step.
//!
//! Invariants: what is stored is what was looked at, on the very versions of the targets; a source is read at one version. No
//! more values are held than one commit takes. A secret goes from one to the other and nowhere else: whether two are the same is all that is kept of what is compared.

use std::ops::ControlFlow;

use super::batch::{self, Item, Step};
use super::permissions::Change;
use super::put::{Condition, current};
use super::room::Room;
use super::spread::spread;
use super::value::{Head, Value, read};
use super::{Entry, Error, Scope, why};
use crate::key::Tree;

/// What becomes of a key.
#[derive(Debug)]
pub struct Copy {
    /// The key.
    pub key: String,
    /// The versions of the source and of the target, 0 for what isn't there.
    pub versions: (u64, u64),
    /// What is to be done.
    pub deed: Deed,
    target: Entry,
}

/// What is done with a key.
pub enum Deed {
    /// It is new in the other environment.
    Add(Value),
    /// It gets another value there; how the one begins that it had is told where the caller may read it.
    Change(Option<Head>, Value),
    /// It has that value already.
    Same,
    /// It is there, and is to stay as it is.
    Keep,
    /// It can't be copied, for this reason.
    Refuse(String),
}

impl std::fmt::Debug for Deed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Deed::Add(_) => "add",
            Deed::Change(..) => "change",
            Deed::Same => "same",
            Deed::Keep => "keep",
            Deed::Refuse(_) => "refuse",
        })
    }
}

/// Looks at keys in both environments; `replace` has those that are there get the other value.
///
/// # Errors
///
/// That one can't be looked at for a reason that isn't its own, or that what would be stored is too much for one commit.
pub fn look(from: &Scope, to: &Scope, tree: Tree, keys: &[String], replace: bool) -> Result<Vec<Copy>, Error> {
    let what = format!("{} keys from {from} to {to}", keys.len());
    let room = Room::new("copy", what, "copy fewer at a time");
    spread(keys, |key| {
        let (source, target) = (from.entry(tree, key)?, to.entry(tree, key)?);
        let versions = (current(&source).unwrap_or_default(), current(&target).unwrap_or_default());
        let deed = deed(&source, &target, versions.0, replace)?;
        if let Deed::Add(value) | Deed::Change(_, value) = &deed {
            room.take(value)?;
        }
        Ok(Copy { key: key.clone(), versions, deed, target })
    })
}

fn deed(source: &Entry, target: &Entry, version: u64, replace: bool) -> Result<Deed, Error> {
    let value = match read(source) {
        Ok(value) => value,
        Err(error) => return refused(error),
    };
    if current(source).unwrap_or_default() != version {
        return Ok(Deed::Refuse("it is being changed just now".to_owned()));
    }
    match target.path().symlink_metadata() {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(Deed::Add(value)),
        Err(error) => return refused(Error::of(target, "look up", &error)),
        Ok(found) if found.is_dir() => return refused(Error::IsDirectory(Box::new(target.clone()))),
        Ok(_) if !replace => return Ok(Deed::Keep),
        Ok(_) => {}
    }
    let write = why::own(target)?.write;
    if !write.allowed {
        return Ok(Deed::Refuse(format!("you may not write {target}: {}", write.rule)));
    }
    match read(target) {
        Ok(there) if *there == *value => Ok(Deed::Same),
        Ok(there) => Ok(Deed::Change((!target.is_secret()).then(|| Head::of(&there)), value)),
        Err(Error::Denied { .. } | Error::Expired(_)) => Ok(Deed::Change(None, value)),
        Err(error) => refused(error),
    }
}

/// What is wrong with one key keeps no other from being copied.
fn refused(error: Error) -> Result<Deed, Error> {
    match error {
        Error::NotFound { .. }
        | Error::Denied { .. }
        | Error::Expired(_)
        | Error::IsDirectory(_)
        | Error::BelowKey { .. } => Ok(Deed::Refuse(error.to_string())),
        error => Err(error),
    }
}

impl Copy {
    fn item(&self) -> Option<Item<'_>> {
        let (value, condition) = match &self.deed {
            Deed::Add(value) => (value, Condition::Absent),
            Deed::Change(_, value) => (value, Condition::Version(self.versions.1)),
            Deed::Same | Deed::Keep | Deed::Refuse(_) => return None,
        };
        Some(Item::new(self.target.clone(), Step::Put(value, condition)))
    }
}

/// Stores what is to be added and changed, in one commit. Tells how many.
///
/// # Errors
///
/// As for [`batch::store`].
pub fn store(to: &Scope, copies: &[Copy]) -> Result<usize, Error> {
    let items: Vec<_> = copies.iter().filter_map(Copy::item).collect();
    if !items.is_empty() {
        let mut on = |_| ControlFlow::Continue(());
        batch::store(to, &items, &Change::default(), "copying several keys", &mut on)?;
    }
    Ok(items.len())
}
