//! Why a client's wish wasn't granted, in words for whoever typed it.
//!
//! Invariant: each is one line that names what it is about and what to do, and none holds a value.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Entry;
use super::denied;
use crate::access::edit::GroupsError;
use crate::key::NameError;

/// What went wrong.
#[derive(Debug, Error)]
pub enum Error {
    /// Nothing of keyfs is where it was looked for.
    #[error("no keyfs is mounted at {path}: `keyfs mount --create {path}` starts one; or set KEYFS_MOUNT to where it is", path = .0.display())]
    NoMount(PathBuf),
    /// The mount's daemon has ended.
    #[error("the daemon of the mount at {path} is gone: `keyfs mount` there starts it again", path = .0.display())]
    Dead(PathBuf),
    /// More than one mount, and nothing that says which.
    #[error("keyfs is mounted at {}: set KEYFS_MOUNT to one of them", Paths(.0))]
    Several(Vec<PathBuf>),
    /// The mount has no such environment.
    #[error("there is no environment {name} in {mount}, only {known}: `mkdir {mount}/{name}` adds it", mount = .mount.display())]
    NoEnvironment {
        /// What was asked for.
        name: String,
        /// What is there, in words.
        known: String,
        /// The mount.
        mount: PathBuf,
    },
    /// The mount shows one environment, and another one was asked for.
    #[error("{mount} shows the environment {shown} alone: leave {wanted} out, or set KEYFS_MOUNT to a mount that has it", mount = .mount.display())]
    OtherEnvironment {
        /// What was asked for.
        wanted: String,
        /// What is there.
        shown: String,
        /// The mount.
        mount: PathBuf,
    },
    /// A text that can't be an environment.
    #[error("'{}' is no environment: {reason}", Quoted(.name))]
    EnvironmentName {
        /// The text.
        name: String,
        /// Why not.
        reason: NameError,
    },
    /// A text that can't be a key.
    #[error("'{}' is no key: {reason}", Quoted(.key))]
    Key {
        /// The text.
        key: String,
        /// Why not.
        reason: NameError,
    },
    /// There is no such key.
    #[error("there is no {entry}{hint}")]
    NotFound {
        /// What was asked for.
        entry: Box<Entry>,
        /// What may have been meant instead, with a separator in front; or nothing.
        hint: String,
    },
    /// There is no such version.
    #[error("{entry} has no version {version}: it has {known}")]
    NoVersion {
        /// What was asked for.
        entry: Box<Entry>,
        /// The version.
        version: u64,
        /// What is there, in words.
        known: String,
    },
    /// The key is a directory of keys.
    #[error("{entry} is a directory of keys, not a key: `dt kv ls {key}/` lists them", entry = .0, key = Quoted(&.0.key()))]
    IsDirectory(Box<Entry>),
    /// What stands above the key is itself a key.
    #[error("{entry} can't be: {above} is a key, and what is a key has no keys below it")]
    BelowKey {
        /// What was asked for.
        entry: Box<Entry>,
        /// The key above.
        above: String,
    },
    /// The system or the daemon said no.
    #[error("not permitted to {doing} {entry}: {needs}")]
    Denied {
        /// What it was about.
        entry: Box<Entry>,
        /// What was tried, as in `read`.
        doing: &'static str,
        /// What it would have taken.
        needs: String,
    },
    /// A directory keeps the caller out before there is a key to speak of.
    #[error("{path} is closed to you: its owner may open it with chmod or setfacl", path = .0.display())]
    Closed(PathBuf),
    /// It was to be made, and is there.
    #[error("{0} exists already: nothing was stored")]
    Exists(Box<Entry>),
    /// It was to have a certain version, and has another.
    #[error("{entry} has changed: it is at version {now}, not {expected}; read it again and decide anew")]
    Changed {
        /// What it was about.
        entry: Box<Entry>,
        /// The version that was expected.
        expected: u64,
        /// The version that is there, in words.
        now: String,
    },
    /// Somebody else changed something else of it than its value, or made or removed it, at the same time.
    #[error("{0} was changed by somebody else meanwhile: look at it again and decide anew; nothing was stored")]
    Meanwhile(Box<Entry>),
    /// More than one step takes.
    #[error("can't {doing} {what}: {reason}")]
    TooMuch {
        /// What was to be done, as in `store`.
        doing: &'static str,
        /// With all of this.
        what: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// Its time is over.
    #[error("{0} has expired: store it anew, or remove user.keyfs.expires from it")]
    Expired(Box<Entry>),
    /// The value is longer than the mount allows.
    #[error("the value for {0} is longer than the mount allows, which `keyfs mount --value-limit` sets")]
    TooLarge(Box<Entry>),
    /// Permissions that can't be understood.
    #[error("{0}")]
    Permissions(String),
    /// What needs `.keyfs`, where that can't be reached.
    #[error("{mount} shows a part of a mount, in which .keyfs is out of reach, and {what} needs it: set KEYFS_MOUNT to the mount itself", mount = .mount.display())]
    NoControl {
        /// The mount.
        mount: PathBuf,
        /// What needs it.
        what: &'static str,
    },
    /// The system refused for a reason of its own.
    #[error("can't {doing} {what}: {reason}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// On what.
        what: String,
        /// The system's reason.
        reason: String,
    },
}

