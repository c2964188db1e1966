#version 300 es
// One sample of the neural field a fragment:
//   features = plane(x, y) * code(z);  amplitude, phase = two decoders of two hidden layers.
// The page defines CHANNEL_QUADS (vec4s of channels), SETS (1: both decoders share the features), and
// AT_DEPTH for a height of each sample's own. It writes the decoders, weights as constants, in place
// of the line below: float amplitudeOf(vec4 features[CHANNEL_QUADS]), float phaseOf(...).

precision highp float;
precision highp sampler2DArray;

uniform sampler2DArray plane;
uniform vec2 imageSize;
// Sample (i, j) of the target lies at origin + stepX * i + stepY * j, in image pixels.
uniform vec2 corner, origin, stepX, stepY;
// features = stored * scale + offset: the z code, with the scale of stored bytes folded in
uniform vec4 scale[SETS * CHANNEL_QUADS], offset[SETS * CHANNEL_QUADS];
#ifdef AT_DEPTH
uniform sampler2D depth;  // red: position on the z line, 0 to 1; green: phase to take off
uniform sampler2D line;   // [2 * node, set and channel]: scale, then offset
uniform int lastNode;
#endif

out vec4 result;

// {{decoders}}

vec4 feature(vec2 place, int quad) {
  vec4 stored = texture(plane, vec3(place, quad));
#ifdef AT_DEPTH
  float position = texture(depth, place).r * float(lastNode);
  int node = min(int(position), max(lastNode - 1, 0));
  int next = min(node + 1, lastNode);
  float share = position - float(node);
  vec4 own = mix(texelFetch(line, ivec2(quad, 2 * node), 0),
                 texelFetch(line, ivec2(quad, 2 * next), 0), share);
  return stored * own + mix(texelFetch(line, ivec2(quad, 2 * node + 1), 0),
                            texelFetch(line, ivec2(quad, 2 * next + 1), 0), share);
#else
  return stored * scale[quad] + offset[quad];
#endif
}

void main() {
  vec2 sampleAt = gl_FragCoord.xy - corner;
  vec2 place = (origin + stepX * sampleAt.x + stepY * sampleAt.y) / imageSize;
  vec4 features[CHANNEL_QUADS];
  for (int i = 0; i < CHANNEL_QUADS; i++) features[i] = feature(place, i);
  float amplitude = amplitudeOf(features);
#if SETS == 2
  for (int i = 0; i < CHANNEL_QUADS; i++) features[i] = feature(place, CHANNEL_QUADS + i);
#endif
  float phase = phaseOf(features);
#ifdef AT_DEPTH
  phase -= texture(depth, place).g;
#endif
  if (amplitude < 0.0) phase += 3.14159265358979;
  result = vec4(abs(amplitude), atan(sin(phase), cos(phase)), 0.0, 1.0);
}
