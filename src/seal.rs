//! Everything that keys touch: secrets as age files, the keyed tag on every row, and the key that both come from.
//!
//! Invariants:
//! - A secret's plaintext comes out of [`Seal::open`] alone, which takes a [`Grant`] for the very node.
//! - A record opens only in the store, as the node, the version and under the permissions that it was sealed for, and
//!   only by the stanza that takes the store key to make.
//! - Every row that is read was authenticated under its own name before.
//! - Keys and plaintext are in [`SecretBytes`]; no error, log line or `Debug` output holds a byte of them.
//!
//! It deliberately decides nothing: who is let in is `access`'s to say, what is stored where is `tree`'s.

pub mod identity;
mod keys;
pub mod memory;
mod record;

use std::fmt;
use std::io::Write;
use std::str::FromStr;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use self::identity::Identities;
use self::keys::PayloadKeys;
use self::memory::{MemoryError, SecretBytes};
use crate::access::Permissions;
use crate::access::gate::Grant;
use crate::id::{NodeId, Revision, StoreId, Version};
use crate::store::{Digester, Ledger};

/// A key of 32 bytes, as all of ours are.
const KEY_BYTES: usize = 32;

/// The length of the tag at the end of every row, in bytes.
pub const TAG_BYTES: usize = 16;

/// Why something could not be sealed or opened.
#[derive(Debug, Error)]
pub enum SealError {
    /// What the store holds was not put there by a daemon with the store key, or not for this place.
    #[error("what is stored is not what was sealed for this place: {0}")]
    Tampered(&'static str),
    /// No memory that can be locked.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The machine gives no random bytes.
    #[error("no random bytes are to be had from the kernel")]
    Random,
    /// No key slot of the store opens with the identity.
    #[error("this identity does not unlock the store")]
    WrongIdentity,
    /// A slot did open, and holds another key than the one on record.
    #[error("the store's key is not the one on record: its key slot was replaced, or this is another store")]
    WrongFingerprint,
    /// A recipient's text is none.
    #[error("the store names a recipient that is not an age X25519 public key")]
    Recipient,
}

/// Which key a store must have: 16 bytes of a keyless hash over the store key and the store's id, as 32 hexadecimal
/// digits in text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint(pub [u8; 16]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Fingerprint, Self::Err> {
        let mut bytes = [0; 16];
        if text.len() == 32 && decode_hex(text, &mut bytes).is_some() {
            Ok(Fingerprint(bytes))
        } else {
            Err("a fingerprint is 32 hexadecimal digits")
        }
    }
}

/// Fills `bytes` from lower-case hexadecimal text of exactly that length.
fn decode_hex(text: &str, bytes: &mut [u8]) -> Option<()> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != bytes.len() * 2 {
        return None;
    }
    for (place, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *place = digit(*high)? << 4 | digit(*low)?;
    }
    Some(())
}

/// Fills `bytes` from the kernel.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), SealError> {
    getrandom::getrandom(bytes).map_err(|_| SealError::Random)
}

/// The key that every other key of a store comes from: 32 random bytes.
pub struct StoreKey(SecretBytes);

impl StoreKey {
    /// A new key.
    pub fn generate() -> Result<StoreKey, SealError> {
        let mut key = SecretBytes::zeroed(KEY_BYTES)?;
        random(&mut key)?;
        Ok(StoreKey(key))
    }

    /// The key as an age file to some recipients: what a key slot holds.
    pub fn to_slot(&self, recipients: &[age::x25519::Recipient]) -> Result<Vec<u8>, SealError> {
        let recipients: Vec<_> = recipients.iter().map(|recipient| recipient as &dyn age::Recipient).collect();
        record::encrypt(&recipients, &[&self.0])
    }

