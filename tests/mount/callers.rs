//! Whose groups count: of whoever reads now, through whichever descriptor, from whichever namespace.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Case;
use crate::fixture::{ALICE, ANALYSTS, BOB, KEYFS, Mount, OPS, PAYMENTS, ROOT, User, run, wait_for};
use crate::gate::{DENIED, KEY, MEMBER_OF_PAYMENTS, STRANGER, VALUE, scratch, set_attribute_as, setfacl, with_secret};
use crate::peer::Peer;

pub const CASES: &[Case] = &[
    ("revocation_reaches_an_open_descriptor", revocation_reaches_an_open_descriptor),
    ("a_removed_key_is_not_what_takes_its_name", a_removed_key_is_not_what_takes_its_name),
    ("a_descriptor_passed_on_is_worth_what_its_holder_is", a_descriptor_passed_on_is_worth_what_its_holder_is),
    ("pages_are_no_way_around_the_gate", pages_are_no_way_around_the_gate),
    ("a_descriptor_inherited_is_worth_what_its_holder_is", a_descriptor_inherited_is_worth_what_its_holder_is),
    ("a_process_that_drops_its_groups_reads_no_longer", a_process_that_drops_its_groups_reads_no_longer),
    ("a_thread_that_drops_its_groups_reads_no_longer", a_thread_that_drops_its_groups_reads_no_longer),
    ("a_process_in_a_pid_namespace_keeps_its_groups", a_process_in_a_pid_namespace_keeps_its_groups),
    ("a_foreign_process_has_its_primary_group_alone", a_foreign_process_has_its_primary_group_alone),
    ("a_foreign_proc_is_not_believed", a_foreign_proc_is_not_believed),
    ("a_user_namespace_gives_nothing", a_user_namespace_gives_nothing),
];

fn revocation_reaches_an_open_descriptor() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    let mut reader = Peer::new(MEMBER_OF_PAYMENTS);
    let editor = User(BOB, BOB, &[PAYMENTS]);
    let revoke = |way: &str, key: &Path| match way {
        "chmod" => drop(run(Command::new("chmod").arg("0600").arg(key))),
        "chgrp" => drop(run(Command::new("chgrp").arg(OPS.to_string()).arg(key))),
        "setfacl" => setfacl(&["-m", "g::-"], key),
        "mask" => setfacl(&["-m", &format!("g:{ANALYSTS}:r,m::-")], key),
        "groups" => set_attribute_as(editor, "user.keyfs.groups", &format!("{OPS}:r"), key),
        _ => unreachable!("{way}"),
    };
    for way in ["chmod", "chgrp", "setfacl", "mask", "groups"] {
        let below = format!("prod/secrets/db/{way}");
        mount.put(&below, "s3cret");
        mount.own(&below, 0, PAYMENTS, 0o660);
        let key = mount.path(&below);
        reader.is(&format!("fd = open('{0}', O_RDONLY); both = open('{0}', O_RDWR)", key.display()), "done");
        reader.is("pread(fd, 3, 0), pread(both, 3, 0)", "(b's3c', b's3c')");
        reader.is(
            &format!("past = open('{}/.keyfs/history/{below}/1', O_RDONLY); pread(past, 3, 0)", mount.root().display()),
            "done",
        );
        revoke(way, &key);
        for fd in ["fd", "both", "past"] {
            reader.is(&format!("pread({fd}, 3, 0)"), "EACCES");
        }
        // A mapping that is made now reads nothing either.
        reader.is("forked(lambda: mapped(fd, 3)[0])", "'SIGBUS'");
        // Who is let in again reads on.
        mount.own(&below, 0, PAYMENTS, 0o660);
        if way == "mask" || way == "groups" || way == "setfacl" {
            setfacl(&["-b"], &key);
            mount.own(&below, 0, PAYMENTS, 0o660);
        }
        reader.is("pread(fd, 3, 0)", "b's3c'");
        reader.is("close(fd), close(both), close(past)", "(None, None, None)");
    }
}

