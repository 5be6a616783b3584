//! A secret's value is where it belongs and nowhere else: not in the store's file, a log, a message, or what the kernel shows
//! of the daemon.

use std::fs;
use std::process::Command;

use crate::Case;
use crate::fixture::{ALICE, BOB, KEYFS, Mount, PAYMENTS, ROOT, User, errno, run};
use crate::peer::Peer;

pub const CASES: &[Case] = &[
    ("a_secret_is_found_nowhere", a_secret_is_found_nowhere),
    ("the_identity_is_found_nowhere", the_identity_is_found_nowhere),
];

/// Everything that a daemon leaves or shows, by what it is.
fn everything(mount: &Mount) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(mount.home()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path != mount.identity() {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    assert!(all.len() >= 4, "the store, two logs and the list of stores");
    for name in ["cmdline", "environ", "comm", "status", "maps"] {
        let path = format!("/proc/{}/{name}", mount.pid());
        all.push((path.clone(), fs::read(&path).unwrap()));
    }
    for name in ["status", "metrics"] {
        all.push((name.into(), mount.get(&format!(".keyfs/{name}"))));
    }
    for arguments in [vec!["status"], vec!["status", "--json"]] {
        let output = Command::new(KEYFS).args(&arguments).arg(mount.root()).output().unwrap();
        all.push((arguments.join(" "), [output.stdout, output.stderr].concat()));
    }
    all
}

fn contains(text: &[u8], sought: &str) -> bool {
    text.windows(sought.len()).any(|window| window == sought.as_bytes())
}

/// A text as it is, and as a dump or a log may have it.
fn spellings(text: &str) -> Vec<String> {
    let hexadecimal: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let decimal = text.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    let encoded = run(Command::new("python3").args([
        "-c",
        "import base64, sys; print(base64.b64encode(sys.argv[1].encode()).decode().rstrip('='))",
        text,
    ]));
    vec![text.to_owned(), hexadecimal, decimal, encoded.trim().to_owned()]
}

fn a_secret_is_found_nowhere() {
    let mut mount = Mount::new();
    assert!(mount.end("TERM").success());
    mount.start_logging(Some("trace"));
    let canary = format!("canary-{}-of-a-secret", std::process::id());
    // Long enough that a part of it would be one too.
    let long = format!("{canary}{}", "-and-more".repeat(8000));
    let editor = User(BOB, BOB, &[PAYMENTS]);
    mount.mkdir("prod/secrets/db");
    mount.put("prod/variables/plain", "a plain value, to show that it would be found");
    let key = mount.path("prod/secrets/db/password");
    for value in [canary.as_str(), &long, &format!("x{canary}")] {
        fs::write(&key, value).unwrap();
        mount.own("prod/secrets/db/password", ALICE, PAYMENTS, 0o660);
        editor.reads(&key, value);
        ROOT.is_refused(&key, "");
    }
    // By appending, in parts, through a mapping, too large, renamed, exchanged, copied, restored from the past, and removed.
    let mut peer = Peer::new(editor);
    let path = key.display();
    peer.is(&format!("fd = open('{path}', O_RDWR | O_APPEND); write(fd, b'{canary}'); fsync(fd); close(fd)"), "done");
    peer.is(
        &format!("fd = open('{path}', O_RDWR); pwrite(fd, b'{canary}', 100); mapped(fd, 20) and None; close(fd)"),
        "done",
    );
    peer.is(&format!("fd = open('{path}', O_WRONLY); pwrite(fd, b'{canary}' * 60000, 100)"), "EFBIG");
    peer.is("close(fd)", "EFBIG");
    peer.is(&format!("truncate('{path}', 300)"), "None");
    peer.is(&format!("setxattr('{path}', 'user.keyfs.groups', b'{PAYMENTS}:rw,{ALICE}:r')"), "None");
    fs::write(mount.path("prod/secrets/db/other"), &canary).unwrap();
    fs::rename(mount.path("prod/secrets/db/other"), &key).unwrap();
    run(Command::new("cp")
        .arg(mount.path(".keyfs/history/prod/secrets/db/password/7"))
        .arg(mount.path("prod/secrets/restored"))
        .env("LC_ALL", "C"));
    fs::write(mount.path("prod/secrets/open"), &canary).unwrap();
    let held = fs::File::open(mount.path("prod/secrets/open")).unwrap();
    fs::remove_file(mount.path("prod/secrets/open")).unwrap();
    fs::write(mount.path("prod/secrets/gone"), &canary).unwrap();
    fs::remove_file(mount.path("prod/secrets/gone")).unwrap();
    assert_eq!(errno(fs::rename(&key, mount.path("prod/variables/out"))), libc::EXDEV);
    let spellings = spellings(&canary);
    let search = |mount: &Mount, when: &str| {
        for (place, content) in everything(mount) {
            for spelling in &spellings {
                assert!(!contains(&content, spelling), "{when}: the value is in {place}");
            }
        }
    };
    search(&mount, "while it is mounted");
    drop(held);
    assert!(fs::read(mount.store()).is_ok_and(|store| contains(&store, "to show that it would be found")));
    assert!(mount.logged().contains("DEBUG") || mount.logged().contains("TRACE"), "the log is that of all levels");
    // After an end in order, and after none.
    mount.end("TERM");
    mount.start_logging(Some("trace"));
    editor.is_refused(&mount.path("prod/secrets/restored"), "");
    search(&mount, "after the end of the daemon");
    mount.end("KILL");
    mount.start_logging(Some("trace"));
    search(&mount, "after the daemon was killed");
}

fn the_identity_is_found_nowhere() {
    let mut mount = Mount::new();
    assert!(mount.end("TERM").success());
    mount.start_logging(Some("trace"));
    mount.put("prod/secrets/k", "x");
    let identity = fs::read_to_string(mount.identity()).unwrap();
    let key = identity.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    for (place, content) in everything(&mount) {
        for sought in [key, &key.to_lowercase(), &key[15..40]] {
            assert!(!contains(&content, sought), "the identity is in {place}");
        }
    }
}
