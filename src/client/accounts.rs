//! The users and groups of the machine, through NSS.
//!
//! It deliberately keeps no list of its own: who exists is the machine's to say. Listing them all is `getent`'s work, which
//! asks every source that NSS has; the C library's own way of listing isn't safe beside threads.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::process::{Command, Stdio};

use nix::unistd::{Gid as NixGid, Group as NixGroup, Uid as NixUid, User as NixUser, getgrouplist};

use super::Error;
use crate::id::{Gid, Uid};
use crate::names;

/// Below this, an id is a service's and no person's (`UID_MIN` of Debian's login.defs); so is that of nobody.
const FIRST_PERSON: u32 = 1000;
const NOBODY: u32 = 65_534;

/// A user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The id.
    pub id: Uid,
    /// What the account says first of the full name.
    pub first_name: String,
    /// And the rest.
    pub last_name: String,
    /// The names of its groups, the primary one first.
    pub groups: Vec<String>,
}

impl User {
    /// Whether it is a service's and no person's.
    pub fn is_system(&self) -> bool {
        self.id.0 < FIRST_PERSON || self.id.0 == NOBODY
    }

    fn new(name: &str, id: u32, primary: u32, full_name: &str) -> User {
        let full_name = full_name.split(',').next().unwrap_or_default().trim();
        let (first_name, last_name) = full_name.split_once(' ').unwrap_or((full_name, ""));
        User {
            name: name.to_owned(),
            id: Uid(id),
            first_name: first_name.to_owned(),
            last_name: last_name.trim().to_owned(),
            groups: groups_of(name, primary),
        }
    }

    /// Of this name, or of this number.
    pub fn find(name: &str) -> Option<User> {
        let found = NixUser::from_name(name).ok().flatten();
        let by_number = || NixUser::from_uid(NixUid::from_raw(name.parse().ok()?)).ok().flatten();
        let user = found.or_else(by_number)?;
        let full_name = user.gecos.to_string_lossy().into_owned();
        Some(User::new(&user.name, user.uid.as_raw(), user.gid.as_raw(), &full_name))
    }

    /// Someone who has an id and no account.
    pub fn nameless(id: u32) -> User {
        User {
            name: id.to_string(),
            id: Uid(id),
            first_name: String::new(),
            last_name: String::new(),
            groups: Vec::new(),
        }
    }

    /// All of them.
    ///
    /// # Errors
    ///
    /// That they can't be listed.
    pub fn all() -> Result<Vec<User>, Error> {
        let user = |fields: &[&str]| match fields {
            [name, _, id, primary, full_name, ..] => {
                Some(User::new(name, id.parse().ok()?, primary.parse().ok()?, full_name))
            }
            _ => None,
        };
        getent("passwd", user)
    }
}

/// A group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    /// The name.
    pub name: String,
    /// The id.
    pub id: Gid,
    /// The ids of who is in it, by whichever way, in increasing order.
    pub members: Vec<Uid>,
}

impl Group {
    /// Of this name, or of this number.
    ///
    /// # Errors
    ///
    /// That users can't be listed, which its members take.
    pub fn find(name: &str) -> Result<Option<Group>, Error> {
        let found = NixGroup::from_name(name).ok().flatten();
        let by_number = || NixGroup::from_gid(NixGid::from_raw(name.parse().ok()?)).ok().flatten();
        let Some(group) = found.or_else(by_number) else { return Ok(None) };
        let primary = primary_members()?;
        Ok(Some(Group::new(&group.name, group.gid.as_raw(), &group.mem, &primary)))
    }

    fn new(name: &str, id: u32, listed: &[String], primary: &BTreeMap<u32, Vec<Uid>>) -> Group {
        let mut members: Vec<_> = listed.iter().filter_map(|name| names::user_id(name)).collect();
        members.extend(primary.get(&id).into_iter().flatten());
        members.sort_unstable();
        members.dedup();
        Group { name: name.to_owned(), id: Gid(id), members }
    }

    /// What has an id and no name.
    pub fn nameless(id: u32) -> Group {
        Group { name: id.to_string(), id: Gid(id), members: Vec::new() }
    }

    /// All of them.
    ///
    /// # Errors
    ///
    /// That they can't be listed.
    pub fn all() -> Result<Vec<Group>, Error> {
        let primary = primary_members()?;
        let group = |fields: &[&str]| match fields {
            [name, _, id, members, ..] => {
                let listed: Vec<_> = members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
                Some(Group::new(name, id.parse().ok()?, &listed, &primary))
            }
            _ => None,
        };
        getent("group", group)
    }
}

