//! How much there is.

use std::collections::HashMap;

use super::row::{Node, Place};
use super::{Error, Namespace};
use crate::access::Kind;
use crate::id::NodeId;
use crate::key::{Name, Tree};

/// The keys of one tree of one environment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Count {
    /// The environment.
    pub environment: Name,
    /// The tree.
    pub tree: Tree,
    /// Its keys, committed and not removed.
    pub keys: u64,
}

impl Namespace {
    /// Counts the keys of every tree. It reads each node, so it takes about a second for a million of them.
    pub fn count(&self) -> Result<Vec<Count>, Error> {
        let view = self.view()?;
        let mut keys: HashMap<NodeId, u64> = HashMap::new();
        view.scan(&b"n/"[..]..&b"n0"[..], |_, content| {
            let node = Node::decode(content)?;
            if let (Kind::File, Place::In(_, root), false) = (node.kind, node.place, node.removed) {
                *keys.entry(root).or_default() += 1;
            }
            Ok(())
        })?;
        let mut counts = Vec::new();
        for (environment, entry) in view.entries(NodeId::ROOT)? {
            for tree in Tree::ALL {
                let root = view.entry(entry.node, &Name::parse(tree.as_str().as_bytes())?)?;
                let keys = root.and_then(|root| keys.get(&root.content.node).copied()).unwrap_or(0);
                counts.push(Count { environment: environment.clone(), tree, keys });
            }
        }
        Ok(counts)
    }
}
