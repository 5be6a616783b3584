//! Telling the kernel what changed behind its back.
//!
//! Invariants:
//! - What can wait for a lock that a request holds (names, pages) is done by a thread of its own, which holds nothing that a
//!   request can wait for.
//! - Attributes and ACLs alone take no such lock, so these are dropped before the request that changed them is answered.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use fuser::{INodeNo, Notifier};

enum Stale {
    Pages(INodeNo),
    Name(INodeNo, OsString),
}

/// See the module. It does nothing until the mount is there.
#[derive(Default)]
pub(super) struct Invalidator {
    kernel: OnceLock<(Notifier, Sender<Stale>)>,
    /// Inodes of which open files have filled the page cache, and how many of them.
    mapped: Mutex<HashMap<u64, u64>>,
}

impl Invalidator {
    /// Begins to tell the kernel.
    pub(super) fn start(&self, notifier: Notifier) -> std::io::Result<()> {
        let (sender, receiver) = channel();
        let background = notifier.clone();
        std::thread::Builder::new().name("keyfs-invalidate".into()).spawn(move || {
            for stale in receiver {
                let told = match stale {
                    Stale::Pages(number) => background.inval_inode(number, 0, 0),
                    Stale::Name(parent, name) => background.inval_entry(parent, &name),
                };
                if let Err(error) = told {
                    log::debug!("the kernel was not told of a change: {error}");
                }
            }
        })?;
        // A second start would be a mistake of ours; the first one goes on.
        let _ = self.kernel.set((notifier, sender));
        Ok(())
    }

    /// The attributes and ACLs of an inode are others now.
    pub(super) fn attributes(&self, number: INodeNo) {
        if let Some((notifier, _)) = self.kernel.get()
            && let Err(error) = notifier.inval_inode(number, -1, 0)
        {
            log::debug!("the kernel was not told of changed attributes: {error}");
        }
    }

    /// The pages of an inode that mappings left in the cache are not to stay.
    pub(super) fn pages(&self, number: INodeNo) {
        self.later(Stale::Pages(number));
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

    /// A name is another inode's now, or nobody's.
    pub(super) fn name(&self, parent: INodeNo, name: OsString) {
        self.later(Stale::Name(parent, name));
    }

    fn later(&self, stale: Stale) {
        if let Some((_, sender)) = self.kernel.get() {
            // The receiver lives as long as the process.
            let _ = sender.send(stale);
        }
    }
}
