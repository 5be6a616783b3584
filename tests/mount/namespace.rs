//! Environments, their two trees, names, and what can't be there.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::Case;
use crate::alike::{alike, in_keyfs};
use crate::fixture::{ALICE, Mount, PAYMENTS, User, errno, run};

pub const CASES: &[Case] = &[
    ("environments_at_creation", environments_at_creation),
    ("mkdir_and_rmdir_of_environments", mkdir_and_rmdir_of_environments),
    ("nothing_stands_beside_environments_and_trees", nothing_stands_beside_environments_and_trees),
    ("an_environment_belongs_to_its_maker", an_environment_belongs_to_its_maker),
    ("one_environment_mounted", one_environment_mounted),
    ("names_as_anywhere", names_as_anywhere),
    ("names_are_utf8", names_are_utf8),
    ("a_key_of_4095_bytes", a_key_of_4095_bytes),
    ("a_key_is_a_file_or_a_directory", a_key_is_a_file_or_a_directory),
    ("one_name_and_one_meaning", one_name_and_one_meaning),
    ("no_move_between_trees", no_move_between_trees),
    ("control_files_are_not_listed", control_files_are_not_listed),
];

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn environments_at_creation() {
    let mount = Mount::new();
    assert_eq!(names(&mount.root()), ["dev", "pre", "prod"]);
    assert_eq!(fs::metadata(mount.root()).unwrap().nlink(), 5);
    for environment in ["dev", "pre", "prod"] {
        assert_eq!(names(&mount.path(environment)), ["secrets", "variables"]);
        let found = fs::metadata(mount.path(environment)).unwrap();
        assert_eq!((found.mode() & 0o7777, found.uid(), found.nlink()), (0o755, 0, 4));
        for tree in ["secrets", "variables"] {
            let root = mount.path(environment).join(tree);
            let found = fs::metadata(&root).unwrap();
            // Not sticky, or `echo v > key` would fail for a group's writer under fs.protected_regular.
            assert_eq!((found.mode() & 0o7777, found.uid(), found.nlink()), (0o777, 0, 2));
            assert!(names(&root).is_empty());
        }
    }
}

fn mkdir_and_rmdir_of_environments() {
    let mut mount = Mount::new();
    fs::create_dir(mount.path("staging")).unwrap();
    assert_eq!(names(&mount.root()), ["dev", "pre", "prod", "staging"]);
    assert_eq!(names(&mount.path("staging")), ["secrets", "variables"]);
    assert_eq!(fs::metadata(mount.path("staging")).unwrap().nlink(), 4);
    assert_eq!(fs::metadata(mount.root()).unwrap().nlink(), 6);
    assert_eq!(errno(fs::create_dir(mount.path("staging"))), libc::EEXIST);

    for below in ["staging/variables/a", "staging/secrets/a"] {
        mount.put(below, "1");
        assert_eq!(errno(fs::remove_dir(mount.path("staging"))), libc::ENOTEMPTY);
        fs::remove_file(mount.path(below)).unwrap();
    }
    mount.mkdir("staging/variables/d");
    assert_eq!(errno(fs::remove_dir(mount.path("staging"))), libc::ENOTEMPTY);
    fs::remove_dir(mount.path("staging/variables/d")).unwrap();

    mount.restart();
    assert_eq!(names(&mount.root()), ["dev", "pre", "prod", "staging"]);
    fs::remove_dir(mount.path("staging")).unwrap();
    assert_eq!(names(&mount.root()), ["dev", "pre", "prod"]);
    assert_eq!(fs::metadata(mount.root()).unwrap().nlink(), 5);
    for gone in ["staging", "staging/variables", "staging/secrets"] {
        assert_eq!(errno(fs::metadata(mount.path(gone))), libc::ENOENT);
    }
    // The name is free again, and nothing of before comes back.
    fs::create_dir(mount.path("staging")).unwrap();
    assert!(names(&mount.path("staging/variables")).is_empty());
    // Those of the beginning are environments like any other.
    fs::remove_dir(mount.path("pre")).unwrap();
    mount.restart();
    assert_eq!(names(&mount.root()), ["dev", "prod", "staging"]);
}

