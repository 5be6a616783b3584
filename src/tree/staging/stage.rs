//! Staging: what somebody does in a transaction before it is committed.

use super::super::create::new_node;
use super::super::open::OpenMode;
use super::super::row::{Node, Place};
use super::super::{Actor, Alteration, Attributes, Error, Namespace, creator, with_groups};
use super::value::Staging;
use super::{PRIVATE, Share, Staged, StagedId, Tables, attributes, look, without_value};
use crate::access::gate;
use crate::access::{Kind, Mode, Permissions, create};
use crate::id::{Gid, NodeId, Uid, Version};
use crate::key::Name;
use crate::tree::attributes::{Change, SetTime};

const READ_ALONE: Error = Error::Denied("what a commit failed for is for reading alone");

/// Who has read a staged secret through an open file last, and was let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reader {
    thread: u32,
    uid: Uid,
    gid: Gid,
}

impl Reader {
    fn of(actor: &dyn Actor) -> Reader {
        Reader { thread: actor.thread(), uid: actor.uid(), gid: actor.gid() }
    }
}

impl Namespace {
    /// Stages a directory: one that is there already, as what it is, or one that is to be made.
    pub fn stage_directory(
        &self,
        actor: &dyn Actor,
        parent: StagedId,
        name: &Name,
        mode: Mode,
        umask: Mode,
    ) -> Result<(StagedId, Attributes), Error> {
        self.stage(actor, parent, name, Kind::Directory, mode, umask)
    }

    /// Stages a file: one that is there already, with its permissions and attributes, or one that is to be made.
    pub fn stage_file(
        &self,
        actor: &dyn Actor,
        parent: StagedId,
        name: &Name,
        mode: Mode,
        umask: Mode,
    ) -> Result<(StagedId, Attributes), Error> {
        self.stage(actor, parent, name, Kind::File, mode, umask)
    }

    fn stage(
        &self,
        actor: &dyn Actor,
        parent: StagedId,
        name: &Name,
        kind: Kind,
        mode: Mode,
        umask: Mode,
    ) -> Result<(StagedId, Attributes), Error> {
        let now = self.clock.now();
        let (transaction, above, seat) = {
            let mut tables = self.transactions.tables();
            tables.touch(actor, parent, now)?;
            let above = tables.entry(parent)?;
            if above.node.kind == Kind::File {
                return Err(Error::NotADirectory);
            }
            if above.children.contains_key(name) {
                return Err(Error::Exists);
            }
            (above.transaction, above.node.clone(), above.real.as_ref().map(|real| real.id))
        };
        let Place::In(..) = above.place else {
            return Err(Error::NotPermitted("keys stand in an environment's `variables` and `secrets`"));
        };
        // What is made in a directory that is there gets what that one gives it.
        let (real, giver) = match seat {
            Some(parent) => look(&self.view()?, actor, parent, name)?,
            None => (None, above.permissions),
        };
        let entry = match (real, kind) {
            (Some(real), Kind::File) if real.node.kind == Kind::File => {
                Staged::new(transaction, parent, real.node.clone(), Some(real))
            }
            (Some(real), Kind::Directory) if real.node.kind == Kind::Directory => {
                let permissions = Permissions::new(actor.uid(), actor.gid(), PRIVATE);
                Staged::standing(transaction, parent, real, permissions)
            }
            (Some(_), Kind::Directory) => return Err(Error::Exists),
            (Some(_), Kind::File) => return Err(Error::IsADirectory),
            (None, kind) => {
                let (creator, secret) = (creator(actor, &giver), above.place.is_secret());
                let permissions = create::new_entry(&giver, &creator, mode, umask, kind, secret);
                Staged::new(
                    transaction,
                    parent,
                    new_node(kind, above.place, NodeId::ROOT, name, permissions, now),
                    None,
                )
            }
        };
        let mut tables = self.transactions.tables();
        let id = tables.insert(entry)?;
        Ok((id, attributes(tables.entry(id)?)))
    }

    /// Opens a staged file. What is read or written through it is what is staged, at once.
    pub fn stage_open(&self, actor: &dyn Actor, id: StagedId, mode: OpenMode) -> Result<Option<Reader>, Error> {
        let now = self.clock.now();
        let (node, address) = {
            let mut tables = self.transactions.tables();
            tables.touch(actor, id, now)?;
            let entry = tables.entry(id)?;
            if entry.node.kind == Kind::Directory {
                return Err(Error::IsADirectory);
            }
            if entry.node.place == Place::Root && (mode.write || mode.truncate) {
                return Err(READ_ALONE);
            }
            if mode.read && entry.real.is_some() && matches!(entry.value, Staging::Kept | Staging::Appended(_)) {
                // Whoever takes it for the value must not find it empty.
                if !mode.truncate {
                    return Err(Error::NothingStaged);
                }
            }
            (entry.node.clone(), tables.address(id))
        };
        let mut reader = None;
        if mode.read && node.place.is_secret() {
            let question = |caller: &crate::access::Caller<'_>| gate::read(&node.permissions, caller, NodeId::ROOT);
            drop(self.ask(actor, || address, None, question)?);
            reader = Some(Reader::of(actor));
        }
        if mode.truncate {
            self.stage_size(actor, id, false, 0)?;
        }
        Ok(reader)
    }

