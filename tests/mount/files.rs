//! Values as files: reading, writing, appending, truncating, removing, as on the machine's own file system.

use crate::Case;
use crate::alike::{alike, alike_in_variables, in_keyfs, program};
use crate::fixture::{Mount, is_installed};

pub const CASES: &[Case] = &[
    ("reads_and_writes", reads_and_writes),
    ("offsets_and_holes", offsets_and_holes),
    ("lengths", lengths),
    ("open_flags", open_flags),
    ("python_open", python_open),
    ("removed_while_open", removed_while_open),
    ("renamed_while_open", renamed_while_open),
    ("shared_descriptors", shared_descriptors),
    ("copies_within_the_kernel", copies_within_the_kernel),
    ("empty_values", empty_values),
    ("shell_redirections", shell_redirections),
    ("coreutils", coreutils),
];

fn reads_and_writes() {
    alike(
        r#"
put("k", b"first")
expect("read", b"first", get, "k")
put("k", b"second, longer")
expect("overwritten", b"second, longer", get, "k")
put("k", b"3")
expect("shorter", b"3", get, "k")
put("k", bytes(range(256)) * 3)
expect("bytes as they are", bytes(range(256)) * 3, get, "k")
put("k", b"0123456789")
handle = os.open("k", RDWR)
expect("part", b"012", os.read, handle, 3)
expect("write in the middle", 2, os.write, handle, b"xx")
expect("rest", b"56789", os.read, handle, 100)
expect("end", b"", os.read, handle, 100)
expect("from the start", b"012xx56789", os.pread, handle, 100, 0)
expect("pwrite", 3, os.pwrite, handle, b"END", 9)
expect("its own writes", b"012xx5678END", os.pread, handle, 100, 0)
expect("beyond", b"", os.pread, handle, 10, 1000)
expect("readv", [b"012x", b"x567"], lambda: [bytes(b) for b in (lambda v: (os.preadv(handle, v, 0), v)[1])([bytearray(4), bytearray(4)])])
expect("writev", 6, os.pwritev, handle, [b"ab", b"cd", b"ef"], 2)
expect("nothing", 0, os.write, handle, b"")
expect("below zero", "EINVAL", os.pread, handle, 1, -1)
os.close(handle)
expect("closed", b"01abcdef8END", get, "k")
handle = os.open("k", RDONLY)
expect("write to a reader", "EBADF", os.write, handle, b"x")
expect("truncate a reader", "EINVAL", os.ftruncate, handle, 0)
os.close(handle)
handle = os.open("k", WRONLY)
expect("read from a writer", "EBADF", os.read, handle, 1)
os.write(handle, b"ZZ")
os.close(handle)
show("only the beginning is new", get, "k")
expect("closed descriptor", "EBADF", os.read, handle, 1)
# Writes of many sizes, at many places.
import random
random.seed(7)
model = bytearray()
handle = os.open("random", RDWR | CREAT, 0o600)
for step in range(300):
    offset, length = random.randrange(60000), random.choice([1, 3, 100, 4096, 20000])
    what = random.randrange(4)
    if what == 0:
        data = random.randbytes(length)
        os.pwrite(handle, data, offset)
        model.extend(bytes(max(0, offset - len(model))))
        model[offset:offset + length] = data
    elif what == 1:
        os.ftruncate(handle, offset)
        model = model[:offset] + bytes(max(0, offset - len(model)))
    elif what == 2:
        if os.pread(handle, length, offset) != bytes(model[offset:offset + length]):
            sys.exit(f"step {step}: read something else than was written")
    else:
        os.close(handle)
        handle = os.open("random", RDWR)
        if os.fstat(handle).st_size != len(model):
            sys.exit(f"step {step}: another size than was written")
os.close(handle)
expect("random", True, lambda: get("random") == bytes(model))
"#,
    );
}

