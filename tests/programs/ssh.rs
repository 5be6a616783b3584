//! OpenSSH with keys among the secrets: what it insists on for a private key, and what it does with one.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::accounts;
use crate::fixture::{ALICE, BOB, Mount, OPS, PAYMENTS, ROOT, User, run, wait_for};
use crate::service::{Service, directory_of, free_port, said};
use crate::{Case, Tool};

pub const TOOLS: &[Tool] = &[
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("ssh-agent", "openssh-client"),
    ("ssh-add", "openssh-client"),
    ("sshd", "openssh-server"),
];

pub const CASES: &[Case] = &[
    ("keygen_makes_a_key_in_the_mount", keygen_makes_a_key_in_the_mount),
    ("keygen_reads_a_key_of_its_user_alone", keygen_reads_a_key_of_its_user_alone),
    ("keygen_complains_of_a_key_that_a_group_reads", keygen_complains_of_a_key_that_a_group_reads),
    ("a_group_uses_a_key_that_none_of_it_owns", a_group_uses_a_key_that_none_of_it_owns),
    ("keygen_changes_a_passphrase", keygen_changes_a_passphrase),
    ("an_agent_loads_a_key", an_agent_loads_a_key),
    ("a_client_logs_in", a_client_logs_in),
    ("a_client_ignores_a_key_that_a_group_reads", a_client_ignores_a_key_that_a_group_reads),
    ("a_server_takes_its_host_key_from_the_mount", a_server_takes_its_host_key_from_the_mount),
    ("known_hosts_in_the_mount", known_hosts_in_the_mount),
];

const ALICE_ALONE: User<'static> = User(ALICE, ALICE, &[]);
const BOB_ALONE: User<'static> = User(BOB, BOB, &[]);

/// A mount with a directory `prod/secrets/ssh` of alice's, and a key `id` in it that ssh-keygen made there.
fn with_key() -> (Mount, PathBuf) {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/ssh");
    mount.own("prod/secrets/ssh", ALICE, ALICE, 0o755);
    let key = mount.path("prod/secrets/ssh/id");
    generate(&key);
    (mount, key)
}

