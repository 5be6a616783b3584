//! YAML: one document, of mappings and values.
//!
//! Invariants: a scalar is the text that it was written as, whatever type YAML would give it. Text is written in quotes, or
//! as a literal block where it has several lines, so that no reader takes it for a number; bytes that aren't UTF-8 are
//! `!!binary`. No alias is followed, so that a file is as large as it looks.
//!
//! It deliberately resolves types only within lists, whose value is JSON text, and there only those of JSON.

mod write;

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag, options};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::collect::{Collector, DEEPEST};
use super::{Buffer, Mapping, Parsed, ReadError};

pub(super) use self::write::write;

/// The tag of bytes in Base64.
const BINARY: &str = "tag:yaml.org,2002:binary";

/// Reads a mapping.
pub(super) fn read(text: &str, mapping: &Mapping) -> Result<Parsed, ReadError> {
    let options = options! { flow_nesting_limit: DEEPEST, block_nesting_limit: DEEPEST, emit_comments: false };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader { parser, path: Vec::new(), collector: Collector::new(mapping) };
    reader.document()?;
    reader.collector.finish()
}

struct Reader<'t, 'm> {
    parser: Parser<'t, StrInput<'t>>,
    path: Vec<String>,
    collector: Collector<'m>,
}

/// A scalar as the parser gives it.
struct Scalar<'t> {
    text: Zeroizing<String>,
    plain: bool,
    tag: Meaning<'t>,
}

/// What a tag says about a node.
enum Meaning<'t> {
    /// There is none.
    Untold,
    /// One of the core schema's, which leaves a scalar's text as it is.
    Core(&'t str),
    Binary,
    Other,
}

impl<'t> Reader<'t, '_> {
    fn document(&mut self) -> Result<(), ReadError> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd => return Ok(()),
                Event::MappingStart(..) => {
                    self.mapping()?;
                    break;
                }
                // A file of comments alone.
                Event::Scalar(text, ScalarStyle::Plain, _, None) if is_null(&text) => break,
                _ => return Err(error(&span, "the file isn't one mapping, of `key: value`")),
            }
        }
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentEnd, _) => {}
                (_, span) => return Err(error(&span, "a second document begins here, and a file can have one alone")),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), ReadError> {
        match self.parser.next() {
            Some(Ok((Event::Alias(_), span))) => Err(error(&span, NO_ALIASES)),
            Some(Ok(found)) => Ok(found),
            Some(Err(failed)) => Err(syntax(&failed)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// The rest of a mapping, behind its beginning.
    fn mapping(&mut self) -> Result<(), ReadError> {
        loop {
            let name = match self.next()? {
                (Event::MappingEnd, _) => return Ok(()),
                (event, span) => name(event, &span)?,
            };
            if self.path.len() >= DEEPEST {
                let (_, span) = self.next()?;
                return Err(error(&span, format!("mappings stand at most {DEEPEST} deep in each other")));
            }
            self.path.push(name);
            let (event, span) = self.next()?;
            self.node(event, &span)?;
            self.path.pop();
        }
    }

    /// What stands behind a key.
    fn node(&mut self, event: Event<'t>, span: &Span) -> Result<(), ReadError> {
        let line = line(span);
        match event {
            Event::MappingStart(_, _, tag) => {
                collection(tag.as_deref(), "map", span)?;
                self.collector.object(&self.path, line);
                self.mapping()
            }
            Event::SequenceStart(_, _, tag) => {
                collection(tag.as_deref(), "seq", span)?;
                let mut json = Buffer::default();
                self.sequence(&mut json)?;
                self.collector.value(&self.path, line, json.into_bytes());
                Ok(())
            }
            Event::Scalar(text, style, _, tag) => {
                match value(&scalar(text.into_owned(), style, tag.as_deref())) {
                    Ok(value) => self.collector.value(&self.path, line, value),
                    Err(why) => self.collector.problem(&self.path, line, why),
                }
                Ok(())
            }
            _ => Err(error(span, "a value is missing here")),
        }
    }

    /// The rest of a list as JSON, behind its beginning.
    fn sequence(&mut self, json: &mut Buffer) -> Result<(), ReadError> {
        json.push("[");
        let mut first = true;
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => break,
                (event, span) => {
                    json.push(if first { "" } else { "," });
                    self.part(event, &span, json)?;
                }
            }
            first = false;
        }
        json.push("]");
        Ok(())
    }

    /// The rest of a mapping within a list as JSON, behind its beginning.
    fn object(&mut self, json: &mut Buffer) -> Result<(), ReadError> {
        json.push("{");
        let mut names = BTreeSet::new();
        loop {
            let name = match self.next()? {
                (Event::MappingEnd, _) => break,
                (event, span) => {
                    let name = name(event, &span)?;
                    if names.contains(&name) {
                        return Err(error(&span, "this name is there twice in its mapping"));
                    }
                    name
                }
            };
            json.push(if names.is_empty() { "" } else { "," });
            json.push_json(&name);
            json.push(":");
            names.insert(name);
            let (event, span) = self.next()?;
            self.part(event, &span, json)?;
        }
        json.push("}");
        Ok(())
    }

    /// What stands within a list, as JSON.
    fn part(&mut self, event: Event<'t>, span: &Span, json: &mut Buffer) -> Result<(), ReadError> {
        match event {
            Event::MappingStart(_, _, tag) => {
                collection(tag.as_deref(), "map", span)?;
                self.object(json)
            }
            Event::SequenceStart(_, _, tag) => {
                collection(tag.as_deref(), "seq", span)?;
                self.sequence(json)
            }
            Event::Scalar(text, style, _, tag) => {
                let scalar = scalar(text.into_owned(), style, tag.as_deref());
                let resolved = match (&scalar.tag, scalar.plain) {
                    (Meaning::Untold, true) => resolved(&scalar.text),
                    (Meaning::Untold | Meaning::Core("str"), _) => "",
                    _ => return Err(error(span, "a tag within a list has no form in its JSON text")),
                };
                if resolved.is_empty() {
                    json.push_json(&scalar.text);
                } else {
                    json.push(resolved);
                }
                Ok(())
            }
            _ => Err(error(span, "a value is missing here")),
        }
    }
}

