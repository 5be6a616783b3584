//! What environments have and don't have in common.
//!
//! Invariant: values are compared, and no part of a secret's is kept.

use super::facts::Facts;
use super::spread::spread;
use super::value::{Value, read, without_newline};
use super::{Entry, Error, Scope, list, why};
use crate::key::Tree;

/// How a key differs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Difference {
    /// It is in the first environment alone.
    First,
    /// It is in the second environment alone.
    Second,
    /// It has other values in the two.
    Value,
    /// The caller may not read both.
    Unknown,
}

/// The keys that begin with a prefix and aren't the same in both, in the order of their bytes.
///
/// # Errors
///
/// That one can't be listed or read for another reason than permission.
pub fn compare(first: &Scope, second: &Scope, tree: Tree, prefix: &str) -> Result<Vec<(String, Difference)>, Error> {
    let (ours, theirs) = (list::keys(first, tree, prefix)?.keys, list::keys(second, tree, prefix)?.keys);
    let mut differences = Vec::new();
    let mut theirs = theirs.into_iter().peekable();
    for key in ours {
        while let Some(alone) = theirs.next_if(|other| *other < key) {
            differences.push((alone, Difference::Second));
        }
        if theirs.next_if(|other| *other == key).is_none() {
            differences.push((key, Difference::First));
        } else if let Some(difference) = values(first, second, tree, &key)? {
            differences.push((key, difference));
        }
    }
    differences.extend(theirs.map(|alone| (alone, Difference::Second)));
    Ok(differences)
}

/// Whether a key has other values in the two.
fn values(first: &Scope, second: &Scope, tree: Tree, key: &str) -> Result<Option<Difference>, Error> {
    let of = |scope: &Scope| match read(&scope.entry(tree, key)?) {
        Ok(value) => Ok(Some(value)),
        Err(Error::Denied { .. } | Error::Expired(_)) => Ok(None),
        Err(error) => Err(error),
    };
    Ok(match (of(first)?, of(second)?) {
        (Some(one), Some(other)) => (without_newline(&one) != without_newline(&other)).then_some(Difference::Value),
        _ => Some(Difference::Unknown),
    })
}

/// A key in several environments.
#[derive(Debug)]
pub struct Across {
    /// Whether its values differ where it is there; `None` where it is in fewer than two, where the caller may not read all of
    /// them, or where secrets weren't to be opened. A newline at the end makes no difference.
    pub differs: Option<bool>,
    /// What it is in each, in their order.
    pub cells: Vec<Cell>,
}

/// A key in one of several environments.
#[derive(Debug)]
pub enum Cell {
    /// It isn't there.
    Missing,
    /// A directory above it is closed to the caller.
    Closed,
    /// It is there; with a variable's value where that may be read.
    Present(Facts, Content),
}

/// What is known of a value.
pub enum Content {
    /// It is this.
    Value(Value),
    /// The caller may not read it.
    Denied,
    /// Its time is over.
    Expired,
    /// It is a secret's.
    Secret,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Content::Value(_) => "a value",
            Content::Denied => "denied",
            Content::Expired => "expired",
            Content::Secret => "a secret",
        })
    }
}

/// What each key is in several environments, as `shown` makes something of it while its values are there: those of one key for
/// each thread are held at a time. Whether secrets differ is found out by opening them, each a decision on record: without
/// `opened` none is.
///
/// # Errors
///
/// That one can't be looked at for another reason than permission.
pub fn across<T: Send>(
    scopes: &[Scope],
    tree: Tree,
    keys: &[String],
    opened: bool,
    shown: impl Fn(&str, Across) -> T + Sync,
) -> Result<Vec<T>, Error> {
    spread(keys, |key| {
        let entries = scopes.iter().map(|scope| scope.entry(tree, key)).collect::<Result<Vec<_>, _>>()?;
        let seen = entries.iter().map(|entry| see(entry, opened)).collect::<Result<Vec<_>, _>>()?;
        let differs = differs(&seen);
        let cells = seen.into_iter().map(Seen::into_cell).collect();
        Ok(shown(key, Across { differs, cells }))
    })
}

/// What is found in one environment; a secret's value is for the comparison alone.
enum Seen {
    Missing,
    Closed,
    Present { facts: Facts, content: Content, secret: Option<Value> },
}

fn see(entry: &Entry, opened: bool) -> Result<Seen, Error> {
    let facts = match Facts::of(entry) {
        Ok(facts) => facts,
        Err(Error::NotFound { .. } | Error::IsDirectory(_) | Error::BelowKey { .. }) => return Ok(Seen::Missing),
        Err(Error::Denied { .. }) => return Ok(Seen::Closed),
        Err(error) => return Err(error),
    };
    if entry.is_secret() && !opened {
        return unopened(entry, facts);
    }
    Ok(match (read(entry), entry.is_secret()) {
        (Ok(value), true) => Seen::Present { facts, content: Content::Secret, secret: Some(value) },
        (Ok(value), false) => Seen::Present { facts, content: Content::Value(value), secret: None },
        (Err(Error::Denied { .. } | Error::Expired(_)), true) => {
            Seen::Present { facts, content: Content::Secret, secret: None }
        }
        (Err(Error::Denied { .. }), false) => Seen::Present { facts, content: Content::Denied, secret: None },
        (Err(Error::Expired(_)), false) => Seen::Present { facts, content: Content::Expired, secret: None },
        (Err(Error::NotFound { .. }), _) => Seen::Missing,
        (Err(error), _) => return Err(error),
    })
}

/// A secret that isn't opened: what the mount says of it.
fn unopened(entry: &Entry, facts: Facts) -> Result<Seen, Error> {
    let content = match why::own(entry) {
        Ok(answers) if answers.read.allowed => Content::Secret,
        Ok(_) => Content::Denied,
        Err(Error::NotFound { .. }) => return Ok(Seen::Missing),
        Err(error) => return Err(error),
    };
    Ok(Seen::Present { facts, content, secret: None })
}

impl Seen {
    fn value(&self) -> Option<&[u8]> {
        match self {
            Seen::Present { secret: Some(value), .. } | Seen::Present { content: Content::Value(value), .. } => {
                Some(without_newline(value))
            }
            _ => None,
        }
    }

    fn into_cell(self) -> Cell {
        match self {
            Seen::Missing => Cell::Missing,
            Seen::Closed => Cell::Closed,
            Seen::Present { facts, content, .. } => Cell::Present(facts, content),
        }
    }
}

fn differs(seen: &[Seen]) -> Option<bool> {
    let present: Vec<_> = seen.iter().filter(|seen| !matches!(seen, Seen::Missing)).collect();
    let values = present.iter().map(|seen| seen.value()).collect::<Option<Vec<_>>>()?;
    let (first, others) = values.split_first().filter(|(_, others)| !others.is_empty())?;
    Some(others.iter().any(|other| other != first))
}
