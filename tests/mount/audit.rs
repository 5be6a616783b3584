//! The audit log: one line for each decision on a secret and for each change, there before anything is handed out.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::Case;
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, OPS, PAYMENTS, ROOT, User, errno, run, wait_for};
use crate::medium::Medium;
use crate::peer::Peer;

pub const CASES: &[Case] = &[
    ("a_grant_is_one_line_with_all_of_it", a_grant_is_one_line_with_all_of_it),
    ("a_denial_is_one_line_with_its_reason", a_denial_is_one_line_with_its_reason),
    ("each_change_is_one_line", each_change_is_one_line),
    ("a_reader_is_recorded_once_and_the_next_one_again", a_reader_is_recorded_once_and_the_next_one_again),
    ("an_earlier_version_is_recorded_as_such", an_earlier_version_is_recorded_as_such),
    ("a_record_has_the_key_as_it_is_by_then", a_record_has_the_key_as_it_is_by_then),
    ("looking_is_not_reading", looking_is_not_reading),
    ("variables_are_read_unrecorded", variables_are_read_unrecorded),
    ("where_it_cannot_be_written_secrets_are_refused", where_it_cannot_be_written_secrets_are_refused),
    ("a_hangup_opens_it_anew", a_hangup_opens_it_anew),
    ("it_is_for_its_owner_alone", it_is_for_its_owner_alone),
    ("a_view_of_one_environment_names_it", a_view_of_one_environment_names_it),
];

const KEY: &str = "prod/secrets/db/password";
const MEMBER: User<'static> = User(ALICE, ALICE, &[PAYMENTS]);

fn with_secret() -> Mount {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put(KEY, "s3cret\n");
    mount.own(KEY, 0, PAYMENTS, 0o640);
    mount
}

/// The lines that `work` adds.
fn added(mount: &Mount, work: impl FnOnce()) -> Vec<Value> {
    let before = mount.audit().len();
    work();
    mount.audit().split_off(before)
}

/// The value's lines, of one kind of event.
fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

/// Where a program really is, as `/proc/<pid>/exe` has it.
fn executable(name: &str) -> String {
    let found = run(Command::new("sh").arg("-c").arg(format!("readlink -f $(PATH=/usr/bin:/bin command -v {name})")));
    found.trim().to_owned()
}

fn a_grant_is_one_line_with_all_of_it() {
    let mount = with_secret();
    let script = format!("echo $$; PATH=/usr/bin:/bin; exec cat {}", mount.path(KEY).display());
    let mut said = String::new();
    let lines = added(&mount, || said = String::from_utf8(MEMBER.sh(&script).stdout).unwrap());
    let (pid, value) = said.split_once('\n').unwrap();
    assert_eq!(value, "s3cret\n");
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    let status: Value = serde_json::from_slice(&mount.get(".keyfs/status")).unwrap();
    let expected = [
        ("event", Value::from("granted")),
        ("store", status["store"]["id"].clone()),
        ("env", "prod".into()),
        ("tree", "secrets".into()),
        ("key", "db/password".into()),
        ("version", 1.into()),
        ("pid", pid.parse::<u32>().unwrap().into()),
        ("uid", ALICE.into()),
        ("gid", ALICE.into()),
        ("exe", executable("cat").into()),
        ("group", PAYMENTS.into()),
    ];
    for (field, value) in expected {
        assert_eq!(line[field], value, "{field} of {line}");
    }
    assert!(line["rule"].as_str().unwrap().contains(&PAYMENTS.to_string()), "{line}");
    let time = line["time"].as_str().unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z') && time.contains('T'), "{time}");
    // By which group it was: a named one, and the owning one of the owner.
    run(Command::new("setfacl").args(["-m", &format!("g:{ANALYSTS}:r")]).arg(mount.path(KEY)));
    let lines = added(&mount, || User(BOB, BOB, &[OPS, ANALYSTS]).reads(&mount.path(KEY), "s3cret\n"));
    assert_eq!((lines.len(), &lines[0]["group"]), (1, &ANALYSTS.into()));
    mount.put("prod/secrets/own", "x");
    let lines = added(&mount, || ROOT.reads(&mount.path("prod/secrets/own"), "x"));
    assert_eq!((lines.len(), &lines[0]["group"], &lines[0]["key"]), (1, &0.into(), &"own".into()));
}

