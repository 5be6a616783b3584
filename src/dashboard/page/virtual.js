// Which rows of a long list are in the document: those that are seen, and some around them; and that a row stays where it is on
// the screen while others come and go above it.

/** Rows around those that are seen, so that a scroll finds them there. */
const AROUND = 12;

/** The rows from `from` up to and without `to` of `count` rows of one height, in a box that is scrolled. */
export function slice({ top, height }, rowHeight, count) {
  const from = Math.max(0, Math.floor(top / rowHeight) - AROUND);
  const to = Math.min(count, Math.ceil((top + height) / rowHeight) + AROUND);
  return { from: Math.min(from, to), to };
}

/** Puts each row of a list where it belongs, by the CSSOM: the policy allows no style attributes. */
export function place(rows, rowHeight, lead = 0) {
  for (const row of rows) row.style.setProperty("top", `${lead + Number(row.dataset.index) * rowHeight}px`);
}

/** The rows of a box that is scrolled; each has its place in `data-index` and what it is in `data-key`. */
export class Still {
  /** Room above and below the rows where there is none to scroll, in pixels. */
  #lead = 0;
  #tail = 0;

  /** What is seen of the rows, for `slice`. */
  seen(scroller) {
    return { top: scroller.scrollTop - this.#lead, height: scroller.clientHeight };
  }

  /** From where a row is seen, in pixels of the box. */
  topOf(index, rowHeight) {
    return this.#lead + index * rowHeight;
  }

  /** Makes the list as high as its rows are, and puts each of them where it belongs. */
  put(list, rowHeight, count) {
    list.style.setProperty("height", `${this.#lead + count * rowHeight + this.#tail}px`);
    place(list.children, rowHeight, this.#lead);
  }

  /**
   * Before other rows are drawn: scrolls so that one of those that are there stays where it is. It is the one that is pointed at,
   * else the one with the focus, else the first that is seen, but for one at the very top. `indexOf` says where a row will be.
   */
  hold(scroller, list, { rowHeight, count, indexOf }) {
    const row = list.querySelector(":scope > :hover") ?? list.querySelector(":scope > :focus-within") ?? this.#first(scroller, list, rowHeight);
    const index = row ? indexOf(row.dataset.key) : -1;
    const by = index < 0 ? 0 : (index - Number(row.dataset.index)) * rowHeight;
    if (by === 0) return;
    const wanted = scroller.scrollTop + by;
    const room = scroller.clientHeight - (list.getBoundingClientRect().top - scroller.getBoundingClientRect().top + scroller.scrollTop - scroller.clientTop);
    if (wanted < 0) this.#lead -= wanted;
    this.#tail = Math.max(0, wanted + room - this.#lead - count * rowHeight);
    // The box must be as high as the rows will be before it can be scrolled there.
    list.style.setProperty("height", `${this.#lead + count * rowHeight + this.#tail}px`);
    scroller.scrollTop = Math.max(0, wanted);
  }

  /** Takes away the room that was made, when nothing is pointed at any more; whether there was any. */
  settle(scroller) {
    if (this.#lead === 0 && this.#tail === 0) return false;
    const top = scroller.scrollTop - this.#lead;
    this.#lead = this.#tail = 0;
    scroller.scrollTop = Math.max(0, top);
    return true;
  }

  #first(scroller, list, rowHeight) {
    const { top } = this.seen(scroller);
    return top <= 0 ? null : list.querySelector(`:scope > [data-index="${Math.ceil(top / rowHeight)}"]`);
  }
}
