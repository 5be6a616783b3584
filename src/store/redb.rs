//! Rows in one file, by redb: the store of a daemon that has its machine to itself.
//!
//! Invariants:
//! - Batches that wait at the same time share one transaction and one sync; a batch is answered after that.
//! - Every batch is answered, whatever becomes of the thread that commits it.
//! - A file that is refused has not been changed, and one that is open belongs to this process alone.
//! - A lack of space changes nothing: what was committed stays readable, and commits go on once there is room.
//! - A damaged file is an error, never a panic that leaves this module and never a wait without end.
//!
//! It deliberately does not share a file with other processes, or encrypt; and a store that is open does not shrink, since redb uses
//! freed pages again.

mod compact;
mod engine;
mod group;
mod ledger;
mod medium;
mod open;
mod recent;
mod rows;
mod syncs;
mod total;
mod trial;
mod tried;
mod trouble;

use std::cell::RefCell;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use self::compact::{Compacted, compact};
pub use self::ledger::{LedgerError, LedgerState};
pub use self::medium::{FileMedium, Medium};
pub use self::open::OpenError;
pub use self::tried::Tried;
pub use self::trouble::is_guarded;

use self::engine::{Engine, Refusal};
use self::group::Group;
use self::rows::View;
use self::trouble::{Trouble, guarded};
use super::memory::{LIMITS, admit};
use super::{Batch, Changes, CommitError, Key, Ledger, Limits, Page, Row, Snapshot, Store, StoreError, Syncs, Usage};
use crate::id::Revision;

/// How often a read is begun anew because a writer's failure closed the database beneath it.
const READS: usize = 64;

/// A store in one file.
pub struct RedbStore {
    engine: Arc<Engine>,
    group: Group,
}

impl RedbStore {
    /// Makes a store in a new file, mode 0600, in a directory that is there.
    pub fn create(path: &Path) -> Result<Self, OpenError> {
        let medium = FileMedium::create(path)?;
        let made = Self::create_on(Arc::new(medium), path).and_then(|store| {
            // The file's name has to last as well as what is in it.
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let synced = File::open(directory).and_then(|directory| directory.sync_all());
            synced.map(|()| store).map_err(|source| OpenError::Io { path: path.into(), source })
        });
        if made.is_err() {
            // It is ours alone: it was not there before. Where it can't be taken away, what is left is not a store.
            let _ = std::fs::remove_file(path);
        }
        made
    }

    /// Opens the store in a file. Reads the whole file, to refuse a damaged one before anything is written to it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(FileMedium::open(path)?), path)
    }

    /// Opens the store in a file for a look: nothing is written to the file until it is kept.
    pub fn try_out(path: &Path) -> Result<Tried, OpenError> {
        Self::try_out_on(Arc::new(FileMedium::open(path)?), path)
    }

    /// The same on a medium; `path` is what errors call it.
    pub fn try_out_on(medium: Arc<dyn Medium>, path: &Path) -> Result<Tried, OpenError> {
        Tried::new(medium, path)
    }

    /// Makes a store on an empty medium; `path` is what errors call it.
    pub fn create_on(medium: Arc<dyn Medium>, path: &Path) -> Result<Self, OpenError> {
        Self::over(Engine::create(medium), path)
    }

    /// Opens the store on a medium; `path` is what errors call it.
    pub fn open_on(medium: Arc<dyn Medium>, path: &Path) -> Result<Self, OpenError> {
        Tried::new(medium, path)?.keep()
    }

    fn over(engine: Result<Engine, Refusal>, path: &Path) -> Result<Self, OpenError> {
        let engine = Arc::new(engine.map_err(|refusal| refusal.about(path))?);
        Ok(Self { engine, group: Group::default() })
    }

    /// Compares all rows with the store's ledger. Where they agree, each commit from now on keeps it; where not,
    /// nothing is altered. A store that has a ledger refuses commits until it is attached.
    ///
    /// Reads every row.
    pub fn attach_ledger(&self, ledger: Arc<dyn Ledger>) -> Result<LedgerState, StoreError> {
        Ok(self.engine.attach_ledger(ledger)?)
    }

    /// Begins a ledger over the rows as they are: the first that the store has, or one in place of that which is
    /// attached. It is kept from now on.
    ///
    /// Reads every row.
    pub fn start_ledger(&self, ledger: Arc<dyn Ledger>) -> Result<(), LedgerError> {
        self.engine.start_ledger(ledger)
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.engine.close();
    }
}

impl Store for RedbStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let view = self.engine.view();
        Ok(Box::new(RedbSnapshot { revision: view.revision, engine: self.engine.clone(), view: RefCell::new(view) }))
    }

    fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        admit(&batch)?;
        self.group.commit(batch, |batches| guarded(|| Ok(self.engine.settle(batches))).unwrap_or_default())
    }

    fn changes(&self, since: Revision) -> Result<Changes, StoreError> {
        Ok(self.engine.changes(since))
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn usage(&self) -> Result<Usage, StoreError> {
        self.engine.medium().usage().map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    fn syncs(&self) -> Syncs {
        self.engine.syncs()
    }
}

struct RedbSnapshot {
    revision: Revision,
    engine: Arc<Engine>,
    view: RefCell<Arc<View>>,
}

impl RedbSnapshot {
    /// Reads from the view. Where the database had to be closed beneath it, the one that was opened in its place does
    /// as well, provided that nothing has been committed since.
    fn read<T>(&self, work: impl Fn(&View) -> Result<T, Trouble>) -> Result<T, StoreError> {
        let mut revived = false;
        for _ in 0..READS {
            let view = self.view.borrow().clone();
            let trouble = match guarded(|| work(&view)) {
                Err(trouble @ Trouble::Medium(_)) => trouble,
                done => return Ok(done?),
            };
            // A full medium has it closed again and again, by those who write. What fails twice without their doing fails.
            let by_us = self.engine.revive(view.generation)?;
            if revived && by_us {
                return Err(trouble.into());
            }
            revived |= by_us;
            let view = self.engine.view();
            if view.revision != self.revision {
                return Err(StoreError::Superseded);
            }
            *self.view.borrow_mut() = view;
        }
        Err(StoreError::Superseded)
    }
}

impl Snapshot for RedbSnapshot {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.read(|view| view.get(key))
    }

    fn scan(&self, range: Range<&[u8]>, page: Page) -> Result<Vec<(Key, Row)>, StoreError> {
        self.read(|view| view.scan(range.clone(), page))
    }
}
