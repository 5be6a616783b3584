//! `dt kv import`, and the options of formats that it has in common with `dt kv export`.
//!
//! Invariant: of a secret nothing is shown but its name, and of a variable a beginning, on a terminal alone.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use keyfs::client::batch::Outcome;
use keyfs::client::formats::{self, Case, Entry as Line, Format, Mapping, Parsed, Plan, Problem};
use keyfs::client::import::{Import, below, selected};
use keyfs::client::value::{Value, read_all};
use serde_json::{Value as Json, json};

use super::set_acls::Who;
use crate::context::{Where, tree};
use crate::exit::Failure;
use crate::progress::Bar;
use crate::{output, prompt};

/// So long a file may be: what fits into one commit is shorter in any format.
const LONGEST: u64 = 256 << 20;

/// So many rows a terminal gets.
const ROWS: usize = 100;

/// So many characters of a value are shown.
const SHOWN: usize = 28;

/// Stores what a file holds: all of it in one step, or nothing. What would change is shown first, and you are asked; where nobody
/// can be asked, --yes or --dry-run says what to do.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Store it encrypted, among the secrets
    #[arg(short, long)]
    secure: bool,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    form: Form,
    /// Store it without a question
    #[arg(short, long, conflicts_with = "dry_run")]
    yes: bool,
    /// Show what would change, and store nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// What changes as JSON: {"added": [key, …], "changed": …, "replaced": …, "same": …, "invalid": …, "stored": n}
    #[arg(short, long)]
    json: bool,
    /// The file; `-` or nothing is stdin
    #[arg(value_name = "FILE", default_value = "-")]
    file: std::path::PathBuf,
    /// Only keys that begin with one of these
    #[arg(value_name = "PREFIX")]
    prefixes: Vec<String>,
}

/// How keys and values stand in a file.
#[derive(clap::Args)]
pub(crate) struct Form {
    /// dotenv, json or yaml [default: what the file's name says]
    #[arg(short, long, value_parser = parse_format)]
    pub(crate) format: Option<Format>,
    /// `__` in the file stands for the `/` of a key: DB__PASSWORD is DB/PASSWORD
    #[arg(long)]
    nested: bool,
    /// The case that names get: lower, upper, or keep
    #[arg(long, value_parser = parse_case, default_value = "keep")]
    case: Case,
    /// The directory whose keys these are: with `app`, HOST in the file is the key app/HOST
    #[arg(long, value_name = "DIRECTORY", default_value = "")]
    pub(crate) prefix: String,
}

fn parse_format(text: &str) -> Result<Format, String> {
    Format::parse(text).ok_or_else(|| "it is dotenv, json or yaml".to_owned())
}

fn parse_case(text: &str) -> Result<Case, String> {
    match text {
        "keep" => Ok(Case::Kept),
        "lower" => Ok(Case::Lower),
        "upper" => Ok(Case::Upper),
        _ => Err("it is lower, upper or keep".to_owned()),
    }
}

