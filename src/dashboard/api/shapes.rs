//! What a key and its permissions look like in an answer.
//!
//! Invariant: of a secret there is no value here, and nothing that is computed from one.

use std::cell::RefCell;
use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::access::Permissions;
use crate::client::Error;
use crate::client::details::{Detail, Shown};
use crate::client::permissions::{Change, Words};
use crate::client::value::{Head, without_newline};
use crate::id::{Gid, Uid};
use crate::key::Tree;
use crate::names;

/// So many characters of a value a list has.
const SHOWN: usize = 200;

/// A key at a version: as it is told, and as what a change was decided on.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Versioned {
    pub(super) key: String,
    pub(super) version: u64,
}

/// Which of the two trees.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Which {
    Variables,
    Secrets,
}

impl Which {
    pub(super) fn tree(self) -> Tree {
        match self {
            Which::Variables => Tree::Variables,
            Which::Secrets => Tree::Secrets,
        }
    }

    pub(super) fn is_secret(self) -> bool {
        self == Which::Secrets
    }
}

/// Somebody, and what that one has: nothing, `r`, `w` or `rw`.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) rights: String,
}

/// Who may do what.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rights {
    pub(super) owner: Named,
    pub(super) users: Vec<Named>,
    pub(super) groups: Vec<Named>,
    pub(super) others: String,
}

/// Who is to be able to do what; the owner stays as it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wished {
    #[serde(default)]
    users: Vec<Named>,
    #[serde(default)]
    groups: Vec<Named>,
    #[serde(default)]
    others: String,
    /// What an answer has is taken for a wish too.
    #[serde(default, rename = "owner")]
    _owner: Option<Named>,
}

impl Wished {
    /// Whether that is what there is.
    pub(super) fn is(&self, rights: &Rights) -> bool {
        let wished = Rights {
            owner: rights.owner.clone(),
            users: self.users.clone(),
            groups: self.groups.clone(),
            others: self.others.clone(),
        };
        wished.same(rights)
    }

    pub(super) fn change(&self, is_secret: bool) -> Result<Change, Error> {
        let pairs = |list: &[Named]| list.iter().map(|one| (one.name.clone(), one.rights.clone())).collect::<Vec<_>>();
        Change::of(&pairs(&self.users), &pairs(&self.groups), &self.others, is_secret)
    }
}

/// Names that were looked up for one answer, each once.
#[derive(Default)]
pub(super) struct Names {
    users: RefCell<HashMap<Uid, String>>,
    groups: RefCell<HashMap<Gid, String>>,
}

impl Names {
    pub(super) fn user(&self, id: Uid) -> String {
        self.users.borrow_mut().entry(id).or_insert_with(|| names::user_name(id)).clone()
    }

    pub(super) fn group(&self, id: Gid) -> String {
        self.groups.borrow_mut().entry(id).or_insert_with(|| names::group_name(id)).clone()
    }

    pub(super) fn rights(&self, permissions: &Permissions) -> Rights {
        let words = Words::with(permissions, &|id| self.user(id), &|id| self.group(id));
        Rights::of(words)
    }
}

impl Rights {
    pub(super) fn of(words: Words) -> Rights {
        let named = |(name, rights): (String, String)| Named { name, rights: letters(&rights) };
        let list = |all: Vec<(String, String)>| {
            let mut list: Vec<_> = all.into_iter().map(named).collect();
            list.sort_unstable();
            list
        };
        Rights {
            owner: named((words.owner, words.owner_rights)),
            users: list(words.users),
            groups: list(words.groups),
            others: letters(&words.others),
        }
    }

    /// Whether two are the same to whoever looks at them.
    pub(super) fn same(&self, other: &Rights) -> bool {
        let sorted = |list: &[Named]| {
            let mut list = list.to_vec();
            list.sort_unstable();
            list
        };
        let lists = |rights: &Rights| (sorted(&rights.users), sorted(&rights.groups));
        self.owner == other.owner && self.others == other.others && lists(self) == lists(other)
    }
}

/// What means something for a key: it isn't searched or run.
fn letters(rights: &str) -> String {
    rights.chars().filter(|letter| "rw".contains(*letter)).collect()
}

/// A value, or why there is none.
#[derive(Debug, Default, Serialize)]
pub(super) struct Content {
    pub(super) value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) base64: Option<String>,
    /// Whether there is more of it.
    pub(super) cut: bool,
    /// Whether a newline stands behind it.
    pub(super) newline: bool,
    pub(super) kind: &'static str,
}

