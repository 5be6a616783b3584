//! Who asks: what the kernel says of a caller, and what `/proc` adds while it waits for the answer.
//!
//! Invariants:
//! - What can't be learnt lets nobody in: a caller whose groups are not known has its primary group alone.
//! - `/proc` is read at most once for a request, and only if an answer depends on it.
//! - Nothing is read that waits for the caller. A file that is closed by `execve(2)` is flushed while its process holds
//!   the lock that `/proc/<pid>/exe` takes: to look there would be to wait for each other for ever.

use std::cell::OnceCell;
use std::fs::File;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fuser::Request;
use rustix::fs::{AtFlags, StatxFlags, statx};

use super::threads;
use crate::audit::Process;
use crate::id::{Gid, NodeId, Uid};
use crate::tree::Actor;

/// How often, and how long each time, a caller is waited for that has asked and doesn't wait yet.
const WAITS: u32 = 40;
const WAIT: Duration = Duration::from_micros(50);

/// The system calls that move pages of the page cache to somewhere else.
const PAGE_MOVERS: &[libc::c_long] = &[
    libc::SYS_splice,
    libc::SYS_sendfile,
    libc::SYS_copy_file_range,
    libc::SYS_readahead,
    libc::SYS_fadvise64,
    libc::SYS_io_uring_enter,
];

/// The same by the 32-bit entry of x86-64, whose numbers are others: splice, sendfile64, copy_file_range, readahead, fadvise64
/// and fadvise64_64. Its sendfile is readahead above; what has these numbers there reads no mapped memory.
const PAGE_MOVERS_32: &[libc::c_long] =
    if cfg!(target_arch = "x86_64") { &[313, 239, 377, 225, 250, 272] } else { &[] };

/// Set in the numbers of system calls by the x32 entry.
const X32: libc::c_long = 1 << 30;

/// The process behind a request.
pub(super) struct Caller {
    uid: Uid,
    gid: Gid,
    thread: u32,
    program: Program,
    status: OnceCell<Option<Status>>,
}

/// Which program the caller runs.
enum Program {
    /// `/proc` says.
    Asked,
    /// This, as it was learnt before; `None` where it was not.
    Known(Option<PathBuf>),
}

/// What `/proc/<thread>/status` says.
struct Status {
    process: u32,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    blocks_signals: bool,
}

impl Caller {
    pub(super) fn of(request: &Request) -> Caller {
        let (uid, gid, thread) = (Uid(request.uid()), Gid(request.gid()), request.pid());
        Caller { uid, gid, thread, program: Program::Asked, status: OnceCell::new() }
    }

    /// Who closes a file that `program` opened.
    pub(super) fn closing(request: &Request, program: Option<PathBuf>) -> Caller {
        Caller { program: Program::Known(program), ..Caller::of(request) }
    }

    /// Whether the caller waits in one of the system calls that move pages of the page cache to somewhere else, instead of
    /// mapping or copying them. Where `/proc` doesn't tell, as Yama has it for a daemon that isn't root's, it is taken for a
    /// mapping: there, everybody who reaches the mount is the same user.
    pub(super) fn moves_pages(&self) -> bool {
        let syscall = || std::fs::read_to_string(format!("/proc/{}/syscall", self.thread)).unwrap_or_default();
        let mut text = syscall();
        // It is about to wait. One that goes on instead has its pages read ahead, which it can do without.
        for _ in 0..WAITS {
            if !text.starts_with("running") {
                break;
            }
            std::thread::sleep(WAIT);
            text = syscall();
        }
        let call = text.split_ascii_whitespace().next().and_then(|number| number.parse::<libc::c_long>().ok());
        let moves =
            |call: libc::c_long| [PAGE_MOVERS, PAGE_MOVERS_32].iter().any(|calls| calls.contains(&(call & !X32)));
        let moving = call.is_some_and(moves);
        moving || text.starts_with("running") || self.is_kernels_worker() == Some(true)
    }

    /// The program that the caller runs. Not for a request that comes of closing a file.
    pub(super) fn program(&self) -> Option<PathBuf> {
        match &self.program {
            Program::Known(program) => program.clone(),
            Program::Asked if self.thread == 0 => None,
            Program::Asked => std::fs::read_link(format!("/proc/{}/exe", self.thread)).ok(),
        }
    }

    /// Whether the caller's process has a descriptor of the node, stands in a removed directory, or can't be asked.
    pub(super) fn may_hold(&self, node: NodeId) -> bool {
        let stands = || std::fs::read_link(format!("/proc/{}/cwd", self.thread));
        let removed = |directory: PathBuf| directory.as_os_str().as_encoded_bytes().ends_with(b" (deleted)");
        self.thread == 0 || holds(self.thread, node, false) || stands().is_ok_and(removed)
    }