fn nothing_stands_beside_environments_and_trees() {
    let mount = Mount::new();
    // In the root: no files, and no environment whose name begins with a dot.
    assert_eq!(errno(fs::write(mount.path("file"), "1")), libc::EPERM);
    for reserved in [".hidden", ".keyfs2", "..."] {
        assert_eq!(errno(fs::create_dir(mount.path(reserved))), libc::EPERM, "{reserved}");
        assert_eq!(errno(fs::write(mount.path(reserved), "1")), libc::EPERM, "{reserved}");
    }
    assert_eq!(errno(fs::create_dir(mount.path(".keyfs"))), libc::EEXIST);
    // In an environment: nothing but its trees.
    assert_eq!(errno(fs::write(mount.path("dev/file"), "1")), libc::EPERM);
    assert_eq!(errno(fs::create_dir(mount.path("dev/other"))), libc::EPERM);
    assert_eq!(errno(fs::create_dir(mount.path("dev/variables"))), libc::EEXIST);
    // Trees and environments keep their names, and a tree goes with its environment alone.
    assert_eq!(errno(fs::remove_dir(mount.path("dev/variables"))), libc::EPERM);
    assert_eq!(errno(fs::rename(mount.path("dev/variables"), mount.path("dev/values"))), libc::EPERM);
    assert_eq!(errno(fs::rename(mount.path("dev"), mount.path("development"))), libc::EPERM);
    assert_eq!(errno(fs::rename(mount.path("dev"), mount.path("prod/variables/dev"))), libc::EPERM);
    assert_eq!(errno(fs::rename(mount.path("dev/variables"), mount.path("dev/secrets/v"))), libc::EPERM);
    assert_eq!(errno(fs::rename(mount.path(".keyfs"), mount.path("dev/variables/k"))), libc::EPERM);
    mount.mkdir("dev/variables/d");
    assert_eq!(errno(fs::rename(mount.path("dev/variables/d"), mount.path("d"))), libc::EPERM);
    assert_eq!(errno(fs::rename(mount.path("dev/variables/d"), mount.path("dev/d"))), libc::EPERM);
    // Below a tree a dot is a letter like any other.
    mount.put("dev/variables/.keyfs", "1");
    mount.mkdir("dev/variables/.config");
    assert_eq!(names(&mount.path("dev/variables")), [".config", ".keyfs", "d"]);
}

fn an_environment_belongs_to_its_maker() {
    let mount = Mount::new();
    let alice = User(ALICE, ALICE, &[PAYMENTS]);
    let refused = alice.command("mkdir").arg(mount.path("mine")).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Permission denied"));
    let refused = alice.command("rmdir").arg(mount.path("pre")).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Permission denied"));
    // Once the root lets a group in, what its members make is theirs.
    run(Command::new("chgrp").arg(PAYMENTS.to_string()).arg(mount.root()));
    run(Command::new("chmod").arg("775").arg(mount.root()));
    run(alice.command("mkdir").arg(mount.path("mine")));
    for below in ["mine", "mine/variables", "mine/secrets"] {
        let found = fs::metadata(mount.path(below)).unwrap();
        assert_eq!((found.uid(), found.gid()), (ALICE, ALICE), "{below}");
    }
    run(alice.command("rmdir").arg(mount.path("mine")));
    assert_eq!(errno(fs::metadata(mount.path("mine"))), libc::ENOENT);
}

fn one_environment_mounted() {
    let mut mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put("prod/secrets/db/password", "s3cret\n");
    mount.put("dev/variables/only", "dev\n");
    assert!(mount.end("TERM").success());

    mount.set_arguments(&["--env", "prod"]);
    mount.start();
    assert_eq!(names(&mount.root()), ["secrets", "variables"]);
    assert_eq!(fs::metadata(mount.root()).unwrap().nlink(), 4);
    assert_eq!(mount.get("secrets/db/password"), b"s3cret\n");
    mount.put("variables/retries", "5\n");
    assert!(names(&mount.path("secrets")).contains(&"db".to_owned()));
    // The trees stand alone here too.
    assert_eq!(errno(fs::create_dir(mount.path("dev"))), libc::EPERM);
    assert_eq!(errno(fs::write(mount.path("file"), "1")), libc::EPERM);
    assert_eq!(errno(fs::remove_dir(mount.path("variables"))), libc::EPERM);
    let moved = fs::rename(mount.path("variables/retries"), mount.path("secrets/retries"));
    assert_eq!(errno(moved), libc::EXDEV);
    // Control files are there, without the environment's part.
    assert!(mount.get(".keyfs/status").starts_with(b"{"));
    assert_eq!(names(&mount.path(".keyfs/history")), ["secrets", "variables"]);
    assert_eq!(mount.get(".keyfs/history/variables/retries/1"), b"5\n");
    assert!(mount.end("TERM").success());

    // An environment that is missing is made.
    mount.set_arguments(&["--env", "lab"]);
    mount.start();
    assert_eq!(names(&mount.root()), ["secrets", "variables"]);
    assert!(mount.end("TERM").success());

    mount.set_arguments(&[]);
    mount.start();
    assert_eq!(names(&mount.root()), ["dev", "lab", "pre", "prod"]);
    assert_eq!(mount.get("prod/variables/retries"), b"5\n");
    assert_eq!(mount.get("dev/variables/only"), b"dev\n");
}

