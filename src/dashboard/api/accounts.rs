//! `GET /api/accounts`: the users and groups of the machine, to choose from.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::{Api, Failure};
use crate::client::accounts::outline;

#[derive(Serialize)]
struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Serialize)]
struct User {
    name: String,
    id: u32,
}

#[derive(Serialize)]
struct Group {
    name: String,
    id: u32,
    members: Vec<String>,
    system: bool,
}

pub(super) async fn accounts(State(api): State<Api>) -> Result<Response, Failure> {
    let look = |_: &Api| {
        let (users, groups) = outline()?;
        // A source of accounts may repeat what another one has.
        let mut seen = HashMap::new();
        let groups = groups.into_iter().filter(|group| seen.insert(group.name.clone(), ()).is_none());
        let groups = groups.map(|group| Group {
            system: group.is_system(),
            name: group.name,
            id: group.id.0,
            members: group.members,
        });
        let users = users.into_iter().map(|(name, id)| User { name, id: id.0 });
        Ok(Accounts { users: users.collect(), groups: groups.collect() })
    };
    api.answer(look).await
}