fn a_denial_is_one_line_with_its_reason() {
    let mount = with_secret();
    let lines = added(&mount, || ROOT.is_refused(&mount.path(KEY), "Permission denied"));
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    assert_eq!(line["event"], "denied");
    assert_eq!((&line["env"], &line["tree"], &line["key"]), (&"prod".into(), &"secrets".into(), &"db/password".into()));
    assert_eq!((&line["uid"], &line["gid"], &line["version"]), (&0.into(), &0.into(), &1.into()));
    assert_eq!(line["exe"], executable("cat"));
    assert!(line["pid"].as_u64().unwrap() > 1);
    assert!(line["reason"].as_str().unwrap().contains(&PAYMENTS.to_string()), "{line}");
    assert!(line.get("group").is_none() && line.get("rule").is_none(), "{line}");
    // A descriptor that is worth nothing to who has it now.
    let lines = added(&mount, || {
        let script = format!("exec 3<{}; exec setpriv --clear-groups cat <&3", mount.path(KEY).display());
        assert!(User(0, 0, &[PAYMENTS]).sh(&script).stdout.is_empty());
    });
    assert_eq!((of(&lines, "granted").len(), of(&lines, "denied").len()), (1, 1), "{lines:#?}");
    // What the kernel refuses by itself never comes to a decision.
    assert!(added(&mount, || User(BOB, BOB, &[]).is_refused(&mount.path(KEY), "Permission denied")).is_empty());
}

fn each_change_is_one_line() {
    let mount = Mount::new();
    let path = |below: &str| mount.path(below).display().to_string();
    for tree in ["secrets", "variables"] {
        let d = path(&format!("prod/{tree}/d"));
        let changes: &[(String, &str, &str)] = &[
            (format!("mkdir {d}"), "mkdir", "d"),
            (format!("echo 1 > {d}/k"), "put", "d/k"),
            (format!("echo 2 > {d}/k"), "put", "d/k"),
            (format!("echo 3 >> {d}/k"), "put", "d/k"),
            (format!("chmod 600 {d}/k"), "permission", "d/k"),
            (format!("chgrp {PAYMENTS} {d}/k"), "permission", "d/k"),
            (format!("setfacl -m g:{OPS}:r {d}/k"), "permission", "d/k"),
            (format!("setfacl -d -m g:{OPS}:r {d}"), "permission", "d"),
            (format!("setfattr -n user.note -v hello {d}/k"), "attribute", "d/k"),
            (format!("setfattr -n user.keyfs.expires -v 2199-01-01T00:00:00Z {d}/k"), "attribute", "d/k"),
            (format!("mv {d}/k {d}/l"), "rename", "d/k"),
            (format!("rm {d}/l"), "remove", "d/l"),
            (format!("rmdir {d}"), "remove", "d"),
        ];
        for (script, event, key) in changes {
            let lines = added(&mount, || drop(run(Command::new("sh").arg("-c").arg(script))));
            let [line] = lines.as_slice() else { panic!("{script}: {lines:#?}") };
            assert_eq!((&line["event"], &line["key"]), (&(*event).into(), &(*key).into()), "{script}: {line}");
            assert_eq!((&line["env"], &line["tree"]), (&"prod".into(), &tree.into()), "{script}: {line}");
            assert_eq!((&line["uid"], &line["gid"]), (&0.into(), &0.into()), "{script}");
            assert!(line["pid"].as_u64().unwrap() > 1 && line["exe"].is_string(), "{script}: {line}");
            match *event {
                "put" => assert!(line["version"].as_u64().unwrap() >= 1, "{script}: {line}"),
                "permission" => assert!(line["now"].as_str().unwrap().contains("mode"), "{script}: {line}"),
                "attribute" => assert!(line["attribute"].as_str().unwrap().starts_with("user."), "{script}: {line}"),
                "rename" => assert_eq!((&line["to_key"], &line["to_env"]), (&"d/l".into(), &"prod".into())),
                _ => {}
            }
        }
    }
    // Two at once, an environment, and a removal by who may edit.
    mount.put("prod/secrets/a", "a");
    mount.put("prod/secrets/b", "b");
    let lines = added(&mount, || {
        let (a, b) = (path("prod/secrets/a"), path("prod/secrets/b"));
        Peer::new(ROOT).is(&format!("libc.renameat2(-100, b'{a}', -100, b'{b}', 2)"), "0");
    });
    assert_eq!((lines.len(), &lines[0]["event"], &lines[0]["to_key"]), (1, &"exchange".into(), &"b".into()));
    let lines = added(&mount, || mount.mkdir("stage"));
    assert_eq!((lines.len(), &lines[0]["event"], &lines[0]["env"]), (1, &"mkdir".into(), &"stage".into()));
    let lines = added(&mount, || {
        drop(run(Command::new("setfattr").args(["-n", "user.keyfs.remove", "-v", "1"]).arg(path("prod/secrets/a"))))
    });
    assert_eq!(of(&lines, "remove").len(), 1, "{lines:#?}");
    // What is refused changes nothing, and is no line.
    let lines = added(&mount, || assert_eq!(errno(fs::remove_dir(mount.path("prod/secrets"))), libc::EPERM));
    assert!(lines.is_empty(), "{lines:#?}");
}

