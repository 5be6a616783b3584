//! The gate at open and at read, restricted deletion, attributes, and what the audit log says of it all.

use super::*;
use crate::access::acl::Acl;
use crate::access::edit;

fn payments() -> Who {
    Who::new(5, 55, &[20])
}

/// `dev/secrets/a`, 0640, of user 1 and group 20.
fn shared(limits: Limits) -> (World, Who) {
    let (world, svc) = (World::limited(limits), Who::new(1, 20, &[]));
    world.put(&svc, "dev/secrets/a", b"canary").unwrap();
    world.paper.take();
    (world, svc)
}

fn strict() -> Limits {
    Limits { value: 1 << 20, lease: Duration::ZERO, ..Limits::default() }
}

#[test]
fn the_gate_is_asked_at_open_and_each_decision_is_one_line() {
    let (world, svc) = shared(strict());
    let id = world.at("dev/secrets/a").unwrap().node;
    assert_eq!(world.get(&svc, "dev/secrets/a").unwrap(), b"canary");
    assert_eq!(world.get(&payments(), "dev/secrets/a").unwrap(), b"canary");
    assert_eq!(world.paper.take(), ["granted a", "granted a"]);
    for outsider in [root(), Who::new(1, 1, &[]), Who { groups: None, ..payments() }] {
        refused!(world.ns.open(&outsider, id, READ), Error::Gate(_));
        refused!(world.ns.open(&outsider, id, UPDATE), Error::Gate(_));
        assert_eq!(world.paper.take(), ["denied a", "denied a"]);
    }
    // Looking at it decrypts nothing and is no decision; nor is writing without reading.
    world.ns.facts(id).unwrap();
    world.ns.explain(&root(), id).unwrap();
    let file = world.ns.open(&root(), id, WRITE).unwrap();
    refused!(world.read(&root(), &file), Error::BadHandle);
    world.ns.release(&file);
    assert_eq!(world.paper.take(), Vec::<String>::new());
    assert_eq!((world.ns.totals().granted, world.ns.totals().denied), (2, 6));
}

#[test]
fn a_descriptor_is_worth_what_its_reader_is_worth() {
    let (world, svc) = shared(strict());
    let id = world.at("dev/secrets/a").unwrap().node;
    let file = world.ns.open(&payments(), id, READ).unwrap();
    for _ in 0..3 {
        assert_eq!(world.read(&payments(), &file).unwrap(), b"canary");
    }
    assert_eq!(world.paper.take(), ["granted a"]);
    refused!(world.read(&Who::new(5, 55, &[]).thread(3), &file), Error::Gate(_));
    refused!(world.read(&root(), &file), Error::Gate(_));
    assert_eq!(world.read(&svc, &file).unwrap(), b"canary");
    assert_eq!(world.paper.take(), ["denied a", "denied a", "granted a"]);
    // Dropped groups count at once, where no lease does.
    assert_eq!(world.read(&payments(), &file).unwrap(), b"canary");
    refused!(world.read(&Who { groups: Some(vec![]), ..payments() }, &file), Error::Gate(_));
    world.chmod(&svc, "dev/secrets/a", 0o600).unwrap();
    refused!(world.read(&payments(), &file), Error::Gate(_));
    assert_eq!(world.read(&svc, &file).unwrap(), b"canary");
    world.ns.release(&file);
}

#[test]
fn a_lease_ends_with_a_change_of_permissions() {
    let (world, svc) = shared(Limits { value: 1 << 20, lease: Duration::from_secs(1000), ..Limits::default() });
    let id = world.at("dev/secrets/a").unwrap().node;
    let file = world.ns.open(&payments(), id, READ).unwrap();
    let dropped = Who { groups: Some(vec![]), ..payments() };
    assert_eq!(world.read(&dropped, &file).unwrap(), b"canary");
    refused!(world.read(&Who::new(5, 56, &[]), &file), Error::Gate(_));
    assert_eq!(world.read(&payments(), &file).unwrap(), b"canary");
    world.chgrp(&root(), "dev/secrets/a", 21).unwrap();
    refused!(world.read(&payments(), &file), Error::Gate(_));
    refused!(world.read(&svc, &file), Error::Gate(_));
    // An attempt whose answer was lost may have been made.
    let file = world.ns.open(&Who::new(1, 21, &[]), id, READ).unwrap();
    world.store.fail_commit(0, crate::store::fault::Fault::After);
    refused!(world.chgrp(&root(), "dev/secrets/a", 22), Error::Store(_));
    refused!(world.read(&Who::new(1, 21, &[]), &file), Error::Gate(_));
}

