//! The audit log: one JSON line for each decision on a secret's value and for each change.
//!
//! Invariants:
//! - A record is written with one `write(2)` at the end of the log, so that lines of several writers don't mix.
//! - A decision's record is written before the value is handed out; where it can't be, the value isn't.
//! - A change's record that could not be written is kept and comes before the next one; until it is written, secrets
//!   are refused.
//! - No record holds a value.
//!
//! It deliberately does not rotate or ship logs: the file is reopened on request, so that logrotate can.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serializer as _;
use thiserror::Error;

use crate::clock::Timestamp;
use crate::id::{Gid, StoreId, Uid, Version};
use crate::key::{Environment, Name, Tree};

/// Once so many bytes of records are kept back, variables are not changed any longer either.
const LONGEST_BACKLOG: usize = 1 << 20;

/// The log can't be written.
#[derive(Debug, Error)]
#[error("the audit log can't be written: {0}")]
pub struct AuditError(#[source] pub io::Error);

/// Where records go.
pub trait Sink: Send {
    /// Writes one or more whole lines, all or nothing as far as the medium allows.
    fn append(&mut self, lines: &[u8]) -> io::Result<()>;

    /// Begins anew at the place where the log is expected, for the sake of whoever moved it away.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that grows.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    file: File,
    /// Whether the last write broke off within a line.
    torn: bool,
}

impl FileSink {
    /// Opens the log at `path`, or makes it, readable by its owner alone.
    pub fn open(path: &Path) -> io::Result<FileSink> {
        let file = FileSink::file(path)?;
        Ok(FileSink { path: path.into(), file, torn: false })
    }

    fn file(path: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(path)
    }
}

impl Sink for FileSink {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        let written = self.file.write(lines)?;
        if written == lines.len() {
            return Ok(());
        }
        self.torn = true;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = FileSink::file(&self.path)?;
        self.torn = false;
        Ok(())
    }
}

/// An entry as people name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// The environment; `None` for the directory of all of them.
    pub environment: Option<Environment>,
    /// The tree; `None` for an environment itself.
    pub tree: Option<Tree>,
    /// The key, its names joined by `/`; empty for a tree's root.
    pub key: String,
}

impl Address {
    /// What has a name in this tree's root, or in this directory of a tree.
    #[must_use]
    pub fn below(&self, name: &Name) -> Address {
        let key = if self.key.is_empty() { name.to_string() } else { format!("{}/{name}", self.key) };
        Address { key, ..self.clone() }
    }
}

/// Who asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// The process; the thread that asked where the process was not needed to decide, or could not be learnt; 0 in a foreign
    /// pid namespace.
    pub pid: u32,
    /// Its filesystem uid.
    pub uid: Uid,
    /// Its filesystem gid.
    pub gid: Gid,
    /// The program that it runs, where that could be learnt.
    pub executable: Option<PathBuf>,
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A secret's value was granted, by this rule.
    Granted {
        /// The rule, as text.
        rule: String,
        /// The group that matched.
        group: Gid,
    },
    /// A secret's value was refused, for this reason.
    Denied {
        /// The reason, as text.
        reason: String,
    },
    /// A value was stored.
    Put,
    /// An entry was removed.
    Remove,
    /// A directory was made.
    MakeDirectory,
    /// An entry was renamed to this address.
    Rename {
        /// Where it is now.
        to: Address,
    },
    /// Two entries took each other's place.
    Exchange {
        /// The other one.
        with: Address,
    },
    /// Owner, group, mode or ACL were set.
    Permission {
        /// Owner, group, mode and group permissions after the change, as text.
        now: String,
    },
    /// An attribute was set or removed.
    Attribute {
        /// Its name.
        name: String,
    },
    /// What the store holds is not what was put there.
    Tampered {
        /// What was found, as text.
        what: String,
    },
}

impl Event {
    /// What the log calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Granted { .. } => "granted",
            Event::Denied { .. } => "denied",
            Event::Put => "put",
            Event::Remove => "remove",
            Event::MakeDirectory => "mkdir",
            Event::Rename { .. } => "rename",
            Event::Exchange { .. } => "exchange",
            Event::Permission { .. } => "permission",
            Event::Attribute { .. } => "attribute",
            Event::Tampered { .. } => "tampered",
        }
    }
}

