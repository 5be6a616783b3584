//! nginx serves TLS with a private key from the secrets and a certificate from the variables.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, OPS, PAYMENTS, ROOT, User, run, wait_for};
use crate::service::{Service, directory_of, free_port, said};
use crate::{Case, Tool};

pub const TOOLS: &[Tool] = &[("nginx", "nginx"), ("openssl", "openssl"), ("curl", "curl")];

pub const CASES: &[Case] = &[
    ("a_master_in_the_group_serves", a_master_in_the_group_serves),
    ("a_user_serves_with_a_key_of_its_own", a_user_serves_with_a_key_of_its_own),
    ("without_the_group_it_does_not_start", without_the_group_it_does_not_start),
    ("a_reload_takes_the_rotated_key", a_reload_takes_the_rotated_key),
    ("a_reload_without_the_group_goes_on_as_before", a_reload_without_the_group_goes_on_as_before),
];

/// The superuser, as a unit with `SupplementaryGroups=` starts it.
const MASTER: User<'static> = User(0, 0, &[PAYMENTS]);
const CLIENT: User<'static> = User(BOB, BOB, &[ANALYSTS]);

const KEY: &str = "prod/secrets/tls/key.pem";
const CERTIFICATE: &str = "prod/variables/tls/certificate.pem";

struct Site {
    mount: Mount,
    port: u16,
}

impl Site {
    /// With a key of this owner, group and mode.
    fn new(owner: u32, group: u32, mode: u32) -> Site {
        let mount = Mount::new();
        mount.mkdir("prod/secrets/tls");
        mount.mkdir("prod/variables/tls");
        let site = Site { mount, port: free_port() };
        site.certify("first", KEY, CERTIFICATE);
        site.mount.own(KEY, owner, group, mode);
        site
    }

    /// Makes a key and a certificate for it, with openssl writing into the mount.
    fn certify(&self, organization: &str, key: &str, certificate: &str) {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "2", "-subj", &format!("/O={organization}/CN=localhost")]);
        openssl.args(["-addext", "subjectAltName=IP:127.0.0.1"]);
        openssl.arg("-keyout").arg(self.mount.path(key)).arg("-out").arg(self.mount.path(certificate));
        run(&mut openssl);
    }

    /// nginx in the foreground with a configuration and directories of its own.
    fn nginx(&self, user: User<'_>) -> Command {
        let home = directory_of(user, self.mount.home().join("nginx"));
        let place = home.display();
        let mut temporary = String::new();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            temporary.push_str(&format!("{kind}_temp_path {place}/{kind};\n"));
        }
        let workers = if user.0 == 0 { "user www-data;" } else { "" };
        let (port, key, certificate) = (self.port, self.mount.path(KEY), self.mount.path(CERTIFICATE));
        let configuration = format!(
            "daemon off; worker_processes 1; {workers} pid {place}/pid; error_log stderr notice;\n\
             events {{ worker_connections 64; }}\n\
             http {{\naccess_log off; ssl_session_cache off;\n{temporary}\
             server {{ listen 127.0.0.1:{port} ssl;\n\
             ssl_certificate {}; ssl_certificate_key {};\n\
             location / {{ return 200 \"served\\n\"; }} }} }}\n",
            certificate.display(),
            key.display()
        );
        let file = home.join("nginx.conf");
        fs::write(&file, configuration).expect("a configuration");
        let mut command = user.command("nginx");
        command.args(["-e", "stderr", "-p"]).arg(&home).arg("-c").arg(file);
        command
    }

    fn start(&self, user: User<'_>) -> Service {
        let mut service = Service::start(&mut self.nginx(user), &self.mount.home().join("nginx.log"));
        wait_for("nginx", || service.is_running() && self.fetch(CERTIFICATE).status.success());
        service
    }

    /// What a client gets that trusts the certificate of this name and no other.
    fn fetch(&self, trusted: &str) -> Output {
        let mut curl = CLIENT.command("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--cacert"]);
        curl.arg(self.mount.path(trusted)).arg(format!("https://127.0.0.1:{}/", self.port));
        curl.output().expect("curl")
    }

    #[track_caller]
    fn serves(&self) {
        let fetched = self.fetch(CERTIFICATE);
        assert_eq!(said(&fetched), "served\n");
    }

    /// Whom the certificate that is served now names.
    fn served_organization(&self) -> String {
        let address = format!("127.0.0.1:{}", self.port);
        let script = r#"openssl s_client -connect "$0" </dev/null 2>/dev/null | openssl x509 -noout -subject"#;
        run(CLIENT.command("sh").args(["-c", script, &address]))
    }

    /// Rotates both, each as a whole: staged beside, then renamed over.
    fn rotate(&self) {
        let (key, certificate) = (format!("{KEY}.new"), format!("{CERTIFICATE}.new"));
        self.certify("second", &key, &certificate);
        self.mount.own(&key, 0, PAYMENTS, 0o640);
        for (new, name) in [(key, KEY), (certificate, CERTIFICATE)] {
            run(Command::new("mv").arg(self.mount.path(&new)).arg(self.mount.path(name)));
        }
    }

    /// That nginx gives up, saying so itself.
    #[track_caller]
    fn does_not_start(&self, user: User<'_>) {
        let output = self.nginx(user).output().expect("nginx");
        let said = said(&output);
        assert!(!output.status.success(), "{said}");
        let expected = format!("cannot load certificate key \"{}\"", self.mount.path(KEY).display());
        assert!(said.contains(&expected) && said.contains("Permission denied"), "{said}");
    }

    fn key(&self) -> PathBuf {
        self.mount.path(KEY)
    }
}

