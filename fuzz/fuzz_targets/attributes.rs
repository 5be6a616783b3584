//! The target `attributes`; what it does is in src/attributes.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyfs_fuzz::attributes::run(input));
