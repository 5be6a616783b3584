//! `keyfs mount`.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::SystemTime;

use keyfs::audit::{Audit, FileSink};
use keyfs::clock::{Clock, SystemClock};
use keyfs::fs::Info;
use keyfs::fs::mount::{self, Mounted};
use keyfs::id::{Gid, NodeId, Uid};
use keyfs::key::{Environment, Name};
use keyfs::seal::Fingerprint;
use keyfs::seal::identity::Identities;
use keyfs::seal::memory::{self, Locking};
use keyfs::store::redb::{LedgerState, RedbStore};
use keyfs::tree::{self, Limits, Namespace, NewStore, Parts};
use nix::sys::signal::{SigSet, Signal};

use crate::exit::Failure;
use crate::paths;

/// The longest value that may be asked for: a record must fit a batch of the store with room to spare.
const LARGEST_LIMIT: u64 = 16 << 20;

/// What a daemon in the background writes when its mount answers.
const READY: u8 = 0;

/// Mounts a store: each environment as a tree of `variables/` and one of `secrets/`.
///
/// It runs in the foreground and unmounts on SIGINT and SIGTERM; SIGHUP opens the audit log anew. RUST_LOG sets what is
/// logged, as in RUST_LOG=keyfs=debug.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Make the store, the identity, the environment and the mount point where they are missing; what exists is not touched
    #[arg(long)]
    create: bool,
    /// Show this environment alone, as DIR/variables and DIR/secrets
    #[arg(long, value_name = "ENV")]
    env: Option<Environment>,
    /// The store [default: /var/lib/keyfs/store.redb for root, else keyfs/store.redb in XDG_DATA_HOME]
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// The age identity that unlocks it [default: /etc/keyfs/identity for root, else keyfs/identity in XDG_CONFIG_HOME]
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The fingerprint that the store's key must have, where none is on record beside the identity
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<Fingerprint>,
    /// The audit log, JSON lines [default: beside the store, with the ending .audit.jsonl]
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Return when the mount answers, and serve it in the background
    #[arg(long)]
    background: bool,
    /// Where a daemon in the background logs [default: beside the store, with the ending .log]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Let other users in, as a mount by root does by itself
    #[arg(long)]
    allow_other: bool,
    /// The longest value, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().value,
          value_parser = clap::value_parser!(u64).range(1..=LARGEST_LIMIT))]
    value_limit: u64,
    /// Where
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Serve in the background: say so on stdout, and let go of it
    #[arg(long, hide = true)]
    detached: bool,
}

/// The files of a mount.
struct Files {
    store: PathBuf,
    identity: PathBuf,
    audit: PathBuf,
    log: PathBuf,
}

