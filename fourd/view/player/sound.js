// The scene's sound, in step with the player's clock; where its sources have places, around the listener.
import { clamp, down, forward, mix, scaled } from "./camera.js";

/** Farther apart than this, people notice; then the sound is started anew at the right place. */
const APART_S = 0.06;

/** Where a source is at a moment: straight from one known place to the next. */
export function placeAt({ time_s, position_m }, t) {
  let right = time_s.findIndex((x) => x >= t);
  if (right < 0) right = time_s.length - 1;
  const left = Math.max(0, right - 1);
  const span = time_s[right] - time_s[left];
  const share = span > 0 ? clamp((t - time_s[left]) / span, 0, 1) : 1;
  return position_m[left].map((x, i) => mix(x, position_m[right][i], share));
}

/** Set a vector of an audio node; Firefox has no parameters for the listener. */
function put(node, name, old, vectors) {
  if (!node[`${name[0]}X`]) return node[old](...vectors.flat());
  vectors.forEach((vector, i) => ["X", "Y", "Z"].forEach((axis, j) => (node[name[i] + axis].value = vector[j])));
}

export class Sound {
  /** @param {() => void} changed called when it becomes audible or falls silent by itself */
  constructor(changed = () => {}) {
    this.changed = changed;
    this.tracks = [];
    this.muted = false;
    this.playing = null;
  }

  /**
   * Take WAV files that begin together. Resolves to false where the browser cannot play them.
   * @param {{wav: ArrayBuffer, time_s?: number[], position_m?: number[][]}[]} tracks with places, or one without
   * @param {number} start_s when they begin, on the clock of the scene
   */
  async load(tracks, start_s) {
    try {
      this.context = new AudioContext();
      this.context.onstatechange = this.changed;
      this.volume = this.context.createGain();
      this.volume.connect(this.context.destination);
      this.tracks = await Promise.all(
        tracks.map(async ({ wav, ...where }) => {
          const buffer = await this.context.decodeAudioData(wav);
          if (!where.time_s) return { buffer, out: this.volume };
          const out = new PannerNode(this.context, { panningModel: "HRTF", distanceModel: "inverse" });
          out.connect(this.volume);
          return { buffer, out, where };
        }),
      );
      this.start_s = start_s;
      this.length_s = Math.max(...this.tracks.map((track) => track.buffer.duration));
      this.mute(this.muted);
      return true;
    } catch {
      this.tracks = [];
      return false;
    }
  }

  /** Whether there is anything to hear. */
  get there() {
    return this.tracks.length > 0;
  }

  mute(muted) {
    this.muted = muted;
    if (this.volume) this.volume.gain.value = muted ? 0 : 1;
  }

  /** Whether it can be heard: browsers keep sound back until somebody has clicked. */
  get audible() {
    return this.there && !this.muted && this.context.state === "running";
  }

  /** Somebody has clicked. */
  allow() {
    if (this.context?.state === "suspended") this.context.resume();
  }

  /** Where it is, on the clock of the scene; null where nothing sounds. */
  position() {
    if (!this.playing) return null;
    return this.playing.from_s + (this.context.currentTime - this.playing.since) * this.playing.rate;
  }

  /** Put the ears where the camera is, and the sources where they are. At `near` they are as loud as recorded. */
  #place(time_s, pose, near) {
    const { listener } = this.context;
    put(listener, ["position"], "setPosition", [pose.p]);
    put(listener, ["forward", "up"], "setOrientation", [forward(pose), scaled(down(pose), -1)]);
    for (const { out, where } of this.tracks) {
      if (!where) continue;
      out.refDistance = near;
      put(out, ["position"], "setPosition", [placeAt(where, time_s)]);
    }
  }

  /** Say where scene and camera are: the sound follows. Call it whenever time or camera may have moved. */
  follow(time_s, running, rate, pose, near) {
    if (!this.there) return;
    const offset = time_s - this.start_s;
    const audible = running && rate >= 0.25 && rate <= 2 && offset >= 0 && offset < this.length_s;
    if (!audible || this.context.state !== "running") return this.stop();
    this.#place(time_s, pose, near);
    const apart = this.playing && Math.abs(this.position() - time_s);
    if (this.playing && this.playing.rate === rate && apart < APART_S * Math.max(1, rate)) return;
    this.stop();
    const nodes = this.tracks.map(({ buffer, out }) => {
      const node = new AudioBufferSourceNode(this.context, { buffer, playbackRate: rate });
      node.connect(out);
      node.start(0, offset);
      return node;
    });
    this.playing = { nodes, rate, from_s: time_s, since: this.context.currentTime };
  }

  stop() {
    for (const node of this.playing?.nodes ?? []) node.stop();
    this.playing = null;
  }
}
