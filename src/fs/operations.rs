//! Each operation of the kernel: one call, one answer.
//!
//! Invariant: whatever happens, a request is answered once.
//!
//! It deliberately decides nothing; what an operation takes more than a call is in the parent module or beside it.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, IoctlFlags,
    KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags, ReplyAttr, ReplyBmap,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek,
    ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::caller::Caller;
use super::dir::Listing;
use super::handle::Handle;
use super::inode::{FLEETING, Inode, LASTING, MOMENT, NOTHING, lifetime};
use super::metrics::Operation;
use super::words::{GENERATION, answer, answer_entry, answer_xattr, changes, open_flags, open_mode, set_time};
use super::{Adapter, SetAttr};
use crate::access::Mode;
use crate::id::{Gid, Uid};
use crate::key::Name;
use crate::tree::Error;

/// The longest write in one request, in bytes; as much as a value may have by default.
const LONGEST_WRITE: u32 = 1 << 20;

/// Without these a mount would grant or refuse the wrong things, so there is none.
const NEEDED: InitFlags =
    InitFlags::FUSE_POSIX_ACL.union(InitFlags::FUSE_DONT_MASK).union(InitFlags::FUSE_ATOMIC_O_TRUNC);

/// These are good to have.
const WANTED: [InitFlags; 5] = [
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_READDIRPLUS_AUTO,
    InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
    // Without it the kernel reads for io_uring as if each read were at the same place, and a value is shown again and again.
    InitFlags::FUSE_ASYNC_DIO,
];

