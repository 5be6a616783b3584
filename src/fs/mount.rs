//! Mounting and unmounting.
//!
//! Invariants:
//! - Nothing is mounted where `/proc` shows other processes than those that ask.
//! - Nothing is mounted over a mount, and only a stale mount of keyfs itself is cleared away.
//! - A mount is unmounted by its path only while the kernel's table says that what is there is it.
//! - Requests that are being answered when the daemon is asked to stop are answered.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use fuser::{Config, Session, SessionACL};
use nix::mount::{MntFlags, umount2};
use nix::unistd::{AccessFlags, access};
use thiserror::Error;

use super::events::Watchers;
use super::handle::Handles;
use super::inode::Root;
use super::invalidate::Invalidator;
use super::metrics::Metrics;
use super::places::Places;
use super::{Adapter, Info, attach};
use crate::id::NodeId;
use crate::mountinfo::{self, FILE_SYSTEM, Mount};
use crate::tree::Namespace;

/// Threads that answer requests. Most of them wait for commits, which share one write to the medium.
const THREADS: usize = 16;

/// How long requests that are being answered hold up the end, at the most.
const GRACE: Duration = Duration::from_secs(10);

/// How long no request must have come before the end, where files of a detached mount are still open.
const QUIET: Duration = Duration::from_millis(100);

/// How often abandoned transactions are looked for.
const SWEEP: Duration = Duration::from_secs(15);

/// Why nothing was mounted or unmounted.
#[derive(Debug, Error)]
pub enum MountError {
    /// No such directory.
    #[error("{0}: no such directory; make it with `mkdir -p {0}`, or mount with --create")]
    Missing(PathBuf),
    /// Not a directory.
    #[error("{0}: not a directory; name a directory to mount on")]
    NotADirectory(PathBuf),
    /// Something is mounted there.
    #[error("{0}: a {1} file system is mounted there already; unmount it first, or mount elsewhere")]
    Busy(PathBuf, String),
    /// A stale mount there does not go away.
    #[error("{0}: the mount of a daemon that is gone can't be cleared ({1}); run `fusermount3 -u -z {0}`")]
    Stale(PathBuf, String),
    /// There is no FUSE.
    #[error("/dev/fuse is missing; load it with `modprobe fuse`, or give the container --device /dev/fuse")]
    NoDevice,
    /// This user may not open the device.
    #[error("/dev/fuse is closed to this user; open it, as udev does (`chmod 666 /dev/fuse`), or mount as root")]
    ClosedDevice,
    /// `/proc` is missing, or of another pid namespace: the groups in it would be those of other processes.
    #[error(
        "/proc does not show this daemon's own pid namespace; mount one that does (`unshare --mount-proc`, or `mount -t proc proc /proc`)"
    )]
    ForeignProc,
    /// There is no helper for unprivileged mounts.
    #[error("mounting as this user takes `fusermount3`; install the package fuse3")]
    NoHelper,
    /// Other users may not be let in.
    #[error("--allow-other takes a line `user_allow_other` in /etc/fuse.conf, unless root mounts")]
    AllowOther,
    /// The mount was refused.
    #[error("{0}: can't be mounted on: {1}")]
    Refused(PathBuf, io::Error),
    /// No keyfs is mounted there.
    #[error("{0}: no keyfs is mounted there; `keyfs status` without a directory lists what is")]
    NotMounted(PathBuf),
    /// It can't be unmounted.
    #[error("{0}: can't be unmounted: {1}")]
    Unmount(PathBuf, String),
}

/// A mount that is being served.
pub struct Mounted {
    mount_point: PathBuf,
    /// The mount as the kernel's table had it.
    place: Option<Mount>,
    session: JoinHandle<io::Result<()>>,
    busy: Arc<AtomicUsize>,
}

