//! Listings: a directory's names, each at a place of its own.
//!
//! The kernel keeps a listing and gives it to whoever lists the directory next, and where it has to drop it in the middle, it asks
//! for the rest from the last place on. So places don't count names, which come and go: they come from the name.
//!
//! Invariant: a name has the same place in every listing, and a listing is in the order of places. So one that goes on in a
//! later listing misses none of the names that were there all the time, and shows none of them twice.
//!
//! It deliberately knows no names' order: who shows them sorts them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::FileType;

use super::inode::Inode;
use crate::id::NodeId;
use crate::tree::Error;

/// One name of a listing.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) inode: Inode,
    pub(super) kind: FileType,
}

impl Line {
    /// Where it stands: a number that the kernel gives back to go on behind it. Of 2^63 there is one for each name; that two in a
    /// directory had the same takes more names than anybody stores.
    pub(super) fn place(&self) -> u64 {
        const FIRST: u64 = 3;
        match self.name.as_str() {
            "." => 1,
            ".." => 2,
            name => {
                let hash = blake3::hash(name.as_bytes());
                let number = hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
                (number >> 1).max(FIRST)
            }
        }
    }
}

/// A listing's lines with their places, in that order.
pub(super) struct Lines(Vec<(u64, Line)>);

impl Lines {
    fn new(lines: Vec<Line>) -> Lines {
        let mut placed: Vec<_> = lines.into_iter().map(|line| (line.place(), line)).collect();
        placed.sort_unstable_by_key(|(place, _)| *place);
        Lines(placed)
    }

    /// What stands behind a place.
    pub(super) fn behind(&self, place: u64) -> &[(u64, Line)] {
        let start = self.0.partition_point(|(other, _)| *other <= place);
        self.0.get(start..).unwrap_or_default()
    }
}

/// Which directory stood above each one that was listed, as the kernel has it in the listing that it keeps.
#[derive(Default)]
pub(super) struct Above(Mutex<HashMap<NodeId, NodeId>>);

impl Above {
    pub(super) fn listed(&self, directory: NodeId, above: NodeId) {
        self.table().insert(directory, above);
    }

    /// Whether it was this one. The kernel keeps a listing also where its directory has moved.
    pub(super) fn is(&self, directory: NodeId, above: NodeId) -> bool {
        self.table().get(&directory) == Some(&above)
    }

    /// The kernel keeps nothing of this directory.
    pub(super) fn forget(&self, directory: NodeId) {
        self.table().remove(&directory);
    }

    fn table(&self) -> MutexGuard<'_, HashMap<NodeId, NodeId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open directory.
pub(super) struct Listing(Mutex<Option<Arc<Lines>>>);

impl Listing {
    pub(super) fn new() -> Listing {
        Listing(Mutex::new(None))
    }

    /// The lines, read with `load` where this is the start, or nothing was read yet.
    pub(super) fn lines(
        &self,
        behind: u64,
        load: impl FnOnce() -> Result<Vec<Line>, Error>,
    ) -> Result<Arc<Lines>, Error> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if behind > 0
            && let Some(lines) = &*lines
        {
            return Ok(Arc::clone(lines));
        }
        let loaded = Arc::new(Lines::new(load()?));
        *lines = Some(Arc::clone(&loaded));
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(names: &[&str]) -> Lines {
        let line =
            |name: &&str| Line { name: (*name).into(), inode: Inode::Node(NodeId(1)), kind: FileType::RegularFile };
        Lines::new(names.iter().map(line).collect())
    }

    #[test]
    fn a_listing_goes_on_in_a_later_one() {
        let names: Vec<String> = (0..100).map(|number| format!("key-{number}")).collect();
        let all: Vec<&str> = [".", ".."].into_iter().chain(names.iter().map(String::as_str)).collect();
        let before = lines(&all);
        // Every other name goes, and as many come.
        let new: Vec<String> = (0..50).map(|number| format!("new-{number}")).collect();
        let kept: Vec<&str> = all.iter().copied().step_by(2).collect();
        let after = lines(&[kept.as_slice(), &new.iter().map(String::as_str).collect::<Vec<_>>()].concat());
        for (shown, (place, _)) in before.0.iter().enumerate() {
            let first = before.0[..=shown].iter();
            let seen: Vec<&str> = first.chain(after.behind(*place)).map(|(_, line)| line.name.as_str()).collect();
            for name in &kept {
                assert_eq!(seen.iter().filter(|other| *other == name).count(), 1, "{name} after {shown}");
            }
        }
        assert!(before.behind(0).len() == 102 && before.behind(u64::MAX).is_empty());
        assert_eq!([&before.0[0].1.name, &before.0[1].1.name], [".", ".."]);
    }

    #[test]
    fn places_are_positive_for_the_kernel_and_never_others() {
        let place = |name: &str| lines(&[name]).0[0].0;
        // Somebody may go on behind them in another daemon's listing.
        assert_eq!(place("password"), 4_581_014_991_427_450_599);
        assert!((0..1000).all(|number| (3..=i64::MAX as u64).contains(&place(&number.to_string()))));
    }
}
