//! The sum of all rows' digests, and what is stored of it.
//!
//! Invariant: adding and taking away are exact modulo 2^256, so that the sum depends on the rows alone and not on the
//! order of the commits that led to them.
//!
//! It deliberately computes no digest: that takes a key, which the store does not have.

use thiserror::Error;

use super::super::{CommitError, Ledger};
use crate::id::Revision;

/// What a store knows about its own ledger.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LedgerState {
    /// The rows are those that the ledger was last sealed over, and from now on each commit seals it anew.
    Attached,
    /// The store has never had a ledger. Whoever knows that it should have one must take this for tampering, since
    /// anyone who can write the file can make it look so.
    Absent,
    /// The rows, the revision or the ledger have been changed by something that does not hold the key, or the key is
    /// another one.
    Tampered,
}

/// Why a ledger was not started.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The store has one, and it has not been attached.
    #[error("the store has a ledger already: attach it before another one is started")]
    Kept,
    /// It could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// A number of 256 bits, its most significant byte first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Sum(pub(super) [u8; 32]);

impl Sum {
    pub(super) fn add(&mut self, digest: [u8; 32]) {
        let ((high, low), (more_high, more_low)) = (halves(&self.0), halves(&digest));
        let (low, carry) = low.overflowing_add(more_low);
        self.set(high.wrapping_add(more_high).wrapping_add(carry.into()), low);
    }

    pub(super) fn take(&mut self, digest: [u8; 32]) {
        let ((high, low), (less_high, less_low)) = (halves(&self.0), halves(&digest));
        let (low, borrow) = low.overflowing_sub(less_low);
        self.set(high.wrapping_sub(less_high).wrapping_sub(borrow.into()), low);
    }

    fn set(&mut self, high: u128, low: u128) {
        let (first, last) = self.0.split_at_mut(16);
        first.copy_from_slice(&high.to_be_bytes());
        last.copy_from_slice(&low.to_be_bytes());
    }

    /// What is stored: the sum, and a seal over it.
    pub(super) fn sealed(&self, ledger: &dyn Ledger, revision: Revision) -> Vec<u8> {
        [self.0, ledger.seal(revision, &self.0)].concat()
    }
}

fn halves(number: &[u8; 32]) -> (u128, u128) {
    let half = |bytes: &[u8]| bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let (high, low) = number.split_at(16);
    (half(high), half(low))
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn a_sum_comes_back_whatever_the_order() {
        let digest = |n: u8| std::array::from_fn(|i| n.wrapping_mul(i as u8 | 0x81).wrapping_add(n));
        let mut sum = Sum::default();
        (1..=200).for_each(|n| sum.add(digest(n)));
        (1..=200).rev().step_by(2).for_each(|n| sum.take(digest(n)));
        let odd = sum;
        (1..=200).step_by(2).for_each(|n| sum.take(digest(n)));
        assert_eq!(sum, Sum::default());
        (1..=200).rev().skip(1).step_by(2).for_each(|n| sum.add(digest(n)));
        assert_eq!(sum, odd);
    }

    #[test]
    fn it_wraps_at_both_ends() {
        let mut one = [0; 32];
        one[31] = 1;
        let mut sum = Sum::default();
        sum.take(one);
        assert_eq!(sum.0, [0xff; 32]);
        sum.add(one);
        assert_eq!(sum, Sum::default());
    }
}
