//! The platform's own Python client, as it is published, run against `dt`.

use std::path::Path;

use crate::fixture::{ALICE, BOB, Mount, PAYMENTS, ROOT, User};
use crate::harness::Tool;
use crate::{Cases, accounts, environment};

/// Its virtual environment, in which `.ci/run` installs the version that this was written for.
const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/datatailr");

pub const TOOLS: &[Tool] = &[(
    concat!(env!("CARGO_MANIFEST_DIR"), "/target/datatailr/bin/datatailr"),
    "python3 -m venv target/datatailr && target/datatailr/bin/pip install datatailr==0.2.3",
)];

pub const CASES: Cases =
    &[("as_root", as_root), ("as_a_member_of_a_group", as_a_member_of_a_group), ("denied", denied)];

/// Lets every user reach it.
pub fn prepare() {
    if Path::new(HOME).is_dir() {
        accounts::reachable(Path::new(HOME));
    }
}

/// Runs a part of `client.py` as somebody.
#[track_caller]
fn part(mount: &Mount, user: &User<'_>, name: &str) {
    let python = accounts::home("bin").join("datatailr/bin/python");
    let mut command = user.command(python.to_str().expect("a path"));
    command.arg("-c").arg(include_str!("client.py")).arg(crate::dt()).arg(name);
    environment(&mut command, mount);
    command.env("HOME", accounts::home("alice")).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{name}: done\n"));
}

fn as_root() {
    part(&Mount::new(), &ROOT, "everything");
}

fn as_a_member_of_a_group() {
    part(&Mount::new(), &User(ALICE, ALICE, &[PAYMENTS]), "everything");
}

fn denied() {
    let mount = Mount::new();
    let alice = User(ALICE, ALICE, &[PAYMENTS]);
    part(&mount, &alice, "store");
    part(&mount, &User(BOB, BOB, &[]), "refused");
    part(&mount, &User(BOB, BOB, &[PAYMENTS]), "granted");
    part(&mount, &alice, "kept");
}