fn a_removed_key_is_not_what_takes_its_name() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let key = mount.path(KEY);
    let mut reader = Peer::new(MEMBER_OF_PAYMENTS);
    reader.is(&format!("fd = open('{}', O_RDONLY); pread(fd, 3, 0)", key.display()), "done");
    std::fs::remove_file(&key).unwrap();
    // As on any file system: what is open stays, under the permissions that it had last.
    reader.is("pread(fd, 3, 0)", "b's3c'");
    mount.put(KEY, "other");
    mount.own(KEY, 0, OPS, 0o640);
    reader.is(&format!("open('{}', O_RDONLY)", key.display()), "EACCES");
    let came = reader.ask("pread(fd, 9, 0)");
    assert!(came == "EACCES" || came == "b's3cret\\n'", "{came}");
    // The past of the name is lost to whom the present permissions keep out.
    reader.is(&format!("open('{}/.keyfs/history/{KEY}/1', O_RDONLY)", mount.root().display()), "EACCES");
    Peer::new(User(BOB, BOB, &[OPS]))
        .is(&format!("open('{}/.keyfs/history/{KEY}/1', O_RDONLY)", mount.root().display()), "EACCES");
}

fn a_descriptor_passed_on_is_worth_what_its_holder_is() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let key = mount.path(KEY);
    let mut sender = Peer::new(MEMBER_OF_PAYMENTS);
    sender.is(&format!("fd = open('{}', O_RDONLY); pread(fd, 9, 0)", key.display()), "done");
    let others = [
        (User(BOB, BOB, &[]), false),
        (User(ALICE, ALICE, &[OPS]), false),
        (ROOT, false),
        (User(BOB, BOB, &[PAYMENTS]), true),
        (User(BOB, PAYMENTS, &[]), true),
        (User(0, 0, &[PAYMENTS]), true),
    ];
    for (number, (user, granted)) in others.into_iter().enumerate() {
        let socket = scratch(&mount).join(format!("socket{number}"));
        let mut receiver = Peer::new(user);
        receiver.is(
            &format!(
                "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('{0}'); chmod('{0}', 0o777)",
                socket.display()
            ),
            "done",
        );
        sender.is(&format!("s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect('{}'); socket.send_fds(s, [b'x'], [fd]); s.close()", socket.display()), "done");
        receiver.is("fd = socket.recv_fds(s, 1, 1)[1][0]", "done");
        let (read, mapping, copied) =
            if granted { ("b's3cret\\n'", "115", "(0, b's3cret\\n')") } else { ("EACCES", "'SIGBUS'", "EACCES") };
        receiver.is("pread(fd, 9, 0)", read);
        receiver.is("forked(lambda: mapped(fd, 7)[0])", mapping);
        receiver.is("lseek(fd, 0, 0), read(fd, 9)", copied);
        // The one who opened it reads on, whoever was refused in between.
        sender.is("pread(fd, 9, 0)", "b's3cret\\n'");
    }
}

fn pages_are_no_way_around_the_gate() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let key = mount.path(KEY);
    let mut member = Peer::new(MEMBER_OF_PAYMENTS);
    let mut revoked = Peer::new(User(BOB, BOB, &[PAYMENTS]));
    let open = format!(
        "fd = open('{}', O_RDONLY); past = open('{}/.keyfs/history/{KEY}/1', O_RDONLY)",
        key.display(),
        mount.root().display()
    );
    member.is(&open, "done");
    revoked.is(&open, "done");
    let moved = |fd: &str| format!("end = pipe(); sendfile(end[1], {fd}, 0, 9); read(end[0], 9)");
    let ways = [
        moved("fd"),
        moved("past"),
        "splice(fd, pipe()[1], 9, 0)".to_owned(),
        "splice(past, pipe()[1], 9, 0)".to_owned(),
    ];
    // Nobody brings pages to where they could be taken unasked.
    for way in &ways {
        member.is(way, "EINVAL");
        revoked.is(way, "EINVAL");
    }
    // However soon the daemon looks at who asks.
    let many = "def spliced():\n    try:\n        return splice(open(PATH, O_RDONLY), pipe()[1], 9, 0)\n    except OSError as e:\n        return e.errno\n";
    member.is(&format!("PATH = '{}'; exec({many:?})", key.display()), "done");
    member.is("{spliced() for _ in range(300)}", &format!("{{{}}}", libc::EINVAL));
    member.is("posix_fadvise(fd, 0, 9, POSIX_FADV_WILLNEED), pread(fd, 9, 0)", "(None, b's3cret\\n')");
    // Mapped pages go when permissions change, those of earlier versions too.
    member.is("forked(lambda: mapped(fd, 7)[0]), forked(lambda: mapped(past, 7)[0])", "(115, 115)");
    run(Command::new("chgrp").arg(OPS.to_string()).arg(&key));
    for way in &ways {
        wait_for("the pages to go", || revoked.ask(way) == "EINVAL");
    }
    // And when the descriptor that brought them is closed.
    run(Command::new("chgrp").arg(PAYMENTS.to_string()).arg(&key));
    member.is("forked(lambda: mapped(fd, 7)[0])", "115");
    member.is("close(fd), close(past)", "(None, None)");
    for way in &ways {
        wait_for("the pages to go", || revoked.ask(way) == "EINVAL");
    }
}