impl Arguments {
    fn files(&self) -> Result<Files, Failure> {
        let absolute = |path: PathBuf| std::path::absolute(path).map_err(Failure::system);
        let store = absolute(self.store.clone().map_or_else(paths::store, Ok)?)?;
        let identity = absolute(self.identity.clone().map_or_else(paths::identity, Ok)?)?;
        let audit = absolute(self.audit.clone().unwrap_or_else(|| paths::beside(&store, "audit.jsonl")))?;
        let log = absolute(self.log.clone().unwrap_or_else(|| paths::beside(&store, "log")))?;
        Ok(Files { store, identity, audit, log })
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.background {
        return detach(arguments);
    }
    if arguments.detached {
        // The terminal and its signals are not for a daemon; failing means that it leads a session already.
        let _ = nix::unistd::setsid();
    }
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    serve(arguments)
}

/// Starts the same command detached, and waits until it answers or gives up.
fn detach(arguments: &Arguments) -> Result<(), Failure> {
    let program = std::env::current_exe().map_err(Failure::system)?;
    let mut given: Vec<_> = std::env::args_os().skip(1).collect();
    // In its place: behind a `--` stands nothing but the directory.
    if let Some(place) = given.iter_mut().find(|argument| *argument == "--background") {
        *place = "--detached".into();
    }
    let mut command = Command::new(program);
    command.args(given).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(Failure::system)?;
    let mut told = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut told).map_err(Failure::system)?;
    }
    let ready = told.last() == Some(&READY);
    told.retain(|&byte| byte != READY);
    // Whoever closed our output has what it wanted.
    let _ = io::stdout().write_all(&told);
    if ready {
        return Ok(());
    }
    let status = child.wait().map_err(Failure::system)?;
    // The daemon has said why on stderr, which is ours.
    match status.code() {
        Some(code) => std::process::exit(code),
        None => Err(Failure::system(format!("the daemon for {} was killed", arguments.directory.display()))),
    }
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let files = arguments.files()?;
    // Before a key is read: no core, no debugger of the same user, nothing swapped out.
    memory::forbid_dumps().map_err(|error| Failure::system(format!("core dumps can't be forbidden: {error}")))?;
    memory::keep_little();
    let locking = memory::lock_process();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    // Every thread inherits the mask, so that the one that waits for signals gets them.
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block().map_err(Failure::system)?;

    let directory = mount_point(arguments)?;
    let (parts, store_id) = open(arguments, &files)?;
    let detached = if arguments.detached { Some(Detached::prepare(&files.log)?) } else { None };
    let sink = FileSink::open(&files.audit).map_err(|error| {
        Failure::system(format!("{}: the audit log can't be opened: {error}", files.audit.display()))
    })?;
    let audit = Arc::new(Audit::new(store_id, Box::new(sink)));
    let limits = Limits { value: arguments.value_limit, ..Limits::default() };
    let namespace = Arc::new(Namespace::new(parts, Arc::clone(&audit), Arc::new(SystemClock), limits));
    let root = root(arguments, &namespace)?;
    let (uid, gid) = (Uid(nix::unistd::geteuid().as_raw()), Gid(nix::unistd::getegid().as_raw()));
    let info = Info {
        store_id,
        store_path: files.store.clone(),
        audit_path: files.audit.clone(),
        mount_point: directory.clone(),
        environment: arguments.env.clone(),
        started: SystemTime::now(),
        memory_locked: match locking {
            Locking::Process => "process",
            Locking::Secrets => "secrets",
        },
        owner: uid,
        group: gid,
    };
    let (sender, happened) = channel();
    let ended = Unmounted(sender.clone());
    let allow_other = arguments.allow_other || uid == Uid::ROOT;
    let mounted = mount::mount(Arc::clone(&namespace), root, info, allow_other, ended)?;
    // The mount is served by now: this look at it is its first request.
    if let Err(error) = std::fs::metadata(&directory) {
        // What failed leaves nothing mounted; the reason is what matters.
        let _ = mounted.stop();
        return Err(Failure::system(format!("{}: {error}", directory.display())));
    }
    say!(
        "keyfs: mounted {} (store {}, identity {})",
        directory.display(),
        files.store.display(),
        files.identity.display()
    );
    if let Some(detached) = detached {
        detached.let_go();
    }
    std::thread::Builder::new()
        .name("keyfs-signals".into())
        .spawn(move || while signals.wait().is_ok_and(|signal| sender.send(Happened::Signal(signal)).is_ok()) {})
        .map_err(Failure::system)?;
    wait(mounted, &happened, &audit)
}

/// Serves until the mount is gone or a signal asks for the end.
fn wait(mounted: Mounted, happened: &Receiver<Happened>, audit: &Audit) -> Result<(), Failure> {
    for what in happened {
        match what {
            // It goes on in the log that it has.
            Happened::Signal(Signal::SIGHUP) => {
                if let Err(error) = audit.reopen() {
                    log::error!("after a SIGHUP: {error}");
                }
            }
            Happened::Signal(signal) => {
                log::info!("{signal}: unmounting");
                return Ok(mounted.stop()?);
            }
            Happened::Unmounted => return Ok(mounted.join()?),
        }
    }
    Err(Failure::system("signals can't be waited for"))
}

/// What a daemon waits for.
enum Happened {
    Signal(Signal),
    Unmounted,
}

/// Tells so by its end, also where a panic brings it about.
struct Unmounted(Sender<Happened>);

impl Drop for Unmounted {
    fn drop(&mut self) {
        // Whoever is told of a signal first needn't be told of this.
        let _ = self.0.send(Happened::Unmounted);
    }
}

