//! Copies of whole trees, in and out and within: cp and rsync, with values, modes, owners, times, ACLs and notes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::alike::{program, reference};
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, PAYMENTS, ROOT, User, run};
use crate::service::{directory_of, said};
use crate::{Case, Tool};

pub const TOOLS: &[Tool] = &[("rsync", "rsync"), ("cp", "coreutils"), ("setfacl", "acl"), ("setfattr", "attr")];

pub const CASES: &[Case] = &[
    ("cp_in_out_and_within", cp_in_out_and_within),
    ("rsync_in_and_out", rsync_in_and_out),
    ("rsync_updates_and_deletes", rsync_updates_and_deletes),
    ("into_secrets_other_is_dropped", into_secrets_other_is_dropped),
    ("a_user_entry_does_not_come_into_secrets", a_user_entry_does_not_come_into_secrets),
    ("what_no_key_can_be_is_left_out", what_no_key_can_be_is_left_out),
    ("an_expiry_is_copied", an_expiry_is_copied),
    ("a_backup_takes_what_its_groups_read", a_backup_takes_what_its_groups_read),
];

/// A tree to copy, made in `outside/from`, and how a tree is shown. Nobody else has a part in it, as in the secrets.
pub const FROM: &str = r#"
os.umask(0o027)
outside = sys.argv[1]
def shown(top):
    found = []
    for path, directories, files in os.walk(top):
        directories.sort()
        for name in [".", *sorted(files)]:
            file = os.path.join(path, name)
            status = os.stat(file)
            acl = sh(f"getfacl -cnp {file}")[1].split()
            notes = [(name, os.getxattr(file, name)) for name in sorted(os.listxattr(file)) if name.startswith("user.")]
            value = (status.st_size, get(file)[:8]) if name != "." else None
            found.append((os.path.relpath(file, top), permissions(file), status.st_mtime_ns, acl, notes, value))
    return found
def make(top):
    os.makedirs(f"{top}/db/primary")
    os.makedirs(f"{top}/empty")
    for name, value in (("db/host", b"localhost\n"), ("db/primary/password", b"s3cret"), ("none", b""), ("large", bytes(range(256)) * 2000)):
        put(f"{top}/{name}", value)
    os.chmod(f"{top}/db/primary/password", 0o600)
    # Whoever runs this reads it all, by its group.
    os.chown(f"{top}/db/host", ALICE, 0)
    os.chown(f"{top}/empty", BOB, PAYMENTS)
    os.chmod(f"{top}/large", 0o460)
    sh(f"setfacl -m g:{ANALYSTS}:r {top}/db/host")
    sh(f"setfacl -d -m g:{OPS}:rx {top}/db/primary")
    os.setxattr(f"{top}/db/host", "user.note", b"of the primary")
    for number, name in enumerate(("db/host", "db/primary/password", "none", "large", "db/primary", "db", "empty", ".")):
        os.utime(f"{top}/{name}", ns=(10**18, 10**18 + number * 1000000007))
"#;

/// Runs a program in variables, in secrets and in a directory outside the mount, each with a directory `outside` for the
/// other end: all alike. What it shows of the last.
#[track_caller]
pub fn across(text: &str) -> String {
    let mount = Mount::new();
    let text = format!("{FROM}{text}");
    let end = |name: &str| reference(&mount, name).to_str().expect("a path of text").to_owned();
    let expected = program(&reference(&mount, "reference"), &text, &[&end("end")]);
    for tree in ["variables", "secrets"] {
        let below = format!("dev/{tree}/across");
        mount.mkdir(&below);
        let found = program(&mount.path(&below), &text, &[&end(tree)]);
        let differs = expected.lines().zip(found.lines()).find(|(expected, found)| expected != found);
        assert_eq!(expected, found, "in {tree} it is not as on the machine's own file system: {differs:?}");
    }
    expected
}

