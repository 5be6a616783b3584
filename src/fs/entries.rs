//! Names: to make, remove and rename one, of an entry, a transaction or what is staged in one.
//!
//! Invariant: a transaction's commit is answered once the kernel knows of its changes, so that whoever looks then sees them.
//!
//! It deliberately has no rules of its own: `tree` has them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use fuser::{FileAttr, INodeNo, RenameFlags, Request};

use super::caller::Caller;
use super::control::{COMMIT, TRANSACTIONS};
use super::inode::Inode;
use super::{Adapter, CONTROL};
use crate::access::{Kind, Mode};
use crate::key::Name;
use crate::tree::{Committed, Error, RenameMode};

impl Adapter {
    pub(super) fn make_file(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        (mode, umask): (u32, u32),
    ) -> Result<(FileAttr, bool), Error> {
        if mode & libc::S_IFMT != libc::S_IFREG {
            return Err(Error::NotPermitted("a key is a file or a directory, and nothing else"));
        }
        let (caller, mode, umask) = (Caller::of(request), Mode::from_bits(mode), Mode::from_bits(umask));
        if let Inode::Staged(id) = self.root.inode(parent) {
            let staged = self.namespace.stage_file(&caller, id, &Name::try_from(name)?, mode, umask)?;
            return Ok((self.staged_attributes(staged), false));
        }
        let (parent, name) = self.seat(parent, name)?;
        let attributes = self.namespace.make_file(&caller, parent, &name, mode, umask)?;
        Ok((self.root.attributes(&attributes), attributes.lasting))
    }

    pub(super) fn make_directory(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        (mode, umask): (u32, u32),
    ) -> Result<(FileAttr, bool), Error> {
        let (caller, mode, umask) = (Caller::of(request), Mode::from_bits(mode), Mode::from_bits(umask));
        let staged = match self.root.inode(parent) {
            Inode::Control(TRANSACTIONS) => {
                let only = self.info.environment.as_ref().map(|_| self.root.0);
                self.namespace.begin(&caller, &Name::try_from(name)?, only)?
            }
            Inode::Staged(id) => self.namespace.stage_directory(&caller, id, &Name::try_from(name)?, mode, umask)?,
            Inode::Control(_) | Inode::Node(_) => {
                let (parent, name) = self.seat(parent, name)?;
                let attributes = self.namespace.make_directory(&caller, parent, &name, mode, umask)?;
                return Ok((self.root.attributes(&attributes), attributes.lasting));
            }
        };
        Ok((self.staged_attributes(staged), false))
    }

    pub(super) fn remove_file(&self, request: &Request, parent: INodeNo, name: &OsStr) -> Result<(), Error> {
        if let Inode::Staged(id) = self.root.inode(parent) {
            return self.namespace.unstage(&Caller::of(request), id, &Name::try_from(name)?, Kind::File);
        }
        let (parent, name) = self.seat(parent, name)?;
        self.namespace.remove_file(&Caller::of(request), parent, &name).map(drop)
    }

    pub(super) fn remove_directory(&self, request: &Request, parent: INodeNo, name: &OsStr) -> Result<(), Error> {
        match self.root.inode(parent) {
            Inode::Control(TRANSACTIONS) => self.namespace.end(&Name::try_from(name)?),
            Inode::Staged(id) => {
                self.namespace.unstage(&Caller::of(request), id, &Name::try_from(name)?, Kind::Directory)
            }
            Inode::Control(_) | Inode::Node(_) => {
                let (parent, name) = self.seat(parent, name)?;
                self.namespace.remove_directory(&Caller::of(request), parent, &name).map(drop)
            }
        }
    }

    pub(super) fn rename(
        &self,
        request: &Request,
        (parent, name): (INodeNo, &OsStr),
        (new_parent, new_name): (INodeNo, &OsStr),
        flags: RenameFlags,
    ) -> Result<(), Error> {
        let mode = match flags {
            RenameFlags::RENAME_NOREPLACE => RenameMode::Keep,
            RenameFlags::RENAME_EXCHANGE => RenameMode::Exchange,
            flags if flags.is_empty() => RenameMode::Replace,
            _ => return Err(Error::Invalid("of the flags, RENAME_NOREPLACE or RENAME_EXCHANGE are known")),
        };
        let caller = Caller::of(request);
        match (self.root.inode(parent), self.root.inode(new_parent)) {
            (Inode::Node(_), Inode::Node(_)) => {
                let (from, to) = (self.seat(parent, name)?, self.seat(new_parent, new_name)?);
                self.namespace.rename(&caller, (from.0, &from.1), (to.0, &to.1), mode)
            }
            (Inode::Control(TRANSACTIONS), Inode::Control(COMMIT)) => {
                let committed = self.namespace.commit_transaction(&caller, &Name::try_from(name)?)?;
                self.tell(&committed);
                Ok(())
            }
            (Inode::Staged(from), Inode::Staged(to)) if mode != RenameMode::Exchange => {
                let (name, new_name) = (Name::try_from(name)?, Name::try_from(new_name)?);
                self.namespace.stage_rename(&caller, (from, &name), (to, &new_name), mode == RenameMode::Keep)
            }
            // `mv` takes it for another file system, and copies.
            (Inode::Staged(_), _) | (_, Inode::Staged(_)) => Err(Error::CrossTree),
            _ => Err(CONTROL),
        }
    }

    /// Tells the kernel what a commit has changed behind its back.
    fn tell(&self, committed: &Committed) {
        let number = |id| self.root.number(Inode::Node(id));
        for id in &committed.changed {
            self.invalidator.attributes(number(*id));
            self.invalidator.permissions(number(*id));
        }
        let mut names: BTreeMap<u64, Vec<OsString>> = BTreeMap::new();
        let made = committed.made.iter().map(|(parent, name)| (parent, name));
        // That there is no such name it may have remembered, too.
        for (parent, name) in made.chain(committed.removed.iter().map(|(parent, name, _)| (parent, name))) {
            names.entry(number(*parent).0).or_default().push(name.as_str().into());
        }
        let gone = committed.removed.iter().map(|(.., id)| number(*id));
        gone.clone().for_each(|number| self.invalidator.attributes(number));
        self.invalidator.names(names, gone);
    }
}
