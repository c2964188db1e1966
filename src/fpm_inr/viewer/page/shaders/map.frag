#version 300 es
// A piece of the map: planes summed at a height, as colours, or as amplitude and phase.

precision highp float;
precision highp sampler2DArray;

uniform sampler2DArray planes;
uniform sampler2D colours;  // row 0: cyclic; row 1: depth
uniform int first;
uniform vec4 weights;
uniform int view;  // 0 amplitude, 1 phase, 4 both, to be read back
uniform bool cyclic;
uniform vec2 range;       // shown as the ends of the scale
uniform float reference;  // phase shown as zero

in vec2 tilePlace, fieldPlace;
out vec4 colour;

void main() {
  vec2 value = vec2(0.0);
  for (int i = 0; i < 4; i++) {
    if (weights[i] != 0.0) value += weights[i] * texture(planes, vec3(tilePlace, first + i)).rg;
  }
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
