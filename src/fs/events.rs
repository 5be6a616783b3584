//! The stream of changes as a file: lines of JSON, whose reader waits for the next one.
//!
//! Invariants:
//! - No thread that answers requests waits with a reader, nor looks for long at what that may not see: a thread of its own answers
//!   those that wait.
//! - Whoever begins to wait, by reading or by polling, has a last look under the lock under which the others are looked after, so that
//!   no change comes between their look and their wait. Any other look is taken under no lock.
//! - A reader that a signal is pending for is let go: the kernel can't end a wait that the daemon has begun.
//!
//! It deliberately decides nothing about who sees what: `tree` does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use fuser::{Errno, FileHandle, PollEvents, PollNotifier, ReplyData};
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::handle::Handle;
use crate::id::Uid;
use crate::key::{Environment, Tree};
use crate::tree::{Actor, Cursor, Error, Namespace, Shown};

/// How often those who wait are looked after, for signals.
const TICK: Duration = Duration::from_millis(100);

/// How long the thread that looks after them sleeps while nobody follows.
const IDLE: Duration = Duration::from_secs(15);

/// How long somebody waits at a time whose signals can't be seen, of another pid namespace.
const BLIND: Duration = Duration::from_secs(1);

/// Lines are made until they are so long, of so many changes at a time: a hostile key takes 25 kB.
const ENOUGH: usize = 64 << 10;
const AT_A_TIME: usize = 4;

/// So many streams a user may have open, each of which may hold lines.
const STREAMS: usize = 512;

/// An open stream.
pub(super) struct Watch {
    owner: Uid,
    position: Mutex<Position>,
}

struct Position {
    behind: Cursor,
    /// Lines that did not fit into the last answer.
    rest: Vec<u8>,
}

impl Watch {
    fn position(&self) -> MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader that waits.
struct Blocked {
    caller: Caller,
    thread: u32,
    handle: Arc<Handle>,
    size: usize,
    /// Whether it waits for a change that is yet to come.
    waits: bool,
    since: Instant,
    reply: ReplyData,
}

/// Those who follow the changes of a mount.
pub(super) struct Watchers {
    namespace: Arc<Namespace>,
    only: Option<Environment>,
    open: Mutex<HashMap<Uid, usize>>,
    thread: OnceLock<Thread>,
    blocked: Mutex<Vec<Blocked>>,
    polls: Mutex<HashMap<u64, PollNotifier>>,
}

impl Watchers {
    pub(super) fn new(namespace: Arc<Namespace>, only: Option<Environment>) -> Watchers {
        let (open, blocked, polls) = (Mutex::default(), Mutex::default(), Mutex::default());
        Watchers { namespace, only, open, thread: OnceLock::new(), blocked, polls }
    }

    /// Begins to look after those who wait.
    pub(super) fn start(self: &Arc<Watchers>) -> std::io::Result<()> {
        let watchers = Arc::downgrade(self);
        let look = move || {
            let (mut seen, mut more) = (Cursor(0), false);
            while let Some(watchers) = watchers.upgrade() {
                if watchers.open().is_empty() {
                    drop(watchers);
                    // Long enough to cost nothing, so that the thread ends after its mount. Whoever opens a stream ends it.
                    std::thread::park_timeout(IDLE);
                    continue;
                }
                if !more {
                    watchers.namespace.wait_for_events(seen, TICK);
                }
                let end = watchers.namespace.events_end();
                if end > seen {
                    watchers.wake_polls();
                }
                seen = end;
                more = watchers.look_after_blocked();
            }
        };
        let thread = std::thread::Builder::new().name("keyfs-events".into()).spawn(look)?;
        // A second start would be a mistake of ours; the first one goes on.
        let _ = self.thread.set(thread.thread().clone());
        Ok(())
    }

    /// Opens the stream behind a place.
    pub(super) fn open_stream(&self, owner: Uid, behind: Cursor) -> Result<Watch, Error> {
        let mut open = self.open();
        let own = open.entry(owner).or_default();
        if *own >= STREAMS {
            return Err(Error::Quota("a user has at most 512 streams of changes open"));
        }
        *own += 1;
        drop(open);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
        Ok(Watch { owner, position: Mutex::new(Position { behind, rest: Vec::new() }) })
    }

    pub(super) fn closed(&self, watch: &Watch, handle: FileHandle) {
        let mut open = self.open();
        if let Some(own) = open.get_mut(&watch.owner) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                open.remove(&watch.owner);
            }
        }
        drop(open);
        self.polls().remove(&handle.0);
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Uid, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a reader with what there is, or has it wait.
    pub(super) fn read(&self, caller: Caller, handle: Arc<Handle>, size: u32, waits: bool, reply: ReplyData) {
        let Handle::Events(watch) = &*handle else { return reply.error(Errno::EBADF) };
        let size = size as usize;
        let (mut lines, mut ended) = self.take(&caller, watch, size);
        if !lines.is_empty() || size == 0 {
            return reply.data(&lines);
        }
        let mut blocked = self.blocked();
        if ended {
            (lines, ended) = self.take(&caller, watch, size);
        }
        if !lines.is_empty() {
            reply.data(&lines);
        } else if ended && !waits {
            reply.error(Errno::EAGAIN);
        } else {
            let (thread, since) = (Actor::thread(&caller), Instant::now());
            blocked.push(Blocked { caller, thread, handle: Arc::clone(&handle), size, waits, since, reply });
        }
    }

