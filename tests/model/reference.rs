//! What the tree must be like, in plain maps: no rows, no keys, no commits.

use std::collections::BTreeMap;

use keyfs::id::Gid;
use keyfs::tree::RenameMode;

use super::LIMIT;

/// How many versions a key keeps.
pub(super) const KEPT: usize = 10;

/// A caller as the model knows it.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<Gid>,
}

impl Who {
    pub(super) fn in_group(&self, group: u32) -> bool {
        self.gid == group || self.groups.contains(&Gid(group))
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Perm {
    pub(super) owner: u32,
    pub(super) group: u32,
    pub(super) mode: u32,
}

impl Perm {
    /// As the kernel asks, root let in.
    pub(super) fn allows(self, who: &Who, want: u32) -> bool {
        let bits = match () {
            () if who.uid == self.owner => self.mode >> 6,
            () if who.in_group(self.group) => self.mode >> 3,
            () => self.mode,
        };
        who.uid == 0 || bits & want == want
    }

    /// As the gate in front of secrets does.
    pub(super) fn gate(self, who: &Who) -> bool {
        who.in_group(self.group) && (self.mode & 0o040 != 0 || (who.uid == self.owner && self.mode & 0o400 != 0))
    }

    pub(super) fn edits(self, who: &Who, secret: bool) -> bool {
        self.allows(who, 6) && (!secret || self.gate(who))
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Stored {
    pub(super) number: u64,
    pub(super) value: Vec<u8>,
    pub(super) perm: Perm,
    /// What is asked besides, where the key was removed or its name was taken over.
    pub(super) left: Option<Left>,
}

/// The key that versions were left behind by: the directory that it was in, none for a root, and its last permissions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Left {
    directory: Option<usize>,
    perm: Perm,
}

#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) secret: bool,
    pub(super) perm: Perm,
    /// The last number of the history that it took up with its name, what is kept of that, and its own versions,
    /// numbered from 1.
    pub(super) base: u64,
    pub(super) past: Vec<Stored>,
    pub(super) own: Vec<Stored>,
}

impl File {
    pub(super) fn version(&self) -> u64 {
        self.base + self.own_number()
    }

    pub(super) fn own_number(&self) -> u64 {
        self.own.last().unwrap().number
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.own.last().unwrap().value
    }

    pub(super) fn all(&self) -> Vec<Stored> {
        let own = self.own.iter().map(|own| Stored { number: self.base + own.number, ..own.clone() });
        self.past.iter().cloned().chain(own).collect()
    }

    pub(super) fn prune(&mut self) {
        while self.past.len() + self.own.len() > KEPT {
            if self.past.is_empty() {
                self.own.remove(0)
            } else {
                self.past.remove(0)
            };
        }
    }

    /// The same value again is no version, unless that would tell somebody who may not read what is there.
    pub(super) fn store(&mut self, who: &Who, value: Vec<u8>) {
        let told = !self.secret || self.perm.gate(who) || value.is_empty();
        if self.value() != value || !told {
            let number = self.own_number() + 1;
            self.own.push(Stored { number, value, perm: self.perm, left: None });
            self.prune();
        }
    }

    pub(super) fn follow(&mut self, past: Vec<Stored>) {
        self.base = past.last().unwrap().number;
        self.past = past;
        self.prune();
    }
}

pub(super) type Path = Vec<&'static str>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Entry {
    Directory(usize),
    File(usize),
}

/// The trees, the files and the directories' permissions that were ever made, and what was left behind under which path.
#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) entries: BTreeMap<Path, Entry>,
    pub(super) files: Vec<File>,
    pub(super) directories: Vec<Perm>,
    pub(super) graves: BTreeMap<Path, Vec<Stored>>,
}

/// Refused, for a reason that the tree names more exactly.
pub(super) type Answer = Result<(), ()>;

pub(super) fn ok_if(condition: bool) -> Answer {
    if condition { Ok(()) } else { Err(()) }
}

impl Model {
    pub(super) fn directory(&self, path: &[&str]) -> bool {
        path.len() == 1 || self.directory_at(path).is_some()
    }

    /// Which directory stands under a path. The roots, which are open to everybody, are none of these.
    fn directory_at(&self, path: &[&str]) -> Option<usize> {
        match self.entries.get(path) {
            Some(Entry::Directory(directory)) => Some(*directory),
            _ => None,
        }
    }

    pub(super) fn directory_perm(&self, path: &[&str]) -> Option<Perm> {
        self.directory_at(path).map(|directory| self.directories[directory])
    }

