//! How results are shown: lines and JSON everywhere, aligned tables on a terminal alone.
//!
//! Invariant: what somebody stored reaches a terminal with its control characters made harmless, in tables and messages.

use std::io::{self, IsTerminal, Write};

use keyfs::client::value::Value;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use crate::exit::Failure;

/// Whether people look at what is printed.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Prints bytes as they are.
pub(crate) fn bytes(mut bytes: &[u8]) -> Result<(), Failure> {
    let stdout = io::stdout();
    // Without the buffer of Stdout, which would keep a copy.
    while !bytes.is_empty() {
        match rustix::io::write(&stdout, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::output(&error.into())),
        }
    }
    Ok(())
}

/// Prints lines.
pub(crate) fn lines<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Result<(), Failure> {
    let mut stdout = io::BufWriter::with_capacity(65_536, io::stdout().lock());
    let print = || {
        for line in lines {
            stdout.write_all(line.as_ref().as_bytes())?;
            stdout.write_all(b"\n")?;
        }
        stdout.flush()
    };
    print().map_err(|error| Failure::output(&error))
}

/// Prints JSON, on one line or indented.
pub(crate) fn json(value: &Json, pretty: bool) -> Result<(), Failure> {
    lines([if pretty { format!("{value:#}") } else { value.to_string() }])
}

/// Prints rows: aligned below their heads on a terminal, else with tabs between the cells and no heads.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    if !is_terminal() {
        return lines(rows.iter().map(|row| row.join("\t")));
    }
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let mut widths: Vec<_> = heads.iter().map(|head| head.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let aligned = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let heads: Vec<_> = heads.iter().map(ToString::to_string).collect();
    let coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let head = aligned(&heads);
    let head = if coloured { format!("\x1b[1m{head}\x1b[0m") } else { head };
    lines(std::iter::once(head).chain(rows.iter().map(|row| aligned(row))))
}

/// Text without what a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// A value on one line, for a table: what would break the line or the table is written as in a string of C.
pub(crate) fn cell(value: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => shown.push_str("\\\\"),
                c if c.is_control() => shown.extend(c.escape_default()),
                c => shown.push(c),
            }
        }
        shown.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    shown
}

/// A value as JSON text, and a newline: a string, or for what is no text an object with its base64.
pub(crate) fn value_json(value: &[u8]) -> Value {
    // No control character is longer than six bytes; a buffer that grew would leave copies.
    let mut text = Zeroizing::new(Vec::with_capacity(value.len() * 6 + 32));
    let written = match std::str::from_utf8(value) {
        Ok(value) => serde_json::to_writer(&mut *text, value).is_ok(),
        Err(_) => {
            let coded = Zeroizing::new(base64(value));
            write!(text, "{{\"base64\": \"{}\"}}", *coded).is_ok()
        }
    };
    debug_assert!(written, "memory can be written to");
    text.push(b'\n');
    text
}

/// Base64 as in RFC 4648, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A line for people on stderr.
pub(crate) fn note(text: &str) {
    // There is nobody to tell where that fails.
    let _ = writeln!(io::stderr(), "dt: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line() {
        assert_eq!(cell("a\nb\tc\\ü\x1b".as_bytes()), "a\\nb\\tc\\\\ü\\u{1b}");
        assert_eq!(cell(b"\xff\x00"), "\\xff\\u{0}");
    }

    #[test]
    fn json_is_text_or_says_that_it_is_none() {
        assert_eq!(*value_json(b"say \"hi\"\n"), *b"\"say \\\"hi\\\"\\n\"\n");
        assert_eq!(*value_json(b"\xff\x00"), *b"{\"base64\": \"/wA=\"}\n");
        assert_eq!(*value_json(b""), *b"\"\"\n");
    }
}