    /// Whether there is something to read; where there is not, the kernel is told when that may have changed. Where it would take long
    /// to say, there may be: to read is to look further.
    pub(super) fn poll(
        &self,
        caller: &Caller,
        watch: &Watch,
        handle: FileHandle,
        notifier: PollNotifier,
    ) -> PollEvents {
        let ready = PollEvents::POLLIN | PollEvents::POLLRDNORM;
        let there = || {
            let mut position = watch.position();
            !self.fill(caller, &mut position) || !position.rest.is_empty()
        };
        if there() {
            return ready;
        }
        let mut polls = self.polls();
        if there() {
            return ready;
        }
        polls.insert(handle.0, notifier);
        PollEvents::empty()
    }

    fn blocked(&self) -> MutexGuard<'_, Vec<Blocked>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn polls(&self) -> MutexGuard<'_, HashMap<u64, PollNotifier>> {
        self.polls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_polls(&self) {
        for (_, notifier) in self.polls().drain() {
            if let Err(error) = notifier.notify() {
                log::debug!("the kernel was not told that there is something to read: {error}");
            }
        }
    }

    /// Looks at what there is for each reader that waits. Whether one of them has more to look at.
    fn look_after_blocked(&self) -> bool {
        let waiting = std::mem::take(&mut *self.blocked());
        let (mut left, mut more) = (Vec::new(), false);
        for waiting in waiting {
            let Handle::Events(watch) = &*waiting.handle else { continue };
            let (lines, ended) = self.take(&waiting.caller, watch, waiting.size);
            if !lines.is_empty() {
                waiting.reply.data(&lines);
            } else if waiting.is_called_away() {
                waiting.reply.error(Errno::EINTR);
            } else if ended && !waiting.waits {
                waiting.reply.error(Errno::EAGAIN);
            } else {
                more |= !ended;
                left.push(waiting);
            }
        }
        self.blocked().append(&mut left);
        more
    }

    /// What there is to read, at most so many bytes, in whole lines where one fits; and whether there is no more to look at.
    fn take(&self, caller: &Caller, watch: &Watch, size: usize) -> (Vec<u8>, bool) {
        let mut position = watch.position();
        let ended = self.fill(caller, &mut position);
        let within = position.rest.len().min(size);
        let fitting = position.rest.get(..within).unwrap_or_default();
        let end = fitting.iter().rposition(|&byte| byte == b'\n').map_or(within, |newline| newline + 1);
        (position.rest.drain(..end).collect(), ended)
    }

    /// Makes lines where there are none left. Whether all that there is was looked at.
    fn fill(&self, caller: &Caller, position: &mut Position) -> bool {
        if !position.rest.is_empty() {
            return false;
        }
        loop {
            let batch = self.namespace.events(caller, position.behind, self.only.as_ref(), AT_A_TIME);
            position.behind = batch.end;
            if batch.lost {
                let first = batch.shown.first().map_or(batch.end, |shown| Cursor(shown.cursor.0 - 1));
                push(&mut position.rest, &json!({ "cursor": first.0, "kind": "lost" }));
            }
            for shown in &batch.shown {
                push(&mut position.rest, &line(shown));
            }
            if batch.ended || batch.shown.len() < AT_A_TIME || position.rest.len() >= ENOUGH {
                return batch.ended;
            }
        }
    }
}

impl Blocked {
    /// Whether its thread is to do something else: a signal that it does not block is pending, or it is gone.
    fn is_called_away(&self) -> bool {
        if self.thread == 0 {
            return self.since.elapsed() > BLIND;
        }
        let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", self.thread)) else { return true };
        let signals = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            u64::from_str_radix(line.trim(), 16).unwrap_or_default()
        };
        (signals("SigPnd:") | signals("ShdPnd:")) & !signals("SigBlk:") != 0
    }
}

/// Who made it is told by number: what has names for numbers may be slow, and here others wait.
fn line(shown: &Shown) -> Value {
    let Shown { cursor, time, kind, address, other, version, by: Uid(uid) } = shown;
    let mut line = Map::new();
    line.insert("cursor".into(), json!(cursor.0));
    line.insert("time".into(), json!(time.to_string()));
    line.insert("env".into(), json!(address.environment.as_ref().map(ToString::to_string)));
    line.insert("tree".into(), json!(address.tree.map(Tree::as_str)));
    line.insert("key".into(), json!(address.key));
    line.insert("version".into(), json!(version.map(|version| version.0)));
    line.insert("kind".into(), json!(kind));
    if let Some(other) = other {
        line.insert("to".into(), json!(other.key));
    }
    line.insert("uid".into(), json!(uid));
    Value::Object(line)
}

fn push(lines: &mut Vec<u8>, line: &Value) {
    lines.extend_from_slice(line.to_string().as_bytes());
    lines.push(b'\n');
}
