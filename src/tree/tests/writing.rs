//! Creation, open files, and what a flush makes of them.

use super::*;

#[test]
fn a_created_file_is_there_at_once_and_committed_with_its_first_flush() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    for path in ["dev/variables/a", "dev/secrets/a"] {
        let commits = world.ns.totals().commits;
        let file = world.create(&svc, path, 0o600, REWRITE).unwrap();
        let seen = world.at(path).unwrap();
        assert_eq!((seen.size, seen.links, seen.lasting, seen.node), (0, 1, false, file.node()));
        assert_eq!(world.ns.list(world.seat(path).0).unwrap().len(), 1);
        world.ns.write(&file, 0, b"value").unwrap();
        world.ns.alter(&svc, file.node(), Alteration::Note(b"why", b"test", Note::Set)).unwrap();
        assert_eq!((world.ns.totals().commits, world.at(path).unwrap().size), (commits, 0));
        assert_eq!(world.ns.attributes(&svc, file.node()).unwrap().size, 5);
        world.close(&svc, &file).unwrap();
        assert_eq!((world.ns.totals().commits, world.version(path)), (commits + 1, 1));
        assert_eq!(world.get(&svc, path).unwrap(), b"value");
        assert_eq!(world.ns.note(file.node(), b"why").unwrap(), b"test");
        assert!(world.at(path).unwrap().lasting);
        assert_eq!(world.ns.list(world.seat(path).0).unwrap().len(), 1);
    }
    assert_eq!(world.ns.totals().open_files, 0);
    assert_eq!(world.ns.count().unwrap().iter().map(|count| count.keys).sum::<u64>(), 2);
}

#[test]
fn a_file_that_was_created_to_be_read_is_committed_too() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    let file = world.create(&svc, "dev/variables/lock", 0o600, READ).unwrap();
    world.close(&svc, &file).unwrap();
    assert_eq!(world.version("dev/variables/lock"), 1);
    // Also when no flush comes.
    let file = world.create(&svc, "dev/variables/lock2", 0o600, READ).unwrap();
    world.ns.release(&file);
    assert_eq!(world.version("dev/variables/lock2"), 1);
}

#[test]
fn an_exclusive_creation_meets_what_is_there() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    let root = world.root("dev", Tree::Variables);
    let make = || world.ns.create(&svc, root, &name("x"), (mode(0o600), mode(0)), REWRITE, true);
    let (_, first) = make().unwrap();
    refused!(make(), Error::Exists);
    world.close(&svc, &first).unwrap();
    refused!(make(), Error::Exists);
    // Without insisting on it, somebody else is asked for permission, since the kernel asked nobody.
    refused!(world.create(&Who::new(2, 20, &[]), "dev/variables/x", 0o600, WRITE), Error::Denied(_));
    world.mkdir(&svc, "dev/variables/d").unwrap();
    refused!(world.create(&svc, "dev/variables/d", 0o600, WRITE), Error::IsADirectory);
    refused!(world.ns.create(&svc, NodeId::ROOT, &name("y"), (mode(0), mode(0)), WRITE, true), Error::NotPermitted(_));
}

#[test]
fn what_was_only_emptied_waits_for_the_last_descriptor_of_its_process() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    world.put(&svc, "dev/variables/a", b"old").unwrap();
    let reader = world.ns.open(&svc, world.at("dev/variables/a").unwrap().node, READ).unwrap();
    let file = world.create(&svc, "dev/variables/a", 0, REWRITE).unwrap();
    svc.has_open.set(true);
    world.ns.flush(&svc, &file).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/a").unwrap(), b"old");
    let child = Who::new(1, 10, &[]).thread(77);
    world.ns.flush(&child, &file).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/a").unwrap(), b"old");
    world.ns.write(&file, 0, b"new").unwrap();
    world.ns.flush(&child, &file).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/a").unwrap(), b"new");
    assert_eq!(world.read(&svc, &reader).unwrap(), b"old");
    world.ns.release(&file);
    world.ns.release(&reader);
    // Emptied, and no descriptor left: that is the value then.
    let file = world.create(&svc, "dev/variables/a", 0, REWRITE).unwrap();
    svc.has_open.set(false);
    world.close(&svc, &file).unwrap();
    assert_eq!((world.get(&svc, "dev/variables/a").unwrap(), world.version("dev/variables/a")), (vec![], 3));
}