/// Makes a mount point fit to be mounted on: an absolute path without symbolic links, a directory, and nothing on it. The
/// mount of a daemon that is gone is cleared away, which the second part of the answer says.
pub fn prepare(path: &Path) -> Result<(PathBuf, bool), MountError> {
    check_device()?;
    check_proc()?;
    let refused = |error: io::Error| MountError::Refused(path.into(), error);
    let absolute = std::path::absolute(path).map_err(refused)?;
    let mut cleared = false;
    // What the kernel remembers of a mount's root it tells without the daemon; how much room there is, it asks for.
    let answer = absolute.metadata().and_then(|_| Ok(nix::sys::statfs::statfs(&absolute)?));
    if let Err(error) = answer {
        match error.raw_os_error() {
            Some(libc::ENOENT) => return Err(MountError::Missing(path.into())),
            Some(libc::ENOTCONN) => {
                clear_stale(&absolute)?;
                cleared = true;
            }
            // What another user mounted without letting others in is there, and busy.
            Some(libc::EACCES) if mountinfo::at(&absolute).ok().flatten().is_some() => {}
            Some(libc::ENOTDIR) => return Err(MountError::NotADirectory(path.into())),
            _ => return Err(refused(error)),
        }
    }
    let place = absolute.canonicalize().unwrap_or(absolute);
    if let Some(mount) = mountinfo::at(&place).map_err(refused)? {
        return Err(MountError::Busy(path.into(), mount.file_system));
    }
    if place.is_dir() { Ok((place, cleared)) } else { Err(MountError::NotADirectory(path.into())) }
}

fn check_device() -> Result<(), MountError> {
    let wanted = AccessFlags::R_OK | AccessFlags::W_OK;
    match access("/dev/fuse", wanted) {
        Ok(()) => Ok(()),
        Err(nix::errno::Errno::EACCES) => Err(MountError::ClosedDevice),
        Err(_) => Err(MountError::NoDevice),
    }
}

/// The numbers of callers mean something only in a `/proc` of the daemon's own pid namespace.
fn check_proc() -> Result<(), MountError> {
    let shown = std::fs::read_link("/proc/self").ok();
    let own = PathBuf::from(std::process::id().to_string());
    if shown == Some(own) { Ok(()) } else { Err(MountError::ForeignProc) }
}

fn clear_stale(path: &Path) -> Result<(), MountError> {
    // The path itself can't be resolved, but its directory can.
    let place = match (path.parent().map(Path::canonicalize), path.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => path.to_path_buf(),
    };
    let failed = |what: String| MountError::Stale(path.into(), what);
    let mount = mountinfo::at(&place).map_err(|error| failed(error.to_string()))?;
    match mount {
        Some(mount) if mount.file_system == FILE_SYSTEM => detach(&place).map_err(failed),
        Some(mount) => Err(MountError::Busy(path.into(), mount.file_system)),
        None => Err(failed("it is not in the table of mounts".into())),
    }
}

/// Takes a mount out of sight at once; it ends when the last file on it is closed.
fn detach(path: &Path) -> Result<(), String> {
    match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(nix::errno::Errno::EPERM) => helper(&["-u", "-z", "-q"], path),
        Err(error) => Err(error.desc().to_owned()),
    }
}

fn helper(arguments: &[&str], path: &Path) -> Result<(), String> {
    let output = Command::new("fusermount3").args(arguments).arg("--").arg(path).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("fusermount3: {error}")),
    }
}

/// Unmounts what another process serves at `path`. Files that are open keep it alive until they are closed, if `lazily`;
/// else they are an error.
pub fn unmount(path: &Path, lazily: bool) -> Result<(), MountError> {
    let failed = |what: String| MountError::Unmount(path.into(), what);
    if lazily {
        return detach(path).map_err(failed);
    }
    match umount2(path, MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(nix::errno::Errno::EPERM) => helper(&["-u"], path).map_err(failed),
        Err(nix::errno::Errno::EBUSY) => {
            Err(failed("files on it are open (`fuser -m` shows whose); close them, or unmount with --lazy".into()))
        }
        Err(error) => Err(failed(error.desc().to_owned())),
    }
}

/// The mount of keyfs at `path`.
pub fn find(path: &Path) -> Result<Mount, MountError> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let place = absolute.canonicalize().unwrap_or(absolute);
    let mount = mountinfo::at(&place).ok().flatten();
    mount.filter(|mount| mount.file_system == FILE_SYSTEM).ok_or_else(|| MountError::NotMounted(path.into()))
}

