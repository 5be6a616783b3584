//! `dt kv why`.

use keyfs::client::{Error, facts};

use crate::context::Key;
use crate::exit::Failure;
use crate::output;

/// Says which rule lets you read and write a key, or keeps you out, and who else may.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    key: Key,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let entry = arguments.key.entry()?;
    let failed = |error: std::io::Error| Error::of(&entry, "look up", &error);
    let why = facts::attribute(&entry.path(), "system.keyfs.why").map_err(failed)?.unwrap_or_default();
    output::lines(why.lines())?;
    let groups = facts::attribute(&entry.path(), "system.keyfs.groups").map_err(failed)?.unwrap_or_default();
    output::lines([format!("groups: {}", if groups.is_empty() { "none" } else { &groups })])
}
