//! Group commit: who finds nobody committing commits its own batch, and those of all who came in the meantime.
//!
//! A thread that is alone so commits without waiting for another, and those that come together share one sync.
//!
//! Invariants:
//! - One thread commits at a time.
//! - Each batch is committed once: with others' by the thread that commits, or by its own thread when that takes over.
//! - Whoever ends committing, by a panic too, has a waiting thread take over, so that none waits without end.
//!
//! It deliberately knows no database: what is done with a group is its caller's.

use std::collections::VecDeque;
use std::mem;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::memory::{LIMITS, change_bytes};
use super::super::{Batch, CommitError};
use super::rows::Answers;
use crate::id::Revision;

/// How many batches share a transaction at most. More would make the first of them wait for the last without sparing
/// much: a sync costs as much as writing some tens of batches.
const GROUP: usize = 64;

type Answer = Result<Revision, CommitError>;

/// Those who commit, and those who wait.
#[derive(Default)]
pub(super) struct Group(Mutex<State>);

#[derive(Default)]
struct State {
    committing: bool,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    batch: Batch,
    tell: SyncSender<Told>,
}

/// What ends the waiting.
enum Told {
    /// It was committed, or refused.
    Answer(Answer),
    /// It is for its own thread to commit, and with it those that wait behind it.
    TakeOver(Batch),
}

/// Whoever holds it commits.
struct Turn<'a>(&'a Group);

impl Group {
    /// Commits a batch by `settle`, alone or in a group, in this thread or in another that was first. `settle` gets a group in the order
    /// in which its batches came, and answers in that order.
    pub(super) fn commit(&self, batch: Batch, settle: impl FnOnce(&[&Batch]) -> Answers) -> Answer {
        let (turn, batch) = match self.queue(batch) {
            Ok(own) => own,
            Err(answer) => return answer,
        };
        let others = turn.take(size(&batch));
        let batches: Vec<&Batch> = std::iter::once(&batch).chain(others.iter().map(|other| &other.batch)).collect();
        let mut answers = settle(&batches).into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Err(CommitError::Unknown("it failed within".into())));
        let own = next();
        for other in &others {
            // Who asked may be gone.
            let _ = other.tell.send(Told::Answer(next()));
        }
        drop(turn);
        own
    }

    /// The turn to commit this batch, at once or after others; or the answer, where another thread has done it.
    fn queue(&self, batch: Batch) -> Result<(Turn<'_>, Batch), Answer> {
        let mut state = self.state();
        if !mem::replace(&mut state.committing, true) {
            return Ok((Turn(self), batch));
        }
        let (tell, told) = mpsc::sync_channel(1);
        state.waiting.push_back(Waiting { batch, tell });
        drop(state);
        match told.recv() {
            Ok(Told::TakeOver(batch)) => Ok((Turn(self), batch)),
            Ok(Told::Answer(answer)) => Err(answer),
            // The thread that was to tell has ended without.
            Err(_) => Err(Err(CommitError::Unknown("it failed within".into()))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Those who wait, as many as go with a batch of so many bytes: at most twice what one batch may hold is in memory as one
    /// transaction.
    fn take(&self, mut bytes: usize) -> Vec<Waiting> {
        let mut state = self.0.state();
        let mut taken = Vec::new();
        while taken.len() + 1 < GROUP && bytes < LIMITS.bytes {
            let Some(next) = state.waiting.pop_front() else { break };
            bytes += size(&next.batch);
            taken.push(next);
        }
        taken
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        // One that is gone leaves its place to the next.
        while let Some(Waiting { batch, tell }) = state.waiting.pop_front() {
            if tell.send(Told::TakeOver(batch)).is_ok() {
                return;
            }
        }
        state.committing = false;
    }
}

fn size(batch: &Batch) -> usize {
    batch.changes.iter().map(change_bytes).sum()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    fn until(what: impl Fn() -> bool) {
        while !what() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn each_batch_is_committed_once_by_one_at_a_time() {
        let (group, busy, commits) = (Group::default(), AtomicBool::new(false), AtomicU64::new(0));
        let settle = |batches: &[&Batch]| {
            assert!(!busy.swap(true, Ordering::SeqCst), "two at a time");
            let first = commits.fetch_add(batches.len() as u64, Ordering::SeqCst);
            std::thread::yield_now();
            busy.store(false, Ordering::SeqCst);
            (1..=batches.len() as u64).map(|place| Ok(Revision(first + place))).collect()
        };
        let mut revisions: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope
                        .spawn(|| (0..200).map(|_| group.commit(Batch::default(), settle).unwrap()).collect::<Vec<_>>())
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        revisions.sort_unstable();
        assert!(revisions.iter().map(|revision| revision.0).eq(1..=8 * 200));
    }

    #[test]
    fn who_waits_together_is_committed_together() {
        let group = Group::default();
        let largest = AtomicU64::new(0);
        let go = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                group.commit(Batch::default(), |batches| {
                    until(|| go.load(Ordering::SeqCst));
                    batches.iter().map(|_| Ok(Revision(1))).collect()
                })
            });
            until(|| group.state().committing);
            for _ in 0..5 {
                scope.spawn(|| {
                    group.commit(Batch::default(), |batches| {
                        largest.fetch_max(batches.len() as u64, Ordering::SeqCst);
                        batches.iter().map(|_| Ok(Revision(2))).collect()
                    })
                });
            }
            until(|| group.state().waiting.len() == 5);
            go.store(true, Ordering::SeqCst);
        });
        assert_eq!(largest.load(Ordering::SeqCst), 5);
    }

    #[test]
    fn a_panic_leaves_nobody_waiting() {
        let group = Group::default();
        let go = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let failing = scope.spawn(|| {
                catch_unwind(AssertUnwindSafe(|| {
                    group.commit(Batch::default(), |_| {
                        until(|| go.load(Ordering::SeqCst));
                        panic!("as a test")
                    })
                }))
                .is_err()
            });
            until(|| group.state().committing);
            let waiting = scope.spawn(|| group.commit(Batch::default(), |_| vec![Ok(Revision(7))]));
            until(|| group.state().waiting.len() == 1);
            go.store(true, Ordering::SeqCst);
            assert!(failing.join().unwrap());
            assert_eq!(waiting.join().unwrap().unwrap(), Revision(7));
        });
        assert!(!group.state().committing);
    }
}
