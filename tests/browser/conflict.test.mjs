// What two people change at the same time: said at once, shown as it is, and decided by whoever would write over the other.

import assert from "node:assert/strict";
import { test } from "node:test";
import { button, call, closed, edit, grant, inDialog, look, secret } from "./dialogs.mjs";

const banner = (page) => page.locator('.form-banner[data-kind="warning"]');
const both = ["-g", "payments:rw"];

/** A form of alice's on `app`, in which she has typed, when carol stores another value. */
async function collide(t, { typed = "mine", theirs = "theirs", key = "app", options = {} } = {}) {
  const all = await look(t, { tree: "variables", ...options });
  const secret = options.tree === "secrets" ? ["-s"] : [];
  await all.dt("alice", "put", ...secret, key, "first", ...both);
  await edit(all.page, key);
  if (typed !== null) await all.page.fill("#value", typed);
  await all.dt("carol", "put", ...secret, key, theirs);
  await banner(all.page).waitFor();
  return all;
}

test("a change by somebody else is told in the open form within a second, and touches no field", async (t) => {
  const { page } = await collide(t);
  assert.match(await banner(page).innerText(), /carol changed this key .*version 2/);
  assert.equal(await page.inputValue("#value"), "mine");
  assert.equal(await page.locator("#value:focus").count(), 1);
});

test("a conflict shows both values, and saving mine stores mine on theirs", async (t) => {
  const { page, dt, tab } = await collide(t);
  tab.expects(409, "/api/put");
  await button(page, "Review change").click();
  await button(page, "Save").click();
  await page.locator(".conflict").waitFor();
  const text = await page.locator(".conflict").innerText();
  assert.match(text, /carol changed app .*version 2/);
  const lines = await page.locator(".conflict .diff-line").evaluateAll((all) => all.map((line) => `${line.dataset.kind} ${line.querySelector(".diff-text").textContent}`));
  assert.deepEqual(lines, ["removed first", "added theirs", "removed theirs", "added mine"]);
  assert.equal(await dt("alice", "get", "app"), "theirs");
  await button(page, "Save mine").click();
  await closed(page);
  assert.equal(await dt("alice", "get", "app"), "mine");
  assert.equal(await dt("alice", "get", "app", "--version", "2"), "theirs");
});

test("theirs can be taken", async (t) => {
  const { page, dt } = await collide(t);
  await button(page, "See what changed").click();
  await button(page, "Take theirs").click();
  assert.equal(await page.inputValue("#value"), "theirs");
  await page.getByText("The form shows version 2 now.").first().waitFor();
  await page.keyboard.press("Escape");
  await closed(page);
  assert.equal(await dt("alice", "get", "app"), "theirs");
});

test("one can go on editing, and the review is then against theirs", async (t) => {
  const { page, dt } = await collide(t);
  await button(page, "See what changed").click();
  await button(page, "Go on editing").click();
  assert.equal(await page.inputValue("#value"), "mine");
  await page.fill("#value", "mine and theirs");
  await button(page, "Review change").click();
  assert.deepEqual(await page.locator(".diff-line .diff-text").allTextContents(), ["theirs", "mine and theirs"]);
  await button(page, "Save").click();
  await closed(page);
  assert.equal(await dt("alice", "get", "app"), "mine and theirs");
});

test("a further change while a conflict is looked at is not written over", async (t) => {
  const { page, dt, tab } = await collide(t);
  tab.expects(409, "/api/put");
  await button(page, "See what changed").click();
  await page.route("**/api/put", async (route) => {
    await dt("carol", "put", "app", "again");
    await route.continue();
  }, { times: 1 });
  await button(page, "Save mine").click();
  await page.locator(".conflict-head").getByText("version 3").waitFor();
  assert.equal(await dt("alice", "get", "app"), "again");
});

test("of a secret a conflict says who and when, and no value", async (t) => {
  const typed = secret("typed"), theirs = secret("theirs");
  const { page, dt, tab } = await collide(t, { typed, theirs, options: { tree: "secrets" } });
  tab.expects(409, "/api/put");
  await button(page, "Save").click();
  await page.locator(".conflict").waitFor();
  const text = await page.locator(".conflict").innerText();
  assert.match(text, /replaced by carol .*version 2, \d+ bytes/);
  await button(page, "Save mine").click();
  await closed(page);
  assert.equal(await dt("alice", "get", "-s", "app"), typed);
});

