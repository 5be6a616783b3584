//! Random operations of random callers on the tree, compared after every step with a model that knows no rows, no keys
//! and no commits: paths, values, permissions and versions in plain maps.
//!
//! A failure names its seed; `KEYFS_MODEL_SEED` runs that one again. `KEYFS_PROOFS=long` runs ten times as many seeds.

// Clippy's exceptions for tests don't reach the functions that tests share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

mod reference;
#[allow(clippy::expect_used, dead_code, unreachable_pub)] // shared with the proofs, which use all of it
#[path = "../proofs/scale.rs"]
mod scale;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyfs::access::Mode;
use keyfs::audit::{Audit, Process, Sink};
use keyfs::clock::{ManualClock, Timestamp};
use keyfs::id::{Gid, NodeId, Uid, Version};
use keyfs::key::{Name, Tree};
use keyfs::seal::Fingerprint;
use keyfs::seal::identity::Identities;
use keyfs::store::fault::{Fault, FaultStore};
use keyfs::store::memory::MemoryStore;
use keyfs::store::redb::RedbStore;
use keyfs::store::{CommitError, Store};
use keyfs::tree::row::SMALL;
use keyfs::tree::{
    Actor, Alteration, AttributeChange, Error, Limits, Namespace, NewStore, OpenFile, OpenMode, Parts, RenameMode,
    create_store, unlock, verify,
};
use reference::{Entry, KEPT, Model, Path, Perm, Who};
use scale::Random;

/// The longest value: longer than one that stands in its node's row.
const LIMIT: usize = SMALL + 40;

// ---- callers ----

impl Actor for Who {
    fn uid(&self) -> Uid {
        Uid(self.uid)
    }
    fn gid(&self) -> Gid {
        Gid(self.gid)
    }
    fn thread(&self) -> u32 {
        100 + self.uid
    }
    fn supplementary(&self) -> Option<&[Gid]> {
        Some(&self.groups)
    }
    fn process(&self) -> Process {
        Process { pid: self.thread(), uid: self.uid(), gid: self.gid(), executable: None }
    }
    fn shares_process_with(&self, thread: u32) -> bool {
        thread == self.thread()
    }
    fn has_open(&self, _: NodeId) -> bool {
        false
    }
}

fn callers() -> Vec<Who> {
    let who = |uid, gid, groups: &[u32]| Who { uid, gid, groups: groups.iter().copied().map(Gid).collect() };
    vec![who(0, 0, &[]), who(0, 0, &[20]), who(1, 10, &[20]), who(1, 30, &[]), who(2, 20, &[]), who(3, 30, &[10, 20])]
}

/// Somebody who has nothing open: a thread with an open file may be told that file's size.
fn stranger() -> Who {
    Who { uid: 99, gid: 99, groups: vec![] }
}

// ---- the tree ----

struct Silent;

