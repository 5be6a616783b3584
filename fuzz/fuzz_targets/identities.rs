//! The target `identities`; what it does is in src/identities.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyfs_fuzz::identities::run(input));
