//! Callers that mean harm or die at the wrong moment: none of them hangs the daemon, ends a thread of it, leaves something open,
//! or is let in where its groups don't let it in. After each the mount serves as before, and the log has no error.
//!
//! What single ways around the gate lead to is tested with the mount (`tests/mount/evasions.rs`, `callers.rs`); here it is
//! numbers of them: every byte, thousands of changes, dozens of processes at once.

mod callers;
mod killed;
mod names;
mod pids;
mod storms;
mod values;

use std::path::Path;
use std::process::Command;

use crate::Case;
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, PAYMENTS, User, wait_for};
use crate::log::complaints;

pub const CASES: &[Case] = &[
    ("malformed_attributes", values::malformed_attributes),
    ("ten_thousand_attributes", values::ten_thousand_attributes),
    ("names_of_every_byte", names::names_of_every_byte),
    ("keys_at_the_limit", names::keys_at_the_limit),
    ("two_hundred_levels", names::two_hundred_levels),
    ("a_storm_of_renames", storms::a_storm_of_renames),
    ("sixty_four_threads", storms::sixty_four_threads),
    ("callers_that_are_killed", killed::callers_that_are_killed),
    ("daemons_that_meet_killed_creators", killed::what_a_killed_creator_leaves),
    ("callers_in_every_namespace", callers::callers_in_every_namespace),
    ("groups_that_come_and_go", callers::groups_that_come_and_go),
    ("threads_with_other_groups", callers::threads_with_other_groups),
    ("programs_that_start_without_groups", callers::programs_that_start_without_groups),
    ("a_number_that_is_taken_again", pids::a_number_that_is_taken_again),
];

/// Somebody whom the secrets are shared with, and somebody else.
const MEMBER: User<'static> = User(ALICE, ALICE, &[PAYMENTS]);
const STRANGER: User<'static> = User(BOB, BOB, &[ANALYSTS]);

/// What every program begins with; one that hangs is ended.
const PRELUDE: &str = concat!(include_str!("../mount/prelude.py"), "\nsignal.alarm(900)\n");

/// A command that runs a program as a user in a directory, with what the user's groups can't give it taken from `setpriv`.
fn command(user: User<'_>, directory: &Path, text: &str, arguments: &[&str]) -> Command {
    let mut command = user.command("/usr/bin/python3");
    let text = format!("{PRELUDE}\n{text}\nsys.exit(failures > 0)\n");
    command.args(["-I", "-S", "-c", &text]).args(arguments).current_dir(directory);
    command
}

/// Runs a command that must succeed; what it says.
#[track_caller]
fn succeed(mut command: Command) -> String {
    let output = command.output().expect("the program starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

#[track_caller]
fn program(user: User<'_>, directory: &Path, text: &str, arguments: &[&str]) -> String {
    succeed(command(user, directory, text, arguments))
}

/// A directory that everybody may write to.
fn open_directory(mount: &Mount, below: &str) {
    mount.mkdir(below);
    mount.own(below, 0, 0, 0o777);
}

/// A secret that the group payments may read.
fn secret(mount: &Mount, below: &str, value: &str) {
    mount.put(below, value);
    mount.own(below, 0, PAYMENTS, 0o640);
}

/// That the mount serves as before: who may read a secret does, who may not doesn't, nothing is left open, nothing was found
/// damaged, and the log has no error.
#[track_caller]
fn unharmed(mount: &Mount) {
    mount.put("pre/variables/after", "served");
    assert_eq!(mount.get("pre/variables/after"), b"served");
    secret(mount, "pre/secrets/after", "served");
    MEMBER.reads(&mount.path("pre/secrets/after"), "served");
    STRANGER.is_refused(&mount.path("pre/secrets/after"), "Permission denied");
    let metrics = || String::from_utf8(mount.get(".keyfs/metrics")).expect("text");
    wait_for("every file to be closed", || metrics().lines().any(|line| line == "keyfs_open_files 0"));
    assert_eq!(complaints(mount), [""; 0]);
    let found = mount.audit().into_iter().find(|record| record["event"] == "tampered");
    assert_eq!(found, None, "the audit log has damage");
}
