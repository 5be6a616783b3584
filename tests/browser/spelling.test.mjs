// What can't be seen in a text is spelled out; all else is as it is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isRightToLeft, spelled, unseen } from "../../src/dashboard/page/spelling.js";

test("characters that aren't seen, or that turn what follows, are spelled by their numbers", () => {
  const codes = [0x00, 0x07, 0x1b, 0x7f, 0x85, 0xa0, 0xad, 0x61c, 0x115f, 0x180e, 0x2003, 0x200b, 0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x202f,
    0x2060, 0x2066, 0x2069, 0x2800, 0x3000, 0x3164, 0xfe0f, 0xfeff, 0xfffb, 0xe0041];
  for (const code of codes) {
    const number = code.toString(16).toUpperCase().padStart(4, "0");
    assert.equal(spelled(`prod${String.fromCodePoint(code)}x`), `prod[U+${number}]x`);
  }
  assert.equal(spelled("a\tb\nc\rd"), "a[TAB]b[LF]c[CR]d");
});

test("a space is spelled where it could be overlooked, and nowhere else", () => {
  assert.equal(spelled("a b"), "a b");
  assert.equal(spelled(" a"), "[SPACE]a");
  assert.equal(spelled("prod "), "prod[SPACE]");
  assert.equal(spelled("a  b"), "a[SPACE][SPACE]b");
  assert.equal(spelled("db /password"), "db[SPACE]/password");
  assert.equal(spelled("db/ password"), "db/[SPACE]password");
  assert.equal(spelled(" "), "[SPACE]");
});

test("what can be seen is as it is", () => {
  for (const text of ["", "db/password", "größe/ключ/鍵", "<img src=x onerror=pwned()>", "a.b-c_d@e", "e\u0301", "🔑"]) assert.equal(spelled(text), text);
});

test("letters from right to left are isolated from the sentence around them", () => {
  assert.equal(spelled("מפתח"), "\u2068מפתח\u2069");
  assert.ok(isRightToLeft("db/مفتاح") && !isRightToLeft("db/ключ"));
});

test("in a text of lines its line ends, tabs and indents are what they are", () => {
  const text = "  a\tb\n  c \r\n\u202ed\n";
  assert.deepEqual(unseen(text, { lines: true }).map(({ index, end, spelling }) => [index, end, spelling]), [[10, 11, "[CR]"], [12, 13, "[U+202E]"]]);
  assert.deepEqual(unseen("a\u{e0041}b"), [{ index: 1, end: 3, spelling: "[U+E0041]" }]);
});
