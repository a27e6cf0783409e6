// Cameras: poses, lenses and what becomes of them in a picture of another size. OpenCV axes, as everywhere in fourd.

/** @typedef {{p: number[], q: number[]}} Pose  where it stands, and how it is turned (w, x, y, z): world from camera */
/** @typedef {{fx: number, fy: number, cx: number, cy: number, skew: number, h: number, w: number}} Lens  in pixels */

export const add = (a, b) => a.map((x, i) => x + b[i]);
export const sub = (a, b) => a.map((x, i) => x - b[i]);
export const scaled = (a, s) => a.map((x) => x * s);
export const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
export const norm = (a) => Math.sqrt(dot(a, a));
export const unit = (a) => scaled(a, 1 / (norm(a) || 1));
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const mix = (a, b, t) => a + (b - a) * t;
export const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

/** The product of two rotations: first b, then a. */
export function times(a, b) {
  const [w, x, y, z] = a;
  return [
    w * b[0] - x * b[1] - y * b[2] - z * b[3],
    w * b[1] + x * b[0] + y * b[3] - z * b[2],
    w * b[2] - x * b[3] + y * b[0] + z * b[1],
    w * b[3] + x * b[2] - y * b[1] + z * b[0],
  ];
}

/** The rotation by an angle (radians) about an axis. */
export function about(axis, angle) {
  const s = Math.sin(angle / 2);
  return [Math.cos(angle / 2), ...scaled(unit(axis), s)];
}

/** The matrix of a rotation: nine numbers, row by row. */
export function matrix([w, x, y, z]) {
  return [
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
  ]; // prettier-ignore
}

/** A vector, turned. */
export function turn(q, v) {
  const m = matrix(q);
  return [0, 3, 6].map((i) => m[i] * v[0] + m[i + 1] * v[1] + m[i + 2] * v[2]);
}

/** The rotation of a matrix (rows), by the largest of its four squares, so that nothing small is divided by. */
export function fromMatrix(m) {
  const [a, b, c, d, e, f, g, h, i] = m;
  const squares = [1 + a + e + i, 1 + a - e - i, 1 - a + e - i, 1 - a - e + i];
  const best = squares.indexOf(Math.max(...squares));
  const four = [
    [squares[0], h - f, c - g, d - b],
    [h - f, squares[1], b + d, c + g],
    [c - g, b + d, squares[2], f + h],
    [d - b, c + g, f + h, squares[3]],
  ][best];
  return unit(four);
}

/** The rotation a share t of the way from a to b, along the shorter arc. */
export function slerp(a, b, t) {
  const cosine = dot(a, b);
  const end = cosine < 0 ? scaled(b, -1) : b;
  const angle = Math.acos(Math.min(1, Math.abs(cosine)));
  if (angle < 1e-5) return unit(a.map((x, i) => mix(x, end[i], t)));
  const [s, e] = [Math.sin((1 - t) * angle), Math.sin(t * angle)].map((x) => x / Math.sin(angle));
  return unit(a.map((x, i) => s * x + e * end[i]));
}

/** The pose of sixteen numbers, row by row. */
export function poseOf(rows) {
  const m = [0, 1, 2, 4, 5, 6, 8, 9, 10].map((i) => rows[i]);
  return { p: [rows[3], rows[7], rows[11]], q: fromMatrix(m) };
}

/** Sixteen numbers of a pose, row by row. */
export function rowsOf({ p, q }) {
  const m = matrix(q);
  return [m[0], m[1], m[2], p[0], m[3], m[4], m[5], p[1], m[6], m[7], m[8], p[2], 0, 0, 0, 1];
}

/** The lens of a camera's K (nine numbers) for pictures of size hw. */
export function lensOf(K, [h, w]) {
  return { fx: K[0], skew: K[1], cx: K[2], fy: K[4], cy: K[5], h, w };
}

