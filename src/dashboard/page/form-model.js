// What a form of a key holds, what is wrong with it, and what it asks the server for.
//
// Invariants:
// - A value that was not touched is not sent; of a text that was edited, the kind of its line ends and the newline at its end stay.
// - What the form was opened on (`base`) is what the server is asked to replace: it is never moved on without a word to the user.
// - What is wrong is said of a field.
//
// It deliberately draws nothing and asks for nothing.

import { spelled } from "./spelling.js";

/** Bytes that a key and one of its parts may have. */
const KEY_BYTES = 4095, NAME_BYTES = 255;

const NO_PERMISSIONS = { users: [], groups: [], others: "" };

const encoder = new TextEncoder();

/** A form for a new key. `pending` is who is about to be added to its permissions. What it begins with is nothing that anybody typed. */
export function newModel({ tree, key = "", environments }) {
  return { mode: "add", tree, key, environments, began: { key, environments }, confirmed: [], value: emptyValue(), expires: "", permissions: NO_PERMISSIONS, pending: "", base: null };
}

/** A form for the key that `entry` describes. */
export function editModel(entry, { environment, tree }) {
  return {
    mode: "edit", tree, key: entry.key, environments: [environment], confirmed: [], base: entry,
    value: valueOf(entry), expires: localTime(entry.expires), permissions: grants(entry.permissions), pending: "",
  };
}

function emptyValue() {
  return { mode: "line", text: "", file: null, clear: false, shown: false };
}

function valueOf(entry) {
  const text = shown(entry);
  return { ...emptyValue(), mode: entry.kind === "binary" ? "file" : text.includes("\n") ? "lines" : "line", text };
}

/** Whether the form can't show what is stored: a secret, or what one may not read. An empty field then keeps it. */
export function hidden(model) {
  return model.base !== null && model.base.kind !== "text";
}

/** The text as a field of the browser has it: every line end is one newline, and what ends it is left out. */
function shown(entry) {
  return lines(entry).text.replace(/\r\n?/g, "\n");
}

/**
 * Of a stored text: `text` without what ends it, whether all of its lines end with `"\r\n"` (`isTwo`), and whether the last one
 * does: the server tells of that end the first half in the value, and the other as the newline.
 */
function lines(entry) {
  const value = entry?.value ?? "";
  const last = entry?.newline === true && value.endsWith("\r") && !isMixed(value.slice(0, -1));
  const text = last ? value.slice(0, -1) : value;
  return { text, last, isTwo: last || lineEnd(text) === "\r\n" };
}

/** Whether there is a line end other than `"\r\n"`. */
function isMixed(text) {
  return /\r(?!\n)|(?<!\r)\n/.test(text);
}

/** The line ends that a stored text has: `"\r\n"` where all of them are, else a newline. */
export function lineEnd(text) {
  return /\r\n/.test(text) && !isMixed(text) ? "\r\n" : "\n";
}

/** Whether line ends of the stored text are lost by editing it here. */
export function mixedEnds(model) {
  return /\r/.test(model.base?.value ?? "") && !lines(model.base).isTwo;
}

/** What the text was made from: what is there, or what was there before somebody removed it. */
function source(model) {
  return model.base ?? model.was ?? null;
}

/** The text that is stored if the form is saved, without the newline at its end; null where no text is. */
export function textToStore(model) {
  if (model.value.clear) return "";
  if (model.value.file) return model.value.file.text;
  const { isTwo, last } = lines(source(model));
  return isTwo ? model.value.text.replaceAll("\n", "\r\n") + (last ? "\r" : "") : model.value.text;
}

/** Which parts differ from what the form was opened on. */
export function touched(model) {
  const { base, value } = model;
  const blank = base === null ? "" : hidden(model) ? "" : shown(base);
  return {
    value: value.file !== null || value.clear || value.text !== blank,
    expires: model.expires !== localTime(base?.expires ?? null),
    permissions: !sameGrants(model.permissions, base === null ? NO_PERMISSIONS : base.permissions),
  };
}

/** Whether anything would be lost. */
export function dirty(model) {
  if (model.pending.trim() !== "") return true;
  const parts = touched(model);
  const { began = model, key, environments } = model;
  return parts.value || parts.expires || parts.permissions || key !== began.key || environments.join() !== began.environments.join();
}

/** Rights without the owner's, in one order and without those that grant nothing. */
export function grants({ users, groups, others }) {
  const tidy = (list) => list.map(({ name, rights }) => ({ name, rights })).sort((one, other) => (one.name < other.name ? -1 : 1));
  return { users: tidy(users), groups: tidy(groups), others };
}

export function sameGrants(one, other) {
  const granted = (list) => list.filter(({ rights }) => rights !== "");
  const text = (all) => JSON.stringify(grants({ users: granted(all.users), groups: granted(all.groups), others: all.others }));
  return text(one) === text(other);
}

/** What is wrong with the form, by field. `about` is the server's, `accounts` null where they aren't known. */
export function problems(model, { about, accounts, now = Date.now() }) {
  const wrong = {
    key: model.mode === "add" ? wrongKey(model.key) : null,
    environment: wrongEnvironment(model, about),
    value: wrongValue(model, about),
    permissions: wrongPermissions(model, accounts),
    expires: wrongExpiry(model, now),
  };
  return Object.fromEntries(Object.entries(wrong).filter(([, message]) => message !== null));
}