    fn status(&self) -> Option<&Status> {
        self.status.get_or_init(|| self.read_status()).as_ref()
    }

    fn read_status(&self) -> Option<Status> {
        let status = threads::status(self.thread, Status::parse)??;
        // If the filesystem ids are others than the request has, this is another process, or it changed them while it
        // waits, which only another thread of it can look like.
        if (status.uid, status.gid) != (self.uid, self.gid) {
            return None;
        }
        // A worker has every signal blocked. Few others have, so it is asked no more of them than that.
        if status.blocks_signals && self.is_kernels_worker() != Some(false) { None } else { Some(status) }
    }

    /// Whether the thread is one that io_uring works with. It has the groups that its process had when it was begun, and
    /// does what was asked for by others: these are not the groups of whoever asks.
    fn is_kernels_worker(&self) -> Option<bool> {
        const PF_IO_WORKER: u32 = 0x10;
        let text = std::fs::read(format!("/proc/{}/stat", self.thread)).ok()?;
        // The name in parentheses may hold more of them; the flags are the seventh field behind it.
        let behind = text.rsplit(|&byte| byte == b')').next()?;
        let flags = std::str::from_utf8(behind).ok()?.split_ascii_whitespace().nth(6)?.parse::<u32>().ok()?;
        Some(flags & PF_IO_WORKER != 0)
    }
}

impl Status {
    /// What the text of a `status` file says; `None` where it says less than it should.
    fn parse(text: &[u8]) -> Option<Status> {
        // The filesystem ids stand fourth of each four.
        const FILESYSTEM: usize = 3;
        // Where the signals are not told, it is asked.
        let (mut process, mut uid, mut gid, mut groups, mut blocks_signals) = (None, None, None, None, true);
        // A thread's name is any bytes but a line's end; what is looked for are numbers.
        for line in text.split(|&byte| byte == b'\n') {
            let Some(at) = line.iter().position(|&byte| byte == b':') else { continue };
            let (field, rest) = line.split_at(at);
            let rest = || std::str::from_utf8(rest.get(1..)?).ok();
            match field {
                b"Tgid" => process = numbers(rest()?)?.first().copied(),
                b"Uid" => uid = numbers(rest()?)?.get(FILESYSTEM).copied().map(Uid),
                b"Gid" => gid = numbers(rest()?)?.get(FILESYSTEM).copied().map(Gid),
                b"Groups" => groups = Some(numbers(rest()?)?.into_iter().map(Gid).collect()),
                b"SigBlk" => {
                    blocks_signals = blocks_all(rest()?);
                    break;
                }
                _ => {}
            }
        }
        Some(Status { process: process?, uid: uid?, gid: gid?, groups: groups?, blocks_signals })
    }
}

fn numbers(text: &str) -> Option<Vec<u32>> {
    text.split_ascii_whitespace().map(|number| number.parse().ok()).collect()
}

/// The capabilities that a status says are in force.
fn effective(status: &[u8]) -> Option<u64> {
    let mask = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"CapEff:"))?;
    u64::from_str_radix(std::str::from_utf8(mask).ok()?.trim(), 16).ok()
}

/// Whether a mask says that every signal is blocked that can be: all but SIGKILL and SIGSTOP.
fn blocks_all(mask: &str) -> bool {
    let blocked = u64::from_str_radix(mask.trim(), 16).ok();
    blocked.is_none_or(|blocked| blocked | 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1) == u64::MAX)
}

impl Actor for Caller {
    fn uid(&self) -> Uid {
        self.uid
    }

    fn gid(&self) -> Gid {
        self.gid
    }

    fn thread(&self) -> u32 {
        self.thread
    }

    fn supplementary(&self) -> Option<&[Gid]> {
        self.status().map(|status| status.groups.as_slice())
    }

    fn process(&self) -> Process {
        let executable = self.program();
        // The groups were asked for only if they mattered; for the number alone the file is not read.
        let known = self.status.get().and_then(Option::as_ref);
        Process { pid: known.map_or(self.thread, |status| status.process), uid: self.uid, gid: self.gid, executable }
    }

    fn overrides(&self) -> bool {
        /// CAP_DAC_OVERRIDE and CAP_FOWNER.
        const OVERRIDE: u64 = 1 << 1 | 1 << 3;
        let held = || threads::status(self.thread, effective).flatten();
        self.uid == Uid::ROOT && held().is_some_and(|held| held & OVERRIDE == OVERRIDE)
    }

