//! Listings: a directory's names as they were when somebody began to read them.
//!
//! Invariant: within one open directory an offset means the same entry until it is read from the start again, however many
//! entries come and go.

use std::sync::{Arc, Mutex, PoisonError};

use fuser::FileType;

use super::inode::Inode;
use crate::tree::Error;

/// One name of a listing.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) inode: Inode,
    pub(super) kind: FileType,
}

/// An open directory.
pub(super) struct Listing(Mutex<Option<Arc<Vec<Line>>>>);

impl Listing {
    pub(super) fn new() -> Listing {
        Listing(Mutex::new(None))
    }

    /// The lines, read with `load` where this is the start.
    pub(super) fn lines(
        &self,
        offset: u64,
        load: impl FnOnce() -> Result<Vec<Line>, Error>,
    ) -> Result<Arc<Vec<Line>>, Error> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if offset > 0
            && let Some(lines) = &*lines
        {
            return Ok(Arc::clone(lines));
        }
        let loaded = Arc::new(load()?);
        *lines = Some(Arc::clone(&loaded));
        Ok(loaded)
    }
}
