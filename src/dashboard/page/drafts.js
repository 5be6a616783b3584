// What was typed and not stored, and the warning before it is lost.
//
// Invariants:
// - Drafts are in the memory of this tab alone, since one may be a secret: no storage of the browser ever holds one.
// - One goes when it is taken up again or given up, and never because another one of the same form came or was stored.
// - While something is typed in a form, or lies here, the browser asks before it leaves the page.

/** By the form's name, the newest last. */
const drafts = new Map();
const forms = new Set();

/** The name under which the draft of a form is kept. A new key has one for each tree. */
export function draftName({ tree, environment, key }) {
  return JSON.stringify(key === undefined ? [tree] : [tree, environment, key]);
}

export function keepDraft(name, content) {
  drafts.set(name, [...(drafts.get(name) ?? []), { content, time: new Date().toISOString() }]);
  watch();
}

/** The newest, `{content, time}`, or null. */
export function draftOf(name) {
  return drafts.get(name)?.at(-1) ?? null;
}

export function dropDraft(name, draft) {
  const rest = (drafts.get(name) ?? []).filter((other) => other !== draft);
  if (rest.length > 0) drafts.set(name, rest);
  else drafts.delete(name);
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
