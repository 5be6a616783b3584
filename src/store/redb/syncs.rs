//! How long the medium takes to write all to stable storage: what writers wait for that keyfs can do nothing about.
//!
//! It deliberately judges nothing but what an operator has to be told of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::super::Syncs;

/// From here on the medium is what is wrong. Nobody waits for more than two syncs, the one that is under way and their own, so that
/// without a word of it these were no second.
const SLOW: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(super) struct Clock {
    count: AtomicU64,
    nanoseconds: AtomicU64,
    slowest: AtomicU64,
}

impl Clock {
    /// Takes the time of a sync.
    pub(super) fn time<T>(&self, sync: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = sync();
        self.note(begun.elapsed());
        done
    }

    fn note(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        self.slowest.fetch_max(nanoseconds, Ordering::Relaxed);
        if took >= SLOW {
            let milliseconds = took.as_millis();
            log::warn!("the store's disk took {milliseconds} ms for one sync, which whoever writes has waited for");
        }
    }

    pub(super) fn told(&self) -> Syncs {
        let time = |nanoseconds: &AtomicU64| Duration::from_nanos(nanoseconds.load(Ordering::Relaxed));
        Syncs { count: self.count.load(Ordering::Relaxed), time: time(&self.nanoseconds), slowest: time(&self.slowest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_stays() {
        let clock = Clock::default();
        assert_eq!(clock.told(), Syncs::default());
        [3, 400, 20].into_iter().for_each(|milliseconds| clock.note(Duration::from_millis(milliseconds)));
        let told = clock.told();
        assert_eq!((told.count, told.slowest, told.time), (3, Duration::from_millis(400), Duration::from_millis(423)));
        assert_eq!(clock.time(|| 7), 7);
        assert_eq!(clock.told().count, 4);
    }
}
