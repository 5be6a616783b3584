//! Earlier versions: what is kept, where it is found, and who may read it.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Case;
use crate::fixture::{ALICE, BOB, Mount, OPS, PAYMENTS, ROOT, User, errno, run, wait_for};
use crate::peer::Peer;

pub const CASES: &[Case] = &[
    ("each_commit_is_a_version", each_commit_is_a_version),
    ("the_last_ten_are_kept", the_last_ten_are_kept),
    ("the_same_value_is_no_version", the_same_value_is_no_version),
    ("a_removed_key_keeps_its_versions", a_removed_key_keeps_its_versions),
    ("a_key_made_anew_continues", a_key_made_anew_continues),
    ("a_rename_over_a_key_continues", a_rename_over_a_key_continues),
    ("ten_are_kept_across_renames_and_removals", ten_are_kept_across_renames_and_removals),
    ("a_moved_key_takes_its_versions_along", a_moved_key_takes_its_versions_along),
    ("a_removed_directory_can_be_looked_into", a_removed_directory_can_be_looked_into),
    ("who_takes_over_a_name_gains_nothing", who_takes_over_a_name_gains_nothing),
    ("who_was_revoked_loses_the_past", who_was_revoked_loses_the_past),
    ("variables_have_both_permissions_asked_too", variables_have_both_permissions_asked_too),
    ("a_closed_directory_hides_what_is_below", a_closed_directory_hides_what_is_below),
    ("it_is_read_only", it_is_read_only),
    ("an_older_version_is_restored_by_copying_it", an_older_version_is_restored_by_copying_it),
    ("a_view_of_one_environment_has_its_own", a_view_of_one_environment_has_its_own),
    ("it_outlives_the_daemon", it_outlives_the_daemon),
    ("an_open_version_stays_what_it_is", an_open_version_stays_what_it_is),
    ("a_long_history_takes_no_more_memory", a_long_history_takes_no_more_memory),
];

const DENIED: &str = "Permission denied";
const KEY: &str = "prod/secrets/db/password";

fn past(mount: &Mount, key: &str) -> PathBuf {
    mount.path(&format!(".keyfs/history/{key}"))
}

/// The versions that are listed for a key, in order.
#[track_caller]
fn versions(mount: &Mount, key: &str) -> Vec<u64> {
    let mut found: Vec<u64> = fs::read_dir(past(mount, key))
        .unwrap_or_else(|error| panic!("{key}: {error}"))
        .filter_map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().ok())
        .collect();
    found.sort_unstable();
    found
}

/// What a version holds.
#[track_caller]
fn version(mount: &Mount, key: &str, number: u64) -> String {
    let path = past(mount, key).join(number.to_string());
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn present(path: &Path) -> String {
    run(Command::new("getfattr").args(["--absolute-names", "--only-values", "-n", "system.keyfs.version"]).arg(path))
}

fn each_commit_is_a_version() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    for key in [KEY, "prod/variables/limit"] {
        for value in ["one", "two two", "three"] {
            mount.put(key, value);
        }
        assert_eq!(versions(&mount, key), [1, 2, 3]);
        assert_eq!([1, 2, 3].map(|number| version(&mount, key, number)), ["one", "two two", "three"]);
        assert_eq!(present(&mount.path(key)), "3");
        // Size, writer and time of each can be told without reading it.
        let stat = past(&mount, key).join("2").metadata().unwrap();
        assert_eq!((stat.len(), stat.uid(), stat.is_file()), (7, 0, true));
        let times =
            [1, 2, 3].map(|number| past(&mount, key).join(number.to_string()).metadata().unwrap().modified().unwrap());
        assert!(times.is_sorted(), "{times:?}");
        for absent in ["0", "4", "x", "18446744073709551616", "-1"] {
            assert_eq!(errno(fs::read(past(&mount, key).join(absent))), libc::ENOENT, "{absent}");
        }
    }
    assert_eq!(errno(fs::read_dir(past(&mount, "prod/secrets/none"))), libc::ENOENT);
    assert_eq!(errno(fs::read_dir(past(&mount, "prod/others"))), libc::ENOENT);
    assert_eq!(errno(fs::read_dir(past(&mount, "none"))), libc::ENOENT);
    let names = |path: PathBuf| {
        let mut names: Vec<_> =
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(mount.path(".keyfs/history")), ["dev", "pre", "prod"]);
    assert_eq!(names(past(&mount, "prod")), ["secrets", "variables"]);
    assert_eq!(names(past(&mount, "prod/secrets")), ["db"]);
}

