//! The floor: a FUSE file system on the same library that keeps names and bytes in a map, without permission, encryption
//! or a store. What it costs is what FUSE costs.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, MountOption,
    OpenFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, Session,
    SessionACL, TimeOrNow, WriteFlags,
};

const LIFETIME: Duration = Duration::from_secs(3600);

#[derive(Default)]
struct Files {
    names: HashMap<OsString, u64>,
    values: HashMap<u64, Vec<u8>>,
}

#[derive(Default)]
struct Floor(Mutex<Files>);

fn attributes(number: u64, kind: FileType, size: usize) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: size as u64,
        blocks: 1,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: 0o777,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

impl Filesystem for Floor {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let files = self.0.lock().unwrap();
        match files.names.get(name) {
            Some(number) => {
                let found = attributes(*number, FileType::RegularFile, files.values[number].len());
                reply.entry(&LIFETIME, &found, Generation(0));
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        if number == INodeNo::ROOT {
            return reply.attr(&LIFETIME, &attributes(1, FileType::Directory, 0));
        }
        match self.0.lock().unwrap().values.get(&number.0) {
            Some(value) => reply.attr(&LIFETIME, &attributes(number.0, FileType::RegularFile, value.len())),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<std::time::SystemTime>,
        _: Option<FileHandle>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut files = self.0.lock().unwrap();
        let value = files.values.entry(number.0).or_default();
        if let Some(size) = size {
            value.resize(size as usize, 0);
        }
        reply.attr(&LIFETIME, &attributes(number.0, FileType::RegularFile, value.len()));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(1), FopenFlags::empty());
    }

    fn create(&self, _: &Request, _: INodeNo, name: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        let mut files = self.0.lock().unwrap();
        let number = files.values.len() as u64 + 2;
        files.names.insert(name.into(), number);
        files.values.insert(number, Vec::new());
        let made = attributes(number, FileType::RegularFile, 0);
        reply.created(&LIFETIME, &made, Generation(0), FileHandle(1), FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let files = self.0.lock().unwrap();
        let value = files.values.get(&number.0).map(Vec::as_slice).unwrap_or_default();
        let start = (offset as usize).min(value.len());
        reply.data(&value[start..(start + size as usize).min(value.len())]);
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut files = self.0.lock().unwrap();
        let value = files.values.entry(number.0).or_default();
        let end = offset as usize + data.len();
        if value.len() < end {
            value.resize(end, 0);
        }
        value[offset as usize..end].copy_from_slice(data);
        reply.written(data.len() as u32);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }
}

/// Serves until it is unmounted.
pub fn serve(directory: &Path) {
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("floor".into()), MountOption::DefaultPermissions];
    config.acl = SessionACL::All;
    config.n_threads = Some(4);
    let session = Session::new(Floor::default(), directory, &config).unwrap();
    println!("mounted");
    session.run().unwrap();
}
