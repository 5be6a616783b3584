// The one cell of the matrix that is being edited: what is typed, and how it is saved.
//
// Invariants:
// - What was typed stays until it is saved or given up, also when the view is left and comes back.
// - It is saved on the version that was shown, and where somebody else has changed the key, the user decides.
// - Only a variable is edited here. A secret, and what is no single line, goes to the form.
//
// It deliberately draws nothing but its dialogs: the view draws the cell.

import { ApiError, get, post } from "./api.js";
import { choose } from "./choose.js";
import { guard } from "./drafts.js";
import { named, valued } from "./names.js";
import { spelled } from "./spelling.js";
import { environment as environmentOf } from "./state.js";
import { toast } from "./toast.js";
import { undo } from "./undo.js";
import { html, nothing } from "./vendor/lit-html.js";
import { ago } from "./words.js";
import { CLOSED, MISSING, PRESENT } from "./matrix-model.js";

let edit = null;
let changed = () => {};

/** What is being edited: `{tree, environment, key, create, original, text, version, newline, from, busy, trouble}`, or null. */
export const editing = () => edit;

/** Calls `f` after each change of it. */
export function onEdit(f) {
  changed = f;
}

/** Whether something would be lost. */
export const unsaved = () => edit !== null && (edit.create || edit.text !== edit.original);

/** While something is being edited, the browser asks before it leaves the page. */
let unguard = null;

function become(next) {
  edit = next;
  unguard?.();
  unguard = next ? guard(unsaved) : null;
  changed();
}

/**
 * Begins to edit a cell, or leads to where it can be edited. Whether it did.
 */
export async function begin(row, environment, { tree, environments }) {
  if (edit && (edit.key !== row.key || edit.environment !== environment) && unsaved()) {
    edit.trouble = "Save this first with Enter, or leave it with Esc.";
    changed();
    return false;
  }
  const here = row.here[environment];
  if (here === CLOSED) {
    toast(`You may not list the directory that ${spelled(row.key)} would be in, in ${spelled(environment)}.`, { kind: "failed" });
    return false;
  }
  if (here === MISSING) return tree === "secrets" ? form(row.key, environment, true) : add(row, environment, tree, environments);
  if (tree === "secrets" || here !== PRESENT) return form(row.key, environment, false);
  const cell = await cellOf(row, environment, tree);
  if (!cell || !inPlace(cell)) return form(row.key, environment, false);
  become({
    tree, environment, key: row.key, create: false, original: cell.value, text: cell.value,
    version: cell.version, newline: cell.newline, from: null, busy: false, trouble: null,
  });
  return true;
}

/** The longest value that is edited in a cell, in characters. */
const LONGEST = 1_000;

/** Whether a value fits into a cell: one line of text, all of it. */
const inPlace = (cell) => cell?.kind === "text" && !cell.cut && typeof cell.value === "string" && cell.value.length <= LONGEST && !/[\r\n]/.test(cell.value);

/** What is in a cell; all of it, where the view has a part, or nothing yet. */
async function cellOf(row, environment, tree) {
  const cell = row.cells?.[environment];
  if (cell && !cell.cut) return cell;
  try {
    return await get("/api/entry", { environment, tree, key: row.key });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return null;
  }
}

/** The form has the whole of what an entry is. */
async function form(key, environment, create) {
  const { openAdd, openEdit } = await import("./form.js");
  if (create) openAdd({ key, environment });
  else openEdit(key, { environment });
  return false;
}

/** Adds a key where it is missing, with the value that it has elsewhere to begin with. */
async function add(row, environment, tree, environments) {
  const elsewhere = environments.filter((other) => row.here[other] === PRESENT);
  const cells = await Promise.all(elsewhere.map((other) => cellOf(row, other, tree)));
  const at = cells.findIndex(inPlace);
  if (at < 0 && elsewhere.length > 0) {
    const { openCopy } = await import("./copy.js");
    openCopy({ keys: [row.key], from: elsewhere[0], to: environment });
    return false;
  }
  const cell = cells[at];
  become({
    tree, environment, key: row.key, create: true, original: cell?.value ?? "", text: cell?.value ?? "",
    version: 0, newline: cell?.newline ?? false, from: elsewhere[at] ?? null, busy: false, trouble: null,
  });
  return true;
}

export function type(text) {
  if (edit) edit.text = text;
}

