//! The target `rows`; what it does is in src/rows.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyfs_fuzz::rows::run(input));
