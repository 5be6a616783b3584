//! The group gate for secrets: each rule of docs/permissions.md, allowed and refused, by processes of other users.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::Case;
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, OPS, PAYMENTS, ROOT, User, run, wait_for};
use crate::peer::Peer;

pub const CASES: &[Case] = &[
    ("the_main_job", the_main_job),
    ("a_named_group_reads", a_named_group_reads),
    ("the_mask_counts", the_mask_counts),
    ("the_owner_reads_as_a_member_of_the_owning_group", the_owner_reads_as_a_member_of_the_owning_group),
    ("root_reads_nothing_without_a_group", root_reads_nothing_without_a_group),
    ("no_way_of_reading_goes_around_the_gate", no_way_of_reading_goes_around_the_gate),
    ("every_way_of_reading_is_open_to_the_group", every_way_of_reading_is_open_to_the_group),
    ("a_script_is_run_by_its_group_alone", a_script_is_run_by_its_group_alone),
    ("bits_for_others_are_dropped", bits_for_others_are_dropped),
    ("a_user_entry_is_refused", a_user_entry_is_refused),
    ("a_job_that_rotates_a_secret_cannot_read_it", a_job_that_rotates_a_secret_cannot_read_it),
    ("who_reads_and_writes_may_edit", who_reads_and_writes_may_edit),
    ("who_only_reads_may_not_edit", who_only_reads_may_not_edit),
    ("an_expired_key_does_not_open", an_expired_key_does_not_open),
];

pub const DENIED: &str = "Permission denied";
pub const KEY: &str = "prod/secrets/db/password";
pub const VALUE: &str = "s3cret\n";

/// Somebody in a group that keys are shared with.
const MEMBER: User<'static> = User(ALICE, ALICE, &[OPS, PAYMENTS]);
/// Somebody who is not.
pub const STRANGER: User<'static> = User(BOB, BOB, &[ANALYSTS]);

/// A mount with one secret in it.
pub fn with_secret(owner: u32, group: u32, mode: u32) -> Mount {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put(KEY, VALUE);
    mount.own(KEY, owner, group, mode);
    mount
}

pub fn setfacl(arguments: &[&str], path: &Path) {
    run(Command::new("setfacl").args(arguments).arg(path));
}

fn set_attribute(name: &str, value: &str, path: &Path) {
    run(Command::new("setfattr").args(["-n", name, "-v", value]).arg(path));
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("stat").permissions().mode() & 0o7777
}

fn the_main_job() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let key = mount.path(KEY);
    MEMBER.reads(&key, VALUE);
    User(ALICE, PAYMENTS, &[]).reads(&key, VALUE);
    User(0, 0, &[PAYMENTS]).reads(&key, VALUE);
    ROOT.is_refused(&key, DENIED);
    STRANGER.is_refused(&key, DENIED);
}

fn a_named_group_reads() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let key = mount.path(KEY);
    let analyst = User(BOB, BOB, &[ANALYSTS]);
    analyst.is_refused(&key, DENIED);
    setfacl(&["-m", &format!("g:{ANALYSTS}:r")], &key);
    analyst.reads(&key, VALUE);
    MEMBER.reads(&key, VALUE);
    User(0, 0, &[ANALYSTS]).reads(&key, VALUE);
    ROOT.is_refused(&key, DENIED);
    // An entry that grants something else is none to read.
    setfacl(&["-m", &format!("g:{ANALYSTS}:w")], &key);
    analyst.is_refused(&key, DENIED);
    // The same through the attribute, by somebody who may read and write: it replaces all groups.
    setfacl(&["-b"], &key);
    mount.own(KEY, 0, PAYMENTS, 0o660);
    set_attribute_as(MEMBER, "user.keyfs.groups", &format!("{ANALYSTS}:r,{OPS}:rw"), &key);
    analyst.reads(&key, VALUE);
    MEMBER.reads(&key, VALUE);
    User(ALICE, PAYMENTS, &[]).is_refused(&key, DENIED);
}