#[test]
fn the_same_value_is_no_version() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    for path in ["dev/variables/a", "dev/secrets/a"] {
        world.put(&svc, path, b"same").unwrap();
        world.paper.take();
        world.put(&svc, path, b"same").unwrap();
        assert_eq!((world.version(path), world.paper.take()), (1, vec![]));
        world.put(&svc, path, b"else").unwrap();
        assert_eq!((world.version(path), world.paper.take()), (2, vec!["put a".to_owned()]));
    }
}

#[test]
fn the_same_value_ends_set_id_too() {
    let (world, svc, other) = (World::new(), Who::new(1, 10, &[]), Who::new(2, 10, &[]));
    for path in ["dev/variables/a", "dev/secrets/a"] {
        world.put(&svc, path, b"value").unwrap();
        world.chmod(&svc, path, 0o6770).unwrap();
        world.put(&other, path, b"value").unwrap();
        assert_eq!(world.at(path).unwrap().permissions.mode, mode(0o770), "{path}");
    }
}

#[test]
fn appended_lines_of_many_writers_all_stay() {
    let world = World::new();
    for path in ["dev/variables/log", "dev/secrets/log"] {
        world.put(&Who::new(1, 10, &[]), path, b"").unwrap();
        let id = world.at(path).unwrap().node;
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let world = &world;
                scope.spawn(move || {
                    let svc = Who::new(1, 10, &[]).thread(writer + 1);
                    let file = world.ns.open(&svc, id, APPEND).unwrap();
                    for line in 0..25 {
                        world.ns.write(&file, 0, format!("{writer} {line}\n").as_bytes()).unwrap();
                        world.ns.flush(&svc, &file).unwrap();
                    }
                    world.ns.release(&file);
                });
            }
        });
        let text = String::from_utf8(world.get(&Who::new(1, 10, &[]), path).unwrap()).unwrap();
        for writer in 0..8 {
            let lines: Vec<_> = text.lines().filter(|line| line.starts_with(&format!("{writer} "))).collect();
            let wanted: Vec<_> = (0..25).map(|line| format!("{writer} {line}")).collect();
            assert_eq!(lines, wanted);
        }
        assert_eq!(world.version(path), 201);
        assert_eq!(world.versions(&Who::new(1, 10, &[]), path), (192..=201).collect::<Vec<_>>());
    }
}

#[test]
fn appending_goes_on_after_creating_emptying_and_truncating() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    let path = "dev/variables/log";
    for how in [APPEND, OpenMode { truncate: true, ..APPEND }, OpenMode { read: true, ..APPEND }] {
        let file = world.create(&svc, path, 0o600, how).unwrap();
        world.ns.truncate(&file, 0).unwrap();
        world.ns.write(&file, 999, b"a").unwrap();
        world.ns.flush(&svc, &file).unwrap();
        let other = world.create(&svc, path, 0o600, APPEND).unwrap();
        world.ns.write(&other, 0, b"b").unwrap();
        world.close(&svc, &other).unwrap();
        world.ns.write(&file, 0, b"c").unwrap();
        world.ns.flush(&svc, &file).unwrap();
        assert_eq!((world.get(&svc, path).unwrap(), file.size()), (b"abc".to_vec(), 3));
        world.ns.write(&file, 0, b"d").unwrap();
        assert_eq!(file.size(), 4);
        world.ns.truncate(&file, 2).unwrap();
        world.ns.write(&file, 0, b"e").unwrap();
        if how.read {
            assert_eq!(world.read(&svc, &file).unwrap(), b"abe");
        }
        world.close(&svc, &file).unwrap();
        assert_eq!(world.get(&svc, path).unwrap(), b"abe");
    }
}

