// What a row of the list shows of a key.
//
// Invariant: of a secret there is only that it is set, since when, and who can read it.

import { html, nothing } from "./vendor/lit-html.js";
import { ago, count, exact, number } from "./words.js";

/** What letters of a permission are called where permissions are given. */
const ROLES = { rw: "Full access", w: "Editor", r: "Viewer" };
const MEANS = { rw: "reads and writes it, and changes its permissions", w: "replaces the value, and doesn't read it", r: "reads it" };

const KINDS = { group: "The group ", user: "The user ", everybody: "" };

/** So many days before it expires, a key is marked. */
const SOON = 14;

/** The columns of a tree, the sorted one marked. */
export function columnsOf(tree, sort) {
  const mark = (name) => (sort.name === name ? (sort.descending ? "descending" : "ascending") : null);
  const sorted = (name, label) => ({ name, label, sort: name, sorted: mark(name) });
  return [
    sorted("key", "Key"),
    { name: "value", label: tree === "secrets" ? "Secret" : "Value" },
    { name: "permissions", label: "Permissions" },
    sorted("version", "Version"),
    sorted("modified", "Changed"),
    sorted("expires", "Expires"),
    { name: "menu", label: "Actions", hidden: true },
  ];
}

/** What a row is called. */
export function rowName(row, tree) {
  return row.isOpen === null ? row.path : `${row.path}, ${count(row.keys, tree === "secrets" ? "secret" : "variable")}`;
}

/** The cells of a row. `uses`: `detail(key)`, `tree`, `isFlat`, `filter`, `isActive`, `fold(row)`, `menu(row)`, `copy(text, what)`. */
export function cells(row, uses) {
  return row.isOpen === null ? keyCells(row, uses) : directoryCells(row, uses);
}

function directoryCells(row, uses) {
  return html`
    <div role="gridcell" class="cell cell-key cell-directory" aria-colspan="6">
      <span class="fold" aria-hidden="true"></span><span class="name">${marked(row.name, uses.filter)}<span class="slash">/</span></span>
      <span class="keys-below" title=${count(row.keys, "key")}>${number(row.keys)}</span>
    </div>
    ${menuCell(row, uses)}`;
}

function keyCells(row, uses) {
  const detail = uses.detail(row.path);
  if (detail === null) {
    return html`${keyCell(row, uses)}<div role="gridcell" class="cell cell-value" aria-colspan="5"><span class="blank" aria-hidden="true"></span></div>${menuCell(row, uses)}`;
  }
  if (detail.gone) return html`${keyCell(row, uses)}<div role="gridcell" class="cell cell-value quiet" aria-colspan="5">${detail.closed ? "closed to you" : "removed"}</div>${menuCell(row, uses)}`;
  return html`
    ${keyCell(row, uses)}
    <div role="gridcell" class="cell cell-value">${uses.tree === "secrets" ? secret(detail, uses) : variable(detail, uses)}</div>
    <div role="gridcell" class="cell cell-permissions">${permissions(detail.permissions)}</div>
    <div role="gridcell" class="cell cell-version"><span class="visually-hidden">version </span>${number(detail.version)}</div>
    <div role="gridcell" class="cell cell-modified">${changed(detail)}</div>
    <div role="gridcell" class="cell cell-expires">${expiry(detail.expires)}</div>
    ${menuCell(row, uses)}`;
}

function keyCell(row, uses) {
  const slash = uses.isFlat ? row.path.lastIndexOf("/") + 1 : 0;
  const shown = uses.isFlat ? row.path : row.name;
  return html`<div role="gridcell" class="cell cell-key" title=${row.path}><span class="name">${slash > 0 ? html`<span class="above">${marked(shown.slice(0, slash), uses.filter)}</span>` : nothing}${marked(shown.slice(slash), uses.filter)}</span></div>`;
}

/** A text with what was searched for marked in it. */
function marked(text, filter) {
  if (filter === "") return text;
  const at = text.toLowerCase().indexOf(filter.toLowerCase());
  if (at < 0) return text;
  const end = at + filter.length;
  return html`${text.slice(0, at)}<mark>${text.slice(at, end)}</mark>${text.slice(end)}`;
}

