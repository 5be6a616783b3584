// What a copy or an import would do, key by key: a list of which only what is seen is in the document.
//
// Invariant: every key of the plan can be looked at; nothing is cut from the list.

import { named, valued } from "./names.js";
import { spelled } from "./spelling.js";
import { html, nothing, render } from "./vendor/lit-html.js";
import { place, slice } from "./virtual.js";
import { number } from "./words.js";

/** The parts of a plan, in the order in which they are to be looked at. */
const PARTS = [
  { name: "invalid", sign: "✕", label: "invalid", wrong: true },
  { name: "refused", sign: "✕", label: "refused", wrong: true },
  { name: "changed", sign: "≠", label: "changed" },
  { name: "added", sign: "+", label: "added" },
  { name: "kept", sign: "∥", label: "kept" },
  { name: "same", sign: "=", label: "the same" },
];

const narrow = matchMedia("(max-width: 45rem)");

export class PlanList {
  /** Where it is drawn; to be put into a template. */
  element = document.createElement("div");
  #entries = [];
  #shown = [];
  #part = null;
  #plan = {};
  #secret = false;
  #label = "";
  #scroll = { top: 0, height: 320 };

  constructor() {
    this.element.className = "plan";
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  /** Shows another plan; null shows none. */
  show(plan, { tree, label }) {
    this.#plan = plan ?? {};
    this.#secret = tree === "secrets";
    this.#label = label;
    this.#entries = PARTS.flatMap((part) => (this.#plan[part.name] ?? []).map((entry) => ({ part, ...(typeof entry === "string" ? { key: entry } : entry) })));
    if (this.#part && !this.#plan[this.#part]?.length) this.#part = null;
    this.#choose(this.#part);
  }

  #choose(part) {
    this.#part = part;
    this.#shown = part ? this.#entries.filter((entry) => entry.part.name === part) : this.#entries;
    const box = this.element.querySelector(".plan-scroll");
    if (box) box.scrollTop = 0;
    this.#draw();
  }

  get #rowHeight() {
    return narrow.matches ? 56 : 34;
  }

  #draw() {
    const box = this.element.querySelector(".plan-scroll");
    if (box) this.#scroll = { top: box.scrollTop, height: box.clientHeight };
    render(this.#entries.length === 0 ? nothing : this.#template(), this.element);
    const body = this.element.querySelector(".plan-rows");
    if (!body) return;
    body.style.setProperty("height", `${this.#shown.length * this.#rowHeight}px`);
    place(body.children, this.#rowHeight);
  }

  #template() {
    const { from, to } = slice(this.#scroll, this.#rowHeight, this.#shown.length);
    const parts = PARTS.filter((part) => this.#plan[part.name]?.length);
    return html`
      <div class="segments" role="group" aria-label="Show of the preview">
        ${parts.length > 1 ? this.#button(null, "All", this.#entries.length) : nothing}
        ${parts.map((part) => this.#button(part.name, `${part.sign} ${part.label}`, this.#plan[part.name].length))}
      </div>
      <div class="plan-scroll" tabindex="0" role="region" aria-label=${this.#label} @scroll=${() => this.#draw()}>
        <ul class="plan-rows">${this.#shown.slice(from, to).map((entry, at) => this.#row(entry, from + at))}</ul>
      </div>`;
  }

  #button(name, label, size) {
    return html`<button type="button" class="segment" aria-pressed=${String(this.#part === name)}
      @click=${() => this.#choose(name)}>${label} <span class="segment-count">${number(size)}</span></button>`;
  }

  #row(entry, index) {
    const { part } = entry;
    return html`
      <li class="plan-row ${part.name}" data-index=${index} aria-setsize=${this.#shown.length} aria-posinset=${index + 1}>
        <span class="plan-sign ${part.wrong ? "wrong" : ""}"><span aria-hidden="true">${part.sign}</span><span class="visually-hidden">${part.label}:</span></span>
        <code class="plan-key" title=${spelled(entry.key)}>${entry.key === "" ? "(no key)" : named(entry.key)}</code>
        <span class="plan-what">${this.#what(entry)}</span>
      </li>`;
  }

  #what({ part, line, why, value, before, after }) {
    if (part.wrong) return html`<span class="wrong" title=${spelled(why)}>${line ? `line ${line}: ` : ""}${spelled(why)}</span>`;
    if (part.name === "same") return html`<span class="quiet">the same already</span>`;
    if (part.name === "kept") return html`<span class="quiet">is there, stays as it is</span>`;
    if (part.name === "added") return this.#secret || value === undefined || value === null ? html`<span class="quiet">new</span>` : shown(value);
    if (this.#secret) return html`<span class="quiet">will be replaced</span>`;
    return html`<del>${shown(before)}</del> <span aria-hidden="true">→</span><span class="visually-hidden">becomes</span> <ins>${shown(after)}</ins>`;
  }
}

/** A value on one line, as far as it was told. */
function shown(value) {
  if (value === undefined || value === null) return html`<span class="quiet">not shown</span>`;
  if (value === "") return html`<span class="quiet">empty</span>`;
  return html`<code title=${spelled(value)}>${valued(value)}</code>`;
}

/** What a plan comes to, in words: "10 added, 2 changed". */
export function inWords(plan) {
  const parts = PARTS.filter((part) => plan[part.name]?.length);
  return parts.length === 0 ? "nothing" : parts.map((part) => `${number(plan[part.name].length)} ${part.label}`).join(", ");
}

/** "A, B and 3 more". */
export function some(names, most = 3) {
  const rest = names.length - most;
  if (rest <= 0) return names.join(", ");
  return `${names.slice(0, most).join(", ")} and ${number(rest)} more`;
}
