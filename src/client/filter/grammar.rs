//! How an expression is read.
//!
//! ```text
//! any       = all ("or" all)*
//! all       = part ("and" part)*
//! part      = "not" part | "(" any ")" | condition
//! condition = field operator value | field operator "[" value ("," value)* "]" | field ("is_null" | "is_not_null")
//! ```
//!
//! Invariants: what the grammar demands at a place fails for good there, with the reason, so that an error is never one of a
//! later attempt; only what may be absent (a joining word, a sign) is tried. Nesting has a limit, so that no text exhausts
//! the stack.
//!
//! It deliberately has no spelling for numbers and times of its own: a value is text until its field says otherwise.

use winnow::ascii::Caseless;
use winnow::combinator::{delimited, eof, not, opt, separated};
use winnow::error::{ErrMode, ModalResult, ParserError};
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location, Stateful};
use winnow::token::{any as character, one_of, take_while};

use super::{Condition, Expression, Kind, Known, Meaning, Operator, SyntaxError, Value, find, fold, unknown};
use crate::clock::Timestamp;

/// How deep parentheses and `not` may stand within each other.
pub(super) const DEEPEST: usize = 50;

/// What is read, where in it, and what the reader needs to know.
pub(super) type Input<'i> = Stateful<LocatingSlice<&'i str>, State<'i>>;

#[derive(Clone, Copy, Debug)]
pub(super) struct State<'i> {
    pub(super) known: &'i [Known],
    depth: usize,
}

/// What is wrong, and where, in bytes. One that nobody gave a reason is only that something isn't there.
#[derive(Debug)]
pub(super) struct Fault {
    at: usize,
    why: String,
}

impl<'i> ParserError<Input<'i>> for Fault {
    type Inner = Fault;

    fn from_input(input: &Input<'i>) -> Fault {
        Fault { at: input.current_token_start(), why: String::new() }
    }

    fn into_inner(self) -> Result<Fault, Fault> {
        Ok(self)
    }
}

/// Fails for good, here.
pub(super) fn wrong<T>(at: usize, why: impl Into<String>) -> ModalResult<T, Fault> {
    Err(ErrMode::Cut(Fault { at, why: why.into() }))
}

/// Reads the whole of a text by one parser.
pub(super) fn whole<'i, T>(
    text: &'i str,
    known: &'i [Known],
    mut parser: impl Parser<Input<'i>, T, ErrMode<Fault>>,
) -> Result<T, SyntaxError> {
    let mut input = Stateful { input: LocatingSlice::new(text), state: State { known, depth: 0 } };
    parser.parse_next(&mut input).map_err(|error| match error {
        ErrMode::Cut(fault) | ErrMode::Backtrack(fault) => SyntaxError::new(text, fault.at, fault.why),
        ErrMode::Incomplete(_) => SyntaxError::new(text, text.len(), "the expression isn't complete".to_owned()),
    })
}

/// A whole expression, or none in a text of blanks.
pub(super) fn filter(text: &str, known: &[Known]) -> Result<Option<Expression>, SyntaxError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    whole(text, known, |input: &mut Input<'_>| {
        let expression = any(input)?;
        end(input, "only `and`, `or` or the end can follow here")?;
        Ok(Some(expression))
    })
}

fn end(input: &mut Input<'_>, why: &str) -> ModalResult<(), Fault> {
    blanks(input)?;
    match opt(eof).parse_next(input)? {
        Some(_) => Ok(()),
        None => wrong(
            input.current_token_start(),
            format!("{why}; a value with blanks, quotes, commas, brackets or parentheses stands in quotes"),
        ),
    }
}

fn any(input: &mut Input<'_>) -> ModalResult<Expression, Fault> {
    let parts = separated(1.., all, keyword("or")).parse_next(input)?;
    Ok(one_or(parts, Expression::Any))
}

fn all(input: &mut Input<'_>) -> ModalResult<Expression, Fault> {
    let parts = separated(1.., part, keyword("and")).parse_next(input)?;
    Ok(one_or(parts, Expression::All))
}

fn one_or(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            join(parts)
        }
    }
}

