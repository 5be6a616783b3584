//! What the page asks for: JSON in, JSON out, each call a few of the client's.
//!
//! Invariants:
//! - No answer holds a byte of a secret's value, nor anything computed from one but whether two are the same, for whoever may
//!   read both.
//! - What changes something says what it was decided on, and is refused where that is another by now.
//! - A call waits for the mount in a thread of its own and holds up no other; so many wait at once, and more are refused.
//!   Nobody waits for a mount that answers nothing.
//! - Of calls that gather values a few are made at once; the others wait for their turn.
//!
//! It deliberately knows nothing of sessions, hosts and origins: who reaches it was let in by what stands in front.

mod about;
mod accounts;
mod body;
mod change;
mod compare;
mod copy;
mod events;
mod failure;
mod keys;
mod past;
mod pulse;
mod select;
mod several;
mod shapes;
mod transfer;
mod why;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use tokio::sync::Semaphore;

pub use self::failure::Failure;
use self::pulse::Pulse;
use crate::client::{Mount, Scope, Wanted};

/// So many calls wait for the mount at once.
const WORKERS: usize = 32;

/// So many more wait until it is their turn.
const WAITING: usize = 256;

/// So many calls gather values at once, each as many as a commit takes.
const GATHERING: usize = 4;

/// So many streams of changes there are at once.
const STREAMS: usize = 64;

/// The longest body: that of an import, in bytes. What stands in front may allow less.
pub const LONGEST_BODY: usize = 48 << 20;

/// What every call works on.
#[derive(Clone, Debug)]
pub struct Api(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    mount: Mount,
    pulse: Arc<Pulse>,
    /// Whether each of several people has a process like this.
    team: bool,
    workers: Arc<Semaphore>,
    /// Those who work and those who wait.
    places: Arc<Semaphore>,
    /// Those who gather values.
    gathering: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// Every call, below `/api`, for the mount, with the rights of this process.
pub fn router(mount: Mount) -> Router {
    with(mount, false)
}

/// The same, of one of several people whom a proxy names.
pub fn team_router(mount: Mount) -> Router {
    with(mount, true)
}

fn with(mount: Mount, team: bool) -> Router {
    let semaphore = |permits| Arc::new(Semaphore::new(permits));
    let shared = Shared {
        pulse: Pulse::new(mount.clone()),
        mount,
        team,
        workers: semaphore(WORKERS),
        places: semaphore(WORKERS + WAITING),
        gathering: semaphore(GATHERING),
        streams: semaphore(STREAMS),
    };
    Router::new()
        .route("/api/about", get(about::about))
        .route("/api/accounts", get(accounts::accounts))
        .route("/api/keys", get(keys::keys))
        .route("/api/below", get(keys::below))
        .route("/api/details", post(keys::details))
        .route("/api/entry", get(keys::entry))
        .route("/api/events", get(events::events))
        .route("/api/put", post(change::put))
        .route("/api/remove", post(change::remove))
        .route("/api/select", post(select::select))
        .route("/api/why", post(why::why))
        .route("/api/history", get(past::history))
        .route("/api/version", get(past::version))
        .route("/api/rollback", post(past::rollback))
        .route("/api/removed", get(past::removed))
        .route("/api/restore", post(past::restore))
        .route("/api/compare", post(compare::compare))
        .route("/api/copy", post(copy::copy))
        .route("/api/import", post(transfer::import))
        .route("/api/export", get(transfer::export))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(Api(Arc::new(shared)))
}

impl Api {
    fn mount(&self) -> &Mount {
        &self.0.mount
    }

    fn scope(&self, environment: &str) -> Result<Scope, Failure> {
        Ok(self.mount().scope(&Wanted::new(Some(environment))?)?)
    }

    /// The same as [`answer`](Api::answer), for a call that gathers many values.
    async fn gather<T: Serialize>(
        &self,
        call: impl FnOnce(&Api) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Response, Failure> {
        let turn = self.0.pulse.patiently(async {
            let turn = Arc::clone(&self.0.gathering).acquire_owned().await;
            turn.map_err(|_| Failure::busy())
        });
        let turn = turn.await?;
        self.answer(move |api| {
            // Until it is done, as with a worker.
            let _turn = turn;
            call(api)
        })
        .await
    }

    /// Does what waits for the mount in a thread for that, and makes the answer there too.
    async fn answer<T: Serialize>(
        &self,
        call: impl FnOnce(&Api) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Response, Failure> {
        let api = self.clone();
        let text = self.0.pulse.patiently(async {
            let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() else { return Err(Failure::busy()) };
            let Ok(worker) = Arc::clone(&self.0.workers).acquire_owned().await else { return Err(Failure::busy()) };
            let work = move || {
                // Given back when the work is done, also where nobody waits for it any more.
                let _permits = (place, worker);
                call(&api).map(|answer| text(&answer))
            };
            tokio::task::spawn_blocking(work).await.map_err(|_| Failure::internal())?
        });
        let text = text.await?;
        Ok(([(CONTENT_TYPE, "application/json")], text?).into_response())
    }
}

fn text<T: Serialize>(answer: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(answer).map_err(|_| Failure::internal())
}
