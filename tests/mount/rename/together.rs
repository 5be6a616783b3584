//! Several at once: who reads meanwhile, and who would make a circle.

use crate::alike::{alike, alike_in_variables};

pub fn readers_find_the_old_one_or_the_new_one() {
    alike(
        r#"
def begin(work):
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return child

def watch(path, values):
    "Reads in a loop; whatever the others do, one of the values is there."
    while True:
        found = get(path)
        if found not in values:
            sys.exit(f"{path} held {len(found)} bytes of {sorted(set(found))}")
        if os.stat(path).st_size not in map(len, values):
            sys.exit(f"{path} had another size")
        if os.path.exists("stop"):
            return

LONG = {letter: letter * 3000 for letter in (b"a", b"b", b"c", b"d")}

def replace(letter):
    for round in range(60):
        put(f"new-{letter.decode()}", LONG[letter])
        os.rename(f"new-{letter.decode()}", "k")

def exchange_files():
    for round in range(100):
        rename("one", "two", EXCHANGE)

def exchange_directories():
    for round in range(100):
        rename("blue", "green", EXCHANGE)

put("k", LONG[b"a"]), put("one", LONG[b"c"]), put("two", LONG[b"d"] + b"d")
for directory, letter in (("blue", b"a"), ("green", b"b")):
    os.makedirs(directory + "/below"), put(directory + "/below/k", LONG[letter])
readers = [begin(lambda: watch("k", [LONG[b"a"], LONG[b"b"]])) for _ in range(2)]
readers.append(begin(lambda: watch("one", [LONG[b"c"], LONG[b"d"] + b"d"])))
readers.append(begin(lambda: watch("blue/below/k", [LONG[b"a"], LONG[b"b"]])))
readers.append(begin(lambda: watch("blue/../green/below/k", [LONG[b"a"], LONG[b"b"]])))
writers = [begin(lambda: replace(b"a")), begin(lambda: replace(b"b")), begin(exchange_files), begin(exchange_directories)]
expect("writers", [0] * 4, lambda: [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in writers])
put("stop", b"")
expect("readers", [0] * 5, lambda: [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in readers])
"#,
    );
}

pub fn two_that_would_make_a_circle() {
    alike_in_variables(
        r#"
ROUNDS = 200
os.makedirs("a/in-a"), os.makedirs("b/in-b"), put("a/key", b"a"), put("b/key", b"b")

def move(source, target, back):
    "Moves one below the other, and back, whenever that can be."
    moved = 0
    for round in range(ROUNDS):
        found = outcome(os.rename, source, target)
        if found is None:
            moved += 1
            found = outcome(os.rename, target, back)
        # The other one may be below this one just now, or this one below the other.
        if found not in (None, "EINVAL", "ENOENT"):
            print(found, file=sys.stderr, flush=True)
            os._exit(99)
    os._exit(1 if moved else 0)

children = []
for source, target in (("a", "b/a"), ("b", "a/b"), ("a", "b/in-b/a"), ("b", "a/in-a/b")):
    child = os.fork()
    if child == 0:
        move(source, target, source)
    children.append(child)
ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
expect("nothing else happened", True, lambda: set(ended) <= {0, 1})
expect("somebody moved something", True, lambda: 1 in ended)
# Whatever came last, both are there, one of them at the top, and all that was in them is in them.
found = {}
for above, directories, files in os.walk("."):
    for name in directories + files:
        found.setdefault(name if name != "key" else os.path.join(os.path.basename(above), name), []).append(above)
expect("each once", ["a", "a/key", "b", "b/key", "in-a", "in-b"], lambda: sorted(found))
expect("each in one place", [1] * 6, lambda: [len(places) for places in found.values()])
expect("at the top", True, lambda: bool(names()) and set(names()) <= {"a", "b"})
for name, places in sorted(found.items()):
    if name in ("a", "b"):
        expect("its key", name.encode(), get, f"{places[0]}/{name}/key")
expect("removed", (0, ""), run, "rm", "-r", *names())
expect("and nothing is left", [], names)
"#,
    );
}