    /// Shows `show` what is staged of a value from `offset` on, at most `size` bytes. `last` is who was let in last.
    pub fn stage_read<T>(
        &self,
        actor: &dyn Actor,
        id: StagedId,
        last: Option<Reader>,
        offset: u64,
        size: u32,
        show: impl FnOnce(&[u8]) -> T,
    ) -> Result<(T, Option<Reader>), Error> {
        let (node, address) = {
            let mut tables = self.transactions.tables();
            tables.touch(actor, id, self.clock.now())?;
            let entry = tables.entry(id)?;
            (entry.node.clone(), entry.is_secret().then(|| tables.address(id)))
        };
        let mut reader = last;
        if let Some(address) = address {
            let question = |caller: &crate::access::Caller<'_>| gate::read(&node.permissions, caller, NodeId::ROOT);
            // The same reader under the same answer is no new decision; everything else goes on record.
            if last != Some(Reader::of(actor)) || with_groups(actor, question).is_err() {
                drop(self.ask(actor, || address, None, question)?);
            }
            reader = Some(Reader::of(actor));
        }
        let tables = self.transactions.tables();
        let bytes: &[u8] = match &tables.entry(id)?.value {
            Staging::Whole(bytes) => bytes,
            Staging::Kept | Staging::Appended(_) => &[],
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(size as usize).min(bytes.len());
        Ok((show(bytes.get(start..end).unwrap_or_default()), reader))
    }

    /// Puts `data` at an offset of what is staged, or at its end. Whoever has just made a file takes it for an empty one, also where
    /// it stands for one that is there: `made` says so.
    pub fn stage_write(
        &self,
        actor: &dyn Actor,
        id: StagedId,
        at: Option<u64>,
        made: bool,
        data: &[u8],
    ) -> Result<(), Error> {
        self.change_value(actor, id, |entry, limit| {
            if made && at.is_some() {
                entry.value.begin(entry.is_secret());
            }
            let start = at.unwrap_or(entry.value.len());
            if start.checked_add(data.len() as u64).is_none_or(|end| end > limit) {
                return Err(Error::ValueTooLarge(limit));
            }
            let (secret, exists) = (entry.is_secret(), entry.real.is_some());
            entry.value.write(secret, exists, at, data)
        })
    }

    /// Gives what is staged of a value another length.
    pub fn stage_size(&self, actor: &dyn Actor, id: StagedId, made: bool, length: u64) -> Result<(), Error> {
        self.change_value(actor, id, |entry, limit| {
            if made {
                entry.value.begin(entry.is_secret());
            }
            if length > limit {
                return Err(Error::ValueTooLarge(limit));
            }
            let (secret, exists) = (entry.is_secret(), entry.real.is_some());
            entry.value.resize(secret, exists, length)
        })
    }

    fn change_value(
        &self,
        actor: &dyn Actor,
        id: StagedId,
        change: impl FnOnce(&mut Staged, u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let limit = self.limits.value;
        let mut tables = self.transactions.tables();
        tables.touch(actor, id, now)?;
        let change = |entry: &mut Staged| {
            if entry.node.kind == Kind::Directory {
                return Err(Error::IsADirectory);
            }
            if entry.node.place == Place::Root {
                return Err(READ_ALONE);
            }
            if entry.removal {
                return Err(Error::Invalid(
                    "the entry is staged to be removed; unlink it here to stage something else",
                ));
            }
            change(entry, limit)?;
            (entry.node.modified, entry.node.changed, entry.modified) = (now, now, None);
            Ok(())
        };
        tables.revise(id, change, without_value)
    }

    /// Stages a change of an entry's attributes.
    pub fn stage_alteration(&self, actor: &dyn Actor, id: StagedId, alteration: Alteration<'_>) -> Result<(), Error> {
        let now = self.clock.now();
        let before = {
            let mut tables = self.transactions.tables();
            tables.touch(actor, id, now)?;
            let entry = tables.entry(id)?;
            if entry.node.place == Place::Root || (entry.node.kind == Kind::Directory && entry.real.is_some()) {
                // Who means to have made it is to notice that somebody else has.
                return Err(Error::Conflict("a directory that is there already is changed in place".into()));
            }
            entry.node.clone()
        };
        // Whom the node is of plays no part in the answer.
        let node = self.altered(actor, NodeId::ROOT, &before, alteration)?;
        let mut tables = self.transactions.tables();
        let alter = |entry: &mut Staged| {
            entry.node = Node { modified: node.modified.max(entry.node.modified), ..node };
            if let Alteration::Set(Change { modified: Some(SetTime::To(time)), .. }) = alteration {
                (entry.node.modified, entry.modified) = (time, Some(time));
            }
            Ok(())
        };
        tables.revise(id, alter, |entry| entry.node = before)
    }

    /// Stages the removal of the entry that a staged one stands for.
    pub fn stage_removal(&self, actor: &dyn Actor, id: StagedId) -> Result<(), Error> {
        let mut tables = self.transactions.tables();
        tables.touch(actor, id, self.clock.now())?;
        let remove = |entry: &mut Staged| {
            if entry.real.is_none() {
                return Err(Error::Invalid("there is no such entry to remove; unlink what is staged instead"));
            }
            if entry.is_fixed() {
                return Err(Error::NotPermitted("environments and their trees are not removed in a transaction"));
            }
            (entry.removal, entry.value) = (true, Staging::Kept);
            Ok(())
        };
        tables.revise(id, remove, |_| ())
    }

    /// Has the commit insist on the version that a staged file replaces; 0 for none.
    pub fn stage_version(&self, actor: &dyn Actor, id: StagedId, version: Version) -> Result<(), Error> {
        let mut tables = self.transactions.tables();
        tables.touch(actor, id, self.clock.now())?;
        let entry = tables.entry_mut(id)?;
        if entry.node.kind == Kind::Directory {
            return Err(Error::IsADirectory);
        }
        entry.if_version = Some(version);
        Ok(())
    }

    /// Takes a staged name back. The superuser may too: so is a transaction that was left taken away.
    pub fn unstage(&self, actor: &dyn Actor, parent: StagedId, name: &Name, kind: Kind) -> Result<(), Error> {
        let mut tables = self.transactions.tables();
        if actor.uid() != Uid::ROOT {
            tables.touch(actor, parent, self.clock.now())?;
        }
        let id = *tables.entry(parent)?.children.get(name).ok_or(Error::NotFound)?;
        let entry = tables.entry(id)?;
        match (kind, entry.node.kind) {
            (Kind::File, Kind::Directory) => return Err(Error::IsADirectory),
            (Kind::Directory, Kind::File) => return Err(Error::NotADirectory),
            (Kind::Directory, Kind::Directory) if !entry.children.is_empty() => return Err(Error::NotEmpty),
            _ => {}
        }
        let transaction = entry.transaction;
        if tables.transactions.get(&transaction).is_none_or(|transaction| transaction.busy) {
            return Err(Error::Busy);
        }
        let Some(removed) = tables.remove(id) else { return Err(Error::Gone) };
        tables.uncount(transaction, &removed);
        Ok(())
    }

    /// Gives a staged value another name in its tree, as programs do that write a file anew beside the old one. Other entries
    /// are on another file system, as far as renaming goes.
    pub fn stage_rename(
        &self,
        actor: &dyn Actor,
        (parent, name): (StagedId, &Name),
        (new_parent, new_name): (StagedId, &Name),
        keep: bool,
    ) -> Result<(), Error> {
        let (id, target) = {
            let tables = self.transactions.tables();
            let id = *tables.entry(parent)?.children.get(name).ok_or(Error::NotFound)?;
            let (entry, above) = (tables.entry(id)?, tables.entry(new_parent)?);
            let whole = matches!(entry.value, Staging::Whole(_));
            if entry.node.place != above.node.place || entry.transaction != above.transaction || !whole {
                return Err(Error::CrossTree);
            }
            (id, above.children.get(new_name).copied())
        };
        if target == Some(id) {
            return Ok(());
        }
        if let Some(target) = target {
            if keep {
                return Err(Error::Exists);
            }
            if self.transactions.tables().entry(target)?.node.kind == Kind::Directory {
                return Err(Error::IsADirectory);
            }
            self.unstage(actor, new_parent, new_name, Kind::File)?;
        }
        // The new name is staged as any other, and gets the value. A new entry keeps what it was given.
        let (new, _) = self.stage_file(actor, new_parent, new_name, Mode::from_bits(0o600), Mode::from_bits(0))?;
        let mut tables = self.transactions.tables();
        let Some(mut moved) = tables.remove(id) else { return Err(Error::Gone) };
        tables.uncount(moved.transaction, &moved);
        let take = |entry: &mut Staged| {
            entry.value = std::mem::replace(&mut moved.value, Staging::Kept);
            entry.modified = moved.modified;
            if entry.real.is_none() && moved.real.is_none() {
                entry.node = Node { name: entry.node.name.clone(), ..moved.node };
            }
            Ok(())
        };
        tables.revise(new, take, without_value)
    }
}

impl Tables {
    /// Takes an entry off what its transaction counts.
    fn uncount(&mut self, transaction: StagedId, removed: &Staged) {
        // Less is never refused.
        let _ = self.spend(transaction, removed.share(), Share::default());
    }
}
