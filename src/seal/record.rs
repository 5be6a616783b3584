//! age files: the header is written and read by the age crate, the stanza that the daemon opens by is ours, and the
//! payload is sealed and opened in locked memory.
//!
//! Invariants:
//! - A record that we open has our stanza first, and once: age recipients are public, so anybody could seal a value to
//!   them, but our stanza takes the store key.
//! - No plaintext and no file key is left in memory that was given back, the stack included.
//!
//! It deliberately implements nothing of age but the payload's STREAM, which the crate does in buffers that it does not wipe. Source:
//! the age format, <https://c2sp.org/age>.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use age::secrecy::ExposeSecret;
use age::{DecryptError, Decryptor, EncryptError, Encryptor, Identity, Recipient};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{aead_decrypt, aead_encrypt, hkdf};
use chacha20poly1305::{AeadInPlace, ChaCha20Poly1305, KeyInit};
use zeroize::{Zeroize, Zeroizing};

use super::memory::{SecretBytes, wipe_stack};
use super::{KEY_BYTES, SealError, decode_hex, random};

/// The type of our stanza. Its one argument is a salt of 16 bytes in hexadecimal, its body the wrapped file key.
const STANZA_TAG: &str = "keyfs.local/1";
const SALT_BYTES: usize = 16;
/// A wrapped file key: the key itself and a Poly1305 tag.
const BODY_BYTES: usize = FILE_KEY_BYTES + 16;

/// The age payload is sealed in chunks of this size, each with a tag behind it.
const CHUNK_BYTES: usize = 64 << 10;
const CHUNK_TAG_BYTES: usize = 16;
/// The nonce that ends the header.
const NONCE_BYTES: usize = 16;

/// Wraps file keys under the store's own key.
pub(super) struct LocalKey(SecretBytes);

impl LocalKey {
    pub(super) fn new(key: SecretBytes) -> LocalKey {
        LocalKey(key)
    }

    /// A key for one record: the salt is random, so a zero nonce is used once with it.
    fn wrapping_key(&self, salt: &[u8]) -> Zeroizing<[u8; KEY_BYTES]> {
        Zeroizing::new(hkdf(salt, b"keyfs.local/1", &self.0))
    }
}

impl Recipient for LocalKey {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let mut salt = [0; SALT_BYTES];
        random(&mut salt).map_err(|error| EncryptError::Io(std::io::Error::other(error)))?;
        let stanza = Stanza {
            tag: STANZA_TAG.into(),
            args: vec![salt.iter().map(|byte| format!("{byte:02x}")).collect()],
            body: aead_encrypt(&self.wrapping_key(&salt), file_key.expose_secret()),
        };
        // No label: a label would keep the stanza from standing beside X25519 ones.
        Ok((vec![stanza], HashSet::new()))
    }
}

impl Identity for LocalKey {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != STANZA_TAG {
            return None;
        }
        let mut salt = [0; SALT_BYTES];
        let valid = match stanza.args.as_slice() {
            [text] => decode_hex(text, &mut salt).is_some() && stanza.body.len() == BODY_BYTES,
            _ => false,
        };
        if !valid {
            return Some(Err(DecryptError::InvalidHeader));
        }
        let Ok(mut unwrapped) = aead_decrypt(&self.wrapping_key(&salt), FILE_KEY_BYTES, &stanza.body) else {
            return Some(Err(DecryptError::DecryptionFailed));
        };
        let file_key = FileKey::init_with_mut(|key| {
            for (place, byte) in key.iter_mut().zip(&unwrapped) {
                *place = *byte;
            }
        });
        unwrapped.zeroize();
        Some(Ok(file_key))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let (first, others) = stanzas.split_first()?;
        if others.iter().any(|stanza| stanza.tag == STANZA_TAG) {
            return Some(Err(DecryptError::InvalidHeader));
        }
        self.unwrap_stanza(first)
    }
}

/// Where a file key is noted, from which the payload's key comes.
#[derive(Default)]
struct Note(Mutex<Option<Zeroizing<[u8; FILE_KEY_BYTES]>>>);

