// Add New and Edit: what is stored, what is refused and where that is said, and that a secret is write-only.

import assert from "node:assert/strict";
import { test } from "node:test";
import { add, button, closed, edit, grant, inDialog, look, secret, wrong } from "./dialogs.mjs";

test("Add New stores a key with its hierarchy, value and group permissions", async (t) => {
  const { page, dt } = await look(t, { tree: "secrets" });
  await page.click("#add-new");
  await page.locator("#key:focus").waitFor();
  await page.fill("#key", "db/main/password");
  await page.fill("#value", "planted-1");
  await grant(page, "analysts", "Viewer");
  await grant(page, "payments", "Full access");
  await grant(page, "rotators", "Editor");
  await button(page, "Save").click();
  await closed(page);
  assert.equal(await dt("bob", "get", "-s", "db/main/password"), "planted-1");
  const acls = (await dt("alice", "acls", "-s", "db/main/password")).trim().split("\n").sort();
  assert.deepEqual(acls, ["group\tanalysts\tr", "group\tpayments\trw", "group\trotators\tw", "owner\talice\trw"]);
  assert.equal(await page.evaluate(() => document.activeElement.id), "add-new");
  assert.match(await page.locator(".toast").first().innerText(), /Added db\/main\/password in dev \(version 1\)/);
});

test("ticks and presets are two names for the same", async (t) => {
  const { page } = await look(t, { tree: "secrets" });
  await add(page);
  await grant(page, "payments");
  const preset = page.getByLabel("group payments: preset"), read = page.getByLabel("group payments: read"), write = page.getByLabel("group payments: write");
  const shown = async () => [await preset.inputValue(), await read.isChecked(), await write.isChecked()];
  assert.deepEqual(await shown(), ["r", true, false]);
  await write.check();
  assert.deepEqual(await shown(), ["rw", true, true]);
  await read.uncheck();
  assert.deepEqual(await shown(), ["w", false, true]);
  await preset.selectOption("rw");
  assert.deepEqual(await shown(), ["rw", true, true]);
});

test("one value goes to several environments at once, and prod takes a tick of its own", async (t) => {
  const { page, dt } = await look(t);
  await add(page);
  await page.fill("#key", "config/url");
  await page.fill("#value", "https://x");
  await inDialog(page).getByLabel("prod", { exact: true }).check();
  const sure = page.getByLabel("Yes, I mean prod");
  assert.equal(await sure.isChecked(), false);
  await button(page, "Save").click();
  assert.match(await wrong(page, "environment"), /prod/);
  assert.equal(await sure.evaluate((element) => element === document.activeElement && element.getAttribute("aria-invalid")), "true");
  await sure.check();
  await button(page, "Save").click();
  await closed(page);
  for (const environment of ["dev", "prod"]) assert.equal(await dt("alice", "get", "-e", environment, "config/url"), "https://x");
});

test("an environment that was protected when it was chosen asks again when it is chosen again", async (t) => {
  const { page } = await look(t);
  await add(page);
  const prod = inDialog(page).getByLabel("prod", { exact: true });
  await prod.check();
  await page.getByLabel("Yes, I mean prod").check();
  await prod.uncheck();
  await prod.check();
  assert.equal(await page.getByLabel("Yes, I mean prod").isChecked(), false);
});

test("a value has many lines, or is a file with its very bytes", async (t) => {
  const { page, as, dt, mount } = await look(t);
  await add(page);
  await page.fill("#key", "text");
  await page.getByLabel("Many lines").check();
  await page.fill("#value", "one\ntwo\n");
  await button(page, "Save").click();
  await closed(page);
  assert.equal(await dt("alice", "get", "--raw", "text"), "one\ntwo\n");
  await add(page);
  await page.fill("#key", "bytes");
  await page.getByLabel("A file").check();
  await page.setInputFiles("dialog input[type=file]", { name: "b.bin", mimeType: "application/octet-stream", buffer: Buffer.from([0, 255, 13, 10]) });
  await page.getByText("4 bytes, not text").waitFor();
  await button(page, "Save").click();
  await closed(page);
  assert.equal((await as("alice", ["od", "-An", "-tu1", `${mount}/dev/variables/bytes`])).trim().replace(/ +/g, " "), "0 255 13 10");
});

