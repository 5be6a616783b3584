//! What the parts of a read cost in the daemon, without the kernel: `cargo bench --bench parts`.
//!
//! Each part is timed alone, on a store in a file as the daemon has it, and the least of many rounds is printed: what is
//! above it is the machine's, not the program's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyfs::access::gate;
use keyfs::access::{Caller, Mode};
use keyfs::audit::{Address, Audit, Event, FileSink, Process, Record};
use keyfs::clock::{Clock, SystemClock};
use keyfs::id::{Gid, NodeId, Uid, Version};
use keyfs::key::{Environment, Name, Tree};
use keyfs::seal::Binding;
use keyfs::seal::identity::Identities;
use keyfs::store::Store;
use keyfs::store::redb::RedbStore;
use keyfs::tree::row::{self, key};
use keyfs::tree::{Actor, Limits, Namespace, NewStore, OpenMode, create_store, unlock};

const GROUP: Gid = Gid(20_101);
const VALUE: &[u8] = b"correct horse battery staple, and then some: sixty-four bytes!!!";
const ROUNDS: u32 = 200;
const TIMES: u32 = 50;

/// A process that has the group as a supplementary one.
struct Reader(Vec<Gid>);

impl Actor for Reader {
    fn uid(&self) -> Uid {
        Uid(1)
    }
    fn gid(&self) -> Gid {
        Gid(1)
    }
    fn thread(&self) -> u32 {
        std::process::id()
    }
    fn supplementary(&self) -> Option<&[Gid]> {
        Some(&self.0)
    }
    fn process(&self) -> Process {
        Process { pid: self.thread(), uid: self.uid(), gid: self.gid(), executable: Some("/usr/bin/cat".into()) }
    }
    fn shares_process_with(&self, thread: u32) -> bool {
        thread == self.thread()
    }
    fn has_open(&self, _: NodeId) -> bool {
        false
    }
}

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

/// Prints the least time of one `operation`, in microseconds.
fn part<T>(what: &str, mut operation: impl FnMut() -> T) {
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..TIMES {
            black_box(operation());
        }
        least = least.min(begun.elapsed() / TIMES);
    }
    println!("{what:<56} {:>8.2}", least.as_secs_f64() * 1e6);
}

fn main() {
    let home = tempfile::tempdir().unwrap();
    let identities = Identities::create(&home.path().join("identity")).unwrap();
    let new = NewStore::draw(&identities).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Arc::new(RedbStore::create(&home.path().join("store.redb")).unwrap());
    create_store(&*store, &new, &identities, (Uid(0), Gid(0)), clock.now()).unwrap();
    let parts = unlock(store.clone(), &identities, &new.key.fingerprint(new.id)).unwrap();
    let seal = parts.seal.clone();
    let audit = Arc::new(Audit::new(new.id, Box::new(FileSink::open(&home.path().join("audit.jsonl")).unwrap())));
    let ns = Namespace::new(parts, audit.clone(), clock.clone(), Limits::default());

    let reader = Reader(vec![Gid(4), Gid(27), GROUP]);
    let writer = Reader(vec![]);
    let environment = ns.environment(&name("dev")).unwrap();
    let put = |tree| {
        let root = ns.tree_root(environment, tree).unwrap();
        let modes = (Mode::from_bits(0o755), Mode::from_bits(0o022));
        let directory = ns.make_directory(&writer, root, &name("db"), modes.0, modes.1).unwrap().node;
        let how = OpenMode { write: true, truncate: true, ..OpenMode::default() };
        let modes = (Mode::from_bits(0o640), Mode::from_bits(0));
        let (made, file) = ns.create(&writer, directory, &name("password"), modes, how, false).unwrap();
        ns.write(&file, 0, VALUE).unwrap();
        ns.flush(&writer, &file).unwrap();
        ns.release(&file);
        let change = keyfs::tree::AttributeChange { group: Some(GROUP), ..Default::default() };
        let root = Root;
        ns.set_attributes(&root, made.node, change).unwrap();
        made.node
    };
    let (variable, secret) = (put(Tree::Variables), put(Tree::Secrets));
    let how = OpenMode { read: true, ..OpenMode::default() };

    println!("{:<56} {:>8}", "part", "µs");
    part("a snapshot", || store.snapshot().unwrap());
    let snapshot = store.snapshot().unwrap();
    part("one row of a snapshot", || snapshot.get(&key::node(secret)).unwrap().unwrap());
    let stored = snapshot.get(&key::node(secret)).unwrap().unwrap();
    part("its tag", || seal.verify(&key::node(secret), &mut stored.value.clone()).unwrap());
    let content = &stored.value[..stored.value.len() - 16];
    part("its decoding", || row::Node::decode(content).unwrap());
    let node = row::Node::decode(content).unwrap();
    let mut value = snapshot.get(&key::value(secret, 1)).unwrap().unwrap().value;
    value.truncate(value.len() - 16);
    let value = row::Value::decode(&value).unwrap();
    let binding = Binding::new(secret, Version(1), &value.permissions);
    let caller = Caller { uid: Uid(1), gid: Gid(1), supplementary: Some(&reader.0) };
    part("the gate", || gate::read(&node.permissions, &caller, secret).unwrap());
    let grant = || gate::read(&node.permissions, &caller, secret).unwrap();
    part("the record opened", || seal.open(grant(), &binding, &value.content).unwrap());
    let address = Address {
        environment: Environment::new(name("dev")).ok(),
        tree: Some(Tree::Secrets),
        key: "db/password".into(),
    };
    let event = Event::Granted { rule: "group 20101 (owning group)".into(), group: GROUP };
    let record = Record {
        time: clock.now(),
        event,
        address: Some(address),
        version: Some(Version(1)),
        process: Some(reader.process()),
    };
    part("an audit record, written", || audit.decide(&record).unwrap());
    let status = format!("/proc/{}/status", std::process::id());
    part("/proc/<tid>/status, opened and read", || std::fs::read(&status).unwrap());
    let exe = format!("/proc/{}/exe", std::process::id());
    part("/proc/<tid>/exe", || std::fs::read_link(&exe).unwrap());
    for (what, id) in [("variable", variable), ("secret", secret)] {
        part(&format!("{what}: open and release"), || {
            let file = ns.open(&reader, id, how).unwrap();
            ns.release(&file);
        });
        let file = ns.open(&reader, id, how).unwrap();
        part(&format!("{what}: read"), || ns.read(&reader, &file, 0, 4096, <[u8]>::len).unwrap());
    }
}

/// Who may change an owner.
struct Root;

impl Actor for Root {
    fn uid(&self) -> Uid {
        Uid(0)
    }
    fn gid(&self) -> Gid {
        Gid(0)
    }
    fn thread(&self) -> u32 {
        std::process::id()
    }
    fn supplementary(&self) -> Option<&[Gid]> {
        Some(&[])
    }
    fn process(&self) -> Process {
        Process { pid: 0, uid: Uid(0), gid: Gid(0), executable: None }
    }
    fn shares_process_with(&self, thread: u32) -> bool {
        thread == self.thread()
    }
    fn has_open(&self, _: NodeId) -> bool {
        false
    }
}
