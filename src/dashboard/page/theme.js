// Light or dark: as the system has it, or as the user chose in this browser.
//
// Invariant: the choice is all that the page keeps beyond its tab.

const PLACE = "keyfs.theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

let chosen = "system";
try {
  chosen = NEXT[localStorage.getItem(PLACE)] ? localStorage.getItem(PLACE) : "system";
} catch {
  // A browser may forbid storage: as the system has it, then.
}
apply();

/** "system", "light" or "dark". */
export const theme = () => chosen;

export function nextTheme() {
  chosen = NEXT[chosen];
  apply();
  try {
    localStorage.setItem(PLACE, chosen);
  } catch {
    // See above.
  }
}

function apply() {
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}