fn part(input: &mut Input<'_>) -> ModalResult<Expression, Fault> {
    blanks(input)?;
    let at = input.current_token_start();
    if opt(keyword("not")).parse_next(input)?.is_some() {
        return deeper(input, at, |input| Ok(Expression::Not(Box::new(part(input)?))));
    }
    if opt('(').parse_next(input)?.is_some() {
        return deeper(input, at, |input| {
            let within = any(input)?;
            blanks(input)?;
            match opt(')').parse_next(input)? {
                Some(_) => Ok(within),
                None if input.is_empty() => wrong(at, "this parenthesis isn't closed"),
                None => wrong(input.current_token_start(), "only `and`, `or` or `)` can follow here"),
            }
        });
    }
    condition.map(Expression::Condition).parse_next(input)
}

/// One level further down, if that isn't too deep.
fn deeper<'i, T>(
    input: &mut Input<'i>,
    at: usize,
    within: impl FnOnce(&mut Input<'i>) -> ModalResult<T, Fault>,
) -> ModalResult<T, Fault> {
    if input.state.depth == DEEPEST {
        return wrong(at, format!("parentheses and `not` stand at most {DEEPEST} deep in each other"));
    }
    input.state.depth += 1;
    let answer = within(input);
    input.state.depth -= 1;
    answer
}

fn condition(input: &mut Input<'_>) -> ModalResult<Condition, Fault> {
    let field = field(input)?;
    blanks(input)?;
    let at = input.current_token_start();
    let Some(operator) = opt(operator).parse_next(input)? else {
        let words: Vec<_> = Operator::ALL.iter().map(|(word, _)| *word).collect();
        return wrong(at, format!("an operator belongs behind `{}`, one of {}", field.name, words.join(" ")));
    };
    suits(at, operator, field)?;
    if operator.asks_for_null() {
        return Ok(Condition { field, operator, values: Vec::new(), bracketed: false });
    }
    blanks(input)?;
    let at = input.current_token_start();
    let bracketed = opt('[').parse_next(input)?.is_some();
    if bracketed && operator.asks_for_order() {
        return wrong(at, format!("`{operator}` takes one value, no list"));
    }
    let one = |input: &mut Input<'_>| value(input, field, operator);
    let values = if bracketed { list(input, at, one)? } else { vec![one(input)?] };
    Ok(Condition { field, operator, values, bracketed })
}

