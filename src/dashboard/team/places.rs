//! The places that users have: so many at a time, each for as long as it is used.
//!
//! Invariants: a place in which something is going on is nobody else's; where all are taken, the one goes that was longest
//! unused, and only where something goes on in every one is the next user kept out.
//!
//! It deliberately knows no clock: who calls says what time it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What stands in a place.
pub(super) trait Occupied {
    /// Whether something is going on in it.
    fn is_busy(&self) -> bool;
}

/// See the module.
#[derive(Debug)]
pub(super) struct Places<P> {
    most: usize,
    /// How long a place stays that nobody uses.
    idle: Duration,
    taken: Mutex<HashMap<String, Place<P>>>,
}

#[derive(Debug)]
struct Place<P> {
    holds: Arc<P>,
    used: Instant,
}

impl<P: Occupied + Default> Places<P> {
    pub(super) fn new(most: usize, idle: Duration) -> Places<P> {
        Places { most, idle, taken: Mutex::default() }
    }

    /// The user's place, a new one where there is none; `None` where something goes on in all there can be.
    pub(super) fn of(&self, user: &str, now: Instant) -> Option<Arc<P>> {
        let mut taken = self.table();
        if !taken.contains_key(user) && taken.len() >= self.most {
            let unused = taken.iter().filter(|(_, place)| !place.holds.is_busy()).min_by_key(|(_, place)| place.used);
            let unused = unused.map(|(name, _)| name.clone())?;
            taken.remove(&unused);
        }
        let place = taken.entry(user.to_owned()).or_insert_with(|| Place { holds: Arc::default(), used: now });
        place.used = now;
        Some(Arc::clone(&place.holds))
    }

    /// Gives up a place that leads nowhere, unless another has taken its stead.
    pub(super) fn give_up(&self, user: &str, place: &Arc<P>) {
        let mut taken = self.table();
        if taken.get(user).is_some_and(|there| Arc::ptr_eq(&there.holds, place)) {
            taken.remove(user);
        }
    }

    /// Gives up those that were unused for long; the others in which something is going on, with their users.
    pub(super) fn look_through(&self, now: Instant) -> Vec<(String, Arc<P>)> {
        let mut busy = Vec::new();
        self.table().retain(|user, place| {
            if place.holds.is_busy() {
                place.used = now;
                busy.push((user.clone(), Arc::clone(&place.holds)));
            }
            now.saturating_duration_since(place.used) < self.idle
        });
        busy
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Place<P>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Fake(AtomicBool);

    impl Fake {
        fn set_busy(&self, busy: bool) {
            self.0.store(busy, Ordering::Relaxed);
        }
    }

    impl Occupied for Fake {
        fn is_busy(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    const IDLE: Duration = Duration::from_secs(300);

    fn places() -> (Places<Fake>, impl Fn(u64) -> Instant) {
        let begun = Instant::now();
        (Places::new(3, IDLE), move |seconds| begun + Duration::from_secs(seconds))
    }

    fn users(places: &Places<Fake>) -> Vec<String> {
        let mut users: Vec<_> = places.table().keys().cloned().collect();
        users.sort();
        users
    }

    #[test]
    fn the_one_that_was_longest_unused_makes_room() {
        let (places, at) = places();
        for (second, user) in ["alice", "bob", "carol", "alice"].into_iter().enumerate() {
            places.of(user, at(second as u64)).unwrap();
        }
        places.of("dave", at(4)).unwrap();
        assert_eq!(users(&places), ["alice", "carol", "dave"]);
    }

    #[test]
    fn one_in_which_something_goes_on_is_nobody_elses() {
        let (places, at) = places();
        let all: Vec<_> = ["alice", "bob", "carol"].iter().map(|user| places.of(user, at(0)).unwrap()).collect();
        all.iter().for_each(|place| place.set_busy(true));
        assert!(places.of("dave", at(1)).is_none());
        // Those who have one get it all the same, the very one.
        assert!(Arc::ptr_eq(&places.of("alice", at(1)).unwrap(), &all[0]));
        // The first of them that has nothing to do any more goes, although it was used last.
        all[0].set_busy(false);
        assert!(places.of("dave", at(2)).is_some());
        assert_eq!(users(&places), ["bob", "carol", "dave"]);
    }

    #[test]
    fn an_unused_one_ends_by_itself() {
        let (places, at) = places();
        let bobs = places.of("bob", at(0)).unwrap();
        places.of("alice", at(0)).unwrap();
        bobs.set_busy(true);
        let busy = places.look_through(at(299));
        assert_eq!(busy.iter().map(|(user, _)| user.as_str()).collect::<Vec<_>>(), ["bob"]);
        assert_eq!(users(&places), ["alice", "bob"]);
        assert_eq!(places.look_through(at(300)).len(), 1);
        assert_eq!(users(&places), ["bob"]);
        // From the moment on at which it was last seen at work.
        bobs.set_busy(false);
        assert!(places.look_through(at(599)).is_empty());
        assert_eq!(users(&places), ["bob"]);
        assert!(places.look_through(at(600)).is_empty());
        assert!(users(&places).is_empty());
    }

    #[test]
    fn what_led_nowhere_is_given_up_and_what_came_after_it_stays() {
        let (places, at) = places();
        let first = places.of("alice", at(0)).unwrap();
        places.give_up("alice", &first);
        assert!(users(&places).is_empty());
        places.of("alice", at(1)).unwrap();
        places.give_up("alice", &first);
        assert_eq!(users(&places), ["alice"]);
    }
}
