//! `POST /api/put` and `POST /api/remove`: what somebody decided in a form.
//!
//! Invariants: all of it is done in one commit, or nothing. A key that is there is changed as it was when the form was opened,
//! or not at all; what it is instead is told, of a secret without its value. No environment is changed that isn't named.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::body::{Said, Text, there};
use super::keys::now;
use super::several::Several;
use super::shapes::{Names, Rights, Versioned, Which, Wished};
use super::{Api, Failure};
use crate::access::Permissions;
use crate::client::amend::amend;
use crate::client::batch::{Expires, Item, Step, Terms};
use crate::client::facts::Facts;
use crate::client::permissions::Change;
use crate::client::put::{Condition, versions};
use crate::client::{Entry, Error, edit};
use crate::clock::Timestamp;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    environments: Vec<String>,
    tree: Which,
    key: String,
    /// Whether it is to be a new key.
    create: bool,
    #[serde(default)]
    versions: BTreeMap<String, u64>,
    /// Left out, a key keeps the one that it has.
    value: Option<Text>,
    /// The same, of any bytes.
    base64: Option<Text>,
    /// Whether a newline goes behind the value.
    #[serde(default)]
    newline: bool,
    /// Left out, it stays; null takes it off.
    #[serde(default, deserialize_with = "there")]
    expires: Option<Option<String>>,
    permissions: Option<Wished>,
    base_permissions: Option<Rights>,
    /// When it expired as the form was opened, null for never.
    #[serde(default, deserialize_with = "there")]
    base_expires: Option<Option<String>>,
}

#[derive(Serialize)]
struct Put {
    stored: Vec<Stored>,
}

#[derive(Serialize)]
struct Stored {
    environment: String,
    version: u64,
}

pub(super) async fn put(State(api): State<Api>, Said(form): Said<Form>) -> Result<Response, Failure> {
    api.answer(move |api| form.store(api)).await
}

impl Form {
    fn store(mut self, api: &Api) -> Result<Put, Failure> {
        self.environments.sort_unstable();
        self.environments.dedup();
        if self.environments.is_empty() {
            return Err(Failure::invalid("environment", "choose at least one environment"));
        }
        let value = self.value()?;
        let wished = self.permissions.as_ref();
        let change = wished.map(|wished| wished.change(self.tree.is_secret())).transpose()?;
        let expires = self.expires()?;
        let entries = self.entries(api)?;
        let value = value.as_ref().map(|value| value.as_slice());
        let looked = if self.create { Vec::new() } else { self.look(&entries)? };
        let items = match self.create {
            true => creations(&entries, value, change.as_ref(), expires)?,
            false => self.edits(&looked, value, change.as_ref(), expires),
        };
        amend(&items, "storing in several environments").map_err(told)?;
        self.stored(&entries)
    }

    fn entries(&self, api: &Api) -> Result<Vec<Entry>, Failure> {
        let entry = |environment: &String| Ok(api.scope(environment)?.entry(self.tree.tree(), &self.key)?);
        self.environments.iter().map(entry).collect()
    }

    fn value(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        match (self.value.take(), self.base64.take()) {
            (Some(_), Some(_)) => Err(Failure::malformed("a value is told as `value` or as `base64`, not as both")),
            (Some(Text(text)), None) => {
                let end: &[u8] = if self.newline { b"\n" } else { b"" };
                Ok(Some(Zeroizing::new([text.as_bytes(), end].concat())))
            }
            (None, Some(Text(coded))) => {
                let bytes = STANDARD.decode(coded.as_bytes()).map(Zeroizing::new);
                bytes.map(Some).map_err(|_| Failure::malformed("the request's body is wrong at base64"))
            }
            (None, None) if self.create => {
                Err(Failure::invalid("value", "a new key needs a value, which may be an empty one"))
            }
            (None, None) => Ok(None),
        }
    }

