//! Whether a store's rows are what a daemon leaves: every tag, every record, and everything that the rows promise each other.
//!
//! Invariants:
//! - Nothing is written, and no value leaves: a record is opened to see that it opens, and what was in it is dropped.
//! - One row that can't be read hides no other.
//! - It holds some fifty bytes for each directory and for each removed key that is in the history, and one page of rows.
//!
//! It deliberately compares no ledger and no pages: the store below does. It mends nothing.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::row::{
    self, Before, Current, Entry, Format, Held, Malformed, Node, Place, SMALL, Settings, Times, Value, key,
};
use super::view::DEEPEST;
use super::{Parts, attributes, is_tree_root};
use crate::access::{Kind, gate};
use crate::id::{NodeId, Version};
use crate::key::{Environment, Name, Tree};
use crate::seal::{Binding, Seal, SealError};
use crate::store::{Page, Row, Snapshot, StoreError};

/// Past every name of a row.
const END: [u8; 8192] = [0xff; 8192];

/// What is wrong in one place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The entry's path as people name it, such as `prod/secrets/db/password`; where none leads there, the row.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// How bad it is.
    pub severity: Severity,
}

/// What a finding means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The rows are not those that a daemon leaves.
    Damage,
    /// Something that nothing leads to any longer takes room. It does no harm.
    Leftover,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// What was looked at, and what was found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Verified {
    /// Rows.
    pub rows: u64,
    /// Environments.
    pub environments: u64,
    /// Directories, without the environments and the roots of their trees.
    pub directories: u64,
    /// Keys that are there, in trees of variables.
    pub variables: u64,
    /// The same, in trees of secrets.
    pub secrets: u64,
    /// Keys that were removed or replaced, and are in the history.
    pub removed: u64,
    /// Versions of values.
    pub versions: u64,
    /// Sealed records that opened.
    pub records: u64,
    /// Findings that are damage.
    pub damage: u64,
    /// Findings that are no damage.
    pub leftovers: u64,
}

/// Looks at every row of an unlocked store, and shows each finding as it comes.
///
/// Reads each row about twice: a minute for some million keys.
pub fn verify(parts: &Parts, show: &mut dyn FnMut(Finding)) -> Result<Verified, StoreError> {
    let snapshot = parts.store.snapshot()?;
    let mut check = Check {
        snapshot: &*snapshot,
        seal: &parts.seal,
        settings: parts.settings,
        show,
        seen: Verified::default(),
        directories: HashMap::new(),
        connected: HashSet::from([NodeId::ROOT]),
        led_to: HashMap::new(),
        removed: Vec::new(),
    };
    // In the order of their names, rows of entries and of the history stand before those of nodes.
    let mut from = Vec::new();
    let mut group = Group::default();
    loop {
        let rows = snapshot.scan(from.as_slice()..&END[..], Page { rows: 1024, bytes: 1 << 20 })?;
        let Some((last, _)) = rows.last() else { break };
        from = last.clone();
        from.push(0);
        for (key, row) in rows {
            check.row(&mut group, &key, row)?;
        }
    }
    check.end_group(&mut group)?;
    check.end()?;
    Ok(check.seen)
}

/// A row that could not be believed.
enum Unread {
    /// There is none.
    Missing,
    /// Its tag or its content is wrong, which is told where the row itself stands.
    Spoiled,
}

/// Rows that stand one after the other and belong to one node: a directory's entries, a file's versions.
#[derive(Default)]
struct Group {
    id: Option<NodeId>,
    prefix: u8,
    node: Option<Node>,
    /// Of entries, those that are directories.
    directories: u32,
    /// Of versions, the first and the last.
    versions: Option<(u64, u64)>,
}

struct Check<'a> {
    snapshot: &'a dyn Snapshot,
    seal: &'a Seal,
    settings: Settings,
    show: &'a mut dyn FnMut(Finding),
    seen: Verified,
    /// How many directories those directories hold that hold any.
    directories: HashMap<NodeId, u32>,
    /// Directories from which the root is reached.
    connected: HashSet<NodeId>,
    /// How often a removed key is led to, from the history or from its successor.
    led_to: HashMap<NodeId, u8>,
    /// Each removed key, with the root of its tree.
    removed: Vec<(NodeId, NodeId)>,
}

type Checked = Result<(), StoreError>;

