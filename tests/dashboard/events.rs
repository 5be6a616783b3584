//! Changes as they happen: told to whoever may list them, from a place on, to an end.

use serde_json::json;

use crate::Cases;
use crate::change::making;
use crate::fixture::{Mount, ROOT, wait_for};
use crate::http::{CANARY, Dashboard, Session, Stream};
use crate::keys::IN_PAYMENTS;

pub const CASES: Cases = &[
    ("changes_are_told", changes_are_told),
    ("a_place_in_the_stream", a_place_in_the_stream),
    ("streams_end_and_are_few", streams_end_and_are_few),
    ("a_mount_that_goes_ends_them", a_mount_that_goes_ends_them),
];

pub fn follow(session: &Session<'_>, query: &str) -> Stream {
    let mut stream = session.stream(&format!("/api/events{query}"));
    assert_eq!(stream.status, 200);
    assert_eq!(stream.next().unwrap()["kind"], "ready");
    stream
}

fn changes_are_told() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/closed");
    mount.own("dev/variables/closed", 0, 0, 0o700);
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let mut stream = follow(&session, "");
    mount.put("dev/variables/closed/key", "x");
    mount.put("prod/secrets/password", CANARY);
    session.post("/api/put", &making("app/url", "x")).is_good();
    std::fs::rename(mount.path("prod/secrets/password"), mount.path("prod/secrets/pw")).unwrap();
    let mut next = || {
        let mut line = stream.next().unwrap();
        let (cursor, time) = (line["cursor"].take(), line["time"].take());
        assert!(cursor.is_u64() && time.as_str().unwrap().ends_with('Z'));
        line
    };
    let change = |environment: &str, tree: &str, key: &str, version, what: &str, to, by: &str| {
        json!({"kind": "change", "cursor": null, "environment": environment, "tree": tree, "key": key, "version": version,
            "what": what, "to": to, "by": by, "time": null})
    };
    let none = json!(null);
    assert_eq!(next(), change("prod", "secrets", "password", json!(1), "put", none.clone(), "root"));
    assert_eq!(next(), change("dev", "variables", "app", none.clone(), "mkdir", none.clone(), "alice"));
    assert_eq!(next(), change("dev", "variables", "app/url", json!(1), "put", none.clone(), "alice"));
    assert_eq!(next(), change("prod", "secrets", "password", json!(1), "rename", json!("pw"), "root"));
}

fn a_place_in_the_stream() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let session = dashboard.log_in();
    let mut stream = follow(&session, "");
    for key in ["a", "b", "c"] {
        mount.put(&format!("dev/variables/{key}"), "x");
    }
    let first = stream.next().unwrap();
    assert_eq!(first["key"], "a");
    let mut later = follow(&session, &format!("?cursor={}", first["cursor"]));
    assert_eq!(later.next().unwrap()["key"], "b");
    assert_eq!(later.next().unwrap()["key"], "c");
    // From before what is remembered.
    let mut lost = follow(&session, "?cursor=1");
    assert_eq!(lost.next().unwrap()["kind"], "lost");
    session.get("/api/events?cursor=x").is_refused(400, "malformed");
}

/// How many streams of the mount's a process has open.
pub fn open(process: u32) -> usize {
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    targets.filter(|at| at.ends_with(".keyfs/events")).count()
}

fn streams_end_and_are_few() {
    let mount = Mount::new();
    let mut dashboard = Dashboard::start(&mount, &IN_PAYMENTS);
    let pid = dashboard.pid();
    let open = || open(pid);
    let session = dashboard.log_in();
    let mut streams: Vec<_> = (0..64).map(|_| follow(&session, "")).collect();
    session.get("/api/events").is_refused(503, "unavailable");
    assert_eq!(open(), 64);
    // The others still answer.
    session.post("/api/put", &making("key", "x")).is_good();
    for stream in &mut streams {
        assert_eq!(stream.next().unwrap()["key"], "key");
    }
    drop(streams);
    wait_for("the streams of those who went", || open() == 0);
    let mut last = follow(&session, "");
    assert!(dashboard.end("TERM").success(), "{}", dashboard.logged());
    assert_eq!(last.next(), None);
}

fn a_mount_that_goes_ends_them() {
    let mut mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ROOT);
    let session = dashboard.log_in();
    let mut stream = follow(&session, "");
    mount.restart();
    while stream.next().is_some() {}
    follow(&session, "");
}
