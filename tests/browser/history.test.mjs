// The history of a key: it reads like a log, shows what changed of variables, and goes back only when that was asked.

import assert from "node:assert/strict";
import { test } from "node:test";
import { button, call, inDialog, look, secret } from "./dialogs.mjs";

async function history(page, key) {
  await call(page, "history.js", "openHistory", key);
  await page.locator(".log-entry").first().waitFor();
}

test("it reads like a log: which version, who, when, how large, and what changed", async (t) => {
  const { page, dt } = await look(t);
  await dt("alice", "put", "app", "one\ntwo\n", "-g", "payments:rw");
  await dt("carol", "put", "app", "one\n2\n");
  await dt("alice", "put", "app", "one\n2\nthree\n");
  await history(page, "app");
  assert.deepEqual((await page.locator(".log-line").allInnerTexts()).map((line) => line.replace(/\s+/g, " ").trim()), [
    "version 3 · alice · just now · 12 bytes present",
    "version 2 · carol · just now · 6 bytes",
    "version 1 · alice · just now · 8 bytes",
  ]);
  assert.deepEqual(await page.locator(".log-what").allInnerTexts(), ["1 line added.", "One line changed.", "The first version."]);
});

test("a version is compared with the one before and with the present one", async (t) => {
  const { page, dt } = await look(t);
  for (const value of ["one", "two", "three"]) await dt("alice", "put", "app", value);
  await history(page, "app");
  const texts = () => page.locator(".diff-text").allTextContents();
  await button(page, "Compare version 2 with the one before").click();
  await page.locator(".diff").waitFor();
  assert.deepEqual(await texts(), ["one", "two"]);
  await button(page, "Compare version 1 with the present one").click();
  await page.getByText("From version 1 to version 3:").waitFor();
  assert.deepEqual(await texts(), ["one", "three"]);
  await button(page, "Show version 2").click();
  assert.equal(await page.locator(".log-value").innerText(), "two");
});

test("a rollback asks, shows what it changes, and makes a new version", async (t) => {
  const { page, dt } = await look(t);
  for (const value of ["one", "two"]) await dt("alice", "put", "app", value);
  await history(page, "app");
  await button(page, "Roll back to version 1").click();
  const question = page.locator(".log-question");
  assert.match(await question.innerText(), /stored again, as version 3/);
  assert.deepEqual(await question.locator(".diff-text").allTextContents(), ["two", "one"]);
  assert.equal(await dt("alice", "get", "app"), "two");
  await question.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await question.count(), 0);
  await button(page, "Roll back to version 1").click();
  await question.getByRole("button", { name: "Roll back to version 1" }).click();
  await page.locator(".log-line").getByText("version 3").waitFor();
  assert.equal(await dt("alice", "get", "app"), "one");
  assert.equal(await dt("alice", "get", "app", "--version", "2"), "two");
});

test("a rollback in prod takes a tick of its own", async (t) => {
  const { page, dt } = await look(t, { environment: "prod" });
  for (const value of ["one", "two"]) await dt("alice", "put", "-e", "prod", "app", value);
  await history(page, "app");
  await button(page, "Roll back to version 1").click();
  const question = page.locator(".log-question");
  await question.getByRole("button", { name: "Roll back to version 1" }).click();
  await page.getByText("Tick that you mean prod.").waitFor();
  assert.equal(await dt("alice", "get", "-e", "prod", "app"), "two");
  await page.getByLabel("Yes, I mean prod").check();
  await question.getByRole("button", { name: "Roll back to version 1" }).click();
  await page.locator(".log-line").getByText("version 3").waitFor();
});

test("a rollback onto what somebody else has stored meanwhile is refused and said", async (t) => {
  const { page, dt, tab } = await look(t);
  tab.expects(409, "/api/rollback");
  for (const value of ["one", "two"]) await dt("alice", "put", "app", value, "-g", "payments:rw");
  await history(page, "app");
  await button(page, "Roll back to version 1").click();
  await page.route("**/api/rollback", async (route) => {
    await dt("carol", "put", "app", "theirs");
    await route.continue();
  }, { times: 1 });
  await page.locator(".log-question").getByRole("button", { name: "Roll back to version 1" }).click();
  await page.locator("#rollback-error:visible").waitFor();
  assert.equal(await dt("alice", "get", "app"), "theirs");
});

test("of secrets there is metadata and never a value", async (t) => {
  const { page, dt } = await look(t, { tree: "secrets" });
  const first = secret("first"), second = `${secret("second")}x`;
  for (const value of [first, second]) await dt("alice", "put", "-s", "password", value);
  await history(page, "password");
  assert.deepEqual(await page.locator(".log-what").allInnerTexts(), ["Another value, 1 byte more.", "The first version."]);
  assert.equal(await inDialog(page).getByRole("button", { name: /^(Show|Compare)/ }).count(), 0);
  await button(page, "Roll back to version 1").click();
  await page.locator(".log-question").getByRole("button", { name: "Roll back to version 1" }).click();
  await page.locator(".log-line").getByText("version 3").waitFor();
  assert.equal(await dt("alice", "get", "-s", "password"), first);
});

test("a change made elsewhere moves no line that is pointed at, and is shown when that is asked for", async (t) => {
  const { page, dt } = await look(t);
  for (const value of ["one", "two"]) await dt("alice", "put", "app", value);
  await history(page, "app");
  const back = button(page, "Roll back to version 1");
  await back.hover();
  const { y } = await back.boundingBox();
  await dt("alice", "put", "app", "three");
  const news = button(page, "Changed meanwhile: look again");
  await news.waitFor();
  assert.equal((await back.boundingBox()).y, y);
  assert.equal(await page.locator(".log-entry").count(), 2);
  await news.click();
  await page.locator(".log-line").getByText("version 3").waitFor();
  await news.waitFor({ state: "detached" });
});

test("a change made elsewhere comes into the open history", async (t) => {
  const { page, dt } = await look(t);
  await dt("alice", "put", "app", "one");
  await history(page, "app");
  await dt("alice", "put", "app", "two");
  await page.locator(".log-line").getByText("version 2").waitFor();
});
