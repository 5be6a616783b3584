//! `keyfs umount`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keyfs::fs::mount;

use crate::exit::Failure;
use crate::status;

/// How long the daemon may take to close its store after the mount is gone.
const LONGEST_END: Duration = Duration::from_secs(15);

/// Unmounts, and returns when the daemon has closed its store.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Take it away also while files on it are open; it ends when they are closed
    #[arg(long)]
    lazy: bool,
    /// Where
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mounted = mount::find(&arguments.directory)?;
    // Learnt before, since nobody can tell after.
    let daemon = status::read(&mounted.mount_point).ok().and_then(|status| status.get("pid")?.as_u64());
    mount::unmount(&mounted.mount_point, arguments.lazy)?;
    if arguments.lazy {
        return Ok(());
    }
    let begun = Instant::now();
    while daemon.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
        if begun.elapsed() > LONGEST_END {
            return Err(Failure::system(format!(
                "{} is unmounted, but its daemon (process {}) has not ended yet",
                mounted.mount_point.display(),
                daemon.unwrap_or_default()
            )));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
