//! `keyfs mount`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Case;
use crate::fixture::{KEYFS, run, wait_for};
use crate::kit::{Kit, daemon, fails, has_ended, keyfs};

pub const CASES: &[Case] = &[
    ("create_makes_what_is_missing_and_says_so", create_makes_what_is_missing_and_says_so),
    ("create_touches_nothing_that_is_there", create_touches_nothing_that_is_there),
    ("without_create_nothing_is_made", without_create_nothing_is_made),
    ("a_store_gets_no_new_identity", a_store_gets_no_new_identity),
    ("a_wrong_identity_is_refused", a_wrong_identity_is_refused),
    ("an_identity_that_is_none_is_refused", an_identity_that_is_none_is_refused),
    ("a_fingerprint_stands_in_for_the_record", a_fingerprint_stands_in_for_the_record),
    ("a_store_in_use_is_refused", a_store_in_use_is_refused),
    ("what_is_no_store_is_refused", what_is_no_store_is_refused),
    ("a_newer_format_is_refused", a_newer_format_is_refused),
    ("a_mount_point_that_is_none_is_refused", a_mount_point_that_is_none_is_refused),
    ("a_mount_point_in_use_is_refused", a_mount_point_in_use_is_refused),
    ("a_stale_mount_is_cleared", a_stale_mount_is_cleared),
    ("an_environment_that_is_not_there_is_refused", an_environment_that_is_not_there_is_refused),
    ("without_fuse_it_says_what_to_do", without_fuse_it_says_what_to_do),
    ("a_device_that_is_closed_to_the_user_is_said_to_be", a_device_that_is_closed_to_the_user_is_said_to_be),
    ("an_audit_log_that_can_not_be_written_is_refused", an_audit_log_that_can_not_be_written_is_refused),
    ("in_the_background_it_lets_go", in_the_background_it_lets_go),
    ("in_the_background_it_logs_to_a_file", in_the_background_it_logs_to_a_file),
    ("in_the_background_it_says_so_when_it_can_not_log", in_the_background_it_says_so_when_it_can_not_log),
    ("nobody_has_to_listen", nobody_has_to_listen),
    ("in_the_foreground_it_ends_on_a_signal", in_the_foreground_it_ends_on_a_signal),
    ("values_have_the_limit_that_is_given", values_have_the_limit_that_is_given),
];

fn create_makes_what_is_missing_and_says_so() {
    let kit = Kit::empty();
    fs::remove_dir(kit.path("keys")).unwrap();
    let said = kit.mounts(&["--create", "--store", kit.path("data/deep/store.redb").to_str().unwrap()]);
    for made in ["keys", "identity", "data/deep/store.redb"] {
        assert!(said.contains(kit.path(made).to_str().unwrap()), "{made}: {said}");
    }
    assert!(said.lines().all(|line| line.starts_with("keyfs: ")), "{said}");
    assert!(said.contains("dev, pre, prod") && said.contains("fingerprint"), "{said}");
    for file in ["identity", "identity.stores", "data/deep/store.redb"] {
        assert_eq!(kit.path(file).metadata().unwrap().mode() & 0o7777, 0o600, "{file}");
    }
    assert_eq!(kit.path("data/deep").metadata().unwrap().mode() & 0o777, 0o700);
    assert!(kit.path("keys/prod/secrets").is_dir());
    kit.unmounts();
    // An environment of its own choice, in a store that is there.
    let kit = Kit::with_store();
    let said = kit.mounts(&["--create", "--env", "stage"]);
    assert!(said.contains("stage"), "{said}");
    assert!(kit.path("keys/variables").is_dir() && kit.path("keys/secrets").is_dir());
    kit.unmounts();
}