fn a_reader_is_recorded_once_and_the_next_one_again() {
    let mount = with_secret();
    let path = mount.path(KEY);
    let mut peer = Peer::new(MEMBER);
    let lines = added(&mount, || {
        peer.is(&format!("fd = open('{}', O_RDONLY)", path.display()), "done");
        for _ in 0..5 {
            peer.is("pread(fd, 9, 0)", "b's3cret\\n'");
        }
    });
    assert_eq!((lines.len(), of(&lines, "granted").len()), (1, 1), "{lines:#?}");
    // Another process that comes to have it.
    let lines = added(&mount, || peer.is("forked(lambda: len(pread(fd, 9, 0)))", "7"));
    assert_eq!(of(&lines, "granted").len(), 1, "{lines:#?}");
    // After the permissions changed, the same one keeps its grant or loses it, and the loss is recorded.
    run(Command::new("chmod").arg("0600").arg(&path));
    let lines = added(&mount, || peer.is("pread(fd, 9, 0)", "EACCES"));
    assert_eq!((lines.len(), of(&lines, "denied").len()), (1, 1), "{lines:#?}");
}

fn an_earlier_version_is_recorded_as_such() {
    let mount = with_secret();
    mount.put(KEY, "second\n");
    let past = mount.path(&format!(".keyfs/history/{KEY}/1"));
    let lines = added(&mount, || MEMBER.reads(&past, "s3cret\n"));
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    assert_eq!((&line["event"], &line["version"], &line["key"]), (&"granted".into(), &1.into(), &"db/password".into()));
    let lines = added(&mount, || ROOT.is_refused(&past, "Permission denied"));
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    assert_eq!((&line["event"], &line["version"]), (&"denied".into(), &1.into()));
}

fn a_record_has_the_key_as_it_is_by_then() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/a/b");
    mount.put("prod/secrets/top", "s3cret\n");
    mount.put("prod/secrets/a/b/c", "s3cret\n");
    let read = |key: &str| {
        let path = format!("prod/secrets/{key}");
        mount.own(&path, 0, PAYMENTS, 0o640);
        for _ in 0..2 {
            let lines = added(&mount, || MEMBER.reads(&mount.path(&path), "s3cret\n"));
            let [line] = lines.as_slice() else { panic!("{lines:#?}") };
            let place = ["event", "env", "tree", "key"].map(|field| line[field].as_str().unwrap_or_default());
            assert_eq!(place, ["granted", "prod", "secrets", key]);
        }
    };
    let rename = |from: &str, to: &str| {
        let [from, to] = [from, to].map(|key| mount.path(&format!("prod/secrets/{key}")));
        fs::rename(from, to).unwrap();
    };
    read("top");
    read("a/b/c");
    rename("a/b/c", "a/b/d");
    read("a/b/d");
    rename("a", "z");
    read("z/b/d");
    mount.mkdir("prod/secrets/y");
    rename("z/b", "y/b");
    read("y/b/d");
    rename("y/b/d", "d");
    read("d");
}