    /// Whether all directories above a path that are there have a right for somebody.
    pub(super) fn above_allow(&self, who: &Who, path: &[&str], want: u32) -> bool {
        (2..path.len()).filter_map(|length| self.directory_perm(&path[..length])).all(|perm| perm.allows(who, want))
    }

    /// The permissions of what stands under a path.
    pub(super) fn perm(&self, path: &Path) -> Option<Perm> {
        self.directory_perm(path).or_else(|| self.file(path).map(|file| self.files[file].perm))
    }

    pub(super) fn file(&self, path: &Path) -> Option<usize> {
        match self.entries.get(path) {
            Some(Entry::File(file)) => Some(*file),
            _ => None,
        }
    }

    pub(super) fn children(&self, path: &Path) -> impl Iterator<Item = (&Path, &Entry)> {
        let (path, depth) = (path.clone(), path.len() + 1);
        self.entries.iter().filter(move |(inner, _)| inner.len() == depth && inner.starts_with(&path))
    }

    /// Right below a root, only some may take a name away.
    pub(super) fn may_disturb(&self, who: &Who, path: &Path) -> bool {
        let perm = self.perm(path).unwrap();
        let secret = self.file(path).is_some_and(|file| self.files[file].secret);
        path.len() > 2 || who.uid == 0 || who.uid == perm.owner || perm.edits(who, secret)
    }

    pub(super) fn put(&mut self, who: &Who, path: &Path, mode: u32, value: Vec<u8>, append: bool) -> Answer {
        ok_if(self.directory(&path[..path.len() - 1]))?;
        match self.entries.get(path) {
            Some(Entry::Directory(_)) => Err(()),
            Some(Entry::File(file)) => {
                let file = &mut self.files[*file];
                ok_if(file.perm.allows(who, 2))?;
                let appends_nothing = value.is_empty();
                let value = if append { [file.value(), &value].concat() } else { value };
                ok_if(value.len() <= LIMIT)?;
                if !(append && appends_nothing) {
                    file.store(who, value);
                }
                Ok(())
            }
            None => {
                ok_if(value.len() <= LIMIT)?;
                let secret = path[0] == "secrets";
                let mode = if secret { mode & 0o770 } else { mode };
                let perm = Perm { owner: who.uid, group: who.gid, mode };
                let own = vec![Stored { number: 1, value, perm, left: None }];
                let mut file = File { secret, perm, base: 0, past: vec![], own };
                if let Some(grave) = self.graves.remove(path) {
                    file.follow(grave);
                }
                self.entries.insert(path.clone(), Entry::File(self.files.len()));
                self.files.push(file);
                Ok(())
            }
        }
    }

    pub(super) fn truncate(&mut self, who: &Who, path: &Path, length: usize) -> Answer {
        let file = self.file(path).ok_or(())?;
        ok_if(length <= LIMIT)?;
        let mut value = self.files[file].value().to_vec();
        value.resize(length, 0);
        self.files[file].store(who, value);
        Ok(())
    }

    pub(super) fn get(&self, who: &Who, path: &Path) -> Result<Vec<u8>, ()> {
        let file = &self.files[self.file(path).ok_or(())?];
        ok_if(!file.secret || file.perm.gate(who))?;
        Ok(file.value().to_vec())
    }

    pub(super) fn mkdir(&mut self, who: &Who, path: &Path, mode: u32) -> Answer {
        ok_if(self.directory(&path[..path.len() - 1]) && !self.entries.contains_key(path))?;
        self.entries.insert(path.clone(), Entry::Directory(self.directories.len()));
        self.directories.push(Perm { owner: who.uid, group: who.gid, mode });
        Ok(())
    }

    pub(super) fn rmdir(&mut self, who: &Who, path: &Path) -> Answer {
        ok_if(path.len() > 1 && self.directory(path) && self.may_disturb(who, path))?;
        ok_if(self.children(path).next().is_none())?;
        self.entries.remove(path);
        Ok(())
    }

    pub(super) fn remove(&mut self, who: &Who, path: &Path, as_editor: bool) -> Answer {
        let file = self.file(path).ok_or(())?;
        let File { perm, secret, .. } = self.files[file];
        ok_if(if as_editor { perm.edits(who, secret) } else { self.may_disturb(who, path) })?;
        self.graves.insert(path.clone(), self.leave(path, file));
        self.entries.remove(path);
        Ok(())
    }