fn generate(key: &Path) {
    let output = alice("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "alice", "-f"]).arg(key).output();
    let output = output.expect("ssh-keygen");
    assert!(output.status.success(), "{}", said(&output));
}

/// A command of alice's, at home.
fn alice(program: &str) -> Command {
    as_user(ALICE_ALONE, "alice", program)
}

fn as_user(user: User<'_>, name: &str, program: &str) -> Command {
    let mut command = user.command(program);
    command.env("HOME", accounts::home(name)).env_remove("SSH_AUTH_SOCK").env("LC_ALL", "C");
    command
}

/// The public key that belongs to a private one.
fn public(mut keygen: Command, key: &Path) -> Output {
    keygen.args(["-y", "-P", "", "-f"]).arg(key).output().expect("ssh-keygen")
}

#[track_caller]
fn is_refused(output: &Output, why: &str) {
    let said = said(output);
    assert!(!output.status.success() && said.contains(why), "{said}");
}

fn status(path: &Path) -> String {
    run(Command::new("stat").args(["-c", "%a %u %g"]).arg(path)).trim_end().to_owned()
}

fn keygen_makes_a_key_in_the_mount() {
    let (mount, key) = with_key();
    assert_eq!(status(&key), format!("600 {ALICE} {ALICE}"));
    // Elsewhere it would be 644: on a secret, other has nothing.
    assert_eq!(status(&key.with_extension("pub")), format!("640 {ALICE} {ALICE}"));
    let output = public(alice("ssh-keygen"), &key);
    assert!(output.status.success(), "{}", said(&output));
    ALICE_ALONE.reads(&key.with_extension("pub"), output.stdout);
    // Into a directory that does not let her.
    mount.mkdir("prod/secrets/closed");
    let closed = mount.path("prod/secrets/closed/id");
    let output = alice("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&closed).output().unwrap();
    is_refused(&output, "Permission denied");
    assert!(!closed.exists());
}

fn keygen_reads_a_key_of_its_user_alone() {
    let (_mount, key) = with_key();
    let output = public(alice("ssh-keygen"), &key);
    assert!(output.stdout.starts_with(b"ssh-ed25519 "), "{}", said(&output));
    is_refused(&public(as_user(BOB_ALONE, "bob", "ssh-keygen"), &key), "Permission denied");
    is_refused(&public(ROOT.command("ssh-keygen"), &key), "Permission denied");
    // The owner without the owning group.
    is_refused(&public(as_user(User(ALICE, OPS, &[]), "alice", "ssh-keygen"), &key), "Permission denied");
}

fn keygen_complains_of_a_key_that_a_group_reads() {
    let (mount, key) = with_key();
    let outside = directory_of(ALICE_ALONE, mount.home().join("outside")).join("id");
    generate(&outside);
    for key in [&key, &outside] {
        fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        let output = public(alice("ssh-keygen"), key);
        is_refused(&output, "UNPROTECTED PRIVATE KEY FILE");
        assert!(said(&output).contains("Permissions 0640"), "{}", said(&output));
    }
}

fn a_group_uses_a_key_that_none_of_it_owns() {
    // OpenSSH asks for 0600 of a key's owner alone.
    let (mount, key) = with_key();
    let expected = public(alice("ssh-keygen"), &key).stdout;
    mount.own("prod/secrets/ssh/id", 0, PAYMENTS, 0o640);
    let member = public(as_user(User(ALICE, ALICE, &[PAYMENTS]), "alice", "ssh-keygen"), &key);
    assert_eq!(member.stdout, expected, "{}", said(&member));
    is_refused(&public(alice("ssh-keygen"), &key), "Permission denied");
}

fn keygen_changes_a_passphrase() {
    let (mount, key) = with_key();
    let before = public(alice("ssh-keygen"), &key).stdout;
    let changed = alice("ssh-keygen").args(["-q", "-p", "-P", "", "-N", "a phrase", "-f"]).arg(&key).output().unwrap();
    assert!(changed.status.success(), "{}", said(&changed));
    is_refused(&public(alice("ssh-keygen"), &key), "incorrect passphrase");
    let opened = alice("ssh-keygen").args(["-y", "-P", "a phrase", "-f"]).arg(&key).output().unwrap();
    assert_eq!(opened.stdout, before, "{}", said(&opened));
    assert_eq!(status(&key), format!("600 {ALICE} {ALICE}"));
    // The key of before is the version before.
    let old = run(alice("cat").arg(mount.path(".keyfs/history/prod/secrets/ssh/id/1")));
    assert!(old.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
    assert_ne!(old, run(alice("cat").arg(&key)));
}

/// A private agent.
fn agent(user: User<'_>, name: &str, mount: &Mount) -> (Service, PathBuf) {
    let place = directory_of(user, mount.home().join(format!("agent-{name}")));
    let socket = place.join("socket");
    let mut command = as_user(user, name, "ssh-agent");
    let mut service = Service::start(command.arg("-D").arg("-a").arg(&socket), &place.join("log"));
    // The socket is there a moment before somebody listens at it.
    wait_for("the agent", || service.is_running() && UnixStream::connect(&socket).is_ok());
    (service, socket)
}

fn an_agent_loads_a_key() {
    let (mount, key) = with_key();
    let (_agent, socket) = agent(ALICE_ALONE, "alice", &mount);
    let add = |mut command: Command, socket: &Path, arguments: &[&str]| {
        command.env("SSH_AUTH_SOCK", socket).args(arguments).output().expect("ssh-add")
    };
    let key_path = key.to_str().unwrap();
    let added = add(alice("ssh-add"), &socket, &["-q", key_path]);
    assert!(added.status.success(), "{}", said(&added));
    let listed = add(alice("ssh-add"), &socket, &["-L"]);
    assert_eq!(said(&listed), run(alice("cat").arg(key.with_extension("pub"))));

    let (_agent, socket) = agent(BOB_ALONE, "bob", &mount);
    is_refused(&add(as_user(BOB_ALONE, "bob", "ssh-add"), &socket, &[key_path]), "Permission denied");
    is_refused(&add(as_user(BOB_ALONE, "bob", "ssh-add"), &socket, &["-L"]), "no identities");
}

/// A server of alice's own, which lets in whoever has the key `id`.
struct Server {
    mount: Mount,
    key: PathBuf,
    port: u16,
}

const HOST_KEY: &str = "prod/secrets/ssh/host";
const KNOWN_HOSTS: &str = "prod/variables/ssh/known_hosts";

impl Server {
    fn new() -> Server {
        let (mount, key) = with_key();
        generate(&mount.path(HOST_KEY));
        mount.mkdir("prod/variables/ssh");
        mount.own("prod/variables/ssh", ALICE, ALICE, 0o755);
        run(alice("cp").arg(key.with_extension("pub")).arg(mount.path("prod/variables/ssh/authorized_keys")));
        Server { mount, key, port: free_port() }
    }

    fn sshd(&self, mut sshd: Command) -> Command {
        sshd.args(["-D", "-e", "-f", "/dev/null", "-o", "ListenAddress=127.0.0.1", "-o", "PidFile=none"]);
        sshd.args(["-o", "UsePAM=no", "-o", "StrictModes=no", "-o", "AuthenticationMethods=publickey"]);
        sshd.args(["-p", &self.port.to_string(), "-h"]).arg(self.mount.path(HOST_KEY));
        let authorized = self.mount.path("prod/variables/ssh/authorized_keys");
        sshd.arg("-o").arg(format!("AuthorizedKeysFile={}", authorized.display()));
        sshd
    }

    fn start(&self) -> Service {
        let log = self.mount.home().join("sshd.log");
        let mut service = Service::start(&mut self.sshd(alice(&sshd())), &log);
        wait_for("sshd", || service.is_running() && service.logged().contains("Server listening"));
        service
    }

    /// A command run through the server.
    fn ssh(&self, mut ssh: Command) -> Output {
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]);
        ssh.args(["-o", "StrictHostKeyChecking=accept-new", "-p", &self.port.to_string(), "-o"]);
        ssh.arg(format!("UserKnownHostsFile={}", self.mount.path(KNOWN_HOSTS).display()));
        ssh.arg("-i").arg(&self.key).args(["alice@127.0.0.1", "echo welcome"]).output().expect("ssh")
    }
}

/// It wants to be started by its whole path.
fn sshd() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|place| place.join("sshd")).find(|sshd| sshd.exists());
    found.expect("sshd").to_str().expect("a path of text").to_owned()
}

