//! JSON: one object, of objects and values.
//!
//! Invariants: a number, `true` and `false` are the text that stands in the file; a list is that text without the blanks
//! between its parts.
//!
//! It deliberately has no form for bytes that aren't UTF-8: JSON has none that another program would understand.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::collect::{Collector, DEEPEST};
use super::outline::{Sink, walk};
use super::{Buffer, Leaf, Lines, Mapping, Parsed, ReadError, WriteError};
use crate::key::Name;

/// Reads an object.
pub(super) fn read(text: &str, mapping: &Mapping) -> Result<Parsed, ReadError> {
    let lines = Lines::of(text);
    let whole: &RawValue = serde_json::from_str(text).map_err(|error| syntax(&lines, &error))?;
    let mut reader = Reader { lines, path: Vec::new(), collector: Collector::new(mapping) };
    if !whole.get().starts_with('{') {
        return Err(reader.error(whole, "the file isn't one object, `{…}`"));
    }
    reader.members(whole)?;
    reader.collector.finish()
}

/// An error without the library's words, which may have some of the file's.
fn syntax(lines: &Lines<'_>, error: &serde_json::Error) -> ReadError {
    let why = if error.is_eof() {
        "the file ends in the middle of a value"
    } else {
        "this isn't JSON; look for a missing comma or quote, a comma too many, or a comment"
    };
    let begin = error.line().checked_sub(1).and_then(|line| lines.begin.get(line)).copied().unwrap_or_default();
    lines.error(begin + error.column().saturating_sub(1), why)
}

struct Reader<'t, 'm> {
    lines: Lines<'t>,
    path: Vec<String>,
    collector: Collector<'m>,
}

impl<'t> Reader<'t, '_> {
    fn members(&mut self, object: &'t RawValue) -> Result<(), ReadError> {
        let members: Members<'t> = serde_json::from_str(object.get())
            .map_err(|_| self.error(object, "a name in this object has half of a surrogate pair"))?;
        for (name, value) in members.0 {
            self.path.push(name);
            self.member(value)?;
            self.path.pop();
        }
        Ok(())
    }

    fn member(&mut self, value: &'t RawValue) -> Result<(), ReadError> {
        let text = value.get();
        let (line, _) = self.lines.place(self.offset(value));
        match text.bytes().next() {
            Some(b'{') if self.path.len() >= DEEPEST => {
                return Err(self.error(value, format!("objects stand at most {DEEPEST} deep in each other")));
            }
            Some(b'{') => {
                self.collector.object(&self.path, line);
                return self.members(value);
            }
            Some(b'[') => self.collector.value(&self.path, line, compact(text)),
            Some(b'"') => match string(text) {
                Some(value) => self.collector.value(&self.path, line, value),
                None => self.collector.problem(&self.path, line, "its text has half of a surrogate pair"),
            },
            Some(b'n') => self.collector.problem(&self.path, line, "null is no value; leave it out, or write \"\""),
            _ => self.collector.value(&self.path, line, Zeroizing::new(text.as_bytes().to_vec())),
        }
        Ok(())
    }

    /// Where a piece of the text stands in it.
    fn offset(&self, piece: &RawValue) -> usize {
        piece.get().as_ptr().addr().saturating_sub(self.lines.text.as_ptr().addr())
    }

    fn error(&self, at: &RawValue, why: impl Into<String>) -> ReadError {
        self.lines.error(self.offset(at), why)
    }
}

/// What a string holds.
fn string(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if !text.contains('\\') {
        let within = text.strip_prefix('"')?.strip_suffix('"')?;
        return Some(Zeroizing::new(within.as_bytes().to_vec()));
    }
    let text: String = serde_json::from_str(text).ok()?;
    Some(Zeroizing::new(text.into_bytes()))
}

/// JSON text without the blanks between its parts.
fn compact(text: &str) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(text.len()));
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        if quoted || !byte.is_ascii_whitespace() {
            kept.push(byte);
        }
        quoted ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
    }
    kept
}

/// The members of an object, in their order, repeated names included.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// Writes an object, two blanks for each level.
pub(super) fn write<'e>(leaves: impl Iterator<Item = Leaf<'e>>) -> Result<Zeroizing<Vec<u8>>, WriteError> {
    let mut writer = Writer(Buffer::default());
    writer.0.push("{");
    let mut leaves = leaves.peekable();
    let empty = leaves.peek().is_none();
    walk(leaves, &mut writer)?;
    writer.0.push(if empty { "}\n" } else { "\n}\n" });
    Ok(writer.0.into_bytes())
}

struct Writer(Buffer);

impl Writer {
    fn name(&mut self, depth: usize, name: &Name, first: bool) {
        self.0.push(if first { "\n" } else { ",\n" });
        self.0.indent(depth + 1);
        self.0.push_json(name.as_str());
        self.0.push(": ");
    }
}

impl Sink for Writer {
    fn open(&mut self, depth: usize, name: &Name, first: bool) {
        self.name(depth, name, first);
        self.0.push("{");
    }

    fn close(&mut self, depth: usize) {
        self.0.push("\n");
        self.0.indent(depth + 1);
        self.0.push("}");
    }

    fn value(&mut self, depth: usize, name: &Name, first: bool, leaf: &Leaf<'_>) -> Result<(), WriteError> {
        let Ok(text) = std::str::from_utf8(leaf.value) else {
            return Err(leaf.fails("its value isn't UTF-8 text, which JSON can't hold; YAML can"));
        };
        self.name(depth, name, first);
        self.0.push_json(text);
        Ok(())
    }
}
