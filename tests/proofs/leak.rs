//! A secret that went through every path is nowhere but in the store, sealed: not in a file that the daemon writes, deleted blocks
//! of its disk included, not in the kernel's page cache, the swap space or a core, and not in the daemon's own memory once
//! nobody has it open.

mod memory;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::fixture::{ANALYSTS, BOB, Mount, PAYMENTS, ROOT, User, errno, run, wait_for};
use crate::harness::Case;
use crate::medium::Medium;
use crate::scale;

pub const CASES: &[Case] = &[
    ("a_text_in_memory_is_found", a_text_in_memory_is_found),
    ("a_canary_is_nowhere", a_canary_is_nowhere),
    ("no_core_is_written", no_core_is_written),
];

const SECRETS: &str = "prod/secrets/db";
const HISTORY: &str = ".keyfs/history/prod/secrets/db";
/// Root, as a member of the group: who may see by mincore(2) what is cached.
const MEMBER: User<'static> = User(0, 0, &[PAYMENTS]);
/// One for each thread that answers requests.
const REQUEST_BUFFERS: usize = 16;
/// Bytes that the store's disk has.
const ROOM: u64 = 32 << 20;

fn a_text_in_memory_is_found() {
    let text = format!("a text of {}", scale::drawn());
    let found = memory::search(std::process::id(), text.as_bytes());
    assert!(found.iter().any(|found| found.name == "[heap]" || found.name == "anonymous"), "{found:?}");
    assert!(found.iter().all(|found| !found.places.is_empty() && !found.is_left_out_of_dumps()), "{found:?}");
}

/// A store on a small disk of its own, with everything logged.
fn begin(medium: &Medium) -> Mount {
    let mut mount = Mount::new();
    assert!(mount.end("TERM").success());
    fs::copy(mount.store(), medium.path("store.redb")).unwrap();
    fs::remove_file(mount.store()).unwrap();
    std::os::unix::fs::symlink(medium.path("store.redb"), mount.store()).unwrap();
    mount.start_logging(Some("trace"));
    mount.mkdir(SECRETS);
    // What its members make is the group's.
    mount.own(SECRETS, BOB, PAYMENTS, 0o2770);
    mount
}

fn python(user: User<'_>, program: &str, canary: &str, mount: &Mount) -> Command {
    let mut command = user.command("python3");
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").args(["-c", program, canary]);
    command.arg(mount.path(SECRETS)).arg(mount.path(HISTORY));
    command
}

fn a_canary_is_nowhere() {
    let medium = Medium::on_disk(ROOM);
    let mut mount = begin(&medium);
    let mut random = scale::Random(scale::drawn());
    let canary = format!("{:016x}{:08x}", random.next(), random.next() as u32);
    let output = python(User(BOB, BOB, &[PAYMENTS]), include_str!("leak/write.py"), &canary, &mount).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fill_up(&medium, &mount, &canary);
    ROOT.is_refused(&mount.path(&format!("{SECRETS}/key")), "");
    in_no_file(&medium, &mount, &canary, "written");
    // Of what was written the adapter library's buffers keep the last request; see docs/threat-model.md.
    let left = memory::search(mount.pid(), canary.as_bytes());
    let places = left.iter().map(|found| found.places.len()).sum::<usize>();
    println!("after the last writer has closed: {places} pages in {} of the daemon's mappings", left.len());
    assert!(left.iter().all(|found| found.is_locked()) && left.len() <= REQUEST_BUFFERS, "{left:#?}");
    // They are overwritten by what comes next, and nothing else has it.
    overwrite(&mount);
    wait_for("the buffers to be overwritten", || {
        overwrite(&mount);
        memory::search(mount.pid(), canary.as_bytes()).is_empty()
    });
    settings(&mount);
    stage(&medium, &mount, &canary);
    assert!(mount.end("TERM").success());
    mount.start_logging(Some("trace"));
    read(&mount, &canary);
    in_no_file(&medium, &mount, &canary, "read");
    // After an end without order, too.
    mount.end("KILL");
    in_no_file(&medium, &mount, &canary, "killed");
    mount.start_logging(Some("trace"));
    in_no_file(&medium, &mount, &canary, "mounted again");
    drop(mount);
}

/// Stages in every way: while it is staged it is in memory that is locked and left out of dumps, and after that in none.
fn stage(medium: &Medium, mount: &Mount, canary: &str) {
    let bob = User(BOB, BOB, &[PAYMENTS]);
    let output = python(bob, include_str!("leak/stage.py"), canary, mount).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    in_no_file(medium, mount, canary, "staged");
    let found = || memory::search(mount.pid(), canary.as_bytes());
    // But for the request buffers, as after a write.
    wait_for("the buffers to be overwritten", || {
        overwrite(mount);
        let staged = found();
        assert!(!staged.is_empty(), "what is staged is in memory");
        assert!(staged.iter().all(memory::Found::is_locked), "{staged:#?}");
        staged.iter().all(memory::Found::is_left_out_of_dumps)
    });
    assert!(bob.sh(&format!("rm -r {}", mount.path(".keyfs/transactions/kept").display())).status.success());
    wait_for("what was staged to be forgotten", || {
        overwrite(mount);
        found().is_empty()
    });
}

