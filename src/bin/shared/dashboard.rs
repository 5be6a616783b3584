//! `dt dashboard` and `keyfs dashboard`: one command of both programs.
//!
//! Invariants: the token is on no command line, in no environment and in no file but the private one that a browser is
//! started with; stdout has the link and nothing else.
//!
//! It deliberately holds no logic but where a browser is to be found: the rest is `keyfs::dashboard`.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use keyfs::client::Mount;
use keyfs::dashboard::browser::Redirect;
use keyfs::dashboard::team::{self, Account, Team};
use keyfs::dashboard::{Dashboard, Options, Place};

use crate::exit::Failure;

/// Serves a page in a browser that shows and changes what you may: it runs in the foreground, prints the link and opens it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only print the link
    #[arg(long)]
    no_open: bool,
    /// Where to listen; port 0 is any free one [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "socket")]
    listen: Option<SocketAddr>,
    /// Listen at a Unix socket of yours instead, for `ssh -L` or a proxy
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// A group that may connect to the socket beside you
    #[arg(long, value_name = "GROUP", requires = "socket")]
    socket_group: Option<String>,
    /// What browsers call the dashboard, where that isn't its own address: keys.example.com, localhost:8080
    #[arg(long = "host", value_name = "NAME[:PORT]")]
    hosts: Vec<String>,
    /// Listen at an address that other machines reach, although whoever is in between sees what is typed
    #[arg(long)]
    allow_remote: bool,
    /// For a team: the header in which a proxy that has authenticated somebody names the user, as in X-Remote-User; takes root
    #[arg(long, value_name = "HEADER", conflicts_with = "no_open")]
    user_header: Option<String>,
    /// Where the proxy comes from, unless by the socket
    #[arg(long = "proxy", value_name = "ADDR", requires = "user_header")]
    proxies: Vec<IpAddr>,
    /// Let the proxy name root too
    #[arg(long, requires = "user_header")]
    allow_root: bool,
    /// Works for this user of a team, over stdin
    #[arg(long = "as", value_name = "UID:GID:GID,GID", hide = true)]
    helper: Option<Account>,
    /// Which mount [default: $KEYFS_MOUNT, else the only one there is]
    #[arg(value_name = "DIR")]
    mount: Option<PathBuf>,
}

pub(crate) fn run(program: &str, arguments: &Arguments) -> Result<(), Failure> {
    keyfs::seal::memory::forbid_dumps()
        .map_err(|error| Failure::system(format!("can't forbid core dumps: {error}")))?;
    if let Some(account) = &arguments.helper {
        return Ok(team::helper::run(mount(arguments)?, account)?);
    }
    let dashboard = Dashboard::bind(&options(arguments)?)?;
    let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", dashboard.link()));
    if let Some(header) = &arguments.user_header {
        env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("keyfs=warn")).init();
        note(program, &format!("the dashboard acts as whom the proxy names in {header}; Ctrl-C ends it"));
    } else {
        let user = keyfs::names::user_name(keyfs::id::Uid(nix::unistd::geteuid().as_raw()));
        note(program, &format!("the dashboard acts as {user}, for whoever has this link; Ctrl-C ends it"));
        if !arguments.no_open && arguments.socket.is_none() {
            open(program, &dashboard);
        }
    }
    Ok(dashboard.run()?)
}

fn mount(arguments: &Arguments) -> Result<Mount, Failure> {
    let variable = || set("KEYFS_MOUNT").map(PathBuf::from);
    Ok(Mount::find(arguments.mount.clone().or_else(variable).as_deref())?)
}

fn options(arguments: &Arguments) -> Result<Options, Failure> {
    let place = match &arguments.socket {
        Some(path) => Place::Socket { path: path.clone(), group: group(arguments.socket_group.as_deref())? },
        None => {
            let address = arguments.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
            Place::Port { address, remote: arguments.allow_remote }
        }
    };
    let program = std::env::current_exe().map_err(Failure::system)?;
    let team = arguments.user_header.clone().map(|header| Team {
        header,
        proxies: arguments.proxies.clone(),
        root: arguments.allow_root,
        program: program.into(),
    });
    Ok(Options { mount: mount(arguments)?, place, hosts: arguments.hosts.clone(), team })
}

fn group(name: Option<&str>) -> Result<Option<keyfs::id::Gid>, Failure> {
    let Some(name) = name else { return Ok(None) };
    let id = keyfs::names::group_id(name);
    id.map(Some).ok_or_else(|| Failure::usage(format!("there is no group '{}'", name.replace(char::is_control, "?"))))
}

/// Opens the link where there is something to open it with; whoever has the link needs none of it.
fn open(program: &str, dashboard: &Dashboard) {
    let Some(opener) = opener() else { return };
    let directory = set("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let opened = Redirect::write(&directory, dashboard.link()).and_then(|redirect| {
        redirect.open_with(&opener)?;
        dashboard.remove_when_used(redirect);
        Ok(())
    });
    if let Err(error) = opened {
        let reason = keyfs::client::error::reason(&error);
        note(program, &format!("can't open a browser: {reason}; open the link yourself"));
    }
}

/// What opens files here: the browser that somebody chose, or where there is a screen the desktop's own way.
fn opener() -> Option<OsString> {
    let chosen = set("BROWSER").and_then(|list| list.into_string().ok());
    let chosen = chosen.and_then(|list| list.split(':').map(str::to_owned).find(|one| !one.is_empty()));
    if let Some(chosen) = chosen.filter(|one| !one.contains('%')) {
        return Some(chosen.into());
    }
    let has_screen = ["WAYLAND_DISPLAY", "DISPLAY"].into_iter().any(|name| set(name).is_some());
    let path = set("PATH")?;
    let is_there = std::env::split_paths(&path).any(|directory| directory.join("xdg-open").is_file());
    (has_screen && is_there).then(|| "xdg-open".into())
}

fn set(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|value| !value.is_empty())
}

/// A line for people on stderr.
fn note(program: &str, text: &str) {
    // There is nobody to tell where that fails.
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{program}: {text}\n"));
}
