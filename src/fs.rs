//! The FUSE adapter: inode numbers, handles and errnos, between the kernel and the tree.
//!
//! Invariants:
//! - An operation calls one function of the tree and answers; it has no rules of its own.
//! - A panic in a request ends that request with `EIO`, not the mount.
//! - Each request is counted, with the time that it took.
//!
//! It deliberately leaves to the kernel what the kernel does alone: permission bits and ACLs (`default_permissions`), locks,
//! and the caching of names and attributes.

mod attach;
mod caller;
mod control;
mod dir;
mod errno;
mod handle;
mod inode;
mod invalidate;
mod metrics;
pub mod mount;
pub mod names;
mod xattr;

use std::ffi::OsStr;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, PollEvents, PollFlags,
    PollNotifier, RenameFlags, ReplyAttr, ReplyBmap, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr, Request,
    TimeOrNow, WriteFlags,
};

use self::caller::Caller;
use self::control::Places;
use self::dir::{Line, Listing};
use self::handle::{Handle, Handles};
use self::inode::{FLEETING, Inode, LASTING, NOTHING, Root, file_type, lifetime};
use self::invalidate::Invalidator;
use self::metrics::{Metrics, Operation};
use crate::access::Mode;
use crate::id::{Gid, NodeId, StoreId, Uid};
use crate::key::{Environment, Name};
use crate::tree::{AttributeChange, Attributes, Error, Namespace, OpenFile, OpenMode, RenameMode, SetTime};

/// The longest write in one request, in bytes; as much as a value may have by default.
const LONGEST_WRITE: u32 = 1 << 20;

/// Node ids are never used again, so there is one generation of each.
const GENERATION: Generation = Generation(0);

/// Without these a mount would grant or refuse the wrong things, so there is none.
const NEEDED: InitFlags =
    InitFlags::FUSE_POSIX_ACL.union(InitFlags::FUSE_DONT_MASK).union(InitFlags::FUSE_ATOMIC_O_TRUNC);

/// These are good to have.
const WANTED: [InitFlags; 4] = [
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_READDIRPLUS_AUTO,
    InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
];

/// What the daemon says of itself in `.keyfs/status`.
#[derive(Clone, Debug)]
pub struct Info {
    /// The store's id.
    pub store_id: StoreId,
    /// Where the store is.
    pub store_path: PathBuf,
    /// Where the audit log is.
    pub audit_path: PathBuf,
    /// Where the mount is.
    pub mount_point: PathBuf,
    /// The one environment that the mount shows, if it is one.
    pub environment: Option<Environment>,
    /// When it was mounted.
    pub started: SystemTime,
    /// Whether the whole process is locked in memory, or keys and values alone.
    pub memory_locked: &'static str,
    /// Who mounted it.
    pub owner: Uid,
    /// That user's group.
    pub group: Gid,
}

/// The adapter of one mount.
struct Adapter {
    namespace: Arc<Namespace>,
    root: Root,
    info: Info,
    handles: Handles,
    places: Places,
    metrics: Metrics,
    invalidator: Arc<Invalidator>,
    /// Requests that are being answered.
    busy: Arc<AtomicUsize>,
}

