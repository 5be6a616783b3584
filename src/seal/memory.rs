//! Memory for keys and values: locked, left out of core dumps, and wiped before it is given back.
//!
//! Invariants:
//! - A byte of a [`SecretBytes`] is never on a page that may be swapped or dumped, and is zero before its page serves
//!   somebody else.
//! - What `Debug` shows of one is its length.
//! - No reference to a region outlives its [`SecretBytes`]; a region is at one place at a time, in use or in the pool.
//!
//! It deliberately does not protect against root or a debugger that was attached before: see docs/threat-model.md. It is
//! the only file with `unsafe` code, all of it mapping, locking and viewing pages.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use nix::sys::mman::{self, MapFlags, MmapAdvise, ProtFlags};
use thiserror::Error;
use zeroize::Zeroize;

/// The smallest region: a page, as most machines have it. The kernel rounds up where pages are larger.
const SMALLEST: usize = 4096;

/// Regions of 4 KiB, 8 KiB … 2 MiB are kept for reuse, since mapping and locking one costs several system calls.
const CLASSES: usize = 10;

/// How many regions of a class are kept, at the most: 64 of the smallest, and of the others as many as fill 1 MiB.
fn kept(class: usize) -> usize {
    (256 >> class).clamp(1, 64)
}

static POOL: Mutex<[Vec<Region>; CLASSES]> = Mutex::new([const { Vec::new() }; CLASSES]);

/// No locked memory is to be had.
#[derive(Clone, Copy, Debug, Error)]
#[error("no locked memory is left for secrets: raise the limit (`ulimit -l`, or LimitMEMLOCK= of the unit)")]
pub struct MemoryError;

