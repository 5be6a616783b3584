//! The dashboard over HTTP on a real mount, as several users: raw requests, as a hostile page or program sends them too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]
#![allow(dead_code)] // the fixture is shared with the tests on a mount

#[path = "../mount/accounts.rs"]
mod accounts;
mod across;
mod change;
mod events;
#[path = "../mount/fixture.rs"]
mod fixture;
mod front;
mod hangs;
#[path = "../mount/harness.rs"]
mod harness;
mod http;
mod keys;
mod life;
mod limits;
mod listen;
mod past;
mod places;
mod proxy;
#[path = "../programs/service.rs"]
mod service;
mod team;
mod transfer;
mod why;

use harness::{Case, Family};

/// For modules of cases.
pub type Cases = &'static [Case];

const FAMILIES: &[Family] = &[
    Family::mounting("front", front::CASES),
    Family::mounting("listen", listen::CASES),
    Family::mounting("life", life::CASES),
    Family::mounting("team", team::CASES),
    Family::mounting("proxy", proxy::CASES).with(proxy::TOOLS),
    Family::mounting("keys", keys::CASES),
    Family::mounting("change", change::CASES),
    Family::mounting("past", past::CASES),
    Family::mounting("across", across::CASES),
    Family::mounting("transfer", transfer::CASES),
    Family::mounting("why", why::CASES),
    Family::mounting("events", events::CASES),
    Family::mounting("places", places::CASES),
    Family::mounting("limits", limits::CASES),
    Family::mounting("hangs", hangs::CASES),
];

/// The program under test, where every user reaches it.
pub fn dt() -> std::path::PathBuf {
    accounts::home("bin").join("dt")
}

fn main() {
    harness::announce(FAMILIES);
    if fixture::missing().is_none() {
        accounts::enter();
        accounts::reachable(env!("CARGO_BIN_EXE_dt").as_ref());
        accounts::reachable(env!("CARGO_BIN_EXE_keyfs").as_ref());
    }
    harness::run(FAMILIES);
}
