//! What holds of the rows of every store, between any two operations, stated again and without the tree's own code.

use std::collections::{BTreeMap, BTreeSet};

use keyfs::access::{Caller, Kind, Rights};
use keyfs::id::NodeId;
use keyfs::key::Name;
use keyfs::seal::TAG_BYTES;
use keyfs::tree::Error;
use keyfs::tree::row::{self, Entry, Held, Node, Place, SMALL, Times, Value, key};

use super::super::world::{CALLERS, KEPT, Who, World, rows};
use super::read;

#[derive(Default)]
struct Rows {
    nodes: BTreeMap<u64, Node>,
    times: BTreeSet<u64>,
    entries: BTreeMap<(u64, Name), Entry>,
    values: BTreeMap<(u64, u64), Value>,
    history: Vec<NodeId>,
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes"))
}

impl Rows {
    fn of(world: &World) -> Rows {
        let mut all = Rows::default();
        for (key, mut row) in rows(world.store.inner()) {
            row.truncate(row.len() - TAG_BYTES);
            match key.split_first_chunk() {
                Some((b"n/", id)) => drop(all.nodes.insert(number(id), Node::decode(&row).expect("a node"))),
                Some((b"t/", id)) => {
                    Times::decode(&row).expect("times");
                    all.times.insert(number(id));
                }
                Some((b"d/", rest)) => {
                    let name = key::entry_name(&key).expect("a name");
                    all.entries.insert((number(rest), name), Entry::decode(&row).expect("an entry"));
                }
                Some((b"v/", rest)) => {
                    all.values.insert((number(rest), number(&rest[9..])), Value::decode(&row).expect("a version"));
                }
                Some((b"h/", _)) => all.history.push(row::decode_history(&row).expect("a node's number")),
                _ => {}
            }
        }
        all
    }

    fn directory(&self, id: u64) -> &Node {
        let node = self.nodes.get(&id).expect("the directory is there");
        assert!(node.kind == Kind::Directory && !node.removed);
        node
    }

    /// Each entry leads to its node, which names it; none has two; every chain of parents ends at the root.
    fn names(&self) {
        let mut named = BTreeSet::from([NodeId::ROOT.0]);
        for ((parent, name), entry) in &self.entries {
            self.directory(*parent);
            let node = self.nodes.get(&entry.node.0).expect("an entry's node is there");
            assert_eq!((node.parent.0, node.name.as_ref(), node.kind), (*parent, Some(name), entry.kind));
            assert!(!node.removed, "an entry leads to what was removed");
            assert!(named.insert(entry.node.0), "two names for one node");
            let mut above = *parent;
            for depth in 0.. {
                if above == NodeId::ROOT.0 {
                    break;
                }
                assert!(depth < 50, "a cycle");
                above = self.directory(above).parent.0;
            }
        }
        for (id, node) in &self.nodes {
            assert_eq!(!node.removed, named.contains(id), "a node is named or removed: {node:?}");
            assert_eq!(node.kind == Kind::Directory, self.times.contains(id), "a directory has times");
            if let (Place::In(_, root), false) = (node.place, node.removed) {
                let above = self.directory(node.parent.0).place;
                assert!(above == node.place || (root.0 == *id && above == Place::Environment), "{node:?}");
            }
        }
        assert!(self.times.iter().all(|id| self.nodes.contains_key(id)));
    }

    fn counts(&self) {
        let mut held: BTreeMap<u64, u32> = BTreeMap::new();
        for ((parent, _), entry) in &self.entries {
            *held.entry(*parent).or_default() += u32::from(entry.kind == Kind::Directory);
        }
        for (id, node) in self.nodes.iter().filter(|(_, node)| node.kind == Kind::Directory) {
            assert_eq!(node.directories, held.get(id).copied().unwrap_or_default(), "directories in {node:?}");
        }
    }