#[track_caller]
pub fn set_attribute_as(user: User<'_>, name: &str, value: &str, path: &Path) {
    run(user.command("setfattr").args(["-n", name, "-v", value]).arg(path));
}

fn the_mask_counts() {
    // An owner that is none of those who ask.
    let mount = with_secret(OPS, PAYMENTS, 0o640);
    let key = mount.path(KEY);
    let analyst = User(BOB, BOB, &[ANALYSTS]);
    setfacl(&["-m", &format!("g:{ANALYSTS}:r")], &key);
    // With an ACL, the group bits of the mode are its mask.
    for (way, undo) in [(["-m", "m::w"], ["-m", "m::r"]), (["-m", "m::-"], ["-m", "m::rw"])] {
        setfacl(&way, &key);
        analyst.is_refused(&key, DENIED);
        MEMBER.is_refused(&key, DENIED);
        setfacl(&undo, &key);
        analyst.reads(&key, VALUE);
        MEMBER.reads(&key, VALUE);
    }
    run(Command::new("chmod").arg("g-r").arg(&key));
    analyst.is_refused(&key, DENIED);
    User(0, 0, &[ANALYSTS, PAYMENTS]).is_refused(&key, DENIED);
    run(Command::new("chmod").arg("g+r").arg(&key));
    analyst.reads(&key, VALUE);
}

fn the_owner_reads_as_a_member_of_the_owning_group() {
    let mount = with_secret(ALICE, ALICE, 0o600);
    let key = mount.path(KEY);
    User(ALICE, ALICE, &[]).reads(&key, VALUE);
    User(ALICE, BOB, &[ALICE]).reads(&key, VALUE);
    // The owner in another group, another user in the owning group, root in it.
    User(ALICE, BOB, &[]).is_refused(&key, DENIED);
    User(BOB, ALICE, &[]).is_refused(&key, DENIED);
    User(0, ALICE, &[]).is_refused(&key, DENIED);
    User(0, 0, &[ALICE]).is_refused(&key, DENIED);
    ROOT.is_refused(&key, DENIED);
    // Shared with a group that the owner is not in, the owner alone reads nothing.
    mount.own(KEY, ALICE, PAYMENTS, 0o640);
    User(ALICE, ALICE, &[]).is_refused(&key, DENIED);
    User(ALICE, ALICE, &[PAYMENTS]).reads(&key, VALUE);
    User(BOB, BOB, &[PAYMENTS]).reads(&key, VALUE);
    // Without read for the owner class, the owner is kept out by the kernel, as on any file system.
    mount.own(KEY, ALICE, PAYMENTS, 0o040);
    User(ALICE, ALICE, &[PAYMENTS]).is_refused(&key, DENIED);
    User(BOB, BOB, &[PAYMENTS]).reads(&key, VALUE);
}

fn root_reads_nothing_without_a_group() {
    let mount = with_secret(ALICE, PAYMENTS, 0o640);
    let key = mount.path(KEY);
    ROOT.is_refused(&key, DENIED);
    // Write it may; editing takes reading too.
    assert!(ROOT.sh(&format!("echo new > {0} && printf more >> {0}", key.display())).status.success());
    MEMBER.reads(&key, "new\nmore");
    for (name, value) in [("user.keyfs.groups", "0:rw"), ("user.keyfs.remove", "1")] {
        let refused = ROOT.command("setfattr").args(["-n", name, "-v", value]).arg(&key).output().unwrap();
        assert!(String::from_utf8_lossy(&refused.stderr).contains(DENIED), "{refused:?}");
    }
    // Nor by copying it, by moving it among the variables, or by what the history holds.
    ROOT.is_refused(&mount.path(".keyfs/history/prod/secrets/db/password/1"), DENIED);
    let moved = ROOT.command("mv").arg(&key).arg(mount.path("prod/variables/password")).output().unwrap();
    assert!(!moved.status.success());
    assert!(!mount.path("prod/variables/password").exists() || mount.get("prod/variables/password").is_empty());
    MEMBER.reads(&key, "new\nmore");
    // A new file of root's own is in its group, and opens.
    mount.put("prod/secrets/own", "mine");
    ROOT.reads(&mount.path("prod/secrets/own"), "mine");
}

