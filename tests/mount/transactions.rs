//! Transactions as directories: staged by whatever writes files, committed by one `mv`, all or nothing.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Case;
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, OPS, PAYMENTS, ROOT, User, errno, run, wait_for};

pub const CASES: &[Case] = &[
    ("what_is_staged_is_committed_by_one_mv", what_is_staged_is_committed_by_one_mv),
    ("names_that_were_known_not_to_be_are_there_at_once", names_that_were_known_not_to_be_are_there_at_once),
    ("a_reader_sees_all_of_it_or_nothing", a_reader_sees_all_of_it_or_nothing),
    ("what_fails_changes_nothing_and_says_why", what_fails_changes_nothing_and_says_why),
    ("it_is_its_users_alone", it_is_its_users_alone),
    ("the_gate_stands_before_a_staged_secret", the_gate_stands_before_a_staged_secret),
    ("permissions_are_staged_with_the_value", permissions_are_staged_with_the_value),
    ("removals_are_staged", removals_are_staged),
    ("programs_that_write_files_stage_them", programs_that_write_files_stage_them),
    ("one_environment_has_its_own", one_environment_has_its_own),
    ("it_can_be_dropped", it_can_be_dropped),
    ("what_was_staged_is_gone_with_the_daemon", what_was_staged_is_gone_with_the_daemon),
    ("ten_thousand_keys_are_one_step", ten_thousand_keys_are_one_step),
    ("a_superuser_without_its_capabilities_is_a_user", a_superuser_without_its_capabilities_is_a_user),
    ("listings_and_attributes_that_were_kept_are_told_anew", listings_and_attributes_that_were_kept_are_told_anew),
    ("a_directory_that_is_held_holds_up_no_other", a_directory_that_is_held_holds_up_no_other),
];

const ALICES: User<'static> = User(ALICE, ALICE, &[PAYMENTS]);
const BOBS: User<'static> = User(BOB, BOB, &[ANALYSTS]);
const STAGED: &str = ".keyfs/transactions/t";

/// Runs a shell script in the mount, which must succeed.
fn shell(mount: &Mount, user: User<'_>, script: &str) -> String {
    let output = user.sh(&format!("cd {} && set -e; T={STAGED}\n{script}", mount.root().display()));
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}: {shown}");
    String::from_utf8(output.stdout).expect("text")
}

