// Watches a tab: what it asks for, what it is answered, and what goes wrong in it.
//
// The stream of changes never ends while its page is there, so its answer is read where it comes in, piece by piece.

import { Buffer } from "node:buffer";

const STREAM = "/api/events";

/** How long answers may be on their way at the end of a test, and those that refuse, whose text a page needn't read; in milliseconds. */
const LATE = 10_000, REFUSED = 500;

export class Watch {
  troubles = [];
  warnings = 0;
  heard = "";
  #page;
  #secrets;
  #origin;
  #expected = [];
  #reading = new Set();
  #refusals = [];

  constructor(page, secrets, origin) {
    this.#page = page;
    this.#secrets = secrets;
    this.#origin = origin;
  }

  async begin() {
    const page = this.#page;
    await page.exposeBinding("keyfsReport", (_, what) => this.#trouble(what));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        window.keyfsReport(`policy violated: ${event.violatedDirective} by ${event.blockedURI} ${event.sample} at ${event.sourceFile}:${event.lineNumber}`);
      });
      // What a name or a value calls that a page took for its own.
      window.pwned = () => window.keyfsReport("a name was run as a script");
    });
    page.on("pageerror", (error) => this.#trouble(`a script failed: ${error.stack ?? error}`));
    page.on("crash", () => this.#trouble("the tab crashed"));
    page.on("console", (message) => this.#said(message));
    page.on("dialog", (dialog) => this.#asked(dialog));
    page.on("request", (request) => this.#requested(request));
    page.on("response", (response) => this.#later(this.#answered(response)));
    await this.#readStreams();
  }

  expects(status, where) {
    this.#expected.push({ status, where, isMet: false });
  }

  /** Waits until all that was answered has been looked into. */
  async settle() {
    const after = (time) => new Promise((go) => { setTimeout(go, time, true).unref(); });
    const late = after(LATE);
    while (this.#reading.size > 0) {
      if (await Promise.race([Promise.all(this.#reading).then(() => false), late])) {
        this.#trouble("an answer was asked for and not read to its end, so it can't be looked into");
        break;
      }
    }
    await Promise.race([Promise.all(this.#refusals), after(REFUSED)]);
    for (const { status, where, isMet } of this.#expected) {
      if (!isMet) this.#trouble(`no answer with status ${status} came from ${where || "anywhere"}`);
    }
  }

  #trouble(what) {
    if (!this.troubles.includes(what)) this.troubles.push(what);
  }

  #later(work) {
    this.#reading.add(work);
    work.finally(() => this.#reading.delete(work));
  }

  #said(message) {
    const text = message.text();
    // A status is judged where the answer is looked at.
    if (text.startsWith("Failed to load resource")) return;
    const isPolicy = /content security policy|trusted ?type/i.test(text);
    if (message.type() === "error" || isPolicy) this.#trouble(`${message.type()} in the console: ${text}`);
    this.#look("the console", text);
  }

  async #asked(dialog) {
    if (dialog.type() === "beforeunload") this.warnings += 1;
    else this.#trouble(`the page opened a ${dialog.type()}`);
    await dialog.accept().catch(() => {});
  }

  #requested(request) {
    const url = request.url();
    this.#look("an address", url);
    const isOwn = this.#origin === undefined || new URL(url).origin === this.#origin || /^(data|about|blob):/.test(url);
    if (!isOwn) this.#trouble(`asked for ${url}`);
  }

  async #answered(response) {
    const { pathname } = new URL(response.url());
    const status = response.status();
    if (status >= 400) {
      const expected = this.#expected.find((one) => one.status === status && pathname.includes(one.where));
      if (expected) expected.isMet = true;
      else this.#trouble(`${response.request().method()} ${pathname} was answered with ${status}`);
    }
    const headers = await response.headersArray().catch(() => []);
    this.#look(`the headers of ${pathname}`, headers.map(({ name, value }) => `${name}: ${value}`).join("\n"));
    if (pathname === STREAM || (status >= 300 && status < 400) || status === 204) return;
    const looking = this.#lookInto(response, pathname);
    if (status >= 400) this.#refusals.push(looking);
    else await looking;
  }

  async #lookInto(response, pathname) {
    // Whoever leaves a page breaks off what it was about to be told.
    const body = await response.body().catch(() => null);
    if (body === null) return;
    this.#look(`the answer of ${pathname}`, body);
    if (pathname.startsWith("/api/")) this.heard += body;
  }

  /** Reads along what comes in by streams. */
  async #readStreams() {
    const session = await this.#page.context().newCDPSession(this.#page);
    const streams = new Map();
    const look = (id, data) => {
      const known = Buffer.concat([streams.get(id), Buffer.from(data ?? "", "base64")]);
      streams.set(id, known);
      this.#look(`the answer of ${STREAM}`, known);
    };
    session.on("Network.responseReceived", ({ requestId, response }) => {
      if (new URL(response.url).pathname !== STREAM) return;
      streams.set(requestId, Buffer.alloc(0));
      const begun = session.send("Network.streamResourceContent", { requestId });
      this.#later(begun.then(({ bufferedData }) => look(requestId, bufferedData), () => {}));
    });
    session.on("Network.dataReceived", ({ requestId, data }) => { if (streams.has(requestId)) look(requestId, data); });
    await session.send("Network.enable");
  }

  #look(place, content) {
    const what = this.#secrets.findIn(content);
    if (what) this.#trouble(`${what} is in ${place}`);
  }
}

/** What the document holds: its markup, and what stands in its fields. */
export async function inDocument(page) {
  const { markup, fields, address, title } = await page.evaluate(() => ({
    markup: document.documentElement.outerHTML,
    fields: [...document.querySelectorAll("input, textarea, select")].map(({ id, value }) => [id, value]),
    address: location.href,
    title: document.title,
  }));
  return [["the document", markup], ["the address", address], ["the title", title], ...fields.map(([id, value]) => [`the field ${id}`, value])];
}

/** What the page stores, wherever a page can. */
export async function inStorage(page) {
  const stored = await page.evaluate(async () => {
    const databases = [];
    for (const { name } of await indexedDB.databases()) {
      const database = await new Promise((done, failed) => {
        const opening = indexedDB.open(name);
        opening.onsuccess = () => done(opening.result);
        opening.onerror = () => failed(opening.error);
      });
      for (const store of database.objectStoreNames) {
        const all = database.transaction(store).objectStore(store).getAll();
        await new Promise((done) => { all.onsuccess = done; });
        databases.push([name, store, JSON.stringify(all.result)]);
      }
      database.close();
    }
    const caches_ = [];
    for (const name of (await globalThis.caches?.keys()) ?? []) {
      const cache = await caches.open(name);
      for (const request of await cache.keys()) caches_.push([name, request.url, await (await cache.match(request)).text()]);
    }
    return { local: { ...localStorage }, session: { ...sessionStorage }, databases, caches: caches_, cookies: document.cookie, state: JSON.stringify(history.state) };
  });
  const cookies = await page.context().cookies();
  return [
    ["localStorage", Object.entries(stored.local).join("\n")],
    ["sessionStorage", Object.entries(stored.session).join("\n")],
    ["IndexedDB", stored.databases.join("\n")],
    ["the caches", stored.caches.join("\n")],
    ["a cookie", stored.cookies + cookies.map(({ name, value }) => `${name}=${value}`).join("\n")],
    ["the state of its history", stored.state ?? ""],
  ];
}
