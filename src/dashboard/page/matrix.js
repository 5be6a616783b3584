// The view across environments: every key of a tree with what it is in each environment, what is missing and what differs.
//
// Invariants:
// - Only the rows that are seen are in the document, and the one that has the focus.
// - The row that is looked at stays where it is, whatever comes in above it.
// - A mark is text and shape, never colour alone.
//
// It is an ARIA grid: arrows, Home, End and Page move, Enter and F2 edit, Esc leaves, the menu key opens the row's menu. It
// deliberately never shows a secret: whether two differ is the server's yes or no.

import { get, post } from "./api.js";
import { onChange, onLost } from "./live.js";
import { begin, editing, leave, onEdit, save, type } from "./matrix-edit.js";
import { ASKED, CLOSED, MISSING, MatrixModel, PRESENT } from "./matrix-model.js";
import { named, valued } from "./names.js";
import { LongPress } from "./press.js";
import { spelled } from "./spelling.js";
import { environment as environmentOf, state } from "./state.js";
import { html, nothing, render } from "./vendor/lit-html.js";
import { repeat } from "./vendor/directives/repeat.js";
import { Still, slice } from "./virtual.js";
import { OPENS_SECRETS, ago, count, exact, number } from "./words.js";

const narrow = matchMedia("(max-width: 45rem)");
const WIDE_ROW = 38, NARROW_ROW = 68;

export class MatrixView {
  #element;
  #tree;
  #model = null;
  #run;
  #chosen;
  #all;
  /** Where the focus is in the grid, or comes to; the first row until the user has been there. */
  #active = { key: null, column: 0 };
  #wasThere = false;
  #scroll = { top: 0, height: 600 };
  #frame = null;
  #still = new Still();
  /** Whether the next rows are others by the user's own doing, and none is held. */
  #isNew = false;
  #ends = [];

  /** `run` calls what another file of the page gives. */
  constructor(element, { tree, environments, run }) {
    this.#run = run;
    this.#element = element;
    this.#tree = tree;
    this.#all = environments;
    this.#chosen = environments;
  }

