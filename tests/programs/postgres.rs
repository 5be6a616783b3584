//! libpq takes a password from a file of the secrets, and its rule for that file's permissions holds there too.
//!
//! No server is needed: what answers asks for the password, as the protocol says, and prints what it gets.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::alike::python;
use crate::fixture::{ALICE, BOB, Mount, OPS, PAYMENTS, ROOT, User};
use crate::service::{directory_of, said};
use crate::{Case, Tool};

pub const TOOLS: &[Tool] = &[("psql", "postgresql-client")];

pub const CASES: &[Case] = &[
    ("a_password_file_of_its_user", a_password_file_of_its_user),
    ("a_password_file_that_a_group_reads_is_ignored", a_password_file_that_a_group_reads_is_ignored),
];

/// Takes connections, asks each for its password, and prints a line: the password, or nothing.
const SERVER: &str = r#"
import socket, struct
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
def whole(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return data
while True:
    connection, _ = server.accept()
    try:
        whole(connection, struct.unpack("!I", whole(connection, 4))[0] - 4)
        connection.sendall(b"R" + struct.pack("!II", 8, 3))
        assert whole(connection, 1) == b"p"
        said = whole(connection, struct.unpack("!I", whole(connection, 4))[0] - 4)
        print(said.rstrip(b"\0").decode(), flush=True)
        fields = b"SFATAL\0C28P01\0Mnot you\0\0"
        connection.sendall(b"E" + struct.pack("!I", 4 + len(fields)) + fields)
    except EOFError:
        print(flush=True)
    connection.close()
"#;

struct Server {
    process: Child,
    lines: BufReader<std::process::ChildStdout>,
    port: String,
}

impl Server {
    fn start() -> Server {
        let mut command = Command::new(python());
        command.args(["-I", "-S", "-c", SERVER]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("python3");
        let lines = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut server = Server { process, lines, port: String::new() };
        server.port = server.line();
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the server");
        line.trim_end().to_owned()
    }

    /// What psql says, and which password it sent.
    fn asked_by(&mut self, user: User<'_>, file: &Path) -> (Output, String) {
        let mut psql = user.command("psql");
        psql.env("PGPASSFILE", file).env("PGSSLMODE", "disable").env("PGGSSENCMODE", "disable").env("LC_ALL", "C");
        psql.env("HOME", "/nonexistent").env_remove("PGPASSWORD");
        psql.args(["-X", "-w", "-h", "127.0.0.1", "-p", &self.port, "-U", "app", "-d", "db", "-c", "select 1"]);
        let output = psql.output().expect("psql");
        (output, self.line())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const FILE: &str = "prod/secrets/pgpass";
const LINE: &str = "*:*:db:app:s3cret\n";

fn a_password_file_of_its_user() {
    let mount = Mount::new();
    mount.put(FILE, LINE);
    mount.own(FILE, ALICE, ALICE, 0o600);
    let mut server = Server::start();
    let file = mount.path(FILE);
    let (output, sent) = server.asked_by(User(ALICE, ALICE, &[]), &file);
    assert_eq!(sent, "s3cret", "{}", said(&output));
    assert!(said(&output).contains("not you"), "{}", said(&output));
    for user in [User(BOB, BOB, &[PAYMENTS]), User(ALICE, OPS, &[]), ROOT] {
        let (output, sent) = server.asked_by(user, &file);
        assert_eq!(sent, "");
        assert!(said(&output).contains("no password supplied"), "{}", said(&output));
    }
}

fn a_password_file_that_a_group_reads_is_ignored() {
    let mount = Mount::new();
    let member = User(ALICE, ALICE, &[PAYMENTS]);
    let outside = directory_of(member, mount.home().join("outside")).join("pgpass");
    std::fs::write(&outside, LINE).unwrap();
    std::os::unix::fs::chown(&outside, Some(0), Some(PAYMENTS)).unwrap();
    std::fs::set_permissions(&outside, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    mount.put(FILE, LINE);
    mount.own(FILE, 0, PAYMENTS, 0o640);
    member.reads(&mount.path(FILE), LINE);
    let mut server = Server::start();
    for file in [outside, mount.path(FILE)] {
        let (output, sent) = server.asked_by(member, &file);
        assert_eq!(sent, "");
        let warning = format!("WARNING: password file \"{}\" has group or world access", file.display());
        assert!(said(&output).contains(&warning), "{}", said(&output));
    }
}