fn offsets_and_holes() {
    alike(
        r#"
handle = os.open("k", RDWR | CREAT, 0o600)
os.write(handle, b"0123456789")
expect("end, unflushed", 10, os.lseek, handle, 0, os.SEEK_END)
expect("from the end", 7, os.lseek, handle, -3, os.SEEK_END)
expect("there", b"789", os.read, handle, 10)
expect("from here", 5, os.lseek, handle, -5, os.SEEK_CUR)
expect("before the start", "EINVAL", os.lseek, handle, -1, os.SEEK_SET)
expect("beyond", 20, os.lseek, handle, 20, os.SEEK_SET)
expect("nothing there", b"", os.read, handle, 10)
os.write(handle, b"tail")
expect("a hole reads as zeros", b"0123456789" + bytes(10) + b"tail", os.pread, handle, 100, 0)
expect("size", 24, lambda: os.fstat(handle).st_size)
# Data and holes, where no hole is as large as a block.
expect("data", 5, os.lseek, handle, 5, os.SEEK_DATA)
expect("hole", 24, os.lseek, handle, 5, os.SEEK_HOLE)
expect("data at the end", "ENXIO", os.lseek, handle, 24, os.SEEK_DATA)
expect("hole at the end", "ENXIO", os.lseek, handle, 24, os.SEEK_HOLE)
expect("no such whence", "EINVAL", os.lseek, handle, 0, 77)
os.close(handle)
expect("committed", b"0123456789" + bytes(10) + b"tail", get, "k")
expect("data of a reader", 3, lambda: os.lseek(os.open("k", RDONLY), 3, os.SEEK_DATA))
# A write that begins far behind the end.
handle = os.open("sparse", WRONLY | CREAT, 0o600)
expect("far", 1, os.pwrite, handle, b"x", 100000)
os.close(handle)
expect("its size", 100001, size, "sparse")
expect("its content", bytes(100000) + b"x", get, "sparse")
# Truncated to more, it ends with zeros; what was cut off does not come back.
put("cut", b"secret tail")
os.truncate("cut", 3)
os.truncate("cut", 8)
expect("cut", b"sec" + bytes(5), get, "cut")
handle = os.open("cut", RDWR)
os.ftruncate(handle, 1), os.ftruncate(handle, 4)
expect("cut, unflushed", b"s" + bytes(3), os.pread, handle, 10, 0)
os.close(handle)
handle = os.open("cut", RDWR)
expect("space for more", None, os.posix_fallocate, handle, 0, 6)
os.close(handle)
expect("with zeros", b"s" + bytes(5), get, "cut")
"#,
    );
}

fn lengths() {
    alike(
        r#"
put("k", b"0123456789")
expect("by path", (None, b"0123"), lambda: (os.truncate("k", 4), get("k")))
expect("longer", (None, b"0123" + bytes(2)), lambda: (os.truncate("k", 6), get("k")))
expect("the same", (None, 6), lambda: (os.truncate("k", 6), size("k")))
expect("none", (None, b""), lambda: (os.truncate("k", 0), get("k")))
expect("below zero", "EINVAL", os.truncate, "k", -1)
expect("of none", "ENOENT", os.truncate, "none", 0)
os.mkdir("d")
expect("of a directory", "EISDIR", os.truncate, "d", 0)
put("k", b"0123456789")
handle = os.open("k", WRONLY)
expect("by descriptor", None, os.ftruncate, handle, 5)
expect("its size", 5, lambda: os.fstat(handle).st_size)
os.write(handle, b"AB")
os.close(handle)
expect("both", b"AB234", get, "k")
handle = os.open("k", WRONLY | TRUNC)
expect("at open", 0, lambda: os.fstat(handle).st_size)
os.pwrite(handle, b"Z", 2)
os.close(handle)
expect("and behind its end", b"\0\0Z", get, "k")
# Truncated by its path while it is open.
handle = os.open("k", RDWR)
os.write(handle, b"xyz")
os.fsync(handle)
os.truncate("k", 1)
os.close(handle)
expect("by path, meanwhile", b"x", get, "k")
# An appending writer truncates and goes on.
put("log", b"one\ntwo\n")
handle = os.open("log", WRONLY | APPEND)
os.write(handle, b"three\n")
os.ftruncate(handle, 4)
os.write(handle, b"four\n")
os.close(handle)
expect("appended behind it", b"one\nfour\n", get, "log")
handle = os.open("log", RDWR | APPEND)
os.write(handle, b"five\n")
expect("reads what it appended", b"one\nfour\nfive\n", os.pread, handle, 100, 0)
expect("pwrite appends", 4, os.pwrite, handle, b"six\n", 0)
os.close(handle)
expect("all of it", b"one\nfour\nfive\nsix\n", get, "log")
put("log", b"anew\n", WRONLY | CREAT | TRUNC | APPEND)
expect("begun anew", b"anew\n", get, "log")
"#,
    );
}

