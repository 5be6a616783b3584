//! dotenv: `NAME=value` on a line each.
//!
//! ```text
//! # a comment
//! export HOST=db.example.com   # may be exported
//! GREETING='as it is, \n and $HOME included'
//! KEY="two
//! lines, a quote \" and a backslash \\"
//! ```
//!
//! Invariants: between single quotes everything stands for itself; between double quotes, a backslash stands before
//! `n r t " ' $ \` and itself alone; without quotes, everything up to the line's end or to a `#` behind a blank stands for
//! itself, blanks at the ends left out. An escape that programs read in different ways is refused, not guessed. What is
//! written is read alike by a shell, but for a carriage return, for which a shell has no escape.
//!
//! It deliberately expands nothing, and repeats nothing of a line that it can't read: it may be a value's.

use winnow::combinator::opt;
use winnow::error::{ErrMode, ModalResult, ParserError};
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location};
use winnow::token::{any as character, one_of, take_till, take_while};
use zeroize::Zeroizing;

use super::collect::Collector;
use super::{Buffer, Leaf, Lines, Mapping, Parsed, ReadError, WriteError};

type Input<'i> = LocatingSlice<&'i str>;

/// What is wrong, and where, in bytes.
#[derive(Debug)]
struct Fault(usize, &'static str);

impl<'i> ParserError<Input<'i>> for Fault {
    type Inner = Fault;

    fn from_input(input: &Input<'i>) -> Fault {
        Fault(input.current_token_start(), "this can't be read")
    }

    fn into_inner(self) -> Result<Fault, Fault> {
        Ok(self)
    }
}

fn wrong<T>(at: usize, why: &'static str) -> ModalResult<T, Fault> {
    Err(ErrMode::Cut(Fault(at, why)))
}

/// Reads lines.
pub(super) fn read(text: &str, mapping: &Mapping) -> Result<Parsed, ReadError> {
    let lines = Lines::of(text);
    let mut collector = Collector::new(mapping);
    let mut input = LocatingSlice::new(text);
    loop {
        match assignment(&mut input) {
            Ok(Some((at, name, value))) => {
                let (line, _) = lines.place(at);
                collector.value(&[name.to_owned()], line, value);
            }
            Ok(None) => return collector.finish(),
            Err(ErrMode::Cut(Fault(at, why)) | ErrMode::Backtrack(Fault(at, why))) => return Err(lines.error(at, why)),
            Err(ErrMode::Incomplete(_)) => return Err(lines.error(text.len(), "the file isn't complete")),
        }
    }
}

/// A name, where it stands, and its value.
type Assignment<'i> = (usize, &'i str, Zeroizing<Vec<u8>>);

/// The next one, if there is one.
fn assignment<'i>(input: &mut Input<'i>) -> ModalResult<Option<Assignment<'i>>, Fault> {
    skip(input)?;
    if input.is_empty() {
        return Ok(None);
    }
    opt(("export", take_while(1.., is_blank))).parse_next(input)?;
    let at = input.current_token_start();
    let name = take_while(0.., in_a_name).parse_next(input)?;
    if !is_name(name) {
        return wrong(at, "a name belongs here, of letters, digits and `_ . -`, then `=` and the value");
    }
    blanks(input)?;
    if opt('=').parse_next(input)?.is_none() {
        return wrong(input.current_token_start(), "a `=` and the value belong here, behind the name");
    }
    let blank = blanks(input)?;
    let value = value(input, blank)?;
    Ok(Some((at, name, value)))
}

/// Over empty lines and comments.
fn skip(input: &mut Input<'_>) -> ModalResult<(), Fault> {
    loop {
        take_while(0.., is_space).void().parse_next(input)?;
        if opt('#').parse_next(input)?.is_none() {
            return Ok(());
        }
        take_till(0.., '\n').void().parse_next(input)?;
    }
}

fn value(input: &mut Input<'_>, blank: bool) -> ModalResult<Zeroizing<Vec<u8>>, Fault> {
    let at = input.current_token_start();
    let value = match opt(one_of(['"', '\'', '`'])).parse_next(input)? {
        Some('"') => double_quoted(input, at)?,
        Some('\'') => single_quoted(input, at)?,
        Some(_) => return wrong(at, "a value is quoted by ' or \", and one with a backquote is"),
        None => return unquoted(input, at, blank),
    };
    let behind = input.current_token_start();
    let blank = blanks(input)?;
    let comment = blank && input.starts_with('#');
    if !(comment || input.is_empty() || input.starts_with('\n') || input.starts_with("\r\n")) {
        return wrong(behind, "only a blank and a comment can follow a closing quote");
    }
    take_till(0.., '\n').void().parse_next(input)?;
    Ok(value)
}

