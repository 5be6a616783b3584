// Exporting variables as a file. Secrets aren't sent to a browser, so there it says which command writes them.

import { ApiError, get } from "./api.js";
import { copyText } from "./clipboard.js";
import { openDialog } from "./dialog.js";
import { named, valued } from "./names.js";
import { spelled } from "./spelling.js";
import { state } from "./state.js";
import { toast } from "./toast.js";
import { html, nothing } from "./vendor/lit-html.js";
import { count } from "./words.js";

const FORMATS = [
  { name: "dotenv", label: "dotenv", ending: "env", type: "text/plain", hint: "NAME=value on a line each; a / in a key is written as __." },
  { name: "json", label: "JSON", ending: "json", type: "application/json", hint: "One object, nested by the keys' directories; text alone." },
  { name: "yaml", label: "YAML", ending: "yaml", type: "application/yaml", hint: "One mapping, nested by the keys' directories; holds any bytes." },
];

/** So much of the file is shown. */
const SHOWN = 4_000;

/** Opens the dialog, for all or what is below a prefix. */
export function openExport({ prefix } = {}) {
  new Export(prefix).open();
}

class Export {
  #dialog;
  #tree = state.tree;
  #environment = state.environment;
  #format = "dotenv";
  #prefix;
  #answer = null;
  #trouble = null;
  #busy = false;
  #question = 0;
  #timer = null;

  constructor(prefix = "") {
    this.#prefix = prefix.replace(/\/+$/, "");
  }

  open() {
    this.#dialog = openDialog({ title: "Export", body: () => this.#body(), size: "large" });
    this.#dialog.element.addEventListener("close", () => {
      clearTimeout(this.#timer);
      this.#question++;
    });
    this.#ask(0);
  }

  #ask(after = 250) {
    clearTimeout(this.#timer);
    // What is on its way answers another question.
    this.#question += 1;
    this.#answer = this.#trouble = null;
    this.#busy = this.#tree === "variables";
    if (this.#busy) this.#timer = setTimeout(() => this.#fetch(), after);
    this.#dialog.update();
  }

  async #fetch() {
    const question = this.#question;
    try {
      const answer = await get("/api/export", { environment: this.#environment, format: this.#format, prefix: this.#directory && `${this.#directory}/` });
      if (question !== this.#question) return;
      this.#answer = answer;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (question !== this.#question) return;
      this.#trouble = error.message;
    }
    this.#busy = false;
    this.#dialog.update();
  }

  /** The prefix as the keys have it: of a directory. */
  get #directory() {
    return this.#prefix.trim().replace(/^\/+|\/+$/g, "");
  }

  #set(changes) {
    if ("tree" in changes) this.#tree = changes.tree;
    if ("environment" in changes) this.#environment = changes.environment;
    if ("format" in changes) this.#format = changes.format;
    if ("prefix" in changes) this.#prefix = changes.prefix;
    this.#ask("prefix" in changes ? 250 : 0);
  }

  #body() {
    const format = FORMATS.find((one) => one.name === this.#format);
    return html`
      <div class="export">
        <div class="scrolled">
        <div class="import-where">
          <div class="field"><label class="label" for="export-environment">Environment</label>
          <select class="input" id="export-environment" name="environment" @change=${(event) => this.#set({ environment: event.target.value })}>
              ${state.about.environments.map(({ name }) => html`<option value=${name} .selected=${name === this.#environment}>${spelled(name)}</option>`)}</select></div>
          <div class="field"><label class="label" for="export-format">Format</label>
          <select class="input" id="export-format" name="format" @change=${(event) => this.#set({ format: event.target.value })}>
              ${FORMATS.map(({ name, label }) => html`<option value=${name} .selected=${name === this.#format}>${label}</option>`)}</select></div>
          <div class="field wide"><label class="label" for="export-prefix">Only below the directory</label>
          <input class="input" id="export-prefix" name="prefix" .value=${this.#prefix} placeholder="all" autocomplete="off" spellcheck="false"
              @input=${(event) => this.#set({ prefix: event.target.value })}></div>
        </div>
        <p class="hint">${format.hint}</p>
        ${this.#tree === "secrets" ? this.#secrets() : this.#variables(format)}
        </div>
        ${this.#tree === "secrets" ? this.#secretActions() : this.#actions(format)}
      </div>`;
  }

  #secrets() {
    return html`
      <p class="notice">Secrets aren't exported here: no secret is ever sent to a browser. On a machine with the mount, this writes them into a new file that is yours alone:</p>
      <div class="export-command"><code>${named(this.#command())}</code>
        <button type="button" class="button" @click=${() => copyText(this.#command(), "The command")}>Copy</button></div>`;
  }

  #command() {
    const { ending } = FORMATS.find((one) => one.name === this.#format);
    const nested = this.#format === "dotenv" ? " --nested" : "";
    const below = this.#directory ? ` ${quoted(`${this.#directory}/`)}` : "";
    return `dt kv export -s -e ${quoted(this.#environment)} --format ${this.#format}${nested} --output ${quoted(`secrets-${this.#environment}.${ending}`)}${below}`;
  }

  #variables(format) {
    const answer = this.#answer;
    return html`
      ${this.#busy ? html`<label class="storing">Reading the variables… <progress></progress></label>` : nothing}
      ${this.#trouble ? html`<p class="error" role="alert">${this.#trouble}</p>` : nothing}
      ${answer ? html`
        ${answer.left_out.length > 0 ? html`
          <details class="notice"><summary>${count(answer.left_out.length, "key")} left out: you may not read ${answer.left_out.length === 1 ? `it, it has expired, or ${format.label} can't hold it` : `them, they have expired, or ${format.label} can't hold them`}</summary>
            <ul class="export-left">${answer.left_out.map((key) => html`<li><code class="key">${named(key)}</code></li>`)}</ul></details>` : nothing}
        ${answer.text.trim() === "" || answer.text.trim() === "{}"
          ? html`<p class="notice">There are no variables to export${this.#directory ? html` below <code class="key">${named(`${this.#directory}/`)}</code>` : nothing} in ${named(this.#environment)}.</p>`
          : html`<pre class="export-text" tabindex="0" role="region" aria-label="The beginning of the file">${valued(answer.text.slice(0, SHOWN), { lines: true })}${answer.text.length > SHOWN ? "…" : ""}</pre>`}` : nothing}`;
  }

  #secretActions() {
    return html`
      <div class="dialog-actions">
        <button type="button" class="button" @click=${() => this.#set({ tree: "variables" })}>Export the variables instead</button>
        <button type="button" class="button primary" @click=${() => this.#dialog.close()}>Close</button>
      </div>`;
  }

  #actions(format) {
    const answer = this.#answer;
    return html`
      <div class="dialog-actions">
        <button type="button" class="button" @click=${() => this.#dialog.close()}>Close</button>
        <button type="button" class="button" ?disabled=${!answer} @click=${() => copyText(answer.text, "The text")}>Copy the text</button>
        <button type="button" class="button primary" ?disabled=${!answer} @click=${() => this.#download(format)}>Download</button>
      </div>`;
  }

  #download({ ending, type }) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([this.#answer.text], { type }));
    link.download = this.#directory ? `${this.#environment}-${this.#directory.replaceAll("/", "-")}.${ending}` : `${this.#environment}-variables.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    toast(`${spelled(link.download)} is being saved by the browser.`, { kind: "done" });
  }
}

/** A word as a shell takes it. */
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
