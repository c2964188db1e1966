// Where one looks, as the part of an address after its #: z,y,x,zoom and the view. Heights and places
// are in micrometres, places those in the middle of the window; zoom is CSS pixels a pixel of the field.

const VIEWS = ["amplitude", "phase", "focus", "depth"];

/** The text of an app's place. */
export function linkOf({ z, view, camera, field, ratio }) {
  const [x, y] = camera.centre.map((pixel) => (pixel * field.pixelUm).toFixed(2));
  const zoom = +(camera.scale / ratio).toPrecision(5);
  return [z.toFixed(3), y, x, zoom, ...(view === "amplitude" ? [] : [view])].join(",");
}

/** The place that a text tells, or null: {z, centre: [x, y] in pixels, scale, view}. */
export function placeOf(text, { field, ratio }) {
  const [z, y, x, zoom, view = "amplitude"] = text.replace(/^#/, "").split(",");
  const numbers = [z, y, x, zoom].map((part) => (part?.trim() ? Number(part) : NaN));
  if (!numbers.every(Number.isFinite) || numbers[3] <= 0 || !VIEWS.includes(view)) return null;
  return {
    z: numbers[0],
    centre: [numbers[2] / field.pixelUm, numbers[1] / field.pixelUm],
    scale: numbers[3] * ratio,
    view,
  };
}