fn single_quoted(input: &mut Input<'_>, at: usize) -> ModalResult<Zeroizing<Vec<u8>>, Fault> {
    let text: &str = take_till(0.., '\'').parse_next(input)?;
    match opt('\'').parse_next(input)? {
        Some(_) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
        None => wrong(at, "this quote isn't closed"),
    }
}

fn double_quoted(input: &mut Input<'_>, at: usize) -> ModalResult<Zeroizing<Vec<u8>>, Fault> {
    let mut value = Buffer::default();
    loop {
        let text: &str = take_till(0.., ['"', '\\']).parse_next(input)?;
        value.push(text);
        let here = input.current_token_start();
        match opt(character).parse_next(input)? {
            Some('"') => return Ok(value.into_bytes()),
            Some(_) => value.push_char(escaped(input, here)?),
            None => return wrong(at, "this quote isn't closed"),
        }
    }
}

/// What stands behind a backslash.
fn escaped(input: &mut Input<'_>, at: usize) -> ModalResult<char, Fault> {
    match opt(character).parse_next(input)? {
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('t') => Ok('\t'),
        Some(c) if "\"'$`\\".contains(c) => Ok(c),
        _ => wrong(at, "programs read this escape in different ways; write `\\\\` for a backslash, or single quotes"),
    }
}

/// The rest of a line, without a comment and blanks at its ends.
fn unquoted(input: &mut Input<'_>, at: usize, blank: bool) -> ModalResult<Zeroizing<Vec<u8>>, Fault> {
    let line: &str = take_till(0.., '\n').parse_next(input)?;
    let comments = line.match_indices('#').map(|(at, _)| line.split_at_checked(at).unwrap_or_default().0);
    let before = comments
        .filter(|before| if before.is_empty() { blank } else { before.ends_with(is_blank) })
        .map(str::len)
        .next();
    let value = line.get(..before.unwrap_or(line.len())).unwrap_or_default().trim_matches(is_space);
    if value.contains(['\0', '\r']) {
        return wrong(at, "a value with such a character stands in quotes");
    }
    Ok(Zeroizing::new(value.as_bytes().to_vec()))
}

/// Over blanks; whether there were any.
fn blanks(input: &mut Input<'_>) -> ModalResult<bool, Fault> {
    let found: &str = take_while(0.., is_blank).parse_next(input)?;
    Ok(!found.is_empty())
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn is_space(c: char) -> bool {
    is_blank(c) || c == '\n' || c == '\r'
}

fn in_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.-".contains(c)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(in_a_name)
}

/// Writes lines, in the order of the names.
pub(super) fn write<'e>(leaves: impl Iterator<Item = Leaf<'e>>) -> Result<Zeroizing<Vec<u8>>, WriteError> {
    let mut file = Buffer::default();
    for leaf in leaves {
        let name = leaf.written.to_string();
        if !is_name(&name) || name.contains(['.', '-']) {
            return Err(leaf.fails(NO_NAME));
        }
        let text = std::str::from_utf8(leaf.value).ok().filter(|text| !text.contains('\0'));
        let text = text.ok_or_else(|| leaf.fails("its value isn't text, which dotenv can't hold; YAML can"))?;
        file.push(&name);
        file.push("=");
        quote(&mut file, text);
        file.push("\n");
    }
    Ok(file.into_bytes())
}

const NO_NAME: &str = "a dotenv name has letters, digits and `_` alone, and no `/` unless `__` is to stand for it";

/// A value in as few quotes as it needs to be read alike by shells and by the libraries for dotenv.
fn quote(file: &mut Buffer, text: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:/@%+=".contains(c);
    if text.chars().all(plain) {
        return file.push(text);
    }
    // Some libraries take two backslashes for one between single quotes, and one before the closing quote for its escape.
    let doubtful = text.contains("\\\\") || text.ends_with('\\');
    if !text.contains(['\'', '\r']) && !doubtful {
        file.push("'");
        file.push(text);
        return file.push("'");
    }
    file.push("\"");
    for c in text.chars() {
        match c {
            '\r' => file.push("\\r"),
            '"' | '\\' | '$' | '`' => {
                file.push("\\");
                file.push_char(c);
            }
            c => file.push_char(c),
        }
    }
    file.push("\"");
}