fn create_touches_nothing_that_is_there() {
    let kit = Kit::with_store();
    let kept = |files: &[&str]| files.iter().map(|file| fs::read(kit.path(file)).unwrap()).collect::<Vec<_>>();
    let before = kept(&["identity", "identity.stores"]);
    let said = kit.mounts(&["--create"]);
    assert!(!said.contains("made"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(fs::read(kit.path("keys/prod/variables/k")).unwrap(), b"kept");
    kit.unmounts();
    assert_eq!(kept(&["identity", "identity.stores"]), before);
}

fn without_create_nothing_is_made() {
    let kit = Kit::empty();
    kit.refuses(&[], 3, &["identity", "--create"]);
    let other = Kit::with_store();
    run(Command::new("cp").arg("-p").arg(other.path("identity")).arg(kit.path("")));
    kit.refuses(&[], 3, &["store.redb", "create"]);
    // A directory on the way that is not there is no reason to make one.
    kit.refuses(&["--store", kit.path("none/store.redb").to_str().unwrap()], 3, &["none/store.redb"]);
    fs::remove_dir(kit.path("keys")).unwrap();
    kit.refuses(&[], 8, &["keys", "mkdir"]);
}

fn a_store_gets_no_new_identity() {
    let kit = Kit::with_store();
    fs::rename(kit.path("identity"), kit.path("elsewhere")).unwrap();
    kit.refuses(&[], 3, &["identity"]);
    kit.refuses(&["--create"], 3, &["identity"]);
    fs::rename(kit.path("elsewhere"), kit.path("identity")).unwrap();
    kit.mounts(&[]);
    assert_eq!(fs::read(kit.path("keys/prod/variables/k")).unwrap(), b"kept");
}

fn a_wrong_identity_is_refused() {
    let (kit, other) = (Kit::with_store(), Kit::with_store());
    let others = other.path("identity");
    let others = others.to_str().unwrap();
    // It is not on record there that the identity unlocks this store.
    kit.refuses(&["--identity", others], 4, &["fingerprint"]);
    // Where it is said to, it does not.
    let known = fs::read_to_string(kit.path("identity.stores")).unwrap();
    let fingerprint = known.lines().last().unwrap().split(' ').nth(1).unwrap().to_owned();
    kit.refuses(&["--identity", others, "--fingerprint", &fingerprint], 4, &["does not unlock"]);
    kit.refuses(&["--create", "--identity", others, "--fingerprint", &fingerprint], 4, &["does not unlock"]);
    kit.refuses(&["--fingerprint", "00112233445566778899aabbccddeeff"], 4, &["key is not the one on record"]);
    kit.mounts(&["--fingerprint", &fingerprint]);
}

fn an_identity_that_is_none_is_refused() {
    let kit = Kit::with_store();
    let identity = kit.path("identity");
    let right = fs::read(&identity).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o620] {
        fs::set_permissions(&identity, PermissionsExt::from_mode(mode)).unwrap();
        kit.refuses(&[], 4, &["chmod 600", identity.to_str().unwrap()]);
    }
    fs::set_permissions(&identity, PermissionsExt::from_mode(0o600)).unwrap();
    let key = String::from_utf8(right.clone()).unwrap();
    let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY")).unwrap();
    for (text, word) in [
        ("", "no age identity"),
        ("# only a comment\n", "no age identity"),
        ("not a key\n", "line 1"),
        (&format!("# a comment\n\n{}\n", key.replace("AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1Q")), "line 3"),
        (&format!("{key} and more\n"), "line 1"),
    ] {
        fs::write(&identity, text).unwrap();
        kit.refuses(&[], 4, &[word]);
        let output = kit.mount(&[]).output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stderr).contains(&key[20..40]), "{output:?}");
    }
    fs::write(&identity, right).unwrap();
    fs::write(kit.path("identity.stores"), "something else\n").unwrap();
    kit.refuses(&[], 4, &["identity.stores", "line 1"]);
}

fn a_fingerprint_stands_in_for_the_record() {
    let kit = Kit::with_store();
    let known = fs::read_to_string(kit.path("identity.stores")).unwrap();
    let fingerprint = known.lines().last().unwrap().split(' ').nth(1).unwrap().to_owned();
    fs::remove_file(kit.path("identity.stores")).unwrap();
    kit.refuses(&[], 4, &["--fingerprint", "identity.stores"]);
    kit.refuses(&["--create"], 4, &["--fingerprint"]);
    kit.mounts(&["--fingerprint", &fingerprint]);
    assert_eq!(fs::read(kit.path("keys/prod/variables/k")).unwrap(), b"kept");
    kit.unmounts();
    fails(&kit.mount(&["--fingerprint", "short"]).output().unwrap(), 2, &["fingerprint"]);
}

