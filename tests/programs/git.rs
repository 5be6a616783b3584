//! git keeps its configuration and its credentials in the mount: both are written beside, under a lock's name, and renamed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::alike::{alike, reference};
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, PAYMENTS, ROOT, User, run};
use crate::service::{directory_of, said};
use crate::{Case, Tool};

pub const TOOLS: &[Tool] = &[("git", "git")];

pub const CASES: &[Case] = &[
    ("a_configuration", a_configuration),
    ("a_configuration_keeps_its_history", a_configuration_keeps_its_history),
    ("settings_of_several_at_once", settings_of_several_at_once),
    ("stored_credentials", stored_credentials),
    ("a_repository", a_repository),
];

/// What git is kept from: the configuration of whoever runs the tests.
const ALONE: [(&str, &str); 3] =
    [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_TERMINAL_PROMPT", "0")];

fn git(user: User<'_>, directory: &Path) -> Command {
    let mut command = user.command("git");
    command.envs(ALONE).env("HOME", "/nonexistent").current_dir(directory);
    command
}

fn a_configuration() {
    alike(
        r#"
os.environ.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null")
os.umask(0o027)
show("set", sh, "git config -f c core.editor ed && git config -f c user.name 'A. Lice' && cat c")
show("get", sh, "git config -f c user.name; git config -f c user.none")
show("add", sh, "git config -f c --add remote.x.url one && git config -f c --add remote.x.url two && git config -f c --get-all remote.x.url")
expect("made with the mode of every new file", "0o640", mode, "c")
os.chmod("c", 0o600)
show("unset", sh, "git config -f c --unset core.editor; git config -f c -l")
expect("kept its mode", "0o600", mode, "c")
show("renamed", sh, "git config -f c --rename-section remote.x remote.y && git config -f c -l")
# Whoever holds the lock keeps others out, and they say so and change nothing.
put("c.lock", b"")
show("locked", sh, "git config -f c user.name other")
show("unchanged", sh, "git config -f c user.name")
os.unlink("c.lock")
show("includes", sh, "git config -f d include.path c && git config -f d --includes user.name")
expect("nothing is left", ["c", "d"], names)
"#,
    );
}

fn a_configuration_keeps_its_history() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/git");
    mount.own("dev/variables/git", 0, PAYMENTS, 0o2775);
    let directory = mount.path("dev/variables/git");
    let member = User(ALICE, ALICE, &[PAYMENTS]);
    for (number, name) in ["one", "two", "three"].iter().enumerate() {
        run(git(member, &directory).args(["config", "-f", "config", "user.name", name]));
        let version = run(Command::new("getfattr")
            .args(["-n", "system.keyfs.version", "--only-values", "--absolute-names"])
            .arg(directory.join("config")));
        assert_eq!(version, (number + 1).to_string());
    }
    let before = mount.path(".keyfs/history/dev/variables/git/config");
    assert_eq!(run(git(member, &directory).args(["config", "-f"]).arg(before.join("1")).arg("user.name")), "one\n");
    // Somebody who may not write there reads it, and changes nothing.
    let stranger = User(BOB, BOB, &[ANALYSTS]);
    assert_eq!(run(git(stranger, &directory).args(["config", "-f", "config", "user.name"])), "three\n");
    let refused = git(stranger, &directory).args(["config", "-f", "config", "user.name", "four"]).output().unwrap();
    let said = said(&refused);
    assert!(!refused.status.success() && said.contains("could not lock config file"), "{said}");
    assert!(said.contains("Permission denied"), "{said}");
    assert_eq!(run(git(stranger, &directory).args(["config", "-f", "config", "user.name"])), "three\n");
}

