//! Directories, environments, renaming and removing.

use super::*;
use RenameMode::{Exchange, Keep, Replace};

#[test]
fn environments_come_and_go_with_their_trees() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    let names = |world: &World| world.ns.environments().unwrap().iter().map(Name::to_string).collect::<Vec<_>>();
    assert_eq!(names(&world), ["dev", "pre", "prod"]);
    let made = world.mkdir(&root(), "stage").unwrap();
    assert_eq!((made.links, world.at("stage").unwrap().links), (4, 4));
    assert_eq!(world.ns.attributes(&svc, NodeId::ROOT).unwrap().links, 6);
    let tree = world.at("stage/secrets").unwrap();
    assert_eq!((tree.permissions.mode, tree.permissions.owner), (mode(0o777), Uid(0)));
    refused!(world.mkdir(&root(), "stage"), Error::Exists);
    refused!(world.mkdir(&root(), ".hidden"), Error::Name(_));
    refused!(world.mkdir(&root(), "stage/other"), Error::NotPermitted(_));
    refused!(world.rmdir(&root(), "stage/secrets"), Error::NotPermitted(_));
    refused!(world.mv(&root(), "stage", "stage2", Replace), Error::NotPermitted(_));
    refused!(world.mv(&root(), "stage/secrets", "stage/variables", Exchange), Error::NotPermitted(_));
    world.put(&svc, "stage/secrets/a", b"x").unwrap();
    refused!(world.rmdir(&root(), "stage"), Error::NotEmpty);
    refused!(world.mv(&svc, "stage/secrets/a", "dev/secrets/a", Replace), Error::CrossTree);
    refused!(world.mv(&svc, "stage/secrets/a", "stage/variables/a", Replace), Error::CrossTree);
    refused!(world.mv(&svc, "stage/secrets/a", "stage/a", Replace), Error::NotPermitted(_));
    world.rm(&svc, "stage/secrets/a").unwrap();
    world.rmdir(&root(), "stage").unwrap();
    assert_eq!(names(&world), ["dev", "pre", "prod"]);
    assert_eq!(world.ns.attributes(&svc, NodeId::ROOT).unwrap().links, 5);
    // Whoever has it open still knows it, until the kernel doesn't.
    assert_eq!(world.ns.attributes(&svc, tree.node).unwrap().links, 0);
    world.ns.forget(tree.node);
    refused!(world.ns.attributes(&svc, tree.node), Error::Gone);
}

#[test]
fn directories_count_and_hold() {
    let (world, svc) = (World::new(), root());
    world.mkdir(&svc, "dev/variables/d").unwrap();
    world.mkdir(&svc, "dev/variables/d/e").unwrap();
    assert_eq!(world.at("dev/variables/d").unwrap().links, 3);
    refused!(world.rmdir(&svc, "dev/variables/d"), Error::NotEmpty);
    refused!(world.rm(&svc, "dev/variables/d"), Error::IsADirectory);
    world.put(&svc, "dev/variables/f", b"x").unwrap();
    refused!(world.rmdir(&svc, "dev/variables/f"), Error::NotADirectory);
    let pending = world.create(&svc, "dev/variables/d/e/new", 0o600, REWRITE).unwrap();
    refused!(world.rmdir(&svc, "dev/variables/d/e"), Error::NotEmpty);
    refused!(world.rmdir(&svc, "dev/variables/d/e/new"), Error::NotADirectory);
    refused!(world.mkdir(&svc, "dev/variables/d/e/new"), Error::Exists);
    world.rm(&svc, "dev/variables/d/e/new").unwrap();
    world.rmdir(&svc, "dev/variables/d/e").unwrap();
    world.close(&svc, &pending).unwrap();
    assert_eq!(world.at("dev/variables/d").unwrap().links, 2);
    refused!(world.rmdir(&svc, "dev/variables/nothing"), Error::NotFound);
}

