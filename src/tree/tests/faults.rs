//! A store that refuses, is full, or loses its answer.

use super::*;
use crate::store::CommitError;
use crate::store::fault::Fault;

#[test]
fn a_conflict_is_tried_again() {
    let (world, svc) = (World::new(), root());
    for n in 0..8 {
        world.store.fail_commit(n, Fault::Before(CommitError::Conflict));
    }
    world.put(&svc, "dev/secrets/a", b"1").unwrap();
    assert_eq!(world.get(&svc, "dev/secrets/a").unwrap(), b"1");
    for n in 0..12 {
        world.store.fail_commit(n, Fault::Before(CommitError::Conflict));
    }
    refused!(world.put(&svc, "dev/secrets/a", b"2"), Error::Busy);
    assert_eq!(world.get(&svc, "dev/secrets/a").unwrap(), b"1");
}

#[test]
fn a_full_store_keeps_what_it_has() {
    let (world, svc) = (World::new(), root());
    world.put(&svc, "dev/secrets/a", b"old").unwrap();
    let full = || world.store.fail_commit(0, Fault::Before(CommitError::NoSpace));
    full();
    refused!(world.put(&svc, "dev/secrets/a", b"new"), Error::NoSpace);
    assert_eq!((world.get(&svc, "dev/secrets/a").unwrap(), world.version("dev/secrets/a")), (b"old".to_vec(), 1));
    full();
    refused!(world.put(&svc, "dev/secrets/b", b"new"), Error::NoSpace);
    refused!(world.at("dev/secrets/b"), Error::NotFound);
    full();
    refused!(world.rm(&svc, "dev/secrets/a"), Error::NoSpace);
    full();
    refused!(world.chmod(&svc, "dev/secrets/a", 0o600), Error::NoSpace);
    // A flush that is tried again succeeds with all that was written, however it was written.
    for path in ["dev/secrets/c", "dev/secrets/a"] {
        let file = world.create(&svc, path, 0o600, APPEND).unwrap();
        world.ns.write(&file, 0, b"+line").unwrap();
        full();
        refused!(world.ns.flush(&svc, &file), Error::NoSpace);
        let other = world.create(&svc, path, 0o600, APPEND).unwrap();
        world.ns.write(&other, 0, b"other").unwrap();
        world.close(&svc, &other).unwrap();
        world.close(&svc, &file).unwrap();
        let value = world.get(&svc, path).unwrap();
        assert!(value.ends_with(b"other+line"), "{value:?}");
    }
}

#[test]
fn a_lost_answer_is_an_error_and_not_an_end() {
    let (world, svc) = (World::new(), root());
    let lose = || world.store.fail_commit(0, Fault::After);
    let file = world.create(&svc, "dev/secrets/a", 0o600, REWRITE).unwrap();
    world.ns.write(&file, 0, b"one").unwrap();
    lose();
    refused!(world.ns.flush(&svc, &file), Error::Store(_));
    world.ns.write(&file, 3, b" two").unwrap();
    world.close(&svc, &file).unwrap();
    assert_eq!((world.get(&svc, "dev/secrets/a").unwrap(), world.version("dev/secrets/a")), (b"one two".to_vec(), 2));
    lose();
    refused!(world.put(&svc, "dev/secrets/b", b"x"), Error::Store(_));
    assert_eq!(world.get(&svc, "dev/secrets/b").unwrap(), b"x");
    lose();
    refused!(world.rm(&svc, "dev/secrets/b"), Error::Store(_));
    refused!(world.at("dev/secrets/b"), Error::NotFound);
}

#[test]
fn a_store_that_does_not_answer_is_an_error() {
    let (world, svc) = (World::new(), root());
    world.put(&svc, "dev/secrets/a", b"old").unwrap();
    let file = world.create(&svc, "dev/secrets/a", 0, UPDATE).unwrap();
    world.store.fail_reads(true);
    refused!(world.get(&svc, "dev/secrets/a"), Error::Store(_));
    refused!(world.read(&svc, &file), Error::Store(_));
    world.store.fail_reads(false);
    assert_eq!(world.read(&svc, &file).unwrap(), b"old");
}

#[test]
fn a_name_is_nobodys_where_its_file_could_not_be_opened() {
    let (world, svc) = (World::new(), root());
    let (parent, made) = world.seat("dev/secrets/a");
    let create = || world.ns.create(&svc, parent, &made, (mode(0o600), mode(0)), REWRITE, true);
    let mut failed = 0;
    for read in 0.. {
        world.store.fail_read(read);
        let outcome = create();
        if world.store.spare_read() {
            // It took fewer reads.
            outcome.unwrap();
            break;
        }
        refused!(outcome.map(drop), Error::Store(_));
        refused!(world.at("dev/secrets/a"), Error::NotFound);
        failed += 1;
    }
    assert!(failed >= 3, "{failed}");
}
