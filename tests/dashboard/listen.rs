//! Where a dashboard listens: loopback, a Unix socket, or elsewhere by a deliberate word.

use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::Cases;
use crate::fixture::{ALICE, BOB, Mount, PAYMENTS, ROOT, User};
use crate::http::{Dashboard, Session, answer, command};

pub const CASES: Cases = &[
    ("loopback_alone", loopback_alone),
    ("elsewhere_by_a_deliberate_word", elsewhere_by_a_deliberate_word),
    ("a_port_that_is_taken", a_port_that_is_taken),
    ("a_socket_is_its_owners", a_socket_is_its_owners),
    ("a_socket_for_a_group", a_socket_for_a_group),
    ("what_is_there_is_kept", what_is_there_is_kept),
    ("without_a_mount_it_does_not_start", without_a_mount_it_does_not_start),
    ("many_strangers_keep_nobody_out", many_strangers_keep_nobody_out),
];

const ME: User<'static> = User(ALICE, ALICE, &[PAYMENTS]);

/// The addresses that are listened on at a port, as the kernel writes them.
fn listening(port: u16) -> Vec<String> {
    let table = |name: &str| fs::read_to_string(Path::new("/proc/net").join(name)).unwrap_or_default();
    let both = table("tcp") + &table("tcp6");
    let fields = both.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let listening = fields.filter(|fields| fields.len() > 3 && fields[3] == "0A");
    let local = listening.map(|fields| fields[1].to_owned());
    local.filter(|address| address.ends_with(&format!(":{port:04X}"))).collect()
}

fn loopback_alone() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    assert_eq!(listening(dashboard.port()), [format!("0100007F:{:04X}", dashboard.port())]);
    assert!(TcpStream::connect(("127.0.0.2", dashboard.port())).is_err());
    let six = Dashboard::with(&mount, &ME, &["--listen", "[::1]:0"]);
    assert!(six.link.starts_with("http://127.0.0.1:") || six.link.starts_with("http://[::1]:"), "{}", six.link);
    let addresses = listening(six.link.split(':').next_back().unwrap().split('/').next().unwrap().parse().unwrap());
    assert_eq!(addresses.len(), 1);
    assert!(addresses[0].starts_with("00000000000000000000000001000000:"), "{addresses:?}");
}

/// That it doesn't start with these, and says all of this in a line.
#[track_caller]
fn does_not_start(mount: &Mount, user: &User<'_>, arguments: &[&str], code: i32, words: &[&str]) {
    let output = command(mount, user, arguments).output().expect("dt");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(output.stdout.is_empty() && said.lines().count() == 1 && said.starts_with("dt: "), "{output:?}");
    for word in words {
        assert!(said.contains(word), "'{word}' is not in: {said}");
    }
}

fn elsewhere_by_a_deliberate_word() {
    let mount = Mount::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        does_not_start(&mount, &ME, &["--listen", address], 2, &["plain HTTP", "ssh -L", "--allow-remote"]);
    }
    does_not_start(&mount, &ME, &["--listen", "0.0.0.0:0", "--allow-remote"], 2, &["--host"]);
    let arguments = ["--listen", "0.0.0.0:0", "--allow-remote", "--host", "keys.example.com"];
    let dashboard = Dashboard::with(&mount, &ME, &arguments);
    assert!(dashboard.link.starts_with("http://keys.example.com/#token="), "{}", dashboard.link);
}

fn a_port_that_is_taken() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let address = dashboard.host();
    does_not_start(&mount, &ME, &["--listen", address], 1, &[address, "in use", "free port"]);
    does_not_start(&mount, &ME, &["--listen", "localhost"], 2, &["--listen"]);
}

/// A directory that everybody reaches and the user may write to.
fn place(mount: &Mount) -> std::path::PathBuf {
    let place = mount.home().join("sockets");
    fs::create_dir_all(&place).unwrap();
    std::os::unix::fs::chown(&place, Some(ALICE), Some(ALICE)).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    place
}

