//! The tree under operations of several callers, with commits that fail and daemons that begin anew in between. After each
//! operation every row is looked at, what is listed is what the rows say, and the gate lets in whom its rule lets in.

mod check;
mod transaction;

use std::collections::BTreeMap;
use std::sync::Arc;

use keyfs::access::{Acl, Mode, Rights};
use keyfs::id::{Gid, NodeId, Uid};
use keyfs::key::{Name, Tree};
use keyfs::store::CommitError;
use keyfs::store::fault::Fault;
use keyfs::tree::{Alteration, AttributeChange, Error, OpenFile, OpenMode, RenameMode};

use super::input::Input;
use super::world::{CALLERS, LIMIT, STEP, Who, World, name};

pub(super) const READ: OpenMode = OpenMode { read: true, write: false, append: false, truncate: false };
const NAMES: [&str; 3] = ["a", "b", "c"];

/// A file that is open, and what it showed at first if it is only read.
struct Held {
    file: Arc<OpenFile>,
    node: NodeId,
    shown: Option<Vec<u8>>,
}

struct Course<'i> {
    world: World,
    choices: Input<'i>,
    held: Vec<Held>,
    /// What each file was last told to hold, where nothing is in doubt.
    values: BTreeMap<NodeId, Vec<u8>>,
    puts: u8,
}

/// See the module.
pub fn run(input: &[u8]) {
    let mut course =
        Course { world: World::new(), choices: Input(input), held: Vec::new(), values: BTreeMap::new(), puts: 0 };
    while let Some(answer) = course.step() {
        match &answer {
            Err(Error::Tampered(_) | Error::Busy) => panic!("{answer:?}"),
            // The store's own failures are those that were planned.
            Err(Error::Store(text)) => assert!(text.contains("as planned"), "{text}"),
            _ => {}
        }
        check::whole(&course.world);
        course.held.iter().for_each(|held| still(&course.world, held));
    }
    let Course { world, held, .. } = course;
    held.iter().for_each(|held| drop(world.ns.release(&held.file)));
    check::whole(&world);
    assert_eq!(world.ns.totals().open_files, 0);
}

/// A directory, and a name in it.
type Seat = (NodeId, Name);

