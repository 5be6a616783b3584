//! What changes, as it happens: the mount's stream of events, from now on or from a place in it.
//!
//! Invariant: a line that isn't understood is an error, never left out: whoever follows relies on seeing all of it.
//!
//! It deliberately tells users by number: who has names for numbers may be slow, and the stream goes on meanwhile.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use serde_json::Value as Json;

use super::{Error, Scope};
use crate::id::Uid;
use crate::key::Tree;

/// What is tried, for messages.
const FOLLOWING: &str = "follow";

/// A stream of changes that is being read.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    lines: BufReader<File>,
    /// What was read of a line whose end wasn't there yet.
    begun: Vec<u8>,
}

/// What came within a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Came {
    /// This.
    Told(Told),
    /// Nothing.
    Nothing,
    /// The end: the mount is gone.
    End,
}

/// What the stream tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// A change.
    Change(Event),
    /// Changes before this place in the stream are no longer known: what was seen is to be looked at anew.
    Lost(u64),
}

/// A change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Its place in the stream.
    pub cursor: u64,
    /// When it was made, RFC 3339.
    pub time: String,
    /// The environment.
    pub environment: String,
    /// The tree; `None` for a change of the environment itself.
    pub tree: Option<Tree>,
    /// The key, or directory.
    pub key: String,
    /// Its version; directories have none.
    pub version: Option<u64>,
    /// What was done: `put`, `remove`, `rename` and so on.
    pub kind: String,
    /// The other key of a `rename` or an `exchange`.
    pub to: Option<String>,
    /// Who made it.
    pub by: Uid,
}

impl Watch {
    /// Begins with the next change of the mount, or behind the one with this cursor. `scope` is any environment of the mount.
    ///
    /// # Errors
    ///
    /// That `.keyfs` is out of reach.
    pub fn open(scope: &Scope, since: Option<u64>) -> Result<Watch, Error> {
        Watch::open_as(scope, since, OFlags::empty())
    }

    /// The same, for whoever waits no longer than a time: by [`wait_for`](Watch::wait_for) alone.
    ///
    /// # Errors
    ///
    /// As for [`open`](Watch::open).
    pub fn open_for_a_time(scope: &Scope, since: Option<u64>) -> Result<Watch, Error> {
        Watch::open_as(scope, since, OFlags::NONBLOCK)
    }

