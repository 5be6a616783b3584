//! The same work on a store of a million keys and on one of a thousand, in turns: `cargo bench --bench filesystem -- --million`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::{ROUNDS, Server, median, million, put, read_to_end};

/// How many keys the large store has, and the small one.
const SIZES: [usize; 2] = [1_000_000, 1_000];
/// How many keys of each are used: as many as the small one has.
const USED: usize = SIZES[1];

struct Mounted {
    server: Server,
    keys: Vec<PathBuf>,
    directory: PathBuf,
}

/// Makes, mounts and measures both.
pub fn measure(home: &Path) {
    let mounted = SIZES.map(|keys| mount(&home.join(keys.to_string()), keys));
    println!("{:<48} {:>9} {:>9} {:>11} {:>9}", "medians, µs", "1,000,000", "1,000", "ratio", "to reach");
    let mut serial = 0;
    let mut next = || {
        serial += 1;
        serial
    };
    row(&mounted, "stat of a known key", 2_000, |on, turn| {
        fs::metadata(&on.keys[turn % USED]).unwrap();
    });
    row(&mounted, "variable: read to the end", 1_000, |on, turn| drop(read_to_end(&on.keys[turn % USED])));
    row(&mounted, "put: overwrite", 60, |on, turn| put(&on.keys[turn * 7 % USED], next()));
    let mut serial = 0;
    row(&mounted, "put: create, write, close", 60, |on, _| {
        serial += 1;
        put(&on.directory.join(format!("new-{serial}")), serial);
    });
    println!("resident at the end: {} MB", resident(&mounted[0].server) / 1000);
}

fn mount(home: &Path, keys: usize) -> Mounted {
    fs::create_dir(home).unwrap();
    let (store, identity, keyfs) = (home.join("store.redb"), home.join("identity"), home.join("keys"));
    million::build(&store, &identity, keys);
    let start = |how: &str| {
        let size = fs::metadata(&store).unwrap().len();
        let begun = Instant::now();
        let server = Server::keyfs(&store, &identity, &keyfs);
        let taken = begun.elapsed();
        println!(
            "{keys} keys of {} bytes, {how}: mounted in {:.2} s (1 to reach); file {} kB, {:.2} times the data (3 to reach); resident {} MB",
            million::VALUE_BYTES,
            taken.as_secs_f64(),
            size / 1000,
            size as f64 / million::data_bytes(keys) as f64,
            resident(&server) / 1000,
        );
        server
    };
    // Large batches leave more room free in it than a daemon's commits do.
    drop(start("as made"));
    let begun = Instant::now();
    let packed = Command::new(env!("CARGO_BIN_EXE_keyfs")).arg("compact").arg("--store").arg(&store).status();
    assert!(packed.unwrap().success());
    println!("packed in {:.1} s", begun.elapsed().as_secs_f64());
    let server = start("packed");
    let path = |number: usize| {
        let (directory, name) = million::place(number);
        keyfs.join("prod/variables").join(directory).join(name)
    };
    // Spread over all of it.
    let keys: Vec<_> = (0..USED).map(|number| path(number * (keys / USED))).collect();
    let directory = keys[0].parent().unwrap().to_owned();
    Mounted { server, keys, directory }
}

/// What a daemon has in memory, in kB; `VmRSS` of proc_pid_status(5).
fn resident(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_ascii_whitespace().next().unwrap().parse().unwrap()
}

fn row(mounted: &[Mounted; 2], work: &str, times: usize, mut operation: impl FnMut(&Mounted, usize)) {
    let mut samples = [const { Vec::new() }; 2];
    for round in 0..=ROUNDS {
        for (mounted, samples) in mounted.iter().zip(&mut samples) {
            let begun = Instant::now();
            (0..times).for_each(|turn| operation(mounted, turn));
            // The first round warms up.
            if round > 0 {
                samples.push(begun.elapsed().as_secs_f64() / times as f64 * 1e6);
            }
        }
    }
    let [large, small] = samples.map(median);
    println!("{work:<48} {large:>9.1} {small:>9.1} {:>11.2} {:>9}", large / small, "1.5");
}
