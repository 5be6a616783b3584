// Names and values that could be taken for others: with characters that turn what follows, that aren't seen, that break a line.

import assert from "node:assert/strict";
import { start, until } from "./kit.mjs";
import { call } from "./scenes.mjs";

const TURNED = "prod\u202egnp.db", HIDDEN = "prod\u200b", BROKEN = "two\nlines", EDGE = "prod ", HEBREW = "מפתח/שם", HEBREW_TURNED = "שם/מפתח";
const KEYS = [TURNED, HIDDEN, "prod", BROKEN, EDGE, "db/\u2066pass\u061cword\u200f", HEBREW, HEBREW_TURNED];
const GROUP = "pay\u202estnem", USER = "ali\u200bce", PLACE = "pro\u200bd";
const VALUE = "10\u202e00\t€\u00a0 ";

const kit = await start({
  seed: async (kit) => {
    await kit.sh(`mkdir "${PLACE}"`, { as: "root" });
    for (const key of KEYS) {
      for (const environment of ["dev", "prod"]) await kit.echo(`${environment}/variables/${key}`, VALUE, { as: "carol", groups: `${GROUP}:rw,payments:rw` });
      await kit.echo(`${PLACE}/variables/${key}`, `${VALUE}.`, { as: USER, groups: "payments:rw" });
      await kit.echo(`dev/secrets/${key}`, kit.secret("behind a name"), { as: "carol", groups: `${GROUP}:rw,payments:rw` });
    }
    await kit.dt(["kv", "put", TURNED, "again"], { as: "alice" });
    await kit.sh(`echo 1 >'dev/variables/gone\u202e'; rm 'dev/variables/gone\u202e'`);
  },
});

/** What is shown with a character that isn't seen in it: texts and what is told in attributes. Fields hold what they hold. */
async function unspelled(tab) {
  return tab.page.evaluate(() => {
    const unseen = /[\p{Cf}\p{Zl}\p{Zp}\p{DI}]|(?![\n\t])\p{Cc}|(?! )\p{Zs}/u;
    // What isolates a name is there on purpose.
    const wrong = (text) => unseen.test(text.replaceAll(/\u2068([^\u2068\u2069]*[\u0590-\u05ff][^\u2068\u2069]*)\u2069/g, "$1"));
    const found = wrong(document.title) ? [document.title] : [];
    for (const element of document.querySelectorAll("body *")) {
      for (const name of ["title", "aria-label", "placeholder", "alt"]) if (wrong(element.getAttribute(name) ?? "")) found.push(`${name}: ${element.getAttribute(name)}`);
      for (const node of element.childNodes) if (node.nodeType === Node.TEXT_NODE && wrong(node.data)) found.push(`${element.className || element.localName}: ${node.data}`);
    }
    return found.map((text) => JSON.stringify(text).replaceAll(/[^\x20-\x7e]/g, (character) => `<${character.codePointAt(0).toString(16)}>`));
  });
}

const clean = async (tab, where) => assert.deepEqual(await unspelled(tab), [], where);

/** What a key looks like: by where each of its letters stands, from left to right. */
const seen = (locator) => locator.evaluate((element) => {
  const letters = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (let at = 0; at < node.data.length; at += 1) {
      const range = new Range();
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const box = range.getBoundingClientRect();
      if (box.width > 0) letters.push({ letter: node.data[at], left: box.left });
    }
  }
  return letters.sort((one, other) => one.left - other.left).map(({ letter }) => letter).join("");
});

kit.test("what can't be seen in a name is spelled out in the list, and no two keys look the same", { open: "dev/variables" }, async (tab) => {
  await tab.page.getByRole("radio", { name: "Flat" }).check();
  await tab.page.locator(".row .value").nth(KEYS.length - 1).waitFor();
  await clean(tab, "the list");
  const looks = new Map();
  for (const key of KEYS) looks.set(key, await seen(tab.row(key).locator(".name")));
  assert.equal(looks.get(TURNED), "prod[U+202E]gnp.db");
  assert.equal(looks.get(HIDDEN), "prod[U+200B]");
  assert.equal(looks.get(BROKEN), "two[LF]lines");
  assert.equal(looks.get(EDGE), "prod[SPACE]");
  assert.equal(looks.get(HEBREW), "חתפמ/םש", "the parts stand in their order, each read from right to left");
  assert.equal(new Set(looks.values()).size, KEYS.length);
  assert.equal(await tab.row("prod").locator(".value").first().innerText(), "10[U+202E]00[TAB]€[U+00A0][SPACE]");
  assert.match(await tab.row("prod").locator(".chips").innerText(), /pay\[U\+202E\]stnem/);
});

