//! Which rule lets somebody read and write a key, or keeps that one out, in plain English with names.
//!
//! It decides nothing: `access` says what permissions mean, and the mount decides when somebody comes.

use serde::Serialize;

use super::accounts::User;
use super::facts::attribute;
use super::permissions::{Change, How, read};
use super::{Entry, Error, edit};
use crate::access::check::{Refusal, decide};
use crate::access::gate::{Explanation, explain};
use crate::access::{Caller, Kind, Mode, Permissions, Rights};
use crate::id::{Gid, Uid};
use crate::names;

/// Nobody's id: it means none in every call of the system that takes one.
const NOBODY: Uid = Uid(u32::MAX);

/// A yes or no, and by which rule.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Answer {
    /// Whether it is let in.
    pub allowed: bool,
    /// What lets it in, or what it lacks.
    pub rule: String,
}

/// About a key's value.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Answers {
    /// Reading it.
    pub read: Answer,
    /// Writing it.
    pub write: Answer,
}

/// A directory that keeps somebody out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Above {
    /// The directory, below the mount.
    pub path: String,
    /// What is lacking there.
    pub why: String,
}

/// Who is asked about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A user, with the groups of the account.
    User {
        /// The id.
        id: Uid,
        /// The primary group.
        primary: Gid,
        /// The others.
        others: Vec<Gid>,
    },
    /// Whoever is in this group, and in no other, and isn't the owner.
    Group(Gid),
}

impl Subject {
    /// The user of this name; `None` where there is none.
    pub fn user(name: &str) -> Option<Subject> {
        let user = User::find(name)?;
        let groups: Vec<_> = user.groups.iter().filter_map(|name| names::group_id(name)).collect();
        let (primary, others) = groups.split_first()?;
        Some(Subject::User { id: user.id, primary: *primary, others: others.to_vec() })
    }

    /// The group of this name; `None` where there is none.
    pub fn group(name: &str) -> Option<Subject> {
        names::group_id(name).or_else(|| name.parse().ok().map(Gid)).map(Subject::Group)
    }

    fn caller(&self) -> Caller<'_> {
        match self {
            Subject::User { id, primary, others } => Caller { uid: *id, gid: *primary, supplementary: Some(others) },
            Subject::Group(group) => Caller { uid: NOBODY, gid: *group, supplementary: Some(&[]) },
        }
    }
}

/// What the mount says of the caller.
///
/// # Errors
///
/// That the key isn't there, or can't be looked up.
pub fn own(entry: &Entry) -> Result<Answers, Error> {
    let text = attribute(&entry.path(), "system.keyfs.why").map_err(|error| Error::of(entry, "look up", &error))?;
    let text = text.unwrap_or_default();
    let line = |right: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(right)?.strip_prefix(": ")).unwrap_or_default();
        match line.split_once(", ") {
            Some((answer, rule)) => Answer { allowed: answer == "yes", rule: with_names(rule) },
            None => Answer { allowed: line == "yes", rule: String::new() },
        }
    };
    Ok(Answers { read: line("read"), write: line("write") })
}

/// What the rules say of somebody about a key that is there. The mount doesn't ask this: it decides when that one comes.
///
/// # Errors
///
/// That the key isn't there, or can't be looked up.
pub fn explained(entry: &Entry, subject: &Subject) -> Result<Explanation, Error> {
    Ok(explain(&edit::permissions(entry)?, &subject.caller(), entry.is_secret()))
}

/// The same, also for a key that is yet to be made, and with other permissions than it has: where `change` is given, exactly
/// these.
///
/// # Errors
///
/// That it can't be looked up, or that the permissions are none that a key can have.
pub fn answers(entry: &Entry, subject: &Subject, change: Option<&Change>) -> Result<Answers, Error> {
    let before = match edit::permissions(entry) {
        Err(Error::NotFound { .. } | Error::BelowKey { .. }) => of_new(entry),
        before => before?,
    };
    let after = match change {
        Some(change) => change.apply(&before, How::Replace)?,
        None => before,
    };
    let Explanation { read, write } = explain(&after, &subject.caller(), entry.is_secret());
    let answer = |answer: Result<String, String>| Answer {
        allowed: answer.is_ok(),
        rule: with_names(&answer.unwrap_or_else(|reason| reason)),
    };
    Ok(Answers { read: answer(read), write: answer(write) })
}

