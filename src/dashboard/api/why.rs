//! `POST /api/why`: what a user or a group could do with a key, and by which rule; also with permissions that are yet to be
//! stored, of a key that is yet to be made.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::body::Said;
use super::shapes::{Which, Wished};
use super::{Api, Failure};
use crate::client::error::Quoted;
use crate::client::why::{Above, Answers, Subject, above, answers};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    environment: String,
    tree: Which,
    key: String,
    subject: Whom,
    permissions: Option<Wished>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Whom {
    User(String),
    Group(String),
}

impl Whom {
    fn subject(&self) -> Result<Subject, Failure> {
        let (found, kind, name) = match self {
            Whom::User(name) => (Subject::user(name), "user", name),
            Whom::Group(name) => (Subject::group(name), "group", name),
        };
        found.ok_or_else(|| Failure::invalid("subject", format!("there is no {kind} '{}'", Quoted(name))))
    }
}

#[derive(Serialize)]
struct Why {
    #[serde(flatten)]
    answers: Answers,
    above: Vec<Above>,
}

pub(super) async fn why(State(api): State<Api>, Said(question): Said<Question>) -> Result<Response, Failure> {
    let look = move |api: &Api| {
        let Question { environment, tree, key, subject, permissions } = question;
        let subject = subject.subject()?;
        let entry = api.scope(&environment)?.entry(tree.tree(), &key)?;
        let change = permissions.map(|wished| wished.change(tree.is_secret())).transpose()?;
        Ok(Why { answers: answers(&entry, &subject, change.as_ref())?, above: above(&entry, &subject) })
    };
    api.answer(look).await
}
