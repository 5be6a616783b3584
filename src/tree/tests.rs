//! The tree without a mount: on rows in memory, with a clock that is set by hand and an audit log that can fail.

mod abuse;
mod closing;
mod events;
mod faults;
mod history;
mod names;
mod permissions;
mod small;
mod staging;
mod tampering;
mod together;
mod verify;
mod writing;

use std::cell::Cell;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use super::*;
use crate::audit::Sink;
use crate::clock::{ManualClock, Timestamp};
use crate::key::{Name, Tree};
use crate::seal::identity::Identities;
use crate::store::fault::FaultStore;
use crate::store::memory::MemoryStore;

/// A log in memory, and whether it fails.
#[derive(Clone, Default)]
pub(super) struct Paper(Arc<Mutex<(Vec<u8>, bool)>>);

impl Paper {
    fn fail(&self, fail: bool) {
        self.0.lock().unwrap().1 = fail;
    }

    /// Takes what was written: `event key` of each line.
    fn take(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut self.0.lock().unwrap().0)).unwrap();
        let line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            format!("{} {}", line["event"].as_str().unwrap(), line["key"].as_str().unwrap_or("?"))
        };
        text.lines().map(line).collect()
    }
}

impl Sink for Paper {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut paper = self.0.lock().unwrap();
        if paper.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        paper.0.extend_from_slice(lines);
        Ok(())
    }
}

/// A process of one thread.
#[derive(Debug)]
pub(super) struct Who {
    uid: u32,
    gid: u32,
    groups: Option<Vec<Gid>>,
    thread: u32,
    family: Vec<u32>,
    has_open: Cell<bool>,
    overrides: bool,
}

impl Who {
    fn new(uid: u32, gid: u32, groups: &[u32]) -> Who {
        let groups = Some(groups.iter().copied().map(Gid).collect());
        Who {
            uid,
            gid,
            groups,
            thread: 1000 + uid,
            family: Vec::new(),
            has_open: Cell::new(false),
            overrides: uid == 0,
        }
    }

    fn thread(self, thread: u32) -> Who {
        Who { thread, ..self }
    }
}

impl Actor for Who {
    fn uid(&self) -> Uid {
        Uid(self.uid)
    }
    fn gid(&self) -> Gid {
        Gid(self.gid)
    }
    fn thread(&self) -> u32 {
        self.thread
    }
    fn supplementary(&self) -> Option<&[Gid]> {
        self.groups.as_deref()
    }
    fn process(&self) -> Process {
        Process { pid: self.thread, uid: self.uid(), gid: self.gid(), executable: None }
    }
    fn shares_process_with(&self, thread: u32) -> bool {
        thread == self.thread || self.family.contains(&thread)
    }
    fn has_open(&self, _: NodeId) -> bool {
        self.has_open.get()
    }
    fn overrides(&self) -> bool {
        self.overrides
    }
}

pub(super) const READ: OpenMode = OpenMode { read: true, write: false, append: false, truncate: false };
pub(super) const WRITE: OpenMode = OpenMode { read: false, write: true, append: false, truncate: false };
pub(super) const REWRITE: OpenMode = OpenMode { read: false, write: true, append: false, truncate: true };
pub(super) const APPEND: OpenMode = OpenMode { read: false, write: true, append: true, truncate: false };
pub(super) const UPDATE: OpenMode = OpenMode { read: true, write: true, append: false, truncate: false };

pub(super) fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

pub(super) fn mode(bits: u32) -> Mode {
    Mode::from_bits(bits)
}

/// A store with its namespace, and everything around it in hand.
pub(super) struct World {
    ns: Namespace,
    store: Arc<FaultStore<MemoryStore>>,
    seal: Arc<Seal>,
    paper: Paper,
    clock: Arc<ManualClock>,
}

fn identities() -> &'static Identities {
    static IDENTITIES: OnceLock<Identities> = OnceLock::new();
    IDENTITIES.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        Identities::create(&directory.path().join("identity")).unwrap()
    })
}

pub(super) fn root() -> Who {
    Who::new(0, 0, &[])
}

impl World {
    fn new() -> World {
        World::limited(Limits { lease: Duration::ZERO, ..Limits::default() })
    }

    fn limited(limits: Limits) -> World {
        World::keeping(Settings { versions: 10 }, limits)
    }

    fn keeping(settings: Settings, limits: Limits) -> World {
        let store = Arc::new(FaultStore::new(MemoryStore::new()));
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2027-01-01T00:00:00Z").unwrap()));
        let new = NewStore::draw(identities()).unwrap();
        create_store(&*store, &new, identities(), (Uid(0), Gid(0)), clock.now()).unwrap();
        let parts = unlock(store.clone(), identities(), &new.key.fingerprint(new.id)).unwrap();
        let parts = Parts { settings, ..parts };
        let (paper, seal) = (Paper::default(), parts.seal.clone());
        let audit = Arc::new(Audit::new(new.id, Box::new(paper.clone())));
        World { ns: Namespace::new(parts, audit, clock.clone(), limits), store, seal, paper, clock }
    }

