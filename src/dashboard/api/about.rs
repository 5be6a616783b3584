//! `GET /api/about`: who asks, of which mount, and what there is to choose from.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::{Api, Failure, work};
use crate::names;

pub(super) async fn about(State(api): State<Api>) -> Result<Json<Value>, Failure> {
    let mount = Arc::clone(&api.mount);
    work(move || {
        let environments = mount.environments()?;
        let user = names::user_name(crate::id::Uid(nix::unistd::geteuid().as_raw()));
        Ok(Json(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "mount": mount.path().display().to_string(),
            "user": user,
            "environments": environments,
        })))
    })
    .await
}