const NO_ALIASES: &str = "aliases (`*name`, `<<`) aren't followed; write out what this one stands for";

/// A key, which is a scalar.
fn name(event: Event<'_>, span: &Span) -> Result<String, ReadError> {
    let Event::Scalar(text, style, _, tag) = event else {
        return Err(error(span, "a key is text"));
    };
    let plain = style == ScalarStyle::Plain;
    match meaning(tag.as_deref()) {
        Meaning::Untold | Meaning::Core("str") => {}
        _ => return Err(error(span, "a key is text, and has no tag")),
    }
    match text.as_ref() {
        "<<" if plain => Err(error(span, NO_ALIASES)),
        "~" | "" if plain => Err(error(span, "a key is missing here")),
        _ => Ok(text.into_owned()),
    }
}

fn scalar<'t>(text: String, style: ScalarStyle, tag: Option<&'t Tag>) -> Scalar<'t> {
    Scalar { text: Zeroizing::new(text), plain: style == ScalarStyle::Plain, tag: meaning(tag) }
}

/// The value of a scalar, or why it has none.
fn value(scalar: &Scalar<'_>) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    match scalar.tag {
        Meaning::Untold if scalar.plain && is_null(&scalar.text) => Err(NULL),
        Meaning::Core("null") => Err(NULL),
        Meaning::Core("map" | "seq") | Meaning::Other => Err("its tag has no meaning here; leave it out"),
        Meaning::Untold | Meaning::Core(_) => Ok(Zeroizing::new(scalar.text.as_bytes().to_vec())),
        Meaning::Binary => {
            let text: Zeroizing<Vec<u8>> =
                Zeroizing::new(scalar.text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
            STANDARD.decode(&*text).map(Zeroizing::new).map_err(|_| "it is tagged `!!binary` and isn't Base64")
        }
    }
}

const NULL: &str = "null is no value; leave it out, or write \"\"";

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn meaning(tag: Option<&Tag>) -> Meaning<'_> {
    let Some(tag) = tag else { return Meaning::Untold };
    let name = format!("{}{}", tag.handle(), tag.suffix());
    match tag.core_suffix() {
        Some(core) => Meaning::Core(core),
        None if name == "!" => Meaning::Core("str"),
        None if name == BINARY => Meaning::Binary,
        None => Meaning::Other,
    }
}

/// That a collection has no tag but its own.
fn collection(tag: Option<&Tag>, own: &str, span: &Span) -> Result<(), ReadError> {
    match meaning(tag) {
        Meaning::Untold => Ok(()),
        Meaning::Core(core) if core == own => Ok(()),
        _ => Err(error(span, "this tag has no meaning here; leave it out")),
    }
}

/// A plain scalar of a list as JSON has it; nothing for text.
fn resolved(text: &str) -> &str {
    match text {
        text if is_null(text) => "null",
        "true" | "True" | "TRUE" => "true",
        "false" | "False" | "FALSE" => "false",
        text if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
            serde_json::from_str::<&RawValue>(text).map_or("", RawValue::get)
        }
        _ => "",
    }
}

fn line(span: &Span) -> usize {
    span.start.line().max(1)
}

fn error(span: &Span, why: impl Into<String>) -> ReadError {
    ReadError { line: line(span), column: span.start.col() + 1, why: why.into() }
}

/// An error without the library's words, which may have some of the file's.
fn syntax(failed: &ScanError) -> ReadError {
    let why = match failed.kind() {
        ErrorKind::UnknownAnchor => NO_ALIASES.to_owned(),
        ErrorKind::RecursionLimitExceeded => format!("mappings and lists stand at most {DEEPEST} deep in each other"),
        ErrorKind::UnclosedQuotedScalar => "a quote isn't closed".to_owned(),
        ErrorKind::UnclosedFlowCollection { .. } => "a bracket isn't closed".to_owned(),
        ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            "YAML is indented by blanks, no tabs".to_owned()
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            "this escape has no meaning in double quotes; write `\\\\` for a backslash".to_owned()
        }
        _ => "this isn't YAML; look at the indentation, quotes, and the blank behind `:`".to_owned(),
    };
    let at = failed.marker();
    ReadError { line: at.line().max(1), column: at.col() + 1, why }
}
