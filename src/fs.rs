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
mod entries;
mod errno;
mod events;
mod handle;
mod inode;
mod invalidate;
mod metrics;
pub mod mount;
mod operations;
mod places;
mod staged;
mod threads;
mod words;
mod xattr;

use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use fuser::{Errno, FileAttr, FileHandle, FileType, INodeNo, Request};

use self::caller::Caller;
use self::dir::{Above, Line, Lines};
use self::events::Watchers;
use self::handle::{Handle, Handles};
use self::inode::{Inode, NOTHING, Root, file_type};
use self::invalidate::Invalidator;
use self::metrics::{Metrics, Operation};
use self::places::Places;
use crate::access::Mode;
use crate::id::{Gid, NodeId, StoreId, Uid};
use crate::key::{Environment, Name};
use crate::tree::{Alteration, AttributeChange, Attributes, Error, Namespace, OpenFile, SetTime};

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

/// What of the control files can't be done.
const CONTROL: Error = Error::NotPermitted("control files are not changed this way");

/// How often a request is taken anew that the store was opened anew beneath.
const TRIES: usize = 16;

/// The adapter of one mount.
struct Adapter {
    namespace: Arc<Namespace>,
    root: Root,
    info: Info,
    handles: Handles,
    places: Places,
    above: Above,
    metrics: Metrics,
    invalidator: Arc<Invalidator>,
    watchers: Arc<Watchers>,
    /// Requests that are being answered.
    busy: Arc<AtomicUsize>,
}

impl Adapter {
    /// Does the work of a request, counts it, and makes an errno of its refusal.
    fn serve<T>(&self, operation: Operation, mut work: impl FnMut() -> Result<T, Error>) -> Result<T, Errno> {
        let started = Instant::now();
        self.busy.fetch_add(1, Ordering::AcqRel);
        let mut tries = 0;
        let outcome = loop {
            tries += 1;
            let outcome = catch_unwind(AssertUnwindSafe(&mut work)).unwrap_or_else(|_| {
                log::error!("a request ({operation:?}) met a fault of keyfs itself; it is answered with EIO");
                Err(Error::Store("a fault of keyfs itself".into()))
            });
            // A full disk has the store opened anew while others read. Only of a write may a part be done already.
            match outcome {
                Err(Error::Superseded) if tries < TRIES && operation != Operation::Write => {}
                outcome => break outcome,
            }
        };
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
            Inode::Control(_) | Inode::Staged(_) => Err(CONTROL),
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
            Inode::Staged(id) => Ok((self.staged_attributes(self.namespace.staged_lookup(id, &name)?), false)),
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
            Some(Handle::Text(_) | Handle::Directory(_) | Handle::Staged(_) | Handle::Events(_)) | None => {
                Err(Error::BadHandle)
            }
        }
    }

    /// The directory above one, as this mount has it.
    fn above(&self, directory: NodeId) -> Result<NodeId, Error> {
        if directory == self.root.0 { Ok(directory) } else { self.namespace.above(directory) }
    }

    fn lines(&self, request: &Request, number: INodeNo, handle: FileHandle, offset: u64) -> Result<Arc<Lines>, Error> {
        let handle = self.handles.get(handle).ok_or(Error::BadHandle)?;
        let Handle::Directory(listing) = &*handle else { return Err(Error::BadHandle) };
        listing.lines(offset, || {
            let own = self.root.inode(number);
            let above = match own {
                Inode::Node(id) => {
                    let above = self.above(id)?;
                    self.above.listed(id, above);
                    Inode::Node(above)
                }
                Inode::Staged(id) => self.above_staged(id)?,
                own => own,
            };
            let dot = |name: &str, inode| Line { name: name.into(), inode, kind: FileType::Directory };
            let mut lines = vec![dot(".", own), dot("..", above)];
            match own {
                Inode::Control(number) => lines.extend(self.control_list(&Caller::of(request), number)?),
                Inode::Staged(id) => lines.extend(self.staged_lines(id)?),
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
            (_, Inode::Staged(id)) => Some((self.staged_attributes((id, self.namespace.staged(id).ok()?)), false)),
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
                    file.written_by(&caller);
                    self.namespace.truncate(&file, length)?;
                    size = Some(file.size());
                }
                None => self.namespace.truncate_closed(&caller, id, length)?,
            }
        }
        let SetAttr { mode, owner, group, accessed, modified, .. } = change;
        let permissions = mode.is_some() || owner.is_some() || group.is_some();
        if permissions || accessed.is_some() || modified.is_some() {
            self.namespace.alter(
                &caller,
                id,
                Alteration::Set(AttributeChange { mode, owner, group, accessed, modified }),
            )?;
        }
        if permissions {
            self.invalidator.permissions(self.root.number(Inode::Node(id)));
        }
        let attributes = self.namespace.attributes(&caller, id)?;
        Ok(Attributes { size: size.unwrap_or(attributes.size), ..attributes })
    }
}

/// What SETATTR may change.
#[derive(Clone, Copy)]
struct SetAttr {
    size: Option<u64>,
    mode: Option<Mode>,
    owner: Option<Uid>,
    group: Option<Gid>,
    accessed: Option<SetTime>,
    modified: Option<SetTime>,
}

impl std::fmt::Debug for Adapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Adapter({})", self.info.mount_point.display())
    }
}