#[test]
fn writes_have_places_and_a_limit() {
    let world = World::limited(Limits { value: 100, lease: Duration::ZERO, ..Limits::default() });
    let svc = Who::new(1, 10, &[]);
    for path in ["dev/variables/a", "dev/secrets/a"] {
        world.put(&svc, path, &[b'x'; 100]).unwrap();
        let id = world.at(path).unwrap().node;
        let file = world.ns.open(&svc, id, UPDATE).unwrap();
        world.ns.write(&file, 98, b"yz").unwrap();
        refused!(world.ns.write(&file, 99, b"yz"), Error::ValueTooLarge(100));
        refused!(world.ns.write(&file, u64::MAX, b"yz"), Error::ValueTooLarge(100));
        // Cut off in the middle, it is not what its writer meant: the old value stays.
        refused!(world.close(&svc, &file), Error::ValueTooLarge(100));
        assert_eq!((world.get(&svc, path).unwrap(), world.version(path)), (vec![b'x'; 100], 1));
        refused!(world.put(&svc, &format!("{path}2"), &[b'x'; 101]), Error::ValueTooLarge(100));
        refused!(world.at(&format!("{path}2")), Error::NotFound);
        // Unless it begins anew.
        let file = world.ns.open(&svc, id, UPDATE).unwrap();
        refused!(world.ns.write(&file, 100, b"y"), Error::ValueTooLarge(100));
        refused!(world.ns.truncate(&file, 101), Error::ValueTooLarge(100));
        world.ns.truncate(&file, 2).unwrap();
        world.ns.write(&file, 4, b"y").unwrap();
        world.ns.write(&file, 50, b"").unwrap();
        world.close(&svc, &file).unwrap();
        assert_eq!(world.get(&svc, path).unwrap(), b"xx\0\0y");
        refused!(world.ns.write(&world.ns.open(&svc, id, READ).unwrap(), 0, b"y"), Error::BadHandle);
        refused!(world.ns.read(&svc, &world.ns.open(&svc, id, WRITE).unwrap(), 0, 9, |_| ()), Error::BadHandle);
    }
    let file = world.create(&svc, "dev/variables/a", 0, APPEND).unwrap();
    refused!(world.ns.write(&file, 0, &[b'x'; 96]), Error::ValueTooLarge(100));
}

#[test]
fn truncating_without_a_handle_is_one_commit() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    for path in ["dev/variables/a", "dev/secrets/a"] {
        world.put(&svc, path, b"12345").unwrap();
        let id = world.at(path).unwrap().node;
        world.ns.truncate_closed(&svc, id, 2).unwrap();
        world.ns.truncate_closed(&svc, id, 2).unwrap();
        assert_eq!((world.get(&svc, path).unwrap(), world.version(path)), (b"12".to_vec(), 2));
        world.ns.truncate_closed(&svc, id, 3).unwrap();
        assert_eq!(world.get(&svc, path).unwrap(), b"12\0");
        // A new entry that somebody else is writing keeps what they write.
        let other = Who::new(1, 10, &[]).thread(9);
        let pending = world.create(&other, &format!("{path}n"), 0o600, REWRITE).unwrap();
        world.ns.write(&pending, 0, b"later").unwrap();
        world.ns.truncate_closed(&svc, pending.node(), 1).unwrap();
        assert_eq!(world.get(&svc, &format!("{path}n")).unwrap(), b"\0");
        world.close(&other, &pending).unwrap();
        assert_eq!(world.get(&svc, &format!("{path}n")).unwrap(), b"later");
        world.rm(&svc, path).unwrap();
        refused!(world.ns.truncate_closed(&svc, id, 0), Error::Gone);
    }
    let root = world.root("dev", Tree::Variables);
    refused!(world.ns.truncate_closed(&svc, root, 0), Error::IsADirectory);
    refused!(world.ns.truncate_closed(&svc, NodeId(99), 0), Error::Gone);
}

