//! Names of every byte and length, keys as long as they may be, and directories two hundred deep.

use super::{MEMBER, Mount, open_directory, program, unharmed};
use crate::scale::either;

pub fn names_of_every_byte() {
    let mount = Mount::new();
    let text = r#"
ways = {
    "create": lambda name: put(name, name),
    "mkdir": os.mkdir,
    "mknod": lambda name: os.mknod(name, 0o600 | stat.S_IFREG),
    "rename": lambda name: (put(b"from", b"x"), os.rename(b"from", name)),
}
removal = {"mkdir": os.rmdir}

def good(name):
    "One that can be used for all that names are used for."
    for way, make in ways.items():
        made = outcome(make, name)
        if isinstance(made, str):
            return expect(f"{way} of {name!r}", "made", lambda: made)
        listed = os.listdir(b".")
        if listed != [name] or not os.path.lexists(name):
            expect(f"{name!r} is listed", [name], lambda: listed)
        removed = outcome(removal.get(way, os.unlink), name)
        if removed is not None or os.path.lexists(name):
            expect(f"{name!r} is removed", None, lambda: removed)

def bad(name, wanted):
    "One that is refused, whatever it is for."
    others = {"stat": os.stat, "unlink": os.unlink, "rmdir": os.rmdir, "rename from": lambda name: os.rename(name, b"to")}
    for way, work in {**ways, **others}.items():
        found = outcome(work, name)
        if found != wanted:
            expect(f"{way} of {name!r}", wanted, lambda: found)
        if os.path.lexists(b"from"):
            os.unlink(b"from")
    if os.listdir(b"."):
        expect(f"after {name!r}", [], os.listdir, b".")

def text(name):
    try:
        return bool(name.decode())
    except UnicodeDecodeError:
        return False

places = int(sys.argv[1])
for byte in set(range(1, 256)) - {ord("/")}:
    one = bytes([byte])
    for name in (one, one * 255, b"a" + one, one + b"a", one + b"\xa9", b"\xe2" + one + b"\xac")[:places]:
        if name != b".":
            good(name) if text(name) else bad(name, "EILSEQ")
# Sequences that are too long for what they say, halves of pairs, beyond the last character, cut off.
for name in (b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe2\x82", b"x\xf0\x9f\x94"):
    bad(name, "EILSEQ")
for name in ("é" * 127 + "x", "🔑" * 63 + "key", "a" * 255, "\u202e\u0000".replace("\0", "x"), "...", "-rf", "a\nb", " "):
    good(name.encode())
for name in (b"a" * 256, "🔑".encode() * 64, b"a" * 4000, b"\xff" * 256):
    bad(name, "ENAMETOOLONG")
"#;
    for tree in either(&["variables"][..], &["secrets", "variables"]) {
        open_directory(&mount, &format!("dev/{tree}/d"));
        program(MEMBER, &mount.path(&format!("dev/{tree}/d")), text, &[either("1", "6")]);
    }
    unharmed(&mount);
}

pub fn keys_at_the_limit() {
    let mut mount = Mount::new();
    let text = r#"
def value(here, name, flags=RDONLY):
    handle = os.open(name, flags, dir_fd=here)
    try:
        return whole(handle) if flags == RDONLY else os.write(handle, b"deep")
    finally:
        os.close(handle)

# Fifteen names of 255 and slashes leave room for one more of 255.
NAMES = [letter * 255 for letter in "abcdefghijklmno"]
if sys.argv[1] == "make":
    here = descend(NAMES, True)
    expect("as long as can be", 4, value, here, "x" * 255, WRONLY | CREAT)
    expect("too long a name", "ENAMETOOLONG", value, here, "x" * 256, WRONLY | CREAT)
    expect("read", b"deep", value, here, "x" * 255)
    os.mkdir("y" * 253, dir_fd=here)
    below = os.open("y" * 253, RDONLY, dir_fd=here)
    expect("one more byte fits", 4, value, below, "z", WRONLY | CREAT)
    for way, make in {
        "create": lambda name: value(below, name, WRONLY | CREAT),
        "mkdir": lambda name: os.mkdir(name, dir_fd=below),
        "rename": lambda name: os.rename("z", name, src_dir_fd=below, dst_dir_fd=below),
    }.items():
        expect(f"and two don't: {way}", "ENAMETOOLONG", make, "zz")
    # A directory that moves down takes all below it beyond the limit, or is refused; what was there can be read either way.
    os.mkdir("top")
    moved = outcome(os.rename, NAMES[0], "top/" + NAMES[0])
    expect("moved or refused", True, lambda: moved in (None, "ENAMETOOLONG"))
    place = ["top"] * (moved is None) + NAMES
    here = descend(place)
    expect("and is read", b"deep", value, here, "x" * 255)
    expect("and stored", 4, value, here, "x" * 255, WRONLY | TRUNC)
    expect("and removed", None, os.unlink, "x" * 255, dir_fd=here)
    expect("and made again, or not", True, lambda: outcome(value, here, "x" * 255, WRONLY | CREAT) in (4, "ENAMETOOLONG"))
    if moved is None:
        os.rename("top/" + NAMES[0], NAMES[0])
    os.rmdir("top")
else:
    here = descend(NAMES)
    expect("there after a restart", b"deep", value, here, "x" * 255) if "x" * 255 in os.listdir(here) else None
    expect("and what is beside it", b"deep", value, os.open("y" * 253, RDONLY, dir_fd=here), "z")
    expect("and all of it can be removed", (0, ""), run, "rm", "-r", NAMES[0])
    expect("and nothing is left", [], names)
"#;
    for what in ["make", "take"] {
        for tree in ["secrets", "variables"] {
            // The root of a tree: a key's length is counted from there.
            program(MEMBER, &mount.path(&format!("dev/{tree}")), text, &[what]);
        }
        unharmed(&mount);
        mount.restart();
    }
}

pub fn two_hundred_levels() {
    let mut mount = Mount::new();
    let text = r#"
DEEP = "/".join(["d"] * 200)
if sys.argv[1] == "make":
    os.makedirs(DEEP)
    os.makedirs("other/" + "/".join(["e"] * 100))
    put(DEEP + "/key", b"deep")
    expect("stored anew", None, put, DEEP + "/key", b"deeper")
    expect("into itself", "EINVAL", os.rename, "d", DEEP + "/d")
    expect("exchanged with what is below it", "EINVAL", rename, "d", DEEP, EXCHANGE)
    expect("moved below another", None, os.rename, "d", "other/" + "/".join(["e"] * 100) + "/d")
    expect("and back", None, os.rename, "other/" + "/".join(["e"] * 100) + "/d", "d")
    expect("exchanged", None, rename, "d", "other", EXCHANGE)
    expect("and back", None, rename, "d", "other", EXCHANGE)
expect("levels", 200 + 101, lambda: sum(1 for _ in os.walk(".")) - 1)
expect("found", b"deeper", get, DEEP + "/key")
expect("links", {2, 3}, lambda: {os.stat("/".join(["d"] * depth)).st_nlink for depth in range(1, 201)})
expect("up again", os.stat("d").st_ino, lambda: os.stat(DEEP + "/.." * 199).st_ino)
if sys.argv[1] != "make":
    expect("removed", (0, ""), run, "rm", "-r", "d", "other")
"#;
    for what in ["make", "take"] {
        for tree in ["secrets", "variables"] {
            open_directory_once(&mount, &format!("dev/{tree}/top"));
            program(MEMBER, &mount.path(&format!("dev/{tree}/top")), text, &[what]);
        }
        unharmed(&mount);
        mount.restart();
    }
}

fn open_directory_once(mount: &Mount, below: &str) {
    if !mount.path(below).exists() {
        open_directory(mount, below);
    }
}
