//! A file system whose only file is another one, and which fails when it is told to: what a store meets on a disk that breaks.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite,
    Request, TimeOrNow, WriteFlags,
};
use std::time::SystemTime;
use tempfile::TempDir;

const NAME: &str = "store.redb";
const FILE: INodeNo = INodeNo(2);
/// Nothing is remembered: each question reaches the file.
const NOT_AT_ALL: Duration = Duration::ZERO;

/// What fails, all of it with EIO.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    Reads,
    Writes,
    Syncs,
}

#[derive(Debug, Default)]
struct Switches {
    reads: AtomicBool,
    writes: AtomicBool,
    syncs: AtomicBool,
    /// How many calls of a failing kind still succeed.
    patience: AtomicI64,
    failed: AtomicU64,
}

impl Switches {
    fn of(&self, fault: Fault) -> &AtomicBool {
        match fault {
            Fault::Reads => &self.reads,
            Fault::Writes => &self.writes,
            Fault::Syncs => &self.syncs,
        }
    }

    fn ask(&self, fault: Fault) -> Result<(), Errno> {
        if !self.of(fault).load(Ordering::SeqCst) || self.patience.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        self.failed.fetch_add(1, Ordering::SeqCst);
        Err(Errno::EIO)
    }
}

/// The file system; gone with this. What has its file open has to go first.
pub struct Failing {
    home: TempDir,
    switches: Arc<Switches>,
    session: Option<BackgroundSession>,
}

impl Failing {
    /// Over this file, which is moved beneath it.
    pub fn over(file: &Path) -> Failing {
        let home = tempfile::Builder::new().prefix("keyfs-test-").tempdir().expect("a temporary directory");
        std::fs::copy(file, home.path().join("beneath")).and_then(|_| std::fs::remove_file(file)).expect("the file");
        std::fs::create_dir(home.path().join("medium")).expect("mkdir");
        let beneath = File::options().read(true).write(true).open(home.path().join("beneath")).expect("the file");
        let switches = Arc::new(Switches::default());
        let passing = Passing { beneath, switches: Arc::clone(&switches) };
        let mut config = Config::default();
        config.n_threads = Some(4);
        let session = fuser::spawn_mount(passing, home.path().join("medium"), &config);
        Failing { switches, session: Some(session.expect("a mount")), home }
    }

    /// The file as the file system shows it.
    pub fn file(&self) -> PathBuf {
        self.home.path().join("medium").join(NAME)
    }

    /// From now on these calls fail, but for the first `patience` of them.
    pub fn fail(&self, fault: Fault, patience: usize) {
        self.switches.patience.store(patience as i64, Ordering::SeqCst);
        self.switches.of(fault).store(true, Ordering::SeqCst);
    }

    /// Nothing fails any longer. How many calls did.
    pub fn heal(&self) -> u64 {
        for fault in [Fault::Reads, Fault::Writes, Fault::Syncs] {
            self.switches.of(fault).store(false, Ordering::SeqCst);
        }
        self.failed()
    }

    /// How many calls have failed since this was asked by `heal`.
    pub fn failed(&self) -> u64 {
        self.switches.failed.load(Ordering::SeqCst)
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.heal();
        let _ = Command::new("umount").arg("-l").arg(self.home.path().join("medium")).stderr(Stdio::null()).status();
        drop(self.session.take());
    }
}

struct Passing {
    beneath: File,
    switches: Arc<Switches>,
}

impl Passing {
    fn attributes(&self) -> io::Result<FileAttr> {
        let found = self.beneath.metadata()?;
        Ok(FileAttr {
            size: found.len(),
            blocks: found.blocks(),
            kind: FileType::RegularFile,
            perm: 0o600,
            ino: FILE,
            nlink: 1,
            ..directory()
        })
    }
}

fn directory() -> FileAttr {
    FileAttr {
        ino: INodeNo::ROOT,
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::Directory,
        perm: 0o755,
        nlink: 2,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn errno(error: io::Error) -> Errno {
    Errno::from_i32(error.raw_os_error().unwrap_or(libc::EIO))
}

impl Filesystem for Passing {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.attributes() {
            Ok(found) if name == NAME => reply.entry(&NOT_AT_ALL, &found, Generation(0)),
            Ok(_) => reply.error(Errno::ENOENT),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes() {
            Ok(found) => reply.attr(&NOT_AT_ALL, &if number == FILE { found } else { directory() }),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        _: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = self.switches.ask(Fault::Writes).and_then(|()| {
            size.map_or(Ok(()), |size| self.beneath.set_len(size)).and_then(|()| self.attributes()).map_err(errno)
        });
        match set {
            Ok(found) => reply.attr(&NOT_AT_ALL, &found),
            Err(errno) => reply.error(errno),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Past the page cache, or reads would never come here.
        reply.opened(FileHandle(1), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut bytes = vec![0; size as usize];
        let read =
            self.switches.ask(Fault::Reads).and_then(|()| self.beneath.read_at(&mut bytes, offset).map_err(errno));
        match read {
            Ok(length) => reply.data(&bytes[..length]),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written =
            self.switches.ask(Fault::Writes).and_then(|()| self.beneath.write_all_at(data, offset).map_err(errno));
        match written {
            Ok(()) => reply.written(data.len() as u32),
            Err(errno) => reply.error(errno),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        match self.switches.ask(Fault::Syncs).and_then(|()| self.beneath.sync_data().map_err(errno)) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(1 << 20, 1 << 20, 1 << 20, 0, 0, 4096, 255, 4096);
    }
}
