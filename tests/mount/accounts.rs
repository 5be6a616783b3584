//! Accounts for the tests' users, since some programs ask who they run as and look into that user's home, and pages name
//! users.
//!
//! The tests run in a mount namespace of their own, in which the lists of users and groups have a few lines more; the
//! machine's own lists are not touched, and what is mounted there is gone with the last process.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::{ALICE, ANALYSTS, BOB, OPS, PAYMENTS};

/// Set in the process that runs in the namespace: the directory of homes.
const INSIDE: &str = "KEYFS_TEST_ACCOUNTS";

/// A name, an id that no account need have and that is the own group's too, and the group beside it.
const USERS: &[(&str, u32, Option<&str>)] = &[
    ("alice", ALICE, Some("payments")),
    ("bob", BOB, Some("analysts")),
    ("rotate", 20_003, Some("rotators")),
    ("svc", 20_004, None),
];
const GROUPS: &[(&str, u32)] = &[("payments", PAYMENTS), ("ops", OPS), ("analysts", ANALYSTS), ("rotators", 20_104)];

/// A user's home.
pub fn home(name: &str) -> PathBuf {
    Path::new(&std::env::var_os(INSIDE).expect("the namespace's")).join(name)
}

/// Lets every user reach a program, or a directory, wherever it is: in `home("bin")`, under its own name.
pub fn reachable(path: &Path) {
    let directory = home("bin");
    fs::create_dir_all(&directory).expect("a directory");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("chmod");
    let place = directory.join(path.file_name().expect("a name"));
    if path.is_dir() {
        fs::create_dir(&place).expect("a directory");
    } else {
        fs::write(&place, "").expect("a file");
    }
    crate::fixture::run(Command::new("mount").arg("--bind").arg(path).arg(&place));
}

/// Comes back in a process for which the accounts exist: elsewhere this program is run again, and ends as that does.
pub fn enter() {
    if std::env::var_os(INSIDE).is_none() {
        std::process::exit(run_inside());
    }
}

fn run_inside() -> i32 {
    let directory = tempfile::Builder::new().prefix("keyfs-accounts-").tempdir().expect("a temporary directory");
    let place = directory.path();
    fs::set_permissions(place, fs::Permissions::from_mode(0o755)).expect("chmod");
    let mut users = others("passwd");
    let mut groups = others("group");
    for (name, id, _) in USERS {
        let home = place.join(name);
        fs::create_dir(&home).expect("a home");
        chown(&home, Some(*id), Some(*id)).expect("chown");
        users.push_str(&format!("{name}:x:{id}:{id}::{}:/bin/sh\n", home.display()));
        groups.push_str(&format!("{name}:x:{id}:\n"));
    }
    for (name, id) in GROUPS {
        let members = USERS.iter().filter(|(_, _, group)| *group == Some(*name)).map(|(member, ..)| *member);
        groups.push_str(&format!("{name}:x:{id}:{}\n", members.collect::<Vec<_>>().join(",")));
    }
    fs::write(place.join("etc-passwd"), users).expect("a file");
    fs::write(place.join("etc-group"), groups).expect("a file");

    let script = r#"for file in passwd group; do mount --bind "$0/etc-$file" "/etc/$file" || exit; done; exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(place);
    command.arg(std::env::current_exe().expect("this program")).args(std::env::args_os().skip(1));
    let status = command.env(INSIDE, place).status().expect("unshare");
    status.code().unwrap_or(1)
}

/// The machine's own lines, but for those whose names are ours.
fn others(list: &str) -> String {
    let text = fs::read_to_string(Path::new("/etc").join(list)).unwrap_or_default();
    let is_ours = |line: &str| {
        let name = line.split(':').next();
        USERS.iter().any(|(ours, ..)| name == Some(ours)) || GROUPS.iter().any(|(ours, _)| name == Some(ours))
    };
    text.lines().filter(|line| !is_ours(line)).map(|line| format!("{line}\n")).collect()
}