#[test]
fn what_a_new_secret_is_written_is_read_back_by_its_group_alone() {
    let world = World::new();
    let svc = Who::new(1, 10, &[]);
    let file = world.create(&svc, "dev/secrets/a", 0o200, UPDATE).unwrap();
    world.ns.write(&file, 0, b"canary").unwrap();
    refused!(world.read(&svc, &file), Error::Gate(_));
    world.chmod(&svc, "dev/secrets/a", 0o600).unwrap();
    assert_eq!(world.read(&svc, &file).unwrap(), b"canary");
    refused!(world.read(&root(), &file), Error::Gate(_));
    world.close(&svc, &file).unwrap();
    assert_eq!(world.get(&svc, "dev/secrets/a").unwrap(), b"canary");
}

#[test]
fn an_appender_that_reads_is_asked_for_what_others_added() {
    let (world, svc) = shared(Limits { value: 1 << 20, lease: Duration::from_secs(1000), ..Limits::default() });
    let file = world.create(&svc, "dev/secrets/a", 0, OpenMode { read: true, ..APPEND }).unwrap();
    world.put(&svc, "dev/secrets/a", b"other").unwrap();
    world.ns.write(&file, 0, b"+").unwrap();
    world.ns.flush(&svc, &file).unwrap();
    world.paper.take();
    assert_eq!(world.read(&svc, &file).unwrap(), b"other+");
    assert_eq!(world.paper.take(), ["granted a"]);
    refused!(world.read(&root(), &file), Error::Gate(_));
}

#[test]
fn a_change_of_permissions_seals_anew_and_the_past_keeps_its_own() {
    let (world, svc) = shared(strict());
    let id = world.at("dev/secrets/a").unwrap().node;
    world.put(&svc, "dev/secrets/a", b"second").unwrap();
    world.chmod(&svc, "dev/secrets/a", 0o600).unwrap();
    assert_eq!(world.get(&svc, "dev/secrets/a").unwrap(), b"second");
    world.put(&svc, "dev/secrets/a", b"third").unwrap();
    let acl = Acl::new(
        edit_rights("rw"),
        vec![],
        edit_rights(""),
        vec![(Gid(30), edit_rights("r"))],
        Some(edit_rights("r")),
        edit_rights("r"),
    );
    world.ns.alter(&svc, id, Alteration::AccessAcl(Some(&acl.unwrap()))).unwrap();
    let analyst = Who::new(7, 30, &[]);
    assert_eq!(world.get(&analyst, "dev/secrets/a").unwrap(), b"third");
    assert_eq!(world.at("dev/secrets/a").unwrap().permissions.mode, mode(0o640), "nothing for other");
    // Version 1 was 20's, version 2 the owner's alone, version 3 is 30's.
    refused!(world.old(&analyst, "dev/secrets/a", 1), Error::Denied(_));
    refused!(world.old(&payments(), "dev/secrets/a", 1), Error::Denied(_));
    assert_eq!(world.old(&analyst, "dev/secrets/a", 3).unwrap(), b"third");
    refused!(world.old(&root(), "dev/secrets/a", 1), Error::Gate(_));
    let both = Who::new(7, 30, &[20]);
    assert_eq!(world.old(&both, "dev/secrets/a", 1).unwrap(), b"canary");
    refused!(world.old(&both, "dev/secrets/a", 2), Error::Denied(_));
    let user = Acl::new(
        edit_rights("rw"),
        vec![(Uid(7), edit_rights("r"))],
        edit_rights(""),
        vec![],
        Some(edit_rights("r")),
        edit_rights(""),
    );
    refused!(world.ns.alter(&svc, id, Alteration::AccessAcl(Some(&user.unwrap()))), Error::Acl(_));
    world.ns.alter(&svc, id, Alteration::Groups(&edit::parse_groups("40:rw", &|_| None).unwrap())).unwrap();
    assert_eq!(world.get(&Who::new(7, 40, &[]), "dev/secrets/a").unwrap(), b"third");
    refused!(
        world.ns.alter(&Who::new(7, 30, &[]), id, Alteration::Groups(&edit::GroupPermissions::default())),
        Error::Denied(_)
    );
    refused!(world.ns.alter(&root(), id, Alteration::Groups(&edit::GroupPermissions::default())), Error::Gate(_));
}

fn edit_rights(text: &str) -> crate::access::Rights {
    let bit = |letter, bit| if text.contains(letter) { bit } else { 0 };
    crate::access::Rights::from_bits(bit('r', 4) | bit('w', 2))
}

