//! The numbers that keyfs counts in, as types that can't be mixed up.
//!
//! Invariants: a [`NodeId`] is never zero, never above `i64::MAX` and never reused; a [`Version`] begins at 1.
//!
//! It deliberately knows nothing of names: user and group names are resolved where people type them.

use std::fmt;

/// A user id, as in `stat(2)`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Uid(pub u32);

/// A group id, as in `stat(2)`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Gid(pub u32);

impl Uid {
    /// The superuser.
    pub const ROOT: Uid = Uid(0);
}

/// What names an entry in the store for as long as it lives, and its history after that. It is also the entry's inode
/// number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The directory that holds the environments.
    pub const ROOT: NodeId = NodeId(1);

    /// The lowest id that an ordinary node may have; those below are kept for the root and for what comes later.
    pub const FIRST_RANDOM: u64 = 1 << 16;
}

/// A value's place in the history of its key: 1 for the first, then one more for each commit.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version(pub u64);

/// The store-wide number of a commit: 0 in an empty store, then one more for each commit.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Revision(pub u64);

/// What names a store: 16 random bytes, made at creation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StoreId(pub [u8; 16]);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
