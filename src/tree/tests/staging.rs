//! Transactions: what is staged is seen nowhere else, and committed whole, as if each change were made alone, or not at all.

use super::*;
use crate::access::edit;
use crate::store::CommitError;
use crate::store::fault::Fault;

const NONE: Version = Version(0);

pub(super) fn svc() -> Who {
    Who::new(7, 30, &[])
}

/// A transaction, with paths below it.
pub(super) struct Stage<'w> {
    pub(super) world: &'w World,
    name: Name,
}

impl World {
    pub(super) fn stage<'w>(&'w self, who: &Who, text: &str) -> Stage<'w> {
        self.ns.begin(who, &name(text), None).unwrap();
        Stage { world: self, name: name(text) }
    }
}

impl Stage<'_> {
    pub(super) fn at(&self, path: &str) -> Result<StagedId, Error> {
        let mut id = self.world.ns.transaction(&self.name)?.0;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            id = self.world.ns.staged_lookup(id, &name(part))?.0;
        }
        Ok(id)
    }

    pub(super) fn seat(&self, path: &str) -> (StagedId, Name) {
        let (above, last) = path.rsplit_once('/').unwrap_or(("", path));
        (self.at(above).unwrap(), name(last))
    }

    pub(super) fn mkdir(&self, who: &Who, path: &str) -> Result<StagedId, Error> {
        let (parent, name) = self.seat(path);
        Ok(self.world.ns.stage_directory(who, parent, &name, mode(0o755), mode(0o022))?.0)
    }

    pub(super) fn touch(&self, who: &Who, path: &str) -> Result<StagedId, Error> {
        let (parent, name) = self.seat(path);
        Ok(self.world.ns.stage_file(who, parent, &name, mode(0o640), mode(0))?.0)
    }

    pub(super) fn put(&self, who: &Who, path: &str, value: &[u8]) -> Result<StagedId, Error> {
        let id = match self.at(path) {
            Ok(id) => id,
            Err(_) => self.touch(who, path)?,
        };
        self.world.ns.stage_size(who, id, false, 0)?;
        self.world.ns.stage_write(who, id, Some(0), false, value)?;
        Ok(id)
    }

    pub(super) fn rm(&self, who: &Who, path: &str) -> Result<(), Error> {
        let id = match self.at(path) {
            Ok(id) => id,
            Err(_) => self.touch(who, path)?,
        };
        self.world.ns.stage_removal(who, id)
    }

    pub(super) fn groups(&self, who: &Who, path: &str, text: &str) -> Result<(), Error> {
        let groups = edit::parse_groups(text, &|_| None).unwrap();
        self.world.ns.stage_alteration(who, self.at(path)?, Alteration::Groups(&groups))
    }

    pub(super) fn read(&self, who: &Who, path: &str) -> Result<Vec<u8>, Error> {
        let id = self.at(path)?;
        let reader = self.world.ns.stage_open(who, id, READ)?;
        Ok(self.world.ns.stage_read(who, id, reader, 0, u32::MAX, <[u8]>::to_vec)?.0)
    }

    pub(super) fn commit(&self, who: &Who) -> Result<Committed, Error> {
        self.world.ns.commit_transaction(who, &self.name)
    }

    /// Drops it, as `rm -r` does.
    pub(super) fn take_back(&self, who: &Who) {
        fn empty(world: &World, who: &Who, id: StagedId) {
            for (name, below, kind) in world.ns.staged_list(id).unwrap() {
                if kind == Kind::Directory {
                    empty(world, who, below);
                }
                world.ns.unstage(who, id, &name, kind).unwrap();
            }
        }
        empty(self.world, who, self.at("").unwrap());
        self.world.ns.end(&self.name).unwrap();
    }

    /// Why the last commit failed.
    pub(super) fn error(&self, who: &Who) -> String {
        String::from_utf8(self.read(who, ".error").unwrap()).unwrap()
    }
}

