// Copying keys to another environment: what would happen, then all of it in one step, then the way back.
//
// Invariants:
// - What is stored is what the preview showed; where somebody has changed something since, there is a new preview.
// - A key that can't be copied is named, and left out by a deliberate tick alone.
// - A protected environment is changed only with a tick of its own.
// - No secret is opened, on the server, before the user was told that it will be, and has asked for it.

import { ApiError, get, post } from "./api.js";
import { openDialog } from "./dialog.js";
import { named } from "./names.js";
import { PlanList, inWords, some } from "./plan.js";
import { spelled } from "./spelling.js";
import { environment, state } from "./state.js";
import { announce, toast } from "./toast.js";
import { MOST, Outcome } from "./undo.js";
import { html, nothing } from "./vendor/lit-html.js";
import { OPENS_SECRETS, count, number } from "./words.js";

/** Opens the dialog, for some keys or all below a prefix. `what` says in words which keys they are. */
export function openCopy({ keys, prefix, from = state.environment, to, what }) {
  const names = state.about.environments.map((one) => one.name);
  if (names.length < 2) {
    toast(`There is no other environment than ${spelled(names[0])} in this mount to copy to.`, { kind: "failed" });
    return;
  }
  new Copy({ keys, prefix, from, to: to ?? names.find((name) => name !== from), what, tree: state.tree }).open();
}

class Copy {
  #dialog;
  #list = new PlanList();
  #tree;
  /** Whether values may be looked at for a preview: of variables at once, of secrets when the user says so. */
  #compares;
  #given;
  #prefix;
  #what;
  #from;
  #to;
  #replace = false;
  #keys = [];
  #closed = [];
  #plan = null;
  #versions = null;
  #sure = false;
  #without = false;
  /** What is going on: "asking", "storing", "undoing", or null. */
  #busy = null;
  #trouble = null;
  #notice = null;
  #done = null;
  #left = 0;
  #question = 0;

  constructor({ keys, prefix, from, to, what, tree }) {
    this.#tree = tree;
    this.#compares = tree === "variables";
    this.#given = keys;
    this.#prefix = prefix?.replace(/\/+$/, "");
    this.#what = what;
    this.#from = from;
    this.#to = to;
  }

