// A question with a few answers, in a dialog.

import { openDialog } from "./dialog.js";
import { html } from "./vendor/lit-html.js";

/** Asks, and tells the value of the choice, or null where the user went back. */
export function choose({ title, body, choices, cancel = "Cancel" }) {
  return new Promise((answer) => {
    let dialog;
    const end = (value) => {
      answer(value);
      dialog.close();
    };
    dialog = openDialog({
      title,
      body: () => html`
        ${body()}
        <div class="dialog-actions">
          <button type="button" class="button" @click=${() => end(null)}>${cancel}</button>
          ${choices.map(({ label, value, kind }) => html`
            <button type="button" class="button ${kind ?? ""}" @click=${() => end(value)}>${label}</button>`)}
        </div>`,
      leave: () => {
        answer(null);
        return true;
      },
    });
  });
}
