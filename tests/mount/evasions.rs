//! Ways around the gate, the history and restricted deletion that somebody with a little access might try. Each leads nowhere.

use std::fs;
use std::process::Command;

use crate::Case;
use crate::fixture::{ALICE, BOB, Mount, OPS, PAYMENTS, User, run};
use crate::gate::{DENIED, KEY, MEMBER_OF_PAYMENTS, VALUE, scratch, setfacl, with_secret};
use crate::peer::Peer;

pub const CASES: &[Case] = &[
    ("storing_a_guess_tells_nothing", storing_a_guess_tells_nothing),
    ("a_writer_carries_no_old_value_to_others", a_writer_carries_no_old_value_to_others),
    ("what_somebody_else_wrote_is_not_the_openers", what_somebody_else_wrote_is_not_the_openers),
    ("a_passed_descriptor_of_an_earlier_version", a_passed_descriptor_of_an_earlier_version),
    ("history_does_not_lead_past_a_closed_environment", history_does_not_lead_past_a_closed_environment),
    ("history_keeps_what_a_directory_protected", history_keeps_what_a_directory_protected),
    ("nobody_shuts_others_out_of_a_tree", nobody_shuts_others_out_of_a_tree),
    ("a_refused_move_commits_nothing", a_refused_move_commits_nothing),
    ("names_of_threads_give_and_take_nothing", names_of_threads_give_and_take_nothing),
];

/// Somebody who may write and not read.
const JOB: User<'static> = User(BOB, BOB, &[OPS]);

fn version(mount: &Mount, below: &str) -> u64 {
    let text = run(Command::new("getfattr")
        .args(["--only-values", "--absolute-names", "-n", "system.keyfs.version"])
        .arg(mount.path(below)));
    text.trim().parse().expect("a number")
}

fn storing_a_guess_tells_nothing() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    setfacl(&["-m", &format!("g:{OPS}:w")], &mount.path(KEY));
    let path = format!("'{}'", mount.path(KEY).display());
    let mut job = Peer::new(JOB);
    // Were nothing stored where the guess is right, the version would tell so, byte for byte.
    for guess in ["x", "s"] {
        let before = version(&mount, KEY);
        job.is(&format!("fd = open({path}, O_WRONLY); pwrite(fd, b'{guess}', 0); close(fd)"), "done");
        assert_eq!(version(&mount, KEY), before + 1, "{guess}");
    }
    for way in ["truncate({path}, 7)", "create({path}, b's3cret\\n')"] {
        let before = version(&mount, KEY);
        job.is(&way.replace("{path}", &path), "None");
        assert_eq!(version(&mount, KEY), before + 1, "{way}");
    }
    MEMBER_OF_PAYMENTS.reads(&mount.path(KEY), VALUE);
    // Nor where somebody who may read it is made to close the descriptor.
    let mut reader = Peer::new(MEMBER_OF_PAYMENTS);
    let socket = scratch(&mount).join("socket");
    let place = socket.display();
    reader.is(
        &format!("s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('{place}'); chmod('{place}', 0o777)"),
        "done",
    );
    job.is(&format!("s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect('{place}')"), "done");
    let before = version(&mount, KEY);
    job.is(&format!("fd = open({path}, O_WRONLY); pwrite(fd, b's', 0); socket.send_fds(s, [b'x'], [fd])"), "done");
    reader.is("fd = socket.recv_fds(s, 1, 1)[1][0]", "done");
    job.is("close(fd)", "None");
    reader.is("close(fd)", "None");
    assert!(version(&mount, KEY) > before);
    // Whoever may read it learns nothing new.
    let before = version(&mount, KEY);
    setfacl(&["-b"], &mount.path(KEY));
    mount.own(KEY, 0, PAYMENTS, 0o660);
    Peer::new(MEMBER_OF_PAYMENTS).is(&format!("create({path}, b's3cret\\n')"), "None");
    assert_eq!(version(&mount, KEY), before);
}