#[test]
fn all_of_it_is_there_in_one_step() {
    let world = World::new();
    let svc = self::svc();
    world.put(&svc, "dev/variables/old", b"1").unwrap();
    world.put(&svc, "dev/variables/gone", b"2").unwrap();
    let stage = world.stage(&svc, "t");
    stage.mkdir(&svc, "dev/secrets/db").unwrap();
    stage.put(&svc, "dev/secrets/db/password", b"s3cret").unwrap();
    stage.put(&svc, "dev/variables/old", b"one").unwrap();
    stage.put(&svc, "prod/variables/new", b"n").unwrap();
    stage.rm(&svc, "dev/variables/gone").unwrap();
    // Nothing of it is there yet.
    assert_eq!(world.get(&svc, "dev/variables/old").unwrap(), b"1");
    refused!(world.at("dev/secrets/db"), Error::NotFound);
    let (before, revision) = (world.ns.totals().commits, world.store.snapshot().unwrap().revision());
    world.paper.take();
    let done = stage.commit(&svc).unwrap();
    assert_eq!(world.ns.totals().commits, before + 1);
    assert_eq!(world.store.snapshot().unwrap().revision().0, revision.0 + 1, "one step");
    assert_eq!(world.get(&svc, "dev/secrets/db/password").unwrap(), b"s3cret");
    assert_eq!(world.get(&svc, "dev/variables/old").unwrap(), b"one");
    assert_eq!(world.get(&svc, "prod/variables/new").unwrap(), b"n");
    refused!(world.at("dev/variables/gone"), Error::NotFound);
    assert_eq!(world.versions(&svc, "dev/variables/old"), [1, 2]);
    assert_eq!(world.old(&svc, "dev/variables/gone", 1).unwrap(), b"2");
    let mut log = world.paper.take();
    log.truncate(5);
    log.sort();
    assert_eq!(log, ["mkdir db", "put db/password", "put new", "put old", "remove gone"]);
    assert_eq!((done.made.len(), done.changed.len(), done.removed.len()), (3, 1, 1));
    // The transaction is gone, and its name free.
    refused!(stage.at(""), Error::NotFound);
    world.stage(&svc, "t");
    assert_eq!(world.findings(), [""; 0]);
}

#[test]
fn one_refusal_refuses_all_of_it_and_says_why() {
    let world = World::new();
    let (svc, other) = (self::svc(), Who::new(8, 31, &[]));
    world.put(&other, "dev/variables/theirs", b"1").unwrap();
    world.chmod(&other, "dev/variables/theirs", 0o644).unwrap();
    let stage = world.stage(&svc, "t");
    stage.put(&svc, "dev/variables/mine", b"m").unwrap();
    stage.put(&svc, "dev/variables/theirs", b"x").unwrap();
    let revision = world.store.snapshot().unwrap().revision();
    refused!(stage.commit(&svc), Error::Denied(_));
    assert_eq!(world.store.snapshot().unwrap().revision(), revision);
    refused!(world.at("dev/variables/mine"), Error::NotFound);
    let why = stage.error(&svc);
    assert_eq!(
        why,
        "dev/variables/theirs: permission denied: the entry's permissions don't let the process write it\n"
    );
    // What is wrong can be mended, and the rest is there still.
    let (parent, name) = stage.seat("dev/variables/theirs");
    world.ns.unstage(&svc, parent, &name, Kind::File).unwrap();
    stage.commit(&svc).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/mine").unwrap(), b"m");
    assert_eq!(world.get(&svc, "dev/variables/theirs").unwrap(), b"1");
}

