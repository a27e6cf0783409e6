// Which splats are there at a moment: lists by windows of time, so that a long scene costs what is alive, not what it holds.

const MAX_WINDOWS = 4096;
/** A splat that spans more windows than this is asked at every moment instead. */
const MANY = 8;

export class Alive {
  /**
   * @param {Float32Array} life four numbers a splat, the last of which is its time
   * @param {Float32Array} span how long before and after its time each is seen; negative: never
   * @param {number} [slack] how much earlier and later the lists hold for, too
   */
  constructor(life, span, slack = 0) {
    const n = span.length;
    const finite = span.filter((s) => s >= 0 && s !== Infinity).sort();
    let low = Infinity;
    let high = -Infinity;
    for (let i = 0; i < n; i++) {
      if (!(span[i] >= 0) || span[i] === Infinity) continue;
      low = Math.min(low, life[4 * i + 3] - span[i] - slack);
      high = Math.max(high, life[4 * i + 3] + span[i] + slack);
    }
    const typical = finite.length ? finite[finite.length >> 1] : 0;
    this.low = finite.length ? low : 0;
    this.width = Math.max(typical, (high - low) / MAX_WINDOWS, 1e-6) || 1;
    this.slack = slack;
    const windows = finite.length ? Math.floor((high - low) / this.width) + 1 : 0;
    const first = (i) => Math.max(0, Math.floor((life[4 * i + 3] - span[i] - this.slack - low) / this.width));
    const last = (i) => Math.min(windows - 1, Math.floor((life[4 * i + 3] + span[i] + this.slack - low) / this.width));
    this.starts = new Uint32Array(windows + 1);
    let always = 0;
    for (let i = 0; i < n; i++) {
      if (!(span[i] >= 0)) continue;
      const [a, b] = [first(i), last(i)];
      if (span[i] === Infinity || b - a >= MANY) always++;
      else for (let w = a; w <= b; w++) this.starts[w + 1]++;
    }
    for (let w = 0; w < windows; w++) this.starts[w + 1] += this.starts[w];
    this.members = new Uint32Array(this.starts[windows]);
    this.always = new Uint32Array(always);
    const next = this.starts.slice();
    always = 0;
    for (let i = 0; i < n; i++) {
      if (!(span[i] >= 0)) continue;
      const [a, b] = [first(i), last(i)];
      if (span[i] === Infinity || b - a >= MANY) this.always[always++] = i;
      else for (let w = a; w <= b; w++) this.members[next[w]++] = i;
    }
  }

  /** Those that may be seen around a moment; some of them are not. */
  around(time_s) {
    const w = Math.floor((time_s - this.low) / this.width);
    if (this.starts.length < 2) return this.members;
    if (w < 0 || w >= this.starts.length - 1) return this.members.subarray(0, 0);
    return this.members.subarray(this.starts[w], this.starts[w + 1]);
  }
}
