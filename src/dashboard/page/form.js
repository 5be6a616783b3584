// Add New and Edit: the two dialogs by which a key is stored.
//
// Invariants:
// - What somebody else changes is told in the open form and touches none of its fields; storing over it is the user's decision.
// - A dialog that closes with something unsaved has asked, or keeps it as a draft; it is never just gone.
// - What was wrong is said at its field, and the first such field gets the focus.
// - When a dialog has closed, nothing that was typed is left in the page but in a draft, which is in memory alone.
//
// It deliberately knows no rule of permission: the server says what may not be done, and why.

import { loadAccounts, accounts } from "./accounts.js";
import { ApiError, get, post } from "./api.js";
import { openDialog } from "./dialog.js";
import { draftName, draftOf, dropDraft, guard, keepDraft } from "./drafts.js";
import { body } from "./form-view.js";
import { dirty, editModel, newModel, problems, rebase, request, touched, wrongKey } from "./form-model.js";
import { onChange, onLost } from "./live.js";
import { named } from "./names.js";
import { spelled } from "./spelling.js";
import { state } from "./state.js";
import { announce, toast } from "./toast.js";
import { html } from "./vendor/lit-html.js";
import { count } from "./words.js";

/** The fields in the order in which they stand in the form. */
const FIELDS = ["key", "environment", "value", "permissions", "expires"];

/** What a browser makes no time of reads as none: it would be stored as "never". */
const HALF_A_TIME = "Enter the date and the time, or leave both empty.";

/** Milliseconds without a key pressed, after which it is asked whether a key is there. */
const PAUSE = 250;

const KINDS = { secrets: "secret", variables: "variable" };

/** The dialog for a new key; `key` and `environment` are what it begins with. */
export function openAdd({ key = "", environment = state.environment } = {}) {
  const tree = state.tree;
  const model = newModel({ tree, key, environments: [environment] });
  const form = new Form(model, { title: `Add a ${KINDS[tree]}`, draft: draftName({ tree }) });
  form.open();
  form.suggestKeys(environment);
  return form;
}

/** The dialog for the key that is there. */
export async function openEdit(key, { environment = state.environment, tree = state.tree } = {}) {
  let entry;
  try {
    entry = await get("/api/entry", { environment, tree, key });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message, { kind: "failed" });
    return null;
  }
  const form = new Form(editModel(entry, { environment, tree }), { title: html`Edit ${named(key)}`, draft: draftName({ tree, environment, key }) });
  form.open();
  return form;
}

class Form {
  /** `form`, `review`, `conflict` or `gone`. */
  stage = "form";
  asking = false;
  busy = false;
  problem = "";
  /** What somebody else did while the form was open, if anything: `{current}`, or `{gone: true, by}`. */
  notice = null;
  /** The environments in which a key to be added is there already. */
  taken = [];
  keys = [];
  offered = null;
  current = null;

  #dialog = null;
  #title;
  #draft;
  #seen = new Set();
  #answers = {};
  #ends = [];
  #timer = null;
  #closed = false;

  constructor(model, { title, draft }) {
    this.model = model;
    this.#title = title;
    this.#draft = draft;
    this.offered = draftOf(draft);
  }

  get about() {
    return state.about;
  }

  open() {
    this.#dialog = openDialog({ title: this.#title, body: () => body(this), leave: () => this.#leave(), size: "wide" });
    this.#dialog.element.addEventListener("close", () => this.#end());
    this.#ends.push(guard(() => dirty(this.model)), onChange((change) => this.#heard(change)), onLost(() => this.#look()));
    loadAccounts().then(() => this.draw(), () => {});
    if (this.model.key !== "" && this.model.mode === "add") this.#askWhetherThere();
    this.#begin();
  }

