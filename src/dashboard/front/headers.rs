//! What every answer tells the browser beside its content.

use axum::http::header::{HeaderMap, HeaderName, HeaderValue};

/// Nothing but this page's own files, its own calls, and its one worker; no markup from text; no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types lit-html keyfs";

/// For what is part of a page: whoever goes to it as if it were one sees its text.
const NO_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// What is in each answer.
const ALWAYS: [(&str, &str); 5] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// And in those that may be looked at as a page, by which a browser goes for all that is in them.
const OF_PAGES: [(&str, &str); 3] = [
    ("content-security-policy", POLICY),
    ("x-frame-options", "DENY"), // for what knows no frame-ancestors
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

const OF_PARTS: [(&str, &str); 1] = [("content-security-policy", NO_POLICY)];

/// Sets them; what let other origins in is taken out, whoever put it there.
pub(super) fn guard(headers: &mut HeaderMap, is_part: bool) {
    let shared: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
    for name in shared {
        headers.remove(name);
    }
    let further: &[_] = if is_part { &OF_PARTS } else { &OF_PAGES };
    for (name, value) in ALWAYS.iter().chain(further) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}
