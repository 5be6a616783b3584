//! Imports while others work on the same keys, are called off, or end in the middle: all of it is stored, or nothing.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::fixture::{ALICE, BOB, Mount, OPS, ROOT, User, wait_for};
use crate::{Cases, cases, command, environment, fails, run, run_with, succeeds};

pub const CASES: Cases = &[
    ("what_changed_since_the_preview_is_not_overwritten", what_changed_since_the_preview_is_not_overwritten),
    ("no_is_no", no_is_no),
    ("killed_in_the_middle_nothing_is_stored", killed_in_the_middle_nothing_is_stored),
    ("a_signal_calls_it_off", a_signal_calls_it_off),
    ("values_arrive_as_they_were", values_arrive_as_they_were),
    ("each_users_rights_count", each_users_rights_count),
    ("a_part_of_a_mount_has_no_imports", a_part_of_a_mount_has_no_imports),
    ("many_are_one_commit", many_are_one_commit),
];

/// An import on a terminal, which has shown its question.
struct Asked(Child);

impl Asked {
    /// `meanwhile` runs while the question is asked, and then it is answered.
    fn import(mount: &Mount, arguments: &[&str], file: &str, meanwhile: &str, answer: &str) -> (String, Option<i32>) {
        let path = mount.home().join("import.json");
        std::fs::write(&path, file).expect("a file");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=0", "--regid=0", "--clear-groups", "--", "python3"]).arg(cases::terminal());
        command.args(["--meanwhile", "[y/N] ", meanwhile, "--answer", "[y/N] ", answer, "--"]);
        command.arg(crate::dt()).args(["kv", "import"]).arg(&path).args(arguments);
        environment(&mut command, mount);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let asked = Asked(command.spawn().expect("python3"));
        asked.end()
    }

    fn end(self) -> (String, Option<i32>) {
        let output = self.0.wait_with_output().expect("python3 ends");
        assert!(output.stderr.is_empty(), "{output:?}");
        (String::from_utf8(output.stdout).expect("text"), output.status.code())
    }
}

fn what_changed_since_the_preview_is_not_overwritten() {
    let file = r#"{"old": "new value", "fresh": {"key": "1"}}"#;
    let meanwhile: &[(&str, &[&str])] = &[
        ("dt kv put old theirs", &["variable old in dev has changed", "at version 2, not 1"]),
        ("dt kv put fresh/key theirs", &["variable fresh/key in dev exists already"]),
        ("dt kv rm old 2> /dev/null", &["there is no variable old in dev"]),
        ("dt kv rm old 2> /dev/null; dt kv put old anew", &["variable old in dev"]),
        ("dt kv put fresh theirs", &["fresh is a key"]),
    ];
    for (script, words) in meanwhile {
        let mount = Mount::new();
        succeeds(run(&mount, &ROOT, &["kv", "put", "old", "value"]));
        let (shown, code) = Asked::import(&mount, &[], file, script, "y");
        assert!(code.is_some_and(|code| [3, 6].contains(&code)), "{script}: {code:?} {shown}");
        assert!(words.iter().all(|word| shown.contains(word)), "{script}: {shown}");
        let left = succeeds(run(&mount, &ROOT, &["kv", "ls", "-v"]));
        assert!(!String::from_utf8_lossy(&left).contains("new value"), "{script}: {left:?}");
        let both = mount.path("dev/variables/fresh/key").exists() && !script.contains("fresh/key");
        assert!(!both, "{script}: a part was stored");
        assert_eq!(transactions(&mount), 0);
    }
}

