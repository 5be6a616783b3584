//! The control files under `.keyfs/`: what the daemon says of itself.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::Case;
use crate::fixture::{ALICE, BOB, Mount, PAYMENTS, ROOT, User, errno, run};

pub const CASES: &[Case] = &[
    ("they_are_reached_by_name_and_not_listed", they_are_reached_by_name_and_not_listed),
    ("the_status_says_what_there_is", the_status_says_what_there_is),
    ("the_status_counts", the_status_counts),
    ("the_status_of_one_environment", the_status_of_one_environment),
    ("the_metrics_are_prometheus_text", the_metrics_are_prometheus_text),
    ("the_metrics_count", the_metrics_count),
    ("anybody_may_read_them_and_nobody_write", anybody_may_read_them_and_nobody_write),
    ("a_reader_sees_one_moment", a_reader_sees_one_moment),
];

fn status(mount: &Mount) -> Value {
    serde_json::from_slice(&mount.get(".keyfs/status")).expect("JSON")
}

fn they_are_reached_by_name_and_not_listed() {
    let mount = Mount::new();
    let listed = run(Command::new("ls").arg("-A").arg(mount.root()));
    assert_eq!(listed, "dev\npre\nprod\n");
    let listed = run(Command::new("ls").arg("-A").arg(mount.path(".keyfs")));
    for name in ["history", "metrics", "status"] {
        assert!(listed.lines().any(|line| line == name), "{listed}");
    }
    assert_eq!(errno(fs::metadata(mount.path(".keyfs/none"))), libc::ENOENT);
    // There is one, at the top.
    assert_eq!(errno(fs::metadata(mount.path("prod/.keyfs"))), libc::ENOENT);
    assert_eq!(errno(fs::create_dir(mount.path(".other"))), libc::EPERM);
    let view = Mount::with(&["--env", "dev"]);
    assert_eq!(run(Command::new("ls").arg("-A").arg(view.root())), "secrets\nvariables\n");
    assert!(view.path(".keyfs/status").is_file());
}

fn the_status_says_what_there_is() {
    let mount = Mount::new();
    let status = status(&mount);
    let is = |path: &str| status.pointer(path).unwrap_or_else(|| panic!("no {path} in {status:#}")).clone();
    assert_eq!(is("/version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(is("/pid"), mount.pid());
    assert_eq!(is("/mount"), mount.root().to_str().unwrap());
    assert_eq!(is("/environment"), Value::Null);
    assert_eq!(is("/store/path"), mount.store().to_str().unwrap());
    assert_eq!(is("/store/id").as_str().unwrap().len(), 32);
    assert!(is("/store/created").as_str().unwrap().starts_with("20"));
    assert!(is("/store/size_bytes").as_u64().unwrap() > 0);
    assert!(is("/store/free_bytes").as_u64().unwrap() > 0);
    assert!(is("/audit_log").as_str().unwrap().ends_with("/store.audit.jsonl"));
    assert_eq!(is("/value_limit_bytes"), 1 << 20);
    assert!(["process", "secrets"].contains(&is("/memory_locked").as_str().unwrap()));
    assert!(is("/uptime_seconds").as_u64().unwrap() < 3600);
    for count in ["/open_files", "/commits", "/secrets_granted", "/secrets_denied"] {
        assert!(is(count).is_u64(), "{count}");
    }
    for environment in ["dev", "pre", "prod"] {
        for tree in ["variables", "secrets"] {
            assert_eq!(is(&format!("/keys/{environment}/{tree}")), 0);
        }
    }
}

fn the_status_counts() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.mkdir("stage");
    for number in 0..3 {
        mount.put(&format!("prod/secrets/db/{number}"), "x");
    }
    mount.put("prod/variables/k", "x");
    mount.own("prod/secrets/db/0", 0, PAYMENTS, 0o640);
    let before = status(&mount);
    assert_eq!((&before["keys"]["prod"]["secrets"], &before["keys"]["prod"]["variables"]), (&3.into(), &1.into()));
    assert_eq!(before["keys"]["stage"]["secrets"], 0);
    let held = fs::File::open(mount.path("prod/variables/k")).unwrap();
    mount.put("prod/variables/k", "y");
    User(ALICE, ALICE, &[PAYMENTS]).reads(&mount.path("prod/secrets/db/0"), "x");
    ROOT.is_refused(&mount.path("prod/secrets/db/0"), "Permission denied");
    fs::remove_file(mount.path("prod/secrets/db/2")).unwrap();
    let after = status(&mount);
    let grew = |field: &str| after[field].as_u64().unwrap() - before[field].as_u64().unwrap();
    assert_eq!(after["keys"]["prod"]["secrets"], 2);
    assert_eq!((grew("commits"), grew("secrets_granted"), grew("secrets_denied")), (2, 1, 1));
    assert!(after["open_files"].as_u64().unwrap() >= 1);
    drop(held);
}

fn the_status_of_one_environment() {
    let mount = Mount::with(&["--env", "pre"]);
    mount.put("variables/k", "x");
    let status = status(&mount);
    assert_eq!(status["environment"], "pre");
    assert_eq!(status["keys"]["pre"]["variables"], 1);
}

/// The samples of a text in the Prometheus format, checked line by line.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut types = HashMap::new();
    let mut found = BTreeMap::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}: twice");
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(
                rest.split_once(' ').is_some_and(|(name, help)| name.starts_with("keyfs_") && !help.is_empty()),
                "{line}"
            );
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            let family = name.split('{').next().unwrap();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| family.strip_suffix(end));
            let histogram = base.is_some_and(|base| types.get(base).is_some_and(|kind| kind == "histogram"));
            assert!(histogram || types.contains_key(family), "{line}: no type before it");
            assert!(types.get(family).is_none_or(|kind| kind != "counter") || family.ends_with("_total"), "{line}");
            let labels = name.strip_prefix(family).unwrap();
            let labelled = labels.strip_prefix('{').and_then(|labels| labels.strip_suffix('}'));
            for label in labelled.into_iter().flat_map(|labels| labels.split(',')) {
                let (label, value) = label.split_once('=').expect("a label");
                assert!(label.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{line}");
                assert!(value.len() > 2 && value.starts_with('"') && value.ends_with('"'), "{line}");
            }
            assert!(labels.is_empty() || labelled.is_some(), "{line}");
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(value >= 0.0 && found.insert(name.to_owned(), value).is_none(), "{line}");
        }
    }
    found
}

