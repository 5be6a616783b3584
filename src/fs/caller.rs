//! Who asks: what the kernel says of a caller, and what `/proc` adds while it waits for the answer.
//!
//! Invariants:
//! - What can't be learnt lets nobody in: a caller whose groups are not known has its primary group alone.
//! - `/proc` is read at most once for a request, and only if an answer depends on it.
//! - Nothing is read that waits for the caller. A file that is closed by `execve(2)` is flushed while its process holds
//!   the lock that `/proc/<pid>/exe` takes: to look there would be to wait for each other for ever.

use std::cell::OnceCell;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use fuser::Request;

use crate::audit::Process;
use crate::id::{Gid, NodeId, Uid};
use crate::tree::Actor;

/// A process's status is about 1.5 kB and a line of up to 65,536 groups; what is longer is not believed.
const LONGEST_STATUS: u64 = 1 << 20;

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
    groups: Vec<Gid>,
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

    /// The program that the caller runs. Not for a request that comes of closing a file.
    pub(super) fn program(&self) -> Option<PathBuf> {
        match &self.program {
            Program::Known(program) => program.clone(),
            Program::Asked if self.thread == 0 => None,
            Program::Asked => std::fs::read_link(format!("/proc/{}/exe", self.thread)).ok(),
        }
    }

    fn status(&self) -> Option<&Status> {
        self.status.get_or_init(|| self.read_status()).as_ref()
    }

    fn read_status(&self) -> Option<Status> {
        // A process of a foreign pid namespace has no number here.
        if self.thread == 0 {
            return None;
        }
        let mut text = String::with_capacity(4096);
        File::open(format!("/proc/{}/status", self.thread))
            .ok()?
            .take(LONGEST_STATUS)
            .read_to_string(&mut text)
            .ok()?;
        self.parse_status(&text)
    }

    fn parse_status(&self, text: &str) -> Option<Status> {
        let numbers = |field: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
            line.split_whitespace().map(|number| number.parse::<u32>().ok()).collect::<Option<Vec<u32>>>()
        };
        // The filesystem ids stand fourth. If they are others than the request has, this is another process, or it
        // changed them while it waits, which only another thread of it can look like.
        let same = numbers("Uid")?.get(3) == Some(&self.uid.0) && numbers("Gid")?.get(3) == Some(&self.gid.0);
        let process = *numbers("Tgid")?.first()?;
        let groups = numbers("Groups")?.into_iter().map(Gid).collect();
        same.then_some(Status { process, groups })
    }
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

    fn shares_process_with(&self, thread: u32) -> bool {
        thread == self.thread || PathBuf::from(format!("/proc/{}/task/{thread}", self.thread)).exists()
    }

    fn has_open(&self, node: NodeId) -> bool {
        holds(self.thread, node)
    }

    fn has_open_elsewhere(&self, thread: u32, node: NodeId) -> bool {
        let known = self.thread != 0 && thread != 0;
        known && !self.shares_process_with(thread) && holds(thread, node)
    }
}

/// Whether a thread's process has a descriptor of a node open to write.
fn holds(thread: u32, node: NodeId) -> bool {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{thread}/fdinfo")) else { return false };
    descriptors.flatten().any(|descriptor| {
        let Ok(text) = std::fs::read_to_string(descriptor.path()) else { return false };
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let same = field("ino:").and_then(|number| number.parse().ok()) == Some(node.0);
        let flags = field("flags:").and_then(|flags| i32::from_str_radix(flags, 8).ok()).unwrap_or(0);
        same && flags & libc::O_ACCMODE != libc::O_RDONLY
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32, gid: u32) -> Caller {
        let thread = std::process::id();
        Caller { uid: Uid(uid), gid: Gid(gid), thread, program: Program::Asked, status: OnceCell::new() }
    }

    #[test]
    fn a_status_is_believed_for_the_ids_of_the_request_alone() {
        let text = "Name:\tcat\nTgid:\t7\nUid:\t0\t0\t0\t1000\nGid:\t0\t0\t0\t1001\nGroups:\t4 27 1002 \n";
        let status = caller(1000, 1001).parse_status(text).unwrap();
        assert_eq!((status.process, status.groups), (7, vec![Gid(4), Gid(27), Gid(1002)]));
        assert!(caller(0, 1001).parse_status(text).is_none());
        assert!(caller(1000, 0).parse_status(text).is_none());
        assert!(caller(1000, 1001).parse_status("Uid:\t0\n").is_none());
    }

    #[test]
    fn no_groups_is_not_unknown_groups() {
        let text = "Tgid:\t7\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \n";
        assert!(caller(0, 0).parse_status(text).unwrap().groups.is_empty());
    }

    #[test]
    fn a_foreign_process_has_no_groups() {
        let foreign = Caller { thread: 0, ..caller(0, 0) };
        assert_eq!(foreign.supplementary(), None);
        assert_eq!(foreign.process().pid, 0);
    }
}
