//! Public suites for file systems, run on a real mount: pjdfstest (what POSIX says of each call), fsx (one file, read and written
//! in all ways, against a copy in memory) and stress-ng's stressors (many processes at once).
//!
//! What of them can't apply to a file system of keys is listed here and in `pjdfstest.toml`, each with its reason.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::fixture::{Mount, User};
use crate::harness::{Case, Tool};
use crate::log::complaints;
use crate::scale::{either, seed};

pub const PJDFSTEST: &[Case] = &[
    ("what_posix_says_of_each_call", what_posix_says_of_each_call),
    ("a_mount_that_is_for_reading_alone", a_mount_that_is_for_reading_alone),
];
pub const PJDFSTEST_TOOLS: &[Tool] =
    &[("pjdfstest", "cargo install --locked --root target/tools --target-dir target/tools pjdfstest@0.2.0")];
pub const FSX: &[Case] = &[
    ("a_variable", || exercise(Tree::Variables, Mapped::No)),
    ("a_variable_that_is_mapped", || exercise(Tree::Variables, Mapped::Yes)),
    ("a_secret", || exercise(Tree::Secrets, Mapped::No)),
    ("a_secret_that_is_mapped", || exercise(Tree::Secrets, Mapped::Yes)),
];
pub const FSX_TOOLS: &[Tool] =
    &[("fsx", "cargo install --locked --root target/tools --target-dir target/tools fsx@0.3.0")];
pub const STRESS: &[Case] =
    &[("on_variables", || stress("variables")), ("on_secrets", || stress("secrets")), ("not_one_is_unknown", known)];
pub const STRESS_TOOLS: &[Tool] = &[("stress-ng", "stress-ng")];

/// The most that a value may have, in bytes: the suites' files are larger than most keys.
const LIMIT: &str = "16777216";

/// A mount with large values, and a directory of its own in one tree for the suite.
fn place(tree: &str) -> (Mount, String) {
    let mount = Mount::with(&["--value-limit", LIMIT]);
    let place = format!("dev/{tree}/suite");
    mount.mkdir(&place);
    mount.own(&place, 0, 0, 0o755);
    (mount, place)
}

/// What both streams of a program say.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// That the daemon is as it was, and had nothing to complain of.
#[track_caller]
fn is_well(mount: &mut Mount) {
    assert_eq!(complaints(mount), [""; 0]);
    // What the suite left is a store that opens, every page and row checked.
    mount.restart();
}

/// Runs the cases of pjdfstest with these words in their names, or all of them.
fn pjdfstest(mount: &Mount, place: &str, remount: bool, words: &[&str]) -> String {
    let another = mount.home().join("another");
    fs::create_dir_all(&another).expect("mkdir");
    let config = include_str!("pjdfstest.toml");
    let config = config.replace("[features]", &format!("[features]\nsecondary_fs = {another:?}"));
    let config = config.replace("allow_remount = false", &format!("allow_remount = {remount}"));
    let file = mount.home().join("pjdfstest.toml");
    fs::write(&file, config).expect("its configuration");
    let mut command = Command::new("pjdfstest");
    command.env("PATH", with_own_mount(mount.home())).env("RUST_BACKTRACE", "0");
    command.arg("-c").arg(&file).arg("-p").arg(mount.path(place)).args(words).stdin(Stdio::null());
    let output = command.output().expect("pjdfstest");
    let said = said(&output);
    assert!(output.status.success(), "{}", said.lines().filter(|line| !is_fine(line)).collect::<Vec<_>>().join("\n"));
    said
}

fn is_fine(line: &str) -> bool {
    [" ok", " skipped", "failed as expected"].iter().any(|ending| line.ends_with(ending))
}

