// The mount's daemon ends and comes back: the page says so, keeps what it shows, and goes on by itself.

import assert from "node:assert/strict";
import path from "node:path";
import { start, run } from "./kit.mjs";

const kit = await start();
await kit.echo("dev/variables/a/one", "1\n");

kit.test("a mount that is gone is told, and what was seen stays until it is back", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  const { home, keys } = kit.mount;
  await page.locator('.row[data-path="a/one"] .value').waitFor();
  tab.expects(503);
  const { pid } = JSON.parse(await run("root", ["keyfs", "status", "--json", keys]));
  process.kill(pid, "SIGKILL");
  const notice = page.getByRole("alert").filter({ hasText: "Not connected" });
  await notice.waitFor();
  assert.match(await notice.innerText(), new RegExp(keys));
  assert.equal(await page.locator(".connection").innerText(), "Not connected");
  assert.equal(await page.locator('.row[data-path="a/one"]').count(), 1);
  await run("root", ["keyfs", "mount", "--background", "--store", path.join(home, "store.redb"), "--identity", path.join(home, "identity"), keys]);
  await page.locator(".connection[data-state='live']").waitFor();
  await notice.waitFor({ state: "detached" });
  await kit.echo("dev/variables/a/two", "2\n");
  await page.locator('.row[data-path="a/two"] .value').waitFor();
});