#[test]
fn a_file_lives_on_without_its_name() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    let path = "dev/secrets/a";
    world.put(&svc, path, b"old").unwrap();
    let id = world.at(path).unwrap().node;
    let (reader, writer) = (world.ns.open(&svc, id, READ).unwrap(), world.ns.open(&svc, id, WRITE).unwrap());
    assert_eq!(world.rm(&svc, path).unwrap(), id);
    world.ns.write(&writer, 0, b"lost").unwrap();
    world.close(&svc, &writer).unwrap();
    assert_eq!(world.read(&svc, &reader).unwrap(), b"old");
    assert_eq!(world.ns.attributes(&svc, id).unwrap().links, 0);
    refused!(world.at(path), Error::NotFound);
    refused!(world.ns.open(&svc, id, WRITE), Error::Gone);
    world.put(&svc, path, b"new").unwrap();
    assert_eq!((world.version(path), world.old(&svc, path, 1).unwrap()), (2, b"old".to_vec()));
    assert_eq!(world.read(&svc, &reader).unwrap(), b"old");
    // However many versions follow, whoever has it open still has it.
    for value in 0..20 {
        world.put(&svc, path, &[value]).unwrap();
    }
    assert_eq!(world.read(&svc, &reader).unwrap(), b"old");
    assert_eq!(world.ns.attributes(&svc, id).unwrap().links, 0);
    world.ns.release(&reader);
    refused!(world.ns.attributes(&svc, id), Error::Gone);
}

#[test]
fn a_name_that_was_never_committed_can_be_taken_away_and_again() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    let path = "dev/variables/tmp";
    let first = world.create(&svc, path, 0o600, REWRITE).unwrap();
    world.ns.write(&first, 0, b"first").unwrap();
    world.rm(&svc, path).unwrap();
    refused!(world.at(path), Error::NotFound);
    assert_eq!(world.ns.attributes(&svc, first.node()).unwrap().links, 0);
    let second = world.create(&svc, path, 0o600, REWRITE).unwrap();
    world.close(&svc, &first).unwrap();
    // The first one's end takes nothing from the second one.
    assert_eq!(world.at(path).unwrap().node, second.node());
    refused!(world.ns.attributes(&svc, first.node()), Error::Gone);
    world.ns.remove_by_editor(&root(), second.node()).unwrap();
    refused!(world.at(path), Error::NotFound);
    world.close(&svc, &second).unwrap();
    refused!(world.at(path), Error::NotFound);
    assert!(world.ns.list(world.root("dev", Tree::Variables)).unwrap().is_empty());
}

#[test]
fn a_commit_can_insist_on_the_version_that_it_replaces() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    let path = "dev/secrets/a";
    world.put(&svc, path, b"1").unwrap();
    let id = world.at(path).unwrap().node;
    refused!(world.ns.expect_version(&svc, id, Version(1)), Error::Invalid(_));
    let write = |value: &[u8], expected: u64| {
        let file = world.ns.open(&svc, id, REWRITE).unwrap();
        world.ns.expect_version(&svc, id, Version(expected)).unwrap();
        world.ns.write(&file, 0, value).unwrap();
        world.close(&svc, &file)
    };
    refused!(world.ns.expect_version(&Who::new(1, 10, &[]).thread(0), id, Version(1)), Error::Invalid(_));
    write(b"2", 1).unwrap();
    refused!(write(b"3", 1), Error::Stale);
    refused!(write(b"3", 0), Error::Stale);
    assert_eq!(world.get(&svc, path).unwrap(), b"2");
    let new = world.create(&svc, "dev/secrets/b", 0o600, REWRITE).unwrap();
    world.ns.expect_version(&svc, new.node(), Version(0)).unwrap();
    world.close(&svc, &new).unwrap();
    let new = world.create(&svc, "dev/secrets/c", 0o600, REWRITE).unwrap();
    world.ns.expect_version(&svc, new.node(), Version(1)).unwrap();
    refused!(world.close(&svc, &new), Error::Stale);
    refused!(world.at("dev/secrets/c"), Error::NotFound);
}

#[test]
fn creators_of_one_name_write_one_file() {
    let world = World::new();
    for round in 0..40 {
        let path = format!("dev/variables/{round}");
        std::thread::scope(|scope| {
            for writer in 0..6 {
                let (world, path) = (&world, &path);
                scope.spawn(move || {
                    world.put(&Who::new(0, 0, &[]).thread(writer + 1), path, &[writer as u8; 9]).unwrap()
                });
            }
        });
        let value = world.get(&root(), &path).unwrap();
        assert!(value.len() == 9 && value.iter().all(|byte| *byte == value[0]), "{value:?}");
        assert!(world.version(&path) <= 6);
    }
    assert_eq!(world.ns.list(world.root("dev", Tree::Variables)).unwrap().len(), 40);
}