test("what is pasted with several lines keeps them", async (t) => {
  const { page } = await look(t);
  await add(page);
  await page.locator("#value").evaluate((field) => {
    const data = new DataTransfer();
    data.setData("text/plain", "a\r\nb");
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await page.locator("textarea#value").waitFor();
  assert.equal(await page.inputValue("#value"), "a\nb");
  assert.equal(await page.getByLabel("One line").isDisabled(), true);
});

test("a key that is there is refused and not overwritten, and is opened for editing from there", async (t) => {
  const { page, dt } = await look(t);
  await dt("alice", "put", "config/retries", "5");
  await add(page);
  await page.fill("#key", "config/retries");
  await page.fill("#value", "6");
  await page.getByText("There is already a variable config/retries in dev").waitFor();
  await button(page, "Save").click();
  assert.equal(await page.locator("#key").getAttribute("aria-invalid"), "true");
  assert.equal(await dt("alice", "get", "config/retries"), "5");
  await button(page, "Open it for editing").click();
  await page.locator(".form-about").waitFor();
  assert.equal(await page.inputValue("#value"), "5");
});

test("a key that somebody else makes between looking and saving is not overwritten either", async (t) => {
  const { page, dt, tab } = await look(t);
  tab.expects(409, "/api/put");
  await add(page);
  await page.fill("#key", "race");
  await page.fill("#value", "mine");
  await page.route("**/api/put", async (route) => {
    await dt("alice", "put", "race", "theirs");
    await route.continue();
  }, { times: 1 });
  await button(page, "Save").click();
  await page.locator("#key[aria-invalid=true]").waitFor();
  assert.match(await wrong(page, "key"), /race/);
  assert.equal(await dt("alice", "get", "race"), "theirs");
  assert.equal(await page.inputValue("#value"), "mine");
});

test("wrong input is marked at its field before it is sent, and the first such field gets the focus", async (t) => {
  const { page } = await look(t, { tree: "secrets" });
  let sent = 0;
  page.on("request", (request) => { if (request.url().endsWith("/api/put")) sent += 1; });
  await add(page);
  await page.fill("#key", "/db");
  await page.locator("#key").press("Tab");
  assert.match(await wrong(page, "key"), /does not begin with \//);
  await page.fill("#permissions-add", "nobodys");
  await page.locator("#permissions-add").press("Tab");
  assert.match(await wrong(page, "permissions"), /no group “nobodys”/);
  await button(page, "Save").click();
  assert.equal(await page.evaluate(() => document.activeElement.id), "key");
  assert.match(await wrong(page, "value"), /Enter the secret/);
  for (const field of ["key", "value"]) {
    const described = await page.locator(`#${field}`).getAttribute("aria-describedby");
    assert.ok(described.split(" ").includes(`${field}-error`), described);
  }
  assert.equal(sent, 0);
});

test("what only the server knows to be wrong is marked at its field too", async (t) => {
  const { page, dt, tab } = await look(t, { environment: "pre" });
  tab.expects(422, "/api/put");
  await dt("alice", "put", "-e", "dev", "db", "1");
  await add(page);
  await page.fill("#key", "db/host");
  await inDialog(page).getByLabel("pre", { exact: true }).uncheck();
  await inDialog(page).getByLabel("dev", { exact: true }).check();
  await page.fill("#value", "x");
  await button(page, "Save").click();
  await page.locator("#key[aria-invalid=true]").waitFor();
  assert.match(await wrong(page, "key"), /db/);
});

test("directories that are there are suggested, and taken by the keyboard", async (t) => {
  const { page, dt } = await look(t);
  for (const key of ["app/db/host", "app/db/port", "app/url", "zoo"]) await dt("alice", "put", key, "1");
  await add(page);
  await page.locator("#key").pressSequentially("ap");
  const options = page.locator("#key-list [role=option]");
  await options.first().waitFor();
  assert.deepEqual(await options.allInnerTexts(), ["app/\n3 keys"]);
  await page.locator("#key").press("ArrowDown");
  assert.equal(await page.locator("#key").getAttribute("aria-activedescendant"), "key-list-0");
  await page.locator("#key").press("Enter");
  assert.equal(await page.inputValue("#key"), "app/");
  await page.locator("#key").press("ArrowDown");
  assert.deepEqual(await options.allInnerTexts(), ["app/db/\n2 keys"]);
  await page.locator("#key").press("Escape");
  assert.equal(await options.count(), 0);
  assert.equal(await page.locator("dialog").count(), 1);
});

test("groups of the system are suggested, with who is in them", async (t) => {
  const { page } = await look(t, { tree: "secrets" });
  await add(page);
  await page.locator("#permissions-add").pressSequentially("analy");
  const option = page.locator("#permissions-add-list [role=option]").first();
  await option.waitFor();
  assert.match(await option.innerText(), /analysts\s+bob, carol/);
  await option.click();
  await page.getByLabel("group analysts: read").waitFor();
});

test("Final permissions follow the form as it is now, by which rule, and say which directory keeps out", async (t) => {
  const { page, as, dt, mount } = await look(t, { tree: "secrets" });
  await as("alice", ["mkdir", "-m", "750", `${mount}/dev/secrets/closed`]);
  await add(page);
  await page.fill("#key", "free");
  await grant(page, "analysts", "Viewer");
  await page.getByText("Final permissions for…").click();
  await page.fill("#final-name", "bob");
  const answer = page.locator(".final-answer");
  await answer.getByText("group analysts").waitFor();
  assert.deepEqual(await page.locator(".final-line").evaluateAll((all) => all.map((line) => line.dataset.allowed)), ["true", "false"]);
  await page.getByLabel("group analysts: write").check();
  await page.locator('.final-line:nth-child(2)[data-allowed="true"]').waitFor();
  await page.getByLabel("Take out group analysts").click();
  await page.locator('.final-line:nth-child(1)[data-allowed="false"]').waitFor();
  await page.fill("#key", "closed/key");
  await answer.getByText("Kept out by what stands above").waitFor();
  assert.match(await answer.innerText(), /closed/);
  await page.getByLabel("User or group").selectOption("group");
  await page.fill("#final-name", "payments");
  await page.locator('.final-line:nth-child(1)[data-allowed="false"]').waitFor();
  await assert.rejects(dt("alice", "get", "-s", "free"), "asking stores nothing");
});

test("an expiry is stored, shown again, and taken off", async (t) => {
  const { page, dt } = await look(t);
  await add(page);
  await page.fill("#key", "token");
  await page.fill("#value", "x");
  await page.fill("#expires", "2001-01-01T10:00");
  assert.match(await wrong(page, "expires"), /has passed/);
  await page.fill("#expires", "2041-01-01T10:00");
  await button(page, "Save").click();
  await closed(page);
  assert.match(await dt("alice", "ls", "--filter", "expires is_not_null"), /token/);
  await edit(page, "token");
  assert.equal(await page.inputValue("#expires"), "2041-01-01T10:00");
  await button(page, "Never").click();
  await button(page, "Review change").click();
  await page.getByRole("heading", { name: "Expiry" }).waitFor();
  await button(page, "Save").click();
  await closed(page);
  assert.equal((await dt("alice", "ls", "--filter", "expires is_not_null")).trim(), "");
});

test("half an expiry is marked and not taken for none", async (t) => {
  const { page, dt } = await look(t);
  await add(page);
  await page.fill("#key", "token");
  await page.fill("#value", "x");
  await page.locator("#expires").focus();
  // The date without the time.
  await page.keyboard.type("01012041");
  await button(page, "Save").click();
  assert.match(await wrong(page, "expires"), /date and the time/);
  await page.locator('#expires[aria-invalid="true"]:focus').waitFor();
  await page.fill("#expires", "2041-01-01T10:00");
  await button(page, "Save").click();
  await closed(page);

  // One that is there isn't lost by taking a part of it away.
  await edit(page, "token");
  await page.locator("#expires").focus();
  await page.keyboard.press("Delete");
  await page.locator("#value").focus();
  assert.match(await wrong(page, "expires"), /date and the time/);
  await button(page, "Review change").click();
  assert.equal(await page.locator(".review").count(), 0);
  await button(page, "Never").click();
  assert.equal(await wrong(page, "expires"), "");
  await button(page, "Review change").click();
  await button(page, "Save").click();
  await closed(page);
  assert.equal((await dt("alice", "ls", "--filter", "expires is_not_null")).trim(), "");
});

test("a variable's change is shown as a diff before it is saved, and its newline stays", async (t) => {
  const { page, as, dt, mount } = await look(t);
  await as("alice", ["sh", "-c", `printf 'host: a\\nport: 1\\n' > ${mount}/dev/variables/app`]);
  await edit(page, "app");
  assert.equal(await page.inputValue("#value"), "host: a\nport: 1");
  await button(page, "Review change").click();
  await page.getByText("Nothing was changed yet.").waitFor();
  await page.fill("#value", "host: a\nport: 2\nmore: 3");
  await button(page, "Review change").click();
  await page.locator(".diff").waitFor();
  assert.equal(await dt("alice", "get", "--raw", "app"), "host: a\nport: 1\n");
  assert.deepEqual(await page.locator(".diff-line").evaluateAll((all) => all.map((line) => `${line.dataset.kind} ${line.querySelector(".diff-text").textContent}`)),
    ["same host: a", "removed port: 1", "added port: 2", "added more: 3"]);
  await button(page, "Back to the form").click();
  assert.equal(await page.inputValue("#value"), "host: a\nport: 2\nmore: 3");
  await button(page, "Review change").click();
  await button(page, "Save").click();
  await closed(page);
  assert.equal(await dt("alice", "get", "--raw", "app"), "host: a\nport: 2\nmore: 3\n");
});

test("value and permissions change in one version", async (t) => {
  const { page, dt } = await look(t);
  await dt("alice", "put", "both", "1");
  await edit(page, "both");
  await page.fill("#value", "2");
  await grant(page, "analysts", "Viewer");
  await button(page, "Review change").click();
  assert.match(await page.locator(".changes").innerText(), /group analysts: nothing → read/);
  await button(page, "Save").click();
  await closed(page);
  assert.equal(await dt("bob", "get", "both"), "2");
  assert.equal((await dt("alice", "history", "both")).trim().split("\n").length, 2);
});

test("a secret is write-only: nothing of it comes, an empty field keeps it, what is typed replaces it", async (t) => {
  const { page, dt } = await look(t, { tree: "secrets" });
  const before = secret("stored"), after = secret("typed");
  await dt("alice", "put", "-s", "password", before, "-g", "payments:rw");
  await edit(page, "password");
  assert.equal(await page.inputValue("#value"), "");
  await page.getByText("The stored value is kept.").waitFor();
  assert.equal(await page.locator("#value").evaluate((field) => getComputedStyle(field).webkitTextSecurity), "disc");
  for (const [name, value] of [["autocomplete", "off"], ["spellcheck", "false"]]) assert.equal(await page.locator("#value").getAttribute(name), value);
  await grant(page, "analysts", "Viewer");
  await button(page, "Save").click();
  await closed(page);
  assert.equal(await dt("bob", "get", "-s", "password"), before);
  await edit(page, "password");
  await page.fill("#value", after);
  await page.getByText("The stored value will be replaced.").waitFor();
  await page.getByLabel("Show what I type").check();
  assert.equal(await page.locator("#value").evaluate((field) => getComputedStyle(field).webkitTextSecurity), "none");
  await button(page, "Save").click();
  await closed(page);
  assert.equal(await dt("bob", "get", "-s", "password"), after);
});

test("a secret is emptied only by a tick of its own", async (t) => {
  const { page, dt } = await look(t, { tree: "secrets" });
  await dt("alice", "put", "-s", "password", "planted");
  await edit(page, "password");
  await page.getByLabel("Store an empty value").check();
  await page.getByText("The stored value will be emptied.").waitFor();
  await button(page, "Save").click();
  await closed(page);
  assert.equal(await dt("alice", "get", "-s", "password"), "");
});

test("a random secret is generated, and another one each time", async (t) => {
  const { page, dt } = await look(t, { tree: "secrets" });
  await add(page);
  await page.fill("#key", "random");
  await button(page, "Generate").click();
  const first = await page.inputValue("#value");
  await button(page, "Generate").click();
  const second = await page.inputValue("#value");
  assert.match(second, /^[A-Za-z0-9]{32}$/);
  assert.notEqual(first, second);
  await button(page, "Save").click();
  await closed(page);
  assert.equal(await dt("alice", "get", "-s", "random"), second);
});

test("a value that is no text is replaced by a file and not shown as text", async (t) => {
  const { page, as, dt, mount } = await look(t);
  await as("alice", ["sh", "-c", `printf '\\000\\377' > ${mount}/dev/variables/binary`]);
  await edit(page, "binary");
  assert.equal(await page.getByLabel("A file").isChecked(), true);
  await page.getByText("What is stored is no text (2 bytes)").waitFor();
  await page.setInputFiles("dialog input[type=file]", { name: "n.bin", mimeType: "application/octet-stream", buffer: Buffer.from([1, 2, 3]) });
  await page.getByText("3 bytes").waitFor();
  await button(page, "Review change").click();
  await button(page, "Save").click();
  await closed(page);
  assert.equal(await dt("alice", "get", "--raw", "binary"), "\x01\x02\x03");
});

test("who may not write a key is told so, by which rule, and changes nothing", async (t) => {
  const { page, dt } = await look(t, { user: "bob" });
  await dt("alice", "put", "theirs", "1", "-g", "analysts:r");
  await edit(page, "theirs");
  await page.getByText("You may not change this value").waitFor();
  assert.equal(await page.locator("#value").isDisabled(), true);
  assert.equal(await page.getByLabel("group analysts: read").isDisabled(), true);
});

test("a change in prod takes a tick of its own", async (t) => {
  const { page, dt } = await look(t, { environment: "prod", tree: "secrets" });
  await dt("alice", "put", "-e", "prod", "-s", "password", "planted-old");
  await edit(page, "password");
  await page.fill("#value", "planted-new");
  await button(page, "Save").click();
  assert.match(await wrong(page, "environment"), /prod/);
  assert.equal(await dt("alice", "get", "-e", "prod", "-s", "password"), "planted-old");
  await page.getByLabel("Yes, I mean prod").check();
  await button(page, "Save").click();
  await closed(page);
  assert.equal(await dt("alice", "get", "-e", "prod", "-s", "password"), "planted-new");
});

test("a key named like markup is text", async (t) => {
  const { page, dt } = await look(t);
  const key = "<img src=x onerror=alert(1)>";
  await add(page);
  await page.fill("#key", key);
  await page.fill("#value", "<script>alert(1)</script>");
  await button(page, "Save").click();
  await closed(page);
  assert.equal(await dt("alice", "get", key), "<script>alert(1)</script>");
  await edit(page, key);
  assert.equal(await page.locator("dialog h2").first().innerText(), `Edit ${key}`);
  assert.equal(await page.locator("dialog img, dialog script").count(), 0);
});

test("a group that is typed and not added keeps the form from being saved, is said at its field, and isn't lost by leaving", async (t) => {
  const { page, dt, as, mount } = await look(t, { tree: "secrets" });
  await add(page, { key: "password" });
  await page.fill("#value", secret("beside a group"));
  await page.fill("#permissions-add", "payments");
  await page.locator("#value").focus();
  assert.match(await wrong(page, "permissions"), /^“payments” is typed but not added: press Enter/);
  await button(page, "Save").click();
  assert.equal(await page.evaluate(() => document.activeElement.id), "permissions-add");
  assert.match(await wrong(page, "permissions"), /^“payments” is typed but not added: press Enter/);
  await assert.rejects(as("alice", ["test", "-e", `${mount}/dev/secrets/password`]));
  await page.keyboard.press("Enter");
  assert.equal(await wrong(page, "permissions"), "");
  await button(page, "Save").click();
  await closed(page);
  assert.match(await as("alice", ["getfacl", "-cp", `${mount}/dev/secrets/password`]), /group:payments:r/);

  await edit(page, "password");
  await page.fill("#permissions-add", "analysts");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.getByText("What you entered isn't saved.").waitFor();
  await button(page, "Close, keep as draft").click();
  await closed(page);
  await edit(page, "password");
  await button(page, "Continue with it").click();
  assert.equal(await page.inputValue("#permissions-add"), "analysts");
  // Emptied, it keeps nothing from being saved or left.
  await button(page, "Save").click();
  assert.match(await wrong(page, "permissions"), /^“analysts” is typed/);
  await page.fill("#permissions-add", "");
  assert.equal(await wrong(page, "permissions"), "");
  await page.keyboard.press("Escape");
  await closed(page);
});
