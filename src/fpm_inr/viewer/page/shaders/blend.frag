#version 300 es
// The planes of a spline field blended at one height, point by point of their periodic grid.

precision highp float;
precision highp sampler2DArray;

uniform sampler2DArray planes;
uniform ivec2 gridSize, sumAt;  // the target's first texel is the grid's point `sumAt`
uniform int first;
uniform vec4 weights;

out vec4 result;

void main() {
  ivec2 point = (ivec2(gl_FragCoord.xy) + sumAt + 4 * gridSize) % gridSize;
  vec2 sum = vec2(0.0);
  for (int i = 0; i < BLENDED; i++) {
    sum += weights[i] * texelFetch(planes, ivec3(point, first + i), 0).rg;
  }
  result = vec4(sum, 0.0, 1.0);
}
