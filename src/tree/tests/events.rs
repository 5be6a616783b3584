//! The stream of changes: in the order of commits, whole, for whoever may list what it names.

use super::*;
use crate::key::Environment;
use crate::store::fault::Fault;

const ALL: usize = usize::MAX;

impl World {
    /// What somebody is shown: kinds, keys and versions.
    pub(super) fn follow(&self, who: &Who, behind: Cursor) -> (Vec<String>, Cursor) {
        let mut batch = self.ns.events(who, behind, None, ALL);
        while !batch.ended {
            let more = self.ns.events(who, batch.end, None, ALL);
            batch = EventBatch { lost: batch.lost, shown: [batch.shown, more.shown].concat(), ..more };
        }
        let line = |shown: &Shown| {
            let Shown { kind, address, other, version, .. } = shown;
            let other = other.as_ref().map_or(String::new(), |other| format!(" > {}", other.key));
            let version = version.map_or(String::new(), |version| format!(" {version}"));
            format!("{kind} {}{other}{version}", address.key)
        };
        let mut lines: Vec<String> = batch.shown.iter().map(line).collect();
        if batch.lost {
            lines.insert(0, "lost".into());
        }
        (lines, batch.end)
    }
}

#[test]
fn every_change_is_told_in_order() {
    let world = World::new();
    let svc = Who::new(7, 30, &[]);
    let start = world.ns.events_end();
    world.mkdir(&svc, "dev/variables/a").unwrap();
    world.put(&svc, "dev/variables/a/k", b"1").unwrap();
    world.put(&svc, "dev/variables/a/k", b"2").unwrap();
    // The same again is no change.
    world.put(&svc, "dev/variables/a/k", b"2").unwrap();
    world.chmod(&svc, "dev/variables/a/k", 0o600).unwrap();
    world.mv(&svc, "dev/variables/a/k", "dev/variables/a/l", RenameMode::Replace).unwrap();
    world.put(&svc, "dev/variables/a/m", b"1").unwrap();
    world.mv(&svc, "dev/variables/a/l", "dev/variables/a/m", RenameMode::Exchange).unwrap();
    let id = world.at("dev/variables/a/m").unwrap().node;
    world.ns.alter(&svc, id, Alteration::Note(b"note", b"x", Note::Set)).unwrap();
    world.rm(&svc, "dev/variables/a/m").unwrap();
    let (lines, end) = world.follow(&svc, start);
    let told = ["mkdir a", "put a/k 1", "put a/k 2", "permission a/k 2", "rename a/k > a/l 2", "put a/m 1"];
    let rest = ["exchange a/l > a/m", "attribute a/m", "remove a/m 2"];
    assert_eq!(lines, told.iter().chain(&rest).map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!((world.follow(&svc, end), end), ((vec![], end), world.ns.events_end()));
    // From any place on, the rest.
    let batch = world.ns.events(&svc, start, None, 3);
    assert_eq!((batch.shown.len(), batch.lost), (3, false));
    assert_eq!(world.follow(&svc, batch.end).0, lines[3..]);
    let all = world.ns.events(&svc, start, None, ALL).shown;
    assert!(all.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
    assert_eq!((all[1].by, all[1].address.tree), (Uid(7), Some(Tree::Variables)));
    let only = |name: &str| world.ns.events(&svc, start, Some(&Environment::parse(name).unwrap()), ALL).shown.len();
    assert_eq!((only("dev"), only("prod")), (9, 0));
}

#[test]
fn it_tells_what_could_be_listed_then() {
    let world = World::new();
    let (svc, other, member) = (Who::new(7, 30, &[]), Who::new(8, 31, &[]), Who::new(9, 32, &[30]));
    world.mkdir(&svc, "dev/variables/a").unwrap();
    world.mkdir(&svc, "dev/variables/a/b").unwrap();
    let start = world.ns.events_end();
    let during = |bits: u32, deep: u32| {
        let start = world.ns.events_end();
        world.chmod(&svc, "dev/variables/a", bits).unwrap();
        world.chmod(&svc, "dev/variables/a/b", deep).unwrap();
        world.put(&svc, "dev/variables/a/b/k", format!("{bits}{deep}").as_bytes()).unwrap();
        let told = |who| world.follow(who, start).0.iter().any(|line| line.starts_with("put a/b/k"));
        (told(&svc), told(&member), told(&other), told(&root()))
    };
    assert_eq!(during(0o755, 0o755), (true, true, true, true));
    // To search is not to list.
    assert_eq!(during(0o711, 0o755), (true, true, true, true));
    assert_eq!(during(0o755, 0o711), (true, false, false, true));
    assert_eq!(during(0o750, 0o755), (true, true, false, true));
    assert_eq!(during(0o700, 0o777), (true, false, false, true));
    // What was closed stays closed, and what was open is told also when it is gone.
    world.chmod(&svc, "dev/variables/a", 0o755).unwrap();
    world.rm(&svc, "dev/variables/a/b/k").unwrap();
    world.rmdir(&svc, "dev/variables/a/b").unwrap();
    let told = world.follow(&other, start).0;
    assert_eq!(told.iter().filter(|line| line.starts_with("put a/b/k")).count(), 2, "{told:?}");
    assert!(told.ends_with(&["remove a/b/k 5".into(), "remove a/b".into()]), "{told:?}");
}

#[test]
fn of_a_move_one_end_may_be_hidden() {
    let world = World::new();
    let (svc, other) = (Who::new(7, 30, &[]), Who::new(8, 31, &[]));
    for (directory, bits) in [("open", 0o755), ("closed", 0o700)] {
        world.mkdir(&svc, &format!("dev/variables/{directory}")).unwrap();
        world.chmod(&svc, &format!("dev/variables/{directory}"), bits).unwrap();
        world.put(&svc, &format!("dev/variables/{directory}/k"), b"1").unwrap();
    }
    let moved = |from: &str, to: &str, how| {
        let start = world.ns.events_end();
        world.mv(&svc, &format!("dev/variables/{from}"), &format!("dev/variables/{to}"), how).unwrap();
        world.follow(&other, start).0
    };
    assert_eq!(moved("open/k", "closed/l", RenameMode::Replace), ["remove open/k"]);
    assert_eq!(moved("closed/l", "open/m", RenameMode::Replace), ["put open/m"]);
    assert_eq!(moved("open/m", "closed/k", RenameMode::Exchange), ["put open/m"]);
    assert_eq!(moved("closed/k", "open/m", RenameMode::Exchange), ["put open/m"]);
    assert_eq!(moved("closed/k", "closed/z", RenameMode::Replace), [""; 0]);
}

#[test]
fn whoever_missed_something_is_told_so() {
    let world = World::new();
    let svc = Who::new(7, 30, &[]);
    world.put(&svc, "dev/variables/k", b"0").unwrap();
    let end = world.ns.events_end();
    // From before the daemon began: it can't be known what was then.
    assert_eq!(world.follow(&svc, Cursor(0)).0, ["lost", "put k 1"]);
    // Another stream's.
    assert_eq!(world.follow(&svc, Cursor(end.0 + 1)), (vec!["lost".into()], end));
    // An answer was lost: nobody knows.
    world.store.fail_commit(0, Fault::After);
    assert!(world.put(&svc, "dev/variables/k", b"1").is_err());
    assert_eq!(world.follow(&svc, end).0, ["lost"]);
    let end = world.ns.events_end();
    for number in 0..40_000 {
        world.put(&svc, "dev/variables/k", format!("{number}").as_bytes()).unwrap();
    }
    let (lines, _) = world.follow(&svc, end);
    assert_eq!((lines[0].as_str(), lines.len()), ("lost", (1 << 15) + 1));
    assert!(lines.last().unwrap().starts_with("put k 400"), "{:?}", lines.last());
}

#[test]
fn commits_at_once_are_told_in_the_order_of_their_numbers() {
    let world = World::new();
    let start = world.ns.events_end();
    world.put(&Who::new(7, 30, &[]), "dev/variables/k", b"0").unwrap();
    world.chmod(&Who::new(7, 30, &[]), "dev/variables/k", 0o666).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let world = &world;
                scope.spawn(move || {
                    let who = Who::new(10 + writer, 30, &[]);
                    for number in 0..300 {
                        world.put(&who, "dev/variables/k", format!("{writer} {number}").as_bytes()).unwrap();
                    }
                })
            })
            .collect();
        let follower = scope.spawn(|| {
            let (mut seen, mut behind) = (Vec::new(), start);
            loop {
                let last = done.load(std::sync::atomic::Ordering::SeqCst);
                let batch = world.ns.events(&root(), behind, None, 7);
                assert!(!batch.lost);
                seen.extend(
                    batch.shown.iter().filter(|shown| shown.kind == "put").map(|shown| shown.version.unwrap().0),
                );
                if last && batch.end == behind {
                    return seen;
                }
                behind = batch.end;
                world.ns.wait_for_events(behind, Duration::from_millis(10));
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(follower.join().unwrap(), (1..=1201).collect::<Vec<u64>>());
    });
}

#[test]
fn what_follows_a_lost_answer_is_told_whole() {
    let world = World::new();
    let svc = Who::new(7, 30, &[]);
    world.put(&svc, "dev/variables/k", b"0").unwrap();
    let end = world.ns.events_end();
    let mut end = end;
    for _ in 0..2000 {
        world.store.fail_commit(0, Fault::Before(crate::store::CommitError::Unknown("as planned".into())));
        assert!(world.put(&svc, "dev/variables/k", b"1").is_err());
        let (lines, now) = world.follow(&svc, end);
        // A thousand answers in a row is as many as there are places for.
        assert_eq!(lines, if now > end { &["lost"][..] } else { &[] });
        end = now;
    }
    // The next commit, of two changes.
    world.ns.begin(&svc, &name("t"), None).unwrap();
    let (mut seat, _) = world.ns.transaction(&name("t")).unwrap();
    for part in ["dev", "variables"] {
        seat = world.ns.staged_lookup(seat, &name(part)).unwrap().0;
    }
    for new in ["one", "two"] {
        world.ns.stage_file(&svc, seat, &name(new), mode(0o600), mode(0)).unwrap();
    }
    world.ns.commit_transaction(&svc, &name("t")).unwrap();
    let (mut lines, _) = world.follow(&svc, end);
    lines.sort();
    assert_eq!(lines, ["put one 1", "put two 1"]);
}

#[test]
fn what_is_remembered_takes_a_bounded_share_of_memory() {
    let world = World::new();
    let svc = Who::new(7, 30, &[]);
    // A key below directories with long lists, each of which says who may be told of it.
    let groups = (0..500).map(|group| (Gid(1000 + group), Rights::READ)).collect();
    let list = crate::access::Acl::new(
        Rights::READ.union(Rights::WRITE).union(Rights::EXECUTE),
        vec![],
        Rights::EXECUTE,
        groups,
        Some(Rights::READ),
        Rights::EXECUTE,
    )
    .unwrap();
    let mut path = String::from("dev/variables");
    for depth in 0..100 {
        path.push_str("/d");
        world.mkdir(&svc, &path).unwrap();
        // No two are alike.
        world.chmod(&svc, &path, 0o700 + depth % 8).unwrap();
        world.ns.alter(&svc, world.at(&path).unwrap().node, Alteration::AccessAcl(Some(&list))).unwrap();
    }
    path.push_str("/k");
    let end = world.ns.events_end();
    world.put(&svc, &path, b"0").unwrap();
    let id = world.at(&path).unwrap().node;
    for number in 0..400u32 {
        let change = AttributeChange { mode: Some(mode(0o600 + number % 2)), ..AttributeChange::default() };
        world.ns.alter(&svc, id, Alteration::Set(change)).unwrap();
    }
    // 400 times 100 lists of 500 entries are more than 100 MB.
    let lines = world.follow(&svc, end).0;
    assert_eq!(lines.first().map(String::as_str), Some("lost"));
    assert!(lines.len() > 100 && lines.len() < 400, "{}", lines.len());
    assert!(world.ns.events_memory() <= 64 << 20);
}
