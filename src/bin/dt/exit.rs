//! Exit codes: the one table of this program.

use std::fmt;
use std::io;
use std::process::ExitCode;

use keyfs::client::Error;
use keyfs::dashboard;
use nix::sys::signal::Signal;

/// The table as `--help` shows it.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  the system refused: no space, too large, an I/O error
  2  bad usage
  3  no such key, version, environment, user or group
  4  permission denied
  5  no keyfs is mounted, or it isn't clear which is meant
  6  the key exists already, or was changed meanwhile
  7  the key has expired
  8  the environments differ, where `kv diff --exit-code` asks for it

`dt exec` ends as its command does: 126 if that can't be run, 127 if it isn't found.";

/// The code of bad usage, which the argument parser finds.
pub(crate) const USAGE: u8 = 2;

/// Why a command ended, in a line.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    closed_pipe: bool,
    signal: Option<Signal>,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl fmt::Display) -> Failure {
        Failure { code, message: message.to_string(), closed_pipe: false, signal: None }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Failure {
        Failure::new(USAGE, message)
    }

    pub(crate) fn system(message: impl fmt::Display) -> Failure {
        Failure::new(1, message)
    }

    /// That somebody has called it off, by a signal that is to end this program now.
    pub(crate) fn called_off(message: impl fmt::Display, signal: Option<Signal>) -> Failure {
        Failure { signal, ..Failure::system(message) }
    }

    /// The signal that it ends by.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.signal
    }

    /// Whether all that happened is that nobody reads on.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.closed_pipe
    }

    /// That the output can't be written.
    pub(crate) fn output(error: &io::Error) -> Failure {
        let message = format!("can't write the output: {}", keyfs::client::error::reason(error));
        Failure { code: 1, message, closed_pipe: error.kind() == io::ErrorKind::BrokenPipe, signal: None }
    }

    pub(crate) fn code(&self) -> ExitCode {
        self.code.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, whatever a library wrote.
        f.write_str(&self.message.trim().replace('\n', "; "))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let code = match &error {
            Error::TooLarge(_) | Error::TooMuch { .. } | Error::NoControl { .. } | Error::System { .. } => 1,
            Error::EnvironmentName { .. } | Error::Key { .. } | Error::Permissions(_) => USAGE,
            Error::NotFound { .. }
            | Error::NoVersion { .. }
            | Error::NoEnvironment { .. }
            | Error::OtherEnvironment { .. }
            | Error::IsDirectory(_)
            | Error::BelowKey { .. } => 3,
            Error::Denied { .. } | Error::Closed(_) => 4,
            Error::NoMount(_) | Error::Dead(_) | Error::Several(_) => 5,
            Error::Exists(_) | Error::Changed { .. } | Error::Meanwhile(_) => 6,
            Error::Expired(_) => 7,
        };
        Failure::new(code, error)
    }
}

impl From<dashboard::Error> for Failure {
    fn from(error: dashboard::Error) -> Failure {
        match error {
            dashboard::Error::Mount(error) => error.into(),
            dashboard::Error::Options(_) | dashboard::Error::Remote(_) => Failure::usage(error),
            dashboard::Error::MayNotBecomeOthers | dashboard::Error::Become(_) => Failure::new(4, error),
            _ => Failure::system(error),
        }
    }
}
