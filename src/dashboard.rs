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
