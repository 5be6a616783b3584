//! Why a dashboard can't be started, in a line that says what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error as ThisError;

use crate::client;
use crate::client::error::reason;

/// What went wrong.
#[derive(Debug, ThisError)]
pub enum Error {
    /// The mount.
    #[error(transparent)]
    Mount(#[from] client::Error),
    /// Options that don't go together, or mean nothing.
    #[error("{0}")]
    Options(String),
    /// An address that isn't free, or isn't this machine's.
    #[error("can't listen on {0}: {why}; leave --listen out for a free port", why = reason(.1))]
    Listen(SocketAddr, io::Error),
    /// An address that others on the network reach, without the word for that.
    #[error(
        "{0} can be reached from other machines, and the dashboard speaks plain HTTP: listen on 127.0.0.1 and come by `ssh -L`, put a proxy with TLS in front, or add --allow-remote to accept that the network sees what you type"
    )]
    Remote(SocketAddr),
    /// A socket that somebody answers at.
    #[error("something already answers at {}: end it, or name another file", .0.display())]
    InUse(PathBuf),
    /// What is there is no socket, and isn't ours to remove.
    #[error("{} is there and is no socket: remove it, or name another file", .0.display())]
    NoSocket(PathBuf),
    /// A socket that can't be made.
    #[error("can't make the socket {}: {why}", .0.display(), why = reason(.1))]
    Socket(PathBuf, io::Error),
    /// Users can't be answered as themselves.
    #[error(
        "--user-header takes the right to act as each user: start it as root, or with the capabilities CAP_SETUID and CAP_SETGID"
    )]
    MayNotBecomeOthers,
    /// A helper that isn't its user.
    #[error("can't become the user that was asked for: {}", reason(.0))]
    Become(io::Error),
    /// The system.
    #[error("can't start the dashboard: {}", reason(.0))]
    Start(io::Error),
}
