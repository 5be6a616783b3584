// The dialog for a new link, when there is no session or it has ended; behind a proxy it says why somebody isn't let in.
//
// Invariants: what is behind it stays as it was, other dialogs included; the pasted link is in no field once it has been taken.

import { openDialog } from "./dialog.js";
import { exchange, refusal, session, take as ask, tokenIn } from "./session.js";
import { html, nothing } from "./vendor/lit-html.js";

let dialog = null;

/** There is a session again: nothing is to be asked for. */
export function endAsking() {
  dialog?.close();
  dialog = null;
}

/** `hadOne`: whether this tab had a session before. */
export function askForLink({ hadOne = true } = {}) {
  if (dialog !== null) return;
  let problem = "", busy = false;
  const again = async (event) => {
    event.preventDefault();
    busy = true;
    dialog.update();
    await ask();
    busy = false;
    if (dialog !== null) dialog.update();
  };
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
    if (dialog === null) {
      field.value = "";
      return;
    }
    dialog.update();
    field.focus();
  };
  dialog = openDialog({
    title: () => (refusal() !== null ? "You aren’t let in" : hadOne ? "This session has ended" : "Open the dashboard by its link"),
    size: "small",
    leave: () => session() !== null,
    body: () => refusal() !== null ? html`
      <form class="renew" @submit=${again}>
        <p role="alert">${sentence(refusal())}</p>
        <p>What you typed is still here.</p>
        <footer class="dialog-actions"><button type="submit" class="button primary" ?disabled=${busy}>Try again</button></footer>
      </form>` : html`
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

/** The server's line as a sentence. */
function sentence(line) {
  return `${line.charAt(0).toUpperCase()}${line.slice(1)}.`;
}
