//! What two environments have and don't have in common.
//!
//! Invariant: values are compared, and no part of one is kept.

use super::value::{read, without_newline};
use super::{Error, Scope, list};
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
