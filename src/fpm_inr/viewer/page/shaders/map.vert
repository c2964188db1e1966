#version 300 es
// A piece of the map: four corners on the canvas, and where they lie in a tile and in a block of depth.

uniform vec2 corners[4];  // clip space: top left, top right, bottom left, bottom right
uniform vec4 inTile, inDepth;  // u0, v0, u1, v1

out vec2 tilePlace, depthPlace;

void main() {
  vec2 share = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  gl_Position = vec4(corners[gl_VertexID], 0.0, 1.0);
  tilePlace = mix(inTile.xy, inTile.zw, share);
  depthPlace = mix(inDepth.xy, inDepth.zw, share);
}
