//! `keyfs`: the daemon and what an operator does with it.
//!
//! Invariants: an error is one line on stderr that says what to do; the exit code says which kind it was.
//!
//! It deliberately holds no logic: arguments, files and messages on this side, everything else in the library.
#![allow(clippy::print_stdout, clippy::print_stderr)] // people read these here, and nowhere else
#![allow(missing_docs)] // the arguments' documentation is their help

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
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Mount(arguments) => mount::run(&arguments),
        Command::Umount(arguments) => umount::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("keyfs: {failure}");
            failure.code()
        }
    }
}