impl Course<'_> {
    /// A seat in either tree, up to three directories down; those above it are there.
    fn seat(&mut self) -> Option<Seat> {
        let byte = self.choices.byte()?;
        let mut parent = self.world.root(Tree::ALL[usize::from(byte & 1)]);
        for _ in 0..(byte >> 1) % 4 {
            let next = name(self.choices.pick(&NAMES)?);
            match self.world.ns.lookup(parent, &next) {
                Ok(found) if self.world.ns.list(found.node).is_ok() => parent = found.node,
                _ => return Some((parent, next)),
            }
        }
        Some((parent, name(self.choices.pick(&NAMES)?)))
    }

    fn node(&mut self) -> Option<Result<NodeId, Error>> {
        let (parent, name) = self.seat()?;
        Some(self.world.ns.lookup(parent, &name).map(|found| found.node))
    }

    /// One operation; `None` where the input ends.
    fn step(&mut self) -> Option<Result<(), Error>> {
        let who = self.choices.pick(&CALLERS)?;
        let kind = self.choices.below(16)?;
        Some(match kind {
            0..=2 => self.put(&who)?,
            3 => self.get(&who)?,
            4 => self.make_directory(&who)?,
            5 | 6 => self.remove(&who, kind == 6)?,
            7 | 8 => self.rename(&who)?,
            9 => self.change(&who)?,
            10 => self.truncate(&who)?,
            11 => self.hold(&who)?,
            12 => self.write_held(&who)?,
            13 => self.release()?,
            14 => self.plan()?,
            _ => self.extra(who)?,
        })
    }

    /// `> key` with a value that no other put has.
    fn put(&mut self, who: &Who) -> Option<Result<(), Error>> {
        let (parent, name) = self.seat()?;
        let mode = self.choices.pick(&[0o640, 0o660, 0o600, 0o444, 0o2770, 0o040])?;
        let length = self.choices.below((LIMIT / STEP) as usize + 2)? * STEP as usize;
        self.puts = self.puts.wrapping_add(1);
        let value = vec![self.puts; length];
        let how = OpenMode { read: false, write: true, append: false, truncate: true };
        let ns = &self.world.ns;
        let (node, file) = match ns.create(who, parent, &name, (Mode::from_bits(mode), Mode::from_bits(0)), how, false)
        {
            Ok((found, file)) => (found.node, file),
            Err(error) => return Some(Err(error)),
        };
        let (one, other) = value.split_at(length / 2);
        let written = ns.write(&file, 0, one).and_then(|()| ns.write(&file, one.len() as u64, other));
        let flushed = ns.flush(who, &file);
        ns.release(&file);
        let answer = written.and(flushed);
        let held = self.held.iter().any(|held| held.node == node && held.file.mode().write);
        match &answer {
            // An empty value waits for the writer's last descriptor, and another handle may commit after that; so may one that
            // is held, also with a rename.
            Ok(()) if !value.is_empty() && !held => drop(self.values.insert(node, value)),
            Ok(()) | Err(Error::Store(_)) => drop(self.values.remove(&node)),
            Err(_) => {}
        }
        Some(answer)
    }

    fn get(&mut self, who: &Who) -> Option<Result<(), Error>> {
        let node = match self.node()? {
            Ok(node) => node,
            Err(error) => return Some(Err(error)),
        };
        check::gate(&self.world, node);
        let found = read(&self.world, who, node);
        if let (Ok(found), Some(value)) = (&found, self.values.get(&node)) {
            assert_eq!(found, value, "what was last put");
        }
        Some(found.map(drop))
    }

    fn make_directory(&mut self, who: &Who) -> Option<Result<(), Error>> {
        let (parent, name) = self.seat()?;
        let mode = self.choices.pick(&[0o755, 0o2775, 0o700])?;
        Some(self.world.ns.make_directory(who, parent, &name, Mode::from_bits(mode), Mode::from_bits(0)).map(drop))
    }

    fn remove(&mut self, who: &Who, as_editor: bool) -> Option<Result<(), Error>> {
        let (parent, name) = self.seat()?;
        let ns = &self.world.ns;
        Some(match ns.lookup(parent, &name) {
            Ok(found) if as_editor => ns.remove_by_editor(who, found.node).map(drop),
            Ok(found) if ns.list(found.node).is_ok() => ns.remove_directory(who, parent, &name).map(drop),
            Ok(_) => ns.remove_file(who, parent, &name).map(drop),
            Err(error) => Err(error),
        })
    }

    fn rename(&mut self, who: &Who) -> Option<Result<(), Error>> {
        let (from, to) = (self.seat()?, self.seat()?);
        let how =
            self.choices.pick(&[RenameMode::Replace, RenameMode::Replace, RenameMode::Keep, RenameMode::Exchange])?;
        Some(self.world.ns.rename(who, (from.0, &from.1), (to.0, &to.1), how))
    }

    fn change(&mut self, who: &Who) -> Option<Result<(), Error>> {
        let node = match self.node()? {
            Ok(node) => node,
            Err(error) => return Some(Err(error)),
        };
        let number = self.choices.word()?;
        let mut change = AttributeChange::default();
        match number % 4 {
            0 => change.mode = Some(Mode::from_bits(number >> 2)),
            1 => change.group = Some(Gid(10 * (1 + (number >> 2) % 3))),
            2 => change.owner = Some(Uid((number >> 2) % 4)),
            _ => {
                let rights = |shift: u32| Rights::from_bits((number >> shift) as u8);
                let groups = vec![(Gid(10 * (1 + (number >> 2) % 3)), rights(4))];
                let list =
                    Acl::new(rights(7), vec![], rights(10), groups, Some(rights(13)), rights(16)).expect("a list");
                return Some(self.world.ns.alter(who, node, Alteration::AccessAcl(Some(&list))));
            }
        }
        let answer = self.world.ns.alter(who, node, Alteration::Set(change));
        if answer.is_ok() && self.world.ns.version(node).is_ok_and(|version| version.is_some()) {
            check::gate(&self.world, node);
        }
        Some(answer)
    }

    /// `truncate(2)`.
    fn truncate(&mut self, who: &Who) -> Option<Result<(), Error>> {
        let node = match self.node()? {
            Ok(node) => node,
            Err(error) => return Some(Err(error)),
        };
        let length = u64::from(self.choices.byte()?) % (LIMIT / STEP + 2) * STEP;
        let answer = self.world.ns.truncate_closed(who, node, length);
        if !matches!(answer, Err(Error::ValueTooLarge(_) | Error::IsADirectory)) {
            self.values.remove(&node);
        }
        Some(answer)
    }

    /// Opens a file and keeps it.
    fn hold(&mut self, who: &Who) -> Option<Result<(), Error>> {
        let node = match self.node()? {
            Ok(node) => node,
            Err(error) => return Some(Err(error)),
        };
        let bits = self.choices.byte()?;
        let mode =
            OpenMode { read: bits & 1 == 0, write: bits & 2 != 0, append: bits & 4 != 0, truncate: bits & 8 != 0 };
        let mode = if mode.write { mode } else { READ };
        if self.held.len() >= 4 {
            return Some(Ok(()));
        }
        let file = match self.world.ns.open(who, node, mode) {
            Ok(file) => file,
            Err(error) => return Some(Err(error)),
        };
        let shown = if mode.write { None } else { everything(&self.world, who, &file).ok() };
        if mode.write {
            self.values.remove(&node);
        }
        self.held.push(Held { file, node, shown });
        Some(Ok(()))
    }

    /// Writes to an open file, cuts it, or has it stored.
    fn write_held(&mut self, who: &Who) -> Option<Result<(), Error>> {
        let place = self.choices.below(4)?;
        let how = self.choices.byte()?;
        let Some(Held { file, node, .. }) = self.held.get(place) else { return Some(Ok(())) };
        self.values.remove(node);
        let ns = &self.world.ns;
        Some(match how % 4 {
            0 => ns.write(file, u64::from(how >> 2), b"piece"),
            1 => ns.truncate(file, u64::from(how >> 2) * STEP),
            2 => ns.flush(who, file),
            _ => ns.sync(who, file),
        })
    }

    fn release(&mut self) -> Option<Result<(), Error>> {
        let place = self.choices.below(4)?;
        if place < self.held.len() {
            let Held { file, node, .. } = self.held.swap_remove(place);
            self.world.ns.release(&file);
            self.values.remove(&node);
        }
        Some(Ok(()))
    }

    /// Has one of the next commits fail.
    fn plan(&mut self) -> Option<Result<(), Error>> {
        let byte = self.choices.byte()?;
        let fault = match byte % 4 {
            0 => Fault::After,
            1 => Fault::Before(CommitError::NoSpace),
            2 => Fault::Before(CommitError::Unavailable("as planned".into())),
            _ => Fault::Before(CommitError::Conflict),
        };
        self.world.store.fail_commit(u64::from(byte >> 2) % 3, fault);
        Some(Ok(()))
    }

    /// Several changes in one step.
    fn transaction(&mut self, who: Who) -> Option<Result<(), Error>> {
        let other = self.choices.pick(&CALLERS)?;
        let outcome = transaction::run(&self.world, who, other, &mut self.choices, &mut self.puts)?;
        match outcome.values {
            // What somebody holds to write may be stored after it.
            Some(values) => {
                for (node, value) in values {
                    let held = self.held.iter().any(|held| held.node == node && held.file.mode().write);
                    match value.filter(|_| !held) {
                        Some(value) => drop(self.values.insert(node, value)),
                        None => drop(self.values.remove(&node)),
                    }
                }
            }
            None if matches!(outcome.answer, Err(Error::Store(_))) => self.values.clear(),
            None => {}
        }
        Some(outcome.answer)
    }

    /// The history, a daemon that ends, and transactions.
    fn extra(&mut self, who: Who) -> Option<Result<(), Error>> {
        let tree = Tree::ALL[self.choices.below(2)?];
        let path = [name(self.choices.pick(&NAMES)?)];
        let choice = self.choices.byte()?;
        if choice == 255 {
            // What was not stored is lost, and so is every handle.
            self.held.clear();
            self.world.reopen();
            return Some(Ok(()));
        }
        if choice >= 128 {
            return self.transaction(who);
        }
        let who = &who;
        let root = self.world.root(tree);
        let past = match self.world.ns.past(who, root, &path) {
            Ok(past) => past,
            Err(error) => return Some(Err(error)),
        };
        for version in &past.versions {
            match self.world.ns.open_version(who, root, &path, version.version) {
                Ok(file) => {
                    let found = everything(&self.world, who, &file).expect("who may open a version may read it");
                    assert_eq!(found.len() as u64, version.size);
                    self.world.ns.release(&file);
                }
                Err(Error::Denied(_) | Error::Gate(_) | Error::NotFound) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(()))
    }
}

fn everything(world: &World, who: &Who, file: &OpenFile) -> Result<Vec<u8>, Error> {
    world.ns.read(who, file, 0, u32::MAX, <[u8]>::to_vec)
}

pub(super) fn read(world: &World, who: &Who, node: NodeId) -> Result<Vec<u8>, Error> {
    let file = world.ns.open(who, node, READ)?;
    let found = everything(world, who, &file);
    world.ns.release(&file);
    found
}

/// A reader's file shows what it showed at first, to whom it shows anything.
fn still(world: &World, held: &Held) {
    let Some(shown) = &held.shown else { return };
    for who in &CALLERS {
        match everything(world, who, &held.file) {
            Ok(found) => assert_eq!(&found, shown, "what was opened is what is read"),
            Err(Error::Gate(_)) => assert!(held.file.is_secret()),
            Err(error) => panic!("{error}"),
        }
    }
}
