// The session of this tab: taken from the link that `dt dashboard` prints, and taken anew when it has ended.
//
// Invariants:
// - The link's token is out of the address before anything else runs, and is written down nowhere.
// - The session is kept for this tab alone, in sessionStorage.
// - Whoever waits for a session goes on when there is one; nothing that was typed is touched meanwhile.

const PLACE = "keyfs.session";

let current = null;
let waiting = [];
const heard = new Set();

/** The session, or null. */
export const session = () => current;

/** Calls `f` with whether there is a session, each time that this changes. */
export function onSession(f) {
  heard.add(f);
  return () => heard.delete(f);
}

/** Takes what there is: a token in the address, the session of this tab, or one that the server gives without asking. */
export async function begin() {
  const token = tokenIn(location.hash);
  if (token !== null) history.replaceState(null, "", location.pathname);
  current = read();
  addEventListener("hashchange", () => {
    const pasted = tokenIn(location.hash);
    if (pasted === null) return;
    history.replaceState(null, "", location.pathname);
    exchange(pasted).then(() => location.reload(), () => ended());
  });
  if (token !== null) await exchange(token).catch(() => {});
  // Behind a proxy that has named the user, nothing is to be shown.
  if (current === null) await exchange(null).catch(() => {});
  return current !== null;
}

/** The token in a link, or in what was pasted instead of one; null if there is none. */
export function tokenIn(text) {
  return /(?:^|[#&])token=([\w-]+)/.exec(text)?.[1] ?? null;
}

/** Exchanges the token for a session. Throws what to tell the user. */
export async function exchange(token) {
  let response;
  try {
    response = await fetch("/api/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(token === null ? {} : { token }),
    });
  } catch {
    throw new Error("The dashboard doesn't answer at this address. Start `dt dashboard` again and open its new link.");
  }
  const told = await response.text().catch(() => "");
  if (!response.ok) throw new Error("This link is of another start of the dashboard, or not whole. Copy it again from where `dt dashboard` runs.");
  current = JSON.parse(told).session;
  write(current);
  for (const go of waiting.splice(0)) go();
  tell();
}

/** The server doesn't know the session any more. */
export function ended() {
  if (current === null) return;
  current = null;
  write(null);
  tell();
}

/** Waits until there is a session. */
export function renewed() {
  return current === null ? new Promise((go) => waiting.push(go)) : Promise.resolve();
}

function tell() {
  for (const f of heard) f(current !== null);
}

// A browser may forbid storage: the session is then as long as the page.
function read() {
  try {
    return sessionStorage.getItem(PLACE);
  } catch {
    return null;
  }
}

function write(value) {
  try {
    if (value === null) sessionStorage.removeItem(PLACE);
    else sessionStorage.setItem(PLACE, value);
  } catch {
    // See above.
  }
}
