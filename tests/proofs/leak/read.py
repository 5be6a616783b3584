# Reads the canary in every way. Arguments: the canary, a directory of secrets, and where the mount has its history of it. Once
# all is open and was read it says so, and goes on when it is told to.
import ctypes, errno, mmap, os, sys

canary, top, history = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
PAGE = mmap.PAGESIZE


def refused(work, *arguments, **named):
    try:
        work(*arguments, **named)
    except OSError as error:
        assert error.errno in (errno.EINVAL, errno.EXDEV, errno.EOPNOTSUPP), error
    else:
        sys.exit("not refused")


held = []
seen = 0
paths = [f"{top}/{name}" for name in sorted(os.listdir(top))]
paths += [f"{history}/key/{version}" for version in os.listdir(f"{history}/key")]
pipe, null = os.pipe(), os.open("/dev/null", os.O_WRONLY)
for path in paths:
    handle = os.open(path, os.O_RDONLY)
    held.append(handle)
    size = os.fstat(handle).st_size
    data = os.read(handle, size)
    seen += canary.encode() in data
    assert os.pread(handle, size, 0) == data
    buffers = [bytearray(100), bytearray(size)]
    assert os.preadv(handle, buffers, 0) == size
    os.lseek(handle, 0, os.SEEK_SET)
    assert os.readv(handle, buffers) == size
    direct = os.open(path, os.O_RDONLY | os.O_DIRECT)
    room = mmap.mmap(-1, (size // PAGE + 1) * PAGE)
    assert os.readv(direct, [room]) == size
    held.append(direct)
    if size == 0:
        continue
    refused(os.sendfile, null, handle, 0, size)
    refused(os.splice, handle, pipe[1], size, offset_src=0)
    refused(os.copy_file_range, handle, null, size, offset_src=0)
    for kind in (mmap.MAP_PRIVATE, mmap.MAP_SHARED):
        found = mmap.mmap(handle, size, kind, mmap.PROT_READ)
        assert found[:] == data
        held.append(found)
assert seen > 3, seen
print("held", flush=True)
sys.stdin.readline()
for one in held:
    os.close(one) if isinstance(one, int) else one.close()
# A mapping without any right brings nothing in, and shows what is there.
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mincore.argtypes = libc.munmap.argtypes = None
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def cached(path):
    handle = os.open(path, os.O_RDONLY)
    size = os.fstat(handle).st_size
    if size == 0:
        return 0
    at = libc.mmap(None, size, 0, mmap.MAP_SHARED, handle, 0)
    os.close(handle)
    pages = ctypes.create_string_buffer(-(-size // PAGE))
    assert libc.mincore(at, size, pages) == 0
    libc.munmap(at, size)
    return sum(page & 1 for page in pages.raw)


while sys.stdin.readline():
    print(sum(cached(path) for path in paths), flush=True)
