//! `dt kv restore`.

use keyfs::client::history;
use keyfs::client::put::{Condition, Put, put};

use super::put::report;
use super::set_acls::Who;
use crate::context::Key;
use crate::exit::Failure;

/// Brings a removed key back with its last value. It is made anew: yours alone, until groups are named.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    who: Who,
    /// Which version [default: the last one]
    #[arg(long, value_name = "VERSION")]
    version: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let change = arguments.who.change(arguments.key.secure)?;
    let entry = arguments.key.entry()?;
    let version = match arguments.version {
        Some(version) => version,
        None => history::last(&entry)?,
    };
    if entry.path().exists() {
        let message =
            format!("{entry} is there: `dt kv rollback {}` takes it back to an earlier version", entry.arguments());
        return Err(Failure::new(6, message));
    }
    let value = history::read(&entry, version)?;
    put(&entry, &Put { value: &value, change: &change, condition: Condition::Absent, expires: None })?;
    report(&entry, false)
}
