// Back to front at a moment: the depth of every splat where it stands then, and a radix sort of its 24 highest useful bits.

const BITS = 12;
const SIZE = 1 << BITS;

export class Sorter {
  /** @param {number} capacity the most splats that will be sorted */
  constructor(capacity) {
    this.depth = new Float32Array(capacity);
    this.bits = new Int32Array(this.depth.buffer);
    this.index = new Uint32Array(capacity);
    this.keys = new Uint32Array(capacity);
    this.other = new Uint32Array(capacity);
    this.low = new Uint32Array(SIZE);
    this.high = new Uint32Array(SIZE);
  }

  /**
   * The splats in front of the camera and alive, farthest first.
   * @param {Store} store
   * @param {Alive} alive
   * @param {number[]} row a, b, c, d: depth is a x + b y + c z + d
   * @param {number} time_s
   * @param {number} margin_s take also those that are alive so much earlier or later
   * @param {number} near what is not farther is left out
   * @param {Uint32Array} out at least as long as there are splats
   * @returns {number} how many
   */
  order(store, alive, row, time_s, margin_s, near, out) {
    const [a, b, c, d] = row;
    const { place, life, span, still } = store;
    const { depth, index } = this;
    const here = Math.min(still, store.filled);
    let n = 0;
    for (let i = 0; i < here; i++) {
      const z = a * place[4 * i] + b * place[4 * i + 1] + c * place[4 * i + 2] + d;
      if (z > near) {
        depth[n] = z;
        index[n++] = i;
      }
    }
    for (const list of [alive.always, alive.around(time_s)]) {
      for (let k = 0; k < list.length; k++) {
        const m = list[k];
        const dt = time_s - life[4 * m + 3];
        if (!(Math.abs(dt) <= span[m] + margin_s)) continue;
        const i = still + m;
        const x = place[4 * i] + life[4 * m] * dt;
        const y = place[4 * i + 1] + life[4 * m + 1] * dt;
        const z = a * x + b * y + c * (place[4 * i + 2] + life[4 * m + 2] * dt) + d;
        if (z > near) {
          depth[n] = z;
          index[n++] = i;
        }
      }
    }
    this.radix(n, out);
    return n;
  }

  /** Sort the first `n` of `index` by `depth`, descending, into `out`. */
  radix(n, out) {
    const { bits, index, keys, other, low, high } = this;
    // Positive floats are in the order of their bits.
    let min = 0x7fffffff;
    let max = 0;
    for (let i = 0; i < n; i++) {
      if (bits[i] < min) min = bits[i];
      if (bits[i] > max) max = bits[i];
    }
    const shift = Math.max(0, 32 - Math.clz32(Math.max(0, max - min)) - 2 * BITS);
    low.fill(0);
    high.fill(0);
    for (let i = 0; i < n; i++) {
      const key = (max - bits[i]) >>> shift;
      keys[i] = key;
      low[key & (SIZE - 1)]++;
      high[key >>> BITS]++;
    }
    for (let i = 0, before = 0, above = 0; i < SIZE; i++) {
      const [inLow, inHigh] = [low[i], high[i]];
      low[i] = before;
      high[i] = above;
      before += inLow;
      above += inHigh;
    }
    for (let i = 0; i < n; i++) other[low[keys[i] & (SIZE - 1)]++] = i;
    for (let i = 0; i < n; i++) {
      const k = other[i];
      out[high[keys[k] >>> BITS]++] = index[k];
    }
  }
}

/**
 * How far away is what a camera sees: the nearest depths over a grid, of which the median, a near and a far one.
 * @param {Store} store
 * @param {Alive} alive
 * @param {{rows: number[], lens: Lens}} camera rows: cam_from_world, twelve numbers
 * @param {number[]} [part] left, top, width and height of the part that counts, in shares of the picture
 * @returns {?{median: number, near: number, far: number}} null where nothing is
 */
export function focus(store, alive, { rows, lens }, time_s, part = [0.25, 0.25, 0.5, 0.5]) {
  const across = 24;
  const cells = new Float32Array(across * across).fill(Infinity);
  const [left, top, width, height] = part;
  const look = (x, y, z) => {
    const depth = rows[8] * x + rows[9] * y + rows[10] * z + rows[11];
    if (!(depth > 0.01)) return;
    const u = (lens.fx * (rows[0] * x + rows[1] * y + rows[2] * z + rows[3])) / depth + lens.cx;
    const v = (lens.fy * (rows[4] * x + rows[5] * y + rows[6] * z + rows[7])) / depth + lens.cy;
    const col = Math.floor(((u / lens.w - left) / width) * across);
    const row = Math.floor(((v / lens.h - top) / height) * across);
    if (col < 0 || row < 0 || col >= across || row >= across) return;
    cells[row * across + col] = Math.min(cells[row * across + col], depth);
  };
  const { place, life, span, still } = store;
  for (let i = 0; i < Math.min(still, store.filled); i++) look(place[4 * i], place[4 * i + 1], place[4 * i + 2]);
  for (const list of [alive.always, alive.around(time_s)]) {
    for (const m of list) {
      const dt = time_s - life[4 * m + 3];
      if (Math.abs(dt) > span[m]) continue;
      const at = 4 * (still + m);
      look(place[at] + life[4 * m] * dt, place[at + 1] + life[4 * m + 1] * dt, place[at + 2] + life[4 * m + 2] * dt);
    }
  }
  const seen = cells.filter((z) => z !== Infinity).sort();
  const at = (share) => seen[Math.min(seen.length - 1, Math.floor(share * seen.length))];
  return seen.length ? { median: at(0.5), near: at(0.02), far: at(0.98) } : null;
}
