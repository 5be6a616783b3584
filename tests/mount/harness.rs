//! What the programs of tests have in common: cases in families, and what becomes of a family that the machine has not all
//! for. It is reported as ignored, with what is missing; with KEYFS_REQUIRE_MOUNT set, as in the project's check, that is a
//! failure.

use libtest_mimic::{Arguments, Failed, Trial};

use crate::fixture;

pub type Case = (&'static str, fn());

/// A program, and the Debian package that has it; or the whole command that installs it.
pub type Tool = (&'static str, &'static str);

/// What is tested together.
pub struct Family {
    name: &'static str,
    cases: &'static [Case],
    mounts: bool,
    tools: &'static [Tool],
}

impl Family {
    /// Cases on a real mount.
    pub const fn mounting(name: &'static str, cases: &'static [Case]) -> Family {
        Family { name, cases, mounts: true, tools: &[] }
    }

    /// Cases that need nothing.
    pub const fn plain(name: &'static str, cases: &'static [Case]) -> Family {
        Family { name, cases, mounts: false, tools: &[] }
    }

    /// The same, with programs that they need.
    pub const fn with(self, tools: &'static [Tool]) -> Family {
        Family { tools, ..self }
    }

    /// What is missing for it.
    fn lacks(&self) -> Option<String> {
        let mount = if self.mounts { fixture::missing() } else { None };
        let absent = self.tools.iter().filter(|(tool, _)| !fixture::is_installed(tool));
        let absent = absent.map(|(tool, package)| match package.contains(' ') {
            true => format!("{tool} (`{package}`)"),
            false => format!("{tool} (Debian's package {package})"),
        });
        let absent: Vec<_> = absent.collect();
        let absent = (!absent.is_empty()).then(|| format!("{} missing", absent.join(", ")));
        mount.or(absent)
    }
}

/// Says what can't be run, and ends the program where that must not be.
pub fn announce(families: &[Family]) {
    let mut lacking: Vec<_> =
        families.iter().filter_map(|family| Some((family.lacks()?, family.name))).collect::<Vec<_>>();
    lacking.sort();
    for same in lacking.chunk_by(|one, other| one.0 == other.0) {
        let names: Vec<_> = same.iter().map(|(_, name)| *name).collect();
        eprintln!("not run: {}: {}", names.join(", "), same[0].0);
    }
    refuse(!lacking.is_empty());
}

/// Ends the program where something is missing and must not be.
pub fn refuse(missing: bool) {
    if missing && std::env::var_os("KEYFS_REQUIRE_MOUNT").is_some() {
        eprintln!("KEYFS_REQUIRE_MOUNT is set, so that is a failure");
        std::process::exit(1);
    }
}

/// Runs every family and ends the program.
pub fn run(families: &[Family]) -> ! {
    libtest_mimic::run(&Arguments::from_args(), trials(families)).exit()
}

/// The cases of all families, those that can't be run marked so.
pub fn trials(families: &[Family]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for family in families {
        let ignored = family.lacks().is_some();
        for (name, case) in family.cases {
            let case = *case;
            let trial = Trial::test(format!("{}::{name}", family.name), move || -> Result<(), Failed> {
                case();
                Ok(())
            });
            trials.push(trial.with_ignored_flag(ignored));
        }
    }
    trials
}
