//! The control files under `.keyfs/`: status, metrics, history, events and transactions. They can be reached by name and are not listed.
//!
//! Invariants:
//! - The kernel relies on nothing that it was told here: each look is a request, and each request asks what the caller may see.
//!
//! It deliberately decides nothing about the history itself: `tree` says who sees what.

use std::fmt::Display;
use std::time::SystemTime;

use fuser::{FileAttr, FileType};
use serde_json::{Map, Value, json};

use super::dir::Line;
use super::handle::Handle;
use super::inode::{Inode, NOTHING};
use super::places::{PLACE_BIT, Place};
use super::{Adapter, Info};
use crate::id::NodeId;
use crate::key::{Name, Tree};
use crate::tree::{Actor, Cursor, Error, Past, PastVersion};

/// The directory's name.
pub(super) const NAME: &str = ".keyfs";
/// Its number.
pub(super) const TOP: u64 = 0;
const STATUS: u64 = 1;
const METRICS: u64 = 2;
const HISTORY: u64 = 3;
/// The directory that transactions are begun in, and the one that they are moved to.
pub(super) const TRANSACTIONS: u64 = 4;
pub(super) const COMMIT: u64 = 5;
const EVENTS: u64 = 6;
/// Set in the numbers of the stream of changes from a place on.
const CURSOR_BIT: u64 = 1 << 60;
/// What stands before that place in its name.
const FROM: &str = "events@";
/// The number of the stream from a place on; `None` where it is too far for one.
fn number_of(Cursor(cursor): Cursor) -> Option<u64> {
    (cursor < CURSOR_BIT).then_some(cursor | CURSOR_BIT)
}

/// From which place on a number has the stream.
fn cursor_of(number: u64) -> Option<Cursor> {
    (number & PLACE_BIT == 0 && number & CURSOR_BIT != 0).then_some(Cursor(number & !CURSOR_BIT))
}

impl Adapter {
    /// What a name under `.keyfs/` stands for. The kernel counts it as known once it was told.
    pub(super) fn control_lookup(&self, actor: &dyn Actor, parent: u64, name: &Name) -> Result<FileAttr, Error> {
        match (parent, name.as_str()) {
            (TOP, "status") => self.control_attributes(actor, STATUS),
            (TOP, "metrics") => self.control_attributes(actor, METRICS),
            (TOP, "history") => self.control_attributes(actor, HISTORY),
            (TOP, "transactions") => self.control_attributes(actor, TRANSACTIONS),
            (TOP, "commit") => self.control_attributes(actor, COMMIT),
            (TOP, "events") => self.control_attributes(actor, EVENTS),
            (TOP, name) => {
                let cursor = name.strip_prefix(FROM).and_then(|number| number.parse().ok()).ok_or(Error::NotFound)?;
                self.control_attributes(actor, number_of(Cursor(cursor)).ok_or(Error::NotFound)?)
            }
            (TRANSACTIONS, _) => Ok(self.staged_attributes(self.namespace.transaction(name)?)),
            (HISTORY, _) => self.known(self.history_top(name)?),
            (number, _) => {
                let place = self.places.get(number).ok_or(Error::NotFound)?;
                self.known(self.history_below(actor, place, name)?)
            }
        }
    }

    fn known(&self, (place, attributes): (Place, FileAttr)) -> Result<FileAttr, Error> {
        let number = |control| self.root.number(Inode::Control(control));
        let (told, surplus) = self.places.tell(&place);
        for (directory, name) in surplus {
            self.invalidator.unneeded(number(directory), name.into());
        }
        Ok(FileAttr { ino: number(told), ..attributes })
    }

    fn history_top(&self, name: &Name) -> Result<(Place, FileAttr), Error> {
        match &self.info.environment {
            None => Ok((Place::Environment(self.namespace.environment(name)?), self.control_directory())),
            Some(_) => self.history_tree(self.root.0, name),
        }
    }

    fn history_tree(&self, environment: NodeId, name: &Name) -> Result<(Place, FileAttr), Error> {
        let tree = Tree::parse(name.as_str()).ok_or(Error::NotFound)?;
        let root = self.namespace.tree_root(environment, tree)?;
        Ok((Place::Path(root, Vec::new()), self.control_directory()))
    }