  start() {
    if (this.#all.length < 2) {
      render(html`<div class="matrix-empty"><p>This mount shows ${this.#all.length === 0 ? "no environment" : named(this.#all[0])} alone: there is nothing beside it to compare.</p></div>`, this.#element);
      return;
    }
    this.#model = new MatrixModel({
      tree: this.#tree,
      environments: this.#chosen,
      ask: {
        keys: (environment, tree) => get("/api/keys", { environment, tree }),
        compare: (question) => post("/api/compare", question),
      },
      changed: () => this.#later(),
    });
    onEdit(() => {
      const edit = editing();
      this.#draw();
      if (edit) this.#focusEditor();
    });
    this.#ends.push(onChange((change) => this.#model.heard(change)), onLost(() => this.#model.lost()));
    const press = new LongPress(this.#element, (target) => {
      const cell = this.#cellOf(target);
      return cell && !target.closest(".matrix-input") ? (point) => this.#menuAt(cell, point) : null;
    });
    this.#ends.push(() => press.end());
    const again = () => this.#later();
    narrow.addEventListener("change", again);
    addEventListener("resize", again);
    this.#ends.push(() => narrow.removeEventListener("change", again), () => removeEventListener("resize", again));
    this.#draw();
    this.#model.load();
  }

  end() {
    onEdit(() => {});
    this.#model?.end();
    for (const end of this.#ends) end?.();
    if (this.#frame) cancelAnimationFrame(this.#frame);
    this.#frame = null;
    render(nothing, this.#element);
  }

  /** Takes the focus, where there is something to have it. */
  focus() {
    if (!this.#model?.shown.length) return false;
    this.#focus(false);
    return true;
  }

  get #rowHeight() {
    return narrow.matches ? NARROW_ROW : WIDE_ROW;
  }

  get #scroller() {
    return this.#element.querySelector(".matrix-scroll");
  }

  #later() {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      this.#draw();
    });
  }

  /** Draws what is seen; the row that is looked at stays where it is. */
  #draw() {
    const scroller = this.#scroller;
    const shown = this.#model.shown;
    if (scroller) {
      if (!this.#isNew) this.#still.hold(scroller, scroller.querySelector(".matrix-body"), { rowHeight: this.#rowHeight, count: shown.length, indexOf: (key) => this.#model.indexOf(key) });
      this.#scroll = this.#still.seen(scroller);
    } else this.#still = new Still();
    this.#isNew = false;
    if (!this.#wasThere || this.#model.indexOf(this.#active.key) < 0) this.#active.key = shown[0]?.key ?? null;
    const focused = this.#element.contains(document.activeElement) && document.activeElement?.closest?.("[role=grid]");
    render(this.#template(), this.#element);
    const body = this.#element.querySelector(".matrix-body");
    const grid = this.#element.querySelector("[role=grid]");
    if (!body) return;
    grid.style.setProperty("--environments", String(this.#chosen.length));
    this.#still.put(body, this.#rowHeight, shown.length);
    if (focused && !grid.contains(document.activeElement)) this.#focus(false);
    this.#want();
  }

  #want() {
    const { from, to } = slice(this.#scroll, this.#rowHeight, this.#model.shown.length);
    this.#model.want(this.#model.shown.slice(from, to));
  }

  /** The rows stand from the top again, where they were held away from it. */
  #settle() {
    if (this.#scroller && this.#still.settle(this.#scroller)) this.#draw();
  }

  #template() {
    const model = this.#model;
    return html`
      <div class="matrix">
      ${this.#bar()}
      ${this.#summary()}
      ${this.#elsewhere()}
      ${model.failed
          ? html`<div class="matrix-empty" role="alert"><p>${model.trouble?.message}</p>
              <button type="button" class="button" @click=${() => model.load()}>Try again</button></div>`
          : model.loading
            ? html`<div class="matrix-empty" aria-busy="true"><p>Asking which keys there are…</p></div>`
            : model.shown.length === 0 ? this.#empty() : this.#grid()}
      </div>`;
  }

  #bar() {
    const { kind, environment } = this.#model.filter;
    const { counts } = this.#model;
    const done = counts.compared >= counts.to_compare;
    const button = (name, label, size, about) => html`
      <button type="button" class="segment" aria-pressed=${String(kind === name && !environment)}
        @click=${() => this.#filter({ kind: name, environment: null })}>${label} <span class="segment-count" title=${about}>${size}</span></button>`;
    return html`
      <div class="matrix-bar">
        <label class="matrix-search"><span class="visually-hidden">Filter keys</span>
          <input type="search" class="input" placeholder="Filter keys" autocomplete="off" spellcheck="false"
            @input=${(event) => this.#text(event.target.value)}></label>
        <div class="segments" role="group" aria-label="Show">
          ${button("all", "All", counts.keys, `${counts.keys} keys`)}
          ${button("missing", "Missing", counts.missing, `${counts.missing} keys missing somewhere`)}
          ${this.#model.compares ? button("differs", "Differ", done ? counts.differs : `${counts.differs}…`, `${counts.differs} keys that differ${done ? "" : " so far"}`) : nothing}
          ${counts.unknown > 0 ? button("unknown", "Unknown", counts.unknown, `${counts.unknown} keys that you may not compare`) : nothing}
        </div>
        ${this.#all.length > 2 ? this.#environments() : nothing}
        <button type="button" class="button" ?disabled=${this.#model.shown.length === 0} @click=${() => this.#copyShown()}>
          Copy ${kind === "all" && !this.#model.filter.text ? "all" : "these"} to…</button>
      </div>`;
  }

  #environments() {
    const toggle = (name) => {
      const chosen = this.#all.filter((one) => (one === name) !== this.#chosen.includes(one));
      if (chosen.length < 2) return;
      this.#chosen = chosen;
      this.#active.column = Math.min(this.#active.column, chosen.length);
      this.#model.chooseEnvironments(chosen);
    };
    return html`
      <fieldset class="matrix-environments"><legend class="visually-hidden">Environments to compare</legend>
        ${this.#all.map((name) => html`
          <label class="tick"><input type="checkbox" .checked=${this.#chosen.includes(name)}
            ?disabled=${this.#chosen.length === 2 && this.#chosen.includes(name)} @change=${() => toggle(name)}> ${named(name)}</label>`)}
      </fieldset>`;
  }

  #summary() {
    const { counts, loading, filter, shown, trouble, compares } = this.#model;
    const done = counts.compared >= counts.to_compare;
    const filtered = filter.text || filter.kind !== "all";
    return html`
      <div class="matrix-summary">
        <p role="status" class="matrix-count">${loading ? "Counting…" : html`
          ${count(counts.keys, "key")}: ${number(counts.missing)} missing somewhere${
            !compares ? nothing : done ? `, ${number(counts.differs)} differ` : `, ${number(counts.differs)} differ so far`}${
            counts.unknown > 0 ? `, ${number(counts.unknown)} you may not compare` : nothing}${
            filtered ? html`; <strong>${count(shown.length, "key")} shown</strong>` : nothing}`}</p>
        ${loading || compares || counts.to_compare === 0 ? nothing : html`
          <span class="matrix-ask"><button type="button" class="button" @click=${() => this.#model.compare()}>Compare values</button>
            <span class="quiet">${OPENS_SECRETS}</span></span>`}
        ${loading || done || !compares ? nothing : html`
          <label class="matrix-progress">Comparing values
            <progress max=${counts.to_compare} .value=${counts.compared}></progress>
            <span>${number(counts.compared)} of ${number(counts.to_compare)}</span></label>`}
        ${trouble && !this.#model.failed ? html`<p class="matrix-trouble" role="alert">${trouble.message}</p>` : nothing}
      </div>`;
  }

  /** Where the cell that is edited can't be seen, how to come back to it. */
  #elsewhere() {
    const edit = editing();
    if (!edit || (edit.tree === this.#tree && this.#model.indexOf(edit.key) >= 0) || this.#model.loading) return nothing;
    if (edit.tree !== this.#tree) return nothing;
    return html`
      <p class="matrix-elsewhere" role="status"><span>You are editing <code class="key">${named(edit.key)}</code> in ${named(edit.environment)}, which isn't shown now.</span>
        <button type="button" class="button" @click=${() => this.#backToEdit()}>Go back to it</button>
        <button type="button" class="button" @click=${leave}>Discard it</button></p>`;
  }

  #backToEdit() {
    const edit = editing();
    this.#element.querySelector(".matrix-search input").value = "";
    this.#filter({ kind: "all", environment: null, text: "" });
    this.#active = { key: edit.key, column: this.#chosen.indexOf(edit.environment) + 1 };
    this.#reveal();
    this.#focusEditor();
  }

  #empty() {
    const { filter, counts } = this.#model;
    if (counts.keys === 0) {
      return html`<div class="matrix-empty"><p>There are no ${this.#tree} in any of these environments yet.</p></div>`;
    }
    const what = { missing: "No key is missing", differs: "No key differs", unknown: "There is no key that you may not compare" }[filter.kind] ?? "No key fits";
    return html`
      <div class="matrix-empty">
        <p>${what}${filter.environment ? html` from ${named(filter.environment)}` : ""}${filter.text ? html` with “${named(filter.text)}” in it` : ""}.</p>
        <button type="button" class="button" @click=${() => {
          this.#element.querySelector(".matrix-search input").value = "";
          this.#filter({ kind: "all", environment: null, text: "" });
        }}>Show all keys</button>
      </div>`;
  }

  #grid() {
    const { shown, lacking, filter } = this.#model;
    const { from, to } = slice(this.#scroll, this.#rowHeight, shown.length);
    const rows = shown.slice(from, to).map((row, at) => ({ row, index: from + at }));
    // What has the focus, or is being edited, stays in the document.
    for (const key of new Set([this.#active.key, editing()?.key])) {
      const index = key ? this.#model.indexOf(key) : -1;
      if (index >= 0 && (index < from || index >= to)) rows.push({ row: shown[index], index });
    }
    rows.sort((a, b) => a.index - b.index);
    return html`
      <div class="matrix-scroll" @scroll=${() => this.#later()} @pointerleave=${() => this.#settle()}>
        <div role="grid" class="matrix-grid" aria-label="${this.#tree === "secrets" ? "Secrets" : "Variables"} across environments"
          aria-rowcount=${shown.length + 1} aria-colcount=${this.#chosen.length + 1}
          @keydown=${(event) => this.#key(event)} @focusin=${(event) => this.#focusin(event)}
          @click=${(event) => this.#click(event)} @dblclick=${(event) => this.#dblclick(event)}
          @contextmenu=${(event) => this.#menu(event)}>
          <div role="rowgroup" class="matrix-head">
            <div role="row" aria-rowindex="1" class="matrix-heads">
              <div role="columnheader" aria-colindex="1" class="matrix-key">Key</div>
              ${this.#chosen.map((name, at) => html`
                <div role="columnheader" aria-colindex=${at + 2} class="matrix-environment ${environmentOf(name).protected ? "protected" : ""}">
                  <span class="matrix-name">${named(name)}</span>
                  <button type="button" class="matrix-lacking" aria-pressed=${String(filter.kind === "missing" && filter.environment === name)}
                    title="Show the keys that are missing from ${spelled(name)}" ?disabled=${!lacking.get(name)}
                    @click=${() => this.#filter(filter.environment === name ? { kind: "all", environment: null } : { kind: "missing", environment: name })}
                    >${number(lacking.get(name) ?? 0)} missing</button>
                </div>`)}
            </div>
          </div>
          <div role="rowgroup" class="matrix-body">${repeat(rows, ({ row }) => row.key, ({ row, index }) => this.#row(row, index))}</div>
        </div>
      </div>`;
  }

  #row(row, index) {
    const { present, missing } = this.#model.places(row);
    const active = row.key === this.#active.key;
    const differs = present > 1 && row.differs === true;
    const unknown = present > 1 && row.differs === null;
    return html`
      <div role="row" class="matrix-row ${differs ? "differs" : ""}" aria-rowindex=${index + 2} data-index=${index} data-key=${row.key}>
        <div role="rowheader" aria-colindex="1" class="matrix-key" data-column="0" tabindex=${active && this.#active.column === 0 ? "0" : "-1"}>
          <span class="matrix-path" title=${spelled(row.key)}>${path(row.key)}</span>
          <span class="matrix-marks">
            ${differs ? html`<span class="mark mark-differs"><span aria-hidden="true">≠</span> differs</span>` : nothing}
            ${unknown ? html`<span class="mark mark-unknown" title="You may not read all of them, so they weren't compared"><span aria-hidden="true">?</span> unknown</span>` : nothing}
            ${missing > 0 ? html`<span class="mark mark-missing"><span aria-hidden="true">∅</span> missing</span>` : nothing}
          </span>
          <button type="button" class="matrix-more" tabindex="-1" aria-label="Menu of ${spelled(row.key)}" data-menu>⋯</button>
        </div>
        ${this.#chosen.map((name, at) => this.#cell(row, name, at + 1, active && this.#active.column === at + 1))}
      </div>`;
  }

  #cell(row, environment, column, active) {
    const edit = editing();
    const here = edit && edit.key === row.key && edit.environment === environment && edit.tree === this.#tree;
    return html`
      <div role="gridcell" aria-colindex=${column + 1} data-column=${column} class="matrix-cell ${here ? "editing" : ""}"
        tabindex=${active && !here ? "0" : "-1"}>
        <span class="matrix-in" aria-hidden="true">${named(environment)}</span>
        ${here ? this.#editor(edit) : this.#shown(row, environment)}
      </div>`;
  }

  #shown(row, environment) {
    const here = row.here[environment];
    if (here === MISSING) {
      return html`<span class="missing"><span aria-hidden="true">∅</span> missing</span>
        <span class="matrix-add" aria-hidden="true" data-edit>Add</span>`;
    }
    if (here === CLOSED) return html`<span class="quiet" title="You may not list the directory that it would be in">not listed</span>`;
    const cell = here === ASKED ? null : row.cells?.[environment];
    if (!cell) return html`<span class="matrix-wait"><span class="visually-hidden">being asked for</span></span>`;
    if (this.#tree === "secrets") {
      const closed = cell.kind === "denied";
      return html`<span class="set"><span aria-hidden="true">${closed ? "◌" : "●"}</span> set${closed ? ", may not be read" : nothing}</span>
        <span class="quiet matrix-when" title="version ${cell.version}, ${exact(cell.modified)}">${cell.modified_by ? html`${named(cell.modified_by)}, ` : ""}${ago(cell.modified)}</span>`;
    }
    if (cell.kind === "denied") return html`<span class="quiet">may not be read</span>`;
    if (cell.kind === "expired") return html`<span class="quiet">expired</span>`;
    if (cell.kind === "binary") return html`<span class="quiet">binary, ${count(cell.size, "byte")}</span>`;
    if (cell.value === "") return html`<span class="quiet">empty</span>`;
    const [first, ...more] = String(cell.value ?? "").split("\n");
    return html`<code class="matrix-text">${valued(first)}${cell.cut && more.length === 0 ? "…" : ""}</code>${
      more.length > 0 ? html`<span class="quiet matrix-lines">${cell.cut ? "many" : more.length + 1} lines</span>` : nothing}`;
  }

  #editor(edit) {
    return html`
      <input class="input matrix-input" .value=${edit.text} autocomplete="off" spellcheck="false" ?readonly=${edit.busy}
        aria-label="${edit.create ? "New value" : "Value"} of ${spelled(edit.key)} in ${spelled(edit.environment)}" aria-describedby="matrix-help"
        aria-invalid=${edit.trouble ? "true" : nothing}
        @input=${(event) => type(event.target.value)} @keydown=${(event) => this.#editorKey(event)}>
      <div class="matrix-help ${edit.trouble ? "wrong" : ""}" id="matrix-help" role=${edit.trouble ? "alert" : nothing}>
        ${edit.trouble ?? html`${edit.busy ? html`Saving in ${named(edit.environment)}…` : html`${edit.from ? html`As in ${named(edit.from)}. ` : nothing}<kbd>Enter</kbd> ${
          edit.create ? "adds to" : "saves in"} ${named(edit.environment)} · <kbd>Esc</kbd> leaves`}`}
      </div>`;
  }

  async #editorKey(event) {
    event.stopPropagation();
    if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      const { key, environment } = editing();
      const saved = await save();
      // The stream tells it as well, but may be on its way, or down.
      if (saved) this.#model.heard({ tree: this.#tree, environment, key, what: "put", version: 0 });
      if (saved) this.#focus();
      else this.#focusEditor();
    } else if (event.key === "Escape") {
      event.preventDefault();
      leave();
      this.#focus();
    }
  }

  #filter(filter) {
    this.#model.choose(filter);
    const scroller = this.#scroller;
    if (scroller) {
      this.#still.settle(scroller);
      scroller.scrollTop = 0;
    }
    this.#isNew = true;
    this.#draw();
  }

  #textTimer = null;

  #text(text) {
    clearTimeout(this.#textTimer);
    this.#textTimer = setTimeout(() => this.#filter({ text: text.trim().toLowerCase() }), 60);
  }

  #copyShown() {
    const { kind, environment, text } = this.#model.filter;
    const keys = this.#model.shown.map((row) => row.key);
    const to = kind === "missing" && environment ? environment : undefined;
    const from = this.#chosen.find((name) => name !== to);
    this.#run("copy.js", "openCopy", { keys, from, to, what: kind === "all" && !text ? "all keys" : undefined });
  }

  // --- Where the focus is, and what the keys do ---

  #cellOf(node) {
    const cell = node?.closest?.("[data-column]");
    const row = node?.closest?.(".matrix-row");
    return cell && row ? { key: row.dataset.key, column: Number(cell.dataset.column) } : null;
  }

  #focusin(event) {
    const cell = this.#cellOf(event.target);
    this.#wasThere ||= cell !== null;
    if (!cell || (cell.key === this.#active.key && cell.column === this.#active.column)) return;
    this.#active = cell;
    this.#later();
  }

  #cellAt({ key, column }) {
    const row = this.#element.querySelector(`.matrix-row[data-key="${CSS.escape(key)}"]`);
    return row?.querySelector(`[data-column="${column}"]`) ?? null;
  }

  /** Puts the focus on the active cell. */
  #focus(scroll = true) {
    if (!this.#active.key) return;
    if (scroll) this.#reveal();
    this.#draw();
    this.#cellAt(this.#active)?.focus({ preventScroll: true });
  }

  #focusEditor() {
    const input = this.#element.querySelector(".matrix-input");
    if (!input || input === document.activeElement) return;
    input.focus({ preventScroll: true });
    input.select();
  }

  /** Scrolls so that the active row is seen. */
  #reveal() {
    const scroller = this.#scroller;
    const index = this.#model.indexOf(this.#active.key);
    if (!scroller || index < 0) return;
    const head = scroller.querySelector(".matrix-head").offsetHeight;
    const top = this.#still.topOf(index, this.#rowHeight), height = scroller.clientHeight - head;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + this.#rowHeight > scroller.scrollTop + height) scroller.scrollTop = top + this.#rowHeight - height;
    this.#isNew = true;
    this.#draw();
    const cell = this.#cellAt(this.#active);
    if (cell && this.#active.column > 0) cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #key(event) {
    const shown = this.#model.shown;
    if (event.target.closest(".matrix-input") || event.altKey || event.metaKey || shown.length === 0) return;
    if (event.target.closest("button:not([data-menu])")) return;
    const at = Math.max(0, this.#model.indexOf(this.#active.key));
    const last = shown.length - 1, columns = this.#chosen.length;
    const page = Math.max(1, Math.floor(this.#scroll.height / this.#rowHeight) - 2);
    const to = (row, column = this.#active.column) => ({ row: Math.min(last, Math.max(0, row)), column: Math.min(columns, Math.max(0, column)) });
    const moves = {
      ArrowDown: () => to(at + 1), ArrowUp: () => to(at - 1),
      ArrowRight: () => to(at, this.#active.column + 1), ArrowLeft: () => to(at, this.#active.column - 1),
      PageDown: () => to(at + page), PageUp: () => to(at - page),
      Home: () => (event.ctrlKey ? to(0, 0) : to(at, 0)), End: () => (event.ctrlKey ? to(last, columns) : to(at, columns)),
    };
    const move = moves[event.key];
    if (move) {
      event.preventDefault();
      const { row, column } = move();
      this.#active = { key: shown[row].key, column };
      this.#focus();
    } else if ((event.key === "Enter" || event.key === "F2") && !event.ctrlKey) {
      event.preventDefault();
      this.#edit();
    } else if (event.key === "Delete" && this.#active.column > 0) {
      event.preventDefault();
      this.#delete(this.#active.key, this.#chosen[this.#active.column - 1]);
    } else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) {
      event.preventDefault();
      this.#openMenu(this.#active, this.#cellAt(this.#active));
    }
  }

  #click(event) {
    const cell = this.#cellOf(event.target);
    if (!cell) return;
    if (event.target.closest("[data-menu]")) {
      this.#active = { key: cell.key, column: 0 };
      this.#openMenu(this.#active, event.target.closest("[data-menu]"));
    } else if (event.target.closest("[data-edit]")) {
      if (event.detail > 1) return;
      this.#active = cell;
      this.#edit();
    } else if (!event.target.closest(".matrix-input")) {
      this.#active = cell;
      this.#focus(false);
    }
  }

  #dblclick(event) {
    const cell = this.#cellOf(event.target);
    if (!cell || event.target.closest("[data-menu], [data-edit], .matrix-input")) return;
    this.#active = cell;
    this.#edit();
  }

  #beginning = false;

  async #edit() {
    const row = this.#model.row(this.#active.key);
    const environment = this.#chosen[this.#active.column - 1];
    // A form that is on its way isn't opened twice.
    if (!row || this.#beginning) return;
    if (!environment) return this.#openMenu(this.#active, this.#cellAt(this.#active));
    this.#beginning = true;
    try {
      if (await begin(row, environment, { tree: this.#tree, environments: this.#chosen })) this.#focusEditor();
    } finally {
      this.#beginning = false;
    }
  }

  #menu(event) {
    const cell = this.#cellOf(event.target);
    if (!cell || event.target.closest(".matrix-input")) return;
    event.preventDefault();
    this.#menuAt(cell, { x: event.clientX, y: event.clientY });
  }

  #menuAt(cell, point) {
    this.#active = cell;
    this.#openMenu(cell, point);
  }

  /** The menu of a row; what is about one environment is about that whose cell was meant, else the one that is looked at. */
  async #openMenu({ key, column }, place) {
    const row = this.#model.row(key);
    if (!row) return;
    const { openMenu } = await import("./menu.js");
    const tree = this.#tree;
    const there = this.#chosen.filter((name) => row.here[name] === PRESENT);
    const own = this.#chosen[column - 1] ?? (there.includes(state.environment) ? state.environment : there[0]);
    const items = [
      ...there.map((environment) => ({ label: `Edit in ${spelled(environment)}…`, run: () => this.#run("form.js", "openEdit", key, { environment, tree }) })),
      ...this.#chosen.filter((name) => row.here[name] === MISSING)
        .map((environment) => ({ label: `Add to ${spelled(environment)}…`, run: () => this.#run("form.js", "openAdd", { key, environment }) })),
      null,
    ];
    if (there.length > 0) {
      const from = there.includes(own) ? own : there[0];
      items.push({ label: "Copy to another environment…", run: () => this.#run("copy.js", "openCopy", { keys: [key], from }) });
    }
    if (there.includes(own)) {
      items.push({ label: `History in ${spelled(own)}…`, run: () => this.#run("history.js", "openHistory", key, { environment: own, tree }) });
    }
    items.push({ label: "Copy key", run: () => this.#run("clipboard.js", "copyText", key, "The key") });
    if (there.includes(own)) {
      items.push(null, { label: `Delete from ${spelled(own)}…`, hint: "Del", danger: true, run: () => this.#delete(key, own) });
    }
    openMenu({ label: `What can be done with ${spelled(key)}`, items, place, back: () => this.#focus(false) });
  }

  #delete(key, environment) {
    if (this.#model.row(key)?.here[environment] !== PRESENT) return;
    this.#run("remove.js", "openRemove", { keys: [key], environment, tree: this.#tree });
  }
}

/** A key whose last part stands out. */
function path(key) {
  const at = key.lastIndexOf("/") + 1;
  return html`${at > 0 ? html`<span class="quiet">${named(key.slice(0, at))}</span>` : nothing}${named(key.slice(at))}`;
}
