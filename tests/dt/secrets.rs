//! Secrets and terminals: nothing of one is shown that wasn't asked for.

use std::process::{Command, Stdio};

use crate::fixture::{BOB, Mount, PAYMENTS, ROOT, User};
use crate::{Cases, cases, environment, fails, run, run_with, succeeds};

pub const CASES: Cases = &[
    ("no_secret_reaches_a_terminal", no_secret_reaches_a_terminal),
    ("reveal_is_the_exception", reveal_is_the_exception),
    ("a_secret_is_asked_for_twice", a_secret_is_asked_for_twice),
    ("two_answers_that_differ_store_nothing", two_answers_that_differ_store_nothing),
    ("a_secret_on_the_command_line_is_warned_of", a_secret_on_the_command_line_is_warned_of),
    ("no_error_repeats_a_secret", no_error_repeats_a_secret),
    ("groups_are_named_to_whom_they_keep_out", groups_are_named_to_whom_they_keep_out),
];

const SECRET: &str = "hunter2-4711";

/// What a terminal shows of `dt` as root, and the exit code; `answers` are typed at prompts.
fn on_terminal(mount: &Mount, arguments: &[&str], answers: &[(&str, &str)]) -> (String, Option<i32>) {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=0", "--regid=0", "--clear-groups", "--", "python3"]).arg(cases::terminal());
    for (prompt, text) in answers {
        command.args(["--answer", prompt, text]);
    }
    command.arg("--").arg(crate::dt()).args(arguments).stdin(Stdio::null());
    environment(&mut command, mount);
    let output = command.output().expect("python3");
    assert!(output.stderr.is_empty(), "{output:?}");
    (String::from_utf8(output.stdout).expect("text"), output.status.code())
}

fn with_secret() -> Mount {
    let mount = Mount::new();
    succeeds(run_with(&mount, &ROOT, &["kv", "put", "-s", "db/password"], b"old-secret-0815"));
    succeeds(run_with(&mount, &ROOT, &["kv", "put", "-s", "db/password"], SECRET.as_bytes()));
    mount
}

fn no_secret_reaches_a_terminal() {
    let mount = with_secret();
    let commands: &[&[&str]] = &[
        &["kv", "get", "-s", "db/password"],
        &["kv", "get", "-sj", "db/password"],
        &["kv", "get", "-sp", "db/password"],
        &["kv", "get", "-sjp", "db/password"],
        &["kv", "get", "-s", "--raw", "db/password"],
        &["kv", "get", "-s", "--version", "1", "db/password"],
        &["kv", "ls", "-s"],
        &["kv", "ls", "-S", "-v"],
        &["kv", "ls", "-Svaj"],
        &["kv", "ls", "-Svap"],
        &["kv", "history", "-s", "db/password"],
        &["kv", "acls", "-s", "db/password"],
        &["kv", "why", "-s", "db/password"],
        &["kv", "put", "-s", "-J", "db/password", "file:///proc/self/cmdline"],
        &["kv", "rollback", "-s", "db/password"],
        &["kv", "rm", "-s", "db/password"],
        &["kv", "restore", "-s", "db/password"],
        &["kv", "get", "db/password"],
    ];
    for arguments in commands {
        let (shown, _) = on_terminal(&mount, arguments, &[]);
        assert!(!shown.is_empty(), "{arguments:?}");
        assert!(!shown.contains(SECRET) && !shown.contains("old-secret"), "{arguments:?}: {shown}");
    }
    // Indented output is for people, wherever it goes.
    let piped = succeeds(run(&mount, &ROOT, &["kv", "get", "-sp", "db/password"]));
    assert!(String::from_utf8_lossy(&piped).contains("is set"), "{piped:?}");
}

fn reveal_is_the_exception() {
    let mount = with_secret();
    let (shown, code) = on_terminal(&mount, &["kv", "get", "-s", "--reveal", "db/password"], &[]);
    assert_eq!((shown.as_str(), code), (format!("{SECRET}\n").as_str(), Some(0)));
    let (shown, _) = on_terminal(&mount, &["kv", "get", "-s", "db/password"], &[]);
    assert!(shown.starts_with("secret db/password in dev is set: 12 bytes, version 2, by root at "), "{shown}");
    assert!(shown.contains("--reveal") && shown.contains("dt kv get -s db/password -e dev |"), "{shown}");
}

