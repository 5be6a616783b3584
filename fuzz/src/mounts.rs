//! The kernel's table of mounts: any bytes give at most as many mounts as there are lines, and a path that is written as the
//! kernel writes it comes back.

use std::os::unix::ffi::OsStrExt;

use keyfs::mountinfo;

/// See the module.
pub fn run(input: &[u8]) {
    let mounts = mountinfo::parse(input);
    assert!(mounts.len() <= input.split(|&byte| byte == b'\n').count());

    let line = [b"36 35 98:0 / ", escaped(input).as_slice(), b" rw master:1 - fuse.keyfs keyfs rw\n"].concat();
    let mounts = mountinfo::parse(&line);
    assert_eq!(mounts.len(), 1);
    assert_eq!(mounts[0].mount_point.as_os_str().as_bytes(), input);
    assert_eq!(mounts[0].file_system, mountinfo::FILE_SYSTEM);
}

/// As `seq_escape` in Linux does for blank, tab, newline and backslash.
fn escaped(path: &[u8]) -> Vec<u8> {
    let octal = |byte: u8| format!("\\{byte:03o}").into_bytes();
    path.iter().flat_map(|&byte| if b" \t\n\\".contains(&byte) { octal(byte) } else { vec![byte] }).collect()
}
