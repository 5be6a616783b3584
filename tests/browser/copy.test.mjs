// Copying to another environment: the preview, one step, what is asked for first, and the way back.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { files, is, planned, says } from "./across.mjs";
import { start, until } from "./kit.mjs";

const kit = await start();
const { put, read, sh } = files(kit);

const versions = (environment, key) => sh(`dt kv history ${key} -e ${environment}`).trim().split("\n").length;

/** Opens the dialog from the menu of a key's row in the matrix. */
async function fromMenu(p, key, tree = "variables") {
  await p.getByRole("searchbox").fill(key);
  await p.locator(`.matrix-row[data-key="${key}"]`).click({ button: "right", position: { x: 40, y: 10 } });
  await p.getByRole("menuitem", { name: "Copy to another environment…" }).click();
  return p.getByRole("dialog");
}

kit.test("a key is copied from its row's menu, after a preview, and Undo takes it away again", { as: "root" }, async (tab) => {
  put("dev/variables/one/url", "http://dev\n");
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  const dialog = await fromMenu(p, "one/url");
  assert.match(await says(dialog), /The variable one\/url/);
  await until(async () => (await planned(dialog)).length === 1);
  assert.deepEqual(await planned(dialog), ["+ added: one/url http://dev"]);
  assert.equal(read("pre/variables/one/url"), null);
  await dialog.getByRole("button", { name: "Copy 1 key to pre" }).click();
  await is(dialog, /1 key copied from dev to pre: 1 added, 0 changed/);
  assert.equal(read("pre/variables/one/url"), "http://dev\n");
  await dialog.getByRole("button", { name: "Undo" }).click();
  await until(() => read("pre/variables/one/url") === null);
  await dialog.waitFor({ state: "detached" });
  assert.ok(await p.evaluate(() => document.activeElement.closest(".matrix-row") !== null), "the focus is where it was");
});

kit.test("what is there stays, or is replaced, as is chosen: before and after, what is the same, and what is kept", { as: "root" }, async (tab) => {
  for (const [path, value] of [
    ["dev/variables/many/a", "1"], ["dev/variables/many/b", "2"], ["dev/variables/many/c", "3"],
    ["pre/variables/many/b", "old"], ["pre/variables/many/c", "3"],
  ]) put(path, value);
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await p.getByRole("searchbox").fill("many/");
  await p.getByRole("button", { name: "Copy these to…" }).click();
  const dialog = p.getByRole("dialog");
  await until(async () => (await planned(dialog)).length === 3);
  assert.deepEqual((await planned(dialog)).map((row) => row.replace(/:.*(many)/, " $1")), ["+ added many/a 1", "∥ kept many/b is there, stays as it is", "∥ kept many/c is there, stays as it is"]);
  await dialog.getByRole("radio", { name: /get the value from dev/ }).check();
  await until(async () => (await planned(dialog)).some((row) => row.includes("old")));
  assert.deepEqual(await planned(dialog), ["≠ changed: many/b old → becomes 2", "+ added: many/a 1", "= the same: many/c the same already"]);
  await dialog.getByRole("button", { name: /^≠ changed/ }).click();
  assert.equal((await planned(dialog)).length, 1);
  await dialog.getByRole("button", { name: "Copy 2 keys to pre" }).click();
  await is(dialog, /2 keys copied from dev to pre: 1 added, 1 changed.*Undo removes what was added, in one step, and then gives each changed key its value before/);
  assert.deepEqual(["a", "b", "c"].map((name) => read(`pre/variables/many/${name}`)), ["1", "2", "3"]);
  assert.equal(versions("pre", "many/c"), 1);
  await dialog.getByRole("button", { name: "Undo" }).click();
  await until(() => read("pre/variables/many/b") === "old" && read("pre/variables/many/a") === null);
});

kit.test("all below a prefix is meant by the prefix, and from and to can be chosen", { as: "root" }, async (tab) => {
  await tab.open("dev/variables");
  const p = tab.page;
  await p.evaluate(() => import("/page/copy.js").then(({ openCopy }) => openCopy({ prefix: "many", from: "dev" })));
  const dialog = p.getByRole("dialog");
  await is(dialog, /All variables below many\/ \(3 keys\)/);
  await dialog.getByLabel("From", { exact: true }).selectOption("pre");
  await is(dialog, /All variables below many\/ \(2 keys\)/);
  assert.equal(await dialog.getByLabel("To", { exact: true }).inputValue(), "dev");
});

kit.test("prod is changed with a tick of its own alone", { as: "root" }, async (tab) => {
  put("dev/variables/live/url", "1");
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  const dialog = await fromMenu(p, "live/url");
  await dialog.getByLabel("To", { exact: true }).selectOption("prod");
  const button = dialog.getByRole("button", { name: "Copy 1 key to prod" });
  await button.click();
  await is(dialog.getByRole("alert"), /Tick that prod is to be changed/);
  assert.equal(read("prod/variables/live/url"), null);
  await dialog.getByRole("checkbox", { name: "Yes, change prod" }).check();
  await button.click();
  await is(dialog, /1 key copied from dev to prod/);
  assert.equal(read("prod/variables/live/url"), "1");
});