impl Sink for Silent {
    fn append(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

/// A store that can be shut and opened again.
trait Shelf {
    fn open(&self, create: bool) -> Arc<dyn Store>;
}

struct World {
    ns: Namespace,
    /// What the namespace is made of, for a look at the rows themselves.
    rows: Parts,
    roots: BTreeMap<&'static str, NodeId>,
}

const READ: OpenMode = OpenMode { read: true, write: false, append: false, truncate: false };

impl World {
    fn mount(
        store: Arc<dyn Store>,
        identities: &Identities,
        fingerprint: &Fingerprint,
        clock: Arc<ManualClock>,
    ) -> World {
        let parts = unlock(store, identities, fingerprint).unwrap();
        let rows = Parts { store: parts.store.clone(), seal: parts.seal.clone(), settings: parts.settings };
        let audit = Arc::new(Audit::new(parts.seal.store(), Box::new(Silent)));
        let ns = Namespace::new(
            parts,
            audit,
            clock,
            Limits { value: LIMIT as u64, lease: Duration::ZERO, ..Limits::default() },
        );
        let environment = ns.environment(&Name::parse(b"dev").unwrap()).unwrap();
        let roots = Tree::ALL.map(|tree| (tree.as_str(), ns.tree_root(environment, tree).unwrap())).into();
        World { ns, rows, roots }
    }

    fn find(&self, path: &[&str]) -> Result<NodeId, Error> {
        path[1..].iter().try_fold(self.roots[path[0]], |id, part| Ok(self.ns.lookup(id, &name(part))?.node))
    }

    fn seat(&self, path: &[&str]) -> Result<(NodeId, Name), Error> {
        Ok((self.find(&path[..path.len() - 1])?, name(path[path.len() - 1])))
    }

    fn put(&self, who: &Who, path: &Path, mode: u32, value: &[u8], append: bool) -> Result<(), Error> {
        let (parent, name) = self.seat(path)?;
        let how = OpenMode { read: false, write: true, append, truncate: !append };
        let (_, file) = self.ns.create(who, parent, &name, (Mode::from_bits(mode), Mode::from_bits(0)), how, false)?;
        // In two pieces, as a program may.
        let (one, other) = value.split_at(value.len() / 2);
        let written = self.ns.write(&file, 0, one).and_then(|()| self.ns.write(&file, one.len() as u64, other));
        let flushed = self.ns.flush(who, &file);
        self.ns.release(&file);
        written.and(flushed)
    }

    fn read(&self, who: &Who, file: &OpenFile) -> Result<Vec<u8>, Error> {
        self.ns.read(who, file, 0, u32::MAX, <[u8]>::to_vec)
    }

    fn get(&self, who: &Who, path: &Path) -> Result<Vec<u8>, Error> {
        let file = self.ns.open(who, self.find(path)?, READ)?;
        let answer = self.read(who, &file);
        self.ns.release(&file);
        answer
    }

    fn names(&self, path: &Path) -> Vec<Name> {
        path[1..].iter().map(|part| name(part)).collect()
    }

    fn old(&self, who: &Who, path: &Path, number: u64) -> Result<Vec<u8>, Error> {
        let file = self.ns.open_version(who, self.roots[path[0]], &self.names(path), Version(number))?;
        let answer = self.read(who, &file);
        self.ns.release(&file);
        answer
    }

    fn versions(&self, path: &Path) -> Vec<u64> {
        let root = Who { uid: 0, gid: 0, groups: vec![] };
        match self.ns.past(&root, self.roots[path[0]], &self.names(path)) {
            Ok(past) => past.versions.iter().map(|past| past.version.0).collect(),
            Err(Error::NotFound) => vec![],
            Err(error) => panic!("{error}"),
        }
    }
}

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

// ---- side by side ----

fn compare_all(world: &World, model: &Model) {
    let mut waiting: Vec<Path> = vec![vec!["secrets"], vec!["variables"]];
    while let Some(path) = waiting.pop() {
        let id = world.find(&path).unwrap();
        let listed = world.ns.list(id).unwrap();
        let wanted: Vec<_> = model.children(&path).map(|(inner, _)| *inner.last().unwrap()).collect();
        let names: Vec<_> = listed.iter().map(|entry| entry.name.to_string()).collect();
        assert_eq!(names, wanted, "{path:?}");
        let directories = model.children(&path).filter(|(_, entry)| matches!(entry, Entry::Directory(_))).count();
        assert_eq!(world.ns.attributes(&stranger(), id).unwrap().links, directories as u32 + 2, "{path:?}");
        for (inner, entry) in model.children(&path) {
            compare(world, model, inner);
            if let Entry::Directory(_) = entry {
                waiting.push(inner.clone());
            }
        }
    }
    for path in model.graves.keys() {
        compare(world, model, path);
    }
    let mut found = Vec::new();
    verify(&world.rows, &mut |finding| found.push(finding.to_string())).unwrap();
    assert!(found.is_empty(), "{found:#?}");
}

/// What one path shows.
fn compare(world: &World, model: &Model, path: &Path) {
    let found = world.find(path).and_then(|id| world.ns.attributes(&stranger(), id));
    let shown = |perm: &Perm| (Uid(perm.owner), Gid(perm.group), Mode::from_bits(perm.mode));
    match model.entries.get(path) {
        None => assert!(found.is_err(), "{path:?} is there"),
        Some(entry) => {
            let found = found.unwrap_or_else(|error| panic!("{path:?}: {error}"));
            let is = (found.permissions.owner, found.permissions.group, found.permissions.mode);
            match entry {
                Entry::Directory(directory) => assert_eq!(is, shown(&model.directories[*directory]), "{path:?}"),
                Entry::File(file) => {
                    let file = &model.files[*file];
                    assert_eq!(
                        (is, found.size, found.links),
                        (shown(&file.perm), file.value().len() as u64, 1),
                        "{path:?}"
                    );
                    assert_eq!(world.ns.version(found.node).unwrap(), Some(Version(file.version())), "{path:?}");
                }
            }
        }
    }
    let wanted: Vec<_> = model.versions(path).iter().map(|stored| stored.number).collect();
    assert_eq!(world.versions(path), wanted, "history of {path:?}");
}

fn random_path(random: &mut Random) -> Path {
    let mut path = vec![random.pick(&["secrets", "variables"])];
    for _ in 0..random.pick(&[1, 1, 1, 2, 2, 3]) {
        path.push(random.pick(&["a", "b", "c"]));
    }
    path
}

/// One step, on both: the paths that it was about.
fn step(random: &mut Random, world: &World, model: &mut Model, last: &mut String) -> Vec<Path> {
    let all = callers();
    let who = &all[random.below(all.len())];
    let path = random_path(random);
    let value = |random: &mut Random| {
        vec![b'a' + random.below(4) as u8; random.pick(&[0, 1, 2, 20, SMALL, SMALL + 1, LIMIT, LIMIT + 1])]
    };
    let before = model.clone();
    let mode = random.pick(&[0o600, 0o640, 0o660, 0o644, 0o200, 0o666, 0o040]);
    let mut touched = vec![path.clone()];
    let (answer, wanted): (Result<Vec<u8>, Error>, Result<Vec<u8>, ()>) = match random.below(100) {
        choice @ 0..35 => {
            let (value, append) = (value(random), choice >= 27);
            *last = format!("put {path:?} {mode:o} {value:?} append {append} by {who:?}");
            (
                world.put(who, &path, mode, &value, append).map(|()| vec![]),
                model.put(who, &path, mode, value, append).map(|()| vec![]),
            )
        }
        35..39 => {
            let length = random.pick(&[0, 1, 6, SMALL, SMALL + 1, LIMIT, LIMIT + 1]);
            *last = format!("truncate {path:?} {length}");
            let answer = world.find(&path).and_then(|id| world.ns.truncate_closed(who, id, length as u64));
            (answer.map(|()| vec![]), model.truncate(who, &path, length).map(|()| vec![]))
        }
        39..50 => {
            *last = format!("get {path:?} by {who:?}");
            (world.get(who, &path), model.get(who, &path))
        }
        50..58 => {
            *last = format!("mkdir {path:?} by {who:?}");
            let make = |(parent, name)| {
                world.ns.make_directory(who, parent, &name, Mode::from_bits(0o755), Mode::from_bits(0))
            };
            (world.seat(&path).and_then(make).map(|_| vec![]), model.mkdir(who, &path, 0o755).map(|()| vec![]))
        }
        58..61 => {
            *last = format!("rmdir {path:?} by {who:?}");
            let answer = world.seat(&path).and_then(|(parent, name)| world.ns.remove_directory(who, parent, &name));
            (answer.map(|_| vec![]), model.rmdir(who, &path).map(|()| vec![]))
        }
        choice @ 61..70 => {
            let as_editor = choice == 69;
            *last = format!("remove {path:?} by {who:?}, as editor {as_editor}");
            let answer = if as_editor && model.file(&path).is_some() {
                world.find(&path).and_then(|id| world.ns.remove_by_editor(who, id)).map(|_| vec![])
            } else {
                world.seat(&path).and_then(|(parent, name)| world.ns.remove_file(who, parent, &name)).map(|_| vec![])
            };
            (answer, model.remove(who, &path, as_editor).map(|()| vec![]))
        }
        choice @ 70..84 => {
            let to = random_path(random);
            let how = match choice {
                70..79 => RenameMode::Replace,
                79..81 => RenameMode::Keep,
                _ => RenameMode::Exchange,
            };
            *last = format!("rename {path:?} to {to:?} {how:?} by {who:?}");
            let answer = world.seat(&path).and_then(|(from, name)| {
                let (parent, new) = world.seat(&to)?;
                world.ns.rename(who, (from, &name), (parent, &new), how)
            });
            touched.push(to.clone());
            (answer.map(|()| vec![]), model.rename(who, &path, &to, how).map(|()| vec![]))
        }
        choice @ 84..90 => {
            // A directory stays passable, so that what stands below can be compared.
            let mode = if model.directory(&path) { random.pick(&[0o755, 0o711, 0o700]) } else { mode };
            let group = random.pick(&[10, 20, 30]);
            *last = format!("chmod {path:?} {mode:o} or chgrp {group}");
            let mut change = AttributeChange::default();
            if choice < 87 {
                change.mode = Some(Mode::from_bits(mode))
            } else {
                change.group = Some(Gid(group))
            };
            let answer = world.find(&path).and_then(|id| world.ns.alter(who, id, Alteration::Set(change)));
            let edit = |perm: &mut Perm| if choice < 87 { perm.mode = mode } else { perm.group = group };
            (answer.map(|()| vec![]), model.chmod(&path, edit).map(|()| vec![]))
        }
        _ => {
            let newest = model.versions(&path).last().map_or(1, |stored| stored.number);
            let number = (newest + 1).saturating_sub(random.below(KEPT + 2) as u64);
            *last = format!("version {number} of {path:?} by {who:?}");
            (world.old(who, &path, number), model.old(who, &path, number))
        }
    };
    match (answer, wanted) {
        // The store's own reasons: nothing was changed, unless the answer was lost.
        (Err(Error::NoSpace), _) => *model = before,
        (Err(Error::Store(text)), _) => assert!(text.contains("not known"), "{text}"),
        (Ok(answer), Ok(wanted)) => assert_eq!(answer, wanted),
        (Err(error), Err(())) => assert!(!matches!(error, Error::Tampered(_) | Error::Busy), "{error}"),
        (answer, wanted) => panic!("{last}: {answer:?} where the model says {wanted:?}"),
    }
    touched
}

/// A file that a reader keeps open, and what it must go on to show.
struct Held {
    file: Arc<OpenFile>,
    model: usize,
    value: Vec<u8>,
    own: u64,
    under: Perm,
}

struct Course<'s> {
    shelf: &'s dyn Shelf,
    faults: Option<&'s FaultStore<MemoryStore>>,
    reopen_every: usize,
    full_every: usize,
}

fn run(seed: u64, steps: usize, course: &Course<'_>) {
    let mut random = Random(seed);
    let place = tempfile::tempdir().unwrap();
    let identities = Identities::create(&place.path().join("identity")).unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let new = NewStore::draw(&identities).unwrap();
    let fingerprint = new.key.fingerprint(new.id);
    let store = course.shelf.open(true);
    create_store(&*store, &new, &identities, (Uid(0), Gid(0)), Timestamp(0)).unwrap();
    let mut world = World::mount(store, &identities, &fingerprint, clock.clone());
    let mut model = Model::default();
    let mut held: Vec<Held> = Vec::new();
    let trace = Mutex::new(String::new());
    let report = Report { seed, trace: &trace };
    for number in 0..steps {
        if let Some(faults) = course.faults
            && random.below(40) == 0
        {
            let fault = match random.below(4) {
                0 => Fault::After,
                1 => Fault::Before(CommitError::NoSpace),
                _ => Fault::Before(CommitError::Conflict),
            };
            faults.fail_commit(0, fault);
        }
        let mut last = String::new();
        let before = format!("step {number}: ");
        trace.lock().unwrap().clone_from(&before);
        let touched = step(&mut random, &world, &mut model, &mut last);
        *trace.lock().unwrap() = format!("{before}{last}");
        touched.iter().for_each(|path| compare(&world, &model, path));
        if number % course.full_every == 0 {
            compare_all(&world, &model);
        }
        hold(&mut random, &world, &model, &mut held);
        if number % course.reopen_every == course.reopen_every - 1 {
            held.drain(..).for_each(|held| drop(world.ns.release(&held.file)));
            drop(world);
            world = World::mount(course.shelf.open(false), &identities, &fingerprint, clock.clone());
            compare_all(&world, &model);
        }
    }
    compare_all(&world, &model);
    held.drain(..).for_each(|held| drop(world.ns.release(&held.file)));
    assert_eq!(world.ns.totals().open_files, 0);
    drop(report);
}

/// Says at a failure how to see it again.
struct Report<'t> {
    seed: u64,
    trace: &'t Mutex<String>,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let trace = self.trace.lock().map(|trace| trace.clone()).unwrap_or_default();
            eprintln!("KEYFS_MODEL_SEED={} fails at {trace}", self.seed);
        }
    }
}