/// Each way to get at the bytes of `sys.argv[1]`, and what comes of it.
const WAYS: &str = r#"
import errno, mmap, os, sys
path, scratch, below = sys.argv[1:4]
out = os.open(f'{scratch}/out{os.getuid()}', os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
# Between two kinds of file systems the kernel does not copy by itself.
beside = os.open(f'{below}/out{os.getuid()}', os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
def attempt(name, work):
    try:
        print(name, bytes(work()).decode())
    except OSError as error:
        print(name, errno.errorcode[error.errno])
def drained(into, move):
    os.ftruncate(into, 0)
    os.lseek(into, 0, 0)
    while move(into):
        pass
    return os.pread(into, 1000, 0)
def with_open(flags, work):
    def attempt():
        fd = os.open(path, flags)
        try:
            return work(fd)
        finally:
            os.close(fd)
    return attempt
def read(fd):
    return os.read(fd, 1000)
def ways(prefix, flags):
    attempt(prefix + 'read', with_open(flags, read))
    attempt(prefix + 'pread', with_open(flags, lambda fd: os.pread(fd, 1000, 0)))
    attempt(prefix + 'readv', with_open(flags, lambda fd: (lambda buffer: buffer[:os.readv(fd, [buffer])])(bytearray(1000))))
    attempt(prefix + 'mmap', with_open(flags, lambda fd: mmap.mmap(fd, 7, mmap.MAP_PRIVATE, mmap.PROT_READ)[:]))
    attempt(prefix + 'sendfile', with_open(flags, lambda fd: drained(out, lambda into: os.sendfile(into, fd, None, 1000))))
    attempt(prefix + 'copy_file_range', with_open(flags, lambda fd: drained(beside, lambda into: os.copy_file_range(fd, into, 1000))))
    def spliced(fd):
        source, sink = os.pipe()
        os.splice(fd, sink, 1000)
        return os.read(source, 1000)
    if hasattr(os, 'splice'):
        attempt(prefix + 'splice', with_open(flags, spliced))
    again = lambda how: lambda fd: read(os.open(f'/proc/self/fd/{fd}', how))
    attempt(prefix + 'reopen', with_open(flags, again(os.O_RDONLY)))
    attempt(prefix + 'reopen_both', with_open(flags, again(os.O_RDWR)))
ways('reading:', os.O_RDONLY)
ways('both:', os.O_RDWR)
ways('writing:', os.O_WRONLY)
ways('appending:', os.O_WRONLY | os.O_APPEND)
ways('appending_both:', os.O_RDWR | os.O_APPEND)
ways('path:', os.O_PATH)
attempt('cleared:read', with_open(os.O_RDWR | os.O_TRUNC, lambda fd: os.pread(fd, 1000, 0) or b'nothing'))
"#;

/// What comes of each of the ways, with no value of any of them where `opens` is false.
fn ways(mount: &Mount, user: User<'_>) -> Vec<(String, String)> {
    let paths = [mount.path(KEY), scratch(mount), mount.path("dev/variables")];
    let output = user.python(WAYS, &paths.each_ref().map(|path| path.to_str().unwrap()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let pair = |line: &str| line.split_once(' ').map(|(way, came)| (way.to_owned(), came.to_owned())).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(pair).collect()
}

/// A directory of the machine's own that everybody writes in.
pub fn scratch(mount: &Mount) -> std::path::PathBuf {
    let path = mount.home().join("scratch");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o1777)).unwrap();
    path
}

fn no_way_of_reading_goes_around_the_gate() {
    let mount = with_secret(ALICE, PAYMENTS, 0o660);
    for (way, came) in ways(&mount, ROOT) {
        assert!(matches!(came.as_str(), "EACCES" | "EBADF"), "{way}: {came}");
    }
    MEMBER.reads(&mount.path(KEY), VALUE);
    // Somebody whom the kernel refuses already.
    for (way, came) in ways(&mount, STRANGER) {
        assert!(matches!(came.as_str(), "EACCES" | "EBADF"), "{way}: {came}");
    }
    // Somebody who may write and not read.
    setfacl(&["-m", &format!("g:{ANALYSTS}:w,m::rw")], &mount.path(KEY));
    for (way, came) in ways(&mount, STRANGER) {
        assert!(matches!(came.as_str(), "EACCES" | "EBADF"), "{way}: {came}");
    }
    MEMBER.reads(&mount.path(KEY), VALUE);
}

fn every_way_of_reading_is_open_to_the_group() {
    let mount = with_secret(ALICE, PAYMENTS, 0o660);
    mount.put(KEY, "s3cret!");
    let came = ways(&mount, User(BOB, BOB, &[PAYMENTS]));
    for (way, came) in &came {
        let expected = match way.as_str() {
            "cleared:read" => "nothing",
            // To map takes a descriptor that reads.
            "writing:mmap" | "appending:mmap" => "EACCES",
            // From the page cache anybody with a descriptor would get it unasked. Programs read instead.
            "reading:sendfile" | "both:sendfile" | "appending_both:sendfile" => "EINVAL",
            "reading:splice" | "both:splice" | "appending_both:splice" => "EINVAL",
            "reading:copy_file_range" | "both:copy_file_range" | "appending_both:copy_file_range" => "EINVAL",
            way if way.ends_with("reopen") || way.ends_with("reopen_both") => "s3cret!",
            way if way.starts_with("writing:") || way.starts_with("appending:") || way.starts_with("path:") => "EBADF",
            _ => "s3cret!",
        };
        assert_eq!(came, expected, "{way}");
    }
    assert!(came.len() > 48, "{}", came.len());
}

fn a_script_is_run_by_its_group_alone() {
    let mount = with_secret(ALICE, PAYMENTS, 0o750);
    mount.put(KEY, "#!/bin/sh\necho it ran\n");
    let key = mount.path(KEY);
    let ran = |user: User<'_>| user.command(key.to_str().unwrap()).output().unwrap();
    assert_eq!(ran(User(BOB, BOB, &[PAYMENTS])).stdout, b"it ran\n");
    for user in [ROOT, STRANGER, User(ALICE, ALICE, &[])] {
        let refused = ran(user);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(DENIED), "{refused:?}");
    }
}

fn bits_for_others_are_dropped() {
    let mount = Mount::new();
    let made = MEMBER
        .sh(&format!("umask 0; cd {}; echo x > prod/secrets/k; echo x > prod/variables/k", mount.root().display()));
    assert!(made.status.success(), "{made:?}");
    let (secret, variable) = (mount.path("prod/secrets/k"), mount.path("prod/variables/k"));
    assert_eq!((mode(&secret), mode(&variable)), (0o660, 0o666));
    for path in [&secret, &variable] {
        run(Command::new("chmod").arg("0647").arg(path));
    }
    assert_eq!((mode(&secret), mode(&variable)), (0o640, 0o647));
    for path in [&secret, &variable] {
        setfacl(&["-m", &format!("o::rw,g:{OPS}:r")], path);
    }
    assert_eq!((mode(&secret) & 7, mode(&variable) & 7), (0, 6));
    // A default ACL that gives others something gives it to directories and variables.
    for tree in ["secrets", "variables"] {
        mount.mkdir(&format!("prod/{tree}/d"));
        setfacl(&["-m", "d:u::rw,d:g::r,d:o::r"], &mount.path(&format!("prod/{tree}/d")));
        mount.put(&format!("prod/{tree}/d/k"), "x");
    }
    assert_eq!(mode(&mount.path("prod/secrets/d/k")) & 7, 0);
    assert_eq!(mode(&mount.path("prod/variables/d/k")) & 7, 4);
    STRANGER.is_refused(&mount.path("prod/secrets/d/k"), DENIED);
    STRANGER.reads(&mount.path("prod/variables/d/k"), "x");
    // Copied with its mode, it has none of it either.
    std::fs::write(scratch(&mount).join("wide"), "x").unwrap();
    run(Command::new("chmod").arg("0666").arg(mount.home().join("scratch/wide")));
    run(Command::new("cp").arg("-p").arg(mount.home().join("scratch/wide")).arg(mount.path("prod/secrets/wide")));
    assert_eq!(mode(&mount.path("prod/secrets/wide")), 0o660);
}

fn a_user_entry_is_refused() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let key = mount.path(KEY);
    let set = |path: &Path| Command::new("setfacl").arg("-m").arg(format!("u:{BOB}:r")).arg(path).output().unwrap();
    let refused = set(&key);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Invalid argument"), "{refused:?}");
    User(BOB, BOB, &[]).is_refused(&key, DENIED);
    // On a variable and on a directory it means what it means everywhere.
    mount.put("prod/variables/k", "x");
    mount.own("prod/variables/k", 0, 0, 0o600);
    User(BOB, BOB, &[]).is_refused(&mount.path("prod/variables/k"), DENIED);
    assert!(set(&mount.path("prod/variables/k")).status.success());
    User(BOB, BOB, &[]).reads(&mount.path("prod/variables/k"), "x");
    mount.own("prod/secrets/db", 0, 0, 0o700);
    User(BOB, BOB, &[PAYMENTS]).is_refused(&key, DENIED);
    run(Command::new("setfacl").arg("-m").arg(format!("u:{BOB}:x")).arg(mount.path("prod/secrets/db")));
    User(BOB, BOB, &[PAYMENTS]).reads(&key, VALUE);
    User(BOB, BOB, &[]).is_refused(&key, DENIED);
}

