// What the tests of the dashboard stand on: a mount, dashboards of its users, and tabs of a real Chromium that are watched.
//
//   import { start } from "./kit.mjs";
//   const kit = await start();                                  // one mount and one browser for the file
//   kit.test("what is so", { as: "alice", open: "dev/secrets" }, async (tab) => {
//     await tab.echo("dev/secrets/db/password", kit.secret());  // a planted secret: looked for everywhere from now on
//     await tab.row("db/password").click();
//   });
//
// Invariants, for every test that has a tab, whatever it is about:
// - No policy is violated, no script fails, nothing is logged as an error, nothing is asked of another origin, and no answer
//   has a status from 400 on but those that the test expects.
// - No secret is in an answer's headers or body, in the stream of changes, in the document, in an address, or in what the
//   page stores; and when the browser has ended, in no file of its profile.
// - What was started ends, also when a test fails.
//
// A tab is one of a browser's ordinary profile, since a private window would leave nothing to be found in the profile.
// It deliberately knows no part of the page but its rows.

import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import path from "node:path";
import { after, test } from "node:test";
import { chromium } from "playwright-core";

import { Secrets, secret } from "./forms.mjs";
import { Mount, run } from "./system.mjs";
import { Watch, inDocument, inStorage } from "./watch.mjs";

export { secret } from "./forms.mjs";
export { run } from "./system.mjs";

const PLACE = process.env.KEYFS_BROWSER_PLACE;

/** The longest that anything is waited for, in milliseconds. */
const PATIENCE = 20_000;

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-default-apps", "--disable-dev-shm-usage",
  // Nothing but this machine is found, whatever a page asks for.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/** Everything for a test file. `flags` are further ones of Chromium, `mount: false` leaves the mount
 * out, `at` says where it is, and `planted: false` leaves out the secrets that no test knows of. */
export async function start(options = {}) {
  const kit = new Kit();
  after(() => kit.end());
  await kit.begin(options);
  return kit;
}

/** Waits until something holds, and gives what it is then. */
export async function until(what, described = what) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await what();
    if (found) return found;
    if (Date.now() > end) throw new Error(`it didn't come to this: ${described}`);
    await new Promise((go) => { setTimeout(go, 20); });
  }
}

let shared = null;

/** A tab on a mount of its own, within a test: `{tab, page, as, dt, mount}`. The browser is shared by the file's tests. */
export async function look(t, { user = "alice", tree = "variables", environment = "dev", view = "", ...options } = {}) {
  shared ??= start({ mount: false });
  const kit = await shared;
  const mount = await Mount.start();
  const own = Object.create(kit, { mount: { value: mount } });
  const dashboard = await mount.dashboard(user);
  const tab = await kit.tab({ ...options, dashboard, open: `${environment}/${tree}${view && `/${view}`}` });
  t.after(async () => {
    try {
      await tab.finish();
    } finally {
      await mount.end();
    }
  });
  const as = (who, argv) => run(who, argv);
  const dt = (who, ...words) => mount.dt(["kv", ...words], { as: who });
  return { kit: own, tab, page: tab.page, as, dt, mount: mount.keys, dashboard };
}

class Kit {
  secrets = new Secrets();
  #dashboards = new Map();
  #browsers = [];

  async begin({ mount = true, at, planted = true, flags = [], seed }) {
    if (mount) {
      this.mount = await Mount.start(at);
      // One that no test knows of is in each environment.
      for (const environment of planted ? ["dev", "pre", "prod"] : []) {
        await this.echo(`${environment}/secrets/planted/canary`, this.secret("planted"), { groups: "payments:rw" });
      }
    }
    if (seed) await seed(this);
    this.browser = await this.launch(flags);
  }

  /** A new secret, which is looked for from now on. `word` names it in a failure. */
  secret(word = "canary") {
    const value = secret();
    this.secrets.add(value, word);
    return value;
  }

