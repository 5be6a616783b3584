// The view of removed keys of an environment, and their way back: one, or several in one step.
//
// Invariants:
// - A key comes back with the value that it had last, and as the user's own: nobody gains a right by it.
// - Only the rows that are seen are in the page, however many there are; the one that is looked at stays where it is while others
//   come and go, and the focus stays with its key.

import { ApiError, get } from "./api.js";
import { openHistory } from "./history.js";
import { onChange, onConnection, onLost } from "./live.js";
import { named } from "./names.js";
import { restore } from "./remove.js";
import { spelled } from "./spelling.js";
import { html, nothing, render } from "./vendor/lit-html.js";
import { repeat } from "./vendor/directives/repeat.js";
import { Still, slice } from "./virtual.js";
import { ago, count, exact } from "./words.js";

/** Heights of a row in pixels, wide and narrow: those of forms.css. */
const WIDE_ROW = 44, NARROW_ROW = 76;

/** Milliseconds in which changes are gathered before the list is asked for again. */
const PAUSE = 300;

const narrow = matchMedia("(max-width: 45rem)");

/** The view, for the environment and the tree that are looked at. */
export function renderRemoved({ environment, tree }) {
  return html`<keyfs-removed .place=${`${environment}/${tree}`}></keyfs-removed>`;
}

class Removed extends HTMLElement {
  #place = "";
  #items = null;
  #problem = "";
  #filter = "";
  #chosen = new Set();
  #busy = false;
  #scroll = { top: 0, height: 600 };
  #still = new Still();
  #ends = [];
  #timer = null;
  #redraw = () => this.#draw();

  set place(where) {
    if (where === this.#place) return;
    this.#place = where;
    this.#items = null;
    this.#filter = "";
    this.#chosen.clear();
    if (this.isConnected) this.#load();
  }

  get #where() {
    const [environment, tree] = this.#place.split("/");
    return { environment, tree };
  }

