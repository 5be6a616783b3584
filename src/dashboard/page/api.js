// The calls to the server: JSON in, JSON out, the session in a header.
//
// Invariants:
// - What fails is an `ApiError` with a line for people, also where the server isn't reached.
// - A call that the server refused for want of a session was not made: it waits for a new session and is made then.

import { ended, renewed, session } from "./session.js";
import { spelled } from "./spelling.js";

export class ApiError extends Error {
  constructor({ status, code, message, field = null, column = null, current = null }) {
    super(spelled(message));
    this.name = "ApiError";
    Object.assign(this, { status, code, field, column, current });
  }
}

/** GET with `parameters` as the query; those that are null or undefined are left out. */
export function get(path, parameters = {}, { signal } = {}) {
  return json(`${path}${query(parameters)}`, { signal });
}

/** POST with `body` as JSON. */
export function post(path, body, { signal } = {}) {
  return json(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
}

/** The answer to a GET as it came, for a worker that makes something of it. */
export function bytes(path, parameters = {}) {
  return answered(`${path}${query(parameters)}`, {}, (response) => response.arrayBuffer());
}

/** A response whose body is read as it comes. */
export async function open(path, parameters = {}, { signal } = {}) {
  const shown = session();
  const response = await call(`${path}${query(parameters)}`, { signal });
  if (response.status === 401) ended(shown);
  if (!response.ok) throw await failure(response);
  return response;
}

function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

function json(path, options) {
  return answered(path, options, (response) => response.json());
}

async function answered(path, options, read) {
  for (;;) {
    await renewed();
    const shown = session();
    const response = await call(path, options);
    if (response.status === 401) {
      // What isn't read holds its connection, of which a browser has few.
      await response.text().catch(() => "");
      ended(shown);
      continue;
    }
    if (!response.ok) throw await failure(response);
    try {
      return await read(response);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw unreachable();
    }
  }
}

async function call(path, options) {
  try {
    return await fetch(path, { ...options, headers: { ...options.headers, "X-Keyfs-Session": session() ?? "" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
}

function unreachable() {
  return new ApiError({ status: 0, code: "unreachable", message: "The dashboard doesn't answer. If `dt dashboard` was ended, start it again and open its new link." });
}

async function failure(response) {
  const told = await response.json().catch(() => null);
  const error = told?.error ?? { code: "internal", message: `The dashboard answered with status ${response.status} and no reason.` };
  return new ApiError({ status: response.status, ...error });
}
