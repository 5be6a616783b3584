# Stages the canary in every way, in a transaction that stays, and commits others. Arguments: the canary, a directory of secrets, and
# where the mount has its history of it.
import errno, mmap, os, sys

canary, top, history = sys.argv[1:]
mount, _, below = history.partition("/.keyfs/history/")
TRUNC, CREAT, WRONLY, RDWR = os.O_TRUNC, os.O_CREAT, os.O_WRONLY, os.O_RDWR


def value(tag, size):
    text = f"{tag}:{canary};".encode()
    return (text * (size // len(text) + 1))[:size]


def refused(wanted, work, *arguments, **named):
    try:
        work(*arguments, **named)
    except OSError as error:
        assert error.errno == wanted, (error, wanted)
    else:
        sys.exit(f"line {sys._getframe(1).f_lineno}: not refused")


def begin(name):
    base = f"{mount}/.keyfs/transactions/{name}"
    os.mkdir(base)
    os.mkdir(f"{base}/{below}")
    return f"{base}/{below}"


def put(path, data, flags=WRONLY | CREAT | TRUNC):
    handle = os.open(path, flags, 0o660)
    try:
        while data:
            data = data[os.write(handle, data):]
    finally:
        os.close(handle)


def commit(name):
    os.rename(f"{mount}/.keyfs/transactions/{name}", f"{mount}/.keyfs/commit/{name}")


for size in (60, 4096, 70000, 1 << 20):
    staged = begin("done")
    put(f"{staged}/staged", value("staged", size))
    put(f"{staged}/key", value("appended", 60), WRONLY | CREAT | os.O_APPEND)
    os.rename(f"{staged}/staged", f"{staged}/renamed")
    put(f"{staged}/dropped", value("dropped", size))
    os.unlink(f"{staged}/dropped")
    commit("done")
# One that fails says why, and not what.
staged = begin("failed")
put(f"{staged}/renamed", value("failed", 5000))
os.setxattr(f"{staged}/renamed", "user.keyfs.if-version", b"1000")
refused(errno.ECANCELED, commit, "failed")
why = open(f"{mount}/.keyfs/transactions/failed/.error").read()
assert why and canary not in why, why
os.remove(f"{staged}/renamed")
os.rmdir(staged)
os.remove(f"{mount}/.keyfs/transactions/failed/.error")
os.rmdir(f"{mount}/.keyfs/transactions/failed")
# What stays: cut, grown and read back, and neither mapped nor spliced.
staged = begin("kept")
handle = os.open(f"{staged}/kept", RDWR | CREAT, 0o660)
os.pwrite(handle, value("kept", 9000), 100)
os.ftruncate(handle, 5000)
os.ftruncate(handle, 200000)
assert canary.encode() in os.pread(handle, 9000, 0)
pipe = os.pipe()
refused(errno.EINVAL, os.splice, handle, pipe[1], 5000, offset_src=0)
refused(errno.EINVAL, os.sendfile, pipe[1], handle, 0, 5000)
shared = mmap.mmap(handle, 5000, mmap.MAP_SHARED)
child = os.fork()
if child == 0:
    os._exit(shared[0])
assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "it was mapped"
shared.close()
os.close(handle)
