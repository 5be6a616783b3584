//! Storing a value.
//!
//! Invariants:
//! - A new key appears whole, with its value and its permissions, and is its creator's alone until somebody is named.
//! - What fails leaves nothing behind: neither the file that was being made nor the directories made for it.
//! - Value and permissions change in one commit, by a transaction. Where there can be none, in a part of a mount, nobody reads
//!   the new value by the old permissions, nor the old one by the new.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{Mode, OFlags, RenameFlags, XattrFlags, fsetxattr, renameat_with, setxattr};

use super::permissions::{ACL, Change, How, common, read};
use super::spread::spread;
use super::transaction::Transaction;
use super::{Entry, Error, edit, facts};
use crate::access::Permissions;

/// What is tried, for messages.
pub(super) const STORING: &str = "store";

/// The attribute that makes a commit depend on the version that is there.
pub(super) const IF_VERSION: &str = "user.keyfs.if-version";
/// The attribute that has the present version.
pub(super) const VERSION: &str = "system.keyfs.version";
/// The attribute that ends a value's time.
pub(super) const EXPIRES: &str = "user.keyfs.expires";

/// How often somebody else may make or remove the very key at the same time before it is given up.
const ATTEMPTS: usize = 16;

/// What must be so for a value to be stored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Condition {
    /// Nothing.
    #[default]
    None,
    /// The key must not be there.
    Absent,
    /// The key must be at this version.
    Version(u64),
}

/// What is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    /// The value.
    pub value: &'a [u8],
    /// Who may read and write it beside the owner; nothing leaves those of a key that is there.
    pub change: &'a Change,
    /// When it is stored at all.
    pub condition: Condition,
    /// RFC 3339, when it expires.
    pub expires: Option<&'a str>,
}

/// Stores a value.
///
/// # Errors
///
/// That it may not be stored there, or that the condition doesn't hold.
pub fn put(entry: &Entry, put: &Put<'_>) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        let done = match put.condition {
            Condition::Version(version) if version > 0 => existing(entry, put, Some(version))?,
            Condition::None => match existing(entry, put, None) {
                Err(Error::NotFound { .. }) => new(entry, put)?,
                done => done?,
            },
            // Version 0 is that of what isn't there.
            Condition::Version(_) | Condition::Absent => match entry.path().symlink_metadata() {
                Ok(_) => return Err(Error::Exists(Box::new(entry.clone()))),
                Err(_) => new(entry, put)?,
            },
        };
        if done == Done::Stored {
            return Ok(());
        }
    }
    let reason = "others keep changing it; try again".to_owned();
    Err(Error::System { doing: STORING, what: entry.to_string(), reason })
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Done {
    Stored,
    /// Somebody else was quicker, and it is to be looked at anew.
    Again,
}

/// A further version of a key that is there.
fn existing(entry: &Entry, put: &Put<'_>, version: Option<u64>) -> Result<Done, Error> {
    if !put.change.is_empty() || put.expires.is_some() {
        return changing(entry, put, version);
    }
    let path = entry.path();
    let file = open(&path).map_err(|error| failed(entry, version, &error))?;
    commit(file, &path, put.value, version).map_err(|error| failed(entry, version, &error))?;
    Ok(Done::Stored)
}

/// Opens a key that is there; for this descriptor alone it is emptied, until that is closed.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// A further version with other permissions.
fn changing(entry: &Entry, put: &Put<'_>, version: Option<u64>) -> Result<Done, Error> {
    let path = entry.path();
    if !path.exists() {
        return Err(Error::missing(entry));
    }
    let before = edit::permissions(entry)?;
    let after = put.change.apply(&before, How::Set)?;
    if let Some(transaction) = Transaction::begin(entry.scope()) {
        match stage_change(transaction, entry, put, version, (&before, &after)) {
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {
                let now = current(entry);
                let unchanged = version.is_none_or(|version| now == Some(version));
                return if unchanged { Ok(Done::Again) } else { Err(changed(entry, version.unwrap_or_default(), now)) };
            }
            outcome => {
                return outcome.map(|()| Done::Stored).map_err(|error| failed(entry, version, &error));
            }
        }
    }
    change_in_turn(entry, Some(put.value), version, (&before, &after))?;
    expire(&path, put.expires).map_err(|error| Error::of(entry, STORING, &error))?;
    Ok(Done::Stored)
}