/// One line of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// When.
    pub time: Timestamp,
    /// What.
    pub event: Event,
    /// To which entry; `None` where that could not be learnt.
    pub address: Option<Address>,
    /// Which version of its value.
    pub version: Option<Version>,
    /// By whom; `None` for what the daemon found by itself.
    pub process: Option<Process>,
}

impl Record {
    fn line(&self, store: &str) -> Vec<u8> {
        let mut line = Line::new();
        line.text("time", self.time);
        line.text("event", self.event.name());
        line.text("store", store);
        if let Some(address) = &self.address {
            line.text_or_null("env", address.environment.as_ref());
            line.text_or_null("tree", address.tree.map(Tree::as_str));
            line.text("key", &address.key);
        }
        if let Some(version) = self.version {
            line.number("version", version.0);
        }
        if let Some(process) = &self.process {
            line.number("pid", process.pid.into());
            line.number("uid", process.uid.0.into());
            line.number("gid", process.gid.0.into());
            line.text_or_null("exe", process.executable.as_ref().map(|path| path.display()));
        }
        match &self.event {
            Event::Granted { rule, group } => {
                line.number("group", group.0.into());
                line.text("rule", rule);
            }
            Event::Denied { reason } => line.text("reason", reason),
            Event::Rename { to: other } | Event::Exchange { with: other } => {
                line.text_or_null("to_env", other.environment.as_ref());
                line.text("to_key", &other.key);
            }
            Event::Permission { now } => line.text("now", now),
            Event::Attribute { name } => line.text("attribute", name),
            Event::Tampered { what } => line.text("what", what),
            Event::Put | Event::Remove | Event::MakeDirectory => {}
        }
        line.finish()
    }
}

/// An object of JSON in one line, as it is put together. There is one for each secret that is opened, so it is written at once
/// instead of being built first.
struct Line(Vec<u8>);

impl Line {
    fn new() -> Line {
        let mut text = Vec::with_capacity(512);
        text.push(b'{');
        Line(text)
    }

