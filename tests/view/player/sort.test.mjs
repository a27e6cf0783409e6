// Which splats are drawn at a moment, and in which order, against asking every splat.
import assert from "node:assert/strict";
import test from "node:test";
import { Alive } from "../../../fourd/view/player/alive.js";
import { focus, Sorter } from "../../../fourd/view/player/sort.js";
import { half, Store } from "../../../fourd/view/player/store.js";
import { unhalf } from "../../../fourd/view/player/packed.js";

/** A generator of numbers from 0 to 1 (mulberry32), so that every run sees the same. */
function seeded(a) {
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function part(n, random, life = () => 0.05 + random()) {
  const fill = (k, make) => Float32Array.from({ length: k * n }, make);
  return {
    count: n,
    position: fill(3, () => (random() - 0.5) * 20),
    rotation: fill(4, (_, i) => (i % 4 === 3 ? 1 : 0)),
    scale: fill(3, () => 0.1),
    opacity: fill(1, () => random()),
    harmonics: [fill(3, () => random())],
    velocity: fill(3, (_, i) => (i % 6 < 3 ? 0 : random() - 0.5)),
    time: fill(1, () => random() * 10),
    duration: fill(1, (_, i) => (i % 4 === 0 ? Infinity : life())),
    source: new Uint8Array(n),
  };
}

function stored(n, seed, life) {
  const random = seeded(seed);
  const store = new Store(n, 1);
  store.add(part(n, random, life));
  const alive = new Alive(store.life.subarray(0, 4 * (n - store.still)), store.span, 0.25);
  return { store, alive };
}

/** Depth and whether it is drawn, for each splat, in the plainest way. */
function plainly({ place, life, span, still }, i, row, time_s, margin_s) {
  const p = [0, 1, 2].map((k) => place[4 * i + k]);
  if (i >= still) {
    const m = i - still;
    const dt = time_s - life[4 * m + 3];
    if (!(Math.abs(dt) <= span[m] + margin_s)) return null;
    for (let k = 0; k < 3; k++) p[k] += life[4 * m + k] * dt;
  }
  const z = row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + row[3];
  return z > 0.01 ? z : null;
}

for (const time_s of [-1, 0, 3.3, 9.99, 40]) {
  test(`the order at ${time_s} s is that of the depths of all who are alive`, () => {
    const n = 5000;
    const { store, alive } = stored(n, 1);
    const row = [0.48, -0.6, 0.64, 5];
    const out = new Uint32Array(n);
    const count = new Sorter(n).order(store, alive, row, time_s, 0.1, 0.01, out);
    const depths = Array.from({ length: n }, (_, i) => plainly(store, i, row, time_s, 0.1));
    const expected = depths.flatMap((z, i) => (z === null ? [] : [i]));
    assert.deepEqual([...out.subarray(0, count)].sort((a, b) => a - b), expected);
    for (let k = 1; k < count; k++) {
      assert.ok(depths[out[k]] <= depths[out[k - 1]] * (1 + 1e-6), `${k}: ${depths[out[k - 1]]} before ${depths[out[k]]}`);
    }
  });
}

test("depths from a hundredth to a million are told apart, and equal ones keep their order", () => {
  const depths = Float32Array.from({ length: 4000 }, (_, i) => 0.011 * 1.0046 ** (i >> 1));
  const sorter = new Sorter(4000);
  sorter.depth.set(depths);
  sorter.index.set(Uint32Array.from(depths.keys()));
  const out = new Uint32Array(4000);
  sorter.radix(4000, out);
  const expected = [...depths.keys()].sort((a, b) => depths[b] - depths[a] || a - b);
  assert.deepEqual([...out], expected);
});

test("nothing, one, and many of one depth are sorted", () => {
  const sorter = new Sorter(8);
  const out = new Uint32Array(8);
  sorter.radix(0, out);
  sorter.depth.fill(2);
  sorter.index.set([5, 4, 3, 2, 1, 0, 7, 6]);
  sorter.radix(8, out);
  assert.deepEqual([...out], [5, 4, 3, 2, 1, 0, 7, 6]);
});

test("a moment of a long scene asks few splats", () => {
  const { store, alive } = stored(20000, 2, () => 0.02);
  const moving = store.count - store.still;
  assert.ok(alive.around(5).length < 0.15 * moving, `${alive.around(5).length} of ${moving}`);
  assert.equal(alive.around(-50).length, 0);
});

test("what looks at a wall knows how far it is", () => {
  const n = 900;
  const random = seeded(3);
  const wall = { ...part(n, random), duration: new Float32Array(n).fill(Infinity), velocity: new Float32Array(3 * n) };
  for (let i = 0; i < n; i++) wall.position.set([(i % 30) / 10 - 1.5, Math.floor(i / 30) / 10 - 1.5, 4], 3 * i);
  const store = new Store(n, 1);
  store.add(wall);
  const lens = { fx: 100, fy: 100, cx: 50, cy: 50, skew: 0, h: 100, w: 100 };
  const rows = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];
  const nobody = new Alive(new Float32Array(0), new Float32Array(0));
  assert.equal(focus(store, nobody, { rows, lens }, 0).median, 4);
  assert.equal(focus(store, nobody, { rows: rows.map((x, i) => (i > 7 ? -x : x)), lens }, 0), null);
});

test("halves are the nearest there are", () => {
  for (const [value, bits] of [[0, 0], [1, 0x3c00], [-2, 0xc000], [65504, 0x7bff], [1e9, 0x7bff], [6e-8, 1], [1 / 3, 0x3555]]) {
    assert.equal(half(value), bits);
  }
  const random = seeded(4);
  for (let i = 0; i < 2000; i++) {
    const value = (random() - 0.5) * 2 ** (30 * random() - 14);
    const error = Math.abs(unhalf(half(value)) - value);
    assert.ok(error <= Math.max(2 ** -25, Math.abs(value) * 2 ** -11), `${value}`);
  }
});
