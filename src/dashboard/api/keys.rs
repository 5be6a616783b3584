//! `GET /api/keys`, `POST /api/details`, `GET /api/entry`, `GET /api/below`: which keys there are, and what is known of each.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::body::{Asked, Said};
use super::several::Several;
use super::shapes::{Item, Names, Versioned, Which};
use super::{Api, Failure};
use crate::client::details::{self, Detail, Extent, Looked};
use crate::client::{Entry, Scope, list, put, why};
use crate::key::Tree;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    environment: String,
    tree: Which,
}

impl Place {
    pub(super) fn scope(&self, api: &Api) -> Result<(Scope, Tree), Failure> {
        Ok((api.scope(&self.environment)?, self.tree.tree()))
    }
}

#[derive(Serialize)]
struct Keys {
    keys: Vec<String>,
    closed: Vec<String>,
}

pub(super) async fn keys(State(api): State<Api>, Asked(place): Asked<Place>) -> Result<Response, Failure> {
    let look = move |api: &Api| {
        let (scope, tree) = place.scope(api)?;
        let listing = list::keys(&scope, tree, "")?;
        Ok(Keys { keys: listing.keys, closed: listing.closed })
    };
    api.answer(look).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    environment: String,
    tree: Which,
    keys: Several<String>,
}

#[derive(Serialize)]
struct Items {
    items: Vec<Row>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Row {
    There(Box<Item>),
    /// There is nothing to show of it; `closed` says that this is for want of a right.
    Gone {
        key: String,
        gone: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        closed: bool,
    },
}

pub(super) async fn details(State(api): State<Api>, Said(listed): Said<Listed>) -> Result<Response, Failure> {
    let look = move |api: &Api| {
        let keys = listed.keys.looked_at()?;
        let (scope, tree) = (api.scope(&listed.environment)?, listed.tree.tree());
        let entries = keys.iter().map(|key| scope.entry(tree, key)).collect::<Result<Vec<_>, _>>()?;
        let names = Names::default();
        let row = |(key, looked): (String, Looked)| match looked {
            Looked::There(detail) => Row::There(Box::new(Item::of(*detail, false, &names))),
            Looked::Gone => Row::Gone { key, gone: true, closed: false },
            Looked::Closed => Row::Gone { key, gone: true, closed: true },
        };
        Ok(Items { items: keys.into_iter().zip(details::details(entries)?).map(row).collect() })
    };
    api.answer(look).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    environment: String,
    tree: Which,
    key: String,
}

impl One {
    pub(super) fn entry(&self, api: &Api) -> Result<Entry, Failure> {
        Ok(api.scope(&self.environment)?.entry(self.tree.tree(), &self.key)?)
    }
}

#[derive(Serialize)]
pub(super) struct Whole {
    #[serde(flatten)]
    item: Item,
    why: why::Answers,
}

pub(super) async fn entry(State(api): State<Api>, Asked(one): Asked<One>) -> Result<Response, Failure> {
    let look = move |api: &Api| whole(one.entry(api)?);
    api.answer(look).await
}

/// A key with all that is known of it, and a variable's whole value.
pub(super) fn whole(entry: Entry) -> Result<Whole, Failure> {
    let why = why::own(&entry)?;
    let detail = Detail::of(entry, Extent::Whole)?;
    Ok(Whole { item: Item::of(detail, true, &Names::default()), why })
}

/// What is there now, for whoever decided on something else; where that can't be told, nothing is.
pub(super) fn now(failure: Failure, entry: &Entry) -> Failure {
    failure.with_current(whole(entry.clone()).ok())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Beginning {
    environment: String,
    tree: Which,
    prefix: String,
}

#[derive(Serialize)]
struct Below {
    keys: Vec<Versioned>,
    closed: Vec<String>,
}

pub(super) async fn below(State(api): State<Api>, Asked(asked): Asked<Beginning>) -> Result<Response, Failure> {
    let look = move |api: &Api| {
        let (scope, tree) = (api.scope(&asked.environment)?, asked.tree.tree());
        let listing = list::keys(&scope, tree, &format!("{}/", asked.prefix.trim_end_matches('/')))?;
        let entries = listing.keys.iter().map(|key| scope.entry(tree, key)).collect::<Result<Vec<_>, _>>()?;
        let versions = put::versions(&entries)?;
        let keys = listing.keys.into_iter().zip(versions);
        let keys = keys.filter_map(|(key, version)| Some(Versioned { key, version: version? }));
        Ok(Below { keys: keys.collect(), closed: listing.closed })
    };
    api.answer(look).await
}
