//! What can go wrong between the store and redb, in the few kinds that the store treats differently.
//!
//! Invariant: a panic of redb, which a damaged file can cause, goes no further than [`guarded`].
//!
//! It deliberately does not decide what is done about it.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::{CommitError, StoreError};

/// Why something asked of redb was not done.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// There was no room.
    NoSpace,
    /// The medium refused, now or earlier: redb answers nothing more until it is closed and opened again.
    Medium(String),
    /// What is on the medium doesn't fit together.
    Damaged(String),
    /// The store itself refuses: nothing is wrong with redb.
    Refused(String),
}

thread_local! {
    /// How many calls of [`guarded`] this thread is in.
    static GUARDED: Cell<usize> = const { Cell::new(0) };
}

/// Whether a panic of this thread would be caught here and come out as an error: whoever shows panics need not show it.
pub fn is_guarded() -> bool {
    GUARDED.with(Cell::get) > 0
}

/// Does what asks redb for something. Nothing that `work` changes may be used after a panic, but through redb's own
/// closing and opening.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    GUARDED.with(|depth| depth.set(depth.get() + 1));
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.with(|depth| depth.set(depth.get().saturating_sub(1)));
    done.unwrap_or_else(|payload| Err(Trouble::Damaged(panic_text(&*payload))))
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    format!("its pages make no sense: {}", text.and_then(|text| text.lines().next()).unwrap_or("no reason given"))
}

/// Whether an error says that the medium, or its owner's part of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

impl From<::redb::Error> for Trouble {
    fn from(error: ::redb::Error) -> Self {
        use ::redb::Error as E;
        match error {
            E::Io(error) if is_full(&error) => Self::NoSpace,
            // redb gives the first for a header that it doesn't accept; the second is a file that was cut short.
            E::Io(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                Self::Damaged(error.to_string())
            }
            E::Corrupted(_)
            | E::TableDoesNotExist(_)
            | E::TableTypeMismatch { .. }
            | E::TypeDefinitionChanged { .. }
            | E::TableIsMultimap(_)
            | E::UpgradeRequired(_)
            | E::RepairAborted => Self::Damaged(error.to_string()),
            error => Self::Medium(error.to_string()),
        }
    }
}

macro_rules! through_the_general_error {
    ($($error:ident)*) => {$(
        impl From<::redb::$error> for Trouble {
            fn from(error: ::redb::$error) -> Self {
                ::redb::Error::from(error).into()
            }
        }
    )*};
}
through_the_general_error!(StorageError TransactionError TableError CommitError CompactionError DatabaseError);

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoSpace => Self::Unavailable("no space is left for the store".into()),
            Trouble::Medium(text) | Trouble::Refused(text) => Self::Unavailable(text),
            Trouble::Damaged(text) => Self::Damaged(text),
        }
    }
}

/// For a batch of which is known that it changed nothing.
impl From<Trouble> for CommitError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoSpace => Self::NoSpace,
            Trouble::Medium(text) | Trouble::Damaged(text) | Trouble::Refused(text) => Self::Unavailable(text),
        }
    }
}
