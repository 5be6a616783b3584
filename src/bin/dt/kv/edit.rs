//! `dt kv edit`.
//!
//! Invariant: what is edited is in a file that has no name and no disk, and that goes with this process and the editor's.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

use keyfs::client::facts::Facts;
use keyfs::client::permissions::Change;
use keyfs::client::put::{Condition, Put, put};
use keyfs::client::value::{Value, read, read_all};
use keyfs::client::{Entry, Error};
use rustix::fs::{MemfdFlags, memfd_create};

use super::put::report;
use crate::context::Key;
use crate::exit::Failure;

/// Opens a key in $VISUAL or $EDITOR, and stores what is left there. A key that isn't there yet is made.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    key: Key,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let entry = arguments.key.entry()?;
    let (before, condition) = before(&entry)?;
    let after = edited(&before)?;
    if *after == *before {
        return Err(Failure::usage(format!("nothing was changed; {entry} is as it was")));
    }
    put(&entry, &Put { value: &after, change: &Change::default(), condition, expires: None })?;
    report(&entry, false)
}

/// The value, and that it is still the one when it is stored.
fn before(entry: &Entry) -> Result<(Value, Condition), Failure> {
    let version = match Facts::of(entry) {
        Err(Error::NotFound { .. }) => return Ok((Value::default(), Condition::Absent)),
        facts => facts?.version,
    };
    Ok((read(entry)?, Condition::Version(version.unwrap_or(0))))
}

fn edited(before: &[u8]) -> Result<Value, Failure> {
    let failed =
        |error: std::io::Error| Failure::system(format!("can't edit: {}", keyfs::client::error::reason(&error)));
    // Without CLOEXEC: the editor opens it by its number.
    let mut file = File::from(memfd_create("dt", MemfdFlags::empty()).map_err(|error| failed(error.into()))?);
    file.write_all(before).map_err(failed)?;
    let (program, arguments) = editor();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let status = Command::new(&program).args(arguments).arg(path).status();
    let name = program.to_string_lossy().into_owned();
    let status = status.map_err(|error| {
        let reason = keyfs::client::error::reason(&error);
        Failure::system(format!("can't start the editor {name}: {reason}; set EDITOR to another"))
    })?;
    if !status.success() {
        return Err(Failure::system(format!("the editor {name} failed; nothing was stored")));
    }
    file.rewind().map_err(failed)?;
    read_all(&mut file, before.len()).map_err(failed)
}

/// The editor, with what keeps it from writing elsewhere what it is shown.
fn editor() -> (OsString, Vec<OsString>) {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let command = variable("VISUAL").or_else(|| variable("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let mut words = command.split_whitespace().map(OsString::from);
    let program = words.next().unwrap_or_else(|| "vi".into());
    let mut arguments: Vec<_> = words.collect();
    let name = Path::new(&program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if ["vi", "vim", "nvim", "vim.tiny", "vim.basic"].contains(&name) {
        // No swap file, no list of what was edited, no copy beside the file.
        arguments.extend(["-n", "-i", "NONE", "--cmd", "set nobackup nowritebackup noundofile"].map(OsString::from));
    }
    (program, arguments)
}