/// Opens files now and then, keeps them, and reads them again as anybody: what they show is what they showed at first, to
/// whom the gate lets in now.
fn hold(random: &mut Random, world: &World, model: &Model, held: &mut Vec<Held>) {
    let all = callers();
    let who = &all[random.below(all.len())];
    if random.below(8) == 0 && held.len() < 6 {
        let path = random_path(random);
        if let (Some(file), Ok(value)) = (model.file(&path), model.get(who, &path)) {
            let open = world.find(&path).and_then(|id| world.ns.open(who, id, READ)).unwrap();
            let entry = &model.files[file];
            held.push(Held { file: open, model: file, value, own: entry.own_number(), under: entry.perm });
        }
    }
    if held.is_empty() {
        return;
    }
    let place = random.below(held.len());
    let Held { file, model: index, value, own, under } = &held[place];
    let entry = &model.files[*index];
    // An earlier version is for those whom its own permissions let in too. Whose name is another now has its version still.
    let let_in = entry.perm.gate(who) && (entry.own_number() == *own || under.gate(who));
    match world.read(who, file) {
        Ok(found) => {
            assert_eq!(found, *value);
            assert!(!entry.secret || value.is_empty() || let_in, "read by whom the gate keeps out");
        }
        Err(Error::Gate(_)) => assert!(entry.secret && !let_in),
        Err(error) => panic!("{error}"),
    }
    if random.below(20) == 0 {
        world.ns.release(&held.swap_remove(place).file);
    }
}

