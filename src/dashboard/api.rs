//! What the page asks for: JSON in, JSON out, each call a few of the client's.
//!
//! Invariants:
//! - No answer holds a byte of a secret's value, nor anything computed from one but whether two are the same, for whoever may
//!   read both.
//! - What changes something says which version it was decided on, and is refused where that is another by now.
//! - A call waits for the mount in a thread of its own and holds up no other.
//!
//! It deliberately knows nothing of sessions, hosts and origins: who reaches it was let in by what stands in front.

mod about;
mod failure;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

pub use self::failure::Failure;
use crate::client::Mount;

/// What every call works on.
#[derive(Clone, Debug)]
pub struct Api {
    mount: Arc<Mount>,
}

/// Every call, below `/api`, for the mount, with the rights of this process.
pub fn router(mount: Mount) -> Router {
    let api = Api { mount: Arc::new(mount) };
    Router::new().route("/api/about", get(about::about)).with_state(api)
}

/// Does what waits for the mount in a thread for that.
async fn work<T: Send + 'static>(call: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(call).await.unwrap_or_else(|_| Err(Failure::internal()))
}
