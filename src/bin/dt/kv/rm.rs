//! `dt kv rm`.

use keyfs::client::remove::remove;

use crate::context::Key;
use crate::exit::Failure;
use crate::output;

/// Removes a key, and the directories that it leaves empty. Its versions stay until they are pruned.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    key: Key,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let entry = arguments.key.entry()?;
    remove(&entry)?;
    match entry.scope().control("the history", "history") {
        Ok(_) => output::note(&format!("removed {entry}; `dt kv restore {}` brings it back", entry.arguments())),
        Err(_) => output::note(&format!("removed {entry}; `dt kv restore` on the whole mount brings it back")),
    }
    Ok(())
}
