//! Why a request isn't let through, in the form of the API's errors.
//!
//! Invariant: an answer of the API that isn't good is JSON with a word for programs and a line for people, whoever made it.

use axum::body::Body;
use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::dashboard::team::{Trouble, Unnamed};

/// See the module.
#[derive(Debug)]
pub(in crate::dashboard) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    allow: Option<&'static str>,
    /// That the rest of the request was not read, so that nothing more can come by this connection.
    closes: bool,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, code, message: message.into(), allow: None, closes: false }
    }

    pub(super) fn host() -> Refusal {
        let message = "the dashboard isn't called so: open the link that it printed; `--host` adds a name";
        Refusal::new(StatusCode::MISDIRECTED_REQUEST, "host", message)
    }

    pub(super) fn origin() -> Refusal {
        let message = "this didn't come from the dashboard's own page: nothing was done";
        Refusal::new(StatusCode::FORBIDDEN, "origin", message)
    }

    pub(super) fn session(user: Option<&str>) -> Refusal {
        let message = match user {
            None => "the session has ended: open the link that the dashboard printed, or start it again for a new one",
            Some(_) => "the session has ended: load the page again",
        };
        Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(super) fn token() -> Refusal {
        let message =
            "this is not the link of the dashboard that runs now: open the one that it printed when it started";
        Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(super) fn unnamed(unnamed: Unnamed) -> Refusal {
        let refused = |message| Refusal::new(StatusCode::FORBIDDEN, "denied", message);
        match unnamed {
            Unnamed::NotTheProxy => refused("this dashboard is reached by its proxy alone"),
            Unnamed::Nobody => {
                refused("the proxy names no user: it must authenticate whoever comes, and say who that is")
            }
            Unnamed::Unclear => refused("the proxy must name one user: it lets through what somebody else wrote"),
        }
    }

    pub(super) fn trouble(trouble: Trouble) -> Refusal {
        let refused = |message| Refusal::new(StatusCode::FORBIDDEN, "denied", message);
        let later = |message| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
        match trouble {
            Trouble::Unknown => refused("this machine has no user of the name that you logged in with"),
            Trouble::Root => refused("root isn't let in here: log in as yourself"),
            Trouble::Untold => later("the machine doesn't say who you are at present: try again in a moment"),
            Trouble::Full => later("too many people use the dashboard at present: try again in a moment"),
            Trouble::Broken => later("the process that works for you has ended: try again"),
            Trouble::Silent => later(
                "the process that works for you has not answered for ten minutes: look whether it was done before you try again",
            ),
        }
    }

    /// For a connection that is closed at this moment: hardly anybody reads it.
    pub(super) fn no_room() -> Refusal {
        let message = "too many come at once: try again; nothing was done";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).and_closes()
    }

    pub(super) fn more_than_a_share() -> Refusal {
        let message = "you ask for too much at once: let some of it end, or close some tabs, and try again";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).and_closes()
    }

    pub(super) fn method(allow: &'static str) -> Refusal {
        let message = format!("only {allow} are answered here");
        Refusal { allow: Some(allow), ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "malformed", message) }
    }

    pub(super) fn missing() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "missing", "there is nothing at this address")
    }

    pub(super) fn header(name: &str) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "malformed", format!("the header {name} must be there once, as text"))
    }

    pub(super) fn malformed(form: &str) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "malformed", format!("the body must be JSON: {form}"))
    }

    pub(super) fn media_type() -> Refusal {
        let message = "a body must be JSON, with `Content-Type: application/json`";
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", message).and_closes()
    }

    pub(super) fn too_large(limit: usize) -> Refusal {
        let message = format!("this is longer than the {limit} bytes that are read here: nothing was stored");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message).and_closes()
    }

    pub(super) fn broken() -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "malformed", "the body broke off: nothing was stored").and_closes()
    }

    pub(super) fn slow() -> Refusal {
        let message = "the body took too long to come: nothing was stored";
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "malformed", message).and_closes()
    }

    pub(super) fn internal() -> Refusal {
        let message = "the dashboard failed at this; what it was is in its own output";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    fn and_closes(self) -> Refusal {
        Refusal { closes: true, ..self }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = json(&json!({ "error": { "code": self.code, "message": self.message } }));
        *response.status_mut() = self.status;
        if let Some(allow) = self.allow {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.closes {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// JSON as an answer.
pub(super) fn json(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer of the API; what it refuses without words of its own, such as an unknown call, gets ours.
pub(super) fn in_json(response: Response<Body>) -> Response<Body> {
    let status = response.status();
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !(status.is_client_error() || status.is_server_error()) || media_type.starts_with("application/json") {
        return response;
    }
    let refusal = match status {
        StatusCode::NOT_FOUND => Refusal::missing(),
        StatusCode::METHOD_NOT_ALLOWED => Refusal::method("GET or POST, whichever it is for,"),
        StatusCode::PAYLOAD_TOO_LARGE => {
            Refusal::new(status, "too-large", "this is longer than is read here: nothing was stored")
        }
        _ if status.is_client_error() => {
            Refusal::new(status, "malformed", "the request isn't of the form that this call takes")
        }
        _ => Refusal::internal(),
    };
    refusal.into_response()
}