fn a_descriptor_inherited_is_worth_what_its_holder_is() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let key = mount.path(KEY);
    let opener = User(0, 0, &[PAYMENTS]);
    let script = |then: &str| format!("exec 3<{}; {then} cat <&3", key.display());
    let drops = [
        "setpriv --clear-groups --reuid=20002 --regid=20002",
        "setpriv --clear-groups",
        "setpriv --groups=20102,20103",
        "exec setpriv --clear-groups --reuid=20002 --regid=20002",
        "exec setpriv --clear-groups",
        "exec setpriv --clear-groups --reuid=20002",
        "exec setpriv --regid=20002 --clear-groups",
    ];
    for _ in 0..3 {
        for drop in drops {
            let output = opener.sh(&script(drop));
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && output.stdout.is_empty(), "{drop}: {output:?}");
            assert!(stderr.contains(DENIED), "{drop}: {stderr}");
        }
    }
    // Who keeps the group, or comes to have it, reads.
    for keep in
        ["", "exec", "exec setpriv --reuid=20002 --regid=20002 --keep-groups", "setpriv --clear-groups --regid=20101"]
    {
        let output = opener.sh(&script(keep));
        assert_eq!(output.stdout, VALUE.as_bytes(), "{keep}: {output:?}");
    }
}

fn a_process_that_drops_its_groups_reads_no_longer() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let mut peer = Peer::new(User(0, 0, &[PAYMENTS]));
    peer.is(&format!("fd = open('{}', O_RDONLY); pread(fd, 9, 0)", mount.path(KEY).display()), "done");
    peer.is("setgroups([])", "None");
    // The decision that was taken just before may hold for half a millisecond.
    wait_for("the groups to count", || peer.ask("pread(fd, 9, 0)") == "EACCES");
    peer.is(&format!("open('{}', O_RDONLY)", mount.path(KEY).display()), "EACCES");
    peer.is(&format!("setgroups([{PAYMENTS}])"), "None");
    peer.is("pread(fd, 9, 0)", "b's3cret\\n'");
}

fn a_thread_that_drops_its_groups_reads_no_longer() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let program = r#"
import ctypes, errno, os, platform, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
SETGROUPS = {'x86_64': 116, 'aarch64': 159}[platform.machine()]
fd = os.open(sys.argv[1], os.O_RDONLY)
def read(way):
    try:
        return way()
    except OSError as error:
        return errno.errorcode[error.errno]
def work():
    # The system call itself is about one thread; the C library's function is about all of them.
    assert libc.syscall(SETGROUPS, 0, None) == 0
    print(read(lambda: os.pread(fd, 9, 0)), read(lambda: os.open(sys.argv[1], os.O_RDONLY)))
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(read(lambda: os.pread(fd, 9, 0)))
"#;
    let output = User(0, 0, &[PAYMENTS]).python(program, &[mount.path(KEY).to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "EACCES EACCES\nb's3cret\\n'\n", "{output:?}");
}

fn a_process_in_a_pid_namespace_keeps_its_groups() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let script = format!("unshare --pid --fork --kill-child cat {}", mount.path(KEY).display());
    // The daemon sees it under a number of its own.
    let output = User(0, 0, &[PAYMENTS]).sh(&script);
    assert_eq!(output.stdout, VALUE.as_bytes(), "{output:?}");
    let output = ROOT.sh(&script);
    assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains(DENIED), "{output:?}");
}

/// A daemon in a pid namespace of its own; ended with it.
struct Enclosed {
    home: tempfile::TempDir,
    process: std::process::Child,
    said: String,
}