kit.test("what can't be copied is named with the reason, and left out by a tick alone", { as: "bob" }, async (tab) => {
  put("dev/variables/some/open", "1");
  put("dev/variables/some/shut", "1");
  sh("chmod 755 dev/variables/some; chmod 644 dev/variables/some/open; chmod 600 dev/variables/some/shut");
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  await p.getByRole("searchbox").fill("some/");
  await p.getByRole("button", { name: "Copy these to…" }).click();
  const dialog = p.getByRole("dialog");
  await until(async () => (await planned(dialog)).length === 2);
  assert.match((await planned(dialog))[0], /^✕ refused: some\/shut .*not permitted to read/);
  await dialog.getByRole("button", { name: "Copy 1 key to pre" }).click();
  await is(dialog.getByRole("alert"), /Some keys can't be copied/);
  assert.equal(read("pre/variables/some/open"), null);
  await dialog.getByRole("checkbox", { name: /Leave out the 1 key/ }).check();
  await dialog.getByRole("button", { name: "Copy 1 key to pre" }).click();
  await is(dialog, /1 key copied/);
  assert.equal(sh("cat pre/variables/some/open", { as: "bob" }), "1");
});

kit.test("what was changed since the preview is not overwritten: there is a new preview", { as: "root" }, async (tab) => {
  put("dev/variables/race/key", "mine");
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  const dialog = await fromMenu(p, "race/key");
  await until(async () => (await planned(dialog)).length === 1);
  tab.expects(409, "/api/copy");
  put("pre/variables/race/key", "theirs");
  await dialog.getByRole("button", { name: "Copy 1 key to pre" }).click();
  await is(dialog, /changed since the preview.*Nothing was copied.*kept: race\/key/);
  assert.equal(read("pre/variables/race/key"), "theirs");
});

kit.test("the dialog says what the copies get, and that is what they get: neither permissions nor expiry", { as: "alice" }, async (tab) => {
  await kit.echo("dev/variables/kept/key", "value", { groups: "payments:rw", expires: "2099-01-01T00:00:00Z" });
  await tab.open("dev/variables/matrix");
  const p = tab.page;
  const dialog = await fromMenu(p, "kept/key");
  await is(dialog, /Only values are copied\. A key that is new in pre doesn't expire and is yours alone, unless its directory there says otherwise: give it permissions afterwards\./);
  await dialog.getByRole("button", { name: "Copy 1 key to pre" }).click();
  await is(dialog, /1 key copied/);
  const [acls, expires] = [await kit.sh("getfacl -c pre/variables/kept/key"), await kit.sh("getfattr -d -m - pre/variables/kept/key 2>/dev/null || true")];
  assert.doesNotMatch(acls, /payments/);
  assert.match(acls, /^user::rw-\ngroup::---\nother::---/);
  assert.doesNotMatch(expires, /expires=/);
});

kit.test("a secret is copied by whoever may read it, and its value is in no answer", { as: "alice" }, async (tab) => {
  const value = kit.secret("copied");
  put("dev/secrets/s/mine", value);
  put("dev/secrets/s/others", value);
  sh("chmod 755 dev/secrets/s; chgrp payments dev/secrets/s/mine; chmod 640 dev/secrets/s/mine; chmod 600 dev/secrets/s/others");
  await tab.open("dev/secrets/matrix");
  const p = tab.page;
  await p.getByRole("searchbox").fill("s/");
  const audit = path.join(kit.mount.home, "store.audit.jsonl");
  const opened = async () => (await readFile(audit, "utf8")).split("\n").filter((line) => line.includes('"s/mine"')).length;
  const before = await opened();
  let looked = 0;
  p.on("request", (request) => { if (request.url().endsWith("/api/copy")) looked += 1; });
  await p.getByRole("button", { name: "Copy these to…" }).click();
  const dialog = p.getByRole("dialog");
  await is(dialog, /Looking what would happen compares values\. The server opens each secret that you may read, and shows none\. Each opening is in the audit log\. Copying opens them once more\./);
  assert.equal(await dialog.getByRole("button", { name: /^Copy/ }).count(), 0);
  assert.equal(looked, 0, "nothing is opened before it was asked for");
  assert.equal(await opened(), before);
  await dialog.getByRole("button", { name: "Look what would happen" }).click();
  await until(async () => (await planned(dialog)).length === 2);
  await until(async () => (await opened()) > before, "the opening is in the audit log");
  assert.match((await planned(dialog))[0], /^✕ refused: s\/others/);
  assert.equal((await planned(dialog))[1], "+ added: s/mine new");
  await dialog.getByRole("checkbox", { name: /Leave out/ }).check();
  await dialog.getByRole("button", { name: "Copy 1 key to pre" }).click();
  await is(dialog, /1 key copied/);
  // That the value is in no answer and not in the page, the kit looks for.
  assert.equal(sh("cat pre/secrets/s/mine", { as: "alice" }), value);
});
