// Exporting variables: what is in the file, what is left out, and that secrets stay where they are.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { files, is, says } from "./across.mjs";
import { start, until } from "./kit.mjs";

const kit = await start();
const { dt, put, read, sh } = files(kit);

async function open(p) {
  await p.getByRole("button", { name: "Export", exact: true }).click();
  return p.getByRole("dialog", { name: "Export" });
}

async function download(p, dialog) {
  const [file] = await Promise.all([p.waitForEvent("download"), dialog.getByRole("button", { name: "Download" }).click()]);
  return { name: file.suggestedFilename(), text: await readFile(await file.path(), "utf8") };
}

kit.test("variables are downloaded as dotenv, JSON or YAML, all of them or those below a directory", { as: "root" }, async (tab) => {
  for (const [path, value] of [["dev/variables/app/db/host", "localhost\n"], ["dev/variables/app/db/port", "5432"], ["dev/variables/other", "x"]]) put(path, value);
  await tab.open("dev/variables");
  const p = tab.page;
  const dialog = await open(p);
  await is(dialog.locator("pre"), /app__db__port=5432/);
  let file = await download(p, dialog);
  assert.equal(file.name, "dev-variables.env");
  assert.match(file.text, /^app__db__port=5432$/m);
  assert.match(file.text, /^other=x$/m);
  await dialog.getByLabel("Format").selectOption("json");
  await dialog.getByLabel("Only below the directory").fill("app/");
  await is(dialog.locator("pre"), /^\{[^}]*"port": "5432"/);
  file = await download(p, dialog);
  assert.equal(file.name, "dev-app.json");
  assert.deepEqual(JSON.parse(file.text), { app: { db: { host: "localhost\n", port: "5432" } } });
  await dialog.getByLabel("Format").selectOption("yaml");
  await is(dialog.locator("pre"), /^app:/);
  // What was written is read back as the same.
  file = await download(p, dialog);
  await dt(["kv", "import", "--format", "yaml", "-e", "pre", "--yes"], file.text);
  assert.equal(read("pre/variables/app/db/host"), "localhost\n");
  await dialog.getByLabel("Only below the directory").fill("ap");
  await is(dialog, /no variables to export below ap\/ in dev/);
});

kit.test("what is left out is named: what may not be read, and what the format can't hold", { as: "bob" }, async (tab) => {
  put("pre/variables/left/open", "1");
  put("pre/variables/left/shut", "not yours");
  put("pre/variables/left/bytes", Buffer.from([0, 255]));
  sh("chmod 755 pre/variables/left; chmod 644 pre/variables/left/open pre/variables/left/bytes; chmod 600 pre/variables/left/shut");
  await tab.open("pre/variables");
  const p = tab.page;
  const dialog = await open(p);
  await dialog.getByLabel("Only below the directory").fill("left");
  await is(dialog, /2 keys left out: you may not read them, they have expired, or dotenv can't hold them/);
  await dialog.getByText("2 keys left out").click();
  assert.deepEqual(await dialog.locator(".export-left code").allInnerTexts(), ["left/bytes", "left/shut"]);
  assert.equal(await says(dialog.locator("pre")), "left__open=1");
  await dialog.getByLabel("Format").selectOption("yaml");
  await is(dialog, /1 key left out/);
});

kit.test("the text is copied to the clipboard", { as: "root" }, async (tab) => {
  await tab.open("dev/variables");
  const p = tab.page;
  const dialog = await open(p);
  await is(dialog.locator("pre"), /other=x/);
  await dialog.getByRole("button", { name: "Copy the text" }).click();
  await until(async () => /other=x/.test(await p.evaluate(() => navigator.clipboard.readText())));
});

kit.test("secrets aren't exported: the dialog says so, and gives the command, which works", { as: "root" }, async (tab) => {
  const value = kit.secret("exported");
  put("dev/secrets/it's/key", value);
  await tab.open("dev/secrets");
  const p = tab.page;
  const asked = [];
  p.on("request", (request) => asked.push(request.url()));
  const dialog = await open(p);
  await is(dialog, /Secrets aren't exported here: no secret is ever sent to a browser/);
  await dialog.getByLabel("Only below the directory").fill("it's");
  await dialog.getByLabel("Format").selectOption("json");
  await is(dialog.locator(".export-command"), /^dt kv export -s -e dev --format json --output secrets-dev\.json/);
  assert.ok(!asked.some((url) => url.includes("/api/export")));
  const command = await dialog.locator(".export-command code").innerText();
  assert.deepEqual(JSON.parse(sh(`cd .. && ${command} && cat secrets-dev.json`)), { "it's": { key: value } });
  await dialog.getByRole("button", { name: "Export the variables instead" }).click();
  await dialog.getByRole("button", { name: "Download" }).waitFor();
});
