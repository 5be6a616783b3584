//! `dt kv why`.

use keyfs::client::why::{Subject, explained, with_names};
use keyfs::client::{Entry, Error, facts};

use crate::context::Key;
use crate::exit::Failure;
use crate::output;

/// Says which rule lets you, or somebody else, read and write a key, or keeps out; and which groups may.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    key: Key,
    /// For this user, with the groups of the account; the directories above the key are not looked at
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let entry = arguments.key.entry()?;
    let fact = |name| {
        let found = facts::attribute(&entry.path(), name);
        found.map(Option::unwrap_or_default).map_err(|error| Error::of(&entry, "look up", &error))
    };
    let why = match &arguments.user {
        Some(user) => why_for(&entry, user)?,
        None => fact("system.keyfs.why")?,
    };
    output::lines(why.lines().map(with_names))?;
    let groups = fact("system.keyfs.groups")?;
    output::lines([format!("groups: {}", if groups.is_empty() { "none" } else { &groups })])
}

/// What the rules say of somebody else.
fn why_for(entry: &Entry, name: &str) -> Result<String, Failure> {
    let missing = || Failure::new(3, format!("there is no user '{}'", output::plain(name)));
    Ok(explained(entry, &Subject::user(name).ok_or_else(missing)?)?.to_string())
}