fn the_last_ten_are_kept() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    for key in [KEY, "prod/variables/limit"] {
        for number in 1..=14 {
            mount.put(key, format!("value {number}"));
        }
        assert_eq!(versions(&mount, key), (5..=14).collect::<Vec<_>>());
        assert_eq!(errno(fs::read(past(&mount, key).join("4"))), libc::ENOENT);
        for number in 5..=14 {
            assert_eq!(version(&mount, key, number), format!("value {number}"));
        }
    }
}

fn the_same_value_is_no_version() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    for key in [KEY, "prod/variables/limit"] {
        mount.put(key, "same");
        let (before, lines) = (mount.path(key).metadata().unwrap(), mount.audit().len());
        mount.put(key, "same");
        run(Command::new("sh").arg("-c").arg(format!("printf same > {}", mount.path(key).display())));
        assert_eq!(versions(&mount, key), [1]);
        assert_eq!(mount.path(key).metadata().unwrap().modified().unwrap(), before.modified().unwrap());
        let puts = mount.audit()[lines..].iter().filter(|line| line["event"] == "put").count();
        assert_eq!(puts, 0);
        mount.put(key, "other");
        mount.put(key, "same");
        assert_eq!(versions(&mount, key), [1, 2, 3]);
    }
}

fn a_removed_key_keeps_its_versions() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    for key in [KEY, "prod/variables/limit"] {
        mount.put(key, "one");
        mount.put(key, "two");
        fs::remove_file(mount.path(key)).unwrap();
        assert!(!mount.path(key).exists());
        assert_eq!(versions(&mount, key), [1, 2]);
        assert_eq!(version(&mount, key, 2), "two");
    }
    // It can be found by who does not know its name.
    let names: Vec<_> =
        fs::read_dir(past(&mount, "prod/secrets/db")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["password"]);
}

fn a_key_made_anew_continues() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    for key in [KEY, "prod/variables/limit"] {
        mount.put(key, "one");
        mount.put(key, "two");
        for (number, value) in [(3, "three"), (4, "four")] {
            fs::remove_file(mount.path(key)).unwrap();
            mount.put(key, value);
            assert_eq!(present(&mount.path(key)), number.to_string());
        }
        assert_eq!(versions(&mount, key), [1, 2, 3, 4]);
        assert_eq!([1, 2, 3, 4].map(|number| version(&mount, key, number)), ["one", "two", "three", "four"]);
    }
}

fn a_rename_over_a_key_continues() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    for key in [KEY, "prod/variables/limit"] {
        mount.put(key, "one");
        mount.put(key, "two");
        // As editors save, and tools that write a file whole.
        let temporary = format!("{key}.tmp");
        mount.put(&temporary, "three");
        fs::rename(mount.path(&temporary), mount.path(key)).unwrap();
        assert_eq!(versions(&mount, key), [1, 2, 3]);
        assert_eq!([1, 2, 3].map(|number| version(&mount, key, number)), ["one", "two", "three"]);
        assert_eq!(present(&mount.path(key)), "3");
        mount.put(key, "four");
        assert_eq!(version(&mount, key, 4), "four");
    }
}

fn ten_are_kept_across_renames_and_removals() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    for round in 0..8 {
        mount.put(KEY, format!("written {round}"));
        mount.put(&format!("{KEY}.tmp"), format!("renamed {round}"));
        fs::rename(mount.path(&format!("{KEY}.tmp")), mount.path(KEY)).unwrap();
        if round % 2 == 1 {
            fs::remove_file(mount.path(KEY)).unwrap();
        }
    }
    assert_eq!(versions(&mount, KEY), (7..=16).collect::<Vec<_>>());
    for number in 7..=16_u64 {
        let round = (number - 1) / 2;
        let expected = if number % 2 == 1 { format!("written {round}") } else { format!("renamed {round}") };
        assert_eq!(version(&mount, KEY, number), expected);
    }
}

