// What the view across environments knows: which key is where, and what the server said of it.
//
// Invariants:
// - A key stands there once, in the order of its bytes, and stays in the list that is shown until the filter is set anew:
//   what others change moves no row.
// - No call to the server and no step over all keys holds the page up for longer than a slice of a frame.
// - An answer to a question that a change has overtaken counts for nothing.
// - What is kept by the name of an environment or a key is in a map or an object without a prototype: `__proto__` is a name.
//
// It deliberately knows nothing of the document: who shows it is told by `changed` that something has.

/** Where a key is, by environment: not there, there, in a directory that the user may not list, or not known yet. */
export const MISSING = 0, PRESENT = 1, CLOSED = 2, ASKED = 3;

/** The most keys that one question names. */
export const PORTION = 500;

/** The filters by what a key is like. */
export const KINDS = ["all", "missing", "differs", "unknown"];

/** The order of the keys' bytes in UTF-8, which is not that of JavaScript's code units beyond U+D7FF. */
export function compareKeys(a, b) {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const one = a.charCodeAt(at), other = b.charCodeAt(at);
    if (one !== other) return rank(one) - rank(other);
  }
  return a.length - b.length;
}

const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));

/** After a question that failed, the next waits so long. */
const RETRY = 2_000;

const rank = (unit) => (unit >= 0xe000 ? unit - 0x2000 : unit >= 0xd800 ? unit + 0x2000 : unit);

/** An object that has nothing but what is put into it. */
const byName = (entries) => Object.assign(Object.create(null), Object.fromEntries(entries));

/** Lets the page do something else once a slice of a frame is used up. */
function slices(milliseconds = 8) {
  let end = performance.now() + milliseconds;
  return {
    over: () => performance.now() > end,
    rest: async () => {
      await new Promise((resume) => setTimeout(resume));
      end = performance.now() + milliseconds;
    },
  };
}

export class MatrixModel {
  /** Every key that is anywhere: `{key, lower, here: {environment: state}, differs, cells, asked, stamp}`. */
  rows = [];
  /** Those that the filter lets through. */
  shown = [];
  counts = { keys: 0, missing: 0, differs: 0, unknown: 0, to_compare: 0, compared: 0 };
  /** How many keys each environment lacks. */
  lacking = new Map();
  loading = true;
  /** Whether an environment couldn't be listed, so that nothing can be said of what is missing. */
  failed = false;
  /** Whether values are compared: of variables always, of secrets once the user says so, since each is opened for it. */
  compares;
  /** What went wrong last, for whoever looks on. */
  trouble = null;
  filter = { kind: "all", environment: null, text: "" };

  #ask;
  #changed;
  #byKey = new Map();
  #stays = new Set();
  #wanted = [];
  #asking = false;
  #comparing = false;
  #ended = false;

  /**
   * `ask` has `keys(environment, tree)` and `compare(question)`, both promises of the API's answers; `changed` is called when
   * there is something new to show, often.
   */
  constructor({ tree, environments, ask, changed }) {
    this.tree = tree;
    this.environments = environments;
    this.compares = tree === "variables";
    this.#ask = ask;
    this.#changed = changed;
  }

