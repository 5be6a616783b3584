//! `dt kv why`.

use keyfs::access::Caller;
use keyfs::access::gate::explain;
use keyfs::client::accounts::User;
use keyfs::client::{Entry, Error, edit, facts};
use keyfs::id::{Gid, Uid};
use keyfs::names;

use crate::context::Key;
use crate::exit::Failure;
use crate::output;

/// Says which rule lets you, or somebody else, read and write a key, or keeps out; and which groups may.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    key: Key,
    /// For this user, with the groups of the account; the directories above the key are not looked at
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let entry = arguments.key.entry()?;
    let fact = |name| {
        let found = facts::attribute(&entry.path(), name);
        found.map(Option::unwrap_or_default).map_err(|error| Error::of(&entry, "look up", &error))
    };
    let why = match &arguments.user {
        Some(user) => why_for(&entry, user)?,
        None => fact("system.keyfs.why")?,
    };
    output::lines(why.lines().map(with_names))?;
    let groups = fact("system.keyfs.groups")?;
    output::lines([format!("groups: {}", if groups.is_empty() { "none" } else { &groups })])
}

/// What the rules say of somebody else. The mount doesn't ask this: it decides when that user comes.
fn why_for(entry: &Entry, name: &str) -> Result<String, Failure> {
    let missing = || Failure::new(3, format!("there is no user '{}'", output::plain(name)));
    let user = User::find(name).ok_or_else(missing)?;
    let groups: Vec<_> = user.groups.iter().filter_map(|name| names::group_id(name)).collect();
    let permissions = edit::permissions(entry)?;
    let (primary, others) = groups.split_first().ok_or_else(missing)?;
    let caller = Caller { uid: user.id, gid: *primary, supplementary: Some(others) };
    Ok(explain(&permissions, &caller, entry.is_secret()).to_string())
}

/// A line with names instead of ids.
fn with_names(line: &str) -> String {
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
}
