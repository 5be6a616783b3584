// From 360 pixels to 4K, and at 200 % of 1280: nothing is cut, nothing must be scrolled sideways.

import assert from "node:assert/strict";
import { start } from "./kit.mjs";
import { SCENES, seed } from "./scenes.mjs";

const kit = await start({ seed });

const SIZES = [[360, 640], [390, 844], [640, 400], [768, 1024], [1280, 800], [1920, 1080], [3840, 2160]];

/** What reaches beyond what can be seen of it, in words. */
function cut() {
  const wide = document.documentElement.clientWidth;
  const found = [];
  if (document.documentElement.scrollWidth > wide) found.push(`the page is ${document.documentElement.scrollWidth} wide`);
  const name = (element) => `${element.tagName.toLowerCase()}.${element.className} '${(element.getAttribute("aria-label") ?? element.textContent).trim().slice(0, 40)}'`;
  const scrolls = (element) => {
    for (let above = element.parentElement; above; above = above.parentElement) {
      if (/auto|scroll/.test(getComputedStyle(above).overflowX) && above.scrollWidth > above.clientWidth) return above.matches("pre, textarea, [tabindex], table, .table-scroll, .matrix-scroll");
    }
    return false;
  };
  for (const element of document.querySelectorAll("button, a, input, select, textarea, h1, h2, label, summary, [role=tab], [role=menuitem]")) {
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || element.closest(".visually-hidden")) continue;
    const box = element.getBoundingClientRect();
    if (box.width === 0 || box.height === 0) continue;
    if ((box.left < -0.5 || box.right > wide + 0.5) && !scrolls(element)) found.push(`${name(element)} stands from ${Math.round(box.left)} to ${Math.round(box.right)} of ${wide}`);
    const style = getComputedStyle(element);
    const isText = element.matches("button, a, h1, h2, label, [role=tab]");
    if (isText && element.scrollWidth > element.clientWidth + 1 && style.overflowX !== "visible" && style.textOverflow !== "ellipsis") found.push(`${name(element)} is cut`);
  }
  for (const dialog of document.querySelectorAll("dialog[open]")) {
    const box = dialog.getBoundingClientRect();
    if (box.left < 0 || box.right > wide || box.top < 0 || box.bottom > innerHeight) found.push(`the dialog stands at ${[box.left, box.top, box.right, box.bottom].map(Math.round)} of ${[wide, innerHeight]}`);
    if (dialog.scrollWidth > dialog.clientWidth) found.push("the dialog is wider than it shows");
  }
  return found;
}

for (const [name, show] of Object.entries(SCENES)) {
  kit.test(name, { open: "dev/secrets" }, async (tab) => {
    await show(tab);
    const found = [];
    for (const [width, height] of SIZES) {
      await tab.page.setViewportSize({ width, height });
      await tab.painted();
      for (const what of await tab.page.evaluate(cut)) found.push(`${width} × ${height}: ${what}`);
    }
    assert.deepEqual(found, []);
  });
}
