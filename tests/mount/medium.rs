//! Small file systems that fill up: for the store, and for the audit log.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::fixture::run;

/// A file system of its own, gone with this. What is mounted from it has to go first.
pub struct Medium(TempDir);

impl Medium {
    /// Of this many bytes, in memory.
    pub fn in_memory(bytes: usize) -> Medium {
        let medium = Medium::new();
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=755"), "keyfs-test"])
            .arg(medium.path("")));
        medium
    }

    /// An ext4 of this many bytes in a file; in memory where the machine has no loop devices.
    pub fn on_disk(bytes: u64) -> Medium {
        let medium = Medium::new();
        let image = medium.0.path().join("image");
        File::create(&image).and_then(|file| file.set_len(bytes)).expect("an image");
        run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image));
        let mounted =
            Command::new("mount").args(["-o", "loop"]).arg(&image).arg(medium.path("")).stderr(Stdio::null()).status();
        if mounted.is_ok_and(|status| status.success()) { medium } else { Medium::in_memory(bytes as usize) }
    }

    fn new() -> Medium {
        let home = tempfile::Builder::new().prefix("keyfs-test-").tempdir().expect("a temporary directory");
        fs::create_dir(home.path().join("medium")).expect("mkdir");
        Medium(home)
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.0.path().join("medium").join(below)
    }

    /// The file that it is in, where it is on a disk.
    #[allow(dead_code)] // what other programs of tests need beyond this
    pub fn image(&self) -> Option<PathBuf> {
        Some(self.0.path().join("image")).filter(|image| image.exists())
    }

    /// Leaves no room.
    pub fn fill(&self) {
        let mut filler = File::options().append(true).create(true).open(self.path("filler")).expect("a filler");
        // Down to the last bytes, however they are handed out.
        for size in [1 << 16, 4096, 512, 1] {
            while filler.write_all(&vec![b'x'; size]).and_then(|()| filler.sync_data()).is_ok() {}
        }
    }

    /// Makes room again.
    pub fn empty(&self) {
        fs::remove_file(self.path("filler")).expect("the filler");
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path("")).stderr(Stdio::null()).status();
    }
}
