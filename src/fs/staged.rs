//! Transactions as directories: what the kernel asks of entries that are staged.
//!
//! Invariants:
//! - Nothing of it is remembered by the kernel, which would not learn of its end.
//! - A staged secret is read, not mapped or spliced: nothing of it gets into the page cache.
//!
//! It deliberately decides nothing about what may be staged and committed: `tree` does.

use std::ffi::OsStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fuser::{FileAttr, FileHandle};

use super::caller::Caller;
use super::control::TRANSACTIONS;
use super::dir::Line;
use super::handle::Handle;
use super::inode::{FLEETING, Inode, file_type};
use super::xattr::{Wish, removing, setting};
use super::{Adapter, SetAttr};
use crate::access::Mode;
use crate::key::Name;
use crate::tree::{Actor, Alteration, AttributeChange, Attributes, Error, OpenMode, Reader, StagedId};

/// An open file of a staged entry.
pub(super) struct StagedFile {
    id: StagedId,
    mode: OpenMode,
    /// Whether it was staged as it was opened.
    made: bool,
    /// Who was let in last, where it is a secret.
    reader: Mutex<Option<Reader>>,
}

impl Adapter {
    pub(super) fn staged_attributes(&self, (id, attributes): (StagedId, Attributes)) -> FileAttr {
        FileAttr { ino: self.root.number(Inode::Staged(id)), ..self.root.attributes(&attributes) }
    }

    /// The transactions that the caller may see.
    pub(super) fn transaction_lines(&self, actor: &dyn Actor) -> Vec<Line> {
        let line = |(name, id): (Name, StagedId)| Line {
            name: name.to_string(),
            inode: Inode::Staged(id),
            kind: fuser::FileType::Directory,
        };
        self.namespace.begun(actor).into_iter().map(line).collect()
    }

    pub(super) fn staged_lines(&self, id: StagedId) -> Result<Vec<Line>, Error> {
        let entries = self.namespace.staged_list(id)?;
        let line = |(name, id, kind): (Name, StagedId, _)| Line {
            name: name.to_string(),
            inode: Inode::Staged(id),
            kind: file_type(kind),
        };
        Ok(entries.into_iter().map(line).collect())
    }

    pub(super) fn above_staged(&self, id: StagedId) -> Result<Inode, Error> {
        Ok(self.namespace.staged_above(id)?.map_or(Inode::Control(TRANSACTIONS), Inode::Staged))
    }

    pub(super) fn open_staged(
        &self,
        actor: &dyn Actor,
        id: StagedId,
        mode: OpenMode,
        made: bool,
    ) -> Result<StagedFile, Error> {
        let reader = self.namespace.stage_open(actor, id, mode)?;
        Ok(StagedFile { id, mode, made, reader: Mutex::new(reader) })
    }

    /// Stages a file and opens it.
    pub(super) fn create_staged(
        &self,
        actor: &dyn Actor,
        parent: StagedId,
        name: &OsStr,
        (mode, umask): (Mode, Mode),
        how: OpenMode,
        exclusive: bool,
    ) -> Result<(FileAttr, Duration, Handle), Error> {
        let name = Name::try_from(name)?;
        let (id, made) = match self.namespace.stage_file(actor, parent, &name, mode, umask) {
            Err(Error::Exists) if !exclusive => (self.namespace.staged_lookup(parent, &name)?.0, false),
            staged => (staged?.0, true),
        };
        if made && exclusive {
            // Who insists on making it knows that it is empty.
            self.namespace.stage_size(actor, id, true, 0)?;
        }
        let file = self.open_staged(actor, id, how, made)?;
        let attributes = self.staged_attributes((id, self.namespace.staged(id)?));
        Ok((attributes, FLEETING, Handle::Staged(file)))
    }

    /// Shows `show` what is staged. `cached` says whether the kernel keeps what it is shown, for a mapping or for others.
    pub(super) fn read_staged(
        &self,
        actor: &dyn Actor,
        file: &StagedFile,
        offset: u64,
        size: u32,
        cached: bool,
        show: impl FnOnce(&[u8]),
    ) -> Result<(), Error> {
        if !file.mode.read {
            return Err(Error::BadHandle);
        }
        if cached && self.namespace.staged(file.id)?.secret {
            return Err(Error::Invalid("what is staged of a secret is read; it is not mapped or spliced"));
        }
        let last = *file.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let ((), reader) = self.namespace.stage_read(actor, file.id, last, offset, size, show)?;
        *file.reader.lock().unwrap_or_else(PoisonError::into_inner) = reader;
        Ok(())
    }

    pub(super) fn write_staged(
        &self,
        actor: &dyn Actor,
        file: &StagedFile,
        offset: u64,
        data: &[u8],
    ) -> Result<(), Error> {
        if !file.mode.write {
            return Err(Error::BadHandle);
        }
        let at = (!file.mode.append).then_some(offset);
        self.namespace.stage_write(actor, file.id, at, file.made, data)
    }

    pub(super) fn set_staged(
        &self,
        caller: &Caller,
        id: StagedId,
        handle: Option<FileHandle>,
        change: SetAttr,
    ) -> Result<FileAttr, Error> {
        let SetAttr { size, mode, owner, group, accessed, modified } = change;
        if let Some(length) = size {
            let handle = handle.and_then(|handle| self.handles.get(handle));
            let made = matches!(handle.as_deref(), Some(Handle::Staged(file)) if file.made);
            self.namespace.stage_size(caller, id, made, length)?;
        }
        if mode.is_some() || owner.is_some() || group.is_some() || accessed.is_some() || modified.is_some() {
            let change = AttributeChange { mode, owner, group, accessed, modified };
            self.namespace.stage_alteration(caller, id, Alteration::Set(change))?;
        }
        Ok(self.staged_attributes((id, self.namespace.staged(id)?)))
    }

    pub(super) fn set_staged_attribute(
        &self,
        actor: &dyn Actor,
        id: StagedId,
        name: &OsStr,
        value: &[u8],
        flags: i32,
    ) -> Result<(), Error> {
        setting(name, value, flags, |wish| match wish {
            Wish::Alter(alteration) => self.namespace.stage_alteration(actor, id, alteration),
            Wish::Remove => self.namespace.stage_removal(actor, id),
            Wish::IfVersion(version) => self.namespace.stage_version(actor, id, version),
        })?;
        // The kernel keeps ACLs, and knows of those alone that it sets itself.
        self.invalidator.attributes(self.root.number(Inode::Staged(id)));
        Ok(())
    }

    pub(super) fn remove_staged_attribute(&self, actor: &dyn Actor, id: StagedId, name: &OsStr) -> Result<(), Error> {
        self.namespace.stage_alteration(actor, id, removing(name)?)
    }
}
