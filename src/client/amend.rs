//! Changing a few keys as somebody decided who had looked at them: value, permissions and expiry in one commit, also of keys
//! in several environments.
//!
//! Invariant: what was looked at is still so when it is stored, or nothing is. In a part of a mount, where there are no
//! transactions, one key is changed at a time, a version is the commit's own condition, and permissions are looked at right
//! before.

use std::ops::ControlFlow;

use super::batch::{self, Expires, Item, Step};
use super::permissions::{Change, How};
use super::put::{Condition, Put, STORING, change_in_turn, changed, current, put};
use super::remove::{clear_inherited, remove};
use super::{Entry, Error, edit};

/// Makes all of these changes, or none. `what` names the undertaking in an error.
///
/// # Errors
///
/// As for [`batch::store`].
pub fn amend(items: &[Item<'_>], what: &'static str) -> Result<(), Error> {
    let Some(first) = items.first() else { return Ok(()) };
    let scope = first.entry.scope();
    match (scope.transactions(what), items) {
        (Err(_), [item]) => alone(item)?,
        (Err(error), _) => return Err(error),
        (Ok(_), _) => {
            let mut on = |_| ControlFlow::Continue(());
            batch::store(scope, items, &Change::default(), what, &mut on)?;
        }
    }
    let removed = items.iter().filter(|item| matches!(item.step, Step::Remove(_)));
    removed.for_each(|item| clear_inherited(&item.entry));
    Ok(())
}

/// Without a transaction.
fn alone(item: &Item<'_>) -> Result<(), Error> {
    let Item { entry, step, terms } = item;
    let none = Change::default();
    match *step {
        Step::Put(value, condition) if item.is_new() => {
            let expires = if let Expires::At(time) = terms.expires { Some(time) } else { None };
            put(entry, &Put { value, change: terms.permissions.unwrap_or(&none), condition, expires })
        }
        Step::Put(value, _) => existing(item, Some(value)),
        Step::Keep(version) => {
            is_at(entry, version)?;
            existing(item, None)
        }
        Step::Remove(version) => {
            is_at(entry, version)?;
            remove(entry)
        }
    }
}

fn is_at(entry: &Entry, version: u64) -> Result<(), Error> {
    match current(entry) {
        None if entry.path().symlink_metadata().is_err() => Err(Error::missing(entry)),
        now if now.unwrap_or_default() == version => Ok(()),
        now => Err(changed(entry, version, now)),
    }
}

fn existing(item: &Item<'_>, value: Option<&[u8]>) -> Result<(), Error> {
    let Item { entry, terms, .. } = item;
    let before = edit::permissions(entry)?;
    if terms.seen.is_some_and(|seen| *seen != before) {
        return Err(Error::Meanwhile(Box::new(entry.clone())));
    }
    let version = if let Condition::Version(version) = item.condition() { Some(version) } else { None };
    let after = terms.permissions.map(|change| change.apply(&before, How::Replace)).transpose()?;
    match (after, value) {
        (Some(after), value) if after != before => change_in_turn(entry, value, version, (&before, &after))?,
        (_, Some(value)) => {
            let condition = item.condition();
            put(entry, &Put { value, change: &Change::default(), condition, expires: None })?;
        }
        (_, None) => {}
    }
    batch::expire(&entry.path(), terms.expires).map_err(|error| Error::of(entry, STORING, &error))
}
