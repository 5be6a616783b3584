//! The places of the history that the kernel knows.
//!
//! Invariants:
//! - A place is known here as long as the kernel may ask for it by its number, which comes from its path.
//! - The kernel keeps what it was told until it needs the memory. Once it knows more than [`KEPT`] places it is asked to forget those
//!   that nobody has looked at for longest, so that all of a long history takes a bounded share of the daemon's memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::id::{NodeId, Version};
use crate::key::Name;

/// Set in the numbers of places in the history.
pub(super) const PLACE_BIT: u64 = 1 << 62;

/// Of each of them the kernel asks anew whenever it is looked at, so that nothing is faster with more.
const KEPT: usize = 4096;

/// How many are to be forgotten for each that comes: some can't be, as long as they are open.
const AT_A_TIME: usize = 2;

/// A place in the history.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Place {
    /// An environment.
    Environment(NodeId),
    /// A directory or a key, below a tree's root; the root itself has no names.
    Path(NodeId, Vec<Name>),
    /// A version of a key.
    Version(NodeId, Vec<Name>, Version),
}

impl Place {
    pub(super) fn number(&self) -> u64 {
        match self {
            Place::Environment(id) => number(*id, &[], u64::MAX),
            Place::Path(root, names) => number(*root, names, 0),
            Place::Version(root, names, version) => number(*root, names, version.0),
        }
    }

    /// The number of the directory that it is in, and its name there. Environments and their trees are few, and stay.
    fn seat(&self) -> Option<(u64, String)> {
        match self {
            Place::Environment(_) => None,
            Place::Path(root, names) => {
                let (name, above) = names.split_last()?;
                Some((number(*root, above, 0), name.to_string()))
            }
            Place::Version(root, names, version) => Some((number(*root, names, 0), version.to_string())),
        }
    }
}

fn number(root: NodeId, names: &[Name], version: u64) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&root.0.to_be_bytes()).update(&version.to_be_bytes());
    for name in names {
        hasher.update(name.as_bytes()).update(b"/");
    }
    let mut number = [0; 8];
    for (place, byte) in number.iter_mut().zip(hasher.finalize().as_bytes()) {
        *place = *byte;
    }
    u64::from_be_bytes(number) & (PLACE_BIT - 1) | PLACE_BIT
}

struct Known {
    place: Place,
    /// How often the kernel was told of it.
    told: u64,
    /// When somebody looked at it last, of all looks.
    looked: u64,
}

struct Table {
    places: HashMap<u64, Known>,
    /// Those that can be forgotten, by when somebody looked at them last.
    order: BTreeMap<u64, u64>,
    looks: u64,
    kept: usize,
}

impl Table {
    fn look(&mut self, number: u64) -> Option<&mut Known> {
        let known = self.places.get_mut(&number)?;
        if let Some(number) = self.order.remove(&known.looked) {
            self.looks += 1;
            known.looked = self.looks;
            self.order.insert(self.looks, number);
        }
        Some(known)
    }
}

/// See the module.
pub(super) struct Places(Mutex<Table>);

impl Default for Places {
    fn default() -> Places {
        Places::keeping(KEPT)
    }
}

impl Places {
    fn keeping(kept: usize) -> Places {
        Places(Mutex::new(Table { places: HashMap::new(), order: BTreeMap::new(), looks: 0, kept }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number by which the kernel is told of a place, and the names that it is to forget for that, with the numbers of the
    /// directories that they are in.
    pub(super) fn tell(&self, place: &Place) -> (u64, Vec<(u64, String)>) {
        let number = place.number();
        let mut table = self.table();
        match table.look(number) {
            Some(known) => known.told += 1,
            None => {
                table.looks += 1;
                let looked = table.looks;
                if place.seat().is_some() {
                    table.order.insert(looked, number);
                }
                table.places.insert(number, Known { place: place.clone(), told: 1, looked });
            }
        }
        let mut surplus = Vec::new();
        while table.places.len() > table.kept && surplus.len() < AT_A_TIME {
            let Some((_, oldest)) = table.order.first_key_value().map(|(looked, number)| (*looked, *number)) else {
                break;
            };
            // It goes with the kernel's own word. Until then it is the last to be named again.
            surplus.extend(table.look(oldest).and_then(|known| known.place.seat()));
        }
        (number, surplus)
    }

    pub(super) fn get(&self, number: u64) -> Option<Place> {
        self.table().look(number).map(|known| known.place.clone())
    }

    /// The kernel was told of it less often by so much, or has forgotten as much.
    pub(super) fn forget(&self, number: u64, times: u64) {
        let mut table = self.table();
        let Some(known) = table.places.get_mut(&number) else { return };
        known.told = known.told.saturating_sub(times);
        if known.told == 0 {
            let looked = known.looked;
            table.places.remove(&number);
            table.order.remove(&looked);
        }
    }

    /// How many the kernel knows.
    pub(super) fn count(&self) -> usize {
        self.table().places.len()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn version(number: u64) -> Place {
        Place::Version(NodeId(7), vec![Name::try_from(OsStr::new("k")).unwrap()], Version(number))
    }

    fn named(surplus: Vec<(u64, String)>) -> Vec<String> {
        let key = Place::Path(NodeId(7), vec![Name::try_from(OsStr::new("k")).unwrap()]).number();
        assert!(surplus.iter().all(|(directory, _)| *directory == key));
        surplus.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn those_that_nobody_has_looked_at_for_longest_are_to_go() {
        let places = Places::keeping(4);
        assert_eq!(places.tell(&Place::Environment(NodeId(7))).1, []);
        for number in 1..=3 {
            assert_eq!(places.tell(&version(number)).1, []);
        }
        assert_eq!(places.get(version(1).number()), Some(version(1)));
        let (four, surplus) = places.tell(&version(4));
        assert_eq!((four, named(surplus)), (version(4).number(), vec!["2".into(), "3".into()]));
        // They are known until the kernel has forgotten them as often as it was told of them.
        assert_eq!(places.tell(&version(2)).0, version(2).number());
        assert_eq!(places.count(), 5);
        places.forget(version(2).number(), 1);
        assert_eq!(places.get(version(2).number()), Some(version(2)));
        places.forget(version(2).number(), 1);
        assert_eq!((places.get(version(2).number()), places.count()), (None, 4));
        places.forget(version(2).number(), 1);
        // Whoever stays although it was to go is not in the way of others.
        assert_eq!(named(places.tell(&version(5)).1).len(), AT_A_TIME);
        for number in 1..=5 {
            places.forget(version(number).number(), 3);
        }
        assert_eq!((places.count(), places.table().order.len()), (1, 0));
    }

    #[test]
    fn environments_and_trees_stay() {
        let places = Places::keeping(1);
        for id in 1..=20 {
            assert_eq!(places.tell(&Place::Environment(NodeId(id))).1, []);
            assert_eq!(places.tell(&Place::Path(NodeId(id), Vec::new())).1, []);
        }
        assert_eq!(places.count(), 40);
    }
}
