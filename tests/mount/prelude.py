# What the programs of the mount tests begin with: short names for system calls, and expectations that are checked.
import ast, ctypes, errno, fcntl, mmap, os, signal, socket, stat, struct, subprocess, sys, time

RDONLY, WRONLY, RDWR = os.O_RDONLY, os.O_WRONLY, os.O_RDWR
CREAT, EXCL, TRUNC, APPEND = os.O_CREAT, os.O_EXCL, os.O_TRUNC, os.O_APPEND
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
ALICE, BOB, CAROL = 20001, 20002, 20003
PAYMENTS, OPS, ANALYSTS = 20101, 20102, 20103
libc = ctypes.CDLL(None, use_errno=True)
os.umask(0o022)
failures = 0


def outcome(work, *arguments, **named):
    """What a call returns, or the name of the errno that it fails with."""
    try:
        return work(*arguments, **named)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))


def show(label, work, *arguments, **named):
    """Prints an outcome, which has to be the same on both file systems."""
    print(f"{label}: {outcome(work, *arguments, **named)}")


def expect(label, wanted, work, *arguments, **named):
    """Checks and prints an outcome."""
    global failures
    found = outcome(work, *arguments, **named)
    print(f"{label}: {found}")
    if found != wanted:
        failures += 1
        print(f"expected of '{label}': {wanted!r}, and it was {found!r}", file=sys.stderr)


def wait_for(what, condition):
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > 30:
            sys.exit(f"waited in vain for {what}")
        time.sleep(0.002)


def put(path, value, flags=WRONLY | CREAT | TRUNC, mode=0o666):
    handle = os.open(path, flags, mode)
    try:
        os.write(handle, value)
    finally:
        os.close(handle)


def get(path):
    handle = os.open(path, RDONLY)
    try:
        return whole(handle)
    finally:
        os.close(handle)


def whole(handle):
    """All that stands behind the descriptor's offset."""
    parts = []
    while part := os.read(handle, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def opened(path, flags, mode=0o666):
    """Opens, and closes again."""
    os.close(os.open(path, flags, mode))


def mode(path):
    return oct(stat.S_IMODE(os.stat(path).st_mode))


def permissions(path):
    found = os.stat(path)
    return oct(stat.S_IMODE(found.st_mode)), found.st_uid, found.st_gid


def size(path):
    return os.stat(path).st_size


def by(uid, groups, work, *arguments, **named):
    """Does something as another user in another process: its primary group comes first."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups[1:])
            os.setresgid(groups[0], groups[0], groups[0])
            os.setresuid(uid, uid, uid)
            try:
                answer = ("value", work(*arguments, **named))
            except OSError as error:
                answer = ("errno", error.errno)
            os.write(writer, repr(answer).encode())
        finally:
            os._exit(0)
    os.close(writer)
    answer = whole(reader)
    os.close(reader)
    os.waitpid(child, 0)
    kind, value = ast.literal_eval(answer.decode())
    if kind == "errno":
        raise OSError(value, os.strerror(value))
    return value


def elsewhere(work, *arguments, **named):
    """Does something in another process of the same user."""
    return by(os.getuid(), [os.getgid(), *os.getgroups()], work, *arguments, **named)


def rename(source, target, flags):
    call = libc.renameat2(-100, os.fsencode(source), -100, os.fsencode(target), flags)
    if call != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def sh(script):
    return run("sh", "-c", script)


def names(path="."):
    return sorted(os.listdir(path))


def descend(names, make=False, here="."):
    "A descriptor of the directory that these names lead to: they may be longer together than a path can be."
    here = os.open(here, RDONLY | os.O_DIRECTORY)
    for name in names:
        if make:
            os.mkdir(name, dir_fd=here)
        below = os.open(name, RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    return here
