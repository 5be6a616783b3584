//! The helpers that run, one for each user who asked lately.
//!
//! Invariants: a helper answers only while its ids and groups were the user's within [`FRESH`]; there are [`MOST`] at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST, HeaderValue};
use axum::http::{Request, Response};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::places::{Occupied, Places};
use super::process::{Helper, Start};
use super::{Account, Team};
use crate::client::Mount;
use crate::dashboard::front::Ended;
use crate::id::Uid;

/// How long what the system said of a user counts.
const FRESH: Duration = Duration::from_secs(5);
/// How long the system may take to say it, and a helper to begin.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a helper may take over one call: it says by itself when the mount is silent, so that this is for one that is stopped.
const LONGEST_CALL: Duration = Duration::from_secs(600);
/// How long a helper stays that nobody needs.
const IDLE: Duration = Duration::from_secs(300);
/// How many there are at a time.
const MOST: usize = 64;

/// See the module.
#[derive(Debug)]
pub(in crate::dashboard) struct Helpers {
    start: Start,
    root: bool,
    users: Places<Slot>,
}

/// What stands in a user's place.
#[derive(Debug, Default)]
struct Slot {
    /// Held while one is started, so that there is one.
    helper: tokio::sync::Mutex<Option<Arc<Helper>>>,
}

/// Why there is no answer for a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::dashboard) enum Trouble {
    /// There is no such user.
    Unknown,
    /// It is root, who isn't to be let in.
    Root,
    /// The system doesn't say who that is.
    Untold,
    /// All helpers are busy.
    Full,
    /// There is no helper, or it ended instead of answering.
    Broken,
    /// It doesn't answer.
    Silent,
}

impl Helpers {
    /// None yet.
    pub(in crate::dashboard) fn new(team: &Team, mount: &Mount) -> std::io::Result<Helpers> {
        // They work in another directory.
        let start = Start { program: team.program.clone(), mount: std::path::absolute(mount.path())? };
        Ok(Helpers { start, root: team.root, users: Places::new(MOST, IDLE) })
    }

    /// That the user may be answered.
    pub(in crate::dashboard) async fn admit(&self, user: &str) -> Result<(), Trouble> {
        self.of(user).await.map(drop)
    }

    /// What the user's helper answers.
    pub(in crate::dashboard) async fn call(
        &self,
        user: &str,
        request: Request<Body>,
    ) -> Result<(Response<Body>, Ended), Trouble> {
        let helper = self.of(user).await?;
        let stream = helper.connect().and_then(tokio::net::UnixStream::from_std).map_err(|_| Trouble::Broken)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Trouble::Broken)?;
        tokio::spawn(connection);
        let answered = tokio::time::timeout(LONGEST_CALL, sender.send_request(bare(request))).await;
        let answer = answered.map_err(|_| Trouble::Silent)?.map_err(|_| Trouble::Broken)?;
        let mut retired = helper.retired();
        let ended = Box::pin(async move {
            while retired.changed().await.is_ok() {}
            drop(helper);
        });
        Ok((answer_of(answer.map(Body::new)), ended))
    }

    /// The user's helper, started where there is none, and anew where the user has other groups by now.
    async fn of(&self, user: &str) -> Result<Arc<Helper>, Trouble> {
        let slot = self.users.of(user, Instant::now()).ok_or(Trouble::Full)?;
        let found = tokio::time::timeout(PATIENCE, self.renew(&slot, user)).await;
        match found {
            Ok(Ok(helper)) => Ok(helper),
            Ok(Err(trouble)) => {
                self.users.give_up(user, &slot);
                Err(trouble)
            }
            Err(_) => Err(Trouble::Untold),
        }
    }

    async fn renew(&self, slot: &Slot, user: &str) -> Result<Arc<Helper>, Trouble> {
        let mut running = slot.helper.lock().await;
        let alive = running.clone().filter(|helper| helper.is_alive());
        if let Some(helper) = alive.clone().filter(|helper| helper.checked().elapsed() < FRESH) {
            return Ok(helper);
        }
        let asked = Instant::now();
        let account = look_up(user).await;
        if let Some(helper) = alive.filter(|helper| account.as_ref().is_ok_and(|account| *account == helper.account)) {
            helper.is_as_of(asked);
            return Ok(helper);
        }
        if let Some(helper) = running.take() {
            helper.retire();
        }
        let account = account?;
        if account.uid == Uid(0) && !self.root {
            return Err(Trouble::Root);
        }
        let start = self.start.clone();
        let started = tokio::task::spawn_blocking(move || Helper::start(&start, account, asked)).await;
        match started {
            Ok(Ok(helper)) => Ok(Arc::clone(running.insert(Arc::new(helper)))),
            _ => Err(Trouble::Broken),
        }
    }

    /// From time to time: ends helpers that nobody needs, and what those still send whose users have lost groups.
    pub(in crate::dashboard) async fn look_after(&self) {
        loop {
            tokio::time::sleep(FRESH).await;
            // All at once: one user's accounts may be slow to tell, and nobody else's groups wait for that.
            let busy = self.users.look_through(Instant::now()).into_iter();
            let checks: Vec<_> =
                busy.map(|(user, slot)| tokio::spawn(async move { slot.check(&user).await })).collect();
            for check in checks {
                let _ = check.await;
            }
        }
    }
}

impl Occupied for Slot {
    /// Whether something is being answered, or begun.
    fn is_busy(&self) -> bool {
        match self.helper.try_lock() {
            Ok(helper) => helper.as_ref().is_some_and(|helper| Arc::strong_count(helper) > 1),
            Err(_) => true,
        }
    }
}

impl Slot {
    /// Ends what its helper sends where that is no longer the user's, or the system doesn't say.
    async fn check(&self, user: &str) {
        let Some(helper) = self.helper.lock().await.clone() else { return };
        let asked = Instant::now();
        let account = tokio::time::timeout(PATIENCE, look_up(user)).await;
        if account.is_ok_and(|account| account.is_ok_and(|account| account == helper.account)) {
            helper.is_as_of(asked);
            return;
        }
        helper.retire();
        let mut running = self.helper.lock().await;
        if running.as_ref().is_some_and(|now| Arc::ptr_eq(now, &helper)) {
            running.take();
        }
    }
}

async fn look_up(user: &str) -> Result<Account, Trouble> {
    let name = user.to_owned();
    match tokio::task::spawn_blocking(move || Account::look_up(&name)).await {
        Ok(Ok(Some(account))) => Ok(account),
        Ok(Ok(None)) => Err(Trouble::Unknown),
        _ => Err(Trouble::Untold),
    }
}

/// What a helper is told of a request.
fn bare(request: Request<Body>) -> Request<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut bare = Request::new(body);
    *bare.method_mut() = parts.method;
    *bare.uri_mut() = path.parse().unwrap_or_default();
    bare.headers_mut().insert(HOST, HeaderValue::from_static("helper"));
    if let Some(media_type) = parts.headers.get(CONTENT_TYPE) {
        bare.headers_mut().insert(CONTENT_TYPE, media_type.clone());
    }
    bare
}

/// What is passed on of its answer.
fn answer_of(answer: Response<Body>) -> Response<Body> {
    let (parts, body) = answer.into_parts();
    let mut passed = Response::new(body);
    *passed.status_mut() = parts.status;
    if let Some(media_type) = parts.headers.get(CONTENT_TYPE) {
        passed.headers_mut().insert(CONTENT_TYPE, media_type.clone());
    }
    passed
}
