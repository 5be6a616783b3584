//! A caller that does what it is told in a directory, a system call at a time, and says what came of it.
//!
//! An operation is a line: its name and its arguments, with tabs in between. Paths are relative to a directory that is told
//! with each, so that the same can be done in several. The answer is the errno's number, or `ok` and what there is to tell.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    Access, AtFlags, CWD, Gid, Mode, RenameFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid, XattrFlags,
};

/// The attributes that ACLs are in.
pub const ACLS: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];

/// Does each line of its input, in a worker.
pub fn work(_: &[String]) -> Result<String, String> {
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let parts: Vec<&str> = line.split('\t').collect();
        let [base, operation, rest @ ..] = parts.as_slice() else { return Err(line) };
        println!("{}", told(&perform(Path::new(base), operation, rest)));
    }
    Ok(String::new())
}

fn told(answer: &std::io::Result<String>) -> String {
    match answer {
        Ok(answer) => format!("ok {answer}"),
        Err(error) => error.raw_os_error().map_or_else(|| error.to_string(), |errno| errno.to_string()),
    }
}

fn number(text: &str) -> u32 {
    text.parse().expect("a number")
}

/// One operation.
pub fn perform(base: &Path, operation: &str, arguments: &[&str]) -> std::io::Result<String> {
    let path = |text: &str| -> PathBuf { base.join(text) };
    let bits = |text: &str| Mode::from_raw_mode(number(text));
    let done = |answer: Result<(), rustix::io::Errno>| answer.map(|()| String::new()).map_err(std::io::Error::from);
    match (operation, arguments) {
        ("put", [name, how, mode, umask, value]) => {
            rustix::process::umask(bits(umask));
            put(&path(name), how, number(mode), value.as_bytes())
        }
        ("get", [name]) => get(&path(name)),
        ("truncate", [name, length]) => {
            nix::unistd::truncate(&path(name), number(length).into()).map(|()| String::new()).map_err(Into::into)
        }
        ("mkdir", [name, mode, umask]) => {
            rustix::process::umask(bits(umask));
            done(rustix::fs::mkdirat(CWD, path(name), bits(mode)))
        }
        ("rmdir", [name]) => done(rustix::fs::unlinkat(CWD, path(name), AtFlags::REMOVEDIR)),
        ("unlink", [name]) => done(rustix::fs::unlinkat(CWD, path(name), AtFlags::empty())),
        ("rename", [from, to, flags]) => {
            let flags = RenameFlags::from_bits_retain(number(flags));
            done(rustix::fs::renameat_with(CWD, path(from), CWD, path(to), flags))
        }
        ("chmod", [name, mode]) => done(rustix::fs::chmod(path(name), bits(mode))),
        ("chown", [name, uid, gid]) => {
            let id = |text: &str| Some(number(text)).filter(|id| *id != u32::MAX);
            done(rustix::fs::chown(path(name), id(uid).map(Uid::from_raw), id(gid).map(Gid::from_raw)))
        }
        ("setacl", [name, which, blob]) => {
            let flags = XattrFlags::empty();
            done(rustix::fs::setxattr(path(name), ACLS[number(which) as usize], &bytes(blob), flags))
        }
        ("removeacl", [name, which]) => done(rustix::fs::removexattr(path(name), ACLS[number(which) as usize])),
        ("access", [name, wanted]) => {
            done(rustix::fs::accessat(CWD, path(name), Access::from_bits_retain(number(wanted)), AtFlags::empty()))
        }
        ("times", [name, accessed, modified]) => {
            let time = |text: &str| match text {
                "now" => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
                "omit" => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
                second => Timespec { tv_sec: number(second).into(), tv_nsec: 5 },
            };
            let times = Timestamps { last_access: time(accessed), last_modification: time(modified) };
            done(rustix::fs::utimensat(CWD, path(name), &times, AtFlags::empty()))
        }
        ("setfacl", [name, options @ ..]) => {
            let mut command = std::process::Command::new("setfacl");
            let status =
                command.args(options).arg("--").arg(path(name)).stderr(std::process::Stdio::null()).status()?;
            Ok(format!("{status}"))
        }
        ("tree", []) => Ok(tree(base)),
        ("stat", [name]) => Ok(attributes(&path(name), false)),
        _ => panic!("no operation: {operation} {arguments:?}"),
    }
}

