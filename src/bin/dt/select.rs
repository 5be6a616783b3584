//! Which of the things listed are shown, and in what order: `--filter`, `--sort`, `--offset` and `--batch-size`.

use std::collections::BTreeSet;

use keyfs::client::filter::{Field, Filter, Known, Sort};

use crate::exit::Failure;

/// How much of a list is shown.
#[derive(clap::Args)]
pub(crate) struct Page {
    /// How many to leave out at the beginning
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: usize,
    /// How many to show at most, 0 for all
    #[arg(short, long, value_name = "N")]
    pub(crate) batch_size: Option<usize>,
}

impl Page {
    /// The part of a list that is shown; `usual` is how much where nothing is said.
    pub(crate) fn of<'t, T>(&self, all: &'t [T], usual: Option<usize>) -> &'t [T] {
        let shown = all.get(self.offset..).unwrap_or_default();
        match self.batch_size.or(usual) {
            None | Some(0) => shown,
            Some(most) => shown.get(..most).unwrap_or(shown),
        }
    }
}

/// What a list is narrowed down to, and its order.
pub(crate) struct Selection {
    filter: Filter,
    sort: Sort,
}

impl Selection {
    pub(crate) fn parse(filter: Option<&str>, sort: Option<&str>, known: &[Known]) -> Result<Selection, Failure> {
        let wrong = |option: &str, error| Failure::usage(format!("the expression of {option} is wrong at {error}"));
        Ok(Selection {
            filter: Filter::parse(filter.unwrap_or_default(), known).map_err(|error| wrong("--filter", error))?,
            sort: Sort::parse(sort.unwrap_or_default(), known).map_err(|error| wrong("--sort", error))?,
        })
    }

    /// The fields that it takes.
    pub(crate) fn fields(&self) -> BTreeSet<&'static str> {
        let mut fields = self.filter.fields();
        fields.extend(self.sort.fields());
        fields
    }

    /// The list with what is let through, in order; what compares alike stays as it is.
    pub(crate) fn of<T>(&self, mut list: Vec<T>, field: impl for<'t> Fn(&'t T, &str) -> Option<Field<'t>>) -> Vec<T> {
        list.retain(|one| self.filter.matches(&|name| field(one, name)));
        if !self.sort.is_empty() {
            list.sort_by(|one, other| self.sort.compare(&|name| field(one, name), &|name| field(other, name)));
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use keyfs::client::filter::Kind;

    use super::*;

    const KNOWN: &[Known] = &[Known { name: "key", kind: Kind::Text }, Known { name: "size", kind: Kind::Number }];

    #[test]
    fn a_list_is_narrowed_down_and_ordered() {
        let selection = Selection::parse(Some("size > 0"), Some("-size +key"), KNOWN).unwrap();
        let list = vec![("b", 1), ("none", 0), ("a", 1), ("c", 2)];
        let list = selection.of(list, |item, field| match field {
            "size" => Some(Field::Number(item.1)),
            _ => Some(Field::Text(item.0.into())),
        });
        assert_eq!(list, [("c", 2), ("a", 1), ("b", 1)]);
        assert!(Selection::parse(None, Some("-colour"), KNOWN).is_err());
        assert!(Selection::parse(Some("colour = red"), None, KNOWN).is_err());
    }

    #[test]
    fn pages_end_with_the_list() {
        let page = |offset, batch_size| Page { offset, batch_size };
        let all = [1, 2, 3, 4];
        assert_eq!(page(1, Some(2)).of(&all, None), [2, 3]);
        assert_eq!(page(3, Some(2)).of(&all, None), [4]);
        assert!(page(9, None).of(&all, Some(2)).is_empty());
        assert_eq!(page(0, None).of(&all, Some(2)), [1, 2]);
        assert_eq!(page(0, Some(0)).of(&all, Some(2)), all);
    }
}