#[test]
fn each_change_takes_the_rights_that_it_takes_alone() {
    let world = World::new();
    let (svc, other) = (self::svc(), Who::new(8, 31, &[40]));
    world.mkdir(&svc, "dev/variables/closed").unwrap();
    world.put(&svc, "dev/variables/closed/key", b"1").unwrap();
    world.mkdir(&svc, "dev/variables/open").unwrap();
    world.put(&svc, "dev/variables/open/key", b"1").unwrap();
    world.put(&svc, "dev/secrets/key", b"1").unwrap();
    world.chgrp(&svc, "dev/secrets/key", 40).unwrap();
    world.chmod(&svc, "dev/variables/closed", 0o700).unwrap();
    let stage = world.stage(&other, "t");
    // What can't be searched is not looked into.
    let closed = stage.mkdir(&other, "dev/variables/closed").unwrap();
    refused!(world.ns.stage_file(&other, closed, &name("key"), mode(0o600), mode(0)), Error::Denied(_));
    world.ns.unstage(&other, stage.at("dev/variables").unwrap(), &name("closed"), Kind::Directory).unwrap();
    // (what is staged, whether alone it may be done)
    let attempt = |act: &dyn Fn(&Stage<'_>) -> Result<(), Error>| {
        let stage = world.stage(&other, "attempt");
        let answer = act(&stage).and_then(|()| stage.commit(&other).map(drop));
        // What was refused is left over.
        world.clock.advance(Duration::from_secs(3600));
        world.ns.drop_abandoned();
        answer
    };
    let open = |stage: &Stage<'_>| stage.mkdir(&other, "dev/variables/open").map(drop);
    refused!(
        attempt(&|stage| open(stage).and(stage.put(&other, "dev/variables/open/new", b"x").map(drop))),
        Error::Denied(_)
    );
    refused!(
        attempt(&|stage| open(stage).and(stage.put(&other, "dev/variables/open/key", b"x").map(drop))),
        Error::Denied(_)
    );
    refused!(attempt(&|stage| open(stage).and(stage.rm(&other, "dev/variables/open/key"))), Error::Denied(_));
    // The group reads the secret, and no more.
    refused!(attempt(&|stage| stage.put(&other, "dev/secrets/key", b"x").map(drop)), Error::Denied(_));
    refused!(attempt(&|stage| stage.rm(&other, "dev/secrets/key")), Error::Denied(_));
    world.chmod(&svc, "dev/secrets/key", 0o660).unwrap();
    attempt(&|stage| stage.put(&other, "dev/secrets/key", b"x").map(drop)).unwrap();
    assert_eq!(world.get(&other, "dev/secrets/key").unwrap(), b"x");
    attempt(&|stage| {
        stage.touch(&other, "dev/secrets/key")?;
        stage.groups(&other, "dev/secrets/key", "40:rw,50:r")
    })
    .unwrap();
    assert!(world.get(&Who::new(9, 32, &[50]), "dev/secrets/key").is_ok());
    // Who owns an entry may give it away as far as the kernel let them; who doesn't may not.
    let change = AttributeChange { mode: Some(mode(0o666)), ..AttributeChange::default() };
    let chmod = |stage: &Stage<'_>| {
        let id = open(stage).and(stage.touch(&other, "dev/variables/open/key"))?;
        world.ns.stage_alteration(&other, id, Alteration::Set(change))
    };
    refused!(attempt(&chmod), Error::Denied(_));
    attempt(&|stage| stage.rm(&other, "dev/secrets/key")).unwrap();
    assert_eq!(world.findings(), [""; 0]);
}

#[test]
fn a_transaction_is_one_users() {
    let world = World::new();
    let (svc, other) = (self::svc(), Who::new(8, 31, &[]));
    let stage = world.stage(&svc, "t");
    stage.put(&svc, "dev/variables/a", b"1").unwrap();
    for who in [&other, &root()] {
        refused!(stage.touch(who, "dev/variables/b"), Error::Denied(_));
        refused!(stage.put(who, "dev/variables/a", b"2"), Error::Denied(_));
        refused!(stage.read(who, "dev/variables/a"), Error::Denied(_));
        refused!(stage.rm(who, "dev/variables/a"), Error::Denied(_));
        refused!(stage.groups(who, "dev/variables/a", "40:rw"), Error::Denied(_));
        refused!(stage.commit(who), Error::Denied(_));
    }
    refused!(world.ns.begin(&other, &name("t"), None), Error::Exists);
    assert_eq!(world.ns.begun(&other).len(), 0);
    assert_eq!((world.ns.begun(&svc).len(), world.ns.begun(&root()).len()), (1, 1));
    stage.commit(&svc).unwrap();
}