impl Note {
    fn take(&self, file_key: &FileKey) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Zeroizing::new(*file_key.expose_secret()));
    }

    fn payload_key(self, nonce: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
        let file_key = self.0.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        Some(Zeroizing::new(hkdf(nonce, b"payload", file_key.as_slice())))
    }
}

/// A recipient that adds no stanza.
impl Recipient for Note {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        self.take(file_key);
        Ok((Vec::new(), HashSet::new()))
    }
}

/// An identity, and where the file key goes that it finds.
struct Noting<'a>(&'a dyn Identity, &'a Note);

impl Identity for Noting<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.0.unwrap_stanza(stanza)
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let found = self.0.unwrap_stanzas(stanzas);
        if let Some(Ok(file_key)) = &found {
            self.1.take(file_key);
        }
        found
    }
}

/// An age file of `parts`, one behind the other, to `recipients`, whose stanzas stand in this order.
pub(super) fn encrypt(recipients: &[&dyn Recipient], parts: &[&[u8]]) -> Result<Vec<u8>, SealError> {
    let note = Note::default();
    let all = recipients.iter().copied().chain(std::iter::once(&note as &dyn Recipient));
    let encryptor = Encryptor::with_recipients(all).map_err(|_| SealError::Random)?;
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut file = Vec::with_capacity(512 + length + 16 * (length / CHUNK_BYTES + 1));
    // The writer is dropped unused: it has written the header and the nonce, and holds nothing of the payload.
    drop(encryptor.wrap_output(&mut file).map_err(|_| SealError::Random)?);
    let nonce = file.len().checked_sub(NONCE_BYTES).and_then(|start| file.get(start..)).ok_or(SealError::Random)?;
    let payload_key = note.payload_key(nonce).ok_or(SealError::Random)?;
    let sealed = seal_payload(&payload_key, parts, length, &mut file);
    wipe_stack();
    sealed.map(|()| file)
}

/// STREAM's nonce for a chunk: an 11-byte counter, and a byte that is 1 for the last chunk.
fn chunk_nonce(counter: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    for (place, byte) in nonce.iter_mut().skip(3).zip(counter.to_be_bytes()) {
        *place = byte;
    }
    if let Some(place) = nonce.last_mut() {
        *place = last.into();
    }
    nonce
}

/// STREAM with ChaCha20-Poly1305, in chunks of 64 KiB.
#[inline(never)]
fn seal_payload(key: &[u8; KEY_BYTES], parts: &[&[u8]], length: usize, file: &mut Vec<u8>) -> Result<(), SealError> {
    let cipher = ChaCha20Poly1305::new(key.into());
    let mut rest = parts.iter().flat_map(|part| part.chunks(CHUNK_BYTES)).peekable();
    let mut pending: &[u8] = &[];
    let mut left = length;
    let mut chunk = SecretBytes::with_capacity(CHUNK_BYTES.min(length.max(1)))?;
    let mut counter: u64 = 0;
    loop {
        chunk.resize(0)?;
        while chunk.len() < CHUNK_BYTES.min(left) {
            if pending.is_empty() {
                pending = rest.next().unwrap_or_default();
            }
            let (taken, kept) = pending.split_at(pending.len().min(CHUNK_BYTES - chunk.len()));
            chunk.append(taken)?;
            pending = kept;
        }
        left -= chunk.len();
        let last = left == 0;
        let nonce = chunk_nonce(counter, last);
        let tag = cipher.encrypt_in_place_detached(&nonce.into(), &[], &mut chunk).map_err(|_| SealError::Random)?;
        file.extend_from_slice(&chunk);
        file.extend_from_slice(&tag);
        if last {
            return Ok(());
        }
        counter += 1;
    }
}

/// What it takes to open the payload of an age file whose header was believed.
pub(super) struct Payload {
    /// Where it begins: behind the header and the nonce.
    pub(super) start: usize,
    pub(super) key: Zeroizing<[u8; KEY_BYTES]>,
}

