//! Who may read and write a key: as the mount tells it, as the texts of `-g`, `-u` and `-o` change it, and as lists of ids.
//!
//! Invariants: a change names each group and user by an id that was looked up once; text that is unclear is refused, never
//! guessed. A secret has no users and nothing for others: a user is expressed by the group that is that user's alone, or
//! refused.
//!
//! It deliberately decides nothing: `access` says what permissions mean, the mount who may change them.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Error;
use super::facts::attribute_bytes;
use crate::access::{Acl, Mode, Permissions, Rights};
use crate::id::{Gid, Uid};
use crate::names;

/// The attribute of an access control list.
pub(super) const ACL: &str = "system.posix_acl_access";

/// The letters of the platform's rights that mean something for jobs and nothing for a key: operate, access, promote.
const FOREIGN: &str = "oap";

const NOT_FOR_ALL: &str = "a secret is never open to everybody: name the groups that may read it with -g";

/// How a change treats what is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// What isn't named goes; the owner keeps its own.
    Replace,
    /// Who is named has just what is said, all others stay.
    Set,
    /// Who is named gets what is said beside what there is, all others stay.
    Add,
}

/// What `-g`, `-u` and `-o` say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Change {
    groups: BTreeMap<Gid, Rights>,
    users: BTreeMap<Uid, Rights>,
    others: Option<Rights>,
}

impl Change {
    /// Reads the three texts; of those that aren't there nothing is changed. `is_secret` says what they are for.
    ///
    /// # Errors
    ///
    /// [`Error::Permissions`], with what is wrong.
    pub fn parse(
        groups: Option<&str>,
        users: Option<&str>,
        others: Option<&str>,
        is_secret: bool,
    ) -> Result<Change, Error> {
        let mut change = Change::default();
        for (name, rights) in items(groups.unwrap_or_default(), "group")? {
            let id = group(&name)?;
            let known = change.groups.entry(id).or_default();
            *known = *known | rights;
        }
        for (name, rights) in items(users.unwrap_or_default(), "user")? {
            if is_secret {
                let known = change.groups.entry(private_group(&name)?).or_default();
                *known = *known | rights;
            } else {
                let known = change.users.entry(user(&name)?).or_default();
                *known = *known | rights;
            }
        }
        if let Some(others) = others {
            let rights = rights(others).ok_or_else(|| {
                Error::Permissions(format!("'{}' are not rights: write r, w or rw, or - for none", shown(others)))
            })?;
            if is_secret && !rights.is_empty() {
                return Err(Error::Permissions(NOT_FOR_ALL.to_owned()));
            }
            change.others = Some(rights);
        }
        Ok(change)
    }

    /// These rights for users and groups by name, and for others; for secrets a user stands for the group that is that user's
    /// alone. A user without rights is one who is kept out.
    ///
    /// # Errors
    ///
    /// As for [`parse`](Change::parse).
    pub fn of(
        users: &[(String, String)],
        groups: &[(String, String)],
        others: &str,
        is_secret: bool,
    ) -> Result<Change, Error> {
        let mut change = Change::default();
        let letters = |name: &str, text: &str| {
            let unclear = || Error::Permissions(format!("'{}' are not rights for {}", shown(text), shown(name)));
            if text.is_empty() { Ok(Rights::NONE) } else { rights(text).ok_or_else(unclear) }
        };
        for (name, text) in groups {
            change.groups.insert(group(name)?, letters(name, text)?);
        }
        for (name, text) in users {
            match is_secret {
                true => change.groups.insert(private_group(name)?, letters(name, text)?),
                false => change.users.insert(user(name)?, letters(name, text)?),
            };
        }
        let others = letters("others", others)?;
        if is_secret && !others.is_empty() {
            return Err(Error::Permissions(NOT_FOR_ALL.to_owned()));
        }
        change.others = Some(others);
        Ok(change)
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Change::default()
    }

