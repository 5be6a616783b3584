// The dialog for a new link, when there is no session or it has ended.
//
// Invariants: what is behind it stays as it was, other dialogs included; the pasted link is in no field once it has been taken.

import { openDialog } from "./dialog.js";
import { exchange, session, tokenIn } from "./session.js";
import { html, nothing } from "./vendor/lit-html.js";

let dialog = null;

/** `hadOne`: whether this tab had a session before. */
export function askForLink({ hadOne = true } = {}) {
  if (dialog !== null) return;
  let problem = "", busy = false;
  const take = async (event) => {
    event.preventDefault();
    const field = dialog.element.querySelector("input");
    const typed = field.value.trim();
    const token = tokenIn(typed) ?? (/^[\w-]{43}$/.test(typed) ? typed : null);
    problem = token === null ? "This is no link of the dashboard: it ends in #token= and 43 letters and digits." : "";
    if (token !== null) {
      busy = true;
      dialog.update();
      problem = await exchange(token).then(() => "", (error) => error.message);
      busy = false;
    }
    if (session() !== null) {
      field.value = "";
      dialog.close();
      dialog = null;
      return;
    }
    dialog.update();
    field.focus();
  };
  dialog = openDialog({
    title: hadOne ? "This session has ended" : "Open the dashboard by its link",
    size: "small",
    leave: () => session() !== null,
    body: () => html`
      <form class="renew" @submit=${take}>
        ${hadOne ? html`<p>The dashboard was started anew, or this tab wasn't used for long. What you typed is still here.</p>` : nothing}
        <p>Paste the link that <code>dt dashboard</code> printed when it was started; if it runs no more, start it again.</p>
        <label class="field"><span class="label">Link</span>
          <input class="input mono" name="link" autocomplete="off" spellcheck="false" placeholder="http://127.0.0.1:…/#token=…" ?disabled=${busy}
            aria-invalid=${problem ? "true" : nothing} aria-describedby="renew-problem"></label>
        <p class="field-error" id="renew-problem" role="alert">${problem}</p>
        <footer class="dialog-actions"><button type="submit" class="button primary" ?disabled=${busy}>Go on</button></footer>
      </form>`,
  });
}
