//! Changes that are staged in a directory of their own and committed in one step.
//!
//! Invariant: a transaction that isn't committed goes, and with it whatever was staged.
//!
//! It deliberately can't be begun where `.keyfs` is out of reach, in a part of a mount: then its callers have another way, or
//! none.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Entry, Error, Scope};

/// How often a name that somebody else has is replaced by another one.
const ATTEMPTS: usize = 8;

/// A transaction that has been begun.
#[derive(Debug)]
pub(super) struct Transaction {
    place: PathBuf,
    commit: PathBuf,
    /// The directories that were staged in it.
    directories: HashSet<PathBuf>,
    committed: bool,
}

impl Transaction {
    /// Begins one; `None` where that can't be, also because the user has too many.
    pub(super) fn begin(scope: &Scope) -> Option<Transaction> {
        Transaction::begin_for(scope, "a transaction").ok()
    }

    /// Begins one for what can't be done without; `what` names that in the error.
    pub(super) fn begin_for(scope: &Scope, what: &'static str) -> Result<Transaction, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (transactions, _) = scope.transactions(what)?;
        let mut last = io::Error::from_raw_os_error(libc::EEXIST);
        for _ in 0..ATTEMPTS {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
            let name = format!("dt-{}-{moment}-{count}", std::process::id());
            let place = transactions.join(&name);
            match fs::create_dir(&place) {
                Ok(()) => {
                    let commit = transactions.with_file_name("commit").join(&name);
                    return Ok(Transaction { place, commit, directories: HashSet::new(), committed: false });
                }
                Err(error) => last = error,
            }
            if last.kind() != io::ErrorKind::AlreadyExists {
                break;
            }
        }
        Err(match last.raw_os_error() {
            Some(libc::EDQUOT) => too_many(&transactions),
            _ => Error::system("begin a transaction in", &transactions, &last),
        })
    }

    /// Where a key is staged.
    pub(super) fn path(&self, entry: &Entry) -> PathBuf {
        self.tree(entry).join(entry.key())
    }

    /// Where a key's tree is staged.
    fn tree(&self, entry: &Entry) -> PathBuf {
        let environment = entry.scope().transactions("a transaction").map_or("", |(_, environment)| environment);
        self.place.join(environment).join(entry.tree().as_str())
    }

    /// Where the directories above a key are staged, from below its tree's root downwards.
    pub(super) fn directories(&self, entry: &Entry) -> Vec<PathBuf> {
        let place = self.path(entry);
        let below = entry.directories().len() - 1;
        let mut directories: Vec<_> = place.ancestors().skip(1).take(below).map(Path::to_owned).collect();
        directories.reverse();
        directories
    }

    /// Whether a directory is staged there.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.directories.contains(path)
    }

    /// Stages a directory, one that is there or one that is to be made.
    pub(super) fn stage_directory(&mut self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)?;
        self.directories.insert(path.to_owned());
        Ok(())
    }

    /// Commits it. Where that fails nothing has changed.
    pub(super) fn commit(self) -> io::Result<()> {
        self.try_commit().map_err(|(_, error)| error)
    }

    /// Commits it; where that fails, the transaction goes on to be asked [why](Transaction::reason).
    pub(super) fn try_commit(mut self) -> Result<(), (Transaction, io::Error)> {
        match fs::rename(&self.place, &self.commit) {
            Ok(()) => {
                self.committed = true;
                Ok(())
            }
            Err(error) => Err((self, error)),
        }
    }

    /// What the mount says of a commit that failed: the place that it was for, below the transaction, and why.
    pub(super) fn reason(&self) -> Option<(String, String)> {
        let text = fs::read_to_string(self.place.join(".error")).ok()?;
        let (place, why) = text.trim_end().split_once(": ")?;
        Some((place.to_owned(), why.to_owned()))
    }

    /// Where a key is staged, as [`reason`](Transaction::reason) has it.
    pub(super) fn name(&self, entry: &Entry) -> Option<String> {
        Some(self.path(entry).strip_prefix(&self.place).ok()?.to_str()?.to_owned())
    }
}

/// The user's share is full.
pub(super) fn too_many(transactions: &Path) -> Error {
    Error::System {
        doing: "stage more in",
        what: transactions.display().to_string(),
        reason: "your transactions there take as much as a user may have; `rm -r` drops one that is left over"
            .to_owned(),
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_dir_all(&self.place);
        }
    }
}
