//! Where keyfs is mounted, and which environment is meant.
//!
//! Invariant: what isn't keyfs is never written to: a [`Scope`] that was [found](Mount::scope) has a tree that answered
//! with an attribute that keyfs alone has.
//!
//! It deliberately keeps nothing between two looks.

use std::io;
use std::path::{Path, PathBuf};

use super::entry::Control;
use super::{Error, Scope};
use crate::key::{Environment, Tree};
use crate::mountinfo;

/// Where it is looked for when nothing says anything else.
pub const DEFAULT: &str = "/keys";

/// The environment when nothing says anything else.
pub const DEFAULT_ENVIRONMENT: &str = "dev";

/// An attribute that each directory of a mount has.
const MARK: &str = "system.keyfs.groups";

/// Which environment is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    name: Environment,
    named: bool,
}

impl Wanted {
    /// The environment that somebody named; the usual one without.
    ///
    /// # Errors
    ///
    /// [`Error::EnvironmentName`].
    pub fn new(name: Option<&str>) -> Result<Wanted, Error> {
        let text = name.unwrap_or(DEFAULT_ENVIRONMENT);
        let parsed = Environment::parse(text);
        let parsed = parsed.map_err(|reason| Error::EnvironmentName { name: text.to_owned(), reason })?;
        Ok(Wanted { name: parsed, named: name.is_some() })
    }
}

/// A place where keyfs is, or should be, mounted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mount(PathBuf);

impl Mount {
    /// The place that somebody named, else the one mount in the kernel's table, else [`DEFAULT`].
    ///
    /// # Errors
    ///
    /// [`Error::Several`].
    pub fn find(given: Option<&Path>) -> Result<Mount, Error> {
        if let Some(given) = given {
            return Ok(Mount(given.to_owned()));
        }
        // Where the table can't be read, the usual place is still worth a look.
        let mounts = mountinfo::read().unwrap_or_default();
        let ours = mounts.into_iter().filter(|mount| mount.file_system == mountinfo::FILE_SYSTEM);
        let mut places: Vec<_> = ours.map(|mount| mount.mount_point).collect();
        places.sort();
        places.dedup();
        match (places.pop(), places.is_empty()) {
            (None, _) => Ok(Mount(DEFAULT.into())),
            (Some(place), true) => Ok(Mount(place)),
            (Some(place), false) => {
                places.push(place);
                Err(Error::Several(places))
            }
        }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The environment's place if the mount shows all of them, without a look: for whoever reads, and asks for the
    /// [`scope`](Mount::scope) where nothing is found.
    pub fn assume(&self, wanted: &Wanted) -> Scope {
        let name = wanted.name.to_string();
        Scope::new(self.0.clone(), self.0.join(&name), Some(name), Control::Named)
    }

    /// The environment's place.
    ///
    /// # Errors
    ///
    /// That there is no mount, or no such environment in it.
    pub fn scope(&self, wanted: &Wanted) -> Result<Scope, Error> {
        let whole = self.assume(wanted);
        match probe(&whole.tree(Tree::Variables)) {
            Probe::Keyfs => return Ok(whole),
            Probe::Failed(error) => return Err(self.unreachable(&whole.tree(Tree::Variables), &error)),
            Probe::Foreign => return Err(Error::NoMount(self.0.clone())),
            Probe::Nothing => {}
        }
        match probe(&self.0.join(Tree::Variables.as_str())) {
            Probe::Keyfs => self.single(wanted),
            Probe::Failed(error) => Err(Error::system("reach", &self.0, &error)),
            Probe::Foreign => Err(Error::NoMount(self.0.clone())),
            Probe::Nothing => Err(self.without(wanted)),
        }
    }

    /// Why a tree can't be looked at. A dead mount is named as it is known, what is closed by its own place.
    fn unreachable(&self, tree: &Path, error: &io::Error) -> Error {
        match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => Error::system("reach", tree.parent().unwrap_or(tree), error),
            _ => Error::system("reach", &self.0, error),
        }
    }

    /// A mount, or a part of one, that shows one environment.
    fn single(&self, wanted: &Wanted) -> Result<Scope, Error> {
        let reachable = self.0.join(".keyfs/status").exists();
        let shown = if reachable { self.environment_of_status() } else { self.environment_of_part() };
        match shown.as_deref() {
            Some(shown) if wanted.named && shown != wanted.name.name().as_str() => Err(Error::OtherEnvironment {
                wanted: wanted.name.to_string(),
                shown: shown.to_owned(),
                mount: self.0.clone(),
            }),
            _ => {
                let control = if reachable { Control::Single } else { Control::OutOfReach };
                Ok(Scope::new(self.0.clone(), self.0.clone(), shown, control))
            }
        }
    }

