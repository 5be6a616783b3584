// The table of keys: what it shows, its two shapes, its filter and order, and the keyboard.

import assert from "node:assert/strict";
import { start } from "./kit.mjs";

const kit = await start();
const soon = new Date(Date.now() + 5 * 86_400_000).toISOString();
const variable = (key, value) => kit.echo(`dev/variables/${key}`, value);

await kit.echo("dev/secrets/db/main/password", kit.secret(), { groups: "payments:rw,analysts:r" });
await kit.echo("dev/secrets/token", kit.secret(), { groups: "payments:r", expires: soon });
await variable("app/name", "shop\n");
await variable("app/motd", "Hello\nand welcome\n");
await variable("app/long", "x".repeat(500));
await variable("app/deep/er/retries", "3\n");
await variable("zone", "eu\n");

const names = (page) => page.locator(".row[data-path]").evaluateAll((rows) => rows.sort((a, b) => a.dataset.at - b.dataset.at).map((row) => row.dataset.path));
const focused = (page) => page.evaluate(() => document.activeElement.dataset.path ?? document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent);

async function counts(page, text) {
  await page.waitForFunction((wanted) => document.querySelector(".count").textContent.trim() === wanted, text);
}

kit.test("a secret's row says that it is set, how old it is, who may do what, and the command that reads it", { open: "dev/secrets" }, async ({ page }) => {
  const line = page.locator('.row[data-path="db/main/password"]');
  await line.locator(".set").waitFor();
  const text = (await line.innerText()).replaceAll(/\s+/g, " ");
  for (const part of ["set", "just now", "payments Full access", "analysts Viewer", "by alice"]) assert.ok(text.includes(part), `${part} in: ${text}`);
  const command = await line.locator(".command code").getAttribute("title");
  assert.match(command, /^dt kv get -s .*db\/main\/password$/);
  await line.locator(".copy").click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
  assert.match(await page.locator('.row[data-path="token"] .expiry[data-state="soon"]').innerText(), /^in \d days$/);
});

kit.test("a variable's row shows one line of it, and says what is left out", { open: "dev/variables" }, async ({ page }) => {
  const value = (key) => page.locator(`.row[data-path="${key}"] .cell-value`).innerText();
  await page.locator('.row[data-path="app/name"] .value').waitFor();
  assert.match(await value("app/name"), /^shop/);
  assert.match(await value("app/motd"), /^Hello\s+\+ 1 line/);
  assert.match(await value("app/long"), /^x{200}\s*…/);
});

kit.test("the tree folds, and the flat list has whole paths", { open: "dev/variables" }, async ({ page }) => {
  assert.deepEqual(await names(page), ["app/", "app/deep/", "app/deep/er/", "app/deep/er/retries", "app/long", "app/motd", "app/name", "zone"]);
  const directory = page.locator('.row[data-path="app/"]');
  assert.equal(await directory.getAttribute("aria-expanded"), "true");
  assert.equal(await directory.locator(".keys-below").innerText(), "4");
  await directory.locator(".name").click();
  await page.locator('.row[data-path="app/name"]').waitFor({ state: "detached" });
  assert.deepEqual(await names(page), ["app/", "zone"]);
  await page.getByRole("button", { name: "Expand all" }).click();
  await page.locator('.row[data-path="app/name"]').waitFor();
  await page.getByRole("radio", { name: "Flat" }).check({ force: true });
  await page.locator('.row[data-path="app/"]').waitFor({ state: "detached" });
  assert.deepEqual(await names(page), ["app/deep/er/retries", "app/long", "app/motd", "app/name", "zone"]);
  await page.getByRole("radio", { name: "Tree" }).check({ force: true });
});

kit.test("the filter matches any part of the path at every depth, and its count is that of what is shown", { open: "dev/variables" }, async ({ page }) => {
  const field = page.getByRole("searchbox", { name: "Filter keys" });
  await counts(page, "5 keys");
  await field.fill("P/DEEP/ER/r");
  await counts(page, "1 of 5 keys");
  assert.deepEqual(await names(page), ["app/", "app/deep/", "app/deep/er/", "app/deep/er/retries"]);
  await field.fill("nothing like this");
  await counts(page, "0 of 5 keys");
  await page.getByRole("button", { name: "Clear the filter" }).click();
  await counts(page, "5 keys");
});

