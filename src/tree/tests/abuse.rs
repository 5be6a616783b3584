//! Transactions under attack: what staging must not give that a change alone doesn't, and what must not grow without end.

use super::staging::svc;
use super::*;

#[test]
fn what_nothing_is_staged_in_is_not_asked() {
    let world = World::new();
    let (svc, other) = (svc(), Who::new(8, 31, &[]));
    world.ns.make_directory(&root(), NodeId::ROOT, &name("qa"), mode(0o755), mode(0)).unwrap();
    let stage = world.stage(&other, "t");
    stage.put(&other, "dev/variables/k", b"1").unwrap();
    // Closed to whoever stages elsewhere, and gone.
    world.chmod(&root(), "prod", 0o700).unwrap();
    world.ns.remove_directory(&root(), NodeId::ROOT, &name("qa")).unwrap();
    stage.commit(&other).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/k").unwrap(), b"1");
    let stage = world.stage(&other, "t");
    world.chmod(&root(), "prod", 0o755).unwrap();
    stage.put(&other, "prod/variables/k", b"1").unwrap();
    world.chmod(&root(), "prod", 0o700).unwrap();
    refused!(stage.commit(&other), Error::Denied(_));
    assert!(stage.error(&other).starts_with("prod/variables: permission denied"), "{}", stage.error(&other));
}

#[test]
fn what_is_taken_back_gives_no_more_than_it_took() {
    let world = World::new();
    let svc = svc();
    world.put(&svc, "dev/variables/noted", b"1").unwrap();
    let id = world.at("dev/variables/noted").unwrap().node;
    world.ns.alter(&svc, id, Alteration::Note(b"n", &[7; 60_000], Note::Set)).unwrap();
    let stage = world.stage(&svc, "t");
    let value = vec![7; 1 << 20];
    for number in 0..31 {
        stage.put(&svc, &format!("dev/variables/k{number}"), &value).unwrap();
    }
    // A name that stands for an entry with notes, staged and taken back; and the reason of a commit that failed.
    for _ in 0..40 {
        stage.touch(&svc, "dev/variables/noted").unwrap();
        let (parent, last) = stage.seat("dev/variables/noted");
        world.ns.unstage(&svc, parent, &last, Kind::File).unwrap();
    }
    let id = stage.put(&svc, "dev/variables/late", &value).unwrap();
    world.ns.stage_version(&svc, id, Version(7)).unwrap();
    for _ in 0..40 {
        refused!(stage.commit(&svc), Error::Conflict(_));
        world.ns.unstage(&svc, stage.at("").unwrap(), &name(".error"), Kind::File).unwrap();
    }
    refused!(stage.put(&svc, "dev/variables/more", b"x"), Error::Quota(_));
}

#[test]
fn what_a_staged_name_stands_for_takes_its_share() {
    let world = World::new();
    let svc = svc();
    for number in 0..80 {
        let path = format!("dev/variables/k{number}");
        world.put(&svc, &path, b"1").unwrap();
        let id = world.at(&path).unwrap().node;
        world.ns.alter(&svc, id, Alteration::Note(b"n", &[7; 60_000], Note::Set)).unwrap();
    }
    let mut refusal = None;
    'all: for transaction in 0..16 {
        let stage = world.stage(&svc, &format!("t{transaction}"));
        for number in 0..80 {
            if let Err(error) = stage.touch(&svc, &format!("dev/variables/k{number}")) {
                refusal = Some(error);
                break 'all;
            }
        }
    }
    // 16 times 80 times 60,000 bytes, twice: as it is to be, and as it was.
    assert!(matches!(refusal, Some(Error::Quota(_))), "{refusal:?}");
}

#[test]
fn a_key_takes_a_share_of_its_depth() {
    let world = World::new();
    let svc = svc();
    let stage = world.stage(&svc, "t");
    let mut parent = stage.at("dev/variables").unwrap();
    for _ in 0..500 {
        parent = world.ns.stage_directory(&svc, parent, &name("d"), mode(0o755), mode(0)).unwrap().0;
    }
    let add = |number: u32| world.ns.stage_file(&svc, parent, &name(&number.to_string()), mode(0o600), mode(0));
    let refused = (0..16_000).find_map(|number| add(number).err());
    assert!(matches!(refused, Some(Error::Quota(_))), "{refused:?}");
    // What is flat has room still.
    stage.put(&svc, "dev/secrets/k", b"1").unwrap();
}

