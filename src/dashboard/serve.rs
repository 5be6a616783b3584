//! Connections: so many at a time, each with time limits, until a signal.
//!
//! Invariant: whoever comes is let in as long as one of the connections is a stranger's.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::Error;
use super::connection::{Connections, Open};
use super::front::{Ended, Front};
use super::listen::{Listener, Stream};

/// How many connections there are at a time; more take a stranger's place, or wait.
const MOST: usize = 256;
/// How long the head of a request may take, and a connection may rest.
const HEAD: Duration = Duration::from_secs(10);
/// How much of a request's head is read.
const LONGEST_HEAD: usize = 32 * 1024;
/// How long answers that are on their way may take at the end.
const LAST: Duration = Duration::from_secs(5);
/// How long to wait where the system has no descriptor left.
const RELIEF: Duration = Duration::from_millis(100);

/// Answers until one of the signals that end a program.
pub(super) async fn until_signal(listener: Listener, front: &Arc<Front>) -> Result<(), Error> {
    let mut signals = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        signals.push(signal(kind).map_err(Error::Start)?);
    }
    let (end, ended) = watch::channel(());
    let connections = GracefulShutdown::new();
    let accepting = accept(&listener, front, &connections, &ended);
    let after = Arc::clone(front);
    tokio::spawn(async move { after.look_after().await });
    first(accepting, any(signals)).await;
    drop(end);
    drop(ended);
    let _ = tokio::time::timeout(LAST, connections.shutdown()).await;
    Ok(())
}

/// Runs the first until the second is done.
async fn first(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    std::future::poll_fn(|context| match other.as_mut().poll(context) {
        std::task::Poll::Pending => one.as_mut().poll(context),
        done => done,
    })
    .await;
}

async fn any(mut signals: Vec<Signal>) {
    std::future::poll_fn(|context| {
        let came = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if came { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

async fn accept(listener: &Listener, front: &Arc<Front>, connections: &GracefulShutdown, ended: &watch::Receiver<()>) {
    let (places, all) = (Arc::new(Semaphore::new(MOST)), Connections::default());
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(place) = place(&places, &all).await else { return };
                let serving = serve(stream, all.open(peer), Arc::clone(front), connections, ended.clone());
                tokio::spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(RELIEF).await,
        }
    }
}

/// A place for one more connection, a stranger's where there is no other.
async fn place(places: &Arc<Semaphore>, all: &Connections) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        return Some(place);
    }
    all.make_room();
    Arc::clone(places).acquire_owned().await.ok()
}

/// Answers what comes by a connection.
fn serve(
    stream: Box<dyn Stream>,
    open: Open,
    front: Arc<Front>,
    connections: &GracefulShutdown,
    ended: watch::Receiver<()>,
) -> impl Future<Output = ()> + use<> {
    let connection = Arc::clone(&open.connection);
    let service = service_fn(move |request| {
        let (front, connection, ended) = (Arc::clone(&front), Arc::clone(&connection), ended.clone());
        async move { Ok::<_, std::convert::Infallible>(front.answer(&connection, request, at_end(ended)).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST_HEAD);
    let serving = connections.watch(http.serve_connection(TokioIo::new(stream), service));
    // What a browser breaks off is nobody's failure.
    let serving = async { drop(serving.await) };
    async move { first(serving, open.connection.leaves()).await }
}

/// Done when the dashboard ends.
fn at_end(mut ended: watch::Receiver<()>) -> Ended {
    Box::pin(async move {
        // Nothing is ever sent by it: it fails when its sender is gone.
        while ended.changed().await.is_ok() {}
    })
}
