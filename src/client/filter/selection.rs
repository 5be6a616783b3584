//! A filter and an order together: which of a list are shown, and how they stand.

use std::collections::BTreeSet;

use thiserror::Error;

use super::{Field, Filter, Known, Sort, SyntaxError};

/// What a list is narrowed down to, and its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    filter: Filter,
    sort: Sort,
}

/// Which of the two expressions can't be read.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Wrong {
    /// The filter.
    #[error("the filter is wrong at {0}")]
    Filter(SyntaxError),
    /// The order.
    #[error("the order is wrong at {0}")]
    Sort(SyntaxError),
}

impl Selection {
    /// Parses both; an empty text is none.
    ///
    /// # Errors
    ///
    /// The first that can't be read.
    pub fn parse(filter: &str, sort: &str, known: &[Known]) -> Result<Selection, Wrong> {
        let filter = Filter::parse(filter, known).map_err(Wrong::Filter)?;
        Ok(Selection { filter, sort: Sort::parse(sort, known).map_err(Wrong::Sort)? })
    }

    /// The fields that it takes.
    pub fn fields(&self) -> BTreeSet<&'static str> {
        let mut fields = self.filter.fields();
        fields.extend(self.sort.fields());
        fields
    }

    /// The list with what is let through, in order; what compares alike stays as it is.
    pub fn of<T>(&self, mut list: Vec<T>, field: impl for<'t> Fn(&'t T, &str) -> Option<Field<'t>>) -> Vec<T> {
        list.retain(|one| self.filter.matches(&|name| field(one, name)));
        if !self.sort.is_empty() {
            list.sort_by_cached_key(|one| self.sort.place(&|name| field(one, name)));
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    const KNOWN: &[Known] = &[Known { name: "key", kind: Kind::Text }, Known { name: "size", kind: Kind::Number }];

    #[test]
    fn a_list_is_narrowed_down_and_ordered() {
        let selection = Selection::parse("size > 0", "-size +key", KNOWN).unwrap();
        let list = vec![("b", 1), ("none", 0), ("a", 1), ("c", 2)];
        let list = selection.of(list, |item, field| match field {
            "size" => Some(Field::Number(item.1)),
            _ => Some(Field::Text(item.0.into())),
        });
        assert_eq!(list, [("c", 2), ("a", 1), ("b", 1)]);
        assert!(matches!(Selection::parse("", "-colour", KNOWN), Err(Wrong::Sort(_))));
        assert!(matches!(Selection::parse("colour = red", "", KNOWN), Err(Wrong::Filter(_))));
    }
}
