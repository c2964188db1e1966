// A small line plot, drawn as SVG.

const WIDTH = 260;
const HEIGHT = 110;
const LEFT = 8;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 20;

/**
 * Replace what an element shows by a plot.
 * @param {SVGElement} svg
 * @param {{x: number[], y: number[], unit: string, low?: string, high?: string,
 *   marks?: {x: number, kind: string}[]}} plot `unit` labels the ends of the x axis
 */
export function drawPlot(svg, { x, y, unit, marks = [] }) {
  const finite = y.filter(Number.isFinite);
  const [yLow, yHigh] = [Math.min(...finite), Math.max(...finite)];
  const [xLow, xHigh] = [x[0], x[x.length - 1]];
  const atX = (value) => LEFT + ((value - xLow) / (xHigh - xLow || 1)) * (WIDTH - LEFT - RIGHT);
  const atY = (value) =>
    HEIGHT - BOTTOM - ((value - yLow) / (yHigh - yLow || 1)) * (HEIGHT - TOP - BOTTOM);
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  const base = HEIGHT - BOTTOM;
  svg.replaceChildren(
    make("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: base, y2: base }),
    ...marks.map((mark) =>
      make("line", {
        class: mark.kind, x1: atX(mark.x), x2: atX(mark.x), y1: TOP, y2: HEIGHT - BOTTOM,
      })),
    make("polyline", {
      class: "curve",
      points: x.map((value, n) => `${atX(value).toFixed(1)},${atY(y[n]).toFixed(1)}`).join(" "),
    }),
    label(LEFT, "start", short(xLow)),
    label(WIDTH - RIGHT, "end", `${short(xHigh)} ${unit}`),
    label(WIDTH / 2, "middle", `${short(yLow)} to ${short(yHigh)}`),
  );
}

function label(x, anchor, text) {
  const element = make("text", { x, y: HEIGHT - 6, "text-anchor": anchor });
  element.textContent = text;
  return element;
}

function make(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function short(value) {
  return `${+value.toPrecision(3)}`;
}
