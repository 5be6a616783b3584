//! How YAML is written.
//!
//! Invariants: values stand in double quotes, or as a literal block where they are lines that every reader takes alike. What
//! YAML doesn't allow as it is, is escaped.
//!
//! It deliberately writes no plain values: `no`, `1.10` and `2027-01-31` are text here and must stay so.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::client::formats::outline::{Sink, walk};
use crate::client::formats::{Buffer, Leaf, WriteError};
use crate::key::Name;

/// Writes a mapping, two blanks for each level.
pub(in crate::client::formats) fn write<'e>(
    leaves: impl Iterator<Item = Leaf<'e>>,
) -> Result<Zeroizing<Vec<u8>>, WriteError> {
    let mut writer = Writer(Buffer::default());
    let mut leaves = leaves.peekable();
    if leaves.peek().is_none() {
        writer.0.push("{}\n");
    }
    walk(leaves, &mut writer)?;
    Ok(writer.0.into_bytes())
}

struct Writer(Buffer);

impl Sink for Writer {
    fn open(&mut self, depth: usize, name: &Name, _first: bool) {
        self.name(depth, name);
        self.0.push("\n");
    }

    fn close(&mut self, _depth: usize) {}

    fn value(&mut self, depth: usize, name: &Name, _first: bool, leaf: &Leaf<'_>) -> Result<(), WriteError> {
        self.name(depth, name);
        match std::str::from_utf8(leaf.value) {
            Err(_) => {
                self.0.push(" !!binary \"");
                self.0.push(Zeroizing::new(STANDARD.encode(leaf.value)).as_bytes());
                self.0.push("\"\n");
            }
            Ok(text) if is_block(text) => self.block(depth + 1, text),
            Ok(text) => {
                self.0.push(" ");
                self.quoted(text);
                self.0.push("\n");
            }
        }
        Ok(())
    }
}

impl Writer {
    fn name(&mut self, depth: usize, name: &Name) {
        self.0.indent(depth);
        if is_plain(name.as_str()) {
            self.0.push(name.as_str());
        } else {
            self.quoted(name.as_str());
        }
        self.0.push(":");
    }

    fn quoted(&mut self, text: &str) {
        self.0.push("\"");
        for c in text.chars() {
            match c {
                '"' => self.0.push("\\\""),
                '\\' => self.0.push("\\\\"),
                '\n' => self.0.push("\\n"),
                '\r' => self.0.push("\\r"),
                '\t' => self.0.push("\\t"),
                '\0' => self.0.push("\\0"),
                c if is_shown(c) => self.0.push_char(c),
                // The longest name must stay within the 1,024 characters that YAML allows to a key on its line.
                c if c < '\u{100}' => self.0.push(format!("\\x{:02X}", u32::from(c))),
                c => self.0.push(format!("\\u{:04X}", u32::from(c))),
            }
        }
        self.0.push("\"");
    }

    fn block(&mut self, depth: usize, text: &str) {
        self.0.push(if text.ends_with('\n') { " |\n" } else { " |-\n" });
        for line in text.lines() {
            if !line.is_empty() {
                self.0.indent(depth);
                self.0.push(line);
            }
            self.0.push("\n");
        }
    }
}

/// Whether YAML takes a character as it is, and a reader sees it. All others are below U+10000.
fn is_shown(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether text is read back exactly as a literal block: some lines, the first and the last not empty, none of blanks alone
/// or with blanks at its end, and at most one newline at the end.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let whole = |line: &str| line.chars().all(is_shown) && !line.ends_with(char::is_whitespace);
    body.contains('\n') && !body.starts_with([' ', '\n']) && !body.ends_with('\n') && body.split('\n').all(whole)
}

/// Whether a name needs no quotes in any version of YAML.
fn is_plain(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    begins
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        && !words.iter().any(|word| name.eq_ignore_ascii_case(word))
}
