// What two texts differ in, line by line, and how that is shown.
//
// Invariants:
// - What was taken away and what came is said by a sign and a word, not by colour alone.
// - A text of any size ends in time: where the lines differ too much to be matched, both are shown whole.
//
// It deliberately knows no key and no version: whoever shows a difference says of what. The matching is jsdiff's.

import { diffLines } from "./vendor/diff/diff/line.js";
import { valued } from "./names.js";
import { html, nothing } from "./vendor/lit-html.js";

/** Lines that stay the same and are shown around those that don't. */
const AROUND = 3;

/** Milliseconds after which matching is given up. */
const PATIENCE = 400;

/** More lines than these are shown only when one asks for them. */
const MOST = 400;

const SIGNS = { same: " ", removed: "−", added: "+" };
const SPOKEN = { same: "", removed: "removed: ", added: "added: " };

/** The lines of both, `[{kind: "same" | "removed" | "added", text, end}]`: `end` is false for a last line that no newline ends. */
export function lines(before, after) {
  const parts = diffLines(before, after, { timeout: PATIENCE })
    ?? [{ removed: true, value: before }, { added: true, value: after }];
  return parts.flatMap(({ added, removed, value }) => split(value).map((line) => ({
    ...line, kind: added ? "added" : removed ? "removed" : "same",
  })));
}

/** How many lines came and went. */
export function tally(before, after) {
  const all = lines(before, after);
  return { added: all.filter((line) => line.kind === "added").length, removed: all.filter((line) => line.kind === "removed").length };
}

/** The difference as a template. `label` says of what it is, for those who don't see it. */
export function diffView(before, after, { label }) {
  if (before === after) return html`<p class="diff-none">The values are the same.</p>`;
  const shown = fold(mark(lines(before, after)));
  return html`
    <div class="diff" role="region" tabindex="0" aria-label=${label}>
      ${shown.slice(0, MOST).map(lineView)}
      ${shown.length > MOST ? html`<details class="diff-more"><summary>${shown.length - MOST} more lines</summary>${shown.slice(MOST).map(lineView)}</details>` : nothing}
    </div>`;
}

function lineView(line) {
  if (line.kind === "fold") return html`<div class="diff-fold">${line.count === 1 ? "1 line" : `${line.count} lines`} the same</div>`;
  const text = valued(line.text, { lines: true, mark: line.changed ?? null });
  return html`<div class="diff-line" data-kind=${line.kind}><span class="diff-sign" aria-hidden="true">${SIGNS[line.kind]}</span><span class="visually-hidden">${SPOKEN[line.kind]}</span><span class="diff-text">${text}</span>${
    line.ends === false ? html`<span class="diff-end">no newline at the end</span>` : nothing}</div>`;
}

function split(value) {
  const texts = value.split("\n");
  const last = texts.pop();
  const all = texts.map((text) => ({ text, end: true }));
  if (last !== "") all.push({ text: last, end: false });
  return all;
}

/** Where one line takes the place of one other, which part of it changed; and a newline that only one of both has at its end. */
function mark(all) {
  const unequalEnds = all.some((line) => !line.end && line.kind === "removed") !== all.some((line) => !line.end && line.kind === "added");
  const marked = all.map((line) => (unequalEnds && !line.end ? { ...line, ends: false } : line));
  for (let at = 0; at + 1 < marked.length; at += 1) {
    const alone = marked[at].kind === "removed" && marked[at + 1].kind === "added"
      && marked[at - 1]?.kind !== "removed" && marked[at + 2]?.kind !== "added";
    if (!alone) continue;
    const [from, end] = common(marked[at].text, marked[at + 1].text);
    if (from + end === 0) continue;
    for (const line of [at, at + 1]) marked[line] = { ...marked[line], changed: { from, to: marked[line].text.length - end } };
  }
  return marked;
}

/** How many characters both begin and end with, none of them counted twice nor cut in its middle. */
function common(one, other) {
  const shorter = Math.min(one.length, other.length);
  let from = 0;
  while (from < shorter && one[from] === other[from]) from += 1;
  if (from > 0 && /[\uD800-\uDBFF]/.test(one[from - 1])) from -= 1;
  let end = 0;
  while (end < shorter - from && one[one.length - 1 - end] === other[other.length - 1 - end]) end += 1;
  if (end > 0 && /[\uDC00-\uDFFF]/.test(one[one.length - end])) end -= 1;
  return [from, end];
}

/** Long runs of lines that stay the same, folded. */
function fold(all) {
  const near = new Array(all.length).fill(false);
  all.forEach((line, at) => {
    if (line.kind !== "same") near.fill(true, Math.max(0, at - AROUND), at + AROUND + 1);
  });
  const folded = [];
  all.forEach((line, at) => {
    if (near[at]) folded.push(line);
    else if (folded.at(-1)?.kind === "fold") folded.at(-1).count += 1;
    else folded.push({ kind: "fold", count: 1 });
  });
  return folded;
}
