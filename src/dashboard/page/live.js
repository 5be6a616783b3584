// What changes on the mount, as it happens: a stream that is read as long as the tab is seen.
//
// Invariants:
// - Each change is told once and in order; where some may have been missed, `onLost` says so and nothing is guessed.
// - It connects again by itself, from where it was, until the page is left; a hidden tab holds no connection.
//
// It deliberately doesn't know what a change means to whoever hears it.

import { open } from "./api.js";
import { renewed } from "./session.js";

/** Milliseconds before it tries again, for each failure in a row. */
const PAUSES = [100, 300, 1000, 2000];

/** A stream that is silent for longer is no stream any more; it says something every 15 s. */
const SILENCE = 40_000;

const changes = new Set(), losses = new Set(), watchers = new Set();

/** `state` is "connecting", "live" or "off"; `why` is why it is off. */
let connection = { state: "connecting", why: "" };
let cursor = null;
let wasLive = false;
let reading = null;
let wake = () => {};

/** Calls `f` with each change. Gives what ends that. */
export function onChange(f) {
  return listen(changes, f);
}

/** Calls `f` when changes may have been missed: what was seen is to be looked at anew. */
export function onLost(f) {
  return listen(losses, f);
}

/** Calls `f` with the connection's state, now and when it changes. */
export function onConnection(f) {
  f(connection);
  return listen(watchers, f);
}

/** Follows the stream from now on. */
export async function start() {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) reading?.abort();
    else wake();
  });
  addEventListener("online", () => wake());
  for (let failures = 0; ; ) {
    await Promise.all([seen(), renewed()]);
    try {
      await follow(() => { failures = 0; });
      tell("connecting");
    } catch (error) {
      // For want of a session it waits for the next one.
      if (error.name === "AbortError" || error.status === 401) tell("connecting");
      else tell("off", error.message);
    }
    if (!document.hidden) await pause(PAUSES[Math.min(failures, PAUSES.length - 1)]);
    failures += 1;
  }
}

function listen(set, f) {
  set.add(f);
  return () => set.delete(f);
}

function tell(state, why = "") {
  if (state === connection.state && why === connection.why) return;
  connection = { state, why };
  for (const f of watchers) f(connection);
}

function seen() {
  if (!document.hidden) return null;
  return new Promise((go) => { wake = go; });
}

function pause(milliseconds) {
  return new Promise((go) => {
    wake = go;
    setTimeout(go, milliseconds);
  });
}

/** Reads one stream to its end. */
async function follow(isLive) {
  reading = new AbortController();
  const { signal } = reading;
  let silence = 0;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => reading.abort(), SILENCE);
  };
  try {
    heard();
    const response = await open("/api/events", { cursor }, { signal });
    for await (const line of lines(response.body)) {
      heard();
      if (line.kind === "ready") isLive();
      take(line);
    }
  } finally {
    clearTimeout(silence);
  }
}

function take(line) {
  if (line.kind === "ready") {
    // Without a cursor nothing says what happened since the last stream.
    if (wasLive && cursor === null) emit(losses);
    wasLive = true;
    tell("live");
  } else if (line.kind === "lost") {
    cursor = line.cursor ?? null;
    emit(losses);
  } else if (line.kind === "change") {
    cursor = line.cursor;
    emit(changes, line);
  }
}

function emit(set, ...what) {
  for (const f of [...set]) {
    try {
      f(...what);
    } catch (error) {
      // One that fails takes nothing from the others.
      reportError(error);
    }
  }
}

async function* lines(body) {
  const decoder = new TextDecoder();
  let rest = "";
  const reader = body.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = parts.pop();
      for (const part of parts) if (part !== "") yield JSON.parse(part);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
