//! What clients do with a mount of keyfs: find it, read and store values, list keys, see and change who may do what.
//!
//! Invariants:
//! - It is a program like any other to the mount: files and attributes are all that it uses. It has no store, no key of the
//!   seal, and decides nobody's permission; what it says about permissions explains what the kernel or the daemon answered.
//! - It prints nothing and reads no environment variable: both are its callers', who hand in what they found.
//! - A value is read and stored as it is, and no error holds one.
//! - What fails leaves nothing behind.
//!
//! It deliberately knows nothing of arguments, terminals and formats.

pub mod accounts;
pub mod amend;
pub mod batch;
pub mod compare;
pub mod copying;
pub mod denied;
pub mod details;
pub mod edit;
pub mod entry;
pub mod error;
pub mod export;
pub mod facts;
pub mod filter;
pub mod formats;
pub mod history;
pub mod import;
pub mod list;
mod look;
pub mod mount;
pub mod permissions;
pub mod put;
pub mod relocate;
pub mod remove;
pub mod removed;
pub mod rollback;
pub mod room;
pub mod rows;
mod spread;
mod transaction;
pub mod value;
pub mod watch;
pub mod why;

pub use entry::{Entry, Scope};
pub use error::Error;
pub use mount::{Mount, Wanted};
