//! What the fuzzer feeds to keyfs: one module for each target, with a function `run` that takes any bytes and panics where a
//! promise is broken.
//!
//! The fuzzer's programs in `fuzz_targets/` call these functions with inputs of its own making; the project's tests call them
//! with each file of `corpus/` (`tests/proofs/corpus.rs`), so that what was found once is looked at each time.

pub mod acls;
pub mod attributes;
pub mod filter;
pub mod formats;
pub mod identities;
mod input;
pub mod mounts;
pub mod names;
pub mod records;
pub mod rows;
pub mod tree;
mod world;

/// A target's name, which is that of its directory in `corpus/`, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("acls", acls::run),
    ("attributes", attributes::run),
    ("filter", filter::run),
    ("formats", formats::run),
    ("identities", identities::run),
    ("mounts", mounts::run),
    ("names", names::run),
    ("records", records::run),
    ("rows", rows::run),
    ("tree", tree::run),
];
