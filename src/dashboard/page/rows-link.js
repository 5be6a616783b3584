// The main thread's end of `rows.worker.js`: questions and their answers.
//
// Invariant: answers come in the order of the questions, so that of two questions for the same the later one counts.

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

  constructor() {
    this.#worker.onmessage = ({ data }) => {
      this.#waiting.get(data.question)?.(data);
      this.#waiting.delete(data.question);
    };
    this.#worker.onerror = (event) => reportError(event.error ?? new Error(event.message));
  }

  /** Asks; `window` is which rows are to come along, `keep` the paths whose places are wanted. */
  ask(kind, given = {}, transfer = []) {
    this.#last += 1;
    const question = this.#last;
    return new Promise((answer) => {
      this.#waiting.set(question, answer);
      this.#worker.postMessage({ kind, question, ...given }, transfer);
    });
  }

  end() {
    this.#worker.terminate();
    this.#waiting.clear();
  }
}
