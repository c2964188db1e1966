// What is drawn over the image: scale bar, divider, focus point, profile line.

import { lengthText, roundLength } from "./statistics.js";

const RIM = "rgb(0 0 0 / 75%)";
const INK = "#fff";
const ACCENT = "#ffb454";

/**
 * @param {CanvasRenderingContext2D} context cleared and drawn in canvas pixels
 * @param {Object} scene ratio (device pixels a CSS pixel), umPerPx (um a canvas pixel), divider
 *   (canvas x or null), names of the panes, point and line in canvas pixels, or null
 */
export function drawOverlay(context, scene) {
  const { width, height } = context.canvas;
  const px = (css) => css * scene.ratio;
  context.clearRect(0, 0, width, height);
  context.font = `${px(13)}px system-ui, sans-serif`;
  context.lineJoin = "round";
  drawScaleBar(context, scene, px);
  if (scene.divider !== null) drawDivider(context, scene, px);
  if (scene.point) drawPoint(context, scene.point, px);
  if (scene.line) drawLine(context, scene.line, px);
}

function drawScaleBar(context, { umPerPx }, px) {
  const { width, height } = context.canvas;
  const um = roundLength(Math.min(width / 4, px(180)) * umPerPx);
  const length = um / umPerPx;
  const [x, y] = [px(14), height - px(16)];
  context.fillStyle = RIM;
  context.fillRect(x - px(1.5), y - px(1.5), length + px(3), px(4) + px(3));
  context.fillStyle = INK;
  context.fillRect(x, y, length, px(4));
  outlined(context, lengthText(um), x, y - px(7), "left", px);
}

function drawDivider(context, { divider, names }, px) {
  const { width, height } = context.canvas;
  stroke(context, px, INK, () => {
    context.moveTo(divider, 0);
    context.lineTo(divider, height);
  });
  context.beginPath();
  context.arc(divider, height / 2, px(13), 0, 2 * Math.PI);
  context.fillStyle = INK;
  context.fill();
  context.fillStyle = "#15181d";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText("◂ ▸", divider, height / 2);
  context.textBaseline = "alphabetic";
  if (divider > px(60)) outlined(context, names[0], divider - px(12), px(76), "right", px);
  if (divider < width - px(60)) outlined(context, names[1], divider + px(12), px(76), "left", px);
}

function drawPoint(context, [x, y], px) {
  stroke(context, px, ACCENT, () => {
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + px(4) * dx, y + px(4) * dy);
      context.lineTo(x + px(12) * dx, y + px(12) * dy);
    }
  });
}

function drawLine(context, [from, to], px) {
  stroke(context, px, ACCENT, () => {
    context.moveTo(...from);
    context.lineTo(...to);
  });
  for (const [x, y] of [from, to]) {
    context.beginPath();
    context.arc(x, y, px(4), 0, 2 * Math.PI);
    context.fillStyle = ACCENT;
    context.fill();
  }
}

function stroke(context, px, ink, path) {
  context.beginPath();
  path();
  for (const [style, width] of [[RIM, 3.5], [ink, 1.5]]) {
    context.strokeStyle = style;
    context.lineWidth = px(width);
    context.stroke();
  }
}

function outlined(context, text, x, y, align, px) {
  context.textAlign = align;
  context.lineWidth = px(3);
  context.strokeStyle = RIM;
  context.strokeText(text, x, y);
  context.fillStyle = INK;
  context.fillText(text, x, y);
}
