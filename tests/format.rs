//! A store that version 0.1.0 wrote, byte for byte: each later version opens it and finds in it what was put there.
//!
//! `tests/format/v1` was made by that version's program on a mount; it is never made anew. A format that changes gets a folder
//! of its own beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use keyfs::access::Rights;
use keyfs::audit::{Audit, Process, Sink};
use keyfs::clock::{SystemClock, Timestamp};
use keyfs::id::{Gid, NodeId, Uid, Version};
use keyfs::key::{Name, Tree};
use keyfs::seal::identity::Identities;
use keyfs::store::Store;
use keyfs::store::redb::{LedgerState, RedbStore};
use keyfs::tree::{self, Actor, Attributes, Error, Limits, Namespace, OpenMode};

struct Who(u32, Vec<Gid>);

impl Actor for Who {
    fn uid(&self) -> Uid {
        Uid(self.0)
    }
    fn gid(&self) -> Gid {
        Gid(self.0)
    }
    fn thread(&self) -> u32 {
        1
    }
    fn supplementary(&self) -> Option<&[Gid]> {
        Some(&self.1)
    }
    fn process(&self) -> Process {
        Process { pid: 1, uid: self.uid(), gid: self.gid(), executable: None }
    }
    fn shares_process_with(&self, _: u32) -> bool {
        true
    }
    fn has_open(&self, _: NodeId) -> bool {
        false
    }
}

struct Paper(Arc<Mutex<Vec<u8>>>);

impl Sink for Paper {
    fn append(&mut self, lines: &[u8]) -> std::io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(lines);
        Ok(())
    }
}

fn find(namespace: &Namespace, path: &str) -> Attributes {
    let mut parent = NodeId::ROOT;
    let mut found = None;
    for name in path.split('/') {
        let attributes = namespace.lookup(parent, &Name::parse(name.as_bytes()).unwrap()).unwrap();
        parent = attributes.node;
        found = Some(attributes);
    }
    found.unwrap()
}

fn read(namespace: &Namespace, who: &Who, path: &str) -> Result<Vec<u8>, Error> {
    let mode = OpenMode { read: true, ..OpenMode::default() };
    let file = namespace.open(who, find(namespace, path).node, mode)?;
    let value = namespace.read(who, &file, 0, u32::MAX, <[u8]>::to_vec);
    namespace.release(&file);
    value
}

fn read_past(namespace: &Namespace, who: &Who, tree: (&str, Tree), path: &str, version: u64) -> Vec<u8> {
    let root = namespace.tree_root(find(namespace, tree.0).node, tree.1).unwrap();
    let names: Vec<_> = path.split('/').map(|name| Name::parse(name.as_bytes()).unwrap()).collect();
    let file = namespace.open_version(who, root, &names, Version(version)).unwrap();
    let value = namespace.read(who, &file, 0, u32::MAX, <[u8]>::to_vec).unwrap();
    namespace.release(&file);
    value
}

#[test]
fn what_version_1_wrote_is_read() {
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format/v1");
    let home = tempfile::tempdir().unwrap();
    for file in ["store.redb", "identity", "identity.stores"] {
        fs::copy(frozen.join(file), home.path().join(file)).unwrap();
        fs::set_permissions(home.path().join(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let identities = Identities::read(&home.path().join("identity")).unwrap();
    let store = Arc::new(RedbStore::open(&home.path().join("store.redb")).unwrap());
    let format = tree::format(&*store).unwrap();
    assert_eq!(format.store.to_string(), "c61d4d417aca569bfc97f39ff76c4a05");
    let fingerprint = identities.known(format.store).unwrap().unwrap();
    assert_eq!(fingerprint.to_string(), "d1fbd8648ed98e4c7b42e735abc30e48");
    let parts = tree::unlock(Arc::clone(&store) as Arc<dyn Store>, &identities, &fingerprint).unwrap();
    assert_eq!(store.attach_ledger(Arc::clone(&parts.seal) as Arc<_>).unwrap(), LedgerState::Attached);
    let paper = Arc::new(Mutex::new(Vec::new()));
    let audit = Arc::new(Audit::new(format.store, Box::new(Paper(Arc::clone(&paper)))));
    let namespace = Namespace::new(parts, audit, Arc::new(SystemClock), Limits::default());

    let names: Vec<_> = namespace.environments().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["dev", "pre", "prod", "qa"]);
    let root = Who(0, vec![]);
    let payments = Who(2000, vec![Gid(1001)]);
    let named = Who(2000, vec![Gid(1002)]);

    assert_eq!(read(&namespace, &root, "dev/variables/config/max_retries").unwrap(), b"max 12\n");
    assert_eq!(read_past(&namespace, &root, ("dev", Tree::Variables), "config/max_retries", 3), b"max 3\n");
    let kept = namespace
        .past(
            &root,
            namespace.tree_root(find(&namespace, "dev").node, Tree::Variables).unwrap(),
            &[Name::parse(b"config").unwrap(), Name::parse(b"max_retries").unwrap()],
        )
        .unwrap();
    assert_eq!(kept.versions.iter().map(|past| past.version.0).collect::<Vec<_>>(), (3..=12).collect::<Vec<_>>());
    assert_eq!(read(&namespace, &root, "pre/variables/empty").unwrap(), b"");
    assert_eq!(read(&namespace, &root, "pre/variables/shrunk").unwrap(), b"small\n");
    assert_eq!(read_past(&namespace, &root, ("pre", Tree::Variables), "shrunk", 1), vec![b'v'; 1000]);

    // An editor's new file has taken up the history of the key that it replaced.
    assert_eq!(read(&namespace, &root, "dev/variables/edited").unwrap(), b"new\n");
    assert_eq!(read_past(&namespace, &root, ("dev", Tree::Variables), "edited", 1), b"old\n");
    assert_eq!(read_past(&namespace, &root, ("dev", Tree::Secrets), "removed", 1), b"gone\n");

    let password = "prod/secrets/db/password";
    assert_eq!(read(&namespace, &payments, password).unwrap(), b"s3cret\n");
    assert_eq!(read(&namespace, &named, password).unwrap(), b"s3cret\n");
    assert!(matches!(read(&namespace, &root, password), Err(Error::Gate(_))));
    assert_eq!(read_past(&namespace, &payments, ("prod", Tree::Secrets), "db/password", 1), b"first");
    assert_eq!(read(&namespace, &root, "prod/secrets/large").unwrap(), vec![b'k'; 70_000]);

    let attributes = find(&namespace, password);
    let permissions = &attributes.permissions;
    assert_eq!((permissions.owner, permissions.group, permissions.mode.bits()), (Uid(1000), Gid(1001), 0o640));
    assert_eq!(permissions.named_group(Gid(1002)), Some(Rights::READ));
    assert_eq!(namespace.note(attributes.node, b"owner").unwrap(), b"the payments team");
    let facts = namespace.facts(attributes.node).unwrap();
    assert_eq!(facts.expires, Timestamp::parse("2199-01-01T00:00:00Z"));
    assert_eq!((facts.version, facts.modified_by), (Some(Version(2)), Some(Uid(0))));
    let config = find(&namespace, "dev/variables/config");
    assert_eq!(config.permissions.default.unwrap().group(Gid(1002)), Some(Rights::from_bits(5)));
    assert_eq!(find(&namespace, "dev").links, 4);
    assert!(!String::from_utf8_lossy(&paper.lock().unwrap()).contains("tampered"));
}
