//! What a look at all rows finds: nothing in what the tree itself makes, and each thing that it doesn't make.

use super::*;
use crate::store::{Batch, Change, Key, Page, Store};

fn owner() -> Who {
    Who::new(1, 10, &[])
}

/// Something of everything.
fn full() -> World {
    let world = World::new();
    let svc = owner();
    world.mkdir(&svc, "dev/secrets/d").unwrap();
    for value in [&b"1"[..], b"22", b"333"] {
        world.put(&svc, "dev/secrets/d/k", value).unwrap();
        world.put(&svc, "dev/variables/v", value).unwrap();
        world.put(&svc, "dev/variables/large", &value.repeat(row::SMALL + 1)).unwrap();
    }
    world.put(&svc, "dev/secrets/gone", b"gone").unwrap();
    world.rm(&svc, "dev/secrets/gone").unwrap();
    world.put(&svc, "dev/secrets/new", b"replaced").unwrap();
    world.mv(&svc, "dev/secrets/new", "dev/secrets/d/k", RenameMode::Replace).unwrap();
    world
}

impl World {
    fn node(&self, path: &str) -> (NodeId, row::Node) {
        let id = self.at(path).unwrap().node;
        (id, self.ns.view().unwrap().node(id).unwrap().content)
    }

    fn set_row(&self, key: Key, content: Option<Vec<u8>>) {
        let change = match content {
            Some(mut content) => {
                self.seal.authenticate(&key, &mut content);
                Change::Put(key, content)
            }
            None => Change::Delete(key),
        };
        self.store.commit(Batch { conditions: vec![], changes: vec![change] }).unwrap();
    }

    fn value_row(&self, id: NodeId, own: u64) -> row::Value {
        self.ns.view().unwrap().read(&row::key::value(id, own), row::Value::decode).unwrap().unwrap().content
    }

    fn altered(&self, path: &str, alter: impl FnOnce(&mut row::Node)) {
        let (id, mut node) = self.node(path);
        alter(&mut node);
        self.set_row(row::key::node(id), Some(node.encode()));
    }

    #[track_caller]
    fn finds(&self, what: &str) {
        let found = self.findings();
        assert!(found.iter().any(|found| found.contains(what)), "'{what}' is not in {found:#?}");
    }
}

#[test]
fn what_the_tree_makes_is_whole() {
    assert_eq!(World::new().findings(), Vec::<String>::new());
    let world = full();
    assert_eq!(world.findings(), Vec::<String>::new());
    let parts = Parts { store: world.store.clone(), seal: world.seal.clone(), settings: world.ns.settings };
    let seen = super::super::verify(&parts, &mut |_| {}).unwrap();
    let counted = (seen.environments, seen.directories, seen.variables, seen.secrets, seen.removed, seen.versions);
    // d/k goes on from the three of the key that it replaced.
    assert_eq!(counted, (3, 1, 2, 1, 2, 11));
    assert_eq!(seen.records, 5);
}

#[test]
fn what_is_left_of_an_environment_is_no_damage() {
    let (world, svc) = (World::new(), root());
    world.mkdir(&svc, "qa").unwrap();
    world.put(&svc, "qa/secrets/k", b"1").unwrap();
    world.rm(&svc, "qa/secrets/k").unwrap();
    world.rmdir(&svc, "qa").unwrap();
    let found = world.findings();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("Leftover"), "{found:?}");
}

