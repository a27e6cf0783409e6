// Which splats are there at a moment: lists by windows of time, so that a long scene costs what is alive, not what it holds.

const MAX_WINDOWS = 4096;
/** A splat that spans more windows than this is asked at every moment instead. */
const MANY = 8;
const ALWAYS = -1;

export class Alive {
  /**
   * @param {Float32Array} life four numbers a splat, the last of which is its time
   * @param {Float32Array} span how long before and after its time each is seen; negative: never
   * @param {number} [slack] how much earlier and later the lists hold for, too
   */
  constructor(life, span, slack = 0) {
    const n = span.length;
    const every = Math.max(1, Math.floor(n / 4096));
    const some = span.filter((s, i) => i % every === 0 && s >= 0 && s !== Infinity).sort();
    let low = Infinity;
    let high = -Infinity;
    for (let i = 0; i < n; i++) {
      if (!(span[i] >= 0) || span[i] === Infinity) continue;
      low = Math.min(low, life[4 * i + 3] - span[i] - slack);
      high = Math.max(high, life[4 * i + 3] + span[i] + slack);
    }
    const mortal = high >= low;
    const typical = some.length ? some[some.length >> 1] : 0;
    this.low = mortal ? low : 0;
    this.width = mortal ? Math.max(typical, (high - low) / MAX_WINDOWS, 1e-6) : 1;
    const windows = mortal ? Math.floor((high - low) / this.width) + 1 : 0;
    const first = new Int32Array(n);
    const last = new Int32Array(n).fill(-1);
    this.starts = new Uint32Array(windows + 1);
    let always = 0;
    for (let i = 0; i < n; i++) {
      if (!(span[i] >= 0)) continue;
      const [time, reach] = [life[4 * i + 3] - low, span[i] + slack];
      first[i] = Math.max(0, Math.floor((time - reach) / this.width));
      last[i] = Math.min(windows - 1, Math.floor((time + reach) / this.width));
      if (span[i] === Infinity || last[i] - first[i] >= MANY) {
        first[i] = ALWAYS;
        always++;
      } else {
        for (let w = first[i]; w <= last[i]; w++) this.starts[w + 1]++;
      }
    }
    for (let w = 0; w < windows; w++) this.starts[w + 1] += this.starts[w];
    this.members = new Uint32Array(this.starts[windows]);
    this.always = new Uint32Array(always);
    const next = this.starts.slice();
    always = 0;
    for (let i = 0; i < n; i++) {
      if (first[i] === ALWAYS) this.always[always++] = i;
      else for (let w = first[i]; w <= last[i]; w++) this.members[next[w]++] = i;
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
