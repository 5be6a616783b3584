// Delete, its undo, and the view of removed keys.

import assert from "node:assert/strict";
import { test } from "node:test";
import { button, call, closed, inDialog, look } from "./dialogs.mjs";

async function remove(page, what) {
  await call(page, "remove.js", "openRemove", what);
  await page.locator(".removal-list").waitFor();
}

const listed = (page) => page.locator(".removal-list code").allInnerTexts();
const undo = (page) => page.locator(".toast").getByRole("button", { name: "Undo" });

test("a key is named, goes, and comes back with value and permissions", async (t) => {
  const { page, dt } = await look(t, { tree: "secrets" });
  await dt("alice", "put", "-s", "db/password", "planted", "-g", "analysts:r,payments:rw");
  const acls = await dt("alice", "acls", "-s", "db/password");
  await remove(page, { keys: ["db/password"] });
  assert.equal(await page.locator("dialog h2").innerText(), "Delete db/password");
  assert.deepEqual(await listed(page), ["db/password"]);
  assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), "Cancel");
  await button(page, "Delete 1 key").click();
  await closed(page);
  await assert.rejects(dt("alice", "get", "-s", "db/password"));
  await undo(page).click();
  await page.getByText("Brought back db/password in dev.").first().waitFor();
  assert.equal(await dt("bob", "get", "-s", "db/password"), "planted");
  assert.equal(await dt("alice", "acls", "-s", "db/password"), acls);
});