fn a_moved_key_takes_its_versions_along() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put(KEY, "one");
    mount.put(KEY, "two");
    fs::rename(mount.path(KEY), mount.path("prod/secrets/moved")).unwrap();
    assert_eq!(versions(&mount, "prod/secrets/moved"), [1, 2]);
    assert_eq!(version(&mount, "prod/secrets/moved", 1), "one");
    fs::rename(mount.path("prod/secrets/db"), mount.path("prod/secrets/other")).unwrap();
    fs::rename(mount.path("prod/secrets/moved"), mount.path("prod/secrets/other/back")).unwrap();
    assert_eq!(version(&mount, "prod/secrets/other/back", 2), "two");
}

fn a_removed_directory_can_be_looked_into() {
    let mount = Mount::new();
    mount.mkdir("prod/variables/a/b");
    mount.put("prod/variables/a/b/k", "value");
    fs::remove_dir_all(mount.path("prod/variables/a")).unwrap();
    assert_eq!(version(&mount, "prod/variables/a/b/k", 1), "value");
    assert_eq!(versions(&mount, "prod/variables/a/b/k"), [1]);
    assert!(past(&mount, "prod/variables/a").is_dir());
    mount.mkdir("prod/variables/a/b");
    mount.put("prod/variables/a/b/k", "again");
    assert_eq!(versions(&mount, "prod/variables/a/b/k"), [1, 2]);
}

fn who_takes_over_a_name_gains_nothing() {
    let mount = Mount::new();
    let taker = User(BOB, BOB, &[OPS]);
    for tree in ["secrets", "variables"] {
        let key = format!("prod/{tree}/team/password");
        mount.mkdir(&format!("prod/{tree}/team"));
        mount.own(&format!("prod/{tree}/team"), 0, OPS, 0o770);
        // Three ways to take a name: remove and make it, rename over it, exchange.
        for (round, way) in ["remove", "rename", "exchange"].into_iter().enumerate() {
            mount.put(&key, format!("hidden {round}"));
            mount.own(&key, ALICE, ALICE, 0o600);
            let hidden: u64 = present(&mount.path(&key)).parse().unwrap();
            taker.is_refused(&mount.path(&key), DENIED);
            let mut peer = Peer::new(taker);
            let (path, other) = (mount.path(&key), mount.path(&format!("prod/{tree}/team/other{round}")));
            let (path, other) = (path.display(), other.display());
            match way {
                "remove" => peer.is(&format!("unlink('{path}'); create('{path}', b'mine')"), "done"),
                "rename" => peer.is(&format!("create('{other}', b'mine'); rename('{other}', '{path}')"), "done"),
                _ => peer.is(
                    &format!("create('{other}', b'mine'); libc.renameat2(-100, b'{other}', -100, b'{path}', 2)"),
                    "done",
                ),
            }
            taker.reads(&mount.path(&key), "mine");
            taker.is_refused(&past(&mount, &key).join(hidden.to_string()), if way == "exchange" { "" } else { DENIED });
            // Nor by giving the entry, which is the taker's now, the widest permissions there are.
            run(taker.command("chmod").arg("0666").arg(mount.path(&key)));
            let listed = taker.sh(&format!("cat {}/*", past(&mount, &key).display()));
            assert!(!String::from_utf8_lossy(&listed.stdout).contains("hidden"), "{way}: {listed:?}");
            // Its owner does not read it either: the present permissions are the taker's.
            fs::remove_file(mount.path(&key)).unwrap();
        }
    }
}

fn who_was_revoked_loses_the_past() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    let (old, new) = (User(ALICE, ALICE, &[PAYMENTS]), User(BOB, BOB, &[OPS]));
    mount.put(KEY, "one");
    mount.own(KEY, 0, PAYMENTS, 0o640);
    mount.put(KEY, "two");
    let version = |number: u64| past(&mount, KEY).join(number.to_string());
    old.reads(&version(1), "one");
    old.reads(&version(2), "two");
    new.is_refused(&version(1), DENIED);
    ROOT.is_refused(&version(1), DENIED);
    mount.own(KEY, 0, OPS, 0o640);
    mount.put(KEY, "three");
    // The present version's permissions moved with the entry's; the first one's stayed as they were.
    for number in [1, 2, 3] {
        old.is_refused(&version(number), DENIED);
    }
    new.is_refused(&version(1), DENIED);
    new.reads(&version(2), "two");
    new.reads(&version(3), "three");
    User(BOB, BOB, &[OPS, PAYMENTS]).reads(&version(1), "one");
    // To be let in again is to have the past again.
    mount.own(KEY, 0, PAYMENTS, 0o640);
    old.reads(&version(1), "one");
    old.is_refused(&version(2), DENIED);
    // After removal the permissions that the entry had last are asked.
    fs::remove_file(mount.path(KEY)).unwrap();
    old.reads(&version(1), "one");
    new.is_refused(&version(1), DENIED);
    new.is_refused(&version(2), DENIED);
}

