//! Where things are when nobody says: for root under `/var/lib` and `/etc`, otherwise in the XDG base directories
//! (<https://specifications.freedesktop.org/basedir-spec/>).

use std::env;
use std::path::{Path, PathBuf};

use keyfs::id::StoreId;
use keyfs::seal::Fingerprint;
use keyfs::seal::identity::Identities;

use crate::exit::Failure;

/// The name under which a systemd unit hands the identity over (`LoadCredential=keyfs.identity:…`).
const CREDENTIAL: &str = "keyfs.identity";

pub(crate) fn store() -> Result<PathBuf, Failure> {
    if is_root() {
        Ok("/var/lib/keyfs/store.redb".into())
    } else {
        Ok(xdg("XDG_DATA_HOME", ".local/share")?.join("keyfs/store.redb"))
    }
}

pub(crate) fn identity() -> Result<PathBuf, Failure> {
    let credential = env::var_os("CREDENTIALS_DIRECTORY").map(|directory| Path::new(&directory).join(CREDENTIAL));
    if let Some(credential) = credential.filter(|credential| credential.exists()) {
        return Ok(credential);
    }
    if is_root() {
        Ok("/etc/keyfs/identity".into())
    } else {
        Ok(xdg("XDG_CONFIG_HOME", ".config")?.join("keyfs/identity"))
    }
}

/// A file beside the store that has its name with another ending.
pub(crate) fn beside(store: &Path, ending: &str) -> PathBuf {
    store.with_extension(ending)
}

/// The fingerprint that a store's key must have: the one that was given, or else the one on record beside the identity.
pub(crate) fn fingerprint(
    given: Option<Fingerprint>,
    identities: &Identities,
    store: StoreId,
) -> Result<Fingerprint, Failure> {
    let missing = || {
        format!(
            "no fingerprint is on record for this store in {}; give the one that was noted at its creation with --fingerprint",
            identities.known_stores().display()
        )
    };
    let expected = given.map_or_else(|| identities.known(store), |given| Ok(Some(given)))?;
    expected.ok_or_else(|| Failure::new(4, missing()))
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn xdg(variable: &str, fallback: &str) -> Result<PathBuf, Failure> {
    // The specification has relative paths ignored.
    if let Some(path) = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute()) {
        return Ok(path);
    }
    match env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute()) {
        Some(home) => Ok(home.join(fallback)),
        None => Err(Failure::new(2, "HOME is not set; name the files with --store and --identity")),
    }
}