#[test]
fn a_staged_secret_is_read_back_by_whom_the_gate_lets_in() {
    let world = World::new();
    let svc = self::svc();
    let elsewhere = Who::new(7, 31, &[]);
    let stage = world.stage(&svc, "t");
    stage.put(&svc, "dev/secrets/key", b"s3cret").unwrap();
    world.paper.take();
    assert_eq!(stage.read(&svc, "dev/secrets/key").unwrap(), b"s3cret");
    assert_eq!(world.paper.take(), ["granted key"]);
    // The same user without the group.
    refused!(stage.read(&elsewhere, "dev/secrets/key"), Error::Gate(_));
    assert_eq!(world.paper.take(), ["denied key"]);
    let id = stage.at("dev/secrets/key").unwrap();
    let reader = world.ns.stage_open(&svc, id, READ).unwrap();
    refused!(world.ns.stage_read(&elsewhere, id, reader, 0, 9, <[u8]>::to_vec), Error::Gate(_));
}

#[test]
fn an_entry_that_is_there_keeps_what_is_not_staged() {
    let world = World::new();
    let svc = self::svc();
    world.put(&svc, "dev/secrets/key", b"one").unwrap();
    world.chmod(&svc, "dev/secrets/key", 0o640).unwrap();
    let stage = world.stage(&svc, "t");
    let id = stage.touch(&svc, "dev/secrets/key").unwrap();
    // It isn't taken for empty, nor changed in part.
    refused!(stage.read(&svc, "dev/secrets/key"), Error::NothingStaged);
    refused!(world.ns.stage_write(&svc, id, Some(1), false, b"x"), Error::Invalid(_));
    refused!(world.ns.stage_size(&svc, id, false, 2), Error::Invalid(_));
    stage.groups(&svc, "dev/secrets/key", "50:r").unwrap();
    stage.commit(&svc).unwrap();
    assert_eq!(
        (world.get(&Who::new(9, 50, &[]), "dev/secrets/key").unwrap(), world.version("dev/secrets/key")),
        (b"one".to_vec(), 1)
    );
    // What is appended stands behind what is there then.
    let stage = world.stage(&svc, "t");
    let id = stage.touch(&svc, "dev/secrets/key").unwrap();
    world.ns.stage_write(&svc, id, None, false, b"+2").unwrap();
    world.put(&svc, "dev/secrets/key", b"two").unwrap();
    stage.commit(&svc).unwrap();
    assert_eq!(world.get(&svc, "dev/secrets/key").unwrap(), b"two+2");
    // The old value was kept from group 60, and is so still.
    let stage = world.stage(&svc, "t");
    stage.put(&svc, "dev/secrets/key", b"new").unwrap();
    stage.groups(&svc, "dev/secrets/key", "60:r").unwrap();
    stage.commit(&svc).unwrap();
    let late = Who::new(9, 60, &[]);
    assert_eq!(world.get(&late, "dev/secrets/key").unwrap(), b"new");
    assert!(world.old(&late, "dev/secrets/key", 3).is_err());
    assert_eq!(world.findings(), [""; 0]);
}