fn variables_have_both_permissions_asked_too() {
    let mount = Mount::new();
    let (key, user) = ("prod/variables/k", User(BOB, BOB, &[]));
    mount.put(key, "one");
    mount.own(key, 0, 0, 0o600);
    mount.put(key, "two");
    mount.own(key, 0, 0, 0o644);
    user.reads(&mount.path(key), "two");
    user.is_refused(&past(&mount, key).join("1"), DENIED);
    user.reads(&past(&mount, key).join("2"), "two");
    mount.own(key, 0, 0, 0o600);
    user.is_refused(&past(&mount, key).join("2"), DENIED);
}

fn a_closed_directory_hides_what_is_below() {
    let mount = Mount::new();
    mount.mkdir("prod/variables/closed/below");
    mount.put("prod/variables/closed/below/k", "x");
    mount.own("prod/variables/closed", ALICE, ALICE, 0o700);
    let user = User(BOB, BOB, &[]);
    let listing = |user: User<'_>, below: &str| user.command("ls").arg(past(&mount, below)).output().unwrap();
    user.is_refused(&past(&mount, "prod/variables/closed/below/k/1"), DENIED);
    assert!(!listing(user, "prod/variables/closed/below").status.success());
    assert!(listing(user, "prod/variables/closed").stdout.is_empty());
    let owner = User(ALICE, ALICE, &[]);
    assert_eq!(listing(owner, "prod/variables/closed").stdout, b"below\n");
    owner.reads(&past(&mount, "prod/variables/closed/below/k/1"), "x");
    // To search is not to list.
    mount.own("prod/variables/closed", ALICE, ALICE, 0o711);
    assert!(listing(user, "prod/variables/closed").stdout.is_empty());
    user.reads(&past(&mount, "prod/variables/closed/below/k/1"), "x");
}

fn it_is_read_only() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put(KEY, "one");
    let versions = past(&mount, KEY);
    let one = versions.join("1");
    let refused = [libc::EACCES, libc::EPERM, libc::EROFS];
    let refuses = |what: &str, outcome: std::io::Result<()>| {
        let errno = errno(outcome);
        assert!(refused.contains(&errno), "{what}: {errno}");
    };
    refuses("write", fs::write(&one, "x"));
    refuses("append", fs::File::options().append(true).open(&one).map(drop));
    refuses("truncate", fs::File::options().write(true).open(&one).and_then(|file| file.set_len(0)));
    refuses("create", fs::write(versions.join("9"), "x"));
    refuses("remove", fs::remove_file(&one));
    refuses("mkdir", fs::create_dir(versions.join("d")));
    refuses("rmdir", fs::remove_dir(&versions));
    refuses("rename", fs::rename(&one, versions.join("7")));
    refuses("move out", fs::rename(&one, mount.path("prod/secrets/out")));
    refuses("move in", fs::rename(mount.path(KEY), versions.join("2")));
    refuses("chmod", fs::set_permissions(&one, std::os::unix::fs::PermissionsExt::from_mode(0o666)));
    refuses("chown", std::os::unix::fs::chown(&one, Some(1), Some(1)));
    let set = Command::new("setfattr").args(["-n", "user.keyfs.remove", "-v", "1"]).arg(&one).output().unwrap();
    assert!(!set.status.success());
    let touch = Command::new("touch").arg(&one).output().unwrap();
    assert!(!touch.status.success());
    assert_eq!(version(&mount, KEY, 1), "one");
    assert_eq!(mount.get(KEY), b"one");
}

