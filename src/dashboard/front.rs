//! What each request passes before it reaches the page or the [`api`](super::api): its host, its origin, its session, limits.
//!
//! Invariants:
//! - Nothing is answered, the page's files included, for a host that isn't on the list: a foreign name that leads here belongs
//!   to somebody else's page.
//! - The API hears only of requests with a session, and of changes only from this very page.
//! - Of several users none holds so much that nothing is left for the others. What one asked for counts as long as it is being
//!   done, also where nobody waits for the answer any more.
//! - Every answer has the headers that keep a browser from storing, guessing, framing and sharing it.
//!
//! It deliberately looks into no body but that of a new session, and writes none down.

mod backend;
mod body;
mod headers;
mod hosts;
mod refusal;
mod shares;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN, VARY};
use axum::http::{Method, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use self::backend::Backend;
pub(super) use self::body::Ended;
use self::body::Limits;
pub(super) use self::hosts::Hosts;
use self::refusal::Refusal;
use self::shares::{Share, Shares};
use super::api::LONGEST_BODY;
use super::assets::{self, Asset};
use super::browser::Redirect;
use super::connection::Connection;
use super::session::{IDLE, Sessions};

/// The header that a session is in. A cookie would be sent to every port of the host.
const SESSION: &str = "x-keyfs-session";

/// The call whose answer is a stream. The page makes it again by itself.
const STREAM: &str = "/api/events";
/// How long that goes on before the page has to show its session again.
const LONGEST_STREAM: Duration = Duration::from_secs(3600);

/// The longest body, and that of one whose length isn't told: what is ordinary.
const LIMITS: Limits = Limits { told: LONGEST_BODY, untold: ORDINARY };
/// A value of the usual limit, as base64 or with escapes.
const ORDINARY: usize = 2 << 20;
/// How many longer ones are in memory at a time; more wait.
const LONG_AT_ONCE: usize = 8;
/// How many requests of one of several users are answered at a time, streams and bodies that are on their way included.
const OF_ONE_USER: usize = 48;
/// And how many of those have longer bodies.
const LONG_OF_ONE_USER: usize = 2;
/// Of what opens a session.
const OF_TOKEN: Limits = Limits { told: 4096, untold: 4096 };

/// What a longer body has, of its user's and of all.
type Turn = (Option<Share>, OwnedSemaphorePermit);

/// What stands in front.
#[derive(Debug)]
pub(super) struct Front {
    hosts: Hosts,
    sessions: Sessions,
    backend: Backend,
    redirect: Mutex<Option<Redirect>>,
    long: Arc<Semaphore>,
    shares: Shares,
    long_shares: Shares,
}

impl Front {
    pub(super) fn new(hosts: Hosts, sessions: Sessions, backend: Backend) -> Front {
        Front {
            hosts,
            sessions,
            backend,
            redirect: Mutex::default(),
            long: Arc::new(Semaphore::new(LONG_AT_ONCE)),
            shares: Shares::new(OF_ONE_USER),
            long_shares: Shares::new(LONG_OF_ONE_USER),
        }
    }

    pub(super) fn remove_when_used(&self, redirect: Redirect) {
        self.redirect.lock().unwrap_or_else(PoisonError::into_inner).replace(redirect);
    }

    /// The browser is in, or won't come any more.
    pub(super) fn remove_redirect(&self) {
        self.redirect.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The answer to a request, whatever it is.
    pub(super) async fn answer(
        self: &Arc<Front>,
        connection: &Connection,
        request: Request<Incoming>,
        ended: Ended,
    ) -> Response<Body> {
        let is_part = assets::at(request.uri().path()).is_some_and(Asset::is_part);
        let mut response = self.pass(connection, request, ended).await.unwrap_or_else(Refusal::into_response);
        let is_part = is_part && response.status() == StatusCode::OK;
        headers::guard(response.headers_mut(), is_part);
        response
    }

    async fn pass(
        self: &Arc<Front>,
        connection: &Connection,
        request: Request<Incoming>,
        ended: Ended,
    ) -> Result<Response<Body>, Refusal> {
        let host = self.hosts.of(&request)?;
        let user = self.backend.user(connection.peer, request.headers())?.map(str::to_owned);
        let user = user.as_deref();
        let path = request.uri().path();
        let is_call = path.starts_with("/api/");
        if let Some(refusal) = wrong_method(request.method(), is_call) {
            return Err(refusal);
        }
        if !is_call {
            return page(path, request.headers());
        }
        self.is_own_page(host, request.method(), request.headers())?;
        let share = share(&self.shares, user)?;
        if path == "/api/session" && request.method() == Method::POST {
            return self.open_session(connection, user, request).await;
        }
        let is_stream = path == STREAM;
        self.is_known(user, request.headers(), !is_stream)?;
        stays(connection)?;
        let turn = self.turn(user, request.body()).await?;
        let request = whole(request, LIMITS).await?;
        let mut response = self.call(user, request, share, turn).await?;
        if is_stream {
            response = body::until(response, Box::pin(tokio::time::sleep(LONGEST_STREAM)));
        }
        Ok(body::until(response, ended))
    }

    /// Has a call made, in a task of its own: what it takes of what is shared it has until it is made, also where whoever asked
    /// is gone by then.
    async fn call(
        self: &Arc<Front>,
        user: Option<&str>,
        request: Request<Body>,
        share: Option<Share>,
        turn: Option<Turn>,
    ) -> Result<Response<Body>, Refusal> {
        let (front, user) = (Arc::clone(self), user.map(str::to_owned));
        let made = tokio::spawn(async move {
            let response = front.backend.call(user.as_deref(), request).await?;
            drop(turn);
            let under_way = async move {
                // As long as the answer is.
                let _share = share;
                std::future::pending().await
            };
            Ok(body::until(response, Box::pin(under_way)))
        });
        made.await.map_err(|_| Refusal::internal())?
    }

    /// That a request comes from the page that this program served, as the browser says. Reads are held to it where the browser
    /// says anything, changes always.
    fn is_own_page(&self, host: &str, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        let origin = single(headers, ORIGIN.as_str())?;
        let site = single(headers, "sec-fetch-site")?;
        let is_own = origin.is_none_or(|origin| self.hosts.is_origin(origin, host))
            && site.is_none_or(|site| site == "same-origin");
        let is_said = origin.is_some() || site.is_some();
        if is_own && (is_said || method == Method::GET) { Ok(()) } else { Err(Refusal::origin()) }
    }

    /// Waits for a long body's turn.
    async fn turn(&self, user: Option<&str>, body: &Incoming) -> Result<Option<Turn>, Refusal> {
        if body.size_hint().lower() <= ORDINARY as u64 {
            return Ok(None);
        }
        let share = share(&self.long_shares, user)?;
        let turn = Arc::clone(&self.long).acquire_owned().await.map_err(|_| Refusal::internal())?;
        Ok(Some((share, turn)))
    }

    fn is_known(&self, user: Option<&str>, headers: &HeaderMap, is_use: bool) -> Result<(), Refusal> {
        let session = single(headers, SESSION)?;
        let open = session.is_some_and(|session| self.sessions.is_open(session, user, is_use));
        if open { Ok(()) } else { Err(Refusal::session(user)) }
    }

    async fn open_session(
        &self,
        connection: &Connection,
        user: Option<&str>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Refusal> {
        let request = whole(request, OF_TOKEN).await?;
        let shown = body::collected(request.into_body()).await;
        let shown: Shown = serde_json::from_slice(&shown).map_err(|_| Refusal::malformed(r#"{"token": "…"}"#))?;
        self.backend.admit(user, || self.sessions.is_token(&shown.token)).await?;
        stays(connection)?;
        let session = self.sessions.open(user).map_err(|_| Refusal::internal())?;
        self.remove_redirect();
        Ok(refusal::json(&json!({ "session": *session, "idle_seconds": IDLE.as_secs() })))
    }

    /// What is to be done from time to time.
    pub(super) async fn look_after(&self) {
        self.backend.look_after().await;
    }
}

/// What opens a session.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    /// Not needed where a proxy has named the user.
    #[serde(default)]
    token: String,
}

/// That a connection is kept for whoever has shown who they are: where it has to make room for others, nothing is begun by it.
fn stays(connection: &Connection) -> Result<(), Refusal> {
    if connection.welcome() { Ok(()) } else { Err(Refusal::no_room()) }
}

/// What one of several users takes of what they share.
fn share(shares: &Shares, user: Option<&str>) -> Result<Option<Share>, Refusal> {
    let Some(user) = user else { return Ok(None) };
    shares.take(user).map(Some).ok_or_else(Refusal::more_than_a_share)
}

fn wrong_method(method: &Method, is_call: bool) -> Option<Refusal> {
    let allowed = if is_call { "GET, POST" } else { "GET" };
    let fits = method == Method::GET || is_call && method == Method::POST;
    (!fits).then(|| Refusal::method(allowed))
}

fn page(path: &str, headers: &HeaderMap) -> Result<Response<Body>, Refusal> {
    let asset = assets::at(path).ok_or_else(Refusal::missing)?;
    let taken = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (content, coding) = asset.content(taken);
    let mut response = Response::new(Body::from(content));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(asset.media_type()));
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(coding) = coding {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    Ok(response)
}

/// A header that may be there once.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Refusal::header(name)),
        (Some(_), Some(_)) => Err(Refusal::header(name)),
    }
}

/// A request with all of its body, which is JSON where it may change something, and nothing where it may not.
async fn whole(request: Request<Incoming>, limits: Limits) -> Result<Request<Body>, Refusal> {
    let (parts, incoming) = request.into_parts();
    if parts.method == Method::GET {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    let media_type = single(&parts.headers, CONTENT_TYPE.as_str())?.unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::media_type());
    }
    let body: Bytes = body::whole(incoming, limits).await?;
    Ok(Request::from_parts(parts, Body::from(body)))
}
