//! `dt exec`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use keyfs::client::value::{read, without_newline};
use keyfs::key::Tree;

use crate::context::{Where, name};
use crate::exit::Failure;

/// Runs a program with values in its environment variables. Where the program can read a file, let it read the mount: other
/// processes of the same user see a program's variables, and its children inherit them.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Where,
    /// A secret, and the variable that it goes into; without one, its name in capitals: db/password is DB_PASSWORD
    #[arg(short, long = "key", value_name = "KEY[=VARIABLE]")]
    keys: Vec<String>,
    /// The same for a key of the variables
    #[arg(short, long = "variable", value_name = "KEY[=VARIABLE]")]
    variables: Vec<String>,
    /// The program and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, required = true)]
    command: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let scope = arguments.place.scope()?;
    let Some((program, rest)) = arguments.command.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(rest);
    let secrets = arguments.keys.iter().map(|pair| (Tree::Secrets, pair));
    let variables = arguments.variables.iter().map(|pair| (Tree::Variables, pair));
    for (tree, pair) in secrets.chain(variables) {
        let (key, variable) = pair.rsplit_once('=').map_or_else(|| (pair.as_str(), usual(pair)), split);
        let entry = scope.entry(tree, name(key))?;
        if variable.is_empty() || variable.contains('\0') {
            return Err(Failure::usage(format!("{entry}: write KEY=VARIABLE, as in db/password=DB_PASSWORD")));
        }
        let value = read(&entry)?;
        let value = without_newline(&value);
        if value.contains(&0) {
            return Err(Failure::system(format!(
                "{entry} has a NUL byte, which no variable can hold: read it as a file"
            )));
        }
        command.env(&variable, OsStr::from_bytes(value));
    }
    // This comes back only where it fails.
    let error = command.exec();
    let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
    let program = program.to_string_lossy();
    Err(Failure::new(code, format!("can't run {program}: {}", keyfs::client::error::reason(&error))))
}

fn split<'p>((key, variable): (&'p str, &str)) -> (&'p str, String) {
    (key, variable.to_owned())
}

/// The variable of a key that names none.
fn usual(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
