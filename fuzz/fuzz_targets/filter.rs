//! The target `filter`; what it does is in src/filter.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyfs_fuzz::filter::run(input));
