// A tree grid of any length, after the ARIA authoring practices: only rows that are seen are in the page, and some around them.
//
// Invariants:
// - All rows have one height, so where a row stands follows from its place alone.
// - The focused row is always in the page, also when it has scrolled out of sight: the focus is never lost to scrolling.
// - When rows come or go, the row under the pointer stays where it is on the screen; without a pointer the focused row does,
//   and without one in sight, the first that is seen.
//
// It deliberately knows no keys: what a row shows and does is its user's.

import { LongPress } from "./press.js";
import { html, nothing, render } from "./vendor/lit-html.js";
import { repeat } from "./vendor/directives/repeat.js";

/** Rows in the page above and below those that are seen. */
const AROUND = 10;
/** So few of them are left when more are drawn. */
const MARGIN = 4;
/** Rows that are asked for around those, and how near to their end more are asked for. */
const AHEAD = 240, NEAR = 80;
/** Milliseconds after which letters typed begin a new word. */
const WORD = 700;

export class Grid {
  #home;
  #uses;
  #length = 0;
  #from = 0;
  #rows = [];
  #active = { at: 0, path: null };
  #height = 40;
  #lead = 0;
  #tail = 0;
  #pointer = null;
  #asking = null;
  #frame = 0;
  #letters = { text: "", time: 0 };
  #press;
  #watch;
  /** The parts of the page that are measured, and what they measured last: reading it anew costs a layout. */
  #body = null;
  #room = 0;
  /** The rows that are in the page. */
  #drawn = { from: 0, to: 0 };
  #isStale = false;
  #sized = -1;

