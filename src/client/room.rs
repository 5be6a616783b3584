//! How many bytes of values are gathered for one undertaking.
//!
//! Invariant: whoever gathers values takes room for each, and the one with which they are too much ends it: no more than the
//! limit is held, and what each thread reads at that moment.
//!
//! It deliberately gives nothing back: what was gathered is held until all of it is used.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Error;
use super::batch::BYTES;

/// So many MiB, in words.
const MIB: usize = BYTES >> 20;

/// Room for the values of one undertaking.
#[derive(Debug)]
pub struct Room {
    /// What is done with them, as in `copy`.
    doing: &'static str,
    /// Which keys they are of, in words.
    what: String,
    /// What to do where they are too much.
    instead: &'static str,
    values: AtomicUsize,
    bytes: AtomicUsize,
}

impl Room {
    /// As much as one commit takes.
    pub fn new(doing: &'static str, what: String, instead: &'static str) -> Room {
        Room { doing, what, instead, values: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// Takes room for one more value.
    ///
    /// # Errors
    ///
    /// That there is no more.
    pub fn take(&self, value: &[u8]) -> Result<(), Error> {
        let values = self.values.fetch_add(1, Ordering::Relaxed) + 1;
        let before = self.bytes.fetch_add(value.len(), Ordering::Relaxed);
        if before.saturating_add(value.len()) <= BYTES {
            return Ok(());
        }
        let (doing, what, instead) = (self.doing, self.what.clone(), self.instead);
        let reason = match values {
            1 => format!("the first value is longer than the {MIB} MiB that one step takes: {instead}"),
            _ => format!("the values of {values} of them are more than the {MIB} MiB that one step takes: {instead}"),
        };
        Err(Error::TooMuch { doing, what, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Room {
        Room::new("copy", "9 keys from dev to pre".into(), "copy fewer at a time")
    }

    #[test]
    fn there_is_room_for_what_a_commit_takes_and_no_byte_more() {
        let half = vec![0; BYTES / 2];
        let exact = room();
        assert!(exact.take(&half).is_ok() && exact.take(&half).is_ok() && exact.take(&[]).is_ok());
        let error = exact.take(&[0]).unwrap_err();
        let said = "can't copy 9 keys from dev to pre: the values of 4 of them are more than the 32 MiB that one step takes: \
                    copy fewer at a time";
        assert_eq!(error.to_string(), said);
        // Whoever goes on all the same is refused again.
        assert!(exact.take(&[0]).is_err());
        assert!(room().take(&vec![0; BYTES + 1]).unwrap_err().to_string().contains("the first value"));
    }
}
