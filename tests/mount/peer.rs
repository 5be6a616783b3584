//! A process of some user that does what it is told, a line of Python at a time, and stays as it is in between: with its
//! descriptors open, its groups dropped.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use crate::fixture::User;

/// Evaluates each line and answers with one: what came of it, or the errno's name.
const LOOP: &str = r#"
import ctypes, errno, fcntl, mmap, os, signal, socket, sys, threading
from os import *
libc = ctypes.CDLL(None, use_errno=True)
def forked(work):
    "How a child ends that does this: a mistake with a mapping ends it with a signal."
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())
        except BaseException:
            os._exit(99)
    status = os.waitpid(child, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
def mapped(fd, length):
    "Reads through a private mapping."
    return mmap.mmap(fd, length, mmap.MAP_PRIVATE, mmap.PROT_READ)[:length]
def create(path, value):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        os.write(fd, value)
    finally:
        os.close(fd)
names = globals()
for line in sys.stdin:
    try:
        try:
            print(repr(eval(line, names)), flush=True)
        except SyntaxError:
            exec(line, names)
            print('done', flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
    except Exception as error:
        print(repr(error), flush=True)
"#;

/// See the module.
pub struct Peer {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    pub fn new(user: User<'_>) -> Peer {
        // Debian's own interpreter, which every user can run.
        let mut command = user.command("python3");
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").arg("-c").arg(LOOP);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        Peer { process, input, output }
    }

    /// What an expression or a statement comes to: the value's `repr`, `done`, or an errno's name.
    pub fn ask(&mut self, line: &str) -> String {
        let input = self.input.as_mut().expect("a pipe");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("the peer listens");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("the peer answers");
        answer.trim_end().to_owned()
    }

    /// That a line comes to this.
    #[track_caller]
    pub fn is(&mut self, line: &str, answer: &str) {
        assert_eq!(self.ask(line), answer, "{line}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input is the end of it.
        self.input = None;
        let _ = self.process.wait();
    }
}