fn a_job_that_rotates_a_secret_cannot_read_it() {
    let mount = Mount::new();
    let job = User(BOB, BOB, &[OPS]);
    mount.mkdir("prod/secrets/db");
    // One in a directory, one right below the tree's root, where anybody may add.
    for below in ["prod/secrets/db/token", "prod/secrets/token"] {
        mount.put(below, "first");
        mount.own(below, 0, 0, 0o600);
        let key = mount.path(below);
        setfacl(&["-m", &format!("g:{OPS}:w,g:{PAYMENTS}:r")], &key);
        let path = format!("'{}'", key.display());
        let mut peer = Peer::new(job);
        peer.is(&format!("create({path}, b'second')"), "None");
        MEMBER_OF_PAYMENTS.reads(&key, "second");
        peer.is(&format!("fd = open({path}, O_WRONLY | O_APPEND); write(fd, b' and more'); close(fd)"), "done");
        MEMBER_OF_PAYMENTS.reads(&key, "second and more");
        peer.is(&format!("fd = open({path}, O_WRONLY); pwrite(fd, b'S', 0); close(fd)"), "done");
        MEMBER_OF_PAYMENTS.reads(&key, "Second and more");
        peer.is(&format!("truncate({path}, 6)"), "None");
        MEMBER_OF_PAYMENTS.reads(&key, "Second");
        // What it writes it can't read back, by whatever way.
        peer.is(&format!("open({path}, O_RDONLY)"), "EACCES");
        peer.is(&format!("open({path}, O_RDWR)"), "EACCES");
        peer.is(&format!("fd = open({path}, O_WRONLY)"), "done");
        peer.is("write(fd, b'third'); pread(fd, 10, 0)", "EBADF");
        peer.is("open(f'/proc/self/fd/{fd}', O_RDONLY)", "EACCES");
        peer.is("mapped(fd, 5)", "EACCES");
        peer.is("close(fd)", "None");
        // Nor give itself more, or take it away.
        peer.is(&format!("chmod({path}, 0o660)"), "EPERM");
        peer.is(&format!("chown({path}, -1, {OPS})"), "EPERM");
        peer.is(&format!("getxattr({path}, 'system.posix_acl_access') and setxattr({path}, 'system.posix_acl_access', getxattr({path}, 'system.posix_acl_access'))"), "EPERM");
        peer.is(&format!("setxattr({path}, 'user.keyfs.groups', b'{OPS}:rw')"), "EACCES");
        peer.is(&format!("setxattr({path}, 'user.keyfs.remove', b'1')"), "EACCES");
        let removal = peer.ask(&format!("unlink({path})"));
        assert!(matches!(removal.as_str(), "EACCES" | "EPERM"), "{removal}");
        let moved = peer.ask(&format!("rename({path}, {path} + '2')"));
        assert!(matches!(moved.as_str(), "EACCES" | "EPERM"), "{moved}");
        job.is_refused(&key, DENIED);
        MEMBER_OF_PAYMENTS.reads(&key, "thirdd");
    }
    // Nor take the name over with a file of its own where it may add.
    let mut peer = Peer::new(job);
    let own = mount.path("prod/secrets/own");
    peer.is(&format!("create('{}', b'x')", own.display()), "None");
    peer.is(&format!("rename('{}', '{}')", own.display(), mount.path("prod/secrets/token").display()), "EPERM");
    MEMBER_OF_PAYMENTS.reads(&mount.path("prod/secrets/token"), "thirdd");
}

