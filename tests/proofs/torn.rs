//! Values that are replaced in place, over and over, while others read them in every way: not one is torn, cut, mixed or
//! empty.

mod mappings;
mod reader;
mod value;
mod writer;

use std::time::Instant;

use crate::fixture::{ALICE, BOB, Mount, OPS, PAYMENTS, User, run, wait_for};
use crate::harness::Case;
use crate::scale;
use crate::worker::{Role, Worker};

pub const CASES: &[Case] = &[
    ("wrong_values_are_noticed", value::wrong_values_are_noticed),
    ("variables_are_never_torn", || never_torn("dev/variables")),
    ("secrets_are_never_torn", || never_torn("dev/secrets")),
    ("what_a_mapping_shows", what_a_mapping_shows),
];

/// What the processes of this family do.
pub const ROLES: &[Role] = &[("torn-writer", writer::work), ("torn-reader", reader::work)];

const KEYS: usize = 4;
const READERS: usize = 4;

/// Two writers, of whom one may not read, and four readers by a supplementary group.
fn never_torn(tree: &str) {
    let mount = Mount::new();
    let seed = scale::seed();
    let reads = scale::either(10_000, 1_000_000);
    begin(&mount, tree);
    let begun = Instant::now();
    let writers = start_writers(&mount, tree, seed);
    let readers: Vec<_> = (3..3 + READERS)
        .map(|number| {
            start(
                &mount,
                tree,
                User(BOB + number as u32, BOB, &[PAYMENTS]),
                "torn-reader",
                [number, reads / READERS],
                seed,
            )
        })
        .collect();
    let mut counts = vec![0_u64; reader::ways().count() + 1];
    for reader in readers {
        let said = reader.join().unwrap_or_else(|fault| panic!("KEYFS_PROOFS_SEED={seed}: {fault}"));
        for (count, said) in counts.iter_mut().zip(said.split(' ')) {
            *count += said.parse::<u64>().expect("a number");
        }
    }
    let stored = stop(writers, seed);
    let others = counts.pop().expect("a count");
    let ways: Vec<_> = reader::ways().zip(&counts).map(|(way, count)| format!("{way} {count}")).collect();
    println!(
        "{tree}: {} reads of {} values stored by {stored:?} in {:.1} s, {others} times another than before; {}",
        counts.iter().sum::<u64>(),
        stored.iter().sum::<u64>(),
        begun.elapsed().as_secs_f64(),
        ways.join(", ")
    );
    // It is a proof only if values changed under the readers, and each way was taken.
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert!(stored.iter().all(|count| *count > 100), "{stored:?}");
    assert!(others > counts.iter().sum::<u64>() / 50, "hardly any reader met another value than before");
}

/// Mappings promise less than read(2): no page is of two values, and once nothing is stored any longer, a new mapping shows
/// what is there. What else was seen is printed, for the documentation.
fn what_a_mapping_shows() {
    let mount = Mount::new();
    let seed = scale::seed();
    for tree in ["dev/variables", "dev/secrets"] {
        begin(&mount, tree);
        let writers = start_writers(&mount, tree, seed);
        // Two at once, so that each can meet what the other brought into the page cache.
        let look = |seed| mappings::looks(&mount.path(tree), KEYS, scale::either(150, 5_000), &mut scale::Random(seed));
        let seen = std::thread::scope(|scope| {
            let other = scope.spawn(|| look(seed ^ 1));
            [look(seed), other.join().expect("a thread")]
        });
        let stored = stop(writers, seed);
        let mut sums = std::collections::BTreeMap::new();
        seen.into_iter().flatten().for_each(|(what, count)| *sums.entry(what).or_insert(0) += count);
        println!("{tree}, while {stored:?} values were stored: {sums:#?}");
        let mut mapper = mappings::Mapper::new();
        for key in 0..KEYS {
            for kind in ["MAP_PRIVATE", "MAP_SHARED"] {
                let mut look = || mapper.look(&mount.path(&format!("{tree}/k{key}")), kind, false, key as u64);
                wait_for("a mapping of the present value", || look() == "the value that read shows");
            }
        }
    }
}

/// Keys with a value, for a group to replace and to read and another to replace alone.
fn begin(mount: &Mount, tree: &str) {
    for key in 0..KEYS {
        let path = format!("{tree}/k{key}");
        let mut first = Vec::new();
        value::Generation::new(0, key as u64, 0).fill(&mut first);
        mount.put(&path, first);
        mount.own(&path, ALICE, PAYMENTS, 0o660);
        run(std::process::Command::new("setfacl").args(["-m", &format!("g:{OPS}:w")]).arg(mount.path(&path)));
    }
}

/// One who may read, and one who may not.
fn start_writers(mount: &Mount, tree: &str, seed: u64) -> Vec<Worker> {
    let one = |number, group| start(mount, tree, User(BOB, BOB, &[group]), "torn-writer", [number, 0], seed);
    vec![one(1, PAYMENTS), one(2, OPS)]
}

fn start(mount: &Mount, tree: &str, user: User<'_>, role: &str, [number, reads]: [usize; 2], seed: u64) -> Worker {
    let seed = seed as u32 as usize + number;
    let arguments = [KEYS, number, seed, reads].map(|number| number.to_string());
    Worker::start(user, role, &[&[mount.path(tree).display().to_string()], arguments.as_slice()].concat())
}

/// How many values each has stored.
fn stop(writers: Vec<Worker>, seed: u64) -> Vec<u64> {
    let stop = |writer: Worker| writer.stop().unwrap_or_else(|fault| panic!("KEYFS_PROOFS_SEED={seed}: {fault}"));
    writers.into_iter().map(|writer| stop(writer).parse().expect("a number")).collect()
}
