//! `keyfs status`.

use std::path::{Path, PathBuf};

use keyfs::fs::mount::MountError;
use keyfs::mountinfo;
use serde_json::Value;

use crate::exit::Failure;

/// Says what a mount of keyfs is doing; without DIR, each of them.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// As JSON: an object for DIR, an array without
    #[arg(long)]
    json: bool,
    /// Which mount
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    // A mount that does not answer is no reason to say nothing of the others.
    let mut silent = None;
    let all: Vec<_> = match &arguments.directory {
        Some(directory) => {
            let mounted = keyfs::fs::mount::find(directory)?;
            vec![(mounted.mount_point.clone(), read(&mounted.mount_point)?)]
        }
        None => {
            let mounts = mountinfo::read().map_err(Failure::system)?;
            let ours = mounts.into_iter().filter(|mount| mount.file_system == mountinfo::FILE_SYSTEM);
            let told = |mount: mountinfo::Mount| match read(&mount.mount_point) {
                Ok(status) => Some((mount.mount_point, status)),
                Err(failure) => {
                    silent.get_or_insert(failure);
                    None
                }
            };
            ours.filter_map(told).collect()
        }
    };
    if arguments.json {
        let values: Vec<Value> = all.into_iter().map(|(_, status)| status).collect();
        match (arguments.directory.is_some(), values.first()) {
            (true, Some(status)) => say!("{status:#}"),
            _ => say!("{:#}", Value::Array(values)),
        }
        return silent.map_or(Ok(()), Err);
    }
    if all.is_empty() && silent.is_none() {
        return Err(Failure::new(10, "no keyfs is mounted; `keyfs mount --create DIR` makes a store and mounts it"));
    }
    for (mount_point, status) in &all {
        say!("{}", summary(mount_point, status));
    }
    silent.map_or(Ok(()), Err)
}

/// The status that a mount tells of itself.
pub(crate) fn read(mount_point: &Path) -> Result<Value, Failure> {
    let path = mount_point.join(".keyfs/status");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {
            let why = "its daemon is gone; `keyfs mount` there clears it, or `keyfs umount --lazy`";
            return Err(Failure::new(10, format!("{}: {why}", mount_point.display())));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(MountError::NotMounted(mount_point.into()).into());
        }
        Err(error) => return Err(Failure::system(format!("{}: {error}", path.display()))),
    };
    serde_json::from_slice(&text).map_err(|error| Failure::system(format!("{}: {error}", path.display())))
}

fn summary(mount_point: &Path, status: &Value) -> String {
    let text = |path: &str| match status.pointer(path) {
        // It may be anybody's mount, and a terminal would obey.
        Some(Value::String(text)) => text.replace(char::is_control, "?"),
        Some(value) => value.to_string(),
        None => "?".into(),
    };
    let mebibytes =
        |path: &str| status.pointer(path).and_then(Value::as_u64).map_or(0.0, |size| size as f64 / 1_048_576.0);
    let mut lines = vec![
        format!(
            "{}: keyfs {}, process {}, up {} s",
            mount_point.display(),
            text("/version"),
            text("/pid"),
            text("/uptime_seconds")
        ),
        format!(
            "  store    {} ({:.1} MiB, {:.1} MiB free)",
            text("/store/path"),
            mebibytes("/store/size_bytes"),
            mebibytes("/store/free_bytes")
        ),
        format!("  audit    {}", text("/audit_log")),
        format!("  secrets  {} granted, {} denied since the start", text("/secrets_granted"), text("/secrets_denied")),
    ];
    if let Some(environments) = status.get("keys").and_then(Value::as_object) {
        for (environment, trees) in environments {
            let environment = environment.replace(char::is_control, "?");
            let count = |tree: &str| trees.get(tree).and_then(Value::as_u64).unwrap_or(0);
            lines.push(format!("  {environment:<8} {} variables, {} secrets", count("variables"), count("secrets")));
        }
    }
    lines.join("\n")
}
