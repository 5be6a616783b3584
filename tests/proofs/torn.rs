//! Values that are replaced in place, over and over, while others read them in every way: not one is torn, cut, mixed or
//! empty.

mod reader;
mod value;
mod writer;

use std::time::Instant;

use crate::fixture::{ALICE, BOB, Mount, OPS, PAYMENTS, User, run};
use crate::harness::Case;
use crate::scale;
use crate::worker::{Role, Worker};

pub const CASES: &[Case] = &[
    ("wrong_values_are_noticed", value::wrong_values_are_noticed),
    ("variables_are_never_torn", || never_torn("dev/variables")),
    ("secrets_are_never_torn", || never_torn("dev/secrets")),
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
    for key in 0..KEYS {
        let path = format!("{tree}/k{key}");
        let mut first = Vec::new();
        value::Generation::new(0, key as u64, 0).fill(&mut first);
        mount.put(&path, first);
        mount.own(&path, ALICE, PAYMENTS, 0o660);
        run(std::process::Command::new("setfacl").args(["-m", &format!("g:{OPS}:w")]).arg(mount.path(&path)));
    }
    let directory = mount.path(tree).display().to_string();
    let begun = Instant::now();
    let start = |user: User<'_>, role: &str, number: usize| {
        let seed = seed as u32 as usize + number;
        let arguments = [KEYS, number, seed, reads / READERS].map(|number| number.to_string());
        Worker::start(user, role, &[&[directory.clone()], arguments.as_slice()].concat())
    };
    let writers: Vec<_> =
        [(1, PAYMENTS), (2, OPS)].map(|(number, group)| start(User(BOB, BOB, &[group]), "torn-writer", number)).into();
    let readers: Vec<_> = (3..3 + READERS)
        .map(|number| start(User(BOB + number as u32, BOB, &[PAYMENTS]), "torn-reader", number))
        .collect();
    let mut counts = vec![0_u64; reader::ways().count() + 1];
    for reader in readers {
        let said = reader.join().unwrap_or_else(|fault| panic!("KEYFS_PROOFS_SEED={seed}: {fault}"));
        for (count, said) in counts.iter_mut().zip(said.split(' ')) {
            *count += said.parse::<u64>().expect("a number");
        }
    }
    let stop = |writer: Worker| writer.stop().unwrap_or_else(|fault| panic!("KEYFS_PROOFS_SEED={seed}: {fault}"));
    let stored: Vec<u64> = writers.into_iter().map(|writer| stop(writer).parse().expect("a number")).collect();
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
