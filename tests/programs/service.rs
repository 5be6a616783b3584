//! Programs that go on running while a test asks them something: each in the foreground, ended by its own id.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{User, run};

/// A running program. What it says is in a file.
pub struct Service {
    process: Child,
    log: PathBuf,
}

impl Service {
    /// Starts it; both of its outputs go to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Service {
        let file = fs::File::create(log).expect("a log");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a descriptor")).stderr(file);
        Service { process: command.spawn().expect("the program starts"), log: log.into() }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn signal(&self, signal: &str) {
        run(Command::new("kill").arg("-s").arg(signal).arg(self.pid().to_string()));
    }

    /// Its own processes, such as a server's workers.
    pub fn children(&self) -> Vec<String> {
        let list = format!("/proc/{0}/task/{0}/children", self.pid());
        fs::read_to_string(list).expect("it runs").split_whitespace().map(str::to_owned).collect()
    }

    pub fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// That it still runs; else what it said.
    #[track_caller]
    pub fn is_running(&mut self) -> bool {
        match self.process.try_wait().expect("its state") {
            None => true,
            Some(status) => panic!("it ended with {status}: {}", self.logged()),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Ours until it is waited for, so its id is nobody else's.
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = Command::new("kill").arg("-s").arg("TERM").arg(self.pid().to_string()).status();
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(15) && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port of the loopback address that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A program's two outputs, for a message or to look into.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A directory outside the mount that belongs to a user.
pub fn directory_of(User(uid, gid, _): User<'_>, path: PathBuf) -> PathBuf {
    fs::create_dir_all(&path).expect("a directory");
    std::os::unix::fs::chown(&path, Some(uid), Some(gid)).expect("chown");
    path
}