    fn history_below(&self, actor: &dyn Actor, place: Place, name: &Name) -> Result<(Place, FileAttr), Error> {
        let (root, names) = match place {
            Place::Environment(id) => return self.history_tree(id, name),
            Place::Path(root, names) => (root, names),
            Place::Version(..) => return Err(Error::NotADirectory),
        };
        // Of a large directory each name is asked for when it is listed, so nothing is looked at that its name rules out.
        let numbered = name.as_bytes().iter().all(u8::is_ascii_digit);
        let versions = if numbered { self.namespace.past_versions(actor, root, &names)? } else { Vec::new() };
        if let Some(found) = versions.iter().find(|past| past.version.to_string() == name.as_str()) {
            let attributes = self.version_attributes(found);
            return Ok((Place::Version(root, names, found.version), attributes));
        }
        let mut names = names;
        names.push(name.clone());
        self.namespace.is_past(actor, root, &names)?;
        Ok((Place::Path(root, names), self.control_directory()))
    }

    /// The attributes of a control file.
    pub(super) fn control_attributes(&self, actor: &dyn Actor, number: u64) -> Result<FileAttr, Error> {
        let attributes = match number {
            TOP | HISTORY => self.control_directory(),
            // Whoever began one moves it, and nobody else.
            TRANSACTIONS => FileAttr { perm: 0o1777, ..self.control_directory() },
            COMMIT => FileAttr { perm: 0o777, ..self.control_directory() },
            number if number == EVENTS || number == STATUS || number == METRICS || cursor_of(number).is_some() => {
                FileAttr { kind: FileType::RegularFile, perm: 0o444, nlink: 1, ..self.control_directory() }
            }
            number => match self.places.get(number).ok_or(Error::Gone)? {
                Place::Environment(_) | Place::Path(..) => self.control_directory(),
                Place::Version(root, names, version) => {
                    let versions = self.namespace.past_versions(actor, root, &names)?;
                    let found = versions.iter().find(|past| past.version == version);
                    self.version_attributes(found.ok_or(Error::Gone)?)
                }
            },
        };
        Ok(FileAttr { ino: self.root.number(Inode::Control(number)), ..attributes })
    }

    fn control_directory(&self) -> FileAttr {
        let time = self.info.started;
        let Info { owner, group, .. } = self.info;
        let times = FileAttr { atime: time, mtime: time, ctime: time, crtime: time, ..NOTHING };
        FileAttr { kind: FileType::Directory, perm: 0o555, nlink: 2, uid: owner.0, gid: group.0, ..times }
    }

    /// Anybody may read it as far as its mode goes: opening it asks the entry's permissions and its own.
    fn version_attributes(&self, past: &PastVersion) -> FileAttr {
        let time = SystemTime::from(past.at);
        FileAttr {
            kind: FileType::RegularFile,
            perm: 0o444,
            nlink: 1,
            size: past.size,
            blocks: past.size.div_ceil(512),
            uid: past.by.0,
            mtime: time,
            ctime: time,
            ..self.control_directory()
        }
    }

    /// The names in a control directory.
    pub(super) fn control_list(&self, actor: &dyn Actor, number: u64) -> Result<Vec<Line>, Error> {
        let line = |name: String, number: u64, kind| Line { name, inode: Inode::Control(number), kind };
        let directory = |name: &str, place: &Place| line(name.to_owned(), place.number(), FileType::Directory);
        let trees = |environment| {
            let tree = |tree: Tree| {
                let root = self.namespace.tree_root(environment, tree)?;
                Ok(directory(tree.as_str(), &Place::Path(root, Vec::new())))
            };
            Tree::ALL.into_iter().map(tree).collect()
        };
        match number {
            TOP => Ok(vec![
                line("commit".into(), COMMIT, FileType::Directory),
                line("events".into(), EVENTS, FileType::RegularFile),
                line("history".into(), HISTORY, FileType::Directory),
                line("metrics".into(), METRICS, FileType::RegularFile),
                line("status".into(), STATUS, FileType::RegularFile),
                line("transactions".into(), TRANSACTIONS, FileType::Directory),
            ]),
            COMMIT => Ok(Vec::new()),
            TRANSACTIONS => Ok(self.transaction_lines(actor)),
            HISTORY if self.info.environment.is_some() => trees(self.root.0),
            HISTORY => {
                let names = self.namespace.environments()?;
                let place =
                    |name: Name| Ok(directory(name.as_str(), &Place::Environment(self.namespace.environment(&name)?)));
                names.into_iter().map(place).collect()
            }
            number => match self.places.get(number).ok_or(Error::NotADirectory)? {
                Place::Environment(id) => trees(id),
                Place::Version(..) => Err(Error::NotADirectory),
                Place::Path(root, names) => {
                    let Past { versions, names: below } = self.namespace.past(actor, root, &names)?;
                    let mut lines = Vec::new();
                    for past in &versions {
                        let place = Place::Version(root, names.clone(), past.version);
                        lines.push(line(past.version.to_string(), place.number(), FileType::RegularFile));
                    }
                    for name in below {
                        let mut path = names.clone();
                        path.push(name.clone());
                        lines.push(directory(name.as_str(), &Place::Path(root, path)));
                    }
                    Ok(lines)
                }
            },
        }
    }