/// What a daemon in the background has in place of a terminal.
struct Detached {
    nothing: File,
    log: File,
}

impl Detached {
    /// Opens all of it, while there still is somebody to be told that it can't be.
    fn prepare(log: &Path) -> Result<Detached, Failure> {
        let nothing = File::options().read(true).write(true).open("/dev/null").map_err(Failure::system)?;
        let opened = File::options().append(true).create(true).open(log);
        let log =
            opened.map_err(|error| Failure::system(format!("{}: the log can't be opened: {error}", log.display())))?;
        // Nobody's directory is kept busy.
        std::env::set_current_dir("/").map_err(Failure::system)?;
        Ok(Detached { nothing, log })
    }

    /// Tells who started us that the mount answers, and leaves its terminal and its pipes alone.
    fn let_go(self) {
        use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
        let _ = io::stdout().write_all(&[READY]).and_then(|()| io::stdout().flush());
        // Only where these numbers were closed to begin with could this fail, and then there is nothing to let go of.
        let _ = dup2_stdin(&self.nothing).and_then(|()| dup2_stdout(&self.log)).and_then(|()| dup2_stderr(&self.log));
    }
}

fn mount_point(arguments: &Arguments) -> Result<PathBuf, Failure> {
    let directory = &arguments.directory;
    if arguments.create && directory.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        make_directory(directory, 0o755)?;
        say!("keyfs: made the mount point {}", directory.display());
    }
    let (place, cleared) = mount::prepare(directory)?;
    if cleared {
        say!("keyfs: cleared the mount of a daemon that is gone from {}", place.display());
    }
    Ok(place)
}

/// The node that the mount shows as its root.
fn root(arguments: &Arguments, namespace: &Namespace) -> Result<NodeId, Failure> {
    let Some(environment) = &arguments.env else { return Ok(NodeId::ROOT) };
    match namespace.environment(environment.name()) {
        Ok(id) => return Ok(id),
        Err(tree::Error::NotFound) => {}
        Err(error) => return Err(Failure::new(7, error)),
    }
    if !arguments.create {
        let names = namespace.environments().unwrap_or_default();
        let names = names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
        return Err(Failure::new(3, format!("there is no environment {environment}, only {names}; --create makes it")));
    }
    let made = namespace.make_environment(environment).map_err(Failure::system)?;
    say!("keyfs: made the environment {environment}");
    Ok(made)
}

/// Opens the store, or makes it, and unlocks it.
fn open(arguments: &Arguments, files: &Files) -> Result<(Parts, keyfs::id::StoreId), Failure> {
    let missing = |path: &Path| path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let new_store = arguments.create && missing(&files.store);
    // A new identity would not unlock an old store.
    let identities = if new_store && missing(&files.identity) {
        make_parent(&files.identity)?;
        let identities = Identities::create(&files.identity)?;
        say!(
            "keyfs: made the identity {}; keep a copy of it where the store's backups are not",
            files.identity.display()
        );
        identities
    } else {
        Identities::read(&files.identity)?
    };
    if new_store {
        make_parent(&files.store)?;
        return create(arguments, files, &identities);
    }
    // What can't be unlocked, or was tampered with, is refused before anything is written to it.
    let mut tried = RedbStore::try_out(&files.store)?;
    let looked = unlock(arguments, files, &identities, tried.store());
    // Of a file that isn't whole, what was found in its rows is the lesser news.
    tried.check()?;
    let (parts, id, fingerprint) = looked?;
    drop(parts);
    let kept = Arc::new(tried.keep()?);
    let parts =
        tree::unlock(kept, &identities, &fingerprint).map_err(|failure| Failure::from(failure).about(&files.store));
    Ok((parts?, id))
}

