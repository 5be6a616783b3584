// The page: its head, its tabs, and the view that is looked at.
//
// Invariants:
// - What is drawn here follows `state`, the session and the connection, and holds nothing that is typed.
// - A view that is left is ended before the next begins: no filter, no listener goes with it.

import { get, ApiError } from "./api.js";
import { setFocusHome } from "./dialog.js";
import { begin, onSession, onWrongLink } from "./session.js";
import { KeysView } from "./list.js";
import { onChange, onConnection, onLost, start } from "./live.js";
import { named } from "./names.js";
import { askForLink, endAsking } from "./renew.js";
import { spelled } from "./spelling.js";
import { addressOf, environment, follow, set, state, subscribe } from "./state.js";
import { nextTheme, theme } from "./theme.js";
import { toast } from "./toast.js";
import { html, nothing, render } from "./vendor/lit-html.js";
import { list } from "./words.js";

const TABS = [["secrets", "Secrets"], ["variables", "Variables"]];
const VIEWS = [["keys", "Keys"], ["matrix", "Across environments"], ["removed", "Removed keys"]];
const CONNECTION = { live: "Live", connecting: "Connecting…", off: "Not connected" };

/** More environments than these are chosen from a list. */
const MOST_SEGMENTS = 6;

let connection = { state: "connecting", why: "" };
let view = null;

/** Another file of the page, which is asked for when it is first needed; null if it doesn't come, and that is said. */
async function part(file) {
  try {
    return await import(`./${file}`);
  } catch {
    toast("This didn't work: the page couldn't load a part of itself. Load the page again.", { kind: "failed" });
    return null;
  }
}

/** Runs what another file gives. */
export async function run(file, name, ...given) {
  try {
    const module = await part(file);
    return module && await module[name](...given);
  } catch (error) {
    if (!(error instanceof ApiError)) reportError(error);
    toast(error instanceof ApiError ? error.message : "This didn't work: the page made a mistake. Load the page again.", { kind: "failed" });
    return null;
  }
}

function tabs() {
  return html`<div class="tabs" role="tablist" aria-label="Kind of keys" @keydown=${moveTab}>
    ${TABS.map(([tree, label]) => html`<button type="button" role="tab" id="tab-${tree}" class="tab" aria-selected=${tree === state.tree} aria-controls="view"
      tabindex=${tree === state.tree ? 0 : -1} @click=${() => set({ tree })}>${label}</button>`)}
  </div>`;
}

function moveTab(event) {
  const at = TABS.findIndex(([tree]) => tree === state.tree);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const [tree] = TABS[(to + TABS.length) % TABS.length];
  set({ tree });
  document.getElementById(`tab-${tree}`).focus();
}

function environments() {
  const all = state.about.environments;
  if (all.length > MOST_SEGMENTS) {
    return html`<label class="environments"><span class="label">Environment</span>
      <select class="input" name="environment" @change=${(event) => set({ environment: event.target.value })}>
        ${all.map(({ name, protected: isProtected }) => html`<option value=${name} .selected=${name === state.environment}>${spelled(name)}${isProtected ? " (protected)" : ""}</option>`)}
      </select></label>`;
  }
  return html`<fieldset class="environments"><legend class="visually-hidden">Environment</legend>
    ${all.map(({ name, protected: isProtected }) => html`<label class="environment" data-protected=${isProtected}>
      <input type="radio" name="environment" value=${name} autocomplete="off" .checked=${name === state.environment} @change=${() => set({ environment: name })}>
      <span>${named(name)}</span></label>`)}
  </fieldset>`;
}

function views() {
  return html`<nav class="views" aria-label="View">
    ${VIEWS.map(([name, label]) => html`<a href=${addressOf({ view: name })} aria-current=${name === state.view ? "page" : nothing}>${label}</a>`)}
  </nav>`;
}

function who() {
  const { user, mount } = state.about;
  const groups = user.groups.length === 0 ? "in no group" : `in ${user.groups.length === 1 ? "the group" : "the groups"} ${list(user.groups.map(spelled))}`;
  return html`<p class="who"><code title="The mount">${named(mount)}</code> <span title="You are ${spelled(user.name)}, ${groups}">as <strong>${named(user.name)}</strong></span></p>`;
}

