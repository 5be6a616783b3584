//! `dt kv mv`, and the arguments that it has in common with `dt kv cp`.

use clap_complete::engine::ArgValueCompleter;
use keyfs::client::Entry;
use keyfs::client::batch::Outcome;
use keyfs::client::relocate::{relocate, relocate_all};

use super::put::report;
use crate::completions::keys;
use crate::context::{Where, mount, name, tree, wanted};
use crate::exit::Failure;
use crate::output;
use crate::progress::Bar;

/// From where to where.
#[derive(clap::Args)]
pub(crate) struct Places {
    /// The key is a secret's
    #[arg(short, long)]
    pub(crate) secure: bool,
    #[command(flatten)]
    place: Where,
    /// A directory, with all keys in it: all of them or none
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// The environment to put it in [default: the one that it is in]
    #[arg(long, value_name = "ENV")]
    to: Option<String>,
    /// The key
    #[arg(value_name = "KEY", add = ArgValueCompleter::new(keys))]
    from: String,
    /// Its new name [default: the one that it has, in the environment of --to]
    #[arg(value_name = "NEW", required_unless_present = "to")]
    new: Option<String>,
}

impl Places {
    pub(crate) fn entries(&self) -> Result<(Entry, Entry), Failure> {
        let mount = mount()?;
        let from = mount.scope(&self.place.wanted()?)?;
        let to = match &self.to {
            Some(environment) => mount.scope(&wanted(Some(environment))?)?,
            None => from.clone(),
        };
        let key = name(&self.from);
        let tree = tree(self.secure);
        let (from, to) = (from.entry(tree, key)?, to.entry(tree, self.new.as_deref().map_or(key, name))?);
        match from == to {
            true => Err(Failure::usage(format!("{from} is there already"))),
            false => Ok((from, to)),
        }
    }
}

/// Moves a key. Within its environment it keeps its permissions and its versions; in another one it is a new key: yours
/// alone.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    places: Places,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (from, to) = arguments.places.entries()?;
    if arguments.places.recursive && from.path().is_dir() {
        let mut bar = Bar::new("staged", MANY);
        let outcome = relocate_all(&from, &to, &mut |done| bar.moved(done));
        let signal = bar.end();
        let (count, outcome) = outcome?;
        return moved("moved", count, &to, outcome, signal);
    }
    relocate(&from, &to)?;
    report(&to, false)
}

/// How many it may be: so far the bar goes until it is known.
pub(crate) const MANY: usize = keyfs::client::batch::NAMES;

/// Says what became of a directory.
pub(crate) fn moved(
    word: &str,
    count: Option<usize>,
    to: &Entry,
    outcome: Outcome,
    signal: Option<nix::sys::signal::Signal>,
) -> Result<(), Failure> {
    if outcome == Outcome::CalledOff {
        return Err(Failure::called_off("called off: nothing was changed", signal));
    }
    let what = count.map_or_else(|| "all of it".to_owned(), super::import::keys);
    output::note(&format!("{what} {word} to {} in {}", output::plain(&to.key()), to.scope()));
    Ok(())
}
