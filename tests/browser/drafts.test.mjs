// Nothing is lost by accident: Escape, Back, Cancel, a closed dialog, a tab that is left, and a session that ends.

import assert from "node:assert/strict";
import { test } from "node:test";
import { add, button, closed, edit, grant, inDialog, look, secret } from "./dialogs.mjs";

const asked = (page) => page.getByText("What you entered isn't saved.");

test("Escape, Back, Cancel and the cross ask before what was typed goes, and the focus is on keeping it", async (t) => {
  const { page } = await look(t);
  await add(page);
  await page.fill("#value", "typed");
  const ways = [() => page.keyboard.press("Escape"), () => page.goBack(), () => button(page, "Cancel").click(), () => button(page, "Close").click()];
  for (const leave of ways) {
    await leave();
    await asked(page).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), "Keep editing");
    await button(page, "Keep editing").click();
    assert.equal(await page.inputValue("#value"), "typed");
    assert.equal(await asked(page).count(), 0);
  }
  assert.match(page.url(), /#\/dev\/variables$/);
});

test("Escape again and again doesn't close what isn't saved", async (t) => {
  const { page } = await look(t);
  await add(page);
  await page.fill("#value", "typed");
  for (let times = 0; times < 4; times += 1) await page.keyboard.press("Escape");
  assert.equal(await inDialog(page).count(), 1);
  await page.goBack();
  await page.goBack();
  assert.equal(await inDialog(page).count(), 1);
  await button(page, "Keep editing").click();
  assert.equal(await page.inputValue("#value"), "typed");
});

