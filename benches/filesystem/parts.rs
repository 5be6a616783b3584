//! What the parts of a read cost in the daemon, without the kernel.
//!
//! Each part is timed alone, on a store in a file as the daemon has it, and the least of many rounds is taken: what is above it is
//! the machine's, not the program's.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
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
use keyfs::tree::{Actor, Alteration, Limits, Namespace, NewStore, OpenMode, create_store, unlock};

const GROUP: Gid = Gid(20_101);
const VALUE: &[u8] = b"correct horse battery staple, and then some: sixty-four bytes!!!";
const ROUNDS: u32 = 200;
const TIMES: u32 = 50;

/// A process of a user, with supplementary groups.
struct Who(Uid, Vec<Gid>);

impl Actor for Who {
    fn uid(&self) -> Uid {
        self.0
    }
    fn gid(&self) -> Gid {
        Gid(1)
    }
    fn thread(&self) -> u32 {
        std::process::id()
    }
    fn supplementary(&self) -> Option<&[Gid]> {
        Some(&self.1)
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

/// What the parts of opening, reading and closing take, in microseconds.
pub struct Parts {
    /// All of a variable's.
    pub variable: f64,
    /// All of a secret's, but for what `/proc` is asked.
    pub secret: f64,
    /// Of that: the record, opened.
    pub record: f64,
    /// Of that: the line of the audit log.
    pub audit: f64,
    /// The caller's groups, from `/proc`.
    pub groups: f64,
    /// The caller's program, from `/proc`.
    pub program: f64,
}

/// Prints the least time of one `operation`, in microseconds.
fn part<T>(what: &str, mut operation: impl FnMut() -> T) -> f64 {
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..TIMES {
            black_box(operation());
        }
        least = least.min(begun.elapsed() / TIMES);
    }
    let least = least.as_secs_f64() * 1e6;
    println!("{what:<48} {least:>9.2}");
    least
}

/// Times them all.
pub fn measure() -> Parts {
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

    let reader = Who(Uid(1), vec![Gid(4), Gid(27), GROUP]);
    let root = Who(Uid(0), vec![]);
    let environment = ns.environment(&name("dev")).unwrap();
    let put = |tree| {
        let top = ns.tree_root(environment, tree).unwrap();
        let modes = (Mode::from_bits(0o755), Mode::from_bits(0o022));
        let directory = ns.make_directory(&root, top, &name("db"), modes.0, modes.1).unwrap().node;
        let how = OpenMode { write: true, truncate: true, ..OpenMode::default() };
        let modes = (Mode::from_bits(0o640), Mode::from_bits(0));
        let (made, file) = ns.create(&root, directory, &name("password"), modes, how, false).unwrap();
        ns.write(&file, 0, VALUE).unwrap();
        ns.flush(&root, &file).unwrap();
        ns.release(&file);
        let change = keyfs::tree::AttributeChange { group: Some(GROUP), ..Default::default() };
        ns.alter(&root, made.node, Alteration::Set(change)).unwrap();
        made.node
    };
    let (variable, secret) = (put(Tree::Variables), put(Tree::Secrets));
    let how = OpenMode { read: true, ..OpenMode::default() };

    println!("{:<48} {:>9}", "in the daemon, least of many rounds", "µs");
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
    let caller = Caller { uid: Uid(1), gid: Gid(1), supplementary: Some(&reader.1) };
    part("the gate", || gate::read(&node.permissions, &caller, secret).unwrap());
    let grant = || gate::read(&node.permissions, &caller, secret).unwrap();
    let record_opened = part("the record opened", || seal.open(grant(), &binding, &value.content).unwrap());
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
    let audit_line = part("an audit record, written", || audit.decide(&record).unwrap());
    let status = File::open(format!("/proc/{}/status", std::process::id())).unwrap();
    let groups = part("/proc/<tid>/status, kept open", || status.read_at(&mut [0; 4096], 0).unwrap());
    let exe = format!("/proc/{}/exe", std::process::id());
    let program = part("/proc/<tid>/exe", || std::fs::read_link(&exe).unwrap());
    let [variable, secret] = [("variable", variable), ("secret", secret)].map(|(what, id)| {
        part(&format!("{what}: open, read and release"), || {
            let file = ns.open(&reader, id, how).unwrap();
            ns.read(&reader, &file, 0, 4096, <[u8]>::len).unwrap();
            ns.release(&file);
        })
    });
    Parts { variable, secret, record: record_opened, audit: audit_line, groups, program }
}
