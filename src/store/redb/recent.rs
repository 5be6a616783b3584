//! The last commits, for those who follow what changes.
//!
//! Invariant: the commits have no gap, and begin with the one after `floor`.
//!
//! It deliberately outlives no process: what was committed before is not told from what was forgotten.

use std::collections::VecDeque;

use super::super::{Changes, Commit};
use crate::id::Revision;

/// How many commits are remembered.
const COMMITS: usize = 4096;
/// How many keys are remembered in all, so that a few commits of many rows don't hold memory for long.
const KEYS: usize = 1 << 18;

pub(super) struct Recent {
    floor: Revision,
    commits: VecDeque<Commit>,
    keys: usize,
}

impl Recent {
    /// Remembers nothing yet.
    pub(super) fn after(floor: Revision) -> Self {
        Self { floor, commits: VecDeque::new(), keys: 0 }
    }

    /// `commit` is the one after the last.
    pub(super) fn push(&mut self, commit: Commit) {
        self.keys += commit.written.len() + commit.deleted.len();
        self.commits.push_back(commit);
        while self.commits.len() > COMMITS || self.keys > KEYS {
            let Some(oldest) = self.commits.pop_front() else { break };
            self.keys -= oldest.written.len() + oldest.deleted.len();
            self.floor = oldest.revision;
        }
    }

    /// What was committed after `since`, `head` being the last commit.
    pub(super) fn since(&self, since: Revision, head: Revision) -> Changes {
        match usize::try_from(since.0.saturating_sub(self.floor.0)) {
            Ok(known) if self.floor <= since && since <= head => {
                Changes::Commits(self.commits.iter().skip(known).cloned().collect())
            }
            _ => Changes::Compacted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(revision: u64, keys: usize) -> Commit {
        Commit { revision: Revision(revision), written: vec![vec![0]; keys], deleted: Vec::new() }
    }

    #[test]
    fn it_forgets_the_oldest_first() {
        let mut recent = Recent::after(Revision(10));
        let head = 10 + COMMITS as u64 + 5;
        (11..=head).for_each(|revision| recent.push(commit(revision, 1)));
        let head = Revision(head);
        assert_eq!(recent.since(Revision(14), head), Changes::Compacted);
        let Changes::Commits(all) = recent.since(Revision(15), head) else { panic!("15 is remembered") };
        assert_eq!((all.len(), all[0].revision), (COMMITS, Revision(16)));
        assert_eq!(recent.since(head, head), Changes::Commits(Vec::new()));
        assert_eq!(recent.since(Revision(head.0 + 1), head), Changes::Compacted);
    }

    #[test]
    fn one_commit_of_too_many_keys_is_not_kept() {
        let mut recent = Recent::after(Revision(0));
        recent.push(commit(1, 1));
        recent.push(commit(2, KEYS + 1));
        assert_eq!(recent.since(Revision(1), Revision(2)), Changes::Compacted);
        assert_eq!(recent.since(Revision(2), Revision(2)), Changes::Commits(Vec::new()));
        assert_eq!(recent.keys, 0);
    }
}
