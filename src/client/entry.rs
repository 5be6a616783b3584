//! A place in a mount: an environment as it is reached ([`Scope`]), and one key in it ([`Entry`]).
//!
//! Invariant: the path of an entry is below its tree, since its key was parsed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use super::error::Quoted;
use crate::key::{KeyPath, NameError, Tree};

/// An environment of a mount.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scope(Arc<Inner>);

#[derive(Debug, Eq, PartialEq)]
struct Inner {
    mount: PathBuf,
    /// Where its two trees are.
    base: PathBuf,
    name: Option<String>,
    control: Control,
}

/// How what is under `.keyfs` is reached for an environment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Control {
    /// By the environment's name.
    Named,
    /// At the mount of this one environment.
    Single,
    /// Not at all: this is a part of a mount.
    OutOfReach,
}

impl Scope {
    /// An environment whose trees are in `base`.
    pub(super) fn new(mount: PathBuf, base: PathBuf, name: Option<String>, control: Control) -> Scope {
        Scope(Arc::new(Inner { mount, base, name, control }))
    }

    /// The mount that it is in.
    pub fn mount(&self) -> &Path {
        &self.0.mount
    }

    /// The environment's name; `None` where the mount shows one alone and doesn't say which.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// How to add `-e` to a command that is to work here, with a blank in front; nothing where that isn't needed.
    pub fn option(&self) -> String {
        match (&self.0.name, &self.0.control) {
            (Some(name), Control::Named) => format!(" -e {name}"),
            _ => String::new(),
        }
    }

    /// One of its trees.
    pub fn tree(&self, tree: Tree) -> PathBuf {
        self.0.base.join(tree.as_str())
    }

    /// A place under `.keyfs`, with the environment's part behind it where there is one.
    ///
    /// # Errors
    ///
    /// [`Error::NoControl`].
    pub fn control(&self, what: &'static str, name: &str) -> Result<PathBuf, Error> {
        let place = self.0.mount.join(".keyfs").join(name);
        match (&self.0.control, &self.0.name) {
            (Control::Named, Some(environment)) => Ok(place.join(environment)),
            (Control::Single, _) => Ok(place),
            _ => Err(Error::NoControl { mount: self.0.mount.clone(), what }),
        }
    }

    /// Where transactions are begun, and where in each this environment's trees are.
    ///
    /// # Errors
    ///
    /// [`Error::NoControl`].
    pub(super) fn transactions(&self, what: &'static str) -> Result<(PathBuf, &str), Error> {
        let place = self.0.mount.join(".keyfs/transactions");
        match (&self.0.control, &self.0.name) {
            (Control::Named, Some(environment)) => Ok((place, environment)),
            (Control::Single, _) => Ok((place, "")),
            _ => Err(Error::NoControl { mount: self.0.mount.clone(), what }),
        }
    }

    /// A key of this environment.
    ///
    /// # Errors
    ///
    /// [`Error::Key`].
    pub fn entry(&self, tree: Tree, key: &str) -> Result<Entry, Error> {
        let wrong = |reason: NameError| Error::Key { key: key.to_owned(), reason };
        let key = KeyPath::parse(key).map_err(wrong)?;
        Ok(Entry { scope: self.clone(), tree, key })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.name {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0.base.display()),
        }
    }
}

/// A key of an environment, whether it is there or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    scope: Scope,
    tree: Tree,
    key: KeyPath,
}

impl Entry {
    /// Its environment.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Its tree.
    pub fn tree(&self) -> Tree {
        self.tree
    }

    /// Whether it is a secret.
    pub fn is_secret(&self) -> bool {
        self.tree == Tree::Secrets
    }

    /// The key as text.
    pub fn key(&self) -> String {
        self.key.to_string()
    }

    /// Its file.
    pub fn path(&self) -> PathBuf {
        self.scope.tree(self.tree).join(self.key())
    }

    /// Its directories from the tree's root downwards, the root first.
    pub fn directories(&self) -> Vec<PathBuf> {
        let mut directories = vec![self.scope.tree(self.tree)];
        let names = self.key.names().split_last().map(|(_, above)| above).unwrap_or_default();
        for name in names {
            let next = directories.last().map(|above| above.join(name.as_str()));
            directories.extend(next);
        }
        directories
    }

    /// The same key in the other tree.
    pub fn in_other_tree(&self) -> Entry {
        let tree = if self.is_secret() { Tree::Variables } else { Tree::Secrets };
        Entry { tree, ..self.clone() }
    }