fn stage_change(
    mut transaction: Transaction,
    entry: &Entry,
    put: &Put<'_>,
    version: Option<u64>,
    (before, after): (&Permissions, &Permissions),
) -> io::Result<()> {
    let place = transaction.path(entry);
    stage_directories(&mut transaction, entry)?;
    // It is there already, so this doesn't make one but stands for it.
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(&place, flags, Mode::RUSR | Mode::WUSR)?);
    if after != before {
        edit::write(&place, before, after)?;
    }
    expire(&place, put.expires)?;
    commit(file, &place, put.value, version)?;
    transaction.commit()
}

/// Without a transaction: first less, then the value, then more.
pub(super) fn change_in_turn(
    entry: &Entry,
    value: Option<&[u8]>,
    version: Option<u64>,
    (before, after): (&Permissions, &Permissions),
) -> Result<(), Error> {
    let path = entry.path();
    let changed = |error: io::Error| Error::of(entry, edit::CHANGING, &error);
    edit::write(&path, before, &common(before, after)?).map_err(changed)?;
    let store = |value| open(&path).and_then(|file| commit(file, &path, value, version));
    let stored = value.map_or(Ok(()), store);
    let left = if stored.is_ok() { after } else { before };
    edit::write(&path, before, left).map_err(changed)?;
    stored.map_err(|error| failed(entry, version, &error))
}

fn expire(path: &Path, expires: Option<&str>) -> io::Result<()> {
    let Some(expires) = expires else { return Ok(()) };
    Ok(setxattr(path, EXPIRES, expires.as_bytes(), XattrFlags::empty())?)
}

fn failed(entry: &Entry, version: Option<u64>, error: &io::Error) -> Error {
    match (error.raw_os_error(), version) {
        (Some(libc::ESTALE), Some(expected)) => changed(entry, expected, current(entry)),
        _ => Error::of(entry, STORING, error),
    }
}

/// The present versions, in the order of the keys; `None` for one that isn't there, 0 for one that has no value yet.
///
/// # Errors
///
/// That one can't be looked up.
pub fn versions(entries: &[Entry]) -> Result<Vec<Option<u64>>, Error> {
    spread(entries, |entry| match facts::attribute(&entry.path(), VERSION) {
        Ok(version) => Ok(Some(version.and_then(|version| version.parse().ok()).unwrap_or_default())),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
        Err(error) => Err(Error::of(entry, "look up", &error)),
    })
}

/// The present version.
pub(super) fn current(entry: &Entry) -> Option<u64> {
    facts::attribute(&entry.path(), VERSION).ok()??.parse().ok()
}

pub(super) fn changed(entry: &Entry, expected: u64, now: Option<u64>) -> Error {
    let now = now.map_or_else(|| "another".to_owned(), |version| version.to_string());
    Error::Changed { entry: Box::new(entry.clone()), expected, now }
}

/// Writes the value and closes the file, which stores it.
fn commit(mut file: File, path: &Path, value: &[u8], version: Option<u64>) -> io::Result<()> {
    if let Some(version) = version {
        // By this very thread, whose descriptor it is about.
        setxattr(path, IF_VERSION, version.to_string().as_bytes(), XattrFlags::empty())?;
    }
    file.write_all(value)?;
    Ok(nix::unistd::close(file)?)
}