    /// What a mount of one environment says of itself.
    fn environment_of_status(&self) -> Option<String> {
        let status = std::fs::read(self.0.join(".keyfs/status")).ok()?;
        let status: serde_json::Value = serde_json::from_slice(&status).ok()?;
        status.get("environment")?.as_str().map(str::to_owned)
    }

    /// The directory that a bind mount shows, by the kernel's table.
    fn environment_of_part(&self) -> Option<String> {
        let place = self.0.canonicalize().ok()?;
        let mount = mountinfo::at(&place).ok()??;
        mount.root.file_name()?.to_str().map(str::to_owned)
    }

    /// Why the environment isn't there.
    fn without(&self, wanted: &Wanted) -> Error {
        let known = match (probe(&self.0), self.environments()) {
            (Probe::Failed(error), _) => return Error::system("reach", &self.0, &error),
            (_, Ok(known)) if !known.is_empty() => known.join(", "),
            (Probe::Keyfs, _) => "others that can't be listed".to_owned(),
            _ => return Error::NoMount(self.0.clone()),
        };
        Error::NoEnvironment { name: wanted.name.to_string(), known, mount: self.0.clone() }
    }

    /// The environments of a mount that shows all of them.
    ///
    /// # Errors
    ///
    /// That it can't be listed.
    pub fn environments(&self) -> Result<Vec<String>, Error> {
        let failed = |error: io::Error| Error::system("list", &self.0, &error);
        let entries = std::fs::read_dir(&self.0).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let names = entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
        let is_one = |name: &String| matches!(probe(&self.0.join(name).join(Tree::Variables.as_str())), Probe::Keyfs);
        let mut names: Vec<_> = names.filter(is_one).collect();
        names.sort();
        Ok(names)
    }
}

/// What is told where the mount doesn't say how long a value may be.
const USUAL_LIMIT: u64 = 1 << 20;

impl Mount {
    /// Every environment that there is to choose from; where one alone is shown, that one.
    ///
    /// # Errors
    ///
    /// That there is no mount, or that it can't be listed.
    pub fn scopes(&self) -> Result<Vec<Scope>, Error> {
        if let Probe::Keyfs = probe(&self.0.join(Tree::Variables.as_str())) {
            return Ok(vec![self.single(&Wanted::new(None)?)?]);
        }
        let environments = self.environments()?;
        if environments.is_empty() {
            // That says what is there instead.
            return Ok(vec![self.scope(&Wanted::new(None)?)?]);
        }
        environments.iter().map(|name| Ok(self.assume(&Wanted::new(Some(name))?))).collect()
    }

    /// How long a value may be, in bytes, in the mount that has this place; what is usual where that doesn't say.
    pub fn value_limit(scope: &Scope) -> u64 {
        let limit = super::facts::attribute(&scope.tree(Tree::Variables), "system.keyfs.value_limit");
        limit.ok().flatten().and_then(|limit| limit.parse().ok()).unwrap_or(USUAL_LIMIT)
    }
}

/// What a path turns out to be.
enum Probe {
    Keyfs,
    Foreign,
    Nothing,
    Failed(io::Error),
}

fn probe(path: &Path) -> Probe {
    let mut nothing: [u8; 0] = [];
    match rustix::fs::getxattr(path, MARK, &mut nothing) {
        Ok(_) => Probe::Keyfs,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Probe::Nothing,
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NODATA) => Probe::Foreign,
        Err(error) => Probe::Failed(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mount_is_named() {
        let place = tempfile::tempdir().unwrap();
        let mount = Mount::find(Some(place.path())).unwrap();
        let wanted = Wanted::new(None).unwrap();
        assert!(matches!(mount.scope(&wanted), Err(Error::NoMount(path)) if path == place.path()));
        // A directory that looks like one isn't one: nothing is to be stored in it in plain text.
        std::fs::create_dir_all(place.path().join("dev/variables")).unwrap();
        assert!(matches!(mount.scope(&wanted), Err(Error::NoMount(_))));
        std::fs::create_dir_all(place.path().join("variables")).unwrap();
        let wanted = Wanted::new(Some("prod")).unwrap();
        assert!(matches!(mount.scope(&wanted), Err(Error::NoMount(_))));
    }

    #[test]
    fn environments_have_names() {
        assert!(matches!(Wanted::new(Some(".keyfs")), Err(Error::EnvironmentName { .. })));
        assert!(matches!(Wanted::new(Some("a/b")), Err(Error::EnvironmentName { .. })));
        assert!(Wanted::new(Some("qa")).is_ok());
    }
}
