//! Python's own modules that read and write files, and SQLite.

use crate::alike::{alike, in_keyfs};
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, PAYMENTS, ROOT, User};
use crate::service::said;
use crate::{Case, Tool};

pub const TOOLS: &[Tool] = &[("python3", "python3")];

pub const CASES: &[Case] = &[
    ("configurations", configurations),
    ("temporary_files", temporary_files),
    ("shutil", shutil),
    ("databases_of_one_connection", databases_of_one_connection),
    ("counters_under_a_lock", counters_under_a_lock),
    ("a_program_of_the_group", a_program_of_the_group),
    ("a_value_read_in_parts", a_value_read_in_parts),
];

fn configurations() {
    alike(
        r#"
import configparser, csv, json, pathlib, pickle, tomllib
parser = configparser.ConfigParser()
parser["database"] = {"host": "localhost", "port": "5432"}
with open("app.ini", "w") as file:
    parser.write(file)
again = configparser.ConfigParser()
expect("ini", ["app.ini"], again.read, ["app.ini", "none.ini"])
expect("port", 5432, again.getint, "database", "port")
again["database"]["host"] = "db.internal"
with open("app.ini", "r+") as file:
    again.write(file)
    file.truncate()
show("written over", get, "app.ini")
with open("app.json", "w") as file:
    json.dump({"retries": 5, "name": "\u00e9"}, file, indent=1)
expect("json", {"retries": 5, "name": "\u00e9"}, lambda: json.load(open("app.json")))
put("app.toml", b"[server]\nport = 80\n")
expect("toml", {"server": {"port": 80}}, lambda: tomllib.load(open("app.toml", "rb")))
with open("app.csv", "w", newline="") as file:
    csv.writer(file).writerows([["a", 1], ["b", 2]])
expect("csv", [["a", "1"], ["b", "2"]], lambda: list(csv.reader(open("app.csv", newline=""))))
with open("app.pickle", "wb") as file:
    pickle.dump({"a": (1, 2)}, file)
expect("pickle", {"a": (1, 2)}, lambda: pickle.load(open("app.pickle", "rb")))
path = pathlib.Path("app.txt")
expect("pathlib", 6, path.write_text, "value\n")
show("pathlib's", lambda: (path.read_text(), path.exists(), path.is_file(), path.stat().st_size, sorted(map(str, pathlib.Path().glob("*.t*")))))
show("replaced", lambda: str(path.replace("moved.txt")))
expect("touched twice", "EEXIST", pathlib.Path("moved.txt").touch, exist_ok=False)
# A module, compiled into a directory beside it.
put("settings.py", b"RETRIES = 5\n")
sys.path.insert(0, os.getcwd())
import settings
expect("imported", (5, True), lambda: (settings.RETRIES, os.path.exists(settings.__cached__)))
# Whole or not at all, as most packages do it.
def store(path, value):
    with open(path + ".new", "wb") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
    os.close(directory)
expect("stored", None, store, "app.txt", b"whole")
expect("its value", b"whole", get, "app.txt")
"#,
    );
}

fn temporary_files() {
    alike(
        r#"
import tempfile
tempfile.tempdir = os.getcwd()
with tempfile.TemporaryFile() as file:
    file.write(b"scratch")
    file.seek(0)
    expect("without a name", b"scratch", file.read)
    expect("its size", 7, lambda: os.fstat(file.fileno()).st_size)
expect("nothing is left", [], names)
with tempfile.NamedTemporaryFile(delete=False) as file:
    file.write(b"kept")
expect("private", "0o600", mode, file.name)
os.rename(file.name, "kept")
expect("kept", b"kept", get, "kept")
with tempfile.TemporaryDirectory() as directory:
    expect("a private directory", "0o700", mode, directory)
    put(os.path.join(directory, "k"), b"v")
    os.mkdir(os.path.join(directory, "d"))
expect("removed", ["kept"], names)
handle, path = tempfile.mkstemp(prefix="p", suffix=".s")
os.write(handle, b"x" * 5000)
expect("while it is open", 5000, lambda: os.fstat(handle).st_size)
os.close(handle)
expect("made", (5000, "0o600"), lambda: (size(path), mode(path)))
with tempfile.SpooledTemporaryFile(max_size=10) as file:
    file.write(b"longer than ten")
    file.seek(0)
    expect("rolled over", b"longer than ten", file.read)
"#,
    );
}

