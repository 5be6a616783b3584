// What the tests of the view across environments, of copying, import and export share: files of the mount, and what is shown.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { run, until } from "./kit.mjs";

/** Files of the kit's mount, as root in no group but its own: `put`, `read` (null where none is), `sh` and `dt`. */
export function files(kit) {
  const keys = kit.mount.keys;
  const at = (file) => path.join(keys, file);
  const put = (file, value) => {
    mkdirSync(path.dirname(at(file)), { recursive: true });
    writeFileSync(at(file), value);
  };
  const read = (file) => {
    try {
      return readFileSync(at(file), "utf8");
    } catch (error) {
      if (error.code === "ENOENT") return null;
      throw error;
    }
  };
  const sh = (command, { as = "root" } = {}) => {
    const own = as === "root" ? [] : ["setpriv", "--reuid", as, "--regid", as, "--init-groups", "--"];
    const [program, ...argv] = [...own, "sh", "-e", "-c", command];
    const bin = path.join(process.env.KEYFS_BROWSER_PLACE, "bin");
    return execFileSync(program, argv, { cwd: keys, encoding: "utf8", env: { ...process.env, KEYFS_MOUNT: keys, PATH: `${bin}:${process.env.PATH}` } });
  };
  const dt = (argv, input = "") => run("root", ["dt", ...argv], { env: { KEYFS_MOUNT: keys }, input });
  return { put, read, sh, dt };
}

/** What an element says, on one line. */
export const says = async (locator) => (await locator.innerText()).replace(/\s+/g, " ").trim();

/** Waits until an element says it. */
export const is = (locator, pattern) => until(async () => pattern.test(await says(locator)), String(pattern));

/** What is in the rows of a preview, each on one line. */
export const planned = (dialog) => dialog.locator(".plan-row").evaluateAll((all) => all.map((row) => row.innerText.replace(/\s+/g, " ").trim()));

/** Waits until a preview has these rows. */
export const plans = (dialog, rows) => until(async () => JSON.stringify(await planned(dialog)) === JSON.stringify(rows), rows.join("; "));