test("a dialog without changes closes at once, by Back too, and the page stays where it was", async (t) => {
  const { page } = await look(t);
  for (const leave of [() => page.keyboard.press("Escape"), () => page.goBack(), () => button(page, "Cancel").click()]) {
    await add(page);
    await leave();
    await closed(page);
    assert.match(page.url(), /#\/dev\/variables$/);
  }
});

test("a closed dialog's draft is offered when it is opened again, across tabs and environments", async (t) => {
  const { page, dt } = await look(t);
  await dt("alice", "put", "app", "first");
  await edit(page, "app");
  await page.fill("#value", "half done");
  await page.goBack();
  await button(page, "Close, keep as draft").click();
  await closed(page);
  await page.locator("#tab-secrets").click();
  await page.getByRole("radio", { name: "pre" }).check();
  await page.locator("#tab-variables").click();
  await page.getByRole("radio", { name: "dev" }).check();
  await edit(page, "app");
  assert.equal(await page.inputValue("#value"), "first");
  await button(page, "Continue with it").click();
  assert.equal(await page.inputValue("#value"), "half done");
  await button(page, "Review change").click();
  await button(page, "Save").click();
  await closed(page);
  await edit(page, "app");
  assert.equal(await page.getByText("unsaved draft").count(), 0);
});

test("a draft that was overtaken says so, and stores nothing over it", async (t) => {
  const { page, dt, tab } = await look(t);
  tab.expects(409, "/api/put");
  await dt("alice", "put", "app", "first", "-g", "payments:rw");
  await edit(page, "app");
  await page.fill("#value", "half done");
  await page.keyboard.press("Escape");
  await button(page, "Close, keep as draft").click();
  await closed(page);
  await dt("carol", "put", "app", "theirs");
  await edit(page, "app");
  await button(page, "Continue with it").click();
  await page.getByText(/carol changed this key/).waitFor();
  await button(page, "Review change").click();
  await button(page, "Save").click();
  await page.locator(".conflict").waitFor();
  assert.equal(await dt("alice", "get", "app"), "theirs");
});

test("a draft stays whatever becomes of another one of the same form", async (t) => {
  const { page } = await look(t);
  const type = async (key) => {
    await add(page);
    await page.fill("#key", key);
    await page.fill("#value", `value of ${key}`);
  };
  const keep = async () => {
    await page.keyboard.press("Escape");
    await button(page, "Close, keep as draft").click();
    await closed(page);
  };
  const offered = () => page.locator('.form-banner[data-kind="draft"] code').innerText();
  await type("first");
  await keep();
  await type("stored");
  await button(page, "Save").click();
  await closed(page);
  await type("discarded");
  await page.keyboard.press("Escape");
  await button(page, "Discard").click();
  await closed(page);
  await type("second");
  await keep();
  // The newest first; what was typed beside it is kept when it is taken up.
  await type("third");
  assert.equal(await offered(), "second");
  await button(page, "Continue with it").click();
  assert.equal(await page.inputValue("#value"), "value of second");
  await button(page, "Save").click();
  await closed(page);
  await add(page);
  assert.equal(await offered(), "third");
  await button(page, "Discard the draft").click();
  assert.equal(await offered(), "first");
  await button(page, "Continue with it").click();
  assert.equal(await page.inputValue("#value"), "value of first");
});

test("permissions that were chosen are a draft too when the form makes way for the key that is there", async (t) => {
  const { page, dt } = await look(t);
  await dt("alice", "put", "taken", "1");
  await add(page);
  await page.fill("#key", "taken");
  await grant(page, "payments", "Viewer");
  await button(page, "Open it for editing").click();
  await page.locator("dialog .form-about").waitFor();
  await page.keyboard.press("Escape");
  await closed(page);
  await add(page);
  await button(page, "Continue with it").click();
  await page.getByLabel("group payments: preset").waitFor();
});

test("a discarded draft is gone, from the page too", async (t) => {
  const { page } = await look(t, { tree: "secrets" });
  await add(page);
  await page.fill("#key", "password");
  await page.fill("#value", secret("typed"));
  await page.keyboard.press("Escape");
  await button(page, "Discard").click();
  await closed(page);
  await add(page);
  assert.equal(await page.inputValue("#key"), "");
  assert.equal(await page.getByText("unsaved draft").count(), 0);
});

test("a draft is in no storage of the browser, and the browser asks before it leaves the page with one", async (t) => {
  const { page, tab } = await look(t, { tree: "secrets" });
  await add(page);
  await page.fill("#key", "password");
  await page.fill("#value", secret("typed"));
  await page.keyboard.press("Escape");
  await button(page, "Close, keep as draft").click();
  await closed(page);
  assert.deepEqual(await tab.troubles(), []);
  await page.reload();
  await tab.ready();
  assert.equal(tab.warnings, 1);
});

test("with nothing typed the page is left without a question", async (t) => {
  const { page, tab } = await look(t);
  await add(page);
  await page.keyboard.press("Escape");
  await closed(page);
  await page.reload();
  await tab.ready();
  assert.equal(tab.warnings, 0);
});

test("while something is typed the browser asks before it leaves the page", async (t) => {
  const { page, tab } = await look(t);
  await add(page);
  await page.fill("#value", "typed");
  await page.reload();
  await tab.ready();
  assert.equal(tab.warnings, 1);
});

test("a session that ends keeps what was typed, and it is stored once there is a new one", async (t) => {
  const { page, dt, tab, dashboard } = await look(t);
  tab.expects(401, "/api/put");
  await add(page);
  await page.fill("#key", "app");
  await page.fill("#value", "typed");
  await page.route("**/api/put", (route) => route.fulfill({ status: 401, contentType: "application/json", body: '{"error":{"code":"unauthorized","message":"no session"}}' }), { times: 1 });
  await button(page, "Save").click();
  await page.locator("dialog").nth(1).waitFor();
  assert.equal(await page.locator("#value").inputValue(), "typed");
  await assert.rejects(dt("alice", "get", "app"));
  await page.getByRole("textbox", { name: "Link" }).fill(dashboard.link);
  await button(page, "Go on").click();
  // Both dialogs: the one for the link, and the form, whose key is stored then.
  await page.waitForFunction(() => document.querySelector("dialog") === null);
  assert.equal(await dt("alice", "get", "app"), "typed");
});
