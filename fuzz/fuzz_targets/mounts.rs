//! The target `mounts`; what it does is in src/mounts.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyfs_fuzz::mounts::run(input));