fn shutil() {
    alike(
        r#"
import shutil
os.umask(0o027)
os.makedirs("from/a/b")
put("from/one", b"1")
put("from/a/two", b"2" * 5000)
put("from/a/b/empty", b"")
os.chmod("from/one", 0o600)
os.utime("from/one", ns=(10**18, 10**18 + 123456789))
os.setxattr("from/one", "user.note", b"kept")
def tree(top):
    found = []
    for path, directories, files in os.walk(top):
        directories.sort()
        for name in sorted(files):
            file = os.path.join(path, name)
            found.append((os.path.relpath(file, top), mode(file), get(file)[:3], size(file)))
        found.append((os.path.relpath(path, top), mode(path)))
    return found
expect("copied", "to", shutil.copytree, "from", "to")
show("copy", tree, "to")
expect("the same", True, lambda: tree("to") == tree("from"))
expect("its times", 10**18 + 123456789, lambda: os.stat("to/one").st_mtime_ns)
expect("its note", b"kept", os.getxattr, "to/one", "user.note")
expect("over it", "to", lambda: shutil.copytree("from", "to", dirs_exist_ok=True))
show("copyfile", lambda: (shutil.copyfile("from/a/two", "copy"), size("copy"), mode("copy")))
show("copy2", lambda: (shutil.copy2("from/one", "copy2"), mode("copy2"), os.stat("copy2").st_mtime_ns))
show("move", lambda: (shutil.move("to/a", "moved"), tree("moved")))
show("archive", lambda: (os.path.basename(shutil.make_archive("archive", "gztar", "from")), shutil.unpack_archive("archive.tar.gz", "unpacked"), tree("unpacked") == tree("from")))
show("zip", lambda: (os.path.basename(shutil.make_archive("archive", "zip", "from")), shutil.unpack_archive("archive.zip", "unzipped"), sorted(n for _, _, f in os.walk("unzipped") for n in f)))
show("rmtree", lambda: (shutil.rmtree("to"), names()))
show("disk_usage", lambda: shutil.disk_usage(".").total > 0)
"#,
    );
}

fn databases_of_one_connection() {
    alike(
        r#"
import sqlite3
def journal(mode):
    connection = sqlite3.connect(f"{mode}.db", isolation_level=None)
    try:
        chosen = connection.execute(f"pragma journal_mode = {mode}").fetchone()[0]
        connection.execute("create table t (k text primary key, v text)")
        for number in range(3):
            connection.execute("begin immediate")
            connection.executemany("insert into t values (?, ?)", [(f"{number}.{n}", "v" * 100) for n in range(50)])
            connection.execute("commit")
        connection.execute("begin")
        connection.execute("delete from t")
        connection.execute("rollback" if mode != "off" else "commit")
        return chosen, connection.execute("select count(*) from t").fetchone()[0], connection.execute("pragma integrity_check").fetchone()[0]
    finally:
        connection.close()
for chosen in "delete", "truncate", "persist", "memory", "off":
    show(chosen, journal, chosen)
    def again():
        connection = sqlite3.connect(f"{chosen}.db")
        try:
            return connection.execute("select count(*), sum(length(v)) from t").fetchone()
        finally:
            connection.close()
    show(f"{chosen} again", elsewhere, again)
show("files", names)
"#,
    );
}

fn counters_under_a_lock() {
    // The value is opened while the lock is held, as an open file goes on reading what was there when it was opened.
    alike(
        r#"
def with_flock(work):
    with open("lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        work()
def with_record_lock(work):
    with open("lock", "w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        work()
def with_lock_file(work):
    def taken():
        return outcome(opened, "k.lock", WRONLY | CREAT | EXCL) is None
    wait_for("the lock", taken)
    try:
        work()
    finally:
        os.unlink("k.lock")
def add_one():
    put("k", str(int(get("k")) + 1).encode())
def replace_by_one_more():
    put("k.new", str(int(get("k")) + 1).encode())
    os.rename("k.new", "k")
for locked in with_flock, with_record_lock, with_lock_file:
    for add in add_one, replace_by_one_more:
        put("k", b"0")
        children = []
        for _ in range(4):
            child = os.fork()
            if child == 0:
                try:
                    for _ in range(15):
                        locked(add)
                    os._exit(0)
                except BaseException as error:
                    print(error, file=sys.stderr, flush=True)
                    os._exit(1)
            children.append(child)
        ends = [os.waitpid(child, 0)[1] for child in children]
        expect(f"{locked.__name__}, {add.__name__}", ([0] * 4, b"60"), lambda: (ends, get("k")))
"#,
    );
}

fn a_program_of_the_group() {
    let mount = Mount::new();
    mount.put("prod/secrets/app.json", "{\"token\": \"s3cret\"}\n");
    mount.own("prod/secrets/app.json", 0, PAYMENTS, 0o640);
    let path = mount.path("prod/secrets/app.json");
    let program = "import json, sys; print(len(json.load(open(sys.argv[1]))['token']))";
    let read = |user: User<'_>| user.python(program, &[path.to_str().unwrap()]);
    assert_eq!(said(&read(User(ALICE, ALICE, &[PAYMENTS]))), "6\n");
    for user in [ROOT, User(BOB, BOB, &[ANALYSTS])] {
        let output = read(user);
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(said(&output).contains("PermissionError: [Errno 13] Permission denied"), "{}", said(&output));
    }
}

fn a_value_read_in_parts() {
    // A reader that takes its time has the value that it opened, also where Python asks for the size on the way.
    let mount = Mount::new();
    let shown = in_keyfs(
        &mount,
        "dev/variables/parts",
        r#"
put("k", b"first, and long\n" * 1000)
with open("k") as file:
    expect("a line", "first, and long\n", file.readline)
    elsewhere(put, "k", b"second\n")
    expect("the rest", 999, lambda: len(file.readlines()))
with open("k", "rb") as file:
    elsewhere(put, "k", b"third, and long\n" * 1000)
    expect("all", b"second\n", file.read)
with open("k", "rb", buffering=0) as file:
    elsewhere(put, "k", b"4")
    expect("all at once", 16000, lambda: len(file.readall()))
"#,
    );
    assert!(shown.contains("a line"), "{shown}");
}
