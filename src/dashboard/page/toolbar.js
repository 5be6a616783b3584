// What stands above the list: the filter, the shape of the list, and how many keys are shown.
//
// Invariant: the filter's field is made once and never written to, but emptied when the user asks for that.

import { valued } from "./names.js";
import { html, nothing, render } from "./vendor/lit-html.js";

/** Milliseconds after the last letter before the list follows. */
const PAUSE = 90;

const HELP = "Any part of a path, or an expression such as: version > 3 and groups = payments";

export class Toolbar {
  element = document.createElement("div");
  #uses;
  #field;
  #timer = null;
  #drawn = { count: "", isFlat: false, isOrdered: false, news: "" };
  #wrong = null;
  #isBusy = false;

  /** `uses`: `typed(text)`, `flat(is)`, `fold(open)`, `news()`. */
  constructor(uses) {
    this.#uses = uses;
    this.element.className = "keys-bar";
    this.#render();
    this.#field = this.element.querySelector("input[name=filter]");
  }

  draw(drawn) {
    this.#drawn = drawn;
    this.#render();
  }

  /** Marks the filter as wrong, as the server says; null: it isn't. */
  wrong(error) {
    this.#wrong = error;
    this.#render();
  }

  busy(is) {
    this.#isBusy = is;
    this.#render();
  }

  clear() {
    this.#field.value = "";
    this.#field.focus();
    this.#now();
  }

  /** What is typed by now is for a view that is left. */
  end() {
    clearTimeout(this.#timer);
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#now(), PAUSE);
  }

  #now() {
    clearTimeout(this.#timer);
    this.#uses.typed(this.#field.value);
  }

  #keyed(event) {
    if (event.key === "Enter") this.#now();
    else if (event.key === "Escape" && this.#field.value !== "") this.clear();
    else if (event.key === "ArrowDown") this.element.parentElement?.querySelector('.grid .row[tabindex="0"]')?.focus();
    else return;
    event.preventDefault();
  }

  #render() {
    const { count, isFlat, isOrdered, news } = this.#drawn;
    const wrong = this.#wrong;
    render(html`
      <div class="filter">
        <input type="search" class="input mono" name="filter" aria-label="Filter keys" placeholder="Filter: part of a path, or version > 3" title=${HELP} autocomplete="off" autocapitalize="off" spellcheck="false"
          aria-invalid=${wrong ? "true" : nothing} aria-describedby="filter-problem" @input=${() => this.#later()} @keydown=${(event) => this.#keyed(event)}>
        <span class="count" role="status" aria-busy=${this.#isBusy}>${this.#isBusy ? "Looking…" : count}</span>
      </div>
      <fieldset class="shape" title=${isOrdered ? "Under this order there are only paths: sort by key for the tree" : nothing}><legend class="visually-hidden">Shape of the list</legend>
        ${[[false, "Tree"], [true, "Flat"]].map(([flat, label]) => html`<label><input type="radio" name="shape" autocomplete="off" .checked=${isFlat === flat} ?disabled=${isOrdered} @change=${() => this.#uses.flat(flat)}><span>${label}</span></label>`)}
      </fieldset>
      ${isFlat ? nothing : html`<div class="folds"><button type="button" class="button small" @click=${() => this.#uses.fold(true)}>Expand all</button>
        <button type="button" class="button small" @click=${() => this.#uses.fold(false)}>Collapse all</button></div>`}
      ${news === "" ? nothing : html`<button type="button" class="button small news" @click=${() => this.#uses.news()}>${news}</button>`}
      <div class="filter-problem" id="filter-problem" role="alert">${wrong ? this.#problem(wrong) : nothing}</div>`, this.element);
  }

  /** The expression with the place where it is wrong, and why. */
  #problem({ message, column }) {
    const text = this.#field.value.trim();
    const at = Math.max(0, Math.min([...text].length, (column ?? 1) - 1));
    const letters = [...text];
    return html`<code class="wrong-expression">${valued(letters.slice(0, at).join(""), { lines: true })}<mark>${valued(letters.slice(at).join("") || " ", { lines: true })}</mark></code><span class="field-error">${message}</span>`;
  }
}
