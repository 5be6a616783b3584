// What is known of the keys that are seen: asked for together, and kept until a change says otherwise.
//
// Invariants:
// - A key is asked for only while it is seen; what has scrolled by before it was its turn isn't.
// - What is kept is shown until what is new has come: a row is never emptied to be filled again.

import { ApiError, post } from "./api.js";

/** So many keys an answer may hold. */
const MOST = 500;
/** So many details are kept. */
const KEPT = 20_000;
/** Milliseconds in which wishes are gathered while one scrolls, and after which one that failed is made again. */
const PAUSE = 40, AGAIN = 1500;

export class Details {
  #place;
  #known = new Map();
  #stale = new Set();
  #asked = new Set();
  #wanted = [];
  #timer = null;
  #came;
  #isOver = false;

  /** `came(keys)` is called with the keys of which more is known now. */
  constructor(place, came) {
    this.#place = place;
    this.#came = came;
  }

  of(key) {
    return this.#known.get(key) ?? null;
  }

  /** The keys that are seen now. */
  want(keys) {
    this.#wanted = keys;
    if (this.#timer === null && this.#missing().length > 0) this.#timer = setTimeout(() => this.#ask(), PAUSE);
  }

  /** What is known of these is old; of all if none are named. */
  forget(keys = null) {
    if (keys === null) for (const key of this.#known.keys()) this.#stale.add(key);
    else for (const key of keys) this.#stale.add(key);
    // An answer that is on its way may be older than the change.
    if (keys === null) this.#asked = new Set();
    else for (const key of keys) this.#asked.delete(key);
    this.want(this.#wanted);
  }

  end() {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #missing() {
    return this.#wanted.filter((key) => (!this.#known.has(key) || this.#stale.has(key)) && !this.#asked.has(key)).slice(0, MOST);
  }

  async #ask() {
    this.#timer = null;
    const keys = this.#missing();
    if (keys.length === 0 || this.#isOver) return;
    const asked = this.#asked;
    for (const key of keys) {
      asked.add(key);
      this.#stale.delete(key);
    }
    try {
      const { items } = await post("/api/details", { ...this.#place, keys });
      if (this.#isOver) return;
      for (const item of items) this.#known.set(item.key, item);
      this.#bound();
      this.#came(keys);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      for (const key of keys) this.#stale.add(key);
      await new Promise((go) => setTimeout(go, AGAIN));
    } finally {
      for (const key of keys) asked.delete(key);
    }
    if (!this.#isOver) this.want(this.#wanted);
  }

  #bound() {
    const seen = new Set(this.#wanted);
    for (const key of this.#known.keys()) {
      if (this.#known.size <= KEPT) return;
      if (!seen.has(key)) this.#known.delete(key);
    }
  }
}
