// Importing: a file, a drop, a paste; what the preview says; what keeps it from being stored; all of it or nothing.

import assert from "node:assert/strict";
import { files, is, planned, plans } from "./across.mjs";
import { start, until } from "./kit.mjs";

const kit = await start();
const { put, read, sh } = files(kit);

async function open(p) {
  await p.getByRole("button", { name: "Import", exact: true }).click();
  return p.getByRole("dialog", { name: "Import keys" });
}

const drop = (p, name, text) => p.evaluate(([name, text]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], name));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}, [name, text]);

const paste = (p, text) => p.evaluate((text) => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}, text);

kit.test("a text is previewed key by key: added, changed with before and after, the same, and then stored in one step", { as: "root" }, async (tab) => {
  put("dev/variables/app/db/host", "old");
  put("dev/variables/app/db/user", "same");
  await tab.open("dev/variables");
  const p = tab.page;
  const dialog = await open(p);
  await dialog.getByLabel("Text", { exact: true }).fill("DB__HOST=new\nDB__PORT=5432\nDB__USER=same\n");
  await dialog.getByRole("checkbox", { name: /in a name is a/ }).check();
  await dialog.getByLabel("Case of the keys").selectOption("lower");
  await dialog.getByLabel("Directory").fill("app");
  await plans(dialog, ["≠ changed: app/db/host old → becomes new", "+ added: app/db/port 5432", "= the same: app/db/user the same already"]);
  assert.equal(await dialog.getByLabel("Format").locator("option:checked").innerText(), "guessed: dotenv");
  assert.equal(read("dev/variables/app/db/port"), null);
  await dialog.getByRole("button", { name: "Import 2 keys into dev" }).click();
  await is(dialog, /2 keys imported into the variables of dev: 1 added, 1 changed/);
  assert.equal(read("dev/variables/app/db/host"), "new");
  assert.equal(read("dev/variables/app/db/port"), "5432");
  await dialog.getByRole("button", { name: "Undo" }).click();
  await until(() => read("dev/variables/app/db/host") === "old" && read("dev/variables/app/db/port") === null);
});

