// Buttons, sliders, keys and gestures: they change the app, and show what it shows.

import { VIEWS } from "./app.js";
import { listen } from "./gestures.js";
import { drawPlot } from "./plot.js";

const WHEEL_STEPS = 80; // over the whole range of z
const DIVIDER_GRIP_PX = 22;
const HOVER_MS = 60;

const element = (id) => document.getElementById(id);

/** Connect the page to an app. */
export function connect(app, config) {
  const { field } = app;
  const [low, high] = app.zRange;
  const step = (high - low) / WHEEL_STEPS;
  const css = (point) => point.map((value) => value * app.ratio);
  let isDrawing = false;

  for (const input of [element("z"), element("zNumber")]) {
    input.min = low;
    input.max = high;
    input.disabled = low === high;
  }
  element("z").addEventListener("input", (event) => app.setZ(event.target.valueAsNumber));
  element("zNumber").addEventListener("change", (event) => app.setZ(event.target.valueAsNumber));
  const views = [...document.querySelectorAll("[data-view]")];
  for (const button of views) {
    button.addEventListener("click", () => app.setView(button.dataset.view));
    const needsScan = ["focus", "depth"].includes(button.dataset.view);
    button.disabled =
      (needsScan && !app.canScan) || (button.dataset.view === "phase" && !field.hasPhase);
  }
  const channels = channelButtons(app);
  element("fit").addEventListener("click", () => app.fit());
  element("rotate").addEventListener("click", () => app.rotate());
  element("more").addEventListener("click", (event) => {
    element("panel").hidden = !element("panel").hidden;
    event.target.setAttribute("aria-expanded", String(!element("panel").hidden));
  });
  element("save").addEventListener("click", save);
  element("percent").addEventListener("input", (e) => app.setPercent(e.target.valueAsNumber));
  for (const id of ["black", "white"]) {
    element(id).addEventListener("change", () =>
      app.setRange([element("black").valueAsNumber, element("white").valueAsNumber]));
  }
  element("draw").addEventListener("click", () => setDrawing(!isDrawing));
  element("clear").addEventListener("click", () => app.setLine(null));
  element("about").textContent = about(app, config);
  showWarnings(app);
  if (!app.canFocus) element("focusText").textContent = "This file holds a single height.";
  new ResizeObserver(() => app.resize()).observe(element("image"));

  let hovered = null;
  let isWaiting = false;
  const readout = () => {
    isWaiting = false;
    element("readout").textContent = hovered ? valueText(app, app.placeAt(css(hovered))) : "";
  };
  listen(element("overlay"), {
    pan: (moved) => app.pan(css(moved)),
    zoom: (factor, at) => app.zoom(factor, css(at)),
    focus: (steps) => app.setZ(app.z + steps * step),
    click: (at) => {
      if (isNearDivider(at)) return;
      app.focusOn(app.placeAt(css(at)));
    },
    hover: (at) => {
      hovered = at;
      if (!isWaiting) setTimeout(readout, HOVER_MS);
      isWaiting = true;
    },
    grab: (at, withShift) => {
      if (withShift || isDrawing) {
        const from = app.placeAt(css(at));
        return {
          move: (to) => app.setLine([from, app.placeAt(css(to))]),
          end: () => setDrawing(false),
        };
      }
      if (!isNearDivider(at)) return null;
      return { move: ([x]) => app.setDivider((x * app.ratio) / app.image.width), end: () => {} };
    },
  });

  const keys = {
    ArrowUp: (fine) => app.setZ(app.z + (fine ? step / 10 : step)),
    ArrowDown: (fine) => app.setZ(app.z - (fine ? step / 10 : step)),
    PageUp: () => app.setZ(app.z + 10 * step),
    PageDown: () => app.setZ(app.z - 10 * step),
    Home: () => app.setZ(low),
    End: () => app.setZ(high),
    ArrowLeft: () => app.pan([40 * app.ratio, 0]),
    ArrowRight: () => app.pan([-40 * app.ratio, 0]),
    "+": () => app.zoom(1.25),
    "=": () => app.zoom(1.25),
    "-": () => app.zoom(0.8),
    f: () => app.fit(),
    r: () => app.rotate(),
    p: () => setDrawing(!isDrawing),
    s: save,
    a: () => app.setRange(null),
    c: () => app.setChannels(app.isOn.map(() => true)),
    Escape: () => app.setLine(null),
    ...Object.fromEntries(VIEWS.map((view, n) => [String(n + 1), () => app.setView(view)])),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input")) return;
    const act = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act(event.shiftKey);
  });

  app.onLost = () => {
    element("message").className = "";
    element("message").textContent = "The graphics card was reset. Reload the page.";
  };
  app.onTrouble = (error) => {
    element("message").className = "passing";
    element("message").textContent = error.message;
  };
  app.onProgress = (share) => {
    const message = element("message");
    message.className = share === null ? "" : "passing";
    message.textContent = share === null ? "" : `Looking through focus: ${Math.round(100 * share)} %`;
  };
  app.onChange = show;
  show();

  function isNearDivider([x]) {
    if (app.divider === null) return false;
    return Math.abs(x - (app.divider * app.image.width) / app.ratio) < DIVIDER_GRIP_PX;
  }

  function setDrawing(on) {
    isDrawing = on;
    element("draw").setAttribute("aria-pressed", String(on));
  }

  async function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await app.png());
    link.download = `${app.main.name} ${app.view} z ${app.z.toFixed(2)} um.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function show() {
    element("z").value = app.z;
    if (document.activeElement !== element("zNumber")) element("zNumber").value = app.z.toFixed(2);
    for (const button of views) {
      button.setAttribute("aria-pressed", String(button.dataset.view === app.view));
      if (app.isSet && button.dataset.view === "amplitude") {
        button.textContent = app.isOn.filter(Boolean).length > 1 ? "Colour" : "Amplitude";
      }
    }
    channels.forEach((button, n) => button.setAttribute("aria-pressed", String(app.isOn[n])));
    showContrast(app);
    if (app.focus) showFocus(app);
    const { profile } = app;
    element("profilePlot").toggleAttribute("hidden", !profile); // an SVG has no property of it
    element("clear").hidden = !profile;
    element("profileText").hidden = Boolean(profile);
    if (profile) drawPlot(element("profilePlot"), { x: profile.um, y: profile.values, unit: "µm" });
  }
}

/** One button a wavelength, which takes it in and out; with a double click it is alone. */
function channelButtons(app) {
  const group = element("channels");
  group.hidden = !app.isSet;
  if (!app.isSet) return [];
  return app.panes.map((pane, n) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = pane.name;
    button.title = "In or out (alone: double click; all: C)";
    button.addEventListener("click", () =>
      app.setChannels(app.isOn.map((isOn, other) => (other === n ? !isOn : isOn))));
    button.addEventListener("dblclick", () => app.setChannels(app.isOn.map((_, o) => o === n)));
    group.append(button);
    return button;
  });
}

/** What the result's own file warns of, by pane; text only, as it comes from a file. */
function showWarnings(app) {
  const box = element("warnings");
  for (const { name, field } of app.panes) {
    for (const warning of field.warnings) {
      const line = document.createElement("p");
      line.textContent = app.panes.length > 1 ? `${name}: ${warning}` : warning;
      box.append(line);
    }
  }
  box.hidden = box.querySelector("p") === null;
}

function showContrast(app) {
  const bar = element("colourbar");
  bar.hidden = app.isColour;
  for (const id of ["black", "white", "percent"]) element(id).disabled = app.isColour;
  if (app.isColour) return; // white is white
  const [low, high] = app.range;
  const unit = { phase: "rad", depth: "µm" }[app.view] ?? "√counts";
  const number = (value) => (app.view === "depth" ? +value.toFixed(1) : +value.toPrecision(4));
  const text = (value) => String(number(value)).replace("-", "−");
  element("black").value = number(low);
  element("white").value = number(high);
  element("unit").textContent = `in ${unit}`;
  element("percentText").textContent = `${app.percent} %`;
  element("percent").value = app.percent;
  for (const id of ["black", "white"]) element(id).disabled = app.view === "depth";
  element("percent").disabled = app.view === "depth" || app.view === "phase";
  const isCyclic = app.view === "phase" && high - low > 6.283;
  const table = app.view === "depth" ? app.tables.depth : isCyclic ? app.tables.cyclic : null;
  bar.firstElementChild.style.background = gradient(table);
  element("low").textContent = isCyclic ? "−π" : text(low);
  element("high").textContent = isCyclic ? "π rad" : `${text(high)} ${unit}`;
}

/** CSS of a table of 256 RGB colours; of greys without one. */
function gradient(table) {
  const stops = Array.from({ length: 17 }, (_, n) => {
    const at = 3 * Math.min(16 * n, 255);
    const rgb = table ? table.subarray(at, at + 3) : new Uint8Array(3).fill(at / 3);
    return `rgb(${rgb.join(" ")})`;
  });
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

function showFocus(app) {
  const { z, curve, best, isAtEnd } = app.focus;
  element("focusText").textContent =
    `Sharpest at z = ${best.toFixed(2)} µm` +
    (isAtEnd ? ", an end of the range: focus may lie beyond it." : ".");
  element("focusPlot").removeAttribute("hidden");
  drawPlot(element("focusPlot"), {
    x: z,
    y: curve,
    unit: "µm",
    marks: [{ x: best, kind: "best" }, { x: app.z, kind: "now" }],
  });
}

function valueText(app, place) {
  const value = app.valueAt(place);
  if (!value) return "";
  const um = (pixels) => (pixels * app.field.pixelUm).toFixed(1);
  return [
    `x ${um(value.x)}  y ${um(value.y)} µm`,
    `${value.amplitude.toPrecision(4)} √counts`,
    ...(value.phase === null ? [] : [`${value.phase.toFixed(3)} rad`]),
    ...(value.depth === null ? [] : [`z ${value.depth.toFixed(1)} µm`]),
    ...(value.maps ?? []),
  ].join("   ");
}

function about(app, config) {
  const { field } = app;
  const [low, high] = app.zRange;
  return [
    `${field.width} × ${field.height} pixels of ${field.pixelUm.toPrecision(4)} µm`,
    `z ${+low.toFixed(3)} to ${+high.toFixed(3)} µm`,
    `fpm-inr ${config.version}`,
  ].join("\n");
}
