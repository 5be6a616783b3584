//! Telling the kernel what changed behind its back.
//!
//! Invariants:
//! - What can wait for a lock that a request holds (names, pages) is done by threads of its own, which hold nothing that a
//!   request can wait for.
//! - Attributes and ACLs alone take no such lock, so these are dropped before the request that changed them is answered.

mod directories;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use fuser::{INodeNo, Notifier};

use self::directories::Directories;
use super::inode::CONTROL_BIT;

struct Kernel {
    notifier: Notifier,
    pages: Sender<INodeNo>,
    directories: Directories,
}

impl directories::Kernel for Notifier {
    fn name(&self, directory: u64, name: &OsStr) -> std::io::Result<()> {
        self.inval_entry(INodeNo(directory), name)
    }

    fn listing(&self, directory: u64) -> std::io::Result<()> {
        self.inval_inode(INodeNo(directory), 0, 0)
    }
}

/// How long a commit waits until the kernel knows of it, and how many do at the same time: anybody may hold a directory's lock
/// for long, which is neither to hold up others nor all of the daemon's threads.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const WAITING: usize = 8;

/// See the module. It does nothing until the mount is there.
#[derive(Default)]
pub(super) struct Invalidator {
    kernel: OnceLock<Kernel>,
    /// Inodes of which open files have filled the page cache, and how many of them.
    mapped: Mutex<HashMap<u64, u64>>,
    /// Inodes that lost a name behind the kernel's back, and that it has not forgotten.
    going: Mutex<HashSet<u64>>,
    /// How many wait until names were told.
    waiting: AtomicUsize,
}

impl Invalidator {
    /// Begins to tell the kernel.
    pub(super) fn start(&self, notifier: Notifier) -> std::io::Result<()> {
        // Pages are not to wait for a directory's lock.
        let pages = notifier.clone();
        let pages = thread("keyfs-pages", move |number| pages.inval_inode(number, 0, 0))?;
        let directories = Directories::new(notifier.clone());
        // A second start would be a mistake of ours; the first one goes on.
        let _ = self.kernel.set(Kernel { notifier, pages, directories });
        Ok(())
    }

    /// The attributes and ACLs of an inode are others now.
    pub(super) fn attributes(&self, number: INodeNo) {
        if let Some(kernel) = self.kernel.get()
            && let Err(error) = kernel.notifier.inval_inode(number, -1, 0)
        {
            log::debug!("the kernel was not told of changed attributes: {error}");
        }
    }

    /// The pages of an inode that mappings left in the cache are not to stay.
    pub(super) fn pages(&self, number: INodeNo) {
        if let Some(kernel) = self.kernel.get() {
            // The receiver lives as long as the process.
            let _ = kernel.pages.send(number);
        }
    }

    /// Permissions have changed: of the inode, and with it of the earlier versions, whose inodes are others.
    pub(super) fn permissions(&self, number: INodeNo) {
        self.pages(number);
        let past: Vec<u64> = self.table().keys().copied().filter(|other| other & CONTROL_BIT != 0).collect();
        past.into_iter().for_each(|other| self.pages(INodeNo(other)));
    }

    /// An open file has filled pages, as a mapping does.
    pub(super) fn mapped(&self, number: INodeNo) {
        *self.table().entry(number.0).or_default() += 1;
    }

    /// Such a file is closed: nothing of it is to stay behind.
    pub(super) fn unmapped(&self, number: INodeNo) {
        let mut table = self.table();
        if let Some(files) = table.get_mut(&number.0) {
            *files -= 1;
            if *files == 0 {
                table.remove(&number.0);
            }
        }
        drop(table);
        self.pages(number);
    }

    /// The inode may have another value now, which new mappings are to show.
    pub(super) fn committed(&self, number: INodeNo) {
        if self.table().contains_key(&number.0) {
            self.pages(number);
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.mapped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name is no longer this inode's.
    pub(super) fn name(&self, parent: INodeNo, name: OsString, number: INodeNo) {
        if let Some(kernel) = self.kernel.get() {
            self.going().insert(number.0);
            kernel.directories.changed(parent.0, [name], None);
        }
    }

    /// A name is what it was, and the kernel need not know of it.
    pub(super) fn unneeded(&self, directory: INodeNo, name: OsString) {
        if let Some(kernel) = self.kernel.get() {
            kernel.directories.changed(directory.0, [name], None);
        }
    }

    /// Names in directories are there, or are gone, behind the kernel's back; of which inodes those were that are gone. Waits until
    /// it has been told of all of them.
    pub(super) fn names(&self, changed: BTreeMap<u64, Vec<OsString>>, gone: impl Iterator<Item = INodeNo>) {
        let Some(kernel) = self.kernel.get() else { return };
        self.going().extend(gone.map(|number| number.0));
        let (told, all) = channel();
        let directories = changed.len();
        for (directory, names) in changed {
            // Whoever opens it asks for these first, and finds that what was listed is from before.
            self.attributes(INodeNo(directory));
            kernel.directories.changed(directory, names, Some(told.clone()));
        }
        if self.waiting.fetch_add(1, Ordering::AcqRel) < WAITING {
            let until = Instant::now() + LONGEST_WAIT;
            let left = || until.saturating_duration_since(Instant::now());
            // Of those that are held it is told once they are held no longer.
            let _ = (0..directories).try_for_each(|_| all.recv_timeout(left()));
        }
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// The kernel knows the inode no longer.
    pub(super) fn forgotten(&self, number: INodeNo) {
        self.going().remove(&number.0);
    }

    /// Whether the kernel may have come to this inode by a name that it lost.
    pub(super) fn is_going(&self, number: INodeNo) -> bool {
        self.going().contains(&number.0)
    }

    fn going(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that tells the kernel what it is sent.
fn thread<T: Send + 'static>(
    name: &str,
    tell: impl Fn(T) -> std::io::Result<()> + Send + 'static,
) -> std::io::Result<Sender<T>> {
    let (sender, receiver) = channel();
    std::thread::Builder::new().name(name.into()).spawn(move || {
        for stale in receiver {
            if let Err(error) = tell(stale) {
                log::debug!("the kernel was not told of a change: {error}");
            }
        }
    })?;
    Ok(sender)
}
