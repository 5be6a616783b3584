// Which rows of a long list are in the document: those that are seen, and some around them.

/** Rows around those that are seen, so that a scroll finds them there. */
const AROUND = 12;

/** The rows from `from` up to and without `to` of `count` rows of one height, in a box that is scrolled. */
export function slice({ top, height }, rowHeight, count) {
  const from = Math.max(0, Math.floor(top / rowHeight) - AROUND);
  const to = Math.min(count, Math.ceil((top + height) / rowHeight) + AROUND);
  return { from: Math.min(from, to), to };
}

/** Puts each row of a list where it belongs, by the CSSOM: the policy allows no style attributes. */
export function place(rows, rowHeight) {
  for (const row of rows) row.style.setProperty("top", `${Number(row.dataset.index) * rowHeight}px`);
}
