#version 300 es
// One sample of a stored complex image: the nearest pixel of one plane.

precision highp float;
precision highp sampler2DArray;

uniform sampler2DArray planes;
uniform vec2 imageSize;
uniform vec2 corner, origin, stepX, stepY;  // as in neural.frag
uniform int plane;

out vec4 result;

void main() {
  vec2 sampleAt = gl_FragCoord.xy - corner;
  vec2 place = origin + stepX * sampleAt.x + stepY * sampleAt.y;
  ivec2 pixel = ivec2(clamp(place, vec2(0.0), imageSize - 1.0));
  vec2 value = texelFetch(planes, ivec3(pixel, plane), 0).rg;
  float phase = value == vec2(0.0) ? 0.0 : atan(value.y, value.x);
  result = vec4(length(value), phase, 0.0, 1.0);
}
