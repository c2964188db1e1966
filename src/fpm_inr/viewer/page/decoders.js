// The decoders as GLSL: every weight a constant, every loop written out. Software renderers run this
// five to ten times as fast as loops over uniform arrays, and no card limits the size of an array.

const LAYER_NORM_EPSILON = 1e-5;

/** GLSL functions amplitudeOf and phaseOf of a neural field of `readField`. */
export function decodersText(field) {
  return ["amplitudeOf", "phaseOf"].map((name, n) => decoderText(field, name, n)).join("\n");
}

function decoderText(field, name, n) {
  const { channels, hidden } = field;
  const part = (values, count) => values.subarray(n * count, (n + 1) * count);
  const quads = Math.ceil(hidden / 4);
  const last = Array.from({ length: quads }, (_, i) =>
    ` + dot(${vector(part(field.weight3, hidden), 4 * i)}, b${i})`);
  return [
    `float ${name}(vec4 features[${Math.ceil(channels / 4)}]) {`,
    layer("a", (j) => `features[${j}]`, part(field.weight1, hidden * channels),
      part(field.bias1, hidden), channels),
    activation("a", hidden, field.layerNorm),
    layer("b", (j) => `a${j}`, part(field.weight2, hidden * hidden),
      part(field.bias2, hidden), hidden),
    activation("b", hidden, field.layerNorm),
    `  return ${number(field.bias3[n])}${last.join("")};`,
    "}\n",
  ].join("\n");
}

/** Lines that compute vec4s <out>0, <out>1, ... = weight * inputs + bias, filled up with zeros. */
function layer(out, input, weight, bias, inputs) {
  const lines = [];
  for (let i = 0; 4 * i < bias.length; i++) {
    let sum = vector(bias, 4 * i);
    for (let j = 0; 4 * j < inputs; j++) {
      sum += `\n    + ${matrix(weight, bias.length, inputs, 4 * i, 4 * j)} * ${input(j)}`;
    }
    lines.push(`  vec4 ${out}${i} = ${sum};`);
  }
  return lines.join("\n");
}

function activation(name, hidden, layerNorm) {
  const units = Array.from({ length: Math.ceil(hidden / 4) }, (_, i) => `${name}${i}`);
  const relu = units.map((unit) => `  ${unit} = max(${unit}, 0.0);`);
  if (!layerNorm) return relu.join("\n");
  const [mean, variance] = [`${name}Mean`, `${name}Variance`];
  const padding = 4 * units.length - hidden; // units that are zero, and must not count
  return [
    `  float ${mean} = (${units.map((unit) => `dot(${unit}, vec4(1.0))`).join(" + ")})`,
    `    / ${number(hidden)};`,
    ...units.map((unit) => `  ${unit} -= ${mean};`),
    `  float ${variance} = (${units.map((unit) => `dot(${unit}, ${unit})`).join(" + ")}`,
    `    - ${number(padding)} * ${mean} * ${mean}) / ${number(hidden)};`,
    ...units.map(
      (unit) => `  ${unit} *= inversesqrt(${variance} + ${number(LAYER_NORM_EPSILON)});`),
    ...relu,
  ].join("\n");
}

/** A 4 x 4 block of [rows, columns], column by column. */
function matrix(values, rows, columns, row, column) {
  const entries = Array.from({ length: 16 }, (_, k) => {
    const [r, c] = [row + (k & 3), column + (k >> 2)];
    return number(r < rows && c < columns ? values[r * columns + c] : 0);
  });
  return `mat4(${entries.join(",")})`;
}

function vector(values, start) {
  const entries = Array.from({ length: 4 }, (_, k) => number(values[start + k] ?? 0));
  return `vec4(${entries.join(",")})`;
}

function number(value) {
  return value === 0 ? "0." : value.toExponential(8);
}
