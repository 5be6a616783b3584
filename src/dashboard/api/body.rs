//! What a request asks for, as a type: its query, or its body of JSON.
//!
//! Invariants:
//! - What is wrong is told by the field's name and the place; nothing of what the request holds is repeated.
//! - A body is in memory that is wiped, and a value in it goes from there into memory that is wiped. What the web server's
//!   own buffers held, and what the JSON library holds while it takes escapes out of a text, is not.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header::HeaderName};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use zeroize::{Zeroize, Zeroizing};

use super::{Failure, LONGEST_BODY};
use crate::dashboard::wiped::{Wiped, extend};

/// What a query says.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Asked<T>, Failure> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        let wrong =
            "the query of this request isn't as it should be: a parameter is missing, unknown or of another kind";
        query.map(|Query(asked)| Asked(asked)).map_err(|_| Failure::malformed(wrong))
    }
}

/// What a body says.
pub(super) struct Said<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Said<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Said<T>, Failure> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Failure::media_type());
        }
        let bytes = whole(body, length(&parts.headers)).await?;
        parse(&bytes).map(Said)
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = header(headers, &CONTENT_TYPE).and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// How long the body is said to be, as far as that is believed.
fn length(headers: &HeaderMap) -> usize {
    let length: Option<usize> = header(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
    length.unwrap_or_default().min(LONGEST_BODY)
}

/// Reads a body into memory that is wiped.
async fn whole(mut body: Body, length: usize) -> Result<Wiped, Failure> {
    let mut bytes = Wiped::new(Vec::with_capacity(length));
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Failure::malformed("the request's body ended before its end"))?;
        let Ok(chunk) = frame.into_data() else { continue };
        if bytes.len() + chunk.len() > LONGEST_BODY {
            return Err(Failure::too_large("the request's body is longer than 48 MiB"));
        }
        extend(&mut bytes, &chunk);
        // Where nobody else has a part of it.
        if let Ok(mut chunk) = chunk.try_into_mut() {
            chunk.as_mut().zeroize();
        }
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = named(&error.path().to_string());
        wrong(&path, error.inner())
    })?;
    json.end().map_err(|error| wrong(".", &error))?;
    Ok(parsed)
}

/// A path of a body in a message. Names of fields can be anything.
fn named(path: &str) -> String {
    path.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The library's own words may repeat a value.
fn wrong(path: &str, error: &serde_json::Error) -> Failure {
    let place = format!("line {}, column {}", error.line(), error.column());
    Failure::malformed(match error.classify() {
        serde_json::error::Category::Data if path == "." => {
            format!("the request's body has a field too many, one too few, or is no object ({place})")
        }
        serde_json::error::Category::Data => {
            format!(
                "the request's body is wrong at {path}: it is unknown, missing something or of another kind ({place})"
            )
        }
        _ => format!("the request's body is no JSON ({place})"),
    })
}

/// A text that may be secret.
pub(super) struct Text(pub(super) Zeroizing<String>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Zeroizing::new(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Text, E> {
                Ok(Text(Zeroizing::new(text)))
            }
        }
        deserializer.deserialize_str(Words)
    }
}

/// A field that is there, null included: `None` stands for one that isn't.
pub(super) fn there<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        name: String,
        #[serde(default)]
        value: Option<Text>,
        #[serde(default, deserialize_with = "there")]
        expires: Option<Option<String>>,
    }

    fn says(body: &str) -> String {
        parse::<Example>(body.as_bytes()).map(|_| ()).unwrap_err().message().to_owned()
    }

    #[test]
    fn what_is_wrong_is_named_without_what_it_holds() {
        for wrong in [
            r#"{"name": {"canary": 1}, "value": "canary"}"#,
            r#"{"name": "a", "value": ["canary"]}"#,
            r#"{"name": "a", "value": 77777}"#,
            r#"{"name": "a", "value": "canary"} canary"#,
            r#"{"name": "a", "value": "canary"#,
            r#""canary""#,
            "canary",
            "",
        ] {
            let message = says(wrong);
            assert!(!message.contains("canary") && !message.contains("77777"), "{wrong}: {message}");
        }
        assert!(says(r#"{"name": "a", "value": 1}"#).contains("wrong at value"));
        assert!(says(r#"{"value": "x"}"#).contains("one too few"));
        assert!(says(r#"{"name": "a", "other": 1}"#).contains("other"));
    }

    #[test]
    fn null_and_nothing_differ() {
        let expires = |body: &str| parse::<Example>(body.as_bytes()).unwrap().expires;
        assert_eq!(expires(r#"{"name": "a"}"#), None);
        assert_eq!(expires(r#"{"name": "a", "expires": null}"#), Some(None));
        assert_eq!(expires(r#"{"name": "a", "expires": "x"}"#), Some(Some("x".into())));
        let both = parse::<Example>(br#"{"name": "a", "value": "canary"}"#).unwrap();
        assert_eq!((both.name.as_str(), both.value.as_ref().map(|text| text.0.as_str())), ("a", Some("canary")));
        let shown = format!("{both:?}");
        assert!(shown.contains("6 bytes") && !shown.contains("canary"), "{shown}");
    }
}