fn open_flags() {
    alike(
        r#"
expect("none", "ENOENT", opened, "k", RDONLY)
expect("none to write", "ENOENT", opened, "k", WRONLY | TRUNC)
expect("made", None, opened, "k", RDONLY | CREAT | EXCL)
expect("made twice", "EEXIST", opened, "k", WRONLY | CREAT | EXCL)
put("k", b"value")
expect("there", None, opened, "k", WRONLY | CREAT)
expect("still there", b"value", get, "k")
expect("not to be followed", None, opened, "k", RDONLY | os.O_NOFOLLOW)
expect("as a directory", "ENOTDIR", opened, "k", RDONLY | os.O_DIRECTORY)
expect("as a place", 5, lambda: os.fstat(os.open("k", os.O_PATH)).st_size)
expect("a place is not read", "EBADF", lambda: os.read(os.open("k", os.O_PATH), 1))
expect("a place can be opened", b"value", lambda: get(f"/proc/self/fd/{os.open('k', os.O_PATH)}"))
expect("without waiting", None, opened, "k", RDWR | os.O_NONBLOCK)
expect("of a moment", None, opened, "k", RDONLY | os.O_NOATIME)
handle = os.open("k", RDWR)
fcntl.fcntl(handle, fcntl.F_SETFL, APPEND)
os.lseek(handle, 0, os.SEEK_SET)
os.write(handle, b"+")
fcntl.fcntl(handle, fcntl.F_SETFL, 0)
os.lseek(handle, 0, os.SEEK_SET)
os.write(handle, b"V")
os.close(handle)
expect("append on and off", b"Value+", get, "k")
# Truncated by a reader: the kernel leaves it unspecified, and Linux does it, for whoever may write.
show("reader that truncates", opened, "k", RDONLY | TRUNC)
show("what is left", get, "k")
# Locking by existence: one of many makes it.
made = []
children = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        os._exit(0 if outcome(opened, "lock", WRONLY | CREAT | EXCL) is None else 1)
    children.append(child)
expect("one of eight", 1, lambda: sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 for child in children))
"#,
    );
}

fn python_open() {
    alike(
        r#"
with open("k", "w") as file:
    file.write("one\n")
    file.write("two\n")
with open("k", "a") as file:
    file.write("three\n")
expect("lines", ["one\n", "two\n", "three\n"], lambda: list(open("k")))
with open("k", "r+") as file:
    file.seek(4)
    file.write("TWO")
    file.seek(0)
    show("read back", file.read)
expect("r+", "one\nTWO\nthree\n", lambda: open("k").read())
with open("k", "w+b", buffering=0) as file:
    file.write(b"raw")
    file.seek(0)
    expect("w+", b"raw", file.read)
    file.truncate(2)
expect("cut", b"ra", lambda: open("k", "rb").read())
with open("k", "a+") as file:
    file.write("w")
    file.flush()
    expect("tell", 3, file.tell)
    file.seek(0)
    expect("a+", "raw", file.read)
expect("x", "EEXIST", open, "k", "x")
with open("x", "x") as file:
    expect("writable", (True, False), lambda: (file.writable(), file.isatty()))
import tempfile, pathlib, shutil
pathlib.Path("p").write_text("é\n")
expect("pathlib", "é\n", pathlib.Path("p").read_text)
with tempfile.NamedTemporaryFile("w", dir=".", delete=False) as file:
    file.write("whole")
os.replace(file.name, "k")
expect("replaced", "whole", lambda: open("k").read())
shutil.copyfile("k", "copy"), shutil.copy2("p", "copy2")
expect("copied", ("whole", "é\n"), lambda: (open("copy").read(), open("copy2").read()))
expect("time kept", True, lambda: os.stat("p").st_mtime_ns == os.stat("copy2").st_mtime_ns)
show("list", names)
"#,
    );
}