#[test]
fn every_row_that_is_missing_or_spoilt_is_found() {
    let world = full();
    let page = Page { rows: 10_000, bytes: usize::MAX };
    let rows = world.store.snapshot().unwrap().scan(&b""[..]..&b"\xff"[..], page).unwrap();
    assert!(rows.len() > 40);
    for (key, row) in rows {
        let shown = key.escape_ascii().to_string();
        let set = |change| world.store.commit(Batch { conditions: vec![], changes: vec![change] }).unwrap();
        set(Change::Delete(key.clone()));
        // The key's slot is asked for before anything else, and a removed key's own versions may have been pruned.
        let old = key.starts_with(b"v/") && !key.ends_with(&[3]);
        let needed = !key.starts_with(b"meta/slot") && key != row::key::TOPOLOGY && !old;
        assert!(!world.findings().is_empty() || !needed, "without {shown}");
        for place in [0, row.value.len() / 2, row.value.len() - 1] {
            let mut value = row.value.clone();
            value[place] ^= 4;
            set(Change::Put(key.clone(), value));
            world.finds("it does not carry its tag");
        }
        set(Change::Put(key, row.value));
        assert_eq!(world.findings(), Vec::<String>::new(), "{shown}");
    }
}

#[test]
fn each_promise_of_the_rows_is_looked_at() {
    type Spoil = (&'static str, fn(&World));
    let spoil: [Spoil; 28] = [
        ("no name leads to it", |world| {
            let (id, node) = world.node("dev/variables/v");
            world.set_row(row::key::entry(node.parent, node.name.as_ref().unwrap()), None);
            assert!(world.ns.view().unwrap().find(id).unwrap().is_some());
        }),
        ("the name leads to a node that does not stand there", |world| {
            let (id, node) = world.node("dev/variables/v");
            let entry = row::Entry { kind: Kind::File, node: id };
            world.set_row(row::key::entry(node.parent, &name("second")), Some(entry.encode()));
        }),
        ("the name and its node are not of one kind", |world| {
            let (id, node) = world.node("dev/variables/v");
            let entry = row::Entry { kind: Kind::Directory, node: id };
            world.set_row(row::key::entry(node.parent, &name("v")), Some(entry.encode()));
        }),
        ("lead round in a circle", |world| {
            let (id, _) = world.node("dev/secrets/d");
            world.altered("dev/secrets/d", |node| node.parent = id);
        }),
        ("it counts 2 directories in it, and holds 1", |world| {
            let (root, _) = (world.root("dev", Tree::Secrets), ());
            let mut node = world.ns.view().unwrap().node(root).unwrap().content;
            node.directories = 2;
            world.set_row(row::key::node(root), Some(node.encode()));
        }),
        ("it stands where nothing of its kind can", |world| {
            world.altered("dev/variables/large", |node| {
                if let row::Place::In(_, root) = node.place {
                    node.place = row::Place::In(Tree::Secrets, root);
                }
            });
        }),
        ("is of the other tree's kind", |world| {
            let (id, _) = world.node("dev/variables/large");
            let mut value = world.value_row(id, 3);
            value.sealed = true;
            world.set_row(row::key::value(id, 3), Some(value.encode()));
        }),
        ("under other permissions", |world| {
            world.altered("dev/variables/large", |node| node.permissions.mode = mode(0o666))
        }),
        ("its present value is of another length", |world| {
            world.altered("dev/variables/large", |node| node.value.as_mut().unwrap().held = row::Held::Apart(9));
        }),
        ("it has another length than its row says", |world| {
            let (id, _) = world.node("dev/secrets/d/k");
            let mut value = world.value_row(id, 1);
            value.size += 1;
            world.set_row(row::key::value(id, 1), Some(value.encode()));
        }),
        ("does not open", |world| {
            let (id, _) = world.node("dev/secrets/d/k");
            let mut value = world.value_row(id, 1);
            *value.content.last_mut().unwrap() ^= 1;
            world.set_row(row::key::value(id, 1), Some(value.encode()));
        }),
        ("the record was sealed for another place", |world| {
            let (id, _) = world.node("dev/secrets/d/k");
            let mut value = world.value_row(id, 1);
            value.permissions.mode = mode(0o600);
            world.set_row(row::key::value(id, 1), Some(value.encode()));
        }),
        ("its present value is missing", |world| {
            let (id, _) = world.node("dev/variables/large");
            world.set_row(row::key::value(id, 3), None);
        }),
        ("between its own versions 1 and 3 one is missing", |world| {
            let (id, _) = world.node("dev/variables/large");
            world.set_row(row::key::value(id, 2), None);
        }),
        ("between its own versions 1 and 3 one is missing", |world| {
            let (id, _) = world.node("dev/variables/v");
            world.set_row(row::key::value(id, 2), None);
        }),
        ("is later than its present one", |world| {
            let (id, _) = world.node("dev/variables/large");
            let value = world.value_row(id, 3);
            world.set_row(row::key::value(id, 4), Some(value.encode()));
        }),
        ("is later than its present one", |world| {
            let (id, _) = world.node("dev/variables/v");
            let value = world.value_row(id, 2);
            world.set_row(row::key::value(id, 4), Some(value.encode()));
        }),
        ("its present value stands in its node's row, and in one of its own too", |world| {
            let (id, _) = world.node("dev/variables/v");
            let value = world.value_row(id, 2);
            world.set_row(row::key::value(id, 3), Some(value.encode()));
        }),
        ("its own version 2 is too large for a later one in its node's row", |world| {
            let (large, v) = (world.node("dev/variables/large").0, world.node("dev/variables/v").0);
            let value = world.value_row(large, 2);
            world.set_row(row::key::value(v, 2), Some(value.encode()));
        }),
        ("more of its versions are there than are kept", |world| {
            let (id, _) = world.node("dev/variables/v");
            let value = world.value_row(id, 2).encode();
            (3..=10).for_each(|own| world.set_row(row::key::value(id, own), Some(value.clone())));
            world.altered("dev/variables/v", |node| node.value.as_mut().unwrap().own = 11);
        }),
        ("its content is malformed", |world| {
            let (_, node) = world.node("dev/variables/v");
            world.altered("dev/secrets/d/k", |secret| secret.value = node.value);
        }),
        ("its history does not go on where it says", |world| {
            world.altered("dev/secrets/d/k", |node| {
                node.value.as_mut().unwrap().before.as_mut().unwrap().last = Version(2);
            });
        }),
        ("it was removed, and no history leads to it", |world| {
            let root = world.root("dev", Tree::Secrets);
            world.set_row(row::key::history(root, &[name("gone")]), None);
        }),
        ("the history leads to it more than once", |world| {
            let root = world.root("dev", Tree::Secrets);
            let id = world.ns.view().unwrap().history(root, &[name("gone")]).unwrap().unwrap().content;
            world.set_row(row::key::history(root, &[name("other")]), Some(row::encode_history(id)));
        }),
        ("it is no removed key of that tree", |world| {
            let (id, _) = world.node("dev/secrets/d/k");
            let root = world.root("dev", Tree::Secrets);
            world.set_row(row::key::history(root, &[name("other")]), Some(row::encode_history(id)));
        }),
        ("there is no directory whose times these are", |world| {
            let (id, _) = world.node("dev/variables/v");
            let times = row::Times { modified: Timestamp(0), changed: Timestamp(0) };
            world.set_row(row::key::times(id), Some(times.encode()));
        }),
        ("no row has such a name", |world| world.set_row(b"x/12345678".to_vec(), Some(vec![1]))),
        ("the node that it belongs to is missing", |world| {
            let value = row::Value {
                sealed: false,
                by: Uid(0),
                by_group: Gid(0),
                at: Timestamp(0),
                size: 0,
                permissions: crate::access::Permissions::new(Uid(0), Gid(0), mode(0)),
                content: vec![],
            };
            world.set_row(row::key::value(NodeId(77_777), 1), Some(value.encode()));
        }),
    ];
    for (what, spoil) in spoil {
        let world = full();
        spoil(&world);
        world.finds(what);
        assert!(world.findings().iter().all(|found| found.starts_with("Damage")));
    }
}