impl Check<'_> {
    fn tell(&mut self, severity: Severity, place: String, what: impl Into<String>) {
        match severity {
            Severity::Damage => self.seen.damage += 1,
            Severity::Leftover => self.seen.leftovers += 1,
        }
        (self.show)(Finding { place, what: what.into(), severity });
    }

    /// Damage in a row.
    fn at_row(&mut self, key: &[u8], what: impl Into<String>) {
        self.tell(Severity::Damage, format!("row {}", key.escape_ascii()), what);
    }

    /// Damage of a node.
    fn at_node(&mut self, id: NodeId, node: &Node, what: impl Into<String>) -> Checked {
        let place = self.path(id, node)?;
        self.tell(Severity::Damage, place, what);
        Ok(())
    }

    /// A node's path, as far as one leads there.
    fn path(&self, id: NodeId, node: &Node) -> Result<String, StoreError> {
        let mut names = Vec::new();
        let (mut at, mut node) = (id, node.clone());
        for _ in 0..DEEPEST {
            if at == NodeId::ROOT {
                names.reverse();
                return Ok(if names.is_empty() { "the root".into() } else { names.join("/") });
            }
            names.push(node.name.as_ref().map_or("?", Name::as_str).to_owned());
            at = node.parent;
            match self.node(at)? {
                Ok(above) => node = above,
                Err(_) => break,
            }
        }
        names.truncate(8);
        names.reverse();
        Ok(format!("node {id} (…/{})", names.join("/")))
    }

    fn read<T>(
        &self,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Result<T, Unread>, StoreError> {
        let Some(mut row) = self.snapshot.get(key)? else { return Ok(Err(Unread::Missing)) };
        if self.seal.verify(key, &mut row.value).is_err() {
            return Ok(Err(Unread::Spoiled));
        }
        Ok(decode(&row.value).map_err(|Malformed| Unread::Spoiled))
    }

    fn node(&self, id: NodeId) -> Result<Result<Node, Unread>, StoreError> {
        self.read(&key::node(id), Node::decode)
    }

    fn row(&mut self, group: &mut Group, key: &[u8], mut row: Row) -> Checked {
        self.seen.rows += 1;
        if row.revision > self.snapshot.revision() {
            self.at_row(key, "it is of a later revision than the store");
        }
        let prefix = key.split(|&byte| byte == b'/').next().unwrap_or_default();
        let id = key.get(2..10).and_then(|id| id.try_into().ok()).map(|id| NodeId(u64::from_be_bytes(id)));
        let (kind, rest) = (key.first().copied().unwrap_or_default(), key.get(10..).unwrap_or_default());
        if group.id != id || group.prefix != kind {
            self.end_group(group)?;
        }
        if self.seal.verify(key, &mut row.value).is_err() {
            self.at_row(key, "it does not carry its tag");
            return Ok(());
        }
        let content = row.value.as_slice();
        let understood = match (prefix, id, rest) {
            (b"meta", ..) => is_about_the_store(key, content),
            (b"topo", ..) => key == key::TOPOLOGY && row::decode_bytes(content) == Ok(&[]),
            (b"d", Some(id), [b'/', ..]) => self.entry(group, id, key, content)?,
            (b"h", Some(id), [b'/', path @ ..]) => self.history(id, key, path, content)?,
            (b"n", Some(id), []) => self.stored_node(id, content)?,
            (b"t", Some(id), []) => self.times(id, key, content)?,
            (b"v", Some(id), [b'/', own @ ..]) => self.version(group, id, key, own, content)?,
            _ => {
                self.at_row(key, "no row has such a name");
                true
            }
        };
        if !understood {
            self.at_row(key, "its content is malformed");
        }
        Ok(())
    }

    /// The node whose rows follow.
    fn begin_group(&mut self, group: &mut Group, prefix: u8, id: NodeId, key: &[u8]) -> Checked {
        if group.id == Some(id) && group.prefix == prefix {
            return Ok(());
        }
        *group = Group { id: Some(id), prefix, ..Group::default() };
        match self.node(id)? {
            Ok(node) => group.node = Some(node),
            Err(Unread::Missing) => self.at_row(key, "the node that it belongs to is missing"),
            Err(Unread::Spoiled) => {}
        }
        Ok(())
    }

    fn entry(&mut self, group: &mut Group, parent: NodeId, key: &[u8], content: &[u8]) -> Result<bool, StoreError> {
        self.begin_group(group, b'd', parent, key)?;
        let (Some(name), Ok(entry)) = (key::entry_name(key), Entry::decode(content)) else { return Ok(false) };
        if entry.kind == Kind::Directory {
            group.directories += 1;
        }
        let Some(above) = &group.node else { return Ok(true) };
        let whole = format!("{}/{name}", self.path(parent, above)?);
        let whole = whole.trim_start_matches("the root/").to_owned();
        match self.node(entry.node)? {
            Err(Unread::Missing) => self.tell(Severity::Damage, whole, "the name leads to a node that is missing"),
            Err(Unread::Spoiled) => {}
            Ok(node) => {
                let what = if node.removed || node.parent != parent || node.name.as_ref() != Some(&name) {
                    "the name leads to a node that does not stand there"
                } else if node.kind != entry.kind {
                    "the name and its node are not of one kind"
                } else if above.kind != Kind::Directory || above.removed {
                    "it stands in what is no directory"
                } else if !fits(parent, above, entry.node, &node) {
                    "it stands where nothing of its kind can"
                } else {
                    return Ok(true);
                };
                self.tell(Severity::Damage, whole, what);
            }
        }
        Ok(true)
    }

    fn history(&mut self, root: NodeId, key: &[u8], path: &[u8], content: &[u8]) -> Result<bool, StoreError> {
        let Ok(id) = row::decode_history(content) else { return Ok(false) };
        let names = path.split(|&byte| byte == b'/').map(Name::parse).collect::<Result<Vec<_>, _>>();
        if names.is_err() {
            return Ok(false);
        }
        *self.led_to.entry(id).or_default() += 1;
        let node = self.node(id)?;
        match node {
            Err(Unread::Missing) => self.at_row(key, "the history leads to a node that is missing"),
            Err(Unread::Spoiled) => {}
            Ok(node) => {
                let belongs = matches!(node.place, Place::In(_, its) if its == root);
                if !node.removed || node.kind != Kind::File || !belongs {
                    self.at_node(id, &node, "the history leads to it, and it is no removed key of that tree")?;
                }
            }
        }
        Ok(true)
    }

    fn stored_node(&mut self, id: NodeId, content: &[u8]) -> Result<bool, StoreError> {
        let Ok(node) = Node::decode(content) else { return Ok(false) };
        if attributes::notes_bytes(&node.notes) > attributes::NOTES_BYTES {
            self.at_node(id, &node, "its attributes take more than they may")?;
        }
        match node.kind {
            Kind::Directory => self.directory(id, &node)?,
            Kind::File => self.file(id, &node)?,
        }
        if !node.removed {
            self.named(id, &node)?;
        }
        Ok(true)
    }

    /// That the one name of what is there leads to it, and that it hangs on the root.
    fn named(&mut self, id: NodeId, node: &Node) -> Checked {
        if id == NodeId::ROOT {
            let right = node.place == Place::Root && node.parent == id && node.name.is_none();
            return if right { Ok(()) } else { self.at_node(id, node, "it is not the root that a store has") };
        }
        let entry = match &node.name {
            Some(name) => self.read(&key::entry(node.parent, name), Entry::decode)?,
            None => Err(Unread::Missing),
        };
        match entry {
            Ok(entry) if entry.node == id => {}
            Err(Unread::Spoiled) => {}
            Ok(_) | Err(Unread::Missing) => self.at_node(id, node, "no name leads to it")?,
        }
        self.connect(id, node)
    }

    fn connect(&mut self, id: NodeId, node: &Node) -> Checked {
        let (mut at, mut above) = (node.parent, Vec::new());
        while !self.connected.contains(&at) {
            if at == id || above.contains(&at) || above.len() >= DEEPEST {
                return self.at_node(id, node, "the directories that it is in lead round in a circle");
            }
            above.push(at);
            match self.node(at)? {
                Ok(directory) => at = directory.parent,
                Err(Unread::Missing) => return self.at_node(id, node, "a directory that it is in is missing"),
                Err(Unread::Spoiled) => return Ok(()),
            }
        }
        self.connected.extend(above);
        Ok(())
    }

    fn directory(&mut self, id: NodeId, node: &Node) -> Checked {
        match node.place {
            Place::Root => {}
            Place::Environment => {
                self.seen.environments += 1;
                for tree in Tree::ALL {
                    let name = Name::parse(tree.as_str().as_bytes()).map(|name| key::entry(id, &name));
                    let Ok(entry) = name else { continue };
                    if let Err(Unread::Missing) = self.read(&entry, Entry::decode)? {
                        self.at_node(id, node, format!("it has no {tree}"))?;
                    }
                }
            }
            Place::In(_, root) if root == id => {}
            Place::In(..) => self.seen.directories += 1,
        }
        if node.removed || node.expires.is_some() {
            self.at_node(id, node, "no directory is kept so")?;
        }
        let held = self.directories.remove(&id).unwrap_or(0);
        if held != node.directories {
            let what = format!("it counts {} directories in it, and holds {held}", node.directories);
            self.at_node(id, node, what)?;
        }
        if let Err(Unread::Missing) = self.read(&key::times(id), Times::decode)? {
            self.at_node(id, node, "its times are missing")?;
        }
        Ok(())
    }

    fn file(&mut self, id: NodeId, node: &Node) -> Checked {
        match node.place {
            Place::In(_, root) if node.removed => {
                self.seen.removed += 1;
                self.removed.push((id, root));
            }
            Place::In(Tree::Variables, _) => self.seen.variables += 1,
            Place::In(Tree::Secrets, _) => self.seen.secrets += 1,
            Place::Root | Place::Environment => {
                self.at_node(id, node, "no key can stand there")?;
            }
        }
        let Some(current) = &node.value else { return self.at_node(id, node, "it has no value") };
        match current.held {
            Held::Here(_) => self.seen.versions += 1,
            Held::Apart(size) => match self.read(&key::value(id, current.own), Value::decode)? {
                Ok(value) if value.permissions != node.permissions => {
                    self.at_node(id, node, "its present value was stored under other permissions")?;
                }
                Ok(value) if value.size != size => {
                    self.at_node(id, node, "its present value is of another length")?;
                }
                Ok(_) | Err(Unread::Spoiled) => {}
                Err(Unread::Missing) => self.at_node(id, node, "its present value is missing")?,
            },
        }
        match current.before {
            Some(before) => self.predecessor(id, node, current, before),
            None => Ok(()),
        }
    }

    /// That the history goes on where the node says.
    fn predecessor(&mut self, id: NodeId, node: &Node, current: &Current, before: Before) -> Checked {
        // Once its last version was pushed out, it is gone.
        let older = match self.node(before.node)? {
            Ok(older) => older,
            Err(_) => return Ok(()),
        };
        *self.led_to.entry(before.node).or_default() += 1;
        if !older.removed || older.place != node.place || older.version() != Some(before.last) {
            return self.at_node(id, node, "its history does not go on where it says");
        }
        // What is kept has no gap, so whoever has a predecessor has all of its own.
        let first_is_here = current.own == 1 && matches!(current.held, Held::Here(_));
        if !first_is_here && matches!(self.read(&key::value(id, 1), |_| Ok(()))?, Err(Unread::Missing)) {
            return self.at_node(id, node, "its first version is missing, and older ones are there");
        }
        Ok(())
    }

    fn times(&mut self, id: NodeId, key: &[u8], content: &[u8]) -> Result<bool, StoreError> {
        if Times::decode(content).is_err() {
            return Ok(false);
        }
        match self.node(id)? {
            Ok(node) if node.kind == Kind::Directory => {}
            Err(Unread::Spoiled) => {}
            Ok(_) | Err(Unread::Missing) => self.at_row(key, "there is no directory whose times these are"),
        }
        Ok(true)
    }

    fn version(
        &mut self,
        group: &mut Group,
        id: NodeId,
        key: &[u8],
        own: &[u8],
        content: &[u8],
    ) -> Result<bool, StoreError> {
        self.begin_group(group, b'v', id, key)?;
        let Ok(own) = own.try_into().map(u64::from_be_bytes) else { return Ok(false) };
        self.seen.versions += 1;
        let before = group.versions.map(|(_, last)| last);
        group.versions = Some((group.versions.map_or(own, |(first, _)| first), own));
        let Ok(value) = Value::decode(content) else { return Ok(false) };
        let Some(node) = &group.node else { return Ok(true) };
        if let Some(before) = before.filter(|before| before + 1 != own) {
            self.at_node(id, node, format!("between its own versions {before} and {own} one is missing"))?;
        }
        match &node.value {
            Some(Current { own: present, held: Held::Here(_), .. }) if own == *present => {
                self.at_node(id, node, "its present value stands in its node's row, and in one of its own too")?;
            }
            Some(Current { own: present, held: Held::Here(_), .. }) if own < *present && value.size > SMALL as u64 => {
                self.at_node(
                    id,
                    node,
                    format!("its own version {own} is too large for a later one in its node's row"),
                )?;
            }
            Some(Current { own: present, .. }) if own <= *present => {}
            _ => self.at_node(id, node, format!("its own version {own} is later than its present one"))?,
        }
        if value.sealed != node.place.is_secret() {
            self.at_node(id, node, format!("its own version {own} is of the other tree's kind"))?;
        } else if let Err(what) = self.opens(id, own, &value) {
            self.at_node(id, node, format!("its own version {own} does not open: {what}"))?;
        } else if value.sealed {
            self.seen.records += 1;
        }
        Ok(true)
    }

    /// Opens a value, and lets go of it.
    fn opens(&self, id: NodeId, own: u64, value: &Value) -> Result<(), String> {
        let length = if value.sealed {
            let binding = Binding::new(id, Version(own), &value.permissions);
            match self.seal.open(gate::carry(id), &binding, &value.content) {
                Ok(opened) => opened.value().len(),
                Err(error @ SealError::Memory(_)) => return Err(error.to_string()),
                Err(SealError::Tampered(what)) => return Err(what.into()),
                Err(error) => return Err(error.to_string()),
            }
        } else {
            value.content.len()
        };
        if length as u64 == value.size { Ok(()) } else { Err("it has another length than its row says".into()) }
    }

    fn end_group(&mut self, group: &mut Group) -> Checked {
        let Group { id, node, directories, versions, .. } = std::mem::take(group);
        let Some(id) = id else { return Ok(()) };
        if directories > 0 {
            self.directories.insert(id, directories);
        }
        let (Some((first, mut last)), Some(node)) = (versions, node) else { return Ok(()) };
        if let Some(Current { own, held: Held::Here(_), .. }) = node.value {
            if last.saturating_add(1) < own {
                self.at_node(id, &node, format!("between its own versions {last} and {own} one is missing"))?;
            }
            last = last.max(own);
        }
        if last.saturating_sub(first) >= self.settings.versions.into() {
            self.at_node(id, &node, "more of its versions are there than are kept")?;
        }
        Ok(())
    }

    /// What can be said once every row was seen.
    fn end(&mut self) -> Checked {
        for required in [key::FORMAT, key::RECIPIENTS, key::SETTINGS] {
            if self.snapshot.get(required)?.is_none() {
                self.at_row(required, "it is missing");
            }
        }
        if let Err(Unread::Missing) = self.node(NodeId::ROOT)? {
            self.at_row(&key::node(NodeId::ROOT), "the root is missing");
        }
        for (id, root) in std::mem::take(&mut self.removed) {
            let led_to = self.led_to.get(&id).copied().unwrap_or(0);
            let tree = self.node(root)?;
            let (severity, what) = match (led_to, tree) {
                (_, Err(Unread::Missing)) => {
                    (Severity::Leftover, "it is in the history of an environment that was removed")
                }
                (1, _) => continue,
                (0, _) => (Severity::Damage, "it was removed, and no history leads to it"),
                _ => (Severity::Damage, "the history leads to it more than once"),
            };
            let place = match self.node(id)? {
                Ok(node) => self.path(id, &node)?,
                Err(_) => format!("node {id}"),
            };
            self.tell(severity, place, what);
        }
        Ok(())
    }
}

