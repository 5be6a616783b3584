//! Changes that are staged in a directory of their own and committed in one step.
//!
//! Invariant: a transaction that isn't committed goes, and with it whatever was staged.
//!
//! It deliberately can't be begun where `.keyfs` is out of reach, in a part of a mount: then its callers have another way.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Entry, Scope};

/// How often a name that somebody else has is replaced by another one.
const ATTEMPTS: usize = 8;

/// A transaction that has been begun.
#[derive(Debug)]
pub(super) struct Transaction {
    place: PathBuf,
    commit: PathBuf,
    /// What was staged in it, those below behind those above.
    staged: Vec<PathBuf>,
    committed: bool,
}

impl Transaction {
    /// Begins one; `None` where that can't be, also because the user has too many.
    pub(super) fn begin(scope: &Scope) -> Option<Transaction> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..ATTEMPTS {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
            let name = format!("dt-{}-{moment}-{count}", std::process::id());
            let (transactions, _) = scope.transactions().ok()?;
            let place = transactions.join(&name);
            match fs::create_dir(&place) {
                Ok(()) => {
                    let commit = transactions.with_file_name("commit").join(&name);
                    return Some(Transaction { place, commit, staged: Vec::new(), committed: false });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Where a key is staged.
    pub(super) fn path(&self, entry: &Entry) -> PathBuf {
        let environment = entry.scope().transactions().map_or("", |(_, environment)| environment);
        self.place.join(environment).join(entry.tree().as_str()).join(entry.key())
    }

    /// Where the directories above a key are staged, from below its tree's root downwards.
    pub(super) fn directories(&self, entry: &Entry) -> Vec<PathBuf> {
        let place = self.path(entry);
        let below = entry.directories().len() - 1;
        let mut directories: Vec<_> = place.ancestors().skip(1).take(below).map(Path::to_owned).collect();
        directories.reverse();
        directories
    }

    /// Whether something is staged there.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.staged.iter().any(|staged| staged == path)
    }

    /// Stages a directory, one that is there or one that is to be made.
    pub(super) fn stage_directory(&mut self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)?;
        self.staged.push(path.to_owned());
        Ok(())
    }

    /// Remembers a file that was staged.
    pub(super) fn staged(&mut self, path: &Path) {
        self.staged.push(path.to_owned());
    }

    /// Commits it. Where that fails nothing has changed.
    pub(super) fn commit(mut self) -> io::Result<()> {
        fs::rename(&self.place, &self.commit)?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        for path in self.staged.iter().rev() {
            let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
        }
        let _ = fs::remove_dir(&self.place);
    }
}