test("what each changed apart from the other is kept of both", async (t) => {
  const { page, dt, tab } = await look(t);
  tab.expects(409, "/api/put");
  await dt("alice", "put", "app", "first", ...both);
  await edit(page, "app");
  await page.fill("#value", "mine");
  await dt("carol", "add-acls", "app", "-g", "analysts:r");
  await banner(page).waitFor();
  await button(page, "Review change").click();
  await button(page, "Save").click();
  await page.getByText("“Save mine” keeps both").waitFor();
  await button(page, "Save mine").click();
  await closed(page);
  assert.equal(await dt("bob", "get", "app"), "mine");
});

test("permissions that two people change are a conflict too", async (t) => {
  const { page, dt, tab } = await look(t, { tree: "secrets" });
  tab.expects(409, "/api/put");
  await dt("alice", "put", "-s", "app", "planted", ...both);
  await edit(page, "app");
  await grant(page, "rotators", "Editor");
  await dt("carol", "add-acls", "-s", "app", "-g", "analysts:r");
  await banner(page).waitFor();
  await button(page, "Save").click();
  await page.locator(".conflict").waitFor();
  const text = await page.locator(".conflict").innerText();
  assert.match(text, /Their permissions\s+group analysts: nothing → read/);
  assert.match(text, /Your permissions\s+group analysts: read → nothing\s+group rotators: nothing → write/);
});

test("an expiry that two people change is a conflict too, also where the form hasn't heard of it", async (t) => {
  const { page, as, dt, tab, mount } = await look(t);
  tab.expects(409, "/api/put");
  const path = `${mount}/dev/variables/app`;
  await dt("alice", "put", "app", "first", ...both);
  await edit(page, "app");
  await page.route("**/api/entry*", (route) => route.abort());
  await as("carol", ["setfattr", "-n", "user.keyfs.expires", "-v", "2031-01-01T00:00:00Z", path]);
  await page.fill("#expires", "2041-01-01T10:00");
  await button(page, "Review change").click();
  await button(page, "Save").click();
  await page.getByRole("heading", { name: "Their expiry" }).waitFor();
  const expiry = () => as("alice", ["getfattr", "--only-values", "-n", "user.keyfs.expires", path]);
  assert.equal(await expiry(), "2031-01-01T00:00:00Z");
  assert.match(await page.locator(".conflict-sum").innerText(), /puts yours in the place of theirs/);
  await button(page, "Save mine").click();
  await closed(page);
  assert.equal(await expiry(), "2041-01-01T10:00:00Z");
});

test("a key that somebody removes meanwhile can be stored again, or left", async (t) => {
  const { page, as, dt, tab, mount } = await look(t);
  tab.expects(404, "/api/entry");
  await as("alice", ["sh", "-c", `printf 'first\\r\\nsecond\\r\\n' > ${mount}/dev/variables/app`]);
  await dt("alice", "add-acls", "app", "-g", "payments:rw");
  await edit(page, "app");
  await page.fill("#value", "mine\nsecond");
  await dt("carol", "rm", "app");
  await banner(page).waitFor();
  assert.match(await banner(page).innerText(), /carol removed app/);
  await button(page, "See what changed").click();
  await button(page, "Store it again").click();
  await closed(page);
  assert.equal(await dt("alice", "get", "--raw", "app"), "mine\r\nsecond\r\n", "its line ends are what they were");
});

test("changes of other keys, and of the same key elsewhere, are no news to a form", async (t) => {
  const { page, dt } = await look(t);
  await dt("alice", "put", "app", "first");
  await edit(page, "app");
  await dt("alice", "put", "other", "1");
  await dt("alice", "put", "-e", "pre", "app", "1");
  await dt("alice", "put", "-s", "app", "planted");
  // What comes behind them has been heard once this is.
  await page.evaluate(() => { globalThis.heard = new Promise((go) => { import("/page/live.js").then(({ onChange }) => onChange((change) => { if (change.key === "last") go(); })); }); });
  await page.waitForTimeout(0);
  await dt("alice", "put", "last", "1");
  await page.evaluate(() => globalThis.heard);
  assert.equal(await banner(page).count(), 0);
  assert.equal(await inDialog(page).count(), 1);
  await call(page, "toast.js", "announce", "done");
});
