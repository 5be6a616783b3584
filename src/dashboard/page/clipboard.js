// What is copied for use elsewhere.

import { toast } from "./toast.js";

/** Puts a text on the clipboard, and says so; `what` it is. */
export async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} is on the clipboard.`);
  } catch {
    toast("The browser doesn't let the page use the clipboard. Select the text and copy it by hand, or download it.", { kind: "failed" });
  }
}
