//! A namespace in this process, without a mount: how proofs about the store's file drive it, and how they look at one again.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use keyfs::access::Mode;
use keyfs::audit::{Audit, Process, Sink};
use keyfs::clock::{ManualClock, Timestamp};
use keyfs::id::{Gid, NodeId, Uid};
use keyfs::key::Name;
use keyfs::seal::Fingerprint;
use keyfs::seal::identity::Identities;
use keyfs::store::Store;
use keyfs::tree::{
    self, Actor, Alteration, AttributeChange, Error, Limits, Namespace, NewStore, Note, OpenMode, Parts, RenameMode,
    unlock,
};

/// The superuser, in a group of its own.
pub struct Who;

impl Actor for Who {
    fn uid(&self) -> Uid {
        Uid(0)
    }
    fn gid(&self) -> Gid {
        Gid(0)
    }
    fn thread(&self) -> u32 {
        1
    }
    fn supplementary(&self) -> Option<&[Gid]> {
        Some(&[])
    }
    fn process(&self) -> Process {
        Process { pid: 1, uid: self.uid(), gid: self.gid(), executable: None }
    }
    fn shares_process_with(&self, _: u32) -> bool {
        true
    }
    fn has_open(&self, _: NodeId) -> bool {
        false
    }
}

/// One identity for all stores of a run: making one takes a file.
pub fn identities() -> &'static Identities {
    static IDENTITIES: OnceLock<Identities> = OnceLock::new();
    IDENTITIES.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        Identities::create(&directory.path().join("identity")).unwrap()
    })
}

/// An audit log in memory.
#[derive(Clone, Default)]
pub struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    /// How many records of something that was not what had been stored are in it.
    pub fn tampered(&self) -> usize {
        let lines = self.0.lock().unwrap();
        String::from_utf8_lossy(&lines).lines().filter(|line| line.contains(r#""event":"tampered""#)).count()
    }
}

impl Sink for Paper {
    fn append(&mut self, lines: &[u8]) -> std::io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(lines);
        Ok(())
    }
}

/// The keys of a new store, whose first rows are yet to be written.
pub fn draw() -> NewStore {
    NewStore::draw(identities()).unwrap()
}

/// Writes a store's first rows.
pub fn begin(store: &dyn Store, new: &NewStore) {
    tree::create_store(store, new, identities(), (Uid(0), Gid(0)), Timestamp(0)).unwrap();
}

/// See the module.
pub struct World {
    pub ns: Namespace,
    pub paper: Paper,
}

const READ: OpenMode = OpenMode { read: true, write: false, append: false, truncate: false };

impl World {
    pub fn over(store: Arc<dyn Store>, fingerprint: &Fingerprint) -> World {
        World::of(unlock(store, identities(), fingerprint).unwrap())
    }

    pub fn of(parts: Parts) -> World {
        let paper = Paper::default();
        let audit = Arc::new(Audit::new(parts.seal.store(), Box::new(paper.clone())));
        let limits = Limits { value: 1 << 20, lease: Duration::ZERO, ..Limits::default() };
        World { ns: Namespace::new(parts, audit, Arc::new(ManualClock::new(Timestamp(1 << 60))), limits), paper }
    }

    pub fn find(&self, path: &str) -> Result<NodeId, Error> {
        path.split('/').try_fold(NodeId::ROOT, |id, part| Ok(self.ns.lookup(id, &name(part))?.node))
    }

    fn seat(&self, path: &str) -> Result<(NodeId, Name), Error> {
        let (above, last) = path.rsplit_once('/').unwrap();
        Ok((self.find(above)?, name(last)))
    }

    pub fn put(&self, path: &str, value: &[u8]) -> Result<(), Error> {
        let (parent, name) = self.seat(path)?;
        let how = OpenMode { read: false, write: true, append: false, truncate: true };
        let modes = (Mode::from_bits(0o640), Mode::from_bits(0));
        let (_, file) = self.ns.create(&Who, parent, &name, modes, how, false)?;
        let written = self.ns.write(&file, 0, value);
        let flushed = self.ns.flush(&Who, &file);
        self.ns.release(&file);
        written.and(flushed)
    }

    pub fn get(&self, path: &str) -> Result<Vec<u8>, Error> {
        let file = self.ns.open(&Who, self.find(path)?, READ)?;
        let value = self.ns.read(&Who, &file, 0, u32::MAX, <[u8]>::to_vec);
        self.ns.release(&file);
        value
    }

    pub fn mkdir(&self, path: &str) -> Result<(), Error> {
        let (parent, name) = self.seat(path)?;
        self.ns.make_directory(&Who, parent, &name, Mode::from_bits(0o755), Mode::from_bits(0)).map(drop)
    }

    pub fn rm(&self, path: &str) -> Result<(), Error> {
        let (parent, name) = self.seat(path)?;
        self.ns.remove_file(&Who, parent, &name).map(drop)
    }

    pub fn rmdir(&self, path: &str) -> Result<(), Error> {
        let (parent, name) = self.seat(path)?;
        self.ns.remove_directory(&Who, parent, &name).map(drop)
    }

    pub fn mv(&self, from: &str, to: &str, how: RenameMode) -> Result<(), Error> {
        let (from, to) = (self.seat(from)?, self.seat(to)?);
        self.ns.rename(&Who, (from.0, &from.1), (to.0, &to.1), how)
    }

    pub fn chmod(&self, path: &str, mode: u32) -> Result<(), Error> {
        let change = AttributeChange { mode: Some(Mode::from_bits(mode)), ..AttributeChange::default() };
        self.ns.alter(&Who, self.find(path)?, Alteration::Set(change))
    }

    pub fn note(&self, path: &str, value: &[u8]) -> Result<(), Error> {
        self.ns.alter(&Who, self.find(path)?, Alteration::Note(b"note", value, Note::Set))
    }
}

pub fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}