fn no_is_no() {
    let mount = Mount::new();
    let (shown, code) = Asked::import(&mount, &[], r#"{"a": "1"}"#, "true", "n");
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("Store 1 key? [y/N]") && shown.contains("1 key not stored in dev"), "{shown}");
    assert!(!mount.path("dev/variables/a").exists());
    let (shown, code) = Asked::import(&mount, &["-s"], r#"{"a": "hunter2"}"#, "true", "yes");
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(mount.get("dev/secrets/a"), b"hunter2");
}

fn transactions(mount: &Mount) -> usize {
    std::fs::read_dir(mount.path(".keyfs/transactions")).expect("transactions").count()
}

/// An import of many keys that has begun to stage them.
fn begun(mount: &Mount) -> Child {
    let path = mount.home().join("many.json");
    let keys: Vec<_> = (0..15_000).map(|key| format!("\"k{key}\": \"{key}\"")).collect();
    std::fs::write(&path, format!("{{\"many\": {{{}}}}}", keys.join(", "))).expect("a file");
    let mut command = command(mount, &ROOT, &["kv", "import", path.to_str().expect("a path"), "-y"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("dt");
    wait_for("something to be staged", || {
        let begun = std::fs::read_dir(mount.path(".keyfs/transactions")).expect("transactions").next();
        let staged = begun.map(|begun| begun.expect("one").path().join("dev/variables/many"));
        staged.and_then(|staged| std::fs::read_dir(staged).ok()).is_some_and(|staged| staged.count() > 10)
    });
    child
}

fn end(child: &Child, signal: &str) {
    crate::fixture::run(Command::new("kill").arg("-s").arg(signal).arg(child.id().to_string()));
}

fn killed_in_the_middle_nothing_is_stored() {
    let mount = Mount::new();
    let child = begun(&mount);
    end(&child, "KILL");
    child.wait_with_output().expect("dt ends");
    assert_eq!(std::fs::read_dir(mount.path("dev/variables")).unwrap().count(), 0);
    // Nobody is kept from trying again by what is left of it, which goes with its time.
    assert_eq!(transactions(&mount), 1);
    succeeds(run_with(&mount, &ROOT, &["kv", "import", "--format", "json", "-y"], br#"{"many": {"k1": "1"}}"#));
    assert_eq!(mount.get("dev/variables/many/k1"), b"1");
}

fn a_signal_calls_it_off() {
    let mount = Mount::new();
    let child = begun(&mount);
    end(&child, "TERM");
    let output = child.wait_with_output().expect("dt ends");
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    assert_eq!((signal, output.status.code()), (Some(15), None), "{output:?}");
    assert_eq!(output.stderr, b"dt: called off: nothing was stored\n");
    assert_eq!(std::fs::read_dir(mount.path("dev/variables")).unwrap().count(), 0);
    assert_eq!(transactions(&mount), 0);
}

fn values_arrive_as_they_were() {
    let mount = Mount::new();
    let values: &[&[u8]] =
        &[b"", b"\n", b"one\n\n", b"\0", b"\xff\xfe", "ü\u{1f511}".as_bytes(), b" '\"\\$HOME `id` #", &[b'x'; 1 << 20]];
    for secure in [&[][..], &["-s"]] {
        let tree = if secure.is_empty() { "variables" } else { "secrets" };
        for (at, value) in values.iter().enumerate() {
            mount.put(&format!("dev/{tree}/v{at}"), value);
        }
        let exported = succeeds(run(&mount, &ROOT, &[&["kv", "export", "--format", "yaml"], secure].concat()));
        let import = [&["kv", "import", "--format", "yaml", "-y", "-e", "prod"], secure].concat();
        succeeds(run_with(&mount, &ROOT, &import, &exported));
        for (at, value) in values.iter().enumerate() {
            assert_eq!(mount.get(&format!("prod/{tree}/v{at}")), *value, "{tree} v{at}");
        }
    }
}

fn each_users_rights_count() {
    let mount = Mount::new();
    let (alice, bob) = (User(ALICE, ALICE, &[OPS]), User(BOB, BOB, &[]));
    succeeds(run_with(
        &mount,
        &alice,
        &["kv", "import", "--format", "json", "-y", "-s", "-g", "ops:r"],
        br#"{"a": "1", "team/b": "2"}"#,
    ));
    use std::os::unix::fs::MetadataExt;
    for key in ["a", "team/b"] {
        let file = std::fs::metadata(mount.path(&format!("dev/secrets/{key}"))).unwrap();
        assert_eq!((file.uid(), file.mode() & 0o777), (ALICE, 0o640), "{key}");
    }
    assert_eq!(succeeds(run(&mount, &alice, &["kv", "get", "-s", "team/b"])), b"2");
    // Nothing of it is stored where one key may not be.
    let file = br#"{"mine": "1", "a": "2"}"#;
    let denied = run_with(&mount, &bob, &["kv", "import", "--format", "json", "-y", "-s", "-j"], file);
    assert_eq!(denied.status.code(), Some(4), "{denied:?}");
    let stderr = String::from_utf8_lossy(&denied.stderr).into_owned();
    assert!(stderr.contains("not permitted to store secret a in dev") && stderr.lines().count() == 1, "{stderr}");
    assert!(!mount.path("dev/secrets/mine").exists());
    // A variable that may not be read is replaced unseen, by who may write it.
    succeeds(run(&mount, &alice, &["kv", "put", "drop", "1", "-u", "bob:w"]));
    let output = succeeds(run_with(&mount, &bob, &["kv", "import", "--format", "json", "-y"], br#"{"drop": "2"}"#));
    assert_eq!(output, b"replaced\tdrop\n");
    assert_eq!(succeeds(run(&mount, &alice, &["kv", "get", "drop"])), b"2");
}

fn a_part_of_a_mount_has_no_imports() {
    let mount = Mount::new();
    let part = crate::places::Part::of(&mount.path("prod"), mount.home().join("part"));
    let mut command = command(&mount, &ROOT, &["kv", "import", "--format", "json", "-jy"]);
    command.env("KEYFS_MOUNT", part.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("dt");
    child.stdin.take().expect("a pipe").write_all(br#"{"a": "1"}"#).expect("dt reads");
    fails(
        &child.wait_with_output().expect("dt ends"),
        1,
        &[".keyfs is out of reach", "an import needs it", "KEYFS_MOUNT"],
    );
    assert!(!mount.path("prod/variables/a").exists());
    let mount = Mount::with(&["--env", "prod"]);
    succeeds(run_with(&mount, &ROOT, &["kv", "import", "--format", "json", "-y"], br#"{"a": {"b": "1"}}"#));
    assert_eq!(mount.get("variables/a/b"), b"1");
}

fn many_are_one_commit() {
    let mount = Mount::new();
    let keys: Vec<_> = (0..2_000).map(|key| format!("d{}/k{key}: {key}\n", key % 7)).collect();
    succeeds(run_with(
        &mount,
        &ROOT,
        &["kv", "import", "--format", "yaml", "-y", "-g", "payments:r"],
        keys.concat().as_bytes(),
    ));
    let events = std::fs::File::open(mount.path(".keyfs/events@0")).expect("events");
    let mut commits = std::collections::BTreeSet::new();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(events));
    let mut puts = 0;
    while puts < 2_000 {
        let line: serde_json::Value =
            serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON");
        if line["kind"] == "put" {
            puts += 1;
            commits.insert(line["cursor"].as_u64().expect("a cursor") >> 16);
        }
    }
    assert_eq!(commits.len(), 1);
    for key in ["d0/k0", "d4/k1999", "d3/k1004"] {
        let number = key.rsplit_once('k').expect("a number").1;
        assert_eq!(mount.get(&format!("dev/variables/{key}")), number.as_bytes());
        let ids = succeeds(run(&mount, &ROOT, &["kv", "acls", "-j", key]));
        assert_eq!(ids, b"{\"read\":[-20101],\"write\":[]}\n");
    }
}