    /// Which of the names above is itself a key.
    pub(super) fn key_above(&self) -> String {
        let root = self.scope.tree(self.tree);
        let above = self.directories().into_iter().find(|path| path.is_file());
        let above = above.as_deref().and_then(|path| path.strip_prefix(&root).ok()).map(|path| path.to_string_lossy());
        above.map_or_else(|| "a name above it".to_owned(), |name| Quoted(&name).to_string())
    }

    /// How to name it to a command, as in `-s db/password -e prod`.
    pub fn arguments(&self) -> String {
        let secure = if self.is_secret() { "-s " } else { "" };
        format!("{secure}{}{}", Quoted(&self.key()), self.scope.option())
    }
}

impl Entry {
    /// The command that prints its value, or that of an earlier version, as it can be pasted into a shell.
    pub fn command(&self, version: Option<u64>) -> String {
        let secure = if self.is_secret() { " -s" } else { "" };
        let environment = match (&self.scope.0.name, &self.scope.0.control) {
            (Some(name), Control::Named | Control::Single) => format!(" -e {}", for_shell(name)),
            _ => String::new(),
        };
        let key = self.key();
        let end = if key.starts_with('-') { " --" } else { "" };
        let version = version.map(|version| format!(" --version {version}")).unwrap_or_default();
        format!("dt kv get{secure}{environment}{version}{end} {}", for_shell(&key))
    }
}

/// A word as a shell takes it for just that: bare where nothing of it means anything, in quotes, or for control characters in
/// those of bash, zsh and ksh that know escapes.
fn for_shell(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@%+,".contains(c);
    if word.chars().all(is_plain) {
        return word.to_owned();
    }
    if !word.contains(char::is_control) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut quoted = String::from("$'");
    for c in word.chars() {
        match c {
            '\\' | '\'' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                c.encode_utf8(&mut bytes).bytes().for_each(|byte| quoted.push_str(&format!("\\x{byte:02x}")));
            }
            c => quoted.push(c),
        }
    }
    quoted + "'"
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_secret() { "secret" } else { "variable" };
        write!(f, "{kind} {} in {}", Quoted(&self.key.to_string()), self.scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(control: Control) -> Scope {
        Scope::new("/keys".into(), "/keys/prod".into(), Some("prod".into()), control)
    }

    #[test]
    fn an_entry_is_below_its_tree() {
        let entry = scope(Control::Named).entry(Tree::Secrets, "db/main/password").unwrap();
        assert_eq!(entry.path(), Path::new("/keys/prod/secrets/db/main/password"));
        let directories = ["/keys/prod/secrets", "/keys/prod/secrets/db", "/keys/prod/secrets/db/main"];
        assert_eq!(entry.directories(), directories.map(PathBuf::from));
        assert_eq!(entry.to_string(), "secret db/main/password in prod");
        assert_eq!(entry.arguments(), "-s db/main/password -e prod");
        assert_eq!(entry.in_other_tree().to_string(), "variable db/main/password in prod");
        for wrong in ["", "/a", "a/", "../a", "a/../b", "."] {
            assert!(matches!(scope(Control::Named).entry(Tree::Variables, wrong), Err(Error::Key { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_terminal_is_not_led() {
        let entry = scope(Control::Named).entry(Tree::Variables, "a\x1b[2Jb").unwrap();
        assert_eq!(entry.to_string(), "variable a?[2Jb in prod");
    }

    #[test]
    fn a_command_can_be_pasted() {
        let command = |tree, key: &str| scope(Control::Named).entry(tree, key).unwrap().command(None);
        assert_eq!(command(Tree::Secrets, "db/password"), "dt kv get -s -e prod db/password");
        assert_eq!(command(Tree::Variables, "it's $HOME"), r"dt kv get -e prod 'it'\''s $HOME'");
        assert_eq!(command(Tree::Variables, "-x"), "dt kv get -e prod -- -x");
        assert_eq!(command(Tree::Variables, "a\n\\'\u{85}"), r"dt kv get -e prod $'a\x0a\\\'\xc2\x85'");
        let part = scope(Control::OutOfReach).entry(Tree::Variables, "a").unwrap();
        assert_eq!(part.command(Some(3)), "dt kv get --version 3 a");
    }

    #[test]
    fn control_files_are_reached_or_not() {
        let at = |control| scope(control).control("history", "history").ok();
        assert_eq!(at(Control::Named), Some("/keys/.keyfs/history/prod".into()));
        assert_eq!(at(Control::Single), Some("/keys/.keyfs/history".into()));
        assert_eq!(at(Control::OutOfReach), None);
    }
}
