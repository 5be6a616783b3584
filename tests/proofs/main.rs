//! What keyfs promises, held under faults, load and attack, on a real mount and on a store alone.
//!
//! Each family has a short form, which `cargo test` runs, and a long one: `KEYFS_PROOFS=long` (see `docs/reliability.md`, which
//! has what the long form measured). A family that draws lots names its seed when it fails; `KEYFS_PROOFS_SEED` runs that one
//! again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]
#![allow(dead_code)] // the fixture is shared with the tests on a mount

mod corpus;
mod crash;
mod disk;
mod failing;
#[path = "../mount/fixture.rs"]
mod fixture;
#[path = "../mount/harness.rs"]
mod harness;
mod hostile;
mod leak;
mod log;
#[path = "../mount/medium.rs"]
mod medium;
mod model;
#[path = "../mount/peer.rs"]
mod peer;
mod power;
mod scale;
mod soak;
mod suites;
mod tamper;
mod torn;
mod tree;
mod values;
mod worker;

use harness::{Case, Family};

const FAMILIES: &[Family] = &[
    Family::mounting("model", model::CASES),
    Family::mounting("torn", torn::CASES),
    Family::mounting("leak", leak::CASES).with(&[("prlimit", "util-linux")]),
    Family::mounting("hostile", hostile::CASES),
    Family::mounting("crash", crash::CASES),
    Family::plain("power", power::CASES),
    Family::plain("tamper", tamper::CASES),
    Family::mounting("tamper_by_mount", tamper::MOUNTED),
    Family::mounting("disk", disk::CASES).with(disk::TOOLS),
    Family::mounting("soak", soak::CASES),
    Family::plain("corpus", corpus::CASES),
    Family::mounting("pjdfstest", suites::PJDFSTEST).with(suites::PJDFSTEST_TOOLS),
    Family::mounting("fsx", suites::FSX).with(suites::FSX_TOOLS),
    Family::mounting("stress", suites::STRESS).with(suites::STRESS_TOOLS),
];

fn main() {
    worker::divert(&[torn::ROLES, model::ROLES]);
    harness::announce(FAMILIES);
    harness::run(FAMILIES)
}
