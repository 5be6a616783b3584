// The main thread's end of `rows.worker.js`: questions and their answers.
//
// Invariants:
// - Answers come in the order of the questions, so that of two questions for the same the later one counts.
// - A question that will have no answer, since the worker couldn't be loaded, fails; a new link asks for the worker again.

import { ApiError } from "./api.js";

const policy = globalThis.trustedTypes?.createPolicy("keyfs", {
  createScriptURL: (url) => {
    if (url !== "/page/rows.worker.js") throw new TypeError("no worker of this page");
    return url;
  },
});

export class RowsLink {
  #worker = new Worker(policy ? policy.createScriptURL("/page/rows.worker.js") : "/page/rows.worker.js", { type: "module" });
  #waiting = new Map();
  #last = 0;
  isBroken = false;

  constructor() {
    this.#worker.onmessage = ({ data }) => {
      this.#waiting.get(data.question)?.answer(data);
      this.#waiting.delete(data.question);
    };
    this.#worker.onerror = (event) => {
      // One without a message tells of a file that didn't come, not of a script that failed.
      if (event.message === undefined) this.#break();
      else reportError(event.error ?? new Error(event.message));
    };
  }

  /** Asks; `window` is which rows are to come along, `keep` the paths whose places are wanted. */
  ask(kind, given = {}, transfer = []) {
    this.#last += 1;
    const question = this.#last;
    return new Promise((answer, fail) => {
      if (this.isBroken) {
        fail(lacking());
        return;
      }
      this.#waiting.set(question, { answer, fail });
      this.#worker.postMessage({ kind, question, ...given }, transfer);
    });
  }

  #break() {
    this.isBroken = true;
    this.#worker.terminate();
    for (const { fail } of this.#waiting.values()) fail(lacking());
    this.#waiting.clear();
  }
}

function lacking() {
  return new ApiError({ status: 0, code: "unreachable", message: "The page couldn't load the part of itself that lists keys." });
}
