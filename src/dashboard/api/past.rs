//! What was: the versions of a key, going back to one, and removed keys: `GET /api/history`, `GET /api/version`, `POST
//! /api/rollback`, `GET /api/removed` and `POST /api/restore`.
//!
//! Invariant: of a secret's version nothing is shown but that it was; it goes back, or comes back, without being seen.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::body::{Asked, Said};
use super::change::told;
use super::keys::{One, Place};
use super::several::{Keyed, Several};
use super::shapes::{Content, Names, Which, Wished};
use super::{Api, Failure};
use crate::client::amend::amend;
use crate::client::batch::{Expires, Item, Step, Terms};
use crate::client::permissions::Change;
use crate::client::put::{Condition, versions};
use crate::client::room::Room;
use crate::client::value::Value;
use crate::client::{Entry, history, removed};

#[derive(Serialize)]
struct History {
    present: Option<u64>,
    versions: Vec<Past>,
}

#[derive(Serialize)]
struct Past {
    version: u64,
    size: u64,
    modified: String,
    modified_by: String,
}

pub(super) async fn history(State(api): State<Api>, Asked(one): Asked<One>) -> Result<Response, Failure> {
    let look = move |api: &Api| {
        let entry = one.entry(api)?;
        let past = |past: history::Past| Past {
            version: past.version,
            size: past.size,
            modified: past.modified,
            modified_by: past.modified_by,
        };
        let kept = history::versions(&entry)?.into_iter().rev().map(past).collect();
        let present = versions(&[entry])?.into_iter().next().flatten();
        Ok(History { present, versions: kept })
    };
    api.answer(look).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Numbered {
    environment: String,
    tree: Which,
    key: String,
    version: u64,
}

pub(super) async fn version(State(api): State<Api>, Asked(one): Asked<Numbered>) -> Result<Response, Failure> {
    let look = move |api: &Api| {
        let entry = api.scope(&one.environment)?.entry(one.tree.tree(), &one.key)?;
        if entry.is_secret() {
            let command = entry.command(Some(one.version));
            let why = format!("a secret's value isn't shown here: `{command}` prints it");
            return Err(Failure::denied(why));
        }
        Ok(Content::whole(&history::read(&entry, one.version)?))
    };
    api.answer(look).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Back {
    environment: String,
    tree: Which,
    key: String,
    version: u64,
    if_version: u64,
}

#[derive(Serialize)]
struct Now {
    version: u64,
}

pub(super) async fn rollback(State(api): State<Api>, Said(back): Said<Back>) -> Result<Response, Failure> {
    let go = move |api: &Api| {
        let entry = api.scope(&back.environment)?.entry(back.tree.tree(), &back.key)?;
        let value = history::read(&entry, back.version)?;
        let step = Step::Put(&value, Condition::Version(back.if_version));
        amend(&[Item::new(entry.clone(), step)], "rolling back").map_err(told)?;
        let version = versions(&[entry])?.into_iter().next().flatten().unwrap_or_default();
        Ok(Now { version })
    };
    api.answer(go).await
}

#[derive(Serialize)]
struct Gone {
    items: Vec<Last>,
}

/// The last version of a key that was removed.
#[derive(Serialize)]
struct Last {
    key: String,
    version: u64,
    modified: String,
    modified_by: String,
}

pub(super) async fn removed(State(api): State<Api>, Asked(place): Asked<Place>) -> Result<Response, Failure> {
    let look = move |api: &Api| {
        let (scope, tree) = place.scope(api)?;
        let names = Names::default();
        let last = |one: removed::Removed| Last {
            key: one.key,
            version: one.version,
            modified: one.modified,
            modified_by: names.user(one.modified_by),
        };
        Ok(Gone { items: removed::removed(&scope, tree)?.into_iter().map(last).collect() })
    };
    api.answer(look).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    environment: String,
    tree: Which,
    keys: Several<Restored>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restored {
    key: String,
    /// Left out, the last one.
    version: Option<u64>,
    /// Left out, it is the caller's alone.
    permissions: Option<Wished>,
    /// Left out, never.
    expires: Option<String>,
}

impl Keyed for Restored {
    fn key(&self) -> &str {
        &self.key
    }
}

#[derive(Serialize)]
struct Count {
    restored: usize,
}

pub(super) async fn restore(State(api): State<Api>, Said(wanted): Said<Wanted>) -> Result<Response, Failure> {
    api.gather(move |api| wanted.restore(api)).await
}

impl Wanted {
    fn restore(self, api: &Api) -> Result<Count, Failure> {
        let keys = self.keys.each_once()?;
        let scope = api.scope(&self.environment)?;
        let what = format!("{} keys in {scope}", keys.len());
        let room = Room::new("bring back", what, "restore fewer at a time");
        let mut found: Vec<(Entry, Value, Option<Change>)> = Vec::with_capacity(keys.len());
        for one in &keys {
            let entry = scope.entry(self.tree.tree(), &one.key)?;
            let version = one.version.map_or_else(|| history::last(&entry), Ok)?;
            let value = history::read(&entry, version)?;
            room.take(&value)?;
            let wished = one.permissions.as_ref();
            let change = wished.map(|wished| wished.change(self.tree.is_secret())).transpose()?;
            found.push((entry, value, change));
        }
        let mut items = Vec::with_capacity(found.len());
        for ((entry, value, change), one) in found.iter().zip(&keys) {
            let expires = one.expires.as_deref().map_or(Expires::Kept, Expires::At);
            let terms = Terms { permissions: change.as_ref(), seen: None, expires };
            items.push(Item { entry: entry.clone(), step: Step::Put(value, Condition::Absent), terms });
        }
        amend(&items, "restoring several keys").map_err(told)?;
        Ok(Count { restored: items.len() })
    }
}
