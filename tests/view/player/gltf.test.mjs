// Files that are not what they say: always a `Broken` with words, never anything else.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Broken } from "../../../fourd/view/player/broken.js";
import { Document, header } from "../../../fourd/view/player/gltf.js";
import { readPacked, unwrap } from "../../../fourd/view/player/packed.js";
import { factsOfGlb, partOfGlb } from "../../../fourd/view/player/scene.js";

const FILE = new Uint8Array(readFileSync(process.env.FOURD_TEST_GLB));
const PACKED = new Uint8Array(readFileSync(process.env.FOURD_TEST_PACKED));

function read(bytes) {
  const head = header(bytes);
  if (head.total !== bytes.length) throw new Broken("cut short");
  const document = new Document(bytes, head);
  const facts = factsOfGlb(document);
  return { facts, parts: facts.meshes.map((mesh) => partOfGlb(document, mesh, facts.coefficients)) };
}

/** The file with its JSON changed; chunk and file lengths are made right again. */
function edited(change) {
  const { jsonAt, jsonLength } = header(FILE);
  const json = JSON.parse(new TextDecoder().decode(FILE.subarray(jsonAt, jsonAt + jsonLength)));
  change(json);
  let text = JSON.stringify(json);
  text += " ".repeat((4 - (new TextEncoder().encode(text).length % 4)) % 4);
  const data = new TextEncoder().encode(text);
  const bytes = new Uint8Array(FILE.length - jsonLength + data.length);
  bytes.set(FILE.subarray(0, 20));
  bytes.set(data, 20);
  bytes.set(FILE.subarray(jsonAt + jsonLength), 20 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, bytes.length, true);
  view.setUint32(12, data.length, true);
  return bytes;
}

test("the file as it is can be read", () => assert.ok(read(FILE).facts.splats > 0));
test("so it can with its JSON written anew", () => assert.equal(read(edited(() => {})).facts.splats, read(FILE).facts.splats));

const WRONG = {
  "no JSON object": (json) => Object.keys(json).forEach((key) => delete json[key]),
  "not ours": (json) => delete json.extras.fourd,
  "a newer layout": (json) => (json.extras.fourd.version = 99),
  "no cameras": (json) => json.nodes.forEach((node) => delete node.camera),
  "a camera of text": (json) => (json.nodes[0].extras.fourd.K = "K"),
  "a camera with no focal length": (json) => (json.nodes[0].extras.fourd.K[0][0] = 0),
  "harmonics of another number": (json) => (json.extras.fourd.coefficients = 5),
  "more harmonics than there are": (json) => (json.extras.fourd.coefficients = 16),
  "pictures without size": (json) => (json.extras.fourd.hw = [0, 0]),
  "an accessor beyond its view": (json) => (json.accessors[0].count = 1e9),
  "a negative count": (json) => (json.accessors[0].count = -1),
  "a count of text": (json) => (json.accessors[0].count = "many"),
  "a view beyond the file": (json) => (json.bufferViews[0].byteLength = 2 ** 31),
  "a view before the file": (json) => (json.bufferViews[0].byteOffset = -4),
  "a view of another file": (json) => (json.bufferViews[0].buffer = 1),
  "an accessor of another type": (json) => (json.accessors[0].componentType = 5125),
  "an accessor of another shape": (json) => (json.accessors[0].type = "MAT4"),
  "a sparse accessor": (json) => (json.accessors[0].sparse = {}),
  "an index that is not there": (json) => (json.meshes[0].primitives[0].attributes.POSITION = 1000),
  "no opacity": (json) => delete json.meshes[0].primitives[0].attributes["KHR_gaussian_splatting:OPACITY"],
  "no primitives": (json) => (json.meshes[0].primitives = []),
  "three meshes": (json) => json.meshes.push(json.meshes[0], json.meshes[0]),
  "an uneven mesh": (json) => (json.accessors[json.meshes[0].primitives[0].attributes._TIME].count -= 1),
  "nodes of text": (json) => (json.nodes = "nodes"),
  "sound that is not there": (json) => (json.extras.fourd.sound = { bufferView: 9999 }),
};
for (const [name, change] of Object.entries(WRONG)) {
  test(`a file with ${name} is refused with words`, () => assert.throws(() => read(edited(change)), Broken));
}

test("bytes that are changed at random give a scene or words", () => {
  let state = 7;
  const random = (n) => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8) % n;
  const { jsonAt, jsonLength } = header(FILE);
  for (let i = 0; i < 400; i++) {
    const bytes = FILE.slice();
    for (let k = 0; k < 3; k++) bytes[random(jsonAt + jsonLength)] = random(256);
    try {
      read(bytes);
    } catch (error) {
      assert.ok(error instanceof Broken, `${i}: ${error.stack}`);
    }
  }
});

for (const length of [0, 4, 11, 12, 19, 20, 100]) {
  test(`a file of ${length} bytes is refused with words`, () => assert.throws(() => read(FILE.slice(0, length)), Broken));
}

test("a packed scene cut short is refused with words", async () => {
  assert.ok(readPacked(PACKED).parts[0]().count > 0);
  for (const length of [0, 8, 11, 60, PACKED.length - 1]) {
    assert.throws(() => readPacked(PACKED.slice(0, length)).parts.map((part) => part()), Error);
  }
  await assert.rejects(unwrap("bm90IGd6aXA="), Broken);
  await assert.rejects(unwrap("%%%"), Broken);
});