/// The rest of a list, behind its bracket.
fn list(
    input: &mut Input<'_>,
    at: usize,
    one: impl FnMut(&mut Input<'_>) -> ModalResult<Value, Fault>,
) -> ModalResult<Vec<Value>, Fault> {
    let values = separated(1.., one, (blanks, ',')).parse_next(input)?;
    blanks(input)?;
    match opt(']').parse_next(input)? {
        Some(_) => Ok(values),
        None if input.is_empty() => wrong(at, "this bracket isn't closed"),
        None => wrong(input.current_token_start(), "only `,` or `]` can follow here"),
    }
}

/// The name of a known field.
pub(super) fn field(input: &mut Input<'_>) -> ModalResult<Known, Fault> {
    blanks(input)?;
    let at = input.current_token_start();
    let name: &str = take_while(0.., |c: char| c.is_alphanumeric() || c == '_' || c == '.').parse_next(input)?;
    let known = input.state.known;
    match find(name, known) {
        _ if name.is_empty() => wrong(at, "a field's name belongs here"),
        Some(field) => Ok(field),
        None => wrong(at, unknown(known)),
    }
}

fn operator(input: &mut Input<'_>) -> ModalResult<Operator, Fault> {
    for (word, operator) in Operator::ALL {
        let found = match word.starts_with(char::is_alphabetic) {
            true => opt(keyword(word)).parse_next(input)?,
            false => opt(word.void()).parse_next(input)?,
        };
        if found.is_some() {
            return Ok(operator);
        }
    }
    Err(ErrMode::Backtrack(Fault::from_input(input)))
}

/// That an operator has a meaning for such a field.
fn suits(at: usize, operator: Operator, field: Known) -> ModalResult<(), Fault> {
    let name = field.name;
    match field.kind {
        Kind::Text | Kind::List if operator.asks_for_order() => {
            wrong(at, format!("`{operator}` compares numbers and times, and {name} is text"))
        }
        Kind::Flag if operator.asks_for_order() => {
            wrong(at, format!("`{operator}` compares numbers and times, and {name} is true or false"))
        }
        Kind::Number | Kind::Flag if operator.asks_for_text() => {
            let kind = if field.kind == Kind::Number { "a number" } else { "true or false" };
            wrong(at, format!("`{operator}` compares text, and {name} is {kind}"))
        }
        _ => Ok(()),
    }
}

fn value(input: &mut Input<'_>, field: Known, operator: Operator) -> ModalResult<Value, Fault> {
    blanks(input)?;
    let at = input.current_token_start();
    let written = match opt(one_of(['"', '\''])).parse_next(input)? {
        Some(quote) => quoted(input, at, quote)?,
        None => bare(input, at)?,
    };
    let name = field.name;
    let meaning = match field.kind {
        Kind::Text | Kind::List => Some(Meaning::Text(fold(&written))),
        Kind::Time if operator.asks_for_text() => Some(Meaning::Text(fold(&written))),
        Kind::Number => written.parse().ok().map(Meaning::Number),
        Kind::Time => moment(&written).map(Meaning::Time),
        Kind::Flag => written.to_ascii_lowercase().parse().ok().map(Meaning::Flag),
    };
    match (meaning, field.kind) {
        (Some(meaning), _) => Ok(Value { written, meaning }),
        (None, Kind::Time) => {
            wrong(at, format!("{name} is compared with a time, such as 2027-01-31 or 2027-01-31T12:00:00Z"))
        }
        (None, Kind::Flag) => wrong(at, format!("{name} is compared with true or false")),
        (None, _) => wrong(at, format!("{name} is compared with a whole number")),
    }
}

/// A moment as people write it: RFC 3339; without a zone it is UTC, and a day is its beginning.
fn moment(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text)
        .or_else(|| Timestamp::parse(&format!("{text}Z")))
        .or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")))
}

fn bare(input: &mut Input<'_>, at: usize) -> ModalResult<String, Fault> {
    let text: &str = take_while(0.., within_a_word).parse_next(input)?;
    if text.is_empty() {
        return wrong(at, "a value belongs here, in quotes if it is empty");
    }
    if is_keyword(text) {
        return wrong(at, format!("a value belongs here; the word `{text}` stands in quotes"));
    }
    Ok(text.to_owned())
}

/// The rest of a text in quotes, behind the first.
fn quoted(input: &mut Input<'_>, at: usize, quote: char) -> ModalResult<String, Fault> {
    let mut text = String::new();
    loop {
        match opt(character).parse_next(input)? {
            None => return wrong(at, "this quote isn't closed"),
            Some(c) if c == quote => return Ok(text),
            Some('\\') => text.push(opt(one_of([quote, '\\'])).parse_next(input)?.unwrap_or('\\')),
            Some(c) => text.push(c),
        }
    }
}

/// A word of the language, in any case, that isn't the beginning of another, and the blanks before it.
fn keyword<'i>(word: &'static str) -> impl Parser<Input<'i>, (), ErrMode<Fault>> {
    delimited(blanks, Caseless(word), not(one_of(within_a_word))).void()
}

/// What a value without quotes may hold.
fn within_a_word(c: char) -> bool {
    !c.is_whitespace() && !"()[],".contains(c)
}

fn is_keyword(text: &str) -> bool {
    ["and", "or", "not"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether a value is read back as it is without quotes.
pub(super) fn stands_bare(text: &str) -> bool {
    let free = !text.is_empty() && text.chars().all(within_a_word) && !text.starts_with(['"', '\'']);
    free && !is_keyword(text)
}

/// Any space that may stand between two tokens.
pub(super) fn blanks(input: &mut Input<'_>) -> ModalResult<(), Fault> {
    take_while(0.., char::is_whitespace).void().parse_next(input)
}
