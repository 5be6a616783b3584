//! `dt kv rollback`.

use keyfs::client::history;
use keyfs::client::permissions::Change;
use keyfs::client::put::{Condition, Put, put};

use super::put::report;
use crate::context::Key;
use crate::exit::Failure;

/// Stores an earlier version's value again, as a new version. The permissions stay.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    key: Key,
    /// Which version [default: the one before the present one]
    #[arg(value_name = "VERSION")]
    version: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let entry = arguments.key.entry()?;
    let versions = history::versions(&entry)?;
    let Some(present) = versions.last() else { return Ok(()) };
    let before = || versions.iter().rev().nth(1).map(|past| past.version);
    let version = arguments.version.or_else(before);
    let version =
        version.ok_or_else(|| Failure::new(3, format!("{entry} has no version before {}", present.version)))?;
    let value = history::read(&entry, version)?;
    // What somebody else stores meanwhile isn't taken back.
    let condition = Condition::Version(present.version);
    put(&entry, &Put { value: &value, change: &Change::default(), condition, expires: None })?;
    report(&entry, false)
}
