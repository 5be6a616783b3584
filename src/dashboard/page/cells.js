// What a row of the list shows of a key.
//
// Invariant: of a secret there is only that it is set, since when, and who can read it.

import { named, valued } from "./names.js";
import { spelled } from "./spelling.js";
import { html, nothing } from "./vendor/lit-html.js";
import { ago, count, exact, number, rights as spoken } from "./words.js";

/** What letters of a permission are called where permissions are given. */
const ROLES = { rw: "Full access", w: "Editor", r: "Viewer" };
const MEANS = { rw: "reads and writes it, and changes its permissions", w: "replaces the value, and doesn't read it", r: "reads it" };

const KINDS = { group: "The group ", user: "The user ", everybody: "" };

/** So many are named in a row before the others are counted. */
const MOST_CHIPS = 2;

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
  return row.isOpen === null ? spelled(row.path) : `${spelled(row.path)}, ${count(row.keys, tree === "secrets" ? "secret" : "variable")}`;
}

/** The cells of a row. `uses`: `detail(key)`, `tree`, `isFlat`, `filter`, `isActive`, `fold(row)`, `menu(row)`, `copy(text, what)`. */
export function cells(row, uses) {
  return row.isOpen === null ? keyCells(row, uses) : directoryCells(row, uses);
}

function directoryCells(row, uses) {
  return html`
    <div role="gridcell" class="cell cell-key cell-directory" aria-colspan="6">
      <span class="fold" aria-hidden="true"></span><span class="name">${named(row.name, { mark: found(row.name, uses.filter) })}<span class="slash">/</span></span>
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
  const part = (text) => named(text, { mark: found(text, uses.filter) });
  return html`<div role="gridcell" class="cell cell-key" title=${spelled(row.path)}><span class="name">${slash > 0 ? html`<span class="above">${part(shown.slice(0, slash))}</span>` : nothing}${part(shown.slice(slash))}</span></div>`;
}

/** Where in a text that is what was searched for, or null. */
function found(text, filter) {
  const at = filter === "" ? -1 : text.toLowerCase().indexOf(filter.toLowerCase());
  return at < 0 ? null : { from: at, to: at + filter.length };
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
  return html`<code class="value" title=${`${spelled(value)}${cut ? "…" : ""}`}>${valued(first)}</code>${lines}`;
}

/** A size in words. */
export function bytes(size) {
  if (size < 1024) return count(size, "byte");
  const [much, unit] = size < 1024 ** 2 ? [size / 1024, "KiB"] : [size / 1024 ** 2, "MiB"];
  return `${much < 10 ? Math.round(much * 10) / 10 : Math.round(much)} ${unit}`;
}

function command(detail, uses, isShown) {
  return html`<span class="command">${isShown ? html`<code title=${spelled(detail.command)}>${named(detail.command)}</code>` : nothing}<button type="button" class="icon-button copy" tabindex=${uses.isActive ? 0 : -1}
    aria-label="Copy the command that reads ${spelled(detail.key)}" title="Copy the command: ${spelled(detail.command)}" @click=${() => uses.copy(detail.command, "The command")}></button></span>`;
}

function permissions({ owner, users = [], groups = [], others = "" }) {
  const of = (kind) => ({ name, rights }) => ({ kind, name, rights });
  const given = [...groups.map(of("group")), ...users.map(of("user")), { kind: "everybody", name: "everybody", rights: others }].filter(({ rights }) => rights in ROLES);
  if (given.length === 0) return html`<span class="chips"><span class="quiet" title="No group is granted; ${spelled(owner.name)} owns it">only ${named(owner.name)}</span></span>`;
  return html`<span class="chips">${given.slice(0, MOST_CHIPS).map(chip)}${rest(given.slice(MOST_CHIPS))}</span>`;
}

function chip({ kind, name, rights }) {
  return html`<span class="chip" data-rights=${rights} title="${KINDS[kind]}${spelled(name)} ${MEANS[rights]}" data-kind=${kind}><span class="chip-name">${named(name)}</span> <span class="chip-role">${ROLES[rights]}</span></span>`;
}

/** How many more there are than a row has room for, and who. */
function rest(more) {
  if (more.length === 0) return nothing;
  const who = more.map(({ name, rights }) => `${spelled(name)}: ${spoken(rights)}`).join(", ");
  return html`<span class="chip chip-more" title=${who}><span aria-hidden="true">+${more.length}</span><span class="visually-hidden">, and ${who}</span></span>`;
}

function changed({ modified, modified_by: by }) {
  return html`<time datetime=${modified} title=${exact(modified)}>${ago(modified)}</time>${by ? html` <span class="by">by ${named(by)}</span>` : nothing}`;
}

function expiry(expires) {
  if (expires === null || expires === undefined) return html`<span class="never"><span class="visually-hidden">never</span><span aria-hidden="true">–</span></span>`;
  const days = (new Date(expires).getTime() - Date.now()) / 86_400_000;
  const state = days <= 0 ? "expired" : days < SOON ? "soon" : "later";
  return html`<span class="expiry" data-state=${state}><time datetime=${expires} title=${exact(expires)}>${state === "expired" ? html`expired<span class="visually-hidden"> ${ago(expires)}</span>` : ago(expires)}</time></span>`;
}

function menuCell(row, uses) {
  return html`<div role="gridcell" class="cell cell-menu"><button type="button" class="icon-button row-menu" tabindex=${uses.isActive ? 0 : -1} aria-haspopup="menu" aria-label="Actions for ${spelled(row.path)}"
    @click=${(event) => uses.menu(row, event.currentTarget)}><span aria-hidden="true">⋯</span></button></div>`;
}
