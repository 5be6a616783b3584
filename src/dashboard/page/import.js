// Importing a file or a text of keys: what it would change, then all of it in one step.
//
// Invariants:
// - What is stored is what the preview showed; where somebody has changed something since, there is a new preview and the user
//   decides anew.
// - Nothing is left out in silence: what can't be stored keeps the rest from being stored, until a deliberate tick.
// - The text is in memory alone, and is let go of when the dialog closes. A secret's text is masked where it is shown.

import { ApiError, post } from "./api.js";
import { choose } from "./choose.js";
import { isOnTop, openDialog } from "./dialog.js";
import { guard } from "./drafts.js";
import { text as textOf } from "./drop.js";
import { notAdded } from "./form-model.js";
import { named } from "./names.js";
import { permissionsEditor } from "./permissions.js";
import { PlanList, inWords, some } from "./plan.js";
import { spelled } from "./spelling.js";
import { environment, state } from "./state.js";
import { announce } from "./toast.js";
import { MOST, Outcome } from "./undo.js";
import { html, nothing } from "./vendor/lit-html.js";
import { count, list, number } from "./words.js";

/** More text than this isn't shown, and is looked at only when asked: the field would be slow. */
const SHOWN = 256 * 1024;

let open = null;

/** Whether the dialog is open, and not just busy with what it has. */
export const takesText = () => open !== null && open.takesText;

/** Opens the dialog, with a text where there is one already. */
export function openImport({ text, name } = {}) {
  if (open) open.takeInstead(text, name);
  else new Import().open(text, name);
}

class Import {
  #dialog;
  #list = new PlanList();
  #text = "";
  #name = null;
  #format = null;
  #tree = state.tree;
  #environment = state.environment;
  #directory = "";
  #doubled = false;
  #case = "kept";
  #permissions = { users: [], groups: [], others: "" };
  /** Who is about to be added to them. */
  #pending = "";
  #seen = false;
  #plan = null;
  #digest = null;
  #guessed = null;
  #sure = false;
  #without = false;
  /** What is going on: "reading", "asking", "storing", "undoing", or null. */
  #busy = null;
  #trouble = null;
  #field = null;
  #line = null;
  /** The lines that the user had left out. */
  #gone = [];
  #notice = null;
  #done = null;
  #left = 0;
  #question = 0;
  #timer = null;
  #unguard = guard(() => this.#unsaved);

  get takesText() {
    return isOnTop(this.#dialog) && this.#busy !== "storing" && !this.#done?.isBusy;
  }

  /** Whether there is text that no file has: it would be gone. */
  get #isPasted() {
    return !this.#done && !this.#name && this.#text.trim() !== "";
  }

