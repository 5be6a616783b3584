//! `keyfs`: the daemon and what an operator does with it.
//!
//! Invariants: an error is one line on stderr that says what to do; the exit code says which kind it was.
//!
//! It deliberately holds no logic: arguments, files and messages on this side, everything else in the library.
#![allow(clippy::print_stdout, clippy::print_stderr)] // people read these here, and nowhere else
#![allow(missing_docs)] // the arguments' documentation is their help

/// Writes a line to stdout. Whoever closed it has what it wanted, which is no reason to end.
macro_rules! say {
    ($($words:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($words)*)));
    }};
}

mod check;
mod compact;
#[path = "../shared/dashboard.rs"]
mod dashboard;
mod exit;
mod mount;
mod paths;
mod status;
mod umount;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Configuration and credentials as files, per environment, behind a group gate.
#[derive(Parser)]
#[command(name = "keyfs", version, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Mount(mount::Arguments),
    Umount(umount::Arguments),
    Status(status::Arguments),
    Check(check::Arguments),
    Compact(compact::Arguments),
    Dashboard(dashboard::Arguments),
}

/// What is wrong with the arguments, without the parser's advice and summary below it.
fn wrong_usage(error: &clap::Error) -> String {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no command is given".into();
    }
    let text = error.to_string();
    let what: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    what.join(" ").trim_start_matches("error: ").to_owned()
}

/// A panic that comes out as an error of a damaged store is no fault of ours, and its error says enough.
fn show_no_guarded_panics() {
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !keyfs::store::redb::is_guarded() {
            show(panic);
        }
    }));
}

fn main() -> ExitCode {
    show_no_guarded_panics();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // What was asked for is shown whole; what is wrong, in one line like any other error.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            eprintln!("keyfs: {}; `keyfs --help` shows the usage", wrong_usage(&error));
            return exit::USAGE.into();
        }
    };
    let outcome = match arguments.command {
        Command::Mount(arguments) => mount::run(&arguments),
        Command::Umount(arguments) => umount::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Compact(arguments) => compact::run(&arguments),
        Command::Dashboard(arguments) => dashboard::run("keyfs", &arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("keyfs: {failure}");
            failure.code()
        }
    }
}