#[test]
fn a_rename_takes_its_history_along_or_takes_one_up() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    for tree in ["variables", "secrets"] {
        let path = |name: &str| format!("dev/{tree}/{name}");
        for value in [b"a1", b"a2", b"a3"] {
            world.put(&svc, &path("a"), value).unwrap();
        }
        // To a fresh name: the versions move along.
        world.mv(&svc, &path("a"), &path("b"), Replace).unwrap();
        assert_eq!((world.version(&path("b")), world.versions(&svc, &path("b"))), (3, vec![1, 2, 3]));
        refused!(world.at(&path("a")), Error::NotFound);
        // As an editor does.
        world.put(&svc, &path("b.tmp"), b"b4").unwrap();
        world.mv(&svc, &path("b.tmp"), &path("b"), Replace).unwrap();
        assert_eq!((world.version(&path("b")), world.get(&svc, &path("b")).unwrap()), (4, b"b4".to_vec()));
        assert_eq!(world.versions(&svc, &path("b")), [1, 2, 3, 4]);
        assert_eq!(world.old(&svc, &path("b"), 2).unwrap(), b"a2");
        world.put(&svc, &path("b"), b"b5").unwrap();
        assert_eq!(world.versions(&svc, &path("b")), [1, 2, 3, 4, 5]);
        // Over the history of what was removed.
        world.rm(&svc, &path("b")).unwrap();
        assert_eq!(world.versions(&svc, &path("b")), [1, 2, 3, 4, 5]);
        world.put(&svc, &path("c"), b"c1").unwrap();
        world.put(&svc, &path("c"), b"c2").unwrap();
        world.mv(&svc, &path("c"), &path("b"), Keep).unwrap();
        assert_eq!(world.versions(&svc, &path("b")), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(world.old(&svc, &path("b"), 6).unwrap(), b"c1");
        // What it took up stays when it goes on to take up another.
        world.put(&svc, &path("d"), b"d1").unwrap();
        world.mv(&svc, &path("b"), &path("d"), Replace).unwrap();
        assert_eq!(world.versions(&svc, &path("d")), [1, 2, 3]);
        assert_eq!(world.versions(&svc, &path("b")), [1, 2, 3, 4, 5]);
        assert_eq!(world.old(&svc, &path("d"), 1).unwrap(), b"d1");
        assert_eq!(world.old(&svc, &path("d"), 2).unwrap(), b"c1");
        world.put(&svc, &path("b"), b"again").unwrap();
        assert_eq!(world.version(&path("b")), 6);
        world.rm(&svc, &path("b")).unwrap();
        world.rm(&svc, &path("d")).unwrap();
    }
}

#[test]
fn the_last_ten_versions_stay_however_they_came_together() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    let path = "dev/secrets/a";
    for value in 1..=12 {
        world.put(&svc, path, &[value]).unwrap();
    }
    assert_eq!(world.versions(&svc, path), (3..=12).collect::<Vec<_>>());
    world.rm(&svc, path).unwrap();
    assert_eq!(world.versions(&svc, path), (3..=12).collect::<Vec<_>>());
    for value in 13..=16 {
        world.put(&svc, path, &[value]).unwrap();
        assert_eq!(world.versions(&svc, path), (u64::from(value) - 9..=value.into()).collect::<Vec<_>>());
    }
    for count in 1..=14u64 {
        let before = world.version(path);
        for value in 0..count {
            world.put(&svc, "dev/secrets/t", &[100, value as u8]).unwrap();
        }
        world.mv(&svc, "dev/secrets/t", path, Replace).unwrap();
        assert_eq!(world.version(path), before + count);
        let newest = before + count;
        assert_eq!(world.versions(&svc, path), (newest - 9..=newest).collect::<Vec<_>>(), "after {count}");
        for version in world.versions(&svc, path) {
            world.old(&svc, path, version).unwrap();
        }
    }
    // Nothing is left of what is in no history: ten versions, and the nodes that hold them.
    let snapshot = world.store.snapshot().unwrap();
    let page = crate::store::Page { rows: 1000, bytes: usize::MAX };
    assert_eq!(snapshot.scan(&b"v/"[..]..&b"v0"[..], page).unwrap().len(), 10);
    let nodes = snapshot.scan(&b"n/"[..]..&b"n0"[..], page).unwrap().len();
    assert_eq!(nodes, 1 + 9 + 1, "the root, three environments with two trees each, and the one file");
}

#[test]
fn renames_refuse_what_they_must() {
    let (world, svc) = (World::new(), root());
    for directory in ["d", "d/e", "f", "f/full"] {
        world.mkdir(&svc, &format!("dev/variables/{directory}")).unwrap();
    }
    world.put(&svc, "dev/variables/a", b"a").unwrap();
    let mv = |from: &str, to: &str, how| {
        world.mv(&svc, &format!("dev/variables/{from}"), &format!("dev/variables/{to}"), how)
    };
    refused!(mv("a", "d", Replace), Error::IsADirectory);
    refused!(mv("d", "a", Replace), Error::NotADirectory);
    refused!(mv("d", "f", Replace), Error::NotEmpty);
    refused!(mv("d", "d/e/x", Replace), Error::IntoItself);
    refused!(mv("d", "d/x", Replace), Error::IntoItself);
    refused!(mv("d", "d/e", Exchange), Error::IntoItself);
    refused!(mv("d/e", "d", Exchange), Error::IntoItself);
    refused!(mv("d/e", "d", Replace), Error::NotEmpty);
    refused!(mv("a", "nothing", Exchange), Error::NotFound);
    refused!(mv("nothing", "a", Replace), Error::NotFound);
    refused!(mv("a", "d", Keep), Error::Exists);
    mv("a", "a", Replace).unwrap();
    mv("d/e", "f/e", Keep).unwrap();
    assert_eq!((world.at("dev/variables/d").unwrap().links, world.at("dev/variables/f").unwrap().links), (2, 4));
    mv("d", "f/full", Replace).unwrap();
    assert_eq!(world.at("dev/variables/f").unwrap().links, 4);
    assert_eq!(world.at("dev/variables").unwrap().links, 3);
    mv("a", "f/e", Exchange).unwrap();
    assert_eq!(world.at("dev/variables/f").unwrap().links, 3);
    assert_eq!(world.at("dev/variables").unwrap().links, 4);
    assert_eq!(world.get(&svc, "dev/variables/f/e").unwrap(), b"a");
    assert_eq!(world.ns.address(world.at("dev/variables/f/e").unwrap().node).unwrap().key, "f/e");
}

