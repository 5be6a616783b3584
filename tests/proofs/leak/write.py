# Stores the canary in every way. Arguments: the canary, a directory of secrets, and where the mount has its history of it.
import ctypes, errno, mmap, os, signal, sys

canary, top, history = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
TRUNC, CREAT, WRONLY, RDWR = os.O_TRUNC, os.O_CREAT, os.O_WRONLY, os.O_RDWR


def value(tag, size):
    text = f"{tag}:{canary};".encode()
    return (text * (size // len(text) + 1))[:size]


def refused(wanted, work, *arguments):
    try:
        work(*arguments)
    except OSError as error:
        assert error.errno in wanted, (error, wanted)
    else:
        sys.exit(f"line {sys._getframe(1).f_lineno}: not refused")


def rename(source, target, flags):
    if libc.renameat2(-100, os.fsencode(source), -100, os.fsencode(target), flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def put(path, data, flags=WRONLY | CREAT | TRUNC):
    handle = os.open(path, flags, 0o660)
    try:
        while data:
            data = data[os.write(handle, data):]
    finally:
        os.close(handle)


key = f"{top}/key"
for size in (60, 4096, 5000, 70000, 200000, 1 << 20):
    put(key, value("written", size))
put(key, b"short")
handle = os.open(key, RDWR)
os.pwrite(handle, value("pwrite", 9000), 100)
os.writev(handle, [value("writev", 300), value("writev", 5000)])
os.fsync(handle)
os.ftruncate(handle, 3000)
os.close(handle)
put(key, value("direct", 8192), WRONLY | TRUNC | os.O_DIRECT)
put(key, value("synced", 5000), WRONLY | os.O_DSYNC)
put(key, value("appended", 5000), WRONLY | os.O_APPEND)
os.truncate(key, 700)
os.truncate(key, 7000)
# Through a shared mapping, back through msync(2) and through the close.
handle = os.open(key, RDWR)
found = mmap.mmap(handle, 7000, mmap.MAP_SHARED)
found[:5000] = value("mapped", 5000)
found.flush()
found[100:4100] = value("mapped", 4000)
found.close()
os.close(handle)
# By way of another name.
put(f"{key}.new", value("renamed", 3000))
os.rename(f"{key}.new", key)
put(f"{key}.new", value("exchanged", 3000))
rename(f"{key}.new", key, 2)
os.setxattr(key, "user.keyfs.groups", b"20101:rw,20103:r")
os.chmod(f"{key}.new", 0o640)
put(f"{top}/gone", value("removed", 3000))
handle = os.open(f"{top}/gone", RDWR)
os.unlink(f"{top}/gone")
os.write(handle, value("unlinked", 3000))
os.close(handle)
# From the past.
with open(f"{history}/key/{sorted(map(int, os.listdir(f'{history}/key')))[0]}", "rb") as past:
    put(f"{top}/restored", past.read())
# Refused: too large, another version, another tree.
handle = os.open(key, WRONLY | TRUNC)
refused([errno.EFBIG], lambda: [os.write(handle, value("large", 1 << 19)) for _ in range(4)])
refused([errno.EFBIG], os.close, handle)
handle = os.open(key, WRONLY | TRUNC)
os.setxattr(key, "user.keyfs.if-version", b"99")
os.write(handle, value("stale", 3000))
refused([errno.ESTALE], os.close, handle)
refused([errno.EXDEV], os.rename, key, f"{top}/../../variables/out")
# By somebody who is killed in the middle of it.
child = os.fork()
if child == 0:
    handle = os.open(f"{top}/killed", WRONLY | CREAT | TRUNC, 0o660)
    os.write(handle, value("killed", 100000))
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