    /// The key out of the first slot that an identity opens.
    pub fn from_slots<'a>(
        slots: impl Iterator<Item = &'a [u8]>,
        identities: &Identities,
    ) -> Result<StoreKey, SealError> {
        for slot in slots {
            match record::unwrap(slot, identities.as_age()).and_then(|payload| payload.open(slot)) {
                Ok(key) if key.len() == KEY_BYTES => return Ok(StoreKey(key)),
                Err(error @ SealError::Memory(_)) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Err(SealError::WrongIdentity)
    }

    /// What this key is recognised by.
    pub fn fingerprint(&self, store: StoreId) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_derive_key("keyfs v1 store key fingerprint");
        hasher.update(&store.0).update(&self.0);
        let hash = hasher.finalize();
        hasher.zeroize();
        let mut fingerprint = [0; 16];
        for (place, byte) in fingerprint.iter_mut().zip(hash.as_bytes()) {
            *place = *byte;
        }
        Fingerprint(fingerprint)
    }

    /// A key for one purpose alone. The purpose is a text that is used nowhere else.
    fn derive(&self, purpose: &str) -> Result<SecretBytes, SealError> {
        let key = Zeroizing::new(blake3::derive_key(purpose, &self.0));
        Ok(SecretBytes::copy_of(key.as_slice())?)
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey")
    }
}

/// What a record is sealed for: it opens nowhere else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Binding {
    node: NodeId,
    version: Version,
    permissions: [u8; 16],
}

impl Binding {
    /// For a version of a node under these permissions.
    pub fn new(node: NodeId, version: Version, permissions: &Permissions) -> Binding {
        let mut encoded = Vec::new();
        permissions.encode(&mut encoded);
        let mut digest = [0; 16];
        for (place, byte) in digest.iter_mut().zip(blake3::hash(&encoded).as_bytes()) {
            *place = *byte;
        }
        Binding { node, version, permissions: digest }
    }

    /// The line that stands before the value in the plaintext.
    fn line(&self, store: StoreId) -> String {
        let Binding { node, version, permissions } = self;
        let permissions = Fingerprint(*permissions);
        format!("keyfs/1 {store} {node} {version} {permissions}\n")
    }
}

/// A secret's plaintext, for whoever was granted it.
#[derive(Debug)]
pub struct Opened {
    plaintext: SecretBytes,
    /// Where the value begins, behind the binding's line.
    start: usize,
}

impl Opened {
    /// The value.
    pub fn value(&self) -> &[u8] {
        self.plaintext.get(self.start..).unwrap_or_default()
    }

    /// The value alone, in memory of its own.
    pub fn into_value(mut self) -> SecretBytes {
        let length = self.plaintext.len().saturating_sub(self.start);
        if self.start <= self.plaintext.len() {
            self.plaintext.copy_within(self.start.., 0);
        }
        self.plaintext.truncate(length);
        self.plaintext
    }
}

/// The keys of an unlocked store.
pub struct Seal {
    store: StoreId,
    tag_key: SecretBytes,
    ledger_key: SecretBytes,
    stanza: Arc<record::LocalKey>,
    recipients: Vec<age::x25519::Recipient>,
    keys: PayloadKeys,
}

impl Seal {
    /// The keys that come from a store key. What is sealed can also be opened by `recipients`, and by age alone.
    pub fn new(store: StoreId, key: &StoreKey, recipients: Vec<age::x25519::Recipient>) -> Result<Seal, SealError> {
        Ok(Seal {
            store,
            tag_key: key.derive("keyfs v1 row tag")?,
            ledger_key: key.derive("keyfs v1 ledger")?,
            stanza: Arc::new(record::LocalKey::new(key.derive("keyfs v1 file key")?)),
            recipients,
            keys: PayloadKeys::new()?,
        })
    }

    /// The store that these keys are of.
    pub fn store(&self) -> StoreId {
        self.store
    }

    fn hasher(key: &SecretBytes) -> Wiped {
        // The keys have 32 bytes since they were derived; a key of another length would make every tag wrong.
        let mut sized = Zeroizing::new([0; KEY_BYTES]);
        for (place, byte) in sized.iter_mut().zip(key.iter()) {
            *place = *byte;
        }
        Wiped(blake3::Hasher::new_keyed(&sized))
    }

    fn keyed(key: &SecretBytes, parts: &[&[u8]]) -> [u8; 32] {
        digest(&mut Seal::hasher(key).0, parts)
    }

