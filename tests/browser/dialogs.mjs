// What the tests of the dialogs share: the dialogs by their names, and what stands in them.

import { run, start } from "./kit.mjs";
import { Mount } from "./system.mjs";

/** One browser for a file's tests; each has a mount of its own. */
const kit = await start({ mount: false });

/** A secret that must be found nowhere: not in an answer, the page, its storage, nor the browser's profile. */
export const secret = (word) => kit.secret(word);

/**
 * A tab of `user`'s on a new mount, at an environment and a tree. `as` runs a program as somebody, `dt` is `dt kv`. `alone` is for
 * what changes the whole browser, such as its clock.
 */
export async function look(t, { user = "alice", tree = "variables", environment = "dev", alone = false, ...options } = {}) {
  const browser = alone ? await kit.launch() : kit.browser;
  const mount = await Mount.start();
  t.after(() => mount.end());
  const dashboard = await mount.dashboard(user);
  const tab = await kit.tab({ ...options, browser, dashboard, open: `${environment}/${tree}` });
  // Before the mount ends: what is wrong with the tab is a failure of the test.
  t.after(() => tab.finish());
  const as = (who, argv) => run(who, argv);
  const dt = (who, ...words) => mount.dt(["kv", ...words], { as: who });
  return { tab, page: tab.page, as, dt, mount: mount.keys, dashboard };
}

/** Opens a dialog by the page's own function, as a menu does. */
export async function call(page, file, name, ...given) {
  await page.evaluate(([file, name, given]) => { import(`/page/${file}`).then((module) => module[name](...given)); }, [file, name, given]);
}

export async function add(page, given = {}) {
  await call(page, "form.js", "openAdd", given);
  await page.locator("dialog #key").waitFor();
}

export async function edit(page, key, given = {}) {
  await call(page, "form.js", "openEdit", key, given);
  await page.locator("dialog .form-about").waitFor();
}

export const inDialog = (page) => page.locator("dialog[open]");

export const button = (page, name) => inDialog(page).getByRole("button", { name, exact: true });

export async function closed(page) {
  await page.locator("dialog").waitFor({ state: "detached" });
}

/** The text below a field that says what is wrong with it, "" if nothing is. */
export async function wrong(page, field) {
  const error = page.locator(`#${field}-error`);
  return (await error.isVisible()) ? (await error.innerText()).trim() : "";
}

/** Adds a group to the open form, by the keyboard, and gives it rights by a preset. */
export async function grant(page, name, preset) {
  await page.fill("#permissions-add", name);
  await page.locator("#permissions-add").press("Enter");
  if (preset) await page.getByLabel(`group ${name}: preset`).selectOption({ label: preset });
}
