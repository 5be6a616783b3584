//! The order of a list: `+key`, `-modified`, `owner,-size`.
//!
//! Invariants: only fields that there are, each with its direction; what is null stands last in both directions. Text is in
//! the order of its bytes, as keys are listed, and times in that of the moments.
//!
//! It deliberately doesn't sort: things that compare alike stay in the order in which they were found if the caller's sort
//! is stable.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

use winnow::combinator::{eof, opt};
use winnow::error::ModalResult;
use winnow::prelude::*;
use winnow::stream::Location;
use winnow::token::one_of;

use super::grammar::{Fault, Input, blanks, field, whole, wrong};
use super::{Field, Known, Lookup, SyntaxError};
use crate::clock::Timestamp;

/// A parsed expression of `--sort`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sort(Vec<Criterion>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Criterion {
    field: Known,
    descending: bool,
}

impl Sort {
    /// Parses a list of fields, the first being what counts most, each with `+` or nothing for ascending and `-` for
    /// descending order, with commas or blanks between them. Nothing but blanks is no order.
    pub fn parse(text: &str, known: &[Known]) -> Result<Sort, SyntaxError> {
        whole(text, known, criteria).map(Sort)
    }

    /// Whether it leaves everything as it is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the fields that it asks for.
    pub fn fields(&self) -> BTreeSet<&'static str> {
        self.0.iter().map(|criterion| criterion.field.name).collect()
    }

    /// Where something stands among others, to be compared with their places.
    pub fn place(&self, look_up: Lookup<'_, '_>) -> Place {
        let step = |criterion: &Criterion| match look_up(criterion.field.name).and_then(Rank::of) {
            Some(rank) if criterion.descending => Step::Down(Reverse(rank)),
            Some(rank) => Step::Up(rank),
            None => Step::Null,
        };
        Place(self.0.iter().map(step).collect())
    }
}

/// Where something stands: what a [`Sort`] asks of it, each looked up once.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place(Vec<Step>);

/// By one field; those of one field are all up or all down.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Step {
    Up(Rank),
    Down(Reverse<Rank>),
    Null,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rank {
    Text(String),
    Number(i64),
    Time(Timestamp),
    Flag(bool),
    List(Vec<String>),
}

impl Rank {
    fn of(field: Field<'_>) -> Option<Rank> {
        match field {
            Field::Text(text) => Some(Rank::Text(text.into_owned())),
            Field::Number(number) => Some(Rank::Number(number)),
            Field::Time(text) => Timestamp::parse(&text).map(Rank::Time),
            Field::Flag(flag) => Some(Rank::Flag(flag)),
            Field::List(texts) if texts.is_empty() => None,
            Field::List(texts) => Some(Rank::List(texts.into_iter().map(Cow::into_owned).collect())),
        }
    }
}

fn criteria(input: &mut Input<'_>) -> ModalResult<Vec<Criterion>, Fault> {
    let mut found = Vec::new();
    blanks(input)?;
    while opt(eof).parse_next(input)?.is_none() {
        found.push(criterion(input)?);
        let behind = input.current_token_start();
        blanks(input)?;
        let at = input.current_token_start();
        if opt(',').parse_next(input)?.is_some() {
            blanks(input)?;
            if opt(eof).parse_next(input)?.is_some() {
                return wrong(at, "a field belongs behind this comma");
            }
        } else if at == behind && opt(eof).parse_next(input)?.is_none() {
            return wrong(at, "only a comma, a blank or the end can follow here");
        }
    }
    Ok(found)
}

fn criterion(input: &mut Input<'_>) -> ModalResult<Criterion, Fault> {
    let sign = opt(one_of(['+', '-'])).parse_next(input)?;
    Ok(Criterion { field: field(input)?, descending: sign == Some('-') })
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Criterion { field, descending }) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            let sign = if *descending { '-' } else { '+' };
            write!(f, "{comma}{sign}{}", field.name)?;
        }
        Ok(())
    }
}