/// A search path whose `mount` doesn't call the file system's helper, which can only mount anew.
fn with_own_mount(home: &Path) -> String {
    let programs = home.join("programs");
    fs::create_dir_all(&programs).expect("mkdir");
    let path = std::env::var("PATH").unwrap_or_default();
    let script = format!("#!/bin/sh\nPATH='{path}' exec mount -i \"$@\"\n");
    fs::write(programs.join("mount"), script).expect("a script");
    fs::set_permissions(programs.join("mount"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    format!("{}:{path}", programs.display())
}

/// How many cases came to this, by the summary that ends what pjdfstest says.
fn counted(said: &str, what: &str) -> usize {
    let summary = said.lines().find(|line| line.contains("Summary")).expect("a summary");
    let part = summary.split([',', ':']).find(|part| part.trim().ends_with(what)).expect("a count");
    part.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

fn what_posix_says_of_each_call() {
    let (mut mount, place) = place("variables");
    let said = pjdfstest(&mount, &place, false, &[]);
    let listed = include_str!("pjdfstest.toml").lines().filter(|line| line.trim_start().starts_with('"')).count();
    // A name that the suite has no longer would go unnoticed.
    assert_eq!(counted(&said, "expected failures"), listed);
    assert!(counted(&said, "passed") > 150, "{said}");
    println!("pjdfstest: {} passed, {listed} expected failures", counted(&said, "passed"));
    is_well(&mut mount);
}

fn a_mount_that_is_for_reading_alone() {
    let (mut mount, place) = place("variables");
    let said = pjdfstest(&mount, &place, true, &["erofs"]);
    assert!(counted(&said, "passed") > 10, "{said}");
    is_well(&mut mount);
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Tree {
    Variables,
    Secrets,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Mapped {
    Yes,
    No,
}

fn exercise(tree: Tree, mapped: Mapped) {
    let secret = tree == Tree::Secrets;
    let (mut mount, place) = place(if secret { "secrets" } else { "variables" });
    let on = |yes: bool| i32::from(yes);
    // A secret is not spliced; its programs read instead, and fsx doesn't. There is nothing to punch holes in.
    let config = format!(
        "flen = 262144\n[opsize]\nmax = 65536\n[weights]\nread = 10\nwrite = 10\ntruncate = 5\nclose_open = 1\n\
         fsync = 1\nfdatasync = 1\nposix_fallocate = 1\nposix_fadvise = 1\ninvalidate = {0}\nmapread = {1}\n\
         mapwrite = {1}\nsendfile = {2}\ncopy_file_range = {2}\npunch_hole = 0\n",
        on(mapped == Mapped::Yes),
        5 * on(mapped == Mapped::Yes),
        on(!secret),
    );
    let file = mount.home().join("fsx.toml");
    fs::write(&file, config).expect("its configuration");
    let operations = either(if secret { 400 } else { 1500 }, 100_000);
    let run = |seed: u64| {
        let mut command = Command::new("fsx");
        command.args(["-N", &operations.to_string(), "-S", &seed.to_string(), "-P"]).arg(mount.home());
        command.arg("-f").arg(&file).arg(mount.path(&place).join("file")).stdin(Stdio::null());
        command.output().expect("fsx")
    };
    let mut seed = seed();
    let mut output = run(seed);
    // Once in about 65,536 times it allocates no bytes at all, which is an error by POSIX, and takes that for a lack of support.
    while !output.status.success() && allocates_nothing(&said(&output)) {
        seed += 1;
        output = run(seed);
    }
    // It shows no byte of a value but in a file of its own, which goes with the mount.
    assert!(output.status.success(), "seed {seed}: {}", said(&output));
    is_well(&mut mount);
}

/// Whether the last thing that fsx did was to allocate nothing.
fn allocates_nothing(said: &str) -> bool {
    said.lines().last().is_some_and(|line| line.contains(" POSIX_FALLOCATE ") && line.contains("0x0 bytes"))
}

/// The stressors that apply, with what makes their files small enough.
///
/// Left out are those that are about links, fifos, devices, extents, verity or a file system of another kind (link, symlink,
/// mknod, fiemap, verity, binderfs, tmpfs, fpunch, chattr, inode-flags); those whose files can't be made smaller than a value may be
/// (copy-file, ioprio); readahead, which reads at offsets below zero where its file is small, on ext4 too; fsize, which takes
/// its own substitute of fallocate(2) for done when its time is over; getdent, which asks for a call that the kernel hasn't, on
/// ext4 too; and those that never touch the directory that they are given.
const STRESSORS: &[(&str, &[&str])] = &[
    ("access", &[]),
    ("chdir", &[]),
    ("chmod", &[]),
    ("chown", &[]),
    ("dentry", &[]),
    ("dir", &[]),
    ("dirdeep", &[]),
    ("dirmany", &[]),
    ("dnotify", &[]),
    ("dup", &[]),
    ("fallocate", &["--fallocate-bytes", "1m"]),
    ("fcntl", &[]),
    ("file-ioctl", &[]),
    ("filename", &[]),
    ("flock", &[]),
    ("fstat", &[]),
    ("handle", &[]),
    ("hdd", &["--hdd-bytes", "1m"]),
    ("inotify", &[]),
    ("io", &[]),
    ("iomix", &["--iomix-bytes", "1m"]),
    ("lease", &[]),
    ("locka", &[]),
    ("lockf", &[]),
    ("lockofd", &[]),
    ("mmap", &["--mmap-file", "--mmap-bytes", "1m"]),
    ("msync", &["--msync-bytes", "1m"]),
    ("open", &[]),
    ("rename", &[]),
    ("revio", &["--revio-bytes", "1m"]),
    ("seek", &["--seek-size", "1m"]),
    ("sync-file", &["--sync-file-bytes", "1m"]),
    ("touch", &[]),
    ("utime", &[]),
    ("xattr", &[]),
];

/// What moves pages without reading them, which on a secret is refused.
const SPLICING: &[(&str, &[&str])] = &[("sendfile", &["--sendfile-size", "64k"])];

/// How many run at a time.
const TOGETHER: usize = 8;

fn stress(tree: &str) {
    let (mut mount, place) = place(tree);
    let splicing = if tree == "variables" { SPLICING } else { &[] };
    let stressors: Vec<_> = STRESSORS.iter().chain(splicing).collect();
    let groups = stressors.chunks(TOGETHER).count();
    // Two minutes for each tree, in the long form.
    let seconds = either(1, 120_usize.div_ceil(groups));
    for group in stressors.chunks(TOGETHER) {
        // Root, and in the group that it makes its secrets for.
        let mut command = User(0, 0, &[0]).command("stress-ng");
        command.args(["--verify", "--timeout", &seconds.to_string(), "--temp-path"]).arg(mount.path(&place));
        for (name, options) in group {
            command.arg(format!("--{name}")).arg("1").args(*options);
        }
        let output = command.current_dir(mount.home()).output().expect("stress-ng");
        let said = said(&output);
        let bad = said.lines().filter(|line| [" fail:", " error:", "skipp"].iter().any(|sign| line.contains(sign)));
        let bad: Vec<_> = bad.collect();
        assert!(output.status.success() && bad.is_empty(), "{}: {bad:#?}", output.status);
    }
    is_well(&mut mount);
}

/// Each is run where there is another file system too, so that one which this machine's stress-ng doesn't know is noticed.
fn known() {
    let said = said(&Command::new("stress-ng").arg("--help").output().expect("stress-ng"));
    for (name, _) in STRESSORS.iter().chain(SPLICING) {
        assert!(said.contains(&format!("--{name} ")), "stress-ng knows no {name}");
    }
}
