//! The daemon killed at random moments under eight writers: what was acknowledged is there, whole, and what was not is old or
//! new, never something in between; of a transaction all is old or all is new.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::fixture::{Mount, wait_for};
use crate::harness::Case;
use crate::log::complaints;
use crate::scale::{Random, either, seed};
use crate::values::{number, put, value};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub const CASES: &[Case] =
    &[("what_was_acknowledged_survives_whenever_the_daemon_is_killed", what_was_acknowledged_survives)];

const WRITERS: usize = 8;
const NAMES: usize = 8;

/// What is in a writer's directory: names and the numbers of their values.
type Contents = BTreeMap<String, u64>;

/// A directory with one writer.
struct Writer {
    place: String,
    /// What was acknowledged.
    now: Contents,
    /// What it is if the operation that was never answered was done after all.
    or: Option<Contents>,
    numbers: u64,
    /// How many transactions were acknowledged.
    transactions: u64,
    random: Random,
}

/// One change, to the mount and to what is expected of it.
enum Step {
    Put(String, usize),
    Rename(String, String),
    Remove(String),
    /// All of these in a transaction: values of so many bytes, and what is removed.
    Together(Vec<(String, usize)>, Option<String>),
}

impl Writer {
    fn path(&self, mount: &Mount, name: &str) -> PathBuf {
        mount.path(&self.place).join(name)
    }

    fn step(&mut self) -> Step {
        let name = |random: &mut Random| format!("k{}", random.below(NAMES));
        let there: Vec<_> = self.now.keys().cloned().collect();
        let target = name(&mut self.random);
        let lot = self.random.below(10);
        if there.is_empty() || lot < 7 {
            return Step::Put(target, 40 + self.random.below(if lot == 0 { 200_000 } else { 3000 }));
        }
        let source = there[self.random.below(there.len())].clone();
        match lot {
            7 => Step::Remove(source),
            8 => Step::Rename(source, target),
            _ => {
                let mut sizes = BTreeMap::new();
                for _ in 0..2 + self.random.below(4) {
                    sizes.insert(name(&mut self.random), 40 + self.random.below(20_000));
                }
                let removed = Some(source).filter(|source| !sizes.contains_key(source));
                Step::Together(sizes.into_iter().collect(), removed)
            }
        }
    }

    /// Stages values, numbered from the first on, and a removal, and commits them.
    fn together(
        &self,
        mount: &Mount,
        first: u64,
        sizes: &[(String, usize)],
        removed: Option<&String>,
    ) -> io::Result<()> {
        let name = self.place.replace('/', "-");
        let (staged, commit) = (format!(".keyfs/transactions/{name}"), format!(".keyfs/commit/{name}"));
        let below = mount.path(&staged).join(&self.place);
        fs::create_dir(mount.path(&staged))?;
        fs::create_dir(&below)?;
        for (number, (name, size)) in (first..).zip(sizes) {
            fs::write(below.join(name), value(&self.place, number, *size))?;
        }
        if let Some(name) = removed {
            drop(fs::File::options().append(true).create(true).open(below.join(name))?);
            let path = std::ffi::CString::new(below.join(name).into_os_string().into_encoded_bytes())?;
            rustix::fs::setxattr(path.as_c_str(), c"user.keyfs.remove", b"1", rustix::fs::XattrFlags::empty())?;
        }
        fs::rename(mount.path(&staged), mount.path(&commit))
    }

    /// Does a step; an error once the daemon is gone. What was answered counts from then on.
    fn work(&mut self, mount: &Mount, acknowledged: &AtomicU64) -> io::Result<()> {
        let step = self.step();
        let mut after = self.now.clone();
        let first = self.numbers + 1;
        self.numbers = if let Step::Together(sizes, _) = &step { self.numbers + sizes.len() as u64 } else { first };
        match &step {
            Step::Put(name, _) => drop(after.insert(name.clone(), self.numbers)),
            Step::Remove(name) => drop(after.remove(name)),
            Step::Together(sizes, removed) => {
                after.extend((first..).zip(sizes).map(|(number, (name, _))| (name.clone(), number)));
                after.retain(|name, _| Some(name) != removed.as_ref());
            }
            Step::Rename(from, to) => {
                if let Some(moved) = after.remove(from) {
                    after.insert(to.clone(), moved);
                }
            }
        }
        self.or = Some(after.clone());
        match &step {
            Step::Put(name, size) => {
                // Named after the writer: a rename takes the value along.
                put(&self.path(mount, name), &value(&self.place, self.numbers, *size))?;
            }
            Step::Remove(name) => fs::remove_file(self.path(mount, name))?,
            Step::Together(sizes, removed) => {
                self.together(mount, first, sizes, removed.as_ref())?;
                self.transactions += 1;
            }
            Step::Rename(from, to) => fs::rename(self.path(mount, from), self.path(mount, to))?,
        }
        acknowledged.fetch_add(1, Ordering::SeqCst);
        self.now = after;
        self.or = None;
        Ok(())
    }

