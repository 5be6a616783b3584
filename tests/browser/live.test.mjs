// What is changed elsewhere: it shows within a second, moves nothing that somebody is at, and is told where it isn't shown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { start } from "./kit.mjs";

const kit = await start();
for (const name of ["bird", "cat", "dog", "eel", "fox"]) await kit.echo(`dev/variables/zoo/${name}`, `${name}\n`);
const SECOND = { timeout: 1000 };

const row = (page, path) => page.locator(`.row[data-path="${path}"]`);
const top = async (page, path) => (await row(page, path).boundingBox()).y;

kit.test("a change by a file, by the command line and by another tab shows within a second, the count too", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  await row(page, "zoo/cat").locator(".value").waitFor();
  await page.locator(".connection[data-state='live']").waitFor();
  await kit.echo("dev/variables/zoo/cat", "tiger\n");
  await row(page, "zoo/cat").locator(".value", { hasText: "tiger" }).waitFor(SECOND);
  await row(page, "zoo/cat").locator(".cell-version", { hasText: "2" }).waitFor(SECOND);
  await kit.dt(["kv", "put", "zoo/gnu", "new"]);
  await row(page, "zoo/gnu").locator(".value", { hasText: "new" }).waitFor(SECOND);
  await page.locator(".count", { hasText: "6 keys" }).waitFor(SECOND);
  await row(page, "zoo/").locator(".keys-below", { hasText: "6" }).waitFor(SECOND);
  await kit.sh("mv dev/variables/zoo/gnu dev/variables/zoo/yak");
  await row(page, "zoo/yak").waitFor(SECOND);
  await row(page, "zoo/gnu").waitFor({ state: "detached", ...SECOND });
  await kit.sh("rm dev/variables/zoo/yak");
  await row(page, "zoo/yak").waitFor({ state: "detached", ...SECOND });
});

kit.test("permissions and an expiry that are changed elsewhere show too", { open: "dev/variables" }, async ({ page }) => {
  const eel = row(page, "zoo/eel");
  await eel.locator(".value").waitFor();
  await page.locator(".connection[data-state='live']").waitFor();
  await kit.sh("setfattr -n user.keyfs.groups -v analysts:r dev/variables/zoo/eel");
  await eel.getByText("analysts").waitFor(SECOND);
  await kit.sh("setfattr -n user.keyfs.expires -v 2020-01-01T00:00:00Z dev/variables/zoo/eel");
  await eel.locator('.expiry[data-state="expired"]').waitFor(SECOND);
});

kit.test("the row under the pointer doesn't move when others come and go above it", { open: "dev/variables" }, async ({ page }) => {
  await row(page, "zoo/dog").locator(".value").waitFor();
  await row(page, "zoo/dog").hover();
  const before = await top(page, "zoo/dog");
  await kit.sh("for n in 1 2 3; do echo $n > dev/variables/aa$n; done");
  await page.locator(".count", { hasText: "8 keys" }).waitFor();
  assert.equal(await top(page, "zoo/dog"), before);
  await kit.sh("rm dev/variables/aa1 dev/variables/zoo/bird");
  await page.locator(".count", { hasText: "6 keys" }).waitFor();
  assert.equal(await top(page, "zoo/dog"), before);
  await kit.sh("rm dev/variables/aa2 dev/variables/aa3; echo bird > dev/variables/zoo/bird");
  await page.locator(".count", { hasText: "5 keys" }).waitFor();
  assert.equal(await top(page, "zoo/dog"), before);
});

kit.test("the focused row keeps its place and the focus", { open: "dev/variables" }, async ({ page }) => {
  await row(page, "zoo/dog").locator(".cell-key").click();
  await page.mouse.move(2, 2);
  const before = await top(page, "zoo/dog");
  await kit.sh("echo 1 > dev/variables/aa1");
  await page.locator(".count", { hasText: "6 keys" }).waitFor();
  assert.equal(await top(page, "zoo/dog"), before);
  assert.equal(await page.evaluate(() => document.activeElement.dataset.path), "zoo/dog");
  await kit.sh("rm dev/variables/aa1");
  await page.locator(".count", { hasText: "5 keys" }).waitFor();
  assert.equal(await top(page, "zoo/dog"), before);
});

kit.test("an environment that is made elsewhere stands beside the others", { open: "dev/variables" }, async ({ page }) => {
  await page.locator(".connection[data-state='live']").waitFor();
  await kit.sh("mkdir qa; echo 1 > qa/variables/first", { as: "root" });
  await page.getByRole("radio", { name: "qa" }).check({ force: true });
  await row(page, "first").waitFor();
  await kit.sh("rm qa/variables/first", { as: "root" });
  await row(page, "first").waitFor({ state: "detached" });
  await kit.sh("rmdir qa", { as: "root" });
  await page.getByRole("radio", { name: "qa" }).waitFor({ state: "detached" });
  assert.match(page.url(), /#\/dev\/variables$/, "another one is looked at in its place");
});

kit.test("under an order of the server, new keys are told and shown when asked for", { open: "dev/variables" }, async ({ page }) => {
  const changed = page.getByRole("columnheader", { name: "Changed" });
  await changed.getByRole("button").click();
  await page.locator('[role="columnheader"][aria-sort="descending"]', { hasText: "Changed" }).waitFor();
  await kit.sh("echo 1 > dev/variables/new1; echo 1 > dev/variables/new2");
  await page.getByRole("button", { name: "2 new keys: show" }).waitFor();
  assert.equal(await row(page, "new1").count(), 0);
  await page.getByRole("button", { name: "2 new keys: show" }).click();
  await row(page, "new1").waitFor();
  await row(page, "new2").waitFor();
  await kit.sh("rm dev/variables/new1 dev/variables/new2");
  await row(page, "new1").waitFor({ state: "detached" });
});

kit.test("a hidden tab holds no stream, and catches up when it is shown", { open: "dev/variables" }, async ({ page }) => {
  await page.locator(".connection[data-state='live']").waitFor();
  const hide = (is) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, is);
  const ended = page.waitForEvent("requestfailed", (request) => request.url().includes("/api/events"));
  await hide(true);
  await ended;
  await kit.echo("dev/variables/zoo/dog", "wolf\n");
  await hide(false);
  await row(page, "zoo/dog").locator(".value", { hasText: "wolf" }).waitFor();
  await page.locator(".connection[data-state='live']").waitFor();
});