kit.test("a file that is dropped anywhere on the page is taken, and its name says the format", { as: "root" }, async (tab) => {
  await tab.open("pre/variables");
  const p = tab.page;
  await drop(p, "settings.yaml", "drop:\n  a: 1\n  b: [x, y]\n");
  const dialog = p.getByRole("dialog", { name: "Import keys" });
  await is(dialog, /settings\.yaml 3 lines/);
  assert.equal(await dialog.getByLabel("Format").inputValue(), "yaml");
  assert.equal(await dialog.getByLabel("of", { exact: true }).inputValue(), "pre");
  await plans(dialog, ["+ added: drop/a 1", '+ added: drop/b ["x","y"]']);
  tab.expects(422, "/api/import");
  await dialog.getByLabel("Format").selectOption("json");
  await is(dialog.getByRole("alert"), /can't be read as json/);
  await dialog.getByLabel("Format").selectOption("yaml");
  await dialog.getByRole("button", { name: "Import 2 keys into pre" }).click();
  await is(dialog, /2 keys imported/);
  assert.equal(read("pre/variables/drop/b"), '["x","y"]');
});

kit.test("a file is chosen, and what is no text in UTF-8 is refused", { as: "root" }, async (tab) => {
  await tab.open("dev/variables");
  const p = tab.page;
  const dialog = await open(p);
  await dialog.locator("input[type=file]").setInputFiles({ name: "x.json", mimeType: "application/json", buffer: Buffer.from([0x80, 0xff]) });
  await is(dialog.getByRole("alert"), /x\.json is no text in UTF-8/);
  await dialog.locator("input[type=file]").setInputFiles({ name: "x.json", mimeType: "application/json", buffer: Buffer.from('{"chosen": {"a": 1}}') });
  await plans(dialog, ["+ added: chosen/a 1"]);
  await dialog.getByRole("button", { name: "Remove it" }).click();
  assert.equal(await dialog.getByLabel("Text", { exact: true }).inputValue(), "");
});

kit.test("a text that is pasted on the page begins an import, and what was pasted isn't lost by a slip", { as: "root" }, async (tab) => {
  await tab.open("dev/variables");
  const p = tab.page;
  await paste(p, "PASTED=1\n");
  const dialog = p.getByRole("dialog", { name: "Import keys" });
  await plans(dialog, ["+ added: PASTED 1"]);
  await p.keyboard.press("Escape");
  await p.getByRole("dialog", { name: "Discard the text?" }).getByRole("button", { name: "Keep it" }).click();
  assert.equal(await dialog.getByLabel("Text", { exact: true }).inputValue(), "PASTED=1\n");
  await p.keyboard.press("Escape");
  await p.getByRole("dialog", { name: "Discard the text?" }).getByRole("button", { name: "Discard" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.equal(read("dev/variables/PASTED"), null);
});

kit.test("a text that was pasted isn't lost by a reload, nor by a file that is dropped on it", { as: "root" }, async (tab) => {
  await tab.open("dev/variables");
  const p = tab.page;
  await paste(p, "PASTED=1\n");
  const dialog = p.getByRole("dialog", { name: "Import keys" });
  const text = dialog.getByLabel("Text", { exact: true });
  await plans(dialog, ["+ added: PASTED 1"]);
  await drop(p, "other.env", "OTHER=1\n");
  await p.getByRole("dialog", { name: "Replace the text?" }).getByRole("button", { name: "Keep it" }).click();
  assert.equal(await text.inputValue(), "PASTED=1\n");
  await drop(p, "other.env", "OTHER=1\n");
  await p.getByRole("dialog", { name: "Replace the text?" }).getByRole("button", { name: "Replace" }).click();
  await plans(dialog, ["+ added: OTHER 1"]);
  await dialog.getByRole("button", { name: "Remove it" }).click();
  await text.fill("TYPED=1\n");
  await p.reload();
  await tab.ready();
  assert.equal(tab.warnings, 1);
  await paste(p, "PASTED=1\n");
  await plans(dialog, ["+ added: PASTED 1"]);
  await p.keyboard.press("Escape");
  await p.getByRole("button", { name: "Discard" }).click();
  await dialog.waitFor({ state: "detached" });
  await p.reload();
  await tab.ready();
  assert.equal(tab.warnings, 1, "nothing is asked where nothing would be lost");
});

kit.test("a file that is dropped while a form is open doesn't cover the form", { as: "root" }, async (tab) => {
  await tab.open("dev/variables");
  const p = tab.page;
  await p.getByRole("button", { name: "Add New" }).click();
  await p.locator("#key").fill("half/typed");
  await drop(p, "other.env", "OTHER=1\n");
  await p.getByText("A file is imported where no other dialog is open").first().waitFor();
  await paste(p, "PASTED=1\n");
  assert.deepEqual(await p.locator("dialog[open] h2").allInnerTexts(), ["Add a variable"]);
  assert.equal(await p.locator("#key").inputValue(), "half/typed");
});

kit.test("a folder, several files, and a file that is too large are refused with the reason; marks and line ends of Windows are no part of a value", { as: "root" }, async (tab) => {
  await tab.open("dev/variables");
  const p = tab.page;
  const told = (pattern) => p.locator(".toast", { hasText: pattern }).waitFor();
  const session = await p.context().newCDPSession(p);
  const data = { items: [], files: [kit.mount.keys], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) await session.send("Input.dispatchDragEvent", { type, x: 600, y: 400, data });
  await told(/is a folder: drop one/);
  await p.evaluate(() => {
    for (const files of [[new File(["A=1"], "a.env"), new File(["B=1"], "b.env")], [new File([new Uint8Array(33 << 20)], "large.env")]]) {
      const transfer = new DataTransfer();
      for (const file of files) transfer.items.add(file);
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }
  });
  await told(/Drop one file at a time/);
  await told(/large\.env has more than 32 MiB/);
  assert.equal(await p.locator("dialog[open]").count(), 0);
  await drop(p, "windows.env", "\ufeffWIN_A=1\r\nWIN_B=two words\r\n");
  const dialog = p.getByRole("dialog", { name: "Import keys" });
  await plans(dialog, ["+ added: WIN_A 1", "+ added: WIN_B two words"]);
  await dialog.getByRole("button", { name: "Import 2 keys into dev" }).click();
  await is(dialog, /2 keys imported/);
  assert.equal(read("dev/variables/WIN_A") + read("dev/variables/WIN_B"), "1two words");
});

kit.test("what can't be stored keeps the rest from being stored, until a tick", { as: "root" }, async (tab) => {
  put("dev/variables/taken", "a value");
  await tab.open("dev/variables");
  const p = tab.page;
  const dialog = await open(p);
  await dialog.getByLabel("Text", { exact: true }).fill('{"taken": {"below": 1}, "fine": 2, "none": null}');
  await until(async () => (await planned(dialog)).length === 3);
  const shown = await planned(dialog);
  assert.ok(shown.some((row) => /^✕ invalid: taken\/below line 1: .*has a value/.test(row)), shown.join());
  assert.ok(shown.some((row) => /^✕ invalid: none line 1: /.test(row)), shown.join());
  await dialog.getByRole("button", { name: "Import 1 key into dev" }).click();
  await is(dialog.getByRole("alert"), /Something can't be imported/);
  assert.equal(read("dev/variables/fine"), null);
  await dialog.getByRole("checkbox", { name: "Leave out what can't be imported" }).check();
  await dialog.getByRole("button", { name: "Import 1 key into dev" }).click();
  await is(dialog, /1 key imported.*2 keys left out, as you chose/);
  assert.equal(read("dev/variables/fine"), "2");
  assert.equal(read("dev/variables/taken"), "a value");
});

kit.test("a line that can't be read is named, can be gone to, and is left out only on demand", { as: "root" }, async (tab) => {
  await tab.open("dev/variables");
  const p = tab.page;
  tab.expects(422, "/api/import");
  const dialog = await open(p);
  await dialog.getByLabel("Text", { exact: true }).fill("L1=1\nthis is no line\nL3=3\n");
  await is(dialog.getByRole("alert"), /can't be read as dotenv: line 2, column/);
  await dialog.getByRole("button", { name: "Go to line 2" }).click();
  assert.equal(await p.evaluate(() => {
    const { value, selectionStart, selectionEnd } = document.activeElement;
    return value.slice(selectionStart, selectionEnd);
  }), "this is no line");
  await dialog.getByRole("button", { name: "Leave line 2 out" }).click();
  await plans(dialog, ["+ added: L1 1", "+ added: L3 3"]);
  await is(dialog, /Left out, as you chose: line 2/);
});

kit.test("what somebody else changes after the preview is not overwritten: what is different is said, and asked anew", { as: "root" }, async (tab) => {
  put("dev/variables/race/a", "1");
  await tab.open("dev/variables");
  const p = tab.page;
  const dialog = await open(p);
  await dialog.getByLabel("Text", { exact: true }).fill('{"race": {"a": "mine", "b": "mine"}}');
  await plans(dialog, ["≠ changed: race/a 1 → becomes mine", "+ added: race/b mine"]);
  tab.expects(409, "/api/import");
  put("dev/variables/race/b", "theirs");
  await dialog.getByRole("button", { name: "Import 2 keys into dev" }).click();
  await is(dialog, /changed since the preview.*Nothing was imported.*race\/b is not as before/);
  assert.equal(read("dev/variables/race/a"), "1");
  await plans(dialog, ["≠ changed: race/a 1 → becomes mine", "≠ changed: race/b theirs → becomes mine"]);
  await dialog.getByRole("button", { name: "Import 2 keys into dev" }).click();
  await is(dialog, /2 keys imported/);
  assert.equal(read("dev/variables/race/b"), "mine");
});

kit.test("groups that are named may use the new keys, and prod takes a tick", { as: "alice" }, async (tab) => {
  await tab.open("prod/secrets");
  const p = tab.page;
  const value = kit.secret("typed");
  const dialog = await open(p);
  await dialog.getByLabel("Text", { exact: true }).fill(JSON.stringify({ granted: value }));
  await dialog.getByText("Who may use the keys that are new").click();
  await dialog.getByLabel("Add a group").fill("analysts");
  await p.keyboard.press("Enter");
  await is(dialog.locator(".import-permissions"), /analysts/);
  await plans(dialog, ["+ added: granted new"]);
  await dialog.getByRole("button", { name: "Import 1 key into prod" }).click();
  await is(dialog.getByRole("alert"), /Tick that prod is to be changed/);
  await dialog.getByRole("checkbox", { name: "Yes, change prod" }).check();
  await dialog.getByRole("button", { name: "Import 1 key into prod" }).click();
  await is(dialog, /1 key imported into the secrets of prod/);
  assert.equal(sh("cat prod/secrets/granted", { as: "bob" }), value);
});

kit.test("pasted secrets are masked, in no preview, in no answer, and gone with the dialog", { as: "alice" }, async (tab) => {
  put("dev/secrets/known", "before");
  sh("chgrp payments dev/secrets/known && chmod 660 dev/secrets/known");
  await tab.open("dev/secrets");
  const p = tab.page;
  const value = kit.secret("pasted");
  await paste(p, JSON.stringify({ known: value, fresh: value }));
  const dialog = p.getByRole("dialog", { name: "Import keys" });
  await plans(dialog, ["≠ changed: known will be replaced", "+ added: fresh new"]);
  const masked = () => dialog.getByLabel("Text", { exact: true }).evaluate((field) => getComputedStyle(field).webkitTextSecurity);
  assert.equal(await masked(), "disc");
  await dialog.getByRole("checkbox", { name: "Show the text" }).check();
  assert.equal(await masked(), "none");
  await dialog.getByRole("button", { name: "Import 2 keys into dev" }).click();
  await is(dialog, /2 keys imported/);
  assert.equal(sh("cat dev/secrets/known", { as: "alice" }), value);
  await dialog.getByRole("button", { name: "Close", exact: true }).last().click();
  await dialog.waitFor({ state: "detached" });
  // That the value is in no answer, in nothing that the page stores, and no longer in the page, the kit looks for.
});

kit.test("thousands of keys are previewed whole, and stored in one step", { as: "root" }, async (tab) => {
  await tab.open("dev/variables");
  const p = tab.page;
  await drop(p, "many.env", Array.from({ length: 6000 }, (_, n) => `BULK_${n}=${n}`).join("\n"));
  const dialog = p.getByRole("dialog", { name: "Import keys" });
  await dialog.getByLabel("Directory").fill("bulk");
  await is(dialog, /\+ added 6,000/);
  assert.ok((await dialog.locator(".plan-row").count()) < 80);
  await dialog.getByRole("button", { name: "Import 6,000 keys into dev" }).click();
  await is(dialog, /Storing 6,000 keys in one step|6,000 keys imported/);
  await p.waitForFunction(() => /6,000 keys imported/.test(document.querySelector("dialog").textContent), null, { timeout: 60_000 });
  assert.equal(read("dev/variables/bulk/BULK_5999"), "5999");
});

kit.test("with more changed keys than are taken back, there is no Undo, and it is said why", { as: "root" }, async (tab) => {
  const many = (value) => Array.from({ length: 501 }, (_, n) => `MANY_${n}=${value}\n`).join("");
  sh(`mkdir dev/variables/undone; cd dev/variables/undone; for n in $(seq 0 500); do echo 1 >MANY_$n; done`);
  await tab.open("dev/variables");
  const p = tab.page;
  await p.evaluate((text) => { import("/page/import.js").then(({ openImport }) => openImport({ text, name: "many.env" })); }, `${many(2)}ADDED=1\n`);
  const dialog = p.getByRole("dialog");
  await dialog.getByLabel("Directory").fill("undone");
  await dialog.getByRole("button", { name: "Import 502 keys into dev" }).click();
  await is(dialog, /502 keys imported into the variables of dev: 1 added, 501 changed\. With more than 500 changed keys nothing is taken back here, the keys that were added included; their values before are in the history of each key\./);
  assert.equal(await dialog.getByRole("button", { name: "Undo" }).count(), 0);
  assert.equal(read("dev/variables/undone/ADDED"), "1");
});
