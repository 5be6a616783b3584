//! `dt kv get`.

use keyfs::client::facts::Facts;
use keyfs::client::value::{Value, read_quickly, without_newline};
use keyfs::client::{Entry, history};
use serde_json::json;

use crate::context::{Key, mount, tree};
use crate::exit::Failure;
use crate::output;

/// Prints a value, without the newline that may be at its end. A secret goes into a pipe or a file; on a terminal, and
/// with -p, it is only said that it is there.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    key: Key,
    /// Print it as JSON: a string, or {"base64": …} for what is no text
    #[arg(short, long)]
    json: bool,
    /// Print a value that is JSON indented
    #[arg(short, long)]
    pretty: bool,
    /// Print every byte, also a newline at the end
    #[arg(long, conflicts_with_all = ["json", "pretty"])]
    raw: bool,
    /// Print an earlier version
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// Show a secret even on a terminal
    #[arg(long)]
    reveal: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.key.secure && !arguments.reveal && (arguments.pretty || output::is_terminal()) {
        return summary(arguments);
    }
    let value = read(arguments)?;
    if arguments.json {
        return output::bytes(&output::value_json(without_newline(&value)));
    }
    if arguments.raw {
        return output::bytes(&value);
    }
    if arguments.pretty
        && let Ok(parsed) = serde_json::from_slice(&value)
    {
        return output::json(&parsed, true);
    }
    output::bytes(without_newline(&value))?;
    // The prompt is to stand on a line of its own.
    if output::is_terminal() { output::bytes(b"\n") } else { Ok(()) }
}

fn read(arguments: &Arguments) -> Result<Value, Failure> {
    match arguments.version {
        Some(version) => Ok(history::read(&arguments.key.entry()?, version)?),
        None => {
            let wanted = arguments.key.place.wanted()?;
            Ok(read_quickly(&mount()?, &wanted, tree(arguments.key.secure), arguments.key.name())?.1)
        }
    }
}

/// What may be said of a secret: that it is set, and since when.
fn summary(arguments: &Arguments) -> Result<(), Failure> {
    let entry = arguments.key.entry()?;
    let facts = match arguments.version {
        Some(version) => past(&entry, version)?,
        None => Facts::of(&entry)?,
    };
    if arguments.json {
        return output::json(
            &json!({
                "key": entry.key(),
                "environment": entry.scope().name(),
                "set": true,
                "size": facts.size,
                "version": facts.version,
                "modified": facts.modified,
                "modified_by": facts.modified_by,
                "expires": facts.expires,
            }),
            arguments.pretty,
        );
    }
    output::lines([format!("{entry} is set: {}", facts.summary())])?;
    let version = arguments.version.map(|version| format!(" --version {version}")).unwrap_or_default();
    output::note(&format!(
        "it isn't shown here: `dt kv get {}{version} | …` hands it to a program, --reveal shows it",
        entry.arguments()
    ));
    Ok(())
}

fn past(entry: &Entry, version: u64) -> Result<Facts, Failure> {
    let versions = history::versions(entry)?;
    let Some(found) = versions.iter().find(|past| past.version == version) else {
        // This ends with the error that says which there are.
        history::read(entry, version)?;
        return Ok(Facts::of(entry)?);
    };
    Ok(Facts {
        size: found.size,
        version: Some(version),
        modified: found.modified.clone(),
        modified_by: Some(found.modified_by.clone()),
        expires: None,
    })
}
