// The view across environments: what it marks, counts and filters, what is edited in place, and how it is used by keyboard.

import assert from "node:assert/strict";
import { files, is, says } from "./across.mjs";
import { start, until } from "./kit.mjs";

const kit = await start();
const { dt, put, read, sh } = files(kit);

const cell = (p, key, environment) => p.locator(`.matrix-row[data-key="${key}"] [data-column]`)
  .nth(["key", "dev", "pre", "prod"].indexOf(environment));
const counted = (p, pattern) => until(async () => pattern.test((await says(p.locator(".matrix-count"))).replace(/\s+/g, " ")));
const focused = (p) => p.evaluate(() => {
  const cell = document.activeElement.closest("[data-column]");
  return cell && { key: cell.closest(".matrix-row").dataset.key, column: Number(cell.dataset.column) };
});
const fill = async (p, text) => {
  await p.locator(".matrix-input").fill(text);
};

kit.test("a key is marked where it is missing and where it differs, and both are counted", { as: "root" }, async (tab) => {
  for (const [path, value] of [
    ["dev/variables/marks/same", "1"], ["pre/variables/marks/same", "1"], ["prod/variables/marks/same", "1\n"],
    ["dev/variables/marks/other", "1"], ["pre/variables/marks/other", "1"], ["prod/variables/marks/other", "2"],
    ["dev/variables/marks/gone", "1"], ["prod/variables/marks/gone", "1"],
  ]) put(path, value);
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await counted(p, /^3 keys: 1 missing somewhere, 1 differ$/);
  assert.match(await says(cell(p, "marks/other", "key")), /≠ differs/);
  assert.match(await says(cell(p, "marks/gone", "key")), /∅ missing/);
  assert.match(await says(cell(p, "marks/gone", "pre")), /∅ missing/);
  assert.doesNotMatch(await says(cell(p, "marks/same", "key")), /differs|missing/);
  await is(cell(p, "marks/other", "prod"), /^2$/);
});

kit.test("filters show what is missing, what differs, what one environment lacks, and what has a text in it", { as: "root" }, async (tab) => {
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await counted(p, /1 differ$/);
  const rows = () => p.locator(".matrix-row").evaluateAll((rows) => rows.map((row) => row.dataset.key));
  await p.getByRole("button", { name: /^Missing/ }).click();
  assert.deepEqual(await rows(), ["marks/gone"]);
  await p.getByRole("button", { name: /^Differ/ }).click();
  assert.deepEqual(await rows(), ["marks/other"]);
  await p.getByRole("button", { name: "1 missing", exact: true }).click();
  assert.deepEqual(await rows(), ["marks/gone"]);
  await p.getByRole("button", { name: /^All/ }).click();
  await p.getByRole("searchbox").pressSequentially("MARKS/o");
  await counted(p, /1 key shown$/);
  assert.deepEqual(await rows(), ["marks/other"]);
  assert.equal(await p.getByRole("searchbox").inputValue(), "MARKS/o");
  await p.getByRole("tab", { name: "Secrets" }).click();
  await p.getByRole("tab", { name: "Variables" }).click();
  await counted(p, /^3 keys: 1 missing somewhere, 1 differ$/);
  assert.equal(await p.getByRole("searchbox").inputValue(), "");
});

kit.test("a variable is saved from its cell with Enter, on the version that was shown, and Undo brings the value back", { as: "root" }, async (tab) => {
  put("dev/variables/edit/port", "5432\n");
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await cell(p, "edit/port", "dev").click();
  await p.keyboard.press("Enter");
  assert.equal(await p.locator(".matrix-input").inputValue(), "5432");
  await fill(p, "6543");
  await p.keyboard.press("Enter");
  await until(async () => (await says(cell(p, "edit/port", "dev"))) === "6543");
  // The newline at its end was kept.
  assert.equal(read("dev/variables/edit/port"), "6543\n");
  assert.deepEqual(await focused(p), { key: "edit/port", column: 1 });
  await p.getByRole("button", { name: "Undo" }).click();
  await until(() => read("dev/variables/edit/port") === "5432\n");
  await until(async () => (await says(cell(p, "edit/port", "dev"))) === "5432");
});

