//! `dt user`: the machine's users; and what its lists have in common with those of groups.

use clap::Subcommand;
use keyfs::client::accounts::User;
use keyfs::client::filter::{Field, Kind, Known, Selection};
use serde_json::{Value as Json, json};

use crate::exit::Failure;
use crate::output;
use crate::select::{Page, selection};

/// What a list can be narrowed down and ordered by.
const KNOWN: &[Known] = &[
    Known { name: "name", kind: Kind::Text },
    Known { name: "user_id", kind: Kind::Number },
    Known { name: "first_name", kind: Kind::Text },
    Known { name: "last_name", kind: Kind::Text },
    Known { name: "email", kind: Kind::Text },
    Known { name: "groups", kind: Kind::List },
    Known { name: "is_system", kind: Kind::Flag },
];

/// Says which users there are and which groups each is in, by NSS.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the users
    Ls {
        #[command(flatten)]
        filter: Which,
        #[command(flatten)]
        page: Page,
        #[command(flatten)]
        format: Format,
    },
    /// Shows one user
    Get {
        #[command(flatten)]
        format: Format,
        /// The name or number
        #[arg(value_name = "USER")]
        name: String,
    },
    /// Says whether there is such a user
    Exists {
        /// The name or number
        #[arg(value_name = "USER")]
        name: String,
    },
    /// Shows who you are, as JSON; nothing is signed, the kernel says who asks
    SignedUser {
        /// Indented
        #[arg(short, long)]
        pretty: bool,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    const HEADS: &[&str] = &["NAME", "ID", "FULL NAME", "GROUPS"];
    match &arguments.command {
        Command::Ls { filter, page, format } => {
            let selection = filter.selection(KNOWN)?;
            let users = match filter.ids("user_id") {
                Some(ids) => ids.into_iter().map(by_id).collect(),
                None => User::all()?,
            };
            let users = selection.of(users, field);
            format.list(HEADS, page.of(&users, None), json, row)
        }
        Command::Get { format, name } => {
            let missing = || Failure::new(3, format!("there is no user '{}'", name.replace(char::is_control, "?")));
            format.one(HEADS, &User::find(name).ok_or_else(missing)?, json, row)
        }
        Command::Exists { name } => output::lines([User::find(name).is_some().to_string()]),
        Command::SignedUser { pretty } => {
            let id = rustix::process::geteuid().as_raw();
            let name = keyfs::names::user_name(keyfs::id::Uid(id));
            output::json(&json!({"name": name, "user_id": id, "expiry": null, "signature": null}), *pretty)
        }
    }
}

fn by_id(id: u32) -> User {
    User::find(&id.to_string()).unwrap_or_else(|| User::nameless(id))
}

fn field<'u>(user: &'u User, name: &str) -> Option<Field<'u>> {
    Some(match name {
        "user_id" => Field::Number(user.id.0.into()),
        "first_name" => Field::Text(user.first_name.as_str().into()),
        "last_name" => Field::Text(user.last_name.as_str().into()),
        "groups" => Field::List(user.groups.iter().map(|group| group.as_str().into()).collect()),
        "is_system" => Field::Flag(user.is_system()),
        // NSS knows of none.
        "email" => return None,
        _ => Field::Text(user.name.as_str().into()),
    })
}

fn json(user: &User) -> Json {
    json!({
        "name": user.name,
        "user_id": user.id.0,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": "",
        "groups": user.groups.join(","),
        "is_system": user.is_system(),
    })
}

fn row(user: &User) -> Vec<String> {
    let full_name = format!("{} {}", user.first_name, user.last_name);
    vec![user.name.clone(), user.id.to_string(), full_name.trim().to_owned(), user.groups.join(",")]
}

/// Which of them, and in what order.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// Which: such as "name starts_with a and not name = alice"
    #[arg(short, long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// In which order: +field or -field, several with blanks between them
    #[arg(short, long, value_name = "EXPRESSION", allow_hyphen_values = true)]
    sort: Option<String>,
}

impl Which {
    pub(crate) fn selection(&self, known: &[Known]) -> Result<Selection, Failure> {
        selection(self.filter.as_deref(), self.sort.as_deref(), known)
    }

    /// The ids, where the filter is a list of them and nothing else. They are looked up one by one, since not every source of
    /// NSS can list what it has; and who has an id and no account is shown under its number.
    pub(crate) fn ids(&self, field: &str) -> Option<Vec<u32>> {
        let rest = self.filter.as_deref()?.trim().strip_prefix(field)?.trim_start().strip_prefix('=')?;
        let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
        match rest.strip_prefix('[') {
            None => Some(vec![rest.parse().ok()?]),
            Some(list) => list.strip_suffix(']')?.split(',').map(|number| number.trim().parse().ok()).collect(),
        }
    }
}

/// How they are shown.
#[derive(clap::Args)]
pub(crate) struct Format {
    /// As JSON
    #[arg(short, long)]
    json: bool,
    /// With --json, indented
    #[arg(short, long)]
    pretty: bool,
}

impl Format {
    pub(crate) fn list<T>(
        &self,
        heads: &[&str],
        all: &[T],
        json: impl Fn(&T) -> Json,
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<(), Failure> {
        match self.json {
            true => output::json(&all.iter().map(json).collect::<Vec<_>>().into(), self.pretty),
            false => output::table(heads, &all.iter().map(row).collect::<Vec<_>>()),
        }
    }

    pub(crate) fn one<T>(
        &self,
        heads: &[&str],
        one: &T,
        json: impl Fn(&T) -> Json,
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<(), Failure> {
        match self.json {
            true => output::json(&json(one), self.pretty),
            false => output::table(heads, &[row(one)]),
        }
    }
}
