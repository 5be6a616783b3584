// Names and values as they stand in the page: what can't be seen in them is spelled out (`spelling.js`), and what they are can't
// change what stands beside them.
//
// Invariant: a name is isolated. Its letters, whichever way they are written, order nothing but themselves, and each part of a
// key by itself, so that a `/` stands between the parts that it parts.

import { isRightToLeft, unseen } from "./spelling.js";
import { html, nothing } from "./vendor/lit-html.js";

/** A name: a key, a directory, an environment, a user, a group. `mark` is what of it is marked, `{from, to}`. */
export function named(text, { mark = null } = {}) {
  const found = unseen(text);
  const part = (from, to) => html`<bdi dir="ltr">${marked(text, found, mark, from, to)}</bdi>`;
  if (!isRightToLeft(text)) return part(0, text.length);
  let from = 0;
  const parts = text.split("/").map((word, at) => {
    const to = from + word.length;
    const shown = html`${at > 0 ? "/" : ""}${part(from, to)}`;
    from = to + 1;
    return shown;
  });
  return html`<bdi dir="ltr">${parts}</bdi>`;
}

/** A value. With `lines` it stands on several, and its line ends, tabs and indents are what they are. */
export function valued(text, { lines = false, mark = null } = {}) {
  return html`<bdi>${marked(text, unseen(text, { lines }), mark, 0, text.length)}</bdi>`;
}

/** A note on what can't be seen in a text that stands in a field, or nothing. */
export function unseenNote(text, { lines = false } = {}) {
  const all = [...new Set(unseen(text, { lines }).map(({ spelling }) => spelling))];
  if (all.length === 0) return nothing;
  return html`<p class="form-note unseen-note" role="status">It has characters in it that can't be seen: ${all.slice(0, 5).map((spelling) => html`<span class="unseen">${spelling}</span> `)}${all.length > 5 ? "and others" : nothing}</p>`;
}

/** The part of a text from `from` to `to`, with what is marked in it. */
function marked(text, found, mark, from, to) {
  if (mark === null) return pieces(text, found, from, to);
  const within = (place) => Math.min(to, Math.max(from, place));
  const [begin, end] = [within(mark.from), within(mark.to)];
  return [pieces(text, found, from, begin), begin < end ? html`<mark>${pieces(text, found, begin, end)}</mark>` : "", pieces(text, found, end, to)];
}

/** The same as text, and what is spelled in it. */
function pieces(text, found, from, to) {
  const shown = [];
  let at = from;
  for (const { index, end, spelling } of found) {
    if (index < from || index >= to) continue;
    if (index > at) shown.push(text.slice(at, index));
    shown.push(html`<span class="unseen" title="A character that is not seen">${spelling}</span>`);
    at = end;
  }
  if (at === from) return text.slice(from, to);
  if (at < to) shown.push(text.slice(at, to));
  return shown;
}
