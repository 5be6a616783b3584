//! Earlier versions, and who gets them.

use super::*;

#[test]
fn who_takes_over_a_name_gains_nothing_of_its_past() {
    let world = World::new();
    let (svc, thief) = (Who::new(1, 10, &[]), Who::new(2, 20, &[]));
    world.mkdir(&root(), "dev/secrets/d").unwrap();
    world.put(&svc, "dev/secrets/d/a", b"canary").unwrap();
    // By writing in the directory, as the kernel would let it with such a directory.
    world.rm(&thief, "dev/secrets/d/a").unwrap();
    refused!(world.old(&thief, "dev/secrets/d/a", 1), Error::Denied(_));
    world.put(&thief, "dev/secrets/d/a", b"mine").unwrap();
    refused!(world.old(&thief, "dev/secrets/d/a", 1), Error::Denied(_));
    world.put(&thief, "dev/secrets/d/t", b"mine too").unwrap();
    world.mv(&thief, "dev/secrets/d/t", "dev/secrets/d/a", RenameMode::Replace).unwrap();
    refused!(world.old(&thief, "dev/secrets/d/a", 1), Error::Denied(_));
    assert_eq!(world.old(&thief, "dev/secrets/d/a", 2).unwrap(), b"mine");
    refused!(world.old(&svc, "dev/secrets/d/a", 1), Error::Denied(_));
    refused!(world.old(&root(), "dev/secrets/d/a", 1), Error::Gate(_));
    world.chmod(&thief, "dev/secrets/d/a", 0o640).unwrap();
    let both = Who::new(3, 10, &[20]);
    assert_eq!(world.old(&both, "dev/secrets/d/a", 1).unwrap(), b"canary");
}

#[test]
fn a_key_made_anew_does_not_open_the_past_to_whom_its_directory_kept_out() {
    let (world, owner, stranger) = (World::new(), Who::new(1, 10, &[]), Who::new(2, 20, &[]));
    world.mkdir(&owner, "dev/variables/d").unwrap();
    world.put(&owner, "dev/variables/d/k", b"canary").unwrap();
    world.chmod(&owner, "dev/variables/d/k", 0o644).unwrap();
    world.chmod(&owner, "dev/variables/d", 0o700).unwrap();
    world.rm(&owner, "dev/variables/d/k").unwrap();
    // The directory that kept the key from others goes elsewhere, and what comes to its place keeps nothing from anybody.
    world.mv(&owner, "dev/variables/d", "dev/variables/e", RenameMode::Replace).unwrap();
    world.mkdir(&stranger, "dev/variables/d").unwrap();
    world.put(&stranger, "dev/variables/d/k", b"mine").unwrap();
    world.chmod(&stranger, "dev/variables/d/k", 0o644).unwrap();
    assert_eq!(world.versions(&stranger, "dev/variables/d/k"), [1, 2]);
    let keeps_out = || {
        refused!(world.old(&stranger, "dev/variables/d/k", 1), Error::Denied(_));
        assert_eq!(world.old(&stranger, "dev/variables/d/k", 2).unwrap(), b"mine");
        assert_eq!(world.old(&owner, "dev/variables/d/k", 1).unwrap(), b"canary");
    };
    keeps_out();
    world.rmdir(&owner, "dev/variables/e").unwrap();
    refused!(world.at("dev/variables/e"), Error::NotFound);
    keeps_out();
}

#[test]
fn the_gate_is_asked_again_when_an_old_version_is_read() {
    let (world, svc) = (World::new(), Who::new(1, 10, &[]));
    world.put(&svc, "dev/secrets/a", b"canary").unwrap();
    world.put(&svc, "dev/secrets/a", b"second").unwrap();
    let (root_id, names) = world.split("dev/secrets/a");
    let member = Who::new(2, 20, &[10]);
    let file = world.ns.open_version(&member, root_id, &names, Version(1)).unwrap();
    assert_eq!(world.read(&member, &file).unwrap(), b"canary");
    refused!(world.read(&root(), &file), Error::Gate(_));
    world.chmod(&svc, "dev/secrets/a", 0o600).unwrap();
    refused!(world.read(&member, &file), Error::Gate(_));
    refused!(world.ns.write(&file, 0, b"x"), Error::BadHandle);
    refused!(world.old(&svc, "dev/secrets/a", 3), Error::NotFound);
    refused!(world.old(&svc, "dev/secrets/a", 0), Error::NotFound);
    refused!(world.old(&svc, "dev/secrets/a", u64::MAX), Error::NotFound);
    refused!(world.old(&svc, "dev/secrets/nothing", 1), Error::NotFound);
}

