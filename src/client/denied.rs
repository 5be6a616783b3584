//! What would have let somebody in, in words.
//!
//! The mount says what is in force to whoever may look a name up; this reads it, and decides nothing.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Entry;
use super::error::Quoted;
use super::facts::attribute;
use crate::id::{Gid, Uid};
use crate::names;

/// The attribute that names the groups and the rights of each.
const GROUPS: &str = "system.keyfs.groups";

/// What it takes to do that with a key: the groups that are granted it, or else who may.
pub fn needs(entry: &Entry, doing: &str) -> String {
    let (letter, right) = match doing {
        "read" => ('r', "read"),
        _ => ('w', "write"),
    };
    match attribute(&entry.path(), GROUPS) {
        Ok(Some(groups)) if doing == "change the permissions of" => editors(&entry.path(), &groups),
        Ok(Some(groups)) if doing != "remove" => granted(&groups, letter)
            .map_or_else(|| nobody(&entry.path(), entry.is_secret(), right), |names| one_of(right, &names)),
        _ => above(entry, doing),
    }
}

fn one_of(right: &str, names: &str) -> String {
    format!("needs {right} for one of: {names}")
}

/// Who may change permissions, or remove what is in nobody's directory: the owner, and those who may read and write.
fn editors(path: &Path, groups: &str) -> String {
    let both = pairs(groups).filter(|(_, rights)| rights.contains('r') && rights.contains('w'));
    let names: Vec<_> = both.map(|(name, _)| name).collect();
    let owner = owner(path);
    match names.is_empty() {
        true => format!("only its owner, {owner}, may"),
        false => format!("needs to be its owner, {owner}, or read and write for one of: {}", names.join(", ")),
    }
}

/// The groups with this right; `None` if there are none.
fn granted(groups: &str, letter: char) -> Option<String> {
    let names: Vec<_> = pairs(groups).filter(|(_, rights)| rights.contains(letter)).map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn pairs(groups: &str) -> impl Iterator<Item = (&str, &str)> {
    groups.split(',').filter_map(|item| item.split_once(':'))
}

fn owner(path: &Path) -> String {
    path.symlink_metadata().map_or_else(|_| "unknown".to_owned(), |file| names::user_name(Uid(file.uid())))
}

/// No group is granted the right.
fn nobody(path: &Path, is_secret: bool, right: &str) -> String {
    let Ok(file) = path.symlink_metadata() else { return format!("no group is granted {right}") };
    let owner = names::user_name(Uid(file.uid()));
    let group = names::group_name(Gid(file.gid()));
    match is_secret && right == "read" {
        true => format!("no group is granted {right}, only its owner {owner} as a member of group {group}"),
        false => format!("no group is granted {right}, only its owner {owner}"),
    }
}

/// It is a directory that keeps the caller out: the last one that can be looked at.
fn above(entry: &Entry, doing: &str) -> String {
    if doing == "remove"
        && let Ok(Some(groups)) = attribute(&entry.path(), GROUPS)
    {
        return editors(&entry.path(), &groups);
    }
    let directories = entry.directories();
    let last = directories.iter().rev().find_map(|path| Some((path, attribute(path, GROUPS).ok()??)));
    let Some((path, groups)) = last else {
        let tree = entry.scope().tree(entry.tree());
        return format!("the directory {} is closed to you", tree.parent().unwrap_or(&tree).display());
    };
    // A name can be made where it isn't there yet; what is there and can't be looked at is behind a directory without search.
    let next = directories.iter().find(|below| below.parent() == Some(path.as_path())).cloned();
    let next = next.unwrap_or_else(|| entry.path());
    let absent = next.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    let is_parent = directories.last() == Some(path);
    let (letter, right) =
        if absent || is_parent && doing != "look up" && doing != "read" { ('w', "write") } else { ('x', "search") };
    let shown = path.strip_prefix(entry.scope().mount()).unwrap_or(path).to_string_lossy();
    let shown = Quoted(&shown);
    match granted(&groups, letter) {
        Some(names) => format!("needs {right} in the directory {shown} for one of: {names}"),
        None => format!("needs {right} in the directory {shown}, which only its owner {} has", owner(path)),
    }
}