fn settings_of_several_at_once() {
    // Each takes the lock or says that it is taken; what one set, no other loses.
    let mount = Mount::new();
    let script = "for n in $(seq 10); do until git config -f config \"of$0.n$n\" set 2>/dev/null; do :; done; done";
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let mut shell = Command::new("sh");
            shell.envs(ALONE).args(["-c", script, &writer.to_string()]).current_dir(mount.path("dev/variables"));
            shell.stdin(Stdio::null()).spawn().expect("sh")
        })
        .collect();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    let listed = run(git(ROOT, &mount.path("dev/variables")).args(["config", "-f", "config", "-l"]));
    assert_eq!(listed.lines().count(), 30, "{listed}");
}

/// `git credential` with the file at `store`, its question on standard input.
fn credential(user: User<'_>, store: &Path, what: &str, question: &str) -> Output {
    let mut command = git(user, Path::new("/"));
    command.arg("-c").arg(format!("credential.helper=store --file {}", store.display()));
    command.args(["credential", what]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("git");
    let mut input = process.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, question.as_bytes()).expect("git listens");
    drop(input);
    process.wait_with_output().expect("git")
}

fn stored_credentials() {
    const HOST: &str = "protocol=https\nhost=git.example\n";
    let alice = User(ALICE, ALICE, &[PAYMENTS]);
    let mount = Mount::new();
    mount.mkdir("prod/secrets/git");
    mount.own("prod/secrets/git", ALICE, PAYMENTS, 0o755);
    let outside = directory_of(alice, reference(&mount, "outside"));
    let inside = mount.path("prod/secrets/git");
    for directory in [&outside, &inside] {
        let store = directory.join("credentials");
        let known = |user| String::from_utf8(credential(user, &store, "fill", HOST).stdout).unwrap();
        for password in ["first", "second"] {
            let stored = credential(alice, &store, "approve", &format!("{HOST}username=me\npassword={password}\n"));
            assert!(stored.status.success() && said(&stored).is_empty(), "{}", said(&stored));
            assert_eq!(known(alice), format!("{HOST}username=me\npassword={password}\n"));
        }
        let status = run(Command::new("stat").args(["-c", "%a %u %g"]).arg(&store));
        assert_eq!(status, format!("600 {ALICE} {ALICE}\n"));
        assert_eq!(fs::read_dir(directory).unwrap().count(), 1, "a lock is left");
        // Not for anybody else: git is left to ask, and may not.
        let refused = credential(User(BOB, BOB, &[PAYMENTS]), &store, "fill", HOST);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{}", said(&refused));
        assert!(said(&refused).contains("could not read Username"), "{}", said(&refused));
        assert!(credential(alice, &store, "reject", &format!("{HOST}username=me\n")).status.success());
        assert_eq!(known(alice), "");
        assert_eq!(run(alice.command("cat").arg(&store)), "");
    }
    // Root goes past a mode elsewhere; not here.
    let store = inside.join("credentials");
    credential(alice, &store, "approve", &format!("{HOST}username=me\npassword=third\n"));
    let refused = credential(ROOT, &store, "fill", HOST);
    assert!(!refused.status.success() && !said(&refused).contains("third"), "{}", said(&refused));
}

fn a_repository() {
    // Nothing that git is made for, but all of its calls are a file's.
    alike(
        r#"
os.environ.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null")
for who in "AUTHOR", "COMMITTER":
    os.environ.update({f"GIT_{who}_NAME": "a", f"GIT_{who}_EMAIL": "a@b", f"GIT_{who}_DATE": "2024-01-01T00:00:00Z"})
expect("init", 0, lambda: sh("git init -q -b main .")[0])
put("k", b"one\n")
show("commit", sh, "git add k && git commit -qm first && git log --format='%H %s'")
put("k", b"two\n")
show("change", sh, "git status --short && git commit -qam second && git diff --stat HEAD~1")
show("check", sh, "git fsck --strict 2>&1 && git gc -q && git log --format=%s")
show("back", sh, "git checkout -q HEAD~1 && cat k && git stash list && git checkout -q main && cat k")
"#,
    );
}
