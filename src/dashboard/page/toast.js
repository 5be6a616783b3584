// Short messages: shown for a while, and told to those who don't see them.
//
// Invariants:
// - A message with something to do, or that something failed, stays long enough to be read, and while it is pointed at or focused.
// - Whoever pressed something in one is back at what is looked at when it has gone.
// - What is told is told once, within the open dialog where there is one: a browser tells nothing of what is behind it.

import { bringFocusHome } from "./dialog.js";
import { html, nothing, render } from "./vendor/lit-html.js";

const SHORT = 6000, LONG = 20_000;

let shown = [];

/** Shows `text`; `action` is `{label, run}`, `kind` is "done" or "failed". Gives what takes it away. */
export function toast(text, { action = null, kind = "done" } = {}) {
  const one = { text, action, kind, timer: null };
  shown = [...shown.slice(-3), one];
  start(one);
  draw();
  announce(text, kind === "failed");
  return () => close(one);
}

/** Tells `text` to a screen reader, at once if it can't wait. */
export function announce(text, urgent = false) {
  const home = document.querySelector("dialog[open]:last-of-type") ?? document.body;
  const name = urgent ? "urgent" : "polite";
  let region = home.querySelector(`:scope > .told[data-told="${name}"]`);
  if (!region) {
    region = document.createElement("div");
    region.className = "told visually-hidden";
    region.dataset.told = name;
    region.setAttribute("role", urgent ? "alert" : "status");
    home.append(region);
  }
  const line = document.createElement("p");
  line.textContent = text;
  // A region that is there before its text is heard by more readers.
  setTimeout(() => region.replaceChildren(line), 50);
}

function start(one) {
  clearTimeout(one.timer);
  if (one.kind === "failed" && one.action === null) one.timer = setTimeout(() => close(one), LONG);
  else one.timer = setTimeout(() => close(one), one.action ? LONG : SHORT);
}

function close(one) {
  clearTimeout(one.timer);
  const had = document.getElementById("toasts")?.contains(document.activeElement);
  shown = shown.filter((other) => other !== one);
  draw();
  if (had) bringFocusHome();
}

function run(one) {
  close(one);
  one.action.run();
}

function draw() {
  const home = document.getElementById("toasts");
  if (!home) return;
  render(shown.map((one) => html`
    <div class="toast" data-kind=${one.kind}
      @pointerenter=${() => clearTimeout(one.timer)} @pointerleave=${() => start(one)}
      @focusin=${() => clearTimeout(one.timer)} @focusout=${() => start(one)}>
      <p>${one.text}</p>
      ${one.action ? html`<button type="button" class="button small" @click=${() => run(one)}>${one.action.label}</button>` : nothing}
      <button type="button" class="icon-button" aria-label="Dismiss" @click=${() => close(one)}>×</button>
    </div>`), home);
  // In the top layer, so that no dialog covers it.
  if (home.popover === null) return;
  if (home.matches(":popover-open")) home.hidePopover();
  if (shown.length > 0) home.showPopover();
}
