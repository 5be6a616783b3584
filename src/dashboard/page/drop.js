// A file that is dropped on the page, or text that is pasted where nothing else takes it: both begin an import.
//
// It deliberately keeps nothing of a file but what the dialog holds in memory.

import { isOpen } from "./dialog.js";
import { spelled } from "./spelling.js";
import { state } from "./state.js";
import { toast } from "./toast.js";

/** The largest file, in bytes: what a request may hold, with room for the escapes of JSON. */
export const LARGEST = 32 * 1024 * 1024;

/** Takes drops and pastes on the whole page. */
export function takeDrops() {
  const files = (event) => event.dataTransfer?.types.includes("Files");
  let inside = 0;
  const over = (is) => document.documentElement.classList.toggle("dropping", is);
  addEventListener("dragenter", (event) => {
    if (!files(event)) return;
    inside++;
    document.documentElement.dataset.drop = `Drop a dotenv, JSON or YAML file to import it into the ${state.tree} of ${spelled(state.environment)}`;
    over(true);
  });
  addEventListener("dragleave", (event) => {
    if (files(event) && --inside <= 0) over((inside = 0) > 0);
  });
  addEventListener("dragover", (event) => {
    if (files(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    inside = 0;
    over(false);
    if (!files(event)) return;
    event.preventDefault();
    // Known while the event lasts.
    const [item] = event.dataTransfer.items;
    take(event.dataTransfer.files, item?.webkitGetAsEntry?.()?.isDirectory === true);
  });
  addEventListener("paste", (event) => {
    if (event.target.closest?.("input, textarea, select, dialog, [contenteditable]")) return;
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (/[\n=:{]/.test(text.trim())) open({ text });
  });
}

async function take(files, isFolder) {
  // The file field of a form takes its own drops; a form that is open isn't to be covered by an import.
  if (!(await isFree())) {
    toast("A file is imported where no other dialog is open: finish or close this one, and drop it again.", { kind: "failed" });
    return;
  }
  if (files.length === 1 && isFolder) {
    toast(`${files[0].name} is a folder: drop one dotenv, JSON or YAML file.`, { kind: "failed" });
    return;
  }
  if (files.length !== 1) {
    toast("Drop one file at a time: each import is one step with a preview of its own.", { kind: "failed" });
    return;
  }
  const read = await text(files[0]);
  if (read.trouble) toast(read.trouble, { kind: "failed" });
  else open({ text: read.text, name: files[0].name });
}

/** Whether an import may begin, or take another text. */
async function isFree() {
  return !isOpen() || (await import("./import.js")).takesText();
}

async function open(given) {
  if (!(await isFree())) return;
  const { openImport } = await import("./import.js");
  openImport(given);
}

/** What a file holds: `{text}`, or `{trouble}` where it is no text that can be imported. */
export async function text(file) {
  if (file.size > LARGEST) return { trouble: `${spelled(file.name)} has more than 32 MiB: an import takes less. Split it, or use \`dt kv import\`.` };
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()) };
  } catch (error) {
    if (error instanceof TypeError) return { trouble: `${spelled(file.name)} is no text in UTF-8: an import takes dotenv, JSON or YAML.` };
    return { trouble: `${spelled(file.name)} can't be read: it was moved, or the browser may not open it.` };
  }
}
