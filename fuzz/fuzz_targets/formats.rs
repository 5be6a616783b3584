//! The target `formats`; what it does is in src/formats.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyfs_fuzz::formats::run(input));
