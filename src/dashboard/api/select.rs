//! `POST /api/select`: keys in the languages of the commands' `--filter` and `--sort`.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::body::Said;
use super::shapes::Which;
use super::{Api, Failure};
use crate::client::filter::{Selection, Wrong};
use crate::client::list;
use crate::client::rows::{KNOWN, Row, look_up};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    environment: String,
    tree: Which,
    #[serde(default)]
    filter: String,
    #[serde(default)]
    sort: String,
}

#[derive(Serialize)]
struct Selected {
    keys: Vec<String>,
}

pub(super) async fn select(State(api): State<Api>, Said(wanted): Said<Wanted>) -> Result<Response, Failure> {
    api.answer(move |api| wanted.look(api)).await
}

impl Wanted {
    fn look(&self, api: &Api) -> Result<Selected, Failure> {
        let selection = Selection::parse(&self.filter, &self.sort, KNOWN).map_err(|wrong| {
            let message = wrong.to_string();
            match wrong {
                Wrong::Filter(error) => Failure::invalid_at("filter", error.column, message),
                Wrong::Sort(error) => Failure::invalid_at("sort", error.column, message),
            }
        })?;
        let (scopes, tree) = ([api.scope(&self.environment)?], self.tree.tree());
        let [scope] = &scopes;
        let rows = list::keys(scope, tree, "")?.keys.into_iter().map(|key| Row::new(0, key)).collect();
        let rows = look_up(&scopes, tree, rows, &selection.fields())?;
        let rows = selection.of(rows, |row, name| row.field(&scopes, name));
        Ok(Selected { keys: rows.into_iter().map(|row| row.key).collect() })
    }
}