fn a_writer_carries_no_old_value_to_others() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    setfacl(&["-m", &format!("g:{OPS}:w")], &mount.path(KEY));
    let path = format!("'{}'", mount.path(KEY).display());
    let mut job = Peer::new(JOB);
    job.is(&format!("fd = open({path}, O_WRONLY)"), "done");
    job.is(&format!("part = open({path}, O_WRONLY); pwrite(part, b'X', 0)"), "done");
    job.is(&format!("all = open({path}, O_WRONLY | O_TRUNC); write(all, b'its own')"), "done");
    mount.put(KEY, "new, for everybody");
    setfacl(&["-m", &format!("g:{OPS}:rw")], &mount.path(KEY));
    // What it had opened was not for it to read, and is not now.
    job.is("ftruncate(fd, 7); close(fd)", "ESTALE");
    job.is("close(part)", "ESTALE");
    JOB.reads(&mount.path(KEY), "new, for everybody");
    // What is wholly its own is stored.
    job.is("close(all)", "None");
    JOB.reads(&mount.path(KEY), "its own");
    // So is what it emptied itself, and what it appends.
    job.is(&format!("all = open({path}, O_WRONLY | O_TRUNC); write(all, b'one'); fsync(all)"), "done");
    job.is(&format!("log = open({path}, O_WRONLY | O_APPEND); write(log, b'+'); fsync(log)"), "done");
    job.is(&format!("part = open({path}, O_WRONLY)"), "done");
    mount.put(KEY, "another");
    setfacl(&["-m", "g:20104:r"], &mount.path(KEY));
    job.is("write(log, b'+'); fsync(log)", "done");
    JOB.reads(&mount.path(KEY), "another+");
    job.is("ftruncate(part, 0); pwrite(part, b'two', 0); close(part)", "done");
    JOB.reads(&mount.path(KEY), "two");
    job.is("pwrite(all, b'three', 0); close(all), close(log)", "done");
    JOB.reads(&mount.path(KEY), "three");
    // Nor through a descriptor that it inherited from somebody who might read.
    let mount = with_secret(0, PAYMENTS, 0o660);
    let mut heir = Peer::new(User(0, 0, &[PAYMENTS]));
    heir.is(&format!("fd = open('{}', O_RDWR)", mount.path(KEY).display()), "done");
    heir.is(&format!("setgroups([]); setresgid({BOB}, {BOB}, {BOB}); setresuid({BOB}, {BOB}, {BOB})"), "done");
    mount.put(KEY, "new, for everybody");
    setfacl(&["-m", &format!("g:{BOB}:r")], &mount.path(KEY));
    heir.is("pwrite(fd, b'?', 0); fsync(fd)", "ESTALE");
    heir.is("close(fd)", "ESTALE");
    User(BOB, BOB, &[]).reads(&mount.path(KEY), "new, for everybody");
}

fn what_somebody_else_wrote_is_not_the_openers() {
    let mount = with_secret(0, 0, 0o600);
    let mut service = Peer::new(User(0, 0, &[]));
    let mut other = Peer::new(User(BOB, BOB, &[]));
    let socket = scratch(&mount).join("socket");
    let place = socket.display();
    other.is(
        &format!("s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('{place}'); chmod('{place}', 0o777)"),
        "done",
    );
    service.is(&format!("fd = open('{}', O_RDWR); s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect('{place}'); socket.send_fds(s, [b'x'], [fd])", mount.path(KEY).display()), "done");
    other.is("fd = socket.recv_fds(s, 1, 1)[1][0]", "done");
    mount.put(KEY, "new");
    setfacl(&["-m", &format!("g:{BOB}:r")], &mount.path(KEY));
    other.is("pwrite(fd, b'?', 0); close(fd)", "ESTALE");
    // Nor when the opener closes it, who may read what it opened.
    service.is("close(fd)", "ESTALE");
    User(BOB, BOB, &[]).reads(&mount.path(KEY), "new");
}