fn names_as_anywhere() {
    alike(
        r#"
long = "n" * 255
for name in [long, "é" * 127, "with space", "line\nbreak", "-dash", "'quoted'", "{}", "\t", "..." , "\x01", "%s"]:
    put(name, b"1")
    expect(repr(name)[:20], b"1", get, name)
    os.mkdir(name[:100] + "d")
show("list", names)
for call in (put, lambda name, _: os.mkdir(name), lambda name, _: os.stat(name), lambda name, _: os.unlink(name),
             lambda name, _: os.rename(long, name)):
    expect("256 bytes", "ENAMETOOLONG", call, "n" * 256, b"1")
expect("256 bytes of two each", "ENAMETOOLONG", put, "é" * 128, b"1")
# Neither case nor composition is folded.
put("Key", b"upper"), put("key", b"lower"), put("\u00e9", b"composed"), put("e\u0301", b"decomposed")
expect("case", (b"upper", b"lower"), lambda: (get("Key"), get("key")))
expect("composition", (b"composed", b"decomposed"), lambda: (get("\u00e9"), get("e\u0301")))
# Dots and slashes.
os.mkdir("d")
expect("mkdir .", "EEXIST", os.mkdir, ".")
expect("mkdir ..", "EEXIST", os.mkdir, "..")
expect("rmdir .", "EINVAL", os.rmdir, "d/.")
expect("rmdir ..", "ENOTEMPTY", os.rmdir, "d/..")
show("unlink .", os.unlink, "d/.")
show("rename .", os.rename, "d/.", "e")
show("rename to ..", os.rename, "d", "d/..")
expect("slash behind a key", "ENOTDIR", os.stat, "key/")
expect("open with a slash", "ENOTDIR", opened, "key/", RDONLY)
expect("create with a slash", "EISDIR", opened, "new/", WRONLY | CREAT)
show("mkdir with a slash", os.mkdir, "e/")
expect("missing", "ENOENT", os.stat, "missing")
expect("missing directory", "ENOENT", put, "missing/key", b"1")
expect("empty name", "ENOENT", os.stat, "")
expect("below a key", "ENOTDIR", put, "key/below", b"1")
show("list", names)
"#,
    );
}

fn names_are_utf8() {
    let mount = Mount::new();
    for below in ["dev/variables/u", "dev/secrets/u"] {
        in_keyfs(
            &mount,
            below,
            r#"
put("good", b"1"), os.mkdir("d")
for name in [b"\xff", b"caf\xe9", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"x\xf5\x80\x80\x80"]:
    expect("create", "EILSEQ", put, name, b"1")
    expect("mkdir", "EILSEQ", os.mkdir, name)
    expect("stat", "EILSEQ", os.stat, name)
    expect("rename to", "EILSEQ", os.rename, b"good", name)
    expect("rename of a directory", "EILSEQ", os.rename, b"d", name)
    expect("mknod", "EILSEQ", os.mknod, name)
expect("nothing came of it", ["d", "good"], names)
"#,
        );
    }
    assert_eq!(errno(fs::create_dir(mount.root().join(not_utf8()))), libc::EILSEQ);
}

fn not_utf8() -> std::ffi::OsString {
    std::os::unix::ffi::OsStringExt::from_vec(vec![b'e', 0xff])
}

