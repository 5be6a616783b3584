// What there is to be looked at: every view and dialog of the page, on a mount with realistic keys in it.

/** Keys as a small company has them. Secrets have values that are looked for everywhere. */
export async function seed(kit) {
  const variables = {
    "billing/currency": "EUR\n", "billing/retries": "5\n", "billing/timeout_seconds": "30\n", "web/log_level": "info\n",
    "web/feature_flags.json": '{\n  "new_checkout": true,\n  "beta": false\n}\n', "web/public_url": "https://shop.example.com\n", "worker/concurrency": "8\n",
  };
  for (const environment of ["dev", "pre", "prod"]) {
    for (const [key, value] of Object.entries(variables)) {
      if (environment === "prod" && key === "worker/concurrency") continue;
      const differs = key === "web/log_level" && environment !== "dev" ? "warning\n" : value;
      await kit.echo(`${environment}/variables/${key}`, differs, { groups: "payments:rw" });
    }
    for (const [key, groups] of [["billing/api_key", "payments:rw"], ["billing/webhook_secret", "payments:r"], ["db/password", "payments:rw,analysts:r"], ["db/replica/password", "payments:r,analysts:r"], ["smtp/password", "ops:rw,payments:r"]]) {
      if (environment === "pre" && key === "smtp/password") continue;
      await kit.echo(`${environment}/secrets/${key}`, kit.secret(`${environment} ${key}`), { groups });
    }
  }
  await kit.echo("dev/variables/web/log_level", "debug\n", { as: "carol" });
  await kit.echo("dev/secrets/db/old_password", kit.secret("an expired secret"), { groups: "payments:r", expires: "2020-01-01T00:00:00Z" });
  await kit.echo("dev/variables/gone/key", "1\n");
  await kit.sh("rm dev/variables/gone/key; rmdir dev/variables/gone");
}

/** Calls what a file of the page gives, as its menus do. */
export async function call(tab, file, name, ...given) {
  await tab.page.evaluate(([file, name, given]) => { import(`/page/${file}`).then((module) => module[name](...given)); }, [file, name, given]);
  await tab.dialog.waitFor();
  await tab.ready();
}

/** The form of a variable in which something is typed. */
async function typed(tab, key = "web/log_level") {
  await tab.open("dev/variables");
  await call(tab, "form.js", "openEdit", key);
  await tab.page.locator("#value").fill("trace");
}

const dialog = (view, ...given) => async (tab) => { await tab.open(view); await call(tab, ...given); };

/** Each by its name: how to come there. */
export const SCENES = {
  "the secrets": (tab) => tab.open("dev/secrets"),
  "the variables": (tab) => tab.open("dev/variables"),
  "the variables of prod": (tab) => tab.open("prod/variables"),
  "a filter that is wrong": async (tab) => {
    await tab.open("dev/variables");
    tab.expects(422, "/api/select");
    await tab.page.getByLabel("Filter keys").fill("version >> 3 and");
    await tab.page.locator('[name="filter"][aria-invalid="true"]').waitFor();
  },
  "a row's menu": async (tab) => {
    await tab.open("dev/variables");
    await tab.row("billing/").click({ button: "right" });
    await tab.page.getByRole("menu").waitFor();
  },
  "secrets across environments": (tab) => tab.open("dev/secrets/matrix"),
  "variables across environments": (tab) => tab.open("dev/variables/matrix"),
  "removed keys": (tab) => tab.open("dev/variables/removed"),
  "adding a secret": dialog("dev/secrets", "form.js", "openAdd", {}),
  "adding a variable": dialog("dev/variables", "form.js", "openAdd", {}),
  "editing a secret": dialog("dev/secrets", "form.js", "openEdit", "db/password"),
  "editing a variable of prod": dialog("prod/variables", "form.js", "openEdit", "web/log_level"),
  "deleting a prefix": dialog("dev/secrets", "remove.js", "openRemove", { prefix: "db" }),
  "deleting in prod": dialog("prod/variables", "remove.js", "openRemove", { keys: ["web/log_level"] }),
  "a history": dialog("dev/variables", "history.js", "openHistory", "web/log_level"),
  "copying": dialog("dev/variables", "copy.js", "openCopy", { keys: ["web/log_level", "billing/retries"] }),
  "importing": dialog("dev/variables", "import.js", "openImport", { text: "CURRENCY=USD\nNEW_KEY=1\n" }),
  "importing what can't all be": dialog("dev/variables", "import.js", "openImport", { text: '{"web": "1", "web/log_level": "info", "new": 2, "none": null}' }),
  "a change that is reviewed": async (tab) => {
    await typed(tab);
    await tab.button("Review change").click();
    await tab.dialog.locator(".diff").waitFor();
  },
  "a conflict": async (tab) => {
    // Each time another value, or there is nothing to be told.
    const { version } = await tab.page.evaluate(() => ({ version: performance.now() }));
    await typed(tab, "billing/retries");
    await tab.echo("dev/variables/billing/retries", `${version}\n`, { as: "carol" });
    await tab.button("See what changed").click();
    await tab.dialog.locator(".conflict").waitFor();
  },
  "input that isn't saved": async (tab) => {
    await typed(tab);
    await tab.page.keyboard.press("Escape");
    await tab.button("Keep editing").waitFor();
  },
  "a draft that is offered": async (tab) => {
    await typed(tab);
    await tab.page.keyboard.press("Escape");
    await tab.button("Close, keep as draft").click();
    await tab.closed();
    await call(tab, "form.js", "openEdit", "web/log_level");
    await tab.button("Continue with it").waitFor();
  },
  "a form that is wrong": async (tab) => {
    await tab.open("prod/secrets");
    await call(tab, "form.js", "openAdd", {});
    await tab.button("Save").click();
    await tab.page.locator('#key[aria-invalid="true"]').waitFor();
  },
  "a cell that is edited": async (tab) => {
    await tab.open("dev/variables/matrix");
    await tab.page.locator('.matrix-row[data-key="billing/currency"] [data-column="1"]').dblclick();
    await tab.page.locator(".matrix-input").waitFor();
  },
  "a rollback that is asked": async (tab) => {
    await tab.open("dev/variables");
    await call(tab, "history.js", "openHistory", "web/log_level");
    await tab.button("Roll back to version 1").click();
    await tab.dialog.locator(".log-question").waitFor();
  },
  "an offer to undo": async (tab) => {
    await tab.open("dev/variables");
    await tab.page.evaluate(() => import("/page/toast.js").then(({ toast }) => toast("Deleted web/log_level from dev.", { action: { label: "Undo", run: () => {} } })));
    await tab.page.locator(".toast").getByRole("button", { name: "Undo" }).waitFor();
  },
  "a session that has ended": async (tab) => {
    await tab.open("dev/variables");
    await tab.page.evaluate(() => import("/page/renew.js").then(({ askForLink }) => askForLink()));
    await tab.dialog.getByRole("textbox", { name: "Link" }).waitFor();
  },
  "exporting": dialog("dev/variables", "export.js", "openExport", {}),
};