  echo(...given) {
    return this.mount.echo(...given);
  }

  dt(argv, options) {
    return this.mount.dt(argv, options);
  }

  sh(command, options) {
    return this.mount.sh(command, options);
  }

  /** The dashboard of a user, which all tests of the file share. */
  dashboard(user = "alice") {
    if (!this.#dashboards.has(user)) this.#dashboards.set(user, this.mount.dashboard(user));
    return this.#dashboards.get(user);
  }

  /** A browser with a new profile. */
  async launch(flags = []) {
    const home = await mkdtemp(path.join(PLACE, "tests", "browser-"));
    const profile = path.join(home, "profile");
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.KEYFS_CHROMIUM ?? "/usr/bin/chromium",
      args: [...FLAGS.filter((flag) => !flags.some((other) => other.split("=")[0] === flag.split("=")[0])), ...flags],
      env: { PATH: process.env.PATH, HOME: home, LANG: "C.UTF-8", TZ: "UTC" },
      viewport: { width: 1280, height: 800 },
      timezoneId: "UTC",
      acceptDownloads: true,
      permissions: ["clipboard-read", "clipboard-write"],
    });
    context.setDefaultTimeout(PATIENCE);
    const browser = { context, home };
    this.#browsers.push(browser);
    return browser;
  }

  /** A test with a tab. `as`: whose dashboard, null for no tab; `open`: what is looked at first, as in `dev/secrets/matrix`. */
  test(name, options, body) {
    if (typeof options === "function") [options, body] = [{}, options];
    test(name, async (t) => {
      if (options.as === null) {
        await body(t);
        return;
      }
      const dashboard = await this.dashboard(options.as);
      const tab = await this.tab({ ...options, dashboard });
      try {
        await body(tab, t);
      } catch (error) {
        await tab.abandon(error);
        throw error;
      }
      await tab.finish();
    });
  }

  /** A tab that is let in, and watched until `finish`. */
  async tab({ dashboard, origin, open, size = { width: 1280, height: 800 }, scheme = "light", browser = this.browser } = {}) {
    const page = await browser.context.newPage();
    const tab = new Tab(this, page, dashboard, origin ?? dashboard?.origin);
    await tab.begin({ size, scheme });
    if (dashboard) await tab.enter();
    if (dashboard && open !== undefined) await tab.open(open);
    return tab;
  }

  /** Ends a browser, and looks for secrets in all that it left. */
  async endBrowser(browser) {
    this.#browsers = this.#browsers.filter((other) => other !== browser);
    await browser.context.close();
    const found = await this.secrets.findBelow(browser.home);
    assert.deepEqual(found, [], "the browser's profile has secrets in it");
  }

  async end() {
    const failures = [];
    const attempt = (work) => work.catch((error) => failures.push(error));
    for (const browser of [...this.#browsers]) await attempt(this.endBrowser(browser));
    if (this.mount) await attempt(this.mount.end());
    if (failures.length > 0) throw failures.length === 1 ? failures[0] : new AggregateError(failures, failures.map(String).join("\n"));
  }
}

class Tab {
  #watch;

  constructor(kit, page, dashboard, origin) {
    Object.assign(this, { kit, page, dashboard });
    this.#watch = new Watch(page, kit.secrets, origin);
  }

  async begin({ size, scheme }) {
    await this.#watch.begin();
    await this.page.setViewportSize(size);
    await this.page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  }

  /** Comes in by the link, as a browser that was opened with it. */
  async enter(link = this.dashboard.link) {
    await this.page.goto(link);
    await this.page.locator("#add-new").waitFor();
  }

  /** Looks at `dev/secrets`, `dev/variables/matrix`, …, and waits until it is there. */
  async open(view) {
    await this.page.evaluate((hash) => { location.hash = hash; }, `#/${view}`);
    const [environment, tree] = view.split("/");
    await this.page.waitForFunction((begin) => document.title.startsWith(begin), `${environment} ${tree} `);
    await this.ready();
  }

  /** Waits until what is looked at is there. */
  async ready() {
    await this.page.waitForFunction(() => {
      const main = document.querySelector("main");
      return main && !main.matches('[aria-busy="true"]') && !main.querySelector('[aria-busy="true"], .skeleton');
    });
  }

  /** Waits until what changed has been drawn. */
  async painted() {
    await this.page.evaluate(() => new Promise((go) => { requestAnimationFrame(() => requestAnimationFrame(go)); }));
    await this.page.waitForFunction(() => document.getAnimations().every((one) => one.playState !== "running" || one.effect.getComputedTiming().iterations === Infinity));
  }

  /** The row of a key, or of a prefix that ends with `/`. */
  row(key) {
    const text = key.replace(/[^ !#-[\]-~]/gu, (character) => `\\${character.codePointAt(0).toString(16)} `);
    return this.page.locator(`[role="row"][data-path="${text}"]`);
  }

  /** The dialog that is open. */
  get dialog() {
    return this.page.locator("dialog[open]");
  }

  /** A button of the open dialog. */
  button(name) {
    return this.dialog.getByRole("button", { name, exact: true });
  }

  /** Waits until no dialog is there. */
  async closed() {
    await this.page.locator("dialog[open]").waitFor({ state: "detached" });
  }

  echo(...given) {
    return this.kit.echo(...given);
  }

  /** That an answer with this status comes, from a path that has this in it. A test whose expected answer never came fails. */
  expects(status, where = "") {
    this.#watch.expects(status, where);
  }

  /** That the page may be left while it warns of unsaved input: gives the number of warnings up to now. */
  get warnings() {
    return this.#watch.warnings;
  }

  /** What is in answers up to now, as text. */
  get heard() {
    return this.#watch.heard;
  }

  /** Holds a finger on an element until the page has had time to see it. */
  async longPress(locator) {
    const box = await locator.boundingBox();
    const at = { x: box.x + Math.min(box.width / 2, 60), y: box.y + box.height / 2 };
    const session = await this.page.context().newCDPSession(this.page);
    await session.send("Emulation.setTouchEmulationEnabled", { enabled: true, maxTouchPoints: 1 });
    await session.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [at] });
    return async () => {
      await session.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
      await session.send("Emulation.setTouchEmulationEnabled", { enabled: false });
      await session.detach();
    };
  }

  /** What is wrong with the tab now. */
  async troubles() {
    await this.#watch.settle();
    const { page, kit } = this;
    const found = [...this.#watch.troubles];
    for (const [place, text] of await inDocument(page)) {
      const what = kit.secrets.findIn(text);
      if (what) found.push(`${what} is in ${place}`);
    }
    for (const [place, text] of await inStorage(page)) {
      const what = kit.secrets.findIn(text);
      if (what) found.push(`${what} is in ${place}`);
    }
    return found;
  }

  /** Takes away what the page stored, which the next test's would find. */
  async clear() {
    await this.page.evaluate(() => localStorage.clear());
    await this.page.context().clearCookies();
  }

  /** The end of a test: closes it, if nothing is wrong with it. */
  async finish() {
    if (this.page.isClosed()) return;
    let troubles;
    try {
      troubles = await this.troubles();
      await this.clear();
    } finally {
      await this.page.close();
    }
    assert.deepEqual(troubles, [], "the page is not as every page must be");
  }

  /** The end of a test that failed: says what else was seen, and keeps a picture where one is wanted. */
  async abandon(error) {
    const troubles = this.#watch.troubles;
    if (troubles.length > 0) error.message += `\nand the tab: ${troubles.join("\n  ")}`;
    const place = process.env.KEYFS_BROWSER_PICTURES;
    if (place) await this.page.screenshot({ path: path.join(place, `failed-${process.pid}-${Date.now()}.png`) }).catch(() => {});
    await this.page.close().catch(() => {});
  }
}