  /** Asks which keys there are. Ends when all are known; the comparison goes on by itself. */
  async load() {
    this.loading = true;
    this.failed = false;
    try {
      await Promise.all(this.environments.map((environment) => this.reload(environment)));
      this.trouble = null;
    } catch (trouble) {
      this.trouble = trouble;
      this.failed = true;
    }
    this.loading = false;
    if (this.#ended) return;
    this.choose({});
    this.#compareAll();
  }

  end() {
    this.#ended = true;
  }

  row(key) {
    return this.#byKey.get(key);
  }

  /** Compares secrets from now on. */
  compare() {
    this.compares = true;
    this.#compareAll();
    this.#changed();
  }

  /** Which keys an environment has, asked anew; and once more where a change came meanwhile, which the list may lack. */
  async reload(environment) {
    this.#reloading.set(environment, false);
    try {
      await this.#list(environment);
      if (this.#reloading.get(environment) && !this.#ended) await this.#list(environment);
    } finally {
      this.#reloading.delete(environment);
    }
  }

  async #list(environment) {
    const { keys, closed } = await this.#ask.keys(environment, this.tree);
    if (this.#ended) return;
    const slice = slices();
    const there = new Set();
    const fresh = [];
    for (const key of keys) {
      if (slice.over()) await slice.rest();
      there.add(key);
      const row = this.#byKey.get(key);
      if (!row) fresh.push(key);
      else if (row.here[environment] !== PRESENT) this.#set(row, environment, PRESENT);
    }
    this.#closed.set(environment, closed);
    for (const row of this.rows) {
      if (slice.over()) await slice.rest();
      const state = there.has(row.key) ? PRESENT : this.#absent(environment, row.key);
      if (row.here[environment] !== state) this.#set(row, environment, state);
    }
    await this.#join(fresh, environment, slice);
    if (this.#ended) return;
    this.#refresh();
    this.#compareAll();
  }

  #closed = new Map();
  /** The environments that are being listed, with whether a change came meanwhile. */
  #reloading = new Map();

  /** What the absence of a key from a list says. */
  #absent(environment, key) {
    const closed = this.#closed.get(environment);
    if (!closed) return ASKED;
    return closed.some((directory) => key.startsWith(directory)) ? CLOSED : MISSING;
  }

  #here(key) {
    return byName(this.environments.map((environment) => [environment, this.#absent(environment, key)]));
  }

  /** Takes keys in that weren't there, which are in order. */
  async #join(keys, environment, slice) {
    if (keys.length === 0) return;
    const joined = [];
    for (const key of keys) {
      if (slice.over()) await slice.rest();
      // Another environment's answer, or a change, may have brought it meanwhile.
      const known = this.#byKey.get(key);
      if (known) {
        if (known.here[environment] !== PRESENT) this.#set(known, environment, PRESENT);
        continue;
      }
      const row = this.#make(key);
      this.#set(row, environment, PRESENT);
      joined.push(row);
    }
    // In one go, so that nobody sees half of it: a merge of two sorted lists.
    const merged = [];
    let next = 0;
    for (const row of this.rows) {
      while (next < joined.length && compareKeys(joined[next].key, row.key) < 0) merged.push(joined[next++]);
      merged.push(row);
    }
    this.rows = merged.concat(joined.slice(next));
  }

  #make(key) {
    const row = { key, lower: key.toLowerCase(), here: this.#here(key), differs: undefined, cells: null, asked: false, stamp: 0 };
    this.#byKey.set(key, row);
    return row;
  }

  /** Says where a key is, and forgets what was known of its values. */
  #set(row, environment, state) {
    this.#tally(row, -1);
    row.here[environment] = state;
    row.differs = undefined;
    row.asked = false;
    row.stale = true;
    row.stamp++;
    this.#tally(row, 1);
  }

  #tally(row, by) {
    const { present, missing } = this.places(row);
    if (present === 0) return;
    this.counts.keys += by;
    if (missing > 0) this.counts.missing += by;
    if (present > 1) {
      this.counts.to_compare += by;
      if (row.differs !== undefined) this.counts.compared += by;
      if (row.differs === true) this.counts.differs += by;
      if (row.differs === null) this.counts.unknown += by;
    }
    for (const environment of this.environments) {
      if (row.here[environment] === MISSING) this.lacking.set(environment, (this.lacking.get(environment) ?? 0) + by);
    }
  }

  /** In how many environments a key is, and from how many it is missing. */
  places(row) {
    let present = 0, missing = 0;
    for (const environment of this.environments) {
      if (row.here[environment] === PRESENT) present++;
      else if (row.here[environment] === MISSING) missing++;
    }
    return { present, missing };
  }

  /** Shows other environments; all that was compared is compared anew. */
  async chooseEnvironments(environments) {
    const known = this.environments;
    this.environments = environments;
    this.counts = { keys: 0, missing: 0, differs: 0, unknown: 0, to_compare: 0, compared: 0 };
    this.lacking = new Map();
    for (const row of this.rows) {
      for (const environment of environments) row.here[environment] ??= this.#absent(environment, row.key);
      row.differs = undefined;
      row.asked = false;
      row.stale = true;
      row.stamp++;
      this.#tally(row, 1);
    }
    this.#stays.clear();
    this.#refresh();
    try {
      for (const environment of environments) if (!known.includes(environment)) await this.reload(environment);
    } catch (trouble) {
      this.trouble = trouble;
      this.#changed();
    }
    this.#compareAll();
  }

  /** Sets the filter; only then do rows go that it doesn't let through. */
  choose(filter) {
    this.filter = { ...this.filter, ...filter };
    this.#stays.clear();
    this.#refresh();
  }

  #matches(row) {
    const { kind, environment, text } = this.filter;
    if (text && !row.lower.includes(text)) return false;
    const { present, missing } = this.places(row);
    if (present === 0) return false;
    if (kind === "missing") return environment ? row.here[environment] === MISSING : missing > 0;
    if (kind === "differs") return row.differs === true && present > 1;
    if (kind === "unknown") return row.differs === null && present > 1;
    return true;
  }