fn cp_in_out_and_within() {
    across(
        r#"
make(f"{outside}/from")
expected = shown(f"{outside}/from")
def copied(label, command, top, same=True):
    expect(label, (0, ""), sh, command)
    if same:
        expect(f"{label}: the same", True, lambda: shown(top) == expected)
    show(f"{label}: the copy", lambda: [entry[:2] + entry[3:] for entry in shown(top)])
copied("in", f"cp -a {outside}/from in", "in")
copied("within", "cp -a in within", "within")
copied("out", f"cp -a within {outside}/out", f"{outside}/out")
copied("in, plain", f"cp -r {outside}/from plain", "plain", same=False)
copied("within, plain", "cp -r in plain-within", "plain-within", same=False)
copied("out, plain", f"cp -r in {outside}/plain", f"{outside}/plain", same=False)
copied("over it", f"cp -a {outside}/from/. plain", "plain")
copied("moved in", f"cp -a {outside}/from {outside}/moving && mv {outside}/moving moved", "moved")
copied("moved out", f"mv moved {outside}/moved", f"{outside}/moved")
put("in/none", b"newer")
expect("only what is newer", (0, ""), sh, f"cp -au {outside}/from/. in")
expect("kept", b"newer", get, "in/none")
show("parents", lambda: sh("mkdir parents && cp --parents in/db/host parents && find parents"))
show("one by one", lambda: sh("mkdir flat && cp in/db/host in/large flat && ls flat && install -m 640 in/db/host flat/third && cat flat/third"))
show("attributes alone", lambda: (sh("cp --attributes-only -p in/db/primary/password flat/empty"), size("flat/empty"), mode("flat/empty")))
show("by clones", sh, "cp --reflink=auto --sparse=always in/large flat/clone && cmp in/large flat/clone && echo same")
"#,
    );
}

fn rsync_in_and_out() {
    across(
        r#"
make(f"{outside}/from")
expected = shown(f"{outside}/from")
def synchronised(label, source, target, options="-aAX"):
    expect(label, (0, ""), sh, f"rsync {options} {source}/ {target}/")
    expect(f"{label}: the same", True, lambda: shown(target) == expected)
    expect(f"{label}: nothing more to do", (0, ""), sh, f"rsync -i {options} {source}/ {target}/")
    expect(f"{label}: by the values", (0, ""), sh, f"rsync -i --checksum {options} {source}/ {target}/")
synchronised("in", f"{outside}/from", "in")
synchronised("within", "in", "within")
synchronised("out", "within", f"{outside}/out")
synchronised("in place", f"{outside}/from", "in-place", "-aAX --inplace")
synchronised("whole files", f"{outside}/from", "whole", "-aAX --whole-file --fsync")
synchronised("late", f"{outside}/from", "late", "-aAX --delay-updates")
expect("times alone", (0, ""), sh, f"rsync -rt {outside}/from/ rt/")
show("new permissions", lambda: [entry[:3] for entry in shown("rt")])
"#,
    );
}

fn rsync_updates_and_deletes() {
    across(
        r#"
make(f"{outside}/from")
show("at first", sh, f"rsync -a {outside}/from/ to/")
put(f"{outside}/from/large", bytes(range(256)) * 2000 + b"tail")
put(f"{outside}/from/added", b"added")
os.chmod(f"{outside}/from/none", 0o600)
os.unlink(f"{outside}/from/db/host")
os.utime(f"{outside}/from/large", ns=(10**18, 2 * 10**18)), os.utime(f"{outside}/from/added", ns=(10**18, 10**18))
show("what would be done", sh, f"rsync -ain --delete --omit-dir-times {outside}/from/ to/")
expect("nothing was", True, lambda: os.path.exists("to/db/host") and not os.path.exists("to/added"))
show("done", sh, f"rsync -ai --no-whole-file --delete --omit-dir-times {outside}/from/ to/")
expect("the large one", bytes(range(256)) * 2000 + b"tail", get, "to/large")
expect("one gone", False, os.path.exists, "to/db/host")
show("all", lambda: [entry[:2] + entry[4:] for entry in shown("to")])
# What was changed here is not lost where it is asked to be kept.
put("to/added", b"changed here")
show("update", sh, f"rsync -aiu --omit-dir-times {outside}/from/ to/")
expect("newer here", b"changed here", get, "to/added")
show("backups", sh, f"rsync -ab --suffix=.old {outside}/from/ to/ && cat to/added to/added.old")
show("some", sh, f"rsync -a --exclude=/db --include='*' {outside}/from/ some/ && ls -A some")
show("removed at the source", sh, f"rsync -a --remove-source-files to/ {outside}/taken/ && find to -type f && ls {outside}/taken")
expect("nothing temporary", True, lambda: not [name for _, _, files in os.walk(".") for name in files if name.startswith(".")])
"#,
    );
}

