// The history of a key, as a log: which version, by whom, when, and what changed.
//
// Invariants:
// - Of a secret there is what is around the value and never the value.
// - A rollback is asked for, shows what it would change, and makes a new version on the one that was shown.
// - What somebody else stores meanwhile moves no line that is pointed at or has the focus: it is told, and shown when asked for.

import { ApiError, get, post } from "./api.js";
import { openDialog } from "./dialog.js";
import { diffView, tally } from "./diff.js";
import { isProtected } from "./form-model.js";
import { onChange, onConnection, onLost } from "./live.js";
import { named, valued } from "./names.js";
import { spelled } from "./spelling.js";
import { state } from "./state.js";
import { announce, toast } from "./toast.js";
import { html, nothing } from "./vendor/lit-html.js";
import { ago, count, exact } from "./words.js";

/** Values up to this size are fetched to say what changed in each version. */
const SUMMED_UP = 16_384;

/** The dialog of a key's history; of a removed key too. */
export function openHistory(key, { environment = state.environment, tree = state.tree } = {}) {
  const history = new History({ key, environment, tree });
  history.open();
  return history;
}

class History {
  #what;
  #dialog = null;
  #log = null;
  #problem = "";
  #values = new Map();
  #tallies = new Map();
  #shown = null;
  #asking = null;
  #confirmed = false;
  #wrong = "";
  #busy = false;
  #isOld = false;
  #ends = [];

  constructor(what) {
    this.#what = what;
  }

