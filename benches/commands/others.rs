//! The same secret in the hands of other programs: `age`, `systemd-creds` and `pass`, each set up as it is by default, in a place
//! that goes with the benchmark.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Work, program};

/// GnuPG's agent, which `pass` starts; it is ended when this goes.
pub struct Agent(Option<PathBuf>);

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(home) = &self.0 {
            let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", home).status();
        }
    }
}

/// What is installed, with how many times faster than it `dt kv get` is to be.
pub fn all(home: &Path, secret: &str) -> (Agent, Vec<(Work, f64)>) {
    let mut works = Vec::new();
    let mut agent = Agent(None);
    let mut add = |name: &str, work: Option<Work>, times: f64| match work {
        Some(work) => works.push((work.printing(secret), times)),
        None => println!("{name} is left out: it isn't installed, or can't be set up"),
    };
    add("age -d", age(home, secret), 3.0);
    add("systemd-creds decrypt", systemd(home, secret), 5.0);
    let store = home.join("gnupg");
    add("pass show", pass(home, &store, secret), 20.0);
    if store.exists() {
        agent = Agent(Some(store));
    }
    (agent, works)
}

/// Runs a command with something on stdin; what it printed, if it succeeded.
fn feed(command: &mut Command, input: &str) -> Option<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    child.stdin.take()?.write_all(input.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn age(home: &Path, secret: &str) -> Option<Work> {
    let (identity, file) = (home.join("age-identity"), home.join("secret.age"));
    let (identity, file) = (identity.to_str()?, file.to_str()?);
    feed(&mut program("age-keygen", &["-o", identity]), "")?;
    let recipient = feed(&mut program("age-keygen", &["-y", identity]), "")?;
    feed(&mut program("age", &["-r", recipient.trim(), "-o", file]), secret)?;
    Some(Work::new("age -d", program("age", &["-d", "-i", identity, file])))
}

fn systemd(home: &Path, secret: &str) -> Option<Work> {
    let file = home.join("secret.cred");
    let file = file.to_str()?;
    feed(&mut program("systemd-creds", &["setup"]), "")?;
    feed(&mut program("systemd-creds", &["encrypt", "--with-key=host", "--name=secret", "-", file]), secret)?;
    Some(Work::new("systemd-creds decrypt", program("systemd-creds", &["decrypt", "--name=secret", file, "-"])))
}

fn pass(home: &Path, keys: &Path, secret: &str) -> Option<Work> {
    let store = home.join("password-store");
    fs::create_dir(keys).ok()?;
    fs::set_permissions(keys, fs::Permissions::from_mode(0o700)).ok()?;
    let set = |mut command: Command| {
        command.env("GNUPGHOME", keys).env("PASSWORD_STORE_DIR", &store);
        command
    };
    let user = "benchmark@example.org";
    let generate = ["--batch", "--quiet", "--passphrase", "", "--quick-gen-key", user, "default", "default", "never"];
    feed(&mut set(program("gpg", &generate)), "")?;
    feed(&mut set(program("pass", &["init", user])), "")?;
    feed(&mut set(program("pass", &["insert", "--multiline", "secret"])), secret)?;
    Some(Work::new("pass show", set(program("pass", &["show", "secret"]))))
}
