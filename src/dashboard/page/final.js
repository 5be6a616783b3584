// "Final permissions for…": what a user or a group would be able to do, by the permissions as the form has them, and by which rule.
//
// Invariants:
// - The answer is the mount's own (`/api/why`), directories above the key included; nothing is worked out here.
// - An answer that another question has overtaken is never shown.

import { post } from "./api.js";
import { exists, suggest } from "./accounts.js";
import "./combobox.js";
import { named } from "./names.js";
import { spelled } from "./spelling.js";
import { html, nothing, render } from "./vendor/lit-html.js";

/** Milliseconds without a change, after which the mount is asked. */
const PAUSE = 200;

/** The question's form and its answer. `question` is `{environment, tree, key, permissions}`; a key of "" is none yet. */
export function finalPermissions(question) {
  return html`<keyfs-final .question=${question}></keyfs-final>`;
}

class Final extends HTMLElement {
  #question = null;
  #kind = "user";
  #name = "";
  #answer = null;
  #message = "";
  #asked = "";
  #timer = null;
  #open = false;

  set question(question) {
    this.#question = question;
    if (!this.isConnected) return;
    this.#draw();
    this.#later();
  }

  connectedCallback() {
    this.#draw();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    this.#asked = "";
  }

  #draw() {
    const { environment } = this.#question;
    render(html`
      <details class="final" ?open=${this.#open} @toggle=${(event) => { this.#open = event.target.open; this.#later(); }}>
        <summary>Final permissions for…</summary>
        <p class="form-note">Choose somebody to see what they could do in ${environment ? named(environment) : "the environment"} with the permissions above.</p>
        <div class="rights-add">
          <select class="field" aria-label="User or group" @change=${(event) => this.#choose(event.target.value, "")}>
            <option value="user">User</option><option value="group">Group</option></select>
          <keyfs-combobox .model=${{
            id: "final-name", label: this.#kind === "user" ? "User" : "Group", placeholder: `Name of a ${this.#kind}`, value: this.#name,
            suggest: (typed) => suggest(this.#kind, typed), listLabel: this.#kind === "user" ? "Users" : "Groups",
            onType: (name) => this.#choose(this.#kind, name), onEnter: () => this.#later(),
          }}></keyfs-combobox>
        </div>
        <div class="final-answer" role="status">${this.#message ? html`<p class="form-note">${this.#message}</p>` : this.#answer ? answerView(this.#answer) : nothing}</div>
      </details>`, this);
  }

  #choose(kind, name) {
    this.#kind = kind;
    this.#name = name;
    this.#draw();
    this.#later();
  }

  #later() {
    clearTimeout(this.#timer);
    if (this.#open) this.#timer = setTimeout(() => this.#ask(), PAUSE);
  }

  async #ask() {
    const name = this.#name.trim();
    const body = { ...this.#question, subject: { [this.#kind]: name } };
    const text = JSON.stringify(body);
    if (text === this.#asked) return;
    this.#asked = text;
    if (name === "" || !exists(this.#kind, name)) return this.#show(null, name === "" ? "" : `There is no ${this.#kind} “${spelled(name)}” on this system.`);
    if (!body.key || !body.environment) return this.#show(null, body.key ? "Choose an environment first." : "Give the key a name first: the directories above it count too.");
    try {
      const answer = await post("/api/why", body);
      if (this.#asked === text) this.#show(answer, "");
    } catch (error) {
      if (this.#asked === text) this.#show(null, error.message);
      this.#asked = "";
    }
  }

  #show(answer, message) {
    this.#answer = answer;
    this.#message = message;
    this.#draw();
  }
}

function answerView({ read, write, above }) {
  const line = (word, { allowed, rule }) => html`
    <div class="final-line" data-allowed=${allowed}><dt>${word}</dt><dd><strong>${allowed ? "✓ yes" : "✗ no"}</strong> <span>${spelled(rule)}</span></dd></div>`;
  return html`
    <dl class="final-lines">${line("Read", read)}${line("Write", write)}</dl>
    ${above.length > 0 ? html`<p class="form-note">Kept out by what stands above:</p>
      <ul class="final-above">${above.map(({ path, why }) => html`<li><code>${named(path)}</code> ${spelled(why)}</li>`)}</ul>` : nothing}`;
}

customElements.define("keyfs-final", Final);
