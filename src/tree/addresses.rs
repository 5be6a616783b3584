//! Where directories stand, kept from one record in the audit log to the next.
//!
//! Invariants:
//! - All that is kept is of one commit: as of another one it is found anew.
//!
//! It deliberately keeps nothing that decides: permissions are read each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::audit::Address;
use crate::id::{NodeId, Revision};

/// Of how many directories. A key has at most 4,095 bytes, so all of them take at most 4 MiB.
const KEPT: usize = 1024;

#[derive(Default)]
struct Known {
    revision: Revision,
    directories: HashMap<NodeId, Arc<Address>>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Addresses(Mutex<Known>);

impl Addresses {
    /// A directory's, if it is known as of that commit.
    pub(super) fn get(&self, revision: Revision, directory: NodeId) -> Option<Arc<Address>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.directories.get(&directory).filter(|_| known.revision == revision).cloned()
    }

    /// Keeps a directory's, unless a later commit's are kept already.
    pub(super) fn keep(&self, revision: Revision, directory: NodeId, address: Arc<Address>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.revision > revision {
            return;
        }
        if known.revision < revision || known.directories.len() >= KEPT {
            known.directories.clear();
        }
        known.revision = revision;
        known.directories.insert(directory, address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(key: &str) -> Arc<Address> {
        Arc::new(Address { environment: None, tree: None, key: key.into() })
    }

    #[test]
    fn what_is_known_is_of_one_commit() {
        let addresses = Addresses::default();
        addresses.keep(Revision(2), NodeId(7), address("old"));
        assert_eq!(addresses.get(Revision(2), NodeId(7)), Some(address("old")));
        assert_eq!((addresses.get(Revision(1), NodeId(7)), addresses.get(Revision(3), NodeId(7))), (None, None));
        addresses.keep(Revision(3), NodeId(8), address("new"));
        assert_eq!((addresses.get(Revision(2), NodeId(7)), addresses.get(Revision(3), NodeId(7))), (None, None));
        addresses.keep(Revision(2), NodeId(8), address("old"));
        assert_eq!(addresses.get(Revision(3), NodeId(8)), Some(address("new")));
    }

    #[test]
    fn they_are_so_many_at_the_most() {
        let addresses = Addresses::default();
        for directory in 0..3 * KEPT as u64 {
            addresses.keep(Revision(1), NodeId(directory), address("k"));
            assert!(addresses.0.lock().unwrap().directories.len() <= KEPT);
            assert!(addresses.get(Revision(1), NodeId(directory)).is_some());
        }
    }
}
