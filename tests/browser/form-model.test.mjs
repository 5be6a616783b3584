// What a form asks for, without a browser: what is kept, what is sent, and what is wrong.

import assert from "node:assert/strict";
import { test } from "node:test";
import { dirty, editModel, lineEnd, localTime, mixedEnds, newModel, problems, rebase, request, sameGrants, touched, wrongKey } from "../../src/dashboard/page/form-model.js";

const ABOUT = { value_limit: 20, environments: [{ name: "dev", protected: false }, { name: "prod", protected: true }] };
const ACCOUNTS = { users: [{ name: "alice" }], groups: [{ name: "payments" }] };

function entry(changes = {}) {
  return {
    key: "app/name", version: 3, kind: "text", value: "one", newline: true, size: 4, expires: null,
    permissions: { owner: { name: "alice", rights: "rw" }, users: [], groups: [{ name: "payments", rights: "r" }], others: "" }, ...changes,
  };
}

const variable = (changes) => editModel(entry(changes), { environment: "dev", tree: "variables" });
const secret = (changes) => editModel(entry({ kind: "secret", value: null, newline: false, ...changes }), { environment: "dev", tree: "secrets" });
const typed = (model, value) => ({ ...model, value: { ...model.value, ...value } });
const wrong = (model) => problems(model, { about: ABOUT, accounts: ACCOUNTS });

test("what was not touched is not sent", () => {
  const body = request(variable());
  assert.deepEqual(Object.keys(body).sort(), ["base_expires", "base_permissions", "create", "environments", "key", "tree", "versions"]);
  assert.deepEqual(body.versions, { dev: 3 });
  assert.equal(dirty(variable()), false);
});

test("the newline at the end of a variable stays as it was", () => {
  assert.deepEqual(pick(request(typed(variable(), { text: "two" }))), { value: "two", newline: true });
  assert.deepEqual(pick(request(typed(variable({ newline: false }), { text: "two" }))), { value: "two", newline: false });
});

test("line ends of a variable stay what they are", () => {
  const model = variable({ value: "a\r\nb" });
  assert.equal(model.value.text, "a\nb");
  assert.equal(dirty(model), false);
  assert.equal(request(typed(model, { text: "a\nc\nd" })).value, "a\r\nc\r\nd");
  assert.equal(lineEnd("a\r\nb\nc"), "\n");
  // The last of them too, whose newline the server tells apart.
  for (const [value, text, typing, stored] of [["a\r\nb\r", "a\nb", "c\nb", "c\r\nb\r"], ["a\r", "a", "c\nd", "c\r\nd\r"]]) {
    const whole = variable({ value });
    assert.deepEqual([whole.value.text, dirty(whole), mixedEnds(whole)], [text, false, false]);
    assert.deepEqual(pick(request(typed(whole, { text: typing }))), { value: stored, newline: true });
  }
  const mixed = variable({ value: "a\nb\r" });
  assert.deepEqual([mixed.value.text, dirty(mixed), mixedEnds(mixed)], ["a\nb\n", false, true]);
});

test("an empty field of a secret keeps it, and emptying is a tick of its own", () => {
  assert.equal("value" in request(secret()), false);
  assert.deepEqual(pick(request(typed(secret(), { clear: true }))), { value: "", newline: false });
  assert.match(wrong(typed(secret(), { clear: true, text: "x" })).value, /not both/);
  assert.equal(request(typed(secret(), { text: "new" })).value, "new");
});

test("a file goes as the bytes that it has", () => {
  const body = request(typed(variable(), { file: { name: "f", size: 3, base64: "YQ0K", text: "a\r\n" } }));
  assert.equal(body.base64, "YQ0K");
  assert.equal("value" in body, false);
});

test("a new key is told in one request for all of its environments", () => {
  const model = typed({ ...newModel({ tree: "secrets", key: "a/b", environments: ["dev", "prod"] }), confirmed: ["prod"] }, { text: "x" });
  assert.deepEqual(request(model), {
    environments: ["dev", "prod"], tree: "secrets", key: "a/b", create: true, value: "x", newline: false, permissions: { users: [], groups: [], others: "" },
  });
});

test("what is wrong is said of its field", () => {
  const model = { ...newModel({ tree: "secrets", key: "", environments: ["prod"] }), expires: "2001-01-01T00:00", permissions: { users: [], groups: [{ name: "nobodys", rights: "r" }], others: "" } };
  const found = wrong(model);
  assert.deepEqual(Object.keys(found).sort(), ["environment", "expires", "key", "permissions", "value"]);
  assert.match(found.environment, /prod/);
  assert.match(found.permissions, /no group nobodys/);
  assert.match(wrong({ ...model, permissions: { users: [], groups: [{ name: "payments", rights: "" }], others: "" } }).permissions, /payments/);
  assert.match(wrong(typed(model, { text: "x".repeat(21) })).value, /21 bytes/);
  assert.match(wrong(typed(model, { text: "ü".repeat(11) })).value, /22 bytes/);
  assert.match(wrong({ ...model, environments: [] }).environment, /at least one/);
  assert.equal(wrong({ ...model, confirmed: ["prod"] }).environment, undefined);
});

test("keys that the mount refuses are refused before they are sent", () => {
  for (const key of ["", "/a", "a/", "a//b", "a/../b", ".", "a\0b", "x".repeat(256), `${"x/".repeat(2100)}y`]) assert.notEqual(wrongKey(key), null, key.slice(0, 20));
  for (const key of ["a", "a/b", "a b", "<img src=x onerror=alert(1)>", "ü".repeat(127), "..a", "x".repeat(255)]) assert.equal(wrongKey(key), null, key.slice(0, 20));
});

test("on another version, what was typed stays and what wasn't follows", () => {
  const mine = typed(variable(), { text: "mine" });
  const current = entry({ version: 4, value: "theirs", permissions: { ...entry().permissions, others: "r" } });
  const next = rebase(mine, current);
  assert.equal(next.value.text, "mine");
  assert.equal(next.permissions.others, "r");
  assert.deepEqual(touched(next), { value: true, expires: false, permissions: false });
  assert.deepEqual(request(next).versions, { dev: 4 });
});

test("rights are the same in any order, and a right to nothing is none", () => {
  const a = { users: [], groups: [{ name: "a", rights: "r" }, { name: "b", rights: "rw" }], others: "" };
  const b = { users: [{ name: "x", rights: "" }], groups: [{ name: "b", rights: "rw" }, { name: "a", rights: "r" }], others: "" };
  assert.ok(sameGrants(a, b));
  assert.ok(!sameGrants(a, { ...b, others: "r" }));
});

test("an expiry that isn't touched stays, seconds included", () => {
  const model = variable({ expires: "2040-05-06T07:08:09.5Z" });
  assert.equal(model.expires, localTime("2040-05-06T07:08:09.5Z"));
  assert.equal("expires" in request(typed(model, { text: "x" })), false);
  assert.equal(request({ ...model, expires: "" }).expires, null);
});

function pick({ value, newline }) {
  return { value, newline };
}