fn a_master_in_the_group_serves() {
    let site = Site::new(0, PAYMENTS, 0o640);
    let _nginx = site.start(MASTER);
    site.serves();
    // Its client, and its workers' user, have no part in the key.
    CLIENT.is_refused(&site.key(), "Permission denied");
    User(33, 33, &[]).is_refused(&site.key(), "Permission denied");
}

fn a_user_serves_with_a_key_of_its_own() {
    let site = Site::new(ALICE, ALICE, 0o600);
    let _nginx = site.start(User(ALICE, ALICE, &[]));
    site.serves();
    drop(_nginx);
    // Owner, but not in the owning group.
    site.does_not_start(User(ALICE, OPS, &[]));
}

fn without_the_group_it_does_not_start() {
    let site = Site::new(0, PAYMENTS, 0o640);
    site.does_not_start(ROOT);
    site.does_not_start(User(ALICE, ALICE, &[OPS]));
    // The same command with the group.
    let _nginx = site.start(User(ALICE, ALICE, &[OPS, PAYMENTS]));
    site.serves();
}

fn a_reload_takes_the_rotated_key() {
    let site = Site::new(0, PAYMENTS, 0o640);
    let nginx = site.start(MASTER);
    assert!(site.served_organization().contains("first"));
    site.rotate();
    // What it loaded stays until it is told.
    assert!(site.served_organization().contains("first"));
    let before = nginx.children();
    nginx.signal("HUP");
    wait_for("the second certificate", || site.served_organization().contains("second"));
    // Workers of before may answer for a moment; once they are gone a client that trusts the new one alone is served.
    wait_for("the end of the old workers", || nginx.children().iter().all(|child| !before.contains(child)));
    site.serves();
    assert_eq!(site.mount.get(&format!(".keyfs/history/{CERTIFICATE}/2")), site.mount.get(CERTIFICATE));
}

fn a_reload_without_the_group_goes_on_as_before() {
    let site = Site::new(0, PAYMENTS, 0o640);
    let nginx = site.start(MASTER);
    run(Command::new("chgrp").arg(ANALYSTS.to_string()).arg(site.key()));
    nginx.signal("HUP");
    wait_for("a refused reload", || nginx.logged().contains("Permission denied"));
    assert!(nginx.logged().contains("cannot load certificate key"), "{}", nginx.logged());
    site.serves();
}
