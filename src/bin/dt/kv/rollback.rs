//! `dt kv rollback`.

use keyfs::client::batch::Outcome;
use keyfs::client::history;
use keyfs::client::permissions::Change;
use keyfs::client::put::{Condition, Put, put};
use keyfs::client::rollback::Rollback;
use keyfs::clock::Timestamp;

use super::import::keys;
use super::put::report;
use crate::context::Key;
use crate::exit::Failure;
use crate::output;
use crate::progress::Bar;

/// Stores an earlier version's value again, as a new version; or with -r all keys below KEY as they were at a moment, in one step.
/// The permissions stay.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    key: Key,
    /// Which version [default: the one before the present one]
    #[arg(value_name = "VERSION", conflicts_with = "recursive")]
    version: Option<u64>,
    /// Every key below KEY
    #[arg(short, long, requires = "at")]
    recursive: bool,
    /// The moment that they go back to, such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", requires = "recursive", value_parser = moment)]
    at: Option<Timestamp>,
    /// Remove the keys that were made since
    #[arg(long, requires = "recursive")]
    remove_new: bool,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "write it as 2027-01-31T12:00:00Z".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(at) = arguments.at {
        return all(arguments, at);
    }
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

fn all(arguments: &Arguments, at: Timestamp) -> Result<(), Failure> {
    let directory = arguments.key.entry()?;
    let rollback = Rollback::look(&directory, at)?;
    let (changed, made) = (rollback.changed(), rollback.made());
    let removed = if arguments.remove_new { made } else { 0 };
    let mut bar = Bar::new("staged", changed + removed);
    let outcome = rollback.store(&directory, arguments.remove_new, &mut |done| bar.moved(done));
    let signal = bar.end();
    if outcome? == Outcome::CalledOff {
        return Err(Failure::called_off("called off: nothing was stored", signal));
    }
    let since = match (made, arguments.remove_new) {
        (0, _) => String::new(),
        (_, true) => format!("; {} removed that came since", keys(made)),
        (_, false) => format!("; {} that came since left (--remove-new removes them)", keys(made)),
    };
    let (below, scope) = (output::cell(directory.key().as_bytes()), directory.scope());
    output::note(&format!("{} below {below} in {scope} rolled back to {at}{since}", keys(changed)));
    Ok(())
}
