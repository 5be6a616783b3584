//! Who a user is to the system: ids and groups.

use std::ffi::CString;
use std::fmt;
use std::io;
use std::str::FromStr;

use nix::unistd::{User, getgrouplist};

use crate::id::{Gid, Uid};

/// A user's ids, and all of the user's groups.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// The user.
    pub uid: Uid,
    /// The primary group.
    pub gid: Gid,
    /// The others, in order, each once.
    pub groups: Vec<Gid>,
}

impl Account {
    /// Looks a user up by name; `None` where there is none.
    ///
    /// # Errors
    ///
    /// That the system can't tell.
    pub fn look_up(name: &str) -> io::Result<Option<Account>> {
        let Ok(text) = CString::new(name) else { return Ok(None) };
        let Some(user) = User::from_name(name)? else { return Ok(None) };
        let mut groups: Vec<_> = getgrouplist(&text, user.gid)?.iter().map(|group| Gid(group.as_raw())).collect();
        groups.sort_unstable();
        groups.dedup();
        Ok(Some(Account { uid: Uid(user.uid.as_raw()), gid: Gid(user.gid.as_raw()), groups }))
    }
}

/// As an argument: `1000:1000:4,27,1000`.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<_> = self.groups.iter().map(ToString::to_string).collect();
        write!(f, "{}:{}:{}", self.uid, self.gid, groups.join(","))
    }
}

impl FromStr for Account {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Account, &'static str> {
        let wrong = "write UID:GID:GID,GID";
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong);
        let mut parts = text.split(':');
        let (Some(uid), Some(gid), Some(groups), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong);
        };
        let groups = groups.split(',').filter(|group| !group.is_empty()).map(|group| number(group).map(Gid));
        Ok(Account { uid: Uid(number(uid)?), gid: Gid(number(gid)?), groups: groups.collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_an_argument() {
        for text in ["1000:1000:4,27", "0:0:0", "5:6:"] {
            assert_eq!(text.parse::<Account>().unwrap().to_string(), text);
        }
        for wrong in ["", "1", "1:2", "1:2:3:4", "a:1:1", "1:1:x", "-1:1:1", "4294967296:1:1"] {
            assert!(wrong.parse::<Account>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn root_is_somebody_and_nobody_knows_a_stranger() {
        assert_eq!(Account::look_up("root").unwrap().unwrap().uid, Uid(0));
        assert_eq!(Account::look_up("keyfs-no-such-user").unwrap(), None);
        assert_eq!(Account::look_up("a\0b").unwrap(), None);
    }
}
