// How the form of a key looks, in each of its steps.
//
// Invariant: every field has a label, and what is wrong with it stands below it and is tied to it.
//
// It deliberately keeps nothing: what it shows is the form's (`form.js`), which hears what is done.

import "./combobox.js";
import { finalPermissions } from "./final.js";
import { grants, hidden, isProtected } from "./form-model.js";
import { named, unseenNote } from "./names.js";
import { permissionsEditor } from "./permissions.js";
import { conflictView, reviewView } from "./review.js";
import { spelled } from "./spelling.js";
import { valueField } from "./value-field.js";
import { html, nothing } from "./vendor/lit-html.js";
import { ago, count } from "./words.js";

/** The whole of the dialog below its title. */
export function body(form) {
  const { stage } = form;
  return html`
    <form class="key-form" novalidate autocomplete="off" @submit=${(event) => { event.preventDefault(); form.submit(); }}>
      <div class="form-body">
        ${stage === "form" ? fields(form) : nothing}
        ${stage === "review" ? html`<div tabindex="-1" data-first>${reviewView(form.model)}</div>` : nothing}
        ${stage === "conflict" ? html`<div tabindex="-1" data-first>${conflictView(form.model, form.current)}</div>` : nothing}
        ${stage === "gone" ? goneView(form) : nothing}
        <p class="form-problem" role="alert" ?hidden=${!form.problem}>${form.problem}</p>
      </div>
      ${form.asking ? askView(form) : actions(form)}
    </form>`;
}

function fields(form) {
  const { model, errors, about } = form;
  const { why } = model.base ?? {};
  const write = why?.write ?? { allowed: true };
  return html`
    ${form.offered ? offer(form) : nothing}
    ${form.notice ? notice(form) : nothing}
    ${form.settled ? html`<p class="form-note form-settled">${form.settled}</p>` : nothing}
    ${write.allowed ? nothing : html`<p class="form-banner" data-kind="warning">You may not change this value: ${spelled(write.rule)}.</p>`}
    ${model.mode === "add" ? keyField(form, errors.key) : described(model)}
    ${model.mode === "add" ? environmentField(form, errors.environment, about) : nothing}
    ${valueField(model, { change: (part) => form.changeValue(part), error: errors.value, limit: about.value_limit, locked: !write.allowed })}
    ${permissionsEditor(model.permissions, {
    tree: model.tree, error: errors.permissions, locked: locked(form), owner: model.base?.permissions.owner,
    onChange: (permissions) => form.change("permissions", { permissions }),
    typed: model.pending, onType: (pending) => form.change("permissions", { pending }), onLeave: () => form.left("permissions"),
  })}
    ${finalPermissions({ environment: model.environments[0], tree: model.tree, key: model.key, permissions: grants(model.permissions) })}
    ${expiresField(form, errors.expires)}
    ${model.mode === "edit" ? confirmation(form, errors.environment) : nothing}`;
}

/** Why permissions can't be changed here, or "": it takes to own the key, or to read and write it. */
function locked({ model, about }) {
  const { base } = model;
  if (base === null || !base.why || about.user.uid === 0 || base.permissions.owner.name === about.user.name) return "";
  if (base.why.read.allowed && base.why.write.allowed) return "";
  return "Only its owner, and who may both read and write it, changes these.";
}

function offer(form) {
  return html`
    <div class="form-banner" data-kind="draft">
      <p>There is an unsaved draft from ${ago(form.offered.time)}${form.offered.content.key ? html`: <code>${named(form.offered.content.key)}</code>` : nothing}.</p>
      <div class="form-banner-actions"><button type="button" class="button" @click=${() => form.resume()}>Continue with it</button>
      <button type="button" class="button" @click=${() => form.dropOffer()}>Discard the draft</button></div>
    </div>`;
}

