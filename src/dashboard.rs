//! The dashboard: a page in a browser, and what it asks for over HTTP.
//!
//! Invariants:
//! - It is a client of the mount with the rights of one person: whoever started it, or in a team the one whom the proxy names,
//!   as a process of that person's own. It has no store, no key of the seal, and decides nobody's permission.
//! - A secret's value goes from the browser to the mount and never the other way.
//! - Whoever has not shown the token of this start gets the page, which holds nothing, and no answer of the [`api`].
//!
//! It deliberately asks no other host for anything, keeps no state but sessions, and knows nothing of arguments.

pub mod api;
mod assets;
pub mod browser;
mod connection;
mod error;
mod front;
mod listen;
mod serve;
mod session;
pub mod team;
mod wiped;

use std::sync::Arc;

use hyper_util::service::TowerToHyperService;
use tokio::runtime::{Builder, Runtime};
use zeroize::Zeroizing;

use self::browser::Redirect;
pub use self::error::Error;
use self::front::{Backend, Front, Hosts};
use self::listen::Listener;
pub use self::listen::Place;
use self::session::Sessions;
pub use self::team::Team;
use self::team::{Helpers, Naming};
use crate::client::{Mount, Wanted};
use crate::clock::SystemClock;

/// What a dashboard is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it shows.
    pub mount: Mount,
    /// Where it is reached.
    pub place: Place,
    /// What a browser may call it beside the loopback address, as in `keys.example.com` or `localhost:8080`.
    pub hosts: Vec<String>,
    /// For several people, whom a proxy names; without, for whoever has the link.
    pub team: Option<Team>,
}

/// A dashboard that listens, and answers once it [runs](Dashboard::run).
#[derive(Debug)]
pub struct Dashboard {
    runtime: Runtime,
    listener: Listener,
    front: Arc<Front>,
    link: Zeroizing<String>,
}

impl Dashboard {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// That there is no mount, or that it can't listen there.
    pub fn bind(options: &Options) -> Result<Dashboard, Error> {
        is_there(&options.mount)?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(Error::Start)?;
        let listener = runtime.block_on(Listener::bind(&options.place))?;
        let hosts = Hosts::new(&options.place, listener.address(), &options.hosts)?;
        let (sessions, token) = Sessions::new(Arc::new(SystemClock))?;
        let (backend, link) = match &options.team {
            None => {
                let backend = Backend::Own(TowerToHyperService::new(api::router(options.mount.clone())));
                (backend, format!("http://{}/#token={}", hosts.first(), *token))
            }
            Some(team) => {
                let naming = Naming::new(team, &options.place)?;
                let helpers = Helpers::new(team, &options.mount).map_err(Error::Start)?;
                (Backend::Team(naming, helpers), format!("https://{}/", hosts.first()))
            }
        };
        let link = Zeroizing::new(link);
        Ok(Dashboard { runtime, listener, front: Arc::new(Front::new(hosts, sessions, backend)), link })
    }

    /// The link that opens the page: with the token of this start in it, or for a team where the proxy is.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// Hands over the file that a browser was started with: it is removed when the browser has come in, or at the end.
    pub fn remove_when_used(&self, redirect: Redirect) {
        self.front.remove_when_used(redirect);
    }

    /// Answers until a signal ends it: SIGINT, SIGTERM or SIGHUP.
    ///
    /// # Errors
    ///
    /// That signals can't be waited for.
    pub fn run(self) -> Result<(), Error> {
        let ended = self.runtime.block_on(serve::until_signal(self.listener, &self.front));
        // Not left to the last request, which may wait for the mount.
        self.front.remove_redirect();
        // A thread that waits for the mount's next change waits for nobody any more.
        self.runtime.shutdown_background();
        ended
    }
}

/// That the mount answers; which environments it has is seen when they are asked for.
fn is_there(mount: &Mount) -> Result<(), Error> {
    match mount.scope(&Wanted::new(None)?) {
        Ok(_) | Err(crate::client::Error::NoEnvironment { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
