//! `dt kv mv`, and the arguments that it has in common with `dt kv cp`.

use clap_complete::engine::ArgValueCompleter;
use keyfs::client::Entry;
use keyfs::client::relocate::relocate;

use super::put::report;
use crate::completions::keys;
use crate::context::{Where, mount, name, tree, wanted};
use crate::exit::Failure;

/// From where to where.
#[derive(clap::Args)]
pub(crate) struct Places {
    /// The key is a secret's
    #[arg(short, long)]
    pub(crate) secure: bool,
    #[command(flatten)]
    place: Where,
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
    relocate(&from, &to)?;
    report(&to, false)
}
