//! The nginx configuration that is shipped, in a real nginx with TLS and passwords, in front of a dashboard for a team.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::Cases;
use crate::fixture::{BOB, Mount, User, run, wait_for};
use crate::harness::Tool;
use crate::http::{Dashboard, Session};
use crate::service::{Service, free_port};
use crate::team::{changing, fill};

pub const TOOLS: &[Tool] = &[("nginx", "nginx"), ("openssl", "openssl"), ("curl", "curl")];

pub const CASES: Cases = &[
    ("each_has_their_own_rights", each_has_their_own_rights),
    ("a_name_of_the_clients_own_is_none", a_name_of_the_clients_own_is_none),
    ("changes_are_told_as_they_happen", changes_are_told_as_they_happen),
    ("long_bodies_pass_and_leave_nothing", long_bodies_pass_and_leave_nothing),
];

const HOST: &str = "keys.example.com";

/// A dashboard, and nginx in front of it.
struct Site {
    mount: Mount,
    port: u16,
    nginx: Service,
    dashboard: Dashboard,
}

impl Site {
    fn new() -> Site {
        let mount = Mount::new();
        fill(&mount);
        let port = free_port();
        let home = mount.home().join("nginx");
        fs::create_dir(&home).unwrap();
        let (key, certificate) = (home.join("key"), home.join("certificate"));
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ]);
        openssl.args(["-subj", "/CN=keys", "-addext", &format!("subjectAltName=DNS:{HOST}")]);
        run(openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate));
        let mut passwords = String::new();
        for user in ["alice", "bob", "root", "stranger"] {
            let hash = run(Command::new("openssl").args(["passwd", "-apr1", &format!("{user}-password")]));
            passwords.push_str(&format!("{user}:{hash}"));
        }
        let file = home.join("passwords");
        fs::write(&file, passwords).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let socket = mount.home().join("socket");
        let dashboard = dashboard(&mount, &socket, port);

        let shipped = include_str!("../../examples/dashboard/nginx.conf");
        let mut server = shipped.to_owned();
        for (shipped, own) in [
            ("listen 443 ssl", format!("listen 127.0.0.1:{port} ssl")),
            ("/etc/ssl/certs/keys.example.com.pem", certificate.display().to_string()),
            ("/etc/ssl/private/keys.example.com.key", key.display().to_string()),
            ("/etc/nginx/keyfs.htpasswd", file.display().to_string()),
            ("unix:/run/keyfs-dashboard/socket:", format!("unix:{}:", socket.display())),
        ] {
            assert!(server.contains(shipped), "{shipped}");
            server = server.replace(shipped, &own);
        }
        let mut temporary = String::new();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            temporary.push_str(&format!("{kind}_temp_path {}/{kind};\n", home.display()));
        }
        let log = home.join("access.log");
        let configuration = format!(
            "daemon off; worker_processes 1; user www-data; pid {}/pid; error_log stderr info;\n\
             events {{ worker_connections 64; }}\nhttp {{\naccess_log {};\n{temporary}\n{server}\n}}\n",
            home.display(),
            log.display()
        );
        let file = home.join("nginx.conf");
        fs::write(&file, configuration).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.args(["-e", "stderr", "-p"]).arg(&home).arg("-c").arg(file);
        let nginx = Service::start(&mut nginx, &mount.home().join("nginx.log"));
        let mut site = Site { mount, port, nginx, dashboard };
        wait_for("nginx", || site.nginx.is_running() && site.fetch("alice", &[], "/").status.success());
        site
    }

    fn host(&self) -> String {
        format!("{HOST}:{}", self.port)
    }

    /// `curl` as somebody whose password nginx knows.
    fn curl(&self, user: &str, more: &[&str], path: &str) -> Command {
        let mut curl = User(BOB, BOB, &[]).command("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "30",
            "--fail-with-body",
            "--no-buffer",
        ]);
        curl.arg("--resolve").arg(format!("{}:127.0.0.1", self.host()));
        curl.arg("--cacert").arg(self.mount.home().join("nginx/certificate"));
        if !user.is_empty() {
            curl.arg("--user").arg(format!("{user}:{user}-password"));
        }
        curl.args(["--header", &format!("Origin: https://{}", self.host())]);
        curl.args(more).arg(format!("https://{}{path}", self.host()));
        curl
    }

    fn fetch(&self, user: &str, more: &[&str], path: &str) -> Output {
        self.curl(user, more, path).output().expect("curl")
    }

    /// A session, as a header.
    fn log_in(&self, user: &str) -> String {
        let answer = self.fetch(user, &["--json", "{}"], "/api/session");
        assert!(answer.status.success(), "{answer:?} {}", self.dashboard.logged());
        let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
        format!("X-Keyfs-Session: {}", answer["session"].as_str().unwrap())
    }
}