    /// What the permissions of an entry are after it.
    ///
    /// # Errors
    ///
    /// [`Error::Permissions`]: more entries than a list can have.
    pub fn apply(&self, before: &Permissions, how: How) -> Result<Permissions, Error> {
        let mut now = Parts::of(before);
        if how == How::Replace {
            now = Parts { owner: now.owner, ..Parts::default() };
        }
        let merge = |known: Rights, said: Rights| if how == How::Add { known | said } else { said };
        for (group, said) in &self.groups {
            let known = now.groups.entry(*group).or_default();
            *known = merge(*known, *said);
        }
        for (user, said) in &self.users {
            if *user == before.owner {
                now.owner = merge(now.owner, *said);
            } else {
                let known = now.users.entry(*user).or_default();
                *known = merge(*known, *said);
            }
        }
        now.others = self.others.map_or(now.others, |said| merge(now.others, said));
        now.into_permissions(before)
    }
}

/// Permissions as rights in force, which no mask stands in front of.
#[derive(Default)]
struct Parts {
    owner: Rights,
    users: BTreeMap<Uid, Rights>,
    groups: BTreeMap<Gid, Rights>,
    others: Rights,
}

impl Parts {
    fn of(permissions: &Permissions) -> Parts {
        let acl = permissions.access_acl();
        let in_force = |user: Uid| permissions.named_user(user).unwrap_or_default();
        let mut groups: BTreeMap<_, _> = permissions.named_groups().collect();
        let owning = groups.entry(permissions.group).or_default();
        *owning = *owning | permissions.group_rights();
        Parts {
            owner: acl.user_obj(),
            users: acl.users().iter().map(|(user, _)| (*user, in_force(*user))).collect(),
            groups,
            others: acl.other(),
        }
    }

    fn into_permissions(self, before: &Permissions) -> Result<Permissions, Error> {
        let owning = self.groups.get(&before.group).copied().unwrap_or_default();
        let named: Vec<_> = self.groups.into_iter().filter(|(group, _)| *group != before.group).collect();
        let users: Vec<_> = self.users.into_iter().collect();
        let rights = users.iter().map(|(_, rights)| *rights).chain(named.iter().map(|(_, rights)| *rights));
        let mask = rights.reduce(Rights::union).map(|named| named | owning);
        let acl = Acl::new(self.owner, users, owning, named, mask, self.others);
        let acl = acl.map_err(|error| Error::Permissions(error.to_string()))?;
        let mut after = before.clone();
        after.set_access_acl(acl);
        Ok(after)
    }
}

/// What both of two permissions of one entry grant.
pub(super) fn common(one: &Permissions, other: &Permissions) -> Result<Permissions, Error> {
    let (first, second) = (Parts::of(one), Parts::of(other));
    let both = Parts {
        owner: first.owner & second.owner,
        users: both(&first.users, &second.users),
        groups: both(&first.groups, &second.groups),
        others: first.others & second.others,
    };
    both.into_permissions(one)
}

fn both<K: Copy + Ord>(one: &BTreeMap<K, Rights>, other: &BTreeMap<K, Rights>) -> BTreeMap<K, Rights> {
    let rights = |(id, rights): (&K, &Rights)| Some((*id, *rights & *other.get(id)?));
    one.iter().filter_map(rights).filter(|(_, rights)| !rights.is_empty()).collect()
}

/// The permissions of a file or directory, as whoever may look it up sees them.
///
/// # Errors
///
/// That it can't be looked up.
pub fn read(path: &Path) -> io::Result<Permissions> {
    let file = path.symlink_metadata()?;
    let mut permissions = Permissions::new(Uid(file.uid()), Gid(file.gid()), Mode::from_bits(file.mode()));
    if let Some(bytes) = attribute_bytes(path, ACL)? {
        let acl = Acl::from_xattr(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        permissions.set_access_acl(acl);
    }
    Ok(permissions)
}

/// Who may read and who may write, by ids: users are positive, groups negative. The id 0 has no place in that and is left
/// out; so is what everybody may.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ids {
    /// Who may read.
    pub read: Vec<i64>,
    /// Who may write.
    pub write: Vec<i64>,
}

impl Ids {
    /// Of an entry.
    pub fn of(permissions: &Permissions) -> Ids {
        let parts = Parts::of(permissions);
        let owner = (i64::from(permissions.owner.0), parts.owner);
        let users = parts.users.iter().map(|(user, rights)| (i64::from(user.0), *rights));
        let groups = parts.groups.iter().map(|(group, rights)| (-i64::from(group.0), *rights));
        let all: Vec<_> = std::iter::once(owner).chain(users).chain(groups).filter(|(id, _)| *id != 0).collect();
        let with = |right: Rights| {
            let mut ids: Vec<_> = all.iter().filter(|(_, rights)| rights.contains(right)).map(|(id, _)| *id).collect();
            ids.dedup();
            ids
        };
        Ids { read: with(Rights::READ), write: with(Rights::WRITE) }
    }
}

