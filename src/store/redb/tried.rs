//! A store that is opened for a look before it is opened in earnest.
//!
//! redb repairs what a crash left when it opens a file; what turns out to be damaged or somebody else's must not have been
//! repaired. So all of it is done on top of the file first, copy on write, and only what was found to be whole is then done to
//! the file.
//!
//! To read every page, as redb's own check does, and every row, as the ledger takes, are about the same work. A second database
//! over the same file lets the two be done at once. What it shows is believed only once the check has ended well.
//!
//! Invariants:
//! - Nothing is written to the file before [`Tried::keep`], and then only if every page was found whole.
//! - The file is this process's alone from the first look on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::RedbStore;
use super::engine::{Engine, Refusal};
use super::medium::Medium;
use super::open::OpenError;
use super::trial::Trial;

/// What redb begins its files with.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// See the module.
pub struct Tried {
    store: Arc<RedbStore>,
    medium: Arc<dyn Medium>,
    /// Where the pages are checked, and what a crash left is repaired.
    trial: Arc<Trial>,
    checking: Option<JoinHandle<Result<(), Refusal>>>,
    /// Whether that ended well.
    whole: bool,
    path: PathBuf,
}

impl Tried {
    pub(super) fn new(medium: Arc<dyn Medium>, path: &Path) -> Result<Tried, OpenError> {
        let refused = |refusal: Refusal| refusal.about(path);
        check_magic(&*medium).map_err(refused)?;
        let failed = |source| OpenError::Io { path: path.into(), source };
        let trial = Arc::new(Trial::new(Arc::clone(&medium)).map_err(failed)?);
        let checking = std::thread::Builder::new().name("page check".into()).spawn({
            let trial = Arc::clone(&trial);
            move || Engine::check(trial)
        });
        let mut checking = Some(checking.map_err(failed)?);
        let second = Trial::new(Arc::clone(&medium)).map_err(failed)?;
        let look = match Engine::look(Arc::new(second)) {
            Ok(look) => Ok(look),
            // It was not closed in order, or is damaged, or none of ours: the check says more.
            Err(_) => join(checking.take()).and_then(|()| {
                let repaired = Trial::new(Arc::clone(&trial) as Arc<dyn Medium>).map_err(Refusal::Io)?;
                Engine::look(Arc::new(repaired))
            }),
        };
        let whole = checking.is_none() && look.is_ok();
        match RedbStore::over(look, path) {
            Ok(store) => Ok(Tried { store: Arc::new(store), medium, trial, checking, whole, path: path.into() }),
            Err(error) => {
                // Nobody is to find the file in use by what is over.
                let _ = join(checking);
                Err(error)
            }
        }
    }

    /// The store as it is, to be read. Its rows are to be believed once [`Tried::check`] has said so.
    pub fn store(&self) -> Arc<RedbStore> {
        Arc::clone(&self.store)
    }

    /// Waits for the end of the check of all pages.
    pub fn check(&mut self) -> Result<(), OpenError> {
        if let Some(checking) = self.checking.take() {
            join(Some(checking)).map_err(|refusal| refusal.about(&self.path))?;
            self.whole = true;
        }
        let refused = || Refusal::Damaged("its pages are not whole".into()).about(&self.path);
        if self.whole { Ok(()) } else { Err(refused()) }
    }

    /// Opens it in earnest, if every page is whole. A ledger that was found to agree stays attached.
    pub fn keep(mut self) -> Result<RedbStore, OpenError> {
        self.check()?;
        self.trial.replay().map_err(|source| OpenError::Io { path: self.path.clone(), source })?;
        let kept = RedbStore::over(Engine::keep(Arc::clone(&self.medium)), &self.path)?;
        kept.engine.take_ledger(&self.store.engine);
        Ok(kept)
    }
}

impl Drop for Tried {
    fn drop(&mut self) {
        // The file is free once it is gone.
        if self.checking.is_some() {
            self.whole = join(self.checking.take()).is_ok();
        }
        if !self.whole {
            self.store.engine.abandon();
        }
    }
}

fn check_magic(medium: &dyn Medium) -> Result<(), Refusal> {
    let mut magic = [0; MAGIC.len()];
    match medium.read(0, &mut magic) {
        Ok(()) if magic == MAGIC => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(Refusal::Io(error)),
        _ => Err(Refusal::NotAStore),
    }
}

fn join(checking: Option<JoinHandle<Result<(), Refusal>>>) -> Result<(), Refusal> {
    let ended = checking.map(|checking| checking.join());
    ended.unwrap_or(Ok(Ok(()))).unwrap_or_else(|_| Err(Refusal::Damaged("its pages make no sense".into())))
}
