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
        let mut carry = 0;
        for (byte, more) in self.0.iter_mut().zip(digest).rev() {
            let total = u16::from(*byte) + u16::from(more) + carry;
            *byte = total as u8;
            carry = total >> 8;
        }
    }

    pub(super) fn take(&mut self, digest: [u8; 32]) {
        let mut borrow = 0;
        for (byte, less) in self.0.iter_mut().zip(digest).rev() {
            let total = 256 + u16::from(*byte) - u16::from(less) - borrow;
            *byte = total as u8;
            borrow = 1 - (total >> 8);
        }
    }

    /// What is stored: the sum, and a seal over it.
    pub(super) fn sealed(&self, ledger: &dyn Ledger, revision: Revision) -> Vec<u8> {
        [self.0, ledger.seal(revision, &self.0)].concat()
    }
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
