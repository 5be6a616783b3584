//! The process that answers for one user: it becomes that user before anything else, and then answers what it is handed.
//!
//! Invariants:
//! - It has the ids and groups that it was told and no capability, or it ends before it answers anything; it can't get back.
//! - Requests come by connections that its parent hands over; nobody else can reach it. When its parent is gone, however that
//!   ended, it ends.
//!
//! It deliberately checks no session: its parent has.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use nix::unistd::{getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};
use rustix::thread::{CapabilitySet, CapabilitySets};
use tokio::runtime::Builder;

use super::{Account, descriptors};
use crate::client::Mount;
use crate::dashboard::{Error, api};

/// Becomes the user, and answers what comes over stdin until that ends. To be called while this process has one thread.
///
/// # Errors
///
/// That it can't become the user.
pub fn run(mount: Mount, account: &Account) -> Result<(), Error> {
    become_user(account).map_err(Error::Become)?;
    let control = io::stdin().as_fd().try_clone_to_owned().map_err(Error::Start)?;
    let mut control = UnixStream::from(control);
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(Error::Start)?;
    let router = TowerToHyperService::new(api::team_router(mount));
    control.write_all(READY).map_err(Error::Start)?;
    while let Ok(Some(connection)) = descriptors::receive(&control) {
        let stream = UnixStream::from(connection);
        runtime.spawn(answer(stream, router.clone()));
    }
    runtime.shutdown_background();
    Ok(())
}

/// What it says once it is the user.
pub(super) const READY: &[u8] = b"r";

async fn answer(stream: UnixStream, router: TowerToHyperService<axum::Router>) {
    let stream = stream.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(stream));
    let Ok(stream) = stream else { return };
    let service = service_fn(move |request: Request<Incoming>| router.call(request.map(Body::new)));
    // Whoever asked and went away needs no answer.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn become_user(account: &Account) -> io::Result<()> {
    let uid = nix::unistd::Uid::from_raw(account.uid.0);
    let gid = nix::unistd::Gid::from_raw(account.gid.0);
    let groups: Vec<_> = account.groups.iter().map(|group| nix::unistd::Gid::from_raw(group.0)).collect();
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    if !uid.is_root() {
        // They go by themselves where root becomes somebody, and stay where a capability did it.
        rustix::thread::clear_ambient_capability_set()?;
        let none = CapabilitySet::empty();
        rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    }
    nix::sys::prctl::set_no_new_privs()?;
    nix::sys::prctl::set_dumpable(false)?;
    let is_so = is_user(uid, gid, &groups)? && (uid.is_root() || !can_get_back());
    if is_so { Ok(()) } else { Err(io::Error::other("the system kept ids, groups or capabilities of before")) }
}

fn is_user(uid: nix::unistd::Uid, gid: nix::unistd::Gid, groups: &[nix::unistd::Gid]) -> io::Result<bool> {
    let (users, owners) = (getresuid()?, getresgid()?);
    let sorted = |groups: &[nix::unistd::Gid]| {
        let mut ids: Vec<_> = groups.iter().map(|group| group.as_raw()).collect();
        ids.sort_unstable();
        ids
    };
    let are_ids = [users.real, users.effective, users.saved] == [uid; 3]
        && [owners.real, owners.effective, owners.saved] == [gid; 3];
    Ok(are_ids && sorted(&getgroups()?) == sorted(groups))
}

fn can_get_back() -> bool {
    let has = rustix::thread::capabilities(None).map(|sets| !(sets.effective | sets.permitted).is_empty());
    let root = nix::unistd::Uid::from_raw(0);
    has.unwrap_or(true) || setresuid(root, root, root).is_ok() || setgroups(&[]).is_ok()
}
