//! A store's rows, packed into a new file that takes the place of the old one.
//!
//! redb's own compaction moves pages together and leaves each as full as it is, which after a while is two thirds. Written in
//! order into a new file they are full, so this is what is done: rows, revisions and ledger as they are, byte for byte.
//!
//! Invariants:
//! - Under the store's name there is the old file, or the new one once it is whole and on stable storage; never anything else.
//! - Both files are this process's alone until the names are settled.
//!
//! It deliberately takes no key: a ledger that did not agree before doesn't afterwards.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::RedbStore;
use super::engine::{Engine, Refusal};
use super::medium::{FileMedium, Medium};
use super::open::OpenError;

/// What a file may take beyond its rows, in parts of a hundred, and what it takes at least.
const OVERHEAD_PERCENT: u64 = 20;
const LEAST: u64 = 4 << 20;

/// What became of a store's file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Compacted {
    /// Its length before, in bytes.
    pub before: u64,
    /// Its length now. The same where it was as small as it gets.
    pub after: u64,
}

/// Packs the store in a file. No daemon may have it; while it is packed, none gets it.
///
/// It takes room for the packed file beside the old one.
pub fn compact(path: &Path) -> Result<Compacted, OpenError> {
    let io = |source| OpenError::Io { path: path.into(), source };
    // The file itself is replaced, not a link that leads to it.
    let path = &match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(OpenError::Missing { path: path.into() }),
        Err(error) => return Err(io(error)),
    };
    let medium = Arc::new(FileMedium::open(path)?);
    let before = medium.len().map_err(io)?;
    let mut tried = RedbStore::try_out_on(medium.clone(), path)?;
    tried.check()?;
    room(&tried.store(), &medium).map_err(io)?;
    let partial = beside(path);
    // What an earlier attempt left: whoever has the store's lock is the only one to make it.
    remove(&partial).map_err(io)?;
    let packed = pack(&tried.store(), path, &partial).and_then(|packed| {
        let after = packed.len().map_err(io)?;
        if after < before {
            settle(path, &partial).map_err(io)?;
        }
        Ok((packed, after))
    });
    match packed {
        Ok((_, after)) if after < before => Ok(Compacted { before, after }),
        Ok(_) => remove(&partial).map(|()| Compacted { before, after: before }).map_err(io),
        Err(error) => {
            // What can't be removed now is at the next attempt.
            let _ = remove(&partial);
            Err(error)
        }
    }
}

/// The name under which the new file is written.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".compacting");
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Sees that there is room, so that the disk is not filled up for others before it is found that there isn't.
fn room(store: &RedbStore, medium: &FileMedium) -> io::Result<()> {
    let rows = store.engine.view().bytes().map_err(|trouble| Refusal::from(trouble).into_io())?;
    let (needed, free) = (rows + rows / 100 * OVERHEAD_PERCENT + LEAST, medium.usage()?.free);
    if needed <= free {
        return Ok(());
    }
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let what = format!("packing it takes {} MiB beside it, and {} MiB are free", mebibytes(needed), free >> 20);
    Err(io::Error::new(io::ErrorKind::StorageFull, what))
}

/// Writes the new file, and sees that it holds what the old one does.
fn pack(store: &RedbStore, path: &Path, partial: &Path) -> Result<FileMedium, OpenError> {
    let view = store.engine.view();
    let about = |refusal: Refusal| refusal.about(path);
    Engine::pack(&view, Arc::new(FileMedium::create(partial)?)).map_err(about)?;
    let medium = Arc::new(FileMedium::open(partial)?);
    let packed = Engine::keep(medium).map_err(about)?;
    let same = packed.view().equals(&view).map_err(|trouble| about(trouble.into()))?;
    packed.close();
    drop(packed);
    if !same {
        return Err(about(Refusal::Damaged("what was packed is not what was there".into())));
    }
    FileMedium::open(partial)
}

/// Gives the new file the old one's owner and mode, and its name.
fn settle(path: &Path, partial: &Path) -> io::Result<()> {
    let (old, new) = (fs::metadata(path)?, File::open(partial)?);
    let is = new.metadata()?;
    if (is.uid(), is.gid()) != (old.uid(), old.gid()) {
        std::os::unix::fs::fchown(&new, Some(old.uid()), Some(old.gid()))?;
    }
    new.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
    new.sync_all()?;
    fs::rename(partial, path)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    File::open(directory)?.sync_all()
}
