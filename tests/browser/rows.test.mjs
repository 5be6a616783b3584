// The rows of a list of keys, without a browser: their order, their tree, the filter, and what changes do to them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rows } from "../../src/dashboard/page/rows.js";

function rows(keys, look = {}) {
  const made = new Rows();
  made.load(keys, "variables");
  made.look({ filter: "", descending: false, flat: false, selected: null, inOrder: false, ...look });
  return made;
}

const paths = (made) => made.slice(0, made.length).map(({ path }) => path);

test("a tree has each directory's keys together, with their places among their like", () => {
  const made = rows(["a-b", "a/z", "a/b/c", "a.c", "b"]);
  assert.deepEqual(paths(made), ["a/", "a/b/", "a/b/c", "a/z", "a-b", "a.c", "b"]);
  const row = (path) => made.slice(0, 99).find((one) => one.path === path);
  assert.deepEqual(row("a/"), { path: "a/", name: "a", level: 1, at: 1, of: 4, keys: 2, isOpen: true });
  assert.deepEqual(row("a/b/c"), { path: "a/b/c", name: "c", level: 3, at: 1, of: 1, keys: 0, isOpen: null });
  assert.deepEqual(row("b"), { path: "b", name: "b", level: 1, at: 4, of: 4, keys: 0, isOpen: null });
});

test("what is folded stays folded when the keys are loaded anew, and is of its tree alone", () => {
  const made = rows(["a/b", "c/d"]);
  made.fold(["a/"], false);
  assert.deepEqual(paths(made), ["a/", "c/", "c/d"]);
  made.load(["a/b", "a/e", "c/d"], "variables");
  assert.deepEqual(paths(made), ["a/", "c/", "c/d"]);
  made.load(["a/b"], "secrets");
  assert.deepEqual(paths(made), ["a/", "a/b"]);
  made.fold("all", false);
  assert.deepEqual(paths(made), ["a/"]);
  made.fold("all", true);
  assert.deepEqual(paths(made), ["a/", "a/b"]);
});

test("many keys begin folded", () => {
  const made = rows(Array.from({ length: 201 }, (_, n) => `a/${n}`));
  assert.deepEqual([made.total, made.length], [201, 1]);
});

test("the filter finds any part of the whole path, across slashes and whatever the case, and unfolds it", () => {
  const made = rows(["App/Db/password", "app/name", "other"]);
  made.fold("all", false);
  made.look({ filter: "B/PASS" });
  assert.deepEqual(paths(made), ["App/", "App/Db/", "App/Db/password"]);
  assert.deepEqual([made.shown, made.total], [1, 3]);
  made.fold(["App/"], false);
  assert.deepEqual(paths(made), ["App/"]);
  made.look({ filter: "pass" });
  assert.equal(paths(made).length, 3, "another filter unfolds again");
  made.look({ filter: "" });
  assert.deepEqual(paths(made), ["App/", "app/", "other"], "what was folded before is folded again");
});

test("a flat list is whole paths, in either order", () => {
  assert.deepEqual(paths(rows(["b", "a/c", "a-b"], { flat: true })), ["a/c", "a-b", "b"]);
  assert.deepEqual(paths(rows(["b", "a/c", "a-b"], { flat: true, descending: true })), ["b", "a-b", "a/c"]);
  assert.deepEqual(paths(rows(["b", "a/c", "a/d"], { descending: true })), ["b", "a/", "a/d", "a/c"]);
});

test("the server's selection is shown in its order, without what has gone since", () => {
  const made = rows(["a", "b/c", "d"], { selected: ["d", "gone", "b/c"], inOrder: true });
  assert.deepEqual(paths(made), ["d", "b/c"]);
  made.change([{ remove: "d" }, { put: "new" }]);
  assert.deepEqual(paths(made), ["b/c"]);
  made.look({ inOrder: false });
  assert.deepEqual(paths(made), ["b/", "b/c"]);
});

test("a key that the server's selection had before it was told of is no new one", () => {
  const made = rows(["a"], { selected: ["z", "a", "m"], inOrder: true });
  assert.deepEqual(made.change([{ put: "z" }, { put: "later" }, { rename: "a", to: "m" }]), ["later"]);
  assert.deepEqual(paths(made), ["z", "m"]);
});

test("changes put, remove and rename keys and directories", () => {
  const made = rows(["a/b", "a/c", "d"], { flat: true });
  assert.deepEqual(made.change([{ put: "a/aa" }, { put: "d" }]), ["a/aa"]);
  assert.deepEqual(paths(made), ["a/aa", "a/b", "a/c", "d"]);
  assert.deepEqual(made.change([{ rename: "a", to: "z/y" }]), ["z/y/aa", "z/y/b", "z/y/c"]);
  assert.deepEqual(paths(made), ["d", "z/y/aa", "z/y/b", "z/y/c"]);
  made.change([{ remove: "z" }]);
  assert.deepEqual(paths(made), ["d"]);
  made.change([{ put: "e" }, { rename: "d", to: "e" }]);
  assert.deepEqual(paths(made), ["e"]);
  made.change([{ rename: "never", to: "e" }, { remove: "never" }]);
  assert.deepEqual(paths(made), ["e"]);
});

test("changes one by one make what a new list would", () => {
  let seed = 7;
  const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const made = rows([]);
  const there = new Set();
  for (let step = 0; step < 2000; step += 1) {
    const key = `${"abc"[random(3)]}/${"d-e."[random(4)]}${random(4)}/${random(5)}`;
    if (random(3) === 0) there.delete(key);
    else there.add(key);
    made.change([there.has(key) ? { put: key } : { remove: key }]);
  }
  made.fold("all", true);
  const fresh = rows([...there]);
  fresh.fold("all", true);
  assert.deepEqual(made.slice(0, 999), fresh.slice(0, 999));
  assert.equal(made.total, there.size);
});

test("places are found by path and by letters", () => {
  const made = rows(["a/b", "a/c", "apple", "b"]);
  assert.deepEqual([made.placeOf("a/c"), made.placeOf("a/"), made.placeOf("nothing")], [2, 0, -1]);
  assert.deepEqual([made.find(0, "ap"), made.find(4, "a"), made.find(0, "x")], [3, 0, -1]);
});