  connectedCallback() {
    // However many come, it isn't put off any further.
    const later = () => {
      this.#timer ??= setTimeout(() => {
        this.#timer = null;
        this.#load();
      }, PAUSE);
    };
    const heard = ({ environment, tree }) => {
      if (environment === this.#where.environment && tree === this.#where.tree) later();
    };
    this.#ends.push(
      onChange(heard),
      onLost(later),
      onConnection(({ state: now }) => { if (now === "live" && this.#problem !== "") this.#load(); }),
    );
    narrow.addEventListener("change", this.#redraw);
    this.#load();
  }

  disconnectedCallback() {
    for (const end of this.#ends.splice(0)) end();
    clearTimeout(this.#timer);
    this.#timer = null;
    narrow.removeEventListener("change", this.#redraw);
  }

  async #load() {
    const asked = this.#place;
    this.#draw();
    try {
      const { items } = await get("/api/removed", this.#where);
      if (asked !== this.#place) return;
      this.#hold(items);
      this.#items = items;
      this.#problem = "";
      for (const key of this.#chosen) if (!items.some((item) => item.key === key)) this.#chosen.delete(key);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#problem = error.message;
    }
    if (this.isConnected) this.#draw();
  }

  /** Before other keys are shown: the row that is looked at stays where it is. */
  #hold(items) {
    const scroll = this.querySelector(".removed-scroll");
    if (!scroll) return;
    const shown = this.#shownOf(items);
    const places = new Map(shown.map(({ key }, at) => [key, at]));
    this.#still.hold(scroll, scroll.firstElementChild, { rowHeight: this.#rowHeight, count: shown.length, indexOf: (key) => places.get(key) ?? -1 });
    this.#scroll = this.#still.seen(scroll);
  }

  get #shown() {
    return this.#shownOf(this.#items ?? []);
  }

  #shownOf(items) {
    const wanted = this.#filter.trim().toLowerCase();
    return items.filter(({ key }) => key.toLowerCase().includes(wanted));
  }

  #draw() {
    const { environment, tree } = this.#where;
    const shown = this.#shown;
    const chosen = shown.filter(({ key }) => this.#chosen.has(key));
    const kind = tree === "secrets" ? "secret" : "variable";
    render(html`
      <section class="removed" aria-label="Removed keys" aria-busy=${this.#items === null && this.#problem === ""}>
        <div class="removed-head">
          <h2>Removed ${tree} of ${named(environment)}</h2>
          <p class="form-note">They come back with the value that they had last. What you bring back is yours alone, until you give others permissions.</p>
        </div>
        <div class="removed-bar">
          <input type="search" class="field" aria-label="Filter removed keys" placeholder="Filter" autocomplete="off" spellcheck="false" .value=${this.#filter}
            @input=${(event) => { this.#filter = event.target.value; this.#draw(); }}>
          <span class="removed-count" role="status">${this.#items === null ? "Looking…" : count(shown.length, "removed key")}</span>
          ${shown.length > 0 ? html`<label class="tick"><input type="checkbox" .checked=${chosen.length === shown.length} .indeterminate=${chosen.length > 0 && chosen.length < shown.length}
            @change=${(event) => this.#choose(shown.map(({ key }) => key), event.target.checked)}> All shown</label>` : nothing}
          <button type="button" class="button primary" ?disabled=${chosen.length === 0 || this.#busy} @click=${() => this.#restore(chosen)}>${this.#busy ? "Restoring…" : chosen.length === 0 ? "Restore" : `Restore ${count(chosen.length, "key")}`}</button>
        </div>
        ${this.#problem ? html`<p class="form-problem" role="alert">${this.#problem}</p>` : nothing}
        ${this.#items !== null && shown.length === 0 ? html`<p class="removed-empty">${this.#filter ? html`No removed ${kind} has “${named(this.#filter)}” in its name.` : `No ${kind} was removed here, or none whose versions are still kept.`}</p>` : this.#list(shown)}
      </section>`, this);
    const scroll = this.querySelector(".removed-scroll");
    if (!scroll) return;
    this.#still.put(scroll.firstElementChild, this.#rowHeight, shown.length);
  }

  get #rowHeight() {
    return narrow.matches ? NARROW_ROW : WIDE_ROW;
  }

  #list(shown) {
    const { from, to } = slice(this.#scroll, this.#rowHeight, shown.length);
    const scrolled = (event) => {
      this.#scroll = this.#still.seen(event.target);
      this.#draw();
    };
    const settle = (event) => { if (this.#still.settle(event.target)) this.#draw(); };
    return html`
      <div class="removed-scroll" @scroll=${scrolled} @pointerleave=${settle}>
        <ul class="removed-list" aria-label="Removed keys">${repeat(shown.slice(from, to), ({ key }) => key, (item, at) => this.#row(item, from + at, shown.length))}</ul>
      </div>`;
  }

  #row({ key, version, modified, modified_by: by }, at, all) {
    const { environment, tree } = this.#where;
    return html`
      <li class="removed-row" data-index=${at} data-key=${key} aria-setsize=${all} aria-posinset=${at + 1}>
        <label class="tick removed-key"><input type="checkbox" aria-label="Choose ${spelled(key)}" .checked=${this.#chosen.has(key)} @change=${(event) => this.#choose([key], event.target.checked)}> <code title=${spelled(key)}>${named(key)}</code></label>
        <span class="removed-what">version ${version} · ${named(by)} · <time datetime=${modified} title=${exact(modified)}>${ago(modified)}</time></span>
        <span class="removed-actions">
          <button type="button" class="button small" aria-label="History of ${spelled(key)}" @click=${() => openHistory(key, { environment, tree })}>History</button>
          <button type="button" class="button small" aria-label="Restore ${spelled(key)}" ?disabled=${this.#busy} @click=${() => this.#restore([{ key, version }])}>Restore</button>
        </span>
      </li>`;
  }

  #choose(keys, on) {
    for (const key of keys) if (on) this.#chosen.add(key); else this.#chosen.delete(key);
    this.#draw();
  }

  async #restore(items) {
    this.#busy = true;
    this.#draw();
    const done = await restore({ ...this.#where, keys: items.map(({ key, version }) => ({ key, version })) });
    this.#busy = false;
    if (done) for (const { key } of items) this.#chosen.delete(key);
    await this.#load();
    this.querySelector(".removed-bar input")?.focus();
  }
}

customElements.define("keyfs-removed", Removed);
