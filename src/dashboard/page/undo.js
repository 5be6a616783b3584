// The way back from what was stored in one step: keys that came are removed, keys that were changed get their value before.
//
// Invariant: what somebody else has changed since is left as it is, and said.

import { ApiError, post } from "./api.js";
import { toast } from "./toast.js";
import { count } from "./words.js";

/** More than so many changed keys aren't taken back one by one. */
export const MOST = 500;

/** Requests at the same time. */
const SIDE_BY_SIDE = 4;

/**
 * What was stored, as `undo` takes it: the versions that the keys have now. Keys that somebody else has changed already are left
 * out. `changed` keys had the version before.
 */
export async function stored({ environment, tree, added, changed, user }) {
  const details = new Map();
  const keys = [...added, ...changed];
  for (let at = 0; at < keys.length; at += 500) {
    const { items } = await post("/api/details", { environment, tree, keys: keys.slice(at, at + 500) });
    for (const item of items) if (!item.gone && item.modified_by === user) details.set(item.key, item.version);
  }
  const known = (key) => details.has(key);
  return {
    environment, tree,
    added: added.filter(known).map((key) => ({ key, version: details.get(key) })),
    changed: changed.filter(known).map((key) => ({ key, version: details.get(key), before: details.get(key) - 1 })),
  };
}

/** Takes it back, says what became of it, and tells which keys stayed as they are: `[{key, why}]`. */
export async function undo({ environment, tree, added, changed }, progress = () => {}) {
  const left = [];
  let done = 0;
  const all = added.length + changed.length;
  const step = (by) => progress((done += by), all);
  if (added.length > 0) {
    try {
      await post("/api/remove", { environment, tree, keys: added });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      left.push(...added.map(({ key }) => ({ key, why: error.message })));
    }
    step(added.length);
  }
  const rest = changed.slice();
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, async () => {
    for (let one = rest.shift(); one; one = rest.shift()) {
      try {
        await post("/api/rollback", { environment, tree, key: one.key, version: one.before, if_version: one.version });
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        left.push({ key: one.key, why: error.message });
      }
      step(1);
    }
  }));
  const back = all - left.length;
  if (left.length === 0) toast(`${count(back, "key")} in ${environment} ${back === 1 ? "is" : "are"} as before.`, { kind: "done" });
  else toast(`${count(back, "key")} in ${environment} as before; ${count(left.length, "key")} not: ${left[0].key}: ${left[0].why}`, { kind: "failed" });
  return left;
}