#[test]
fn right_below_a_root_deletion_is_restricted() {
    let world = World::new();
    let (svc, other, editor) = (Who::new(1, 10, &[]), Who::new(2, 20, &[10]), Who::new(3, 30, &[10]));
    for tree in ["variables", "secrets"] {
        let path = format!("dev/{tree}/a");
        world.put(&svc, &path, b"x").unwrap();
        world.put(&other, &format!("dev/{tree}/mine"), b"y").unwrap();
        refused!(world.rm(&other, &path), Error::NotPermitted(_));
        refused!(world.mv(&other, &path, &format!("dev/{tree}/b"), RenameMode::Replace), Error::NotPermitted(_));
        refused!(world.mv(&other, &format!("dev/{tree}/mine"), &path, RenameMode::Replace), Error::NotPermitted(_));
        refused!(world.mv(&other, &format!("dev/{tree}/mine"), &path, RenameMode::Exchange), Error::NotPermitted(_));
        refused!(world.ns.remove_by_editor(&other, world.at(&path).unwrap().node), Error::Denied(_));
        world.chmod(&svc, &path, 0o660).unwrap();
        world.mv(&editor, &path, &format!("dev/{tree}/b"), RenameMode::Replace).unwrap();
        let removed = world.ns.remove_by_editor(&editor, world.at(&format!("dev/{tree}/b")).unwrap().node).unwrap();
        assert_eq!(removed.1, name("b"));
        world.rm(&root(), &format!("dev/{tree}/mine")).unwrap();
        let pending = world.create(&svc, &path, 0o600, REWRITE).unwrap();
        refused!(world.rm(&other, &path), Error::NotPermitted(_));
        world.rm(&svc, &path).unwrap();
        world.close(&svc, &pending).unwrap();
        // Further down the kernel asks the directory.
        world.mkdir(&svc, &format!("dev/{tree}/d")).unwrap();
        refused!(world.rmdir(&Who::new(4, 4, &[]), &format!("dev/{tree}/d")), Error::NotPermitted(_));
        world.put(&svc, &format!("dev/{tree}/d/a"), b"x").unwrap();
        world.rm(&other, &format!("dev/{tree}/d/a")).unwrap();
    }
}

#[test]
fn an_expired_entry_is_not_opened() {
    let (world, svc) = shared(strict());
    let id = world.at("dev/secrets/a").unwrap().node;
    let soon = Timestamp(world.clock.now().0 + 1_000_000_000);
    world.ns.alter(&svc, id, Alteration::Expires(Some(soon))).unwrap();
    assert_eq!(world.get(&svc, "dev/secrets/a").unwrap(), b"canary");
    world.clock.advance(Duration::from_secs(2));
    refused!(world.get(&svc, "dev/secrets/a"), Error::Expired);
    refused!(world.old(&svc, "dev/secrets/a", 1), Error::Expired);
    assert_eq!(world.ns.facts(id).unwrap().expires, Some(soon));
    world.ns.alter(&svc, id, Alteration::Expires(None)).unwrap();
    assert_eq!(world.get(&svc, "dev/secrets/a").unwrap(), b"canary");
    refused!(world.ns.alter(&svc, id, Alteration::Expires(None)), Error::NoAttribute);
    refused!(
        world.ns.alter(&svc, world.root("dev", Tree::Secrets), Alteration::Expires(Some(soon))),
        Error::Invalid(_)
    );
}

#[test]
fn notes_have_their_limits() {
    let (world, svc) = shared(strict());
    let id = world.at("dev/secrets/a").unwrap().node;
    let note = |name: &[u8], value: &[u8], how| world.ns.alter(&svc, id, Alteration::Note(name, value, how));
    refused!(note(b"a", b"1", Note::Replace), Error::NoAttribute);
    note(b"a", b"1", Note::Create).unwrap();
    refused!(note(b"a", b"2", Note::Create), Error::AttributeExists);
    note(b"a", b"2", Note::Replace).unwrap();
    note(&[b'n'; 255], b"", Note::Set).unwrap();
    refused!(note(&[b'n'; 256], b"", Note::Set), Error::Name(_));
    refused!(note(b"", b"", Note::Set), Error::Name(_));
    refused!(note(b"b", &vec![0; 64 << 10], Note::Set), Error::AttributesFull);
    note(b"b", &vec![7; 60_000], Note::Set).unwrap();
    assert_eq!(world.ns.notes(id).unwrap().len(), 3);
    assert_eq!(world.ns.note(id, b"b").unwrap().len(), 60_000);
    world.ns.alter(&svc, id, Alteration::NoNote(b"a")).unwrap();
    refused!(world.ns.alter(&svc, id, Alteration::NoNote(b"a")), Error::NoAttribute);
    refused!(world.ns.note(id, b"a"), Error::NoAttribute);
    assert_eq!((world.get(&svc, "dev/secrets/a").unwrap(), world.version("dev/secrets/a")), (b"canary".to_vec(), 1));
}