#[test]
fn what_is_staged_of_attributes_is_put_on_record() {
    let world = World::new();
    let svc = svc();
    world.put(&svc, "dev/secrets/key", b"1").unwrap();
    let stage = world.stage(&svc, "t");
    let id = stage.touch(&svc, "dev/secrets/key").unwrap();
    let later = Timestamp::parse("2099-01-01T00:00:00Z");
    world.ns.stage_alteration(&svc, id, Alteration::Expires(later)).unwrap();
    world.ns.stage_alteration(&svc, id, Alteration::Note(b"owner", b"x", Note::Set)).unwrap();
    let before = world.ns.events_end();
    world.paper.take();
    stage.commit(&svc).unwrap();
    assert_eq!(world.paper.take(), ["attribute key"]);
    let told = world.ns.events(&svc, before, None, usize::MAX).shown;
    assert_eq!(told.iter().map(|shown| shown.kind).collect::<Vec<_>>(), ["attribute"]);
}

#[test]
fn what_is_to_be_told_of_a_commit_takes_a_bounded_share_of_memory() {
    let world = World::new();
    let svc = svc();
    let all = Rights::READ.union(Rights::WRITE).union(Rights::EXECUTE);
    let groups = (0..500).map(|group| (Gid(1000 + group), Rights::READ)).collect();
    let list = crate::access::Acl::new(all, vec![], all, groups, Some(all), Rights::NONE).unwrap();
    let stage = world.stage(&svc, "t");
    let mut path = String::from("dev/variables");
    for _ in 0..16 {
        path.push_str("/d");
        world.mkdir(&svc, &path).unwrap();
        let id = world.at(&path).unwrap().node;
        world.ns.alter(&svc, id, Alteration::AccessAcl(Some(&list))).unwrap();
        stage.mkdir(&svc, &path).unwrap();
    }
    let parent = stage.at(&path).unwrap();
    for number in 0..1100 {
        world.ns.stage_file(&svc, parent, &name(&number.to_string()), mode(0o600), mode(0)).unwrap();
    }
    refused!(stage.commit(&svc), Error::Quota(_));
    for number in 500..1100 {
        world.ns.unstage(&svc, parent, &name(&number.to_string()), Kind::File).unwrap();
    }
    stage.commit(&svc).unwrap();
}

#[test]
fn what_took_the_place_of_an_entry_is_not_taken_for_it() {
    let world = World::new();
    let (svc, other) = (svc(), Who::new(8, 31, &[]));
    let put = |path: &str| world.put(&svc, path, b"1").unwrap();
    let attempt = |meanwhile: &dyn Fn()| {
        let stage = world.stage(&svc, "t");
        stage.put(&svc, "dev/secrets/key", b"for the eyes of its group").unwrap();
        meanwhile();
        let answer = stage.commit(&svc).map(drop);
        world.clock.advance(Duration::from_secs(3600));
        world.ns.drop_abandoned();
        answer
    };
    put("dev/secrets/key");
    world.chmod(&svc, "dev/secrets/key", 0o660).unwrap();
    // A version more is no other entry.
    attempt(&|| world.put(&svc, "dev/secrets/key", b"2").unwrap()).unwrap();
    // Others may read it now than those for whom it was staged.
    refused!(attempt(&|| world.chgrp(&svc, "dev/secrets/key", 31).unwrap()), Error::Conflict(_));
    world.chgrp(&svc, "dev/secrets/key", 30).unwrap();
    // Another's, which everybody may write, has its name.
    let replace = || {
        world.rm(&svc, "dev/secrets/key").unwrap();
        world.put(&other, "dev/secrets/key", b"theirs").unwrap();
        world.chgrp(&other, "dev/secrets/key", 30).unwrap();
        world.chmod(&other, "dev/secrets/key", 0o660).unwrap();
    };
    refused!(attempt(&replace), Error::Conflict(_));
    assert_eq!(world.get(&svc, "dev/secrets/key").unwrap(), b"theirs");
}

#[test]
fn a_directory_that_somebody_made_meanwhile_is_not_taken_for_ones_own() {
    let world = World::new();
    let (svc, other) = (svc(), Who::new(8, 31, &[]));
    let staged = |bits: u32| {
        let stage = world.stage(&svc, "t");
        let (parent, last) = stage.seat("dev/variables/d");
        world.ns.stage_directory(&svc, parent, &last, mode(bits), mode(0)).unwrap();
        stage.put(&svc, "dev/variables/d/k", b"1").unwrap();
        stage
    };
    let stage = staged(0o700);
    // Whoever owns the directory may do with what is in it as they like.
    world.mkdir(&other, "dev/variables/d").unwrap();
    world.chmod(&other, "dev/variables/d", 0o777).unwrap();
    refused!(stage.commit(&svc), Error::Conflict(_));
    refused!(world.at("dev/variables/d/k"), Error::NotFound);
    world.rmdir(&other, "dev/variables/d").unwrap();
    // One's own, made as it was staged, will do.
    world.mkdir(&svc, "dev/variables/d").unwrap();
    world.chmod(&svc, "dev/variables/d", 0o700).unwrap();
    stage.commit(&svc).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/d/k").unwrap(), b"1");
}