fn a_store_in_use_is_refused() {
    let kit = Kit::with_store();
    kit.mounts(&[]);
    let pid = daemon(&kit.path("keys"));
    fs::create_dir(kit.path("second")).unwrap();
    let mut command = Command::new(KEYFS);
    command.arg("mount").arg("--store").arg(kit.path("store.redb")).arg("--identity").arg(kit.path("identity"));
    let output = command.arg(kit.path("second")).env_remove("RUST_LOG").output().unwrap();
    fails(&output, 5, &["in use", &pid.to_string()]);
    assert_eq!(fs::read(kit.path("keys/prod/variables/k")).unwrap(), b"kept");
    kit.unmounts();
    kit.mounts(&[]);
}

fn what_is_no_store_is_refused() {
    let kit = Kit::with_store();
    let store = kit.path("store.redb");
    for content in [b"".as_slice(), b"not a store\n", &[0; 65536], b"SQLite format 3\0 and so on"] {
        fs::write(&store, content).unwrap();
        kit.refuses(&[], 6, &["store.redb", "not a keyfs store"]);
        kit.refuses(&["--create"], 6, &["store.redb"]);
    }
    // A database of the same kind, of somebody else's.
    fs::remove_file(&store).unwrap();
    let table: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("theirs");
    let database = redb::Database::create(&store).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert("a", 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    kit.refuses(&[], 6, &["not a keyfs store"]);
    fs::remove_file(&store).unwrap();
    fs::create_dir(&store).unwrap();
    let output = kit.mount(&[]).output().unwrap();
    fails(&output, output.status.code().unwrap(), &["store.redb"]);
    assert!(matches!(output.status.code(), Some(1 | 6)), "{output:?}");
}

fn a_newer_format_is_refused() {
    use redb::ReadableTable;
    let kit = Kit::with_store();
    let about: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("keyfs.about");
    let database = redb::Database::open(kit.path("store.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(about).unwrap();
        let mut format = table.get("format").unwrap().unwrap().value().to_vec();
        *format.last_mut().unwrap() += 1;
        table.insert("format", format.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    kit.refuses(&[], 6, &["format", "later"]);
    kit.refuses(&["--create"], 6, &["format"]);
}

fn a_mount_point_that_is_none_is_refused() {
    let kit = Kit::with_store();
    fs::remove_dir(kit.path("keys")).unwrap();
    kit.refuses(&[], 8, &["no such directory", "mkdir -p"]);
    fs::write(kit.path("keys"), "a file").unwrap();
    kit.refuses(&[], 8, &["not a directory"]);
    kit.refuses(&["--create"], 8, &["not a directory"]);
    fs::remove_file(kit.path("keys")).unwrap();
    std::os::unix::fs::symlink(kit.path("nowhere"), kit.path("keys")).unwrap();
    kit.refuses(&[], 8, &["no such directory"]);
    // A symbolic link to a directory is as good as that.
    fs::create_dir(kit.path("real")).unwrap();
    fs::remove_file(kit.path("keys")).unwrap();
    std::os::unix::fs::symlink(kit.path("real"), kit.path("keys")).unwrap();
    kit.mounts(&[]);
    assert!(kit.path("real/prod").is_dir());
    kit.unmounts();
    assert!(!kit.path("real/prod").exists());
}

fn a_mount_point_in_use_is_refused() {
    let kit = Kit::with_store();
    kit.mounts(&[]);
    let other = Kit::with_store();
    let mut command = Command::new(KEYFS);
    command.arg("mount").arg("--store").arg(other.path("store.redb")).arg("--identity").arg(other.path("identity"));
    other.refuses_by(command.arg(kit.path("keys")), 8, &["fuse.keyfs", "unmount"]);
    run(Command::new("mount").args(["-t", "tmpfs", "keyfs-test"]).arg(other.path("keys")));
    other.refuses(&[], 8, &["tmpfs", "mounted there already"]);
    run(Command::new("umount").arg(other.path("keys")));
    // A directory of the mount is a mount point like any other.
    assert_eq!(fs::read(kit.path("keys/prod/variables/k")).unwrap(), b"kept");
}

fn a_stale_mount_is_cleared() {
    let kit = Kit::with_store();
    for look in [false, true] {
        kit.mounts(&[]);
        fs::write(kit.path("keys/prod/variables/k"), format!("kept {look}")).unwrap();
        if look {
            // What the kernel remembers of it then.
            run(Command::new("ls").arg("-la").arg(kit.path("keys")));
        }
        let pid = daemon(&kit.path("keys"));
        run(Command::new("kill").args(["-s", "KILL", &pid.to_string()]));
        wait_for("the daemon's end", || has_ended(pid));
        fails(&keyfs(&["status", kit.path("keys").to_str().unwrap()]), 10, &["gone"]);
        let said = kit.mounts(&[]);
        assert!(said.contains("cleared"), "{said}");
        assert_eq!(fs::read(kit.path("keys/prod/variables/k")).unwrap(), format!("kept {look}").as_bytes());
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert_eq!(table.matches(kit.path("keys").to_str().unwrap()).count(), 1, "{table}");
        kit.unmounts();
    }
}

fn an_environment_that_is_not_there_is_refused() {
    let kit = Kit::with_store();
    let output = kit.mount(&["--env", "stage"]).output().unwrap();
    fails(&output, 3, &["stage", "dev, pre, prod", "--create"]);
    for wrong in ["", ".hidden", "a/b", "..", "."] {
        fails(&kit.mount(&["--env", wrong]).output().unwrap(), 2, &["--env"]);
    }
    kit.mounts(&["--env", "prod"]);
    assert_eq!(fs::read(kit.path("keys/variables/k")).unwrap(), b"kept");
}

fn without_fuse_it_says_what_to_do() {
    let kit = Kit::with_store();
    // A machine without the device: a /dev of its own with hardly anything in it.
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs keyfs-test /dev && mknod -m 666 /dev/null c 1 3 && exec \"$@\"";
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh", KEYFS, "mount"]);
    command.arg("--store").arg(kit.path("store.redb")).arg("--identity").arg(kit.path("identity"));
    command.arg(kit.path("keys")).env_remove("RUST_LOG").stdin(Stdio::null());
    kit.refuses_by(&mut command, 9, &["/dev/fuse", "modprobe fuse"]);
}

fn a_device_that_is_closed_to_the_user_is_said_to_be() {
    let kit = Kit::with_store();
    let device = kit.path("fuse");
    run(Command::new("mknod").args(["-m", "600"]).arg(&device).args(["c", "10", "229"]));
    // The program stands where everybody can run it.
    fs::copy(KEYFS, kit.path("keyfs")).unwrap();
    fs::set_permissions(kit.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let script = r#"mount --bind "$1" /dev/fuse && cd "$2" && exec setpriv --reuid=20001 --regid=20001 --clear-groups \
        ./keyfs mount --create --store "$2/none/store" --identity "$2/none/identity" "$2/keys""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]).arg(&device).arg(kit.path(""));
    kit.refuses_by(command.env_remove("RUST_LOG").stdin(Stdio::null()), 9, &["/dev/fuse", "chmod 666"]);
}

fn an_audit_log_that_can_not_be_written_is_refused() {
    let kit = Kit::with_store();
    let log = kit.path("none/audit.jsonl");
    let output = kit.mount(&["--audit", log.to_str().unwrap()]).output().unwrap();
    fails(&output, 1, &["audit log", log.to_str().unwrap()]);
    assert!(fs::read_dir(kit.path("keys")).unwrap().next().is_none());
}

fn in_the_background_it_lets_go() {
    let kit = Kit::with_store();
    // A shell waits here until nobody has the other end of the pipes any longer.
    let script = "said=$(\"$@\" 2>&1) || exit; echo \"[$said]\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", KEYFS, "mount", "--background"]);
    command.arg("--store").arg(kit.path("store.redb")).arg("--identity").arg(kit.path("identity"));
    let said = run(command.arg("--").arg(kit.path("keys")).current_dir(kit.path("")));
    assert!(said.starts_with("[keyfs: mounted ") && said.trim_end().ends_with(']'), "{said}");
    // It answers by now, in a session of its own, in no directory that somebody may want to unmount.
    assert_eq!(fs::read(kit.path("keys/prod/variables/k")).unwrap(), b"kept");
    let pid = daemon(&kit.path("keys"));
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/"));
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert_eq!(stat.rsplit_once(") ").unwrap().1.split(' ').nth(3), Some(pid.to_string().as_str()));
    assert_eq!(fs::read_link(format!("/proc/{pid}/fd/0")).unwrap(), Path::new("/dev/null"));
    kit.unmounts();
    assert!(has_ended(pid));
}

fn in_the_background_it_logs_to_a_file() {
    let kit = Kit::with_store();
    kit.mounts(&[]);
    assert!(kit.path("store.log").is_file());
    kit.unmounts();
    let log = kit.path("elsewhere.log");
    let output =
        kit.mount(&["--background", "--log", log.to_str().unwrap()]).env("RUST_LOG", "keyfs=debug").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // A request that is refused is a line at that level.
    assert!(fs::remove_dir(kit.path("keys/prod/variables")).is_err());
    kit.unmounts();
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("DEBUG") && text.contains("Rmdir"), "{text}");
    assert_eq!(log.metadata().unwrap().mode() & 0o077, 0);
}

fn in_the_background_it_says_so_when_it_can_not_log() {
    let kit = Kit::with_store();
    let log = kit.path("none/keyfs.log");
    let output = kit.mount(&["--background", "--log", log.to_str().unwrap()]).output().unwrap();
    fails(&output, 1, &["none/keyfs.log", "can't be opened"]);
    assert!(fs::read_dir(kit.path("keys")).unwrap().next().is_none(), "nothing is left mounted");
    kit.mounts(&[]);
}

fn nobody_has_to_listen() {
    let kit = Kit::with_store();
    let mut daemon = kit.mount(&[]).stdout(Stdio::piped()).spawn().unwrap();
    drop(daemon.stdout.take());
    wait_for("the mount", || kit.path("keys/prod").is_dir());
    assert_eq!(fs::read(kit.path("keys/prod/variables/k")).unwrap(), b"kept");
    kit.unmounts();
    assert!(daemon.wait().unwrap().success());
}

fn in_the_foreground_it_ends_on_a_signal() {
    let kit = Kit::with_store();
    for signal in ["INT", "TERM"] {
        let mut daemon = kit.mount(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("the mount", || kit.path("keys/prod").is_dir());
        run(Command::new("kill").args(["-s", signal, &daemon.id().to_string()]));
        assert!(daemon.wait().unwrap().success());
        let mut stderr = String::new();
        std::io::Read::read_to_string(&mut daemon.stderr.take().unwrap(), &mut stderr).unwrap();
        assert_eq!(stderr, "");
        assert!(!kit.path("keys/prod").exists());
    }
}

fn values_have_the_limit_that_is_given() {
    let kit = Kit::with_store();
    kit.mounts(&["--value-limit", "1000"]);
    fs::write(kit.path("keys/prod/variables/k"), vec![b'x'; 1000]).unwrap();
    let error = fs::write(kit.path("keys/prod/variables/k"), vec![b'y'; 1001]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(27), "EFBIG");
    assert_eq!(fs::read(kit.path("keys/prod/variables/k")).unwrap(), vec![b'x'; 1000]);
    kit.unmounts();
    for wrong in ["0", "-1", "x", "16777217"] {
        fails(&kit.mount(&[&format!("--value-limit={wrong}")]).output().unwrap(), 2, &["value-limit"]);
    }
}