impl Adapter {
    /// Does the work of a request, counts it, and makes an errno of its refusal.
    fn serve<T>(&self, operation: Operation, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Errno> {
        let started = Instant::now();
        self.busy.fetch_add(1, Ordering::AcqRel);
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            log::error!("a request ({operation:?}) met a fault of keyfs itself; it is answered with EIO");
            Err(Error::Store("a fault of keyfs itself".into()))
        });
        self.busy.fetch_sub(1, Ordering::AcqRel);
        self.metrics.count(operation, started.elapsed(), outcome.is_ok());
        outcome.map_err(|error| {
            log::debug!("{operation:?}: {error}");
            errno::of(&error)
        })
    }

    /// The node of a request; control files take none of these operations.
    fn node(&self, number: INodeNo) -> Result<NodeId, Error> {
        match self.root.inode(number) {
            Inode::Node(id) => Ok(id),
            Inode::Control(_) => Err(Error::NotPermitted("control files are not changed this way")),
        }
    }

    /// A directory and a name in it that are to be changed.
    fn seat(&self, parent: INodeNo, name: &OsStr) -> Result<(NodeId, Name), Error> {
        let parent = self.node(parent)?;
        let name = Name::try_from(name)?;
        if parent == self.root.0 && name.as_str().starts_with('.') && self.info.environment.is_none() {
            return Err(Error::NotPermitted("names that begin with a dot are reserved beside the environments"));
        }
        Ok((parent, name))
    }

    fn find(&self, request: &Request, parent: INodeNo, name: &OsStr) -> Result<(FileAttr, bool), Error> {
        let name = Name::try_from(name)?;
        match self.root.inode(parent) {
            Inode::Control(number) => Ok((self.control_lookup(&Caller::of(request), number, &name)?, false)),
            Inode::Node(id) if id == self.root.0 && name.as_str() == control::NAME => {
                Ok((self.control_attributes(&Caller::of(request), control::TOP)?, false))
            }
            Inode::Node(id) => {
                let attributes = self.namespace.lookup(id, &name)?;
                Ok((self.root.attributes(&attributes), attributes.lasting))
            }
        }
    }

    fn file(&self, handle: FileHandle) -> Result<Arc<OpenFile>, Error> {
        match self.handles.get(handle).as_deref() {
            Some(Handle::File { file, .. }) => Ok(Arc::clone(file)),
            Some(Handle::Text(_) | Handle::Directory(_)) | None => Err(Error::BadHandle),
        }
    }

    fn lines(
        &self,
        request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
    ) -> Result<Arc<Vec<Line>>, Error> {
        let handle = self.handles.get(handle).ok_or(Error::BadHandle)?;
        let Handle::Directory(listing) = &*handle else { return Err(Error::BadHandle) };
        listing.lines(offset, || {
            let dots = [".", ".."].map(|name| Line {
                name: name.into(),
                // Where a directory hangs is the kernel's to know; it corrects the number of `..`.
                inode: self.root.inode(number),
                kind: FileType::Directory,
            });
            let mut lines = Vec::from(dots);
            match self.root.inode(number) {
                Inode::Control(number) => lines.extend(self.control_list(&Caller::of(request), number)?),
                Inode::Node(id) => lines.extend(self.namespace.list(id)?.into_iter().map(|entry| Line {
                    name: entry.name.to_string(),
                    inode: Inode::Node(entry.node),
                    kind: file_type(entry.kind),
                })),
            }
            Ok(lines)
        })
    }

    /// The attributes of a listed name; `None` for what is there no longer.
    fn line_attributes(&self, request: &Request, parent: INodeNo, line: &Line) -> Option<(FileAttr, bool)> {
        match (line.name.as_str(), line.inode) {
            ("." | "..", inode) => {
                Some((FileAttr { ino: self.root.number(inode), kind: FileType::Directory, ..NOTHING }, false))
            }
            // A place in the history is told of anew, so that it is known while the kernel holds it.
            (name, Inode::Control(_)) => self.find(request, parent, OsStr::new(name)).ok(),
            (_, Inode::Node(id)) => {
                let attributes = self.namespace.attributes(&Caller::of(request), id).ok()?;
                (attributes.links > 0).then(|| (self.root.attributes(&attributes), attributes.lasting))
            }
        }
    }

    fn set(
        &self,
        request: &Request,
        id: NodeId,
        handle: Option<FileHandle>,
        change: SetAttr,
    ) -> Result<Attributes, Error> {
        let caller = Caller::of(request);
        let mut size = None;
        if let Some(length) = change.size {
            match handle.map(|handle| self.file(handle)).transpose()?.filter(|file| file.mode().write) {
                Some(file) => {
                    self.namespace.truncate(&file, length)?;
                    size = Some(file.size());
                }
                None => self.namespace.truncate_closed(&caller, id, length)?,
            }
        }
        let SetAttr { mode, owner, group, accessed, modified, .. } = change;
        let permissions = mode.is_some() || owner.is_some() || group.is_some();
        if permissions || accessed.is_some() || modified.is_some() {
            self.namespace.set_attributes(&caller, id, AttributeChange { mode, owner, group, accessed, modified })?;
        }
        if permissions {
            self.invalidator.pages(self.root.number(Inode::Node(id)));
        }
        let attributes = self.namespace.attributes(&caller, id)?;
        Ok(Attributes { size: size.unwrap_or(attributes.size), ..attributes })
    }
}

/// What SETATTR may change.
struct SetAttr {
    size: Option<u64>,
    mode: Option<Mode>,
    owner: Option<Uid>,
    group: Option<Gid>,
    accessed: Option<SetTime>,
    modified: Option<SetTime>,
}

fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => SetTime::To(time.into()),
    }
}

fn open_mode(flags: i32) -> OpenMode {
    let (read, write) = match OpenFlags(flags).acc_mode() {
        OpenAccMode::O_RDONLY => (true, false),
        OpenAccMode::O_WRONLY => (false, true),
        OpenAccMode::O_RDWR => (true, true),
    };
    OpenMode { read, write, append: flags & libc::O_APPEND != 0, truncate: flags & libc::O_TRUNC != 0 && write }
}

