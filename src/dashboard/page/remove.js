// Delete: what goes is named and counted before it goes, and can be brought back.
//
// Invariants:
// - What is removed are the versions that were shown, in one transaction: what somebody else changed meanwhile stops all of it.
// - A prefix is bounded by `/`: `db/` takes what stands in the directory `db`, never `db-old`.
// - In a protected environment the name is typed; nothing there goes by a click alone.

import { ApiError, get, post } from "./api.js";
import { openDialog } from "./dialog.js";
import { isProtected } from "./form-model.js";
import { named } from "./names.js";
import { spelled, typable } from "./spelling.js";
import { state } from "./state.js";
import { toast } from "./toast.js";
import { html, nothing } from "./vendor/lit-html.js";
import { count, list } from "./words.js";

/** Keys that one request asks about. */
const AT_ONCE = 500;

/** What one transaction of the mount takes. */
const MOST = 16_000;

/** The dialog. `keys` are removed, or all keys below the directory `prefix`. */
export function openRemove({ keys, prefix, environment = state.environment, tree = state.tree } = {}) {
  const removal = new Removal({ keys, prefix: prefix === undefined ? undefined : `${prefix.replace(/\/+$/, "")}/`, environment, tree });
  removal.open();
  return removal;
}

class Removal {
  #what;
  #dialog = null;
  #found = null;
  #closed = [];
  #gone = [];
  #typed = "";
  #wrong = "";
  #problem = "";
  #busy = false;

  constructor(what) {
    this.#what = what;
  }

  open() {
    this.#dialog = openDialog({ title: this.#title, body: () => this.#body(), leave: () => !this.#busy, size: "medium" });
    this.#look();
  }