fn removed_while_open() {
    alike(
        r#"
put("k", b"old")
reader, writer = os.open("k", RDONLY), os.open("k", RDWR)
os.unlink("k")
expect("no name", "ENOENT", os.stat, "k")
expect("no links", 0, lambda: os.fstat(reader).st_nlink)
expect("still read", b"old", os.read, reader, 10)
os.pwrite(writer, b"newer", 0)
expect("still written", b"newer", os.pread, writer, 10, 0)
expect("and synced", None, os.fsync, writer)
expect("its size", 5, lambda: os.fstat(writer).st_size)
expect("its mode", None, os.fchmod, writer, 0o600)
expect("its owner", None, os.fchown, writer, 0, 0)
put("k", b"another")
os.pwrite(writer, b"again", 0)
expect("closed", None, os.close, writer)
expect("another", b"another", get, "k")
os.close(reader)
# Removed before anything was committed.
writer = os.open("new", RDWR | CREAT, 0o600)
os.write(writer, b"never")
os.unlink("new")
expect("gone", "ENOENT", os.stat, "new")
expect("read", b"never", os.pread, writer, 10, 0)
expect("synced", None, os.fsync, writer)
expect("no links", 0, lambda: os.fstat(writer).st_nlink)
put("new", b"other")
os.close(writer)
expect("the other stays", b"other", get, "new")
# A directory whose last key is open can go.
os.mkdir("d"), put("d/k", b"in")
reader = os.open("d/k", RDONLY)
os.unlink("d/k"), os.rmdir("d")
expect("outlives its directory", b"in", os.read, reader, 10)
os.close(reader)
# An open directory that is removed is empty.
os.mkdir("e")
directory = os.open("e", RDONLY)
os.rmdir("e")
expect("nothing in it", [], os.listdir, directory)
expect("nothing into it", "ENOENT", lambda: os.open("x", WRONLY | CREAT, dir_fd=directory))
expect("no directory into it", "ENOENT", lambda: os.mkdir("x", dir_fd=directory))
# A temporary file as the C library makes them.
show("list", names)
"#,
    );
}

fn renamed_while_open() {
    alike(
        r#"
put("a", b"old")
writer = os.open("a", RDWR)
os.write(writer, b"half")
os.rename("a", "b")
os.write(writer, b" and half")
expect("by the descriptor", b"half and half", os.pread, writer, 100, 0)
os.close(writer)
expect("under its new name", b"half and half", get, "b")
expect("not under the old one", "ENOENT", os.stat, "a")
# A new entry takes its writer along.
writer = os.open("new", WRONLY | CREAT | EXCL, 0o600)
os.write(writer, b"made")
os.rename("new", "target")
os.write(writer, b" late")
os.close(writer)
expect("made and renamed", b"made late", get, "target")
expect("gone", "ENOENT", os.stat, "new")
# The same, replacing what others have open.
put("target", b"old")
reader = os.open("target", RDONLY)
writer = os.open("new", WRONLY | CREAT | EXCL, 0o600)
os.write(writer, b"new")
os.close(writer)
os.rename("new", "target")
expect("a reader keeps it", b"old", os.read, reader, 10)
expect("without a name", 0, lambda: os.fstat(reader).st_nlink)
expect("replaced", b"new", get, "target")
os.close(reader)
# A directory moves with all that is open in it.
os.makedirs("d/e"), put("d/e/k", b"1")
writer = os.open("d/e/k", RDWR)
os.rename("d", "moved")
os.write(writer, b"2")
os.close(writer)
expect("inside", b"2", get, "moved/e/k")
directory = os.open("moved/e", RDONLY)
os.rename("moved/e", "elsewhere")
expect("relative to an open directory", ["k"], os.listdir, directory)
"#,
    );
}

