//! Copying and moving a key, or a directory with all that is in it, also to another environment.
//!
//! Invariants: all of a directory is copied or moved, or nothing. A copy has the permissions that a new key there gets. A key that is moved within its tree stays the key that it
//! was, with its permissions and its history; one that is moved elsewhere is copied and removed in one commit.

use rustix::fs::{CWD, RenameFlags, XattrFlags, renameat_with, setxattr};

use super::batch::{self, Item, Outcome, Progress, Step};
use super::look::{Kind, kinds};
use super::permissions::Change;
use super::put::current;
use super::put::{Condition, Directories, Put, put, stage_new};
use super::room::Room;
use super::transaction::Transaction;
use super::value::{Value, read};
use super::{Entry, Error, list};

/// Copies a key to a place where none is; or where `replace` says so, as a further version of the one that is there.
///
/// # Errors
///
/// As reading and storing.
pub fn copy(from: &Entry, to: &Entry, change: &Change, replace: bool) -> Result<(), Error> {
    let value = read(from)?;
    let condition = if replace { Condition::None } else { Condition::Absent };
    put(to, &Put { value: &value, change, condition, expires: None })
}

/// Moves a key to a place where none is.
///
/// # Errors
///
/// As reading, storing and removing; and that the two are in environments that share no mount.
pub fn relocate(from: &Entry, to: &Entry) -> Result<(), Error> {
    if from.scope() == to.scope() && from.tree() == to.tree() {
        return rename(from, to);
    }
    if to.path().symlink_metadata().is_ok() {
        return Err(Error::Exists(Box::new(to.clone())));
    }
    let value = read(from)?;
    let Some(mut transaction) = Transaction::begin(from.scope()) else {
        return Err(Error::NoControl { mount: from.scope().mount().to_owned(), what: "moving to another tree" });
    };
    let failed = |error: std::io::Error| Error::of(from, "remove", &error);
    let place = transaction.path(from);
    for directory in transaction.directories(from) {
        transaction.stage_directory(&directory).map_err(failed)?;
    }
    std::fs::File::create(&place).map_err(failed)?;
    setxattr(&place, "user.keyfs.remove", b"1", XattrFlags::empty()).map_err(|error| failed(error.into()))?;
    let change = Change::default();
    let put = Put { value: &value, change: &change, condition: Condition::Absent, expires: None };
    stage_new(transaction, to, &put).map_err(|failure| failure.about(to))?;
    super::remove::clear(from);
    Ok(())
}

/// Copies the keys of a directory to places where none are; or where `replace` says so, as further versions of those that are
/// there. Tells how many.
///
/// # Errors
///
/// As reading and [`batch::store`].
pub fn copy_all(
    from: &Entry,
    to: &Entry,
    change: &Change,
    replace: bool,
    progress: Progress<'_>,
) -> Result<(usize, Outcome), Error> {
    let keys = within(from, to)?;
    let mut items = Vec::with_capacity(keys.len());
    for (_, target, value) in &keys {
        items.push(Item::new(target.clone(), Step::Put(value, condition(target, replace)?)));
    }
    let outcome = batch::store(to.scope(), &items, change, "copying a directory", progress)?;
    Ok((keys.len(), outcome))
}

/// Moves a directory of keys to a place where none is. Within its tree it stays what it was; elsewhere its keys are new ones, and
/// their number is told.
///
/// # Errors
///
/// As reading, removing and [`batch::store`].
pub fn relocate_all(from: &Entry, to: &Entry, progress: Progress<'_>) -> Result<(Option<usize>, Outcome), Error> {
    if from.scope() == to.scope() && from.tree() == to.tree() {
        rename_any(from, to)?;
        return Ok((None, Outcome::Stored));
    }
    let keys = within(from, to)?;
    let mut items = Vec::with_capacity(2 * keys.len());
    for (source, target, value) in &keys {
        let version = current(source).unwrap_or_default();
        items.push(Item::new(source.clone(), Step::Remove(version)));
        items.push(Item::new(target.clone(), Step::Put(value, condition(target, false)?)));
    }
    let outcome = batch::store(to.scope(), &items, &Change::default(), "moving to another tree", progress)?;
    if outcome == Outcome::Stored {
        keys.iter().for_each(|(source, ..)| super::remove::clear(source));
    }
    Ok((Some(keys.len()), outcome))
}

/// The keys of a directory, where each is to be, and its value: of no more than one commit takes.
fn within(from: &Entry, to: &Entry) -> Result<Vec<(Entry, Entry, Value)>, Error> {
    let above = format!("{}/", from.key());
    let listing = list::keys(from.scope(), from.tree(), &above)?;
    if let Some(closed) = listing.closed.first() {
        return Err(Error::Closed(from.scope().tree(from.tree()).join(closed)));
    }
    let what = format!("{} keys in {}", listing.keys.len(), from.scope());
    let room = Room::new("copy", what, "copy one directory in there at a time");
    let pair = |key: String| {
        let source = from.scope().entry(from.tree(), &key)?;
        let inner = key.strip_prefix(&above).unwrap_or(&key);
        let target = to.scope().entry(to.tree(), &format!("{}/{inner}", to.key()))?;
        let value = read(&source)?;
        room.take(&value)?;
        Ok((source, target, value))
    };
    listing.keys.into_iter().map(pair).collect()
}

/// Under which a key is stored: it must not be there, or where it is replaced it must stay what it is until then.
fn condition(entry: &Entry, replace: bool) -> Result<Condition, Error> {
    let directory = entry.directories().pop().unwrap_or_default();
    match kinds(&directory, &[entry])?.first() {
        Some(Kind::Absent | Kind::BelowKey) | None => Ok(Condition::Absent),
        Some(Kind::Directory) => Err(Error::IsDirectory(Box::new(entry.clone()))),
        Some(Kind::Key) if replace => Ok(Condition::Version(current(entry).unwrap_or_default())),
        Some(Kind::Key) => Err(Error::Exists(Box::new(entry.clone()))),
    }
}

/// Gives a key another name in its tree.
fn rename(from: &Entry, to: &Entry) -> Result<(), Error> {
    if from.path().is_dir() {
        return Err(Error::IsDirectory(Box::new(from.clone())));
    }
    rename_any(from, to)
}

/// Gives a key, or a directory, another name in its tree.
fn rename_any(from: &Entry, to: &Entry) -> Result<(), Error> {
    if from.path().symlink_metadata().is_err() {
        return Err(Error::missing(from));
    }
    let made = Directories::make(to).map_err(|error| Error::of(to, "store", &error))?;
    renameat_with(CWD, from.path(), CWD, to.path(), RenameFlags::NOREPLACE).map_err(|error| match error {
        rustix::io::Errno::EXIST => Error::Exists(Box::new(to.clone())),
        _ => Error::of(from, "remove", &error.into()),
    })?;
    made.keep();
    super::remove::clear(from);
    Ok(())
}
