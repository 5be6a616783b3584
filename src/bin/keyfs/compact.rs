//! `keyfs compact`.

use std::path::PathBuf;

use keyfs::store::redb::{Compacted, compact};

use crate::exit::Failure;
use crate::paths;

/// Packs a store that is not mounted into as small a file as it fits in.
///
/// It takes room for the new file beside the old one, which stays until the new one is whole. It takes no identity.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The store [default: as for mount]
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = arguments.store.clone().map_or_else(paths::store, Ok)?;
    let Compacted { before, after } = compact(&path)?;
    let mebibytes = |bytes: u64| bytes as f64 / 1_048_576.0;
    if after < before {
        say!("keyfs: {}: {:.1} MiB before, {:.1} MiB now", path.display(), mebibytes(before), mebibytes(after));
    } else {
        say!("keyfs: {}: {:.1} MiB, as small as it gets", path.display(), mebibytes(before));
    }
    Ok(())
}