  get #unsaved() {
    const { users, groups } = this.#permissions;
    return this.#isPasted || !this.#done && (users.length + groups.length > 0 || this.#pending.trim() !== "");
  }

  open(text, name) {
    open = this;
    this.#dialog = openDialog({
      title: "Import keys",
      body: () => this.#body(),
      leave: () => this.#mayLeave(),
      size: "large",
    });
    this.#dialog.element.addEventListener("close", () => this.#forget());
    if (text !== undefined) this.take(text, name);
    else this.#dialog.update();
  }

  /** Takes another text in the place of the one that there is, which is asked for where it would be gone. */
  async takeInstead(text, name) {
    if (this.#isPasted && this.#text !== text && !(await this.#mayGo("Replace the text?", "Replace"))) return;
    this.take(text, name);
  }

  /** Takes another text. */
  take(text, name) {
    this.#text = text ?? "";
    this.#name = name ?? null;
    this.#done = null;
    this.#gone = [];
    const ending = /\.(json|ya?ml)$|(?:^|\.)env(?:\.[\w-]+)?$/i.exec(this.#name ?? "");
    this.#format = !ending ? null : !ending[1] ? "dotenv" : ending[1].toLowerCase() === "json" ? "json" : "yaml";
    this.#ask(0);
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#unguard();
    this.#question++;
    this.#text = "";
    this.#plan = null;
    this.#list.show(null, { tree: this.#tree, label: "" });
    if (open === this) open = null;
  }

  /** A file can be dropped once more; what was pasted, or typed, is asked for. */
  async #mayLeave() {
    if (this.#busy === "storing" || this.#done?.isBusy) return false;
    if (!this.#unsaved) return true;
    return this.#isPasted ? this.#mayGo("Discard the text?", "Discard") : this.#mayGo("Discard the permissions?", "Discard", "Whom you named");
  }

  async #mayGo(title, label, what = "What you pasted") {
    return (await choose({
      title,
      body: () => html`<p>${what} isn't imported yet.</p>`,
      choices: [{ label, value: true, kind: "danger" }],
      cancel: "Keep it",
    })) === true;
  }

  async #cancel() {
    if (await this.#mayLeave()) this.#dialog.close();
  }

  // --- The preview ---

  /** Asks what would happen, once nothing was changed for a moment. */
  #ask(after = 300) {
    clearTimeout(this.#timer);
    this.#question++;
    this.#trouble = this.#field = this.#line = null;
    this.#sure = this.#without = false;
    this.#plan = this.#digest = null;
    if (this.#text.trim() === "") {
      this.#busy = null;
      this.#show(null);
      return;
    }
    this.#busy = "asking";
    this.#dialog.update();
    this.#timer = setTimeout(() => this.#preview(), after);
  }

  async #preview() {
    const question = ++this.#question;
    try {
      const { format, plan, digest } = await post("/api/import", { ...this.#asked(), preview: true });
      if (question !== this.#question) return;
      this.#guessed = format;
      this.#digest = digest;
      this.#show(plan);
      announce(`Preview: ${inWords(plan)}`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (question !== this.#question) return;
      this.#failed(error);
      this.#show(null);
    }
    this.#busy = null;
    this.#dialog.update();
  }

  #asked() {
    const asked = {
      environment: this.#environment, tree: this.#tree, format: this.#format, text: this.#text,
      directory: this.#directory.trim().replace(/^\/+|\/+$/g, ""), double_underscore: this.#doubled, case: this.#case,
    };
    const { users, groups, others } = this.#permissions;
    if (users.length > 0 || groups.length > 0 || others !== "") asked.permissions = this.#permissions;
    if (this.#without) asked.leave_out_invalid = true;
    return asked;
  }

  #failed(error) {
    this.#trouble = error.message;
    this.#field = error.field;
    this.#line = error.field === "text" ? (error.current?.line ?? null) : null;
  }

  /** Takes a line out of the text that can't be read; the others keep their numbers. */
  #leaveOut(line) {
    const lines = this.#text.split("\n");
    lines[line - 1] = "";
    this.#gone.push(line);
    this.#text = lines.join("\n");
    this.#ask(0);
  }

  /** Shows where the text can't be read. */
  #goTo(line) {
    const field = this.#dialog.element.querySelector(".import-text");
    const from = this.#text.split("\n").slice(0, line - 1).reduce((at, text) => at + text.length + 1, 0);
    const to = this.#text.indexOf("\n", from);
    field.focus();
    field.setSelectionRange(from, to < 0 ? this.#text.length : to);
  }

  #show(plan) {
    this.#plan = plan;
    this.#list.show(plan, { tree: this.#tree, label: `What would be imported into ${spelled(this.#environment)}` });
    this.#dialog.update();
  }

  get #number() {
    return this.#plan ? this.#plan.added.length + this.#plan.changed.length : 0;
  }

  get #protected() {
    return environment(this.#environment).protected;
  }

  #lacks() {
    if (this.#text.trim() === "") return "Choose a file, or paste a text first.";
    if (!this.#plan || this.#busy) return this.#trouble ?? "The preview isn't there yet.";
    if (this.#plan.invalid.length > 0 && !this.#without) return "Something can't be imported: mend the text, or tick that it is to be left out.";
    if (this.#number === 0) return "There is nothing to import: all of it is there already.";
    if (notAdded(this.#pending)) return notAdded(this.#pending);
    if (this.#protected && !this.#sure) return `Tick that ${spelled(this.#environment)} is to be changed.`;
    return null;
  }

  async #store() {
    const lacks = this.#lacks();
    if (lacks) {
      this.#trouble = lacks;
      this.#dialog.update();
      return;
    }
    const plan = this.#plan;
    this.#busy = "storing";
    this.#trouble = this.#field = this.#notice = null;
    this.#dialog.update();
    try {
      await post("/api/import", { ...this.#asked(), format: this.#guessed, preview: false, digest: this.#digest });
      await this.#finish(plan);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "conflict" && error.current?.plan) this.#changedMeanwhile(plan, error);
      else this.#failed(error);
    }
    this.#busy = null;
    this.#dialog.update();
  }

  /** Somebody else was quicker: what is different now, and the new preview. */
  #changedMeanwhile(before, { message, current }) {
    const part = (plan) => new Map(["added", "changed", "same"].flatMap((name) => plan[name].map((entry) => [entry.key ?? entry, name])));
    const [old, now] = [part(before), part(current.plan)];
    const moved = [...now].filter(([key, name]) => old.get(key) !== name).map(([key]) => key);
    const keys = moved.length > 0 ? `${some(moved.map(spelled))} ${moved.length === 1 ? "is" : "are"} not as before.` : "A value was changed.";
    this.#notice = `${message} Nothing was imported. ${keys} This is what would happen now.`;
    this.#digest = current.digest;
    this.#sure = this.#without = false;
    this.#show(current.plan);
    announce(this.#notice);
  }

  async #finish(plan) {
    const [added, changed] = [plan.added.map(({ key }) => key), plan.changed.map(({ key }) => key)];
    this.#left = plan.invalid.length;
    this.#done = new Outcome({ added, changed });
    this.#text = "";
    announce(this.#told());
    await this.#done.look({ environment: this.#environment, tree: this.#tree, user: state.about.user.name });
  }

  #told() {
    const { added, changed } = this.#done;
    return `${count(added + changed, "key")} imported into the ${this.#tree} of ${spelled(this.#environment)}: ${number(added)} added, ${number(changed)} changed.`;
  }

  // --- What is shown ---

  #body() {
    return this.#done ? this.#after() : this.#before();
  }

  #before() {
    const storing = this.#busy === "storing";
    return html`
      <div class="import">
        <div class="scrolled"><fieldset ?disabled=${storing}>
        <legend class="visually-hidden">What to import, and where to</legend>
        ${this.#source()}
        ${this.#where()}
        <details class="import-permissions"><summary>Who may use the keys that are new</summary>
          <p class="hint">They are yours alone until you name groups. Keys that are there keep their permissions.</p>
          ${permissionsEditor(this.#permissions, {
            tree: this.#tree,
            error: this.#field === "permissions" ? this.#trouble : "",
            typed: this.#pending,
            onType: (typed) => { this.#pending = typed; this.#dialog.update(); },
            onChange: (permissions) => { this.#permissions = permissions; this.#ask(); },
          })}
        </details>
        ${this.#notice ? html`<p class="notice" role="status">${this.#notice}</p>` : nothing}
        ${this.#busy === "asking" || this.#busy === "reading" ? html`
          <label class="storing">${this.#busy === "reading" ? "Reading the file…" : "Looking what would happen…"} <progress></progress></label>` : nothing}
        ${this.#gone.length > 0 ? html`<p class="notice">Left out, as you chose: line ${list(this.#gone.map(String))}.</p>` : nothing}
        ${this.#list.element}
        ${this.#plan && this.#number === 0 && this.#plan.invalid.length === 0 ? html`
          <p class="notice">There is nothing to import: ${this.#plan.same.length > 0 ? "all of it is there already" : "the text has no keys in it"}.</p>` : nothing}
        </fieldset></div>
        ${this.#plan?.invalid.length > 0 ? html`
          <p class="notice">${count(this.#plan.invalid.length, "key")} can't be imported as the text has ${this.#plan.invalid.length === 1 ? "it" : "them"}. Mend the text, or:</p>
          <label class="tick"><input type="checkbox" name="without" ?disabled=${storing} .checked=${this.#without} @change=${(event) => this.#tick("without", event)}>
            Leave out what can't be imported</label>` : nothing}
        ${this.#trouble && !["directory", "permissions"].includes(this.#field) ? html`<p class="error" role="alert">${this.#trouble}</p>` : nothing}
        ${this.#line ? html`
          <div class="import-line">
            ${this.#large ? nothing : html`<button type="button" class="button" @click=${() => this.#goTo(this.#line)}>Go to line ${this.#line}</button>`}
            ${(this.#format ?? "dotenv") === "dotenv" ? html`<button type="button" class="button" @click=${() => this.#leaveOut(this.#line)}>Leave line ${this.#line} out</button>` : nothing}
          </div>` : nothing}
        ${this.#protected && this.#number > 0 ? html`
          <label class="tick protected"><input type="checkbox" name="sure" ?disabled=${storing} .checked=${this.#sure} @change=${(event) => this.#tick("sure", event)}>
            <span>Yes, change ${named(this.#environment)}</span></label>` : nothing}
        ${storing ? html`<label class="storing">Storing ${count(this.#number, "key")} in one step… <progress></progress></label>` : nothing}
        <div class="dialog-actions">
          <button type="button" class="button" ?disabled=${storing} @click=${() => this.#cancel()}>Cancel</button>
          <button type="button" class="button primary" ?disabled=${storing} @click=${() => this.#store()}>
            ${this.#number > 0 ? `Import ${count(this.#number, "key")} into ${spelled(this.#environment)}` : "Import"}</button>
        </div>
      </div>`;
  }

  /** Whether the text is too much to be shown, or a file's, which is mended where it is. */
  get #large() {
    return this.#name !== null || this.#text.length > SHOWN;
  }

  #source() {
    const large = this.#large;
    const masked = this.#tree === "secrets" && !this.#seen;
    const wrong = this.#field === "text";
    return html`
      <div class="import-source" @dragover=${(event) => event.preventDefault()}>
        <label class="button import-file">Choose a file…<input type="file" class="visually-hidden" accept=".env,.json,.yaml,.yml,text/*,application/json"
          @change=${(event) => this.#file(event)}></label>
        ${large ? html`
          <p class="import-name"><strong>${named(this.#name ?? "Pasted text")}</strong> <span class="quiet">${count(lines(this.#text), "line")}</span></p>
          <button type="button" class="button" @click=${() => this.take("", null)}>Remove it</button>`
        : html`<span class="hint">or drop one anywhere on the page, or paste:</span>`}
      </div>
      ${large ? nothing : html`
        <label class="field"><span class="label">Text</span>
          <textarea class="input import-text ${masked ? "masked" : ""}" rows="5" autocomplete="off" spellcheck="false" autocapitalize="off"
            placeholder="DB__HOST=localhost" aria-invalid=${wrong ? "true" : nothing} .value=${this.#text}
            @input=${(event) => { this.#text = event.target.value; this.#ask(); }}></textarea></label>
        ${this.#tree === "secrets" ? html`
          <label class="tick"><input type="checkbox" .checked=${this.#seen} @change=${(event) => { this.#seen = event.target.checked; this.#dialog.update(); }}>
            Show the text</label>` : nothing}`}`;
  }

  async #file(event) {
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    this.#busy = "reading";
    this.#dialog.update();
    const { text, trouble } = await textOf(file);
    if (trouble) {
      this.#busy = null;
      this.#trouble = trouble;
      this.#dialog.update();
    } else {
      this.#busy = null;
      this.#dialog.update();
      this.takeInstead(text, file.name);
    }
  }

  #where() {
    const set = (changes) => {
      if ("format" in changes) this.#format = changes.format || null;
      if ("tree" in changes) this.#tree = changes.tree;
      if ("environment" in changes) this.#environment = changes.environment;
      if ("directory" in changes) this.#directory = changes.directory;
      if ("doubled" in changes) this.#doubled = changes.doubled;
      if ("case" in changes) this.#case = changes.case;
      this.#notice = null;
      this.#ask();
    };
    const option = (value, label, chosen) => html`<option value=${value} .selected=${chosen}>${label}</option>`;
    const names = { dotenv: "dotenv", json: "JSON", yaml: "YAML" };
    const wrong = this.#field === "directory" || this.#field === "key";
    return html`
      <div class="import-where">
        <div class="field"><label class="label" for="import-tree">Into the</label>
          <select class="input" id="import-tree" name="tree" @change=${(event) => set({ tree: event.target.value })}>
            ${option("secrets", "secrets", this.#tree === "secrets")}${option("variables", "variables", this.#tree === "variables")}</select></div>
        <div class="field"><label class="label" for="import-environment">of</label>
          <select class="input" id="import-environment" name="environment" @change=${(event) => set({ environment: event.target.value })}>
            ${state.about.environments.map(({ name }) => option(name, spelled(name), name === this.#environment))}</select></div>
        <div class="field wide"><label class="label" for="import-directory">Directory</label>
          <input class="input" id="import-directory" name="directory" .value=${this.#directory} placeholder="none" autocomplete="off" spellcheck="false"
            aria-invalid=${wrong ? "true" : nothing} @input=${(event) => set({ directory: event.target.value })}></div>
        <div class="field"><label class="label" for="import-format">Format</label>
          <select class="input" id="import-format" name="format" @change=${(event) => set({ format: event.target.value })}>
            ${option("", this.#plan && !this.#format ? `guessed: ${names[this.#guessed]}` : "guess", !this.#format)}
            ${Object.entries(names).map(([value, label]) => option(value, label, this.#format === value))}</select></div>
        <div class="field"><label class="label" for="import-case">Case of the keys</label>
          <select class="input" id="import-case" name="case" @change=${(event) => set({ case: event.target.value })}>
            ${option("kept", "as it is", this.#case === "kept")}${option("lower", "lower", this.#case === "lower")}${option("upper", "UPPER", this.#case === "upper")}</select></div>
        <label class="tick"><input type="checkbox" name="doubled" .checked=${this.#doubled} @change=${(event) => set({ doubled: event.target.checked })}>
          <span><code>__</code> in a name is a <code>/</code></span></label>
      </div>
      ${wrong ? html`<p class="error" role="alert">${this.#trouble}</p>` : nothing}`;
  }

  #tick(name, event) {
    if (name === "without") this.#without = event.target.checked;
    else this.#sure = event.target.checked;
    this.#trouble = null;
    this.#dialog.update();
  }

  #after() {
    const history = "their values before are in the history of each key.";
    return this.#done.body(this.#dialog, {
      name: "import",
      told: this.#told(),
      left: this.#left > 0 ? `${count(this.#left, "key")} left out, as you chose.` : null,
      many: `With more than ${number(MOST)} changed keys nothing is taken back here, the keys that were added included; ${history}`,
      unknown: `It can't be taken back here, since the keys couldn't be looked up; ${history}`,
      verb: "imported",
    });
  }
}

/** How many lines a text has. */
function lines(text) {
  let number = text.endsWith("\n") ? 0 : 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) number++;
  return number;
}
