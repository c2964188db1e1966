#version 300 es
// A piece of the map: planes summed at a height, as colours, or as amplitude and phase. The page
// defines CHANNELS: of several wavelengths, whose planes lie one after the other.

precision highp float;
precision highp sampler2DArray;

uniform sampler2DArray planes;
uniform sampler2D colours;  // row 0: cyclic; row 1: depth
uniform sampler2D depth;    // red: 0 to 1 over the z range
uniform bool atDepth;       // at a height of each fragment's own
uniform ivec3 place[CHANNELS];  // first plane of all, how many, and the first that counts here
uniform vec4 weights[CHANNELS];
uniform vec2 own[CHANNELS];  // share of its own range = x + y * share of the range
uniform vec3 part[CHANNELS];  // linear sRGB of an intensity of 1
uniform int channel;  // the one that is shown where it is no colour
uniform int view;  // 0 amplitude, 1 phase, 2 depth, 3 colour, 4 amplitude and phase, to be read back
uniform bool cyclic;
uniform vec2 range;       // shown as the ends of the scale
uniform float reference;  // phase shown as zero

in vec2 tilePlace, depthPlace;
out vec4 colour;

vec2 blended(int start, vec4 shares) {
  vec2 sum = vec2(0.0);
  for (int i = 0; i < 4; i++) {
    if (shares[i] != 0.0) sum += shares[i] * texture(planes, vec3(tilePlace, start + i)).rg;
  }
  return sum;
}

vec2 fieldOf(int n, float height) {
  if (!atDepth) return blended(place[n].x + place[n].z, weights[n]);
  int count = place[n].y;
  float position = clamp(own[n].x + own[n].y * height, 0.0, 1.0) * float(count - 3);
  int start = min(int(position), count - 4);
  float t = position - float(start), s = 1.0 - t;
  vec4 cubic = vec4(s * s * s, (3.0 * t - 6.0) * t * t + 4.0,
                    ((3.0 - 3.0 * t) * t + 3.0) * t + 1.0, t * t * t) / 6.0;
  return blended(place[n].x + start, cubic);
}

void main() {
  float height = texture(depth, depthPlace).r;
  if (view == 2) {
    float at = clamp((height - range.x) / (range.y - range.x), 0.0, 1.0);
    colour = texelFetch(colours, ivec2(int(at * 255.0 + 0.5), 1), 0);
    return;
  }
  if (view == 3) {
    vec3 linear = vec3(0.0);
    for (int n = 0; n < CHANNELS; n++) {
      if (part[n] == vec3(0.0)) continue;
      vec2 value = fieldOf(n, height);
      linear += part[n] * dot(value, value);
    }
    linear = clamp(linear, 0.0, 1.0);
    vec3 curved = 1.055 * pow(linear, vec3(1.0 / 2.4)) - 0.055;
    colour = vec4(mix(curved, 12.92 * linear, lessThanEqual(linear, vec3(0.0031308))), 1.0);
    return;
  }
  vec2 value = fieldOf(channel, height);
  float phase = value == vec2(0.0) ? 0.0 : atan(value.y, value.x);
  if (view == 4) {
    colour = vec4(length(value), phase, 0.0, 1.0);
    return;
  }
  float relative = phase - reference;
  float shown = view == 1 ? atan(sin(relative), cos(relative)) : length(value);
  float fraction = (shown - range.x) / (range.y - range.x);
  if (view == 1 && cyclic) {
    float turn = fract(fraction);
    colour = vec4(texelFetch(colours, ivec2(int(turn * 256.0 + 0.5) % 256, 0), 0).rgb, 1.0);
  } else {
    colour = vec4(vec3(clamp(fraction, 0.0, 1.0)), 1.0);
  }
}
