// The way back from what was stored in one step: keys that came are removed, keys that were changed get their value before.
//
// Invariant: what somebody else has changed since is left as it is, and said.

import { ApiError, post } from "./api.js";
import { some } from "./plan.js";
import { spelled } from "./spelling.js";
import { toast } from "./toast.js";
import { html, nothing } from "./vendor/lit-html.js";
import { count } from "./words.js";

/** More than so many changed keys aren't taken back one by one, nor is what was stored with them. */
export const MOST = 500;

/** Requests at the same time. */
const SIDE_BY_SIDE = 4;

/**
 * What was stored, as `undo` takes it: the versions that the keys have now. Keys that somebody else has changed already are left
 * out. `changed` keys had the version before.
 */
async function stored({ environment, tree, added, changed, user }) {
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
  if (left.length === 0) toast(`${count(back, "key")} in ${spelled(environment)} ${back === 1 ? "is" : "are"} as before.`, { kind: "done" });
  else toast(`${count(back, "key")} in ${spelled(environment)} as before; ${count(left.length, "key")} not: ${spelled(left[0].key)}: ${left[0].why}`, { kind: "failed" });
  return left;
}

/** How a dialog ends that stored keys in one step: what it says in the end, and the way back. */
export class Outcome {
  /** Whether it is being taken back. */
  isBusy = false;
  #keys;
  #back = null;
  #progress = null;
  #trouble = null;

  /** `added` and `changed` are the keys. */
  constructor({ added, changed }) {
    this.#keys = { added, changed };
  }

  get added() {
    return this.#keys.added.length;
  }

  get changed() {
    return this.#keys.changed.length;
  }

  /** Looks up what can be taken back. */
  async look(place) {
    if (this.changed > MOST) return;
    try {
      this.#back = await stored({ ...place, ...this.#keys });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  async #undo(dialog, verb) {
    this.isBusy = true;
    dialog.update();
    const left = await undo(this.#back, (done, all) => {
      this.#progress = { done, all };
      dialog.update();
    });
    this.isBusy = false;
    if (left.length === 0) return dialog.close();
    this.#back = null;
    this.#trouble = `These stayed as they were ${verb}: ${some(left.map(({ key, why }) => `${spelled(key)} (${why})`))}.`;
    dialog.update();
  }

  /** What the dialog shows; `left` is what it says of keys that weren't stored, `many` and `unknown` why there is no way back. */
  body(dialog, { name, told, left, many, unknown, verb }) {
    const back = this.#back;
    const known = back ? back.added.length + back.changed.length : 0;
    const lost = this.added + this.changed - known;
    return html`
      <div class=${name}>
        <p class="done" role="status">${told}</p>
        ${left ? html`<p class="hint">${left}</p>` : nothing}
        ${back === null && !this.#trouble ? html`<p class="hint">${this.changed > MOST ? many : unknown}</p>` : nothing}
        ${back && lost > 0 ? html`<p class="hint">${count(lost, "key")} can't be taken back: somebody else has changed ${lost === 1 ? "it" : "them"} since.</p>` : nothing}
        ${back && this.changed > 0 && !this.isBusy ? html`<p class="hint">Undo removes what was added, in one step, and then gives each changed key its value before, one after another: what somebody else changes meanwhile stays, and is named. Owners, permissions and expiry were not changed.</p>` : nothing}
        ${this.isBusy ? html`<label class="storing">Taking back… <progress max=${this.#progress?.all ?? 1} .value=${this.#progress?.done ?? 0}></progress></label>` : nothing}
        ${this.#trouble ? html`<p class="error" role="alert">${this.#trouble}</p>` : nothing}
        <div class="dialog-actions">
          ${known > 0 ? html`
            <button type="button" class="button" ?disabled=${this.isBusy} @click=${() => this.#undo(dialog, verb)}>Undo</button>` : nothing}
          <button type="button" class="button primary" ?disabled=${this.isBusy} @click=${() => dialog.close()}>Close</button>
        </div>
      </div>`;
  }
}
