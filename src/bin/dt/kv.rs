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
use keyfs::client::permissions::How;

use crate::exit::Failure;

/// Reads, stores, lists and removes keys, and says who may use them.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Put(put::Arguments),
    Get(get::Arguments),
    Ls(ls::Arguments),
    Rm(rm::Arguments),
    Acls(acls::Arguments),
    /// Sets who may use a key: whoever isn't named loses it, but for the owner
    SetAcls(set_acls::Arguments),
    /// Lets others use a key beside those who may
    AddAcls(set_acls::Arguments),
    History(history::Arguments),
    Rollback(rollback::Arguments),
    Restore(restore::Arguments),
    Why(why::Arguments),
    Diff(diff::Arguments),
    Cp(cp::Arguments),
    Mv(mv::Arguments),
    Edit(edit::Arguments),
    Generate(generate::Arguments),
    Import(import::Arguments),
    Export(export::Arguments),
    Watch(watch::Arguments),
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Put(arguments) => put::run(&arguments),
        Command::Get(arguments) => get::run(&arguments),
        Command::Ls(arguments) => ls::run(&arguments),
        Command::Rm(arguments) => rm::run(&arguments),
        Command::Acls(arguments) => acls::run(&arguments),
        Command::SetAcls(arguments) => set_acls::run(&arguments, How::Replace),
        Command::AddAcls(arguments) => set_acls::run(&arguments, How::Add),
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