    fn shares_process_with(&self, thread: u32) -> bool {
        // Those of foreign pid namespaces have no number, and need not be one process.
        let known = thread != 0 && self.thread != 0;
        let sibling = || PathBuf::from(format!("/proc/{}/task/{thread}", self.thread)).exists();
        known && (thread == self.thread || sibling())
    }

    fn has_open(&self, node: NodeId) -> bool {
        holds(self.thread, node, true)
    }

    fn has_open_elsewhere(&self, thread: u32, node: NodeId) -> bool {
        let known = self.thread != 0 && thread != 0;
        known && !self.shares_process_with(thread) && holds(thread, node, true)
    }

    fn descriptors(&self, node: NodeId) -> Option<usize> {
        if self.thread == 0 {
            return None;
        }
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.thread)).ok()?;
        Some(descriptors.flatten().filter(|descriptor| leads_to(&descriptor.path(), node)).count())
    }
}

/// Whether a thread's process has a descriptor of a node, or one of it to write.
fn holds(thread: u32, node: NodeId, to_write: bool) -> bool {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{thread}/fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        let place = descriptor.path();
        // The link's own mode says what the descriptor is open for.
        let Ok(mode) = place.symlink_metadata().map(|link| link.permissions().mode()) else { return false };
        if to_write && mode & 0o200 == 0 {
            return false;
        }
        leads_to(&place, node)
    })
}

/// Whether a descriptor under `/proc` is of a node.
fn leads_to(descriptor: &Path, node: NodeId) -> bool {
    // What it leads to is held without being opened, and tells its number without being asked. `fdinfo` would ask it, and
    // some things, such as an epoll instance, answer under a lock that anybody may hold for as long as he likes.
    let Ok(held) = File::options().read(true).custom_flags(libc::O_PATH).open(descriptor) else { return false };
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    statx(held, c"", flags, StatxFlags::INO).is_ok_and(|found| found.stx_ino == node.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32, gid: u32) -> Caller {
        let thread = std::process::id();
        Caller { uid: Uid(uid), gid: Gid(gid), thread, program: Program::Asked, status: OnceCell::new() }
    }

    #[test]
    fn a_status_is_read_to_what_was_asked_of_it() {
        let text = b"Name:\tc\xffat: Uid:\nTgid:\t7\nUid:\t0\t0\t0\t1000\nGid:\t0\t0\t0\t1001\nGroups:\t4 27 1002 \n";
        let status = Status::parse(text).unwrap();
        assert_eq!((status.process, status.uid, status.gid), (7, Uid(1000), Gid(1001)));
        assert_eq!(status.groups, [Gid(4), Gid(27), Gid(1002)]);
        assert!(status.blocks_signals, "it is not told");
        let told = |mask: &str| Status::parse(&[text.as_slice(), b"SigBlk:\t", mask.as_bytes(), b"\n"].concat());
        assert!(!told("0000000000000000").unwrap().blocks_signals);
        assert!(told("fffffffffffbfeff").unwrap().blocks_signals);
        let groups = text.windows(6).position(|window| window == b"Groups").unwrap();
        assert!((0..groups).all(|cut| Status::parse(&text[..cut]).is_none()));
        let spoiled: Vec<u8> = text.iter().map(|&byte| if byte == b'2' { b'x' } else { byte }).collect();
        assert!(Status::parse(&spoiled).is_none());
    }

    #[test]
    fn a_status_is_believed_for_the_ids_of_the_request_alone() {
        let own = |uid, gid| caller(uid, gid).supplementary().map(<[Gid]>::to_vec);
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        assert!(own(uid, gid).is_some());
        assert_eq!((own(uid + 1, gid), own(uid, gid + 1)), (None, None));
    }

    #[test]
    fn capabilities_that_are_not_told_are_none() {
        assert_eq!(effective(b"Name:\tcat\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n"), Some(0x1ff_ffff_ffff));
        assert_eq!(effective(b"Name:\tCapEff:\nCapPrm:\t000001ffffffffff\n"), None);
        assert_eq!(effective(b"CapEff:\tall\n"), None);
        assert!(!Caller { thread: 0, ..caller(0, 0) }.overrides() && !caller(1, 0).overrides());
    }

    #[test]
    fn no_groups_is_not_unknown_groups() {
        let text = b"Tgid:\t7\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \n";
        assert!(Status::parse(text).unwrap().groups.is_empty());
    }

    #[test]
    fn a_foreign_process_has_no_groups() {
        let foreign = Caller { thread: 0, ..caller(0, 0) };
        assert_eq!(foreign.supplementary(), None);
        assert_eq!(foreign.process().pid, 0);
    }
}