/// Unlocks what is there and compares its rows with the ledger.
fn unlock(
    arguments: &Arguments,
    files: &Files,
    identities: &Identities,
    store: Arc<RedbStore>,
) -> Result<(Parts, keyfs::id::StoreId, Fingerprint), Failure> {
    let named = |failure: tree::SetupError| {
        let failure = Failure::from(failure);
        failure.about(&files.store)
    };
    let format = tree::format(&*store).map_err(named)?;
    let expected = paths::fingerprint(arguments.fingerprint, identities, format.store)
        .map_err(|failure| failure.about(&files.store))?;
    let parts = tree::unlock(Arc::clone(&store) as Arc<_>, identities, &expected).map_err(|failure| {
        if let tree::SetupError::Damaged(what) = &failure {
            put_on_record(files, format.store, what);
        }
        named(failure)
    })?;
    let ledger = Arc::clone(&parts.seal) as Arc<_>;
    match store.attach_ledger(ledger) {
        Ok(LedgerState::Attached) => Ok((parts, format.store, expected)),
        Ok(LedgerState::Absent | LedgerState::Tampered) => {
            let what = "its rows are not those that the daemon left: rows were changed, taken away or put back";
            put_on_record(files, format.store, what);
            let failure = Failure::new(7, format!("the store is damaged: {what}; restore it from a backup"));
            Err(failure.about(&files.store))
        }
        Err(error) => {
            put_on_record(files, format.store, &error.to_string());
            Err(Failure::new(7, error).about(&files.store))
        }
    }
}

/// A store whose rows were changed by somebody without its key is on record before it is refused.
fn put_on_record(files: &Files, store: keyfs::id::StoreId, what: &str) {
    use keyfs::audit::{Event, Record};
    if let Ok(sink) = FileSink::open(&files.audit) {
        Audit::new(store, Box::new(sink)).note(&Record {
            time: SystemClock.now(),
            event: Event::Tampered { what: what.into() },
            address: None,
            version: None,
            process: None,
        });
    }
}

/// Makes a store under another name first, so that a creation that is cut short leaves none.
fn create(
    arguments: &Arguments,
    files: &Files,
    identities: &Identities,
) -> Result<(Parts, keyfs::id::StoreId), Failure> {
    let partial = paths::beside(&files.store, &format!("new-{}", std::process::id()));
    let made = make_store(&partial, identities).and_then(|(store, new)| {
        let fingerprint = new.key.fingerprint(new.id);
        identities.remember(new.id, &fingerprint)?;
        let flags = nix::fcntl::RenameFlags::RENAME_NOREPLACE;
        nix::fcntl::renameat2(nix::fcntl::AT_FDCWD, &partial, nix::fcntl::AT_FDCWD, &files.store, flags)
            .map_err(|error| Failure::system(format!("{}: {error}", files.store.display())))?;
        let directory = files.store.parent().unwrap_or(Path::new("/"));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(Failure::system)?;
        say!(
            "keyfs: made the store {} with the environments {} (key fingerprint {fingerprint})",
            files.store.display(),
            Environment::DEFAULT.join(", ")
        );
        Ok((store, new, fingerprint))
    });
    match made {
        Ok((store, new, fingerprint)) => {
            let expected = arguments.fingerprint.unwrap_or(fingerprint);
            let parts = tree::unlock(store, identities, &expected)?;
            Ok((parts, new.id))
        }
        Err(failure) => {
            // It was never under its name; what can't be removed is said by its own.
            let _ = std::fs::remove_file(&partial);
            Err(failure)
        }
    }
}

fn make_store(path: &Path, identities: &Identities) -> Result<(Arc<RedbStore>, NewStore), Failure> {
    let store = Arc::new(RedbStore::create(path)?);
    let new = NewStore::draw(identities)?;
    store.start_ledger(Arc::clone(&new.seal) as Arc<_>).map_err(Failure::system)?;
    let owner = (Uid(nix::unistd::geteuid().as_raw()), Gid(nix::unistd::getegid().as_raw()));
    tree::create_store(&*store, &new, identities, owner, SystemClock.now())?;
    Ok((store, new))
}

fn make_parent(path: &Path) -> Result<(), Failure> {
    match path.parent() {
        Some(parent) if !parent.exists() => make_directory(parent, 0o700),
        _ => Ok(()),
    }
}

fn make_directory(path: &Path, mode: u32) -> Result<(), Failure> {
    // The process's umask would take from the mode what others need of a mount point.
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    nix::sys::stat::umask(before);
    made.map_err(|error| Failure::system(format!("{}: can't be made: {error}", path.display())))
}