/// Values for which there is no room.
fn fill_up(medium: &Medium, mount: &Mount, canary: &str) {
    medium.fill();
    let value = format!("full:{canary};").repeat(4000);
    let mut refused = 0;
    for number in 0..200 {
        let stored = fs::File::create(mount.path(&format!("{SECRETS}/full{number}"))).and_then(|mut file| {
            file.write_all(value.as_bytes())?;
            file.sync_all()
        });
        if stored.is_err() {
            assert_eq!(errno(stored), libc::ENOSPC);
            refused += 1;
        }
        if refused > 3 {
            break;
        }
    }
    assert!(refused > 3, "it never fills up");
    medium.empty();
    for number in 0..200 {
        let _ = fs::remove_file(mount.path(&format!("{SECRETS}/full{number}")));
    }
}

/// Fills the request buffers of all threads with something else, by the longest writes that there are.
fn overwrite(mount: &Mount) {
    const LONGEST: usize = 1 << 20;
    // From the beginning of a page: else the kernel makes two requests of it, none of them the longest.
    let memory = vec![b'.'; LONGEST + 4096];
    let start = 4096 - memory.as_ptr().addr() % 4096;
    let value = &memory[start..start + LONGEST];
    std::thread::scope(|scope| {
        for number in 0..32 {
            let path = mount.path(&format!("prod/variables/filler{number}"));
            scope.spawn(move || {
                let mut file = fs::File::create(path).unwrap();
                file.write_all(value).unwrap();
                file.set_len(0).unwrap();
            });
        }
    });
}

/// Reads in every way: while it is open it is in memory that is locked and left out of dumps, and after that in none.
fn read(mount: &Mount, canary: &str) {
    let found = || memory::search(mount.pid(), canary.as_bytes());
    assert!(found().is_empty(), "before anybody has read it");
    let mut reader = python(MEMBER, include_str!("leak/read.py"), canary, mount)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (reader.stdin.take().unwrap(), BufReader::new(reader.stdout.take().unwrap()));
    let mut hear = || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    };
    assert_eq!(hear(), "held");
    let held = found();
    assert!(!held.is_empty(), "what is open is in memory");
    assert!(held.iter().all(|found| found.is_locked() && found.is_left_out_of_dumps()), "{held:#?}");
    writeln!(input, "close").unwrap();
    // The kernel drops its pages, and tells of the last close, after the program goes on.
    wait_for("the page cache to be empty", || {
        writeln!(input, "look").unwrap();
        hear() == "0"
    });
    drop(input);
    assert!(reader.wait().unwrap().success());
    wait_for("the daemon to forget it", || found().is_empty());
}

/// Nothing that the daemon wrote or shows has it, as it is or spelt.
fn in_no_file(medium: &Medium, mount: &Mount, canary: &str, when: &str) {
    let hexadecimal: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let decimal = canary.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    let spellings = [canary.to_owned(), hexadecimal.to_uppercase(), hexadecimal, decimal];
    let look = |place: &Path| {
        let Ok(content) = fs::read(place) else { return };
        for spelling in &spellings {
            let found = memory::find(&content, spelling.as_bytes());
            assert!(found.is_none(), "{when}: the canary is in {} at {found:?}", place.display());
        }
    };
    let files = |directory: &Path| fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
    files(mount.home()).chain(files(&medium.path(""))).filter(|path| path.is_file()).for_each(|path| look(&path));
    // With what the file system has given back.
    if let Some(image) = medium.image() {
        run(Command::new("sync").arg("-f").arg(medium.path("")));
        assert!(fs::metadata(&image).unwrap().len() == ROOM);
        look(&image);
    }
    if let Ok(status) = fs::read_to_string(mount.path(".keyfs/status")) {
        let daemon: serde_json::Value = serde_json::from_str(&status).unwrap();
        let pid = &daemon["pid"];
        for name in ["cmdline", "environ", "comm", "maps", "status"] {
            look(Path::new(&format!("/proc/{pid}/{name}")));
        }
        for name in [".keyfs/status", ".keyfs/metrics"] {
            look(&mount.path(name));
        }
        let log = mount.logged();
        assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log is that of all levels");
    }
}

/// What keeps its memory where it is.
fn settings(mount: &Mount) {
    let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", mount.pid())).unwrap();
    let status = read("status");
    let kilobytes = |field: &str| -> u64 {
        let line =
            status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_else(|| panic!("{field} {status}"));
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    assert_eq!(kilobytes("VmSwap:"), 0);
    assert!(kilobytes("VmLck:") >= kilobytes("RssAnon:"), "{status}");
    let limits = read("limits");
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
}

/// A daemon that a fault ends leaves no core, also where somebody has raised the limit on it.
fn no_core_is_written() {
    let mut mount = Mount::new();
    mount.put(&format!("prod/secrets/k{ANALYSTS}"), "x");
    // Which not every root may.
    let mut raise = Command::new("prlimit");
    raise.args(["--core=unlimited", "--pid", &mount.pid().to_string()]).stderr(Stdio::null());
    let raised = raise.status().unwrap().success();
    println!("the limit on cores was raised: {raised}");
    let ended = mount.end("ABRT");
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(libc::SIGABRT), false));
}
