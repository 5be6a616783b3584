//! What a client of a mount needs: the command line is one, and so is every program that reads its files.
//!
//! Invariant: a client holds no key, opens no store and decides no permission.
//!
//! It deliberately never prints, and reads no environment variable: that is for the programs that use it.

pub mod filter;
pub mod formats;
