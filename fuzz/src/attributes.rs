//! What `setxattr(2)` brings: the values of control attributes, ACLs and notes, set on a secret, a variable and a directory by
//! several callers. What was refused has changed nothing, what was set can be read, and a secret keeps to its rules.

use std::collections::BTreeMap;

use keyfs::access::{Acl, Mode, Rights, edit};
use keyfs::clock::Timestamp;
use keyfs::id::{Gid, NodeId, Version};
use keyfs::key::Tree;
use keyfs::tree::{Alteration, Error, Note, OpenMode};

use super::input::Input;
use super::world::{CALLERS, Who, World, name};

const WRITE: OpenMode = OpenMode { read: false, write: true, append: false, truncate: false };

/// What an entry's free attributes are, by the names and values that were set.
type Notes = BTreeMap<Vec<u8>, Vec<u8>>;

/// See the module.
pub fn run(input: &[u8]) {
    let world = World::new();
    let mut entries = entries(&world);
    let mut choices = Input(input);
    while let Some(answer) = step(&world, &mut entries, &mut choices) {
        assert!(!matches!(answer, Err(Error::Tampered(_) | Error::Store(_) | Error::Busy)), "{answer:?}");
        for (id, notes) in &entries {
            look(&world, *id, notes);
        }
    }
}

/// A variable, a secret and a directory.
fn entries(world: &World) -> [(NodeId, Notes); 3] {
    let root = &CALLERS[1];
    let (mode, umask) = (Mode::from_bits(0o640), Mode::from_bits(0));
    let file = |tree| {
        let made = world.ns.make_file(root, world.root(tree), &name("key"), mode, umask);
        (made.expect("a file").node, Notes::new())
    };
    let directory = world.ns.make_directory(root, world.root(Tree::Secrets), &name("directory"), mode, umask);
    [file(Tree::Variables), file(Tree::Secrets), (directory.expect("a directory").node, Notes::new())]
}

fn step(world: &World, entries: &mut [(NodeId, Notes)], choices: &mut Input<'_>) -> Option<Result<(), Error>> {
    let who = choices.pick(&CALLERS)?;
    let place = choices.below(entries.len())?;
    let (id, notes) = entries.get_mut(place)?;
    let (ns, id) = (&world.ns, *id);
    let kind = choices.below(9)?;
    let value = choices.piece()?;
    let text = std::str::from_utf8(value).ok();
    Some(match kind {
        0 | 1 => match Acl::from_xattr(value) {
            Ok(list) => ns.alter(&who, id, acl(kind == 1, Some(&list))),
            Err(error) => Err(error.into()),
        },
        2 => ns.alter(&who, id, acl(value.len() % 2 == 1, None)),
        3 => groups(world, &who, id, text?),
        4 => expiry(world, &who, id, text?),
        5 => {
            let file = ns.open(&who, id, WRITE).ok();
            let answer = ns.expect_version(&who, id, Version(text?.parse().ok()?));
            file.iter().for_each(|file| drop(ns.release(file)));
            answer
        }
        6 => {
            let answer = ns.alter(&who, id, Alteration::NoNote(value));
            assert_eq!(answer.is_ok(), notes.remove(value).is_some());
            answer
        }
        _ => note(world, &who, (id, notes), value, choices)?,
    })
}

fn groups(world: &World, who: &Who, id: NodeId, text: &str) -> Result<(), Error> {
    let Ok(groups) = edit::parse_groups(text, &|name| (name == "ops").then_some(Gid(20))) else { return Ok(()) };
    world.ns.alter(who, id, Alteration::Groups(&groups))?;
    let set = world.ns.permissions(id)?;
    assert_eq!(set.group_rights(), groups.get(set.group).unwrap_or_default());
    let named = |(group, rights)| group == set.group || set.named_group(group) == Some(rights);
    assert!(groups.iter().all(named), "each group has just what it was given");
    Ok(())
}

fn expiry(world: &World, who: &Who, id: NodeId, text: &str) -> Result<(), Error> {
    let expires = Timestamp::parse(text);
    if let Some(moment) = expires {
        assert_eq!(Timestamp::parse(&moment.to_string()), Some(moment), "{text}");
    }
    world.ns.alter(who, id, Alteration::Expires(expires))?;
    assert_eq!(world.ns.facts(id)?.expires, expires);
    Ok(())
}

fn note(
    world: &World,
    who: &Who,
    (id, notes): (NodeId, &mut Notes),
    name: &[u8],
    choices: &mut Input<'_>,
) -> Option<Result<(), Error>> {
    let how = choices.pick(&[Note::Set, Note::Create, Note::Replace, Note::CreateAndReplace])?;
    // Long ones, so that a few fill an entry.
    let value = choices.piece()?.repeat(choices.below(64)?);
    let answer = world.ns.alter(who, id, Alteration::Note(name, &value, how));
    if answer.is_ok() {
        notes.insert(name.to_vec(), value);
    }
    Some(answer)
}

/// That an entry shows what was set, and no more is kept than the limit says.
fn look(world: &World, id: NodeId, notes: &Notes) {
    let ns = &world.ns;
    assert_eq!(ns.notes(id).expect("names"), notes.keys().cloned().collect::<Vec<_>>());
    for (name, value) in notes {
        assert_eq!(&ns.note(id, name).expect("a note"), value);
    }
    assert!(notes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= 64 << 10);
    let permissions = ns.permissions(id).expect("permissions");
    let facts = ns.facts(id).expect("facts");
    assert_eq!(facts.permissions, permissions);
    let secret = facts.version.is_some() && ns.tree_of(id).expect("a tree") == Some(Tree::Secrets);
    if secret {
        let list = permissions.access_acl();
        assert!(list.users().is_empty() && list.other() == Rights::NONE, "{permissions:?}");
    }
    ns.explain(&CALLERS[3], id).expect("an explanation");
}

fn acl(default: bool, list: Option<&Acl>) -> Alteration<'_> {
    if default { Alteration::DefaultAcl(list) } else { Alteration::AccessAcl(list) }
}
