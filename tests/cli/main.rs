//! The commands' contract: exit codes, one line on stderr for each error, and nothing altered by what is refused. One module
//! for each subcommand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]
#![allow(dead_code)] // the fixture is shared with the tests on a mount

#[path = "../mount/fixture.rs"]
mod fixture;
mod helper;
mod kit;
mod mount;
mod status;
mod umount;
mod usage;

use libtest_mimic::{Arguments, Failed, Trial};

type Case = (&'static str, fn());

fn main() {
    let arguments = Arguments::from_args();
    let missing = fixture::missing();
    if let Some(missing) = &missing {
        eprintln!("tests of the commands are not run: {missing}");
        if std::env::var_os("KEYFS_REQUIRE_MOUNT").is_some() {
            eprintln!("KEYFS_REQUIRE_MOUNT is set, so that is a failure");
            std::process::exit(1);
        }
    }
    let commands: &[(&str, &[Case], bool)] = &[
        ("mount", mount::CASES, missing.is_some()),
        ("umount", umount::CASES, missing.is_some()),
        ("status", status::CASES, missing.is_some()),
        ("helper", helper::CASES, missing.is_some()),
        ("usage", usage::CASES, false),
    ];
    let mut trials = Vec::new();
    for (command, cases, ignored) in commands {
        for (name, case) in *cases {
            let case = *case;
            let trial = Trial::test(format!("{command}::{name}"), move || -> Result<(), Failed> {
                case();
                Ok(())
            });
            trials.push(trial.with_ignored_flag(*ignored));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
