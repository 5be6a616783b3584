//! `dt kv export`.
//!
//! Invariant: secrets go to a pipe or a file, never to a terminal unless --reveal asks for it, and a file that this makes is
//! its maker's alone.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap_complete::engine::ArgValueCompleter;
use keyfs::client::export::{export, within};
use keyfs::client::formats::{self, Format};

use super::import::Form;
use crate::completions::keys;
use crate::context::{Where, tree};
use crate::exit::Failure;
use crate::output;

/// Writes keys with their values, as `dt kv import` reads them: every byte of each, or an error that names the key.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The secrets
    #[arg(short, long)]
    secure: bool,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    form: Form,
    /// Write a new file, for you alone [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Leave out what you may not read, and say so
    #[arg(long)]
    readable: bool,
    /// Show secrets even on a terminal
    #[arg(long)]
    reveal: bool,
    /// What the keys begin with; without one, all of them
    #[arg(value_name = "PREFIX", add = ArgValueCompleter::new(keys))]
    prefixes: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.secure && !arguments.reveal && arguments.output.is_none() && output::is_terminal() {
        let why = "secrets aren't shown on a terminal";
        return Err(Failure::usage(format!("{why}: --output FILE or a pipe takes them, --reveal shows them")));
    }
    let named = arguments.output.as_deref().and_then(Format::of);
    let format = arguments.form.format.or(named).unwrap_or(Format::Json);
    let scope = arguments.place.scope()?;
    let prefixes = prefixes(arguments);
    let export = export(&scope, tree(arguments.secure), &prefixes, arguments.readable, false)?;
    if let Some(first) = export.left_out.first() {
        let (count, first) = (export.left_out.len(), output::plain(first));
        output::note(&format!("{count} of {scope} may not be read by you and {} left out: {first}", are(count)));
    }
    let export = within(&arguments.form.prefix, export)?;
    let values = export.values.iter().map(|(key, value)| (key, value.as_slice()));
    let text = formats::write(format, values, &arguments.form.mapping()).map_err(|error| {
        Failure::system(format!("{} can't hold all of it: {error}; another --format may", format.as_str()))
    })?;
    match &arguments.output {
        Some(path) => write(path, &text),
        None => output::bytes(&text),
    }
}

fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// What the keys begin with: where they are to be below a directory, with that in front of each.
fn prefixes(arguments: &Arguments) -> Vec<String> {
    let directory = arguments.form.prefix.trim_end_matches('/');
    if directory.is_empty() {
        return arguments.prefixes.clone();
    }
    let directory = format!("{directory}/");
    match arguments.prefixes.as_slice() {
        [] => vec![directory],
        prefixes => prefixes.iter().filter(|prefix| prefix.starts_with(&directory)).cloned().collect(),
    }
}

fn write(path: &Path, text: &[u8]) -> Result<(), Failure> {
    let make = || {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text)?;
        file.sync_all()
    };
    make().map_err(|error: io::Error| {
        let code = match error.kind() {
            io::ErrorKind::AlreadyExists => 6,
            io::ErrorKind::PermissionDenied => 4,
            _ => 1,
        };
        let reason = keyfs::client::error::reason(&error);
        Failure::new(code, format!("can't make {}: {reason}", output::plain(&path.display().to_string())))
    })
}
