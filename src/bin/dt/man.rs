//! `dt man`.

use std::path::PathBuf;

use clap::CommandFactory;

use crate::exit::Failure;

/// Writes the manual pages, one for each command, into a directory.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where, such as /usr/local/share/man/man1
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let reason = keyfs::client::error::reason(&error);
        Failure::system(format!("can't write the pages into {}: {reason}", arguments.directory.display()))
    };
    std::fs::create_dir_all(&arguments.directory).map_err(failed)?;
    clap_mangen::generate_to(crate::Arguments::command(), &arguments.directory).map_err(failed)
}