    fn open_as(scope: &Scope, since: Option<u64>, flags: OFlags) -> Result<Watch, Error> {
        let (transactions, _) = scope.transactions("watching")?;
        let name = since.map_or_else(|| "events".to_owned(), |cursor| format!("events@{cursor}"));
        let path = transactions.with_file_name(name);
        let file = rustix::fs::open(&path, flags | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let file = file.map_err(|error| Error::system(FOLLOWING, &path, &error.into()))?;
        Ok(Watch { path, lines: BufReader::with_capacity(65_536, file.into()), begun: Vec::new() })
    }

    /// Waits for what comes next, for so long.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Watch::wait).
    pub fn wait_for(&mut self, time: Duration) -> Result<Came, Error> {
        let failed = |path: &Path, error: io::Error| Error::system(FOLLOWING, path, &error);
        let mut waited = false;
        loop {
            match self.lines.read_until(b'\n', &mut self.begun) {
                Ok(0) => return Ok(Came::End),
                Ok(_) => {
                    let line = std::mem::take(&mut self.begun);
                    let told = std::str::from_utf8(&line).ok().and_then(understood);
                    return told.map(Came::Told).ok_or_else(|| self.unclear());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if waited || !self.ready_within(time).map_err(|error| failed(&self.path, error))? {
                        return Ok(Came::Nothing);
                    }
                    waited = true;
                }
                Err(error) => return Err(failed(&self.path, error)),
            }
        }
    }

    fn ready_within(&self, time: Duration) -> io::Result<bool> {
        let time = Timespec::try_from(time).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut this = [PollFd::new(self.lines.get_ref(), PollFlags::IN)];
        match poll(&mut this, Some(&time)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn unclear(&self) -> Error {
        Error::System {
            doing: FOLLOWING,
            what: self.path.display().to_string(),
            reason: "it has a line that this version doesn't understand".to_owned(),
        }
    }

    /// Waits for what comes next; `None` if the mount is gone.
    ///
    /// # Errors
    ///
    /// That it can't be read, or isn't understood.
    pub fn wait(&mut self) -> Result<Option<Told>, Error> {
        let mut line = String::new();
        // A signal that somebody handles ends a wait, and nothing else.
        loop {
            match self.lines.read_line(&mut line) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::system(FOLLOWING, &self.path, &error)),
            }
        }
        understood(&line).map(Some).ok_or_else(|| self.unclear())
    }
}

fn understood(line: &str) -> Option<Told> {
    let line: Json = serde_json::from_str(line).ok()?;
    let text = |name: &str| line.get(name)?.as_str().map(str::to_owned);
    let number = |name: &str| line.get(name)?.as_u64();
    let cursor = number("cursor")?;
    let kind = text("kind")?;
    if kind == "lost" {
        return Some(Told::Lost(cursor));
    }
    Some(Told::Change(Event {
        cursor,
        time: text("time")?,
        environment: text("env").unwrap_or_default(),
        tree: text("tree").and_then(|tree| Tree::parse(&tree)),
        key: text("key").unwrap_or_default(),
        version: number("version"),
        kind,
        to: text("to"),
        by: Uid(number("uid")?.try_into().ok()?),
    }))
}

impl Event {
    /// Whether it is about keys that begin so. A directory that gets another name, or lets others in, takes all with it that is
    /// in it.
    pub fn concerns(&self, prefix: &str) -> bool {
        let with_all = ["rename", "exchange", "permission"].contains(&self.kind.as_str());
        let touches = |key: &str| {
            let within = || prefix.strip_prefix(key).is_some_and(|rest| rest.starts_with('/'));
            key.starts_with(prefix) || with_all && within()
        };
        touches(&self.key) || self.to.as_deref().is_some_and(touches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, key: &str, to: Option<&str>, version: Option<u64>) -> Event {
        let text = str::to_owned;
        Event {
            cursor: 1,
            time: text("2027-01-31T12:00:00Z"),
            environment: text("dev"),
            tree: Some(Tree::Variables),
            key: text(key),
            version,
            kind: text(kind),
            to: to.map(text),
            by: Uid(0),
        }
    }

    #[test]
    fn lines_are_understood_or_refused() {
        let line = r#"{"cursor":1,"time":"2027-01-31T12:00:00Z","env":"dev","tree":"variables","key":"a","version":2,"kind":"put","uid":0}"#;
        assert_eq!(understood(line), Some(Told::Change(event("put", "a", None, Some(2)))));
        assert_eq!(understood(r#"{"cursor":7,"kind":"lost"}"#), Some(Told::Lost(7)));
        for wrong in ["", "{}", r#"{"cursor":7}"#, r#"{"cursor":"7","kind":"lost"}"#, r#"{"cursor":7,"kind":"put"}"#] {
            assert_eq!(understood(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_prefix_is_text_and_directories_have_what_is_in_them() {
        for (event, prefix, concerned) in [
            (event("put", "app/url", None, Some(1)), "", true),
            (event("put", "app/url", None, Some(1)), "app/u", true),
            (event("put", "app/url", None, Some(1)), "app/url/", false),
            (event("permission", "app", None, None), "app/url", true),
            (event("permission", "app", None, None), "apple/url", false),
            (event("mkdir", "app", None, None), "app/url", false),
            (event("rename", "old", Some("app"), None), "app/url", true),
            (event("rename", "old", Some("app-x"), Some(3)), "app", true),
            (event("remove", "old", None, Some(3)), "old/key", false),
        ] {
            assert_eq!(event.concerns(prefix), concerned, "{event:?} {prefix}");
        }
    }
}