    /// What a look at all rows finds.
    fn findings(&self) -> Vec<String> {
        let parts = Parts { store: self.store.clone(), seal: self.seal.clone(), settings: self.ns.settings };
        let mut found = Vec::new();
        super::verify(&parts, &mut |finding| found.push(format!("{:?} {finding}", finding.severity))).unwrap();
        found
    }

    fn root(&self, environment: &str, tree: Tree) -> NodeId {
        self.ns.tree_root(self.ns.environment(&name(environment)).unwrap(), tree).unwrap()
    }

    /// The directory and the name of a path such as `dev/secrets/a/b`.
    fn seat(&self, path: &str) -> (NodeId, Name) {
        let (above, last) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = if above.is_empty() { NodeId::ROOT } else { self.at(above).unwrap().node };
        (parent, name(last))
    }

    fn at(&self, path: &str) -> Result<Attributes, Error> {
        let mut id = NodeId::ROOT;
        let mut found = self.ns.attributes(&root(), id)?;
        for part in path.split('/') {
            found = self.ns.lookup(id, &name(part))?;
            id = found.node;
        }
        Ok(found)
    }

    fn mkdir(&self, who: &Who, path: &str) -> Result<Attributes, Error> {
        let (parent, name) = self.seat(path);
        self.ns.make_directory(who, parent, &name, mode(0o755), mode(0o022))
    }

    fn create(&self, who: &Who, path: &str, bits: u32, how: OpenMode) -> Result<Arc<OpenFile>, Error> {
        let (parent, name) = self.seat(path);
        Ok(self.ns.create(who, parent, &name, (mode(bits), mode(0)), how, false)?.1)
    }

    fn close(&self, who: &Who, file: &Arc<OpenFile>) -> Result<(), Error> {
        let answer = self.ns.flush(who, file);
        self.ns.release(file);
        answer
    }

    /// As `echo -n value > path`, with 0640 where it is new.
    fn put(&self, who: &Who, path: &str, value: &[u8]) -> Result<(), Error> {
        let file = self.create(who, path, 0o640, REWRITE)?;
        let written = self.ns.write(&file, 0, value);
        self.close(who, &file).and(written)
    }

    fn read(&self, who: &Who, file: &OpenFile) -> Result<Vec<u8>, Error> {
        self.ns.read(who, file, 0, u32::MAX, <[u8]>::to_vec)
    }

    fn get(&self, who: &Who, path: &str) -> Result<Vec<u8>, Error> {
        let file = self.ns.open(who, self.at(path)?.node, READ)?;
        let answer = self.read(who, &file);
        self.ns.release(&file);
        answer
    }

    fn rm(&self, who: &Who, path: &str) -> Result<NodeId, Error> {
        let (parent, name) = self.seat(path);
        self.ns.remove_file(who, parent, &name)
    }

    fn rmdir(&self, who: &Who, path: &str) -> Result<NodeId, Error> {
        let (parent, name) = self.seat(path);
        self.ns.remove_directory(who, parent, &name)
    }

    fn mv(&self, who: &Who, from: &str, to: &str, how: RenameMode) -> Result<(), Error> {
        let (from, to) = (self.seat(from), self.seat(to));
        self.ns.rename(who, (from.0, &from.1), (to.0, &to.1), how)
    }

    fn version(&self, path: &str) -> u64 {
        self.ns.version(self.at(path).unwrap().node).unwrap().unwrap().0
    }

    fn split(&self, path: &str) -> (NodeId, Vec<Name>) {
        let parts: Vec<&str> = path.split('/').collect();
        (self.root(parts[0], Tree::parse(parts[1]).unwrap()), parts[2..].iter().map(|part| name(part)).collect())
    }

    /// The numbers of the versions that the history has of a key.
    fn versions(&self, who: &Who, path: &str) -> Vec<u64> {
        let (root, names) = self.split(path);
        self.ns.past(who, root, &names).unwrap().versions.iter().map(|past| past.version.0).collect()
    }

    fn old(&self, who: &Who, path: &str, version: u64) -> Result<Vec<u8>, Error> {
        let (root, names) = self.split(path);
        let file = self.ns.open_version(who, root, &names, Version(version))?;
        let answer = self.read(who, &file);
        self.ns.release(&file);
        answer
    }

    fn chmod(&self, who: &Who, path: &str, bits: u32) -> Result<(), Error> {
        let change = AttributeChange { mode: Some(mode(bits)), ..AttributeChange::default() };
        self.ns.alter(who, self.at(path).unwrap().node, Alteration::Set(change))
    }

    fn chgrp(&self, who: &Who, path: &str, group: u32) -> Result<(), Error> {
        let change = AttributeChange { group: Some(Gid(group)), ..AttributeChange::default() };
        self.ns.alter(who, self.at(path).unwrap().node, Alteration::Set(change))
    }
}

macro_rules! refused {
    ($answer:expr, $error:pat) => {
        match $answer {
            Err($error) => {}
            other => panic!("{:?} instead of {}", other.map(drop), stringify!($error)),
        }
    };
}
use refused;
