//! Between the kernel's words and ours: flags, times, and the forms of an answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FopenFlags, Generation, OpenAccMode, OpenFlags, ReplyEmpty, ReplyEntry, ReplyXattr, TimeOrNow,
};

use super::inode::{FLEETING, LASTING};
use crate::tree::{OpenMode, SetTime};

/// Node ids are never used again, so there is one generation of each.
pub(super) const GENERATION: Generation = Generation(0);

pub(super) fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => SetTime::To(unturned(time).into()),
    }
}

/// What was meant by a time before 1970 that fuser has read: the kernel counts nanoseconds forwards from whole seconds,
/// fuser 0.18 takes them backwards.
fn unturned(time: SystemTime) -> SystemTime {
    match UNIX_EPOCH.duration_since(time) {
        Ok(before) => {
            let whole = UNIX_EPOCH - Duration::from_secs(before.as_secs());
            whole + Duration::from_nanos(before.subsec_nanos().into())
        }
        Err(_) => time,
    }
}

pub(super) fn open_mode(flags: i32) -> OpenMode {
    let (read, write) = match OpenFlags(flags).acc_mode() {
        OpenAccMode::O_RDONLY => (true, false),
        OpenAccMode::O_WRONLY => (false, true),
        OpenAccMode::O_RDWR => (true, true),
    };
    OpenMode { read, write, append: flags & libc::O_APPEND != 0, truncate: flags & libc::O_TRUNC != 0 }
}

/// How the kernel is to treat an open file. Reads reach the daemon each time: for secrets so that no plaintext is cached, for
/// variables because a cache that is shared with a writer shows cut values.
pub(super) fn open_flags(mode: OpenMode) -> FopenFlags {
    let flags = FopenFlags::FOPEN_DIRECT_IO;
    if changes(mode) { flags } else { flags | FopenFlags::FOPEN_NOFLUSH }
}

/// Whether closing a file that is opened so may have something to store. Linux lets whoever may write empty a file also by
/// opening it to read.
pub(super) fn changes(mode: OpenMode) -> bool {
    mode.write || mode.truncate
}

/// Answers a request for an attribute's bytes: their number where `size` is 0.
pub(super) fn answer_xattr(reply: ReplyXattr, size: u32, outcome: Result<Vec<u8>, Errno>) {
    match outcome {
        Ok(value) if size == 0 => reply.size(u32::try_from(value.len()).unwrap_or(u32::MAX)),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(errno) => reply.error(errno),
    }
}

pub(super) fn answer_entry(reply: ReplyEntry, outcome: Result<(FileAttr, bool), Errno>) {
    match outcome {
        Ok((attributes, lasting)) => {
            // A name whose attributes move may be one that was never committed, and can go as it came.
            let lifetime = if lasting { LASTING } else { FLEETING };
            reply.entry(&lifetime, &attributes, GENERATION);
        }
        Err(errno) => reply.error(errno),
    }
}

pub(super) fn answer(reply: ReplyEmpty, outcome: Result<(), Errno>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}
