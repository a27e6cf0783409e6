// One splat, one pixel: the mathematics of cuda_ext/include/splat.h, sh.h and blend.h, for the graphics card.
import { LOG_OFFSET, LOG_STEPS, WIDTH } from "./store.js";

/** Quads of `batch` splats an instance; which splat it is, the texture `order` says. */
export const splatVertex = (batch) => `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp usampler2D;

uniform sampler2D place, life;
uniform usampler2D shape, tint, sheen, order;
uniform uint still, count;
uniform int coefficients, sheenTexels;
uniform float time_s;
uniform mat3 R;          // cam_from_world
uniform vec3 eye;
uniform vec4 lens;       // fx, fy, cx, cy
uniform float skew;
uniform vec4 bounds;     // x_min, x_max, y_min, y_max of the Jacobian
uniform float scale_max;
uniform vec2 size;       // width, height in pixels
uniform float near, eps2d;
uniform int mode;        // 0 colour, 1 depth, 2 source
uniform float depth_unit;
uniform vec3 accent;

flat out vec4 colour;    // rgb, log2(opacity)
out vec2 uv;

const float LOG2_ALPHA_MIN = -7.9943534368588578;
const float HALF_LOG2E = 0.72134752;

ivec2 texel(uint i) { return ivec2(int(i % ${WIDTH}u), int(i / ${WIDTH}u)); }

float coefficient(uint i, int n) {
  uint word = uint(n) >> 1u;
  uvec4 four = texelFetch(sheen, texel(i * uint(sheenTexels) + (word >> 2u)), 0);
  uint pair = word % 4u == 0u ? four.x : word % 4u == 1u ? four.y : word % 4u == 2u ? four.z : four.w;
  vec2 both = unpackHalf2x16(pair);
  return (n & 1) == 0 ? both.x : both.y;
}

vec3 harmonic(uint i, int k) {
  return vec3(coefficient(i, 3 * k), coefficient(i, 3 * k + 1), coefficient(i, 3 * k + 2));
}

vec3 shine(uint i, vec3 d) {
  vec3 sum = -0.488602512 * d.y * harmonic(i, 0) + 0.488602512 * d.z * harmonic(i, 1)
    - 0.488602512 * d.x * harmonic(i, 2);
  if (coefficients <= 4) return sum;
  float xx = d.x * d.x, yy = d.y * d.y, zz = d.z * d.z;
  sum += 1.09254843 * d.x * d.y * harmonic(i, 3) - 1.09254843 * d.y * d.z * harmonic(i, 4)
    + 0.315391565 * (2.0 * zz - xx - yy) * harmonic(i, 5) - 1.09254843 * d.x * d.z * harmonic(i, 6)
    + 0.546274215 * (xx - yy) * harmonic(i, 7);
  if (coefficients <= 9) return sum;
  return sum - 0.59004359 * d.y * (3.0 * xx - yy) * harmonic(i, 8)
    + 2.89061144 * d.x * d.y * d.z * harmonic(i, 9)
    - 0.457045799 * d.y * (4.0 * zz - xx - yy) * harmonic(i, 10)
    + 0.373176333 * d.z * (2.0 * zz - 3.0 * xx - 3.0 * yy) * harmonic(i, 11)
    - 0.457045799 * d.x * (4.0 * zz - xx - yy) * harmonic(i, 12)
    + 1.44530572 * d.z * (xx - yy) * harmonic(i, 13)
    - 0.59004359 * d.x * (xx - 3.0 * yy) * harmonic(i, 14);
}

void main() {
  gl_Position = vec4(0.0, 0.0, 2.0, 1.0);  // Outside: what is not seen is not drawn.
  uint number = uint(gl_InstanceID) * ${batch}u + (uint(gl_VertexID) >> 2u);
  if (number >= count) return;
  uint index = texelFetch(order, texel(number), 0).x;
  vec4 here = texelFetch(place, texel(index), 0);
  uvec4 form = texelFetch(shape, texel(index), 0);
  uvec2 paint = texelFetch(tint, texel(index), 0).xy;
  vec3 mean = here.xyz;
  float opacity = float(form.w >> 16u) / 65535.0;
  if (index >= still) {
    vec4 flight = texelFetch(life, texel(index - still), 0);
    float dt = time_s - flight.w;
    mean += flight.xyz * dt;
    float age = dt * here.w;
    opacity *= exp2(-HALF_LOG2E * age * age);
  }
  vec3 p = R * (mean - eye);
  if (!(p.z > near)) return;
  float inv_z = 1.0 / p.z;
  vec2 n = p.xy * inv_z;
  vec2 centre = vec2(lens.x * n.x + skew * n.y + lens.z, lens.y * n.y + lens.w);
  vec2 nc = vec2(clamp(n.x, bounds.x, bounds.y), clamp(n.y, bounds.z, bounds.w));
  // The rows of the Jacobian, then x cam_from_world: v * M multiplies a row from the left.
  vec3 ja = vec3(lens.x, skew, -(lens.x * nc.x + skew * nc.y)) * inv_z * R;
  vec3 jb = vec3(0.0, lens.y, -lens.y * nc.y) * inv_z * R;
  vec4 q = normalize(vec4(unpackSnorm2x16(form.x), unpackSnorm2x16(form.y)));
  vec3 x = vec3(1.0 - 2.0 * (q.z * q.z + q.w * q.w), 2.0 * (q.y * q.z + q.x * q.w), 2.0 * (q.y * q.w - q.x * q.z));
  vec3 y = vec3(2.0 * (q.y * q.z - q.x * q.w), 1.0 - 2.0 * (q.y * q.y + q.w * q.w), 2.0 * (q.z * q.w + q.x * q.y));
  vec3 z = vec3(2.0 * (q.y * q.w + q.x * q.z), 2.0 * (q.z * q.w - q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z));
  vec3 logs = vec3(float(form.z & 0xffffu), float(form.z >> 16u), float(form.w & 0xffffu));
  vec3 s = min(exp2(logs / ${LOG_STEPS}.0 - ${LOG_OFFSET}.0), scale_max * p.z);
  vec3 a = s * vec3(dot(ja, x), dot(ja, y), dot(ja, z));
  vec3 b = s * vec3(dot(jb, x), dot(jb, y), dot(jb, z));
  float aa = dot(a, a), bb = dot(b, b), ab = dot(a, b);
  vec3 across = cross(a, b);
  float sharp = dot(across, across);
  float det = sharp + eps2d * (aa + bb) + eps2d * eps2d;
  float yy = bb + eps2d;
  opacity *= sqrt(sharp / det);
  if (!(opacity >= 1.0 / 255.0)) return;
  float log2_opacity = log2(opacity);
  // The parallelogram around all that is visible: u and v run to the root of the reach.
  float reach = sqrt(log2_opacity - LOG2_ALPHA_MIN) + 0.01;
  vec2 corner = vec2(float(gl_VertexID & 1), float((gl_VertexID >> 1) & 1)) * 2.0 - 1.0;
  uv = corner * reach;
  float dy = uv.y * sqrt(yy / HALF_LOG2E);
  float dx = uv.x * sqrt(det / (yy * HALF_LOG2E)) + ab / yy * dy;
  vec2 at = (centre + vec2(dx, dy)) / size * 2.0 - 1.0;
  gl_Position = vec4(at.x, -at.y, 0.0, 1.0);

  vec3 rgb = vec3(unpackHalf2x16(paint.x), unpackHalf2x16(paint.y & 0xffffu).x);
  if (coefficients > 1) rgb += shine(index, normalize(mean - eye));
  rgb = max(rgb, 0.0);
  if (mode == 1) rgb = vec3(p.z * depth_unit);
  if (mode == 2) {
    float grey = dot(min(rgb, 1.0), vec3(0.2126, 0.7152, 0.0722));
    rgb = (paint.y >> 16u) == 0u ? vec3(grey) : mix(vec3(grey), accent, 0.7);
  }
  colour = vec4(min(rgb, 60000.0), log2_opacity);
}`;