fn a_client_logs_in() {
    let server = Server::new();
    let _sshd = server.start();
    let output = server.ssh(alice("ssh"));
    assert!(output.status.success() && output.stdout == b"welcome\n", "{}", said(&output));
    // bob knows the server, and has no key that lets him in.
    let output = server.ssh(as_user(BOB_ALONE, "bob", "ssh"));
    is_refused(&output, "Permission denied (publickey)");
    assert!(said(&output).contains(&format!("Load key \"{}\": Permission denied", server.key.display())));
}

fn a_client_ignores_a_key_that_a_group_reads() {
    let server = Server::new();
    let _sshd = server.start();
    server.mount.own("prod/secrets/ssh/id", ALICE, ALICE, 0o640);
    let output = server.ssh(alice("ssh"));
    is_refused(&output, "UNPROTECTED PRIVATE KEY FILE");
    is_refused(&output, "Permission denied (publickey)");
    server.mount.own("prod/secrets/ssh/id", ALICE, ALICE, 0o600);
    assert!(server.ssh(alice("ssh")).status.success());
}

fn a_server_takes_its_host_key_from_the_mount() {
    let server = Server::new();
    // Refused by the gate: the owner without the owning group.
    let stranger = as_user(User(ALICE, OPS, &[]), "alice", &sshd());
    let output = server.sshd(stranger).output().unwrap();
    is_refused(&output, &format!("Unable to load host key: {}", server.mount.path(HOST_KEY).display()));
    is_refused(&output, "no hostkeys available");
    // Refused by the server: a group reads it.
    server.mount.own(HOST_KEY, ALICE, ALICE, 0o640);
    is_refused(&server.sshd(alice(&sshd())).output().unwrap(), "UNPROTECTED PRIVATE KEY FILE");
    server.mount.own(HOST_KEY, ALICE, ALICE, 0o600);
    let _sshd = server.start();
    assert!(server.ssh(alice("ssh")).status.success());
}

fn known_hosts_in_the_mount() {
    let server = Server::new();
    let _sshd = server.start();
    let known = server.mount.path(KNOWN_HOSTS);
    for _ in 0..2 {
        let output = server.ssh(alice("ssh"));
        assert!(output.status.success(), "{}", said(&output));
    }
    // Appended once, and found the second time.
    let hosts = fs::read_to_string(&known).unwrap();
    let host_key = run(alice("cat").arg(server.mount.path(HOST_KEY).with_extension("pub")));
    let key: Vec<_> = host_key.split(' ').take(2).collect();
    assert_eq!(hosts, format!("[127.0.0.1]:{} {}\n", server.port, key.join(" ")));
    // Its own way to take a host off begins with a hard link, which a key does not have; nothing is lost.
    let host = format!("[127.0.0.1]:{}", server.port);
    let removed = alice("ssh-keygen").args(["-R", &host, "-f"]).arg(&known).output().unwrap();
    is_refused(&removed, "Operation not permitted");
    assert_eq!(fs::read_to_string(&known).unwrap(), hosts);
}