/// How the kernel is to treat an open file. Reads reach the daemon each time: for secrets so that no plaintext is cached, for
/// variables because a cache that is shared with a writer shows cut values.
fn open_flags(mode: OpenMode) -> FopenFlags {
    if mode.write { FopenFlags::FOPEN_DIRECT_IO } else { FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH }
}

/// Answers a request for an attribute's bytes: their number where `size` is 0.
fn answer_xattr(reply: ReplyXattr, size: u32, outcome: Result<Vec<u8>, Errno>) {
    match outcome {
        Ok(value) if size == 0 => reply.size(u32::try_from(value.len()).unwrap_or(u32::MAX)),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(errno) => reply.error(errno),
    }
}

fn answer_entry(reply: ReplyEntry, outcome: Result<(FileAttr, bool), Errno>) {
    match outcome {
        Ok((attributes, lasting)) => {
            // A name whose attributes move may be one that was never committed, and can go as it came.
            let lifetime = if lasting { LASTING } else { FLEETING };
            reply.entry(&lifetime, &attributes, GENERATION);
        }
        Err(errno) => reply.error(errno),
    }
}

fn answer(reply: ReplyEmpty, outcome: Result<(), Errno>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

impl Filesystem for Adapter {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        config.add_capabilities(NEEDED).map_err(|missing| {
            log::error!("the kernel's FUSE lacks {missing:?}, without which permissions would not hold");
            io::Error::from_raw_os_error(libc::EPROTO)
        })?;
        for flag in WANTED {
            if config.add_capabilities(flag).is_err() {
                log::info!("the kernel's FUSE lacks {flag:?}; keyfs does without");
            }
        }
        let _ = config.set_max_write(LONGEST_WRITE);
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.serve(Operation::Lookup, || match self.find(request, parent, name) {
            // That a name is not there is remembered too.
            Err(Error::NotFound) if matches!(self.root.inode(parent), Inode::Node(_)) => Ok((NOTHING, true)),
            found => found,
        });
        answer_entry(reply, found);
    }

    fn forget(&self, _: &Request, number: INodeNo, times: u64) {
        if let Inode::Control(number) = self.root.inode(number) {
            self.places.forget(number, times);
        }
    }

    fn getattr(&self, request: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let found = self.serve(Operation::Getattr, || match self.root.inode(number) {
            Inode::Control(control) => Ok((self.control_attributes(&Caller::of(request), control)?, FLEETING)),
            Inode::Node(id) => {
                let attributes = self.namespace.attributes(&Caller::of(request), id)?;
                Ok((self.root.attributes(&attributes), lifetime(&attributes)))
            }
        });
        match found {
            Ok((attributes, lifetime)) => reply.attr(&lifetime, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    #[allow(clippy::too_many_arguments)] // as fuser has it
    fn setattr(
        &self,
        request: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = SetAttr {
            size,
            mode: mode.map(Mode::from_bits),
            owner: uid.map(Uid),
            group: gid.map(Gid),
            accessed: atime.map(set_time),
            modified: mtime.map(set_time),
        };
        let set = self.serve(Operation::Setattr, || self.set(request, self.node(number)?, handle, change));
        match set {
            Ok(attributes) => reply.attr(&lifetime(&attributes), &self.root.attributes(&attributes)),
            Err(errno) => reply.error(errno),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let made = self.serve(Operation::Mknod, || {
            if mode & libc::S_IFMT != libc::S_IFREG {
                return Err(Error::NotPermitted("a key is a file or a directory, and nothing else"));
            }
            let (parent, name) = self.seat(parent, name)?;
            let (mode, umask) = (Mode::from_bits(mode), Mode::from_bits(umask));
            let attributes = self.namespace.make_file(&Caller::of(request), parent, &name, mode, umask)?;
            Ok((self.root.attributes(&attributes), attributes.lasting))
        });
        answer_entry(reply, made);
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let made = self.serve(Operation::Mkdir, || {
            let (parent, name) = self.seat(parent, name)?;
            let (mode, umask) = (Mode::from_bits(mode), Mode::from_bits(umask));
            let attributes = self.namespace.make_directory(&Caller::of(request), parent, &name, mode, umask)?;
            Ok((self.root.attributes(&attributes), attributes.lasting))
        });
        answer_entry(reply, made);
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.serve(Operation::Unlink, || {
            let (parent, name) = self.seat(parent, name)?;
            self.namespace.remove_file(&Caller::of(request), parent, &name).map(drop)
        });
        answer(reply, removed);
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.serve(Operation::Rmdir, || {
            let (parent, name) = self.seat(parent, name)?;
            self.namespace.remove_directory(&Caller::of(request), parent, &name).map(drop)
        });
        answer(reply, removed);
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let renamed = self.serve(Operation::Rename, || {
            let mode = match flags {
                RenameFlags::RENAME_NOREPLACE => RenameMode::Keep,
                RenameFlags::RENAME_EXCHANGE => RenameMode::Exchange,
                flags if flags.is_empty() => RenameMode::Replace,
                _ => return Err(Error::Invalid("of the flags, RENAME_NOREPLACE or RENAME_EXCHANGE are known")),
            };
            let (from, to) = (self.seat(parent, name)?, self.seat(new_parent, new_name)?);
            self.namespace.rename(&Caller::of(request), (from.0, &from.1), (to.0, &to.1), mode)
        });
        answer(reply, renamed);
    }

    fn open(&self, request: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let mode = open_mode(flags.0);
        let opened = self.serve(Operation::Open, || {
            let caller = Caller::of(request);
            match self.root.inode(number) {
                Inode::Control(_) if mode.write => Err(Error::Denied("control files are for reading alone")),
                Inode::Control(control) => self.control_open(&caller, control),
                Inode::Node(id) => {
                    let file = self.namespace.open(&caller, id, mode)?;
                    Ok(Handle::File { file, mapped: AtomicBool::new(false) })
                }
            }
        });
        match opened {
            Ok(handle) => reply.opened(self.handles.add(handle), open_flags(mode)),
            Err(errno) => reply.error(errno),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let how = open_mode(flags);
        let created = self.serve(Operation::Create, || {
            let (parent, name) = self.seat(parent, name)?;
            let permissions = (Mode::from_bits(mode), Mode::from_bits(umask));
            let exclusive = flags & libc::O_EXCL != 0;
            self.namespace.create(&Caller::of(request), parent, &name, permissions, how, exclusive)
        });
        match created {
            Ok((attributes, file)) => {
                let handle = self.handles.add(Handle::File { file, mapped: AtomicBool::new(false) });
                let lifetime = lifetime(&attributes);
                reply.created(&lifetime, &self.root.attributes(&attributes), GENERATION, handle, open_flags(how));
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        // The answer is written while the value is at hand, so that it is never copied.
        let mut reply = Some(reply);
        let mut show = |bytes: &[u8]| {
            if let Some(reply) = reply.take() {
                reply.data(bytes);
            }
        };
        let shown = self.serve(Operation::Read, || {
            let handle = self.handles.get(handle).ok_or(Error::BadHandle)?;
            match &*handle {
                Handle::Directory(_) => Err(Error::IsADirectory),
                Handle::Text(text) => {
                    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
                    let end = start.saturating_add(size as usize).min(text.len());
                    show(text.get(start..end).unwrap_or_default());
                    Ok(())
                }
                Handle::File { file, mapped } => {
                    // Only read(2) names an owner of locks; what fills the page cache does not.
                    if lock_owner.is_none() && !mapped.swap(true, Ordering::Relaxed) {
                        self.invalidator.mapped(number);
                    }
                    self.namespace.read(&Caller::of(request), file, offset, size, show)
                }
            }
        });
        if let (Some(reply), Err(errno)) = (reply, shown) {
            reply.error(errno);
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.serve(Operation::Write, || self.namespace.write(&*self.file(handle)?, offset, data));
        match written {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(errno) => reply.error(errno),
        }
    }

    fn flush(&self, request: &Request, number: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        let flushed = self.serve(Operation::Flush, || match self.handles.get(handle).as_deref() {
            Some(Handle::File { file, .. }) => {
                self.namespace.flush(&Caller::of(request), file)?;
                self.invalidator.committed(number);
                Ok(())
            }
            Some(Handle::Text(_) | Handle::Directory(_)) => Ok(()),
            None => Err(Error::BadHandle),
        });
        answer(reply, flushed);
    }

    fn release(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let released = self.serve(Operation::Release, || {
            if let Some(Handle::File { file, mapped }) = self.handles.remove(handle).as_deref() {
                self.namespace.release(file);
                if mapped.load(Ordering::Relaxed) {
                    self.invalidator.unmapped(number);
                }
                self.invalidator.committed(number);
            }
            Ok(())
        });
        answer(reply, released);
    }

    fn fsync(&self, request: &Request, number: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        let synced = self.serve(Operation::Fsync, || match self.handles.get(handle).as_deref() {
            Some(Handle::File { file, .. }) => {
                self.namespace.sync(&Caller::of(request), file)?;
                self.invalidator.committed(number);
                Ok(())
            }
            Some(Handle::Text(_) | Handle::Directory(_)) => Ok(()),
            None => Err(Error::BadHandle),
        });
        answer(reply, synced);
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let opened = self.serve(Operation::Opendir, || Ok(self.handles.add(Handle::Directory(Listing::new()))));
        match opened {
            Ok(handle) => reply.opened(handle, FopenFlags::empty()),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(&self, request: &Request, number: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.serve(Operation::Readdir, || {
            let lines = self.lines(request, number, handle, offset)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            for (next, line) in (offset + 1..).zip(lines.iter().skip(start)) {
                if reply.add(self.root.number(line.inode), next, line.kind, &line.name) {
                    break;
                }
            }
            Ok(())
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdirplus(
        &self,
        request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let listed = self.serve(Operation::Readdir, || {
            let lines = self.lines(request, number, handle, offset)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            for (next, line) in (offset + 1..).zip(lines.iter().skip(start)) {
                let Some((attributes, lasting)) = self.line_attributes(request, number, line) else { continue };
                let lifetime = if lasting { LASTING } else { FLEETING };
                if reply.add(attributes.ino, next, &line.name, &lifetime, &attributes, GENERATION) {
                    // It did not fit, so the kernel was not told of it after all.
                    if let Inode::Control(control) = self.root.inode(attributes.ino) {
                        self.places.forget(control, 1);
                    }
                    break;
                }
            }
            Ok(())
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.handles.remove(handle);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        // What was answered is on stable storage already.
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        const BLOCK: u32 = 4096;
        match self.serve(Operation::Statfs, || Ok(self.namespace.store().usage()?)) {
            Ok(usage) => {
                let blocks = |bytes: u64| bytes / u64::from(BLOCK);
                // The number of files has no limit but the space, which is said with zeros, as btrfs does.
                reply.statfs(
                    blocks(usage.total),
                    blocks(usage.free),
                    blocks(usage.free),
                    0,
                    0,
                    BLOCK,
                    Name::MAX_BYTES as u32,
                    BLOCK,
                );
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn setxattr(
        &self,
        request: &Request,
        number: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        let set = self.serve(Operation::Setxattr, || {
            self.set_attribute(&Caller::of(request), self.node(number)?, name, value, flags)
        });
        answer(reply, set);
    }

    fn getxattr(&self, request: &Request, number: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let value = self.serve(Operation::Getxattr, || match self.root.inode(number) {
            Inode::Node(id) => self.attribute(&Caller::of(request), id, name),
            Inode::Control(_) => Err(Error::NoAttribute),
        });
        answer_xattr(reply, size, value);
    }

    fn listxattr(&self, _: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.serve(Operation::Listxattr, || match self.root.inode(number) {
            Inode::Node(id) => self.attribute_names(id),
            Inode::Control(_) => Ok(Vec::new()),
        });
        answer_xattr(reply, size, names);
    }

    fn removexattr(&self, request: &Request, number: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self
            .serve(Operation::Removexattr, || self.remove_attribute(&Caller::of(request), self.node(number)?, name));
        answer(reply, removed);
    }

    // What a key is not, or has no need of. Where the answer is ENOSYS the kernel asks once and does it by itself, or
    // refuses it, from then on.

    fn symlink(&self, _: &Request, _: INodeNo, _: &OsStr, _: &Path, reply: ReplyEntry) {
        reply.error(Errno::EPERM);
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::EPERM);
    }

    fn readlink(&self, _: &Request, _: INodeNo, reply: ReplyData) {
        reply.error(Errno::EINVAL);
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    fn lseek(&self, _: &Request, _: INodeNo, _: FileHandle, _: i64, _: i32, reply: ReplyLseek) {
        reply.error(Errno::ENOSYS);
    }

    fn fallocate(&self, _: &Request, _: INodeNo, _: FileHandle, _: u64, _: u64, _: i32, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn copy_file_range(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn poll(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: PollNotifier,
        _: PollEvents,
        _: PollFlags,
        reply: ReplyPoll,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn bmap(&self, _: &Request, _: INodeNo, _: u32, _: u64, reply: ReplyBmap) {
        reply.error(Errno::ENOSYS);
    }
}

impl std::fmt::Debug for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Adapter({})", self.info.mount_point.display())
    }
}