#[test]
fn a_descriptor_of_a_staged_directory_takes_nothing_back() {
    let world = World::new();
    let (svc, other) = (svc(), Who::new(8, 31, &[]));
    let stage = world.stage(&svc, "t");
    stage.put(&svc, "dev/variables/k", b"1").unwrap();
    let (parent, last) = stage.seat("dev/variables/k");
    // The tree's root is everybody's to write, as far as the kernel knows.
    refused!(world.ns.unstage(&other, parent, &last, Kind::File), Error::Denied(_));
    world.ns.unstage(&root(), parent, &last, Kind::File).unwrap();
}

#[test]
fn a_superuser_without_its_capabilities_is_a_user() {
    let world = World::new();
    let svc = svc();
    let bare = Who { overrides: false, ..root() };
    world.put(&svc, "dev/variables/key", b"1").unwrap();
    world.chmod(&svc, "dev/variables/key", 0o644).unwrap();
    let stage = world.stage(&bare, "t");
    stage.put(&bare, "dev/variables/key", b"2").unwrap();
    refused!(stage.commit(&bare), Error::Denied(_));
    stage.commit(&root()).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/key").unwrap(), b"2");
    // In a directory that somebody else's is.
    world.mkdir(&svc, "dev/variables/d").unwrap();
    for (act, staged) in [("put", true), ("rm", false), ("chmod", false)] {
        world.put(&svc, "dev/variables/d/k", act.as_bytes()).unwrap();
        let stage = world.stage(&bare, act);
        stage.mkdir(&bare, "dev/variables/d").unwrap();
        match act {
            "put" => drop(stage.put(&bare, "dev/variables/d/new", b"1").unwrap()),
            "rm" => stage.rm(&bare, "dev/variables/d/k").unwrap(),
            _ => {
                let id = stage.touch(&bare, "dev/variables/d/k").unwrap();
                let change = AttributeChange { mode: Some(mode(0o666)), ..AttributeChange::default() };
                world.ns.stage_alteration(&bare, id, Alteration::Set(change)).unwrap();
            }
        }
        assert!(matches!(stage.commit(&bare), Err(Error::Denied(_) | Error::NotPermitted(_))), "{act}");
        stage.commit(&root()).unwrap();
        assert_eq!(world.at("dev/variables/d/new").is_ok(), staged || act != "put");
    }
}

/// Of whom nothing can be learnt without a panic, once that is asked for.
struct Failing(Who, std::cell::Cell<bool>);

impl Actor for Failing {
    fn uid(&self) -> Uid {
        self.0.uid()
    }
    fn gid(&self) -> Gid {
        assert!(!self.1.get(), "as planned");
        self.0.gid()
    }
    fn thread(&self) -> u32 {
        self.0.thread
    }
    fn supplementary(&self) -> Option<&[Gid]> {
        self.0.supplementary()
    }
    fn process(&self) -> Process {
        self.0.process()
    }
    fn shares_process_with(&self, thread: u32) -> bool {
        self.0.shares_process_with(thread)
    }
    fn has_open(&self, node: NodeId) -> bool {
        self.0.has_open(node)
    }
}

#[test]
fn a_panic_leaves_a_transaction_as_it_was() {
    let world = World::new();
    let failing = Failing(svc(), std::cell::Cell::new(true));
    let svc = svc();
    let stage = world.stage(&svc, "t");
    for number in 0..100 {
        stage.put(&svc, &format!("dev/secrets/k{number}"), b"1").unwrap();
    }
    for _ in 0..6 {
        let commit = || world.ns.commit_transaction(&failing, &name("t")).map(drop);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(commit)).is_err());
    }
    assert_eq!(stage.read(&svc, "dev/secrets/k7").unwrap(), b"1");
    stage.commit(&svc).unwrap();
    assert_eq!(world.get(&svc, "dev/secrets/k99").unwrap(), b"1");
    assert_eq!(world.ns.transactions(), 0);
}
