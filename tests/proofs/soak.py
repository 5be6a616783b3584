"""One of many programs at work on a mount: makes, reads, replaces, renames, lists and removes keys of its own and reads those of
others, until its input ends; then says how much it did, how long the longest call took, and what went wrong."""
import errno, json, os, random, subprocess, sys, threading, time

root, number, names, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
lots = random.Random(seed + number)
trees = [f"{root}/dev/variables/u{number}", f"{root}/dev/secrets/u{number}"]
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
done, slowest, errors = 0, (0.0, ""), []


def timed(label, work, *arguments, fine=()):
    """One request after the other is what is timed: no call here makes more than a few."""
    global done, slowest
    begun = time.monotonic()
    try:
        return work(*arguments)
    except OSError as error:
        if error.errno not in fine:
            errors.append(f"{label}: {error}")
    finally:
        slowest = max(slowest, (time.monotonic() - begun, label))
        done += 1


def put(path, value):
    handle = timed("open to write", os.open, path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    if handle is not None:
        timed("write", os.write, handle, value)
        timed("close", os.close, handle)


def get(path, fine=(errno.ENOENT,)):
    handle = timed("open to read", os.open, path, os.O_RDONLY, fine=fine)
    if handle is None:
        return None
    value = timed("read", os.read, handle, 1 << 20, fine=(errno.EACCES,))
    timed("close", os.close, handle)
    return value


def whole(value):
    """Each value is one byte, many times."""
    if value and value.strip(value[:1]):
        errors.append("a value of two")


def show(directory):
    listing = timed("list", lambda: list(os.scandir(directory)), fine=(errno.ENOENT, errno.EACCES))
    for entry in (listing or [])[:20]:
        timed("stat", entry.stat, fine=(errno.ENOENT,))


for tree in trees:
    os.makedirs(tree, exist_ok=True)
growing = True
while not ended.is_set():
    tree = lots.choice(trees)
    name = f"{tree}/k{lots.randrange(names)}"
    lot = lots.random()
    # It grows for a while and shrinks for a while.
    growing = growing if lots.random() > 0.002 else not growing
    if lot < 0.25:
        put(name, bytes([lots.randrange(97, 123)]) * lots.choice((20, 200, 2000, 20000)))
    elif lot < 0.55:
        whole(get(name))
    elif lot < 0.60:
        timed("rename", os.rename, name, f"{tree}/k{lots.randrange(names)}", fine=(errno.ENOENT,))
    elif lot < (0.62 if growing else 0.70):
        timed("remove", os.unlink, name, fine=(errno.ENOENT,))
    elif lot < 0.74:
        timed("chmod", os.chmod, name, lots.choice((0o600, 0o640, 0o660)), fine=(errno.ENOENT,))
    elif lot < 0.77:
        timed("setxattr", os.setxattr, name, "user.note", b"n" * lots.randrange(60), fine=(errno.ENOENT,))
    elif lot < 0.80:
        show(tree)
    elif lot < 0.84:
        tag = tree.rsplit("/", 3)
        history = f"{root}/.keyfs/history/dev/{tag[2]}/{tag[3]}/{os.path.basename(name)}"
        listing = timed("list versions", os.listdir, history, fine=(errno.ENOENT, errno.EACCES))
        if listing:
            whole(get(f"{history}/{lots.choice(listing)}", fine=(errno.ENOENT, errno.EACCES, errno.ESTALE)))
    elif lot < 0.86:
        timed("status", lambda: json.loads(open(f"{root}/.keyfs/status").read()))
        timed("metrics", lambda: open(f"{root}/.keyfs/metrics").read())
    elif lot < 0.90:
        # What belongs to others: some of it is refused, and that is right.
        other = f"{root}/dev/{lots.choice(('variables', 'secrets'))}/u{lots.randrange(16)}"
        show(other)
        whole(get(f"{other}/k{lots.randrange(names)}", fine=(errno.ENOENT, errno.EACCES)))
    elif lot < 0.95:
        directory = f"{tree}/d{lots.randrange(4)}"
        timed("mkdir", os.mkdir, directory, fine=(errno.EEXIST,))
        timed("rmdir", os.rmdir, directory, fine=(errno.ENOENT, errno.ENOTEMPTY))
    elif lot < 0.951:
        subprocess.run(["cat", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    else:
        found = timed("stat", os.stat, name, fine=(errno.ENOENT,))
print(json.dumps({"done": done, "slowest": slowest[0], "in": slowest[1], "errors": errors[:5], "failures": len(errors)}))