export const SPLAT_FRAGMENT = `#version 300 es
precision highp float;
flat in vec4 colour;
in vec2 uv;
out vec4 result;
void main() {
  float alpha = min(exp2(colour.w - dot(uv, uv)), 0.999);
  if (alpha < 1.0 / 255.0) discard;
  result = vec4(colour.rgb * alpha, alpha);
}`;

export const RESOLVE_VERTEX = `#version 300 es
out vec2 at;
void main() {
  at = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1));
  gl_Position = vec4(at * 2.0 - 1.0, 0.0, 1.0);
}`;

// Depth is shown as fourd/view/colour.py does: even steps of lightness and hue in Oklab (B. Ottosson, 2020).
export const RESOLVE_FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D picture;
uniform vec3 background;
uniform int mode;
uniform vec2 inverse_range;  // Inverse depth, in units of 1 / depth_unit, that is darkest and lightest.
in vec2 at;
out vec4 result;

vec3 ramp(float x) {
  float lightness = mix(0.22, 0.95, x), hue = radians(mix(280.0, 465.0, x));
  vec2 ab = 0.13 * vec2(cos(hue), sin(hue));
  vec3 cones = vec3(lightness + 0.3963377774 * ab.x + 0.2158037573 * ab.y,
    lightness - 0.1055613458 * ab.x - 0.0638541728 * ab.y,
    lightness - 0.0894841775 * ab.x - 1.2914855480 * ab.y);
  cones = cones * cones * cones;
  vec3 linear = clamp(vec3(4.0767416621 * cones.x - 3.3077115913 * cones.y + 0.2309699292 * cones.z,
    -1.2684380046 * cones.x + 2.6097574011 * cones.y - 0.3413193965 * cones.z,
    -0.0041960863 * cones.x - 0.7034186147 * cones.y + 1.7076147010 * cones.z), 0.0, 1.0);
  return mix(1.055 * pow(linear, vec3(1.0 / 2.4)) - 0.055, 12.92 * linear, vec3(lessThanEqual(linear, vec3(0.0031308))));
}

void main() {
  vec4 seen = texture(picture, at);
  vec3 rgb = clamp(seen.rgb, 0.0, 1.0) + (1.0 - min(seen.a, 1.0)) * background;
  if (mode == 1) {
    float inverse = seen.a > 0.0 ? seen.a / max(seen.r, 1e-6) : 0.0;
    float x = clamp((inverse - inverse_range.x) / (inverse_range.y - inverse_range.x), 0.0, 1.0);
    rgb = mix(background, ramp(x), smoothstep(0.4, 0.6, seen.a));
  }
  result = vec4(rgb, 1.0);
}`;