    /// What is there now.
    fn found(&self, mount: &Mount) -> Contents {
        let entries = fs::read_dir(mount.path(&self.place)).expect("the writer's directory");
        let read = |entry: fs::DirEntry| {
            let bytes = fs::read(entry.path()).unwrap_or_else(|error| panic!("{}: {error}", entry.path().display()));
            let number = number(&self.place, &bytes).unwrap_or_else(|torn| panic!("{:?}: {torn}", entry.file_name()));
            (entry.file_name().to_str().expect("a name").to_owned(), number)
        };
        entries.map(|entry| read(entry.expect("an entry"))).collect()
    }

    /// That nothing acknowledged is missing and nothing else is there.
    fn check(&mut self, mount: &Mount, seed: u64) {
        let found = self.found(mount);
        let expected = found == self.now || self.or.as_ref() == Some(&found);
        assert!(expected, "seed {seed}, {}: {found:?} is neither {:?} nor {:?}", self.place, self.now, self.or);
        self.now = found;
        self.or = None;
    }
}

fn what_was_acknowledged_survives() {
    let mut mount = Mount::new();
    let seed = seed();
    let mut writers: Vec<_> = (0..WRITERS)
        .map(|own| {
            let tree = if own.is_multiple_of(2) { "variables" } else { "secrets" };
            let place = format!("prod/{tree}/w{own}");
            mount.mkdir(&place);
            let random = Random(seed.wrapping_mul(31).wrapping_add(own as u64));
            Writer { place, now: Contents::new(), or: None, numbers: 0, transactions: 0, random }
        })
        .collect();
    let mut random = Random(seed);
    let (mut all, mut unanswered) = (0, 0);
    let rounds = either(4, 50);
    for _ in 0..rounds {
        let (acknowledged, killed) = (AtomicU64::new(0), AtomicBool::new(false));
        let pid = mount.pid().to_string();
        std::thread::scope(|scope| {
            for writer in &mut writers {
                let (mount, acknowledged, killed) = (&mount, &acknowledged, &killed);
                scope.spawn(move || {
                    loop {
                        match writer.work(mount, acknowledged) {
                            Ok(()) => {}
                            Err(error) if is_the_end(&error, killed) => return,
                            Err(error) => panic!("seed {seed}, {}: {error}\n{}", writer.place, mount.logged()),
                        }
                    }
                });
            }
            // Everybody is at it; then at any moment.
            let enough = 1 + random.below(400) as u64;
            let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                wait_for("writers", || acknowledged.load(Ordering::SeqCst) >= enough);
                std::thread::sleep(Duration::from_micros(random.below(20_000) as u64));
            }));
            // Also where that failed: the writers end by it.
            killed.store(true, Ordering::SeqCst);
            crate::fixture::run(std::process::Command::new("kill").args(["-s", "KILL", &pid]));
            waited.unwrap_or_else(|failure| std::panic::resume_unwind(failure));
        });
        all += acknowledged.load(Ordering::SeqCst);
        unanswered += writers.iter().filter(|writer| writer.or.is_some()).count();
        mount.end("KILL");
        mount.start();
        writers.iter_mut().for_each(|writer| writer.check(&mount, seed));
    }
    let transactions: u64 = writers.iter().map(|writer| writer.transactions).sum();
    println!(
        "{rounds} kills, {all} acknowledged changes, {transactions} of them transactions, {unanswered} cut short (seed {seed})"
    );
    assert!(transactions > 0);
    assert!(unanswered > 0, "every kill met nobody at work");
    mount.restart();
    writers.iter_mut().for_each(|writer| writer.check(&mount, seed));
    assert_eq!(complaints(&mount), [""; 0]);
}

/// Whether that is what a call comes to whose daemon went away.
fn is_the_end(error: &io::Error, killed: &AtomicBool) -> bool {
    let gone = matches!(error.raw_os_error(), Some(libc::ENOTCONN | libc::ECONNABORTED | libc::EINTR));
    // The kernel makes EIO of some calls that it breaks off; before the daemon was killed that is a fault.
    gone || error.raw_os_error() == Some(libc::EIO) && killed.load(Ordering::SeqCst)
}
