//! `dt kv cp`.

use keyfs::client::relocate::{copy, copy_all};

use super::mv::{MANY, Places, moved};
use super::put::report;
use super::set_acls::Who;
use crate::exit::Failure;
use crate::progress::Bar;

/// Copies a key, also to another environment. The copy is a new key: yours alone, until groups are named.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    who: Who,
    /// Store it also as a further version of a key that is there
    #[arg(long)]
    replace: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let change = arguments.who.change(arguments.places.secure)?;
    let (from, to) = arguments.places.entries()?;
    if arguments.places.recursive && from.path().is_dir() {
        let mut bar = Bar::new("staged", MANY);
        let outcome = copy_all(&from, &to, &change, arguments.replace, &mut |done| bar.moved(done));
        let signal = bar.end();
        let (count, outcome) = outcome?;
        return moved("copied", Some(count), &to, outcome, signal);
    }
    copy(&from, &to, &change, arguments.replace)?;
    report(&to, false)
}
