//! `dt kv watch`.
//!
//! Invariant: no value is read or shown, and none is handed to the command that runs: it gets names, and reads what it may.

use std::collections::HashMap;
use std::ffi::OsString;
use std::process::{Command, Stdio};

use clap_complete::engine::ArgValueCompleter;
use keyfs::client::watch::{Event, Told, Watch};
use keyfs::id::Uid;
use keyfs::key::Tree;
use keyfs::names;
use serde_json::json;

use crate::completions::keys;
use crate::context::{mount, wanted};
use crate::exit::Failure;
use crate::output;

/// Says what changes, a line for each, until it is ended. With a command behind `--`, runs that for each change, one after another.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The secrets alone
    #[arg(short, long)]
    secure: bool,
    /// The variables alone
    #[arg(long, conflicts_with = "secure")]
    variables: bool,
    /// The environments, with commas between them
    #[arg(short = 'e', long, visible_alias = "env", value_name = "ENV,…")]
    environment: Option<String>,
    /// Each change as a line of JSON
    #[arg(short, long)]
    json: bool,
    /// Begin behind the change with this cursor, which --json shows; 0 is the first that is known
    #[arg(long, value_name = "CURSOR")]
    since: Option<u64>,
    /// End after so many changes
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// What the keys begin with
    #[arg(value_name = "PREFIX", default_value = "", add = ArgValueCompleter::new(keys))]
    prefix: String,
    /// A command for each change, with its key in $KEYFS_KEY, and $KEYFS_ENV, $KEYFS_TREE, $KEYFS_KIND, $KEYFS_VERSION, $KEYFS_TO,
    /// $KEYFS_CURSOR and $KEYFS_USER
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mount = mount()?;
    let names: Vec<Option<&str>> = match arguments.environment.as_deref() {
        Some(list) => list.split(',').map(|name| Some(name.trim())).collect(),
        None => vec![None],
    };
    let scopes = names.into_iter().map(|name| Ok(mount.scope(&wanted(name)?)?)).collect::<Result<Vec<_>, Failure>>()?;
    let Some(first) = scopes.first() else { return Ok(()) };
    let environments: Vec<&str> = scopes.iter().filter_map(|scope| scope.name()).collect();
    let mut watch = Watch::open(first, arguments.since)?;
    let mut users = Users::default();
    let (mut shown, mut begun) = (0, false);
    // In a mount of one environment that doesn't say which, it is the only one.
    let here = |event: &Event| environments.is_empty() || environments.contains(&event.environment.as_str());
    let gone = || Failure::new(5, format!("the mount at {} is gone", mount.path().display()));
    while arguments.count.is_none_or(|count| shown < count) {
        let told = watch.wait()?.ok_or_else(gone)?;
        let first = !std::mem::replace(&mut begun, true);
        match told {
            // Whoever asks for all that is known misses nothing of it.
            Told::Lost(_) if first && arguments.since == Some(0) => {}
            Told::Lost(cursor) => lost(arguments, cursor)?,
            Told::Change(event) if here(&event) && arguments.wants(&event) => {
                shown += 1;
                show(arguments, &event, users.name(event.by))?;
                if let Some((program, rest)) = arguments.command.split_first() {
                    answer(program, rest, &event, users.name(event.by), mount.path());
                }
            }
            Told::Change(_) => {}
        }
    }
    Ok(())
}

impl Arguments {
    fn wants(&self, event: &Event) -> bool {
        let tree = match event.tree {
            Some(Tree::Secrets) => !self.variables,
            Some(Tree::Variables) => !self.secure,
            None => true,
        };
        tree && event.concerns(&self.prefix)
    }
}

/// The names of users, each looked up once.
#[derive(Default)]
struct Users(HashMap<Uid, String>);

impl Users {
    fn name(&mut self, id: Uid) -> &str {
        self.0.entry(id).or_insert_with(|| names::user_name(id))
    }
}

fn lost(arguments: &Arguments, cursor: u64) -> Result<(), Failure> {
    if arguments.json {
        output::lines([json!({"cursor": cursor, "kind": "lost"}).to_string()])?;
    }
    output::note("changes before this are no longer known: look at the keys anew");
    Ok(())
}

fn show(arguments: &Arguments, event: &Event, user: &str) -> Result<(), Failure> {
    let Event { cursor, time, environment, tree, key, version, kind, to, by } = event;
    if arguments.json {
        let mut line = json!({
            "cursor": cursor, "time": time, "env": environment, "tree": tree.map(Tree::as_str), "key": key,
            "version": version, "kind": kind, "uid": by.0, "user": user,
        });
        if let (Some(to), Some(line)) = (to, line.as_object_mut()) {
            line.insert("to".into(), json!(to));
        }
        return output::lines([line.to_string()]);
    }
    let key = match to {
        Some(to) => format!("{} → {}", output::cell(key.as_bytes()), output::cell(to.as_bytes())),
        None => output::cell(key.as_bytes()),
    };
    let tree = tree.map_or("", Tree::as_str);
    let version = version.map(|version| version.to_string()).unwrap_or_default();
    let user = output::plain(user);
    // To the second, for people; JSON has all of it.
    let time = &match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.clone(),
    };
    match output::is_terminal() {
        // Each line is shown as it comes, so that widths are guessed.
        true => output::lines([format!("{time}  {kind:<10}  {environment:<4}  {tree:<9}  {key}  {version}  {user}")]),
        false => output::lines([[time, kind, environment, tree, &key, &version, &user].join("\t")]),
    }
}

/// Runs the command for a change. It is nobody's child to wait for but ours, so that two never run at a time.
fn answer(program: &OsString, rest: &[OsString], event: &Event, user: &str, mount: &std::path::Path) {
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).env("KEYFS_MOUNT", mount);
    command.env("KEYFS_KEY", &event.key).env("KEYFS_ENV", &event.environment);
    command.env("KEYFS_TREE", event.tree.map_or("", Tree::as_str)).env("KEYFS_KIND", &event.kind);
    command.env("KEYFS_VERSION", event.version.map(|version| version.to_string()).unwrap_or_default());
    command.env("KEYFS_TO", event.to.as_deref().unwrap_or_default());
    command.env("KEYFS_CURSOR", event.cursor.to_string()).env("KEYFS_USER", user);
    let program = output::plain(&program.to_string_lossy());
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => output::note(&format!("{program} ended with {status} for {}", output::plain(&event.key))),
        Err(error) => output::note(&format!("can't run {program}: {}", keyfs::client::error::reason(&error))),
    }
}
