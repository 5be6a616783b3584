//! From a decision to a commit: the decision names the rows that it rests on, and is taken again when one has moved.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::events::{Flight, Happened};
use super::row::{Malformed, Node, Times, key};
use super::view::{Spot, Stored, View};
use super::{Actor, Error, Namespace};
use crate::audit::{Event, Record};
use crate::clock::Timestamp;
use crate::id::{NodeId, Revision, Version};
use crate::key::Tree;
use crate::seal::Seal;
use crate::store::{Batch, Change, CommitError, Condition, Key};

/// So many conflicts are met before everybody else is asked to wait.
const PATIENT_TRIES: usize = 6;

/// So many are met in all: alone, one try is enough, unless somebody writes the store behind our back.
const TRIES: usize = 12;

/// Conditions and changes in the making.
pub(super) struct Draft<'a> {
    seal: &'a Seal,
    batch: Batch,
    /// What the audit log is to say, and the stream of changes.
    records: Vec<(Event, Happened)>,
    /// What the records take in memory.
    weight: usize,
    /// Nodes that are in the store no longer afterwards, as they were: somebody may have them open.
    pub(super) departing: Vec<(NodeId, Node)>,
    /// Whether anybody's permission to read may be another afterwards.
    pub(super) permissions_changed: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(seal: &'a Seal) -> Draft<'a> {
        Draft {
            seal,
            batch: Batch::default(),
            records: Vec::new(),
            weight: 0,
            departing: Vec::new(),
            permissions_changed: false,
        }
    }

    /// The row must not have been written since.
    pub(super) fn at(&mut self, key: Key, revision: Revision) {
        self.batch.conditions.push(Condition::At(key, revision));
    }

    /// There must be no such row.
    pub(super) fn absent(&mut self, key: Key) {
        self.batch.conditions.push(Condition::Absent(key));
    }

    /// The row must be as it was seen.
    pub(super) fn unchanged(&mut self, key: Key, seen: Option<Revision>) {
        match seen {
            Some(revision) => self.at(key, revision),
            None => self.absent(key),
        }
    }

    /// The directory must have no entry.
    pub(super) fn empty(&mut self, directory: NodeId) {
        let (from, to) = key::entries(directory);
        self.batch.conditions.push(Condition::RangeEmpty(from, to));
    }

    /// Writes a row.
    pub(super) fn put(&mut self, key: Key, mut content: Vec<u8>) {
        self.seal.authenticate(&key, &mut content);
        self.batch.changes.push(Change::Put(key, content));
    }

    /// Takes away a directory that has no entry. Whoever has it open still knows it.
    pub(super) fn delete_directory(&mut self, id: NodeId, directory: Stored<Node>, now: Timestamp) {
        self.at(key::node(id), directory.revision);
        self.delete(key::node(id));
        self.delete(key::times(id));
        self.departing.push((id, Node { removed: true, changed: now, ..directory.content }));
    }

    /// Takes a row away.
    pub(super) fn delete(&mut self, key: Key) {
        self.batch.changes.push(Change::Delete(key));
    }

    /// Notes that a directory's entries changed. Blindly, so that two changes in one directory don't conflict.
    pub(super) fn touch(&mut self, directory: NodeId, now: Timestamp) {
        self.put(key::times(directory), Times { modified: now, changed: now }.encode());
    }

    /// Takes every version of a node away.
    pub(super) fn delete_versions(&mut self, id: NodeId) {
        self.batch.changes.push(Change::DeleteRange(key::value(id, 0), key::value(id, u64::MAX)));
    }

    /// Takes up everything of another draft but its batch, which is returned.
    pub(super) fn absorb(&mut self, part: Draft<'_>) -> Batch {
        let Draft { batch, records, departing, permissions_changed, .. } = part;
        self.weight += records.iter().map(|(_, happened)| happened.weight()).sum::<usize>();
        self.records.extend(records);
        self.departing.extend(departing);
        self.permissions_changed |= permissions_changed;
        batch
    }

    /// What the records of the drafts that it took up take in memory.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// What is to be committed is this.
    pub(super) fn set_batch(&mut self, batch: Batch) {
        self.batch = batch;
    }

    /// What is to be committed, for those who commit it themselves.
    pub(super) fn into_batch(self) -> Batch {
        self.batch
    }

    /// What the audit log and the stream of changes are to say once the commit is made.
    pub(super) fn record(&mut self, event: Event, spot: Spot, version: Option<Version>) {
        let happened = Happened { kind: event.name(), spot, other: None, version };
        self.records.push((event, happened));
    }

    /// The same of a change that has two places.
    pub(super) fn record_both(&mut self, event: Event, spot: Spot, other: Spot, version: Option<Version>) {
        let happened = Happened { kind: event.name(), spot, other: Some(other), version };
        self.records.push((event, happened));
    }
}

