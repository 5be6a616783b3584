//! `/proc/<tid>/status` of those who ask again and again, kept open: to read it once more costs half of what it costs to find it.
//!
//! Invariant: an open file of `/proc` belongs to one thread for as long as that lives, and is of no use once it is gone, whoever
//! has its number then. So what is read is what holds now, of the thread that was found.
//!
//! It deliberately keeps nothing of what was read: a thread's groups may be others the next time.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// How many files are kept open, at the most.
const KEPT: usize = 128;

/// A status is about 1.5 kB and a line of up to 65,536 groups; what is longer is not believed.
const LONGEST: usize = 1 << 20;

/// What a status takes as a rule.
const USUAL: usize = 4096;

static STATUSES: LazyLock<Mutex<HashMap<u32, Arc<File>>>> = LazyLock::new(Mutex::default);

fn statuses() -> MutexGuard<'static, HashMap<u32, Arc<File>>> {
    STATUSES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows `show` the status of a thread that waits for us, whole; `None` where there is none to be had. A thread of a foreign
/// pid namespace has the number 0 here.
pub(super) fn status<T>(thread: u32, show: impl Fn(&[u8]) -> T) -> Option<T> {
    if thread == 0 {
        return None;
    }
    let kept = statuses().get(&thread).map(Arc::clone);
    // One that fails is of a thread that was there before, and had the same number.
    if let Some(shown) = kept.and_then(|file| read(&file, &show)) {
        return Some(shown);
    }
    let file = Arc::new(File::open(format!("/proc/{thread}/status")).ok()?);
    let shown = read(&file, &show)?;
    keep(thread, file);
    Some(shown)
}

/// One read for all of it: what is read in parts may have changed in between.
fn read<T>(file: &File, show: impl Fn(&[u8]) -> T) -> Option<T> {
    let whole = |text: &mut [u8]| file.read_at(text, 0).ok().filter(|length| (1..text.len()).contains(length));
    let mut usual = [0; USUAL];
    if let Some(length) = whole(&mut usual) {
        return usual.get(..length).map(show);
    }
    let mut long = vec![0; LONGEST];
    let length = whole(&mut long)?;
    long.get(..length).map(show)
}

fn keep(thread: u32, file: Arc<File>) {
    let mut statuses = statuses();
    // Whose goes makes no difference to anybody but the one who has to look again.
    if statuses.len() >= KEPT
        && !statuses.contains_key(&thread)
        && let Some(other) = statuses.keys().next().copied()
    {
        statuses.remove(&other);
    }
    statuses.insert(thread, file);
}