    fn values(&self) {
        for (id, node) in self.nodes.iter().filter(|(_, node)| node.kind == Kind::File) {
            let current = node.value.as_ref().expect("what is stored has a value");
            let mut kept = self.values.range((*id, 0)..(id + 1, 0)).count();
            match &current.held {
                Held::Apart(size) => {
                    let value = self.values.get(&(*id, current.own)).expect("its present version is there");
                    assert_eq!((value.size, value.sealed), (*size, node.place.is_secret()));
                    if !node.removed {
                        assert_eq!(value.permissions, node.permissions, "a version has its entry's permissions");
                    }
                }
                Held::Here(_) => {
                    kept += 1;
                    assert!(!self.values.contains_key(&(*id, current.own)), "a version stands in one place");
                    let before = self.values.range((*id, 0)..(*id, current.own)).map(|(_, value)| value.size);
                    assert!(before.max().is_none_or(|size| size <= SMALL as u64), "none after a large one stands here");
                }
            }
            assert!(kept as u32 <= KEPT, "{kept} versions are kept");
            let list = node.permissions.access_acl();
            let closed = list.users().is_empty() && list.other().is_empty();
            assert!(closed || !node.place.is_secret(), "a secret's rights for users or for other");
        }
        for (id, own) in self.values.keys() {
            let node = self.nodes.get(id).expect("a version's node is there");
            assert!(node.value.as_ref().is_some_and(|current| *own <= current.own), "a version beyond the present one");
        }
        for node in &self.history {
            let node = self.nodes.get(&node.0).expect("the history's node is there");
            assert!(node.removed && node.kind == Kind::File, "{node:?}");
        }
    }
}

/// Every row, and that what the tree lists is what they say.
pub fn whole(world: &World) {
    let all = Rows::of(world);
    all.names();
    all.counts();
    all.values();
    for ((parent, name), entry) in &all.entries {
        assert_eq!(world.ns.lookup(NodeId(*parent), name).expect("an entry").node, entry.node);
    }
    for (id, _) in all.nodes.iter().filter(|(_, node)| node.kind == Kind::Directory) {
        let listed = world.ns.list(NodeId(*id)).expect("a list");
        assert!(listed.is_sorted_by(|one, other| one.name < other.name));
        let stored = all.entries.iter().filter(|((parent, _), _)| parent == id).count();
        // Those that are not stored yet can be looked up all the same.
        assert!(listed.len() >= stored);
        for line in listed {
            assert_eq!(world.ns.lookup(NodeId(*id), &line.name).expect("what is listed").node, line.node);
        }
    }
}

/// The gate's rule, stated again: who is let in with the permissions in force.
fn lets_in(world: &World, who: &Who, node: NodeId) -> bool {
    let permissions = world.ns.permissions(node).expect("permissions");
    let list = permissions.access_acl();
    let mask = list.mask().unwrap_or(Rights::ALL);
    let reads = |rights: Rights| (rights & mask).contains(Rights::READ);
    let caller = Caller { uid: keyfs::id::Uid(who.uid), gid: keyfs::id::Gid(who.gid), supplementary: who.groups };
    caller.known_groups().any(|group| {
        let owner = caller.uid == permissions.owner && list.user_obj().contains(Rights::READ);
        group == permissions.group && (reads(list.group_obj()) || owner) || list.group(group).is_some_and(reads)
    })
}

/// That a secret is opened for those alone whom the rule lets in, and a variable for anybody.
pub fn gate(world: &World, node: NodeId) {
    let secret = matches!(world.ns.tree_of(node), Ok(Some(keyfs::key::Tree::Secrets)));
    for who in &CALLERS {
        match read(world, who, node) {
            Ok(value) => assert!(!secret || value.is_empty() || lets_in(world, who, node), "{who:?} was let in"),
            Err(Error::Gate(_)) => assert!(secret && !lets_in(world, who, node), "{who:?} was kept out"),
            Err(Error::IsADirectory) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