export const leave = () => become(null);

/** Saves it; `sure` where the user was asked already. Whether it is saved, and the cell is one again. */
export async function save(sure = false) {
  if (!edit || edit.busy) return false;
  const mine = edit;
  if (!mine.create && mine.text === mine.original) {
    leave();
    return true;
  }
  if (!sure && environmentOf(mine.environment).protected && !(await confirmed(mine))) return false;
  if (edit !== mine) return false;
  mine.busy = true;
  mine.trouble = null;
  changed();
  try {
    const { stored } = await post("/api/put", question(mine));
    if (edit === mine) leave();
    told(mine, stored.find((one) => one.environment === mine.environment)?.version);
    return true;
  } catch (error) {
    mine.busy = false;
    if (!(error instanceof ApiError)) throw error;
    await failed(mine, error);
    changed();
    return edit === null;
  }
}

function question(mine) {
  const question = {
    environments: [mine.environment], tree: mine.tree, key: mine.key,
    create: mine.create, value: mine.text, newline: mine.newline,
  };
  if (!mine.create) question.versions = { [mine.environment]: mine.version };
  return question;
}

/** Says that it is saved, and offers the way back. */
function told(mine, version) {
  const { key, environment, tree } = mine;
  const done = mine.create ? { added: [{ key, version }], changed: [] } : { added: [], changed: [{ key, before: mine.version, version }] };
  const undoable = version !== undefined && (mine.create || mine.version > 0);
  toast(`${spelled(key)} is ${mine.create ? "added to" : "saved in"} ${spelled(environment)}.`, {
    kind: "done",
    action: undoable ? { label: "Undo", run: () => undo({ environment, tree, ...done }) } : undefined,
  });
}

async function confirmed(mine) {
  const answer = await choose({
    title: `${mine.create ? "Add to" : "Save to"} ${spelled(mine.environment)}?`,
    body: () => html`
      <p><code class="key">${named(mine.key)}</code></p>
      ${mine.create ? value("New value", mine.text) : html`${value("Before", mine.original)}${value("After", mine.text)}`}`,
    choices: [{ label: `${mine.create ? "Add to" : "Save to"} ${spelled(mine.environment)}`, value: true, kind: "danger" }],
  });
  return answer === true;
}

const value = (label, text) => html`
  <p class="matrix-value"><span class="matrix-label">${label}</span> ${text === "" ? html`<em>empty</em>` : html`<code>${valued(text)}</code>`}</p>`;

/** What becomes of an edit that the mount refused. */
async function failed(mine, error) {
  if (error.code === "missing" && !mine.create) {
    mine.create = true;
    mine.version = 0;
    mine.trouble = `It was removed from ${spelled(mine.environment)} meanwhile. Enter adds it again with this value, Esc leaves it.`;
  } else if ((error.code === "conflict" || error.code === "exists") && error.current) {
    await conflict(mine, error.current);
  } else {
    mine.trouble = error.message;
  }
}

async function conflict(mine, theirs) {
  const text = theirs.kind === "text" && typeof theirs.value === "string" ? theirs.value : null;
  const answer = await choose({
    title: "Changed meanwhile",
    body: () => html`
      <p><code class="key">${named(mine.key)}</code> in ${named(mine.environment)} was changed by ${named(theirs.modified_by)} ${ago(theirs.modified)}.
        It is at version ${theirs.version} now. Nothing of yours is saved yet.</p>
      ${mine.create ? nothing : value("When you began", mine.original)}
      ${text === null ? html`<p>The new value can't be shown here.</p>` : value("Theirs, now", text)}
      ${value("Yours", mine.text)}`,
    choices: [
      { label: "Save mine over it", value: "mine", kind: "danger" },
      { label: "Take theirs", value: "theirs" },
    ],
    cancel: "Go on editing",
  });
  if (answer === "theirs") {
    leave();
  } else if (answer === "mine" || text !== null) {
    // What was seen is what the next save rests on.
    mine.create = false;
    mine.version = theirs.version;
    mine.original = text ?? mine.original;
    mine.newline = theirs.newline ?? mine.newline;
    if (answer === "mine") await save(true);
    else mine.trouble = `Somebody else's value is ${text === "" ? "empty" : `“${spelled(text)}”`} now. Enter saves yours over it, Esc leaves theirs.`;
  }
}
