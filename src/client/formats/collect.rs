//! Gathers what a file holds, and sorts out what can't be stored.
//!
//! Invariants: each key has one value, no key stands below another's value, each is valid. What isn't is a problem, and no
//! entry. No more is kept than [`MOST`]: what is kept of a short line takes many times its length.
//!
//! It deliberately knows no format.

use std::collections::BTreeMap;
use std::collections::btree_map;

use zeroize::Zeroizing;

use super::{Entry, Mapping, Parsed, Problem, ReadError, quoted};
use crate::key::KeyPath;

/// How deep objects may stand in each other in a file, and in keys that are written as objects.
pub(super) const DEEPEST: usize = 100;

/// So many keys, objects and problems a file may have: some times what one commit takes.
const MOST: usize = 100_000;

/// What was found so far.
pub(super) struct Collector<'m> {
    mapping: &'m Mapping,
    /// Values by their keys, with their place in the file's order.
    values: BTreeMap<KeyPath, (usize, Entry)>,
    /// Objects by their keys as text, and their lines.
    objects: BTreeMap<String, usize>,
    problems: Vec<Problem>,
    /// The line of the first that is too much.
    over: Option<usize>,
}

impl<'m> Collector<'m> {
    pub(super) fn new(mapping: &'m Mapping) -> Collector<'m> {
        Collector { mapping, values: BTreeMap::new(), objects: BTreeMap::new(), problems: Vec::new(), over: None }
    }

    /// Whether there is room for what stands on a line.
    fn has_room(&mut self, line: usize) -> bool {
        let has_room = self.values.len() + self.objects.len() + self.problems.len() < MOST;
        if !has_room {
            self.over.get_or_insert(line);
        }
        has_room
    }

    /// A value, under the names of the objects that it is in and its own.
    pub(super) fn value(&mut self, path: &[String], line: usize, value: Zeroizing<Vec<u8>>) {
        if !self.has_room(line) {
            return;
        }
        let text = self.mapping.read(&path.join("/"));
        let key = match KeyPath::parse(&text) {
            Ok(key) => key,
            Err(error) => return self.refused(text, line, error.to_string()),
        };
        let place = self.values.len();
        match self.values.entry(key) {
            btree_map::Entry::Vacant(free) => {
                let key = free.key().clone();
                free.insert((place, Entry { key, value, line }));
            }
            btree_map::Entry::Occupied(taken) => {
                let first = taken.get().1.line;
                self.refused(text, line, format!("it has a value already, on line {first}"));
            }
        }
    }

    /// An object that holds keys.
    pub(super) fn object(&mut self, path: &[String], line: usize) {
        if !self.has_room(line) {
            return;
        }
        let text = self.mapping.read(&path.join("/"));
        match self.objects.entry(text) {
            btree_map::Entry::Vacant(free) => drop(free.insert(line)),
            btree_map::Entry::Occupied(taken) => {
                let (text, first) = (taken.key().clone(), *taken.get());
                self.refused(text, line, format!("it begins a second time, after line {first}"));
            }
        }
    }

    /// A key that has no value which can be stored.
    pub(super) fn problem(&mut self, path: &[String], line: usize, why: &str) {
        if self.has_room(line) {
            self.refused(self.mapping.read(&path.join("/")), line, why.to_owned());
        }
    }

    fn refused(&mut self, key: String, line: usize, why: String) {
        self.problems.push(Problem { line, key, why });
    }

    /// All that was found, each in the order of the file.
    ///
    /// Fails where that was more than is kept.
    pub(super) fn finish(mut self) -> Result<Parsed, ReadError> {
        if let Some(line) = self.over {
            let why = "these are more than 100,000 keys: split the file".to_owned();
            return Err(ReadError { line, column: 1, why });
        }
        let within: Vec<_> =
            within_values(self.values.keys()).map(|(value, key)| (value.clone(), key.clone())).collect();
        for (above, key) in within {
            let first = self.values.get(&above).map_or(0, |(_, entry)| entry.line);
            if let Some((_, entry)) = self.values.remove(&key) {
                let above = quoted(&above.to_string());
                let why = format!("{above} has a value, on line {first}, so nothing can be below it");
                self.refused(key.to_string(), entry.line, why);
            }
        }
        let mut entries: Vec<_> = self.values.into_values().collect();
        entries.sort_by_key(|(place, _)| *place);
        self.problems.sort_by_key(|problem| problem.line);
        Ok(Parsed { entries: entries.into_iter().map(|(_, entry)| entry).collect(), problems: self.problems })
    }
}

/// The keys of an ordered list that stand below another one, each behind that.
pub(super) fn within_values<'k>(
    keys: impl Iterator<Item = &'k KeyPath>,
) -> impl Iterator<Item = (&'k KeyPath, &'k KeyPath)> {
    let mut value: Option<&KeyPath> = None;
    keys.filter_map(move |key| match value {
        // In order, all that is below a key comes right behind it.
        Some(above) if key.names().starts_with(above.names()) => Some((above, key)),
        _ => {
            value = Some(key);
            None
        }
    })
}
