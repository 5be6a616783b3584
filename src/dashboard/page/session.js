// The session of this tab: taken from the link that `dt dashboard` prints, and taken anew when it has ended.
//
// Invariants:
// - The link's token is out of the address before anything else runs, and is written down nowhere.
// - The session is kept for this tab alone, in sessionStorage.
// - Whoever waits for a session goes on when there is one; nothing that was typed is touched meanwhile.
// - A session ends by its own refusal alone: neither an answer to one before it nor a link that leads nowhere ends it.
// - A link that is pasted into the address of the running page changes nothing of what is looked at and typed, right or wrong.

import { addressOf, state } from "./state.js";

const PLACE = "keyfs.session";

/** Milliseconds in which a session that was given without asking has to be of use before the next is taken so. */
const USEFUL = 1000;

let current = null;
/** Whether the link gave it. */
let isOfLink = false;
/** When a proxy's user was last given one. */
let given = -Infinity;
let why = null;
let waiting = [];
const heard = new Set(), refused = new Set();

/** The session, or null. */
export const session = () => current;

/** Why the server lets nobody in, whatever link there is: it says so of whom a proxy names. Null where a link is wanted. */
export const refusal = () => why;

/** Calls `f` with whether there is a session, each time that this changes. */
export function onSession(f) {
  heard.add(f);
  return () => heard.delete(f);
}

/** Calls `f` with what is wrong with a link that was pasted into the address. */
export function onWrongLink(f) {
  refused.add(f);
  return () => refused.delete(f);
}

/** Takes what there is: a token in the address, the session of this tab, or one that the server gives without asking. */
export async function begin() {
  const token = tokenIn(location.hash);
  if (token !== null) history.replaceState(null, "", location.pathname);
  current = read();
  if (token !== null) await exchange(token).catch(() => {});
  if (current === null) await take();
  return current !== null;
}

// Before whoever takes the address for what is looked at, or a change of it for a step back: this file is the first to listen.
for (const event of ["popstate", "hashchange"]) addEventListener(event, takePasted);

/** A link that came into the address of the page as it is. */
function takePasted(event) {
  const pasted = tokenIn(location.hash);
  if (pasted === null) return;
  event.stopImmediatePropagation();
  history.replaceState(null, "", state.about === null ? location.pathname : addressOf());
  exchange(pasted).catch(({ message }) => { for (const f of refused) f(message); });
}

/** Takes what is given without a link: behind a proxy that has named the user, nothing is to be shown. */
export async function take() {
  try {
    await exchange(null);
    given = performance.now();
  } catch (error) {
    why = error.status === 401 ? null : error.message;
  }
}

/** The token in a link, or in what was pasted instead of one; null if there is none. */
export function tokenIn(text) {
  return /(?:^|[#&])token=([\w-]+)/.exec(text)?.[1] ?? null;
}

/** Exchanges the token, or nothing (null), for a session. Throws what to tell the user. */
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
  const told = await response.json().catch(() => null);
  if (!response.ok) {
    const { status } = response;
    const link = "This link is of another start of the dashboard, or not whole. Copy it again from where `dt dashboard` runs.";
    const message = status === 401 ? link : (told?.error?.message ?? `The dashboard answered with status ${status} and no reason.`);
    throw Object.assign(new Error(message), { status });
  }
  if (typeof told?.session !== "string") throw new Error("The dashboard’s answer broke off. Try again.");
  current = told.session;
  isOfLink = token !== null;
  why = null;
  write(current);
  for (const go of waiting.splice(0)) go();
  tell();
}

/** The server doesn't know this session any more. */
export async function ended(session) {
  if (current === null || session !== current) return;
  current = null;
  write(null);
  // A proxy's user has a new one for the asking; whoever waits goes on then.
  if (!isOfLink && performance.now() - given > USEFUL) await take();
  if (current === null) tell();
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
