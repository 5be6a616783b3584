//! `dt kv diff`.

use keyfs::client::compare::{Difference, compare};
use serde_json::{Value as Json, json};

use crate::context::{mount, tree, wanted};
use crate::exit::Failure;
use crate::output;

/// Says which keys two environments don't have in common. No value is shown; those that you may not read in both can't be
/// compared.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The secrets
    #[arg(short, long)]
    secure: bool,
    /// As JSON
    #[arg(short, long)]
    json: bool,
    /// With --json, indented
    #[arg(short, long)]
    pretty: bool,
    /// End with code 8 if there is a difference
    #[arg(long)]
    exit_code: bool,
    /// One environment
    #[arg(value_name = "ENV")]
    first: String,
    /// The other
    #[arg(value_name = "ENV")]
    second: String,
    /// What the keys begin with
    #[arg(value_name = "PREFIX", default_value = "")]
    prefix: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mount = mount()?;
    let scope = |name: &str| Ok::<_, Failure>(mount.scope(&wanted(Some(name))?)?);
    let (first, second) = (scope(&arguments.first)?, scope(&arguments.second)?);
    let differences = compare(&first, &second, tree(arguments.secure), &arguments.prefix)?;
    let words = |difference: Difference| match difference {
        Difference::First => format!("only in {}", arguments.first),
        Difference::Second => format!("only in {}", arguments.second),
        Difference::Value => "different".to_owned(),
        Difference::Unknown => "not comparable".to_owned(),
    };
    if arguments.json {
        let item = |(key, difference): &(String, Difference)| json!({"key": key, "difference": words(*difference)});
        let items: Vec<Json> = differences.iter().map(item).collect();
        output::json(&json!({"items": items, "total": differences.len()}), arguments.pretty)?;
    } else {
        let row = |(key, difference): &(String, Difference)| vec![words(*difference), output::cell(key.as_bytes())];
        output::table(&["DIFFERENCE", "KEY"], &differences.iter().map(row).collect::<Vec<_>>())?;
    }
    match arguments.exit_code && !differences.is_empty() {
        true => Err(Failure::new(8, format!("{first} and {second} differ in {} keys", differences.len()))),
        false => Ok(()),
    }
}