#[test]
fn what_was_removed_is_listed_where_it_was() {
    let (world, svc) = (World::new(), root());
    world.mkdir(&svc, "dev/variables/d").unwrap();
    world.put(&svc, "dev/variables/d/gone", b"1").unwrap();
    world.put(&svc, "dev/variables/d/there", b"1").unwrap();
    world.rm(&svc, "dev/variables/d/gone").unwrap();
    let names = |who: &Who, path: &str| {
        let (root, path) = world.split(path);
        let past = world.ns.past(who, root, &path);
        // A look at whether there is something says the same.
        assert_eq!(world.ns.is_past(who, root, &path).is_ok(), past.is_ok(), "{path:?}");
        past.map(|past| past.names.iter().map(Name::to_string).collect::<Vec<_>>())
    };
    assert_eq!(names(&svc, "dev/variables/d").unwrap(), ["gone", "there"]);
    world.rm(&svc, "dev/variables/d/there").unwrap();
    world.rmdir(&svc, "dev/variables/d").unwrap();
    assert_eq!(names(&svc, "dev/variables/d").unwrap(), ["gone", "there"]);
    assert_eq!(world.old(&svc, "dev/variables/d/gone", 1).unwrap(), b"1");
    refused!(names(&svc, "dev/variables/x"), Error::NotFound);
    world.mkdir(&svc, "dev/variables/d").unwrap();
    world.chmod(&svc, "dev/variables/d", 0o711).unwrap();
    assert!(names(&Who::new(1, 1, &[]), "dev/variables/d").unwrap().is_empty(), "names take permission to read");
    world.chmod(&svc, "dev/variables/d", 0o700).unwrap();
    refused!(names(&Who::new(1, 1, &[]), "dev/variables/d/gone"), Error::Denied(_));
    refused!(world.old(&Who::new(1, 1, &[]), "dev/variables/d/gone", 1), Error::Denied(_));
}

#[test]
fn what_the_history_no_longer_leads_to_is_gone() {
    let (world, svc) = (World::new(), root());
    world.mkdir(&svc, "dev/secrets/d").unwrap();
    world.put(&svc, "dev/secrets/d/k", b"first").unwrap();
    world.put(&svc, "dev/secrets/d/k", b"second").unwrap();
    let file = world.ns.open(&svc, world.at("dev/secrets/d/k").unwrap().node, READ).unwrap();
    world.rm(&svc, "dev/secrets/d/k").unwrap();
    world.rmdir(&svc, "dev/secrets/d").unwrap();
    // Another directory comes to its place, with a key of that name in it.
    world.mkdir(&svc, "dev/secrets/e").unwrap();
    world.put(&svc, "dev/secrets/e/k", b"other").unwrap();
    world.mv(&svc, "dev/secrets/e", "dev/secrets/d", RenameMode::Replace).unwrap();
    assert_eq!(world.findings(), Vec::<String>::new());
    world.rm(&svc, "dev/secrets/d/k").unwrap();
    assert_eq!(world.findings(), Vec::<String>::new());
    assert_eq!(world.versions(&svc, "dev/secrets/d/k"), [1]);
    assert_eq!(world.old(&svc, "dev/secrets/d/k", 1).unwrap(), b"other");
    // Who has it open still knows it.
    assert_eq!(world.read(&svc, &file).unwrap(), b"second");
    assert_eq!(world.ns.attributes(&svc, file.node()).unwrap().links, 0);
}
