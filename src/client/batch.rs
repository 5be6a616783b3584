//! Many changes in one transaction: all of them are made, or none.
//!
//! Invariants:
//! - What doesn't fit into a transaction is refused before anything is staged.
//! - A condition holds for the commit, not for a moment before it: what somebody else changes meanwhile is not overwritten.
//! - Where it fails, or is called off, nothing has changed and nothing is left.
//!
//! It deliberately can't be done in a part of a mount, where there are no transactions: half of it would be worse than none.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, XattrFlags, fsetxattr, openat, removexattr, setxattr};

use super::look::{Kind, kinds};
use super::permissions::{ACL, Change, How, read};
use super::put::{Condition, EXPIRES, IF_VERSION, STORING, current, stage_directories};
use super::remove::REMOVE;
use super::transaction::{Transaction, too_many};
use super::{Entry, Error, Scope, edit};
use crate::access::Permissions;

/// So many names a transaction has at the most, directories included; as docs/semantics.md has it.
pub const NAMES: usize = 16_000;

/// So many bytes of values.
pub const BYTES: usize = 32 << 20;

/// How many threads stage: the mount answers several at a time, and waiting for it is most of the work.
const THREADS: usize = 4;

/// So many items a thread takes at a time.
const SHARE: usize = 32;

/// How often whoever looks on is told how far it is.
const TICK: Duration = Duration::from_millis(100);

/// One change.
#[derive(Clone, Debug)]
pub struct Item<'v> {
    /// Of which key.
    pub entry: Entry,
    /// What becomes of it.
    pub step: Step<'v>,
    /// And of what belongs to it.
    pub terms: Terms<'v>,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug)]
pub enum Step<'v> {
    /// It gets a value, if the condition holds; else nothing of all is stored.
    Put(&'v [u8], Condition),
    /// It keeps its value, which is to be of this version.
    Keep(u64),
    /// It goes, if it is at this version.
    Remove(u64),
}

/// What is stored beside a value. Nothing of it leaves what there is, and to a new key what all of them get.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'v> {
    /// Exactly these permissions; the owner stays.
    pub permissions: Option<&'v Change>,
    /// The permissions that a key that is there must have until then.
    pub seen: Option<&'v Permissions>,
    /// When it expires.
    pub expires: Expires<'v>,
}

/// When a value's time is over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Expires<'v> {
    /// When it was to be over before.
    #[default]
    Kept,
    /// Never.
    Never,
    /// At this moment, RFC 3339.
    At(&'v str),
}

impl<'v> Item<'v> {
    /// A change of a key that leaves all that belongs to it.
    pub fn new(entry: Entry, step: Step<'v>) -> Item<'v> {
        Item { entry, step, terms: Terms::default() }
    }
}

impl Item<'_> {
    fn value(&self) -> &[u8] {
        match self.step {
            Step::Put(value, _) => value,
            Step::Keep(_) | Step::Remove(_) => &[],
        }
    }

    pub(super) fn condition(&self) -> Condition {
        match self.step {
            Step::Put(_, condition) => condition,
            Step::Keep(version) | Step::Remove(version) => Condition::Version(version),
        }
    }

    /// What is tried, for messages.
    fn doing(&self) -> &'static str {
        match self.step {
            Step::Put(..) | Step::Keep(_) => STORING,
            Step::Remove(_) => "remove",
        }
    }

    pub(super) fn is_new(&self) -> bool {
        matches!(self.step, Step::Put(_, Condition::Absent | Condition::Version(0)))
    }
}

/// Is told now and then how many items are staged, and may call it off.
pub type Progress<'p> = &'p mut dyn FnMut(usize) -> ControlFlow<()>;

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// All of it is stored.
    Stored,
    /// It was called off, and nothing is stored.
    CalledOff,
}

