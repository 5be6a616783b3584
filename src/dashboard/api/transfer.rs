//! `POST /api/import` and `GET /api/export`: keys as dotenv, JSON or YAML.
//!
//! Invariants: what is stored is what the preview showed, as its digest tells, which is computed from keys, versions and what
//! becomes of each, and from no value; all of it, or nothing. Secrets are taken in and never given out.

use std::ops::ControlFlow;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::body::{Asked, Said, Text};
use super::change::told;
use super::copy::{Added, Changed};
use super::shapes::{Which, Wished, beginning};
use super::{Api, Failure};
use crate::client::export::{self, export as read_all};
use crate::client::formats::{self, Case, Entry as Line, Format, Mapping, Parsed, ReadError};
use crate::client::import::{Import, below};
use crate::client::permissions::Change;
use crate::client::value::Head;
use crate::key::Tree;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    environment: String,
    tree: Which,
    /// Left out, it is guessed.
    format: Option<Form>,
    text: Text,
    /// Whose keys these are.
    #[serde(default)]
    directory: String,
    #[serde(default)]
    double_underscore: bool,
    #[serde(default)]
    case: Letters,
    /// Of the keys that are new.
    permissions: Option<Wished>,
    /// Whether the rest is stored where something can't be.
    #[serde(default)]
    leave_out_invalid: bool,
    preview: bool,
    /// That of the preview.
    digest: Option<String>,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Form {
    Dotenv,
    Json,
    Yaml,
}

