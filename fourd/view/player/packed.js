// The small form of a scene that pages hold within themselves; fourd/formats/packed.py says what every byte means.
import { Broken } from "./broken.js";
import { numbers, object, whole } from "./gltf.js";
import { camera, facts, tracks } from "./scene.js";

const MAGIC = "fourdpk1";
const ROOT_HALF = Math.SQRT1_2;

/** Base64 of gzip, undone. */
export async function unwrap(text) {
  const spoiled = () => new Broken("The page is damaged: its scene cannot be unpacked.", "Export it once more.");
  const pieces = [];
  const step = 4 << 18;
  try {
    for (let at = 0; at < text.length; at += step) {
      const raw = atob(text.slice(at, at + step));
      const bytes = new Uint8Array(raw.length);
      for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
      pieces.push(bytes);
    }
    const stream = new Blob(pieces).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (error) {
    throw error instanceof RangeError ? error : spoiled();
  }
}

/**
 * What a packed scene holds.
 * @param {Uint8Array} bytes
 * @returns {{facts: object, sound: ?object, parts: (() => object)[]}}
 */
export function readPacked(bytes) {
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 8));
  if (head !== MAGIC || bytes.length < 12) throw new Broken("The page is damaged: it holds no scene.", "Export it once more.");
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true);
  if (12 + length > bytes.length) throw new Broken("The page is damaged: its scene is cut short.", "Export it once more.");
  const ours = object(JSON.parse(new TextDecoder().decode(bytes.subarray(12, 12 + length))), "The scene");
  const known = facts(ours, ours.cameras.map((exact, i) => camera(exact, `cameras[${i}]`)));
  const body = bytes.subarray(12 + length);
  const column = (name, planes, count) => {
    const [at, size] = numbers(ours.columns[name], 2, `columns.${name}`);
    if (size !== planes * count || at + size > body.length) throw new Broken(`The page is damaged: ${name} is cut short.`);
    return body.subarray(at, at + size);
  };
  const still = whole(ours.still, "still", known.splats);
  const sound = ours.sound && {
    tracks: tracks(ours.sound, ({ column: name }) => ({ wav: column(name, 1, ours.columns[name][1]).slice().buffer })),
    start_s: numbers([ours.sound.start_s], 1, "sound.start_s")[0],
  };
  return { facts: known, sound, parts: known.splats ? [() => expand(ours, known, still, column)] : [] };
}

/** Little-endian words of 1 to 4 bytes from planes: first the lowest byte of all, then the next. */
function words(planes, count, width, from = 0) {
  const out = new Uint32Array(count);
  for (let b = 0; b < width; b++) {
    const plane = (from + b) * count;
    for (let i = 0; i < count; i++) out[i] |= planes[plane + i] << (8 * b);
  }
  return out;
}

const asFloats = (array) => new Float32Array(array.buffer);

/** A half float as a number. */
export function unhalf(h) {
  const [exponent, rest] = [(h >> 10) & 31, h & 1023];
  const size = exponent ? (1 + rest / 1024) * 2 ** (exponent - 15) : rest * 2 ** -24;
  return h & 0x8000 ? -size : size;
}

/** The three smaller components of a unit quaternion (w, x, y, z), ten bits each; two bits say which is left out. */
function quaternions(packed) {
  const out = new Float32Array(4 * packed.length);
  for (let i = 0; i < packed.length; i++) {
    const largest = packed[i] >>> 30;
    let rest = 1;
    for (let j = 0, shift = 0; j < 4; j++) {
      if (j === largest) continue;
      const value = ((((packed[i] >>> shift) & 1023) - 511) / 511) * ROOT_HALF;
      out[4 * i + ((j + 3) & 3)] = value; // To x, y, z, w.
      rest -= value * value;
      shift += 10;
    }
    out[4 * i + ((largest + 3) & 3)] = Math.sqrt(Math.max(0, rest));
  }
  return out;
}

function expand(ours, { splats: n, coefficients }, still, column) {
  const position = new Float32Array(3 * n);
  const planes = column("position", 9, n);
  for (let axis = 0; axis < 3; axis++) {
    const top = words(planes, n, 3, 3 * axis);
    for (let i = 0; i < n; i++) top[i] <<= 8;
    const values = asFloats(top);
    for (let i = 0; i < n; i++) position[3 * i + axis] = values[i];
  }
  const scale = new Float32Array(3 * n);
  const [low, high] = numbers(ours.ranges.log2_scale, 2, "ranges.log2_scale");
  const scales = words(column("scale", 4, n), n, 4);
  for (let i = 0; i < n; i++) {
    const levels = [(scales[i] & 2047) / 2047, ((scales[i] >>> 11) & 2047) / 2047, (scales[i] >>> 22) / 1023];
    for (let j = 0; j < 3; j++) scale[3 * i + j] = 2 ** (low + (high - low) * levels[j]);
  }
  const opacity = Float32Array.from(column("opacity", 1, n), (x) => x / 255);
  const base = new Float32Array(3 * n);
  const source = new Uint8Array(n);
  const [dark, light] = numbers(ours.ranges.colour, 2, "ranges.colour");
  const paints = words(column("colour", 4, n), n, 4);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < 3; j++) base[3 * i + j] = dark + ((light - dark) * ((paints[i] >>> (10 * j)) & 1023)) / 1023;
    source[i] = paints[i] >>> 30;
  }
  const harmonics = [base];
  if (coefficients > 1) {
    const top = numbers([ours.ranges.harmonics], 1, "ranges.harmonics")[0];
    const signed = new Int8Array(column("harmonics", 3 * (coefficients - 1), n));
    for (let k = 0; k < coefficients - 1; k++) {
      const values = new Float32Array(3 * n);
      for (let j = 0; j < 3; j++) {
        for (let i = 0; i < n; i++) values[3 * i + j] = (signed[(3 * k + j) * n + i] / 127) * top;
      }
      harmonics.push(values);
    }
  }
  const moving = n - still;
  const velocity = new Float32Array(3 * n);
  const speeds = column("velocity", 6, moving);
  for (let axis = 0; axis < 3; axis++) {
    const halves = words(speeds, moving, 2, 2 * axis);
    for (let i = 0; i < moving; i++) velocity[3 * (still + i) + axis] = unhalf(halves[i]);
  }
  const time = new Float32Array(n);
  const duration = new Float32Array(n).fill(Infinity);
  time.set(asFloats(words(column("time", 4, moving), moving, 4)), still);
  duration.set(asFloats(words(column("duration", 4, moving), moving, 4)), still);
  const rotation = quaternions(words(column("rotation", 4, n), n, 4));
  return { count: n, position, rotation, scale, opacity, harmonics, velocity, time, duration, source };
}