  draw() {
    if (!this.#closed) this.#dialog.update();
  }

  /** What is wrong, by field, as far as it is to be said by now. */
  get errors() {
    const found = problems(this.model, { about: this.about, accounts: accounts() });
    if (this.model.mode === "add" && !found.key && this.#blocked()) found.key = this.#blocked();
    return Object.fromEntries(FIELDS.map((field) => [field, this.#answers[field] ?? (this.#seen.has(field) ? found[field] : undefined) ?? ""]));
  }

  change(field, part) {
    this.model = { ...this.model, ...part };
    this.problem = "";
    delete this.#answers[field];
    if (this.model.mode === "add" && (field === "key" || field === "environment")) {
      this.taken = [];
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#askWhetherThere(), PAUSE);
    }
    this.draw();
  }

  changeValue(part) {
    this.change("value", { value: { ...this.model.value, ...part } });
  }

  /** A field was left: what is wrong with it is said from now on. */
  left(field) {
    if (field === "key" && this.model.key === "") return;
    if (field === "expires") this.#lookAtTime();
    if (field === "permissions" && this.model.pending === "") return;
    this.#seen.add(field);
    this.draw();
  }

  async suggestKeys(environment) {
    try {
      this.keys = (await get("/api/keys", { environment, tree: this.model.tree })).keys;
      this.draw();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  submit() {
    if (this.busy) return;
    FIELDS.forEach((field) => this.#seen.add(field));
    this.problem = "";
    this.#lookAtTime();
    if (Object.values(this.errors).some((message) => message !== "")) return this.#focusWrong();
    const { mode, tree } = this.model;
    if (mode === "edit" && !dirty(this.model)) {
      this.problem = "Nothing was changed yet.";
      return this.draw();
    }
    if (mode === "edit" && tree === "variables" && this.stage === "form") return this.show("review");
    this.#send();
  }

  /** What stands in the field of the expiry is whole, or marked; elsewhere than in the form it can't be seen. */
  #lookAtTime() {
    const field = this.#dialog.element.querySelector("#expires");
    if (field?.validity.badInput) this.#answers.expires = HALF_A_TIME;
    else if (this.#answers.expires === HALF_A_TIME) delete this.#answers.expires;
  }

  /** Another step of the form, with the focus at its beginning. */
  show(stage) {
    this.stage = stage;
    this.problem = "";
    this.draw();
    this.#focus(stage === "form" ? "#value" : "[data-first]");
  }

  async look() {
    const { current, gone } = this.notice;
    this.current = current ?? null;
    this.show(gone ? "gone" : "conflict");
  }

  /** The three ways out of a conflict. */
  takeTheirs() {
    this.model = editModel(this.current, { environment: this.model.environments[0], tree: this.model.tree });
    this.#settle(`The form shows version ${this.current.version} now.`);
  }

  goOn() {
    this.model = rebase(this.model, this.current);
    this.#settle(`You go on from version ${this.current.version}.`);
  }

  saveMine() {
    this.model = rebase(this.model, this.current);
    this.current = null;
    this.notice = null;
    if (!dirty(this.model)) return this.#settle("What is stored is what you have.");
    if (Object.values(this.errors).some((message) => message !== "")) {
      this.stage = "form";
      return this.#focusWrong();
    }
    this.stage = this.model.tree === "variables" ? "review" : "form";
    this.#send();
  }

  /** A key that was removed meanwhile is made anew, with what the form has. */
  makeAnew() {
    this.model = { ...this.model, mode: "add", base: null, was: this.model.base };
    this.notice = null;
    this.stage = "form";
    this.submit();
  }

  /** Goes on with the draft; what was typed beside it is one then. */
  resume() {
    const { content } = this.offered;
    dropDraft(this.#draft, this.offered);
    this.offered = null;
    if (dirty(this.model)) keepDraft(this.#draft, this.model);
    this.model = content;
    this.draw();
    this.#look();
    this.#begin();
  }

  dropOffer() {
    dropDraft(this.#draft, this.offered);
    this.offered = draftOf(this.#draft);
    this.draw();
  }

  cancel() {
    if (this.#leave()) this.#close();
  }

  keepEditing() {
    this.asking = false;
    this.draw();
    this.#begin();
  }

  closeWithDraft() {
    keepDraft(this.#draft, this.model);
    this.#close();
    announce("What you typed is kept until you leave this page. Open the same dialog to go on.");
  }

  discard() {
    this.model = { ...this.model, value: { ...this.model.value, text: "", file: null } };
    this.#close();
  }

  async editExisting(environment) {
    const { key, tree } = this.model;
    if (Object.values(touched(this.model)).some(Boolean)) keepDraft(this.#draft, this.model);
    this.#close();
    await openEdit(key, { environment, tree });
  }

  #settle(message) {
    this.current = null;
    this.notice = null;
    announce(message);
    this.settled = message;
    this.show("form");
  }

  async #send() {
    this.busy = true;
    this.draw();
    try {
      const { stored } = await post("/api/put", request(this.model));
      this.#stored(stored);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#refused(error);
    } finally {
      this.busy = false;
      this.draw();
    }
  }

  #stored(stored) {
    const { key, mode } = this.model;
    const places = stored.map(({ environment, version }) => `${spelled(environment)} (version ${version})`).join(", ");
    this.#close();
    toast(`${mode === "add" ? "Added" : "Saved"} ${spelled(key)} in ${places}.`, { kind: "done" });
  }

  #refused(error) {
    const { code, message, field, current } = error;
    if (code === "conflict" && current && this.model.mode === "edit") {
      this.current = { ...this.model.base, ...current };
      return this.show("conflict");
    }
    if (code === "missing" && this.model.mode === "edit") {
      this.notice = { gone: true, by: null };
      return this.show("gone");
    }
    this.stage = "form";
    const at = code === "exists" ? "key" : field;
    if (FIELDS.includes(at)) this.#answers[at] = message;
    else this.problem = message;
    if (code === "exists") this.#askWhetherThere();
    if (FIELDS.includes(at)) this.#focusWrong();
  }

  async #heard(change) {
    const { tree, environments, key } = this.model;
    const about = change.tree === tree && environments.includes(change.environment) && (change.key === key || change.to === key);
    if (about) await this.#look(change.by);
  }

  /** Looks whether the key is still what the form was opened on. */
  async #look(by = null) {
    const { tree, environments, key, mode } = this.model;
    if (this.busy) return;
    if (mode === "add") return this.#askWhetherThere();
    try {
      const current = await get("/api/entry", { environment: environments[0], tree, key });
      const same = touched({ ...editModel(current, { environment: environments[0], tree }), base: this.model.base });
      if (this.busy || (current.version === this.model.base.version && !same.permissions && !same.expires)) return;
      this.notice = { current };
      if (this.stage === "conflict") this.current = current;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "missing") return;
      this.notice = { gone: true, by };
    }
    this.draw();
  }

  /** Whether the key that is to be added is there already, in each of the environments. */
  async #askWhetherThere() {
    const { key, tree, environments } = this.model;
    if (wrongKey(key) !== null) return;
    const answers = await Promise.all(environments.map(async (environment) => {
      try {
        const { items: [item] } = await post("/api/details", { environment, tree, keys: [key] });
        return item && !item.gone ? environment : null;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        return null;
      }
    }));
    if (this.model.key !== key) return;
    this.taken = answers.filter((environment) => environment !== null);
    if (this.taken.length > 0) this.#seen.add("key");
    this.draw();
  }

  /** Why no key of this name can be made, as far as that is known before it is tried. */
  #blocked() {
    const { key, tree } = this.model;
    if (this.taken.length > 0) return `There is already a ${KINDS[tree]} ${spelled(key)} in ${this.taken.map(spelled).join(" and ")}: it is not overwritten.`;
    const below = this.keys.filter((other) => other.startsWith(`${key}/`)).length;
    if (below > 0) return `${spelled(key)} is a directory with ${count(below, "key")} in it: give the key another name.`;
    const parts = key.split("/").slice(0, -1).map((_, at, all) => all.slice(0, at + 1).join("/"));
    const above = parts.find((part) => this.keys.includes(part));
    return above === undefined ? null : `${spelled(above)} is a key itself, so nothing can stand below it.`;
  }

  #leave() {
    if (this.busy) return false;
    if (!dirty(this.model)) return true;
    if (!this.asking) {
      this.asking = true;
      this.draw();
      this.#focus("[data-keep]");
    }
    return false;
  }

  #close() {
    this.#closed = true;
    this.#end();
    this.#dialog.close();
  }

  #end() {
    for (const end of this.#ends.splice(0)) end?.();
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#closed = true;
    // The browser itself can close a dialog that is asked twice to: what was typed is kept then.
    if (dirty(this.model)) keepDraft(this.#draft, this.model);
  }

  /** Where one goes on typing: behind the key's directory, or in the value where the key is known. */
  #begin() {
    const { mode, key } = this.model;
    this.#focus(mode === "add" && (key === "" || key.endsWith("/")) ? "#key" : "#value");
    const field = document.activeElement;
    if (field.id === "key") field.setSelectionRange(key.length, key.length);
  }

  #focus(selector) {
    const wanted = [...this.#dialog.element.querySelectorAll(selector)].find((element) => !element.disabled && element.offsetParent !== null);
    wanted?.focus();
  }

  #focusWrong() {
    this.draw();
    const first = this.#dialog.element.querySelector('[aria-invalid="true"]');
    first?.focus();
    first?.scrollIntoView({ block: "center" });
  }
}