/// A new key: staged, or where that can't be, made under a name that nobody looks for and renamed once it is whole.
fn new(entry: &Entry, put: &Put<'_>) -> Result<Done, Error> {
    let made = match Transaction::begin(entry.scope()) {
        Some(transaction) => stage_new(transaction, entry, put),
        None => rename_new(entry, put),
    };
    match made {
        Ok(()) => Ok(Done::Stored),
        Err(Failure::Other(error)) => Err(error),
        Err(Failure::Io(error)) => match error.raw_os_error() {
            Some(libc::EEXIST | libc::ESTALE | libc::ECANCELED) => Ok(Done::Again),
            _ => Err(Error::of(entry, STORING, &error)),
        },
    }
}

pub(super) fn stage_new(mut transaction: Transaction, entry: &Entry, put: &Put<'_>) -> Result<(), Failure> {
    stage_directories(&mut transaction, entry)?;
    let place = transaction.path(entry);
    // It may stand for a key that somebody has made since: emptied, it is no part of that. (Linux empties nothing that is
    // made exclusively.)
    let unfinished = Unfinished::make(place.clone(), OFlags::TRUNC, put)?;
    // Somebody else may have made it since.
    setxattr(&place, IF_VERSION, b"0", XattrFlags::empty())?;
    transaction.commit()?;
    unfinished.keep();
    Ok(())
}

/// Stages the directories above a key, those that are missing as like those above them.
pub(super) fn stage_directories(transaction: &mut Transaction, entry: &Entry) -> io::Result<()> {
    let real = entry.directories();
    for (directory, (place, above)) in transaction.directories(entry).into_iter().zip(real.iter().skip(1).zip(&real)) {
        if transaction.has(&directory) {
            continue;
        }
        transaction.stage_directory(&directory).map_err(|error| match error.raw_os_error() {
            Some(libc::EEXIST) => io::Error::from_raw_os_error(libc::ENOTDIR),
            _ => error,
        })?;
        if place.is_dir() {
            continue;
        }
        // What stands for a directory that is there needn't look like it.
        let staged = directory.parent().unwrap_or(&directory);
        let model = if above.is_dir() { above } else { staged };
        inherit(model, &directory, real.first() == Some(above))?;
    }
    Ok(())
}

fn rename_new(entry: &Entry, put: &Put<'_>) -> Result<(), Failure> {
    let made = Directories::make(entry)?;
    let path = entry.path();
    let parent = path.parent().unwrap_or(&path);
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let unfinished =
        Unfinished::make(parent.join(format!(".dt-{}-{count}.new", std::process::id())), OFlags::EXCL, put)?;
    let here = rustix::fs::CWD;
    renameat_with(here, &unfinished.path, here, &path, RenameFlags::NOREPLACE)?;
    unfinished.keep();
    made.keep();
    Ok(())
}

pub(super) enum Failure {
    Io(io::Error),
    Other(Error),
}

impl Failure {
    /// What it is for whoever wanted that key stored.
    pub(super) fn about(self, entry: &Entry) -> Error {
        match self {
            Failure::Other(error) => error,
            Failure::Io(error) => match error.raw_os_error() {
                Some(libc::ECANCELED) => Error::of(entry, STORING, &io::Error::from_raw_os_error(libc::EAGAIN)),
                _ => Error::of(entry, STORING, &error),
            },
        }
    }
}

impl<E: Into<io::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Io(error.into())
    }
}

/// A file that is being made; it goes unless it is kept.
struct Unfinished {
    path: PathBuf,
    kept: bool,
}