fn modes(place: &Path) -> String {
    run(Command::new("sh").args(["-c", "cd \"$0\" && find . -type f -printf '%P %m\\n' | sort"]).arg(place))
}

/// A directory outside the mount with files in it that everybody may read.
fn open_to_all(mount: &Mount) -> PathBuf {
    let source = reference(mount, "source");
    run(Command::new("sh").current_dir(&source).args([
        "-c",
        "umask 022; echo 1 > one; echo 2 > two; chmod 666 two; echo 3 > three; chmod 755 three; touch -d 2020-01-01 *",
    ]));
    source
}

fn into_secrets_other_is_dropped() {
    let mount = Mount::new();
    let source = open_to_all(&mount);
    for (number, copy) in
        ["cp -a \"$0\" \"$1\"", "cp -r \"$0\" \"$1\"", "rsync -a \"$0/\" \"$1/\"", "mkdir \"$1\" && cp \"$0\"/* \"$1\""]
            .iter()
            .enumerate()
    {
        let script = format!("umask 022; {copy}");
        let copied = |tree: &str| {
            let target = mount.path(&format!("dev/{tree}/{number}"));
            let output = Command::new("sh").args(["-c", &script]).arg(&source).arg(&target).output().expect("sh");
            assert!(output.status.success() && said(&output).is_empty(), "{copy}: {}", said(&output));
            target
        };
        let variables = modes(&copied("variables"));
        let secrets = modes(&copied("secrets"));
        if number == 0 || number == 2 {
            assert_eq!(variables, "one 644\nthree 755\ntwo 666\n", "{copy}");
        }
        let without_other: String =
            variables.lines().map(|line| format!("{}0\n", line.get(..line.len() - 1).expect("a mode"))).collect();
        assert_eq!(secrets, without_other, "{copy}");
    }
    // The values and times are there, so that a second run copies nothing; it would give the bits again.
    let again =
        Command::new("rsync").arg("-ai").arg(source.join("")).arg(mount.path("dev/secrets/2/")).output().unwrap();
    assert_eq!(said(&again), ".f...p..... one\n.f...p..... three\n.f...p..... two\n");
    assert_eq!(modes(&mount.path("dev/secrets/2")), "one 640\nthree 750\ntwo 660\n");
}

fn a_user_entry_does_not_come_into_secrets() {
    let mount = Mount::new();
    let source = reference(&mount, "source");
    std::fs::write(source.join("k"), "value").unwrap();
    run(Command::new("setfacl").args(["-m", &format!("u:{ALICE}:r")]).arg(source.join("k")));
    for (copy, said_by) in [("cp -a", "preserving permissions"), ("rsync -aA", "set_acl")] {
        let command = |target: &Path| {
            let script = format!("{copy} \"$0/\" \"$1/\"");
            Command::new("sh").args(["-c", &script]).arg(&source).arg(target).env("LC_ALL", "C").output().expect("sh")
        };
        let name = copy.split(' ').next().unwrap();
        assert!(command(&mount.path(&format!("dev/variables/{name}"))).status.success());
        let output = command(&mount.path(&format!("dev/secrets/{name}")));
        let said = said(&output);
        assert!(!output.status.success() && said.contains(said_by) && said.contains("Invalid argument"), "{said}");
        let alice = User(ALICE, ALICE, &[]);
        for key in std::fs::read_dir(mount.path(&format!("dev/secrets/{name}"))).unwrap() {
            alice.is_refused(&key.unwrap().path(), "Permission denied");
        }
    }
}

