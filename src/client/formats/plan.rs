//! What an import would do, before it does it.
//!
//! Invariants: each entry of a file is in one list of the plan, and what can't be stored is among the invalid ones.
//!
//! It deliberately changes nothing and asks nothing itself: what is there now is looked up by who calls.

use zeroize::Zeroizing;

use super::{Entry, Parsed, Problem};
use crate::key::KeyPath;

/// What stands under a key now.
pub enum Present {
    /// Nothing (`ENOENT`).
    Absent,
    /// This value, for who may read it.
    Value(Zeroizing<Vec<u8>>),
    /// A value that isn't looked at, as secrets aren't.
    Unread,
    /// A directory (`EISDIR`).
    Directory,
    /// Nothing, and nothing can be: a value stands where a directory would have to (`ENOTDIR`).
    BelowValue,
}

/// What becomes of each entry.
#[derive(Debug, Default)]
pub struct Plan {
    /// New keys.
    pub added: Vec<Entry>,
    /// Keys that get another value.
    pub changed: Vec<Entry>,
    /// Keys that are there and get the file's value, which may be the one that they have: that wasn't read.
    pub replaced: Vec<Entry>,
    /// Keys that have the file's value already.
    pub same: Vec<Entry>,
    /// What can't be stored, so that nothing is.
    pub invalid: Vec<Problem>,
}

impl Plan {
    /// What is to be stored.
    pub fn stored(&self) -> impl Iterator<Item = &Entry> {
        self.added.iter().chain(&self.changed).chain(&self.replaced)
    }
}

/// Compares a file with what is there. An error of the lookup ends it.
pub fn plan<E>(parsed: Parsed, mut look_up: impl FnMut(&KeyPath) -> Result<Present, E>) -> Result<Plan, E> {
    let mut plan = Plan { invalid: parsed.problems, ..Plan::default() };
    for entry in parsed.entries {
        let why = match look_up(&entry.key)? {
            Present::Absent => {
                plan.added.push(entry);
                continue;
            }
            Present::Value(value) => {
                let list = if value == entry.value { &mut plan.same } else { &mut plan.changed };
                list.push(entry);
                continue;
            }
            Present::Unread => {
                plan.replaced.push(entry);
                continue;
            }
            Present::Directory => "it is a directory, with keys of its own",
            Present::BelowValue => "a key above it has a value, so nothing can be below that",
        };
        plan.invalid.push(Problem { line: entry.line, key: entry.key.to_string(), why: why.to_owned() });
    }
    plan.invalid.sort_by_key(|problem| problem.line);
    Ok(plan)
}
