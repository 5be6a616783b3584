//! The tables: how rows, revision and ledger are laid out in them, read and changed.
//!
//! Invariants:
//! - A stored row is 8 bytes of revision, most significant first, and the value.
//! - A batch whose conditions don't hold has changed nothing in the transaction.
//! - The revision, the rows and the ledger's sum are written by one transaction.
//!
//! It deliberately begins and ends no write transaction but the first, and treats every error alike.

use std::ops::Range;

use ::redb::{
    Database, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition, TableError,
    WriteTransaction,
};

use super::super::{Batch, Change, Commit, CommitError, Condition, Key, Ledger, Page, Row};
use super::ledger::Sum;
use super::total;
use super::trouble::{Trouble, guarded};
use crate::id::Revision;

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("keyfs.rows");
/// What is said about the store as a whole: [`FORMAT`], [`REVISION`], [`LEDGER`].
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("keyfs.about");
/// One byte, [`THIS_FORMAT`].
const FORMAT: &str = "format";
/// The last commit, 8 bytes.
const REVISION: &str = "revision";
/// The sum and its seal, 64 bytes; empty where there has never been a ledger.
const LEDGER: &str = "ledger";

pub(super) const THIS_FORMAT: u8 = 1;

/// What a table notes of a row's place, beside its key and value: where each of the two ends.
const PLACE_BYTES: usize = 8;

type Rows<'txn> = Table<'txn, &'static [u8], &'static [u8]>;

/// What became of each batch.
pub(super) type Answers = Vec<Result<Revision, CommitError>>;

