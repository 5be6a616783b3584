//! `keyfs compact`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::Case;
use crate::fixture::{KEYFS, run};
use crate::kit::{Kit, fails, keyfs};

pub const CASES: &[Case] = &[
    ("a_store_becomes_small_and_stays_whole", a_store_becomes_small_and_stays_whole),
    ("what_is_refused_is_left_as_it_is", what_is_refused_is_left_as_it_is),
    ("it_sees_to_room_before_it_begins", it_sees_to_room_before_it_begins),
    ("a_store_is_whole_whenever_it_is_killed", a_store_is_whole_whenever_it_is_killed),
];

fn compact(store: &Path) -> Output {
    keyfs(&["compact", "--store", store.to_str().unwrap()])
}

fn check(kit: &Kit) -> Output {
    let (store, identity) = (kit.path("store.redb"), kit.path("identity"));
    keyfs(&["check", "--store", store.to_str().unwrap(), "--identity", identity.to_str().unwrap()])
}

/// A store in which much was removed, with `left` keys in it.
fn loose(left: usize) -> Kit {
    let kit = Kit::with_store();
    kit.mounts(&[]);
    let directory = kit.path("keys/dev/variables/d");
    fs::create_dir(&directory).unwrap();
    let value = |number: usize| format!("value {number} ").repeat(400);
    for number in 0..60 + left {
        fs::write(directory.join(number.to_string()), value(number)).unwrap();
    }
    // A removed key keeps its last versions; those that are pushed out are gone.
    for number in 0..20 {
        for _ in 0..12 {
            fs::write(directory.join("often"), value(number)).unwrap();
            fs::write(directory.join("often"), "").unwrap();
        }
    }
    kit.unmounts();
    kit
}

fn names(kit: &Kit) -> Vec<String> {
    let entries = fs::read_dir(kit.path("")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn a_store_becomes_small_and_stays_whole() {
    let kit = loose(40);
    let store = kit.path("store.redb");
    // A link to it stays one, and its owner stays its owner.
    fs::rename(&store, kit.path("real")).unwrap();
    std::os::unix::fs::symlink(kit.path("real"), &store).unwrap();
    chown(kit.path("real"), Some(20_001), Some(20_101)).unwrap();
    fs::set_permissions(kit.path("real"), PermissionsExt::from_mode(0o640)).unwrap();
    let (before, files) = (fs::metadata(&store).unwrap().len(), names(&kit));
    let output = compact(&store);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("MiB before") && told.contains("MiB now"), "{told}");
    let after = fs::metadata(kit.path("real")).unwrap();
    assert!(after.len() < before, "{} of {before}", after.len());
    assert_eq!((after.uid(), after.gid(), after.mode() & 0o7777), (20_001, 20_101, 0o640));
    assert!(store.is_symlink());
    assert_eq!(names(&kit), files);
    assert!(check(&kit).status.success(), "{:?}", check(&kit));
    // Again, there is little to gain, and nothing to lose.
    assert!(compact(&store).status.success());
    assert!(fs::metadata(&store).unwrap().len() <= after.len());
    kit.mounts(&[]);
    assert_eq!(fs::read_to_string(kit.path("keys/dev/variables/d/99")).unwrap(), "value 99 ".repeat(400));
    assert_eq!(fs::read_to_string(kit.path("keys/.keyfs/history/dev/variables/d/often/480")).unwrap(), "");
    fs::write(kit.path("keys/dev/variables/d/99"), "new").unwrap();
    kit.unmounts();
    assert!(check(&kit).status.success());
}

fn what_is_refused_is_left_as_it_is() {
    let kit = Kit::with_store();
    let store = kit.path("store.redb");
    kit.mounts(&[]);
    fails(&compact(&store), 5, &["in use by"]);
    kit.unmounts();
    let whole = fs::read(&store).unwrap();
    let mut damaged = whole.clone();
    for place in (0..damaged.len() - 8).filter(|place| &whole[*place..*place + 4] == b"kept") {
        damaged[place] ^= 1;
    }
    for (bytes, code) in [(damaged.as_slice(), 7), (b"port = 80\n", 6)] {
        fs::write(&store, bytes).unwrap();
        let files = kit.files();
        fails(&compact(&store), code, &["store.redb"]);
        assert!(kit.files() == files);
    }
    fs::remove_file(&store).unwrap();
    fails(&compact(&store), 3, &["there is no"]);
}

/// A small file system of its own, unmounted when it goes.
struct Small(std::path::PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).stderr(Stdio::null()).status();
    }
}

fn it_sees_to_room_before_it_begins() {
    let kit = loose(0);
    let place = kit.path("small");
    fs::create_dir(&place).unwrap();
    let size = fs::metadata(kit.path("store.redb")).unwrap().len() + (2 << 20);
    run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "keyfs-test"]).arg(&place));
    let _small = Small(place.clone());
    let store = place.join("store.redb");
    fs::copy(kit.path("store.redb"), &store).unwrap();
    let before = fs::read(&store).unwrap();
    fails(&compact(&store), 1, &["packing it takes", "MiB are free"]);
    assert!(fs::read(&store).unwrap() == before);
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
}

fn a_store_is_whole_whenever_it_is_killed() {
    let kit = loose(40);
    let store = kit.path("store.redb");
    let loose = fs::read(&store).unwrap();
    let mut finished = 0;
    for round in 0..24_u64 {
        fs::write(&store, &loose).unwrap();
        let mut command = Command::new(KEYFS);
        command.arg("compact").arg("--store").arg(&store).stdin(Stdio::null()).stdout(Stdio::null());
        let mut process = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(round * 3));
        let _ = process.kill();
        finished += usize::from(process.wait().unwrap().success());
        let output = check(&kit);
        assert!(output.status.success(), "round {round}: {output:?}");
    }
    // What the last one left is no hindrance, and goes.
    fs::write(kit.path("store.redb.compacting"), "left").unwrap();
    fs::write(&store, &loose).unwrap();
    assert!(compact(&store).status.success());
    assert!(!kit.path("store.redb.compacting").exists());
    assert!(finished < 24, "none was killed");
}
