//! Keys and values in a file: dotenv, JSON and YAML, as `import` reads and `export` writes them.
//!
//! | | a key | a value |
//! |---|---|---|
//! | dotenv | a name; `__` may stand for `/` | text without NUL |
//! | JSON | nested objects; a `/` in a name nests too | text |
//! | YAML | nested mappings; a `/` in a name nests too | any bytes: what isn't UTF-8 is `!!binary` |
//!
//! A scalar's value is its text as it was written: `0.95`, `1e3`, `007`, `true`. A list's value is JSON text. Null is no
//! value and is refused; an empty object has no keys.
//!
//! Invariants: what is written is read back as the same keys and bytes, or it isn't written: never a changed value. No
//! message has a piece of a value, a library's message included. Keys of one file neither repeat nor stand both for a value
//! and for a directory. Values are in memory that is wiped; what the libraries of JSON and YAML hold while they take
//! escapes out of text is not.
//!
//! It deliberately opens no file, runs nothing and expands nothing: `$HOME` and `` `date` `` are text. YAML's aliases and
//! merge keys are refused.

mod buffer;
mod collect;
mod dotenv;
mod json;
mod outline;
mod plan;
#[cfg(test)]
mod tests;
mod yaml;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use thiserror::Error;
use zeroize::Zeroizing;

use self::buffer::Buffer;
pub use self::plan::{Plan, Present, plan};
use crate::key::KeyPath;

/// A file's format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// `NAME=value` on a line each.
    Dotenv,
    /// One object.
    Json,
    /// One mapping.
    Yaml,
}

/// What a file's names mean as keys, beside themselves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mapping {
    /// Two underscores in a file stand for the `/` of a key: `DB__PASSWORD` is `DB/PASSWORD`.
    pub double_underscore: bool,
    /// The case that keys get when they are read or written.
    pub case: Case,
}

/// What becomes of the case of names.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Case {
    /// They stay as they are.
    #[default]
    Kept,
    /// All in lower case.
    Lower,
    /// All in upper case.
    Upper,
}

/// A key with its value, and where it stands.
pub struct Entry {
    /// The key.
    pub key: KeyPath,
    /// Its value, exactly.
    pub value: Zeroizing<Vec<u8>>,
    /// The line where the value begins, the first being 1.
    pub line: usize,
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Parsed {
    /// What can be stored, in the file's order.
    pub entries: Vec<Entry>,
    /// What can't.
    pub problems: Vec<Problem>,
}

/// A key that can't be stored as the file has it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("line {line}, key {}: {why}", quoted(.key))]
pub struct Problem {
    /// Where it stands, the first line being 1.
    pub line: usize,
    /// The key as text, which may be no valid one.
    pub key: String,
    /// Why.
    pub why: String,
}

/// Why a file can't be read.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("line {line}, column {column}: {why}")]
pub struct ReadError {
    /// Where, the first line being 1.
    pub line: usize,
    /// Where in the line, in characters, the first being 1.
    pub column: usize,
    /// What is wrong there.
    pub why: String,
}

/// Why a key can't be written in a format.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("key {}: {why}", quoted(.key))]
pub struct WriteError {
    /// Which.
    pub key: String,
    /// Why.
    pub why: String,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 3] = [Format::Dotenv, Format::Json, Format::Yaml];

    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Dotenv => "dotenv",
            Format::Json => "json",
            Format::Yaml => "yaml",
        }
    }

    /// The format of that name.
    pub fn parse(text: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// The format that a text looks as if it had: an object is JSON, a name with `=` behind it dotenv, all else YAML. Who guesses
    /// shows what was understood.
    pub fn guess(text: &str) -> Format {
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let Some(first) = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with('#')) else {
            return Format::Dotenv;
        };
        let name = first.strip_prefix("export ").unwrap_or(first).split('=').next().unwrap_or_default().trim();
        let is_name = |c: char| c.is_alphanumeric() || "_-./".contains(c);
        match first.starts_with('{') {
            true => Format::Json,
            false if first.contains('=') && name.chars().all(is_name) => Format::Dotenv,
            false => Format::Yaml,
        }
    }

    /// The format that a file's name tells: `.json`, `.yaml`, `.yml`, `.env`, or a name that begins with `.env`.
    pub fn of(path: &Path) -> Option<Format> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "json" => Some(Format::Json),
            "yaml" | "yml" => Some(Format::Yaml),
            "env" => Some(Format::Dotenv),
            _ => path.file_name()?.to_str()?.starts_with(".env").then_some(Format::Dotenv),
        }
    }
}

