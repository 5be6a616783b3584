//! What has changed, for those who follow it: each change in the order of commits, for whoever may list its name.
//!
//! Invariants:
//! - A change is shown once it is committed, behind all that were committed before it, and in one piece with the rest of its commit.
//! - Whether somebody is shown a change is decided by the permissions that the directories above it had when it was made.
//! - Whoever goes on from where they stopped misses nothing, or is told that they do.
//!
//! It deliberately outlives no daemon, and holds no values.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::view::Spot;
use super::{Actor, Namespace, permits};
use crate::access::{Kind, Permissions, Rights};
use crate::audit::{Address, Event};
use crate::clock::Timestamp;
use crate::id::{Revision, Uid, Version};
use crate::key::Environment;

/// How many changes are remembered.
const KEPT: usize = 1 << 15;

/// A place in the stream of changes: the number of a commit, and behind it that of a change in it, of which the last one has the
/// greatest that there is. So it is known of a place whether a commit ends there. The smallest are before any change: places where
/// something was lost.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Cursor(pub u64);

const IN_COMMIT: u32 = 16;
const LAST: u64 = (1 << IN_COMMIT) - 1;
const FIRST: u64 = 1 << 10;

impl Cursor {
    fn end_of(revision: Revision) -> Cursor {
        Cursor(revision.0 << IN_COMMIT | LAST)
    }
}

/// A change, before it has its place.
#[derive(Debug)]
pub(super) struct Happened {
    pub(super) event: Event,
    pub(super) spot: Spot,
    /// The other place of a change that has two.
    pub(super) other: Option<Spot>,
    pub(super) version: Option<Version>,
}

struct Entry {
    cursor: Cursor,
    time: Timestamp,
    by: Uid,
    happened: Happened,
}

/// One change as somebody is shown it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shown {
    /// Where it stands.
    pub cursor: Cursor,
    /// When it was made.
    pub time: Timestamp,
    /// What was done: `put`, `remove`, `mkdir`, `rename`, `exchange`, `permission` or `attribute`.
    pub kind: &'static str,
    /// To which entry.
    pub address: Address,
    /// Where it is now, or whose place it took, where that is to be seen too.
    pub other: Option<Address>,
    /// Which version that made.
    pub version: Option<Version>,
    /// By whom.
    pub by: Uid,
}

/// What somebody is shown from a place on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Batch {
    /// Whether changes before these are known no longer.
    pub lost: bool,
    /// The changes.
    pub shown: Vec<Shown>,
    /// Where they end.
    pub end: Cursor,
}

#[derive(Default)]
struct Log {
    /// What is before this is known no longer.
    floor: u64,
    /// The end of what is shown.
    end: u64,
    entries: VecDeque<Entry>,
    /// The last commit that came back.
    last: u64,
    /// The commits that are under way, by the last one that had come back when each began.
    flights: BTreeMap<u64, usize>,
    /// Commits that came back before one that may be earlier.
    waiting: BTreeMap<u64, Vec<Entry>>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Events {
    log: Mutex<Log>,
    more: Condvar,
}

/// A commit that is under way.
pub(super) struct Flight<'a> {
    events: &'a Events,
    began: u64,
}

impl Events {
    /// Nothing yet, after the last commit of before.
    pub(super) fn after(revision: Revision) -> Events {
        let Cursor(end) = Cursor::end_of(revision);
        Events { log: Mutex::new(Log { floor: end, end, last: revision.0, ..Log::default() }), more: Condvar::new() }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit begins. What it makes has a later number than any that came back before.
    pub(super) fn begin(&self) -> Flight<'_> {
        let mut log = self.log();
        let began = log.last;
        *log.flights.entry(began).or_default() += 1;
        Flight { events: self, began }
    }

    /// What was there may have changed in a way that nobody knows.
    pub(super) fn lose(&self) {
        let mut log = self.log();
        log.entries.clear();
        // Behind all that was shown, and before all that comes.
        if log.end & LAST == LAST || log.end & LAST < FIRST - 1 {
            log.end += 1;
        }
        log.floor = log.end;
        drop(log);
        self.more.notify_all();
    }
}