function head() {
  const { protected: isProtected } = environment();
  return html`
    <header class="top" data-protected=${isProtected}>
      <h1 class="brand"><span class="brand-mark" aria-hidden="true"></span>Secret Keys Manager</h1>
      ${who()}
      <p class="connection" data-state=${connection.state} title=${connection.why || nothing}><span role="status">${CONNECTION[connection.state]}</span></p>
      <button type="button" class="icon-button theme" aria-label="Colours: ${theme()}" title="Colours: ${theme()}" data-theme-is=${theme()} @click=${() => { nextTheme(); draw(); }}></button>
    </header>
    <main class="main">
    <div class="bar">
      ${tabs()} ${environments()} ${views()}
      <div class="actions">
        <button type="button" class="button" @click=${() => run("import.js", "openImport")}>Import</button>
        <button type="button" class="button" @click=${() => run("export.js", "openExport")}>Export</button>
        <button type="button" class="button primary" id="add-new" @click=${() => run("form.js", "openAdd")}>Add New</button>
      </div>
    </div>
    ${connection.state === "off" ? html`<p class="notice trouble" data-kind="failed" role="alert"><strong>Not connected.</strong> ${connection.why} <span class="quiet">The page tries again by itself; what you see is as it was.</span></p>` : nothing}
    <div class="view" id="view" role="tabpanel" aria-labelledby="tab-${state.tree}"></div>
    </main>`;
}

function draw() {
  const app = document.getElementById("app");
  document.title = `${spelled(state.environment)} ${state.tree} – Secret Keys Manager`;
  render(head(), app);
}

function show() {
  view?.end?.();
  view = null;
  // Each view has an element of its own: nothing of the one before is in it.
  const element = document.createElement("div");
  element.className = "view-content";
  document.getElementById("view").replaceChildren(element);
  const place = { environment: state.environment, tree: state.tree };
  if (state.view === "keys") {
    view = new KeysView(element, { ...place, run });
    view.start();
  } else {
    showPart(element, place);
  }
}

async function showPart(element, place) {
  const isRemoved = state.view === "removed";
  element.setAttribute("aria-busy", true);
  const module = await part(isRemoved ? "removed.js" : "matrix.js");
  if (!element.isConnected) return;
  element.removeAttribute("aria-busy");
  if (isRemoved) {
    render(module?.renderRemoved(place) ?? nothing, element);
  } else if (module !== null) {
    view = new module.MatrixView(element, { tree: place.tree, environments: state.about.environments.map(({ name }) => name), run });
    view.start();
  }
}

/** `/` leads to the filter, whichever view has one. */
function toFilter(event) {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.("input, textarea, select, dialog, [contenteditable]")) return;
  const field = document.querySelector('#view input[type="search"]');
  if (field === null) return;
  event.preventDefault();
  field.focus();
  field.select();
}

async function about() {
  state.about = await get("/api/about");
}

/** Asks until the mount answers. */
async function first() {
  for (;;) {
    try {
      return await about();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      render(html`<header class="top"><h1 class="brand"><span class="brand-mark" aria-hidden="true"></span>Secret Keys Manager</h1></header>
        <p class="notice" data-kind="failed" role="alert">${error.message} <span class="quiet">The page tries again by itself.</span></p>`, document.getElementById("app"));
      await new Promise((go) => setTimeout(go, 1000));
    }
  }
}

async function main() {
  document.getElementById("app").replaceChildren();
  onSession((has) => {
    if (!has) return askForLink();
    endAsking();
    // It may be of another start, with other rights.
    if (state.about !== null) about().then(draw, () => {});
  });
  onWrongLink((why) => toast(why, { kind: "failed" }));
  if (!(await begin())) askForLink({ hadOne: false });
  await first();
  follow();
  draw();
  show();
  subscribe((now, before) => {
    draw();
    if (["environment", "tree", "view"].some((part) => now[part] !== before[part])) show();
  });
  setFocusHome(() => {
    if (view?.focus?.() !== true) document.getElementById(`tab-${state.tree}`)?.focus();
  });
  onConnection((next) => {
    connection = next;
    draw();
  });
  const again = () => about().then(() => {
    set({}, { replace: true });
    draw();
  }, () => {});
  // An environment may have come or gone.
  onLost(again);
  onChange(({ environment, tree }) => {
    if (tree === null || !state.about.environments.some(({ name }) => name === environment)) again();
  });
  document.addEventListener("keydown", toFilter);
  start();
  import("./drop.js").then(({ takeDrops }) => takeDrops(), () => {});
}

main();
