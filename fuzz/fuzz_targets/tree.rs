//! The target `tree`; what it does is in src/tree.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyfs_fuzz::tree::run(input));
