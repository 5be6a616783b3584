//! `keyfs umount`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use keyfs::fs::mount;
use keyfs::mountinfo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::exit::Failure;
use crate::status;

/// How long the daemon may take to close its store after the mount is gone, in seconds.
const LONGEST_END: i64 = 15;
/// After so many it is looked up whether it is mounted elsewhere still.
const USUAL_END: i64 = 1;

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
    if ends_within(&daemon, USUAL_END)? {
        return Ok(());
    }
    let here = mounted.mount_point.display();
    // A container or a unit with mounts of its own has a copy of all that was there when it started.
    if let Some(process) = mountinfo::shown_to(&mounted.device) {
        return Err(Failure::system(format!(
            "{here} is unmounted here, but the mount namespace of process {process} still has it, and its daemon goes on until that ends or unmounts it"
        )));
    }
    if ends_within(&daemon, LONGEST_END - USUAL_END)? {
        return Ok(());
    }
    Err(Failure::system(format!("{here} is unmounted, but its daemon still holds the store after {LONGEST_END} s")))
}

fn ends_within(process: &OwnedFd, seconds: i64) -> Result<bool, Failure> {
    let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
    Ok(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout)).map_err(Failure::system)? > 0)
}

fn daemon(mount_point: &Path) -> Option<OwnedFd> {
    let pid = status::read(mount_point).ok()?.get("pid")?.as_i64()?;
    pidfd_open(Pid::from_raw(pid.try_into().ok()?)?, PidfdFlags::empty()).ok()
}
