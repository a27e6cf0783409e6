// The meshes of a scene file that was rounded; docs/formats.md says what every attribute means.
import { Broken } from "./broken.js";
import { numbers } from "./gltf.js";

const SH_C0 = 0.28209479177387814;
const FOR_EVER = 255;
/** The largest float stands for infinity, as in files that are not rounded. */
const ALWAYS = 3.4028234663852886e38;
const LIFE = { velocity: ["_VELOCITY", "VEC3"], time: ["_TIME", "SCALAR"], duration: ["_DURATION", "SCALAR"] };
const quads = (coefficients) => Math.ceil((3 * (coefficients - 1)) / 4);

/** Which attribute of a mesh holds what: name -> [attribute, shape]. */
export function attributesOf({ kind }, attributes, coefficients, extension) {
  if (!["standing", "passing", "other"].includes(kind)) throw new Broken("The file is broken: a mesh is of no known kind.");
  const other = kind === "other";
  const prefix = other ? "_" : `${extension}:`;
  const wanted = {
    position: ["POSITION", "VEC3"],
    rotation: [`${prefix}ROTATION`, "VEC4"],
    scale: [`${prefix}SCALE`, "VEC3"],
    ...(other
      ? { paint: ["_COLOUR", "VEC4"] }
      : { opacity: [`${prefix}OPACITY`, "SCALAR"], base: [`${prefix}SH_DEGREE_0_COEF_0`, "VEC3"] }),
    ...(kind === "standing" ? {} : LIFE),
    ...(kind !== "passing" || "_SOURCE" in attributes ? { source: ["_SOURCE", "SCALAR"] } : {}),
  };
  for (let i = 0; i < quads(coefficients); i++) wanted[`sh${i}`] = [`_SH_${i}`, "VEC4"];
  return wanted;
}

/** The splats of a mesh as floats; `mesh` is what the file says about it, `read` gives the values of an attribute. */
export function expand(mesh, read, count, coefficients) {
  const number = (name) => numbers([mesh[name]], 1, name)[0];
  const ranged = (values, name) => {
    const [low, high] = numbers(mesh[name], 2, name);
    const line = values.map((x) => low + x * (high - low));
    return name.startsWith("log2") ? line.map((x) => 2 ** x) : line;
  };
  const make = (width, value) => {
    const out = new Float32Array(width * count);
    for (let i = 0, at = 0; i < count; i++) for (let j = 0; j < width; j++) out[at++] = value(i, j);
    return out;
  };
  const unit = number("unit");
  const scaled = (values) => values.map((x) => x * unit);
  const turn = read("rotation");
  const square = (i) => turn[i] * turn[i];
  const long = make(1, (i) => Math.sqrt(square(4 * i) + square(4 * i + 1) + square(4 * i + 2) + square(4 * i + 3)) || 1);
  const part = {
    count,
    position: scaled(read("position")),
    rotation: turn.map((x, i) => x / long[i >> 2]),
    source: read("source") ?? new Uint8Array(count),
  };
  if (mesh.kind === "other") {
    const paint = read("paint");
    const rgb = ranged(paint, "colour");
    part.scale = ranged(read("scale"), "log2_scale");
    part.opacity = make(1, (i) => paint[4 * i + 3]);
    part.harmonics = [make(3, (i, j) => (rgb[4 * i + j] - 0.5) / SH_C0)];
  } else {
    part.scale = scaled(read("scale"));
    part.opacity = read("opacity");
    part.harmonics = [read("base")];
  }
  if (mesh.kind === "standing") {
    Object.assign(part, { velocity: make(3, () => 0), time: make(1, () => 0), duration: make(1, () => ALWAYS) });
  } else {
    const fastest = number("velocity");
    const code = read("duration");
    const life = ranged(Float32Array.from(code, (x) => x / (FOR_EVER - 1)), "log2_duration");
    part.velocity = read("velocity").map((x) => x * Math.abs(x) * fastest);
    part.time = ranged(read("time"), "time");
    part.duration = life.map((x, i) => (code[i] === FOR_EVER ? ALWAYS : x));
  }
  if (coefficients > 1) {
    const brightest = number("harmonics");
    const sheen = Array.from({ length: quads(coefficients) }, (_, i) => read(`sh${i}`));
    for (let k = 0; k < 3 * (coefficients - 1); k += 3) {
      part.harmonics.push(make(3, (i, j) => sheen[(k + j) >> 2][4 * i + ((k + j) & 3)] * brightest));
    }
  }
  return part;
}
