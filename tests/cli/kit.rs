//! A directory with a store, an identity and a mount point in it, and the commands run on them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use tempfile::TempDir;

use crate::fixture::KEYFS;

/// See the module. What is mounted in it goes with it.
pub struct Kit(TempDir);

impl Kit {
    /// Nothing but an empty directory to mount on.
    pub fn empty() -> Kit {
        let home = tempfile::Builder::new().prefix("keyfs-test-").tempdir().expect("a temporary directory");
        fs::create_dir(home.path().join("keys")).expect("mkdir");
        Kit(home)
    }

    /// With a store that has a value in it, unmounted.
    pub fn with_store() -> Kit {
        let kit = Kit::empty();
        kit.mounts(&["--create"]);
        fs::write(kit.path("keys/prod/variables/k"), "kept").expect("a value");
        kit.unmounts();
        kit
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    /// `keyfs mount` on this store and identity, further arguments in front.
    pub fn mount(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(KEYFS);
        command.arg("mount").args(arguments);
        for (option, file) in [("--store", "store.redb"), ("--identity", "identity")] {
            if !arguments.contains(&option) {
                command.arg(option).arg(self.path(file));
            }
        }
        command.arg(self.path("keys")).stdin(Stdio::null()).env_remove("RUST_LOG");
        command
    }

    /// Mounts in the background; what it said on stdout.
    #[track_caller]
    pub fn mounts(&self, arguments: &[&str]) -> String {
        let output = self.mount(&[&["--background"], arguments].concat()).output().expect("keyfs");
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    #[track_caller]
    pub fn unmounts(&self) {
        let output = keyfs(&["umount", self.path("keys").to_str().expect("a path")]);
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    }

    /// Each file of the directory, with its bytes and the time of its last change.
    pub fn files(&self) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
        let mut all = BTreeMap::new();
        let mut directories = vec![self.path("")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                let metadata = path.symlink_metadata().expect("stat");
                if metadata.is_dir() {
                    all.insert(path.clone(), (Vec::new(), SystemTime::UNIX_EPOCH));
                    directories.push(path);
                } else if metadata.is_file() {
                    all.insert(path.clone(), (fs::read(&path).expect("a file"), metadata.modified().expect("a time")));
                }
            }
        }
        all
    }

    /// That mounting fails with this code and one line that has all of `words` in it, and alters nothing.
    #[track_caller]
    pub fn refuses(&self, arguments: &[&str], code: i32, words: &[&str]) {
        self.refuses_by(&mut self.mount(arguments), code, words);
        self.refuses_by(&mut self.mount(&[&["--background"], arguments].concat()), code, words);
    }

    #[track_caller]
    pub fn refuses_by(&self, command: &mut Command, code: i32, words: &[&str]) {
        let before = self.files();
        let output = command.output().expect("keyfs");
        fails(&output, code, words);
        let after = self.files();
        let names = |files: &BTreeMap<PathBuf, _>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before), "{output:?}");
        for (path, (bytes, changed)) in &before {
            let (now, last) = &after[path];
            assert!(now == bytes, "{} was changed: {output:?}", path.display());
            assert!(last == changed, "{} was written to: {output:?}", path.display());
        }
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        // A daemon whose mount is gone ends by itself; where nothing is mounted this fails, and should.
        let _ = Command::new("umount").arg("-l").arg(self.path("keys")).stderr(Stdio::null()).status();
    }
}

pub fn keyfs(arguments: &[&str]) -> Output {
    Command::new(KEYFS).args(arguments).stdin(Stdio::null()).env_remove("RUST_LOG").output().expect("keyfs")
}

/// That a command failed with this code, and with one line that says so.
#[track_caller]
pub fn fails(output: &Output, code: i32, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("keyfs: ") && stderr.ends_with('\n'), "{stderr}");
    assert!(!stderr.contains("Error") && !stderr.contains("Some("), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "'{word}' is not in: {stderr}");
    }
}

/// The process that serves a mount.
pub fn daemon(mount: &Path) -> u32 {
    let status = fs::read(mount.join(".keyfs/status")).expect("a status");
    let status: serde_json::Value = serde_json::from_slice(&status).expect("JSON");
    status["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a process")
}

/// Whether a process is gone, or waits for nothing but its parent's notice.
pub fn has_ended(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.contains("State:\tZ")
}