    pub(super) fn chmod(&mut self, path: &Path, change: impl Fn(&mut Perm)) -> Answer {
        match *self.entries.get(path).ok_or(())? {
            Entry::Directory(directory) => change(&mut self.directories[directory]),
            Entry::File(file) => {
                let file = &mut self.files[file];
                change(&mut file.perm);
                if file.secret {
                    file.perm.mode &= 0o770;
                }
                file.own.last_mut().unwrap().perm = file.perm;
            }
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, who: &Who, from: &Path, to: &Path, how: RenameMode) -> Answer {
        ok_if(from[0] == to[0] && self.directory(&to[..to.len() - 1]))?;
        let source = *self.entries.get(from).ok_or(())?;
        ok_if(self.may_disturb(who, from))?;
        let target = self.entries.get(to).copied();
        ok_if(target.is_none() || self.may_disturb(who, to))?;
        if from == to {
            return ok_if(how != RenameMode::Keep);
        }
        ok_if(!to.starts_with(from))?;
        match (how, source, target) {
            (RenameMode::Keep, _, Some(_)) | (RenameMode::Exchange, _, None) => return Err(()),
            (RenameMode::Exchange, _, Some(_)) => {
                ok_if(!from.starts_with(to))?;
                let (one, other) = (self.take(from), self.take(to));
                self.plant(from, other);
                self.plant(to, one);
                return Ok(());
            }
            (_, Entry::Directory(_), None) => {}
            (_, Entry::Directory(_), Some(_)) => ok_if(self.directory(to) && self.children(to).next().is_none())?,
            (_, Entry::File(_), Some(Entry::Directory(_))) => return Err(()),
            (_, Entry::File(file), _) => {
                let found = match target {
                    Some(Entry::File(target)) => Some(self.leave(to, target)),
                    _ => self.graves.remove(to),
                };
                if let Some(past) = found {
                    if !self.files[file].past.is_empty() {
                        self.graves.insert(from.clone(), self.files[file].past.clone());
                    }
                    self.files[file].follow(past);
                }
            }
        }
        self.entries.remove(to);
        let moved = self.take(from);
        self.plant(to, moved);
        Ok(())
    }

    /// All that a file leaves behind where it is.
    fn leave(&self, path: &Path, file: usize) -> Vec<Stored> {
        let file = &self.files[file];
        let left = Left { directory: self.directory_at(&path[..path.len() - 1]), perm: file.perm };
        let mut all = file.all();
        all.iter_mut().for_each(|stored| _ = stored.left.get_or_insert(left));
        all
    }

    /// Takes an entry out, with all below it.
    pub(super) fn take(&mut self, path: &Path) -> Vec<(Path, Entry)> {
        let taken: Vec<_> =
            self.entries.iter().filter(|(inner, _)| inner.starts_with(path)).map(|(p, e)| (p.clone(), *e)).collect();
        self.entries.retain(|inner, _| !inner.starts_with(path));
        taken.into_iter().map(|(inner, entry)| (inner[path.len()..].to_vec(), entry)).collect()
    }

    pub(super) fn plant(&mut self, path: &Path, what: Vec<(Path, Entry)>) {
        self.entries.extend(what.into_iter().map(|(inner, entry)| ([&path[..], &inner].concat(), entry)));
    }

    /// The versions of a path, and the permissions that rule them now.
    pub(super) fn versions(&self, path: &Path) -> Vec<Stored> {
        match self.entries.get(path) {
            Some(Entry::Directory(_)) => vec![],
            Some(Entry::File(file)) => self.files[*file].all(),
            None => self.graves.get(path).cloned().unwrap_or_default(),
        }
    }

    pub(super) fn old(&self, who: &Who, path: &Path, number: u64) -> Result<Vec<u8>, ()> {
        let versions = self.versions(path);
        let newest = versions.last().ok_or(())?;
        let then = versions.iter().find(|stored| stored.number == number).ok_or(())?;
        let secret = path[0] == "secrets";
        ok_if([newest, then].iter().all(|stored| {
            let perm = stored.perm;
            perm.allows(who, 4)
                && (!secret || perm.gate(who))
                && stored.left.is_none_or(|left| self.may_look_back(who, left, secret))
        }))?;
        ok_if(self.above_allow(who, path, 1))?;
        Ok(then.value.clone())
    }

    /// What was left behind stays behind its directory, wherever that was moved to. Where it was removed, that is for few.
    fn may_look_back(&self, who: &Who, left: Left, secret: bool) -> bool {
        let Left { directory: Some(directory), perm } = left else { return true };
        match self.entries.iter().find(|(_, entry)| **entry == Entry::Directory(directory)) {
            Some((path, _)) => self.directories[directory].allows(who, 1) && self.above_allow(who, path, 1),
            None => who.uid == 0 || who.uid == perm.owner || (who.in_group(perm.group) && perm.edits(who, secret)),
        }
    }
}
