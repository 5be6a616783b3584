//! Whether the mount answers.
//!
//! Invariants: nobody waits much longer than [`PATIENCE`] for a mount that answers nothing, and as long as that is so whoever
//! comes is told at once; to find out takes one thread, however many wait. Who waits for much, from a mount that answers, waits
//! as long as it takes.
//!
//! It deliberately calls nothing off: what the mount was asked for it may still do, and the thread that asked comes back then.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Failure;
use crate::client::Mount;

/// How long a small question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often whoever waits looks whether the mount answers.
const LOOK: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Pulse {
    mount: Mount,
    /// Since when the small question waits for its answer.
    asked: Mutex<Option<Instant>>,
}

impl Pulse {
    pub(super) fn new(mount: Mount) -> Arc<Pulse> {
        Arc::new(Pulse { mount, asked: Mutex::default() })
    }

    /// Waits for what a thread does with the mount, as long as the mount answers.
    pub(super) async fn patiently<T>(
        self: &Arc<Pulse>,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut work = pin!(work);
        loop {
            if self.is_silent() {
                return Err(Failure::silent(self.mount.path(), PATIENCE.as_secs()));
            }
            if let Ok(done) = tokio::time::timeout(LOOK, work.as_mut()).await {
                return done;
            }
            self.ask();
        }
    }

    fn is_silent(&self) -> bool {
        self.table().is_some_and(|since| since.elapsed() >= PATIENCE)
    }

    /// Asks the small question, unless it waits for its answer already.
    fn ask(self: &Arc<Pulse>) {
        let mut asked = self.table();
        if asked.is_some() {
            return;
        }
        *asked = Some(Instant::now());
        let pulse = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            // Whatever the answer is.
            let _ = pulse.mount.scopes();
            pulse.table().take();
        });
    }

    fn table(&self) -> MutexGuard<'_, Option<Instant>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
