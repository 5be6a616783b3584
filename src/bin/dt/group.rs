//! `dt group`: the machine's groups.

use clap::Subcommand;
use keyfs::client::accounts::Group;
use keyfs::client::filter::{Field, Kind, Known};
use serde_json::{Value as Json, json};

use crate::exit::Failure;
use crate::output;
use crate::select::Page;
use crate::user::{Format, Which};

/// What a list can be narrowed down and ordered by.
const KNOWN: &[Known] = &[
    Known { name: "name", kind: Kind::Text },
    Known { name: "group_id", kind: Kind::Number },
    Known { name: "members", kind: Kind::List },
];

/// Says which groups there are and who is in them, by NSS.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the groups
    Ls {
        #[command(flatten)]
        filter: Which,
        #[command(flatten)]
        page: Page,
        #[command(flatten)]
        format: Format,
    },
    /// Shows one group
    Get {
        #[command(flatten)]
        format: Format,
        /// Its name or number
        #[arg(value_name = "GROUP")]
        name: String,
    },
    /// Says whether there is such a group
    Exists {
        /// Its name or number
        #[arg(value_name = "GROUP")]
        name: String,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Ls { filter, page, format } => {
            let selection = filter.selection(KNOWN)?;
            let groups = match filter.ids("group_id") {
                Some(ids) => ids.into_iter().map(by_id).collect::<Result<Vec<_>, _>>()?,
                None => Group::all()?,
            };
            let groups = selection.of(groups, field);
            format.list(&["NAME", "ID", "MEMBERS"], page.of(&groups, None), json, row)
        }
        Command::Get { format, name } => {
            let missing = || Failure::new(3, format!("there is no group '{}'", name.replace(char::is_control, "?")));
            let group = Group::find(name)?.ok_or_else(missing)?;
            format.one(&["NAME", "ID", "MEMBERS"], &group, json, row)
        }
        Command::Exists { name } => output::lines([Group::find(name)?.is_some().to_string()]),
    }
}

fn by_id(id: u32) -> Result<Group, Failure> {
    Ok(Group::find(&id.to_string())?.unwrap_or_else(|| Group::nameless(id)))
}

fn field<'g>(group: &'g Group, name: &str) -> Option<Field<'g>> {
    Some(match name {
        "group_id" => Field::Number(group.id.0.into()),
        "members" => Field::List(group.members.iter().map(|member| keyfs::names::user_name(*member).into()).collect()),
        _ => Field::Text(group.name.as_str().into()),
    })
}

fn json(group: &Group) -> Json {
    let members: Vec<_> = group.members.iter().map(|member| member.0).collect();
    json!({"name": group.name, "group_id": group.id.0, "members": members})
}

fn row(group: &Group) -> Vec<String> {
    let members: Vec<_> = group.members.iter().map(|member| keyfs::names::user_name(*member)).collect();
    vec![group.name.clone(), group.id.to_string(), members.join(",")]
}
