// What is looked at: an environment, one of its two trees, and a view of it. The address says it, so Back and a bookmark work.
//
// Invariants:
// - `state` changes through `set` or the address alone, and all who subscribed hear of it after it has changed.
// - What isn't there (an environment of an old bookmark) is never looked at: the first that there is is taken instead.
//
// It deliberately holds nothing that was typed: a filter belongs to its view and ends with it.

const TREES = ["secrets", "variables"];
const VIEWS = ["keys", "matrix", "removed"];

export const state = { about: null, environment: "", tree: "secrets", view: "keys" };

const heard = new Set();

/** Calls `f(state, before)` after each change. Gives what ends that. */
export function subscribe(f) {
  heard.add(f);
  return () => heard.delete(f);
}

/** Changes what is looked at, as a step that Back undoes, or in place of the present one. */
export function set(changes, { replace = false } = {}) {
  const next = valid({ ...state, ...changes });
  const address = addressOf(next);
  if (address !== location.hash) {
    if (replace) history.replaceState(null, "", address);
    else history.pushState(null, "", address);
  }
  take(next);
}

/** The address of what is looked at, with changes: what a link leads to. */
export function addressOf({ environment = state.environment, tree = state.tree, view = state.view } = {}) {
  return `#/${encodeURIComponent(environment)}/${tree}${view === "keys" ? "" : `/${view}`}`;
}

/** Follows the address from now on. */
export function follow() {
  const look = () => set(inAddress(), { replace: true });
  addEventListener("popstate", look);
  addEventListener("hashchange", look);
  look();
}

/** The environment that is looked at, as `about` has it. */
export function environment(name = state.environment) {
  return state.about?.environments.find((one) => one.name === name) ?? { name, protected: false };
}

function inAddress() {
  const [environment = "", tree = "", view = "keys"] = location.hash.replace(/^#\//, "").split("/");
  try {
    return { environment: decodeURIComponent(environment), tree, view };
  } catch {
    return { environment: "", tree, view };
  }
}

function valid(next) {
  const names = next.about?.environments.map((one) => one.name) ?? [];
  const environment = names.includes(next.environment) ? next.environment : (names[0] ?? "");
  return {
    ...next,
    environment,
    tree: TREES.includes(next.tree) ? next.tree : TREES[0],
    view: VIEWS.includes(next.view) ? next.view : VIEWS[0],
  };
}

function take(next) {
  const before = { ...state };
  if (Object.keys(next).every((name) => next[name] === before[name])) return;
  Object.assign(state, next);
  for (const f of heard) f(state, before);
}