fn a_key_of_4095_bytes() {
    let mut mount = Mount::new();
    let build = r#"
def put_at(directory, name, value):
    handle = os.open(name, WRONLY | CREAT | TRUNC, 0o600, dir_fd=directory)
    os.write(handle, value)
    os.close(handle)

def get_at(directory, name):
    handle = os.open(name, RDONLY, dir_fd=directory)
    value = whole(handle)
    os.close(handle)
    return value

# 15 names of 255 bytes and their slashes are 3,840 bytes, so 255 are left for the last.
directories = [f"{place:02}" + "d" * 253 for place in range(15)]
"#;
    let make = r#"
deep = descend(directories, True)
expect("a byte too many at once", "ENAMETOOLONG", put_at, deep, "k" * 256, b"1")
put_at(deep, "k" * 255, b"deep")
put_at(deep, "short", b"rename me")
os.mkdir("d" * 250, dir_fd=deep)
below = os.open("d" * 250, RDONLY | os.O_DIRECTORY, dir_fd=deep)
put_at(below, "kkkk", b"4095")
expect("a key of 4,096 bytes", "ENAMETOOLONG", put_at, below, "k" * 5, b"1")
expect("a directory of 4,096 bytes", "ENAMETOOLONG", os.mkdir, "k" * 5, dir_fd=below)
expect("a file of 4,096 bytes", "ENAMETOOLONG", os.mknod, "k" * 5, dir_fd=below)
expect("renamed to 4,096 bytes", "ENAMETOOLONG", os.rename, "short", "k" * 5, src_dir_fd=deep, dst_dir_fd=below)
expect("renamed within its length", None, os.rename, "short", "kkk", src_dir_fd=deep, dst_dir_fd=below)
"#;
    let read = r#"
deep = descend(directories, False)
below = os.open("d" * 250, RDONLY | os.O_DIRECTORY, dir_fd=deep)
expect("read", b"deep", get_at, deep, "k" * 255)
expect("read", b"4095", get_at, below, "kkkk")
expect("read", b"rename me", get_at, below, "kkk")
"#;
    for tree in ["dev/variables", "dev/secrets"] {
        in_keyfs(&mount, tree, &format!("{build}{make}{read}"));
    }
    mount.restart();
    for tree in ["dev/variables", "dev/secrets"] {
        in_keyfs(&mount, tree, &format!("{build}{read}"));
    }
}

fn a_key_is_a_file_or_a_directory() {
    alike(
        r#"
put("key", b"1"), os.mkdir("d"), put("d/inner", b"2"), os.mkdir("empty")
expect("mkdir over a key", "EEXIST", os.mkdir, "key")
expect("mkdir over a directory", "EEXIST", os.mkdir, "d")
expect("write a directory", "EISDIR", opened, "d", WRONLY)
expect("read and write a directory", "EISDIR", opened, "d", RDWR)
expect("create over a directory", "EISDIR", opened, "d", WRONLY | CREAT)
expect("create only over a directory", "EEXIST", opened, "d", WRONLY | CREAT | EXCL)
expect("truncate a directory", "EISDIR", os.truncate, "d", 0)
expect("unlink a directory", "EISDIR", os.unlink, "empty")
expect("rmdir of a key", "ENOTDIR", os.rmdir, "key")
expect("rmdir of a full one", "ENOTEMPTY", os.rmdir, "d")
expect("rmdir of none", "ENOENT", os.rmdir, "none")
expect("unlink of none", "ENOENT", os.unlink, "none")
expect("a key below a key", "ENOTDIR", put, "key/below", b"1")
expect("stat below a key", "ENOTDIR", os.stat, "key/below")
expect("list a key", "ENOTDIR", os.listdir, "key")
expect("as a directory", "ENOTDIR", opened, "key", RDONLY | os.O_DIRECTORY)
def read_directory():
    handle = os.open("d", RDONLY)
    try:
        return os.read(handle, 1)
    finally:
        os.close(handle)
expect("read a directory", "EISDIR", read_directory)
expect("key over a directory", "EISDIR", os.rename, "key", "empty")
expect("directory over a key", "ENOTDIR", os.rename, "empty", "key")
expect("readlink of a key", "EINVAL", os.readlink, "key")
# A name may be one first and the other later.
os.unlink("key"), os.mkdir("key"), put("key/below", b"3")
expect("below", b"3", get, "key/below")
os.unlink("key/below"), os.rmdir("key"), put("key", b"4")
expect("again a key", b"4", get, "key")
"#,
    );
}

