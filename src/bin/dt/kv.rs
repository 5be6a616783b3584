//! `dt kv`: the keys of an environment. One module for each subcommand.

pub(crate) mod acls;
pub(crate) mod cp;
pub(crate) mod diff;
pub(crate) mod edit;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod ls;
pub(crate) mod mv;
pub(crate) mod put;
pub(crate) mod restore;
pub(crate) mod rm;
pub(crate) mod rollback;
pub(crate) mod set_acls;
pub(crate) mod watch;
pub(crate) mod why;

use clap::Subcommand;

use crate::exit::Failure;

/// Reads, stores, lists and removes keys, and says who may use them.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

// The arguments of a command are put together when it is the one that was named: those of all would take longer than reading a
// value. So the line in the list is here, and what its own help says stands with its arguments.
#[derive(Subcommand)]
#[command(defer = true)]
enum Command {
    /// Stores a value
    Put(put::Arguments),
    /// Prints a value
    Get(get::Arguments),
    /// Lists keys, of every depth
    Ls(ls::Arguments),
    /// Removes a key
    Rm(rm::Arguments),
    /// Says who may read and write a key
    Acls(acls::Arguments),
    /// Sets who may use a key: whoever isn't named loses it, but for the owner
    SetAcls(set_acls::Set),
    /// Lets others use a key beside those who may
    AddAcls(set_acls::Add),
    /// Lists the versions of a key
    History(history::Arguments),
    /// Stores an earlier value again
    Rollback(rollback::Arguments),
    /// Brings a removed key back
    Restore(restore::Arguments),
    /// Says which rule lets somebody use a key, or keeps out
    Why(why::Arguments),
    /// Says what two environments don't have in common
    Diff(diff::Arguments),
    /// Copies a key, also to another environment
    Cp(cp::Arguments),
    /// Moves a key, also to another environment
    Mv(mv::Arguments),
    /// Opens a key in an editor
    Edit(edit::Arguments),
    /// Stores a random secret
    Generate(generate::Arguments),
    /// Stores what a file holds, all of it or nothing
    Import(import::Arguments),
    /// Writes keys and values as a file
    Export(export::Arguments),
    /// Says what changes, as it happens
    Watch(watch::Arguments),
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Put(arguments) => put::run(&arguments),
        Command::Get(arguments) => get::run(&arguments),
        Command::Ls(arguments) => ls::run(&arguments),
        Command::Rm(arguments) => rm::run(&arguments),
        Command::Acls(arguments) => acls::run(&arguments),
        Command::SetAcls(arguments) => set_acls::set(&arguments),
        Command::AddAcls(arguments) => set_acls::add(&arguments),
        Command::History(arguments) => history::run(&arguments),
        Command::Rollback(arguments) => rollback::run(&arguments),
        Command::Restore(arguments) => restore::run(&arguments),
        Command::Why(arguments) => why::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Cp(arguments) => cp::run(&arguments),
        Command::Mv(arguments) => mv::run(&arguments),
        Command::Edit(arguments) => edit::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
    }
}
