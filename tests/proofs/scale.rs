//! How much of a proof is run, and with which lots.

use std::time::{SystemTime, UNIX_EPOCH};

/// Whether the long form was asked for.
pub fn is_long() -> bool {
    std::env::var_os("KEYFS_PROOFS").is_some_and(|form| form == "long")
}

/// One of the two, by the form that was asked for.
pub fn either<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

/// The seed of this run's lots: that of `KEYFS_PROOFS_SEED`, else another one each time in the long form, and the same in the short
/// one, which must depend on nothing but what it looks at.
pub fn seed() -> u64 {
    match std::env::var("KEYFS_PROOFS_SEED") {
        Ok(seed) => seed.parse().expect("KEYFS_PROOFS_SEED is a number"),
        Err(_) if is_long() => drawn(),
        Err(_) => 1,
    }
}

/// A number that no other run has.
pub fn drawn() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_nanos() as u64
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
