// What a fourd scene file says besides its splats: cameras, length, sound, notes. See docs/formats.md.
import { Broken } from "./broken.js";
import { numbers, object, whole } from "./gltf.js";
import { attributesOf, expand } from "./quantised.js";

export const EXTENSION = "KHR_gaussian_splatting";
/** Layouts of files: as they are, or rounded. */
const QUANTISED = 2;
const DEGREES = { 1: 0, 4: 1, 9: 2, 16: 3 };

/**
 * @typedef {object} Camera
 * @property {number[]} K nine numbers, row by row, in pixels of the filmed picture
 * @property {number[]} pose sixteen numbers, row by row: world_from_cam, OpenCV axes
 * @property {number} time_s
 */

/**
 * The facts of a scene.
 * @param {object} ours `extras.fourd` of the file
 * @param {Camera[]} cameras
 */
export function facts(ours, cameras) {
  const version = whole(ours.version, "extras.fourd.version");
  if (version > QUANTISED) throw new Broken(`The file has layout ${version}; this player reads up to ${QUANTISED}.`, "Update fourd.");
  if (!cameras.length) throw new Broken("The file holds no camera.");
  const coefficients = whole(ours.coefficients, "extras.fourd.coefficients");
  if (!(coefficients in DEGREES)) throw new Broken("The file has an unknown number of harmonics.");
  const [h, w] = numbers(ours.hw, 2, "extras.fourd.hw");
  if (!(h >= 1 && w >= 1)) throw new Broken("The file says that its pictures have no size.");
  cameras.sort((a, b) => a.time_s - b.time_s);
  const first = cameras[0].time_s;
  const last = cameras[cameras.length - 1].time_s;
  const steps = cameras.slice(1).map((camera, i) => camera.time_s - cameras[i].time_s).sort((a, b) => a - b);
  const frame_s = steps.length ? steps[steps.length >> 1] || 1 / 24 : 1 / 24;
  const notes = typeof ours.provenance === "object" && ours.provenance !== null ? ours.provenance : {};
  return {
    splats: whole(ours.splats, "extras.fourd.splats", 2 ** 31),
    coefficients,
    hw: [h, w],
    cameras,
    frame_s,
    start_s: first,
    end_s: last + frame_s,
    still_s: Number.isFinite(ours.still_s) ? ours.still_s : first,
    name: typeof notes.clip === "string" ? notes.clip : "",
    metric: notes.metric === true,
    up: notes.up && numbers(notes.up, 3, "up"),
  };
}

/** One camera of a file, checked. */
export function camera(exact, where) {
  const K = numbers(exact.K, 9, `${where}: K`);
  if (!(K[0] > 0 && K[4] > 0)) throw new Broken(`${where} has no focal length.`);
  const pose = numbers(exact.world_from_cam, 16, `${where}: world_from_cam`);
  return { K, pose, time_s: numbers([exact.time_s], 1, `${where}: time_s`)[0] };
}

/**
 * The facts of a GLB.
 * @param {Document} document
 */
export function factsOfGlb(document) {
  const extras = document.json.extras;
  if (typeof extras !== "object" || extras === null || !("fourd" in extras)) {
    throw new Broken("This GLB was not saved by fourd.", "Choose a .glb that `fourd lift` wrote.");
  }
  const ours = object(extras.fourd, "extras.fourd");
  const nodes = Array.isArray(document.json.nodes) ? document.json.nodes : [];
  const cameras = [];
  nodes.forEach((node, i) => {
    if (typeof node !== "object" || node === null || node.camera === undefined) return;
    const where = `nodes[${i}]`;
    cameras.push(camera(object(object(node.extras, `${where}.extras`).fourd, `${where}.extras.fourd`), where));
  });
  const known = facts(ours, cameras);
  const meshes = Array.isArray(document.json.meshes) ? document.json.meshes : [];
  const rounded = ours.version === QUANTISED;
  if (meshes.length > (rounded ? 32 : 2)) throw new Broken("The file is broken: it has too many meshes.");
  const says = (i) => (rounded ? object(ours.meshes?.[i], `extras.fourd.meshes[${i}]`) : null);
  const found = meshes.map((_, i) => mesh(document, i, known.coefficients, says(i)));
  return { ...known, meshes: found, sound: soundOf(document, ours) };
}