/// Whether a row of what is true of the store as a whole is one of those that there are, and can be understood.
fn is_about_the_store(key: &[u8], content: &[u8]) -> bool {
    let (first, last) = key::slots();
    match key {
        key::FORMAT => Format::decode(content).is_ok(),
        key::SETTINGS => Settings::decode(content).is_ok(),
        key::RECIPIENTS => row::decode_bytes(content).is_ok_and(|text| std::str::from_utf8(text).is_ok()),
        slot => (first.as_slice()..last.as_slice()).contains(&slot) && row::decode_bytes(content).is_ok(),
    }
}

/// Whether a node can stand in a directory.
fn fits(parent: NodeId, above: &Node, id: NodeId, node: &Node) -> bool {
    let name = node.name.as_ref();
    match (above.place, node.place) {
        (Place::Root, Place::Environment) => {
            parent == NodeId::ROOT
                && node.kind == Kind::Directory
                && name.is_some_and(|name| Environment::new(name.clone()).is_ok())
        }
        (Place::Environment, Place::In(tree, _)) => {
            is_tree_root(id, node) && name.is_some_and(|name| name.as_str() == tree.as_str())
        }
        (Place::In(tree, root), Place::In(its, own_root)) => tree == its && root == own_root && id != root,
        _ => false,
    }
}