fn shared_descriptors() {
    alike(
        r#"
# Of two descriptors of one open file, each may be closed first.
one = os.open("k", RDWR | CREAT, 0o600)
two = os.dup(one)
os.write(one, b"one ")
os.close(one)
os.write(two, b"two")
os.close(two)
expect("one offset", b"one two", get, "k")
# A child writes on where its parent stopped, and the other way round.
handle = os.open("k", RDWR | TRUNC)
os.write(handle, b"parent ")
child = os.fork()
if child == 0:
    os.write(handle, b"child ")
    os._exit(0)
os.waitpid(child, 0)
os.write(handle, b"parent again")
os.close(handle)
expect("in turns", b"parent child parent again", get, "k")
# Only the child keeps it.
handle = os.open("k", WRONLY | TRUNC)
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    os.close(writer)
    os.read(reader, 1)
    os.write(handle, b"inherited")
    os._exit(0)
os.close(reader), os.close(handle), os.close(writer)
os.waitpid(child, 0)
expect("inherited", b"inherited", get, "k")
# A command that writes to a descriptor that it is given.
with open("k", "wb", buffering=0) as file:
    file.write(b"before ")
    subprocess.run(["sh", "-c", "printf from; printf ' a shell'"], stdout=file)
    file.write(b" after")
expect("in order", b"before from a shell after", get, "k")
# Sent over a socket.
left, right = socket.socketpair()
child = os.fork()
if child == 0:
    _, handles, _, _ = socket.recv_fds(right, 1, 1)
    os.write(handles[0], b"sent")
    os._exit(0)
handle = os.open("k", WRONLY | TRUNC)
socket.send_fds(left, [b"x"], [handle])
os.waitpid(child, 0)
os.close(handle)
expect("sent", b"sent", get, "k")
# Opened twice, each with its offset.
put("k", b"0123456789")
one, two = os.open("k", RDONLY), os.open("k", RDONLY)
expect("offsets", (b"012", b"01", b"34"), lambda: (os.read(one, 3), os.read(two, 2), os.read(one, 2)))
expect("close-on-exec", True, lambda: bool(fcntl.fcntl(one, fcntl.F_GETFD) & fcntl.FD_CLOEXEC))
"#,
    );
}

fn copies_within_the_kernel() {
    // A secret's pages are not moved, see the gate's tests; what copies in this way copies a secret by reading it.
    alike_in_variables(
        r#"
value = os.urandom(200000)
put("k", value)
source, target = os.open("k", RDONLY), os.open("copy", WRONLY | CREAT, 0o600)
copied = 0
while copied < len(value):
    copied += os.sendfile(target, source, copied, len(value) - copied)
os.close(target)
expect("sendfile", True, lambda: get("copy") == value)
reader, writer = os.pipe()
target = os.open("spliced", WRONLY | CREAT, 0o600)
copied = 0
while copied < len(value):
    moved = os.splice(source, writer, 60000, offset_src=copied) if hasattr(os, "splice") else 0
    if not moved:
        break
    copied += moved
    while moved:
        moved -= os.splice(reader, target, moved)
os.close(target)
expect("splice", True, lambda: get("spliced") == value)
expect("cp", (0, ""), run, "cp", "k", "cp")
expect("cp again", (0, ""), run, "cp", "k", "cp")
expect("cp's", True, lambda: get("cp") == value)
expect("dd", 0, lambda: run("dd", "if=k", "of=dd", "bs=777", "status=none")[0])
expect("dd's", True, lambda: get("dd") == value)
expect("dd into it", 0, lambda: run("dd", "if=/dev/zero", "of=dd", "bs=1000", "count=2", "seek=5", "conv=notrunc", "status=none")[0])
expect("part of it", True, lambda: get("dd") == value[:5000] + bytes(2000) + value[7000:])
expect("directly", 0, lambda: run("dd", "if=dd", "of=dd2", "iflag=direct", "bs=4096", "status=none")[0])
"#,
    );
}

fn empty_values() {
    let mut mount = Mount::new();
    for tree in ["dev/variables", "dev/secrets"] {
        in_keyfs(
            &mount,
            &format!("{tree}/e"),
            r#"
def version(path):
    return int(os.getxattr(path, "system.keyfs.version"))
expect("redirection", (0, ""), sh, ": > made")
expect("touch", (0, ""), sh, "touch touched")
expect("copy", (0, ""), sh, "cp /dev/null copied")
os.mknod("node", 0o600)
opened("opened", RDONLY | CREAT)
for name in ("made", "touched", "copied", "node", "opened"):
    expect(name, (b"", 0, 1), lambda: (get(name), size(name), version(name)))
put("emptied", b"value")
expect("emptied", (0, ""), sh, ": > emptied")
expect("once", (b"", 2), lambda: (get("emptied"), version("emptied")))
expect("again", (0, ""), sh, ": > emptied; : > emptied")
expect("nothing new", (b"", 2), lambda: (get("emptied"), version("emptied")))
put("truncated", b"value")
os.truncate("truncated", 0)
"#,
        );
    }
    // Emptied means emptied for good.
    mount.end("KILL");
    mount.start();
    for tree in ["dev/variables", "dev/secrets"] {
        for name in ["made", "touched", "copied", "node", "opened", "emptied", "truncated"] {
            assert_eq!(mount.get(&format!("{tree}/e/{name}")), b"", "{tree}/e/{name}");
        }
    }
}

