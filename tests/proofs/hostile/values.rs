//! What `setxattr(2)` is given by somebody who owns an entry.

use std::os::unix::fs::MetadataExt;

use super::{MEMBER, Mount, STRANGER, User, open_directory, program, unharmed};
use crate::fixture::{ALICE, PAYMENTS};
use crate::scale::{either, seed};

/// Sets lists and texts of every length and with every bit changed. What is refused changes nothing; what is taken can be read
/// again, and lets in whom it names.
const MALFORMED: &str = r#"
import random
seed, longest, rounds = map(int, sys.argv[1:])
lots = random.Random(seed)
UNNAMED = 2**32 - 1
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
GROUPS, REMOVE, EXPIRES, IF_VERSION = (f"user.keyfs.{name}" for name in ("groups", "remove", "expires", "if-version"))
REFUSALS = {"EINVAL", "EPERM", "EACCES", "ENOTSUP", "E2BIG", "ENODATA"}

def blob(*entries):
    return struct.pack("<I" + "HHI" * len(entries), 2, *(part for entry in entries for part in entry))

def entries(blob):
    return list(struct.iter_unpack("<HHI", blob[4:]))

GOOD = blob((1, 6, UNNAMED), (4, 4, UNNAMED), (8, 4, PAYMENTS), (8, 6, OPS), (0x10, 6, UNNAMED), (0x20, 0, UNNAMED))
USERS = blob((1, 6, UNNAMED), (2, 4, BOB), (4, 4, UNNAMED), (0x10, 6, UNNAMED), (0x20, 4, UNNAMED))
TEXTS = [b"20101:rw,20102:r", b"2027-01-31T12:00:00Z", b"1", b""]
outcomes = {}

def present(path):
    "All that decides about an entry."
    found = os.stat(path)
    return found.st_mode, found.st_uid, found.st_gid, outcome(os.getxattr, path, ACCESS), outcome(os.getxattr, path, DEFAULT), outcome(os.getxattr, path, EXPIRES)

def attempt(path, name, value):
    before = present(path)
    came = outcome(os.setxattr, path, name, value)
    outcomes[came] = outcomes.get(came, 0) + 1
    if came is not None:
        if came not in REFUSALS or present(path) != before:
            expect(f"{name} {value!r} of {path}", "refused, with nothing changed", lambda: came)
        return
    if name in (ACCESS, DEFAULT):
        for tag, rights, _ in entries(value):
            if tag not in (1, 2, 4, 8, 0x10, 0x20) or rights > 7:
                expect(f"{value!r}", "refused", lambda: "taken")
        found = outcome(os.getxattr, path, name)
        if name == ACCESS and path == "secret":
            secret(path, found)

def secret(path, found):
    mode = os.stat(path).st_mode
    if mode & 7 or (found != "ENODATA" and any(tag == 2 for tag, _, _ in entries(found))):
        expect("a secret's rights for other or for a user", "none", lambda: (oct(mode), found))
    named = [] if found == "ENODATA" else [id for tag, rights, id in entries(found) if tag == 8 and rights & 4 and mode & 0o040]
    # The stranger's group is one bit away from one that is named.
    reads = outcome(by, BOB, [BOB, ANALYSTS], get, path)
    if (reads == b"value") != (ANALYSTS in named or BOB in named):
        expect(f"the stranger by {found!r}", "by the rule", lambda: reads)