    fn begin(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        // A key of ours has nothing to escape.
        self.0.extend_from_slice(b"\"");
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn number(&mut self, key: &str, number: u64) {
        self.begin(key);
        let _ = write!(self.0, "{number}");
    }

    fn text(&mut self, key: &str, text: impl Display) {
        self.begin(key);
        let mut serializer = serde_json::Serializer::new(&mut self.0);
        // Memory takes every byte.
        let _ = serializer.collect_str(&text);
    }

    fn text_or_null(&mut self, key: &str, text: Option<impl Display>) {
        match text {
            Some(text) => self.text(key, text),
            None => {
                self.begin(key);
                self.0.extend_from_slice(b"null");
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"}\n");
        self.0
    }
}

struct Log {
    sink: Box<dyn Sink>,
    /// Lines of changes that happened and could not be written yet.
    backlog: Vec<u8>,
}

/// The audit log of one store.
pub struct Audit {
    /// The store's id, as each record has it.
    store: String,
    log: Mutex<Log>,
}

impl Audit {
    /// A log that goes to `sink`.
    pub fn new(store: StoreId, sink: Box<dyn Sink>) -> Audit {
        Audit { store: store.to_string(), log: Mutex::new(Log { sink, backlog: Vec::new() }) }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what was kept back, if anything was. Until it succeeds no secret is to be touched.
    pub fn ready(&self) -> Result<(), AuditError> {
        self.log().catch_up()
    }

    /// Whether the record of one more change could be kept, were the log not to be written. Until it is so, nothing is to
    /// be changed.
    pub fn has_room(&self) -> Result<(), AuditError> {
        let mut log = self.log();
        if log.backlog.len() < LONGEST_BACKLOG { Ok(()) } else { log.catch_up() }
    }

    /// Writes a decision's record. Where it fails, nothing is to be handed out.
    pub fn decide(&self, record: &Record) -> Result<(), AuditError> {
        let line = record.line(&self.store);
        let mut log = self.log();
        log.catch_up()?;
        log.sink.append(&line).map_err(AuditError)
    }

    /// Writes the record of what has happened already: where it can't be written now, it is kept for later.
    pub fn note(&self, record: &Record) {
        let line = record.line(&self.store);
        let mut log = self.log();
        let written = log.catch_up().and_then(|()| log.sink.append(&line).map_err(AuditError));
        if let Err(error) = written {
            log::error!("{error}; secrets are refused until it can");
            // However long it is: what stands in it has happened, and `has_room` lets no more happen.
            log.backlog.extend_from_slice(&line);
        }
    }

    /// Begins the log anew where it is expected.
    pub fn reopen(&self) -> Result<(), AuditError> {
        self.log().sink.reopen().map_err(AuditError)
    }
}

impl Log {
    fn catch_up(&mut self) -> Result<(), AuditError> {
        // Line by line: of a log that breaks off in the middle, what it has is not written once more.
        let (mut done, mut written) = (0, Ok(()));
        for line in self.backlog.split_inclusive(|byte| *byte == b'\n') {
            written = self.sink.append(line);
            if written.is_err() {
                break;
            }
            done += line.len();
        }
        self.backlog.drain(..done);
        written.map_err(AuditError)
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Audit({})", self.store)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<(Vec<u8>, bool)>>);

    impl Sink for Paper {
        fn append(&mut self, lines: &[u8]) -> io::Result<()> {
            let mut paper = self.0.lock().unwrap();
            if paper.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            paper.0.extend_from_slice(lines);
            Ok(())
        }
    }

    fn record(event: Event) -> Record {
        Record {
            time: Timestamp(0),
            event,
            address: Some(Address {
                environment: Environment::parse("prod").ok(),
                tree: Some(Tree::Secrets),
                key: "db/pass\"word\n".into(),
            }),
            version: Some(Version(3)),
            process: Some(Process { pid: 7, uid: Uid(1), gid: Gid(2), executable: Some("/bin/cat".into()) }),
        }
    }

    /// A log with room for some bytes, which writes what fits.
    #[derive(Clone, Default)]
    struct Narrow(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Sink for Narrow {
        fn append(&mut self, lines: &[u8]) -> io::Result<()> {
            let mut narrow = self.0.lock().unwrap();
            let fits = lines.len().min(narrow.1 - narrow.0.len());
            narrow.0.extend_from_slice(&lines[..fits]);
            if fits == lines.len() {
                return Ok(());
            }
            narrow.0.push(b'\n');
            narrow.1 += 1;
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn what_was_kept_back_is_written_once_however_little_room_there_is() {
        let log = Narrow::default();
        let audit = Audit::new(StoreId([9; 16]), Box::new(log.clone()));
        let versions: Vec<u64> = (1..=5).collect();
        for version in &versions {
            audit.note(&Record { version: Some(Version(*version)), ..record(Event::Put) });
        }
        while audit.ready().is_err() {
            log.0.lock().unwrap().1 += 300;
        }
        let text = String::from_utf8(log.0.lock().unwrap().0.clone()).unwrap();
        let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let written: Vec<_> = whole.filter_map(|line| line["version"].as_u64()).collect();
        assert_eq!(written, versions);
    }

    #[test]
    fn a_record_is_one_line_of_json() {
        let paper = Paper::default();
        let audit = Audit::new(StoreId([9; 16]), Box::new(paper.clone()));
        audit.decide(&record(Event::Granted { rule: "group 2".into(), group: Gid(2) })).unwrap();
        let text = String::from_utf8(paper.0.lock().unwrap().0.clone()).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["event"], "granted");
        assert_eq!(line["key"], "db/pass\"word\n");
        assert_eq!((&line["pid"], &line["group"], &line["version"]), (&json!(7), &json!(2), &json!(3)));
        assert_eq!(line["exe"], "/bin/cat");
    }

    #[test]
    fn a_change_that_could_not_be_recorded_comes_first_later() {
        let paper = Paper::default();
        let audit = Audit::new(StoreId([9; 16]), Box::new(paper.clone()));
        paper.0.lock().unwrap().1 = true;
        audit.note(&record(Event::Put));
        assert!(audit.ready().is_err());
        assert!(audit.decide(&record(Event::Remove)).is_err());
        paper.0.lock().unwrap().1 = false;
        audit.ready().unwrap();
        audit.decide(&record(Event::Denied { reason: "no".into() })).unwrap();
        let text = String::from_utf8(paper.0.lock().unwrap().0.clone()).unwrap();
        let events: Vec<_> =
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone()).collect();
        assert_eq!(events, ["put", "denied"]);
    }
}