/** Which accessor holds what in a mesh, how many splats it has, and where in the file it ends. */
function mesh(document, index, coefficients, says) {
  const primitives = document.item("meshes", index).primitives;
  const attributes = object(object(primitives?.[0], `meshes[${index}].primitives[0]`).attributes, `meshes[${index}]`);
  const wanted = says ? attributesOf(says, attributes, coefficients, EXTENSION) : exactAttributes(coefficients);
  let end = 0;
  let count = -1;
  const where = {};
  for (const [name, [attribute, shape]] of Object.entries(wanted)) {
    if (!(attribute in attributes)) throw new Broken(`The file is broken: meshes[${index}] has no ${attribute}.`);
    const place = document.locate(attributes[attribute], shape);
    if (count >= 0 && place.count !== count) throw new Broken(`The file is broken: meshes[${index}] is uneven.`);
    count = place.count;
    end = Math.max(end, place.end);
    where[name] = [attributes[attribute], shape];
  }
  return { count, end, where, says };
}

/** Which attribute of a mesh that was not rounded holds what. */
function exactAttributes(coefficients) {
  const wanted = {
    position: ["POSITION", "VEC3"],
    rotation: [`${EXTENSION}:ROTATION`, "VEC4"],
    scale: [`${EXTENSION}:SCALE`, "VEC3"],
    opacity: [`${EXTENSION}:OPACITY`, "SCALAR"],
    velocity: ["_VELOCITY", "VEC3"],
    time: ["_TIME", "SCALAR"],
    duration: ["_DURATION", "SCALAR"],
    source: ["_SOURCE", "SCALAR"],
  };
  for (let degree = 0, i = 0; degree <= DEGREES[coefficients]; degree++) {
    for (let n = 0; n <= 2 * degree; n++, i++) wanted[`sh${i}`] = [`${EXTENSION}:SH_DEGREE_${degree}_COEF_${n}`, "VEC3"];
  }
  return wanted;
}

/** The splats of a mesh of a GLB: one array an attribute. */
export function partOfGlb(document, { where, count, says }, coefficients) {
  if (says) {
    const raw = (name) => name === "source" || name === "duration";
    return expand(says, (name) => where[name] && document.values(...where[name], raw(name)), count, coefficients);
  }
  const part = { count, harmonics: [] };
  for (const [name, [index, shape]] of Object.entries(where)) {
    const values = document.values(index, shape, name === "source");
    if (!name.startsWith("sh")) part[name] = values;
  }
  for (let i = 0; i < coefficients; i++) part.harmonics.push(document.values(...where[`sh${i}`]));
  return part;
}

function soundOf(document, ours) {
  if (ours.sound === undefined || ours.sound === null) return null;
  const sound = object(ours.sound, "extras.fourd.sound");
  const found = tracks(sound, ({ bufferView }) => document.view(bufferView));
  return { tracks: found, start_s: Number.isFinite(sound.start_s) ? sound.start_s : 0 };
}

/** What to play: the sources of a sound, if they have places, or else all of it as the camera heard it. */
export function tracks(sound, open) {
  if (!sound.sources?.length) return [{ ...open(sound) }];
  return sound.sources.map((source, i) => {
    const { time_s, position_m } = object(source, `sources[${i}]`);
    if (!time_s?.length || time_s.length !== position_m?.length) throw new Broken(`The file places source ${i} nowhere.`);
    const places = position_m.map((place) => numbers(place, 3, `sources[${i}].position_m`));
    return { ...open(source), time_s: numbers(time_s, places.length, `sources[${i}].time_s`), position_m: places };
  });
}
