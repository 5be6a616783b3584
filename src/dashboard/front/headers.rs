//! What every answer tells the browser beside its content.

use axum::http::header::{HeaderMap, HeaderName, HeaderValue};

/// Nothing but this page's own files, its own calls, and its one worker; no markup from text; no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types lit-html keyfs";

const GUARDS: [(&str, &str); 8] = [
    ("content-security-policy", POLICY),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"), // for what knows no frame-ancestors
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Sets them; what let other origins in is taken out, whoever put it there.
pub(super) fn guard(headers: &mut HeaderMap) {
    let shared: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
    for name in shared {
        headers.remove(name);
    }
    for (name, value) in GUARDS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}
