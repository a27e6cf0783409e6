// Cameras, their paths, and the lens in pictures of other sizes.
import assert from "node:assert/strict";
import test from "node:test";
import * as c from "../../../fourd/view/player/camera.js";
import { cameraPath, filmAt, schedule } from "../../../fourd/view/player/path.js";

const near = (a, b, within = 1e-9) => a.forEach((x, i) => assert.ok(Math.abs(x - b[i]) <= within, `${a} is not ${b}`));
const START = { p: [0, 0, -2], q: [1, 0, 0, 0] };
const UP = [0, -1, 0];
const LENS = { fx: 400, fy: 410, cx: 161, cy: 117, skew: 0.5, h: 240, w: 320 };

test("rotations survive becoming matrices", () => {
  for (const axis of [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 2, -3]]) {
    for (const angle of [0, 0.3, 2, 3.1, -3.1]) {
      const q = c.about(axis, angle);
      const back = c.fromMatrix(c.matrix(q));
      near([Math.abs(c.dot(q, back))], [1]);
    }
  }
});

test("an orbit keeps its distance and its aim, and goes the way it says", () => {
  const pivot = [0, 0, 0];
  const there = c.orbit(START, pivot, UP, 0.4, 0.3);
  near([c.norm(there.p)], [2]);
  near(c.forward(there), c.unit(c.scaled(there.p, -1)));
  assert.ok(there.p[0] > 0.5, "to the right");
  assert.ok(there.p[1] < -0.5, "and up, where y points down");
  near([c.right(there)[1]], [0]); // The horizon stays level.
  const over = c.orbit(START, pivot, UP, 0, 5);
  assert.ok(c.forward(over)[1] > 0.98 && c.forward(over)[2] > 0, "never over the top");
});

test("looking right and up turns the view to the right and up, on the spot", () => {
  const seen = c.look(START, UP, 0.2, 0.1);
  assert.deepEqual(seen.p, START.p);
  assert.ok(c.forward(seen)[0] > 0.15 && c.forward(seen)[1] < -0.05);
});

test("a level view looks the same way", () => {
  const tilted = c.swing(START, START.p, c.times(c.about([0, 1, 0], 0.7), c.about([0, 0, 1], 0.5)));
  const level = c.level(tilted, UP);
  near(c.forward(level), c.forward(tilted));
  near([c.right(level)[1]], [0]);
});

test("the filmed picture keeps its proportions and its middle in any canvas", () => {
  for (const [h, w] of [[240, 320], [100, 900], [844, 390], [1, 1]]) {
    const fitted = c.fitted(LENS, [h, w]);
    const [left, top, width, height] = fitted.frame;
    near([width / height, left + width / 2, top + height / 2], [320 / 240, w / 2, h / 2]);
    assert.ok(width <= w + 1e-9 && height <= h + 1e-9);
    near([(fitted.cx - left) / width, (fitted.cy - top) / height], [161 / 320, 117 / 240]);
  }
});

test("the source camera moves evenly between its frames and stops at the ends", () => {
  const pose = (x) => c.rowsOf({ p: [x, 0, 0], q: [1, 0, 0, 0] });
  const K = [400, 0, 160, 0, 400, 120, 0, 0, 1];
  const cameras = [0, 1, 2].map((i) => ({ K, pose: pose(i * i), time_s: i }));
  const at = (t) => c.sourceAt(cameras, [240, 320], t).pose.p[0];
  near([at(-5), at(0), at(0.5), at(1), at(1.5), at(2), at(9)], [0, 0, 0.5, 1, 2.5, 4, 4]);
  near([c.sourceAt(cameras.slice(0, 1), [240, 320], 3).pose.p[0]], [0]);
});

const key = (x, time_s) => ({ pose: { p: [x, -x, 1], q: c.about([0, 1, 0], x / 5) }, lens: LENS, time_s });

test("a film passes every key at its time, and goes on smoothly", () => {
  const keys = [key(0, 0), key(1, 0), key(3, 0.5), key(3.5, 2)];
  const times = schedule(keys);
  assert.deepEqual(times, [0, 2, 2.5, 4]);
  keys.forEach((wanted, i) => {
    const got = filmAt(keys, times, times[i]);
    near([...got.pose.p, got.time_s], [...wanted.pose.p, wanted.time_s]);
    near([Math.abs(c.dot(got.pose.q, wanted.pose.q))], [1]);
  });
  const speed = (t) => (filmAt(keys, times, t + 1e-6).pose.p[0] - filmAt(keys, times, t - 1e-6).pose.p[0]) / 2e-6;
  for (const t of times.slice(1, -1)) near([speed(t - 2e-6)], [speed(t + 2e-6)], 1e-3);
});

test("a camera path has a camera for each frame of the film", () => {
  const path = cameraPath([key(0, 0), key(1, 1)], 10);
  assert.equal(path.camera_path.length, 11);
  assert.deepEqual([path.render_height, path.render_width, path.fps], [240, 320, 10]);
  assert.equal(path.keyframes.length, 2);
  assert.equal(cameraPath([key(0, 0)], 10).camera_path.length, 1);
});
