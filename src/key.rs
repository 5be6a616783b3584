//! The names of things: environments, the two trees of each, and the components of a key.
//!
//! Invariants: a [`Name`] is UTF-8 of 1 to 255 bytes without `/` and NUL, and neither `.` nor `..`; an
//! [`Environment`] is a name that does not begin with a dot; a [`KeyPath`] has at least one name and at most
//! [`KeyPath::MAX_BYTES`] bytes. Each is parsed once and can't be invalid after that.
//!
//! It deliberately knows nothing of what stands under a name.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use thiserror::Error;

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum NameError {
    /// Nothing, `.` or `..`, or a `/` or NUL byte within.
    #[error("a name is neither empty nor `.` or `..`, and has no `/` and no NUL byte")]
    Invalid,
    /// More than 255 bytes in a component, or more than 4,095 in a key.
    #[error("a name has at most 255 bytes, and a key at most 4,095")]
    TooLong,
    /// Bytes that are no UTF-8.
    #[error("a name is UTF-8 text")]
    NotUtf8,
    /// A name that begins with a dot, where environments are named.
    #[error("names that begin with a dot are reserved beside the environments")]
    Reserved,
}

/// One component of a key.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(Box<str>);

impl Name {
    /// The longest name, in bytes, as on most file systems (`NAME_MAX`).
    pub const MAX_BYTES: usize = 255;

    /// Parses one component.
    pub fn parse(text: &[u8]) -> Result<Name, NameError> {
        if text.len() > Self::MAX_BYTES {
            return Err(NameError::TooLong);
        }
        if matches!(text, b"" | b"." | b"..") || text.iter().any(|&byte| byte == b'/' || byte == 0) {
            return Err(NameError::Invalid);
        }
        let text = std::str::from_utf8(text).map_err(|_| NameError::NotUtf8)?;
        Ok(Name(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as the store and the kernel have it.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl TryFrom<&OsStr> for Name {
    type Error = NameError;

    fn try_from(text: &OsStr) -> Result<Name, NameError> {
        Name::parse(text.as_bytes())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An environment's name, such as `prod`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Environment(Name);

impl Environment {
    /// The environments that a new store has.
    pub const DEFAULT: [&'static str; 3] = ["dev", "pre", "prod"];

    /// Takes a name for an environment's, if it may be one.
    pub fn new(name: Name) -> Result<Environment, NameError> {
        if name.as_str().starts_with('.') { Err(NameError::Reserved) } else { Ok(Environment(name)) }
    }

    /// Parses an environment's name.
    pub fn parse(text: &str) -> Result<Environment, NameError> {
        Environment::new(Name::parse(text.as_bytes())?)
    }

    /// The name as any other.
    pub fn name(&self) -> &Name {
        &self.0
    }
}

impl std::str::FromStr for Environment {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Environment, NameError> {
        Environment::parse(text)
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which of an environment's two trees.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Tree {
    /// Plain text.
    Variables,
    /// Encrypted at rest, behind the group gate.
    Secrets,
}

impl Tree {
    /// Both, in the order in which they are listed.
    pub const ALL: [Tree; 2] = [Tree::Secrets, Tree::Variables];

    /// The directory's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Tree::Variables => "variables",
            Tree::Secrets => "secrets",
        }
    }

    /// The tree of that directory name.
    pub fn parse(text: &str) -> Option<Tree> {
        Tree::ALL.into_iter().find(|tree| tree.as_str() == text)
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key: its names from the tree's root downwards, such as `db/password`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyPath(Vec<Name>);

impl KeyPath {
    /// The longest key, in bytes, slashes included (`PATH_MAX` less the terminating NUL).
    pub const MAX_BYTES: usize = 4095;

    /// Joins names to a key.
    pub fn new(names: Vec<Name>) -> Result<KeyPath, NameError> {
        if names.is_empty() {
            return Err(NameError::Invalid);
        }
        let bytes: usize = names.iter().map(|name| name.as_bytes().len() + 1).sum();
        if bytes - 1 > Self::MAX_BYTES { Err(NameError::TooLong) } else { Ok(KeyPath(names)) }
    }

    /// Parses a key as text.
    pub fn parse(text: &str) -> Result<KeyPath, NameError> {
        KeyPath::new(text.split('/').map(|name| Name::parse(name.as_bytes())).collect::<Result<_, _>>()?)
    }

    /// The names, from the tree's root downwards.
    pub fn names(&self) -> &[Name] {
        &self.0
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("/")?;
            }
            name.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_limits() {
        assert_eq!(Name::parse(b""), Err(NameError::Invalid));
        assert_eq!(Name::parse(b"."), Err(NameError::Invalid));
        assert_eq!(Name::parse(b".."), Err(NameError::Invalid));
        assert_eq!(Name::parse(b"a/b"), Err(NameError::Invalid));
        assert_eq!(Name::parse(b"a\0b"), Err(NameError::Invalid));
        assert_eq!(Name::parse(b"\xff"), Err(NameError::NotUtf8));
        assert_eq!(Name::parse(&[b'x'; 256]), Err(NameError::TooLong));
        assert!(Name::parse(&[b'x'; 255]).is_ok());
        assert!(Name::parse("...".as_bytes()).is_ok());
        assert!(Name::parse("ключ \n".as_bytes()).is_ok());
    }

    #[test]
    fn environments_do_not_begin_with_a_dot() {
        assert_eq!(Environment::parse(".keyfs"), Err(NameError::Reserved));
        assert_eq!(Environment::parse("prod").map(|environment| environment.to_string()), Ok("prod".into()));
    }

    #[test]
    fn keys_have_a_limit() {
        let name = "x".repeat(255);
        let fits = [name.as_str(); 15].join("/") + "/" + &"y".repeat(255);
        assert_eq!(fits.len(), KeyPath::MAX_BYTES);
        assert_eq!(KeyPath::parse(&fits).map(|key| key.to_string()), Ok(fits.clone()));
        assert_eq!(KeyPath::parse(&("z/".to_owned() + &fits)), Err(NameError::TooLong));
        assert_eq!(KeyPath::parse("a//b"), Err(NameError::Invalid));
    }
}
