// Start: read what the page was given, show it, or say why not.

import { App } from "./app.js";
import { FieldError } from "./container.js";
import { connect } from "./controls.js";
import { readField } from "./field.js";
import { MapApp } from "./map.js";
import { fromBase64, readSource } from "./payload.js";

async function start() {
  const config = JSON.parse(document.getElementById("config").textContent);
  const message = document.getElementById("message");
  try {
    const [image, overlay] = ["image", "overlay"].map((id) => document.getElementById(id));
    const look = {
      shaders: config.shaders,
      tables: { cyclic: fromBase64(config.cyclic), depth: fromBase64(config.depth) },
    };
    if (config.map) {
      message.textContent = "";
      show(new MapApp(image, overlay, config.map, look), config);
      return;
    }
    const files = [];
    for (const source of config.sources) {
      const field = readField(await readSource(source));
      files.push({ name: source.name, field, channel: source.channel ?? null });
    }
    message.textContent = "";
    show(new App(image, overlay, files, look), config);
  } catch (error) {
    message.textContent =
      error instanceof FieldError ? error.message : "The field cannot be shown in this browser.";
    if (!(error instanceof FieldError)) console.error(error);
  }
}

function show(app, config) {
  connect(app, config);
  window.fpmInr = app;
  performance.mark("fpm-inr: interactive");
}

start();
