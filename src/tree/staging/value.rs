//! What is staged of a value: nothing, a whole new one, or what is to stand behind the present one.
//!
//! Invariant: a secret's bytes are in locked memory alone.

use std::ops::{Deref, DerefMut};

use super::Error;
use crate::seal::memory::SecretBytes;

/// A value's bytes.
pub(super) enum Bytes {
    Plain(Vec<u8>),
    Secret(SecretBytes),
}

impl Bytes {
    pub(super) fn new(secret: bool) -> Bytes {
        if secret { Bytes::Secret(SecretBytes::new()) } else { Bytes::Plain(Vec::new()) }
    }

    /// Cuts off what lies past `length`, or adds zero bytes up to it.
    fn resize(&mut self, length: usize) -> Result<(), Error> {
        match self {
            Bytes::Plain(bytes) => bytes.resize(length, 0),
            Bytes::Secret(bytes) => bytes.resize(length)?,
        }
        Ok(())
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Plain(bytes) => bytes,
            Bytes::Secret(bytes) => bytes,
        }
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Bytes::Plain(bytes) => bytes,
            Bytes::Secret(bytes) => bytes,
        }
    }
}

/// See the module.
pub(super) enum Staging {
    /// Nothing: an entry that exists keeps its value, one that is new is empty.
    Kept,
    Whole(Bytes),
    Appended(Bytes),
}

const NOT_EMPTIED: Error = Error::Invalid("a staged key begins with nothing: empty it first, or append to it");

impl Staging {
    /// What is staged.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Staging::Kept => &[],
            Staging::Whole(bytes) | Staging::Appended(bytes) => bytes,
        }
    }

    /// How long that is, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.bytes().len() as u64
    }

    /// Begins with nothing, unless something is staged.
    pub(super) fn begin(&mut self, secret: bool) {
        if let Staging::Kept = self {
            *self = Staging::Whole(Bytes::new(secret));
        }
    }

    /// Puts `data` at an offset, or at the end. `exists` says whether there is a value that stays where nothing is staged: of that
    /// nothing is known here, so that parts of it can't be replaced.
    pub(super) fn write(&mut self, secret: bool, exists: bool, at: Option<u64>, data: &[u8]) -> Result<(), Error> {
        if let Staging::Kept = self {
            *self = match (exists, at) {
                (false, _) => Staging::Whole(Bytes::new(secret)),
                (true, None) => Staging::Appended(Bytes::new(secret)),
                (true, Some(_)) => return Err(NOT_EMPTIED),
            };
        }
        let bytes = match (self, at) {
            (Staging::Whole(bytes), _) | (Staging::Appended(bytes), None) => bytes,
            (Staging::Appended(_) | Staging::Kept, _) => return Err(NOT_EMPTIED),
        };
        let start = at.map_or(bytes.len(), |at| usize::try_from(at).unwrap_or(usize::MAX));
        let end = start.saturating_add(data.len());
        if end > bytes.len() {
            bytes.resize(end)?;
        }
        if let Some(place) = bytes.get_mut(start..end) {
            place.copy_from_slice(data);
        }
        Ok(())
    }

    /// Gives the value another length; what is added is zero.
    pub(super) fn resize(&mut self, secret: bool, exists: bool, length: u64) -> Result<(), Error> {
        match self {
            _ if length == 0 => *self = Staging::Whole(Bytes::new(secret)),
            Staging::Whole(bytes) => bytes.resize(usize::try_from(length).unwrap_or(usize::MAX))?,
            Staging::Kept if !exists => {
                let mut bytes = Bytes::new(secret);
                bytes.resize(usize::try_from(length).unwrap_or(usize::MAX))?;
                *self = Staging::Whole(bytes);
            }
            Staging::Kept | Staging::Appended(_) => return Err(NOT_EMPTIED),
        }
        Ok(())
    }
}
