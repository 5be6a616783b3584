//! Keys as the rows of a list: what they can be narrowed down and ordered by, and the looks that this takes.
//!
//! Invariant: of each key only what is asked for is looked up; where that is its name, nothing is.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};

use super::facts::{attribute, time};
use super::filter::{Field, Kind, Known};
use super::permissions::{self, Words};
use super::spread::spread;
use super::{Error, Scope};
use crate::id::Uid;
use crate::key::Tree;
use crate::names;

/// What a list of keys can be narrowed down and ordered by.
pub const KNOWN: &[Known] = &[
    Known { name: "key", kind: Kind::Text },
    Known { name: "environment", kind: Kind::Text },
    Known { name: "version", kind: Kind::Number },
    Known { name: "size", kind: Kind::Number },
    Known { name: "modified", kind: Kind::Time },
    Known { name: "modified_by", kind: Kind::Text },
    Known { name: "expires", kind: Kind::Time },
    Known { name: "owner", kind: Kind::Text },
    Known { name: "groups", kind: Kind::List },
];

/// A key that is listed.
#[derive(Debug, Default)]
pub struct Row {
    /// Which of the environments that are listed it is in.
    pub environment: usize,
    /// The key.
    pub key: String,
    size: Option<u64>,
    modified: Option<String>,
    version: Option<u64>,
    modified_by: Option<String>,
    expires: Option<String>,
    owner: Option<String>,
    groups: Vec<String>,
}

impl Row {
    /// One of which nothing is known but its name.
    pub fn new(environment: usize, key: String) -> Row {
        Row { environment, key, ..Row::default() }
    }

    /// A field of it; `None` where it has none, or that wasn't looked up.
    pub fn field<'r>(&'r self, scopes: &[Scope], name: &str) -> Option<Field<'r>> {
        let number = |number: u64| Field::Number(i64::try_from(number).unwrap_or(i64::MAX));
        let text = |text: &'r Option<String>| Some(Field::Text(text.as_deref()?.into()));
        match name {
            "key" => Some(Field::Text(self.key.as_str().into())),
            "environment" => Some(Field::Text(scopes.get(self.environment)?.name()?.to_owned().into())),
            "version" => self.version.map(number),
            "size" => self.size.map(number),
            "modified" => Some(Field::Time(self.modified.as_deref()?.into())),
            "modified_by" => text(&self.modified_by),
            "expires" => Some(Field::Time(self.expires.as_deref()?.into())),
            "owner" => text(&self.owner),
            "groups" => Some(Field::List(self.groups.iter().map(|group| group.as_str().into()).collect())),
            _ => None,
        }
    }
}

/// Looks up these fields of each row. What has gone meanwhile, and what is in a directory that the caller may list and not
/// search, has none but its name.
///
/// # Errors
///
/// That one can't be looked up for another reason.
pub fn look_up(
    scopes: &[Scope],
    tree: Tree,
    rows: Vec<Row>,
    fields: &BTreeSet<&'static str>,
) -> Result<Vec<Row>, Error> {
    if fields.iter().all(|field| ["key", "environment"].contains(field)) {
        return Ok(rows);
    }
    let look = Look { scopes, tree, fields, owners: Mutex::default() };
    let found = spread(&rows, |row| match look.at(row) {
        Err(Error::NotFound { .. } | Error::BelowKey { .. } | Error::IsDirectory(_) | Error::Denied { .. }) => {
            Ok(Row::new(row.environment, String::new()))
        }
        found => found,
    })?;
    // The names go on with the rows; nobody copies them.
    Ok(rows.into_iter().zip(found).map(|(row, found)| Row { key: row.key, ..found }).collect())
}

struct Look<'l> {
    scopes: &'l [Scope],
    tree: Tree,
    fields: &'l BTreeSet<&'static str>,
    owners: Mutex<HashMap<Uid, String>>,
}

impl Look<'_> {
    fn wants(&self, fields: &[&str]) -> bool {
        fields.iter().any(|field| self.fields.contains(field))
    }

    fn at(&self, row: &Row) -> Result<Row, Error> {
        let mut found = Row::new(row.environment, String::new());
        let Some(scope) = self.scopes.get(row.environment) else { return Ok(found) };
        let entry = scope.entry(self.tree, &row.key)?;
        let path = entry.path();
        let failed = |error: std::io::Error| Error::of(&entry, "look up", &error);
        let fact = |name: &'static str| attribute(&path, &format!("system.keyfs.{name}")).map_err(failed);
        if self.wants(&["size", "modified", "owner"]) {
            let metadata = path.symlink_metadata().map_err(failed)?;
            if metadata.is_dir() {
                return Err(Error::IsDirectory(Box::new(entry)));
            }
            found.size = Some(metadata.len());
            found.modified = Some(time(metadata.mtime()));
            found.owner = self.wants(&["owner"]).then(|| self.owner(Uid(metadata.uid())));
        }
        if self.wants(&["version"]) {
            found.version = fact("version")?.and_then(|text| text.parse().ok());
        }
        if self.wants(&["modified_by"]) {
            found.modified_by = fact("modified_by")?;
        }
        if self.wants(&["expires"]) {
            found.expires = fact("expires")?;
        }
        if self.wants(&["groups"]) {
            let words = permissions::read(&path).map(|permissions| Words::of(&permissions)).map_err(failed)?;
            found.groups = words.groups.into_iter().map(|(group, _)| group).collect();
        }
        Ok(found)
    }

    fn owner(&self, id: Uid) -> String {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.entry(id).or_insert_with(|| names::user_name(id)).clone()
    }
}
