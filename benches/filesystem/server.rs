//! A server that is mounted for a benchmark, and ended with it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server that is ended when the benchmark is.
pub struct Server(Child, PathBuf);

impl Server {
    pub fn start(command: &mut Command, mount: &Path) -> Server {
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("the server starts");
        let stdout = child.stdout.take().unwrap();
        let ready = BufReader::new(stdout).lines().map_while(Result::ok).any(|line| line.contains("mounted"));
        assert!(ready, "{command:?} does not mount");
        Server(child, mount.into())
    }

    /// keyfs, with a store that is made where it is missing.
    pub fn keyfs(store: &Path, identity: &Path, mount: &Path) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfs"));
        command.args(["mount", "--create", "--store"]).arg(store).arg("--identity").arg(identity).arg(mount);
        Server::start(&mut command, mount)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.1).status();
        let _ = self.0.wait();
    }
}
