//! Many calls to the mount by a few threads.
//!
//! Invariant: results are in the order of what they are about, whichever thread has them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Error;

/// How many threads there are: the mount answers several at a time, and waiting for it is most of the work.
const THREADS: usize = 4;

/// So many items a thread takes at a time: many, so that they seldom meet, and few where there are few, so that none waits long
/// for the last one.
fn share(items: usize) -> usize {
    (items / (4 * THREADS)).clamp(4, 16)
}

/// Does something with each of many, and hands the results back.
///
/// # Errors
///
/// The first that one of them failed with.
pub(super) fn spread<I: Sync, T: Send>(
    items: &[I],
    call: impl Fn(&I) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let (share, next) = (share(items.len()), AtomicUsize::new(0));
    let done: Mutex<Vec<(usize, Vec<T>)>> = Mutex::default();
    let go_on = || -> Result<(), Error> {
        loop {
            let begin = next.fetch_add(share, Ordering::Relaxed);
            let Some(mine) = items.get(begin..(begin + share).min(items.len())).filter(|mine| !mine.is_empty()) else {
                return Ok(());
            };
            let results = mine.iter().map(&call).collect::<Result<Vec<_>, _>>();
            if results.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            done.lock().unwrap_or_else(PoisonError::into_inner).push((begin, results?));
        }
    };
    let threads = THREADS.min(items.len().div_ceil(share));
    match threads {
        0 | 1 => go_on()?,
        threads => std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(go_on)).collect();
            let own = go_on();
            // A panic of a thread goes on in this one.
            let joined = others.into_iter().map(|other| other.join());
            let outcomes: Vec<_> = joined.map(|end| end.unwrap_or_else(|why| std::panic::resume_unwind(why))).collect();
            outcomes.into_iter().chain(std::iter::once(own)).collect::<Result<(), _>>()
        })?,
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(begin, _)| *begin);
    Ok(done.into_iter().flat_map(|(_, results)| results).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order() {
        for count in [0, 1, 3, 4, 5, 16, 17, 63, 64, 255, 256, 1000] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(spread(&items, |item| Ok(item * 2)).unwrap(), items.iter().map(|n| n * 2).collect::<Vec<_>>());
        }
        let items: Vec<usize> = (0..1000).collect();
        let failing = |item: &usize| if *item == 700 { Err(Error::Permissions("no".into())) } else { Ok(*item) };
        assert!(spread(&items, failing).is_err());
    }
}