fn looking_is_not_reading() {
    let mount = with_secret();
    let status = || -> Value { serde_json::from_slice(&mount.get(".keyfs/status")).unwrap() };
    let before = status();
    let lines = added(&mount, || {
        let root = mount.root().display().to_string();
        for script in [
            "ls -lR R",
            "find R -type f -newermt 2000-01-01",
            "stat R/prod/secrets/db/password",
            "getfacl -pR R",
            "getfattr -d -m - R/prod/secrets/db/password",
            "for a in version created modified modified_by groups why; do getfattr -n system.keyfs.$a R/prod/secrets/db/password; done",
            "test -r R/prod/secrets/db/password",
            "du -a R; df R",
            "ls -l R/.keyfs/history/prod/secrets/db/password",
            "cat R/.keyfs/status R/.keyfs/metrics",
        ] {
            for user in [MEMBER, User(BOB, BOB, &[])] {
                let output = user.sh(&script.replace('R', &root));
                assert!(!String::from_utf8_lossy(&output.stdout).contains("s3cret"), "{script}");
            }
        }
    });
    assert!(lines.is_empty(), "{lines:#?}");
    for count in ["secrets_granted", "secrets_denied", "commits"] {
        assert_eq!(status()[count], before[count], "{count}");
    }
}

fn variables_are_read_unrecorded() {
    let mount = Mount::new();
    mount.put("prod/variables/k", "x");
    let lines = added(&mount, || {
        MEMBER.reads(&mount.path("prod/variables/k"), "x");
        MEMBER.reads(&mount.path(".keyfs/history/prod/variables/k/1"), "x");
    });
    assert!(lines.is_empty(), "{lines:#?}");
}

/// The lines of a log, and how many are none: what was cut short when the room gave out.
fn lines(log: &Path) -> (Vec<Value>, usize) {
    let text = fs::read_to_string(log).unwrap();
    let (whole, torn): (Vec<_>, Vec<_>) = text.lines().map(serde_json::from_str::<Value>).partition(Result::is_ok);
    (whole.into_iter().map(Result::unwrap).collect(), torn.len())
}

fn where_it_cannot_be_written_secrets_are_refused() {
    let medium = Medium::in_memory(1 << 20);
    let log = medium.path("audit.jsonl");
    let mount = Mount::with(&["--audit", log.to_str().unwrap()]);
    let key = mount.path("prod/secrets/k");
    mount.put("prod/secrets/k", "s3cret");
    mount.put("prod/variables/k", "x");
    mount.own("prod/secrets/k", 0, PAYMENTS, 0o660);
    medium.fill();
    // The last block may have some room left.
    let mut handed_out = 0;
    wait_for("the log to be full", || {
        let output = MEMBER.cat(&key);
        handed_out += usize::from(output.status.success());
        assert_eq!(output.status.success(), output.stdout == b"s3cret");
        !output.status.success()
    });
    MEMBER.is_refused(&key, "Input/output error");
    ROOT.is_refused(&key, "");
    // A change is recorded once it was made. The one whose record finds no room keeps all others from being made, and the
    // record comes when there is room.
    let mut changed = 0;
    wait_for("a change without a record", || {
        let outcome = store(&key, &format!("changed {changed}"));
        changed += u64::from(outcome.is_ok());
        outcome.is_err_and(|error| error.raw_os_error() == Some(libc::EIO))
    });
    assert_eq!(errno(store(&mount.path("prod/secrets/new"), "other")), libc::EIO);
    assert_eq!(errno(fs::create_dir(mount.path("prod/secrets/d"))), libc::EIO);
    assert_eq!(errno(fs::remove_file(&key)), libc::EIO);
    assert!(!Command::new("chmod").arg("0600").arg(&key).output().unwrap().status.success());
    // A reader from before loses nothing of the rule, and variables go on.
    for number in 0..20 {
        mount.put("prod/variables/k", format!("during {number}"));
        assert_eq!(mount.get("prod/variables/k"), format!("during {number}").as_bytes());
    }
    mount.mkdir("prod/variables/d");
    assert!(mount.logged().contains("audit log"), "{}", mount.logged());
    medium.empty();
    MEMBER.reads(&key, format!("changed {}", changed - 1));
    let (lines, torn) = lines(&log);
    assert!(torn <= 2, "{torn}");
    let during: Vec<u64> = lines
        .iter()
        .filter(|line| line["event"] == "put" && line["tree"] == "variables" && line["key"] == "k")
        .map(|line| line["version"].as_u64().unwrap())
        .collect();
    assert_eq!(during, (1..=21).collect::<Vec<_>>());
    assert_eq!(of(&lines, "mkdir").iter().filter(|line| line["key"] == "d").count(), 1);
    assert_eq!(of(&lines, "granted").len(), handed_out + 1);
    // What was made is there, and what was refused was not made.
    let versions: Vec<u64> = of(&lines, "put")
        .iter()
        .filter(|line| line["tree"] == "secrets")
        .map(|line| line["version"].as_u64().unwrap())
        .collect();
    assert_eq!(versions, (1..=1 + changed).collect::<Vec<_>>());
    assert!(of(&lines, "remove").is_empty() && !mount.path("prod/secrets/d").exists());
    store(&key, "other").unwrap();
    MEMBER.reads(&key, "other");
}

