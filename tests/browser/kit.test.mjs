// The kit itself: whatever a page does wrong, it sees. A page of this file's own does each of it in turn.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { start } from "./kit.mjs";

const kit = await start({ mount: false });
const clean = kit.browser;
/** Where the pages do wrong; what it leaves is looked at last. */
let dirty = null;
const planted = kit.secret("planted");

const POLICY = "default-src 'none'; script-src 'self' 'nonce-n'; connect-src *; img-src *; require-trusted-types-for 'script'";

/** A page whose script is this, on a server that answers `/planted` with the secret. */
async function serve(script) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://127.0.0.1");
    if (pathname === "/missing") response.writeHead(404).end();
    else if (pathname === "/planted") response.end(JSON.stringify({ value: planted }));
    else if (pathname === "/header") response.writeHead(200, { "X-Value": encodeURIComponent(planted) }).end();
    else if (pathname === "/api/events") response.write(`{"kind":"change","key":"${Buffer.from(planted).toString("hex")}"}\n`);
    else response.writeHead(200, { "Content-Type": "text/html", "Content-Security-Policy": POLICY })
      .end(`<!doctype html><title>t</title><input id=field><script nonce=n>${script}</script>`);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  after(() => { server.closeAllConnections(); server.close(); });
  return `http://127.0.0.1:${server.address().port}`;
}

/** What the kit says of a page that does this. */
async function seen(script, { expect } = {}) {
  dirty ??= await kit.launch();
  const origin = await serve(`(async () => { const planted = await window.planted(); ${script}; })().catch((error) => { throw error; }).finally(() => { document.title = "done"; })`);
  const tab = await kit.tab({ origin, browser: dirty });
  await tab.page.exposeFunction("planted", () => planted);
  if (expect) tab.expects(...expect);
  await tab.page.goto(origin);
  await tab.page.waitForFunction(() => document.title === "done");
  const troubles = await tab.troubles();
  await tab.clear();
  await tab.page.close();
  return troubles.join("\n");
}

const WRONG = [
  ["a script that the policy forbids", "document.body.append(Object.assign(document.createElement('script'), { src: 'data:,1' }))", /policy violated|Trusted|script failed/i],
  ["markup that isn't trusted", "try { document.body.innerHTML = '<b>x</b>' } catch {}", /policy violated: require-trusted-types-for/],
  ["an inline style", "document.body.setAttribute('style', 'color:red')", /policy violated: style-src/],
  ["an error that nobody caught", "setTimeout(() => { throw new Error('oh') }); await new Promise((go) => setTimeout(go, 5))", /a script failed: .*oh/],
  ["an error in the console", "console.error('oh')", /error in the console: oh/],
  ["a request that leaves", "await fetch('http://127.0.0.1:9/x').catch(() => {})", /asked for http:\/\/127.0.0.1:9\/x/],
  ["a picture from elsewhere", "await new Promise((go) => { const i = new Image(); i.onerror = go; i.src = 'http://example.com/x.png' })", /asked for http:\/\/example.com\/x.png/],
  ["an answer that is none", "await fetch('/missing')", /GET \/missing was answered with 404/],
  ["a window that asks", "alert(1)", /opened a alert/],
  ["a name that was run", "pwned()", /run as a script/],
  ["a secret in an answer", "await fetch('/planted').then((r) => r.text())", /planted \(in JSON.*\) is in the answer of \/planted/],
  ["a secret in a header", "await fetch('/header')", /planted \(URL-encoded\) is in the headers of \/header/],
  ["a secret in a stream", "const r = await fetch('/api/events'); await r.body.getReader().read()", /planted \(in hex\) is in the answer of \/api\/events/],
  ["a secret in the document", `document.body.append(planted)`, /is in the document/],
  ["a secret in an attribute", `document.body.title = planted`, /is in the document/],
  ["a secret in a field", `field.value = planted`, /is in the field field/],
  ["a secret in an address", `location.hash = encodeURIComponent(planted)`, /is in the address/],
  ["a secret in localStorage", "localStorage.x = btoa(unescape(encodeURIComponent(`xy${planted}`)))", /in base64(url)?\) is in localStorage/],
  ["a secret in sessionStorage", `sessionStorage.x = planted`, /is in sessionStorage/],
  ["a secret in a cookie", `document.cookie = 'x=' + encodeURIComponent(planted)`, /is in a cookie/],
  ["a secret in the history", `history.replaceState(planted, '')`, /is in the state of its history/],
  ["a secret in the console", `console.log(planted)`, /is in the console/],
];

for (const [name, script, words] of WRONG) {
  test(`it sees ${name}`, async () => assert.match(await seen(script), words));
}

test("a page that does nothing wrong is let be, and an expected answer must come", async () => {
  assert.equal(await seen("await fetch('/missing')", { expect: [404, "/missing"] }), "");
  assert.match(await seen("", { expect: [404, "/missing"] }), /no answer with status 404 came from \/missing/);
});

test("it sees what a browser leaves in its profile, and a browser that saw nothing leaves nothing", async () => {
  await kit.endBrowser(clean);
  await assert.rejects(kit.endBrowser(dirty), /Session Storage.*planted/s);
});