def values():
    for length in range(longest):
        yield bytes(lots.randrange(256) for _ in range(length))
        yield b"\2\0\0\0" + bytes(lots.choice((0, 1, 2, 4, 7, 8, 16, 32, 255)) for _ in range(length))
    for good in (GOOD, USERS, *TEXTS):
        for end in range(len(good) + 1):
            yield good[:end]
        for bit in range(8 * len(good)):
            changed = bytearray(good)
            changed[bit // 8] ^= 1 << bit % 8
            yield bytes(changed)
    for count in (505, 506, 507, 508, 511, 512, 513, 8190):
        yield blob((1, 6, UNNAMED), (4, 4, UNNAMED), *((8, 4, id) for id in range(count)), (0x10, 6, UNNAMED), (0x20, 0, UNNAMED))[:65536]
    for _ in range(rounds):
        every = entries(lots.choice((GOOD, USERS)))
        lots.shuffle(every)
        yield blob(*every[:lots.randrange(len(every) + 1)])

put("secret", b"value"), os.chown("secret", ALICE, PAYMENTS), os.chmod("secret", 0o660)
put("plain", b"value"), os.chown("plain", ALICE, PAYMENTS), os.mkdir("directory"), os.chown("directory", ALICE, PAYMENTS)
for value in values():
    for path in ("secret", "directory") if lots.randrange(4) else ("plain", "secret"):
        for name in (ACCESS, DEFAULT) if value[:1] == b"\2" or not value else (GROUPS, EXPIRES, IF_VERSION):
            # As the owner, whose groups the file-system ids of this process stand for.
            libc.setfsgid(ALICE), libc.setfsuid(ALICE)
            try:
                attempt(path, name, value)
            finally:
                libc.setfsuid(0), libc.setfsgid(0)
if not outcomes.get(None) or len(outcomes) < 3:
    expect("both happened", True, lambda: outcomes)
print(outcomes)
"#;

pub fn malformed_attributes() {
    let seed = seed();
    println!("seed {seed}");
    for tree in ["secrets", "variables"] {
        let mount = Mount::new();
        let below = format!("dev/{tree}/d");
        open_directory(&mount, &below);
        // A process in the group that may edit, which acts as the owner.
        let actor = User(0, 0, &[PAYMENTS]);
        let counts = [either(40, 1200).to_string(), either(20, 2000).to_string()];
        let text =
            if tree == "secrets" { MALFORMED.to_owned() } else { MALFORMED.replace("path == \"secret\"", "False") };
        println!("{}", program(actor, &mount.path(&below), &text, &[&seed.to_string(), &counts[0], &counts[1]]));
        unharmed(&mount);
    }
}

pub fn ten_thousand_attributes() {
    let mount = Mount::new();
    open_directory(&mount, "dev/secrets/d");
    let text = r#"
size, entries = map(int, sys.argv[1:])
put("k", b"value"), os.chmod("k", 0o660), os.mkdir("e")
for path in ("k", "e")[:entries]:
    kept, refused = {}, 0
    for number in range(10_000):
        name, value = f"user.note-{number:05}", bytes([number % 251]) * size
        came = outcome(os.setxattr, path, name, value)
        if came is None:
            kept[name] = value
        elif came == "ENOSPC":
            refused += 1
        else:
            expect(f"note {number}", "set, or no room", lambda: came)
    # Each takes its name, its value and a zero byte; there is room for 64 KiB, less what other names may need.
    fits = (64 * 1024 - 128) // (len("user.note-00000") + 1 + size)
    expect(f"kept on {path}", (fits, 10_000 - fits), lambda: (len(kept), refused))
    expect("the list", set(kept), lambda: {name for name in os.listxattr(path) if name.startswith("user.")})
    expect("the values", True, lambda: all(os.getxattr(path, name) == value for name, value in kept.items()))
    # Where it is full, other changes go on.
    expect("replaced", None, os.setxattr, path, "user.note-00000", bytes(size))
    expect("mode", None, os.chmod, path, 0o770)
    expect("value", b"value", get, "k")
    for name in list(kept)[:50]:
        expect("removed", None, os.removexattr, path, name)
    expect("room again", None, os.setxattr, path, "user.again", bytes(50 * size))
"#;
    program(MEMBER, &mount.path("dev/secrets/d"), text, &either(["400", "1"], ["1", "2"]));
    STRANGER.is_refused(&mount.path("dev/secrets/d/k"), "Permission denied");
    assert_eq!(mount.path("dev/secrets/d/k").metadata().unwrap().uid(), ALICE);
    unharmed(&mount);
}
