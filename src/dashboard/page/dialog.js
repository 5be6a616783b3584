// Modal dialogs.
//
// Invariants:
// - Escape, Back and the closing cross ask `leave` first; a dialog that may not be left stays.
// - When the last one has closed, the focus is where it was, and the history of the page is as before.
// - Nothing of a closed dialog is left in the page.

import { html, nothing, render } from "./vendor/lit-html.js";

const open = [];
let leaving = false;
let home = () => {};
let names = 0;

/** Where the focus goes when what had it is gone. */
export function setFocusHome(f) {
  home = f;
}

/** Whether any dialog is open. */
export const isOpen = () => open.length > 0;

/** Whether this dialog is the one that is worked in. */
export const isOnTop = (dialog) => dialog !== null && open.at(-1) === dialog;

/**
 * Opens a dialog. `title` is a text or a template, or gives one; `body` gives its template at each `update()`; `leave`, if given, says whether it may be left just now;
 * `size` is "small", "medium", "wide" or "large".
 */
export function openDialog({ title, body, leave = () => true, size = "medium" }) {
  const element = document.createElement("dialog");
  element.className = "dialog";
  element.dataset.size = size;
  const name = `dialog-${(names += 1)}`;
  element.setAttribute("aria-labelledby", name);
  const before = document.activeElement;
  const one = { element, leave, update, close };

  function update() {
    if (!element.isConnected) return;
    render(html`
      <header class="dialog-head">
        <h2 id=${name}>${typeof title === "function" ? title() : title}</h2>
        <button type="button" class="icon-button" aria-label="Close" @click=${() => askToLeave(one)}>×</button>
      </header>
      <div class="dialog-content">${body()}</div>`, element);
  }

  function close() {
    if (!open.includes(one)) return;
    open.splice(open.indexOf(one), 1);
    // Those who listen hear of it while what they drew is still there.
    element.addEventListener("close", () => {
      render(nothing, element);
      element.remove();
    }, { once: true });
    element.close();
    giveFocusBack(before);
    setTimeout(takeStepBack, 0);
  }

  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    // The browser would close it the second time, whatever is said.
    event.preventDefault();
    askToLeave(one);
  });
  element.addEventListener("cancel", (event) => {
    if (event.target !== element) return;
    event.preventDefault();
    askToLeave(one);
  });
  element.addEventListener("close", (event) => {
    if (event.target === element) close();
  });

  document.body.append(element);
  open.push(one);
  element.showModal();
  update();
  firstField(element)?.focus();
  makeStep();
  return one;
}

async function askToLeave(one) {
  if (one !== open.at(-1)) return false;
  if (!(await one.leave())) return false;
  one.close();
  return true;
}

/** The first field, or what is marked; else the dialog itself has the focus. */
function firstField(element) {
  return element.querySelector("[autofocus]") ?? element.querySelector(".dialog-content :is(input, textarea, select):not([disabled], [type=hidden])")
    ?? element.querySelector(".dialog-content button:not([disabled])");
}

function giveFocusBack(before) {
  if (before?.isConnected && before !== document.body) before.focus();
  else home();
}

/** Gives the focus to what is looked at, where what had it is gone. */
export function bringFocusHome() {
  if (open.length === 0 && document.activeElement === document.body) home();
}

// One step in the page's history stands for all open dialogs, so that Back comes here first.

function makeStep() {
  if (!leaving && history.state?.dialog !== true) history.pushState({ dialog: true }, "", location.hash);
}

function takeStepBack() {
  if (open.length > 0 || leaving || history.state?.dialog !== true) return;
  leaving = true;
  history.back();
}

addEventListener("popstate", async (event) => {
  if (leaving) {
    leaving = false;
    event.stopImmediatePropagation();
    if (open.length > 0) makeStep();
    return;
  }
  const top = open.at(-1);
  if (!top) return;
  event.stopImmediatePropagation();
  makeStep();
  await askToLeave(top);
});
