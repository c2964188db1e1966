#version 300 es
// Amplitude, phase and depth as colours, or a wavelength's part of the colour, at one canvas pixel a fragment.

precision highp float;

uniform sampler2D full;     // one sample a pixel, where `ready` says so
uniform sampler2D ready;    // one texel a tile
uniform sampler2D preview;  // coarser samples: origin and step in image pixels
uniform sampler2D depth;    // red: 0 to 1 over the z range
uniform sampler2D colours;  // row 0: cyclic; row 1: depth
uniform vec2 imageSize, previewOrigin, previewSize;
uniform float previewStep;
uniform int tile;
uniform float canvasHeight;
uniform vec2 toOrigin, toX, toY;  // canvas (x, y from the top) -> image pixels
uniform int view;                 // 0 amplitude, 1 phase, 2 depth, 3 part of a colour
uniform vec3 part;                // linear sRGB of an intensity of 1
uniform bool cyclic;
uniform vec2 range;       // shown as the ends of the scale
uniform float reference;  // phase shown as zero

out vec4 colour;

const int WIDEST = 4;  // samples averaged a side, at most

// Sums of: amplitude, and the field relative to the reference.
vec3 weigh(vec2 value) {
  if (view == 0) return vec3(value.x, 0.0, 0.0);
  if (view == 3) return vec3(value.x * value.x, 0.0, 0.0);
  float angle = value.y - reference;
  return vec3(value.x, value.x * cos(angle), value.x * sin(angle));
}

// Mean over a square of samples; `at` in samples, `width` its side.
vec3 boxed(sampler2D source, vec2 at, float width, ivec2 least, ivec2 most) {
  int count = clamp(int(width + 0.5), 1, WIDEST);
  vec3 sum = vec3(0.0);
  for (int y = 0; y < count; y++) {
    for (int x = 0; x < count; x++) {
      vec2 within = (vec2(x, y) + 0.5) / float(count) - 0.5;
      ivec2 nearest = clamp(ivec2(floor(at + within * width)), least, most);
      sum += weigh(texelFetch(source, nearest, 0).rg);
    }
  }
  return sum / float(count * count);
}

vec3 smoothed(sampler2D source, vec2 at, ivec2 most) {
  vec2 inside = clamp(at - 0.5, vec2(0.0), vec2(most));
  ivec2 low = ivec2(inside), high = min(low + 1, most);
  vec2 share = inside - vec2(low);
  vec3 top = mix(weigh(texelFetch(source, low, 0).rg),
                 weigh(texelFetch(source, ivec2(high.x, low.y), 0).rg), share.x);
  vec3 bottom = mix(weigh(texelFetch(source, ivec2(low.x, high.y), 0).rg),
                    weigh(texelFetch(source, high, 0).rg), share.x);
  return mix(top, bottom, share.y);
}

vec3 fieldAt(vec2 place) {
  float perPixel = length(toX);
  ivec2 cell = ivec2(place) / tile;
  if (texelFetch(ready, cell, 0).r > 0.5) {
    ivec2 least = cell * tile;
    return boxed(full, place, perPixel, least, min(least + tile, ivec2(imageSize)) - 1);
  }
  vec2 at = (place - previewOrigin) / previewStep;
  ivec2 most = ivec2(previewSize) - 1;
  if (previewStep > 1.0 && perPixel < 1.5 * previewStep) return smoothed(preview, at, most);
  return boxed(preview, at, perPixel / previewStep, ivec2(0), most);
}

void main() {
  vec2 canvas = vec2(gl_FragCoord.x, canvasHeight - gl_FragCoord.y);
  vec2 place = toOrigin + toX * canvas.x + toY * canvas.y;
  if (any(lessThan(place, vec2(0.0))) || any(greaterThanEqual(place, imageSize))) {
    colour = view == 3 ? vec4(0.0) : vec4(0.055, 0.063, 0.075, 1.0);
    return;
  }
  if (view == 2) {
    float at = (texture(depth, place / imageSize).r - range.x) / (range.y - range.x);
    colour = texture(colours, vec2((clamp(at, 0.0, 1.0) * 255.0 + 0.5) / 256.0, 0.75));
    return;
  }
  vec3 value = fieldAt(place);
  if (view == 3) {
    colour = vec4(part * value.x, 1.0);
    return;
  }
  float shown = view == 1 ? atan(value.z, value.y) : value.x;
  float fraction = (shown - range.x) / (range.y - range.x);
  if (view == 1 && cyclic) {
    float turn = fract(fraction);
    colour = vec4(texelFetch(colours, ivec2(int(turn * 256.0 + 0.5) % 256, 0), 0).rgb, 1.0);
  } else {
    colour = vec4(vec3(clamp(fraction, 0.0, 1.0)), 1.0);
  }
}