  open() {
    const { key, environment, tree } = this.#what;
    this.#dialog = openDialog({ title: html`History of ${named(key)}`, body: () => this.#body(), leave: () => !this.#busy, size: "wide" });
    const heard = (change) => {
      if (change.environment === environment && change.tree === tree && (change.key === key || change.to === key)) this.#heard();
    };
    this.#ends.push(
      onChange(heard),
      onLost(() => this.#heard()),
      onConnection(({ state: now }) => { if (now === "live" && this.#problem !== "") this.#load(); }),
    );
    this.#dialog.element.addEventListener("close", () => { for (const end of this.#ends.splice(0)) end(); });
    this.#load();
  }

  /** There may be a new version. */
  #heard() {
    if (this.#busy) return;
    if (this.#asking === null && !this.#dialog.element.querySelector(".log:is(:hover, :focus-within)")) return this.#load();
    if (!this.#isOld) announce("The key was changed meanwhile.");
    this.#isOld = true;
    this.#dialog.update();
  }

  get #secret() {
    return this.#what.tree === "secrets";
  }

  async #load() {
    try {
      this.#log = await get("/api/history", this.#what);
      this.#isOld = false;
      this.#problem = "";
      if (!this.#secret) await this.#sumUp();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#problem = error.message;
    }
    this.#dialog.update();
  }

  /** Fetches the values that are small, so that each line says what changed in it. */
  async #sumUp() {
    const small = this.#log.versions.filter(({ size }) => size <= SUMMED_UP);
    await Promise.all(small.map(({ version }) => this.#value(version)));
  }

  /** A version of a variable, `{text}` or `{problem}`; asked for once. */
  async #value(version) {
    const known = this.#values.get(version);
    if (known) return known;
    let value;
    try {
      const got = await get("/api/version", { ...this.#what, version });
      value = got.kind === "text" ? { text: got.value + (got.newline ? "\n" : "") } : { problem: "This version is no text." };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      value = { problem: error.message };
    }
    this.#values.set(version, value);
    return value;
  }

  #body() {
    const { environment } = this.#what;
    if (this.#problem) return html`<p class="form-body form-problem" role="alert">${this.#problem}</p>${this.#footer()}`;
    if (this.#log === null) return html`<p class="form-body" role="status">Looking up the history…</p>`;
    const { versions, present } = this.#log;
    return html`
      <div class="form-body">
        <p class="form-note">In <strong>${environment}</strong>. ${this.#secret ? "Of secrets only the versions are shown, never a value." : ""} The last versions are kept; older ones go.</p>
        ${present === null ? html`<p class="form-banner" data-kind="warning">This key is removed. “Removed keys” brings it back.</p>` : nothing}
        <ol class="log" reversed>${versions.map((version, at) => this.#entry(version, versions[at + 1]))}</ol>
      </div>
      ${this.#footer()}`;
  }

  #footer() {
    return html`<footer class="dialog-actions">
      ${this.#isOld ? html`<button type="button" class="button log-news" @click=${() => this.#load()}>Changed meanwhile: look again</button>` : nothing}
      <button type="button" class="button" ?disabled=${this.#busy} @click=${() => this.#dialog.close()}>Close</button></footer>`;
  }

  #entry({ version, size, modified, modified_by: by }, before) {
    const { present } = this.#log;
    const isPresent = version === present;
    const shown = this.#shown?.version === version;
    return html`
      <li class="log-entry" ?data-present=${isPresent}>
        <p class="log-line"><strong>version ${version}</strong> · ${named(by)} · <time datetime=${modified} title=${exact(modified)}>${ago(modified)}</time> · ${count(size, "byte")}
          ${isPresent ? html`<span class="badge">present</span>` : nothing}</p>
        <p class="log-what">${this.#summary(version, size, before)}</p>
        <div class="log-actions">
          ${this.#secret ? nothing : html`
            <button type="button" class="button small" aria-expanded=${shown && this.#shown.to === "value"} aria-label="Show version ${version}" @click=${() => this.#show(version, "value")}>Show</button>
            ${before ? html`<button type="button" class="button small" aria-expanded=${shown && this.#shown.to === "before"} aria-label="Compare version ${version} with the one before" @click=${() => this.#show(version, "before")}>What changed</button>` : nothing}
            ${present !== null && !isPresent ? html`<button type="button" class="button small" aria-expanded=${shown && this.#shown.to === "present"} aria-label="Compare version ${version} with the present one" @click=${() => this.#show(version, "present")}>Against present</button>` : nothing}`}
          ${present !== null && !isPresent && !this.#equal(version, present) ? html`<button type="button" class="button small" aria-expanded=${this.#asking === version} aria-label="Roll back to version ${version}" @click=${() => this.#ask(version)}>Roll back…</button>` : nothing}
        </div>
        ${shown ? this.#detail(version, before) : nothing}
        ${this.#asking === version ? this.#question(version) : nothing}
      </li>`;
  }

  #summary(version, size, before) {
    if (!before) return version === 1 ? "The first version." : "The oldest version that is kept.";
    const mine = this.#values.get(version)?.text, other = this.#values.get(before.version)?.text;
    if (mine !== undefined && other !== undefined) {
      if (!this.#tallies.has(version)) this.#tallies.set(version, tally(other, mine));
      const { added, removed } = this.#tallies.get(version);
      if (added + removed === 0) return "The same value.";
      return added === 1 && removed === 1 ? "One line changed." : [added && `${count(added, "line")} added`, removed && `${count(removed, "line")} removed`].filter(Boolean).join(", ") + ".";
    }
    const more = size - before.size;
    return more === 0 ? "Another value of the same size." : `Another value, ${count(Math.abs(more), "byte")} ${more > 0 ? "more" : "less"}.`;
  }

  /** Whether two versions are known to have the same value. */
  #equal(one, other) {
    const text = this.#values.get(one)?.text;
    return text !== undefined && text === this.#values.get(other)?.text;
  }

  async #show(version, to) {
    this.#asking = null;
    if (this.#shown?.version === version && this.#shown.to === to) {
      this.#shown = null;
      return this.#dialog.update();
    }
    const { versions, present } = this.#log;
    const before = versions[versions.findIndex((one) => one.version === version) + 1]?.version;
    await Promise.all([version, ...(to === "before" ? [before] : to === "present" ? [present] : [])].map((one) => this.#value(one)));
    this.#shown = { version, to };
    this.#dialog.update();
  }

  #detail(version, before) {
    const { to } = this.#shown;
    const mine = this.#values.get(version);
    if (mine.problem) return html`<p class="form-note">${mine.problem}</p>`;
    if (to === "value") return html`<pre class="log-value" tabindex="0" aria-label="Value of version ${version}">${valued(mine.text, { lines: true })}</pre>`;
    const [older, newer] = to === "before" ? [before.version, version] : [version, this.#log.present];
    return this.#between(older, newer);
  }

  #between(from, to) {
    const one = this.#values.get(from), other = this.#values.get(to);
    if (!one || !other) return nothing;
    if (one.problem || other.problem) return html`<p class="form-note">${one.problem ?? other.problem}</p>`;
    return html`<p class="form-note">From version ${from} to version ${to}:</p>${diffView(one.text, other.text, { label: `From version ${from} to version ${to}` })}`;
  }

  async #ask(version) {
    this.#shown = null;
    this.#confirmed = false;
    this.#wrong = "";
    if (this.#asking === version) this.#asking = null;
    else {
      if (!this.#secret) await Promise.all([this.#value(version), this.#value(this.#log.present)]);
      this.#asking = version;
    }
    this.#dialog.update();
    this.#dialog.element.querySelector(".log-question button, .log-question input")?.focus();
  }

  #question(version) {
    const { environment } = this.#what;
    const next = Math.max(...this.#log.versions.map((one) => one.version)) + 1;
    return html`
      <div class="log-question" role="group" aria-label="Roll back to version ${version}">
        <p>The value of version ${version} is stored again, as version ${next}. The present permissions stay, and nothing goes from the history.</p>
        ${this.#secret ? nothing : this.#between(this.#log.present, version)}
        ${isProtected(state.about, environment) ? html`<label class="tick"><input type="checkbox" .checked=${this.#confirmed} aria-invalid=${this.#wrong ? "true" : nothing} aria-describedby="rollback-error"
          @change=${(event) => { this.#confirmed = event.target.checked; this.#wrong = ""; this.#dialog.update(); }}> Yes, I mean <strong>${named(environment)}</strong></label>` : nothing}
        <p class="field-error" id="rollback-error" role="alert" ?hidden=${!this.#wrong}>${this.#wrong}</p>
        <div class="log-actions">
          <button type="button" class="button small" ?disabled=${this.#busy} @click=${() => this.#ask(version)}>Cancel</button>
          <button type="button" class="button primary" aria-disabled=${this.#busy} @click=${() => this.#rollBack(version)}>Roll back to version ${version}</button>
        </div>
      </div>`;
  }

  async #rollBack(version) {
    const { key, environment } = this.#what;
    if (this.#busy) return;
    if (isProtected(state.about, environment) && !this.#confirmed) {
      this.#wrong = `Tick that you mean ${spelled(environment)}.`;
      this.#dialog.update();
      return this.#dialog.element.querySelector(".log-question input")?.focus();
    }
    this.#busy = true;
    this.#dialog.update();
    try {
      const answer = await post("/api/rollback", { ...this.#what, version, if_version: this.#log.present });
      this.#asking = null;
      toast(`${spelled(key)} in ${spelled(environment)} has the value of version ${version} again, as version ${answer.version}.`, { kind: "done" });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#wrong = error.message;
    } finally {
      this.#busy = false;
    }
    await this.#load();
  }
}
