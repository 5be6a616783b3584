// Two people at one mount, each with a dashboard of their own: what each sees, and may do.

import assert from "node:assert/strict";
import { start, until } from "./kit.mjs";
import { call } from "./scenes.mjs";

const kit = await start({
  seed: async (kit) => {
    await kit.echo("dev/secrets/db/password", kit.secret("shared"), { groups: "payments:rw,analysts:r" });
    await kit.echo("dev/secrets/db/admin", kit.secret("alice's"), { groups: "payments:rw" });
    await kit.echo("dev/variables/web/log_level", "info\n", { groups: "payments:rw,analysts:r", mode: undefined });
    await kit.echo("dev/variables/closed/key", "unseen by bob\n");
    await kit.sh("chmod 700 dev/variables/closed");
  },
});

kit.test("each acts as themselves, and the page says as whom", { as: "bob", open: "dev/secrets" }, async (tab) => {
  assert.match(await tab.page.locator(".who").innerText(), /bob/);
  const other = await kit.tab({ dashboard: await kit.dashboard("alice"), open: "dev/secrets" });
  assert.match(await other.page.locator(".who").innerText(), /alice/);
  await other.finish();
});

kit.test("what may not be listed is said to be there, and nothing of it is", { as: "bob", open: "dev/variables" }, async (tab) => {
  await tab.page.getByText("1 directory may not be listed by you").waitFor();
  assert.equal(await tab.page.getByText("unseen by bob").count(), 0);
  assert.ok(!tab.heard.includes("unseen by bob"));
});

kit.test("a refused save says why, keeps what was typed, and changes nothing", { as: "bob", open: "dev/secrets" }, async (tab) => {
  const typed = kit.secret("typed by bob");
  await call(tab, "form.js", "openEdit", "db/admin");
  await tab.dialog.getByText(/You may not change this value/).waitFor();
  await tab.page.keyboard.press("Escape");
  await tab.closed();
  // Adding where one may not write: the directory is alice's.
  await call(tab, "form.js", "openAdd", { key: "db/bobs" });
  await tab.page.locator("#value").fill(typed);
  tab.expects(403, "/api/put");
  await tab.button("Save").click();
  const problem = tab.dialog.locator(".form-problem:visible, .field-error:visible").first();
  await problem.waitFor();
  assert.match(await problem.innerText(), /db|permitted|may not|allowed/i);
  assert.equal(await tab.page.locator("#value").inputValue(), typed);
  await kit.sh("test ! -e dev/secrets/db/bobs");
  await tab.page.locator("#value").fill("");
});

kit.test("what one saves the other sees within a second's wait for it, and can read", { as: "alice", open: "dev/variables" }, async (tab) => {
  const other = await kit.tab({ dashboard: await kit.dashboard("bob"), open: "dev/variables" });
  await tab.page.locator('.connection[data-state="live"]').waitFor();
  await other.page.locator('.connection[data-state="live"]').waitFor();
  await call(tab, "form.js", "openEdit", "web/log_level");
  await tab.page.locator("#value").fill("debug");
  await tab.button("Review change").click();
  await tab.button("Save").click();
  await tab.closed();
  if ((await other.row("web/").getAttribute("aria-expanded")) === "false") await other.row("web/").click();
  await other.row("web/log_level").getByText("debug").waitFor();
  await other.finish();
});

kit.test("a secret is stored by the page and read by those whom it was granted to, who are told its command", { as: "alice", open: "dev/secrets" }, async (tab) => {
  const typed = kit.secret("typed by alice");
  await call(tab, "form.js", "openAdd", { key: "api/token" });
  await tab.page.locator("#value").fill(typed);
  await tab.page.fill("#permissions-add", "analysts");
  await tab.page.locator("#permissions-add").press("Enter");
  await tab.page.getByLabel("group analysts: preset").selectOption({ label: "Viewer" });
  await tab.button("Save").click();
  await tab.closed();
  assert.equal(await kit.dt(["kv", "get", "-s", "api/token"], { as: "bob" }), typed);
  assert.match(await kit.dt(["kv", "get", "-s", "api/token"], { as: "dave", fails: true }), /not permitted/);
  // Each of them sees that it is there; whoever wants its value is told the command for that.
  const other = await kit.tab({ dashboard: await kit.dashboard("bob"), open: "dev/secrets" });
  await until(() => other.row("api/").count(), "bob sees api/");
  await call(other, "form.js", "openEdit", "api/token");
  assert.ok(!(await other.dialog.innerHTML()).includes(typed));
  await other.page.keyboard.press("Escape");
  await other.closed();
  await other.finish();
});