impl Error {
    /// The error of an operation on a key.
    pub fn of(entry: &Entry, doing: &'static str, error: &io::Error) -> Error {
        let boxed = || Box::new(entry.clone());
        match error.raw_os_error() {
            Some(libc::ENOENT) => Error::missing(entry),
            Some(libc::EACCES | libc::EPERM) => {
                Error::Denied { entry: boxed(), doing, needs: denied::needs(entry, doing) }
            }
            Some(libc::EISDIR) => Error::IsDirectory(boxed()),
            Some(libc::ENOTDIR) => Error::BelowKey { entry: boxed(), above: entry.key_above() },
            Some(libc::EEXIST) => Error::Exists(boxed()),
            Some(libc::EKEYEXPIRED) => Error::Expired(boxed()),
            Some(libc::EFBIG) => Error::TooLarge(boxed()),
            Some(libc::ENOTCONN) => Error::Dead(entry.scope().mount().to_owned()),
            _ => Error::System { doing, what: entry.to_string(), reason: reason(error) },
        }
    }

    /// The error of an operation on a file that is no key.
    pub fn system(doing: &'static str, path: &Path, error: &io::Error) -> Error {
        match error.raw_os_error() {
            Some(libc::ENOTCONN) => Error::Dead(path.to_owned()),
            Some(libc::EACCES | libc::EPERM) => Error::Closed(path.to_owned()),
            _ => Error::System { doing, what: path.display().to_string(), reason: reason(error) },
        }
    }

    /// That a key isn't there, with what may have been meant.
    pub fn missing(entry: &Entry) -> Error {
        let other = entry.in_other_tree();
        let hint = match other.path().symlink_metadata() {
            Ok(there) if there.is_file() => match entry.is_secret() {
                true => "; there is a variable of that name: leave -s out to reach it",
                false => "; there is a secret of that name: -s reaches it",
            },
            _ => "",
        };
        Error::NotFound { entry: Box::new(entry.clone()), hint: hint.to_owned() }
    }
}

impl From<GroupsError> for Error {
    fn from(error: GroupsError) -> Error {
        Error::Permissions(error.to_string())
    }
}

/// The system's words for an error, without its number.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// A text that somebody typed or stored, as a line can show it: control characters would be obeyed by a terminal.
pub struct Quoted<'t>(pub &'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| fmt::Write::write_char(f, if c.is_control() { '?' } else { c }))
    }
}

struct Paths<'p>(&'p [PathBuf]);

impl fmt::Display for Paths<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.0.iter().map(|path| path.display().to_string()).collect();
        f.write_str(&paths.join(" and at "))
    }
}