    fn tag(&self, key: &[u8], value: &[u8]) -> [u8; TAG_BYTES] {
        let mut tag = [0; TAG_BYTES];
        for (place, byte) in tag.iter_mut().zip(Seal::keyed(&self.tag_key, &[key, value])) {
            *place = byte;
        }
        tag
    }

    /// Puts the tag behind a row's value.
    pub fn authenticate(&self, key: &[u8], value: &mut Vec<u8>) {
        let tag = self.tag(key, value);
        value.extend_from_slice(&tag);
    }

    /// Takes the tag off a row's value, if it is this row's.
    pub fn verify(&self, key: &[u8], value: &mut Vec<u8>) -> Result<(), SealError> {
        let length = value.len().checked_sub(TAG_BYTES).ok_or(SealError::Tampered("a row is too short for its tag"))?;
        let (content, found) = value.split_at(length);
        if bool::from(self.tag(key, content).ct_eq(found)) {
            value.truncate(length);
            Ok(())
        } else {
            Err(SealError::Tampered("a row does not carry its tag"))
        }
    }

    /// A value as an age file that opens for `binding` alone.
    pub fn seal(&self, binding: &Binding, value: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut recipients: Vec<&dyn age::Recipient> = vec![&*self.stanza];
        recipients.extend(self.recipients.iter().map(|recipient| recipient as &dyn age::Recipient));
        record::encrypt(&recipients, &[binding.line(self.store).as_bytes(), value])
    }

    /// The value of a record, for whom it was granted. The grant must be for the binding's node.
    pub fn open(&self, grant: Grant, binding: &Binding, record: &[u8]) -> Result<Opened, SealError> {
        if grant.node() != binding.node {
            return Err(SealError::Tampered("the grant is for another entry"));
        }
        let place = (binding.node, binding.version);
        let known = self.keys.get(place, record);
        let new = known.is_none();
        let payload = match known {
            Some(payload) => payload,
            None => record::unwrap(record, std::iter::once(&*self.stanza as &dyn age::Identity))?,
        };
        let plaintext = payload.open(record)?;
        let line = binding.line(self.store);
        if !plaintext.starts_with(line.as_bytes()) {
            return Err(SealError::Tampered("the record was sealed for another place"));
        }
        if new {
            self.keys.keep(place, record, &payload);
        }
        Ok(Opened { plaintext, start: line.len() })
    }
}

/// A hasher that leaves nothing of its key.
struct Wiped(blake3::Hasher);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A hash over parts, each behind its length, so that no other parts have the same.
fn digest(hasher: &mut blake3::Hasher, parts: &[&[u8]]) -> [u8; 32] {
    // What most rows take is put together first: to be hashed in one go takes half the time.
    let mut together = [0; 1024];
    let mut rest = together.as_mut_slice();
    let fits = parts.iter().try_for_each(|part| {
        rest.write_all(&(part.len() as u64).to_be_bytes())?;
        rest.write_all(part)
    });
    let left = rest.len();
    match together.get(..together.len() - left) {
        Some(whole) if fits.is_ok() => {
            hasher.update(whole);
        }
        _ => {
            for part in parts {
                hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
            }
        }
    }
    *hasher.finalize().as_bytes()
}

impl Ledger for Seal {
    fn digest(&self, key: &[u8], revision: Revision, value: &[u8]) -> [u8; 32] {
        Seal::keyed(&self.ledger_key, &[b"row", key, &revision.0.to_be_bytes(), value])
    }

    fn digester(&self) -> Digester<'_> {
        let mut hasher = Seal::hasher(&self.ledger_key);
        Box::new(move |key, revision, value| {
            hasher.0.reset();
            digest(&mut hasher.0, &[b"row", key, &revision.0.to_be_bytes(), value])
        })
    }

    fn seal(&self, revision: Revision, sum: &[u8; 32]) -> [u8; 32] {
        Seal::keyed(&self.ledger_key, &[b"sum", &revision.0.to_be_bytes(), sum])
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({})", self.store)
    }
}

#[cfg(test)]
mod tests;