/// Stores all of it, in one commit. `change` says who else may use the keys that are new; those that are there keep what
/// they have. All items are of one mount; `what` names the undertaking in an error.
///
/// # Errors
///
/// That it is too much for one transaction, that one of them may not be stored, or that a condition doesn't hold.
pub fn store(
    scope: &Scope,
    items: &[Item<'_>],
    change: &Change,
    what: &'static str,
    progress: Progress<'_>,
) -> Result<Outcome, Error> {
    let groups = by_directory(items);
    within_limits(scope, items, &groups)?;
    let mut transaction = Transaction::begin_for(scope, what)?;
    for group in groups.values() {
        let Some(first) = group.first() else { continue };
        stage_directories(&mut transaction, &first.entry).map_err(|error| staging(first, &error))?;
    }
    let order: Vec<&Item<'_>> = groups.values().flatten().copied().collect();
    if stage_files(&transaction, &order, change, progress)?.is_break() {
        return Ok(Outcome::CalledOff);
    }
    still_absent(&groups)?;
    match transaction.try_commit() {
        Ok(()) => Ok(Outcome::Stored),
        Err((transaction, error)) => Err(refused(&transaction, items, &error)),
    }
}

/// The items by the directory that they are in, those above before those below.
fn by_directory<'i, 'v>(items: &'i [Item<'v>]) -> BTreeMap<PathBuf, Vec<&'i Item<'v>>> {
    let mut groups: BTreeMap<PathBuf, Vec<&Item<'_>>> = BTreeMap::new();
    for item in items {
        let mut path = item.entry.path();
        path.pop();
        groups.entry(path).or_default().push(item);
    }
    groups
}

