//! What has changed, for those who follow it: each change in the order of commits, for whoever may list its name.
//!
//! Invariants:
//! - A change is shown once it is committed, behind all that were committed before it, and in one piece with the rest of its commit.
//! - Whether somebody is shown a change is decided by the permissions that the directories above it had when it was made.
//! - Whoever goes on from where they stopped misses nothing, or is told that they do.
//!
//! It deliberately outlives no daemon, and holds no values.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::view::Spot;
use super::{Actor, Namespace, permits};
use crate::access::{Kind, Permissions, Rights};
use crate::audit::Address;
use crate::clock::Timestamp;
use crate::id::{Revision, Uid, Version};
use crate::key::Environment;

/// How many changes are remembered, and how many bytes of memory they may take: a key may be below thousands of directories, each
/// with a list of hundreds of groups.
const KEPT: usize = 1 << 15;
pub(super) const KEPT_BYTES: usize = 64 << 20;

/// Among so many of the last changes one is looked for that was made in the same directory: a change's own memory is then a
/// fifth of what it takes with the permissions of the directories above it.
const NEIGHBOURS: usize = 32;

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
    /// What the audit log calls it.
    pub(super) kind: &'static str,
    pub(super) spot: Spot,
    /// The other place of a change that has two.
    pub(super) other: Option<Spot>,
    pub(super) version: Option<Version>,
}

impl Happened {
    /// What it takes in memory where it shares nothing.
    pub(super) fn weight(&self) -> usize {
        size_of::<Happened>() + self.spot.weight() + self.other.as_ref().map_or(0, Spot::weight)
    }

    /// Has the permissions of the directories above in common with an earlier change, where they are the same.
    fn share(&mut self, earlier: &Happened) {
        for spot in [Some(&mut self.spot), self.other.as_mut()].into_iter().flatten() {
            if !Arc::ptr_eq(&spot.above, &earlier.spot.above) && spot.above == earlier.spot.above {
                spot.above = Arc::clone(&earlier.spot.above);
            }
        }
    }
}

/// What is remembered of a change, which those who look at it share.
#[derive(Clone)]
struct Entry {
    cursor: Cursor,
    time: Timestamp,
    by: Uid,
    happened: Arc<Happened>,
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
    /// Whether there was no more to look at.
    pub ended: bool,
}

#[derive(Default)]
struct Log {
    /// What is before this is known no longer.
    floor: u64,
    /// The end of what is shown.
    end: u64,
    entries: VecDeque<Entry>,
    /// What these take in memory.
    bytes: usize,
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
        log.bytes = 0;
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
        let cursor = |number| Cursor(revision.0 << IN_COMMIT | place(number));
        let entry = |(number, happened)| Entry { cursor: cursor(number), time, by, happened: Arc::new(happened) };
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
            for mut entry in entries {
                log.bytes += entry.happened.weight();
                if let Some(happened) = Arc::get_mut(&mut entry.happened) {
                    log.entries.iter().rev().take(NEIGHBOURS).for_each(|earlier| happened.share(&earlier.happened));
                }
                log.entries.push_back(entry);
            }
            log.end = log.end.max(Cursor::end_of(Revision(revision)).0);
        }
        while log.entries.len() > KEPT || log.bytes > KEPT_BYTES {
            let Some(oldest) = log.entries.pop_front() else { break };
            log.bytes -= oldest.happened.weight();
            log.floor = oldest.cursor.0;
        }
        drop(log);
        if shown {
            self.events.more.notify_all();
        }
    }
}

impl Namespace {
    /// What the remembered changes take in memory.
    #[cfg(test)]
    pub(super) fn events_memory(&self) -> usize {
        let log = self.events.log();
        log.entries.iter().map(|entry| entry.happened.weight()).sum()
    }

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

    /// The changes behind a place that somebody may see, of one environment or all, at most `most` of them. No more than some
    /// thousands are looked at, so that whoever may see none of them is no burden to others.
    pub fn events(&self, actor: &dyn Actor, behind: Cursor, only: Option<&Environment>, most: usize) -> Batch {
        /// So many are looked at in one hold of the lock, which commits wait for.
        const LOOK: usize = 64;
        const LOOKS: usize = 64;
        let mut batch = Batch { lost: false, shown: Vec::new(), end: behind, ended: false };
        for _ in 0..LOOKS {
            // Permissions are looked at without the lock: the caller may have to be asked for its groups.
            let candidates: Vec<Entry> = {
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
                let found: Vec<_> = log.entries.iter().skip(start).take(LOOK).cloned().collect();
                if found.is_empty() {
                    batch.end = batch.end.max(Cursor(log.end));
                    batch.ended = true;
                    return batch;
                }
                found
            };
            for candidate in candidates {
                if batch.shown.len() >= most {
                    return batch;
                }
                batch.end = candidate.cursor;
                let here = only.is_none() || candidate.happened.spot.address.environment.as_ref() == only;
                batch.shown.extend(if here { candidate.for_whom(actor) } else { None });
            }
        }
        batch
    }
}

impl Entry {
    /// What somebody is shown of it: of a change with two places, as much as can be told of the one that they see.
    fn for_whom(&self, actor: &dyn Actor) -> Option<Shown> {
        let Happened { kind, spot, other, version } = &*self.happened;
        let here = lists(actor, &spot.above);
        let there = other.as_ref().filter(|other| lists(actor, &other.above));
        let shown = |kind: &'static str, spot: &Spot, other: Option<&Spot>, version| Shown {
            cursor: self.cursor,
            time: self.time,
            kind,
            address: spot.address.clone(),
            other: other.map(|other| other.address.clone()),
            version,
            by: self.by,
        };
        match (here, there) {
            (true, Some(other)) => Some(shown(kind, spot, Some(other), *version)),
            (true, None) if other.is_none() => Some(shown(kind, spot, None, *version)),
            // It is gone, or another entry's now, whose version is not its own.
            (true, None) if *kind == "rename" => Some(shown("remove", spot, None, None)),
            (true, None) => Some(shown("put", spot, None, None)),
            (false, Some(other)) => Some(shown("put", other, None, None)),
            (false, None) => None,
        }
    }
}

/// Whether somebody may list a directory, all those above it included; the nearest comes first.
fn lists(actor: &dyn Actor, above: &[Permissions]) -> bool {
    let Some((nearest, further)) = above.split_first() else { return false };
    permits(actor, nearest, Rights::READ, Kind::Directory)
        && further.iter().all(|directory| permits(actor, directory, Rights::EXECUTE, Kind::Directory))
}