kit.test("a double click and F2 begin to edit, Esc leaves and nothing is stored", { as: "root" }, async (tab) => {
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await cell(p, "edit/port", "dev").dblclick();
  await fill(p, "1");
  await p.keyboard.press("Escape");
  assert.equal(await p.locator(".matrix-input").count(), 0);
  assert.deepEqual(await focused(p), { key: "edit/port", column: 1 });
  await p.keyboard.press("F2");
  await fill(p, "1");
  await p.keyboard.press("Escape");
  assert.equal(read("dev/variables/edit/port"), "5432\n");
});

kit.test("what somebody else has stored meanwhile is a conflict that shows both, and the user decides", { as: "root" }, async (tab) => {
  put("dev/variables/edit/shared", "before");
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  tab.expects(409, "/api/put");
  await cell(p, "edit/shared", "dev").dblclick();
  await fill(p, "mine");
  put("dev/variables/edit/shared", "theirs");
  // The open cell isn't touched by it.
  await until(async () => (await p.locator(".matrix-input").inputValue()) === "mine");
  await p.locator(".matrix-input").press("Enter");
  const dialog = p.getByRole("dialog");
  assert.match(await says(dialog), /changed by root .*When you began before Theirs, now theirs Yours mine/);
  await dialog.getByRole("button", { name: "Go on editing" }).click();
  assert.equal(await p.locator(".matrix-input").inputValue(), "mine");
  assert.equal(read("dev/variables/edit/shared"), "theirs");
  put("dev/variables/edit/shared", "theirs again");
  await p.locator(".matrix-input").press("Enter");
  await p.getByRole("dialog").getByRole("button", { name: "Save mine over it" }).click();
  await until(() => read("dev/variables/edit/shared") === "mine");

  await cell(p, "edit/shared", "dev").dblclick();
  await fill(p, "lost");
  put("dev/variables/edit/shared", "kept");
  await p.locator(".matrix-input").press("Enter");
  await p.getByRole("dialog").getByRole("button", { name: "Take theirs" }).click();
  await until(async () => (await says(cell(p, "edit/shared", "dev"))) === "kept");
  assert.equal(read("dev/variables/edit/shared"), "kept");
});

kit.test("prod asks before it is changed", { as: "root" }, async (tab) => {
  put("prod/variables/edit/live", "old");
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await cell(p, "edit/live", "prod").dblclick();
  await fill(p, "new");
  await p.keyboard.press("Enter");
  const dialog = p.getByRole("dialog");
  assert.match(await says(dialog), /Save to prod\?.*edit\/live Before old After new/);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.equal(read("prod/variables/edit/live"), "old");
  assert.equal(await p.locator(".matrix-input").inputValue(), "new");
  await p.locator(".matrix-input").press("Enter");
  await p.getByRole("dialog").getByRole("button", { name: "Save to prod" }).click();
  await until(() => read("prod/variables/edit/live") === "new");
});

kit.test("a missing key is added in its cell, with the value that it has elsewhere to begin with", { as: "root" }, async (tab) => {
  put("dev/variables/add/url", "http://dev");
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  const missing = cell(p, "add/url", "pre");
  await missing.hover();
  await missing.getByText("Add").click();
  assert.equal(await p.locator(".matrix-input").inputValue(), "http://dev");
  assert.match(await says(p.locator(".matrix-help")), /As in dev\. Enter adds to pre/);
  await fill(p, "http://pre");
  await p.keyboard.press("Enter");
  await until(() => read("pre/variables/add/url") === "http://pre");
  await until(async () => (await says(missing)) === "http://pre");
  await p.getByRole("button", { name: "Undo" }).click();
  await until(() => read("pre/variables/add/url") === null);
  await until(async () => /missing/.test(await says(missing)));
});

