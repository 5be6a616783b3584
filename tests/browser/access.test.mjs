// For everybody: what axe finds, the colours' contrast, and the keyboard alone.

import assert from "node:assert/strict";
import { AxeBuilder } from "@axe-core/playwright";
import { start } from "./kit.mjs";
import { SCENES, seed } from "./scenes.mjs";

const kit = await start({ seed });

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** What axe has to say of what is shown. */
async function complaints(tab) {
  const axe = new AxeBuilder({ page: tab.page }).withTags(TAGS).options({ runOnly: TAGS, rules: { "target-size": { enabled: true } } }).setLegacyMode();
  const { violations } = await axe.analyze();
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")}: ${node.failureSummary.replace(/\s+/g, " ")}`));
}

for (const [name, show] of Object.entries(SCENES)) {
  kit.test(`axe finds nothing in ${name}`, { open: "dev/secrets" }, async (tab) => {
    await show(tab);
    const found = [];
    for (const [width, height, scheme] of [[1280, 800, "light"], [1280, 800, "dark"], [360, 740, "dark"], [3840, 2160, "light"]]) {
      await tab.page.setViewportSize({ width, height });
      await tab.page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await tab.painted();
      for (const what of await complaints(tab)) found.push(`${scheme}, ${width} wide: ${what}`);
    }
    assert.deepEqual(found, []);
  });
}

kit.test("axe is heard when something is wrong", { open: "dev/variables" }, async (tab) => {
  await tab.page.evaluate(() => document.querySelector("#view").append(document.createElement("button")));
  assert.match((await complaints(tab)).join("\n"), /button-name/);
});

/** Which colours stand on which, and the contrast that each needs: text 4.5, what is drawn 3. */
const PAIRS = [
  ["text", "background", 4.5], ["text", "surface", 4.5], ["text", "raised", 4.5], ["text", "hover", 4.5],
  ["muted", "background", 4.5], ["muted", "surface", 4.5], ["muted", "raised", 4.5],
  ["accent", "surface", 4.5], ["on-accent", "accent", 4.5], ["on-accent", "accent-strong", 4.5],
  ["danger", "surface", 4.5], ["danger", "danger-faint", 4.5], ["warning", "surface", 4.5], ["text", "chosen", 4.5], ["text", "flash", 4.5], ["text", "added", 4.5], ["text", "removed", 4.5], ["text", "warning-faint", 4.5], ["on-danger", "danger", 4.5], ["control-line", "surface", 3], ["focus", "surface", 3], ["ok", "surface", 3],
];

for (const scheme of ["light", "dark"]) {
  kit.test(`the ${scheme} colours can be told from what they stand on`, { open: "dev/secrets", scheme }, async (tab) => {
    const low = await tab.page.evaluate((pairs) => {
      const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
      const root = getComputedStyle(document.documentElement);
      const light = (name) => {
        const colour = root.getPropertyValue(`--${name}`).trim();
        if (colour === "") return NaN;
        const probe = document.createElement("i");
        probe.style.setProperty("color", `var(--${name})`);
        document.body.append(probe);
        canvas.fillStyle = getComputedStyle(probe).color;
        probe.remove();
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      return pairs.map(([one, other, least]) => {
        const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
        return { pair: `${one} on ${other}`, contrast: (high + 0.05) / (low + 0.05), least };
      }).filter(({ contrast, least }) => !(contrast >= least));
    }, PAIRS);
    assert.deepEqual(low, []);
  });
}

kit.test("nothing moves by itself for whoever wants no motion", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  const row = tab.row("web/log_level");
  await row.locator(".value").waitFor();
  const moving = async (reducedMotion) => {
    await page.emulateMedia({ reducedMotion });
    await tab.echo("dev/variables/web/log_level", `${reducedMotion}\n`);
    await page.locator('.row.flash[data-path="web/log_level"]').waitFor();
    return page.evaluate(() => document.getAnimations().length);
  };
  assert.equal(await moving("reduce"), 0);
  await page.locator('.row.flash[data-path="web/log_level"]').waitFor({ state: "detached" });
  assert.notEqual(await moving("no-preference"), 0);
});

kit.test("a key is added, changed and deleted by the keyboard alone", { open: "dev/variables" }, async (tab) => {
  const { page } = tab;
  const keys = async (...names) => { for (const name of names) await page.keyboard.press(name); };
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.dataset.path || document.activeElement.textContent.trim());
  /** Presses Tab until the focus is there. */
  const reach = async (where) => {
    for (let step = 0; step < 80; step += 1) {
      if (await page.evaluate((selector) => document.activeElement.matches(selector), where)) return;
      await keys("Tab");
    }
    throw new Error(`Tab never came to ${where}`);
  };
  await reach("#add-new");
  await keys("Enter");
  await tab.dialog.waitFor();
  assert.equal(await focused(), "key");
  await page.keyboard.type("web/added");
  await reach("#value, textarea");
  await page.keyboard.type("first");
  await keys("Control+Enter");
  if (await tab.dialog.count()) {
    await reach('button[type="submit"]');
    await keys("Enter");
  }
  await tab.closed();
  assert.equal(await focused(), "add-new");
  assert.equal(await tab.kit.dt(["kv", "get", "web/added"]), "first");

  await reach('[role="row"]');
  await page.keyboard.type("web");
  await page.locator('[role="row"][data-path="web/"]:focus').waitFor();
  if ((await tab.row("web/").getAttribute("aria-expanded")) === "false") await keys("ArrowRight");
  await tab.row("web/added").waitFor();
  await keys("ArrowDown");
  await page.locator('[role="row"][data-path="web/added"]:focus').waitFor();
  await keys("Shift+F10");
  await page.getByRole("menu").waitFor();
  await keys("Enter"); // Edit is the first
  await tab.dialog.waitFor();
  await reach("#value, textarea");
  await keys("Control+a");
  await page.keyboard.type("second");
  await reach('button[type="submit"]');
  await keys("Enter");
  await tab.dialog.getByRole("button", { name: "Save", exact: true }).waitFor();
  await reach('dialog button[type="submit"]');
  await keys("Enter");
  await tab.closed();
  assert.equal(await focused(), "web/added");
  assert.equal(await tab.kit.dt(["kv", "get", "web/added"]), "second");

  await keys("Delete");
  await tab.dialog.waitFor();
  await tab.page.locator(".removal-list").waitFor();
  await reach("dialog .button.danger");
  await keys("Enter");
  await tab.closed();
  await tab.row("web/added").waitFor({ state: "detached" });
  assert.match(await focused(), /^web\//);
});
