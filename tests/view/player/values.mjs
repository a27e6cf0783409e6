// Print, as JSON, what the player reads out of a file: for the test that compares it with what was written.
import { readFileSync } from "node:fs";
import { Document, header } from "../../../fourd/view/player/gltf.js";
import { readPacked } from "../../../fourd/view/player/packed.js";
import { factsOfGlb, partOfGlb } from "../../../fourd/view/player/scene.js";

const bytes = new Uint8Array(readFileSync(process.argv[2]));
let facts, parts;
if (bytes[0] === "g".charCodeAt(0)) {
  const document = new Document(bytes, header(bytes));
  facts = factsOfGlb(document);
  parts = facts.meshes.map((mesh) => partOfGlb(document, mesh, facts.coefficients));
} else {
  const packed = readPacked(bytes);
  facts = packed.facts;
  parts = packed.parts.map((part) => part());
}
const plain = (value) => {
  if (ArrayBuffer.isView(value)) return Array.from(value, (x) => (x === Infinity ? 3.4028234663852886e38 : x));
  if (Array.isArray(value)) return value.map(plain);
  return value;
};
const list = parts.map((part) => Object.fromEntries(Object.entries(part).map(([name, value]) => [name, plain(value)])));
process.stdout.write(JSON.stringify({ facts, parts: list }));
