// Which part of the image the canvas shows: pure functions on {centre, scale, turns}.
// centre: image pixel in the middle of the canvas; scale: canvas pixels an image pixel;
// turns: quarter turns of the image, clockwise.

const ZOOM_OUT = 0.25; // of the scale that fits
const ZOOM_IN = 64; // canvas pixels an image pixel, at most

/** The whole image, in the middle. */
export function fitted(width, height, canvas, turns = 0) {
  const [across, down] = turns % 2 ? [height, width] : [width, height];
  return {
    centre: [width / 2, height / 2],
    scale: Math.min(canvas.width / across, canvas.height / down),
    turns,
  };
}

/** Affine map from canvas pixels (y down) to image pixels: origin + x toX + y toY. */
export function toImage({ centre, scale, turns }, canvas) {
  const [cos, sin] = quarter(turns);
  const toX = [cos / scale, -sin / scale];
  const toY = [sin / scale, cos / scale];
  const origin = centre.map(
    (value, axis) => value - (toX[axis] * canvas.width + toY[axis] * canvas.height) / 2);
  return { origin, toX, toY };
}

export function imagePoint(camera, canvas, [x, y]) {
  const { origin, toX, toY } = toImage(camera, canvas);
  return [origin[0] + x * toX[0] + y * toY[0], origin[1] + x * toX[1] + y * toY[1]];
}

export function canvasPoint({ centre, scale, turns }, canvas, [x, y]) {
  const [cos, sin] = quarter(turns);
  const [dx, dy] = [(x - centre[0]) * scale, (y - centre[1]) * scale];
  return [canvas.width / 2 + cos * dx - sin * dy, canvas.height / 2 + sin * dx + cos * dy];
}

/** Image pixels that the canvas covers, [x0, y0, x1, y1], by a map of `toImage`. */
export function visibleArea({ origin, toX, toY }, { width, height }) {
  const far = [0, 1].map((axis) => origin[axis] + toX[axis] * width + toY[axis] * height);
  return [
    Math.min(origin[0], far[0]), Math.min(origin[1], far[1]),
    Math.max(origin[0], far[0]), Math.max(origin[1], far[1]),
  ];
}

/** Zoom by a factor; what lies under `at` (canvas pixels) stays there. */
export function zoomed(camera, canvas, image, factor, at) {
  const fit = fitted(image.width, image.height, canvas, camera.turns).scale;
  const scale = Math.min(Math.max(camera.scale * factor, fit * ZOOM_OUT), Math.max(ZOOM_IN, fit));
  const before = imagePoint(camera, canvas, at);
  const after = imagePoint({ ...camera, scale }, canvas, at);
  const centre = camera.centre.map((value, axis) => value + before[axis] - after[axis]);
  return inside({ ...camera, centre, scale }, image);
}

/** Move what is seen by canvas pixels. */
export function panned(camera, image, [dx, dy]) {
  const [cos, sin] = quarter(camera.turns);
  const centre = [
    camera.centre[0] - (cos * dx + sin * dy) / camera.scale,
    camera.centre[1] - (-sin * dx + cos * dy) / camera.scale,
  ];
  return inside({ ...camera, centre }, image);
}

/**
 * Where another wavelength shows pixel x of an image: x * factor - offset, as `seenBy` takes it.
 * @param {Object} image width, height, pixelUm
 * @param {number} pixelUm of the other
 * @param {{x: number, y: number, magnification: number}} channel how far it lies off, in um
 */
export function chromatic(image, pixelUm, { x, y, magnification }) {
  const ratio = image.pixelUm / pixelUm;
  const sides = [image.width, image.height];
  const offset = [x, y].map((moved, axis) => {
    const middle = (sides[axis] - 1) / 2;
    const centre = ratio * (middle - magnification * (middle + 0.5)) + 0.5;
    return -(centre + moved / pixelUm);
  });
  return { factor: ratio * magnification, offset };
}

/** The same view of an image whose pixel (x, y) lies at (x, y) * factor - offset. */
export function seenBy(map, factor, offset) {
  const scaled = (pair) => pair.map((value) => value * factor);
  return {
    origin: scaled(map.origin).map((value, axis) => value - offset[axis]),
    toX: scaled(map.toX),
    toY: scaled(map.toY),
  };
}

function inside(camera, image) {
  const [x, y] = camera.centre;
  return {
    ...camera,
    centre: [Math.min(Math.max(x, 0), image.width), Math.min(Math.max(y, 0), image.height)],
  };
}

function quarter(turns) {
  return [[1, 0], [0, 1], [-1, 0], [0, -1]][((turns % 4) + 4) % 4];
}
