//! The rows of the tree: their names, and their contents byte for byte. docs/format.md says the same in prose.
//!
//! Invariants:
//! - Integers are big-endian and of fixed width, so that rows sort as their numbers do.
//! - A content begins with a format byte; what is of another format, too short or too long is an error, never a guess.
//! - Encoding what was decoded gives the same bytes.
//!
//! It deliberately knows neither tags nor stores: [`super::view`] reads and writes these rows through them.

pub mod key;
mod node;

pub use self::node::{Before, Current, Held, Node, Place, SMALL, Small};
use crate::access::{Kind, Permissions};
use crate::clock::Timestamp;
use crate::id::{Gid, NodeId, StoreId, Uid};

/// The format of every content below.
const FORMAT: u8 = 1;

/// A row's content is not one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

/// A directory's times that its entries move.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Times {
    /// The last change of its entries.
    pub modified: Timestamp,
    /// That, or the last change of its attributes.
    pub changed: Timestamp,
}

/// One version of a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Value {
    /// Whether `content` is an age record.
    pub sealed: bool,
    /// Whose commit made it.
    pub by: Uid,
    /// That user's group then.
    pub by_group: Gid,
    /// When.
    pub at: Timestamp,
    /// The value's length in bytes, which a record hides.
    pub size: u64,
    /// The entry's permissions when this was, or still is, its present value.
    pub permissions: Permissions,
    /// The bytes, or the record.
    pub content: Vec<u8>,
}

/// What a directory says of a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Directory or file, so that a listing need not read the node.
    pub kind: Kind,
    /// The node.
    pub node: NodeId,
}

/// What is true of the store as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Format {
    /// The store's id.
    pub store: StoreId,
    /// When it was made.
    pub created: Timestamp,
}

/// Settings of the store that outlive a mount.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// How many versions of a value are kept, the present one included: at least 1.
    pub versions: u32,
}

/// Puts contents together.
struct Writer(Vec<u8>);

impl Writer {
    fn new() -> Writer {
        let mut bytes = Vec::with_capacity(128);
        bytes.push(FORMAT);
        Writer(bytes)
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn short(&mut self, number: usize) {
        self.0.extend_from_slice(&(number as u16).to_be_bytes());
    }

    fn word(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn long(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn time(&mut self, time: Timestamp) {
        self.0.extend_from_slice(&time.0.to_be_bytes());
    }

    fn time_unless(&mut self, time: Timestamp, usual: Timestamp) {
        if time != usual {
            self.time(time);
        }
    }

    fn permissions(&mut self, permissions: &Permissions) {
        let mut bytes = Vec::new();
        permissions.encode(&mut bytes);
        self.short(bytes.len());
        self.0.extend_from_slice(&bytes);
    }
}

/// Takes contents apart.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn new(content: &'a [u8]) -> Result<Reader<'a>, Malformed> {
        let mut reader = Reader(content);
        if reader.byte()? == FORMAT { Ok(reader) } else { Err(Malformed) }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    fn short(&mut self) -> Result<usize, Malformed> {
        self.array().map(|bytes| u16::from_be_bytes(bytes).into())
    }

    fn word(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn long(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    fn time(&mut self) -> Result<Timestamp, Malformed> {
        self.array().map(|bytes| Timestamp(i64::from_be_bytes(bytes)))
    }

    /// A time that stands here if it is not the usual one.
    fn time_unless(&mut self, given: bool, usual: Timestamp) -> Result<Timestamp, Malformed> {
        if !given {
            return Ok(usual);
        }
        self.time().and_then(|time| if time == usual { Err(Malformed) } else { Ok(time) })
    }

    fn node(&mut self) -> Result<NodeId, Malformed> {
        self.long().map(NodeId)
    }

    fn permissions(&mut self) -> Result<Permissions, Malformed> {
        let length = self.short()?;
        Permissions::decode(self.take(length)?).map_err(|_| Malformed)
    }

    fn rest(self) -> &'a [u8] {
        self.0
    }

    fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::Directory => 0,
        Kind::File => 1,
    }
}

fn kind_of(code: u8) -> Result<Kind, Malformed> {
    match code {
        0 => Ok(Kind::Directory),
        1 => Ok(Kind::File),
        _ => Err(Malformed),
    }
}

fn flag(byte: u8) -> Result<bool, Malformed> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

impl Times {
    /// The content of the row.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = Writer::new();
        row.time(self.modified);
        row.time(self.changed);
        row.0
    }

    /// The times of a row's content.
    pub fn decode(content: &[u8]) -> Result<Times, Malformed> {
        let mut row = Reader::new(content)?;
        let times = Times { modified: row.time()?, changed: row.time()? };
        row.end().map(|()| times)
    }
}

impl Value {
    /// The content of the row.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = Writer::new();
        row.0.reserve(64 + self.content.len());
        row.byte(self.sealed.into());
        row.word(self.by.0);
        row.word(self.by_group.0);
        row.time(self.at);
        row.long(self.size);
        row.permissions(&self.permissions);
        row.0.extend_from_slice(&self.content);
        row.0
    }

    /// The version of a row's content.
    pub fn decode(content: &[u8]) -> Result<Value, Malformed> {
        let mut row = Reader::new(content)?;
        let sealed = flag(row.byte()?)?;
        let (by, by_group) = (Uid(row.word()?), Gid(row.word()?));
        let (at, size) = (row.time()?, row.long()?);
        let permissions = row.permissions()?;
        Ok(Value { sealed, by, by_group, at, size, permissions, content: row.rest().to_vec() })
    }
}

impl Entry {
    /// The content of the row.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = Writer::new();
        row.byte(kind_code(self.kind));
        row.long(self.node.0);
        row.0
    }

    /// The entry of a row's content.
    pub fn decode(content: &[u8]) -> Result<Entry, Malformed> {
        let mut row = Reader::new(content)?;
        let entry = Entry { kind: kind_of(row.byte()?)?, node: row.node()? };
        row.end().map(|()| entry)
    }
}

impl Format {
    /// The content of the row.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = Writer::new();
        row.0.extend_from_slice(&self.store.0);
        row.time(self.created);
        row.0
    }

    /// The format of a row's content.
    pub fn decode(content: &[u8]) -> Result<Format, Malformed> {
        let mut row = Reader::new(content)?;
        let format = Format { store: StoreId(row.array()?), created: row.time()? };
        row.end().map(|()| format)
    }
}

impl Settings {
    /// The content of the row.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = Writer::new();
        row.word(self.versions);
        row.0
    }

    /// The settings of a row's content.
    pub fn decode(content: &[u8]) -> Result<Settings, Malformed> {
        let mut row = Reader::new(content)?;
        let settings = Settings { versions: row.word()? };
        row.end()?;
        if settings.versions == 0 { Err(Malformed) } else { Ok(settings) }
    }
}

/// The content of a history row: the node.
pub fn encode_history(node: NodeId) -> Vec<u8> {
    let mut row = Writer::new();
    row.long(node.0);
    row.0
}

/// The node of a history row's content.
pub fn decode_history(content: &[u8]) -> Result<NodeId, Malformed> {
    let mut row = Reader::new(content)?;
    let node = row.node()?;
    row.end().map(|()| node)
}

/// The content of a row that holds bytes of somebody else's format: a key slot, the list of recipients.
pub fn encode_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut row = Writer::new();
    row.0.extend_from_slice(bytes);
    row.0
}

/// Those bytes.
pub fn decode_bytes(content: &[u8]) -> Result<&[u8], Malformed> {
    Reader::new(content).map(Reader::rest)
}

#[cfg(test)]
mod tests;
