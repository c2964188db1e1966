#version 300 es
// Sums of linear sRGB as colours on the canvas.

precision highp float;

uniform sampler2D sums;  // alpha: how many wavelengths have an image there
uniform float count;     // of wavelengths

out vec4 colour;

void main() {
  vec4 sum = texelFetch(sums, ivec2(gl_FragCoord.xy), 0);
  if (sum.a < count - 0.5) {
    colour = vec4(0.055, 0.063, 0.075, 1.0);
    return;
  }
  vec3 linear = clamp(sum.rgb, 0.0, 1.0);
  vec3 curved = 1.055 * pow(linear, vec3(1.0 / 2.4)) - 0.055;
  colour = vec4(mix(curved, 12.92 * linear, lessThanEqual(linear, vec3(0.0031308))), 1.0);
}
