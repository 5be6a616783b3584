// What the page and its server are attacked with: names that are markup, pages of others, other hosts, and ended sessions.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { start, until } from "./kit.mjs";
import { SCENES, call, seed } from "./scenes.mjs";

const EVIL = "<img src=x onerror=pwned()>";
const MARKUP = `${EVIL}<script>pwned()</script>"'><svg onload=pwned()>{{7*7}}\${pwned()}javascript:pwned()`;

const kit = await start({
  seed: async (kit) => {
    await seed(kit);
    for (const environment of ["dev", "pre", "prod"]) {
      // Nothing in a name but what a path may hold: the markup's own `/` makes directories.
      await kit.echo(`${environment}/variables/${EVIL}`, MARKUP, { as: "carol", groups: `${EVIL}:rw,payments:rw` });
      await kit.echo(`${environment}/variables/web/"onmouseover=pwned() x="`, `${environment}${MARKUP}`, { groups: "payments:rw" });
      await kit.echo(`${environment}/secrets/${EVIL}`, kit.secret("behind markup"), { as: "carol", groups: `${EVIL}:rw,payments:rw` });
      await kit.echo(`${environment}/secrets/<svg onload=pwned()>/key`, kit.secret("below markup"), { groups: "payments:rw" });
    }
  },
});

const dialogs = (key) => ({
  editing: ["form.js", "openEdit", key],
  "its history": ["history.js", "openHistory", key],
  deleting: ["remove.js", "openRemove", { keys: [key] }],
  copying: ["copy.js", "openCopy", { keys: [key] }],
});

/** That markup in a name or value is text: there are no elements that it would make. */
async function isText(tab) {
  const made = await tab.page.evaluate(() => [...document.querySelectorAll('img, svg[onload], script:not([src^="/page/"]), [onerror], [onload], [onmouseover]')].map((element) => element.outerHTML));
  assert.deepEqual(made, []);
}

for (const [name, show] of Object.entries(SCENES)) {
  kit.test(`markup in names, values and groups is text in ${name}`, { open: "dev/secrets" }, async (tab) => {
    await show(tab);
    await tab.painted();
    await isText(tab);
  });
}

for (const tree of ["variables", "secrets"]) {
  kit.test(`markup that is a key is text in every dialog of ${tree}`, { open: `dev/${tree}` }, async (tab) => {
    await tab.row(EVIL).waitFor();
    assert.match(await tab.row(EVIL).innerText(), /<img src=x onerror=pwned\(\)>/);
    for (const [name, given] of Object.entries(dialogs(EVIL))) {
      await call(tab, ...given);
      await tab.dialog.getByText(EVIL).first().waitFor();
      await isText(tab).catch((error) => { throw new Error(`${name}: ${error.message}`); });
      await tab.page.keyboard.press("Escape");
      await tab.closed();
    }
  });
}

kit.test("markup in a file that is imported, and in a filter, is text", { open: "dev/variables" }, async (tab) => {
  await call(tab, "import.js", "openImport", { text: JSON.stringify({ [EVIL]: MARKUP, other: EVIL }), name: `${EVIL}.json` });
  await tab.painted();
  await isText(tab);
  await tab.page.keyboard.press("Escape");
  const ask = tab.dialog.getByRole("button", { name: /discard|leave|close without/i });
  if (await tab.dialog.count()) await ask.first().click();
  await tab.closed();
  await tab.page.getByLabel("Filter keys").fill(`${EVIL}<b>`);
  await tab.page.getByText("No key matches").waitFor();
  await isText(tab);
});

/** A server of somebody else's on this host: another port, and so another origin. */
async function stranger(t) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push({ url: request.url, headers: request.headers });
    response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>stranger</title>");
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  t.after(() => { server.closeAllConnections(); server.close(); });
  return { origin: `http://127.0.0.1:${server.address().port}`, asked };
}

