// The page behind a proxy that names its user: who isn't let in is told why, and a session that ended is followed by the next
// one without a word.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, request } from "node:http";
import path from "node:path";
import { test } from "node:test";
import { start, until } from "./kit.mjs";

const kit = await start();

/** A dashboard for a team, and the proxy in front of it, which names `user` and hands on the sessions in `lost` as unknown ones. */
async function behindProxy(t) {
  const socket = path.join(kit.mount.home, "team.socket");
  const proxy = { user: "alice", lost: new Set(), shown: null };
  const server = createServer((asked, answered) => {
    const shown = asked.headers["x-keyfs-session"];
    if (shown) proxy.shown = shown;
    const headers = { ...asked.headers, "x-remote-user": proxy.user, ...(proxy.lost.has(shown) ? { "x-keyfs-session": "lost" } : {}) };
    const passed = request({ socketPath: socket, path: asked.url, method: asked.method, headers, agent: false }, (answer) => {
      answered.writeHead(answer.statusCode, answer.headers);
      answer.pipe(answered);
      answered.on("close", () => answer.destroy());
    });
    passed.on("error", () => answered.destroy());
    asked.pipe(passed);
  });
  await new Promise((ready) => { server.listen(0, "127.0.0.1", ready); });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${server.address().port}`;
  const program = path.join(process.env.KEYFS_BROWSER_PLACE, "bin", "dt");
  const options = ["--user-header", "X-Remote-User", "--socket", socket, "--host", host];
  const dashboard = spawn(program, ["dashboard", ...options, kit.mount.keys], { stdio: ["ignore", "pipe", "ignore"] });
  const gone = once(dashboard, "exit");
  t.after(async () => {
    dashboard.kill("SIGTERM");
    await gone;
  });
  await once(dashboard.stdout, "data");
  return { proxy, origin: `http://${host}` };
}

test("who isn't let in is told why, and comes in when that has changed", async (t) => {
  const { proxy, origin } = await behindProxy(t);
  const tab = await kit.tab({ origin });
  proxy.user = "nobody-has-this";
  tab.expects(403, "/api/session");
  await tab.page.goto(origin);
  await tab.dialog.getByText("This machine has no user of the name that you logged in with.").waitFor();
  proxy.user = "root";
  await tab.button("Try again").click();
  await tab.dialog.getByText("Root isn't let in here: log in as yourself.").waitFor();
  proxy.user = "alice";
  await tab.button("Try again").click();
  await tab.page.locator("#add-new").waitFor();
  await tab.closed();
  await tab.finish();
});

test("a session that ended is followed by the next one, and what was typed stays", async (t) => {
  const { proxy, origin } = await behindProxy(t);
  const tab = await kit.tab({ origin });
  await tab.page.goto(origin);
  await tab.page.getByRole("button", { name: "Add New" }).click();
  const key = tab.dialog.locator("input").first();
  await key.fill("typed");
  const ended = await tab.page.evaluate(() => sessionStorage.getItem("keyfs.session"));
  // One that was given a moment ago and is of no use isn't followed by another.
  const since = await tab.page.evaluate(() => performance.now());
  await tab.page.waitForFunction((since) => performance.now() - since > 1500, since);
  proxy.lost.add(ended);
  tab.expects(401, "/api/");
  const about = await tab.page.evaluate(async () => (await import("/page/api.js")).get("/api/about"));
  assert.equal(about.user.name, "alice");
  const next = await tab.page.evaluate(() => sessionStorage.getItem("keyfs.session"));
  assert.ok(next !== null && next !== ended);
  await until(() => proxy.shown === next, "a call with the next session");
  assert.equal(await tab.dialog.count(), 1);
  assert.equal(await key.inputValue(), "typed");
  await tab.finish();
});

kit.test("a link of another start ends no session", async (tab) => {
  tab.expects(401, "/api/session");
  const before = await tab.page.evaluate(() => sessionStorage.getItem("keyfs.session"));
  const refused = tab.page.waitForResponse((answer) => answer.url().endsWith("/api/session") && answer.status() === 401);
  await tab.page.evaluate(() => { location.hash = `#token=${"x".repeat(43)}`; });
  await refused;
  const environments = await tab.page.evaluate(async () => (await (await import("/page/api.js")).get("/api/about")).environments.length);
  assert.equal(environments, 3);
  assert.equal(await tab.page.evaluate(() => sessionStorage.getItem("keyfs.session")), before);
  assert.equal(await tab.dialog.count(), 0);
});
