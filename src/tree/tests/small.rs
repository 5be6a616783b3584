//! Small plain values, which stand in their node's row while they are the present ones, and in rows of their own after that.

use super::*;
use crate::store::{Page, Store};

const PATH: &str = "dev/variables/v";

fn large() -> Vec<u8> {
    vec![b'l'; row::SMALL + 1]
}

impl World {
    /// How many rows of versions there are, of all nodes.
    fn version_rows(&self) -> usize {
        let page = Page { rows: 10_000, bytes: usize::MAX };
        self.store.snapshot().unwrap().scan(&b"v/"[..]..&b"v0"[..], page).unwrap().len()
    }

    fn stands_here(&self, path: &str) -> bool {
        let node = self.ns.view().unwrap().node(self.at(path).unwrap().node).unwrap().content;
        matches!(node.value.unwrap().held, row::Held::Here(_))
    }

    /// That the history of [`PATH`] is this, from the first version on, and that all rows are whole.
    #[track_caller]
    fn has_history(&self, values: &[&[u8]]) {
        let (root, names) = self.split(PATH);
        let past = self.ns.past(&super::root(), root, &names).unwrap().versions;
        let sizes: Vec<_> = past.iter().map(|past| (past.version.0, past.size)).collect();
        let wanted: Vec<_> = (1..).zip(values.iter().map(|value| value.len() as u64)).collect();
        assert_eq!(sizes, wanted);
        for (number, value) in (1..).zip(values) {
            assert!(self.old(&super::root(), PATH, number).unwrap() == *value, "version {number}");
        }
        assert_eq!(self.findings(), Vec::<String>::new());
    }
}

#[test]
fn a_replaced_small_value_is_in_the_history() {
    let world = World::new();
    let (one, two) = (Who::new(1, 10, &[]), Who::new(2, 20, &[10]));
    world.put(&one, PATH, b"first").unwrap();
    assert!(world.stands_here(PATH) && world.version_rows() == 0);
    let (root_id, names) = world.split(PATH);
    let first = world.ns.past(&one, root_id, &names).unwrap().versions;
    world.chmod(&one, PATH, 0o660).unwrap();
    world.put(&two, PATH, b"second").unwrap();
    assert!(world.stands_here(PATH) && world.version_rows() == 1);
    world.has_history(&[b"first", b"second"]);
    // Who made it, and when, is as it was.
    let both = world.ns.past(&one, root_id, &names).unwrap().versions;
    assert_eq!((both[0].by, both[1].by, &both[..1]), (Uid(1), Uid(2), &first[..]));
    let facts = world.ns.facts(world.at(PATH).unwrap().node).unwrap();
    assert_eq!((facts.version, facts.modified_by), (Some(Version(2)), Some(Uid(2))));
    // The same again is no version.
    world.put(&one, PATH, b"second").unwrap();
    assert_eq!(world.version(PATH), 2);
}

#[test]
fn small_and_large_values_follow_each_other() {
    let (world, svc) = (World::new(), root());
    let (at_most, large) = (vec![b's'; row::SMALL], large());
    world.put(&svc, PATH, &at_most).unwrap();
    assert!(world.stands_here(PATH));
    world.put(&svc, PATH, &large).unwrap();
    assert!(!world.stands_here(PATH) && world.version_rows() == 2);
    world.put(&svc, PATH, b"small").unwrap();
    assert_eq!(world.get(&svc, PATH).unwrap(), b"small");
    world.has_history(&[&at_most, &large, b"small"]);
    world.chmod(&svc, PATH, 0o600).unwrap();
    world.put(&svc, PATH, b"").unwrap();
    world.has_history(&[&at_most, &large, b"small", b""]);
}

#[test]
fn small_values_grow_and_are_cut() {
    let (world, svc) = (World::new(), root());
    world.put(&svc, PATH, b"12345").unwrap();
    let id = world.at(PATH).unwrap().node;
    world.ns.truncate_closed(&svc, id, 2).unwrap();
    let file = world.ns.open(&svc, id, APPEND).unwrap();
    world.ns.write(&file, 0, b"678").unwrap();
    world.close(&svc, &file).unwrap();
    assert!(world.stands_here(PATH));
    assert_eq!(world.at(PATH).unwrap().size, 5);
    world.has_history(&[b"12345", b"12", b"12678"]);
    world.ns.truncate_closed(&svc, id, 1000).unwrap();
    assert!(!world.stands_here(PATH));
    assert_eq!(world.get(&svc, PATH).unwrap().len(), 1000);
}