fn one_name_and_one_meaning() {
    let mount = Mount::new();
    let text = r#"
put("key", b"1")
expect("symbolic link", "EPERM", os.symlink, "key", "other")
expect("dangling link", "EPERM", os.symlink, "/nowhere", "other")
expect("hard link", "EPERM", os.link, "key", "other")
expect("fifo", "EPERM", os.mkfifo, "other")
expect("character device", "EPERM", os.mknod, "other", stat.S_IFCHR | 0o600, os.makedev(1, 3))
expect("block device", "EPERM", os.mknod, "other", stat.S_IFBLK | 0o600, os.makedev(7, 0))
expect("socket", "EPERM", os.mknod, "other", stat.S_IFSOCK | 0o600)
expect("bound socket", "EPERM", socket.socket(socket.AF_UNIX).bind, "other")
expect("file without a name", "ENOTSUP", opened, ".", RDWR | os.O_TMPFILE)
expect("whiteout", "EINVAL", rename, "key", "other", WHITEOUT)
expect("nothing came of it", ["key"], names)
# An ordinary file may be made this way.
os.mknod("plain", 0o640)
expect("made", (0o100640, 0), lambda: (os.stat("plain").st_mode, size("plain")))
expect("again", "EEXIST", os.mknod, "plain")
"#;
    for below in ["dev/variables/l", "dev/secrets/l"] {
        in_keyfs(&mount, below, text);
    }
    for above in ["", "dev"] {
        let links = std::os::unix::fs::symlink("/etc/hosts", mount.path(above).join("link"));
        assert_eq!(errno(links), libc::EPERM);
        let out = Command::new("mkfifo").arg(mount.path(above).join("fifo")).output().unwrap();
        assert!(String::from_utf8_lossy(&out.stderr).contains("Operation not permitted"), "{out:?}");
    }
}

fn no_move_between_trees() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/d");
    mount.put("dev/variables/d/inner", "inner");
    let pairs = [
        ("dev/variables/key", "dev/secrets/key"),
        ("dev/secrets/other", "dev/variables/other"),
        ("dev/variables/key", "prod/variables/key"),
        ("dev/secrets/other", "prod/secrets/other"),
    ];
    for (from, to) in pairs {
        for below in [from, to] {
            let _ = fs::remove_file(mount.path(below));
        }
        mount.put(from, "value\n");
        mount.own(from, 0, 0, 0o644);
        let (source, target) = (mount.path(from), mount.path(to));
        assert_eq!(errno(fs::rename(&source, &target)), libc::EXDEV, "{from} to {to}");
        mount.put(to, "there");
        let program = format!(
            "expect('exchange', 'EXDEV', rename, {source:?}, {target:?}, EXCHANGE)\n\
             expect('unless there', 'EXDEV', lambda: (os.unlink({target:?}), rename({source:?}, {target:?}, NOREPLACE)))"
        );
        in_keyfs(&mount, "dev/variables", &program);
        // So `mv` copies, and the copy is as a new entry there.
        run(Command::new("mv").arg(&source).arg(&target));
        assert_eq!(mount.get(to), b"value\n");
        assert_eq!(fs::metadata(&source).unwrap_err().kind(), ErrorKind::NotFound);
        // A secret has nothing for others, and what was one got it from nobody since.
        let mode = if from.contains("secrets") || to.contains("secrets") { 0o640 } else { 0o644 };
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, mode);
    }
    let directories = (mount.path("dev/variables/d"), mount.path("dev/secrets/d"));
    assert_eq!(errno(fs::rename(&directories.0, &directories.1)), libc::EXDEV);
    run(Command::new("mv").arg(&directories.0).arg(&directories.1));
    assert_eq!(mount.get("dev/secrets/d/inner"), b"inner");
    assert_eq!(errno(fs::metadata(&directories.0)), libc::ENOENT);
}

fn control_files_are_not_listed() {
    let mount = Mount::new();
    let found = run(Command::new("find").arg(mount.root()));
    assert!(!found.contains(".keyfs"), "{found}");
    let top = mount.path(".keyfs");
    assert!(fs::metadata(&top).unwrap().is_dir());
    let listed = names(&top);
    for name in ["history", "metrics", "status"] {
        assert!(listed.contains(&name.to_owned()), "{listed:?}");
    }
    let status: serde_json::Value = serde_json::from_slice(&mount.get(".keyfs/status")).unwrap();
    assert_eq!(status["mount"], mount.root().to_str().unwrap());
    assert_eq!(errno(fs::write(mount.path(".keyfs/status"), "1")), libc::EACCES);
    assert_eq!(errno(fs::write(mount.path(".keyfs/new"), "1")), libc::EPERM);
    assert_eq!(errno(fs::create_dir(mount.path(".keyfs/new"))), libc::EPERM);
    assert_eq!(errno(fs::remove_file(mount.path(".keyfs/status"))), libc::EPERM);
    assert_eq!(errno(fs::remove_dir(&top)), libc::EPERM);
    assert_eq!(errno(fs::metadata(mount.path(".keyfs/none"))), libc::ENOENT);
    mount.put("dev/variables/k", "1");
    assert_eq!(errno(fs::rename(mount.path("dev/variables/k"), mount.path(".keyfs/k"))), libc::EPERM);
}
