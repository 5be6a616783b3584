//! Telling the kernel what changed behind its back.
//!
//! Invariants:
//! - What can wait for a lock that a request holds (names, pages) is done by a thread of its own, which holds nothing that a
//!   request can wait for.
//! - Attributes and ACLs alone take no such lock, so these are dropped before the request that changed them is answered.

use std::ffi::OsString;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use fuser::{INodeNo, Notifier};

enum Stale {
    Pages(INodeNo),
    Name(INodeNo, OsString),
}

/// See the module. It does nothing until the mount is there.
#[derive(Default)]
pub(super) struct Invalidator(OnceLock<(Notifier, Sender<Stale>)>);

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
        let _ = self.0.set((notifier, sender));
        Ok(())
    }

    /// The attributes and ACLs of an inode are others now.
    pub(super) fn attributes(&self, number: INodeNo) {
        if let Some((notifier, _)) = self.0.get()
            && let Err(error) = notifier.inval_inode(number, -1, 0)
        {
            log::debug!("the kernel was not told of changed attributes: {error}");
        }
    }

    /// The pages of an inode that mappings left in the cache are not to stay.
    pub(super) fn pages(&self, number: INodeNo) {
        self.later(Stale::Pages(number));
    }

    /// A name is another inode's now, or nobody's.
    pub(super) fn name(&self, parent: INodeNo, name: OsString) {
        self.later(Stale::Name(parent, name));
    }

    fn later(&self, stale: Stale) {
        if let Some((_, sender)) = self.0.get() {
            // The receiver lives as long as the process.
            let _ = sender.send(stale);
        }
    }
}