#[test]
fn permissions_of_a_small_value_are_its_entrys() {
    let (world, owner, group) = (World::new(), Who::new(1, 10, &[]), Who::new(2, 20, &[10]));
    world.put(&owner, PATH, b"first").unwrap();
    let before = world.store.snapshot().unwrap().revision();
    world.chmod(&owner, PATH, 0o600).unwrap();
    let crate::store::Changes::Commits(commits) = world.store.changes(before).unwrap() else { panic!("compacted") };
    let id = world.at(PATH).unwrap().node;
    assert_eq!(commits.len(), 1);
    assert_eq!((&commits[0].written[..], &commits[0].deleted[..]), (&[row::key::node(id)][..], &[][..]));
    // A former version keeps what its entry had until the next took its place.
    world.put(&owner, PATH, b"second").unwrap();
    world.chmod(&owner, PATH, 0o640).unwrap();
    refused!(world.old(&group, PATH, 1), Error::Denied(_));
    assert_eq!(world.old(&group, PATH, 2).unwrap(), b"second");
    assert_eq!(world.old(&owner, PATH, 1).unwrap(), b"first");
    // So too where the write itself takes set-id bits away.
    world.chmod(&owner, PATH, 0o4770).unwrap();
    world.put(&group, PATH, b"third").unwrap();
    let value = world.ns.view().unwrap().read(&row::key::value(id, 2), row::Value::decode).unwrap().unwrap();
    assert_eq!(value.content.permissions.mode, mode(0o4770));
    assert_eq!(world.at(PATH).unwrap().permissions.mode, mode(0o770));
    world.has_history(&[b"first", b"second", b"third"]);
}

#[test]
fn where_one_version_is_kept_nothing_is_left_behind() {
    let limits = Limits { value: 1 << 20, lease: Duration::ZERO, ..Limits::default() };
    let (world, svc) = (World::keeping(Settings { versions: 1 }, limits), root());
    for value in [b"1".to_vec(), b"22".to_vec(), large(), b"333".to_vec(), large(), b"4".to_vec()] {
        world.put(&svc, PATH, &value).unwrap();
        assert_eq!(world.get(&svc, PATH).unwrap(), value);
        assert!(world.version_rows() <= usize::from(!world.stands_here(PATH)));
        assert_eq!(world.versions(&svc, PATH), [world.version(PATH)]);
        assert_eq!(world.findings(), Vec::<String>::new());
    }
    // A name that is taken over or made anew leaves nothing either.
    let rows = || world.store.snapshot().unwrap().scan(&b"n/"[..]..&b"n0"[..], Page { rows: 100, bytes: 1 << 20 });
    let nodes = rows().unwrap().len();
    world.put(&svc, "dev/variables/new", b"5").unwrap();
    world.mv(&svc, "dev/variables/new", PATH, RenameMode::Replace).unwrap();
    assert_eq!((world.versions(&svc, PATH), world.version_rows()), (vec![7], 0));
    world.rm(&svc, PATH).unwrap();
    world.put(&svc, PATH, b"6").unwrap();
    assert_eq!((world.versions(&svc, PATH), world.version_rows()), (vec![8], 0));
    assert_eq!(rows().unwrap().len(), nodes);
    assert_eq!(world.findings(), Vec::<String>::new());
}

#[test]
fn a_removed_key_with_a_small_value_is_continued() {
    let (world, svc) = (World::new(), root());
    world.put(&svc, PATH, b"first").unwrap();
    world.rm(&svc, PATH).unwrap();
    world.has_history(&[b"first"]);
    world.put(&svc, PATH, b"second").unwrap();
    world.has_history(&[b"first", b"second"]);
    // By an editor's new file, and by another key.
    world.put(&svc, "dev/variables/new", b"third").unwrap();
    world.mv(&svc, "dev/variables/new", PATH, RenameMode::Replace).unwrap();
    world.has_history(&[b"first", b"second", b"third"]);
    assert_eq!(world.version_rows(), 0);
    for number in 4..=12 {
        world.put(&svc, PATH, number.to_string().as_bytes()).unwrap();
    }
    // The two nodes before it went with their only versions.
    assert_eq!(world.versions(&svc, PATH), (3..=12).collect::<Vec<_>>());
    assert_eq!((world.version_rows(), world.findings()), (9, vec![]));
}