fn a_secret_is_asked_for_twice() {
    let mount = Mount::new();
    for arguments in [&["kv", "put", "-s", "new/key"][..], &["kv", "put", "-s", "new/key", "-"]] {
        let answers = [("Value of secret new/key in dev: ", SECRET), ("The same again: ", SECRET)];
        let (shown, code) = on_terminal(&mount, arguments, &answers);
        assert_eq!(code, Some(0), "{shown}");
        assert!(!shown.contains(SECRET), "{shown}");
        assert_eq!(mount.get("dev/secrets/new/key"), SECRET.as_bytes());
        succeeds(run(&mount, &ROOT, &["kv", "rm", "-s", "new/key"]));
    }
}

fn two_answers_that_differ_store_nothing() {
    let mount = Mount::new();
    let answers = [("Value of secret key in dev: ", SECRET), ("The same again: ", "other")];
    let (shown, code) = on_terminal(&mount, &["kv", "put", "-s", "key"], &answers);
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("the two differ") && !shown.contains(SECRET), "{shown}");
    assert!(!mount.path("dev/secrets/key").exists());
}

fn a_secret_on_the_command_line_is_warned_of() {
    let mount = Mount::new();
    let (shown, code) = on_terminal(&mount, &["kv", "put", "-s", "key", SECRET], &[]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("warning: other processes") && !shown.contains(SECRET), "{shown}");
    let piped = run(&mount, &ROOT, &["kv", "put", "-s", "key", SECRET]);
    assert!(piped.stderr.is_empty(), "{piped:?}");
    succeeds(piped);
}

fn no_error_repeats_a_secret() {
    let mount = with_secret();
    let wrong: &[(&[&str], i32)] = &[
        (&["kv", "put", "-s", "key", "word", SECRET], 2),
        (&["kv", "put", "-s", "key", &("-z".to_owned() + SECRET).leak()[..]], 2),
        (&["kv", "put", "-s", "key", &("--".to_owned() + SECRET).leak()[..]], 2),
        (&["kv", "put", "-s", "db/password", SECRET, "--create-only"], 6),
        (&["kv", "put", "-s", "db/password", SECRET, "--if-version", "1"], 6),
        (&["kv", "put", "-s", "db", SECRET], 3),
        (&["kv", "put", "-s", "db/password/below", SECRET], 3),
        (&["kv", "put", "-s", "key", SECRET, "-o", "r"], 2),
        (&["kv", "put", "-s", "key", SECRET, "-e", "nowhere"], 3),
    ];
    for (arguments, code) in wrong {
        let output = run(&mount, &ROOT, arguments);
        fails(&output, *code, &[]);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"), "{output:?}");
    }
}

fn groups_are_named_to_whom_they_keep_out() {
    let mount = Mount::new();
    succeeds(run(&mount, &ROOT, &["kv", "put", "-s", "db/password", SECRET, "-g", "payments:r,ops:rw"]));
    let bob = User(BOB, BOB, &[]);
    let denied = run(&mount, &bob, &["kv", "get", "-s", "db/password"]);
    fails(&denied, 4, &["read secret db/password in dev", "needs read for one of: payments, ops"]);
    let denied = run(&mount, &bob, &["kv", "put", "-s", "db/password", "x"]);
    fails(&denied, 4, &["store secret db/password in dev", "needs write for one of: ops"]);
    let denied = run(&mount, &bob, &["kv", "add-acls", "-s", "db/password", "-g", "analysts:r"]);
    fails(&denied, 4, &["change the permissions of", "root", "read and write for one of: ops"]);
    let denied = run(&mount, &bob, &["kv", "rm", "-s", "db/password"]);
    fails(&denied, 4, &["remove secret db/password in dev", "ops"]);
    let member = User(BOB, BOB, &[PAYMENTS]);
    assert_eq!(succeeds(run(&mount, &member, &["kv", "get", "-s", "db/password"])), SECRET.as_bytes());
}