/// Writes a value and hears whether it was stored, which dropping a file does not tell.
fn store(path: &Path, value: &str) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    std::io::Write::write_all(&mut file, value.as_bytes())?;
    file.sync_all()
}

fn a_hangup_opens_it_anew() {
    let mount = with_secret();
    let (log, old) = (mount.home().join("store.audit.jsonl"), mount.home().join("store.audit.jsonl.1"));
    MEMBER.reads(&mount.path(KEY), "s3cret\n");
    // As logrotate does it: the writer goes on in the old file until it is told.
    fs::rename(&log, &old).unwrap();
    MEMBER.reads(&mount.path(KEY), "s3cret\n");
    assert!(!log.exists());
    run(Command::new("kill").args(["-s", "HUP", &mount.pid().to_string()]));
    wait_for("the new log", || log.exists());
    MEMBER.reads(&mount.path(KEY), "s3cret\n");
    assert_eq!(of(&lines(&old).0, "granted").len(), 2);
    assert_eq!((of(&mount.audit(), "granted").len(), mount.audit().len()), (1, 1));
    // Where it can't be opened anew, the daemon does not end, and says so.
    fs::rename(&log, mount.home().join("store.audit.jsonl.2")).unwrap();
    fs::create_dir(&log).unwrap();
    run(Command::new("kill").args(["-s", "HUP", &mount.pid().to_string()]));
    wait_for("a word in the log", || mount.logged().contains("audit"));
    mount.put("prod/variables/k", "x");
    assert_eq!(mount.get("prod/variables/k"), b"x");
    fs::remove_dir(&log).unwrap();
    run(Command::new("kill").args(["-s", "HUP", &mount.pid().to_string()]));
    wait_for("the log", || log.exists());
    MEMBER.reads(&mount.path(KEY), "s3cret\n");
    assert_eq!(of(&mount.audit(), "granted").len(), 1);
}

fn it_is_for_its_owner_alone() {
    let mount = with_secret();
    let log = mount.home().join("store.audit.jsonl");
    let mode = std::os::unix::fs::MetadataExt::mode(&log.metadata().unwrap());
    assert_eq!(mode & 0o7777, 0o600);
    MEMBER.is_refused(&log, "Permission denied");
}

fn a_view_of_one_environment_names_it() {
    let mount = Mount::with(&["--env", "pre"]);
    mount.put("secrets/k", "x");
    mount.own("secrets/k", 0, PAYMENTS, 0o640);
    let lines = added(&mount, || MEMBER.reads(&mount.path("secrets/k"), "x"));
    assert_eq!(
        (&lines[0]["env"], &lines[0]["tree"], &lines[0]["key"]),
        (&"pre".into(), &"secrets".into(), &"k".into())
    );
}