kit.test("the filter takes the command line's language, and a wrong expression is marked where it is wrong", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  const field = page.getByRole("searchbox", { name: "Filter keys" });
  await field.fill("size > 5 and not key contains motd");
  await counts(page, "1 of 5 keys");
  assert.equal((await names(page)).at(-1), "app/long");
  tab.expects(422, "/api/select");
  await field.fill("size >> 5");
  await page.locator(".filter-problem mark").waitFor();
  assert.equal(await page.locator(".filter-problem mark").innerText(), "> 5");
  assert.match(await page.locator(".filter-problem").innerText(), /column 7/);
  assert.equal(await field.getAttribute("aria-invalid"), "true");
  assert.deepEqual((await names(page)).at(-1), "app/long", "the last good result stays");
  await field.fill("");
  await counts(page, "5 keys");
  assert.equal(await field.getAttribute("aria-invalid"), null);
});

kit.test("the filter loses no letter while changes come in, and doesn't stick to another view", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  const field = page.getByRole("searchbox", { name: "Filter keys" });
  await field.focus();
  const text = "retries and some more that is typed quickly";
  const noise = (async () => { for (let n = 0; n < 8; n += 1) await tab.echo("dev/variables/noise", `${n}`); })();
  await page.keyboard.type(text, { delay: 12 });
  await noise;
  assert.equal(await field.inputValue(), text);
  await kit.sh("rm dev/variables/noise");
  for (const go of [() => page.getByRole("tab", { name: "Secrets" }).click(), () => page.getByRole("radio", { name: "pre" }).check({ force: true }), () => page.goBack()]) {
    await go();
    await tab.ready();
    assert.equal(await field.inputValue(), "");
    assert.doesNotMatch(await page.locator(".count").innerText(), / of /);
    await field.fill("x");
  }
});

kit.test("a filter that is typed as its view is left doesn't reach the next one", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  await page.locator('.row[data-path="app/"]').waitFor();
  const secret = page.locator('.row[data-path="db/main/password"]');
  // The pause behind the last letter ends before, while and after the next view is loaded.
  for (const pause of [0, 30, 60]) {
    await page.evaluate((pause) => new Promise((go) => {
      const field = document.querySelector('[name="filter"]');
      field.value = "retries";
      field.dispatchEvent(new Event("input", { bubbles: true }));
      setTimeout(() => document.getElementById("tab-secrets").click(), pause);
      // It is set later and is no shorter than the field's own: by then, what that would do is done.
      setTimeout(go, 100);
    }), pause);
    await secret.waitFor();
    // Whatever comes is shown by the filter that the rows have.
    await tab.echo("dev/secrets/late", kit.secret("late"));
    await page.locator('.row[data-path="late"]').waitFor();
    await page.locator(".count", { hasText: /^4 keys$/ }).waitFor();
    assert.equal(await secret.count(), 1);
    await kit.sh("rm dev/secrets/late");
    await page.locator('.row[data-path="late"]').waitFor({ state: "detached" });
    await page.locator("#tab-variables").click();
    await page.locator('.row[data-path="app/"]').waitFor();
  }
});

kit.test("/ leads to the filter of each view, and no view has the filter of another", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  const field = page.getByRole("searchbox");
  for (const [view, all] of [["Across environments", ".matrix-row"], ["Removed keys", ".removed-row, .removed-empty"], ["Keys", ".row[data-path]"]]) {
    await page.getByRole("link", { name: view, exact: true }).click();
    await page.locator(all).first().waitFor();
    assert.equal(await field.inputValue(), "", view);
    await page.keyboard.press("/");
    await page.keyboard.type("nothing has this");
    assert.equal(await field.inputValue(), "nothing has this", view);
    await page.getByText(/no key (matches|fits)|no removed variable has/i).first().waitFor();
  }
});

kit.test("a column's head orders by it, and says so", { open: "dev/variables" }, async ({ page }) => {
  const head = page.getByRole("columnheader", { name: "Version" });
  await kit.echo("dev/variables/zone", "us\n");
  await head.getByRole("button").click();
  await page.waitForFunction(() => document.querySelector('.row[data-at="0"]').dataset.path === "zone");
  assert.equal(await head.getAttribute("aria-sort"), "descending");
  await head.getByRole("button").click();
  await page.waitForFunction(() => document.querySelector('.row[data-at="4"]').dataset.path === "zone");
  assert.equal(await head.getAttribute("aria-sort"), "ascending");
  await page.getByRole("columnheader", { name: "Key" }).getByRole("button").click();
  await page.locator('.row[data-path="app/"]').waitFor();
});