/** What somebody else did while the form was open. It is said, and the fields stay. */
function notice(form) {
  const { current, gone, by } = form.notice;
  const { model } = form;
  return html`
    <div class="form-banner" data-kind="warning" role="status">
      <p>${gone ? html`${by ? named(by) : "Somebody"} removed <code>${named(model.key)}</code>.`
    : current.version !== model.base.version ? html`${named(current.modified_by)} changed this key ${ago(current.modified)}: it is at version ${current.version} now.`
      : "Its permissions or its expiry were changed by somebody else."} Your fields are as you left them.</p>
      <div class="form-banner-actions"><button type="button" class="button" @click=${() => form.look()}>See what changed</button></div>
    </div>`;
}

function keyField(form, error) {
  const { model } = form;
  return html`
    <div class="form-group">
      <label for="key" class="form-label">Key</label>
      <keyfs-combobox .model=${{
    id: "key", value: model.key, placeholder: model.tree === "secrets" ? "db/password" : "config/max_retries", invalid: error !== "", required: true,
    describedby: `key-help${error ? " key-error" : ""}`, listLabel: "Directories",
    suggest: (typed) => prefixes(form.keys, typed), onType: (key) => form.change("key", { key }), onLeave: () => form.left("key"),
  }}></keyfs-combobox>
      ${unseenNote(model.key)}
      <p class="form-note" id="key-help">A / makes a directory: <code>db/password</code> stands in <code>db/</code>.</p>
      <p class="field-error" id="key-error" ?hidden=${!error}>${error}
        ${form.taken.map((environment) => html`<button type="button" class="link-button" @click=${() => form.editExisting(environment)}>Open it for editing${form.taken.length > 1 ? ` in ${spelled(environment)}` : ""}</button>`)}</p>
    </div>`;
}

/** The directories that begin with what was typed, one level at a time. */
function prefixes(keys, typed) {
  const found = new Map();
  for (const key of keys) {
    if (!key.startsWith(typed)) continue;
    const end = key.indexOf("/", typed.length);
    if (end < 0) continue;
    const directory = key.slice(0, end + 1);
    found.set(directory, (found.get(directory) ?? 0) + 1);
  }
  return [...found].map(([value, number]) => ({ value, detail: count(number, "key") }));
}

function described(model) {
  const { base } = model;
  return html`<p class="form-about"><strong>${named(model.environments[0])}</strong> · version ${base.version} · ${base.modified_by ? named(base.modified_by) : "nobody yet"} · ${ago(base.modified)} · ${count(base.size, "byte")}</p>`;
}

function environmentField(form, error, about) {
  const { model } = form;
  const set = (name, on) => form.change("environment", {
    environments: about.environments.map((one) => one.name).filter((one) => (one === name ? on : model.environments.includes(one))),
    confirmed: on ? model.confirmed : model.confirmed.filter((one) => one !== name),
  });
  return html`
    <fieldset class="form-group" aria-describedby=${error ? "environment-error" : nothing}>
      <legend>Environment</legend>
      <div class="environment-ticks">
        ${about.environments.map(({ name }) => html`<label class="tick"><input type="checkbox" name="environment" value=${name} .checked=${model.environments.includes(name)}
          aria-invalid=${error && model.environments.length === 0 ? "true" : nothing} aria-describedby=${error ? "environment-error" : nothing}
          @change=${(event) => set(name, event.target.checked)}> ${named(name)}</label>`)}
      </div>
      ${confirmation(form, error)}
      ${model.environments.length > 1 ? html`<p class="form-note">All of them get this value, in one step or not at all.</p>` : nothing}
      <p class="field-error" id="environment-error" ?hidden=${!error}>${error}</p>
    </fieldset>`;
}

/** The tick of its own for each environment that is protected: never on by itself. */
function confirmation(form, error) {
  const { model, about } = form;
  const set = (name, on) => form.change("environment", { confirmed: on ? [...model.confirmed, name] : model.confirmed.filter((one) => one !== name) });
  const wanted = model.environments.filter((name) => isProtected(about, name));
  if (wanted.length === 0) return nothing;
  return html`
    <div class="confirm-box">${wanted.map((name) => html`<label class="tick"><input type="checkbox" name="confirm" value=${name} .checked=${model.confirmed.includes(name)}
      aria-invalid=${error && !model.confirmed.includes(name) ? "true" : nothing} aria-describedby=${error ? "environment-error" : nothing}
      @change=${(event) => set(name, event.target.checked)}> Yes, I mean <strong>${named(name)}</strong></label>`)}
    ${model.mode === "edit" ? html`<p class="field-error" id="environment-error" ?hidden=${!error}>${error}</p>` : nothing}</div>`;
}

