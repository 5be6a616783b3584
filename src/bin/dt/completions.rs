//! `dt completions`, and what a shell completes: commands, options, environments and keys.
//!
//! Invariant: a shell is told names alone, those that whoever types may list; what fails completes nothing.

use std::ffi::{OsStr, OsString};

use clap::CommandFactory;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use keyfs::client::list;
use keyfs::key::Tree;

use crate::context::{mount, wanted};
use crate::exit::Failure;
use crate::output;

/// Set by the shell's script when it asks.
const VARIABLE: &str = "DT_COMPLETE";

/// Prints what has a shell complete commands, options and keys: `source <(dt completions bash)`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "fish", "zsh"])]
    shell: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let shells = Shells::builtins();
    let unknown = || Failure::usage(format!("there are no completions for {}", arguments.shell));
    let shell = shells.completer(&arguments.shell).ok_or_else(unknown)?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "dt", "dt", "dt", &mut script).map_err(|error| Failure::output(&error))?;
    output::bytes(&script)
}

/// Answers a shell that asks, and ends the process then.
pub(crate) fn answer() {
    if std::env::var_os(VARIABLE).is_some() {
        CompleteEnv::with_factory(crate::Arguments::command).var(VARIABLE).bin("dt").completer("dt").complete();
    }
}

/// The environments that begin so.
pub(crate) fn environments(current: &OsStr) -> Vec<CompletionCandidate> {
    let begins = |name: &String| current.to_str().is_some_and(|current| name.starts_with(current));
    let names = mount().ok().and_then(|mount| mount.environments().ok()).unwrap_or_default();
    names.into_iter().filter(begins).map(CompletionCandidate::new).collect()
}

/// The keys that begin so, and the directories, one level at a time.
pub(crate) fn keys(current: &OsStr) -> Vec<CompletionCandidate> {
    keys_of(current, &typed(std::env::args_os())).unwrap_or_default()
}

/// What the options that were typed say of the place: the tree and the environment.
struct Typed {
    tree: Tree,
    environment: Option<String>,
}

fn keys_of(current: &OsStr, typed: &Typed) -> Option<Vec<CompletionCandidate>> {
    let scope = mount().ok()?.scope(&wanted(typed.environment.as_deref()).ok()?).ok()?;
    let names = list::level(&scope, typed.tree, current.to_str()?).ok()?;
    Some(names.into_iter().map(CompletionCandidate::new).collect())
}

/// Reads the words of the line, which the shell hands over behind `--`.
fn typed(arguments: impl Iterator<Item = OsString>) -> Typed {
    let words: Vec<_> =
        arguments.skip_while(|word| word != "--").skip(1).filter_map(|word| word.into_string().ok()).collect();
    let always = words.get(2).is_some_and(|command| command == "generate");
    let short = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains(['s', 'S']);
    let secure = always || words.iter().any(|word| word == "--secure" || short(word));
    let named = |pair: &[String]| match pair {
        [option, name] if ["-e", "--environment", "--env"].contains(&option.as_str()) => Some(name.clone()),
        _ => None,
    };
    let attached = words.iter().find_map(|word| word.strip_prefix("--environment=").map(str::to_owned));
    let environment = attached.or_else(|| words.windows(2).find_map(named));
    Typed { tree: if secure { Tree::Secrets } else { Tree::Variables }, environment }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_where() {
        let of = |line: &str| typed(line.split(' ').map(OsString::from));
        let place = of("dt -- dt kv get -s -e prod db/");
        assert_eq!((place.tree, place.environment.as_deref()), (Tree::Secrets, Some("prod")));
        let place = of("dt -- dt kv get --environment=pre db/");
        assert_eq!((place.tree, place.environment.as_deref()), (Tree::Variables, Some("pre")));
        assert_eq!(of("dt -- dt kv generate db/").tree, Tree::Secrets);
    }
}
