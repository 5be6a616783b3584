//! The memory of another process, searched by root: which of its pages hold a text, and how the kernel treats those.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

const PAGE: u64 = 4096;
/// How much is searched at once.
const PART: u64 = 1 << 20;

/// A mapping of a process in which the text was found.
#[derive(Clone)]
pub struct Found {
    /// What it maps, and its flags as `/proc/<pid>/smaps` has them.
    pub name: String,
    pub flags: String,
    /// What stands around each place, as text.
    pub places: Vec<String>,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let different: std::collections::BTreeSet<_> = self.places.iter().collect();
        write!(f, "{} [{}] in {} pages, such as {different:?}", self.name, self.flags, self.places.len())
    }
}

impl Found {
    pub fn is_locked(&self) -> bool {
        self.flags.split_whitespace().any(|flag| flag == "lo")
    }

    pub fn is_left_out_of_dumps(&self) -> bool {
        self.flags.split_whitespace().any(|flag| flag == "dd")
    }
}

/// Where a text stands in the pages that a process has in memory.
pub fn search(pid: u32, sought: &[u8]) -> Vec<Found> {
    let memory = File::open(format!("/proc/{pid}/mem")).expect("its memory");
    let pages = File::open(format!("/proc/{pid}/pagemap")).expect("its pages");
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).expect("its mappings");
    let mut found = Vec::new();
    let mut range = None;
    for line in text.lines() {
        if let Some(head) = head(line) {
            range = Some(head);
        } else if let Some(flags) = line.strip_prefix("VmFlags:") {
            let (from, to, name) = range.take().expect("the first line of a mapping");
            let places = places(&memory, &pages, from..to, sought);
            if !places.is_empty() {
                found.push(Found { name, flags: flags.trim().to_owned(), places });
            }
        }
    }
    assert!(text.contains("VmFlags:"), "the kernel tells no flags");
    found
}

/// The first line of a mapping: from, to, and what it maps.
fn head(line: &str) -> Option<(u64, u64, String)> {
    let (from, to) = line.split_whitespace().next()?.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    Some((address(from)?, address(to)?, line.split_whitespace().nth(5).unwrap_or("anonymous").to_owned()))
}

fn places(memory: &File, pages: &File, range: std::ops::Range<u64>, sought: &[u8]) -> Vec<String> {
    let mut places = Vec::new();
    let mut bytes = Vec::new();
    let (mut start, mut at) = (range.start, range.start);
    while at < range.end {
        // A page that is not there holds nothing, and is not to be brought in by looking at it.
        let there = is_present(pages, at);
        let mut page = vec![0; PAGE as usize];
        if there && memory.read_exact_at(&mut page, at).is_ok() {
            bytes.extend_from_slice(&page);
        }
        at += PAGE;
        if !there || at == range.end || at - start >= PART {
            collect(&bytes, sought, &mut places);
            // What begins in this part may end in the next one.
            let kept = if there { bytes.len().min(sought.len() - 1) } else { 0 };
            bytes.drain(..bytes.len() - kept);
            start = at;
        }
    }
    places
}

fn is_present(pages: &File, address: u64) -> bool {
    let mut entry = [0; 8];
    let read = pages.read_exact_at(&mut entry, address / PAGE * 8);
    // In memory, or in the swap space.
    read.is_ok() && u64::from_le_bytes(entry) >> 62 != 0
}

fn collect(bytes: &[u8], sought: &[u8], places: &mut Vec<String>) {
    let mut from = 0;
    while let Some(at) = find(&bytes[from..], sought) {
        let at = from + at;
        let around = &bytes[at.saturating_sub(12)..(at + sought.len() + 4).min(bytes.len())];
        places.push(around.escape_ascii().to_string());
        // One for each value, not for each time that the value repeats it.
        from = (at + PAGE as usize).min(bytes.len());
    }
}

/// Where a text first stands.
pub fn find(bytes: &[u8], sought: &[u8]) -> Option<usize> {
    let (first, rest) = sought.split_first().expect("a text");
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first) {
        from += at + 1;
        if bytes[from..].starts_with(rest) {
            return Some(from - 1);
        }
    }
    None
}
