// Off the main thread: fetch and read the scene, then say in which order splats are drawn. docs/player.md lists what
// it is told and what it says.
import { Alive } from "./alive.js";
import { Broken } from "./broken.js";
import { Document, header } from "./gltf.js";
import { readPacked, unwrap } from "./packed.js";
import { factsOfGlb, partOfGlb } from "./scene.js";
import { focus, Sorter } from "./sort.js";
import { Store, WIDTH } from "./store.js";

const PIECE_ROWS = 128;
const SMALLER = "Close other pages, or lift the clip at a smaller --size.";
/** The most that an order may be asked to hold for, before and after its moment. */
const SLACK_S = 0.25;
const NOBODY = new Alive(new Float32Array(0), new Float32Array(0));

let store = null;
let alive = NOBODY;
let sorter = null;

const say = (kind, more, transfer = []) => self.postMessage({ kind, ...more }, transfer);

/** Bytes that arrive little by little, in one array of the length that the file says. */
class Download {
  constructor(response) {
    this.reader = response.body.getReader();
    this.expected = Number(response.headers.get("content-length")) || 0;
    this.bytes = new Uint8Array(64);
    this.length = 0;
    this.told = 0;
  }

  /** Make room for the whole file. */
  reserve(total) {
    if (this.expected && this.expected !== total) {
      throw new Broken(`The file is cut short or broken: it says ${total} bytes and has ${this.expected}.`);
    }
    const old = this.bytes.subarray(0, this.length);
    try {
      this.bytes = new Uint8Array(Math.max(total, this.length));
    } catch {
      throw new Broken(
        `The scene takes ${Math.round(total / 1e6)} MB, more than this browser gives.`,
        SMALLER,
      );
    }
    this.bytes.set(old);
    this.total = total;
  }

  /** Wait until the first `count` bytes are there. */
  async until(count) {
    while (this.length < count) {
      const { done, value } = await this.reader.read();
      if (done) throw new Broken(`The file is cut short: it ends after ${this.length} bytes.`);
      if (this.length + value.length > this.bytes.length) {
        if (this.total) throw new Broken("The file is longer than it says.");
        const more = new Uint8Array(2 * (this.length + value.length));
        more.set(this.bytes.subarray(0, this.length));
        this.bytes = more;
      }
      this.bytes.set(value, this.length);
      this.length += value.length;
      if (this.length - this.told > 1e6 || this.length >= count) {
        this.told = this.length;
        say("progress", { done: this.length, total: this.total ?? 0 });
      }
    }
  }
}

async function openUrl(url) {
  const response = await fetch(url, { cache: "no-store" }).catch(() => {
    throw new Broken("The scene could not be fetched: the server does not answer.", "Is `fourd view` still running?");
  });
  if (!response.ok) {
    throw new Broken(`The scene could not be fetched: the server answers ${response.status}.`, "Start `fourd view` again.");
  }
  const file = new Download(response);
  await file.until(20);
  const head = header(file.bytes);
  file.reserve(head.total);
  await file.until(Math.min(head.total, head.jsonAt + head.jsonLength));
  const document = new Document(file.bytes, head);
  const { meshes, sound, ...facts } = factsOfGlb(document);
  if (meshes.reduce((sum, mesh) => sum + mesh.count, 0) !== facts.splats) {
    throw new Broken("The file is broken: it holds another number of splats than it says.");
  }
  say("scene", { facts });
  begin(facts);
  for (const mesh of meshes) {
    await file.until(mesh.end);
    add(partOfGlb(document, mesh, facts.coefficients));
  }
  await file.until(head.total);
  finish();
  if (sound) hear(sound, ({ at, length }) => file.bytes.slice(at, at + length).buffer);
}

async function openText(text) {
  const { facts, sound, parts } = readPacked(await unwrap(text));
  say("scene", { facts });
  begin(facts);
  for (const part of parts) add(part());
  finish();
  if (sound) hear(sound, ({ wav }) => wav);
}

function hear({ start_s, tracks }, wavOf) {
  const said = tracks.map((track) => ({ ...track, wav: wavOf(track) }));
  say("sound", { start_s, tracks: said }, said.map(({ wav }) => wav));
}

function begin(facts) {
  store = new Store(facts.splats, facts.coefficients);
}

/** Take a part in, and send its rows to the graphics card. */
function add(part) {
  const before = store.filled;
  store.add(part);
  if (before === 0) {
    const textures = {};
    for (const [name, { array, channels }] of Object.entries(store.textures())) {
      textures[name] = { rows: Math.max(1, array.length / channels / WIDTH), channels };
    }
    say("layout", { textures, still: store.still, sheenTexels: store.sheenTexels, count: store.count });
  }
  for (const [name, { array, channels }] of Object.entries(store.textures())) {
    const each = name === "sheen" ? store.sheenTexels : 1;
    const skip = name === "life" ? store.still : 0;
    const from = Math.floor((Math.max(0, before - skip) * each) / WIDTH);
    const to = Math.ceil((Math.max(0, store.filled - skip) * each) / WIDTH);
    for (let row = from; row < to; row += PIECE_ROWS) {
      const end = Math.min(to, row + PIECE_ROWS);
      const piece = array.slice(row * WIDTH * channels, end * WIDTH * channels);
      say("rows", { name, row, array: piece }, [piece.buffer]);
    }
  }
  sorter ??= new Sorter(store.count);
  const moving = store.filled - store.still;
  alive = new Alive(store.life.subarray(0, 4 * moving), store.span.subarray(0, moving), SLACK_S);
  say("filled", { count: store.filled, whole: store.filled === store.count, invented: store.invented });
}

/** What only the graphics card needs is let go. */
function finish() {
  if (store.count === 0) say("filled", { count: 0, whole: true, invented: 0 });
  store.shape = store.tint = store.sheen = null;
}

const actions = {
  open: ({ url, text }) => (text === undefined ? openUrl(url) : openText(text)),
  sort: ({ row, time_s, margin_s, near, buffer }) => {
    const room = WIDTH * Math.max(1, Math.ceil(store.count / WIDTH));
    const out = buffer?.byteLength === 4 * room ? new Uint32Array(buffer) : new Uint32Array(room);
    const count = sorter ? sorter.order(store, alive, row, time_s, Math.min(margin_s, SLACK_S), near, out) : 0;
    say("order", { buffer: out.buffer, count, time_s }, [out.buffer]);
  },
  focus: ({ id, camera, time_s, part }) => say("focus", { id, found: store && focus(store, alive, camera, time_s, part) }),
};

self.onmessage = async ({ data }) => {
  try {
    await actions[data.kind](data);
  } catch (error) {
    const known = error instanceof Broken;
    const full = error instanceof RangeError;
    say("failed", {
      message: known ? error.message : full ? "The scene needs more memory than this browser gives." : "The scene could not be read.",
      todo: known ? error.todo : full ? SMALLER : String(error),
    });
  }
};