fn within_limits(scope: &Scope, items: &[Item<'_>], groups: &BTreeMap<PathBuf, Vec<&Item<'_>>>) -> Result<(), Error> {
    let mut directories: Vec<PathBuf> = Vec::new();
    for group in groups.values() {
        directories.extend(group.first().into_iter().flat_map(|item| item.entry.directories().into_iter().skip(1)));
    }
    directories.sort_unstable();
    directories.dedup();
    let names = items.len() + directories.len();
    let bytes: usize = items.iter().map(|item| item.value().len()).sum();
    let reason = if names > NAMES {
        format!("with their directories they are {names} names, and one commit takes at most 16,000")
    } else if bytes > BYTES {
        format!("their values are {bytes} bytes, and one commit takes at most 32 MiB")
    } else {
        return Ok(());
    };
    let (what, reason) = (format!("{} keys in {scope}", items.len()), format!("{reason}: store them in several parts"));
    Err(Error::TooMuch { doing: STORING, what, reason })
}

/// Stages all files, by a few threads. The calling thread says how far they are.
fn stage_files(
    transaction: &Transaction,
    items: &[&Item<'_>],
    change: &Change,
    progress: Progress<'_>,
) -> Result<ControlFlow<()>, Error> {
    let work = Work {
        transaction,
        items,
        change,
        next: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        lists: Mutex::default(),
        failed: OnceLock::new(),
    };
    let threads = THREADS.min(items.len().div_ceil(SHARE));
    let called_off = std::thread::scope(|scope| {
        let (ended, end) = mpsc::channel::<()>();
        for _ in 0..threads {
            let (work, ended) = (&work, ended.clone());
            scope.spawn(move || {
                work.go_on();
                drop(ended);
            });
        }
        drop(ended);
        loop {
            if progress(work.done.load(Ordering::Relaxed)).is_break() {
                work.over.store(true, Ordering::Relaxed);
                return ControlFlow::Break(());
            }
            // Nobody sends: it ends with the last thread.
            match end.recv_timeout(TICK) {
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                _ => return progress(work.done.load(Ordering::Relaxed)),
            }
        }
    });
    match work.failed.into_inner() {
        Some(error) => Err(error),
        None => Ok(called_off),
    }
}

/// What the threads share.
struct Work<'w> {
    transaction: &'w Transaction,
    items: &'w [&'w Item<'w>],
    change: &'w Change,
    next: AtomicUsize,
    done: AtomicUsize,
    over: AtomicBool,
    /// The access control list of what is new in a directory: it is the same for all that is; `None` where it is the one that a
    /// file has anyway.
    lists: Mutex<HashMap<PathBuf, Option<Vec<u8>>>>,
    failed: OnceLock<Error>,
}

impl Work<'_> {
    /// Stages one share after another.
    fn go_on(&self) {
        let mut seat: Option<(PathBuf, File)> = None;
        while !self.over.load(Ordering::Relaxed) {
            let begin = self.next.fetch_add(SHARE, Ordering::Relaxed);
            let end = (begin + SHARE).min(self.items.len());
            let Some(share) = self.items.get(begin..end) else { return };
            for item in share {
                if let Err(error) = self.stage(item, &mut seat) {
                    self.over.store(true, Ordering::Relaxed);
                    // The first one is what is told.
                    let _ = self.failed.set(error);
                    return;
                }
                self.done.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn stage(&self, item: &Item<'_>, seat: &mut Option<(PathBuf, File)>) -> Result<(), Error> {
        let failed = |error: io::Error| staging(item, &error);
        let path = self.transaction.path(&item.entry);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        // Names are looked up from their directory: the kernel remembers nothing of what is staged, and would ask for each
        // name on the way.
        if seat.as_ref().is_none_or(|(at, _)| at != parent) {
            *seat = Some((parent.to_owned(), File::open(parent).map_err(failed)?));
        }
        let Some((_, directory)) = seat else { return Ok(()) };
        // What isn't emptied keeps its value.
        let emptied = if let Step::Keep(_) = item.step { OFlags::empty() } else { OFlags::TRUNC };
        let flags = emptied | OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(directory, name, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(file.map_err(|error| failed(error.into()))?);
        self.mark(item, &path, &file).map_err(|trouble| trouble.of(item))?;
        if !item.value().is_empty() {
            file.write_all(item.value()).map_err(failed)?;
        }
        nix::unistd::close(file).map_err(|error| failed(error.into()))
    }

    /// Sets what a staged file is to be committed with.
    fn mark(&self, item: &Item<'_>, path: &Path, file: &File) -> Result<(), Trouble> {
        let set = |name: &str, value: &[u8]| {
            fsetxattr(file, name, value, XattrFlags::empty()).map_err(|error| Trouble::Io(error.into()))
        };
        if let Condition::Version(version) = item.condition()
            && version > 0
        {
            set(IF_VERSION, version.to_string().as_bytes())?;
        }
        if let Step::Remove(_) = item.step {
            set(REMOVE, b"1")?;
        }
        match item.terms.permissions {
            _ if !item.is_new() => self.change(item, path)?,
            Some(own) => {
                let before = read(path).map_err(Trouble::Io)?;
                let after = own.apply(&before, How::Replace).map_err(Trouble::Other)?;
                if after != before {
                    set(ACL, &after.access_acl().to_xattr())?;
                }
            }
            None => {
                if !self.change.is_empty()
                    && let Some(directory) = path.parent()
                    && let Some(list) = self.list(path, directory)?
                {
                    set(ACL, &list)?;
                }
            }
        }
        expire(path, item.terms.expires).map_err(Trouble::Io)
    }

    /// Gives what stands for a key that is there other permissions, where it has those that it is to have until then.
    fn change(&self, item: &Item<'_>, path: &Path) -> Result<(), Trouble> {
        if item.terms.permissions.is_none() && item.terms.seen.is_none() {
            return Ok(());
        }
        let before = read(path).map_err(Trouble::Io)?;
        // From now on the commit sees to it that they stay.
        if item.terms.seen.is_some_and(|seen| *seen != before) {
            return Err(Trouble::Other(Error::Meanwhile(Box::new(item.entry.clone()))));
        }
        let Some(change) = item.terms.permissions else { return Ok(()) };
        let after = change.apply(&before, How::Replace).map_err(Trouble::Other)?;
        if after == before {
            return Ok(());
        }
        edit::write(path, &before, &after)
            .map_err(|error| Trouble::Other(Error::of(&item.entry, edit::CHANGING, &error)))
    }

    /// The access control list that a new file in this directory is to have, by the example of this one.
    fn list(&self, example: &Path, directory: &Path) -> Result<Option<Vec<u8>>, Trouble> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = lists.get(directory) {
            return Ok(list.clone());
        }
        let before = read(example).map_err(Trouble::Io)?;
        let after = self.change.apply(&before, How::Replace).map_err(Trouble::Other)?;
        let list = (after != before).then(|| after.access_acl().to_xattr());
        lists.insert(directory.to_owned(), list.clone());
        Ok(list)
    }
}

/// Sets when the value's time is over.
pub(super) fn expire(path: &Path, expires: Expires<'_>) -> io::Result<()> {
    match expires {
        Expires::Kept => Ok(()),
        Expires::At(time) => Ok(setxattr(path, EXPIRES, time.as_bytes(), XattrFlags::empty())?),
        Expires::Never => match removexattr(path, EXPIRES) {
            Ok(()) | Err(rustix::io::Errno::NODATA) => Ok(()),
            Err(error) => Err(error.into()),
        },
    }
}

enum Trouble {
    Io(io::Error),
    Other(Error),
}

impl Trouble {
    fn of(self, item: &Item<'_>) -> Error {
        match self {
            Trouble::Io(error) => staging(item, &error),
            Trouble::Other(error) => error,
        }
    }
}

/// Why something can't be staged.
fn staging(item: &Item<'_>, error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::EDQUOT) => too_many(&item.entry.scope().mount().join(".keyfs/transactions")),
        _ => Error::of(&item.entry, item.doing(), error),
    }
}

/// That nobody has made meanwhile what is to be new: it would be staged as that, and replaced. Whoever makes it from now on is
/// noticed by the commit, as is whoever makes it and removes it again.
fn still_absent(groups: &BTreeMap<PathBuf, Vec<&Item<'_>>>) -> Result<(), Error> {
    for (directory, group) in groups {
        let names: Vec<&Entry> = group.iter().filter(|item| item.is_new()).map(|item| &item.entry).collect();
        let found = kinds(directory, &names)?;
        if let Some((entry, _)) = names.iter().zip(found).find(|(_, kind)| *kind != Kind::Absent) {
            return Err(Error::Exists(Box::new((*entry).clone())));
        }
    }
    Ok(())
}

/// Why a commit failed.
fn refused(transaction: &Transaction, items: &[Item<'_>], error: &io::Error) -> Error {
    let told = transaction.reason();
    let named = |name: &str| items.iter().find(|item| transaction.name(&item.entry).as_deref() == Some(name));
    let item = told.as_ref().and_then(|(place, _)| named(place));
    match (item, error.raw_os_error()) {
        (Some(item), Some(libc::ECANCELED)) => conflict(item),
        (_, Some(libc::EAGAIN)) => {
            let reason = "the mount is busy with other large changes; try again".to_owned();
            Error::System { doing: STORING, what: format!("{} keys", items.len()), reason }
        }
        (Some(item), _) => Error::of(&item.entry, item.doing(), error),
        (None, _) => {
            let what = told.as_ref().map_or_else(|| format!("{} keys", items.len()), |(place, _)| place.clone());
            let reason = told.map_or_else(|| super::error::reason(error), |(_, why)| why);
            Error::System { doing: STORING, what, reason }
        }
    }
}

/// What isn't as it was.
fn conflict(item: &Item<'_>) -> Error {
    let now = current(&item.entry);
    match (item.condition(), now) {
        (Condition::Absent | Condition::Version(0), Some(_)) => Error::Exists(Box::new(item.entry.clone())),
        (Condition::Version(expected), Some(now)) if expected != now => {
            Error::Changed { entry: Box::new(item.entry.clone()), expected, now: now.to_string() }
        }
        (_, None) if !item.is_new() => Error::missing(&item.entry),
        _ => Error::Meanwhile(Box::new(item.entry.clone())),
    }
}
