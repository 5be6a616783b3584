//! A key appears whole, and what fails leaves nothing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fixture::{ALICE, BOB, Mount, OPS, ROOT, User};
use crate::{Cases, fails, run, run_with, succeeds};

pub const CASES: Cases = &[
    ("a_new_key_is_never_seen_unfinished", a_new_key_is_never_seen_unfinished),
    ("a_refused_key_leaves_no_directory", a_refused_key_leaves_no_directory),
    ("of_many_that_create_one_wins", of_many_that_create_one_wins),
    ("conditions_hold_back", conditions_hold_back),
    ("directories_are_like_those_above", directories_are_like_those_above),
    ("empty_directories_go_with_the_last_key", empty_directories_go_with_the_last_key),
];

/// The names in a directory and below.
fn names(mount: &Mount, below: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut waiting = vec![below.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(mount.path(&directory)).expect("a directory") {
            let entry = entry.expect("an entry");
            let name = format!("{directory}/{}", entry.file_name().to_string_lossy());
            if entry.file_type().expect("a type").is_dir() {
                waiting.push(name.clone());
            }
            names.insert(name);
        }
    }
    names
}

fn a_new_key_is_never_seen_unfinished() {
    let mount = Mount::new();
    let value = "x".repeat(100_000);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                for round in 0..20 {
                    if let Ok(found) = std::fs::read(mount.path(&format!("dev/variables/key{round}"))) {
                        assert!(found.len() == value.len(), "{} bytes were seen", found.len());
                        let path = mount.path(&format!("dev/variables/key{round}"));
                        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
                        assert_eq!(mode & 0o777, 0o640);
                        seen += 1;
                    }
                }
            }
            seen
        });
        for round in 0..20 {
            let key = format!("key{round}");
            succeeds(run_with(&mount, &ROOT, &["kv", "put", &key, "-g", "ops:r"], value.as_bytes()));
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().expect("the reader") > 0);
    });
}

fn a_refused_key_leaves_no_directory() {
    let mount = Mount::new();
    let alice = User(ALICE, ALICE, &[]);
    mount.mkdir("dev/variables/closed");
    let before = names(&mount, "dev");
    fails(
        &run(&mount, &alice, &["kv", "put", "closed/a/b", "x"]),
        4,
        &["closed/a/b in dev", "needs write in the directory"],
    );
    fails(&run(&mount, &alice, &["kv", "put", "new/key", "x", "-g", "nobodies:r"]), 2, &["nobodies"]);
    fails(&run(&mount, &alice, &["kv", "put", "new/a/b", "x", "--if-version", "3"]), 3, &["no variable new/a/b"]);
    let large = vec![0; (1 << 20) + 1];
    fails(&run_with(&mount, &alice, &["kv", "put", "new/a/b", "-g", "ops:r"], &large), 1, &["longer"]);
    assert_eq!(names(&mount, "dev"), before);
}

fn of_many_that_create_one_wins() {
    let mount = Mount::new();
    let won: usize = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|who| {
                let mount = &mount;
                scope.spawn(move || run(mount, &ROOT, &["kv", "put", "dir/key", &who.to_string(), "--create-only"]))
            })
            .collect();
        let outputs = tries.into_iter().map(|thread| thread.join().expect("a thread"));
        outputs
            .filter(|output| {
                output.status.success() || {
                    fails(output, 6, &["exists already"]);
                    false
                }
            })
            .count()
    });
    assert_eq!(won, 1);
    assert_eq!(names(&mount, "dev/variables").len(), 2, "{:?}", names(&mount, "dev/variables"));
    assert_eq!(std::fs::read_dir(mount.path(".keyfs/history/dev/variables/dir/key")).unwrap().count(), 1);
}

fn conditions_hold_back() {
    let mount = Mount::new();
    for secure in [&[][..], &["-s"]] {
        let put = |value: &str, condition: &[&str]| {
            run(&mount, &ROOT, &[&["kv", "put"], secure, &["key", value], condition].concat())
        };
        succeeds(put("one", &["--if-version", "0"]));
        fails(&put("two", &["--if-version", "0"]), 6, &["exists already"]);
        fails(&put("two", &["--create-only"]), 6, &["key in dev exists already", "nothing was stored"]);
        succeeds(put("two", &["--if-version", "1"]));
        fails(&put("three", &["--if-version", "1"]), 6, &["key in dev has changed", "version 2, not 1"]);
        let get = run(&mount, &ROOT, &[&["kv", "get"], secure, &["key"]].concat());
        assert_eq!(succeeds(get), b"two");
    }
}

fn directories_are_like_those_above() {
    let mount = Mount::new();
    let alice = User(ALICE, ALICE, &[OPS]);
    let bob = User(BOB, BOB, &[]);
    // Anybody may add in a tree's root, and nobody takes another's key away; so it is below.
    succeeds(run(&mount, &alice, &["kv", "put", "open/key", "alice"]));
    succeeds(run(&mount, &bob, &["kv", "put", "open/other", "bob"]));
    fails(&run(&mount, &bob, &["kv", "rm", "open/key"]), 4, &["remove variable open/key"]);
    assert!(std::fs::metadata(mount.path("dev/variables/open/key")).is_ok());
    // A team's directory gives the team's permissions on.
    mount.mkdir("dev/variables/team");
    mount.own("dev/variables/team", 0, OPS, 0o2770);
    succeeds(run(&mount, &alice, &["kv", "put", "team/a/b/key", "x"]));
    for below in ["team/a", "team/a/b"] {
        let metadata = std::fs::metadata(mount.path(&format!("dev/variables/{below}"))).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!((metadata.gid(), metadata.mode() & 0o7777), (OPS, 0o2770), "{below}");
    }
    // Also where its group is not the creator's first.
    mount.mkdir("dev/variables/plain");
    mount.own("dev/variables/plain", 0, OPS, 0o770);
    succeeds(run(&mount, &alice, &["kv", "put", "plain/a/key", "x"]));
    let carol = User(20_009, 20_009, &[OPS]);
    succeeds(run(&mount, &carol, &["kv", "put", "plain/a/other", "y"]));
    fails(
        &run(&mount, &bob, &["kv", "put", "plain/a/third", "z"]),
        4,
        &["needs search in the directory dev/variables/plain"],
    );
}

fn empty_directories_go_with_the_last_key() {
    let mount = Mount::new();
    succeeds(run(&mount, &ROOT, &["kv", "put", "a/b/c/one", "1"]));
    succeeds(run(&mount, &ROOT, &["kv", "put", "a/two", "2"]));
    let removed = run(&mount, &ROOT, &["kv", "rm", "a/b/c/one"]);
    assert!(String::from_utf8_lossy(&removed.stderr).contains("`dt kv restore a/b/c/one -e dev`"), "{removed:?}");
    assert_eq!(
        names(&mount, "dev/variables").into_iter().collect::<Vec<_>>(),
        ["dev/variables/a", "dev/variables/a/two"]
    );
    succeeds(run(&mount, &ROOT, &["kv", "rm", "a/two"]));
    assert!(names(&mount, "dev/variables").is_empty());
    succeeds(run(&mount, &ROOT, &["kv", "restore", "a/b/c/one"]));
    assert_eq!(succeeds(run(&mount, &ROOT, &["kv", "get", "a/b/c/one"])), b"1");
    fails(&run(&mount, &ROOT, &["kv", "restore", "a/b/c/one"]), 6, &["is there", "rollback"]);
}
