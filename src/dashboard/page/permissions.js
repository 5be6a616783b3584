// Who may use a key: the editor of its permissions, and what differs between two.
//
// Invariants:
// - The mount knows read and write, and so does the editor: a preset is a name for the two ticks, and follows them.
// - Of a secret only groups are named, since nobody else's right counts there.
// - The owner is shown and not changed.
//
// It deliberately decides nothing: what the ticks come to is `final.js`, asked of the mount.

import { accounts, exists, loadAccounts, suggest } from "./accounts.js";
import "./combobox.js";
import { named } from "./names.js";
import { spelled } from "./spelling.js";
import { html, nothing, render } from "./vendor/lit-html.js";
import { rights as spoken } from "./words.js";

/** What the presets stand for. Read and write together are what the mount lets change permissions and remove. */
export const PRESETS = [
  { rights: "rw", name: "Full access", means: "reads the value, replaces it, changes these permissions, and removes the key" },
  { rights: "w", name: "Editor", means: "replaces the value, and neither reads it back nor changes anything else" },
  { rights: "r", name: "Viewer", means: "reads the value" },
];

/**
 * The editor. `model` is `{owner?, users, groups, others}`; `onChange` gets the next one. `typed` is whom one is about to add:
 * `onType` gets what it is next, `onLeave` is called when its field is left. `locked` says why nothing can be changed, where that
 * is so.
 */
export function permissionsEditor(model, { tree, onChange, typed, onType, onLeave, error = "", locked = "", owner = model.owner }) {
  return html`<keyfs-permissions .settings=${{ model, tree, onChange, typed, onType, onLeave, error, locked, owner }}></keyfs-permissions>`;
}

/** What differs between two, each as a sentence's part: `analysts: read → read and write`. */
export function permissionChanges(before, after) {
  const flat = ({ users, groups, others }) => new Map([
    ...groups.map(({ name, rights }) => [`group ${name}`, rights]),
    ...users.map(({ name, rights }) => [`user ${name}`, rights]),
    ["everybody else", others],
  ]);
  const old = flat(before), now = flat(after);
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((who) => (old.get(who) ?? "") !== (now.get(who) ?? ""))
    .map((who) => ({ who, before: spoken(old.get(who) ?? ""), after: spoken(now.get(who) ?? "") }));
}

class Permissions extends HTMLElement {
  #settings = null;
  #kind = "group";
  #wrong = "";

  set settings(settings) {
    this.#settings = settings;
    if (this.isConnected) this.#draw();
  }

  connectedCallback() {
    if (accounts() === null) loadAccounts().then(() => this.isConnected && this.#draw(), () => {});
    this.#draw();
  }

  #draw() {
    const { model, tree, error, locked, owner } = this.#settings;
    const variables = tree === "variables";
    const wrong = this.#wrong || error;
    render(html`
      <fieldset class="form-group" aria-describedby="permissions-help${wrong ? " permissions-error" : ""}">
        <legend>${variables ? "Permissions" : "Group permissions"}</legend>
        ${owner ? html`<p class="form-note">${named(owner.name)} owns it: ${owner.rights === "" ? "no right of its own" : spoken(owner.rights)}.</p>` : nothing}
        ${model.groups.length + model.users.length > 0 || variables ? this.#table(variables, error !== "" && this.#wrong === "") : nothing}
        ${locked ? html`<p class="form-note">${locked}</p>` : this.#adder(variables, wrong)}
        <p class="field-error" id="permissions-error" ?hidden=${!wrong}>${wrong}</p>
        <details class="form-help" id="permissions-help"><summary>What the rights mean</summary>
          <dl>${PRESETS.map(({ name, rights, means }) => html`<div><dt>${name} (${spoken(rights)})</dt><dd>${means}</dd></div>`)}</dl>
        </details>
      </fieldset>`, this);
  }

