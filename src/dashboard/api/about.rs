//! `GET /api/about`: who asks, of which mount, and what there is to choose from.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::shapes::Names;
use super::{Api, Failure};
use crate::client::rows::KNOWN;
use crate::client::{Mount, Scope};
use crate::id::{Gid, Uid};

/// The environment in which a change is asked about once more.
const PROTECTED: &str = "prod";

#[derive(Serialize)]
struct About {
    user: User,
    mount: String,
    version: &'static str,
    team: bool,
    value_limit: u64,
    environments: Vec<Environment>,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct User {
    name: String,
    uid: u32,
    groups: Vec<String>,
}

#[derive(Serialize)]
struct Environment {
    name: String,
    protected: bool,
}

#[derive(Serialize)]
struct Field {
    name: &'static str,
    kind: &'static str,
}

pub(super) async fn about(State(api): State<Api>) -> Result<Response, Failure> {
    let look = |api: &Api| {
        let mount = api.mount();
        let scopes = mount.scopes()?;
        let fields = KNOWN.iter().map(|known| Field { name: known.name, kind: known.kind.as_str() });
        Ok(About {
            user: user(),
            mount: mount.path().display().to_string(),
            version: env!("CARGO_PKG_VERSION"),
            team: api.0.team,
            value_limit: scopes.first().map_or(0, Mount::value_limit),
            environments: scopes.iter().map(environment).collect(),
            fields: fields.collect(),
        })
    };
    api.answer(look).await
}

fn environment(scope: &Scope) -> Environment {
    let name = scope.name().unwrap_or(crate::client::mount::DEFAULT_ENVIRONMENT).to_owned();
    Environment { protected: name == PROTECTED, name }
}

/// Who this process is to the mount.
fn user() -> User {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let mut groups = vec![gid];
    // Without the others where the system doesn't tell them.
    groups.extend(nix::unistd::getgroups().unwrap_or_default().iter().map(|group| group.as_raw()));
    let names = Names::default();
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|group| seen.insert(*group));
    User { name: names.user(Uid(uid)), uid, groups: groups.into_iter().map(|group| names.group(Gid(group))).collect() }
}
