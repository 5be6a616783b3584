// The pictures of docs/dashboard.md. They are taken at each run, so that they can be, and kept with KEYFS_SCREENSHOTS=1.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { start } from "./kit.mjs";
import { call, seed } from "./scenes.mjs";

const kit = await start({ seed, at: "/mnt/keys", planted: false });
const IMAGES = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "../../docs/images");

async function picture(tab, name) {
  await tab.page.mouse.move(0, 0);
  await tab.painted();
  const image = await tab.page.screenshot({ animations: "disabled", caret: "hide" });
  assert.ok(image.length > 10_000 && image.length < 200_000, `${image.length} bytes`);
  if (process.env.KEYFS_SCREENSHOTS) await writeFile(path.join(IMAGES, `dashboard-${name}.png`), image);
}

kit.test("the list of secrets", { open: "dev/secrets", size: { width: 1280, height: 640 } }, async (tab) => {
  await tab.page.getByRole("button", { name: /expand|unfold|open all/i }).first().click();
  await tab.row("db/password").getByText("payments").waitFor();
  await tab.page.locator('.connection[data-state="live"]').waitFor();
  await picture(tab, "secrets");
});

kit.test("the form of a secret", { open: "dev/secrets", size: { width: 1280, height: 860 }, scheme: "dark" }, async (tab) => {
  await call(tab, "form.js", "openEdit", "db/password");
  await picture(tab, "edit");
});

kit.test("variables across environments", { open: "dev/variables/matrix", size: { width: 1280, height: 640 } }, async (tab) => {
  await tab.page.getByText("debug").first().waitFor();
  await picture(tab, "matrix");
});
