// The rows of a list of keys: what `rows.worker.js` answers from. No page, no messages: it can be tested as it is.
//
// Invariants:
// - `keys` is sorted and holds each key once; `lower` is the same in lower case, at the same places.
// - A filter unfolds what it finds; what the user folds under a filter stays so until the filter changes.

const SLASH = "\0";
/** Sorts after all that is in a directory. */
const END = "\u0001";

/** So few keys are all seen at first. */
const FEW = 200;

const inside = (key) => key.replaceAll("/", SLASH);
const outside = (key) => key.replaceAll(SLASH, "/");

export class Rows {
  keys = [];
  #lower = [];
  #look = { filter: "", descending: false, flat: false, selected: null, inOrder: false };
  /** What the user unfolded and folded in each tree: it stays so when another environment is looked at. */
  #chosen = {};
  /** `all`: how directories are that the user didn't touch, where that was said; `each`: those that were, true for unfolded. */
  #folds = { all: null, each: new Map() };
  #isFew = true;
  #folded = new Set();
  #rows = null;
  #places = null;
  #found = null;

  load(keys, tree = "") {
    this.keys = keys.map(inside).sort();
    this.#lower = this.keys.map((key) => key.toLowerCase());
    this.#isFew = keys.length <= FEW;
    this.#folds = this.#chosen[tree] ??= { all: null, each: new Map() };
    this.#changed();
  }

  /** How many keys there are. */
  get total() {
    return this.keys.length;
  }

  /** How many of them the filter lets through. */
  get shown() {
    return this.#matches().length;
  }

  get length() {
    return this.#all().length;
  }

  slice(from, to) {
    return this.#all().slice(Math.max(0, from), to);
  }

  /** The place of a row, or -1. */
  placeOf(path) {
    const rows = this.#all();
    this.#places ??= new Map(rows.map((row, at) => [row.path, at]));
    return this.#places.get(path) ?? -1;
  }

  find(from, letters) {
    const rows = this.#all();
    const wanted = letters.toLowerCase();
    for (let step = 0; step < rows.length; step += 1) {
      const at = (from + step) % rows.length;
      if (rows[at].name.toLowerCase().startsWith(wanted)) return at;
    }
    return -1;
  }

  look(look) {
    if (look.filter !== this.#look.filter || look.selected !== this.#look.selected) this.#folded = new Set();
    this.#look = { ...this.#look, ...look };
    this.#changed();
  }

  fold(paths, open) {
    if (paths === "all") {
      // Under a filter all is unfolded, and only what is folded is remembered.
      if (this.#isFiltered) this.#folded = open ? new Set() : directories(this.#matches());
      else Object.assign(this.#folds, { all: open, each: new Map() });
    } else {
      for (const path of paths.map((path) => path.replace(/\/$/, ""))) {
        if (!this.#isFiltered) this.#folds.each.set(path, open);
        else if (open) this.#folded.delete(path);
        else this.#folded.add(path);
      }
    }
    this.#rows = this.#places = null;
  }

  #isOpen(path) {
    if (this.#isFiltered) return !this.#folded.has(path);
    return this.#folds.each.get(path) ?? this.#folds.all ?? this.#isFew;
  }

  /** Unfolds every directory that stands at a level right in `above`. */
  foldBeside(above, level) {
    const beside = this.#all().filter((row) => row.isOpen === false && row.level === level && row.path.startsWith(above));
    this.fold(beside.map(({ path }) => path), true);
  }

  /** Gives the keys that weren't there before, nor are in the server's answer that is looked at. */
  change(steps) {
    const selected = new Set(this.#look.selected);
    const added = [];
    const isNew = (key) => this.#put(inside(key)) && !selected.has(key);
    for (const step of steps) {
      if (step.put !== undefined) {
        if (isNew(step.put)) added.push(step.put);
      } else if (step.remove !== undefined) {
        this.#take(inside(step.remove));
      } else {
        const from = inside(step.rename), to = inside(step.to);
        const moved = this.#take(from);
        // What was at the new name is replaced.
        if (moved.length > 0) this.#take(to);
        for (const key of moved) {
          const next = outside(to + key.slice(from.length));
          if (isNew(next)) added.push(next);
        }
      }
    }
    this.#changed();
    return added;
  }

  #changed() {
    this.#rows = this.#places = this.#found = null;
  }

  #put(key) {
    const at = lowerBound(this.keys, key);
    if (this.keys[at] === key) return false;
    this.keys.splice(at, 0, key);
    this.#lower.splice(at, 0, key.toLowerCase());
    return true;
  }

  /** Takes a key away, or all below a directory. */
  #take(key) {
    const at = lowerBound(this.keys, key);
    if (this.keys[at] === key) {
      this.#lower.splice(at, 1);
      return this.keys.splice(at, 1);
    }
    const from = lowerBound(this.keys, key + SLASH);
    const to = lowerBound(this.keys, key + END);
    this.#lower.splice(from, to - from);
    return this.keys.splice(from, to - from);
  }

  get #isFiltered() {
    return this.#look.filter !== "" || this.#look.selected !== null;
  }

  /** The keys that the filter lets through, in their order. */
  #matches() {
    this.#found ??= this.#match();
    return this.#found;
  }

