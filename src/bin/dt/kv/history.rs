//! `dt kv history`.

use keyfs::client::history::versions;
use serde_json::{Value as Json, json};

use crate::context::Key;
use crate::exit::Failure;
use crate::output;

/// Lists the versions of a key that are kept, the oldest first, also of one that was removed.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    key: Key,
    /// As JSON
    #[arg(short, long)]
    json: bool,
    /// With --json, indented
    #[arg(short, long)]
    pretty: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let versions = versions(&arguments.key.entry()?)?;
    if arguments.json {
        let item = |past: &keyfs::client::history::Past| json!({"version": past.version, "size": past.size, "modified": past.modified, "modified_by": past.modified_by});
        let items: Vec<Json> = versions.iter().map(item).collect();
        return output::json(&json!({"items": items, "total": versions.len()}), arguments.pretty);
    }
    let rows: Vec<_> = versions
        .into_iter()
        .map(|past| vec![past.version.to_string(), past.size.to_string(), past.modified, past.modified_by])
        .collect();
    output::table(&["VERSION", "SIZE", "WHEN", "WHO"], &rows)
}
