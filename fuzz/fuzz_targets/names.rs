//! The target `names`; what it does is in src/names.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyfs_fuzz::names::run(input));