fn dashboard(mount: &Mount, socket: &std::path::Path, port: u16) -> Dashboard {
    let mut command = Command::new(crate::dt());
    command.args(["dashboard", "--user-header", "X-Remote-User", "--socket-group", "www-data"]);
    command.arg("--socket").arg(socket).arg("--host").arg(format!("{HOST}:{port}")).env("KEYFS_MOUNT", mount.root());
    Dashboard::of(mount, command)
}

#[track_caller]
fn good(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(output: &Output, code: &str) {
    assert!(!output.status.success(), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(answer["error"]["code"], code, "{answer}");
}

fn each_has_their_own_rights() {
    let site = Site::new();
    let page = site.fetch("alice", &["--include"], "/");
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("content-security-policy:") && page.contains("Strict-Transport-Security"), "{page}");
    let (alice, bob) = (site.log_in("alice"), site.log_in("bob"));
    let body = changing("changed").to_string();
    let put = |user: &str, session: &str| site.fetch(user, &["--header", session, "--json", &body], "/api/put");
    refused(&put("bob", &bob), "denied");
    assert_eq!(site.mount.get("dev/variables/key"), b"value");
    good(&put("alice", &alice));
    assert_eq!(site.mount.get("dev/variables/key"), b"changed");
    // Each session with its user alone.
    refused(&put("bob", &alice), "unauthorized");
    let about = good(&site.fetch("bob", &["--header", &bob], "/api/about"));
    assert_eq!((&about["user"]["name"], &about["team"]), (&json!("bob"), &json!(true)));
    // Without a password, or with a name that is nobody's here.
    for user in ["", "mallory"] {
        let output = site.fetch(user, &["--header", &alice], "/api/about");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success() && said.contains("401"), "{said}");
    }
    for user in ["stranger", "root"] {
        refused(&site.fetch(user, &["--json", "{}"], "/api/session"), "denied");
    }
}

fn a_name_of_the_clients_own_is_none() {
    let site = Site::new();
    let (alice, bob) = (site.log_in("alice"), site.log_in("bob"));
    let body = changing("forged").to_string();
    for forged in ["X-Remote-User: alice", "x-remote-user: alice", "X_Remote_User: alice", "X-Remote-User;"] {
        for session in [&alice, &bob] {
            let more = ["--header", forged, "--header", session, "--json", &body];
            assert!(!site.fetch("bob", &more, "/api/put").status.success(), "{forged}");
        }
        let about = good(&site.fetch("bob", &["--header", forged, "--header", &bob], "/api/about"));
        assert_eq!(about["user"]["name"], "bob", "{forged}");
        let output = site.fetch("", &["--header", forged, "--json", "{}"], "/api/session");
        assert!(!output.status.success(), "{output:?}");
    }
    // Nor does another page of the same host get in by the password that the browser remembers.
    let elsewhere = ["--header", "Origin: https://keys.example.com:1", "--header", &alice, "--json", &body];
    let mut curl = site.curl("alice", &[], "/api/put");
    let output = curl.args(elsewhere).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(site.mount.get("dev/variables/key"), b"value");
}

/// Ends a process by its id when it goes.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn changes_are_told_as_they_happen() {
    let site = Site::new();
    let bob = site.log_in("bob");
    let stream = site.curl("bob", &["--header", &bob], "/api/events").stdout(Stdio::piped()).spawn().unwrap();
    let mut stream = Ends(stream);
    let mut lines = BufReader::new(stream.0.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let mut next = |kind: &str| loop {
        let line: Value = serde_json::from_str(&lines.next().expect("a line")).unwrap();
        if line["kind"] == kind {
            return line;
        }
    };
    next("ready");
    site.mount.put("dev/variables/told", "x");
    assert_eq!(next("change")["key"], "told");
}

fn long_bodies_pass_and_leave_nothing() {
    let site = Site::new();
    let alice = site.log_in("alice");
    // Longer than what nginx keeps in memory by itself.
    let value = "planted-91c4".repeat(60_000);
    let mut body = Session::making("long", &value);
    body["tree"] = "secrets".into();
    let file = site.mount.home().join("body");
    fs::write(&file, body.to_string()).unwrap();
    let sent = format!("@{}", file.display());
    let kind = "Content-Type: application/json";
    good(&site.fetch("alice", &["--header", &alice, "--header", kind, "--data-binary", &sent], "/api/put"));
    assert_eq!(fs::metadata(site.mount.path("dev/secrets/long")).unwrap().len(), value.len() as u64);
    let logs = site.nginx.logged() + &fs::read_to_string(site.mount.home().join("nginx/access.log")).unwrap();
    // It says so where it writes a body to a file.
    assert!(!logs.contains("buffered to a temporary file") && !logs.contains("planted"), "{logs}");
    assert!(!site.dashboard.logged().contains("planted"));
}
