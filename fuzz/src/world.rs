//! A namespace on rows in memory, as it is right after `keyfs mount --create`, and callers of several kinds.
//!
//! Keys and first rows are drawn once for the process: an input takes a copy of the rows, which is what makes thousands of
//! them in a second possible.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use keyfs::audit::{Audit, Process, Sink};
use keyfs::clock::{ManualClock, Timestamp};
use keyfs::id::{Gid, NodeId, Uid};
use keyfs::key::{Name, Tree};
use keyfs::seal::Seal;
use keyfs::seal::identity::Identities;
use keyfs::store::fault::FaultStore;
use keyfs::store::memory::MemoryStore;
use keyfs::store::{Batch, Change, Page, Store};
use keyfs::tree::row::Settings;
use keyfs::tree::{Actor, Limits, Namespace, NewStore, Parts, create_store};

/// How many versions of a key are kept, and the longest value: small, so that an input reaches both.
pub const KEPT: u32 = 3;
pub const LIMIT: u64 = 64 * STEP;

/// What an input's lengths are multiplied by, so that values stand in their node's row and in rows of their own.
pub const STEP: u64 = 5;

pub struct World {
    pub ns: Namespace,
    pub store: Arc<FaultStore<MemoryStore>>,
}

struct Drawn {
    seal: Arc<Seal>,
    rows: Vec<Change>,
}

fn drawn() -> &'static Drawn {
    static DRAWN: OnceLock<Drawn> = OnceLock::new();
    DRAWN.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let identities = Identities::create(&directory.path().join("identity")).expect("an identity");
        let new = NewStore::draw(&identities).expect("keys");
        let store = MemoryStore::new();
        create_store(&store, &new, &identities, (Uid(0), Gid(0)), Timestamp(0)).expect("first rows");
        let rows = rows(&store).into_iter().map(|(key, value)| Change::Put(key, value)).collect();
        Drawn { seal: new.seal, rows }
    })
}

/// All rows of a store, tags included.
pub fn rows(store: &dyn Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let everything = Page { rows: usize::MAX, bytes: usize::MAX };
    let snapshot = store.snapshot().expect("a snapshot");
    let rows = snapshot.scan(&b""[..]..&b"\xff"[..], everything).expect("rows");
    rows.into_iter().map(|(key, row)| (key, row.value)).collect()
}

impl World {
    pub fn new() -> World {
        let Drawn { seal, rows } = drawn();
        let store = Arc::new(FaultStore::new(MemoryStore::new()));
        store.inner().commit(Batch { conditions: Vec::new(), changes: rows.clone() }).expect("first rows");
        World { ns: namespace(store.clone(), seal), store }
    }

    /// Forgets what is in memory, as a daemon that ends and begins anew does.
    pub fn reopen(&mut self) {
        self.ns = namespace(self.store.clone(), &drawn().seal);
    }

    pub fn root(&self, tree: Tree) -> NodeId {
        let environment = self.ns.environment(&name("dev")).expect("an environment");
        self.ns.tree_root(environment, tree).expect("a tree")
    }
}

fn namespace(store: Arc<dyn Store>, seal: &Arc<Seal>) -> Namespace {
    let parts = Parts { store, seal: Arc::clone(seal), settings: Settings { versions: KEPT } };
    let audit = Arc::new(Audit::new(seal.store(), Box::new(Silent)));
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000_000)));
    Namespace::new(parts, audit, clock, Limits { value: LIMIT, lease: Duration::ZERO, ..Limits::default() })
}

struct Silent;

impl Sink for Silent {
    fn append(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).expect("a name")
}

/// A process of one thread. What can't be learnt about its groups is `None`.
#[derive(Clone, Copy, Debug)]
pub struct Who {
    pub uid: u32,
    pub gid: u32,
    pub groups: Option<&'static [Gid]>,
}

pub const CALLERS: [Who; 6] = [
    Who { uid: 0, gid: 0, groups: Some(&[]) },
    Who { uid: 0, gid: 0, groups: Some(&[Gid(20)]) },
    Who { uid: 1, gid: 10, groups: Some(&[Gid(20)]) },
    Who { uid: 1, gid: 30, groups: Some(&[]) },
    Who { uid: 2, gid: 20, groups: None },
    Who { uid: 3, gid: 30, groups: Some(&[Gid(10), Gid(20)]) },
];

impl Actor for Who {
    fn uid(&self) -> Uid {
        Uid(self.uid)
    }
    fn gid(&self) -> Gid {
        Gid(self.gid)
    }
    fn thread(&self) -> u32 {
        100 + 10 * self.uid + self.gid
    }
    fn supplementary(&self) -> Option<&[Gid]> {
        self.groups
    }
    fn process(&self) -> Process {
        Process { pid: self.thread(), uid: self.uid(), gid: self.gid(), executable: None }
    }
    fn shares_process_with(&self, thread: u32) -> bool {
        thread == self.thread()
    }
    fn has_open(&self, _: NodeId) -> bool {
        false
    }
}
