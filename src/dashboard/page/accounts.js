// The users and groups of the system, asked for once for each form.

import { get } from "./api.js";
import { spelled } from "./spelling.js";

let known = null;

/** Asks anew; the answer is there for `accounts` when it has come. */
export async function loadAccounts() {
  known = await get("/api/accounts");
  return known;
}

/** `{users: [{name, id}], groups: [{name, id, members, system}]}`, null until they are known. */
export function accounts() {
  return known;
}

/** Suggestions of accounts whose name has `typed` in it, those that begin with it and those of people first. */
export function suggest(kind, typed, without = []) {
  const wanted = typed.trim().toLowerCase();
  const all = (known?.[kind === "group" ? "groups" : "users"] ?? []).filter(({ name }) => !without.includes(name) && name.toLowerCase().includes(wanted));
  const rank = (account) => (account.system ?? account.id < 1000 ? 2 : 0) + (account.name.toLowerCase().startsWith(wanted) ? 0 : 1);
  return all.sort((one, other) => rank(one) - rank(other) || (one.name < other.name ? -1 : 1))
    .map((account) => ({ value: account.name, detail: detail(kind, account) }));
}

function detail(kind, { id, members, system }) {
  if (kind === "user") return `user ${id}`;
  if (members.length === 0) return system ? "system group" : `group ${id}`;
  return members.slice(0, 3).map(spelled).join(", ") + (members.length > 3 ? ` and ${members.length - 3} more` : "");
}

export function exists(kind, name) {
  return known === null || /^\d+$/.test(name) || known[kind === "group" ? "groups" : "users"].some((account) => account.name === name);
}
