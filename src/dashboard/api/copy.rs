//! `POST /api/copy`: keys to another environment, first as a preview, then on the versions that it showed.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::body::Said;
use super::change::told;
use super::several::Several;
use super::shapes::{Which, beginning};
use super::{Api, Failure};
use crate::client::copying::{Copy, Deed, look, store};
use crate::client::value::Head;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    tree: Which,
    from: String,
    to: String,
    keys: Several<String>,
    /// Whether keys that are there get the other value.
    #[serde(default)]
    replace: bool,
    preview: bool,
    /// Those of the preview.
    versions: Option<Versions>,
}

/// Of each key that is copied, the source's version and the target's, 0 where it isn't there.
type Versions = BTreeMap<String, (u64, u64)>;

#[derive(Serialize)]
struct Copied {
    plan: Plan,
    versions: Versions,
    stored: Option<usize>,
}

#[derive(Default, Serialize)]
struct Plan {
    added: Vec<Added>,
    changed: Vec<Changed>,
    same: Vec<String>,
    kept: Vec<String>,
    refused: Vec<Refused>,
}

#[derive(Serialize)]
pub(super) struct Added {
    pub(super) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Changed {
    pub(super) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
}

#[derive(Serialize)]
struct Refused {
    key: String,
    why: String,
}

pub(super) async fn copy(State(api): State<Api>, Said(wanted): Said<Wanted>) -> Result<Response, Failure> {
    api.gather(move |api| wanted.copy(api)).await
}

impl Wanted {
    fn copy(self, api: &Api) -> Result<Copied, Failure> {
        let keys = self.keys.each_once()?;
        if self.from == self.to {
            return Err(Failure::invalid("environment", "choose another environment than the one to copy from"));
        }
        let (from, to) = (api.scope(&self.from)?, api.scope(&self.to)?);
        let copies = look(&from, &to, self.tree.tree(), &keys, self.replace)?;
        let versions: Versions =
            copies.iter().filter(|copy| is_stored(copy)).map(|copy| (copy.key.clone(), copy.versions)).collect();
        let is_secret = self.tree.is_secret();
        let looked = |stored| Copied { plan: plan(&copies, is_secret), versions: versions.clone(), stored };
        if self.preview {
            return Ok(looked(None));
        }
        if self.versions.as_ref() != Some(&versions) {
            let message = "something has changed since the preview: look at it again; nothing was stored";
            return Err(Failure::conflict(message).with_current(Some(looked(None))));
        }
        let stored = store(&to, &copies).map_err(told)?;
        Ok(looked(Some(stored)))
    }
}

fn plan(copies: &[Copy], is_secret: bool) -> Plan {
    let begins = |head: &Head| if is_secret { None } else { beginning(head) };
    let shown = |value: &[u8]| begins(&Head::of(value));
    let mut plan = Plan::default();
    for Copy { key, deed, .. } in copies {
        let key = key.clone();
        match deed {
            Deed::Add(value) => plan.added.push(Added { key, value: shown(value) }),
            Deed::Change(before, after) => {
                let before = before.as_ref().and_then(begins);
                plan.changed.push(Changed { key, before, after: shown(after) });
            }
            Deed::Same => plan.same.push(key),
            Deed::Keep => plan.kept.push(key),
            Deed::Refuse(why) => plan.refused.push(Refused { key, why: why.clone() }),
        }
    }
    plan
}

fn is_stored(copy: &Copy) -> bool {
    matches!(copy.deed, Deed::Add(_) | Deed::Change(..))
}