  /**
   * `uses`: `label`, `columns()` of `{name, label, sort?}`, `cells(row)`, `rowName(row)`, `slice(from, to)`, `seen(rows)`, `sort(name)`,
   * `enter(row)`, `fold(rows, open)`, `menu(row, place)`, `remove(row)`, `find(from, letters)`, `key(event)`.
   */
  constructor(home, uses) {
    this.#home = home;
    this.#uses = uses;
    home.className = "grid";
    home.setAttribute("role", "treegrid");
    home.setAttribute("aria-label", uses.label);
    home.addEventListener("scroll", () => this.#later(), { passive: true });
    home.addEventListener("keydown", (event) => this.#typed(event));
    home.addEventListener("focusin", (event) => this.#focused(event));
    home.addEventListener("click", (event) => this.#clicked(event));
    home.addEventListener("dblclick", (event) => this.#clickedTwice(event));
    home.addEventListener("contextmenu", (event) => this.#asked(event));
    home.addEventListener("pointermove", (event) => { this.#pointer = { x: event.clientX, y: event.clientY }; }, { passive: true });
    home.addEventListener("pointerleave", () => this.#left());
    this.#press = new LongPress(home, (target) => {
      const row = this.#rowOf({ target });
      return row && ((point) => this.openMenu(row, point));
    });
    this.#watch = new ResizeObserver(() => {
      this.#measure();
      this.draw();
    });
    this.#watch.observe(home);
  }

  end() {
    this.#watch.disconnect();
    cancelAnimationFrame(this.#frame);
    this.#press.end();
  }

  get length() {
    return this.#length;
  }

  /** The row that has the focus, or would get it. */
  get active() {
    return this.#active;
  }

  /** The range that is to come along with an answer. */
  get window() {
    const { from, to } = this.#seen();
    return { from: from - AHEAD, to: to + AHEAD };
  }

  /** The row that stays where it is when rows come or go. */
  get anchor() {
    const { from, to } = this.#seen();
    const under = this.#underPointer();
    const inSight = this.#active.at >= from && this.#active.at < to && this.#home.contains(document.activeElement);
    const at = under ?? (inSight ? this.#active.at : from);
    const row = this.#row(at);
    return row ? { at, path: row.path } : null;
  }

  /** Takes rows: `length` of all, those from `from` on, and where the anchor and the active row are now. */
  take({ length, from, rows }, { anchor = null, anchorAt = -1, activeAt = -1, toTop = false } = {}) {
    this.#length = length;
    this.#from = Math.max(0, from);
    this.#rows = rows;
    if (toTop) {
      this.#lead = this.#tail = 0;
      this.#home.scrollTop = 0;
    }
    const had = this.#active.at;
    this.#active = activeAt >= 0 ? { ...this.#active, at: activeAt } : { at: Math.max(0, Math.min(toTop ? 0 : had, length - 1)), path: null };
    const moved = anchor && anchorAt >= 0 ? (anchorAt - anchor.at) * this.#height : 0;
    if (moved !== 0) this.#shift(moved);
    this.draw();
  }

  /** Draws what is seen. */
  draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#isStale = false;
    const hadFocus = this.#home.contains(document.activeElement) && document.activeElement.closest('[role="row"]') !== null;
    const before = document.activeElement;
    const seen = this.#seen();
    this.#drawn = { from: Math.max(0, seen.from - AROUND), to: Math.min(this.#length, seen.to + AROUND) };
    render(this.#template(), this.#home);
    if (this.#body === null) {
      this.#body = this.#home.querySelector(".grid-body");
      this.#measure();
    }
    this.#size();
    if (hadFocus && document.activeElement !== before && !this.#home.contains(document.activeElement)) this.focus({ scroll: false });
    const rows = [];
    for (let at = this.#drawn.from; at < this.#drawn.to; at += 1) if (this.#row(at)) rows.push(this.#row(at));
    this.#uses.seen(rows);
  }

  /** Gives the active row the focus. */
  focus({ scroll = true } = {}) {
    if (this.#length === 0) return false;
    if (scroll) this.#intoSight(this.#active.at);
    const element = this.#element(this.#active.at);
    element?.focus({ preventScroll: true });
    return element !== undefined;
  }

  /** Makes the row at a place the active one, in sight. */
  async goTo(at, { focus = true } = {}) {
    if (this.#length === 0) return;
    this.#settle();
    const place = Math.max(0, Math.min(at, this.#length - 1));
    this.#intoSight(place);
    if (!this.#row(place)) await this.#more();
    this.#active = { at: place, path: this.#row(place)?.path ?? null };
    this.draw();
    if (focus) this.focus({ scroll: false });
  }

  /** A row's element, if it is in the page. */
  elementOf(path) {
    return [...this.#home.querySelectorAll('.row[data-path]')].find((element) => element.dataset.path === path);
  }

  // Where rows are.

  #seen() {
    const top = this.#home.scrollTop - this.#lead;
    const from = Math.floor(top / this.#height);
    const to = Math.ceil((top + this.#room) / this.#height);
    return { from: Math.max(0, Math.min(from, this.#length)), to: Math.max(0, Math.min(to, this.#length)) };
  }

  #row(at) {
    return this.#rows[at - this.#from];
  }

  #element(at) {
    return this.#home.querySelector(`.row[data-at="${at}"]`) ?? undefined;
  }

  #underPointer() {
    if (this.#pointer === null) return null;
    const element = document.elementFromPoint(this.#pointer.x, this.#pointer.y)?.closest?.(".row[data-at]");
    return element && this.#home.contains(element) ? Number(element.dataset.at) : null;
  }

  #intoSight(at) {
    const top = this.#lead + at * this.#height, room = this.#room;
    if (top < this.#home.scrollTop) this.#home.scrollTop = top;
    else if (top + this.#height > this.#home.scrollTop + room) this.#home.scrollTop = top + this.#height - room;
  }

  /** Scrolls with rows that came or went above the anchor; where there is no room to scroll, room is made. */
  #shift(pixels) {
    const wanted = this.#home.scrollTop + pixels;
    if (wanted < 0) this.#lead -= wanted;
    this.#tail = Math.max(0, wanted + this.#room - this.#lead - this.#length * this.#height);
    this.#size();
    this.#home.scrollTop = Math.max(0, wanted);
  }

  /** Takes away the room that was made, when no row is pointed at any more. */
  #settle() {
    if (this.#lead === 0 && this.#tail === 0) return;
    const top = this.#home.scrollTop - this.#lead;
    this.#lead = this.#tail = 0;
    this.#size();
    this.#home.scrollTop = Math.max(0, top);
    this.draw();
  }

  #size() {
    const height = this.#lead + this.#length * this.#height + this.#tail;
    if (height === this.#sized || this.#body === null) return;
    this.#sized = height;
    this.#body.style.setProperty("height", `${height}px`);
  }

  /** What the style says of a row's height, and how much room there is for rows. */
  #measure() {
    const at = this.#seen().from;
    const height = parseFloat(getComputedStyle(this.#home).getPropertyValue("--row-height")) || 40;
    this.#room = this.#home.clientHeight - (this.#home.querySelector(".grid-head")?.offsetHeight ?? 0);
    if (height === this.#height) return;
    this.#height = height;
    this.#size();
    this.#home.scrollTop = at * height;
    this.#redraw();
  }

  // What is drawn.

  #later() {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#scrolled());
  }

  #redraw() {
    this.#isStale = true;
    this.#later();
  }

  #scrolled() {
    this.#frame = 0;
    const { from, to } = this.#seen();
    const { from: first, to: last } = this.#drawn;
    const isThere = (from >= first + MARGIN || first === 0) && (to <= last - MARGIN || last === this.#length);
    if (!isThere || this.#isStale) this.draw();
    const isNear = (from < this.#from + NEAR && this.#from > 0) || (to > this.#from + this.#rows.length - NEAR && this.#from + this.#rows.length < this.#length);
    if (isNear) this.#more();
  }

  /** Asks for the rows around those that are seen. */
  async #more() {
    if (this.#asking !== null) {
      await this.#asking;
      const { from, to } = this.#seen();
      if (this.#row(from) && this.#row(to - 1)) return;
    }
    const { from, to } = this.window;
    const asking = this.#uses.slice(Math.max(0, from), to);
    this.#asking = asking;
    const answer = await asking;
    if (this.#asking === asking) this.#asking = null;
    // The list may be another by now.
    if (answer === null || answer.length !== this.#length) return;
    this.#from = answer.from;
    this.#rows = answer.rows;
    this.draw();
  }

  #template() {
    const { from: first, to: last } = this.#drawn;
    const places = [];
    const active = this.#active.at;
    if (active < first && this.#row(active)) places.push(active);
    for (let at = first; at < last; at += 1) places.push(at);
    if (active >= last && this.#row(active)) places.push(active);
    this.#home.setAttribute("aria-rowcount", this.#length + 1);
    const columns = this.#uses.columns();
    return html`
      <div class="grid-head" role="rowgroup"><div class="heads" role="row" aria-rowindex="1">
        ${columns.map((column) => this.#headCell(column))}
      </div></div>
      <div class="grid-body" role="rowgroup">
        ${repeat(places, (at) => this.#row(at)?.path ?? at, (at) => this.#rowTemplate(at))}
      </div>`;
  }

  #headCell({ name, label, sort = null, sorted = null, hidden = false }) {
    if (sort === null) return html`<div role="columnheader" class="head" data-column=${name}>${hidden ? html`<span class="visually-hidden">${label}</span>` : label}</div>`;
    return html`<div role="columnheader" class="head" data-column=${name} aria-sort=${sorted ?? "none"}>
      <button type="button" class="sort" @click=${() => this.#uses.sort(name)}>${label}<span class="sort-mark" aria-hidden="true"></span></button></div>`;
  }

  #rowTemplate(at) {
    const row = this.#row(at);
    const top = `top:${this.#lead + at * this.#height}px`;
    if (!row) return html`<div class="row waiting" aria-hidden="true" .style=${top}></div>`;
    const isActive = at === this.#active.at;
    return html`<div role="row" class="row ${this.#uses.rowClass?.(row) ?? ""}" data-at=${at} data-path=${row.path} tabindex=${isActive ? 0 : -1}
      aria-rowindex=${at + 2} aria-level=${row.level} aria-posinset=${row.at} aria-setsize=${row.of} aria-label=${this.#uses.rowName(row)}
      aria-expanded=${row.isOpen === null ? nothing : row.isOpen} .style=${`${top};--level:${row.level}`}>${this.#uses.cells(row, isActive)}</div>`;
  }

  // What is done with it.

  #rowOf(event) {
    const element = event.target.closest?.(".row[data-at]");
    if (!element) return null;
    return this.#row(Number(element.dataset.at)) ?? null;
  }

  #focused(event) {
    const element = event.target.closest(".row[data-at]");
    if (!element) return;
    const at = Number(element.dataset.at);
    if (at === this.#active.at) return;
    this.#active = { at, path: element.dataset.path };
    this.#redraw();
  }

  #clicked(event) {
    const row = this.#rowOf(event);
    if (!row || event.target.closest("button, a, input")) return;
    event.target.closest(".row").focus({ preventScroll: true });
    if (row.isOpen !== null && getSelection().isCollapsed) this.#uses.fold([row], !row.isOpen);
  }

  #clickedTwice(event) {
    const row = this.#rowOf(event);
    if (row && row.isOpen === null && !event.target.closest("button, a, input")) this.#uses.enter(row);
  }

  #asked(event) {
    const row = this.#rowOf(event);
    if (!row) return;
    event.preventDefault();
    // The menu key's place is the row's.
    const byKey = event.clientX === 0 && event.clientY === 0;
    this.openMenu(row, byKey ? null : { x: event.clientX, y: event.clientY });
  }

  /** Opens the menu of a row, at a point or below the row's own button. */
  openMenu(row, point) {
    const element = this.elementOf(row.path);
    const button = element?.querySelector(".row-menu");
    const at = Number(element?.dataset.at);
    if (Number.isInteger(at)) this.#active = { at, path: row.path };
    this.draw();
    this.#uses.menu(row, point ?? button ?? element);
  }

  #left() {
    this.#pointer = null;
    this.#settle();
  }

  #typed(event) {
    const row = this.#rowOf(event);
    if (!row || event.defaultPrevented) return;
    const onRow = event.target.matches(".row");
    const done = this.#move(event, row, onRow) || (onRow && this.#act(event, row));
    if (done) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  #move(event, row, onRow) {
    if (event.altKey || event.metaKey || event.shiftKey) return false;
    const at = this.#active.at, page = Math.max(1, Math.floor(this.#room / this.#height) - 1);
    switch (event.key) {
      case "ArrowDown": return this.#go(at + 1);
      case "ArrowUp": return this.#go(at - 1);
      case "PageDown": return this.#go(at + page);
      case "PageUp": return this.#go(at - page);
      case "Home": return this.#go(0);
      case "End": return this.#go(this.#length - 1);
      case "ArrowRight": return this.#right(row, onRow, event.target);
      case "ArrowLeft": return this.#back(row, onRow, event.target, at);
      default: return false;
    }
  }

  #go(at) {
    this.goTo(at);
    return true;
  }

  /** Unfolds a directory, then goes in; in a key's row, goes to what can be pressed there. */
  #right(row, onRow, target) {
    if (onRow && row.isOpen === false) this.#uses.fold([row], true);
    else if (onRow && row.isOpen === true) this.goTo(this.#active.at + 1);
    else {
      const buttons = this.#buttons(target);
      buttons[Math.min(onRow ? 0 : buttons.indexOf(target) + 1, buttons.length - 1)]?.focus();
    }
    return true;
  }

  #back(row, onRow, target, at) {
    if (!onRow) {
      const buttons = this.#buttons(target);
      (buttons[buttons.indexOf(target) - 1] ?? target.closest(".row")).focus();
    } else if (row.isOpen === true) this.#uses.fold([row], false);
    else if (row.level > 1) this.goTo(this.#parentOf(at, row.level));
    return true;
  }

  #buttons(target) {
    return [...target.closest(".row").querySelectorAll("button")].filter((button) => button.offsetParent !== null);
  }

  #parentOf(at, level) {
    for (let above = at - 1; above >= this.#from; above -= 1) if (this.#row(above)?.level < level) return above;
    return at;
  }

  #act(event, row) {
    if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) {
      this.openMenu(row, null);
      return true;
    }
    if (event.ctrlKey || event.altKey || event.metaKey) return false;
    if (event.key === "Enter") {
      if (row.isOpen === null) this.#uses.enter(row);
      else this.#uses.fold([row], !row.isOpen);
      return true;
    }
    if (event.key === "Delete") {
      this.#uses.remove(row);
      return true;
    }
    if (event.key === "*") {
      this.#uses.fold("siblings", true, row);
      return true;
    }
    if (event.key.length === 1 && !" /".includes(event.key)) return this.#letter(event.key);
    return event.key === " ";
  }

  /** Goes to the next row whose name begins with what is typed. */
  #letter(letter) {
    const now = performance.now();
    const text = (now - this.#letters.time < WORD ? this.#letters.text : "") + letter;
    this.#letters = { text, time: now };
    const from = text.length === 1 ? this.#active.at + 1 : this.#active.at;
    this.#uses.find(from, text).then((at) => { if (at >= 0) this.goTo(at); });
    return true;
  }
}