kit.test("parts of the page that don't come are told, and asked for again", async ({ page }) => {
  const miss = async (file) => {
    let missed = 0;
    await page.route(`**/page/${file}`, (route) => (missed++ === 0 ? route.abort() : route.continue()));
  };
  await miss("rows.worker.js");
  await page.reload();
  await page.getByText("couldn't load the part of itself that lists keys").waitFor();
  await page.getByRole("tab", { name: "Variables" }).click();
  await row(page, "zoo/dog").locator(".value").waitFor();
  await miss("removed.js");
  await page.getByRole("link", { name: "Removed keys" }).click();
  await page.locator(".toast", { hasText: "couldn't load a part of itself" }).waitFor();
  await page.getByRole("link", { name: "Keys", exact: true }).click();
  await row(page, "zoo/dog").locator(".value").waitFor();
  await page.getByRole("link", { name: "Removed keys" }).click();
  await page.getByRole("region", { name: "Removed keys" }).waitFor();
});

/** Has the page miss what is done meanwhile: its stream ends, and the next says that some of it is lost. */
async function missing(page, done) {
  const ended = page.waitForEvent("requestfailed", (request) => request.url().includes("/api/events"));
  const hide = (is) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, is);
  await page.locator(".connection[data-state='live']").waitFor();
  await hide(true);
  await ended;
  await done();
  const lost = ["ready", "lost"].map((kind) => `${JSON.stringify({ kind, cursor: null })}\n`).join("");
  await page.route("**/api/events*", (route) => route.fulfill({ contentType: "application/x-ndjson", body: lost }), { times: 1 });
  await hide(false);
}

kit.test("removed keys are looked at anew where changes may have been missed", { open: "dev/variables/removed" }, async ({ page }) => {
  await page.locator(".removed-count", { hasText: /key/ }).waitFor();
  // This change is told, and the list asked for because of it, before one is missed.
  const asked = page.waitForResponse((response) => response.url().includes("/api/removed"));
  await kit.sh("echo 1 > dev/variables/missed");
  await asked;
  await missing(page, () => kit.sh("rm dev/variables/missed"));
  await page.locator(".removed-row code", { hasText: "missed" }).waitFor();
});

kit.test("a history that is open is looked at anew where changes may have been missed", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  await kit.sh("echo one > dev/variables/logged");
  await page.evaluate(() => { import("/page/history.js").then(({ openHistory }) => openHistory("logged")); });
  await tab.dialog.getByText("version 1").first().waitFor();
  await missing(page, () => kit.sh("echo two > dev/variables/logged"));
  await tab.dialog.getByText("version 2").first().waitFor();
  await kit.sh("rm dev/variables/logged");
});

test("a dashboard that was started anew is told, and its new link takes the place of the old one with nothing lost", async () => {
  let dashboard = await kit.mount.dashboard("alice");
  const tab = await kit.tab({ dashboard, open: "dev/variables" });
  try {
    const { page } = tab;
    await page.getByRole("searchbox", { name: "Filter keys" }).fill("do");
    await page.locator(".count", { hasText: "1 of 5 keys" }).waitFor();
    await dashboard.end();
    await page.locator(".connection", { hasText: "Not connected" }).waitFor();
    tab.expects(401);
    dashboard = await kit.mount.dashboard("alice", ["--listen", new URL(dashboard.origin).host]);
    const link = tab.dialog.getByRole("textbox", { name: "Link" });
    await link.fill("nonsense");
    await tab.button("Go on").click();
    await tab.dialog.getByText("This is no link of the dashboard").waitFor();
    await page.keyboard.press("Escape");
    await link.fill(dashboard.link);
    await tab.button("Go on").click();
    await tab.closed();
    assert.equal(await page.getByRole("searchbox", { name: "Filter keys" }).inputValue(), "do");
    await page.locator(".connection[data-state='live']").waitFor();
    await kit.echo("dev/variables/zoo/dog", "hound\n");
    await row(page, "zoo/dog").locator(".value", { hasText: "hound" }).waitFor();
  } catch (error) {
    await tab.abandon(error);
    throw error;
  }
  await tab.finish();
});

kit.test("a page without a link asks for one", { as: null }, async () => {
  const dashboard = await kit.dashboard("alice");
  const tab = await kit.tab({ origin: dashboard.origin });
  try {
    tab.expects(401, "/api/session");
    await tab.page.goto(dashboard.origin);
    await tab.dialog.getByRole("textbox", { name: "Link" }).fill(dashboard.link);
    await tab.button("Go on").click();
    await tab.closed();
    await tab.page.locator('.row[data-at="0"]').waitFor();
  } catch (error) {
    await tab.abandon(error);
    throw error;
  }
  await tab.finish();
});