fn a_socket_is_its_owners() {
    let mount = Mount::new();
    let path = place(&mount).join("dashboard");
    let name = path.to_str().unwrap();
    does_not_start(&mount, &ME, &["--socket", name], 2, &["--host"]);
    let mut dashboard = Dashboard::with(&mount, &ME, &["--socket", name, "--host", "localhost:9"]);
    let made = fs::symlink_metadata(&path).unwrap();
    assert!(made.file_type().is_socket());
    assert_eq!((made.mode() & 0o7777, made.uid(), made.gid()), (0o600, ALICE, ALICE));
    assert!(dashboard.link.starts_with("http://localhost:9/#token="), "{}", dashboard.link);
    assert!(listening(9).is_empty());
    dashboard.log_in().get("/api/about").is_good();
    dashboard.request("GET / HTTP/1.1", &[("Host", "localhost")], b"").is_refused(421, "host");
    let script = format!("import socket; socket.socket(socket.AF_UNIX).connect('{name}')");
    let other = User(BOB, BOB, &[]).python(&script, &[]);
    assert!(String::from_utf8_lossy(&other.stderr).contains("Permission denied"), "{other:?}");
    does_not_start(&mount, &ME, &["--socket", name, "--host", "a"], 1, &["already answers", name]);
    dashboard.log_in().get("/api/about").is_good();
    assert!(dashboard.end("TERM").success());
    assert!(!path.exists());
}

fn a_socket_for_a_group() {
    let mount = Mount::new();
    let path = place(&mount).join("dashboard");
    let name = path.to_str().unwrap();
    let with_group = |group: &'static str| ["--socket", name, "--host", "a.test", "--socket-group", group];
    does_not_start(&mount, &ME, &with_group("nobody-has-this"), 2, &["no group"]);
    let _dashboard = Dashboard::with(&mount, &ME, &with_group("payments"));
    let made = fs::symlink_metadata(&path).unwrap();
    assert_eq!((made.mode() & 0o7777, made.uid(), made.gid()), (0o660, ALICE, PAYMENTS));
}

fn what_is_there_is_kept() {
    let mount = Mount::new();
    let path = place(&mount).join("dashboard");
    let name = path.to_str().unwrap();
    let arguments = ["--socket", name, "--host", "a.test"];
    fs::write(&path, "mine").unwrap();
    does_not_start(&mount, &ME, &arguments, 1, &["no socket", name]);
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("elsewhere", &path).unwrap();
    does_not_start(&mount, &ME, &arguments, 1, &["no socket"]);
    fs::remove_file(&path).unwrap();
    // What a killed one left.
    drop(UnixListener::bind(&path).unwrap());
    std::os::unix::fs::lchown(&path, Some(ALICE), Some(ALICE)).unwrap();
    let mut dashboard = Dashboard::with(&mount, &ME, &arguments);
    dashboard.log_in().get("/api/about").is_good();
    // Somebody else's in its place isn't its own to remove.
    fs::remove_file(&path).unwrap();
    let _theirs = UnixListener::bind(&path).unwrap();
    assert!(dashboard.end("INT").success());
    assert!(path.exists());
}

fn without_a_mount_it_does_not_start() {
    let mount = Mount::new();
    let nowhere = mount.home().to_str().unwrap();
    does_not_start(&mount, &ME, &[nowhere], 5, &["no keyfs is mounted", "keyfs mount --create"]);
    does_not_start(&mount, &ROOT, &["/nonexistent"], 5, &["no keyfs is mounted"]);
    let named = mount.root();
    Dashboard::with(&mount, &ME, &[named.to_str().unwrap()]).log_in().get("/api/about").is_good();
}

/// Whether the other side has ended a connection, or said anything.
fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let ended = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    !ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

fn many_strangers_keep_nobody_out() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &ME);
    let session = dashboard.log_in();
    // More than there are places for, each with a request that doesn't come to its end.
    let begun = || {
        let mut stream = TcpStream::connect(("127.0.0.1", dashboard.port())).unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: ");
        stream
    };
    let strangers: Vec<_> = (0..300).map(|_| begun()).collect();
    // Somebody who is known already isn't sent off for anybody.
    let mut stream = session.stream("/api/events");
    assert_eq!(stream.next().unwrap()["kind"], "ready");
    session.get("/api/about").is_good();
    // Nobody's time limit was waited for: those who came first went, as many as room was made for, and the others are there.
    let gone = strangers.iter().filter(|stranger| is_closed(stranger)).count();
    assert!((1..100).contains(&gone), "{gone} of 300 are gone");
    session.post("/api/put", &Session::making("key", "x")).is_good();
    assert_eq!(stream.next().unwrap()["key"], "key");
    // They were told that it took too long, or nothing; in any case they are gone.
    for mut stranger in strangers.into_iter().take(256) {
        let _ = stranger.write_all(b"\r\n");
        assert!(
            answer(&mut BufReader::new(stranger)).is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
        );
    }
}
