// A menu at a point or a button, after the ARIA authoring practices.
//
// Invariants:
// - One menu is open at a time; Escape, Tab, a click elsewhere and scrolling close it.
// - When it closes, the focus is where `back` puts it, before what was chosen is run.

import { html, nothing, render } from "./vendor/lit-html.js";

/** Pixels between the menu and the window's edge. */
const EDGE = 8;

let opened = null;

/** Opens it. `items` are `{label, run, hint?, danger?, disabled?}` or null for a line; `place` is a point or an element. */
export function openMenu({ label, items, place, back }) {
  opened?.close(false);
  const element = document.createElement("div");
  element.className = "menu";
  element.setAttribute("role", "menu");
  element.setAttribute("aria-label", label);
  element.popover = "manual";
  render(items.map((item) => item === null ? html`<div role="separator" class="menu-line"></div>` : html`
    <button type="button" role="menuitem" class="menu-item" tabindex="-1" data-kind=${item.danger ? "danger" : nothing} @click=${() => choose(item)}>
      <span>${item.label}</span>${item.hint ? html`<kbd aria-hidden="true">${item.hint}</kbd>` : nothing}</button>`), element);
  (document.querySelector("main") ?? document.body).append(element);
  element.showPopover();
  put(element, place);

  const outside = (event) => { if (!element.contains(event.target)) close(event.type !== "pointerdown"); };
  const listeners = [[document, "pointerdown", outside], [document, "scroll", outside], [window, "resize", () => close(true)], [window, "blur", () => close(true)]];
  for (const [target, name, f] of listeners) target.addEventListener(name, f, target === document);
  element.addEventListener("keydown", typed);
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("pointermove", (event) => event.target.closest(".menu-item")?.focus({ preventScroll: true }));
  opened = { close };
  choices()[0]?.focus({ preventScroll: true });

  function choices() {
    return [...element.querySelectorAll(".menu-item")];
  }

  function close(isBack) {
    if (!element.isConnected) return;
    for (const [target, name, f] of listeners) target.removeEventListener(name, f, target === document);
    if (opened?.close === close) opened = null;
    element.remove();
    if (isBack) back();
  }

  function choose(item) {
    close(true);
    item.run();
  }

  function typed(event) {
    const all = choices();
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    event.stopPropagation();
    if (to !== undefined) all[(to + all.length) % all.length].focus();
    else if (event.key === "Escape") close(true);
    else if (event.key === "Tab") close(true);
    else if (event.key === " " || event.key === "Enter") return;
    else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey) begins(all, at, event.key)?.focus();
    else return;
    event.preventDefault();
  }
}

/** The next item that begins with a letter. */
function begins(all, at, letter) {
  const wanted = letter.toLowerCase();
  return [...all.slice(at + 1), ...all.slice(0, at + 1)].find((item) => item.textContent.trim().toLowerCase().startsWith(wanted));
}

/** Below and to the right of a point or at an element's end, and within the window. */
function put(element, place) {
  const box = place instanceof Element ? place.getBoundingClientRect() : { left: place.x, right: place.x, bottom: place.y, top: place.y };
  const { offsetWidth: width, offsetHeight: height } = element;
  const isPoint = !(place instanceof Element);
  let left = isPoint ? box.left : box.right - width;
  let top = box.bottom + (isPoint ? 0 : 4);
  if (top + height > innerHeight - EDGE) top = Math.max(EDGE, box.top - height);
  left = Math.max(EDGE, Math.min(left, innerWidth - width - EDGE));
  element.style.setProperty("left", `${left}px`);
  element.style.setProperty("top", `${top}px`);
}
