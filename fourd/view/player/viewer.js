// The scene, the view of it, and when to draw. What moves the view is the player's business.
//
// It draws when something has changed, and not otherwise. The order of the splats is made by the worker for a moment
// and a view; until a newer one comes, no moment is shown for which it does not hold.
import { Broken } from "./broken.js";
import { down, fitted, homeZoom, lensOf, mix, poseOf, scaled, sourceAt, unit, view } from "./camera.js";
import { NEAR_M, Renderer } from "./renderer.js";
import { Sound } from "./sound.js";

/** Frames slower than this, in milliseconds, are drawn coarser while things move; below the second one finer again. */
const SLOW_MS = 45;
const QUICK_MS = 24;
const COARSEST = 0.5;
/** The longest that an order holds for, before and after its moment, as the worker has it. */
const SLACK_S = 0.25;

export class Viewer extends EventTarget {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{makeWorker: () => Worker, open: object}} options open: what to tell the worker
   */
  constructor(canvas, { makeWorker, makeRenderer = (canvas) => new Renderer(canvas), open }) {
    super();
    this.canvas = canvas;
    this.facts = null;
    this.sound = new Sound(() => this.changed());
    this.time_s = 0;
    this.playing = false;
    this.speed = 1;
    this.mode = "colour";
    this.pose = { p: [0, 0, 0], q: [1, 0, 0, 0] };
    this.lens = null;
    this.zoom = 1;
    this.distance = 1;
    this.up = [0, -1, 0];
    this.scale = 1;
    this.pixelRatio = 1;
    this.stats = { frames: 0, sort_ms: 0, frame_ms: 0 };
    this.ready = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.ready.catch(() => {});
    this.ordered = { time_s: 0, margin_s: 0 };
    this.waiting = [];
    this.answers = new Map();
    this.failed = false;
    try {
      // The scene is on its way while the graphics card makes itself ready.
      this.worker = makeWorker();
      this.worker.onmessage = ({ data }) => this.#hear(data);
      this.worker.onerror = (event) => {
        event.preventDefault?.();
        this.fail("The player could not start.", event.message || "Its worker did not load.");
      };
      this.worker.postMessage({ kind: "open", ...open });
      this.renderer = makeRenderer(canvas);
      canvas.addEventListener("webglcontextlost", (event) => {
        event.preventDefault();
        this.fail("The graphics card was taken away from this page.", "Load the page again to go on.");
      });
      new ResizeObserver(() => this.resize()).observe(canvas);
      this.resize();
    } catch (error) {
      this.fail(error instanceof Broken ? error.message : "The player could not start.", error.todo ?? String(error));
    }
  }

  /** Stop, and say why. */
  fail(message, todo) {
    if (this.failed) return;
    this.failed = { message, todo };
    this.playing = false;
    this.sound.stop();
    this.tell("failed", { message, todo });
    this.reject(new Broken(message, todo));
  }

  tell(kind, detail = {}) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  /** Something that the buttons show has changed. */
  changed() {
    this.tell("change");
    this.wake();
  }

  #hear(data) {
    if (this.failed) return;
    const act = {
      progress: () => this.tell("progress", data),
      failed: () => this.fail(data.message, data.todo),
      scene: () => this.#begin(data.facts),
      layout: () => this.renderer.allocate({ ...data, coefficients: this.facts.coefficients }),
      rows: () => this.renderer.upload(data.name, data.row, data.array),
      filled: () => this.#filled(data),
      order: () => this.#take(data),
      focus: () => this.#answer(data),
      sound: () => this.sound.load(data.tracks, data.start_s).then(() => this.tell("change")),
    }[data.kind];
    try {
      act();
    } catch (error) {
      this.fail(error instanceof Broken ? error.message : "The scene cannot be shown.", error.todo ?? String(error));
    }
  }

  #begin(facts) {
    this.facts = facts;
    this.time_s = facts.start_s;
    const middle = poseOf(facts.cameras[facts.cameras.length >> 1].pose);
    this.up = unit(facts.up ?? scaled(down(middle), -1));
    this.lookThroughSource();
    this.zoom = homeZoom(this.lens, this.hw());
    this.tell("scene", facts);
  }

  async #filled({ count, whole, invented }) {
    this.invented = invented;
    this.filled = count;
    this.empty = whole && count === 0;
    if (count) {
      const [middle, all] = await Promise.all([this.focus(), this.focus([0, 0, 1, 1])]);
      if (middle) this.distance = this.home_m = middle.median;
      if (all) this.renderer.depthRange = all.far > all.near * 1.001 ? [all.near, all.far] : [all.near / 1.5, all.near * 1.5];
      await this.sorted();
    }
    if (this.filled !== count) return; // More has come meanwhile.
    this.tell("shown", { whole, count });
    if (whole) this.resolve(this);
    this.changed();
  }

  /** Depths of what the view shows: {median, near, far}, or null where it is empty. */
  focus(part, lens = this.lens) {
    const id = this.answers.size + Math.random();
    this.worker.postMessage({ kind: "focus", id, camera: { rows: view(this.pose), lens }, time_s: this.time_s, part });
    return new Promise((resolve) => this.answers.set(id, resolve));
  }

  #answer({ id, found }) {
    this.answers.get(id)?.(found);
    this.answers.delete(id);
  }

  // --- order ---

  /** Ask for the order of this view and moment, unless the worker is still busy with another. */
  #sort() {
    if (this.asked || this.posing || !this.facts || this.failed) return;
    const longest_s = 1.5 * this.facts.frame_s + (this.playing ? 0.1 * Math.abs(this.speed) : 0);
    const wanted = this.#moment();
    if (wanted === this.lastAsked) return;
    this.lastAsked = wanted;
    this.#ask(this.pose, this.time_s, Math.min(SLACK_S, longest_s));
  }

  /** Resolves when the order is there. */
  #ask(pose, time_s, margin_s) {
    this.asked = { time_s, margin_s, since: performance.now() };
    const message = { kind: "sort", row: view(pose).slice(8), time_s, margin_s, near: NEAR_M, buffer: this.spare };
    this.worker.postMessage(message, this.spare ? [this.spare] : []);
    this.spare = null;
    return this.#answered();
  }

  #answered() {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  #take({ buffer, count }) {
    this.renderer.setOrder(new Uint32Array(buffer), count);
    this.spare = buffer;
    this.ordered = this.asked;
    this.stats.sort_ms = performance.now() - this.asked.since;
    this.asked = null;
    for (const resolve of this.waiting.splice(0)) resolve();
    this.wake();
  }

  /** What the order depends on. */
  #moment() {
    return [...view(this.pose).slice(8), this.time_s, this.filled].join();
  }

  /** Resolves when the order is that of a view and moment that were current in between. */
  async sorted() {
    while (this.asked || this.posing) await (this.posing ?? this.#answered());
    this.lastAsked = "";
    this.#sort();
    if (this.asked) await this.#answered();
  }

  // --- picture ---

  hw() {
    return [this.canvas.height, this.canvas.width];
  }

  /** The canvas has another size. */
  resize() {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const [h, w] = [this.canvas.clientHeight, this.canvas.clientWidth].map((x) => Math.max(1, Math.round(x * ratio)));
    if (this.canvas.height === h && this.canvas.width === w) return;
    this.pixelRatio = ratio;
    Object.assign(this.canvas, { height: h, width: w });
    if (this.atHome && this.lens) this.zoom = homeZoom(this.lens, [h, w]);
    this.draw();
    this.changed();
  }

  /** Where the filmed picture lies in the canvas, in CSS pixels: left, top, width, height. */
  frame() {
    return fitted(this.lens, this.hw(), this.zoom).frame.map((x) => x / this.pixelRatio);
  }

  /** Draw now. */
  draw(scale = this.scale) {
    if (!this.facts || this.failed || this.posing) return;
    const hw = this.hw().map((x) => Math.max(1, Math.round(x * scale)));
    const { time_s, margin_s } = this.ordered;
    const shown_s = Math.min(time_s + margin_s, Math.max(time_s - margin_s, this.time_s));
    this.drawnScale = scale;
    this.stats.frames++;
    return this.renderer.draw({ pose: this.pose, lens: fitted(this.lens, hw, this.zoom), time_s: shown_s, mode: this.mode });
  }

  /**
   * The pixels that a camera sees at a moment: RGBA, rows from the top, over black.
   * @param {{K: number[], pose: number[], hw: number[], time_s: number, mode?: string}} camera
   */
  async picture({ K, pose, hw, time_s, mode = "colour" }) {
    while (this.asked || this.posing) await (this.posing ?? this.#answered());
    let release;
    this.posing = new Promise((resolve) => (release = resolve));
    try {
      const posed = poseOf(pose);
      await this.#ask(posed, time_s, 0);
      return this.renderer.picture({ pose: posed, lens: lensOf(K, hw), time_s, mode });
    } finally {
      this.posing = null;
      this.lastAsked = "";
      release();
      this.wake();
    }
  }

  /** Something has to be drawn. */
  wake() {
    this.dirty = true;
    this.#schedule();
  }

  #schedule() {
    if (this.scheduled || this.failed) return;
    this.scheduled = true;
    requestAnimationFrame((now) => this.#tick(now));
  }

  #tick(now) {
    this.scheduled = false;
    if (!this.facts || this.failed) return;
    const elapsed = Math.min(250, now - (this.lastTick ?? now));
    const moving = this.advance(now, elapsed / 1000);
    this.lastTick = moving ? now : undefined;
    this.#sort();
    const busy = this.renderer.busy();
    if (!busy && this.drawnAt) {
      if (this.drawnScale === this.scale) this.#govern(now - this.drawnAt);
      this.drawnAt = 0;
    }
    if (!busy && (this.dirty || moving)) {
      this.dirty = false;
      this.drawnAt = now;
      this.draw(this.restful && !moving ? 1 : this.scale);
      this.restful = false;
    }
    this.tell("moved");
    if (moving || this.dirty || this.drawnAt) this.#schedule();
    else if (this.drawnScale < 1) this.#rest();
  }

  /** At rest the picture becomes as fine as it can be. */
  #rest() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.restful = true;
      this.wake();
    }, 200);
  }

  /** Draw coarser or finer, by how long the last picture took. */
  #govern(milliseconds) {
    const stats = this.stats;
    stats.frame_ms = stats.frame_ms ? mix(stats.frame_ms, milliseconds, 0.3) : milliseconds;
    const middle = (SLOW_MS + QUICK_MS) / 2;
    if (stats.frame_ms > SLOW_MS && this.scale > COARSEST) {
      this.scale = Math.max(COARSEST, this.scale * Math.max(0.7, middle / stats.frame_ms));
      stats.frame_ms = middle;
    } else if (stats.frame_ms < QUICK_MS && this.scale < 1) {
      this.scale = Math.min(1, this.scale * 1.05);
      stats.frame_ms = middle;
    }
  }

  /** Move what moves by itself, at `now` (ms), `dt` seconds after the last time; says whether anything moves. */
  advance(now, dt) {
    return false;
  }

  /** The view becomes that of the source camera at this moment. */
  lookThroughSource() {
    const { pose, lens } = sourceAt(this.facts.cameras, this.facts.hw, this.time_s);
    Object.assign(this, { pose, lens });
  }
}