/// Pages of our own. `length` is what was mapped, in bytes.
struct Region {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

// SAFETY: a region is memory that nothing else points to; whoever owns the `Region` owns the memory, in any thread.
unsafe impl Send for Region {}
// SAFETY: a shared `Region` gives shared views only, which threads may hold together.
unsafe impl Sync for Region {}

impl Region {
    fn map(length: NonZeroUsize) -> Result<Region, MemoryError> {
        // SAFETY: a new private mapping at an address of the kernel's choice aliases nothing.
        let start = unsafe {
            mman::mmap_anonymous(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE)
        }
        .map_err(|_| MemoryError)?;
        let region = Region { start, length };
        // SAFETY: the range is the mapping just made; neither call changes what it holds.
        unsafe {
            mman::mlock(region.start, region.length.get()).map_err(|_| MemoryError)?;
            // A kernel without this advice still writes no core of this process, see `forbid_dumps`.
            let _ = mman::madvise(region.start, region.length.get(), MmapAdvise::MADV_DONTDUMP);
        }
        Ok(region)
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping has this length, is readable, initialised with zeros, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.length.get()) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` makes this the only view.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.length.get()) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, whole, and no view of it is left.
        let _ = unsafe { mman::munmap(self.start, self.length.get()) };
    }
}

/// A growable run of bytes in locked memory.
pub struct SecretBytes {
    region: Option<Region>,
    length: usize,
}

impl SecretBytes {
    /// No bytes, and no memory taken for them.
    pub const fn new() -> SecretBytes {
        SecretBytes { region: None, length: 0 }
    }

    /// No bytes yet, with room for `capacity`.
    pub fn with_capacity(capacity: usize) -> Result<SecretBytes, MemoryError> {
        let mut bytes = SecretBytes::new();
        bytes.reserve(capacity)?;
        Ok(bytes)
    }

    /// `length` zero bytes.
    pub fn zeroed(length: usize) -> Result<SecretBytes, MemoryError> {
        let mut bytes = SecretBytes::new();
        bytes.resize(length)?;
        Ok(bytes)
    }

    /// A copy of `source`, which the caller wipes if it has to be wiped.
    pub fn copy_of(source: &[u8]) -> Result<SecretBytes, MemoryError> {
        let mut bytes = SecretBytes::new();
        bytes.append(source)?;
        Ok(bytes)
    }

    /// Puts `source` behind what is there.
    pub fn append(&mut self, source: &[u8]) -> Result<(), MemoryError> {
        let from = self.length;
        self.resize(from + source.len())?;
        if let Some(place) = self.get_mut(from..) {
            place.copy_from_slice(source);
        }
        Ok(())
    }

    /// Cuts off what lies past `length`, or adds zero bytes up to it.
    pub fn resize(&mut self, length: usize) -> Result<(), MemoryError> {
        self.reserve(length)?;
        self.truncate(length);
        // What lies past the length is zero at all times, so growing needs no writing.
        self.length = length;
        Ok(())
    }

    /// Cuts off what lies past `length`.
    pub fn truncate(&mut self, length: usize) {
        if let Some(cut) = self.get_mut(length..) {
            cut.zeroize();
            self.length = length;
        }
    }

    fn reserve(&mut self, capacity: usize) -> Result<(), MemoryError> {
        if self.region.as_ref().map_or(0, |region| region.length.get()) >= capacity {
            return Ok(());
        }
        let mut larger = take(capacity)?;
        if let Some(place) = larger.bytes_mut().get_mut(..self.length) {
            place.copy_from_slice(self);
        }
        if let Some(old) = self.region.replace(larger) {
            give_back(old, self.length);
        }
        Ok(())
    }
}

/// A region of at least `capacity` zero bytes.
fn take(capacity: usize) -> Result<Region, MemoryError> {
    let length = capacity.max(SMALLEST).checked_next_power_of_two().ok_or(MemoryError)?;
    let class = length.trailing_zeros().saturating_sub(SMALLEST.trailing_zeros()) as usize;
    let pooled = POOL.lock().unwrap_or_else(PoisonError::into_inner).get_mut(class).and_then(Vec::pop);
    match pooled {
        Some(region) => Ok(region),
        None => Region::map(NonZeroUsize::new(length).ok_or(MemoryError)?),
    }
}

/// Wipes the first `used` bytes, past which all is zero, and keeps the region or unmaps it.
fn give_back(mut region: Region, used: usize) {
    if let Some(written) = region.bytes_mut().get_mut(..used) {
        written.zeroize();
    }
    let class = region.length.trailing_zeros().saturating_sub(SMALLEST.trailing_zeros()) as usize;
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regions) = pool.get_mut(class)
        && regions.len() < kept(class)
    {
        regions.push(region);
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        if let Some(region) = self.region.take() {
            give_back(region, self.length);
        }
    }
}

impl Default for SecretBytes {
    fn default() -> SecretBytes {
        SecretBytes::new()
    }
}

impl Deref for SecretBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.region.as_ref().and_then(|region| region.bytes().get(..self.length)).unwrap_or_default()
    }
}

impl DerefMut for SecretBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        let length = self.length;
        self.region.as_mut().and_then(|region| region.bytes_mut().get_mut(..length)).unwrap_or_default()
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.length)
    }
}

/// Overwrites the part of the stack that the caller's last call has used: ciphers work on copies of blocks there, and leave them.
#[inline(never)]
pub(super) fn wipe_stack() {
    /// In words of 8 bytes: several times what the ciphers and hashes take, with their vectors.
    const WORDS: usize = 1024;
    let mut used = [0_u64; WORDS];
    // It can't be left out, as other writes to what nobody reads can.
    used.zeroize();
}

/// Has the allocator hold less of what was given back to it: from the middle of what it keeps, a locked page can't go back to the
/// kernel, so with an arena for each thread every one of them would grow to the most that its thread ever took.
pub fn keep_little() {
    /// From so many bytes on, memory is mapped by itself, and unmapped when it is given back. It is what malloc(3) begins with
    /// and moves away from as it meets larger ones, such as values and the buffers of requests.
    #[cfg(target_env = "gnu")]
    const MAPPED: libc::c_int = 128 << 10;
    // SAFETY: it sets two of the allocator's numbers, under the allocator's own lock.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
    }
}

/// How much of the process's memory is kept from the swap space.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Locking {
    /// All of it, the buffers in which requests arrive included.
    Process,
    /// Keys and values alone, as far as the limit on locked memory goes.
    Secrets,
}

/// Locks the process's memory where it may, and raises the limit for [`SecretBytes`] as far as it may where it may not.
pub fn lock_process() -> Locking {
    use nix::sys::mman::MlockAllFlags;
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_MEMLOCK) {
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard);
    }
    // With a limit in force, locking what comes later would make ordinary allocations fail: so root alone does it.
    // MCL_ONFAULT, which nix lacks, locks pages once they are touched instead of filling all of them in.
    let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    let flags = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault;
    if nix::unistd::geteuid().is_root() && mman::mlockall(flags).is_ok() { Locking::Process } else { Locking::Secrets }
}

/// Has the kernel write no core of this process, and let no other process of the same user attach to it.
pub fn forbid_dumps() -> Result<(), nix::Error> {
    nix::sys::prctl::set_dumpable(false)?;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_shrinks_and_keeps_what_it_holds() {
        let mut bytes = SecretBytes::copy_of(b"canary").unwrap();
        bytes.resize(10_000).unwrap();
        assert_eq!(&bytes[..6], b"canary");
        assert!(bytes[6..].iter().all(|&byte| byte == 0));
        bytes.resize(3).unwrap();
        bytes.resize(6).unwrap();
        assert_eq!(&bytes[..], b"can\0\0\0");
        bytes.append(b"!").unwrap();
        assert_eq!(bytes.len(), 7);
    }

    #[test]
    fn a_reused_region_is_blank() {
        // A size that no other test takes, so that the pool gives this very region again.
        let size = 1 << 20;
        let mut bytes = SecretBytes::zeroed(size).unwrap();
        bytes.fill(0xa5);
        let place = bytes.as_ptr();
        drop(bytes);
        let again = SecretBytes::zeroed(size).unwrap();
        assert_eq!(again.as_ptr(), place);
        assert!(again.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn regions_are_locked_and_left_out_of_dumps() {
        let bytes = SecretBytes::zeroed(SMALLEST).unwrap();
        let address = bytes.as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut flags = None;
        let mut inside = false;
        for line in maps.lines() {
            if let Some((from, to)) = line.split_whitespace().next().and_then(|range| range.split_once('-'))
                && let (Ok(from), Ok(to)) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16))
            {
                inside = (from..to).contains(&address);
            } else if inside && let Some(list) = line.strip_prefix("VmFlags:") {
                flags = Some(list.to_owned());
            }
        }
        let flags = flags.expect("the mapping is listed");
        assert!(flags.contains(" lo"), "not locked: {flags}");
        assert!(flags.contains(" dd"), "would be dumped: {flags}");
    }

    #[test]
    fn debug_shows_no_byte() {
        let bytes = SecretBytes::copy_of(b"canary").unwrap();
        assert_eq!(format!("{bytes:?}"), "SecretBytes(6 bytes)");
    }
}