fn metrics(mount: &Mount) -> BTreeMap<String, f64> {
    samples(&String::from_utf8(mount.get(".keyfs/metrics")).expect("text"))
}

fn the_metrics_are_prometheus_text() {
    let mount = Mount::new();
    mount.put("prod/variables/k", "x");
    let found = metrics(&mount);
    for name in ["commits_total", "secrets_granted_total", "secrets_denied_total", "open_files", "store_size_bytes"] {
        assert!(found.contains_key(&format!("keyfs_{name}")), "{name}");
    }
    // Buckets grow up to the last one, which is the count.
    for operation in ["lookup", "open", "read", "write", "flush", "create"] {
        let text = String::from_utf8(mount.get(".keyfs/metrics")).unwrap();
        let start = format!("keyfs_request_duration_seconds_bucket{{operation=\"{operation}\",");
        let buckets: Vec<f64> = text
            .lines()
            .filter(|line| line.starts_with(&start))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
            .collect();
        assert!(buckets.len() > 5 && buckets.is_sorted(), "{operation}: {buckets:?}");
        let count = samples(&text)[&format!("keyfs_request_duration_seconds_count{{operation=\"{operation}\"}}")];
        assert_eq!(buckets.last(), Some(&count), "{operation}");
    }
}

fn the_metrics_count() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    for number in 0..5 {
        mount.put(&format!("prod/secrets/db/{number}"), "x");
    }
    mount.own("prod/secrets/db/0", ALICE, PAYMENTS, 0o640);
    let before = metrics(&mount);
    for _ in 0..7 {
        User(BOB, BOB, &[PAYMENTS]).reads(&mount.path("prod/secrets/db/0"), "x");
    }
    for _ in 0..2 {
        ROOT.is_refused(&mount.path("prod/secrets/db/0"), "Permission denied");
    }
    fs::create_dir(mount.path("prod/variables/d")).unwrap();
    fs::remove_dir(mount.path("prod/variables/d")).unwrap();
    mount.put("prod/variables/k", "x");
    let after = metrics(&mount);
    let grew = |name: &str| after[name] - before[name];
    let requests =
        |operation: &str| grew(&format!("keyfs_request_duration_seconds_count{{operation=\"{operation}\"}}"));
    let errors = |operation: &str| grew(&format!("keyfs_request_errors_total{{operation=\"{operation}\"}}"));
    assert_eq!((grew("keyfs_secrets_granted_total"), grew("keyfs_secrets_denied_total")), (7.0, 2.0));
    // One commit after the other: one sync for each.
    assert_eq!((grew("keyfs_commits_total"), grew("keyfs_store_syncs_total")), (3.0, 3.0));
    let longest = after["keyfs_store_slowest_sync_seconds"];
    assert!(longest > 0.0 && grew("keyfs_store_sync_seconds_total") <= 3.0 * longest);
    assert_eq!((requests("mkdir"), requests("rmdir"), requests("create")), (1.0, 1.0, 1.0));
    // Those that read, those that were refused, and the one that reads the metrics.
    assert!(requests("open") >= 10.0 && requests("read") >= 7.0, "{} {}", requests("open"), requests("read"));
    assert_eq!(errors("open"), 2.0);
    assert!(after["keyfs_store_size_bytes"] > 0.0);
}

fn anybody_may_read_them_and_nobody_write() {
    let mount = Mount::new();
    let user = User(BOB, BOB, &[]);
    for name in ["status", "metrics"] {
        let path = mount.path(&format!(".keyfs/{name}"));
        assert!(user.cat(&path).status.success());
        for user in [user, ROOT] {
            for script in
                ["echo x > F", "echo x >> F", "rm -f F", "chmod 666 F", "mv F G", "ln F G", "touch -d yesterday F"]
            {
                let script = script
                    .replace(" G", &format!(" {}", mount.path("prod/variables/g").display()))
                    .replace(" F", &format!(" {}", path.display()));
                assert!(!user.sh(&script).status.success(), "{script}");
            }
        }
        assert!(user.cat(&path).status.success());
    }
    for below in [".keyfs/new", ".keyfs/history/prod/new"] {
        let errno = errno(fs::write(mount.path(below), "x"));
        assert!([libc::EPERM, libc::EACCES, libc::EROFS].contains(&errno), "{below}: {errno}");
    }
}

fn a_reader_sees_one_moment() {
    let mount = Mount::new();
    let mut open = fs::File::open(mount.path(".keyfs/metrics")).unwrap();
    let mut start = [0; 100];
    std::io::Read::read_exact(&mut open, &mut start).unwrap();
    for number in 0..50 {
        mount.put(&format!("dev/variables/{number}"), "x");
    }
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut open, &mut rest).unwrap();
    let found = samples(&format!("{}{rest}", std::str::from_utf8(&start).unwrap()));
    assert_eq!(found["keyfs_commits_total"], 0.0);
}
