//! keyfs.
fn main() {}
