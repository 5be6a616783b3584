//! Why a store file was not made or not opened, and who has it.
//!
//! Invariant: a message is one line that says what is wrong with which file, and what to do.
//!
//! It deliberately opens nothing itself.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::sys::stat::{major, minor};
use thiserror::Error;

/// Why a store was not made or opened. What was there is as it was.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no such file, or no such directory to make it in.
    #[error("there is no {}: create a store there, or give another path", path.display())]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// There is something already where a store was to be made.
    #[error("{} exists already: open it, or give another path for a new store", path.display())]
    Exists {
        /// What was asked for.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("{} is in use by {}: stop that first, or give another path", path.display(), process(*pid))]
    InUse {
        /// What was asked for.
        path: PathBuf,
        /// The process, where the system says which.
        pid: Option<u32>,
    },
    /// It is a file, but not one that a store has written, or its creation was cut short.
    #[error("{} is not a keyfs store: give another path", path.display())]
    NotAStore {
        /// What was asked for.
        path: PathBuf,
    },
    /// A later keyfs has written it.
    #[error("{} is in store format {format}, which this keyfs doesn't know: use a later one", path.display())]
    Format {
        /// What was asked for.
        path: PathBuf,
        /// The number of the format.
        format: u8,
    },
    /// It is a store, but what it holds doesn't fit together.
    #[error("{} is damaged ({what}): restore it from a backup", path.display())]
    Damaged {
        /// What was asked for.
        path: PathBuf,
        /// What was noticed.
        what: String,
    },
    /// The system refused.
    #[error("{} can't be used as a store: {source}", path.display())]
    Io {
        /// What was asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

/// The process that holds a lock on a file, as far as `/proc/locks` says; see `proc_locks(5)`.
pub(super) fn holder(file: &Metadata) -> Option<u32> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    holder_in(&locks, &format!("{:02x}:{:02x}:{}", major(file.dev()), minor(file.dev()), file.ino()))
}

fn holder_in(locks: &str, file: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        // "1: FLOCK  ADVISORY  WRITE 3203 fe:00:10010746 0 EOF"; who only waits has "->" in the second place.
        let mut fields = line.split_ascii_whitespace().skip(1);
        let kind = fields.next()?;
        let pid = fields.nth(2)?;
        let held = fields.next()? == file && matches!(kind, "FLOCK" | "POSIX" | "OFDLCK");
        // Locks of an open file description have pid -1, those of another pid namespace 0.
        if held { pid.parse().ok().filter(|pid| *pid != 0) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::holder_in;

    const LOCKS: &str = "1: FLOCK  ADVISORY  WRITE 3203 fe:00:10010746 0 EOF\n\
                         1: -> FLOCK  ADVISORY  WRITE 99 fe:00:10010747 0 EOF\n\
                         2: OFDLCK ADVISORY  WRITE -1 fe:00:10010747 0 EOF\n\
                         3: POSIX  ADVISORY  WRITE 0 fe:00:10010748 0 EOF\n\
                         4: LEASE  ACTIVE    READ 12 fe:00:10010749 0 EOF\n";

    #[test]
    fn the_holder_of_a_lock_is_named_where_it_is_known() {
        assert_eq!(holder_in(LOCKS, "fe:00:10010746"), Some(3203));
        for unknown in ["fe:00:10010747", "fe:00:10010748", "fe:00:10010749", "fe:00:1"] {
            assert_eq!(holder_in(LOCKS, unknown), None);
        }
    }
}
