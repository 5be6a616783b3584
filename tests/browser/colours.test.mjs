// The contrast of the page's colours, light and dark: text 4.5:1, what marks a control or the focus 3:1 (WCAG 2.2, 1.4.3 and 1.4.11).

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const style = await readFile(new URL("../../src/dashboard/page/style.css", import.meta.url), "utf8");

/** Which tokens stand on which, as text or as a mark. */
const TEXT = {
  text: ["background", "surface", "raised", "hover", "chosen", "flash", "added", "removed", "warning-faint"],
  muted: ["background", "surface", "raised", "hover", "chosen"],
  accent: ["background", "surface", "raised", "hover"],
  danger: ["surface", "hover", "danger-faint"],
  warning: ["surface", "hover", "warning-faint"],
  ok: ["surface"],
  "on-accent": ["accent", "accent-strong"],
  "on-danger": ["danger"],
};
const MARKS = {
  focus: ["background", "surface", "raised", "hover", "chosen"],
  "control-line": ["background", "surface"],
  accent: ["surface"],
  ok: ["surface"],
  danger: ["surface", "raised"],
  "warning-line": ["surface"],
};

function tokens() {
  const found = new Map();
  for (const [, name, value] of style.matchAll(/^ {2}--([\w-]+): (.+);$/gm)) found.set(name, value);
  const resolve = (name) => {
    const value = found.get(name);
    assert.ok(value, `style.css has no token --${name}`);
    const other = /^var\(--([\w-]+)\)$/.exec(value);
    if (other) return resolve(other[1]);
    const pair = /^light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)$/.exec(value);
    assert.ok(pair, `--${name} is no light and dark colour: ${value}`);
    return pair.slice(1);
  };
  return resolve;
}

function luminance(colour) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

for (const [kind, pairs, least] of [["text", TEXT, 4.5], ["marks", MARKS, 3]]) {
  test(`${kind} can be told from what they stand on`, () => {
    const colour = tokens();
    for (const [front, backs] of Object.entries(pairs)) {
      for (const back of backs) {
        ["light", "dark"].forEach((theme, at) => {
          const found = contrast(colour(front)[at], colour(back)[at]);
          assert.ok(found >= least, `--${front} on --${back}, ${theme}: ${found.toFixed(2)} is less than ${least}`);
        });
      }
    }
  });
}

test("every colour of the page is a token", async () => {
  for (const file of ["list.css", "forms.css", "matrix.css"]) {
    const text = await readFile(new URL(`../../src/dashboard/page/${file}`, import.meta.url), "utf8");
    assert.deepEqual(text.match(/#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|oklch)a?\(/gi) ?? [], [], file);
  }
});