/// Who may do what, as text: the owner's and others' rights, and one item for each further user and group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Words {
    /// The owner's name.
    pub owner: String,
    /// What it has.
    pub owner_rights: String,
    /// Others, by name, with what each has.
    pub users: Vec<(String, String)>,
    /// Groups, by name, with what each has.
    pub groups: Vec<(String, String)>,
    /// What everybody has.
    pub others: String,
}

impl Words {
    /// Of an entry.
    pub fn of(permissions: &Permissions) -> Words {
        let mut words = Words::with(permissions, &names::user_name, &names::group_name);
        words.groups.retain(|(_, rights)| rights != "-");
        words
    }

    /// Of an entry, with the groups that are named in order to have no rights, and names from whoever keeps them.
    pub fn with(permissions: &Permissions, user: &dyn Fn(Uid) -> String, group: &dyn Fn(Gid) -> String) -> Words {
        let parts = Parts::of(permissions);
        let told = |(id, rights): &(&Gid, &Rights)| !rights.is_empty() || permissions.named_group(**id).is_some();
        Words {
            owner: user(permissions.owner),
            owner_rights: parts.owner.to_string(),
            users: parts.users.iter().map(|(id, rights)| (user(*id), rights.to_string())).collect(),
            groups: parts.groups.iter().filter(told).map(|(id, rights)| (group(*id), rights.to_string())).collect(),
            others: parts.others.to_string(),
        }
    }

    /// On one line, as `-g` and its like take it: `owner alice:rw, groups payments:r,ops:rw`.
    pub fn line(&self) -> String {
        let list = |items: &[(String, String)]| {
            items.iter().map(|(name, rights)| format!("{name}:{rights}")).collect::<Vec<_>>().join(",")
        };
        let mut parts = vec![format!("owner {}:{}", self.owner, self.owner_rights)];
        for (kind, items) in [("users", &self.users), ("groups", &self.groups)] {
            if !items.is_empty() {
                parts.push(format!("{kind} {}", list(items)));
            }
        }
        if self.others != "-" {
            parts.push(format!("others {}", self.others));
        }
        parts.join(" ")
    }
}

/// `name:rights` between commas.
fn items(text: &str, kind: &str) -> Result<Vec<(String, Rights)>, Error> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let item = |item: &str| {
        let form = || {
            let item = shown(item);
            Error::Permissions(format!(
                "'{item}' is not a {kind} and its rights: write {kind}:rights, as in ann:r,bob:rw"
            ))
        };
        let (name, letters) = item.rsplit_once(':').ok_or_else(form)?;
        let (name, letters) = (name.trim(), letters.trim());
        if name.is_empty() {
            return Err(form());
        }
        let unclear = || {
            let (letters, name) = (shown(letters), shown(name));
            Error::Permissions(format!("'{letters}' are not rights for {kind} {name}: write r, w or rw, or - for none"))
        };
        Ok((name.to_owned(), rights(letters).ok_or_else(unclear)?))
    };
    text.split(',').map(item).collect()
}

/// Read and write; the platform's other letters mean nothing here and are passed over.
fn rights(text: &str) -> Option<Rights> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    text.chars().try_fold(Rights::NONE, |sum, letter| match letter {
        'r' => Some(sum | Rights::READ),
        'w' => Some(sum | Rights::WRITE),
        '-' => Some(sum),
        letter if FOREIGN.contains(letter) => Some(sum),
        _ => None,
    })
}

fn shown(text: &str) -> String {
    text.trim().chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn number(name: &str) -> Option<u32> {
    name.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.parse().ok().filter(|id| *id != u32::MAX))?
}

fn group(name: &str) -> Result<Gid, Error> {
    let unknown = || {
        let name = shown(name);
        Error::Permissions(format!("there is no group '{name}': `dt group ls` shows those of this machine"))
    };
    number(name).map(Gid).or_else(|| names::group_id(name)).ok_or_else(unknown)
}

