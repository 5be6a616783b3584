//! The floor: a FUSE file system on the same library that keeps names and bytes in maps, without permission, encryption
//! or a store. What it costs is what FUSE costs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, MountOption,
    OpenFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite,
    Request, Session, SessionACL, TimeOrNow, WriteFlags,
};

const LIFETIME: Duration = Duration::from_secs(3600);

#[derive(Default)]
struct Files {
    /// A directory's number and a name in it, and what that names.
    names: BTreeMap<(u64, OsString), u64>,
    /// What a file holds; `None` is a directory.
    nodes: BTreeMap<u64, Option<Vec<u8>>>,
}

#[derive(Default)]
struct Floor(Mutex<Files>);

impl Files {
    fn add(&mut self, parent: INodeNo, name: &OsStr, content: Option<Vec<u8>>) -> FileAttr {
        let number = self.nodes.len() as u64 + 2;
        self.names.insert((parent.0, name.into()), number);
        self.nodes.insert(number, content);
        self.attributes(number)
    }

    fn attributes(&self, number: u64) -> FileAttr {
        match self.nodes.get(&number) {
            Some(Some(content)) => attributes(number, FileType::RegularFile, content.len()),
            _ => attributes(number, FileType::Directory, 0),
        }
    }

    fn content(&mut self, number: INodeNo) -> &mut Vec<u8> {
        self.nodes.get_mut(&number.0).and_then(Option::as_mut).expect("a file")
    }
}

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
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let files = self.0.lock().unwrap();
        match files.names.get(&(parent.0, name.into())) {
            Some(number) => reply.entry(&LIFETIME, &files.attributes(*number), Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&LIFETIME, &self.0.lock().unwrap().attributes(number.0));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        reply.entry(&LIFETIME, &self.0.lock().unwrap().add(parent, name, None), Generation(0));
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
        if let Some(size) = size {
            files.content(number).resize(size as usize, 0);
        }
        reply.attr(&LIFETIME, &files.attributes(number.0));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(1), FopenFlags::empty());
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        let made = self.0.lock().unwrap().add(parent, name, Some(Vec::new()));
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
        let mut files = self.0.lock().unwrap();
        let value = files.content(number);
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
        let value = files.content(number);
        let end = offset as usize + data.len();
        if value.len() < end {
            value.resize(end, 0);
        }
        value[offset as usize..end].copy_from_slice(data);
        reply.written(data.len() as u32);
    }

    fn readdir(&self, _: &Request, parent: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let files = self.0.lock().unwrap();
        let names = files.names.range((parent.0, OsString::new())..(parent.0 + 1, OsString::new()));
        for (place, ((_, name), number)) in names.enumerate().skip(offset as usize) {
            if reply.add(INodeNo(*number), place as u64 + 1, files.attributes(*number).kind, name) {
                break;
            }
        }
        reply.ok();
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
