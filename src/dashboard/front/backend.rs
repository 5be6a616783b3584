//! Who a request is from, and who answers it: this process with its own rights, or in a team the user's helper.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::header::HeaderMap;
use axum::http::{Request, Response};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use log::{error, warn};

use super::body::until;
use super::refusal::{Refusal, in_json};
use crate::dashboard::team::{Helpers, Naming, Trouble, Unnamed};

/// See the module.
#[derive(Debug)]
pub(in crate::dashboard) enum Backend {
    /// This process; whoever has the link is its user.
    Own(TowerToHyperService<axum::Router>),
    /// A process for each user that a proxy names.
    Team(Naming, Helpers),
}

impl Backend {
    /// Whom the proxy names; `None` where there is no proxy, and the link says it all.
    pub(super) fn user<'h>(&self, peer: Option<IpAddr>, headers: &'h HeaderMap) -> Result<Option<&'h str>, Refusal> {
        let Backend::Team(naming, _) = self else { return Ok(None) };
        naming.user(peer, headers).map(Some).map_err(|unnamed| {
            let from = peer.map_or_else(|| "the socket".to_owned(), |peer| peer.to_string());
            warn!("a request from {from} was refused: {}", why_unnamed(unnamed));
            Refusal::unnamed(unnamed)
        })
    }

    /// That a session may be opened: by the link's token, or by a user who may be answered.
    pub(super) async fn admit(&self, user: Option<&str>, is_token: impl FnOnce() -> bool) -> Result<(), Refusal> {
        match (self, user) {
            (Backend::Own(_), _) if is_token() => Ok(()),
            (Backend::Team(_, helpers), Some(user)) => helpers.admit(user).await.map_err(|trouble| told(user, trouble)),
            _ => Err(Refusal::token()),
        }
    }

    pub(super) async fn call(&self, user: Option<&str>, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        match (self, user) {
            (Backend::Own(router), _) => match router.call(request).await {
                Ok(response) => Ok(in_json(response)),
                Err(never) => match never {},
            },
            (Backend::Team(_, helpers), Some(user)) => {
                let called = helpers.call(user, request).await;
                let (response, ended) = called.map_err(|trouble| told(user, trouble))?;
                Ok(in_json(until(response, ended)))
            }
            (Backend::Team(..), None) => Err(Refusal::unnamed(Unnamed::Nobody)),
        }
    }

    /// What is to be done from time to time.
    pub(super) async fn look_after(&self) {
        match self {
            Backend::Own(_) => std::future::pending().await,
            Backend::Team(_, helpers) => helpers.look_after().await,
        }
    }
}

fn why_unnamed(unnamed: Unnamed) -> &'static str {
    match unnamed {
        Unnamed::NotTheProxy => "it isn't the proxy's",
        Unnamed::Nobody => "it names no user",
        Unnamed::Unclear => "it names more than one user, or none that is text",
    }
}

fn told(user: &str, trouble: Trouble) -> Refusal {
    let user: String = user.escape_default().take(100).collect();
    match trouble {
        Trouble::Unknown => warn!("a request of '{user}' was refused: this machine has no such user"),
        Trouble::Root => warn!("a request of '{user}' was refused: that is root, and --allow-root isn't given"),
        Trouble::Untold => error!("a request of '{user}' was refused: the system doesn't say who that is"),
        Trouble::Full => error!("a request of '{user}' was refused: every helper is busy"),
        Trouble::Silent => error!("the helper of '{user}' doesn't answer"),
        Trouble::Broken => error!("the helper of '{user}' can't be started, or has ended"),
    }
    Refusal::trouble(trouble)
}
