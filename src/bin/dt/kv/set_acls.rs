//! `dt kv set-acls` and `dt kv add-acls`, and the options that name groups and users.

use keyfs::client::edit::change;
use keyfs::client::permissions::{Change, How};

use crate::context::Key;
use crate::exit::Failure;

/// Who is to read and write a key.
#[derive(clap::Args)]
pub(crate) struct Who {
    /// Groups and what each may, such as analysts:r,ops:rw
    #[arg(short, long, value_name = "GROUP:RIGHTS,…")]
    groups: Option<String>,
    /// Users and what each may, such as alice:r,bob:rw; for a secret, the group that is a user's alone
    #[arg(short, long, value_name = "USER:RIGHTS,…")]
    users: Option<String>,
    /// What everybody may: r, w, rw or -; nothing on a secret
    #[arg(short, long, value_name = "RIGHTS", allow_hyphen_values = true)]
    others: Option<String>,
}

impl Who {
    pub(crate) fn change(&self, secure: bool) -> Result<Change, Failure> {
        Ok(Change::parse(self.groups.as_deref(), self.users.as_deref(), self.others.as_deref(), secure)?)
    }

    fn is_nobody(&self) -> bool {
        self.groups.is_none() && self.users.is_none() && self.others.is_none()
    }
}

/// Sets who may use a key: whoever isn't named loses it, but for the owner.
#[derive(clap::Args)]
pub(crate) struct Set {
    #[command(flatten)]
    of: Arguments,
}

/// Lets others use a key beside those who may.
#[derive(clap::Args)]
pub(crate) struct Add {
    #[command(flatten)]
    of: Arguments,
}

#[derive(clap::Args)]
struct Arguments {
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    who: Who,
}

pub(crate) fn set(arguments: &Set) -> Result<(), Failure> {
    run(&arguments.of, How::Replace)
}

pub(crate) fn add(arguments: &Add) -> Result<(), Failure> {
    run(&arguments.of, How::Add)
}

fn run(arguments: &Arguments, how: How) -> Result<(), Failure> {
    if arguments.who.is_nobody() {
        return Err(Failure::usage("nobody is named: -g, -u or -o says who may use the key"));
    }
    let who = arguments.who.change(arguments.key.secure)?;
    Ok(change(&arguments.key.entry()?, &who, how)?)
}
