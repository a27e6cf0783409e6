// Keyframes, the film between them, and the file that `fourd render --path FILE` reads.
import { clamp, mix, mixLens, rowsOf, slerp } from "./camera.js";

/** Between keys at the same moment of the scene the camera takes this long; else as long as the scene does. */
export const LEG_S = 2;
const SHORTEST_S = 0.25;

/**
 * @typedef {object} Key
 * @property {Pose} pose
 * @property {Lens} lens in pixels of the filmed picture
 * @property {number} time_s moment of the scene
 */

/** When each key is reached, in seconds of the film. */
export function schedule(keys, leg_s = LEG_S) {
  const at = [0];
  for (let i = 1; i < keys.length; i++) {
    const passed = Math.abs(keys[i].time_s - keys[i - 1].time_s);
    at.push(at[i - 1] + (passed > 1e-3 ? Math.max(passed, SHORTEST_S) : leg_s));
  }
  return at;
}

/** The camera of the film at a moment: through every key, on a smooth curve (Catmull-Rom over time). */
export function filmAt(keys, times, film_s) {
  const last = keys.length - 1;
  if (last === 0) return keys[0];
  let i = times.findIndex((t) => t > film_s) - 1;
  if (i < 0) i = film_s >= times[last] ? last - 1 : 0;
  const [a, b] = [keys[i], keys[i + 1]];
  const span = times[i + 1] - times[i];
  const t = clamp((film_s - times[i]) / span, 0, 1);
  // Slopes by the neighbours' difference over time; one-sided at the ends. A curve through two keys is a line.
  const slope = (k, axis) => {
    const [lo, hi] = [Math.max(0, k - 1), Math.min(last, k + 1)];
    return (keys[hi].pose.p[axis] - keys[lo].pose.p[axis]) / (times[hi] - times[lo]);
  };
  const [t2, t3] = [t * t, t * t * t];
  const p = [0, 1, 2].map(
    (axis) =>
      (2 * t3 - 3 * t2 + 1) * a.pose.p[axis] +
      (t3 - 2 * t2 + t) * span * slope(i, axis) +
      (3 * t2 - 2 * t3) * b.pose.p[axis] +
      (t3 - t2) * span * slope(i + 1, axis),
  );
  return {
    pose: { p, q: slerp(a.pose.q, b.pose.q, t) },
    lens: mixLens(a.lens, b.lens, t),
    time_s: mix(a.time_s, b.time_s, t),
  };
}

/**
 * nerfstudio's camera_path.json, as fourd/formats/camera_path.py reads it.
 * @param {Key[]} keys
 * @param {number} fps frames a second of the film
 */
export function cameraPath(keys, fps) {
  const times = schedule(keys);
  const length_s = times[times.length - 1];
  const frames = Math.max(1, Math.round(length_s * fps) + (keys.length > 1 ? 1 : 0));
  const entry = ({ pose, lens, time_s }) => ({
    camera_to_world: openGl(rowsOf(pose)),
    fov: (2 * Math.atan(lens.h / 2 / lens.fy) * 180) / Math.PI,
    aspect: lens.w / lens.h,
    render_time: time_s,
    K: [[lens.fx, lens.skew, lens.cx], [0, lens.fy, lens.cy], [0, 0, 1]],
  });
  const film = Array.from({ length: frames }, (_, i) => {
    return filmAt(keys, times, frames > 1 ? (i / (frames - 1)) * length_s : 0);
  });
  return {
    camera_type: "perspective",
    render_height: keys[0].lens.h,
    render_width: keys[0].lens.w,
    fps,
    seconds: frames / fps,
    is_cycle: false,
    smoothness_value: 0,
    keyframes: keys.map((key) => {
      const { camera_to_world, fov, aspect, render_time } = entry(key);
      return { matrix: JSON.stringify(camera_to_world), fov, aspect, render_time };
    }),
    camera_path: film.map(entry),
  };
}

/** From OpenCV's camera axes to OpenGL's: y and z turn round. Sixteen numbers, row by row. */
const openGl = (rows) => rows.map((x, i) => (i % 4 === 1 || i % 4 === 2 ? -x || 0 : x));
