//! `dt`: the keys of a mount from a command line, as people know it from the platform.
//!
//! Invariants: an error is one line on stderr that says what to do; the exit code says which kind it was; a secret's value
//! reaches no terminal unless it is asked for by `--reveal`, and no message ever.
//!
//! It deliberately holds no logic of keys and permissions: arguments, terminals and formats on this side, everything else in
//! `keyfs::client`, and what is permitted in the mount.
#![allow(clippy::print_stdout, clippy::print_stderr)] // people read these here, and nowhere else
#![allow(missing_docs)] // the arguments' documentation is their help

mod arguments;
mod completions;
mod context;
#[path = "../shared/dashboard.rs"]
mod dashboard;
mod exec;
mod exit;
mod group;
mod kv;
mod man;
mod output;
mod progress;
mod prompt;
mod select;
mod user;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// Configuration and credentials as files: what a mount of keyfs has, and who may use it.
#[derive(Parser)]
#[command(name = "dt", version, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[command(defer = true)] // as in `kv`
enum Command {
    /// Reads, stores, lists and removes keys, and says who may use them
    Kv(kv::Arguments),
    /// Runs a program with values in its environment variables
    Exec(exec::Arguments),
    /// Shows and changes keys in a browser
    Dashboard(dashboard::Arguments),
    /// Tells the groups of this machine
    Group(group::Arguments),
    /// Tells the users of this machine
    User(user::Arguments),
    /// Prints what has a shell complete commands, options and keys
    Completions(completions::Arguments),
    /// Writes the manual pages
    Man(man::Arguments),
}

fn main() -> ExitCode {
    completions::answer();
    let given: Vec<_> = std::env::args_os().collect();
    let arguments = match Arguments::try_parse_from(arguments::rewrite(&given)) {
        Ok(arguments) => arguments,
        // What was asked for is shown whole; what is wrong, in one line like any other error.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            eprintln!("dt: {}", wrong_usage(&error, &given));
            return exit::USAGE.into();
        }
    };
    let outcome = match arguments.command {
        Command::Kv(arguments) => kv::run(arguments),
        Command::Exec(arguments) => exec::run(&arguments),
        Command::Dashboard(arguments) => dashboard::run("dt", &arguments),
        Command::Group(arguments) => group::run(&arguments),
        Command::User(arguments) => user::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever closed the pipe has what it wanted.
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("dt: {failure}");
            if let Some(signal) = failure.signal() {
                progress::die(signal);
            }
            failure.code()
        }
    }
}

/// What is wrong with the arguments, in a line, without the parser's advice and summary below it.
fn wrong_usage(error: &clap::Error, given: &[std::ffi::OsString]) -> String {
    let words: Vec<_> = given.iter().skip(1).take(2).filter_map(|word| word.to_str()).collect();
    let what = match (words.as_slice(), error.kind()) {
        // The parser would repeat the argument, which may be a part of a secret.
        (["kv", "put"], ErrorKind::UnknownArgument | ErrorKind::TooManyValues) => {
            "a key and one value are what `kv put` takes: quote a value with blanks, and write `--` before one that \
             begins with a dash"
                .to_owned()
        }
        (_, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) => "no command is given".to_owned(),
        _ => {
            let text = error.to_string();
            let what: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
            what.join(" ").trim_start_matches("error: ").to_owned()
        }
    };
    let commands: Vec<_> =
        words.into_iter().filter(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')).collect();
    let command = match commands.as_slice() {
        [group, ..] if !["kv", "exec", "dashboard", "group", "user", "completions", "man"].contains(group) => {
            String::new()
        }
        [own @ ("exec" | "dashboard" | "completions" | "man"), ..] => format!(" {own}"),
        [group, command] if !command.starts_with('-') => format!(" {group} {command}"),
        [group, ..] => format!(" {group}"),
        [] => String::new(),
    };
    format!("{what}; `dt{command} --help` shows the usage")
}
