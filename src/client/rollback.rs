//! The keys of a directory as they were at a moment.
//!
//! Invariants: all of them go back, or none. A key that has another version by then is not taken back, nor any other. No more
//! values are held than one commit takes.
//!
//! It deliberately brings no removed key back: when a key was removed its history doesn't say.

use super::batch::{self, Item, Outcome, Progress, Step};
use super::permissions::Change;
use super::put::Condition;
use super::room::Room;
use super::value::Value;
use super::{Entry, Error, history, list};
use crate::clock::Timestamp;

/// What goes back.
#[derive(Debug, Default)]
pub struct Rollback {
    /// Keys with the version that they have, and the value that they had.
    changed: Vec<(Entry, u64, Value)>,
    /// Keys that were made since, with the version that they have.
    made: Vec<(Entry, u64)>,
}

impl Rollback {
    /// Looks at the keys below a directory.
    ///
    /// # Errors
    ///
    /// That there is no such directory, that one is closed, that a version may not be read, or that it is kept no longer; or that
    /// they are too much for one commit.
    pub fn look(directory: &Entry, at: Timestamp) -> Result<Rollback, Error> {
        let (scope, tree) = (directory.scope(), directory.tree());
        let listing = list::keys(scope, tree, &format!("{}/", directory.key()))?;
        if let Some(closed) = listing.closed.first() {
            return Err(Error::Closed(scope.tree(tree).join(closed)));
        }
        if listing.keys.is_empty() {
            return Err(Error::missing(directory));
        }
        let what = format!("{} keys in {scope}", listing.keys.len());
        let room = Room::new("take back", what, "do it for one directory in there at a time");
        let mut rollback = Rollback::default();
        for key in listing.keys {
            rollback.add(scope.entry(tree, &key)?, at, &room)?;
        }
        Ok(rollback)
    }

    fn add(&mut self, entry: Entry, at: Timestamp, room: &Room) -> Result<(), Error> {
        let versions = history::versions(&entry)?;
        let (Some(oldest), Some(present)) = (versions.first(), versions.last()) else { return Ok(()) };
        match versions.iter().rev().find(|past| past.stored <= at) {
            Some(then) if then.version == present.version => {}
            Some(then) => {
                let value = history::read(&entry, then.version)?;
                // It may have gone back already, by a later version.
                if history::read(&entry, present.version).is_ok_and(|now| *now == *value) {
                    return Ok(());
                }
                room.take(&value)?;
                self.changed.push((entry, present.version, value));
            }
            None if oldest.version == 1 => self.made.push((entry, present.version)),
            None => {
                let (known, version) = (oldest.version.to_string(), oldest.version - 1);
                return Err(Error::NoVersion { entry: Box::new(entry), version, known: format!("{known} and later") });
            }
        }
        Ok(())
    }

    /// How many keys get the value that they had.
    pub fn changed(&self) -> usize {
        self.changed.len()
    }

    /// How many keys were made since.
    pub fn made(&self) -> usize {
        self.made.len()
    }

    /// Stores the values that the keys had, as new versions, and with `remove` takes away those that were made since: in one
    /// commit.
    ///
    /// # Errors
    ///
    /// As [`batch::store`].
    pub fn store(&self, directory: &Entry, remove: bool, progress: Progress<'_>) -> Result<Outcome, Error> {
        let mut items = Vec::with_capacity(self.changed.len() + self.made.len());
        for (entry, present, value) in &self.changed {
            items.push(Item::new(entry.clone(), Step::Put(value, Condition::Version(*present))));
        }
        for (entry, present) in self.made.iter().filter(|_| remove) {
            items.push(Item::new(entry.clone(), Step::Remove(*present)));
        }
        if items.is_empty() {
            return Ok(Outcome::Stored);
        }
        batch::store(directory.scope(), &items, &Change::default(), "rolling back a directory", progress)
    }
}
