// Mouse, pen, touch and wheel on the image, as a few meanings.

const CLICK_PX = 5; // a pointer that moves less than this has clicked

/**
 * @param {HTMLElement} element
 * @param {Object} on pan([dx, dy]), zoom(factor, at), focus(steps), click(at), hover(at or null),
 *   grab(at) -> drag handler {move(at), end()} or null, in CSS pixels of the element
 */
export function listen(element, on) {
  const pointers = new Map();
  let drag = null;
  let travelled = 0;
  const at = (event) => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    if (pointers.size === 1) {
      travelled = 0;
      drag = on.grab(at(event), event.shiftKey);
    } else {
      travelled = Infinity; // two fingers never click
    }
  });

  element.addEventListener("pointermove", (event) => {
    on.hover(at(event));
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = at(event);
    const moved = [now[0] - before[0], now[1] - before[1]];
    if (pointers.size === 1) {
      travelled += Math.hypot(...moved);
      if (drag) drag.move(now);
      else if (travelled >= CLICK_PX) on.pan(moved);
    } else if (pointers.size === 2) {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      const apart = (a) => Math.max(Math.hypot(a[0] - other[0], a[1] - other[1]), 1);
      on.pan([moved[0] / 2, moved[1] / 2]);
      on.zoom(apart(now) / apart(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    }
    pointers.set(event.pointerId, now);
  });

  const end = (event) => {
    if (!pointers.delete(event.pointerId) || pointers.size > 0) return;
    if (drag) drag.end();
    else if (event.type === "pointerup" && travelled < CLICK_PX) on.click(at(event));
    drag = null;
  };
  element.addEventListener("pointerup", end);
  element.addEventListener("pointercancel", end);
  element.addEventListener("pointerleave", () => on.hover(null));

  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaY / (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 3 : 100);
      // a pinch on a touchpad arrives as a wheel with the control key
      if (event.ctrlKey || event.metaKey) on.zoom(Math.exp(-lines), at(event));
      else on.focus(-lines);
    },
    { passive: false },
  );
}
