//! A transaction of several changes: where it is refused, no row is another afterwards; where it is committed, all of it is there.

use std::collections::BTreeMap;

use keyfs::access::{Kind, Mode};
use keyfs::id::{NodeId, Version};
use keyfs::key::{Name, Tree};
use keyfs::tree::{Alteration, AttributeChange, Error, Note, StagedId};

use super::super::input::Input;
use super::super::world::{CALLERS, LIMIT, STEP, Who, World, name, rows};
use super::{NAMES, read};

/// What is to be at a path of a tree afterwards.
#[derive(Clone, Debug)]
enum After {
    Value(Vec<u8>),
    /// What was there, with more behind it.
    More,
    Directory,
    Nothing,
}

type Path = (usize, Vec<Name>);

/// A transaction in the making.
struct Stage<'w> {
    world: &'w World,
    who: Who,
    expected: BTreeMap<Path, After>,
}

/// Stages what the input says, and commits it. Also says which values are known no longer, or for sure; `None` where the input ends.
pub(super) fn run(world: &World, who: Who, other: Who, input: &mut Input<'_>, puts: &mut u8) -> Option<Outcome> {
    let own = name("t");
    world.ns.begin(&who, &own, None).expect("there is none, so there may be one");
    let mut stage = Stage { world, who, expected: BTreeMap::new() };
    let staged = stage.several(input, puts);
    // Another process of the user may commit it, in other groups.
    let commits = if other.uid == who.uid { other } else { who };
    let before = rows(world.store.inner());
    let committed = staged.map(|()| world.ns.commit_transaction(&commits, &own));
    let expected = stage.expected;
    let outcome = match committed {
        Some(Ok(_)) => {
            expected.iter().for_each(|(path, after)| there(world, path, after));
            assert!(matches!(world.ns.transaction(&own), Err(Error::NotFound)));
            return Some(Outcome { answer: Ok(()), values: values(world, expected) });
        }
        Some(Err(error)) => {
            // An answer that was lost may have been one of success.
            if !matches!(error, Error::Store(_)) {
                assert!(rows(world.store.inner()) == before, "what is refused changes nothing: {error:?}");
            }
            Some(Outcome { answer: Err(error), values: None })
        }
        None => None,
    };
    if let Ok((id, _)) = world.ns.transaction(&own) {
        take_back(world, &who, id);
        world.ns.end(&own).expect("nothing is staged in it");
    }
    outcome
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) answer: Result<(), Error>,
    /// The values of the files that it changed; `None` where nothing is known of any.
    pub(super) values: Option<BTreeMap<NodeId, Option<Vec<u8>>>>,
}

fn values(world: &World, expected: BTreeMap<Path, After>) -> Option<BTreeMap<NodeId, Option<Vec<u8>>>> {
    let value = |(path, after): (Path, After)| match after {
        After::Value(value) => find(world, &path).ok().map(|node| (node, Some(value))),
        After::More => find(world, &path).ok().map(|node| (node, None)),
        After::Directory | After::Nothing => None,
    };
    Some(expected.into_iter().filter_map(value).collect())
}

fn find(world: &World, (tree, names): &Path) -> Result<NodeId, Error> {
    let root = world.root(Tree::ALL[*tree]);
    names.iter().try_fold(root, |id, name| Ok(world.ns.lookup(id, name)?.node))
}

fn there(world: &World, path: &Path, after: &After) {
    let found = find(world, path);
    match after {
        After::Nothing => assert!(matches!(found, Err(Error::NotFound)), "{path:?} is there"),
        After::Directory => assert!(world.ns.list(found.expect("a directory")).is_ok()),
        After::More | After::Value(_) => {
            let node = found.expect("a file");
            // Whoever may read it, if anybody may.
            let Some(value) = CALLERS.iter().find_map(|who| read(world, who, node).ok()) else { return };
            match after {
                After::Value(expected) => assert_eq!(&value, expected, "{path:?}"),
                _ => assert!(value.ends_with(b"more"), "{path:?}"),
            }
        }
    }
}

/// Takes back all that is staged below.
fn take_back(world: &World, who: &Who, id: StagedId) {
    for (name, below, kind) in world.ns.staged_list(id).expect("a directory") {
        if kind == Kind::Directory {
            take_back(world, who, below);
        }
        world.ns.unstage(who, id, &name, kind).expect("one's own");
    }
}

impl Stage<'_> {
    fn several(&mut self, input: &mut Input<'_>, puts: &mut u8) -> Option<()> {
        for _ in 0..1 + input.below(5)? {
            let byte = input.byte()?;
            let tree = usize::from(byte & 1);
            let mut names = Vec::new();
            for _ in 0..=(byte >> 1) % 3 {
                names.push(name(input.pick(&NAMES)?));
            }
            let path = (tree, names);
            // What can't be staged is left out.
            let (kind, number) = (input.below(8)?, input.byte()?);
            let _ = self.one(path, kind, number, puts);
        }
        Some(())
    }

    /// Stages one change, with the directories on the way.
    fn one(&mut self, path: Path, kind: usize, number: u8, puts: &mut u8) -> Result<(), Error> {
        let ns = &self.world.ns;
        let who = self.who;
        let mut seat = ns.transaction(&name("t"))?.0;
        for part in ["dev", Tree::ALL[path.0].as_str()] {
            seat = ns.staged_lookup(seat, &name(part))?.0;
        }
        let Some((last, above)) = path.1.split_last() else { return Ok(()) };
        for (depth, part) in above.iter().enumerate() {
            seat = self.directory(seat, part, Mode::from_bits(0o770))?;
            let way = (path.0, path.1[..=depth].to_vec());
            self.expected.entry(way).or_insert(After::Directory);
        }
        if kind == 7 {
            self.directory(seat, last, Mode::from_bits(0o755))?;
            self.expected.entry(path).or_insert(After::Directory);
            return Ok(());
        }
        let file = match ns.staged_lookup(seat, last) {
            Ok((id, _)) => id,
            Err(_) => ns.stage_file(&who, seat, last, Mode::from_bits(0o660), Mode::from_bits(0))?.0,
        };
        match kind {
            0..=2 => {
                *puts = puts.wrapping_add(1);
                let value = vec![*puts; usize::from(number) % (LIMIT as usize / STEP as usize + 1) * STEP as usize];
                ns.stage_size(&who, file, false, 0)?;
                ns.stage_write(&who, file, Some(0), false, &value)?;
                self.expected.insert(path, After::Value(value));
            }
            3 => {
                ns.stage_removal(&who, file)?;
                self.expected.insert(path, After::Nothing);
            }
            4 => {
                ns.stage_write(&who, file, None, false, b"more")?;
                self.expected.insert(path, After::More);
            }
            5 => {
                let change = AttributeChange {
                    mode: Some(Mode::from_bits(0o600 | u32::from(number))),
                    ..AttributeChange::default()
                };
                ns.stage_alteration(&who, file, Alteration::Set(change))?;
                ns.stage_alteration(&who, file, Alteration::Note(b"n", &[number], Note::Set))?;
            }
            _ => ns.stage_version(&who, file, Version(u64::from(number % 4)))?,
        }
        Ok(())
    }

    fn directory(&self, seat: StagedId, name: &Name, mode: Mode) -> Result<StagedId, Error> {
        match self.world.ns.staged_lookup(seat, name) {
            Ok((id, _)) => self.world.ns.staged_list(id).map(|_| id),
            Err(_) => Ok(self.world.ns.stage_directory(&self.who, seat, name, mode, Mode::from_bits(0))?.0),
        }
    }
}
