//! A store's first rows, and the way from locked rows to a namespace.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::change::Draft;
use super::create::draft_namespace;
use super::row::{self, Format, Settings, key};
use super::{Error, Namespace};
use crate::clock::Timestamp;
use crate::id::{Gid, StoreId, Uid};
use crate::seal::identity::Identities;
use crate::seal::{Fingerprint, Seal, SealError, StoreKey};
use crate::store::{CommitError, Page, Store, StoreError};

/// How many versions of a value a new store keeps.
const VERSIONS: u32 = 10;

/// Why a store could not be made or unlocked.
#[derive(Debug, Error)]
pub enum SetupError {
    /// It holds no keyfs rows.
    #[error("this is a database, but not a keyfs store")]
    NotAStore,
    /// It is of a format that this version does not know.
    #[error("the store is of a format that this version of keyfs does not know; use a newer one")]
    Format,
    /// Something in it is not what was put there.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The key, the seal or the memory for them.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The medium.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The medium, while the first rows were written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// A store and the keys to it.
pub struct Parts {
    /// The rows.
    pub store: Arc<dyn Store>,
    /// The keys.
    pub seal: Arc<Seal>,
    /// The store's settings.
    pub settings: Settings,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parts({:?})", self.seal)
    }
}

impl From<Error> for SetupError {
    fn from(error: Error) -> SetupError {
        SetupError::Damaged(error.to_string())
    }
}

/// The keys of a store that is to be made.
#[derive(Debug)]
pub struct NewStore {
    /// Its id.
    pub id: StoreId,
    /// Its key.
    pub key: StoreKey,
    /// The keys that come from it.
    pub seal: Arc<Seal>,
}

impl NewStore {
    /// Draws an id and a key. What is sealed can also be opened by the identities, and by age alone.
    pub fn draw(identities: &Identities) -> Result<NewStore, SealError> {
        let mut id = [0; 16];
        crate::seal::random(&mut id)?;
        let (id, key) = (StoreId(id), StoreKey::generate()?);
        let seal = Arc::new(Seal::new(id, &key, identities.recipients())?);
        Ok(NewStore { id, key, seal })
    }
}

/// Writes the first rows of a store: its format, its key in a slot for the identities, and the default environments.
pub fn create(
    store: &dyn Store,
    new: &NewStore,
    identities: &Identities,
    owner: (Uid, Gid),
    now: Timestamp,
) -> Result<(), SetupError> {
    let recipients = identities.recipients();
    let mut draft = Draft::new(&new.seal);
    draft.absent(key::FORMAT.to_vec());
    draft.put(key::FORMAT.to_vec(), Format { store: new.id, created: now }.encode());
    draft.put(key::slot(0), row::encode_bytes(&new.key.to_slot(&recipients)?));
    let text: String = recipients.iter().map(|recipient| format!("{recipient}\n")).collect();
    draft.put(key::RECIPIENTS.to_vec(), row::encode_bytes(text.as_bytes()));
    draft.put(key::SETTINGS.to_vec(), Settings { versions: VERSIONS }.encode());
    draft_namespace(&mut draft, owner.0, owner.1, now, super::change::draw_id)?;
    store.commit(draft.into_batch())?;
    Ok(())
}

/// What a store says of itself before it is unlocked. Nothing of it is to be trusted yet.
pub fn format(store: &dyn Store) -> Result<Format, SetupError> {
    let row = store.snapshot()?.get(key::FORMAT)?.ok_or(SetupError::NotAStore)?;
    let content = untagged(&row.value).ok_or(SetupError::Format)?;
    Format::decode(content).map_err(|row::Malformed| SetupError::Format)
}

/// Unlocks a store. Its key must have the fingerprint that is on record for it.
pub fn unlock(store: Arc<dyn Store>, identities: &Identities, expected: &Fingerprint) -> Result<Parts, SetupError> {
    let Format { store: id, .. } = format(&*store)?;
    let snapshot = store.snapshot()?;
    let (from, to) = key::slots();
    let slots = snapshot.scan(from.as_slice()..to.as_slice(), Page { rows: 64, bytes: 1 << 20 })?;
    // No slot can be checked before one is opened: whoever wrote a false one fails at the fingerprint.
    let files = slots.iter().filter_map(|(_, row)| row::decode_bytes(untagged(&row.value)?).ok());
    let store_key = StoreKey::from_slots(files, identities)?;
    if store_key.fingerprint(id) != *expected {
        return Err(SealError::WrongFingerprint.into());
    }
    // To read what the store says of its recipients takes its key already.
    let bare = Seal::new(id, &store_key, Vec::new())?;
    let read = |key: &[u8]| -> Result<Vec<u8>, SetupError> {
        let mut row = snapshot.get(key)?.ok_or_else(|| damaged(key, "is missing"))?;
        bare.verify(key, &mut row.value).map_err(|_| damaged(key, "does not carry its tag"))?;
        Ok(row.value)
    };
    read(key::FORMAT)?;
    for (key, _) in &slots {
        read(key)?;
    }
    let settings = Settings::decode(&read(key::SETTINGS)?).map_err(|_| damaged(key::SETTINGS, "is malformed"))?;
    let text = read(key::RECIPIENTS)?;
    let text = row::decode_bytes(&text).ok().and_then(|text| std::str::from_utf8(text).ok());
    let lines = text.ok_or_else(|| damaged(key::RECIPIENTS, "is malformed"))?.lines();
    let recipients = lines.map(|line| line.parse().map_err(|_| SealError::Recipient)).collect::<Result<_, _>>()?;
    let seal = Arc::new(Seal::new(id, &store_key, recipients)?);
    Ok(Parts { store: Arc::clone(&store), seal, settings })
}

/// A row's content, for what is read before there is a key to check its tag.
fn untagged(value: &[u8]) -> Option<&[u8]> {
    value.split_at_checked(value.len().checked_sub(crate::seal::TAG_BYTES)?).map(|(content, _)| content)
}

fn damaged(key: &[u8], what: &str) -> SetupError {
    SetupError::Damaged(format!("row {} {what}", key.escape_ascii()))
}

impl Namespace {
    /// The format row, for what shows the store's age.
    pub fn created(&self) -> Result<Timestamp, Error> {
        let format = self.view()?.read(key::FORMAT, Format::decode)?;
        Ok(format.ok_or(Error::NotFound)?.content.created)
    }
}
