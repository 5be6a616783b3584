// What can't be seen in a text, spelled out.
//
// Invariants:
// - A character that is invisible, breaks a line, looks like a plain space, or turns the direction of what follows is spelled as
//   its number, `[U+202E]`: two texts that differ never look the same for its sake.
// - Only what is shown is changed, never what is sent or copied.
//
// It deliberately doesn't compare letters of different alphabets that look alike.

/** Control and format characters, what Unicode lets a font leave out, line ends, blanks but the space, and a space at an edge or beside another. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{DI}\u2800]|(?! )\p{Zs}|(?<=^|[ /]) | (?=$|[ /])/gu;

/** The same in a text of many lines, where line ends, tabs and indents are seen. */
const UNSEEN_IN_LINES = /(?![\t\n])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{DI}\u2800]|(?! )\p{Zs}/gu;

/** Letters that are written from right to left. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** How those are called that every keyboard has. */
const KEYS = new Map([["\t", "TAB"], ["\n", "LF"], ["\r", "CR"], [" ", "SPACE"]]);

const FIRST_STRONG_ISOLATE = "\u2068", POP_ISOLATE = "\u2069";

/** A text as it is shown where there is nothing but text: in a title, a label, a sentence. */
export function spelled(text) {
  const shown = typable(text);
  return isRightToLeft(shown) ? `${FIRST_STRONG_ISOLATE}${shown}${POP_ISOLATE}` : shown;
}

/** The same as somebody can type it. */
export function typable(text) {
  return text.replace(UNSEEN, spell);
}

/** Where something stands in a text that can't be seen: `[{index, end, spelling}]`. With `lines` it is a text of several. */
export function unseen(text, { lines = false } = {}) {
  return [...text.matchAll(lines ? UNSEEN_IN_LINES : UNSEEN)]
    .map(({ 0: character, index }) => ({ index, end: index + character.length, spelling: spell(character) }));
}

/** Whether letters in it are written from right to left. */
export function isRightToLeft(text) {
  return RIGHT_TO_LEFT.test(text);
}

function spell(character) {
  return `[${KEYS.get(character) ?? `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`}]`;
}