    /// Opens a control file to read it.
    pub(super) fn control_open(&self, actor: &dyn Actor, number: u64) -> Result<Handle, Error> {
        match number {
            STATUS => Ok(Handle::Text(self.status()?.into_bytes())),
            METRICS => Ok(Handle::Text(self.metrics_text()?.into_bytes())),
            number if number == EVENTS || cursor_of(number).is_some() => {
                let behind = cursor_of(number).unwrap_or_else(|| self.namespace.events_end());
                Ok(Handle::Events(self.watchers.open_stream(actor.uid(), behind)?))
            }
            number => match self.places.get(number).ok_or(Error::Gone)? {
                Place::Version(root, names, version) => {
                    let file = self.namespace.open_version(actor, root, &names, version)?;
                    Ok(Handle::File { file, program: None, mapped: false.into() })
                }
                Place::Environment(_) | Place::Path(..) => Err(Error::IsADirectory),
            },
        }
    }

    /// The daemon's state as JSON, for people and scripts.
    fn status(&self) -> Result<String, Error> {
        let usage = self.namespace.store().usage()?;
        let totals = self.namespace.totals();
        let mut environments = Map::new();
        for count in self.namespace.count()? {
            let trees = environments.entry(count.environment.to_string()).or_insert_with(|| json!({}));
            if let Value::Object(trees) = trees {
                trees.insert(count.tree.to_string(), json!(count.keys));
            }
        }
        let info = &self.info;
        let status = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "uptime_seconds": info.started.elapsed().unwrap_or_default().as_secs(),
            "mount": info.mount_point.to_string_lossy(),
            "environment": info.environment.as_ref().map(ToString::to_string),
            "store": {
                "id": info.store_id.to_string(),
                "path": info.store_path.to_string_lossy(),
                "created": self.namespace.created()?.to_string(),
                "size_bytes": usage.size,
                "free_bytes": usage.free,
            },
            "audit_log": info.audit_path.to_string_lossy(),
            "value_limit_bytes": self.namespace.limits().value,
            "memory_locked": info.memory_locked,
            "keys": environments,
            "open_files": totals.open_files,
            "transactions": self.namespace.transactions(),
            "commits": totals.commits,
            "secrets_granted": totals.granted,
            "secrets_denied": totals.denied,
        });
        Ok(format!("{status:#}\n"))
    }

    fn metrics_text(&self) -> Result<String, Error> {
        let usage = self.namespace.store().usage()?;
        let (totals, syncs) = (self.namespace.totals(), self.namespace.store().syncs());
        let mut text = self.metrics.text();
        let mut add = |name: &str, kind: &str, help: &str, value: &dyn Display| {
            text.push_str(&format!("# HELP keyfs_{name} {help}\n# TYPE keyfs_{name} {kind}\nkeyfs_{name} {value}\n"));
        };
        add("secrets_granted_total", "counter", "Decisions that let a process read a secret.", &totals.granted);
        add("secrets_denied_total", "counter", "Decisions that kept a process from a secret.", &totals.denied);
        add("commits_total", "counter", "Changes committed to the store.", &totals.commits);
        add("open_files", "gauge", "Files that are open.", &totals.open_files);
        add("store_size_bytes", "gauge", "What the store takes on its medium.", &usage.size);
        add("store_free_bytes", "gauge", "What the store may still take.", &usage.free);
        add(
            "store_syncs_total",
            "counter",
            "Syncs of the store's medium, one for each group of commits.",
            &syncs.count,
        );
        let [time, slowest] = [syncs.time, syncs.slowest].map(|time| time.as_secs_f64());
        add("store_sync_seconds_total", "counter", "Time that these took.", &time);
        add("store_slowest_sync_seconds", "gauge", "The longest of them.", &slowest);
        add("history_places", "gauge", "Places of the history that the kernel knows.", &self.places.count());
        let uptime = self.info.started.elapsed().unwrap_or_default().as_secs();
        add("uptime_seconds", "gauge", "Time since the mount.", &uptime);
        Ok(text)
    }
}
