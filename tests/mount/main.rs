//! Tests on a real mount, one module for each family of operations, with real processes of other users. They are the
//! specification's executable twin: each rule of docs/semantics.md and docs/permissions.md is a case here, allowed and refused.
//!
//! Without /dev/fuse or root they are reported as ignored; with KEYFS_REQUIRE_MOUNT set, as in the project's check, that is a
//! failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]

mod alike;
mod audit;
mod callers;
mod commits;
mod control;
mod daemon;
mod files;
mod fixture;
mod gate;
mod history;
mod leak;
mod medium;
mod namespace;
mod peer;
mod tamper;

use libtest_mimic::{Arguments, Failed, Trial};

type Case = (&'static str, fn());

fn main() {
    let arguments = Arguments::from_args();
    let missing = fixture::missing();
    if let Some(missing) = &missing {
        eprintln!("tests on a mount are not run: {missing}");
        if std::env::var_os("KEYFS_REQUIRE_MOUNT").is_some() {
            eprintln!("KEYFS_REQUIRE_MOUNT is set, so that is a failure");
            std::process::exit(1);
        }
    }
    let families: &[(&str, &[Case])] = &[
        ("gate", gate::CASES),
        ("callers", callers::CASES),
        ("daemon", daemon::CASES),
        ("tamper", tamper::CASES),
        ("leak", leak::CASES),
        ("audit", audit::CASES),
        ("control", control::CASES),
        ("history", history::CASES),
        ("namespace", namespace::CASES),
        ("files", files::CASES),
        ("commits", commits::CASES),
    ];
    let mut trials = Vec::new();
    for (family, cases) in families {
        for (name, case) in *cases {
            let case = *case;
            let trial = Trial::test(format!("{family}::{name}"), move || -> Result<(), Failed> {
                case();
                Ok(())
            });
            trials.push(trial.with_ignored_flag(missing.is_some()));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