fn a_passed_descriptor_of_an_earlier_version() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let mut member = Peer::new(MEMBER_OF_PAYMENTS);
    let mut other = Peer::new(JOB);
    let socket = scratch(&mount).join("socket");
    let place = socket.display();
    other.is(
        &format!("s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('{place}'); chmod('{place}', 0o777)"),
        "done",
    );
    member.is(&format!("fd = open('{}', O_RDONLY); s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect('{place}'); socket.send_fds(s, [b'x'], [fd])", mount.path(KEY).display()), "done");
    other.is("fd = socket.recv_fds(s, 1, 1)[1][0]", "done");
    mount.put(KEY, "new");
    setfacl(&["-m", &format!("g:{OPS}:r")], &mount.path(KEY));
    JOB.reads(&mount.path(KEY), "new");
    // As the history refuses it.
    other.is(&format!("open('{}/.keyfs/history/{KEY}/1', O_RDONLY)", mount.root().display()), "EACCES");
    other.is("pread(fd, 9, 0)", "EACCES");
    member.is("pread(fd, 9, 0)", "b's3cret\\n'");
}

fn history_does_not_lead_past_a_closed_environment() {
    let mount = Mount::new();
    mount.put("prod/variables/dsn", "host=db");
    mount.put("prod/secrets/token", "t");
    mount.own("prod/secrets/token", 0, PAYMENTS, 0o640);
    let member = MEMBER_OF_PAYMENTS;
    let past = |below: &str| mount.path(&format!(".keyfs/history/prod/{below}/1"));
    member.reads(&past("variables/dsn"), "host=db");
    member.reads(&past("secrets/token"), "t");
    run(Command::new("chmod").arg("700").arg(mount.path("prod")));
    for below in ["variables/dsn", "secrets/token"] {
        member.is_refused(&mount.path(&format!("prod/{below}")), DENIED);
        member.is_refused(&past(below), DENIED);
        let listed = member.command("ls").arg(mount.path(".keyfs/history/prod/variables")).output().unwrap();
        assert!(listed.stdout.is_empty(), "{listed:?}");
    }
    assert_eq!(mount.get(".keyfs/history/prod/variables/dsn/1"), b"host=db");
}

fn history_keeps_what_a_directory_protected() {
    let mount = Mount::new();
    let alice = User(ALICE, ALICE, &[]);
    let stranger = User(BOB, BOB, &[]);
    // A directory that everybody may write in, and in it one that is alice's alone.
    mount.mkdir("dev/variables/shared");
    mount.own("dev/variables/shared", 0, 0, 0o777);
    let shared = mount.path("dev/variables/shared");
    let private = shared.join("private");
    let script = format!(
        "umask 022; mkdir -m 700 '{0}'; echo mine > '{0}/k'; rm '{0}/k'; mkdir -m 700 '{0}/d'; echo deep > '{0}/d/k'; rm '{0}/d/k'",
        private.display()
    );
    assert!(alice.sh(&script).status.success());
    let past = |below: &str| mount.path(&format!(".keyfs/history/dev/variables/shared/private/{below}/1"));
    stranger.is_refused(&past("k"), DENIED);
    alice.reads(&past("k"), "mine\n");
    // Moved away by somebody else, it protects what was in it still.
    run(stranger.command("mv").arg(&private).arg(shared.join("elsewhere")));
    stranger.is_refused(&past("k"), "");
    stranger.is_refused(&past("d/k"), "");
    alice.reads(&past("k"), "mine\n");
    // Nor does one of the same name let anybody in.
    run(stranger.command("mkdir").args(["-m", "777"]).arg(&private));
    stranger.is_refused(&past("k"), "");
    run(stranger.command("rmdir").arg(&private));
    // Once it is gone, its keys' past is for their owner and the superuser.
    run(alice.command("rm").arg("-r").arg(shared.join("elsewhere")));
    stranger.is_refused(&past("k"), "");
    stranger.is_refused(&past("d/k"), "");
    alice.reads(&past("d/k"), "deep\n");
    // Nor does a key of the same name in a directory of the same name, both somebody else's.
    let taken = format!("umask 022; mkdir '{0}'; echo other > '{0}/k'", private.display());
    assert!(stranger.sh(&taken).status.success());
    stranger.is_refused(&past("k"), DENIED);
    stranger.reads(&mount.path(".keyfs/history/dev/variables/shared/private/k/2"), "other\n");
    run(Command::new("rm").arg("-r").arg(&private));
    assert_eq!(fs::read(past("k")).unwrap(), b"mine\n");
}

