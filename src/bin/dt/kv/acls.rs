//! `dt kv acls`.

use keyfs::client::edit::permissions;
use keyfs::client::permissions::{Ids, Words};
use serde_json::json;

use crate::context::Key;
use crate::exit::Failure;
use crate::output;

/// Says who may read and write a key.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    key: Key,
    /// As JSON: {"read": [ids], "write": [ids]}, those of groups negative
    #[arg(short, long)]
    json: bool,
    /// With --json, indented
    #[arg(short, long)]
    pretty: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let entry = arguments.key.entry()?;
    let permissions = permissions(&entry)?;
    if arguments.json {
        let ids = Ids::of(&permissions);
        return output::json(&json!({"read": ids.read, "write": ids.write}), arguments.pretty);
    }
    let words = Words::of(&permissions);
    let row = |kind: &str, name: &str, rights: &str| [kind, name, rights].map(str::to_owned).to_vec();
    let mut rows = vec![row("owner", &words.owner, &words.owner_rights)];
    rows.extend(words.users.iter().map(|(name, rights)| row("user", name, rights)));
    rows.extend(words.groups.iter().map(|(name, rights)| row("group", name, rights)));
    if !entry.is_secret() {
        rows.push(row("others", "", &words.others));
    }
    output::table(&["WHO", "NAME", "RIGHTS"], &rows)
}
