//! Where a command works: the environment variables and options that say so.

use std::path::PathBuf;

use clap_complete::engine::ArgValueCompleter;
use keyfs::client::{Entry, Mount, Scope, Wanted};
use keyfs::key::Tree;

use crate::arguments::unquoted;
use crate::completions::{environments, keys};
use crate::exit::Failure;

/// The variables that name the environment, the first that is set counts.
const ENVIRONMENT: [&str; 2] = ["KEYFS_ENV", "DATATAILR_JOB_ENVIRONMENT"];

/// Which environment, for commands that work in one.
#[derive(clap::Args)]
pub(crate) struct Where {
    /// The environment, such as dev, pre or prod [default: $KEYFS_ENV, $DATATAILR_JOB_ENVIRONMENT, else dev]
    #[arg(short = 'e', long, visible_alias = "env", value_name = "ENV", add = ArgValueCompleter::new(environments))]
    pub(crate) environment: Option<String>,
}

/// Which key, for commands that work on one.
#[derive(clap::Args)]
pub(crate) struct Key {
    /// The key is a secret's
    #[arg(short, long)]
    pub(crate) secure: bool,
    #[command(flatten)]
    pub(crate) place: Where,
    /// The key, such as db/password
    #[arg(value_name = "KEY", add = ArgValueCompleter::new(keys))]
    pub(crate) key: String,
}

impl Key {
    /// The key, in an environment that is there.
    pub(crate) fn entry(&self) -> Result<Entry, Failure> {
        Ok(self.place.scope()?.entry(tree(self.secure), self.name())?)
    }

    /// The key as it is meant.
    pub(crate) fn name(&self) -> &str {
        name(&self.key)
    }
}

impl Where {
    pub(crate) fn wanted(&self) -> Result<Wanted, Failure> {
        wanted(self.environment.as_deref())
    }

    pub(crate) fn scope(&self) -> Result<Scope, Failure> {
        Ok(mount()?.scope(&self.wanted()?)?)
    }
}

/// A key as it is meant, without a client's quotes.
pub(crate) fn name(key: &str) -> &str {
    let inner = unquoted(key.as_bytes());
    inner.and_then(|inner| std::str::from_utf8(inner).ok()).unwrap_or(key)
}

pub(crate) fn tree(secure: bool) -> Tree {
    if secure { Tree::Secrets } else { Tree::Variables }
}

pub(crate) fn wanted(option: Option<&str>) -> Result<Wanted, Failure> {
    let variable = || ENVIRONMENT.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let name = option.map(str::to_owned).or_else(variable);
    Ok(Wanted::new(name.as_deref())?)
}

pub(crate) fn mount() -> Result<Mount, Failure> {
    let given = std::env::var_os("KEYFS_MOUNT").filter(|value| !value.is_empty()).map(PathBuf::from);
    Ok(Mount::find(given.as_deref())?)
}
