//! `dt kv put`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap_complete::engine::ArgValueCompleter;
use keyfs::client::facts::Facts;
use keyfs::client::permissions::{Ids, read};
use keyfs::client::put::{Condition, Put, put};
use keyfs::client::value::{Value, read_all};
use keyfs::client::{Entry, Error};
use serde_json::json;
use zeroize::Zeroizing;

use super::set_acls::Who;
use crate::arguments::unquoted;
use crate::completions::keys;
use crate::context::{Where, name, tree};
use crate::exit::Failure;
use crate::{output, prompt};

/// Stores a value. A new key is its creator's alone until groups are named; a key that is there keeps its permissions,
/// with -g, -u and -o changed for those they name.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Store it encrypted, among the secrets
    #[arg(short, long)]
    secure: bool,
    #[command(flatten)]
    who: Who,
    /// Print what was stored, without the value, as JSON
    #[arg(short = 'J', long)]
    json_enrichened: bool,
    #[command(flatten)]
    place: Where,
    /// Only if there is no such key yet
    #[arg(long, conflicts_with = "if_version")]
    create_only: bool,
    /// Only if the key is at this version; 0 means that there is no such key yet
    #[arg(long, value_name = "N")]
    if_version: Option<u64>,
    /// When the value expires, as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    expires: Option<String>,
    /// Take VALUE as it is: no file, no stdin, quotes and all
    #[arg(long, requires = "value")]
    literal: bool,
    /// The key, such as db/password
    #[arg(value_name = "KEY", add = ArgValueCompleter::new(keys))]
    key: String,
    /// The value; file:///PATH takes a file's content, `-` or nothing reads stdin, or asks for a secret on a terminal
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    value: Option<OsString>,
}

pub(crate) fn moment(text: &str) -> Result<String, String> {
    let parsed = keyfs::clock::Timestamp::parse(text);
    parsed.map(|_| text.to_owned()).ok_or_else(|| "write it as 2027-01-31T12:00:00Z".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let change = arguments.who.change(arguments.secure)?;
    let entry = arguments.place.scope()?.entry(tree(arguments.secure), name(&arguments.key))?;
    let value = value(arguments, &entry)?;
    let condition = match arguments.if_version {
        None if arguments.create_only => Condition::Absent,
        None => Condition::None,
        Some(version) => Condition::Version(version),
    };
    put(&entry, &Put { value: &value, change: &change, condition, expires: arguments.expires.as_deref() })?;
    report(&entry, arguments.json_enrichened)
}

/// Says what was stored: as JSON where that is asked for, to people who look on otherwise.
pub(crate) fn report(entry: &Entry, json: bool) -> Result<(), Failure> {
    if json {
        let facts = Facts::of(entry)?;
        let acl = Ids::of(&read(&entry.path()).map_err(|error| Error::of(entry, "look up", &error))?);
        return output::json(
            &json!({
                "key": entry.key(),
                "environment": entry.scope().name(),
                "secure": entry.is_secret(),
                "version": facts.version,
                "size": facts.size,
                "acl": {"read": acl.read, "write": acl.write},
            }),
            false,
        );
    }
    if io::stderr().is_terminal()
        && let Ok(facts) = Facts::of(entry)
    {
        output::note(&format!("{entry}: {}", facts.summary()));
    }
    Ok(())
}

/// The value that the arguments stand for.
fn value(arguments: &Arguments, entry: &Entry) -> Result<Value, Failure> {
    let literal = arguments.literal;
    let Some(given) = arguments.value.as_deref().filter(|given| literal || *given != "-") else {
        if entry.is_secret() && io::stdin().is_terminal() {
            return prompt::secret(&entry.to_string());
        }
        let read = read_all(&mut io::stdin().lock(), 4096);
        return read.map_err(|error| Failure::system(format!("can't read the value from stdin: {error}")));
    };
    let given = given.as_bytes();
    if let Some(path) = given.strip_prefix(b"file://").filter(|path| !literal && path.starts_with(b"/")) {
        return file(Path::new(OsStr::from_bytes(path)));
    }
    if entry.is_secret() && io::stderr().is_terminal() {
        let why = "other processes and the shell's history see a secret on the command line";
        output::note(&format!("warning: {why}; leave the value out to be asked for it"));
    }
    let inner = unquoted(given).filter(|_| !literal);
    if inner.is_some() {
        output::note("the quotes around the value are taken for the client's and left out; --literal keeps them");
    }
    Ok(Zeroizing::new(inner.unwrap_or(given).to_vec()))
}

fn file(path: &Path) -> Result<Value, Failure> {
    let read = || {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        read_all(&mut file, usize::try_from(size).unwrap_or(0))
    };
    read().map_err(|error: io::Error| {
        let code = match error.kind() {
            io::ErrorKind::NotFound => 3,
            io::ErrorKind::PermissionDenied => 4,
            _ => 1,
        };
        let reason = keyfs::client::error::reason(&error);
        Failure::new(code, format!("can't read the value from {}: {reason}", path.display()))
    })
}
