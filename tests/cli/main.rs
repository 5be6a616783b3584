//! The commands' contract: exit codes, one line on stderr for each error, and nothing altered by what is refused. One module
//! for each subcommand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]
#![allow(dead_code)] // the fixture is shared with the tests on a mount

mod check;
mod compact;
#[path = "../mount/fixture.rs"]
mod fixture;
#[path = "../mount/harness.rs"]
mod harness;
mod helper;
mod kit;
mod mount;
mod status;
mod umount;
mod usage;

use harness::{Case, Family};

const FAMILIES: &[Family] = &[
    Family::mounting("check", check::CASES),
    Family::mounting("compact", compact::CASES),
    Family::mounting("mount", mount::CASES),
    Family::mounting("umount", umount::CASES),
    Family::mounting("status", status::CASES),
    Family::mounting("helper", helper::CASES),
    Family::plain("usage", usage::CASES),
];

fn main() {
    harness::announce(FAMILIES);
    harness::run(FAMILIES)
}
