//! A job that takes its settings from keyfs: see ../README.md.
#![allow(clippy::print_stdout, clippy::print_stderr)] // it is a program

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// A directory with the two trees, `variables` and `secrets`.
struct Keys(PathBuf);

impl Keys {
    /// A mount of one environment has the two trees at its root.
    fn find() -> Result<Keys, String> {
        let setting = |name, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.into());
        let mount = PathBuf::from(setting("KEYFS_MOUNT", "/keys"));
        if ["variables", "secrets"].iter().all(|tree| mount.join(tree).is_dir()) {
            return Ok(Keys(mount));
        }
        let directory = mount.join(setting("KEYFS_ENV", "dev"));
        if !directory.join("variables").is_dir() {
            let place = directory.display();
            return Err(format!(
                "there are no keys in {place}: is keyfs mounted, and are KEYFS_MOUNT and KEYFS_ENV right?"
            ));
        }
        Ok(Keys(directory))
    }

    /// A key's value, less one trailing newline; `None` where there is no such key.
    fn read(&self, tree: &str, key: &str) -> Result<Option<Vec<u8>>, String> {
        let path = self.0.join(tree).join(key);
        match fs::read(&path) {
            Ok(mut value) => {
                if value.last() == Some(&b'\n') {
                    value.pop();
                }
                Ok(Some(value))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(format!(
                "{key} is not for this process; to see why: getfattr -n system.keyfs.why --only-values --absolute-names {}",
                path.display()
            )),
            Err(error) => Err(format!("{key} can't be read from {}: {error}", path.display())),
        }
    }

    fn variable(&self, key: &str, otherwise: &str) -> Result<String, String> {
        let value = self.read("variables", key)?;
        Ok(value.map_or_else(|| otherwise.into(), |value| String::from_utf8_lossy(&value).into_owned()))
    }

    fn secret(&self, key: &str) -> Result<Vec<u8>, String> {
        let path = self.0.join("secrets").join(key);
        self.read("secrets", key)?.ok_or_else(|| format!("{key} is missing: write it to {}", path.display()))
    }

    fn set_variable(&self, key: &str, value: &str) -> Result<(), String> {
        let path = self.0.join("variables").join(key);
        store(&path, value).map_err(|error| format!("{key} can't be written to {}: {error}", path.display()))
    }
}

/// Stores a value. Syncing tells whether it is stored; how closing ended is told to nobody.
fn store(path: &Path, value: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = File::create(path)?;
    file.write_all(value.as_bytes())?;
    file.sync_all()
}

fn job() -> Result<(), String> {
    let keys = Keys::find()?;
    let host = keys.variable("db/host", "localhost")?;
    let password = keys.secret("db/password")?;
    let last_run = keys.variable("jobs/last_run", "never")?;
    println!("host: {host}");
    println!("password: {} bytes", password.len());
    println!("last run: {last_run}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    keys.set_variable("jobs/last_run", &format!("{now}\n"))
}

fn main() -> ExitCode {
    match job() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
