//! The sum of all rows' digests, taken from both ends of the table at once: a mount waits for nothing longer.
//!
//! Invariants:
//! - Each row is counted once: what one end has claimed, the other leaves alone.
//! - At most [`BYTES`] and one row are held for each end.

use std::sync::{Mutex, PoisonError};

use ::redb::{AccessGuard, ReadOnlyTable, StorageError};

use super::super::{Key, Ledger};
use super::ledger::Sum;
use super::rows::split;
use super::trouble::{Trouble, guarded};

/// How many rows are claimed in one go, at most.
const ROWS: usize = 512;
/// No further row once so many bytes are reached.
const BYTES: usize = 1 << 20;

type Row = (AccessGuard<'static, &'static [u8]>, AccessGuard<'static, &'static [u8]>);

#[derive(Clone, Copy)]
enum End {
    First,
    Last,
}

/// How far each end has come.
#[derive(Default)]
struct Claims {
    first: Option<Key>,
    last: Option<Key>,
}

impl Claims {
    /// How many of these rows, which follow each other from that end, are not the other's; they are claimed.
    fn claim(&mut self, end: End, rows: &[Row]) -> usize {
        let (own, other) = match end {
            End::First => (&mut self.first, &self.last),
            End::Last => (&mut self.last, &self.first),
        };
        let free = rows.partition_point(|(key, _)| match (end, other) {
            (_, None) => true,
            (End::First, Some(last)) => key.value() < last.as_slice(),
            (End::Last, Some(first)) => key.value() > first.as_slice(),
        });
        if let Some((key, _)) = free.checked_sub(1).and_then(|place| rows.get(place)) {
            *own = Some(key.value().to_vec());
        }
        free
    }
}

pub(super) fn sum(rows: &ReadOnlyTable<&'static [u8], &'static [u8]>, ledger: &dyn Ledger) -> Result<Sum, Trouble> {
    let claims = Mutex::new(Claims::default());
    let from = |end| {
        guarded(|| {
            let all = rows.range::<&[u8]>(..)?;
            match end {
                End::First => sum_from(end, all, &claims, ledger),
                End::Last => sum_from(end, all.rev(), &claims, ledger),
            }
        })
    };
    let (first, last) = std::thread::scope(|scope| {
        let last = scope.spawn(|| from(End::Last));
        (from(End::First), last.join())
    });
    // The thread's own panic was caught within.
    let last = last.unwrap_or_else(|_| Err(Trouble::Damaged("its rows can't be read".into())));
    let mut total = first?;
    total.add(last?.0);
    Ok(total)
}

fn sum_from(
    end: End,
    mut rows: impl Iterator<Item = Result<Row, StorageError>>,
    claims: &Mutex<Claims>,
    ledger: &dyn Ledger,
) -> Result<Sum, Trouble> {
    let mut digest = ledger.digester();
    let mut sum = Sum::default();
    let mut held: Vec<Row> = Vec::with_capacity(ROWS);
    loop {
        held.clear();
        let mut bytes = 0;
        while held.len() < ROWS && bytes < BYTES {
            let Some(row) = rows.next().transpose()? else { break };
            bytes += row.0.value().len() + row.1.value().len();
            held.push(row);
        }
        let free = claims.lock().unwrap_or_else(PoisonError::into_inner).claim(end, &held);
        for (key, stored) in held.iter().take(free) {
            let (revision, value) = split(stored.value())?;
            sum.add(digest(key.value(), revision, value));
        }
        if held.is_empty() || free < held.len() {
            return Ok(sum);
        }
    }
}
