//! The target `records`; what it does is in src/records.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyfs_fuzz::records::run(input));
