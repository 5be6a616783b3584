//! Sixteen programs of different users at work on one mount: what the daemon takes stays what it was once it has warmed up, no
//! request is slow but where the disk is, and nothing goes wrong.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fixture::{Mount, User};
use crate::harness::Case;
use crate::log::complaints;
use crate::scale::{either, seed};

pub const CASES: &[Case] = &[("what_the_daemon_takes_stays_what_it_was", what_the_daemon_takes_stays_what_it_was)];

const PROGRAMS: u32 = 16;

/// The daemon's resident memory at the most, in bytes.
const RESIDENT: u64 = 150 << 20;

/// What the last changes take that the daemon remembers for those who follow them, of which there are at most 32,768: they grow
/// with each change until they are so many, which the short form doesn't reach, and the long one does in its first minutes.
const REMEMBERED: u64 = 16 << 20;

/// Threads that may still come late. There are as many that tell the kernel of changed directories as there were changed ones at
/// the same time, which is chance.
const TELLERS: u64 = 8;

/// No call takes longer, in seconds, but for what the disk does.
const SLOWEST: f64 = 1.0;

/// What the daemon takes at a moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    resident: u64,
    descriptors: u64,
    threads: u64,
    store: u64,
}

impl Sample {
    fn of(mount: &Mount) -> Sample {
        let pid = mount.pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the daemon runs");
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
        };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").count() as u64;
        let store = fs::metadata(mount.store()).expect("the store").blocks() * 512;
        Sample { resident: field("VmRSS:") << 10, descriptors, threads: field("Threads:"), store }
    }

    /// The most of each; of descriptors the least, since those on `/proc` come and go with the requests.
    fn most(samples: &[Sample]) -> Sample {
        let most = |field: fn(&Sample) -> u64| samples.iter().map(field).max().expect("a sample");
        Sample {
            resident: most(|sample| sample.resident),
            descriptors: samples.iter().map(|sample| sample.descriptors).min().expect("a sample"),
            threads: most(|sample| sample.threads),
            store: most(|sample| sample.store),
        }
    }
}

/// A program at work, ended by the end of its input, also when the test fails.
struct Program(Child);

impl Program {
    fn start(mount: &Mount, number: u32, names: usize, seed: u64) -> Program {
        let user = 21_000 + number;
        // Pairs share a group, so that some secrets are read by two.
        let groups = [21_100 + number / 2];
        let mut command = User(user, user, &groups).command("python3");
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").arg("-c").arg(include_str!("soak.py")).arg(mount.root());
        command.args([number.to_string(), names.to_string(), (seed % (1 << 32)).to_string()]);
        Program(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3"))
    }

    /// What it has to say in the end.
    fn end(&mut self) -> Value {
        drop(self.0.stdin.take());
        let mut said = String::new();
        self.0.stdout.take().expect("a pipe").read_to_string(&mut said).expect("text");
        self.0.wait().expect("its end");
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("a program failed: {said}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The longest that one sync of the store's disk has taken, in seconds.
fn slowest_sync(mount: &Mount) -> f64 {
    let metrics = String::from_utf8(mount.get(".keyfs/metrics")).expect("text");
    let told = metrics.lines().find_map(|line| line.strip_prefix("keyfs_store_slowest_sync_seconds "));
    told.and_then(|number| number.parse().ok()).expect("a number")
}

fn what_the_daemon_takes_stays_what_it_was() {
    let mut mount = Mount::new();
    let seed = seed();
    // So many that each has all of its versions, and the store all that it ever holds, when half of the time is over.
    let names = either(4, 40);
    let begun = Instant::now();
    let mut programs: Vec<_> = (0..PROGRAMS).map(|number| Program::start(&mount, number, names, seed)).collect();
    let whole = Duration::from_secs(either(15, 20 * 60));
    let pause = whole / 150;
    let mut samples = Vec::new();
    while begun.elapsed() < whole {
        samples.push(Sample::of(&mount));
        if samples.len().is_multiple_of(15) {
            println!("{:>5} s {:?}", begun.elapsed().as_secs(), samples[samples.len() - 1]);
        }
        std::thread::sleep(pause);
    }
    let said: Vec<_> = programs.iter_mut().map(Program::end).collect();
    let done: u64 = said.iter().map(|program| program["done"].as_u64().unwrap_or_default()).sum();
    let slowest = said.iter().map(|program| program["slowest"].as_f64().unwrap_or(9.0)).fold(0.0, f64::max);
    let last = samples.split_off(samples.len() * 3 / 4);
    let (warm, last) = (Sample::most(&samples[samples.len() / 3..]), Sample::most(&last));
    let sync = slowest_sync(&mount);
    println!(
        "{done} calls, the slowest took {:.0} ms, the slowest sync {:.0} ms; warm {warm:?}, in the end {last:?} (seed {seed})",
        slowest * 1e3,
        sync * 1e3
    );
    for program in &said {
        assert_eq!(program["failures"], 0, "seed {seed}: {}", program["errors"]);
        // Whoever stores something waits for the sync that is under way, and for the one with which it is stored.
        let slow = |slowest: f64| slowest - 2.0 * sync >= SLOWEST;
        assert!(program["slowest"].as_f64().is_some_and(|slowest| !slow(slowest)), "seed {seed}: {program}");
    }
    assert!(done > either(1000, 100_000), "{done}");
    assert_eq!(warm.descriptors, last.descriptors);
    assert!(last.threads <= warm.threads + TELLERS, "{warm:?} {last:?}");
    // What comes and goes with the moment: a tenth of memory, and the store's own steps of growth.
    let growth = warm.resident / 10 + either(REMEMBERED, 0);
    assert!(last.resident <= warm.resident + growth, "{warm:?} {last:?}");
    assert!(last.resident <= RESIDENT, "{last:?}");
    assert!(last.store <= warm.store + warm.store / 4, "{warm:?} {last:?}");
    assert_eq!(complaints(&mount), [""; 0]);
    mount.restart();
}
