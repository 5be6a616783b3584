//! The keys that one call is about.
//!
//! Invariant: a call gets at them only by a word on what it does: it looks at so many at a time, or it does something with each,
//! and then none is named twice.

use std::collections::HashSet;

use serde::Deserialize;

use super::Failure;
use super::shapes::Versioned;
use crate::client::error::Quoted;

/// So many keys a call that looks at each is asked about at once.
const AT_ONCE: usize = 500;

/// See the module.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Several<T>(Vec<T>);

/// What a request says of a key.
pub(super) trait Keyed {
    /// Which key it is.
    fn key(&self) -> &str;
}

impl Keyed for String {
    fn key(&self) -> &str {
        self
    }
}

impl Keyed for Versioned {
    fn key(&self) -> &str {
        &self.key
    }
}

impl<T: Keyed> Several<T> {
    /// For a look at each, as often as it is named.
    pub(super) fn looked_at(self) -> Result<Vec<T>, Failure> {
        if self.0.len() > AT_ONCE {
            let message = format!("a request like this is about at most {AT_ONCE} keys at once");
            return Err(Failure::malformed(message));
        }
        Ok(self.0)
    }

    /// For something that is done with each.
    pub(super) fn each_once(self) -> Result<Vec<T>, Failure> {
        let mut known = HashSet::with_capacity(self.0.len());
        if let Some(twice) = self.0.iter().map(Keyed::key).find(|key| !known.insert(*key)) {
            let message = format!("'{}' is named twice: name each key once; nothing was done", Quoted(twice));
            return Err(Failure::invalid("key", message));
        }
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_named_twice_is_looked_at_and_not_changed() {
        let several = |keys: &[&str]| Several(keys.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(several(&["a", "b", "a/b"]).each_once().unwrap().len(), 3);
        let refused = several(&["a", "b\n", "b\n"]).each_once().unwrap_err();
        assert_eq!(refused.message(), "'b?' is named twice: name each key once; nothing was done");
        assert_eq!(several(&["a", "a"]).looked_at().unwrap().len(), 2);
        assert!(several(&["a"; AT_ONCE]).looked_at().is_ok() && several(&["a"; AT_ONCE + 1]).looked_at().is_err());
    }
}
