//! Where the engine's pages are: a file, or in tests something that fails on purpose.
//!
//! Invariants:
//! - A [`FileMedium`] is locked from the moment that it is opened until it is released, also while the engine above
//!   is closed and opened again: no other process gets in between.
//! - Growth takes the blocks at once, so that a full medium shows as growth that is refused, with the length as it was.
//! - A file has some blocks to spare beyond its end, which only [`Medium::stretch`] uses: on a full medium, even taking
//!   rows away needs a few new pages.
//!
//! It deliberately knows nothing of pages, rows or redb's format.

use std::fmt::Debug;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};
use nix::unistd::{Whence, lseek};

use super::super::Usage;
use super::open::OpenError;

/// Bytes that can be read, written, grown and synced.
///
/// A failed call leaves what was written before it as it was, but for the bytes that it was to write.
pub trait Medium: Debug + Send + Sync + 'static {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }
    /// Fills `out` from `offset`; an error where the medium ends before that.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    /// Writes all of `data` at `offset`.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Makes it longer, with zeros, or shorter. Where there is no room, its length stays as it was.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes it longer where there is no room for it: what is written beyond what it keeps to spare may fail.
    fn stretch(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
    /// Whether bytes that it was stretched over can be written without what is kept for removals: they were written before, or there
    /// is room besides.
    fn has_room(&self, _offset: u64, _len: u64) -> io::Result<bool> {
        Ok(true)
    }
    /// Takes the room that it was stretched over, and what it keeps to spare; an error where there isn't as much.
    fn fill(&self) -> io::Result<()> {
        Ok(())
    }
    /// Returns when what was written is on stable storage.
    fn sync(&self) -> io::Result<()>;
    /// What it takes, and what room there is.
    fn usage(&self) -> io::Result<Usage>;
    /// Forgets what is cached of it, so that what is read next is what stable storage holds.
    fn forget(&self) {}
    /// Lets others have it. Nothing is done with it after that.
    fn release(&self) {}
}

/// A file, locked against other processes by `flock(2)`.
#[derive(Debug)]
pub struct FileMedium {
    file: File,
    /// The length for which every block, and the spare ones, are known to be there.
    filled: AtomicU64,
}

/// Bytes to spare: a transaction that takes a few rows away writes some tens of pages of 4 KiB.
const SPARE: u64 = 1 << 20;

impl FileMedium {
    /// Makes an empty file that only its owner may use, and locks it.
    pub fn create(path: &Path) -> Result<Self, OpenError> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
        Self::lock(path, file.map_err(|error| Self::refusal(path, error))?)
    }

    /// Opens a file that is there, and locks it; changes nothing about it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let io = |error| Self::refusal(path, error);
        loop {
            let medium = Self::lock(path, OpenOptions::new().read(true).write(true).open(path).map_err(io)?)?;
            // Until it was locked, another may have taken its name, as compacting has it.
            let (locked, named) = (medium.file.metadata().map_err(io)?, std::fs::metadata(path).map_err(io)?);
            if (locked.dev(), locked.ino()) == (named.dev(), named.ino()) {
                return Ok(medium);
            }
        }
    }

    fn lock(path: &Path, file: File) -> Result<Self, OpenError> {
        let metadata = file.metadata().map_err(|error| Self::refusal(path, error))?;
        if !metadata.is_file() {
            return Err(OpenError::NotAStore { path: path.into() });
        }
        match file.try_lock() {
            Ok(()) => Ok(Self { file, filled: AtomicU64::new(u64::MAX) }),
            Err(TryLockError::WouldBlock) => {
                Err(OpenError::InUse { path: path.into(), pid: super::open::holder(&metadata) })
            }
            Err(TryLockError::Error(error)) => Err(Self::refusal(path, error)),
        }
    }

    fn refusal(path: &Path, source: io::Error) -> OpenError {
        let path = PathBuf::from(path);
        match source.kind() {
            io::ErrorKind::NotFound => OpenError::Missing { path },
            io::ErrorKind::AlreadyExists => OpenError::Exists { path },
            io::ErrorKind::IsADirectory => OpenError::NotAStore { path },
            _ => OpenError::Io { path, source },
        }
    }

    /// Takes the blocks from one offset to another, making the file longer unless `flags` say otherwise.
    fn allocate(&self, flags: FallocateFlags, from: u64, to: u64) -> io::Result<()> {
        let too_far = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let (offset, len) = (from.try_into().map_err(too_far)?, (to - from).try_into().map_err(too_far)?);
        // A signal may interrupt a long allocation; the next call completes it, whether what it had done was kept.
        for _ in 0..16 {
            match fallocate(&self.file, flags, offset, len) {
                Err(Errno::EINTR) => {}
                done => return done.map_err(io::Error::from),
            }
        }
        Err(Errno::EINTR.into())
    }

    fn take_spare(&self, len: u64) -> io::Result<()> {
        self.allocate(FallocateFlags::FALLOC_FL_KEEP_SIZE, len, len.saturating_add(SPARE))
    }
}

/// Whether a file system can't reserve: lack of room shows at a later write then.
fn cannot_reserve(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EOPNOTSUPP | Errno::ENOSYS))
}

impl Medium for FileMedium {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let now = self.len()?;
        let done = if len > now { self.allocate(FallocateFlags::empty(), now, len) } else { self.file.set_len(len) };
        let (len, done) = match done {
            Err(error) if cannot_reserve(&error) => return self.file.set_len(len),
            // Blocks may have been taken before there were none left.
            Err(error) => (now, self.file.set_len(now).and(Err(error))),
            Ok(()) => (len, Ok(())),
        };
        // Changing the length gives the spare blocks back; where they can't be had, the next `fill` tells.
        let spare = self.take_spare(len);
        self.filled.store(if spare.is_ok() { len } else { u64::MAX }, Ordering::SeqCst);
        done
    }

    fn stretch(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn has_room(&self, offset: u64, len: u64) -> io::Result<bool> {
        let from = offset.try_into().map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        // Where a file system doesn't tell holes, all of a file is none, and a lack of room shows when it is written.
        let hole = lseek(&self.file, from, Whence::SeekHole)?;
        Ok(u64::try_from(hole).is_ok_and(|hole| hole >= offset + len) || self.usage()?.free >= SPARE + len)
    }

    fn fill(&self) -> io::Result<()> {
        let len = self.len()?;
        if self.filled.load(Ordering::SeqCst) == len {
            return Ok(());
        }
        // An allocation that fails half-way keeps what it got: only one that can be completed is begun.
        let usage = self.usage()?;
        if len.saturating_add(SPARE).saturating_sub(usage.size) > usage.free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match self.allocate(FallocateFlags::empty(), 0, len.max(1)).and_then(|()| self.take_spare(len)) {
            Err(error) if !cannot_reserve(&error) => return Err(error),
            _ => {}
        }
        self.filled.store(len, Ordering::SeqCst);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn usage(&self) -> io::Result<Usage> {
        let medium = nix::sys::statvfs::fstatvfs(&self.file)?;
        Ok(Usage {
            // `stat(2)` counts in units of 512 bytes, whatever the file system's own block is.
            size: self.file.metadata()?.blocks() * 512,
            total: medium.blocks() * medium.fragment_size(),
            free: medium.blocks_available() * medium.fragment_size(),
            unused: medium.blocks_free() * medium.fragment_size(),
        })
    }

    fn forget(&self) {
        // Advice only: where it is not taken, what is read next is no worse than before.
        let _ = posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }

    fn release(&self) {
        // Closing the file releases the lock too, but something that still reads may hold it open for longer.
        let _ = self.file.unlock();
    }
}
