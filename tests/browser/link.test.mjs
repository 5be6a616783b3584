// A link that is pasted into the address of the page as it runs, and a session that ends while something is being typed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { start, until } from "./kit.mjs";
import { call } from "./scenes.mjs";

const kit = await start();
await kit.echo("prod/variables/app/port", "80\n");
await kit.echo("dev/variables/app/port", "8080\n", { groups: "payments:rw" });

const paste = (tab, token) => tab.page.evaluate((token) => { location.hash = `#token=${token}`; }, token);
const sessionOf = (tab) => tab.page.evaluate(() => sessionStorage.getItem("keyfs.session"));

/** A tab of alice's on a dashboard of its own. */
async function own(t, open) {
  const dashboard = await kit.mount.dashboard("alice", ["--listen", "127.0.0.1:0"]);
  const tab = await kit.tab({ dashboard, open });
  t.after(() => tab.finish());
  return { dashboard, tab, page: tab.page };
}

/** A dashboard that is started anew at the address of one that has ended. */
async function again(dashboard) {
  await dashboard.end();
  return kit.mount.dashboard(dashboard.user, ["--listen", new URL(dashboard.origin).host]);
}

kit.test("a wrong link in the address is said, and changes neither the view nor what was typed", { open: "prod/variables" }, async (tab) => {
  const { page } = tab;
  const before = await sessionOf(tab);
  tab.expects(401, "/api/session");
  await page.getByLabel("Filter keys").fill("port");
  await page.locator(".count", { hasText: "1 of 1 key" }).waitFor();
  await paste(tab, "x".repeat(43));
  await page.locator(".toast", { hasText: "This link is of another start" }).waitFor();
  assert.match(page.url(), /\/#\/prod\/variables$/);
  assert.equal(await page.getByLabel("Filter keys").inputValue(), "port");
  await call(tab, "form.js", "openEdit", "app/port");
  await page.fill("#value", "half");
  await paste(tab, "y".repeat(43));
  await page.locator(".toast", { hasText: "This link is of another start" }).nth(1).waitFor();
  assert.match(page.url(), /\/#\/prod\/variables$/);
  assert.equal(await page.inputValue("#value"), "half");
  assert.equal(await page.getByText("What you entered isn't saved.").count(), 0);
  assert.equal(await sessionOf(tab), before);
  // Back is a step back from the form still, and asks.
  await page.goBack();
  await page.getByText("What you entered isn't saved.").waitFor();
  await tab.button("Discard").click();
  await tab.closed();
  assert.equal(await page.getByLabel("Filter keys").inputValue(), "port");
});

kit.test("a right link in the address gives a session, and changes neither the view nor what was typed", { open: "prod/variables" }, async (tab) => {
  const { page } = tab;
  const before = await sessionOf(tab);
  await call(tab, "form.js", "openEdit", "app/port");
  await page.fill("#value", "half");
  await paste(tab, tab.dashboard.token);
  await until(async () => (await sessionOf(tab)) !== before, "another session");
  assert.match(page.url(), /\/#\/prod\/variables$/);
  assert.equal(await page.inputValue("#value"), "half");
  assert.equal(tab.warnings, 0);
});

for (const [how, give] of [
  ["the dialog that asks for it", async (tab, dashboard) => {
    await tab.dialog.getByRole("textbox", { name: "Link" }).fill(dashboard.link);
    await tab.button("Go on").click();
  }],
  ["the address", (tab, dashboard) => paste(tab, dashboard.token)],
]) {
  test(`after a session has ended with a form open, a new link in ${how} goes on: nothing typed is lost, and it is saved on the version that was opened`, async (t) => {
    const { dashboard, tab, page } = await own(t, "dev/variables");
    await call(tab, "form.js", "openEdit", "app/port");
    const version = Number(/version (\d+)/.exec(await tab.dialog.locator(".form-about").innerText())[1]);
    const typed = `typed for ${how}`;
    await page.fill("#value", typed);
    await page.fill("#permissions-add", "ops");
    await page.press("#permissions-add", "Enter");
    const next = await again(dashboard);
    tab.expects(401, "/api/");
    await page.getByText("This session has ended").waitFor();
    await give(tab, next);
    await page.getByText("This session has ended").waitFor({ state: "detached" });
    await page.locator('.connection[data-state="live"]').waitFor();
    assert.equal(await page.inputValue("#value"), typed);
    await tab.button("Review change").click();
    const sent = page.waitForRequest((request) => request.url().endsWith("/api/put"));
    await tab.button("Save").click();
    assert.deepEqual((await sent).postDataJSON().versions, { dev: version });
    await tab.closed();
    assert.equal(await kit.dt(["kv", "get", "app/port"]), typed);
    assert.match(await kit.sh("getfacl -c dev/variables/app/port"), /group:ops:r/);
    assert.equal((await kit.dt(["kv", "history", "app/port"])).trim().split("\n").length, version + 1);
  });
}

test("what somebody else stored while there was no session is a conflict, not overwritten", async (t) => {
  const { dashboard, tab, page } = await own(t, "dev/variables");
  await call(tab, "form.js", "openEdit", "app/port");
  await page.fill("#value", "mine");
  const next = await again(dashboard);
  tab.expects(401, "/api/");
  tab.expects(409, "/api/put");
  await page.getByText("This session has ended").waitFor();
  await kit.dt(["kv", "put", "app/port", "theirs"], { as: "carol" });
  await tab.dialog.getByRole("textbox", { name: "Link" }).fill(next.link);
  await tab.button("Go on").click();
  await page.getByText("This session has ended").waitFor({ state: "detached" });
  await tab.button("Review change").click();
  await tab.button("Save").click();
  await page.locator(".conflict").waitFor();
  assert.equal(await kit.dt(["kv", "get", "app/port"]), "theirs");
  await tab.button("Save mine").click();
  await tab.closed();
  assert.equal(await kit.dt(["kv", "get", "app/port"]), "mine");
});
