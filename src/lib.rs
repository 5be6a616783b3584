//! keyfs: configuration and credentials as files.
//!
//! A daemon mounts, for every environment, a tree of plain variables and a tree of secrets that are encrypted at rest and
//! opened for granted groups alone. `ARCHITECTURE.md` draws the layers; each module's header says what it owes the others.

pub mod access;
pub mod audit;
pub mod client;
pub mod clock;
pub mod dashboard;
pub mod fs;
pub mod id;
pub mod key;
pub mod mountinfo;
pub mod names;
pub mod seal;
pub mod store;
pub mod tree;