/// Mounts a namespace, or one environment of it, at a place that [`prepare`] has seen. Once the mount is gone, `ended` is dropped.
pub fn mount(
    namespace: Arc<Namespace>,
    root: NodeId,
    mut info: Info,
    allow_other: bool,
    ended: impl Send + 'static,
) -> Result<Mounted, MountError> {
    check_device()?;
    check_proc()?;
    info.started = SystemTime::now();
    let mount_point = info.mount_point.clone();
    let invalidator = Arc::new(Invalidator::default());
    let busy = Arc::new(AtomicUsize::new(0));
    drop_abandoned(&namespace).map_err(|error| MountError::Refused(mount_point.clone(), error))?;
    let watchers = Arc::new(Watchers::new(Arc::clone(&namespace), info.environment.clone()));
    let adapter = Adapter {
        namespace,
        root: Root(root),
        info,
        handles: Handles::default(),
        places: Places::default(),
        above: Default::default(),
        metrics: Metrics::new(),
        invalidator: Arc::clone(&invalidator),
        watchers: Arc::clone(&watchers),
        busy: Arc::clone(&busy),
    };
    let acl = if allow_other { SessionACL::All } else { SessionACL::Owner };
    let mut config = Config::default();
    config.n_threads = Some(THREADS);
    let refused = |error| MountError::Refused(mount_point.clone(), error);
    let device = attach::attach(&mount_point, allow_other)?;
    let place = mountinfo::at(&mount_point).ok().flatten();
    // fuser is given the device of a mount that is ours, and so never unmounts by a path where somebody else's may be.
    let begun = Session::from_fd(adapter, device, acl, config).and_then(|session| {
        invalidator.start(session.notifier())?;
        watchers.start()?;
        let run = move || {
            let _ended = ended;
            session.run()
        };
        std::thread::Builder::new().name("keyfs-session".into()).spawn(run)
    });
    match begun {
        Ok(session) => Ok(Mounted { mount_point, place, session, busy }),
        Err(error) => {
            // The reason is what the caller needs to know, whether or not this succeeds.
            let _ = detach(&mount_point);
            Err(refused(error))
        }
    }
}

/// Looks for abandoned transactions now and then, as long as there is the namespace.
fn drop_abandoned(namespace: &Arc<Namespace>) -> io::Result<()> {
    let namespace = Arc::downgrade(namespace);
    let look = move || {
        while let Some(namespace) = namespace.upgrade() {
            namespace.drop_abandoned();
            drop(namespace);
            std::thread::sleep(SWEEP);
        }
    };
    std::thread::Builder::new().name("keyfs-sweep".into()).spawn(look).map(drop)
}

impl Mounted {
    /// Takes the mount away, and comes back when what was being answered is answered.
    pub fn stop(self) -> Result<(), MountError> {
        if self.is_in_place() && unmount(&self.mount_point, false).is_err() {
            // Files are open: the mount goes out of sight, and ends with this process.
            unmount(&self.mount_point, true)?;
        }
        let begun = Instant::now();
        let mut quiet = Instant::now();
        while !self.session.is_finished() && begun.elapsed() < GRACE && quiet.elapsed() < QUIET {
            if self.busy.load(Ordering::Acquire) > 0 {
                quiet = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        if self.session.is_finished() {
            return self.join();
        }
        Ok(())
    }

    /// Waits for the end of a mount that is gone.
    pub fn join(self) -> Result<(), MountError> {
        let failed = |error| MountError::Refused(self.mount_point.clone(), error);
        match self.session.join() {
            // Whoever takes a request just as the mount goes away is told this, and not that there are no more.
            Ok(Err(error)) if error.raw_os_error() == Some(libc::ECONNABORTED) => Ok(()),
            Ok(ended) => ended.map_err(failed),
            Err(_) => Err(failed(io::Error::other("a fault of keyfs itself"))),
        }
    }

    fn is_in_place(&self) -> bool {
        let found = mountinfo::at(&self.mount_point).ok().flatten();
        found.is_some() && found == self.place
    }
}

impl std::fmt::Debug for Mounted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mounted({})", self.mount_point.display())
    }
}