fn put(path: &Path, how: &str, mode: u32, value: &[u8]) -> std::io::Result<String> {
    let mut options = OpenOptions::new();
    options.mode(mode);
    match how {
        "truncate" => options.write(true).create(true).truncate(true),
        "append" => options.append(true).create(true),
        "exclusive" => options.write(true).create_new(true),
        "there" => options.write(true).truncate(true),
        _ => options.read(true).write(true).create(true),
    };
    let mut file = options.open(path)?;
    file.write_all(value)?;
    nix::unistd::close(file)?;
    Ok(String::new())
}

fn get(path: &Path) -> std::io::Result<String> {
    let mut value = Vec::new();
    File::open(path)?.read_to_end(&mut value)?;
    Ok(value.escape_ascii().to_string())
}

/// All that can be seen below a directory, a line for each entry; what can't be seen is told by its errno.
fn tree(base: &Path) -> String {
    let mut lines = Vec::new();
    let mut waiting = vec![base.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        let shown = directory.strip_prefix(base).expect("below it").display().to_string();
        let listed = std::fs::read_dir(&directory).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        match listed {
            Err(error) => lines.push(format!("{shown}/: {}", error.raw_os_error().unwrap_or_default())),
            Ok(entries) => {
                for entry in entries {
                    let path = entry.path();
                    let kind = entry.file_type().map(|kind| kind.is_dir());
                    let name = String::from_utf8_lossy(entry.file_name().as_bytes()).into_owned();
                    lines.push(format!("{shown}/{name}: {}", attributes(&path, true)));
                    if kind.is_ok_and(|directory| directory) {
                        waiting.push(path);
                    }
                }
            }
        }
    }
    lines.sort();
    lines.join("|")
}

/// Everything of an entry that means the same on every file system. The size of a directory doesn't, nor do its times after a
/// change in it, to the nanosecond.
pub fn attributes(path: &Path, with_value: bool) -> String {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) => return format!("{}", error.raw_os_error().unwrap_or_default()),
    };
    let size = if found.is_dir() { String::from("directory") } else { format!("{} bytes", found.len()) };
    let mut text =
        format!("{:o} {}:{} links {} {size}", found.mode() & 0o7777, found.uid(), found.gid(), found.nlink());
    // A time that somebody has set is whole seconds and 5 ns; all others are moments of this run. A read moves the access time
    // on ext4 and tmpfs, and never here.
    if found.is_dir() && found.mtime_nsec() == 5 && found.mtime() < 1_000_000 {
        text.push_str(&format!(" modified {}", found.mtime()));
    }
    for name in ACLS {
        let mut blob = [0; 4096];
        match rustix::fs::getxattr(path, name, &mut blob) {
            Ok(length) => text.push_str(&format!(" {}", hexadecimal(&blob[..length]))),
            Err(rustix::io::Errno::NODATA) => {}
            Err(error) => text.push_str(&format!(" {}", error.raw_os_error())),
        }
    }
    if with_value && found.is_file() {
        text.push_str(&format!(" {}", told(&get(path))));
    }
    text
}

/// The time of modification that somebody has set.
pub fn modified(path: &Path) -> String {
    let found = path.symlink_metadata();
    found
        .map(|found| if found.mtime_nsec() == 5 { found.mtime().to_string() } else { "now".into() })
        .unwrap_or_default()
}

pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    let digit = |digit: u8| (digit as char).to_digit(16).expect("a digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