kit.test("so it is in the tree, under a filter, across environments, and among removed keys", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  await tab.row("db/").waitFor();
  await clean(tab, "the tree");
  await page.getByLabel("Filter keys").fill("gnp");
  await until(async () => (await page.locator(".row mark").count()) === 1);
  assert.equal(await page.locator(".row .name").first().innerText(), "prod[U+202E]gnp.db");
  assert.equal(await page.locator(".row mark").innerText(), "gnp");
  await page.getByLabel("Filter keys").fill("no\u202esuch");
  await page.getByText("No key matches").waitFor();
  await clean(tab, "no key matches");
  for (const [view, there] of [["dev/variables/matrix", ".matrix-text"], ["dev/secrets/matrix", ".matrix-cell .set"], ["dev/variables/removed", ".removed-row"], ["dev/secrets", ".row .chip"]]) {
    await tab.open(view);
    await page.locator(there).first().waitFor();
    await clean(tab, view);
  }
  await page.getByRole("radio", { name: "pro[U+200B]d" }).check();
  await page.locator(".empty").waitFor();
  await clean(tab, "an environment");
  assert.equal(await page.title(), "pro[U+200B]d secrets – Secret Keys Manager");
});

kit.test("so it is in every dialog, and what is sent is the key itself", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  const dialogs = [
    ["form.js", "openAdd", { key: TURNED }], ["form.js", "openEdit", TURNED], ["remove.js", "openRemove", { keys: [TURNED] }], ["remove.js", "openRemove", { keys: KEYS }],
    ["history.js", "openHistory", TURNED], ["copy.js", "openCopy", { keys: KEYS }], ["export.js", "openExport", {}], ["import.js", "openImport", { text: JSON.stringify({ [TURNED]: VALUE, fresh: VALUE }), name: `a${HIDDEN}.json` }],
  ];
  for (const [file, name, given] of dialogs) {
    await call(tab, file, name, given);
    await tab.dialog.getByText(/U\+202E/).filter({ visible: true }).first().waitFor();
    await clean(tab, name);
    await page.keyboard.press("Escape");
    if (await tab.dialog.count()) await tab.dialog.getByRole("button", { name: "Discard" }).click().catch(() => {});
    await tab.closed();
  }
  await call(tab, "form.js", "openEdit", TURNED);
  assert.equal(await tab.dialog.locator("h2").innerText(), "Edit prod[U+202E]gnp.db");
  await page.fill("#value", "new");
  await tab.button("Review change").click();
  await clean(tab, "the review");
  await tab.button("Save").click();
  await tab.closed();
  await page.locator(".toast").waitFor();
  await clean(tab, "the message");
  assert.equal(await kit.sh(`cat 'dev/variables/${TURNED}'`), "new");
});

kit.test("where a key is typed to confirm, it is typed as it is shown, and another that looks like it is not taken", { open: "prod/variables" }, async (tab) => {
  const { page } = tab;
  await call(tab, "remove.js", "openRemove", { keys: [HIDDEN] });
  const field = page.locator("#remove-phrase");
  await field.waitFor();
  assert.match(await tab.dialog.innerText(), /Type prod\[U\+200B\] to confirm/);
  await field.fill("prod");
  await tab.button("Delete 1 key").click();
  assert.equal(await page.locator("#remove-error").innerText(), "Type prod[U+200B], exactly as it stands there.");
  await field.fill("prod[U+200B]");
  await tab.button("Delete 1 key").click();
  await tab.closed();
  await clean(tab, "what was deleted");
  assert.equal(await kit.sh("cat prod/variables/prod"), VALUE);
  await assert.rejects(kit.sh(`cat 'prod/variables/${HIDDEN}'`));
});

kit.test("what is typed or pasted with such characters in it is told beside the field, and stays as it is", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  await call(tab, "form.js", "openAdd", {});
  await page.fill("#key", "new\u200bkey");
  await page.fill("#value", "http://host\u00a0");
  const notes = tab.dialog.locator(".unseen-note");
  await until(async () => (await notes.count()) === 2);
  assert.deepEqual((await notes.allInnerTexts()).map((text) => text.trim()), ["It has characters in it that can't be seen: [U+200B]", "It has characters in it that can't be seen: [U+00A0]"]);
  await tab.button("Save").click();
  await tab.closed();
  assert.equal(await kit.sh("cat 'dev/variables/new\u200bkey'"), "http://host\u00a0");
});

kit.test("what the server says of a name is spelled too", { open: "dev/variables" }, async (tab) => {
  tab.expects(404, "/api/entry");
  await tab.page.evaluate(() => { import("/page/form.js").then(({ openEdit }) => openEdit("no\u202esuch")); });
  await tab.page.locator(".toast").waitFor();
  assert.match(await tab.page.locator(".toast").innerText(), /no\[U\+202E\]such/);
  await clean(tab, "a refusal");
});