kit.test("the grid is used by keyboard, after the authoring practices", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  await page.locator('.row[data-path="app/"] .cell-key').click();
  await page.locator('.row[data-path="app/name"]').waitFor({ state: "detached" });
  const press = async (key, path) => {
    await page.keyboard.press(key);
    await page.waitForFunction((wanted) => document.activeElement.dataset.path === wanted, path);
  };
  await press("ArrowRight", "app/");
  await page.locator('.row[data-path="app/deep/"]').waitFor();
  await press("ArrowRight", "app/deep/");
  await press("End", "zone");
  await press("ArrowUp", "app/name");
  await press("ArrowLeft", "app/");
  await press("z", "zone");
  await press("Home", "app/");
  await press("PageDown", "zone");
  await page.locator('.row[data-path="zone"] .copy').waitFor();
  await page.keyboard.press("ArrowRight");
  assert.match(await focused(page), /^Copy the command/);
  await page.keyboard.press("ArrowRight");
  assert.equal(await focused(page), "Actions for zone");
  await press("ArrowLeft", undefined);
  await press("ArrowLeft", "zone");
  const row = page.locator('.row[data-path="app/deep/er/"]');
  assert.deepEqual(await row.evaluate((element) => ["level", "posinset", "setsize", "rowindex"].map((name) => Number(element.getAttribute(`aria-${name}`)))), [3, 1, 1, 4]);
  assert.equal(await page.getByRole("treegrid").getAttribute("aria-rowcount"), "9");
  await page.keyboard.press("Enter");
  await tab.dialog.waitFor();
  await page.keyboard.press("Escape");
  await tab.closed();
  assert.equal(await focused(page), "zone", "the focus returns to the row");
  await page.keyboard.press("Delete");
  await tab.dialog.waitFor();
  await page.keyboard.press("Escape");
  await tab.closed();
  assert.equal(await focused(page), "zone");
});

kit.test("a place without keys says what to do, and which directories may not be listed", { as: "bob", open: "pre/variables" }, async (tab) => {
  const { page } = tab;
  assert.match(await page.locator(".empty").innerText(), /No variables in pre yet[\s\S]*dt kv put -e pre/);
  await kit.echo("pre/variables/closed/a", "1");
  await kit.sh("chmod 700 pre/variables/closed");
  await page.locator(".closed summary").waitFor();
  assert.equal(await page.locator(".closed summary").innerText(), "1 directory may not be listed by you");
});

kit.test("where many groups are granted, two are named and the others counted, at every width", { open: "dev/secrets" }, async (tab) => {
  const { page } = tab;
  await kit.echo("dev/secrets/granted", kit.secret("of many groups"), { groups: "payments:rw,analysts:r,ops:r,rotators:w" });
  const chips = page.locator('.row[data-path="granted"] .chip');
  await chips.nth(2).waitFor();
  assert.equal(await chips.count(), 3);
  assert.match(await chips.nth(2).getAttribute("title"), /^(\w+: (read|write only|read and write)(, )?){2}$/);
  for (const width of [1280, 1000, 390, 360]) {
    await page.setViewportSize({ width, height: 800 });
    await tab.painted();
    const seen = await page.locator('.row[data-path="granted"]').evaluate((row) => {
      const box = row.querySelector(".cell-permissions").getBoundingClientRect();
      return { names: [...row.querySelectorAll(".chip-name")].map((name) => name.getBoundingClientRect().width), last: row.querySelector(".chip-more").getBoundingClientRect().right <= box.right + 1 };
    });
    assert.ok(seen.last && seen.names.length === 2 && seen.names.every((wide) => wide > 20), `${width}: ${JSON.stringify(seen)}`);
  }
  await kit.sh("rm dev/secrets/granted");
});

kit.test("names are shown as they are, whatever is in them", { open: "dev/variables" }, async ({ page }) => {
  const name = "<img src=x onerror=pwned()>";
  await kit.dt(["kv", "put", name, name]);
  const row = page.locator(`.row[data-path="${name}"]`);
  await row.locator(".value").waitFor();
  assert.equal(await row.locator(".name").innerText(), name);
  assert.equal(await page.locator(".grid img").count(), 0);
  await kit.dt(["kv", "rm", name]);
});

kit.test("tabs follow the address and the arrow keys, and prod is marked", { open: "dev/secrets" }, async (tab) => {
  const { page } = tab;
  const selected = (name) => page.getByRole("tab", { name, selected: true }).waitFor();
  await selected("Secrets");
  await page.getByRole("tab", { name: "Secrets" }).focus();
  await page.keyboard.press("ArrowRight");
  await selected("Variables");
  assert.ok(page.url().endsWith("#/dev/variables"));
  await page.getByRole("radio", { name: "prod" }).check({ force: true });
  await page.locator('.top[data-protected="true"]').waitFor();
  assert.ok(page.url().endsWith("#/prod/variables"));
  await page.goBack();
  await page.goBack();
  await selected("Secrets");
  assert.equal(await page.locator(".top").getAttribute("data-protected"), "false");
});