fn an_older_version_is_restored_by_copying_it() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    for key in [KEY, "prod/variables/limit"] {
        for value in ["good", "bad", "worse"] {
            mount.put(key, value);
        }
        mount.own(key, 0, 0, 0o640);
        run(Command::new("cp").arg(past(&mount, key).join("1")).arg(mount.path(key)));
        assert_eq!(mount.get(key), b"good");
        assert_eq!(versions(&mount, key), [1, 2, 3, 4]);
        assert_eq!(mount.path(key).metadata().unwrap().mode() & 0o7777, 0o640);
        // And what was removed comes back the same way.
        fs::remove_file(mount.path(key)).unwrap();
        run(Command::new("cp").arg(past(&mount, key).join("4")).arg(mount.path(key)));
        assert_eq!(mount.get(key), b"good");
        assert_eq!(versions(&mount, key), [1, 2, 3, 4, 5]);
    }
}

fn a_view_of_one_environment_has_its_own() {
    let mount = Mount::with(&["--env", "prod"]);
    for key in ["secrets/password", "variables/limit"] {
        mount.put(key, "one");
        mount.put(key, "two");
        assert_eq!(versions(&mount, key), [1, 2]);
        assert_eq!(version(&mount, key, 1), "one");
    }
    mount.own("secrets/password", 0, PAYMENTS, 0o640);
    User(ALICE, ALICE, &[OPS]).is_refused(&past(&mount, "secrets/password/2"), DENIED);
    User(ALICE, ALICE, &[PAYMENTS]).reads(&past(&mount, "secrets/password/2"), "two");
    // Nothing of the others is in sight.
    for below in ["dev", "prod", "dev/variables", "prod/secrets"] {
        assert_eq!(errno(fs::read_dir(past(&mount, below))), libc::ENOENT, "{below}");
    }
}

fn it_outlives_the_daemon() {
    let mut mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put(KEY, "one");
    mount.put(KEY, "two");
    fs::remove_file(mount.path(KEY)).unwrap();
    mount.restart();
    assert_eq!(versions(&mount, KEY), [1, 2]);
    mount.put(KEY, "three");
    mount.restart();
    assert_eq!([1, 2, 3].map(|number| version(&mount, KEY, number)), ["one", "two", "three"]);
}

fn an_open_version_stays_what_it_is() {
    let mount = Mount::new();
    mount.put("prod/variables/k", "first");
    mount.mkdir("prod/secrets/db");
    mount.put(KEY, "first");
    for key in [KEY, "prod/variables/k"] {
        let mut open = fs::File::open(past(&mount, key).join("1")).unwrap();
        for number in 0..12 {
            mount.put(key, format!("later {number}"));
        }
        // It is pruned by now, and who has it open reads it.
        assert_eq!(errno(fs::read(past(&mount, key).join("1"))), libc::ENOENT);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut open, &mut text).unwrap();
        assert_eq!(text, "first");
    }
}

fn a_long_history_takes_no_more_memory() {
    /// More than the daemon keeps places for, by as many as the kernel may be slow to forget.
    const KEYS: usize = 7_000;
    const KEPT: usize = 5_000;
    let mount = Mount::new();
    mount.mkdir("dev/variables/many");
    for key in 0..KEYS {
        fs::File::create(mount.path(&format!("dev/variables/many/{key}"))).unwrap();
    }
    mount.put("dev/variables/many/0", "zero");
    let history = past(&mount, "dev/variables/many");
    // What somebody has open is used on, whatever else is looked at.
    let held = fs::File::open(history.join("0/2")).unwrap();
    let directory = fs::File::open(history.join("0")).unwrap();
    let places = || {
        let metrics = String::from_utf8(mount.get(".keyfs/metrics")).unwrap();
        let told = metrics.lines().find_map(|line| line.strip_prefix("keyfs_history_places "));
        told.unwrap().parse::<usize>().unwrap()
    };
    for key in 0..KEYS {
        assert_eq!(fs::metadata(history.join(format!("{key}/1"))).unwrap().len(), 0);
    }
    wait_for("the kernel to forget", || places() < KEPT);
    assert_eq!(
        fs::read_dir(&history).unwrap().filter(|entry| entry.as_ref().unwrap().metadata().is_ok()).count(),
        KEYS
    );
    wait_for("the kernel to forget", || places() < KEPT);
    assert_eq!(std::io::read_to_string(held).unwrap(), "zero");
    let below = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    assert_eq!(fs::read_to_string(below.join("2")).unwrap(), "zero");
    assert_eq!(fs::read_dir(&below).unwrap().count(), 2);
    assert_eq!(fs::read_to_string(history.join("0/2")).unwrap(), "zero");
}