#[test]
fn without_an_audit_log_secrets_are_refused_and_variables_go_on() {
    let (world, svc) = shared(strict());
    world.put(&svc, "dev/variables/v", b"1").unwrap();
    let open = world.ns.open(&svc, world.at("dev/secrets/a").unwrap().node, READ).unwrap();
    world.paper.take();
    world.paper.fail(true);
    refused!(world.get(&svc, "dev/secrets/a"), Error::Audit(_));
    refused!(world.get(&root(), "dev/secrets/a"), Error::Gate(_));
    refused!(world.read(&svc.thread(8), &open), Error::Audit(_));
    let svc = Who::new(1, 20, &[]);
    world.put(&svc, "dev/variables/v", b"2").unwrap();
    assert_eq!(world.get(&svc, "dev/variables/v").unwrap(), b"2");
    // Something is kept back now, so secrets aren't changed either.
    refused!(world.put(&svc, "dev/secrets/a", b"x"), Error::Audit(_));
    refused!(world.put(&svc, "dev/secrets/b", b"x"), Error::Audit(_));
    refused!(world.rm(&svc, "dev/secrets/a"), Error::Audit(_));
    refused!(world.mv(&svc, "dev/secrets/a", "dev/secrets/b", RenameMode::Replace), Error::Audit(_));
    refused!(world.chmod(&svc, "dev/secrets/a", 0o600), Error::Audit(_));
    world.paper.fail(false);
    assert_eq!(world.get(&svc, "dev/secrets/a").unwrap(), b"canary");
    assert_eq!(world.paper.take(), ["put v", "granted a"]);
}

#[test]
fn a_log_that_is_too_far_behind_stops_variables_too() {
    let (world, svc) = shared(strict());
    world.paper.fail(true);
    let mut made = 0;
    let long = "n".repeat(250);
    loop {
        let top = world.root("dev", Tree::Variables);
        match world.ns.make_directory(&svc, top, &name(&format!("{made}{long}")), mode(0o755), mode(0)) {
            Ok(_) => made += 1,
            Err(Error::Audit(_)) => break,
            Err(error) => panic!("{error}"),
        }
        assert!(made < 10_000);
    }
    world.paper.fail(false);
    world.put(&svc, "dev/variables/v", b"1").unwrap();
    assert_eq!(world.paper.take().len(), made + 1);
}

#[test]
fn every_change_is_one_line() {
    let (world, svc) = (World::new(), root());
    world.mkdir(&svc, "dev/secrets/d").unwrap();
    world.put(&svc, "dev/secrets/d/a", b"1").unwrap();
    world.mv(&svc, "dev/secrets/d/a", "dev/secrets/b", RenameMode::Replace).unwrap();
    world.mv(&svc, "dev/secrets/d", "dev/secrets/b", RenameMode::Exchange).unwrap();
    world.chmod(&svc, "dev/secrets/d", 0o600).unwrap();
    world.rm(&svc, "dev/secrets/d").unwrap();
    world.rmdir(&svc, "dev/secrets/b").unwrap();
    assert_eq!(
        world.paper.take(),
        ["mkdir d", "put d/a", "rename d/a", "exchange d", "permission d", "remove d", "remove b"]
    );
}

#[test]
fn a_file_that_changes_hands_loses_set_group_id_by_whom_its_group_does_not_have() {
    let world = World::new();
    let maker = Who::new(1, 10, &[]);
    for (bits, owner_groups, left) in [(0o2700, vec![], 0o700), (0o2700, vec![10], 0o2700), (0o640, vec![], 0o640)] {
        let path = format!("dev/variables/{bits:o}-{}", owner_groups.len());
        let file = world.create(&maker, &path, bits, REWRITE).unwrap();
        world.close(&maker, &file).unwrap();
        let id = world.at(&path).unwrap().node;
        let change = AttributeChange { group: Some(Gid(30)), ..Default::default() };
        world.ns.alter(&Who::new(1, 30, &owner_groups), id, Alteration::Set(change)).unwrap();
        let permissions = world.at(&path).unwrap().permissions;
        assert_eq!((permissions.mode, permissions.group), (mode(left), Gid(30)), "{path}");
    }
}
