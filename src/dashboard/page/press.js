// A finger that is held on a row asks for its menu.
//
// Invariant: what the browser makes of the finger when it is lifted is no click.

/** Milliseconds of a touch that asks for it, and pixels that it may move meanwhile. */
const LONG_PRESS = 500, SLIP = 10;
/** Milliseconds after a finger was lifted in which a browser tells of it as of a mouse. */
const LIFT = 400;

export class LongPress {
  #press = null;
  #until = -Infinity;

  /** `pressed(target)` gives what is called with the point once the touch was long, or null where no menu is to be had. */
  constructor(home, pressed) {
    home.addEventListener("pointerdown", (event) => this.#begin(event, pressed));
    for (const name of ["pointerup", "pointercancel", "pointermove"]) home.addEventListener(name, (event) => this.#released(event), { passive: true });
    for (const name of ["mousedown", "click"]) home.addEventListener(name, (event) => this.#lifted(event), true);
    // A browser that knows of long touches itself asks for the menu.
    home.addEventListener("contextmenu", () => this.end());
  }

  end() {
    clearTimeout(this.#press?.timer);
  }

  #begin(event, pressed) {
    this.end();
    this.#press = null;
    const open = event.pointerType === "touch" ? pressed(event.target) : null;
    if (open === null) return;
    const { clientX: x, clientY: y } = event;
    const ask = () => {
      this.#press = { ...this.#press, isLong: true };
      open({ x, y });
    };
    this.#press = { x, y, isLong: false, timer: setTimeout(ask, LONG_PRESS) };
  }

  #released(event) {
    if (this.#press === null) return;
    if (event.type === "pointermove" && Math.hypot(event.clientX - this.#press.x, event.clientY - this.#press.y) < SLIP) return;
    clearTimeout(this.#press.timer);
    if (this.#press.isLong) this.#until = performance.now() + LIFT;
    this.#press = null;
  }

  #lifted(event) {
    if (performance.now() > this.#until) return;
    event.preventDefault();
    event.stopPropagation();
  }
}
