//! Open handles by number.
//!
//! Invariant: a number is given out once in the life of a mount, so that a late request never meets another file.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::FileHandle;

use super::dir::Listing;
use super::events::Watch;
use super::staged::StagedFile;
use crate::tree::OpenFile;

/// What a handle is of.
pub(super) enum Handle {
    /// A key, or an earlier version of one.
    File {
        file: Arc<OpenFile>,
        /// The program that opened it to write, which is who stores what is written.
        program: Option<PathBuf>,
        /// Whether the kernel has read it into its page cache, as a mapping does.
        mapped: AtomicBool,
    },
    /// What is staged of a key.
    Staged(StagedFile),
    /// The stream of changes.
    Events(Watch),
    /// A control file, as it was when it was opened.
    Text(Vec<u8>),
    /// A directory.
    Directory(Listing),
}

/// See the module.
#[derive(Default)]
pub(super) struct Handles {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Handle>>>,
}

impl Handles {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Handle>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, handle: Handle) -> FileHandle {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.open().insert(number, Arc::new(handle));
        FileHandle(number)
    }

    pub(super) fn get(&self, number: FileHandle) -> Option<Arc<Handle>> {
        self.open().get(&number.0).map(Arc::clone)
    }

    pub(super) fn remove(&self, number: FileHandle) -> Option<Arc<Handle>> {
        self.open().remove(&number.0)
    }
}
