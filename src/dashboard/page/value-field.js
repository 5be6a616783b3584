// The field for a value: one line, many lines, or a file; masked where it is a secret.
//
// Invariants:
// - What is stored of a secret is never in it: it is empty when it opens, and empty means "keep".
// - What is typed of a secret is seen only while its box "Show what I type" is ticked.
// - Nothing typed or pasted loses a line: text with several lines makes it a field for many.
//
// It deliberately has no password field of the browser: that would be offered to the browser's own store.

import { hidden, mixedEnds, touched } from "./form-model.js";
import { named, unseenNote } from "./names.js";
import { html, nothing } from "./vendor/lit-html.js";

const MODES = [["line", "One line"], ["lines", "Many lines"], ["file", "A file"]];

/** Characters of a generated secret, and those that it is made of, as `dt kv generate` has them. */
const GENERATED = 32;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** `model` is the form's; `change(part)` gets what of its value is other now; `error` is what is wrong with it. */
export function valueField(model, { change, error = "", limit, locked = false }) {
  const { mode, text } = model.value;
  const secret = model.tree === "secrets";
  const binary = model.base?.kind === "binary";
  const described = `value-help${error ? " value-error" : ""}`;
  return html`
    <fieldset class="form-group" ?disabled=${locked} aria-describedby=${described}>
      <legend>${secret ? "Secret value" : "Value"}</legend>
      <div class="value-head">
        <div class="value-modes" role="radiogroup" aria-label="Kind of value">
          ${MODES.map(([name, label]) => html`<label><input type="radio" name="value-mode" value=${name} .checked=${mode === name}
            ?disabled=${name === "line" && text.includes("\n")} @change=${() => change({ mode: name, ...(name === "file" ? {} : { file: null }) })}><span>${label}</span></label>`)}
        </div>
        ${secret ? html`<button type="button" class="button" @click=${() => change({ mode: "line", file: null, clear: false, text: generate() })}>Generate</button>` : nothing}
      </div>
      ${mode === "file" ? filePart(model, { change, error, described, limit }) : textPart(model, { change, error, described })}
      ${secret && mode !== "file" ? html`<label class="tick"><input type="checkbox" .checked=${model.value.shown} @change=${(event) => change({ shown: event.target.checked })}> Show what I type</label>` : nothing}
      ${mode === "file" ? nothing : unseenNote(text, { lines: mode === "lines" })}
      ${model.mode === "edit" ? keptPart(model, { change }) : nothing}
      <p class="form-note" id="value-help">${help(model, binary)}</p>
      ${secret && model.base?.command ? html`<p class="form-note">Whoever may read it does so by <code>${named(model.base.command)}</code></p>` : nothing}
      <p class="field-error" id="value-error" ?hidden=${!error}>${error}</p>
    </fieldset>`;
}

function textPart(model, { change, error, described }) {
  const { mode, text, shown } = model.value;
  const secret = model.tree === "secrets";
  const masked = secret && !shown;
  const typed = (event) => change({ text: event.target.value });
  const common = { label: secret ? "Secret value" : "Value", placeholder: model.mode === "edit" && hidden(model) ? "Empty: the stored value is kept" : nothing };
  if (mode === "lines") {
    return html`<textarea id="value" class="field value-text ${masked ? "masked" : ""}" rows="6" aria-label=${common.label} placeholder=${common.placeholder}
      aria-invalid=${error ? "true" : nothing} aria-describedby=${described} autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck="false"
      .value=${text} @input=${typed}></textarea>`;
  }
  return html`<input id="value" type="text" class="field value-text ${masked ? "masked" : ""}" aria-label=${common.label} placeholder=${common.placeholder}
    aria-invalid=${error ? "true" : nothing} aria-describedby=${described} autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck="false"
    .value=${text} @input=${typed} @paste=${(event) => pasted(event, change)}>`;
}

/** A field of one line would drop the line ends of what is pasted. */
function pasted(event, change) {
  const text = event.clipboardData.getData("text/plain").replace(/\r\n?/g, "\n");
  if (!text.includes("\n")) return;
  event.preventDefault();
  const { value, selectionStart, selectionEnd } = event.target;
  const whole = value.slice(0, selectionStart) + text + value.slice(selectionEnd);
  const one = whole.replace(/\n$/, "");
  change(one.includes("\n") ? { mode: "lines", text: whole } : { text: one });
}

function filePart(model, { change, error, described, limit }) {
  const { file } = model.value;
  const take = (list) => list.length > 0 && read(list[0], limit).then((taken) => change({ file: taken, clear: false, text: "" }));
  return html`
    <div class="file-drop" @dragover=${(event) => { event.preventDefault(); event.stopPropagation(); }}
      @drop=${(event) => { event.preventDefault(); event.stopPropagation(); take(event.dataTransfer.files); }}>
      <input id="value" type="file" aria-label="File with the value" aria-invalid=${error ? "true" : nothing} aria-describedby=${described}
        @change=${(event) => take(event.target.files)}>
      ${file ? html`<p class="form-note"><strong>${named(file.name)}</strong>: ${file.size.toLocaleString("en")} bytes${file.text === null ? ", not text" : ""}</p>`
    : html`<p class="form-note">Choose a file, or drop one here. Its bytes are stored as they are.</p>`}
    </div>`;
}

/** What becomes of the value that is stored: said, and emptied only by a tick of its own. */
function keptPart(model, { change }) {
  const state = touched(model).value ? (model.value.clear ? "will be emptied" : "will be replaced") : "is kept";
  const emptied = hidden(model) || model.tree === "secrets";
  return html`
    ${emptied ? html`<p class="value-state" data-state=${state} role="status">The stored value <strong>${state}</strong>.</p>
      <label class="tick"><input type="checkbox" .checked=${model.value.clear} @change=${(event) => change(event.target.checked ? { clear: true, text: "", file: null } : { clear: false })}> Store an empty value</label>` : nothing}`;
}

function help(model, binary) {
  if (mixedEnds(model)) return "This value has line ends of several kinds. If you change it here, each becomes a plain newline.";
  if (binary && model.tree === "variables") return `What is stored is no text (${model.base.size.toLocaleString("en")} bytes): replace it by a file, or by a text.`;
  if (model.base?.kind === "denied") return "You may not read what is stored. Leave the field empty to keep it.";
  if (model.base?.kind === "expired") return "The key has expired, so its value can't be shown. Leave the field empty to keep it.";
  if (model.tree === "secrets") return model.mode === "edit" ? "A stored secret is not shown here, to nobody. Leave the field empty to keep it." : "It is stored encrypted, and not shown here again.";
  if (model.base?.newline) return "The stored value ends with a newline, and will go on to.";
  return model.mode === "add" && model.value.text === "" ? "An empty value is allowed." : "";
}

/** Random letters and digits, each as likely as the other. */
export function generate() {
  let text = "";
  while (text.length < GENERATED) {
    for (const byte of crypto.getRandomValues(new Uint8Array(GENERATED))) {
      if (byte < LETTERS.length * Math.floor(256 / LETTERS.length) && text.length < GENERATED) text += LETTERS[byte % LETTERS.length];
    }
  }
  return text;
}

/** A file as the form keeps it: what is larger than can be stored is not read. */
async function read(file, limit) {
  if (file.size > limit) return { name: file.name, size: file.size, base64: "", text: null };
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return { name: file.name, size: bytes.length, base64: btoa(binary), text: decoded(bytes) };
}

function decoded(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
