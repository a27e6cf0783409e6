// Time that runs, a camera that is moved, keyframes that become a film.
import {
  about, add, down, fitted, forward, homeZoom, lensOf, level, look, mix, mixLens, mixPose, orbit, poseOf, right, scaled,
  sourceAt, swing, view,
} from "./camera.js"; // prettier-ignore
import { cameraPath, filmAt, schedule } from "./path.js";
import { Viewer } from "./viewer.js";

const GLIDE_MS = 600;
const SWAY = { degrees: 14, seconds: 9 };

export class Player extends Viewer {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{calm?: boolean}} options as for `Viewer`; calm: for people who asked for less motion
   */
  constructor(canvas, { calm = false, ...options }) {
    super(canvas, options);
    this.calm = calm;
    this.loop = true;
    /** Whether it goes along with the source camera. */
    this.follow = true;
    this.fly = false;
    this.walk = [0, 0, 0];
    this.spin = null;
    this.sway = null;
    this.glide = null;
    this.keys = [];
    this.film = null;
  }

  // --- what moves by itself ---

  advance(now, dt) {
    let moving = false;
    if (this.film) moving = this.#runFilm(dt) || moving;
    else if (this.playing) moving = this.#runTime(dt) || moving;
    if (this.follow && !this.glide && !this.film) this.lookThroughSource();
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
    this.sound.follow(this.time_s, this.playing && !this.film, this.speed, this.pose, this.home_m ?? 1);
    return moving;
  }

  /** A step along the camera's own axes, in the world's. */
  #turned([x, y, z]) {
    return add(add(scaled(right(this.pose), x), scaled(down(this.pose), y)), scaled(forward(this.pose), z));
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
        this.tell("change");
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

  // --- what people do ---

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
    if (was) this.tell("change");
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
    const focal = fitted(this.lens, this.hw(), this.zoom).fy / this.pixelRatio;
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
    const lens = fitted(this.lens, this.hw(), this.zoom);
    const [u, v] = [x, y].map((a) => a * this.pixelRatio);
    const across = 0.04 * (lens.w / lens.h);
    const seen = await this.focus([u / lens.w - 0.02, v / lens.h - across / 2, 0.04, across], lens);
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
    this.glideTo(() => ({ pose, lens, zoom: homeZoom(lens, this.hw()) }));
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

  // --- keyframes ---

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
    this.tell("change");
  }

  /** The camera path of the keys, as an object that becomes camera_path.json. */
  cameraPath() {
    return cameraPath(this.keys, Math.round(1000 / this.facts.frame_s) / 1000);
  }

  /** The picture as it is now, as a PNG. */
  async screenshot() {
    await this.draw(1);
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
  }
}
