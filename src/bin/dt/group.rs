//! `dt group`: the machine's groups.

use clap::Subcommand;
use keyfs::client::accounts::Group;
use serde_json::{Value as Json, json};

use crate::exit::Failure;
use crate::output;
use crate::select::{Cell, Order, Page};
use crate::user::{Filter, Format};

/// What a list can be ordered by.
const FIELDS: &[&str] = &["name", "group_id"];

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
        filter: Filter,
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
            let order = filter.order(FIELDS)?;
            let mut groups = match filter.ids("group_id")? {
                Some(ids) => ids.into_iter().map(by_id).collect::<Result<Vec<_>, _>>()?,
                None => Group::all()?,
            };
            sort(&mut groups, order.as_ref());
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

fn sort(groups: &mut [Group], order: Option<&Order>) {
    let Some(order) = order else { return };
    order.sort(groups, |group, field| match field {
        "group_id" => Cell::Number(u64::from(group.id.0)),
        _ => Cell::Text(group.name.clone()),
    });
}

fn json(group: &Group) -> Json {
    let members: Vec<_> = group.members.iter().map(|member| member.0).collect();
    json!({"name": group.name, "group_id": group.id.0, "members": members})
}

fn row(group: &Group) -> Vec<String> {
    let members: Vec<_> = group.members.iter().map(|member| keyfs::names::user_name(*member)).collect();
    vec![group.name.clone(), group.id.to_string(), members.join(",")]
}
