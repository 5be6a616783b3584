//! Storing what a file holds: what that would change, and then all of it in one step.
//!
//! Invariants:
//! - What is stored is what was looked at: a key that somebody else has changed since is not overwritten, and then nothing is
//!   stored.
//! - Of a secret that is there nothing is read.
//!
//! It deliberately asks nobody: who calls shows the plan and decides.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::batch::{self, Item, Outcome, Progress, Step};
use super::facts::attribute;
use super::formats::{Entry as Line, Parsed, Plan, Present, Problem, plan};
use super::look::{Kind, kinds};
use super::permissions::Change;
use super::put::{Condition, VERSION};
use super::value::{Head, read};
use super::{Entry, Error, Scope};
use crate::key::{KeyPath, Tree};

/// What an import would do.
#[derive(Debug)]
pub struct Import {
    scope: Scope,
    tree: Tree,
    /// What becomes of each key.
    pub plan: Plan,
    versions: BTreeMap<KeyPath, u64>,
    heads: BTreeMap<KeyPath, Head>,
}

/// What a file holds, with each key below a directory, which may be empty.
pub fn below(directory: &str, parsed: Parsed) -> Parsed {
    let directory = directory.trim_end_matches('/');
    if directory.is_empty() {
        return parsed;
    }
    let mut problems: Vec<Problem> = parsed.problems;
    for problem in &mut problems {
        problem.key = format!("{directory}/{}", problem.key);
    }
    let mut entries = Vec::with_capacity(parsed.entries.len());
    for Line { key, value, line } in parsed.entries {
        let key = format!("{directory}/{key}");
        match KeyPath::parse(&key) {
            Ok(key) => entries.push(Line { key, value, line }),
            Err(error) => problems.push(Problem { line, key, why: error.to_string() }),
        }
    }
    Parsed { entries, problems }
}

/// What a file holds of keys whose text begins with one of these; all of it where there are none.
pub fn selected(prefixes: &[String], mut parsed: Parsed) -> Parsed {
    let begins = |key: &str| prefixes.is_empty() || prefixes.iter().any(|prefix| key.starts_with(prefix.as_str()));
    parsed.entries.retain(|entry| begins(&entry.key.to_string()));
    parsed.problems.retain(|problem| begins(&problem.key));
    parsed
}

impl Import {
    /// Compares what a file holds with what is there.
    ///
    /// # Errors
    ///
    /// That what is there can't be looked up.
    pub fn look(scope: &Scope, tree: Tree, parsed: Parsed) -> Result<Import, Error> {
        let mut kinds = kinds_of(scope, tree, &parsed)?;
        let (mut versions, mut heads) = (BTreeMap::new(), BTreeMap::new());
        let look_up = |key: &KeyPath| -> Result<Present, Error> {
            Ok(match kinds.remove(key).unwrap_or(Kind::Absent) {
                Kind::Absent => Present::Absent,
                Kind::BelowKey => Present::BelowValue,
                Kind::Directory => Present::Directory,
                Kind::Key => {
                    let entry = scope.entry(tree, &key.to_string())?;
                    // Before the value: what is stored between the two is noticed.
                    versions.insert(key.clone(), version(&entry)?);
                    match if tree == Tree::Secrets { None } else { value(&entry)? } {
                        Some(value) => {
                            heads.insert(key.clone(), Head::of(&value));
                            Present::Value(value)
                        }
                        None => Present::Unread,
                    }
                }
            })
        };
        let plan = plan(parsed, look_up)?;
        Ok(Import { scope: scope.clone(), tree, plan, versions, heads })
    }

    /// How the value begins that a key of the variables has now, where the caller may read it.
    pub fn head(&self, key: &KeyPath) -> Option<&Head> {
        self.heads.get(key)
    }

    /// The version that a key has now; 0 where it isn't there.
    pub fn version(&self, key: &KeyPath) -> u64 {
        self.versions.get(key).copied().unwrap_or_default()
    }

    /// How many keys are to be stored.
    pub fn stored(&self) -> usize {
        self.plan.stored().count()
    }

    /// Stores all of it. `change` says who else may use the keys that are new.
    ///
    /// # Errors
    ///
    /// As for [`batch::store`].
    pub fn store(&self, change: &Change, progress: Progress<'_>) -> Result<Outcome, Error> {
        let item = |line| self.item(line);
        let items = self.plan.stored().map(item).collect::<Result<Vec<_>, _>>()?;
        batch::store(&self.scope, &items, change, "an import", progress)
    }

    fn item<'l>(&self, line: &'l Line) -> Result<Item<'l>, Error> {
        let condition = self.versions.get(&line.key).map_or(Condition::Absent, |version| Condition::Version(*version));
        let entry = self.scope.entry(self.tree, &line.key.to_string())?;
        Ok(Item::new(entry, Step::Put(&line.value, condition)))
    }
}

/// What each key is.
fn kinds_of(scope: &Scope, tree: Tree, parsed: &Parsed) -> Result<BTreeMap<KeyPath, Kind>, Error> {
    let mut directories: BTreeMap<PathBuf, Vec<(KeyPath, Entry)>> = BTreeMap::new();
    for line in &parsed.entries {
        let entry = scope.entry(tree, &line.key.to_string())?;
        let mut directory = entry.path();
        directory.pop();
        directories.entry(directory).or_default().push((line.key.clone(), entry));
    }
    let mut all = BTreeMap::new();
    for (directory, keys) in directories {
        let entries: Vec<&Entry> = keys.iter().map(|(_, entry)| entry).collect();
        let found = kinds(&directory, &entries)?;
        all.extend(keys.into_iter().map(|(key, _)| key).zip(found));
    }
    Ok(all)
}

/// The version of a key that is there; 0 for one that isn't stored yet.
fn version(entry: &Entry) -> Result<u64, Error> {
    let version = attribute(&entry.path(), VERSION).map_err(|error| Error::of(entry, "look up", &error))?;
    Ok(version.and_then(|version| version.parse().ok()).unwrap_or(0))
}

/// A value, where it may be read.
fn value(entry: &Entry) -> Result<Option<super::value::Value>, Error> {
    match read(entry) {
        Ok(value) => Ok(Some(value)),
        Err(Error::Denied { .. } | Error::Expired(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::formats::{Format, Mapping, read};

    fn keys(parsed: &Parsed) -> Vec<String> {
        parsed.entries.iter().map(|entry| entry.key.to_string()).collect()
    }

    fn parsed() -> Parsed {
        read(Format::Json, br#"{"db": {"host": "a", "port": "1"}, "url": "x", "no": null}"#, &Mapping::default())
            .unwrap()
    }

    #[test]
    fn keys_go_below_a_directory() {
        let all = below("app/", parsed());
        assert_eq!(keys(&all), ["app/db/host", "app/db/port", "app/url"]);
        assert_eq!(all.problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), ["app/no"]);
        assert_eq!(keys(&below("", parsed())), ["db/host", "db/port", "url"]);
        let wrong = below("a//b", parsed());
        assert_eq!((wrong.entries.len(), wrong.problems.len()), (0, 4));
    }

    #[test]
    fn some_are_selected() {
        assert_eq!(keys(&selected(&["db/".into(), "u".into()], parsed())), ["db/host", "db/port", "url"]);
        let some = selected(&["db/h".into()], parsed());
        assert_eq!((keys(&some), some.problems.len()), (vec!["db/host".to_owned()], 0));
    }
}
