// The view of keys: a filter, the tree grid, and what is done with a row.
//
// Invariants:
// - What is typed into the filter is the field's own: nothing is ever written into it but by the user's wish.
// - A result that is late is dropped; a wrong expression leaves the last good result, and says what is wrong with it.
// - Changes of the mount come in as they happen; under an order of the server new keys are told, and not put anywhere.
//
// It deliberately decides nobody's permission: what may not be done, the server refuses when it is tried.

import { ApiError, bytes, post } from "./api.js";
import { cells, columnsOf, rowName } from "./cells.js";
import { Details } from "./details.js";
import { isExpression } from "./expression.js";
import { Grid } from "./grid.js";
import { onChange, onConnection, onLost } from "./live.js";
import { openMenu } from "./menu.js";
import { named } from "./names.js";
import { itemsOf } from "./row-menu.js";
import { RowsLink } from "./rows-link.js";
import { spelled } from "./spelling.js";
import { state } from "./state.js";
import { announce, toast } from "./toast.js";
import { Toolbar } from "./toolbar.js";
import { count, number } from "./words.js";
import { html, nothing, render } from "./vendor/lit-html.js";

/** Milliseconds: changes are gathered for so long; a changed row is marked for so long; the next try after one that failed. */
const GATHER = 40, FLASH = 1800, AGAIN = 1000;

let link = null;
/** As the user left it last, also in another environment. */
let isFlat = false;

export class KeysView {
  #home;
  #place;
  #run;
  #grid;
  #details;
  #toolbar;
  #gridHome = document.createElement("div");
  #stateHome = document.createElement("div");
  #total = null;
  #shown = 0;
  #closed = [];
  #sort = { name: "key", descending: false };
  /** What the filter is: `plain` text, and the server's `selected` keys where it was asked. */
  #look = { plain: "", expression: "", selected: null, inOrder: false };
  #problem = "";
  #news = { added: new Set(), changed: new Set() };
  #steps = [];
  #timer = null;
  #flashes = new Map();
  #asked = 0;
  #ends = [];
  #isOver = false;

