// Environments and keys whose names every object of JavaScript has: `__proto__`, `constructor`.

import assert from "node:assert/strict";
import { files, is, plans, says } from "./across.mjs";
import { start, until } from "./kit.mjs";

const ENVIRONMENTS = ["__proto__", "constructor"];
const KEYS = ["__proto__", "constructor/__proto__", "toString"];

const kit = await start({
  planted: false,
  seed: async (kit) => {
    for (const environment of ENVIRONMENTS) await kit.sh(`mkdir ${environment}`, { as: "root" });
    for (const key of KEYS) await kit.echo(`dev/variables/${key}`, "1", { groups: "payments:rw" });
    await kit.echo("__proto__/variables/__proto__", "1");
    await kit.echo("constructor/variables/__proto__", "2");
  },
});
const { read } = files(kit);

const cell = (page, key, environment) => page.locator(`.matrix-row[data-key="${key}"] .matrix-cell`).nth(["__proto__", "constructor", "dev", "pre", "prod"].indexOf(environment));

kit.test("the view across environments counts and marks them, edits them, and shows fewer of them", { open: "dev/variables/matrix" }, async (tab) => {
  const { page } = tab;
  const counted = (text) => until(async () => (await says(page.locator(".matrix-count"))) === text, text);
  await counted("3 keys: 3 missing somewhere, 1 differ");
  assert.deepEqual(await page.locator(".matrix-environment").evaluateAll((all) => all.map((one) => one.innerText.replace(/\s+/g, " ").trim())),
    ["__proto__ 2 missing", "constructor 2 missing", "dev 0 missing", "pre 3 missing", "prod 3 missing"]);
  await is(cell(page, "__proto__", "constructor"), /^2$/);
  await is(cell(page, "toString", "__proto__"), /missing/);
  await cell(page, "toString", "__proto__").dblclick();
  await page.locator(".matrix-input").fill("added");
  await page.locator(".matrix-input").press("Enter");
  await until(() => read("__proto__/variables/toString") === "added");
  await is(cell(page, "toString", "__proto__"), /^added$/);
  await cell(page, "__proto__", "constructor").dblclick();
  await page.locator(".matrix-input").fill("3");
  await page.locator(".matrix-input").press("Enter");
  await until(() => read("constructor/variables/__proto__") === "3");
  for (const name of ["__proto__", "constructor"]) await page.getByRole("checkbox", { name }).uncheck();
  await counted("3 keys: 3 missing somewhere, 0 differ");
  await page.getByRole("checkbox", { name: "__proto__" }).check();
  await counted("3 keys: 3 missing somewhere, 1 differ");
  assert.equal(await page.evaluate(() => Object.keys(Object.prototype).length), 0);
});

kit.test("forms, copies, imports and removals are about them as about others", { open: "__proto__/variables" }, async (tab) => {
  const { page } = tab;
  const call = (file, name, ...given) => page.evaluate(([file, name, given]) => { import(`/page/${file}`).then((module) => module[name](...given)); }, [file, name, given]);
  await tab.row("__proto__").waitFor();
  await call("form.js", "openEdit", "__proto__");
  await page.locator("#value").fill("edited");
  await tab.button("Review change").click();
  await tab.button("Save").click();
  await tab.closed();
  assert.equal(read("__proto__/variables/__proto__"), "edited");
  await call("copy.js", "openCopy", { keys: KEYS, from: "dev", to: "constructor" });
  await plans(tab.dialog, ["+ added: constructor/__proto__ 1", "+ added: toString 1", "∥ kept: __proto__ is there, stays as it is"]);
  await tab.button("Copy 2 keys to constructor").click();
  await is(tab.dialog, /2 keys copied from dev to constructor/);
  await tab.button("Undo").click();
  await tab.closed();
  assert.equal(read("constructor/variables/toString"), null);
  await call("import.js", "openImport", { text: '{"__proto__": "imported", "constructor": {"valueOf": "1"}}' });
  await plans(tab.dialog, ["≠ changed: __proto__ edited → becomes imported", "+ added: constructor/valueOf 1"]);
  await tab.button("Import 2 keys into __proto__").click();
  await is(tab.dialog, /2 keys imported/);
  await tab.button("Close").last().click();
  assert.equal(read("__proto__/variables/__proto__"), "imported");
  await call("remove.js", "openRemove", { keys: ["__proto__"] });
  await tab.button("Delete 1 key").click();
  await tab.closed();
  assert.equal(read("__proto__/variables/__proto__"), null);
});
