//! Why a call fails, as the page is told: a status, a word for programs, and one line for people.
//!
//! Invariant: no line holds a value; they are the client's own.

use std::path::Path;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use crate::client::Error;

/// See the module.
#[derive(Debug, Serialize)]
pub struct Failure {
    #[serde(skip)]
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Which field of a form it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    /// Where in that field, in characters, the first being 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    /// What is there instead of what was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Box<Value>>,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Failure {
        Failure { status, code, message: message.into(), field: None, column: None, current: None }
    }

    /// The line for people.
    #[cfg(test)]
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// A request that can't be understood.
    pub(super) fn malformed(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    pub(super) fn media_type() -> Failure {
        let message = "a request's body is JSON: its Content-Type is application/json";
        Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
    }

    pub(super) fn busy() -> Failure {
        let message = "the mount answers too slowly for all that is asked of it; try again in a moment";
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    pub(super) fn silent(mount: &Path, seconds: u64) -> Failure {
        let mount = mount.display();
        let message = format!(
            "the mount {mount} has not answered for {seconds} seconds: its daemon is stopped, or waits for its disk; what was sent \
             just now may still be done once it goes on, so look before you send it again"
        );
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    pub(super) fn too_many_streams() -> Failure {
        let message = "64 pages follow the changes already: close some of them";
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// What somebody wrote in a field of a form and can't be meant.
    pub(super) fn invalid(field: &'static str, message: impl Into<String>) -> Failure {
        let failure = Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message);
        Failure { field: Some(field), ..failure }
    }

    /// The same, with the place in that field, in characters.
    pub(super) fn invalid_at(field: &'static str, column: usize, message: impl Into<String>) -> Failure {
        Failure { column: Some(column), ..Failure::invalid(field, message) }
    }

    /// What is there isn't what somebody decided on.
    pub(super) fn conflict(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// What isn't shown by any right.
    pub(super) fn denied(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::FORBIDDEN, "denied", message)
    }

    /// The same, with what is there.
    pub(super) fn with_current<T: Serialize>(self, current: Option<T>) -> Failure {
        let current = current.and_then(|current| serde_json::to_value(current).ok()).map(Box::new);
        Failure { current, ..self }
    }

    /// A defect of ours; what it was is in the log.
    pub(super) fn internal() -> Failure {
        let message = "the dashboard failed at this; what it was is in its own output";
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let (status, code, field) = match &error {
            Error::NoMount(_) | Error::Dead(_) | Error::Several(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", None)
            }
            Error::NoEnvironment { .. } | Error::OtherEnvironment { .. } | Error::EnvironmentName { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid", Some("environment"))
            }
            Error::Key { .. } | Error::IsDirectory(_) | Error::BelowKey { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid", Some("key"))
            }
            Error::TooLarge(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", Some("value")),
            Error::Permissions(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", Some("permissions")),
            Error::NotFound { .. } | Error::NoVersion { .. } => (StatusCode::NOT_FOUND, "missing", None),
            Error::Denied { .. } | Error::Closed(_) => (StatusCode::FORBIDDEN, "denied", None),
            Error::Exists(_) => (StatusCode::CONFLICT, "exists", Some("key")),
            Error::Changed { .. } | Error::Meanwhile(_) => (StatusCode::CONFLICT, "conflict", None),
            Error::TooMuch { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", None),
            Error::Expired(_) => (StatusCode::GONE, "expired", None),
            Error::NoControl { .. } | Error::System { .. } => (StatusCode::BAD_GATEWAY, "system", None),
        };
        Failure { field, ..Failure::new(status, code, error.to_string()) }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(serde_json::json!({ "error": self }))).into_response()
    }
}
