//! A dashboard for several people: a proxy that has authenticated them names the user of each request in a header.
//!
//! Invariants:
//! - The name counts only from the proxy: over a socket that nobody else may connect to, or from its address. A loopback
//!   address is none, since every user of the machine comes from there.
//! - A request is answered by a process that has the user's ids and groups and no more, and can't get others. This process asks
//!   the mount for nobody.
//! - What can't be learnt about a user lets nobody in, and groups that somebody has lost count for a few seconds at most.
//!
//! It deliberately authenticates nobody: that is the proxy's, with what an organisation has for it.

mod account;
mod descriptors;
pub mod helper;
mod helpers;
mod places;
mod process;

use std::ffi::OsString;
use std::net::IpAddr;

use axum::http::header::{HeaderMap, HeaderName};
use rustix::thread::CapabilitySet;

pub use self::account::Account;
pub(super) use self::helpers::{Helpers, Trouble};
use super::{Error, Place};

/// How a team is let in.
#[derive(Clone, Debug)]
pub struct Team {
    /// The header that the proxy names the user in.
    pub header: String,
    /// Where the proxy is, unless it comes by a socket.
    pub proxies: Vec<IpAddr>,
    /// That the user root may be named too.
    pub root: bool,
    /// This program: it is started for each user, with `dashboard --as` and an [`Account`].
    pub program: OsString,
}

/// Who names users, and how.
#[derive(Debug)]
pub(super) struct Naming {
    header: HeaderName,
    proxies: Vec<IpAddr>,
    is_port: bool,
}

/// Why nobody is named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unnamed {
    /// It isn't the proxy who asks.
    NotTheProxy,
    /// The header isn't there.
    Nobody,
    /// It is there twice, or is no name.
    Unclear,
}

impl Naming {
    /// Checks that the header can't be everybody's, and that this process may become the users.
    pub(super) fn new(team: &Team, place: &Place) -> Result<Naming, Error> {
        let refused = |message: &str| Error::Options(message.to_owned());
        let header = HeaderName::from_bytes(team.header.as_bytes());
        let header = header.map_err(|_| refused("--user-header takes a header's name, as in X-Remote-User"))?;
        if RESERVED.contains(&header.as_str()) {
            return Err(refused("--user-header takes a header of the proxy's own, as in X-Remote-User"));
        }
        let is_port = matches!(place, Place::Port { .. });
        if is_port && team.proxies.is_empty() {
            return Err(refused(
                "anybody could name any user: let the proxy come by --socket, or say by --proxy from which address",
            ));
        }
        if team.proxies.iter().any(|proxy| proxy.to_canonical().is_loopback() || proxy.is_unspecified()) {
            return Err(refused(
                "every user of this machine comes from its loopback address, and could name any user: let the proxy come by --socket",
            ));
        }
        may_become_others()?;
        let proxies = team.proxies.iter().map(IpAddr::to_canonical).collect();
        Ok(Naming { header, proxies, is_port })
    }

    /// The user of a request.
    pub(super) fn user<'h>(&self, peer: Option<IpAddr>, headers: &'h HeaderMap) -> Result<&'h str, Unnamed> {
        let is_proxy = peer.is_some_and(|peer| self.proxies.contains(&peer.to_canonical()));
        if self.is_port && !is_proxy {
            return Err(Unnamed::NotTheProxy);
        }
        let mut named = headers.get_all(&self.header).iter();
        match (named.next(), named.next()) {
            (None, _) => Err(Unnamed::Nobody),
            (Some(name), None) => match name.to_str() {
                Ok("") => Err(Unnamed::Nobody),
                Ok(name) if name.trim() == name => Ok(name),
                _ => Err(Unnamed::Unclear),
            },
            (Some(_), Some(_)) => Err(Unnamed::Unclear),
        }
    }
}

/// Headers that browsers set, or that mean something else here.
const RESERVED: [&str; 8] =
    ["host", "origin", "content-type", "content-length", "cookie", "connection", "user-agent", "x-keyfs-session"];

/// That the system lets this process become its users.
fn may_become_others() -> Result<(), Error> {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
    let has = rustix::thread::capabilities(None).map_err(|error| Error::Start(error.into()))?.effective;
    if has.contains(needed) { Ok(()) } else { Err(Error::MayNotBecomeOthers) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn naming(proxies: &[&str], is_port: bool) -> Naming {
        let proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        Naming { header: HeaderName::from_static("x-remote-user"), proxies, is_port }
    }

    fn named(values: &[&[u8]]) -> HeaderMap {
        let value = |value: &&[u8]| (HeaderName::from_static("x-remote-user"), HeaderValue::from_bytes(value).unwrap());
        values.iter().map(value).collect()
    }

    #[test]
    fn a_name_counts_from_the_proxy_alone() {
        let port = naming(&["192.0.2.7"], true);
        let alice = named(&[b"alice"]);
        let peer = |address: &str| Some(address.parse().unwrap());
        assert_eq!(port.user(peer("192.0.2.7"), &alice), Ok("alice"));
        assert_eq!(port.user(peer("::ffff:192.0.2.7"), &alice), Ok("alice"));
        for other in [peer("192.0.2.8"), peer("127.0.0.1"), peer("::1"), None] {
            assert_eq!(port.user(other, &alice), Err(Unnamed::NotTheProxy), "{other:?}");
        }
        assert_eq!(naming(&[], false).user(None, &alice), Ok("alice"));
    }

    #[test]
    fn one_name_or_none() {
        let socket = naming(&[], false);
        let unnamed = |values: &[&[u8]]| socket.user(None, &named(values)).unwrap_err();
        assert_eq!(unnamed(&[]), Unnamed::Nobody);
        assert_eq!(unnamed(&[b""]), Unnamed::Nobody);
        assert_eq!(unnamed(&[b"alice", b"bob"]), Unnamed::Unclear);
        assert_eq!(unnamed(&[b"alice", b"alice"]), Unnamed::Unclear);
        assert_eq!(unnamed(&[b"\xff"]), Unnamed::Unclear);
    }

    #[test]
    fn a_header_that_is_everybodys_is_refused() {
        let port = Place::Port { address: "192.0.2.1:80".parse().unwrap(), remote: true };
        let refused = |header: &str, proxies: &[&str], place: &Place| {
            let proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
            let team = Team { header: header.into(), proxies, root: false, program: "keyfs".into() };
            matches!(Naming::new(&team, place), Err(Error::Options(_)))
        };
        assert!(refused("X-Remote-User", &[], &port));
        for proxy in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"] {
            assert!(refused("X-Remote-User", &[proxy], &port), "{proxy}");
        }
        let socket = Place::Socket { path: "/x".into(), group: None };
        assert!(refused("Host", &[], &socket) && refused("a b", &[], &socket) && refused("", &[], &socket));
    }
}