impl Content {
    /// A whole value.
    pub(super) fn whole(bytes: &[u8]) -> Content {
        match std::str::from_utf8(bytes) {
            Ok(text) if is_text(text) => Content::text(text),
            _ => Content { base64: Some(STANDARD.encode(bytes)), kind: "binary", ..Content::default() },
        }
    }

    fn text(text: &str) -> Content {
        let shown = std::str::from_utf8(without_newline(text.as_bytes())).unwrap_or_default();
        Content { value: Some(shown.to_owned()), newline: shown.len() < text.len(), kind: "text", ..Content::default() }
    }

    /// How a value begins.
    pub(super) fn head(bytes: &[u8], more: bool) -> Content {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            // A character that goes on where the look ended.
            Err(error) if more && error.error_len().is_none() => {
                std::str::from_utf8(bytes.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
            }
            Err(_) => return Content { cut: more, kind: "binary", ..Content::default() },
        };
        if !is_text(text) {
            return Content { cut: more, kind: "binary", ..Content::default() };
        }
        let whole = Content { cut: more, newline: !more && text.ends_with('\n'), ..Content::text(text) };
        match text.char_indices().nth(SHOWN) {
            // A newline alone behind them is no more.
            Some((end, _)) if more || text.get(end..) != Some("\n") => {
                Content { value: text.get(..end).map(str::to_owned), cut: true, newline: false, ..whole }
            }
            _ => whole,
        }
    }

    /// Without a value, for a reason.
    pub(super) fn none(kind: &'static str) -> Content {
        Content { kind, ..Content::default() }
    }

    fn of(shown: &Shown, whole: bool) -> Content {
        match shown {
            Shown::Bytes(bytes, _) if whole => Content::whole(bytes),
            Shown::Bytes(bytes, more) => Content::head(bytes, *more),
            Shown::Denied => Content::none("denied"),
            Shown::Expired => Content::none("expired"),
            Shown::Secret => Content::none("secret"),
        }
    }
}

/// How a variable's value begins, where it is text.
pub(super) fn beginning(Head { bytes, more }: &Head) -> Option<String> {
    let Content { value, cut, .. } = Content::head(bytes, *more);
    value.map(|value| if cut { value + "…" } else { value })
}

/// Whether a field for text can hold it.
fn is_text(text: &str) -> bool {
    !text.contains('\0')
}

/// A key in a list.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    key: String,
    size: u64,
    /// 0 for one that was made and has no value yet.
    version: u64,
    modified: String,
    modified_by: Option<String>,
    expires: Option<String>,
    permissions: Rights,
    #[serde(flatten)]
    content: Content,
    command: String,
}

impl Item {
    pub(super) fn of(detail: Detail, whole: bool, names: &Names) -> Item {
        let Detail { entry, facts, permissions, shown } = detail;
        Item {
            key: entry.key(),
            size: facts.size,
            version: facts.version.unwrap_or_default(),
            modified: facts.modified,
            modified_by: facts.modified_by,
            expires: facts.expires,
            permissions: names.rights(&permissions),
            content: Content::of(&shown, whole),
            command: entry.command(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_says_whether_there_is_more() {
        let of = |text: &str, more| {
            let Content { value, cut, newline, kind, .. } = Content::head(text.as_bytes(), more);
            (value.map(|value| value.chars().count()), cut, newline, kind)
        };
        assert_eq!(of("", false), (Some(0), false, false, "text"));
        assert_eq!(of("a\n", false), (Some(1), false, true, "text"));
        assert_eq!(of("\n", false), (Some(0), false, true, "text"));
        assert_eq!(of(&"ü".repeat(200), false), (Some(200), false, false, "text"));
        assert_eq!(of(&format!("{}\n", "ü".repeat(200)), false), (Some(200), false, true, "text"));
        assert_eq!(of(&"ü".repeat(201), false), (Some(200), true, false, "text"));
        assert_eq!(of(&"\n".repeat(300), true), (Some(200), true, false, "text"));
        assert_eq!(of("a\0b", false), (None, false, false, "binary"));
        let cut = &"ü".as_bytes()[..1];
        assert_eq!(Content::head(&[&b"a"[..], cut].concat(), true).value.as_deref(), Some("a"));
        assert_eq!(Content::head(cut, false).kind, "binary");
        assert_eq!(Content::whole(b"\xff").base64.as_deref(), Some("/w=="));
        // Also where a character stands across the end of what is kept of a value.
        let value = format!("a{}", "ü".repeat(1000));
        assert_eq!(beginning(&Head::of(value.as_bytes())), Some(format!("a{}…", "ü".repeat(199))));
    }
}
