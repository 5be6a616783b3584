//! The target `acls`; what it does is in src/acls.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| keyfs_fuzz::acls::run(input));