function expiresField(form, error) {
  const { model } = form;
  // Half a time is none, and isn't taken for none: what was there stays until the rest is typed.
  const typed = (event) => {
    if (!event.target.validity.badInput) form.change("expires", { expires: event.target.value });
    form.left("expires");
  };
  const days = (number) => {
    const then = new Date(Date.now() + number * 86_400_000);
    then.setMinutes(then.getMinutes() - then.getTimezoneOffset());
    form.change("expires", { expires: then.toISOString().slice(0, 16) });
  };
  return html`
    <div class="form-group">
      <label for="expires" class="form-label">Expires <span class="form-optional">optional, your local time</span></label>
      <div class="expires-row">
        <input type="datetime-local" class="field" id="expires" .value=${model.expires} autocomplete="off" aria-invalid=${error ? "true" : nothing}
          aria-describedby="expires-help${error ? " expires-error" : ""}" @change=${typed} @blur=${typed}>
        ${[[30, "30 days"], [90, "90 days"], [365, "1 year"]].map(([number, text]) => html`<button type="button" class="button" aria-label="Expires in ${text}" @click=${() => days(number)}>${text}</button>`)}
        ${model.expires ? html`<button type="button" class="button" @click=${() => form.change("expires", { expires: "" })}>Never</button>` : nothing}
      </div>
      <p class="form-note" id="expires-help">After this time nobody reads it until it gets a later one.</p>
      <p class="field-error" id="expires-error" ?hidden=${!error}>${error}</p>
    </div>`;
}

function goneView(form) {
  const { model } = form;
  const lost = hidden(model) && model.value.text === "" && !model.value.file;
  return html`
    <div tabindex="-1" data-first class="conflict">
      <p class="conflict-head"><strong>${form.notice?.by ? named(form.notice.by) : "Somebody"} removed ${named(model.key)} from ${named(model.environments[0])} while you had it open.</strong></p>
      <p>${lost ? "You entered no value, so there is nothing to store. “Removed keys” brings the key back as it was."
    : "You can store it again as you have it here: it is then a new key of yours. “Removed keys” brings it back as it was."}</p>
    </div>`;
}

/** The buttons of the step that is shown. */
function actions(form) {
  const { stage, busy, model } = form;
  const button = (label, run, kind = "") => html`<button type="button" class="button ${kind}" ?disabled=${busy} @click=${run}>${label}</button>`;
  const submit = (label) => html`<button type="submit" class="button primary" aria-disabled=${busy} >${busy ? "Saving…" : label}</button>`;
  const cancel = button("Cancel", () => form.cancel());
  const steps = {
    form: () => html`${cancel}${submit(model.mode === "edit" && model.tree === "variables" ? "Review change" : "Save")}`,
    review: () => html`${button("Back to the form", () => form.show("form"))}${submit("Save")}`,
    conflict: () => html`${button("Take theirs", () => form.takeTheirs())}${button("Go on editing", () => form.goOn())}${button("Save mine", () => form.saveMine(), "primary")}`,
    gone: () => html`${cancel}${hidden(model) && model.value.text === "" && !model.value.file ? nothing : button("Store it again", () => form.makeAnew(), "primary")}`,
  };
  return html`<footer class="dialog-actions">${steps[stage]()}</footer>`;
}

/** Asked before a dialog closes on something that is not saved. */
function askView(form) {
  return html`
    <div class="dialog-actions ask" role="alertdialog" aria-label="Not saved" aria-describedby="not-saved">
      <p id="not-saved">What you entered isn't saved.</p>
      <button type="button" class="button danger" @click=${() => form.discard()}>Discard</button>
      <button type="button" class="button" @click=${() => form.closeWithDraft()}>Close, keep as draft</button>
      <button type="button" class="button primary" data-keep @click=${() => form.keepEditing()}>Keep editing</button>
    </div>`;
}