    fn expires(&self) -> Result<Expires<'_>, Failure> {
        match self.expires.as_ref().map(Option::as_deref) {
            None => Ok(Expires::Kept),
            Some(None) => Ok(Expires::Never),
            Some(Some(time)) if Timestamp::parse(time).is_some() => Ok(Expires::At(time)),
            Some(Some(_)) => {
                let how = "an expiry is a date and a time with its zone, as in 2027-01-31T12:00:00Z";
                Err(Failure::invalid("expires", how))
            }
        }
    }

    /// The keys as they are, each with its version, where they are what the form was opened with.
    fn look(&self, entries: &[Entry]) -> Result<Vec<(Entry, u64, Permissions)>, Failure> {
        let mut looked = Vec::with_capacity(entries.len());
        for (entry, (environment, version)) in entries.iter().zip(self.environments.iter().zip(versions(entries)?)) {
            let version = version.ok_or_else(|| Failure::from(Error::missing(entry)))?;
            let permissions = edit::permissions(entry)?;
            if let Some(base) = &self.base_permissions
                && !base.same(&Names::default().rights(&permissions))
            {
                return Err(told(Error::Meanwhile(Box::new(entry.clone()))));
            }
            if let Some(base) = &self.base_expires
                && moment(base.as_deref()) != moment(Facts::of(entry)?.expires.as_deref())
            {
                return Err(told(Error::Meanwhile(Box::new(entry.clone()))));
            }
            let decided_on = self.versions.get(environment).copied().unwrap_or(version);
            looked.push((entry.clone(), decided_on, permissions));
        }
        Ok(looked)
    }

    /// What changes keys that are there.
    fn edits<'v>(
        &self,
        looked: &'v [(Entry, u64, Permissions)],
        value: Option<&'v [u8]>,
        change: Option<&'v Change>,
        expires: Expires<'v>,
    ) -> Vec<Item<'v>> {
        let item = |(entry, version, seen): &'v (Entry, u64, Permissions)| {
            let step = value.map_or(Step::Keep(*version), |value| Step::Put(value, Condition::Version(*version)));
            // What looks the same stays as it is, with what isn't shown of it.
            let other = self.permissions.as_ref().is_some_and(|wished| !wished.is(&Names::default().rights(seen)));
            let permissions = change.filter(|_| other);
            let seen = (other || self.base_permissions.is_some()).then_some(seen);
            Item { entry: entry.clone(), step, terms: Terms { permissions, seen, expires } }
        };
        looked.iter().map(item).collect()
    }

    fn stored(&self, entries: &[Entry]) -> Result<Put, Failure> {
        // Somebody else may have stored a further one by now, or removed it.
        let versions = versions(entries)?.into_iter().map(Option::unwrap_or_default);
        let stored = self.environments.iter().zip(versions);
        let stored = stored.map(|(environment, version)| Stored { environment: environment.clone(), version });
        Ok(Put { stored: stored.collect() })
    }
}

/// An expiry, however it is written.
fn moment(time: Option<&str>) -> Option<Timestamp> {
    time.and_then(Timestamp::parse)
}

/// What makes new keys.
fn creations<'v>(
    entries: &[Entry],
    value: Option<&'v [u8]>,
    permissions: Option<&'v Change>,
    expires: Expires<'v>,
) -> Result<Vec<Item<'v>>, Failure> {
    // Told before anything is staged: it is the most usual mistake.
    for entry in entries {
        if entry.path().symlink_metadata().is_ok_and(|found| found.is_file()) {
            return Err(told(Error::Exists(Box::new(entry.clone()))));
        }
    }
    let terms = Terms { permissions, seen: None, expires };
    let step = Step::Put(value.unwrap_or_default(), Condition::Absent);
    Ok(entries.iter().map(|entry| Item { entry: entry.clone(), step, terms }).collect())
}

/// A failure with what is there instead, where that is what it is about.
pub(super) fn told(error: Error) -> Failure {
    let entry = match &error {
        Error::Exists(entry) | Error::Meanwhile(entry) | Error::Changed { entry, .. } => Some(entry.clone()),
        _ => None,
    };
    let failure = Failure::from(error);
    match entry {
        Some(entry) => now(failure, &entry),
        None => failure,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gone {
    environment: String,
    tree: Which,
    keys: Several<Versioned>,
}

#[derive(Serialize)]
struct Removed {
    removed: Vec<Past>,
}

/// What undoing it takes.
#[derive(Serialize)]
struct Past {
    key: String,
    version: u64,
    permissions: Rights,
    expires: Option<String>,
}

pub(super) async fn remove(State(api): State<Api>, Said(gone): Said<Gone>) -> Result<Response, Failure> {
    api.answer(move |api| gone.remove(api)).await
}

impl Gone {
    fn remove(self, api: &Api) -> Result<Removed, Failure> {
        let keys = self.keys.each_once()?;
        let scope = api.scope(&self.environment)?;
        let look = |one: &Versioned| {
            let entry = scope.entry(self.tree.tree(), &one.key)?;
            let permissions = edit::permissions(&entry)?;
            let expires = Facts::of(&entry)?.expires;
            Ok((entry, permissions, expires))
        };
        let looked = keys.iter().map(look).collect::<Result<Vec<_>, Failure>>()?;
        let mut items = Vec::with_capacity(looked.len());
        for ((entry, seen, _), one) in looked.iter().zip(&keys) {
            let terms = Terms { seen: Some(seen), ..Terms::default() };
            items.push(Item { entry: entry.clone(), step: Step::Remove(one.version), terms });
        }
        amend(&items, "removing several keys").map_err(told)?;
        let names = Names::default();
        let past = |(one, (_, permissions, expires)): (Versioned, &(Entry, Permissions, Option<String>))| Past {
            key: one.key,
            version: one.version,
            permissions: names.rights(permissions),
            expires: expires.clone(),
        };
        Ok(Removed { removed: keys.into_iter().zip(&looked).map(past).collect() })
    }
}