  #table(variables, wrong) {
    const { model } = this.#settings;
    return html`
      <table class="rights-table">
        <thead><tr><th scope="col">${variables ? "Who" : "Group"}</th><th scope="col">Preset</th><th scope="col">Read</th><th scope="col">Write</th><td></td></tr></thead>
        <tbody>
          ${model.groups.map((one, at) => this.#row("groups", at, one, wrong))}
          ${model.users.map((one, at) => this.#row("users", at, one, wrong))}
          ${variables ? this.#row("others", 0, { name: "Everybody else", rights: model.others }, false) : nothing}
        </tbody>
      </table>`;
  }

  #row(list, at, { name, rights }, wrong) {
    const { locked } = this.#settings;
    const set = (next) => this.#set(list, at, next);
    const tick = (letter, on) => set(["r", "w"].filter((one) => (one === letter ? on : rights.includes(one))).join(""));
    const who = `${{ groups: "group ", users: "user ", others: "" }[list]}${spelled(name)}`;
    const box = (letter, word) => html`
      <td><label class="rights-tick"><input type="checkbox" aria-label="${who}: ${word}" .checked=${rights.includes(letter)}
        aria-invalid=${wrong && rights === "" ? "true" : nothing} ?disabled=${locked !== ""} @change=${(event) => tick(letter, event.target.checked)}></label></td>`;
    return html`
      <tr>
        <th scope="row"><span class="rights-name">${named(name)}</span>${list === "users" ? html` <span class="rights-kind">user</span>` : nothing}</th>
        <td><select class="field rights-preset" aria-label="${who}: preset" ?disabled=${locked !== ""} @change=${(event) => set(event.target.value)}>
          ${rights === "" ? html`<option value="" selected>${list === "others" ? "None" : "Choose"}</option>` : list === "others" ? html`<option value="">None</option>` : nothing}
          ${PRESETS.map((preset) => html`<option value=${preset.rights} .selected=${preset.rights === rights}>${preset.name}</option>`)}
        </select></td>
        ${box("r", "read")}${box("w", "write")}
        <td>${list === "others" || locked ? nothing : html`<button type="button" class="icon-button" aria-label="Take out ${who}" title="Take out ${spelled(name)}" @click=${() => this.#remove(list, at)}>×</button>`}</td>
      </tr>`;
  }

  #adder(variables, wrong) {
    const { model, typed, error } = this.#settings;
    const kind = variables ? this.#kind : "group";
    const taken = model[`${kind}s`].map(({ name }) => name);
    return html`
      <div class="rights-add">
        ${variables ? html`<select class="field" aria-label="Kind of account" @change=${(event) => { this.#kind = event.target.value; this.#draw(); }}>
          <option value="group">Group</option><option value="user">User</option></select>` : nothing}
        <keyfs-combobox .model=${{
          id: "permissions-add", label: `Add a ${kind}`, placeholder: `Add a ${kind}`, value: typed,
          invalid: this.#wrong !== "" || (error !== "" && (typed.trim() !== "" || model.groups.length === 0)), describedby: wrong ? "permissions-error" : "",
          suggest: (typed) => suggest(kind, typed, taken), listLabel: variables && kind === "user" ? "Users" : "Groups",
          onType: (next) => this.#type(next),
          onChoose: (name) => this.#add(kind, name), onEnter: () => this.#add(kind, this.#settings.typed), onLeave: () => this.#left(kind),
        }}></keyfs-combobox>
      </div>`;
  }

  #type(typed) {
    this.#wrong = "";
    this.#settings = { ...this.#settings, typed };
    this.#draw();
    this.#settings.onType(typed);
  }

  #left(kind) {
    const name = this.#settings.typed.trim();
    if (name !== "" && !exists(kind, name)) this.#wrong = none(kind, name);
    this.#draw();
    this.#settings.onLeave?.();
  }

  #add(kind, typed) {
    const name = typed.trim();
    const { model } = this.#settings;
    const list = `${kind}s`;
    if (name === "") return;
    if (!exists(kind, name)) this.#wrong = none(kind, name);
    else {
      this.#type("");
      if (!model[list].some((one) => one.name === name)) this.#change({ [list]: [...model[list], { name, rights: "r" }] });
    }
    this.#draw();
  }

  #set(list, at, rights) {
    const { model } = this.#settings;
    this.#change(list === "others" ? { others: rights } : { [list]: model[list].map((one, index) => (index === at ? { ...one, rights } : one)) });
  }

  #remove(list, at) {
    this.#change({ [list]: this.#settings.model[list].filter((_, index) => index !== at) });
    this.querySelector("#permissions-add").focus();
  }

  #change(part) {
    const { model, onChange } = this.#settings;
    const next = { ...model, ...part };
    this.#settings = { ...this.#settings, model: next };
    this.#draw();
    onChange(next);
  }
}

const none = (kind, name) => `There is no ${kind} “${spelled(name)}” on this system.`;

customElements.define("keyfs-permissions", Permissions);
