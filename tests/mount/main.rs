//! Tests on a real mount, one module for each family of operations, with real processes of other users. They are the
//! specification's executable twin: each rule of docs/semantics.md and docs/permissions.md is a case here, allowed and refused.
//!
//! Without /dev/fuse or root they are reported as ignored; with KEYFS_REQUIRE_MOUNT set, as in the project's check, that is a
//! failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]

mod acl;
mod alike;
mod audit;
mod callers;
mod commits;
mod control;
mod daemon;
mod directories;
mod evasions;
mod events;
mod files;
mod fixture;
mod gate;
#[allow(dead_code)] // what other programs of tests need beyond this
mod harness;
mod history;
mod leak;
mod locks;
mod mapping;
mod medium;
mod modes;
mod namespace;
mod peer;
mod rename;
mod stat;
mod tamper;
mod transactions;
mod xattr;

use harness::{Case, Family};

const FAMILIES: &[Family] = &[
    Family::mounting("gate", gate::CASES),
    Family::mounting("callers", callers::CASES),
    Family::mounting("daemon", daemon::CASES),
    Family::mounting("tamper", tamper::CASES),
    Family::mounting("leak", leak::CASES),
    Family::mounting("audit", audit::CASES),
    Family::mounting("control", control::CASES),
    Family::mounting("history", history::CASES),
    Family::mounting("namespace", namespace::CASES),
    Family::mounting("files", files::CASES),
    Family::mounting("commits", commits::CASES),
    Family::mounting("rename", rename::CASES),
    Family::mounting("events", events::CASES),
    Family::mounting("transactions", transactions::CASES),
    Family::mounting("directories", directories::CASES),
    Family::mounting("stat", stat::CASES),
    Family::mounting("locks", locks::CASES),
    Family::mounting("mapping", mapping::CASES),
    Family::mounting("modes", modes::CASES),
    Family::mounting("acl", acl::CASES),
    Family::mounting("xattr", xattr::CASES),
    Family::mounting("evasions", evasions::CASES),
];

fn main() {
    harness::announce(FAMILIES);
    harness::run(FAMILIES)
}