/// How many seeds, and how many steps of each: in memory, while commits fail, and in a file.
const IN_MEMORY: (u64, usize) = (35, 2000);
const WITH_FAULTS: (u64, usize) = (13, 2000);
const IN_FILE: (u64, usize) = (8, 600);

/// The numbers of the random runs, ten times as many in the long form.
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("KEYFS_MODEL_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=scale::either(count, 10 * count)).collect(),
    }
}

#[test]
fn a_run_takes_a_hundred_thousand_steps() {
    let steps = [IN_MEMORY, WITH_FAULTS, IN_FILE].map(|(seeds, steps)| seeds as usize * steps).iter().sum::<usize>();
    eprintln!("{steps} steps of the model, ten times as many in the long form");
    assert!(steps >= 100_000);
}

struct InMemory(Arc<FaultStore<MemoryStore>>);

impl Shelf for InMemory {
    fn open(&self, _: bool) -> Arc<dyn Store> {
        self.0.clone()
    }
}

impl InMemory {
    fn new() -> InMemory {
        InMemory(Arc::new(FaultStore::new(MemoryStore::new())))
    }
}

#[test]
fn the_tree_is_as_the_model_in_memory() {
    for seed in seeds(IN_MEMORY.0) {
        let shelf = InMemory::new();
        run(seed, IN_MEMORY.1, &Course { shelf: &shelf, faults: None, reopen_every: usize::MAX, full_every: 20 });
    }
}

#[test]
fn the_tree_is_as_the_model_while_commits_fail() {
    for seed in seeds(WITH_FAULTS.0) {
        let shelf = InMemory::new();
        run(seed, WITH_FAULTS.1, &Course { shelf: &shelf, faults: Some(&shelf.0), reopen_every: 500, full_every: 20 });
    }
}

struct InFile(tempfile::TempDir);

impl Shelf for InFile {
    fn open(&self, create: bool) -> Arc<dyn Store> {
        let path = self.0.path().join("store.redb");
        Arc::new(if create { RedbStore::create(&path) } else { RedbStore::open(&path) }.unwrap())
    }
}

#[test]
fn the_tree_is_as_the_model_in_a_file_that_is_opened_again() {
    for seed in seeds(IN_FILE.0) {
        let shelf = InFile(tempfile::tempdir().unwrap());
        run(seed, IN_FILE.1, &Course { shelf: &shelf, faults: None, reopen_every: 150, full_every: 50 });
    }
}
