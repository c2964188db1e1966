#version 300 es
// One sample of a spline field a fragment: its planes' grid, interpolated by TAPS x TAPS points.
// Without BLENDED, the planes are blended already; with it, that number of them is blended here; with
// AT_DEPTH, at a height of each sample's own.

precision highp float;
precision highp sampler2DArray;

uniform vec2 imageSize;
uniform vec2 corner, origin, stepX, stepY;  // as in neural.frag
uniform ivec2 gridSize;
uniform float beta;
#ifdef BLENDED
uniform sampler2DArray planes;
#ifdef AT_DEPTH
uniform sampler2D depth;  // red: 0 to 1 over the z range; green: phase to take off
uniform int planeCount;
#else
uniform int first;
uniform vec4 weights;
#endif
#else
uniform sampler2D sum;
uniform ivec2 sumAt;  // the grid's point in the first texel
#endif

out vec4 result;

float kernel(float away) {
  float x = away * (2.0 / float(TAPS));
  return exp(beta * (sqrt(max(1.0 - x * x, 0.0)) - 1.0));
}

void main() {
  vec2 sampleAt = gl_FragCoord.xy - corner;
  vec2 place = origin + stepX * sampleAt.x + stepY * sampleAt.y;
  // pixel i lies at i / side of the period
  vec2 at = (place - 0.5) * vec2(gridSize) / imageSize;
  vec2 start = floor(at - 0.5 * float(TAPS)) + 1.0;
  float across[TAPS];
  for (int i = 0; i < TAPS; i++) across[i] = kernel(at.x - start.x - float(i));
#ifdef AT_DEPTH
  vec2 own = texture(depth, place / imageSize).rg;
  float position = clamp(own.r, 0.0, 1.0) * float(planeCount - 3);
  int first = min(int(position), planeCount - 4);
  float t = position - float(first), s = 1.0 - t;
  vec4 weights = vec4(s * s * s, (3.0 * t - 6.0) * t * t + 4.0,
                      ((3.0 - 3.0 * t) * t + 3.0) * t + 1.0, t * t * t) / 6.0;
#endif
#ifdef BLENDED
  ivec2 begin = (ivec2(start) + 4 * gridSize) % gridSize;
#else
  ivec2 begin = ivec2(start) - sumAt;
#endif
  vec2 value = vec2(0.0);
  for (int j = 0; j < TAPS; j++) {
    vec2 row = vec2(0.0);
    for (int i = 0; i < TAPS; i++) {
#ifdef BLENDED
      ivec2 point = begin + ivec2(i, j);
      point -= gridSize * ivec2(greaterThanEqual(point, gridSize));
      vec2 blend = vec2(0.0);
      for (int p = 0; p < BLENDED; p++) {
        blend += weights[p] * texelFetch(planes, ivec3(point, first + p), 0).rg;
      }
      row += across[i] * blend;
#else
      row += across[i] * texelFetch(sum, begin + ivec2(i, j), 0).rg;
#endif
    }
    value += kernel(at.y - start.y - float(j)) * row;
  }
  float phase = value == vec2(0.0) ? 0.0 : atan(value.y, value.x);
#ifdef AT_DEPTH
  phase -= own.g;
  phase = atan(sin(phase), cos(phase));
#endif
  result = vec4(length(value), phase, 0.0, 1.0);
}