#[test]
fn what_has_changed_since_it_was_staged_is_not_overwritten_unseen() {
    let world = World::new();
    let svc = self::svc();
    world.put(&svc, "dev/variables/key", b"1").unwrap();
    let attempt = |act: &dyn Fn(&Stage<'_>), meanwhile: &dyn Fn()| {
        let stage = world.stage(&svc, "t");
        act(&stage);
        meanwhile();
        let answer = stage.commit(&svc).map(drop);
        world.clock.advance(Duration::from_secs(3600));
        world.ns.drop_abandoned();
        answer
    };
    let put = |path: &'static str| {
        move |stage: &Stage<'_>| {
            stage.put(&self::svc(), path, b"x").unwrap();
        }
    };
    // Made by somebody else.
    refused!(
        attempt(&put("dev/variables/new"), &|| world.put(&svc, "dev/variables/new", b"n").unwrap()),
        Error::Conflict(_)
    );
    // Removed.
    let remove = || assert!(world.rm(&svc, "dev/variables/new").is_ok());
    refused!(attempt(&put("dev/variables/new"), &remove), Error::Conflict(_));
    // A version that was insisted on.
    let insist = |version| {
        move |stage: &Stage<'_>| {
            let id = stage.put(&self::svc(), "dev/variables/key", b"y").unwrap();
            stage.world.ns.stage_version(&self::svc(), id, Version(version)).unwrap();
        }
    };
    refused!(attempt(&insist(2), &|| ()), Error::Conflict(_));
    attempt(&insist(1), &|| ()).unwrap();
    refused!(attempt(&insist(2), &|| world.put(&svc, "dev/variables/key", b"z").unwrap()), Error::Conflict(_));
    let only_new = |stage: &Stage<'_>| {
        let id = stage.put(&self::svc(), "dev/variables/other", b"y").unwrap();
        stage.world.ns.stage_version(&self::svc(), id, NONE).unwrap();
    };
    attempt(&only_new, &|| ()).unwrap();
    refused!(attempt(&only_new, &|| ()), Error::Conflict(_));
    // Permissions that somebody else has changed.
    let group = |stage: &Stage<'_>| {
        stage.touch(&self::svc(), "dev/variables/key").unwrap();
        stage.groups(&self::svc(), "dev/variables/key", "50:r").unwrap();
    };
    refused!(attempt(&group, &|| world.chmod(&svc, "dev/variables/key", 0o600).unwrap()), Error::Conflict(_));
    // A value alone takes the place of whatever is there, as any store does.
    attempt(&put("dev/variables/key"), &|| world.put(&svc, "dev/variables/key", b"zz").unwrap()).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/key").unwrap(), b"x");
}

#[test]
fn directories_go_with_what_is_in_them() {
    let world = World::new();
    let svc = self::svc();
    for path in ["dev/variables/a", "dev/variables/a/b"] {
        world.mkdir(&svc, path).unwrap();
    }
    for path in ["dev/variables/a/k", "dev/variables/a/b/k", "dev/variables/a/b/l"] {
        world.put(&svc, path, b"1").unwrap();
    }
    let stage = world.stage(&svc, "most");
    for path in ["dev/variables/a", "dev/variables/a/b"] {
        let id = stage.mkdir(&svc, path).unwrap();
        world.ns.stage_removal(&svc, id).unwrap();
    }
    stage.rm(&svc, "dev/variables/a/b/k").unwrap();
    stage.rm(&svc, "dev/variables/a/b/l").unwrap();
    refused!(stage.commit(&svc), Error::Conflict(_));
    assert_eq!(stage.error(&svc), "dev/variables/a: the directory is not empty\n");
    assert_eq!(world.get(&svc, "dev/variables/a/b/k").unwrap(), b"1");
    stage.rm(&svc, "dev/variables/a/k").unwrap();
    stage.commit(&svc).unwrap();
    refused!(world.at("dev/variables/a"), Error::NotFound);
    assert_eq!(world.findings(), [""; 0]);
}