/// The rows as of one commit.
pub(super) struct View {
    pub(super) revision: Revision,
    /// Which opening of the database it reads from.
    pub(super) generation: u64,
    /// What is stored as the ledger: `None` where someone took it away, empty where there has never been one.
    pub(super) ledger: Option<Vec<u8>>,
    rows: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

/// Makes the tables of an empty store.
pub(super) fn initialise(database: &Database) -> Result<(), Trouble> {
    let txn = database.begin_write()?;
    txn.open_table(ROWS)?;
    let mut about = txn.open_table(ABOUT)?;
    about.insert(FORMAT, [THIS_FORMAT].as_slice())?;
    about.insert(REVISION, 0_u64.to_be_bytes().as_slice())?;
    about.insert(LEDGER, [].as_slice())?;
    drop(about);
    Ok(txn.commit()?)
}

/// The store format of a database, or `None` where it is not a store.
pub(super) fn identify(database: &Database) -> Result<Option<u8>, Trouble> {
    match database.begin_read()?.open_table(ABOUT) {
        Ok(about) => Ok(about.get(FORMAT)?.and_then(|format| format.value().first().copied())),
        Err(TableError::Storage(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Writes what is to be the ledger.
pub(super) fn write_ledger(txn: &WriteTransaction, stored: &[u8]) -> Result<(), Trouble> {
    txn.open_table(ABOUT)?.insert(LEDGER, stored)?;
    Ok(())
}

impl View {
    /// The last commit of a database.
    pub(super) fn of(database: &Database, generation: u64) -> Result<Self, Trouble> {
        let txn = database.begin_read()?;
        let about = txn.open_table(ABOUT)?;
        let ledger = about.get(LEDGER)?.map(|stored| stored.value().to_vec());
        Ok(Self { revision: read_revision(&about)?, generation, ledger, rows: txn.open_table(ROWS)? })
    }

    /// See [`super::super::Snapshot::get`].
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Row>, Trouble> {
        self.rows.get(key)?.map(|stored| unpack(stored.value())).transpose()
    }

    /// See [`super::super::Snapshot::scan`].
    pub(super) fn scan(&self, range: Range<&[u8]>, page: Page) -> Result<Vec<(Key, Row)>, Trouble> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        if range.is_empty() {
            return Ok(found);
        }
        for entry in self.rows.range::<&[u8]>(range)? {
            if found.len() >= page.rows || (bytes >= page.bytes && !found.is_empty()) {
                break;
            }
            let (key, stored) = entry?;
            let (key, row) = (key.value().to_vec(), unpack(stored.value())?);
            bytes += key.len() + row.value.len();
            found.push((key, row));
        }
        Ok(found)
    }

    /// Bytes of all rows, as a table holds them.
    pub(super) fn bytes(&self) -> Result<u64, Trouble> {
        guarded(|| {
            let mut bytes = 0;
            for entry in self.rows.range::<&[u8]>(..)? {
                let (key, stored) = entry?;
                bytes += (key.value().len() + stored.value().len() + PLACE_BYTES) as u64;
            }
            Ok(bytes)
        })
    }

    /// Writes all of it into the tables of an empty database.
    pub(super) fn copy_to(&self, txn: &WriteTransaction) -> Result<(), Trouble> {
        let mut rows = txn.open_table(ROWS)?;
        for entry in self.rows.range::<&[u8]>(..)? {
            let (key, stored) = entry?;
            rows.insert(key.value(), stored.value())?;
        }
        let mut about = txn.open_table(ABOUT)?;
        about.insert(FORMAT, [THIS_FORMAT].as_slice())?;
        about.insert(REVISION, self.revision.0.to_be_bytes().as_slice())?;
        if let Some(ledger) = &self.ledger {
            about.insert(LEDGER, ledger.as_slice())?;
        }
        Ok(())
    }

    /// Whether two views show the same, to the byte.
    pub(super) fn equals(&self, other: &Self) -> Result<bool, Trouble> {
        guarded(|| {
            let (mut these, mut those) = (self.rows.range::<&[u8]>(..)?, other.rows.range::<&[u8]>(..)?);
            loop {
                match (these.next().transpose()?, those.next().transpose()?) {
                    (None, None) => return Ok((self.revision, &self.ledger) == (other.revision, &other.ledger)),
                    (Some(one), Some(other))
                        if one.0.value() == other.0.value() && one.1.value() == other.1.value() => {}
                    _ => return Ok(false),
                }
            }
        })
    }

    /// The sum of all rows' digests.
    pub(super) fn sum(&self, ledger: &dyn Ledger) -> Result<Sum, Trouble> {
        total::sum(&self.rows, ledger)
    }
}

pub(super) fn split(stored: &[u8]) -> Result<(Revision, &[u8]), Trouble> {
    let (revision, value) =
        stored.split_first_chunk().ok_or_else(|| Trouble::Damaged("a row is shorter than its revision".into()))?;
    Ok((Revision(u64::from_be_bytes(*revision)), value))
}

fn unpack(stored: &[u8]) -> Result<Row, Trouble> {
    split(stored).map(|(revision, value)| Row { revision, value: value.to_vec() })
}

fn read_revision(about: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Revision, Trouble> {
    let stored = about.get(REVISION)?;
    let bytes = stored.as_ref().and_then(|stored| stored.value().try_into().ok());
    let bytes = bytes.ok_or_else(|| Trouble::Damaged("its revision is missing".into()))?;
    Ok(Revision(u64::from_be_bytes(bytes)))
}

/// The sum of a ledger as a transaction goes on.
struct Tally<'a> {
    ledger: Option<&'a dyn Ledger>,
    sum: Sum,
}

impl<'a> Tally<'a> {
    fn read(
        about: &impl ReadableTable<&'static str, &'static [u8]>,
        ledger: Option<&'a dyn Ledger>,
    ) -> Result<Self, Trouble> {
        let mut sum = Sum::default();
        if ledger.is_some() {
            let stored = about.get(LEDGER)?;
            let stored = stored.as_ref().and_then(|stored| stored.value().first_chunk().copied());
            sum = Sum(stored.ok_or_else(|| Trouble::Damaged("its ledger is missing".into()))?);
        }
        Ok(Self { ledger, sum })
    }

    fn add(&mut self, key: &[u8], revision: Revision, value: &[u8]) {
        if let Some(ledger) = self.ledger {
            self.sum.add(ledger.digest(key, revision, value));
        }
    }

    fn take(&mut self, key: &[u8], stored: &[u8]) -> Result<(), Trouble> {
        if let Some(ledger) = self.ledger {
            let (revision, value) = split(stored)?;
            self.sum.take(ledger.digest(key, revision, value));
        }
        Ok(())
    }
}

/// Makes the changes of each batch whose conditions hold after those before it, and says what became of each. What it
/// returns are the commits of those that were taken; where there are none, nothing has been changed.
pub(super) fn apply_all(
    txn: &WriteTransaction,
    batches: &[&Batch],
    ledger: Option<&dyn Ledger>,
    answers: &mut Answers,
) -> Result<Vec<Commit>, Trouble> {
    let (mut rows, mut about) = (txn.open_table(ROWS)?, txn.open_table(ABOUT)?);
    let mut tally = Tally::read(&about, ledger)?;
    let mut revision = read_revision(&about)?;
    let mut commits = Vec::new();
    for batch in batches {
        if !all_hold(&rows, &batch.conditions)? {
            answers.push(Err(CommitError::Conflict));
            continue;
        }
        revision = Revision(revision.0 + 1);
        commits.push(apply(&mut rows, &batch.changes, revision, &mut tally)?);
        answers.push(Ok(revision));
    }
    if !commits.is_empty() {
        about.insert(REVISION, revision.0.to_be_bytes().as_slice())?;
        if let Some(ledger) = ledger {
            about.insert(LEDGER, tally.sum.sealed(ledger, revision).as_slice())?;
        }
    }
    Ok(commits)
}

fn all_hold(rows: &Rows<'_>, conditions: &[Condition]) -> Result<bool, Trouble> {
    for condition in conditions {
        let holds = match condition {
            Condition::At(key, revision) => match rows.get(key.as_slice())? {
                Some(stored) => split(stored.value())?.0 == *revision,
                None => false,
            },
            Condition::Absent(key) => rows.get(key.as_slice())?.is_none(),
            Condition::Present(key) => rows.get(key.as_slice())?.is_some(),
            Condition::RangeEmpty(from, to) => {
                from >= to || rows.range::<&[u8]>(from.as_slice()..to.as_slice())?.next().transpose()?.is_none()
            }
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

fn apply(
    rows: &mut Rows<'_>,
    changes: &[Change],
    revision: Revision,
    tally: &mut Tally<'_>,
) -> Result<Commit, Trouble> {
    let mut commit = Commit { revision, written: Vec::new(), deleted: Vec::new() };
    for change in changes {
        match change {
            Change::Put(key, value) => {
                let stored = [&revision.0.to_be_bytes(), value.as_slice()].concat();
                if let Some(before) = rows.insert(key.as_slice(), stored.as_slice())? {
                    tally.take(key, before.value())?;
                }
                tally.add(key, revision, value);
                commit.written.push(key.clone());
            }
            Change::Delete(key) => commit.deleted.extend(remove(rows, key, tally)?.then(|| key.clone())),
            Change::DeleteRange(from, to) => {
                let gone = if from < to { keys(rows, from, to)? } else { Vec::new() };
                for key in &gone {
                    remove(rows, key, tally)?;
                }
                commit.deleted.extend(gone);
            }
        }
    }
    commit.written.sort_unstable();
    commit.deleted.sort_unstable();
    Ok(commit)
}

/// Whether there was such a row.
fn remove(rows: &mut Rows<'_>, key: &[u8], tally: &mut Tally<'_>) -> Result<bool, Trouble> {
    match rows.remove(key)? {
        Some(before) => tally.take(key, before.value()).map(|()| true),
        None => Ok(false),
    }
}

fn keys(rows: &Rows<'_>, from: &[u8], to: &[u8]) -> Result<Vec<Key>, Trouble> {
    let keys = rows.range::<&[u8]>(from..to)?.map(|entry| entry.map(|(key, _)| key.value().to_vec()));
    Ok(keys.collect::<Result<_, StorageError>>()?)
}
