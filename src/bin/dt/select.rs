//! Which of the things listed are shown, and in what order: `--filter`, `--sort`, `--offset` and `--batch-size`.

use keyfs::client::filter::{Known, Selection, Wrong};

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

/// What `--filter` and `--sort` say.
pub(crate) fn selection(filter: Option<&str>, sort: Option<&str>, known: &[Known]) -> Result<Selection, Failure> {
    Selection::parse(filter.unwrap_or_default(), sort.unwrap_or_default(), known).map_err(|wrong| {
        let (option, error) = match wrong {
            Wrong::Filter(error) => ("--filter", error),
            Wrong::Sort(error) => ("--sort", error),
        };
        Failure::usage(format!("the expression of {option} is wrong at {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
