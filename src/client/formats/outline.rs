//! Writes ordered keys as objects in objects.
//!
//! Invariants: each object begins once and ends once, around all that is below it. No recursion.
//!
//! It deliberately knows no format.

use super::collect::DEEPEST;
use super::{Leaf, WriteError};
use crate::key::Name;

/// How a format writes objects and values.
pub(super) trait Sink {
    /// An object begins, so deep below the file's own, as the first in the one that it is in or not.
    fn open(&mut self, depth: usize, name: &Name, first: bool);
    /// An object ends.
    fn close(&mut self, depth: usize);
    /// A value.
    fn value(&mut self, depth: usize, name: &Name, first: bool, leaf: &Leaf<'_>) -> Result<(), WriteError>;
}

/// Writes all of them, which are in order, and none below another.
pub(super) fn walk<'e>(leaves: impl Iterator<Item = Leaf<'e>>, sink: &mut impl Sink) -> Result<(), WriteError> {
    let mut open: Vec<&Name> = Vec::new();
    let mut first = true;
    for leaf in leaves {
        let Some((name, objects)) = leaf.written.names().split_last() else { continue };
        if objects.len() >= DEEPEST {
            return Err(leaf.fails(format!("more than {DEEPEST} names are too deep for this format")));
        }
        let shared = open.iter().zip(objects).take_while(|(open, object)| **open == *object).count();
        while open.len() > shared {
            open.pop();
            sink.close(open.len());
            first = false;
        }
        for object in objects.iter().skip(shared) {
            sink.open(open.len(), object, first);
            open.push(object);
            first = true;
        }
        sink.value(open.len(), name, first, &leaf)?;
        first = false;
    }
    while open.pop().is_some() {
        sink.close(open.len());
    }
    Ok(())
}
