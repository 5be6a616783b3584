// A text field that suggests what may be meant: a combobox with a list, after the ARIA authoring practices.
//
// Invariants:
// - What is typed is never changed but by a choice; the list may be ignored.
// - Escape closes the list first, and only then what the field stands in.
//
// It deliberately holds no value: whoever shows it passes `.model` at each drawing, and hears `onType` and `onChoose`.

import { named } from "./names.js";
import { html, nothing, render } from "./vendor/lit-html.js";

/** More suggestions than these help nobody. */
const MOST = 60;

class Combobox extends HTMLElement {
  #model = null;
  #open = false;
  #active = -1;
  #options = [];

  /** `{id, value, label?, placeholder?, invalid?, describedby?, suggest: (typed) => [{value, detail?}], onType, onChoose?, onLeave?, onEnter?}` */
  set model(model) {
    this.#model = model;
    if (this.isConnected) this.#draw();
  }

  connectedCallback() {
    if (this.#model) this.#draw();
  }

  disconnectedCallback() {
    this.#open = false;
    removeEventListener("scroll", this.#scrolled, true);
  }

  get #listId() {
    return `${this.#model.id}-list`;
  }

  #draw() {
    const model = this.#model;
    this.#options = this.#open ? model.suggest(model.value).slice(0, MOST) : [];
    const shown = this.#open && this.#options.length > 0;
    if (this.#active >= this.#options.length) this.#active = -1;
    render(html`
      <input type="text" class="field" id=${model.id} role="combobox" aria-autocomplete="list" aria-haspopup="listbox"
        aria-expanded=${shown} aria-controls=${this.#listId}
        aria-activedescendant=${shown && this.#active >= 0 ? `${this.#listId}-${this.#active}` : nothing}
        aria-label=${model.label ?? nothing} aria-invalid=${model.invalid ? "true" : nothing} aria-describedby=${model.describedby || nothing}
        aria-required=${model.required ? "true" : nothing}
        placeholder=${model.placeholder ?? nothing} autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck="false"
        .value=${model.value} @input=${this.#typed} @keydown=${this.#pressed} @blur=${this.#left} @click=${this.#clicked}>
      <ul class="combobox-list" role="listbox" id=${this.#listId} popover="manual" aria-label=${model.listLabel ?? "Suggestions"}>
        ${this.#options.map((option, at) => html`
          <li role="option" id="${this.#listId}-${at}" aria-selected=${at === this.#active}
            @pointerdown=${(event) => event.preventDefault()} @click=${() => this.#choose(option)}>
            <span class="combobox-value">${named(option.value)}</span>${option.detail ? html`<span class="combobox-detail">${option.detail}</span>` : nothing}
          </li>`)}
      </ul>`, this);
    this.#place(shown);
  }

  /** The list stands in the top layer, so that no dialog cuts it off. */
  #place(shown) {
    const list = this.querySelector(".combobox-list");
    if (!shown) {
      removeEventListener("scroll", this.#scrolled, true);
      if (list.matches(":popover-open")) list.hidePopover();
      return;
    }
    addEventListener("scroll", this.#scrolled, true);
    if (!list.matches(":popover-open")) list.showPopover();
    const box = this.querySelector("input").getBoundingClientRect();
    const below = innerHeight - box.bottom - 12, above = box.top - 12;
    const up = below < 160 && above > below;
    const set = (name, value) => list.style.setProperty(name, value);
    set("left", `${box.left}px`);
    set("width", `${box.width}px`);
    set("max-height", `${Math.min(280, up ? above : below)}px`);
    set("top", up ? "auto" : `${box.bottom + 4}px`);
    set("bottom", up ? `${innerHeight - box.top + 4}px` : "auto");
    if (this.#active >= 0) list.children[this.#active]?.scrollIntoView({ block: "nearest" });
  }

  #show(open) {
    this.#open = open;
    if (!open) this.#active = -1;
    this.#draw();
  }

  /** The list stands still while what is below it moves: it goes. */
  #scrolled = (event) => {
    if (!this.contains(event.target)) this.#show(false);
  };

  #typed = (event) => {
    this.#open = true;
    this.#active = -1;
    this.#model.onType(event.target.value);
    this.#draw();
  };

  #clicked = () => this.#show(!this.#open);

  #left = () => {
    this.#show(false);
    this.#model.onLeave?.();
  };

  #choose(option) {
    this.#open = false;
    this.#active = -1;
    (this.#model.onChoose ?? this.#model.onType)(option.value);
    this.#draw();
    this.querySelector("input").focus();
  }

  #pressed = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      this.#move(step);
    } else if (event.key === "Escape" && this.#open && this.#options.length > 0) {
      event.preventDefault();
      event.stopPropagation();
      this.#show(false);
    } else if (event.key === "Enter") {
      if (this.#active >= 0) {
        event.preventDefault();
        this.#choose(this.#options[this.#active]);
      } else if (this.#model.onEnter) {
        event.preventDefault();
        this.#open = false;
        this.#model.onEnter();
        this.#draw();
      }
    }
  };

  #move(step) {
    if (!this.#open) {
      this.#open = true;
      this.#active = -1;
      this.#draw();
    }
    const count = this.#options.length;
    if (count === 0) return;
    this.#active = this.#active < 0 ? (step > 0 ? 0 : count - 1) : (this.#active + step + count) % count;
    this.#draw();
  }
}

customElements.define("keyfs-combobox", Combobox);