fn shell_redirections() {
    let mount = Mount::new();
    let text = r#"
shell = sys.argv[1]
def version():
    return int(os.getxattr("k", "system.keyfs.version"))
before = 0
def after(script, value, versions=1):
    global before
    done = run(shell, "-c", script)
    expect(f"{shell}: {script}", ((0, ""), value, versions), lambda: (done, get("k"), version() - before))
    before = version()

after("echo v1 > k", b"v1\n")
after("echo v2 > k", b"v2\n")
after("echo v2 > k", b"v2\n", 0)
after("printf %s no-newline > k", b"no-newline")
after("echo more >> k", b"no-newlinemore\n")
after(": >> k", b"no-newlinemore\n", 0)
after("cat <<end > k\nhere\nend", b"here\n")
after("(echo one; echo two) > k", b"one\ntwo\n", version() - before) if False else None
done = run(shell, "-c", "(echo one; echo two) > k")
expect("subshell", b"one\ntwo\n", get, "k")
run(shell, "-c", "{ echo three; echo four; } > k")
expect("group", b"three\nfour\n", get, "k")
run(shell, "-c", "exec 3> k; echo five >&3; /bin/echo six >&3; exec 3>&-")
expect("descriptor", b"five\nsix\n", get, "k")
run(shell, "-c", "exec > k; echo seven; /bin/echo eight")
expect("exec", b"seven\neight\n", get, "k")
before = version()
after("/bin/echo external > k", b"external\n")
after("echo piped | cat > k", b"piped\n")
after("echo teed | tee k > /dev/null", b"teed\n")
after("cp /etc/hostname /dev/null; echo x 2>&1 > k", b"x\n")
after("set -C; echo clobbered 2> /dev/null > k; true", b"x\n", 0)
after("set -C; echo clobbered >| k", b"clobbered\n")
after("echo rw 1<> k", b"rw\nbbered\n")
after(": > k", b"", 1)
after("> k", b"", 0)
after("read line < k; echo \"empty:$line\" > k", b"empty:\n")
after("while read line; do echo \"<$line>\"; done < k | tail -1 > k.new; mv k.new k", b"<empty:>\n")
# A command that fails leaves what the shell has made of it: nothing, as anywhere.
run(shell, "-c", "false > k")
expect("false", b"", get, "k")
"#;
    for shell in ["sh", "bash"] {
        if is_installed(shell) {
            for tree in ["dev/variables", "dev/secrets"] {
                let below = format!("{tree}/{shell}");
                mount.mkdir(&below);
                program(&mount.path(&below), text, &[shell]);
            }
        }
    }
}

fn coreutils() {
    alike(
        r#"
put("k", b"b\na\nc\n")
show("sort", sh, "sort -o k k && cat k")
show("tee", sh, "echo d | tee -a k && cat k")
show("truncate", sh, "truncate -s 3 k && od -c k")
show("install", sh, "install -m 600 k i && cat i && stat -c '%a %s' i")
show("mv", sh, "mv -v i j && ls")
show("mv -n", sh, "echo other > i; mv -n i j; cat i j")
show("mv -b", sh, "mv -b i j; cat j j~")
show("cp -n", sh, "echo third > t; cp -n t j; cat j; cp --backup=numbered t j; ls")
show("wc", sh, "wc -c k j")
show("tac", sh, "tac k | head -2")
show("split", sh, "printf 123456 > k; split -b 2 k part-; cat part-ac; rm part-*")
show("head and tail", sh, "head -c 2 k; tail -c 2 k; tail -c +3 k")
show("cmp", sh, "cp k same; cmp k same && echo same; echo >> same; cmp k same")
show("test", sh, "test -s k && test -f k && test -w k && test ! -d k && echo yes")
show("mktemp", sh, "t=$(mktemp -p . t.XXXX) && echo v > $t && cat $t && rm $t && mktemp -d -p . d.XXXX | wc -l")
show("rm", sh, "mkdir -p a/b/c && touch a/b/c/k a/k && rm -r a && ls -d a")
show("rmdir", sh, "mkdir -p a/b/c && rmdir -p a/b/c && ls -d a")
show("shred", sh, "shred -u same && ls same")
show("ln", lambda: run("ln", "missing", "l")[0])
"#,
    );
}
