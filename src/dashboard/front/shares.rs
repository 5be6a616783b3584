//! How much of what all users share one of them may hold at a time.
//!
//! Invariant: what was taken is given back when its [`Share`] goes, whatever became of it; of who holds nothing nothing is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many each user holds.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    most: usize,
    held: Arc<Mutex<HashMap<String, usize>>>,
}

/// One that a user holds.
#[derive(Debug)]
pub(super) struct Share {
    user: String,
    of: Shares,
}

impl Shares {
    /// Nobody holds any yet.
    pub(super) fn new(most: usize) -> Shares {
        Shares { most, held: Arc::default() }
    }

    /// One more for this user, unless that is too many.
    pub(super) fn take(&self, user: &str) -> Option<Share> {
        let mut table = self.table();
        let held = table.entry(user.to_owned()).or_default();
        if *held >= self.most {
            return None;
        }
        *held += 1;
        Some(Share { user: user.to_owned(), of: self.clone() })
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut table = self.of.table();
        if let Some(held) = table.get_mut(&self.user) {
            *held -= 1;
            if *held == 0 {
                table.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_users_share_is_no_others() {
        let shares = Shares::new(2);
        let (first, _second) = (shares.take("alice").unwrap(), shares.take("alice").unwrap());
        assert!(shares.take("alice").is_none());
        let bobs = shares.take("bob");
        assert!(bobs.is_some());
        drop((first, bobs));
        assert!(shares.take("alice").is_some());
        assert_eq!(shares.table().len(), 1);
    }
}