impl Unfinished {
    /// Makes the file: the creator's alone from the first moment, then with the permissions that are asked for, all in the
    /// commit that stores the value.
    fn make(path: PathBuf, how: OFlags, put: &Put<'_>) -> Result<Unfinished, Failure> {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&path, flags | how, Mode::RUSR | Mode::WUSR)?);
        let unfinished = Unfinished { path, kept: false };
        let before = read(&unfinished.path)?;
        let after = put.change.apply(&before, How::Replace).map_err(Failure::Other)?;
        if after != before {
            fsetxattr(&file, ACL, &after.access_acl().to_xattr(), XattrFlags::empty())?;
        }
        if let Some(expires) = put.expires {
            fsetxattr(&file, EXPIRES, expires.as_bytes(), XattrFlags::empty())?;
        }
        commit(file, &unfinished.path, put.value, None)?;
        Ok(unfinished)
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The directories that were made for a key; they go unless they are kept.
pub(super) struct Directories(Vec<PathBuf>);

impl Directories {
    /// Makes those that are missing, each with the permissions of the one above it.
    pub(super) fn make(entry: &Entry) -> io::Result<Directories> {
        let mut made = Directories(Vec::new());
        let all = entry.directories();
        let present = all.iter().rposition(|directory| directory.is_dir()).unwrap_or(0);
        for pair in all.windows(2).skip(present) {
            let [above, directory] = pair else { continue };
            match std::fs::create_dir(directory) {
                Ok(()) => made.0.push(directory.clone()),
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) && directory.is_dir() => continue,
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                    return Err(io::Error::from_raw_os_error(libc::ENOTDIR));
                }
                Err(error) => return Err(error),
            }
            inherit(above, directory, all.first() == Some(above))?;
        }
        Ok(made)
    }

    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        for directory in self.0.iter().rev() {
            // Somebody else may have made use of it meanwhile.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

/// Gives a new directory the permissions of the one above it. A default list there is what the new one has got already.
/// What the daemon keeps by itself in a tree's root, that only those remove a key who may edit it, the sticky bit says
/// elsewhere.
fn inherit(above: &Path, directory: &Path, root: bool) -> io::Result<()> {
    if facts::attribute_bytes(above, "system.posix_acl_default")?.is_some() {
        return Ok(());
    }
    let (model, made) = (read(above)?, read(directory)?);
    let mut group = made.group;
    if group != model.group && std::os::unix::fs::chown(directory, None, Some(model.group.0)).is_ok() {
        group = model.group;
    }
    let after = Permissions { owner: made.owner, group, ..shifted(&model, group) };
    if after.acl.is_some() {
        setxattr(directory, ACL, &after.access_acl().to_xattr(), XattrFlags::empty())?;
    }
    let everybody = after.mode.other().contains(crate::access::Rights::WRITE);
    let sticky = if root && everybody { crate::access::Mode::STICKY } else { crate::access::Mode::default() };
    let mode = after.mode.with(sticky);
    if mode != made.mode {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(u32::from(mode.bits()));
        std::fs::set_permissions(directory, mode)?;
    }
    Ok(())
}

/// Whether a directory of the caller's is as one would be that is made in its place.
pub(super) fn is_inherited(above: &Path, directory: &Path) -> io::Result<bool> {
    if facts::attribute_bytes(directory, "system.posix_acl_default")?.is_some() {
        return Ok(false);
    }
    let (model, own) = (read(above)?, read(directory)?);
    let expected = shifted(&model, own.group);
    let is_ours = own.owner.0 == nix::unistd::geteuid().as_raw();
    let is_usual = own.group == model.group || own.group.0 == nix::unistd::getegid().as_raw();
    let differ = (own.mode.bits() ^ expected.mode.bits()) & 0o777 != 0;
    Ok(is_ours && is_usual && !differ && own.acl == expected.acl)
}

/// The permissions of `model` for an entry of another group: what its owning group has, it has by name.
fn shifted(model: &Permissions, group: crate::id::Gid) -> Permissions {
    if group == model.group {
        return model.clone();
    }
    let owning = format!("{}:{}", model.group, model.group_rights());
    let named = model.named_groups().filter(|(id, _)| *id != model.group);
    let named = named.map(|(id, rights)| format!(",{id}:{rights}"));
    let text: String = std::iter::once(owning).chain(named).collect();
    let moved = Permissions { group, ..model.clone() };
    let groups = crate::access::edit::parse_groups(&text, &|_| None);
    groups.ok().and_then(|groups| crate::access::edit::apply_groups(&moved, &groups).ok()).unwrap_or(moved)
}
