// The view of keys.

import { get } from "./api.js";

export class KeysView {
  #element;
  #place;

  constructor(element, { environment, tree }) {
    this.#element = element;
    this.#place = { environment, tree };
  }

  async start() {
    const { keys } = await get("/api/keys", this.#place);
    this.#element.textContent = keys.join("\n");
  }

  end() {}

  focus() {
    return false;
  }
}
