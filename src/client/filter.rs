//! The language of `--filter` and `--sort`: which of the things listed are shown, and in what order.
//!
//! ```text
//! key starts_with db/ and not (modified < 2027-01-01 or size = 0)
//! owner = [alice, 'bob smith'] and expires is_not_null
//! ```
//!
//! A condition is a field, an operator and a value; `not` binds tighter than `and`, `and` tighter than `or`.
//!
//! Invariants: a [`Filter`] names only fields that there are, and compares each with what it can be compared with: all else
//! is refused where it is parsed, with the place. Text is compared without regard to case. A field that is null answers
//! neither a comparison nor its negation, as in SQL. What is printed is read as the same filter.
//!
//! It deliberately knows nothing of what is listed: that is asked for by name.

mod grammar;
mod selection;
mod sort;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

pub use self::selection::{Selection, Wrong};
pub use self::sort::Sort;
use crate::clock::Timestamp;

/// What kind of values a field has, which decides what it can be compared with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Text: equality, and its beginning, end and parts.
    Text,
    /// A whole number: equality and order.
    Number,
    /// A moment: equality and order, and what holds for text, of its RFC 3339 form.
    Time,
    /// `true` or `false`: equality.
    Flag,
    /// Several texts: a condition holds if it holds for one of them, and `!=` if all of them differ.
    List,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Number => "number",
            Kind::Time => "time",
            Kind::Flag => "flag",
            Kind::List => "list",
        }
    }
}

/// A field that there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Known {
    /// What it is called, in lower case; an expression may write it in any case.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A field's value. One that isn't there, null, is no `Field`.
