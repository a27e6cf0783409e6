// The player without its buttons: the scene, the clock, the camera, and when to draw.
//
// It draws when something has changed, and not otherwise. The order of the splats is made by the worker for a moment
// and a view; until a newer one comes, no moment is shown for which it does not hold.
import { Broken } from "./broken.js";
import {
  add, fitted, forward, homeZoom, lensOf, level, look, mix, mixLens, mixPose, orbit, poseOf, scaled, sourceAt, swing, about, down, unit, view,
} from "./camera.js"; // prettier-ignore
import { cameraPath, filmAt, schedule } from "./path.js";
import { NEAR_M, Renderer } from "./renderer.js";
import { Sound } from "./sound.js";

const GLIDE_MS = 600;
const SWAY = { degrees: 14, seconds: 9 };
/** Frames slower than this, in milliseconds, are drawn coarser while things move; below the second one finer again. */
const SLOW_MS = 45;
const QUICK_MS = 24;
const COARSEST = 0.35;

export class Player extends EventTarget {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{makeWorker: () => Worker, open: object, calm?: boolean}} options open: what to tell the worker;
   *     calm: people who asked for less motion
   */
  constructor(canvas, { makeWorker, open, calm = false }) {
    super();
    this.canvas = canvas;
    this.calm = calm;
    this.facts = null;
    this.sound = new Sound();
    this.time_s = 0;
    this.playing = false;
    this.loop = true;
    this.speed = 1;
    this.mode = "colour";
    this.fly = false;
    this.follow = true;
    this.sway = null;
    this.pose = { p: [0, 0, 0], q: [1, 0, 0, 0] };
    this.lens = null;
    this.zoom = 1;
    this.distance = 1;
    this.up = [0, -1, 0];
    this.keys = [];
    this.film = null;
    this.glide = null;
    this.spin = null;
    this.walk = [0, 0, 0];
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
      this.renderer = new Renderer(canvas);
      canvas.addEventListener("webglcontextlost", (event) => {
        event.preventDefault();
        this.fail("The graphics card was taken away from this page.", "Load the page again to go on.");
      });
      this.worker = makeWorker();
      this.worker.onmessage = ({ data }) => this.#hear(data);
      this.worker.onerror = (event) => {
        event.preventDefault?.();
        this.fail("The player could not start.", event.message || "Its worker did not load.");
      };
      this.worker.postMessage({ kind: "open", ...open });
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
    this.#tell("failed", { message, todo });
    this.reject(new Broken(message, todo));
  }

  #tell(kind, detail = {}) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  /** Something that the buttons show has changed. */
  changed() {
    this.#tell("change");
    this.wake();
  }

  #hear(data) {
    if (this.failed) return;
    const act = {
      progress: () => this.#tell("progress", data),
      failed: () => this.fail(data.message, data.todo),
      scene: () => this.#begin(data.facts),
      layout: () => this.renderer.allocate({ ...data, coefficients: this.facts.coefficients }),
      rows: () => this.renderer.upload(data.name, data.row, data.array),
      filled: () => this.#filled(data),
      order: () => this.#take(data),
      focus: () => this.#answer(data),
      sound: () => this.sound.load(data.wav, data.start_s).then(() => this.#tell("change")),
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
    this.up = unit(scaled(down(middle), -1));
    this.#source();
    this.zoom = homeZoom(this.lens, this.#hw());
    this.#tell("scene", facts);
  }

  async #filled({ count, whole, invented }) {
    this.invented = invented;
    this.empty = whole && count === 0;
    if (count) {
      const seen = await this.focus();
      if (seen) {
        this.distance = seen.median;
        this.home_m = seen.median;
        const [near, far] = [seen.near, seen.far];
        this.renderer.depthRange = far > near * 1.001 ? [near, far] : [near / 1.5, near * 1.5];
      }
      await this.sorted();
    }
    this.#tell("shown", { whole, count });
    if (whole) this.resolve(this);
    this.changed();
  }

  /** Depths of what the view shows: {median, near, far}, or null where it is empty. */
  focus(part) {
    const lens = this.lens;
    const id = this.answers.size + Math.random();
    this.worker.postMessage({ kind: "focus", id, camera: { rows: view(this.pose), lens }, time_s: this.time_s, part });
    return new Promise((resolve) => this.answers.set(id, resolve));
  }

  #answer({ id, found }) {
    this.answers.get(id)?.(found);
    this.answers.delete(id);
  }

  // --- order ----------------------------------------------------------------------------------------------------------

  #sort() {
    if (this.asked || !this.facts || this.failed) return;
    const frame_s = this.facts.frame_s;
    const margin_s = this.playing ? Math.min(0.25, 1.5 * frame_s + 0.1 * Math.abs(this.speed)) : Math.min(0.25, 1.5 * frame_s);
    const row = view(this.pose).slice(8);
    const wanted = [...row, this.time_s, this.generation ?? 0].join();
    if (wanted === this.lastAsked) return;
    this.lastAsked = wanted;
    this.asked = { time_s: this.time_s, margin_s, since: performance.now() };
    const message = { kind: "sort", row, time_s: this.time_s, margin_s, near: NEAR_M, buffer: this.spare };
    this.worker.postMessage(message, this.spare ? [this.spare] : []);
    this.spare = null;
  }

  #take({ buffer, count }) {
    this.renderer.setOrder(new Uint32Array(buffer), count);
    this.spare = buffer;
    this.ordered = this.asked;
    this.stats.sort_ms = performance.now() - this.asked.since;
    this.asked = null;
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
    this.wake();
  }

  /** Resolves when the order is that of the view and moment as they are now. */
  async sorted() {
    if (!this.asked) {
      this.generation = (this.generation ?? 0) + 1;
      this.#sort();
    }
    const moment = () => [...view(this.pose), this.time_s].join();
    const wanted = moment();
    do {
      await new Promise((resolve) => this.waiting.push(resolve));
      if (!this.asked) this.#sort();
    } while (this.asked && wanted === moment());
  }

  // --- picture --------------------------------------------------------------------------------------------------------

  #hw() {
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
    return fitted(this.lens, this.#hw(), this.zoom).frame.map((x) => x / this.pixelRatio);
  }

  /** Draw now. */
  draw(scale = this.scale) {
    if (!this.facts || this.failed) return;
    const hw = this.#hw().map((x) => Math.max(1, Math.round(x * scale)));
    const { time_s, margin_s } = this.ordered;
    const shown_s = Math.min(time_s + margin_s, Math.max(time_s - margin_s, this.time_s));
    this.renderer.draw({ pose: this.pose, lens: fitted(this.lens, hw, this.zoom), time_s: shown_s, mode: this.mode });
    this.drawnScale = scale;
    this.stats.frames++;
  }

  /**
   * The pixels that a camera sees at a moment: RGBA, rows from the top, over black.
   * @param {{K: number[], pose: number[], hw: number[], time_s: number, mode?: string}} camera
   */
  async picture({ K, pose, hw, time_s, mode = "colour" }) {
    const before = { pose: this.pose, time_s: this.time_s, playing: this.playing };
    Object.assign(this, { pose: poseOf(pose), time_s, playing: false });
    await this.sorted();
    const pixels = this.renderer.picture({ pose: this.pose, lens: lensOf(K, hw), time_s, mode });
    Object.assign(this, before);
    await this.sorted();
    this.wake();
    return pixels;
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
    this.lastTick = now;
    const moving = this.#advance(now, elapsed / 1000);
    if (moving) this.#govern(elapsed);
    this.#sort();
    if (this.dirty || moving) {
      this.dirty = false;
      this.draw(moving ? this.scale : this.restful ? 1 : this.scale);
    }
    this.sound.follow(this.time_s, this.playing && !this.film, this.speed);
    if (moving) {
      this.restful = false;
      this.#tell("moved");
      this.#schedule();
    } else {
      this.lastTick = undefined;
      this.#tell("moved");
      // At rest the picture becomes as fine as it can be.
      clearTimeout(this.resting);
      if (this.drawnScale < 1) {
        this.resting = setTimeout(() => {
          this.restful = true;
          this.wake();
        }, 200);
      }
    }
  }

  #govern(elapsed) {
    if (!elapsed) return;
    const stats = this.stats;
    stats.frame_ms = stats.frame_ms ? mix(stats.frame_ms, elapsed, 0.2) : elapsed;
    if (stats.frame_ms > SLOW_MS && this.scale > COARSEST) {
      this.scale = Math.max(COARSEST, this.scale * 0.85);
      stats.frame_ms = 0.5 * (SLOW_MS + QUICK_MS);
    } else if (stats.frame_ms < QUICK_MS && this.scale < 1) {
      this.scale = Math.min(1, this.scale * 1.05);
      stats.frame_ms = 0.5 * (SLOW_MS + QUICK_MS);
    }
  }

  // --- what moves by itself -------------------------------------------------------------------------------------------

  #advance(now, dt) {
    let moving = false;
    if (this.film) moving = this.#runFilm(dt) || moving;
    else if (this.playing) moving = this.#runTime(dt) || moving;
    if (this.follow && !this.glide && !this.film) this.#source();
    if (this.glide) {
      const t = Math.min(1, (now - (this.glide.since ??= now)) / GLIDE_MS);
      const eased = t * t * (3 - 2 * t);
      const to = this.glide.to();
      Object.assign(this, {
        pose: mixPose(this.glide.from.pose, to.pose, eased),
        lens: mixLens(this.glide.from.lens, to.lens, eased),
        zoom: mix(this.glide.from.zoom, to.zoom, eased),
      });
      if (t === 1) this.glide = null;
      moving = true;
    }
    if (this.spin) {
      const fade = Math.exp(-dt / 0.13);
      this.turn(this.spin.yaw * dt, this.spin.pitch * dt, { keepSpin: true });
      this.spin = { yaw: this.spin.yaw * fade, pitch: this.spin.pitch * fade };
      if (Math.hypot(this.spin.yaw, this.spin.pitch) < 0.01) this.spin = null;
      moving = true;
    }
    if (this.sway) {
      const before = this.sway.angle;
      this.sway.phase += (dt * 2 * Math.PI) / SWAY.seconds;
      this.sway.angle = ((SWAY.degrees * Math.PI) / 180) * Math.sin(this.sway.phase);
      this.pose = swing(this.pose, this.pivot(), about(this.up, this.sway.angle - before));
      moving = true;
    }
    if (this.walk.some(Boolean)) {
      const step = scaled(this.walk, dt * (this.home_m ?? 1) * 0.6);
      this.release();
      this.pose = { ...this.pose, p: add(this.pose.p, this.#turned(step)) };
      moving = true;
    }
    return moving;
  }

  #turned(step) {
    const axes = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map((axis) => this.#axis(axis));
    return [0, 1, 2].map((i) => axes.reduce((sum, axis, k) => sum + axis[i] * step[k], 0));
  }

  #axis(axis) {
    const f = forward(this.pose);
    const d = down(this.pose);
    const r = [d[1] * f[2] - d[2] * f[1], d[2] * f[0] - d[0] * f[2], d[0] * f[1] - d[1] * f[0]];
    return axis[0] ? r : axis[1] ? d : f;
  }

  #runTime(dt) {
    const { start_s, end_s } = this.facts;
    const length = end_s - start_s;
    let next = this.time_s + dt * this.speed;
    if (next >= end_s || next < start_s) {
      if (this.loop) {
        next = start_s + ((((next - start_s) % length) + length) % length);
      } else {
        next = Math.min(Math.max(next, start_s), this.#lastMoment());
        this.playing = false;
        this.#tell("change");
      }
    }
    this.time_s = next;
    return true;
  }

  #lastMoment() {
    return this.facts.cameras[this.facts.cameras.length - 1].time_s;
  }

  #runFilm(dt) {
    this.film.at_s += dt;
    const over = this.film.at_s >= this.film.length_s;
    const { pose, lens, time_s } = filmAt(this.keys, this.film.times, Math.min(this.film.at_s, this.film.length_s));
    Object.assign(this, { pose, lens, time_s });
    if (over) this.stopFilm();
    return true;
  }

  /** The source camera at this moment. */
  #source() {
    const { pose, lens } = sourceAt(this.facts.cameras, this.facts.hw, this.time_s);
    Object.assign(this, { pose, lens });
  }

  // --- what people do -------------------------------------------------------------------------------------------------

  /** The point that the camera turns about. */
  pivot() {
    return add(this.pose.p, scaled(forward(this.pose), this.distance));
  }

  /** The camera is in the user's hands from here on. */
  release() {
    const was = this.follow || this.sway || this.film || this.glide;
    this.follow = false;
    this.atHome = false;
    this.sway = null;
    this.glide = null;
    if (this.film) this.stopFilm();
    if (was) this.#tell("change");
  }

  /** Turn by angles in radians: about the subject, or, in flight, the view itself. */
  turn(yaw, pitch, { keepSpin = false } = {}) {
    if (!keepSpin) this.spin = null;
    this.release();
    this.pose = this.fly ? look(this.pose, this.up, yaw, pitch) : orbit(this.pose, this.pivot(), this.up, -yaw, -pitch);
    this.wake();
  }

  /** Let the turn run out: speeds in radians a second. */
  fling(yaw, pitch) {
    if (!this.calm && Math.hypot(yaw, pitch) > 0.2) this.spin = { yaw, pitch };
    this.wake();
  }

  /** Shift the view by CSS pixels, as if the subject were dragged. */
  pan(dx, dy) {
    this.release();
    const focal = fitted(this.lens, this.#hw(), this.zoom).fy / this.pixelRatio;
    const step = [(-dx * this.distance) / focal, (-dy * this.distance) / focal, 0];
    this.pose = { ...this.pose, p: add(this.pose.p, this.#turned(step)) };
    this.wake();
  }

  /** Come nearer by a factor below 1, or go away by one above. */
  dolly(factor) {
    this.release();
    const least = 0.05 * (this.home_m ?? 1);
    const next = Math.max(least, this.distance * factor);
    const step = this.distance * (1 - factor);
    this.pose = { ...this.pose, p: add(this.pose.p, scaled(forward(this.pose), step)) };
    this.distance = next;
    this.wake();
  }

  /** Take what lies at a point of the canvas (CSS pixels) as the subject. */
  async aim(x, y) {
    const lens = fitted(this.lens, this.#hw(), this.zoom);
    const [u, v] = [x, y].map((a) => a * this.pixelRatio);
    this.worker.postMessage({
      kind: "focus",
      id: "aim",
      camera: { rows: view(this.pose), lens },
      time_s: this.time_s,
      part: [u / lens.w - 0.02, v / lens.h - 0.02 * (lens.w / lens.h), 0.04, 0.04 * (lens.w / lens.h)],
    });
    const seen = await new Promise((resolve) => this.answers.set("aim", resolve));
    if (!seen) return;
    const z = seen.median;
    const offset = [((u - lens.cx) / lens.fx) * z, ((v - lens.cy) / lens.fy) * z, 0];
    this.distance = z;
    const p = add(this.pose.p, this.#turned(offset));
    this.glideTo(() => ({ pose: { p, q: this.pose.q }, lens: this.lens, zoom: this.zoom }));
  }

  /** Move there smoothly, or at once for those who asked for less motion. */
  glideTo(to) {
    this.release();
    this.spin = null;
    if (this.calm) Object.assign(this, to());
    else this.glide = { from: { pose: this.pose, lens: this.lens, zoom: this.zoom }, to };
    this.changed();
  }

  /** The view of the middle of the clip, level, from where it was filmed. */
  home() {
    const { cameras, hw } = this.facts;
    const middle = cameras[cameras.length >> 1];
    const lens = lensOf(middle.K, hw);
    const pose = level(poseOf(middle.pose), this.up);
    this.fly = false;
    this.distance = this.home_m ?? this.distance;
    this.glideTo(() => ({ pose, lens, zoom: homeZoom(lens, this.#hw()) }));
    this.atHome = true;
  }

  /** Look through the source camera, and go along with it. */
  source() {
    this.distance = this.home_m ?? this.distance;
    this.glideTo(() => ({ ...sourceAt(this.facts.cameras, this.facts.hw, this.time_s), zoom: 1 }));
    this.fly = false;
    this.follow = true;
    this.changed();
  }

  setFly(fly) {
    this.fly = fly;
    this.release();
    this.changed();
  }

  /** Let time stand still and sway about the subject; again to stop. */
  freeze() {
    const on = !this.sway;
    this.release();
    if (on) {
      this.playing = false;
      this.spin = null;
      this.sway = { phase: 0, angle: 0 };
    }
    this.changed();
  }

  play(on = !this.playing) {
    if (this.film) this.stopFilm();
    if (on && this.sway) this.sway = null;
    if (on && !this.loop && this.time_s >= this.#lastMoment()) this.time_s = this.facts.start_s;
    this.playing = on;
    this.changed();
  }

  seek(time_s) {
    if (this.film) this.stopFilm();
    this.time_s = Math.min(Math.max(time_s, this.facts.start_s), this.#lastMoment());
    this.changed();
  }

  /** Go by frames of the source. */
  step(frames) {
    this.playing = false;
    this.seek(this.time_s + frames * this.facts.frame_s);
  }

  set(values) {
    Object.assign(this, values);
    if ("speed" in values) this.sound.stop();
    this.changed();
  }

  // --- keyframes ------------------------------------------------------------------------------------------------------

  addKey() {
    if (this.film) this.stopFilm();
    this.keys.push({ pose: this.pose, lens: this.lens, time_s: this.time_s });
    this.changed();
  }

  removeKey(index) {
    if (this.film) this.stopFilm();
    this.keys.splice(index, 1);
    this.changed();
  }

  goToKey(index) {
    const key = this.keys[index];
    this.playing = false;
    this.time_s = key.time_s;
    this.glideTo(() => ({ pose: key.pose, lens: key.lens, zoom: 1 }));
  }

  playFilm() {
    if (this.keys.length < 2) return;
    this.release();
    const times = schedule(this.keys);
    this.zoom = 1;
    this.film = { at_s: 0, times, length_s: times[times.length - 1] };
    this.playing = false;
    this.changed();
  }

  stopFilm() {
    this.film = null;
    this.#tell("change");
  }

  /** The camera path of the keys, as an object that becomes camera_path.json. */
  cameraPath() {
    return cameraPath(this.keys, Math.round(1000 / this.facts.frame_s) / 1000);
  }

  /** The picture as it is now, as a PNG. */
  screenshot() {
    this.draw(1);
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
  }
}
