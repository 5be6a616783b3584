//! From refusals to errnos: the only place that makes them.

use fuser::Errno;

use crate::access::acl::AclError;
use crate::key::NameError;
use crate::tree::Error;

/// The errno that a refusal of the tree ends as.
pub(super) fn of(error: &Error) -> Errno {
    match error {
        Error::NotFound => Errno::ENOENT,
        // The kernel looks the name up anew and tries once more, by itself.
        Error::Gone => Errno::ESTALE,
        Error::Exists | Error::AttributeExists => Errno::EEXIST,
        Error::NotADirectory => Errno::ENOTDIR,
        Error::IsADirectory => Errno::EISDIR,
        Error::NotEmpty => Errno::ENOTEMPTY,
        Error::Name(NameError::TooLong) => Errno::ENAMETOOLONG,
        // As file systems answer that keep names as UTF-8.
        Error::Name(NameError::NotUtf8) => Errno::EILSEQ,
        Error::Name(NameError::Reserved) => Errno::EPERM,
        Error::Name(NameError::Invalid) => Errno::EINVAL,
        Error::Denied(_) | Error::Gate(_) => Errno::EACCES,
        Error::NotPermitted(_) => Errno::EPERM,
        // `mv` takes it for another file system, and copies.
        Error::CrossTree => Errno::EXDEV,
        Error::IntoItself | Error::Invalid(_) => Errno::EINVAL,
        Error::Acl(AclError::Version(_)) => Errno::EOPNOTSUPP,
        Error::Acl(_) => Errno::EINVAL,
        Error::ValueTooLarge(_) => Errno::EFBIG,
        Error::Expired => Errno::from_i32(libc::EKEYEXPIRED),
        Error::Stale => Errno::ESTALE,
        Error::NoAttribute => Errno::NO_XATTR,
        // As ext4 answers when an inode's attributes don't fit.
        Error::AttributesFull | Error::NoSpace => Errno::ENOSPC,
        // Unlike EEXIST, ENOENT and their like, `mv` says of it that the move failed, and not what it takes these for.
        Error::Conflict(_) => Errno::ECANCELED,
        Error::NothingStaged => Errno::ENODATA,
        Error::Quota(_) => Errno::from_i32(libc::EDQUOT),
        Error::BadHandle => Errno::EBADF,
        Error::Busy => Errno::EAGAIN,
        Error::Memory(_) => Errno::ENOMEM,
        // A log that can't be written is the daemon's trouble, not the caller's lack of permission.
        Error::Tampered(_) | Error::Superseded | Error::Store(_) | Error::Audit(_) => Errno::EIO,
    }
}
