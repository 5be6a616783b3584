//! Bodies: of requests, read whole within limits into memory that is wiped; of answers, that end when the dashboard does.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Response;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

use super::refusal::Refusal;
use crate::dashboard::wiped::{Wiped, extend};

/// How long a body may take to come, from somebody with a session: the longest one by a slow line.
const PATIENCE: Duration = Duration::from_secs(300);

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of a body that comes with its length.
    pub(super) told: usize,
    /// Of one that ends when it ends.
    pub(super) untold: usize,
}

/// All of a body. It may hold a secret, so it is wiped when it is dropped.
pub(super) async fn whole(mut incoming: Incoming, limits: Limits) -> Result<Bytes, Refusal> {
    let expected = usize::try_from(incoming.size_hint().lower()).unwrap_or(usize::MAX);
    let limit = if incoming.size_hint().exact().is_some() { limits.told } else { limits.untold };
    if expected > limit {
        return Err(Refusal::too_large(limit));
    }
    let reading = async {
        let mut whole = Wiped::new(Vec::with_capacity(expected));
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|_| Refusal::broken())?;
            let Ok(data) = frame.into_data() else { continue };
            if data.len() > limit - whole.len() {
                return Err(Refusal::too_large(limit));
            }
            extend(&mut whole, &data);
        }
        Ok(Bytes::from_owner(whole))
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| Err(Refusal::slow()))
}

/// The bytes of a body that is in memory already.
pub(super) async fn collected(body: Body) -> Bytes {
    body.collect().await.map(|collected| collected.to_bytes()).unwrap_or_default()
}

/// Comes true when no more is to be sent.
pub(in crate::dashboard) type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The answer, whose body ends properly when the dashboard does, however much of it was to come.
pub(super) fn until(response: Response<Body>, ended: Ended) -> Response<Body> {
    response.map(|body| Body::new(Until { body, ended }))
}

struct Until {
    body: Body,
    ended: Ended,
}

impl hyper::body::Body for Until {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            // Nothing to send at present: a stream that waits.
            Poll::Pending => self.ended.as_mut().poll(context).map(|()| None),
            ready => ready,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
