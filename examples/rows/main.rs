//! Shows the rows of a store that no daemon has open, as docs/format.md describes them.
//!
//! ```text
//! cargo run --example rows -- STORE         a line for each row: its name in hexadecimal and as text, the revision that
//!                                           wrote it, the length of its value
//! cargo run --example rows -- STORE NAME    the value of that row, tag included, to standard output; NAME in hexadecimal
//! ```
#![allow(clippy::print_stdout)] // it is a program

use std::error::Error;
use std::io::Write;
use std::path::Path;

use keyfs::store::redb::RedbStore;
use keyfs::store::{Page, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: rows STORE [NAME]")?;
    let wanted = arguments.next();
    let store = RedbStore::open(Path::new(&path))?;
    let snapshot = store.snapshot()?;
    for (key, row) in snapshot.scan(&[][..]..&[0xff][..], Page { rows: usize::MAX, bytes: usize::MAX })? {
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        match &wanted {
            None => println!("{name}\t{}\t{}\t{}", key.escape_ascii(), row.revision.0, row.value.len()),
            Some(wanted) if *wanted == name => return Ok(std::io::stdout().write_all(&row.value)?),
            Some(_) => {}
        }
    }
    wanted.map_or(Ok(()), |name| Err(format!("there is no row {name}").into()))
}
