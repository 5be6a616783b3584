//! Exit codes: the one table of this program.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use keyfs::audit::AuditError;
use keyfs::fs::mount::MountError;
use keyfs::seal::SealError;
use keyfs::seal::identity::IdentityError;
use keyfs::store::redb::OpenError;
use keyfs::tree::SetupError;
use keyfs::{client, dashboard};

/// The table as `--help` shows it.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  the system refused: no permission, no space, an I/O error
  2  bad usage
  3  no such store or identity
  4  the identity does not unlock the store, or its key is not the one on record
  5  the store is in use by another process
  6  the file is no keyfs store, or of a newer format
  7  the store is damaged
  8  the mount point is missing, busy or no directory
  9  FUSE, or its helper for unprivileged mounts, is missing
 10  no keyfs is mounted there";

/// The code of bad usage, which the argument parser finds.
pub(crate) const USAGE: u8 = 2;

/// Why a command ended, in a line.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl fmt::Display) -> Failure {
        Failure { code, message: message.to_string() }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Failure {
        Failure::new(USAGE, message)
    }

    pub(crate) fn system(message: impl fmt::Display) -> Failure {
        Failure::new(1, message)
    }

    /// Says which file it is about.
    pub(crate) fn about(self, path: &Path) -> Failure {
        Failure { message: format!("{}: {}", path.display(), self.message), ..self }
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

impl From<MountError> for Failure {
    fn from(error: MountError) -> Failure {
        let code = match &error {
            MountError::Missing(_) | MountError::NotADirectory(_) | MountError::Busy(..) | MountError::Stale(..) => 8,
            MountError::NoDevice | MountError::ClosedDevice | MountError::NoHelper => 9,
            MountError::AllowOther => 2,
            MountError::Refused(..) | MountError::Unmount(..) | MountError::ForeignProc => 1,
            MountError::NotMounted(_) => 10,
        };
        Failure::new(code, error)
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Failure {
        let code = match &error {
            IdentityError::Missing(_) => 3,
            IdentityError::Io(..) => 1,
            IdentityError::Exposed(..)
            | IdentityError::Line(..)
            | IdentityError::Empty(_)
            | IdentityError::KnownLine(..) => 4,
        };
        Failure::new(code, error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        let code = match &error {
            OpenError::Missing { .. } => 3,
            OpenError::InUse { .. } => 5,
            OpenError::NotAStore { .. } | OpenError::Format { .. } => 6,
            OpenError::Damaged { .. } => 7,
            OpenError::Exists { .. } | OpenError::Io { .. } => 1,
        };
        Failure::new(code, error)
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Failure {
        let code = match &error {
            SealError::WrongIdentity | SealError::WrongFingerprint => 4,
            SealError::Tampered(_) | SealError::Recipient => 7,
            SealError::Memory(_) | SealError::Random => 1,
        };
        Failure::new(code, error)
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Failure {
        let code = match error {
            SetupError::Seal(error) => return error.into(),
            SetupError::NotAStore | SetupError::Format => 6,
            SetupError::Damaged(_) | SetupError::Store(_) => 7,
            SetupError::Commit(_) => 1,
        };
        Failure::new(code, error)
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Failure {
        Failure::system(error)
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Failure {
        let code = match &error {
            client::Error::NoMount(_) | client::Error::Dead(_) | client::Error::Several(_) => 10,
            _ => 1,
        };
        Failure::new(code, error)
    }
}

impl From<dashboard::Error> for Failure {
    fn from(error: dashboard::Error) -> Failure {
        match error {
            dashboard::Error::Mount(error) => error.into(),
            dashboard::Error::Options(_) | dashboard::Error::Remote(_) => Failure::usage(error),
            _ => Failure::system(error),
        }
    }
}
