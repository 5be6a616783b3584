// How much goes over the wire, and how it goes with 10,000 and 100,000 keys. Times are printed and never judged: they are the machine's.

import assert from "node:assert/strict";
import { start } from "./kit.mjs";

/** What a transaction takes at most is 16,000 names, directories included. */
const PART = 10_000;

/** How many there are where there are many; a machine that is slow may be spared some. */
const MANY = Number(process.env.KEYFS_BROWSER_KEYS ?? 100_000);
const MANY_IN_WORDS = MANY.toLocaleString("en");
const LAST = String(MANY - 1).padStart(6, "0");

/** So many variables in an environment, in parts of one step each. */
async function fill(kit, environment, number) {
  for (let from = 0; from < number; from += PART) {
    const keys = {};
    for (let at = from; at < from + PART; at += 1) {
      const [team, service, setting] = [Math.floor(at / 1000), at % 50, at].map((n, place) => String(n).padStart([3, 2, 6][place], "0"));
      keys[`team-${team}/service-${service}/setting_${setting}`] = `value ${at}`;
    }
    await kit.dt(["kv", "import", "-e", environment, "--format", "json", "--yes", "-"], { input: JSON.stringify(keys) });
  }
}

const kit = await start({
  seed: async (kit) => {
    const begun = performance.now();
    await Promise.all([fill(kit, "dev", 10_000), fill(kit, "pre", MANY)]);
    console.log(`# ${MANY_IN_WORDS} and 10,000 keys were stored in ${Math.round((performance.now() - begun) / 1000)} s`);
  },
});

const ms = (number) => `${Math.round(number)} ms`;

/** The middle, the worst twentieth and the worst of some times. */
function spread(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
  return `median ${at(0.5).toFixed(1)} ms, 95 % below ${at(0.95).toFixed(1)} ms, longest ${at(1).toFixed(1)} ms`;
}

kit.test("the page is below 150 kB over the wire", { open: "dev/secrets" }, async (tab) => {
  const session = await tab.page.context().newCDPSession(tab.page);
  let bytes = 0, files = 0;
  const paths = new Map();
  session.on("Network.responseReceived", ({ requestId, response }) => paths.set(requestId, new URL(response.url).pathname));
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (!/^\/(page\/.*)?$/.test(paths.get(requestId) ?? "")) return;
    bytes += encodedDataLength;
    files += 1;
  });
  await session.send("Network.enable");
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  const counted = (when) => { console.log(`# the page, ${when}: ${files} files, ${(bytes / 1000).toFixed(1)} kB over the wire, headers included`); return bytes; };
  await tab.page.reload();
  await tab.page.locator("#add-new").waitFor();
  await tab.ready();
  await tab.page.waitForFunction(() => document.readyState === "complete");
  counted("as it opens");
  await tab.page.evaluate(() => Promise.all(["form", "remove", "history", "removed", "matrix", "copy", "import", "export"].map((name) => import(`/page/${name}.js`))));
  const all = counted("with every view and dialog");
  assert.ok(files > 20, `only ${files} files`);
  assert.ok(all < 150_000, `${all} bytes`);
});

kit.test("10,000 keys: a table, and rows of it alone", { open: "pre/secrets" }, async (tab) => {
  await tab.page.evaluate(() => { window.begun = performance.now(); location.hash = "#/dev/variables"; });
  const took = await tab.page.evaluate(() => new Promise((done) => {
    const look = () => (document.querySelector(".row[data-path^='team-']") ? done(performance.now() - window.begun) : requestAnimationFrame(look));
    look();
  }));
  const fetched = await tab.page.evaluate(() => performance.getEntriesByType("resource").filter(({ name }) => /api\/keys.*dev/.test(name)).at(-1)?.duration);
  console.log(`# 10,000 keys: the first table after ${ms(took)}, its keys after ${ms(fetched ?? NaN)}`);
  await tab.page.getByText("10,000 keys").first().waitFor();
});

kit.test(`${MANY_IN_WORDS} keys: few rows in the page, wherever it is scrolled to`, { open: "pre/secrets" }, async (tab) => {
  const { page } = tab;
  const rows = () => page.locator(".grid .row").count();
  await tab.open("pre/variables");
  await page.getByText(`${MANY_IN_WORDS} keys`).first().waitFor();
  await page.getByRole("radio", { name: "Flat" }).check();
  await page.locator(".row[data-path*='setting_']").first().waitFor();
  const seen = [await rows()];

  const frames = await page.evaluate(async () => {
    const grid = document.querySelector(".grid");
    const times = [];
    let last = await new Promise(requestAnimationFrame);
    for (let step = 0; step < 120; step += 1) {
      grid.scrollTop += step % 40 === 39 ? grid.scrollHeight / 5 : 300;
      const now = await new Promise(requestAnimationFrame);
      times.push(now - last);
      last = now;
    }
    return times;
  });
  seen.push(await rows());
  console.log(`# ${MANY_IN_WORDS} keys, frames while scrolling: ${spread(frames)}`);

  const timed = async (what, act, done) => {
    const begun = performance.now();
    await act();
    await done();
    console.log(`# ${MANY_IN_WORDS} keys, ${what}: ${ms(performance.now() - begun)}`);
    seen.push(await rows());
  };
  const filter = page.getByLabel("Filter keys");
  await timed("a filter", () => filter.fill(`setting_${LAST.slice(0, 5)}`), () => page.getByText(`10 of ${MANY_IN_WORDS} keys`).waitFor());
  await timed("no filter", () => filter.fill(""), () => page.locator(".count").getByText(`${MANY_IN_WORDS} keys`, { exact: true }).waitFor());
  await timed("the order of keys turned round", () => page.getByRole("columnheader", { name: /key/i }).getByRole("button").click(), () => page.locator(".row[data-path*='setting_" + LAST.slice(0, 4) + "']").first().waitFor());
  await timed("an expression that the mount answers", () => filter.fill("version = 2"), () => page.getByText("No key matches").waitFor());
  await filter.fill("");
  await page.locator(".grid .row").first().waitFor();
  await page.evaluate(() => { const grid = document.querySelector(".grid"); grid.scrollTop = grid.scrollHeight; });
  await tab.painted();
  seen.push(await rows());
  assert.ok(Math.max(...seen) < 120, `there were ${seen} rows in the page`);
});