export const mixLens = (a, b, t) => Object.fromEntries(Object.keys(a).map((key) => [key, mix(a[key], b[key], t)]));
export const mixPose = (a, b, t) => ({ p: a.p.map((x, i) => mix(x, b.p[i], t)), q: slerp(a.q, b.q, t) });

/** The source camera at a moment, between the frames as among them. */
export function sourceAt(cameras, hw, time_s) {
  let right = cameras.findIndex((camera) => camera.time_s >= time_s);
  if (right < 0) right = cameras.length - 1;
  const left = Math.max(0, right - 1);
  const [a, b] = [cameras[left], cameras[right]];
  const span = b.time_s - a.time_s;
  const t = span > 0 ? clamp((time_s - a.time_s) / span, 0, 1) : 1;
  return {
    pose: mixPose(poseOf(a.pose), poseOf(b.pose), t),
    lens: mixLens(lensOf(a.K, hw), lensOf(b.K, hw), t),
  };
}

/**
 * The lens for a canvas of another size: the filmed picture in its middle, as large as fits, times `zoom`.
 * @returns {Lens & {frame: number[]}} frame: left, top, width, height of the filmed picture in the canvas
 */
export function fitted(lens, [h, w], zoom = 1) {
  const s = Math.min(h / lens.h, w / lens.w) * zoom;
  const left = (w - s * lens.w) / 2;
  const top = (h - s * lens.h) / 2;
  return {
    fx: lens.fx * s,
    fy: lens.fy * s,
    skew: lens.skew * s,
    cx: lens.cx * s + left,
    cy: lens.cy * s + top,
    h,
    w,
    frame: [left, top, s * lens.w, s * lens.h],
  };
}

/** How much larger than to fit the filmed picture is shown at home: it may lose an eighth of each side at most. */
export function homeZoom(lens, [h, w]) {
  const [a, b] = [h / lens.h, w / lens.w];
  return Math.min(Math.max(a, b) / Math.min(a, b), 4 / 3);
}

/** cam_from_world: twelve numbers, row by row. */
export function view({ p, q }) {
  const m = matrix(q);
  return [0, 1, 2].flatMap((j) => {
    const row = [m[j], m[3 + j], m[6 + j]];
    return [...row, -dot(row, p)];
  });
}

export const right = (pose) => turn(pose.q, [1, 0, 0]);
export const down = (pose) => turn(pose.q, [0, 1, 0]);
export const forward = (pose) => turn(pose.q, [0, 0, 1]);

/** Turn a pose rigidly about a point. */
export function swing(pose, pivot, rotation) {
  return { p: add(pivot, turn(rotation, sub(pose.p, pivot))), q: unit(times(rotation, pose.q)) };
}

/**
 * Go round a pivot: to the right about `up`, and up over it. It never goes over the top.
 * @param {number} yaw radians
 * @param {number} pitch radians
 */
export function orbit(pose, pivot, up, yaw, pitch) {
  const turned = swing(pose, pivot, about(up, yaw));
  const height = Math.asin(clamp(dot(forward(turned), scaled(up, -1)), -1, 1)); // Positive: it looks down.
  const most = 1.48;
  const allowed = clamp(height + pitch, Math.min(-most, height), Math.max(most, height)) - height;
  const level = unit(cross(up, forward(turned)));
  return swing(turned, pivot, about(level, allowed));
}

/** Look around where one stands. */
export function look(pose, up, yaw, pitch) {
  return { p: pose.p, q: orbit(pose, pose.p, up, -yaw, -pitch).q };
}

/** The same direction with the horizon level. */
export function level(pose, up) {
  const f = forward(pose);
  if (Math.abs(dot(f, up)) > 0.999) return pose;
  const r = unit(cross(f, up)); // x to the right, y down: right = forward x up.
  const d = cross(f, r);
  return { p: pose.p, q: fromMatrix([r[0], d[0], f[0], r[1], d[1], f[1], r[2], d[2], f[2]]) };
}
