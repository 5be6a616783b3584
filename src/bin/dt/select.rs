//! Which of the things listed are shown, and in what order: `--sort`, `--offset` and `--batch-size`.

use std::cmp::Ordering;

use crate::exit::Failure;

/// What a list is ordered by, and how much of it is shown.
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

/// A field's value, to be put in order: what isn't there comes last.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Cell {
    Number(u64),
    Text(String),
    Nothing,
}

/// An order: fields, and whether each falls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Order(Vec<(String, bool)>);

impl Order {
    /// Reads `+field -field field`.
    pub(crate) fn parse(text: &str, fields: &[&str]) -> Result<Order, Failure> {
        let term = |term: &str| {
            let (name, falls) = match term.strip_prefix('-') {
                Some(name) => (name, true),
                None => (term.strip_prefix('+').unwrap_or(term), false),
            };
            match fields.contains(&name) {
                true => Ok((name.to_owned(), falls)),
                false => {
                    let name = name.replace(char::is_control, "?");
                    let known = fields.join(", ");
                    Err(Failure::usage(format!("'{name}' is nothing to sort by: there are {known}, each with + or -")))
                }
            }
        };
        Ok(Order(text.split_whitespace().map(term).collect::<Result<_, _>>()?))
    }

    /// The fields that it takes.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Sorts a list; what is equal stays as it is.
    pub(crate) fn sort<T>(&self, list: &mut [T], cell: impl Fn(&T, &str) -> Cell) {
        let compare = |one: &T, other: &T| {
            let by = |(name, falls): &(String, bool)| {
                let order = cell(one, name).cmp(&cell(other, name));
                if *falls { order.reverse() } else { order }
            };
            self.0.iter().map(by).find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
        };
        list.sort_by(compare);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_applied_in_turn() {
        let order = Order::parse("-size +key", &["key", "size"]).unwrap();
        let mut list = vec![("b", 1), ("a", 1), ("c", 2)];
        order.sort(&mut list, |item, field| match field {
            "size" => Cell::Number(item.1),
            _ => Cell::Text(item.0.into()),
        });
        assert_eq!(list, [("c", 2), ("a", 1), ("b", 1)]);
        assert!(Order::parse("-colour", &["key"]).is_err());
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
