//! The same program in directories of keyfs and in one of the machine's own file system: it must see the same everywhere.
//!
//! A program is Python; what it begins with is in `prelude.py`. Its expectations are checked wherever it runs, so that a
//! mistaken one shows on the machine's own file system first, and what it prints must be the same.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::fixture::Mount;

const PRELUDE: &str = include_str!("prelude.py");

/// A Python that every user may run.
pub fn python() -> &'static str {
    let debian = "/usr/bin/python3";
    if Path::new(debian).exists() { debian } else { "python3" }
}

/// Runs a program in a directory; its output, where all that it expected came true.
#[track_caller]
pub fn program(directory: &Path, program: &str, arguments: &[&str]) -> String {
    let output = raw_program(directory, program, arguments);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "in {}: {}\n{stdout}{stderr}", directory.display(), output.status);
    stdout.into_owned()
}

fn raw_program(directory: &Path, program: &str, arguments: &[&str]) -> Output {
    let text = format!("{PRELUDE}\n{program}\nsys.exit(failures > 0)\n");
    let mut command = Command::new(python());
    command.args(["-I", "-S", "-c"]).arg(text).args(arguments).current_dir(directory).stdin(Stdio::null());
    command.output().expect("python3")
}

/// A directory that everybody may write to, outside the mount.
pub fn reference(mount: &Mount, name: &str) -> std::path::PathBuf {
    let directory = mount.home().join(name);
    std::fs::create_dir_all(&directory).expect("a directory");
    std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
    directory
}

/// Runs a program in a new directory of variables, in one of secrets and in one of the machine's: all alike.
#[track_caller]
pub fn alike(text: &str) {
    let mount = Mount::new();
    alike_below(&mount, &["dev/variables", "dev/secrets"], text);
}

/// As [`alike`], for variables alone, where all permissions are the kernel's.
#[track_caller]
pub fn alike_in_variables(text: &str) {
    let mount = Mount::new();
    alike_below(&mount, &["dev/variables"], text);
}

#[track_caller]
fn alike_below(mount: &Mount, trees: &[&str], text: &str) {
    let expected = program(&reference(mount, "reference"), text, &[]);
    for tree in trees {
        let below = format!("{tree}/alike");
        mount.mkdir(&below);
        mount.own(&below, 0, 0, 0o777);
        let found = program(&mount.path(&below), text, &[]);
        let differs = expected.lines().zip(found.lines()).find(|(expected, found)| expected != found);
        assert_eq!(expected, found, "in {tree} it is not as on the machine's own file system: {differs:?}");
    }
}

/// Runs a program in a new directory of keyfs alone, for what is keyfs's own.
#[track_caller]
pub fn in_keyfs(mount: &Mount, below: &str, text: &str) -> String {
    if !mount.path(below).exists() {
        mount.mkdir(below);
        mount.own(below, 0, 0, 0o777);
    }
    program(&mount.path(below), text, &[])
}