/// The same, which must fail; what it says.
fn fails(mount: &Mount, user: User<'_>, script: &str) -> String {
    let output = user.sh(&format!("cd {} && set -e; T={STAGED}\n{script}", mount.root().display()));
    assert!(!output.status.success(), "{script}: it succeeded");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn what_is_staged_is_committed_by_one_mv() {
    let mount = Mount::new();
    mount.put("dev/variables/old", "1");
    let revision = || {
        let status: serde_json::Value = serde_json::from_slice(&mount.get(".keyfs/status")).expect("JSON");
        (status["commits"].as_u64(), status["transactions"].as_u64())
    };
    shell(&mount, ROOT, "mkdir $T; mkdir -p $T/dev/secrets/db; echo s3cret > $T/dev/secrets/db/password");
    shell(&mount, ROOT, "echo 2 > $T/dev/variables/old; echo n > $T/prod/variables/new");
    assert_eq!(mount.get("dev/variables/old"), b"1");
    assert_eq!(errno(std::fs::metadata(mount.path("dev/secrets/db"))), libc::ENOENT);
    let before = revision();
    shell(&mount, ROOT, "mv $T .keyfs/commit/");
    assert_eq!(revision(), (before.0.map(|commits| commits + 1), Some(0)));
    assert_eq!(mount.get("dev/variables/old"), b"2\n");
    assert_eq!(mount.get("prod/variables/new"), b"n\n");
    assert_eq!(User(0, 0, &[]).cat(&mount.path("dev/secrets/db/password")).stdout, b"s3cret\n");
    assert_eq!(
        shell(&mount, ROOT, "ls .keyfs/history/dev/variables/old .keyfs/commit .keyfs/transactions"),
        ".keyfs/commit:\n\n.keyfs/history/dev/variables/old:\n1\n2\n\n.keyfs/transactions:\n"
    );
    let events: Vec<String> =
        mount.audit().iter().filter_map(|line| Some(line["event"].as_str()?.to_owned())).collect();
    assert!(events.iter().filter(|event| *event == "put").count() >= 4, "{events:?}");
}

fn names_that_were_known_not_to_be_are_there_at_once() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/d");
    mount.put("dev/variables/d/gone", "x");
    let program = r#"
import os, sys
os.chdir(sys.argv[1])
for number in range(200):
    new, gone, kept = f"dev/variables/d/new{number}", "dev/variables/d/gone", "dev/variables/d/kept"
    assert not os.path.exists(new)
    listed = set(os.listdir("dev/variables/d"))
    os.mkdir(".keyfs/transactions/t"), os.mkdir(".keyfs/transactions/t/dev/variables/d")
    base = ".keyfs/transactions/t/"
    open(base + new, "w").write(str(number))
    open(base + kept, "w").write("k" * number)
    if number % 2 == 0:
        open(base + gone, "a").close()
        os.setxattr(base + gone, "user.keyfs.remove", b"1")
    else:
        open(base + gone, "w").write("again")
    os.rename(".keyfs/transactions/t", ".keyfs/commit/t")
    assert open(new).read() == str(number)
    assert os.stat(kept).st_size == number, os.stat(kept).st_size
    assert os.path.exists(gone) == (number % 2 == 1)
    now = set(os.listdir("dev/variables/d"))
    assert f"new{number}" in now and ("gone" in now) == (number % 2 == 1), now
print("fine")
"#;
    let output = ROOT.python(program, &[mount.root().to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "fine\n", "{}", String::from_utf8_lossy(&output.stderr));
}

fn a_reader_sees_all_of_it_or_nothing() {
    let mount = Mount::new();
    for name in ["a", "b"] {
        mount.put(&format!("dev/variables/{name}"), "0");
    }
    let program = r#"
import os, sys, threading
os.chdir(sys.argv[1])
done = False
wrong = []
def reader():
    while not done:
        # What is read later is never older than what was read before.
        a = int(open("dev/variables/a").read()); b = int(open("dev/variables/b").read())
        if b < a: wrong.append((a, b))
readers = [threading.Thread(target=reader) for _ in range(3)]
for thread in readers: thread.start()
for number in range(1, 300):
    os.mkdir(".keyfs/transactions/t")
    for name in "ab": open(f".keyfs/transactions/t/dev/variables/{name}", "w").write(str(number))
    os.rename(".keyfs/transactions/t", ".keyfs/commit/t")
done = True
for thread in readers: thread.join()
print(wrong)
"#;
    let output = ROOT.python(program, &[mount.root().to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[]\n", "{}", String::from_utf8_lossy(&output.stderr));
}

fn what_fails_changes_nothing_and_says_why() {
    let mount = Mount::new();
    mount.put("dev/variables/theirs", "1");
    mount.own("dev/variables/theirs", ALICE, ALICE, 0o644);
    shell(&mount, BOBS, "mkdir $T; echo m > $T/dev/variables/mine; echo x > $T/dev/variables/theirs");
    let said = fails(&mount, BOBS, "mv $T .keyfs/commit");
    assert!(said.contains("Permission denied"), "{said}");
    let why = shell(&mount, BOBS, "cat $T/.error");
    assert!(why.starts_with("dev/variables/theirs: permission denied: "), "{why}");
    assert_eq!(errno(std::fs::metadata(mount.path("dev/variables/mine"))), libc::ENOENT);
    assert_eq!(mount.get("dev/variables/theirs"), b"1");
    shell(&mount, BOBS, "rm $T/dev/variables/theirs; mv $T .keyfs/commit; cat dev/variables/mine");
    // What somebody else made meanwhile is in the way, and is not overwritten.
    shell(&mount, BOBS, "mkdir $T; echo m > $T/dev/variables/late");
    mount.put("dev/variables/late", "first");
    let said = fails(&mount, BOBS, "mv $T .keyfs/commit");
    assert!(said.contains("Operation canceled"), "{said}");
    assert_eq!(shell(&mount, BOBS, "cat $T/.error"), "dev/variables/late: an entry of that name exists\n");
    assert_eq!(mount.get("dev/variables/late"), b"first");
    let said = fails(&mount, BOBS, "echo x > $T/.error");
    assert!(said.contains("Permission denied"), "{said}");
}

fn it_is_its_users_alone() {
    let mount = Mount::new();
    shell(&mount, ALICES, "mkdir $T; echo a > $T/dev/variables/a; echo s > $T/dev/secrets/s");
    for script in [
        "ls $T",
        "cat $T/dev/variables/a",
        "echo b > $T/dev/variables/b",
        "mv $T .keyfs/commit",
        "mv $T .keyfs/transactions/u",
        "rm -r $T",
        "rmdir $T",
        "mkdir $T",
    ] {
        fails(&mount, BOBS, script);
    }
    assert_eq!(shell(&mount, BOBS, "ls .keyfs/transactions"), "");
    // Root neither stages nor reads there, nor commits it; it may take it away.
    for script in [
        "cat $T/dev/variables/a",
        "cat $T/dev/secrets/s",
        "echo b > $T/dev/variables/b",
        "mv $T .keyfs/commit",
        "chmod 777 $T",
    ] {
        fails(&mount, ROOT, script);
    }
    assert_eq!(shell(&mount, ROOT, "ls .keyfs/transactions"), "t\n");
    shell(&mount, ALICES, "test ! -e dev/variables/a; cat $T/dev/variables/a $T/dev/secrets/s");
    shell(&mount, ROOT, "rm -r $T; test ! -e $T");
}

fn the_gate_stands_before_a_staged_secret() {
    let mount = Mount::new();
    shell(
        &mount,
        ALICES,
        "mkdir $T; umask 077; echo s3cret > $T/dev/secrets/key; chgrp 20101 $T/dev/secrets/key; chmod 640 $T/dev/secrets/key",
    );
    assert_eq!(shell(&mount, ALICES, "cat $T/dev/secrets/key"), "s3cret\n");
    // The same user without the group.
    let outside = User(ALICE, ALICE, &[OPS]);
    let said = fails(&mount, outside, "cat $T/dev/secrets/key");
    assert!(said.contains("Permission denied"), "{said}");
    let last = mount.audit().pop().expect("a record");
    assert_eq!(
        (last["event"].as_str(), last["env"].as_str(), last["key"].as_str()),
        (Some("denied"), Some("dev"), Some("key"))
    );
    // It can't be mapped or spliced, where anybody with a descriptor would find it.
    let program = r#"
import mmap, os, sys
handle = os.open(sys.argv[1], os.O_RDONLY)
assert os.read(handle, 100) == b"s3cret\n"
os.lseek(handle, 0, 0)
there, here = os.pipe()
try: print("spliced", os.splice(handle, here, 100))
except OSError as error: print(error.errno)
try: os.sendfile(here, handle, 0, 100); print("sent")
except OSError as error: print(error.errno)
child = os.fork()
if child == 0:
    print(mmap.mmap(handle, 7, mmap.MAP_PRIVATE, mmap.PROT_READ)[:], flush=True)
    os._exit(0)
print("mapped", os.waitpid(child, 0)[1] & 0x7f)
"#;
    let path = mount.path(STAGED).join("dev/secrets/key");
    let output = ALICES.python(program, &[path.to_str().unwrap()]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        shown,
        format!("{0}\n{0}\nmapped {1}\n", libc::EINVAL, libc::SIGBUS),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn permissions_are_staged_with_the_value() {
    let mount = Mount::new();
    // setgid and a default ACL say of a staged entry what they say of any.
    mount.mkdir("dev/secrets/team");
    mount.own("dev/secrets/team", ALICE, PAYMENTS, 0o2770);
    run(Command::new("setfacl").args(["-d", "-m", "g:20102:r"]).arg(mount.path("dev/secrets/team")));
    shell(
        &mount,
        ALICES,
        "mkdir -p $T $T/dev/secrets/team; echo 1 > $T/dev/secrets/team/staged; echo 1 > dev/secrets/team/made",
    );
    let acl = |path: &str| {
        let shown = shell(&mount, ALICES, &format!("getfacl -n {path}"));
        shown.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(acl("$T/dev/secrets/team/staged"), acl("dev/secrets/team/made"));
    shell(&mount, ALICES, "setfattr -n user.keyfs.groups -v 20101:rw,20103:r $T/dev/secrets/team/staged");
    shell(&mount, ALICES, "setfattr -n user.note -v hello $T/dev/secrets/team/staged");
    shell(&mount, ALICES, "setfattr -n user.keyfs.expires -v 2099-01-01T00:00:00Z $T/dev/secrets/team/staged");
    let staged = acl("$T/dev/secrets/team/staged");
    let why = shell(&mount, ALICES, "getfattr --only-values -n system.keyfs.why $T/dev/secrets/team/staged");
    assert!(why.starts_with("read: yes, group 20101"), "{why}");
    shell(&mount, ALICES, "mv $T .keyfs/commit/");
    assert_eq!(acl("dev/secrets/team/staged"), staged);
    let attributes = shell(&mount, ALICES, "getfattr -d dev/secrets/team/staged");
    assert!(
        attributes.contains("user.note=\"hello\"") && attributes.contains("user.keyfs.expires=\"2099-"),
        "{attributes}"
    );
    // Of an entry that exists, its own are kept.
    shell(&mount, ALICES, "mkdir -p $T $T/dev/secrets/team; echo 2 > $T/dev/secrets/team/staged; mv $T .keyfs/commit/");
    assert_eq!(acl("dev/secrets/team/staged"), staged);
    // Who may write a key stages its value, also where they may not write its directory.
    mount.mkdir("dev/variables/fixed");
    mount.put("dev/variables/fixed/k", "1");
    mount.own("dev/variables/fixed/k", ALICE, ANALYSTS, 0o660);
    shell(&mount, BOBS, "mkdir $T; mkdir $T/dev/variables/fixed; echo 2 > $T/dev/variables/fixed/k");
    shell(
        &mount,
        BOBS,
        "setfattr -n user.keyfs.groups -v 20103:rw,20102:r $T/dev/variables/fixed/k; mv $T .keyfs/commit/",
    );
    assert_eq!(shell(&mount, BOBS, "cat dev/variables/fixed/k"), "2\n");
    assert!(acl("dev/variables/fixed/k").contains(&"group:20102:r--".to_owned()));
    shell(&mount, BOBS, "mkdir $T; mkdir $T/dev/variables/fixed; echo 2 > $T/dev/variables/fixed/new");
    let said = fails(&mount, BOBS, "mv $T .keyfs/commit/");
    assert!(said.contains("Permission denied"), "{said}");
    shell(&mount, BOBS, "rm -r $T");
    // A directory that is there is changed in place, and one that somebody may not search is not looked into.
    mount.mkdir("dev/variables/closed");
    mount.own("dev/variables/closed", ALICE, ALICE, 0o700);
    shell(&mount, BOBS, "mkdir $T; mkdir $T/dev/variables/closed $T/dev/variables/fixed");
    for script in
        ["echo 1 > $T/dev/variables/closed/k", "mkdir $T/dev/variables/closed/d", "chmod 777 $T/dev/variables/fixed"]
    {
        let said = fails(&mount, BOBS, script);
        assert!(said.contains("Permission denied") || said.contains("Operation canceled"), "{said}");
    }
}

fn removals_are_staged() {
    let mount = Mount::new();
    shell(&mount, ALICES, "mkdir -p dev/variables/a/b; for k in a/k a/b/k a/b/l; do echo 1 > dev/variables/$k; done");
    shell(&mount, ALICES, "mkdir $T; mkdir -p $T/dev/variables/a/b; cd $T/dev/variables; touch a/k a/b/k a/b/l
        for e in a/k a/b/k a/b/l a/b a; do setfattr -n user.keyfs.remove -v 1 $e; done; cat a/k 2>/dev/null && exit 1; true");
    assert_eq!(shell(&mount, ALICES, "cat dev/variables/a/b/k"), "1\n");
    assert_eq!(shell(&mount, ALICES, "getfattr --only-values -n user.keyfs.remove $T/dev/variables/a/k"), "1");
    shell(&mount, ALICES, "mv $T .keyfs/commit/; test ! -e dev/variables/a; cat .keyfs/history/dev/variables/a/b/k/1");
    // Somebody else's entry isn't removed, although the directory is everybody's.
    shell(&mount, ALICES, "echo 1 > dev/variables/hers");
    shell(&mount, BOBS, "mkdir $T; : >> $T/dev/variables/hers");
    let said = fails(&mount, BOBS, "setfattr -n user.keyfs.remove -v 1 $T/dev/variables/hers && mv $T .keyfs/commit");
    assert!(said.contains("Permission denied") || said.contains("not permitted"), "{said}");
    assert_eq!(shell(&mount, ALICES, "cat dev/variables/hers"), "1\n");
}

fn programs_that_write_files_stage_them() {
    let mount = Mount::new();
    shell(&mount, ALICES, "mkdir $T; mkdir $T/dev/variables/app");
    let home = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
    let from = home.path().display().to_string();
    shell(
        &mount,
        ALICES,
        &format!(
            "mkdir -p {from}/x/y; echo one > {from}/x/one; printf two > {from}/x/y/two; : > {from}/x/empty
        cp -r {from}/x $T/dev/variables/app/; cp {from}/x/one $T/dev/secrets/copied
        sed -i s/one/ONE/ $T/dev/variables/app/x/one; echo more >> $T/dev/variables/app/x/one
        mv $T/dev/variables/app/x/y/two $T/dev/variables/app/x/moved
        python3 -c \"open('$T/dev/variables/app/py', 'w').write('p' * 100000)\"
        rm $T/dev/variables/app/x/empty; find $T -type f | sort | wc -l"
        ),
    );
    let listed = shell(&mount, ALICES, "mv $T .keyfs/commit/; cd dev; find . -type f | sort");
    assert_eq!(listed, "./secrets/copied\n./variables/app/py\n./variables/app/x/moved\n./variables/app/x/one\n");
    assert_eq!(
        shell(&mount, ALICES, "cat dev/variables/app/x/one dev/variables/app/x/moved; stat -c %s dev/variables/app/py"),
        "ONE\nmore\ntwo100000\n"
    );
    // A value that is there is not taken for empty.
    shell(&mount, ALICES, "mkdir -p $T $T/dev/variables/app/x; touch $T/dev/variables/app/x/one");
    let said = fails(&mount, ALICES, "cat $T/dev/variables/app/x/one");
    assert!(said.contains("No data available"), "{said}");
    shell(&mount, ALICES, "echo end >> $T/dev/variables/app/x/one; mv $T .keyfs/commit/");
    assert_eq!(shell(&mount, ALICES, "cat dev/variables/app/x/one"), "ONE\nmore\nend\n");
    // Who has just made it takes it for empty, however it was made.
    let program = r#"
import os, sys
os.chdir(sys.argv[1])
T = ".keyfs/transactions/t/dev/variables/"
W, C, E, R, A = os.O_WRONLY, os.O_CREAT, os.O_EXCL, os.O_RDWR, os.O_APPEND
for flags, staged in [(W | C, b"xy"), (W | C | E, b"xy"), (R | C | E, b"xy"), (W | C | A, b"oldxy"), (W | C | E | A, b"xy"), (W | C | E, b"")]:
    open("dev/variables/over", "wb").write(b"old")
    os.mkdir(".keyfs/transactions/t")
    handle = os.open(T + "over", flags, 0o600)
    if staged: assert os.write(handle, b"x") == 1 and os.write(handle, b"y") == 1
    if flags & R: assert os.pread(handle, 9, 0) == b"xy"
    os.close(handle)
    os.rename(".keyfs/transactions/t", ".keyfs/commit/t")
    assert open("dev/variables/over", "rb").read() == staged, (flags, staged, open("dev/variables/over", "rb").read())
open("dev/variables/over", "wb").write(b"old")
os.mkdir(".keyfs/transactions/t")
handle = os.open(T + "over", W | C, 0o600)
os.ftruncate(handle, 2), os.close(handle)
os.rename(".keyfs/transactions/t", ".keyfs/commit/t")
assert open("dev/variables/over", "rb").read() == b"\0\0"
print("fine")
"#;
    let output = ALICES.python(program, &[mount.root().to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "fine\n", "{}", String::from_utf8_lossy(&output.stderr));
    shell(
        &mount,
        ALICES,
        &format!("mkdir $T; cp {from}/x/one $T/dev/variables/over; mv $T .keyfs/commit; cat dev/variables/over"),
    );
    // Between what is staged and what is there, names don't move.
    shell(&mount, ALICES, "mkdir $T; echo 1 > $T/dev/variables/k");
    let program = r#"
import errno, os, sys
os.chdir(sys.argv[1])
for pair in [("{0}/dev/variables/k", "dev/variables/k"), ("dev/variables/app/py", "{0}/dev/variables/py"),
             ("{0}/dev/variables/k", "{0}/dev/secrets/k"), ("{0}/dev", "dev"), ("{0}", "dev/variables/t"), ("dev", ".keyfs/commit/dev")]:
    try: os.rename(*(path.format(".keyfs/transactions/t") for path in pair)); print("moved")
    except OSError as error: print(errno.errorcode[error.errno])
"#;
    let output = ALICES.python(program, &[mount.root().to_str().unwrap()]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!shown.contains("moved") && shown.starts_with("EXDEV\nEXDEV\nEXDEV\n"), "{shown}");
}

fn one_environment_has_its_own() {
    let mount = Mount::with(&["--env", "dev"]);
    shell(
        &mount,
        ALICES,
        "mkdir $T; ls $T; echo 1 > $T/variables/k; echo 2 > $T/secrets/k; mv $T .keyfs/commit; cat variables/k secrets/k",
    );
    // What is staged there has its whole name in the audit log.
    shell(&mount, ALICES, "mkdir $T; mkdir $T/secrets/db; echo 1 > $T/secrets/db/key; cat $T/secrets/db/key; rm -r $T");
    let last = mount.audit().into_iter().rfind(|line| line["event"] == "granted").expect("a record");
    assert_eq!((last["env"].as_str(), last["key"].as_str()), (Some("dev"), Some("db/key")));
    shell(&mount, ALICES, "mkdir $T; echo 1 > $T/variables/k2");
    mount.put("variables/k2", "0");
    fails(&mount, ALICES, "mv $T .keyfs/commit");
    assert_eq!(shell(&mount, ALICES, "cat $T/.error"), "variables/k2: an entry of that name exists\n");
}

fn it_can_be_dropped() {
    let mount = Mount::new();
    shell(&mount, ALICES, "mkdir $T; rmdir $T; mkdir $T; echo 1 > $T/dev/variables/k");
    let said = fails(&mount, ALICES, "rmdir $T");
    assert!(said.contains("not empty"), "{said}");
    shell(&mount, ALICES, "rm -r $T; test ! -e $T; test ! -e dev/variables/k");
    let said = fails(&mount, ALICES, "i=0; while [ $i -lt 17 ]; do mkdir .keyfs/transactions/$i; i=$((i+1)); done");
    assert!(said.contains("quota"), "{said}");
    for name in ["..", "a/b"] {
        assert!(std::fs::create_dir(mount.path(".keyfs/transactions").join(name)).is_err());
    }
    // Nothing else is made there.
    for script in
        ["echo x > .keyfs/transactions/file", "mkdir .keyfs/commit/t", "echo x > .keyfs/commit/f", "mkdir .keyfs/other"]
    {
        fails(&mount, ROOT, script);
    }
}

fn what_was_staged_is_gone_with_the_daemon() {
    let mut mount = Mount::new();
    shell(&mount, ALICES, "mkdir $T; echo canary-of-a-staged-secret > $T/dev/secrets/k; echo 1 > $T/dev/variables/k");
    mount.restart();
    assert_eq!(
        shell(&mount, ROOT, "ls .keyfs/transactions dev/variables dev/secrets"),
        ".keyfs/transactions:\n\ndev/secrets:\n\ndev/variables:\n"
    );
    for file in [mount.store(), mount.log()] {
        let bytes = std::fs::read(&file).expect("a file");
        assert!(!bytes.windows(6).any(|window| window == b"canary"), "{}", file.display());
    }
}

fn ten_thousand_keys_are_one_step() {
    let mount = Mount::new();
    let program = r#"
import os, sys
os.chdir(sys.argv[1])
os.mkdir(".keyfs/transactions/t")
for tree in "variables", "secrets":
    base = f".keyfs/transactions/t/dev/{tree}/many"
    os.mkdir(base)
    for number in range(5000):
        with open(f"{base}/{number}", "w") as file: file.write(str(number))
os.rename(".keyfs/transactions/t", ".keyfs/commit/t")
for tree in "variables", "secrets":
    assert len(os.listdir(f"dev/{tree}/many")) == 5000
    assert open(f"dev/{tree}/many/4321").read() == "4321"
print("fine")
"#;
    let output = ROOT.python(program, &[mount.root().to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "fine\n", "{}", String::from_utf8_lossy(&output.stderr));
}

fn a_superuser_without_its_capabilities_is_a_user() {
    let mount = Mount::new();
    mount.put("dev/variables/theirs", "1");
    mount.own("dev/variables/theirs", ALICE, ALICE, 0o644);
    let script = "mkdir -p $T; echo 2 > $T/dev/variables/theirs; mv $T .keyfs/commit/";
    let script = format!("cd {} && set -e; T={STAGED}; {script}", mount.root().display());
    let bare = ["--bounding-set=-all", "--inh-caps=-all", "--clear-groups", "sh", "-c", &script];
    let output = Command::new("setpriv").args(bare).output().expect("setpriv");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("Permission denied"), "{said}");
    assert_eq!(mount.get("dev/variables/theirs"), b"1");
    shell(&mount, ROOT, "mv $T .keyfs/commit/");
    assert_eq!(mount.get("dev/variables/theirs"), b"2\n");
}

fn listings_and_attributes_that_were_kept_are_told_anew() {
    let mount = Mount::new();
    let program = r#"
import os, sys
os.chdir(sys.argv[1])
kept = "dev/variables/d"
os.mkdir(kept)
for name in "abcdefgh": open(f"{kept}/{name}", "w").write("1")
held = os.open(kept, os.O_RDONLY | os.O_DIRECTORY)
for number in range(50):
    # The kernel keeps the listing from the second time on, and knows nothing of the names in it.
    before = set(os.listdir(kept)); assert set(os.listdir(kept)) == before == set(os.listdir(held))
    was = os.stat(kept)
    base = ".keyfs/transactions/t"
    os.mkdir(base), os.mkdir(f"{base}/{kept}")
    os.mkdir(f"{base}/{kept}/sub{number}")
    open(f"{base}/{kept}/new{number}", "w").close()
    os.rename(base, ".keyfs/commit/t")
    now, after = os.stat(kept), before | {f"sub{number}", f"new{number}"}
    assert now.st_nlink == was.st_nlink + 1 and now.st_mtime_ns > was.st_mtime_ns, (number, was, now)
    assert set(os.listdir(kept)) == after, (number, before, os.listdir(kept))
    assert set(os.listdir(held)) == after, (number, before, os.listdir(held))
    os.mkdir(base), os.mkdir(f"{base}/{kept}")
    for path in f"{base}/{kept}/sub{number}", f"{base}/{kept}/new{number}":
        (os.mkdir if "sub" in path else lambda path: open(path, "w").close())(path)
        os.setxattr(path, "user.keyfs.remove", b"1")
    os.rename(base, ".keyfs/commit/t")
    assert set(os.listdir(kept)) == before == set(os.listdir(held)), (number, before, os.listdir(kept))
    assert os.stat(kept).st_nlink == was.st_nlink
print("fine")
"#;
    let output = ROOT.python(program, &[mount.root().to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "fine\n", "{}", String::from_utf8_lossy(&output.stderr));
}

/// Somebody who lists a directory into memory that doesn't come keeps its lock for as long as he likes.
fn a_directory_that_is_held_holds_up_no_other() {
    let (mount, slow) = (Mount::new(), Mount::new());
    slow.put("dev/variables/page", vec![b'x'; 1 << 16]);
    for name in ["held", "free"] {
        mount.mkdir(&format!("dev/variables/{name}"));
        mount.put(&format!("dev/variables/{name}/k"), "1");
    }
    let program = r#"
import ctypes, mmap, os, sys
page = os.open(sys.argv[1], os.O_RDONLY)
memory = mmap.mmap(page, 1 << 16, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
place = ctypes.addressof(ctypes.c_char.from_buffer(memory))
directory = os.open(sys.argv[2], os.O_RDONLY | os.O_DIRECTORY)
print("ready", flush=True)
sys.stdin.readline()
ctypes.CDLL(None).syscall(217, directory, ctypes.c_void_p(place), 1 << 16)
"#;
    let signal = |name: &str| run(Command::new("kill").args(["-s", name, &slow.pid().to_string()]));
    let paths = [slow.path("dev/variables/page"), mount.path("dev/variables/held")];
    let mut holder = BOBS.python_command(program, &paths.each_ref().map(|path| path.to_str().unwrap()));
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    let mut ready = String::new();
    BufReader::new(holder.stdout.take().expect("a pipe")).read_line(&mut ready).expect("a line");
    assert_eq!(ready, "ready\n");
    signal("STOP");
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        writeln!(holder.stdin.take().expect("a pipe")).expect("it listens");
        let lists = || std::fs::read_to_string(format!("/proc/{}/syscall", holder.id())).unwrap_or_default();
        wait_for("the directory to be held", || lists().starts_with("217 "));
        let commit = |name: &str, number: u32| {
            let path = format!("dev/variables/{name}/new{number}");
            shell(&mount, ROOT, &format!("test ! -e {path}; mkdir $T $T/dev/variables/{name}; echo 1 > $T/{path}"));
            let begun = Instant::now();
            shell(&mount, ROOT, "mv $T .keyfs/commit/");
            (begun.elapsed(), mount.path(&path).exists())
        };
        // What this waits for in vain is nobody else's.
        commit("held", 0);
        for number in 1..4 {
            let (took, there) = commit("free", number);
            assert!(there && took < Duration::from_millis(900), "commit {number} took {took:?}: {there}");
        }
    }));
    signal("CONT");
    let _ = holder.wait();
    told.unwrap_or_else(|failure| std::panic::resume_unwind(failure));
    wait_for("the name to be told", || mount.path("dev/variables/held/new0").exists());
}