  get #title() {
    const { keys, prefix } = this.#what;
    return prefix !== undefined ? html`Delete ${named(prefix)}` : keys.length === 1 ? html`Delete ${named(keys[0])}` : `Delete ${count(keys.length, "key")}`;
  }

  /** What must be typed: the key, the directory, or the environment where several keys go. */
  get #phrase() {
    const { keys, prefix, environment } = this.#what;
    if (!isProtected(state.about, environment)) return "";
    return prefix ?? (keys.length === 1 ? keys[0] : environment);
  }

  async #look() {
    const { keys, prefix, environment, tree } = this.#what;
    this.#found = null;
    try {
      if (prefix !== undefined) {
        const below = await get("/api/below", { environment, tree, prefix: prefix.slice(0, -1) });
        this.#found = below.keys;
        this.#closed = below.closed;
      } else {
        const items = [];
        for (let at = 0; at < keys.length; at += AT_ONCE) {
          items.push(...(await post("/api/details", { environment, tree, keys: keys.slice(at, at + AT_ONCE) })).items);
        }
        this.#found = items.filter(({ gone }) => !gone).map(({ key, version }) => ({ key, version }));
        this.#gone = items.filter(({ gone }) => gone).map(({ key }) => key);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#found = [];
      this.#problem = error.message;
    }
    this.#dialog.update();
    this.#dialog.element.querySelector("#remove-phrase, [data-cancel]")?.focus();
  }

  #body() {
    const { environment, tree, prefix } = this.#what;
    const found = this.#found;
    const kind = tree === "secrets" ? "secret" : "variable";
    if (found === null) return html`<p class="form-body" role="status">Looking up what would go…</p>`;
    return html`
      <form class="key-form" novalidate autocomplete="off" @submit=${(event) => { event.preventDefault(); this.#remove(); }}>
        <div class="form-body">
          ${found.length === 0 ? html`<p>There is nothing here that could be deleted.</p>` : html`
            <p>${found.length === 1 ? html`This ${kind} goes` : html`These <strong>${count(found.length, kind)}</strong> go`} from <strong class="environment-name">${named(environment)}</strong>${prefix !== undefined ? html`, all that stands in <code>${named(prefix)}</code>` : nothing}:</p>
            <ul class="removal-list" tabindex="0" aria-label="What is deleted">${found.map(({ key, version }) => html`<li><code>${named(key)}</code> <span class="form-optional">version ${version}</span></li>`)}</ul>`}
          ${this.#closed.length > 0 ? html`<p class="form-note">You may not look into ${this.#closed.map(spelled).join(", ")}: what is in there is not counted, and stays.</p>` : nothing}
          ${this.#gone.length > 0 ? html`<p class="form-note">Already gone: ${this.#gone.map(spelled).join(", ")}.</p>` : nothing}
          ${found.length > MOST ? html`<p class="form-problem">One step takes at most ${MOST.toLocaleString("en")} keys: delete the directories in it one by one.</p>` : nothing}
          ${found.length > 0 ? html`<p class="form-note">It is one step: all of it goes, or nothing. Undo brings ${found.length === 1 ? "it" : "them"} back with permissions and expiry, and you as the owner; later “Removed keys” brings back the ${found.length === 1 ? "value" : "values"} alone.</p>` : nothing}
          ${this.#phrase && found.length > 0 ? this.#confirmation() : nothing}
          <p class="form-problem" role="alert" ?hidden=${!this.#problem}>${this.#problem}</p>
        </div>
        <footer class="dialog-actions">
          <button type="button" class="button" data-cancel ?disabled=${this.#busy} @click=${() => this.#dialog.close()}>Cancel</button>
          ${found.length === 0 || found.length > MOST ? nothing : html`<button type="submit" class="button danger" aria-disabled=${this.#busy}>${this.#busy ? "Deleting…" : `Delete ${count(found.length, "key")}`}</button>`}
        </footer>
      </form>`;
  }

  /** What can't be seen is typed as it is spelled there. */
  get #isConfirmed() {
    return this.#typed === this.#phrase || this.#typed === typable(this.#phrase);
  }

  #confirmation() {
    return html`
      <div class="form-group">
        <label class="form-label" for="remove-phrase">Type <code>${named(this.#phrase)}</code> to confirm</label>
        <input type="text" class="field" id="remove-phrase" autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck="false" .value=${this.#typed}
          aria-invalid=${this.#wrong ? "true" : nothing} aria-describedby=${this.#wrong ? "remove-error" : nothing}
          @input=${(event) => { this.#typed = event.target.value; this.#wrong = ""; this.#dialog.update(); }}>
        <p class="field-error" id="remove-error" ?hidden=${!this.#wrong}>${this.#wrong}</p>
      </div>`;
  }

  async #remove() {
    if (this.#busy || this.#found.length === 0) return;
    this.#problem = "";
    if (this.#phrase && !this.#isConfirmed) {
      this.#wrong = `Type ${spelled(this.#phrase)}, exactly as it stands there.`;
      this.#dialog.update();
      this.#dialog.element.querySelector("#remove-phrase").focus();
      return;
    }
    const { environment, tree } = this.#what;
    this.#busy = true;
    this.#dialog.update();
    try {
      const { removed } = await post("/api/remove", { environment, tree, keys: this.#found });
      this.#busy = false;
      this.#dialog.close();
      offerUndo({ environment, tree, removed });
    } catch (error) {
      this.#busy = false;
      if (!(error instanceof ApiError)) throw error;
      await this.#look();
      this.#problem = error.code === "conflict" || error.code === "missing" ? `${error.message} Nothing was deleted. The list shows what is there now.` : error.message;
      this.#dialog.update();
    }
  }
}

/** Says what went, and offers to bring it back. */
function offerUndo({ environment, tree, removed }) {
  const what = removed.length === 1 ? spelled(removed[0].key) : count(removed.length, "key");
  toast(`Deleted ${what} from ${spelled(environment)}. “Removed keys” brings ${removed.length === 1 ? "it" : "them"} back later.`, {
    kind: "done",
    action: { label: "Undo", run: () => restore({ environment, tree, keys: removed }) },
  });
}

/** What is not as it was: whoever brings a key back owns it. */
function ownership(keys) {
  const before = [...new Set(keys.map(({ permissions }) => permissions?.owner.name).filter((name) => name !== undefined && name !== state.about.user.name))];
  return before.length === 0 ? "" : ` You own ${keys.length === 1 ? "it" : "what was another's"} now, not ${list(before.map(spelled))}.`;
}

/** Brings removed keys back, with their permissions where `keys` has them; whether that was done. */
export async function restore({ environment, tree, keys }) {
  try {
    const { restored } = await post("/api/restore", { environment, tree, keys: keys.map(({ key, version, permissions, expires }) => ({
      key, version, expires, ...(permissions ? { permissions: { users: permissions.users, groups: permissions.groups, others: permissions.others } } : {}),
    })) });
    toast(`Brought back ${keys.length === 1 ? spelled(keys[0].key) : count(restored, "key")} in ${spelled(environment)}.${ownership(keys)}`, { kind: "done" });
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message, { kind: "failed" });
    return false;
  }
}
