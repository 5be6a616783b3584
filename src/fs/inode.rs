//! Inode numbers, and attributes as the kernel wants them.
//!
//! Invariant: an inode number is a node's id, so that it means the same to every daemon that serves this store; the mount's
//! root is number 1, whatever node it is; numbers of control files have the highest bit set, which no node's id has.

use std::time::{Duration, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo};

use crate::access::Kind;
use crate::id::NodeId;
use crate::tree::{Attributes, StagedId};

/// How long the kernel may keep what only changes through it. What changes otherwise is invalidated.
pub(super) const LASTING: Duration = Duration::from_secs(24 * 60 * 60);

/// Never remembered.
pub(super) const FLEETING: Duration = Duration::ZERO;

/// As short as the kernel can have it: until its clock's next tick, a few milliseconds at most. Within that it asks whether who
/// created a file may open it, and most programs ask how long it is.
pub(super) const MOMENT: Duration = Duration::from_nanos(1);

/// Set in the numbers of control files.
pub(super) const CONTROL_BIT: u64 = 1 << 63;

/// Set, beside that, in the numbers of staged entries, where the bit between is not: those are places in the history.
const STAGED_BIT: u64 = 1 << 61;
const STAGED: u64 = CONTROL_BIT | STAGED_BIT;
const KINDS: u64 = CONTROL_BIT | super::places::PLACE_BIT | STAGED_BIT;

/// What an inode number stands for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Inode {
    Node(NodeId),
    Control(u64),
    Staged(StagedId),
}

/// Which node the mount shows as its root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root(pub(super) NodeId);

impl Root {
    pub(super) fn inode(self, number: INodeNo) -> Inode {
        match number {
            INodeNo::ROOT => Inode::Node(self.0),
            INodeNo(number) if number & KINDS == STAGED => Inode::Staged(StagedId(number & !KINDS)),
            INodeNo(number) if number & CONTROL_BIT != 0 => Inode::Control(number & !CONTROL_BIT),
            INodeNo(number) => Inode::Node(NodeId(number)),
        }
    }

    pub(super) fn number(self, inode: Inode) -> INodeNo {
        match inode {
            Inode::Node(id) if id == self.0 => INodeNo::ROOT,
            Inode::Node(id) => INodeNo(id.0),
            Inode::Control(number) => INodeNo(number | CONTROL_BIT),
            Inode::Staged(StagedId(number)) => INodeNo(number | STAGED),
        }
    }

    pub(super) fn attributes(self, attributes: &Attributes) -> FileAttr {
        let permissions = &attributes.permissions;
        FileAttr {
            ino: self.number(Inode::Node(attributes.node)),
            size: attributes.size,
            blocks: attributes.size.div_ceil(512),
            atime: attributes.accessed.into(),
            mtime: attributes.modified.into(),
            ctime: attributes.changed.into(),
            crtime: attributes.created.into(),
            kind: file_type(attributes.kind),
            perm: permissions.mode.bits(),
            nlink: attributes.links,
            uid: permissions.owner.0,
            gid: permissions.group.0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::Directory => FileType::Directory,
        Kind::File => FileType::RegularFile,
    }
}

/// How long attributes may be kept.
pub(super) fn lifetime(attributes: &Attributes) -> Duration {
    if attributes.lasting { LASTING } else { FLEETING }
}

/// The attributes of a name that is not there, which the kernel remembers as such.
pub(super) const NOTHING: FileAttr = FileAttr {
    ino: INodeNo(0),
    size: 0,
    blocks: 0,
    atime: UNIX_EPOCH,
    mtime: UNIX_EPOCH,
    ctime: UNIX_EPOCH,
    crtime: UNIX_EPOCH,
    kind: FileType::RegularFile,
    perm: 0,
    nlink: 0,
    uid: 0,
    gid: 0,
    rdev: 0,
    blksize: 4096,
    flags: 0,
};
