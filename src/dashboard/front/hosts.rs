//! What browsers may call this dashboard.
//!
//! Invariant: a name is on the list or it isn't; no part of one, no pattern, no other port.

use std::net::SocketAddr;

use axum::http::Request;
use axum::http::header::HOST;

use super::{Refusal, single};
use crate::dashboard::{Error, Place};

/// The list.
#[derive(Debug)]
pub(in crate::dashboard) struct Hosts {
    /// Reached without anything in between, so over plain HTTP.
    own: Vec<String>,
    /// Given: they may lead to a proxy, which speaks TLS to the browser.
    given: Vec<String>,
}

impl Hosts {
    /// The loopback names with the very port, and what was given beside them.
    pub(in crate::dashboard) fn new(
        place: &Place,
        address: Option<SocketAddr>,
        given: &[String],
    ) -> Result<Hosts, Error> {
        if let Some(wrong) = given.iter().find(|host| !is_host(host)) {
            let wrong = wrong.replace(char::is_control, "?");
            let message = format!("'{wrong}' is no host: write it as in keys.example.com or localhost:8080");
            return Err(Error::Options(message));
        }
        let own = address.map_or_else(Vec::new, own);
        let given: Vec<_> = given.iter().map(|host| host.to_ascii_lowercase()).collect();
        if own.is_empty() && given.is_empty() {
            let what = match place {
                Place::Socket { .. } => "--socket",
                Place::Port { .. } => "an address that stands for all of the machine's",
            };
            let message = format!("with {what}, say by --host what browsers call the dashboard, as in localhost:8080");
            return Err(Error::Options(message));
        }
        Ok(Hosts { own, given })
    }

    /// What the link is made with.
    pub(in crate::dashboard) fn first(&self) -> &str {
        self.own.first().or(self.given.first()).map_or("", String::as_str)
    }

    /// The host that a request is for, as it is on the list.
    pub(super) fn of<B>(&self, request: &Request<B>) -> Result<&str, Refusal> {
        let named = single(request.headers(), HOST.as_str()).ok().flatten().ok_or_else(Refusal::host)?;
        // A request may repeat it in front of its path, where a proxy would look.
        let fits = request.uri().authority().is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(named));
        let mut listed = self.own.iter().chain(&self.given);
        let listed = listed.find(|host| host.eq_ignore_ascii_case(named) && fits);
        listed.map(String::as_str).ok_or_else(Refusal::host)
    }

    /// Whether a page's origin is that of this host's page.
    pub(super) fn is_origin(&self, origin: &str, host: &str) -> bool {
        let behind = |scheme: &str| origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host));
        behind("http://") || behind("https://") && self.given.iter().any(|given| given == host)
    }
}

/// The names of the address that is listened on.
fn own(address: SocketAddr) -> Vec<String> {
    let port = address.port();
    let names = match address.ip() {
        ip if ip.is_loopback() => vec!["127.0.0.1".to_owned(), "localhost".to_owned(), "[::1]".to_owned()],
        ip if ip.is_unspecified() => Vec::new(),
        _ => vec![address.to_string().trim_end_matches(&format!(":{port}")).to_owned()],
    };
    // A browser leaves out the usual port.
    let written = |name: String| {
        if port == 80 { vec![name.clone(), format!("{name}:80")] } else { vec![format!("{name}:{port}")] }
    };
    names.into_iter().flat_map(written).collect()
}

/// A name or an address, and perhaps a port.
fn is_host(text: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b".-:[]_".contains(&c);
    let parsed = text.parse::<axum::http::uri::Authority>();
    !text.is_empty() && text.bytes().all(fits) && parsed.is_ok_and(|host| !host.host().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(address: Option<&str>, given: &[&str]) -> Result<Hosts, Error> {
        let given: Vec<_> = given.iter().map(ToString::to_string).collect();
        let place = Place::Socket { path: "/x".into(), group: None };
        Hosts::new(&place, address.map(|address| address.parse().unwrap()), &given)
    }

    fn is_listed(hosts: &Hosts, named: &[&str]) -> bool {
        let mut request = Request::builder().uri("/");
        for name in named {
            request = request.header("host", *name);
        }
        hosts.of(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn loopback_has_three_names_and_one_port() {
        let hosts = hosts(Some("127.0.0.1:8080"), &["Keys.example.com"]).unwrap();
        for named in ["127.0.0.1:8080", "localhost:8080", "LocalHost:8080", "[::1]:8080", "keys.example.com"] {
            assert!(is_listed(&hosts, &[named]), "{named}");
        }
        for named in [
            "",
            "localhost",
            "localhost:80",
            "localhost:8081",
            "127.0.0.2:8080",
            "localhost.evil.example:8080",
            "evil.localhost:8080",
            "localhost:8080.",
            "localhost:08080",
            "user@localhost:8080",
            "keys.example.com:8080",
        ] {
            assert!(!is_listed(&hosts, &[named]), "{named}");
        }
        assert!(!is_listed(&hosts, &[]) && !is_listed(&hosts, &["localhost:8080", "localhost:8080"]));
        let request = Request::builder().uri("http://evil.example/").header("host", "localhost:8080");
        assert!(hosts.of(&request.body(()).unwrap()).is_err());
    }

    #[test]
    fn an_origin_is_the_very_host() {
        let hosts = hosts(Some("[::1]:80"), &["keys.example.com"]).unwrap();
        assert!(hosts.is_origin("http://[::1]", "[::1]") && !hosts.is_origin("https://[::1]", "[::1]"));
        assert!(hosts.is_origin("https://keys.example.com", "keys.example.com"));
        for origin in ["null", "", "http://keys.example.com:81", "http://localhost", "ftp://keys.example.com"] {
            assert!(!hosts.is_origin(origin, "keys.example.com"), "{origin}");
        }
    }

    #[test]
    fn where_nothing_says_what_it_is_called_it_must_be_said() {
        assert!(hosts(None, &[]).is_err() && hosts(Some("0.0.0.0:80"), &[]).is_err());
        assert!(hosts(None, &["localhost:8080"]).is_ok() && hosts(Some("192.0.2.1:80"), &[]).is_ok());
        for wrong in ["", "http://x", "a b", "x/y", "*", "u@x", ":80", "x\n"] {
            assert!(hosts(None, &[wrong]).is_err(), "{wrong}");
        }
    }
}