kit.test("what is no single line goes to the form, or to the copy of it", { as: "root" }, async (tab) => {
  put("dev/variables/form/lines", "one\ntwo\nthree\n");
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await until(async () => /one 3 lines/.test(await says(cell(p, "form/lines", "dev"))));
  await cell(p, "form/lines", "dev").dblclick();
  await p.getByRole("dialog").waitFor();
  assert.match(await says(p.getByRole("dialog")), /form\/lines/);
  await p.keyboard.press("Escape");
  await p.getByRole("dialog").waitFor({ state: "detached" });
  await cell(p, "form/lines", "pre").dblclick();
  assert.match(await says(p.getByRole("dialog")), /^Copy to another environment/);
});

kit.test("what is typed in a cell survives another tab, and a filter that hides the cell", { as: "root" }, async (tab) => {
  put("dev/variables/edit/typed", "stored");
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await cell(p, "edit/typed", "dev").dblclick();
  await fill(p, "half a thou");
  await p.getByRole("tab", { name: "Secrets" }).click();
  await p.getByRole("tab", { name: "Variables" }).click();
  await until(async () => (await p.locator(".matrix-input").inputValue()) === "half a thou");
  await p.getByRole("searchbox").fill("nothing like it");
  assert.match(await says(p.locator(".matrix-elsewhere")), /You are editing edit\/typed in dev, which isn't shown now/);
  await p.getByRole("button", { name: "Go back to it" }).click();
  assert.equal(await p.locator(".matrix-input").inputValue(), "half a thou");
  await p.locator(".matrix-input").press("Escape");
});

kit.test("a change made elsewhere shows, and moves neither the row under the pointer nor what is typed", { as: "root" }, async (tab, t) => {
  for (let n = 0; n < 60; n++) put(`dev/variables/live/k${String(n).padStart(2, "0")}`, `${n}`);
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await cell(p, "live/k00", "dev").waitFor();
  await p.locator(".matrix-scroll").evaluate((box) => { box.scrollTop = 800; });
  const row = p.locator('.matrix-row[data-key="live/k30"]');
  await row.hover();
  const before = await row.boundingBox();
  for (const n of [1, 2, 3]) put(`dev/variables/aaa/new${n}`, "x");
  await counted(p, /\b[67]\d keys/);
  assert.equal((await row.boundingBox()).y, before.y);
  const began = Date.now();
  put("dev/variables/live/k30", "changed");
  await until(async () => (await says(cell(p, "live/k30", "dev"))) === "changed");
  t.diagnostic(`a change was seen after ${Date.now() - began} ms`);
});

kit.test("the row under the pointer stays also where nothing is scrolled, and the list is as it was when the pointer has gone", { as: "root" }, async (tab) => {
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  const row = (key) => p.locator(`.matrix-row[data-key="${key}"]`);
  await p.getByRole("searchbox", { name: "Filter keys" }).fill("still/");
  for (const name of ["k1", "k2", "k3"]) put(`dev/variables/still/${name}`, name);
  await row("still/k3").waitFor();
  await p.getByRole("searchbox", { name: "Filter keys" }).fill("still/k");
  await row("still/k3").hover();
  const y = async (key) => (await row(key).boundingBox()).y;
  const [first, third] = [await y("still/k1"), await y("still/k3")];
  put("dev/variables/still/k0", "above");
  await row("still/k0").waitFor();
  assert.equal(await y("still/k3"), third);
  await p.mouse.move(2, 2);
  await until(async () => (await y("still/k0")) === first);
});

kit.test("a long press opens a row's menu, which stays when the finger is lifted", { as: "root" }, async (tab) => {
  put("dev/variables/press/key", "1");
  await tab.open("dev/variables/matrix");
  await tab.page.getByRole("searchbox", { name: "Filter keys" }).fill("press/");
  await counted(tab.page, /1 key shown/);
  const release = await tab.longPress(cell(tab.page, "press/key", "dev"));
  await tab.page.getByRole("menu").waitFor();
  await release();
  await tab.page.getByRole("menuitem", { name: "Edit in dev…" }).waitFor();
  await tab.page.keyboard.press("Escape");
  await tab.page.getByRole("menu").waitFor({ state: "detached" });
  assert.deepEqual(await focused(tab.page), { key: "press/key", column: 1 });
});

kit.test("of a secret there is set, missing and may not be read; whether two differ is asked for, and none is opened before", { as: "alice" }, async (tab) => {
  const [one, two] = [kit.secret("one"), kit.secret("two")];
  for (const [path, value] of [
    ["dev/secrets/s/same", one], ["prod/secrets/s/same", one],
    ["dev/secrets/s/other", one], ["prod/secrets/s/other", two],
  ]) put(path, value);
  sh("chgrp payments */secrets/s/* && chmod 640 */secrets/s/* && chmod 755 */secrets/s");
  put("dev/secrets/s/closed", one);
  put("prod/secrets/s/closed", two);
  sh("chgrp payments dev/secrets/s/closed && chmod 640 dev/secrets/s/closed; chgrp analysts prod/secrets/s/closed && chmod 640 prod/secrets/s/closed");
  const reads = () => sh(`grep -c '"tree":"secrets"' ../store.audit.jsonl || true`);
  const opened = reads();
  await tab.open("dev/secrets/matrix");
  const p = tab.page;
  // The kit's own is in all of them.
  await counted(p, /^4 keys: 3 missing somewhere$/);
  await is(cell(p, "s/same", "dev"), /● set root/);
  assert.match(await says(cell(p, "s/same", "pre")), /∅ missing/);
  assert.match(await says(cell(p, "s/closed", "prod")), /◌ set, may not be read/);
  assert.equal(reads(), opened, "a secret was opened for a look at the list");
  await p.getByRole("button", { name: "Compare values" }).click();
  await counted(p, /^4 keys: 3 missing somewhere, 2 differ, 1 you may not compare$/);
  assert.match(await says(cell(p, "s/other", "key")), /≠ differs/);
  assert.match(await says(cell(p, "s/closed", "key")), /\? unknown/);
  assert.doesNotMatch(await says(cell(p, "s/same", "key")), /differs|unknown/);
  await cell(p, "s/same", "dev").dblclick();
  assert.match(await says(p.getByRole("dialog")), /s\/same/);
});

kit.test("a key in a directory that may not be listed isn't called missing", { as: "bob" }, async (tab) => {
  put("dev/variables/hidden/key", "1");
  put("pre/variables/hidden/key", "1");
  sh("chmod 700 pre/variables/hidden; chmod 755 dev/variables/hidden; chmod 644 dev/variables/hidden/key");
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await until(async () => (await says(cell(p, "hidden/key", "pre"))) === "not listed");
  assert.match(await says(cell(p, "hidden/key", "prod")), /∅ missing/);
});

kit.test("what may not be stored says why, and the cell stays open", { as: "bob" }, async (tab) => {
  put("dev/variables/denied/key", "1");
  sh("chmod 755 dev/variables/denied; chmod 644 dev/variables/denied/key");
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  tab.expects(403, "/api/put");
  await cell(p, "denied/key", "dev").dblclick();
  await fill(p, "2");
  await p.keyboard.press("Enter");
  await until(async () => /not permitted/.test(await says(p.getByRole("alert"))));
  assert.equal(await p.locator(".matrix-input").inputValue(), "2");
  await p.locator(".matrix-input").press("Escape");
  assert.equal(read("dev/variables/denied/key"), "1");
});

kit.test("it is a grid: one cell in the tab order, arrows, Home, End and Page move, and a menu key opens the menu", { as: "root" }, async (tab) => {
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await cell(p, "live/k00", "dev").waitFor();
  const grid = p.getByRole("grid");
  assert.equal(await grid.getAttribute("aria-colcount"), "4");
  assert.equal(await grid.locator('[tabindex="0"]').count(), 1);
  await grid.locator('[tabindex="0"]').focus();
  const all = [...new Set(["dev", "pre", "prod"].flatMap((name) => sh(`dt kv ls -e ${name}`).trim().split("\n")))].sort();
  const go = async (key, to) => {
    await p.keyboard.press(key);
    assert.deepEqual(await focused(p), to, key);
  };
  await go("ArrowDown", { key: all[1], column: 0 });
  await go("ArrowRight", { key: all[1], column: 1 });
  await go("End", { key: all[1], column: 3 });
  await go("Home", { key: all[1], column: 0 });
  await go("Control+End", { key: all.at(-1), column: 3 });
  await go("ArrowUp", { key: all.at(-2), column: 3 });
  await go("Control+Home", { key: all[0], column: 0 });
  await p.keyboard.press("PageDown");
  assert.notEqual((await focused(p)).key, all[0]);
  assert.equal(await grid.locator('[tabindex="0"]').count(), 1);
  await p.keyboard.press("Shift+F10");
  await p.getByRole("menu").waitFor();
  assert.match(await says(p.getByRole("menu")), /Copy to another environment/);
  const row = await focused(p);
  await p.keyboard.press("Escape");
  await p.getByRole("menu").waitFor({ state: "hidden" });
  assert.equal(row, null);
  assert.notEqual(await focused(p), null);
});

kit.test("of thousands of keys only those that are seen are in the page, and all of them are compared", { as: "root" }, async (tab) => {
  const lines = (from) => Array.from({ length: 5000 }, (_, n) => `many/k${String(n).padStart(4, "0")}=${n % 1000 === 7 ? from : n}`).join("\n");
  const json = (from) => JSON.stringify(Object.fromEntries(lines(from).split("\n").map((line) => line.split("="))));
  await dt(["kv", "import", "--format", "json", "-e", "dev", "--yes"], json("dev"));
  await dt(["kv", "import", "--format", "json", "-e", "pre", "--yes"], json("pre"));
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await p.getByRole("searchbox").fill("many/");
  await counted(p, /5,000 keys shown$/);
  assert.equal(await p.getByRole("grid").getAttribute("aria-rowcount"), "5001");
  assert.ok((await p.locator(".matrix-row").count()) < 80);
  await p.locator('.matrix-row [tabindex="0"]').focus();
  await p.keyboard.press("Control+End");
  assert.deepEqual(await focused(p), { key: "many/k4999", column: 3 });
  await until(async () => (await says(cell(p, "many/k4999", "dev"))) === "4999");
  await p.locator(".matrix-progress").waitFor({ state: "detached" });
  await p.getByRole("button", { name: /^Differ/ }).click();
  await counted(p, /5 keys shown$/);
});

kit.test("some environments are compared instead of all", { as: "root" }, async (tab) => {
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await p.getByRole("searchbox").fill("marks/");
  await counted(p, /3 keys shown$/);
  await p.getByRole("checkbox", { name: "pre" }).uncheck();
  await until(async () => (await p.locator(".matrix-environment").count()) === 2);
  await until(async () => !/missing/.test(await says(cell(p, "marks/gone", "key"))));
  assert.ok(await p.getByRole("checkbox", { name: "dev" }).isDisabled(), "fewer than two can't be compared");
});

kit.test("on a phone the key stands above its environments, and nothing is cut", { as: "root", size: { width: 390, height: 844 } }, async (tab) => {
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await p.getByRole("searchbox").fill("marks/");
  await cell(p, "marks/other", "prod").waitFor();
  const [key, dev, prod] = await Promise.all(["key", "dev", "prod"].map((name) => cell(p, "marks/other", name).boundingBox()));
  assert.ok(key.y + key.height <= dev.y + 1);
  assert.ok(prod.x + prod.width <= 390);
  assert.equal(await p.evaluate(() => document.documentElement.scrollWidth), 390);
});