fn what_no_key_can_be_is_left_out() {
    let mount = Mount::new();
    let source = reference(&mount, "source");
    run(Command::new("sh")
        .current_dir(&source)
        .args(["-c", "echo 1 > k; ln -s k link; mkfifo pipe; mkdir d; echo 2 > d/k"]));
    for (number, copy) in
        ["cp -a \"$0\" \"$1\"", "rsync -a \"$0/\" \"$1/\"", "mkdir \"$1\"; tar -C \"$0\" -c . | tar -C \"$1\" -x"]
            .iter()
            .enumerate()
    {
        let target = mount.path(&format!("dev/variables/{number}"));
        let output =
            Command::new("sh").args(["-c", copy]).arg(&source).arg(&target).env("LC_ALL", "C").output().unwrap();
        let said = said(&output);
        assert!(!output.status.success() && said.contains("Operation not permitted"), "{copy}: {said}");
        assert!(said.contains("link") && said.contains("pipe"), "{copy}: {said}");
        let names = run(Command::new("sh").arg("-c").arg("cd \"$0\" && find . | sort").arg(&target));
        assert_eq!(names, ".\n./d\n./d/k\n./k\n", "{copy}");
    }
    // What a link points to is copied where that is asked for.
    let target = mount.path("dev/variables/followed");
    run(Command::new("rsync").arg("-aL").arg("--exclude=pipe").arg(source.join("")).arg(&target));
    assert_eq!(mount.get("dev/variables/followed/link"), b"1\n");
}

fn an_expiry_is_copied() {
    let mount = Mount::new();
    let outside = reference(&mount, "outside");
    mount.put("dev/variables/token", "t");
    let expires = "2020-01-01T00:00:00Z";
    run(Command::new("setfattr").args(["-n", "user.note", "-v", "n"]).arg(mount.path("dev/variables/token")));
    // Past it nobody reads it, so it is given after the value was copied.
    mount.put("dev/variables/later", "t");
    let later = "2100-01-01T00:00:00Z";
    for (key, expires) in [("token", expires), ("later", later)] {
        let path = mount.path(&format!("dev/variables/{key}"));
        run(Command::new("setfattr").args(["-n", "user.keyfs.expires", "-v", expires]).arg(path));
    }
    let expiry = |path: &Path| {
        let attribute = ["-n", "user.keyfs.expires", "--only-values", "--absolute-names"];
        run(Command::new("getfattr").args(attribute).arg(path))
    };
    for copy in [&["cp", "-a"][..], &["rsync", "-aX"]] {
        let (kept, back) = (outside.join(copy[0]), mount.path(&format!("dev/variables/{}", copy[0])));
        let run_copy = |from: &Path, to: &Path| {
            Command::new(copy[0]).args(&copy[1..]).arg(from).arg(to).env("LC_ALL", "C").output().expect("a copy")
        };
        assert!(run_copy(&mount.path("dev/variables/later"), &kept).status.success());
        assert_eq!(expiry(&kept), later);
        assert!(run_copy(&kept, &back).status.success());
        assert_eq!(expiry(&back), later);
        let refused = run_copy(&mount.path("dev/variables/token"), &outside.join("none"));
        assert!(!refused.status.success() && said(&refused).contains("Key has expired"), "{}", said(&refused));
    }
}

fn a_backup_takes_what_its_groups_read() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put("prod/secrets/db/password", "s3cret");
    mount.own("prod/secrets/db/password", 0, PAYMENTS, 0o640);
    mount.put("prod/secrets/host", "localhost");
    mount.own("prod/secrets/host", 0, ANALYSTS, 0o640);
    run(Command::new("setfacl").args(["-m", &format!("g:{PAYMENTS}:r")]).arg(mount.path("prod/secrets/host")));
    let source = mount.path("prod/secrets/");
    let secrets = |user: User<'_>, name: &str, copy: &[&str]| {
        let target = directory_of(user, mount.home().join(format!("{name}-{}-{}", copy[0], user.0))).join("out");
        let mut command = user.command(copy[0]);
        command.args(&copy[1..]).arg(source.join("")).arg(&target).env("LC_ALL", "C");
        let output = command.output().expect("a copy");
        let found = |name: &str| std::fs::read_to_string(target.join(name)).unwrap_or_default();
        (output, [found("db/password"), found("host")])
    };
    for copy in [&["rsync", "-a"][..], &["cp", "-r"]] {
        let (output, found) = secrets(User(ALICE, ALICE, &[PAYMENTS]), "member", copy);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(found, ["s3cret", "localhost"]);
        for (user, name, readable) in
            [(ROOT, "root", ["", ""]), (User(BOB, BOB, &[ANALYSTS]), "analyst", ["", "localhost"])]
        {
            let (output, found) = secrets(user, name, copy);
            assert!(!output.status.success() && said(&output).contains("Permission denied"), "{}", said(&output));
            assert_eq!(found, readable, "{copy:?}");
        }
    }
}
