// The menu of a row: four ways to it, what is in it, and where the focus goes.

import assert from "node:assert/strict";
import { start } from "./kit.mjs";

const kit = await start();
await kit.echo("dev/variables/app/name", "shop\n");
await kit.echo("dev/variables/app/port", "80\n");
await kit.echo("dev/secrets/db/password", kit.secret(), { groups: "payments:rw" });

const focused = (page) => page.evaluate(() => document.activeElement.dataset.path ?? document.activeElement.querySelector("span")?.textContent ?? document.activeElement.textContent);
const items = (page) => page.getByRole("menuitem").evaluateAll((all) => all.map((item) => item.querySelector("span").textContent));
const KEY = ["Edit", "History", "Copy to another environment…", "Copy the key", "Copy the command that reads it", "Delete"];

async function opened(page) {
  await page.getByRole("menu").waitFor();
}

async function gone(page) {
  await page.getByRole("menu").waitFor({ state: "detached" });
}

kit.test("a right click, the visible button, Shift+F10 and the menu key open the same menu", { open: "dev/variables" }, async ({ page }) => {
  const line = page.locator('.row[data-path="app/name"]');
  await line.locator(".value").waitFor();
  const ways = {
    "right click": () => line.locator(".cell-key").click({ button: "right" }),
    button: () => line.locator(".row-menu").click(),
    "Shift+F10": () => page.keyboard.press("Shift+F10"),
    "menu key": () => page.keyboard.press("ContextMenu"),
  };
  for (const [name, open] of Object.entries(ways)) {
    await open();
    await opened(page);
    assert.deepEqual(await items(page), KEY, name);
    assert.equal(await focused(page), "Edit", `${name}: the first item has the focus`);
    await page.keyboard.press("Escape");
    await gone(page);
    assert.equal(await focused(page), "app/name", `${name}: the focus returns to the row`);
  }
});

kit.test("a long press opens it", { open: "dev/variables" }, async (tab) => {
  const line = tab.page.locator('.row[data-path="app/name"]');
  await line.locator(".value").waitFor();
  const release = await tab.longPress(line.locator(".cell-key"));
  await opened(tab.page);
  await release();
  assert.deepEqual(await items(tab.page), KEY, "it stays when the finger is lifted");
  await tab.page.keyboard.press("Escape");
  await gone(tab.page);
});

kit.test("it is used by keyboard, after the authoring practices", { open: "dev/variables" }, async ({ page }) => {
  await page.locator('.row[data-path="app/name"] .value').waitFor();
  await page.locator('.row[data-path="app/name"] .row-menu').click();
  await opened(page);
  for (const [key, item] of [["ArrowDown", "History"], ["ArrowUp", "Edit"], ["ArrowUp", "Delete"], ["ArrowDown", "Edit"], ["End", "Delete"], ["Home", "Edit"], ["h", "History"], ["c", "Copy to another environment…"], ["c", "Copy the key"]]) {
    await page.keyboard.press(key);
    assert.equal(await focused(page), item, key);
  }
  await page.keyboard.press("Enter");
  await gone(page);
  assert.equal(await focused(page), "app/name");
  await page.waitForFunction(async () => (await navigator.clipboard.readText()) === "app/name");
  await page.locator('.row[data-path="app/port"] .row-menu').click();
  await opened(page);
  await page.locator(".brand").click();
  await gone(page);
});

kit.test("a directory's menu adds, copies, exports and deletes what is below it", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  await page.locator('.row[data-path="app/"] .cell-key').click({ button: "right" });
  await opened(page);
  assert.deepEqual(await items(page), ["Add a key here", "Copy all below to another environment…", "Export all below", "Copy the path", "Delete all below"]);
  await page.getByRole("menuitem", { name: "Add a key here" }).click();
  await tab.dialog.waitFor();
  assert.equal(await tab.dialog.locator('input[name="key"], #key').first().inputValue(), "app/");
  await page.keyboard.press("Escape");
  await tab.closed();
  assert.equal(await focused(page), "app/");
});

kit.test("Edit, History and Delete open what they say, of that key", { open: "dev/secrets" }, async (tab) => {
  const { page } = tab;
  const line = page.locator('.row[data-path="db/password"]');
  await line.locator(".set").waitFor();
  for (const [item, title] of [["Edit", "Edit db/password"], ["History", "History of db/password"], ["Delete", "Delete db/password"]]) {
    await line.locator(".row-menu").click();
    await page.getByRole("menuitem", { name: item, exact: true }).click();
    await tab.dialog.getByRole("heading", { name: title }).waitFor();
    await page.goBack();
    await tab.closed();
    assert.equal(await focused(page), "db/password", "Back closes the dialog, and the focus returns to the row");
  }
  assert.ok(page.url().endsWith("#/dev/secrets"));
});