function secret(detail, uses) {
  const isSet = detail.version > 0;
  const state = isSet ? html`<span class="set" title="The value is stored. It is never shown here.">set</span> <span class="age">${age(detail.modified)}</span>` : html`<span class="unset">no value yet</span>`;
  return html`<span class="secret-state">${state}</span>${command(detail, uses, true)}`;
}

function age(modified) {
  const told = ago(modified);
  return told === "just now" ? "just now" : told.replace(/ ago$/, " old").replace(/^yesterday$/, "1 day old").replace(/^last (\w+)$/, "1 $1 old");
}

function variable(detail, uses) {
  return html`${value(detail)}${command(detail, uses, false)}`;
}

function value({ kind, value, cut, size, version }) {
  if (kind === "denied") return html`<span class="quiet" title="Its permissions don't let you read it.">you may not read it</span>`;
  if (kind === "expired") return html`<span class="expired">expired: nobody can read it</span>`;
  if (kind === "binary") return html`<span class="quiet">binary, ${bytes(size)}</span>`;
  if (version === 0) return html`<span class="quiet">no value yet</span>`;
  if (value === "") return html`<span class="quiet">empty</span>`;
  const [first, ...more] = value.split(/\r?\n/);
  const lines = more.length > 0 ? html` <span class="more-lines">${cut ? "…" : `+ ${count(more.length, "line")}`}</span>` : cut ? "…" : "";
  return html`<code class="value" title=${cut ? `${value}…` : value}>${first}</code>${lines}`;
}

/** A size in words. */
export function bytes(size) {
  if (size < 1024) return count(size, "byte");
  const [much, unit] = size < 1024 ** 2 ? [size / 1024, "KiB"] : [size / 1024 ** 2, "MiB"];
  return `${much < 10 ? Math.round(much * 10) / 10 : Math.round(much)} ${unit}`;
}

function command(detail, uses, isShown) {
  return html`<span class="command">${isShown ? html`<code title=${detail.command}>${detail.command}</code>` : nothing}<button type="button" class="icon-button copy" tabindex=${uses.isActive ? 0 : -1}
    aria-label="Copy the command that reads ${detail.key}" title="Copy the command: ${detail.command}" @click=${() => uses.copy(detail.command, "The command")}></button></span>`;
}

function permissions({ owner, users = [], groups = [], others = "" }) {
  const chip = (name, rights, kind) => html`<span class="chip" data-rights=${rights} title="${KINDS[kind]}${name} ${MEANS[rights]}" data-kind=${kind}><span class="chip-name">${name}</span> <span class="chip-role">${ROLES[rights]}</span></span>`;
  const given = [
    ...groups.filter(({ rights }) => rights in ROLES).map(({ name, rights }) => chip(name, rights, "group")),
    ...users.filter(({ rights }) => rights in ROLES).map(({ name, rights }) => chip(name, rights, "user")),
  ];
  if (others in ROLES) given.push(chip("everybody", others, "everybody"));
  return html`<span class="chips">${given.length > 0 ? given : html`<span class="quiet" title="No group is granted; ${owner.name} owns it">only ${owner.name}</span>`}</span>`;
}

function changed({ modified, modified_by: by }) {
  return html`<time datetime=${modified} title=${exact(modified)}>${ago(modified)}</time>${by ? html` <span class="by">by ${by}</span>` : nothing}`;
}

function expiry(expires) {
  if (expires === null || expires === undefined) return html`<span class="never"><span class="visually-hidden">never</span><span aria-hidden="true">–</span></span>`;
  const days = (new Date(expires).getTime() - Date.now()) / 86_400_000;
  const state = days <= 0 ? "expired" : days < SOON ? "soon" : "later";
  return html`<span class="expiry" data-state=${state}><time datetime=${expires} title=${exact(expires)}>${state === "expired" ? html`expired<span class="visually-hidden"> ${ago(expires)}</span>` : ago(expires)}</time></span>`;
}

function menuCell(row, uses) {
  return html`<div role="gridcell" class="cell cell-menu"><button type="button" class="icon-button row-menu" tabindex=${uses.isActive ? 0 : -1} aria-haspopup="menu" aria-label="Actions for ${row.path}"
    @click=${(event) => uses.menu(row, event.currentTarget)}><span aria-hidden="true">⋯</span></button></div>`;
}