kit.test("a page on another port of the host reads nothing and changes nothing", { open: "dev/variables" }, async (tab, t) => {
  const { dashboard } = tab;
  const session = await tab.page.evaluate(() => sessionStorage.getItem("keyfs.session"));
  assert.ok(session);
  const { origin, asked } = await stranger(t);
  const before = await kit.sh("ls -R dev; cat dev/variables/web/log_level");
  const page = await tab.kit.browser.context.newPage();
  t.after(() => page.close());
  await page.goto(origin);
  const tried = await page.evaluate(async ({ target, session, token }) => {
    const body = JSON.stringify({ environments: ["dev"], tree: "variables", key: "stolen", create: true, value: "1" });
    const attempts = {
      reads: ["/api/keys?environment=dev&tree=variables", {}],
      "reads with cookies": ["/api/keys?environment=dev&tree=variables", { credentials: "include" }],
      "reads with the session": ["/api/keys?environment=dev&tree=variables", { headers: { "X-Keyfs-Session": session } }],
      "writes with the session": ["/api/put", { method: "POST", body, headers: { "X-Keyfs-Session": session, "Content-Type": "application/json" } }],
      "writes as plain text": ["/api/put", { method: "POST", body, credentials: "include" }],
      "comes in by the token": ["/api/session", { method: "POST", body: JSON.stringify({ token }), headers: { "Content-Type": "application/json" } }],
      "comes in as plain text": ["/api/session", { method: "POST", body: JSON.stringify({ token }) }],
      "reads the page": ["/", {}],
    };
    const results = {};
    for (const [name, [path, options]] of Object.entries(attempts)) {
      results[name] = await fetch(target + path, options).then(async (response) => `${response.status} ${await response.text()}`, (error) => error.name);
    }
    // Without the right to read, what is sent arrives: it must change nothing.
    const blind = await fetch(`${target}/api/put`, { method: "POST", mode: "no-cors", credentials: "include", body }).then((response) => response.type, (error) => error.name);
    return { results, blind };
  }, { target: dashboard.origin, session, token: dashboard.token });
  for (const [name, result] of Object.entries(tried.results)) assert.equal(result, "TypeError", name);
  assert.match(tried.blind, /TypeError|opaque/);

  // A form, which needs nobody's leave.
  await page.evaluate((target) => {
    const form = document.createElement("form");
    Object.assign(form, { method: "POST", action: `${target}/api/put`, enctype: "text/plain", target: "_self" });
    const field = document.createElement("input");
    Object.assign(field, { name: '{"environments":["dev"],"tree":"variables","key":"stolen","create":true,"value":"', value: '1"}' });
    form.append(field);
    document.body.append(form);
    form.submit();
  }, dashboard.origin);
  await page.waitForURL(`${dashboard.origin}/**`);

  // A frame shows nothing, a script and a picture of the page's are not given away, and a window can't be reached into.
  await page.goto(origin);
  const shown = await page.evaluate(async (target) => {
    const loads = (name, properties) => new Promise((done) => {
      const element = document.createElement(name);
      element.onload = () => done(`${name} loaded`);
      element.onerror = () => done("refused");
      Object.assign(element, properties);
      document.body.append(element);
    });
    return { script: await loads("script", { src: `${target}/page/app.js` }), picture: await loads("img", { src: `${target}/page/icon.svg` }) };
  }, dashboard.origin);
  assert.deepEqual(shown, { script: "refused", picture: "refused" });
  await page.evaluate((target) => { document.body.append(Object.assign(document.createElement("iframe"), { src: target })); }, dashboard.origin);
  const frame = await until(() => page.frames().find((one) => one !== page.mainFrame() && one.url() !== "about:blank"), "there is a frame");
  assert.ok(!frame.url().startsWith(dashboard.origin) || (await frame.locator("#app").count()) === 0, `the page is framed: ${frame.url()}`);

  assert.equal(await kit.sh("ls -R dev; cat dev/variables/web/log_level"), before);
  // Nor was the stranger told where anybody came from.
  for (const { headers } of asked) assert.ok(!JSON.stringify(headers).includes(dashboard.token));
});

kit.test("a name that leads here is not answered", { as: null }, async () => {
  const dashboard = await kit.dashboard("alice");
  const { port } = new URL(dashboard.origin);
  const browser = await kit.launch([`--host-resolver-rules=MAP rebound.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`]);
  const origin = `http://rebound.example:${port}`;
  // A page that isn't watched: the browser has much to say of an origin that it can't trust.
  const page = await browser.context.newPage();
  const response = await page.goto(`${origin}/#token=${dashboard.token}`);
  assert.equal(response.status(), 421);
  assert.equal(await page.locator("#app").count(), 0);
  const said = await page.evaluate(async (token) => {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch("/api/session", { method: "POST", headers, body: JSON.stringify({ token }) });
    return { status: answer.status, text: await answer.text() };
  }, dashboard.token);
  assert.equal(said.status, 421);
  assert.doesNotMatch(said.text, /"session"/);
  await kit.endBrowser(browser);
});

kit.test("the token is in no address, no history and no referrer once the page is there", { open: "dev/secrets" }, async (tab) => {
  const { token, origin } = tab.dashboard;
  assert.ok(!tab.page.url().includes("token"));
  const said = await tab.page.evaluate(async () => ({
    entries: performance.getEntriesByType("resource").map(({ name }) => name), referrer: document.referrer,
    stored: JSON.stringify([{ ...localStorage }, { ...sessionStorage }, history.state]), length: history.length,
    markup: document.documentElement.outerHTML, policy: await fetch("/").then(async (response) => { await response.text(); return response.headers.get("referrer-policy"); }),
  }));
  assert.ok(!JSON.stringify(said).includes(token));
  assert.equal(said.policy, "no-referrer");
  // Back leads to no address with it.
  await tab.page.goBack().catch(() => {});
  assert.ok(!tab.page.url().includes(token));
  await tab.page.goto(`${origin}/`);
  await tab.page.locator("#add-new").waitFor();
});

kit.test("a session that has ended is said, what was typed stays, and a new link goes on", { as: null }, async () => {
  const dashboard = await kit.mount.dashboard("alice", ["--listen", "127.0.0.1:0"]);
  const tab = await kit.tab({ dashboard, open: "dev/secrets" });
  const typed = kit.secret("typed meanwhile");
  await call(tab, "form.js", "openAdd", { key: "typed/meanwhile" });
  await tab.page.locator("#value").fill(typed);
  await dashboard.end();
  await tab.page.locator('.connection:not([data-state="live"])').waitFor();
  const { port } = new URL(dashboard.origin);
  const again = await kit.mount.dashboard("alice", ["--listen", `127.0.0.1:${port}`]);
  tab.expects(401, "/api/events");
  await tab.page.getByText("This session has ended").waitFor();
  const field = tab.page.locator('dialog[open] input[name="link"]');
  await field.fill("not a link");
  await field.press("Enter");
  await tab.page.getByText("This is no link of the dashboard").waitFor();
  await field.fill(again.link);
  await field.press("Enter");
  await field.waitFor({ state: "detached" });
  assert.equal(await tab.page.locator("#value").inputValue(), typed);
  await tab.button("Save").click();
  await until(() => kit.sh("test -e dev/secrets/typed/meanwhile && echo yes || true"), "the secret is stored");
  await tab.closed();
  assert.equal(await kit.dt(["kv", "get", "-s", "typed/meanwhile"]), typed);
  await tab.finish();
});
