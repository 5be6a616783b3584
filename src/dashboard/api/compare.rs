//! `POST /api/compare`: keys in several environments.
//!
//! Invariant: of secrets there is a yes or no, for whoever may read all of them, and no part of a value.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::body::Said;
use super::several::Several;
use super::shapes::{Content, Which};
use super::{Api, Failure};
use crate::client::compare::{Across, Cell, Content as Found, across};

/// So many environments are compared at once.
const ENVIRONMENTS: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    tree: Which,
    environments: Vec<String>,
    keys: Several<String>,
    /// Whether the values of variables are told.
    #[serde(default)]
    values: bool,
    /// Whether secrets are opened to see if they differ, each a decision on record; else it is told which may be read.
    #[serde(default = "yes")]
    secrets: bool,
}

fn yes() -> bool {
    true
}

#[derive(Serialize)]
struct Compared {
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    key: String,
    differs: Option<bool>,
    cells: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    environment: String,
    state: &'static str,
    #[serde(flatten)]
    there: Option<There>,
}

/// What is told of a key that is there.
#[derive(Serialize)]
struct There {
    version: u64,
    size: u64,
    modified: String,
    modified_by: Option<String>,
    #[serde(flatten)]
    content: Content,
}

pub(super) async fn compare(State(api): State<Api>, Said(wanted): Said<Wanted>) -> Result<Response, Failure> {
    api.answer(move |api| wanted.look(api)).await
}

impl Wanted {
    fn look(self, api: &Api) -> Result<Compared, Failure> {
        let keys = self.keys.looked_at()?;
        if self.environments.len() > ENVIRONMENTS {
            return Err(Failure::malformed("a request like this is about at most 16 environments at once"));
        }
        let scopes = self.environments.iter().map(|name| api.scope(name)).collect::<Result<Vec<_>, _>>()?;
        let values = self.values;
        let item = |key: &str, Across { differs, cells }: Across| {
            let cells = self.environments.iter().zip(cells).map(|(environment, cell)| shown(environment, cell, values));
            Item { key: key.to_owned(), differs, cells: cells.collect() }
        };
        Ok(Compared { items: across(&scopes, self.tree.tree(), &keys, self.secrets, item)? })
    }
}

/// What is shown of a key in an environment; `values` has that of a variable shown.
fn shown(environment: &str, cell: Cell, values: bool) -> Shown {
    let (state, there) = match cell {
        Cell::Missing => ("missing", None),
        Cell::Closed => ("closed", None),
        Cell::Present(facts, found) => {
            let content = match found {
                Found::Value(value) if values => Content::head(&value, false),
                Found::Value(value) => Content::none(Content::head(&value, false).kind),
                Found::Denied => Content::none("denied"),
                Found::Expired => Content::none("expired"),
                Found::Secret => Content::none("secret"),
            };
            let there = There {
                version: facts.version.unwrap_or_default(),
                size: facts.size,
                modified: facts.modified,
                modified_by: facts.modified_by,
                content,
            };
            ("present", Some(there))
        }
    };
    Shown { environment: environment.to_owned(), state, there }
}
