// The container of glTF 2.0 binaries: header, JSON, binary chunk, accessors. Nothing is believed before it is checked
// against the bytes that are there.
import { Broken } from "./broken.js";

const COMPONENTS = new Map([
  [5120, Int8Array],
  [5121, Uint8Array],
  [5122, Int16Array],
  [5123, Uint16Array],
  [5126, Float32Array],
]);
const WIDTHS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4 };
const LIMITS = { 5120: 127, 5121: 255, 5122: 32767, 5123: 65535 };

/** A whole number from 0 to `high`, or an error that names `where`. */
export function whole(value, where, high = 2 ** 32) {
  if (!Number.isInteger(value) || value < 0 || value > high) throw new Broken(`${where} is not a whole number in range.`);
  return value;
}

/** An object of JSON, or an error that names `where`. */
export function object(value, where) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Broken(`${where} is not there.`);
  return value;
}

/** `count` finite numbers of JSON (nested lists are laid flat), or an error that names `where`. */
export function numbers(value, count, where) {
  const flat = Array.isArray(value) ? value.flat(3) : [];
  if (flat.length !== count || !flat.every(Number.isFinite)) throw new Broken(`${where} is not ${count} numbers.`);
  return flat;
}

/**
 * What the first bytes say: how long the file is, and where its chunks lie.
 * @param {Uint8Array} head at least 20 bytes
 * @returns {{total: number, jsonAt: number, jsonLength: number}}
 */
export function header(head) {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.length < 20 || view.getUint32(0, true) !== 0x46546c67) {
    throw new Broken("This is not a scene: it does not begin as a GLB does.", "Choose a .glb that `fourd lift` wrote.");
  }
  if (view.getUint32(4, true) !== 2) throw new Broken(`This is glTF version ${view.getUint32(4, true)}; 2 is read.`);
  const total = view.getUint32(8, true);
  const jsonLength = view.getUint32(12, true);
  if (view.getUint32(16, true) !== 0x4e4f534a || jsonLength > total - 20) {
    throw new Broken("The file is broken: its first chunk must be JSON and lie within the file.");
  }
  return { total, jsonAt: 20, jsonLength };
}

/** The document of a GLB: its JSON, and checked views of its binary chunk. */
export class Document {
  /**
   * @param {Uint8Array} bytes the file, of which only the JSON need be there yet
   * @param {{total: number, jsonAt: number, jsonLength: number}} head
   */
  constructor(bytes, head) {
    this.bytes = bytes;
    const text = new TextDecoder().decode(bytes.subarray(head.jsonAt, head.jsonAt + head.jsonLength));
    try {
      this.json = object(JSON.parse(text), "The JSON of the file");
    } catch (error) {
      throw error instanceof Broken ? error : new Broken("The file is broken: its JSON cannot be read.");
    }
    this.binAt = head.jsonAt + head.jsonLength + 8;
    this.binLength = Math.max(0, head.total - this.binAt);
  }

  /** Entry `index` of one of the document's lists. */
  item(kind, index) {
    const list = this.json[kind];
    whole(index, `An index into ${kind}`);
    if (!Array.isArray(list) || index >= list.length) throw new Broken(`The file is broken: ${kind}[${index}] is missing.`);
    return object(list[index], `${kind}[${index}]`);
  }

  /** Where a buffer view lies in the file: {at, length, stride}. */
  view(index) {
    const view = this.item("bufferViews", index);
    const at = whole(view.byteOffset ?? 0, `bufferViews[${index}].byteOffset`);
    const length = whole(view.byteLength, `bufferViews[${index}].byteLength`);
    if (view.buffer !== 0 || at + length > this.binLength) {
      throw new Broken(`The file is broken: buffer view ${index} does not lie within it.`);
    }
    return { at: this.binAt + at, length, stride: whole(view.byteStride ?? 0, `bufferViews[${index}].byteStride`, 252) };
  }

  /** Where the values of an accessor lie: {at, stride, count, end, type, code, normalized}. */
  locate(index, shape) {
    const accessor = this.item("accessors", index);
    const type = COMPONENTS.get(accessor.componentType);
    if (accessor.type !== shape || !type || accessor.sparse || accessor.bufferView === undefined) {
      throw new Broken(`The file is broken: accessor ${index} is not the ${shape} of plain numbers that is needed.`);
    }
    const view = this.view(accessor.bufferView);
    const offset = whole(accessor.byteOffset ?? 0, `accessors[${index}].byteOffset`);
    const count = whole(accessor.count, `accessors[${index}].count`);
    const width = type.BYTES_PER_ELEMENT * WIDTHS[shape];
    const stride = view.stride || width;
    if (count < 1 || stride < width || offset + (count - 1) * stride + width > view.length) {
      throw new Broken(`The file is broken: accessor ${index} asks for more than its buffer view holds.`);
    }
    const at = view.at + offset;
    const normalized = accessor.normalized === true;
    return { at, stride, count, end: at + (count - 1) * stride + width, type, code: accessor.componentType, normalized };
  }

  /**
   * The values of an accessor as floats, or as the bytes they are where `raw` is set.
   * @returns {Float32Array | Uint8Array}
   */
  values(index, shape, raw = false) {
    const { at, stride, count, type, code, normalized } = this.locate(index, shape);
    const k = WIDTHS[shape];
    const size = type.BYTES_PER_ELEMENT;
    const start = this.bytes.byteOffset + at;
    if (type === Float32Array && stride === 4 * k && start % 4 === 0) {
      return new Float32Array(this.bytes.buffer, start, count * k);
    }
    const view = new DataView(this.bytes.buffer, start, (count - 1) * stride + size * k);
    const read = { 5120: "getInt8", 5121: "getUint8", 5122: "getInt16", 5123: "getUint16", 5126: "getFloat32" }[code];
    const out = raw ? new Uint8Array(count * k) : new Float32Array(count * k);
    const top = normalized ? LIMITS[code] : 0;
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < k; j++) {
        const value = view[read](i * stride + j * size, true);
        out[i * k + j] = top ? Math.max(value / top, -1) : value;
      }
    }
    return out;
  }
}
