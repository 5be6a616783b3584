//! Sizes that a process is told while the end of a file that it closed before is still to come, or the beginning of one.

use super::*;

/// A process that has closed a file and opened it again, to one descriptor: the end of the first comes while it is asked.
struct Closing<'w> {
    who: Who,
    world: &'w World,
    closed: Cell<Option<Arc<OpenFile>>>,
}

impl Actor for Closing<'_> {
    fn uid(&self) -> Uid {
        self.who.uid()
    }
    fn gid(&self) -> Gid {
        self.who.gid()
    }
    fn thread(&self) -> u32 {
        self.who.thread
    }
    fn supplementary(&self) -> Option<&[Gid]> {
        self.who.supplementary()
    }
    fn process(&self) -> Process {
        self.who.process()
    }
    fn shares_process_with(&self, thread: u32) -> bool {
        self.who.shares_process_with(thread)
    }
    fn has_open(&self, _: NodeId) -> bool {
        false
    }
    fn descriptors(&self, _: NodeId) -> Option<usize> {
        self.closed.take().iter().for_each(|file| drop(self.world.ns.release(file)));
        Some(1)
    }
}

#[test]
fn a_closed_file_has_no_part_in_the_size() {
    for tree in ["secrets", "variables"] {
        let (world, other, path) = (World::new(), Who::new(1, 10, &[]).thread(7), format!("dev/{tree}/a"));
        world.put(&other, &path, b"a long one").unwrap();
        let id = world.at(&path).unwrap().node;
        for (how, stored) in [(READ, b"short".as_slice()), (WRITE, b"one that is longer")] {
            let who = Who::new(1, 10, &[]);
            let before = world.ns.open(&who, id, how).unwrap();
            world.put(&other, &path, stored).unwrap();
            let now = world.ns.open(&who, id, READ).unwrap();
            let closing = Closing { who, world: &world, closed: Cell::new(Some(before)) };
            assert_eq!(world.ns.attributes(&closing, id).unwrap().size, stored.len() as u64, "{tree} {how:?}");
            world.ns.release(&now);
        }
    }
}

#[test]
fn a_mapping_counts_without_a_descriptor() {
    let (world, who, other) = (World::new(), Who::new(1, 10, &[]), Who::new(1, 10, &[]).thread(7));
    world.put(&other, "dev/variables/a", b"a long one").unwrap();
    let id = world.at("dev/variables/a").unwrap().node;
    let mapped = world.ns.open(&who, id, READ).unwrap();
    world.put(&other, "dev/variables/a", b"short").unwrap();
    let now = world.ns.open(&who, id, READ).unwrap();
    let closing = Closing { who, world: &world, closed: Cell::new(None) };
    // Its end doesn't come: of the two that may be meant, the longer cuts no value. It is waited for once.
    assert_eq!(world.ns.attributes(&closing, id).unwrap().size, 10);
    assert_eq!([mapped.is_lingering(), now.is_lingering()], [true, false]);
    assert_eq!(world.ns.attributes(&closing, id).unwrap().size, 10);
    [mapped, now].iter().for_each(|file| drop(world.ns.release(file)));
}

#[test]
fn not_everybody_waits() {
    let (world, who, other) = (World::new(), Who::new(1, 10, &[]), Who::new(1, 10, &[]).thread(7));
    world.put(&other, "dev/variables/a", b"a long one").unwrap();
    let id = world.at("dev/variables/a").unwrap().node;
    let before = world.ns.open(&who, id, READ).unwrap();
    world.put(&other, "dev/variables/a", b"short").unwrap();
    let now = world.ns.open(&who, id, READ).unwrap();
    let turns: Vec<_> = std::iter::from_fn(|| world.ns.waiting.begin()).collect();
    assert_eq!(turns.len(), 12);
    // It is answered at once, without a look at what the process has open.
    let closing = Closing { who, world: &world, closed: Cell::new(Some(before)) };
    assert_eq!(world.ns.attributes(&closing, id).unwrap().size, 10);
    assert!(closing.closed.take().is_some_and(|before| !before.is_lingering()));
    // Those who have waited make room.
    drop(turns);
    let before = world.ns.overlay.open(id).into_iter().find(|file| !Arc::ptr_eq(file, &now));
    closing.closed.set(before);
    assert_eq!(world.ns.attributes(&closing, id).unwrap().size, 5);
    assert!(world.ns.waiting.begin().is_some());
    world.ns.release(&now);
}

#[test]
fn what_was_written_and_closed_cuts_no_value() {
    let (world, who, other) = (World::new(), Who::new(1, 10, &[]), Who::new(1, 10, &[]).thread(7));
    world.put(&other, "dev/variables/a", b"one").unwrap();
    let id = world.at("dev/variables/a").unwrap().node;
    let written = world.ns.open(&who, id, REWRITE).unwrap();
    world.ns.write(&written, 0, b"two").unwrap();
    assert_eq!(world.ns.attributes(&who, id).unwrap().size, 3);
    world.ns.flush(&who, &written).unwrap();
    world.put(&other, "dev/variables/a", b"another's value").unwrap();
    let now = world.ns.open(&who, id, READ).unwrap();
    // Where nothing is known of its descriptors, too.
    assert_eq!(world.ns.attributes(&who, id).unwrap().size, 15);
    // What is written after a duplicate was closed is its own again.
    written.written_by(&who);
    world.ns.write(&written, 0, b"fours").unwrap();
    assert_eq!(world.ns.attributes(&who, id).unwrap().size, 5);
    [written, now].iter().for_each(|file| drop(world.ns.release(file)));
}

#[test]
fn a_file_that_was_overtaken_while_it_was_opened_is_known() {
    let (world, who) = (World::new(), Who::new(1, 10, &[]));
    for path in ["dev/variables/a", "dev/secrets/a"] {
        world.put(&who, path, b"one").unwrap();
        let file = world.ns.open(&who, world.at(path).unwrap().node, READ).unwrap();
        assert!(!world.ns.is_behind(&file));
        world.put(&who, "dev/variables/other", path.as_bytes()).unwrap();
        assert!(!world.ns.is_behind(&file), "another key's commit");
        world.put(&who, path, b"two, and longer").unwrap();
        assert!(world.ns.is_behind(&file));
        world.ns.release(&file);
    }
}

#[test]
fn what_was_overtaken_while_it_was_looked_at_is_not_told_to_be_kept() {
    let (world, who) = (World::new(), Who::new(1, 10, &[]));
    world.put(&who, "dev/variables/a", b"one").unwrap();
    let id = world.at("dev/variables/a").unwrap().node;
    let view = world.ns.view().unwrap();
    let node = view.node(id).unwrap().content;
    let lasting = || world.ns.stored_attributes(&view, id, &node).unwrap().lasting;
    assert!(lasting());
    world.put(&who, "dev/variables/other", b"one").unwrap();
    assert!(lasting(), "another key's commit");
    // Whoever wrote has left again, so that nothing is open.
    world.put(&who, "dev/variables/a", b"two").unwrap();
    assert!(!lasting());
}
