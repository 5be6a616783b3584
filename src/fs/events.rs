//! The stream of changes as a file: lines of JSON, whose reader waits for the next one.
//!
//! Invariants:
//! - No thread that answers requests waits with a reader: a thread of its own answers those that wait.
//! - Whoever waits for a change, by reading or by polling, is looked after under the lock that they came under, so that none
//!   comes between their look and their wait.
//! - A reader that a signal is pending for is let go: the kernel can't end a wait that the daemon has begun.
//!
//! It deliberately decides nothing about who sees what: `tree` does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use fuser::{Errno, FileHandle, PollEvents, PollNotifier, ReplyData};
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::handle::Handle;
use crate::id::Uid;
use crate::key::{Environment, Tree};
use crate::tree::{Cursor, Namespace, Shown};

/// How often those who wait are looked after, for signals.
const TICK: Duration = Duration::from_millis(100);

/// How long somebody waits at a time whose signals can't be seen, of another pid namespace.
const BLIND: Duration = Duration::from_secs(1);

/// So many changes are put into lines at a time.
const MOST: usize = 256;

/// An open stream.
pub(super) struct Watch(Mutex<Position>);

struct Position {
    behind: Cursor,
    /// Lines that did not fit into the last answer.
    rest: Vec<u8>,
}

impl Watch {
    pub(super) fn new(behind: Cursor) -> Watch {
        Watch(Mutex::new(Position { behind, rest: Vec::new() }))
    }

    fn position(&self) -> MutexGuard<'_, Position> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader that waits.
struct Blocked {
    caller: Caller,
    thread: u32,
    handle: Arc<Handle>,
    size: usize,
    since: Instant,
    reply: ReplyData,
}

/// Those who follow the changes of a mount.
pub(super) struct Watchers {
    namespace: Arc<Namespace>,
    only: Option<Environment>,
    open: AtomicUsize,
    thread: OnceLock<Thread>,
    blocked: Mutex<Vec<Blocked>>,
    polls: Mutex<HashMap<u64, PollNotifier>>,
}

impl Watchers {
    pub(super) fn new(namespace: Arc<Namespace>, only: Option<Environment>) -> Watchers {
        let (blocked, polls) = (Mutex::default(), Mutex::default());
        Watchers { namespace, only, open: AtomicUsize::new(0), thread: OnceLock::new(), blocked, polls }
    }

    /// Begins to look after those who wait.
    pub(super) fn start(self: &Arc<Watchers>) -> std::io::Result<()> {
        let watchers = Arc::downgrade(self);
        let look = move || {
            let mut seen = Cursor(0);
            while let Some(watchers) = watchers.upgrade() {
                if watchers.open.load(Ordering::Acquire) == 0 {
                    drop(watchers);
                    // Long enough to cost nothing, so that the thread ends after its mount.
                    std::thread::park_timeout(BLIND);
                    continue;
                }
                watchers.namespace.wait_for_events(seen, TICK);
                let end = watchers.namespace.events_end();
                if end > seen {
                    watchers.wake_polls();
                }
                seen = end;
                watchers.look_after_blocked();
            }
        };
        let thread = std::thread::Builder::new().name("keyfs-events".into()).spawn(look)?;
        // A second start would be a mistake of ours; the first one goes on.
        let _ = self.thread.set(thread.thread().clone());
        Ok(())
    }

    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(super) fn closed(&self, handle: FileHandle) {
        self.open.fetch_sub(1, Ordering::AcqRel);
        self.polls().remove(&handle.0);
    }

    /// Answers a reader with what there is, or has it wait.
    pub(super) fn read(&self, caller: Caller, handle: Arc<Handle>, size: u32, waits: bool, reply: ReplyData) {
        let Handle::Events(watch) = &*handle else { return reply.error(Errno::EBADF) };
        let mut blocked = self.blocked();
        let size = size as usize;
        let lines = self.take(&caller, watch, size);
        if !lines.is_empty() || size == 0 {
            reply.data(&lines);
        } else if waits {
            let thread = crate::tree::Actor::thread(&caller);
            blocked.push(Blocked { caller, thread, handle: Arc::clone(&handle), size, since: Instant::now(), reply });
        } else {
            reply.error(Errno::EAGAIN);
        }
    }

    /// Whether there is something to read; where there is not, the kernel is told when that may have changed.
    pub(super) fn poll(
        &self,
        caller: &Caller,
        watch: &Watch,
        handle: FileHandle,
        notifier: PollNotifier,
    ) -> PollEvents {
        let mut polls = self.polls();
        let mut position = watch.position();
        if position.rest.is_empty() {
            self.fill(caller, &mut position);
        }
        if position.rest.is_empty() {
            polls.insert(handle.0, notifier);
            PollEvents::empty()
        } else {
            PollEvents::POLLIN | PollEvents::POLLRDNORM
        }
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

    fn look_after_blocked(&self) {
        let mut blocked = self.blocked();
        for waiting in std::mem::take(&mut *blocked) {
            let Handle::Events(watch) = &*waiting.handle else { continue };
            let lines = self.take(&waiting.caller, watch, waiting.size);
            if !lines.is_empty() {
                waiting.reply.data(&lines);
            } else if waiting.is_called_away() {
                waiting.reply.error(Errno::EINTR);
            } else {
                blocked.push(waiting);
            }
        }
    }

    /// What there is to read, at most so many bytes, in whole lines where one fits.
    fn take(&self, caller: &Caller, watch: &Watch, size: usize) -> Vec<u8> {
        let mut position = watch.position();
        if position.rest.is_empty() {
            self.fill(caller, &mut position);
        }
        let within = position.rest.len().min(size);
        let fitting = position.rest.get(..within).unwrap_or_default();
        let end = fitting.iter().rposition(|&byte| byte == b'\n').map_or(within, |newline| newline + 1);
        position.rest.drain(..end).collect()
    }

    fn fill(&self, caller: &Caller, position: &mut Position) {
        let batch = self.namespace.events(caller, position.behind, self.only.as_ref(), MOST);
        position.behind = batch.end;
        if batch.lost {
            let first = batch.shown.first().map_or(batch.end, |shown| Cursor(shown.cursor.0 - 1));
            push(&mut position.rest, &json!({ "cursor": first.0, "kind": "lost" }));
        }
        for shown in &batch.shown {
            push(&mut position.rest, &line(shown));
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
