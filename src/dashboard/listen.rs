//! Where browsers, or a proxy, reach the dashboard: a port or a Unix socket.
//!
//! Invariants:
//! - Without a deliberate word it is a loopback address: what is sent is plain HTTP.
//! - A socket is its owner's and at most one group's from the moment that it is there. What is removed for it was a socket at
//!   which nobody answers; what is removed at the end is the one that was made.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use super::Error;
use crate::id::Gid;

/// Where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// At an address of the machine; port 0 is any free one.
    Port {
        /// The address.
        address: SocketAddr,
        /// That others on the network may see what is sent.
        remote: bool,
    },
    /// At a Unix socket.
    Socket {
        /// Its name.
        path: PathBuf,
        /// Who may connect beside its owner.
        group: Option<Gid>,
    },
}

/// What listens.
#[derive(Debug)]
pub(super) enum Listener {
    Port(TcpListener, SocketAddr),
    Socket { listener: UnixListener, _made: Made },
}

/// The two directions of a connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Listener {
    pub(super) async fn bind(place: &Place) -> Result<Listener, Error> {
        match place {
            Place::Port { address, remote } => {
                if !address.ip().is_loopback() && !remote {
                    return Err(Error::Remote(*address));
                }
                let listener = TcpListener::bind(address).await.map_err(|error| Error::Listen(*address, error))?;
                let bound = listener.local_addr().map_err(Error::Start)?;
                Ok(Listener::Port(listener, bound))
            }
            Place::Socket { path, group } => socket(path, *group),
        }
    }

    /// The address, with the port that it got.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Port(_, address) => Some(*address),
            Listener::Socket { .. } => None,
        }
    }

    /// The next connection, and where it comes from.
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<IpAddr>)> {
        match self {
            Listener::Port(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are written whole; waiting for more of one gains nothing.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), Some(peer.ip())))
            }
            Listener::Socket { listener, .. } => Ok((Box::new(listener.accept().await?.0), None)),
        }
    }
}

fn socket(path: &Path, group: Option<Gid>) -> Result<Listener, Error> {
    let failed = |error| Error::Socket(path.to_owned(), error);
    clear(path)?;
    // Nothing else of this program makes a file meanwhile.
    let usual = umask(Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    umask(usual);
    let listener = listener.map_err(failed)?;
    let made = Made::at(path).map_err(failed)?;
    if let Some(Gid(group)) = group {
        std::os::unix::fs::lchown(path, None, Some(group)).map_err(failed)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o660)).map_err(failed)?;
    }
    Ok(Listener::Socket { listener, _made: made })
}

/// Removes what a dashboard left that could not end properly.
fn clear(path: &Path) -> Result<(), Error> {
    let failed = |error| Error::Socket(path.to_owned(), error);
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(there) if !there.file_type().is_socket() => return Err(Error::NoSocket(path.to_owned())),
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(failed),
        Ok(_) => Err(Error::InUse(path.to_owned())),
        Err(error) => Err(failed(error)),
    }
}

/// A socket that was made here, which goes with this.
#[derive(Debug)]
pub(super) struct Made {
    path: PathBuf,
    inode: (u64, u64),
}

impl Made {
    fn at(path: &Path) -> io::Result<Made> {
        let made = path.symlink_metadata()?;
        Ok(Made { path: path.to_owned(), inode: (made.dev(), made.ino()) })
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let there = self.path.symlink_metadata();
        if there.is_ok_and(|there| (there.dev(), there.ino()) == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
