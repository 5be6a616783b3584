//! What a list shows of each key: facts, permissions, and how a variable's value begins.
//!
//! Invariant: no secret is opened for it.
//!
//! It deliberately leaves out what may not be looked up: whoever lists keys may be let into fewer of them.

use std::fs::File;
use std::io::{self, Read};

use zeroize::Zeroizing;

use super::facts::Facts;
use super::spread::spread;
use super::value::{self, HEAD, Value};
use super::{Entry, Error, permissions};
use crate::access::Permissions;

/// A key that is there.
#[derive(Debug)]
pub struct Detail {
    /// The key.
    pub entry: Entry,
    /// Its version, times and length.
    pub facts: Facts,
    /// Who may do what.
    pub permissions: Permissions,
    /// What is shown of its value.
    pub shown: Shown,
}

/// What is shown of a value.
pub enum Shown {
    /// Bytes, and whether there are more.
    Bytes(Value, bool),
    /// The caller may not read it.
    Denied,
    /// Its time is over.
    Expired,
    /// It is a secret's.
    Secret,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Shown::Bytes(bytes, _) => write!(f, "{} bytes", bytes.len()),
            Shown::Denied => f.write_str("denied"),
            Shown::Expired => f.write_str("expired"),
            Shown::Secret => f.write_str("a secret"),
        }
    }
}

/// How much of a value is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// How it begins.
    Head,
    /// All of it.
    Whole,
}

impl Detail {
    /// Of a key.
    ///
    /// # Errors
    ///
    /// That it isn't there, or can't be looked up.
    pub fn of(entry: Entry, extent: Extent) -> Result<Detail, Error> {
        let facts = Facts::of(&entry)?;
        let permissions = permissions::read(&entry.path()).map_err(|error| Error::of(&entry, "look up", &error))?;
        let shown = match entry.is_secret() {
            true => Shown::Secret,
            false => shown(&entry, extent, facts.size)?,
        };
        Ok(Detail { entry, facts, permissions, shown })
    }
}

fn shown(entry: &Entry, extent: Extent, size: u64) -> Result<Shown, Error> {
    let bytes = match extent {
        Extent::Whole => value::read(entry).map(|bytes| Shown::Bytes(bytes, false)),
        Extent::Head => head(entry, size).map_err(|error| Error::of(entry, "read", &error)),
    };
    match bytes {
        Err(Error::Denied { .. }) => Ok(Shown::Denied),
        Err(Error::Expired(_)) => Ok(Shown::Expired),
        bytes => bytes,
    }
}

/// Reads how a value begins; `size` is how long it is said to be, which spares a look for its end.
fn head(entry: &Entry, size: u64) -> io::Result<Shown> {
    let mut bytes = Zeroizing::new(vec![0; HEAD + 1]);
    let mut file = File::open(entry.path())?;
    let mut length = 0;
    while length <= HEAD && (length == 0 || length as u64 != size) {
        match file.read(bytes.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length.min(HEAD));
    Ok(Shown::Bytes(bytes, length > HEAD))
}

/// One of many keys that were looked at.
#[derive(Debug)]
pub enum Looked {
    /// It is there.
    There(Box<Detail>),
    /// It isn't there by now.
    Gone,
    /// It is in a directory that the caller may list, and not search.
    Closed,
}

/// Many keys with how their values begin, in their order.
///
/// # Errors
///
/// That one can't be looked up for another reason than permission.
pub fn details(entries: Vec<Entry>) -> Result<Vec<Looked>, Error> {
    spread(&entries, |entry| match Detail::of(entry.clone(), Extent::Head) {
        Ok(detail) => Ok(Looked::There(Box::new(detail))),
        Err(Error::NotFound { .. } | Error::IsDirectory(_) | Error::BelowKey { .. }) => Ok(Looked::Gone),
        Err(Error::Denied { .. }) => Ok(Looked::Closed),
        Err(error) => Err(error),
    })
}
