//! A helper as its parent sees it: a process that answers for one user.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Account, descriptors, helper};

/// How long it may take to begin.
const BEGINNING: Duration = Duration::from_secs(10);
/// How long it may take to end.
const END: Duration = Duration::from_secs(5);

/// How helpers are started.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) program: OsString,
    pub(super) mount: PathBuf,
}

/// A helper that runs. It ends when this goes.
#[derive(Debug)]
pub(super) struct Helper {
    pub(super) account: Account,
    process: Mutex<Option<(Child, UnixStream)>>,
    checked: Mutex<Instant>,
    /// Gone when what it still sends is to end.
    sending: Mutex<Option<watch::Sender<()>>>,
    sent: watch::Receiver<()>,
}

impl Helper {
    /// Starts one and waits until it is the user. `checked`: since when the account is known to be so.
    pub(super) fn start(start: &Start, account: Account, checked: Instant) -> io::Result<Helper> {
        let (mut ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&start.program);
        command.args(["dashboard", "--as", &account.to_string(), "--"]).arg(&start.mount);
        command.env_clear().current_dir("/").stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        let child = command.spawn()?;
        // Before anything can fail, so that it ends then.
        let process = Mutex::new(Some((child, ours.try_clone()?)));
        let (sending, sent) = watch::channel(());
        let helper =
            Helper { account, process, checked: Mutex::new(checked), sending: Mutex::new(Some(sending)), sent };
        // The command holds the other end, which is to be the helper's alone.
        drop(command);
        ours.set_read_timeout(Some(BEGINNING))?;
        let mut ready = [0];
        ours.read_exact(&mut ready)?;
        if ready != helper::READY { Err(io::Error::other("it isn't ready")) } else { Ok(helper) }
    }

    /// A connection to it.
    pub(super) fn connect(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        match &*locked(&self.process) {
            Some((_, control)) => descriptors::send(control, theirs)?,
            None => return Err(io::ErrorKind::NotConnected.into()),
        }
        Ok(ours)
    }

    pub(super) fn is_alive(&self) -> bool {
        locked(&self.process).as_mut().is_some_and(|(child, _)| matches!(child.try_wait(), Ok(None)))
    }

    /// Since when its account is known to be the user's.
    pub(super) fn checked(&self) -> Instant {
        *locked(&self.checked)
    }

    pub(super) fn is_as_of(&self, moment: Instant) {
        *locked(&self.checked) = moment;
    }

    /// Has what it sends end; whoever holds it goes on with what was begun.
    pub(super) fn retire(&self) {
        locked(&self.sending).take();
    }

    /// Done when it is retired.
    pub(super) fn retired(&self) -> watch::Receiver<()> {
        self.sent.clone()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let Some((mut child, control)) = locked(&self.process).take() else { return };
        // It ends when nobody holds the other end of its stdin.
        drop(control);
        let wait = move || {
            let begun = Instant::now();
            while begun.elapsed() < END && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        };
        // Where there is no thread for it, it is waited for by whoever started this program.
        let _ = std::thread::Builder::new().name("helper's end".into()).spawn(wait);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