impl Form {
    fn format(self) -> Format {
        match self {
            Form::Dotenv => Format::Dotenv,
            Form::Json => Format::Json,
            Form::Yaml => Format::Yaml,
        }
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Letters {
    #[default]
    Kept,
    Lower,
    Upper,
}

#[derive(Serialize)]
struct Imported {
    format: &'static str,
    plan: Plan,
    digest: String,
    stored: Option<usize>,
}

#[derive(Serialize)]
struct Plan {
    added: Vec<Added>,
    changed: Vec<Changed>,
    same: Vec<String>,
    invalid: Vec<Invalid>,
}

#[derive(Serialize)]
struct Invalid {
    line: usize,
    key: String,
    why: String,
}

/// Where a text can't be read, in lines and characters, the first being 1.
#[derive(Serialize)]
struct Place {
    line: usize,
    column: usize,
}

pub(super) async fn import(State(api): State<Api>, Said(wanted): Said<Wanted>) -> Result<Response, Failure> {
    api.gather(move |api| wanted.import(api)).await
}

impl Wanted {
    fn import(self, api: &Api) -> Result<Imported, Failure> {
        let scope = api.scope(&self.environment)?;
        let wished = self.permissions.as_ref();
        let change = wished.map(|wished| wished.change(self.tree.is_secret())).transpose()?.unwrap_or_default();
        let format = self.format.map_or_else(|| Format::guess(&self.text.0), Form::format);
        let import = Import::look(&scope, self.tree.tree(), self.parsed(format)?)?;
        let digest = digest(&import);
        let looked =
            |stored| Imported { format: format.as_str(), plan: self.plan(&import), digest: digest.clone(), stored };
        if self.preview {
            return Ok(looked(None));
        }
        if let Some(problem) = import.plan.invalid.first().filter(|_| !self.leave_out_invalid) {
            let failure = Failure::invalid("text", format!("{problem}; nothing was stored"));
            return Err(failure.with_current(Some(looked(None))));
        }
        if self.digest.as_ref() != Some(&digest) {
            let message = "something has changed since the preview: look at it again; nothing was stored";
            return Err(Failure::conflict(message).with_current(Some(looked(None))));
        }
        let stored = store(&import, &change)?;
        Ok(looked(Some(stored)))
    }

    fn parsed(&self, format: Format) -> Result<Parsed, Failure> {
        let case = match self.case {
            Letters::Kept => Case::Kept,
            Letters::Lower => Case::Lower,
            Letters::Upper => Case::Upper,
        };
        let mapping = Mapping { double_underscore: self.double_underscore, case };
        let wrong = |error: ReadError| {
            let message = format!("this can't be read as {}: {error}", format.as_str());
            let place = Place { line: error.line, column: error.column };
            Failure::invalid_at("text", error.column, message).with_current(Some(place))
        };
        let parsed = formats::read(format, self.text.0.as_bytes(), &mapping).map_err(wrong)?;
        Ok(below(&self.directory, parsed))
    }

    fn plan(&self, import: &Import) -> Plan {
        let begins = |head: &Head| if self.tree.is_secret() { None } else { beginning(head) };
        let shown = |value: &[u8]| begins(&Head::of(value));
        let plan = &import.plan;
        let added = |line: &Line| Added { key: line.key.to_string(), value: shown(&line.value) };
        let changed = |line: &Line| Changed {
            key: line.key.to_string(),
            before: import.head(&line.key).and_then(begins),
            after: shown(&line.value),
        };
        // What may not be read is replaced whatever it is.
        let unread = |line: &Line| Changed { before: None, ..changed(line) };
        let invalid = |problem: &formats::Problem| Invalid {
            line: problem.line,
            key: problem.key.clone(),
            why: problem.why.clone(),
        };
        Plan {
            added: plan.added.iter().map(added).collect(),
            changed: plan.changed.iter().map(changed).chain(plan.replaced.iter().map(unread)).collect(),
            same: plan.same.iter().map(|line| line.key.to_string()).collect(),
            invalid: plan.invalid.iter().map(invalid).collect(),
        }
    }
}

/// Stores what was looked at; how many.
fn store(import: &Import, change: &Change) -> Result<usize, Failure> {
    if import.stored() > 0 {
        import.store(change, &mut |_| ControlFlow::Continue(())).map_err(told)?;
    }
    Ok(import.stored())
}

/// What tells whether a preview still holds.
fn digest(import: &Import) -> String {
    let mut hasher = blake3::Hasher::new();
    let plan = &import.plan;
    let lists =
        [("added", &plan.added), ("changed", &plan.changed), ("replaced", &plan.replaced), ("same", &plan.same)];
    for (class, lines) in lists {
        for line in lines {
            let key = line.key.to_string();
            hasher.update(class.as_bytes()).update(&[0]).update(key.as_bytes()).update(&[0]);
            hasher.update(&import.version(&line.key).to_be_bytes());
        }
    }
    for problem in &plan.invalid {
        hasher.update(b"invalid\0").update(problem.key.as_bytes()).update(&[0]);
    }
    hasher.finalize().to_hex().to_string()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asking {
    environment: String,
    format: Form,
    #[serde(default)]
    prefix: String,
    /// Whether `__` stands for the `/` of a key; left out, as dotenv needs it.
    double_underscore: Option<bool>,
}

#[derive(Serialize)]
struct Exported {
    text: String,
    left_out: Vec<String>,
}

pub(super) async fn export(State(api): State<Api>, Asked(asking): Asked<Asking>) -> Result<Response, Failure> {
    api.gather(move |api| asking.export(api)).await
}

impl Asking {
    fn export(self, api: &Api) -> Result<Exported, Failure> {
        let scope = api.scope(&self.environment)?;
        let all = read_all(&scope, Tree::Variables, &[self.prefix], true, true)?;
        let format = self.format.format();
        let double_underscore = self.double_underscore.unwrap_or(format == Format::Dotenv);
        let mapping = Mapping { double_underscore, case: Case::Kept };
        let export::Export { mut values, mut left_out } = all;
        // What the format can't hold keeps nothing else from being exported.
        values.retain(|(key, value)| {
            let fits = formats::write(format, [(key, value.as_slice())], &mapping).is_ok();
            left_out.extend((!fits).then(|| key.to_string()));
            fits
        });
        left_out.sort_unstable();
        let written = formats::write(format, values.iter().map(|(key, value)| (key, value.as_slice())), &mapping);
        let mut text = written.map_err(|error| Failure::invalid("format", error.to_string()))?;
        let text = String::from_utf8(std::mem::take(&mut text)).map_err(|_| Failure::internal())?;
        Ok(Exported { text, left_out })
    }
}