/** What is wrong with the text of a key, or null. */
export function wrongKey(key) {
  if (key === "") return "Give the key a name, such as db/password.";
  if (key.startsWith("/")) return "A key does not begin with /: write db/password, not /db/password.";
  if (key.endsWith("/")) return "A key does not end with /: write the name that stands in this directory.";
  const parts = key.split("/");
  if (parts.includes("")) return "There is an empty name between two /.";
  if (parts.includes(".") || parts.includes("..")) return "A part of a key can't be . or .. .";
  if (key.includes("\0")) return "A key can't have a NUL in it.";
  const long = parts.find((part) => encoder.encode(part).length > NAME_BYTES);
  if (long !== undefined) return `Each part between two / has at most ${NAME_BYTES} bytes; “${spelled(long.slice(0, 20))}…” has more.`;
  if (encoder.encode(key).length > KEY_BYTES) return `A key has at most ${KEY_BYTES} bytes.`;
  return null;
}

function wrongEnvironment(model, about) {
  if (model.environments.length === 0) return "Choose at least one environment.";
  const open = model.environments.filter((name) => isProtected(about, name) && !model.confirmed.includes(name));
  return open.length > 0 ? `Tick that you mean ${open.map(spelled).join(" and ")}.` : null;
}

export function isProtected(about, environment) {
  return about.environments.some(({ name, protected: is }) => name === environment && is);
}

function wrongValue(model, { value_limit: limit }) {
  const { file, clear, text, mode } = model.value;
  const size = file ? file.size : clear ? 0 : encoder.encode(textToStore(model)).length;
  if (size > limit) return `The value has ${size.toLocaleString("en")} bytes; at most ${limit.toLocaleString("en")} can be stored.`;
  if (clear && (text !== "" || file)) return "Either empty the value or give a new one, not both.";
  if (model.mode === "add" && mode === "file" && !file) return "Choose a file.";
  if (model.mode === "add" && model.tree === "secrets" && !file && text === "") return "Enter the secret, or generate one.";
  return null;
}

function wrongPermissions(model, accounts) {
  for (const [kind, list] of [["group", model.permissions.groups], ["user", model.permissions.users]]) {
    const none = list.find(({ rights }) => rights === "");
    if (none) return `Tick read or write for ${spelled(none.name)}, or take the ${kind} out.`;
    if (accounts === null) continue;
    const known = new Set(accounts[`${kind}s`].map(({ name }) => name));
    const was = new Set((model.base?.permissions[`${kind}s`] ?? []).map(({ name }) => name));
    const unknown = list.find(({ name }) => !known.has(name) && !was.has(name) && !/^\d+$/.test(name));
    if (unknown) return `There is no ${kind} ${spelled(unknown.name)} on this system.`;
  }
  return notAdded(model.pending);
}

/** What is wrong with a name that stands in the field for somebody to be added, or null. */
export function notAdded(typed) {
  return typed.trim() === "" ? null : `“${spelled(typed.trim())}” is typed but not added: press Enter in the field to add it, or empty the field.`;
}

function wrongExpiry(model, now) {
  if (model.expires === "" || !touched(model).expires) return null;
  const time = new Date(model.expires).getTime();
  if (Number.isNaN(time)) return "Enter the date and the time, or leave both empty.";
  return time <= now ? "This time has passed: choose a later one, or leave it empty." : null;
}

/** The request that stores the form. */
export function request(model) {
  const parts = touched(model);
  const body = { environments: model.environments, tree: model.tree, key: model.key, create: model.mode === "add" };
  if (parts.value || model.mode === "add") Object.assign(body, value(model));
  if (parts.expires) body.expires = model.expires === "" ? null : new Date(model.expires).toISOString();
  if (parts.permissions || model.mode === "add") body.permissions = grants(model.permissions);
  if (model.mode === "edit") {
    body.versions = { [model.environments[0]]: model.base.version };
    body.base_permissions = model.base.permissions;
    body.base_expires = model.base.expires;
  }
  return body;
}

function value(model) {
  const { file, clear } = model.value;
  if (file) return { base64: file.base64 };
  if (clear) return { value: "", newline: false };
  return { value: textToStore(model), newline: source(model)?.kind === "text" ? source(model).newline : false };
}

/**
 * The form on what is there by now: what was touched stays as it was typed, what wasn't follows. `touched` tells then what of it
 * still differs.
 */
export function rebase(model, current) {
  const parts = touched(model);
  const fresh = editModel(current, { environment: model.environments[0], tree: model.tree });
  return {
    ...fresh, confirmed: model.confirmed,
    value: parts.value ? model.value : fresh.value,
    expires: parts.expires ? model.expires : fresh.expires,
    permissions: parts.permissions ? model.permissions : fresh.permissions, pending: model.pending,
  };
}

/** A time of the server as a field of the browser has it, in the browser's time zone; "" for none. */
export function localTime(time) {
  if (!time) return "";
  const date = new Date(time);
  const two = (number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}