  open() {
    this.#dialog = openDialog({
      title: "Copy to another environment",
      body: () => this.#body(),
      // What is being stored is waited for.
      leave: () => this.#busy !== "storing" && !this.#done?.isBusy,
      size: "large",
    });
    this.#preview();
  }

  /** Asks what would happen. */
  async #preview() {
    const question = ++this.#question;
    this.#busy = "asking";
    this.#trouble = null;
    this.#sure = false;
    this.#without = false;
    this.#show(null);
    try {
      await this.#find();
      if (question !== this.#question) return;
      // Else it is shown which keys are meant, until the user asks for the preview.
      if (this.#compares) {
        const { plan, versions } = await post("/api/copy", { ...this.#asked(this.#keys), preview: true });
        if (question !== this.#question) return;
        this.#versions = versions;
        this.#show(plan);
        announce(`Preview: ${inWords(plan)}`);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (question === this.#question) this.#trouble = error.message;
    }
    if (question !== this.#question) return;
    this.#busy = null;
    this.#dialog.update();
  }

  #compare() {
    this.#compares = true;
    this.#preview();
  }

  /** Which keys are meant. */
  async #find() {
    if (this.#given) {
      this.#keys = this.#given;
      return;
    }
    const { keys, closed } = await get("/api/below", { environment: this.#from, tree: this.#tree, prefix: this.#prefix });
    this.#keys = keys.map(({ key }) => key);
    this.#closed = closed;
  }

  #asked(keys) {
    return { tree: this.#tree, from: this.#from, to: this.#to, keys, replace: this.#replace };
  }

  #show(plan) {
    this.#plan = plan;
    this.#list.show(plan, { tree: this.#tree, label: `What would be copied to ${spelled(this.#to)}` });
    this.#dialog.update();
  }

  #choose(changes) {
    if ("from" in changes) {
      if (changes.from === this.#to) this.#to = this.#from;
      this.#from = changes.from;
    }
    if ("to" in changes) this.#to = changes.to;
    if ("replace" in changes) this.#replace = changes.replace;
    this.#notice = null;
    this.#preview();
  }

  get #number() {
    return this.#plan ? this.#plan.added.length + this.#plan.changed.length : 0;
  }

  /** Why it can't be done yet, or null. */
  #lacks() {
    if (!this.#plan || this.#busy) return "The preview isn't there yet.";
    if (this.#number === 0) return "There is nothing to copy.";
    if (this.#plan.refused.length > 0 && !this.#without) return "Some keys can't be copied: tick that they are to be left out.";
    if (this.#protected && !this.#sure) return `Tick that ${spelled(this.#to)} is to be changed.`;
    return null;
  }

  get #protected() {
    return environment(this.#to).protected;
  }

  async #store() {
    const lacks = this.#lacks();
    if (lacks) {
      this.#trouble = lacks;
      this.#dialog.update();
      return;
    }
    const plan = this.#plan;
    const refused = new Set(plan.refused.map(({ key }) => key));
    this.#busy = "storing";
    this.#trouble = null;
    this.#dialog.update();
    try {
      const keys = this.#keys.filter((key) => !refused.has(key));
      const versions = Object.fromEntries(Object.entries(this.#versions ?? {}).filter(([key]) => !refused.has(key)));
      await post("/api/copy", { ...this.#asked(keys), preview: false, versions });
      this.#busy = null;
      await this.#finish(plan);
    } catch (error) {
      this.#busy = null;
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "conflict") {
        this.#notice = `${error.message} Nothing was copied. This is what would happen now.`;
        await this.#preview();
      } else {
        this.#trouble = error.message;
      }
    }
    this.#dialog.update();
  }

  async #finish(plan) {
    const [added, changed] = [plan.added.map(({ key }) => key), plan.changed.map(({ key }) => key)];
    this.#left = plan.refused.length + plan.kept.length;
    this.#done = new Outcome({ added, changed });
    announce(this.#told());
    await this.#done.look({ environment: this.#to, tree: this.#tree, user: state.about.user.name });
  }

  #told() {
    const { added, changed } = this.#done;
    return `${count(added + changed, "key")} copied from ${spelled(this.#from)} to ${spelled(this.#to)}: ${number(added)} added, ${number(changed)} changed.`;
  }

  #body() {
    return this.#done ? this.#after() : this.#before();
  }

  #before() {
    const names = state.about.environments.map((one) => one.name);
    const options = (chosen, all) => all.map((name) => html`<option value=${name} .selected=${name === chosen}>${spelled(name)}</option>`);
    return html`
      <div class="copy">
        <div class="scrolled">
        <p>${this.#subject()}</p>
        <div class="copy-way">
          <div class="field"><label class="label" for="copy-from">From</label>
            <select class="input" id="copy-from" ?disabled=${this.#busy === "storing"} @change=${(event) => this.#choose({ from: event.target.value })}>${options(this.#from, names)}</select></div>
          <span class="copy-arrow" aria-hidden="true">→</span>
          <div class="field"><label class="label" for="copy-to">To</label>
            <select class="input" id="copy-to" ?disabled=${this.#busy === "storing"} @change=${(event) => this.#choose({ to: event.target.value })}>${options(this.#to, names.filter((name) => name !== this.#from))}</select></div>
        </div>
        <fieldset class="choices"><legend>Keys that are in ${named(this.#to)} already</legend>
          <label class="tick"><input type="radio" name="replace" .checked=${!this.#replace} @change=${() => this.#choose({ replace: false })}> stay as they are</label>
          <label class="tick"><input type="radio" name="replace" .checked=${this.#replace} @change=${() => this.#choose({ replace: true })}> <span>get the value from ${named(this.#from)}, and keep their permissions and expiry</span></label>
        </fieldset>
        <p class="hint">Only values are copied. A key that is new in ${named(this.#to)} doesn't expire and is yours alone, unless its directory there says otherwise: give it permissions afterwards. All of it is copied in one step, or nothing.</p>
        ${this.#notice ? html`<p class="notice" role="status">${this.#notice}</p>` : nothing}
        ${this.#closed.length > 0 ? html`<p class="notice">Not among them, since you may not list the directory: ${some(this.#closed.map(spelled))}.</p>` : nothing}
        ${this.#busy === "asking" ? html`<p class="hint" role="status">Looking what would happen…</p>` : nothing}
        ${this.#compares || this.#busy ? nothing : html`
          <p class="notice">Looking what would happen compares values. ${OPENS_SECRETS} Copying opens them once more.</p>`}
        ${this.#list.element}
        ${this.#plan && this.#number === 0 ? html`<p class="notice">There is nothing to copy: ${inWords(this.#plan)}.</p>` : nothing}
        </div>
        ${this.#plan?.refused.length > 0 && this.#number > 0 ? html`
          <label class="tick"><input type="checkbox" .checked=${this.#without} @change=${(event) => this.#tick("without", event)}>
            Leave out the ${count(this.#plan.refused.length, "key")} that can't be copied</label>` : nothing}
        ${this.#protected && this.#number > 0 ? html`
          <label class="tick protected"><input type="checkbox" .checked=${this.#sure} @change=${(event) => this.#tick("sure", event)}>
            <span>Yes, change ${named(this.#to)}</span></label>` : nothing}
        ${this.#trouble ? html`<p class="error" role="alert">${this.#trouble}</p>` : nothing}
        ${this.#busy === "storing" ? html`<label class="storing">Copying ${count(this.#number, "key")}… <progress></progress></label>` : nothing}
        <div class="dialog-actions">
          <button type="button" class="button" ?disabled=${this.#busy === "storing"} @click=${() => this.#dialog.close()}>Cancel</button>
          ${this.#compares ? html`<button type="button" class="button primary" @click=${() => this.#store()}>
            ${this.#number > 0 ? `Copy ${count(this.#number, "key")} to ${spelled(this.#to)}` : `Copy to ${spelled(this.#to)}`}</button>` : html`
          <button type="button" class="button primary" ?disabled=${this.#busy} @click=${() => this.#compare()}>Look what would happen</button>`}
        </div>
      </div>`;
  }

  #tick(name, event) {
    if (name === "without") this.#without = event.target.checked;
    else this.#sure = event.target.checked;
    this.#trouble = null;
    this.#dialog.update();
  }

  #subject() {
    const kind = this.#tree === "secrets" ? "secret" : "variable";
    if (this.#prefix !== undefined) return html`All ${kind}s below <code class="key">${named(`${this.#prefix}/`)}</code>${this.#keys.length > 0 ? ` (${count(this.#keys.length, "key")})` : nothing}`;
    if (this.#what) return html`${count(this.#given.length, kind)}: ${this.#what}`;
    if (this.#given.length === 1) return html`The ${kind} <code class="key">${named(this.#given[0])}</code>`;
    return count(this.#given.length, kind);
  }

  #after() {
    return this.#done.body(this.#dialog, {
      name: "copy",
      told: this.#told(),
      left: this.#left > 0 ? `${count(this.#left, "key")} left as they were.` : null,
      many: `With more than ${number(MOST)} changed keys nothing is taken back here, the keys that were added included. The values before are in the history of each key, and \`dt kv rollback -r DIRECTORY --at TIME -e ${spelled(this.#to)}\` brings a directory's back.`,
      unknown: "It can't be taken back here: the keys couldn't be looked up. Their values before are in the history of each key.",
      verb: "copied",
    });
  }
}
