//! `dt kv ls`.

use clap_complete::engine::ArgValueCompleter;
use keyfs::client::permissions::{Ids, Words, read as permissions};
use keyfs::client::rows::{KNOWN, Row, look_up};
use keyfs::client::value::{read as read_value, without_newline};
use keyfs::client::{Entry, Error, Scope, list};
use serde_json::{Map, Value as Json, json};

use crate::completions::keys;
use crate::context::{mount, tree, wanted};
use crate::exit::Failure;
use crate::output;
use crate::select::{Page, selection};

/// How many are shown on a terminal where nothing is said.
const PAGE: usize = 100;

/// Lists keys of every depth, one a line, in the order of their bytes. `-s` means --secure, unless a sort expression such
/// as +key or -modified follows it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// With who may use each key
    #[arg(short, long)]
    acls: bool,
    /// The secrets [short: -s or -S]
    #[arg(short = 'S', long)]
    secure: bool,
    /// With the values; never those of secrets
    #[arg(short = 'v', long)]
    include_values: bool,
    /// As JSON: {"items": [{"key": …}, …], "total": …}
    #[arg(short, long)]
    json: bool,
    /// As a tree; with --json indented
    #[arg(short, long)]
    pretty: bool,
    /// The environments, with commas between them
    #[arg(short = 'e', long, visible_alias = "env", value_name = "ENV,…")]
    environment: Option<String>,
    #[command(flatten)]
    page: Page,
    /// Which: such as "key ends_with url and modified > 2027-01-01", by key, environment, version, size, modified,
    /// modified_by, expires, owner and groups
    #[arg(short, long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// In which order: +field or -field, several with blanks between them
    #[arg(long, value_name = "EXPRESSION", allow_hyphen_values = true)]
    sort: Option<String>,
    /// What the keys begin with
    #[arg(value_name = "PREFIX", default_value = "", add = ArgValueCompleter::new(keys))]
    prefix: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let selection = selection(arguments.filter.as_deref(), arguments.sort.as_deref(), KNOWN)?;
    let scopes = scopes(arguments)?;
    let rows = rows(arguments, &scopes)?;
    let rows = look_up(&scopes, tree(arguments.secure), rows, &selection.fields())?;
    let rows = selection.of(rows, |row, name| row.field(&scopes, name));
    let usual = (output::is_terminal() && !arguments.json).then_some(PAGE);
    let shown = arguments.page.of(&rows, usual);
    if arguments.json {
        let items = shown.iter().map(|row| item(arguments, &scopes, row)).collect::<Result<Vec<_>, _>>()?;
        output::json(&json!({"items": items, "total": rows.len()}), arguments.pretty)?;
    } else if arguments.pretty {
        output::lines(tree_lines(&scopes, shown))?;
    } else {
        print(arguments, &scopes, shown)?;
    }
    let more = rows.len().saturating_sub(arguments.page.offset + shown.len());
    if more > 0 && !arguments.json {
        let next = arguments.page.offset + shown.len();
        output::note(&format!("{more} more: `-o {next}` goes on, `-b 0` shows all"));
    }
    Ok(())
}

fn scopes(arguments: &Arguments) -> Result<Vec<Scope>, Failure> {
    let mount = mount()?;
    let names: Vec<Option<&str>> = match arguments.environment.as_deref() {
        Some(list) => list.split(',').map(|name| Some(name.trim())).collect(),
        None => vec![None],
    };
    names.into_iter().map(|name| Ok(mount.scope(&wanted(name)?)?)).collect()
}

fn rows(arguments: &Arguments, scopes: &[Scope]) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (environment, scope) in scopes.iter().enumerate() {
        let listing = list::keys(scope, tree(arguments.secure), &arguments.prefix)?;
        rows.extend(listing.keys.into_iter().map(|key| Row::new(environment, key)));
        if let Some(first) = listing.closed.first() {
            let first = keyfs::client::error::Quoted(first);
            let count = match listing.closed.len() {
                1 => "a directory".to_owned(),
                count => format!("{count} directories"),
            };
            output::note(&format!(
                "{count} in {scope} may not be listed by you and what is in there is left out: {first}"
            ));
        }
    }
    Ok(rows)
}

fn entry(arguments: &Arguments, scopes: &[Scope], row: &Row) -> Result<Entry, Failure> {
    let scope = scopes.get(row.environment).ok_or_else(|| Failure::system("an environment is missing"))?;
    Ok(scope.entry(tree(arguments.secure), &row.key)?)
}