impl Form {
    pub(crate) fn mapping(&self) -> Mapping {
        Mapping { double_underscore: self.nested, case: self.case }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let change = arguments.who.change(arguments.secure)?;
    let scope = arguments.place.scope()?;
    let parsed = below(&arguments.form.prefix, parse(arguments)?);
    let parsed = selected(&arguments.prefixes, parsed);
    let import = Import::look(&scope, tree(arguments.secure), parsed)?;
    if !arguments.json {
        show(arguments, &import)?;
    }
    if let Some(problem) = import.plan.invalid.first() {
        if arguments.json {
            output::json(&as_json(&import.plan, 0), false)?;
        }
        return Err(unfit(arguments, &import.plan, problem));
    }
    let wanted = import.stored() > 0 && !arguments.dry_run && agreed(arguments, &import)?;
    if wanted {
        store(&import, &change)?;
    }
    if arguments.json {
        return output::json(&as_json(&import.plan, if wanted { import.stored() } else { 0 }), false);
    }
    let stored = if wanted { "stored" } else { "not stored" };
    output::note(&match import.stored() {
        0 => format!("nothing to store in {scope}: {}", sums(&import.plan)),
        count => format!("{} {stored} in {scope}: {}", keys(count), sums(&import.plan)),
    });
    Ok(())
}

fn store(import: &Import, change: &keyfs::client::permissions::Change) -> Result<(), Failure> {
    let mut bar = Bar::new("staged", import.stored());
    let outcome = import.store(change, &mut |done| bar.moved(done));
    let signal = bar.end();
    match (outcome?, signal) {
        (Outcome::Stored, _) => Ok(()),
        (Outcome::CalledOff, signal) => Err(Failure::called_off("called off: nothing was stored", signal)),
    }
}

/// The file's name in messages.
fn named(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { output::plain(&path.display().to_string()) }
}

fn parse(arguments: &Arguments) -> Result<Parsed, Failure> {
    let file = &arguments.file;
    let form = arguments.form.format.or_else(|| Format::of(file));
    let Some(format) = form else {
        let what = named(file);
        return Err(Failure::usage(format!("--format says what {what} is: dotenv, json or yaml")));
    };
    let bytes = contents(file)?;
    let wrong = |error: formats::ReadError| Failure::usage(format!("{}: {error}; nothing was stored", named(file)));
    formats::read(format, &bytes, &arguments.form.mapping()).map_err(wrong)
}

fn contents(path: &Path) -> Result<Value, Failure> {
    let read = || match path == Path::new("-") {
        true => read_all(&mut io::stdin().lock().take(LONGEST + 1), 4096),
        false => {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            read_all(&mut file.take(LONGEST + 1), usize::try_from(size.min(LONGEST)).unwrap_or(0))
        }
    };
    let failed = |error: io::Error| {
        let code = match error.kind() {
            io::ErrorKind::NotFound => 3,
            io::ErrorKind::PermissionDenied => 4,
            _ => 1,
        };
        let reason = keyfs::client::error::reason(&error);
        Failure::new(code, format!("can't read {}: {reason}", named(path)))
    };
    let bytes = read().map_err(failed)?;
    match bytes.len() as u64 > LONGEST {
        true => Err(Failure::system(format!("{} is longer than 256 MiB, which is no file of keys", named(path)))),
        false => Ok(bytes),
    }
}

/// Whether whoever typed this wants it.
fn agreed(arguments: &Arguments, import: &Import) -> Result<bool, Failure> {
    if arguments.yes {
        return Ok(true);
    }
    let question = format!("Store {}? [y/N] ", keys(import.stored()));
    prompt::confirm(&question)?.ok_or_else(|| {
        Failure::usage("nobody is here to be asked: --yes stores this, --dry-run only shows what would change")
    })
}

/// What can't be stored, in a line.
fn unfit(arguments: &Arguments, plan: &Plan, problem: &Problem) -> Failure {
    let more = match plan.invalid.len() - 1 {
        0 => String::new(),
        1 => " (and one more)".to_owned(),
        more => format!(" (and {more} more)"),
    };
    Failure::usage(format!("{}: {problem}{more}; nothing was stored", named(&arguments.file)))
}

pub(crate) fn keys(count: usize) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

fn sums(plan: &Plan) -> String {
    let counts = [
        (plan.added.len(), "added"),
        (plan.changed.len(), "changed"),
        (plan.replaced.len(), "replaced"),
        (plan.same.len(), "the same"),
    ];
    let said: Vec<_> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if said.is_empty() { "no keys".to_owned() } else { said.join(", ") }
}

/// Prints what changes: for people with the values of variables, else the names alone.
fn show(arguments: &Arguments, import: &Import) -> Result<(), Failure> {
    let plan = &import.plan;
    let values = output::is_terminal() && !arguments.secure;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut list = |word: &str, lines: &[Line], before: bool| {
        for line in lines {
            let mut row = vec![word.to_owned(), output::cell(line.key.to_string().as_bytes())];
            if values {
                let now = shortened(&line.value);
                row.push(if before {
                    format!("{} → {now}", shortened(import.head(&line.key).map_or(&[], |head| &head.bytes)))
                } else {
                    now
                });
            }
            rows.push(row);
        }
    };
    list("added", &plan.added, false);
    list("changed", &plan.changed, true);
    list("replaced", &plan.replaced, false);
    let invalid = |problem: &Problem| {
        let why = format!("line {}: {}", problem.line, problem.why);
        vec!["invalid".to_owned(), output::cell(problem.key.as_bytes()), why]
    };
    rows.extend(plan.invalid.iter().map(invalid));
    let more = if output::is_terminal() { rows.len().saturating_sub(ROWS) } else { 0 };
    rows.truncate(rows.len() - more);
    let heads: &[&str] = match (values, plan.invalid.is_empty()) {
        (true, _) => &["CHANGE", "KEY", "VALUE"],
        (false, true) => &["CHANGE", "KEY"],
        (false, false) => &["CHANGE", "KEY", "WHY"],
    };
    if !rows.is_empty() {
        output::table(heads, &rows)?;
    }
    if more > 0 {
        output::note(&format!("{more} more aren't shown here; a pipe gets all of them"));
    }
    Ok(())
}

/// How a value begins, on one line.
fn shortened(value: &[u8]) -> String {
    let cell = output::cell(value.get(..4 * SHOWN).unwrap_or(value));
    match cell.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", cell.get(..end).unwrap_or_default()),
        None => cell,
    }
}

fn as_json(plan: &Plan, stored: usize) -> Json {
    let keys = |lines: &[Line]| lines.iter().map(|line| line.key.to_string()).collect::<Vec<_>>();
    let invalid = |problem: &Problem| json!({"key": problem.key, "line": problem.line, "why": problem.why});
    json!({
        "added": keys(&plan.added),
        "changed": keys(&plan.changed),
        "replaced": keys(&plan.replaced),
        "same": keys(&plan.same),
        "invalid": plan.invalid.iter().map(invalid).collect::<Vec<_>>(),
        "stored": stored,
    })
}