test("what another owned comes back with its expiry and permissions, and it is said that the owner is another", async (t) => {
  const { page, dt, as, mount } = await look(t);
  await dt("carol", "put", "app/flag", "on", "-g", "payments:rw");
  const file = `${mount}/dev/variables/app/flag`;
  await as("carol", ["setfattr", "-n", "user.keyfs.expires", "-v", "2099-01-01T00:00:00Z", file]);
  await remove(page, { keys: ["app/flag"] });
  assert.match(await inDialog(page).innerText(), /Undo brings it back with permissions and expiry, and you as the owner; later “Removed keys” brings back the value alone\./);
  await button(page, "Delete 1 key").click();
  await closed(page);
  await undo(page).click();
  await page.locator(".toast", { hasText: "Brought back app/flag in dev. You own it now, not carol." }).waitFor();
  assert.match(await as("alice", ["getfattr", "--only-values", "-n", "system.keyfs.expires", file]), /^2099-01-01T00:00:00Z/);
  const acl = await as("alice", ["getfacl", "-p", file]);
  assert.match(acl, /# owner: alice/);
  assert.match(acl, /group:payments:rw-/);
  assert.equal(await dt("alice", "get", "app/flag"), "on");
});

test("a prefix is bounded by /, and says exactly how many keys and which", async (t) => {
  const { page, dt } = await look(t);
  for (const key of ["db/host", "db/deep/port", "db-old/host", "dbx", "other"]) await dt("alice", "put", key, "1");
  await remove(page, { prefix: "db" });
  assert.deepEqual((await listed(page)).sort(), ["db/deep/port", "db/host"]);
  assert.match(await inDialog(page).innerText(), /These 2 variables go from dev, all that stands in db\//);
  await button(page, "Delete 2 keys").click();
  await closed(page);
  assert.deepEqual((await dt("alice", "ls")).trim().split("\n"), ["db-old/host", "dbx", "other"]);
  await undo(page).click();
  await page.getByText("Brought back 2 keys in dev.").first().waitFor();
  assert.equal(await dt("alice", "get", "db/deep/port"), "1");
});

test("in prod the name is typed, and nothing goes before it is right", async (t) => {
  const { page, dt } = await look(t, { environment: "prod" });
  await dt("alice", "put", "-e", "prod", "db/host", "1");
  await remove(page, { prefix: "db/" });
  await button(page, "Delete 1 key").click();
  assert.equal(await page.locator("#remove-phrase").getAttribute("aria-invalid"), "true");
  assert.equal(await page.evaluate(() => document.activeElement.id), "remove-phrase");
  await page.fill("#remove-phrase", "db");
  await page.keyboard.press("Enter");
  await page.getByText("Type db/, exactly as it stands there.").waitFor();
  assert.equal(await dt("alice", "get", "-e", "prod", "db/host"), "1");
  await page.fill("#remove-phrase", "db/");
  await page.keyboard.press("Enter");
  await closed(page);
  assert.equal((await dt("alice", "ls", "-e", "prod")).trim(), "");
});

test("what somebody changed since it was shown is not removed, nor is anything else", async (t) => {
  const { page, dt, tab } = await look(t);
  tab.expects(409, "/api/remove");
  for (const key of ["db/host", "db/port"]) await dt("alice", "put", key, "1", "-g", "payments:rw");
  await remove(page, { prefix: "db" });
  await dt("carol", "put", "db/port", "2");
  await button(page, "Delete 2 keys").click();
  await page.getByText("Nothing was deleted.").waitFor();
  assert.deepEqual((await dt("alice", "ls")).trim().split("\n"), ["db/host", "db/port"]);
  await page.locator(".removal-list").getByText("version 2").waitFor();
  await button(page, "Delete 2 keys").click();
  await closed(page);
  assert.equal((await dt("alice", "ls")).trim(), "");
});

test("what one may not remove stays, and so does all that was to go with it", async (t) => {
  const { page, dt, tab } = await look(t, { user: "bob" });
  tab.expects(403, "/api/remove");
  await dt("alice", "put", "theirs", "1", "-g", "analysts:r");
  await dt("bob", "put", "mine", "1");
  await remove(page, { keys: ["mine", "theirs"] });
  await button(page, "Delete 2 keys").click();
  await page.locator(".form-problem:visible").waitFor();
  assert.match(await page.locator(".form-problem").innerText(), /theirs/);
  assert.equal(await dt("bob", "get", "mine"), "1");
});

test("directories that can't be looked into are said, and stay", async (t) => {
  const { page, as, dt, mount } = await look(t, { user: "bob" });
  await as("alice", ["mkdir", "-m", "777", `${mount}/dev/variables/db`]);
  await as("alice", ["mkdir", "-m", "700", `${mount}/dev/variables/db/closed`]);
  await dt("bob", "put", "db/host", "1");
  await remove(page, { prefix: "db" });
  await page.getByText(/You may not look into db\/closed/).waitFor();
  await button(page, "Delete 1 key").click();
  await closed(page);
});

test("the offer to undo stays while it is pointed at or focused", async (t) => {
  const { page, dt } = await look(t, { alone: true });
  await dt("alice", "put", "a", "1");
  await page.clock.install();
  await remove(page, { keys: ["a"] });
  await button(page, "Delete 1 key").click();
  await closed(page);
  await undo(page).waitFor();
  await page.clock.runFor(19_000);
  assert.equal(await undo(page).count(), 1);
  await undo(page).focus();
  await page.clock.runFor(60_000);
  assert.equal(await undo(page).count(), 1);
  await page.keyboard.press("Enter");
  await page.clock.resume();
  await page.getByText("Brought back a in dev.").first().waitFor();
});

test("whoever undoes by the keyboard is back at the rows", async (t) => {
  const { page, dt } = await look(t);
  for (const key of ["a", "b"]) await dt("alice", "put", key, key);
  await page.locator('.row[data-path="a"]').focus();
  await page.keyboard.press("Delete");
  await button(page, "Delete 1 key").click();
  await closed(page);
  await page.locator('.row[data-path="b"]:focus').waitFor();
  await undo(page).focus();
  await page.keyboard.press("Enter");
  await page.locator('.row[data-path="b"]:focus').waitFor();
  await page.locator('.row[data-path="a"]').waitFor();
});

test("removed keys are listed, and come back one by one or several in one step", async (t) => {
  const { page, dt } = await look(t);
  for (const key of ["a", "b", "c", "kept"]) await dt("alice", "put", key, `value-${key}`);
  for (const key of ["a", "b", "c"]) await dt("alice", "rm", key);
  await page.getByRole("link", { name: "Removed keys" }).click();
  const rows = page.locator(".removed-row");
  await rows.nth(2).waitFor();
  assert.match(await page.locator(".removed-count").innerText(), /3 removed keys/);
  assert.match(await rows.first().innerText(), /version 1 · alice · just now/);
  await page.getByRole("button", { name: "Restore a", exact: true }).click();
  await page.getByText("2 removed keys").waitFor();
  assert.equal(await dt("alice", "get", "a"), "value-a");
  await page.getByLabel("All shown").check();
  await page.getByRole("button", { name: "Restore 2 keys" }).click();
  await page.getByText("0 removed keys").waitFor();
  assert.equal(await dt("alice", "get", "c"), "value-c");
});

test("a removed key that is pointed at, or has the focus, stays where it is while others come", async (t) => {
  const { page, dt } = await look(t);
  for (const key of ["a", "b", "m", "n"]) await dt("alice", "put", key, key);
  for (const key of ["m", "n"]) await dt("alice", "rm", key);
  await page.getByRole("link", { name: "Removed keys" }).click();
  const row = page.locator('.removed-row[data-key="n"]');
  await row.hover();
  const { y } = await row.boundingBox();
  await dt("alice", "rm", "a");
  await page.getByText("3 removed keys").waitFor();
  assert.equal((await row.boundingBox()).y, y);
  await page.mouse.move(2, 2);
  await page.locator('.removed-row[data-key="a"]').waitFor();
  await page.getByRole("button", { name: "Restore n", exact: true }).focus();
  const focusedAt = (await row.boundingBox()).y;
  await dt("alice", "rm", "b");
  await page.getByText("4 removed keys").waitFor();
  assert.equal((await row.boundingBox()).y, focusedAt);
  await page.keyboard.press("Enter");
  await page.getByText("3 removed keys").waitFor();
  assert.equal(await dt("alice", "get", "n"), "n");
});

test("where changes were missed, removed keys are looked up anew", async (t) => {
  const { page, tab, dt } = await look(t);
  await dt("alice", "put", "a", "1");
  // Streams that tell of nothing but that they began, and then that something was lost.
  let lines = [{ kind: "ready", cursor: "1" }];
  await page.route("**/api/events*", (route) => route.fulfill({ contentType: "application/x-ndjson", body: lines.map((line) => `${JSON.stringify(line)}\n`).join("") }));
  await page.reload();
  await tab.ready();
  await page.getByRole("link", { name: "Removed keys" }).click();
  await page.getByText("0 removed keys").waitFor();
  await dt("alice", "rm", "a");
  lines = [{ kind: "lost", cursor: "1" }, ...lines];
  await page.getByText("1 removed key", { exact: true }).waitFor();
});

test("a key that is removed while the list is looked at comes into it", async (t) => {
  const { page, dt } = await look(t);
  await dt("alice", "put", "a", "1");
  await page.getByRole("link", { name: "Removed keys" }).click();
  await page.getByText("0 removed keys").waitFor();
  await dt("alice", "rm", "a");
  await page.getByText("1 removed key", { exact: true }).waitFor();
});
