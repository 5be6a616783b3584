//! Copying and moving a key, also to another environment.
//!
//! Invariants: a copy has the permissions that a new key there gets. A key that is moved within its tree stays the key that it
//! was, with its permissions and its history; one that is moved elsewhere is copied and removed in one commit.

use rustix::fs::{CWD, RenameFlags, XattrFlags, renameat_with, setxattr};

use super::put::{Condition, Directories, Put, put, stage_new};
use super::transaction::Transaction;
use super::value::read;
use super::{Entry, Error};
use crate::client::permissions::Change;

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

/// Gives a key another name in its tree.
fn rename(from: &Entry, to: &Entry) -> Result<(), Error> {
    if from.path().is_dir() {
        return Err(Error::IsDirectory(Box::new(from.clone())));
    }
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
