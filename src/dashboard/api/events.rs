//! `GET /api/events`: what changes, as it happens, a line of JSON each.
//!
//! Invariants: a stream's thread looks after whoever reads it at least once a second, and ends with it; a stream whose reader
//! takes nothing any more ends too.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::body::Asked;
use super::{Api, Failure};
use crate::client::watch::{Came, Event, Told, Watch};
use crate::id::Uid;
use crate::names;

/// How long a look at the stream lasts at the most.
const LOOK: Duration = Duration::from_millis(500);

/// How often a stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// How long a reader may take nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many lines wait for a reader.
const LINES: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    cursor: Option<u64>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line<'l> {
    Ready {
        cursor: Option<u64>,
    },
    Change {
        cursor: u64,
        environment: &'l str,
        tree: Option<&'static str>,
        key: &'l str,
        version: Option<u64>,
        what: &'l str,
        to: Option<&'l str>,
        by: &'l str,
        time: &'l str,
    },
    Lost {
        cursor: u64,
    },
    Alive,
}

pub(super) async fn events(State(api): State<Api>, Asked(from): Asked<From>) -> Result<Response, Failure> {
    let (sender, receiver) = channel(LINES);
    let opened = api.clone();
    let opening = api.0.pulse.patiently(async {
        let Ok(place) = Arc::clone(&api.0.streams).try_acquire_owned() else { return Err(Failure::too_many_streams()) };
        // The place is the thread's: one that waits for the mount has it for as long, also where nobody waits for it any more.
        let open = move || -> Result<_, Failure> {
            let scopes = opened.mount().scopes()?;
            let scope = scopes.first().ok_or_else(Failure::internal)?;
            Ok((Watch::open_for_a_time(scope, from.cursor)?, place))
        };
        tokio::task::spawn_blocking(open).await.map_err(|_| Failure::internal())?
    });
    let (watch, place) = opening.await?;
    tokio::task::spawn_blocking(move || {
        let _place = place;
        Follower { sender, names: HashMap::new() }.follow(watch, from.cursor);
    });
    let lines = Body::from_stream(Lines(receiver));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

/// What is sent to a reader.
struct Lines(Receiver<Vec<u8>>);

impl Stream for Lines {
    type Item = Result<Vec<u8>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|line| line.map(Ok))
    }
}

struct Follower {
    sender: Sender<Vec<u8>>,
    names: HashMap<Uid, String>,
}

impl Follower {
    /// Tells what changes, until nobody reads it, or there is no more. The mount's own reason for an end is found by whoever
    /// asks again.
    fn follow(mut self, mut watch: Watch, cursor: Option<u64>) {
        let mut said = Instant::now();
        let mut goes_on = self.say(&Line::Ready { cursor });
        while goes_on && !self.sender.is_closed() {
            goes_on = match watch.wait_for(LOOK) {
                Ok(Came::Told(Told::Change(event))) => self.tell(&event),
                Ok(Came::Told(Told::Lost(cursor))) => self.say(&Line::Lost { cursor }),
                Ok(Came::Nothing) if said.elapsed() < ALIVE => continue,
                Ok(Came::Nothing) => self.say(&Line::Alive),
                Ok(Came::End) | Err(_) => false,
            };
            said = Instant::now();
        }
    }

    fn tell(&mut self, event: &Event) -> bool {
        let by = self.names.entry(event.by).or_insert_with(|| names::user_name(event.by)).clone();
        self.say(&Line::Change {
            cursor: event.cursor,
            environment: &event.environment,
            tree: event.tree.map(|tree| tree.as_str()),
            key: &event.key,
            version: event.version,
            what: &event.kind,
            to: event.to.as_deref(),
            by: &by,
            time: &event.time,
        })
    }

    /// Whether it was taken.
    fn say(&self, line: &Line<'_>) -> bool {
        let Ok(mut text) = serde_json::to_vec(line) else { return false };
        text.push(b'\n');
        // Mostly there is room.
        match self.sender.try_send(text) {
            Ok(()) => true,
            Err(tokio::sync::mpsc::error::TrySendError::Full(text)) => {
                let sent = async { tokio::time::timeout(PATIENCE, self.sender.send(text)).await };
                matches!(Handle::current().block_on(sent), Ok(Ok(())))
            }
            Err(_) => false,
        }
    }
}