/// What is written to a staged file is staged with that; closing it has nothing to do.
const STAGED_FLAGS: FopenFlags = FopenFlags::FOPEN_DIRECT_IO.union(FopenFlags::FOPEN_NOFLUSH);

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
        match self.root.inode(number) {
            Inode::Control(number) => self.places.forget(number, times),
            Inode::Staged(_) => {}
            Inode::Node(id) => {
                self.invalidator.forgotten(number);
                self.above.forget(id);
                self.namespace.forget(id);
            }
        }
    }

    fn getattr(&self, request: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let found = self.serve(Operation::Getattr, || match self.root.inode(number) {
            Inode::Control(control) => Ok((self.control_attributes(&Caller::of(request), control)?, FLEETING)),
            Inode::Staged(id) => Ok((self.staged_attributes((id, self.namespace.staged(id)?)), FLEETING)),
            Inode::Node(id) => {
                let caller = Caller::of(request);
                let attributes = self.namespace.attributes(&caller, id)?;
                // By a name that it has no longer: the kernel looks it up anew. Who has it open may ask by that.
                if attributes.links == 0 && self.invalidator.is_going(number) && !caller.may_hold(id) {
                    return Err(Error::Gone);
                }
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
        let set = self.serve(Operation::Setattr, || match self.root.inode(number) {
            Inode::Staged(id) => Ok((self.set_staged(&Caller::of(request), id, handle, change)?, FLEETING)),
            Inode::Node(_) | Inode::Control(_) => {
                let attributes = self.set(request, self.node(number)?, handle, change)?;
                Ok((self.root.attributes(&attributes), lifetime(&attributes)))
            }
        });
        match set {
            Ok((attributes, lifetime)) => reply.attr(&lifetime, &attributes),
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
        let made = self.serve(Operation::Mknod, || self.make_file(request, parent, name, (mode, umask)));
        answer_entry(reply, made);
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let made = self.serve(Operation::Mkdir, || self.make_directory(request, parent, name, (mode, umask)));
        answer_entry(reply, made);
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.serve(Operation::Unlink, || self.remove_file(request, parent, name)));
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.serve(Operation::Rmdir, || self.remove_directory(request, parent, name)));
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
        let (from, to) = ((parent, name), (new_parent, new_name));
        answer(reply, self.serve(Operation::Rename, || self.rename(request, from, to, flags)));
    }

    fn open(&self, request: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let mode = open_mode(flags.0);
        let opened = self.serve(Operation::Open, || {
            let caller = Caller::of(request);
            match self.root.inode(number) {
                Inode::Control(_) if changes(mode) => Err(Error::Denied("control files are for reading alone")),
                Inode::Control(control) => self.control_open(&caller, control),
                Inode::Staged(id) => Ok(Handle::Staged(self.open_staged(&caller, id, mode, false)?)),
                Inode::Node(id) => {
                    let file = self.namespace.open(&caller, id, mode)?;
                    if changes(mode) || self.namespace.is_behind(&file) {
                        // The kernel changes its size, to 0 or to where a write ends, before it takes it for unknown. And somebody
                        // may have been told a later version's size just now. Whoever looks is to ask here, where the file is open by
                        // now and has the size that it had.
                        self.invalidator.attributes(number);
                    }
                    let program = if changes(mode) { caller.program() } else { None };
                    Ok(Handle::File { file, program, mapped: AtomicBool::new(false) })
                }
            }
        });
        match opened {
            Ok(handle) => {
                let flags = match handle {
                    Handle::Events(_) => open_flags(mode) | FopenFlags::FOPEN_STREAM | FopenFlags::FOPEN_NONSEEKABLE,
                    Handle::Staged(_) => STAGED_FLAGS,
                    _ => open_flags(mode),
                };
                reply.opened(self.handles.add(handle), flags);
            }
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
            let (caller, exclusive) = (Caller::of(request), flags & libc::O_EXCL != 0);
            let permissions = (Mode::from_bits(mode), Mode::from_bits(umask));
            if let Inode::Staged(parent) = self.root.inode(parent) {
                return self.create_staged(&caller, parent, name, permissions, how, exclusive);
            }
            let (parent, name) = self.seat(parent, name)?;
            let (attributes, file) = self.namespace.create(&caller, parent, &name, permissions, how, exclusive)?;
            // Nobody else has it open, and the kernel knows of what is written to it.
            let lifetime = if file.made_entry() { MOMENT } else { lifetime(&attributes) };
            let handle = Handle::File { file, program: caller.program(), mapped: AtomicBool::new(false) };
            Ok((self.root.attributes(&attributes), lifetime, handle))
        });
        match created {
            Ok((attributes, lifetime, handle)) => {
                let flags = match handle {
                    Handle::Staged(_) => STAGED_FLAGS,
                    // With a flush, also where it is open for reading alone: the flush commits the creation.
                    _ => FopenFlags::FOPEN_DIRECT_IO,
                };
                let handle = self.handles.add(handle);
                reply.created(&lifetime, &attributes, GENERATION, handle, flags);
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
        flags: OpenFlags,
        lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if let Some(stream) = self.handles.get(handle).filter(|handle| matches!(**handle, Handle::Events(_))) {
            let waits = flags.0 & libc::O_NONBLOCK == 0;
            return self.watchers.read(Caller::of(request), stream, size, waits, reply);
        }
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
                Handle::Events(_) => Err(Error::BadHandle),
                Handle::Staged(file) => {
                    let cached = lock_owner.is_none();
                    self.read_staged(&Caller::of(request), file, offset, size, cached, &mut show)
                }
                Handle::Text(text) => {
                    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
                    let end = start.saturating_add(size as usize).min(text.len());
                    show(text.get(start..end).unwrap_or_default());
                    Ok(())
                }
                Handle::File { file, mapped, .. } => {
                    // Only read(2) names an owner of locks; what fills the page cache does not.
                    let caller = Caller::of(request);
                    if lock_owner.is_none() {
                        if file.is_secret() && caller.moves_pages() {
                            // From the page cache anybody with a descriptor would get it unasked. sendfile(2) names this
                            // errno as the one upon which to read instead.
                            return Err(Error::Invalid("a secret is read, or mapped; it is not spliced"));
                        }
                        if !mapped.swap(true, Ordering::Relaxed) {
                            self.invalidator.mapped(number);
                        }
                    }
                    self.namespace.read(&caller, file, offset, size, &mut show)
                }
            }
        });
        if let (Some(reply), Err(errno)) = (reply, shown) {
            reply.error(errno);
        }
    }

    fn write(
        &self,
        request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.serve(Operation::Write, || {
            if let Some(Handle::Staged(file)) = self.handles.get(handle).as_deref() {
                return self.write_staged(&Caller::of(request), file, offset, data);
            }
            let file = self.file(handle)?;
            file.written_by(&Caller::of(request));
            self.namespace.write(&file, offset, data)?;
            // O_SYNC has the bits of O_DSYNC and one more.
            if flags.0 & libc::O_DSYNC == 0 {
                return Ok(());
            }
            self.namespace.sync(&Caller::of(request), &file)?;
            self.invalidator.committed(number);
            Ok(())
        });
        match written {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(errno) => reply.error(errno),
        }
    }

    fn flush(&self, request: &Request, number: INodeNo, handle: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        let flushed = self.serve(Operation::Flush, || match self.handles.get(handle).as_deref() {
            Some(Handle::File { file, program, .. }) => {
                self.namespace.flush(&Caller::closing(request, program.clone()), file)?;
                self.invalidator.committed(number);
                Ok(())
            }
            Some(_) => Ok(()),
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
            let removed = self.handles.remove(handle);
            if let Some(Handle::Events(watch)) = removed.as_deref() {
                self.watchers.closed(watch, handle);
            }
            if let Some(Handle::File { file, mapped, .. }) = removed.as_deref() {
                if let Some((parent, name)) = self.namespace.release(file) {
                    let parent = self.root.number(Inode::Node(parent));
                    self.invalidator.name(parent, name.as_str().into(), number);
                }
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
            Some(_) => Ok(()),
            None => Err(Error::BadHandle),
        });
        answer(reply, synced);
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let opened = self.serve(Operation::Opendir, || {
            // The kernel drops the listing that it keeps where it changes a name itself, or is told that one is gone; but not where the
            // directory has moved. Of control files it is told nothing.
            let flags = match self.root.inode(number) {
                Inode::Node(id) if self.above(id).is_ok_and(|above| self.above.is(id, above)) => {
                    FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE
                }
                Inode::Node(_) => FopenFlags::FOPEN_CACHE_DIR,
                Inode::Control(_) | Inode::Staged(_) => FopenFlags::empty(),
            };
            Ok((self.handles.add(Handle::Directory(Listing::new())), flags))
        });
        match opened {
            Ok((handle, flags)) => reply.opened(handle, flags),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(&self, request: &Request, number: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.serve(Operation::Readdir, || {
            let lines = self.lines(request, number, handle, offset)?;
            for (place, line) in lines.behind(offset) {
                if reply.add(self.root.number(line.inode), *place, line.kind, &line.name) {
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
            for (place, line) in lines.behind(offset) {
                let Some((attributes, lasting)) = self.line_attributes(request, number, line) else { continue };
                let lifetime = if lasting { LASTING } else { FLEETING };
                if reply.add(attributes.ino, *place, &line.name, &lifetime, &attributes, GENERATION) {
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
                    blocks(usage.unused),
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
        let set = self.serve(Operation::Setxattr, || match self.root.inode(number) {
            Inode::Staged(id) => self.set_staged_attribute(&Caller::of(request), id, name, value, flags),
            _ => self.set_attribute(&Caller::of(request), self.node(number)?, name, value, flags),
        });
        answer(reply, set);
    }

    fn getxattr(&self, request: &Request, number: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let value = self.serve(Operation::Getxattr, || match self.root.inode(number) {
            Inode::Node(id) => self.attribute(&Caller::of(request), id, name),
            Inode::Staged(id) => self.staged_attribute(&Caller::of(request), id, name),
            Inode::Control(_) => Err(Error::NoAttribute),
        });
        answer_xattr(reply, size, value);
    }

    fn listxattr(&self, _: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.serve(Operation::Listxattr, || match self.root.inode(number) {
            Inode::Node(id) => self.attribute_names(id),
            Inode::Staged(id) => self.staged_attribute_names(id),
            Inode::Control(_) => Ok(Vec::new()),
        });
        answer_xattr(reply, size, names);
    }

    fn removexattr(&self, request: &Request, number: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.serve(Operation::Removexattr, || match self.root.inode(number) {
            Inode::Staged(id) => self.remove_staged_attribute(&Caller::of(request), id, name),
            _ => self.remove_attribute(&Caller::of(request), self.node(number)?, name),
        });
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
        request: &Request,
        _: INodeNo,
        handle: FileHandle,
        notifier: PollNotifier,
        _: PollEvents,
        _: PollFlags,
        reply: ReplyPoll,
    ) {
        match self.handles.get(handle).as_deref() {
            Some(Handle::Events(watch)) => {
                reply.poll(self.watchers.poll(&Caller::of(request), watch, handle, notifier));
            }
            // Were it refused, the kernel would ask for nothing any longer, the stream of changes included.
            _ => reply.poll(PollEvents::POLLIN | PollEvents::POLLRDNORM | PollEvents::POLLOUT | PollEvents::POLLWRNORM),
        }
    }

    fn bmap(&self, _: &Request, _: INodeNo, _: u32, _: u64, reply: ReplyBmap) {
        reply.error(Errno::ENOSYS);
    }
}
