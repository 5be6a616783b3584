// What saving a form would change, before it is saved; and what two people have changed at the same time.
//
// Invariants:
// - Of a secret only that its value changes is said.
// - In a conflict nothing is decided for the user: theirs, mine, or to go on editing.

import { diffView } from "./diff.js";
import { hidden, localTime, textToStore, touched } from "./form-model.js";
import { named } from "./names.js";
import { permissionChanges } from "./permissions.js";
import { spelled } from "./spelling.js";
import { html, nothing } from "./vendor/lit-html.js";
import { ago, count } from "./words.js";

/** The value that would be stored, whole; null where it is no text or can't be shown. */
function mine(model) {
  if (model.value.file) return model.value.file.text;
  if (hidden(model) && !touched(model).value) return null;
  return textToStore(model) + (model.base?.kind === "text" && model.base.newline && !model.value.clear ? "\n" : "");
}

/** The value of an entry, whole; null where it is no text or can't be shown. */
function whole(entry) {
  return entry.kind === "text" && entry.value !== null ? entry.value + (entry.newline ? "\n" : "") : null;
}

/** What saving would change. */
export function reviewView(model) {
  const parts = touched(model);
  return html`
    <div class="review">
      <p>Saving changes <code>${named(model.key)}</code> in <strong>${named(model.environments[0])}</strong>, which is at version ${model.base.version}.</p>
      ${parts.value ? html`<h3>Value</h3>${valueChange(whole(model.base), mine(model), { secret: model.tree === "secrets", label: `Change of ${spelled(model.key)}` })}` : nothing}
      ${parts.permissions ? html`<h3>Permissions</h3>${permissionList(model.base.permissions, model.permissions)}` : nothing}
      ${parts.expires ? html`<h3>Expiry</h3><p>${expiry(localTime(model.base.expires))} → ${expiry(model.expires)}</p>` : nothing}
    </div>`;
}

function valueChange(before, after, { secret, label }) {
  if (secret) return html`<p>The secret gets another value.</p>`;
  if (before === null || after === null) return html`<p>The value is replaced; ${after === null ? "the new one" : "the stored one"} can't be shown as text.</p>`;
  return diffView(before, after, { label });
}

function permissionList(before, after) {
  return html`<ul class="changes">${permissionChanges(before, after).map(({ who, before: from, after: to }) => html`<li><strong>${named(who)}</strong>: ${from} → ${to}</li>`)}</ul>`;
}

function expiry(time) {
  return time === "" ? "never" : new Date(time).toLocaleString();
}

/** What `current` and the form each changed since the form was opened. */
export function conflictView(model, current) {
  const { base } = model;
  const parts = touched(model);
  const other = {
    value: current.version !== base.version,
    permissions: permissionChanges(base.permissions, current.permissions).length > 0,
    expires: localTime(base.expires) !== localTime(current.expires),
  };
  const secret = model.tree === "secrets";
  const both = (part) => parts[part] && other[part];
  return html`
    <div class="conflict" role="group" aria-label="What changed">
      <p class="conflict-head"><strong>${heading(current, base)}</strong> You opened version ${base.version}; nothing of yours is stored yet.</p>
      ${other.value ? html`
        <h3>Their value</h3>
        ${secret || whole(base) === null || whole(current) === null
    ? html`<p>The value was replaced by ${named(current.modified_by)} ${ago(current.modified)}: version ${current.version}, ${count(current.size, "byte")}. ${secret ? "A secret isn't shown." : ""}</p>`
    : html`<p class="form-note">From version ${base.version}, which you opened, to version ${current.version}:</p>${diffView(whole(base), whole(current), { label: "What they changed" })}`}` : nothing}
      ${parts.value ? html`
        <h3>Your value</h3>
        ${secret || whole(current) === null || mine(model) === null
    ? html`<p>You entered a new value${model.value.file ? html` from ${named(model.value.file.name)}` : nothing}.</p>`
    : html`<p class="form-note">From ${other.value ? "theirs" : "what is stored"} to yours:</p>${diffView(whole(current), mine(model), { label: "What saving yours would change" })}`}` : nothing}
      ${other.permissions ? html`<h3>Their permissions</h3>${permissionList(base.permissions, current.permissions)}` : nothing}
      ${parts.permissions ? html`<h3>Your permissions</h3>${permissionList(current.permissions, model.permissions)}` : nothing}
      ${other.expires ? html`<h3>Their expiry</h3><p>${expiry(localTime(base.expires))} → ${expiry(localTime(current.expires))}</p>` : nothing}
      ${Object.keys(parts).some(both)
    ? html`<p class="conflict-sum">“Save mine” puts yours in the place of theirs; theirs stays in the history.</p>`
    : html`<p class="conflict-sum">You changed other parts than they did: “Save mine” keeps both.</p>`}
    </div>`;
}

function heading(current, base) {
  if (current.version !== base.version) return html`${named(current.modified_by)} changed ${named(current.key)} ${ago(current.modified)}: it is at version ${current.version} now.`;
  const what = [
    permissionChanges(base.permissions, current.permissions).length > 0 && "permissions",
    localTime(base.expires) !== localTime(current.expires) && "expiry",
  ].filter(Boolean).join(" and the ");
  return html`Somebody changed the ${what || "permissions"} of ${named(current.key)} meanwhile.`;
}