fn user(name: &str) -> Result<Uid, Error> {
    let unknown = || {
        let name = shown(name);
        Error::Permissions(format!("there is no user '{name}': `dt user ls` shows those of this machine"))
    };
    number(name).map(Uid).or_else(|| names::user_id(name)).ok_or_else(unknown)
}

/// The group that is this user's alone, which is what a secret can be granted to.
fn private_group(name: &str) -> Result<Gid, Error> {
    let user = user(name)?;
    names::private_group(user).ok_or_else(|| {
        let name = shown(name);
        Error::Permissions(format!(
            "a secret is opened for groups, never for a user, and {name} has no group of its own: use -g"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mode: u32) -> Permissions {
        Permissions::new(Uid(10), Gid(20), Mode::from_bits(mode))
    }

    fn change(groups: &str, users: &str, others: Option<&str>) -> Change {
        Change::parse(Some(groups), Some(users), others, false).unwrap()
    }

    fn line(permissions: &Permissions) -> String {
        let ids = Ids::of(permissions);
        format!("{} {:?} {:?}", permissions.mode, ids.read, ids.write)
    }

    #[test]
    fn texts_become_permissions() {
        let after = |before: &Permissions, groups, users, others, how| {
            change(groups, users, others).apply(before, how).unwrap()
        };
        let new = after(&entry(0o600), "30:r,31:rw", "11:r", Some("r"), How::Replace);
        assert_eq!(line(&new), "0664 [10, 11, -31, -30] [10, -31]".replace("-31, -30", "-30, -31"));
        let fewer = after(&new, "31:r", "", None, How::Set);
        assert_eq!(line(&fewer), "0644 [10, 11, -30, -31] [10]");
        let more = after(&fewer, "30:w", "12:w", None, How::Add);
        assert_eq!(line(&more), "0664 [10, 11, -30, -31] [10, 12, -30]");
        // Replaced: nobody is left but the owner and who is named.
        assert_eq!(line(&after(&more, "20:r", "", None, How::Replace)), "0640 [10, -20] [10]");
        assert_eq!(line(&after(&more, "", "10:r", None, How::Replace)), "0400 [10] []");
        assert_eq!(line(&after(&entry(0o640), "", "", Some("-"), How::Replace)), "0600 [10] [10]");
    }

    #[test]
    fn the_clients_way_of_writing_is_understood() {
        let one = change("30:r,30:w", "11:r,11:w,11:o,11:a,11:p", None);
        assert_eq!(one, change("30:rw", "11:rw", None));
        assert!(change("", "", None).is_empty());
    }

    #[test]
    fn what_is_unclear_is_refused() {
        let says =
            |groups, users, others, secret| Change::parse(groups, users, others, secret).unwrap_err().to_string();
        assert!(says(Some("analysts"), None, None, false).starts_with("'analysts' is not a group and its rights"));
        assert!(says(Some("30:"), None, None, false).starts_with("'' are not rights for group 30"));
        assert!(says(Some("30:rx"), None, None, false).starts_with("'rx' are not rights for group 30"));
        assert!(says(Some("no such group:r"), None, None, false).starts_with("there is no group 'no such group'"));
        assert!(says(None, Some("no such user:r"), None, false).starts_with("there is no user"));
        assert!(says(None, Some("4294967294:r"), None, true).contains("has no group of its own"));
        assert!(says(None, None, Some("r"), true).starts_with("a secret is never open"));
        assert!(says(None, None, Some("x"), false).starts_with("'x' are not rights"));
        assert!(Change::parse(None, None, Some("-"), true).is_ok());
    }

    #[test]
    fn what_two_have_in_common_is_in_both() {
        let one = change("30:rw,31:r", "11:rw", Some("r")).apply(&entry(0o600), How::Replace).unwrap();
        let other = change("30:r,32:rw", "11:w", None).apply(&entry(0o600), How::Replace).unwrap();
        assert_eq!(line(&common(&one, &other).unwrap()), "0660 [10, -30] [10, 11]");
    }

    #[test]
    fn the_mask_counts() {
        let mut masked = change("30:rw", "", None).apply(&entry(0o600), How::Replace).unwrap();
        masked.chmod(Mode::from_bits(0o640));
        assert_eq!(line(&masked), "0640 [10, -30] [10]");
    }
}