pub const MEMBER_OF_PAYMENTS: User<'static> = User(ALICE, ALICE, &[PAYMENTS]);

fn who_reads_and_writes_may_edit() {
    let mount = with_secret(0, PAYMENTS, 0o660);
    let key = mount.path(KEY);
    let editor = User(BOB, BOB, &[PAYMENTS]);
    let analyst = User(ALICE, ALICE, &[ANALYSTS]);
    analyst.is_refused(&key, DENIED);
    set_attribute_as(editor, "user.keyfs.groups", &format!("{PAYMENTS}:rw,{ANALYSTS}:r"), &key);
    analyst.reads(&key, VALUE);
    set_attribute_as(editor, "user.keyfs.groups", &format!("{PAYMENTS}:rw"), &key);
    analyst.is_refused(&key, DENIED);
    // A text that is unclear changes nothing.
    for wrong in ["payments", "no-such-group-here:r", &format!("{ANALYSTS}:q"), &format!("{ANALYSTS}:r,{ANALYSTS}:rw")]
    {
        let output =
            editor.command("setfattr").args(["-n", "user.keyfs.groups", "-v", wrong]).arg(&key).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains("Invalid argument"), "{wrong}: {output:?}");
    }
    analyst.is_refused(&key, DENIED);
    editor.reads(&key, VALUE);
    set_attribute_as(editor, "user.keyfs.remove", "1", &key);
    assert!(!key.exists());
    // The same for an entry right below the tree's root, where `unlink` and `rename` ask likewise.
    mount.put("prod/secrets/token", "x");
    mount.own("prod/secrets/token", 0, PAYMENTS, 0o660);
    let token = mount.path("prod/secrets/token");
    for user in [STRANGER, User(BOB, BOB, &[OPS])] {
        assert!(!user.command("rm").arg("-f").arg(&token).output().unwrap().status.success());
    }
    run(editor.command("mv").arg(&token).arg(mount.path("prod/secrets/token2")));
    run(editor.command("rm").arg("-f").arg(mount.path("prod/secrets/token2")));
    assert!(!token.exists() && !mount.path("prod/secrets/token2").exists());
}