  constructor(home, { environment, tree, run }) {
    this.#home = home;
    this.#place = { environment, tree };
    this.#run = run;
    home.classList.add("keys");
    home.setAttribute("aria-busy", true);
    this.#details = new Details(this.#place, (keys) => { if (keys.length > 0) this.#grid.draw(); });
    this.#toolbar = new Toolbar({
      typed: (text) => this.#filter(text),
      flat: (flat) => this.#shape(flat),
      fold: (open) => this.#fold("all", open),
      news: () => this.#select(),
    });
    this.#gridHome.dataset.tree = tree;
    this.#grid = new Grid(this.#gridHome, this.#gridUses());
    home.replaceChildren(this.#toolbar.element, this.#stateHome, this.#gridHome);
  }

  start() {
    this.#ends.push(
      onChange((change) => this.#heard(change)),
      onLost(() => this.#load({ isAgain: true })),
      onConnection(({ state: now }) => { if (now === "live" && this.#problem !== "") this.#load(); }),
    );
    this.#load();
  }

  end() {
    this.#isOver = true;
    for (const end of this.#ends) end();
    clearTimeout(this.#timer);
    this.#toolbar.end();
    this.#details.end();
    this.#grid.end();
  }

  focus() {
    return this.#grid.focus();
  }

  // The keys.

  async #load({ isAgain = false } = {}) {
    const skeleton = setTimeout(() => this.#draw(), 120);
    try {
      // It loads what it consists of while the keys are on their way.
      if (link?.isBroken ?? true) link = new RowsLink();
      const data = await bytes("/api/keys", this.#place);
      if (this.#isOver) return;
      const look = isAgain ? null : { filter: "", descending: false, flat: isFlat, selected: null, inOrder: false };
      if (isAgain) this.#details.forget();
      const answer = await this.#ask("load", { bytes: data, tree: this.#place.tree, look }, { transfer: [data] });
      if (answer === null) return;
      this.#problem = "";
      this.#closed = answer.closed;
      this.#draw();
      if (isAgain && this.#look.selected !== null) this.#select();
    } catch (error) {
      if (!(error instanceof ApiError) || this.#isOver) {
        if (!this.#isOver) throw error;
        return;
      }
      this.#problem = error.message;
      this.#draw();
      if (error.status === 0 || error.status >= 500) setTimeout(() => { if (!this.#isOver && this.#problem !== "") this.#load({ isAgain }); }, AGAIN);
    } finally {
      clearTimeout(skeleton);
    }
  }

  /** Asks the worker, which is all views', and shows its answer; null if the view has ended, also meanwhile. */
  async #ask(kind, given, { transfer = [], toTop = false } = {}) {
    if (this.#isOver) return null;
    const anchor = toTop ? null : this.#grid.anchor;
    const active = toTop ? null : this.#grid.active.path;
    const window = toTop ? { from: 0, to: 300 } : this.#grid.window;
    const answer = await link.ask(kind, { ...given, keep: [anchor?.path ?? "", active ?? ""], window }, transfer);
    if (this.#isOver) return null;
    this.#total = answer.total;
    this.#shown = answer.shown;
    const [anchorAt, activeAt] = answer.places;
    this.#grid.take(answer, { anchor, anchorAt, activeAt, toTop });
    this.#draw();
    return answer;
  }

  // What is shown of them.

  #filter(text) {
    const wanted = text.trim();
    if (isExpression(wanted, state.about.fields.map(({ name }) => name))) {
      this.#select({ plain: "", expression: wanted });
      return;
    }
    this.#toolbar.wrong(null);
    if (wanted === this.#look.plain && this.#look.expression === "") return;
    if (this.#sort.name === "key") {
      this.#asked += 1;
      this.#look = { plain: wanted, expression: "", selected: null, inOrder: false };
      this.#show({ toTop: true });
    } else {
      this.#select({ plain: wanted, expression: "" });
    }
  }

  #sortBy(name) {
    const descending = this.#sort.name === name ? !this.#sort.descending : name !== "key" && name !== "expires";
    this.#select({ sort: { name, descending } });
  }

  /** Has the server choose and order where it has to, and shows the result. */
  async #select({ plain = this.#look.plain, expression = this.#look.expression, sort = this.#sort } = {}) {
    this.#asked += 1;
    const asked = this.#asked;
    const inOrder = sort.name !== "key";
    let selected = null;
    if (inOrder || expression !== "") {
      const busy = setTimeout(() => this.#toolbar.busy(true), 150);
      try {
        const order = inOrder ? `${sort.descending ? "-" : "+"}${sort.name}` : "";
        selected = (await post("/api/select", { ...this.#place, filter: expression, sort: order })).keys;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (asked === this.#asked && !this.#isOver) this.#refused(error);
        return;
      } finally {
        clearTimeout(busy);
        if (asked === this.#asked) this.#toolbar.busy(false);
      }
      if (asked !== this.#asked || this.#isOver) return;
    }
    this.#toolbar.wrong(null);
    this.#news = { added: new Set(), changed: new Set() };
    this.#sort = sort;
    this.#look = { plain, expression, selected, inOrder };
    await this.#show({ toTop: true });
  }

  #refused(error) {
    if (error.field === "filter") this.#toolbar.wrong(error);
    else toast(error.message, { kind: "failed" });
  }

  #show({ toTop = false } = {}) {
    const { plain, selected, inOrder } = this.#look;
    return this.#ask("look", { look: { filter: plain, selected, inOrder, flat: isFlat, descending: this.#sort.descending } }, { toTop });
  }

  #shape(flat) {
    isFlat = flat;
    this.#show({ toTop: true });
  }

  #fold(rows, open, beside = null) {
    if (rows === "siblings") {
      const { path, level } = beside;
      const above = path.replace(/[^/]+\/?$/, "");
      return this.#ask("foldBeside", { above, level });
    }
    const paths = rows === "all" ? "all" : rows.map(({ path }) => path);
    return this.#ask("fold", { paths, open });
  }

  // What happens meanwhile.

  #heard(change) {
    const { environment, tree, key, to, what, version } = change;
    if (environment !== this.#place.environment || tree !== this.#place.tree) return;
    if (what === "put") this.#steps.push({ put: key });
    else if (what === "remove") this.#steps.push({ remove: key });
    else if (what === "rename") this.#steps.push({ rename: key, to });
    else if (what === "permission" && version === null) this.#steps.push({ reload: true });
    else if (what === "exchange" && version === null) this.#steps.push({ reload: true });
    else if (what === "mkdir") return;
    this.#steps.push({ touched: to ?? key }, { touched: key });
    this.#timer ??= setTimeout(() => this.#apply(), GATHER);
  }

  async #apply() {
    this.#timer = null;
    const steps = this.#steps.splice(0);
    // The keys are on their way: those steps are in them, or come to nothing when they are made again.
    if (this.#total === null) {
      this.#steps = steps;
      this.#timer = setTimeout(() => this.#apply(), GATHER);
      return;
    }
    if (steps.some(({ reload }) => reload)) {
      this.#load({ isAgain: true });
      return;
    }
    const touched = new Set(steps.map(({ touched }) => touched).filter((key) => key !== undefined));
    this.#flash(touched);
    this.#details.forget(touched);
    const listed = steps.filter((step) => step.touched === undefined);
    if (listed.length === 0) return;
    const answer = await this.#ask("change", { steps: listed });
    if (answer !== null) this.#tellNews(answer.added, touched);
  }

  #tellNews(added, touched) {
    if (this.#look.selected === null) return;
    for (const key of added) this.#news.added.add(key);
    for (const key of touched) if (!this.#news.added.has(key)) this.#news.changed.add(key);
    this.#draw();
    announce(this.#newsInWords());
  }

  #newsInWords() {
    const { added, changed } = this.#news;
    if (added.size > 0) return `${count(added.size, "new key")}: show`;
    return changed.size > 0 ? `${count(changed.size, "changed key")}: look again` : "";
  }

  #flash(keys) {
    const end = performance.now() + FLASH;
    for (const key of keys) this.#flashes.set(key, end);
    setTimeout(() => {
      const now = performance.now();
      for (const [key, until] of this.#flashes) if (until <= now) this.#flashes.delete(key);
      if (!this.#isOver) this.#grid.draw();
    }, FLASH + 50);
  }

  // What is drawn.

  #draw() {
    if (this.#isOver) return;
    const isFiltered = this.#look.plain !== "" || this.#look.expression !== "";
    const total = this.#total ?? 0;
    this.#toolbar.draw({
      count: this.#total === null ? "" : isFiltered ? `${number(this.#shown)} of ${count(total, "key")}` : count(total, "key"),
      isFlat: isFlat || this.#look.inOrder,
      isOrdered: this.#look.inOrder,
      news: this.#newsInWords(),
    });
    render(html`${this.#trouble()}${this.#closedNote()}${this.#nothingThere(isFiltered)}`, this.#stateHome);
    this.#gridHome.hidden = this.#total === null || this.#grid.length === 0;
    this.#home.setAttribute("aria-busy", this.#total === null);
  }

  #trouble() {
    if (this.#problem === "") return nothing;
    return html`<p class="notice" data-kind="failed" role="alert">${this.#problem} <button type="button" class="button small" @click=${() => this.#load({ isAgain: this.#total !== null })}>Try again</button></p>`;
  }

  #closedNote() {
    if (this.#closed.length === 0) return nothing;
    const n = this.#closed.length;
    return html`<details class="closed"><summary>${count(n, "directory")} may not be listed by you${n === 1 ? "" : ""}</summary>
      <ul>${this.#closed.slice(0, 100).map((path) => html`<li class="key">${named(path)}</li>`)}${n > 100 ? html`<li>and ${number(n - 100)} more</li>` : nothing}</ul></details>`;
  }

  #nothingThere(isFiltered) {
    if (this.#total === null) {
      if (this.#problem !== "") return nothing;
      return html`<div class="skeleton" role="status"><span class="visually-hidden">Looking at the keys…</span>${[70, 45, 60, 52, 66, 40].map((width) => html`<div class="skeleton-row"><span .style=${`width:${width / 2}%`}></span></div>`)}</div>`;
    }
    if (this.#shown > 0) return nothing;
    const { environment, tree } = this.#place;
    if (isFiltered && this.#total > 0) {
      return html`<div class="empty"><h2>No key matches</h2>
        <p>None of the ${count(this.#total, "key")} in <strong>${named(environment)}</strong> has <code class="key">${named(this.#look.plain || this.#look.expression)}</code>${this.#look.expression ? " hold for it" : " in its path"}.</p>
        <button type="button" class="button" @click=${() => this.#toolbar.clear()}>Clear the filter</button></div>`;
    }
    const kind = tree === "secrets" ? "secret" : "variable";
    const command = `echo … | dt kv put ${tree === "secrets" ? "-s " : ""}${environment === "dev" ? "" : `-e ${environment} `}db/password`;
    return html`<div class="empty"><h2>No ${kind}s in ${named(environment)} yet</h2>
      <p>Add the first one here, import a dotenv, JSON or YAML file, or store one from a shell: <code class="key">${named(command)}</code></p>
      <p class="empty-actions"><button type="button" class="button primary" @click=${() => this.#run("form.js", "openAdd")}>Add a ${kind}</button>
      <button type="button" class="button" @click=${() => this.#run("import.js", "openImport")}>Import</button></p></div>`;
  }

  // What is done with a row.

  #gridUses() {
    const { environment, tree } = this.#place;
    const cellUses = {
      tree,
      detail: (key) => this.#details.of(key),
      menu: (row, place) => this.#menu(row, place),
      copy: (text, what) => this.#copy(text, what),
    };
    return {
      label: `${tree === "secrets" ? "Secrets" : "Variables"} of ${spelled(environment)}`,
      columns: () => columnsOf(tree, this.#sort),
      cells: (row, isActive) => cells(row, { ...cellUses, isActive, isFlat: isFlat || this.#look.inOrder, filter: this.#look.plain }),
      rowName: (row) => rowName(row, tree),
      rowClass: (row) => (this.#flashes.has(row.path) ? "flash" : ""),
      slice: (from, to) => link.ask("slice", { from, to }).then((answer) => (this.#isOver ? null : answer)),
      find: (from, letters) => link.ask("find", { from, letters }).then(({ at }) => at),
      seen: (rows) => this.#details.want(rows.filter(({ isOpen }) => isOpen === null).map(({ path }) => path)),
      sort: (name) => this.#sortBy(name),
      fold: (rows, open, beside) => this.#fold(rows, open, beside),
      enter: ({ path }) => this.#run("form.js", "openEdit", path),
      remove: (row) => this.#run("remove.js", "openRemove", row.isOpen === null ? { keys: [row.path] } : { prefix: row.path.slice(0, -1) }),
      menu: (row, place) => this.#menu(row, place),
    };
  }

  #menu(row, place) {
    const detail = this.#details.of(row.path);
    const items = itemsOf(row, { ...this.#place, command: detail?.command, run: this.#run, copy: (text, what) => this.#copy(text, what) });
    openMenu({ label: spelled(row.path), items, place, back: () => this.#grid.focus() });
  }

  async #copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      toast(`${what} is on the clipboard: ${spelled(text)}`);
    } catch {
      toast(`The browser doesn't let the page use the clipboard. Copy it by hand: ${spelled(text)}`, { kind: "failed" });
    }
  }
}