fn print(arguments: &Arguments, scopes: &[Scope], rows: &[Row]) -> Result<(), Failure> {
    let values = arguments.include_values && !arguments.secure;
    if scopes.len() == 1 && !values && !arguments.acls {
        return match output::is_terminal() {
            true => output::lines(rows.iter().map(|row| output::plain(&row.key))),
            false => output::lines(rows.iter().map(|row| &row.key)),
        };
    }
    let mut heads = vec!["KEY"];
    if scopes.len() > 1 {
        heads.insert(0, "ENVIRONMENT");
    }
    heads.extend(values.then_some("VALUE"));
    heads.extend(arguments.acls.then_some("ACL"));
    let cells = |row: &Row| {
        let entry = entry(arguments, scopes, row)?;
        let mut cells = vec![output::cell(row.key.as_bytes())];
        if scopes.len() > 1 {
            cells.insert(0, entry.scope().to_string());
        }
        if values {
            cells.push(value(&entry)?.unwrap_or_default());
        }
        if arguments.acls {
            cells.push(permissions(&entry.path()).map(|found| Words::of(&found).line()).unwrap_or_default());
        }
        Ok(cells)
    };
    let rows = rows.iter().map(cells).collect::<Result<Vec<_>, Failure>>()?;
    output::table(&heads, &rows)
}

/// A variable's value for a table; `None` where it may not be read.
fn value(entry: &Entry) -> Result<Option<String>, Failure> {
    match read_value(entry) {
        Ok(value) => Ok(Some(output::cell(without_newline(&value)))),
        Err(Error::Denied { .. } | Error::NotFound { .. } | Error::Expired(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn item(arguments: &Arguments, scopes: &[Scope], row: &Row) -> Result<Json, Failure> {
    let mut item = Map::new();
    item.insert("key".into(), row.key.as_str().into());
    let detailed = scopes.len() > 1 || arguments.acls || arguments.include_values;
    if !detailed {
        return Ok(item.into());
    }
    let entry = entry(arguments, scopes, row)?;
    if let Some(name) = entry.scope().name() {
        item.insert("environment".into(), name.into());
    }
    if arguments.include_values && !arguments.secure {
        let value = match read_value(&entry) {
            Ok(value) => match std::str::from_utf8(without_newline(&value)) {
                Ok(text) => text.into(),
                Err(_) => json!({"base64": output::base64(&value)}),
            },
            Err(Error::Denied { .. } | Error::NotFound { .. } | Error::Expired(_)) => Json::Null,
            Err(error) => return Err(error.into()),
        };
        item.insert("value".into(), value);
    }
    if arguments.acls {
        let ids = permissions(&entry.path()).map(|found| Ids::of(&found)).unwrap_or_default();
        item.insert("acl".into(), json!({"read": ids.read, "write": ids.write}));
    }
    Ok(item.into())
}

/// The keys as a tree, each environment below its name where there are several.
fn tree_lines(scopes: &[Scope], rows: &[Row]) -> Vec<String> {
    let mut lines = Vec::new();
    for (environment, scope) in scopes.iter().enumerate() {
        let mut keys: Vec<&str> =
            rows.iter().filter(|row| row.environment == environment).map(|row| row.key.as_str()).collect();
        keys.sort_unstable();
        if scopes.len() > 1 {
            lines.push(scope.to_string());
        }
        branch(&keys, "", "", &mut lines);
    }
    lines
}

/// The keys below `above`, which all of them begin with; `indent` is what stands in front of each line.
fn branch(keys: &[&str], above: &str, indent: &str, lines: &mut Vec<String>) {
    let name = |key: &&str| {
        key.get(above.len()..).unwrap_or_default().split_inclusive('/').next().unwrap_or_default().to_owned()
    };
    let groups: Vec<_> = keys.chunk_by(|one, other| name(one).ends_with('/') && name(one) == name(other)).collect();
    for (at, group) in groups.iter().enumerate() {
        let Some(first) = group.first() else { continue };
        let name = name(first);
        let is_last = at + 1 == groups.len();
        let (fork, below) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
        lines.push(format!("{indent}{fork}{}", output::cell(name.as_bytes())));
        if name.ends_with('/') {
            branch(group, &format!("{above}{name}"), &format!("{indent}{below}"), lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_a_tree() {
        let mut lines = Vec::new();
        branch(&["a", "app-x", "app/db/host", "app/db/port", "app/url", "b"], "", "", &mut lines);
        assert_eq!(
            lines,
            [
                "├── a",
                "├── app-x",
                "├── app/",
                "│   ├── db/",
                "│   │   ├── host",
                "│   │   └── port",
                "│   └── url",
                "└── b"
            ]
        );
    }
}