/// What a key has that the caller makes, before anybody is named.
fn of_new(entry: &Entry) -> Permissions {
    let (user, own) = (Uid(nix::unistd::geteuid().as_raw()), Gid(nix::unistd::getegid().as_raw()));
    let directories = entry.directories();
    let above = directories.iter().rev().find_map(|directory| read(directory).ok());
    let group = above.filter(|above| above.mode.contains(Mode::SETGID)).map_or(own, |above| above.group);
    Permissions::new(user, group, Mode::from_bits(0o600))
}

/// The directories on the way to a key that keep somebody out, and those that the caller can't say it of.
pub fn above(entry: &Entry, subject: &Subject) -> Vec<Above> {
    let mut found = Vec::new();
    let tree = entry.scope().tree(entry.tree());
    let directories = tree.parent().map(std::path::Path::to_owned).into_iter().chain(entry.directories());
    for directory in directories {
        let path = directory.strip_prefix(entry.scope().mount()).unwrap_or(&directory).to_string_lossy().into_owned();
        let why = match read(&directory) {
            Ok(permissions) => lacks(&permissions, &subject.caller()),
            // One that is yet to be made will be as the one above it.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => break,
            Err(_) => Some("it is closed to you, so nothing can be said of it".to_owned()),
        };
        found.extend(why.map(|why| Above { path, why }));
    }
    found
}

/// What somebody lacks to pass a directory.
fn lacks(permissions: &Permissions, caller: &Caller<'_>) -> Option<String> {
    let refusal = decide(permissions, caller, Rights::EXECUTE, Kind::Directory).err()?;
    let own = permissions.group_rights().contains(Rights::EXECUTE).then_some(permissions.group);
    let named = permissions.named_groups().filter(|(_, rights)| rights.contains(Rights::EXECUTE));
    let groups: Vec<_> = own.into_iter().chain(named.map(|(group, _)| group)).map(names::group_name).collect();
    Some(match (refusal, groups.is_empty()) {
        (Refusal::Owner, _) => "its owner may not search it".to_owned(),
        (_, true) => format!("only its owner, {}, may search it", names::user_name(permissions.owner)),
        (_, false) => format!("needs search for one of: {}", groups.join(", ")),
    })
}

/// A line with names instead of ids.
pub fn with_names(line: &str) -> String {
    let mut kind = "";
    let word = |word: &str| {
        let digits = word.trim_matches(|c: char| !c.is_ascii_digit());
        match (kind, digits.parse()) {
            ("user", Ok(id)) => word.replace(digits, &names::user_name(Uid(id))),
            ("group", Ok(id)) => word.replace(digits, &names::group_name(Gid(id))),
            _ => {
                kind = match word {
                    "user" => "user",
                    "group" | "groups" => "group",
                    _ => "",
                };
                word.to_owned()
            }
        }
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_names() {
        assert_eq!(
            with_names("read: yes, user 0 with group 0 (owner)"),
            "read: yes, user root with group root (owner)"
        );
        let many = "read: no, needs one of groups 0, 4294967294 and 3 more";
        assert_eq!(with_names(many), "read: no, needs one of groups root, 4294967294 and 3 more");
    }

    #[test]
    fn a_directory_says_what_somebody_lacks() {
        let directory = |mode| Permissions::new(Uid(0), Gid(0), Mode::from_bits(mode));
        let ann = Subject::User { id: Uid(4_294_967_290), primary: Gid(4_294_967_290), others: Vec::new() };
        let lacks = |mode, subject: &Subject| lacks(&directory(mode), &subject.caller());
        assert_eq!(lacks(0o755, &ann), None);
        assert_eq!(lacks(0o750, &ann).as_deref(), Some("needs search for one of: root"));
        assert_eq!(lacks(0o700, &ann).as_deref(), Some("only its owner, root, may search it"));
        assert_eq!(lacks(0o750, &Subject::Group(Gid(0))), None);
        assert!(lacks(0o700, &Subject::Group(Gid(0))).is_some());
    }
}