  #match() {
    const { filter, selected, inOrder, descending } = this.#look;
    let found = this.keys;
    if (selected !== null) {
      const there = new Set(this.keys);
      found = selected.map(inside).filter((key) => there.has(key));
      if (!inOrder) found.sort();
    }
    if (filter !== "") {
      const wanted = inside(filter.toLowerCase());
      found = found === this.keys
        ? this.keys.filter((_, at) => this.#lower[at].includes(wanted))
        : found.filter((key) => key.toLowerCase().includes(wanted));
    }
    return descending && !inOrder && this.#isFlat ? found.toReversed() : found;
  }

  get #isFlat() {
    return this.#look.flat || this.#look.inOrder;
  }

  #all() {
    this.#rows ??= this.#isFlat ? this.#flatRows() : this.#treeRows();
    return this.#rows;
  }

  #flatRows() {
    const keys = this.#matches();
    return keys.map((key, at) => {
      const path = outside(key);
      return { path, name: path, level: 1, at: at + 1, of: keys.length, keys: 0, isOpen: null };
    });
  }

  #treeRows() {
    const keys = this.#matches();
    const rows = [];
    const add = (from, to, begin, level) => {
      const children = childrenOf(keys, from, to, begin);
      if (this.#look.descending) children.reverse();
      children.forEach((child, at) => {
        const key = keys[child.from];
        const path = outside(child.isDirectory ? key.slice(0, child.end) : key);
        const open = child.isDirectory ? this.#isOpen(path) : null;
        rows.push({
          path: child.isDirectory ? `${path}/` : path,
          name: key.slice(begin, child.end),
          level,
          at: at + 1,
          of: children.length,
          keys: child.isDirectory ? child.to - child.from : 0,
          isOpen: open,
        });
        if (open) add(child.from, child.to, child.end + 1, level + 1);
      });
    };
    add(0, keys.length, 0, 1);
    return rows;
  }
}

/** What stands directly in a directory whose keys are those of a range: each its own range. `begin` is where names begin. */
function childrenOf(keys, from, to, begin) {
  const children = [];
  for (let at = from; at < to; ) {
    const key = keys[at];
    const slash = key.indexOf(SLASH, begin);
    if (slash < 0) {
      children.push({ isDirectory: false, from: at, to: at + 1, end: key.length });
      at += 1;
    } else {
      const end = lowerBound(keys, key.slice(0, slash) + END, at, to);
      children.push({ isDirectory: true, from: at, to: end, end: slash });
      at = end;
    }
  }
  return children;
}

/** Every directory, without a slash at its end. */
function directories(keys) {
  const found = new Set();
  for (const key of keys) {
    for (let at = key.lastIndexOf(SLASH); at > 0; at = key.lastIndexOf(SLASH, at - 1)) {
      const path = outside(key.slice(0, at));
      // Those above it were found with it.
      if (found.has(path)) break;
      found.add(path);
    }
  }
  return found;
}

/** The first place whose key isn't before `key`. */
function lowerBound(keys, key, from = 0, to = keys.length) {
  let low = from, high = to;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
