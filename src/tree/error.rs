//! Why an operation on the tree was refused: one enum for the whole layer, which `fs/errno.rs` turns into errnos.

use thiserror::Error;

use crate::access::acl::AclError;
use crate::access::gate::Denial;
use crate::audit::AuditError;
use crate::key::NameError;
use crate::seal::SealError;
use crate::seal::memory::MemoryError;
use crate::store::{CommitError, StoreError};

/// Why an operation on the tree was refused. Nothing was changed, unless a variant says otherwise.
#[derive(Debug, Error)]
pub enum Error {
    /// No entry of that name.
    #[error("there is no such entry")]
    NotFound,
    /// The node is known no longer: its entry was removed, and its history is gone.
    #[error("the entry is there no longer")]
    Gone,
    /// An entry of that name exists.
    #[error("an entry of that name exists")]
    Exists,
    /// A directory was needed.
    #[error("this is not a directory")]
    NotADirectory,
    /// A file was needed.
    #[error("this is a directory")]
    IsADirectory,
    /// The directory still holds entries.
    #[error("the directory is not empty")]
    NotEmpty,
    /// The text is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Permission bits or ACL keep the caller out.
    #[error("permission denied: {0}")]
    Denied(&'static str),
    /// The group gate keeps the caller out.
    #[error(transparent)]
    Gate(#[from] Denial),
    /// Nobody may do this.
    #[error("not permitted: {0}")]
    NotPermitted(&'static str),
    /// Between trees or environments.
    #[error("values don't move between trees or environments; copy them")]
    CrossTree,
    /// A directory into itself.
    #[error("a directory can't be moved into itself")]
    IntoItself,
    /// Beyond the limit on a value.
    #[error("the value is larger than {0} bytes")]
    ValueTooLarge(u64),
    /// Past its expiry.
    #[error("the entry has expired")]
    Expired,
    /// Another commit came in between, and the writer had asked to be told.
    #[error("the entry has a newer version than the one that the writer had seen")]
    Stale,
    /// No such attribute.
    #[error("there is no such attribute")]
    NoAttribute,
    /// The attribute exists, and was only to be made.
    #[error("the attribute exists")]
    AttributeExists,
    /// All notes of an entry together take at most 64 KiB.
    #[error("the entry's attributes take more than 64 KiB")]
    AttributesFull,
    /// A staged entry stands for one whose value is not staged.
    #[error("nothing is staged of the value; read the entry itself")]
    NothingStaged,
    /// What stands where a transaction would change it is not what it was taken for.
    #[error("{0}")]
    Conflict(String),
    /// Beyond what a user may have staged.
    #[error("{0}")]
    Quota(&'static str),
    /// An argument has no meaning.
    #[error("{0}")]
    Invalid(&'static str),
    /// An ACL that is none, or can't stand here.
    #[error(transparent)]
    Acl(#[from] AclError),
    /// The handle was not opened for this.
    #[error("the file was not opened for this")]
    BadHandle,
    /// The medium is full.
    #[error("no space is left")]
    NoSpace,
    /// Others kept changing the same rows.
    #[error("too many changes at once; try again")]
    Busy,
    /// No memory that can be locked.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// What the store holds is not what was put there.
    #[error("the store is damaged: {0}")]
    Tampered(String),
    /// The store had to be opened anew beneath the operation, and has gone on: taken again, it can succeed, and
    /// nothing that it was to commit was committed.
    #[error("the store was opened anew, and has gone on since this was read")]
    Superseded,
    /// The store does not answer. After [`CommitError::Unknown`] the change may have been made.
    #[error("{0}")]
    Store(String),
    /// The audit log can't be written, so nothing is handed out.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        match error {
            StoreError::Unavailable(_) => Error::Store(error.to_string()),
            StoreError::Superseded => Error::Superseded,
            StoreError::Damaged(what) => Error::Tampered(what),
        }
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Error {
        match error {
            CommitError::NoSpace => Error::NoSpace,
            CommitError::Conflict => Error::Busy,
            CommitError::TooLarge | CommitError::Invalid | CommitError::Unavailable(_) | CommitError::Unknown(_) => {
                Error::Store(error.to_string())
            }
        }
    }
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Error {
        match error {
            SealError::Memory(error) => Error::Memory(error),
            SealError::Random => Error::Store(error.to_string()),
            SealError::Tampered(_) | SealError::WrongIdentity | SealError::WrongFingerprint | SealError::Recipient => {
                Error::Tampered(error.to_string())
            }
        }
    }
}
