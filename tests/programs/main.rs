//! Programs that people run every day, and the project's own examples, on a real mount: one module for each family, with
//! the users and groups that they would have, granted and refused.
//!
//! Where a program behaves as on any file system, it is run on the machine's own too and has to do the same there. A family
//! whose programs are missing is reported as ignored; with KEYFS_REQUIRE_MOUNT set, as in the project's check, that is a
//! failure that names the package.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]
#![allow(dead_code)] // the fixture is shared with the tests on a mount

#[path = "../mount/accounts.rs"]
mod accounts;
#[path = "../mount/alike.rs"]
mod alike;
mod archives;
mod copies;
mod crypto;
mod editors;
mod examples;
#[path = "../mount/fixture.rs"]
mod fixture;
mod git;
#[path = "../mount/harness.rs"]
mod harness;
mod io_uring;
mod nginx;
mod node;
mod postgres;
mod python;
mod service;
mod shell;
mod ssh;

use harness::{Case, Family, Tool};

const FAMILIES: &[Family] = &[
    Family::mounting("nginx", nginx::CASES).with(nginx::TOOLS),
    Family::mounting("ssh", ssh::CASES).with(ssh::TOOLS),
    Family::mounting("crypto", crypto::CASES).with(crypto::TOOLS),
    Family::mounting("git", git::CASES).with(git::TOOLS),
    Family::mounting("postgres", postgres::CASES).with(postgres::TOOLS),
    Family::mounting("python", python::CASES).with(python::TOOLS),
    Family::mounting("node", node::CASES).with(node::TOOLS),
    Family::mounting("editors", editors::CASES).with(editors::TOOLS),
    Family::mounting("copies", copies::CASES).with(copies::TOOLS),
    Family::mounting("archives", archives::CASES).with(archives::TOOLS),
    Family::mounting("shell", shell::CASES).with(shell::TOOLS),
    Family::mounting("examples", examples::CASES).with(examples::TOOLS),
    Family::mounting("io_uring", io_uring::CASES).with(io_uring::TOOLS),
];

fn main() {
    harness::announce(FAMILIES);
    if fixture::missing().is_none() && !libtest_mimic::Arguments::from_args().list {
        accounts::enter();
    }
    harness::run(FAMILIES)
}