/// Reads a file's keys and values.
///
/// Fails where the file can't be understood; keys that can't be stored are among the problems of what it returns.
pub fn read(format: Format, bytes: &[u8], mapping: &Mapping) -> Result<Parsed, ReadError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => return Err(not_text(bytes, error.valid_up_to())),
    };
    match format {
        Format::Dotenv => dotenv::read(text, mapping),
        Format::Json => json::read(text, mapping),
        Format::Yaml => yaml::read(text, mapping),
    }
}

/// Writes keys and values, in the order of the keys.
///
/// Fails at the first that the format can't hold, or that would be read back as another.
pub fn write<'e>(
    format: Format,
    entries: impl IntoIterator<Item = (&'e KeyPath, &'e [u8])>,
    mapping: &Mapping,
) -> Result<Zeroizing<Vec<u8>>, WriteError> {
    let mut named: BTreeMap<KeyPath, (&KeyPath, &[u8])> = BTreeMap::new();
    for (key, value) in entries {
        let written = mapping.written(key)?;
        if let Some((other, _)) = named.insert(written, (key, value)) {
            return Err(WriteError::new(key, format!("it would have the same name as {}", quoted(&other.to_string()))));
        }
    }
    if let Some((value, key)) = collect::within_values(named.keys()).next() {
        return Err(WriteError::new(
            key,
            format!("{} would be both a value and an object", quoted(&value.to_string())),
        ));
    }
    let entries = named.iter().map(|(written, (key, value))| Leaf { written, key, value });
    match format {
        Format::Dotenv => dotenv::write(entries),
        Format::Json => json::write(entries),
        Format::Yaml => yaml::write(entries),
    }
}

/// What is written: a value under the key that it gets in the file.
struct Leaf<'e> {
    written: &'e KeyPath,
    /// The key that it has in the store, for messages.
    key: &'e KeyPath,
    value: &'e [u8],
}

impl Leaf<'_> {
    fn fails(&self, why: impl Into<String>) -> WriteError {
        WriteError::new(self.key, why)
    }
}

impl WriteError {
    fn new(key: &KeyPath, why: impl Into<String>) -> WriteError {
        WriteError { key: key.to_string(), why: why.into() }
    }
}

impl Mapping {
    /// The key that a file's name stands for.
    fn read(&self, name: &str) -> String {
        let path = if self.double_underscore { name.replace("__", "/") } else { name.to_owned() };
        self.case.of(&path).into_owned()
    }

    /// The key by whose names a file has this one: one name where underscores stand for slashes.
    fn written(&self, key: &KeyPath) -> Result<KeyPath, WriteError> {
        let text = key.to_string();
        let cased = self.case.of(&text).into_owned();
        let written = if self.double_underscore { cased.replace('/', "__") } else { cased.clone() };
        if self.read(&written) != self.case.of(&cased) {
            return Err(WriteError::new(key, format!("{} would be read as another key", quoted(&written))));
        }
        KeyPath::parse(&written).map_err(|error| WriteError::new(key, format!("as {}: {error}", quoted(&written))))
    }
}

impl Case {
    fn of(self, text: &str) -> Cow<'_, str> {
        match self {
            Case::Kept => Cow::Borrowed(text),
            Case::Lower => Cow::Owned(text.to_lowercase()),
            Case::Upper => Cow::Owned(text.to_uppercase()),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({} = {} bytes, line {})", self.key, self.value.len(), self.line)
    }
}

/// A key in a message, on one line whatever it holds.
fn quoted(key: &str) -> String {
    let mut shown = String::from("`");
    for c in key.chars() {
        match c {
            '"' | '\'' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown + "`"
}

fn not_text(bytes: &[u8], at: usize) -> ReadError {
    let before = String::from_utf8_lossy(bytes.get(..at).unwrap_or(bytes));
    let (line, column) = Lines::of(&before).place(before.len());
    ReadError { line, column, why: "a file is UTF-8 text, and this byte is none".to_owned() }
}

/// Where the lines of a text begin.
struct Lines<'t> {
    text: &'t str,
    begin: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Lines<'t> {
        let begin = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines { text, begin: std::iter::once(0).chain(begin).collect() }
    }

    /// The line and the column of a byte.
    fn place(&self, at: usize) -> (usize, usize) {
        let line = self.begin.partition_point(|begin| *begin <= at);
        let begin = line.checked_sub(1).and_then(|line| self.begin.get(line)).copied().unwrap_or_default();
        let before = self.text.get(begin..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    fn error(&self, at: usize, why: impl Into<String>) -> ReadError {
        let (line, column) = self.place(at);
        ReadError { line, column, why: why.into() }
    }
}