fn nobody_shuts_others_out_of_a_tree() {
    let mount = Mount::new();
    for tree in ["dev/secrets", "dev/variables"] {
        let mut somebody = Peer::new(User(BOB, BOB, &[]));
        let path = mount.path(tree);
        for groups in [format!("{PAYMENTS}:-,{BOB}:rwx"), format!("{BOB}:rw"), String::new()] {
            somebody.is(&format!("setxattr('{}', 'user.keyfs.groups', b'{groups}')", path.display()), "EPERM");
        }
        MEMBER_OF_PAYMENTS.sh(&format!("echo x > '{}/k'", path.display()));
        assert!(path.join("k").exists());
        // Nor takes a directory away that everybody may add to.
        mount.mkdir(&format!("{tree}/shared"));
        mount.own(&format!("{tree}/shared"), 0, 0, 0o777);
        let shared = path.join("shared");
        somebody.is(&format!("setxattr('{}', 'user.keyfs.remove', b'1')", shared.display()), "EPERM");
        somebody.is(&format!("rmdir('{}')", shared.display()), "EPERM");
        assert!(shared.exists());
    }
}

fn a_refused_move_commits_nothing() {
    let mount = Mount::new();
    let path = mount.path("dev/variables/new");
    let mut maker = Peer::new(User(ALICE, ALICE, &[]));
    maker.is(
        &format!(
            "fd = open('{0}', O_WRONLY | O_CREAT | O_EXCL, 0o600); setxattr('{0}', 'user.keyfs.if-version', b'0'); write(fd, b'whole')",
            path.display()
        ),
        "done",
    );
    let mut stranger = Peer::new(User(BOB, BOB, &[]));
    stranger.is(&format!("rename('{0}', '{0}2')", path.display()), "EPERM");
    stranger.is(&format!("create('{0}2', b'x'); rename('{0}2', '{0}')", path.display()), "EPERM");
    let none = run(Command::new("sh")
        .arg("-c")
        .arg(format!("getfattr --only-values -n system.keyfs.version '{}' 2>&1 || :", path.display())));
    assert!(none.contains("No such attribute"), "it was committed: {none}");
    maker.is("close(fd)", "None");
    assert_eq!(mount.get("dev/variables/new"), b"whole");
}

fn names_of_threads_give_and_take_nothing() {
    let mount = with_secret(0, PAYMENTS, 0o640);
    let path = mount.path(KEY);
    let read = |user: User<'_>, name: &str| {
        let mut peer = Peer::new(user);
        peer.is(&format!("libc.prctl(15, {name}, 0, 0, 0)"), "0");
        peer.ask(&format!("pread(open('{}', O_RDONLY), 9, 0)", path.display()))
    };
    for name in ["b'plain'", "'abcdefghijklmné'.encode()[:15]", "b'\\xff\\xfe'", "b'a b) S 1 2 3'"] {
        assert_eq!(read(MEMBER_OF_PAYMENTS, name), "b's3cret\\n'", "{name}");
    }
    let stranger = User(BOB, BOB, &[]);
    for name in [format!("b'x\\nGroups:\\t{PAYMENTS}'"), format!("b'\\nGroups:{PAYMENTS}'")] {
        assert_eq!(read(stranger, &name), "EACCES", "{name}");
    }
    // One that others may read, and its own group not: who is in it is not taken for somebody else.
    mount.put("dev/variables/not-for-them", "x");
    mount.own("dev/variables/not-for-them", 0, PAYMENTS, 0o604);
    let mut member = Peer::new(MEMBER_OF_PAYMENTS);
    for name in ["b'plain'", "b'\\xff\\xfe'"] {
        member.is(&format!("libc.prctl(15, {name}, 0, 0, 0)"), "0");
        for below in ["dev/variables/not-for-them", ".keyfs/history/dev/variables/not-for-them/1"] {
            member.is(&format!("open('{}', O_RDONLY)", mount.path(below).display()), "EACCES");
        }
    }
}