/// Reads and authenticates the header of an age file for which one of the identities finds the key.
pub(super) fn unwrap<'a>(
    file: &[u8],
    identities: impl Iterator<Item = &'a dyn Identity>,
) -> Result<Payload, SealError> {
    let no_file = || SealError::Tampered("the record is no age file");
    let note = Note::default();
    let noting: Vec<_> = identities.map(|identity| Noting(identity, &note)).collect();
    let mut rest = file;
    let decryptor = Decryptor::new_buffered(&mut rest).map_err(|_| no_file())?;
    // The reader is dropped unused: it holds nothing of the payload yet.
    let reader = decryptor.decrypt(noting.iter().map(|identity| identity as &dyn Identity));
    drop(reader.map_err(|_| SealError::Tampered("no stanza of the record is the store's"))?);
    let start = file.len() - rest.len();
    let nonce = start.checked_sub(NONCE_BYTES).and_then(|from| file.get(from..start)).ok_or_else(no_file)?;
    Ok(Payload { start, key: note.payload_key(nonce).ok_or_else(no_file)? })
}

impl Payload {
    /// The plaintext of the file.
    pub(super) fn open(&self, file: &[u8]) -> Result<SecretBytes, SealError> {
        let opened = self.decrypt(file);
        wipe_stack();
        opened
    }

    #[inline(never)]
    fn decrypt(&self, file: &[u8]) -> Result<SecretBytes, SealError> {
        let changed = || SealError::Tampered("the record's payload was changed");
        let sealed = file.get(self.start..).ok_or_else(changed)?;
        let cipher = ChaCha20Poly1305::new(self.key.as_slice().into());
        let mut plaintext = SecretBytes::with_capacity(sealed.len())?;
        let mut chunks = sealed.chunks(CHUNK_BYTES + CHUNK_TAG_BYTES).peekable();
        let mut counter = 0;
        // The last chunk says that it is, so what was cut off between two is noticed; a file without any has no tag at all.
        while let Some(chunk) = chunks.next() {
            let last = chunks.peek().is_none();
            let (body, tag) = chunk.split_last_chunk::<CHUNK_TAG_BYTES>().ok_or_else(changed)?;
            // Only an empty value has an empty chunk.
            if body.is_empty() && counter > 0 {
                return Err(changed());
            }
            let from = plaintext.len();
            plaintext.append(body)?;
            let place = plaintext.get_mut(from..).ok_or_else(changed)?;
            let nonce = chunk_nonce(counter, last);
            cipher.decrypt_in_place_detached(&nonce.into(), &[], place, tag.into()).map_err(|_| changed())?;
            counter += 1;
        }
        if counter == 0 { Err(changed()) } else { Ok(plaintext) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A payload of these chunks, the last of which says that it is.
    fn payload(chunks: &[&[u8]]) -> Vec<u8> {
        let cipher = ChaCha20Poly1305::new(&[7; KEY_BYTES].into());
        let mut file = Vec::new();
        for (counter, chunk) in chunks.iter().enumerate() {
            let nonce = chunk_nonce(counter as u64, counter + 1 == chunks.len());
            let start = file.len();
            file.extend_from_slice(chunk);
            let tag = cipher.encrypt_in_place_detached(&nonce.into(), &[], &mut file[start..]).unwrap();
            file.extend_from_slice(&tag);
        }
        file
    }

    #[test]
    fn a_payload_is_cut_into_chunks_in_one_way_alone() {
        let open = |file: &[u8]| Payload { start: 0, key: Zeroizing::new([7; KEY_BYTES]) }.open(file);
        let whole = vec![1; CHUNK_BYTES];
        assert_eq!(open(&payload(&[b""])).unwrap().len(), 0);
        assert_eq!(open(&payload(&[&whole])).unwrap().len(), CHUNK_BYTES);
        assert_eq!(open(&payload(&[&whole, b"1"])).unwrap().len(), CHUNK_BYTES + 1);
        assert!(open(&payload(&[&whole, b""])).is_err(), "an empty chunk behind another");
        assert!(open(&payload(&[b"1", &whole])).is_err(), "a short chunk before another");
        assert!(open(&payload(&[&whole, &whole])[..CHUNK_BYTES + CHUNK_TAG_BYTES]).is_err(), "cut between two");
        assert!(open(b"").is_err(), "none at all");
    }
}
