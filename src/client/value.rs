//! Reading a value whole.
//!
//! Invariant: a value is in one allocation that is overwritten when it goes; it isn't moved by growing.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::{Entry, Error, Mount, Wanted};
use crate::key::Tree;

/// The bytes of a value.
pub type Value = Zeroizing<Vec<u8>>;

/// So much of a value is kept for whoever shows how it begins, in bytes.
pub(super) const HEAD: usize = 1024;

/// How a value begins.
pub struct Head {
    /// These bytes.
    pub bytes: Value,
    /// Whether there are more.
    pub more: bool,
}

impl Head {
    /// Of a value.
    pub fn of(value: &[u8]) -> Head {
        let bytes = value.get(..HEAD).unwrap_or(value);
        Head { bytes: Zeroizing::new(bytes.to_vec()), more: bytes.len() < value.len() }
    }
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

/// How much is read at least at once: one look more than the size says tells that the end is reached.
const SPARE: usize = 1;

/// Reads everything that is left of a source whose size is guessed.
///
/// # Errors
///
/// What the source fails with.
pub fn read_all(source: &mut dyn Read, guess: usize) -> io::Result<Value> {
    go_on(source, Zeroizing::new(vec![0; guess + SPARE]), 0)
}

/// Reads what is left behind the bytes that are there.
fn go_on(source: &mut dyn Read, mut value: Value, mut length: usize) -> io::Result<Value> {
    loop {
        if length == value.len() {
            let mut larger = Zeroizing::new(vec![0; value.len() * 2]);
            larger.get_mut(..length).unwrap_or_default().copy_from_slice(&value);
            value = larger;
        }
        match source.read(value.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    value.truncate(length);
    Ok(value)
}

/// Reads a file.
pub(super) fn read_file(path: &Path) -> io::Result<Value> {
    let mut file = File::open(path)?;
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    let mut value = Zeroizing::new(vec![0; size + SPARE]);
    let length = match file.read(&mut value) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
        read => read?,
    };
    // All that there was said to be, and room was left: the mount has been asked for more already, and asking once more would take
    // as long as this did.
    if length == size && size > 0 {
        value.truncate(length);
        return Ok(value);
    }
    go_on(&mut file, value, length)
}

/// The value of a key.
///
/// # Errors
///
/// That there is none, or that it may not be read.
pub fn read(entry: &Entry) -> Result<Value, Error> {
    read_file(&entry.path()).map_err(|error| Error::of(entry, "read", &error))
}

/// The value of a key, with the fewest looks that it takes: the mount is taken to show all environments, and looked at
/// only if that leads nowhere. The entry is where it was found.
///
/// # Errors
///
/// As for [`read`] and [`Mount::scope`].
pub fn read_quickly(mount: &Mount, wanted: &Wanted, tree: Tree, key: &str) -> Result<(Entry, Value), Error> {
    let assumed = mount.assume(wanted).entry(tree, key)?;
    match read_file(&assumed.path()) {
        Ok(value) => Ok((assumed, value)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            let entry = mount.scope(wanted)?.entry(tree, key)?;
            let value = read(&entry)?;
            Ok((entry, value))
        }
        Err(error) => Err(Error::of(&assumed, "read", &error)),
    }
}

/// A value as commands show it: `echo` stores a newline that nobody means.
pub fn without_newline(value: &[u8]) -> &[u8] {
    value.strip_suffix(b"\n").unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_read_whatever_the_guess() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        for guess in [0, 1, 99_999, 100_000, 200_000] {
            assert_eq!(*read_all(&mut bytes.as_slice(), guess).unwrap(), bytes, "{guess}");
        }
        assert!(read_all(&mut [].as_slice(), 0).unwrap().is_empty());
    }

    #[test]
    fn one_newline_goes() {
        for (value, shown) in [("", ""), ("a", "a"), ("a\n", "a"), ("a\n\n", "a\n"), ("\n", ""), ("a\r\n", "a\r")] {
            assert_eq!(without_newline(value.as_bytes()), shown.as_bytes(), "{value:?}");
        }
    }
}
