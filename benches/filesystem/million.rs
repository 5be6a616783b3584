//! A store of very many keys, made by writing its rows in large batches: through a mount a million keys take half an hour.
//!
//! What is made is what a daemon would have made: every row with its tag, the ledger over all of them, node ids that are random and
//! so spread over the file, directories of [`PER_DIRECTORY`] keys. `keyfs check` finds nothing in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use keyfs::access::{Kind, Mode, Permissions};
use keyfs::clock::{Clock, SystemClock, Timestamp};
use keyfs::id::{Gid, NodeId, Uid};
use keyfs::key::{Name, Tree};
use keyfs::seal::identity::Identities;
use keyfs::seal::{Seal, TAG_BYTES};
use keyfs::store::redb::RedbStore;
use keyfs::store::{Batch, Change, Store};
use keyfs::tree::row::{Current, Entry, Held, Node, Place, Small, Times, key};
use keyfs::tree::{NewStore, create_store};

/// How many keys stand in one directory.
pub const PER_DIRECTORY: usize = 10_000;

/// The value of every key, in bytes.
pub const VALUE_BYTES: usize = 100;

/// The directory of a key, and its name there: `prod/variables/service-0042/setting-0424242`.
pub fn place(number: usize) -> (String, String) {
    (format!("service-{:04}", number / PER_DIRECTORY), format!("setting-{number:07}"))
}

/// A key's value.
pub fn value(number: usize) -> Vec<u8> {
    let mut value = format!("value of {number:07}; ").into_bytes().repeat(VALUE_BYTES / 20 + 1);
    value.truncate(VALUE_BYTES);
    value
}

/// Bytes of all keys and values, a key counted from its tree's root.
pub fn data_bytes(keys: usize) -> u64 {
    let (directory, name) = place(0);
    (keys * (directory.len() + 1 + name.len() + VALUE_BYTES)) as u64
}

/// Makes an identity and a store of so many variables in `prod`, in files that are not there yet.
pub fn build(store: &Path, identity: &Path, keys: usize) {
    let identities = Identities::create(identity).unwrap();
    let new = NewStore::draw(&identities).unwrap();
    identities.remember(new.id, &new.key.fingerprint(new.id)).unwrap();
    let rows = RedbStore::create(store).unwrap();
    rows.start_ledger(Arc::clone(&new.seal) as Arc<_>).unwrap();
    let now = SystemClock.now();
    create_store(&rows, &new, &identities, (Uid(0), Gid(0)), now).unwrap();
    let mut builder = Builder { rows: &rows, seal: &new.seal, now, random: 1 };
    let root = builder.variables();
    for first in (0..keys).step_by(PER_DIRECTORY) {
        builder.directory(root, first..keys.min(first + PER_DIRECTORY));
    }
}

struct Builder<'a> {
    rows: &'a RedbStore,
    seal: &'a Seal,
    now: Timestamp,
    random: u64,
}

impl Builder<'_> {
    /// A node id of the range that a daemon draws from.
    fn draw(&mut self) -> NodeId {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        NodeId(((z ^ (z >> 31)) & i64::MAX as u64) | NodeId::FIRST_RANDOM)
    }

    fn row(&self, key: &[u8]) -> Vec<u8> {
        let mut value = self.rows.snapshot().unwrap().get(key).unwrap().unwrap().value;
        value.truncate(value.len() - TAG_BYTES);
        value
    }

    fn put(&self, changes: &mut Vec<Change>, key: Vec<u8>, mut content: Vec<u8>) {
        self.seal.authenticate(&key, &mut content);
        changes.push(Change::Put(key, content));
    }

    /// The root of the variables of `prod`.
    fn variables(&self) -> NodeId {
        ["prod", Tree::Variables.as_str()].into_iter().fold(NodeId::ROOT, |parent, name| {
            let name = Name::parse(name.as_bytes()).unwrap();
            Entry::decode(&self.row(&key::entry(parent, &name))).unwrap().node
        })
    }

    fn node(&self, kind: Kind, tree: NodeId, parent: NodeId, name: &str) -> Node {
        let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
        Node {
            kind,
            place: Place::In(Tree::Variables, tree),
            parent,
            name: Some(Name::parse(name.as_bytes()).unwrap()),
            removed: false,
            permissions: Permissions::new(Uid(0), Gid(0), Mode::from_bits(mode)),
            accessed: self.now,
            modified: self.now,
            changed: self.now,
            created: self.now,
            expires: None,
            notes: BTreeMap::new(),
            directories: 0,
            value: None,
        }
    }

    /// One directory with its keys, in one commit.
    fn directory(&mut self, root: NodeId, keys: std::ops::Range<usize>) {
        let mut changes = Vec::new();
        let mut above = Node::decode(&self.row(&key::node(root))).unwrap();
        above.directories += 1;
        self.put(&mut changes, key::node(root), above.encode());
        let (id, called) = (self.draw(), place(keys.start).0);
        let directory = self.node(Kind::Directory, root, root, &called);
        let times = Times { modified: self.now, changed: self.now };
        self.put(&mut changes, key::times(id), times.encode());
        self.put(&mut changes, key::entry(root, directory.name.as_ref().unwrap()), entry(Kind::Directory, id));
        self.put(&mut changes, key::node(id), directory.encode());
        for number in keys {
            let (file, content) = (self.draw(), value(number));
            let mut node = self.node(Kind::File, root, id, &place(number).1);
            // It is stored a little later than it is made.
            let at = Timestamp(self.now.0 + 100_000);
            (node.modified, node.changed) = (at, at);
            let small = Small { by: Uid(0), by_group: Gid(0), at, content };
            node.value = Some(Current { own: 1, before: None, held: Held::Here(small) });
            self.put(&mut changes, key::entry(id, node.name.as_ref().unwrap()), entry(Kind::File, file));
            self.put(&mut changes, key::node(file), node.encode());
        }
        self.rows.commit(Batch { conditions: Vec::new(), changes }).unwrap();
    }
}

fn entry(kind: Kind, node: NodeId) -> Vec<u8> {
    Entry { kind, node }.encode()
}
