//! Telling the kernel of names and listings that are others now, each directory for itself.
//!
//! Anybody may hold a directory's lock for as long as he likes, by listing it into memory that doesn't come; and the kernel takes that
//! lock to forget a name.
//!
//! Invariants:
//! - A thread that tells holds no lock of ours meanwhile.
//! - A directory that is held holds up what is told of it, and of no other one until as many are held as there are threads.
//! - Of a directory each name waits once, however often it changes.
//!
//! It deliberately waits for nothing itself: whoever wants to know when something was told is told by a channel.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// So many directories are told of at a time: so many may be held without holding up others.
const THREADS: usize = 64;

/// What the kernel is told.
pub(super) trait Kernel: Send + Sync + 'static {
    /// A directory's name stands for something else now, or for nothing.
    fn name(&self, directory: u64, name: &OsStr) -> io::Result<()>;
    /// A directory's listing and attributes are others.
    fn listing(&self, directory: u64) -> io::Result<()>;
}

/// What is to be told of a directory.
#[derive(Default)]
struct Stale {
    names: BTreeSet<OsString>,
    /// Who is told once it was.
    told: Vec<Sender<()>>,
    /// Whether a thread tells of it at present.
    taken: bool,
}

#[derive(Default)]
struct State {
    directories: HashMap<u64, Stale>,
    /// Those that no thread tells of yet.
    ready: VecDeque<u64>,
    threads: usize,
    /// Threads that have nothing to do.
    idle: usize,
    closed: bool,
}

struct Shared {
    kernel: Box<dyn Kernel>,
    state: Mutex<State>,
    more: Condvar,
}

/// See the module. Its threads end with it.
pub(super) struct Directories(Arc<Shared>);

impl Directories {
    pub(super) fn new(kernel: impl Kernel) -> Directories {
        let (state, more) = (Mutex::default(), Condvar::new());
        Directories(Arc::new(Shared { kernel: Box::new(kernel), state, more }))
    }

    /// Has the kernel told of names in a directory, and of its listing. `told` hears of it once that is done.
    pub(super) fn changed(&self, directory: u64, names: impl IntoIterator<Item = OsString>, told: Option<Sender<()>>) {
        let mut state = self.0.state();
        let stale = state.directories.entry(directory).or_default();
        let waits = stale.taken || !stale.names.is_empty() || !stale.told.is_empty();
        stale.names.extend(names);
        stale.told.extend(told);
        if waits {
            return;
        }
        state.ready.push_back(directory);
        if state.idle >= state.ready.len() || state.threads >= THREADS {
            self.0.more.notify_one();
            return;
        }
        let shared = Arc::clone(&self.0);
        match std::thread::Builder::new().name("keyfs-names".into()).spawn(move || shared.tell()) {
            Ok(_) => state.threads += 1,
            // Those that there are will do it.
            Err(error) => log::warn!("no further thread tells the kernel of changed names: {error}"),
        }
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.more.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of one directory after the other, until there are to be none any longer.
    fn tell(&self) {
        let mut state = self.state();
        while !state.closed {
            let Some(directory) = state.ready.pop_front() else {
                state.idle += 1;
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
                continue;
            };
            let taken = Stale { taken: true, ..Stale::default() };
            let stale = state.directories.insert(directory, taken).unwrap_or_default();
            drop(state);
            for name in &stale.names {
                ignore(self.kernel.name(directory, name));
            }
            ignore(self.kernel.listing(directory));
            for told in stale.told {
                // Whoever waited too long waits no more.
                let _ = told.send(());
            }
            state = self.state();
            match state.directories.get_mut(&directory) {
                Some(more) if !more.names.is_empty() || !more.told.is_empty() => {
                    more.taken = false;
                    state.ready.push_back(directory);
                }
                _ => drop(state.directories.remove(&directory)),
            }
        }
    }
}

fn ignore(told: io::Result<()>) {
    if let Err(error) = told {
        log::debug!("the kernel was not told of a change: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    /// A kernel in which a directory below 1000 is held until the gate is open.
    #[derive(Clone, Default)]
    struct Paper(Arc<Sheet>);

    #[derive(Default)]
    struct Sheet {
        written: Mutex<Written>,
        opened: Condvar,
    }

    #[derive(Default)]
    struct Written {
        lines: Vec<String>,
        open: bool,
    }

    impl Paper {
        fn open(&self) {
            self.0.written.lock().unwrap().open = true;
            self.0.opened.notify_all();
        }

        fn lines(&self) -> Vec<String> {
            self.0.written.lock().unwrap().lines.clone()
        }
    }

    impl Kernel for Paper {
        fn name(&self, directory: u64, name: &OsStr) -> io::Result<()> {
            let held = |written: &mut Written| directory < 1000 && !written.open;
            let mut written = self.0.opened.wait_while(self.0.written.lock().unwrap(), held).unwrap();
            written.lines.push(format!("{directory} {}", name.display()));
            Ok(())
        }
        fn listing(&self, directory: u64) -> io::Result<()> {
            self.0.written.lock().unwrap().lines.push(format!("{directory} all"));
            Err(io::ErrorKind::NotFound.into())
        }
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_directory_that_is_held_holds_up_itself_alone() {
        let paper = Paper::default();
        let directories = Directories::new(paper.clone());
        let (held, held_told) = channel();
        let (free, free_told) = channel();
        for number in 0..40 {
            directories.changed(number, ["a".into(), "b".into()], Some(held.clone()));
        }
        for number in 0..100 {
            directories.changed(1000 + number, ["a".into()], Some(free.clone()));
        }
        for _ in 0..100 {
            free_told.recv_timeout(LONG).unwrap();
        }
        assert!(held_told.try_recv().is_err());
        assert!(paper.lines().iter().all(|line| line.starts_with('1')), "{:?}", paper.lines());
        paper.open();
        for _ in 0..40 {
            held_told.recv_timeout(LONG).unwrap();
        }
    }

    #[test]
    fn a_name_waits_once() {
        let paper = Paper::default();
        let directories = Directories::new(paper.clone());
        let (told, all) = channel();
        directories.changed(7, ["first".into()], Some(told.clone()));
        for number in 0..1000 {
            directories.changed(7, [format!("{}", number % 2).into()], None);
        }
        directories.changed(7, [], Some(told));
        assert!(directories.0.state().directories.get(&7).is_none_or(|stale| stale.names.len() <= 3));
        paper.open();
        for _ in 0..2 {
            all.recv_timeout(LONG).unwrap();
        }
        let lines = paper.lines();
        assert!(lines.len() <= 7 && lines.last().is_some_and(|line| line == "7 all"), "{lines:?}");
        assert!(directories.0.state().directories.len() <= 1);
    }

    #[test]
    fn its_threads_end_with_it() {
        let directories = Directories::new(Paper::default());
        let (told, all) = channel();
        directories.changed(1000, [], Some(told));
        all.recv_timeout(LONG).unwrap();
        let shared = Arc::downgrade(&directories.0);
        drop(directories);
        let begun = std::time::Instant::now();
        while shared.strong_count() > 0 {
            assert!(begun.elapsed() < LONG);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
