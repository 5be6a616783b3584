//! Processes of this very program under other ids: as fast as the test itself, and callers of their own to the daemon.
//!
//! A worker ends once its input ends, so none outlives the test. It says what went wrong as its last line, and ends
//! with 1.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use crate::fixture::User;

/// The first argument of a worker.
const MARK: &str = "--worker";

/// What a worker does with its arguments. Its answer is its last line.
pub type Role = (&'static str, fn(&[String]) -> Result<String, String>);

/// Whether whoever started the worker has ended its input.
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// For a worker that is told nothing else.
    pub fn watch() -> Stop {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            flag.store(true, Ordering::Relaxed);
        });
        Stop(stop)
    }

    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Does the work of a worker and ends, where the program was started as one.
pub fn divert(roles: &[&[Role]]) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mark, role, uid, gid, groups, rest @ ..] = arguments.as_slice() else { return };
    if mark != MARK {
        return;
    }
    let number = |text: &str| text.parse::<u32>().expect("an id");
    let groups: Vec<Gid> = groups.split(',').filter(|id| !id.is_empty()).map(|id| Gid::from_raw(number(id))).collect();
    let (uid, gid) = (Uid::from_raw(number(uid)), Gid::from_raw(number(gid)));
    setgroups(&groups).and_then(|()| setresgid(gid, gid, gid)).and_then(|()| setresuid(uid, uid, uid)).expect("root");
    let (_, work) = roles.iter().copied().flatten().find(|(name, _)| name == role).expect("a role");
    let (code, said) = match work(rest) {
        Ok(said) => (0, said),
        Err(said) => (1, said),
    };
    println!("{said}");
    std::process::exit(code);
}

/// See the module.
pub struct Worker {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Worker {
    pub fn start(User(uid, gid, groups): User<'_>, role: &str, arguments: &[String]) -> Worker {
        let groups = groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.args([MARK, role, &uid.to_string(), &gid.to_string(), &groups]).args(arguments);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a worker");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        Worker { process, input, output }
    }

    /// Tells it a line, and hears one.
    pub fn ask(&mut self, line: &str) -> String {
        let input = self.input.as_mut().expect("a pipe");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("the worker listens");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("the worker answers");
        assert!(answer.ends_with('\n'), "the worker ended at {line}");
        answer.trim_end_matches('\n').to_owned()
    }

    /// Waits for its end, and hears its last line.
    pub fn join(mut self) -> Result<String, String> {
        let mut last = String::new();
        for line in self.output.by_ref().lines().map_while(Result::ok) {
            last = line;
        }
        let status = self.process.wait().expect("it ends");
        if status.success() { Ok(last) } else { Err(format!("{status}: {last}")) }
    }

    /// Asks it to stop, and waits for its end.
    pub fn stop(mut self) -> Result<String, String> {
        self.input = None;
        self.join()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It is ours until it is waited for; where it has ended already, nothing is sent.
        self.input = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
