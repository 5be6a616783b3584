//! Telling the kernel what changed behind its back.
//!
//! Invariants:
//! - What can wait for a lock that a request holds (names, pages) is done by a thread of its own, which holds nothing that a
//!   request can wait for.
//! - Attributes and ACLs alone take no such lock, so these are dropped before the request that changed them is answered.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use fuser::{INodeNo, Notifier};

use super::inode::CONTROL_BIT;

struct Kernel {
    notifier: Notifier,
    pages: Sender<INodeNo>,
    names: Sender<Stale>,
}

/// What is to be told of names.
enum Stale {
    /// A directory's name stands for something else now, or for nothing.
    Name(INodeNo, OsString),
    /// All before this was told.
    Told(Sender<()>),
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
        // Each has a thread of its own: anybody may hold a directory's lock for long, and pages are not to wait for that.
        let pages = notifier.clone();
        let pages = thread("keyfs-pages", move |number| pages.inval_inode(number, 0, 0))?;
        let names = notifier.clone();
        let names = thread("keyfs-names", move |stale| match stale {
            Stale::Name(parent, name) => names.inval_entry(parent, &name),
            Stale::Told(told) => {
                // Whoever waited too long waits no more.
                let _ = told.send(());
                Ok(())
            }
        })?;
        // A second start would be a mistake of ours; the first one goes on.
        let _ = self.kernel.set(Kernel { notifier, pages, names });
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
            let _ = kernel.names.send(Stale::Name(parent, name));
        }
    }

    /// Names are there that the kernel may know not to be. Waits until it has been told of these, and of all others before.
    pub(super) fn names_made(&self, names: impl Iterator<Item = (INodeNo, OsString)>) {
        let Some(kernel) = self.kernel.get() else { return };
        for (parent, name) in names {
            let _ = kernel.names.send(Stale::Name(parent, name));
        }
        if self.waiting.fetch_add(1, Ordering::AcqRel) < WAITING {
            let (told, all) = channel();
            let _ = kernel.names.send(Stale::Told(told));
            let _ = all.recv_timeout(LONGEST_WAIT);
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