/// A user's name and id.
pub type Named = (String, Uid);

/// A group as the machine's list has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The name.
    pub name: String,
    /// The id.
    pub id: Gid,
    /// The names of who is in it, by whichever way.
    pub members: Vec<String>,
}

impl Listed {
    /// Whether it is a service's, by its id.
    pub fn is_system(&self) -> bool {
        self.id.0 < FIRST_PERSON || self.id.0 == NOBODY
    }
}

/// All users and groups, by two looks: nobody is looked up one by one.
///
/// # Errors
///
/// That they can't be listed.
pub fn outline() -> Result<(Vec<Named>, Vec<Listed>), Error> {
    let user = |fields: &[&str]| match fields {
        [name, _, id, primary, ..] => Some(((*name).to_owned(), Uid(id.parse().ok()?), primary.parse().ok()?)),
        _ => None,
    };
    let (mut users, mut primary): (Vec<Named>, BTreeMap<u32, Vec<String>>) = (Vec::new(), BTreeMap::new());
    for (name, id, group) in getent("passwd", user)? {
        primary.entry(group).or_default().push(name.clone());
        users.push((name, id));
    }
    let group = |fields: &[&str]| match fields {
        [name, _, id, listed, ..] => {
            let id = id.parse().ok()?;
            let listed = listed.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
            let mut members: Vec<_> = primary.get(&id).into_iter().flatten().cloned().chain(listed).collect();
            members.sort_unstable();
            members.dedup();
            Some(Listed { name: (*name).to_owned(), id: Gid(id), members })
        }
        _ => None,
    };
    let groups = getent("group", group)?;
    Ok((users, groups))
}

/// Who has a group as the primary one, by the group's id.
fn primary_members() -> Result<BTreeMap<u32, Vec<Uid>>, Error> {
    let pair = |fields: &[&str]| match fields {
        [_, _, id, primary, ..] => Some((primary.parse().ok()?, Uid(id.parse().ok()?))),
        _ => None,
    };
    let mut members: BTreeMap<u32, Vec<Uid>> = BTreeMap::new();
    for (group, user) in getent("passwd", pair)? {
        members.entry(group).or_default().push(user);
    }
    Ok(members)
}

fn groups_of(name: &str, primary: u32) -> Vec<String> {
    let Ok(name) = CString::new(name) else { return Vec::new() };
    let groups = getgrouplist(&name, NixGid::from_raw(primary)).unwrap_or_default();
    groups.into_iter().map(|group| names::group_name(Gid(group.as_raw()))).collect()
}

/// The lines of a database, each taken apart at its colons.
fn getent<T>(database: &str, line: impl Fn(&[&str]) -> Option<T>) -> Result<Vec<T>, Error> {
    let failed = |reason: String| Error::System { doing: "list", what: format!("the {database} database"), reason };
    let output = Command::new("getent").arg(database).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.map_err(|error: io::Error| failed(format!("`getent`: {}", super::error::reason(&error))))?;
    if !output.status.success() {
        return Err(failed(format!("`getent {database}` failed")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|text| line(&text.split(':').collect::<Vec<_>>())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_somebody() {
        let root = User::find("root").unwrap();
        assert_eq!((root.id, root.is_system()), (Uid(0), true));
        assert_eq!(User::find("0"), Some(root.clone()));
        assert!(root.groups.contains(&"root".to_owned()));
        assert!(User::all().unwrap().contains(&root));
        let group = Group::find("root").unwrap().unwrap();
        assert!(group.members.contains(&Uid(0)));
        assert!(Group::all().unwrap().contains(&group));
        let (users, groups) = outline().unwrap();
        assert!(users.contains(&("root".to_owned(), Uid(0))));
        assert!(
            groups.iter().any(|group| group.id == Gid(0) && group.is_system() && group.members.contains(&root.name))
        );
        assert_eq!(User::find("no such user"), None);
        assert_eq!(Group::find("no such group").unwrap(), None);
    }

    #[test]
    fn a_full_name_has_two_parts() {
        let user = User::new("ann", 1001, 1001, "Ann Marie Lee,,,");
        assert_eq!((user.first_name.as_str(), user.last_name.as_str()), ("Ann", "Marie Lee"));
        assert!(!user.is_system());
    }
}
