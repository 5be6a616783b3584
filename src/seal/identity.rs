//! The identity file that unlocks a store, and the list beside it of the stores that it is known to unlock.
//!
//! Invariants:
//! - A key file that others may read is not used.
//! - Neither a key nor a line of the file is shown in an error.
//! - An existing identity is never written to; the list beside it only ever gains lines.
//!
//! It deliberately takes age's native X25519 identities alone; the key slots in a store are age files, so further kinds
//! change nothing but this file.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret;
use thiserror::Error;
use zeroize::Zeroizing;

use super::Fingerprint;
use super::memory::SecretBytes;
use crate::id::StoreId;

/// No identity file is nearly as long: what is longer is not read.
const LONGEST_FILE: u64 = 64 << 10;

/// Why an identity file can't be used.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// There is none.
    #[error("{0}: no such identity file; name the right one with --identity, or make one with --create")]
    Missing(PathBuf),
    /// It can't be read or written.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] std::io::Error),
    /// Other users may read it.
    #[error("{0}: other users may read this identity (mode {1:04o}); run `chmod 600 {0}`")]
    Exposed(PathBuf, u32),
    /// A line is neither a comment nor an X25519 identity.
    #[error(
        "{0}: line {1} is not an age identity (`AGE-SECRET-KEY-1…`); SSH, passphrase and plugin keys are not supported yet"
    )]
    Line(PathBuf, usize),
    /// It holds no identity at all.
    #[error("{0}: holds no age identity")]
    Empty(PathBuf),
    /// The list of known stores has a line that is none.
    #[error("{0}: line {1} is not a store id and a fingerprint; correct it or take it out")]
    KnownLine(PathBuf, usize),
}

/// The keys of one identity file.
pub struct Identities {
    path: PathBuf,
    keys: Vec<age::x25519::Identity>,
}

impl Identities {
    /// Reads an identity file: lines of `AGE-SECRET-KEY-1…`, comments (`#`) and empty lines.
    pub fn read(path: &Path) -> Result<Identities, IdentityError> {
        let io = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => IdentityError::Missing(path.into()),
            _ => IdentityError::Io(path.into(), error),
        };
        let mut file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_file() && metadata.mode() & 0o077 != 0 {
            return Err(IdentityError::Exposed(path.into(), metadata.mode() & 0o7777));
        }
        // Read in place: a buffer that grows would leave pieces of the key behind.
        let memory = |error| IdentityError::Io(path.into(), std::io::Error::other(error));
        let mut text = SecretBytes::zeroed(LONGEST_FILE as usize).map_err(memory)?;
        let mut length = 0;
        while let Some(rest) = text.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match file.read(rest).map_err(io)? {
                0 => break,
                read => length += read,
            }
        }
        text.resize(length).map_err(memory)?;

        let mut keys = Vec::new();
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let key = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok());
            keys.push(key.ok_or_else(|| IdentityError::Line(path.into(), number + 1))?);
        }
        if keys.is_empty() {
            Err(IdentityError::Empty(path.into()))
        } else {
            Ok(Identities { path: path.into(), keys })
        }
    }

    /// Makes a new identity file with one new key, readable by its owner alone. An existing file is an error.
    pub fn create(path: &Path) -> Result<Identities, IdentityError> {
        let io = |error| IdentityError::Io(path.into(), error);
        let key = age::x25519::Identity::generate();
        let mut text = Zeroizing::new(String::with_capacity(256));
        text.push_str("# A keyfs identity: whoever has this file can read every secret of its stores.\n# public key: ");
        text.push_str(&key.to_public().to_string());
        text.push('\n');
        text.push_str(key.to_string().expose_secret());
        text.push('\n');
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        sync_directory(path).map_err(io)?;
        Ok(Identities { path: path.into(), keys: vec![key] })
    }

    /// The public half of each key.
    pub fn recipients(&self) -> Vec<age::x25519::Recipient> {
        self.keys.iter().map(age::x25519::Identity::to_public).collect()
    }

    pub(super) fn as_age(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.keys.iter().map(|key| key as &dyn age::Identity)
    }

    /// Where the list of known stores stands: the identity's path with `.stores` behind it.
    pub fn known_stores(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".stores");
        path.into()
    }

    /// The fingerprint that is on record for a store, if there is one.
    pub fn known(&self, store: StoreId) -> Result<Option<Fingerprint>, IdentityError> {
        let path = self.known_stores();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(IdentityError::Io(path, error)),
        };
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, fingerprint) = line
                .split_once(' ')
                .and_then(|(id, fingerprint)| Some((id, fingerprint.trim().parse::<Fingerprint>().ok()?)))
                .ok_or_else(|| IdentityError::KnownLine(path.clone(), number + 1))?;
            if id == store.to_string() {
                return Ok(Some(fingerprint));
            }
        }
        Ok(None)
    }

    /// Puts a store on record.
    pub fn remember(&self, store: StoreId, fingerprint: &Fingerprint) -> Result<(), IdentityError> {
        let path = self.known_stores();
        let io = |error| IdentityError::Io(path.clone(), error);
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(io)?;
        let new = file.metadata().map_err(io)?.len() == 0;
        let header = if new { "# store id, and the fingerprint that its store key must have\n" } else { "" };
        // One write, so that two stores made at once leave two whole lines.
        file.write_all(format!("{header}{store} {fingerprint}\n").as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(io)?;
        sync_directory(&path).map_err(io)
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identities({} in {})", self.keys.len(), self.path.display())
    }
}

/// A new file is there after a power loss only once its directory is on stable storage too.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_identity_is_read_back_and_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("identity");
        let made = Identities::create(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        let read = Identities::read(&path).unwrap();
        assert_eq!(read.recipients()[0].to_string(), made.recipients()[0].to_string());
        assert!(matches!(Identities::create(&path), Err(IdentityError::Io(..))));
        assert!(!format!("{read:?}").contains("AGE-SECRET"));
    }

    #[test]
    fn refusals_say_what_is_wrong_and_show_no_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("identity");
        assert!(matches!(Identities::read(&path), Err(IdentityError::Missing(_))));

        let write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            Identities::read(&path).unwrap_err().to_string()
        };
        assert!(write("# nothing\n\n").contains("holds no age identity"));
        let error = write("# one\nAGE-SECRET-KEY-1CANARY\n");
        assert!(error.contains("line 2") && !error.contains("CANARY"), "{error}");

        Identities::create(&directory.path().join("other")).unwrap();
        let other = directory.path().join("other");
        std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = Identities::read(&other).unwrap_err().to_string();
        assert!(error.contains("mode 0640") && error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn stores_are_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let identities = Identities::create(&directory.path().join("identity")).unwrap();
        let (one, two) = (StoreId([1; 16]), StoreId([2; 16]));
        assert_eq!(identities.known(one).unwrap(), None);
        identities.remember(one, &Fingerprint([3; 16])).unwrap();
        identities.remember(two, &Fingerprint([4; 16])).unwrap();
        assert_eq!(identities.known(one).unwrap(), Some(Fingerprint([3; 16])));
        assert_eq!(identities.known(two).unwrap(), Some(Fingerprint([4; 16])));
        std::fs::write(identities.known_stores(), "something else\n").unwrap();
        assert!(matches!(identities.known(one), Err(IdentityError::KnownLine(_, 1))));
        // What can't be read is not taken for a list without the store.
        std::fs::remove_file(identities.known_stores()).unwrap();
        std::fs::create_dir(identities.known_stores()).unwrap();
        assert!(matches!(identities.known(one), Err(IdentityError::Io(..))));
    }
}
