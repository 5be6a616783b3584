//! `keyfs umount`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use keyfs::fs::mount;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::exit::Failure;
use crate::status;

/// How long the daemon may take to close its store after the mount is gone, in seconds.
const LONGEST_END: i64 = 15;

/// Unmounts, and returns when the daemon has closed its store.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Take it away also while files on it are open; it ends when they are closed
    #[arg(long)]
    lazy: bool,
    /// Where
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mounted = mount::find(&arguments.directory)?;
    // Learnt before, since nobody can tell after; a descriptor can't come to mean another process.
    let daemon = daemon(&mounted.mount_point);
    mount::unmount(&mounted.mount_point, arguments.lazy)?;
    let Some(daemon) = daemon.filter(|_| !arguments.lazy) else { return Ok(()) };
    let timeout = Timespec { tv_sec: LONGEST_END, tv_nsec: 0 };
    match poll(&mut [PollFd::new(&daemon, PollFlags::IN)], Some(&timeout)) {
        Ok(0) => Err(Failure::system(format!(
            "{} is unmounted, but its daemon still holds the store after {LONGEST_END} s",
            mounted.mount_point.display()
        ))),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::system(error)),
    }
}

fn daemon(mount_point: &Path) -> Option<OwnedFd> {
    let pid = status::read(mount_point).ok()?.get("pid")?.as_i64()?;
    pidfd_open(Pid::from_raw(pid.try_into().ok()?)?, PidfdFlags::empty()).ok()
}
