// Splats as the graphics card holds them: textures of fixed width, one or more texels a splat.
//
//   place  RGBA32F   mean x, y, z; 1 / duration (0: always there)
//   life   RGBA32F   velocity x, y, z; time. Only for splats from `still` on: those before it never change
//   shape  RGBA32UI  quaternion w x y z as four snorm16; log2 of the three scales and the opacity in 16 bits each
//   tint   RG32UI    red, green, blue as halves; source
//   sheen  RGBA32UI  the higher harmonics as halves, `sheenTexels` texels a splat
//
// Splats that never change stand first, so that time costs nothing for them.

export const WIDTH = 2048;
/** log2(scale) is kept as (log2(scale) + 40) * 1024 in 16 bits: 1e-12 to 1.6e7, to 0.03 %. */
export const LOG_OFFSET = 40;
export const LOG_STEPS = 1024;
const SH_C0 = 0.28209479177387814;
/** Durations of this and more are for ever: it is the largest float, which stands for infinity in the file. */
const ALWAYS = 3.4e38;

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

/** A number as a half float, rounded to nearest; what is too large becomes the largest half. */
export function half(value) {
  floats[0] = value;
  const b = bits[0];
  const sign = (b >>> 16) & 0x8000;
  const magnitude = b & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0; // NaN draws nothing.
  if (magnitude >= 0x477ff000) return sign | 0x7bff;
  if (magnitude < 0x38800000) {
    const scaled = Math.abs(value) * 2 ** 24; // Subnormal: steps of 2^-24.
    return sign | Math.round(scaled);
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

const snorm = (x) => Math.round(Math.min(1, Math.max(-1, x)) * 32767) & 0xffff;
const log = (x) => Math.min(65535, Math.max(0, Math.round((Math.log2(x) + LOG_OFFSET) * LOG_STEPS)));
const rows = (count) => Math.max(1, Math.ceil(count / WIDTH));

/** Arrays for `count` splats with `coefficients` harmonics each. */
export class Store {
  constructor(count, coefficients) {
    this.count = count;
    this.coefficients = coefficients;
    this.sheenTexels = Math.ceil(((coefficients - 1) * 3) / 8);
    this.filled = 0;
    /** How many of the first splats never change. Known once the first part is there. */
    this.still = 0;
    this.place = new Float32Array(4 * WIDTH * rows(count));
    this.life = new Float32Array(0);
    this.span = new Float32Array(0);
    this.shape = new Uint32Array(4 * WIDTH * rows(count));
    this.tint = new Uint32Array(2 * WIDTH * rows(count));
    this.sheen = new Uint32Array(this.sheenTexels ? 4 * WIDTH * rows(count * this.sheenTexels) : 0);
    this.invented = 0;
  }

  /** The textures and their rows: name -> {array, texels a row is WIDTH of, channels}. */
  textures() {
    return {
      place: { array: this.place, channels: 4 },
      life: { array: this.life, channels: 4 },
      shape: { array: this.shape, channels: 4 },
      tint: { array: this.tint, channels: 2 },
      ...(this.sheenTexels ? { sheen: { array: this.sheen, channels: 4 } } : {}),
    };
  }

  /** Add the splats of a part; in the first part those that never change go first. */
  add(part) {
    const n = part.count;
    const order = new Uint32Array(n);
    let still = 0;
    if (this.filled === 0) {
      const stays = (i) =>
        part.duration[i] >= ALWAYS && !part.velocity[3 * i] && !part.velocity[3 * i + 1] && !part.velocity[3 * i + 2];
      for (let i = 0; i < n; i++) if (stays(i)) order[still++] = i;
      for (let i = 0, k = still; i < n; i++) if (!stays(i)) order[k++] = i;
      this.still = still;
      const moving = this.count - still;
      this.life = new Float32Array(4 * WIDTH * rows(moving));
      this.span = new Float32Array(moving);
    } else {
      for (let i = 0; i < n; i++) order[i] = i;
    }
    this.#place(part, order);
    this.#life(part, order);
    this.#shape(part, order);
    this.#tint(part, order);
    this.filled += n;
  }

  #place({ position, duration }, order) {
    const { place, filled } = this;
    for (let k = 0, at = 4 * filled; k < order.length; k++, at += 4) {
      const i = order[k];
      place[at] = position[3 * i];
      place[at + 1] = position[3 * i + 1];
      place[at + 2] = position[3 * i + 2];
      place[at + 3] = duration[i] >= ALWAYS ? 0 : 1 / duration[i];
    }
  }

  #life({ velocity, time, duration, opacity }, order) {
    const { life, span, still, filled } = this;
    for (let k = Math.max(0, still - filled); k < order.length; k++) {
      const i = order[k];
      const m = filled + k - still;
      life[4 * m] = velocity[3 * i];
      life[4 * m + 1] = velocity[3 * i + 1];
      life[4 * m + 2] = velocity[3 * i + 2];
      life[4 * m + 3] = time[i];
      // Beyond this age it is fainter than 1/255 and is not drawn.
      const brightness = 255 * opacity[i];
      const reach = duration[i] >= ALWAYS ? Infinity : duration[i] * Math.sqrt(2 * Math.log(Math.max(brightness, 1)));
      span[m] = brightness >= 1 ? reach : -1;
    }
  }

  #shape({ rotation, scale, opacity }, order) {
    const { shape, filled } = this;
    for (let k = 0, at = 4 * filled; k < order.length; k++, at += 4) {
      const i = order[k];
      shape[at] = snorm(rotation[4 * i + 3]) | (snorm(rotation[4 * i]) << 16);
      shape[at + 1] = snorm(rotation[4 * i + 1]) | (snorm(rotation[4 * i + 2]) << 16);
      shape[at + 2] = log(scale[3 * i]) | (log(scale[3 * i + 1]) << 16);
      shape[at + 3] = log(scale[3 * i + 2]) | (Math.round(Math.min(1, Math.max(0, opacity[i])) * 65535) << 16);
    }
  }

  #tint({ harmonics, source }, order) {
    const { tint, sheen, filled, sheenTexels } = this;
    const base = harmonics[0];
    for (let k = 0, at = 2 * filled; k < order.length; k++, at += 2) {
      const i = 3 * order[k];
      tint[at] = half(0.5 + SH_C0 * base[i]) | (half(0.5 + SH_C0 * base[i + 1]) << 16);
      tint[at + 1] = half(0.5 + SH_C0 * base[i + 2]) | (source[order[k]] << 16);
      if (source[order[k]]) this.invented++;
    }
    for (let n = 0; n < 3 * (this.coefficients - 1); n++) {
      const from = harmonics[1 + Math.floor(n / 3)];
      for (let k = 0, at = 4 * sheenTexels * filled + (n >> 1); k < order.length; k++, at += 4 * sheenTexels) {
        sheen[at] |= half(from[3 * order[k] + (n % 3)]) << (16 * (n & 1));
      }
    }
  }
}
