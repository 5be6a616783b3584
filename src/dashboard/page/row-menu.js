// What can be done with a row: the items of its menu.

import { state } from "./state.js";

/** For a key, or for a directory and all below it. */
export function itemsOf(row, { environment, tree, command, run, copy }) {
  const others = state.about.environments.length > 1;
  return row.isOpen === null ? ofKey(row.path, { tree, command, others, run, copy }) : ofDirectory(row.path, { tree, others, run, copy });
}

function ofKey(key, { command, others, run, copy }) {
  return [
    { label: "Edit", hint: "Enter", run: () => run("form.js", "openEdit", key) },
    { label: "History", run: () => run("history.js", "openHistory", key) },
    ...(others ? [{ label: "Copy to another environment…", run: () => run("copy.js", "openCopy", { keys: [key] }) }] : []),
    null,
    { label: "Copy the key", run: () => copy(key, "The key") },
    ...(command ? [{ label: "Copy the command that reads it", run: () => copy(command, "The command") }] : []),
    null,
    { label: "Delete", hint: "Del", danger: true, run: () => run("remove.js", "openRemove", { keys: [key] }) },
  ];
}

function ofDirectory(path, { tree, others, run, copy }) {
  const prefix = path.slice(0, -1);
  return [
    { label: "Add a key here", run: () => run("form.js", "openAdd", { key: path }) },
    ...(others ? [{ label: "Copy all below to another environment…", run: () => run("copy.js", "openCopy", { prefix }) }] : []),
    ...(tree === "variables" ? [{ label: "Export all below", run: () => run("export.js", "openExport", { prefix }) }] : []),
    { label: "Copy the path", run: () => copy(path, "The path") },
    null,
    { label: "Delete all below", hint: "Del", danger: true, run: () => run("remove.js", "openRemove", { prefix }) },
  ];
}