  #refresh() {
    const shown = [];
    for (const row of this.rows) {
      if (this.#matches(row)) this.#stays.add(row.key);
      if (this.#stays.has(row.key)) shown.push(row);
    }
    this.shown = shown;
    this.#changed();
  }

  /** Where a key stands among those that are shown, or -1. */
  indexOf(key) {
    let low = 0, high = this.shown.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareKeys(this.shown[middle].key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return this.shown[low]?.key === key ? low : -1;
  }

  /** Asks for the cells of rows that are looked at. */
  want(rows) {
    this.#wanted = rows.filter((row) => row.stale !== false && !row.asked);
    this.#askWanted();
  }

  async #askWanted() {
    if (this.#asking || this.#ended) return;
    this.#asking = true;
    while (this.#wanted.length > 0 && !this.#ended) {
      const rows = this.#wanted.splice(0, PORTION).filter((row) => !row.asked);
      if (rows.length > 0 && !(await this.#compare(rows, true))) await pause(RETRY);
    }
    this.#asking = false;
  }

  /** Asks about some rows: for what is in their cells, or whether they differ. Whether there was an answer. */
  async #compare(rows, cells) {
    const stamps = rows.map((row) => row.stamp);
    const environments = this.environments;
    if (cells) rows.forEach((row) => (row.asked = true));
    try {
      const isSecret = this.tree === "secrets";
      const question = {
        tree: this.tree, environments, keys: rows.map((row) => row.key),
        values: cells && !isSecret, secrets: !cells && isSecret,
      };
      const { items } = await this.#ask.compare(question);
      if (this.#ended) return false;
      const answers = new Map(items.map((item) => [item.key, item]));
      rows.forEach((row, at) => {
        const item = answers.get(row.key);
        if (item && row.stamp === stamps[at] && environments === this.environments) this.#answered(row, item, cells);
      });
      this.trouble = null;
      this.#later();
      return true;
    } catch (trouble) {
      rows.forEach((row, at) => { if (row.stamp === stamps[at]) row.asked = false; });
      this.trouble = trouble;
      this.#changed();
      return false;
    }
  }

  #answered(row, item, cells) {
    this.#tally(row, -1);
    for (const cell of item.cells ?? []) {
      if (!(cell.environment in row.here)) continue;
      row.here[cell.environment] = { present: PRESENT, closed: CLOSED }[cell.state] ?? MISSING;
    }
    if (!cells || this.tree === "variables") row.differs = item.differs;
    if (cells) {
      row.cells = byName((item.cells ?? []).map((cell) => [cell.environment, cell]));
      row.stale = false;
      row.asked = false;
    }
    this.#tally(row, 1);
  }

  #timer = null;

  /** Shows what came, not more than a few times a second. */
  #later() {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      if (!this.#ended) this.#refresh();
    }, 60);
  }

  /** Compares what hasn't been compared, a portion at a time, whoever looks at it. */
  async #compareAll() {
    if (!this.compares || this.#comparing || this.loading || this.#ended) return;
    this.#comparing = true;
    while (!this.#ended) {
      const rows = await this.#uncompared();
      if (rows.length === 0) break;
      if (document.hidden) await new Promise((resume) => document.addEventListener("visibilitychange", resume, { once: true }));
      if (!(await this.#compare(rows, false)) && !this.#ended) await pause(RETRY);
    }
    this.#comparing = false;
    this.#changed();
  }

  /** Where the search for what wasn't compared goes on. */
  #from = 0;

  async #uncompared() {
    const slice = slices();
    const found = [];
    // From where it ended the last time, and then from the beginning: what was changed meanwhile.
    for (const [from, to] of [[this.#from, this.rows.length], [0, this.#from]]) {
      for (let at = from; at < to && found.length < PORTION; at++) {
        if (slice.over()) await slice.rest();
        const row = this.rows[at];
        this.#from = at + 1;
        if (row && row.differs === undefined && this.places(row).present > 1) found.push(row);
      }
      if (found.length > 0) break;
    }
    return found;
  }

  /** Takes in what was changed elsewhere. */
  heard(change) {
    if (change.tree !== this.tree || !this.environments.includes(change.environment)) return;
    if (this.#reloading.has(change.environment)) this.#reloading.set(change.environment, true);
    const single = change.version !== null && change.version !== undefined;
    if (single && change.what === "put") this.#came(change.key, change.environment);
    else if (single && change.what === "remove") this.#went(change.key, change.environment);
    else if (single && ["attribute", "permission"].includes(change.what)) this.#came(change.key, change.environment);
    else if (change.what !== "mkdir") this.#relist(change.environment);
  }

  /** Whether all of it must be asked for anew. */
  lost() {
    for (const environment of this.environments) this.#relist(environment);
    for (const row of this.rows) this.#set(row, this.environments[0], row.here[this.environments[0]]);
  }

  #came(key, environment) {
    const row = this.#byKey.get(key) ?? this.#insert(key);
    this.#set(row, environment, PRESENT);
    this.#later();
    this.#compareAll();
  }

  #went(key, environment) {
    const row = this.#byKey.get(key);
    if (!row) return;
    this.#set(row, environment, this.#absent(environment, key));
    this.#later();
    this.#compareAll();
  }

  #insert(key) {
    const row = this.#make(key);
    let low = 0, high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareKeys(this.rows[middle].key, key) < 0) low = middle + 1;
      else high = middle;
    }
    this.rows.splice(low, 0, row);
    return row;
  }

  #relisting = new Map();

  /** Lists an environment anew, once for many changes. */
  #relist(environment) {
    if (this.#relisting.has(environment)) return;
    this.#relisting.set(environment, setTimeout(async () => {
      this.#relisting.delete(environment);
      if (this.#ended) return;
      try {
        await this.reload(environment);
      } catch (trouble) {
        this.trouble = trouble;
        this.#changed();
      }
    }, 250));
  }
}