impl Enclosed {
    fn new(unshare: &[&str]) -> Enclosed {
        let home = tempfile::Builder::new().prefix("keyfs-test-").tempdir().unwrap();
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child=TERM"]).args(unshare).arg(KEYFS).args(["mount", "--create"]);
        command.arg("--store").arg(home.path().join("store.redb"));
        command.arg("--identity").arg(home.path().join("identity")).arg(home.path().join("keys"));
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().unwrap()));
        let mut said = String::new();
        while let Some(Ok(line)) = lines.next() {
            said.push_str(&line);
            said.push('\n');
            if line.starts_with("keyfs: mounted") {
                break;
            }
        }
        Enclosed { home, process, said }
    }

    /// The daemon's process as everybody else sees it.
    fn pid(&self) -> u32 {
        let id = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        children.trim().parse().unwrap()
    }
}

impl Drop for Enclosed {
    fn drop(&mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.process.id());
        for child in std::fs::read_to_string(children).unwrap_or_default().split_whitespace() {
            let _ = Command::new("kill").arg(child).status();
        }
        let _ = self.process.wait();
        let _ = Command::new("umount").arg("-l").arg(self.home.path().join("keys")).stderr(Stdio::null()).status();
    }
}

fn a_foreign_process_has_its_primary_group_alone() {
    // The mount is in a mount namespace of its own too, which others enter while they stay in their pid namespace: the
    // daemon has no number for them.
    let daemon = Enclosed::new(&["--mount-proc"]);
    assert!(daemon.said.contains("keyfs: mounted"), "{}", daemon.said);
    let key = daemon.home.path().join("keys/prod/secrets/k");
    let within = |user: User<'_>, script: &str| {
        let User(uid, gid, groups) = user;
        let groups = groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let groups = if groups.is_empty() { "--clear-groups".into() } else { format!("--groups={groups}") };
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &daemon.pid().to_string(), "setpriv"]);
        command.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), &groups, "sh", "-c", script]);
        command.output().unwrap()
    };
    let (path, read) = (key.display(), format!("cat {}", key.display()));
    let made = within(ROOT, &format!("echo x > {path} && chgrp {PAYMENTS} {path} && chmod 640 {path}"));
    assert!(made.status.success(), "{made:?}");
    assert_eq!(within(User(ALICE, PAYMENTS, &[]), &read).stdout, b"x\n");
    assert_eq!(within(User(0, PAYMENTS, &[]), &read).stdout, b"x\n");
    for user in [User(ALICE, ALICE, &[PAYMENTS]), User(0, 0, &[PAYMENTS]), ROOT, STRANGER] {
        let refused = within(user, &read);
        assert!(refused.stdout.is_empty(), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(DENIED), "{refused:?}");
    }
}

fn a_foreign_proc_is_not_believed() {
    // A daemon in a pid namespace whose /proc shows another one would take other processes for its callers.
    let mut daemon = Enclosed::new(&[]);
    assert!(!daemon.said.contains("keyfs: mounted"), "{}", daemon.said);
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut daemon.process.stderr.take().unwrap(), &mut stderr).unwrap();
    assert!(stderr.contains("/proc") && stderr.trim_end().lines().count() == 1, "{stderr}");
}

fn a_user_namespace_gives_nothing() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let key = mount.path(KEY).display().to_string();
    let cat = format!("unshare --user --map-root-user cat {key}");
    let output = MEMBER_OF_PAYMENTS.sh(&cat);
    assert_eq!(output.stdout, VALUE.as_bytes(), "{output:?}");
    // Being root there is to be nobody here.
    for user in [User(BOB, BOB, &[]), User(BOB, BOB, &[OPS]), User(0, 0, &[])] {
        let output = user.sh(&cat);
        assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains(DENIED), "{output:?}");
    }
    // With a foreign pid namespace and /proc within it.
    let enclosed = format!("unshare --user --map-root-user --pid --fork --kill-child --mount-proc cat {key}");
    assert_eq!(MEMBER_OF_PAYMENTS.sh(&enclosed).stdout, VALUE.as_bytes());
    assert!(User(BOB, BOB, &[OPS]).sh(&enclosed).stdout.is_empty());
}