impl Flight<'_> {
    /// The commit was made.
    pub(super) fn arrived(self, revision: Revision, time: Timestamp, by: Uid, happened: Vec<Happened>) {
        let last = happened.len().saturating_sub(1);
        let place = |number: usize| if number == last { LAST } else { (FIRST + number as u64).min(LAST - 1) };
        let entry =
            |(number, happened)| Entry { cursor: Cursor(revision.0 << IN_COMMIT | place(number)), time, by, happened };
        let entries = happened.into_iter().enumerate().map(entry).collect();
        let mut log = self.events.log();
        log.last = log.last.max(revision.0);
        log.waiting.insert(revision.0, entries);
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut log = self.events.log();
        if let Some(flights) = log.flights.get_mut(&self.began) {
            *flights -= 1;
            if *flights == 0 {
                log.flights.remove(&self.began);
            }
        }
        // Each that is under way still comes behind what had come back when it began.
        let complete = log.flights.keys().next().copied().unwrap_or(u64::MAX);
        let mut shown = false;
        while let Some(first) = log.waiting.first_entry().filter(|first| *first.key() <= complete) {
            let (revision, entries) = first.remove_entry();
            shown |= !entries.is_empty();
            log.entries.extend(entries);
            log.end = log.end.max(Cursor::end_of(Revision(revision)).0);
        }
        while log.entries.len() > KEPT {
            let Some(oldest) = log.entries.pop_front() else { break };
            log.floor = oldest.cursor.0;
        }
        drop(log);
        if shown {
            self.events.more.notify_all();
        }
    }
}

impl Namespace {
    /// Where the stream of changes ends now.
    pub fn events_end(&self) -> Cursor {
        Cursor(self.events.log().end)
    }

    /// Waits until there is something behind a place in the stream, or time has passed.
    pub fn wait_for_events(&self, behind: Cursor, longest: Duration) {
        let log = self.events.log();
        let nothing = |log: &mut Log| log.end <= behind.0;
        drop(self.events.more.wait_timeout_while(log, longest, nothing));
    }

    /// The changes behind a place that somebody may see, of one environment or all, at most `most` of them.
    pub fn events(&self, actor: &dyn Actor, behind: Cursor, only: Option<&Environment>, most: usize) -> Batch {
        /// So many are looked at in one hold of the lock, which commits wait for.
        const LOOK: usize = 64;
        let mut batch = Batch { lost: false, shown: Vec::new(), end: behind };
        loop {
            // Permissions are looked at without the lock: the caller may have to be asked for its groups.
            let candidates: Vec<_> = {
                let log = self.events.log();
                if batch.end.0 < log.floor {
                    batch.lost = true;
                    batch.end = Cursor(log.floor);
                } else if batch.end.0 > log.end {
                    // It is no place of this stream.
                    batch.lost = true;
                    batch.end = Cursor(log.end);
                }
                let start = log.entries.partition_point(|entry| entry.cursor <= batch.end);
                let found: Vec<_> = log.entries.iter().skip(start).take(LOOK).map(Candidate::of).collect();
                if found.is_empty() {
                    batch.end = batch.end.max(Cursor(log.end));
                    return batch;
                }
                found
            };
            for candidate in candidates {
                if batch.shown.len() >= most {
                    return batch;
                }
                batch.end = candidate.cursor();
                let here = only.is_none() || candidate.shown.address.environment.as_ref() == only;
                batch.shown.extend(Some(candidate).filter(|_| here).and_then(|candidate| candidate.for_whom(actor)));
            }
        }
    }
}

/// A change that may be somebody's to see.
struct Candidate {
    shown: Shown,
    above: Vec<Permissions>,
    other_above: Vec<Permissions>,
}

impl Candidate {
    fn of(entry: &Entry) -> Candidate {
        let Happened { event, spot, other, version } = &entry.happened;
        let shown = Shown {
            cursor: entry.cursor,
            time: entry.time,
            kind: event.name(),
            address: spot.address.clone(),
            other: other.as_ref().map(|other| other.address.clone()),
            version: *version,
            by: entry.by,
        };
        let other_above = other.as_ref().map(|other| other.above.clone()).unwrap_or_default();
        Candidate { shown, above: spot.above.clone(), other_above }
    }

    fn cursor(&self) -> Cursor {
        self.shown.cursor
    }

    /// What somebody is shown of it: of a change with two places, as much as can be told of the one that they see.
    fn for_whom(self, actor: &dyn Actor) -> Option<Shown> {
        let Candidate { mut shown, above, other_above } = self;
        let here = lists(actor, &above);
        let Some(other) = shown.other.take() else { return here.then_some(shown) };
        match (here, lists(actor, &other_above)) {
            (true, true) => Some(Shown { other: Some(other), ..shown }),
            // It is gone, or another entry's now, whose version is not its own.
            (true, false) if shown.kind == "rename" => Some(Shown { kind: "remove", version: None, ..shown }),
            (true, false) => Some(Shown { kind: "put", version: None, ..shown }),
            (false, true) => Some(Shown { kind: "put", address: other, version: None, ..shown }),
            (false, false) => None,
        }
    }
}

/// Whether somebody may list a directory, all those above it included; the nearest comes first.
fn lists(actor: &dyn Actor, above: &[Permissions]) -> bool {
    let Some((nearest, further)) = above.split_first() else { return false };
    permits(actor, nearest, Rights::READ, Kind::Directory)
        && further.iter().all(|directory| permits(actor, directory, Rights::EXECUTE, Kind::Directory))
}