impl Namespace {
    /// Takes the decision, commits it, and takes it again where a row has moved in between. A draft without changes is
    /// not committed.
    pub(super) fn change<T>(
        &self,
        actor: &dyn Actor,
        mut decide: impl FnMut(&View<'_>, &mut Draft<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        for attempt in 0..TRIES {
            let (shared, alone) = if attempt < PATIENT_TRIES {
                (Some(self.patience.read().unwrap_or_else(PoisonError::into_inner)), None)
            } else {
                (None, Some(self.patience.write().unwrap_or_else(PoisonError::into_inner)))
            };
            let view = self.view()?;
            let mut draft = Draft::new(&self.seal);
            let answer = match decide(&view, &mut draft) {
                // It changed nothing, and there are newer rows to decide on.
                Err(Error::Superseded) => continue,
                answer => answer?,
            };
            let Draft { batch, records, departing, permissions_changed, .. } = draft;
            if batch.changes.is_empty() {
                return Ok(answer);
            }
            // A change of secrets takes a log that is written to; any other, one whose backlog has an end.
            if records.iter().any(|(_, happened)| happened.spot.address.tree == Some(Tree::Secrets)) {
                self.audit.ready()?;
            } else {
                self.audit.has_room()?;
            }
            // What was seen is not held while it is replaced.
            drop(view);
            self.overlay.depart(&departing);
            let flight = self.events.begin();
            let committed = self.store.commit(batch);
            drop((shared, alone));
            match committed {
                Ok(revision) => {
                    self.commits.fetch_add(1, Ordering::Relaxed);
                    // Again, for who opened one while it was committed.
                    self.overlay.depart(&departing);
                    if permissions_changed {
                        self.permissions_changed();
                    }
                    self.write_records(actor, revision, flight, records);
                    return Ok(answer);
                }
                Err(CommitError::Conflict) => {}
                Err(error) => {
                    // What may have been made is to be noticed by those who were let in before, and by those who follow what changes.
                    if matches!(error, CommitError::Unknown(_)) {
                        self.events.lose();
                        if permissions_changed {
                            self.permissions_changed();
                        }
                    }
                    if !matches!(error, CommitError::NoSpace) {
                        log::error!("{error}");
                    }
                    return Err(error.into());
                }
            }
        }
        Err(Error::Busy)
    }

    fn write_records(
        &self,
        actor: &dyn Actor,
        revision: Revision,
        flight: Flight<'_>,
        records: Vec<(Event, Happened)>,
    ) {
        let time = self.clock.now();
        let mut all = Vec::with_capacity(records.len());
        if !records.is_empty() {
            let process = actor.process();
            for (event, happened) in records {
                let (address, version) = (Some(happened.spot.address.clone()), happened.version);
                self.audit.note(&Record { time, event, address, version, process: Some(process.clone()) });
                all.push(happened);
            }
        }
        flight.arrived(revision, time, actor.uid(), all);
    }
}

/// A node id that no node has had, but for a chance of one in 2^63: the commit that makes the node insists on it.
pub(super) fn draw_id() -> Result<NodeId, Error> {
    let mut bytes = [0; 8];
    crate::seal::random(&mut bytes)?;
    let id = u64::from_be_bytes(bytes) & i64::MAX as u64;
    Ok(NodeId(if id < NodeId::FIRST_RANDOM { id + NodeId::FIRST_RANDOM } else { id }))
}

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Error {
        Error::Tampered("a row's content is malformed".into())
    }
}