#[test]
fn what_is_staged_takes_a_bounded_share_and_is_dropped_when_it_is_left() {
    let world = World::new();
    let svc = self::svc();
    for number in 0..16 {
        world.stage(&svc, &format!("t{number}"));
    }
    refused!(world.ns.begin(&svc, &name("one-more"), None), Error::Quota(_));
    world.ns.begin(&Who::new(8, 31, &[]), &name("theirs"), None).unwrap();
    let stage = Stage { world: &world, name: name("t0") };
    let value = vec![7; 1 << 20];
    for number in 0..32 {
        stage.put(&svc, &format!("dev/variables/k{number}"), &value).unwrap();
    }
    let first = stage.at("dev/variables/k0").unwrap();
    refused!(stage.put(&svc, "dev/variables/k32", &value), Error::Quota(_));
    refused!(world.ns.stage_alteration(&svc, first, Alteration::Note(b"n", b"x", Note::Set)), Error::Quota(_));
    assert!(world.ns.staged_notes(first).unwrap().is_empty() && stage.read(&svc, "dev/variables/k0").unwrap() == value);
    refused!(world.ns.stage_write(&svc, first, Some(1 << 20), false, b"x"), Error::ValueTooLarge(_));
    // What is taken back makes room.
    let (parent, last) = stage.seat("dev/variables/k31");
    world.ns.unstage(&svc, parent, &last, Kind::File).unwrap();
    stage.put(&svc, "dev/variables/k32", &value).unwrap();
    // A small secret takes a page.
    let secrets = Stage { world: &world, name: name("t2") };
    let small: Result<Vec<_>, _> =
        (0..10_000).map(|number| secrets.put(&svc, &format!("dev/secrets/k{number}"), b"x")).collect();
    small.unwrap();
    let more = Stage { world: &world, name: name("t3") };
    let beyond =
        (0..20_000).map(|number| more.put(&svc, &format!("dev/secrets/k{number}"), b"x")).find_map(Result::err);
    assert!(matches!(beyond, Some(Error::Quota(_))), "{beyond:?}");
    more.put(&svc, "dev/variables/full", b"x").unwrap_err();
    world.ns.begin(&Who::new(9, 32, &[]), &name("ninth"), None).unwrap();
    Stage { world: &world, name: name("ninth") }.put(&Who::new(9, 32, &[]), "dev/secrets/k", b"x").unwrap();
    refused!(world.ns.end(&name("t0")), Error::NotEmpty);
    world.ns.end(&name("t1")).unwrap();
    world.clock.advance(Duration::from_secs(599));
    stage.put(&svc, "dev/variables/k0", b"x").unwrap();
    world.clock.advance(Duration::from_secs(2));
    world.ns.drop_abandoned();
    assert_eq!(world.ns.begun(&root()).len(), 1, "the one that was touched");
    stage.commit(&svc).unwrap();
    assert_eq!(world.ns.transactions(), 0);
}

#[test]
fn a_failed_store_leaves_the_transaction_as_it_was() {
    let world = World::new();
    let svc = self::svc();
    let stage = world.stage(&svc, "t");
    stage.put(&svc, "dev/variables/a", b"1").unwrap();
    world.store.fail_commit(0, Fault::Before(CommitError::NoSpace));
    refused!(stage.commit(&svc), Error::NoSpace);
    assert_eq!(stage.read(&svc, "dev/variables/a").unwrap(), b"1");
    // A row that moved in between has all of it decided anew.
    world.store.fail_commit(0, Fault::Before(CommitError::Conflict));
    stage.put(&svc, "dev/secrets/s", b"1").unwrap();
    stage.commit(&svc).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/a").unwrap(), b"1");
    // Secrets are changed while what is done can be written down.
    let stage = world.stage(&svc, "t");
    stage.put(&svc, "dev/secrets/s", b"2").unwrap();
    world.paper.fail(true);
    world.put(&svc, "dev/variables/a", b"2").unwrap();
    refused!(stage.commit(&svc), Error::Audit(_));
    world.paper.fail(false);
    stage.commit(&svc).unwrap();
    assert_eq!(world.findings(), [""; 0]);
}
