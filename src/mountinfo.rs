//! The mounts of this process's namespace, and who has a file system in another one, from `/proc/self/mountinfo` (see `proc_pid_mountinfo(5)`).
//!
//! It deliberately keeps nothing: each look reads the kernel's table anew.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The type that a mount of keyfs shows.
pub const FILE_SYSTEM: &str = "fuse.keyfs";

/// One mount.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mount {
    /// Its number.
    pub id: u32,
    /// The number of its file system, as `major:minor`.
    pub device: String,
    /// Which directory of its file system it shows.
    pub root: PathBuf,
    /// Where.
    pub mount_point: PathBuf,
    /// Its type, such as `ext4`.
    pub file_system: String,
    /// What is mounted.
    pub source: String,
}

/// All mounts; of several at one place the last one is on top.
pub fn read() -> io::Result<Vec<Mount>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// What is on top at `path`, which has neither `.` nor `..` nor a symbolic link in it.
pub fn at(path: &Path) -> io::Result<Option<Mount>> {
    Ok(read()?.into_iter().rev().find(|mount| mount.mount_point == path))
}

/// A process in whose mount namespace a file system is mounted, by its [device](Mount::device), as far as the caller may look.
pub fn shown_to(device: &str) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?;
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let shows = |id: &u32| {
        let table = std::fs::read(format!("/proc/{id}/mountinfo")).unwrap_or_default();
        parse(&table).iter().any(|mount| mount.device == device)
    };
    ids.into_iter().find(shows)
}

/// The mounts of such a table; what is no line of one is left out.
pub fn parse(table: &[u8]) -> Vec<Mount> {
    table.split(|&byte| byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let mut fields = line.split(|&byte| byte == b' ');
    let id = text(fields.next()?).parse().ok()?;
    let device = text(fields.nth(1)?);
    let root = unescape(fields.next()?);
    let mount_point = unescape(fields.next()?);
    // A number of optional fields ends with a dash.
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    Some(Mount { id, device, root, mount_point, file_system: text(fields.next()?), source: text(fields.next()?) })
}

/// Blank, tab, newline and backslash are written as a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let table =
            b"36 35 98:0 /mnt1 /mnt\\040two rw,noatime master:1 - fuse.keyfs keyfs rw,errors=continue\n\nbad line\n";
        let mounts = parse(table);
        assert_eq!(
            mounts,
            [Mount {
                id: 36,
                device: "98:0".into(),
                root: "/mnt1".into(),
                mount_point: "/mnt two".into(),
                file_system: FILE_SYSTEM.into(),
                source: "keyfs".into(),
            }]
        );
    }

    #[test]
    fn the_root_is_mounted() {
        assert!(at(Path::new("/")).unwrap().is_some());
    }
}