#[derive(Clone, Debug, PartialEq)]
pub enum Field<'f> {
    /// For [`Kind::Text`].
    Text(Cow<'f, str>),
    /// For [`Kind::Number`].
    Number(i64),
    /// For [`Kind::Time`]: RFC 3339 text, as the attributes of a mount have it. Any other text counts as null.
    Time(Cow<'f, str>),
    /// For [`Kind::Flag`].
    Flag(bool),
    /// For [`Kind::List`]. An empty one counts as null.
    List(Vec<Cow<'f, str>>),
}

/// Gives a field's value by its name, as [`Known`] has it.
pub type Lookup<'l, 'f> = &'l dyn Fn(&str) -> Option<Field<'f>>;

/// Why an expression can't be read: one line that points at the place.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("column {column}, {}: {why}", near(.rest))]
pub struct SyntaxError {
    /// The place in the expression, in characters, the first being 1.
    pub column: usize,
    /// What stands there, the whole of it.
    pub rest: String,
    /// What is wrong there.
    pub why: String,
}

/// How much of an expression a message repeats, in characters.
const SHOWN: usize = 20;

fn near(rest: &str) -> String {
    if rest.is_empty() {
        return "at the end".to_owned();
    }
    let mut shown = String::new();
    for c in rest.chars().take(SHOWN) {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    let more = if rest.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("at `{shown}{more}`")
}

impl SyntaxError {
    fn new(text: &str, at: usize, why: String) -> SyntaxError {
        let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
        SyntaxError { column: before.chars().count() + 1, rest: rest.to_owned(), why }
    }
}

/// A parsed expression of `--filter`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter(Option<Expression>);

#[derive(Clone, Debug, PartialEq)]
enum Expression {
    /// Two or more, joined by `or`.
    Any(Vec<Expression>),
    /// Two or more, joined by `and`.
    All(Vec<Expression>),
    Not(Box<Expression>),
    Condition(Condition),
}

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    field: Known,
    operator: Operator,
    /// None for those that ask for null, else one or, in brackets, one or more.
    values: Vec<Value>,
    /// Whether the values stand in brackets.
    bracketed: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    Equal,
    Differs,
    Less,
    AtMost,
    Greater,
    AtLeast,
    StartsWith,
    EndsWith,
    Contains,
    IsNull,
    IsNotNull,
}

/// A value as it was written, and what it means for the field that it is compared with.
#[derive(Clone, Debug, PartialEq)]
struct Value {
    written: String,
    meaning: Meaning,
}

#[derive(Clone, Debug, PartialEq)]
enum Meaning {
    /// Folded.
    Text(String),
    Number(i64),
    Time(Timestamp),
    Flag(bool),
}

impl Filter {
    /// Parses an expression over these fields. Nothing but blanks is a filter that lets everything through.
    pub fn parse(text: &str, known: &[Known]) -> Result<Filter, SyntaxError> {
        grammar::filter(text, known).map(Filter)
    }

    /// The names of the fields that it asks for, so that no other is looked up.
    pub fn fields(&self) -> BTreeSet<&'static str> {
        let mut names = BTreeSet::new();
        let mut left: Vec<&Expression> = self.0.iter().collect();
        while let Some(expression) = left.pop() {
            match expression {
                Expression::Any(parts) | Expression::All(parts) => left.extend(parts),
                Expression::Not(part) => left.push(part),
                Expression::Condition(condition) => drop(names.insert(condition.field.name)),
            }
        }
        names
    }

    /// Whether what has these fields is let through.
    pub fn matches(&self, look_up: Lookup<'_, '_>) -> bool {
        self.0.as_ref().is_none_or(|expression| expression.answer(look_up) == Some(true))
    }
}

impl Expression {
    /// SQL's logic of three values: what asks about null is neither true nor false, but `None`.
    fn answer(&self, look_up: Lookup<'_, '_>) -> Option<bool> {
        match self {
            Expression::Any(parts) => decided_by(true, parts, look_up),
            Expression::All(parts) => decided_by(false, parts, look_up),
            Expression::Not(part) => part.answer(look_up).map(|answer| !answer),
            Expression::Condition(condition) => condition.answer(look_up(condition.field.name)),
        }
    }
}

/// One part with this answer decides; without one, the others do together, if each has an answer.
fn decided_by(decisive: bool, parts: &[Expression], look_up: Lookup<'_, '_>) -> Option<bool> {
    let mut together = Some(!decisive);
    for part in parts {
        match part.answer(look_up) {
            Some(answer) if answer == decisive => return Some(decisive),
            None => together = None,
            Some(_) => {}
        }
    }
    together
}

impl Condition {
    fn answer(&self, field: Option<Field<'_>>) -> Option<bool> {
        let field = field.filter(Field::is_there);
        match self.operator {
            Operator::IsNull => return Some(field.is_none()),
            Operator::IsNotNull => return Some(field.is_some()),
            _ => {}
        }
        let field = field?;
        let any = match &field {
            Field::List(texts) => {
                let texts: Vec<_> = texts.iter().map(|text| fold(text)).collect();
                self.values.iter().any(|value| texts.iter().any(|text| self.compares(value, &Comparable::Text(text))))
            }
            Field::Text(text) => self.any(&Comparable::Text(&fold(text))),
            Field::Time(text) => self.any(&Comparable::Time(Timestamp::parse(text)?, &fold(text))),
            Field::Number(number) => self.any(&Comparable::Number(*number)),
            Field::Flag(flag) => self.any(&Comparable::Flag(*flag)),
        };
        Some(any != (self.operator == Operator::Differs))
    }

    fn any(&self, field: &Comparable<'_>) -> bool {
        self.values.iter().any(|value| self.compares(value, field))
    }

    /// Whether the operator holds between a field's value and one of the condition's; for [`Operator::Differs`], whether
    /// they are equal, since it holds where none of them is.
    fn compares(&self, value: &Value, field: &Comparable<'_>) -> bool {
        match (&value.meaning, field) {
            (Meaning::Text(value), Comparable::Text(field) | Comparable::Time(_, field)) => match self.operator {
                Operator::StartsWith => field.starts_with(value),
                Operator::EndsWith => field.ends_with(value),
                Operator::Contains => field.contains(value),
                _ => field == value,
            },
            (Meaning::Number(value), Comparable::Number(field)) => self.operator.orders(field, value),
            (Meaning::Time(value), Comparable::Time(field, _)) => self.operator.orders(field, value),
            (Meaning::Flag(value), Comparable::Flag(field)) => value == field,
            // A lookup that gives another kind of value than it said.
            _ => false,
        }
    }
}

/// A field's value in the form in which it is compared; text is folded.
enum Comparable<'c> {
    Text(&'c str),
    Number(i64),
    Time(Timestamp, &'c str),
    Flag(bool),
}

impl Field<'_> {
    fn is_there(&self) -> bool {
        match self {
            Field::List(texts) => !texts.is_empty(),
            Field::Time(text) => Timestamp::parse(text).is_some(),
            Field::Text(_) | Field::Number(_) | Field::Flag(_) => true,
        }
    }
}

impl Operator {
    /// All of them as they are written, the longer one of two that begin alike first.
    const ALL: [(&'static str, Operator); 12] = [
        ("==", Operator::Equal),
        ("=", Operator::Equal),
        ("!=", Operator::Differs),
        ("<=", Operator::AtMost),
        ("<", Operator::Less),
        (">=", Operator::AtLeast),
        (">", Operator::Greater),
        ("starts_with", Operator::StartsWith),
        ("ends_with", Operator::EndsWith),
        ("contains", Operator::Contains),
        ("is_null", Operator::IsNull),
        ("is_not_null", Operator::IsNotNull),
    ];

    fn asks_for_null(self) -> bool {
        matches!(self, Operator::IsNull | Operator::IsNotNull)
    }

    fn asks_for_order(self) -> bool {
        matches!(self, Operator::Less | Operator::AtMost | Operator::Greater | Operator::AtLeast)
    }

    fn asks_for_text(self) -> bool {
        matches!(self, Operator::StartsWith | Operator::EndsWith | Operator::Contains)
    }

    fn orders<T: PartialOrd>(self, field: &T, value: &T) -> bool {
        match self {
            Operator::Less => field < value,
            Operator::AtMost => field <= value,
            Operator::Greater => field > value,
            Operator::AtLeast => field >= value,
            _ => field == value,
        }
    }
}

/// Text without regard to case, a character at a time, so that a part of a text folds as it does within it.
fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// A known field by its name, in whatever case that is.
fn find(name: &str, known: &[Known]) -> Option<Known> {
    known.iter().copied().find(|field| field.name.eq_ignore_ascii_case(name))
}

/// That there is no such field, and which there are.
fn unknown(known: &[Known]) -> String {
    let names: Vec<_> = known.iter().map(|field| field.name).collect();
    format!("no such field; there are {}", names.join(", "))
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|expression| expression.fmt(f))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Any(parts) => joined(f, parts, " or "),
            Expression::All(parts) => joined(f, parts, " and "),
            Expression::Not(part) => write!(f, "not {}", Part(part)),
            Expression::Condition(condition) => condition.fmt(f),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Expression], word: &str) -> fmt::Result {
    for (place, part) in parts.iter().enumerate() {
        f.write_str(if place > 0 { word } else { "" })?;
        write!(f, "{}", Part(part))?;
    }
    Ok(())
}

/// An expression within another: in parentheses where it would be read otherwise without.
struct Part<'e>(&'e Expression);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expression::Any(_) | Expression::All(_) => write!(f, "({})", self.0),
            Expression::Not(_) | Expression::Condition(_) => self.0.fmt(f),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field.name, self.operator)?;
        if self.operator.asks_for_null() {
            return Ok(());
        }
        f.write_str(if self.bracketed { " [" } else { " " })?;
        for (place, value) in self.values.iter().enumerate() {
            f.write_str(if place > 0 { ", " } else { "" })?;
            write!(f, "{value}")?;
        }
        f.write_str(if self.bracketed { "]" } else { "" })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = Operator::ALL.iter().find(|(_, operator)| operator == self);
        written.map_or(Ok(()), |(word, _)| f.write_str(word))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.written;
        if grammar::stands_bare(text) {
            return f.write_str(text);
        }
        write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
