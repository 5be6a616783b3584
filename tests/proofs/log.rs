//! What a daemon's log says that it should not.

use crate::fixture::Mount;

/// Errors, warnings and panics.
pub fn complaints(mount: &Mount) -> Vec<String> {
    // A signal's notice that comes when its request has been answered is answered too, and there is nobody left for that.
    let late = |line: &&str| line.contains("Failed to send FUSE reply: No such file or directory");
    // Nor can keyfs do anything about a disk that is slow.
    let slow = |line: &&str| line.contains("the store's disk took");
    let complains = |line: &&str| ["ERROR", "WARN", "panicked"].iter().any(|word| line.contains(word));
    mount.logged().lines().filter(complains).filter(|line| !late(line) && !slow(line)).map(str::to_owned).collect()
}
