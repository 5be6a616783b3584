//! A mount whose daemon answers nothing for a while: whoever asks is told, nothing piles up, and all goes on afterwards.

use std::io::{BufReader, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Cases;
use crate::events::{follow, open};
use crate::fixture::{ALICE, Mount, PAYMENTS, User, run, wait_for};
use crate::http::{Dashboard, Session, answer, has_come, written};
use crate::team::team;

pub const CASES: Cases = &[
    ("a_mount_that_hangs_is_said_and_goes_on", a_mount_that_hangs_is_said_and_goes_on),
    ("a_teams_users_are_told_too", a_teams_users_are_told_too),
    ("few_gather_values_at_once", few_gather_values_at_once),
    ("what_nobody_waits_for_counts_until_it_is_done", what_nobody_waits_for_counts_until_it_is_done),
];

/// How many requests one user of a team has at a time.
const SHARE: usize = 48;

const ME: User<'static> = User(ALICE, ALICE, &[PAYMENTS]);

/// A mount's daemon that is stopped until this goes.
struct Stopped(u32);

impl Stopped {
    fn daemon(mount: &Mount) -> Stopped {
        let stopped = Stopped(mount.pid());
        stopped.send("STOP");
        stopped
    }

    fn send(&self, signal: &str) {
        run(Command::new("kill").args(["-s", signal, &self.0.to_string()]));
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Ours until the mount goes, which comes later.
        self.send("CONT");
    }
}

/// That a call is refused since the mount is silent.
#[track_caller]
fn is_told(session: &Session<'_>, path: &str) {
    let error = session.get(path).is_refused(503, "unavailable");
    assert!(error["message"].as_str().unwrap().contains("has not answered for 10 seconds"), "{error}");
}

fn threads(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/task")).unwrap().count()
}

fn a_mount_that_hangs_is_said_and_goes_on() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    session.post("/api/put", &Session::making("made", "value")).is_good();
    let mut stream = follow(&session, "");
    let stopped = Stopped::daemon(&mount);
    // More than there are threads for, and streams that can't begin.
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| is_told(&session, "/api/about"));
        }
        for _ in 0..3 {
            scope.spawn(|| is_told(&session, "/api/events"));
        }
    });
    // Whoever comes now is told at once, and takes no further thread.
    let (begun, before) = (Instant::now(), threads(dashboard.pid()));
    for _ in 0..100 {
        is_told(&session, "/api/keys?environment=dev&tree=variables");
    }
    is_told(&session, "/api/events");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(threads(dashboard.pid()) <= before);
    assert_eq!(dashboard.request("GET / HTTP/1.1", &dashboard.of_page(), b"").status, 200);
    drop(stopped);
    wait_for("an answer", || session.get("/api/about").status == 200);
    session.has("made", Some("value"));
    session.post("/api/put", &Session::making("later", "x")).is_good();
    assert_eq!(std::iter::from_fn(|| stream.next()).find(|line| line["kind"] == "change").unwrap()["key"], "later");
    // The streams that nobody waited for have given their places back.
    wait_for("the streams that were given up", || open(dashboard.pid()) == 1);
    let _others: Vec<_> = (1..64).map(|_| follow(&session, "")).collect();
    let error = session.get("/api/events").is_refused(503, "unavailable");
    assert!(error["message"].as_str().unwrap().starts_with("64 pages"), "{error}");
}

fn a_teams_users_are_told_too() {
    let mount = Mount::new();
    let dashboard = team(&mount, &[]);
    let alice = dashboard.log_in_as("alice");
    alice.get("/api/about").is_good();
    let stopped = Stopped::daemon(&mount);
    // One who comes only now is let in all the same.
    let bob = dashboard.log_in_as("bob");
    std::thread::scope(|scope| {
        for session in [&alice, &bob] {
            scope.spawn(|| is_told(session, "/api/about"));
            scope.spawn(|| is_told(session, "/api/events"));
        }
    });
    for session in [&alice, &bob] {
        is_told(session, "/api/about");
    }
    drop(stopped);
    for session in [&alice, &bob] {
        wait_for("an answer", || session.get("/api/about").status == 200);
        follow(session, "");
    }
}

/// A user's share isn't got back by going away: the work goes on.
fn what_nobody_waits_for_counts_until_it_is_done() {
    let mount = Mount::new();
    let dashboard = team(&mount, &[]);
    let (alice, bob) = (dashboard.log_in_as("alice"), dashboard.log_in_as("bob"));
    alice.get("/api/about").is_good();
    let stopped = Stopped::daemon(&mount);
    let request = written("GET /api/about HTTP/1.1", &alice.headers(), b"");
    let begun = |_| {
        let mut connection = dashboard.connect();
        connection.write_all(&request).unwrap();
        connection
    };
    let mut begun: Vec<_> = (0..60).map(begun).collect();
    let is_too_much = |answer: crate::http::Answer| {
        let error = answer.is_refused(503, "unavailable");
        assert!(error["message"].as_str().unwrap().contains("too much at once"), "{error}");
    };
    // The share is taken once those that are beyond it are refused, whichever of them these are.
    wait_for("what is beyond the share", || begun.iter().filter(|one| has_come(&***one)).count() == 60 - SHARE);
    for one in begun.extract_if(.., |one| has_come(&**one)) {
        is_too_much(answer(&mut BufReader::new(one)).unwrap());
    }
    drop(begun);
    for _ in 0..20 {
        is_too_much(alice.get("/api/about"));
    }
    // Another's is another's.
    is_told(&bob, "/api/about");
    drop(stopped);
    wait_for("an answer", || alice.get("/api/about").status == 200);
}

/// Calls that hold up to what a commit takes each don't do so in as many threads as there are.
fn few_gather_values_at_once() {
    let mount = Mount::new();
    mount.put("dev/variables/key", "x");
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    let export = "/api/export?environment=dev&format=json";
    session.get(export).is_good();
    let before = threads(dashboard.pid());
    let stopped = Stopped::daemon(&mount);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| is_told(&session, export));
        }
    });
    // Four, and the one that looks whether the mount answers.
    let more = threads(dashboard.pid()) - before;
    assert!(more <= 5, "{more} threads");
    drop(stopped);
    wait_for("an answer", || session.get(export).status == 200);
}
