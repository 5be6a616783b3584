//! Values that say themselves who wrote them, as which one, and whether they are whole.

use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The value that is written to `name` as its `number`th, of `size` bytes or as many as its head takes.
pub fn value(name: &str, number: u64, size: usize) -> Vec<u8> {
    let head = format!("{name} {number} {size}\n");
    let mut bytes = head.into_bytes();
    let filling = body(number);
    while bytes.len() < size {
        bytes.push(filling);
    }
    bytes
}

fn body(number: u64) -> u8 {
    b'a' + (number % 26) as u8
}

/// Which of the values of `name` this is; an error where it is none, in whole.
pub fn number(name: &str, bytes: &[u8]) -> Result<u64, String> {
    let shown =
        || format!("{name}: {} bytes, {:?}…", bytes.len(), String::from_utf8_lossy(&bytes[..bytes.len().min(60)]));
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(shown)?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| shown())?;
    let mut words = head.split(' ');
    let own = words.next() == Some(name);
    let number = words.next().and_then(|word| word.parse().ok()).filter(|_| own).ok_or_else(shown)?;
    let size = words.next().and_then(|word| word.parse().ok()).ok_or_else(shown)?;
    if value(name, number, size) == bytes { Ok(number) } else { Err(shown()) }
}

/// Writes a value as programs do, and says what `close` said.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put_opened(std::fs::File::options().write(true).create(true).truncate(true), path, bytes)
}

/// The same, as these options open it.
pub fn put_opened(options: &mut std::fs::OpenOptions, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = options.mode(0o640).open(path)?;
    let written = file.write_all(bytes);
    let closed = nix::unistd::close(file).map_err(io::Error::from);
    written.and(closed)
}

/// Reads a value in parts, so that others have time to change it in between.
pub fn get(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    let (mut all, mut part) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        match file.read(&mut part)? {
            0 => return Ok(all),
            length => all.extend_from_slice(&part[..length]),
        }
    }
}

/// The errno of an outcome; 0 of a success.
pub fn errno<T>(outcome: &io::Result<T>) -> i32 {
    outcome.as_ref().err().map_or(0, |error| error.raw_os_error().unwrap_or(-1))
}