#[test]
fn directories_are_exchanged_whole() {
    let (world, svc) = (World::new(), root());
    for (directory, value) in [("blue", b"1"), ("green", b"2")] {
        world.mkdir(&svc, &format!("dev/secrets/{directory}")).unwrap();
        world.put(&svc, &format!("dev/secrets/{directory}/key"), value).unwrap();
    }
    let before = world.ns.totals().commits;
    world.mv(&svc, "dev/secrets/blue", "dev/secrets/green", Exchange).unwrap();
    assert_eq!(world.ns.totals().commits, before + 1);
    assert_eq!(world.get(&svc, "dev/secrets/blue/key").unwrap(), b"2");
    assert_eq!(world.get(&svc, "dev/secrets/green/key").unwrap(), b"1");
    assert_eq!(world.versions(&svc, "dev/secrets/green/key"), [1]);
}

#[test]
fn what_is_not_committed_moves_too() {
    let (world, svc, other) = (World::new(), root(), root().thread(9));
    // Its writer moves it: with what was written.
    let file = world.create(&svc, "dev/variables/t", 0o600, REWRITE).unwrap();
    world.ns.write(&file, 0, b"new").unwrap();
    world.mv(&svc, "dev/variables/t", "dev/variables/a", Replace).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/a").unwrap(), b"new");
    world.close(&svc, &file).unwrap();
    assert_eq!(world.version("dev/variables/a"), 1);
    // Somebody else moves it: it stays empty until its writer is done.
    let file = world.create(&svc, "dev/variables/t", 0o600, REWRITE).unwrap();
    world.ns.write(&file, 0, b"half").unwrap();
    world.mv(&other, "dev/variables/t", "dev/variables/b", Replace).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/b").unwrap(), b"");
    world.ns.write(&file, 4, b" and half").unwrap();
    world.close(&svc, &file).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/b").unwrap(), b"half and half");
    // A value that others are in the middle of writing is not cut short by a rename.
    let file = world.ns.open(&svc, world.at("dev/variables/b").unwrap().node, REWRITE).unwrap();
    world.ns.write(&file, 0, b"torn").unwrap();
    world.mv(&other, "dev/variables/b", "dev/variables/c", Replace).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/c").unwrap(), b"half and half");
    world.close(&svc, &file).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/c").unwrap(), b"torn");
    // Onto a name that is not committed.
    let file = world.create(&svc, "dev/variables/x", 0o600, REWRITE).unwrap();
    refused!(world.mv(&other, "dev/variables/c", "dev/variables/x", Keep), Error::Exists);
    world.mv(&other, "dev/variables/c", "dev/variables/x", Replace).unwrap();
    world.ns.write(&file, 0, b"late").unwrap();
    world.close(&svc, &file).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/x").unwrap(), b"torn");
}

#[test]
fn moves_at_once_make_no_circle() {
    let world = World::new();
    for directory in ["a", "b", "c", "d"] {
        world.mkdir(&root(), &format!("dev/variables/{directory}")).unwrap();
    }
    let top = world.root("dev", Tree::Variables);
    let ids: Vec<_> =
        ["a", "b", "c", "d"].iter().map(|n| world.at(&format!("dev/variables/{n}")).unwrap().node).collect();
    std::thread::scope(|scope| {
        for (mine, text) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let (world, ids) = (&world, &ids);
            scope.spawn(move || {
                let (who, name) = (root().thread(mine as u32 + 1), name(text));
                for round in 0..60 {
                    let target = ids[(mine + 1 + round % 3) % 4];
                    for (from, to) in [(top, target), (target, top)] {
                        match world.ns.rename(&who, (from, &name), (to, &name), Replace) {
                            Ok(()) | Err(Error::IntoItself | Error::NotFound | Error::Busy) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
    });
    for id in ids {
        world.ns.address(id).unwrap();
    }
}

#[test]
fn directories_below_directories_can_be_deep_without_being_a_circle() {
    let (world, svc) = (World::new(), root());
    let top = world.root("dev", Tree::Variables);
    let (one, other) = (name("one"), name("other"));
    let bottom = world.ns.make_directory(&svc, top, &one, mode(0o755), mode(0)).unwrap().node;
    // Each takes the last one in, so that none is made far down.
    for _ in 0..4100 {
        let above = world.ns.make_directory(&svc, top, &other, mode(0o755), mode(0)).unwrap().node;
        world.ns.rename(&svc, (top, &one), (above, &one), Replace).unwrap();
        world.ns.rename(&svc, (top, &other), (top, &one), Replace).unwrap();
    }
    refused!(world.ns.address(bottom), Error::Name(_));
    assert!(!world.paper.take().iter().any(|line| line.starts_with("tampered")));
}