fn who_only_reads_may_not_edit() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let path = format!("'{}'", mount.path(KEY).display());
    let mut peer = Peer::new(MEMBER);
    for (name, value) in [("groups", "20102:rw"), ("remove", "1"), ("expires", "2020-01-01T00:00:00Z")] {
        peer.is(&format!("setxattr({path}, 'user.keyfs.{name}', b'{value}')"), "EACCES");
    }
    for name in ["version", "created", "modified", "modified_by", "groups", "expires", "why"] {
        peer.is(&format!("setxattr({path}, 'system.keyfs.{name}', b'1')"), "EPERM");
    }
    peer.is(&format!("open({path}, O_WRONLY)"), "EACCES");
    peer.is(&format!("chmod({path}, 0o660)"), "EPERM");
    // To write all of the classes that it is in, and to read by none of its groups, is not to read.
    mount.own(KEY, ALICE, PAYMENTS, 0o620);
    let path = format!("'{}'", mount.path(KEY).display());
    let mut owner = Peer::new(User(ALICE, ALICE, &[]));
    owner.is(&format!("setxattr({path}, 'user.keyfs.groups', b'{ALICE}:rw')"), "EACCES");
    owner.is(&format!("setxattr({path}, 'user.keyfs.remove', b'1')"), "EACCES");
    owner.is(&format!("open({path}, O_RDONLY)"), "EACCES");
}

