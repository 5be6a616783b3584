//! The way to a `/dev/fuse` descriptor that is mounted: `mount(2)` where that is allowed, and `fusermount3` where it is not.
//!
//! Invariants:
//! - The kernel checks permission bits and ACLs (`default_permissions`), and the mount shows as `fuse.keyfs`.
//! - No part of a mount option is anybody's input: a comma in one would begin another.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::MsFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType, recvmsg, socketpair,
};

use super::mount::MountError;

const DEVICE: &str = "/dev/fuse";
const HELPER: &str = "fusermount3";

/// Tells the helper which descriptor to send the device over; see `fusermount3(1)`.
const HELPER_SOCKET: &str = "_FUSE_COMMFD";

/// Mounts at a directory, and gives the descriptor over which the kernel asks.
pub(super) fn attach(mount_point: &Path, allow_other: bool) -> Result<OwnedFd, MountError> {
    if nix::unistd::geteuid().is_root() {
        by_kernel(mount_point, allow_other)
    } else {
        by_helper(mount_point, allow_other)
    }
}

fn by_kernel(mount_point: &Path, allow_other: bool) -> Result<OwnedFd, MountError> {
    let refused = |error| MountError::Refused(mount_point.into(), error);
    let device = File::options().read(true).write(true).open(DEVICE).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => MountError::NoDevice,
        _ => refused(error),
    })?;
    let options = format!(
        "fd={},rootmode={:o},user_id={},group_id={},default_permissions,subtype=keyfs{}",
        device.as_raw_fd(),
        mount_point.metadata().map_err(refused)?.mode(),
        nix::unistd::getuid(),
        nix::unistd::getgid(),
        if allow_other { ",allow_other" } else { "" },
    );
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    // By descriptor: whoever owns a directory above can't lead root elsewhere in between.
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let directory = openat2(AT_FDCWD, mount_point, how).map_err(|error| refused(error.into()))?;
    let place = format!("/proc/self/fd/{}", directory.as_raw_fd());
    nix::mount::mount(Some("keyfs"), place.as_str(), Some("fuse"), flags, Some(options.as_str()))
        .map_err(|error| refused(error.into()))?;
    Ok(device.into())
}

fn by_helper(mount_point: &Path, allow_other: bool) -> Result<OwnedFd, MountError> {
    let refused = |error| MountError::Refused(mount_point.into(), error);
    // Without close-on-exec, so that the helper inherits its end; no other program is started meanwhile.
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None)
        .map_err(|error| refused(error.into()))?;
    let mut options = OsString::from("fsname=keyfs,subtype=keyfs,default_permissions");
    if allow_other {
        options.push(",allow_other");
    }
    let mut helper = Command::new(HELPER);
    helper.arg("-o").arg(options).arg("--").arg(mount_point);
    helper.env(HELPER_SOCKET, theirs.as_raw_fd().to_string());
    helper.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let helper = helper.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => MountError::NoHelper,
        _ => refused(error),
    })?;
    drop(theirs);
    let received = receive(&ours);
    // Reaped in any case; what it wrote says why there is no descriptor.
    let output = helper.wait_with_output().map_err(refused)?;
    match received.map_err(refused)? {
        Some(device) if output.status.success() => Ok(device),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            if said.contains("user_allow_other") {
                return Err(MountError::AllowOther);
            }
            Err(refused(io::Error::other(said.trim().to_owned())))
        }
    }
}

/// The one descriptor that the helper sends; `None` where it ends without.
fn receive(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut received = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            received = descriptors.last().or(received);
        }
    }
    Ok(received)
}
