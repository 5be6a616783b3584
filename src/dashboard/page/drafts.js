// What was typed and not stored, and the warning before it is lost.
//
// Invariants:
// - Drafts are in the memory of this tab alone, since one may be a secret: no storage of the browser ever holds one.
// - While something is typed in a form, or lies here, the browser asks before it leaves the page.

const drafts = new Map();
const forms = new Set();

/** The name under which the draft of a form is kept. A new key has one for each tree. */
export function draftName({ tree, environment, key }) {
  return JSON.stringify(key === undefined ? [tree] : [tree, environment, key]);
}

export function keepDraft(name, content) {
  drafts.set(name, { content, time: new Date().toISOString() });
  watch();
}

/** `{content, time}`, or undefined. */
export function draftOf(name) {
  return drafts.get(name);
}

export function dropDraft(name) {
  drafts.delete(name);
  watch();
}

/** Has the browser ask before it leaves, as long as `dirty()` is true. Gives what ends that. */
export function guard(dirty) {
  forms.add(dirty);
  watch();
  return () => {
    forms.delete(dirty);
    watch();
  };
}

/** Listened to only while there is something to lose: a page with such a listener is left more slowly. */
function watch() {
  if (forms.size > 0 || drafts.size > 0) addEventListener("beforeunload", ask);
  else removeEventListener("beforeunload", ask);
}

function ask(event) {
  if (drafts.size > 0 || [...forms].some((dirty) => dirty())) event.preventDefault();
}