fn an_expired_key_does_not_open() {
    let mount = with_secret(0, PAYMENTS, 0o660);
    mount.put("prod/variables/k", "x");
    let user = User(BOB, BOB, &[PAYMENTS]);
    for (below, value) in [(KEY, VALUE), ("prod/variables/k", "x")] {
        mount.own(below, 0, PAYMENTS, 0o660);
        let key = mount.path(below);
        let past = mount.path(&format!(".keyfs/history/{below}/1"));
        let mut holder = Peer::new(user);
        holder.is(&format!("fd = open('{}', O_RDONLY)", key.display()), "done");
        set_attribute_as(user, "user.keyfs.expires", "2199-12-31T23:59:59Z", &key);
        user.reads(&key, value);
        set_attribute_as(user, "user.keyfs.expires", "2020-01-01T00:00:00Z", &key);
        user.is_refused(&key, "Key has expired");
        user.is_refused(&past, "Key has expired");
        holder.is(&format!("open('{}', O_RDWR) ", key.display()), "EKEYEXPIRED");
        // It is there, it can be told from others, and it can be stored anew.
        assert!(
            run(user.command("getfattr").args(["--only-values", "-n", "system.keyfs.expires"]).arg(&key))
                .starts_with("2020-01-01T00:00:00")
        );
        holder.is(&format!("create('{}', b'fresh')", key.display()), "None");
        user.is_refused(&key, "Key has expired");
        run(user.command("setfattr").args(["-x", "user.keyfs.expires"]).arg(&key));
        user.reads(&key, "fresh");
        // A time that is none changes nothing.
        let wrong =
            user.command("setfattr").args(["-n", "user.keyfs.expires", "-v", "tomorrow"]).arg(&key).output().unwrap();
        assert!(String::from_utf8_lossy(&wrong.stderr).contains("Invalid argument"), "{wrong:?}");
        user.reads(&key, "fresh");
    }
    // At the moment itself: what was readable ends to be.
    let soon = run(Command::new("date").args(["-u", "-d", "1 second", "+%Y-%m-%dT%H:%M:%S.%NZ"]));
    set_attribute("user.keyfs.expires", soon.trim(), &mount.path(KEY));
    user.reads(&mount.path(KEY), "fresh");
    wait_for("the expiry", || !user.cat(&mount.path(KEY)).status.success());
    user.is_refused(&mount.path(KEY), "Key has expired");
}
