// The list of keys, off the main thread: it holds every key, and makes the rows that are to be seen of a tree or a flat list.
//
// Invariants:
// - Keys are held in the order of a tree (a directory's keys stand together), with NUL for the slash: no name holds it, and it
//   sorts before all that a name holds.
// - Rows are a function of the keys, the filter, the order and what is unfolded; an answer says which question it is for.
//
// It deliberately knows no more of a key than its text, and asks nobody for anything.

import { Rows } from "./rows.js";

const rows = new Rows();

const answers = {
  /** All keys, as the server sent them: bytes of JSON; `look` as below, or null to look at them as before. */
  load({ bytes, tree, look }) {
    const { keys, closed } = JSON.parse(new TextDecoder().decode(bytes));
    if (look !== null) rows.look(look);
    rows.load(keys, tree);
    return { closed };
  },
  /** What changed since: `steps` of `{put: key}`, `{remove: key}` or `{rename: key, to}`. */
  change({ steps }) {
    return { added: rows.change(steps) };
  },
  /** What is to be seen: `filter`, `descending`, `flat`, `selected` (the server's answer, or null) and `inOrder` (its order counts). */
  look({ look }) {
    rows.look(look);
    return {};
  },
  /** Unfolds and folds directories; `all` is every one. */
  fold({ paths, open }) {
    rows.fold(paths, open);
    return {};
  },
  /** Unfolds all that stands beside a directory. */
  foldBeside({ above, level }) {
    rows.foldBeside(above, level);
    return {};
  },
  slice({ from, to }) {
    return { from, rows: rows.slice(from, to) };
  },
  /** The row at or after `from` whose name begins with `letters`, around the end. */
  find({ from, letters }) {
    return { at: rows.find(from, letters) };
  },
};

onmessage = ({ data }) => {
  const begun = performance.now();
  const answer = answers[data.kind](data);
  const keep = data.keep ?? [];
  const around = data.window;
  postMessage({
    ...answer,
    question: data.question,
    total: rows.total,
    shown: rows.shown,
    length: rows.length,
    places: keep.map((path) => rows.placeOf(path)),
    // What is seen comes along, so that nothing is drawn without it.
    ...(around ? { from: Math.max(0, around.from), rows: rows.slice(around.from, around.to) } : {}),
    milliseconds: performance.now() - begun,
  });
};
